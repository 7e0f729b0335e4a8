// Closing a loop's body: what it reads from outside becomes an argument of its function.
//
// While a body is elaborated, its nodes mix freely with those outside. Here the two are parted: what depends on the
// body's variables belongs to it, what does not is computed once, outside, and captured. One thing more belongs inside:
// the way from a target to what a gradient in the body differentiates, since a captured value would hide it.
#include "elaborate/elaborator.h"

#include "graph/rewrite.h"

typedef struct {
    Elaborator *e;
    NodeArray nodes;   // all that the results reach
    bool *inside;      // by id
    bool *closed;      // by id: needs nothing of anywhere
    NodeArray captured;
    NodeMap map;   // old nodes to those of the closed body
} Closing;

// A gradient in the body by something outside of it: asked for by `node`, a gradient or a loop with gradients.
typedef struct {
    Node *node;
    Node *target;
} Request;

// ---- gradients in the body

static bool is_target_in(Graph *graph, const Function *body, const Node *argument) {
    Node **roots = result_nodes(graph->arena, body);
    NodeArray nodes = reachable(graph, roots, body->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        int first = node->op == OP_gradient ? 1 + attribute_integer(node, 0) : 0;
        for (int k = first; node->op == OP_gradient && k < node->input_count; k++)
            if (node->inputs[k] == argument) return true;
        first = node->op == OP_loop ? loop_part(node, 0) + loop_part(node, 1) : 0;
        for (int k = first; node->op == OP_loop && k < node->input_count; k++)
            if (node->inputs[k] == argument && is_target_in(graph, node->body, node->body->arguments[k])) return true;
    }
    return false;
}

static bool is_request(Graph *graph, const Node *node, int input) {
    if (node->op == OP_gradient) return input > attribute_integer(node, 0);
    if (node->op != OP_loop || input < loop_part(node, 0) + loop_part(node, 1)) return false;
    return is_target_in(graph, node->body, node->body->arguments[input]);
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

// Whether the differentiated value depends on a variable of the body that itself depends on the target: that way leads
// out of the body and in again, where differentiation inside of it does not go.
static bool leaves_body(Closing *closing, Request request, const LoopInput *input, Node *after) {
    Elaborator *e = closing->e;
    bool reads = false;
    for (int i = 0; i < request.node->input_count; i++)
        if (request.node->inputs[i] != request.target && depends_on(e, request.node->inputs[i], input->variable))
            reads = true;
    return reads && (depends_on(e, input->source, request.target) || (after && depends_on(e, after, request.target)));
}

static bool check_request(Closing *closing, Request request, const Loop *loop, const LoopInput *carries,
                          int carry_count, const Named *results) {
    bool leaves = false;
    for (int i = 0; i < loop->sequences.count; i++)
        leaves = leaves || leaves_body(closing, request, &loop->sequences.items[i], NULL);
    for (int i = 0; i < carry_count; i++)
        leaves = leaves || leaves_body(closing, request, &carries[i], results[i].node);
    if (!leaves) return true;
    refuse(closing->e, request.node->span, "a gradient inside a loop by what earlier iterations depend on, too, is");
    help(closing->e,
         "track what the iteration begins with inside the loop: t = track(carried), and take the gradient by t");
    return false;
}

// Settles what the gradients in the body need inside. False: reported.
static bool keep_requests(Closing *closing, const Loop *loop, const LoopInput *carries, int carry_count,
                          const Named *results) {
    Graph *graph = closing->e->graph;
    bool changed = true;
    while (changed) {
        changed = false;
        for (int i = 0; i < closing->nodes.count; i++) {
            Node *node = closing->nodes.items[i];
            if (!closing->inside[node->id] || (node->op != OP_gradient && node->op != OP_loop)) continue;
            for (int k = 0; k < node->input_count; k++) {
                if (closing->inside[node->inputs[k]->id] || !is_request(graph, node, k)) continue;
                Request request = {node, node->inputs[k]};
                if (!check_request(closing, request, loop, carries, carry_count, results)) return false;
                changed = keep_way(closing, request) || changed;
            }
        }
    }
    return true;
}

// ---- inside and outside

static void mark_inside(Closing *closing, const Loop *loop, const LoopInput *carries, int carry_count) {
    for (int i = 0; i < loop->sequences.count; i++) closing->inside[loop->sequences.items[i].variable->id] = true;
    for (int i = 0; i < carry_count; i++) closing->inside[carries[i].variable->id] = true;
    for (int i = 0; i < closing->nodes.count; i++) {
        Node *node = closing->nodes.items[i];
        for (int k = 0; k < node->input_count; k++)
            if (closing->inside[node->inputs[k]->id]) closing->inside[node->id] = true;
    }
}

// Constants and counters, and what is computed of them alone, stay where they are read.
static void mark_closed(Closing *closing) {
    for (int i = 0; i < closing->nodes.count; i++) {
        const Node *node = closing->nodes.items[i];
        OpClass class = op_class(node->op);
        bool closed = node->op == OP_constant || node->op == OP_extent || node->op == OP_iota || class == CLASS_MAP ||
                      class == CLASS_VIEW;
        for (int k = 0; k < node->input_count; k++) closed = closed && closing->closed[node->inputs[k]->id];
        closing->closed[node->id] = closed;
    }
}

static Node *capture(Closing *closing, Node *node) {
    Node *argument = node_map_get(&closing->map, node);
    if (argument) return argument;
    Graph *graph = closing->e->graph;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = node->name ? node->name : "outer", .requires_grad = true};
    argument = variable_make(graph, &variable, node->dtype, (const Extent *const *)node->shape, node->rank);
    node_map_set(&closing->map, node, argument);
    array_push(graph->arena, &closing->captured, node);
    return argument;
}

// What stands for the node in the body. A tuple is not captured, but what is read of it.
static Node *inner_node(Closing *closing, Node *node) {
    if (closing->inside[node->id]) return node_map_get(&closing->map, node);
    return closing->closed[node->id] ? node : capture(closing, node);
}

static void rebuild_body(Closing *closing) {
    Graph *graph = closing->e->graph;
    for (int i = 0; i < closing->nodes.count; i++) {
        Node *node = closing->nodes.items[i];
        if (!closing->inside[node->id]) continue;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = inner_node(closing, node->inputs[k]);
        node_map_set(&closing->map, node, rebuild(graph, node, inputs));
    }
}

static Function *body_function(Closing *closing, const Loop *loop, const LoopInput *carries, int carry_count,
                               const Named *results, int result_count) {
    Graph *graph = closing->e->graph;
    Function *body = arena_new(graph->arena, Function);
    body->name = "body";
    body->result_count = result_count;
    body->results = arena_array(graph->arena, Named, result_count);
    for (int i = 0; i < result_count; i++)
        body->results[i] = (Named){results[i].name, inner_node(closing, results[i].node)};
    body->argument_count = loop->sequences.count + carry_count + closing->captured.count;
    body->arguments = arena_array(graph->arena, Node *, body->argument_count);
    int count = 0;
    for (int i = 0; i < loop->sequences.count; i++) body->arguments[count++] = loop->sequences.items[i].variable;
    for (int i = 0; i < carry_count; i++) body->arguments[count++] = carries[i].variable;
    for (int i = 0; i < closing->captured.count; i++)
        body->arguments[count++] = node_map_get(&closing->map, closing->captured.items[i]);
    for (int i = 0; i < count; i++) body->arguments[i]->variable->index = i;
    return body;
}

static Node **sources(Elaborator *e, const LoopInput *inputs, int count) {
    Node **nodes = arena_array(e->arena, Node *, count);
    for (int i = 0; i < count; i++) nodes[i] = inputs[i].source;
    return nodes;
}

Node *make_loop(Elaborator *e, const Loop *course, const LoopInput *carries, int carry_count, const Named *results,
                int result_count, Span span) {
    Graph *graph = e->graph;
    Node **roots = arena_array(e->arena, Node *, result_count);
    for (int i = 0; i < result_count; i++) roots[i] = results[i].node;
    Closing closing = {.e = e, .map = {.arena = e->arena}, .nodes = reachable(graph, roots, result_count)};
    int known = graph->node_count;
    closing.inside = arena_array(e->arena, bool, known);
    closing.closed = arena_array(e->arena, bool, known);
    mark_inside(&closing, course, carries, carry_count);
    mark_closed(&closing);
    if (!keep_requests(&closing, course, carries, carry_count, results)) return NULL;
    rebuild_body(&closing);
    Function *body = body_function(&closing, course, carries, carry_count, results, result_count);
    graph->span = user_span(e, span);
    return loop(graph, course->trips, sources(e, course->sequences.items, course->sequences.count),
                course->sequences.count, sources(e, carries, carry_count), carry_count, closing.captured.items,
                closing.captured.count, body);
}

Node *loop_source(const Elaborator *e, Node *node) {
    for (const Loop *loop = e->bodies; loop; loop = loop->outer_body)
        for (int i = 0; i < loop->sequences.count; i++)
            if (loop->sequences.items[i].variable == node) return loop->sequences.items[i].source;
    return node;
}
