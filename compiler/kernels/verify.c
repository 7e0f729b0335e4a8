// What every kernel must be, checked after the stage in builds with assertions and in all tests.
#include "kernels/kernel.h"

#include <string.h>

static const char *check_instruction(const Kernel *kernel, int number) {
    const Instruction *instruction = &kernel->instructions.items[number];
    for (int i = 0; i < MAX_ARITY; i++) {
        int operand = instruction->operands[i];
        if (operand < -1 || operand >= number) return "an operand is not an earlier instruction";
        if (operand >= 0 && kernel->instructions.items[operand].kind >= INSTRUCTION_STORE)
            return "an operand is an effect, not a value";
    }
    bool accesses = instruction->kind == INSTRUCTION_LOAD || is_effect(instruction);
    if (accesses && !instruction->buffer) return "an access without a buffer";
    if (is_effect(instruction) && instruction->operands[0] < 0) return "a store of nothing";
    if (instruction->kind == INSTRUCTION_REDUCE && kernel->kind != KERNEL_ROW && kernel->kind != KERNEL_COLUMN)
        return "a reduction outside a row or column kernel";
    if (instruction->kind == INSTRUCTION_CONTRACT && kernel->kind != KERNEL_CONTRACT)
        return "a contraction outside a contract kernel";
    if (instruction->kind == INSTRUCTION_MAP && op_class(instruction->op) != CLASS_MAP)
        return "a map instruction whose op is not elementwise";
    if (instruction->kind == INSTRUCTION_MAP)
        for (int i = 0; i < op_arity(instruction->op); i++)
            if (instruction->operands[i] < 0) return "a map instruction lacks an operand";
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (!instruction->affine.strides[axis]) return "a stride is missing";
    return NULL;
}

static const char *check_roles(const Kernel *kernel) {
    int counts[AXIS_K + 1] = {0};
    for (int i = 0; i < kernel->axis_count; i++) {
        if (!kernel->axes[i].extent) return "an axis without an extent";
        counts[kernel->axes[i].role]++;
        if (i && kernel->axes[i].role < kernel->axes[i - 1].role) return "axes are out of order";
    }
    switch (kernel->kind) {
    case KERNEL_ROW:
    case KERNEL_SORT: return counts[AXIS_ROW] == 1 ? NULL : "a row kernel needs one row axis";
    case KERNEL_COLUMN: return counts[AXIS_COLUMN] ? NULL : "a column kernel needs a column axis";
    case KERNEL_CONTRACT:
        return counts[AXIS_M] && counts[AXIS_N] == 1 && counts[AXIS_K] ? NULL
                                                                       : "a contraction needs M and K, and one N";
    default: return NULL;
    }
}

static const char *check_kernels(const KernelArray *kernels) {
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        const char *fault = check_roles(kernel);
        for (int k = 0; !fault && k < kernel->instructions.count; k++) fault = check_instruction(kernel, k);
        if (!fault && kernel->kind == KERNEL_LOOP) fault = check_kernels(&kernel->body);
        if (fault) return fault;
    }
    return NULL;
}

// ---- the plan

static bool lives_with(const Buffer *a, const Buffer *b) {
    return a->first_use <= b->last_use && b->first_use <= a->last_use;
}

// Buffers that live together must lie apart. Looked at for a few sizes, small ones among them: that one offset never
// meets another is what the plan has proved for all.
static const char *check_places(const KernelProgram *program, int64_t dim) {
    int count = program->buffers.count, live = 0, dims = 0;
    const Buffer **buffers = arena_array(program->arena, const Buffer *, count);
    int64_t *begins = arena_array(program->arena, int64_t, count), *ends = arena_array(program->arena, int64_t, count);
    for (int i = 0; i < count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->space != SPACE_SCRATCH || buffer->first_use < 0) continue;
        buffers[live++] = buffer;
        const Extent *parts[] = {buffer->offset, buffer->elements};
        for (int k = 0; k < 2; k++)
            if (extent_dim_count(parts[k]) > dims) dims = extent_dim_count(parts[k]);
    }
    int64_t *values = arena_array(program->arena, int64_t, dims + 1);
    for (int i = 0; i < dims; i++) values[i] = dim + i % 3;
    for (int i = 0; i < live; i++) {
        begins[i] = extent_evaluate(buffers[i]->offset, values, NULL);
        int64_t size = (int64_t)dtype_size(buffers[i]->dtype) * buffers[i]->copies;
        ends[i] = begins[i] + extent_evaluate(buffers[i]->elements, values, NULL) * size;
    }
    for (int i = 0; i < live; i++)
        for (int k = 0; k < i; k++)
            if (begins[i] < ends[k] && begins[k] < ends[i] && lives_with(buffers[i], buffers[k]))
                return "two buffers that live together share a place";
    return NULL;
}

const char *kernel_program_verify(const KernelProgram *program) {
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->first_use >= 0 && !buffer->offset) return "a buffer without a place";
    }
    static const int64_t sizes[] = {0, 1, 7, 64};
    const char *fault = check_kernels(&program->kernels);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !fault; i++) fault = check_places(program, sizes[i]);
    return fault;
}
