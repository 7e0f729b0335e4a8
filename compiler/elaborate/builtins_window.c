// Builtins for windows: the view that convolutions and pooling are made of, and the sum of what windows have.
#include "elaborate/builtins.h"

// How windows go along one axis.
typedef struct {
    int axis;
    const Extent *taps, *dilation;
    int64_t stride;
} Windows;

// The number for axis i of a list, or the one number for all; `missing` if nothing is given. NULL: reported.
static const Extent *number_for(const BuiltinCall *call, int index, int i, int count, int64_t missing) {
    Elaborator *e = call->e;
    Value value = call->values[index];
    if (!call->given[index]) return constant_extent(e, missing);
    if (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) {
        if (value.list.count != count) {
            report(e, D_wrong_list_length, call->spans[index], "'%s' takes one number for each of %d axes here, not %d",
                   call->builtin->name, count, value.list.count);
            return NULL;
        }
        value = value.list.items[i];
    }
    const Extent *number = as_extent(e, value);
    int64_t constant;
    if (number && (!extent_is_constant(number, &constant) || constant > 0)) return number;
    if (value.kind != VALUE_ERROR)
        report(e, D_number_not_static, call->spans[index],
               "'%s' takes numbers of at least 1 known when compiled here, not %s", call->builtin->name,
               describe(e, value));
    return NULL;
}

// along(numbers, i): number i of a list, or the one number that stands for all.
Value builtin_along(const BuiltinCall *call) {
    Value numbers = call->values[0];
    int64_t i;
    bool list = numbers.kind == VALUE_LIST || numbers.kind == VALUE_TUPLE;
    if (!list && as_extent(call->e, numbers)) return numbers;
    if (list && is_integer_number(call->values[1], &i) && i >= 0 && i < numbers.list.count)
        return numbers.list.items[i];
    if (numbers.kind == VALUE_ERROR) return no_value();
    return failure(call->e, D_number_not_static, call->span,
                   "'along' takes numbers, or one number for all, and which it is");
}

// length(numbers): how many a list has; one number counts as a list of it, and none as an empty one.
Value builtin_length(const BuiltinCall *call) {
    Value numbers = call->values[0];
    if (numbers.kind == VALUE_NONE) return value_integer(call->e, 0);
    if (numbers.kind == VALUE_LIST || numbers.kind == VALUE_TUPLE) return value_integer(call->e, numbers.list.count);
    if (as_extent(call->e, numbers)) return value_integer(call->e, 1);
    if (numbers.kind == VALUE_ERROR) return no_value();
    return failure(call->e, D_not_a_list, call->spans[0], "'length' takes a list known when compiled, not %s",
                   describe(call->e, numbers));
}

static bool windows_for(const BuiltinCall *call, int i, int count, Windows *windows) {
    const Extent *stride = number_for(call, 3, i, count, 1);
    windows->dilation = stride ? number_for(call, 4, i, count, 1) : NULL;
    if (!windows->dilation) return false;
    if (extent_is_constant(stride, &windows->stride)) return true;
    report(call->e, D_number_not_static, call->spans[3], "a stride is a constant, not %s",
           describe_number(call->e, stride));
    return false;
}

// At least one window fits.
static bool fits(const BuiltinCall *call, const Windows *windows, const Extent *extent) {
    Elaborator *e = call->e;
    ExtentTable *table = e->graph->extents;
    const Extent *reach =
        extent_add(table, window_span(table, windows->taps, windows->dilation), constant_extent(e, 1));
    const char *message = arena_print(e->arena, "a window that reaches over %s elements does not fit in an axis of %s",
                                      describe_number(e, reach), describe_number(e, extent));
    if (require_at_least_zero(e, extent_subtract(table, extent, reach), call->span, message)) return true;
    report(e, D_window_too_large, call->span, "%s", message);
    return false;
}

// window(x, taps): each axis becomes two, the positions of the window and its taps. Several axes at once: from the last,
// so that those before keep their numbers.
Value builtin_window(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int axes[MAX_RANK], count = 1;
    if (!x) return no_value();
    axes[0] = x->rank - 1;
    if (call->given[2] && !axes_argument(call, 2, x->rank, axes, &count)) return no_value();
    if (!x->rank) return failure(e, D_needs_axes, call->span, "'window' takes a tensor with axes, not a number");
    if (x->rank + count > MAX_RANK)
        return failure(e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
    Windows windows[MAX_RANK];
    for (int i = 0; i < count; i++) {
        windows[i].axis = axes[i];
        windows[i].taps = number_for(call, 1, i, count, 1);
        if (!windows[i].taps || !windows_for(call, i, count, &windows[i])) return no_value();
        if (!fits(call, &windows[i], x->shape[axes[i]])) return no_value();
    }
    for (int axis = x->rank - 1; axis >= 0; axis--)
        for (int i = 0; i < count; i++)
            if (windows[i].axis == axis)
                x = window(e->graph, x, axis, windows[i].taps, windows[i].stride, windows[i].dilation);
    return value_tensor(x);
}

// fold(x, size, axis): axes `axis` and `axis + 1`, positions and taps, become one of `size` elements, each the sum of what
// windows over it would read from it.
Value builtin_fold(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *x = tensor_argument(call, 0);
    int axis;
    Windows windows;
    if (!x || !axis_argument(call, 2, x->rank, x->rank - 2, &axis)) return no_value();
    if (x->dtype == DTYPE_BOOL) return failure(e, D_bool_arithmetic, call->spans[0], "'fold' adds numbers, not bools");
    if (axis < 0 || axis + 1 >= x->rank)
        return failure(e, D_fold_shape, call->span,
                       "'fold' takes a tensor with an axis of positions and, behind it, one of taps, not %s",
                       describe(e, value_tensor(x)));
    const Extent *size = number_for(call, 1, 0, 1, 1);
    windows.taps = x->shape[axis + 1];
    if (!size || !windows_for(call, 0, 1, &windows) || !fits(call, &windows, size)) return no_value();
    const Extent *positions = window_positions(e->graph->extents, size, windows.taps, windows.stride, windows.dilation);
    if (positions != x->shape[axis])
        return failure(e, D_fold_shape, call->span,
                       "'fold' to %s elements takes %s positions, as many as windows over them have, not %s",
                       describe_number(e, size), describe_number(e, positions), describe_number(e, x->shape[axis]));
    return value_tensor(fold_windows(e->graph, x, axis, windows.stride, windows.dilation, size));
}
