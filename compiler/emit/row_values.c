// Values that several passes over a row need and that are dear to compute, such as softmax's exponentials: the first
// pass that computes them puts them into a row on the stack, and later ones read them there.
#include "emit/row_values.h"

LLVMValueRef row_at(Emitter *emitter, int64_t byte) {
    const Code *code = &emitter->code;
    LLVMValueRef offset = v_i64(code, byte), rows = stack_room(emitter, &emitter->rows, MAX_ROW_BYTES, "rows");
    return LLVMBuildGEP2(code->builder, LLVMInt8TypeInContext(code->context), rows, &offset, 1, "");
}

// Room for one value of each element of the row; false: there is none.
static bool reserve_row(Emitter *emitter, RowValues *values, int instruction, int phase, int64_t bytes) {
    if (values->count == MAX_ROW_VALUES || values->bytes + bytes > MAX_ROW_BYTES) return false;
    values->items[values->count++] = (RowValue){instruction, phase, row_at(emitter, values->bytes)};
    values->bytes += bytes;
    return true;
}

// From users to what they use, so that it is known in which passes an element's value is needed: bit p for pass p.
// Reductions stand between the passes. What is kept needs its own operands in its first pass only.
void find_row_values(Emitter *emitter, const Scope *outer, int row, int step, RowValues *values) {
    const Kernel *kernel = outer->kernel;
    int64_t extent;
    *values = (RowValues){0};
    if (!extent_is_constant(kernel->axes[row].extent, &extent) || extent <= step) return;
    int64_t elements = (extent + step - 1) / step * step;
    uint32_t *passes = arena_array(emitter->arena, uint32_t, kernel->instructions.count + 1);
    for (int i = kernel->instructions.count - 1; i >= 0; i--) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool each = outer->depends[i] >> row & 1, reduces = instruction->kind == INSTRUCTION_REDUCE;
        if (reduces || (is_effect(instruction) && each)) passes[i] = UINT32_C(1) << instruction->phase;
        uint32_t first = passes[i] & -passes[i];
        bool keep = each && passes[i] != first && instruction_is_dear(instruction) && !reduces;
        if (keep && reserve_row(emitter, values, i, __builtin_ctz(first), elements * dtype_size(instruction->dtype)))
            passes[i] = first;
        for (int k = 0; k < MAX_ARITY; k++) {
            int operand = instruction->operands[k];
            if (operand >= 0 && (outer->depends[operand] >> row & 1)) passes[operand] |= passes[i];
        }
    }
}

static LLVMValueRef place(Emitter *emitter, const RowValue *value, const Scope *scope, int row) {
    const Code *code = &emitter->code;
    Dtype dtype = scope->kernel->instructions.items[value->instruction].dtype;
    return LLVMBuildGEP2(code->builder, v_scalar_type(code, dtype), value->row, (LLVMValueRef[]){scope->index[row]}, 1,
                         "");
}

void take_row_values(Emitter *emitter, const RowValues *values, Scope *scope, int row, int phase) {
    for (int i = 0; i < values->count; i++) {
        const RowValue *value = &values->items[i];
        if (phase <= value->phase) continue;
        Dtype dtype = scope->kernel->instructions.items[value->instruction].dtype;
        LLVMTypeRef type = v_type(&emitter->code, dtype, scope->width);
        LLVMValueRef loaded = LLVMBuildLoad2(emitter->code.builder, type, place(emitter, value, scope, row), "");
        LLVMSetAlignment(loaded, (unsigned)dtype_size(dtype));
        scope_set(scope, value->instruction, loaded);
    }
}

void keep_row_values(Emitter *emitter, const RowValues *values, Scope *scope, int row, int phase) {
    for (int i = 0; i < values->count; i++) {
        const RowValue *value = &values->items[i];
        if (phase != value->phase) continue;
        LLVMValueRef computed = scope_value(emitter, scope, value->instruction);
        LLVMValueRef store = LLVMBuildStore(emitter->code.builder, computed, place(emitter, value, scope, row));
        Dtype dtype = scope->kernel->instructions.items[value->instruction].dtype;
        LLVMSetAlignment(store, (unsigned)dtype_size(dtype));
    }
}
