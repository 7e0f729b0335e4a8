// Reductions inside a kernel: accumulators, and what combines them.
#ifndef GRADC_EMIT_LANES_H
#define GRADC_EMIT_LANES_H

#include "emit/emitter.h"

// A running reduction in some vectors: its values and, for argmax, their indices.
typedef struct {
    int instruction, operand;
    Op op;
    Dtype dtype;   // of what is reduced
} Reduction;
typedef struct {
    LLVMValueRef value, index;
} Partial;

// The kernel's reductions that happen in pass `phase`; returns how many.
int reductions_of(const Kernel *kernel, int phase, Reduction *reductions);
Partial partial_start(Emitter *emitter, const Reduction *reduction, int width);
Partial partial_combine(Emitter *emitter, const Reduction *reduction, Partial a, Partial b);
// What is outside the mask (NULL: nothing) stays as in `a`.
Partial partial_select(Emitter *emitter, LLVMValueRef mask, Partial a, Partial b);
// The element at `index` (i64, one for each lane), as a partial.
Partial partial_of(Emitter *emitter, const Reduction *reduction, LLVMValueRef value, LLVMValueRef index);
LLVMValueRef partial_result(Emitter *emitter, const Reduction *reduction, Partial total);
static inline bool is_argmax(const Reduction *reduction) {
    return reduction->op == OP_reduce_argmax;
}

// ---- column.c, wide_column.c
// Binds the column axes to element `flat` of their row-major order; how many elements that has.
void bind_columns(Emitter *emitter, Scope *scope, const int *columns, int count, LLVMValueRef flat);
const Extent *column_length(Emitter *emitter, const Kernel *kernel);
// False: the columns fit `group` vectors, or it is no kernel for this, and none was made.
bool emit_wide_column(Emitter *emitter, const Kernel *kernel, int group);

// Partials as the carries of a loop, and back; both return the number of carries.
int partials_to_carries(const Partial *partials, int count, LLVMValueRef *carries);
void partials_from_carries(Partial *partials, int count, const LLVMValueRef *carries);

#endif
