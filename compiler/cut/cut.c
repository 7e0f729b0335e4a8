// What is kept between forward and backward. The rule: a value of the forward function that the backward one needs is
// computed again if it is a view, a leaf, or an elementwise op of a few instructions; everything else (products,
// reductions, transcendental functions, loops, gathers) is kept.
#include "cut/cut.h"

#include <string.h>

typedef struct {
    Graph *graph;
    bool *in_forward;     // by node id: the forward function computes it anyway
    Node **replacement;   // by node id: the node of the backward function for it
    int node_count;
    ARRAY(Node *) tape;
    ARRAY(Node *) leaves;
} Cutter;

static bool recomputes(const Node *node) {
    switch (op_class(node->op)) {
    case CLASS_LEAF:
    case CLASS_VIEW: return true;
    case CLASS_MAP: return !op_is_function(node->op);
    default: return false;
    }
}

static Node *keep(Cutter *cutter, Node *node) {
    Variable *variable = arena_new(cutter->graph->arena, Variable);
    variable->kind = VARIABLE_ARGUMENT;
    variable->index = cutter->tape.count;
    variable->name = node->name ? node->name : op_name(node->op);
    Node *leaf = variable_make(cutter->graph, variable, node->dtype, node->shape, node->rank);
    array_push(cutter->graph->arena, &cutter->tape, node);
    array_push(cutter->graph->arena, &cutter->leaves, leaf);
    return leaf;
}

// The node whose inputs have their replacements already.
static Node *backward_rebuild(Cutter *cutter, Node *node) {
    Node **inputs = arena_array(cutter->graph->arena, Node *, node->input_count);
    bool changed = false;
    for (int i = 0; i < node->input_count; i++) {
        inputs[i] = cutter->replacement[node->inputs[i]->id];
        changed = changed || inputs[i] != node->inputs[i];
    }
    return changed ? rebuild(cutter->graph, node, inputs) : node;
}

// What a loop yields for backward alone is there once the loop has run for its other results.
static bool forward_has(const Cutter *cutter, const Node *node) {
    return cutter->in_forward[node->id] || (node->op == OP_result && cutter->in_forward[node->inputs[0]->id]);
}

static bool is_kept(const Cutter *cutter, const Node *node) {
    return node->op != OP_variable && forward_has(cutter, node) && node->dtype != DTYPE_TUPLE && !recomputes(node);
}

static void replace_node(Cutter *cutter, Node *node) {
    Node **slot = &cutter->replacement[node->id];
    if (node->op == OP_variable) *slot = node;
    else *slot = is_kept(cutter, node) ? keep(cutter, node) : backward_rebuild(cutter, node);
}

// Inputs first, each as far down as what is kept. A stack of its own, since graphs may be deeper than the machine's.
static Node *backward_node(Cutter *cutter, Node *root) {
    NodeArray open = {0};
    array_push(cutter->graph->arena, &open, root);
    while (open.count) {
        Node *node = open.items[open.count - 1], *missing = NULL;
        bool leaf = cutter->replacement[node->id] || node->op == OP_variable || is_kept(cutter, node);
        for (int i = 0; !leaf && !missing && i < node->input_count; i++)
            if (!cutter->replacement[node->inputs[i]->id]) missing = node->inputs[i];
        if (missing) {
            array_push(cutter->graph->arena, &open, missing);
            continue;
        }
        if (!cutter->replacement[node->id]) replace_node(cutter, node);
        open.count--;
    }
    return cutter->replacement[root->id];
}

static Function forward_function(const Cutter *cutter, const Function *joint, int forward_count) {
    Function forward = *joint;
    forward.result_count = forward_count + cutter->tape.count;
    forward.results = arena_array(cutter->graph->arena, Named, forward.result_count);
    if (forward_count) memcpy(forward.results, joint->results, sizeof(Named) * (size_t)forward_count);
    for (int i = 0; i < cutter->tape.count; i++) {
        Node *node = cutter->tape.items[i];
        forward.results[forward_count + i] = (Named){node->name ? node->name : op_name(node->op), node};
    }
    return forward;
}

Cut cut_joint(Graph *graph, const Function *joint, int forward_count) {
    Cutter cutter = {.graph = graph, .node_count = graph->node_count};
    cutter.in_forward = arena_array(graph->arena, bool, graph->node_count);
    cutter.replacement = arena_array(graph->arena, Node *, graph->node_count);
    Node **roots = arena_array(graph->arena, Node *, forward_count);
    for (int i = 0; i < forward_count; i++) roots[i] = joint->results[i].node;
    NodeArray forward_nodes = reachable(graph, roots, forward_count);
    for (int i = 0; i < forward_nodes.count; i++) cutter.in_forward[forward_nodes.items[i]->id] = true;

    Cut cut = {.backward = *joint};
    cut.backward.result_count = joint->result_count - forward_count;
    cut.backward.results = arena_array(graph->arena, Named, cut.backward.result_count);
    for (int i = 0; i < cut.backward.result_count; i++) {
        const Named *result = &joint->results[forward_count + i];
        cut.backward.results[i] = (Named){result->name, backward_node(&cutter, result->node)};
    }
    cut.tape_count = cutter.tape.count;
    cut.tape = cutter.tape.items;
    cut.tape_leaves = cutter.leaves.items;
    cut.backward.argument_count = joint->argument_count + cut.tape_count;
    cut.backward.arguments = arena_array(graph->arena, Node *, cut.backward.argument_count);
    for (int i = 0; i < joint->argument_count; i++) cut.backward.arguments[i] = joint->arguments[i];
    for (int i = 0; i < cut.tape_count; i++) cut.backward.arguments[joint->argument_count + i] = cut.tape_leaves[i];
    cut.forward = forward_function(&cutter, joint, forward_count);
    return cut;
}
