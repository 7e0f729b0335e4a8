// Builtins that put elements at places among zeros: what the derivatives of slices and gathers are, and how they are
// written when a derivative is printed as a program (semantics.md, S17).
#include "elaborate/builtins.h"

// ---- pad

// Sizes, one for each axis of x. False: reported.
static bool sizes_argument(const BuiltinCall *call, int index, const Node *x, Shape *sizes) {
    if (!shape_argument(call, index, sizes)) return false;
    if (sizes->rank == x->rank) return true;
    report(call->e, D_wrong_list_length, call->spans[index],
           "'pad' takes one number for each of the %d axes here, not %d", x->rank, sizes->rank);
    return false;
}

static bool in_bounds(const BuiltinCall *call, const Extent *low, int64_t step, const Extent *count,
                      const Extent *size) {
    Elaborator *e = call->e;
    ExtentTable *table = e->graph->extents;
    const Extent *one = constant_extent(e, 1),
                 *reach = extent_multiply(table, constant_extent(e, step), extent_subtract(table, count, one));
    const Extent *first = step > 0 ? low : extent_add(table, low, reach);
    const Extent *last = step > 0 ? extent_add(table, low, reach) : low;
    const Extent *rest = extent_subtract(table, extent_subtract(table, size, one), last);
    const char *message = "'pad' puts an element outside of the result";
    if (extent_is(count, 0)) return true;
    if (require_at_least_zero(e, first, call->span, message) && require_at_least_zero(e, rest, call->span, message))
        return true;
    report(e, D_index_out_of_bounds, call->span,
           "%s: an axis of %s elements, the first at %s and each %lld further, does not fit in %s", message,
           describe_number(e, count), describe_number(e, low), (long long)step, describe_number(e, size));
    return false;
}

// pad(x, lows, steps, shape): x's element i of an axis stands at low + step * i, with zeros elsewhere.
static Value pad_to_places(const BuiltinCall *call, Node *x) {
    Elaborator *e = call->e;
    Shape lows, steps, shape;
    int64_t numbers[MAX_RANK];
    if (!sizes_argument(call, 1, x, &lows) || !sizes_argument(call, 2, x, &steps) ||
        !sizes_argument(call, 3, x, &shape))
        return no_value();
    for (int i = 0; i < x->rank; i++) {
        if (!extent_is_constant(steps.extents[i], &numbers[i]) || !numbers[i])
            return failure(e, D_step_of_zero, call->spans[2], "a step is a number other than 0");
        if (!in_bounds(call, lows.extents[i], numbers[i], x->shape[i], shape.extents[i])) return no_value();
    }
    return value_tensor(pad(e->graph, x, lows.extents, numbers, shape.extents));
}

// How many elements come before and behind along each axis.
typedef struct {
    const Extent *before[MAX_RANK], *behind[MAX_RANK];
} Widths;

// One width is a number, for both sides, or a pair.
static bool read_width(const BuiltinCall *call, Value value, int axis, Widths *widths) {
    Elaborator *e = call->e;
    bool pair = (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) && value.list.count == 2;
    widths->before[axis] = as_extent(e, pair ? value.list.items[0] : value);
    widths->behind[axis] = as_extent(e, pair ? value.list.items[1] : value);
    const char *message = "a width of 'pad' is negative";
    if (!widths->before[axis] || !widths->behind[axis]) {
        report(e, D_number_not_static, call->spans[1],
               "a width of 'pad' is a number known when compiled, or a pair such as [1, 2], not %s",
               describe(e, value));
        return false;
    }
    if (require_at_least_zero(e, widths->before[axis], call->spans[1], message) &&
        require_at_least_zero(e, widths->behind[axis], call->spans[1], message))
        return true;
    report(e, D_negative_width, call->spans[1], "%s; a part of a tensor is x[begin:end]", message);
    return false;
}

// `widths` is one number for all axes of `axis` (all of x's, if it is left out), or a list with one width for each.
static bool read_widths(const BuiltinCall *call, const Node *x, Widths *widths) {
    int axes[MAX_RANK], count;
    Value given = call->values[1];
    if (given.kind == VALUE_ERROR || !axes_argument(call, 4, x->rank, axes, &count)) return false;
    for (int i = 0; i < x->rank; i++) widths->before[i] = widths->behind[i] = constant_extent(call->e, 0);
    bool list = given.kind == VALUE_LIST || given.kind == VALUE_TUPLE;
    if (list && given.list.count != count) {
        report(call->e, D_wrong_list_length, call->spans[1], "'pad' takes one width for each of %d axes, not %d", count,
               given.list.count);
        return false;
    }
    for (int i = 0; i < count; i++)
        if (!read_width(call, list ? given.list.items[i] : given, axes[i], widths)) return false;
    return true;
}

// Whether an element of the padded tensor is one of x's.
static Node *inside(Elaborator *e, const Node *x, const Widths *widths, const Node *padded) {
    Graph *graph = e->graph;
    const Extent *const *shape = (const Extent *const *)padded->shape;
    Node *all = NULL;
    for (int i = 0; i < x->rank; i++) {
        if (x->shape[i] == padded->shape[i]) continue;
        Node *place = iota(graph, DTYPE_I64, shape, padded->rank, i);
        const Extent *limit = extent_add(graph->extents, widths->before[i], x->shape[i]);
        Node *low = broadcast(graph, extent_value(graph, DTYPE_I64, widths->before[i]), shape, padded->rank, NULL);
        Node *high = broadcast(graph, extent_value(graph, DTYPE_I64, limit), shape, padded->rank, NULL);
        Node *within =
            map2(graph, OP_logical_and, map2(graph, OP_less_equal, low, place), map2(graph, OP_less, place, high));
        all = all ? map2(graph, OP_logical_and, all, within) : within;
    }
    return all;
}

static Value pad_with(const BuiltinCall *call, Node *x) {
    Elaborator *e = call->e;
    Widths widths;
    const Extent *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    if (!read_widths(call, x, &widths)) return no_value();
    for (int i = 0; i < x->rank; i++) {
        steps[i] = 1;
        shape[i] = extent_add(e->graph->extents, x->shape[i],
                              extent_add(e->graph->extents, widths.before[i], widths.behind[i]));
    }
    Node *padded = pad(e->graph, x, widths.before, steps, shape);
    Node *mask = call->given[5] ? inside(e, x, &widths, padded) : NULL;
    if (!mask) return value_tensor(padded);
    Node *value = as_dtype(e, call->values[5], x->dtype, call->spans[5]);
    if (!value) return no_value();
    if (value->rank)
        return failure(e, D_not_one_number, call->spans[5], "'pad' fills with one number, not %s",
                       describe(e, call->values[5]));
    value = broadcast(e->graph, value, (const Extent *const *)padded->shape, padded->rank, NULL);
    return value_tensor(map3(e->graph, OP_where, mask, padded, value));
}

// pad(x, widths): zeros, or `value`, around x. With steps and shape, where derivatives put their elements.
Value builtin_pad(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    if (!x) return no_value();
    if (x->dtype == DTYPE_BOOL)
        return failure(call->e, D_bool_arithmetic, call->spans[0], "'pad' takes numbers, not bools");
    if (call->given[2] != call->given[3])
        return failure(call->e, D_wrong_arguments, call->span,
                       "'pad' takes widths, or the first places, the steps and the shape of the result");
    return call->given[2] ? pad_to_places(call, x) : pad_with(call, x);
}

// ---- scatter_add

// scatter_add(indices, updates, shape): zeros of that shape, with updates[i...] added to row indices[i...].
Value builtin_scatter_add(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *indices = tensor_argument(call, 0), *updates = tensor_argument(call, 1);
    Shape shape, expected;
    if (!indices || !updates || !shape_argument(call, 2, &shape)) return no_value();
    if (!dtype_is_integer(indices->dtype))
        return failure(e, D_index_dtype, call->spans[0], "indices are integers, not %s",
                       describe(e, value_tensor(indices)));
    if (updates->dtype == DTYPE_BOOL)
        return failure(e, D_bool_arithmetic, call->spans[1], "'scatter_add' adds numbers, not bools");
    if (!shape.rank || indices->rank + shape.rank - 1 > MAX_RANK)
        return failure(e, D_needs_axes, call->spans[2], "'scatter_add' adds to rows, which %s does not have",
                       describe_shape(e, &shape));
    expected = shape_of(indices);
    for (int i = 1; i < shape.rank; i++) expected.extents[expected.rank++] = shape.extents[i];
    Shape own = shape_of(updates);
    if (!shapes_equal(&own, &expected))
        return failure(e, D_updates_shape, call->spans[1], "the updates are %s, but one row for each index is %s",
                       describe_shape(e, &own), describe_shape(e, &expected));
    return value_tensor(scatter_add(e->graph, indices, updates, shape.extents, shape.rank));
}

// ---- take_along_axis

static Node *move_last(Elaborator *e, Node *x, int axis) {
    int order[MAX_RANK];
    for (int i = 0; i < x->rank; i++) order[i] = i < axis ? i : i + 1;
    if (x->rank) order[x->rank - 1] = axis;
    return transpose(e->graph, x, order);
}

static Node *move_back(Elaborator *e, Node *x, int axis) {
    int order[MAX_RANK];
    for (int i = 0; i < x->rank; i++) order[i] = i < axis ? i : i == axis ? x->rank - 1 : i - 1;
    return transpose(e->graph, x, order);
}

// result[i..., k] = x[i..., indices[i..., k]]: both are seen as rows, and x as one long one, in which row i begins at
// i * size. An index that is none of its row's would be another row's: it becomes -1, which the gather finds out.
static Node *take_rows(Elaborator *e, Node *x, Node *indices) {
    Graph *graph = e->graph;
    const Extent *size = x->shape[x->rank - 1], *all = element_count(graph, x), *rows[2];
    rows[0] = constant_extent(e, 1);
    for (int i = 0; i + 1 < x->rank; i++) rows[0] = extent_multiply(graph->extents, rows[0], x->shape[i]);
    rows[1] = indices->shape[indices->rank - 1];
    Node *at = reshape(graph, cast(graph, indices, DTYPE_I64), rows, 2);
    Node *length = broadcast(graph, extent_value(graph, DTYPE_I64, size), rows, 2, NULL);
    Node *row = iota(graph, DTYPE_I64, rows, 2, 0);
    Node *place = map2(graph, OP_add, map2(graph, OP_multiply, row, length), at);
    Node *fits = map2(graph, OP_logical_and, map2(graph, OP_less_equal, constant_like(graph, at, 0), at),
                      map2(graph, OP_less, at, length));
    place = map3(graph, OP_where, fits, place, constant_like(graph, place, -1));
    Node *taken = gather(graph, reshape(graph, x, &all, 1), place);
    return reshape(graph, taken, (const Extent *const *)indices->shape, indices->rank);
}

Value builtin_take_along_axis(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0), *indices = tensor_argument(call, 1);
    int axis;
    if (!x || !indices || !axis_argument(call, 2, x->rank, x->rank - 1, &axis)) return no_value();
    if (!dtype_is_integer(indices->dtype))
        return failure(e, D_index_dtype, call->spans[1], "indices are integers, not %s",
                       describe(e, value_tensor(indices)));
    bool fits = x->rank && indices->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++) fits = i == axis || x->shape[i] == indices->shape[i];
    if (!fits)
        return failure(e, D_updates_shape, call->spans[1],
                       "'take_along_axis' takes indices of x's shape but for the axis itself, not %s for %s",
                       describe(e, value_tensor(indices)), describe(e, value_tensor(x)));
    require_range(e, indices, x->shape[axis], call->spans[1]);
    Node *taken = take_rows(e, move_last(e, x, axis), move_last(e, indices, axis));
    return value_tensor(move_back(e, taken, axis));
}

// ---- argsort

// The places of the elements along an axis in order: equal ones keep theirs, NaN is the largest.
Value builtin_argsort(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int axis;
    bool descending;
    if (!x || !axis_argument(call, 1, x->rank, x->rank - 1, &axis) || !flag_argument(call, 2, &descending))
        return no_value();
    if (!x->rank) return failure(e, D_needs_axes, call->span, "'argsort' takes a tensor with axes, not a number");
    if (x->dtype == DTYPE_BOOL) x = cast(e->graph, x, DTYPE_I32);
    return value_tensor(move_back(e, argsort(e->graph, move_last(e, x, axis), descending), axis));
}
