// The reducer of graphs: tries one replacement after the other, from the result downwards, and begins again after each
// that is taken.
#include "graph_reduce.h"
#include "graph/rewrite.h"

#include <string.h>

typedef struct {
    Graph *graph;
    Function best;
    GraphShowsFault *shows;
    void *context;
    int budget;
    int next_argument;   // number of the next new one
} Search;

static NodeArray nodes_of(Graph *graph, const Function *function) {
    return reachable(graph, result_nodes(graph->arena, function), function->result_count);
}

int graph_size(Graph *graph, const Function *function) {
    NodeArray nodes = nodes_of(graph, function);
    int size = nodes.count;
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->body) size += graph_size(graph, nodes.items[i]->body);
    return size;
}

// Leaves are better than what computes something.
static int cost_of(Graph *graph, const Function *function) {
    NodeArray nodes = nodes_of(graph, function);
    int cost = 0;
    for (int i = 0; i < nodes.count; i++) {
        OpClass class = op_class(nodes.items[i]->op);
        bool number = nodes.items[i]->op == OP_constant || nodes.items[i]->op == OP_broadcast;
        cost += number ? 1 : class == CLASS_LEAF ? 2 : 6;
        if (nodes.items[i]->body) cost += cost_of(graph, nodes.items[i]->body);
    }
    return cost;
}

static Function with_replaced(Graph *graph, const Function *function, Node *old, Node *new) {
    NodeMap map = {.arena = graph->arena};
    node_map_set(&map, old, new);
    Node **roots = result_nodes(graph->arena, function);
    substitute(graph, &map, roots, function->result_count, roots);
    return with_results(graph->arena, function, roots);
}

// ---- alternatives for one node

enum { MOST_ALTERNATIVES = 24 };

static bool fits(const Node *a, const Node *b) {
    return a->dtype == b->dtype && same_shape(a, b);
}

// What may stand in place of the node: its inputs, arguments of the function, a number; `fresh`: a new argument.
static int alternatives(Graph *graph, const Function *function, Node *node, Node **found, Node **fresh, int index) {
    int count = 0;
    *fresh = NULL;
    if (node->dtype == DTYPE_TUPLE) return 0;
    const Node *reader = node->op == OP_result ? node->inputs[0] : node;
    for (int i = 0; i < reader->input_count && count < 8; i++)
        if (fits(reader->inputs[i], node)) found[count++] = reader->inputs[i];
    for (int i = 0; i < function->argument_count && count < 16; i++)
        if (function->arguments[i] != node && fits(function->arguments[i], node))
            found[count++] = function->arguments[i];
    bool number = node->op == OP_constant || is_constant(node, 0.5);
    if (!number && node->dtype != DTYPE_BOOL) found[count++] = constant_like(graph, node, 0.5);
    if (dtype_is_float(node->dtype) && node->op != OP_variable && index >= 0) {
        Variable variable = {.kind = VARIABLE_INPUT, .index = index, .name = "x", .requires_grad = true};
        variable.name = arena_print(graph->arena, "x%d", index);
        *fresh = variable_make(graph, &variable, node->dtype, (const Extent *const *)node->shape, node->rank);
    }
    return count;
}

// ---- tries

static bool take(Search *search, Function candidate) {
    Graph *graph = search->graph;
    if (search->budget <= 0 || cost_of(graph, &candidate) >= cost_of(graph, &search->best)) return false;
    if (verify_function(graph, &candidate)) return false;   // such as a target that is no variable any more
    search->budget--;
    if (!search->shows(search->context, &candidate)) return false;
    search->best = candidate;
    return true;
}

static Function with_argument(Graph *graph, Function function, Node *argument) {
    Node **arguments = arena_array(graph->arena, Node *, function.argument_count + 1);
    memcpy(arguments, function.arguments, sizeof *arguments * (size_t)function.argument_count);
    arguments[function.argument_count++] = argument;
    function.arguments = arguments;
    return function;
}

static Function without_argument(Graph *graph, Function function, int at) {
    Node **arguments = arena_array(graph->arena, Node *, function.argument_count);
    int count = 0;
    for (int i = 0; i < function.argument_count; i++)
        if (i != at) arguments[count++] = function.arguments[i];
    function.arguments = arguments;
    function.argument_count = count;
    return function;
}

// Drops arguments that nothing reads. Not counted as a cost, so it is tried by itself.
static void drop_arguments(Search *search) {
    NodeArray nodes = nodes_of(search->graph, &search->best);
    for (int i = search->best.argument_count - 1; i >= 0; i--) {
        bool read = false;
        for (int k = 0; k < nodes.count; k++) read = read || nodes.items[k] == search->best.arguments[i];
        if (read || search->budget-- <= 0) continue;
        Function candidate = without_argument(search->graph, search->best, i);
        if (search->shows(search->context, &candidate)) search->best = candidate;
    }
}

static bool try_node(Search *search, Node *node) {
    Node *found[MOST_ALTERNATIVES], *fresh;
    int count = alternatives(search->graph, &search->best, node, found, &fresh, search->next_argument);
    for (int i = 0; i < count; i++)
        if (take(search, with_replaced(search->graph, &search->best, node, found[i]))) return true;
    if (!fresh) return false;
    Function candidate = with_replaced(search->graph, &search->best, node, fresh);
    if (!take(search, with_argument(search->graph, candidate, fresh))) return false;
    search->next_argument++;
    return true;
}

// ---- bodies

typedef struct BodyUse BodyUse;
struct BodyUse {
    // Tries a body in place of the one that it is a variant of. True: it was taken.
    bool (*take)(const BodyUse *use, const Function *body);
    Search *search;
    const BodyUse *outer;     // for a loop within a body
    const Function *inside;   // the function that the loop stands in
    Node *loop;
};

static bool try_variants(const BodyUse *use, const Function *body);

static bool take_body(const BodyUse *use, const Function *body) {
    Graph *graph = use->search->graph;
    Function *kept = arena_copy(graph->arena, body, sizeof *body);
    Node *other = rebuild_with_body(graph, use->loop, use->loop->inputs, kept);
    Function function = with_replaced(graph, use->inside, use->loop, other);
    return use->outer ? use->outer->take(use->outer, &function) : take(use->search, function);
}

static bool try_loop(Search *search, const BodyUse *outer, const Function *inside, Node *loop) {
    BodyUse use = {take_body, search, outer, inside, loop};
    return try_variants(&use, loop->body);
}

// The body with one node replaced, or with one of its loops changed so.
static bool try_variants(const BodyUse *use, const Function *body) {
    Graph *graph = use->search->graph;
    NodeArray nodes = nodes_of(graph, body);
    for (int i = nodes.count - 1; i >= 0; i--) {
        Node *found[MOST_ALTERNATIVES], *fresh;
        int count = alternatives(graph, body, nodes.items[i], found, &fresh, -1);
        for (int k = 0; k < count; k++) {
            Function variant = with_replaced(graph, body, nodes.items[i], found[k]);
            if (use->take(use, &variant)) return true;
        }
        if (nodes.items[i]->op == OP_loop && try_loop(use->search, use, body, nodes.items[i])) return true;
    }
    return false;
}

Function reduce_graph(Graph *graph, Function function, GraphShowsFault *shows, void *context, int budget) {
    Search search = {.graph = graph, .best = function, .shows = shows, .context = context, .budget = budget};
    search.next_argument = function.argument_count;
    for (bool again = true; again && search.budget > 0;) {
        again = false;
        NodeArray nodes = nodes_of(graph, &search.best);
        for (int i = nodes.count - 1; i >= 0 && !again; i--)
            again = try_node(&search, nodes.items[i]) ||
                    (nodes.items[i]->op == OP_loop && try_loop(&search, NULL, &search.best, nodes.items[i]));
    }
    drop_arguments(&search);
    return search.best;
}
