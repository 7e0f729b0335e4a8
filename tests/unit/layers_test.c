// What the library has besides functions of their arguments alone: initialisers, layers, dropout.
#include "tests/unit/host.h"

#include <float.h>

// ---- initialisers: [300, 200] has fan_in 300 and fan_out 200; [8, 5, 6, 7] has fan_in 210 and fan_out 336

static const struct {
    const char *name;
    double deviation;   // of a matrix
    double kernel;      // of a kernel of a convolution
    double bound;       // of uniform ones, as a multiple of the deviation; 0: normal
} initialisers[] = {
    {"he_normal", 0.0816496580927726, 0.0975900072948533, 0},
    {"he_uniform", 0.0816496580927726, 0.0975900072948533, 1.7320508075688772},
    {"xavier_normal", 0.0632455532033676, 0.0605227532668819, 0},
    {"xavier_uniform", 0.0632455532033676, 0.0605227532668819, 1.7320508075688772},
    {"lecun_normal", 0.0577350269189626, 0.0690065559342354, 0},
    {"lecun_uniform", 0.0577350269189626, 0.0690065559342354, 1.7320508075688772},
    {"normal", 1, 1, 0},
    {"trunc_normal", 0.8796256610342398, 0.8796256610342398, 2.273694468677113},
    {"uniform(low = -3, high = 3)", 1.7320508075688772, 1.7320508075688772, 1.7320508075688772},
};
enum { INITIALISERS = sizeof initialisers / sizeof *initialisers };

static void check_statistics(const char *name, const double *values, int64_t count, double deviation, double bound) {
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
        squares += values[i] * values[i];
        if (fabs(values[i]) > largest) largest = fabs(values[i]);
    }
    double mean = sum / (double)count, found = sqrt(squares / (double)count);
    bool fits =
        fabs(mean) < 5 * deviation / sqrt((double)count) && fabs(found / deviation - 1) < 4 / sqrt((double)count);
    if (bound) fits = fits && largest <= bound * deviation && largest > 0.98 * bound * deviation;
    else fits = fits && largest > 3 * deviation && largest < 7 * deviation;
    if (fits) return;
    printf("%s: mean %g, deviation %g instead of %g, largest %g\n", name, mean, found, deviation, largest);
    failures++;
}

static void check_near(int line, double found, double expected) {
    if (fabs(found - expected) <= 1e-12 * (1 + fabs(expected))) return;
    printf("line %d: %.17g instead of %.17g\n", line, found, expected);
    failures++;
}
#define NEAR(found, expected) check_near(__LINE__, found, expected)

static gradc_program *compile_wide(const char *text) {
    gradc_program *program;
    gradc_options options = {.floating = GRADC_F64, .verify = true};
    if (gradc_compile_text("test.grad", text, strlen(text), &options, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

static void test_initialisers(void) {
    char text[4096] = "net all(x: float) -> float {\n";
    for (int i = 0; i < INITIALISERS; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "    param matrix%d: float[300, 200] ~ %s\n    param kernel%d: float[8, 5, 6, 7] ~ %s\n", i,
                 initialisers[i].name, i, initialisers[i].name);
    strcat(
        text,
        "    param a: float[3] ~ ones\n    param b: float[3]\n    param c: float[2, 2] ~ full(0.5)\n    return x\n}\n"
        "loss l(x: float) { return all(x) }\n");
    gradc_program *program = compile_wide(text);
    const double *values = gradc_parameters(program);
    gradc_parameter_info info;
    for (int i = 0; i < INITIALISERS; i++) {
        CHECK(gradc_parameter(program, 2 * i, &info) && info.count == 60000);
        check_statistics(initialisers[i].name, values + info.offset, info.count, initialisers[i].deviation,
                         initialisers[i].bound);
        CHECK(gradc_parameter(program, 2 * i + 1, &info) && info.count == 1680);
        check_statistics(initialisers[i].name, values + info.offset, info.count, initialisers[i].kernel,
                         initialisers[i].bound);
    }
    CHECK(gradc_parameter(program, 2 * INITIALISERS, &info));
    const double *last = values + info.offset;
    CHECK(last[0] == 1 && last[2] == 1 && last[3] == 0 && last[5] == 0 && last[6] == 0.5 && last[9] == 0.5);
    double first = values[0];
    CHECK(gradc_initialise(program, 1) == GRADC_OK && ((double *)gradc_parameters(program))[0] != first);
    CHECK(gradc_initialise(program, 0) == GRADC_OK && ((double *)gradc_parameters(program))[0] == first);
    gradc_program_free(program);
}

// Rows of a wide matrix, columns of a tall one, of a kernel all but the first axis together.
static void test_orthogonal(void) {
    static const struct {
        int rows, columns;
        double gain;
    } expected[] = {{3, 5, 1}, {5, 3, 2}, {4, 4, 1}, {6, 20, 1}};
    gradc_program *program = compile_wide("net all(x: float) -> float {\n"
                                          "    param a: float[3, 5] ~ orthogonal\n"
                                          "    param b: float[5, 3] ~ orthogonal(gain = 2)\n"
                                          "    param c: float[4, 4] ~ orthogonal\n"
                                          "    param d: float[6, 5, 2, 2] ~ orthogonal\n"
                                          "    return x\n}\n"
                                          "loss l(x: float) { return all(x) }\n");
    for (int i = 0; i < 4; i++) {
        gradc_parameter_info info;
        CHECK(gradc_parameter(program, i, &info));
        const double *a = (double *)gradc_parameters(program) + info.offset;
        int rows = expected[i].rows, columns = expected[i].columns;
        bool tall = rows > columns;
        for (int j = 0; j < (tall ? columns : rows); j++)
            for (int k = 0; k <= j; k++) {
                double product = 0;
                for (int m = 0; m < (tall ? rows : columns); m++)
                    product += tall ? a[m * columns + j] * a[m * columns + k] : a[j * columns + m] * a[k * columns + m];
                NEAR(product, j == k ? expected[i].gain * expected[i].gain : 0);
            }
    }
    gradc_program_free(program);
}

// ---- layers

static const double *output(gradc_program *program, gradc_call *call, int index) {
    gradc_tensor tensor;
    OK(gradc_call_output(call, index, &tensor));
    return tensor.data;
}

static void test_dense(void) {
    gradc_program *program = compile_wide("dim N\n"
                                          "net model(x: float[N, 2]) -> (float[N, 3], float[N, 3]) {\n"
                                          "    use plain = dense<2, 3>\n"
                                          "    use torch = linear<2, 3>\n"
                                          "    return plain(x), torch(x)\n"
                                          "}\n");
    gradc_call *call = create_call(program, "model");
    double x[] = {0.5, -1, 2, 3}, *p = gradc_parameters(program);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 2, {2, 2}, x}));
    for (int i = 6; i < 9; i++) p[i] = i;   // plain.b
    gradc_parameters_changed(program);
    OK(gradc_call_value(call));
    const double *dense = output(program, call, 0), *linear = output(program, call, 1);
    const double *weight = p + 9, *bias = p + 15;
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 3; column++) {
            const double *in = x + 2 * row;
            NEAR(dense[3 * row + column], in[0] * p[column] + in[1] * p[3 + column] + p[6 + column]);
            NEAR(linear[3 * row + column], in[0] * weight[2 * column] + in[1] * weight[2 * column + 1] + bias[column]);
        }
    for (int i = 9; i < 18; i++) CHECK(fabs(p[i]) <= sqrt(0.5) && p[i] != 0);
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_norms(void) {
    gradc_program *program = compile_wide("dim N\n"
                                          "net model(x: float[N, 4]) -> (float[N, 4], float[N, 4]) {\n"
                                          "    use layer = layer_norm<4>\n"
                                          "    use rms = rms_norm<4>\n"
                                          "    return layer(x), rms(x)\n"
                                          "}\n");
    gradc_call *call = create_call(program, "model");
    double x[] = {1, 2, 4, 9}, *p = gradc_parameters(program);
    double gamma[] = {1, 2, 0.5, -1}, beta[] = {0, 1, 2, 3};
    memcpy(p, gamma, sizeof gamma);
    memcpy(p + 4, beta, sizeof beta);
    memcpy(p + 8, gamma, sizeof gamma);
    gradc_parameters_changed(program);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 2, {1, 4}, x}));
    OK(gradc_call_value(call));
    const double *layer = output(program, call, 0), *rms = output(program, call, 1);
    for (int i = 0; i < 4; i++) {
        NEAR(layer[i], (x[i] - 4) / sqrt(9.5 + 1e-5) * gamma[i] + beta[i]);
        NEAR(rms[i], x[i] / sqrt(25.5 + FLT_EPSILON) * gamma[i]);
    }
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_batch_norm(void) {
    gradc_program *program = compile_wide("dim N\n"
                                          "net model(x: float[N, 1]) -> float[N, 1] {\n"
                                          "    use norm = batch_norm<1>\n"
                                          "    return norm(x)\n"
                                          "}\n");
    gradc_call *call = create_call(program, "model");
    double x[] = {1, 2, 4, 9}, mean = 0, variance = 1;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 2, {4, 1}, x}));
    for (int step = 0; step < 3; step++) {
        gradc_call_set_training(call, false);
        OK(gradc_call_value(call));
        for (int i = 0; i < 4; i++) NEAR(output(program, call, 0)[i], (x[i] - mean) / sqrt(variance + 1e-5));
        gradc_call_set_training(call, true);
        OK(gradc_call_value(call));
        for (int i = 0; i < 4; i++) NEAR(output(program, call, 0)[i], (x[i] - 4) / sqrt(9.5 + 1e-5));
        OK(gradc_call_store_states(call));
        mean = 0.9 * mean + 0.1 * 4;
        variance = 0.9 * variance + 0.1 * 9.5 * 4 / 3;
    }
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_embedding(void) {
    gradc_program *program =
        compile_wide("dim N\n"
                     "net table(i: i32[N]) -> float[N, 2] { use e = embedding<3, 2>; return e(i) }\n"
                     "loss l(i: i32[N], c: float[N, 2]) { return sum(table(i) * c) }\n");
    gradc_call *call = create_call(program, "l");
    int32_t numbers[] = {2, 0, 2};
    double c[] = {1, 2, 3, 4, 5, 6}, *p = gradc_parameters(program), *g = gradc_gradients(program);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_I32, 1, {3}, numbers}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F64, 2, {3, 2}, c}));
    OK(gradc_call_forward(call));
    NEAR(output(program, call, 0)[0], p[4] * 6 + p[5] * 8 + p[0] * 3 + p[1] * 4);
    OK(gradc_call_backward(call, false));
    CHECK(g[0] == 3 && g[1] == 4 && g[2] == 0 && g[3] == 0 && g[4] == 6 && g[5] == 8);
    numbers[1] = 3;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_I32, 1, {3}, numbers}));
    CHECK(gradc_call_value(call) == GRADC_DATA);
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_dropout(void) {
    enum { COUNT = 10000 };
    gradc_program *program = compile_wide("dim N\nfn model(x: f64[N]) -> f64[N] { return dropout(x, p = 0.25) }\n");
    gradc_call *call = create_call(program, "model");
    static double x[COUNT], first[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = 3;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 1, {COUNT}, x}));
    OK(gradc_call_value(call));
    CHECK(memcmp(output(program, call, 0), x, sizeof x) == 0);
    gradc_call_set_training(call, true);
    for (int run = 0; run < 2; run++) {
        OK(gradc_call_value(call));
        const double *found = output(program, call, 0);
        int dropped = 0;
        for (int i = 0; i < COUNT; i++) {
            dropped += found[i] == 0;
            if (found[i] != 0) NEAR(found[i], 4);
        }
        CHECK(abs(dropped - COUNT / 4) < 200);
        CHECK(run == 0 || memcmp(found, first, sizeof first) != 0);
        memcpy(first, found, sizeof first);
    }
    gradc_call_free(call);
    gradc_program_free(program);
}

// How often each number from 0 to 4 comes.
static void count_numbers(const double *values, int count, int *times) {
    for (int i = 0; i < 5; i++) times[i] = 0;
    for (int i = 0; i < count; i++) {
        int number = (int)values[i];
        CHECK(values[i] == number && number >= 0 && number < 5);
        if (number >= 0 && number < 5) times[number]++;
    }
}

static void test_sampling(void) {
    enum { COUNT = 10000 };
    gradc_program *program = compile_wide("fn model() -> (f64[10000], f64[10000], f64[1000]) {\n"
                                          "    return bernoulli([10000], 0.2), f64(randint([10000], 1, 5)),\n"
                                          "           f64(permutation(1000))\n}\n");
    gradc_call *call = create_call(program, "model");
    int times[5];
    OK(gradc_call_value(call));
    count_numbers(output(program, call, 0), COUNT, times);
    CHECK(times[0] + times[1] == COUNT && abs(times[1] - COUNT / 5) < 200);
    count_numbers(output(program, call, 1), COUNT, times);
    CHECK(times[0] == 0);
    for (int i = 1; i < 5; i++) CHECK(abs(times[i] - COUNT / 4) < 200);
    const double *order = output(program, call, 2);
    bool seen[1000] = {false};
    int in_place = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK(order[i] >= 0 && order[i] < 1000 && !seen[(int)order[i]]);
        seen[(int)order[i]] = true;
        in_place += order[i] == i;
    }
    CHECK(in_place < 10);
    gradc_call_free(call);
    gradc_program_free(program);
}

static double mean_of(const double *values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    return sum / count;
}

static void test_distributions(void) {
    enum { COUNT = 10000 };
    gradc_program *program =
        compile_wide("fn model() {\n"
                     "    logits = broadcast(log([1.0, 3, 4]), [10000, 3])\n"
                     "    soft = gumbel_softmax(logits, tau = 0.5)\n"
                     "    hard = gumbel_softmax(logits, tau = 0.5, hard = true)\n"
                     "    return gumbel([10000]), exponential([10000], rate = 2), f64(categorical(logits)),\n"
                     "           sum(soft, axis = 1), soft[:, 0], hard[:, 0], amax(hard, axis = 1)\n}\n");
    gradc_call *call = create_call(program, "model");
    OK(gradc_call_value(call));
    const double euler = 0.5772156649015329;
    CHECK(fabs(mean_of(output(program, call, 0), COUNT) - euler) < 0.05);
    CHECK(fabs(mean_of(output(program, call, 1), COUNT) - 0.5) < 0.02);
    int times[5];
    count_numbers(output(program, call, 2), COUNT, times);
    CHECK(abs(times[0] - COUNT / 8) < 170 && abs(times[1] - 3 * COUNT / 8) < 250 && abs(times[2] - COUNT / 2) < 250);
    for (int i = 0; i < COUNT; i++) NEAR(output(program, call, 3)[i], 1);
    double least = 1, most = 0;
    for (int i = 0; i < COUNT; i++) {
        least = fmin(least, output(program, call, 4)[i]);
        most = fmax(most, output(program, call, 4)[i]);
        CHECK(fabs(output(program, call, 5)[i]) < 1e-12 || fabs(output(program, call, 5)[i] - 1) < 1e-12);
        NEAR(output(program, call, 6)[i], 1);
    }
    CHECK(least < 0.01 && most > 0.99);
    CHECK(fabs(mean_of(output(program, call, 5), COUNT) - 0.125) < 0.02);
    gradc_call_free(call);
    gradc_program_free(program);
}

// The gradient through a hard choice is that of the soft one.
static void test_hard_choice(void) {
    gradc_program *program = compile_wide("fn model(x: f64[3] requires_grad) {\n"
                                          "    chosen = gumbel_softmax(x, hard = true)\n"
                                          "    return grad(sum(chosen * [1, 2, 4]), x)\n}\n");
    gradc_call *call = create_call(program, "model");
    double x[] = {0.5, -0.25, 1}, sum = 0, size = 0;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 1, {3}, x}));
    OK(gradc_call_value(call));
    for (int i = 0; i < 3; i++) {
        sum += output(program, call, 0)[i];
        size += fabs(output(program, call, 0)[i]);
    }
    NEAR(sum, 0);
    CHECK(size > 1e-3);
    gradc_call_free(call);
    gradc_program_free(program);
}

// Channels go as a whole.
static void test_dropped_channels(void) {
    enum { CHANNELS = 1000, PLACES = 6 };
    gradc_program *program =
        compile_wide("fn model() -> f64[1, 1000, 2, 3] { return dropout2d(ones([1, 1000, 2, 3]), p = 0.25) }\n");
    gradc_call *call = create_call(program, "model");
    gradc_call_set_training(call, true);
    OK(gradc_call_value(call));
    const double *found = output(program, call, 0);
    int dropped = 0;
    for (int i = 0; i < CHANNELS; i++) {
        dropped += found[i * PLACES] == 0;
        for (int k = 0; k < PLACES; k++) NEAR(found[i * PLACES + k], found[i * PLACES] == 0 ? 0 : 4.0 / 3);
    }
    CHECK(abs(dropped - CHANNELS / 4) < 60);
    gradc_call_free(call);
    gradc_program_free(program);
}

int main(void) {
    test_initialisers();
    test_orthogonal();
    test_dense();
    test_norms();
    test_batch_norm();
    test_embedding();
    test_dropout();
    test_sampling();
    test_distributions();
    test_hard_choice();
    test_dropped_channels();
    printf("%d failures\n", failures);
    return failures != 0;
}
