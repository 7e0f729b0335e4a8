// Sums of overlapping windows: for each element of the result, what the windows' taps, ascending, have for it. The order of
// the sum is that of a column (graph/order.h) over the taps, where a tap that has nothing counts as +0.
#include "evaluate/evaluator.h"

#include "evaluate/element.h"
#include "graph/order.h"

#include <string.h>

// The positions stand in x with `inner` elements between them and their taps.
typedef struct {
    const void *x;
    int64_t positions, taps, extent, inner, stride, dilation;
    void *result;
} Fold;

typedef void FoldLoop(const Fold *fold);

#define FOLD_LOOP(t)                                                                                    \
    static void fold_##t(const Fold *f) {                                                               \
        typedef element_##t T;                                                                          \
        for (int64_t i = 0; i < f->extent; i++)                                                         \
            for (int64_t c = 0; c < f->inner; c++) {                                                    \
                T total = 0, chunk = 0;                                                                 \
                for (int64_t k = 0; k < f->taps; k++) {                                                 \
                    int64_t from = i - k * f->dilation, at = from / f->stride;                          \
                    bool has = from >= 0 && from % f->stride == 0 && at < f->positions;                 \
                    if (has) chunk = (T)(chunk + ((const T *)f->x)[(at * f->taps + k) * f->inner + c]); \
                    if (k % SEQUENTIAL_CHUNK != SEQUENTIAL_CHUNK - 1 && k < f->taps - 1) continue;      \
                    total = (T)(total + chunk);                                                         \
                    chunk = 0;                                                                          \
                }                                                                                       \
                ((T *)f->result)[i * f->inner + c] = total;                                             \
            }                                                                                           \
    }
FOLD_LOOP(f32)
FOLD_LOOP(f64)
FOLD_LOOP(i32)
FOLD_LOOP(i64)
static FoldLoop *const loops[DTYPE_TUPLE] = {fold_f32, fold_f64, fold_i32, fold_i64};

void evaluate_fold(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    if (!loops[node->dtype]) {
        evaluation_fail(evaluation, "there is no fold of %s", dtype_name(node->dtype));
        return;
    }
    if (!value_create(evaluation, node, result)) return;
    const Tensor *x = &inputs[0]->tensor;
    int axis = attribute_integer(node, 0);
    int64_t outer = 1, inner = 1, size = dtype_size(node->dtype);
    for (int i = 0; i < axis; i++) outer *= x->shape[i];
    for (int i = axis + 2; i < x->rank; i++) inner *= x->shape[i];
    Fold fold = {.positions = x->shape[axis], .taps = x->shape[axis + 1], .extent = result->tensor.shape[axis]};
    fold.inner = inner;
    fold.stride = attribute_integer(node, 1);
    fold.dilation = size_of(evaluation, node->attributes[2]);
    for (int64_t i = 0; i < outer && !evaluation->fault; i++) {
        fold.x = (const char *)x->data + i * fold.positions * fold.taps * inner * size;
        fold.result = (char *)result->tensor.data + i * fold.extent * inner * size;
        loops[node->dtype](&fold);
    }
}
