// The end of differentiation: marks and custom are removed, and what nothing reads of loops is dropped, such as the
// carries that were kept for a derivative that does not read them.
#include "differentiate/modes.h"
#include "graph/rewrite.h"

#include <string.h>

// What is left of a loop.
typedef struct {
    bool *results;   // which of its results are read
    bool *inputs;    // which of its inputs, and of its body's arguments, stay
    int *places;     // where its results stand afterwards
    Function *body;
} Remains;

typedef struct {
    Graph *graph;
    NodeArray nodes;
    NodeMap read;    // of those that are: themselves
    NodeMap loops;   // Remains
    NodeMap map;
} Finisher;

static int carry_argument(const Node *loop, int carry) {
    return loop_part(loop, 0) + carry;
}

static NodeMap mark_reached(Graph *graph, Node *const *roots, int count) {
    NodeArray nodes = reachable(graph, roots, count);
    NodeMap reached = {.arena = graph->arena};
    for (int i = 0; i < nodes.count; i++) node_map_set(&reached, nodes.items[i], nodes.items[i]);
    return reached;
}

// A carry stays if its last value is read, or if what stays reads it.
static void spread_carries(Graph *graph, const Node *loop, Remains *remains) {
    const Function *body = loop->body;
    Node **roots = arena_array(graph->arena, Node *, body->result_count);
    for (;;) {
        int count = 0;
        bool changed = false;
        for (int i = 0; i < body->result_count; i++)
            if (remains->results[i]) roots[count++] = body->results[i].node;
        NodeMap reached = mark_reached(graph, roots, count);
        for (int i = 0; i < loop_part(loop, 1); i++) {
            if (remains->results[i] || !node_map_get(&reached, body->arguments[carry_argument(loop, i)])) continue;
            remains->results[i] = changed = true;
        }
        if (!changed) return;
    }
}

static Function *finished_body(Graph *graph, const Node *loop, Remains *remains) {
    Function *body = arena_copy(graph->arena, loop->body, sizeof *loop->body);
    body->results = arena_array(graph->arena, Named, body->result_count);
    body->result_count = 0;
    for (int i = 0; i < loop->body->result_count; i++) {
        if (!remains->results[i]) continue;
        remains->places[i] = body->result_count;
        body->results[body->result_count++] = loop->body->results[i];
    }
    finish_function(graph, body);
    return body;
}

static bool is_same_body(const Function *a, const Function *b) {
    if (a->result_count != b->result_count || a->argument_count != b->argument_count) return false;
    for (int i = 0; i < a->result_count; i++)
        if (a->results[i].node != b->results[i].node) return false;
    return true;
}

static void finish_loop(Graph *graph, const Node *loop, Remains *remains) {
    remains->places = arena_array(graph->arena, int, loop->body->result_count);
    remains->inputs = arena_array(graph->arena, bool, loop->input_count);
    spread_carries(graph, loop, remains);
    Function *body = finished_body(graph, loop, remains);
    Node **roots = result_nodes(graph->arena, body);
    NodeMap reached = mark_reached(graph, roots, body->result_count);
    body->arguments = arena_array(graph->arena, Node *, loop->input_count);
    body->argument_count = 0;
    int first_carry = loop_part(loop, 0), carry_count = loop_part(loop, 1);
    for (int i = 0; i < loop->input_count; i++) {
        bool carry = i >= first_carry && i < first_carry + carry_count;
        remains->inputs[i] =
            carry ? remains->results[i - first_carry] : node_map_get(&reached, loop->body->arguments[i]) != NULL;
        if (remains->inputs[i]) body->arguments[body->argument_count++] = loop->body->arguments[i];
    }
    remains->body = is_same_body(body, loop->body) ? loop->body : body;
}

static void find_read(Finisher *finisher) {
    for (int i = finisher->nodes.count - 1; i >= 0; i--) {
        Node *node = finisher->nodes.items[i];
        if (!node_map_get(&finisher->read, node)) continue;
        Remains *remains = node_map_get(&finisher->loops, node);
        if (node->op == OP_result && node->inputs[0]->op == OP_loop) {
            Remains *loop = node_map_get(&finisher->loops, node->inputs[0]);
            if (!loop) {
                loop = arena_new(finisher->graph->arena, Remains);
                loop->results = arena_array(finisher->graph->arena, bool, node->inputs[0]->body->result_count);
                node_map_set(&finisher->loops, node->inputs[0], loop);
            }
            loop->results[attribute_integer(node, 0)] = true;
        }
        if (remains) finish_loop(finisher->graph, node, remains);
        int inputs = node->op == OP_custom ? custom_part(node, 0) : node->input_count;   // its values alone
        for (int k = 0; k < inputs; k++)
            if (!remains || remains->inputs[k]) node_map_set(&finisher->read, node->inputs[k], node->inputs[k]);
    }
}

static Node *finished_loop(Finisher *finisher, const Node *node, const Remains *remains) {
    Graph *graph = finisher->graph;
    Node **inputs = arena_array(graph->arena, Node *, node->input_count);
    int counts[3] = {0}, count = 0, first_capture = loop_part(node, 0) + loop_part(node, 1);
    for (int i = 0; i < node->input_count; i++) {
        if (!remains->inputs[i]) continue;
        inputs[count++] = node_map_get(&finisher->map, node->inputs[i]);
        counts[i < loop_part(node, 0) ? 0 : i < first_capture ? 1 : 2]++;
    }
    Node *result = loop(graph, node->attributes[0], inputs, counts[0], inputs + counts[0], counts[1],
                        inputs + counts[0] + counts[1], counts[2], remains->body);
    name_node(result, node->name);
    return result;
}

static Node *finished_node(Finisher *finisher, Node *node) {
    Node *first = node->input_count ? node_map_get(&finisher->map, node->inputs[0]) : NULL;
    if (node->op == OP_track || node->op == OP_stop_gradient) {
        if (op_class(first->op) != CLASS_LEAF) name_node(first, node->name);
        return first;
    }
    if (node->op == OP_loop) return finished_loop(finisher, node, node_map_get(&finisher->loops, node));
    if (node->op == OP_custom) return node;   // what reads it reads its values
    if (node->op == OP_result && node->inputs[0]->op == OP_custom) {
        Node *value = node_map_get(&finisher->map, node->inputs[0]->inputs[attribute_integer(node, 0)]);
        if (op_class(value->op) != CLASS_LEAF) name_node(value, node->name);
        return value;
    }
    if (node->op == OP_result) {
        const Remains *remains = node_map_get(&finisher->loops, node->inputs[0]);
        Node *result = result_of(finisher->graph, first, remains->places[attribute_integer(node, 0)]);
        name_node(result, node->name);
        return result;
    }
    Node **inputs = arena_array(finisher->graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++) inputs[i] = node_map_get(&finisher->map, node->inputs[i]);
    return rebuild(finisher->graph, node, inputs);
}

void finish_function(Graph *graph, Function *function) {
    merge_loops(graph, function);
    Node **roots = result_nodes(graph->arena, function);
    Finisher finisher = {.graph = graph, .nodes = reachable(graph, roots, function->result_count)};
    finisher.read.arena = finisher.loops.arena = finisher.map.arena = graph->arena;
    for (int i = 0; i < function->result_count; i++) node_map_set(&finisher.read, roots[i], roots[i]);
    find_read(&finisher);
    Span outer = graph->span;
    for (int i = 0; i < finisher.nodes.count; i++) {
        Node *node = finisher.nodes.items[i];
        graph->span = node->span;
        if (node_map_get(&finisher.read, node)) node_map_set(&finisher.map, node, finished_node(&finisher, node));
    }
    graph->span = outer;
    for (int i = 0; i < function->result_count; i++) roots[i] = node_map_get(&finisher.map, roots[i]);
    *function = with_results(graph->arena, function, roots);
}
