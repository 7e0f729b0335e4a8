// Reductions whose order S10 gives in two steps become two nodes, so that no later stage knows the mixed kind; folds become
// the sum, over taps, of a view of their padded operand.
#include "simplify/simplify.h"

#include "simplify/walk.h"

static Node *split(Graph *graph, Node *node) {
    int count = node->attribute_count, trailing = 0, axes[MAX_RANK];
    Node *x = node->inputs[0];
    for (int i = 0; i < count; i++) axes[i] = attribute_integer(node, i);
    while (trailing < count && axes[count - 1 - trailing] == x->rank - 1 - trailing) trailing++;
    if (trailing == 0 || trailing == count) return node;
    int rest = count - trailing;
    return reduce(graph, node->op, reduce(graph, node->op, x, axes + rest, trailing), axes, rest);
}

// ---- folds

// Along one axis of a pad or slice: the rest stays as it is.
typedef struct {
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
} Places;

static Places along(Graph *graph, const Node *x, int axis, const Extent *start, int64_t step, const Extent *extent) {
    Places places;
    for (int i = 0; i < x->rank; i++) {
        places.starts[i] = i == axis ? start : extent_constant(graph->extents, 0);
        places.steps[i] = i == axis ? step : 1;
        places.shape[i] = i == axis ? extent : x->shape[i];
    }
    return places;
}

static Node *pad_along(Graph *graph, Node *x, int axis, const Extent *low, int64_t step, const Extent *extent) {
    Places places = along(graph, x, axis, low, step, extent);
    return pad(graph, x, places.starts, places.steps, places.shape);
}

static Node *slice_along(Graph *graph, Node *x, int axis, const Extent *start, const Extent *extent) {
    Places places = along(graph, x, axis, start, 1, extent);
    return slice(graph, x, places.starts, places.steps, places.shape);
}

// Axes `axis` and `axis + 1` as one.
static Node *join_axes(Graph *graph, Node *x, int axis) {
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i <= axis ? i : i - 1] = x->shape[i];
    shape[axis] = extent_multiply(graph->extents, x->shape[axis], x->shape[axis + 1]);
    return reshape(graph, x, (const Extent *const *)shape, x->rank - 1);
}

static Node *swap_axes(Graph *graph, Node *x, int axis) {
    int order[MAX_RANK];
    for (int i = 0; i < x->rank; i++) order[i] = i == axis ? axis + 1 : i == axis + 1 ? axis : i;
    return transpose(graph, x, order);
}

// Windows that do not overlap: each has a place of `stride` elements for itself. NULL: they may, or may not fill the
// result. A sum starts at +0, which makes +0 of -0.
static Node *place_side_by_side(Graph *graph, const Node *node, const Extent *span) {
    Node *x = node->inputs[0];
    int axis = attribute_integer(node, 0), stride = attribute_integer(node, 1);
    const Extent *step = extent_constant(graph->extents, stride), *zero = extent_constant(graph->extents, 0);
    const Extent *covered = extent_multiply(graph->extents, x->shape[axis], step), *extent = node->shape[axis];
    int64_t spacing;
    bool apart = extent_is_constant(span, NULL) && extent_is_constant(node->attributes[2], &spacing);
    if (!apart ||
        !extent_at_least(graph->extents, step, extent_add(graph->extents, span, extent_constant(graph->extents, 1))))
        return NULL;
    bool cut = extent_at_least(graph->extents, covered, extent);
    if (!cut && !extent_at_least(graph->extents, extent, covered)) return NULL;
    Node *joined = join_axes(graph, pad_along(graph, x, axis + 1, zero, spacing, step), axis);
    joined = cut ? slice_along(graph, joined, axis, zero, extent) : pad_along(graph, joined, axis, zero, 1, extent);
    return map2(graph, OP_add, joined, constant_like(graph, joined, 0));
}

// Each tap's elements are laid out as they stand in the result, with room for the other taps' on both sides: then the
// element that tap k has for place i is (k, span + i - k * dilation), and a window over both axes as one goes through
// these.
static Node *sum_of_taps(Graph *graph, const Node *node, const Extent *span) {
    ExtentTable *extents = graph->extents;
    int axis = attribute_integer(node, 0);
    const Extent *taps = node->inputs[0]->shape[axis + 1], *extent = node->shape[axis];
    const Extent *room = extent_add(extents, extent, span);
    Node *apart = swap_axes(graph, node->inputs[0], axis);
    apart = join_axes(graph, pad_along(graph, apart, axis + 1, span, attribute_integer(node, 1), room), axis);
    const Extent *unused = extent_multiply(extents, span, extent_constant(extents, 2));
    apart = slice_along(graph, apart, axis, span, extent_subtract(extents, apart->shape[axis], unused));
    const Extent *step = extent_subtract(extents, room, node->attributes[2]);
    Node *windows = swap_axes(graph, window(graph, apart, axis, taps, 1, step), axis);
    return reduce(graph, OP_reduce_sum, windows, &axis, 1);
}

static Node *unfold(Graph *graph, Node *node) {
    int axis = attribute_integer(node, 0);
    const Extent *span = window_span(graph->extents, node->inputs[0]->shape[axis + 1], node->attributes[2]);
    Node *placed = place_side_by_side(graph, node, span);
    return placed ? placed : sum_of_taps(graph, node, span);
}

static Node *normalise(Graph *graph, Node *node) {
    switch (node->op) {
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min: return split(graph, node);
    case OP_fold: return unfold(graph, node);
    default: return node;
    }
}

void normalise_reductions(Graph *graph, Function *function) {
    walk_function(graph, function, normalise);
}
