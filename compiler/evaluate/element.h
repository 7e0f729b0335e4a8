// The words of ops.def's evaluate column, for each C type that an element may have. They give the bits that the
// emitter's builders give (compiler/emit/ops.c).
#ifndef GRADC_EVALUATE_ELEMENT_H
#define GRADC_EVALUATE_ELEMENT_H

#include "math/scalar.h"

#include <math.h>

// Integers wrap around: these files are compiled with -fwrapv (CMakeLists.txt).
typedef float element_f32;
typedef double element_f64;
typedef int32_t element_i32;
typedef int64_t element_i64;
typedef uint8_t element_truth;   // `bool` is a macro, so it is no part of a name

#define BY_TYPE(name, x) _Generic((x), float: name##_f32, double: name##_f64, int32_t: name##_i32, int64_t: name##_i64)
#define FLOAT_MATH(name, ...) _Generic((x), float: gradc_##name##_f32, double: gradc_##name##_f64)(__VA_ARGS__)
#define FLOOR_DIVIDE(x, y) BY_TYPE(floor_divide, x)(x, y)
#define REMAINDER(x, y) BY_TYPE(remainder, x)(x, y)
#define ABSOLUTE(x) BY_TYPE(absolute, x)(x)
#define SIGN(x) BY_TYPE(sign, x)(x)
#define MAXIMUM(x, y) BY_TYPE(maximum, x)(x, y)
#define MINIMUM(x, y) BY_TYPE(minimum, x)(x, y)

// ---- what compiler/math does not have since it is one instruction
#define CORRECTLY_ROUNDED(name, single, double_)        \
    static inline float gradc_##name##_f32(float x) {   \
        return single(x);                               \
    }                                                   \
    static inline double gradc_##name##_f64(double x) { \
        return double_(x);                              \
    }
CORRECTLY_ROUNDED(sqrt, sqrtf, sqrt)
CORRECTLY_ROUNDED(floor, floorf, floor)
CORRECTLY_ROUNDED(ceil, ceilf, ceil)
CORRECTLY_ROUNDED(round, rintf, rint)   // halves to even
#undef CORRECTLY_ROUNDED

static inline float gradc_fma_f32(float x, float y, float z) {
    return fmaf(x, y, z);
}
static inline double gradc_fma_f64(double x, double y, double z) {
    return fma(x, y, z);
}

// ---- floating: a NaN comes through, and of equals the second is taken
#define FLOATING_ELEMENT(T, suffix, floor_, fabs_)           \
    static inline T floor_divide_##suffix(T x, T y) {        \
        return floor_(x / y);                                \
    }                                                        \
    static inline T remainder_##suffix(T x, T y) {           \
        return x - floor_(x / y) * y;                        \
    }                                                        \
    static inline T absolute_##suffix(T x) {                 \
        return fabs_(x);                                     \
    }                                                        \
    static inline T sign_##suffix(T x) {                     \
        return x > 0 ? 1 : x < 0 ? -1 : x;                   \
    }                                                        \
    static inline T maximum_##suffix(T x, T y) {             \
        return x > y || x != x ? x : y;                      \
    }                                                        \
    static inline T minimum_##suffix(T x, T y) {             \
        return x < y || x != x ? x : y;                      \
    }                                                        \
    static inline T multiply_add_##suffix(T x, T y, T sum) { \
        return gradc_fma_##suffix(x, y, sum);                \
    }                                                        \
    static inline bool is_nan_##suffix(T x) {                \
        return x != x;                                       \
    }
FLOATING_ELEMENT(float, f32, floorf, fabsf)
FLOATING_ELEMENT(double, f64, floor, fabs)
#undef FLOATING_ELEMENT

// ---- integers: quotients towards minus infinity, 0 for a divisor of 0
#define INTEGER_ELEMENT(T, suffix)                                   \
    static inline T remainder_##suffix(T x, T y) {                   \
        if (y == 0 || y == -1) return 0;                             \
        T rest = (T)(x % y);                                         \
        return (T)(rest && (rest < 0) != (y < 0) ? rest + y : rest); \
    }                                                                \
    static inline T floor_divide_##suffix(T x, T y) {                \
        if (y == 0) return 0;                                        \
        if (y == -1) return (T) - x;                                 \
        return (T)(x / y - (x % y && (x % y < 0) != (y < 0)));       \
    }                                                                \
    static inline T absolute_##suffix(T x) {                         \
        return (T)(x < 0 ? -x : x);                                  \
    }                                                                \
    static inline T sign_##suffix(T x) {                             \
        return (T)((x > 0) - (x < 0));                               \
    }                                                                \
    static inline T maximum_##suffix(T x, T y) {                     \
        return x > y ? x : y;                                        \
    }                                                                \
    static inline T minimum_##suffix(T x, T y) {                     \
        return x < y ? x : y;                                        \
    }                                                                \
    static inline T multiply_add_##suffix(T x, T y, T sum) {         \
        return (T)(x * y + sum);                                     \
    }                                                                \
    static inline bool is_nan_##suffix(T x) {                        \
        (void)x;                                                     \
        return false;                                                \
    }
INTEGER_ELEMENT(int32_t, i32)
INTEGER_ELEMENT(int64_t, i64)
#undef INTEGER_ELEMENT

static inline uint8_t maximum_truth(uint8_t x, uint8_t y) {
    return x | y;
}
static inline uint8_t minimum_truth(uint8_t x, uint8_t y) {
    return x & y;
}
static inline bool is_nan_truth(uint8_t x) {
    (void)x;
    return false;
}

// ---- casts: to an integer towards zero, as near as the type has it, NaN to 0
static inline int64_t saturate(double x, double limit, int64_t low, int64_t high) {
    return x != x ? 0 : x >= limit ? high : x < -limit ? low : (int64_t)x;
}
static inline int32_t saturate_i32(double x) {
    return (int32_t)saturate(x, 0x1p31, INT32_MIN, INT32_MAX);
}
static inline int64_t saturate_i64(double x) {
    return saturate(x, 0x1p63, INT64_MIN, INT64_MAX);
}

#define TO_INTEGER(T, saturate, x) \
    _Generic((x), float: saturate((double)(x)), double: saturate((double)(x)), default: (T)(x))
// To the type `Result` of where it stands.
#define CAST_TO(x)                                     \
    _Generic((Result){0},                              \
        float: (float)(x),                             \
        double: (double)(x),                           \
        int32_t: TO_INTEGER(int32_t, saturate_i32, x), \
        int64_t: TO_INTEGER(int64_t, saturate_i64, x), \
        uint8_t: (x) != 0)

#endif
