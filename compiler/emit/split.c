// Who does what: the workers of a region each run the whole function, and of every kernel that is large enough each
// takes a range of one axis (kernels/cost.c says which). What is small, one of them does. Between kernels that do not
// have the same one worker all wait for each other. Elements are computed in the same way whoever computes them.
#include "emit/emitter.h"

// ---- which kernels are divided

static Sharing never(void) {
    return (Sharing){SHARED_NEVER, NULL};
}

static Sharing either(Emitter *emitter, Sharing a, Sharing b) {
    if (a.when == SHARED_ALWAYS || b.when == SHARED_NEVER) return a;
    if (b.when == SHARED_ALWAYS || a.when == SHARED_NEVER) return b;
    return (Sharing){SHARED_SOMETIMES, LLVMBuildOr(emitter->code.builder, a.condition, b.condition, "")};
}

Sharing kernel_sharing(Emitter *emitter, const Kernel *kernel) {
    const Code *code = &emitter->code;
    Sharing sharing = never();
    if (!emitter->worker) return sharing;
    if (kernel->kind == KERNEL_LOOP) {
        for (int i = 0; i < kernel->body.count; i++)
            sharing = either(emitter, sharing, kernel_sharing(emitter, kernel->body.items[i]));
        return sharing;
    }
    if (kernel_split_axis(emitter->program, kernel) < 0) return sharing;
    const Extent *work = kernel_work(emitter->program, kernel);
    int64_t known;
    if (extent_is_constant(work, &known))
        return (Sharing){known < emitter->program->split_work ? SHARED_NEVER : SHARED_ALWAYS, NULL};
    LLVMValueRef least = v_i64(code, emitter->program->split_work), value = extent_value_of(emitter, work);
    return (Sharing){SHARED_SOMETIMES, LLVMBuildICmp(code->builder, LLVMIntSGE, value, least, "shared")};
}

void emit_barrier(Emitter *emitter, const Kernel *before, const Kernel *after) {
    const Code *code = &emitter->code;
    Sharing sharing = either(emitter, kernel_sharing(emitter, before), kernel_sharing(emitter, after));
    if (sharing.when == SHARED_NEVER || emitter->program->timed) return;   // timed: all meet after each kernel
    Branch branch = {0};
    if (sharing.when == SHARED_SOMETIMES) branch = b_if(code, sharing.condition);
    LLVMTypeRef pointer = v_pointer_type(code);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(code->context), &pointer, 1, 0);
    LLVMBuildCall2(code->builder, type, emitter->synchronise, &emitter->frame, 1, "");
    if (sharing.when == SHARED_SOMETIMES) b_join(code, branch);
}

bool begin_one_worker(Emitter *emitter, const Kernel *kernel, Branch *branch) {
    const Code *code = &emitter->code;
    Sharing sharing = kernel_sharing(emitter, kernel);
    if (!emitter->worker || sharing.when == SHARED_ALWAYS) return false;
    LLVMValueRef mine = LLVMBuildICmp(code->builder, LLVMIntEQ, emitter->worker, v_i64(code, 0), "");
    if (sharing.when == SHARED_SOMETIMES) mine = LLVMBuildOr(code->builder, mine, sharing.condition, "");
    *branch = b_if(code, mine);
    return true;
}

// ---- ranges

void begin_split(Emitter *emitter, const Kernel *kernel) {
    const Code *code = &emitter->code;
    emitter->split_axis = -1;
    Sharing sharing = kernel_sharing(emitter, kernel);
    if (sharing.when == SHARED_NEVER || kernel->kind == KERNEL_LOOP) return;
    emitter->split_axis = kernel_split_axis(emitter->program, kernel);
    emitter->part = emitter->worker;
    emitter->parts = emitter->workers;
    if (sharing.when == SHARED_ALWAYS) return;
    emitter->part = v_select(code, sharing.condition, emitter->worker, v_i64(code, 0));
    emitter->parts = v_select(code, sharing.condition, emitter->workers, v_i64(code, 1));
}

bool is_split(const Emitter *emitter, int axis) {
    return emitter->worker && emitter->split_axis == axis;
}

// The border before part `part`: a multiple of `block`, at most `extent`.
static LLVMValueRef border(Emitter *emitter, LLVMValueRef extent, int64_t block, LLVMValueRef part) {
    const Code *code = &emitter->code;
    LLVMValueRef size = v_i64(code, block);
    LLVMValueRef blocks = v_add(code, extent, v_i64(code, block - 1));
    blocks = LLVMBuildUDiv(code->builder, blocks, size, "");
    LLVMValueRef before = LLVMBuildUDiv(code->builder, v_multiply(code, blocks, part), emitter->parts, "");
    return v_minimum(code, v_multiply(code, before, size), extent);
}

Range axis_range(Emitter *emitter, const Kernel *kernel, int axis, int64_t block) {
    const Code *code = &emitter->code;
    LLVMValueRef extent = extent_value_of(emitter, kernel->axes[axis].extent);
    if (!is_split(emitter, axis)) return (Range){v_i64(code, 0), extent};
    LLVMValueRef next = v_add(code, emitter->part, v_i64(code, 1));
    return (Range){border(emitter, extent, block, emitter->part), border(emitter, extent, block, next)};
}

LLVMValueRef own_copy(Emitter *emitter, const Buffer *buffer) {
    const Code *code = &emitter->code;
    LLVMValueRef address = buffer_address(emitter, buffer);
    if (!emitter->worker || buffer->copies == 1) return address;
    LLVMValueRef elements = extent_value_of(emitter, buffer->elements);
    LLVMValueRef offset = v_multiply(code, emitter->worker, elements);
    return LLVMBuildGEP2(code->builder, v_memory_type(code, buffer->dtype), address, &offset, 1, "");
}
