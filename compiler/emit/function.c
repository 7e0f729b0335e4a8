// A KernelProgram's function: one argument, the frame; entry computes where everything lies, then the kernels follow.
#include "emit/emitter.h"
#include "runtime/gradc_frame.h"

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

_Static_assert(sizeof(gradc_frame) == 8 * (FIELD_team + 1), "a field of the frame is not eight bytes");

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
    LLVMPositionBuilderBefore(code->builder, LLVMGetBasicBlockTerminator(emitter->entry));
    return LLVMBuildGEP2(code->builder, LLVMInt8TypeInContext(code->context), base, &offset, 1, "");
}

LLVMValueRef buffer_address(Emitter *emitter, const Buffer *buffer) {
    const Code *code = &emitter->code;
    BufferValue *known = &emitter->buffers[buffer->id];
    if (known->function == code->function) return known->value;
    LLVMBasicBlockRef here = b_here(code);
    LLVMPositionBuilderBefore(code->builder, LLVMGetBasicBlockTerminator(emitter->entry));
    *known = (BufferValue){code->function, base_pointer(emitter, buffer)};
    b_go(code, here);
    return known->value;
}

LLVMValueRef stack_room(Emitter *emitter, LLVMValueRef *known, uint64_t bytes, const char *name) {
    enum { ALIGNMENT = 128 };
    if (*known) return *known;
    const Code *code = &emitter->code;
    LLVMBasicBlockRef here = b_here(code);
    LLVMPositionBuilderBefore(code->builder, LLVMGetFirstInstruction(emitter->entry));
    *known = LLVMBuildAlloca(code->builder, LLVMArrayType2(LLVMInt8TypeInContext(code->context), bytes), name);
    LLVMSetAlignment(*known, ALIGNMENT);
    b_go(code, here);
    return *known;
}

static void add_attribute(const Code *code, const char *key, const char *value) {
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(code->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex, attribute);
}

static void declare_function(Emitter *emitter, const char *name, LLVMTypeRef type) {
    Code *code = &emitter->code;
    code->function = LLVMAddFunction(code->module, name, type);
    emitter->frame = LLVMGetParam(code->function, 0);
    LLVMSetValueName2(emitter->frame, "frame", 5);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(code->context, nounwind, 0));
    const char *width = emitter->target->vector_bytes == 64   ? "512"
                        : emitter->target->vector_bytes == 32 ? "256"
                                                              : "128";
    add_attribute(code, "prefer-vector-width", width);
    add_attribute(code, "probe-stack", "inline-asm");   // a frame is larger than a page that guards a stack
    add_attribute(code, "target-cpu", emitter->target->cpu);
    add_attribute(code, "target-features", emitter->target->features);
}

static void emit_entry(Emitter *emitter, LLVMValueRef status) {
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
    if (emitter->program->timed) emitter->synchronise = load_field(emitter, FIELD_synchronise, pointer, "synchronise");
    if (emitter->program->workers > 1) {
        emitter->worker = load_field(emitter, FIELD_worker, i64, "worker");
        emitter->workers = load_field(emitter, FIELD_workers, i64, "workers");
        emitter->synchronise = load_field(emitter, FIELD_synchronise, pointer, "synchronise");
    }
    LLVMBasicBlockRef body = b_new(code, "kernels");
    LLVMBuildBr(code->builder, body);
    b_go(code, body);
}

// ---- functions inside the module: of the frame, the status, the counters of enclosing loops, then pointers

int loop_count(const Kernel *kernel) {
    int count = 0;
    while (count < kernel->axis_count && kernel->axes[count].role == AXIS_LOOP) count++;
    return count;
}

// The types of a module are those of its context.
static LLVMTypeRef inner_type(const Emitter *emitter, int loops, int pointers) {
    const Code *code = &emitter->code;
    int count = 2 + loops + pointers;
    LLVMTypeRef *types = arena_array(emitter->arena, LLVMTypeRef, count);
    for (int i = 0; i < count; i++) types[i] = i >= 2 && i < 2 + loops ? v_i64_type(code) : v_pointer_type(code);
    return LLVMFunctionType(LLVMVoidTypeInContext(code->context), types, (unsigned)count, 0);
}

// The next function's: that with the least code so far, whatever the number of threads.
static int choose_module(const Modules *modules) {
    int best = 0;
    for (int i = 1; i < modules->count; i++)
        if (modules->instructions[i] < modules->instructions[best]) best = i;
    return best;
}

// A name that no module has: a function may be called from another module, by its name.
static const char *free_name(const Emitter *emitter, const char *name) {
    const char *wanted = name;
    for (;;) {
        bool taken = false;
        for (int i = 0; i < emitter->modules->count; i++)
            taken = taken || LLVMGetNamedFunction(emitter->modules->codes[i].module, wanted);
        if (!taken) return wanted;
        wanted = arena_print(emitter->arena, "%s.%d", name, ++emitter->modules->renamed);
    }
}

Emitter begin_inner(const Emitter *emitter, const char *name, int loops, int pointers) {
    Emitter inner = *emitter;
    inner.code = emitter->modules->codes[choose_module(emitter->modules)];
    memset(&inner.extents, 0, sizeof inner.extents);
    memset(&inner.factors, 0, sizeof inner.factors);
    inner.totals = inner.rows = NULL;
    declare_function(&inner, free_name(emitter, name), inner_type(&inner, loops, pointers));
    LLVMSetLinkage(inner.code.function, LLVMInternalLinkage);
    emit_entry(&inner, LLVMGetParam(inner.code.function, 1));
    for (int i = 0; i < loops; i++) inner.loop_index[i] = LLVMGetParam(inner.code.function, 2 + (unsigned)i);
    return inner;
}

static int count_instructions(LLVMValueRef function) {
    int count = 0;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block))
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at)) count++;
    return count;
}

void end_inner(const Emitter *inner) {
    LLVMBuildRetVoid(inner->code.builder);
    for (int i = 0; i < inner->modules->count; i++)
        if (inner->modules->codes[i].module == inner->code.module)
            inner->modules->instructions[i] += count_instructions(inner->code.function);
}

// The function as this module knows it: what another one calls has a name there, but none outside of the program.
static LLVMValueRef function_here(Emitter *emitter, LLVMValueRef function, LLVMTypeRef type) {
    const Code *code = &emitter->code;
    if (LLVMGetGlobalParent(function) == code->module) return function;
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    LLVMValueRef here = LLVMGetNamedFunction(code->module, name);
    if (here) return here;
    here = LLVMAddFunction(code->module, name, type);
    LLVMSetLinkage(function, LLVMExternalLinkage);
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    LLVMSetVisibility(here, LLVMHiddenVisibility);
    return here;
}

void call_inner(Emitter *emitter, LLVMValueRef function, int loops, const LLVMValueRef *pointers, int pointer_count) {
    LLVMValueRef *arguments = arena_array(emitter->arena, LLVMValueRef, 2 + loops + pointer_count);
    int count = 0;
    arguments[count++] = emitter->frame;
    arguments[count++] = emitter->status;
    for (int i = 0; i < loops; i++) arguments[count++] = emitter->loop_index[i];
    for (int i = 0; i < pointer_count; i++) arguments[count++] = pointers[i];
    LLVMTypeRef type = inner_type(emitter, loops, pointer_count);
    function = function_here(emitter, function, type);
    LLVMBuildCall2(emitter->code.builder, type, function, arguments, (unsigned)count, "");
}

// ---- kernels in order

typedef void EmitKernel(Emitter *emitter, const Kernel *kernel);
static EmitKernel *const kinds[] = {
    [KERNEL_MAP] = emit_map,           [KERNEL_ROW] = emit_row,         [KERNEL_COLUMN] = emit_column,
    [KERNEL_CONTRACT] = emit_contract, [KERNEL_SCATTER] = emit_scatter, [KERNEL_SORT] = emit_sort,
    [KERNEL_LOOP] = emit_loop};

void emit_kernel_here(Emitter *emitter, const Kernel *kernel) {
    begin_split(emitter, kernel);
    Streams streams;
    if (begin_streams(emitter, kernel, &streams)) {
        kinds[kernel->kind](emitter, kernel);
        other_streams(emitter, &streams);
    }
    kinds[kernel->kind](emitter, kernel);
    end_streams(emitter, &streams);
}

// Says that the kernel has ended.
static void emit_time(Emitter *emitter, const Kernel *kernel) {
    const Code *code = &emitter->code;
    LLVMTypeRef types[] = {v_pointer_type(code), v_i64_type(code)};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(code->context), types, 2, 0);
    LLVMValueRef arguments[] = {emitter->frame, v_i64(code, (int64_t)(intptr_t)kernel)};
    LLVMBuildCall2(code->builder, type, emitter->synchronise, arguments, 2, "");
}

static void emit_kernel(Emitter *emitter, const Kernel *kernel) {
    Branch one_worker;
    bool all_meet = emitter->program->timed && kernel->kind == KERNEL_LOOP;   // after each kernel of its body
    bool branches = !all_meet && begin_one_worker(emitter, kernel, &one_worker);
    if (kernel->kind == KERNEL_LOOP || !call_shared(emitter, kernel)) emit_kernel_here(emitter, kernel);
    if (branches) b_join(&emitter->code, one_worker);
    if (emitter->program->timed) emit_time(emitter, kernel);
}

// Barriers stand between them; before the first and after the last the caller sees to it.
static void emit_range(Emitter *emitter, Kernel *const *kernels, int count) {
    for (int i = 0; i < count; i++) {
        if (i) emit_barrier(emitter, kernels[i - 1], kernels[i]);
        emit_kernel(emitter, kernels[i]);
    }
}

static void emit_part(Emitter *emitter, Kernel *const *kernels, int count) {
    LLVMBasicBlockRef here = b_here(&emitter->code);
    int loops = loop_count(kernels[0]) - (kernels[0]->kind == KERNEL_LOOP);
    const char *name = arena_print(emitter->arena, "%s.part%d", emitter->program->name, kernels[0]->id);
    Emitter inner = begin_inner(emitter, name, loops, 0);
    emit_range(&inner, kernels, count);
    end_inner(&inner);
    b_go(&emitter->code, here);
    call_inner(emitter, inner.code.function, loops, NULL, 0);
}

// LLVM's time grows faster than a function does, so long lists of kernels are cut into parts.
enum { PART_KERNELS = 32 };

void emit_kernels(Emitter *emitter, const KernelArray *kernels) {
    if (kernels->count <= PART_KERNELS) emit_range(emitter, kernels->items, kernels->count);
    else
        for (int i = 0; i < kernels->count; i += PART_KERNELS) {
            int left = kernels->count - i;
            if (i) emit_barrier(emitter, kernels->items[i - 1], kernels->items[i]);
            emit_part(emitter, kernels->items + i, left < PART_KERNELS ? left : PART_KERNELS);
        }
}

// About how much code stands in the program's own function.
static int expected_instructions(const KernelProgram *program, const KernelArray *kernels) {
    enum { FOR_EACH = 16 };   // instruction of a kernel
    int count = 0;
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        if (kernel->kind == KERNEL_LOOP) count += expected_instructions(program, &kernel->body);
        else if (!kernel_stands_apart(program, kernel)) count += FOR_EACH * kernel->instructions.count;
    }
    return count;
}

static void emit_body(Emitter *emitter) {
    Code *code = &emitter->code;
    const KernelProgram *program = emitter->program;
    LLVMTypeRef argument = v_pointer_type(code), i32 = LLVMInt32TypeInContext(code->context);
    declare_function(emitter, program->name, LLVMFunctionType(i32, &argument, 1, 0));
    emit_entry(emitter, NULL);
    emitter->buffers = arena_array(emitter->arena, BufferValue, program->buffers.count);
    find_shapes(emitter);
    emitter->modules->instructions[0] = expected_instructions(program, &program->kernels);
    emit_kernels(emitter, &program->kernels);
    LLVMBuildRet(code->builder, LLVMBuildLoad2(code->builder, i32, emitter->status, ""));
}

static Code open_module(LLVMContextRef context, const char *name) {
    return (Code){.context = context,
                  .module = LLVMModuleCreateWithNameInContext(name, context),
                  .builder = LLVMCreateBuilderInContext(context)};
}

bool emit_function(const LLVMContextRef *contexts, int count, const KernelProgram *program, const Target *target,
                   LLVMModuleRef *modules) {
    Modules opened = {.count = count};
    for (int i = 0; i < count; i++) opened.codes[i] = open_module(contexts[i], program->name);
    Emitter emitter = {.code = opened.codes[0],
                       .modules = &opened,
                       .program = program,
                       .arena = program->arena,
                       .target = target,
                       .assumed = -1};
    // When memory runs out, what LLVM made is freed, and the compiler recovers further out.
    jmp_buf outer;
    memcpy(&outer, arena_recover(program->arena), sizeof outer);
    bool exhausted = setjmp(*arena_recover(program->arena)) != 0;
    if (!exhausted) emit_body(&emitter);
    memcpy(arena_recover(program->arena), &outer, sizeof outer);
    for (int i = 0; i < count; i++) {
        modules[i] = opened.codes[i].module;
        LLVMDisposeBuilder(opened.codes[i].builder);
        if (exhausted) LLVMDisposeModule(modules[i]);
    }
    return !exhausted;
}

// ---- what the processor can do at most

// Chains of fma, none of which waits for another.
static void emit_chains(const Code *code, LLVMValueRef rounds, LLVMValueRef numbers, LLVMValueRef result, int width) {
    LLVMValueRef factor_and_term[2], chains[PEAK_CHAINS], next[PEAK_CHAINS];
    LLVMTypeRef f32 = LLVMFloatTypeInContext(code->context);
    for (int i = 0; i < 2; i++) {
        LLVMValueRef index = v_i64(code, i);
        LLVMValueRef place = LLVMBuildGEP2(code->builder, f32, numbers, &index, 1, "");
        factor_and_term[i] = v_splat(code, LLVMBuildLoad2(code->builder, f32, place, ""), width);
    }
    for (int i = 0; i < PEAK_CHAINS; i++) chains[i] = v_number(code, DTYPE_F32, (Scalar){.real = i}, width);
    Loop loop = loop_begin(code, "round", v_i64(code, 0), rounds, v_i64(code, 1), chains, PEAK_CHAINS);
    for (int i = 0; i < PEAK_CHAINS; i++)
        next[i] = v_fma(code, loop.carries[i], factor_and_term[0], factor_and_term[1]);
    loop_end(code, &loop, next);
    LLVMValueRef sum = loop.carries[0];
    for (int i = 1; i < PEAK_CHAINS; i++) sum = LLVMBuildFAdd(code->builder, sum, loop.carries[i], "");
    sum = LLVMBuildExtractElement(code->builder, sum, v_i64(code, 0), "");
    LLVMBuildStore(code->builder, sum, result);
}

LLVMModuleRef emit_peak(LLVMContextRef context, const Target *target) {
    Emitter emitter = {.target = target};
    Code *code = &emitter.code;
    code->context = context;
    code->module = LLVMModuleCreateWithNameInContext("peak", context);
    code->builder = LLVMCreateBuilderInContext(context);
    LLVMTypeRef pointer = v_pointer_type(code), i32 = LLVMInt32TypeInContext(context);
    declare_function(&emitter, "peak", LLVMFunctionType(i32, &pointer, 1, 0));
    b_go(code, b_new(code, "entry"));
    LLVMValueRef dims = load_field(&emitter, FIELD_dims, pointer, "dims");
    LLVMValueRef inputs = load_field(&emitter, FIELD_inputs, pointer, "inputs");
    LLVMValueRef outputs = load_field(&emitter, FIELD_outputs, pointer, "outputs");
    LLVMValueRef rounds = LLVMBuildLoad2(code->builder, v_i64_type(code), dims, "rounds");
    LLVMValueRef numbers = LLVMBuildLoad2(code->builder, pointer, inputs, "numbers");
    LLVMValueRef result = LLVMBuildLoad2(code->builder, pointer, outputs, "result");
    emit_chains(code, rounds, numbers, result, target->vector_bytes / 4);
    LLVMBuildRet(code->builder, LLVMConstNull(i32));
    LLVMDisposeBuilder(code->builder);
    return code->module;
}
