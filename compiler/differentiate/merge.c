// Loops that another loop repeats: forward mode makes a loop that computes all that the old one does, and tangents.
//
// Needs: loops whose bodies share argument nodes, as forward mode makes them. Keeps: every value. Changes: results of a
// loop are read of another one of the function that has the same, from the same inputs, if that one does not need them
// itself; what is then not read is dropped later.
#include "differentiate/modes.h"

typedef struct {
    Graph *graph;
    NodeArray loops;
} Merger;

static int kind_of(const Node *loop, int input) {
    int first_carry = loop_part(loop, 0);
    return input < first_carry ? 0 : input < first_carry + loop_part(loop, 1) ? 1 : 2;
}

// Where the other loop takes the same input for the same argument; -1: nowhere.
static int same_input(const Node *loop, int input, const Node *other) {
    for (int i = 0; i < other->input_count; i++)
        if (other->body->arguments[i] == loop->body->arguments[input])
            return other->inputs[i] == loop->inputs[input] && kind_of(other, i) == kind_of(loop, input) ? i : -1;
    return -1;
}

// Which result of the other loop is the loop's result number `result`; -1: none.
static int same_result(const Node *loop, int result, const Node *other) {
    const Node *node = loop->body->results[result].node;
    if (result < loop_part(loop, 1)) {
        int at = same_input(loop, loop_part(loop, 0) + result, other) - loop_part(other, 0);
        return at >= 0 && other->body->results[at].node == node ? at : -1;
    }
    for (int i = loop_part(other, 1); i < other->body->result_count; i++)
        if (other->body->results[i].node == node) return i;
    return -1;
}

static bool repeats(const Node *other, const Node *loop) {
    if (other == loop || other->attributes[0] != loop->attributes[0] || !loop->input_count) return false;
    for (int i = 0; i < loop->input_count; i++)
        if (same_input(loop, i, other) < 0) return false;
    for (int i = 0; i < loop->body->result_count; i++)
        if (same_result(loop, i, other) < 0) return false;
    return true;
}

static bool reaches(Graph *graph, Node *node, const Node *wanted) {
    if (node->id < wanted->id) return false;
    NodeArray nodes = reachable(graph, &node, 1);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i] == wanted) return true;
    return false;
}

static Node *repeating_loop(const Merger *merger, const Node *loop) {
    for (int i = 0; i < merger->loops.count; i++) {
        Node *other = merger->loops.items[i];
        if (repeats(other, loop) && !reaches(merger->graph, other, loop)) return other;
    }
    return NULL;
}

static NodeArray loops_of(Graph *graph, Node *const *roots, int root_count) {
    NodeArray nodes = reachable(graph, roots, root_count), loops = {0};
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->op == OP_loop) array_push(graph->arena, &loops, nodes.items[i]);
    return loops;
}

// Replaces one loop; false: there is none to be replaced.
static bool merge_one(Graph *graph, Node **roots, int root_count) {
    Merger merger = {graph, loops_of(graph, roots, root_count)};
    for (int i = 0; i < merger.loops.count && merger.loops.count > 1; i++) {
        Node *loop = merger.loops.items[i], *other = repeating_loop(&merger, loop);
        if (!other) continue;
        NodeMap map = {.arena = graph->arena};
        for (int k = 0; k < loop->body->result_count; k++)
            node_map_set(&map, result_of(graph, loop, k), result_of(graph, other, same_result(loop, k, other)));
        substitute(graph, &map, roots, root_count, roots);
        return true;
    }
    return false;
}

void merge_loops(Graph *graph, Function *function) {
    Node **roots = result_nodes(graph->arena, function);
    bool any = false;
    while (merge_one(graph, roots, function->result_count)) any = true;
    if (any) *function = with_results(graph->arena, function, roots);
}
