// The places of a row's elements in order: sorted by merging, which keeps the order of equals.
#include "evaluate/evaluator.h"

#include "evaluate/element.h"

#include <string.h>

// A row of `count` keys; `order` becomes the result, `other` is as large.
typedef struct {
    const void *keys;
    int64_t count;
    bool descending;
    int64_t *order, *other;
} Row;

typedef void SortRow(const Row *row);

// Does `b`, which stands behind `a`, come before it? A NaN is larger than all numbers.
#define SORT_ROW(t)                                                                                                \
    static bool before_##t(element_##t b, element_##t a, bool descending) {                                        \
        element_##t low = descending ? a : b, high = descending ? b : a;                                           \
        return low < high || (is_nan_##t(high) && !is_nan_##t(low));                                               \
    }                                                                                                              \
    static void sort_##t(const Row *row) {                                                                         \
        const element_##t *keys = row->keys;                                                                       \
        int64_t *from = row->order, *to = row->other;                                                              \
        for (int64_t i = 0; i < row->count; i++) from[i] = i;                                                      \
        for (int64_t width = 1; width < row->count; width *= 2) {                                                  \
            for (int64_t start = 0; start < row->count; start += 2 * width) {                                      \
                int64_t middle = start + width < row->count ? start + width : row->count;                          \
                int64_t end = middle + width < row->count ? middle + width : row->count;                           \
                int64_t left = start, right = middle;                                                              \
                for (int64_t k = start; k < end; k++) {                                                            \
                    bool take = left == middle ||                                                                  \
                                (right < end && before_##t(keys[from[right]], keys[from[left]], row->descending)); \
                    to[k] = take ? from[right++] : from[left++];                                                   \
                }                                                                                                  \
            }                                                                                                      \
            int64_t *swapped = from;                                                                               \
            from = to;                                                                                             \
            to = swapped;                                                                                          \
        }                                                                                                          \
        if (from != row->order) memcpy(row->order, from, (size_t)row->count * sizeof *from);                       \
    }
SORT_ROW(f32)
SORT_ROW(f64)
SORT_ROW(i32)
SORT_ROW(i64)
static SortRow *const sorters[DTYPE_TUPLE] = {sort_f32, sort_f64, sort_i32, sort_i64};

void evaluate_argsort(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *x = &inputs[0]->tensor;
    if (!sorters[x->dtype]) {
        evaluation_fail(evaluation, "there is no order of %s", dtype_name(x->dtype));
        return;
    }
    if (!value_create(evaluation, node, result)) return;
    int64_t count = x->shape[x->rank - 1], rows = count ? tensor_count(x) / count : 0;
    Value other = {.tensor = {.dtype = DTYPE_I64, .rank = 1, .shape = {count}}};
    if (!value_reserve(evaluation, &other)) return;
    for (int64_t i = 0; i < rows; i++) {
        const char *keys = (const char *)x->data + i * count * dtype_size(x->dtype);
        int64_t *order = (int64_t *)result->tensor.data + i * count;
        sorters[x->dtype](&(Row){keys, count, attribute_integer(node, 0), order, other.tensor.data});
    }
    value_release(evaluation, &other);
}
