// The processor that code is made for: this machine's own, or a level of x86-64, as compilers name them.
//
// A level is a promise about registers and instructions that many processors keep; code for it runs on all of them, and
// computes the same bits as code for this one.
#include "emit/emit.h"
#include "emit/target.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NEEDED = 6 };

// Rising; what a level needs includes what those above it in the table do.
static const struct {
    const char *name;
    int vector_bytes, vector_registers;
    const char *needs[MAX_NEEDED];   // of this machine: LLVM's names of features
} levels[] = {
    {"x86-64", 16, 16, {"sse2"}},
    {"x86-64-v2", 16, 16, {"sse4.2", "popcnt", "ssse3"}},
    {"x86-64-v3", 32, 16, {"avx2", "fma", "bmi2", "f16c", "lzcnt", "movbe"}},
    {"x86-64-v4", 64, 32, {"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512cd"}},
};
enum { LEVEL_COUNT = sizeof levels / sizeof *levels };

static bool has_feature(const char *features, const char *feature) {
    size_t length = strlen(feature);
    for (const char *at = features; (at = strstr(at, feature)); at += length)
        if (at > features && at[-1] == '+' && (at[length] == ',' || !at[length])) return true;
    return false;
}

static int level_of(const char *cpu) {
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strcmp(levels[i].name, cpu) == 0) return i;
    return -1;
}

static bool has_level(const char *features, int level) {
    for (int i = 0; i <= level; i++)
        for (int k = 0; k < MAX_NEEDED && levels[i].needs[k]; k++)
            if (!has_feature(features, levels[i].needs[k])) return false;
    return true;
}

CpuCheck jit_check_cpu(const char *cpu) {
    if (!cpu) return CPU_USABLE;
    int level = level_of(cpu);
    if (level < 0) return CPU_UNKNOWN;
    char *features = LLVMGetHostCPUFeatures();
    bool usable = has_level(features, level);
    LLVMDisposeMessage(features);
    return usable ? CPU_USABLE : CPU_LACKING;
}

const char *jit_cpu_names(void) {
    return "x86-64, x86-64-v2, x86-64-v3 or x86-64-v4";
}

static void choose_vectors(Target *target, const char *cpu) {
    if (cpu) {
        int level = level_of(cpu);
        target->vector_bytes = levels[level].vector_bytes;
        target->vector_registers = levels[level].vector_registers;
        target->scales = levels[level].vector_bytes == 64;
        target->fuses = levels[level].vector_bytes >= 32;
        return;
    }
    const char *features = target->features;
    bool wide =
        has_feature(features, "avx512f") && has_feature(features, "avx512vl") && has_feature(features, "avx512dq");
    target->scales = wide;
    target->fuses = has_feature(features, "fma") || strncmp(target->triple, "aarch64", 7) == 0;
    target->vector_registers = wide || strncmp(target->triple, "aarch64", 7) == 0 ? 32 : 16;
    target->vector_bytes = wide ? 64 : has_feature(features, "avx") ? 32 : 16;
}

bool target_open(Target *target, const char *cpu, int vector_bytes) {
    *target = (Target){.triple = LLVMGetDefaultTargetTriple()};
    target->cpu = cpu ? LLVMCreateMessage(cpu) : LLVMGetHostCPUName();
    target->features = cpu ? LLVMCreateMessage("") : LLVMGetHostCPUFeatures();
    if (!target->triple || !target->cpu || !target->features) {
        target_close(target);
        return false;
    }
    choose_vectors(target, cpu);
    if (vector_bytes) target->vector_bytes = vector_bytes;
    return true;
}

void target_close(Target *target) {
    LLVMDisposeMessage(target->triple);
    LLVMDisposeMessage(target->cpu);
    LLVMDisposeMessage(target->features);
    *target = (Target){0};
}
