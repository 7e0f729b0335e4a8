// Reductions, in the order of S10 (graph/order.h). A row's elements go to lanes, the lanes are folded, the chunks
// combined; elements of a column are combined one after the other, chunk by chunk.
#include "evaluate/evaluator.h"

#include "evaluate/element.h"
#include "graph/order.h"

#include <string.h>

enum { MAX_LANES = 32 };

// What all loops over a reduction's elements need. Element j of result i is x[kept[i] + reduced[j]].
typedef struct {
    const void *x;
    const int64_t *kept, *reduced;
    int64_t kept_count, reduced_count;
    int64_t columns;   // the length of the last axis, if it is kept
    int lanes;
    void *result;
    void *chunk;   // room for `columns` elements
} Reduction;

#define ADD_f32(x, y) ((x) + (y))
#define ADD_f64(x, y) ((x) + (y))
#define ADD_i32(x, y) ((x) + (y))
#define ADD_i64(x, y) ((x) + (y))

// Each reduces x, of which the kept and the reduced elements are given by their offsets.
typedef void ReduceLoop(const Reduction *reduction);

#define ROW_LOOP(name, t, combine, start)                                                             \
    static void row_##name##_##t(const Reduction *r) {                                                \
        typedef element_##t T;                                                                        \
        for (int64_t i = 0; i < r->kept_count; i++) {                                                 \
            const T *row = (const T *)r->x + i * r->reduced_count;                                    \
            T total = start;                                                                          \
            for (int64_t first = 0; first < r->reduced_count; first += ROW_CHUNK) {                   \
                int64_t rest = r->reduced_count - first, count = rest < ROW_CHUNK ? rest : ROW_CHUNK; \
                T lanes[MAX_LANES];                                                                   \
                for (int l = 0; l < r->lanes; l++) lanes[l] = start;                                  \
                for (int64_t j = 0; j < count; j++) {                                                 \
                    T *lane = &lanes[j % r->lanes];                                                   \
                    *lane = (T)combine(*lane, row[first + j]);                                        \
                }                                                                                     \
                for (int half = r->lanes / 2; half >= 1; half /= 2)                                   \
                    for (int l = 0; l < half; l++) lanes[l] = (T)combine(lanes[l], lanes[l + half]);  \
                total = (T)combine(total, lanes[0]);                                                  \
            }                                                                                         \
            ((T *)r->result)[i] = total;                                                              \
        }                                                                                             \
    }

#define COLUMN_LOOP(name, t, combine, start)                                                        \
    static void column_##name##_##t(const Reduction *r) {                                           \
        typedef element_##t T;                                                                      \
        T *chunk = r->chunk;                                                                        \
        for (int64_t i = 0; i < r->kept_count; i++) {                                               \
            T *total = (T *)r->result + i * r->columns;                                             \
            for (int64_t c = 0; c < r->columns; c++) total[c] = start;                              \
            for (int64_t first = 0; first < r->reduced_count; first += SEQUENTIAL_CHUNK) {          \
                int64_t rest = r->reduced_count - first;                                            \
                int64_t limit = first + (rest < SEQUENTIAL_CHUNK ? rest : SEQUENTIAL_CHUNK);        \
                for (int64_t c = 0; c < r->columns; c++) chunk[c] = start;                          \
                for (int64_t j = first; j < limit; j++) {                                           \
                    const T *x = (const T *)r->x + r->kept[i] + r->reduced[j];                      \
                    for (int64_t c = 0; c < r->columns; c++) chunk[c] = (T)combine(chunk[c], x[c]); \
                }                                                                                   \
                for (int64_t c = 0; c < r->columns; c++) total[c] = (T)combine(total[c], chunk[c]); \
            }                                                                                       \
        }                                                                                           \
    }

// The first of the largest; a NaN is larger than all. 0 for no elements.
#define ARGMAX_LOOP(t)                                                              \
    static void argmax_##t(const Reduction *r) {                                    \
        typedef element_##t T;                                                      \
        for (int64_t i = 0; i < r->kept_count; i++) {                               \
            const T *x = (const T *)r->x + r->kept[i];                              \
            int64_t best = 0;                                                       \
            for (int64_t j = 1; j < r->reduced_count; j++) {                        \
                T old = x[r->reduced[best]], next = x[r->reduced[j]];               \
                if (next > old || (is_nan_##t(next) && !is_nan_##t(old))) best = j; \
            }                                                                       \
            ((int64_t *)r->result)[i] = best;                                       \
        }                                                                           \
    }

#define LOOPS(name, t, combine, start) ROW_LOOP(name, t, combine, start) COLUMN_LOOP(name, t, combine, start)
LOOPS(sum, f32, ADD_f32, 0)
LOOPS(sum, f64, ADD_f64, 0)
LOOPS(sum, i32, ADD_i32, 0)
LOOPS(sum, i64, ADD_i64, 0)
LOOPS(max, f32, maximum_f32, -INFINITY)
LOOPS(max, f64, maximum_f64, -INFINITY)
LOOPS(max, i32, maximum_i32, INT32_MIN)
LOOPS(max, i64, maximum_i64, INT64_MIN)
LOOPS(max, truth, maximum_truth, 0)
LOOPS(min, f32, minimum_f32, INFINITY)
LOOPS(min, f64, minimum_f64, INFINITY)
LOOPS(min, i32, minimum_i32, INT32_MAX)
LOOPS(min, i64, minimum_i64, INT64_MAX)
LOOPS(min, truth, minimum_truth, 1)
ARGMAX_LOOP(f32)
ARGMAX_LOOP(f64)
ARGMAX_LOOP(i32)
ARGMAX_LOOP(i64)
ARGMAX_LOOP(truth)

typedef enum { ROWS, COLUMNS, WAYS } Way;
static ReduceLoop *const loops[OP_COUNT][DTYPE_TUPLE][WAYS] = {
    [OP_reduce_sum] = {[DTYPE_F32] = {row_sum_f32, column_sum_f32},
                       [DTYPE_F64] = {row_sum_f64, column_sum_f64},
                       [DTYPE_I32] = {row_sum_i32, column_sum_i32},
                       [DTYPE_I64] = {row_sum_i64, column_sum_i64}},
    [OP_reduce_max] = {[DTYPE_F32] = {row_max_f32, column_max_f32},
                       [DTYPE_F64] = {row_max_f64, column_max_f64},
                       [DTYPE_I32] = {row_max_i32, column_max_i32},
                       [DTYPE_I64] = {row_max_i64, column_max_i64},
                       [DTYPE_BOOL] = {row_max_truth, column_max_truth}},
    [OP_reduce_min] = {[DTYPE_F32] = {row_min_f32, column_min_f32},
                       [DTYPE_F64] = {row_min_f64, column_min_f64},
                       [DTYPE_I32] = {row_min_i32, column_min_i32},
                       [DTYPE_I64] = {row_min_i64, column_min_i64},
                       [DTYPE_BOOL] = {row_min_truth, column_min_truth}},
    [OP_reduce_argmax] = {[DTYPE_F32] = {argmax_f32, argmax_f32},
                          [DTYPE_F64] = {argmax_f64, argmax_f64},
                          [DTYPE_I32] = {argmax_i32, argmax_i32},
                          [DTYPE_I64] = {argmax_i64, argmax_i64},
                          [DTYPE_BOOL] = {argmax_truth, argmax_truth}}};

// The shape and strides of some axes of a tensor.
typedef struct {
    int64_t shape[MAX_RANK], strides[MAX_RANK];
    int rank;
} Axes;

static void split_axes(const Tensor *x, const bool *reduced, int rank, Axes *kept, Axes *gone) {
    int64_t dense[MAX_RANK];
    row_major(x->shape, x->rank, dense);
    for (int i = 0; i < rank; i++) {
        Axes *axes = reduced[i] ? gone : kept;
        axes->shape[axes->rank] = x->shape[i];
        axes->strides[axes->rank++] = dense[i];
    }
}

// Reduces the axes of x that are marked into `result`, whose memory is there: all in one step.
static void reduce_axes(Evaluation *evaluation, Op op, const Tensor *x, const bool *reduced, const Tensor *result) {
    bool last_kept = x->rank && !reduced[x->rank - 1], argmax = op == OP_reduce_argmax;
    bool columns = last_kept && !argmax;   // the last axis is walked inside the loop
    Axes kept = {.rank = 0}, gone = {.rank = 0};
    split_axes(x, reduced, x->rank - columns, &kept, &gone);
    Value kept_holder = {0}, gone_holder = {0}, chunk = {0};
    Reduction reduction = {.x = x->data, .lanes = row_lanes(x->dtype), .result = result->data};
    reduction.columns = columns ? x->shape[x->rank - 1] : 1;
    reduction.kept = offsets_of(evaluation, kept.shape, kept.strides, kept.rank, &kept_holder);
    reduction.reduced = offsets_of(evaluation, gone.shape, gone.strides, gone.rank, &gone_holder);
    chunk.tensor = (Tensor){.dtype = x->dtype, .rank = 1, .shape = {reduction.columns}};
    if (reduction.kept && reduction.reduced && value_reserve(evaluation, &chunk)) {
        reduction.chunk = chunk.tensor.data;
        reduction.kept_count = tensor_count(&kept_holder.tensor);
        reduction.reduced_count = tensor_count(&gone_holder.tensor);
        loops[op][x->dtype][last_kept ? COLUMNS : ROWS](&reduction);
    }
    value_release(evaluation, &kept_holder);
    value_release(evaluation, &gone_holder);
    value_release(evaluation, &chunk);
}

// S10: what is neither a reduction of trailing axes alone nor one that keeps the last axis is done in two steps.
static void reduce_in_two(Evaluation *evaluation, const Node *node, const Tensor *x, const bool *reduced, int trailing,
                          const Tensor *result) {
    Value middle = {.tensor = {.dtype = x->dtype, .rank = x->rank - trailing}};
    bool last[MAX_RANK] = {0};
    for (int i = 0; i < x->rank; i++) {
        last[i] = i >= x->rank - trailing;
        if (!last[i]) middle.tensor.shape[i] = x->shape[i];
    }
    if (!value_reserve(evaluation, &middle)) return;
    reduce_axes(evaluation, node->op, x, last, &middle.tensor);
    reduce_axes(evaluation, node->op, &middle.tensor, reduced, result);
    value_release(evaluation, &middle);
}

void evaluate_reduce(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const Tensor *x = &inputs[0]->tensor;
    bool reduced[MAX_RANK] = {0};
    for (int i = 0; i < node->attribute_count; i++) reduced[attribute_integer(node, i)] = true;
    if (!loops[node->op][x->dtype][ROWS]) {
        evaluation_fail(evaluation, "there is no %s of %s", op_name(node->op), dtype_name(x->dtype));
        return;
    }
    if (!value_create(evaluation, node, result)) return;
    int trailing = 0;
    while (trailing < x->rank && reduced[x->rank - 1 - trailing]) trailing++;
    bool mixed = trailing > 0 && trailing < node->attribute_count && node->op != OP_reduce_argmax;
    if (mixed) reduce_in_two(evaluation, node, x, reduced, trailing, &result->tensor);
    else reduce_axes(evaluation, node->op, x, reduced, &result->tensor);
}
