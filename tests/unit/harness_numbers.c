// Numbers as a leaf of a case asks for them: the same in every run.
#include "harness_numbers.h"

#include <math.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

double case_real(const CaseLeaf *leaf) {
    static const double special[] = {NAN,   INFINITY, -INFINITY, 0.0,  -0.0,  1e-40, -1e-40, 3e38,
                                     -3e38, 1.0,      -1.0,      88.0, -88.0, 0.5,   1e-8,   -104.0};
    double unit = (double)(random_bits() >> 11) * 0x1p-53;
    switch (leaf->fill) {
    case FILL_REAL: return unit * 4 - 2;
    case FILL_POSITIVE: return unit * 2;
    case FILL_SPECIAL:
        if (random_bits() % 3 == 0) return special[random_bits() % (sizeof special / sizeof *special)];
        return unit * 20 - 10;
    default: return (double)((int64_t)(random_bits() % 65) - 32) / 8;
    }
}

int64_t case_integer(const CaseLeaf *leaf, Dtype dtype) {
    static const int64_t special[] = {INT32_MIN, INT32_MAX, 0, -1, 1, INT64_MIN, INT64_MAX};
    if (dtype == DTYPE_BOOL) return (int64_t)(random_bits() % 2);
    if (leaf->fill == FILL_INDEX)
        return leaf->fill_limit > 0 ? (int64_t)(random_bits() % (uint64_t)leaf->fill_limit) : 0;
    if (leaf->fill == FILL_SPECIAL && random_bits() % 3 == 0) return special[random_bits() % 7];
    return (int64_t)(random_bits() % 13) - 6;
}

void put_element(Dtype dtype, void *data, int64_t index, double real, int64_t integer) {
    switch (dtype) {
    case DTYPE_F32: ((float *)data)[index] = (float)real; break;
    case DTYPE_F64: ((double *)data)[index] = real; break;
    case DTYPE_I32: ((int32_t *)data)[index] = (int32_t)integer; break;
    case DTYPE_I64: ((int64_t *)data)[index] = integer; break;
    default: ((uint8_t *)data)[index] = integer != 0;
    }
}
