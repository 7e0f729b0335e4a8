// Builtins: finding them, giving them their arguments, and the elementwise ones and reductions.
#include "elaborate/builtins.h"

#include <string.h>

static const Builtin table[] = {
#define ARITY_1 "x"
#define ARITY_2 "x y"
#define ARITY_3 "x y z"
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) \
    {spelling, ARITY_##arity, builtin_map, OP_##name},
#include "graph/ops.def"
#define BUILTIN(name, signature, function, op) {name, signature, function, op},
#include "elaborate/builtins.def"
};

enum { BUILTIN_COUNT = sizeof table / sizeof *table, MAX_PARAMETERS = 6 };

const Builtin *builtin_table(int *count) {
    *count = BUILTIN_COUNT;
    return table;
}

// Operators stand in the table too, under spellings that no name can have; so does "cast", which is written f32(...).
const Builtin *find_builtin(const char *name) {
    for (int i = 0; i < BUILTIN_COUNT; i++)
        if (strcmp(table[i].name, name) == 0 && table[i].op != OP_cast) return &table[i];
    return NULL;
}

Value no_value(void) {
    return (Value){.kind = VALUE_ERROR};
}

// ---- arguments

typedef struct {
    const char *text;
    int length;
    bool optional;
} SignaturePart;

static int parse_signature(const char *signature, SignaturePart *parameters) {
    int count = 0;
    while (*signature) {
        int length = (int)strcspn(signature, " =");
        bool optional = signature[length] == '=';
        parameters[count++] = (SignaturePart){signature, length, optional};
        signature += length + optional;
        signature += strspn(signature, " ");
    }
    return count;
}

static int find_parameter(const SignaturePart *parameters, int count, const char *name) {
    if (strcmp(name, "dim") == 0) name = "axis";
    if (strcmp(name, "keepdim") == 0) name = "keepdims";
    for (int i = 0; i < count; i++)
        if ((int)strlen(name) == parameters[i].length && !strncmp(name, parameters[i].text, strlen(name))) return i;
    return -1;
}

static const char *usage(Elaborator *e, const Builtin *builtin, const SignaturePart *parameters, int count) {
    Text text = {.arena = e->arena};
    text_add(&text, "%s(", builtin->name);
    for (int i = 0; i < count; i++)
        text_add(&text, "%s%.*s%s", i ? ", " : "", parameters[i].length, parameters[i].text,
                 parameters[i].optional ? " = ..." : "");
    text_add(&text, ")");
    return text.bytes;
}

// Tells what the builtin takes. False.
static bool tell_usage(Elaborator *e, const Builtin *builtin, const SignaturePart *parameters, int count) {
    help(e, "it is %s", usage(e, builtin, parameters, count));
    return false;
}

static bool unknown_argument(Elaborator *e, const Builtin *builtin, const SignaturePart *parameters, int count,
                             const CallArgument *argument) {
    const char *names[MAX_PARAMETERS];
    for (int i = 0; i < count; i++)
        names[i] = arena_copy_text(e->arena, parameters[i].text, (size_t)parameters[i].length);
    report(e, D_unknown_argument, argument->name_span, "'%s' has no argument '%s'", builtin->name, argument->name);
    const char *near = nearest_name(argument->name, names, count);
    if (near) help(e, "did you mean '%s'?", near);
    return tell_usage(e, builtin, parameters, count);
}

static bool give_arguments(Elaborator *e, const Builtin *builtin, const CallArguments *arguments, BuiltinCall *call) {
    SignaturePart parameters[MAX_PARAMETERS];
    int count = parse_signature(builtin->signature, parameters);
    for (int i = 0; i < arguments->count; i++) {
        const CallArgument *argument = &arguments->items[i];
        int at = argument->name ? find_parameter(parameters, count, argument->name) : i;
        if (at < 0) return unknown_argument(e, builtin, parameters, count, argument);
        if (at >= count) {
            report(e, D_too_many_arguments, argument->span, "'%s' takes %d argument%s, not %d", builtin->name, count,
                   count == 1 ? "" : "s", arguments->count);
            return tell_usage(e, builtin, parameters, count);
        }
        if (call->given[at]) {
            report(e, D_given_twice, argument->span, "the argument '%.*s' of '%s' is given twice",
                   parameters[at].length, parameters[at].text, builtin->name);
            return tell_usage(e, builtin, parameters, count);
        }
        call->values[at] = argument->value;
        call->spans[at] = argument->span;
        call->given[at] = true;
    }
    for (int i = 0; i < count; i++) {
        if (call->given[i] || parameters[i].optional) continue;
        report(e, D_missing_argument, call->span, "the call of '%s' lacks its argument '%.*s'", builtin->name,
               parameters[i].length, parameters[i].text);
        return tell_usage(e, builtin, parameters, count);
    }
    return true;
}

Value call_builtin(Elaborator *e, const Builtin *builtin, const CallArguments *arguments, Span span) {
    Value values[MAX_PARAMETERS];
    Span spans[MAX_PARAMETERS];
    bool given[MAX_PARAMETERS] = {false};
    for (int i = 0; i < MAX_PARAMETERS; i++) {
        values[i] = (Value){.kind = VALUE_NONE};
        spans[i] = span;
    }
    BuiltinCall call = {e, builtin, span, values, spans, given};
    if (!give_arguments(e, builtin, arguments, &call)) return no_value();
    return builtin->function(&call);
}

Node *tensor_argument(const BuiltinCall *call, int index) {
    return as_tensor(call->e, call->values[index], call->spans[index]);
}

bool shape_argument(const BuiltinCall *call, int index, Shape *shape) {
    return as_shape(call->e, call->values[index], call->spans[index], shape);
}

bool result_shape_argument(const BuiltinCall *call, int index, Shape *shape) {
    if (!shape_argument(call, index, shape)) return false;
    for (int i = 0; i < shape->rank; i++) {
        if (require_at_least_zero(call->e, shape->extents[i], call->span, "a size is negative")) continue;
        report(call->e, D_negative_size, call->spans[index], "a size is negative in %s",
               describe_shape(call->e, shape));
        return false;
    }
    return true;
}

bool flag_argument(const BuiltinCall *call, int index, bool *flag) {
    Value value = call->values[index];
    *flag = value.kind == VALUE_BOOL && value.boolean;
    if (value.kind == VALUE_BOOL || !call->given[index]) return true;
    report(call->e, D_argument_not_static, call->spans[index], "true or false is expected here, not %s",
           describe(call->e, value));
    return false;
}

bool axis_argument(const BuiltinCall *call, int index, int rank, int missing, int *axis) {
    *axis = missing;
    if (call->values[index].kind == VALUE_NONE) return true;
    return as_axis(call->e, call->values[index], rank, call->spans[index], axis);
}

bool axes_argument(const BuiltinCall *call, int index, int rank, int *axes, int *count) {
    return as_axes(call->e, call->values[index], rank, call->spans[index], axes, count);
}

// ---- elementwise

Value builtin_map(const BuiltinCall *call) {
    return map_values(call->e, call->builtin->op, call->values, op_arity(call->builtin->op), call->span);
}

Value builtin_pow(const BuiltinCall *call) {
    return binary(call->e, OPERATOR_POWER, call->values[0], call->values[1], call->span);
}

Value builtin_identity(const BuiltinCall *call) {
    return call->values[0];
}

// ---- reductions

// The axes named by none (all), an integer or a list of integers, ascending.
static bool reduced_axes(Elaborator *e, Value axes, int rank, Span span, int *result, int *count) {
    if (!as_axes(e, axes, rank, span, result, count)) return false;
    for (int i = 1; i < *count; i++)
        for (int k = i; k > 0 && result[k - 1] > result[k]; k--) {
            int axis = result[k];
            result[k] = result[k - 1];
            result[k - 1] = axis;
        }
    return true;
}

static Node *keep_axes(Elaborator *e, Node *reduced, const Node *x, const int *axes, int count) {
    Shape shape = shape_of(x);
    for (int i = 0; i < count; i++) shape.extents[axes[i]] = constant_extent(e, 1);
    return reshape(e->graph, reduced, shape.extents, shape.rank);
}

// The place of the greatest element in several axes: that in all of them one behind the other, in x's order.
static Node *reduce_as_one(Elaborator *e, Op op, Node *x, const int *axes, int count) {
    bool chosen[MAX_RANK] = {0};
    int order[MAX_RANK], kept = 0, last = x->rank - count;
    Shape shape = {.rank = last + 1};
    shape.extents[last] = constant_extent(e, 1);
    for (int i = 0; i < count; i++) chosen[axes[i]] = true;
    for (int i = 0, next = last; i < x->rank; i++) {
        if (chosen[i]) shape.extents[last] = extent_multiply(e->graph->extents, shape.extents[last], x->shape[i]);
        else shape.extents[kept] = x->shape[i];
        order[chosen[i] ? next++ : kept++] = i;
    }
    Node *flat = reshape(e->graph, transpose(e->graph, x, order), shape.extents, shape.rank);
    return reduce(e->graph, op, flat, &last, 1);
}

Node *reduce_axes(Elaborator *e, Op op, Node *x, Value axes, bool keep, Span span) {
    int list[MAX_RANK], count;
    if (!reduced_axes(e, axes, x->rank, span, list, &count)) return NULL;
    bool flattens = op == OP_reduce_argmax && count > 1;
    Node *result = flattens ? reduce_as_one(e, op, x, list, count) : reduce(e->graph, op, x, list, count);
    return keep ? keep_axes(e, result, x, list, count) : result;
}

static Value reduce_call(const BuiltinCall *call, Node *x) {
    Elaborator *e = call->e;
    bool keep;
    if (!x || !flag_argument(call, 2, &keep)) return no_value();
    if (x->dtype == DTYPE_BOOL) {
        failure(e, D_bool_arithmetic, call->span, "'%s' takes numbers, not bools", call->builtin->name);
        help(e, "a bool is made a number by a cast such as f32(...)");
        return no_value();
    }
    return value_tensor(reduce_axes(e, call->builtin->op, x, call->values[1], keep, call->spans[1]));
}

Value builtin_reduce(const BuiltinCall *call) {
    if (call->given[1] && call->values[1].kind == VALUE_TENSOR)
        return failure(call->e, D_axis_not_static, call->spans[1],
                       "an axis is an integer known when compiled, not a tensor");
    return reduce_call(call, tensor_argument(call, 0));
}

// Of integers -1 - x is greatest where x is least, also where -x would be no number of the dtype.
Value builtin_argmin(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    if (!x) return no_value();
    Graph *graph = call->e->graph;
    if (dtype_is_integer(x->dtype)) x = map2(graph, OP_subtract, constant_like(graph, x, -1), x);
    else if (x->dtype != DTYPE_BOOL) x = map1(graph, OP_negate, x);
    return reduce_call(call, x);
}

// any and all: the largest and the smallest truth. A number counts as x != 0.
Value builtin_truth(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    bool keep;
    if (!x || !flag_argument(call, 2, &keep)) return no_value();
    if (x->dtype != DTYPE_BOOL) x = map2(call->e->graph, OP_not_equal, x, constant_like(call->e->graph, x, 0));
    return value_tensor(reduce_axes(call->e, call->builtin->op, x, call->values[1], keep, call->spans[1]));
}
