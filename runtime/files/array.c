// Elements of files as numbers: every type that NumPy's arrays of numbers have, in both orders of axes.
#include "runtime/files/array.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} elements[ELEMENT_COUNT] = {
    [ELEMENT_BOOL] = {"bool", 1}, [ELEMENT_I8] = {"i8", 1},   [ELEMENT_U8] = {"u8", 1},     [ELEMENT_I16] = {"i16", 2},
    [ELEMENT_U16] = {"u16", 2},   [ELEMENT_I32] = {"i32", 4}, [ELEMENT_U32] = {"u32", 4},   [ELEMENT_I64] = {"i64", 8},
    [ELEMENT_U64] = {"u64", 8},   [ELEMENT_F16] = {"f16", 2}, [ELEMENT_BF16] = {"bf16", 2}, [ELEMENT_F32] = {"f32", 4},
    [ELEMENT_F64] = {"f64", 8}};

const char *element_name(ElementType type) {
    return elements[type].name;
}

size_t element_size(ElementType type) {
    return elements[type].size;
}

ElementType element_of_dtype(gradc_dtype dtype) {
    static const ElementType types[] = {[GRADC_F32] = ELEMENT_F32,
                                        [GRADC_F64] = ELEMENT_F64,
                                        [GRADC_I32] = ELEMENT_I32,
                                        [GRADC_I64] = ELEMENT_I64,
                                        [GRADC_BOOL] = ELEMENT_BOOL};
    return types[dtype];
}

bool dtype_of_element(ElementType type, gradc_dtype *dtype) {
    for (int i = GRADC_F32; i <= GRADC_BOOL; i++) {
        *dtype = (gradc_dtype)i;
        if (element_of_dtype(*dtype) == type) return true;
    }
    return false;
}

int64_t array_row_count(const StoredArray *array) {
    int64_t count = 1;
    for (int i = 1; i < array->rank; i++) count *= array->shape[i];
    return count;
}

int64_t array_count(const StoredArray *array) {
    return array_row_count(array) * (array->rank ? array->shape[0] : 1);
}

// ---- numbers

// Sign, five bits of exponent, ten of fraction; every value is an f64.
static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

// The upper half of an f32.
static double bfloat_value(uint16_t bits) {
    uint32_t whole = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &whole, sizeof value);
    return value;
}

#define SAME(value) (double)(value)
#define CONVERT(type, value_of)                           \
    for (int64_t i = 0; i < count; i++, from += stride) { \
        type element;                                     \
        memcpy(&element, from, sizeof element);           \
        to[i] = value_of(element);                        \
    }                                                     \
    break

// Elements that lie `stride` bytes apart.
static void convert(ElementType type, const char *from, int64_t stride, int64_t count, double *to) {
    switch (type) {
    case ELEMENT_BOOL: CONVERT(uint8_t, !!);
    case ELEMENT_I8: CONVERT(int8_t, SAME);
    case ELEMENT_U8: CONVERT(uint8_t, SAME);
    case ELEMENT_I16: CONVERT(int16_t, SAME);
    case ELEMENT_U16: CONVERT(uint16_t, SAME);
    case ELEMENT_I32: CONVERT(int32_t, SAME);
    case ELEMENT_U32: CONVERT(uint32_t, SAME);
    case ELEMENT_I64: CONVERT(int64_t, SAME);
    case ELEMENT_U64: CONVERT(uint64_t, SAME);
    case ELEMENT_F16: CONVERT(uint16_t, half_value);
    case ELEMENT_BF16: CONVERT(uint16_t, bfloat_value);
    case ELEMENT_F32: CONVERT(float, SAME);
    case ELEMENT_F64: CONVERT(double, SAME);
    case ELEMENT_COUNT: break;
    }
}

// ---- rows

// Where the elements of a row lie, in bytes: steps[axis] is from one to the next along the axis.
static void find_steps(const StoredArray *array, int64_t *steps) {
    int64_t step = (int64_t)element_size(array->type);
    for (int k = 0; k < array->rank; k++) {
        int axis = array->first_fastest ? k : array->rank - 1 - k;
        steps[axis] = step;
        step *= array->shape[axis];
    }
}

typedef void RunFunction(const StoredArray *array, const char *from, int64_t step, int64_t count, void *to);

static void run_numbers(const StoredArray *array, const char *from, int64_t step, int64_t count, void *to) {
    convert(array->type, from, step, count, to);
}

static void run_bytes(const StoredArray *array, const char *from, int64_t step, int64_t count, void *to) {
    size_t size = element_size(array->type);
    if (step == (int64_t)size) memcpy(to, from, (size_t)count * size);
    else
        for (int64_t i = 0; i < count; i++) memcpy((char *)to + (size_t)i * size, from + i * step, size);
}

// One row, whose last axis is read run by run.
static void read_row(const StoredArray *array, const int64_t *steps, const char *from, size_t element, char *to,
                     RunFunction *run) {
    int last = array->rank - 1;
    int64_t index[GRADC_MAX_RANK] = {0}, length = array->shape[last];
    for (bool more = array_row_count(array) > 0; more; to += (size_t)length * element) {
        int64_t offset = 0;
        for (int i = 1; i < last; i++) offset += index[i] * steps[i];
        run(array, from + offset, steps[last], length, to);
        more = false;
        for (int i = last - 1; i >= 1 && !more; i--) {
            more = ++index[i] < array->shape[i];
            if (!more) index[i] = 0;
        }
    }
}

// `element`: the size of an element of `to`.
static void read_rows(const StoredArray *array, const int64_t *rows, int64_t count, size_t element, void *to,
                      RunFunction *run) {
    int64_t steps[GRADC_MAX_RANK] = {0}, length = array_row_count(array);
    find_steps(array, steps);
    for (int64_t i = 0; i < count; i++) {
        const char *from = (const char *)array->elements + (array->rank ? rows[i] * steps[0] : 0);
        char *row = (char *)to + (size_t)(i * length) * element;
        if (array->rank > 1 && array->first_fastest) read_row(array, steps, from, element, row, run);
        else run(array, from, (int64_t)element_size(array->type), length, row);
    }
}

void array_rows(const StoredArray *array, const int64_t *rows, int64_t count, double *to) {
    read_rows(array, rows, count, sizeof *to, to, run_numbers);
}

void array_copy_rows(const StoredArray *array, const int64_t *rows, int64_t count, void *to) {
    read_rows(array, rows, count, element_size(array->type), to, run_bytes);
}
