// Whole functions as kernels: what fuses to how many kernels, loops, updates in place, gradients that accumulate.
#include "harness.h"

#include <stdio.h>

#define INTS(...) ((const int[]){__VA_ARGS__})

static const int64_t lengths[] = {0, 1, 7, 64, 1797};

static void check_lengths(Case *test) {
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) case_check(test, &lengths[i]);
}

static void expect_kernels(Case *test, int expected) {
    int count = case_kernels(test);
    if (count == expected) return;
    fail(test, "%d kernels, not %d", count, expected);
    Text text = {.arena = test->arena};
    kernel_program_print(&text, test->program);
    printf("%s", text.bytes);
}

static Node *number(Case *test, Node *like, double value) {
    return constant_like(test->graph, like, value);
}

static Node *spread(Case *test, Node *scalar, Node *like) {
    return broadcast(test->graph, scalar, (const Extent *const *)like->shape, like->rank, NULL);
}

// ---- fusion

static void check_chain(void) {
    Case *test = case_begin("an elementwise chain");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 12)),
         *y = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(12));
    Node *value = map2(graph, OP_multiply, x, spread(test, y, x));
    for (int i = 0; i < 5; i++) value = map2(graph, OP_add, map1(graph, OP_sin, value), number(test, value, 0.5));
    case_output(test, value);
    case_output(test, map2(graph, OP_less, value, x));
    expect_kernels(test, 1);
    check_lengths(test);
    case_end(test);
}

// Every reader of an expensive value finds it computed: it is stored once if two kernels need it.
static void check_shared(void) {
    Case *test = case_begin("a value with two readers");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 40)), *e = map1(graph, OP_exp, x);
    case_output(test, reduce(graph, OP_reduce_sum, e, INTS(1), 1));
    case_output(test, reduce(graph, OP_reduce_sum, e, INTS(0), 1));
    expect_kernels(test, 2);
    check_lengths(test);
    case_end(test);
}

// A loss over two axes: its producer runs in the same kernel, though the reduction takes all axes as one.
static void check_mean_square(void) {
    Case *test = case_begin("mean squared error");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 10)),
         *y = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 10));
    Node *difference = map2(graph, OP_subtract, x, y);
    Node *sum = reduce(graph, OP_reduce_sum, map2(graph, OP_multiply, difference, difference), INTS(0, 1), 2);
    const Extent *count = extent_multiply(graph->extents, x->shape[0], x->shape[1]);
    case_output(test, map2(graph, OP_divide, sum, extent_value(graph, DTYPE_F32, count)));
    expect_kernels(test, 1);
    check_lengths(test);
    case_end(test);
}

static int count_instructions(Case *test) {
    int count = 0;
    case_kernels(test);
    for (int i = 0; i < test->program->kernels.count; i++) count += test->program->kernels.items[i]->instructions.count;
    return count;
}

// x = x + sin(x) @ w, again and again: kernels as long as one step's, not as all steps' before.
static void check_residual(void) {
    enum { STEPS = 24 };
    Case *test = case_begin("a residual chain");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 16)),
         *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(16, 16));
    for (int i = 0; i < STEPS; i++) {
        Node *scaled = map2(graph, OP_multiply, x, number(test, x, 0.25));
        Node *product = contract(graph, map1(graph, OP_sin, x), w, INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
        x = map2(graph, OP_add, x, map2(graph, OP_add, product, map2(graph, OP_multiply, scaled, scaled)));
    }
    case_output(test, x);
    if (count_instructions(test) > 20 * STEPS) fail(test, "%d instructions", count_instructions(test));
    check_lengths(test);
    case_end(test);
}

// ---- in place

typedef struct {
    Node *p, *m, *v;
} Adam;

static Adam adam(Case *test, Node *p, Node *g, Node *m, Node *v, Node *rate) {
    Graph *graph = test->graph;
    Adam next;
    next.m = map2(graph, OP_add, map2(graph, OP_multiply, m, number(test, m, 0.9)),
                  map2(graph, OP_multiply, g, number(test, g, 0.1)));
    Node *square = map2(graph, OP_multiply, g, g);
    next.v = map2(graph, OP_add, map2(graph, OP_multiply, v, number(test, v, 0.999)),
                  map2(graph, OP_multiply, square, number(test, g, 0.001)));
    Node *root = map2(graph, OP_add, map1(graph, OP_sqrt, next.v), number(test, v, 1e-8));
    Node *step = map2(graph, OP_multiply, spread(test, rate, p), map2(graph, OP_divide, next.m, root));
    next.p = map2(graph, OP_subtract, p, step);
    return next;
}

static void check_adam(Dtype dtype, int64_t count) {
    Case *test = case_begin("adam");
    int64_t bytes = (count * dtype_size(dtype) + 63) / 64 * 64;
    Node *p = case_leaf(test, dtype, SPACE_PARAMETERS, 0, SHAPE(count)),
         *g = case_leaf(test, dtype, SPACE_GRADIENTS, 0, SHAPE(count));
    Node *m = case_leaf(test, dtype, SPACE_OPTIMIZER, 0, SHAPE(count)),
         *v = case_leaf(test, dtype, SPACE_OPTIMIZER, bytes, SHAPE(count));
    Node *rate = case_leaf(test, dtype, SPACE_HYPERPARAMETERS, 8, SCALAR);
    test->leaves[3].fill = FILL_POSITIVE;
    Adam next = adam(test, p, g, m, v, rate);
    case_store(test, next.p, SPACE_PARAMETERS, 0, false);
    case_store(test, next.m, SPACE_OPTIMIZER, 0, false);
    case_store(test, next.v, SPACE_OPTIMIZER, bytes, false);
    expect_kernels(test, 1);
    case_check(test, NULL);
    case_check_object(test);
    case_end(test);
}

// Two values that change places, and readers of what is overwritten.
static void check_exchange(void) {
    Case *test = case_begin("exchange");
    Graph *graph = test->graph;
    Node *a = case_leaf(test, DTYPE_F32, SPACE_STATE, 0, SHAPE(40)),
         *b = case_leaf(test, DTYPE_F32, SPACE_STATE, 192, SHAPE(40));
    case_store(test, map1(graph, OP_negate, b), SPACE_STATE, 0, false);
    case_store(test, map1(graph, OP_absolute, a), SPACE_STATE, 192, false);
    case_output(test, map2(graph, OP_add, a, b));
    case_check(test, NULL);
    case_end(test);
    test = case_begin("overwritten by what it is read for");
    graph = test->graph;
    a = case_leaf(test, DTYPE_F32, SPACE_STATE, 0, SHAPE(20, 20));
    Node *turned = transpose(graph, a, INTS(1, 0));
    case_store(test, map2(graph, OP_add, a, turned), SPACE_STATE, 0, false);
    case_output(test, reduce(graph, OP_reduce_sum, a, INTS(0), 1));
    case_check(test, NULL);
    case_end(test);
    test = case_begin("plain exchange");
    a = case_leaf(test, DTYPE_F32, SPACE_STATE, 0, SHAPE(40)),
    b = case_leaf(test, DTYPE_F32, SPACE_STATE, 192, SHAPE(40));
    case_store(test, b, SPACE_STATE, 0, false);
    case_store(test, a, SPACE_STATE, 192, false);
    case_check(test, NULL);
    case_end(test);
    test = case_begin("exchange, turned");
    a = case_leaf(test, DTYPE_F32, SPACE_STATE, 0, SHAPE(9, 9)),
    b = case_leaf(test, DTYPE_F32, SPACE_STATE, 384, SHAPE(9, 9));
    Node *c = case_leaf(test, DTYPE_F32, SPACE_STATE, 768, SHAPE(9, 9));
    case_store(test, transpose(test->graph, b, INTS(1, 0)), SPACE_STATE, 0, false);
    case_store(test, c, SPACE_STATE, 384, false);
    case_store(test, a, SPACE_STATE, 768, false);
    case_check(test, NULL);
    case_end(test);
    test = case_begin("a running mean");
    graph = test->graph;
    a = case_leaf(test, DTYPE_F32, SPACE_STATE, 0, SHAPE(33));
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 33));
    Node *mean = reduce(graph, OP_reduce_sum, x, INTS(0), 1);
    case_store(test, map2(graph, OP_add, map2(graph, OP_multiply, a, number(test, a, 0.9)), mean), SPACE_STATE, 0,
               false);
    case_output(test, map2(graph, OP_subtract, x, spread(test, a, x)));
    check_lengths(test);
    case_end(test);
}

static void check_accumulate(void) {
    Case *test = case_begin("gradients that accumulate");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 20)),
         *y = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 33));
    Node *product = contract(graph, x, y, INTS(2, 0), INTS(2, 1), INTS(0, 1), 2);
    case_store(test, product, SPACE_GRADIENTS, 0, true);
    case_store(test, reduce(graph, OP_reduce_sum, y, INTS(0), 1), SPACE_GRADIENTS, 20 * 33 * 4, true);
    case_store(test, transpose(graph, product, INTS(1, 0)), SPACE_GRADIENTS, 20 * 33 * 4 + 33 * 4, true);
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

// ---- results in several places

static void check_results(void) {
    Case *test = case_begin("one value, several results");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 9)), *e = map1(graph, OP_exp, x);
    case_output(test, e);
    case_output(test, e);
    case_output(test, x);
    Node *sum = reduce(graph, OP_reduce_sum, e, INTS(1), 1);
    case_output(test, sum);
    case_output(test, sum);
    case_output(test, constant_real(graph, DTYPE_F32, 3));
    case_store(test, sum, SPACE_TAPE, 0, false);
    check_lengths(test);
    case_end(test);
}

// ---- loops

typedef struct {
    Node *arguments[8];
    Named results[5];
} Body;

static Function *body_function(Case *test, const Body *body, int argument_count, int result_count) {
    Function *function = arena_new(test->arena, Function);
    function->name = "body";
    function->argument_count = argument_count;
    function->arguments = arena_copy(test->arena, body->arguments, sizeof(Node *) * (size_t)argument_count);
    function->result_count = result_count;
    function->results = arena_copy(test->arena, body->results, sizeof(Named) * (size_t)result_count);
    return function;
}

static Node *argument(Case *test, int index, int rank, const int64_t *extents) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = index, .name = "a"};
    return variable_make(test->graph, &variable, DTYPE_F32, (const Extent *const *)case_shape(test, rank, extents),
                         rank);
}

// h = sin(xt @ W + h @ U): a recurrence with products in its body.
static void check_recurrence(int64_t steps) {
    Case *test = case_begin("recurrence");
    Graph *graph = test->graph;
    Node *xs = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(steps, 5, 9)),
         *start = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(5, 33));
    Node *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9, 33)),
         *u = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(33, 33));
    Body body = {{argument(test, 0, SHAPE(5, 9)), argument(test, 1, SHAPE(5, 33)), argument(test, 2, SHAPE(9, 33)),
                  argument(test, 3, SHAPE(33, 33))},
                 {{0}}};
    Node *sum = map2(graph, OP_add,
                     contract(graph, body.arguments[0], body.arguments[2], INTS(0, 2), INTS(2, 1), INTS(0, 1), 2),
                     contract(graph, body.arguments[1], body.arguments[3], INTS(0, 2), INTS(2, 1), INTS(0, 1), 2));
    Node *next = map1(graph, OP_sin, sum);
    body.results[0] = (Named){"h", next};
    body.results[1] = (Named){"hs", map2(graph, OP_subtract, next, body.arguments[1])};
    body.results[2] = (Named){"totals", reduce(graph, OP_reduce_sum, next, INTS(0, 1), 2)};
    Node *result =
        loop(graph, case_extent(test, steps), &xs, 1, &start, 1, (Node *[]){w, u}, 2, body_function(test, &body, 4, 3));
    for (int i = 0; i < 3; i++) case_output(test, result_of(graph, result, i));
    case_output(test, map2(graph, OP_add, result_of(graph, result, 0), start));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

// Two carries that change places, computed initial values, captures that are computed, no sequence.
static void check_carries(void) {
    Case *test = case_begin("carries");
    Graph *graph = test->graph;
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(17)), *k = map1(graph, OP_cos, x);
    Node *carries[] = {map2(graph, OP_multiply, x, x), number(test, x, 1)};
    Body body = {{argument(test, 0, SHAPE(17)), argument(test, 1, SHAPE(17)), argument(test, 2, SHAPE(17))}, {{0}}};
    body.results[0] = (Named){"a", body.arguments[1]};
    body.results[1] = (Named){"b", map2(graph, OP_subtract, body.arguments[0], body.arguments[2])};
    Node *result = loop(graph, case_extent(test, -1), NULL, 0, carries, 2, &k, 1, body_function(test, &body, 3, 2));
    for (int i = 0; i < 2; i++) case_output(test, map1(graph, OP_negate, result_of(graph, result, i)));
    check_lengths(test);
    case_end(test);
}

// Carries that a product's own kernel computes: in place where it reads the old one at the element at hand, which the
// product itself does not; and one that all iterations yield, before them and after.
static void check_products_as_carries(int64_t steps) {
    Case *test = case_begin("products as carries");
    Graph *graph = test->graph;
    Node *xs = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(steps, 5, 70)),
         *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(70, 70));
    Node *carries[3];
    for (int i = 0; i < 3; i++) carries[i] = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(5, 70));
    Body body = {{argument(test, 0, SHAPE(5, 70))}, {{0}}};
    for (int i = 1; i < 4; i++) body.arguments[i] = argument(test, i, SHAPE(5, 70));
    body.arguments[4] = argument(test, 4, SHAPE(70, 70));
    Node **old = body.arguments + 1;
    for (int i = 0; i < 3; i++) {   // of the element; of the old carry; of another one
        Node *left = i == 0 ? body.arguments[0] : i == 1 ? old[1] : map1(graph, OP_sin, old[0]);
        Node *product = contract(graph, left, body.arguments[4], INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
        body.results[i] = (Named){"carry", map1(graph, OP_sin, map2(graph, OP_subtract, product, old[i]))};
    }
    body.results[3] = (Named){"before", old[2]};
    body.results[4] = (Named){"after", body.results[2].node};
    Node *result = loop(graph, case_extent(test, steps), &xs, 1, carries, 3, &w, 1, body_function(test, &body, 5, 5));
    for (int i = 0; i < 5; i++) case_output(test, result_of(graph, result, i));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

// Kernels that are alike, inside a loop: one function, called with the counter.
static void check_alike(void) {
    Case *test = case_begin("alike in a loop");
    Graph *graph = test->graph;
    Node *xs = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 5, 9));
    Node *v = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9, 9)),
         *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9, 9));
    Body body = {{argument(test, 0, SHAPE(5, 9)), argument(test, 1, SHAPE(9, 9)), argument(test, 2, SHAPE(9, 9))},
                 {{0}}};
    Node *first = contract(graph, body.arguments[0], body.arguments[1], INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
    Node *second = contract(graph, body.arguments[0], body.arguments[2], INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
    body.results[0] = (Named){"first", first};
    body.results[1] = (Named){"second", second};
    Node *result =
        loop(graph, case_extent(test, -1), &xs, 1, NULL, 0, (Node *[]){v, w}, 2, body_function(test, &body, 3, 2));
    for (int i = 0; i < 2; i++) case_output(test, result_of(graph, result, i));
    check_lengths(test);
    case_check_object(test);
    case_end(test);
}

// No carry: iterations are independent. A loop inside a loop.
static void check_nested(void) {
    Case *test = case_begin("nested loops");
    Graph *graph = test->graph;
    Node *xs = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 4, 9)),
         *offset = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9));
    Body inner = {{argument(test, 0, SHAPE(9)), argument(test, 1, SHAPE(9)), argument(test, 2, SHAPE(9))}, {{0}}};
    inner.results[0] = (Named){"sum", map2(graph, OP_add, inner.arguments[0], inner.arguments[1])};
    inner.results[1] =
        (Named){"top", reduce(graph, OP_reduce_max, map2(graph, OP_multiply, inner.arguments[0], inner.arguments[2]),
                              INTS(0), 1)};
    Body outer = {{argument(test, 0, SHAPE(4, 9)), argument(test, 1, SHAPE(9))}, {{0}}};
    Node *zero = broadcast(graph, constant_real(graph, DTYPE_F32, 0), (const Extent *const *)offset->shape, 1, NULL);
    Node *loops = loop(graph, case_extent(test, 4), outer.arguments, 1, &zero, 1, outer.arguments + 1, 1,
                       body_function(test, &inner, 3, 2));
    outer.results[0] = (Named){"sums", result_of(graph, loops, 0)};
    outer.results[1] = (Named){"tops", map1(graph, OP_negate, result_of(graph, loops, 1))};
    Node *result = loop(graph, case_extent(test, -1), &xs, 1, NULL, 0, &offset, 1, body_function(test, &outer, 2, 2));
    case_output(test, result_of(graph, result, 0));
    case_output(test, reduce(graph, OP_reduce_sum, result_of(graph, result, 1), INTS(0), 1));
    check_lengths(test);
    case_end(test);
}

// ---- many kernels: emitted as several functions

// `count` products with w, one after the other; every third is unlike all others.
static Node *deepen(Case *test, Node *h, Node *w, int count) {
    for (int i = 0; i < count; i++) {
        h = contract(test->graph, h, w, INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
        h = map2(test->graph, OP_multiply, h, number(test, h, i % 3 ? 0.5 : 0.25 + i / 64.0));
    }
    return h;
}

static void check_deep(void) {
    static const int64_t rows[] = {1, 0, 7};
    Case *test = case_begin("deep");
    Node *h = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 9)),
         *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9, 9));
    Node *indices = case_input(test, DTYPE_I64, FILL_INDEX, SHAPE(3));
    test->leaves[2].data = rows;
    Node *middle = deepen(test, h, w, 40);
    case_output(test, deepen(test, middle, w, 30));
    case_output(test, deepen(test, gather(test->graph, middle, indices), w, 2));
    case_check(test, DIMS(8));
    test->index_fault = true;
    case_check(test, DIMS(7));
    case_check_object(test);
    case_end(test);
}

// The same in loops, in whose bodies the counters are further arguments.
static void check_deep_loops(void) {
    Case *test = case_begin("deep loops");
    Graph *graph = test->graph;
    Node *xs = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 4, 3, 9)),
         *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(9, 9)),
         *h = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(3, 9));
    Body inner = {{argument(test, 0, SHAPE(3, 9)), argument(test, 1, SHAPE(3, 9)), argument(test, 2, SHAPE(9, 9))},
                  {{0}}};
    inner.results[0] =
        (Named){"h", deepen(test, map2(graph, OP_add, inner.arguments[0], inner.arguments[1]), inner.arguments[2], 36)};
    Body outer = {{argument(test, 0, SHAPE(4, 3, 9)), argument(test, 1, SHAPE(3, 9)), argument(test, 2, SHAPE(9, 9))},
                  {{0}}};
    Node *start = deepen(test, outer.arguments[1], outer.arguments[2], 20);
    Node *loops = loop(graph, case_extent(test, 4), outer.arguments, 1, &start, 1, outer.arguments + 2, 1,
                       body_function(test, &inner, 3, 1));
    outer.results[0] = (Named){"h", deepen(test, result_of(graph, loops, 0), outer.arguments[2], 20)};
    outer.results[1] = (Named){"starts", start};
    Node *result = loop(graph, case_extent(test, -1), &xs, 1, &h, 1, &w, 1, body_function(test, &outer, 3, 2));
    for (int i = 0; i < 2; i++) case_output(test, result_of(graph, result, i));
    check_lengths(test);
    case_end(test);
}

// Gradient descent, large enough for the choice between with and without momentum to be made once for all elements; it
// is one kernel. What is not chosen may be NaN.
static void check_choice(Dtype dtype, float momentum, int64_t count) {
    Case *test = case_begin(momentum != 0 ? "with momentum" : "without momentum");
    Graph *graph = test->graph;
    Node *p = case_leaf(test, dtype, SPACE_PARAMETERS, 0, SHAPE(count)),
         *v = case_leaf(test, dtype, SPACE_OPTIMIZER, 0, SHAPE(count)),
         *g = case_leaf(test, dtype, SPACE_GRADIENTS, 0, SHAPE(count));
    Node *mu = case_input(test, DTYPE_F32, FILL_PLAIN, SCALAR);
    test->leaves[test->leaf_count - 1].data = &momentum;
    if (momentum == 0) test->leaves[1].fill = FILL_SPECIAL;
    Node *none = map2(graph, OP_equal, mu, constant_like(graph, mu, 0));
    none = broadcast(graph, none, p->shape, 1, NULL);
    Node *scaled = map2(graph, OP_multiply, broadcast(graph, cast(graph, mu, dtype), p->shape, 1, NULL), v);
    Node *moved = map2(graph, OP_add, scaled, g), *change = map3(graph, OP_where, none, g, moved);
    case_store(test, map2(graph, OP_subtract, p, change), SPACE_PARAMETERS, 0, false);
    case_store(test, map3(graph, OP_where, none, v, moved), SPACE_OPTIMIZER, 0, false);
    if (case_kernels(test) != 1) fail(test, "%d kernels", case_kernels(test));
    case_check(test, NULL);
    case_end(test);
}

int main(void) {
    for (Dtype dtype = DTYPE_F32; dtype <= DTYPE_F64; dtype++)
        for (int i = 0; i < 4; i++) check_choice(dtype, i % 2 ? 0.5f : 0, i < 2 ? 5003 : 100);
    check_chain();
    check_shared();
    check_mean_square();
    check_residual();
    check_adam(DTYPE_F32, 9610);
    check_adam(DTYPE_F64, 77);
    check_exchange();
    check_accumulate();
    check_results();
    check_recurrence(3);
    check_recurrence(0);
    check_recurrence(-1);
    check_carries();
    check_products_as_carries(7);
    check_products_as_carries(-1);
    check_alike();
    check_nested();
    check_deep();
    check_deep_loops();
    return harness_finish();
}
