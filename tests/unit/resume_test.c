// Checkpoints: a training that was stopped, or killed at any moment, and resumed ends with the same bits as one that was
// never interrupted; a checkpoint that does not fit is refused and changes nothing; one that cannot be written leaves the
// one before.
#include "tests/unit/host.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[256], checkpoint[300];

static const char *in_folder(const char *name) {
    static char paths[4][512];   // the last four are valid
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t length) {
    FILE *stream = fopen(in_folder(name), "wb");
    if (!stream || fwrite(bytes, 1, length, stream) != length || fclose(stream) != 0) exit(1);
}

static char *read_bytes(const char *name, size_t *length) {
    FILE *stream = fopen(in_folder(name), "rb");
    if (!stream) return NULL;
    char *bytes = malloc(1 << 20);
    *length = fread(bytes, 1, 1 << 20, stream);
    fclose(stream);
    return bytes;
}

static bool same_files(const char *one, const char *other) {
    size_t length, other_length;
    char *bytes = read_bytes(one, &length), *other_bytes = read_bytes(other, &other_length);
    bool same = bytes && other_bytes && length == other_length && memcmp(bytes, other_bytes, length) == 0;
    free(bytes);
    free(other_bytes);
    return same;
}

// All that a training can carry from step to step: running statistics, random numbers, moments of several optimizers, a
// schedule, a second block that takes turns, and a metric that is watched.
static const char model[] =
    "dim N\n"
    "net body(x: f32[N, 3]) -> f32[N] {\n"
    "    use level = batch_norm<3>\n"
    "    use hidden = dense<3, 8, tanh>\n"
    "    use last = dense<8, 1>\n"
    "    return last(dropout(hidden(level(x)), p = 0.2))[:, 0]\n"
    "}\n"
    "net scale() -> f32 { param s: f32 ~ ones; return s }\n"
    "loss fit(x: f32[N, 3], y: f32[N]) { return mse_loss(body(x) * scale(), y) }\n"
    "loss small() { return scale()^2 + 0.1 * sum(normal([2])) * scale() }\n"
    "metric error(x: f32[N, 3], y: f32[N]) { return mean(abs(body(x) * scale() - y)) }\n"
    "data points { file \"points.csv\"; x = columns[0:3]; y = columns[3]; split 0.8 }\n"
    "train fit {\n"
    "    data points\n"
    "    parameters body\n"
    "    optimizer adam(lr = cosine_annealing(iteration, 2e-2, iterations))\n"
    "    optimizer sgd(lr = 0.05, momentum = 0.9) for \"*.b\"\n"
    "    batch 7\n"
    "    epochs 4\n"
    "    seed 3\n"
    "}\n"
    "train small { parameters scale; optimizer sgd(lr = 0.01, momentum = 0.5); epochs 11; repeat 2 }\n";

static gradc_program *compile_model(const char *text) {
    gradc_program *program;
    if (gradc_compile_text(in_folder("model.grad"), text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// The model with `to` in place of `from`.
static gradc_program *compile_changed(const char *from, const char *to) {
    char text[4096];
    const char *place = strstr(model, from);
    if (!place) exit(1);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(place - model), model, to, place + strlen(from));
    return compile_model(text);
}

static gradc_fit_options watched(void) {
    return (gradc_fit_options){.monitor = "error", .checkpoint = checkpoint};
}

typedef struct {
    int steps, stop_after;
    int epochs;
    double told[64][2];   // of each epoch: its mean loss, and what was watched
} Stop;

static bool stop_after(void *context, const gradc_step *step) {
    Stop *stop = context;
    return step->rows > 0 && ++stop->steps != stop->stop_after;
}

static bool note_epoch(void *context, const gradc_progress *progress) {
    Stop *stop = context;
    stop->told[stop->epochs][0] = progress->mean_loss;
    stop->told[stop->epochs++][1] = isnan(progress->monitored) ? 0 : progress->monitored;
    return stop->epochs < 64;
}

// Resumes until it ends by itself, stopped after every `steps` steps.
static int train_in_pieces(gradc_program *program, gradc_fit_options options, int steps, Stop *stop) {
    *stop = (Stop){.stop_after = steps};
    options.step = stop_after;
    options.progress = note_epoch;
    options.context = stop;
    for (int pieces = 1;; pieces++) {
        stop->steps = 0;
        gradc_status status = gradc_fit(program, &options);
        if (status != GRADC_STOPPED) {
            OK(status);
            return pieces;
        }
        // What the checkpoint does not bring back shows.
        OK(gradc_initialise(program, 99));
        options.resume = options.checkpoint;
    }
}

static void test_pieces(void) {
    gradc_program *program = compile_model(model), *other = compile_model(model);
    gradc_fit_options options = watched();
    Stop once = {0}, stop;
    options.checkpoint = NULL;
    options.progress = note_epoch;
    options.context = &once;
    OK(gradc_fit(program, &options));
    CHECK(once.epochs == 4 + 11);
    OK(gradc_save(program, in_folder("whole")));
    static const int sizes[] = {1, 2, 5, 6, 13, 30};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int pieces = train_in_pieces(other, watched(), sizes[i], &stop);
        CHECK(pieces > 1 && stop.epochs == once.epochs);
        CHECK(memcmp(stop.told, once.told, sizeof once.told) == 0);
        OK(gradc_save(other, in_folder("pieces")));
        CHECK(same_files("whole", "pieces"));
    }
    // One that has ended has nothing left to do, and ends with the same.
    OK(gradc_initialise(other, 99));
    OK(gradc_fit(other, &(gradc_fit_options){.resume = checkpoint}));
    OK(gradc_save(other, in_folder("pieces")));
    CHECK(same_files("whole", "pieces"));
    // The best epoch's weights can be loaded from a checkpoint.
    OK(gradc_initialise(other, 99));
    OK(gradc_load(other, checkpoint));
    OK(gradc_save(other, in_folder("pieces")));
    CHECK(same_files("whole", "pieces"));
    gradc_program_free(other);
    gradc_program_free(program);
}

// A loss that was trained alone is what is resumed, and weights in an npz file are as good.
static void test_one_loss(void) {
    gradc_program *program = compile_model(model), *other = compile_model(model);
    Stop stop = {.stop_after = 9};
    gradc_fit_options options = {.loss = "small", .epochs = 30};
    OK(gradc_fit(program, &options));
    OK(gradc_save(program, in_folder("whole.npz")));
    options.step = stop_after;
    options.context = &stop;
    options.checkpoint = checkpoint;
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration 9 of small");
    OK(gradc_fit(other, &(gradc_fit_options){.resume = checkpoint}));
    OK(gradc_save(other, in_folder("pieces.npz")));
    CHECK(same_files("whole.npz", "pieces.npz"));
    // More epochs can be asked for, and another learning rate.
    double rate = 0;
    OK(gradc_fit(other, &(gradc_fit_options){.resume = checkpoint, .epochs = 40, .learning_rate = &rate}));
    gradc_trainer *trainer = create_trainer(other, "small");
    CHECK(gradc_trainer_iteration(trainer) == 40);
    OK(gradc_trainer_get(trainer, "lr", &rate));
    CHECK(rate == 0);
    gradc_trainer_free(trainer);
    gradc_program_free(other);
    gradc_program_free(program);
}

static double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Epochs of microseconds do not write a file each; the last one does.
static bool count_files(void *context, const gradc_progress *progress) {
    (void)progress;
    *(int *)context += unlink(checkpoint) == 0;
    return true;
}

static void test_short_epochs(void) {
    gradc_program *program = compile_model(model), *other = compile_model(model);
    int files = 0;
    double began = seconds_now();
    unlink(checkpoint);
    gradc_fit_options options = {
        .loss = "small", .epochs = 500, .checkpoint = checkpoint, .progress = count_files, .context = &files};
    OK(gradc_fit(program, &options));
    CHECK(files >= 1 && files <= 2 + seconds_now() - began);
    OK(gradc_save(program, in_folder("whole")));
    OK(gradc_fit(other, &(gradc_fit_options){.resume = checkpoint}));   // nothing is left to do
    OK(gradc_save(other, in_folder("pieces")));
    CHECK(same_files("whole", "pieces"));
    gradc_program_free(other);
    gradc_program_free(program);
}

// An early end is found again, at the same epoch, and what was set while running counts on.
typedef struct {
    gradc_trainer *trainer;
    int epochs, stop_at;
} Course;

static bool follow(void *context, const gradc_progress *progress) {
    Course *course = context;
    if (strcmp(progress->loss, "fit") != 0) return true;
    course->epochs = (int)progress->epoch;
    if (progress->epoch == 2) gradc_trainer_set(course->trainer, "*.b:lr", 0.3);
    return progress->epoch != course->stop_at;
}

static void test_early_end(void) {
    gradc_program *program = compile_model(model);
    gradc_trainer *trainer = create_trainer(program, "fit");
    double rate;
    OK(gradc_trainer_get(trainer, "*.b:lr", &rate));
    Course course = {.trainer = trainer};
    gradc_fit_options options = watched();
    options.patience = 2;
    options.epochs = 60;
    options.progress = follow;
    options.context = &course;
    OK(gradc_fit(program, &options));
    CHECK(course.epochs > 3 && course.epochs < 60);
    OK(gradc_save(program, in_folder("whole")));
    int epochs = course.epochs;
    OK(gradc_trainer_set(trainer, "*.b:lr", rate));
    course.stop_at = epochs - 1;   // one of the two epochs that patience waits is over
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after epoch");
    OK(gradc_trainer_set(trainer, "*.b:lr", rate));
    course.stop_at = 0;
    // Patience, epochs and what is watched come from the checkpoint.
    OK(gradc_fit(program, &(gradc_fit_options){.resume = checkpoint, .progress = follow, .context = &course}));
    CHECK(course.epochs == epochs);
    OK(gradc_trainer_get(trainer, "*.b:lr", &rate));
    CHECK(rate == 0.3);
    OK(gradc_save(program, in_folder("pieces")));
    CHECK(same_files("whole", "pieces"));
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

// ---- killed

static void wait_randomly(double most) {
    double seconds = most * (double)rand() / RAND_MAX;
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

// Trains in a process of its own, from the checkpoint if there is one, and writes "pieces" when it is done.
static pid_t start_training(gradc_program *program) {
    pid_t process = fork();
    if (process != 0) return process;
    gradc_fit_options options = watched();
    options.checkpoint_steps = 2;
    if (access(options.checkpoint, F_OK) == 0) options.resume = options.checkpoint;
    gradc_status status = gradc_fit(program, &options);
    if (!status) status = gradc_save(program, in_folder("pieces"));
    if (status) fprintf(stderr, "%s\n", gradc_message(program));
    _exit(status != GRADC_OK);
}

static void test_killed(void) {
    enum { KILLS = 200 };
    gradc_program *program = compile_model(model);
    gradc_fit_options options = watched();
    options.checkpoint_steps = 2;
    unlink(options.checkpoint);
    double began = seconds_now();
    OK(gradc_fit(program, &options));   // everything is compiled before the first fork
    double whole = seconds_now() - began;
    OK(gradc_save(program, in_folder("whole")));
    unlink(options.checkpoint);
    began = seconds_now();
    OK(gradc_fit(program, &options));
    whole = seconds_now() - began < whole ? seconds_now() - began : whole;
    unlink(options.checkpoint);
    int kills = 0, ends = 0, state;
    srand(1);
    while (kills < KILLS || !ends) {
        pid_t process = start_training(program);
        if (process < 0) exit(1);
        // The last one is let go on; the others are killed early enough that each training is killed several times.
        if (kills < KILLS) {
            wait_randomly(whole / 3);
            kill(process, SIGKILL);
        }
        if (waitpid(process, &state, 0) != process) exit(1);
        kills += WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL;
        if (!WIFEXITED(state)) continue;
        CHECK(WEXITSTATUS(state) == 0 && same_files("whole", "pieces"));
        if (failures) break;
        ends++;
        unlink(options.checkpoint);
        unlink(in_folder("pieces"));
    }
    if (ends < 3 || failures) printf("%d kills, %d ends\n", kills, ends);
    gradc_program_free(program);
}

// ---- refused

static void refuse(gradc_program *program, gradc_fit_options options, const char *words) {
    OK(gradc_initialise(program, 7));
    OK(gradc_save(program, in_folder("before")));
    options.resume = checkpoint;
    REFUSED(gradc_fit(program, &options), GRADC_DATA, words);
    OK(gradc_save(program, in_folder("after")));
    CHECK(same_files("before", "after"));
}

static void refuse_changed(const char *from, const char *to, const char *words) {
    gradc_program *program = compile_changed(from, to);
    refuse(program, (gradc_fit_options){0}, words);
    gradc_program_free(program);
}

static void test_other_programs(void) {
    gradc_program *program = compile_model(model);
    gradc_fit_options options = watched();
    uint64_t seed = 4;
    Stop stop = {.stop_after = 12};
    options.step = stop_after;
    options.context = &stop;
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration");
    refuse(program, (gradc_fit_options){.seed = &seed}, "the seed is 3 there, but 4 here");
    refuse(program, (gradc_fit_options){.loss = "fit"}, "the number of losses that are trained is 2 there, but 1 here");
    refuse_changed("dense<3, 8, tanh>", "dense<3, 8, relu>", "it is of another program; what differs: loss fit");
    refuse_changed("momentum = 0.5", "momentum = 0.6", "the optimizer of small; another learning rate for");
    refuse_changed("split 0.8", "split 0.5", "what differs: data points");
    refuse_changed("y = columns[3]", "y = columns[2]", "what differs: data points");
    refuse_changed("y = columns[3]", "y = columns[\"y\"]", "what differs: data points");
    refuse_changed("dense<3, 8, tanh>\n    use last = dense<8, 1>", "dense<3, 9, tanh>\n    use last = dense<9, 1>",
                   "the parameters");
    // Comments, layout, local names, entries that are not trained and settings that may be chosen anew do not matter.
    gradc_program *same =
        compile_changed("net body", "# A body.\nmetric more(x: f32[N, 3]) { return sum(x) }\nnet body");
    OK(gradc_fit(same, &(gradc_fit_options){.resume = checkpoint}));
    gradc_program_free(same);
    same = compile_changed("param s: f32 ~ ones; return s", "param s: f32 ~ ones\n    t = s\n    return t");
    OK(gradc_fit(same, &(gradc_fit_options){.resume = checkpoint}));
    gradc_program_free(same);
    same = compile_changed("epochs 11; repeat 2", "epochs 12\nrepeat 2");
    OK(gradc_fit(same, &(gradc_fit_options){.resume = checkpoint, .batch = 5}));
    gradc_program_free(same);
    // Weights are no checkpoint.
    OK(gradc_save(program, in_folder("whole")));
    REFUSED(gradc_fit(program, &(gradc_fit_options){.resume = in_folder("whole")}), GRADC_DATA,
            "is not a checkpoint of gradc");
    REFUSED(gradc_fit(program, &(gradc_fit_options){.resume = in_folder("none")}), GRADC_FILE, "No such file");
    gradc_program_free(program);
}

// Other data than those the training began with.
static void write_points(int count) {
    char text[16384] = "a,b,c,y\n";
    for (int i = 0; i < count; i++) {
        double a = sin(i * 1.7), b = cos(i * 2.3), c = sin(i * 0.9 + 1);
        snprintf(text + strlen(text), 100, "%.6f,%.6f,%.6f,%.6f\n", a, b, c, a * b + c * c - 0.4 * sin(17 * i));
    }
    write_bytes("points.csv", text, strlen(text));
}

static void test_other_data(int count) {
    gradc_program *program = compile_model(model);
    write_points(count - 10);
    refuse(program, (gradc_fit_options){0}, "the number of rows that train fit is");
    write_points(count);
    gradc_program_free(program);
}

// Cut off anywhere, or with another byte in its header, it is refused, or nothing in it mattered.
static void test_damage(void) {
    gradc_program *program = compile_model(model);
    size_t length, header;
    char *bytes = read_bytes("checkpoint", &length);
    memcpy(&header, bytes, sizeof header);
    gradc_fit_options options = {.resume = in_folder("damaged"), .step = NULL};
    for (size_t i = 0; i < length; i += 97) {
        write_bytes("damaged", bytes, i);
        options.resume = in_folder("damaged");
        REFUSED(gradc_fit(program, &options), GRADC_DATA, "damaged");
    }
    int taken = 0;
    for (size_t i = 0; i < header + 8; i += 7) {
        Stop stop = {.stop_after = 1};
        options = (gradc_fit_options){.resume = in_folder("damaged"), .step = stop_after, .context = &stop};
        bytes[i] ^= 5;
        write_bytes("damaged", bytes, length);
        gradc_status status = gradc_fit(program, &options);
        CHECK(status == GRADC_DATA || status == GRADC_ARGUMENT || status == GRADC_FILE || status == GRADC_STOPPED ||
              status == GRADC_OK || status == GRADC_NUMBER);
        taken += status != GRADC_DATA;
        bytes[i] ^= 5;
    }
    CHECK(taken < (int)header / 7 / 2);
    free(bytes);
    gradc_program_free(program);
}

// ---- files that cannot be written

static void test_full_disk(void) {
    gradc_program *program = compile_model(model);
    gradc_fit_options options = watched();
    OK(gradc_fit(program, &options));
    size_t length;
    char *before = read_bytes("checkpoint", &length);
    write_bytes("kept", before, length);
    free(before);
    struct rlimit limit, unlimited;
    getrlimit(RLIMIT_FSIZE, &unlimited);
    signal(SIGXFSZ, SIG_IGN);
    limit = unlimited;
    limit.rlim_cur = length / 2;
    setrlimit(RLIMIT_FSIZE, &limit);
    gradc_status status = gradc_fit(program, &options);
    setrlimit(RLIMIT_FSIZE, &unlimited);
    REFUSED(status, GRADC_FILE, "cannot write");
    CHECK(same_files("checkpoint", "kept"));
    char temporary[64];
    snprintf(temporary, sizeof temporary, "checkpoint.tmp-%ld-0", (long)getpid());
    CHECK(access(in_folder(temporary), F_OK) != 0);
    options.checkpoint = "/dev/full";
    REFUSED(gradc_fit(program, &options), GRADC_FILE, "cannot write '/dev/full'");
    options.checkpoint = in_folder("none/checkpoint");
    REFUSED(gradc_fit(program, &options), GRADC_FILE, "No such file");
    options.checkpoint_steps = -1;
    REFUSED(gradc_fit(program, &options), GRADC_ARGUMENT, "checkpoint_steps");
    gradc_program_free(program);
}

// What writers that were killed left beside a checkpoint goes when the next training begins; other files stay.
static void test_left_over(void) {
    gradc_program *program = compile_model(model);
    char mine[64];
    pid_t gone = fork();
    if (gone == 0) _exit(0);
    waitpid(gone, NULL, 0);
    char dead[64];
    snprintf(dead, sizeof dead, "checkpoint.tmp-%d-0", (int)gone);
    snprintf(mine, sizeof mine, "checkpoint.tmp-%d-0", (int)getppid());
    write_bytes(dead, "x", 1);
    write_bytes(mine, "x", 1);
    write_bytes("checkpoint.tmp-1x", "x", 1);
    gradc_fit_options options = watched();
    OK(gradc_fit(program, &options));
    CHECK(access(in_folder(dead), F_OK) != 0);
    CHECK(access(in_folder(mine), F_OK) == 0 && access(in_folder("checkpoint.tmp-1x"), F_OK) == 0);
    gradc_program_free(program);
}

int main(void) {
    enum { POINTS = 60 };
    // In memory where that is possible: hundreds of files are flushed to the disk, which is to take no minutes.
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "/dev/shm/gradc-resume-XXXXXX");
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "%s/gradc-resume-XXXXXX", base ? base : P_tmpdir);
        if (!mkdtemp(folder)) return 1;
    }
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    write_points(POINTS);
    test_pieces();
    test_one_loss();
    test_short_epochs();
    test_early_end();
    test_other_programs();
    test_other_data(POINTS);
    test_damage();
    test_full_disk();
    test_left_over();
    test_killed();
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0 || failures != 0;
}
