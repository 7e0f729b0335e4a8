// Walks a function for the passes that put something else in the place of loops. Needs: nothing. Changes: the function;
// loops in the bodies of others come first.
#include "differentiate/batch.h"
#include "graph/rewrite.h"

static Function *body_with_replaced(Graph *graph, Function *body, LoopReplacement *replacement, const void *context) {
    Function copy = *body;
    replace_loops(graph, &copy, replacement, context);
    for (int i = 0; i < body->result_count; i++)
        if (copy.results[i].node != body->results[i].node) return arena_copy(graph->arena, &copy, sizeof copy);
    return body;
}

void replace_loops(Graph *graph, Function *function, LoopReplacement *replacement, const void *context) {
    Node **roots = result_nodes(graph->arena, function);
    NodeArray nodes = reachable(graph, roots, function->result_count);
    NodeMap map = {.arena = graph->arena}, replaced = {.arena = graph->arena};   // of loops: an array of their results
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i], *result;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = node_map_get(&map, node->inputs[k]);
        if (node->op == OP_loop) {
            Function *body = body_with_replaced(graph, node->body, replacement, context);
            result = rebuild_with_body(graph, node, inputs, body);
            node_map_set(&replaced, node, replacement(graph, result, context));
        } else if (node->op == OP_result && node_map_get(&replaced, node->inputs[0])) {
            result = ((Node **)node_map_get(&replaced, node->inputs[0]))[attribute_integer(node, 0)];
            if (op_class(result->op) != CLASS_LEAF) name_node(result, node->name);
        } else result = rebuild(graph, node, inputs);
        node_map_set(&map, node, result);
    }
    for (int i = 0; i < function->result_count; i++) roots[i] = node_map_get(&map, roots[i]);
    *function = with_results(graph->arena, function, roots);
}
