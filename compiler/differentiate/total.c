// What a value of a loop's body adds up to over all iterations, outside of the loop. A product is not yielded and
// summed, which would hold one of them per iteration: its sides are stacked, and one contraction sums over iterations.
#include "differentiate/algebra.h"
#include "differentiate/modes.h"

static int result_labels(const Node *node, int *labels) {
    for (int i = 0; i < node->rank; i++) labels[i] = i;
    return node->rank;
}

// One side of an elementwise product: what it repeats, and along which axes of the product it varies.
static Node *varying_part(Graph *graph, Node *side, int *labels) {
    if (side->op != OP_broadcast) {
        result_labels(side, labels);
        return side;
    }
    Node *x = side->inputs[0];
    const Extent *shape[MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        int axis = attribute_integer(side, i);
        if (x->shape[i] != side->shape[axis]) continue;   // one element, repeated
        labels[rank] = axis;
        shape[rank++] = x->shape[i];
    }
    return reshape(graph, x, shape, rank);
}

// An outer product: each side is smaller than the result, and together they have all of its axes.
static bool is_outer(Graph *graph, Node *node, TotalTerm *term) {
    bool has[MAX_RANK] = {false};
    int axes = 0;
    for (int side = 0; side < 2; side++) {
        term->sides[side] = varying_part(graph, node->inputs[side], term->labels[side]);
        if (term->sides[side]->rank == node->rank || !term->sides[side]->rank) return false;
        for (int i = 0; i < term->sides[side]->rank; i++) {
            axes += !has[term->labels[side][i]];
            has[term->labels[side][i]] = true;
        }
    }
    result_labels(node, term->result_labels);
    return axes == node->rank;
}

static bool is_contraction(const Node *node, TotalTerm *term) {
    if (node->op != OP_contract) return false;
    int at = 2;
    for (int side = 0; side < 2; side++) {
        term->sides[side] = node->inputs[side];
        for (int i = 0; i < term->sides[side]->rank; i++) term->labels[side][i] = attribute_integer(node, at++);
        if (term->sides[side]->rank == MAX_RANK) return false;
    }
    for (int i = 0; i < node->rank; i++) term->result_labels[i] = attribute_integer(node, at++);
    return true;
}

// Appends the terms of factor * node. False: there are too many.
static bool add_terms(Graph *graph, Total *total, Node *node, double factor) {
    double number;
    if (node->op == OP_negate) return add_terms(graph, total, node->inputs[0], -factor);
    if (node->op == OP_multiply && constant_value(node->inputs[0], &number))
        return add_terms(graph, total, node->inputs[1], factor * number);
    if (node->op == OP_add || node->op == OP_subtract) {
        double sign = node->op == OP_add ? 1 : -1;
        return add_terms(graph, total, node->inputs[0], factor) &&
               add_terms(graph, total, node->inputs[1], sign * factor);
    }
    if (total->count == MAX_TERMS) return false;
    TotalTerm *term = &total->terms[total->count++];
    *term = (TotalTerm){.factor = factor, .rank = node->rank};
    if (is_contraction(node, term) || (node->op == OP_multiply && is_outer(graph, node, term))) return true;
    term->sides[0] = node;
    term->sides[1] = NULL;
    return true;
}

Total total_of(Graph *graph, Node *value) {
    Total total = {0};
    bool split = add_terms(graph, &total, value, 1), products = false;
    for (int i = 0; i < total.count; i++) products = products || total.terms[i].sides[1];
    if (split && products) return total;
    return (Total){1, {{.factor = 1, .rank = value->rank, .sides = {value, NULL}}}};
}

static Node *total_of_product(Graph *graph, const TotalTerm *term, Node *const *stacks) {
    bool used[26] = {false};
    int labels[2][MAX_RANK], iteration = 0;
    for (int i = 0; i < term->rank; i++) used[term->result_labels[i]] = true;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < term->sides[side]->rank; i++) used[term->labels[side][i]] = true;
    while (used[iteration]) iteration++;
    for (int side = 0; side < 2; side++) {
        labels[side][0] = iteration;
        for (int i = 0; i < term->sides[side]->rank; i++) labels[side][i + 1] = term->labels[side][i];
    }
    return contract(graph, stacks[0], stacks[1], labels[0], labels[1], term->result_labels, term->rank);
}

Node *total_sum(Graph *graph, const Total *total, Node *const (*stacks)[2]) {
    Node *sum = NULL;
    int axis = 0;
    for (int i = 0; i < total->count; i++) {
        const TotalTerm *term = &total->terms[i];
        Node *part =
            term->sides[1] ? total_of_product(graph, term, stacks[i]) : algebra_sum(graph, stacks[i][0], &axis, 1);
        part = algebra_multiply(graph, constant_like(graph, part, term->factor), part);
        sum = cotangent_add(graph, sum, part);
    }
    return sum;
}
