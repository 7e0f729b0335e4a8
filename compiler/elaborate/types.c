// Dtypes: their names, weak literals, and what values of different dtypes make together (L6).
//
// Weak values take the dtype of what they meet. A weak number is a constant; a weak tensor comes from weak numbers only
// (`where(x > 0, 1, 0)`, a hyperparameter) and is held as f64 or i64 until a strong value or a declared type says more.
#include "elaborate/calls.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    Dtype dtype;
} dtypes[] = {{"f32", DTYPE_F32},     {"float32", DTYPE_F32}, {"f64", DTYPE_F64},
              {"float64", DTYPE_F64}, {"i32", DTYPE_I32},     {"int32", DTYPE_I32},
              {"i64", DTYPE_I64},     {"int64", DTYPE_I64},   {"bool", DTYPE_BOOL}};

static const char *const unsupported_dtypes[] = {"f16",  "float16", "bf16",  "bfloat16", "i8",
                                                 "int8", "u8",      "uint8", "i16",      "int16"};

static const struct {
    const char *name;
    TypeClass class;
} static_types[] = {{"int", TYPE_INT},     {"bool", TYPE_BOOLEAN}, {"string", TYPE_STRING},
                    {"fn", TYPE_FUNCTION}, {"shape", TYPE_SHAPE},  {"any", TYPE_ANY}};

bool is_dtype_name(const Elaborator *e, const char *name, Dtype floating, Dtype *dtype) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) != 0) continue;
        *dtype = dtypes[i].dtype == DTYPE_F32 ? e->program->floating : dtypes[i].dtype;
        return true;
    }
    *dtype = floating;
    return strcmp(name, "float") == 0;
}

TypeName type_name(Elaborator *e, Name name, bool has_dimensions) {
    for (size_t i = 0; i < sizeof static_types / sizeof *static_types && !has_dimensions; i++)
        if (strcmp(static_types[i].name, name.text) == 0) return (TypeName){.class = static_types[i].class};
    if (strcmp(name.text, "float") == 0) return (TypeName){.class = TYPE_FLOAT};
    if (strcmp(name.text, "integer") == 0) return (TypeName){.class = TYPE_INTEGER};
    Dtype dtype;
    if (is_dtype_name(e, name.text, DTYPE_F32, &dtype)) return (TypeName){.class = TYPE_DTYPE, .dtype = dtype};
    for (size_t i = 0; i < sizeof unsupported_dtypes / sizeof *unsupported_dtypes; i++) {
        if (strcmp(unsupported_dtypes[i], name.text) != 0) continue;
        report(e, D_unsupported_dtype, name.span, "the dtype '%s' is not supported", name.text);
        help(e, "there are f32, f64, i32, i64 and bool");
        return (TypeName){.class = TYPE_UNKNOWN};
    }
    report(e, D_unknown_type, name.span, "there is no type '%s'", name.text);
    if (strcmp(name.text, "int") == 0)
        help(e, "tensors of integers are i32 or i64; an int without dims is known when compiled");
    else if (strcmp(name.text, "double") == 0) help(e, "it is written: f64");
    else
        help(
            e,
            "tensors have a dtype of f32 f64 i32 i64 bool float; known when compiled are int bool string fn shape any");
    return (TypeName){.class = TYPE_UNKNOWN};
}

// ---- values

Value value_tensor(Node *node) {
    return node ? (Value){.kind = VALUE_TENSOR, .node = node} : (Value){.kind = VALUE_ERROR};
}

Value value_extent(const Extent *extent) {
    Value value = {.kind = VALUE_NUMBER};
    value.number.integer = extent;
    return value;
}

Value value_integer(Elaborator *e, int64_t integer) {
    return value_extent(extent_constant(e->graph->extents, integer));
}

Value value_real(double real) {
    Value value = {.kind = VALUE_NUMBER};
    value.number.real = real;
    return value;
}

Value value_bool(bool boolean) {
    return (Value){.kind = VALUE_BOOL, .boolean = boolean};
}

Value value_list(Elaborator *e, const Value *items, int count) {
    Value value = {.kind = VALUE_LIST};
    value.list.items = arena_copy(e->arena, items, sizeof *items * (size_t)count);
    value.list.count = count;
    return value;
}

bool is_integer_number(Value value, int64_t *number) {
    return value.kind == VALUE_NUMBER && value.number.integer && extent_is_constant(value.number.integer, number);
}

const Extent *as_extent(Elaborator *e, Value value) {
    (void)e;
    return value.kind == VALUE_NUMBER ? value.number.integer : NULL;
}

bool is_tensor_like(Value value) {
    return value.kind == VALUE_TENSOR || value.kind == VALUE_NUMBER || value.kind == VALUE_BOOL ||
           value.kind == VALUE_LIST || value.kind == VALUE_PARAMETERS;
}

// ---- conversions

// A weak tensor in another dtype: constants are made anew, so that 0.1 is rounded once, and a choice between constants
// stays one.
Node *cast_weak(Elaborator *e, Node *node, Dtype dtype) {
    Graph *graph = e->graph;
    if (node->dtype == dtype) return node;
    if (node->op == OP_constant && dtype_is_float(node->dtype)) return constant_real(graph, dtype, node->scalar.real);
    if (node->op == OP_constant) return constant_integer(graph, dtype, node->scalar.integer);
    if (node->op == OP_extent) return extent_value(graph, dtype, node->attributes[0]);
    if (node->op == OP_broadcast) {
        Node *inner = cast_weak(e, node->inputs[0], dtype);
        int axes[MAX_RANK];
        for (int i = 0; i < inner->rank; i++) axes[i] = attribute_integer(node, i);
        return broadcast(graph, inner, (const Extent *const *)node->shape, node->rank, axes);
    }
    if (node->op == OP_where)
        return map3(graph, OP_where, node->inputs[0], cast_weak(e, node->inputs[1], dtype),
                    cast_weak(e, node->inputs[2], dtype));
    return cast(graph, node, dtype);
}

static Dtype natural_dtype(const Elaborator *e, Dtype weak) {
    if (weak == DTYPE_BOOL) return weak;
    return dtype_is_float(weak) ? e->frame->floating : DTYPE_I32;
}

Value settle(Elaborator *e, Value value, Span span) {
    if (value.kind == VALUE_LIST) return tensor_of_list(e, value, span);
    if (value.kind == VALUE_PARAMETERS) return value_tensor(flat_parameters(e, value.instance));
    return value;
}

static bool fits_i32(const Extent *extent) {
    int64_t value;
    return !extent_is_constant(extent, &value) || (value >= INT32_MIN && value <= INT32_MAX);
}

static Node *not_a_tensor(Elaborator *e, Value value, Span span) {
    report(e, D_not_a_tensor, span, "a tensor or a number is expected here, not %s", describe(e, value));
    if (value.kind == VALUE_NET)
        help(e, "make an instance of it and call that: use layer = %s<...>", value.net->net->name.text);
    if (value.kind == VALUE_TUPLE) help(e, "take it apart: a, b = ...");
    if (value.kind == VALUE_FUNCTION) help(e, "call it: %s(...)", value.callable->name);
    if (value.kind == VALUE_INSTANCE) help(e, "call it, or name a parameter of it");
    return NULL;
}

Node *as_tensor(Elaborator *e, Value value, Span span) {
    value = settle(e, value, span);
    switch (value.kind) {
    case VALUE_ERROR: return NULL;
    case VALUE_TENSOR: return value.weak ? cast_weak(e, value.node, natural_dtype(e, value.node->dtype)) : value.node;
    case VALUE_BOOL: return constant_integer(e->graph, DTYPE_BOOL, value.boolean);
    case VALUE_NUMBER:
        if (!value.number.integer) return constant_real(e->graph, e->frame->floating, value.number.real);
        return extent_value(e->graph, fits_i32(value.number.integer) ? DTYPE_I32 : DTYPE_I64, value.number.integer);
    default: return not_a_tensor(e, value, span);
    }
}

static Node *cannot_convert(Elaborator *e, Value value, Dtype dtype, Span span) {
    report(e, D_dtype_mismatch, span, "%s is expected here, not %s", dtype_name(dtype), describe(e, value));
    help(e, "convert it with %s(...)", dtype_name(dtype));
    return NULL;
}

static Node *convert_number(Elaborator *e, Value value, Dtype dtype, Span span) {
    if (dtype == DTYPE_BOOL) return cannot_convert(e, value, dtype, span);
    if (value.number.integer) {
        if (dtype == DTYPE_I32 && !fits_i32(value.number.integer)) {
            report(e, D_number_too_large, span, "%s does not fit an i32", describe(e, value));
            help(e, "convert the other operand with i64(...)");
            return NULL;
        }
        return extent_value(e->graph, dtype, value.number.integer);
    }
    if (!dtype_is_float(dtype)) return cannot_convert(e, value, dtype, span);
    double real = value.number.real;
    if (dtype == DTYPE_F32 && isfinite(real) && isinf((float)real))
        warn(e, D_constant_overflow, span, "compute in f64, or write inf if that is meant",
             "the number %g does not fit an f32: it becomes infinite", real);
    return constant_real(e->graph, dtype, real);
}

Node *as_dtype(Elaborator *e, Value value, Dtype dtype, Span span) {
    value = settle(e, value, span);
    if (value.kind == VALUE_NUMBER) return convert_number(e, value, dtype, span);
    if (value.kind != VALUE_TENSOR || !value.weak) {
        Node *node = as_tensor(e, value, span);
        if (!node || node->dtype == dtype) return node;
        bool widens = dtype_is_integer(node->dtype) && (dtype == DTYPE_I64 || dtype_is_float(dtype));
        return widens ? cast(e->graph, node, dtype) : cannot_convert(e, value, dtype, span);
    }
    Dtype from = value.node->dtype;
    bool fits = from == dtype ||
                (from != DTYPE_BOOL && dtype != DTYPE_BOOL && (dtype_is_float(dtype) || dtype_is_integer(from)));
    return fits ? cast_weak(e, value.node, dtype) : cannot_convert(e, value, dtype, span);
}

// ---- promotion

typedef struct {
    bool strong, weak_real, weak_integer, logical;
    Dtype dtype;   // of the strong ones together
    Value first;   // the value that gave it
} Promotion;

static bool clash(Elaborator *e, Span span, Value a, Value b) {
    report(e, D_different_dtypes, span, "%s and %s have different dtypes", describe(e, a), describe(e, b));
    bool logical = a.kind == VALUE_BOOL || b.kind == VALUE_BOOL ||
                   (a.kind == VALUE_TENSOR && a.node->dtype == DTYPE_BOOL) ||
                   (b.kind == VALUE_TENSOR && b.node->dtype == DTYPE_BOOL);
    if (logical) help(e, "a bool is made a number by a cast such as f32(...), or chosen by with where(...)");
    else help(e, "convert one of them: f32(...) or f64(...)");
    return false;
}

static bool add_strong(Elaborator *e, Promotion *promotion, Value value, Span span) {
    Dtype dtype = value.kind == VALUE_BOOL ? DTYPE_BOOL : value.node->dtype;
    if (!promotion->strong) {
        promotion->strong = true;
        promotion->dtype = dtype;
        promotion->first = value;
        return true;
    }
    Dtype other = promotion->dtype;
    if (dtype == other) return true;
    if (dtype == DTYPE_BOOL || other == DTYPE_BOOL || (dtype_is_float(dtype) && dtype_is_float(other)))
        return clash(e, span, promotion->first, value);
    if (dtype_is_float(dtype) || (dtype == DTYPE_I64 && !dtype_is_float(other))) promotion->dtype = dtype;
    return true;
}

bool promote(Elaborator *e, Span span, const Value *values, int count, Dtype *dtype, bool *weak) {
    Promotion promotion = {0};
    Value loose = {.kind = VALUE_ERROR};
    for (int i = 0; i < count; i++) {
        Value value = values[i];
        if (value.kind == VALUE_ERROR) return false;
        if (!is_tensor_like(value)) {
            not_a_tensor(e, value, span);
            return false;
        }
        bool is_weak = value.kind == VALUE_NUMBER || (value.kind == VALUE_TENSOR && value.weak);
        if (!is_weak && !add_strong(e, &promotion, value, span)) return false;
        if (!is_weak) continue;
        loose = value;
        bool real = value.kind == VALUE_NUMBER ? !value.number.integer : dtype_is_float(value.node->dtype);
        if (real) promotion.weak_real = true;
        else promotion.weak_integer = true;
    }
    *weak = !promotion.strong;
    if (!promotion.strong) {
        *dtype = promotion.weak_real ? DTYPE_F64 : DTYPE_I64;
        return true;
    }
    if (promotion.dtype == DTYPE_BOOL && loose.kind != VALUE_ERROR) return clash(e, span, promotion.first, loose);
    *dtype = promotion.weak_real && !dtype_is_float(promotion.dtype) ? e->frame->floating : promotion.dtype;
    return true;
}
