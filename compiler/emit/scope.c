// An instruction's value somewhere in a loop nest: computed in the outermost scope whose indices it needs.
#include "emit/emitter.h"
#include "emit/math.h"

#include <assert.h>

static void allocate(Emitter *emitter, Scope *scope) {
    scope->values = arena_array(emitter->arena, LLVMValueRef, scope->kernel->instructions.count + 1);
    scope->pointers = arena_array(emitter->arena, LLVMValueRef, scope->kernel->instructions.count + 1);
    scope->splats = NULL;
    scope->divisors = NULL;
}

Scope scope_root(Emitter *emitter, const Kernel *kernel) {
    Scope scope = {.kernel = kernel, .vector_axis = -1, .width = 1};
    scope.depends = kernel_depends(emitter->arena, kernel);
    for (int axis = 0; axis < kernel->axis_count && kernel->axes[axis].role == AXIS_LOOP; axis++)
        scope_bind(&scope, axis, emitter->loop_index[axis]);
    allocate(emitter, &scope);
    return scope;
}

Scope scope_inside(Emitter *emitter, Scope *parent) {
    Scope scope = *parent;
    scope.parent = parent;
    allocate(emitter, &scope);
    return scope;
}

void scope_bind(Scope *scope, int axis, LLVMValueRef index) {
    scope->bound |= UINT32_C(1) << axis;
    scope->index[axis] = index;
}

void scope_vector(Scope *scope, int axis, int width, LLVMValueRef mask) {
    scope->vector_axis = width == 1 ? -1 : axis;
    scope->width = width;
    scope->mask = mask;
}

void scope_set(Scope *scope, int instruction, LLVMValueRef value) {
    scope->values[instruction] = value;
}

// As many as fit for the widest floating type that changes along an axis: a lone f64 number narrows nothing.
int kernel_lanes(const Emitter *emitter, const Kernel *kernel) {
    const uint32_t *depends = kernel_depends(emitter->arena, kernel);
    int size = 4;
    uint32_t loops = axes_mask(kernel, AXIS_LOOP);
    for (int i = 0; i < kernel->instructions.count; i++)
        if (kernel->instructions.items[i].dtype == DTYPE_F64 && (depends[i] & ~loops)) size = 8;
    return emitter->target->vector_bytes / size;
}

LLVMValueRef tail_mask(Emitter *emitter, LLVMValueRef remaining, int width) {
    const Code *code = &emitter->code;
    if (width == 1) return NULL;
    return v_less(code, v_lanes(code, width), v_splat(code, remaining, width));
}

LLVMValueRef affine_value(Emitter *emitter, const Scope *scope, const Affine *affine, uint32_t axes) {
    const Code *code = &emitter->code;
    LLVMValueRef sum = extent_value_of(emitter, affine->base);
    for (int axis = 0; axis < scope->kernel->axis_count; axis++) {
        if (!(axes >> axis & 1) || extent_is(affine->strides[axis], 0)) continue;
        LLVMValueRef index = scope->index[axis];
        if (!extent_is(affine->strides[axis], 1))
            index = v_multiply(code, index, extent_value_of(emitter, affine->strides[axis]));
        sum = v_add(code, sum, index);
    }
    return sum;
}

// The affine's value in every lane.
static LLVMValueRef affine_lanes(Emitter *emitter, const Scope *scope, const Affine *affine, int width) {
    const Code *code = &emitter->code;
    LLVMValueRef first = affine_value(emitter, scope, affine, scope->bound);
    if (width == 1) return first;
    LLVMValueRef stride = extent_value_of(emitter, affine->strides[scope->vector_axis]);
    LLVMValueRef steps = v_multiply(code, v_lanes(code, width), v_splat(code, stride, width));
    return v_add(code, v_splat(code, first, width), steps);
}

static bool is_vector(const Scope *scope, int instruction) {
    return scope->vector_axis >= 0 && (scope->depends[instruction] >> scope->vector_axis & 1);
}

static const Divisor *known_divisor(const Scope *scope, const Instruction *instruction) {
    for (const Scope *at = scope; at && instruction->op == OP_divide; at = at->parent)
        if (at->divisors && at->divisors[instruction->operands[1]].value)
            return &at->divisors[instruction->operands[1]];
    return NULL;
}

static LLVMValueRef compute(Emitter *emitter, Scope *scope, int number) {
    const Code *code = &emitter->code;
    const Instruction *instruction = &scope->kernel->instructions.items[number];
    int width = is_vector(scope, number) ? scope->width : 1;
    switch (instruction->kind) {
    case INSTRUCTION_CONSTANT: return v_number(code, instruction->dtype, instruction->scalar, 1);
    case INSTRUCTION_EXTENT:
    case INSTRUCTION_INDEX: {
        LLVMValueRef value = instruction->kind == INSTRUCTION_EXTENT
                                 ? extent_value_of(emitter, instruction->affine.base)
                                 : affine_lanes(emitter, scope, &instruction->affine, width);
        return op_value(emitter, OP_cast, instruction->dtype, DTYPE_I64, &value);
    }
    case INSTRUCTION_RANDOM: {
        LLVMValueRef element = affine_lanes(emitter, scope, &instruction->affine, width);
        MathEmitter math = {code->context, code->module, code->builder, emitter->target->scales};
        return math_emit_random(&math, instruction->op == OP_random_normal, v_type(code, instruction->dtype, width),
                                element, emitter->seed, emitter->draw_count, instruction->scalar.integer);
    }
    case INSTRUCTION_LOAD: return load_value(emitter, scope, number);
    case INSTRUCTION_MAP: {
        int chosen = chosen_instruction(scope->kernel, emitter->assumed, number);
        if (chosen != number) return scope_value(emitter, scope, chosen);
        LLVMValueRef operands[MAX_ARITY];
        Dtype operand_dtype = instruction->dtype;
        for (int i = 0; i < op_arity(instruction->op); i++) {
            LLVMValueRef operand = scope_value(emitter, scope, instruction->operands[i]);
            if (width == 1 && v_width(operand) > 1)   // an operand that is the same in every lane
                operand = LLVMBuildExtractElement(code->builder, operand, v_i64(code, 0), "");
            operands[i] = v_splat(code, operand, width);
        }
        const Divisor *divisor = width == scope->width && width > 1 ? known_divisor(scope, instruction) : NULL;
        if (divisor) return quotient_of(emitter, instruction->dtype, operands[0], divisor);
        operand_dtype = scope->kernel->instructions.items[instruction->operands[0]].dtype;
        return op_value(emitter, instruction->op, instruction->dtype, operand_dtype, operands);
    }
    default: assert(!"a reduction's value is set by its kernel"); return NULL;
    }
}

// The scope that owns the instruction: the outermost that binds all that it depends on.
static Scope *owner_of(Scope *scope, int instruction) {
    while (scope->parent && (scope->depends[instruction] & ~scope->parent->bound) == 0) scope = scope->parent;
    return scope;
}

static bool is_reduction(const Instruction *instruction) {
    return instruction->kind == INSTRUCTION_REDUCE || instruction->kind == INSTRUCTION_CONTRACT;
}

static LLVMValueRef known_value(Scope *scope, int instruction) {
    for (Scope *at = scope; at; at = at->parent)
        if (at->values[instruction]) return at->values[instruction];
    return NULL;
}

static LLVMValueRef known_splat(const Scope *scope, int instruction) {
    for (const Scope *at = scope; at; at = at->parent)
        if (at->splats && at->splats[instruction]) return at->splats[instruction];
    return NULL;
}

LLVMValueRef scope_value(Emitter *emitter, Scope *scope, int instruction) {
    LLVMValueRef value = known_value(scope, instruction);
    if (!value) value = scope->values[instruction] = compute(emitter, scope, instruction);
    LLVMValueRef splat = scope->width > 1 && v_width(value) == 1 ? known_splat(scope, instruction) : NULL;
    return splat ? splat : v_splat(&emitter->code, value, scope->width);
}

// Along so many vectors or more a divisor is worth a reciprocal.
enum { DIVIDED_VECTORS = 12 };

static bool is_divided_often(const Emitter *emitter, const Scope *scope, int axis, int width) {
    int64_t extent;
    bool known = extent_is_constant(scope->kernel->axes[axis].extent, &extent);
    return emitter->target->fuses && width > 1 && (!known || extent >= (int64_t)DIVIDED_VECTORS * width);
}

static void prepare_divisor(Emitter *emitter, Scope *scope, const Instruction *instruction, int width) {
    if (instruction->kind != INSTRUCTION_MAP || instruction->op != OP_divide) return;
    int number = instruction->operands[1];
    LLVMValueRef value = known_value(scope, number);
    if (!dtype_is_float(instruction->dtype) || !value || v_width(value) > 1 || known_divisor(scope, instruction))
        return;
    if (!scope->divisors) scope->divisors = arena_array(emitter->arena, Divisor, scope->kernel->instructions.count + 1);
    scope->divisors[number] = divisor_of(emitter, instruction->dtype, value, width);
}

void scope_spread(Emitter *emitter, Scope *scope, int axis, int width) {
    const Kernel *kernel = scope->kernel;
    bool divided_often = is_divided_often(emitter, scope, axis, width);
    if (!scope->splats) scope->splats = arena_array(emitter->arena, LLVMValueRef, kernel->instructions.count + 1);
    for (int i = 0; i < kernel->instructions.count; i++) {
        if (!(scope->depends[i] >> axis & 1)) continue;
        if (divided_often) prepare_divisor(emitter, scope, &kernel->instructions.items[i], width);
        for (int k = 0; k < MAX_ARITY; k++) {
            int operand = kernel->instructions.items[i].operands[k];
            LLVMValueRef value = operand >= 0 ? known_value(scope, operand) : NULL;
            if (!value || v_width(value) > 1 || LLVMIsConstant(value) || known_splat(scope, operand)) continue;
            scope->splats[operand] = v_splat(&emitter->code, value, width);
        }
    }
}

void scope_hoist(Emitter *emitter, Scope *scope) {
    const Kernel *kernel = scope->kernel;
    bool *ready = arena_array(emitter->arena, bool, kernel->instructions.count + 1);   // every reduction below is known
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool accesses = instruction->kind == INSTRUCTION_LOAD || is_effect(instruction);
        bool complete = (scope->depends[i] & ~scope->bound) == 0;
        bool known = known_value(scope, i) != NULL;
        ready[i] = known || !is_reduction(instruction);
        for (int k = 0; k < MAX_ARITY && ready[i] && !known; k++)
            if (instruction->operands[k] >= 0) ready[i] = ready[instruction->operands[k]];
        if (accesses && !known) access_pointer(emitter, scope, i);
        if (is_effect(instruction) || known || !complete || !ready[i] || owner_of(scope, i) != scope) continue;
        if (instruction->kind != INSTRUCTION_CONSTANT) scope_value(emitter, scope, i);
    }
}

void scope_load_updated(Emitter *emitter, Scope *scope) {
    const Kernel *kernel = scope->kernel;
    const bool *needed = needed_instructions(emitter->arena, kernel, emitter->assumed);
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *load = &kernel->instructions.items[i];
        bool updated = false;
        if (!needed[i]) continue;
        for (int k = 0; k < kernel->instructions.count && load->kind == INSTRUCTION_LOAD; k++) {
            const Instruction *store = &kernel->instructions.items[k];
            updated = updated || (is_effect(store) && store->buffer == load->buffer);
        }
        if (updated) scope_value(emitter, scope, i);
    }
}

void scope_effects(Emitter *emitter, Scope *scope, int phase, uint32_t with, uint32_t without) {
    for (int i = 0; i < scope->kernel->instructions.count; i++) {
        const Instruction *instruction = &scope->kernel->instructions.items[i];
        if (!is_effect(instruction) || (phase >= 0 && instruction->phase != phase)) continue;
        if ((with && !(scope->depends[i] & with)) || (scope->depends[i] & without)) continue;
        if (is_idle(scope->kernel, emitter->assumed, i)) continue;
        store_value(emitter, scope, i);
    }
}
