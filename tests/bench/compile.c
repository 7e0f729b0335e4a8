// What compiling costs: from a text to the function of a training step that can be called, cold and with the machine code
// kept in files. Each measurement has a process of its own, so that nothing is there yet but the loaded library. The
// least and the median of the runs, in milliseconds; processor time beside them, which a busy machine does not stretch.
//
//     ninja -C BUILD compile && BUILD/tests/compile [--json] [RUNS]
#include "runtime/gradc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 1000 };

#define PERCEPTRON(SIZES_X, SIZES_Y, LAYERS, CALLS, OPTIMIZER, BATCH)                               \
    "dim N\n"                                                                                       \
    "net mlp(x: f32[N, " SIZES_X "]) -> f32[N, " SIZES_Y "] {\n" LAYERS "    return " CALLS "\n}\n" \
    "loss nll(x: f32[N, " SIZES_X "], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"             \
    "train nll { optimizer " OPTIMIZER "; batch " BATCH " }\n"

static const struct {
    const char *name, *loss, *text;
    double goal;   // milliseconds, cold
} models[] = {
    {"xor", "error",
     "dim N\n"
     "net xor(x: f32[N, 2]) -> f32[N, 1] {\n"
     "    use hidden = dense<2, 8, tanh>\n"
     "    use output = dense<8, 1>\n"
     "    return output(hidden(x))\n"
     "}\n"
     "loss error(x: f32[N, 2], y: f32[N, 1]) { return mse_loss(xor(x), y) }\n"
     "train error { optimizer sgd(lr = 0.1); batch 4 }\n",
     15},
    {"digits", "nll",
     PERCEPTRON("64", "10", "    use hidden = dense<64, 128, relu>\n    use output = dense<128, 10>\n",
                "output(hidden(x))", "adam(lr = 1e-3)", "64"),
     40},
    {"four layers", "nll",
     PERCEPTRON("784", "10",
                "    use a = dense<784, 256, relu>\n    use b = dense<256, 128, relu>\n"
                "    use c = dense<128, 64, relu>\n    use d = dense<64, 10>\n",
                "d(c(b(a(x))))", "adam(lr = 1e-3)", "128"),
     60},
    {"PINN", "residual",
     "dim N\n"
     "net field(x: f32) -> f32 {\n"
     "    use first = dense<1, 32, tanh>\n"
     "    use second = dense<32, 32, tanh>\n"
     "    use third = dense<32, 1>\n"
     "    return third(second(first(reshape(x, [1]))))[0]\n"
     "}\n"
     "loss residual(x: f32[N]) {\n"
     "    for i in 0:N {\n"
     "        p = track(x[i])\n"
     "        u = field(p)\n"
     "        d_u = grad(u, p)\n"
     "        yield r = grad(d_u, p) + u\n"
     "    }\n"
     "    return mean(r^2)\n"
     "}\n"
     "train residual { optimizer adam(lr = 1e-3); batch 64 }\n",
     80},
};
enum { MODELS = sizeof models / sizeof *models };

typedef struct {
    double wall, processor;
    gradc_timings timings;
} Sample;

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const gradc_program *program) {
    fprintf(stderr, "%s%s\n", program ? gradc_diagnostics(program, false) : "", gradc_message(program));
    _exit(1);
}

static Sample compile(const char *text, const char *loss, const char *folder) {
    Sample sample;
    gradc_options options = {.cache = folder != NULL, .cache_folder = folder, .threads = 1};
    gradc_program *program;
    gradc_trainer *trainer;
    double wall = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (gradc_compile_text("model.grad", text, strlen(text), &options, &program)) fail(program);
    if (gradc_trainer_create(program, loss, &trainer)) fail(program);
    if (gradc_trainer_compile(trainer, GRADC_KIND_STEP)) fail(program);
    sample.wall = 1e3 * (seconds(CLOCK_MONOTONIC) - wall);
    sample.processor = 1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - processor);
    gradc_get_timings(program, &sample.timings);
    if (folder && sample.timings.cached != sample.timings.functions) sample.wall = -1;
    return sample;
}

// In a process of its own.
static Sample measure(const char *text, const char *loss, const char *folder) {
    Sample sample = {0};
    int ends[2];
    if (pipe(ends)) exit(1);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        sample = compile(text, loss, folder);
        _exit(write(ends[1], &sample, sizeof sample) != (ssize_t)sizeof sample);
    }
    close(ends[1]);
    if (read(ends[0], &sample, sizeof sample) != (ssize_t)sizeof sample) exit(1);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return sample;
}

static int by_size(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static void spread(double *values, int count, double *least, double *median) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    *least = values[0];
    *median = values[count / 2];
}

static void print_line(int model, bool warm, int runs, const char *folder, bool json) {
    double walls[MAX_RUNS], processors[MAX_RUNS], least, median, processor, processor_median;
    gradc_timings best = {0};
    for (int i = 0; i < runs; i++) {
        Sample sample = measure(models[model].text, models[model].loss, warm ? folder : NULL);
        walls[i] = sample.wall;
        processors[i] = sample.processor;
        if (!i || sample.wall < least) best = sample.timings;
        if (!i || sample.wall < least) least = sample.wall;
    }
    spread(walls, runs, &least, &median);
    spread(processors, runs, &processor, &processor_median);
    double goal = warm ? 3 : models[model].goal;
    const char *format =
        json ? "{\"model\": \"%s\", \"warm\": %s, \"goal_ms\": %g, \"least_ms\": %.3f, \"median_ms\": %.3f, "
               "\"processor_ms\": %.3f, \"parse_ms\": %.3f, \"elaborate_ms\": %.3f, \"differentiate_ms\": %.3f, "
               "\"simplify_ms\": %.3f, \"kernels_ms\": %.3f, \"emit_ms\": %.3f, \"machine_code_ms\": %.3f}\n"
             : "%-12s %-5s %5.0f %8.2f %8.2f %9.2f | %6.2f %6.2f %6.2f %6.2f %6.2f %6.2f %8.2f\n";
    printf(format, models[model].name,
           json   ? warm ? "true" : "false"
           : warm ? "warm"
                  : "cold",
           goal, least, median, processor_median, best.parse, best.elaborate, best.differentiate, best.simplify,
           best.kernels, best.emit, best.machine_code);
}

int main(int argc, char **argv) {
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    int runs = argc > 1 + json ? atoi(argv[1 + json]) : 20;
    char folder[] = "/tmp/gradc-bench-XXXXXX", command[100];
    if (runs < 1 || runs > MAX_RUNS || !mkdtemp(folder)) return 2;
    if (!json)
        printf("milliseconds        goal    least   median processor |  parse  elab.  diff. simpl. kernels  emit     "
               "LLVM\n");
    for (int i = 0; i < MODELS; i++) {
        print_line(i, false, runs, folder, json);
        measure(models[i].text, models[i].loss, folder);   // fills the folder
        print_line(i, true, runs, folder, json);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0;
}
