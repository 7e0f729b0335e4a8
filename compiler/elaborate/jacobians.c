// Derivatives of several numbers at once, the Hessian being the Jacobian of the gradient; and the derivative along a
// direction, by forward mode.
#include "elaborate/builtins.h"

// The gradients of y's elements, stacked on axis 0, in y's shape.
static Value unstacked(const BuiltinCall *call, const Node *y, Node *rows) {
    Shape shape = shape_of(y);
    int rank = y->rank + rows->rank - 1;
    if (rank > MAX_RANK)
        return failure(call->e, D_too_many_axes, call->span,
                       "'%s' has the axes of both, %d, and tensors have at most %d", call->builtin->name, rank,
                       MAX_RANK);
    for (int i = 1; i < rows->rank; i++) shape.extents[shape.rank++] = rows->shape[i];
    return value_tensor(reshape(call->e->graph, rows, shape.extents, shape.rank));
}

// The parts of one vector of parameters, beside each other.
static Node *flat_rows(Elaborator *e, Node *request, int count) {
    Node **parts = arena_array(e->arena, Node *, count);
    for (int i = 0; i < count; i++) {
        Node *rows = result_of(e->graph, request, i);
        const Extent *shape[2] = {rows->shape[0], element_count(e->graph, request->inputs[first_target(request) + i])};
        parts[i] = reshape(e->graph, rows, shape, 2);
    }
    return concatenate(e, parts, count, 1);
}

static Value jacobian_by(const BuiltinCall *call, Node *y, Value target) {
    Elaborator *e = call->e;
    if (!y->rank) return gradient_by(call, y, NULL, target, false);
    NodeArray targets = {0};
    if (!find_targets(call, y, target, false, &targets)) return no_value();
    for (int i = 0; i < targets.count; i++)
        if (targets.items[i]->rank == MAX_RANK)
            return failure(e, D_too_many_axes, call->span,
                           "'%s' stacks gradients of %d axes, and tensors have at most %d", call->builtin->name,
                           MAX_RANK, MAX_RANK);
    Node *request = jacobian(e->graph, y, targets.items, targets.count);
    bool flat = target.kind != VALUE_TENSOR;
    return unstacked(call, y, flat ? flat_rows(e, request, targets.count) : result_of(e->graph, request, 0));
}

// What is differentiated by: one tensor, instance or vector of parameters.
static bool one_target(const BuiltinCall *call) {
    Value target = call->values[1];
    if (target.kind != VALUE_TUPLE && target.kind != VALUE_LIST) return true;
    report(call->e, D_wrong_arguments, call->spans[1], "'%s' takes one thing to differentiate by, not %s",
           call->builtin->name, describe(call->e, target));
    help(call->e, "all parameters of a net are one: parameters(net)");
    return false;
}

Value builtin_jacobian(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *y = floating_argument(call, 0);
    Value target = call->values[1];
    if (!y) return no_value();
    if (target.kind != VALUE_TUPLE && target.kind != VALUE_LIST) return jacobian_by(call, y, target);
    Value result = {.kind = VALUE_TUPLE};
    result.list.count = target.list.count;
    result.list.items = arena_array(e->arena, Value, target.list.count);
    for (int i = 0; i < target.list.count; i++) {
        result.list.items[i] = jacobian_by(call, y, target.list.items[i]);
        if (result.list.items[i].kind == VALUE_ERROR) return no_value();
    }
    return result;
}

Value builtin_hessian(const BuiltinCall *call) {
    Node *y = scalar_argument(call);
    if (!y || !one_target(call)) return no_value();
    Value slope = gradient_by(call, y, NULL, call->values[1], false);
    return slope.kind == VALUE_ERROR ? slope : jacobian_by(call, slope.node, call->values[1]);
}

// ---- forward mode

typedef struct {
    const BuiltinCall *call;
    Node *y;
    bool allow_unused;
    NodeArray targets, tangents;
} Directions;

static bool tangent_differs(const Directions *directions, const Node *tangent, const char *what) {
    const BuiltinCall *call = directions->call;
    report(call->e, D_tangent_shape, call->spans[2], "the tangent is %s, but what it is a tangent of is %s",
           describe(call->e, value_tensor((Node *)tangent)), what);
    return false;
}

// Gives the targets that stand for an instance their parts of one vector.
static bool split_tangent(Directions *directions, Node *flat, const NodeArray *targets) {
    Elaborator *e = directions->call->e;
    const Extent *offset = constant_extent(e, 0);
    for (int i = 0; i < targets->count; i++)
        offset = extent_add(e->graph->extents, offset, element_count(e->graph, targets->items[i]));
    if (flat->rank != 1 || flat->shape[0] != offset)
        return tangent_differs(directions, flat,
                               arena_print(e->arena, "a vector of %s numbers", describe_number(e, offset)));
    offset = constant_extent(e, 0);
    for (int i = 0; i < targets->count; i++) {
        Node *target = targets->items[i];
        array_push(e->arena, &directions->tangents, flat_part(e, flat, offset, target));
        offset = extent_add(e->graph->extents, offset, element_count(e->graph, target));
    }
    return true;
}

static bool add_direction(Directions *directions, Value target, Value value) {
    const BuiltinCall *call = directions->call;
    NodeArray targets = {0};
    if (!find_targets(call, directions->y, target, directions->allow_unused, &targets)) return false;
    for (int i = 0; i < targets.count; i++) array_push(call->e->arena, &directions->targets, targets.items[i]);
    Node *tangent = as_dtype(call->e, value, targets.items[0]->dtype, call->spans[2]);
    if (!tangent) return false;
    if (target.kind != VALUE_TENSOR) return split_tangent(directions, tangent, &targets);
    if (!same_shape(tangent, targets.items[0]))
        return tangent_differs(directions, tangent, describe(call->e, value_tensor(targets.items[0])));
    array_push(call->e->arena, &directions->tangents, tangent);
    return true;
}

static bool is_several(Value value) {
    return value.kind == VALUE_TUPLE || value.kind == VALUE_LIST;
}

Value builtin_jvp(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Directions directions = {.call = call, .y = floating_argument(call, 0)};
    Value target = call->values[1], value = call->values[2];
    if (!directions.y || !flag_argument(call, 3, &directions.allow_unused)) return no_value();
    int count = is_several(target) ? target.list.count : 1;
    if (is_several(target) && (!is_several(value) || value.list.count != count))
        return failure(e, D_wrong_arguments, call->spans[2], "'jvp' takes a tangent for each of the %d, not %s", count,
                       describe(e, value));
    for (int i = 0; i < count; i++)
        if (!add_direction(&directions, is_several(target) ? target.list.items[i] : target,
                           is_several(target) ? value.list.items[i] : value))
            return no_value();
    Node *request =
        tangent(e->graph, directions.y, directions.targets.items, directions.tangents.items, directions.targets.count);
    return value_tensor(result_of(e->graph, request, 0));
}
