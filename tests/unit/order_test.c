// The two decisions about bits that everything leans on, shown in the smallest program (semantics.md, S9 and S10):
//
// - Multiply-add. With the flag `contract` LLVM decides what becomes one operation, and whether the product has
//   another reader changes its mind: keeping the product for a backward pass moves the bits of the sum. An fma that is
//   placed is one, whoever else reads the product.
// - Order of sums. 32 virtual lanes in vectors of 4, 8 or 16, folded in a fixed tree, chunks of 4,096 added in order,
//   give the bits of the definition for every width, and so do chunks that are summed apart and in another order.
//
// With the argument --time it prints instead what the order of sums costs against a sum in free order.
#include "check.h"
#include "graph/order.h"

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---- code

typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTypeRef real, index, pointer;
} Writer;

static LLVMValueRef begin(Writer *w, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters, unsigned count) {
    LLVMValueRef function = LLVMAddFunction(w->module, name, LLVMFunctionType(result, parameters, count, 0));
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(w->context, "prefer-vector-width", 19, "512", 3));
    LLVMPositionBuilderAtEnd(w->builder, LLVMAppendBasicBlockInContext(w->context, function, "entry"));
    return function;
}

// float NAME(float a, float b, float c, float *kept): a * b + c; `keep` stores the product as well.
static void write_product(Writer *w, const char *name, bool contract, bool keep) {
    LLVMTypeRef parameters[] = {w->real, w->real, w->real, w->pointer};
    LLVMValueRef function = begin(w, name, w->real, parameters, 4);
    LLVMValueRef a = LLVMGetParam(function, 0), b = LLVMGetParam(function, 1), c = LLVMGetParam(function, 2), sum;
    LLVMValueRef product = LLVMBuildFMul(w->builder, a, b, "");
    if (contract) {
        sum = LLVMBuildFAdd(w->builder, product, c, "");
        LLVMSetFastMathFlags(product, LLVMFastMathAllowContract);
        LLVMSetFastMathFlags(sum, LLVMFastMathAllowContract);
    } else {
        LLVMValueRef fma = LLVMGetIntrinsicDeclaration(w->module, LLVMLookupIntrinsicID("llvm.fma", 8), &w->real, 1);
        sum = LLVMBuildCall2(w->builder, LLVMGlobalGetValueType(fma), fma, (LLVMValueRef[]){a, b, c}, 3, "");
    }
    if (keep) LLVMBuildStore(w->builder, product, LLVMGetParam(function, 3));
    LLVMBuildRet(w->builder, sum);
}

static LLVMValueRef shuffle_down(Writer *w, LLVMValueRef value, int width, int distance) {
    LLVMValueRef order[64];
    for (int i = 0; i < width; i++)
        order[i] = LLVMConstInt(LLVMInt32TypeInContext(w->context), (unsigned)((i + distance) % width), 0);
    return LLVMBuildShuffleVector(w->builder, value, value, LLVMConstVector(order, (unsigned)width), "");
}

// Lane l takes up lane l + L/2, then l + L/4, ...
static LLVMValueRef fold(Writer *w, LLVMValueRef *vectors, int count, int width) {
    for (int half = count / 2; half >= 1; half /= 2)
        for (int i = 0; i < half; i++) vectors[i] = LLVMBuildFAdd(w->builder, vectors[i], vectors[i + half], "");
    LLVMValueRef total = vectors[0];
    for (int half = width / 2; half >= 1; half /= 2)
        total = LLVMBuildFAdd(w->builder, total, shuffle_down(w, total, width, half), "");
    return LLVMBuildExtractElement(w->builder, total, LLVMConstInt(w->index, 0, 0), "");
}

// float NAME(const float *x, int64_t count): the sum of `count` elements, a multiple of `lanes`, in `lanes` lanes that
// stand in vectors of `width`.
static void write_sum(Writer *w, const char *name, int lanes, int width) {
    LLVMTypeRef parameters[] = {w->pointer, w->index}, type = LLVMVectorType(w->real, (unsigned)width);
    LLVMValueRef function = begin(w, name, w->real, parameters, 2), sums[64], next[64];
    LLVMBasicBlockRef entry = LLVMGetInsertBlock(w->builder);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(w->context, function, "body");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(w->context, function, "done");
    LLVMBuildBr(w->builder, body);
    LLVMPositionBuilderAtEnd(w->builder, body);
    LLVMValueRef index = LLVMBuildPhi(w->builder, w->index, "index");
    int count = lanes / width;
    for (int i = 0; i < count; i++) sums[i] = LLVMBuildPhi(w->builder, type, "sum");
    for (int i = 0; i < count; i++) {
        LLVMValueRef at = LLVMBuildAdd(w->builder, index, LLVMConstInt(w->index, (unsigned)(i * width), 0), "");
        LLVMValueRef place = LLVMBuildGEP2(w->builder, w->real, LLVMGetParam(function, 0), &at, 1, "");
        LLVMValueRef loaded = LLVMBuildLoad2(w->builder, type, place, "");
        LLVMSetAlignment(loaded, 4);
        next[i] = LLVMBuildFAdd(w->builder, sums[i], loaded, "");
    }
    LLVMValueRef after = LLVMBuildAdd(w->builder, index, LLVMConstInt(w->index, (unsigned)lanes, 0), "");
    LLVMBasicBlockRef from[] = {entry, body};
    LLVMAddIncoming(index, (LLVMValueRef[]){LLVMConstNull(w->index), after}, from, 2);
    for (int i = 0; i < count; i++) LLVMAddIncoming(sums[i], (LLVMValueRef[]){LLVMConstNull(type), next[i]}, from, 2);
    LLVMValueRef more = LLVMBuildICmp(w->builder, LLVMIntSLT, after, LLVMGetParam(function, 1), "");
    LLVMBuildCondBr(w->builder, more, body, done);
    LLVMPositionBuilderAtEnd(w->builder, done);
    LLVMBuildRet(w->builder, fold(w, next, count, width));
}

static const int lane_counts[] = {16, 32, 64, 128}, widths[] = {4, 8, 16};
enum { LANE_COUNTS = 4, WIDTHS = 3 };

static void write_all(LLVMContextRef context, LLVMModuleRef module) {
    Writer w = {context,
                module,
                LLVMCreateBuilderInContext(context),
                LLVMFloatTypeInContext(context),
                LLVMInt64TypeInContext(context),
                LLVMPointerTypeInContext(context, 0)};
    write_product(&w, "contract", true, false);
    write_product(&w, "contract_kept", true, true);
    write_product(&w, "placed", false, false);
    write_product(&w, "placed_kept", false, true);
    for (int i = 0; i < LANE_COUNTS; i++)
        for (int k = 0; k < WIDTHS; k++) {
            char name[32];
            snprintf(name, sizeof name, "sum_%d_%d", lane_counts[i], widths[k]);
            write_sum(&w, name, lane_counts[i], widths[k]);
        }
    LLVMDisposeBuilder(w.builder);
}

static void check(LLVMErrorRef error) {
    if (!error) return;
    printf("%s\n", LLVMGetErrorMessage(error));
    exit(1);
}

static LLVMOrcLLJITRef jit;

static void start_jit(void) {
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    check(LLVMOrcCreateLLJIT(&jit, NULL));
    LLVMOrcThreadSafeContextRef safe_context = LLVMOrcCreateNewThreadSafeContext();
    LLVMContextRef context = LLVMOrcThreadSafeContextGetContext(safe_context);
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("order", context);
    write_all(context, module);
    LLVMOrcThreadSafeModuleRef safe = LLVMOrcCreateNewThreadSafeModule(module, safe_context);
    LLVMOrcDisposeThreadSafeContext(safe_context);
    check(LLVMOrcLLJITAddLLVMIRModule(jit, LLVMOrcLLJITGetMainJITDylib(jit), safe));
}

static void *code(const char *name) {
    LLVMOrcExecutorAddress address;
    check(LLVMOrcLLJITLookup(jit, &address, name));
    return (void *)(uintptr_t)address;
}

typedef float Product(float a, float b, float c, float *kept);
typedef float Sum(const float *x, int64_t count);

static Sum *sum_code(int lanes, int width) {
    char name[32];
    snprintf(name, sizeof name, "sum_%d_%d", lanes, width);
    return (Sum *)code(name);
}

// ---- numbers

enum { COUNT = 5 * ROW_CHUNK + 32 * 11 };
static float numbers[COUNT];

static float random_number(void) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(state >> 11) * 0x1p-52 - 1);
}

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

// ---- S9

static void check_multiply_add(void) {
    Product *contract = (Product *)code("contract"), *contract_kept = (Product *)code("contract_kept");
    Product *placed = (Product *)code("placed"), *placed_kept = (Product *)code("placed_kept");
    int moved = 0;
    for (int i = 0; i + 2 < COUNT; i += 3) {
        float a = numbers[i], b = numbers[i + 1], c = numbers[i + 2], kept;
        moved += !same(contract(a, b, c, &kept), contract_kept(a, b, c, &kept));
        CHECK(same(placed(a, b, c, &kept), fmaf(a, b, c)));
        CHECK(same(placed_kept(a, b, c, &kept), fmaf(a, b, c)));
        CHECK(same(kept, a * b));
    }
    char *features = LLVMGetHostCPUFeatures(), *triple = LLVMGetDefaultTargetTriple();
    if (strstr(features, "+fma,") || strncmp(triple, "aarch64", 7) == 0) CHECK(moved > 0);
    LLVMDisposeMessage(features);
    LLVMDisposeMessage(triple);
    printf("contract: keeping the product moved %d of %d sums; placed fma: none\n", moved, COUNT / 3);
}

// ---- S10

// The definition, element by element.
static float defined_chunk(const float *x, int64_t count) {
    float lanes[32] = {0};
    for (int64_t i = 0; i < count; i++) lanes[i % 32] += x[i];
    for (int half = 16; half >= 1; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

static float sum_chunks(Sum *chunk, const float *x, int64_t count) {
    float total = 0;
    for (int64_t first = 0; first < count; first += ROW_CHUNK)
        total += chunk(x + first, count - first < ROW_CHUNK ? count - first : ROW_CHUNK);
    return total;
}

// As two threads would: each sums chunks of its own, in whatever order; then they are added in order.
static float sum_apart(Sum *chunk, const float *x, int64_t count) {
    float sums[COUNT / ROW_CHUNK + 1], total = 0;
    int64_t chunks = (count + ROW_CHUNK - 1) / ROW_CHUNK;
    for (int64_t c = chunks - 1; c >= 0; c--) {
        int64_t first = c * ROW_CHUNK;
        sums[c] = chunk(x + first, count - first < ROW_CHUNK ? count - first : ROW_CHUNK);
    }
    for (int64_t c = 0; c < chunks; c++) total += sums[c];
    return total;
}

static void check_order(void) {
    for (int64_t count = 32; count <= COUNT; count += 32) {
        float expected = sum_chunks(defined_chunk, numbers, count);
        for (int k = 0; k < WIDTHS; k++) {
            Sum *chunk = sum_code(32, widths[k]);
            CHECK(same(sum_chunks(chunk, numbers, count), expected));
            CHECK(same(sum_apart(chunk, numbers, count), expected));
        }
        if (failures) return;
    }
}

// ---- what it costs

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static volatile float sink;

static float sum_in_order(const float *x, int64_t count) {
    float total = 0;
    for (int64_t i = 0; i < count; i++) total += x[i];
    return total;
}

static double time_of(Sum *chunk, bool chunked, const float *x, int64_t count) {
    double best = INFINITY;
    for (int round = 0; round < 40; round++) {
        int repeats = (int)(4000000 / count) + 1;
        double begin_time = now();
        for (int i = 0; i < repeats; i++) sink = chunked ? sum_chunks(chunk, x, count) : chunk(x, count);
        double elapsed = (now() - begin_time) / repeats / (double)count;
        if (elapsed < best) best = elapsed;
    }
    return best;
}

static void print_times(void) {
    static const int64_t counts[] = {4096, 65536, 8388608};
    printf("ns for each f32 element; rows of         4,096 (L1)  65,536 (L2)  8,388,608\n");
    float *x = calloc(8388608, sizeof *x);
    if (!x) exit(1);
    for (int row = -2; row < LANE_COUNTS * WIDTHS; row++) {
        int lanes = row < 0 ? 128 : lane_counts[row / WIDTHS], width = row < 0 ? 16 : widths[row % WIDTHS];
        if (row == -2) printf("  one after the other                 ");
        else if (row == -1) printf("  free order (8 vectors of 16)        ");
        else printf("  %3d lanes in vectors of %2d, chunks   ", lanes, width);
        for (int k = 0; k < 3; k++) {
            Sum *sum = row == -2 ? sum_in_order : sum_code(lanes, width);
            printf("%11.4f", time_of(sum, row >= 0, x, counts[k]));
        }
        printf("\n");
    }
    free(x);
}

int main(int count, char **arguments) {
    start_jit();
    for (int i = 0; i < COUNT; i++) numbers[i] = random_number();
    if (count > 1 && strcmp(arguments[1], "--time") == 0) {
        print_times();
    } else {
        check_multiply_add();
        check_order();
        printf("%d failures\n", failures);
    }
    check(LLVMOrcDisposeLLJIT(jit));
    return failures != 0;
}
