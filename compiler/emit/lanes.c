// Accumulators of reductions. A sum starts at +0, a maximum at -inf; argmax carries the place of its value along and
// prefers, among equals, the first, and a NaN to everything.
#include "emit/lanes.h"

#include <assert.h>

int reductions_of(const Kernel *kernel, int phase, Reduction *reductions) {
    int count = 0;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        if (instruction->kind != INSTRUCTION_REDUCE || instruction->phase != phase) continue;
        assert(count < MAX_REDUCTIONS);
        int operand = instruction->operands[0];
        reductions[count++] = (Reduction){i, operand, instruction->op, kernel->instructions.items[operand].dtype};
    }
    return count;
}

Partial partial_start(Emitter *emitter, const Reduction *reduction, int width) {
    Op op = is_argmax(reduction) ? OP_reduce_max : reduction->op;
    Partial start = {reduce_start(emitter, op, reduction->dtype, width), NULL};
    Scalar nowhere = {.integer = INT64_MAX};
    if (is_argmax(reduction)) start.index = v_number(&emitter->code, DTYPE_I64, nowhere, width);
    return start;
}

Partial partial_of(Emitter *emitter, const Reduction *reduction, LLVMValueRef value, LLVMValueRef index) {
    (void)emitter;
    return (Partial){value, is_argmax(reduction) ? index : NULL};
}

// Is b better than a: larger, or a NaN, or as good and earlier?
static LLVMValueRef is_better(Emitter *emitter, Dtype dtype, Partial a, Partial b) {
    LLVMBuilderRef builder = emitter->code.builder;
    LLVMValueRef larger, same, earlier = LLVMBuildICmp(builder, LLVMIntSLT, b.index, a.index, "");
    if (!dtype_is_float(dtype)) {
        bool is_bool = dtype == DTYPE_BOOL;
        larger = LLVMBuildICmp(builder, is_bool ? LLVMIntUGT : LLVMIntSGT, b.value, a.value, "");
        same = LLVMBuildICmp(builder, LLVMIntEQ, b.value, a.value, "");
    } else {
        LLVMValueRef a_nan = LLVMBuildFCmp(builder, LLVMRealUNO, a.value, a.value, "");
        LLVMValueRef b_nan = LLVMBuildFCmp(builder, LLVMRealUNO, b.value, b.value, "");
        LLVMValueRef above = LLVMBuildFCmp(builder, LLVMRealOGT, b.value, a.value, "");
        LLVMValueRef equal = LLVMBuildFCmp(builder, LLVMRealOEQ, b.value, a.value, "");
        LLVMValueRef new_nan = LLVMBuildAnd(builder, b_nan, LLVMBuildNot(builder, a_nan, ""), "");
        larger = LLVMBuildOr(builder, above, new_nan, "");
        same = LLVMBuildOr(builder, equal, LLVMBuildAnd(builder, a_nan, b_nan, ""), "");
    }
    return LLVMBuildOr(builder, larger, LLVMBuildAnd(builder, same, earlier, ""), "");
}

Partial partial_select(Emitter *emitter, LLVMValueRef mask, Partial a, Partial b) {
    if (!mask) return b;
    Partial result = {v_select(&emitter->code, mask, b.value, a.value), NULL};
    if (a.index) result.index = v_select(&emitter->code, mask, b.index, a.index);
    return result;
}

Partial partial_combine(Emitter *emitter, const Reduction *reduction, Partial a, Partial b) {
    if (!is_argmax(reduction))
        return (Partial){reduce_combine(emitter, reduction->op, reduction->dtype, a.value, b.value), NULL};
    return partial_select(emitter, is_better(emitter, reduction->dtype, a, b), a, b);
}

LLVMValueRef partial_result(Emitter *emitter, const Reduction *reduction, Partial total) {
    if (!is_argmax(reduction)) return total.value;
    const Code *code = &emitter->code;   // of nothing: 0
    int width = v_width(total.index);
    LLVMValueRef nowhere = v_number(code, DTYPE_I64, (Scalar){.integer = INT64_MAX}, width);
    LLVMValueRef empty = LLVMBuildICmp(code->builder, LLVMIntEQ, total.index, nowhere, "");
    return v_select(code, empty, LLVMConstNull(LLVMTypeOf(total.index)), total.index);
}

int partials_to_carries(const Partial *partials, int count, LLVMValueRef *carries) {
    int used = 0;
    for (int i = 0; i < count; i++) {
        carries[used++] = partials[i].value;
        if (partials[i].index) carries[used++] = partials[i].index;
    }
    return used;
}

void partials_from_carries(Partial *partials, int count, const LLVMValueRef *carries) {
    int used = 0;
    for (int i = 0; i < count; i++) {
        partials[i].value = carries[used++];
        if (partials[i].index) partials[i].index = carries[used++];
    }
}
