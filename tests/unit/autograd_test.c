// What autograd promises to a host, one test for each promise: tracking begins before the forward, backward stores,
// grad returns, the graph is released, split and fused steps have the same bits, softmax's gradient is p - y, a step's
// is zero and is warned of. Messages have the words that users of PyTorch search for.
#include "tests/unit/host.h"

// (y - w x)^2 at x = 1, w = 2, y = 1 is 1, and its gradient by w is 2.
static float w = 2, x = 1, y = 1;

static gradc_call *note_call(gradc_program **program_out) {
    gradc_program *program = compile("loss squared(w: f32, x: f32, y: f32) { return (y - w * x)^2 }\n");
    gradc_call *call = create_call(program, "squared");
    float *numbers[] = {&w, &x, &y};
    for (int i = 0; i < 3; i++) OK(gradc_call_bind(call, i, &(gradc_tensor){GRADC_F32, 0, {0}, numbers[i]}));
    *program_out = program;
    return call;
}

static void end(gradc_program *program, gradc_call *call) {
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- tracking is on before the forward

static void test_tracking_comes_first(void) {
    gradc_program *program;
    gradc_call *call = note_call(&program);
    gradc_tensor gradient;
    OK(gradc_call_forward(call));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "does not require grad");
    OK(gradc_call_requires_grad(call, 0, true));   // too late for this forward
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER,
            "call gradc_call_requires_grad for an input and run the forward");
    REFUSED(gradc_call_input_gradient(call, 0, &gradient), GRADC_ORDER, "'w' of squared does not require grad");
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    CHECK(input_gradient(call, 0) == 2);
    REFUSED(gradc_call_input_gradient(call, 1, &gradient), GRADC_ORDER, "'x' of squared does not require grad");
    OK(gradc_call_requires_grad(call, 0, false));
    OK(gradc_call_forward(call));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "does not require grad");
    end(program, call);
}

// ---- backward stores, zero_grad clears, grad returns

static void test_backward_stores(void) {
    gradc_program *program = compile(line_model);
    gradc_call *call = create_call(program, "squared");
    float inputs[] = {1, 2}, targets[] = {3, 3}, returned[2] = {7, 7};
    const float *stored = gradc_gradients(program);
    bind_line(program, call, inputs, targets, 2);
    OK(gradc_call_requires_grad(call, 0, true));
    for (int times = 1; times <= 3; times++) {
        OK(gradc_call_forward(call));
        OK(gradc_call_backward(call, false));
        CHECK(stored[0] == -8.0f * (float)times && stored[1] == -6.0f * (float)times);
        gradc_tensor gradient;
        OK(gradc_call_input_gradient(call, 0, &gradient));
        CHECK(((float *)gradient.data)[0] == -4.0f * (float)times);   // -2 (y - x) w
    }
    OK(gradc_call_forward(call));
    OK(gradc_call_grad(call, returned, false));
    CHECK(returned[0] == -8 && returned[1] == -6);   // this one alone
    CHECK(stored[0] == -24 && stored[1] == -18);     // and what was stored is as it was
    gradc_zero_grad(program);
    CHECK(stored[0] == 0 && stored[1] == 0);
    end(program, call);
}

// ---- the graph is released by one backward, unless it is retained; then any number have the same bits

static void test_release(void) {
    gradc_program *program = compile(net_model);
    gradc_call *call = create_call(program, "nll");
    float rows[6 * 4];
    int32_t classes[6] = {0, 2, 1, 1, 0, 2};
    for (int i = 0; i < 24; i++) rows[i] = sinf((float)i);
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *first = malloc(bytes), *again = malloc(bytes);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {6, 4}, rows}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {6}, classes}));
    OK(gradc_call_forward(call));
    OK(gradc_call_grad(call, first, true));
    for (int i = 0; i < 4; i++) {
        memset(again, 0, bytes);
        OK(gradc_call_grad(call, again, i < 3));
        CHECK(memcmp(first, again, bytes) == 0);
    }
    REFUSED(gradc_call_grad(call, again, true), GRADC_ORDER, "Trying to backward through the graph a second time");
    REFUSED(gradc_call_backward(call, true), GRADC_ORDER, "retain_graph");
    OK(gradc_call_forward(call));
    OK(gradc_call_grad(call, again, false));
    CHECK(memcmp(first, again, bytes) == 0);
    free(first);
    free(again);
    end(program, call);
}

// ---- what was modified by an inplace operation

static void test_inplace(void) {
    gradc_program *program;
    gradc_call *call = note_call(&program);   // compiled with gradc_options.verify, which looks into the arrays
    OK(gradc_call_requires_grad(call, 0, true));
    OK(gradc_call_forward(call));
    x = 3;
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER,
            "input 'x', needed for the gradient of squared, has been modified by an inplace operation");
    x = 1;
    OK(gradc_call_backward(call, false));   // it is again what the forward read
    end(program, call);

    program = compile(line_model);
    call = create_call(program, "squared");
    gradc_trainer *trainer = create_trainer(program, "squared");
    float inputs[] = {1, 2}, targets[] = {3, 3}, *parameters = gradc_parameters(program);
    bind_line(program, call, inputs, targets, 2);
    OK(gradc_call_forward(call));
    parameters[1] = 5;   // without gradc_parameters_changed: seen because of verify
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "modified by an inplace operation");
    OK(gradc_call_forward(call));
    gradc_parameters_changed(program);
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "modified by an inplace operation");
    OK(gradc_call_forward(call));
    OK(gradc_trainer_update(trainer));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "modified by an inplace operation");
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    gradc_trainer_free(trainer);
    end(program, call);
}

// ---- no gradient for what is not one number

static void test_scalar_outputs(void) {
    gradc_program *program = compile(line_model);
    gradc_call *call = create_call(program, "line");
    float inputs[] = {1, 2};
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, inputs}));
    OK(gradc_call_forward(call));
    REFUSED(gradc_call_backward(call, false), GRADC_ARGUMENT, "grad can be implicitly created only for scalar outputs");
    end(program, call);
}

// ---- softmax with cross entropy: p - y, from logits of any size

static void test_softmax(void) {
    gradc_program *program = compile("loss l(logits: f32[2, 3], y: i32[2]) { return cross_entropy(logits, y, "
                                     "reduction = sum) }\n"
                                     "fn p(logits: f32[2, 3]) -> f32[2, 3] { return softmax(logits, axis = 1) }\n");
    gradc_call *call = create_call(program, "l"), *p = create_call(program, "p");
    int32_t classes[] = {1, 2};
    static const float scales[] = {1, 100, 1e4f};
    for (int k = 0; k < 3; k++) {
        float logits[] = {-scales[k], 0.5f, scales[k], 0, scales[k], -1};
        gradc_tensor array = {GRADC_F32, 2, {2, 3}, logits}, gradient, probability;
        OK(gradc_call_bind(call, 0, &array));
        OK(gradc_call_bind(p, 0, &array));
        OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_I32, 1, {2}, classes}));
        OK(gradc_call_requires_grad(call, 0, true));
        OK(gradc_call_forward(call));
        CHECK(isfinite(number(call)));
        gradc_call_zero_grad(call);
        OK(gradc_call_backward(call, false));
        OK(gradc_call_input_gradient(call, 0, &gradient));
        OK(gradc_call_value(p));
        OK(gradc_call_output(p, 0, &probability));
        for (int i = 0; i < 6; i++) {
            float expected = ((float *)probability.data)[i] - (float)(i % 3 == classes[i / 3]);
            CHECK(fabsf(((float *)gradient.data)[i] - expected) <= 2e-7f);
        }
    }
    gradc_call_free(p);
    end(program, call);
}

// ---- a step function: its gradient is zero, and the compiler says whom that keeps from learning

static void test_step_function(void) {
    const char *text = "dim N\n"
                       "net gate(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return step(w * x) }\n"
                       "loss l(x: f32[N]) { return sum(gate(x)) }\n"
                       "train l { optimizer sgd(lr = 1) }\n";
    gradc_program *program = compile(text);
    gradc_call *call = create_call(program, "l");
    float inputs[] = {-1, 2};
    CHECK(gradc_warning_count(program) > 0 && strstr(gradc_diagnostics(program, false), "gate.w"));
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {2}, inputs}));
    OK(gradc_call_forward(call));
    CHECK(number(call) == 1);
    OK(gradc_call_backward(call, false));
    CHECK(((float *)gradc_gradients(program))[0] == 0);
    end(program, call);
}

// ---- a step in one, and one that is made of forward, backward and update: the same bits

enum { ROWS = 12, STEPS = 12 };

typedef struct {
    size_t parameter_bytes, state_bytes;
    char parameters[8192], states[1024];
    double losses[STEPS];
} Trained;

static void train(const char *text, bool split, Trained *trained) {
    gradc_program *program = compile(text);
    gradc_trainer *trainer = create_trainer(program, "l");
    gradc_call *call = create_call(program, "l");
    float rows[ROWS * 4];
    int32_t classes[ROWS];
    for (int i = 0; i < ROWS * 4; i++) rows[i] = (float)((i * 37 + 11) % 19) / 3 - 3;
    for (int i = 0; i < ROWS; i++) classes[i] = i * i % 3;
    gradc_tensor arrays[] = {{GRADC_F32, 2, {ROWS, 4}, rows}, {GRADC_I32, 1, {ROWS}, classes}};
    OK(gradc_initialise(program, 5));
    gradc_call_set_training(call, true);
    for (int i = 0; i < 2; i++) {
        OK(gradc_trainer_bind(trainer, i, &arrays[i]));
        OK(gradc_call_bind(call, i, &arrays[i]));
    }
    for (int i = 0; i < STEPS; i++) {
        if (!split) {
            OK(gradc_trainer_step(trainer, &trained->losses[i]));
            continue;
        }
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        trained->losses[i] = number(call);
        OK(gradc_call_backward(call, false));
        OK(gradc_call_store_states(call));
        OK(gradc_trainer_update(trainer));
    }
    gradc_state_info state;
    trained->parameter_bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    for (int i = 0; gradc_state(program, i, &state); i++) trained->state_bytes += (size_t)state.count * sizeof(float);
    CHECK(trained->parameter_bytes <= sizeof trained->parameters && trained->state_bytes <= sizeof trained->states);
    memcpy(trained->parameters, gradc_parameters(program), trained->parameter_bytes);
    memcpy(trained->states, gradc_states(program), trained->state_bytes);
    gradc_trainer_free(trainer);
    end(program, call);
}

static void test_split_steps(void) {
    static const char net[] = "dim N\n"
                              "net m(x: f32[N, 4]) -> f32[N, 3] {\n"
                              "    use hidden = dense<4, 16, gelu>\n"
                              "    use norm = batch_norm<16>\n"
                              "    use output = dense<16, 3>\n"
                              "    return output(dropout(norm(hidden(x)), p = 0.25))\n"
                              "}\n"
                              "loss l(x: f32[N, 4], y: i32[N]) {\n"
                              "    return cross_entropy(m(x), y, label_smoothing = 0.1) + 0.01 * sum(m.output.W^2)\n"
                              "}\n";
    static const char *const trains[] = {
        "train l { optimizer sgd(lr = 0.1, momentum = 0.9, weight_decay = 0.01, nesterov = true)\n"
        "    gradient clip_norm(0.5) }\n",
        "train l { optimizer adamw(lr = 0.01 / (1 + iteration), weight_decay = 0.1); gradient clip_value(0.05) }\n",
        "train l { optimizer adam(lr = 0.01); optimizer rmsprop(lr = 0.02) for \"*.b\" }\n",
    };
    for (size_t i = 0; i < sizeof trains / sizeof *trains; i++) {
        char text[1200];
        static Trained fused, split;
        fused = split = (Trained){0};
        snprintf(text, sizeof text, "%s%s", net, trains[i]);
        train(text, false, &fused);
        train(text, true, &split);
        CHECK(memcmp(fused.losses, split.losses, sizeof fused.losses) == 0);
        CHECK(fused.state_bytes > 0 && memcmp(fused.states, split.states, fused.state_bytes) == 0);
        CHECK(memcmp(fused.parameters, split.parameters, fused.parameter_bytes) == 0);
        CHECK(fused.losses[0] != fused.losses[1] && fused.losses[STEPS - 1] < fused.losses[0]);
    }
}

int main(void) {
    test_tracking_comes_first();
    test_backward_stores();
    test_release();
    test_inplace();
    test_scalar_outputs();
    test_softmax();
    test_step_function();
    test_split_steps();
    return failures != 0;
}
