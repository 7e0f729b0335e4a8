// Each function once, as straight-line operations: no branches, no tables, no calls of libm.
//
// This file is included once for each precision by scalar.c, where the operations are C's, and by emit/math.c, where
// they are LLVM's builders for scalars and vectors of any width. Both so compute the same bits. The includer defines:
//   PRECISION                 32 or 64
//   REAL BITS MASK            a floating value, an unsigned integer of the same size, a truth value
//   NAME(f)                   f's name at this precision
//   PARAMETERS(...)           a function's parameters, after whatever the includer adds
//   CALL(f, ...)              f at this precision; ADD SUB MUL DIV FMA FLOOR NEGATE ABS, on REAL
//   NUMBER(v) INTEGER(v)      constants
//   LESS LESS_EQUAL EQUAL UNEQUAL (false for NaN, but UNEQUAL true); BITS_EQUAL, BOTH, EITHER; SELECT(mask, a, b)
//   NOT_LESS              true for NaN
//   TO_BITS FROM_BITS AND OR XOR SHIFT_LEFT SHIFT_RIGHT BITS_ADD BITS_SUB
//   SCALED(x, n, product)     x * 2^n, rounded once, of a whole n; `product` computes the same
// and, for 32 bits, WIDE(f, ...): f at 64 bits of operands that are widened, narrowed again.
//
// Accuracy in ULP. f32: the largest error over all 2^32 arguments, against double precision (pow: samples); f64: of the
// samples of tests/unit/math_test.c, which holds bounds a little above these against MPFR.
//         exp   expm1  log   log1p  sin, cos  atan  tanh  sigmoid  erf    pow
//   f32   0.97  1.61   0.84  1.43   1.57      1.9   2.50  2.41     3.16   0.51
//   f64   0.9   2.1    0.8   1.4    1.5       1.8   2.5   2.0      2.1    1.0
// sin and cos: f32 to |x| = 1e4, f64 to 1e9. Further out the absolute error is at most 2e-7 to 1e6 (f64: 4e-16 to
// 1e15), and from there on the result is only known to lie between -1 and 1. erf's absolute error is at most 1e-7
// (f64: 2.5e-16). Subnormal arguments and results are right, and nothing is flushed to 0: exp(x) is 0 below -103.98
// (f64: -745.14) and infinite above 88.73 (709.79).
//
// The ways: n = round(x / ln 2) comes from adding a number so large that the sum's last bit is a one; the same number
// leaves n, plus a bias, in the sum's low bits, from which a shift makes 2^n. What is subtracted is in two parts (three
// for pi/2), so that the rest is exact. A minimum or maximum with a limit is written so that a NaN stays one.

#if PRECISION == 32
#define CHOICE(single, double) single
#define TABLE(name) name##_f32
#define MANTISSA 23
#define BIAS 127
#else
#define CHOICE(single, double) double
#define TABLE(name) name##_f64
#define MANTISSA 52
#define BIAS 1023
#endif

#define POLYNOMIAL(table, x) CALL(polynomial, x, TABLE(table), (int)(sizeof TABLE(table) / sizeof *TABLE(table)))
#define AT_MOST(x, limit) SELECT(LESS(limit, x), limit, x)
#define AT_LEAST(x, limit) SELECT(LESS(x, limit), limit, x)
#define ONE INTEGER((uint64_t)BIAS << MANTISSA)
#define SIGN_BIT INTEGER((uint64_t)1 << (PRECISION - 1))
#define EXPONENT_FIELD INTEGER((uint64_t)(2 * BIAS + 1) << MANTISSA)
#define MANTISSA_FIELD INTEGER(((uint64_t)1 << MANTISSA) - 1)
#define INFINITE NUMBER(__builtin_inf())

// A sum with it has ones for its last bit, and keeps small integers in its low bits.
#define ROUNDER (1.5 * (double)((uint64_t)1 << MANTISSA))
#define WHOLE ((double)((uint64_t)1 << MANTISSA))   // its bits, or an integer, are that integer plus WHOLE
#define WHOLE_BITS INTEGER((uint64_t)(BIAS + MANTISSA) << MANTISSA)

#define LN2_HIGH CHOICE(0x1.62e4p-1, 0x1.62e42fefa38p-1)   // few bits: times an exponent it is exact
#define LN2_LOW CHOICE(0x1.7f7d1cf79abcap-20, 0x1.ef35793c7673p-45)
#define LOG2_E 0x1.71547652b82fep+0
#define EXP_LOWEST CHOICE(-104.0, -746.0)   // of this and less exp is 0
#define EXP_HIGHEST CHOICE(89.0, 710.0)     // of this and more, infinite
#define EXPM1_LOWEST CHOICE(-18.0, -38.0)   // of this and less expm1 is -1

static REAL NAME(polynomial) PARAMETERS(REAL x, const double *coefficients, int count) {
    REAL sum = NUMBER(coefficients[count - 1]);
    for (int i = count - 2; i >= 0; i--) sum = FMA(sum, x, NUMBER(coefficients[i]));
    return sum;
}

// ---- exponentials

// x = n ln 2 + rest; `bits` are those of n + offset, in the low half.
typedef struct {
    REAL rest, n;
    BITS bits;
} NAME(Reduced);

static NAME(Reduced) NAME(reduce) PARAMETERS(REAL x, double offset) {
    REAL rounder = NUMBER(ROUNDER + offset);
    REAL shifted = FMA(x, NUMBER(LOG2_E), rounder), n = SUB(shifted, rounder);
    REAL rest = FMA(n, NUMBER(-LN2_LOW), FMA(n, NUMBER(-LN2_HIGH), x));
    return (NAME(Reduced)){rest, n, TO_BITS(shifted)};
}

// exp(rest)
static REAL NAME(exp_rest) PARAMETERS(REAL rest) {
    REAL one = NUMBER(1);
    return FMA(FMA(POLYNOMIAL(EXP, rest), rest, one), rest, one);
}

// value * 2^n, of bits = n + 2 BIAS: in two steps, as 2^n alone may be too large or small to be normal.
static REAL NAME(scale_twice) PARAMETERS(REAL value, BITS bits) {
    BITS half = AND(SHIFT_LEFT(bits, MANTISSA - 1), EXPONENT_FIELD);
    BITS other = BITS_SUB(SHIFT_LEFT(bits, MANTISSA), half);
    return MUL(MUL(value, FROM_BITS(half)), FROM_BITS(other));
}

// exp(rest) * 2^n, of a number that was reduced with the offset 2 BIAS
static REAL NAME(exp_scaled) PARAMETERS(NAME(Reduced) reduced) {
    REAL value = CALL(exp_rest, reduced.rest);
    return SCALED(value, reduced.n, CALL(scale_twice, value, reduced.bits));
}

// Where the result is 0 nothing is multiplied down to it: processors take some hundred cycles for a product that is less
// than the least normal number, and what a mask has set to -inf is common.
static REAL NAME(exp) PARAMETERS(REAL x) {
    MASK remains = NOT_LESS(x, NUMBER(EXP_LOWEST));
    x = SELECT(remains, AT_MOST(x, NUMBER(EXP_HIGHEST)), NUMBER(0));
    return SELECT(remains, CALL(exp_scaled, CALL(reduce, x, 2 * BIAS)), NUMBER(0));
}

// expm1(x) / 2, of x from a negative limit to EXP_HIGHEST: 2^(n-1) (exp(rest) - 1) + (2^(n-1) - 1/2)
static REAL NAME(expm1_half) PARAMETERS(REAL x) {
    NAME(Reduced) reduced = CALL(reduce, x, BIAS - 1);
    REAL rest = reduced.rest, scale = FROM_BITS(SHIFT_LEFT(reduced.bits, MANTISSA));
    REAL less_one = FMA(MUL(rest, rest), POLYNOMIAL(EXP, rest), rest);
    return FMA(scale, less_one, SUB(scale, NUMBER(0.5)));
}

static REAL NAME(expm1) PARAMETERS(REAL x) {
    REAL bounded = AT_MOST(AT_LEAST(x, NUMBER(EXPM1_LOWEST)), NUMBER(EXP_HIGHEST));
    REAL half = CALL(expm1_half, bounded);
    MASK tiny = LESS(ABS(x), NUMBER(CHOICE(0x1p-25, 0x1p-54)));   // half of the least number would be 0
    return SELECT(tiny, x, ADD(half, half));
}

// With e = exp(-|x|): 1 / (1 + e) or e / (1 + e). 2^n is made as 2^(n + room) 2^-room, since e may be subnormal.
static REAL NAME(sigmoid) PARAMETERS(REAL x) {
    enum { room = CHOICE(24, 54) };
    REAL size = AT_LEAST(NEGATE(ABS(x)), NUMBER(EXP_LOWEST)), one = NUMBER(1);
    NAME(Reduced) reduced = CALL(reduce, size, BIAS + room);
    REAL value = CALL(exp_rest, reduced.rest), less = NUMBER(1.0 / (double)((uint64_t)1 << room));
    REAL e = SCALED(value, reduced.n, MUL(MUL(value, FROM_BITS(SHIFT_LEFT(reduced.bits, MANTISSA))), less));
    return DIV(SELECT(LESS(x, NUMBER(0)), e, one), ADD(one, e));
}

// |size| with the sign of x
static REAL NAME(with_sign) PARAMETERS(REAL size, REAL x) {
    return FROM_BITS(OR(TO_BITS(ABS(size)), AND(TO_BITS(x), SIGN_BIT)));
}

// With h = expm1(-2 |x|) / 2: -h / (1 + h). It is never above 1.
static REAL NAME(tanh) PARAMETERS(REAL x) {
    REAL half = CALL(expm1_half, AT_LEAST(MUL(ABS(x), NUMBER(-2)), NUMBER(EXPM1_LOWEST)));
    return CALL(with_sign, DIV(half, SUB(NUMBER(-1), half)), x);
}

// -expm1(-y) with y = -log(erfc(|x|)) = |x| times a polynomial; from 4 (f64: 6) on, erf is 1.
static REAL NAME(erf) PARAMETERS(REAL x) {
    REAL size = AT_MOST(ABS(x), NUMBER(CHOICE(4, 6)));
    REAL half = CALL(expm1_half, MUL(NEGATE(size), POLYNOMIAL(ERF, size)));
    return CALL(with_sign, ADD(half, half), x);
}

// ---- logarithms

// log(1 + f) + exponent * ln 2, for 1 + f from sqrt(1/2) to sqrt(2)
static REAL NAME(log_parts) PARAMETERS(REAL f, REAL exponent) {
    REAL low = MUL(exponent, NUMBER(LN2_LOW));
#if PRECISION == 32
    REAL sum = ADD(f, FMA(MUL(f, f), POLYNOMIAL(LOG, f), low));
#else   // s = f / (2 + f); log(1 + f) = f - (f^2 / 2 - s (f^2 / 2 + r))
    REAL s = DIV(f, ADD(f, NUMBER(2))), square = MUL(s, s), half = MUL(MUL(f, f), NUMBER(0.5));
    REAL inner = ADD(half, MUL(square, POLYNOMIAL(LOG_ODD, square)));
    REAL sum = SUB(f, SUB(half, FMA(s, inner, low)));
#endif
    return FMA(exponent, NUMBER(LN2_HIGH), sum);
}

// x as 2^exponent (1 + f); biased is the exponent plus BIAS, still in its place. offset: WHOLE + BIAS, and more if x
// was made larger.
typedef struct {
    REAL f, exponent;
    BITS biased;
} NAME(Split);

static NAME(Split) NAME(split) PARAMETERS(REAL x, REAL offset) {
    BITS root = INTEGER(CHOICE(UINT64_C(0x3f3504f3), UINT64_C(0x3fe6a09e667f3bcd)));   // sqrt(1/2)
    BITS bits = BITS_ADD(TO_BITS(x), BITS_SUB(ONE, root));
    REAL fraction = FROM_BITS(BITS_ADD(AND(bits, MANTISSA_FIELD), root));
    REAL whole = FROM_BITS(OR(SHIFT_RIGHT(bits, MANTISSA), WHOLE_BITS));
    NAME(Split) split = {SUB(fraction, NUMBER(1)), SUB(whole, offset), AND(bits, EXPONENT_FIELD)};
    return split;
}

// `value`, unless x is infinite, NaN or at most `zero`, where the logarithm is -inf.
static REAL NAME(log_edges) PARAMETERS(REAL x, REAL zero, REAL value) {
    REAL edge = SELECT(EQUAL(x, zero), NEGATE(INFINITE), NUMBER(__builtin_nan("")));
    return SELECT(LESS_EQUAL(x, zero), edge, SELECT(LESS(x, INFINITE), value, x));
}

// Of a number that may be subnormal.
static NAME(Split) NAME(split_any) PARAMETERS(REAL x) {
    MASK subnormal = LESS(x, NUMBER(CHOICE(0x1p-126, 0x1p-1022)));
    REAL offset = SELECT(subnormal, NUMBER(WHOLE + BIAS + MANTISSA), NUMBER(WHOLE + BIAS));
    return CALL(split, SELECT(subnormal, MUL(x, NUMBER(WHOLE)), x), offset);
}

static REAL NAME(log) PARAMETERS(REAL x) {
    NAME(Split) split = CALL(split_any, x);
    return CALL(log_edges, x, NUMBER(0), CALL(log_parts, split.f, split.exponent));
}

// With 1 + x = 2^e (1 + f): f = 2^-e x + (2^-e - 1), rounded once. 4 * 2^-e stands for 2^-e, which may be subnormal.
static REAL NAME(log1p) PARAMETERS(REAL x) {
    NAME(Split) split = CALL(split, ADD(x, NUMBER(1)), NUMBER(WHOLE + BIAS));
    BITS scale_bits = BITS_SUB(INTEGER((uint64_t)(2 * BIAS + 2) << MANTISSA), split.biased);
    REAL scale = FROM_BITS(scale_bits), quarter = NUMBER(0.25);
    REAL f = FMA(MUL(x, quarter), scale, FMA(scale, quarter, NUMBER(-1)));
    REAL value = CALL(log_edges, x, NUMBER(-1), CALL(log_parts, f, split.exponent));
    return SELECT(LESS(ABS(x), NUMBER(CHOICE(0x1p-25, 0x1p-54))), x, value);
}

// ---- circular functions

#define HALF_PI_1 CHOICE(0x1.921fb6p+0, 0x1.921fb54442d18p+0)
#define HALF_PI_2 CHOICE(-0x1.777a5cp-25, 0x1.1a62633145c07p-54)
#define HALF_PI_3 CHOICE(-0x1.ee59dap-50, -0x1.f1976b7ed8fbcp-110)

// Sine of |x|, `ahead` quarter turns further on, with the bits of `sign` flipped. Far out (f32 from 4e6, f64 from 4e15)
// no digit is right, but the result stays between -1 and 1.
static REAL NAME(turn) PARAMETERS(REAL x, int ahead, BITS sign) {
    REAL size = ABS(x), rounder = NUMBER(ROUNDER);
    REAL shifted = FMA(size, NUMBER(0x1.45f306dc9c883p-1), rounder), n = SUB(shifted, rounder);
    REAL rest = FMA(n, NUMBER(-HALF_PI_1), size);
    rest = FMA(n, NUMBER(-HALF_PI_3), FMA(n, NUMBER(-HALF_PI_2), rest));
    rest = AT_LEAST(AT_MOST(rest, NUMBER(1)), NUMBER(-1));
    REAL square = MUL(rest, rest);
    REAL sine = FMA(MUL(rest, square), POLYNOMIAL(SIN, square), rest);
    REAL cosine = FMA(MUL(square, square), POLYNOMIAL(COS, square), FMA(square, NUMBER(-0.5), NUMBER(1)));
    BITS quarters = BITS_ADD(TO_BITS(shifted), INTEGER((uint64_t)ahead));
    MASK even = BITS_EQUAL(AND(quarters, INTEGER(1)), INTEGER(0));
    BITS back = SHIFT_LEFT(AND(quarters, INTEGER(2)), PRECISION - 2);
    return FROM_BITS(XOR(TO_BITS(SELECT(even, sine, cosine)), XOR(back, sign)));
}

static REAL NAME(sin) PARAMETERS(REAL x) {
    return CALL(turn, x, 0, AND(TO_BITS(x), SIGN_BIT));
}

static REAL NAME(cos) PARAMETERS(REAL x) {
    return CALL(turn, x, 1, INTEGER(0));
}

// With t = tan(pi/8): from 1/t on pi/2 + atan(-1 / x), from t on pi/4 + atan((x - 1) / (x + 1)).
static REAL NAME(atan) PARAMETERS(REAL x) {
    REAL size = ABS(x), one = NUMBER(1), zero = NUMBER(0);
    MASK small = LESS(size, NUMBER(0x1.a827999fcef32p-2)), large = LESS(NUMBER(0x1.3504f333f9de6p+1), size);
    REAL above = SELECT(large, NUMBER(-1), SUB(size, one)), below = SELECT(large, size, ADD(size, one));
    REAL tangent = SELECT(small, size, DIV(above, below));
    small = EITHER(small, UNEQUAL(size, size));
    REAL turn = SELECT(small, zero, SELECT(large, NUMBER(HALF_PI_1), NUMBER(HALF_PI_1 / 2)));
    REAL rest = SELECT(small, zero, SELECT(large, NUMBER(HALF_PI_2), NUMBER(HALF_PI_2 / 2)));
    REAL square = MUL(tangent, tangent);
    REAL angle = ADD(FMA(MUL(tangent, square), POLYNOMIAL(ATAN, square), rest), tangent);
    return CALL(with_sign, ADD(turn, angle), x);
}

// ---- powers

#if PRECISION == 64
// A number as the sum of two.
typedef struct {
    REAL high, low;
} NAME(Pair);

static NAME(Pair) NAME(product) PARAMETERS(REAL x, REAL y) {
    REAL high = MUL(x, y);
    return (NAME(Pair)){high, FMA(x, y, NEGATE(high))};
}

// x + y, where x is 0 or at least as large
static NAME(Pair) NAME(sum) PARAMETERS(REAL x, REAL y) {
    REAL high = ADD(x, y);
    return (NAME(Pair)){high, SUB(y, SUB(high, x))};
}

// log(1 + f) to some 65 bits: 2 s + s^3 (2/3 + s^2 tail(s^2)) with s = f / (2 + f)
static NAME(Pair) NAME(log_pair) PARAMETERS(REAL f) {
    REAL two = NUMBER(2), below = ADD(f, two), below_low = SUB(f, SUB(below, two));
    REAL s = DIV(f, below);
    REAL s_low = DIV(FMA(NEGATE(s), below_low, FMA(NEGATE(s), below, f)), below);
    NAME(Pair) square = CALL(product, s, s);
    square.low = FMA(ADD(s, s), s_low, square.low);
    NAME(Pair) inner = CALL(sum, NUMBER(0x1.5555555555555p-1), MUL(square.high, POLYNOMIAL(LOG_TAIL, square.high)));
    inner.low = ADD(inner.low, NUMBER(0x1.5555555555555p-55));
    NAME(Pair) cube = CALL(product, square.high, s);
    cube.low = ADD(cube.low, FMA(square.high, s_low, MUL(square.low, s)));
    NAME(Pair) tail = CALL(product, cube.high, inner.high);
    tail.low = ADD(tail.low, FMA(cube.high, inner.low, MUL(cube.low, inner.high)));
    NAME(Pair) total = CALL(sum, ADD(s, s), tail.high);
    total.low = ADD(total.low, ADD(ADD(s_low, s_low), tail.low));
    return CALL(sum, total.high, total.low);
}

// |x|^y of x finite and not 0
static REAL NAME(pow_size) PARAMETERS(REAL size, REAL y) {
    NAME(Split) split = CALL(split_any, size);
    NAME(Pair) fraction = CALL(log_pair, split.f);
    NAME(Pair) log = CALL(sum, MUL(split.exponent, NUMBER(LN2_HIGH)), fraction.high);
    log.low = ADD(log.low, FMA(split.exponent, NUMBER(LN2_LOW), fraction.low));
    NAME(Pair) power = CALL(product, y, log.high);
    power.low = FMA(y, log.low, power.low);
    REAL high = AT_LEAST(AT_MOST(power.high, NUMBER(EXP_HIGHEST)), NUMBER(EXP_LOWEST));
    REAL low = SELECT(EQUAL(high, power.high), power.low, NUMBER(0));
    NAME(Reduced) reduced = CALL(reduce, high, 2 * BIAS);
    reduced.rest = ADD(reduced.rest, low);
    return CALL(exp_scaled, reduced);
}
#else
// In double precision, where a logarithm and an exponential are as good as exact.
static REAL NAME(pow_size) PARAMETERS(REAL size, REAL y) {
    return WIDE(pow_simple, size, y);
}
#endif

#if PRECISION == 64
static REAL NAME(pow_simple) PARAMETERS(REAL size, REAL y) {
    return CALL(exp, MUL(y, CALL(log, size)));
}
#endif

// As C's pow: 1 for y = 0 or x = 1 even with a NaN; a negative x has a power where y is an integer.
static REAL NAME(pow) PARAMETERS(REAL x, REAL y) {
    REAL size = ABS(x), zero = NUMBER(0), one = NUMBER(1), half = MUL(y, NUMBER(0.5));
    MASK whole = EQUAL(FLOOR(y), y), odd = BOTH(whole, UNEQUAL(FLOOR(half), half));
    REAL power = AT_LEAST(AT_MOST(y, NUMBER(0x1p64)), NUMBER(-0x1p64));   // enough, and its products are finite
    REAL value = CALL(pow_size, size, power);
    REAL grows = SELECT(LESS(y, zero), zero, INFINITE), shrinks = SELECT(LESS(y, zero), INFINITE, zero);
    value = SELECT(EQUAL(size, INFINITE), grows, value);
    value = SELECT(EQUAL(size, zero), shrinks, value);
    MASK broken = BOTH(LESS(x, zero), BOTH(UNEQUAL(FLOOR(y), y), LESS(size, INFINITE)));
    value = SELECT(broken, NUMBER(__builtin_nan("")), value);
    value = SELECT(EQUAL(x, x), SELECT(EQUAL(y, y), value, y), x);
    BITS sign = AND(TO_BITS(SELECT(odd, x, zero)), SIGN_BIT);
    value = FROM_BITS(XOR(TO_BITS(value), sign));
    return SELECT(EITHER(EQUAL(y, zero), EQUAL(x, one)), one, value);
}

#undef CHOICE
#undef TABLE
#undef MANTISSA
#undef BIAS
#undef POLYNOMIAL
#undef AT_MOST
#undef AT_LEAST
#undef ONE
#undef SIGN_BIT
#undef EXPONENT_FIELD
#undef MANTISSA_FIELD
#undef INFINITE
#undef ROUNDER
#undef WHOLE
#undef WHOLE_BITS
#undef LN2_HIGH
#undef LN2_LOW
#undef LOG2_E
#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef EXPM1_LOWEST
#undef HALF_PI_1
#undef HALF_PI_2
#undef HALF_PI_3
