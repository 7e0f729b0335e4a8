// Affine index arithmetic: how a view of a tensor becomes nothing but other strides.
#include "kernels/lowering.h"

#include <assert.h>

Affine affine_constant(const Lowering *lowering, const Extent *base) {
    Affine affine;
    const Extent *zero = extent_constant(lowering->extents, 0);
    affine.base = base ? base : zero;
    for (int i = 0; i < MAX_AXES; i++) affine.strides[i] = zero;
    return affine;
}

Affine affine_axis(const Lowering *lowering, int axis) {
    Affine affine = affine_constant(lowering, NULL);
    affine.strides[axis] = extent_constant(lowering->extents, 1);
    return affine;
}

Affine affine_add(const Lowering *lowering, const Affine *a, const Affine *b) {
    Affine sum;
    sum.base = extent_add(lowering->extents, a->base, b->base);
    for (int i = 0; i < MAX_AXES; i++) sum.strides[i] = extent_add(lowering->extents, a->strides[i], b->strides[i]);
    return sum;
}

Affine affine_scale(const Lowering *lowering, const Affine *a, const Extent *factor) {
    if (extent_is(factor, 1)) return *a;
    Affine product;
    product.base = extent_multiply(lowering->extents, a->base, factor);
    for (int i = 0; i < MAX_AXES; i++) product.strides[i] = extent_multiply(lowering->extents, a->strides[i], factor);
    return product;
}

bool affine_equal(const Affine *a, const Affine *b) {
    if (a->base != b->base) return false;
    for (int i = 0; i < MAX_AXES; i++)
        if (a->strides[i] != b->strides[i]) return false;
    return true;
}

Affine affine_linear(const Lowering *lowering, const Affine *index, const Extent *const *shape, int rank) {
    Affine position = affine_constant(lowering, NULL);
    const Extent *stride = extent_constant(lowering->extents, 1);
    for (int i = rank - 1; i >= 0; i--) {
        Affine scaled = affine_scale(lowering, &index[i], stride);
        position = affine_add(lowering, &position, &scaled);
        stride = extent_multiply(lowering->extents, stride, shape[i]);
    }
    return position;
}

// Walks a reshape's axes in groups of equal size. In a group, the inner tensor must have at most one axis that is not
// 1: then its index is the row-major position within the group. `inner` may be NULL, to ask only whether it can be done.
static bool reshape_index(const Lowering *lowering, const Node *reshape, const Affine *index, Affine *inner) {
    const Node *x = reshape->inputs[0];
    int from = x->rank, to = reshape->rank;
    while (from > 0 || to > 0) {
        int to_end = to;
        const Extent *one = extent_constant(lowering->extents, 1);
        if (from > 0 && extent_is(x->shape[from - 1], 1)) {
            from--;
            if (inner) inner[from] = affine_constant(lowering, NULL);
            continue;
        }
        const Extent *size = one;
        const Extent *wanted = from > 0 ? x->shape[from - 1] : one;
        while (to > 0 && (size != wanted || extent_is(reshape->shape[to - 1], 1))) {
            size = extent_multiply(lowering->extents, size, reshape->shape[to - 1]);
            to--;
            if (size == wanted && !(to > 0 && extent_is(reshape->shape[to - 1], 1))) break;
        }
        if (size != wanted) return false;
        if (from == 0) break;
        from--;
        if (inner) inner[from] = affine_linear(lowering, index + to, reshape->shape + to, to_end - to);
    }
    return true;
}

bool reshape_merges(const Lowering *lowering, const Node *reshape) {
    return reshape_index(lowering, reshape, NULL, NULL);
}

bool view_index(const Lowering *lowering, const Node *view, const Affine *index, Affine *inner) {
    const Node *x = view->inputs[0];
    switch (view->op) {
    case OP_reshape: return reshape_index(lowering, view, index, inner);
    case OP_broadcast:
        for (int i = 0; i < x->rank; i++) {
            int axis = attribute_integer(view, i);
            bool repeated = x->shape[i] != view->shape[axis];
            inner[i] = repeated ? affine_constant(lowering, NULL) : index[axis];
        }
        return true;
    case OP_transpose:
        for (int i = 0; i < x->rank; i++) inner[attribute_integer(view, i)] = index[i];
        return true;
    case OP_slice:
        for (int i = 0; i < x->rank; i++) {
            Affine start = affine_constant(lowering, view->attributes[2 * i]);
            Affine scaled = affine_scale(lowering, &index[i], view->attributes[2 * i + 1]);
            inner[i] = affine_add(lowering, &start, &scaled);
        }
        return true;
    case OP_window: {
        int axis = attribute_integer(view, 0);
        for (int i = 0; i < x->rank; i++) inner[i] = index[i <= axis ? i : i + 1];
        inner[axis] = affine_scale(lowering, &index[axis], view->attributes[1]);
        Affine tap = affine_scale(lowering, &index[axis + 1], view->attributes[2]);
        inner[axis] = affine_add(lowering, &inner[axis], &tap);
        return true;
    }
    default: assert(!"not a view of affine index"); return false;
    }
}
