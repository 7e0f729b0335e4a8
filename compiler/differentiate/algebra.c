// Smart constructors of derivatives: they fold what is known to be 0, 1 or constant.
#include "differentiate/algebra.h"

bool constant_value(const Node *node, double *value) {
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    if (node->op != OP_constant) return false;
    *value = dtype_is_float(node->dtype) ? node->scalar.real : (double)node->scalar.integer;
    return true;
}

// Two constants of a floating dtype: their values. The result is rounded once more for f32, which changes nothing for
// one of + - * / (a double holds more than twice an f32's digits).
static bool both_constant(const Node *x, const Node *y, double *a, double *b) {
    return dtype_is_float(x->dtype) && constant_value(x, a) && constant_value(y, b);
}

Node *algebra_negate(Graph *graph, Node *x) {
    double value;
    if (x->op == OP_negate) return x->inputs[0];
    if (dtype_is_float(x->dtype) && constant_value(x, &value)) return constant_like(graph, x, -value);
    if (x->op == OP_subtract) return algebra_subtract(graph, x->inputs[1], x->inputs[0]);
    return map1(graph, OP_negate, x);
}

Node *algebra_add(Graph *graph, Node *x, Node *y) {
    double a, b;
    if (is_constant(x, 0)) return y;
    if (is_constant(y, 0)) return x;
    if (both_constant(x, y, &a, &b)) return constant_like(graph, x, a + b);
    if (x == y) return algebra_multiply(graph, constant_like(graph, x, 2), x);
    if (y->op == OP_negate) return algebra_subtract(graph, x, y->inputs[0]);
    if (x->op == OP_negate) return algebra_subtract(graph, y, x->inputs[0]);
    return map2(graph, OP_add, x, y);
}

Node *algebra_subtract(Graph *graph, Node *x, Node *y) {
    double a, b;
    if (is_constant(y, 0)) return x;
    if (is_constant(x, 0)) return algebra_negate(graph, y);
    if (both_constant(x, y, &a, &b)) return constant_like(graph, x, a - b);
    if (y->op == OP_negate) return algebra_add(graph, x, y->inputs[0]);
    return map2(graph, OP_subtract, x, y);
}

static bool has_number(const Node *x) {
    double number;
    return x->op == OP_multiply && constant_value(x->inputs[0], &number);
}

Node *algebra_multiply(Graph *graph, Node *x, Node *y) {
    double a, b;
    if (is_constant(x, 0) || is_constant(y, 1)) return x;
    if (is_constant(y, 0) || is_constant(x, 1)) return y;
    if (both_constant(x, y, &a, &b)) return constant_like(graph, x, a * b);
    if (is_constant(x, -1)) return algebra_negate(graph, y);
    if (is_constant(y, -1)) return algebra_negate(graph, x);
    if (x->op == OP_negate && y->op != OP_negate)
        return algebra_negate(graph, algebra_multiply(graph, x->inputs[0], y));
    if (y->op == OP_negate) return algebra_negate(graph, algebra_multiply(graph, x, y->inputs[0]));
    // Numbers stand first and meet: (2 * x) * 3 is 6 * x.
    if (constant_value(y, &b)) return algebra_multiply(graph, y, x);
    if (constant_value(x, &a) && y->op == OP_multiply && constant_value(y->inputs[0], &b)) {
        Node *number = constant_like(graph, x, a * b);
        return algebra_multiply(graph, number, y->inputs[1]);
    }
    // (2 * x) * y is 2 * (x * y).
    if (has_number(x)) return algebra_multiply(graph, x->inputs[0], algebra_multiply(graph, x->inputs[1], y));
    if (has_number(y)) return algebra_multiply(graph, y->inputs[0], algebra_multiply(graph, x, y->inputs[1]));
    return map2(graph, OP_multiply, x, y);
}

Node *algebra_divide(Graph *graph, Node *x, Node *y) {
    double a, b;
    if (is_constant(x, 0) || is_constant(y, 1)) return x;
    if (both_constant(x, y, &a, &b)) return constant_like(graph, x, a / b);
    if (is_constant(y, -1)) return algebra_negate(graph, x);
    if (x->op == OP_negate) return algebra_negate(graph, algebra_divide(graph, x->inputs[0], y));
    if (y->op == OP_negate) return algebra_negate(graph, algebra_divide(graph, x, y->inputs[0]));
    return map2(graph, OP_divide, x, y);
}

Node *algebra_pow(Graph *graph, Node *x, Node *y) {
    if (is_constant(y, 0)) return constant_like(graph, x, 1);
    if (is_constant(y, 1)) return x;
    if (is_constant(y, 2)) return algebra_multiply(graph, x, x);
    if (is_constant(y, -1)) return algebra_divide(graph, constant_like(graph, x, 1), x);
    return map2(graph, OP_pow, x, y);
}

Node *algebra_compare(Graph *graph, Op op, Node *x, Node *y) {
    double a, b;
    if (!constant_value(x, &a) || !constant_value(y, &b) || !dtype_is_float(x->dtype)) return map2(graph, op, x, y);
    bool holds = op == OP_equal ? a == b : op == OP_not_equal ? a != b : op == OP_less ? a < b : a <= b;
    Node *value = constant_integer(graph, DTYPE_BOOL, holds);
    return broadcast(graph, value, (const Extent *const *)x->shape, x->rank, NULL);
}

Node *algebra_where(Graph *graph, Node *condition, Node *x, Node *y) {
    double value;
    if (constant_value(condition, &value)) return value != 0 ? x : y;
    if (x == y) return x;
    if (condition->op == OP_logical_not) return algebra_where(graph, condition->inputs[0], y, x);
    return map3(graph, OP_where, condition, x, y);
}

// Along which axes `node` shows that it only repeats, those of one element among them, as a bit mask.
static unsigned repeated_axes(const Node *node) {
    unsigned repeated = node->op == OP_broadcast ? (1u << node->rank) - 1 : 0;
    for (int i = 0; repeated && i < node->inputs[0]->rank; i++) {
        int axis = attribute_integer(node, i);
        if (node->inputs[0]->shape[i] == node->shape[axis]) repeated &= ~(1u << axis);
    }
    for (int i = 0; i < node->rank; i++)
        if (extent_is(node->shape[i], 1)) repeated |= 1u << i;
    return repeated;
}

// `x` without the axes `dropped`, which it repeats.
static Node *without_axes(Graph *graph, Node *x, unsigned dropped) {
    const Extent *shape[MAX_RANK], *small_shape[MAX_RANK];
    int rank = 0, place[MAX_RANK], axes[MAX_RANK], small_rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (dropped >> i & 1) continue;
        place[i] = rank;
        shape[rank++] = x->shape[i];
    }
    if (x->op != OP_broadcast) return reshape(graph, x, shape, rank);
    Node *small = x->inputs[0];
    for (int i = 0; i < small->rank; i++) {
        int axis = attribute_integer(x, i);
        if (dropped >> axis & 1) continue;
        axes[small_rank] = place[axis];
        small_shape[small_rank++] = small->shape[i];
    }
    return broadcast(graph, reshape(graph, small, small_shape, small_rank), shape, rank, axes);
}

// A sum over repeated axes is a product with their number of elements. Signs and numbers come out of sums.
Node *algebra_sum(Graph *graph, Node *x, const int *axes, int axis_count) {
    if (x->op == OP_negate) return algebra_negate(graph, algebra_sum(graph, x->inputs[0], axes, axis_count));
    if (has_number(x)) {
        double number = 1;
        Node *sum = algebra_sum(graph, x->inputs[1], axes, axis_count);
        constant_value(x->inputs[0], &number);
        return algebra_multiply(graph, constant_like(graph, sum, number), sum);
    }
    unsigned dropped = 0, repeated = repeated_axes(x);
    const Extent *times = extent_constant(graph->extents, 1);
    int rest[MAX_RANK], rest_count = 0;
    for (int i = 0; i < axis_count; i++) {
        if (repeated >> axes[i] & 1) {
            dropped |= 1u << axes[i];
            times = extent_multiply(graph->extents, times, x->shape[axes[i]]);
        } else {
            int below = 0;
            for (int k = 0; k < axes[i]; k++) below += dropped >> k & 1;
            rest[rest_count++] = axes[i] - below;
        }
    }
    if (!dropped) return reduce(graph, OP_reduce_sum, x, axes, axis_count);
    Node *sum = algebra_sum(graph, without_axes(graph, x, dropped), rest, rest_count);
    Node *factor = extent_value(graph, x->dtype, times);
    return algebra_multiply(graph, broadcast(graph, factor, (const Extent *const *)sum->shape, sum->rank, NULL), sum);
}

// ---- selects in cotangents

static Node *negation(Graph *graph, Node *condition) {
    if (condition->op == OP_logical_not) return condition->inputs[0];
    return map1(graph, OP_logical_not, condition);
}

Node *mask_apply(Graph *graph, Node *mask, Node *value) {
    if (!mask || is_constant(value, 0)) return value;
    return algebra_where(graph, mask, value, constant_like(graph, value, 0));
}

// Looks through at most `depth` sums, so that its time does not grow with the graph.
static Masked split_to(Graph *graph, Node *cotangent, int depth) {
    Masked masked = {NULL, cotangent};
    for (;;) {
        Node *value = masked.value, *mask;
        if (value->op != OP_where) break;
        if (is_constant(value->inputs[2], 0)) {
            mask = value->inputs[0];
            masked.value = value->inputs[1];
        } else if (is_constant(value->inputs[1], 0)) {
            mask = negation(graph, value->inputs[0]);
            masked.value = value->inputs[2];
        } else break;
        masked.mask = masked.mask ? map2(graph, OP_logical_and, masked.mask, mask) : mask;
    }
    if (masked.mask || cotangent->op != OP_add || !depth) return masked;
    // The sum of two selects is zero where neither holds.
    Masked left = split_to(graph, cotangent->inputs[0], depth - 1);
    if (!left.mask) return masked;
    Masked right = split_to(graph, cotangent->inputs[1], depth - 1);
    if (right.mask) masked.mask = map2(graph, OP_logical_or, left.mask, right.mask);
    return masked;
}

Masked mask_split(Graph *graph, Node *cotangent) {
    enum { SUMS = 4 };
    return split_to(graph, cotangent, SUMS);
}

// where(c, a, 0) + where(c, 0, b), the operands in either order, is where(c, a, b).
static Node *join_selects(Graph *graph, Node *x, Node *y) {
    if (x->op != OP_where || y->op != OP_where || x->inputs[0] != y->inputs[0]) return NULL;
    bool disjoint = (is_constant(x->inputs[1], 0) || is_constant(y->inputs[1], 0)) &&
                    (is_constant(x->inputs[2], 0) || is_constant(y->inputs[2], 0));
    bool same_side = (is_constant(x->inputs[1], 0) && is_constant(y->inputs[1], 0)) ||
                     (is_constant(x->inputs[2], 0) && is_constant(y->inputs[2], 0));
    if (!disjoint && !same_side) return NULL;
    return algebra_where(graph, x->inputs[0], algebra_add(graph, x->inputs[1], y->inputs[1]),
                         algebra_add(graph, x->inputs[2], y->inputs[2]));
}

Node *cotangent_add(Graph *graph, Node *x, Node *y) {
    if (!x) return y;
    if (!y) return x;
    Node *joined = join_selects(graph, x, y);
    if (joined) return joined;
    // A sum's last term may be the one that it meets.
    Node *last = x->op == OP_add ? join_selects(graph, x->inputs[1], y) : NULL;
    return last ? algebra_add(graph, x->inputs[0], last) : algebra_add(graph, x, y);
}
