// Calls: choosing the function, giving arguments to parameters, and inlining the body.
#include "elaborate/elaborator.h"

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
    if (depth > DEEPEST_CALL) report(e, D_too_deep, span, "calls are nested too deeply");
    return depth > DEEPEST_CALL;
}

// ---- arguments to parameters

typedef struct {
    Value *values;       // by parameter
    Span *spans;
    bool *given;
} Slots;

static int parameter_index(const Item *item, const char *name) {
    for (int i = 0; i < item->parameter_count; i++)
        if (strcmp(item->parameters[i].name.text, name) == 0) return i;
    return -1;
}

// `dim` and `keepdim` are PyTorch's words for `axis` and `keepdims`.
static const char *alias(const char *name) {
    if (strcmp(name, "dim") == 0) return "axis";
    return strcmp(name, "keepdim") == 0 ? "keepdims" : name;
}

static const char *signature_text(Elaborator *e, const Item *item) {
    Text text = {.arena = e->arena};
    text_add(&text, "%s(", item->name.text);
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        Span type = parameter->type.span;
        text_add(&text, "%s%s: %.*s", i ? ", " : "", parameter->name.text, (int)(type.end - type.begin),
                 type.source->text + type.begin);
        if (parameter->initial) text_add(&text, " = ...");
    }
    text_add(&text, ")");
    return text.bytes;
}

static bool place_argument(Elaborator *e, const Item *item, const CallArgument *argument, int position, Slots *slots) {
    int at = position;
    if (argument->name) {
        at = parameter_index(item, argument->name);
        if (at < 0) at = parameter_index(item, alias(argument->name));
        if (at < 0) {
            report(e, D_wrong_arguments, argument->span, "'%s' has no argument '%s'", item->name.text, argument->name);
            help(e, "it is %s", signature_text(e, item));
            return false;
        }
    }
    if (at >= item->parameter_count) {
        report(e, D_wrong_arguments, argument->span, "'%s' takes %d %s, not %d", item->name.text, item->parameter_count,
               item->parameter_count == 1 ? "argument" : "arguments", position + 1);
        help(e, "it is %s", signature_text(e, item));
        return false;
    }
    if (slots->given[at]) {
        report(e, D_wrong_arguments, argument->span, "the argument '%s' of '%s' is given twice",
               item->parameters[at].name.text, item->name.text);
        return false;
    }
    slots->values[at] = argument->value;
    slots->spans[at] = argument->span;
    slots->given[at] = true;
    return argument->value.kind != VALUE_ERROR;
}

static bool place_arguments(Elaborator *e, const Item *item, const CallArguments *arguments, Span span, Slots *slots) {
    slots->values = arena_array(e->arena, Value, item->parameter_count);
    slots->spans = arena_array(e->arena, Span, item->parameter_count);
    slots->given = arena_array(e->arena, bool, item->parameter_count);
    for (int i = 0; i < arguments->count; i++)
        if (!place_argument(e, item, &arguments->items[i], i, slots)) return false;
    for (int i = 0; i < item->parameter_count; i++) {
        if (slots->given[i] || item->parameters[i].initial) continue;
        report(e, D_wrong_arguments, span, "the call of '%s' lacks its argument '%s'", item->name.text,
               item->parameters[i].name.text);
        help(e, "it is %s", signature_text(e, item));
        return false;
    }
    return true;
}

// ---- types of parameters

static bool is_static_class(TypeClass class) {
    return class >= TYPE_INT && class <= TYPE_SHAPE;
}

static Value identity_function(Elaborator *e) {
    Callable *callable = arena_new(e->arena, Callable);
    *callable = (Callable){.name = "identity", .library = true, .builtin = find_builtin("identity")};
    return (Value){.kind = VALUE_FUNCTION, .callable = callable};
}

static bool is_integer_list(Elaborator *e, Value value) {
    if (value.kind != VALUE_LIST && value.kind != VALUE_TUPLE) return false;
    for (int i = 0; i < value.list.count; i++)
        if (!as_extent(e, value.list.items[i])) return false;
    return true;
}

// A compile-time argument, checked against its class.
static Value static_argument(Elaborator *e, TypeClass class, Value value, Span span, const char *name) {
    static const char *const words[] = {[TYPE_INT] = "an integer", [TYPE_BOOLEAN] = "true or false",
                                        [TYPE_STRING] = "a string", [TYPE_FUNCTION] = "a function",
                                        [TYPE_SHAPE] = "a shape such as [N, 3]"};
    bool is_list = is_integer_list(e, value), fits = false;
    if (value.kind == VALUE_ERROR) return value;
    if (class == TYPE_INT) fits = as_extent(e, value) || value.kind == VALUE_NONE || is_list;
    if (class == TYPE_BOOLEAN) fits = value.kind == VALUE_BOOL;
    if (class == TYPE_STRING) fits = value.kind == VALUE_STRING || value.kind == VALUE_NONE;
    if (class == TYPE_SHAPE) fits = is_list;
    if (class == TYPE_FUNCTION) {
        if (value.kind == VALUE_NONE) return identity_function(e);
        fits = value.kind == VALUE_FUNCTION || value.kind == VALUE_INSTANCE;
    }
    if (fits) return value;
    return failure(e, D_not_static, span, "'%s' is %s known when compiled, not %s", name, words[class], describe(e, value));
}

static bool is_loose(Value value) {
    return value.kind == VALUE_NUMBER || (value.kind == VALUE_TENSOR && value.weak && !value.node->rank);
}

static bool takes_call_dtype(const Item *item) {
    return item->kind == ITEM_FN || item->kind == ITEM_OPTIMIZER;
}

// Fixes what `float` means in the call: the dtype of the floating arguments together (L6).
static bool bind_floating(Elaborator *e, const Item *item, const Slots *slots, const TypeName *types, Span span) {
    if (!takes_call_dtype(item)) {
        e->frame->floating = e->program->floating;
        return true;
    }
    Value *values = arena_array(e->arena, Value, item->parameter_count);
    int count = 0;
    for (int i = 0; i < item->parameter_count; i++) {
        if (types[i].class != TYPE_FLOAT || !slots->given[i]) continue;
        Value value = settle(e, slots->values[i], slots->spans[i]);
        if (value.kind == VALUE_ERROR) return false;
        if (value.kind == VALUE_TENSOR && !value.weak && dtype_is_float(value.node->dtype)) values[count++] = value;
    }
    Dtype dtype;
    bool weak;
    if (!count) return true;
    if (!promote(e, span, values, count, &dtype, &weak)) return false;
    e->frame->floating = dtype;
    return true;
}

static bool wrong_class(Elaborator *e, const char *what, Value value, const char *expected, Span span) {
    report(e, D_dtype_mismatch, span, "%s is %s, but %s is expected", what, describe(e, value), expected);
    return false;
}

// The argument as a tensor of its declared dtype. Numbers without dtype stay as they are where the type has no dims.
static bool convert_argument(Elaborator *e, TypeName type, bool has_dimensions, Value *value, Span span,
                             const char *what) {
    *value = settle(e, *value, span);
    if (value->kind == VALUE_ERROR) return false;
    if (!is_tensor_like(*value)) return wrong_class(e, what, *value, "a tensor", span);
    if (type.class == TYPE_INTEGER) {
        Node *node = as_tensor(e, *value, span);
        if (!node) return false;
        if (!dtype_is_integer(node->dtype)) return wrong_class(e, what, *value, "a tensor of integers", span);
        *value = value_tensor(node);
        return true;
    }
    if (is_loose(*value) && type.class == TYPE_FLOAT && !has_dimensions) return true;
    Dtype dtype = type.class == TYPE_FLOAT ? e->frame->floating : type.dtype;
    if (value->kind == VALUE_TENSOR && !value->weak && value->node->dtype != dtype &&
        (value->node->dtype == DTYPE_BOOL || !dtype_is_float(dtype) || dtype_is_float(value->node->dtype)) &&
        !(dtype == DTYPE_I64 && value->node->dtype == DTYPE_I32)) {
        wrong_class(e, what, *value, dtype_name(dtype), span);
        help(e, "convert it with %s(...)", dtype_name(dtype));
        return false;
    }
    bool weak_rank_0 = is_loose(*value);
    Node *node = as_dtype(e, *value, dtype, span);
    *value = value_tensor(node);
    value->weak = weak_rank_0;   // may still be repeated over a pack; cleared when it is bound
    return node != NULL;
}

static const char *argument_words(Elaborator *e, const Item *item, int index) {
    return arena_print(e->arena, "the argument '%s' of '%s'", item->parameters[index].name.text, item->name.text);
}

static bool convert_arguments(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int i = 0; i < item->parameter_count; i++) {
        if (!slots->given[i] || is_static_class(types[i].class)) continue;
        if (!convert_argument(e, types[i], item->parameters[i].type.has_dimensions, &slots->values[i], slots->spans[i],
                              argument_words(e, item, i)))
            return false;
    }
    return true;
}

static bool match_arguments(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < item->parameter_count; i++) {
            if (!slots->given[i] || is_static_class(types[i].class) || is_loose(slots->values[i])) continue;
            Shape shape = shape_of(slots->values[i].node);
            if (!match_shape(e, &item->parameters[i].type, &shape, pass == 1, slots->spans[i],
                             argument_words(e, item, i)))
                return false;
        }
    }
    return true;
}

// A number where a tensor is declared: repeated over the shape that the other arguments gave.
static bool spread_numbers(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int i = 0; i < item->parameter_count; i++) {
        const Type *type = &item->parameters[i].type;
        if (!slots->given[i] || is_static_class(types[i].class) || !is_loose(slots->values[i])) continue;
        if (!type->has_dimensions || slots->values[i].kind != VALUE_TENSOR) continue;
        Shape shape = {0}, scalar = {0};
        bool known = true;
        for (int k = 0; k < type->dimension_count; k++)
            known = known && (!type->dimensions[k].is_pack || e->frame->packs);
        if (known && !type_shape(e, type, &shape)) return false;
        if (!known && !match_shape(e, type, &scalar, true, slots->spans[i], argument_words(e, item, i))) return false;
        slots->values[i] = value_tensor(broadcast_to(e, slots->values[i].node, &shape));
    }
    return true;
}

static Scope *root_scope(Elaborator *e) {
    Scope *scope = e->frame->scope;
    while (scope->parent) scope = scope->parent;
    return scope;
}

static bool fill_default(Elaborator *e, const Item *item, int index, TypeName type, Slots *slots) {
    const Declaration *parameter = &item->parameters[index];
    Value value = evaluate(e, parameter->initial);
    Span span = parameter->initial->span;
    if (value.kind == VALUE_ERROR) return false;
    const char *what = argument_words(e, item, index);
    if (is_static_class(type.class)) value = static_argument(e, type.class, value, span, parameter->name.text);
    else if (!convert_argument(e, type, parameter->type.has_dimensions, &value, span, what)) return false;
    slots->values[index] = value;
    slots->spans[index] = span;
    return value.kind != VALUE_ERROR;
}

static bool bind_statics(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int i = 0; i < item->parameter_count; i++) {
        if (!is_static_class(types[i].class)) continue;
        const char *name = item->parameters[i].name.text;
        if (!slots->given[i] && !fill_default(e, item, i, types[i], slots)) return false;
        if (slots->given[i])
            slots->values[i] = static_argument(e, types[i].class, slots->values[i], slots->spans[i], name);
        if (slots->values[i].kind == VALUE_ERROR) return false;
        bind_name(e, root_scope(e), name, slots->values[i]);
    }
    return true;
}

static Value bound_value(Elaborator *e, const Declaration *parameter, Value value, Span span) {
    if (value.kind == VALUE_TENSOR && parameter->type.has_dimensions) value.weak = false;
    if (parameter->attribute != ATTRIBUTE_REQUIRES_GRAD) return value;
    Node *node = as_tensor(e, value, span);
    if (!node) return (Value){.kind = VALUE_ERROR};
    if (!dtype_is_float(node->dtype))
        return failure(e, D_dtype_mismatch, span, "only floating values can require grad, not %s", describe(e, value));
    return value_tensor(node->op == OP_variable && node->variable->requires_grad ? node : track(e->graph, node));
}

static bool bind_tensors(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int i = 0; i < item->parameter_count; i++) {
        if (is_static_class(types[i].class)) continue;
        const Declaration *parameter = &item->parameters[i];
        if (!slots->given[i] && !fill_default(e, item, i, types[i], slots)) return false;
        Value value = bound_value(e, parameter, slots->values[i], slots->spans[i]);
        if (value.kind == VALUE_ERROR) return false;
        bind_name(e, root_scope(e), parameter->name.text, value);
    }
    return true;
}

// Static parameters of a fn are what its arguments' shapes say, or their defaults (L2).
static bool infer_statics(Elaborator *e, const Item *item, Span span) {
    for (int i = 0; i < item->static_count; i++) {
        const StaticParameter *parameter = &item->statics[i];
        if (find_binding(e, parameter->name.text)) continue;
        if (!parameter->initial) {
            report(e, D_unbound_dim, span, "the arguments of '%s' do not say what its static parameter '%s' is",
                   item->name.text, parameter->name.text);
            return false;
        }
        Value value = static_value(e, parameter->initial);
        if (value.kind == VALUE_ERROR) return false;
        bind_name(e, root_scope(e), parameter->name.text, value);
    }
    return true;
}

// Gives the arguments to the parameters of the frame's item. False: reported.
static bool bind_arguments(Elaborator *e, const Item *item, const CallArguments *arguments, Span span) {
    Slots slots;
    TypeName *types = arena_array(e->arena, TypeName, item->parameter_count);
    Frame *callee = e->frame;
    e->frame = callee->caller ? callee->caller : callee;   // mistakes in the call are the caller's
    bool placed = place_arguments(e, item, arguments, span, &slots);
    e->frame = callee;
    if (!placed) return false;
    for (int i = 0; i < item->parameter_count; i++) {
        types[i] = type_name(e, item->parameters[i].type.name, item->parameters[i].type.has_dimensions);
        if (types[i].class == TYPE_UNKNOWN) return false;
    }
    return bind_statics(e, item, &slots, types) && bind_floating(e, item, &slots, types, span) &&
           convert_arguments(e, item, &slots, types) && match_arguments(e, item, &slots, types) &&
           spread_numbers(e, item, &slots, types) && infer_statics(e, item, span) &&
           bind_tensors(e, item, &slots, types);
}

// ---- results

static Value check_result(Elaborator *e, const Type *type, Value value) {
    TypeName name = type_name(e, type->name, type->has_dimensions);
    const char *what = arena_print(e->arena, "the result of '%s'", e->frame->item->name.text);
    if (name.class == TYPE_UNKNOWN || value.kind == VALUE_ERROR) return (Value){.kind = VALUE_ERROR};
    if (is_static_class(name.class)) return static_argument(e, name.class, value, type->span, "the result");
    if (!convert_argument(e, name, type->has_dimensions, &value, type->span, what)) return (Value){.kind = VALUE_ERROR};
    Shape shape;
    if (is_loose(value)) {
        if (!type->has_dimensions) return value;
        if (!type_shape(e, type, &shape)) return (Value){.kind = VALUE_ERROR};
        return value_tensor(broadcast_to(e, value.node, &shape));
    }
    shape = shape_of(value.node);
    if (!match_shape(e, type, &shape, true, type->span, what)) return (Value){.kind = VALUE_ERROR};
    value.weak = false;
    return value;
}

static Value check_results(Elaborator *e, const Item *item, Value value) {
    if (!item->has_results || value.kind == VALUE_ERROR) return value;
    if (item->result_count == 1) return check_result(e, &item->results[0].type, value);
    if (value.kind != VALUE_TUPLE || value.list.count != item->result_count)
        return failure(e, D_wrong_result, item->name.span, "'%s' returns %s, but %d results are declared", item->name.text,
                    describe(e, value), item->result_count);
    Value *items = arena_array(e->arena, Value, item->result_count);
    for (int i = 0; i < item->result_count; i++) {
        items[i] = check_result(e, &item->results[i].type, value.list.items[i]);
        if (items[i].kind == VALUE_ERROR) return items[i];
    }
    value.list.items = items;
    return value;
}

Value run_body(Elaborator *e, const Item *item, Span call) {
    (void)call;
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
        result.items[i] = (CallArgument){argument->name.text, evaluate(e, argument->value), argument->value->span};
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
        if (at < 0 && name) at = parameter_index(item, alias(name));
        if (at < 0 || at >= item->parameter_count) return 0;
        const Type *type = &item->parameters[at].type;
        Dtype dtype;
        bool integral = strcmp(type->name.text, "integer") == 0 ||
                        (is_dtype_name(type->name.text, DTYPE_F32, &dtype) && dtype_is_integer(dtype));
        bool floating = is_dtype_name(type->name.text, DTYPE_F32, &dtype) && dtype_is_float(dtype);
        if (value.kind != VALUE_TENSOR || (!integral && !floating)) continue;
        if (integral && !dtype_is_integer(value.node->dtype)) return 0;
        if (floating && !dtype_is_float(value.node->dtype)) fit = 1;
        if (floating && value.node->dtype == DTYPE_BOOL) return 0;
    }
    (void)e;
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
    for (int i = 0; i < callable->items.count; i++)
        help(e, "there is %s", signature_text(e, callable->items.items[i]));
    return NULL;
}

Value call_callable(Elaborator *e, const Callable *callable, const CallArguments *arguments, Span span) {
    if (has_error(arguments)) return (Value){.kind = VALUE_ERROR};
    if (callable->builtin) return call_builtin(e, callable->builtin, arguments, span);
    const Item *item = choose_overload(e, callable, arguments, span);
    if (!item || recursive(e, item, NULL, span)) return (Value){.kind = VALUE_ERROR};
    frame_push(e, item, callable->library, span);
    Value result = {.kind = VALUE_ERROR};
    if (bind_arguments(e, item, arguments, span)) result = run_body(e, item, span);
    frame_pop(e);
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
            report(e, D_shape_mismatch, argument->span, "the parameters of '%s' are %s, not %s", instance->path,
                   describe(e, value_tensor(own)), describe(e, value_tensor(flat)));
            return false;
        }
        Override *override = arena_new(e->arena, Override);
        *override = (Override){instance, flat, e->overrides};
        e->overrides = override;
    }
    return true;
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
    if (bind_arguments(e, instance->net, &rest, span)) result = run_body(e, instance->net, span);
    if (result.kind != VALUE_ERROR) store_states(e, instance);
    frame_pop(e);
    e->overrides = outer;
    return result;
}

Value call_value(Elaborator *e, Value callee, const char *name, const CallArguments *arguments, Span span) {
    if (callee.kind == VALUE_ERROR) return callee;
    if (callee.kind == VALUE_FUNCTION) return call_callable(e, callee.callable, arguments, span);
    if (callee.kind == VALUE_INSTANCE) return call_instance(e, callee.instance, arguments, span);
    if (callee.kind == VALUE_NET) {
        failure(e, D_not_callable, span, "'%s' is a net with static parameters, which has no instance of its own", name);
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
        CallArgument items[3] = {{NULL, condition, arguments->items[0].value->span}};
        for (int i = 1; i < 3; i++)
            items[i] = (CallArgument){NULL, evaluate(e, arguments->items[i].value), arguments->items[i].value->span};
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
    return is_dtype_name(callee->name.text, e->frame->floating, &dtype);
}

static Value evaluate_cast(Elaborator *e, const Expression *expression) {
    CallArguments arguments = evaluate_arguments(e, &expression->arguments);
    const char *name = expression->left->name.text;
    Dtype dtype;
    is_dtype_name(name, e->frame->floating, &dtype);
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
