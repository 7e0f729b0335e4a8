// One loss in many spellings: softmax with cross entropy. Each must be compiled to as many kernels as the library's own,
// be finite for logits of +-1e4, and have the gradient p - y; so must the sigmoid's two-class loss.
#include "host.h"

enum { ROWS = 6, CLASSES = 4 };

typedef struct {
    const char *name;
    const char *body;   // of the loss, of x, y (class numbers) and q (the same, as probabilities)
    bool is_sum;
} Spelling;

static const Spelling spellings[] = {
    {"the library's", "return cross_entropy(x, y)", false},
    {"the library's, summed", "return cross_entropy(x, y, reduction = sum)", true},
    {"nll of log_softmax", "return nll_loss(log_softmax(x), y)", false},
    {"softmax, log, pick", "return -mean(sum(where(is_class(y, 4), log(softmax(x)), 0), axis = 1))", false},
    {"softmax, pick, log", "p = sum(where(is_class(y, 4), softmax(x), 0), axis = 1); return mean(-log(p))", false},
    {"softmax, index, log", "return -mean(log(softmax(x)[arange(N), y]))", false},
    {"log_softmax, index", "return -mean(log_softmax(x)[arange(N), y])", false},
    {"log_softmax, index, summed", "return -sum(log_softmax(x)[arange(N), y])", true},
    {"one-hot product", "return -mean(sum(one_hot(y, 4) * log_softmax(x), axis = 1))", false},
    {"one-hot product, one sum", "return -sum(one_hot(y, 4) * log(softmax(x))) / N", false},
    {"one-hot product with softmax", "return mean(-log(sum(one_hot(y, 4) * softmax(x), axis = 1)))", false},
    {"one-hot choice", "y1 = where(is_class(y, 4), 1.0, 0.0); return -sum(y1 * log_softmax(x))", true},
    {"logsumexp less logit", "return mean(logsumexp(x) - x[arange(N), y])", false},
    {"logsumexp less picked", "return sum(logsumexp(x, axis = 1) - sum(one_hot(y, 4) * x, axis = 1))", true},
    {"by hand", "e = exp(x); p = e / sum(e, axis = 1, keepdims = true); return -mean(log(p)[arange(N), y])", false},
    {"by hand, logsumexp", "return mean(log(sum(exp(x), axis = 1)) - x[arange(N), y])", false},
    {"by hand, log_softmax", "return -mean((x - log(sum(exp(x), axis = 1, keepdims = true)))[arange(N), y])", false},
    {"by hand, less maximum",
     "z = x - amax(x, axis = 1, keepdims = true)\n"
     "    return mean(log(sum(exp(z), axis = 1)) - z[arange(N), y])",
     false},
    {"by hand, maximum put back",
     "m = amax(x, axis = 1, keepdims = true)\n"
     "    l = m + log(sum(exp(x - m), axis = 1, keepdims = true))\n"
     "    return -sum((x - l)[arange(N), y])",
     true},
    {"by hand, softmax less maximum",
     "e = exp(x - amax(x, axis = 1, keepdims = true))\n"
     "    p = e / sum(e, axis = 1, keepdims = true)\n"
     "    return mean(-log(sum(where(is_class(y, 4), p, 0), axis = 1)))",
     false},
    {"by hand, another shift",
     "z = x - mean(x, axis = 1, keepdims = true)\n"
     "    return -mean((z - log(sum(exp(z), axis = 1, keepdims = true)))[arange(N), y])",
     false},
};
// Probabilities as targets: these have the sum of q as well, so they are compared with one another.
static const Spelling with_probabilities[] = {
    {"the library's", "return cross_entropy(x, q)", false},
    {"product with log_softmax", "return -mean(sum(q * log_softmax(x), axis = 1))", false},
    {"product with log", "return -sum(sum(q * log(softmax(x)), axis = 1))", true},
    {"by hand", "return -mean(sum(q * (x - log(sum(exp(x), axis = 1, keepdims = true))), axis = 1))", false},
    {"by hand, less maximum",
     "z = x - amax(x, axis = 1, keepdims = true)\n"
     "    return -mean(sum(q * (z - log(sum(exp(z), axis = 1, keepdims = true))), axis = 1))",
     false},
};

// ---- what they must give

static float moderate[ROWS][CLASSES], extreme[ROWS][CLASSES], targets[ROWS][CLASSES];
static int32_t classes[ROWS];

static void make_inputs(void) {
    for (int i = 0; i < ROWS; i++) {
        classes[i] = (i * 3 + 1) % CLASSES;
        for (int k = 0; k < CLASSES; k++) {
            moderate[i][k] = (float)((i * 7 + k * 5) % 11) / 3 - 2;
            extreme[i][k] = (i + k) % 3 == 0 ? 1e4f : (i * k) % 2 ? -1e4f : 9999.5f;
            targets[i][k] = k == classes[i];
        }
    }
}

static void expect(float x[ROWS][CLASSES], bool is_sum, double *loss, double gradient[ROWS][CLASSES]) {
    double scale = is_sum ? 1 : 1.0 / ROWS;
    *loss = 0;
    for (int i = 0; i < ROWS; i++) {
        double largest = x[i][0], total = 0;
        for (int k = 1; k < CLASSES; k++) largest = fmax(largest, x[i][k]);
        for (int k = 0; k < CLASSES; k++) total += exp(x[i][k] - largest);
        *loss -= scale * (x[i][classes[i]] - largest - log(total));
        for (int k = 0; k < CLASSES; k++) gradient[i][k] = scale * (exp(x[i][k] - largest) / total - (k == classes[i]));
    }
}

static bool is_near(double found, double expected) {
    return fabs(found - expected) <= 2e-6 * fmax(1, fabs(expected));
}

static void check_values(gradc_program *program, const Spelling *spelling, float x[ROWS][CLASSES]) {
    double loss, gradient[ROWS][CLASSES];
    gradc_call *call = create_call(program, "nll");
    gradc_tensor found;
    expect(x, spelling->is_sum, &loss, gradient);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, CLASSES}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes}));
    OK(gradc_call_bind(call, 2, &(gradc_tensor){GRADC_F32, 2, {ROWS, CLASSES}, targets}));
    OK(gradc_call_requires_grad(call, 0, true));
    OK(gradc_call_forward(call));
    float forward = number(call);
    if (!is_near(forward, loss)) {
        printf("%s: the loss is %.9g, not %.9g\n", spelling->name, (double)forward, loss);
        failures++;
    }
    OK(gradc_call_backward(call, false));
    OK(gradc_call_input_gradient(call, 0, &found));
    for (int i = 0; i < ROWS * CLASSES; i++) {
        double value = ((float *)found.data)[i], expected = gradient[i / CLASSES][i % CLASSES];
        if (is_near(value, expected)) continue;
        printf("%s: element %d of the gradient is %.9g, not %.9g\n", spelling->name, i, value, expected);
        failures++;
        break;
    }
    OK(gradc_call_value(call));   // compiled without the marks that are put for a gradient
    if (number(call) != forward) {
        printf("%s: the value is %.9g alone and %.9g with a tape\n", spelling->name, (double)number(call),
               (double)forward);
        failures++;
    }
    gradc_call_free(call);
}

// ---- kernels

static int count_lines(const char *text, const char *word) {
    int count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) count++;
    return count;
}

static int count_kernels(gradc_program *program, gradc_kind kind) {
    const char *text = "";
    OK(gradc_dump(program, GRADC_STAGE_KERNELS, "nll", kind, &text));
    const char *colon = strstr(text, ": ");
    return colon ? atoi(colon + 2) : -1;
}

// Of the backward function: exponentials, logarithms, divisions.
static void check_backward(gradc_program *program, const Spelling *spelling) {
    const char *text = "";
    OK(gradc_dump(program, GRADC_STAGE_OPT, "nll", GRADC_KIND_BACKWARD, &text));
    if (count_lines(text, " = exp ") == 1 && count_lines(text, " = log ") == 1) return;
    printf("%s: more than one exponential or logarithm:\n%s", spelling->name, text);
    failures++;
}

static void check_family(const Spelling *family, int count) {
    static const gradc_kind kinds[] = {GRADC_KIND_VALUE, GRADC_KIND_FORWARD, GRADC_KIND_BACKWARD};
    static const char *const names[] = {"value", "forward", "backward"};
    int first[3] = {0};
    for (int i = 0; i < count; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "dim N\nloss nll(x: f32[N, 4] requires_grad, y: i32[N], q: f32[N, 4]) {\n    %s\n}\n", family[i].body);
        gradc_program *program = compile(text);
        for (int k = 0; k < 3; k++) {
            int kernels = count_kernels(program, kinds[k]);
            if (i == 0) first[k] = kernels;
            if (kernels == first[k]) continue;
            printf("%s: %d kernels in %s, not %d\n", family[i].name, kernels, names[k], first[k]);
            failures++;
        }
        check_backward(program, &family[i]);
        check_values(program, &family[i], moderate);
        check_values(program, &family[i], extreme);
        gradc_program_free(program);
    }
}

// ---- two classes

static const char *const two_class[] = {
    "p = sigmoid(x); return sum(-(y * log(p) + (1 - y) * log(1 - p)))",
    "p = 1 / (1 + exp(-x)); return -sum(y * log(p) + (1 - y) * log(1 - p))",
    "return sum(-y * log_sigmoid(x) - (1 - y) * log_sigmoid(-x))",
    "return sum(log(1 + exp(x)) - x * y)",
    "return sum(log1p(exp(-x)) + x * (1 - y))",
    "return sum(softplus(x) - x * y)",
    "return binary_cross_entropy_with_logits(x, y, reduction = sum)",
};

static void check_two_class(const char *body) {
    static float x[] = {0, 1.5f, -2.25f, 1e4f, -1e4f, 90, -90, 3}, y[] = {0, 1, 0, 1, 0, 1, 0, 0.25f};
    enum { COUNT = sizeof x / sizeof *x };
    char text[512];
    double loss = 0;
    gradc_tensor found;
    snprintf(text, sizeof text, "dim N\nloss bce(x: f32[N] requires_grad, y: f32[N]) {\n    %s\n}\n", body);
    gradc_program *program = compile(text);
    gradc_call *call = create_call(program, "bce");
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {COUNT}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {COUNT}, y}));
    OK(gradc_call_requires_grad(call, 0, true));
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    OK(gradc_call_input_gradient(call, 0, &found));
    for (int i = 0; i < COUNT; i++) {
        double exact = x[i], gradient = 1 / (1 + exp(-exact)) - y[i];
        loss += fmax(exact, 0) - exact * y[i] + log1p(exp(-fabs(exact)));
        if (is_near(((float *)found.data)[i], gradient)) continue;
        printf("%s: the gradient at %g is %.9g, not %.9g\n", body, exact, (double)((float *)found.data)[i], gradient);
        failures++;
    }
    if (!is_near(number(call), loss)) {
        printf("%s: the loss is %.9g, not %.9g\n", body, (double)number(call), loss);
        failures++;
    }
    gradc_call_free(call);
    gradc_program_free(program);
}

int main(void) {
    make_inputs();
    check_family(spellings, sizeof spellings / sizeof *spellings);
    check_family(with_probabilities, sizeof with_probabilities / sizeof *with_probabilities);
    for (size_t i = 0; i < sizeof two_class / sizeof *two_class; i++) check_two_class(two_class[i]);
    return failures != 0;
}
