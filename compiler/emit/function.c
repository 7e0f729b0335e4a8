// A KernelProgram's function: one argument, the frame; entry computes where everything lies, then the kernels follow.
#include "emit/emitter.h"
#include "runtime/frame.h"

#include <string.h>

enum {
#define FIELD(type, name) FIELD_##name,
    GRADC_FRAME_FIELDS(FIELD)
#undef FIELD
};

// Every field of the frame is eight bytes.
static LLVMValueRef load_field(Emitter *emitter, int field, LLVMTypeRef type, const char *name) {
    const Code *code = &emitter->code;
    LLVMValueRef index = v_i64(code, field);
    LLVMValueRef place = LLVMBuildGEP2(code->builder, v_i64_type(code), emitter->frame, &index, 1, "");
    return LLVMBuildLoad2(code->builder, type, place, name);
}

_Static_assert(sizeof(gradc_frame) == 8 * (FIELD_fault + 1), "a field of the frame is not eight bytes");

static const int space_fields[] = {[SPACE_PARAMETERS] = FIELD_parameters,
                                   [SPACE_GRADIENTS] = FIELD_gradients,
                                   [SPACE_STATE] = FIELD_state,
                                   [SPACE_OPTIMIZER] = FIELD_optimizer,
                                   [SPACE_INPUT] = FIELD_inputs,
                                   [SPACE_OUTPUT] = FIELD_outputs,
                                   [SPACE_TAPE] = FIELD_tape,
                                   [SPACE_SCRATCH] = FIELD_scratch,
                                   [SPACE_HYPERPARAMETERS] = FIELD_hyperparameters};

static LLVMValueRef base_pointer(Emitter *emitter, const Buffer *buffer) {
    const Code *code = &emitter->code;
    LLVMTypeRef pointer = v_pointer_type(code);
    LLVMValueRef base = load_field(emitter, space_fields[buffer->space], pointer, "");
    if (buffer->space == SPACE_INPUT || buffer->space == SPACE_OUTPUT) {
        LLVMValueRef index = v_i64(code, buffer->index);
        LLVMValueRef place = LLVMBuildGEP2(code->builder, pointer, base, &index, 1, "");
        base = LLVMBuildLoad2(code->builder, pointer, place, "");
    }
    if (!buffer->offset || extent_is(buffer->offset, 0)) return base;
    LLVMValueRef offset = extent_value_of(emitter, buffer->offset);
    return LLVMBuildGEP2(code->builder, LLVMInt8TypeInContext(code->context), base, &offset, 1, "");
}

static void mark_used(const Kernel *kernel, bool *used) {
    for (int i = 0; i < kernel->instructions.count; i++)
        if (kernel->instructions.items[i].buffer) used[kernel->instructions.items[i].buffer->id] = true;
    if (kernel->pack) used[kernel->pack->id] = true;
    for (int i = 0; i < kernel->body.count; i++) mark_used(kernel->body.items[i], used);
}

static void find_buffers(Emitter *emitter) {
    const KernelProgram *program = emitter->program;
    bool *used = arena_array(emitter->arena, bool, program->buffers.count + 1);
    for (int i = 0; i < program->kernels.count; i++) mark_used(program->kernels.items[i], used);
    emitter->buffers = arena_array(emitter->arena, LLVMValueRef, program->buffers.count + 1);
    for (int i = 0; i < program->buffers.count; i++)
        if (used[i]) emitter->buffers[i] = base_pointer(emitter, program->buffers.items[i]);
}

static void add_attribute(const Code *code, const char *key, const char *value) {
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(code->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex, attribute);
}

void declare_function(Emitter *emitter, const char *name, LLVMTypeRef type) {
    Code *code = &emitter->code;
    code->function = LLVMAddFunction(code->module, name, type);
    emitter->frame = LLVMGetParam(code->function, 0);
    LLVMSetValueName2(emitter->frame, "frame", 5);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(code->context, nounwind, 0));
    const char *width = emitter->vector_bytes == 64 ? "512" : emitter->vector_bytes == 32 ? "256" : "128";
    add_attribute(code, "prefer-vector-width", width);
    add_attribute(code, "target-cpu", emitter->cpu);
    add_attribute(code, "target-features", emitter->features);
}

void emit_entry(Emitter *emitter, LLVMValueRef status) {
    const Code *code = &emitter->code;
    LLVMTypeRef pointer = v_pointer_type(code), i64 = v_i64_type(code), i32 = LLVMInt32TypeInContext(code->context);
    emitter->entry = b_new(code, "entry");
    b_go(code, emitter->entry);
    emitter->status = status ? status : LLVMBuildAlloca(code->builder, i32, "status");
    if (!status) LLVMBuildStore(code->builder, LLVMConstNull(i32), emitter->status);
    emitter->dims = load_field(emitter, FIELD_dims, pointer, "dims");
    emitter->seed = load_field(emitter, FIELD_seed, i64, "seed");
    emitter->draw_count = load_field(emitter, FIELD_draw_count, i64, "draw_count");
    emitter->fault = load_field(emitter, FIELD_fault, pointer, "fault");
    LLVMBasicBlockRef body = b_new(code, "kernels");
    LLVMBuildBr(code->builder, body);
    b_go(code, body);
}

typedef void EmitKernel(Emitter *emitter, const Kernel *kernel);
static EmitKernel *const kinds[] = {
    [KERNEL_MAP] = emit_map,           [KERNEL_ROW] = emit_row,         [KERNEL_COLUMN] = emit_column,
    [KERNEL_CONTRACT] = emit_contract, [KERNEL_SCATTER] = emit_scatter, [KERNEL_SORT] = emit_sort,
    [KERNEL_LOOP] = emit_loop};

void emit_kernel_here(Emitter *emitter, const Kernel *kernel) {
    kinds[kernel->kind](emitter, kernel);
}

void emit_kernel(Emitter *emitter, const Kernel *kernel) {
    if (kernel->kind == KERNEL_LOOP || !call_shared(emitter, kernel)) emit_kernel_here(emitter, kernel);
}

LLVMModuleRef emit_function(LLVMContextRef context, const KernelProgram *program, int vector_bytes,
                            int vector_registers, const char *cpu, const char *features) {
    Emitter emitter = {.program = program, .arena = program->arena, .cpu = cpu, .features = features};
    emitter.vector_bytes = vector_bytes;
    emitter.vector_registers = vector_registers;
    Code *code = &emitter.code;
    code->context = context;
    code->module = LLVMModuleCreateWithNameInContext(program->name, context);
    code->builder = LLVMCreateBuilderInContext(context);
    LLVMTypeRef argument = v_pointer_type(code), i32 = LLVMInt32TypeInContext(context);
    declare_function(&emitter, program->name, LLVMFunctionType(i32, &argument, 1, 0));
    emit_entry(&emitter, NULL);
    find_buffers(&emitter);
    find_shapes(&emitter);
    for (int i = 0; i < program->kernels.count; i++) emit_kernel(&emitter, program->kernels.items[i]);
    LLVMBuildRet(code->builder, LLVMBuildLoad2(code->builder, i32, emitter.status, ""));
    LLVMDisposeBuilder(code->builder);
    return code->module;
}
