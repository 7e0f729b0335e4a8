// Many steps in one call, compiling ahead, and compiled functions called by the host itself: all give the bits of
// gradc_trainer_step, and the first allocates nothing from its second call on.
#include "tests/unit/host.h"

enum { ROWS = 22, BATCH = 8, COLUMNS = 4 };
static float inputs[ROWS * COLUMNS];
static int32_t classes[ROWS];
static int64_t order[ROWS];

static void fill(void) {
    for (int i = 0; i < ROWS * COLUMNS; i++) inputs[i] = (float)((i * 37 + 11) % 19) / 9 - 1;
    for (int i = 0; i < ROWS; i++) classes[i] = i * i % 3;
    for (int i = 0; i < ROWS; i++) order[i] = (i * 13 + 5) % ROWS;
}

static long taken;
static void *count_allocate(void *context, size_t bytes) {
    (void)context;
    taken++;
    return aligned_alloc(64, bytes);
}
static void count_release(void *context, void *memory) {
    (void)context;
    free(memory);
}

// A net with what depends on the step: dropout's random numbers, running means, a schedule, momentum.
static const char model[] = "dim N\n"
                            "net mlp(x: f32[N, 4]) -> f32[N, 3] {\n"
                            "    use hidden = dense<4, 16, relu>\n"
                            "    use norm = batch_norm<16>\n"
                            "    use output = dense<16, 3>\n"
                            "    return output(dropout(norm(hidden(x)), p = 0.25))\n"
                            "}\n"
                            "loss nll(x: f32[N, 4], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
                            "train nll {\n"
                            "    optimizer sgd(lr = 0.1 / (1 + 0.1 * iteration), momentum = 0.9, weight_decay = 0.01)\n"
                            "    batch 8\n"
                            "}\n";

typedef struct {
    gradc_program *program;
    gradc_trainer *trainer;
} Training;

static Training begin(const char *text) {
    Training training;
    gradc_options options = {.allocate = count_allocate, .release = count_release};
    if (gradc_compile_text("steps.grad", text, strlen(text), &options, &training.program)) {
        printf("%s\n", gradc_message(training.program));
        exit(1);
    }
    training.trainer = create_trainer(training.program, "nll");
    if (gradc_initialise(training.program, 7)) exit(1);
    return training;
}

static void end(Training training) {
    gradc_trainer_free(training.trainer);
    gradc_program_free(training.program);
}

static void bind_rows(Training training) {
    gradc_program *program = training.program;
    OK(gradc_trainer_bind_rows(training.trainer, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, inputs}));
    OK(gradc_trainer_bind_rows(training.trainer, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes}));
}

// One step of gradc_trainer_step with these rows.
static double step_of(Training training, const int64_t *rows, int64_t begins, int64_t count) {
    gradc_program *program = training.program;
    static float x[ROWS * COLUMNS];
    static int32_t y[ROWS];
    double loss = NAN;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[begins + i] : begins + i;
        memcpy(x + i * COLUMNS, inputs + row * COLUMNS, COLUMNS * sizeof *x);
        y[i] = classes[row];
    }
    OK(gradc_trainer_bind(training.trainer, 0, &(gradc_tensor){GRADC_F32, 2, {count, COLUMNS}, x}));
    OK(gradc_trainer_bind(training.trainer, 1, &(gradc_tensor){GRADC_I32, 1, {count}, y}));
    OK(gradc_trainer_step(training.trainer, &loss));
    return loss;
}

static bool same_state(gradc_program *a, gradc_program *b) {
    size_t parameters = (size_t)gradc_parameter_elements(a) * sizeof(float);
    gradc_state_info state;
    size_t states = 0;
    for (int i = 0; gradc_state(a, i, &state); i++) states += (size_t)state.count * sizeof(float);
    return memcmp(gradc_parameters(a), gradc_parameters(b), parameters) == 0 && states > 0 &&
           memcmp(gradc_states(a), gradc_states(b), states) == 0;
}

// ---- k steps are so many steps

static void test_same_bits(const int64_t *rows) {
    enum { STEPS = 10 };
    Training one = begin(model), many = begin(model);
    gradc_program *program = many.program;
    double losses[STEPS], expected[STEPS];
    for (int64_t i = 0, at = 0; i < STEPS; i++) {
        int64_t count = ROWS - at < BATCH ? ROWS - at : BATCH;
        expected[i] = step_of(one, rows, at, count);
        at = (at + count) % ROWS;
    }
    bind_rows(many);
    int64_t position = 0;
    gradc_steps_options options = {
        .count = 4, .order = rows, .order_count = rows ? ROWS : 0, .position = &position, .losses = losses};
    OK(gradc_trainer_steps(many.trainer, &options));
    CHECK(position == BATCH && gradc_trainer_iteration(many.trainer) == 4);
    long before = taken;
    for (int i = 4; i < STEPS; i += 3) {
        options.count = 3;
        options.losses = losses + i;
        OK(gradc_trainer_steps(many.trainer, &options));
    }
    CHECK(taken == before);
    CHECK(position == 4 % 3 * BATCH && gradc_trainer_iteration(many.trainer) == STEPS);
    CHECK(memcmp(losses, expected, sizeof losses) == 0);
    CHECK(losses[0] != losses[3] && same_state(one.program, many.program));
    end(one);
    end(many);
}

// The same inputs in every step, and a loss without any.
static void test_shared_inputs(void) {
    Training one = begin(model), many = begin(model);
    gradc_program *program = many.program;
    for (int i = 0; i < 3; i++) step_of(one, NULL, 0, ROWS);
    OK(gradc_trainer_bind(many.trainer, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, inputs}));
    OK(gradc_trainer_bind(many.trainer, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes}));
    OK(gradc_trainer_steps(many.trainer, &(gradc_steps_options){.count = 3}));
    CHECK(same_state(one.program, many.program));
    end(one);
    end(many);

    Training bare = begin("net n() -> f32 { param w: f32 ~ ones; return w }\n"
                          "loss nll() { return n()^2 }\n"
                          "train nll { optimizer sgd(lr = 0.25) }\n");
    program = bare.program;
    OK(gradc_trainer_steps(bare.trainer, &(gradc_steps_options){.count = 3}));
    CHECK(*(float *)gradc_parameters(program) == 0.125f && gradc_trainer_iteration(bare.trainer) == 3);
    end(bare);
}

// ---- what does not fit

static void test_refusals(void) {
    Training training = begin(model);
    gradc_program *program = training.program;
    gradc_trainer *trainer = training.trainer;
    double losses[4];
    int64_t position = 0, wrong[] = {0, 1, ROWS};
    gradc_tensor x = {GRADC_F32, 2, {ROWS, COLUMNS}, inputs}, y = {GRADC_I32, 1, {ROWS - 1}, classes};
    gradc_steps_options options = {.count = 4, .position = &position, .losses = losses};
    REFUSED(gradc_trainer_bind_rows(trainer, 2, &x), GRADC_ARGUMENT, "no input number 2");
    REFUSED(gradc_trainer_bind_rows(trainer, 1, &x), GRADC_ARGUMENT, "input 'y' of nll is i32[N]");
    OK(gradc_trainer_bind_rows(trainer, 0, &x));
    REFUSED(gradc_trainer_steps(trainer, &options), GRADC_ORDER, "input 'y' of nll, i32[N], is not bound");
    OK(gradc_trainer_bind_rows(trainer, 1, &y));
    REFUSED(gradc_trainer_steps(trainer, &options), GRADC_ARGUMENT, "bound to 22 rows, but 'y' to 21");
    bind_rows(training);
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_ORDER, "is bound to the rows of gradc_trainer_steps");
    position = ROWS + 1;
    REFUSED(gradc_trainer_steps(trainer, &options), GRADC_ARGUMENT, "begin at position 23 of 22");
    CHECK(position == ROWS + 1);
    int64_t few[] = {2, 1, 0};   // all of them in one step, and no more room than for them
    OK(gradc_trainer_steps(
        trainer, &(gradc_steps_options){.count = 1, .batch = INT64_C(1) << 62, .order = few, .order_count = 3}));
    position = ROWS;
    OK(gradc_trainer_steps(trainer, &options));
    CHECK(position == BATCH);
    options.order = wrong;
    options.order_count = 3;
    position = 0;
    REFUSED(gradc_trainer_steps(trainer, &options), GRADC_ARGUMENT, "row 22 at position 2, but rows are from 0 to 21");
    options.order = order;
    options.order_count = ROWS;
    classes[order[10]] = 3;
    int64_t before = gradc_trainer_iteration(trainer);
    char row[40];
    snprintf(row, sizeof row, "3, in row %d, is out of bounds", (int)order[10]);
    REFUSED(gradc_trainer_steps(trainer, &options), GRADC_DATA, row);
    CHECK(gradc_trainer_iteration(trainer) == before + 1 && position == BATCH);
    fill();
    inputs[0] = INFINITY;
    REFUSED(gradc_trainer_steps(trainer, &(gradc_steps_options){.count = 4}), GRADC_NUMBER, "at iteration");
    CHECK(gradc_trainer_iteration(trainer) == before + 2);
    fill();
    REFUSED(gradc_trainer_steps(trainer, &(gradc_steps_options){.count = -1}), GRADC_ARGUMENT, "cannot be negative");
    OK(gradc_trainer_steps(trainer, &(gradc_steps_options){.count = 0}));
    end(training);
}

// A program for 8 rows at a time.
static void test_fixed_batch(void) {
    Training training = begin("loss nll(x: f32[8], t: f32) { return sum((net1(x) - t)^2) }\n"
                              "net net1(x: f32[8]) -> f32[8] { param w: f32 ~ ones; return w * x }\n"
                              "train nll { optimizer sgd(lr = 0.001); batch 8 }\n");
    gradc_program *program = training.program;
    float target = 2;
    gradc_tensor number = {GRADC_F32, 0, {0}, &target};
    OK(gradc_trainer_bind_rows(training.trainer, 0, &(gradc_tensor){GRADC_F32, 1, {ROWS}, inputs}));
    REFUSED(gradc_trainer_bind_rows(training.trainer, 1, &number), GRADC_ARGUMENT, "has no rows");
    OK(gradc_trainer_bind(training.trainer, 1, &number));
    gradc_steps_options options = {.count = 2};
    REFUSED(gradc_trainer_steps(training.trainer, &options), GRADC_ARGUMENT,
            "takes 8 rows: steps of 8 rows through 22 do not fit");
    OK(gradc_trainer_bind_rows(training.trainer, 0, &(gradc_tensor){GRADC_F32, 1, {16}, inputs}));
    OK(gradc_trainer_steps(training.trainer, &options));
    options.batch = 4;
    REFUSED(gradc_trainer_steps(training.trainer, &options), GRADC_ARGUMENT, "takes 8 rows: steps of 4 rows");
    CHECK(gradc_trainer_iteration(training.trainer) == 2);
    end(training);
}

// ---- compiling ahead

static double machine_code(const gradc_program *program) {
    gradc_timings timings;
    gradc_get_timings(program, &timings);
    return timings.machine_code;
}

static void test_compile_ahead(void) {
    Training training = begin(model);
    gradc_program *program = training.program;
    gradc_call *call = create_call(program, "nll"), *net = create_call(program, "mlp");
    REFUSED(gradc_trainer_compile(training.trainer, GRADC_KIND_VALUE), GRADC_ARGUMENT, "step and update");
    REFUSED(gradc_call_compile(call, GRADC_KIND_STEP), GRADC_ARGUMENT, "value, forward and backward");
    REFUSED(gradc_call_compile(net, GRADC_KIND_BACKWARD), GRADC_ARGUMENT, "scalar outputs");
    OK(gradc_trainer_compile(training.trainer, GRADC_KIND_STEP));
    OK(gradc_trainer_compile(training.trainer, GRADC_KIND_UPDATE));
    OK(gradc_call_compile(call, GRADC_KIND_VALUE));
    OK(gradc_call_requires_grad(call, 0, true));
    gradc_call_set_training(call, true);
    OK(gradc_call_compile(call, GRADC_KIND_FORWARD));
    OK(gradc_call_compile(call, GRADC_KIND_BACKWARD));
    double compiled = machine_code(program);
    CHECK(compiled > 0);
    step_of(training, NULL, 0, BATCH);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, COLUMNS}, inputs}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {ROWS}, classes}));
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    OK(gradc_trainer_update(training.trainer));
    gradc_call_set_training(call, false);
    OK(gradc_call_value(call));
    CHECK(machine_code(program) == compiled);
    gradc_call_free(call);
    gradc_call_free(net);
    end(training);
}

// ---- the functions themselves

static void test_step_function(void) {
    Training one = begin(model), raw = begin(model);
    gradc_program *program = raw.program;
    gradc_function *step;
    gradc_frame frame;
    for (int i = 0; i < 5; i++) step_of(one, NULL, i, BATCH);
    REFUSED(gradc_trainer_function(raw.trainer, GRADC_KIND_STEP, &step, &frame), GRADC_ORDER, "is not bound");
    REFUSED(gradc_trainer_function(raw.trainer, GRADC_KIND_VALUE, &step, &frame), GRADC_ARGUMENT, "step and update");
    bind_rows(raw);
    REFUSED(gradc_trainer_function(raw.trainer, GRADC_KIND_STEP, &step, &frame), GRADC_ORDER, "bind it to one batch");
    OK(gradc_trainer_bind(raw.trainer, 0, &(gradc_tensor){GRADC_F32, 2, {BATCH, COLUMNS}, inputs}));
    OK(gradc_trainer_bind(raw.trainer, 1, &(gradc_tensor){GRADC_I32, 1, {BATCH}, classes}));
    OK(gradc_trainer_function(raw.trainer, GRADC_KIND_STEP, &step, &frame));
    long before = taken;
    for (int i = 0; i < 5; i++) {
        const void *batch[] = {inputs + i * COLUMNS, classes + i};
        frame.inputs = batch;
        CHECK(step(&frame) == 0);
        CHECK(isfinite(*(float *)frame.outputs[0]));
        frame.draw_count++;
        gradc_trainer_advance(raw.trainer, 1);
    }
    CHECK(taken == before && gradc_trainer_iteration(raw.trainer) == 5);
    CHECK(same_state(one.program, raw.program));
    end(one);
    end(raw);
}

static void test_call_functions(void) {
    Training training = begin(model);
    gradc_program *program = training.program;
    gradc_call *call = create_call(program, "nll");
    gradc_function *forward, *backward;
    gradc_frame ahead, back;
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *expected = malloc(bytes), x_gradient[BATCH * COLUMNS];
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {BATCH, COLUMNS}, inputs}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {BATCH}, classes}));
    OK(gradc_call_requires_grad(call, 0, true));
    gradc_tensor gradient;
    OK(gradc_call_forward(call));
    OK(gradc_call_grad(call, expected, false));
    OK(gradc_call_input_gradient(call, 0, &gradient));
    memcpy(x_gradient, gradient.data, sizeof x_gradient);
    float loss = number(call);

    OK(gradc_call_function(call, GRADC_KIND_FORWARD, &forward, &ahead));
    OK(gradc_call_function(call, GRADC_KIND_BACKWARD, &backward, &back));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "needs a forward");
    for (int i = 1; i <= 2; i++) {
        CHECK(forward(&ahead) == 0 && *(float *)ahead.outputs[0] == loss);
        CHECK(backward(&back) == 0 && memcmp(back.outputs[0], x_gradient, sizeof x_gradient) == 0);
        const float *stored = gradc_gradients(program);
        for (size_t k = 0; k < bytes / sizeof(float); k++) CHECK(stored[k] == (float)i * expected[k]);
    }
    int32_t class = 3;
    const void *arrays[] = {inputs, classes};
    memcpy(&classes[2], &class, sizeof class);
    ahead.inputs = arrays;
    REFUSED(gradc_call_forward(call), GRADC_DATA, "position 2");
    fill();
    free(expected);
    gradc_call_free(call);
    end(training);
}

int main(void) {
    fill();
    test_same_bits(NULL);
    test_same_bits(order);
    test_shared_inputs();
    test_refusals();
    test_fixed_batch();
    test_compile_ahead();
    test_step_function();
    test_call_functions();
    return failures != 0;
}
