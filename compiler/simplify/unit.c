// Rewrites of the unit matrix, iota == iota of two axes of one extent, with which derivatives of several numbers begin.
#include "simplify/rules.h"

// Whether the mask says that its place on axis `a` is that on axis `b`, and nothing of others.
static bool is_unit_mask(Node *mask, int a, int b) {
    Node *numbers, *same;
    if (mask->dtype != DTYPE_BOOL || a == b || mask->shape[a] != mask->shape[b]) return false;
    if (!is_class_mask(mask, a, &numbers) || varying_axes(numbers) != 1u << b) return false;
    return is_class_mask(mask, b, &same) && same != numbers;
}

// `small`, which has the axes `axes` of `like` in order, with what was axis `from` as axis `to` of those of `result`.
static Node *renamed(Graph *graph, Node *small, unsigned axes, int from, int to, unsigned result) {
    int permutation[MAX_RANK], count = 0;
    for (int axis = 0; axis < MAX_RANK; axis++) {
        if (!(result >> axis & 1)) continue;
        int source = axis == to ? from : axis, place = 0;
        for (int k = 0; k < source; k++) place += axes >> k & 1;
        permutation[count++] = place;
    }
    return transpose(graph, small, permutation);
}

// The sum along axis a of where(i_a == i_b, x, 0), with x the same along b: x, with a for b. A sum starts at +0.
Node *sum_of_unit(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *choice = node->inputs[0];
    if (node->attribute_count != 1 || choice->op != OP_where || !is_constant(choice->inputs[2], 0)) return NULL;
    int a = attribute_integer(node, 0);
    unsigned varying = varying_axes(choice->inputs[1]);
    for (int b = 0; b < choice->rank; b++) {
        if ((varying >> b & 1) || !is_unit_mask(choice->inputs[0], a, b)) continue;
        unsigned axes = all_axes(choice) & ~(1u << b);
        Node *small = along_axes(graph, choice->inputs[1], axes);
        small = renamed(graph, small, axes, a, b, all_axes(choice) & ~(1u << a));
        return dtype_is_float(node->dtype) ? map2(graph, OP_add, small, constant_like(graph, small, 0)) : small;
    }
    return NULL;
}

// The axis that has the label, of an operand or the result whose labels begin at `first`; -1: none.
static int find_label(const Node *contract, int first, int rank, int label) {
    for (int i = 0; i < rank; i++)
        if (attribute_integer(contract, first + i) == label) return i;
    return -1;
}

// A product with the unit matrix, of which one axis is summed: the other operand, with one label for the other.
static Node *other_operand(Graph *graph, const Node *node, int side, int summed) {
    const Node *unit = node->inputs[side];
    Node *other = node->inputs[1 - side];
    int firsts[2] = {2, 2 + node->inputs[0]->rank}, first = firsts[1 - side];
    int result = firsts[1] + node->inputs[1]->rank, permutation[MAX_RANK];
    if (unit->op != OP_cast || unit->rank != 2 || !is_unit_mask(unit->inputs[0], 0, 1)) return NULL;
    int gone = attribute_integer(node, firsts[side] + summed),
        kept = attribute_integer(node, firsts[side] + 1 - summed);
    bool sums = find_label(node, result, node->rank, gone) < 0 && find_label(node, first, other->rank, kept) < 0;
    if (!sums || node->rank != other->rank) return NULL;
    for (int i = 0; i < node->rank; i++) {
        int label = attribute_integer(node, result + i);
        permutation[i] = find_label(node, first, other->rank, label == kept ? gone : label);
        if (permutation[i] < 0) return NULL;
    }
    return transpose(graph, other, permutation);
}

Node *contract_of_unit(Simplifier *simplifier, Node *node) {
    for (int side = 0; side < 2; side++)
        for (int summed = 0; summed < 2; summed++) {
            Node *other = other_operand(simplifier->graph, node, side, summed);
            if (other) return other;
        }
    return NULL;
}
