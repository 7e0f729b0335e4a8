// The gradients of many numbers: a loop without a carry over the elements of y, in whose body reverse mode begins with
// 1 at one element (S2, S5). What does not depend on which element it is stays outside, the value itself above all;
// batching then makes axes of the loop.
#include "differentiate/modes.h"

// 1 at the element that the counter names, in y's shape. It is a select, so that where it is 0 nothing that may be
// infinite is multiplied with it (S15).
static Node *unit(Graph *graph, Node *y, const Extent *count, Node *counter) {
    Node *places = iota(graph, DTYPE_I32, &count, 1, 0);
    Node *here = map2(graph, OP_equal, places, broadcast(graph, counter, &count, 1, NULL));
    here = reshape(graph, here, (const Extent *const *)y->shape, y->rank);
    return map3(graph, OP_where, here, constant_like(graph, y, 1), constant_like(graph, y, 0));
}

static bool *mark_dependent(Graph *graph, Node *const *roots, int root_count, const Node *counter) {
    NodeArray nodes = reachable(graph, roots, root_count);
    bool *inside = arena_array(graph->arena, bool, graph->node_count);
    inside[counter->id] = true;
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        for (int k = 0; k < node->input_count; k++) inside[node->id] = inside[node->id] || inside[node->inputs[k]->id];
    }
    return inside;
}

void all_gradients(Deriver *deriver, Node *y, Node *const *targets, int target_count, Node **gradients) {
    Graph *graph = deriver->graph;
    Span span = graph->span;
    const Extent *count = element_count(graph, y);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "element"};
    Node *counter = variable_make(graph, &variable, DTYPE_I32, NULL, 0), *places = iota(graph, DTYPE_I32, &count, 1, 0);
    Node *seed = unit(graph, y, count, counter);
    reverse_mode(deriver, &y, &seed, 1, targets, target_count, gradients);
    Named *rows = arena_array(graph->arena, Named, target_count);
    Node **roots = arena_array(graph->arena, Node *, target_count);
    int found = 0;
    for (int i = 0; i < target_count; i++) {
        if (!gradients[i]) continue;
        roots[found] = gradients[i];
        rows[found++] = (Named){gradients[i]->name ? gradients[i]->name : "row", gradients[i]};
    }
    if (!found) return;
    const bool *inside = mark_dependent(graph, roots, found, counter);
    Closure closure = close_function(graph, &counter, 1, rows, found, inside);
    graph->span = span;
    Function *body = body_with_kept(graph, closure.body, 1, 0);
    Node *all = loop(graph, count, &places, 1, NULL, 0, closure.captures.items, closure.captures.count, body);
    for (int i = 0, next = 0; i < target_count; i++)
        if (gradients[i]) gradients[i] = result_of(graph, all, next++);
}
