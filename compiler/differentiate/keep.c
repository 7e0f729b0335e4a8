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

// Random numbers are not drawn again; products and inner loops are too costly to compute again.
static void keep_costly(Keeper *keeper, Node *node) {
    if (node->op == OP_random_uniform || node->op == OP_random_normal || node->op == OP_contract) keep(keeper, node);
    for (int i = 0; node->op == OP_loop && i < node->body->result_count; i++)
        keep(keeper, result_of(keeper->graph, node, i));
}

Function *body_with_kept(Graph *graph, Function *body, int sequence_count, int carry_count) {
    Keeper keeper = {.graph = graph, .body = body, .carry_count = carry_count};
    for (int i = 0; i < body->result_count; i++) array_push(graph->arena, &keeper.results, body->results[i]);
    for (int i = 0; i < carry_count; i++) keep(&keeper, body->arguments[sequence_count + i]);
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, body), body->result_count);
    for (int i = 0; i < nodes.count; i++) keep_costly(&keeper, nodes.items[i]);
    if (keeper.results.count == body->result_count) return body;
    Function copy = *body;
    copy.results = keeper.results.items;
    copy.result_count = keeper.results.count;
    return arena_copy(graph->arena, &copy, sizeof copy);
}
