// `iteration` and `iterations` in losses and nets: what they are in steps, in calls of a host, and in one step of three.
#include "tests/unit/host.h"

static const char model[] = "dim N\n"
                            "net line(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return w * x + iteration }\n"
                            "loss fit(x: f32[N]) {\n"
                            "    report beta = minimum(1, iteration / 4)\n"
                            "    return mean(line(x)^2) * (1 + iteration)\n"
                            "}\n"
                            "metric counted(x: f32[N]) { return iteration + 0 * mean(x) }\n"
                            "loss other(x: f32[N]) { param v: f32 ~ ones; return v * mean(x) * iteration }\n"
                            "train fit { optimizer sgd(lr = 0.0625) }\n"
                            "train other { optimizer sgd(lr = 1) }\n";

enum { STEPS = 6, ROWS = 2 };
static float x[ROWS] = {1, 2};
static const gradc_tensor rows = {GRADC_F32, 1, {ROWS}, x};

static float parameter(gradc_program *program, int index) {
    gradc_parameter_info info;
    if (!gradc_parameter(program, index, &info)) return NAN;
    return ((const float *)gradc_parameters(program))[info.offset];
}

// The loss and w of each step are those of the formulas, with the iteration counted from 0.
static void test_steps(void) {
    gradc_program *program = compile(model);
    gradc_trainer *trainer = create_trainer(program, "fit");
    gradc_call *counted = create_call(program, "counted");
    OK(gradc_trainer_bind(trainer, 0, &rows));
    OK(gradc_call_bind(counted, 0, &rows));
    float w = 1;
    for (int step = 0; step < STEPS; step++) {
        double loss;
        OK(gradc_call_value(counted));
        CHECK(number(counted) == (float)step);
        OK(gradc_trainer_step(trainer, &loss));
        float t = (float)step, a = w * 1 + t, b = w * 2 + t;
        CHECK(fabs(loss - (a * a + b * b) / 2 * (1 + t)) < 1e-4 * (1 + fabs(loss)));
        w -= 0.0625f * (1 + t) * (a * 1 + b * 2);
        CHECK(fabsf(parameter(program, 0) - w) < 1e-4f * (1 + fabsf(w)));
        w = parameter(program, 0);
    }
    gradc_trainer_free(trainer);
    gradc_call_free(counted);
    gradc_program_free(program);
}

// Forward, backward and update have the bits of the step, and each block counts its own steps.
static void test_split(void) {
    gradc_program *fused = compile(model), *program = fused;
    gradc_trainer *steps = create_trainer(fused, "fit");
    OK(gradc_trainer_bind(steps, 0, &rows));
    program = compile(model);
    gradc_trainer *trainer = create_trainer(program, "fit"), *second = create_trainer(program, "other");
    gradc_call *call = create_call(program, "fit"), *other = create_call(program, "other");
    OK(gradc_trainer_bind(second, 0, &rows));
    OK(gradc_call_bind(call, 0, &rows));
    OK(gradc_call_bind(other, 0, &rows));
    for (int step = 0; step < STEPS; step++) {
        double loss;
        CHECK(gradc_trainer_step(steps, &loss) == GRADC_OK);
        gradc_call_set_training(call, true);
        gradc_zero_grad(program);
        OK(gradc_call_forward(call));
        CHECK(number(call) == (float)loss);
        OK(gradc_call_backward(call, false));
        OK(gradc_trainer_update(trainer));
        CHECK(memcmp(gradc_parameters(program), gradc_parameters(fused), sizeof(float)) == 0);
    }
    OK(gradc_call_value(other));
    CHECK(number(other) == 0);
    for (int step = 0; step < 2; step++) OK(gradc_trainer_step(second, NULL));
    OK(gradc_call_value(other));
    CHECK(number(other) == 2 * 1.5f * parameter(program, 1) && number(other) != 0);
    gradc_trainer_free(trainer);
    gradc_trainer_free(second);
    gradc_call_free(call);
    gradc_call_free(other);
    gradc_program_free(program);
    program = fused;
    gradc_trainer_free(steps);
    gradc_program_free(program);
}

// Without a train block nothing was done yet; how much there will be must be said.
static void test_unknown(void) {
    gradc_program *program =
        compile("fn f() -> f32 { return f32(iteration) }\nfn g() -> f32 { return 1 / iterations }\n");
    gradc_call *f = create_call(program, "f"), *g = create_call(program, "g");
    OK(gradc_call_value(f));
    CHECK(number(f) == 0);
    REFUSED(gradc_call_value(g), GRADC_ORDER, "g depends on how many iterations there will be");
    gradc_call_free(f);
    gradc_call_free(g);
    gradc_program_free(program);

    program = compile(
        "dim N\nloss fit(x: f32[N]) { param w: f32 ~ ones; return w * mean(x) * (iteration + 1) / iterations }\n"
        "train fit { optimizer sgd(lr = 0) }\n");
    gradc_trainer *trainer = create_trainer(program, "fit");
    double loss;
    OK(gradc_trainer_bind(trainer, 0, &rows));
    REFUSED(gradc_trainer_step(trainer, &loss), GRADC_ORDER, "set 'iterations'");
    OK(gradc_trainer_set(trainer, "iterations", 4));
    for (int step = 0; step < 3; step++) OK(gradc_trainer_step(trainer, &loss));
    CHECK(loss == 1.125);
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

int main(void) {
    test_steps();
    test_split();
    test_unknown();
    printf("%d failures\n", failures);
    return failures != 0;
}
