// The accuracy of the library's functions of one number that are made of primitives: in f32 and f64, against long double.
// Prints the largest errors when called with an argument.
#include "tests/unit/host.h"

typedef long double Exact(long double x);

static long double exact_log2(long double x) {
    return log2l(x);
}

static const struct {
    const char *name;
    Exact *exact;
    double low, high;      // arguments lie between, evenly, and with both signs near 0 if low is below
    double single, wide;   // in ULP
} functions[] = {
    {"tan", tanl, -30, 30, 4, 4},         {"asin", asinl, -1, 1, 3.5, 3.5},      {"acos", acosl, -1, 1, 4, 4},
    {"sinh", sinhl, -88, 88, 5, 5},       {"cosh", coshl, -88, 88, 5, 5},        {"asinh", asinhl, -50, 50, 4, 4},
    {"acosh", acoshl, 1, 50, 4, 4},       {"atanh", atanhl, -1, 1, 4, 4},        {"erfc", erfcl, -3, 9, 8, 8},
    {"log2", exact_log2, 1e-3, 50, 2, 2}, {"log10", log10l, 1e-3, 50, 2.5, 2.5}, {"exp2", exp2l, -100, 100, 1, 1.5},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions, COUNT = 20000 };

static double argument(int function, int i) {
    double low = functions[function].low, high = functions[function].high, x = low + (high - low) * (i + 0.37) / COUNT;
    if (i % 4 == 0 && low < 0) x *= ldexp(1, -i / 4 % 60);   // near 0
    return x;
}

// In units of the last place of the exact value; 0 where that is as good as 0.
static double ulps(double value, long double exact, int digits) {
    int exponent;
    frexpl(exact, &exponent);
    return (double)fabsl((value - exact) / ldexpl(1, exponent - digits));
}

static void check_function(int function, bool wide, bool all) {
    char text[256];
    const char *dtype = wide ? "f64" : "f32";
    snprintf(text, sizeof text, "dim N\nfn model(x: %s[N]) -> f64[N] { return f64(%s(x)) }\n", dtype,
             functions[function].name);
    gradc_program *program;
    OK(gradc_compile_text("functions.grad", text, strlen(text), NULL, &program));
    gradc_call *call = create_call(program, "model");
    static double x[COUNT];
    static float narrow[COUNT];
    for (int i = 0; i < COUNT; i++) {
        narrow[i] = (float)argument(function, i);
        x[i] = wide ? argument(function, i) : narrow[i];
    }
    gradc_tensor tensor = {wide ? GRADC_F64 : GRADC_F32, 1, {COUNT}, wide ? (void *)x : (void *)narrow};
    OK(gradc_call_bind(call, 0, &tensor));
    OK(gradc_call_value(call));
    gradc_tensor output;
    OK(gradc_call_output(call, 0, &output));
    const double *found = output.data;
    double worst = 0, at = 0, bound = wide ? functions[function].wide : functions[function].single;
    for (int i = 0; i < COUNT; i++) {
        double error = ulps(found[i], functions[function].exact(x[i]), wide ? 53 : 24);
        if (!(error <= worst)) worst = error, at = x[i];
    }
    if (!(worst <= bound) || all) printf("%s %s: %.3f ULP at %.17g\n", functions[function].name, dtype, worst, at);
    failures += !(worst <= bound);
    gradc_call_free(call);
    gradc_program_free(program);
}

int main(int count, char **arguments) {
    (void)arguments;
    for (int i = 0; i < FUNCTIONS; i++) {
        check_function(i, false, count > 1);
        check_function(i, true, count > 1);
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
