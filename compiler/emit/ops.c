// Elementwise ops as instructions: one small builder for each name in the last column of ops.def. All work on scalars
// and on vectors alike. No fast-math flags: these are the evaluator's operations, to the bit.
#include "emit/emitter.h"
#include "emit/math.h"

#include <assert.h>

typedef struct {
    const Emitter *emitter;
    const Code *code;
    Dtype dtype, operand_dtype;
    int width;
    const LLVMValueRef *operands;
} Operation;

#define X operation->operands[0]
#define Y operation->operands[1]
#define Z operation->operands[2]
#define BUILDER operation->code->builder

static bool is_float(const Operation *operation) {
    return dtype_is_float(operation->operand_dtype);
}

static LLVMValueRef number(const Operation *operation, double value) {
    Scalar scalar;
    if (is_float(operation)) scalar.real = value;
    else scalar.integer = (int64_t)value;
    return v_number(operation->code, operation->operand_dtype, scalar, operation->width);
}

static LLVMValueRef unary(const Operation *operation, const char *intrinsic) {
    LLVMTypeRef type = LLVMTypeOf(X);
    LLVMValueRef argument = X;
    return v_intrinsic(operation->code, intrinsic, &type, 1, &argument, 1);
}

static LLVMValueRef compare(const Operation *operation, LLVMRealPredicate real, LLVMIntPredicate integer,
                            LLVMValueRef a, LLVMValueRef b) {
    if (is_float(operation)) return LLVMBuildFCmp(BUILDER, real, a, b, "");
    return LLVMBuildICmp(BUILDER, integer, a, b, "");
}

static LLVMValueRef choose(const Operation *operation, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(BUILDER, condition, a, b, "");
}

// ---- arithmetic

#define ARITHMETIC(name, real, integer)                                     \
    static LLVMValueRef emit_##name(const Operation *operation) {           \
        if (is_float(operation)) return LLVMBuild##real(BUILDER, X, Y, ""); \
        return LLVMBuild##integer(BUILDER, X, Y, "");                       \
    }
ARITHMETIC(add, FAdd, Add)
ARITHMETIC(subtract, FSub, Sub)
ARITHMETIC(multiply, FMul, Mul)

static LLVMValueRef emit_divide(const Operation *operation) {
    return LLVMBuildFDiv(BUILDER, X, Y, "");
}

static LLVMValueRef emit_negate(const Operation *operation) {
    return is_float(operation) ? LLVMBuildFNeg(BUILDER, X, "") : LLVMBuildNeg(BUILDER, X, "");
}

static LLVMValueRef emit_fma(const Operation *operation) {
    return v_fma(operation->code, X, Y, Z);
}

// Quotient and remainder of integers towards minus infinity; 0 for a divisor of 0 (and no trap at the lowest number).
static void integer_divide(const Operation *operation, LLVMValueRef *quotient, LLVMValueRef *rest) {
    LLVMValueRef zero = number(operation, 0), one = number(operation, 1), minus = number(operation, -1);
    LLVMValueRef by_zero = LLVMBuildICmp(BUILDER, LLVMIntEQ, Y, zero, "");
    LLVMValueRef by_minus = LLVMBuildICmp(BUILDER, LLVMIntEQ, Y, minus, "");
    LLVMValueRef safe = choose(operation, LLVMBuildOr(BUILDER, by_zero, by_minus, ""), one, Y);
    LLVMValueRef q = LLVMBuildSDiv(BUILDER, X, safe, ""), r = LLVMBuildSRem(BUILDER, X, safe, "");
    LLVMValueRef inexact = LLVMBuildICmp(BUILDER, LLVMIntNE, r, zero, "");
    LLVMValueRef opposite = LLVMBuildICmp(BUILDER, LLVMIntSLT, LLVMBuildXor(BUILDER, r, Y, ""), zero, "");
    LLVMValueRef adjust = LLVMBuildAnd(BUILDER, inexact, opposite, "");
    q = choose(operation, adjust, LLVMBuildSub(BUILDER, q, one, ""), q);
    r = choose(operation, adjust, LLVMBuildAdd(BUILDER, r, Y, ""), r);
    q = choose(operation, by_minus, LLVMBuildNeg(BUILDER, X, ""), q);
    *quotient = choose(operation, by_zero, zero, q);
    *rest = choose(operation, LLVMBuildOr(BUILDER, by_zero, by_minus, ""), zero, r);
}

static LLVMValueRef floor_of(const Operation *operation, LLVMValueRef value) {
    LLVMTypeRef type = LLVMTypeOf(value);
    return v_intrinsic(operation->code, "llvm.floor", &type, 1, &value, 1);
}

static LLVMValueRef emit_floor_divide(const Operation *operation) {
    if (is_float(operation)) return floor_of(operation, LLVMBuildFDiv(BUILDER, X, Y, ""));
    LLVMValueRef quotient, rest;
    integer_divide(operation, &quotient, &rest);
    return quotient;
}

static LLVMValueRef emit_remainder(const Operation *operation) {
    if (is_float(operation)) {
        LLVMValueRef quotient = floor_of(operation, LLVMBuildFDiv(BUILDER, X, Y, ""));
        return LLVMBuildFSub(BUILDER, X, LLVMBuildFMul(BUILDER, quotient, Y, ""), "");
    }
    LLVMValueRef quotient, rest;
    integer_divide(operation, &quotient, &rest);
    return rest;
}

static LLVMValueRef emit_absolute(const Operation *operation) {
    if (is_float(operation)) return unary(operation, "llvm.fabs");
    LLVMValueRef negative = LLVMBuildICmp(BUILDER, LLVMIntSLT, X, number(operation, 0), "");
    return choose(operation, negative, LLVMBuildNeg(BUILDER, X, ""), X);
}

// x itself where it is zero or NaN.
static LLVMValueRef emit_sign(const Operation *operation) {
    LLVMValueRef zero = number(operation, 0);
    LLVMValueRef above = compare(operation, LLVMRealOGT, LLVMIntSGT, X, zero);
    LLVMValueRef below = compare(operation, LLVMRealOLT, LLVMIntSLT, X, zero);
    return choose(operation, above, number(operation, 1), choose(operation, below, number(operation, -1), X));
}

static LLVMValueRef emit_floor(const Operation *operation) {
    return unary(operation, "llvm.floor");
}
static LLVMValueRef emit_ceil(const Operation *operation) {
    return unary(operation, "llvm.ceil");
}
static LLVMValueRef emit_round(const Operation *operation) {
    return unary(operation, "llvm.roundeven");
}
static LLVMValueRef emit_sqrt(const Operation *operation) {
    return unary(operation, "llvm.sqrt");
}

// (x > y or x is NaN) ? x : y; of numbers as two choices, of which the first is one instruction.
static LLVMValueRef extreme(const Operation *operation, LLVMRealPredicate real, LLVMIntPredicate integer,
                            LLVMIntPredicate truth) {
    if (operation->operand_dtype == DTYPE_BOOL) integer = truth;
    LLVMValueRef first = compare(operation, real, integer, X, Y);
    LLVMValueRef value = choose(operation, first, X, Y);
    if (!is_float(operation)) return value;
    return choose(operation, LLVMBuildFCmp(BUILDER, LLVMRealUNO, X, X, ""), X, value);
}

static LLVMValueRef emit_maximum(const Operation *operation) {
    return extreme(operation, LLVMRealOGT, LLVMIntSGT, LLVMIntUGT);
}
static LLVMValueRef emit_minimum(const Operation *operation) {
    return extreme(operation, LLVMRealOLT, LLVMIntSLT, LLVMIntULT);
}

// ---- functions (compiler/math)

#define MATH_FUNCTION(name)                                                                     \
    static LLVMValueRef emit_math_##name(const Operation *operation) {                          \
        const Emitter *emitter = operation->emitter;                                            \
        MathEmitter math = {emitter->code.context, emitter->code.module, emitter->code.builder, \
                            emitter->target->scales};                                           \
        return math_emit(&math, MATH_##name, operation->operands);                              \
    }
MATH_FUNCTION(pow)
MATH_FUNCTION(exp)
MATH_FUNCTION(expm1)
MATH_FUNCTION(log)
MATH_FUNCTION(log1p)
MATH_FUNCTION(sin)
MATH_FUNCTION(cos)
MATH_FUNCTION(atan)
MATH_FUNCTION(tanh)
MATH_FUNCTION(sigmoid)
MATH_FUNCTION(erf)

// ---- comparison, logic, choice

static LLVMValueRef emit_equal(const Operation *operation) {
    return compare(operation, LLVMRealOEQ, LLVMIntEQ, X, Y);
}
static LLVMValueRef emit_not_equal(const Operation *operation) {
    return compare(operation, LLVMRealUNE, LLVMIntNE, X, Y);
}
static LLVMValueRef emit_less(const Operation *operation) {
    return compare(operation, LLVMRealOLT, operation->operand_dtype == DTYPE_BOOL ? LLVMIntULT : LLVMIntSLT, X, Y);
}
static LLVMValueRef emit_less_equal(const Operation *operation) {
    return compare(operation, LLVMRealOLE, operation->operand_dtype == DTYPE_BOOL ? LLVMIntULE : LLVMIntSLE, X, Y);
}
static LLVMValueRef emit_logical_and(const Operation *operation) {
    return LLVMBuildAnd(BUILDER, X, Y, "");
}
static LLVMValueRef emit_logical_or(const Operation *operation) {
    return LLVMBuildOr(BUILDER, X, Y, "");
}
static LLVMValueRef emit_logical_not(const Operation *operation) {
    return LLVMBuildNot(BUILDER, X, "");
}
static LLVMValueRef emit_select(const Operation *operation) {
    return choose(operation, X, Y, Z);
}

static LLVMValueRef cast_to_bool(const Operation *operation) {
    return compare(operation, LLVMRealUNE, LLVMIntNE, X, LLVMConstNull(LLVMTypeOf(X)));
}

static LLVMValueRef emit_cast(const Operation *operation) {
    Dtype from = operation->operand_dtype, to = operation->dtype;
    LLVMTypeRef type = v_type(operation->code, to, operation->width);
    if (from == to) return X;
    if (to == DTYPE_BOOL) return cast_to_bool(operation);
    if (from == DTYPE_BOOL)
        return dtype_is_float(to) ? LLVMBuildUIToFP(BUILDER, X, type, "") : LLVMBuildZExt(BUILDER, X, type, "");
    if (dtype_is_float(from) && dtype_is_float(to))
        return to == DTYPE_F64 ? LLVMBuildFPExt(BUILDER, X, type, "") : LLVMBuildFPTrunc(BUILDER, X, type, "");
    if (dtype_is_float(to)) return LLVMBuildSIToFP(BUILDER, X, type, "");
    if (!dtype_is_float(from))
        return to == DTYPE_I64 ? LLVMBuildSExt(BUILDER, X, type, "") : LLVMBuildTrunc(BUILDER, X, type, "");
    LLVMTypeRef types[] = {type, LLVMTypeOf(X)};   // saturates; NaN is 0
    LLVMValueRef argument = X;
    return v_intrinsic(operation->code, "llvm.fptosi.sat", types, 2, &argument, 1);
}

typedef LLVMValueRef Builder(const Operation *operation);
static Builder *const builders[OP_COUNT] = {
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = emit_##emit,
#include "graph/ops.def"
};

LLVMValueRef op_value(Emitter *emitter, Op op, Dtype dtype, Dtype operand_dtype, const LLVMValueRef *operands) {
    Operation operation = {emitter, &emitter->code, dtype, operand_dtype, v_width(operands[0]), operands};
    if (op == OP_where) operation.operand_dtype = dtype;
    return builders[op](&operation);
}

LLVMValueRef reduce_combine(Emitter *emitter, Op op, Dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef operands[] = {a, b};
    Op combine = op == OP_reduce_sum ? OP_add : op == OP_reduce_max ? OP_maximum : OP_minimum;
    return op_value(emitter, combine, dtype, dtype, operands);
}

LLVMValueRef reduce_start(Emitter *emitter, Op op, Dtype dtype, int width) {
    Scalar start = {.real = 0.0};
    bool low = op == OP_reduce_max;
    if (op == OP_reduce_sum)
        return v_number(&emitter->code, dtype, dtype_is_float(dtype) ? start : (Scalar){.integer = 0}, width);
    if (dtype_is_float(dtype)) start.real = low ? -__builtin_inf() : __builtin_inf();
    else if (dtype == DTYPE_I32) start.integer = low ? INT32_MIN : INT32_MAX;
    else if (dtype == DTYPE_BOOL) start.integer = !low;
    else start.integer = low ? INT64_MIN : INT64_MAX;
    return v_number(&emitter->code, dtype, start, width);
}
