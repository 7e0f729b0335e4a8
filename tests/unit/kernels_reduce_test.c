// Reductions in rows and in columns: the order of S10 in every vector width, chunks and rests, ties and NaNs, empty
// tensors, and several reductions over one row in one kernel.
#include "harness.h"

#include <math.h>

#define INTS(...) ((const int[]){__VA_ARGS__})
#define I64S(...) ((const int64_t[]){__VA_ARGS__})

static const Op reductions[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_argmax};
enum { REDUCTIONS = sizeof reductions / sizeof *reductions };
static const int64_t lengths[] = {0, 1, 7, 8, 9, 31, 33, 64, 100};

static void check_lengths(Case *test) {
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) case_check(test, &lengths[i]);
}

static Node *expand(Case *test, Node *x, Node *like) {
    int axes[MAX_RANK];
    for (int i = 0; i < x->rank; i++) axes[i] = i;
    return broadcast(test->graph, x, (const Extent *const *)like->shape, like->rank, axes);
}

// ---- one reduction

static void check_reduction(Op op, Dtype dtype, Fill fill, int rank, const int64_t *extents, const int *axes,
                            int axis_count, const int64_t *dims) {
    Case *test = case_begin(op_name(op));
    Node *x = case_input(test, dtype, fill, rank, extents);
    case_output(test, reduce(test->graph, op, x, axes, axis_count));
    case_check(test, dims);
    case_end(test);
}

static void check_rows(Op op, Dtype dtype) {
    static const int64_t static_lengths[] = {0, 1, 7, 8, 9, 16, 31, 32, 33, 64, 100, 4096, 4097, 8200};
    for (size_t i = 0; i < sizeof static_lengths / sizeof *static_lengths; i++)
        check_reduction(op, dtype, i % 2 ? FILL_SPECIAL : FILL_REAL, SHAPE(3, static_lengths[i]), INTS(1), 1, NULL);
    Case *test = case_begin(op_name(op));
    case_output(test, reduce(test->graph, op, case_input(test, dtype, FILL_REAL, SHAPE(2, -1)), INTS(1), 1));
    check_lengths(test);
    case_check(test, DIMS(4095));
    case_check(test, DIMS(4096));
    case_check(test, DIMS(4097));
    case_check(test, DIMS(8229));
    case_end(test);
}

static void check_columns(Op op, Dtype dtype) {
    static const int64_t static_lengths[] = {0, 1, 9, 384, 385, 800};
    for (size_t i = 0; i < sizeof static_lengths / sizeof *static_lengths; i++) {
        check_reduction(op, dtype, i % 2 ? FILL_SPECIAL : FILL_REAL, SHAPE(static_lengths[i], 33), INTS(0), 1, NULL);
        check_reduction(op, dtype, FILL_REAL, SHAPE(static_lengths[i], 1), INTS(0), 1, NULL);
    }
    check_reduction(op, dtype, FILL_REAL, SHAPE(387, 160), INTS(0), 1, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(2, 6, 7, 150), INTS(1, 2), 2, NULL);
    Case *test = case_begin(op_name(op));
    case_output(test, reduce(test->graph, op, case_input(test, dtype, FILL_REAL, SHAPE(-1, -2)), INTS(0), 1));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int64_t rows = 0; rows < 800; rows = rows * 2 + 49) case_check(test, DIMS(rows, lengths[i]));
    case_check(test, DIMS(40, 4321));   // more than one block of columns
    case_end(test);
}

static void check_axes(Op op, Dtype dtype) {
    check_reduction(op, dtype, FILL_REAL, SHAPE(5, 6, 7), INTS(0, 1, 2), 3, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(5, 6, 7), INTS(1, 2), 2, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(5, 6, 7), INTS(0, 1), 2, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(5, 6, 7), INTS(1), 1, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(20, 3, 21, 2), INTS(0, 2), 2, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(1, 5, 1), INTS(0, 1, 2), 3, NULL);
    check_reduction(op, dtype, FILL_REAL, SHAPE(1, 5, 1), INTS(0, 2), 2, NULL);
    if (op != OP_reduce_argmax) {   // in two: the trailing axes first
        check_reduction(op, dtype, FILL_REAL, SHAPE(5, 6, 70), INTS(0, 2), 2, NULL);
        check_reduction(op, dtype, FILL_REAL, SHAPE(4, 5, 6, 7), INTS(0, 2, 3), 3, NULL);
    }
}

static void check_ties(Dtype dtype) {
    static const float rows[6][5] = {{1, 3, 3, 2, 3},
                                     {NAN, 1, 2, 3, 4},
                                     {1, NAN, 2, NAN, 9},
                                     {0, 0, 0, 0, 0},
                                     {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY},
                                     {-0.0f, 0.0f, -0.0f, 0.0f, -0.0f}};
    double wide[6][5];
    for (int i = 0; i < 30; i++) wide[i / 5][i % 5] = (double)rows[i / 5][i % 5];
    Case *test = case_begin("ties");
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(6, 5));
    test->leaves[0].data = dtype == DTYPE_F32 ? (const void *)rows : (const void *)wide;
    for (int r = 0; r < REDUCTIONS; r++)
        for (int axis = 0; axis < 2; axis++) case_output(test, reduce(test->graph, reductions[r], x, &axis, 1));
    case_check(test, NULL);
    case_end(test);
}

// ---- of what is computed, and several in a row

static void check_fused(Dtype dtype) {
    Case *test = case_begin("sum of products");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 40)), *y = case_input(test, dtype, FILL_REAL, SHAPE(-1, 40));
    Node *product = map2(graph, OP_multiply, x, y);
    case_output(test, reduce(graph, OP_reduce_sum, product, INTS(1), 1));
    case_output(test, reduce(graph, OP_reduce_sum, product, INTS(0), 1));
    case_output(test, reduce(graph, OP_reduce_sum, product, INTS(0, 1), 2));
    case_output(test, reduce(graph, OP_reduce_max, transpose(graph, x, INTS(1, 0)), INTS(1), 1));
    check_lengths(test);
    case_end(test);
    test = case_begin("everything at once");
    x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 50));
    for (int r = 0; r < REDUCTIONS; r++) case_output(test, reduce(test->graph, reductions[r], x, INTS(1), 1));
    if (case_kernels(test) != 1) fail(test, "%d kernels for four reductions of a row", case_kernels(test));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

static Node *softmax(Case *test, Node *x) {
    Graph *graph = test->graph;
    int last = x->rank - 1;
    Node *top = expand(test, reduce(graph, OP_reduce_max, x, &last, 1), x);
    Node *e = map1(graph, OP_exp, map2(graph, OP_subtract, x, top));
    return map2(graph, OP_divide, e, expand(test, reduce(graph, OP_reduce_sum, e, &last, 1), x));
}

static Node *layer_norm(Case *test, Node *x) {
    Graph *graph = test->graph;
    int last = x->rank - 1;
    Node *count =
        broadcast(graph, extent_value(graph, x->dtype, x->shape[last]), (const Extent *const *)x->shape, last, NULL);
    Node *mean = map2(graph, OP_divide, reduce(graph, OP_reduce_sum, x, &last, 1), count);
    Node *centred = map2(graph, OP_subtract, x, expand(test, mean, x));
    Node *squares = reduce(graph, OP_reduce_sum, map2(graph, OP_multiply, centred, centred), &last, 1);
    Node *variance = map2(graph, OP_add, map2(graph, OP_divide, squares, count), constant_like(graph, squares, 1e-5));
    return map2(graph, OP_divide, centred, expand(test, map1(graph, OP_sqrt, variance), x));
}

static Node *log_softmax(Case *test, Node *x) {
    Graph *graph = test->graph;
    int last = x->rank - 1;
    Node *shifted = map2(graph, OP_subtract, x, expand(test, reduce(graph, OP_reduce_max, x, &last, 1), x));
    Node *sum = reduce(graph, OP_reduce_sum, map1(graph, OP_exp, shifted), &last, 1);
    return map2(graph, OP_subtract, shifted, expand(test, map1(graph, OP_log, sum), x));
}

typedef Node *Layer(Case *test, Node *x);

// Over a row of every kind of length, with one kernel for all of it.
static void check_layer(const char *name, Layer *layer, Dtype dtype) {
    static const int64_t widths[] = {1, 7, 10, 16, 32, 33, 64, 100, 1000, 4097};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        Case *test = case_begin(name);
        case_output(test, layer(test, case_input(test, dtype, FILL_REAL, SHAPE(-1, widths[i]))));
        if (case_kernels(test) != 1) fail(test, "%d kernels", case_kernels(test));
        case_check(test, DIMS(0));
        case_check(test, DIMS(3));
        case_end(test);
    }
    Case *test = case_begin(name);
    case_output(test, layer(test, case_input(test, dtype, FILL_SPECIAL, SHAPE(2, -1))));
    check_lengths(test);
    case_end(test);
    test = case_begin(name);   // of a vector
    case_output(test, layer(test, case_input(test, dtype, FILL_REAL, SHAPE(-1))));
    check_lengths(test);
    case_end(test);
}

// The mean over a batch of -log softmax at the class, and p - y.
static void check_cross_entropy(Dtype dtype) {
    Case *test = case_begin("cross entropy");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 10)),
         *y = case_input(test, DTYPE_I32, FILL_INDEX, SHAPE(-1));
    test->leaves[1].fill_limit = 10;
    Node *classes = iota(graph, DTYPE_I32, (const Extent *const *)x->shape, 2, 1);
    Node *hit = map2(graph, OP_equal, classes, expand(test, y, x));
    Node *picked = map3(graph, OP_where, hit, log_softmax(test, x), constant_like(graph, x, 0));
    Node *rows = map1(graph, OP_negate, reduce(graph, OP_reduce_sum, picked, INTS(1), 1));
    Node *count = extent_value(graph, dtype, x->shape[0]);
    case_output(test, map2(graph, OP_divide, reduce(graph, OP_reduce_sum, rows, INTS(0), 1), count));
    Node *one = map3(graph, OP_where, hit, constant_like(graph, x, 1), constant_like(graph, x, 0));
    Node *gradient = map2(graph, OP_subtract, softmax(test, x), one);
    case_output(test,
                map2(graph, OP_divide, gradient, broadcast(graph, count, (const Extent *const *)x->shape, 2, NULL)));
    if (case_kernels(test) != 2) fail(test, "%d kernels: one for the rows, one for their sum", case_kernels(test));
    check_lengths(test);
    case_check(test, DIMS(1797));
    case_check_object(test);
    case_end(test);
}

// Many reductions over the same domain, more than one kernel takes.
static void check_many(Dtype dtype) {
    enum { MANY = 15 };
    Case *test = case_begin("many reductions");
    Graph *graph = test->graph;
    for (int i = 0; i < MANY; i++) {
        Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 40));
        case_output(test, reduce(graph, reductions[i % REDUCTIONS], x, INTS(1), 1));
        case_output(test, reduce(graph, reductions[i % REDUCTIONS], x, INTS(0), 1));
    }
    case_check(test, DIMS(9));
    case_end(test);
}

// A column's mean and variance, and what is normalised with them: batch norm's shape.
static void check_batch_norm(Dtype dtype) {
    Case *test = case_begin("batch norm");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 40));
    Node *sum = reduce(graph, OP_reduce_sum, x, INTS(0), 1);
    Node *count = broadcast(graph, extent_value(graph, dtype, x->shape[0]), (const Extent *const *)sum->shape, 1, NULL);
    Node *mean = map2(graph, OP_divide, sum, count);
    Node *centred = map2(graph, OP_subtract, x, broadcast(graph, mean, (const Extent *const *)x->shape, 2, NULL));
    Node *squares = reduce(graph, OP_reduce_sum, map2(graph, OP_multiply, centred, centred), INTS(0), 1);
    Node *deviation = map1(graph, OP_sqrt, map2(graph, OP_divide, squares, count));
    case_output(test,
                map2(graph, OP_divide, centred, broadcast(graph, deviation, (const Extent *const *)x->shape, 2, NULL)));
    case_output(test, mean);
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

int main(void) {
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_BOOL};
    for (int r = 0; r < REDUCTIONS; r++)
        for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
            if (dtypes[i] == DTYPE_BOOL && reductions[r] == OP_reduce_sum) continue;
            check_rows(reductions[r], dtypes[i]);
            check_columns(reductions[r], dtypes[i]);
            check_axes(reductions[r], dtypes[i]);
        }
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_F64; dtype++) {
        check_ties(dtype);
        check_fused(dtype);
        check_layer("softmax", softmax, dtype);
        check_layer("log_softmax", log_softmax, dtype);
        check_layer("layer norm", layer_norm, dtype);
        check_cross_entropy(dtype);
        check_batch_norm(dtype);
        check_many(dtype);
    }
    return harness_finish();
}
