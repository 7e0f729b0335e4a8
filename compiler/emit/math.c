// The recipes of compiler/math as LLVM values: the same operations in the same order as the C of math/scalar.c, on
// scalars and on vectors of any width, and so the same bits. Random numbers likewise.
#include "emit/math.h"

#include "math/coefficients.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// Where operations are added, and how many lanes they have.
typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    int width;
    bool scales;
} Writer;

enum { MAX_WIDTH = 64 };

// ---- types and constants

static LLVMTypeRef lanes_of(const Writer *w, LLVMTypeRef type) {
    return w->width == 1 ? type : LLVMVectorType(type, (unsigned)w->width);
}

static LLVMTypeRef integers(const Writer *w, int bits) {
    return lanes_of(w, LLVMIntTypeInContext(w->context, (unsigned)bits));
}

static LLVMTypeRef reals(const Writer *w, int bits) {
    return lanes_of(w, bits == 32 ? LLVMFloatTypeInContext(w->context) : LLVMDoubleTypeInContext(w->context));
}

static LLVMValueRef integer(const Writer *w, int bits, uint64_t value) {
    LLVMValueRef lanes[MAX_WIDTH];
    LLVMValueRef scalar = LLVMConstInt(LLVMIntTypeInContext(w->context, (unsigned)bits), value, 0);
    assert(w->width <= MAX_WIDTH);
    for (int i = 0; i < w->width; i++) lanes[i] = scalar;
    return w->width == 1 ? scalar : LLVMConstVector(lanes, (unsigned)w->width);
}

// Through the bits, which keeps infinities and NaNs as C has them.
static LLVMValueRef number(const Writer *w, int bits, double value) {
    uint64_t pattern = 0;
    float single = (float)value;
    if (bits == 32) memcpy(&pattern, &single, sizeof single);
    else memcpy(&pattern, &value, sizeof value);
    return LLVMConstBitCast(integer(w, bits, pattern), reals(w, bits));
}

static LLVMValueRef intrinsic(const Writer *w, const char *name, LLVMValueRef *arguments, int count) {
    LLVMTypeRef type = LLVMTypeOf(arguments[0]);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(w->module, LLVMLookupIntrinsicID(name, strlen(name)), &type, 1);
    return LLVMBuildCall2(w->builder, LLVMGlobalGetValueType(function), function, arguments, (unsigned)count, "");
}

static LLVMValueRef fused(const Writer *w, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    return intrinsic(w, "llvm.fma", (LLVMValueRef[]){x, y, z}, 3);
}

static LLVMValueRef unary(const Writer *w, const char *name, LLVMValueRef x) {
    return intrinsic(w, name, &x, 1);
}

static bool may_scale(const Writer *w, int precision) {
    int bits = w->width * precision;
    return w->scales && (bits == 128 || bits == 256 || bits == 512);
}

// x * 2^n, rounded once, in one instruction
static LLVMValueRef scaled(const Writer *w, LLVMValueRef x, LLVMValueRef n, int precision) {
    int bits = w->width * precision;
    char name[64];
    snprintf(name, sizeof name, "llvm.x86.avx512.mask.scalef.p%c.%d", precision == 32 ? 's' : 'd', bits);
    LLVMTypeRef lanes = LLVMIntTypeInContext(w->context, w->width > 8 ? 16 : 8),
                i32 = LLVMInt32TypeInContext(w->context);
    LLVMValueRef arguments[] = {x, n, x, LLVMConstAllOnes(lanes), LLVMConstInt(i32, 4, 0)};   // 4: the current rounding
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(w->module, LLVMLookupIntrinsicID(name, strlen(name)), NULL, 0);
    unsigned count = bits == 512 ? 5 : 4;
    return LLVMBuildCall2(w->builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

// ---- the vocabulary of recipes.h; `w` is where they write
#define REAL LLVMValueRef
#define BITS LLVMValueRef
#define MASK LLVMValueRef
#define PARAMETERS(...) (const Writer *w, __VA_ARGS__)
#define CALL(f, ...) NAME(f)(w, __VA_ARGS__)
#define ADD(x, y) LLVMBuildFAdd(w->builder, x, y, "")
#define SUB(x, y) LLVMBuildFSub(w->builder, x, y, "")
#define MUL(x, y) LLVMBuildFMul(w->builder, x, y, "")
#define DIV(x, y) LLVMBuildFDiv(w->builder, x, y, "")
#define FMA(x, y, z) fused(w, x, y, z)
#define FLOOR(x) unary(w, "llvm.floor", x)
#define ABS(x) unary(w, "llvm.fabs", x)
#define NEGATE(x) LLVMBuildFNeg(w->builder, x, "")
#define NUMBER(v) number(w, PRECISION, v)
#define INTEGER(v) integer(w, PRECISION, v)
#define LESS(x, y) LLVMBuildFCmp(w->builder, LLVMRealOLT, x, y, "")
#define NOT_LESS(x, y) LLVMBuildFCmp(w->builder, LLVMRealUGE, x, y, "")
#define SCALED(x, n, product) (may_scale(w, PRECISION) ? scaled(w, x, n, PRECISION) : (product))
#define LESS_EQUAL(x, y) LLVMBuildFCmp(w->builder, LLVMRealOLE, x, y, "")
#define EQUAL(x, y) LLVMBuildFCmp(w->builder, LLVMRealOEQ, x, y, "")
#define UNEQUAL(x, y) LLVMBuildFCmp(w->builder, LLVMRealUNE, x, y, "")
#define BITS_EQUAL(x, y) LLVMBuildICmp(w->builder, LLVMIntEQ, x, y, "")
#define BOTH(a, b) LLVMBuildAnd(w->builder, a, b, "")
#define EITHER(a, b) LLVMBuildOr(w->builder, a, b, "")
#define SELECT(mask, x, y) LLVMBuildSelect(w->builder, mask, x, y, "")
#define TO_BITS(x) LLVMBuildBitCast(w->builder, x, integers(w, PRECISION), "")
#define FROM_BITS(x) LLVMBuildBitCast(w->builder, x, reals(w, PRECISION), "")
#define AND(x, y) LLVMBuildAnd(w->builder, x, y, "")
#define OR(x, y) LLVMBuildOr(w->builder, x, y, "")
#define XOR(x, y) LLVMBuildXor(w->builder, x, y, "")
#define SHIFT_LEFT(x, n) LLVMBuildShl(w->builder, x, INTEGER(n), "")
#define SHIFT_RIGHT(x, n) LLVMBuildLShr(w->builder, x, INTEGER(n), "")
#define BITS_ADD(x, y) LLVMBuildAdd(w->builder, x, y, "")
#define BITS_SUB(x, y) LLVMBuildSub(w->builder, x, y, "")

#define PRECISION 64
#define NAME(f) f##_f64
#include "math/recipes.h"
#undef PRECISION
#undef NAME

#define PRECISION 32
#define NAME(f) f##_f32
#define WIDE(f, x, y) narrowed(w, f##_f64(w, widened(w, x), widened(w, y)))
static LLVMValueRef widened(const Writer *w, LLVMValueRef x) {
    return LLVMBuildFPExt(w->builder, x, reals(w, 64), "");
}
static LLVMValueRef narrowed(const Writer *w, LLVMValueRef x) {
    return LLVMBuildFPTrunc(w->builder, x, reals(w, 32), "");
}
#include "math/recipes.h"
#undef PRECISION
#undef NAME

// ---- functions

typedef LLVMValueRef Recipe(const Writer *w, const LLVMValueRef *operands);
#define OPERANDS_1 operands[0]
#define OPERANDS_2 operands[0], operands[1]
#define WRAP(name, arity, suffix)                                                                \
    static LLVMValueRef apply_##name##_##suffix(const Writer *w, const LLVMValueRef *operands) { \
        return name##_##suffix(w, OPERANDS_##arity);                                             \
    }
#define WRAP_BOTH(name, arity) WRAP(name, arity, f32) WRAP(name, arity, f64)
MATH_LIST(WRAP_BOTH)

static Recipe *const recipes[MATH_COUNT][2] = {
#define RECIPES(name, arity) [MATH_##name] = {apply_##name##_f32, apply_##name##_f64},
    MATH_LIST(RECIPES)};

static Writer writer_of(const MathEmitter *emitter, LLVMTypeRef type, bool *is_double) {
    Writer writer = {emitter->context, emitter->module, emitter->builder, 1, emitter->scales};
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) {
        writer.width = (int)LLVMGetVectorSize(type);
        type = LLVMGetElementType(type);
    }
    *is_double = LLVMGetTypeKind(type) == LLVMDoubleTypeKind;
    return writer;
}

LLVMValueRef math_emit(MathEmitter *emitter, MathFunction function, const LLVMValueRef *operands) {
    bool is_double;
    Writer writer = writer_of(emitter, LLVMTypeOf(operands[0]), &is_double);
    return recipes[function][is_double](&writer, operands);
}

// ---- random numbers, as scalar.c draws them

static LLVMValueRef word(const Writer *w, LLVMValueRef wide) {
    return LLVMBuildTrunc(w->builder, wide, integers(w, 32), "");
}

static LLVMValueRef upper(const Writer *w, LLVMValueRef wide) {
    return LLVMBuildLShr(w->builder, wide, integer(w, 64, 32), "");
}

static LLVMValueRef repeat(const Writer *w, LLVMValueRef scalar) {
    if (w->width == 1) return scalar;
    LLVMTypeRef type = lanes_of(w, LLVMTypeOf(scalar)), i32 = LLVMInt32TypeInContext(w->context);
    LLVMValueRef first = LLVMBuildInsertElement(w->builder, LLVMGetPoison(type), scalar, LLVMConstInt(i32, 0, 0), "");
    return LLVMBuildShuffleVector(w->builder, first, LLVMGetPoison(type), LLVMConstNull(integers(w, 32)), "");
}

static LLVMValueRef exclusive(const Writer *w, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    return LLVMBuildXor(w->builder, LLVMBuildXor(w->builder, a, b, ""), c, "");
}

// The counter's words and the key's lie in the lower halves of 64 bits, as the products need them; what the upper halves
// hold does not matter.
static LLVMValueRef wide_product(const Writer *w, uint32_t multiplier, LLVMValueRef x) {
    LLVMValueRef low = LLVMBuildAnd(w->builder, x, integer(w, 64, UINT32_MAX), "");
    return LLVMBuildMul(w->builder, low, integer(w, 64, multiplier), "");
}

static void philox(const Writer *w, LLVMValueRef *key, LLVMValueRef *counter) {
    for (int round = 0; round < 10; round++) {
        LLVMValueRef left = wide_product(w, PHILOX_MULTIPLIER_0, counter[0]);
        LLVMValueRef right = wide_product(w, PHILOX_MULTIPLIER_1, counter[2]);
        counter[0] = exclusive(w, upper(w, right), counter[1], key[0]);
        counter[2] = exclusive(w, upper(w, left), counter[3], key[1]);
        counter[1] = right;
        counter[3] = left;
        key[0] = LLVMBuildAdd(w->builder, key[0], integer(w, 64, PHILOX_WEYL_0), "");
        key[1] = LLVMBuildAdd(w->builder, key[1], integer(w, 64, PHILOX_WEYL_1), "");
    }
}

static void draw_words(const Writer *w, LLVMValueRef element, LLVMValueRef seed, LLVMValueRef draw, int64_t site,
                       LLVMValueRef *words) {
    seed = repeat(w, seed);
    draw = repeat(w, draw);
    LLVMValueRef high = LLVMBuildAnd(w->builder, draw, integer(w, 64, UINT64_C(0xffffffff00000000)), "");
    LLVMValueRef place = exclusive(w, integer(w, 64, (uint64_t)site), upper(w, element), high);
    LLVMValueRef key[2] = {seed, upper(w, seed)}, counter[4] = {element, place, upper(w, place), draw};
    philox(w, key, counter);
    for (int i = 0; i < 4; i++) words[i] = word(w, counter[i]);
}

// A word without its `drop` lowest bits, as a number; that leaves less than 2^31.
static LLVMValueRef word_number(const Writer *w, int precision, LLVMValueRef x, int drop) {
    LLVMValueRef shifted = LLVMBuildLShr(w->builder, x, integer(w, 32, (uint64_t)drop), "");
    return LLVMBuildSIToFP(w->builder, shifted, reals(w, precision), "");
}

// In [0, 1), from one word or two.
static LLVMValueRef unit(const Writer *w, int precision, const LLVMValueRef *words) {
    if (precision == 32) return MUL(word_number(w, 32, words[0], 8), number(w, 32, 0x1p-24));
    LLVMValueRef low = word_number(w, 64, words[1], 6);
    LLVMValueRef whole = FMA(word_number(w, 64, words[0], 5), number(w, 64, 0x1p26), low);
    return MUL(whole, number(w, 64, 0x1p-53));
}

LLVMValueRef math_emit_random(MathEmitter *emitter, bool normal, LLVMTypeRef type, LLVMValueRef element,
                              LLVMValueRef seed, LLVMValueRef draw, int64_t site) {
    bool is_double;
    Writer writer = writer_of(emitter, type, &is_double), *w = &writer;
    int precision = is_double ? 64 : 32;
    LLVMValueRef words[4];
    draw_words(w, element, seed, draw, site, words);
    LLVMValueRef first = unit(w, precision, words);
    if (!normal) return first;
    LLVMValueRef rest = SUB(number(w, precision, 1), first);
    LLVMValueRef angle = MUL(number(w, precision, RANDOM_TURN), unit(w, precision, words + (is_double ? 2 : 1)));
    LLVMValueRef log = recipes[MATH_log][is_double](w, &rest), cosine = recipes[MATH_cos][is_double](w, &angle);
    return MUL(unary(w, "llvm.sqrt", MUL(number(w, precision, -2), log)), cosine);
}
