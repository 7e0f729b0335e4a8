// Closing a loop's body: what it reads from outside becomes an argument of its function.
//
// While a body is elaborated, its nodes mix freely with those outside. Here the two are parted: what depends on the
// body's variables belongs to it, what does not is computed once, outside, and captured. One thing more belongs inside:
// the way from a target to what a gradient in the body differentiates, since a captured value would hide it.
#include "elaborate/body.h"

#include "graph/rewrite.h"

typedef struct {
    Elaborator *e;
    NodeArray nodes;   // all that the results reach
    bool *inside;      // by id
} Closing;

// A gradient in the body by something outside of it: asked for by `node`, or in its body.
typedef struct {
    Node *node;
    Node *target;
} Request;

// ---- gradients in the body

// What stands in the node's body for an input that is captured; NULL: it is none.
static const Node *captured_argument(const Node *node, int input) {
    bool is_loop = node->op == OP_loop;
    if (!is_loop && node->op != OP_custom) return NULL;
    int first = is_loop ? loop_part(node, 0) + loop_part(node, 1) : custom_part(node, 0) + custom_part(node, 1);
    if (input < first) return NULL;
    return node->body->arguments[is_loop ? input : input - custom_part(node, 1)];
}

bool is_target_input(Graph *graph, const Node *node, int input) {
    if (is_request(node)) return input >= first_target(node);
    const Node *argument = captured_argument(node, input);
    if (!argument) return false;
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, node->body), node->body->result_count);
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < nodes.items[i]->input_count; k++)
            if (nodes.items[i]->inputs[k] == argument && is_target_input(graph, nodes.items[i], k)) return true;
    return false;
}

// Marks what lies on the way from the request's target to what is differentiated. True: something was outside.
static bool keep_way(Closing *closing, Request request) {
    Graph *graph = closing->e->graph;
    NodeArray cone = reachable(graph, &request.node, 1);
    bool *on_way = arena_array(graph->arena, bool, graph->node_count), changed = false;
    on_way[request.target->id] = true;
    for (int i = 0; i < cone.count; i++) {
        Node *node = cone.items[i];
        bool carries = (dtype_is_float(node->dtype) || node->dtype == DTYPE_TUPLE) && node->op != OP_stop_gradient;
        if (node == request.target || !carries) continue;
        for (int k = 0; k < node->input_count; k++) on_way[node->id] = on_way[node->id] || on_way[node->inputs[k]->id];
        if (!on_way[node->id] || closing->inside[node->id]) continue;
        closing->inside[node->id] = changed = true;
    }
    return changed;
}

// Keeps inside what the gradients in the body need there.
static void keep_requests(Closing *closing) {
    Graph *graph = closing->e->graph;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < closing->nodes.count; i++) {
            Node *node = closing->nodes.items[i];
            for (int k = 0; closing->inside[node->id] && k < node->input_count; k++) {
                if (closing->inside[node->inputs[k]->id] || !is_target_input(graph, node, k)) continue;
                changed = keep_way(closing, (Request){node, node->inputs[k]}) || changed;
            }
        }
    }
}

// ---- inside and outside

static Closing closing_of(Elaborator *e, const Named *results, int result_count) {
    Node **roots = arena_array(e->arena, Node *, result_count);
    for (int i = 0; i < result_count; i++) roots[i] = results[i].node;
    return (Closing){e, reachable(e->graph, roots, result_count), arena_array(e->arena, bool, e->graph->node_count)};
}

static void mark_inside(Closing *closing, const NodeArray *variables) {
    for (int i = 0; i < variables->count; i++) closing->inside[variables->items[i]->id] = true;
    for (int i = 0; i < closing->nodes.count; i++) {
        Node *node = closing->nodes.items[i];
        for (int k = 0; k < node->input_count; k++)
            if (closing->inside[node->inputs[k]->id]) closing->inside[node->id] = true;
    }
}

static NodeArray variables_of(const OpenBody *body) {
    NodeArray variables = {0};
    for (int i = 0; i < body->loop->sequences.count; i++)
        array_push(body->e->arena, &variables, body->loop->sequences.items[i].variable);
    for (int i = 0; i < body->carry_count; i++) array_push(body->e->arena, &variables, body->carries[i].variable);
    return variables;
}

NodeArray body_nodes(const OpenBody *body, bool **inside) {
    Closing closing = closing_of(body->e, body->results, body->result_count);
    NodeArray variables = variables_of(body);
    mark_inside(&closing, &variables);
    *inside = closing.inside;
    return closing.nodes;
}

static Node **sources(Elaborator *e, const LoopInput *inputs, int count) {
    Node **nodes = arena_array(e->arena, Node *, count);
    for (int i = 0; i < count; i++) nodes[i] = inputs[i].source;
    return nodes;
}

Node *make_loop(Elaborator *e, const Loop *course, const LoopInput *carries, int carry_count, const Named *given,
                int result_count, Span span) {
    Graph *graph = e->graph;
    Loop own = *course;
    Named *results = arena_copy(e->arena, given, sizeof(Named) * (size_t)result_count);
    OpenBody body = {e, &own, carries, carry_count, results, result_count, span};
    if (!check_waiting(&body) || !settle_requests(&body)) return NULL;
    Closing closing = closing_of(e, results, result_count);
    NodeArray variables = variables_of(&body);
    mark_inside(&closing, &variables);
    keep_requests(&closing);
    Closure closure = close_function(graph, variables.items, variables.count, results, result_count, closing.inside);
    graph->span = user_span(e, span);
    return loop(graph, own.trips, sources(e, own.sequences.items, own.sequences.count), own.sequences.count,
                sources(e, carries, carry_count), carry_count, closure.captures.items, closure.captures.count,
                closure.body);
}

Node *make_custom(Elaborator *e, const NodeArray *values, const NodeArray *arguments, const NodeArray *cotangents,
                  const Named *results) {
    Closing closing = closing_of(e, results, arguments->count);
    mark_inside(&closing, cotangents);
    keep_requests(&closing);
    Closure closure =
        close_function(e->graph, cotangents->items, cotangents->count, results, arguments->count, closing.inside);
    closure.body->name = "derivative";
    return custom(e->graph, values->items, values->count, arguments->items, arguments->count, closure.captures.items,
                  closure.captures.count, closure.body);
}

Node *loop_source(const Elaborator *e, Node *node) {
    for (const Loop *loop = e->bodies; loop; loop = loop->outer_body)
        for (int i = 0; i < loop->sequences.count; i++)
            if (loop->sequences.items[i].variable == node) return loop->sequences.items[i].source;
    return node;
}
