// Differentiation: against finite differences, and in the form of what comes out.
#include "check.h"
#include "gradient_check.h"

#include <stdio.h>
#include <string.h>

// ---- against finite differences

typedef const char *CheckCase(Arena *arena, const GradientCase *test, int order, const RuleChange *change);

static void check_cases(const GradientCase *cases, int count) {
    static CheckCase *const ways[] = {gradient_check, tangent_check, modes_check};
    static const char *const names[] = {"reverse mode", "forward mode", "mixed modes"};
    for (int i = 0; i < count; i++)
        for (int order = 1; order <= cases[i].orders; order++)
            for (int way = 0; way < 3; way++) {
                Arena *arena = arena_create();
                const char *wrong = ways[way](arena, &cases[i], order, NULL);
                if (wrong) {
                    printf("%s, %s, order %d: %s\n", cases[i].name, names[way], order, wrong);
                    failures++;
                }
                arena_destroy(arena);
            }
}

static bool any_case_uses(Op op) {
    for (int i = 0; i < gradient_case_count; i++)
        if (case_uses(&gradient_cases[i], op)) return true;
    return false;
}

// An op with a derivative and without a case cannot exist.
static void test_every_op_has_a_case(void) {
    Arena *arena = arena_create();
    const RuleTable *rules = rules_create(arena);
    for (int op = 0; op < OP_COUNT; op++) {
        bool has_derivative = rules_text(rules, (Op)op) || rules_adjoint(rules, (Op)op);
        if (!has_derivative || any_case_uses((Op)op)) continue;
        printf("%s has a derivative, and no case in gradient_cases.c\n", op_name((Op)op));
        failures++;
    }
    arena_destroy(arena);
}

// ---- what comes out. Nodes are hash-consed, so the expected node is the same pointer.

typedef struct {
    Arena *arena;
    Graph *graph;
    Diagnostics *diagnostics;
    Node *x, *y;   // f64[3], or f64 for scalars
} World;

static World world_of(int rank) {
    World world = {.arena = arena_create()};
    world.graph = graph_create(world.arena);
    world.diagnostics = diagnostics_create(world.arena, 0);
    const Extent *shape = extent_constant(world.graph->extents, 3);
    Variable variable = {.kind = VARIABLE_INPUT, .name = "x", .requires_grad = true};
    world.x = variable_make(world.graph, &variable, DTYPE_F64, &shape, rank);
    variable.name = "y";
    world.y = variable_make(world.graph, &variable, DTYPE_F64, &shape, rank);
    return world;
}

static Node *total(World *world, Node *node) {
    int axis = 0;
    return node->rank ? reduce(world->graph, OP_reduce_sum, node, &axis, 1) : node;
}

// The gradient of the sum of `node` by `target`, as the pass leaves it; NULL: the pass failed.
static Node *slope_with(World *world, Node *node, Node *target, RuleTable *rules) {
    Node *request = gradient(world->graph, total(world, node), NULL, &target, 1, true);
    Named result = {"slope", result_of(world->graph, request, 0)};
    Node *arguments[] = {world->x, world->y};
    Function function = {"slope", 2, arguments, 1, &result};
    if (!differentiate_with(world->graph, world->diagnostics, &function, rules)) {
        CHECK(function.results == &result);
        return NULL;
    }
    CHECK(!verify_function(world->graph, &function));
    return function.results[0].node;
}

static Node *slope(World *world, Node *node, Node *target) {
    return slope_with(world, node, target, rules_create(world->arena));
}

static void test_textbook(void) {
    World world = world_of(1);
    Graph *graph = world.graph;
    Node *x = world.x, *y = world.y, *one = constant_like(graph, x, 1), *two = constant_like(graph, x, 2);
    Node *s = map1(graph, OP_sigmoid, x), *t = map1(graph, OP_tanh, x), *e = map1(graph, OP_exp, x);
    CHECK(slope(&world, s, x) == map2(graph, OP_multiply, s, map2(graph, OP_subtract, one, s)));
    CHECK(slope(&world, t, x) == map2(graph, OP_subtract, one, map2(graph, OP_multiply, t, t)));
    CHECK(slope(&world, e, x) == e);
    CHECK(slope(&world, map1(graph, OP_log, x), x) == map2(graph, OP_divide, one, x));
    CHECK(slope(&world, map2(graph, OP_multiply, x, x), x) == map2(graph, OP_multiply, two, x));
    CHECK(slope(&world, map2(graph, OP_pow, x, two), x) == map2(graph, OP_multiply, two, x));
    CHECK(slope(&world, map2(graph, OP_multiply, x, y), x) == y);
    CHECK(slope(&world, map2(graph, OP_add, x, y), x) == one);
    CHECK(slope(&world, map1(graph, OP_cos, x), x) == map1(graph, OP_negate, map1(graph, OP_sin, x)));
    arena_destroy(world.arena);
}

static void test_selects_stay_selects(void) {
    World world = world_of(1);
    Graph *graph = world.graph;
    Node *x = world.x, *zero = constant_like(graph, x, 0), *one = constant_like(graph, x, 1);
    Node *positive = map2(graph, OP_less, zero, x), *not_positive = map2(graph, OP_less_equal, x, zero);
    Node *logarithm = map3(graph, OP_where, positive, map1(graph, OP_log, x), zero);
    CHECK(slope(&world, logarithm, x) == map3(graph, OP_where, positive, map2(graph, OP_divide, one, x), zero));
    Node *relu = map3(graph, OP_where, not_positive, zero, x);
    CHECK(slope(&world, relu, x) == map3(graph, OP_where, not_positive, zero, one));
    // Twice: the second derivative is selected, too.
    Node *tracked = track(graph, x);
    Node *masked = map3(graph, OP_where, positive, map1(graph, OP_log, tracked), zero);
    Node *first = gradient(graph, total(&world, masked), NULL, &tracked, 1, false);
    const Node *second = slope(&world, result_of(graph, first, 0), x);
    CHECK(second->op == OP_where && second->inputs[0] == positive && is_constant(second->inputs[2], 0));
    arena_destroy(world.arena);
}

static void test_marks_and_targets(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Node *x = world.x, *y = world.y, *two = constant_like(graph, x, 2);
    CHECK(slope(&world, map2(graph, OP_multiply, x, stop_gradient(graph, x)), x) == x);
    CHECK(is_constant(slope(&world, map1(graph, OP_exp, stop_gradient(graph, x)), x), 0));
    CHECK(is_constant(slope(&world, map1(graph, OP_exp, x), y), 0));
    CHECK(is_constant(slope(&world, map1(graph, OP_floor, x), x), 0));
    // Two tracks of one value are two variables, and gradients flow through both (S1).
    Node *doubled = map2(graph, OP_multiply, two, x), *a = track(graph, doubled), *b = track(graph, doubled);
    Node *product = map2(graph, OP_multiply, a, map1(graph, OP_exp, b));
    CHECK(slope(&world, product, a) == map1(graph, OP_exp, doubled));
    const Node *whole = slope(&world, product, x);
    CHECK(whole->op == OP_multiply && is_constant(whole->inputs[0], 2));
    arena_destroy(world.arena);
}

// Two requests for one value give the nodes that one request with two targets gives.
static void test_requests_share(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Node *value = map1(graph, OP_sin, map2(graph, OP_multiply, world.x, world.y));
    Node *targets[] = {world.x, world.y};
    Node *both = gradient(graph, value, NULL, targets, 2, false);
    Node *by_x = gradient(graph, value, NULL, &targets[0], 1, false);
    Node *by_y = gradient(graph, value, NULL, &targets[1], 1, false);
    Named results[] = {{"a", result_of(graph, both, 0)},
                       {"b", result_of(graph, both, 1)},
                       {"c", result_of(graph, by_x, 0)},
                       {"d", result_of(graph, by_y, 0)}};
    Function function = {"shared", 2, targets, 4, results};
    CHECK(differentiate(graph, world.diagnostics, &function));
    CHECK(function.results[0].node == function.results[2].node);
    CHECK(function.results[1].node == function.results[3].node);
    CHECK(function.results[0].node != function.results[1].node);
    arena_destroy(world.arena);
}

// ---- what it costs

static int nodes_made(int tracked_length, int other_length) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Node *x = world.x, *y = world.y;
    for (int i = 0; i < tracked_length; i++) x = map1(graph, OP_sin, map2(graph, OP_add, x, world.x));
    for (int i = 0; i < other_length; i++) y = map1(graph, OP_exp, y);
    Node *sum = map2(graph, OP_add, x, y);
    int before = graph->node_count;
    slope(&world, sum, world.x);
    int made = graph->node_count - before;
    arena_destroy(world.arena);
    return made;
}

static void test_cost(void) {
    int short_chain = nodes_made(10, 1), long_chain = nodes_made(1000, 1), longer_chain = nodes_made(2000, 1);
    CHECK(nodes_made(10, 1000) == short_chain);
    CHECK(long_chain > short_chain && longer_chain < 2 * long_chain + 10);
}

// ---- messages, names and places

static void test_missing_derivative(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Source source = {"model.grad", "loss = sin(x) + exp(y)\n", 23};
    graph->span = (Span){&source, 7, 13};
    Node *sine = map1(graph, OP_sin, world.x);
    graph->span = (Span){&source, 16, 22};
    Node *exponential = map1(graph, OP_exp, world.y);
    Node *sum = map2(graph, OP_add, sine, exponential);
    RuleTable *rules = rules_create(world.arena);
    rules_override(rules, OP_exp, NULL);
    CHECK(slope_with(&world, sum, world.x, rules) != NULL);   // it is not on the way
    CHECK(slope_with(&world, sum, world.y, rules) == NULL);
    const char *text = diagnostics_text(world.diagnostics, false);
    CHECK(strstr(text, "model.grad:1:17: error: 'exp' has no derivative"));
    CHECK(strstr(text, "stop_gradient"));
    arena_destroy(world.arena);
}

static void test_names_and_places(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Source source = {"model.grad", "h = sin(x); l = exp(h)\n", 23};
    graph->span = (Span){&source, 4, 10};
    Node *h = map1(graph, OP_sin, map2(graph, OP_multiply, world.x, world.y));
    name_node(h, "h");
    graph->span = (Span){&source, 16, 22};
    Node *l = map2(graph, OP_multiply, map1(graph, OP_exp, h), world.y);
    const Node *by_x = slope(&world, l, world.x);
    // y * (l * cos(x y)): the inner product was made for sin, and is the cotangent of x y.
    CHECK(by_x->name && strcmp(by_x->name, "d_x") == 0);
    CHECK(by_x->span.begin == 4);
    const Node *cosine = map1(graph, OP_cos, h->inputs[0]);
    CHECK(cosine->span.begin == 4);
    const Node *found = NULL;
    NodeArray nodes = reachable(graph, (Node *const[]){(Node *)by_x}, 1);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->name && strcmp(nodes.items[i]->name, "d_h") == 0) found = nodes.items[i];
    CHECK(found && found->span.begin == 16);
    arena_destroy(world.arena);
}

// ---- loops

static Function *sum_body(World *world, bool yields) {
    Graph *graph = world->graph;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "h"};
    Node **arguments = arena_array(world->arena, Node *, 2);
    arguments[0] = variable_make(graph, &variable, DTYPE_F64, NULL, 0);
    variable.name = "x";
    arguments[1] = variable_make(graph, &variable, DTYPE_F64, NULL, 0);
    Named *results = arena_array(world->arena, Named, 2);
    results[0] = (Named){"h", track(graph, map2(graph, OP_multiply, arguments[0], arguments[1]))};
    results[1] = (Named){"hs", arguments[0]};
    Function *body = arena_new(world->arena, Function);
    *body = (Function){"body", 2, arguments, yields ? 2 : 1, results};
    return body;
}

static void test_unread_parts_of_loops_go(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    Node *power =
        loop(graph, extent_constant(graph->extents, 4), NULL, 0, &world.y, 1, &world.x, 1, sum_body(&world, true));
    Node *last = result_of(graph, power, 0);
    Named result = {"last", last};
    Node *arguments[] = {world.x, world.y};
    Function function = {"power", 2, arguments, 1, &result};
    CHECK(differentiate(graph, world.diagnostics, &function));
    const Node *finished = function.results[0].node->inputs[0];
    CHECK(finished->op == OP_loop && finished->body->result_count == 1);
    CHECK(finished->body->results[0].node->op == OP_multiply);   // and no track
    // Nothing to do: the loop is the one that it was.
    Function again = function;
    CHECK(differentiate(graph, world.diagnostics, &again) && again.results[0].node == function.results[0].node);
    // Differentiated, the forward loop keeps its carries for the reversing one.
    const Node *by_x = slope(&world, last, world.x);
    CHECK(!verify_function(graph, &function));
    CHECK(by_x->op == OP_result && by_x->inputs[0]->op == OP_loop);
    arena_destroy(world.arena);
}

// What a reversing loop reads is stacked, which takes an axis more.
static void test_too_many_axes(void) {
    World world = world_of(0);
    Graph *graph = world.graph;
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++) shape[i] = extent_constant(graph->extents, 1);
    Node *start = broadcast(graph, world.x, shape, MAX_RANK, NULL);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "h"};
    Node *h = variable_make(graph, &variable, DTYPE_F64, shape, MAX_RANK);
    Function body = {"body", 1, &h, 1, &(Named){"h", map1(graph, OP_sin, h)}};
    Node *scan = loop(graph, extent_constant(graph->extents, 4), NULL, 0, &start, 1, NULL, 0, &body);
    Node *last = reshape(graph, result_of(graph, scan, 0), NULL, 0);
    CHECK(slope(&world, last, world.x) == NULL);
    CHECK(strstr(diagnostics_text(world.diagnostics, false), "a tensor has at most 8"));
    arena_destroy(world.arena);
}

static int most_orders(const GradientCase *cases, int count, Op op) {
    int most = 0;
    for (int i = 0; i < count; i++)
        if (cases[i].orders > most && case_uses(&cases[i], op)) most = cases[i].orders;
    return most;
}

// For the library's index: each op, and up to which order its derivative is checked.
static void list_orders(void) {
    Arena *arena = arena_create();
    const RuleTable *rules = rules_create(arena);
    for (int op = 0; op < OP_COUNT; op++) {
        if (!rules_text(rules, (Op)op) && !rules_adjoint(rules, (Op)op)) continue;
        int most = most_orders(gradient_cases, gradient_case_count, (Op)op);
        int in_loops = most_orders(loop_cases, loop_case_count, (Op)op);
        printf("%s %d\n", op_name((Op)op), most > in_loops ? most : in_loops);
    }
    arena_destroy(arena);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_orders();
        return 0;
    }
    check_cases(gradient_cases, gradient_case_count);
    check_cases(edge_cases, edge_case_count);
    check_cases(loop_cases, loop_case_count);
    test_every_op_has_a_case();
    test_textbook();
    test_selects_stay_selects();
    test_marks_and_targets();
    test_requests_share();
    test_cost();
    test_missing_derivative();
    test_names_and_places();
    test_unread_parts_of_loops_go();
    test_too_many_axes();
    if (failures) printf("%d failures\n", failures);
    return failures != 0;
}
