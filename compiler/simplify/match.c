// Questions that rewrites ask about nodes.
#include "simplify/rules.h"

#include <math.h>

Node *constant_below(Node *node) {
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    return node->op == OP_constant ? node : NULL;
}

bool is_number(Node *node, double value) {
    const Node *constant = constant_below(node);
    if (!constant) return false;
    if (!dtype_is_float(constant->dtype)) return (double)constant->scalar.integer == value;
    return constant->scalar.real == value && !signbit(constant->scalar.real) == !signbit(value);
}

// Looks a few nodes deep, so that its time does not grow with the graph.
static bool is_never_negative_zero(const Node *node, int depth) {
    if (!dtype_is_float(node->dtype)) return true;
    if (!depth--) return false;
    switch (node->op) {
    case OP_constant: return node->scalar.real != 0 || !signbit(node->scalar.real);
    case OP_broadcast:
    case OP_reshape:
    case OP_transpose:
    case OP_slice: return is_never_negative_zero(node->inputs[0], depth);
    case OP_where:
        return is_never_negative_zero(node->inputs[1], depth) && is_never_negative_zero(node->inputs[2], depth);
    case OP_add:   // one of a product will be fma, which rounds what is below 0 and tiny to -0
        for (int i = 0; i < 2; i++)
            if (node->inputs[i]->op == OP_multiply) return false;
        return is_never_negative_zero(node->inputs[0], depth) || is_never_negative_zero(node->inputs[1], depth);
    case OP_cast: return !dtype_is_float(node->inputs[0]->dtype);
    case OP_divide: {   // such as 1 / N: too large to round to 0, and an infinite N is none
        const Node *numerator = node->inputs[0];
        return numerator->op == OP_constant && fabs(numerator->scalar.real) >= 1 && node->inputs[1]->op == OP_extent;
    }
    case OP_absolute:
    case OP_exp:
    case OP_sigmoid:
    case OP_extent:
    case OP_iota:
    case OP_reduce_sum: return true;   // a sum starts at +0
    default: return false;
    }
}

bool never_negative_zero(const Node *node) {
    enum { DEPTH = 8 };
    return is_never_negative_zero(node, DEPTH);
}

bool is_own_absolute(const Node *node) {
    return node->op == OP_absolute || node->op == OP_exp || node->op == OP_sigmoid;
}

Node *map_any(Graph *graph, Op op, Dtype dtype, Node *const *inputs, int count) {
    if (op == OP_cast) return cast(graph, inputs[0], dtype);
    if (count == 1) return map1(graph, op, inputs[0]);
    if (count == 2) return map2(graph, op, inputs[0], inputs[1]);
    return map3(graph, op, inputs[0], inputs[1], inputs[2]);
}

unsigned all_axes(const Node *node) {
    return (1u << node->rank) - 1;
}

unsigned reduced_axes(const Node *reduce) {
    unsigned axes = 0;
    for (int i = 0; i < reduce->attribute_count; i++) axes |= 1u << attribute_integer(reduce, i);
    return axes;
}

unsigned varying_axes(Node *node) {
    if (constant_below(node)) return 0;
    if (node->op == OP_iota) return 1u << attribute_integer(node, 0);
    if (node->op != OP_broadcast) return all_axes(node);
    const Node *x = node->inputs[0];
    unsigned axes = 0;
    for (int i = 0; i < x->rank; i++)
        if (!extent_is(x->shape[i], 1)) axes |= 1u << attribute_integer(node, i);
    return axes;
}

Node *without_units(Graph *graph, Node *x, unsigned axes) {
    const Extent *shape[MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!(axes >> i & 1)) shape[rank++] = x->shape[i];
    return reshape(graph, x, shape, rank);
}

// The axes in `axes` of `node`, as a shape; `place` (may be NULL) takes the new number of each.
static int restrict_shape(const Node *node, unsigned axes, const Extent **shape, int *place) {
    int rank = 0;
    for (int i = 0; i < node->rank; i++) {
        if (!(axes >> i & 1)) continue;
        if (place) place[i] = rank;
        shape[rank++] = node->shape[i];
    }
    return rank;
}

Node *along_axes(Graph *graph, Node *node, unsigned axes) {
    if (axes == all_axes(node)) return node;
    const Extent *shape[MAX_RANK];
    int place[MAX_RANK], kept[MAX_RANK], count = 0;
    int rank = restrict_shape(node, axes, shape, place);
    Node *constant = constant_below(node);
    if (constant) return broadcast(graph, constant, shape, rank, NULL);
    if (node->op == OP_iota) return iota(graph, node->dtype, shape, rank, place[attribute_integer(node, 0)]);
    Node *x = node->inputs[0];
    unsigned units = 0;
    for (int i = 0; i < x->rank; i++) {
        int axis = attribute_integer(node, i);
        if (axes >> axis & 1) kept[count++] = place[axis];
        else units |= 1u << i;
    }
    return broadcast(graph, without_units(graph, x, units), shape, rank, kept);
}

Node *spread(Graph *graph, Node *small, unsigned axes, const Node *like) {
    int places[MAX_RANK], count = 0;
    for (int i = 0; i < like->rank; i++)
        if (axes >> i & 1) places[count++] = i;
    return broadcast(graph, small, like->shape, like->rank, places);
}

bool same_but_units(const Node *a, const Node *b) {
    int i = 0, k = 0;
    for (;;) {
        while (i < a->rank && extent_is(a->shape[i], 1)) i++;
        while (k < b->rank && extent_is(b->shape[k], 1)) k++;
        if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
        if (a->shape[i++] != b->shape[k++]) return false;
    }
}

Node *reduce_over(Graph *graph, Op op, Node *x, unsigned axes) {
    int list[MAX_RANK], count = 0;
    for (int i = 0; i < x->rank; i++)
        if (axes >> i & 1) list[count++] = i;
    return reduce(graph, op, x, list, count);
}

bool is_iota_along(Node *node, int axis) {
    if (node->op == OP_reshape && same_but_units(node, node->inputs[0])) {   // with axes of one element more
        const Node *x = node->inputs[0];
        return x->op == OP_iota && x->rank == 1 && x->shape[0] == node->shape[axis] && !extent_is(x->shape[0], 1);
    }
    if (node->op == OP_iota) return attribute_integer(node, 0) == axis;
    return node->op == OP_broadcast && node->inputs[0]->op == OP_iota && varying_axes(node->inputs[0]) == 1 &&
           node->inputs[0]->rank == 1 && attribute_integer(node, 0) == axis &&
           node->inputs[0]->shape[0] == node->shape[axis];
}

bool is_class_mask(Node *mask, int axis, Node **numbers) {
    if (mask->op != OP_equal || !dtype_is_integer(mask->inputs[0]->dtype)) return false;
    for (int i = 0; i < 2; i++) {
        Node *other = mask->inputs[1 - i];
        if (!is_iota_along(mask->inputs[i], axis) || (varying_axes(other) >> axis & 1)) continue;
        *numbers = other;
        return true;
    }
    return false;
}

Node *in_range(Graph *graph, Node *numbers, const Extent *extent) {
    Node *count = extent_value(graph, numbers->dtype, extent);
    count = broadcast(graph, count, numbers->shape, numbers->rank, NULL);
    Node *from_zero = map2(graph, OP_less_equal, constant_like(graph, numbers, 0), numbers);
    return map2(graph, OP_logical_and, from_zero, map2(graph, OP_less, numbers, count));
}

bool known_range(Node *node, const Extent **bound) {
    while (node->op == OP_broadcast || node->op == OP_reshape || node->op == OP_transpose || node->op == OP_slice ||
           node->op == OP_stop_gradient || node->op == OP_gather ||
           (node->op == OP_cast && node->inputs[0]->dtype == DTYPE_I32 && node->dtype == DTYPE_I64))
        node = node->inputs[0];
    *bound = NULL;
    if (node->op == OP_variable) *bound = node->variable->bound;
    if (node->op == OP_iota) *bound = node->shape[attribute_integer(node, 0)];
    return *bound != NULL && dtype_is_integer(node->dtype);
}
