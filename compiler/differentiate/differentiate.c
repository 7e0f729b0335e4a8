// The pass: requests for derivatives become nodes.
//
// Needs: a graph as elaborated or simplified. Keeps: every value, names and spans; arguments and results. Changes:
// `gradient`, `tangent` and `jacobian` are expanded; `track`, `stop_gradient` and `custom` are removed; unread parts of
// loops are dropped, and loops that another one repeats.
#include "differentiate/modes.h"
#include "graph/rewrite.h"

#include <string.h>

// Targets with their tangents; what moves with them is found once.
typedef struct {
    Node *const *tangents, *const *targets;
    int count;
    NodeMap known;
} Direction;

typedef struct {
    Deriver deriver;
    NodeArray requests;   // the gradients and Jacobians of the function
    NodeMap waits;        // those that depend on a request of the function, of which none is expanded now
    NodeMap expansions;   // of requests: an array, a node per result
    ARRAY(Direction) directions;
    NodeMap map;   // what the nodes of the function become
} Expander;

static bool asks_for_gradients(Graph *graph, const Function *function) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (is_request(node) || (node->body && asks_for_gradients(graph, node->body))) return true;
    }
    return false;
}

// ---- one value and its cotangent, by all the targets that it is asked for

static Node **request_targets(const Node *request) {
    return request->inputs + first_target(request);
}

static bool is_same_request(const Node *a, const Node *b) {
    int has_cotangent = attribute_integer(a, 0);
    return a->op == b->op && a->inputs[0] == b->inputs[0] && has_cotangent == attribute_integer(b, 0) &&
           (!has_cotangent || a->inputs[1] == b->inputs[1]);
}

// The targets of `request` and of the later ones for the same value: they share one way back. A target that is younger
// than the value cannot be reached.
static NodeArray shared_targets(const Expander *expander, const Node *request) {
    NodeArray targets = {0};
    for (int i = 0; i < expander->requests.count; i++) {
        const Node *other = expander->requests.items[i];
        if (!is_same_request(request, other)) continue;
        for (int k = 0; k < tuple_size(other); k++) {
            Node *target = request_targets(other)[k];
            if (target->id <= other->inputs[0]->id)
                array_push(expander->deriver.graph->arena, &targets, node_map_get(&expander->map, target));
        }
    }
    return targets;
}

static void share_out(Expander *expander, const Node *request, Node *const *cotangents) {
    Graph *graph = expander->deriver.graph;
    int next = 0;
    for (int i = 0; i < expander->requests.count; i++) {
        const Node *other = expander->requests.items[i];
        if (!is_same_request(request, other)) continue;
        int count = tuple_size(other);
        Node **results = arena_array(graph->arena, Node *, count);
        for (int k = 0; k < count; k++) {
            Node *target = request_targets(other)[k];
            Node *cotangent = target->id <= other->inputs[0]->id ? cotangents[next++] : NULL;
            results[k] = cotangent ? cotangent : constant_like(graph, result_of(graph, (Node *)other, k), 0);
        }
        node_map_set(&expander->expansions, other, results);
    }
}

static void expand_gradient(Expander *expander, const Node *request) {
    Deriver *deriver = &expander->deriver;
    Graph *graph = deriver->graph;
    if (node_map_get(&expander->expansions, request)) return;
    graph->span = deriver->asked = request->span;
    Node *y = node_map_get(&expander->map, request->inputs[0]);
    bool has_cotangent = attribute_integer(request, 0);
    Node *seed = has_cotangent ? node_map_get(&expander->map, request->inputs[1]) : constant_like(graph, y, 1);
    NodeArray targets = shared_targets(expander, request);
    Node **cotangents = arena_array(graph->arena, Node *, targets.count);
    if (request->op == OP_jacobian) all_gradients(deriver, y, targets.items, targets.count, cotangents);
    else reverse_mode(deriver, &y, &seed, 1, targets.items, targets.count, cotangents);
    share_out(expander, request, cotangents);
}

// ---- one value along a direction

static Direction *direction_of(Expander *expander, const Node *request) {
    Arena *arena = expander->deriver.graph->arena;
    int count = attribute_integer(request, 0);
    Node **tangents = arena_array(arena, Node *, count), **targets = arena_array(arena, Node *, count);
    for (int i = 0; i < count; i++) {
        tangents[i] = node_map_get(&expander->map, request->inputs[1 + i]);
        targets[i] = node_map_get(&expander->map, request->inputs[1 + count + i]);
    }
    for (int i = 0; i < expander->directions.count; i++) {
        Direction *direction = &expander->directions.items[i];
        size_t bytes = sizeof(Node *) * (size_t)count;
        if (direction->count == count && !memcmp(direction->tangents, tangents, bytes) &&
            !memcmp(direction->targets, targets, bytes))
            return direction;
    }
    Direction direction = {tangents, targets, count, {.arena = arena}};
    array_push(arena, &expander->directions, direction);
    return &expander->directions.items[expander->directions.count - 1];
}

static void expand_tangent(Expander *expander, const Node *request) {
    Deriver *deriver = &expander->deriver;
    Direction *direction = direction_of(expander, request);
    Node **result = arena_array(deriver->graph->arena, Node *, 1);
    Node *y = node_map_get(&expander->map, request->inputs[0]);
    deriver->graph->span = deriver->asked = request->span;
    forward_mode(deriver, &y, 1, direction->targets, direction->tangents, direction->count, &direction->known, result);
    if (!*result) *result = constant_like(deriver->graph, y, 0);
    node_map_set(&expander->expansions, request, result);
}

// ---- functions and their bodies

// In one round those requests are expanded whose value and cotangent, or tangents, depend on no other.
static void find_waiting(Expander *expander, const NodeArray *nodes) {
    Graph *graph = expander->deriver.graph;
    NodeMap asks = {.arena = graph->arena};   // requests, and what depends on one
    for (int i = 0; i < nodes->count; i++) {
        Node *node = nodes->items[i];
        int end = is_request(node) ? first_target(node) : node->input_count;
        bool waits = false;
        for (int k = 0; k < end && !waits; k++) waits = node_map_get(&asks, node->inputs[k]);
        if (waits) node_map_set(&expander->waits, node, node);
        if (waits || is_request(node) || (node->body && asks_for_gradients(graph, node->body)))
            node_map_set(&asks, node, node);
    }
}

static void expand_function(Deriver *deriver, Function *function);

static Node *expand_body(Expander *expander, Node *node, Node **inputs) {
    Deriver *deriver = &expander->deriver;
    Graph *graph = deriver->graph;
    Function *body = arena_copy(graph->arena, node->body, sizeof *body);
    expand_function(deriver, body);
    if (node->op == OP_loop) body = body_with_kept(graph, body, loop_part(node, 0), loop_part(node, 1));
    return rebuild_with_body(graph, node, inputs, body);
}

static Node *expand_result(Expander *expander, const Node *node, Node *tuple) {
    int index = attribute_integer(node, 0);
    if (is_request(node->inputs[0]) && !node_map_get(&expander->waits, node->inputs[0]))
        return ((Node **)node_map_get(&expander->expansions, node->inputs[0]))[index];
    Graph *graph = expander->deriver.graph;
    graph->span = node->span;
    Node *result = result_of(graph, tuple, index);
    name_node(result, node->name);
    return result;
}

static Node *expand_node(Expander *expander, Node *node) {
    Graph *graph = expander->deriver.graph;
    Node **inputs = arena_array(graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++) inputs[i] = node_map_get(&expander->map, node->inputs[i]);
    if (is_request(node) && !node_map_get(&expander->waits, node)) {
        if (node->op == OP_tangent) expand_tangent(expander, node);
        else expand_gradient(expander, node);
        return node;
    }
    if (node->body) return expand_body(expander, node, inputs);
    if (node->op == OP_result) return expand_result(expander, node, inputs[0]);
    return rebuild(graph, node, inputs);
}

static void expand_function(Deriver *deriver, Function *function) {
    Graph *graph = deriver->graph;
    Node **roots = result_nodes(graph->arena, function);
    NodeArray nodes = reachable(graph, roots, function->result_count);
    Expander expander = {.deriver = *deriver};
    expander.map.arena = expander.waits.arena = expander.expansions.arena = graph->arena;
    if (deriver->one_round) find_waiting(&expander, &nodes);
    for (int i = 0; i < nodes.count; i++)
        if (is_request(nodes.items[i]) && nodes.items[i]->op != OP_tangent)
            array_push(graph->arena, &expander.requests, nodes.items[i]);
    for (int i = 0; i < nodes.count; i++)
        node_map_set(&expander.map, nodes.items[i], expand_node(&expander, nodes.items[i]));
    for (int i = 0; i < function->result_count; i++) roots[i] = node_map_get(&expander.map, roots[i]);
    *function = with_results(graph->arena, function, roots);
    merge_loops(graph, function);
    deriver->failed = deriver->failed || expander.deriver.failed;
}

static bool run(Deriver *deriver, Function *function) {
    Graph *graph = deriver->graph;
    Function result = *function;
    Span outer = graph->span;
    if (asks_for_gradients(graph, function)) expand_function(deriver, &result);
    graph->span = outer;
    if (!deriver->failed) *function = result;
    return !deriver->failed;
}

bool differentiate_with(Graph *graph, Diagnostics *diagnostics, Function *function, RuleTable *rules) {
    Deriver deriver = {.graph = graph, .diagnostics = diagnostics, .rules = rules};
    if (!run(&deriver, function)) return false;
    finish_function(graph, function);
    return true;
}

bool differentiate_round(Graph *graph, Diagnostics *diagnostics, Function *function, bool *more) {
    Deriver deriver = {
        .graph = graph, .diagnostics = diagnostics, .rules = rules_create(graph->arena), .one_round = true};
    *more = false;
    if (!run(&deriver, function)) return false;
    *more = asks_for_gradients(graph, function);
    if (!*more) finish_function(graph, function);
    return true;
}

bool differentiate(Graph *graph, Diagnostics *diagnostics, Function *function) {
    return differentiate_with(graph, diagnostics, function, rules_create(graph->arena));
}
