// What a loop need not compute in each of its iterations.
//
// Needs: nothing; loops whose bodies still ask for derivatives stay as they are. Keeps: every value, to the bit: a row of
// a product does not depend on the rows beside it (semantics.md, S10). Changes: a product in a body that depends on
// sequences and captures alone, with the elementwise operations that follow it, becomes one product for all iterations
// before the loop (the iterations are an axis more, as in batch.c), and the loop reads its rows as a sequence. What
// depends on captures alone is computed once. What a loop yields of a sequence unchanged is that sequence.
//
// Done before differentiation as well as after it: the derivative of a product that stands before the loop is a product
// behind the reversed one.
#include "differentiate/batch.h"
#include "graph/rewrite.h"

enum {
    LEAST_SUMMED = 8,   // shorter sums are done as fast where they are as rows are written and read
    MOST_GROWTH = 16,   // of the memory for the rows, beside what the loop reads and yields
    IN_ITERATION = 1,   // depends on the element of a sequence
    IN_TURN = 2,        // depends on what an earlier iteration left, or may not be moved
    MAX_USERS_COUNTED = 2
};

typedef struct {
    int depends, users;
    bool dear;    // it or something below it is worth to be computed elsewhere
    Node *user;   // one of them
} Facts;

typedef struct {
    Graph *graph;
    Node *loop;
    Function *body;
    NodeArray nodes;
    NodeMap facts;
    NodeArray exits;   // nodes of the body that are computed before the loop
} Hoist;

static Facts *facts_of(const Hoist *hoist, const Node *node) {
    return node_map_get(&hoist->facts, node);
}

static bool asks_for_derivatives(Graph *graph, const Function *body) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, body), body->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (is_request(nodes.items[i]) || (nodes.items[i]->body && asks_for_derivatives(graph, nodes.items[i]->body)))
            return true;
    return false;
}

static bool draws(Graph *graph, const Node *node) {
    if (node->op == OP_random_uniform || node->op == OP_random_normal) return true;
    if (!node->body) return false;
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, node->body), node->body->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (draws(graph, nodes.items[i])) return true;
    return false;
}

// An index out of range is found where an iteration reads it, and only there.
static bool must_stay(Graph *graph, const Node *node) {
    return op_class(node->op) == CLASS_GATHER || op_class(node->op) == CLASS_MARK || node->body || draws(graph, node);
}

static int argument_dependence(const Hoist *hoist, int argument) {
    int sequences = loop_part(hoist->loop, 0), first_capture = sequences + loop_part(hoist->loop, 1);
    return argument < sequences ? IN_ITERATION : argument < first_capture ? IN_TURN : 0;
}

static bool is_dear(const Node *node) {
    OpClass class = op_class(node->op);
    if (class == CLASS_CONTRACT || class == CLASS_REDUCE) return true;
    return node->rank > 0 && class == CLASS_MAP &&
           (op_is_function(node->op) || node->op == OP_divide || node->op == OP_sqrt);
}

static void find_facts(Hoist *hoist) {
    Graph *graph = hoist->graph;
    hoist->nodes = reachable(graph, result_nodes(graph->arena, hoist->body), hoist->body->result_count);
    for (int i = 0; i < hoist->body->argument_count; i++) {
        Facts *facts = arena_new(graph->arena, Facts);
        facts->depends = argument_dependence(hoist, i);
        node_map_set(&hoist->facts, hoist->body->arguments[i], facts);
    }
    for (int i = 0; i < hoist->nodes.count; i++) {
        Node *node = hoist->nodes.items[i];
        Facts *facts = facts_of(hoist, node);
        if (facts) continue;
        facts = arena_new(graph->arena, Facts);
        node_map_set(&hoist->facts, node, facts);
        if (must_stay(graph, node)) facts->depends = IN_TURN;
        facts->dear = is_dear(node);
        for (int k = 0; k < node->input_count; k++) {
            Facts *input = facts_of(hoist, node->inputs[k]);
            facts->depends |= input->depends;
            facts->dear = facts->dear || input->dear;
            input->user = node;
            input->users++;
        }
    }
    for (int i = 0; i < hoist->body->result_count; i++)
        facts_of(hoist, hoist->body->results[i].node)->users += MAX_USERS_COUNTED;   // it must be there as it is
}

// ---- products of what sequences hold

static const Extent *elements_read_and_yielded(const Hoist *hoist) {
    const Function *body = hoist->body;
    const Extent *count = extent_constant(hoist->graph->extents, 0);
    for (int i = 0; i < loop_part(hoist->loop, 0); i++)
        count = extent_add(hoist->graph->extents, count, element_count(hoist->graph, body->arguments[i]));
    for (int i = loop_part(hoist->loop, 1); i < body->result_count; i++)
        count = extent_add(hoist->graph->extents, count, element_count(hoist->graph, body->results[i].node));
    return count;
}

// The extent of what the product sums; an open one is long enough.
static bool sums_enough(const Node *node) {
    int ranks[2] = {attribute_integer(node, 0), attribute_integer(node, 1)};
    int64_t summed = 1, size;
    for (int i = 0; i < ranks[0]; i++) {
        int label = attribute_integer(node, 2 + i);
        bool kept = false;
        for (int k = 0; k < node->rank; k++)
            kept = kept || attribute_integer(node, 2 + ranks[0] + ranks[1] + k) == label;
        if (kept) continue;
        if (!extent_is_constant(node->inputs[0]->shape[i], &size)) return true;
        summed *= size;
    }
    return summed >= LEAST_SUMMED;
}

// The last of the elementwise operations that nothing but the product reads, directly or through the ones before.
static Node *top_of(const Hoist *hoist, Node *node) {
    for (;;) {
        const Facts *facts = facts_of(hoist, node);
        if (facts->users != 1 || op_class(facts->user->op) != CLASS_MAP) return node;
        if (facts_of(hoist, facts->user)->depends & IN_TURN) return node;
        node = facts->user;
    }
}

static void add_exit(Hoist *hoist, Node *node) {
    for (int i = 0; i < hoist->exits.count; i++)
        if (hoist->exits.items[i] == node) return;
    array_push(hoist->graph->arena, &hoist->exits, node);
}

static void find_products(Hoist *hoist) {
    Graph *graph = hoist->graph;
    const Extent *growth = extent_constant(graph->extents, MOST_GROWTH);
    const Extent *most = extent_multiply(graph->extents, elements_read_and_yielded(hoist), growth);
    for (int i = 0; i < hoist->nodes.count; i++) {
        Node *node = hoist->nodes.items[i];
        if (node->op != OP_contract || facts_of(hoist, node)->depends != IN_ITERATION || node->rank == MAX_RANK)
            continue;
        if (!sums_enough(node) || !extent_at_least(graph->extents, most, element_count(graph, node))) continue;
        add_exit(hoist, top_of(hoist, node));
    }
}

// ---- what is the same in all iterations

static void find_constants(Hoist *hoist, Node *node) {
    const Facts *facts = facts_of(hoist, node);
    if (!facts->dear) return;
    if (op_class(node->op) != CLASS_VIEW) {
        add_exit(hoist, node);
        return;
    }
    find_constants(hoist, node->inputs[0]);
}

static void find_all_constants(Hoist *hoist) {
    for (int i = 0; i < hoist->nodes.count; i++) {
        Node *node = hoist->nodes.items[i];
        for (int k = 0; k < node->input_count && facts_of(hoist, node)->depends; k++)
            if (!facts_of(hoist, node->inputs[k])->depends) find_constants(hoist, node->inputs[k]);
    }
    for (int i = 0; i < hoist->body->result_count; i++)
        if (!facts_of(hoist, hoist->body->results[i].node)->depends)
            find_constants(hoist, hoist->body->results[i].node);
}

// ---- before the loop

// The values of the exits, with the iterations in front where they differ; NULL: there is an op without a rule.
static Node **values_before(const Hoist *hoist) {
    Graph *graph = hoist->graph;
    Node *loop_node = hoist->loop;
    int sequences = loop_part(loop_node, 0), carries = loop_part(loop_node, 1), captures = loop_part(loop_node, 2);
    Function body = *hoist->body;
    body.argument_count = sequences + captures;
    body.arguments = arena_array(graph->arena, Node *, body.argument_count);
    for (int i = 0; i < sequences; i++) body.arguments[i] = hoist->body->arguments[i];
    for (int i = 0; i < captures; i++) body.arguments[sequences + i] = hoist->body->arguments[sequences + carries + i];
    body.results = arena_array(graph->arena, Named, hoist->exits.count);
    body.result_count = hoist->exits.count;
    for (int i = 0; i < body.result_count; i++) body.results[i].node = hoist->exits.items[i];
    Node *before =
        loop(graph, loop_node->attributes[0], loop_node->inputs, sequences, NULL, 0,
             loop_node->inputs + sequences + carries, captures, arena_copy(graph->arena, &body, sizeof body));
    return batch_loop(graph, before);
}

// Of one that all iterations share, batching repeats the value along an axis in front.
static Node *without_iterations(Graph *graph, Node *stacked) {
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    if (stacked->op == OP_broadcast && stacked->inputs[0]->rank == stacked->rank - 1) return stacked->inputs[0];
    for (int i = 0; i < stacked->rank; i++) {
        starts[i] = extent_constant(graph->extents, 0);
        steps[i] = 1;
        shape[i] = i ? stacked->shape[i] : extent_constant(graph->extents, 1);
    }
    return reshape(graph, slice(graph, stacked, starts, steps, shape), shape + 1, stacked->rank - 1);
}

// ---- the loop without them

// The new loop. Its body's arguments are all new, made just before the body's nodes: differentiation keeps tables from the
// oldest of them to the results.
typedef struct {
    const Hoist *hoist;
    Node *const *values;   // of the exits
    Node **old, **exits;   // what stands in the new body for the old one's arguments, and for the exits
    NodeMap read;          // of the new body's nodes: themselves
    NodeArray inputs, arguments;
    int counts[3];   // sequences, carries, captures
} Rest;

static Node *new_argument(Graph *graph, NodeMap *map, const Node *like, const Variable *variable) {
    Node *argument = variable_make(graph, variable, like->dtype, (const Extent *const *)like->shape, like->rank);
    node_map_set(map, like, argument);
    return argument;
}

// The results of the body, with new arguments.
static Node **new_roots(Rest *rest) {
    const Hoist *hoist = rest->hoist;
    Graph *graph = hoist->graph;
    const Function *body = hoist->body;
    NodeMap map = {.arena = graph->arena};
    rest->old = arena_array(graph->arena, Node *, body->argument_count);
    rest->exits = arena_array(graph->arena, Node *, hoist->exits.count);
    for (int i = 0; i < body->argument_count; i++)
        rest->old[i] = new_argument(graph, &map, body->arguments[i], body->arguments[i]->variable);
    for (int i = 0; i < hoist->exits.count; i++) {
        const Node *exit = hoist->exits.items[i];
        Variable variable = {.kind = VARIABLE_ARGUMENT, .name = exit->name ? exit->name : "hoisted"};
        rest->exits[i] = new_argument(graph, &map, exit, &variable);
    }
    Node **roots = result_nodes(graph->arena, body);
    substitute(graph, &map, roots, body->result_count, roots);
    NodeArray nodes = reachable(graph, roots, body->result_count);
    rest->read = (NodeMap){.arena = graph->arena};
    for (int i = 0; i < nodes.count; i++) node_map_set(&rest->read, nodes.items[i], nodes.items[i]);
    return roots;
}

static void add_input(Rest *rest, int kind, Node *value, Node *argument) {
    argument->variable->index = rest->arguments.count;
    array_push(rest->hoist->graph->arena, &rest->inputs, value);
    array_push(rest->hoist->graph->arena, &rest->arguments, argument);
    rest->counts[kind]++;
}

// Those that are still read; all carries.
static void add_inputs(Rest *rest) {
    enum { SEQUENCES, CARRIES, CAPTURES, KINDS };
    const Hoist *hoist = rest->hoist;
    for (int kind = 0, first = 0; kind < KINDS; kind++) {
        int end = first + loop_part(hoist->loop, kind);
        for (int i = first; i < end; i++)
            if (kind == CARRIES || node_map_get(&rest->read, rest->old[i]))
                add_input(rest, kind, hoist->loop->inputs[i], rest->old[i]);
        first = end;
        for (int i = 0; i < hoist->exits.count; i++) {
            bool differs = facts_of(hoist, hoist->exits.items[i])->depends != 0;
            if (kind != (differs ? SEQUENCES : CAPTURES) || !node_map_get(&rest->read, rest->exits[i])) continue;
            Node *value = differs ? rest->values[i] : without_iterations(hoist->graph, rest->values[i]);
            add_input(rest, kind, value, rest->exits[i]);
        }
    }
}

// The sequence that the node is an element of; NULL: it is none.
static Node *sequence_of(const Rest *rest, const Node *node) {
    for (int i = 0; i < rest->counts[0]; i++)
        if (rest->arguments.items[i] == node) return rest->inputs.items[i];
    return NULL;
}

// What stands for the results of the old loop, in their order.
static Node **results_after(Rest *rest) {
    const Hoist *hoist = rest->hoist;
    Graph *graph = hoist->graph;
    int count = hoist->body->result_count;
    Node **roots = new_roots(rest), **results = arena_array(graph->arena, Node *, count);
    add_inputs(rest);
    Function *body = arena_new(graph->arena, Function);
    *body = with_results(graph->arena, hoist->body, roots);
    body->arguments = rest->arguments.items;
    body->argument_count = rest->arguments.count;
    body->result_count = 0;
    for (int i = 0; i < count; i++) {
        results[i] = i < rest->counts[1] ? NULL : sequence_of(rest, roots[i]);
        if (!results[i]) body->results[body->result_count++] = body->results[i];
    }
    Node **items = rest->inputs.items;
    const int *counts = rest->counts;
    Node *after = loop(graph, hoist->loop->attributes[0], items, counts[0], items + counts[0], counts[1],
                       items + counts[0] + counts[1], counts[2], body);
    name_node(after, hoist->loop->name);
    for (int i = 0, next = 0; i < count; i++)
        if (!results[i]) results[i] = result_of(graph, after, next++);
    return results;
}

// NULL: there is nothing to be moved.
static Node **hoisted(Graph *graph, Node *loop_node, const void *context) {
    (void)context;
    Hoist hoist = {.graph = graph, .loop = loop_node, .body = loop_node->body, .facts = {.arena = graph->arena}};
    if (!loop_part(loop_node, 1) || asks_for_derivatives(graph, hoist.body)) return NULL;
    find_facts(&hoist);
    find_products(&hoist);
    find_all_constants(&hoist);
    if (!hoist.exits.count) return NULL;
    Span outer = graph->span;
    graph->span = loop_node->span;
    Rest rest = {.hoist = &hoist, .values = values_before(&hoist)};
    Node **results = rest.values ? results_after(&rest) : NULL;
    graph->span = outer;
    return results;
}

void hoist_from_loops(Graph *graph, Function *function) {
    replace_loops(graph, function, hoisted, NULL);
}
