// Training against PyTorch (tests/oracle/training.txt): from the same weights in f64, a small network's losses and last
// weights by every optimizer of the library.
#include "tests/unit/entries.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double tolerance = 1e-9;
static int failures;

enum { WEIGHTS = 4, STEPS = 100, TEXT = 2048 };

typedef struct {
    OracleTensor weights[WEIGHTS], x, y;   // at first
    int rows, inputs, hidden, classes;
} Setup;

static Setup read_setup(FILE *file, int *runs) {
    Setup setup = {.rows = (int)oracle_number(file, "rows")};
    setup.inputs = (int)oracle_number(file, "inputs");
    setup.hidden = (int)oracle_number(file, "hidden");
    setup.classes = (int)oracle_number(file, "classes");
    if (oracle_number(file, "steps") != STEPS) exit(1);
    *runs = (int)oracle_number(file, "runs");
    for (int i = 0; i < WEIGHTS; i++) setup.weights[i] = oracle_tensor(file);
    setup.x = oracle_tensor(file);
    setup.y = oracle_tensor(file);
    return setup;
}

static gradc_program *compile(const Setup *setup, const char *optimizer) {
    char text[TEXT];
    int length = snprintf(text, TEXT,
                          "dim N\n"
                          "net mlp(x: float[N, %d]) -> float[N, %d] {\n"
                          "    use hidden = dense<%d, %d, relu>\n"
                          "    use output = dense<%d, %d>\n"
                          "    return output(hidden(x))\n"
                          "}\n"
                          "loss nll(x: float[N, %d], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
                          "train nll { optimizer %s }\n",
                          setup->inputs, setup->classes, setup->inputs, setup->hidden, setup->hidden, setup->classes,
                          setup->inputs, optimizer);
    gradc_program *program;
    gradc_options options = {.floating = GRADC_F64, .verify = true};
    if (gradc_compile_text("training.grad", text, (size_t)length, &options, &program) == GRADC_OK) return program;
    printf("%s: %s\n", optimizer, gradc_message(program));
    exit(1);
}

// Where the weight of that name, without the net's, lies.
static double *weight(gradc_program *program, const OracleTensor *tensor) {
    gradc_parameter_info info;
    for (int i = 0; gradc_parameter(program, i, &info); i++)
        if (strcmp(info.path + strlen("mlp."), tensor->name) == 0 && info.count == tensor->count)
            return (double *)gradc_parameters(program) + info.offset;
    printf("there is no parameter %s\n", tensor->name);
    exit(1);
}

static void check(const char *optimizer, const char *what, const double *numbers, const OracleTensor *expected) {
    double distance = oracle_distance(numbers, expected);
    if (distance <= tolerance) return;
    printf("%s: %s: %.3g away from PyTorch's\n", optimizer, what, distance);
    for (int64_t i = 0; i < expected->count && i < 4; i++)
        printf("   expected %.17g, found %.17g\n", expected->numbers[i], numbers[i]);
    failures++;
}

static gradc_trainer *begin(gradc_program *program, const Setup *setup) {
    gradc_trainer *trainer;
    if (gradc_trainer_create(program, "nll", &trainer)) {
        printf("%s\n", gradc_message(program));
        exit(1);
    }
    for (int i = 0; i < WEIGHTS; i++)
        memcpy(weight(program, &setup->weights[i]), setup->weights[i].numbers,
               sizeof(double) * (size_t)setup->weights[i].count);
    gradc_parameters_changed(program);
    gradc_tensor x = array_of(&setup->x), y = array_of(&setup->y);
    if (gradc_trainer_bind(trainer, 0, &x) || gradc_trainer_bind(trainer, 1, &y)) {
        printf("%s\n", gradc_message(program));
        exit(1);
    }
    return trainer;
}

static void run(FILE *file, const Setup *setup) {
    char optimizer[TEXT / 4];
    oracle_line(file, "optimizer", optimizer, sizeof optimizer);
    OracleTensor losses = oracle_tensor(file);
    gradc_program *program = compile(setup, optimizer);
    gradc_trainer *trainer = begin(program, setup);
    double found[STEPS];
    for (int i = 0; i < STEPS; i++) {
        if (gradc_trainer_step(trainer, &found[i]) == GRADC_OK) continue;
        printf("%s: step %d: %s\n", optimizer, i, gradc_message(program));
        exit(1);
    }
    check(optimizer, "losses", found, &losses);
    for (int i = 0; i < WEIGHTS; i++) {
        OracleTensor expected = oracle_tensor(file);
        check(optimizer, expected.name, weight(program, &expected), &expected);
    }
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

int main(void) {
    FILE *file = oracle_open("tests/oracle/training.txt");
    int runs;
    Setup setup = read_setup(file, &runs);
    for (int i = 0; i < runs; i++) run(file, &setup);
    oracle_close(file);
    printf("%d runs, %d failures\n", runs, failures);
    return failures != 0 || runs == 0;
}
