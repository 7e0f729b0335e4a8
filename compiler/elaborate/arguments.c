// Arguments: which parameter each one is, and whether its dtype and shape fit the signature (L2, L6, L8).
//
// The frame is the callee's. First what is known when compiled is bound, then what `float` means, then shapes, which
// bind the signature's dims: bare names in a first pass, so that the order of the arguments does not matter.
#include "elaborate/calls.h"

#include <string.h>

// ---- arguments to parameters

typedef struct {
    Value *values;   // by parameter
    Span *spans;
    bool *given;
} Slots;

int parameter_index(const Item *item, const char *name) {
    for (int i = 0; i < item->parameter_count; i++)
        if (strcmp(item->parameters[i].name.text, name) == 0) return i;
    return -1;
}

// `dim` and `keepdim` are PyTorch's words for `axis` and `keepdims`.
const char *argument_alias(const char *name) {
    if (strcmp(name, "dim") == 0) return "axis";
    return strcmp(name, "keepdim") == 0 ? "keepdims" : name;
}

const char *signature_text(Elaborator *e, const Item *item) {
    Text text = {.arena = e->arena};
    text_add(&text, "%s(", item->name.text);
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        Span type = parameter->type.span;
        text_add(&text, "%s%s: %.*s", i ? ", " : "", parameter->name.text, (int)(type.end - type.begin),
                 type.source->text + type.begin);
        if (!parameter->initial) continue;
        Span value = parameter->initial->span;
        text_add(&text, " = %.*s", (int)(value.end - value.begin), value.source->text + value.begin);
    }
    text_add(&text, ")");
    return text.bytes;
}

void suggest_argument(Elaborator *e, const Item *item, const char *name) {
    static const char *const others[][2] = {
        {"learning_rate", "lr"}, {"rate", "lr"}, {"step_size", "lr"}, {"betas", "beta1"}, {"epsilon", "eps"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(name, others[i][0]) != 0 || parameter_index(item, others[i][1]) < 0) continue;
        help(e, "did you mean '%s'?", others[i][1]);
        return;
    }
    const char **names = arena_array(e->arena, const char *, item->parameter_count);
    for (int i = 0; i < item->parameter_count; i++) names[i] = item->parameters[i].name.text;
    const char *near = nearest_name(name, names, item->parameter_count);
    if (near) help(e, "did you mean '%s'?", near);
}

static bool place_argument(Elaborator *e, const Item *item, const CallArgument *argument, int position, Slots *slots) {
    int at = position;
    if (argument->name) {
        at = parameter_index(item, argument->name);
        if (at < 0) at = parameter_index(item, argument_alias(argument->name));
        if (at < 0) {
            report(e, D_unknown_argument, argument->name_span, "'%s' has no argument '%s'", item->name.text,
                   argument->name);
            suggest_argument(e, item, argument->name);
            help(e, "it is %s", signature_text(e, item));
            return false;
        }
    }
    if (at >= item->parameter_count) {
        report(e, D_too_many_arguments, argument->span, "'%s' takes %d %s, not %d", item->name.text,
               item->parameter_count, item->parameter_count == 1 ? "argument" : "arguments", position + 1);
        help(e, "it is %s", signature_text(e, item));
        return false;
    }
    if (slots->given[at]) {
        report(e, D_given_twice, argument->span, "the argument '%s' of '%s' is given twice",
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
        report(e, D_missing_argument, span, "the call of '%s' lacks its argument '%s'", item->name.text,
               item->parameters[i].name.text);
        help(e, "it is %s", signature_text(e, item));
        return false;
    }
    return true;
}

// ---- types of parameters

bool is_static_class(TypeClass class) {
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
Value static_argument(Elaborator *e, TypeClass class, Value value, Span span, const char *what) {
    static const char *const words[] = {
        [TYPE_INT] = "an integer",      [TYPE_BOOLEAN] = "true or false", [TYPE_STRING] = "a string",
        [TYPE_FUNCTION] = "a function", [TYPE_ANY] = "something",         [TYPE_SHAPE] = "a shape such as [N, 3]"};
    bool is_list = is_integer_list(e, value), fits = false;
    if (value.kind == VALUE_ERROR) return value;
    if (class == TYPE_INT) fits = as_extent(e, value) || value.kind == VALUE_NONE || is_list;
    if (class == TYPE_BOOLEAN) fits = value.kind == VALUE_BOOL;
    if (class == TYPE_STRING) fits = value.kind == VALUE_STRING || value.kind == VALUE_NONE;
    if (class == TYPE_SHAPE) fits = is_list;
    if (class == TYPE_ANY) fits = value.kind != VALUE_TENSOR && value.kind != VALUE_PARAMETERS;
    if (class == TYPE_FUNCTION) {
        if (value.kind == VALUE_NONE) return identity_function(e);
        fits = value.kind == VALUE_FUNCTION || value.kind == VALUE_INSTANCE || value.kind == VALUE_NET;
    }
    if (fits) return value;
    report(e, D_argument_not_static, span, "%s is %s known when compiled, not %s", what, words[class],
           describe(e, value));
    if (class == TYPE_FUNCTION && value.kind == VALUE_STRING)
        help(e, "functions are named without quotes: %s", value.string);
    if (value.kind == VALUE_TENSOR && (strstr(what, "'axis' of 'max'") || strstr(what, "'axis' of 'min'")))
        help(e, "the greater or smaller of two tensors is maximum(x, y), minimum(x, y)");
    return (Value){.kind = VALUE_ERROR};
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
    report(e, D_argument_dtype, span, "%s is %s, but %s is expected", what, describe(e, value), expected);
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
        if (type.class == TYPE_FLOAT && e->frame->instance && value->node->dtype == DTYPE_F64)
            help(e, "or compile everything in f64: --float=f64 (gradc_options.floating)");
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

static bool has_pack(const Elaborator *e, const Dimension *dimension) {
    const char *name = dimension->name.text ? dimension->name.text : "*";
    for (const Pack *pack = e->frame->packs; pack; pack = pack->next)
        if (strcmp(pack->name, name) == 0) return true;
    return dimension->name.text && find_binding(e, name);
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
            known = known && (!type->dimensions[k].is_pack || has_pack(e, &type->dimensions[k]));
        if (known && !type_shape(e, type, &shape)) return false;
        if (!known && !match_shape(e, type, &scalar, true, slots->spans[i], argument_words(e, item, i))) return false;
        slots->values[i] = value_tensor(broadcast_to(e, slots->values[i].node, &shape));
    }
    return true;
}

Scope *root_scope(Elaborator *e) {
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
    if (is_static_class(type.class)) value = static_argument(e, type.class, value, span, what);
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
            slots->values[i] =
                static_argument(e, types[i].class, slots->values[i], slots->spans[i], argument_words(e, item, i));
        if (slots->values[i].kind == VALUE_ERROR) return false;
        bind_name(e, root_scope(e), name, slots->values[i]);
    }
    return true;
}

// A number that has no dtype yet keeps none where a plain `float` is declared, so that `lr = 0.1` fits whatever it meets.
static bool stays_weak(TypeClass class, const Type *type) {
    return class == TYPE_FLOAT && !type->has_dimensions;
}

static Value bound_value(Elaborator *e, TypeClass class, const Declaration *parameter, Value value, Span span) {
    if (value.kind == VALUE_TENSOR && !stays_weak(class, &parameter->type)) value.weak = false;
    if (parameter->attribute != ATTRIBUTE_REQUIRES_GRAD) return value;
    Node *node = as_tensor(e, value, span);
    if (!node) return (Value){.kind = VALUE_ERROR};
    if (!dtype_is_float(node->dtype))
        return failure(e, D_cannot_require_grad, span, "only floating values can require grad, not %s",
                       describe(e, value));
    return value_tensor(node->op == OP_variable && node->variable->requires_grad ? node : track(e->graph, node));
}

static bool bind_tensors(Elaborator *e, const Item *item, Slots *slots, const TypeName *types) {
    for (int i = 0; i < item->parameter_count; i++) {
        if (is_static_class(types[i].class)) continue;
        const Declaration *parameter = &item->parameters[i];
        if (!slots->given[i] && !fill_default(e, item, i, types[i], slots)) return false;
        Value value = bound_value(e, types[i].class, parameter, slots->values[i], slots->spans[i]);
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
            report(e, D_unbound_static, span, "the arguments of '%s' do not say what its static parameter '%s' is",
                   item->name.text, parameter->name.text);
            return false;
        }
        Value value = static_value(e, parameter->initial);
        if (value.kind == VALUE_ERROR) return false;
        bind_name(e, root_scope(e), parameter->name.text, value);
    }
    return true;
}

// An entry's dims are those of the file, even where no input could tell them.
static void bind_own_dims(Elaborator *e) {
    for (int i = 0; i < e->program->dims.count; i++) {
        const char *name = e->program->dims.items[i];
        if (find_binding(e, name)) continue;
        bind_name(e, root_scope(e), name, value_extent(extent_dim(e->graph->extents, i, name)));
    }
}

// Gives the arguments to the parameters of the frame's item. False: reported.
bool bind_arguments(Elaborator *e, const Item *item, const CallArguments *arguments, Span span) {
    Slots slots;
    TypeName *types = arena_array(e->arena, TypeName, item->parameter_count);
    Frame *callee = e->frame;
    if (e->binds_dims) bind_own_dims(e);
    e->binds_dims = false;
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

// ---- results and typed names

Value typed_value(Elaborator *e, const Type *type, Value value, Span span, const char *what) {
    TypeName name = type_name(e, type->name, type->has_dimensions);
    if (name.class == TYPE_UNKNOWN || value.kind == VALUE_ERROR) return (Value){.kind = VALUE_ERROR};
    if (is_static_class(name.class)) return static_argument(e, name.class, value, span, what);
    if (!convert_argument(e, name, type->has_dimensions, &value, span, what)) return (Value){.kind = VALUE_ERROR};
    Shape shape;
    if (is_loose(value)) {
        if (value.kind == VALUE_TENSOR && !stays_weak(name.class, type)) value.weak = false;
        if (!type->has_dimensions) return value;
        if (!type_shape(e, type, &shape)) return (Value){.kind = VALUE_ERROR};
        return value_tensor(broadcast_to(e, value.node, &shape));
    }
    shape = shape_of(value.node);
    if (!match_shape(e, type, &shape, true, span, what)) return (Value){.kind = VALUE_ERROR};
    value.weak = false;
    return value;
}
