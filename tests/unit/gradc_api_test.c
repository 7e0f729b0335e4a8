// The C interface: what autograd promises to a host (tracking before the forward, accumulating, returning, releasing),
// shapes, and that split and fused steps give the same bits without allocating.
#include "runtime/gradc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

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

static gradc_program *compile(const char *text) {
    gradc_program *program;
    gradc_options options = {.verify = true};
    if (gradc_compile_text("test.grad", text, strlen(text), &options, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

static gradc_call *create_call(gradc_program *program, const char *entry) {
    gradc_call *call;
    if (gradc_call_create(program, entry, &call) == GRADC_OK) return call;
    printf("%s\n", gradc_message(program));
    exit(1);
}

static gradc_trainer *create_trainer(gradc_program *program, const char *loss) {
    gradc_trainer *trainer;
    if (gradc_trainer_create(program, loss, &trainer) == GRADC_OK) return trainer;
    printf("%s\n", gradc_message(program));
    exit(1);
}

static void check_ok(int line, const gradc_program *program, gradc_status status) {
    if (status == GRADC_OK) return;
    printf("line %d: %s\n", line, gradc_message(program));
    failures++;
}
#define OK(call) check_ok(__LINE__, program, call)

// The call fails with this status and a message that has these words.
static void check_refused(int line, const gradc_program *program, gradc_status found, gradc_status status,
                          const char *words) {
    if (found == status && strstr(gradc_message(program), words)) return;
    printf("line %d: status %d, \"%s\" instead of status %d, \"%s\"\n", line, found, gradc_message(program), status,
           words);
    failures++;
}
#define REFUSED(call, status, words) check_refused(__LINE__, program, call, status, words)

static float number(gradc_call *call) {
    gradc_tensor output;
    if (gradc_call_output(call, 0, &output) || output.rank || output.dtype != GRADC_F32) return NAN;
    return *(float *)output.data;
}

static float input_gradient(gradc_call *call, int input) {
    gradc_tensor gradient;
    if (gradc_call_input_gradient(call, input, &gradient) || gradient.rank) return NAN;
    return *(float *)gradient.data;
}

// ---- the note's lesson: (y - w x)^2 at x = 1, w = 2, y = 1 is 1, and its gradient by w is 2

static void test_tracking(void) {
    gradc_program *program = compile("loss squared(w: f32, x: f32, y: f32) { return (y - w * x)^2 }\n");
    gradc_call *call = create_call(program, "squared");
    float w = 2, x = 1, y = 1;
    gradc_tensor gradient;
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "backward needs a forward");
    REFUSED(gradc_call_forward(call), GRADC_ORDER, "input 'w' of squared, f32, is not bound");
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 0, {0}, &w}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 0, {0}, &x}));
    OK(gradc_call_bind(call, gradc_call_input(call, "y"), &(gradc_tensor){GRADC_F32, 0, {0}, &y}));
    OK(gradc_call_forward(call));
    CHECK(number(call) == 1);
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "does not require grad");
    OK(gradc_call_requires_grad(call, 0, true));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "does not require grad");
    OK(gradc_call_value(call));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "gradc_call_forward, then backward");
    OK(gradc_call_forward(call));
    REFUSED(gradc_call_input_gradient(call, 0, &gradient), GRADC_ORDER, "'w' of squared does not require grad");
    OK(gradc_call_backward(call, false));
    CHECK(input_gradient(call, 0) == 2);
    REFUSED(gradc_call_input_gradient(call, 1, &gradient), GRADC_ORDER, "'x' of squared does not require grad");
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "a second time");
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, true));
    CHECK(input_gradient(call, 0) == 4);
    OK(gradc_call_backward(call, true));
    CHECK(input_gradient(call, 0) == 6);
    gradc_call_zero_grad(call);
    CHECK(input_gradient(call, 0) == 0);
    OK(gradc_call_grad(call, NULL, false));
    CHECK(input_gradient(call, 0) == 2);
    REFUSED(gradc_call_grad(call, NULL, false), GRADC_ORDER, "retain_graph");
    float other = 3;
    OK(gradc_call_forward(call));
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 0, {0}, &other}));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "bound anew");
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- parameters

static const char line_model[] = "dim N\n"
                                 "net line(x: f32[N]) -> f32[N] {\n"
                                 "    param w: f32 ~ ones\n"
                                 "    param b: f32 ~ zeros\n"
                                 "    return w * x + b\n"
                                 "}\n"
                                 "loss squared(x: f32[N], y: f32[N]) { return sum((y - line(x))^2) }\n"
                                 "fn twice(x: f32[N]) -> f32[N] { return 2 * x }\n"
                                 "train squared { optimizer sgd(lr = 0.125); batch 4; epochs 1 }\n";

static void bind_line(gradc_program *program, gradc_call *call, float *x, float *y, int64_t count) {
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {count}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {count}, y}));
}

static void test_parameters(void) {
    gradc_program *program = compile(line_model);
    gradc_call *call = create_call(program, "squared");
    float x[] = {1, 2}, y[] = {3, 3}, returned[2];
    CHECK(gradc_parameter_elements(program) == 2 && gradc_parameter_dtype(program) == GRADC_F32);
    float *parameters = gradc_parameters(program), *gradients = gradc_gradients(program);
    CHECK(parameters[0] == 1 && parameters[1] == 0 && gradients[0] == 0);
    bind_line(program, call, x, y, 2);
    OK(gradc_call_forward(call));
    CHECK(number(call) == 5);   // residuals 2 and 1
    OK(gradc_call_backward(call, true));
    CHECK(gradients[0] == -8 && gradients[1] == -6);
    OK(gradc_call_backward(call, true));
    CHECK(gradients[0] == -16 && gradients[1] == -12);
    OK(gradc_call_grad(call, returned, true));
    CHECK(returned[0] == -8 && returned[1] == -6);
    CHECK(gradients[0] == -16 && gradients[1] == -12);
    gradc_zero_grad(program);
    CHECK(gradients[0] == 0 && gradients[1] == 0);
    OK(gradc_call_backward(call, true));
    gradc_trainer *trainer = create_trainer(program, "squared");
    OK(gradc_trainer_update(trainer));
    CHECK(parameters[0] == 2 && parameters[1] == 0.75f);
    CHECK(gradc_trainer_iteration(trainer) == 1);
    REFUSED(gradc_call_backward(call, true), GRADC_ORDER, "modified by an inplace operation");
    OK(gradc_call_forward(call));
    parameters[0] = 1;
    gradc_parameters_changed(program);
    REFUSED(gradc_call_backward(call, true), GRADC_ORDER, "modified by an inplace operation");
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_shapes(void) {
    gradc_program *program = compile(line_model);
    gradc_call *call = create_call(program, "squared"), *twice;
    float x[100] = {0}, y[100] = {0};
    gradc_tensor output;
    REFUSED(gradc_call_create(program, "nothing", &twice), GRADC_ARGUMENT, "'nothing'");
    REFUSED(gradc_call_bind(call, 2, &(gradc_tensor){GRADC_F32, 1, {2}, x}), GRADC_ARGUMENT, "no input number 2");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 1, {2}, x}), GRADC_ARGUMENT,
            "input 'x' of squared is f32[N], but the array given is f64[2]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {2, 3}, x}), GRADC_ARGUMENT, "f32[2, 3]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {-1}, x}), GRADC_ARGUMENT, "f32[-1]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, NULL}), GRADC_ARGUMENT, "has no data");
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {3}, y}));
    REFUSED(gradc_call_forward(call), GRADC_ARGUMENT, "dim N of squared is 2 by the shape of input 'x', f32[2], but 3");
    static const int64_t sizes[] = {0, 1, 7, 64, 100, 0, 31};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int k = 0; k < 100; k++) x[k] = 1, y[k] = 3;
        bind_line(program, call, x, y, sizes[i]);
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        CHECK(number(call) == 4 * (float)sizes[i]);
        OK(gradc_call_backward(call, false));
        CHECK(((float *)gradc_gradients(program))[0] == -4 * (float)sizes[i]);
    }
    twice = create_call(program, "twice");
    OK(gradc_call_bind(twice, 0, &(gradc_tensor){GRADC_F32, 1, {100}, x}));
    REFUSED(gradc_call_output(twice, 0, &output), GRADC_ORDER, "has not been run");
    OK(gradc_call_forward(twice));
    OK(gradc_call_output(twice, 0, &output));
    CHECK(output.rank == 1 && output.shape[0] == 100 && ((float *)output.data)[99] == 2);
    REFUSED(gradc_call_output(twice, 1, &output), GRADC_ARGUMENT, "no output number 1");
    REFUSED(gradc_call_backward(twice, false), GRADC_ARGUMENT, "scalar outputs");
    gradc_call_free(twice);
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- training steps

static const char net_model[] = "dim N\n"
                                "net mlp(x: f32[N, 4]) -> f32[N, 3] {\n"
                                "    use hidden = dense<4, 16, relu>\n"
                                "    use output = dense<16, 3>\n"
                                "    return output(hidden(x))\n"
                                "}\n"
                                "loss nll(x: f32[N, 4], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
                                "train nll { optimizer adam(lr = 0.01); batch 8; epochs 1 }\n";

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
    REFUSED(gradc_trainer_step(trainer, NULL), GRADC_NUMBER, "at iteration 3");
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

// ---- programs with errors

static void test_errors(void) {
    gradc_program *program;
    gradc_call *call;
    const char *text = "loss l(x: f32) { return y }\n";
    CHECK(gradc_compile_text("wrong.grad", text, strlen(text), NULL, &program) == GRADC_PROGRAM);
    CHECK(gradc_error_count(program) == 1);
    CHECK(strstr(gradc_diagnostics(program, false), "wrong.grad:1:"));
    CHECK(strstr(gradc_message(program), "wrong.grad:1:"));
    CHECK(gradc_parameters(program) == NULL && gradc_parameter_elements(program) == 0);
    gradc_entry_info entry;
    CHECK(!gradc_entry(program, 0, &entry));
    REFUSED(gradc_call_create(program, "l", &call), GRADC_PROGRAM, "has errors");
    REFUSED(gradc_fit(program, NULL), GRADC_PROGRAM, "has errors");
    REFUSED(gradc_initialise(program, 0), GRADC_PROGRAM, "has errors");
    gradc_program_free(program);
    CHECK(gradc_compile_file("no such file.grad", NULL, &program) == GRADC_FILE);
    CHECK(strstr(gradc_message(program), "No such file"));
    gradc_program_free(program);
    gradc_program_free(NULL);
    CHECK(gradc_compile_text("t", text, strlen(text), &(gradc_options){.vector_bytes = 5}, &program) == GRADC_ARGUMENT);
    gradc_program_free(program);
}

static void test_lists(void) {
    gradc_program *program = compile(net_model);
    gradc_entry_info entry;
    gradc_tensor_info tensor;
    gradc_parameter_info parameter;
    gradc_train_info block;
    int losses = 0, parameters = 0;
    for (int i = 0; gradc_entry(program, i, &entry); i++) {
        if (strcmp(entry.name, "nll") != 0) continue;
        losses++;
        CHECK(entry.kind == GRADC_LOSS && entry.input_count == 2 && entry.output_count == 1);
        CHECK(gradc_entry_input(program, i, 0, &tensor) && strcmp(tensor.type, "f32[N, 4]") == 0);
        CHECK(tensor.rank == 2 && tensor.shape[0] == -1 && tensor.shape[1] == 4 && strcmp(tensor.name, "x") == 0);
        CHECK(!gradc_entry_input(program, i, 2, &tensor));
        CHECK(gradc_entry_output(program, i, 0, &tensor) && tensor.rank == 0);
    }
    CHECK(losses == 1);
    int64_t next = 0;
    for (; gradc_parameter(program, parameters, &parameter); parameters++) {
        CHECK(parameter.offset == next);
        next += parameter.count;
    }
    CHECK(parameters == 4 && next == gradc_parameter_elements(program));
    CHECK(gradc_parameter(program, 0, &parameter) && strcmp(parameter.path, "mlp.hidden.W") == 0);
    CHECK(gradc_train_block(program, 0, &block) && strcmp(block.loss, "nll") == 0 && block.batch == 8 && !block.data);
    CHECK(!gradc_train_block(program, 1, &block) && !gradc_train_block(program, -1, &block));
    gradc_program_free(program);
}

int main(void) {
    test_errors();
    test_lists();
    test_tracking();
    test_parameters();
    test_shapes();
    test_steps();
    test_hyperparameters();
    test_seeds();
    return failures != 0;
}
