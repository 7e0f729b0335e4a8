// Derivatives that the user gave (S16). The formula gives cotangents and is linear in those that it takes: applied to
// other cotangents it is its own derivative, and its transpose is what forward mode needs.
#include "differentiate/modes.h"

// The formulas, with what they capture put in. They read the body's arguments for the cotangents.
static Node **formulas_of(Graph *graph, const Node *node) {
    const Function *body = node->body;
    int values = custom_part(node, 0), first = values + custom_part(node, 1);
    NodeMap map = {.arena = graph->arena};
    for (int i = 0; i < custom_part(node, 2); i++)
        node_map_set(&map, body->arguments[values + i], node->inputs[first + i]);
    Node **formulas = result_nodes(graph->arena, body);
    substitute(graph, &map, formulas, body->result_count, formulas);
    return formulas;
}

void reverse_custom(Deriver *deriver, Node *node, Node *const *results, Node **inputs) {
    NodeMap known = {.arena = deriver->graph->arena};
    int values = custom_part(node, 0), arguments = custom_part(node, 1);
    forward_mode(deriver, formulas_of(deriver->graph, node), arguments, node->body->arguments, results, values, &known,
                 inputs + values);
}

void forward_custom(Deriver *deriver, Node *node, Node *const *inputs, Node **results) {
    int values = custom_part(node, 0), arguments = custom_part(node, 1);
    reverse_mode(deriver, formulas_of(deriver->graph, node), inputs + values, arguments, node->body->arguments, values,
                 results);
}
