// Many numbers divided by one: the processor's own quotients to the bit, of ordinary numbers, of such as a reciprocal
// would get wrong, and of zeros, subnormals, infinities and NaNs, in every direction of rounding and width of vectors.
#include "tests/unit/host.h"

#include <fenv.h>
#include <stdint.h>

enum { COUNT = 1000, DIVISORS = 1500 };

static uint64_t state = 1;

static uint64_t random_bits(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

// A mantissa of `bits` bits with exponents up to `range` from 0, and sometimes no number or hardly one.
static double random_number(int bits, int range) {
    static const double special[] = {0,         -0.0,    INFINITY, -INFINITY, NAN, 0x1p-149,
                                     0x1p-1074, 0x1p127, 0x1p1023, 1,         -1,  3};
    uint64_t draw = random_bits();
    if (draw % 16 == 0) return special[draw / 16 % (sizeof special / sizeof *special)];
    double mantissa = (double)((draw >> 10 | UINT64_C(1) << 53) >> (54 - bits));
    int exponent = (int)(random_bits() % (uint64_t)(2 * range + 1)) - range;
    return ldexp(draw & 1 ? mantissa : -mantissa, exponent - bits);
}

// A dividend whose quotient lies as near as can be between two neighbours.
static double hard_dividend(double divisor, int bits, int range) {
    return divisor * (random_number(bits, range) * (1 + ldexp(1, -bits)));
}

static bool same_bits(const void *a, const void *b, bool wide) {
    double first = wide ? *(const double *)a : *(const float *)a,
           second = wide ? *(const double *)b : *(const float *)b;
    return (first != first && second != second) || memcmp(a, b, wide ? 8 : 4) == 0;
}

static bool is_quotient(const void *results, const void *x, const void *divisor, int i, bool wide) {
    if (wide) {
        volatile double quotient = ((const double *)x)[i] / *(const double *)divisor;
        double expected = quotient;
        return same_bits((const double *)results + i, &expected, wide);
    }
    volatile float quotient = ((const float *)x)[i] / *(const float *)divisor;
    float expected = quotient;
    return same_bits((const float *)results + i, &expected, wide);
}

static void check_divisor(gradc_program *program, gradc_call *call, void *x, void *divisor, bool wide, int range) {
    int bits = wide ? 53 : 24, wrong = 0;
    double value = random_number(bits, range);
    for (int i = 0; i < COUNT; i++) {
        double dividend = i % 2 ? random_number(bits, range) : hard_dividend(value, bits, range);
        if (wide) ((double *)x)[i] = dividend;
        else ((float *)x)[i] = (float)dividend;
    }
    if (wide) *(double *)divisor = value;
    else *(float *)divisor = (float)value;
    OK(gradc_call_value(call));
    gradc_tensor output;
    OK(gradc_call_output(call, 0, &output));
    for (int i = 0; i < COUNT; i++) wrong += !is_quotient(output.data, x, divisor, i, wide);
    if (wrong) printf("%d of %d quotients by %a are wrong\n", wrong, COUNT, value);
    failures += wrong > 0;
}

static void check_width(int vector_bytes, bool wide) {
    static const int directions[] = {FE_TONEAREST, FE_TONEAREST, FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    enum { DIRECTIONS = sizeof directions / sizeof *directions };
    static _Alignas(64) double x[COUNT], divisor;
    char text[200];
    gradc_program *program;
    gradc_options options = {.vector_bytes = vector_bytes, .threads = 1};
    const char *type = wide ? "f64" : "f32";
    snprintf(text, sizeof text, "fn f(x: %s[%d], y: %s) -> %s[%d] { return x / y }\n", type, COUNT, type, type, COUNT);
    if (gradc_compile_text("quotients.grad", text, strlen(text), &options, &program)) exit(1);
    gradc_call *call = create_call(program, "f");
    gradc_dtype dtype = wide ? GRADC_F64 : GRADC_F32;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){dtype, 1, {COUNT}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){dtype, 0, {0}, &divisor}));
    for (int i = 0; i < DIVISORS && !failures; i++) {
        fesetround(directions[i / 3 % DIRECTIONS]);
        check_divisor(program, call, x, &divisor, wide, (int[]){2, wide ? 400 : 60, wide ? 1060 : 140}[i % 3]);
    }
    fesetround(FE_TONEAREST);
    gradc_call_free(call);
    gradc_program_free(program);
}

int main(void) {
    for (int bytes = 16; bytes <= 64; bytes *= 2) {
        check_width(bytes, false);
        check_width(bytes, true);
    }
    return failures != 0;
}
