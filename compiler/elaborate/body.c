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
} Closing;

// A gradient in the body by something outside of it: asked for by `node`, or in its body.
typedef struct {
    Node *node;
    Node *target;
} Request;

// ---- gradients in the body

enum { NOT_INDEXED = -1 };

// What stands in the node's body for an input that is captured; NULL: it is none.
static const Node *captured_argument(const Node *node, int input) {
    bool is_loop = node->op == OP_loop;
    if (!is_loop && node->op != OP_custom) return NULL;
    int first = is_loop ? loop_part(node, 0) + loop_part(node, 1) : custom_part(node, 0) + custom_part(node, 1);
    if (input < first) return NULL;
    return node->body->arguments[is_loop ? input : input - custom_part(node, 1)];
}

static bool is_target(Graph *graph, const Node *node, int input) {
    if (is_request(node)) return input >= first_target(node);
    const Node *argument = captured_argument(node, input);
    if (!argument) return false;
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, node->body), node->body->result_count);
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < nodes.items[i]->input_count; k++)
            if (nodes.items[i]->inputs[k] == argument && is_target(graph, nodes.items[i], k)) return true;
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

// Sets `*indexed` to a sequence by which the way leads out of the body: its element must be read in the body, of all of
// it. False: reported.
static bool check_request(Closing *closing, Request request, const Loop *loop, const LoopInput *carries,
                          int carry_count, const Named *results, int *indexed) {
    bool leaves = false;
    for (int i = 0; i < loop->sequences.count; i++) {
        if (!leaves_body(closing, request, &loop->sequences.items[i], NULL)) continue;
        if (is_request(request.node)) *indexed = i;
        else leaves = true;   // it is in a body that is closed already
    }
    for (int i = 0; i < carry_count; i++)
        leaves = leaves || leaves_body(closing, request, &carries[i], results[i].node);
    if (!leaves) return true;
    refuse(closing->e, request.node->span, "a gradient inside a loop by what earlier iterations depend on, too, is");
    help(closing->e,
         "track what the iteration begins with inside the loop: t = track(carried), and take the gradient by t");
    return false;
}

// Settles what the gradients in the body need inside, unless a sequence is to be indexed first. False: reported.
static bool keep_requests(Closing *closing, const Loop *loop, const LoopInput *carries, int carry_count,
                          const Named *results, int *indexed) {
    Graph *graph = closing->e->graph;
    bool changed = true;
    *indexed = NOT_INDEXED;
    while (changed && *indexed == NOT_INDEXED) {
        changed = false;
        for (int i = 0; i < closing->nodes.count; i++) {
            Node *node = closing->nodes.items[i];
            for (int k = 0; closing->inside[node->id] && k < node->input_count; k++) {
                if (closing->inside[node->inputs[k]->id] || !is_target(graph, node, k)) continue;
                Request request = {node, node->inputs[k]};
                if (!check_request(closing, request, loop, carries, carry_count, results, indexed)) return false;
                changed = keep_way(closing, request) || changed;
            }
        }
    }
    return true;
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

// Reads the elements of a sequence at the iteration's place in all of it, instead of being handed them.
static void index_sequence(Elaborator *e, Loop *loop, int sequence, Named *results, int result_count) {
    Graph *graph = e->graph;
    LoopInput input = loop->sequences.items[sequence];
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "place"};
    LoopInput counter = {iota(graph, DTYPE_I32, &loop->trips, 1, 0),
                         variable_make(graph, &variable, DTYPE_I32, NULL, 0)};
    array_push(e->arena, &loop->sequences, counter);
    NodeMap map = {.arena = e->arena};
    node_map_set(&map, input.variable, gather(graph, input.source, counter.variable));
    for (int i = 0; i < result_count; i++) substitute(graph, &map, &results[i].node, 1, &results[i].node);
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
    Closing closing;
    NodeArray variables;
    for (int indexed = 0; indexed != NOT_INDEXED;) {
        closing = closing_of(e, results, result_count);
        variables = (NodeArray){0};
        for (int i = 0; i < own.sequences.count; i++) array_push(e->arena, &variables, own.sequences.items[i].variable);
        for (int i = 0; i < carry_count; i++) array_push(e->arena, &variables, carries[i].variable);
        mark_inside(&closing, &variables);
        if (!keep_requests(&closing, &own, carries, carry_count, results, &indexed)) return NULL;
        if (indexed != NOT_INDEXED) index_sequence(e, &own, indexed, results, result_count);
    }
    Closure closure = close_function(graph, variables.items, variables.count, results, result_count, closing.inside);
    graph->span = user_span(e, span);
    return loop(graph, own.trips, sources(e, own.sequences.items, own.sequences.count), own.sequences.count,
                sources(e, carries, carry_count), carry_count, closure.captures.items, closure.captures.count,
                closure.body);
}

Node *make_custom(Elaborator *e, const NodeArray *values, const NodeArray *arguments, const NodeArray *cotangents,
                  const Named *results) {
    Closing closing = closing_of(e, results, arguments->count);
    Loop none = {0};
    mark_inside(&closing, cotangents);
    int indexed;
    keep_requests(&closing, &none, NULL, 0, NULL, &indexed);
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
