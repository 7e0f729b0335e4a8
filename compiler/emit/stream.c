// Stores past the caches, where the cost model wants them (kernels/cost.c). They write whole vectors, which must lie at
// multiples of their size: whether the arrays do is asked when the kernel begins, and the kernel is there twice. Such
// stores may become visible late, so that a fence ends the kernel.
#include "emit/emitter.h"

static int vector_axis_of(const Kernel *kernel) {
    int axes[MAX_AXES], count = axes_of(kernel, kernel->kind == KERNEL_ROW ? AXIS_ROW : AXIS_PARALLEL, axes);
    return count ? axes[count - 1] : -1;
}

// Whether all vectors of the array fill whole lines if the first one begins a line.
bool may_stream(const Emitter *emitter, const Kernel *kernel, const Instruction *store) {
    enum { LINE_BYTES = 64 };
    int vector_axis = vector_axis_of(kernel);
    int64_t size = dtype_size(store->buffer->dtype), stride;
    if (!store->streamed || vector_axis < 0 || !extent_is(store->affine.strides[vector_axis], 1)) return false;
    if (size * kernel_lanes(emitter, kernel) != emitter->target->vector_bytes) return false;
    for (int axis = 0; axis < kernel->axis_count; axis++) {
        if (axis == vector_axis) continue;
        if (!extent_is_constant(store->affine.strides[axis], &stride) || stride * size % LINE_BYTES) return false;
    }
    return true;
}

// Bits that are zero if the place of the array's first vector is a multiple of the size.
static LLVMValueRef misalignment(Emitter *emitter, const Instruction *store) {
    const Code *code = &emitter->code;
    LLVMValueRef base = extent_value_of(emitter, store->affine.base), address = buffer_address(emitter, store->buffer);
    LLVMTypeRef type = v_memory_type(code, store->buffer->dtype);
    LLVMValueRef first = LLVMBuildGEP2(code->builder, type, address, &base, 1, "");
    LLVMValueRef number = LLVMBuildPtrToInt(code->builder, first, v_i64_type(code), "");
    return LLVMBuildAnd(code->builder, number, v_i64(code, emitter->target->vector_bytes - 1), "");
}

bool begin_streams(Emitter *emitter, const Kernel *kernel, Streams *streams) {
    const Code *code = &emitter->code;
    LLVMValueRef misaligned = NULL;
    *streams = (Streams){0};
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *store = &kernel->instructions.items[i];
        if (store->kind != INSTRUCTION_STORE || !may_stream(emitter, kernel, store)) continue;
        LLVMValueRef bits = misalignment(emitter, store);
        misaligned = misaligned ? LLVMBuildOr(code->builder, misaligned, bits, "") : bits;
    }
    if (!misaligned) return false;
    LLVMBasicBlockRef aligned = b_new(code, "past_caches");
    streams->other = b_new(code, "into_caches");
    streams->join = b_new(code, "stored");
    LLVMValueRef is_aligned = LLVMBuildICmp(code->builder, LLVMIntEQ, misaligned, v_i64(code, 0), "");
    LLVMBuildCondBr(code->builder, is_aligned, aligned, streams->other);
    b_go(code, aligned);
    emitter->streams = true;
    return true;
}

void other_streams(Emitter *emitter, Streams *streams) {
    const Code *code = &emitter->code;
    emitter->streams = false;
    LLVMBuildFence(code->builder, LLVMAtomicOrderingSequentiallyConsistent, 0, "");
    LLVMBuildBr(code->builder, streams->join);
    b_go(code, streams->other);
}

void end_streams(Emitter *emitter, Streams *streams) {
    if (!streams->join) return;
    LLVMBuildBr(emitter->code.builder, streams->join);
    b_go(&emitter->code, streams->join);
}
