// Along which axes of its kernel an instruction changes.
#include "kernels/kernel.h"

static bool has_affine(const Instruction *instruction) {
    return instruction->kind == INSTRUCTION_INDEX || instruction->kind == INSTRUCTION_RANDOM ||
           instruction->kind == INSTRUCTION_LOAD || is_effect(instruction);
}

const uint32_t *kernel_depends(Arena *arena, const Kernel *kernel) {
    uint32_t *depends = arena_array(arena, uint32_t, kernel->instructions.count + 1);
    uint32_t reduced = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++) {
        AxisRole role = kernel->axes[axis].role;
        if (role == AXIS_ROW || role == AXIS_COLUMN || role == AXIS_K) reduced |= UINT32_C(1) << axis;
    }
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        for (int k = 0; k < MAX_ARITY; k++)
            if (instruction->operands[k] >= 0) depends[i] |= depends[instruction->operands[k]];
        for (int axis = 0; has_affine(instruction) && axis < kernel->axis_count; axis++)
            if (!extent_is(instruction->affine.strides[axis], 0)) depends[i] |= UINT32_C(1) << axis;
        bool reduces = instruction->kind == INSTRUCTION_REDUCE || instruction->kind == INSTRUCTION_CONTRACT;
        if (reduces) depends[i] &= ~reduced;
    }
    return depends;
}
