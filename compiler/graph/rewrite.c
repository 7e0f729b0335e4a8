// Rebuilding graphs: since nodes are immutable, a pass maps old nodes to new ones, inputs first.
#include "graph/rewrite.h"

#include <string.h>

Node *node_map_get(const NodeMap *map, const Node *node) {
    return node->id < map->capacity ? map->items[node->id] : NULL;
}

void node_map_set(NodeMap *map, const Node *node, Node *value) {
    if (node->id >= map->capacity) {
        int capacity = node->id + node->id / 2 + 256;
        Node **items = arena_array(map->arena, Node *, capacity);
        if (map->capacity) memcpy(items, map->items, sizeof(Node *) * (size_t)map->capacity);
        map->items = items;
        map->capacity = capacity;
    }
    map->items[node->id] = value;
}

Node *rebuild_with_body(Graph *graph, Node *node, Node **inputs, Function *body) {
    if (node->op != OP_loop || body == node->body) return rebuild(graph, node, inputs);
    int sequences = loop_part(node, 0), carries = loop_part(node, 1), captures = loop_part(node, 2);
    Span outer = graph->span;
    graph->span = node->span;
    Node *copy = loop(graph, node->attributes[0], inputs, sequences, inputs + sequences, carries,
                      inputs + sequences + carries, captures, body);
    graph->span = outer;
    name_node(copy, node->name);
    return copy;
}

void substitute(Graph *graph, NodeMap *map, Node *const *roots, int count, Node **results) {
    NodeArray nodes = reachable(graph, roots, count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node_map_get(map, node)) continue;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = node_map_get(map, node->inputs[k]);
        node_map_set(map, node, rebuild(graph, node, inputs));
    }
    for (int i = 0; i < count; i++) results[i] = node_map_get(map, roots[i]);
}

Node **result_nodes(Arena *arena, const Function *function) {
    Node **nodes = arena_array(arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) nodes[i] = function->results[i].node;
    return nodes;
}

Function with_results(Arena *arena, const Function *function, Node *const *nodes) {
    Function copy = *function;
    copy.results = arena_array(arena, Named, function->result_count);
    for (int i = 0; i < function->result_count; i++) copy.results[i] = (Named){function->results[i].name, nodes[i]};
    return copy;
}
