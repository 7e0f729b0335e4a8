// The generator: a pool of values that grows by one operation at a time, chosen from a table of makers.
#include "random_maker.h"

#include <math.h>
#include <string.h>

Random random_start(uint64_t seed) {
    Random random = {seed * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x632be59bd9b4e019)};
    if (!random.state) random.state = 1;
    for (int i = 0; i < 8; i++) random_word(&random);
    return random;
}

uint64_t random_word(Random *random) {
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

int random_below(Random *random, int bound) {
    return (int)(random_word(random) >> 33) % bound;
}

double random_real(Random *random, double low, double high) {
    return low + (high - low) * (double)(random_word(random) >> 11) * 0x1p-53;
}

const Extent *number_extent(Generator *g, int64_t value) {
    return extent_constant(g->graph->extents, value);
}

// Elements for a typical N, to keep values small.
int64_t typical_size(const Node *node) {
    const int64_t dims[] = {TYPICAL_N};
    int64_t size = 1;
    for (int i = 0; i < node->rank; i++) size *= extent_evaluate(node->shape[i], dims, NULL);
    return size;
}

const Extent *random_extent(Generator *g) {
    static const int sizes[] = {1, 2, 3, 4, 7, 8, 9, 17, 33};
    int choice = random_below(&g->random, 13);
    if (random_below(&g->random, 40) == 0) return number_extent(g, 0);
    if (choice >= 9) return g->open;
    return number_extent(g, sizes[choice]);
}

Entry pick_entry(Generator *g) {
    return g->pool[random_below(&g->random, g->count)];
}

Node *number_like(Generator *g, const Node *like, double value) {
    return constant_like(g->graph, (Node *)like, value);
}

// ---- elementwise functions of one value

static Node *plus_number(Generator *g, Node *x, double value) {
    return map2(g->graph, OP_add, x, number_like(g, x, value));
}

// x^2 + value: away from 0 for value > 0.
static Node *positive(Generator *g, Node *x, double value) {
    return plus_number(g, map2(g->graph, OP_multiply, x, x), value);
}

typedef struct {
    Op op;
    double limit;      // arguments are squeezed into (-limit, limit) first; 0: any will do
    double positive;   // the argument is squared and this added; 0: not
    double bound;      // of the result; 0: that of the argument
} Unary;

static const Unary unaries[] = {
    {OP_negate, 0, 0, 0}, {OP_absolute, 0, 0, 0}, {OP_exp, 2, 0, 8},           {OP_expm1, 2, 0, 8},
    {OP_log, 0, 0.5, 8},  {OP_log1p, 0, 0.2, 8},  {OP_sin, 0, 0, 1},           {OP_cos, 0, 0, 1},
    {OP_tanh, 0, 0, 1},   {OP_atan, 0, 0, 1.6},   {OP_sigmoid, 0, 0, 1},       {OP_erf, 0, 0, 1},
    {OP_sqrt, 0, 0.3, 8}, {OP_floor, 0, 0, 0},    {OP_ceil, 0, 0, 0},          {OP_round, 0, 0, 0},
    {OP_sign, 0, 0, 1},   {OP_track, 0, 0, 0},    {OP_stop_gradient, 0, 0, 0},
};

// The value, squeezed by tanh if it may be larger than `limit`.
Node *squeezed(Generator *g, Entry x, double limit) {
    if (x.bound <= limit) return x.node;
    return map2(g->graph, OP_multiply, number_like(g, x.node, limit), map1(g->graph, OP_tanh, x.node));
}

static Entry make_unary(Generator *g) {
    const Unary *unary = &unaries[random_below(&g->random, sizeof unaries / sizeof *unaries)];
    Entry x = pick_entry(g);
    Node *argument = unary->limit ? squeezed(g, x, unary->limit) : squeezed(g, x, 8);
    if (unary->positive) argument = positive(g, argument, unary->positive);
    if (unary->op == OP_track) return (Entry){track(g->graph, argument), x.bound};
    if (unary->op == OP_stop_gradient) return (Entry){stop_gradient(g->graph, argument), x.bound};
    double bound = unary->bound ? unary->bound : fmin(x.bound, 8) + 1;
    return (Entry){map1(g->graph, unary->op, argument), bound};
}

// ---- elementwise functions of two or three values

// y repeated, summed or sliced to the shape of x, as far as its axes allow; else a number.
Entry fitted(Generator *g, Entry y, const Node *x) {
    if (same_shape(y.node, x)) return y;
    int axes[MAX_RANK], next = 0;
    for (int i = 0; i < x->rank && next < y.node->rank; i++)
        if (y.node->shape[next] == x->shape[i] || extent_is(y.node->shape[next], 1)) axes[next++] = i;
    if (next < y.node->rank) return (Entry){number_like(g, x, 0.75), 1};
    return (Entry){broadcast(g->graph, y.node, (const Extent *const *)x->shape, x->rank, axes), y.bound};
}

static Entry make_binary(Generator *g) {
    static const Op ops[] = {OP_add, OP_add,     OP_subtract, OP_multiply, OP_multiply,  OP_divide,
                             OP_pow, OP_maximum, OP_minimum,  OP_fma,      OP_remainder, OP_floor_divide};
    Op op = ops[random_below(&g->random, sizeof ops / sizeof *ops)];
    Entry x = pick_entry(g), y = fitted(g, pick_entry(g), x.node);
    Node *a = squeezed(g, x, 8), *b = squeezed(g, y, 8);
    switch (op) {
    case OP_divide: return (Entry){map2(g->graph, op, a, positive(g, b, 0.7)), 12};
    case OP_floor_divide: return (Entry){map2(g->graph, op, a, positive(g, b, 0.7)), 14};
    case OP_remainder: return (Entry){map2(g->graph, op, a, positive(g, b, 0.7)), 70};
    case OP_pow: return (Entry){map2(g->graph, op, positive(g, squeezed(g, x, 2), 0.5), squeezed(g, y, 2)), 21};
    case OP_fma: {
        Node *c = fitted(g, pick_entry(g), x.node).node;
        return (Entry){map3(g->graph, op, a, b, map1(g->graph, OP_tanh, c)), 65};
    }
    case OP_multiply: return (Entry){map2(g->graph, op, a, b), 64};
    default: return (Entry){map2(g->graph, op, a, b), 16};
    }
}

static Entry make_where(Generator *g) {
    static const Op comparisons[] = {OP_less, OP_less_equal, OP_equal, OP_not_equal};
    Entry x = pick_entry(g), y = fitted(g, pick_entry(g), x.node), z = fitted(g, pick_entry(g), x.node);
    Node *condition = map2(g->graph, comparisons[random_below(&g->random, 4)], x.node, y.node);
    if (random_below(&g->random, 3) == 0) {
        Node *other = map2(g->graph, OP_less, z.node, y.node);
        condition = map2(g->graph, random_below(&g->random, 2) ? OP_logical_and : OP_logical_or, condition, other);
    }
    if (random_below(&g->random, 4) == 0) condition = map1(g->graph, OP_logical_not, condition);
    return (Entry){map3(g->graph, OP_where, condition, y.node, z.node), fmax(y.bound, z.bound)};
}

// There and back through the other floating dtype would lose digits of the finite differences: only f64 through itself.
static Entry make_cast(Generator *g) {
    Entry x = pick_entry(g);
    Node *whole = cast(g->graph, map1(g->graph, OP_floor, squeezed(g, x, 8)), DTYPE_I32);
    Node *back = cast(g->graph, whole, g->dtype);
    return (Entry){map2(g->graph, OP_multiply, map1(g->graph, OP_cos, back), squeezed(g, x, 8)), 8};
}

// ---- derivatives

// The derivative of sin(t) * y by t: forwards, backwards with a cotangent, or all of it.
static Entry make_derivative(Generator *g) {
    Graph *graph = g->graph;
    Entry x = pick_entry(g), y = fitted(g, pick_entry(g), x.node), z = fitted(g, pick_entry(g), x.node);
    Node *target = track(graph, squeezed(g, x, 4)), *direction = squeezed(g, z, 4);
    Node *value = map2(graph, OP_multiply, map1(graph, OP_sin, target), squeezed(g, y, 4));
    int choice = random_below(&g->random, 3);
    if (choice == 2 && x.node->rank < 4 && typical_size(x.node) * typical_size(x.node) <= LARGEST)
        return (Entry){result_of(graph, jacobian(graph, value, &target, 1), 0), 4};
    Node *request =
        choice ? tangent(graph, value, &target, &direction, 1) : gradient(graph, value, direction, &target, 1, false);
    return (Entry){result_of(graph, request, 0), 16};
}

// x * sin(y), with its true derivative given as a user would: derivative(ct) = ct * sin(y), ct * x * cos(y).
static Entry make_custom(Generator *g) {
    Graph *graph = g->graph;
    Entry x = pick_entry(g), y = fitted(g, pick_entry(g), x.node);
    Node *arguments[2] = {squeezed(g, x, 4), squeezed(g, y, 4)}, *inner[3];
    Node *sine = map1(graph, OP_sin, arguments[1]), *value = map2(graph, OP_multiply, arguments[0], sine);
    Node *captures[2] = {sine, map2(graph, OP_multiply, arguments[0], map1(graph, OP_cos, arguments[1]))};
    static const char *const names[] = {"ct", "sine", "product"};
    for (int i = 0; i < 3; i++) {
        Variable variable = {.kind = VARIABLE_ARGUMENT, .index = i, .name = names[i]};
        inner[i] = variable_make(graph, &variable, g->dtype, (const Extent *const *)value->shape, value->rank);
    }
    Function *body = arena_new(graph->arena, Function);
    *body = (Function){.name = "derivative", .argument_count = 3, .result_count = 2};
    body->arguments = arena_copy(graph->arena, inner, sizeof inner);
    body->results = arena_array(graph->arena, Named, 2);
    for (int i = 0; i < 2; i++) body->results[i] = (Named){"d", map2(graph, OP_multiply, inner[0], inner[1 + i])};
    return (Entry){result_of(graph, custom(graph, &value, 1, arguments, 2, captures, 2, body), 0), 4};
}

// ---- the whole

static const struct {
    Maker *make;
    int weight;
} makers[] = {
    {make_unary, 16},   {make_binary, 12},   {make_where, 4},        {make_cast, 2},   {make_transpose, 3},
    {make_reshape, 3},  {make_broadcast, 4}, {make_slice_or_pad, 4}, {make_reduce, 7}, {make_argmax, 1},
    {make_contract, 6}, {make_gather, 3},    {make_scatter, 4},      {make_leaf, 3},   {make_scan, 3},
    {make_window, 4},   {make_sort, 3},      {make_derivative, 4},   {make_custom, 2}, {make_random_loop, 8},
};

Entry make_any(Generator *g) {
    int total = 0, count = sizeof makers / sizeof *makers;
    for (int i = 0; i < count; i++) total += makers[i].weight;
    int choice = random_below(&g->random, total);
    for (int i = 0; i < count; i++) {
        if (choice < makers[i].weight) return makers[i].make(g);
        choice -= makers[i].weight;
    }
    return g->pool[0];
}

static Node *make_input(Generator *g, int index, Dtype dtype, const Extent *const *shape, int rank) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "indices"};
    Variable variable = {.kind = VARIABLE_INPUT, .index = index, .name = names[dtype_is_float(dtype) ? index : 5]};
    variable.requires_grad = dtype_is_float(dtype);
    return variable_make(g->graph, &variable, dtype, shape, rank);
}

static void add_input(Generator *g, RandomProgram *program) {
    const Extent *shape[MAX_RANK];
    int rank = random_below(&g->random, 4);
    for (int i = 0; i < rank; i++) shape[i] = random_extent(g);
    Node *input = make_input(g, program->floating_count, g->dtype, shape, rank);
    program->function.arguments[program->floating_count++] = input;
    g->pool[g->count++] = (Entry){input, 2};
}

// sum(cos(k) * squeezed value) over the values that nothing reads, so that all of the program matters.
static Node *loss_of(Generator *g, const bool *read) {
    Node *loss = NULL;
    for (int i = 0; i < g->count; i++) {
        Entry entry = g->pool[i];
        if (read[entry.node->id] && i < g->count - 1) continue;
        Node *value = map1(g->graph, OP_sin, squeezed(g, entry, 8));
        int axes[MAX_RANK];
        for (int k = 0; k < value->rank; k++) axes[k] = k;
        Node *sum = reduce(g->graph, OP_reduce_sum, value, axes, value->rank);
        sum = map2(g->graph, OP_multiply, sum, constant_real(g->graph, g->dtype, 0.5 + 0.25 * (i % 3)));
        loss = loss ? map2(g->graph, OP_add, loss, sum) : sum;
    }
    return loss;
}

static void count_uses(Graph *graph, RandomProgram *program) {
    bool *varies = arena_array(graph->arena, bool, graph->node_count);
    NodeArray nodes = reachable(graph, &program->function.results[0].node, 1);
    for (int i = 0; i < program->floating_count; i++) varies[program->function.arguments[i]->id] = true;
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        for (int k = 0; k < node->input_count; k++)
            if (varies[node->inputs[k]->id]) varies[node->id] = true;
        if (!varies[node->id]) continue;
        program->uses[node->op]++;
        varies[node->id] = node->op != OP_stop_gradient;
    }
}

RandomProgram random_program(Graph *graph, uint64_t seed, Dtype dtype, int nodes) {
    RandomProgram program = {.index_limit = 3};
    Generator g = {.graph = graph, .random = random_start(seed), .dtype = dtype};
    g.open = extent_dim(graph->extents, 0, "N");
    program.function = (Function){.name = "random", .result_count = 1};
    program.function.arguments = arena_array(graph->arena, Node *, 8);
    for (int i = 0; i < 3; i++) add_input(&g, &program);
    g.indices = make_input(&g, 0, DTYPE_I32, (const Extent *[]){number_extent(&g, 7)}, 1);
    program.function.argument_count = program.floating_count + 1;
    program.function.arguments[program.floating_count] = g.indices;
    for (int tries = 0; g.count < nodes && tries < 20 * nodes; tries++) {
        Entry made = make_any(&g);
        if (made.node->rank > 4 || typical_size(made.node) > LARGEST) continue;
        bool known = false;
        for (int i = 0; i < g.count; i++) known = known || g.pool[i].node == made.node;
        if (!known) g.pool[g.count++] = made;
    }
    bool *read = arena_array(graph->arena, bool, graph->node_count + 1);
    Node **roots = arena_array(graph->arena, Node *, g.count);
    for (int i = 0; i < g.count; i++) roots[i] = g.pool[i].node;
    NodeArray all = reachable(graph, roots, g.count);
    for (int i = 0; i < all.count; i++)
        for (int k = 0; k < all.items[i]->input_count; k++) read[all.items[i]->inputs[k]->id] = true;
    for (int i = program.floating_count; i < g.count; i++) array_push(graph->arena, &program.inner, g.pool[i].node);
    program.function.results = arena_array(graph->arena, Named, 1);
    program.function.results[0] = (Named){"loss", loss_of(&g, read)};
    count_uses(graph, &program);
    return program;
}
