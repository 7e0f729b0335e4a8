// Numbers, splats, intrinsics and loops.
#include "emit/vocabulary.h"

#include <assert.h>
#include <string.h>

LLVMValueRef v_splat(const Code *code, LLVMValueRef scalar, int width) {
    if (width == 1 || v_width(scalar) == width) return scalar;
    LLVMTypeRef type = v_widen(LLVMTypeOf(scalar), width);
    LLVMTypeRef i32 = LLVMInt32TypeInContext(code->context);
    LLVMValueRef lane = LLVMBuildInsertElement(code->builder, LLVMGetPoison(type), scalar, LLVMConstInt(i32, 0, 0), "");
    return LLVMBuildShuffleVector(code->builder, lane, LLVMGetPoison(type), LLVMConstNull(v_widen(i32, width)), "");
}

static LLVMValueRef constant_splat(LLVMValueRef scalar, int width) {
    if (width == 1) return scalar;
    LLVMValueRef lanes[64];
    assert(width <= 64);
    for (int i = 0; i < width; i++) lanes[i] = scalar;
    return LLVMConstVector(lanes, (unsigned)width);
}

LLVMValueRef v_number(const Code *code, Dtype dtype, Scalar value, int width) {
    LLVMTypeRef type = v_scalar_type(code, dtype);
    if (!dtype_is_float(dtype)) return constant_splat(LLVMConstInt(type, (unsigned long long)value.integer, 1), width);
    // Through the bits: LLVMConstReal would lose a NaN's payload and sign.
    LLVMTypeRef bits_type = dtype == DTYPE_F32 ? LLVMInt32TypeInContext(code->context) : v_i64_type(code);
    uint64_t bits = 0;
    float single = (float)value.real;
    if (dtype == DTYPE_F32) memcpy(&bits, &single, sizeof single);
    else memcpy(&bits, &value.real, sizeof value.real);
    return constant_splat(LLVMConstBitCast(LLVMConstInt(bits_type, bits, 0), type), width);
}

LLVMValueRef v_lanes(const Code *code, int width) {
    LLVMValueRef lanes[64];
    for (int i = 0; i < width; i++) lanes[i] = v_i64(code, i);
    return width == 1 ? lanes[0] : LLVMConstVector(lanes, (unsigned)width);
}

LLVMValueRef v_intrinsic(const Code *code, const char *name, LLVMTypeRef *types, int type_count,
                         LLVMValueRef *arguments, int argument_count) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    assert(id);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(code->module, id, types, (size_t)type_count);
    LLVMTypeRef type = LLVMGlobalGetValueType(function);
    return LLVMBuildCall2(code->builder, type, function, arguments, (unsigned)argument_count, "");
}

void v_prefetch(const Code *code, LLVMValueRef pointer, int cache) {
    LLVMTypeRef i32 = LLVMInt32TypeInContext(code->context), type = v_pointer_type(code);
    LLVMValueRef locality = LLVMConstInt(i32, (unsigned)cache, 0);
    LLVMValueRef arguments[] = {pointer, LLVMConstNull(i32), locality,
                                LLVMConstInt(i32, 1, 0)};   // to be read, as data
    v_intrinsic(code, "llvm.prefetch", &type, 1, arguments, 4);
}

LLVMValueRef v_fma(const Code *code, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef arguments[] = {x, y, z};
    return v_intrinsic(code, "llvm.fma", &type, 1, arguments, 3);
}

Loop loop_begin(const Code *code, const char *name, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef step,
                const LLVMValueRef *carries, int carry_count) {
    assert(carry_count <= MAX_CARRIES);
    Loop loop = {.step = step, .carry_count = carry_count};
    LLVMBasicBlockRef before = b_here(code);
    loop.head = b_new(code, name);
    LLVMBasicBlockRef body = b_new(code, "body");
    loop.exit = b_new(code, "done");
    LLVMBuildBr(code->builder, loop.head);
    b_go(code, loop.head);
    loop.index = LLVMBuildPhi(code->builder, v_i64_type(code), name);
    LLVMAddIncoming(loop.index, &start, &before, 1);
    for (int i = 0; i < carry_count; i++) {
        loop.carries[i] = LLVMBuildPhi(code->builder, LLVMTypeOf(carries[i]), "");
        LLVMValueRef first = carries[i];
        LLVMAddIncoming(loop.carries[i], &first, &before, 1);
    }
    LLVMBuildCondBr(code->builder, v_less(code, loop.index, limit), body, loop.exit);
    b_go(code, body);
    return loop;
}

void loop_end(const Code *code, Loop *loop, const LLVMValueRef *next) {
    LLVMBasicBlockRef last = b_here(code);
    LLVMValueRef index = v_add(code, loop->index, loop->step);
    LLVMBuildBr(code->builder, loop->head);
    LLVMAddIncoming(loop->index, &index, &last, 1);
    for (int i = 0; i < loop->carry_count; i++) {
        LLVMValueRef value = next[i];
        LLVMAddIncoming(loop->carries[i], &value, &last, 1);
    }
    b_go(code, loop->exit);
}
