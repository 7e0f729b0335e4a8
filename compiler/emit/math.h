// The functions of compiler/math as LLVM values: the operations of math/recipes.h, written with a builder.
#ifndef GRADC_EMIT_MATH_H
#define GRADC_EMIT_MATH_H

#include "math/scalar.h"

#include <llvm-c/Core.h>
#include <stdbool.h>

// Where code is being written.
typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    bool scales;   // the processor has AVX-512's vscalef
} MathEmitter;

// The function of operands of one type: float, double, or a vector of either.
LLVMValueRef math_emit(MathEmitter *emitter, MathFunction function, const LLVMValueRef *operands);

// Random numbers of `type` (float, double, or a vector): `element` is i64 or a vector of i64 of the same width; seed
// and draw are scalar i64.
LLVMValueRef math_emit_random(MathEmitter *emitter, bool normal, LLVMTypeRef type, LLVMValueRef element,
                              LLVMValueRef seed, LLVMValueRef draw, int64_t site);

#endif
