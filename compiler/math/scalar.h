// Scalar functions whose bits belong to the language: the evaluator calls these, and machine code computes the same
// operations in the same order (recipes.h), so both give the same bits on every machine.
//
// Accuracy: f32 and f64 at most 2.6 ULP (sin and cos to |x| = 1e4 and 1e9), erf 3.2 ULP and within 1e-7: see recipes.h.
#ifndef GRADC_MATH_SCALAR_H
#define GRADC_MATH_SCALAR_H

#include <stdint.h>

// MATH_LIST(f): f(name, arity) for each function; each exists as gradc_NAME_f32 and gradc_NAME_f64.
#define MATH_LIST(f)                                                                                              \
    f(exp, 1) f(expm1, 1) f(log, 1) f(log1p, 1) f(sin, 1) f(cos, 1) f(atan, 1) f(tanh, 1) f(sigmoid, 1) f(erf, 1) \
        f(pow, 2)

typedef enum {
#define MATH_ENUM(name, arity) MATH_##name,
    MATH_LIST(MATH_ENUM)
#undef MATH_ENUM
        MATH_COUNT
} MathFunction;

#define MATH_PARAMETERS_1(T) (T x)
#define MATH_PARAMETERS_2(T) (T x, T y)
#define MATH_DECLARE(name, arity)                            \
    float gradc_##name##_f32 MATH_PARAMETERS_##arity(float); \
    double gradc_##name##_f64 MATH_PARAMETERS_##arity(double);
MATH_LIST(MATH_DECLARE)
#undef MATH_DECLARE

// Philox4x32-10 (Salmon et al., 2011).
void gradc_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4]);
#define PHILOX_MULTIPLIER_0 UINT32_C(0xd2511f53)
#define PHILOX_MULTIPLIER_1 UINT32_C(0xcd9e8d57)
#define PHILOX_WEYL_0 UINT32_C(0x9e3779b9)
#define PHILOX_WEYL_1 UINT32_C(0xbb67ae85)
#define RANDOM_TURN 6.283185307179586   // 2 pi

// The random numbers of the language (semantics.md, S11), each from the four words of its own Philox call: key `seed`;
// counter, from its low word, element (low half), site (both halves), draw (low half), where the high halves of element
// and draw, if they are ever used, flip bits of the site's low and high half. uniform is in [0, 1): 24 or 53 bits.
// normal is made from two uniform numbers by Box and Muller, with the functions above.
float gradc_uniform_f32(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw);
double gradc_uniform_f64(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw);
float gradc_normal_f32(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw);
double gradc_normal_f64(uint64_t seed, uint64_t element, uint64_t site, uint64_t draw);

#endif
