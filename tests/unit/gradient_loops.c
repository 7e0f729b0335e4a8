// Loops, and derivatives in what is differentiated, that derivatives are checked on.
#include "gradient_check.h"

static Node *argument(Graph *graph, const char *name, int rank, const int64_t *shape) {
    const Extent *extents[MAX_RANK] = {NULL};
    for (int i = 0; i < rank; i++) extents[i] = extent_constant(graph->extents, shape[i]);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = name};
    return variable_make(graph, &variable, DTYPE_F64, extents, rank);
}

static Function *body_of(Graph *graph, int argument_count, Node **arguments, int result_count, const Named *results) {
    Function *body = arena_new(graph->arena, Function);
    body->name = "body";
    body->argument_count = argument_count;
    body->arguments = arena_copy(graph->arena, arguments, sizeof(Node *) * (size_t)argument_count);
    body->result_count = result_count;
    body->results = arena_copy(graph->arena, results, sizeof(Named) * (size_t)result_count);
    return body;
}

static const Extent *trips(Graph *graph, int64_t count) {
    return extent_constant(graph->extents, count);
}

static Node *matrix_by_vector(Graph *graph, Node *matrix, Node *vector) {
    return contract(graph, matrix, vector, (int[]){0, 1}, (int[]){1}, (int[]){0}, 1);
}

// for x in xs { h = tanh(U h + x * w) }
static Node *build_scan(Graph *graph, Node **inputs) {
    static const int64_t two[] = {2, 2};
    Node *x = argument(graph, "x", 1, two), *h = argument(graph, "h", 1, two), *u = argument(graph, "u", 2, two);
    Node *w = argument(graph, "w", 1, two);
    Node *sum = map2(graph, OP_add, matrix_by_vector(graph, u, h), map2(graph, OP_multiply, x, w));
    Named results[] = {{"h", map1(graph, OP_tanh, sum)}};
    Function *body = body_of(graph, 4, (Node *[]){x, h, u, w}, 1, results);
    Node *captures[] = {inputs[2], inputs[3]};
    Node *scan = loop(graph, inputs[0]->shape[0], &inputs[0], 1, &inputs[1], 1, captures, 2, body);
    return result_of(graph, scan, 0);
}

// The same, of which every h is yielded and the last is not read.
static Node *build_scan_of_yields(Graph *graph, Node **inputs) {
    static const int64_t two[] = {2, 2};
    Node *x = argument(graph, "x", 1, two), *h = argument(graph, "h", 1, two), *u = argument(graph, "u", 2, two);
    Node *next = map1(graph, OP_sin, map2(graph, OP_add, matrix_by_vector(graph, u, h), x));
    Named results[] = {{"h", next}, {"hs", map2(graph, OP_multiply, next, h)}};
    Function *body = body_of(graph, 3, (Node *[]){x, h, u}, 2, results);
    Node *scan = loop(graph, trips(graph, 3), &inputs[0], 1, &inputs[1], 1, &inputs[2], 1, body);
    return result_of(graph, scan, 1);
}

// Two carries that exchange places, and one that no result depends on.
static Node *build_exchanged_carries(Graph *graph, Node **inputs) {
    Node *a = argument(graph, "a", 0, NULL), *b = argument(graph, "b", 0, NULL), *c = argument(graph, "c", 0, NULL);
    Node *p = argument(graph, "p", 0, NULL);
    Named results[] = {{"a", map2(graph, OP_multiply, b, p)},
                       {"b", map1(graph, OP_sin, a)},
                       {"c", map2(graph, OP_multiply, map2(graph, OP_multiply, c, a), p)}};
    Function *body = body_of(graph, 4, (Node *[]){a, b, c, p}, 3, results);
    Node *carries[] = {inputs[0], inputs[1], inputs[0]};
    Node *scan = loop(graph, trips(graph, 3), NULL, 0, carries, 3, &inputs[2], 1, body);
    return result_of(graph, scan, 0);
}

// Each carry is the one before it of the last iteration: { yield y = c; a, b, c = a * p, sin(a), b * b }.
static Node *build_chained_carries(Graph *graph, Node **inputs) {
    Node *a = argument(graph, "a", 0, NULL), *b = argument(graph, "b", 0, NULL), *c = argument(graph, "c", 0, NULL);
    Node *p = argument(graph, "p", 0, NULL);
    Named results[] = {{"a", map2(graph, OP_multiply, a, p)},
                       {"b", map1(graph, OP_sin, a)},
                       {"c", map2(graph, OP_multiply, b, b)},
                       {"y", c}};
    Function *body = body_of(graph, 4, (Node *[]){a, b, c, p}, 4, results);
    Node *start = constant_real(graph, DTYPE_F64, 0.3), *carries[] = {inputs[0], start, start};
    return result_of(graph, loop(graph, trips(graph, 4), NULL, 0, carries, 3, &inputs[1], 1, body), 3);
}

// for x in xs { yield y = exp(U x) * v }
static Node *build_independent(Graph *graph, Node **inputs) {
    static const int64_t two[] = {2, 2};
    Node *x = argument(graph, "x", 1, two), *u = argument(graph, "u", 2, two), *v = argument(graph, "v", 1, two);
    Named results[] = {{"y", map2(graph, OP_multiply, map1(graph, OP_sin, matrix_by_vector(graph, u, x)), v)}};
    Function *body = body_of(graph, 3, (Node *[]){x, u, v}, 1, results);
    Node *map = loop(graph, inputs[0]->shape[0], &inputs[0], 1, NULL, 0, &inputs[1], 2, body);
    return result_of(graph, map, 0);
}

// for x in xs { yield y = U x - 2 (U sin(x)) + U v - 3 v }: several products, some with sides that do not change.
static Node *build_sum_of_products(Graph *graph, Node **inputs) {
    static const int64_t two[] = {2, 2};
    Node *x = argument(graph, "x", 1, two), *u = argument(graph, "u", 2, two), *v = argument(graph, "v", 1, two);
    Node *twice =
        map2(graph, OP_multiply, constant_like(graph, x, 2), matrix_by_vector(graph, u, map1(graph, OP_sin, x)));
    Node *sum = map2(graph, OP_subtract, matrix_by_vector(graph, u, x), twice);
    sum = map2(graph, OP_add, sum, matrix_by_vector(graph, u, v));
    sum = map2(graph, OP_subtract, sum, map2(graph, OP_multiply, constant_like(graph, v, 3), v));
    Named results[] = {{"y", sum}};
    Function *body = body_of(graph, 3, (Node *[]){x, u, v}, 1, results);
    Node *map = loop(graph, inputs[0]->shape[0], &inputs[0], 1, NULL, 0, &inputs[1], 2, body);
    return result_of(graph, map, 0);
}

// for x in xs { for y in ys { h = sin(h * x + y) }; yield h }, the inner loop's carry being the outer's.
static Node *build_nested(Graph *graph, Node **inputs) {
    static const int64_t two[] = {2};
    Node *h = argument(graph, "h", 0, NULL), *y = argument(graph, "y", 0, NULL), *x = argument(graph, "x", 0, NULL);
    Node *product = map2(graph, OP_multiply, h, x);
    Named inner_results[] = {{"h", map1(graph, OP_sin, map2(graph, OP_add, product, y))}, {"hx", product}};
    Function *inner = body_of(graph, 3, (Node *[]){y, h, x}, 2, inner_results);
    Node *outer_x = argument(graph, "x", 0, NULL), *outer_h = argument(graph, "h", 0, NULL);
    Node *ys = argument(graph, "ys", 1, two);
    Node *steps = loop(graph, trips(graph, 2), &ys, 1, &outer_h, 1, &outer_x, 1, inner);
    Node *last = result_of(graph, steps, 0), *stacked = result_of(graph, steps, 1);
    Named outer_results[] = {{"h", last}, {"s", map1(graph, OP_tanh, stacked)}};
    Function *outer = body_of(graph, 3, (Node *[]){outer_x, outer_h, ys}, 2, outer_results);
    Node *scan = loop(graph, trips(graph, 3), &inputs[0], 1, &inputs[1], 1, &inputs[2], 1, outer);
    Node *all = result_of(graph, scan, 1), *sum = result_of(graph, scan, 0);
    return map2(graph, OP_add, all, broadcast(graph, sum, (const Extent *const *)all->shape, all->rank, NULL));
}

// No iteration: the last carry is the first.
static Node *build_no_trips(Graph *graph, Node **inputs) {
    Node *h = argument(graph, "h", 0, NULL), *p = argument(graph, "p", 0, NULL);
    Named results[] = {{"h", map2(graph, OP_multiply, h, p)}};
    Function *body = body_of(graph, 2, (Node *[]){h, p}, 1, results);
    return result_of(graph, loop(graph, trips(graph, 0), NULL, 0, &inputs[0], 1, &inputs[1], 1, body), 0);
}

// for x in xs { i = i + 1; h = h + sin(p[i] * x) }, i being an integer.
static Node *build_counter(Graph *graph, Node **inputs) {
    static const int64_t three[] = {3};
    Node *x = argument(graph, "x", 0, NULL), *h = argument(graph, "h", 0, NULL), *p = argument(graph, "p", 1, three);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "i"};
    Node *i = variable_make(graph, &variable, DTYPE_I32, NULL, 0), *one = constant_integer(graph, DTYPE_I32, 1);
    Node *step = map1(graph, OP_sin, map2(graph, OP_multiply, gather(graph, p, i), x));
    Named results[] = {{"h", map2(graph, OP_add, h, step)}, {"i", map2(graph, OP_add, i, one)}};
    Function *body = body_of(graph, 4, (Node *[]){x, h, i, p}, 2, results);
    Node *carries[] = {inputs[1], constant_integer(graph, DTYPE_I32, 0)};
    Node *scan = loop(graph, trips(graph, 3), &inputs[0], 1, carries, 2, &inputs[2], 1, body);
    return result_of(graph, scan, 0);
}

// for x in xs { for _ in 0:2 { h = sin(h * (x + uniform())) } ... }: what is drawn is drawn once.
static Node *build_random(Graph *graph, Node **inputs) {
    Node *h = argument(graph, "h", 0, NULL), *x = argument(graph, "x", 0, NULL);
    Node *drawn = random_make(graph, OP_random_uniform, DTYPE_F64, NULL, 0, 1);
    Named inner_results[] = {{"h", map1(graph, OP_sin, map2(graph, OP_multiply, h, map2(graph, OP_add, x, drawn)))}};
    Function *inner = body_of(graph, 2, (Node *[]){h, x}, 1, inner_results);
    Node *outer_x = argument(graph, "x", 0, NULL), *outer_h = argument(graph, "h", 0, NULL);
    Node *steps = loop(graph, trips(graph, 2), NULL, 0, &outer_h, 1, &outer_x, 1, inner);
    Node *noise = random_make(graph, OP_random_normal, DTYPE_F64, NULL, 0, 2);
    Named results[] = {{"h", map2(graph, OP_multiply, result_of(graph, steps, 0), noise)}};
    Function *outer = body_of(graph, 2, (Node *[]){outer_x, outer_h}, 1, results);
    Node *scan = loop(graph, trips(graph, 3), &inputs[0], 1, &inputs[1], 1, NULL, 0, outer);
    return result_of(graph, scan, 0);
}

// A gradient inside the body, by a track of the element: h = h + d/dx (sin(x h)).
static Node *build_gradient_in_body(Graph *graph, Node **inputs) {
    Node *x = argument(graph, "x", 0, NULL), *h = argument(graph, "h", 0, NULL);
    Node *tracked = track(graph, x), *value = map1(graph, OP_sin, map2(graph, OP_multiply, tracked, h));
    Node *slope = result_of(graph, gradient(graph, value, NULL, &tracked, 1, false), 0);
    Named results[] = {{"h", map2(graph, OP_add, h, slope)}};
    Function *body = body_of(graph, 2, (Node *[]){x, h}, 1, results);
    return result_of(graph, loop(graph, trips(graph, 3), &inputs[0], 1, &inputs[1], 1, NULL, 0, body), 0);
}

// ---- derivatives in a loss

static Node *first_column(Graph *graph, Node *x) {
    const Extent *starts[2], *shape[2] = {x->shape[0], extent_constant(graph->extents, 1)};
    starts[0] = starts[1] = extent_constant(graph->extents, 0);
    return reshape(graph, slice(graph, x, starts, (int64_t[]){1, 1}, shape), shape, 1);
}

static Node *slope_of_sum(Graph *graph, Node *value, Node *target) {
    int axis = 0;
    Node *sum = reduce(graph, OP_reduce_sum, value, &axis, 1);
    return result_of(graph, gradient(graph, sum, NULL, &target, 1, false), 0);
}

// u = tanh(p W) v; u_xx - u_x u, by two gradients inside.
static Node *build_heat(Graph *graph, Node **inputs) {
    Node *p = inputs[0];
    Node *hidden = map1(graph, OP_tanh, contract(graph, p, inputs[1], (int[]){0, 1}, (int[]){1, 2}, (int[]){0, 2}, 2));
    Node *u = contract(graph, hidden, inputs[2], (int[]){0, 1}, (int[]){1}, (int[]){0}, 1);
    Node *u_x = first_column(graph, slope_of_sum(graph, u, p));
    Node *u_xx = first_column(graph, slope_of_sum(graph, u_x, p));
    return map2(graph, OP_subtract, u_xx, map2(graph, OP_multiply, u_x, u));
}

// The norm of the gradient by a track in the middle.
static Node *build_penalty(Graph *graph, Node **inputs) {
    Node *mix = track(graph, map2(graph, OP_multiply, inputs[0], inputs[1]));
    Node *slope = slope_of_sum(graph, map1(graph, OP_sin, map2(graph, OP_multiply, mix, inputs[1])), mix);
    return map2(graph, OP_multiply, slope, slope);
}

// The same forwards, and the tangent's tangent.
static Node *build_tangents(Graph *graph, Node **inputs) {
    Node *value = map1(graph, OP_sin, map2(graph, OP_multiply, inputs[0], inputs[1]));
    Node *first = result_of(graph, tangent(graph, value, &inputs[0], &inputs[2], 1), 0);
    Node *both[] = {inputs[0], inputs[1]}, *directions[] = {inputs[2], first};
    return result_of(graph, tangent(graph, map2(graph, OP_multiply, first, value), both, directions, 2), 0);
}

// The Jacobian of a matrix by a vector that is tracked, which a scan then goes over.
static Node *build_jacobian(Graph *graph, Node **inputs) {
    Node *x = track(graph, map1(graph, OP_sin, inputs[0]));
    const Extent *shape[] = {x->shape[0], inputs[1]->shape[0]};
    Node *rows = broadcast(graph, x, shape, 2, (int[]){0}), *columns = broadcast(graph, inputs[1], shape, 2, NULL);
    Node *matrix = map1(graph, OP_exp, map2(graph, OP_multiply, rows, columns));
    Node *all = result_of(graph, jacobian(graph, matrix, &x, 1), 0);
    Node *h = argument(graph, "h", 0, NULL), *row = argument(graph, "row", 1, (int64_t[]){3});
    int axis = 0;
    Node *sum = reduce(graph, OP_reduce_sum, map2(graph, OP_multiply, row, row), &axis, 1);
    Named results[] = {{"h", map1(graph, OP_tanh, map2(graph, OP_add, h, sum))}};
    Function *body = body_of(graph, 2, (Node *[]){row, h}, 1, results);
    Node *start = constant_real(graph, DTYPE_F64, 0.25);
    return result_of(graph, loop(graph, all->shape[0], &all, 1, &start, 1, NULL, 0, body), 0);
}

// x * sin(y) and exp(y), with their true derivative given as a user would.
static Node *build_custom(Graph *graph, Node **inputs) {
    static const int64_t three[] = {3};
    Node *x = inputs[0], *y = inputs[1], *sine = map1(graph, OP_sin, y), *cosine = map1(graph, OP_cos, y);
    Node *values[] = {map2(graph, OP_multiply, x, sine), map1(graph, OP_exp, y)};
    Node *captures[] = {sine, map2(graph, OP_multiply, x, cosine), values[1]}, *own[5];
    static const char *const names[] = {"cx", "cy", "sine", "slope", "exponential"};
    for (int i = 0; i < 5; i++) own[i] = argument(graph, names[i], 1, three);
    Node *by_y =
        map2(graph, OP_add, map2(graph, OP_multiply, own[0], own[3]), map2(graph, OP_multiply, own[1], own[4]));
    Named results[] = {{"dx", map2(graph, OP_multiply, own[0], own[2])}, {"dy", by_y}};
    Node *both = custom(graph, values, 2, (Node *[]){x, y}, 2, captures, 3, body_of(graph, 5, own, 2, results));
    return map2(graph, OP_multiply, result_of(graph, both, 0), result_of(graph, both, 1));
}

#define SCALAR {0, {0}, 0, 0, NULL, INPUT_TARGET}
#define TENSOR(rank, ...) {rank, {__VA_ARGS__}, 0, 0, NULL, INPUT_TARGET}

const GradientCase loop_cases[] = {
    {"scan", build_scan, 2, 4, {TENSOR(2, -3, 2), TENSOR(1, 2), TENSOR(2, 2, 2), TENSOR(1, 2)}},
    {"scan of yields", build_scan_of_yields, 2, 3, {TENSOR(2, 3, 2), TENSOR(1, 2), TENSOR(2, 2, 2)}},
    {"exchanged carries", build_exchanged_carries, 3, 3, {SCALAR, SCALAR, SCALAR}},
    {"chained carries", build_chained_carries, 2, 2, {SCALAR, SCALAR}},
    {"independent iterations", build_independent, 3, 3, {TENSOR(2, -3, 2), TENSOR(2, 2, 2), TENSOR(1, 2)}},
    {"independent sums of products", build_sum_of_products, 3, 3, {TENSOR(2, -3, 2), TENSOR(2, 2, 2), TENSOR(1, 2)}},
    {"loop in a loop", build_nested, 2, 3, {TENSOR(1, 3), SCALAR, TENSOR(1, 2)}},
    {"no iterations", build_no_trips, 2, 2, {SCALAR, SCALAR}},
    {"an integer carry", build_counter, 2, 3, {TENSOR(1, 3), SCALAR, TENSOR(1, 3)}},
    {"random numbers in loops", build_random, 2, 2, {TENSOR(1, 3), SCALAR}},
    {"second derivative in a loss", build_heat, 2, 3, {TENSOR(2, -3, 2), TENSOR(2, 2, 3), TENSOR(1, 3)}},
    {"gradient penalty", build_penalty, 2, 2, {TENSOR(1, 3), TENSOR(1, 3)}},
    {"tangents of tangents", build_tangents, 2, 3, {TENSOR(1, 3), TENSOR(1, 3), TENSOR(1, 3)}},
    {"a Jacobian in a loss", build_jacobian, 2, 2, {TENSOR(1, 3), TENSOR(1, 2)}},
    {"a derivative of one's own", build_custom, 3, 2, {TENSOR(1, 3), TENSOR(1, 3)}},
    {"gradient in a body", build_gradient_in_body, 2, 2, {TENSOR(1, 3), SCALAR}},
};
const int loop_case_count = sizeof loop_cases / sizeof *loop_cases;
