// From a module to a function that can be called: LLVM makes an object of it, which is loaded, and kept for the next
// process where the host wishes so. Modules come ready made: explicit vectors, no IR passes. A program of some size is two
// modules and two objects, made by two threads where the host allows them, and loaded as one.
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
#include <signal.h>
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
    LLVMTargetMachineRef machines[MAX_MODULES];   // for a thread each; NULL: not needed yet
    bool threads;                                 // may be used
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
    if (jit->machines[0]) return true;
    pthread_once(&targets_once, start_targets);
    jit->machines[0] = create_machine(jit, message);
    return jit->machines[0] != NULL;
}

Jit *jit_create(const char *cpu, int vector_bytes, char **message) {
    Jit *jit = calloc(1, sizeof *jit);
    *message = NULL;
    if (!jit || target_open(&jit->target, cpu, vector_bytes)) return jit;
    free(jit);
    return NULL;
}

void jit_allow_threads(Jit *jit) {
    jit->threads = true;
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
    for (int i = 0; i < MAX_MODULES; i++)
        if (jit->machines[i]) LLVMDisposeTargetMachine(jit->machines[i]);
    target_close(&jit->target);
    free(jit);
}

// False, with a message: LLVM finds a fault in it, which only builds with assertions look for.
static bool finish_module(const Jit *jit, LLVMModuleRef module, char **message) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(jit->machines[0]);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(module, jit->target.triple);
#ifndef NDEBUG
    char *fault = NULL;
    bool broken = LLVMVerifyModule(module, LLVMReturnStatusAction, &fault);
    if (broken) *message = strdup(fault);
    LLVMDisposeMessage(fault);
    return !broken;
#endif
    (void)message;
    return true;
}

// Modules, and the contexts that own what they refer to.
typedef struct {
    LLVMContextRef contexts[MAX_MODULES];
    LLVMModuleRef modules[MAX_MODULES];
    int count;
} Emitted;

static void dispose(Emitted *emitted) {
    for (int i = 0; i < emitted->count; i++) {
        if (emitted->modules[i]) LLVMDisposeModule(emitted->modules[i]);
        LLVMContextDispose(emitted->contexts[i]);
    }
    *emitted = (Emitted){0};
}

// A program in up to `count` modules. Disposed, none, without a message: memory ran out. `program` NULL: the module of
// jit_peak.
static bool emit(Jit *jit, const KernelProgram *program, int count, Emitted *emitted, char **message) {
    *emitted = (Emitted){0};
    if (!start(jit, message)) return false;
    for (int i = 0; i < count; i++) emitted->contexts[i] = LLVMContextCreate();
    emitted->count = count;
    bool made = true;
    if (program) made = emit_function(emitted->contexts, count, program, &jit->target, emitted->modules);
    else emitted->modules[0] = emit_peak(emitted->contexts[0], &jit->target);
    if (!made) memset(emitted->modules, 0, sizeof emitted->modules);
    for (int i = 0; i < count && made; i++) made = finish_module(jit, emitted->modules[i], message);
    if (!made) dispose(emitted);
    return made;
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// ---- loading

// By LLVM's linker, which knows all processors and finds functions of the C library: an old processor without fma needs
// some.
static bool load_by_llvm(Jit *jit, Loaded *loaded, const ObjectFile *files, int count, void **function,
                         char **message) {
    const char *symbol = object_function(files[0].bytes, files[0].size);
    LLVMTargetMachineRef machine = symbol && start(jit, message) ? create_machine(jit, message) : NULL;
    if (!machine) return false;
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                  LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    if (failed(LLVMOrcCreateLLJIT(&loaded->lljit, builder), message)) return false;
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(loaded->lljit);
    LLVMOrcExecutorAddress address = 0;
    for (int i = 0; i < count; i++) {
        LLVMMemoryBufferRef buffer =
            LLVMCreateMemoryBufferWithMemoryRangeCopy(files[i].bytes, files[i].size, i ? "gradc, too" : "gradc");
        if (failed(LLVMOrcLLJITAddObjectFile(loaded->lljit, library, buffer), message)) return false;
    }
    if (failed(LLVMOrcLLJITLookup(loaded->lljit, &address, symbol), message)) return false;
    *function = (void *)(uintptr_t)address;
    return true;
}

// NULL on failure; without a message: there was no memory, or it is no object of this compiler.
static gradc_function *load(Jit *jit, const void *bytes, size_t size, char **message) {
    ObjectFile files[MAX_OBJECTS];
    int count = split_bundle(bytes, size, files);
    Loaded *loaded = count ? calloc(1, sizeof *loaded) : NULL;
    void *function = NULL;
    if (!loaded) return NULL;
    if (load_objects(files, count, &loaded->object)) function = loaded->object.function;
    else if (!load_by_llvm(jit, loaded, files, count, &function, message) && !loaded->lljit) {
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

// A module to an object, by a machine of its own.
typedef struct {
    const Jit *jit;
    LLVMTargetMachineRef *machine;
    LLVMModuleRef module;
    LLVMMemoryBufferRef object;   // NULL: failed, with a message
    char *message;
} Generation;

static void *generate(void *argument) {
    Generation *generation = argument;
    char *fault = NULL;
    if (!*generation->machine) *generation->machine = create_machine(generation->jit, &generation->message);
    if (!*generation->machine) return NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(*generation->machine, generation->module, LLVMObjectFile, &fault,
                                            &generation->object)) {
        generation->message = strdup(fault);
        generation->object = NULL;
    }
    if (fault) LLVMDisposeMessage(fault);
    return NULL;
}

// Each module's machine code, by a thread each where threads may be used: what comes out is the same.
static void generate_all(bool threads, Generation *generations, int count) {
    pthread_t others[MAX_MODULES];
    bool started[MAX_MODULES] = {false};
    pthread_attr_t attributes;
    bool usable = pthread_attr_init(&attributes) == 0;
    // Instruction selection recurses: as much as LLVM gives its own threads.
    threads = threads && usable && pthread_attr_setstacksize(&attributes, (size_t)8 << 20) == 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < count && threads; i++)
        started[i] = pthread_create(&others[i], &attributes, generate, &generations[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (usable) pthread_attr_destroy(&attributes);
    for (int i = 0; i < count; i++) {
        if (started[i]) pthread_join(others[i], NULL);
        else generate(&generations[i]);
    }
}

// The objects of one program as bytes that free() takes.
static void *join_objects(const Generation *generations, int count, size_t *size) {
    ObjectFile files[MAX_OBJECTS];
    for (int i = 0; i < count; i++)
        files[i] = (ObjectFile){LLVMGetBufferStart(generations[i].object), LLVMGetBufferSize(generations[i].object)};
    if (count > 1) return join_bundle(files, size);
    *size = files[0].size;
    void *bytes = malloc(*size);
    return bytes ? memcpy(bytes, files[0].bytes, *size) : NULL;
}

static void *make_objects(Jit *jit, const KernelProgram *program, size_t *size, double *emit_end, char **message) {
    Emitted emitted;
    Generation generations[MAX_MODULES] = {0};
    void *bytes = NULL;
    if (!emit(jit, program, program ? MAX_MODULES : 1, &emitted, message)) return NULL;
    *emit_end = milliseconds();
    int count = emitted.count;
    if (count > 1 && !LLVMGetFirstFunction(emitted.modules[1])) count = 1;
    for (int i = 0; i < count; i++)
        generations[i] = (Generation){jit, &jit->machines[jit->threads ? i : 0], emitted.modules[i], NULL, NULL};
    generate_all(jit->threads, generations, count);
    bool made = true;
    for (int i = 0; i < count; i++) {
        made = made && generations[i].object;
        if (generations[i].message && !*message) *message = generations[i].message;
        else free(generations[i].message);
    }
    if (made) bytes = join_objects(generations, count, size);
    for (int i = 0; i < count; i++)
        if (generations[i].object) LLVMDisposeMemoryBuffer(generations[i].object);
    dispose(&emitted);
    return bytes;
}

static gradc_function *compile(Jit *jit, const KernelProgram *program, const ObjectStore *store, const Text *key,
                               double *emit_end, char **message) {
    size_t size;
    void *object = make_objects(jit, program, &size, emit_end, message);
    if (!object) return NULL;
    gradc_function *function = load(jit, object, size, message);
    if (function && store) store->keep(store->context, key->bytes, (size_t)key->length, object, size);
    free(object);
    return function;
}

gradc_function *jit_compile_kept(Jit *jit, const KernelProgram *program, const ObjectStore *store, JitCost *cost,
                                 char **message) {
    double begin = milliseconds(), emit_end = begin;
    *message = NULL;
    Text key = store ? key_of(jit, program) : (Text){0};
    gradc_function *function = store ? find_kept(jit, store, &key) : NULL;
    *cost = (JitCost){.found = function != NULL};
    if (!function) function = compile(jit, program, store, &key, &emit_end, message);
    cost->emit_ms = emit_end - begin;
    cost->machine_code_ms = milliseconds() - emit_end;
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
    double emit_end;
    *message = NULL;
    return compile(jit, NULL, NULL, NULL, &emit_end, message);
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
    Emitted emitted;
    bool made = emit(jit, program, 1, &emitted, &message), exhausted = !made && !message;
    const char *text = NULL;
    if (made) {
        char *printed = LLVMPrintModuleToString(emitted.modules[0]);
        text = copy_text(program->arena, printed, strlen(printed), &exhausted);
        LLVMDisposeMessage(printed);
    }
    dispose(&emitted);
    free(message);
    if (exhausted) longjmp(*arena_recover(program->arena), 1);
    return text;
}

static const char *emit_file(Jit *jit, const KernelProgram *program, LLVMCodeGenFileType type, size_t *size) {
    char *message = NULL, *fault = NULL;
    Emitted emitted;
    bool made = emit(jit, program, 1, &emitted, &message), exhausted = !made && !message;
    LLVMMemoryBufferRef buffer = NULL;
    const char *bytes = NULL;
    if (made && !LLVMTargetMachineEmitToMemoryBuffer(jit->machines[0], emitted.modules[0], type, &fault, &buffer)) {
        *size = LLVMGetBufferSize(buffer);
        bytes = copy_text(program->arena, LLVMGetBufferStart(buffer), *size, &exhausted);
        LLVMDisposeMemoryBuffer(buffer);
    }
    if (fault) LLVMDisposeMessage(fault);
    dispose(&emitted);
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
