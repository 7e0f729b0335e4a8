// Views, as copies with strides. A reshape is the same memory with another shape.
#include "evaluate/evaluator.h"

#include <string.h>

#define STRIDED_COPY(T)                                                                                       \
    static void copy_##T(int64_t count, const void *from, int64_t from_stride, void *to, int64_t to_stride) { \
        const T *source = from;                                                                               \
        T *target = to;                                                                                       \
        for (int64_t i = 0; i < count; i++) target[i * to_stride] = source[i * from_stride];                  \
    }
STRIDED_COPY(uint8_t)
STRIDED_COPY(uint32_t)
STRIDED_COPY(uint64_t)

// For every index of `shape`: to[index . to_strides] = from[index . from_strides], in elements of `size` bytes.
static void copy_strided(const int64_t *shape, int rank, size_t size, const void *from, const int64_t *from_strides,
                         void *to, const int64_t *to_strides) {
    int64_t index[MAX_RANK] = {0}, last = rank ? shape[rank - 1] : 1;
    for (int i = 0; i < rank; i++)
        if (!shape[i]) return;
    int64_t from_last = rank ? from_strides[rank - 1] : 0, to_last = rank ? to_strides[rank - 1] : 0;
    do {
        int64_t source = 0, target = 0;
        for (int i = 0; i < rank - 1; i++) {
            source += index[i] * from_strides[i];
            target += index[i] * to_strides[i];
        }
        const char *read = (const char *)from + source * (int64_t)size;
        char *write = (char *)to + target * (int64_t)size;
        if (size == 1) copy_uint8_t(last, read, from_last, write, to_last);
        else if (size == 4) copy_uint32_t(last, read, from_last, write, to_last);
        else copy_uint64_t(last, read, from_last, write, to_last);
    } while (index_next(index, shape, rank - 1));
}

// result[index] = x[base + index . strides]
static void read_through(const Value *x, int64_t base, const int64_t *strides, const Value *result) {
    int64_t dense[MAX_RANK];
    size_t size = (size_t)dtype_size(result->tensor.dtype);
    row_major(result->tensor.shape, result->tensor.rank, dense);
    const char *from = (const char *)x->tensor.data + base * (int64_t)size;
    copy_strided(result->tensor.shape, result->tensor.rank, size, from, strides, result->tensor.data, dense);
}

void evaluate_broadcast(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    if (!value_create(evaluation, node, result)) return;
    const Tensor *x = &inputs[0]->tensor;
    int64_t dense[MAX_RANK], strides[MAX_RANK] = {0};
    row_major(x->shape, x->rank, dense);
    for (int i = 0; i < x->rank; i++) {
        int axis = attribute_integer(node, i);
        if (x->shape[i] == result->tensor.shape[axis]) strides[axis] = dense[i];
        else if (x->shape[i] != 1) {
            evaluation_fail(evaluation, "an axis of %lld elements is broadcast to %lld", (long long)x->shape[i],
                            (long long)result->tensor.shape[axis]);
            return;
        }
    }
    read_through(inputs[0], 0, strides, result);
}

void evaluate_reshape(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    int64_t count = tensor_count(&inputs[0]->tensor);
    value_share(result, inputs[0]);
    result->tensor.rank = node->rank;
    for (int i = 0; i < node->rank; i++) result->tensor.shape[i] = size_of(evaluation, node->shape[i]);
    if (!evaluation->fault && tensor_count(&result->tensor) != count)
        evaluation_fail(evaluation, "%lld elements are reshaped to %lld", (long long)count,
                        (long long)tensor_count(&result->tensor));
}

void evaluate_transpose(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    if (!value_create(evaluation, node, result)) return;
    int64_t dense[MAX_RANK], strides[MAX_RANK];
    row_major(inputs[0]->tensor.shape, inputs[0]->tensor.rank, dense);
    for (int i = 0; i < node->rank; i++) strides[i] = dense[attribute_integer(node, i)];
    read_through(inputs[0], 0, strides, result);
}

// The places of `counts` elements of each axis of `whole`: the first's, and strides. False, with a fault: some would be
// outside. `starts` are extents that may be negative only where there are no elements.
static bool places(Evaluation *evaluation, const Node *node, const Tensor *whole, const int64_t *counts, int64_t *base,
                   int64_t *strides) {
    const int64_t *dims = evaluation->environment->dims;
    row_major(whole->shape, whole->rank, strides);
    *base = 0;
    for (int i = 0; i < whole->rank; i++) {
        bool overflow = false;
        int64_t step = attribute_integer(node, 2 * i + 1);
        int64_t start = extent_evaluate(node->attributes[2 * i], dims, &overflow);
        int64_t last = start + (counts[i] - 1) * step;
        if (overflow || (counts[i] && (start < 0 || start >= whole->shape[i] || last < 0 || last >= whole->shape[i]))) {
            evaluation_fail(evaluation, "%s: elements %lld to %lld of an axis of %lld", op_name(node->op),
                            (long long)start, (long long)last, (long long)whole->shape[i]);
            return false;
        }
        *base += counts[i] ? start * strides[i] : 0;
        strides[i] *= step;
    }
    return true;
}

void evaluate_slice(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    int64_t base, strides[MAX_RANK];
    if (!value_create(evaluation, node, result) || !tensor_count(&result->tensor)) return;
    if (places(evaluation, node, &inputs[0]->tensor, result->tensor.shape, &base, strides))
        read_through(inputs[0], base, strides, result);
}

void evaluate_pad(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *x = &inputs[0]->tensor;
    int64_t base, dense[MAX_RANK], strides[MAX_RANK];
    size_t size = (size_t)dtype_size(x->dtype);
    if (!value_create(evaluation, node, result)) return;
    memset(result->tensor.data, 0, tensor_bytes(&result->tensor));
    if (!tensor_count(x) || !places(evaluation, node, &result->tensor, x->shape, &base, strides)) return;
    row_major(x->shape, x->rank, dense);
    char *to = (char *)result->tensor.data + base * (int64_t)size;
    copy_strided(x->shape, x->rank, size, x->data, dense, to, strides);
}

void evaluate_window(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    if (!value_create(evaluation, node, result) || !tensor_count(&result->tensor)) return;
    int axis = attribute_integer(node, 0);
    int64_t dense[MAX_RANK], strides[MAX_RANK], dilation = size_of(evaluation, node->attributes[2]);
    row_major(inputs[0]->tensor.shape, inputs[0]->tensor.rank, dense);
    for (int i = 0; i < node->rank; i++) strides[i] = dense[i <= axis ? i : i - 1];
    strides[axis] *= attribute_integer(node, 1);
    strides[axis + 1] *= dilation;
    if (!evaluation->fault) read_through(inputs[0], 0, strides, result);
}
