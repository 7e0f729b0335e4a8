// Loops for contract.py, which compiles this file: calls of a product from C, so that no peer of one pays for Python's.
#include <stdint.h>

typedef int Value(void *call);
// CblasRowMajor 101, CblasNoTrans 111, CblasTrans 112; sizes of 64 bits, as NumPy's OpenBLAS takes them.
typedef void Sgemm(int order, int turn_a, int turn_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   int64_t row_a, const float *b, int64_t row_b, float beta, float *c, int64_t row_c);
typedef struct {
    int64_t turn_a, turn_b, batch, m, n, k;
    const float *a, *b;
    float *c;
} Sizes;

int call_value(Value *value, void *call, long count);
void call_sgemm(Sgemm *sgemm, const Sizes *sizes, long count);

int call_value(Value *value, void *call, long count) {
    int status = 0;
    for (long i = 0; i < count && !status; i++) status = value(call);
    return status;
}

void call_sgemm(Sgemm *sgemm, const Sizes *sizes, long count) {
    int64_t m = sizes->m, n = sizes->n, k = sizes->k;
    for (long i = 0; i < count; i++)
        for (int64_t b = 0; b < sizes->batch; b++)
            sgemm(101, sizes->turn_a ? 112 : 111, sizes->turn_b ? 112 : 111, m, n, k, 1, sizes->a + b * m * k,
                  sizes->turn_a ? m : k, sizes->b + b * k * n, sizes->turn_b ? k : n, 0, sizes->c + b * m * n, n);
}
