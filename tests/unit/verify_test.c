// The verifier must notice what a wrong pass could leave: every node of a function that uses each kind of op is spoilt
// in every way in turn (dtype, rank, an extent, an operand, an attribute), and each time there must be a fault.
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

static int failures, spoilt;
static Arena *arena;
static Graph *graph;

static const Extent *number(int64_t value) {
    return extent_constant(graph->extents, value);
}

#define SHAPE(...) ((const Extent *const[]){__VA_ARGS__})

static Node *variable(Dtype dtype, const Extent *const *shape, int rank) {
    Variable value = {.kind = VARIABLE_ARGUMENT, .name = "x"};
    return variable_make(graph, &value, dtype, shape, rank);
}

static Function *body_of(Node *element, Node *carry, Node *capture) {
    Function *body = arena_new(arena, Function);
    Node *next = map2(graph, OP_add, carry, map2(graph, OP_multiply, element, capture));
    *body = (Function){"body", 3, arena_array(arena, Node *, 3), 2, arena_array(arena, Named, 2)};
    body->arguments[0] = element;
    body->arguments[1] = carry;
    body->arguments[2] = capture;
    body->results[0] = (Named){"next", next};
    body->results[1] = (Named){"product", map1(graph, OP_exp, next)};
    return body;
}

// One function with at least one node of every op.
typedef struct {
    Function function;
    Named results[64];
    Node *arguments[4];
} Sample;

static void add(Sample *sample, Node *node) {
    sample->results[sample->function.result_count++] = (Named){"result", node};
}

static void add_maps(Sample *sample, Node *x, Node *y, Node *i, Node *b) {
    Node *sum = map2(graph, OP_add, x, y);
    add(sample, map3(graph, OP_fma, sum, y, x));
    add(sample, map3(graph, OP_where, map2(graph, OP_less, x, y), sum, y));
    add(sample, map2(graph, OP_logical_and, b, map1(graph, OP_logical_not, b)));
    add(sample, map2(graph, OP_floor_divide, i, i));
    add(sample, cast(graph, i, DTYPE_F32));
}

static void add_tensors(Sample *sample, Node *x, Node *i) {
    const Extent *two = number(2), *three = number(3), *four = number(4);
    Node *rows = transpose(graph, x, (const int[]){1, 0});
    add(sample, contract(graph, x, rows, (const int[]){0, 1}, (const int[]){1, 2}, (const int[]){0, 2}, 2));
    add(sample, reduce(graph, OP_reduce_sum, x, (const int[]){0}, 1));
    add(sample, reduce(graph, OP_reduce_argmax, x, (const int[]){1}, 1));
    add(sample, broadcast(graph, constant_real(graph, DTYPE_F32, 0.5), SHAPE(two, three), 2, NULL));
    add(sample,
        broadcast(graph, reduce(graph, OP_reduce_max, x, (const int[]){1}, 1), SHAPE(two, four), 2, (const int[]){0}));
    add(sample, reshape(graph, x, SHAPE(three, two), 2));
    add(sample, slice(graph, x, SHAPE(number(1), number(2)), (const int64_t[]){1, -1}, SHAPE(number(1), three)));
    add(sample, pad(graph, x, SHAPE(number(1), number(0)), (const int64_t[]){1, 2}, SHAPE(four, number(5))));
    Node *windows = window(graph, x, 1, two, 1, number(1));
    add(sample, windows);
    add(sample, fold_windows(graph, windows, 1, 1, number(1), three));
    Node *indices = reshape(graph, i, SHAPE(number(6)), 1);
    Node *gathered = gather(graph, x, indices);
    add(sample, gathered);
    add(sample, scatter_add(graph, indices, gathered, SHAPE(four, three), 2));
    add(sample, argsort(graph, x, true));
    add(sample, iota(graph, DTYPE_I64, SHAPE(two, three), 2, 1));
    add(sample, extent_value(graph, DTYPE_F32, extent_dim(graph->extents, 0, "N")));
    add(sample, random_make(graph, OP_random_normal, DTYPE_F32, SHAPE(two), 1, 1));
}

static void add_tuples(Sample *sample, Node *x, Node *y) {
    const Extent *three = number(3);
    Node *body_arguments[3];
    for (int k = 0; k < 3; k++) body_arguments[k] = variable(DTYPE_F32, SHAPE(three), 1);
    Function *body = body_of(body_arguments[0], body_arguments[1], body_arguments[2]);
    Node *start = reduce(graph, OP_reduce_sum, y, (const int[]){0}, 1);
    Node *scan = loop(graph, number(2), &x, 1, &start, 1, &start, 1, body);
    add(sample, result_of(graph, scan, 0));
    add(sample, result_of(graph, scan, 1));
    Node *tracked = track(graph, stop_gradient(graph, x));
    Node *square = map2(graph, OP_multiply, tracked, y);
    Node *total = reduce(graph, OP_reduce_sum, square, (const int[]){0, 1}, 2);
    add(sample, result_of(graph, gradient(graph, total, NULL, (Node *[]){tracked, y}, 2, false), 1));
    add(sample, result_of(graph, gradient(graph, square, x, &tracked, 1, true), 0));
    add(sample, result_of(graph, tangent(graph, square, &tracked, &x, 1), 0));
    add(sample, result_of(graph, jacobian(graph, square, (Node *[]){tracked, y}, 2), 1));
    Node *ct = variable(DTYPE_F32, (const Extent *const *)x->shape, 2), *factor = variable(DTYPE_F32, NULL, 0);
    Function *pullback = arena_new(arena, Function);
    *pullback = (Function){"pullback", 2, arena_array(arena, Node *, 2), 1, arena_array(arena, Named, 1)};
    pullback->arguments[0] = ct;
    pullback->arguments[1] = factor;
    Node *factors = broadcast(graph, factor, (const Extent *const *)x->shape, 2, NULL);
    pullback->results[0] = (Named){"d", map2(graph, OP_multiply, ct, factors)};
    add(sample, result_of(graph, custom(graph, &square, 1, &x, 1, &total, 1, pullback), 0));
}

static void build(Sample *sample) {
    const Extent *shape[] = {number(2), number(3)};
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F32, DTYPE_I64, DTYPE_BOOL};
    sample->function = (Function){"sample", 4, sample->arguments, 0, sample->results};
    for (int k = 0; k < 4; k++) sample->arguments[k] = variable(dtypes[k], shape, 2);
    add_maps(sample, sample->arguments[0], sample->arguments[1], sample->arguments[2], sample->arguments[3]);
    add_tensors(sample, sample->arguments[0], sample->arguments[2]);
    add_tuples(sample, sample->arguments[0], sample->arguments[1]);
}

static void expect_fault(const Sample *sample, const Node *node, const char *how) {
    spoilt++;
    if (verify_function(graph, &sample->function)) return;
    printf("%s with another %s is taken for good\n", op_name(node->op), how);
    failures++;
}

// A leaf may have any dtype and shape that its users agree to; a result's number is looked at with its tuple.
static void spoil_type(const Sample *sample, Node *node) {
    Node saved = *node;
    bool free_type = node->op == OP_random_normal || node->op == OP_iota || node->op == OP_extent;
    if (!free_type && op_class(node->op) != CLASS_TUPLE) {
        node->dtype = saved.dtype == DTYPE_F32 ? DTYPE_I32 : DTYPE_F32;
        if (node->op != OP_cast) expect_fault(sample, node, "dtype");
    }
    node->dtype = saved.dtype == DTYPE_TUPLE ? DTYPE_F32 : DTYPE_TUPLE;
    expect_fault(sample, node, "kind of dtype");
    *node = saved;
    bool free_shape = op_class(node->op) == CLASS_LEAF || node->op == OP_pad || node->op == OP_scatter_add;
    for (int i = 0; i < node->rank && !free_shape; i++) {
        const Extent *extent = node->shape[i];
        node->shape[i] = number(1000);
        bool of_scalar = node->op == OP_broadcast && node->inputs[0]->rank < node->rank;
        if (!of_scalar) expect_fault(sample, node, "extent");
        node->shape[i] = extent;
    }
    node->rank = MAX_RANK + 1;
    expect_fault(sample, node, "rank");
    node->rank = saved.rank;
}

static void spoil_operands(const Sample *sample, Node *node) {
    for (int i = 0; i < node->input_count; i++) {
        Node *input = node->inputs[i];
        node->inputs[i] = NULL;
        expect_fault(sample, node, "missing operand");
        node->inputs[i] = node;
        expect_fault(sample, node, "operand: itself");
        Node other = *input;
        other.dtype = input->dtype == DTYPE_F64 ? DTYPE_I64 : DTYPE_F64;
        node->inputs[i] = &other;
        bool any = node->op == OP_cast || node->op == OP_reduce_argmax || node->op == OP_gradient ||
                   node->op == OP_jacobian || node->op == OP_argsort;
        if (!any && input->dtype != DTYPE_TUPLE) expect_fault(sample, node, "operand's dtype");
        node->inputs[i] = input;
    }
    int count = node->input_count;
    node->input_count = count ? count - 1 : 1;
    if (count && node->op != OP_gradient && node->op != OP_jacobian) expect_fault(sample, node, "number of operands");
    node->input_count = count;
}

static void spoil_attributes(const Sample *sample, Node *node) {
    bool identity = op_class(node->op) == CLASS_LEAF && node->op != OP_iota;
    for (int i = 0; i < node->attribute_count; i++) {
        const Extent *attribute = node->attributes[i];
        node->attributes[i] = NULL;
        expect_fault(sample, node, "missing attribute");
        bool start = (node->op == OP_slice || node->op == OP_pad) && i % 2 == 0;
        node->attributes[i] = number(start ? 1000 : -1);
        bool step = (node->op == OP_slice || node->op == OP_pad) && !start;
        if (!identity && node->op != OP_track && !step) expect_fault(sample, node, "attribute");
        node->attributes[i] = number(0);
        if (step) expect_fault(sample, node, "step");
        node->attributes[i] = attribute;
    }
    int count = node->attribute_count;
    node->attribute_count = count ? count - 1 : 1;
    const Extent *none[1] = {NULL}, **attributes = node->attributes;
    if (!count) node->attributes = none;
    expect_fault(sample, node, "number of attributes");
    node->attribute_count = count;
    node->attributes = attributes;
}

static void check_all(const Sample *sample) {
    Node *roots[64];
    bool seen[OP_COUNT] = {0};
    for (int i = 0; i < sample->function.result_count; i++) roots[i] = sample->results[i].node;
    NodeArray nodes = reachable(graph, roots, sample->function.result_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        seen[node->op] = true;
        spoil_type(sample, node);
        spoil_operands(sample, node);
        spoil_attributes(sample, node);
    }
    for (Op op = 0; op < OP_COUNT; op++)
        if (op_class(op) != CLASS_MAP && !seen[op] && op != OP_random_uniform && op != OP_reduce_min) {
            printf("no node of %s was tried\n", op_name(op));
            failures++;
        }
}

// A body that reads what is none of its arguments, or whose carry changes its shape.
static void check_bodies(void) {
    const Extent *three = number(3);
    Node *x = variable(DTYPE_F32, SHAPE(number(2), three), 2), *start = variable(DTYPE_F32, SHAPE(three), 1);
    Node *stranger = variable(DTYPE_F32, SHAPE(three), 1), *own[3];
    for (int k = 0; k < 3; k++) own[k] = variable(DTYPE_F32, SHAPE(three), 1);
    Function *body = body_of(own[0], own[1], own[2]);
    Node *scan = loop(graph, number(2), &x, 1, &start, 1, &start, 1, body);
    Sample sample = {.function = {"bodies", 0, NULL, 0, NULL}};
    sample.function.results = sample.results;
    add(&sample, result_of(graph, scan, 1));
    if (verify_function(graph, &sample.function)) failures++;
    Node *next = body->results[0].node;
    body->results[0].node = map2(graph, OP_add, next, stranger);
    expect_fault(&sample, scan, "variable in its body");
    body->results[0].node = reshape(graph, next, SHAPE(three, number(1)), 2);
    expect_fault(&sample, scan, "shape of a carry");
    body->results[0].node = next;
    if (verify_function(graph, &sample.function)) failures++;
}

int main(void) {
    arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    graph = graph_create(arena);
    Sample *sample = arena_new(arena, Sample);
    build(sample);
    const char *fault = verify_function(graph, &sample->function);
    if (fault) {
        printf("what is good is refused: %s\n", fault);
        failures++;
    } else {
        check_all(sample);
    }
    check_bodies();
    arena_destroy(arena);
    printf("%d failures in %d trials\n", failures, spoilt);
    return failures != 0;
}
