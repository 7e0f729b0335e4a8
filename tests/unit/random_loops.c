// Loops with random bodies: with and without a carry, over one sequence or two, within each other.
#include "random_maker.h"

enum { MOST_DEPTH = 2, CAPTURES = 2, BODY_NODES = 5 };

// A further argument of the body, for a value from outside, or for one element of it.
static Node *add_argument(Generator *inner, NodeArray *arguments, const Node *outside, bool element, const char *name) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = arguments->count, .name = name};
    const Extent *const *shape = (const Extent *const *)outside->shape + element;
    Node *argument = variable_make(inner->graph, &variable, outside->dtype, shape, outside->rank - element);
    array_push(inner->graph->arena, arguments, argument);
    return argument;
}

static void add_value(Generator *inner, Node *node, double bound) {
    inner->pool[inner->count++] = (Entry){node, bound};
}

// The last value of the body that a loop may hand out, stacked over `trips`.
static Entry last_value(Generator *inner, const Extent *trips) {
    for (int i = inner->count - 1; i >= 0; i--) {
        Entry entry = inner->pool[i];
        const int64_t dims[] = {TYPICAL_N};
        int64_t size = typical_size(entry.node) * extent_evaluate(trips, dims, NULL);
        if (entry.node->rank < 4 && size <= LARGEST) return entry;
    }
    return inner->pool[0];
}

// The value with the sums of what else the body has made, from number `first` on, so that all of it matters.
static Entry with_the_rest(Generator *inner, Entry value, int first) {
    Graph *graph = inner->graph;
    for (int i = first; i < inner->count; i++) {
        Entry entry = inner->pool[i];
        if (entry.node == value.node) continue;
        int axes[MAX_RANK];
        for (int k = 0; k < entry.node->rank; k++) axes[k] = k;
        Node *squeezed_value = map1(graph, OP_sin, squeezed(inner, entry, 8));
        Node *sum = reduce(graph, OP_reduce_sum, squeezed_value, axes, entry.node->rank);
        const Extent *const *shape = (const Extent *const *)value.node->shape;
        Node *repeated = broadcast(graph, sum, shape, value.node->rank, NULL);
        value = (Entry){map2(graph, OP_add, value.node, repeated), value.bound + (double)typical_size(entry.node)};
    }
    return value;
}

static Function *body_of(Generator *inner, const NodeArray *arguments, const Node *carry, Entry yield) {
    Graph *graph = inner->graph;
    Function *body = arena_new(graph->arena, Function);
    *body = (Function){.name = "body", .arguments = arguments->items, .argument_count = arguments->count};
    body->results = arena_array(graph->arena, Named, 2);
    if (carry) {
        Node *more = fitted(inner, yield, carry).node;
        Node *half = map2(graph, OP_multiply, number_like(inner, carry, 0.5), (Node *)carry);
        Node *next = map1(graph, OP_tanh, map2(graph, OP_add, half, more));
        body->results[body->result_count++] = (Named){"carry", next};
        int choice = (int)random_below(&inner->random, 8);   // the carry of all iterations, before or after
        if (choice < 2 && carry->rank < 4) yield.node = choice ? next : (Node *)carry;
    }
    body->results[body->result_count++] = (Named){"yield", yield.node};
    return body;
}

// Over the first axis of one or two values; with `carries`, a value goes from iteration to iteration.
Entry make_random_loop(Generator *g) {
    Graph *graph = g->graph;
    Entry x = pick_entry(g), y = pick_entry(g);
    bool carries = random_below(&g->random, 2);
    if (!x.node->rank || g->depth >= MOST_DEPTH || (carries && !typical_size(x.node))) return x;
    bool two = y.node->rank && y.node != x.node && y.node->shape[0] == x.node->shape[0];
    Generator inner = {.graph = graph, .random = g->random, .dtype = g->dtype, .open = g->open, .depth = g->depth + 1};
    NodeArray arguments = {0};
    Node *sequences[] = {x.node, y.node}, *captures[CAPTURES + 1], *first = NULL, *carry = NULL;
    add_value(&inner, add_argument(&inner, &arguments, x.node, true, "element"), x.bound);
    if (two) add_value(&inner, add_argument(&inner, &arguments, y.node, true, "other"), y.bound);
    if (carries) {
        first = number_like(g, inner.pool[0].node, 0.5);
        carry = add_argument(&inner, &arguments, first, false, "carry");
        add_value(&inner, carry, 1);
    }
    for (int i = 0; i < CAPTURES; i++) {
        Entry outside = pick_entry(g);
        captures[i] = outside.node;
        add_value(&inner, add_argument(&inner, &arguments, outside.node, false, "capture"), outside.bound);
    }
    captures[CAPTURES] = g->indices;
    inner.indices = add_argument(&inner, &arguments, g->indices, false, "indices");
    int first_made = inner.count;
    for (int tries = 0, wanted = inner.count + BODY_NODES; inner.count < wanted && tries < 20; tries++) {
        Entry made = make_any(&inner);
        if (made.node->rank <= 3 && typical_size(made.node) <= LARGEST) inner.pool[inner.count++] = made;
    }
    g->random = inner.random;
    Entry yield = with_the_rest(&inner, last_value(&inner, x.node->shape[0]), first_made);
    Function *body = body_of(&inner, &arguments, carry, yield);
    Node *node = loop(graph, x.node->shape[0], sequences, 1 + two, &first, carries, captures, CAPTURES + 1, body);
    if (carries && random_below(&g->random, 2)) return (Entry){result_of(graph, node, 0), 1};
    return (Entry){result_of(graph, node, carries), yield.bound < 1 ? 1 : yield.bound};
}
