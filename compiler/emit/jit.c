// LLVM's targets and its JIT. Modules come ready made: explicit vectors, no IR passes.
#include "emit/emit.h"
#include "emit/emitter.h"

#include <assert.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct Jit {
    LLVMOrcLLJITRef lljit;
    LLVMTargetMachineRef machine;
    char *triple, *cpu, *features;
    int vector_bytes, vector_registers;
    int functions;   // makes symbols unique
};

static pthread_once_t targets_once = PTHREAD_ONCE_INIT;
static void start_targets(void) {
    // Addresses are built scope by scope, so strength reduction finds nothing, in half of the time of code generation.
    static const char *const options[] = {"gradc", "-disable-lsr"};
    LLVMParseCommandLineOptions(2, options, NULL);
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

static bool has_feature(const Jit *jit, const char *feature) {
    size_t length = strlen(feature);
    for (const char *at = jit->features; (at = strstr(at, feature)); at += length)
        if (at > jit->features && at[-1] == '+' && (at[length] == ',' || !at[length])) return true;
    return false;
}

static void choose_vectors(Jit *jit, int vector_bytes) {
    bool wide = has_feature(jit, "avx512f") && has_feature(jit, "avx512vl") && has_feature(jit, "avx512dq");
    jit->vector_registers = wide || strncmp(jit->triple, "aarch64", 7) == 0 ? 32 : 16;
    jit->vector_bytes = vector_bytes ? vector_bytes : wide ? 64 : has_feature(jit, "avx") ? 32 : 16;
}

static LLVMTargetMachineRef create_machine(const Jit *jit, char **message) {
    LLVMTargetRef target;
    if (LLVMGetTargetFromTriple(jit->triple, &target, message)) return NULL;
    return LLVMCreateTargetMachine(target, jit->triple, jit->cpu, jit->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelSmall);
}

// LLVM's error as text that the caller frees; the error is consumed.
static bool failed(LLVMErrorRef error, char **message) {
    if (!error) return false;
    char *text = LLVMGetErrorMessage(error);
    *message = strdup(text);
    LLVMDisposeErrorMessage(text);
    return true;
}

static bool start(Jit *jit, char **message) {
    jit->machine = create_machine(jit, message);
    LLVMTargetMachineRef machine = jit->machine ? create_machine(jit, message) : NULL;
    if (!machine) return false;
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                  LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    return !failed(LLVMOrcCreateLLJIT(&jit->lljit, builder), message);
}

Jit *jit_create(int vector_bytes, char **message) {
    pthread_once(&targets_once, start_targets);
    Jit *jit = calloc(1, sizeof *jit);
    *message = NULL;
    if (!jit) return NULL;
    jit->triple = LLVMGetDefaultTargetTriple();
    jit->cpu = LLVMGetHostCPUName();
    jit->features = LLVMGetHostCPUFeatures();
    choose_vectors(jit, vector_bytes);
    if (start(jit, message)) return jit;
    jit_destroy(jit);
    return NULL;
}

void jit_destroy(Jit *jit) {
    if (!jit) return;
    char *ignored = NULL;
    if (jit->lljit) failed(LLVMOrcDisposeLLJIT(jit->lljit), &ignored);
    free(ignored);
    if (jit->machine) LLVMDisposeTargetMachine(jit->machine);
    LLVMDisposeMessage(jit->triple);
    LLVMDisposeMessage(jit->cpu);
    LLVMDisposeMessage(jit->features);
    free(jit);
}

// NULL without a message: memory ran out.
static LLVMModuleRef make_module(Jit *jit, LLVMContextRef context, const KernelProgram *program, char **message) {
    LLVMModuleRef module =
        emit_function(context, program, jit->vector_bytes, jit->vector_registers, jit->cpu, jit->features);
    if (!module) return NULL;
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(jit->machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(module, jit->triple);
#ifndef NDEBUG
    char *fault = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &fault)) {
        *message = strdup(fault);
        LLVMDisposeMessage(fault);
        LLVMDisposeModule(module);
        return NULL;
    }
    LLVMDisposeMessage(fault);
#endif
    (void)message;
    return module;
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// The function's symbol, made unique among those of this jit.
static void rename_function(Jit *jit, const KernelProgram *program, LLVMModuleRef module, char *symbol, size_t size) {
    snprintf(symbol, size, "%.200s.%d", program->name, jit->functions++);
    LLVMSetValueName2(LLVMGetNamedFunction(module, program->name), symbol, strlen(symbol));
}

gradc_function *jit_compile(Jit *jit, const KernelProgram *program, double *emit_ms, double *machine_code_ms,
                            char **message) {
    double begin = milliseconds();
    *message = NULL;
    char symbol[256];
    LLVMOrcThreadSafeContextRef safe = LLVMOrcCreateNewThreadSafeContext();
    LLVMModuleRef module = make_module(jit, LLVMOrcThreadSafeContextGetContext(safe), program, message);
    if (!module) {
        LLVMOrcDisposeThreadSafeContext(safe);
        return NULL;
    }
    rename_function(jit, program, module, symbol, sizeof symbol);
    LLVMOrcThreadSafeModuleRef safe_module = LLVMOrcCreateNewThreadSafeModule(module, safe);
    LLVMOrcDisposeThreadSafeContext(safe);   // the module keeps it
    double emitted = milliseconds();
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit->lljit);
    if (failed(LLVMOrcLLJITAddLLVMIRModule(jit->lljit, library, safe_module), message)) return NULL;
    LLVMOrcExecutorAddress address = 0;
    if (failed(LLVMOrcLLJITLookup(jit->lljit, &address, symbol), message)) return NULL;
    if (emit_ms) *emit_ms = emitted - begin;
    if (machine_code_ms) *machine_code_ms = milliseconds() - emitted;
    return (gradc_function *)(uintptr_t)address;
}

// In the arena; NULL, and *exhausted: that has no more memory. What LLVM made is to be freed before it is said.
static const char *copy_text(Arena *arena, const char *text, size_t length, bool *exhausted) {
    jmp_buf outer;
    memcpy(&outer, arena_recover(arena), sizeof outer);
    *exhausted = setjmp(*arena_recover(arena)) != 0;
    const char *copy = *exhausted ? NULL : arena_copy_text(arena, text, length);
    memcpy(arena_recover(arena), &outer, sizeof outer);
    return copy;
}

const char *emit_llvm_text(Jit *jit, const KernelProgram *program) {
    char *message = NULL;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = make_module(jit, context, program, &message);
    bool exhausted = !module && !message;
    const char *text = NULL;
    if (module) {
        char *printed = LLVMPrintModuleToString(module);
        text = copy_text(program->arena, printed, strlen(printed), &exhausted);
        LLVMDisposeMessage(printed);
        LLVMDisposeModule(module);
    }
    LLVMContextDispose(context);
    free(message);
    if (exhausted) longjmp(*arena_recover(program->arena), 1);
    return text;
}

static const char *emit_file(Jit *jit, const KernelProgram *program, LLVMCodeGenFileType type, size_t *size) {
    char *message = NULL, *fault = NULL;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = make_module(jit, context, program, &message);
    LLVMMemoryBufferRef buffer = NULL;
    const char *bytes = NULL;
    bool exhausted = !module && !message;
    if (module && !LLVMTargetMachineEmitToMemoryBuffer(jit->machine, module, type, &fault, &buffer)) {
        *size = LLVMGetBufferSize(buffer);
        bytes = copy_text(program->arena, LLVMGetBufferStart(buffer), *size, &exhausted);
        LLVMDisposeMemoryBuffer(buffer);
    }
    if (fault) LLVMDisposeMessage(fault);
    if (module) LLVMDisposeModule(module);
    LLVMContextDispose(context);
    free(message);
    if (exhausted) longjmp(*arena_recover(program->arena), 1);
    return bytes;
}

const char *emit_assembly_text(Jit *jit, const KernelProgram *program) {
    size_t size;
    return emit_file(jit, program, LLVMAssemblyFile, &size);
}

const char *emit_object(Jit *jit, const KernelProgram *program, size_t *size) {
    return emit_file(jit, program, LLVMObjectFile, size);
}
