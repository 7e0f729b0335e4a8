// Forward mode: from the targets to the roots, each node once, inputs before users.
#include "differentiate/modes.h"

#include "differentiate/algebra.h"

typedef struct {
    Deriver *deriver;
    Graph *graph;
    NodeMap *tangents;
    int older;   // nodes below this id are no derivatives
} Push;

static void add_to(const Push *push, Node **sum, Node *tangent) {
    if (tangent && !is_constant(tangent, 0)) *sum = cotangent_add(push->graph, *sum, tangent);
}

// ---- ops

// As in reverse mode a select stays outside of what the local derivative is multiplied with (S15). The choice of a
// select is that of its tangents: nothing is multiplied.
static Node *push_map(const Push *push, Node *node) {
    Node *sum = NULL;
    for (int i = 0; i < node->input_count; i++) {
        Node *tangent = node_map_get(push->tangents, node->inputs[i]);
        if (!tangent) continue;
        Masked masked = {NULL, tangent};
        if (node->op != OP_where) masked = mask_split(push->graph, tangent);
        Node *local = rules_push(push->deriver->rules, push->graph, node, i, masked.value);
        if (!local) continue;
        add_to(push, &sum, local == masked.value ? tangent : mask_apply(push->graph, masked.mask, local));
    }
    return sum;
}

// The same op, of other inputs, without its name.
static Node *again(Graph *graph, const Node *node, Node **inputs) {
    bool same = true;
    for (int i = 0; i < node->input_count; i++) same = same && inputs[i] == node->inputs[i];
    if (same) return (Node *)node;
    Node unnamed = *node;
    unnamed.name = NULL;
    return rebuild(graph, &unnamed, inputs);
}

static Node *sum_again(Graph *graph, const Node *node, Node *x) {
    int axes[MAX_RANK];
    for (int i = 0; i < node->attribute_count; i++) axes[i] = attribute_integer(node, i);
    return algebra_sum(graph, x, axes, node->attribute_count);
}

// What a linear op gives of input number `input` alone.
static Node *linear_term(Graph *graph, Node *node, int input, Node *tangent) {
    Node **inputs = arena_copy(graph->arena, node->inputs, sizeof(Node *) * (size_t)node->input_count);
    inputs[input] = tangent;
    if (node->op == OP_contract) return contract_again(graph, node, inputs[0], inputs[1]);
    if (node->op == OP_reduce_sum) return sum_again(graph, node, tangent);
    Masked masked = {NULL, tangent};
    if (op_class(node->op) == CLASS_VIEW && node->op != OP_pad) masked = mask_split(graph, tangent);
    inputs[input] = masked.value;
    Node *value = again(graph, node, inputs);
    if (!masked.mask) return value;
    Node unchecked = *node;   // a view of bools
    unchecked.dtype = DTYPE_BOOL;
    unchecked.name = NULL;
    return mask_apply(graph, rebuild(graph, &unchecked, &masked.mask), value);
}

// The structural ops that are functions of the table are linear in each of their inputs.
static Node *push_linear(const Push *push, Node *node) {
    Node *sum = NULL;
    for (int i = 0; i < node->input_count; i++) {
        Node *tangent = node_map_get(push->tangents, node->inputs[i]);
        if (tangent) add_to(push, &sum, linear_term(push->graph, node, i, tangent));
    }
    return sum;
}

// The rule gives a cotangent, linear in `ct`: its own transpose gives the tangent.
static Node *push_transposed(const Push *push, Node *node) {
    Node *sum = NULL;
    for (int i = 0; i < node->input_count; i++) {
        Node *tangent = node_map_get(push->tangents, node->inputs[i]), *term;
        if (!tangent) continue;
        Node *ct = argument_like(push->graph, node, "", "ct");
        Node *cotangent = rules_apply(push->deriver->rules, push->graph, node, i, ct);
        if (!cotangent) continue;
        reverse_mode(push->deriver, &cotangent, &tangent, 1, &ct, 1, &term);
        add_to(push, &sum, term);
    }
    return sum;
}

// The tangents of all results of a loop or custom, of which `node` is one.
static Node *push_result(const Push *push, const Node *node) {
    Node *tuple = node->inputs[0];
    Arena *arena = push->graph->arena;
    if (node_map_get(push->tangents, tuple)) return node_map_get(push->tangents, node);   // all were found before
    node_map_set(push->tangents, tuple, tuple);
    Node **inputs = arena_array(arena, Node *, tuple->input_count);
    Node **results = arena_array(arena, Node *, tuple_size(tuple));
    for (int i = 0; i < tuple->input_count; i++) inputs[i] = node_map_get(push->tangents, tuple->inputs[i]);
    if (tuple->op == OP_custom) forward_custom(push->deriver, tuple, inputs, results);
    else forward_loop(push->deriver, tuple, inputs, results);
    for (int i = 0; i < tuple_size(tuple); i++)
        if (results[i] && !is_constant(results[i], 0))
            node_map_set(push->tangents, result_of(push->graph, tuple, i), results[i]);
    return node_map_get(push->tangents, node);
}

static Node *push_node(const Push *push, Node *node) {
    if (node->op == OP_variable) return NULL;
    if (node->op == OP_track) return node_map_get(push->tangents, node->inputs[0]);
    if (node->op == OP_result) return push_result(push, node);
    switch (rules_kind(push->deriver->rules, node->op)) {
    case DERIVATIVE_RULE: return op_class(node->op) == CLASS_MAP ? push_map(push, node) : push_transposed(push, node);
    case DERIVATIVE_ADJOINT: return push_linear(push, node);
    case DERIVATIVE_MISSING: report_missing(push->deriver, node); return NULL;
    default: return NULL;
    }
}

// ---- the pass

static void name_tangent(const Push *push, const Node *node, Node *tangent) {
    double number;
    if (!node->name || tangent->name || tangent->id < push->older || constant_value(tangent, &number)) return;
    name_node(tangent, arena_print(push->graph->arena, "%s_dot", node->name));
}

static void push_region(const Push *push, const Region *region, Node *const *targets, Node *const *seeds,
                        int target_count) {
    for (int i = 0; i < region->count; i++) {
        Node *node = region->nodes[i];
        if (!node || !region->active[i] || node->dtype == DTYPE_TUPLE || node_map_get(push->tangents, node)) continue;
        push->graph->span = node->span;
        Node *tangent = push_node(push, node);
        for (int k = 0; k < target_count; k++)
            if (targets[k] == node) add_to(push, &tangent, seeds[k]);
        if (!tangent) continue;
        name_tangent(push, node, tangent);
        node_map_set(push->tangents, node, tangent);
    }
}

void forward_mode(Deriver *deriver, Node *const *roots, int root_count, Node *const *targets, Node *const *seeds,
                  int target_count, NodeMap *known, Node **tangents) {
    Graph *graph = deriver->graph;
    Push push = {deriver, graph, known, graph->node_count};
    Region region = region_of(deriver, roots, root_count, targets, target_count);
    Span outer = graph->span;
    push_region(&push, &region, targets, seeds, target_count);
    graph->span = outer;
    for (int i = 0; i < root_count; i++)
        tangents[i] = region_active(&region, roots[i]) ? node_map_get(known, roots[i]) : NULL;
}
