// Extents as i64 values. Each is computed once in a function, in its entry block, so that loops find it ready; so is
// each factor, as offsets in the arena are sums of the same few.
#include "emit/emitter.h"

static LLVMValueRef compute(Emitter *emitter, const Extent *extent);

// The exponent of a power of two; -1: `extent` is none.
static int exponent_of(const Extent *extent) {
    int64_t value;
    if (!extent_is_constant(extent, &value) || value <= 0 || (value & (value - 1))) return -1;
    int exponent = 0;
    while (value >> exponent > 1) exponent++;
    return exponent;
}

static LLVMValueRef maximum(Emitter *emitter, const Factor *factor) {
    LLVMValueRef left = compute(emitter, factor->left), right = compute(emitter, factor->right);
    return v_maximum(&emitter->code, left, right);
}

// Towards minus infinity, for a positive or negative divisor, as in extent.c.
static LLVMValueRef floor_divide(Emitter *emitter, const Factor *factor) {
    const Code *code = &emitter->code;
    bool modulo = factor->kind == FACTOR_MODULO;
    int exponent = exponent_of(factor->right);
    LLVMValueRef a = compute(emitter, factor->left), b = compute(emitter, factor->right);
    if (exponent >= 0 && modulo) return LLVMBuildAnd(code->builder, a, v_subtract(code, b, v_i64(code, 1)), "");
    if (exponent >= 0) return LLVMBuildAShr(code->builder, a, v_i64(code, exponent), "");
    LLVMValueRef quotient = LLVMBuildSDiv(code->builder, a, b, "");
    LLVMValueRef rest = LLVMBuildSRem(code->builder, a, b, "");
    LLVMValueRef zero = v_i64(code, 0);
    LLVMValueRef inexact = LLVMBuildICmp(code->builder, LLVMIntNE, rest, zero, "");
    LLVMValueRef signs = LLVMBuildXor(code->builder, rest, b, "");
    LLVMValueRef adjust = LLVMBuildAnd(code->builder, inexact, v_less(code, signs, zero), "");
    if (modulo) return v_add(code, rest, v_select(code, adjust, b, zero));
    return v_subtract(code, quotient, LLVMBuildZExt(code->builder, adjust, v_i64_type(code), ""));
}

static LLVMValueRef new_factor_value(Emitter *emitter, const Factor *factor) {
    const Code *code = &emitter->code;
    if (factor->kind == FACTOR_MAXIMUM) return maximum(emitter, factor);
    if (factor->kind != FACTOR_DIM) return floor_divide(emitter, factor);
    LLVMValueRef place = v_i64(code, factor->dim);
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, v_i64_type(code), emitter->dims, &place, 1, "");
    return LLVMBuildLoad2(code->builder, v_i64_type(code), pointer, "dim");
}

static LLVMValueRef factor_value(Emitter *emitter, const Factor *factor) {
    for (int i = 0; i < emitter->factors.count; i++) {
        const Factor *known = emitter->factors.items[i].factor;
        bool same = known->kind == factor->kind && known->left == factor->left && known->right == factor->right;
        if (same && (factor->kind != FACTOR_DIM || known->dim == factor->dim)) return emitter->factors.items[i].value;
    }
    FactorValue value = {factor, new_factor_value(emitter, factor)};
    array_push(emitter->arena, &emitter->factors, value);
    return value.value;
}

static LLVMValueRef compute(Emitter *emitter, const Extent *extent) {
    const Code *code = &emitter->code;
    const Term *terms;
    int count = extent_terms(extent, &terms);
    LLVMValueRef sum = v_i64(code, 0);
    for (int i = 0; i < count; i++) {
        LLVMValueRef product = v_i64(code, terms[i].coefficient);
        for (int k = 0; k < terms[i].factor_count; k++)
            product = v_multiply(code, product, factor_value(emitter, terms[i].factors[k]));
        sum = v_add(code, sum, product);
    }
    return sum;
}

LLVMValueRef extent_value_of(Emitter *emitter, const Extent *extent) {
    int64_t constant;
    if (extent_is_constant(extent, &constant)) return v_i64(&emitter->code, constant);
    for (int i = 0; i < emitter->extents.count; i++)
        if (emitter->extents.items[i].extent == extent) return emitter->extents.items[i].value;
    LLVMBasicBlockRef here = b_here(&emitter->code);
    LLVMPositionBuilderBefore(emitter->code.builder, LLVMGetBasicBlockTerminator(emitter->entry));
    ExtentValue value = {extent, compute(emitter, extent)};
    b_go(&emitter->code, here);
    array_push(emitter->arena, &emitter->extents, value);
    return value.value;
}
