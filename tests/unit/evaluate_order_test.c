// The order of sums (semantics.md, S10): the evaluator's bits against the definition, written once more in another way.
#include "evaluate_case.h"

#include "simplify/simplify.h"

#include <math.h>
#include <string.h>

// S10 as definitions: what lane l of the tree over lanes [l, l + half) is, and which elements a lane has.
static double rounded(double x, bool single) {
    return single ? (double)(float)x : x;
}

static double lane_sum(const double *x, int64_t count, int lane, int lanes, bool single) {
    double sum = 0;
    for (int64_t i = lane; i < count; i += lanes) sum = rounded(sum + x[i], single);
    return sum;
}

static double tree_sum(const double *x, int64_t count, int lane, int width, int lanes, bool single) {
    if (width == lanes) return lane_sum(x, count, lane, lanes, single);
    double low = tree_sum(x, count, lane, width * 2, lanes, single);
    return rounded(low + tree_sum(x, count, lane + width, width * 2, lanes, single), single);
}

static double row_sum(const double *x, int64_t count, bool single) {
    int64_t chunks = (count + 4095) / 4096;
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++) {
        int64_t length = c + 1 < chunks ? 4096 : count - c * 4096;
        sum = rounded(sum + tree_sum(x + c * 4096, length, 0, 1, single ? 32 : 16, single), single);
    }
    return sum;
}

static double chain(const double *x, const double *y, int64_t count, bool single) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!y) sum = rounded(sum + x[i], single);
        else sum = single ? (double)fmaf((float)x[i], (float)y[i], (float)sum) : fma(x[i], y[i], sum);
    }
    return sum;
}

static double column_sum(const double *x, const double *y, int64_t count, bool single) {
    double sum = 0;
    for (int64_t first = 0; first < count; first += 384) {
        int64_t length = count - first < 384 ? count - first : 384;
        sum = rounded(sum + chain(x + first, y ? y + first : NULL, length, single), single);
    }
    return sum;
}

static uint64_t random_state = 7;
static double random_number(bool single) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    double x = ((double)(random_state >> 11) * 0x1p-53 - 0.5) * (random_state & 64 ? 1000 : 1);
    return rounded(x, single);
}

static Node *random_input(bool single, Shape shape, double **values) {
    int64_t count = 1, size;
    for (int i = 0; i < shape.rank; i++) count *= extent_is_constant(shape.extents[i], &size) ? size : 0;
    double *wide = arena_array(arena, double, count);
    float *narrow = arena_array(arena, float, count);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = random_number(single);
        narrow[i] = (float)wide[i];
    }
    *values = wide;
    return single ? input(DTYPE_F32, shape, narrow) : input(DTYPE_F64, shape, wide);
}

static double element(const Tensor *tensor, int64_t i) {
    return tensor->dtype == DTYPE_F32 ? (double)((float *)tensor->data)[i] : ((double *)tensor->data)[i];
}

static void check_row_order(int64_t length, bool single) {
    start();
    double *values;
    Node *x = random_input(single, SHAPE(3, length), &values);
    Tensor sums = evaluate(reduce(graph, OP_reduce_sum, x, (const int[]){1}, 1));
    for (int i = 0; i < 3; i++) CHECK(element(&sums, i) == row_sum(values + i * length, length, single));
    Node *flat = reshape(graph, x, SHAPE(3, length, 1).extents, 3);   // the same elements over two trailing axes
    Tensor again = evaluate(reduce(graph, OP_reduce_sum, flat, (const int[]){1, 2}, 2));
    for (int i = 0; i < 3; i++) CHECK(element(&again, i) == element(&sums, i));
}

static void check_column_order(int64_t length, bool single) {
    enum { COLUMNS = 3 };
    start();
    double *values, *column = arena_array(arena, double, length);
    Node *x = random_input(single, SHAPE(length, COLUMNS), &values);
    Tensor sums = evaluate(reduce(graph, OP_reduce_sum, x, (const int[]){0}, 1));
    for (int c = 0; c < COLUMNS; c++) {
        for (int64_t i = 0; i < length; i++) column[i] = values[i * COLUMNS + c];
        CHECK(element(&sums, c) == column_sum(column, NULL, length, single));
    }
}

// Axes 0 and 2 of three: the last first, then the first.
static void check_mixed_order(bool single) {
    enum { A = 500, B = 2, C = 70 };
    start();
    double *values, *middle = arena_array(arena, double, A);
    Node *x = random_input(single, SHAPE(A, B, C), &values);
    Node *mixed = reduce(graph, OP_reduce_sum, x, (const int[]){0, 2}, 2);
    Node *inner = reduce(graph, OP_reduce_sum, x, (const int[]){2}, 1);
    Tensor sums = evaluate(mixed), in_two = evaluate(reduce(graph, OP_reduce_sum, inner, (const int[]){0}, 1));
    for (int b = 0; b < B; b++) {
        for (int a = 0; a < A; a++) middle[a] = row_sum(values + (a * B + b) * C, C, single);
        CHECK(element(&sums, b) == column_sum(middle, NULL, A, single));
        CHECK(element(&sums, b) == element(&in_two, b));
    }
}

static void check_contract_order(int64_t length, bool single) {
    enum { M = 2, COLUMNS = 3 };
    start();
    double *xs, *ys, *column = arena_array(arena, double, length);
    Node *x = random_input(single, SHAPE(M, length), &xs), *y = random_input(single, SHAPE(length, COLUMNS), &ys);
    Tensor product = evaluate(contract(graph, x, y, (const int[]){0, 1}, (const int[]){1, 2}, (const int[]){0, 2}, 2));
    for (int c = 0; c < COLUMNS; c++) {
        for (int64_t k = 0; k < length; k++) column[k] = ys[k * COLUMNS + c];
        for (int m = 0; m < M; m++)
            CHECK(element(&product, m * COLUMNS + c) == column_sum(xs + m * length, column, length, single));
    }
}

// A fold has the bits of what the last pass makes of it.
static void check_fold_order(int64_t extent, int64_t taps, int64_t stride, int64_t dilation, bool single) {
    start();
    double *values;
    ExtentTable *table = graph->extents;
    const Extent *whole = extent_constant(table, extent), *count = extent_constant(table, taps),
                 *distance = extent_constant(table, dilation);
    int64_t positions = 0;
    extent_is_constant(window_positions(table, whole, count, stride, distance), &positions);
    for (int last = 0; last < 2; last++) {
        Node *x = random_input(single, last ? SHAPE(2, positions, taps) : SHAPE(positions, taps, 3), &values);
        Named result = {"sum", fold_windows(graph, x, last, stride, distance, whole)};
        Function function = {"fold", 1, arguments, 1, &result};
        Tensor before = evaluate(result.node);
        normalise_reductions(graph, &function);
        CHECK(!verify_function(graph, &function));
        Tensor after = evaluate(function.results[0].node);
        int64_t elements = extent * (last ? 2 : 3);
        CHECK(!memcmp(before.data, after.data, (size_t)(elements * dtype_size(before.dtype))));
        start();
        whole = extent_constant(graph->extents, extent), count = extent_constant(graph->extents, taps);
        distance = extent_constant(graph->extents, dilation);
    }
}

static void check_folds(bool single) {
    check_fold_order(20, 3, 1, 1, single);
    check_fold_order(20, 3, 2, 2, single);
    check_fold_order(20, 4, 4, 1, single);   // side by side, filling the result
    check_fold_order(21, 4, 4, 1, single);   // with some left
    check_fold_order(18, 2, 5, 1, single);   // with some to spare
    check_fold_order(9, 1, 2, 1, single);
    check_fold_order(900, 800, 1, 1, single);   // in chunks
}

static void check_orders(void) {
    static const int64_t lengths[] = {0,   1,   2,   15,  16,  17,   31,   32,   33,   100,
                                      383, 384, 385, 767, 768, 1000, 4095, 4096, 4097, 8200};
    for (int single = 0; single < 2; single++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            check_row_order(lengths[i], single);
            check_column_order(lengths[i], single);
            check_contract_order(lengths[i], single);
        }
        check_mixed_order(single);
        check_folds(single);
    }
}

int main(void) {
    arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    check_orders();
    arena_destroy(arena);
    printf("%d failures\n", failures);
    return failures != 0;
}
