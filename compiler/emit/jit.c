// From a module to a function that can be called: LLVM makes an object of it, which is loaded, and kept for the next
// process where the host wishes so. Modules come ready made: explicit vectors, no IR passes.
#include "emit/emit.h"
#include "emit/emitter.h"
#include "emit/fingerprint.h"
#include "emit/load.h"
#include "emit/target.h"

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

// Code in memory, in a list.
typedef struct Loaded {
    struct Loaded *next;
    LoadedObject object;     // its function is NULL: LLVM's linker has loaded it
    LLVMOrcLLJITRef lljit;   // or NULL
} Loaded;

struct Jit {
    LLVMTargetMachineRef machine;   // NULL: LLVM was not needed yet
    Target target;
    Loaded *loaded;
};

static pthread_once_t targets_once = PTHREAD_ONCE_INIT;
static void start_targets(void) {
    // Addresses are built scope by scope, so strength reduction finds nothing, in half of the time of code generation;
    // nor, in a tenth of it, does the pass that moves numbers to mask registers.
    static const char *const options[] = {"gradc", "-disable-lsr",
#ifdef __x86_64__
                                          "-disable-x86-domain-reassignment"
#endif
    };
    LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, NULL);
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

static LLVMTargetMachineRef create_machine(const Jit *jit, char **message) {
    const Target *target = &jit->target;
    LLVMTargetRef known;
    if (LLVMGetTargetFromTriple(target->triple, &known, message)) return NULL;
    return LLVMCreateTargetMachine(known, target->triple, target->cpu, target->features, LLVMCodeGenLevelDefault,
                                   LLVMRelocPIC, LLVMCodeModelSmall);
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
    if (jit->machine) return true;
    pthread_once(&targets_once, start_targets);
    jit->machine = create_machine(jit, message);
    return jit->machine != NULL;
}

Jit *jit_create(const char *cpu, int vector_bytes, char **message) {
    Jit *jit = calloc(1, sizeof *jit);
    *message = NULL;
    if (!jit || target_open(&jit->target, cpu, vector_bytes)) return jit;
    free(jit);
    return NULL;
}

static void unload(Loaded *loaded) {
    char *ignored = NULL;
    if (loaded->lljit) failed(LLVMOrcDisposeLLJIT(loaded->lljit), &ignored);
    else unload_object(&loaded->object);
    free(ignored);
    free(loaded);
}

void jit_destroy(Jit *jit) {
    if (!jit) return;
    for (Loaded *next, *loaded = jit->loaded; loaded; loaded = next) {
        next = loaded->next;
        unload(loaded);
    }
    if (jit->machine) LLVMDisposeTargetMachine(jit->machine);
    target_close(&jit->target);
    free(jit);
}

// NULL without a message: memory ran out. `program` NULL: the module of jit_peak.
static LLVMModuleRef make_module(Jit *jit, LLVMContextRef context, const KernelProgram *program, char **message) {
    LLVMModuleRef module = program ? emit_function(context, program, &jit->target) : emit_peak(context, &jit->target);
    if (!module) return NULL;
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(jit->machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(module, jit->target.triple);
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

// ---- loading

// By LLVM's linker, which knows all processors and finds functions of the C library: an old processor without fma needs
// some.
static bool load_by_llvm(Jit *jit, Loaded *loaded, const void *object, size_t size, void **function, char **message) {
    const char *symbol = object_function(object, size);
    LLVMTargetMachineRef machine = symbol && start(jit, message) ? create_machine(jit, message) : NULL;
    if (!machine) return false;
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                  LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    if (failed(LLVMOrcCreateLLJIT(&loaded->lljit, builder), message)) return false;
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(object, size, "gradc");
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(loaded->lljit);
    LLVMOrcExecutorAddress address = 0;
    if (failed(LLVMOrcLLJITAddObjectFile(loaded->lljit, library, buffer), message)) return false;
    if (failed(LLVMOrcLLJITLookup(loaded->lljit, &address, symbol), message)) return false;
    *function = (void *)(uintptr_t)address;
    return true;
}

// NULL on failure; without a message: there was no memory, or it is no object of this compiler.
static gradc_function *load(Jit *jit, const void *object, size_t size, char **message) {
    Loaded *loaded = calloc(1, sizeof *loaded);
    void *function = NULL;
    if (!loaded) return NULL;
    if (load_object(object, size, &loaded->object)) function = loaded->object.function;
    else if (!load_by_llvm(jit, loaded, object, size, &function, message) && !loaded->lljit) {
        free(loaded);
        return NULL;
    }
    loaded->next = jit->loaded;
    jit->loaded = loaded;
    return (gradc_function *)(uintptr_t)function;
}

// ---- what was kept

// All that decides the machine code: this compiler, LLVM, the processor, and the kernels.
static Text key_of(const Jit *jit, const KernelProgram *program) {
    Text key = {.arena = program->arena};
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    const Target *target = &jit->target;
    text_add(&key, "%s\nLLVM %u.%u.%u\n%s\n%s\n%s\n%d %d\n", GRADC_CODE_FINGERPRINT, major, minor, patch,
             target->triple, target->cpu, target->features, target->vector_bytes, target->vector_registers);
    kernel_program_bytes(&key, program);
    return key;
}

static gradc_function *find_kept(Jit *jit, const ObjectStore *store, const Text *key) {
    size_t size;
    void *object = store->find(store->context, key->bytes, (size_t)key->length, &size);
    char *ignored = NULL;
    gradc_function *function = object ? load(jit, object, size, &ignored) : NULL;
    free(ignored);
    free(object);
    return function;
}

// ---- from kernels to a function

static LLVMMemoryBufferRef make_object(Jit *jit, const KernelProgram *program, double *emitted, char **message) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = start(jit, message) ? make_module(jit, context, program, message) : NULL;
    LLVMMemoryBufferRef object = NULL;
    char *fault = NULL;
    *emitted = milliseconds();
    if (module && LLVMTargetMachineEmitToMemoryBuffer(jit->machine, module, LLVMObjectFile, &fault, &object)) {
        *message = strdup(fault);
        object = NULL;
    }
    if (fault) LLVMDisposeMessage(fault);
    if (module) LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return object;
}

static gradc_function *compile(Jit *jit, const KernelProgram *program, const ObjectStore *store, const Text *key,
                               double *emitted, char **message) {
    LLVMMemoryBufferRef buffer = make_object(jit, program, emitted, message);
    if (!buffer) return NULL;
    const void *object = LLVMGetBufferStart(buffer);
    size_t size = LLVMGetBufferSize(buffer);
    gradc_function *function = load(jit, object, size, message);
    if (function && store) store->keep(store->context, key->bytes, (size_t)key->length, object, size);
    LLVMDisposeMemoryBuffer(buffer);
    return function;
}

gradc_function *jit_compile_kept(Jit *jit, const KernelProgram *program, const ObjectStore *store, JitCost *cost,
                                 char **message) {
    double begin = milliseconds(), emitted = begin;
    *message = NULL;
    Text key = store ? key_of(jit, program) : (Text){0};
    gradc_function *function = store ? find_kept(jit, store, &key) : NULL;
    *cost = (JitCost){.found = function != NULL};
    if (!function) function = compile(jit, program, store, &key, &emitted, message);
    cost->emit_ms = emitted - begin;
    cost->machine_code_ms = milliseconds() - emitted;
    return function;
}

gradc_function *jit_compile(Jit *jit, const KernelProgram *program, double *emit_ms, double *machine_code_ms,
                            char **message) {
    JitCost cost;
    gradc_function *function = jit_compile_kept(jit, program, NULL, &cost, message);
    if (emit_ms) *emit_ms = cost.emit_ms;
    if (machine_code_ms) *machine_code_ms = cost.machine_code_ms;
    return function;
}

gradc_function *jit_peak(Jit *jit, char **message) {
    double emitted;
    *message = NULL;
    return compile(jit, NULL, NULL, NULL, &emitted, message);
}

int jit_peak_operations(const Jit *jit) {
    return 2 * PEAK_CHAINS * jit->target.vector_bytes / 4;
}

// ---- as text and as files

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
    LLVMModuleRef module = start(jit, &message) ? make_module(jit, context, program, &message) : NULL;
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
    LLVMModuleRef module = start(jit, &message) ? make_module(jit, context, program, &message) : NULL;
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
