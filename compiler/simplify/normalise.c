// Reductions whose order S10 gives in two steps become two nodes, so that no later stage knows the mixed kind.
#include "simplify/simplify.h"

#include "simplify/walk.h"

static Node *split(Graph *graph, Node *node) {
    if (node->op != OP_reduce_sum && node->op != OP_reduce_max && node->op != OP_reduce_min) return node;
    int count = node->attribute_count, trailing = 0, axes[MAX_RANK];
    Node *x = node->inputs[0];
    for (int i = 0; i < count; i++) axes[i] = attribute_integer(node, i);
    while (trailing < count && axes[count - 1 - trailing] == x->rank - 1 - trailing) trailing++;
    if (trailing == 0 || trailing == count) return node;
    int rest = count - trailing;
    return reduce(graph, node->op, reduce(graph, node->op, x, axes + rest, trailing), axes, rest);
}

void normalise_reductions(Graph *graph, Function *function) {
    walk_function(graph, function, split);
}
