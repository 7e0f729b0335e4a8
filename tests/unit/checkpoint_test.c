// A host's own loop: steps, a checkpoint, and steps in another program have the bits of steps that were never interrupted.
#include "tests/unit/host.h"

#include <unistd.h>

static gradc_program *program;   // whose message a failed check shows
static char path[] = "/tmp/gradc-checkpoint-XXXXXX";

// All that goes from step to step: running statistics, random numbers, moments, a schedule, hyperparameters, two blocks.
static const char model[] = "dim N\n"
                            "net body(x: f32[N, 3]) -> f32[N] {\n"
                            "    use level = batch_norm<3>\n"
                            "    use hidden = dense<3, 8, tanh>\n"
                            "    use last = dense<8, 1>\n"
                            "    return last(dropout(hidden(level(x)), p = 0.2))[:, 0]\n"
                            "}\n"
                            "loss fit(x: f32[N, 3], y: f32[N]) { return mse_loss(body(x), y) }\n"
                            "loss small() { param s: f32 ~ ones; return s^2 + 0.1 * sum(normal([2])) * s }\n"
                            "train fit { optimizer adam(lr = cosine_annealing(iteration, 2e-2, iterations))\n"
                            "    optimizer sgd(lr = 0.05, momentum = 0.9) for \"*.b\" }\n"
                            "train small { optimizer adam(lr = 0.01) }\n";

enum { STEPS = 600, ROWS = 20 };

typedef struct {
    gradc_program *program;
    gradc_trainer *fit, *small;
} Host;

static float inputs[ROWS * 3], targets[ROWS];

static Host start(const char *text) {
    Host host = {.program = compile(text)};
    program = host.program;
    host.fit = create_trainer(host.program, "fit");
    host.small = create_trainer(host.program, "small");
    OK(gradc_trainer_bind(host.fit, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, 3}, inputs}));
    OK(gradc_trainer_bind(host.fit, 1, &(gradc_tensor){GRADC_F32, 1, {ROWS}, targets}));
    return host;
}

static void end(Host *host) {
    gradc_trainer_free(host->fit);
    gradc_trainer_free(host->small);
    gradc_program_free(host->program);
}

static void run(Host *host, int count, double *losses) {
    program = host->program;
    for (int i = 0; i < count; i++) {
        OK(gradc_trainer_step(host->fit, &losses[2 * i]));
        OK(gradc_trainer_step(host->small, &losses[2 * i + 1]));
    }
}

static void set_numbers(Host *host) {
    program = host->program;
    OK(gradc_initialise(host->program, 5));
    OK(gradc_trainer_set(host->fit, "iterations", STEPS));
    OK(gradc_trainer_set(host->fit, "*.b:lr", 0.02));
}

static void check_same(const Host *one, const Host *other) {
    size_t bytes = (size_t)gradc_parameter_elements(one->program) * sizeof(float);
    gradc_state_info state;
    CHECK(memcmp(gradc_parameters(one->program), gradc_parameters(other->program), bytes) == 0);
    for (int i = 0; gradc_state(one->program, i, &state); i++)
        CHECK(memcmp((float *)gradc_states(one->program) + state.offset,
                     (float *)gradc_states(other->program) + state.offset, (size_t)state.count * sizeof(float)) == 0);
    CHECK(gradc_trainer_iteration(one->fit) == gradc_trainer_iteration(other->fit));
}

static void test_goes_on(void) {
    static double straight[2 * STEPS], pieces[2 * STEPS];
    Host whole = start(model), first = start(model), second = start(model);
    set_numbers(&whole);
    run(&whole, STEPS, straight);
    set_numbers(&first);
    run(&first, STEPS / 2, pieces);
    OK(gradc_checkpoint_save(first.program, path));
    program = second.program;
    OK(gradc_checkpoint_load(second.program, path));
    CHECK(gradc_trainer_iteration(second.small) == STEPS / 2);
    run(&second, STEPS / 2, pieces + STEPS);
    CHECK(memcmp(straight, pieces, sizeof straight) == 0);
    check_same(&whole, &second);
    // The program that saved goes on, or back, as well.
    run(&first, 7, pieces);
    OK(gradc_checkpoint_load(first.program, path));
    run(&first, STEPS / 2, pieces + STEPS);
    CHECK(memcmp(straight + STEPS, pieces + STEPS, STEPS * sizeof(double)) == 0);
    check_same(&whole, &first);
    // Weights can be loaded from it, but are not all.
    program = second.program;
    OK(gradc_load(second.program, path));
    end(&whole);
    end(&first);
    end(&second);
}

static void test_refused(void) {
    char other[sizeof model];
    memcpy(other, model, sizeof other);
    memcpy(strstr(other, "tanh"), "relu", 4);
    Host changed = start(other), host = start(model);
    double losses[2];
    set_numbers(&changed);
    void *before = malloc((size_t)gradc_parameter_elements(changed.program) * sizeof(float));
    size_t bytes = (size_t)gradc_parameter_elements(changed.program) * sizeof(float);
    run(&changed, 1, losses);
    memcpy(before, gradc_parameters(changed.program), bytes);
    REFUSED(gradc_checkpoint_load(changed.program, path), GRADC_DATA, "another program; what differs: loss fit");
    CHECK(memcmp(before, gradc_parameters(changed.program), bytes) == 0);
    CHECK(gradc_trainer_iteration(changed.fit) == 1);
    gradc_options doubles = {.floating = GRADC_F64};
    OK(gradc_compile_text("test.grad", model, strlen(model), &doubles, &program));
    REFUSED(gradc_checkpoint_load(program, path), GRADC_DATA, "`float` is f32 there, but f64 here");
    gradc_program_free(program);
    program = host.program;
    OK(gradc_save(host.program, path));
    REFUSED(gradc_checkpoint_load(host.program, path), GRADC_DATA, "is not a checkpoint of gradc");
    REFUSED(gradc_checkpoint_load(host.program, "/nowhere"), GRADC_FILE, "No such file");
    REFUSED(gradc_checkpoint_save(host.program, "/nowhere/here"), GRADC_FILE, "No such file");
    free(before);
    end(&changed);
    end(&host);
}

int main(void) {
    int file = mkstemp(path);
    if (file < 0) return 1;
    close(file);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < 3; k++) inputs[3 * i + k] = (float)sin(i * 1.7 + k);
        targets[i] = (float)cos(i * 0.9);
    }
    test_goes_on();
    test_refused();
    unlink(path);
    return failures != 0;
}
