// Builtins that make tensors from nothing: constants, counters, class masks, random numbers.
#include "elaborate/builtins.h"

static Value filled(const BuiltinCall *call, Value number) {
    Shape shape;
    Elaborator *e = call->e;
    if (!result_shape_argument(call, 0, &shape)) return no_value();
    Dtype dtype;
    bool weak;   // full(s, 2) takes the dtype of what it meets, as 2 does
    if (!promote(e, call->spans[1], &number, 1, &dtype, &weak)) return no_value();
    Node *node = as_dtype(e, number, dtype, call->spans[1]);
    if (!node) return no_value();
    if (node->rank)
        return failure(e, D_not_one_number, call->spans[1], "'full' repeats one number, not %s", describe(e, number));
    Value value = value_tensor(broadcast_to(e, node, &shape));
    value.weak = weak;
    return value;
}

Value builtin_zeros(const BuiltinCall *call) {
    return filled(call, value_tensor(constant_real(call->e->graph, call->e->frame->floating, 0)));
}

Value builtin_ones(const BuiltinCall *call) {
    return filled(call, value_tensor(constant_real(call->e->graph, call->e->frame->floating, 1)));
}

Value builtin_full(const BuiltinCall *call) {
    return filled(call, call->values[1]);
}

// arange(n): 0 ... n - 1; arange(begin, end, step): the end is left out. i32.
Value builtin_arange(const BuiltinCall *call) {
    Elaborator *e = call->e;
    ExtentTable *table = e->graph->extents;
    const Extent *bounds[3] = {constant_extent(e, 0), NULL, constant_extent(e, 1)};
    int given = call->given[1] ? 0 : 1;   // where the first argument goes
    for (int i = 0; i < 3; i++) {
        if (!call->given[i]) continue;
        const Extent *extent = as_extent(e, call->values[i]);
        if (!extent && call->values[i].kind == VALUE_ERROR) return no_value();
        if (!extent)
            return failure(e, D_number_not_static, call->spans[i],
                           "'arange' takes integers known when compiled, not %s", describe(e, call->values[i]));
        bounds[i == 0 ? given : i] = extent;
    }
    int64_t step;
    if (!extent_is_constant(bounds[2], &step) || !step)
        return failure(e, D_step_of_zero, call->spans[2], "the step of 'arange' is a constant other than 0");
    int64_t magnitude = step > 0 ? step : -step;
    const Extent *length =
        step > 0 ? extent_subtract(table, bounds[1], bounds[0]) : extent_subtract(table, bounds[0], bounds[1]);
    length = extent_floor_divide(table, extent_add(table, length, extent_constant(table, magnitude - 1)),
                                 extent_constant(table, magnitude));
    if (!require_at_least_zero(e, length, call->span, "the end of 'arange' lies before its begin"))
        length = extent_constant(table, 0);
    Node *counter = iota(e->graph, DTYPE_I32, &length, 1, 0);
    Value value = binary(e, OPERATOR_MULTIPLY, value_tensor(counter), value_integer(e, step), call->span);
    if (step == 1) value = value_tensor(counter);
    if (extent_is(bounds[0], 0)) return value;
    return binary(e, OPERATOR_ADD, value, value_extent(bounds[0]), call->span);
}

// ---- classes

// bool[..., count]: whether the number at that place is the class.
static Node *class_mask(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *node = tensor_argument(call, 0);
    const Extent *count = as_extent(e, call->values[1]);
    if (!node) return NULL;
    if (!dtype_is_integer(node->dtype)) {
        report(e, D_index_dtype, call->spans[0], "class numbers are integers, not %s", describe(e, value_tensor(node)));
        help(e, "convert them with i32(...)");
        return NULL;
    }
    if (!count) {
        if (call->values[1].kind != VALUE_ERROR)
            report(e, D_count_not_static, call->spans[1], "the number of classes is known when compiled, not %s",
                   describe(e, call->values[1]));
        return NULL;
    }
    if (node->rank == MAX_RANK) {
        report(e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
        return NULL;
    }
    node = numbers_in_range(e, node, count, call->span);
    Shape shape = shape_of(node);
    shape.extents[shape.rank++] = constant_extent(e, 1);
    Node *numbers = reshape(e->graph, node, shape.extents, shape.rank);
    shape.extents[shape.rank - 1] = count;
    numbers = broadcast_to(e, numbers, &shape);
    return map2(e->graph, OP_equal, iota(e->graph, node->dtype, shape.extents, shape.rank, shape.rank - 1), numbers);
}

Value builtin_is_class(const BuiltinCall *call) {
    return value_tensor(class_mask(call));
}

Value builtin_one_hot(const BuiltinCall *call) {
    Node *mask = class_mask(call);
    return mask ? value_tensor(cast(call->e->graph, mask, call->e->frame->floating)) : no_value();
}

// ---- random numbers

static bool is_number(const BuiltinCall *call, int index, double number) {
    int64_t integer;
    if (!call->given[index]) return true;
    Value value = call->values[index];
    if (is_integer_number(value, &integer)) return (double)integer == number;
    return value.kind == VALUE_NUMBER && !value.number.integer && value.number.real == number;
}

// `site`, which printed derivatives have, says the number of the place that draws; else it is counted (S11).
static Value drawn(const BuiltinCall *call, Op op) {
    Shape shape;
    Elaborator *e = call->e;
    int64_t site;
    if (!result_shape_argument(call, 0, &shape)) return no_value();
    if (call->given[3]) {
        if (is_integer_number(call->values[3], &site) && site >= 0)
            return value_tensor(random_make(e->graph, op, e->frame->floating, shape.extents, shape.rank, site));
        return failure(e, D_number_not_static, call->spans[3], "a site is a whole number known when compiled, not %s",
                       describe(e, call->values[3]));
    }
    return value_tensor(draw_random(e, op, e->frame->floating, &shape, call->span));
}

Value builtin_uniform(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Value draw = drawn(call, OP_random_uniform);
    if (is_number(call, 1, 0) && is_number(call, 2, 1)) return draw;
    Value low = call->given[1] ? call->values[1] : value_integer(e, 0);
    Value high = call->given[2] ? call->values[2] : value_integer(e, 1);
    Value width = binary(e, OPERATOR_SUBTRACT, high, low, call->span);
    return binary(e, OPERATOR_ADD, low, binary(e, OPERATOR_MULTIPLY, width, draw, call->span), call->span);
}

Value builtin_normal(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Value draw = drawn(call, OP_random_normal);
    if (!is_number(call, 2, 1)) draw = binary(e, OPERATOR_MULTIPLY, call->values[2], draw, call->span);
    if (!is_number(call, 1, 0)) draw = binary(e, OPERATOR_ADD, call->values[1], draw, call->span);
    return draw;
}
