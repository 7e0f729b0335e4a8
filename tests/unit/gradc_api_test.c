// The C interface: what autograd promises to a host (tracking before the forward, accumulating, returning, releasing),
// shapes, and what a program tells of itself.
#include "tests/unit/host.h"

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
    static float x[1797], y[1797];
    gradc_tensor output;
    REFUSED(gradc_call_create(program, "nothing", &twice), GRADC_ARGUMENT, "'nothing'");
    REFUSED(gradc_call_bind(call, gradc_call_input(call, "no"), &(gradc_tensor){GRADC_F32, 1, {2}, x}), GRADC_ARGUMENT,
            "there is no input number -1, which stands for a name that was not found");
    REFUSED(gradc_call_bind(call, 2, &(gradc_tensor){GRADC_F32, 1, {2}, x}), GRADC_ARGUMENT, "no input number 2");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F64, 1, {2}, x}), GRADC_ARGUMENT,
            "input 'x' of squared is f32[N], but the array given is f64[2]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {2, 3}, x}), GRADC_ARGUMENT, "f32[2, 3]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {-1}, x}), GRADC_ARGUMENT, "f32[-1]");
    REFUSED(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, NULL}), GRADC_ARGUMENT, "has no data");
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {3}, y}));
    REFUSED(gradc_call_forward(call), GRADC_ARGUMENT, "dim N of squared is 2 by the shape of input 'x', f32[2], but 3");
    static const int64_t sizes[] = {0, 1, 7, 64, 1797, 0, 31};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int k = 0; k < 1797; k++) x[k] = 1, y[k] = 3;
        bind_line(program, call, x, y, sizes[i]);
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        CHECK(number(call) == 4 * (float)sizes[i]);
        OK(gradc_call_backward(call, false));
        CHECK(((float *)gradc_gradients(program))[0] == -4 * (float)sizes[i]);
    }
    twice = create_call(program, "twice");
    OK(gradc_call_bind(twice, 0, &(gradc_tensor){GRADC_F32, 1, {1797}, x}));
    REFUSED(gradc_call_output(twice, 0, &output), GRADC_ORDER, "has not been run");
    OK(gradc_call_forward(twice));
    OK(gradc_call_output(twice, 0, &output));
    CHECK(output.rank == 1 && output.shape[0] == 1797 && ((float *)output.data)[1796] == 2);
    REFUSED(gradc_call_output(twice, 1, &output), GRADC_ARGUMENT, "no output number 1");
    REFUSED(gradc_call_backward(twice, false), GRADC_ARGUMENT, "scalar outputs");
    gradc_call_free(twice);
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- gradients that do not exist

static void test_unused(void) {
    gradc_program *program = compile("loss l(a: f32, b: f32, c: f32) { return a^2 + stop_gradient(c) }\n");
    gradc_call *call = create_call(program, "l");
    float a = 3, b = 1, c = 1;
    gradc_tensor gradient;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 0, {0}, &a}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 0, {0}, &b}));
    OK(gradc_call_bind(call, 2, &(gradc_tensor){GRADC_F32, 0, {0}, &c}));
    OK(gradc_call_requires_grad(call, 1, true));
    OK(gradc_call_requires_grad(call, 2, true));
    OK(gradc_call_forward(call));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "appear to not have been used in the graph");
    OK(gradc_call_requires_grad(call, 0, true));
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    CHECK(input_gradient(call, 0) == 6);
    REFUSED(gradc_call_input_gradient(call, 1, &gradient), GRADC_ORDER, "'b' of l appears to not have been used");
    REFUSED(gradc_call_input_gradient(call, 2, &gradient), GRADC_ORDER, "'c' of l appears to not have been used");
    gradc_call_free(call);
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
    CHECK(gradc_compile_text("t", text, strlen(text), &(gradc_options){.cpu = "i8086"}, &program) == GRADC_ARGUMENT);
    CHECK(strstr(gradc_message(program), "x86-64-v3"));
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
    test_unused();
    return failures != 0;
}
