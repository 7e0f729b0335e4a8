// Calls: choosing the function, giving arguments to parameters, and inlining the body.
#include "elaborate/calls.h"
#include "elaborate/derivative.h"

#include <string.h>

enum { DEEPEST_CALL = 200 };

// ---- frames

Frame *frame_push(Elaborator *e, const Item *item, bool library, Span call) {
    Frame *frame = arena_new(e->arena, Frame);
    *frame = (Frame){.caller = e->frame, .item = item, .call = call, .library = library};
    frame->floating = e->frame ? e->frame->floating : e->program->floating;
    e->frame = frame;
    scope_push(e);
    return frame;
}

void frame_pop(Elaborator *e) {
    e->frame = e->frame->caller;
}

// Whether calling `item` (of `instance`, for nets) now would not end.
static bool recursive(Elaborator *e, const Item *item, const Instance *instance, Span span) {
    int depth = 0;
    for (const Frame *frame = e->frame; frame; frame = frame->caller, depth++) {
        if (frame->item != item || frame->instance != instance) continue;
        report(e, D_recursion, span, "'%s' calls itself, and there is no recursion", item->name.text);
        help(e, "repeat with a loop: for i in 0:n { ... }");
        return true;
    }
    if (depth > DEEPEST_CALL) report(e, D_calls_too_deep, span, "calls are nested too deeply");
    return depth > DEEPEST_CALL;
}

// ---- results

static Value check_result(Elaborator *e, const Type *type, Value value) {
    const char *what = arena_print(e->arena, "the result of '%s'", e->frame->item->name.text);
    return typed_value(e, type, value, e->frame->result_span, what);
}

static Value check_results(Elaborator *e, const Item *item, Value value) {
    if (!item->has_results || value.kind == VALUE_ERROR) return value;
    if (item->result_count == 1) return check_result(e, &item->results[0].type, value);
    if (value.kind != VALUE_TUPLE || value.list.count != item->result_count)
        return failure(e, D_result_count, e->frame->result_span, "'%s' returns %s, but %d results are declared",
                       item->name.text, describe(e, value), item->result_count);
    Value *items = arena_array(e->arena, Value, item->result_count);
    for (int i = 0; i < item->result_count; i++) {
        items[i] = check_result(e, &item->results[i].type, value.list.items[i]);
        if (items[i].kind == VALUE_ERROR) return items[i];
    }
    value.list.items = items;
    return value;
}

Value run_body(Elaborator *e, const Item *item) {
    int errors = diagnostics_errors(e->diagnostics);
    run_block(e, &item->body);
    if (!e->frame->returned) {
        if (diagnostics_errors(e->diagnostics) == errors) {
            report(e, D_missing_return, item->name.span, "'%s' returns nothing", item->name.text);
            help(e, "end it with a return");
        }
        return (Value){.kind = VALUE_ERROR};
    }
    return check_results(e, item, e->frame->result);
}

// ---- what is called

CallArguments evaluate_arguments(Elaborator *e, const Arguments *arguments) {
    CallArguments result = {arena_array(e->arena, CallArgument, arguments->count), arguments->count};
    for (int i = 0; i < arguments->count; i++) {
        const Argument *argument = &arguments->items[i];
        result.items[i] = (CallArgument){argument->name.text, evaluate(e, argument->value), argument->value->span,
                                         argument->name.span};
    }
    return result;
}

static bool has_error(const CallArguments *arguments) {
    for (int i = 0; i < arguments->count; i++)
        if (arguments->items[i].value.kind == VALUE_ERROR) return true;
    return false;
}

// How well the arguments fit the dtype classes of a function: 2 exactly, 1 after widening integers, 0 not.
static int class_fit(Elaborator *e, const Item *item, const CallArguments *arguments) {
    int fit = 2;
    for (int i = 0; i < arguments->count; i++) {
        const char *name = arguments->items[i].name;
        int at = name ? parameter_index(item, name) : i;
        Value value = arguments->items[i].value;
        if (at < 0 && name) at = parameter_index(item, argument_alias(name));
        if (at < 0 || at >= item->parameter_count) return 0;
        const Type *type = &item->parameters[at].type;
        Dtype dtype;
        bool integral = strcmp(type->name.text, "integer") == 0 ||
                        (is_dtype_name(e, type->name.text, DTYPE_F32, &dtype) && dtype_is_integer(dtype));
        bool floating = is_dtype_name(e, type->name.text, DTYPE_F32, &dtype) && dtype_is_float(dtype);
        if (!integral && !floating) continue;
        if (value.kind == VALUE_LIST) value = settle(e, value, arguments->items[i].span);
        bool number = value.kind == VALUE_NUMBER;
        if (value.kind != VALUE_TENSOR && !number) continue;
        Dtype own = !number ? value.node->dtype : value.number.integer ? DTYPE_I64 : DTYPE_F64;
        if (integral && !dtype_is_integer(own)) return 0;
        if (floating && !dtype_is_float(own)) fit = 1;
        if (floating && own == DTYPE_BOOL) return 0;
    }
    return fit;
}

static const Item *choose_overload(Elaborator *e, const Callable *callable, const CallArguments *arguments, Span span) {
    const Item *best = callable->items.items[0];
    int best_fit = 0;
    if (callable->items.count == 1) return best;
    for (int i = 0; i < callable->items.count; i++) {
        int fit = class_fit(e, callable->items.items[i], arguments);
        if (fit > best_fit) best = callable->items.items[i];
        if (fit > best_fit) best_fit = fit;
    }
    if (best_fit) return best;
    report(e, D_no_overload, span, "no function '%s' takes these arguments", callable->name);
    for (int i = 0; i < callable->items.count; i++) help(e, "there is %s", signature_text(e, callable->items.items[i]));
    return NULL;
}

Value call_callable(Elaborator *e, const Callable *callable, const CallArguments *arguments, Span span) {
    if (has_error(arguments)) return (Value){.kind = VALUE_ERROR};
    if (callable->builtin) return call_builtin(e, callable->builtin, arguments, span);
    const Item *item = choose_overload(e, callable, arguments, span);
    warn_of_probabilities(e, callable, arguments);
    if (!item || recursive(e, item, NULL, span)) return (Value){.kind = VALUE_ERROR};
    frame_push(e, item, callable->library, span);
    Value result = {.kind = VALUE_ERROR};
    if (bind_arguments(e, item, arguments, span)) {
        NodeArray differentiable = {0};
        if (own_derivative(item)) differentiable = floating_arguments(e, item);
        result = run_body(e, item);
        if (own_derivative(item)) result = with_derivative(e, item, &differentiable, result);
    }
    frame_pop(e);
    keep_softmax(e, callable, result);
    return result;
}

// Takes `parameters = flat` out of the arguments: the instance runs with these parameters instead of its own.
static bool take_override(Elaborator *e, Instance *instance, const CallArguments *arguments, CallArguments *rest) {
    rest->items = arena_array(e->arena, CallArgument, arguments->count);
    rest->count = 0;
    for (int i = 0; i < arguments->count; i++) {
        const CallArgument *argument = &arguments->items[i];
        bool replaces = argument->name && strcmp(argument->name, "parameters") == 0;
        if (!replaces || parameter_index(instance->net, "parameters") >= 0) {
            rest->items[rest->count++] = *argument;
            continue;
        }
        Node *own = flat_parameters(e, instance);
        Node *flat = own ? as_dtype(e, argument->value, own->dtype, argument->span) : NULL;
        if (!flat) return false;
        if (!same_shape(flat, own)) {
            report(e, D_parameters_shape, argument->span, "the parameters of '%s' are %s, not %s", instance->path,
                   describe(e, value_tensor(own)), describe(e, value_tensor(flat)));
            return false;
        }
        Override *override = arena_new(e->arena, Override);
        *override = (Override){instance, flat, e->overrides};
        e->overrides = override;
    }
    return true;
}

// What `use hidden = ...` computes is called hidden, unless the net, or the statement that calls it, names it.
static void name_result(Elaborator *e, const Instance *instance, Value result, Span span) {
    const char *dot = strrchr(instance->path, '.');
    const Span *named = &e->frame->named;
    if (!dot || result.kind != VALUE_TENSOR || op_class(result.node->op) == CLASS_LEAF) return;
    if (named->source != span.source || named->begin != span.begin || named->end != span.end)
        name_node(result.node, dot + 1);
}

Value call_instance(Elaborator *e, Instance *instance, const CallArguments *arguments, Span span) {
    CallArguments rest;
    Override *outer = e->overrides;
    if (has_error(arguments) || recursive(e, instance->net, instance, span)) return (Value){.kind = VALUE_ERROR};
    if (!take_override(e, instance, arguments, &rest)) return (Value){.kind = VALUE_ERROR};
    Frame *frame = frame_push(e, instance->net, instance->library, span);
    frame->instance = instance;
    bind_members(e, instance);
    Value result = {.kind = VALUE_ERROR};
    if (bind_arguments(e, instance->net, &rest, span)) result = run_body(e, instance->net);
    if (result.kind != VALUE_ERROR) store_states(e, instance);
    frame_pop(e);
    name_result(e, instance, result, span);
    e->overrides = outer;
    return result;
}

Value call_value(Elaborator *e, Value callee, const char *name, const CallArguments *arguments, Span span) {
    if (callee.kind == VALUE_ERROR) return callee;
    if (callee.kind == VALUE_FUNCTION) return call_callable(e, callee.callable, arguments, span);
    if (callee.kind == VALUE_INSTANCE) return call_instance(e, callee.instance, arguments, span);
    if (callee.kind == VALUE_NET) {
        failure(e, D_net_without_instance, span,
                "'%s' is a net with static parameters, which has no instance of its own", name);
        help(e, "make one with: use name = %s<...>", name);
        return (Value){.kind = VALUE_ERROR};
    }
    failure(e, D_not_callable, span, "%s cannot be called", describe(e, callee));
    return (Value){.kind = VALUE_ERROR};
}

// where(condition, a, b) with a condition that is known when compiled keeps one side, and only that is looked at (S8).
static bool static_choice(Elaborator *e, const Expression *expression, Value callee, Value *result) {
    const Arguments *arguments = &expression->arguments;
    if (callee.kind != VALUE_FUNCTION || !callee.callable->builtin || arguments->count != 3) return false;
    if (strcmp(callee.callable->builtin->name, "where") != 0) return false;
    for (int i = 0; i < 3; i++)
        if (arguments->items[i].name.text) return false;
    Value condition = evaluate(e, arguments->items[0].value);
    if (condition.kind == VALUE_BOOL) *result = evaluate(e, arguments->items[condition.boolean ? 1 : 2].value);
    else {
        CallArgument items[3] = {{.value = condition, .span = arguments->items[0].value->span}};
        for (int i = 1; i < 3; i++)
            items[i] = (CallArgument){.value = evaluate(e, arguments->items[i].value),
                                      .span = arguments->items[i].value->span};
        CallArguments all = {items, 3};
        e->graph->span = user_span(e, expression->span);
        *result = call_callable(e, callee.callable, &all, expression->span);
    }
    return true;
}

static bool is_cast(Elaborator *e, const Expression *callee) {
    Dtype dtype;
    if (callee->kind != EXPRESSION_NAME || find_binding(e, callee->name.text)) return false;
    if (find_global(e, callee->name.text)) return false;
    return is_dtype_name(e, callee->name.text, e->frame->floating, &dtype);
}

static Value evaluate_cast(Elaborator *e, const Expression *expression) {
    CallArguments arguments = evaluate_arguments(e, &expression->arguments);
    const char *name = expression->left->name.text;
    Dtype dtype;
    is_dtype_name(e, name, e->frame->floating, &dtype);
    if (has_error(&arguments)) return (Value){.kind = VALUE_ERROR};
    if (arguments.count != 1 || arguments.items[0].name)
        return failure(e, D_wrong_arguments, expression->span, "%s(...) takes one value", name);
    Value value = settle(e, arguments.items[0].value, arguments.items[0].span);
    if (value.kind == VALUE_TENSOR && value.weak && dtype_is_float(value.node->dtype) <= dtype_is_float(dtype))
        return value_tensor(cast_weak(e, value.node, dtype));
    if (value.kind == VALUE_NUMBER && dtype_is_float(dtype))
        return value_tensor(as_dtype(e, value, dtype, expression->span));
    Node *node = as_tensor(e, value, arguments.items[0].span);
    return node ? value_tensor(cast(e->graph, node, dtype)) : (Value){.kind = VALUE_ERROR};
}

Value evaluate_call(Elaborator *e, const Expression *expression) {
    const Expression *left = expression->left;
    if (is_cast(e, left)) return evaluate_cast(e, expression);
    Value callee = evaluate(e, left), result;
    if (callee.kind == VALUE_ERROR) return callee;
    if (static_choice(e, expression, callee, &result)) return result;
    CallArguments arguments = evaluate_arguments(e, &expression->arguments);
    e->graph->span = user_span(e, expression->span);
    return call_value(e, callee, left->name.text ? left->name.text : "it", &arguments, expression->span);
}
