// Contractions: for each element of the result a chain of multiply-adds over the summed axes, in chunks that are added
// in order (S10). The last axis of the result is walked innermost, so that the chains of its elements run side by side.
#include "evaluate/evaluator.h"

#include "evaluate/element.h"
#include "graph/order.h"

#include <string.h>

enum { LABELS = 26 };

typedef struct {
    const void *x, *y;
    const int64_t *x_outer, *y_outer;   // offsets for each row of the result
    const int64_t *x_summed, *y_summed;
    int64_t rows, columns, summed;
    int64_t x_step, y_step;   // along the columns
    void *result, *chunk;
} Product;

typedef void ContractLoop(const Product *product);

#define CONTRACT_LOOP(t)                                                                           \
    static void contract_##t(const Product *p) {                                                   \
        typedef element_##t T;                                                                     \
        T *chunk = p->chunk;                                                                       \
        for (int64_t i = 0; i < p->rows; i++) {                                                    \
            T *total = (T *)p->result + i * p->columns;                                            \
            for (int64_t c = 0; c < p->columns; c++) total[c] = 0;                                 \
            for (int64_t first = 0; first < p->summed; first += SEQUENTIAL_CHUNK) {                \
                int64_t rest = p->summed - first;                                                  \
                int64_t limit = first + (rest < SEQUENTIAL_CHUNK ? rest : SEQUENTIAL_CHUNK);       \
                for (int64_t c = 0; c < p->columns; c++) chunk[c] = 0;                             \
                for (int64_t k = first; k < limit; k++) {                                          \
                    const T *x = (const T *)p->x + p->x_outer[i] + p->x_summed[k];                 \
                    const T *y = (const T *)p->y + p->y_outer[i] + p->y_summed[k];                 \
                    for (int64_t c = 0; c < p->columns; c++)                                       \
                        chunk[c] = multiply_add_##t(x[c * p->x_step], y[c * p->y_step], chunk[c]); \
                }                                                                                  \
                for (int64_t c = 0; c < p->columns; c++) total[c] = (T)(total[c] + chunk[c]);      \
            }                                                                                      \
        }                                                                                          \
    }
CONTRACT_LOOP(f32)
CONTRACT_LOOP(f64)
CONTRACT_LOOP(i32)
CONTRACT_LOOP(i64)
static ContractLoop *const loops[DTYPE_TUPLE] = {contract_f32, contract_f64, contract_i32, contract_i64};

// By label: its size and its stride in each operand, 0 where the operand does not have it.
typedef struct {
    int64_t size, x_stride, y_stride;
    bool in_result;
} Label;

typedef struct {
    int64_t shape[MAX_RANK], x_strides[MAX_RANK], y_strides[MAX_RANK];
    int rank;
} Space;

static void add_label(Space *space, const Label *label) {
    space->shape[space->rank] = label->size;
    space->x_strides[space->rank] = label->x_stride;
    space->y_strides[space->rank++] = label->y_stride;
}

static void read_labels(const Node *node, const Tensor *x, const Tensor *y, Label *labels) {
    int64_t dense[MAX_RANK];
    row_major(x->shape, x->rank, dense);
    for (int i = 0; i < x->rank; i++) {
        Label *label = &labels[attribute_integer(node, 2 + i)];
        label->size = x->shape[i];
        label->x_stride = dense[i];
    }
    row_major(y->shape, y->rank, dense);
    for (int i = 0; i < y->rank; i++) {
        Label *label = &labels[attribute_integer(node, 2 + x->rank + i)];
        label->size = y->shape[i];
        label->y_stride = dense[i];
    }
    for (int i = 0; i < node->rank; i++) labels[attribute_integer(node, 2 + x->rank + y->rank + i)].in_result = true;
}

static void run(Evaluation *evaluation, const Space *outer, const Space *summed, Product *product, Dtype dtype) {
    Value holders[5] = {0};
    product->x_outer = offsets_of(evaluation, outer->shape, outer->x_strides, outer->rank, &holders[0]);
    product->y_outer = offsets_of(evaluation, outer->shape, outer->y_strides, outer->rank, &holders[1]);
    product->x_summed = offsets_of(evaluation, summed->shape, summed->x_strides, summed->rank, &holders[2]);
    product->y_summed = offsets_of(evaluation, summed->shape, summed->y_strides, summed->rank, &holders[3]);
    holders[4].tensor = (Tensor){.dtype = dtype, .rank = 1, .shape = {product->columns}};
    value_reserve(evaluation, &holders[4]);
    if (!evaluation->fault) {
        product->rows = tensor_count(&holders[0].tensor);
        product->summed = tensor_count(&holders[2].tensor);
        product->chunk = holders[4].tensor.data;
        loops[dtype](product);
    }
    for (int i = 0; i < 5; i++) value_release(evaluation, &holders[i]);
}

void evaluate_contract(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *x = &inputs[0]->tensor, *y = &inputs[1]->tensor;
    if (!loops[node->dtype]) {
        evaluation_fail(evaluation, "there is no contraction of %s", dtype_name(node->dtype));
        return;
    }
    if (!value_create(evaluation, node, result)) return;
    Label labels[LABELS] = {0};
    Space outer = {.rank = 0}, summed = {.rank = 0};
    Product product = {.x = x->data, .y = y->data, .columns = 1, .result = result->tensor.data};
    read_labels(node, x, y, labels);
    for (int i = 0; i < node->rank; i++) {
        const Label *label = &labels[attribute_integer(node, 2 + x->rank + y->rank + i)];
        if (i < node->rank - 1) {
            add_label(&outer, label);
            continue;
        }
        product.columns = label->size;
        product.x_step = label->x_stride;
        product.y_step = label->y_stride;
    }
    for (int i = 0; i < x->rank; i++) {   // the order of the sum is that of x's axes
        const Label *label = &labels[attribute_integer(node, 2 + i)];
        if (!label->in_result) add_label(&summed, label);
    }
    run(evaluation, &outer, &summed, &product, node->dtype);
}
