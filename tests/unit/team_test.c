// The same bits for any number of threads: whole training steps, values and gradients of programs that are large enough
// to be shared, for sizes that are worth a team and sizes that are not, in turn.
#include "tests/unit/host.h"
#include "runtime/internal.h"

static const char text[] = "dim N\n"
                           "net mlp(x: f32[N, 300]) -> f32[N, 10] {\n"
                           "    use hidden = dense<300, 130, tanh>\n"
                           "    use output = dense<130, 10>\n"
                           "    return output(dropout(hidden(x), p = 0.25))\n"
                           "}\n"
                           "loss nll(x: f32[N, 300], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
                           "train nll { optimizer adam(lr = 1e-2); batch 512 }\n"
                           "fn rows(x: f32[N, 300]) -> f32[N, 300] { return softmax(cumsum(sin(x), axis = 1)) }\n"
                           "fn order(x: f32[N, 300]) -> f32[N, 300] { return sort(x, axis = 1) }\n";

enum { ROWS = 2000, COLUMNS = 300 };
static float x[ROWS][COLUMNS];
static int32_t y[ROWS];

static gradc_program *compile_for(int threads) {
    gradc_program *program;
    gradc_options options = {.threads = threads};
    gradc_status status = gradc_compile_text("threads", text, strlen(text), &options, &program);
    if (status) printf("%s\n%s\n", gradc_message(program), gradc_diagnostics(program, false));
    CHECK(!status);
    return program;
}

// Steps with many rows, few, none, and many again.
static void train(gradc_program *program) {
    static const int64_t sizes[] = {512, 3, ROWS, 0, 1, 600};
    gradc_trainer *trainer;
    CHECK(!gradc_initialise(program, 5) && !gradc_trainer_create(program, "nll", &trainer));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK(!gradc_trainer_bind(trainer, 0, &(gradc_tensor){GRADC_F32, 2, {sizes[i], COLUMNS}, x}));
        CHECK(!gradc_trainer_bind(trainer, 1, &(gradc_tensor){GRADC_I32, 1, {sizes[i]}, y}));
        gradc_status status = gradc_trainer_step(trainer, NULL);
        CHECK(sizes[i] ? !status : status == GRADC_NUMBER);   // the mean of no rows
        if (!sizes[i]) CHECK(!gradc_initialise(program, 6));
    }
    gradc_trainer_free(trainer);
}

static void *value(gradc_program *program, const char *entry, size_t *size) {
    gradc_call *call;
    gradc_tensor output;
    CHECK(!gradc_call_create(program, entry, &call));
    CHECK(!gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, x}));
    CHECK(!gradc_call_value(call) && !gradc_call_output(call, 0, &output));
    *size = (size_t)output.shape[0] * (size_t)output.shape[1] * sizeof(float);
    void *copy = malloc(*size);
    if (copy) memcpy(copy, output.data, *size);
    gradc_call_free(call);
    return copy;
}

static void backward(gradc_program *program) {
    gradc_call *call;
    gradc_zero_grad(program);
    CHECK(!gradc_call_create(program, "nll", &call));
    CHECK(!gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, x}));
    CHECK(!gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, y}));
    gradc_call_set_training(call, true);
    CHECK(!gradc_call_forward(call) && !gradc_call_backward(call, false));
    gradc_call_free(call);
}

static void compare(gradc_program *alone, gradc_program *shared, int threads) {
    size_t bytes = (size_t)gradc_parameter_elements(alone) * sizeof(float);
    train(shared);
    if (memcmp(gradc_parameters(alone), gradc_parameters(shared), bytes) != 0)
        printf("%d threads: other parameters\n", threads), failures++;
    backward(alone);
    backward(shared);
    if (memcmp(gradc_gradients(alone), gradc_gradients(shared), bytes) != 0)
        printf("%d threads: other gradients\n", threads), failures++;
    static const char *const entries[] = {"rows", "order"};
    for (int i = 0; i < 2; i++) {
        size_t size, other_size;
        void *expected = value(alone, entries[i], &size), *actual = value(shared, entries[i], &other_size);
        CHECK(size == other_size && expected && actual && memcmp(expected, actual, size) == 0);
        free(expected);
        free(actual);
    }
    CHECK(threads == 1 || shared->team);   // the test is about something
}

// The index that is reported lies in the part of another worker than the first.
static void check_fault(gradc_program *program) {
    gradc_call *call;
    y[ROWS - 1] = 77;
    CHECK(!gradc_call_create(program, "nll", &call));
    CHECK(!gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, x}));
    CHECK(!gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, y}));
    CHECK(gradc_call_value(call) == GRADC_DATA && strstr(gradc_message(program), "77"));
    y[ROWS - 1] = 7;
    CHECK(!gradc_call_value(call));
    gradc_call_free(call);
}

int main(void) {
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < COLUMNS; k++) x[i][k] = (float)((i * 31 + k * 17) % 101 - 50) / 40;
        y[i] = i % 10;
    }
    gradc_program *alone = compile_for(1);
    train(alone);
    CHECK(!alone->team);
    static const int counts[] = {1, 2, 3, 8};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        gradc_program *shared = compile_for(counts[i]);
        compare(alone, shared, counts[i]);
        check_fault(shared);
        gradc_program_free(shared);
        train(alone);
    }
    gradc_program_free(alone);
    gradc_program *refused;
    CHECK(gradc_compile_text("many", text, strlen(text), &(gradc_options){.threads = -1}, &refused) == GRADC_ARGUMENT);
    gradc_program_free(refused);
    return failures != 0;
}
