// Builtins that give a tensor another shape, or several tensors one.
#include "elaborate/builtins.h"

#include <string.h>

// ---- sizes as numbers

// The shape of a tensor, or of what is a shape already.
static bool shape_like(const BuiltinCall *call, Shape *shape) {
    Value value = call->values[0];
    if (value.kind == VALUE_LIST) return shape_argument(call, 0, shape);
    Node *node = tensor_argument(call, 0);
    if (node) *shape = shape_of(node);
    return node != NULL;
}

Value builtin_shape(const BuiltinCall *call) {
    Node *node = tensor_argument(call, 0);
    if (!node) return no_value();
    Value sizes[MAX_RANK];
    for (int i = 0; i < node->rank; i++) sizes[i] = value_extent(node->shape[i]);
    return value_list(call->e, sizes, node->rank);
}

// How many elements stand along an axis, along several, or in all.
Value builtin_size(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *node = tensor_argument(call, 0);
    if (!node) return no_value();
    Value axes = call->values[1];
    if (axes.kind == VALUE_NONE) return value_extent(element_count(e->graph, node));
    Value single[] = {axes};
    if (axes.kind != VALUE_LIST && axes.kind != VALUE_TUPLE) axes = value_list(e, single, 1);
    const Extent *count = constant_extent(e, 1);
    for (int i = 0; i < axes.list.count; i++) {
        int axis;
        if (!as_axis(e, axes.list.items[i], node->rank, call->spans[1], &axis)) return no_value();
        count = extent_multiply(e->graph->extents, count, node->shape[axis]);
    }
    return value_extent(count);
}

// Of rank 2 [inputs, outputs], of higher rank [outputs, inputs, receptive field...] (S11).
static Value fan(const BuiltinCall *call, int axis_of_matrix, int axis_of_kernel) {
    Elaborator *e = call->e;
    Shape shape;
    if (!shape_like(call, &shape)) return no_value();
    if (shape.rank < 2) return value_extent(shape.rank ? shape.extents[0] : constant_extent(e, 1));
    if (shape.rank == 2) return value_extent(shape.extents[axis_of_matrix]);
    const Extent *count = shape.extents[axis_of_kernel];
    for (int i = 2; i < shape.rank; i++) count = extent_multiply(e->graph->extents, count, shape.extents[i]);
    return value_extent(count);
}

Value builtin_fan_in(const BuiltinCall *call) {
    return fan(call, 0, 1);
}

Value builtin_fan_out(const BuiltinCall *call) {
    return fan(call, 1, 0);
}

// ---- reshape

static const Extent *product(Elaborator *e, const Shape *shape) {
    const Extent *count = constant_extent(e, 1);
    for (int i = 0; i < shape->rank; i++) count = extent_multiply(e->graph->extents, count, shape->extents[i]);
    return count;
}

// Replaces the one -1 by what the others leave.
static bool fill_rest(const BuiltinCall *call, const Node *x, Shape *shape) {
    Elaborator *e = call->e;
    int rest = -1;
    for (int i = 0; i < shape->rank; i++)
        if (extent_is(shape->extents[i], -1)) rest = i;
    if (rest < 0) return true;
    shape->extents[rest] = constant_extent(e, 1);
    const Extent *quotient = extent_floor_divide(e->graph->extents, element_count(e->graph, x), product(e, shape));
    if (quotient) shape->extents[rest] = quotient;
    return quotient != NULL;
}

static Value reshaped(const BuiltinCall *call, Node *x, Shape shape) {
    Elaborator *e = call->e;
    Shape old = shape_of(x);
    if (fill_rest(call, x, &shape) && product(e, &shape) == element_count(e->graph, x))
        return value_tensor(reshape(e->graph, x, shape.extents, shape.rank));
    return failure(e, D_cannot_reshape, call->span, "%s cannot be reshaped to %s: they have %s and %s elements",
                   describe_shape(e, &old), describe_shape(e, &shape), describe_number(e, element_count(e->graph, x)),
                   describe_number(e, product(e, &shape)));
}

Value builtin_reshape(const BuiltinCall *call) {
    Shape shape;
    Node *x = tensor_argument(call, 0);
    if (!x || !shape_argument(call, 1, &shape)) return no_value();
    return reshaped(call, x, shape);
}

// The axes from `start` to `end` (to the last, if that is left out) as one.
Value builtin_flatten(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    int start = 0, end = 0;
    if (!x || !axis_argument(call, 1, x->rank, 0, &start) || !axis_argument(call, 2, x->rank, x->rank - 1, &end))
        return no_value();
    if (end < start && x->rank)
        return failure(call->e, D_axis_out_of_range, call->span,
                       "'flatten' goes from axis %d to axis %d, which is before it", start, end);
    const Extent *const *extents = (const Extent *const *)x->shape;
    Shape shape = shape_make(extents, start), flat = shape_make(extents + start, x->rank ? end + 1 - start : 0);
    shape.extents[shape.rank++] = product(call->e, &flat);
    for (int i = end + 1; i < x->rank; i++) shape.extents[shape.rank++] = x->shape[i];
    return reshaped(call, x, shape);
}

// One axis as several of these sizes, of which one may be -1: what the others leave.
Value builtin_unflatten(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int axis;
    Shape sizes;
    if (!x || !axis_argument(call, 1, x->rank, 0, &axis) || !shape_argument(call, 2, &sizes)) return no_value();
    if (!x->rank) return failure(e, D_needs_axes, call->span, "'unflatten' takes a tensor with axes, not a number");
    if (x->rank + sizes.rank - 1 > MAX_RANK)
        return failure(e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
    Shape shape = shape_make((const Extent *const *)x->shape, axis);
    for (int i = 0; i < sizes.rank; i++) shape.extents[shape.rank++] = sizes.extents[i];
    for (int i = axis + 1; i < x->rank; i++) shape.extents[shape.rank++] = x->shape[i];
    return reshaped(call, x, shape);
}

Value builtin_squeeze(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    int axis;
    if (!x || !axis_argument(call, 1, x->rank, -1, &axis)) return no_value();
    Shape shape = {0};
    for (int i = 0; i < x->rank; i++) {
        bool single = extent_is(x->shape[i], 1);
        if (i == axis && !single)
            return failure(call->e, D_cannot_squeeze, call->span, "axis %d of %s has %s elements, not 1", axis,
                           describe(call->e, value_tensor(x)), describe_number(call->e, x->shape[i]));
        if (axis < 0 ? !single : i != axis) shape.extents[shape.rank++] = x->shape[i];
    }
    return reshaped(call, x, shape);
}

Value builtin_unsqueeze(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    int axis;
    if (!x || !axis_argument(call, 1, x->rank + 1, 0, &axis)) return no_value();
    if (x->rank == MAX_RANK)
        return failure(call->e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
    Shape shape = {0};
    for (int i = 0; i <= x->rank; i++) {
        if (i == axis) shape.extents[shape.rank++] = constant_extent(call->e, 1);
        if (i < x->rank) shape.extents[shape.rank++] = x->shape[i];
    }
    return reshaped(call, x, shape);
}

// ---- order of axes

// Without axes all are reversed; with two, these are exchanged.
Value builtin_transpose(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    int first, second, order[MAX_RANK];
    if (!x) return no_value();
    if (call->given[1] != call->given[2])
        return failure(call->e, D_wrong_arguments, call->span, "'transpose' takes two axes, or none");
    for (int i = 0; i < x->rank; i++) order[i] = call->given[1] ? i : x->rank - 1 - i;
    if (call->given[1]) {
        if (!axis_argument(call, 1, x->rank, 0, &first) || !axis_argument(call, 2, x->rank, 0, &second))
            return no_value();
        order[first] = second;
        order[second] = first;
    }
    return value_tensor(transpose(call->e->graph, x, order));
}

Value builtin_permute(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int order[MAX_RANK];
    bool seen[MAX_RANK] = {false};
    Value axes = call->values[1];
    if (!x || axes.kind == VALUE_ERROR) return no_value();
    if ((axes.kind != VALUE_LIST && axes.kind != VALUE_TUPLE) || axes.list.count != x->rank)
        return failure(e, D_wrong_list_length, call->spans[1], "the order names each of the %d axes once", x->rank);
    for (int i = 0; i < x->rank; i++) {
        if (!as_axis(e, axes.list.items[i], x->rank, call->spans[1], &order[i])) return no_value();
        if (seen[order[i]]) return failure(e, D_axis_named_twice, call->spans[1], "axis %d is named twice", order[i]);
        seen[order[i]] = true;
    }
    return value_tensor(transpose(e->graph, x, order));
}

// ---- broadcasting and its opposite

static bool repeats_to(const Shape *from, const Shape *to) {
    for (int i = 1; i <= from->rank && i <= to->rank; i++) {
        const Extent *extent = from->extents[from->rank - i];
        if (extent != to->extents[to->rank - i] && !extent_is(extent, 1)) return false;
    }
    return from->rank <= to->rank;
}

Value builtin_broadcast(const BuiltinCall *call) {
    Shape shape;
    Node *x = tensor_argument(call, 0);
    if (!x || !result_shape_argument(call, 1, &shape)) return no_value();
    Shape old = shape_of(x);
    if (repeats_to(&old, &shape)) return value_tensor(broadcast_to(call->e, x, &shape));
    return failure(call->e, D_cannot_broadcast, call->span, "%s cannot be broadcast to %s",
                   describe_shape(call->e, &old), describe_shape(call->e, &shape));
}

// Sums over the axes that broadcasting from `shape` would repeat.
Value builtin_sum_to(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Shape shape;
    Node *x = tensor_argument(call, 0);
    if (!x || !shape_argument(call, 1, &shape)) return no_value();
    Shape old = shape_of(x);
    if (!repeats_to(&shape, &old) || x->dtype == DTYPE_BOOL)
        return failure(e, D_cannot_broadcast, call->span, "%s cannot be summed to %s", describe(e, value_tensor(x)),
                       describe_shape(e, &shape));
    int axes[MAX_RANK], count = 0, extra = x->rank - shape.rank;
    for (int i = 0; i < x->rank; i++)
        if (i < extra || shape.extents[i - extra] != x->shape[i]) axes[count++] = i;
    Node *sum = reduce(e->graph, OP_reduce_sum, x, axes, count);
    return value_tensor(reshape(e->graph, sum, shape.extents, shape.rank));
}

// ---- several tensors

// The parts of a list, of one dtype. NULL: reported.
static Node **list_parts(const BuiltinCall *call, int *count, bool *weak) {
    Elaborator *e = call->e;
    Value list = call->values[0];
    Dtype dtype;
    if (list.kind == VALUE_ERROR) return NULL;
    if ((list.kind != VALUE_LIST && list.kind != VALUE_TUPLE) || !list.list.count) {
        report(e, D_not_a_list, call->spans[0], "'%s' takes a list of tensors, not %s", call->builtin->name,
               describe(e, list));
        return NULL;
    }
    Value *items = arena_array(e->arena, Value, list.list.count);
    for (int i = 0; i < list.list.count; i++) items[i] = settle(e, list.list.items[i], call->spans[0]);
    if (!promote(e, call->spans[0], items, list.list.count, &dtype, weak)) return NULL;
    if (*weak) dtype = dtype_is_float(dtype) ? e->frame->floating : DTYPE_I32;
    Node **parts = arena_array(e->arena, Node *, list.list.count);
    for (int i = 0; i < list.list.count; i++)
        if (!(parts[i] = as_dtype(e, items[i], dtype, call->spans[0]))) return NULL;
    *count = list.list.count;
    return parts;
}

static bool parts_fit(const Node *a, const Node *b, int axis) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (i != axis && a->shape[i] != b->shape[i]) return false;
    return true;
}

static Value join(const BuiltinCall *call, Node **parts, int count, int axis) {
    for (int i = 1; i < count; i++)
        if (!parts_fit(parts[0], parts[i], axis))
            return failure(call->e, D_cannot_concatenate, call->spans[0], "%s and %s do not fit together along axis %d",
                           describe(call->e, value_tensor(parts[0])), describe(call->e, value_tensor(parts[i])), axis);
    return value_tensor(concatenate(call->e, parts, count, axis));
}

Value builtin_concat(const BuiltinCall *call) {
    int count, axis;
    bool weak;
    Node **parts = list_parts(call, &count, &weak);
    if (!parts || !axis_argument(call, 1, parts[0]->rank, 0, &axis)) return no_value();
    if (!parts[0]->rank)
        return failure(call->e, D_needs_axes, call->spans[0], "numbers have no axis to concatenate along; use stack");
    return join(call, parts, count, axis);
}

Value builtin_stack(const BuiltinCall *call) {
    Elaborator *e = call->e;
    int count, axis;
    bool weak;
    Node **parts = list_parts(call, &count, &weak);
    if (!parts || !axis_argument(call, 1, parts[0]->rank + 1, 0, &axis)) return no_value();
    if (parts[0]->rank == MAX_RANK)
        return failure(e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
    for (int i = 1; i < count; i++)
        if (!same_shape(parts[0], parts[i]))
            return failure(e, D_cannot_stack, call->spans[0], "tensors are stacked that have one shape, not %s and %s",
                           describe(e, value_tensor(parts[0])), describe(e, value_tensor(parts[i])));
    for (int i = 0; i < count; i++) {
        Shape shape = {0};
        for (int k = 0; k <= parts[i]->rank; k++) {
            if (k == axis) shape.extents[shape.rank++] = constant_extent(e, 1);
            if (k < parts[i]->rank) shape.extents[shape.rank++] = parts[i]->shape[k];
        }
        parts[i] = reshape(e->graph, parts[i], shape.extents, shape.rank);
    }
    return join(call, parts, count, axis);
}
