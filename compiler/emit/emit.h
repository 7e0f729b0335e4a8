// Machine code from kernels, through LLVM's C API. LLVM's headers stay below this line: nothing else includes them.
#ifndef GRADC_EMIT_EMIT_H
#define GRADC_EMIT_EMIT_H

#include "kernels/kernel.h"
#include "runtime/gradc_frame.h"

typedef struct Jit Jit;

// For the host's CPU; vector_bytes 0 takes its widest useful vectors, 16, 32 or 64 force them (same bits). NULL on
// failure, with *message (owned by the caller, free()).
Jit *jit_create(int vector_bytes, char **message);
void jit_destroy(Jit *jit);

// Compiles the program to a function that lives as long as the jit. NULL on failure, with *message as above.
// emit_ms and machine_code_ms (may be NULL) get the time spent.
gradc_function *jit_compile(Jit *jit, const KernelProgram *program, double *emit_ms, double *machine_code_ms,
                            char **message);

// The function's LLVM text, or its assembly; in the program's arena. NULL on failure.
const char *emit_llvm_text(Jit *jit, const KernelProgram *program);
const char *emit_assembly_text(Jit *jit, const KernelProgram *program);
// The function as an object file of `*size` bytes, in the program's arena: the JIT's code, and no undefined symbol.
// NULL on failure.
const char *emit_object(Jit *jit, const KernelProgram *program, size_t *size);

#endif
