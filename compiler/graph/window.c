// Windows: the view that convolutions and pooling are made of, and its adjoint. And the order of rows.
#include "graph/graph.h"

#include <assert.h>

const Extent *window_span(ExtentTable *extents, const Extent *taps, const Extent *dilation) {
    const Extent *one = extent_constant(extents, 1);
    return extent_multiply(extents, extent_subtract(extents, taps, one), dilation);
}

const Extent *window_positions(ExtentTable *extents, const Extent *extent, const Extent *taps, int64_t stride,
                               const Extent *dilation) {
    const Extent *one = extent_constant(extents, 1), *step = extent_constant(extents, stride);
    const Extent *last = extent_subtract(extents, extent, window_span(extents, taps, dilation));
    return extent_add(extents, extent_floor_divide(extents, extent_subtract(extents, last, one), step), one);
}

// One tap has no distance to others: its dilation counts as 1.
static Node *windowed(Graph *graph, Op op, Node *x, int axis, const Extent *taps, int64_t stride,
                      const Extent *dilation, const Extent *const *shape, int rank) {
    const Extent *attributes[] = {extent_constant(graph->extents, axis), extent_constant(graph->extents, stride),
                                  extent_is(taps, 1) ? taps : dilation};
    return node_make(graph, op, x->dtype, x, shape, rank, attributes, 3);
}

Node *window(Graph *graph, Node *x, int axis, const Extent *taps, int64_t stride, const Extent *dilation) {
    assert(axis < x->rank && x->rank < MAX_RANK && stride > 0);
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i < axis ? i : i + 1] = x->shape[i];
    shape[axis] = window_positions(graph->extents, x->shape[axis], taps, stride, dilation);
    shape[axis + 1] = taps;
    return windowed(graph, OP_window, x, axis, taps, stride, dilation, shape, x->rank + 1);
}

Node *fold_windows(Graph *graph, Node *x, int axis, int64_t stride, const Extent *dilation, const Extent *extent) {
    assert(axis + 1 < x->rank && stride > 0);
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i <= axis ? i : i - 1] = x->shape[i];
    shape[axis] = extent;
    return windowed(graph, OP_fold, x, axis, x->shape[axis + 1], stride, dilation, shape, x->rank - 1);
}

Node *argsort(Graph *graph, Node *x, bool descending) {
    assert(x->rank > 0 && x->dtype != DTYPE_BOOL);
    const Extent *attribute = extent_constant(graph->extents, descending);
    return node_make(graph, OP_argsort, DTYPE_I64, x, (const Extent *const *)x->shape, x->rank, &attribute, 1);
}
