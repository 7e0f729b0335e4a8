// Contractions against the evaluator, bit for bit: every layout, odd sizes, several chunks of the sum, batches, fused
// producers and epilogues, in every vector width.
#include "harness.h"

#define INTS(...) ((const int[]){__VA_ARGS__})
#define I64S(...) ((const int64_t[]){__VA_ARGS__})

typedef enum { NN, NT, TN, TT } Layout;

static Node *product(Case *test, Node *x, Node *y, Layout layout) {
    int x_labels[] = {0, 2}, y_labels[] = {2, 1};
    if (layout == TN || layout == TT) x_labels[0] = 2, x_labels[1] = 0;
    if (layout == NT || layout == TT) y_labels[0] = 1, y_labels[1] = 2;
    return contract(test->graph, x, y, x_labels, y_labels, INTS(0, 1), 2);
}

static Node *left(Case *test, Dtype dtype, Fill fill, Layout layout, int64_t m, int64_t k) {
    bool turned = layout == TN || layout == TT;
    return turned ? case_input(test, dtype, fill, SHAPE(k, m)) : case_input(test, dtype, fill, SHAPE(m, k));
}

static Node *right(Case *test, Dtype dtype, Fill fill, Layout layout, int64_t k, int64_t n) {
    bool turned = layout == NT || layout == TT;
    return turned ? case_input(test, dtype, fill, SHAPE(n, k)) : case_input(test, dtype, fill, SHAPE(k, n));
}

static void check_product(Dtype dtype, Fill fill, Layout layout, int64_t m, int64_t n, int64_t k, const int64_t *dims) {
    static const char *const names[] = {"NN", "NT", "TN", "TT"};
    Case *test = case_begin(names[layout]);
    Node *x = left(test, dtype, fill, layout, m, k), *y = right(test, dtype, fill, layout, k, n);
    test->name =
        arena_print(test->arena, "%s %s %d x %d x %d", names[layout], dtype_name(dtype), (int)m, (int)n, (int)k);
    case_output(test, product(test, x, y, layout));
    case_check(test, dims);
    case_end(test);
}

static void check_sizes(Dtype dtype) {
    static const int64_t sizes[][3] = {{1, 1, 1},     {1, 33, 7},   {33, 1, 7},   {17, 33, 65}, {64, 128, 64},
                                       {64, 10, 128}, {5, 100, 9},  {3, 7, 0},    {0, 9, 4},    {4, 0, 9},
                                       {31, 65, 385}, {2, 17, 800}, {50, 48, 16}, {100, 20, 3}, {60, 600, 70},
                                       {24, 16, 384}, {4, 40, 96},  {3, 19, 401}, {6, 513, 513}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (Layout layout = NN; layout <= TT; layout++)
            check_product(dtype, FILL_REAL, layout, sizes[i][0], sizes[i][1], sizes[i][2], NULL);
    check_product(dtype, FILL_SPECIAL, NN, 20, 40, 30, NULL);
}

// One program for every number of rows, columns or products.
static void check_open(Dtype dtype) {
    static const int64_t lengths[] = {0, 1, 7, 8, 9, 31, 33, 64, 100, 385};
    for (int open = 0; open < 4; open++)
        for (Layout layout = NN; layout <= TT; layout++) {
            Case *test = case_begin("open");
            int64_t m = open == 0 ? -1 : open == 3 ? 3 : 19, n = open == 1 ? -1 : 37, k = open >= 2 ? -1 : 23;
            Node *x = left(test, dtype, FILL_REAL, layout, m, k), *y = right(test, dtype, FILL_REAL, layout, k, n);
            test->name = arena_print(test->arena, "open axis %d, layout %d", open, (int)layout);
            case_output(test, product(test, x, y, layout));
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) case_check(test, &lengths[i]);
            case_end(test);
        }
    Case *test = case_begin("all open");
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, -2)), *y = case_input(test, dtype, FILL_REAL, SHAPE(-2, -3));
    case_output(test, product(test, x, y, NN));
    case_check(test, DIMS(17, 33, 65));
    case_check(test, DIMS(1, 0, 3));
    case_check(test, DIMS(70, 400, 200));
    case_end(test);
}

static void check_einsums(Dtype dtype) {
    static const struct {
        const char *name;
        int x_rank, y_rank, rank;
        int64_t x[4], y[4];
        int x_labels[4], y_labels[4], labels[5];
    } rows[] = {
        {"matrix-vector", 2, 1, 1, {17, 65}, {65}, {0, 1}, {1}, {0}},
        {"vector-matrix", 1, 2, 1, {65}, {65, 33}, {0}, {0, 1}, {1}},
        {"dot", 1, 1, 0, {100}, {100}, {0}, {0}, {0}},
        {"outer", 1, 1, 2, {9}, {35}, {0}, {1}, {0, 1}},
        {"outer, turned", 1, 1, 2, {9}, {35}, {0}, {1}, {1, 0}},
        {"batched", 3, 3, 3, {3, 17, 9}, {3, 9, 33}, {0, 1, 2}, {0, 2, 3}, {0, 1, 3}},
        {"batch shared", 3, 2, 3, {3, 17, 9}, {9, 33}, {0, 1, 2}, {2, 3}, {0, 1, 3}},
        {"batch last", 3, 3, 3, {17, 9, 3}, {9, 33, 3}, {1, 2, 0}, {2, 3, 0}, {1, 3, 0}},
        {"two summed", 3, 3, 2, {5, 6, 7}, {6, 7, 33}, {0, 1, 2}, {1, 2, 3}, {0, 3}},
        {"two summed, apart", 3, 3, 2, {6, 5, 7}, {7, 33, 6}, {1, 0, 2}, {2, 3, 1}, {0, 3}},
        {"two rows", 3, 2, 3, {6, 5, 7}, {7, 33}, {0, 1, 2}, {2, 3}, {0, 1, 3}},
        {"two columns", 2, 3, 3, {6, 7}, {7, 5, 9}, {0, 1}, {1, 2, 3}, {0, 2, 3}},
        {"result turned", 2, 2, 2, {17, 9}, {9, 33}, {0, 1}, {1, 2}, {2, 0}},
        {"rows and columns mixed", 3, 3, 4, {4, 5, 9}, {9, 6, 7}, {0, 1, 2}, {2, 3, 4}, {3, 0, 4, 1}},
        {"nothing summed", 2, 1, 2, {9, 33}, {33}, {0, 1}, {1}, {0, 1}},
        {"few columns", 2, 2, 2, {40, 65}, {65, 3}, {0, 1}, {1, 2}, {0, 2}},
        {"few columns, few rows", 2, 2, 2, {5, 65}, {65, 3}, {0, 1}, {1, 2}, {0, 2}},
        {"few of the right, turned", 2, 2, 2, {65, 3}, {65, 40}, {1, 0}, {1, 2}, {2, 0}},
        {"rows of two axes", 3, 2, 3, {7, 5, 65}, {65, 33}, {0, 1, 2}, {2, 3}, {0, 1, 3}},
        {"rows of three axes, turned", 4, 2, 4, {5, 3, 7, 9}, {7, 33}, {3, 1, 2, 0}, {2, 4}, {0, 1, 3, 4}},
        {"summed in another order", 4, 4, 2, {5, 6, 7, 9}, {9, 7, 33, 6}, {0, 1, 2, 3}, {3, 2, 4, 1}, {0, 4}},
        {"heads", 4, 4, 4, {2, 9, 3, 8}, {2, 11, 3, 8}, {0, 1, 2, 3}, {0, 4, 2, 3}, {0, 2, 1, 4}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case *test = case_begin(rows[i].name);
        Node *x = case_input(test, dtype, FILL_REAL, rows[i].x_rank, rows[i].x);
        Node *y = case_input(test, dtype, FILL_REAL, rows[i].y_rank, rows[i].y);
        case_output(test,
                    contract(test->graph, x, y, rows[i].x_labels, rows[i].y_labels, rows[i].labels, rows[i].rank));
        case_check(test, NULL);
        case_end(test);
    }
}

// ---- windows: convolutions, and products with the cotangents that their derivatives are

static Node *windows_of(Case *test, Node *x, int64_t taps, int64_t stride) {
    const Extent *one = case_extent(test, 1), *count = case_extent(test, taps);
    return window(test->graph, window(test->graph, x, 3, count, stride, one), 2, count, stride, one);
}

// Images x[N, C, H, H], kernels w[O, C, T, T], results y[N, O, P, P].
static void check_convolution(Dtype dtype, const int64_t *images, int64_t outputs, int64_t taps, int64_t stride) {
    Case *test = case_begin("convolution");
    Graph *graph = test->graph;
    int64_t positions = (images[2] - taps) / stride + 1;
    const int64_t kernel[] = {outputs, images[1], taps, taps}, result[] = {images[0], outputs, positions, positions};
    Node *x = case_input(test, dtype, FILL_REAL, 4, images), *w = case_input(test, dtype, FILL_REAL, 4, kernel);
    Node *y = case_input(test, dtype, FILL_REAL, 4, result), *windows = windows_of(test, x, taps, stride);
    const int *n_c_p_k_q_l = INTS(0, 1, 2, 3, 4, 5), *o_c_k_l = INTS(6, 1, 3, 5), *n_o_p_q = INTS(0, 6, 2, 4);
    case_output(test, contract(graph, windows, w, n_c_p_k_q_l, o_c_k_l, n_o_p_q, 4));
    case_output(test, contract(graph, windows, y, n_c_p_k_q_l, n_o_p_q, o_c_k_l, 4));
    case_output(test, contract(graph, y, w, n_o_p_q, o_c_k_l, n_c_p_k_q_l, 6));
    Node *twice = map2(graph, OP_add, y, y);   // computed while it is packed
    case_output(test, contract(graph, twice, windows, n_o_p_q, n_c_p_k_q_l, INTS(1, 3, 5, 6), 4));
    if (images[0] >= 0) case_check(test, NULL);
    for (int64_t n = 0; images[0] < 0 && n < 4; n++) case_check(test, &n);
    case_end(test);
}

static void check_convolutions(Dtype dtype) {
    check_convolution(dtype, I64S(2, 3, 12, 12), 6, 5, 1);
    check_convolution(dtype, I64S(-1, 1, 9, 9), 4, 3, 2);
    check_convolution(dtype, I64S(-1, 2, 23, 23), 17, 3, 1);
    check_convolution(dtype, I64S(1, 50, 6, 6), 9, 3, 1);   // several chunks
    check_convolution(dtype, I64S(3, 2, 4, 4), 70, 4, 1);
}

// ---- fused

static Node *row_of(Case *test, Node *bias, Node *like) {
    return broadcast(test->graph, bias, (const Extent *const *)like->shape, like->rank, NULL);
}

static Node *relu(Case *test, Node *x) {
    Node *zero = constant_like(test->graph, x, 0);
    return map3(test->graph, OP_where, map2(test->graph, OP_less_equal, x, zero), zero, x);
}

static void check_epilogue(Dtype dtype, int64_t m, int64_t n, int64_t k) {
    Case *test = case_begin("bias and relu");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(m, k)), *w = case_input(test, dtype, FILL_REAL, SHAPE(k, n));
    Node *b = case_input(test, dtype, FILL_REAL, SHAPE(n)), *column = case_input(test, dtype, FILL_REAL, SHAPE(m, 1));
    Node *sum = product(test, x, w, NN);
    Node *hidden = relu(test, map2(graph, OP_add, sum, row_of(test, b, sum)));
    case_output(test, hidden);
    if (case_kernels(test) != 1) fail(test, "%d kernels", case_kernels(test));
    case_check(test, DIMS(21));
    case_end(test);
    test = case_begin("mask and scale");
    graph = test->graph;
    x = case_input(test, dtype, FILL_REAL, SHAPE(m, k)), w = case_input(test, dtype, FILL_REAL, SHAPE(k, n));
    Node *mask = case_input(test, DTYPE_BOOL, FILL_REAL, SHAPE(m, n));
    column = case_input(test, dtype, FILL_REAL, SHAPE(m, 1));
    sum = product(test, x, w, NN);
    Node *scaled = map2(graph, OP_multiply, sum, row_of(test, column, sum));
    case_output(test, map3(graph, OP_where, mask, scaled, constant_like(graph, sum, 0)));
    case_output(test, sum);
    if (case_kernels(test) != 1) fail(test, "%d kernels", case_kernels(test));
    case_check(test, DIMS(21));
    case_check_object(test);
    case_end(test);
}

static void check_producers(Dtype dtype) {
    Case *test = case_begin("computed operands");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 40)), *w = case_input(test, dtype, FILL_REAL, SHAPE(40, 33));
    Node *scale = case_input(test, dtype, FILL_REAL, SHAPE(33)), *row = case_input(test, dtype, FILL_REAL, SHAPE(40));
    Node *scaled = map2(graph, OP_multiply, w, row_of(test, scale, w));
    Node *shifted = map2(graph, OP_add, x, row_of(test, row, x));
    case_output(test, product(test, shifted, scaled, NN));
    case_output(test, product(test, relu(test, x), relu(test, w), NN));
    for (int64_t n = 0; n < 100; n = n * 2 + 9) case_check(test, &n);
    case_end(test);
    test = case_begin("views as operands");
    x = case_input(test, dtype, FILL_REAL, SHAPE(50, 40)), w = case_input(test, dtype, FILL_REAL, SHAPE(45, 66));
    const Extent *const *starts = (const Extent *const *)case_shape(test, SHAPE(44, 64));
    Node *reversed =
        slice(test->graph, w, starts, I64S(-1, -2), (const Extent *const *)case_shape(test, SHAPE(40, 33)));
    starts = (const Extent *const *)case_shape(test, SHAPE(0, 39));
    Node *half = slice(test->graph, x, starts, I64S(2, -1), (const Extent *const *)case_shape(test, SHAPE(25, 40)));
    case_output(test, product(test, half, reversed, NN));
    Node *column = case_input(test, dtype, FILL_REAL, SHAPE(40, 1));
    case_output(test,
                product(test, half,
                        broadcast(test->graph, column, (const Extent *const *)case_shape(test, SHAPE(40, 20)), 2, NULL),
                        NN));
    case_output(test,
                product(test, half, gather(test->graph, w, case_input(test, DTYPE_I32, FILL_INDEX, SHAPE(40))), NN));
    case_check(test, NULL);
    case_check_object(test);
    case_end(test);
}

// A layer's forward and backward products in one program, as a perceptron has them.
// Large enough for both operands to be packed, with columns for several panels, and some that are left over; rows that
// are computed where they are packed.
static void check_packed(Dtype dtype) {
    static const int64_t sizes[][3] = {{300, 256, 400}, {187, 192, 390}, {260, 131, 260}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_product(dtype, FILL_REAL, TN, sizes[i][0], sizes[i][1], sizes[i][2], NULL);
        check_product(dtype, FILL_REAL, TT, sizes[i][0], sizes[i][1], sizes[i][2], NULL);
    }
    if (dtype == DTYPE_F32) check_product(dtype, FILL_REAL, NN, 1030, 128, 1030, NULL);
    static const int64_t computed[][3] = {{100, 192, 64}, {61, 130, 70}, {48, 128, 400}, {-1, 256, 50}};
    static const int64_t open[] = {0, 1, 47, 48, 130};
    for (size_t i = 0; i < sizeof computed / sizeof *computed; i++) {
        Case *test = case_begin("computed rows");
        Node *x = case_input(test, dtype, FILL_REAL, SHAPE(computed[i][0], computed[i][2]));
        Node *y = case_input(test, dtype, FILL_REAL, SHAPE(computed[i][2], computed[i][1]));
        case_output(test, product(test, relu(test, x), y, NN));
        for (int k = 0; k < (computed[i][0] < 0 ? 5 : 1); k++) case_check(test, &open[k]);
        case_end(test);
    }
}

// Products with their axes in another order, as they are put side by side: stored so by the product's own kernel where its
// last axis stays last.
static void check_turned(Dtype dtype) {
    static const struct {
        const char *name;
        int64_t heads, rows, columns;
        int order[4];
        bool mapped, both;   // something is computed of what was turned; the product itself is wanted, too
        int kernels;
    } cases[] = {
        {"heads", 3, 17, 32, {0, 2, 1, 3}, false, false, 2},
        {"narrow heads", 4, 5, 7, {0, 2, 1, 3}, false, false, 2},
        {"rows first", 3, 19, 33, {2, 0, 1, 3}, false, false, 2},
        {"open rows", 3, -1, 40, {0, 2, 1, 3}, false, false, 2},
        {"open heads", -1, 9, 16, {1, 0, 2, 3}, false, false, 2},
        {"an epilogue", 3, 17, 35, {0, 2, 1, 3}, true, false, 2},
        {"the product as well", 3, 17, 35, {0, 2, 1, 3}, true, true, 2},
        {"columns move", 3, 17, 35, {0, 1, 3, 2}, false, false, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case *test = case_begin(cases[i].name);
        Graph *graph = test->graph;
        int64_t heads = cases[i].heads, rows = cases[i].rows, columns = cases[i].columns;
        Node *x = case_input(test, dtype, FILL_REAL, SHAPE(2, heads, rows, 21));
        Node *y = case_input(test, dtype, FILL_REAL, SHAPE(2, heads, 21, columns));
        Node *seen = contract(graph, x, y, INTS(0, 1, 2, 3), INTS(0, 1, 3, 4), INTS(0, 1, 2, 4), 4);
        Node *turned = transpose(graph, seen, cases[i].order);
        const Extent *const *shape = (const Extent *const *)turned->shape;
        if (cases[i].mapped) {
            Node *more = case_input(test, dtype, FILL_REAL, SHAPE(2, rows, heads, columns));
            turned = map2(graph, OP_add, more, relu(test, turned));
        }
        ExtentTable *extents = graph->extents;
        const Extent *flat[] = {extent_multiply(extents, shape[0], shape[1]),
                                extent_multiply(extents, shape[2], shape[3])};
        Node *side = reshape(graph, turned, flat, 2);
        case_output(test, contract(graph, side, side, INTS(0, 1), INTS(2, 1), INTS(0, 2), 2));
        if (cases[i].both) case_output(test, seen);
        if (case_kernels(test) != cases[i].kernels)
            fail(test, "%d kernels instead of %d", case_kernels(test), cases[i].kernels);
        static const int64_t lengths[] = {1, 8, 30};
        for (int k = 0; k < (heads < 0 || rows < 0 ? 3 : 1); k++) case_check(test, &lengths[k]);
        case_end(test);
    }
}

static void check_perceptron(Dtype dtype) {
    Case *test = case_begin("perceptron");
    Graph *graph = test->graph;
    Node *x = case_input(test, dtype, FILL_REAL, SHAPE(-1, 64)),
         *w = case_input(test, dtype, FILL_REAL, SHAPE(64, 128));
    Node *b = case_input(test, dtype, FILL_REAL, SHAPE(128)), *v = case_input(test, dtype, FILL_REAL, SHAPE(128, 10));
    Node *sum = product(test, x, w, NN);
    Node *hidden = relu(test, map2(graph, OP_add, sum, row_of(test, b, sum)));
    Node *output = product(test, hidden, v, NN);
    Node *back = product(test, output, v, NT);
    Node *masked = map3(graph, OP_where, map2(graph, OP_equal, hidden, constant_like(graph, hidden, 0)),
                        constant_like(graph, hidden, 0), back);
    case_output(test, product(test, hidden, output, TN));
    case_output(test, product(test, x, masked, TN));
    case_output(test, reduce(graph, OP_reduce_sum, masked, INTS(0), 1));
    if (case_kernels(test) != 6) fail(test, "%d kernels for five products and a sum", case_kernels(test));
    for (int64_t n = 0; n < 500; n = n * 3 + 7) case_check(test, &n);
    case_check_object(test);
    case_end(test);
}

int main(void) {
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_F64; dtype++) {
        check_sizes(dtype);
        check_open(dtype);
        check_einsums(dtype);
        check_convolutions(dtype);
        check_epilogue(dtype, 64, 128, 64);
        check_epilogue(dtype, -1, 33, 17);
        check_epilogue(dtype, 100, 300, 400);
        check_producers(dtype);
        check_packed(dtype);
        check_turned(dtype);
        check_perceptron(dtype);
    }
    for (Dtype dtype = DTYPE_I32; dtype <= DTYPE_I64; dtype++)
        for (Layout layout = NN; layout <= TT; layout++) check_product(dtype, FILL_PLAIN, layout, 17, 33, 65, NULL);
    return harness_finish();
}
