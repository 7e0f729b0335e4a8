// The recipes as C, on float and double, and random numbers. The evaluator and the constant folder call these; machine
// code does the same operations (compiler/emit/math.c).
#include "math/scalar.h"

#include "math/coefficients.h"

#include <math.h>
#include <string.h>

#define PARAMETERS(...) (__VA_ARGS__)
#define CALL(f, ...) NAME(f)(__VA_ARGS__)
#define MASK int
#define ADD(x, y) ((x) + (y))
#define SUB(x, y) ((x) - (y))
#define MUL(x, y) ((x) * (y))
#define DIV(x, y) ((x) / (y))
#define NEGATE(x) (-(x))
#define NUMBER(v) ((REAL)(v))
#define INTEGER(v) ((BITS)(v))
#define LESS(x, y) ((x) < (y))
#define NOT_LESS(x, y) (!((x) < (y)))
#define SCALED(x, n, product) ((void)(n), (product))
#define LESS_EQUAL(x, y) ((x) <= (y))
#define EQUAL(x, y) ((x) == (y))
#define UNEQUAL(x, y) ((x) != (y))
#define BITS_EQUAL(x, y) ((x) == (y))
#define BOTH(a, b) ((a) & (b))
#define EITHER(a, b) ((a) | (b))
#define SELECT(mask, x, y) ((mask) ? (x) : (y))
#define TO_BITS(x) NAME(to_bits)(x)
#define FROM_BITS(x) NAME(from_bits)(x)
#define AND(x, y) ((x) & (y))
#define OR(x, y) ((x) | (y))
#define XOR(x, y) ((x) ^ (y))
#define SHIFT_LEFT(x, n) ((x) << (n))
#define SHIFT_RIGHT(x, n) ((x) >> (n))
#define BITS_ADD(x, y) ((x) + (y))
#define BITS_SUB(x, y) ((x) - (y))

#define CONVERSIONS(precision, real)                                   \
    static inline uint##precision##_t to_bits_f##precision(real x) {   \
        uint##precision##_t bits;                                      \
        memcpy(&bits, &x, sizeof bits);                                \
        return bits;                                                   \
    }                                                                  \
    static inline real from_bits_f##precision(uint##precision##_t x) { \
        real value;                                                    \
        memcpy(&value, &x, sizeof value);                              \
        return value;                                                  \
    }
CONVERSIONS(32, float)
CONVERSIONS(64, double)

// ---- double
#define PRECISION 64
#define NAME(f) f##_f64
#define REAL double
#define BITS uint64_t
#define FMA(x, y, z) fma(x, y, z)
#define FLOOR(x) floor(x)
#define ABS(x) fabs(x)
#include "math/recipes.h"
#undef PRECISION
#undef NAME
#undef REAL
#undef BITS
#undef FMA
#undef FLOOR
#undef ABS

// ---- float
#define PRECISION 32
#define NAME(f) f##_f32
#define REAL float
#define BITS uint32_t
#define FMA(x, y, z) fmaf(x, y, z)
#define FLOOR(x) floorf(x)
#define ABS(x) fabsf(x)
#define WIDE(f, x, y) ((float)f##_f64((double)(x), (double)(y)))
#include "math/recipes.h"

#define DEFINE_1(name, real, suffix)       \
    real gradc_##name##_##suffix(real x) { \
        return name##_##suffix(x);         \
    }
#define DEFINE_2(name, real, suffix)               \
    real gradc_##name##_##suffix(real x, real y) { \
        return name##_##suffix(x, y);              \
    }
#define DEFINE(name, arity) DEFINE_##arity(name, float, f32) DEFINE_##arity(name, double, f64)
MATH_LIST(DEFINE)

// ---- random numbers

void gradc_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4]) {
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t left = (uint64_t)PHILOX_MULTIPLIER_0 * c0, right = (uint64_t)PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)right;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)left;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// The four random words of one element.
static void draw_words(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw, uint32_t words[4]) {
    uint64_t place = site ^ (element >> 32) ^ (draw >> 32 << 32);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)element, (uint32_t)place, (uint32_t)(place >> 32), (uint32_t)draw};
    gradc_philox(key, counter, words);
}

static float unit_f32(const uint32_t *words) {
    return (float)(int32_t)(words[0] >> 8) * 0x1p-24f;
}

static double unit_f64(const uint32_t *words) {
    return fma((double)(int32_t)(words[0] >> 5), 0x1p26, (double)(int32_t)(words[1] >> 6)) * 0x1p-53;
}

float gradc_uniform_f32(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw) {
    uint32_t words[4];
    draw_words(seed, element, site, draw, words);
    return unit_f32(words);
}

double gradc_uniform_f64(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw) {
    uint32_t words[4];
    draw_words(seed, element, site, draw, words);
    return unit_f64(words);
}

// Box and Muller: the logarithm of 1 - u, which is never 0, and the cosine of another number's angle.
float gradc_normal_f32(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw) {
    uint32_t words[4];
    draw_words(seed, element, site, draw, words);
    float radius = sqrtf(-2 * log_f32(1 - unit_f32(words)));
    return radius * cos_f32((float)RANDOM_TURN * unit_f32(words + 1));
}

double gradc_normal_f64(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw) {
    uint32_t words[4];
    draw_words(seed, element, site, draw, words);
    double radius = sqrt(-2 * log_f64(1 - unit_f64(words)));
    return radius * cos_f64(RANDOM_TURN * unit_f64(words + 2));
}
