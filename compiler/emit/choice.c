// Conditions that are the same for every element, such as "without momentum": where one of them saves a kernel from
// reading or writing whole arrays, the kernel is emitted twice, and the condition chooses once.
#include "emit/emitter.h"

enum { LARGE_ELEMENTS = 4096 };   // what is smaller lies in the nearest cache, and gains nothing

int chosen_instruction(const Kernel *kernel, int assumed, int instruction) {
    while (assumed >= 0 && instruction >= 0) {
        const Instruction *choice = &kernel->instructions.items[instruction];
        bool decided = choice->kind == INSTRUCTION_MAP && choice->op == OP_where && choice->operands[0] == assumed;
        if (!decided) break;
        instruction = choice->operands[1];
    }
    return instruction;
}

static bool same_place(const Kernel *kernel, const Instruction *a, const Instruction *b) {
    if (a->buffer != b->buffer || a->affine.base != b->affine.base) return false;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (a->affine.strides[axis] != b->affine.strides[axis]) return false;
    return true;
}

bool is_idle(const Kernel *kernel, int assumed, int effect) {
    const Instruction *store = &kernel->instructions.items[effect];
    if (store->kind != INSTRUCTION_STORE) return false;
    const Instruction *value = &kernel->instructions.items[chosen_instruction(kernel, assumed, store->operands[0])];
    return value->kind == INSTRUCTION_LOAD && value->operands[0] < 0 && same_place(kernel, store, value);
}

const bool *needed_instructions(Arena *arena, const Kernel *kernel, int assumed) {
    bool *needed = arena_array(arena, bool, kernel->instructions.count + 1);
    for (int i = kernel->instructions.count - 1; i >= 0; i--) {
        const Instruction *instruction = &kernel->instructions.items[i];
        if (is_effect(instruction)) needed[i] = !is_idle(kernel, assumed, i);
        for (int k = 0; k < MAX_ARITY && needed[i]; k++) {
            int operand = instruction->operands[k];
            if (operand >= 0) needed[chosen_instruction(kernel, assumed, operand)] = true;
        }
    }
    return needed;
}

// Arrays that are read and written element by element.
static int count_accesses(Arena *arena, const Kernel *kernel, const uint32_t *depends, int assumed) {
    const bool *needed = needed_instructions(arena, kernel, assumed);
    int count = 0;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool accesses = instruction->kind == INSTRUCTION_LOAD || is_effect(instruction);
        count += accesses && needed[i] && depends[i];
    }
    return count;
}

int find_choice(Arena *arena, const Kernel *kernel) {
    const uint32_t *depends = kernel_depends(arena, kernel);
    int64_t elements = 1, extent;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        elements *= extent_is_constant(kernel->axes[axis].extent, &extent) ? extent : LARGE_ELEMENTS;
    int best = -1, least = count_accesses(arena, kernel, depends, -1);
    for (int i = 0; i < kernel->instructions.count && elements >= LARGE_ELEMENTS; i++) {
        const Instruction *choice = &kernel->instructions.items[i];
        bool uniform = choice->kind == INSTRUCTION_MAP && choice->op == OP_where && !depends[choice->operands[0]];
        int count = uniform ? count_accesses(arena, kernel, depends, choice->operands[0]) : least;
        if (count >= least) continue;
        least = count;
        best = choice->operands[0];
    }
    return best;
}
