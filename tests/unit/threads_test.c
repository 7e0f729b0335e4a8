// Different programs in different threads at once: each compiles, trains, differentiates, saves and loads as it would
// alone, to the bit. tests/run.sh runs this under ThreadSanitizer, too.
#include "tests/unit/host.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 2, ROWS = 24, COLUMNS = 4, RESULTS = 4096 };

static float inputs[ROWS * COLUMNS];
static int32_t classes[ROWS];
static char folder[] = "/tmp/gradc-threads-XXXXXX";

// One model for each thread; all take x: f32[N, 4] and y: i32[N].
static const char *const models[THREADS] = {
    "dim N\n"
    "net m(x: f32[N, 4]) -> f32[N, 3] {\n"
    "    use hidden = dense<4, 16, relu>\n"
    "    use output = dense<16, 3>\n"
    "    return output(hidden(x))\n"
    "}\n"
    "loss l(x: f32[N, 4], y: i32[N]) { return cross_entropy(m(x), y) }\n"
    "train l { optimizer adam(lr = 0.01); batch 8; gradient clip_norm(1.0) }\n",
    "dim N\n"
    "net m(x: f32[N, 4]) -> f32[N, 3] {\n"
    "    use hidden = dense<4, 8, tanh>\n"
    "    use norm = batch_norm<8>\n"
    "    use output = dense<8, 3>\n"
    "    return output(dropout(norm(hidden(x)), p = 0.5))\n"
    "}\n"
    "loss l(x: f32[N, 4], y: i32[N]) { return cross_entropy(m(x), y) }\n"
    "train l { optimizer sgd(lr = 0.1, momentum = 0.9); batch 8 }\n",
    "dim N\n"
    "net m(x: f32[N, 4]) -> f32[N] {\n"
    "    param W: f32[4] ~ normal\n"
    "    h = zeros(N)\n"
    "    for t in arange(4) { h = sin(h + x @ W) }\n"
    "    return h\n"
    "}\n"
    "loss l(x: f32[N, 4], y: i32[N]) { return mse_loss(m(x), f32(y)) }\n"
    "train l { optimizer rmsprop(lr = 0.01); batch 8 }\n",
    "dim N\n"
    "net m(x: f32[N, 4]) -> f32[N, 3] {\n"
    "    use norm = layer_norm<4>\n"
    "    use output = dense<4, 3>\n"
    "    return output(norm(x))\n"
    "}\n"
    "loss l(x: f32[N, 4], y: i32[N]) { return cross_entropy(m(x), y) + 0.01 * sum(m.output.W^2) }\n"
    "train l { optimizer adamw(lr = 0.01); batch 8 }\n",
};

typedef struct {
    int model;
    char path[64];
    size_t bytes;
    char results[RESULTS];   // all numbers that came out
    char message[400];       // "": all went well
} Work;

static void keep(Work *work, const void *numbers, size_t bytes) {
    if (work->bytes + bytes > RESULTS) bytes = 0;
    memcpy(work->results + work->bytes, numbers, bytes);
    work->bytes += bytes;
}

static gradc_status train(Work *work, gradc_program *program, gradc_trainer *trainer) {
    double losses[9];
    gradc_status status = gradc_trainer_bind_rows(trainer, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, inputs});
    if (!status) status = gradc_trainer_bind_rows(trainer, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes});
    if (!status) status = gradc_trainer_steps(trainer, &(gradc_steps_options){.count = 9, .losses = losses});
    if (status) return status;
    keep(work, losses, sizeof losses);
    keep(work, gradc_parameters(program), (size_t)gradc_parameter_elements(program) * sizeof(float));
    return GRADC_OK;
}

static gradc_status differentiate(Work *work, gradc_program *program, gradc_call *call) {
    gradc_tensor gradient;
    gradc_status status = gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, inputs});
    if (!status) status = gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes});
    if (!status) status = gradc_call_requires_grad(call, 0, true);
    if (!status) status = gradc_call_forward(call);
    if (!status) status = gradc_call_backward(call, false);
    if (!status) status = gradc_call_input_gradient(call, 0, &gradient);
    if (status) return status;
    keep(work, gradient.data, ROWS * COLUMNS * sizeof(float));
    keep(work, gradc_gradients(program), (size_t)gradc_parameter_elements(program) * sizeof(float));
    return GRADC_OK;
}

static gradc_status use(Work *work, gradc_program *program) {
    gradc_trainer *trainer = NULL;
    gradc_call *call = NULL;
    const char *text;
    gradc_status status = gradc_initialise(program, 3);
    if (!status) status = gradc_trainer_create(program, "l", &trainer);
    if (!status) status = train(work, program, trainer);
    if (!status) status = gradc_call_create(program, "l", &call);
    if (!status) status = differentiate(work, program, call);
    if (!status) status = gradc_dump(program, GRADC_STAGE_ASM, "l", GRADC_KIND_VALUE, &text);
    if (!status) status = gradc_derivative(program, "l", &text);
    if (!status) status = gradc_save(program, work->path);
    if (!status) status = gradc_load(program, work->path);
    gradc_call_free(call);
    gradc_trainer_free(trainer);
    return status;
}

static void *work_in_thread(void *argument) {
    Work *work = argument;
    gradc_program *program;
    const char *text = models[work->model];
    gradc_status status = gradc_compile_text("model.grad", text, strlen(text), NULL, &program);
    if (!status) status = use(work, program);
    if (status) snprintf(work->message, sizeof work->message, "%d: %s", status, gradc_message(program));
    gradc_program_free(program);
    // A text with errors, so that diagnostics are made, too.
    if (gradc_compile_text("wrong.grad", "loss l( {", 9, NULL, &program) != GRADC_PROGRAM || !gradc_message(program)[0])
        snprintf(work->message, sizeof work->message, "a wrong text was not refused");
    gradc_program_free(program);
    return NULL;
}

static void begin(Work *work, int thread, int round) {
    *work = (Work){.model = thread};
    snprintf(work->path, sizeof work->path, "%s/%d-%d", folder, thread, round);
}

int main(void) {
    static Work together[ROUNDS][THREADS], alone;
    pthread_t threads[THREADS];
    for (int i = 0; i < ROWS * COLUMNS; i++) inputs[i] = (float)((i * 37 + 11) % 19) / 9 - 1;
    for (int i = 0; i < ROWS; i++) classes[i] = i * i % 3;
    if (!mkdtemp(folder)) return 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) begin(&together[round][i], i, round);
        for (int i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, work_in_thread, &together[round][i])) return 1;
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        begin(&alone, i, ROUNDS);
        work_in_thread(&alone);
        if (alone.message[0]) printf("model %d: %s\n", i, alone.message);
        CHECK(!alone.message[0] && alone.bytes > 400 && alone.bytes < RESULTS);
        for (int round = 0; round < ROUNDS; round++) {
            const Work *work = &together[round][i];
            if (work->message[0]) printf("model %d in a thread: %s\n", i, work->message);
            CHECK(!work->message[0] && work->bytes == alone.bytes);
            CHECK(memcmp(work->results, alone.results, alone.bytes) == 0);
            unlink(work->path);
        }
        unlink(alone.path);
    }
    rmdir(folder);
    return failures != 0;
}
