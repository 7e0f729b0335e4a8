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

const char *kernel_program_verify(const KernelProgram *program) {
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->first_use >= 0 && !buffer->offset) return "a buffer without a place";
    }
    return check_kernels(&program->kernels);
}
