// The pass: requests for derivatives become nodes.
//
// Needs: a graph as elaborated or simplified. Keeps: every value, names and spans; arguments and results. Changes:
// `gradient` is expanded, `track` and `stop_gradient` are removed, unread parts of loops are dropped.
#include "differentiate/reverse.h"
#include "graph/rewrite.h"

#include <string.h>

typedef struct {
    Reverse reverse;
    NodeArray requests;   // the gradient nodes of the function
    Node ***expansions;   // of gradient nodes, by id: a node per target
    NodeMap map;          // what the nodes of the function become
} Expander;

static bool asks_for_gradients(Graph *graph, const Function *function) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (node->op == OP_gradient || (node->body && asks_for_gradients(graph, node->body))) return true;
    }
    return false;
}

// ---- one value and its cotangent, by all the targets that it is asked for

static Node **request_targets(const Node *request) {
    return request->inputs + 1 + attribute_integer(request, 0);
}

static int request_target_count(const Node *request) {
    return request->input_count - 1 - attribute_integer(request, 0);
}

static bool is_same_request(const Node *a, const Node *b) {
    int has_cotangent = attribute_integer(a, 0);
    return a->inputs[0] == b->inputs[0] && has_cotangent == attribute_integer(b, 0) &&
           (!has_cotangent || a->inputs[1] == b->inputs[1]);
}

// The targets of `request` and of the later ones for the same value: they share one way back. A target that is younger
// than the value cannot be reached.
static NodeArray shared_targets(const Expander *expander, const Node *request) {
    NodeArray targets = {0};
    for (int i = 0; i < expander->requests.count; i++) {
        const Node *other = expander->requests.items[i];
        if (!is_same_request(request, other)) continue;
        for (int k = 0; k < request_target_count(other); k++) {
            Node *target = request_targets(other)[k];
            if (target->id <= other->inputs[0]->id)
                array_push(expander->reverse.graph->arena, &targets, node_map_get(&expander->map, target));
        }
    }
    return targets;
}

static void share_out(Expander *expander, const Node *request, Node *const *cotangents) {
    Graph *graph = expander->reverse.graph;
    int next = 0;
    for (int i = 0; i < expander->requests.count; i++) {
        const Node *other = expander->requests.items[i];
        if (!is_same_request(request, other)) continue;
        int count = request_target_count(other);
        Node **results = arena_array(graph->arena, Node *, count);
        for (int k = 0; k < count; k++) {
            Node *target = request_targets(other)[k];
            Node *cotangent = target->id <= other->inputs[0]->id ? cotangents[next++] : NULL;
            results[k] = cotangent ? cotangent : constant_like(graph, target, 0);
        }
        expander->expansions[other->id] = results;
    }
}

static void expand_request(Expander *expander, const Node *request) {
    Reverse *reverse = &expander->reverse;
    Graph *graph = reverse->graph;
    if (expander->expansions[request->id]) return;
    graph->span = reverse->asked = request->span;
    Node *y = node_map_get(&expander->map, request->inputs[0]);
    bool has_cotangent = attribute_integer(request, 0);
    Node *seed = has_cotangent ? node_map_get(&expander->map, request->inputs[1]) : constant_like(graph, y, 1);
    NodeArray targets = shared_targets(expander, request);
    Node **cotangents = arena_array(graph->arena, Node *, targets.count);
    reverse_mode(reverse, &y, &seed, 1, targets.items, targets.count, cotangents);
    share_out(expander, request, cotangents);
}

// ---- functions and their loops' bodies

static void expand_function(Reverse *reverse, Function *function);

static Node *expand_loop(Expander *expander, Node *node, Node **inputs) {
    Reverse *reverse = &expander->reverse;
    Function body = *node->body;
    expand_function(reverse, &body);
    Function *kept = arena_copy(reverse->graph->arena, &body, sizeof body);
    kept = body_with_kept(reverse->graph, kept, loop_part(node, 0), loop_part(node, 1));
    return rebuild_with_body(reverse->graph, node, inputs, kept);
}

static Node *expand_result(Expander *expander, const Node *node, Node *tuple) {
    int index = attribute_integer(node, 0);
    if (node->inputs[0]->op == OP_gradient) {
        Node *result = expander->expansions[node->inputs[0]->id][index];
        return result;
    }
    Graph *graph = expander->reverse.graph;
    graph->span = node->span;
    Node *result = result_of(graph, tuple, index);
    name_node(result, node->name);
    return result;
}

static Node *expand_node(Expander *expander, Node *node) {
    Graph *graph = expander->reverse.graph;
    Node **inputs = arena_array(graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++) inputs[i] = node_map_get(&expander->map, node->inputs[i]);
    if (node->op == OP_gradient) {
        expand_request(expander, node);
        return node;
    }
    if (node->op == OP_loop) return expand_loop(expander, node, inputs);
    if (node->op == OP_result) return expand_result(expander, node, inputs[0]);
    return rebuild(graph, node, inputs);
}

static void expand_function(Reverse *reverse, Function *function) {
    Graph *graph = reverse->graph;
    Node **roots = result_nodes(graph->arena, function);
    NodeArray nodes = reachable(graph, roots, function->result_count);
    Expander expander = {.reverse = *reverse, .map = {.arena = graph->arena}};
    expander.expansions = arena_array(graph->arena, Node **, graph->node_count);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->op == OP_gradient) array_push(graph->arena, &expander.requests, nodes.items[i]);
    for (int i = 0; i < nodes.count; i++)
        node_map_set(&expander.map, nodes.items[i], expand_node(&expander, nodes.items[i]));
    for (int i = 0; i < function->result_count; i++) roots[i] = node_map_get(&expander.map, roots[i]);
    *function = with_results(graph->arena, function, roots);
    reverse->failed = reverse->failed || expander.reverse.failed;
}

bool differentiate_with(Graph *graph, Diagnostics *diagnostics, Function *function, RuleTable *rules) {
    Reverse reverse = {.graph = graph, .diagnostics = diagnostics, .rules = rules};
    Function result = *function;
    Span outer = graph->span;
    if (asks_for_gradients(graph, function)) expand_function(&reverse, &result);
    graph->span = outer;
    if (reverse.failed) return false;
    finish_function(graph, &result);
    *function = result;
    return true;
}

bool differentiate(Graph *graph, Diagnostics *diagnostics, Function *function) {
    return differentiate_with(graph, diagnostics, function, rules_create(graph->arena));
}
