// Where multiply-add is one operation (S9). The rule reads nothing but the node and its operands:
//   a * b + c -> fma(a, b, c)      c + a * b -> fma(a, b, c)      of two products the first is taken
//   a * b - c -> fma(a, b, -c)     c - a * b -> fma(-a, b, c)     of two products the first is taken
// A product that has other readers is computed for them as well: were it to matter who else reads it, the bits would
// depend on what the tape keeps and on how kernels are cut.
#include "simplify/simplify.h"

#include "simplify/walk.h"

static bool is_product(const Node *node) {
    return node->op == OP_multiply;
}

static Node *fused(Graph *graph, Node *a, Node *b, Node *c) {
    return map3(graph, OP_fma, a, b, c);
}

static Node *place(Graph *graph, Node *node) {
    if ((node->op != OP_add && node->op != OP_subtract) || !dtype_is_float(node->dtype)) return node;
    Node *left = node->inputs[0], *right = node->inputs[1];
    bool minus = node->op == OP_subtract;
    if (is_product(left)) {
        Node *rest = minus ? map1(graph, OP_negate, right) : right;
        return fused(graph, left->inputs[0], left->inputs[1], rest);
    }
    if (!is_product(right)) return node;
    Node *factor = minus ? map1(graph, OP_negate, right->inputs[0]) : right->inputs[0];
    return fused(graph, factor, right->inputs[1], left);
}

void place_fma(Graph *graph, Function *function) {
    walk_function(graph, function, place);
}
