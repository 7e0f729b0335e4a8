// The loop over what a contraction sums: one counter over all summed axes, row-major, as chunks are counted. Where operands
// cannot be read by that counter alone, every axis has an index of its own that goes along, like the wheels of an odometer.
#include "emit/emitter.h"

#include <assert.h>
#include <string.h>

static LLVMValueRef extent_at(Emitter *emitter, const Product *product, int axis) {
    return extent_value_of(emitter, product->kernel->axes[product->k[axis]].extent);
}

// Where the axes stand when the counter is `start`.
static void first_index(Emitter *emitter, const Product *product, LLVMValueRef start, LLVMValueRef *index) {
    LLVMBuilderRef builder = emitter->code.builder;
    for (int i = product->k_count - 1; i > 0; i--) {
        LLVMValueRef extent = extent_at(emitter, product, i);
        index[i] = LLVMBuildURem(builder, start, extent, "");
        start = LLVMBuildUDiv(builder, start, extent, "");
    }
    index[0] = start;
}

// The last axis goes on by one; one that comes to its end begins again and moves that before it.
static void next_index(Emitter *emitter, const Product *product, const LLVMValueRef *index, LLVMValueRef *next) {
    const Code *code = &emitter->code;
    LLVMValueRef step = v_i64(code, 1);
    for (int i = product->k_count - 1; i > 0; i--) {
        LLVMValueRef moved = v_add(code, index[i], step);
        LLVMValueRef ends = LLVMBuildICmp(code->builder, LLVMIntEQ, moved, extent_at(emitter, product, i), "");
        next[i] = v_select(code, ends, v_i64(code, 0), moved);
        step = LLVMBuildZExt(code->builder, ends, v_i64_type(code), "");
    }
    next[0] = v_add(code, index[0], step);
}

void summed_begin(Emitter *emitter, const Product *product, SummedLoop *summed, const char *name, LLVMValueRef start,
                  LLVMValueRef limit, const LLVMValueRef *carries, int carry_count) {
    LLVMValueRef all[MAX_TILE + MAX_AXES];
    bool several = product->k_count > 1;
    int count = carry_count + (several ? product->k_count : 0);
    assert(carry_count <= MAX_TILE);
    if (carry_count) memcpy(all, carries, sizeof *all * (size_t)carry_count);
    if (several) {   // a start is the beginning of a chunk: the divisions are outside of the loop
        bool zero = LLVMIsAConstantInt(start) && LLVMConstIntGetSExtValue(start) == 0;
        for (int i = 0; zero && i < product->k_count; i++) all[carry_count + i] = start;
        if (!zero) first_index(emitter, product, start, all + carry_count);
    }
    summed->loop = loop_begin(&emitter->code, name, start, limit, v_i64(&emitter->code, 1), all, count);
    summed->carry_count = carry_count;
    if (!several) summed->index[0] = summed->loop.index;
    for (int i = 0; several && i < product->k_count; i++) summed->index[i] = summed->loop.carries[carry_count + i];
}

void summed_end(Emitter *emitter, const Product *product, SummedLoop *summed, const LLVMValueRef *next) {
    LLVMValueRef all[MAX_TILE + MAX_AXES];
    if (summed->carry_count) memcpy(all, next, sizeof *all * (size_t)summed->carry_count);
    if (product->k_count > 1) next_index(emitter, product, summed->index, all + summed->carry_count);
    loop_end(&emitter->code, &summed->loop, all);
}

void summed_bind(const Product *product, const SummedLoop *summed, Scope *scope) {
    for (int i = 0; i < product->k_count; i++) scope_bind(scope, product->k[i], summed->index[i]);
}

LLVMValueRef summed_offset(Emitter *emitter, const Product *product, const SummedLoop *summed, int operand) {
    const Affine *affine = &product->kernel->instructions.items[operand].affine;
    LLVMValueRef offset = v_i64(&emitter->code, 0);
    for (int i = 0; i < product->k_count; i++) {
        const Extent *stride = affine->strides[product->k[i]];
        if (extent_is(stride, 0)) continue;
        LLVMValueRef distance = v_multiply(&emitter->code, summed->index[i], extent_value_of(emitter, stride));
        offset = v_add(&emitter->code, offset, distance);
    }
    return offset;
}
