// Every elementwise op and every view, as machine code against the evaluator, bit for bit: over odd lengths, open dims,
// types, special numbers, and in vectors of 16, 32 and 64 bytes.
#include "harness.h"

#include <stdio.h>
#include <string.h>

typedef enum { TYPES_FLOATING, TYPES_NUMBER, TYPES_COMPARE, TYPES_LOGIC, TYPES_SELECT, TYPES_CAST } Types;

static const struct {
    Op op;
    int arity;
    Types types;
} map_ops[] = {
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) {OP_##name, arity, TYPES_##types},
#include "graph/ops.def"
};

static const int64_t lengths[] = {0, 1, 7, 8, 9, 31, 33, 64, 100};

static void check_lengths(Case *test) {
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) case_check(test, &lengths[i]);
}

static bool op_takes(Types types, Dtype dtype) {
    switch (types) {
    case TYPES_FLOATING: return dtype_is_float(dtype);
    case TYPES_NUMBER: return dtype != DTYPE_BOOL;
    case TYPES_LOGIC: return dtype == DTYPE_BOOL;
    case TYPES_CAST: return false;   // see check_casts
    default: return true;
    }
}

static Node *apply(Case *test, Op op, int arity, Node **inputs) {
    if (arity == 1) return map1(test->graph, op, inputs[0]);
    if (arity == 2) return map2(test->graph, op, inputs[0], inputs[1]);
    return map3(test->graph, op, inputs[0], inputs[1], inputs[2]);
}

static void check_op(Op op, int arity, Dtype dtype, Fill fill, int rank, const int64_t *extents) {
    Case *test = case_begin(op_name(op));
    Node *inputs[MAX_ARITY];
    test->raw = true;
    for (int i = 0; i < arity; i++)
        inputs[i] = case_input(test, op == OP_where && i == 0 ? DTYPE_BOOL : dtype, fill, rank, extents);
    case_output(test, apply(test, op, arity, inputs));
    if (rank == 1) check_lengths(test);
    else case_check(test, NULL);
    if (rank == 1) case_check_object(test);
    case_end(test);
}

static void check_ops(void) {
    for (size_t i = 0; i < sizeof map_ops / sizeof *map_ops; i++)
        for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_BOOL; dtype++) {
            if (!op_takes(map_ops[i].types, dtype)) continue;
            check_op(map_ops[i].op, map_ops[i].arity, dtype, FILL_SPECIAL, SHAPE(-1));
            check_op(map_ops[i].op, map_ops[i].arity, dtype, FILL_PLAIN, SHAPE(3, 21));
        }
}

static void check_casts(void) {
    for (Dtype from = DTYPE_F32; from <= DTYPE_BOOL; from++)
        for (Dtype to = DTYPE_F32; to <= DTYPE_BOOL; to++) {
            if (from == to) continue;
            Case *test = case_begin("cast");
            case_output(test, cast(test->graph, case_input(test, from, FILL_SPECIAL, SHAPE(-1)), to));
            check_lengths(test);
            case_check_object(test);
            case_end(test);
        }
}

// ---- leaves

static void check_leaves(void) {
    Case *test = case_begin("leaves");
    Graph *graph = test->graph;
    const Extent **shape = case_shape(test, SHAPE(-1, 5));
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_I64; dtype++)
        for (int axis = 0; axis < 2; axis++)
            case_output(test, iota(graph, dtype, (const Extent *const *)shape, 2, axis));
    const Extent *count = extent_multiply(graph->extents, shape[0], case_extent(test, 3));
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_I64; dtype++) case_output(test, extent_value(graph, dtype, count));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

static void check_random(void) {
    static const Op ops[] = {OP_random_uniform, OP_random_normal};
    Case *test = case_begin("random");
    for (int i = 0; i < 2; i++)
        for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_F64; dtype++) {
            const Extent *const *shape = (const Extent *const *)case_shape(test, SHAPE(-1, 3));
            case_output(test, random_make(test->graph, ops[i], dtype, shape, 2, 5 + i));
            shape = (const Extent *const *)case_shape(test, SHAPE(3));
            case_output(test, random_make(test->graph, ops[i], dtype, shape, 1, INT64_C(1) << 40));
        }
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

// ---- views

static Node *add(Case *test, Node *x, Node *y) {
    return map2(test->graph, OP_add, x, y);
}

static Node *sliced(Case *test, Node *x, const int64_t *starts, const int64_t *steps, const int64_t *counts) {
    return slice(test->graph, x, (const Extent *const *)case_shape(test, x->rank, starts), steps,
                 (const Extent *const *)case_shape(test, x->rank, counts));
}

static Node *padded(Case *test, Node *x, const int64_t *lows, const int64_t *steps, const int64_t *counts) {
    return pad(test->graph, x, (const Extent *const *)case_shape(test, x->rank, lows), steps,
               (const Extent *const *)case_shape(test, x->rank, counts));
}

static Node *spread(Case *test, Node *x, const int *axes, int rank, const int64_t *extents) {
    return broadcast(test->graph, x, (const Extent *const *)case_shape(test, rank, extents), rank, axes);
}

static Node *reshaped(Case *test, Node *x, int rank, const int64_t *extents) {
    return reshape(test->graph, x, (const Extent *const *)case_shape(test, rank, extents), rank);
}

#define I64S(...) ((const int64_t[]){__VA_ARGS__})
#define INTS(...) ((const int[]){__VA_ARGS__})

static void check_broadcasts(Dtype dtype) {
    Case *test = case_begin("broadcast");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1, 9)), *row = case_input(test, dtype, FILL_PLAIN, SHAPE(9));
    Node *column = case_input(test, dtype, FILL_PLAIN, SHAPE(-1, 1)),
         *scalar = case_input(test, dtype, FILL_PLAIN, SCALAR);
    Node *sum = add(test, x, spread(test, row, NULL, SHAPE(-1, 9)));
    sum = add(test, sum, spread(test, column, NULL, SHAPE(-1, 9)));
    sum = add(test, sum, spread(test, scalar, NULL, SHAPE(-1, 9)));
    case_output(test, sum);
    Node *inner = spread(test, column, INTS(0, 2), SHAPE(-1, 4, 1));
    case_output(test, spread(test, inner, NULL, SHAPE(-1, 4, 5)));
    case_output(test, add(test, spread(test, row, INTS(0), SHAPE(9, 7)), spread(test, scalar, NULL, SHAPE(9, 7))));
    check_lengths(test);
    case_end(test);
}

static void check_slices(Dtype dtype) {
    Case *test = case_begin("slice");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(10, 40));
    case_output(test, sliced(test, x, I64S(1, 3), I64S(1, 1), I64S(8, 33)));
    case_output(test, sliced(test, x, I64S(9, 39), I64S(-1, -1), I64S(10, 40)));   // reversed
    case_output(test, sliced(test, x, I64S(0, 1), I64S(3, 2), I64S(4, 17)));
    case_output(test, sliced(test, x, I64S(8, 38), I64S(-2, -3), I64S(3, 13)));
    case_output(test, sliced(test, x, I64S(0, 0), I64S(1, 1), I64S(0, 40)));
    Node *twice =
        sliced(test, sliced(test, x, I64S(9, 2), I64S(-1, 2), I64S(9, 18)), I64S(1, 17), I64S(2, -1), I64S(4, 18));
    case_output(test, add(test, twice, twice));
    case_check(test, NULL);
    case_end(test);
    test = case_begin("open slice");
    x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1, 6));
    const Extent *last = extent_subtract(test->graph->extents, x->shape[0], case_extent(test, 1));
    const Extent *starts[] = {last, case_extent(test, 5)};
    case_output(test, slice(test->graph, x, starts, I64S(-1, -1), (const Extent *const *)x->shape));
    check_lengths(test);
    case_end(test);
}

static void check_transposes(Dtype dtype) {
    Case *test = case_begin("transpose");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1, 9)), *y = case_input(test, dtype, FILL_PLAIN, SHAPE(9, -1));
    case_output(test, transpose(test->graph, x, INTS(1, 0)));
    case_output(test, add(test, transpose(test->graph, x, INTS(1, 0)), y));
    Node *z = case_input(test, dtype, FILL_PLAIN, SHAPE(3, 5, 7));
    case_output(test, transpose(test->graph, z, INTS(2, 0, 1)));
    case_output(test, reshaped(test, transpose(test->graph, z, INTS(1, 2, 0)), SHAPE(35, 3)));
    check_lengths(test);
    case_end(test);
}

// Indices that are looked up for each row and column of squares; behind the last are such as no table has.
static void check_looked_up(Dtype dtype) {
    enum { TABLE = 4, SIZE = 37, ALL = 80 };
    static int32_t numbers[ALL];
    for (int i = 0; i < ALL; i++) numbers[i] = i < SIZE ? i % TABLE : 99;
    Case *test = case_begin("squares of what is looked up");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(SIZE, SIZE)),
         *table = case_input(test, dtype, FILL_PLAIN, SHAPE(TABLE)),
         *all = case_input(test, DTYPE_I32, FILL_INDEX, SHAPE(ALL));
    test->leaves[test->leaf_count - 1].data = numbers;
    Node *looked_up = gather(test->graph, table, sliced(test, all, I64S(0), I64S(1), I64S(SIZE)));
    for (int axis = 0; axis < 2; axis++) {
        const Extent *const *shape = (const Extent *const *)x->shape;
        Node *each = broadcast(test->graph, looked_up, shape, 2, INTS(axis));
        case_output(test, add(test, transpose(test->graph, x, INTS(1, 0)), each));
    }
    case_check(test, NULL);
    case_end(test);
}

// Large enough for squares that are turned in registers, whole ones and parts, in several blocks.
static void check_squares(Dtype dtype) {
    static const int64_t sizes[][2] = {{16, 16}, {64, 32}, {33, 17}, {70, 150}, {-1, 20}, {20, -1}};
    static const int64_t counts[] = {0, 1, 15, 32, 131};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t rows = sizes[i][0], columns = sizes[i][1];
        Case *test = case_begin("squares");
        Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(rows, columns)),
             *y = case_input(test, dtype, FILL_PLAIN, SHAPE(columns, rows)),
             *z = case_input(test, dtype, FILL_PLAIN, SHAPE(3, rows, columns)),
             *other = case_input(test, DTYPE_I32, FILL_PLAIN, SHAPE(rows, columns)),
             *column = case_input(test, dtype, FILL_PLAIN, SHAPE(columns)),
             *row = case_input(test, dtype, FILL_PLAIN, SHAPE(rows));
        case_output(test, transpose(test->graph, x, INTS(1, 0)));
        case_output(test, transpose(test->graph, z, INTS(2, 0, 1)));
        case_output(test, transpose(test->graph, z, INTS(0, 2, 1)));
        Node *sum = add(test, transpose(test->graph, add(test, x, x), INTS(1, 0)), y);
        // One element for each row or column, behind the last of which nothing may be read.
        const Extent *const *shape = (const Extent *const *)y->shape;
        case_output(test, add(test, broadcast(test->graph, column, shape, 2, INTS(0)), sum));
        case_output(test, add(test, broadcast(test->graph, row, shape, 2, INTS(1)), sum));
        case_output(test, add(test, sum, cast(test->graph, transpose(test->graph, other, INTS(1, 0)), dtype)));
        for (size_t k = 0; k < sizeof counts / sizeof *counts && (rows < 0 || columns < 0); k++)
            case_check(test, &counts[k]);
        if (rows > 0 && columns > 0) case_check(test, NULL);
        case_end(test);
    }
}

static void check_reshapes(Dtype dtype) {
    Case *test = case_begin("reshape");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1, 6)),
         *y = case_input(test, dtype, FILL_PLAIN, SHAPE(4, 3, 10));
    const Extent *flat = extent_multiply(test->graph->extents, x->shape[0], x->shape[1]);
    case_output(test, reshape(test->graph, x, &flat, 1));
    case_output(test, reshaped(test, x, SHAPE(-1, 2, 3)));
    case_output(test, reshaped(test, add(test, x, x), SHAPE(-1, 1, 2, 3)));
    case_output(test, reshaped(test, add(test, y, y), SHAPE(12, 10)));
    case_output(test, reshaped(test, add(test, y, y), SHAPE(4, 30)));
    case_output(test, reshaped(test, transpose(test->graph, y, INTS(2, 1, 0)), SHAPE(5, 24)));
    case_output(test, reshaped(test, sliced(test, y, I64S(1, 0, 9), I64S(1, 2, -1), I64S(3, 2, 10)), SHAPE(60)));
    Node *one = reshaped(test, case_input(test, dtype, FILL_PLAIN, SHAPE(1, 1)), SCALAR);
    case_output(test, reshaped(test, add(test, one, one), SHAPE(1, 1, 1)));
    check_lengths(test);
    case_end(test);
}

static void check_pads(Dtype dtype) {
    Case *test = case_begin("pad");
    Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(4, 9));
    Node *wide = padded(test, x, I64S(1, 2), I64S(1, 1), I64S(7, 13));
    case_output(test, wide);
    case_output(test, padded(test, x, I64S(3, 0), I64S(-1, 2), I64S(4, 18)));
    case_output(test, sliced(test, add(test, wide, wide), I64S(0, 12), I64S(2, -1), I64S(3, 12)));   // of a pad
    Node *sums = add(test, padded(test, x, I64S(0, 0), I64S(1, 1), I64S(8, 9)),
                     padded(test, x, I64S(4, 0), I64S(1, 1), I64S(8, 9)));
    case_output(test, sums);   // two halves put together
    case_output(test, transpose(test->graph, wide, INTS(1, 0)));
    case_check(test, NULL);
    case_end(test);
    test = case_begin("open pad");
    x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1));
    const Extent *more = extent_add(test->graph->extents, x->shape[0], case_extent(test, 5)),
                 *low = case_extent(test, 3);
    case_output(test, pad(test->graph, x, &low, I64S(1), &more));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

static void check_windows(Dtype dtype) {
    static const struct {
        int64_t taps, stride, dilation;
    } sizes[] = {{3, 1, 1}, {2, 2, 1}, {3, 2, 2}, {2, 4, 1}, {1, 3, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Case *test = case_begin("window");
        const Extent *taps = case_extent(test, sizes[i].taps), *dilation = case_extent(test, sizes[i].dilation);
        int64_t stride = sizes[i].stride;
        Node *x = case_input(test, dtype, FILL_PLAIN, SHAPE(3, 23)),
             *y = case_input(test, dtype, FILL_PLAIN, SHAPE(11, 9));
        for (int axis = 0; axis < 2; axis++) {
            Node *z = axis ? x : y, *windows = window(test->graph, add(test, z, z), axis, taps, stride, dilation);
            case_output(test, windows);
            case_output(test, transpose(test->graph, windows, INTS(1, 2, 0)));
            case_output(test,
                        fold_windows(test->graph, add(test, windows, windows), axis, stride, dilation, z->shape[axis]));
        }
        case_check(test, NULL);
        case_end(test);
        test = case_begin("open windows");
        taps = case_extent(test, sizes[i].taps), dilation = case_extent(test, sizes[i].dilation);
        x = case_input(test, dtype, FILL_PLAIN, SHAPE(-1));
        const Extent *more = extent_add(test->graph->extents, x->shape[0], case_extent(test, 6)),
                     *low = case_extent(test, 4);
        x = pad(test->graph, x, &low, I64S(1), &more);
        Node *windows = window(test->graph, x, 0, taps, stride, dilation);
        case_output(test, windows);
        case_output(test, fold_windows(test->graph, add(test, windows, windows), 0, stride, dilation, more));
        check_lengths(test);
        case_end(test);
    }
}

static void check_views(void) {
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        check_broadcasts(dtypes[i]);
        check_slices(dtypes[i]);
        check_transposes(dtypes[i]);
        check_squares(dtypes[i]);
        check_looked_up(dtypes[i]);
        check_reshapes(dtypes[i]);
        check_pads(dtypes[i]);
        check_windows(dtypes[i]);
    }
    Case *test = case_begin("bool views");
    Node *x = case_input(test, DTYPE_BOOL, FILL_PLAIN, SHAPE(-1, 9));
    case_output(test, transpose(test->graph, map1(test->graph, OP_logical_not, x), INTS(1, 0)));
    check_lengths(test);
    case_end(test);
}

// ---- gather and scatter

static void check_gather(Dtype dtype, Dtype index_dtype) {
    Case *test = case_begin("gather");
    Node *table = case_input(test, dtype, FILL_PLAIN, SHAPE(6, 5)),
         *vector = case_input(test, dtype, FILL_PLAIN, SHAPE(7));
    Node *indices = case_input(test, index_dtype, FILL_INDEX, SHAPE(-1)),
         *square = case_input(test, index_dtype, FILL_INDEX, SHAPE(3, 4));
    test->leaves[2].fill_limit = 6;
    test->leaves[3].fill_limit = 6;
    case_output(test, gather(test->graph, table, indices));
    case_output(test, gather(test->graph, table, square));
    case_output(test, add(test, gather(test->graph, vector, indices), gather(test->graph, vector, indices)));
    case_output(test, gather(test->graph, add(test, vector, vector), square));
    case_output(test, gather(test->graph, transpose(test->graph, table, INTS(1, 0)),
                             gather(test->graph, case_input(test, index_dtype, FILL_INDEX, SHAPE(6)), square)));
    test->leaves[4].fill_limit = 5;
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

static void check_scatter(Dtype dtype, Dtype index_dtype) {
    Case *test = case_begin("scatter_add");
    Node *indices = case_input(test, index_dtype, FILL_INDEX, SHAPE(-1)),
         *updates = case_input(test, dtype, FILL_REAL, SHAPE(-1, 5));
    Node *numbers = case_input(test, dtype, FILL_REAL, SHAPE(-1));
    test->leaves[0].fill_limit = 6;
    case_output(test,
                scatter_add(test->graph, indices, updates, (const Extent *const *)case_shape(test, SHAPE(6, 5)), 2));
    Node *sum = scatter_add(test->graph, indices, add(test, numbers, numbers),
                            (const Extent *const *)case_shape(test, SHAPE(6)), 1);
    case_output(test, add(test, sum, sum));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

static void check_sort(Dtype dtype, Fill fill) {
    Case *test = case_begin("argsort");
    Node *x = case_input(test, dtype, fill, SHAPE(-1)), *y = case_input(test, dtype, fill, SHAPE(7, 33));
    for (int descending = 0; descending < 2; descending++) {
        case_output(test, argsort(test->graph, x, descending));
        case_output(test, argsort(test->graph, add(test, y, y), descending));
        case_output(test, argsort(test->graph, transpose(test->graph, y, INTS(1, 0)), descending));
        Node *sorted = gather(test->graph, x, argsort(test->graph, x, descending));
        case_output(test, add(test, sorted, sorted));
    }
    check_lengths(test);
    case_check(test, DIMS(1000));
    case_check_object(test);
    case_end(test);
}

static void check_faults(void) {
    static const int64_t bad[] = {2, 0, 5, -1, 3, 9, 1, 2, 3};
    for (int op = 0; op < 2; op++) {
        Case *test = case_begin(op ? "scatter out of range" : "gather out of range");
        Node *indices = case_input(test, DTYPE_I64, FILL_INDEX, SHAPE(-1));
        test->leaves[0].data = bad;
        test->index_fault = true;
        Node *values = case_input(test, DTYPE_F32, FILL_REAL, op ? 1 : 2, op ? I64S(-1) : I64S(5, 3));
        if (op)
            values = scatter_add(test->graph, indices, values, (const Extent *const *)case_shape(test, SHAPE(5)), 1);
        else values = gather(test->graph, values, indices);
        case_output(test, values);
        case_check(test, DIMS(3));
        case_check(test, DIMS(9));
        test->index_fault = false;
        case_check(test, DIMS(2));
        case_end(test);
    }
    Case *test = case_begin("lanes behind the end");   // a masked lane's 0 would be out of range
    Node *near = case_input(test, DTYPE_I32, FILL_INDEX, SHAPE(-1));
    test->leaves[0].data = (const int32_t[]){3, 1, 2, 3, 4, 2, 1, 3, 4, 1, 1};
    Node *table = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(5));
    Node *far = map3(test->graph, OP_where, map2(test->graph, OP_less, near, constant_like(test->graph, near, 1)),
                     constant_like(test->graph, near, 30), near);
    case_output(test, gather(test->graph, table, far));
    for (int64_t n = 1; n <= 11; n++) case_check(test, &n);
    case_end(test);
    test = case_begin("gather scalars out of range");
    Node *indices = case_input(test, DTYPE_I64, FILL_INDEX, SHAPE(-1));
    test->leaves[0].data = (const int64_t[]){0, 3, 4, 3, -7, 1};
    test->index_fault = true;
    case_output(test, gather(test->graph, case_input(test, DTYPE_F32, FILL_REAL, SHAPE(4)), indices));
    case_check(test, DIMS(6));
    case_check(test, DIMS(3));
    case_end(test);
}

// Nothing can be read from a table without rows, or added to one: zeros come back, and the fault is told.
static void check_empty_tables(void) {
    for (int op = 0; op < 4; op++) {
        Case *test = case_begin(op & 1 ? "scatter to no rows" : "gather from no rows");
        Node *indices = case_input(test, DTYPE_I32, FILL_INDEX, op & 2 ? 1 : 0, I64S(9));
        test->leaves[0].fill_limit = 3;
        test->index_fault = true;
        const int64_t *rows = I64S(9, 40), *table = I64S(-1, 40);
        if (op & 1) {
            Node *updates = case_input(test, DTYPE_F32, FILL_REAL, op & 2 ? 2 : 1, op & 2 ? rows : rows + 1);
            Node *sum =
                scatter_add(test->graph, indices, updates, (const Extent *const *)case_shape(test, 2, table), 2);
            int axes[] = {0, 1};
            case_output(test, reduce(test->graph, OP_reduce_sum, sum, axes, 2));
        } else case_output(test, gather(test->graph, case_input(test, DTYPE_F32, FILL_REAL, 2, table), indices));
        case_check(test, DIMS(0));
        test->index_fault = false;
        case_check(test, DIMS(3));
        case_end(test);
    }
}

// Far longer than a kernel may be, and than a stack of frames should be deep.
static void check_long_chain(void) {
    Case *test = case_begin("a long chain");
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1));
    for (int i = 0; i < 1500; i++) x = map1(test->graph, i % 2 ? OP_negate : OP_floor, x);
    case_output(test, x);
    case_lower(test);
    for (int i = 0; i < test->program->kernels.count; i++)
        if (test->program->kernels.items[i]->instructions.count > 450)
            fail(test, "a kernel of more than 450 instructions");
    case_check(test, DIMS(9));
    case_end(test);
}

int main(void) {
    check_ops();
    check_casts();
    check_leaves();
    check_random();
    check_views();
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_I64; dtype++) {
        check_gather(dtype, DTYPE_I32);
        check_gather(dtype, DTYPE_I64);
        check_scatter(dtype, DTYPE_I32);
        check_scatter(dtype, DTYPE_I64);
    }
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_I64; dtype++) {
        check_sort(dtype, FILL_SPECIAL);
        check_sort(dtype, FILL_PLAIN);   // with many that are equal
    }
    check_faults();
    check_empty_tables();
    check_long_chain();
    return harness_finish();
}
