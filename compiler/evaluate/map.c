// Elementwise ops: one loop for each op and dtype, made from the evaluate column of ops.def.
#include "evaluate/evaluator.h"

#include "evaluate/element.h"

#include <string.h>

typedef void MapLoop(int64_t count, const void *const *inputs, void *result);

#define ELEMENTS_1(X, Y, Z) const X *const xs = inputs[0];
#define ELEMENTS_2(X, Y, Z) ELEMENTS_1(X, Y, Z) const Y *const ys = inputs[1];
#define ELEMENTS_3(X, Y, Z) ELEMENTS_2(X, Y, Z) const Z *const zs = inputs[2];
#define ELEMENT_1(X, Y, Z) const X x = xs[i];
#define ELEMENT_2(X, Y, Z) ELEMENT_1(X, Y, Z) const Y y = ys[i];
#define ELEMENT_3(X, Y, Z) ELEMENT_2(X, Y, Z) const Z z = zs[i];
#define MAP_LOOP(function, arity, expression, X, Y, Z, R)                           \
    static void function(int64_t count, const void *const *inputs, void *results) { \
        typedef R Result;                                                           \
        ELEMENTS_##arity(X, Y, Z) for (int64_t i = 0; i < count; i++) {             \
            ELEMENT_##arity(X, Y, Z)((Result *)results)[i] = (Result)(expression);  \
        }                                                                           \
    }

// ---- the loops: what the `types` column says, for each dtype
#define SAME(name, arity, expression, t) \
    MAP_LOOP(map_##name##_##t, arity, expression, element_##t, element_##t, element_##t, element_##t)
#define TO_BOOL(name, arity, expression, t) \
    MAP_LOOP(map_##name##_##t, arity, expression, element_##t, element_##t, element_##t, element_truth)
#define CHOOSE(name, arity, expression, t) \
    MAP_LOOP(map_##name##_##t, arity, expression, element_truth, element_##t, element_##t, element_##t)
#define CONVERT(name, arity, expression, t, u) \
    MAP_LOOP(map_##name##_##t##_to_##u, arity, expression, element_##t, element_##t, element_##t, element_##u)
#define CONVERT_ALL(name, arity, expression, t) \
    CONVERT(name, arity, expression, t, f32)    \
    CONVERT(name, arity, expression, t, f64)    \
    CONVERT(name, arity, expression, t, i32)    \
    CONVERT(name, arity, expression, t, i64) CONVERT(name, arity, expression, t, truth)

#define FOR_FLOATING(f, ...) f(__VA_ARGS__, f32) f(__VA_ARGS__, f64)
#define FOR_NUMBERS(f, ...) FOR_FLOATING(f, __VA_ARGS__) f(__VA_ARGS__, i32) f(__VA_ARGS__, i64)
#define FOR_ALL(f, ...) FOR_NUMBERS(f, __VA_ARGS__) f(__VA_ARGS__, truth)

#define FLOATING(...) FOR_FLOATING(SAME, __VA_ARGS__)
#define NUMBER(...) FOR_NUMBERS(SAME, __VA_ARGS__)
#define COMPARE(...) FOR_ALL(TO_BOOL, __VA_ARGS__)
#define LOGIC(...) SAME(__VA_ARGS__, truth)
#define SELECT(...) FOR_ALL(CHOOSE, __VA_ARGS__)
#define CAST(...) FOR_ALL(CONVERT_ALL, __VA_ARGS__)
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) types(name, arity, evaluate)
#include "graph/ops.def"
#undef FLOATING
#undef NUMBER
#undef COMPARE
#undef LOGIC
#undef SELECT
#undef CAST

// ---- the table of loops: by op, by the dtype of the last operand, and for casts by that of the result
#define ENTRY(name, t) [OP_##name][DTYPE_OF_##t] = {map_##name##_##t},
#define DTYPE_OF_f32 DTYPE_F32
#define DTYPE_OF_f64 DTYPE_F64
#define DTYPE_OF_i32 DTYPE_I32
#define DTYPE_OF_i64 DTYPE_I64
#define DTYPE_OF_truth DTYPE_BOOL
#define FLOATING(name) FOR_FLOATING(ENTRY, name)
#define NUMBER(name) FOR_NUMBERS(ENTRY, name)
#define COMPARE(name) FOR_ALL(ENTRY, name)
#define LOGIC(name) ENTRY(name, truth)
#define SELECT(name) FOR_ALL(ENTRY, name)
#define CAST_ENTRIES(name, t)                                                                                     \
    [OP_##name][DTYPE_OF_##t] = {map_##name##_##t##_to_f32, map_##name##_##t##_to_f64, map_##name##_##t##_to_i32, \
                                 map_##name##_##t##_to_i64, map_##name##_##t##_to_truth},
#define CAST(name) FOR_ALL(CAST_ENTRIES, name)
static MapLoop *const loops[OP_COUNT][DTYPE_TUPLE][DTYPE_TUPLE] = {
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) types(name)
#include "graph/ops.def"
};

static MapLoop *loop_of(Op op, Dtype operand, Dtype result) {
    return loops[op][operand][op == OP_cast ? result : 0];
}

void evaluate_map(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    const void *operands[MAX_ARITY];
    for (int i = 0; i < node->input_count; i++) operands[i] = inputs[i]->tensor.data;
    MapLoop *loop = loop_of(node->op, inputs[node->input_count - 1]->tensor.dtype, node->dtype);
    if (!loop) {
        evaluation_fail(evaluation, "there is no %s of %s", op_name(node->op), dtype_name(node->inputs[0]->dtype));
        return;
    }
    if (value_create(evaluation, node, result)) loop(tensor_count(&result->tensor), operands, result->tensor.data);
}

// ---- folding

typedef union {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint8_t boolean;
} Element;

static Element element_of(const Node *constant) {
    Element element = {0};
    switch (constant->dtype) {
    case DTYPE_F32: element.f32 = (float)constant->scalar.real; break;
    case DTYPE_F64: element.f64 = constant->scalar.real; break;
    case DTYPE_I32: element.i32 = (int32_t)constant->scalar.integer; break;
    case DTYPE_BOOL: element.boolean = constant->scalar.integer != 0; break;
    default: element.i64 = constant->scalar.integer; break;
    }
    return element;
}

static Scalar scalar_of(Dtype dtype, Element element) {
    switch (dtype) {
    case DTYPE_F32: return (Scalar){.real = element.f32};
    case DTYPE_F64: return (Scalar){.real = element.f64};
    case DTYPE_I32: return (Scalar){.integer = element.i32};
    case DTYPE_BOOL: return (Scalar){.integer = element.boolean};
    default: return (Scalar){.integer = element.i64};
    }
}

bool fold_constant(Graph *graph, const Node *node, Scalar *value) {
    (void)graph;
    if (op_class(node->op) != CLASS_MAP || node->rank != 0) return false;
    Element elements[MAX_ARITY], result = {0};
    const void *operands[MAX_ARITY];
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i]->op != OP_constant) return false;
        elements[i] = element_of(node->inputs[i]);
        operands[i] = &elements[i];
    }
    MapLoop *loop = loop_of(node->op, node->inputs[node->input_count - 1]->dtype, node->dtype);
    if (!loop) return false;
    loop(1, operands, &result);
    *value = scalar_of(node->dtype, result);
    return true;
}
