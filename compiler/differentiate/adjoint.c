// The transposes of the linear structural ops.
#include "differentiate/algebra.h"
#include "differentiate/reverse.h"

// Repeats the cotangent along the reduced axes.
Node *adjoint_reduce_sum(Graph *graph, Node *node, int input, Node *cotangent) {
    const Node *x = node->inputs[input];
    int axes[MAX_RANK], count = 0, next = 0;
    for (int i = 0; i < x->rank; i++) {
        if (next < node->attribute_count && attribute_integer(node, next) == i) next++;
        else axes[count++] = i;
    }
    return broadcast(graph, cotangent, (const Extent *const *)x->shape, x->rank, axes);
}

// ---- products

typedef struct {
    Node *node;
    int labels[MAX_RANK];
    int rank;
} Operand;

static int find_label(const Operand *operand, int label) {
    for (int i = 0; i < operand->rank; i++)
        if (operand->labels[i] == label) return i;
    return -1;
}

// x, summed over what `result` does not have, with its axes in `result`'s order and repeated to its shape.
static Node *spread(Graph *graph, const Operand *x, const Operand *result) {
    int summed[MAX_RANK], permutation[MAX_RANK], axes[MAX_RANK], count = 0, kept = 0;
    Operand rest = {.rank = 0};
    for (int i = 0; i < x->rank; i++) {
        if (find_label(result, x->labels[i]) < 0) summed[count++] = i;
        else rest.labels[rest.rank++] = x->labels[i];
    }
    for (int i = 0; i < result->rank; i++) {
        int axis = find_label(&rest, result->labels[i]);
        if (axis < 0) continue;
        permutation[kept] = axis;
        axes[kept++] = i;
    }
    Node *node = transpose(graph, algebra_sum(graph, x->node, summed, count), permutation);
    return broadcast(graph, node, (const Extent *const *)result->node->shape, result->rank, axes);
}

// The contraction of x and y to the labels and shape of `result`; a plain product where nothing is summed, or where
// one side is a number.
static Node *product(Graph *graph, const Operand *x, const Operand *y, const Operand *result) {
    bool sums = false;
    for (int i = 0; i < x->rank; i++)
        sums = sums || (find_label(result, x->labels[i]) < 0 && !extent_is(x->node->shape[i], 1));
    const Operand *sides[2] = {x, y};
    for (int i = 0; i < 2 && sums; i++) {
        Node *number = strip_broadcast(sides[i]->node);
        if (number->rank) continue;
        const Extent *const *shape = (const Extent *const *)result->node->shape;
        number = broadcast(graph, number, shape, result->rank, NULL);
        return algebra_multiply(graph, number, spread(graph, sides[1 - i], result));
    }
    if (!sums) return algebra_multiply(graph, spread(graph, x, result), spread(graph, y, result));
    return contract(graph, x->node, y->node, x->labels, y->labels, result->labels, result->rank);
}

// A product with the other operand that leaves this one's labels. The operands keep their sides.
Node *adjoint_contract(Graph *graph, Node *node, int input, Node *cotangent) {
    Operand x = {node->inputs[0], {0}, node->inputs[0]->rank}, y = {node->inputs[1], {0}, node->inputs[1]->rank};
    Operand result = {cotangent, {0}, node->rank};
    int at = 2;
    for (int i = 0; i < x.rank; i++) x.labels[i] = attribute_integer(node, at++);
    for (int i = 0; i < y.rank; i++) y.labels[i] = attribute_integer(node, at++);
    for (int i = 0; i < node->rank; i++) result.labels[i] = attribute_integer(node, at++);
    return input == 0 ? product(graph, &result, &y, &x) : product(graph, &x, &result, &y);
}

// Views that keep every element in some place take the select of a masked cotangent along (S15).
static Node *reshape_masked(Graph *graph, Node *cotangent, const Node *like) {
    const Extent *const *shape = (const Extent *const *)like->shape;
    Masked masked = mask_split(graph, cotangent);
    if (!masked.mask) return reshape(graph, cotangent, shape, like->rank);
    Node *mask = reshape(graph, masked.mask, shape, like->rank);
    return mask_apply(graph, mask, reshape(graph, masked.value, shape, like->rank));
}

Node *adjoint_reshape(Graph *graph, Node *node, int input, Node *cotangent) {
    return reshape_masked(graph, cotangent, node->inputs[input]);
}

Node *adjoint_transpose(Graph *graph, Node *node, int input, Node *cotangent) {
    (void)input;
    int inverse[MAX_RANK];
    for (int i = 0; i < node->rank; i++) inverse[attribute_integer(node, i)] = i;
    Masked masked = mask_split(graph, cotangent);
    if (!masked.mask) return transpose(graph, cotangent, inverse);
    return mask_apply(graph, transpose(graph, masked.mask, inverse), transpose(graph, masked.value, inverse));
}

// Sums over the axes that are new or were repeated.
Node *adjoint_broadcast(Graph *graph, Node *node, int input, Node *cotangent) {
    const Node *x = node->inputs[input];
    bool own[MAX_RANK] = {false};
    for (int i = 0; i < x->rank; i++) {
        int axis = attribute_integer(node, i);
        own[axis] = x->shape[i] == node->shape[axis];
    }
    int axes[MAX_RANK], count = 0;
    for (int i = 0; i < node->rank; i++)
        if (!own[i] && !extent_is(node->shape[i], 1)) axes[count++] = i;
    return reshape_masked(graph, algebra_sum(graph, cotangent, axes, count), x);
}

static void read_strides(const Node *node, const Extent **starts, int64_t *steps) {
    for (int i = 0; i < node->rank; i++) {
        starts[i] = node->attributes[2 * i];
        steps[i] = attribute_integer(node, 2 * i + 1);
    }
}

Node *adjoint_slice(Graph *graph, Node *node, int input, Node *cotangent) {
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    read_strides(node, starts, steps);
    return pad(graph, cotangent, starts, steps, (const Extent *const *)node->inputs[input]->shape);
}

Node *adjoint_pad(Graph *graph, Node *node, int input, Node *cotangent) {
    const Extent *lows[MAX_RANK];
    int64_t steps[MAX_RANK];
    read_strides(node, lows, steps);
    return slice(graph, cotangent, lows, steps, (const Extent *const *)node->inputs[input]->shape);
}

Node *adjoint_gather(Graph *graph, Node *node, int input, Node *cotangent) {
    if (input == 1) return NULL;
    const Node *x = node->inputs[0];
    return scatter_add(graph, node->inputs[1], cotangent, (const Extent *const *)x->shape, x->rank);
}

Node *adjoint_scatter_add(Graph *graph, Node *node, int input, Node *cotangent) {
    return input == 0 ? NULL : gather(graph, cotangent, node->inputs[0]);
}
