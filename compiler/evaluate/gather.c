// Indices that come from data: gather and scatter_add. One out of range is clamped and, the first time, recorded (S14).
#include "evaluate/evaluator.h"

#include "evaluate/element.h"

#include <string.h>

// The index at `position`, in range; -1: there is nothing to point at.
static int64_t index_at(Evaluation *evaluation, const Tensor *indices, int64_t position, int64_t limit) {
    int64_t index = indices->dtype == DTYPE_I32 ? ((const int32_t *)indices->data)[position]
                                                : ((const int64_t *)indices->data)[position];
    if (index >= 0 && index < limit) return index;
    Environment *environment = evaluation->environment;
    if (!environment->faulted) {
        environment->faulted = true;
        environment->fault[0] = index;
        environment->fault[1] = position;
    }
    return index < 0 && limit ? 0 : limit - 1;
}

static int64_t row_count(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 1; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

void evaluate_gather(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *x = &inputs[0]->tensor, *indices = &inputs[1]->tensor;
    if (!value_create(evaluation, node, result)) return;
    size_t bytes = (size_t)row_count(x) * (size_t)dtype_size(x->dtype);
    int64_t count = tensor_count(indices);
    for (int64_t i = 0; i < count && bytes; i++) {
        int64_t index = index_at(evaluation, indices, i, x->shape[0]);
        char *to = (char *)result->tensor.data + (size_t)i * bytes;
        if (index < 0) memset(to, 0, bytes);
        else memcpy(to, (const char *)x->data + (size_t)index * bytes, bytes);
    }
}

#define ADD_ROW(t)                                                                                                \
    static void add_row_##t(int64_t count, const void *updates, void *row) {                                      \
        for (int64_t i = 0; i < count; i++)                                                                       \
            ((element_##t *)row)[i] = (element_##t)(((element_##t *)row)[i] + ((const element_##t *)updates)[i]); \
    }
ADD_ROW(f32)
ADD_ROW(f64)
ADD_ROW(i32)
ADD_ROW(i64)
typedef void AddRow(int64_t count, const void *updates, void *row);
static AddRow *const adders[DTYPE_TUPLE] = {add_row_f32, add_row_f64, add_row_i32, add_row_i64};

void evaluate_scatter_add(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *indices = &inputs[0]->tensor, *updates = &inputs[1]->tensor;
    if (!value_create(evaluation, node, result)) return;
    memset(result->tensor.data, 0, tensor_bytes(&result->tensor));
    int64_t count = tensor_count(indices), row = row_count(&result->tensor);
    size_t bytes = (size_t)row * (size_t)dtype_size(node->dtype);
    if (!adders[node->dtype]) evaluation_fail(evaluation, "there is no scatter_add of %s", dtype_name(node->dtype));
    for (int64_t i = 0; i < count && bytes && adders[node->dtype]; i++) {
        int64_t index = index_at(evaluation, indices, i, result->tensor.shape[0]);
        if (index < 0) continue;
        const char *from = (const char *)updates->data + (size_t)i * bytes;
        adders[node->dtype](row, from, (char *)result->tensor.data + (size_t)index * bytes);
    }
}
