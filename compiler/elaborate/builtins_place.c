// Builtins that put elements at places among zeros: what the derivatives of slices and gathers are, and how they are
// written when a derivative is printed as a program (semantics.md, S17).
#include "elaborate/builtins.h"

// ---- pad

// Sizes, one for each axis of x. False: reported.
static bool sizes_argument(const BuiltinCall *call, int index, const Node *x, Shape *sizes) {
    if (!shape_argument(call, index, sizes)) return false;
    if (sizes->rank == x->rank) return true;
    report(call->e, D_wrong_arguments, call->spans[index],
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
Value builtin_pad(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    Shape lows, steps, shape;
    int64_t numbers[MAX_RANK];
    if (!x || !sizes_argument(call, 1, x, &lows) || !sizes_argument(call, 2, x, &steps) ||
        !sizes_argument(call, 3, x, &shape))
        return no_value();
    if (x->dtype == DTYPE_BOOL) return failure(e, D_dtype_mismatch, call->spans[0], "'pad' takes numbers, not bools");
    for (int i = 0; i < x->rank; i++) {
        if (!extent_is_constant(steps.extents[i], &numbers[i]) || !numbers[i])
            return failure(e, D_not_static, call->spans[2], "a step is a number other than 0");
        if (!in_bounds(call, lows.extents[i], numbers[i], x->shape[i], shape.extents[i])) return no_value();
    }
    return value_tensor(pad(e->graph, x, lows.extents, numbers, shape.extents));
}

// ---- scatter_add

// scatter_add(indices, updates, shape): zeros of that shape, with updates[i...] added to row indices[i...].
Value builtin_scatter_add(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *indices = tensor_argument(call, 0), *updates = tensor_argument(call, 1);
    Shape shape, expected;
    if (!indices || !updates || !shape_argument(call, 2, &shape)) return no_value();
    if (!dtype_is_integer(indices->dtype))
        return failure(e, D_dtype_mismatch, call->spans[0], "indices are integers, not %s",
                       describe(e, value_tensor(indices)));
    if (updates->dtype == DTYPE_BOOL)
        return failure(e, D_dtype_mismatch, call->spans[1], "'scatter_add' adds numbers, not bools");
    if (!shape.rank || indices->rank + shape.rank - 1 > MAX_RANK)
        return failure(e, D_shape_mismatch, call->spans[2], "'scatter_add' adds to rows, which %s does not have",
                       describe_shape(e, &shape));
    expected = shape_of(indices);
    for (int i = 1; i < shape.rank; i++) expected.extents[expected.rank++] = shape.extents[i];
    Shape own = shape_of(updates);
    if (!shapes_equal(&own, &expected))
        return failure(e, D_shape_mismatch, call->spans[1], "the updates are %s, but one row for each index is %s",
                       describe_shape(e, &own), describe_shape(e, &expected));
    return value_tensor(scatter_add(e->graph, indices, updates, shape.extents, shape.rank));
}
