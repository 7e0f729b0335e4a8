// Tensors that are put together from parts, against the evaluator, bit for bit: sums of pads that do not overlap, and choices
// by place. Counts of kernels show that a part is stored by the kernel that computes it, and that overlapping pads are added.
#include "harness.h"

static Node *padded(Case *test, Node *x, int axis, int64_t low, int64_t step, int64_t extent) {
    const Extent *lows[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        lows[i] = case_extent(test, i == axis ? low : 0);
        steps[i] = i == axis ? step : 1;
        shape[i] = i == axis ? case_extent(test, extent) : x->shape[i];
    }
    return pad(test->graph, x, lows, steps, shape);
}

static Node *sum(Case *test, Node *a, Node *b) {
    return map2(test->graph, OP_add, a, b);
}

// a where the place along the axis is before `border`, else b.
static Node *beside(Case *test, Node *a, Node *b, int axis, int64_t border) {
    Graph *graph = test->graph;
    const Extent *const *shape = (const Extent *const *)a->shape;
    Node *places = iota(graph, DTYPE_I64, shape, a->rank, axis);
    Node *number = broadcast(graph, constant_integer(graph, DTYPE_I64, border), shape, a->rank, NULL);
    return map3(graph, OP_where, map2(graph, OP_less, places, number), a, b);
}

static void expect_kernels(Case *test, int count) {
    case_lower(test);
    if (case_kernels(test) != count) fail(test, "%d kernels, not %d", case_kernels(test), count);
}

static void check(Case *test, int kernels) {
    static const int64_t dims[] = {0, 1, 7, 16, 33, 100};
    expect_kernels(test, kernels);
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) case_check(test, &dims[i]);
    case_end(test);
}

// Minus zero becomes zero in a sum, and stays what it is in a choice: both with special numbers.
static void check_along(Dtype dtype, int axis) {
    Case *test = case_begin("sum of pads");
    int64_t extents[] = {-1, 6};
    Node *a = case_input(test, dtype, FILL_SPECIAL, 2, extents), *b = case_input(test, dtype, FILL_SPECIAL, 2, extents);
    int64_t all = axis ? 12 : 40;
    if (!axis) {
        extents[0] = 20;
        a = case_input(test, dtype, FILL_SPECIAL, 2, extents);
        b = case_input(test, dtype, FILL_SPECIAL, 2, extents);
    }
    case_output(test, sum(test, padded(test, a, axis, 0, 1, all), padded(test, b, axis, all / 2, 1, all)));
    check(test, 1);
}

static void check_choice(Dtype dtype) {
    Case *test = case_begin("choice of pads");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 7));
    case_output(test, beside(test, padded(test, a, 1, 0, 1, 12), padded(test, b, 1, 5, 1, 12), 1, 5));
    check(test, 2);
}

static void check_gaps(Dtype dtype) {
    Case *test = case_begin("pads with zeros between");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5));
    case_output(test, sum(test, padded(test, a, 1, 2, 1, 20), padded(test, b, 1, 9, 2, 20)));
    check(test, 2);
}

// Both cover place 4.
static void check_overlap(Dtype dtype) {
    Case *test = case_begin("overlapping pads");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5));
    case_output(test, sum(test, padded(test, a, 1, 0, 1, 9), padded(test, b, 1, 4, 1, 9)));
    check(test, 5);
}

// The choice takes less of the left pad than it holds: its parts lie elsewhere than the pads.
static void check_cut(Dtype dtype) {
    Case *test = case_begin("a choice that cuts a pad");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 5)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 7));
    case_output(test, beside(test, padded(test, a, 1, 0, 1, 12), padded(test, b, 1, 5, 1, 12), 1, 4));
    check(test, 5);
}

// Places that run downwards overlap like others.
static void check_downwards(Dtype dtype) {
    Case *test = case_begin("a pad from the last place to the first");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 6)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 2));
    case_output(test, sum(test, padded(test, b, 1, 0, 1, 8), padded(test, a, 1, 5, -1, 8)));
    check(test, 5);
}

// A pad and a sum that are results, too, stay what they are.
static void check_results(Dtype dtype) {
    Case *test = case_begin("parts that are results");
    Node *a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 4)),
         *b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 8));
    Node *p = padded(test, a, 1, 0, 1, 12);
    case_output(test, p);
    case_output(test, sum(test, p, padded(test, b, 1, 4, 1, 12)));
    check(test, 5);
    test = case_begin("a sum of parts that is a result");
    a = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 4)), b = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 4));
    Node *c = case_input(test, dtype, FILL_SPECIAL, SHAPE(-1, 4));
    Node *s = sum(test, padded(test, a, 1, 0, 1, 12), padded(test, b, 1, 4, 1, 12));
    case_output(test, s);
    case_output(test, sum(test, s, padded(test, c, 1, 8, 1, 12)));
    check(test, 5);
}

// Longer than a join may be, and deep to the right: looked at once.
static void check_long_sum(void) {
    enum { TERMS = 20000 };
    Case *test = case_begin("a long sum");
    Node *x = case_input(test, DTYPE_F32, FILL_PLAIN, SHAPE(4)), *all = map1(test->graph, OP_negate, x);
    for (int i = 0; i < TERMS; i++) all = sum(test, x, all);
    case_output(test, all);
    case_lower(test);
    case_end(test);
}

// Parts of products and of row kernels; the whole is read by a product, too.
static void check_producers(Dtype dtype) {
    Case *test = case_begin("parts of products");
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 9)), *w = case_input(test, dtype, FILL_REAL, SHAPE(9, 17));
    Node *v = case_input(test, dtype, FILL_REAL, SHAPE(-1, 6)), *u = case_input(test, dtype, FILL_REAL, SHAPE(23, 11));
    static const int left[] = {0, 1}, right[] = {1, 2}, result[] = {0, 2};
    Graph *graph = test->graph;
    Node *product = map1(graph, OP_tanh, contract(graph, x, w, left, right, result, 2));
    Node *all = sum(test, padded(test, product, 1, 0, 1, 23), padded(test, map1(graph, OP_exp, v), 1, 17, 1, 23));
    case_output(test, all);
    case_output(test, contract(graph, all, u, left, right, result, 2));
    check(test, 3);
}

int main(void) {
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_F64; dtype++) {
        check_along(dtype, 0);
        check_along(dtype, 1);
        check_choice(dtype);
        check_gaps(dtype);
        check_overlap(dtype);
        check_cut(dtype);
        check_producers(dtype);
        check_downwards(dtype);
        check_results(dtype);
    }
    check_choice(DTYPE_I32);
    check_gaps(DTYPE_I64);
    check_long_sum();
    return harness_finish();
}
