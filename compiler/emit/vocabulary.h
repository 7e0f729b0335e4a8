// A thin vocabulary over LLVM's builder: v_ for values, b_ for blocks. What changes in LLVM's C API meets this file.
#ifndef GRADC_EMIT_VOCABULARY_H
#define GRADC_EMIT_VOCABULARY_H

#include "graph/graph.h"

#include <llvm-c/Core.h>

enum { MAX_LANES = 64 };

// Where code is being written.
typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMValueRef function;
} Code;

static inline LLVMTypeRef v_i64_type(const Code *code) {
    return LLVMInt64TypeInContext(code->context);
}
static inline LLVMTypeRef v_pointer_type(const Code *code) {
    return LLVMPointerTypeInContext(code->context, 0);
}

static inline LLVMValueRef v_i64(const Code *code, int64_t value) {
    return LLVMConstInt(v_i64_type(code), (unsigned long long)value, 1);
}

// In registers a bool is i1; in memory a byte (memory_type).
static inline LLVMTypeRef v_scalar_type(const Code *code, Dtype dtype) {
    switch (dtype) {
    case DTYPE_F32: return LLVMFloatTypeInContext(code->context);
    case DTYPE_F64: return LLVMDoubleTypeInContext(code->context);
    case DTYPE_I32: return LLVMInt32TypeInContext(code->context);
    case DTYPE_BOOL: return LLVMInt1TypeInContext(code->context);
    default: return v_i64_type(code);
    }
}

static inline LLVMTypeRef v_memory_type(const Code *code, Dtype dtype) {
    return dtype == DTYPE_BOOL ? LLVMInt8TypeInContext(code->context) : v_scalar_type(code, dtype);
}

// width 1 is a scalar.
static inline LLVMTypeRef v_widen(LLVMTypeRef type, int width) {
    return width == 1 ? type : LLVMVectorType(type, (unsigned)width);
}

static inline LLVMTypeRef v_type(const Code *code, Dtype dtype, int width) {
    return v_widen(v_scalar_type(code, dtype), width);
}

static inline int v_width(LLVMValueRef value) {
    LLVMTypeRef type = LLVMTypeOf(value);
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 1;
}

static inline LLVMValueRef v_add(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildAdd(code->builder, a, b, "");
}
static inline LLVMValueRef v_subtract(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSub(code->builder, a, b, "");
}
static inline LLVMValueRef v_multiply(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildMul(code->builder, a, b, "");
}
static inline LLVMValueRef v_select(const Code *code, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(code->builder, condition, a, b, "");
}
static inline LLVMValueRef v_less(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildICmp(code->builder, LLVMIntSLT, a, b, "");
}

// The smaller of two i64.
static inline LLVMValueRef v_minimum(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return v_select(code, v_less(code, a, b), a, b);
}

// The greater of two i64.
static inline LLVMValueRef v_maximum(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return v_select(code, v_less(code, a, b), b, a);
}

// A number of any type; a vector type gets it in every lane.
LLVMValueRef v_number(const Code *code, Dtype dtype, Scalar value, int width);
LLVMValueRef v_splat(const Code *code, LLVMValueRef scalar, int width);
// <0, 1, 2, ...> of i64
LLVMValueRef v_lanes(const Code *code, int width);
// The intrinsic `name`, overloaded on `types`.
LLVMValueRef v_intrinsic(const Code *code, const char *name, LLVMTypeRef *types, int type_count,
                         LLVMValueRef *arguments, int argument_count);
// Begins to bring the line of memory at `pointer` into the first-level cache (CACHE_NEAR) or the second (CACHE_FAR).
enum { CACHE_FAR = 2, CACHE_NEAR = 3 };
void v_prefetch(const Code *code, LLVMValueRef pointer, int cache);
LLVMValueRef v_fma(const Code *code, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);

static inline LLVMBasicBlockRef b_new(const Code *code, const char *name) {
    return LLVMAppendBasicBlockInContext(code->context, code->function, name);
}
static inline LLVMBasicBlockRef b_here(const Code *code) {
    return LLVMGetInsertBlock(code->builder);
}
static inline void b_go(const Code *code, LLVMBasicBlockRef block) {
    LLVMPositionBuilderAtEnd(code->builder, block);
}

// if (condition) { code between b_if and b_join }
typedef struct {
    LLVMBasicBlockRef join;
} Branch;

static inline Branch b_if(const Code *code, LLVMValueRef condition) {
    Branch branch = {b_new(code, "after")};
    LLVMBasicBlockRef then = b_new(code, "then");
    LLVMBuildCondBr(code->builder, condition, then, branch.join);
    b_go(code, then);
    return branch;
}
static inline void b_join(const Code *code, Branch branch) {
    LLVMBuildBr(code->builder, branch.join);
    b_go(code, branch.join);
}

enum { MAX_CARRIES = 512 };

// for (index = start; index < limit; index += step), with values carried from one round to the next.
typedef struct {
    LLVMBasicBlockRef head, exit;
    LLVMValueRef index, step;
    LLVMValueRef carries[MAX_CARRIES];   // in the body: their values at its start; after loop_end: at the end
    int carry_count;
} Loop;

Loop loop_begin(const Code *code, const char *name, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef step,
                const LLVMValueRef *carries, int carry_count);
void loop_end(const Code *code, Loop *loop, const LLVMValueRef *next);

#endif
