// Makers of elementwise functions, choices, whole numbers and random draws.
#include "text_writer.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *pattern;   // %s: the argument
    double limit;          // arguments are squeezed to it; 0: x^2 + 0.4 is the argument
    double bound;
} Unary;

static const Unary unaries[] = {
    {"-%s", 8, 8},
    {"abs(%s)", 8, 8},
    {"sin(%s)", 8, 1},
    {"cos(%s)", 8, 1},
    {"tanh(%s)", 8, 1},
    {"exp(%s)", 2, 8},
    {"expm1(%s)", 2, 8},
    {"log(%s)", 0, 6},
    {"log1p(%s)", 0, 6},
    {"sqrt(%s)", 0, 9},
    {"rsqrt(%s)", 0, 2},
    {"reciprocal(%s)", 0, 3},
    {"log2(%s)", 0, 8},
    {"log10(%s)", 0, 3},
    {"(%s)^0.5", 0, 9},
    {"(%s)^1.5", 0, 30},
    {"(%s)^-1", 0, 3},
    {"1 / %s", 0, 3},
    {"atan(%s)", 8, 1.6},
    {"sigmoid(%s)", 8, 1},
    {"erf(%s)", 8, 1},
    {"erfc(%s)", 4, 2},
    {"(%s)^2", 8, 64},
    {"(%s)^3", 4, 64},
    {"square(%s)", 8, 64},
    {"exp2(%s)", 2, 4},
    {"sinh(%s)", 2, 4},
    {"cosh(%s)", 2, 4},
    {"asinh(%s)", 8, 3},
    {"acosh(1.5 + %s)", 0, 5},
    {"asin(0.9 * tanh(%s))", 8, 1.2},
    {"acos(0.9 * tanh(%s))", 8, 3},
    {"atanh(0.9 * tanh(%s))", 8, 2},
    {"logit(sigmoid(%s))", 4, 4},
    {"tan(%s)", 1, 1.6},
    {"relu(%s)", 8, 8},
    {"relu6(%s)", 8, 6},
    {"leaky_relu(%s, negative_slope = 0.1)", 8, 8},
    {"elu(%s)", 8, 8},
    {"celu(%s, alpha = 2)", 8, 8},
    {"selu(%s)", 8, 9},
    {"gelu(%s)", 8, 8},
    {"gelu(%s, approximate = \"tanh\")", 8, 8},
    {"silu(%s)", 8, 8},
    {"mish(%s)", 8, 8},
    {"softplus(%s)", 8, 9},
    {"log_sigmoid(%s)", 8, 9},
    {"softsign(%s)", 8, 1},
    {"hardtanh(%s)", 8, 1},
    {"hardsigmoid(%s)", 8, 1},
    {"hardswish(%s)", 8, 8},
    {"clamp(%s, -1, 2)", 8, 2},
    {"clamp(%s, min = -0.5)", 8, 8},
    {"floor(%s)", 8, 8},
    {"round(%s)", 8, 8},
    {"ceil(%s)", 8, 9},
    {"sign(%s)", 8, 1},
    {"trunc(%s)", 8, 8},
    {"frac(%s)", 8, 1},
    {"step(%s)", 8, 1},
    {"dropout(%s, p = 0.25)", 8, 11},
    {"identity(%s)", 8, 8},
    {"fma(%1$s, %1$s, %1$s)", 4, 20},
    {"log(1 + exp(%s))", 8, 9},   // what the simplifier makes stable
    {"1 / (1 + exp(-%s))", 8, 1},
    {"(exp(%s) - 1) / 2", 2, 4},
    {"log(sigmoid(%s))", 8, 9},
};

bool text_unary(Writer *w) {
    const Unary *unary = &unaries[below(w, sizeof unaries / sizeof *unaries)];
    Value x, result;
    if (!pick_value(w, REAL, 0, &x)) return false;
    result = real_like(&x);
    result.bound = fmin(unary->bound, fmax(x.bound, 1) * 9);
    const char *argument = unary->limit ? within(w, &x, unary->limit) : above(w, &x, 0.4);
    if (strchr(argument, ' ') && argument[0] != '(' && unary->pattern[0] != '(') argument = print(w, "(%s)", argument);
    return bind_value(w, result, arena_print(w->arena, unary->pattern, argument)) >= 0;
}

bool text_binary(Writer *w) {
    static const struct {
        const char *pattern;
        double limit, bound;
        bool positive;   // the second
    } binaries[] = {
        {"%s + %s", 8, 16, false},
        {"%s - %s", 8, 16, false},
        {"%s * %s", 8, 64, false},
        {"%s * %s", 8, 64, false},
        {"%s / %s", 8, 20, true},
        {"maximum(%s, %s)", 8, 8, false},
        {"minimum(%s, %s)", 8, 8, false},
        {"%s %% %s", 8, 66, true},
        {"%s // %s", 8, 20, true},
        {"hypot(%s, 0.5 + %s)", 8, 12, true},
        {"atan2(%s, %s)", 8, 3.2, true},
        {"logaddexp(%s, %s)", 8, 9, false},
        {"xlogy(%s, %s)", 4, 17, true},
        {"lerp(%s, %s, 0.25)", 8, 8, false},
        {"(0.5 + (%s)^2)^(%s)", 1.5, 4, false},
        {"fma(%s, %s, 0.5)", 8, 65, false},
        {"2 * (%s) - 3 * (%s)", 8, 40, false},
        {"((%s) + 1) * ((%s) - 1)", 8, 81, false},
    };
    int choice = below(w, sizeof binaries / sizeof *binaries);
    Value x, y, result;
    if (!pick_value(w, REAL, 0, &x) || !pick_value(w, REAL, 0, &y)) return false;
    for (int i = 0; i < 4 && !shapes_together(&x, &y, &result); i++) pick_value(w, REAL, 0, &y);
    if (!shapes_together(&x, &y, &result)) y.text = "0.75", y.rank = 0, y.bound = 1, result = real_like(&x);
    result.bound = fmin(binaries[choice].bound, (x.bound + 1) * (y.bound + 1));
    const char *second = within(w, &y, binaries[choice].limit);
    if (strchr(second, ' ')) second = print(w, "(%s)", second);
    if (binaries[choice].positive) second = above(w, &y, 0.6);
    const char *first = within(w, &x, binaries[choice].limit);
    return bind_value(w, result, arena_print(w->arena, binaries[choice].pattern, first, second)) >= 0;
}

bool text_where(Writer *w) {
    static const char *const comparisons[] = {"<", ">", "<=", ">=", "==", "!="};
    Value x, y, condition, both, result;
    if (!pick_value(w, REAL, 0, &x) || !pick_value(w, REAL, 0, &y)) return false;
    if (!shapes_together(&x, &y, &condition)) y.text = "0.1", y.rank = 0, condition = real_like(&x);
    const char *text = print(w, "%s %s %s", x.text, comparisons[below(w, 6)], y.text);
    switch (below(w, 6)) {
    case 0: text = print(w, "%s and not %s < 0.3", text, x.text); break;
    case 1: text = print(w, "not (%s) or %s > 1", text, y.text); break;
    case 2: text = print(w, "isnan(%s) or %s", x.text, text); break;
    default: break;
    }
    condition.kind = TRUTH;
    if (one_in(w, 5)) return bind_value(w, condition, text) >= 0;
    Value a, known_truth;
    if (one_in(w, 3) && pick_value(w, TRUTH, 0, &known_truth)) condition = known_truth, text = known_truth.text;
    if (!pick_value(w, REAL, 0, &a) || !shapes_together(&condition, &a, &both)) return false;
    double bound;
    result = both;
    const char *other = filling(w, &both, &bound);
    result.bound = fmax(a.bound, bound);
    if (one_in(w, 4)) {   // a side that is not finite where it is not taken
        result.bound = 8;
        return bind_value(w, result, print(w, "where(%s > 0, log(%s), %s)", a.text, a.text, other)) >= 0 &&
               same_value_shape(&a, &both);
    }
    return bind_value(w, result, print(w, "where(%s, %s, %s)", text, a.text, other)) >= 0;
}

// Whole numbers, and real ones made of them.
bool text_whole(Writer *w) {
    Value x, result;
    if (one_in(w, 3)) {
        if (!pick_value(w, REAL, 1, &x)) return false;
        int axis = below(w, x.rank);
        int64_t size;
        if (!is_known(x.shape[axis], &size) || !size) return false;
        result = without_axis(&x, axis);
        const char *which = one_in(w, 2) ? "argmax" : "argmin";
        return bind_value(w, result,
                          print(w, "0.25 * float(%s(%s, axis = %d))", which, x.text, signed_axis(w, axis, x.rank))) >=
               0;
    }
    if (one_in(w, 2) && pick_value(w, WHOLE, 0, &x)) {
        static const char *const patterns[] = {"float(%s)",      "0.5 * %s",       "float(%s * 3 - 1) / 4",
                                               "float(%s // 2)", "float(%s %% 2)", "float(%1$s == 1 or %1$s > 1)",
                                               "cos(float(%s))"};
        result = real_like(&x);
        result.bound = 6;
        return bind_value(w, result, arena_print(w->arena, patterns[below(w, 7)], x.text)) >= 0;
    }
    if (!pick_value(w, REAL, 0, &x)) return false;
    result = real_like(&x);
    result.bound = 8;
    return bind_value(w, result, print(w, "cos(float(i32(%s))) * %s", within(w, &x, 8), within(w, &x, 8))) >= 0;
}

bool text_draw(Writer *w) {
    static const char *const patterns[] = {
        "%s + 0.1 * normal(shape(%s))", "%s * uniform(shape(%s), 0.5, 1.5)", "%s * bernoulli(shape(%s), 0.75)",
        "where(uniform(shape(%2$s)) < 0.5, %1$s, 0)", "%s + 0.25 * float(randint(shape(%s), -2, 3))"};
    Value x, result;
    if (!pick_value(w, REAL, 0, &x)) return false;
    result = real_like(&x);
    result.bound = 13;
    return bind_value(w, result, arena_print(w->arena, patterns[below(w, 5)], within(w, &x, 8), x.text)) >= 0;
}

// Values from nothing: counted, listed, an extent's number, none at all.
bool text_literal(Writer *w) {
    static const int sizes[] = {1, 2, 3, 4, 5, 8, 9, 17};
    Value result = real_of(NULL, 0, 2);
    int64_t size = sizes[below(w, 8)];
    const Extent *extent = one_in(w, 3) ? w->rows : count_extent(w, size);
    result.rank = 1;
    result.shape[0] = extent;
    switch (below(w, 5)) {
    case 0: return bind_value(w, result, print(w, "sin(float(arange(%s)))", extent_in_text(w, extent))) >= 0;
    case 1:
        result.shape[0] = count_extent(w, 3);
        result.shape[1] = count_extent(w, 2);
        result.rank = 2;
        return bind_value(w, result, "[[0.5, -1], [0.25, 2], [-0.75, 1.5]]") >= 0;
    case 2:
        result.shape[0] = result.shape[1] = count_extent(w, size);
        result.rank = 2;
        return bind_value(w, result, print(w, "eye(%d)", (int)size)) >= 0;
    case 3: result.rank = 0; return bind_value(w, result, print(w, "1 / float(%s + 1)", one_in(w, 2) ? "N" : "T")) >= 0;
    default:
        result.shape[0] = count_extent(w, 0);
        result.shape[1] = count_extent(w, 3);
        result.rank = 2;
        return bind_value(w, result, "zeros([0, 3])") >= 0;
    }
}
