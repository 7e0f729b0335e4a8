// What a loop keeps of its iterations for the loop that reverses it: values that the body yields beside its results. What
// turns out not to be read is dropped at the end of differentiation (finish.c).
#include "differentiate/modes.h"
#include "graph/rewrite.h"

typedef struct {
    Graph *graph;
    const Function *body;
    int carry_count;
    ARRAY(Named) results;
} Keeper;

// A carry is kept as it was before the iteration.
const char *kept_name(Arena *arena, const Node *node, const char *otherwise) {
    if (node->op == OP_variable) return arena_print(arena, "previous_%s", node->name);
    return node->name ? node->name : otherwise ? otherwise : "kept";
}

static void keep(Keeper *keeper, Node *node) {
    if (node->rank == MAX_RANK) return;   // it cannot be stacked
    for (int i = keeper->carry_count; i < keeper->results.count; i++)
        if (keeper->results.items[i].node == node) return;
    Named result = {kept_name(keeper->graph->arena, node, NULL), node};
    array_push(keeper->graph->arena, &keeper->results, result);
}

// Random numbers are not drawn again; products, reductions and inner loops are too costly to compute again.
static bool is_costly(const Node *node) {
    return node->op == OP_random_uniform || node->op == OP_random_normal || node->op == OP_contract ||
           node->op == OP_loop || op_class(node->op) == CLASS_REDUCE;
}

// So are functions (exp, tanh, ...) of what is costly: most often they are read instead of it, and their derivatives
// are made of them. A function of arguments alone is computed again, from what is there anyway.
static void keep_costly(Keeper *keeper, const NodeArray *nodes) {
    NodeMap above = {.arena = keeper->graph->arena};   // of what is costly
    for (int i = 0; i < nodes->count; i++) {
        Node *node = nodes->items[i];
        bool costly = is_costly(node), is_above = costly;
        for (int k = 0; k < node->input_count; k++) is_above = is_above || node_map_get(&above, node->inputs[k]);
        if (is_above) node_map_set(&above, node, node);
        for (int k = 0; node->op == OP_loop && k < node->body->result_count; k++)
            keep(keeper, result_of(keeper->graph, node, k));
        if (node->op != OP_loop && (costly || (is_above && op_is_function(node->op)))) keep(keeper, node);
    }
}

Function *body_with_kept(Graph *graph, Function *body, int sequence_count, int carry_count) {
    Keeper keeper = {.graph = graph, .body = body, .carry_count = carry_count};
    for (int i = 0; i < body->result_count; i++) array_push(graph->arena, &keeper.results, body->results[i]);
    for (int i = 0; i < carry_count; i++) keep(&keeper, body->arguments[sequence_count + i]);
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, body), body->result_count);
    keep_costly(&keeper, &nodes);
    if (keeper.results.count == body->result_count) return body;
    Function copy = *body;
    copy.results = keeper.results.items;
    copy.result_count = keeper.results.count;
    return arena_copy(graph->arena, &copy, sizeof copy);
}
