// Quotients of many dividends by one divisor, to the bit those of division, which takes three to five times as long.
//
// With y = 1 / b, rounded to nearest: q = a y, r = a - q b, and q + r y, each rounded once, is a / b, rounded to nearest
// (P. Markstein; N. Brisebarre, J.-M. Muller and S. Kumar Raina, "Accelerating Correctly Rounded Floating-Point Division
// When the Divisor Is Known in Advance", 2004). That needs numbers of which r is exact and nothing is subnormal or
// infinite: of other vectors, and in other directions of rounding, the processor divides.
#include "emit/emitter.h"

// |b| from 1 / DIVISOR to DIVISOR and |a| from 1 / DIVIDEND to DIVIDEND, or +0 (for -0 the steps give +0): a / b is then a
// normal number, and so is r. NEGLIGIBLE: so much of a number is less than half its last place.
#define DIVISOR(dtype) ((dtype) == DTYPE_F32 ? 0x1p40 : 0x1p300)
#define DIVIDEND(dtype) ((dtype) == DTYPE_F32 ? 0x1p84 : 0x1p600)
#define NEGLIGIBLE(dtype) ((dtype) == DTYPE_F32 ? 0x1p-30 : 0x1p-60)

static LLVMValueRef number(const Code *code, Dtype dtype, double value, int width) {
    return v_number(code, dtype, (Scalar){.real = value}, width);
}

static LLVMValueRef magnitude(const Code *code, LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return v_intrinsic(code, "llvm.fabs", &type, 1, &x, 1);
}

static LLVMValueRef compare(const Code *code, LLVMRealPredicate predicate, LLVMValueRef x, LLVMValueRef y) {
    return LLVMBuildFCmp(code->builder, predicate, x, y, "");
}

static LLVMValueRef both(const Code *code, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildAnd(code->builder, a, b, "");
}

// Whether the divisor is in range, and rounding is to nearest: then neither of these sums leaves it.
static LLVMValueRef is_usable(const Code *code, Dtype dtype, LLVMValueRef divisor) {
    LLVMValueRef size = magnitude(code, divisor), most = number(code, dtype, DIVISOR(dtype), 1);
    LLVMValueRef least = number(code, dtype, 1 / DIVISOR(dtype), 1);
    LLVMValueRef little = LLVMBuildFMul(code->builder, size, number(code, dtype, NEGLIGIBLE(dtype), 1), "");
    LLVMValueRef above = LLVMBuildFAdd(code->builder, size, little, "");
    LLVMValueRef below = LLVMBuildFSub(code->builder, size, little, "");
    LLVMValueRef nearest = both(code, compare(code, LLVMRealOEQ, above, size), compare(code, LLVMRealOEQ, below, size));
    LLVMValueRef within = both(code, compare(code, LLVMRealOGE, size, least), compare(code, LLVMRealOLE, size, most));
    return both(code, within, nearest);
}

Divisor divisor_of(Emitter *emitter, Dtype dtype, LLVMValueRef value, int width) {
    const Code *code = &emitter->code;
    LLVMValueRef reciprocal = LLVMBuildFDiv(code->builder, number(code, dtype, 1, 1), value, "");
    LLVMValueRef limit = v_select(code, is_usable(code, dtype, value), number(code, dtype, DIVIDEND(dtype), 1),
                                  number(code, dtype, -1, 1));
    return (Divisor){v_splat(code, value, width), v_splat(code, reciprocal, width), v_splat(code, limit, width)};
}

// One bit: whether any lane's dividend is out of range. No size is at most a limit of -1.
static LLVMValueRef any_outside(const Code *code, Dtype dtype, LLVMValueRef dividend, const Divisor *divisor) {
    int width = v_width(dividend);
    LLVMValueRef size = magnitude(code, dividend);
    LLVMValueRef small = compare(code, LLVMRealOLT, size, number(code, dtype, 1 / DIVIDEND(dtype), width));
    LLVMTypeRef pattern = v_type(code, dtype == DTYPE_F32 ? DTYPE_I32 : DTYPE_I64, width);
    LLVMValueRef zero = LLVMBuildBitCast(code->builder, dividend, pattern, "");
    small = both(code, small, LLVMBuildICmp(code->builder, LLVMIntNE, zero, LLVMConstNull(pattern), ""));
    LLVMValueRef outside = LLVMBuildOr(code->builder, small, compare(code, LLVMRealUGT, size, divisor->limit), "");
    LLVMTypeRef bits = LLVMIntTypeInContext(code->context, (unsigned)width);
    return LLVMBuildICmp(code->builder, LLVMIntNE, LLVMBuildBitCast(code->builder, outside, bits, ""),
                         LLVMConstNull(bits), "");
}

LLVMValueRef quotient_of(Emitter *emitter, Dtype dtype, LLVMValueRef dividend, const Divisor *divisor) {
    const Code *code = &emitter->code;
    LLVMValueRef first = LLVMBuildFMul(code->builder, dividend, divisor->reciprocal, "");
    LLVMValueRef back = LLVMBuildFNeg(code->builder, first, "");
    LLVMValueRef rest = v_fma(code, back, divisor->value, dividend);
    LLVMValueRef quick = v_fma(code, rest, divisor->reciprocal, first);
    LLVMValueRef outside = any_outside(code, dtype, dividend, divisor);
    LLVMBasicBlockRef here = b_here(code), slow = b_new(code, "divide"), after = b_new(code, "divided");
    LLVMBuildCondBr(code->builder, outside, slow, after);
    b_go(code, slow);
    LLVMValueRef divided = LLVMBuildFDiv(code->builder, dividend, divisor->value, "");
    LLVMBuildBr(code->builder, after);
    b_go(code, after);
    LLVMValueRef result = LLVMBuildPhi(code->builder, LLVMTypeOf(dividend), "");
    LLVMAddIncoming(result, (LLVMValueRef[]){quick, divided}, (LLVMBasicBlockRef[]){here, slow}, 2);
    return result;
}
