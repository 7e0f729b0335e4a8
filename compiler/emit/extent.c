// Extents as i64 values. Each is computed once, in the entry block, so that loops find it ready.
#include "emit/emitter.h"

static LLVMValueRef compute(Emitter *emitter, const Extent *extent);

// Towards minus infinity, for a positive or negative divisor, as in extent.c.
static LLVMValueRef floor_divide(Emitter *emitter, LLVMValueRef a, LLVMValueRef b, bool modulo) {
    const Code *code = &emitter->code;
    LLVMValueRef quotient = LLVMBuildSDiv(code->builder, a, b, "");
    LLVMValueRef rest = LLVMBuildSRem(code->builder, a, b, "");
    LLVMValueRef zero = v_i64(code, 0);
    LLVMValueRef inexact = LLVMBuildICmp(code->builder, LLVMIntNE, rest, zero, "");
    LLVMValueRef signs = LLVMBuildXor(code->builder, rest, b, "");
    LLVMValueRef adjust = LLVMBuildAnd(code->builder, inexact, v_less(code, signs, zero), "");
    if (modulo) return v_add(code, rest, v_select(code, adjust, b, zero));
    return v_subtract(code, quotient, LLVMBuildZExt(code->builder, adjust, v_i64_type(code), ""));
}

static LLVMValueRef factor_value(Emitter *emitter, const Factor *factor) {
    const Code *code = &emitter->code;
    if (factor->kind != FACTOR_DIM) {
        LLVMValueRef left = compute(emitter, factor->left), right = compute(emitter, factor->right);
        return floor_divide(emitter, left, right, factor->kind == FACTOR_MODULO);
    }
    LLVMValueRef place = v_i64(code, factor->dim);
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, v_i64_type(code), emitter->dims, &place, 1, "");
    return LLVMBuildLoad2(code->builder, v_i64_type(code), pointer, "dim");
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
