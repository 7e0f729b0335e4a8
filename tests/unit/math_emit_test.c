// Machine code's functions give the bits of the evaluator's: emit/math.c against math/scalar.c, for widths 1, 4, 8 and
// 16, on a broad sample and on special values, in code for this machine and for plain x86-64-v3; and no target's code
// calls anything.
//
// With the argument --time it prints instead what an element costs in an array that lies in the first-level cache.
#include "emit/math.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures;

enum { WIDEST = 16, RANDOM_KINDS = 2, KINDS = MATH_COUNT + RANDOM_KINDS };
static const int widths[] = {1, 4, 8, 16};
enum { WIDTHS = sizeof widths / sizeof *widths };

static const struct {
    const char *name;
    int arity;
} functions[KINDS] = {
#define FUNCTION(name, arity) {#name, arity},
    MATH_LIST(FUNCTION){"uniform", 0}, {"normal", 0}};

// ---- emitted code: void NAME_BITS_WIDTH(const T *x, const T *y, T *result, int64_t count, int64_t seed, int64_t draw)

typedef void Code(const void *x, const void *y, void *result, int64_t count, int64_t seed, int64_t draw);
static const int64_t site = INT64_C(0x123456789abcdef0);
static bool scales;   // with AVX-512's own instruction for x * 2^n

static void name_of(char *name, size_t size, int kind, int bits, int width) {
    snprintf(name, size, "%s_%d_%d", functions[kind].name, bits, width);
}

static LLVMTypeRef vector(LLVMTypeRef type, int width) {
    return width == 1 ? type : LLVMVectorType(type, (unsigned)width);
}

static LLVMValueRef load(LLVMBuilderRef builder, LLVMTypeRef scalar, LLVMTypeRef type, LLVMValueRef array,
                         LLVMValueRef index) {
    LLVMValueRef place = LLVMBuildGEP2(builder, scalar, array, &index, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(builder, type, place, "");
    LLVMSetAlignment(value, 4);
    return value;
}

static LLVMValueRef element_numbers(LLVMContextRef context, LLVMBuilderRef builder, LLVMValueRef index, int width) {
    LLVMTypeRef i64 = LLVMInt64TypeInContext(context), i32 = LLVMInt32TypeInContext(context);
    if (width == 1) return index;
    LLVMValueRef lanes[WIDEST], poison = LLVMGetPoison(LLVMVectorType(i64, (unsigned)width));
    for (int i = 0; i < width; i++) lanes[i] = LLVMConstInt(i64, (unsigned)i, 0);
    LLVMValueRef first = LLVMBuildInsertElement(builder, poison, index, LLVMConstInt(i32, 0, 0), "");
    LLVMValueRef all = LLVMBuildShuffleVector(builder, first, poison, LLVMConstNull(vector(i32, width)), "");
    return LLVMBuildAdd(builder, all, LLVMConstVector(lanes, (unsigned)width), "");
}

static void emit(LLVMContextRef context, LLVMModuleRef module, int kind, int bits, int width) {
    LLVMTypeRef i64 = LLVMInt64TypeInContext(context), pointer = LLVMPointerTypeInContext(context, 0);
    LLVMTypeRef scalar = bits == 32 ? LLVMFloatTypeInContext(context) : LLVMDoubleTypeInContext(context);
    LLVMTypeRef type = vector(scalar, width), parameters[] = {pointer, pointer, pointer, i64, i64, i64};
    char name[64];
    name_of(name, sizeof name, kind, bits, width);
    LLVMTypeRef signature = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, 6, 0);
    LLVMValueRef function = LLVMAddFunction(module, name, signature);
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(context, "prefer-vector-width", 19, "512", 3));
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(context, function, "entry");
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(context, function, "body");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(context, function, "done");
    LLVMPositionBuilderAtEnd(builder, entry);
    LLVMBuildBr(builder, body);
    LLVMPositionBuilderAtEnd(builder, body);
    LLVMValueRef index = LLVMBuildPhi(builder, i64, "index"), zero = LLVMConstNull(i64), value;
    MathEmitter emitter = {context, module, builder, scales};
    if (kind < MATH_COUNT) {
        LLVMValueRef operands[2] = {load(builder, scalar, type, LLVMGetParam(function, 0), index)};
        if (functions[kind].arity == 2) operands[1] = load(builder, scalar, type, LLVMGetParam(function, 1), index);
        value = math_emit(&emitter, (MathFunction)kind, operands);
    } else {
        LLVMValueRef element = element_numbers(context, builder, index, width);
        value = math_emit_random(&emitter, kind == MATH_COUNT + 1, type, element, LLVMGetParam(function, 4),
                                 LLVMGetParam(function, 5), site);
    }
    LLVMValueRef place = LLVMBuildGEP2(builder, scalar, LLVMGetParam(function, 2), &index, 1, "");
    LLVMSetAlignment(LLVMBuildStore(builder, value, place), 4);
    LLVMValueRef next = LLVMBuildAdd(builder, index, LLVMConstInt(i64, (unsigned)width, 0), "");
    LLVMAddIncoming(index, (LLVMValueRef[]){zero, next}, (LLVMBasicBlockRef[]){entry, body}, 2);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, next, LLVMGetParam(function, 3), ""), body, done);
    LLVMPositionBuilderAtEnd(builder, done);
    LLVMBuildRetVoid(builder);
    LLVMDisposeBuilder(builder);
}

static LLVMModuleRef emit_all(LLVMContextRef context) {
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("math", context);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < WIDTHS; i++) {
            emit(context, module, kind, 32, widths[i]);
            emit(context, module, kind, 64, widths[i]);
        }
    char *fault = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &fault)) {
        printf("%s\n", fault);
        exit(1);
    }
    LLVMDisposeMessage(fault);
    return module;
}

static void check(LLVMErrorRef error) {
    if (!error) return;
    printf("%s\n", LLVMGetErrorMessage(error));
    exit(1);
}

static LLVMTargetMachineRef machine_of(const char *triple, const char *cpu, const char *features) {
    LLVMTargetRef target;
    char *fault = NULL;
    if (LLVMGetTargetFromTriple(triple, &target, &fault)) {
        LLVMDisposeMessage(fault);
        return NULL;
    }
    return LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

// A JIT finds nothing but what the module defines: code that called a function would not link.
static LLVMOrcLLJITRef jit_of(LLVMTargetMachineRef machine) {
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                  LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    LLVMOrcLLJITRef jit;
    check(LLVMOrcCreateLLJIT(&jit, builder));
    LLVMOrcThreadSafeContextRef context = LLVMOrcCreateNewThreadSafeContext();
    LLVMModuleRef module = emit_all(LLVMOrcThreadSafeContextGetContext(context));
    LLVMOrcThreadSafeModuleRef safe = LLVMOrcCreateNewThreadSafeModule(module, context);
    LLVMOrcDisposeThreadSafeContext(context);
    check(LLVMOrcLLJITAddLLVMIRModule(jit, LLVMOrcLLJITGetMainJITDylib(jit), safe));
    return jit;
}

static Code *code_of(LLVMOrcLLJITRef jit, int kind, int bits, int width) {
    char name[64];
    LLVMOrcExecutorAddress address;
    name_of(name, sizeof name, kind, bits, width);
    check(LLVMOrcLLJITLookup(jit, &address, name));
    return (Code *)(uintptr_t)address;
}

// ---- samples

enum { SAMPLES = 1 << 16 };
static float singles[3][SAMPLES];
static double wides[3][SAMPLES];

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const double specials[] = {0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.5,
                                  -0.5,
                                  2,
                                  3,
                                  INFINITY,
                                  -INFINITY,
                                  NAN,
                                  88.722839,
                                  -87.34,
                                  -103.97,
                                  -103.9721,
                                  709.79,
                                  -708.4,
                                  -745.13,
                                  -745.14,
                                  1e-40,
                                  -1e-40,
                                  5e-324,
                                  -5e-324,
                                  1e-310,
                                  3.4e38,
                                  1.7e308,
                                  16777217,
                                  -16777217,
                                  9.01,
                                  -9.01,
                                  4,
                                  6,
                                  0x1p-126,
                                  0x1p-1022,
                                  1e4,
                                  -1e4,
                                  1e6,
                                  0x1p-25,
                                  0x1p-54,
                                  -0x1p-25,
                                  0.70710678118654757,
                                  1.4142135623730951,
                                  1.5707963267948966,
                                  0.34657359027997264};
enum { SPECIALS = sizeof specials / sizeof *specials };

// A number of any kind: special, of any bits, or of a usual size.
static double sample(int at, bool single) {
    if (at % 8 == 0) return specials[next_random() % SPECIALS];
    uint64_t bits = next_random();
    if (at % 8 < 4) {
        double wide;
        float narrow;
        uint32_t low = (uint32_t)bits;
        memcpy(&wide, &bits, sizeof wide);
        memcpy(&narrow, &low, sizeof narrow);
        return single ? narrow : wide;
    }
    return ((double)bits * 0x1p-63 - 1) * (at % 8 == 4 ? 1 : at % 8 == 5 ? 10 : at % 8 == 6 ? 100 : 800);
}

static void fill_samples(void) {
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < SAMPLES; i++) {
            singles[k][i] = (float)sample(i, true);
            wides[k][i] = sample(i, false);
        }
    for (int i = 0; i < SPECIALS * SPECIALS; i++) {   // every pair of special values
        singles[0][i] = (float)(wides[0][i] = specials[i / SPECIALS]);
        singles[1][i] = (float)(wides[1][i] = specials[i % SPECIALS]);
    }
}

// ---- comparison

static const struct {
    float (*single)(float);
    double (*wide)(double);
} unary[MATH_COUNT] = {
#define UNARY_1(name) {gradc_##name##_f32, gradc_##name##_f64},
#define UNARY_2(name) {NULL, NULL},
#define UNARY(name, arity) UNARY_##arity(name)
    MATH_LIST(UNARY)};

static const int64_t seed = INT64_C(0x0fedcba987654321), draw = INT64_C(0x100000007);

static double expected_wide(int kind, int i) {
    if (kind == MATH_COUNT) return gradc_uniform_f64((uint64_t)seed, (uint64_t)i, (uint64_t)site, (uint64_t)draw);
    if (kind > MATH_COUNT) return gradc_normal_f64((uint64_t)seed, (uint64_t)i, (uint64_t)site, (uint64_t)draw);
    return unary[kind].wide ? unary[kind].wide(wides[0][i]) : gradc_pow_f64(wides[0][i], wides[1][i]);
}

static float expected_single(int kind, int i) {
    if (kind == MATH_COUNT) return gradc_uniform_f32((uint64_t)seed, (uint64_t)i, (uint64_t)site, (uint64_t)draw);
    if (kind > MATH_COUNT) return gradc_normal_f32((uint64_t)seed, (uint64_t)i, (uint64_t)site, (uint64_t)draw);
    return unary[kind].single ? unary[kind].single(singles[0][i]) : gradc_pow_f32(singles[0][i], singles[1][i]);
}

// A NaN is one value, whatever its payload.
static bool differ(double a, double b) {
    return isnan(a) || isnan(b) ? isnan(a) != isnan(b) : memcmp(&a, &b, sizeof a) != 0;
}

static void report(const char *where, int kind, int bits, int width, int i, double got, double wanted) {
    double x = bits == 32 ? (double)singles[0][i] : wides[0][i], y = bits == 32 ? (double)singles[1][i] : wides[1][i];
    if (failures++ < 40)
        printf("%s: %s f%d, width %d, of %a (and %a): %a, not %a\n", where, functions[kind].name, bits, width, x, y,
               got, wanted);
}

static void compare(LLVMOrcLLJITRef jit, const char *where) {
    for (int kind = 0; kind < KINDS; kind++)
        for (int k = 0; k < WIDTHS; k++) {
            code_of(jit, kind, 32, widths[k])(singles[0], singles[1], singles[2], SAMPLES, seed, draw);
            code_of(jit, kind, 64, widths[k])(wides[0], wides[1], wides[2], SAMPLES, seed, draw);
            int before = failures;
            for (int i = 0; i < SAMPLES && failures < before + 5; i++) {
                double single = (double)expected_single(kind, i), wide = expected_wide(kind, i);
                if (differ(singles[2][i], single)) report(where, kind, 32, widths[k], i, singles[2][i], single);
                if (differ(wides[2][i], wide)) report(where, kind, 64, widths[k], i, wides[2][i], wide);
            }
        }
}

static void compare_on(const char *where, const char *triple, const char *cpu, const char *features) {
    LLVMTargetMachineRef machine = machine_of(triple, cpu, features);
    if (!machine) return;
    LLVMOrcLLJITRef jit = jit_of(machine);
    compare(jit, where);
    check(LLVMOrcDisposeLLJIT(jit));
}

// ---- calls

// Code for the target, as assembly, must not hold a call.
static void check_calls(const char *triple, const char *cpu, const char *call) {
    LLVMTargetMachineRef machine = machine_of(triple, cpu, "");
    if (!machine) return;   // LLVM was built without the target
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = emit_all(context);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMSetTarget(module, triple);
    LLVMMemoryBufferRef buffer = NULL;
    char *fault = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMAssemblyFile, &fault, &buffer)) {
        printf("%s: %s\n", cpu, fault);
        failures++;
    } else {
        const char *found = strstr(LLVMGetBufferStart(buffer), call);
        if (found) printf("%s calls:%.*s\n", cpu, (int)strcspn(found + 1, "\n") + 1, found);
        failures += found != NULL;
        LLVMDisposeMemoryBuffer(buffer);
    }
    LLVMDisposeTargetData(layout);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
}

// ---- time

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void print_times(const char *where, const char *triple, const char *cpu, const char *features) {
    enum { COUNT = 2048, ROUNDS = 300 };
    LLVMOrcLLJITRef jit = jit_of(machine_of(triple, cpu, features));
    for (int i = 0; i < SAMPLES; i++) {
        singles[0][i] = (float)(wides[0][i] = (double)next_random() * 0x1p-64 * 4 + 0.01);
        singles[1][i] = (float)(wides[1][i] = (double)next_random() * 0x1p-63 - 1);
    }
    printf("%s: ns for each element, f32 and f64 at widths 1, 4, 8, 16\n", where);
    for (int kind = 0; kind < KINDS; kind++) {
        printf("  %-8s", functions[kind].name);
        for (int bits = 32; bits <= 64; bits += 32)
            for (int k = 0; k < WIDTHS; k++) {
                Code *code = code_of(jit, kind, bits, widths[k]);
                double best = INFINITY;
                for (int round = 0; round < ROUNDS; round++) {
                    double start = now();
                    if (bits == 32) code(singles[0], singles[1], singles[2], COUNT, seed, draw);
                    else code(wides[0], wides[1], wides[2], COUNT, seed, draw);
                    double elapsed = now() - start;
                    if (elapsed < best) best = elapsed;
                }
                printf("%7.2f", best / COUNT);
            }
        printf("\n");
    }
    check(LLVMOrcDisposeLLJIT(jit));
}

int main(int count, char **arguments) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    bool has_avx2 = strstr(features, "+avx2") && strstr(features, "+fma,");
    if (count > 1 && strcmp(arguments[1], "--time") == 0) {
        print_times("this machine", triple, cpu, features);
        if (has_avx2) print_times("x86-64-v3", triple, "x86-64-v3", "");
        return 0;
    }
    fill_samples();
    compare_on("this machine", triple, cpu, features);
    if ((scales = strstr(features, "+avx512f") && strstr(features, "+avx512vl")))
        compare_on("this machine, with vscalef", triple, cpu, features);
    scales = false;
    if (has_avx2) compare_on("x86-64-v3", triple, "x86-64-v3", "");
    check_calls("x86_64-pc-linux-gnu", "x86-64-v3", "\tcall");
    check_calls("x86_64-pc-linux-gnu", "x86-64-v4", "\tcall");
    check_calls("aarch64-linux-gnu", "generic", "\tbl\t");
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    printf("%d failures\n", failures);
    return failures != 0;
}
