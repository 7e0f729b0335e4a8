// Rewrites of sums along a row, and of what is done with them: what is the same for the whole row stands outside, what
// was centred sums to zero, what was normalised is used again. With them the derivatives of layer_norm, of standard
// deviations and of cross entropies have the form that textbooks give them.
#include "simplify/softmax.h"

#include <math.h>

enum { DEPTH = 8 };

// Whether every one of the axes has at least one element, so that the sum of c times x may be c times the sum.
static bool never_empty(Graph *graph, const Node *x, unsigned axes) {
    const Extent *one = extent_constant(graph->extents, 1);
    for (int i = 0; i < x->rank; i++)
        if ((axes >> i & 1) && !extent_at_least(graph->extents, x->shape[i], one)) return false;
    return true;
}

// sum(r + where(iota == number, x, 0)) over classes -> n * r + sum(where(iota == number, x, 0))
Node *sum_of_shifted(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *x = node->inputs[0], *numbers;
    unsigned axes = reduced_axes(node);
    int64_t count;
    if ((x->op != OP_add && x->op != OP_subtract) || node->attribute_count != 1 || !dtype_is_float(node->dtype))
        return NULL;
    int axis = attribute_integer(node, 0);
    if (!extent_is_constant(x->shape[axis], &count) || count < 1) return NULL;
    for (int i = 0; i < 2; i++) {
        Node *row = row_value(simplifier, x->inputs[i], axes), *choice = x->inputs[1 - i];
        if (!row || choice->op != OP_where || !is_class_mask(choice->inputs[0], axis, &numbers)) continue;
        Node *times = map2(graph, OP_multiply, constant_like(graph, row, (double)count), row);
        Node *sum = reduce_over(graph, OP_reduce_sum, choice, axes);
        return map2(graph, x->op, i ? sum : times, i ? times : sum);
    }
    return NULL;
}

// ---- means

// A row's sum of x with a number before it: number / over * sum(x); over NULL: 1.
typedef struct {
    double number;
    Node *over, *x;
} Share;

static bool read_share(Node *node, unsigned axes, const Node *like, Share *share) {
    *share = (Share){.number = 1};
    for (int depth = 0; depth < DEPTH && node->op != OP_reduce_sum; depth++) {
        if (node->op == OP_negate) {
            share->number = -share->number;
            node = node->inputs[0];
            continue;
        }
        if (node->op != OP_multiply && node->op != OP_divide) return false;
        bool divides = node->op == OP_divide, first = !divides && constant_below(node->inputs[0]);
        Node *factor = node->inputs[first ? 0 : 1];
        const Node *constant = constant_below(factor);
        node = node->inputs[first ? 1 : 0];
        double number = constant ? constant->scalar.real : 1;
        if (!constant) {
            while (factor->op == OP_broadcast) factor = factor->inputs[0];
            if (!divides || factor->op != OP_extent || share->over) return false;
            share->over = factor;
        }
        share->number = divides ? share->number / number : share->number * number;
    }
    if (node->op != OP_reduce_sum || reduced_axes(node) != axes || !same_shape(node->inputs[0], like)) return false;
    share->x = node->inputs[0];
    return true;
}

// `factor` such that the share is factor * mean(x); 0: it is none.
static double mean_factor(Graph *graph, const Share *share, unsigned axes) {
    const Extent *count = extent_constant(graph->extents, 1);
    int64_t number;
    for (int i = 0; i < share->x->rank; i++)
        if (axes >> i & 1) count = extent_multiply(graph->extents, count, share->x->shape[i]);
    if (share->over) return share->over->attributes[0] == count ? share->number : 0;
    if (!extent_is_constant(count, &number) || number < 1) return 0;
    double factor = share->number * (double)number;
    return fabs(factor - round(factor)) < 1e-6 ? round(factor) : factor;
}

// `node` as factor * mean(x), repeated along the axes. False: it is none.
static bool match_mean(Simplifier *simplifier, Node *node, unsigned axes, Node **x, double *factor) {
    Share share;
    Node *row = row_value(simplifier, node, axes);
    if (!row || !read_share(row, axes, node, &share)) return false;
    *x = share.x;
    *factor = mean_factor(simplifier->graph, &share, axes);
    return *factor != 0;
}

// x - mean(x) along the axes, times what is the same for the row.
static bool is_centred(Simplifier *simplifier, Node *node, unsigned axes, int depth) {
    double factor;
    Node *x;
    if (!depth--) return false;
    switch (node->op) {
    case OP_negate: return is_centred(simplifier, node->inputs[0], axes, depth);
    case OP_divide:
    case OP_multiply:
        for (int i = 0; i < 2; i++)
            if ((i == 0 || node->op == OP_multiply) && row_value(simplifier, node->inputs[1 - i], axes))
                return is_centred(simplifier, node->inputs[i], axes, depth);
        return false;
    case OP_subtract:
        return match_mean(simplifier, node->inputs[1], axes, &x, &factor) && x == node->inputs[0] && factor == 1;
    default: return false;
    }
}

// ---- sums of products

// sum(x / r) -> sum(x) / r, sum(x * r) -> sum(x) * r, with r the same for all that is summed
Node *sum_of_multiple(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *x = node->inputs[0];
    unsigned axes = reduced_axes(node);
    if ((x->op != OP_divide && x->op != OP_multiply) || !dtype_is_float(node->dtype)) return NULL;
    unsigned softmax;
    if (!never_empty(graph, x, axes) || match_softmax(simplifier, x, &softmax)) return NULL;
    if (is_centred(simplifier, x, axes, DEPTH)) return NULL;   // it is zero
    for (int i = 1; i >= (x->op == OP_divide); i--) {
        Node *row = row_value(simplifier, x->inputs[i], axes);
        if (row) return map2(graph, x->op, reduce_over(graph, OP_reduce_sum, x->inputs[1 - i], axes), row);
    }
    return NULL;
}

// ---- what is centred twice

// The terms of a sum that are not centred, as a sum; NULL: all are. `*dropped`: some are.
static Node *without_centred(Simplifier *simplifier, Node *node, unsigned axes, bool *dropped, int depth) {
    Graph *graph = simplifier->graph;
    if (is_centred(simplifier, node, axes, DEPTH)) {
        *dropped = true;
        return NULL;
    }
    if (!depth-- || (node->op != OP_add && node->op != OP_subtract)) return node;
    Node *left = without_centred(simplifier, node->inputs[0], axes, dropped, depth);
    Node *right = without_centred(simplifier, node->inputs[1], axes, dropped, depth);
    if (!right) return left;
    if (!left) return node->op == OP_add ? right : map1(graph, OP_negate, right);
    return map2(graph, node->op, left, right);
}

static Node *mean_over(Graph *graph, Node *x, unsigned axes) {
    const Extent *count = extent_constant(graph->extents, 1);
    for (int i = 0; i < x->rank; i++)
        if (axes >> i & 1) count = extent_multiply(graph->extents, count, x->shape[i]);
    Node *total = reduce_over(graph, OP_reduce_sum, x, axes), *number = extent_value(graph, x->dtype, count);
    number = broadcast(graph, number, (const Extent *const *)total->shape, total->rank, NULL);
    return map2(graph, OP_divide, total, number);
}

// x - mean(x) along some axes, where x is a sum with centred terms -> x - mean(the others)
Node *mean_of_centred(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    double factor;
    if (!dtype_is_float(node->dtype)) return NULL;
    Node *x = node->inputs[0], *mean = node->inputs[1], *summed;
    unsigned axes = all_axes(mean) & ~varying_axes(mean);
    if (!axes || !match_mean(simplifier, mean, axes, &summed, &factor)) return NULL;
    if (factor != 1)
        summed = simplify_node(simplifier, map2(graph, OP_multiply, constant_like(graph, x, factor), summed));
    bool dropped = false;
    Node *rest = summed == x ? without_centred(simplifier, x, axes, &dropped, DEPTH) : NULL;
    if (!dropped || !rest) return dropped ? x : NULL;
    if (row_value(simplifier, rest, axes)) return map2(graph, OP_subtract, x, rest);   // it is its own mean
    return map2(graph, OP_subtract, x, to_rows(simplifier, mean_over(graph, rest, axes), axes, x));
}

// ---- rows that were normalised

static bool contains(Node *node, const Node *part, int depth) {
    if (node == part) return true;
    if (!depth-- || node->id < part->id) return false;
    OpClass class = op_class(node->op);
    if (class != CLASS_MAP && class != CLASS_VIEW && class != CLASS_REDUCE) return false;
    for (int i = 0; i < node->input_count; i++)
        if (contains(node->inputs[i], part, depth)) return true;
    return false;
}

// A divisor r in the row's value by which x is divided already, in a sum in that value: x / r. NULL: there is none.
static Node *normalised(Simplifier *simplifier, Node *row, Node *x, unsigned axes, Node *whole, Node **divisor,
                        int depth) {
    Node *found = NULL;
    if (!depth-- || (row->op != OP_divide && row->op != OP_multiply && row->op != OP_negate)) return NULL;
    if (row->op == OP_divide && !constant_below(row->inputs[1])) {
        *divisor = to_rows(simplifier, row->inputs[1], axes, x);
        found = map2(simplifier->graph, OP_divide, x, *divisor);
        if (contains(whole, found, DEPTH)) return found;
        found = NULL;
    }
    for (int i = 0; !found && i < (row->op == OP_multiply ? 2 : 1); i++)
        found = normalised(simplifier, row->inputs[i], x, axes, whole, divisor, depth);
    return found;
}

// (c / r) * x -> c * (x / r), where c was made of x / r and both are the same for a row
Node *normalised_again(Simplifier *simplifier, Node *node) {
    for (int i = 0; i < 2; i++) {
        Node *full = node->inputs[i], *x = node->inputs[1 - i], *divisor;
        unsigned axes = all_axes(full) & ~varying_axes(full);
        if (!axes || !dtype_is_float(node->dtype) || full->op != OP_broadcast) continue;
        Node *row = row_value(simplifier, full, axes);
        Node *quotient = row ? normalised(simplifier, row, x, axes, row, &divisor, DEPTH) : NULL;
        Node *rest = quotient ? without_divisor(simplifier, full, divisor, DEPTH) : NULL;
        if (rest) return map2(simplifier->graph, OP_multiply, rest, quotient);
    }
    return NULL;
}

// ---- probabilities

// The node with 1 for the sum of the probabilities p; NULL: it has none.
static Node *with_one(Simplifier *simplifier, Node *node, const Node *p, unsigned axes, int depth) {
    Graph *graph = simplifier->graph;
    if (!depth--) return NULL;
    if (node->op == OP_reduce_sum && node->inputs[0] == p && reduced_axes(node) == axes)
        return constant_like(graph, node, 1);
    if (node->op != OP_add && node->op != OP_subtract && node->op != OP_negate && node->op != OP_broadcast &&
        node->op != OP_multiply)
        return NULL;
    bool found = false;
    Node *inputs[2];
    for (int i = 0; i < node->input_count; i++) {
        Node *input = with_one(simplifier, node->inputs[i], p, axes, depth);
        inputs[i] = input ? input : node->inputs[i];
        found = found || input;
    }
    if (!found) return NULL;
    return node->op == OP_broadcast ? rebuild(graph, node, inputs)
                                    : map_any(graph, node->op, node->dtype, inputs, node->input_count);
}

// p * (... sum(p) ...) -> p * (... 1 ...), for the probabilities p of a softmax
Node *probabilities_sum_to_one(Simplifier *simplifier, Node *node) {
    unsigned axes;
    for (int i = 0; i < 2; i++) {
        Node *p = node->inputs[i];
        if (!match_softmax(simplifier, p, &axes)) continue;
        Node *rest = with_one(simplifier, node->inputs[1 - i], p, axes, DEPTH);
        if (rest) return map2(simplifier->graph, OP_multiply, p, rest);
    }
    return NULL;
}
