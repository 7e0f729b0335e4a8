// The driver: bottom-up, each node by the first row that fits, until none does. What a row makes is new nodes over
// simplified ones, so it is simplified in the same way before anything that uses it is looked at.
#include "simplify/simplify.h"

#include "simplify/rules.h"

// Far more rewrites than any graph needs; the tests hold that a fraction of it suffices.
enum { FUEL_PER_NODE = 64, FUEL_AT_LEAST = 4096 };

static bool asks_for_gradients(Graph *graph, const Function *function) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (is_request(node) || (node->body && asks_for_gradients(graph, node->body))) return true;
    }
    return false;
}

static void simplify_function(Simplifier *simplifier, Function *function) {
    Graph *graph = simplifier->graph;
    Node **results = result_nodes(graph->arena, function);
    NodeArray nodes = reachable(graph, results, function->result_count);
    for (int i = 0; i < nodes.count; i++) simplify_node(simplifier, nodes.items[i]);
    for (int i = 0; i < function->result_count; i++) results[i] = simplify_node(simplifier, results[i]);
    *function = with_results(graph->arena, function, results);
}

// A body that two loops share stays one that they share.
static Function *simplify_body(Simplifier *simplifier, Function *body) {
    for (int i = 0; i < simplifier->bodies.count; i++)
        if (simplifier->bodies.items[i].body == body) return simplifier->bodies.items[i].simplified;
    Function copy = *body, *simplified = body;
    simplify_function(simplifier, &copy);
    for (int i = 0; i < body->result_count; i++)
        if (copy.results[i].node != body->results[i].node && simplified == body)
            simplified = arena_copy(simplifier->graph->arena, &copy, sizeof copy);
    SimplifiedBody pair = {body, simplified};
    array_push(simplifier->graph->arena, &simplifier->bodies, pair);
    return simplified;
}

static Node *simplify_inputs(Simplifier *simplifier, Node *node) {
    if (!node->input_count && !node->body) return node;
    Node **inputs = arena_array(simplifier->graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++) inputs[i] = simplify_node(simplifier, node->inputs[i]);
    Function *body = node->body ? simplify_body(simplifier, node->body) : NULL;
    return rebuild_with_body(simplifier->graph, node, inputs, body);
}

static Node *apply_first(Simplifier *simplifier, Node *node) {
    for (int i = 0; i < simplifier->rows_of[node->op].count; i++) {
        int number = simplifier->rows_of[node->op].items[i];
        Node *result = simplifier->rows[number]->apply(simplifier, node);
        if (!result || result == node) continue;
        simplifier->fuel--;
        if (simplifier->fired) simplifier->fired[number]++;
        return result;
    }
    return NULL;
}

Node *simplify_node(Simplifier *simplifier, Node *node) {
    Node *known = node_map_get(&simplifier->done, node), *current = node;
    if (known) return known;
    Graph *graph = simplifier->graph;
    Span outer = graph->span;
    graph->span = node->span;
    for (;;) {
        current = simplify_inputs(simplifier, current);
        known = node_map_get(&simplifier->done, current);
        Node *next = !known && simplifier->fuel > 0 ? apply_first(simplifier, current) : NULL;
        if (known) current = known;
        if (!next) break;
        current = next;
    }
    graph->span = outer;
    if (op_class(current->op) != CLASS_LEAF) name_node(current, node->name);
    node_map_set(&simplifier->done, node, current);
    node_map_set(&simplifier->done, current, current);
    return current;
}

bool simplify_by(Graph *graph, Function *function, const RewriteRow *const *rows, int count, int *fired) {
    Simplifier simplifier = {.graph = graph, .rows = rows, .fired = fired, .done = {.arena = graph->arena}};
    simplifier.before_gradient = asks_for_gradients(graph, function);
    simplifier.fuel = FUEL_AT_LEAST + FUEL_PER_NODE * graph->node_count;
    for (int i = 0; i < count; i++)
        for (int op = 0; op < OP_COUNT; op++)
            if (rows[i]->op == op || (rows[i]->op == ANY_MAP && op_class((Op)op) == CLASS_MAP))
                array_push(graph->arena, &simplifier.rows_of[op], i);
    simplify_function(&simplifier, function);
    return simplifier.fuel > 0;
}

const RewriteRow *const *all_rewrites(Arena *arena, int *count) {
    *count = exact_rewrite_count + stabilising_rewrite_count + shortening_rewrite_count;
    const RewriteRow **rows = arena_array(arena, const RewriteRow *, *count), **next = rows;
    for (int i = 0; i < exact_rewrite_count; i++) *next++ = &exact_rewrites[i];
    for (int i = 0; i < stabilising_rewrite_count; i++) *next++ = &stabilising_rewrites[i];
    for (int i = 0; i < shortening_rewrite_count; i++) *next++ = &shortening_rewrites[i];
    return rows;
}

void simplify(Graph *graph, Function *function) {
    int count;
    const RewriteRow *const *rows = all_rewrites(graph->arena, &count);
    simplify_by(graph, function, rows, count, NULL);
}
