// Rewrites of what a class number picks from a row: the sum over classes of where(iota == number, x, 0). One-hot
// products, picked probabilities and log-sum-exp minus a picked logit become a picked log-softmax.
#include "simplify/softmax.h"

#include <math.h>

typedef struct {
    Node *mask, *numbers, *value;
    int axis;
} Pick;

// The class axis of a mask among `axes`, or -1.
static int class_axis(Node *mask, unsigned axes, Node **numbers) {
    for (int axis = 0; axis < mask->rank; axis++)
        if ((axes >> axis & 1) && is_class_mask(mask, axis, numbers)) return axis;
    return -1;
}

static bool match_pick(Node *node, Pick *pick) {
    if (node->op != OP_reduce_sum || node->attribute_count != 1) return false;
    Node *choice = node->inputs[0];
    if (choice->op != OP_where || !is_constant(choice->inputs[2], 0)) return false;
    *pick = (Pick){.mask = choice->inputs[0], .value = choice->inputs[1], .axis = attribute_integer(node, 0)};
    return is_class_mask(pick->mask, pick->axis, &pick->numbers);
}

static Node *pick_from(Simplifier *simplifier, const Pick *pick, Node *value) {
    Graph *graph = simplifier->graph;
    Node *choice = map3(graph, OP_where, pick->mask, value, constant_like(graph, value, 0));
    return reduce_over(graph, OP_reduce_sum, choice, 1u << pick->axis);
}

// For each row: whether its number is a class. A constant where that is known.
static Node *has_class(Simplifier *simplifier, const Pick *pick) {
    Node *numbers = row_value(simplifier, pick->numbers, 1u << pick->axis);
    return simplify_node(simplifier, in_range(simplifier->graph, numbers, pick->mask->shape[pick->axis]));
}

// f32(iota == number) * x -> where(iota == number, x, 0)
Node *class_product(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    for (int i = 0; i < 2; i++) {
        Node *one_hot = node->inputs[i], *x = node->inputs[1 - i], *numbers;
        if (one_hot->op != OP_cast || one_hot->inputs[0]->dtype != DTYPE_BOOL) continue;
        if (class_axis(one_hot->inputs[0], all_axes(node), &numbers) < 0) continue;
        return map3(graph, OP_where, one_hot->inputs[0], x, constant_like(graph, x, 0));
    }
    return NULL;
}

// The addend of `node` besides rows * count, where `rows` counts the rows: the place in a row of the place in a matrix.
static Node *place_in_row(Node *node, const Extent *rows, const Extent *count) {
    int64_t classes;
    if (node->op != OP_add || !extent_is_constant(count, &classes)) return NULL;
    for (int i = 0; i < 2; i++) {
        const Node *product = node->inputs[i];
        for (int k = 0; product->op == OP_multiply && k < 2; k++) {
            const Node *counter = product->inputs[k];
            if (!is_number(product->inputs[1 - k], (double)classes)) continue;
            while (counter->op == OP_cast && dtype_is_integer(counter->inputs[0]->dtype)) counter = counter->inputs[0];
            if (counter->op == OP_iota && counter->rank == 1 && counter->shape[0] == rows) return node->inputs[1 - i];
        }
    }
    return NULL;
}

// x[arange(N), numbers] -> picked(x), where the numbers are known to be classes.
Node *gather_of_rows(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *flat = node->inputs[0], *x = flat->op == OP_reshape ? flat->inputs[0] : flat;
    const Extent *bound;
    if (x->rank != 2 || flat->rank != 1 || node->rank != 1 || node->shape[0] != x->shape[0]) return NULL;
    Node *numbers = place_in_row(node->inputs[1], x->shape[0], x->shape[1]);
    if (!numbers || !known_range(numbers, &bound) || !extent_at_least(graph->extents, x->shape[1], bound)) return NULL;
    while (numbers->op == OP_cast) numbers = numbers->inputs[0];
    Node *counter = iota(graph, numbers->dtype, (const Extent *const *)x->shape, 2, 1);
    Node *mask = map2(graph, OP_equal, counter, to_rows(simplifier, numbers, 2, x));
    return reduce_over(graph, OP_reduce_sum, map3(graph, OP_where, mask, x, constant_like(graph, x, 0)), 2);
}

// A sum over all of where(iota == number, x, 0): over the classes first.
Node *sum_of_picked(Simplifier *simplifier, Node *node) {
    Node *choice = node->inputs[0], *numbers;
    if (node->attribute_count < 2 || choice->op != OP_where || !is_constant(choice->inputs[2], 0)) return NULL;
    int axis = class_axis(choice->inputs[0], reduced_axes(node), &numbers);
    if (axis < 0) return NULL;
    unsigned rest = reduced_axes(node) & ~(1u << axis), below = rest & ((1u << axis) - 1);
    Node *picked = reduce_over(simplifier->graph, OP_reduce_sum, choice, 1u << axis);
    return reduce_over(simplifier->graph, OP_reduce_sum, picked, below | (rest >> (axis + 1) << axis));
}

// log_sum_exp(x) - picked(x) and picked(x) - log_sum_exp(x): -picked and picked(log_softmax(x)). What it takes to see
// that x - log_sum_exp(x) is one is in the rows for it.
Node *picked_log_softmax(Simplifier *simplifier, Node *node) {
    for (int i = 0; i < 2; i++) {
        Pick pick;
        unsigned axes;
        if (!match_pick(node->inputs[i], &pick) || !is_constant(has_class(simplifier, &pick), 1)) continue;
        Node *rows = to_rows(simplifier, node->inputs[1 - i], 1u << pick.axis, pick.value);
        Node *difference = simplify_node(simplifier, map2(simplifier->graph, OP_subtract, pick.value, rows));
        if (!match_log_softmax(simplifier, difference, &axes) || axes != 1u << pick.axis) continue;
        Node *picked = pick_from(simplifier, &pick, difference);
        return i ? map1(simplifier->graph, OP_negate, picked) : picked;
    }
    return NULL;
}

// log(picked(softmax)) -> picked(log(softmax)); where there is no such class, log(0).
Node *log_of_picked(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Pick pick;
    unsigned axes;
    if (!match_pick(node->inputs[0], &pick) || !match_softmax(simplifier, pick.value, &axes)) return NULL;
    Node *picked = pick_from(simplifier, &pick, map1(graph, OP_log, pick.value));
    return map3(graph, OP_where, has_class(simplifier, &pick), picked, constant_like(graph, picked, -INFINITY));
}

// ---- p - y

// x, or what 0 was added to
static Node *strip_zero(Node *x) {
    return x->op == OP_add && is_constant(x->inputs[1], 0) ? x->inputs[0] : x;
}

// `scaled` as softmax * factor, or softmax alone (factor NULL).
static bool split_softmax(Simplifier *simplifier, Node *scaled, Node **softmax, Node **factor, unsigned *axes) {
    *factor = NULL;
    *softmax = scaled;
    if (match_softmax(simplifier, scaled, axes)) return true;
    for (int i = 0; scaled->op == OP_multiply && i < 2; i++) {
        *softmax = scaled->inputs[i];
        *factor = scaled->inputs[1 - i];
        if (match_softmax(simplifier, *softmax, axes)) return true;
    }
    return false;
}

// p * c + where(iota == number, -c, 0) -> (p - f32(iota == number)) * c, where c is the same for all of a row.
Node *softmax_less_class(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    for (int i = 0; i < (node->op == OP_add ? 2 : 1); i++) {
        Node *softmax, *factor, *numbers, *choice = node->inputs[1 - i];
        unsigned axes;
        if (choice->op != OP_where || !is_constant(choice->inputs[2], 0)) continue;
        if (!split_softmax(simplifier, node->inputs[i], &softmax, &factor, &axes)) continue;
        if (class_axis(choice->inputs[0], axes, &numbers) < 0) continue;
        Node *scale = factor ? factor : constant_like(graph, node, 1);
        Node *rows = row_value(simplifier, scale, axes), *picked = row_value(simplifier, choice->inputs[1], axes);
        if (!rows || !picked) continue;
        Node *opposite = node->op == OP_add ? map1(graph, OP_negate, strip_zero(picked)) : picked;
        if (simplify_node(simplifier, opposite) != strip_zero(rows)) continue;
        Node *one_hot = cast(graph, choice->inputs[0], node->dtype);
        Node *difference = map2(graph, OP_subtract, softmax, one_hot);
        return factor ? map2(graph, OP_multiply, difference, factor) : difference;
    }
    return NULL;
}

// The logarithm of elements of a softmax, taken before the views that choose them; NULL: they are not a softmax's.
static Node *log_below(Simplifier *simplifier, Node *x) {
    unsigned axes;
    if (match_softmax(simplifier, x, &axes)) return map1(simplifier->graph, OP_log, x);
    if (x->op != OP_reshape && x->op != OP_transpose && x->op != OP_slice && x->op != OP_gather) return NULL;
    Node *inputs[2] = {log_below(simplifier, x->inputs[0]), x->input_count > 1 ? x->inputs[1] : NULL};
    return inputs[0] ? rebuild(simplifier->graph, x, inputs) : NULL;
}

Node *log_of_gathered(Simplifier *simplifier, Node *node) {
    unsigned axes;
    bool direct = match_softmax(simplifier, node->inputs[0], &axes);
    return direct ? NULL : log_below(simplifier, node->inputs[0]);
}
