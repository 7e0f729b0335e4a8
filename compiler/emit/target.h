// The processor that code is made for: this machine's own, or a level of x86-64 that this machine has.
#ifndef GRADC_EMIT_TARGET_H
#define GRADC_EMIT_TARGET_H

#include <stdbool.h>

typedef struct {
    char *triple, *cpu, *features;   // as LLVM knows them
    int vector_bytes;
    int vector_registers;
    bool scales;   // it has vscalef, of all widths
    bool fuses;    // it has multiply-add
} Target;

// As jit_create says of its arguments, which CPU_USABLE holds for. False: there was no memory.
bool target_open(Target *target, const char *cpu, int vector_bytes);
void target_close(Target *target);

#endif
