// Checkpoints: a training that was stopped, or killed at any moment, and resumed ends with the same bits as one that was
// never interrupted.
#include "resumed.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

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

int main(void) {
    if (!begin_folder(60)) return 1;
    test_pieces();
    test_one_loss();
    test_short_epochs();
    test_early_end();
    test_killed();
    return !end_folder() || failures != 0;
}
