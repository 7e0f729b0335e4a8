// Batched loops must give the bits of the loops that they replace, by the reference evaluator. Every case that
// derivatives are checked on becomes the body of a loop, with each choice of its inputs that differ from iteration to
// iteration; the others are the same in all.
#include "gradient_check.h"

#include "differentiate/batch.h"
#include "evaluate/evaluate.h"
#include "simplify/simplify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TRIPS = 3 };

static int failures;
static bool covered[OP_COUNT];

// A mistake in the batching of one op: nodes of it get another iteration's values.
typedef struct {
    Op op;
    enum { BACKWARDS, ALL_FIRST, MISTAKES } mistake;
} Mistake;

typedef struct {
    Arena *arena;
    Graph *graph;
    const Mistake *mistake;   // or NULL
    int64_t dims[2];          // N, and the number of iterations
    uint64_t random;
    int count;
    Node *variables[MAX_CASE_INPUTS];
    Tensor values[MAX_CASE_INPUTS];
} World;

static const char not_batched[] = "a loop was not batched";

static double next_random(World *world) {
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(world->random >> 11) * 0x1p-53;
}

static void fill(World *world, const CaseInput *input, const Tensor *tensor, int64_t count) {
    int64_t one = 1;
    for (int i = 0; i < input->rank; i++) one *= input->shape[i] < 0 ? -input->shape[i] : input->shape[i];
    bool open = input->low == 0 && input->high == 0;
    double low = open ? -1.5 : input->low, high = open ? 1.5 : input->high;
    for (int64_t i = 0; i < count; i++) {
        // Given values are turned by one element from iteration to iteration, so that no two are alike.
        double value = input->values ? input->values[(i + i / one) % one] : low + (high - low) * next_random(world);
        if (input->role == INPUT_INDEX) ((int32_t *)tensor->data)[i] = (int32_t)floor(value);
        else ((double *)tensor->data)[i] = value;
    }
}

// An argument of the body, and the function's input that it comes from.
static Node *add_input(World *world, const CaseInput *input, bool sequence) {
    const Extent *shape[CASE_RANK + 1] = {extent_dim(world->graph->extents, 1, "T")};
    for (int i = 0; i < input->rank; i++) {
        if (input->shape[i] < 0) world->dims[0] = -input->shape[i];
        shape[i + 1] = input->shape[i] < 0 ? extent_dim(world->graph->extents, 0, "N")
                                           : extent_constant(world->graph->extents, input->shape[i]);
    }
    Dtype dtype = input->role == INPUT_INDEX ? DTYPE_I32 : DTYPE_F64;
    Tensor *tensor = &world->values[world->count];
    *tensor = (Tensor){.dtype = dtype, .rank = input->rank + sequence};
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i] = extent_evaluate(shape[i + !sequence], world->dims, NULL);
    tensor->data = arena_allocate(world->arena, 8 * (size_t)(count + 1));
    fill(world, input, tensor, count);
    Variable variable = {.kind = VARIABLE_INPUT, .index = world->count, .name = "input", .requires_grad = true};
    Node *outer = variable_make(world->graph, &variable, dtype, shape + !sequence, tensor->rank);
    world->variables[world->count++] = outer;
    variable = (Variable){.kind = VARIABLE_ARGUMENT, .name = "argument"};
    return variable_make(world->graph, &variable, dtype, shape + 1, input->rank);
}

// The loop over the inputs that `sequences` has a bit for; the others are captures.
static Node *build_loop(World *world, const GradientCase *test, unsigned sequences) {
    Node *arguments[MAX_CASE_INPUTS] = {0}, *ordered[MAX_CASE_INPUTS];
    int count = 0, sequence_count = 0;
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < test->input_count; i++) {
            bool sequence = sequences >> i & 1;
            if (sequence == (part == 1)) continue;
            arguments[i] = ordered[count++] = add_input(world, &test->inputs[i], sequence);
            sequence_count += sequence;
        }
    Named *result = arena_new(world->arena, Named);
    *result = (Named){"y", test->build(world->graph, arguments)};
    Function *body = arena_new(world->arena, Function);
    *body = (Function){"body", count, arena_copy(world->arena, ordered, sizeof ordered), 1, result};
    Node **inputs = world->variables;
    Node *node = loop(world->graph, extent_dim(world->graph->extents, 1, "T"), inputs, sequence_count, NULL, 0,
                      inputs + sequence_count, count - sequence_count, body);
    return result_of(world->graph, node, 0);
}

static bool has_independent_loop(Graph *graph, const Function *function) {
    for (int r = 0; r < function->result_count; r++) {
        NodeArray nodes = reachable(graph, &function->results[r].node, 1);
        for (int i = 0; i < nodes.count; i++) {
            const Node *node = nodes.items[i];
            if (node->op == OP_loop && (!loop_part(node, 1) || has_independent_loop(graph, node->body))) return true;
        }
    }
    return false;
}

static void cover(Graph *graph, const Function *function) {
    for (int r = 0; r < function->result_count; r++) {
        NodeArray nodes = reachable(graph, &function->results[r].node, 1);
        for (int i = 0; i < nodes.count; i++) {
            covered[nodes.items[i]->op] = true;
            if (nodes.items[i]->body) cover(graph, nodes.items[i]->body);
        }
    }
}

static bool same_bits(const Tensor *a, const Tensor *b) {
    int64_t count = 1;
    if (a->rank != b->rank || a->dtype != b->dtype) return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] != b->shape[i]) return false;
        count *= a->shape[i];
    }
    return memcmp(a->data, b->data, (size_t)dtype_size(a->dtype) * (size_t)count) == 0;
}

static void finish_passes(Graph *graph, Function *function) {
    simplify(graph, function);
    normalise_reductions(graph, function);
    place_fma(graph, function);
}

static bool near_equal(const Tensor *a, const Tensor *b) {
    int64_t count = 1;
    for (int i = 0; i < a->rank; i++) count *= a->shape[i];
    for (int64_t i = 0; i < count; i++) {
        double x = ((const double *)a->data)[i], y = ((const double *)b->data)[i];
        if (fabs(x - y) > 1e-12 * fmax(1, fabs(x)) || isnan(x) != isnan(y)) return false;
    }
    return true;
}

// The same numbers after the passes that follow. Not always the same bits: what is no longer hidden in a body, such as
// a cotangent of 1, is simplified together with what reads it.
static const char *compare_compiled(World *world, const Function *function, const Function *batched) {
    Function alone = *function, together = *batched;
    finish_passes(world->graph, &alone);
    finish_passes(world->graph, &together);
    Environment environment = {.dims = world->dims, .seed = 3};
    Tensor expected[1 + MAX_CASE_INPUTS], found[1 + MAX_CASE_INPUTS];
    const char *wrong = evaluate_function(world->arena, &alone, world->values, &environment, expected);
    if (!wrong) wrong = evaluate_function(world->arena, &together, world->values, &environment, found);
    for (int i = 0; !wrong && i < function->result_count; i++)
        if (expected[i].dtype == DTYPE_F64 && !near_equal(&expected[i], &found[i])) wrong = "other numbers";
    return wrong;
}

static Node *make_mistake(Graph *graph, const Node *node, Node *batched, const void *context) {
    const Mistake *mistake = context;
    if (node->op != mistake->op) return batched;
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < batched->rank; i++) {
        starts[i] = extent_constant(graph->extents, 0);
        shape[i] = batched->shape[i];
        steps[i] = 1;
    }
    if (mistake->mistake == BACKWARDS) {
        starts[0] = extent_subtract(graph->extents, shape[0], extent_constant(graph->extents, 1));
        steps[0] = -1;
        return slice(graph, batched, starts, steps, shape);
    }
    shape[0] = extent_constant(graph->extents, 1);
    Node *first = slice(graph, batched, starts, steps, shape);
    return broadcast(graph, first, (const Extent *const *)batched->shape, batched->rank, NULL);
}

// Evaluates the function with and without its independent loops. NULL: the same bits.
static const char *compare(World *world, const Function *function) {
    Function batched = *function;
    batch_loops_with(world->graph, &batched, world->mistake ? make_mistake : NULL, world->mistake);
    const char *wrong = verify_function(world->graph, &batched);
    if (wrong) return wrong;
    if (has_independent_loop(world->graph, &batched)) return not_batched;
    Environment environment = {.dims = world->dims, .seed = 3};
    Tensor expected[1 + MAX_CASE_INPUTS], found[1 + MAX_CASE_INPUTS];
    wrong = evaluate_function(world->arena, function, world->values, &environment, expected);
    if (!wrong) wrong = evaluate_function(world->arena, &batched, world->values, &environment, found);
    for (int i = 0; !wrong && i < function->result_count; i++)
        if (!same_bits(&expected[i], &found[i])) wrong = "other bits";
    if (!wrong) cover(world->graph, &batched);
    return wrong ? wrong : compare_compiled(world, function, &batched);
}

typedef const char *CompareLoop(World *world, const GradientCase *test, Node *result);

static const char *compare_value(World *world, const GradientCase *test, Node *result) {
    Function function = {"loop", world->count, world->variables, 1, &(Named){"y", result}};
    // Marks are batched, gradients are not: they must be gone before.
    bool asks = case_uses(test, OP_gradient) || case_uses(test, OP_tangent) || case_uses(test, OP_jacobian);
    if (asks && !differentiate(world->graph, diagnostics_create(world->arena, 0), &function)) return "no derivative";
    return compare(world, &function);
}

// The gradients of the sum of the loop's results: the reversing loops are batched, too.
static const char *compare_gradients(World *world, const GradientCase *test, Node *result) {
    int axes[MAX_RANK], target_count = 0;
    (void)test;
    for (int i = 0; i < result->rank; i++) axes[i] = i;
    Node *targets[MAX_CASE_INPUTS], *sum = reduce(world->graph, OP_reduce_sum, result, axes, result->rank);
    for (int i = 0; i < world->count; i++)
        if (dtype_is_float(world->variables[i]->dtype)) targets[target_count++] = world->variables[i];
    Node *request = gradient(world->graph, sum, NULL, targets, target_count, true);
    Named results[MAX_CASE_INPUTS];
    for (int i = 0; i < target_count; i++) results[i] = (Named){"d", result_of(world->graph, request, i)};
    Function function = {"gradients", world->count, world->variables, target_count, results};
    if (!differentiate(world->graph, diagnostics_create(world->arena, 0), &function)) return "no derivative";
    return compare(world, &function);
}

// NULL, or what is wrong.
static const char *try_case(const GradientCase *test, unsigned sequences, CompareLoop *how, const Mistake *mistake) {
    static char message[256];
    World world = {.arena = arena_create(), .mistake = mistake, .dims = {1, TRIPS}, .random = 5};
    world.graph = graph_create(world.arena);
    Node *result = build_loop(&world, test, sequences);
    const char *wrong = how(&world, test, result);
    // Random numbers in a loop that stays one have no batched form.
    if (wrong == not_batched && case_uses(test, OP_random_uniform) && case_uses(test, OP_loop)) wrong = NULL;
    if (wrong) snprintf(message, sizeof message, "%s", wrong);
    arena_destroy(world.arena);
    return wrong ? message : NULL;
}

static void check(const GradientCase *test, unsigned sequences, CompareLoop *how) {
    const char *wrong = try_case(test, sequences, how, NULL);
    if (!wrong) return;
    printf("%s, inputs %x in sequence: %s\n", test->name, sequences, wrong);
    failures++;
}

static void check_cases(const GradientCase *cases, int count) {
    for (int i = 0; i < count; i++)
        for (unsigned sequences = 1; sequences < 1u << cases[i].input_count; sequences++) {
            check(&cases[i], sequences, compare_value);
            check(&cases[i], sequences, compare_gradients);
        }
}

// ---- what has no derivative, and random numbers

static Node *build_whole_numbers(Graph *graph, Node **inputs) {
    Node *x = inputs[0];
    int axis = 1;
    Node *best = reduce(graph, OP_reduce_argmax, x, &axis, 1);
    const Extent *const *shape = (const Extent *const *)x->shape;
    Node *places = iota(graph, DTYPE_I64, shape, 2, 1);
    Node *hit = map2(graph, OP_equal, places, broadcast(graph, best, shape, 2, (int[]){0}));
    Node *positive = map2(graph, OP_less, constant_like(graph, x, 0), x);
    Node *both = map2(graph, OP_logical_and, hit, positive);
    Node *size = broadcast(graph, extent_value(graph, DTYPE_F64, shape[0]), shape, 2, NULL);
    return map3(graph, OP_where, both, size, cast(graph, places, DTYPE_F64));
}

// Ops without a slope, which derivatives do not bring in.
static Node *build_flat_ops(Graph *graph, Node **inputs) {
    Node *x = inputs[0], *y = inputs[1];
    Node *sum = map2(graph, OP_add, map1(graph, OP_ceil, x), map1(graph, OP_round, map2(graph, OP_multiply, x, y)));
    Node *whole = map2(graph, OP_equal, map1(graph, OP_round, x), map1(graph, OP_ceil, x));
    Node *other = map2(graph, OP_not_equal, map1(graph, OP_floor, y), map1(graph, OP_sign, y));
    Node *either = map2(graph, OP_logical_or, map2(graph, OP_less_equal, x, y), whole);
    Node *neither = map1(graph, OP_logical_not, either);
    Node *chosen = map3(graph, OP_where, neither, map1(graph, OP_absolute, x), sum);
    return map3(graph, OP_where, map2(graph, OP_logical_and, either, other), map2(graph, OP_floor_divide, x, y),
                chosen);
}

static Node *build_noise(Graph *graph, Node **inputs) {
    const Extent *const *shape = (const Extent *const *)inputs[0]->shape;
    Node *uniform = random_make(graph, OP_random_uniform, DTYPE_F64, shape, 2, 4);
    return map2(graph, OP_add, map2(graph, OP_multiply, inputs[0], uniform),
                random_make(graph, OP_random_normal, DTYPE_F64, shape, 2, 5));
}

// Nothing of the body differs from iteration to iteration.
static Node *build_captured(Graph *graph, Node **inputs) {
    return map1(graph, OP_exp, inputs[1]);
}

// Only what is drawn does, in a loop that stays one.
static Node *build_captured_walk(Graph *graph, Node **inputs) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "h"};
    Node *h = variable_make(graph, &variable, DTYPE_F64, NULL, 0);
    Node *drawn = random_make(graph, OP_random_uniform, DTYPE_F64, NULL, 0, 6);
    Function *body = arena_new(graph->arena, Function);
    Named result = {"h", map2(graph, OP_multiply, h, drawn)};
    *body = (Function){"walk", 1, arena_copy(graph->arena, &h, sizeof h), 1,
                       arena_copy(graph->arena, &result, sizeof result)};
    const Extent *steps = extent_constant(graph->extents, 2);
    return result_of(graph, loop(graph, steps, NULL, 0, &inputs[1], 1, NULL, 0, body), 0);
}

#define TENSOR(rank, ...) {rank, {__VA_ARGS__}, 0, 0, NULL, INPUT_TARGET}

static const GradientCase own_cases[] = {
    {"whole numbers", build_whole_numbers, 1, 1, {TENSOR(2, -2, 3)}},
    {"flat ops", build_flat_ops, 1, 2, {TENSOR(2, 3, 4), TENSOR(2, 3, 4)}},
    {"noise", build_noise, 1, 1, {TENSOR(2, 2, 3)}},
    {"a captured value", build_captured, 1, 2, {TENSOR(1, 3), TENSOR(1, 2)}},
    {"a captured walk", build_captured_walk, 1, 2, {TENSOR(1, 3), {0, {0}, 0, 0, NULL, INPUT_TARGET}}},
};

static void require_covered(void) {
    for (int op = 0; op < OP_COUNT; op++) {
        bool structural = op_class((Op)op) != CLASS_MAP && op != OP_gradient && op != OP_tangent && op != OP_jacobian;
        if (!structural || covered[op]) continue;
        printf("%s was not batched in any case\n", op_name((Op)op));
        failures++;
    }
}

// ---- mistakes in a rule must be noticed

static const struct {
    const GradientCase *cases;
    int count;
} groups[] = {{gradient_cases, 0}, {edge_cases, 0}, {loop_cases, 0}, {own_cases, sizeof own_cases / sizeof *own_cases}};

static bool is_noticed(const Mistake *mistake) {
    const int counts[] = {gradient_case_count, edge_case_count, loop_case_count, groups[3].count};
    for (int group = 0; group < 4; group++)
        for (int i = 0; i < counts[group]; i++) {
            const GradientCase *test = &groups[group].cases[i];
            bool uses = case_uses(test, mistake->op);
            for (unsigned sequences = 1; sequences < 1u << test->input_count; sequences++) {
                if (uses && try_case(test, sequences, compare_value, mistake)) return true;
                // Some ops stand in derivatives alone.
                if (sequences == 1 && try_case(test, sequences, compare_gradients, mistake)) return true;
            }
        }
    return false;
}

// Ops whose nodes differ from iteration to iteration.
static bool is_batched(Op op) {
    return op != OP_variable && op != OP_constant && op != OP_extent && op != OP_iota && op != OP_gradient &&
           op != OP_tangent && op != OP_jacobian && op != OP_loop && op != OP_custom;
}

static void test_mistakes(void) {
    for (int op = 0; op < OP_COUNT; op++)
        for (int kind = 0; kind < MISTAKES; kind++) {
            Mistake mistake = {(Op)op, kind};
            if (!is_batched(mistake.op) || is_noticed(&mistake)) continue;
            printf("%s: not noticed: %s\n", op_name(mistake.op),
                   kind ? "the first iteration's" : "iterations backwards");
            failures++;
        }
}

int main(void) {
    check_cases(gradient_cases, gradient_case_count);
    check_cases(edge_cases, edge_case_count);
    check_cases(loop_cases, loop_case_count);
    check_cases(own_cases, sizeof own_cases / sizeof *own_cases);
    require_covered();
    test_mistakes();
    if (failures) printf("%d failures\n", failures);
    return failures != 0;
}
