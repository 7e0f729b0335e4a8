// The accuracy of compiler/math, measured against MPFR: every exponent of f32 and of f64 with both signs, many samples
// each, the surroundings of the points where functions of this kind go wrong, and the values at the edges. Prints the
// measured maxima when something failed, or when called with an argument.
#include "math/scalar.h"

#include <math.h>
#include <mpfr.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

enum { PRECISION = 160 };

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (failures++ < 40) vprintf(format, arguments);
    va_end(arguments);
}

// ---- the exact functions

typedef int Exact(mpfr_t result, const mpfr_t x, mpfr_rnd_t rounding);

static int exact_sigmoid(mpfr_t result, const mpfr_t x, mpfr_rnd_t rounding) {
    mpfr_neg(result, x, rounding);
    mpfr_exp(result, result, rounding);
    mpfr_add_ui(result, result, 1, rounding);
    return mpfr_ui_div(result, 1, result, rounding);
}

typedef struct {
    const char *name;
    float (*single)(float);
    double (*wide)(double);
    Exact *exact;
    double bound_single, bound_wide;   // in ULP
    double limit_single, limit_wide;   // of |x|, for the bounds in ULP; 0: none
    double worst_single, worst_wide, at_single, at_wide;
} Row;

// The bounds are a little above what was measured, and at most what scalar.h promises.
static Row rows[] = {
    {.name = "exp", gradc_exp_f32, gradc_exp_f64, mpfr_exp, 1, 1},
    {.name = "expm1", gradc_expm1_f32, gradc_expm1_f64, mpfr_expm1, 1.75, 2.25},
    {.name = "log", gradc_log_f32, gradc_log_f64, mpfr_log, 1, 1},
    {.name = "log1p", gradc_log1p_f32, gradc_log1p_f64, mpfr_log1p, 1.5, 1.5},
    {.name = "sin", gradc_sin_f32, gradc_sin_f64, mpfr_sin, 1.75, 1.75, 1e4, 1e9},
    {.name = "cos", gradc_cos_f32, gradc_cos_f64, mpfr_cos, 1.75, 1.75, 1e4, 1e9},
    {.name = "atan", gradc_atan_f32, gradc_atan_f64, mpfr_atan, 2, 2},
    {.name = "tanh", gradc_tanh_f32, gradc_tanh_f64, mpfr_tanh, 2.75, 2.75},
    {.name = "sigmoid", gradc_sigmoid_f32, gradc_sigmoid_f64, exact_sigmoid, 2.5, 2.5},
    {.name = "erf", gradc_erf_f32, gradc_erf_f64, mpfr_erf, 3.25, 4},
};
enum { ROWS = sizeof rows / sizeof *rows };

// ---- errors

typedef struct {
    int digits, lowest;   // of the significand; the exponent of the smallest subnormal number
    double infinity;      // what an infinite result counts as, scaled by 2^-highest
    int highest;          // the exponent of the first power of two that is too large
} Format;
static const Format single_format = {24, -149, 1, 128}, wide_format = {53, -1074, 1, 1024};

static mpfr_t exact, argument, difference;

// |value - exact| in units of the last place of `exact`.
static double ulps(const Format *format, double value) {
    if (mpfr_nan_p(exact) || isnan(value)) return mpfr_nan_p(exact) && isnan(value) ? 0 : INFINITY;
    if (mpfr_inf_p(exact)) return isinf(value) && (value > 0) == (mpfr_sgn(exact) > 0) ? 0 : INFINITY;
    if (isinf(value)) {
        if (mpfr_sgn(exact) == 0 || (value > 0) != (mpfr_sgn(exact) > 0)) return INFINITY;
        if (mpfr_get_exp(exact) > format->highest) return 0;
        mpfr_set_si_2exp(difference, value > 0 ? 1 : -1, format->highest, MPFR_RNDN);
    } else {
        mpfr_set_d(difference, value, MPFR_RNDN);
    }
    mpfr_sub(difference, difference, exact, MPFR_RNDN);
    if (mpfr_zero_p(difference)) return 0;
    long exponent = mpfr_zero_p(exact) ? format->lowest : (long)mpfr_get_exp(exact) - format->digits;
    if (exponent < format->lowest) exponent = format->lowest;
    if (exponent > format->highest - format->digits) exponent = format->highest - format->digits;
    mpfr_mul_2si(difference, difference, -exponent, MPFR_RNDN);
    return fabs(mpfr_get_d(difference, MPFR_RNDN));
}

static bool wrong_sign_of_zero(double value, double x) {
    return value == 0 && x == 0 && mpfr_zero_p(exact) && signbit(value) != (mpfr_signbit(exact) != 0);
}

static void try_single(Row *row, float x) {
    if (row->limit_single && fabsf(x) > row->limit_single) return;
    mpfr_set_d(argument, x, MPFR_RNDN);
    row->exact(exact, argument, MPFR_RNDN);
    float value = row->single(x);
    double error = wrong_sign_of_zero(value, x) ? INFINITY : ulps(&single_format, value);
    if (error > row->worst_single) {
        row->worst_single = error;
        row->at_single = x;
    }
}

static void try_wide(Row *row, double x) {
    if (row->limit_wide && fabs(x) > row->limit_wide) return;
    mpfr_set_d(argument, x, MPFR_RNDN);
    row->exact(exact, argument, MPFR_RNDN);
    double value = row->wide(x);
    double error = wrong_sign_of_zero(value, x) ? INFINITY : ulps(&wide_format, value);
    if (error > row->worst_wide) {
        row->worst_wide = error;
        row->at_wide = x;
    }
}

// ---- samples

static uint64_t state = 1;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float single_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double wide_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Every exponent, both signs: the ends of each and numbers between.
static void try_all_exponents(Row *row) {
    enum { SINGLE_SAMPLES = 32, WIDE_SAMPLES = 4 };
    for (uint32_t top = 0; top < 512; top++)
        for (uint32_t i = 0; i < SINGLE_SAMPLES; i++) {
            uint32_t fraction = i == 0 ? 0 : i == 1 ? 0x7fffff : (uint32_t)next_random() & 0x7fffff;
            try_single(row, single_of(top << 23 | fraction));
        }
    for (uint64_t top = 0; top < 4096; top++)
        for (int i = 0; i < WIDE_SAMPLES; i++) {
            uint64_t fraction = i == 0 ? 0 : i == 1 ? UINT64_MAX >> 12 : next_random() >> 12;
            try_wide(row, wide_of(top << 52 | fraction));
        }
}

static void try_around(Row *row, double x, int steps) {
    float above = (float)x, below = above;
    double above_wide = x, below_wide = x;
    for (int i = 0; i < steps; i++) {
        try_single(row, above);
        try_single(row, below);
        try_single(row, -above);
        try_wide(row, above_wide);
        try_wide(row, below_wide);
        try_wide(row, -above_wide);
        above = nextafterf(above, INFINITY);
        below = nextafterf(below, -INFINITY);
        above_wide = nextafter(above_wide, INFINITY);
        below_wide = nextafter(below_wide, -INFINITY);
    }
}

// Where arguments change from one reduction to the next, where results come close to 0, and where they leave the
// format.
static void try_hard_points(Row *row) {
    static const double edges[] = {88.722839,
                                   87.336544,
                                   103.27893,
                                   103.97208,
                                   709.782712893384,
                                   708.3964185322641,
                                   744.4400719213812,
                                   745.1332191019411,
                                   17.32868,
                                   36.7368,
                                   9.010913,
                                   19.0615,
                                   3.9192059,
                                   5.9215871957945,
                                   1,
                                   2,
                                   0.5,
                                   1.5,
                                   0.7071067811865476,
                                   2.414213562373095,
                                   1.4142135623730951,
                                   0.41421356237309515,
                                   0.2928932188134524};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) try_around(row, edges[i], 40);
    for (int k = 1; k < 2100; k += k < 100 ? 1 : 13) try_around(row, k * 0.34657359027997264, 2);   // ln 2 / 2
    for (int k = 1; k < 6400; k += k < 100 ? 1 : 7) try_around(row, k * 0.7853981633974483, 2);     // pi / 4
    for (int k = 1; k < 60; k++) try_around(row, ldexp(1, k) * 1.5707963267948966, 3);
    for (int k = 1; k < 60; k++) try_around(row, ldexp(1, -k), 3);
    // Where most of use lies, evenly.
    for (int i = 0; i < 10000; i++) {
        double x = (double)(int64_t)next_random() * 0x1p-63;
        try_single(row, (float)(x * (i % 2 ? 1 : 12)));
        try_wide(row, x * (i % 2 ? 1 : 12));
    }
}

static void report(const char *name, const char *dtype, double worst, double at, double bound, bool all) {
    if (worst > bound) fail("%s %s: %.3f ULP at %a, more than %g\n", name, dtype, worst, at, bound);
    else if (all) printf("%s %s: %.3f ULP at %a\n", name, dtype, worst, at);
}

// ---- powers

typedef struct {
    double worst_single, worst_wide, x_single, y_single, x_wide, y_wide;
} PowWorst;

static void try_pow(PowWorst *worst, double x, double y) {
    mpfr_t power;
    mpfr_init2(power, PRECISION);
    float x_single = (float)x, y_single = (float)y;
    mpfr_set_d(argument, x_single, MPFR_RNDN);
    mpfr_set_d(power, y_single, MPFR_RNDN);
    mpfr_pow(exact, argument, power, MPFR_RNDN);
    double error = ulps(&single_format, gradc_pow_f32(x_single, y_single));
    if (error > worst->worst_single)
        worst->worst_single = error, worst->x_single = x_single, worst->y_single = y_single;
    mpfr_set_d(argument, x, MPFR_RNDN);
    mpfr_set_d(power, y, MPFR_RNDN);
    mpfr_pow(exact, argument, power, MPFR_RNDN);
    error = ulps(&wide_format, gradc_pow_f64(x, y));
    if (error > worst->worst_wide) worst->worst_wide = error, worst->x_wide = x, worst->y_wide = y;
    mpfr_clear(power);
}

// Bases of every size with exponents that bring the result anywhere, also to the edges of the format.
static void check_pow(bool all) {
    PowWorst worst = {0};
    for (int i = 0; i < 60000; i++) {
        double unit = (double)next_random() * 0x1p-64, x = ldexp(1 + unit, (int)(next_random() % 250) - 125);
        double target = ((double)next_random() * 0x1p-64 - 0.5) * (i % 3 ? 230 : 1500);   // logarithm of the result
        if (i % 5 == 0) x = 1 + (unit - 0.5) * ldexp(1, -(int)(next_random() % 40));
        if (x == 1) continue;
        double y = target / log(x);
        try_pow(&worst, x, y);
        if (i % 4 == 0) try_pow(&worst, i % 8 ? x : -x, rint(y));
        if (i % 4 == 1) try_pow(&worst, x, rint(y * 2) / 2);
        if (i % 16 == 2) try_pow(&worst, ldexp(unit, -1040), y);
    }
    if (worst.worst_single > 0.6)
        fail("pow f32: %.3f ULP at %a, %a\n", worst.worst_single, worst.x_single, worst.y_single);
    if (worst.worst_wide > 1) fail("pow f64: %.3f ULP at %a, %a\n", worst.worst_wide, worst.x_wide, worst.y_wide);
    if (all) printf("pow f32: %.3f ULP at %a, %a\n", worst.worst_single, worst.x_single, worst.y_single);
    if (all) printf("pow f64: %.3f ULP at %a, %a\n", worst.worst_wide, worst.x_wide, worst.y_wide);
}

// ---- absolute bounds

static double absolute_error(const Row *row, double x, bool single) {
    mpfr_set_d(argument, x, MPFR_RNDN);
    row->exact(exact, argument, MPFR_RNDN);
    mpfr_set_d(difference, single ? row->single((float)x) : row->wide(x), MPFR_RNDN);
    mpfr_sub(difference, difference, exact, MPFR_RNDN);
    return fabs(mpfr_get_d(difference, MPFR_RNDN));
}

static void check_absolute(const char *name, double worst, double bound, bool all) {
    if (!(worst <= bound)) fail("%s: absolute error %g, more than %g\n", name, worst, bound);
    else if (all) printf("%s: absolute error %.3g\n", name, worst);
}

static void check_erf(const Row *row, bool all) {
    double single = 0, wide = 0;
    for (int i = 0; i < 80000; i++) {
        double x = (double)next_random() * 0x1p-64 * 6.5;
        single = fmax(single, absolute_error(row, (float)x, true));
        if (i % 4 == 0) wide = fmax(wide, absolute_error(row, x, false));
    }
    check_absolute("erf f32", single, 1e-7, all);
    check_absolute("erf f64", wide, 2.5e-16, all);
}

// Far from 0: f32 to 1e6, f64 to 1e15, then only that the result stays between -1 and 1.
static void check_far(const Row *row, bool all) {
    double single = 0, wide = 0, largest = 0;
    for (int i = 0; i < 60000; i++) {
        double unit = (double)next_random() * 0x1p-64;
        single = fmax(single, absolute_error(row, (float)exp(log(1e4) + unit * log(1e2)), true));
        wide = fmax(wide, absolute_error(row, exp(log(1e9) + unit * log(1e6)), false));
        largest = fmax(largest, fabs((double)row->single(single_of((uint32_t)next_random() & 0x7f7fffff))));
        largest = fmax(largest, fabs(row->wide(wide_of(next_random() & UINT64_C(0x7fefffffffffffff)))));
    }
    check_absolute(row->name, single, 2e-7, all);
    check_absolute(row->name, wide, 4e-16, all);
    if (!(largest <= 1)) fail("%s: a value of %g\n", row->name, largest);
}

// ---- values at the edges

typedef struct {
    const char *name;
    double x, value;
} Edge;

static const Edge edges[] = {
    {"exp", 0, 1},
    {"exp", -0.0, 1},
    {"exp", INFINITY, INFINITY},
    {"exp", -INFINITY, 0},
    {"exp", -800, 0},
    {"exp", 800, INFINITY},
    {"expm1", 0, 0},
    {"expm1", -0.0, -0.0},
    {"expm1", INFINITY, INFINITY},
    {"expm1", -INFINITY, -1},
    {"expm1", -800, -1},
    {"log", 1, 0},
    {"log", 0, -INFINITY},
    {"log", -0.0, -INFINITY},
    {"log", -1, NAN},
    {"log", -INFINITY, NAN},
    {"log", INFINITY, INFINITY},
    {"log1p", 0, 0},
    {"log1p", -0.0, -0.0},
    {"log1p", -1, -INFINITY},
    {"log1p", -2, NAN},
    {"log1p", INFINITY, INFINITY},
    {"log1p", -INFINITY, NAN},
    {"sin", 0, 0},
    {"sin", -0.0, -0.0},
    {"sin", INFINITY, NAN},
    {"sin", -INFINITY, NAN},
    {"cos", 0, 1},
    {"cos", -0.0, 1},
    {"cos", INFINITY, NAN},
    {"tanh", 0, 0},
    {"tanh", -0.0, -0.0},
    {"tanh", INFINITY, 1},
    {"tanh", -INFINITY, -1},
    {"tanh", 20, 1},
    {"atan", 0, 0},
    {"atan", -0.0, -0.0},
    {"sigmoid", 0, 0.5},
    {"sigmoid", INFINITY, 1},
    {"sigmoid", -INFINITY, 0},
    {"sigmoid", -800, 0},
    {"sigmoid", 800, 1},
    {"erf", 0, 0},
    {"erf", -0.0, -0.0},
    {"erf", INFINITY, 1},
    {"erf", -INFINITY, -1},
    {"erf", 7, 1},
};

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void check_edges(void) {
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (int k = 0; k < ROWS; k++) {
            if (strcmp(rows[k].name, edges[i].name)) continue;
            double single = rows[k].single((float)edges[i].x), wide = rows[k].wide(edges[i].x);
            if (!same(single, edges[i].value)) fail("%s f32 of %g is %g\n", edges[i].name, edges[i].x, single);
            if (!same(wide, edges[i].value)) fail("%s f64 of %g is %g\n", edges[i].name, edges[i].x, wide);
        }
    for (int k = 0; k < ROWS; k++) {   // NaNs of any payload, quiet or not
        for (uint32_t payload = 1; payload < 0x800000; payload = payload * 3 + 1) {
            float single = rows[k].single(single_of(0x7f800000 | payload));
            double wide = rows[k].wide(wide_of(UINT64_C(0xfff0000000000000) | payload));
            if (!isnan(single) || !isnan(wide)) fail("%s of a NaN is %g, %g\n", rows[k].name, single, wide);
        }
    }
}

// C says what pow is where it is no ordinary number.
static void check_pow_edges(void) {
    static const double values[] = {0,        -0.0,      1,   -1,    2,     -2,       0.5,
                                    -0.5,     3,         -3,  1.5,   -1.5,  1e30,     4e18,
                                    INFINITY, -INFINITY, NAN, 1e-40, -4e18, 16777217, 9007199254740993.0,
                                    -1e-310};
    enum { VALUES = sizeof values / sizeof *values };
    for (int i = 0; i < VALUES; i++)
        for (int k = 0; k < VALUES; k++) {
            double x = values[i], y = values[k], wide = pow(x, y);
            float single = powf((float)x, (float)y);
            double got = gradc_pow_f64(x, y);
            float got_single = gradc_pow_f32((float)x, (float)y);
            bool close = same(got, wide) || fabs(got - wide) <= 1e-15 * fabs(wide);
            bool close_single = same(got_single, single) || fabsf(got_single - single) <= 2e-7f * fabsf(single);
            if (!close || (wide == 0 && signbit(wide) != signbit(got))) fail("pow(%g, %g) is %g\n", x, y, got);
            if (!close_single || (single == 0 && signbit(single) != signbit(got_single)))
                fail("pow f32 (%g, %g) is %g, not %g\n", x, y, got_single, single);
        }
}

// What derivatives and losses lean on.
static void check_shapes(void) {
    float previous = -1;
    for (int i = -2000; i <= 2000; i++) {
        float x = (float)i / 100, tanh = gradc_tanh_f32(x), sigmoid = gradc_sigmoid_f32(x);
        if (!(fabsf(tanh) <= 1)) fail("tanh(%g) is %a\n", x, tanh);
        if (tanh < previous) fail("tanh falls at %g\n", x);
        if (!(sigmoid >= 0 && sigmoid <= 1)) fail("sigmoid(%g) is %a\n", x, sigmoid);
        if (gradc_tanh_f32(-x) != -tanh || gradc_erf_f32(-x) != -gradc_erf_f32(x)) fail("not odd at %g\n", x);
        previous = tanh;
    }
}

int main(int count, char **arguments) {
    (void)arguments;
    bool all = count > 1;
    mpfr_inits2(PRECISION, exact, argument, difference, (mpfr_ptr)NULL);
    for (int i = 0; i < ROWS; i++) {
        Row *row = &rows[i];
        try_all_exponents(row);
        try_hard_points(row);
        report(row->name, "f32", row->worst_single, row->at_single, row->bound_single, all);
        report(row->name, "f64", row->worst_wide, row->at_wide, row->bound_wide, all);
        if (strcmp(row->name, "erf") == 0) check_erf(row, all);
        if (row->limit_single) check_far(row, all);
    }
    check_pow(all);
    check_edges();
    check_pow_edges();
    check_shapes();
    mpfr_clears(exact, argument, difference, (mpfr_ptr)NULL);
    mpfr_free_cache();
    printf("%d failures\n", failures);
    return failures != 0;
}
