// States that are stored and reports that are made inside loops: the same as when the loop is unrolled.
#include "tests/unit/host.h"

enum { ROWS = 3, COUNT = 5 };
static double xs[COUNT * ROWS * 4];

// What differs between the two programs is what the loop goes over.
static gradc_program *compile_over(const char *over) {
    static const char *const text =
        "dim N\n"
        "net centred<C>(x: f64[N, C]) -> f64[N, C] {\n"
        "    param scale: float[C] ~ ones\n"
        "    state average: float[C] ~ zeros\n"
        "    state calls: float ~ zeros\n"
        "    m = mean(x, axis = 0)\n"
        "    report first = m[0]\n"
        "    average = 0.75 * average + 0.25 * m\n"
        "    calls = calls + 1\n"
        "    return scale * (x - average)\n"
        "}\n"
        "use normal = centred<4>\n"
        "loss power(xs: f64[5, N, 4]) {\n"
        "    state last: float[4] ~ ones\n"
        "    total = 0\n"
        "    for x in %s {\n"
        "        y = normal(x)\n"
        "        for row in y { report square = sum(row^2) }\n"
        "        last = 0.5 * last + y[0]\n"
        "        total = total + sum(y^2) + sum(last)\n"
        "        report largest = amax(abs(y))\n"
        "        yield sums = sum(y)\n"
        "    }\n"
        "    return total + sum(sums)\n"
        "}\n"
        "metric state_of(xs: f64[5, N, 4]) { return sum(normal.average) + 100 * normal.calls + 0 * sum(xs) }\n"
        "train power { optimizer sgd(lr = 0.01) }\n";
    char program_text[2048];
    gradc_program *program;
    gradc_options options = {.floating = GRADC_F64, .verify = true};
    snprintf(program_text, sizeof program_text, text, over);
    if (gradc_compile_text("test.grad", program_text, strlen(program_text), &options, &program) == GRADC_OK)
        return program;
    printf("%s", gradc_diagnostics(program, false));
    exit(1);
}

static double output(gradc_program *program, gradc_call *call, int index) {
    gradc_tensor tensor;
    OK(gradc_call_output(call, index, &tensor));
    return *(double *)tensor.data;
}

// Losses of some steps, then the reports of a forward in training mode, and what is stored at last.
static int run(const char *over, double *numbers) {
    gradc_program *program = compile_over(over);
    gradc_trainer *trainer = create_trainer(program, "power");
    gradc_call *call = create_call(program, "power"), *metric = create_call(program, "state_of");
    gradc_tensor x = {GRADC_F64, 3, {COUNT, ROWS, 4}, xs};
    gradc_entry_info info;
    int count = 0;
    OK(gradc_trainer_bind(trainer, 0, &x));
    OK(gradc_call_bind(call, 0, &x));
    OK(gradc_call_bind(metric, 0, &x));
    for (int i = 0; i < 3; i++) OK(gradc_trainer_step(trainer, &numbers[count++]));
    gradc_call_set_training(call, true);
    OK(gradc_call_forward(call));
    for (int i = 0; gradc_entry(program, i, &info); i++)
        for (int k = 0; strcmp(info.name, "power") == 0 && k < info.output_count; k++)
            numbers[count++] = output(program, call, k);
    OK(gradc_call_backward(call, false));
    for (int i = 0; i < 4; i++) numbers[count++] = ((double *)gradc_gradients(program))[i];
    OK(gradc_call_value(metric));
    numbers[count++] = output(program, metric, 0);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_call_free(metric);
    gradc_program_free(program);
    return count;
}

int main(void) {
    double scanned[64], unrolled[64];
    for (int i = 0; i < COUNT * ROWS * 4; i++) xs[i] = (i * 37 + 11) % 19 / 9.0 - 1;
    int count = run("xs", scanned), other = run("[xs[0], xs[1], xs[2], xs[3], xs[4]]", unrolled);
    CHECK(count == other && count == 3 + 4 + 4 + 1);
    for (int i = 0; i < count; i++) {
        if (fabs(scanned[i] - unrolled[i]) <= 1e-12 * (1 + fabs(unrolled[i]))) continue;
        printf("number %d: %.17g in a loop, %.17g unrolled\n", i, scanned[i], unrolled[i]);
        failures++;
    }
    CHECK(floor(scanned[count - 1] / 100 + 0.5) == 3 * COUNT);   // as often as the net was called in training steps
    return failures != 0;
}
