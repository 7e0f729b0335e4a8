// Builtins that put the elements of a tensor into another order, repeat them, or take a tensor apart along an axis.
#include "elaborate/builtins.h"

// Elements start, start + step, ... of one axis.
static Node *part_of(Elaborator *e, Node *x, int axis, const Extent *start, int64_t step, const Extent *count) {
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        starts[i] = i == axis ? start : constant_extent(e, 0);
        steps[i] = i == axis ? step : 1;
        shape[i] = i == axis ? count : x->shape[i];
    }
    return slice(e->graph, x, starts, steps, shape);
}

// ---- order

Value builtin_flip(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int axes[MAX_RANK], count;
    if (!x || !axes_argument(call, 1, x->rank, axes, &count)) return no_value();
    for (int i = 0; i < count; i++) {
        const Extent *size = x->shape[axes[i]];
        x = part_of(e, x, axes[i], extent_subtract(e->graph->extents, size, constant_extent(e, 1)), -1, size);
    }
    return value_tensor(x);
}

// The axis `from` becomes axis `to`; the others keep their order.
Value builtin_moveaxis(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    int from, to, order[MAX_RANK];
    if (!x || !axis_argument(call, 1, x->rank, 0, &from) || !axis_argument(call, 2, x->rank, 0, &to)) return no_value();
    for (int i = 0, next = 0; i < x->rank; i++) {
        next += next == from;
        order[i] = i == to ? from : next++;
    }
    return value_tensor(transpose(call->e->graph, x, order));
}

// How far elements go along an axis, as the number of elements from its end that come to its front.
static const Extent *shift_along(const BuiltinCall *call, Value value, const Extent *size) {
    Elaborator *e = call->e;
    ExtentTable *table = e->graph->extents;
    const Extent *shift = as_extent(e, value);
    int64_t number, count;
    if (!shift) {
        if (value.kind != VALUE_ERROR)
            report(e, D_number_not_static, call->spans[1], "a shift is an integer known when compiled, not %s",
                   describe(e, value));
        return NULL;
    }
    if (extent_is_constant(shift, &number) && extent_is_constant(size, &count))
        return constant_extent(e, count ? ((number % count) + count) % count : 0);
    if (extent_is_constant(shift, &number) && number < 0) shift = extent_add(table, shift, size);
    const char *message = arena_print(e->arena, "a shift by %s is more than an axis of %s elements has",
                                      describe_number(e, as_extent(e, value)), describe_number(e, size));
    if (require_at_least_zero(e, shift, call->spans[1], message) &&
        require_at_least_zero(e, extent_subtract(table, size, shift), call->spans[1], message))
        return shift;
    report(e, D_index_out_of_bounds, call->spans[1], "%s", message);
    return NULL;
}

// Element i goes to i + shift, around the end. Several axes have one shift for all, or one each.
Value builtin_roll(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    Value shifts = call->values[1];
    int axes[MAX_RANK], count;
    if (!x || !axes_argument(call, 2, x->rank, axes, &count)) return no_value();
    bool list = shifts.kind == VALUE_LIST || shifts.kind == VALUE_TUPLE;
    if (list && shifts.list.count != count)
        return failure(e, D_wrong_list_length, call->spans[1], "'roll' takes one shift for each of %d axes, not %d",
                       count, shifts.list.count);
    for (int i = 0; i < count; i++) {
        const Extent *size = x->shape[axes[i]], *zero = constant_extent(e, 0);
        const Extent *shift = shift_along(call, list ? shifts.list.items[i] : shifts, size);
        if (!shift) return no_value();
        if (extent_is(shift, 0)) continue;
        const Extent *rest = extent_subtract(e->graph->extents, size, shift);
        Node *parts[] = {part_of(e, x, axes[i], rest, 1, shift), part_of(e, x, axes[i], zero, 1, rest)};
        x = concatenate(e, parts, 2, axes[i]);
    }
    return value_tensor(x);
}

// ---- repetition

// x with a new axis of `times` before axis `axis` or behind it, made one with it.
static Value repeated(const BuiltinCall *call, bool each) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    const Extent *times = as_extent(e, call->values[1]), *shape[MAX_RANK];
    int axis, axes[MAX_RANK];
    if (!x || call->values[1].kind == VALUE_ERROR || !axis_argument(call, 2, x->rank, 0, &axis)) return no_value();
    if (!times)
        return failure(e, D_number_not_static, call->spans[1], "how often is an integer known when compiled, not %s",
                       describe(e, call->values[1]));
    if (!x->rank || x->rank == MAX_RANK)
        return failure(e, D_needs_axes, call->span, "'%s' takes a tensor of 1 to %d axes, not %s", call->builtin->name,
                       MAX_RANK - 1, describe(e, value_tensor(x)));
    if (!require_at_least_zero(e, times, call->spans[1], "something is repeated less than 0 times"))
        return failure(e, D_negative_size, call->spans[1], "something is repeated less than 0 times");
    int fresh = each ? axis + 1 : axis;
    for (int i = 0; i < x->rank; i++) {
        axes[i] = i < fresh ? i : i + 1;
        shape[axes[i]] = x->shape[i];
    }
    shape[fresh] = times;
    Node *copies = broadcast(e->graph, x, (const Extent *const *)shape, x->rank + 1, axes);
    Shape joined = shape_of(x);
    joined.extents[axis] = extent_multiply(e->graph->extents, times, x->shape[axis]);
    return value_tensor(reshape(e->graph, copies, joined.extents, joined.rank));
}

Value builtin_repeat(const BuiltinCall *call) {
    return repeated(call, false);
}

Value builtin_repeat_interleave(const BuiltinCall *call) {
    return repeated(call, true);
}

// ---- parts

enum { MOST_PARTS = 4096 };

static Value cut(const BuiltinCall *call, Node *x, int axis, const Extent *const *sizes, int count) {
    Elaborator *e = call->e;
    Value *parts = arena_array(e->arena, Value, count);
    const Extent *start = constant_extent(e, 0);
    for (int i = 0; i < count; i++) {
        parts[i] = value_tensor(part_of(e, x, axis, start, 1, sizes[i]));
        start = extent_add(e->graph->extents, start, sizes[i]);
    }
    Value tuple = value_list(e, parts, count);
    tuple.kind = VALUE_TUPLE;
    return tuple;
}

static Value cut_by_list(const BuiltinCall *call, Node *x, int axis, Value list) {
    Elaborator *e = call->e;
    const Extent **sizes = arena_array(e->arena, const Extent *, list.list.count), *sum = constant_extent(e, 0);
    for (int i = 0; i < list.list.count; i++) {
        sizes[i] = as_extent(e, list.list.items[i]);
        if (!sizes[i])
            return failure(e, D_size_not_static, call->spans[1],
                           "the sizes of parts are integers known when compiled, not %s",
                           describe(e, list.list.items[i]));
        if (!require_at_least_zero(e, sizes[i], call->spans[1], "a part has less than 0 elements"))
            return failure(e, D_negative_size, call->spans[1], "a part has less than 0 elements");
        sum = extent_add(e->graph->extents, sum, sizes[i]);
    }
    if (sum == x->shape[axis]) return cut(call, x, axis, sizes, list.list.count);
    return failure(e, D_parts_do_not_fit, call->spans[1],
                   "the parts have %s elements together, but axis %d of %s has %s", describe_number(e, sum), axis,
                   describe(e, value_tensor(x)), describe_number(e, x->shape[axis]));
}

// Parts of `size` elements; the last has what is left.
static Value cut_evenly(const BuiltinCall *call, Node *x, int axis, int64_t size, int64_t whole) {
    Elaborator *e = call->e;
    int64_t count = whole ? (whole + size - 1) / size : 1;
    if (count > MOST_PARTS)
        return failure(e, D_too_many_parts, call->span, "'%s' would make %lld parts; at most %d are made",
                       call->builtin->name, (long long)count, MOST_PARTS);
    const Extent **sizes = arena_array(e->arena, const Extent *, (int)count);
    for (int64_t i = 0; i < count; i++) sizes[i] = constant_extent(e, i < count - 1 ? size : whole - i * size);
    return cut(call, x, axis, sizes, (int)count);
}

// The number of elements along the axis that is cut. False: reported.
static bool constant_size(const BuiltinCall *call, const Node *x, int axis, int64_t *size) {
    if (extent_is_constant(x->shape[axis], size)) return true;
    report(call->e, D_count_not_static, call->span,
           "'%s' makes as many values as it must know when compiled, not one for %s", call->builtin->name,
           describe_number(call->e, x->shape[axis]));
    return false;
}

static bool axis_to_cut(const BuiltinCall *call, int index, Node **x, int *axis) {
    *x = tensor_argument(call, 0);
    if (!*x || !axis_argument(call, index, (*x)->rank, 0, axis)) return false;
    if ((*x)->rank) return true;
    report(call->e, D_needs_axes, call->span, "'%s' takes a tensor with axes, not a number", call->builtin->name);
    return false;
}

static bool positive_argument(const BuiltinCall *call, int index, int64_t *number) {
    if (is_integer_number(call->values[index], number) && *number > 0) return true;
    if (call->values[index].kind != VALUE_ERROR)
        report(call->e, D_number_not_static, call->spans[index],
               "'%s' takes a number of at least 1 known when compiled, not %s", call->builtin->name,
               describe(call->e, call->values[index]));
    return false;
}

// split(x, size): parts of `size` elements; split(x, [2, 3]): of 2 and of 3.
Value builtin_split(const BuiltinCall *call) {
    Node *x;
    int axis;
    int64_t size, whole;
    Value sizes = call->values[1];
    if (!axis_to_cut(call, 2, &x, &axis)) return no_value();
    if (sizes.kind == VALUE_LIST || sizes.kind == VALUE_TUPLE) return cut_by_list(call, x, axis, sizes);
    if (!positive_argument(call, 1, &size) || !constant_size(call, x, axis, &whole)) return no_value();
    return cut_evenly(call, x, axis, size, whole);
}

// chunk(x, count): at most `count` parts, as equal as PyTorch makes them.
Value builtin_chunk(const BuiltinCall *call) {
    Node *x;
    int axis;
    int64_t count, whole;
    if (!axis_to_cut(call, 2, &x, &axis) || !positive_argument(call, 1, &count) ||
        !constant_size(call, x, axis, &whole))
        return no_value();
    int64_t size = whole / count + (whole % count != 0);
    return cut_evenly(call, x, axis, size ? size : 1, whole);
}

// One value for each place along an axis, which they do not have.
Value builtin_unbind(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x;
    int axis;
    int64_t count;
    if (!axis_to_cut(call, 1, &x, &axis) || !constant_size(call, x, axis, &count)) return no_value();
    Value parts = cut_evenly(call, x, axis, 1, count);
    if (parts.kind == VALUE_ERROR || !count) return parts;
    Shape shape = {0};
    for (int i = 0; i < x->rank; i++)
        if (i != axis) shape.extents[shape.rank++] = x->shape[i];
    for (int i = 0; i < parts.list.count; i++)
        parts.list.items[i] = value_tensor(reshape(e->graph, parts.list.items[i].node, shape.extents, shape.rank));
    return parts;
}
