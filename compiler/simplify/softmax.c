// Rewrites of exponentials that are summed over a row: softmax, log-softmax and log-sum-exp. In exact arithmetic none of
// them changes when a number c, the same for the whole row, is subtracted from all arguments. The normal forms subtract
// the row's largest element m, so the largest exponential is 1 and the sum is at least 1:
//   softmax        e / s                    e = exp(x - m), s = sum(e)
//   log-softmax    (x - m) - log(s)
//   log-sum-exp    f + log(sum(exp(x - f))) f = m, or 0 where m is not finite: the value of a row of -inf is -inf
// The derivative through m is zero, so before differentiation it is a stop_gradient: what is compiled is the derivative
// of the mathematical function, p - y where a class is picked.
#include "simplify/softmax.h"

#include <math.h>

static Node *binary(Simplifier *simplifier, Op op, Node *x, Node *y) {
    return map2(simplifier->graph, op, x, y);
}

// ---- shifts

// The largest element of each row of x, with those of x's axes that are not in `axes`.
static Node *row_maximum(Simplifier *simplifier, Node *x, unsigned axes) {
    Node *maximum = reduce_over(simplifier->graph, OP_reduce_max, x, axes);
    if (simplifier->before_gradient) maximum = stop_gradient(simplifier->graph, maximum);
    return simplify_node(simplifier, maximum);
}

// The same, and 0 where it is infinite or NaN.
static Node *finite_maximum(Simplifier *simplifier, Node *x, unsigned axes) {
    Graph *graph = simplifier->graph;
    Node *maximum = row_maximum(simplifier, x, axes);
    Node *finite = map2(graph, OP_less, map1(graph, OP_absolute, maximum), constant_like(graph, maximum, INFINITY));
    return simplify_node(simplifier, map3(graph, OP_where, finite, maximum, constant_like(graph, maximum, 0)));
}

Node *row_value(Simplifier *simplifier, Node *full, unsigned axes) {
    if (varying_axes(full) & axes) return NULL;
    return simplify_node(simplifier, along_axes(simplifier->graph, full, all_axes(full) & ~axes));
}

Node *to_rows(Simplifier *simplifier, Node *value, unsigned axes, const Node *like) {
    return spread(simplifier->graph, value, all_axes(like) & ~axes, like);
}

// x as `base - shift` or `base + shift`, with `shift` the same all along `axes`.
typedef struct {
    Op op;
    Node *base, *shift;
} Shifted;

static bool split_shift(Simplifier *simplifier, Node *x, unsigned axes, Shifted *result) {
    if (x->op != OP_subtract && x->op != OP_add) return false;
    for (int i = 1; i >= (x->op == OP_subtract); i--) {
        Node *shift = row_value(simplifier, x->inputs[i], axes);
        if (!shift) continue;
        *result = (Shifted){x->op, x->inputs[1 - i], shift};
        return true;
    }
    return false;
}

typedef enum { SHIFT_MAXIMUM, SHIFT_FINITE } ShiftKind;

static bool is_normal(Simplifier *simplifier, const Shifted *shifted, unsigned axes, ShiftKind kind) {
    if (shifted->op != OP_subtract) return false;
    return shifted->shift == (kind == SHIFT_MAXIMUM ? row_maximum : finite_maximum)(simplifier, shifted->base, axes);
}

static Node *shift_rows(Simplifier *simplifier, Node *x, Node *shift, unsigned axes) {
    return binary(simplifier, OP_subtract, x, to_rows(simplifier, shift, axes, x));
}

// ---- what is recognised

// total = sum(exp(argument)) over axes.
typedef struct {
    Node *exponential, *argument;
    unsigned axes;
} Exponentials;

static bool match_total(const Node *total, Exponentials *result) {
    if (total->op != OP_reduce_sum || total->inputs[0]->op != OP_exp) return false;
    Node *exponential = total->inputs[0];
    *result = (Exponentials){exponential, exponential->inputs[0], reduced_axes(total)};
    return true;
}

static Node *below_repeats(Node *node) {
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    return node;
}

// `divisor` is the row sum of exp(argument), repeated along the rows of `like`.
static bool match_divisor(Simplifier *simplifier, Node *divisor, const Node *like, Exponentials *result) {
    Node *total = below_repeats(divisor);
    return match_total(total, result) && same_shape(result->exponential, like) &&
           row_value(simplifier, divisor, result->axes) == total;
}

bool match_softmax(Simplifier *simplifier, Node *node, unsigned *axes) {
    Exponentials row;
    if (node->op != OP_divide || !match_divisor(simplifier, node->inputs[1], node, &row)) return false;
    *axes = row.axes;
    return row.exponential == node->inputs[0];
}

static bool match_log_sum_exp(Simplifier *simplifier, Node *node, Node **x, unsigned *axes) {
    if (node->op != OP_add) return false;
    for (int i = 0; i < 2; i++) {
        Exponentials row;
        Shifted shifted;
        Node *log = node->inputs[i], *maximum = node->inputs[1 - i];
        if (log->op != OP_log || !match_total(log->inputs[0], &row)) continue;
        if (!split_shift(simplifier, row.argument, row.axes, &shifted) || shifted.shift != maximum) continue;
        if (!is_normal(simplifier, &shifted, row.axes, SHIFT_FINITE) &&
            !is_normal(simplifier, &shifted, row.axes, SHIFT_MAXIMUM))
            continue;
        *x = shifted.base;
        *axes = row.axes;
        return true;
    }
    return false;
}

// ---- the normal forms

static Node *log_of_total(Simplifier *simplifier, Node *argument, unsigned axes) {
    Graph *graph = simplifier->graph;
    Node *exponential = map1(graph, OP_exp, argument);
    return map1(graph, OP_log, reduce_over(graph, OP_reduce_sum, exponential, axes));
}

bool match_log_softmax(Simplifier *simplifier, Node *node, unsigned *axes) {
    Exponentials row;
    if (node->op != OP_subtract) return false;
    Node *log = below_repeats(node->inputs[1]);
    if (log->op != OP_log || !match_total(log->inputs[0], &row) || row.argument != node->inputs[0]) return false;
    *axes = row.axes;
    return row_value(simplifier, node->inputs[1], row.axes) == log;
}

static Node *make_softmax(Simplifier *simplifier, Node *x, unsigned axes) {
    Node *argument = shift_rows(simplifier, x, row_maximum(simplifier, x, axes), axes);
    Node *exponential = map1(simplifier->graph, OP_exp, argument);
    Node *total = reduce_over(simplifier->graph, OP_reduce_sum, exponential, axes);
    return binary(simplifier, OP_divide, exponential, to_rows(simplifier, total, axes, x));
}

static Node *make_log_softmax(Simplifier *simplifier, Node *x, unsigned axes) {
    Node *argument = shift_rows(simplifier, x, row_maximum(simplifier, x, axes), axes);
    return shift_rows(simplifier, argument, log_of_total(simplifier, argument, axes), axes);
}

static Node *make_log_sum_exp(Simplifier *simplifier, Node *x, unsigned axes) {
    Node *shift = finite_maximum(simplifier, x, axes);
    Node *argument = shift_rows(simplifier, x, shift, axes);
    return binary(simplifier, OP_add, shift, log_of_total(simplifier, argument, axes));
}

// ---- softmax

// exp(x) / sum(exp(x))
Node *softmax_shift(Simplifier *simplifier, Node *node) {
    unsigned axes;
    Shifted shifted;
    if (!match_softmax(simplifier, node, &axes)) return NULL;
    Node *x = node->inputs[0]->inputs[0];
    if (split_shift(simplifier, x, axes, &shifted)) return NULL;
    return make_softmax(simplifier, x, axes);
}

// The same of x - c, where c is not x's maximum, or is to be marked.
Node *softmax_constant_shift(Simplifier *simplifier, Node *node) {
    unsigned axes;
    Shifted shifted;
    if (!match_softmax(simplifier, node, &axes)) return NULL;
    if (!split_shift(simplifier, node->inputs[0]->inputs[0], axes, &shifted)) return NULL;
    if (is_normal(simplifier, &shifted, axes, SHIFT_MAXIMUM)) return NULL;
    return make_softmax(simplifier, shifted.base, axes);
}

// Where x is a multiple of 1 / total: x * total. `x` has the shape of the exponentials, or is one value for each row.
// NULL: not as far as can be seen.
static Node *times_total(Simplifier *simplifier, Node *x, const Node *total, unsigned axes, int depth) {
    Graph *graph = simplifier->graph;
    Node *parts[2] = {NULL, NULL};
    if (depth == 0) return NULL;
    if (is_number(x, 0)) return x;
    switch (x->op) {
    case OP_where: {
        bool first = is_number(x->inputs[2], 0);
        if (!first && !is_number(x->inputs[1], 0)) return NULL;
        Node *sides[2] = {x->inputs[1], x->inputs[2]};
        sides[!first] = times_total(simplifier, sides[!first], total, axes, depth - 1);
        return sides[!first] ? map3(graph, OP_where, x->inputs[0], sides[0], sides[1]) : NULL;
    }
    case OP_divide: {
        Node *divisor = x->inputs[1];
        bool rows = divisor != total && below_repeats(divisor) == total && same_shape(x, total->inputs[0]);
        return divisor == total || (rows && row_value(simplifier, divisor, axes) == total) ? x->inputs[0] : NULL;
    }
    case OP_negate:
    case OP_add:
    case OP_subtract:
        for (int i = 0; i < x->input_count; i++)
            if (!(parts[i] = times_total(simplifier, x->inputs[i], total, axes, depth - 1))) return NULL;
        return map_any(graph, x->op, x->dtype, parts, x->input_count);
    case OP_multiply:
        for (int i = 0; i < 2; i++)
            if ((parts[i] = times_total(simplifier, x->inputs[i], total, axes, depth - 1)))
                return map2(graph, OP_multiply, i ? x->inputs[0] : parts[0], i ? parts[1] : x->inputs[1]);
        return NULL;
    case OP_reduce_sum:
        if (!same_shape(x->inputs[0], total->inputs[0]) || reduced_axes(x) != axes) return NULL;
        parts[0] = times_total(simplifier, x->inputs[0], total, axes, depth - 1);
        return parts[0] ? reduce_over(graph, OP_reduce_sum, parts[0], axes) : NULL;
    case OP_broadcast:
        if (!same_shape(x, total->inputs[0]) || !(parts[0] = row_value(simplifier, x, axes))) return NULL;
        parts[0] = parts[0] == x ? NULL : times_total(simplifier, parts[0], total, axes, depth - 1);
        return parts[0] ? to_rows(simplifier, parts[0], axes, x) : NULL;
    case OP_reshape:
        if (!same_but_units(x, x->inputs[0])) return NULL;
        parts[0] = times_total(simplifier, x->inputs[0], total, axes, depth - 1);
        return parts[0] ? reshape(graph, parts[0], (const Extent *const *)x->shape, x->rank) : NULL;
    default: return NULL;
    }
}

// A row sum of `exponential` by which something in x is divided.
static Node *find_total(Node *x, const Node *exponential, int depth) {
    Exponentials row;
    if (x->op == OP_divide) {
        Node *total = below_repeats(x->inputs[1]);
        return match_total(total, &row) && row.exponential == exponential ? total : NULL;
    }
    bool enters = x->op == OP_negate || x->op == OP_add || x->op == OP_subtract || x->op == OP_multiply ||
                  x->op == OP_reduce_sum || x->op == OP_broadcast || x->op == OP_reshape || x->op == OP_where;
    for (int i = x->op == OP_where; enters && depth > 0 && i < x->input_count; i++) {
        Node *total = find_total(x->inputs[i], exponential, depth - 1);
        if (total) return total;
    }
    return NULL;
}

// e * (c / s) -> (e / s) * c: what the derivatives of softmax and of log-sum-exp have. c / s may be a sum of such terms.
Node *softmax_of_quotient(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 8 };
    for (int i = 0; i < 2; i++) {
        Node *exponential = node->inputs[i], *quotient = node->inputs[1 - i];
        Node *total = exponential->op == OP_exp ? find_total(quotient, exponential, DEPTH) : NULL;
        if (!total) continue;
        unsigned axes = reduced_axes(total);
        Node *factor = times_total(simplifier, quotient, total, axes, DEPTH);
        if (!factor) continue;
        Node *softmax = binary(simplifier, OP_divide, exponential, to_rows(simplifier, total, axes, node));
        return binary(simplifier, OP_multiply, softmax, factor);
    }
    return NULL;
}

// Where every term of x is divided by `divisor`, which has its shape: x * divisor; NULL: one is not.
static Node *terms_times(Simplifier *simplifier, Node *x, Node *divisor, int depth) {
    Graph *graph = simplifier->graph;
    Node *inputs[3] = {NULL};
    if (is_number(x, 0)) return x;
    if (!depth--) return NULL;
    bool sum = x->op == OP_add || x->op == OP_subtract;
    if (x->op == OP_broadcast) {
        unsigned axes = all_axes(x) & ~varying_axes(x);
        Node *row = axes ? row_value(simplifier, x, axes) : NULL, *below = row_value(simplifier, divisor, axes);
        Node *rest = row && below && row != x ? terms_times(simplifier, row, below, depth) : NULL;
        return rest ? to_rows(simplifier, rest, axes, x) : NULL;
    }
    if (!sum && x->op != OP_where) return without_divisor(simplifier, x, divisor, depth);
    for (int i = 0; i < x->input_count; i++) {
        bool condition = x->op == OP_where && i == 0;
        inputs[i] = condition ? x->inputs[i] : terms_times(simplifier, x->inputs[i], divisor, depth);
        if (!inputs[i]) return NULL;
    }
    return map_any(graph, x->op, x->dtype, inputs, x->input_count);
}

// The same where e is repeated, as in the Jacobian of softmax: e_j * (d_ij / s - p_i / s) -> p_j * (d_ij - p_i)
Node *softmax_of_terms(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 8 };
    Graph *graph = simplifier->graph;
    for (int i = 0; i < 2; i++) {
        Node *repeated = node->inputs[i], *terms = node->inputs[1 - i];
        Node *exponential = repeated->op == OP_broadcast ? repeated->inputs[0] : NULL;
        Node *total = exponential && exponential->op == OP_exp ? find_total(terms, exponential, DEPTH) : NULL;
        if (!total) continue;
        Node *divisor = to_rows(simplifier, total, reduced_axes(total), exponential);
        Node *softmax = binary(simplifier, OP_divide, exponential, divisor);
        Node *factor =
            terms_times(simplifier, terms, simplify_node(simplifier, rebuild(graph, repeated, &divisor)), DEPTH);
        if (factor) return binary(simplifier, OP_multiply, rebuild(graph, repeated, &softmax), factor);
    }
    return NULL;
}

// ---- log-sum-exp

Node *log_sum_exp_shift(Simplifier *simplifier, Node *node) {
    Exponentials row;
    Shifted shifted;
    if (!match_total(node->inputs[0], &row) || split_shift(simplifier, row.argument, row.axes, &shifted)) return NULL;
    return make_log_sum_exp(simplifier, row.argument, row.axes);
}

// log(sum(exp(x - c))) -> log_sum_exp(x) - c
Node *log_sum_exp_constant_shift(Simplifier *simplifier, Node *node) {
    Exponentials row;
    Shifted shifted;
    if (!match_total(node->inputs[0], &row) || !split_shift(simplifier, row.argument, row.axes, &shifted)) return NULL;
    if (is_normal(simplifier, &shifted, row.axes, SHIFT_MAXIMUM)) return NULL;
    if (is_normal(simplifier, &shifted, row.axes, SHIFT_FINITE)) return NULL;
    return binary(simplifier, shifted.op, make_log_sum_exp(simplifier, shifted.base, row.axes), shifted.shift);
}

// (log_sum_exp(x) - c) + c, (log_sum_exp(x) + c) - c
Node *cancel_shift(Simplifier *simplifier, Node *node) {
    Op inverse = node->op == OP_add ? OP_subtract : OP_add;
    for (int i = 0; i < (node->op == OP_add ? 2 : 1); i++) {
        Node *inner = node->inputs[i], *c = node->inputs[1 - i], *x;
        unsigned axes;
        if (inner->op != inverse || inner->inputs[1] != c) continue;
        if (match_log_sum_exp(simplifier, inner->inputs[0], &x, &axes)) return inner->inputs[0];
    }
    return NULL;
}

// ---- log-softmax

// x - log_sum_exp(x)
Node *log_softmax_shift(Simplifier *simplifier, Node *node) {
    Node *x, *small = below_repeats(node->inputs[1]);
    unsigned axes;
    if (!match_log_sum_exp(simplifier, small, &x, &axes) || x != node->inputs[0]) return NULL;
    if (row_value(simplifier, node->inputs[1], axes) != small) return NULL;
    return make_log_softmax(simplifier, x, axes);
}

// (x - c) - log_sum_exp(x - c), the latter being log_sum_exp(x) - c by now
Node *log_softmax_constant_shift(Simplifier *simplifier, Node *node) {
    Node *x, *small = below_repeats(node->inputs[1]);
    unsigned axes;
    Shifted shifted;
    if (small->op != OP_subtract && small->op != OP_add) return NULL;
    if (!match_log_sum_exp(simplifier, small->inputs[0], &x, &axes)) return NULL;
    if (row_value(simplifier, node->inputs[1], axes) != small) return NULL;
    if (!split_shift(simplifier, node->inputs[0], axes, &shifted)) return NULL;
    if (shifted.op != small->op || shifted.base != x || shifted.shift != small->inputs[1]) return NULL;
    return make_log_softmax(simplifier, x, axes);
}

// log(e / s) -> x - log(s)
Node *log_of_softmax(Simplifier *simplifier, Node *node) {
    unsigned axes;
    Node *softmax = node->inputs[0];
    if (!match_softmax(simplifier, softmax, &axes)) return NULL;
    Node *log = map1(simplifier->graph, OP_log, below_repeats(softmax->inputs[1]));
    return shift_rows(simplifier, softmax->inputs[0]->inputs[0], log, axes);
}

// exp(x - log(s)) -> e / s
Node *exp_of_log_softmax(Simplifier *simplifier, Node *node) {
    unsigned axes;
    Node *difference = node->inputs[0];
    if (!match_log_softmax(simplifier, difference, &axes)) return NULL;
    Node *total = below_repeats(difference->inputs[1])->inputs[0];
    return binary(simplifier, OP_divide, total->inputs[0], to_rows(simplifier, total, axes, node));
}

Node *log_of_exp(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return node->inputs[0]->op == OP_exp ? node->inputs[0]->inputs[0] : NULL;
}
