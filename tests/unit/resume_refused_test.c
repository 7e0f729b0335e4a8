// Checkpoints that do not fit are refused and change nothing; one that cannot be written leaves the one before.
#include "resumed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

// ---- refused

static void refuse_with(gradc_program *program, gradc_fit_options options, gradc_status status, const char *words) {
    OK(gradc_initialise(program, 7));
    OK(gradc_save(program, in_folder("before")));
    options.resume = checkpoint;
    REFUSED(gradc_fit(program, &options), status, words);
    OK(gradc_save(program, in_folder("after")));
    CHECK(same_files("before", "after"));
}

static void refuse(gradc_program *program, gradc_fit_options options, const char *words) {
    refuse_with(program, options, GRADC_DATA, words);
}

static void refuse_changed(const char *from, const char *to, const char *words) {
    gradc_program *program = compile_changed(from, to);
    refuse(program, (gradc_fit_options){0}, words);
    gradc_program_free(program);
}

// A rate that cannot be set is found out before anything is taken over.
static void test_scheduled_rate(void) {
    gradc_program *program = compile_changed("    optimizer sgd(lr = 0.05, momentum = 0.9) for \"*.b\"\n", "");
    gradc_fit_options options = watched();
    Stop stop = {.stop_after = 12};
    options.step = stop_after;
    options.context = &stop;
    REFUSED(gradc_fit(program, &options), GRADC_STOPPED, "stopped after iteration");
    double rate = 0.1;
    refuse_with(program, (gradc_fit_options){.learning_rate = &rate}, GRADC_ARGUMENT, "cannot be set");
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
    if (!begin_folder(POINTS)) return 1;
    test_scheduled_rate();
    test_other_programs();
    test_other_data(POINTS);
    test_damage();
    test_full_disk();
    test_left_over();
    return !end_folder() || failures != 0;
}
