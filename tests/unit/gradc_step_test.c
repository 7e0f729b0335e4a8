// Training through the C interface: split and fused steps give the same bits and allocate nothing, for any vector
// width; hyperparameters, seeds, frozen parameters, states, class numbers.
#include "tests/unit/host.h"

// Counts allocations, except under AddressSanitizer, which has its own malloc.
static long allocations;
#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}
#endif

// ---- training steps

enum { ROWS = 8, STEPS = 20 };
static float inputs[ROWS * 4];
static int32_t classes[ROWS];

static void fill_inputs(void) {
    for (int i = 0; i < ROWS * 4; i++) inputs[i] = (float)((i * 37 + 11) % 19) / 9 - 1;
    for (int i = 0; i < ROWS; i++) classes[i] = i * i % 3;
}

// Runs the steps; `split`: by forward, backward and update. Copies the parameters.
static void *train(bool split, double losses[STEPS]) {
    gradc_program *program = compile(net_model);
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_call *call = create_call(program, "nll");
    gradc_tensor x = {GRADC_F32, 2, {ROWS, 4}, inputs}, y = {GRADC_I32, 1, {ROWS}, classes};
    OK(gradc_initialise(program, 7));
    gradc_call_set_training(call, true);
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_trainer_bind(trainer, 1, &y));
    OK(gradc_call_bind(call, 0, &x));
    OK(gradc_call_bind(call, 1, &y));
    long before = 0;
    for (int i = 0; i < STEPS; i++) {
        if (i == 1) before = allocations;
        if (!split) {
            OK(gradc_trainer_step(trainer, &losses[i]));
            continue;
        }
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        losses[i] = number(call);
        OK(gradc_call_backward(call, false));
        OK(gradc_trainer_update(trainer));
    }
    CHECK(allocations == before);
    CHECK(gradc_trainer_iteration(trainer) == STEPS);
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    void *copy = malloc(bytes);
    memcpy(copy, gradc_parameters(program), bytes);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
    return copy;
}

static void test_steps(void) {
    double fused_losses[STEPS], split_losses[STEPS];
    fill_inputs();
    void *fused = train(false, fused_losses), *split = train(true, split_losses);
    CHECK(memcmp(fused, split, (4 * 16 + 16 + 16 * 3 + 3) * sizeof(float)) == 0);
    CHECK(memcmp(fused_losses, split_losses, sizeof fused_losses) == 0);
    CHECK(fused_losses[STEPS - 1] < fused_losses[0]);
    free(fused);
    free(split);
}

static void test_hyperparameters(void) {
    gradc_program *program = compile(net_model);
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_tensor x = {GRADC_F32, 2, {ROWS, 4}, inputs}, y = {GRADC_I32, 1, {ROWS}, classes};
    double value = 0;
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_ORDER, "is not bound");
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_trainer_bind(trainer, 1, &y));
    OK(gradc_trainer_get(trainer, "lr", &value));
    CHECK(value == 0.01);
    REFUSED(gradc_trainer_set(trainer, "momentum", 1), GRADC_ARGUMENT, "no hyperparameter 'momentum'");
    REFUSED(gradc_trainer_set(trainer, "iteration", 1), GRADC_ARGUMENT, "no hyperparameter 'iteration'");
    OK(gradc_trainer_set(trainer, "lr", 0));
    void *before = malloc(bytes);
    memcpy(before, gradc_parameters(program), bytes);
    OK(gradc_trainer_step(trainer, NULL));
    CHECK(memcmp(before, gradc_parameters(program), bytes) == 0);
    OK(gradc_trainer_set(trainer, "lr", 0.1));
    OK(gradc_trainer_step(trainer, NULL));
    CHECK(memcmp(before, gradc_parameters(program), bytes) != 0);
    free(before);
    inputs[0] = INFINITY;
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_NUMBER, "at iteration 3: input 'x' has inf at position 0");
    fill_inputs();
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

static void test_seeds(void) {
    gradc_program *program = compile(net_model);
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    void *first = malloc(bytes);
    OK(gradc_initialise(program, 1));
    memcpy(first, gradc_parameters(program), bytes);
    OK(gradc_initialise(program, 2));
    CHECK(memcmp(first, gradc_parameters(program), bytes) != 0);
    OK(gradc_initialise(program, 1));
    CHECK(memcmp(first, gradc_parameters(program), bytes) == 0);
    free(first);
    gradc_program_free(program);
}

// ---- what else a step may do

// The parameters after some steps with vectors of this width; free() them.
static void *trained_with(int vector_bytes, size_t *bytes) {
    gradc_program *program;
    gradc_options options = {.vector_bytes = vector_bytes};
    if (gradc_compile_text("test.grad", net_model, strlen(net_model), &options, &program)) exit(1);
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_tensor x = {GRADC_F32, 2, {ROWS, 4}, inputs}, y = {GRADC_I32, 1, {ROWS}, classes};
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_trainer_bind(trainer, 1, &y));
    for (int i = 0; i < 5; i++) OK(gradc_trainer_step(trainer, NULL));
    *bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    void *copy = malloc(*bytes);
    memcpy(copy, gradc_parameters(program), *bytes);
    gradc_trainer_free(trainer);
    gradc_program_free(program);
    return copy;
}

static void test_vector_widths(void) {
    size_t bytes, other;
    void *first = trained_with(0, &bytes);
    for (int width = 16; width <= 64; width *= 2) {
        void *again = trained_with(width, &other);
        CHECK(bytes == other && memcmp(first, again, bytes) == 0);
        free(again);
    }
    free(first);
}

// Frozen parameters lie between trained ones: no optimizer touches them, weight decay neither.
static void test_frozen(void) {
    gradc_program *program = compile("dim N\n"
                                     "net line(x: f32[N]) -> f32[N] {\n"
                                     "    param a: f32 ~ ones\n"
                                     "    param fixed: f32 frozen ~ ones\n"
                                     "    param b: f32 ~ ones\n"
                                     "    return a * x + fixed * x + b\n"
                                     "}\n"
                                     "loss squared(x: f32[N], y: f32[N]) { return sum((y - line(x))^2) }\n"
                                     "train squared { optimizer sgd(lr = 0.125, weight_decay = 0.5); batch 2 }\n");
    gradc_trainer *trainer = create_trainer(program, "squared");
    gradc_call *call = create_call(program, "squared");
    float x[] = {1, 2}, y[] = {3, 3}, *parameters = gradc_parameters(program);
    gradc_parameter_info info;
    CHECK(gradc_parameter(program, 1, &info) && info.frozen && strcmp(info.path, "line.fixed") == 0);
    OK(gradc_trainer_bind(trainer, 0, &(gradc_tensor){GRADC_F32, 1, {2}, x}));
    OK(gradc_trainer_bind(trainer, 1, &(gradc_tensor){GRADC_F32, 1, {2}, y}));
    // Residuals 0 and -2: d/da = 2 * 2 * 2 = 8, d/db = 4, and decay adds half of each parameter.
    OK(gradc_trainer_step(trainer, NULL));
    CHECK(parameters[0] == 1 - 0.125f * 8.5f && parameters[1] == 1 && parameters[2] == 1 - 0.125f * 4.5f);
    OK(gradc_initialise(program, 0));
    bind_line(program, call, x, y, 2);
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    CHECK(((float *)gradc_gradients(program))[1] == 0);
    OK(gradc_trainer_update(trainer));
    CHECK(parameters[0] == 1 - 0.125f * 8.5f && parameters[1] == 1 && parameters[2] == 1 - 0.125f * 4.5f);
    gradc_call_free(call);
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

// A state is stored by training steps, and by hand after a forward in training mode; never by a forward in eval mode.
static void test_states(void) {
    gradc_program *program = compile("dim N\n"
                                     "net centre(x: f32[N]) -> f32[N] {\n"
                                     "    param w: f32 ~ ones\n"
                                     "    state mu: f32 ~ zeros\n"
                                     "    m = mean(x)\n"
                                     "    shift = where(training, m, mu)\n"
                                     "    mu = 0.5 * mu + 0.5 * m\n"
                                     "    return w * (x - shift)\n"
                                     "}\n"
                                     "loss power(x: f32[N]) { return sum(centre(x)^2) }\n"
                                     "train power { optimizer sgd(lr = 0); batch 2 }\n");
    gradc_call *call = create_call(program, "power");
    gradc_trainer *trainer = create_trainer(program, "power");
    float x[] = {1, 3};
    gradc_tensor array = {GRADC_F32, 1, {2}, x};
    double loss = 0;
    OK(gradc_call_bind(call, 0, &array));
    OK(gradc_trainer_bind(trainer, 0, &array));
    OK(gradc_call_forward(call));
    CHECK(number(call) == 10);   // mu is 0
    REFUSED(gradc_call_store_states(call), GRADC_ORDER, "training mode");
    gradc_call_set_training(call, true);
    OK(gradc_call_forward(call));
    CHECK(number(call) == 2);   // the batch's mean, 2
    gradc_call_set_training(call, false);
    OK(gradc_call_value(call));
    CHECK(number(call) == 10);   // nothing was stored
    gradc_call_set_training(call, true);
    OK(gradc_call_forward(call));
    OK(gradc_call_store_states(call));   // mu is 1
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "modified by an inplace operation");
    gradc_call_set_training(call, false);
    OK(gradc_call_value(call));
    CHECK(number(call) == 4);
    OK(gradc_trainer_step(trainer, &loss));   // mu is 1.5
    CHECK(loss == 2);
    OK(gradc_call_value(call));
    CHECK(number(call) == 2.5f);
    OK(gradc_initialise(program, 0));
    OK(gradc_call_value(call));
    CHECK(number(call) == 10);
    gradc_call_free(call);
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

// ---- what no kernel should see, and gradients that do not exist

static void test_class_numbers(void) {
    gradc_program *program = compile(net_model);
    gradc_call *call = create_call(program, "nll");
    gradc_trainer *trainer = create_trainer(program, "nll");
    gradc_tensor x = {GRADC_F32, 2, {ROWS, 4}, inputs}, y = {GRADC_I32, 1, {ROWS}, classes};
    float before = *(float *)gradc_parameters(program);
    OK(gradc_call_bind(call, 0, &x));
    OK(gradc_call_bind(call, 1, &y));
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_trainer_bind(trainer, 1, &y));
    classes[5] = 3;
    REFUSED(gradc_call_forward(call), GRADC_DATA, "input 'y' of nll: 3, at position 5, is out of bounds");
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "needs a forward");
    classes[5] = -1;
    REFUSED(gradc_call_value(call), GRADC_DATA, "-1, at position 5");
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_DATA, "-1, at position 5");
    CHECK(*(float *)gradc_parameters(program) == before && gradc_trainer_iteration(trainer) == 0);
    fill_inputs();
    OK(gradc_trainer_step(trainer, NULL));
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
}

// Class numbers that the program computes are looked at when it runs: what no class has is no silent zero.
static void test_computed_classes(void) {
    gradc_program *program = compile("dim N\n"
                                     "loss l(x: f32[N, 3], y: i32[N]) { return cross_entropy(x, y + 1) }\n"
                                     "fn hot(y: i32[N]) { return one_hot(y * y, 5), one_hot(y % 5, 5) }\n"
                                     "fn top(x: f32[N, 3]) { return one_hot(argmax(x, axis = 1), 3) }\n");
    gradc_call *call = create_call(program, "l"), *hot = create_call(program, "hot");
    float x[] = {0, 1, 2, 3, 4, 5};
    int32_t y[] = {1, 0};
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {2, 3}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {2}, y}));
    OK(gradc_call_bind(hot, 0, &(gradc_tensor){GRADC_I32, 1, {2}, y}));
    OK(gradc_call_value(call));
    OK(gradc_call_value(hot));
    y[1] = 2;
    REFUSED(gradc_call_value(call), GRADC_DATA, "index 3 is out of bounds, at position 1");
    REFUSED(gradc_call_forward(call), GRADC_DATA, "index 3 is out of bounds, at position 1");
    OK(gradc_call_value(hot));
    y[0] = -3;
    REFUSED(gradc_call_value(call), GRADC_DATA, "index -2 is out of bounds, at position 0");
    REFUSED(gradc_call_value(hot), GRADC_DATA, "index 9 is out of bounds, at position 0");
    gradc_call_free(call);
    gradc_call_free(hot);
    gradc_program_free(program);
}

int main(void) {
    fill_inputs();
    test_steps();
    test_hyperparameters();
    test_seeds();
    test_vector_widths();
    test_frozen();
    test_states();
    test_class_numbers();
    test_computed_classes();
    return failures != 0;
}
