// Machine code from kernels, through LLVM's C API. LLVM's headers stay below this line: nothing else includes them.
#ifndef GRADC_EMIT_EMIT_H
#define GRADC_EMIT_EMIT_H

#include "kernels/kernel.h"
#include "runtime/gradc_frame.h"

typedef struct Jit Jit;

// Whether code for a processor of that name can be made and run here. NULL is this machine's own.
typedef enum { CPU_USABLE, CPU_UNKNOWN, CPU_LACKING } CpuCheck;
CpuCheck jit_check_cpu(const char *cpu);
const char *jit_cpu_names(void);   // all that are known, for messages

// For the processor `cpu`, a usable one (NULL: this machine's); vector_bytes 0 takes its widest useful vectors, 16, 32 or
// 64 force them (same bits). LLVM is started when the first code is made. NULL on failure, with *message (owned by the
// caller, free()).
Jit *jit_create(const char *cpu, int vector_bytes, char **message);
// Machine code may be made by more than one thread at a time: the same code.
void jit_allow_threads(Jit *jit);
void jit_destroy(Jit *jit);

// Where machine code is kept from one process to the next. A key holds all that decides the code; what is kept under one
// key is the same code, whoever made it.
typedef struct {
    // The object of that key, free() it; NULL: there is none.
    void *(*find)(void *context, const void *key, size_t key_size, size_t *size);
    void (*keep)(void *context, const void *key, size_t key_size, const void *object, size_t size);
    void *context;
} ObjectStore;

typedef struct {
    double emit_ms, machine_code_ms;
    bool found;   // in the store
} JitCost;

// Compiles the program to a function that lives as long as the jit, or finds it in `store` (NULL: there is none). NULL on
// failure, with *message as above.
gradc_function *jit_compile_kept(Jit *jit, const KernelProgram *program, const ObjectStore *store, JitCost *cost,
                                 char **message);
// Without a store; emit_ms and machine_code_ms (may be NULL) get the time spent.
gradc_function *jit_compile(Jit *jit, const KernelProgram *program, double *emit_ms, double *machine_code_ms,
                            char **message);

// What the frame's `synchronise` is for the code of a program that is timed: called by every worker after each kernel
// with its address.
typedef void gradc_timed(const gradc_frame *frame, const Kernel *kernel);

// A function that multiplies and adds as fast as the processor can: dims[0] rounds of jit_peak_operations operations on
// f32, with the two floats of inputs[0] and, in the end, one into outputs[0]. NULL on failure, as above.
gradc_function *jit_peak(Jit *jit, char **message);
int jit_peak_operations(const Jit *jit);   // of one round

// The function's LLVM text, or its assembly; in the program's arena. NULL on failure.
const char *emit_llvm_text(Jit *jit, const KernelProgram *program);
const char *emit_assembly_text(Jit *jit, const KernelProgram *program);
// The function as an object file of `*size` bytes, in the program's arena: the JIT's code, and no undefined symbol.
// NULL on failure.
const char *emit_object(Jit *jit, const KernelProgram *program, size_t *size);

#endif
