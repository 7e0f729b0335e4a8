// Bottom-up rebuilding for the passes that look at each node once.
#include "simplify/walk.h"

static void walk_into(Graph *graph, NodeMap *map, Function *function, Visit *visit);

static Function *walk_body(Graph *graph, NodeMap *map, Function *body, Visit *visit) {
    Function walked = *body;
    walk_into(graph, map, &walked, visit);
    for (int i = 0; i < body->result_count; i++)
        if (walked.results[i].node != body->results[i].node) return arena_copy(graph->arena, &walked, sizeof walked);
    return body;
}

static void walk_into(Graph *graph, NodeMap *map, Function *function, Visit *visit) {
    Node **roots = result_nodes(graph->arena, function);
    NodeArray nodes = reachable(graph, roots, function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node_map_get(map, node)) continue;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = node_map_get(map, node->inputs[k]);
        Function *body = node->body ? walk_body(graph, map, node->body, visit) : NULL;
        Node *rebuilt = rebuild_with_body(graph, node, inputs, body);
        Span outer = graph->span;
        graph->span = node->span;
        Node *result = visit(graph, rebuilt);
        graph->span = outer;
        if (op_class(result->op) != CLASS_LEAF) name_node(result, node->name);
        node_map_set(map, node, result);
    }
    for (int i = 0; i < function->result_count; i++) roots[i] = node_map_get(map, roots[i]);
    *function = with_results(graph->arena, function, roots);
}

void walk_function(Graph *graph, Function *function, Visit *visit) {
    NodeMap map = {.arena = graph->arena};
    walk_into(graph, &map, function, visit);
}
