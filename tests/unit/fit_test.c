// Training on a program's own data: epochs and their last, smaller batch; rows held out; blocks that take turns; where
// training stops and what it leaves.
#include "tests/unit/host.h"

#include <unistd.h>

static char folder[] = "/tmp/gradc-fit-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0) exit(1);
}

static gradc_program *compile_in_folder(const char *text) {
    char path[256];
    gradc_program *program;
    snprintf(path, sizeof path, "%s/model.grad", folder);
    if (gradc_compile_text(path, text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// What was told after each epoch.
typedef struct {
    gradc_progress epochs[64];
    double metrics[64];
    int count, stop_after;
} Log;

static bool note(void *context, const gradc_progress *progress) {
    Log *log = context;
    log->metrics[log->count] = progress->metric_count ? progress->metrics[0].value : NAN;
    log->epochs[log->count++] = *progress;
    return log->count != log->stop_after;
}

static const char line[] = "dim N\n"
                           "net line(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return w * x }\n"
                           "loss squared(x: f32[N], y: f32[N]) { return mean((y - line(x))^2) }\n"
                           "metric rows(x: f32[N]) { return sum(x * 0 + 1) }\n"
                           "metric error(x: f32[N], y: f32[N]) { return mean(abs(y - line(x))) }\n"
                           "data points { file \"points.csv\"; x = columns[0]; y = columns[1]; split 1.0 }\n"
                           "train squared { data points; optimizer sgd(lr = 0.001); batch 4; epochs 3 }\n";

// Ten rows in batches of four: three steps an epoch, and every row counts the same.
static void test_epochs(void) {
    gradc_program *program = compile_in_folder(line);
    Log log = {0};
    double rate = 0;
    gradc_fit_options options = {.learning_rate = &rate, .progress = note, .context = &log};
    OK(gradc_fit(program, &options));
    CHECK(log.count == 3);
    for (int i = 0; i < log.count; i++) {
        CHECK(log.epochs[i].epoch == i + 1 && log.epochs[i].epochs == 3 && log.epochs[i].iteration == 3 * (i + 1));
        // y is 2 x: the loss is the mean of x^2 over 0 .. 9.
        CHECK(fabs(log.epochs[i].mean_loss - 28.5) < 1e-5);
        CHECK(log.epochs[i].metric_count == 2 && log.metrics[i] == 10);
        CHECK(strcmp(log.epochs[i].loss, "squared") == 0);
    }
    rate = 0.001;
    options.epochs = 20;
    log.count = 0;
    OK(gradc_fit(program, &options));
    CHECK(log.count == 20 && log.epochs[19].mean_loss < 1);
    float learned = *(float *)gradc_parameters(program);
    options.keep_parameters = true;
    options.epochs = 1;
    OK(gradc_fit(program, &options));
    CHECK(*(float *)gradc_parameters(program) != learned && fabsf(*(float *)gradc_parameters(program) - 2) < 0.2f);
    gradc_program_free(program);
}

// The same seed gives the same bits, another seed another order; stopping keeps what was learned.
static void test_seeds_and_stopping(void) {
    gradc_program *program = compile_in_folder(line);
    Log log = {.stop_after = 2};
    uint64_t seed = 4;
    gradc_fit_options options = {.seed = &seed, .epochs = 2};
    OK(gradc_fit(program, &options));
    float first = *(float *)gradc_parameters(program);
    OK(gradc_fit(program, &options));
    CHECK(*(float *)gradc_parameters(program) == first);
    seed = 5;
    OK(gradc_fit(program, &options));
    CHECK(*(float *)gradc_parameters(program) != first);
    seed = 4;
    options.epochs = 9;
    options.progress = note;
    options.context = &log;
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after epoch 2 of squared");
    CHECK(log.count == 2 && *(float *)gradc_parameters(program) == first);
    gradc_program_free(program);
}

// Two blocks over one net's parts: each its `repeat` steps in turn, until each has done its epochs.
static void test_turns(void) {
    gradc_program *program =
        compile_in_folder("dim N\n"
                          "net a() -> f32 { param w: f32 ~ zeros; return w }\n"
                          "net b() -> f32 { param w: f32 ~ zeros; return w }\n"
                          "loss first(x: f32[N]) { return (a() - 1)^2 + sum(x * 0) }\n"
                          "loss second() { return (b() - a())^2 }\n"
                          "data points { file \"points.csv\"; x = columns[0]; split 0.8 }\n"
                          "train first { data points; optimizer sgd(lr = 0.5); batch 2; epochs 2 }\n"
                          "train second { parameters b; optimizer sgd(lr = 0.25); epochs 3; repeat 2 }\n");
    Log log = {0};
    gradc_fit_options options = {.progress = note, .context = &log};
    OK(gradc_fit(program, &options));
    // 8 rows train: an epoch of `first` is 4 steps. `second` does 2 epochs of one step after the first step of `first`.
    static const char *const order[] = {"second", "second", "second", "first", "first"};
    CHECK(log.count == 5);
    for (int i = 0; i < log.count; i++) CHECK(strcmp(log.epochs[i].loss, order[i]) == 0);
    float *parameters = gradc_parameters(program);
    CHECK(parameters[0] == 1 && parameters[1] == 0.875f);
    options.loss = "second";
    log.count = 0;
    OK(gradc_fit(program, &options));
    CHECK(log.count == 3 && parameters[0] == 0 && parameters[1] == 0);
    options.loss = "third";
    REFUSED(gradc_fit(program, &options), GRADC_ARGUMENT, "no `train third`");
    gradc_program_free(program);
}

// What was told after each step.
typedef struct {
    gradc_step steps[64];
    int count, stop_after, epochs;
} StepLog;

static bool note_step(void *context, const gradc_step *step) {
    StepLog *log = context;
    log->steps[log->count++] = *step;
    return log->count != log->stop_after;
}

static bool count_epochs(void *context, const gradc_progress *progress) {
    ((StepLog *)context)->epochs++;
    return progress->epoch > 0;
}

// The step function is told of each step, and ends the training after any of them.
static void test_steps(void) {
    gradc_program *program = compile_in_folder(line);
    double rate = 0;
    StepLog log = {0};
    gradc_fit_options options = {
        .learning_rate = &rate, .step = note_step, .progress = count_epochs, .context = &log, .epochs = 2};
    OK(gradc_fit(program, &options));
    CHECK(log.count == 6 && log.epochs == 2);
    double sum = 0;
    for (int i = 0; i < log.count; i++) {
        const gradc_step *step = &log.steps[i];
        CHECK(step->epoch == 1 + i / 3 && step->epochs == 2 && step->iteration == i + 1 && step->rows == 10);
        CHECK(step->rows_done == (i % 3 == 2 ? 10 : 4 * (i % 3 + 1)));
        CHECK(strcmp(step->loss, "squared") == 0 && step->seconds >= 0);
        if (i < 3) sum += step->step_loss * (i == 2 ? 2 : 4);
    }
    CHECK(fabs(sum - 285) < 1e-4);
    log = (StepLog){.stop_after = 2};
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration 2 of squared");
    CHECK(log.count == 2 && log.epochs == 0);
    // After the last step of an epoch, what belongs to the epoch's end is done first.
    log = (StepLog){.stop_after = 3};
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration 3 of squared");
    CHECK(log.count == 3 && log.epochs == 1);
    gradc_program_free(program);
}

// A weight that walks past its best value: w is 0.5, 1, 1.5, ... after each epoch of one step, and 2 is best.
static const char walk[] = "dim N\n"
                           "net walk() -> f32 { param w: f32 ~ zeros; return w }\n"
                           "net kept() -> f32 { state s: f32 ~ zeros; s = s + 1; return s }\n"
                           "loss onward() { return -walk() + 0 * kept() }\n"
                           "metric distance() { return abs(walk() - 2) }\n"
                           "metric closeness(x: f32[N]) { return 10 - abs(walk() - 2) + 0 * sum(x) }\n"
                           "loss fed(x: f32[N]) { return -walk() + 0 * sum(x) }\n"
                           "data points { file \"points.csv\"; x = columns[0]; split 0.8 }\n"
                           "train onward { optimizer sgd(lr = 0.5); epochs 8 }\n"
                           "train fed { data points; optimizer sgd(lr = 0.5); batch 8; epochs 8 }\n";

static void test_monitor(void) {
    gradc_program *program = compile_in_folder(walk);
    Log log = {0};
    gradc_fit_options options = {
        .loss = "fed", .monitor = "closeness", .monitor_greater = true, .progress = note, .context = &log};
    OK(gradc_fit(program, &options));
    float *parameters = gradc_parameters(program);
    CHECK(log.count == 8 && *parameters == 2);
    for (int i = 0; i < log.count; i++) {
        CHECK(log.epochs[i].best == (i < 4));
        CHECK(log.epochs[i].monitored == 10 - fabs(0.5 * (i + 1) - 2));
    }
    // Two epochs without a better one: the sixth is the last.
    options.patience = 2;
    log.count = 0;
    OK(gradc_fit(program, &options));
    CHECK(log.count == 6 && *parameters == 2);
    // The best is put back when training is stopped, too; before an epoch has ended there is none.
    log = (Log){.stop_after = 5};
    options.patience = 0;
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after epoch 5");
    CHECK(*parameters == 2);
    StepLog steps = {.stop_after = 1};
    options = (gradc_fit_options){.loss = "fed", .monitor = "closeness", .step = note_step, .context = &steps};
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration 1");
    CHECK(*parameters == 0.5f);
    // States of nets are put back with them: `kept` counts the steps, and adds one to what is stored.
    options = (gradc_fit_options){.loss = "onward", .monitor = "distance"};
    OK(gradc_fit(program, &options));
    gradc_call *call = create_call(program, "kept");
    OK(gradc_call_value(call));
    CHECK(*parameters == 2 && number(call) == 5);
    gradc_call_free(call);
    gradc_program_free(program);
}

// A loss is watched by its name, with the value that it has without training.
static void test_monitored_loss(void) {
    gradc_program *program = compile_in_folder(walk);
    Log log = {0};
    gradc_fit_options options = {.monitor = "loss", .progress = note, .context = &log, .epochs = 3};
    OK(gradc_fit(program, &options));
    CHECK(log.count == 6);
    for (int i = 0; i < log.count; i++) CHECK(isnan(log.epochs[i].monitored) == (i % 2 == 1));
    // Both blocks walk: onward's loss is that of its own step, fed's is measured after the epoch.
    CHECK(log.epochs[2].monitored == -1);
    options.monitor = "fed";
    log.count = 0;
    OK(gradc_fit(program, &options));
    CHECK(log.epochs[1].monitored == -1 && log.epochs[3].monitored == -2 && log.epochs[3].best);
    // Upwards nothing gets better after the first epoch.
    options =
        (gradc_fit_options){.loss = "fed", .monitor_greater = true, .patience = 3, .progress = note, .context = &log};
    log.count = 0;
    OK(gradc_fit(program, &options));
    CHECK(log.count == 4 && *(float *)gradc_parameters(program) == 0.5f);
    options.monitor = "accuracy";
    REFUSED(gradc_fit(program, &options), GRADC_ARGUMENT, "what can be watched is: loss, distance, closeness");
    options.patience = -1;
    REFUSED(gradc_fit(program, &options), GRADC_ARGUMENT, "patience cannot be negative");
    gradc_program_free(program);
}

static void test_failures(void) {
    gradc_program *program = compile_in_folder(line);
    double rate = 1e30;
    REFUSED(gradc_fit(program, &(gradc_fit_options){.learning_rate = &rate}), GRADC_NUMBER, "at iteration");
    REFUSED(gradc_fit(program, &(gradc_fit_options){.epochs = -1}), GRADC_ARGUMENT, "cannot be negative");
    REFUSED(gradc_fit(program, &(gradc_fit_options){.data = "/none.csv"}), GRADC_FILE, "cannot read '/none.csv'");
    gradc_program_free(program);
    program = compile_in_folder("loss l(x: f32) { param w: f32 ~ ones; return w * x }\n"
                                "train l { optimizer sgd }\n");
    REFUSED(gradc_fit(program, NULL), GRADC_DATA, "names no data");
    gradc_program_free(program);
}

// A loss that is not finite: the message says whether the data, a hyperparameter or the loss itself makes it so.
static void test_blame(void) {
    static const char model[] = "dim N\n"
                                "loss l(x: f32[N], y: f32[N]) { param w: f32 ~ ones; return mean((w * x - y)^2) }\n"
                                "data d { file \"holes.csv\"; missing nan; x = columns[0]; y = columns[1] }\n"
                                "train l { data d; optimizer sgd(lr = 0.001); batch 2 }\n";
    write_file("holes.csv", "1,2\n2,4\n\n,6\n4,8\n,10\n");
    gradc_program *program = compile_in_folder(model);
    REFUSED(gradc_fit(program, NULL), GRADC_DATA, "x of data d has NaN in 2 rows, the first at ");
    CHECK(strstr(gradc_message(program), "holes.csv:4; give missing cells a number: `missing 0`"));
    write_file("holes.csv", "1,2\n2,4\n");
    double rate = NAN;
    gradc_fit_options options = {.learning_rate = &rate, .epochs = 5};
    REFUSED(gradc_fit(program, &options), GRADC_NUMBER, "at iteration 2: hyperparameter lr is nan");
    gradc_program_free(program);
    program = compile_in_folder("dim N\n"
                                "loss l(x: f32[N]) { param w: f32 ~ ones; return mean((w * x)^2) }\n"
                                "data d { file \"holes.csv\"; x = columns[0] }\n"
                                "train l { data d; optimizer sgd(lr = 0.01 / iteration); epochs 3 }\n");
    REFUSED(gradc_fit(program, NULL), GRADC_NUMBER, "at iteration 2: lr was inf at iteration 1");
    rate = 0.1;
    REFUSED(gradc_fit(program, &options), GRADC_ARGUMENT, "is computed in the program, so it cannot be set");
    CHECK(strstr(gradc_message(program), "model.grad:4"));
    gradc_program_free(program);
    program = compile_in_folder("dim N\n"
                                "loss l(x: f32[N]) { param w: f32 ~ ones; return log(mean(x) - mean(x)) * w }\n"
                                "data d { file \"holes.csv\"; x = columns[0] }\n"
                                "train l { data d; optimizer sgd }\n");
    REFUSED(gradc_fit(program, NULL), GRADC_NUMBER, "infinite at iteration 1, before any update: look for log, /");
    gradc_program_free(program);
}

int main(void) {
    char text[256] = "x,y\n";
    if (!mkdtemp(folder)) return 1;
    for (int i = 0; i < 10; i++) snprintf(text + strlen(text), 16, "%d,%d\n", i, 2 * i);
    write_file("points.csv", text);
    test_epochs();
    test_seeds_and_stopping();
    test_turns();
    test_steps();
    test_monitor();
    test_monitored_loss();
    test_failures();
    test_blame();
    snprintf(text, sizeof text, "%s/points.csv", folder);
    unlink(text);
    snprintf(text, sizeof text, "%s/holes.csv", folder);
    unlink(text);
    rmdir(folder);
    return failures != 0;
}
