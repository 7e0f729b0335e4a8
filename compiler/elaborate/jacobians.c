// Derivatives that `grad` does not give in one go, made of it: the Jacobian as a loop without a carry over y's elements
// (S2, S5), the Hessian as the Jacobian of the gradient, and forward mode as the derivative of the vector-Jacobian
// product, which is linear in its cotangent, by that.
#include "elaborate/builtins.h"

// y's shape, then x's.
static bool joined_shape(const BuiltinCall *call, const Node *y, const Node *row, Shape *shape) {
    *shape = shape_of(y);
    if (y->rank + row->rank - 1 > MAX_RANK) {
        report(call->e, D_too_many_axes, call->span, "'%s' has the axes of both, %d, and tensors have at most %d",
               call->builtin->name, y->rank + row->rank - 1, MAX_RANK);
        return false;
    }
    for (int i = 1; i < row->rank; i++) shape->extents[shape->rank++] = row->shape[i];
    return true;
}

// 1 at the element that the counter names, in y's shape.
static Node *unit(Elaborator *e, const Node *y, const Extent *count, Node *counter) {
    Graph *graph = e->graph;
    Node *here =
        map2(graph, OP_equal, iota(graph, DTYPE_I32, &count, 1, 0), broadcast(graph, counter, &count, 1, NULL));
    return reshape(graph, cast(graph, here, y->dtype), (const Extent *const *)y->shape, y->rank);
}

static Value jacobian(const BuiltinCall *call, Node *y, Value target) {
    Elaborator *e = call->e;
    Graph *graph = e->graph;
    const Extent *count = element_count(graph, y);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "element"};
    LoopInput counter = {iota(graph, DTYPE_I32, &count, 1, 0), variable_make(graph, &variable, DTYPE_I32, NULL, 0)};
    Loop loop = {.outer_body = e->bodies, .has_body = true, .trips = count};
    array_push(e->arena, &loop.sequences, counter);
    Value row = gradient_by(call, y, unit(e, y, count, counter.variable), target, false);
    if (row.kind == VALUE_ERROR) return row;
    Named result = {"row", row.node};
    Node *node = make_loop(e, &loop, NULL, 0, &result, 1, call->span);
    Shape shape;
    if (!node) return no_value();
    Node *rows = result_of(graph, node, 0);
    if (!joined_shape(call, y, rows, &shape)) return no_value();
    return value_tensor(reshape(graph, rows, shape.extents, shape.rank));
}

// What is differentiated by: one tensor, instance or vector of parameters.
static bool one_target(const BuiltinCall *call) {
    Value target = call->values[1];
    if (target.kind != VALUE_TUPLE && target.kind != VALUE_LIST) return true;
    report(call->e, D_wrong_arguments, call->spans[1], "'%s' takes one thing to differentiate by, not %s",
           call->builtin->name, describe(call->e, target));
    return false;
}

Value builtin_jacobian(const BuiltinCall *call) {
    Node *y = floating_argument(call, 0);
    return y && one_target(call) ? jacobian(call, y, call->values[1]) : no_value();
}

Value builtin_hessian(const BuiltinCall *call) {
    Node *y = scalar_argument(call);
    if (!y || !one_target(call)) return no_value();
    Value slope = gradient_by(call, y, NULL, call->values[1], false);
    return slope.kind == VALUE_ERROR ? slope : jacobian(call, slope.node, call->values[1]);
}

Value builtin_jvp(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Graph *graph = e->graph;
    Node *y = floating_argument(call, 0);
    if (!y || !one_target(call)) return no_value();
    Node *cotangent = track(graph, constant_like(graph, y, 0));
    Value product = gradient_by(call, y, cotangent, call->values[1], false);
    if (product.kind == VALUE_ERROR) return product;
    Node *tangent = as_dtype(e, call->values[2], product.node->dtype, call->spans[2]);
    if (!tangent) return no_value();
    if (!same_shape(tangent, product.node))
        return failure(e, D_shape_mismatch, call->spans[2], "the tangent is %s, but what it is a tangent of is %s",
                       describe(e, value_tensor(tangent)), describe(e, product));
    Node *pairing = map2(graph, OP_multiply, product.node, tangent);
    pairing = reduce_axes(e, OP_reduce_sum, pairing, (Value){.kind = VALUE_NONE}, false, call->span);
    return value_tensor(result_of(graph, gradient(graph, pairing, NULL, &cotangent, 1, true), 0));
}
