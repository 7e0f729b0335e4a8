// Expressions: from the syntax tree to values.
#include "elaborate/calls.h"

#include <stdlib.h>
#include <string.h>

static Value number_value(Elaborator *e, const Number *number) {
    return number->is_integer ? value_integer(e, number->integer) : value_real(number->real);
}

static Value evaluate_items(Elaborator *e, const Expression *expression, ValueKind kind) {
    Value result = {.kind = kind};
    result.list.count = expression->items.count;
    result.list.items = arena_array(e->arena, Value, expression->items.count);
    for (int i = 0; i < expression->items.count; i++) {
        result.list.items[i] = evaluate(e, expression->items.items[i]);
        if (result.list.items[i].kind == VALUE_ERROR) return result.list.items[i];
    }
    return result;
}

// Functions stand before what they are applied to: sum(x), not x.sum().
static void suggest_function(Elaborator *e, Value left, const char *name) {
    const Global *global = find_global(e, name);
    const char *function = strcmp(name, "T") == 0 ? "transpose" : name;
    if (is_tensor_like(left) && (find_builtin(function) || (global && global->functions)))
        help(e, "functions stand before their arguments: %s(...)", function);
    else help(e, "only instances of nets have members: their parameters, states and instances");
}

static Value evaluate_member(Elaborator *e, const Expression *expression) {
    Value left = evaluate(e, expression->left);
    if (left.kind == VALUE_ERROR) return left;
    if (left.kind == VALUE_INSTANCE) return instance_member(e, left.instance, expression->name);
    if (left.kind == VALUE_INSTANCES) {
        char *end;
        long at = strtol(expression->name.text, &end, 10);
        if (*end == 0 && at >= 0 && at < left.instances.count)
            return (Value){.kind = VALUE_INSTANCE, .instance = left.instances.items[at]};
        return failure(e, D_unknown_instance, expression->span, "there is no instance '%s' among %d",
                       expression->name.text, left.instances.count);
    }
    failure(e, D_no_members, expression->span, "%s has no member '%s'", describe(e, left), expression->name.text);
    suggest_function(e, left, expression->name.text);
    return (Value){.kind = VALUE_ERROR};
}

static Value evaluate_binary(Elaborator *e, const Expression *expression) {
    Value left = evaluate(e, expression->left);
    Value right = evaluate(e, expression->right);
    e->graph->span = user_span(e, expression->span);
    warn_of_square(e, expression->operator, left, right, expression->span);
    return binary(e, expression->operator, left, right, expression->span);
}

static Value evaluate_unary(Elaborator *e, const Expression *expression) {
    Value value = evaluate(e, expression->left);
    e->graph->span = user_span(e, expression->span);
    return unary(e, expression->operator, value, expression->span);
}

static Value evaluate_node(Elaborator *e, const Expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_NAME: return look_up(e, expression->name);
    case EXPRESSION_NUMBER: return number_value(e, &expression->number);
    case EXPRESSION_STRING: return (Value){.kind = VALUE_STRING, .string = expression->name.text};
    case EXPRESSION_BOOL: return value_bool(expression->boolean);
    case EXPRESSION_UNARY: return evaluate_unary(e, expression);
    case EXPRESSION_BINARY: return evaluate_binary(e, expression);
    case EXPRESSION_TENSOR: return evaluate_items(e, expression, VALUE_LIST);
    case EXPRESSION_TUPLE: return evaluate_items(e, expression, VALUE_TUPLE);
    case EXPRESSION_CALL: return evaluate_call(e, expression);
    case EXPRESSION_INDEX: return evaluate_index(e, expression);
    case EXPRESSION_MEMBER: return evaluate_member(e, expression);
    }
    return (Value){.kind = VALUE_ERROR};
}

bool spend(Elaborator *e, int work, Span span) {
    static const int64_t most = 4000000;
    if (e->work <= most && e->work + work > most) {
        Diagnostics *diagnostics = e->diagnostics;
        e->diagnostics = e->messages;
        report(e, D_program_too_large, span,
               "the program is too large: calls and loops unroll to more than %lld expressions", (long long)most);
        if (!e->frame->is_use)
            help(e, "a loop over a tensor, or over a range that is not used as a size or a place, is not unrolled");
        e->diagnostics = diagnostics;
    }
    e->work += work;
    return e->work <= most;
}

bool go_deeper(Elaborator *e, int levels, Span span) {
    enum { DEEPEST = 2000 };
    if (e->depth + levels <= DEEPEST) {
        e->depth += levels;
        return true;
    }
    report(e, D_too_deep, span, "expressions, loops and calls are nested too deeply");
    return false;
}

Value evaluate(Elaborator *e, const Expression *expression) {
    if (!spend(e, 1, expression->span) || !go_deeper(e, 1, expression->span)) return (Value){.kind = VALUE_ERROR};
    Span outer = e->graph->span;
    e->graph->span = user_span(e, expression->span);
    Value value = evaluate_node(e, expression);
    e->graph->span = outer;
    e->depth--;
    return value;
}

// ---- tensors from parts

// Where a condition of the result's shape chooses between two nodes of that shape.
Node *select_nodes(Elaborator *e, Node *condition, Node *a, Node *b) {
    return map3(e->graph, OP_where, condition, a, b);
}

// The parts one after the other along `axis`; they have one dtype and fit in the other axes. Each part is moved to its
// place and chosen there, so that its bits stay.
Node *concatenate(Elaborator *e, Node *const *parts, int count, int axis) {
    Graph *graph = e->graph;
    Shape shape = shape_of(parts[0]);
    const Extent *zero = constant_extent(e, 0), *total = zero;
    for (int i = 0; i < count; i++) total = extent_add(graph->extents, total, parts[i]->shape[axis]);
    shape.extents[axis] = total;
    const Extent *lows[MAX_RANK], *start = zero;
    int64_t steps[MAX_RANK];
    for (int i = 0; i < shape.rank; i++) {
        lows[i] = zero;
        steps[i] = 1;
    }
    Node *result = NULL, *position = iota(graph, DTYPE_I64, shape.extents, shape.rank, axis);
    for (int i = 0; i < count; i++) {
        lows[axis] = start;
        bool single = extent_is(parts[i]->shape[axis], 1);
        Node *moved = single ? broadcast_to(e, parts[i], &shape) : pad(graph, parts[i], lows, steps, shape.extents);
        Node *border = broadcast_to(e, extent_value(graph, DTYPE_I64, start), &shape);
        result = result ? select_nodes(e, map2(graph, OP_less, position, border), result, moved) : moved;
        start = extent_add(graph->extents, start, parts[i]->shape[axis]);
    }
    return result;
}

static Node *unsqueeze(Elaborator *e, Node *node) {
    Shape shape = {.rank = node->rank + 1};
    shape.extents[0] = constant_extent(e, 1);
    for (int i = 0; i < node->rank; i++) shape.extents[i + 1] = node->shape[i];
    return reshape(e->graph, node, shape.extents, shape.rank);
}

static bool too_nested(Elaborator *e, Value list, Span span) {
    int depth = 0;
    for (; list.kind == VALUE_LIST && list.list.count; depth++) list = list.list.items[0];
    if (depth > MAX_RANK) report(e, D_too_many_axes, span, "tensors have at most %d axes, not %d", MAX_RANK, depth);
    return depth > MAX_RANK;
}

// [a, b]: the elements stacked on a new first axis.
Value tensor_of_list(Elaborator *e, Value list, Span span) {
    int count = list.list.count;
    if (too_nested(e, list, span) || !spend(e, count, span)) return (Value){.kind = VALUE_ERROR};
    Dtype dtype;
    bool weak;
    if (!count) return failure(e, D_empty_list, span, "an empty list has no dtype");
    Value *items = arena_array(e->arena, Value, count);
    for (int i = 0; i < count; i++) {
        Value item = list.list.items[i];
        items[i] = item.kind == VALUE_LIST ? tensor_of_list(e, item, span) : item;
    }
    if (!promote(e, span, items, count, &dtype, &weak)) return (Value){.kind = VALUE_ERROR};
    Node **parts = arena_array(e->arena, Node *, count);
    for (int i = 0; i < count; i++) {
        parts[i] = as_dtype(e, items[i], dtype, span);
        if (!parts[i]) return (Value){.kind = VALUE_ERROR};
        if (!same_shape(parts[i], parts[0]))
            return failure(e, D_ragged_list, span, "the elements of a list have one shape, not %s and %s",
                           describe(e, value_tensor(parts[0])), describe(e, value_tensor(parts[i])));
    }
    if (parts[0]->rank >= MAX_RANK) return failure(e, D_too_many_axes, span, "tensors have at most %d axes", MAX_RANK);
    for (int i = 0; i < count; i++) parts[i] = unsqueeze(e, parts[i]);
    Value value = value_tensor(concatenate(e, parts, count, 0));
    value.weak = weak;
    return value;
}
