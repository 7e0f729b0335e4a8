// The transposes of the linear structural ops.
#include "differentiate/algebra.h"
#include "differentiate/modes.h"

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

// A tensor, or the place of one, with a label per axis.
typedef struct {
    Node *node;   // not read of the place that a result is for
    const Extent *shape[MAX_RANK];
    int labels[MAX_RANK];
    int rank;
} Operand;

static int find_label(const Operand *operand, int label) {
    for (int i = 0; i < operand->rank; i++)
        if (operand->labels[i] == label) return i;
    return -1;
}

static Operand operand_of(Node *node, const Node *contract, int first_label) {
    Operand operand = {.node = node, .rank = node->rank};
    for (int i = 0; i < node->rank; i++) {
        operand.shape[i] = node->shape[i];
        operand.labels[i] = attribute_integer(contract, first_label + i);
    }
    return operand;
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
    return broadcast(graph, node, result->shape, result->rank, axes);
}

static bool sums(const Operand *x, const Operand *result) {
    for (int i = 0; i < x->rank; i++)
        if (find_label(result, x->labels[i]) < 0 && !extent_is(x->shape[i], 1)) return true;
    return false;
}

static Node *product(Graph *graph, const Operand *sides, const Operand *result);

// Along an axis of `operand`: the places that a pad gives its elements.
typedef struct {
    const Extent *lows[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
} Places;

static Places all_places(Graph *graph, const Operand *operand) {
    Places places;
    for (int i = 0; i < operand->rank; i++) {
        places.lows[i] = extent_constant(graph->extents, 0);
        places.steps[i] = 1;
        places.shape[i] = operand->shape[i];
    }
    return places;
}

static void place(Places *places, const Operand *operand, int label, const Node *pad, int axis) {
    int at = find_label(operand, label);
    if (at < 0) return;
    places->lows[at] = pad->attributes[2 * axis];
    places->steps[at] = attribute_integer(pad, 2 * axis + 1);
    places->shape[at] = pad->inputs[0]->shape[axis];
}

// A product with a padded side: the zeros are not multiplied. Of the other side what would meet them is cut away, in the
// result they are put back.
static Node *product_of_padded(Graph *graph, const Operand *sides, int padded, const Operand *result) {
    Operand small[2] = {sides[0], sides[1]}, small_result = *result;
    Operand *x = &small[padded], *y = &small[1 - padded];
    const Node *pad_node = x->node;
    Places kept = all_places(graph, y), places = all_places(graph, result);
    x->node = pad_node->inputs[0];
    for (int i = 0; i < x->rank; i++) {
        x->shape[i] = x->node->shape[i];
        place(&kept, y, x->labels[i], pad_node, i);
        place(&places, result, x->labels[i], pad_node, i);
    }
    y->node = slice(graph, y->node, kept.lows, kept.steps, kept.shape);
    for (int i = 0; i < y->rank; i++) y->shape[i] = y->node->shape[i];
    for (int i = 0; i < result->rank; i++) small_result.shape[i] = places.shape[i];
    return pad(graph, product(graph, small, &small_result), places.lows, places.steps, result->shape);
}

// The contraction of two sides to the labels and shape of `result`; a plain product where nothing is summed, or where
// one side is a number.
static Node *product(Graph *graph, const Operand *sides, const Operand *result) {
    if (!sums(&sides[0], result))
        return algebra_multiply(graph, spread(graph, &sides[0], result), spread(graph, &sides[1], result));
    for (int i = 0; i < 2; i++) {
        Node *number = strip_broadcast(sides[i].node);
        if (sides[i].node->op == OP_pad) return product_of_padded(graph, sides, i, result);
        if (number->rank) continue;
        number = broadcast(graph, number, result->shape, result->rank, NULL);
        return algebra_multiply(graph, number, spread(graph, &sides[1 - i], result));
    }
    return contract(graph, sides[0].node, sides[1].node, sides[0].labels, sides[1].labels, result->labels,
                    result->rank);
}

Node *contract_again(Graph *graph, const Node *node, Node *x, Node *y) {
    int x_rank = x->rank, y_rank = y->rank;
    Operand operands[2] = {operand_of(x, node, 2), operand_of(y, node, 2 + x_rank)};
    Operand result = operand_of((Node *)node, node, 2 + x_rank + y_rank);
    return product(graph, operands, &result);
}

// A product with the other operand that leaves this one's labels. The operands keep their sides.
Node *adjoint_contract(Graph *graph, Node *node, int input, Node *cotangent) {
    int x_rank = node->inputs[0]->rank, y_rank = node->inputs[1]->rank;
    Operand operands[2] = {operand_of(node->inputs[0], node, 2), operand_of(node->inputs[1], node, 2 + x_rank)};
    Operand result = operands[input];
    operands[input] = operand_of(cotangent, node, 2 + x_rank + y_rank);
    return product(graph, operands, &result);
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

// A side of a product, without what a part of the result does not need.
static Node *part_of_side(Graph *graph, const Operand *side, const Operand *result, const Extent **starts,
                          const int64_t *steps, const Extent *const *shape) {
    const Extent *own_starts[MAX_RANK], *own_shape[MAX_RANK];
    int64_t own_steps[MAX_RANK];
    for (int i = 0; i < side->rank; i++) {
        int axis = find_label(result, side->labels[i]);
        own_starts[i] = axis < 0 ? extent_constant(graph->extents, 0) : starts[axis];
        own_steps[i] = axis < 0 ? 1 : steps[axis];
        own_shape[i] = axis < 0 ? side->shape[i] : shape[axis];
    }
    return slice(graph, side->node, own_starts, own_steps, own_shape);
}

// Part of a tensor; of a product only what that part takes is multiplied.
static Node *part_of(Graph *graph, Node *x, const Extent **starts, const int64_t *steps, const Extent *const *shape) {
    if (x->op != OP_contract) return slice(graph, x, starts, steps, shape);
    int x_rank = x->inputs[0]->rank, y_rank = x->inputs[1]->rank;
    Operand sides[2] = {operand_of(x->inputs[0], x, 2), operand_of(x->inputs[1], x, 2 + x_rank)};
    Operand result = operand_of(x, x, 2 + x_rank + y_rank);
    for (int i = 0; i < 2; i++) sides[i].node = part_of_side(graph, &sides[i], &result, starts, steps, shape);
    return contract(graph, sides[0].node, sides[1].node, sides[0].labels, sides[1].labels, result.labels, result.rank);
}

Node *adjoint_pad(Graph *graph, Node *node, int input, Node *cotangent) {
    const Extent *lows[MAX_RANK];
    int64_t steps[MAX_RANK];
    read_strides(node, lows, steps);
    return part_of(graph, cotangent, lows, steps, (const Extent *const *)node->inputs[input]->shape);
}

// ---- windows

// Pads one axis. A window over other axes is taken of what is padded, and pads of several axes are one: what is read
// through them lies in memory once, not once for each tap.
static Node *pad_axis(Graph *graph, Node *x, int axis, const Extent *low, const Extent *extent) {
    const Extent *lows[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    int windowed = x->op == OP_window ? attribute_integer(x, 0) : 0;
    if (x->op == OP_window && axis != windowed && axis != windowed + 1) {
        Node *inner = pad_axis(graph, x->inputs[0], axis < windowed ? axis : axis - 1, low, extent);
        return window(graph, inner, windowed, x->shape[windowed + 1], attribute_integer(x, 1), x->attributes[2]);
    }
    bool joins = x->op == OP_pad && x->shape[axis] == x->inputs[0]->shape[axis];
    for (int i = 0; i < x->rank; i++) {
        lows[i] = joins ? x->attributes[2 * i] : extent_constant(graph->extents, 0);
        steps[i] = joins ? attribute_integer(x, 2 * i + 1) : 1;
        shape[i] = x->shape[i];
    }
    joins = joins && extent_is(lows[axis], 0) && steps[axis] == 1;
    for (int i = 0; i < x->rank && !joins; i++) {
        lows[i] = extent_constant(graph->extents, 0);
        steps[i] = 1;
    }
    lows[axis] = low;
    shape[axis] = extent;
    return pad(graph, joins ? x->inputs[0] : x, lows, steps, shape);
}

static Node *flip(Graph *graph, Node *x, int axis) {
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        starts[i] = extent_constant(graph->extents, 0);
        steps[i] = 1;
    }
    starts[axis] = extent_subtract(graph->extents, x->shape[axis], extent_constant(graph->extents, 1));
    steps[axis] = -1;
    return slice(graph, x, starts, steps, (const Extent *const *)x->shape);
}

// The fold of a product in which one side knows the positions and the other the taps: what each place of the result
// gets is a product, too, of windows over the positions with the taps backwards. NULL: it is no such product, or its
// windows are several elements apart, so that most of the new product's would be zeros.
static Node *fold_of_product(Graph *graph, const Node *node, Node *cotangent) {
    int axis = attribute_integer(node, 0);
    if (cotangent->op != OP_contract || attribute_integer(node, 1) != 1) return NULL;
    Node **inputs = cotangent->inputs;
    int x_rank = inputs[0]->rank, y_rank = inputs[1]->rank;
    Operand sides[2] = {operand_of(inputs[0], cotangent, 2), operand_of(inputs[1], cotangent, 2 + x_rank)};
    Operand result = operand_of(cotangent, cotangent, 2 + x_rank + y_rank);
    int position = result.labels[axis], tap = result.labels[axis + 1],
        of_positions = find_label(&sides[1], position) >= 0;
    Operand *positions = &sides[of_positions], *taps = &sides[!of_positions];
    int at = find_label(positions, position), tap_at = find_label(taps, tap);
    bool apart = find_label(taps, position) < 0 && find_label(positions, tap) < 0 && positions->rank < MAX_RANK;
    if (!apart) return NULL;
    const Extent *count = node->shape[axis + 1], *extent = node->inputs[0]->shape[axis];
    const Extent *span = window_span(graph->extents, count, node->attributes[2]);
    Node *padded = pad_axis(graph, positions->node, at, span, extent_add(graph->extents, extent, span));
    positions->node = window(graph, padded, at, count, 1, node->attributes[2]);
    taps->node = flip(graph, taps->node, tap_at);
    for (int i = positions->rank++; i > at + 1; i--) positions->labels[i] = positions->labels[i - 1];
    positions->labels[at + 1] = tap;
    for (int i = axis + 1; i + 1 < result.rank; i++) result.labels[i] = result.labels[i + 1];
    return contract(graph, sides[0].node, sides[1].node, sides[0].labels, sides[1].labels, result.labels,
                    result.rank - 1);
}

Node *adjoint_window(Graph *graph, Node *node, int input, Node *cotangent) {
    int axis = attribute_integer(node, 0);
    Node *product = fold_of_product(graph, node, cotangent);
    if (product) return product;
    return fold_windows(graph, cotangent, axis, attribute_integer(node, 1), node->attributes[2],
                        node->inputs[input]->shape[axis]);
}

Node *adjoint_fold(Graph *graph, Node *node, int input, Node *cotangent) {
    int axis = attribute_integer(node, 0);
    return window(graph, cotangent, axis, node->inputs[input]->shape[axis + 1], attribute_integer(node, 1),
                  node->attributes[2]);
}

Node *adjoint_gather(Graph *graph, Node *node, int input, Node *cotangent) {
    if (input == 1) return NULL;
    const Node *x = node->inputs[0];
    return scatter_add(graph, node->inputs[1], cotangent, (const Extent *const *)x->shape, x->rank);
}

Node *adjoint_scatter_add(Graph *graph, Node *node, int input, Node *cotangent) {
    return input == 0 ? NULL : gather(graph, cotangent, node->inputs[0]);
}
