// The cut keeps what is costly and nothing else, and forward and backward together give the joint function's bits.
#include "harness.h"
#include "cut/cut.h"
#include "simplify/simplify.h"

#include <string.h>

#define INTS(...) ((const int[]){__VA_ARGS__})
enum { ROWS = 5, INPUTS = 7, UNITS = 9 };

typedef struct {
    Case *test;
    Node *x, *w, *b;
    Function joint;
} Joint;

static Node *spread(Joint *joint, Node *row, Node *like) {
    return broadcast(joint->test->graph, row, (const Extent *const *)like->shape, like->rank, NULL);
}

// loss = sum(h * h * noise), h = tanh(x @ w + b); and its derivatives by w and b.
static Joint make_joint(void) {
    Joint joint = {.test = case_begin("cut")};
    Case *test = joint.test;
    Graph *graph = test->graph;
    joint.x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(ROWS, INPUTS));
    joint.w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(INPUTS, UNITS));
    joint.b = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(UNITS));
    Node *product = contract(graph, joint.x, joint.w, INTS(0, 2), INTS(2, 1), INTS(0, 1), 2);
    Node *h = map1(graph, OP_tanh, map2(graph, OP_add, product, spread(&joint, joint.b, product)));
    Node *noise = random_make(graph, OP_random_uniform, DTYPE_F32, (const Extent *const *)h->shape, 2, 3);
    Node *weighted = map2(graph, OP_multiply, h, noise);
    Node *loss = reduce(graph, OP_reduce_sum, map2(graph, OP_multiply, weighted, h), INTS(0, 1), 2);
    Node *slope = map2(graph, OP_subtract, constant_like(graph, h, 1), map2(graph, OP_multiply, h, h));
    Node *back = map2(graph, OP_multiply, map2(graph, OP_add, weighted, weighted), slope);
    Named *results = arena_array(test->arena, Named, 3);
    results[0] = (Named){"loss", loss};
    results[1] = (Named){"d_w", contract(graph, joint.x, back, INTS(2, 0), INTS(2, 1), INTS(0, 1), 2)};
    results[2] = (Named){"d_b", reduce(graph, OP_reduce_sum, back, INTS(0), 1)};
    Node **arguments = arena_array(test->arena, Node *, 3);
    arguments[0] = joint.x, arguments[1] = joint.w, arguments[2] = joint.b;
    joint.joint = (Function){.name = "joint", .argument_count = 3, .arguments = arguments, .result_count = 3};
    joint.joint.results = results;
    place_fma(graph, &joint.joint);
    return joint;
}

static Tensor tensor_of(Arena *arena, const Node *node) {
    Tensor tensor = {.dtype = node->dtype, .rank = node->rank};
    int64_t count = 1;
    for (int i = 0; i < node->rank; i++) count *= tensor.shape[i] = extent_evaluate(node->shape[i], NULL, NULL);
    tensor.data = arena_allocate(arena, (size_t)(count * dtype_size(node->dtype)) + 1);
    for (int64_t i = 0; i < count; i++) ((float *)tensor.data)[i] = (float)((i * 37 + node->id * 11) % 64 - 32) / 32;
    return tensor;
}

static void run(const Joint *joint, const Function *function, const Tensor *arguments, Tensor *results) {
    Environment environment = {.seed = 5, .draw_count = 1};
    const char *fault = evaluate_function(joint->test->arena, function, arguments, &environment, results);
    if (fault) fail(joint->test, "%s: %s", function->name, fault);
}

static void compare(const Joint *joint, const char *name, const Tensor *a, const Tensor *b) {
    size_t size = sizeof(float);
    for (int i = 0; i < a->rank; i++) size *= (size_t)a->shape[i];
    if (memcmp(a->data, b->data, size) != 0) fail(joint->test, "%s differs", name);
}

int main(void) {
    Joint joint = make_joint();
    Cut cut = cut_joint(joint.test->graph, &joint.joint, 1);
    if (cut.tape_count != 1) fail(joint.test, "%d values are kept", cut.tape_count);
    else if (cut.tape[0]->op != OP_tanh) fail(joint.test, "%s is kept", op_name(cut.tape[0]->op));
    if (cut.forward.result_count != 1 + cut.tape_count || cut.backward.result_count != 2)
        fail(joint.test, "the halves have %d and %d results", cut.forward.result_count, cut.backward.result_count);
    const Function *halves[] = {&cut.forward, &cut.backward};
    for (int i = 0; i < 2; i++) {
        const char *fault = verify_function(joint.test->graph, halves[i]);
        if (fault) fail(joint.test, "half %d: %s", i, fault);
    }
    Tensor arguments[8], whole[3], forward[8], backward[2];
    for (int i = 0; i < 3; i++) arguments[i] = tensor_of(joint.test->arena, joint.joint.arguments[i]);
    run(&joint, &joint.joint, arguments, whole);
    run(&joint, &cut.forward, arguments, forward);
    for (int i = 0; i < cut.tape_count; i++) arguments[3 + i] = forward[1 + i];
    run(&joint, &cut.backward, arguments, backward);
    compare(&joint, "the loss", &whole[0], &forward[0]);
    compare(&joint, "d_w", &whole[1], &backward[0]);
    compare(&joint, "d_b", &whole[2], &backward[1]);
    case_end(joint.test);
    return harness_finish();
}
