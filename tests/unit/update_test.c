// What becomes of gradients in a train block: maps of the gradient, several optimizers, optimizers of whole tensors. The
// fused step and the split one give the same bits, with frozen parameters between trained ones and without; hosts
// change hyperparameters by name.
#include "tests/unit/host.h"

enum { ROWS = 8, STEPS = 6 };
static float inputs[ROWS * 4];
static int32_t classes[ROWS];

static gradc_program *compile_net(const char *middle, const char *settings) {
    char text[2048];
    snprintf(text, sizeof text,
             "dim N\n"
             "net mlp(x: f32[N, 4]) -> f32[N, 3] {\n"
             "    use hidden = dense<4, 16, tanh>\n"
             "    use middle = dense<16, 16, relu> %s\n"
             "    use output = dense<16, 3>\n"
             "    return output(middle(hidden(x)))\n"
             "}\n"
             "loss nll(x: f32[N, 4], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
             "optimizer lars(p: float[*], g: float[*], lr: float = 0.1) -> float[*] {\n"
             "    state v: float[*] ~ zeros\n"
             "    v = 0.9 * v + g * norm(p) / (norm(g) + 1e-6)\n"
             "    return p - lr * v\n"
             "}\n"
             "fn centre(g: float[*]) -> float[*] { return g - mean(g) }\n"
             "train nll { %s; batch 8 }\n",
             middle, settings);
    return compile(text);
}

static void bind(gradc_program *program, gradc_trainer *trainer, gradc_call *call) {
    gradc_tensor x = {GRADC_F32, 2, {ROWS, 4}, inputs}, y = {GRADC_I32, 1, {ROWS}, classes};
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_trainer_bind(trainer, 1, &y));
    OK(gradc_call_bind(call, 0, &x));
    OK(gradc_call_bind(call, 1, &y));
}

// The parameters after some steps; free() them.
static float *train(const char *middle, const char *settings, bool split, size_t *bytes) {
    gradc_program *program = compile_net(middle, settings);
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_call *call = create_call(program, "nll");
    bind(program, trainer, call);
    gradc_call_set_training(call, true);
    OK(gradc_initialise(program, 3));
    for (int i = 0; i < STEPS; i++) {
        if (!split) {
            OK(gradc_trainer_step(trainer, NULL));
            continue;
        }
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        OK(gradc_call_backward(call, false));
        OK(gradc_trainer_update(trainer));
    }
    *bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *copy = malloc(*bytes);
    memcpy(copy, gradc_parameters(program), *bytes);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
    return copy;
}

static void test_bits(void) {
    static const char *const settings[] = {
        "optimizer sgd(lr = 0.1); gradient clip_norm(0.1)",
        "optimizer adam; gradient clip_value(0.01), centre, clip_norm(max_norm = 0.05)",
        "optimizer adam; optimizer sgd(lr = 0.5, momentum = 0.9) for \"*.b\"",
        "optimizer adam for \"*.b\"; optimizer lars for \"*.W\"; gradient clip_norm(0.2)",
        "optimizer adamw; optimizer muon(lr = 0.1) for \"mlp.hidden.W\", \"mlp.output.W\"; gradient clip_norm(0.2)",
        "optimizer lars(lr = exponential_decay(iteration, 0.1, 0.9)); gradient clip_value(1)"};
    static const char *const middles[] = {"", "frozen"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        float *results[4];
        size_t bytes = 0;
        for (int k = 0; k < 4; k++) results[k] = train(middles[k / 2], settings[i], k % 2, &bytes);
        for (int k = 0; k < 4; k += 2) {
            if (memcmp(results[k], results[k + 1], bytes) == 0) continue;
            printf("%s: fused and split differ%s\n", settings[i], k ? " with frozen parameters" : "");
            failures++;
        }
        CHECK(memcmp(results[0], results[2], bytes) != 0);
        for (int k = 0; k < 4; k++) free(results[k]);
    }
}

// A clipped gradient's norm is the limit, whatever is frozen.
static void test_clip(void) {
    gradc_program *program = compile_net("frozen", "optimizer sgd(lr = 1); gradient clip_norm(0.01)");
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_call *call = create_call(program, "nll");
    int64_t count = gradc_parameter_elements(program);
    float *parameters = gradc_parameters(program), *before = malloc((size_t)count * sizeof(float));
    double limits[] = {0.01, 0.003}, limit;
    bind(program, trainer, call);
    for (int i = 0; i < 2; i++) {
        double squares = 0;
        OK(gradc_trainer_set(trainer, "max_norm", limits[i]));
        OK(gradc_trainer_get(trainer, "max_norm", &limit));
        CHECK(limit == limits[i]);
        memcpy(before, parameters, (size_t)count * sizeof(float));
        OK(gradc_trainer_step(trainer, NULL));
        for (int64_t k = 0; k < count; k++) squares += pow((double)parameters[k] - (double)before[k], 2);
        CHECK(fabs(sqrt(squares) - limits[i]) < 1e-3 * limits[i]);
    }
    free(before);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
}

// Parameters that changed in a step, by name.
static bool changed(const gradc_program *program, const float *before, const float *after, const char *path) {
    gradc_parameter_info info;
    for (int i = 0; gradc_parameter(program, i, &info); i++)
        if (strcmp(info.path, path) == 0)
            return memcmp(before + info.offset, after + info.offset, (size_t)info.count * sizeof(float)) != 0;
    return false;
}

static void test_names(void) {
    gradc_program *program = compile_net("", "optimizer sgd(lr = 1); optimizer adam(lr = 2) for \"*.b\"; "
                                             "optimizer sgd(lr = 3) for \"mlp.output\"");
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_call *call = create_call(program, "nll");
    gradc_train_info info;
    double value;
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *parameters = gradc_parameters(program), *before = malloc(bytes);
    CHECK(gradc_train_block(program, 0, &info));
    CHECK(strcmp(info.optimizer, "sgd, adam for *.b, sgd for mlp.output") == 0);
    bind(program, trainer, call);
    OK(gradc_trainer_get(trainer, "lr", &value));
    CHECK(value == 1);
    OK(gradc_trainer_get(trainer, "*.b:lr", &value));
    CHECK(value == 2);
    OK(gradc_trainer_get(trainer, "mlp.output:lr", &value));
    CHECK(value == 3);
    OK(gradc_trainer_get(trainer, "beta1", &value));
    CHECK(value == 0.9);
    REFUSED(gradc_trainer_set(trainer, "*.c:lr", 0), GRADC_ARGUMENT, "no hyperparameter '*.c:lr'");
    REFUSED(gradc_trainer_set(trainer, "*.b:momentum", 0), GRADC_ARGUMENT, "no hyperparameter");
    memcpy(before, parameters, bytes);
    OK(gradc_trainer_set(trainer, "lr", 0));
    OK(gradc_trainer_set(trainer, "mlp.output:lr", 0));
    OK(gradc_trainer_step(trainer, NULL));
    CHECK(!changed(program, before, parameters, "mlp.hidden.W") &&
          changed(program, before, parameters, "mlp.hidden.b"));
    CHECK(!changed(program, before, parameters, "mlp.output.W") &&
          !changed(program, before, parameters, "mlp.output.b"));
    free(before);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
}

// What a schedule needs to know and no host has said is an error.
static void test_iterations(void) {
    gradc_program *program = compile_net("", "optimizer sgd(lr = cosine_annealing(iteration, 1, iterations))");
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_call *call = create_call(program, "nll");
    float *parameters = gradc_parameters(program), before[4];
    bind(program, trainer, call);
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_ORDER, "set 'iterations'");
    REFUSED(gradc_trainer_update(trainer), GRADC_ORDER, "set 'iterations'");
    OK(gradc_trainer_set(trainer, "iterations", 3));
    for (int i = 0; i < 4; i++) {
        memcpy(before, parameters, sizeof before);
        OK(gradc_trainer_step(trainer, NULL));
        CHECK((memcmp(before, parameters, sizeof before) != 0) == (i < 3));   // then the rate is 0
    }
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
}

int main(void) {
    for (int i = 0; i < ROWS * 4; i++) inputs[i] = (float)((i * 37 + 11) % 19) / 9 - 1;
    for (int i = 0; i < ROWS; i++) classes[i] = i * i % 3;
    test_bits();
    test_clip();
    test_names();
    test_iterations();
    return failures != 0;
}
