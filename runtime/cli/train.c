// gradc train: trains on the program's data; saves weights, checkpoints and predictions.
#include "runtime/cli/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    Common common;
    Weights weights;
    gradc_fit_options fit;
    double learning_rate;
    uint64_t seed;
    bool no_epochs;   // --epochs 0
    char *monitor;    // what --monitor says, without its direction
    const char *save, *predictions, *predict;
    Progress progress;
} Options;

enum {
    KEY_EPOCHS = KEY_FIRST,
    KEY_LR,
    KEY_BATCH,
    KEY_SEED,
    KEY_DATA,
    KEY_LOSS,
    KEY_SAVE,
    KEY_EXPORT,
    KEY_PREDICTIONS,
    KEY_PREDICT,
    KEY_CHECKPOINT,
    KEY_CHECKPOINT_STEPS,
    KEY_RESUME,
    KEY_MONITOR,
    KEY_PATIENCE,
    KEY_LOG,
    KEY_QUIET,
    KEY_JSON
};

static const struct argp_option own_options[] = {
    {0, 0, 0, 0, "In place of what the program says:", 1},
    {"epochs", KEY_EPOCHS, "N", 0, "How often to go through the training rows; 0 trains nothing", 1},
    {"lr", KEY_LR, "NUMBER", 0, "The optimizer's learning rate", 1},
    {"batch", KEY_BATCH, "N", 0, "Rows in a step", 1},
    {"seed", KEY_SEED, "N", 0, "Of the first values, the order of rows and all random numbers", 1},
    {"data", KEY_DATA, "FILE", 0, "Read this file instead of the data block's", 1},
    {"loss", KEY_LOSS, "NAME", 0, "Run only the train block of this loss", 1},
    {0, 0, 0, 0, "When to end:", 2},
    {"monitor", KEY_MONITOR, "NAME[:max]", 0,
     "Watch this metric, or `loss`, over the held-out rows: the best epoch's weights are those at the end. The smaller "
     "the "
     "better; with :max the greater",
     2},
    {"patience", KEY_PATIENCE, "N", 0,
     "End after so many epochs without a better one; watches `loss` without --monitor", 2},
    {0, 0, 0, 0, "Files:", 3},
    {"save", KEY_SAVE, "FILE", 0, "Write the weights at the end: as safetensors, or as npz if the name ends in .npz",
     3},
    {"checkpoint", KEY_CHECKPOINT, "FILE", 0,
     "Write all that --resume needs: after epochs, at most once a second, at the end, and when stopped", 3},
    {"checkpoint-steps", KEY_CHECKPOINT_STEPS, "N", 0, "Also after so many steps", 3},
    {"resume", KEY_RESUME, "FILE", 0, "Go on from a checkpoint; new ones go to the same file without --checkpoint", 3},
    {"predictions", KEY_PREDICTIONS, "FILE", 0, "Write what the net says of the held-out rows at the end, as CSV", 3},
    {"predict", KEY_PREDICT, "NAME", 0, "The net for --predictions; by default the first that the data feeds", 3},
    {"log", KEY_LOG, "FILE", 0, "Write a line for each epoch, as CSV: loss, metrics, seconds; see gradc plot", 3},
    {"export", KEY_EXPORT, "FILE", 0,
     "Write the weights for another program, with names and axes as --rename, --transpose and --ignore say; they are "
     "not "
     "about --load then",
     3},
    {0, 0, 0, 0, "Output:", 4},
    {"quiet", KEY_QUIET, 0, 0, "Print no bar, and no line for each epoch", 4},
    JSON_OPTION(KEY_JSON, "an object for each epoch, one a line,"),
    {0},
};

static void parse_monitor(struct argp_state *state, Options *options, const char *text) {
    const char *colon = strchr(text, ':');
    if (colon == text || !*text || (colon && strcmp(colon, ":max") != 0 && strcmp(colon, ":min") != 0))
        argp_error(state,
                   "--monitor takes a metric's name or `loss`, with :max if the greater is the better, :min if the "
                   "smaller is, not '%s'",
                   text);
    free(options->monitor);
    options->monitor = checked(strndup(text, colon ? (size_t)(colon - text) : strlen(text)));
    options->fit.monitor = options->monitor;
    options->progress.directed = colon != NULL;
    options->fit.monitor_greater = colon && strcmp(colon, ":max") == 0;
}

// Files and what to watch; false if it is none of them.
static bool parse_files(int key, char *argument, struct argp_state *state, Options *options) {
    switch (key) {
    case KEY_SAVE: options->save = argument; return true;
    case KEY_EXPORT: options->weights.exported = argument; return true;
    case KEY_PREDICTIONS: options->predictions = argument; return true;
    case KEY_PREDICT: options->predict = argument; return true;
    case KEY_CHECKPOINT: options->fit.checkpoint = argument; return true;
    case KEY_CHECKPOINT_STEPS:
        options->fit.checkpoint_steps = parse_integer(state, "--checkpoint-steps", argument, 1);
        return true;
    case KEY_RESUME: options->fit.resume = argument; return true;
    case KEY_LOG: options->progress.log_path = argument; return true;
    case KEY_MONITOR: parse_monitor(state, options, argument); return true;
    case KEY_PATIENCE: options->fit.patience = parse_integer(state, "--patience", argument, 1); return true;
    default: return false;
    }
}

// The name says the format, so that no file of PyTorch's name holds something else.
static void check_weight_file(struct argp_state *state, const char *option, const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
    if (path && strchr(name, '.') && !has_suffix(path, ".safetensors") && !has_suffix(path, ".npz"))
        argp_error(state, "%s can end in .safetensors or .npz, not '%s'", option, path);
}

static void check_options(struct argp_state *state, Options *options) {
    gradc_fit_options *fit = &options->fit;
    check_weight_file(state, "--save", options->save);
    check_weight_file(state, "--export", options->weights.exported);
    if (fit->resume && options->weights.load)
        argp_error(state, "--resume goes on with a checkpoint's weights, --load with others: choose one");
    if (fit->resume && !fit->checkpoint) fit->checkpoint = fit->resume;
    if (fit->checkpoint_steps && !fit->checkpoint) argp_error(state, "--checkpoint-steps needs --checkpoint=FILE");
    if (options->predict && !options->predictions) argp_error(state, "--predict needs --predictions=FILE");
}

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        state->child_inputs[1] = &options->weights;
        return 0;
    case KEY_EPOCHS:
        options->fit.epochs = parse_integer(state, "--epochs", argument, 0);
        options->no_epochs = options->fit.epochs == 0;
        return 0;
    case KEY_LR:
        options->learning_rate = parse_number(state, "--lr", argument);
        options->fit.learning_rate = &options->learning_rate;
        return 0;
    case KEY_BATCH: options->fit.batch = parse_integer(state, "--batch", argument, 1); return 0;
    case KEY_SEED:
        options->seed = parse_seed(state, "--seed", argument);
        options->fit.seed = &options->seed;
        return 0;
    case KEY_DATA: options->fit.data = argument; return 0;
    case KEY_LOSS: options->fit.loss = argument; return 0;
    case KEY_QUIET: options->progress.quiet = true; return 0;
    case KEY_JSON: options->progress.json = true; return 0;
    case ARGP_KEY_SUCCESS: check_options(state, options); return 0;
    default: return parse_files(key, argument, state, options) ? 0 : ARGP_ERR_UNKNOWN;
    }
}

// ---- mistakes in files, found before training

typedef struct {
    const char *option, *path;
} Named;

enum { OUTPUT_COUNT = 5 };

// Whether a file that is to be written is one that is read, or another that is written. A checkpoint may take the place
// of the one it goes on from, and weights that of those loaded.
static bool is_taken(gradc_program *program, const Options *options, const Named outputs[OUTPUT_COUNT], int index) {
    const Named *output = &outputs[index];
    const char *taken = same_place(output->path, options->common.file) ? "the model" : NULL;
    if (same_place(output->path, options->fit.data)) taken = "the data";
    gradc_data_info info;
    const char *path;
    for (int i = 0; gradc_data_block(program, i, &info); i++)
        for (int k = 0; (path = gradc_data_file(program, i, k)); k++)
            if (same_place(output->path, path)) taken = "the data";
    for (int i = 0; i < index; i++)
        if (same_place(output->path, outputs[i].path)) taken = outputs[i].option;
    if (taken) fprintf(stderr, "gradc: %s=%s would overwrite %s\n", output->option, output->path, taken);
    return taken != NULL;
}

static bool check_outputs(gradc_program *program, const Options *options) {
    const Named outputs[OUTPUT_COUNT] = {{"--save", options->save},
                                         {"--checkpoint", options->fit.checkpoint},
                                         {"--predictions", options->predictions},
                                         {"--log", options->progress.log_path},
                                         {"--export", options->weights.exported}};
    for (int i = 0; i < OUTPUT_COUNT; i++)
        if (outputs[i].path && (!can_write(outputs[i].path) || is_taken(program, options, outputs, i))) return false;
    return true;
}

// ---- Ctrl-C: training ends after the step that runs; a second one ends gradc at once

static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    static const char text[] = "\ngradc: stopping after this step; once more to quit at once\n";
    stop_signal = number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) return;
}

static void catch_signals(void) {
    const int numbers[] = {SIGINT, SIGTERM};
    struct sigaction before, action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 2; i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
}

static bool on_step(void *context, const gradc_step *step) {
    Options *options = context;
    progress_step(&options->progress, step);
    return !stop_signal;
}

static bool on_epoch(void *context, const gradc_progress *epoch) {
    Options *options = context;
    return progress_epoch(&options->progress, epoch);   // the next step sees a signal
}

// ---- the end

// The learning rate that a train block begins with; NaN: it has none.
static double learning_rate_of(const gradc_program *program, const Options *options, const char *loss) {
    gradc_train_info train;
    gradc_hyperparameter_info parameter;
    if (options->fit.learning_rate) return options->learning_rate;
    for (int i = 0; gradc_train_block(program, i, &train); i++)
        for (int k = 0; strcmp(train.loss, loss) == 0 && gradc_hyperparameter(program, i, k, &parameter); k++)
            if (strcmp(parameter.name, "lr") == 0) return parameter.value;
    return NAN;
}

// What helps when a loss runs away: a smaller learning rate.
static void suggest_rate(const gradc_program *program, const Options *options, gradc_status status) {
    const Progress *progress = &options->progress;
    for (int i = 0; i < progress->block_count; i++) {
        const BlockProgress *block = &progress->blocks[i];
        double rate = learning_rate_of(program, options, block->loss);
        bool grew = !status && block->first_loss > 0 && block->last_loss > 2 * block->first_loss;
        bool ran_away = status == GRADC_NUMBER && block->iteration > 0;   // at the first step no update was made
        if ((!ran_away && !grew) || !(rate > 0)) continue;
        if (grew)
            fprintf(stderr, "gradc: the loss %s grew from %.4g to %.4g\n", block->loss, block->first_loss,
                    block->last_loss);
        fprintf(stderr, "gradc: help: a smaller learning rate often mends this: it was %g; try --lr=%g\n", rate,
                rate / 10);
        return;
    }
}

static void report_early_end(const Options *options) {
    const Progress *progress = &options->progress;
    const BlockProgress *block = &progress->blocks[0];
    if (!block->epoch) fprintf(stderr, "gradc: note: no epoch was left to run; --epochs=N asks for more\n");
    if (!options->fit.patience || progress->quiet || progress->json || block->epoch >= block->epochs) return;
    printf("ended after epoch %" PRId64 " of %" PRId64 ": %" PRId64 " %s no better\n", block->epoch, block->epochs,
           options->fit.patience, options->fit.patience == 1 ? "epoch was" : "epochs were");
}

static gradc_status save_all(gradc_program *program, const Options *options, const gradc_predict_options *predict) {
    gradc_status status = options->save ? gradc_save(program, options->save) : GRADC_OK;
    if (!status) status = export_weights(program, &options->weights);
    if (!status && options->predictions) status = gradc_predict(program, predict, options->predictions);
    return status;
}

// What was stopped by a signal, and where it is kept.
static int report_stop(const Options *options) {
    const char *kept[] = {options->save, options->fit.checkpoint, options->weights.exported, options->predictions};
    const char *before = "; wrote";
    fprintf(stderr, "gradc: stopped");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i]) fprintf(stderr, "%s '%s'", before, kept[i]);
        if (kept[i]) before = " and";
    }
    if (!options->save && !options->fit.checkpoint)
        fprintf(stderr, "%sno weights were saved, as --save=FILE or --checkpoint=FILE would",
                options->weights.exported || options->predictions ? "; " : ": ");
    fputc('\n', stderr);
    return EXIT_SIGNAL + stop_signal;
}

static int fit(gradc_program *program, Options *options, const gradc_predict_options *predict) {
    options->fit.step = on_step;
    options->fit.progress = on_epoch;
    options->fit.context = options;
    options->fit.keep_parameters = options->weights.load != NULL;
    options->progress.program = program;
    options->progress.monitor = options->fit.monitor ? options->fit.monitor : options->fit.patience ? "loss" : NULL;
    options->progress.append = options->fit.resume != NULL;
    catch_signals();
    bool begun = progress_begin(&options->progress, options->fit.loss);
    gradc_status status = begun ? gradc_fit(program, &options->fit) : GRADC_OK;
    bool written = progress_end(&options->progress);
    bool stopped = status == GRADC_STOPPED && stop_signal;
    if (status == GRADC_STOPPED && !stopped) return EXIT_ERROR;   // the output could not be written: said already
    int failure = status && !stopped ? report_status(program, status) : EXIT_DONE;
    suggest_rate(program, options, status);
    if (failure) return failure;
    if (!stopped) report_early_end(options);
    int exit_code = report_status(program, save_all(program, options, predict));
    if (exit_code) return exit_code;
    return stopped ? report_stop(options) : written ? EXIT_DONE : EXIT_ERROR;
}

static int train(gradc_program *program, Options *options) {
    gradc_predict_options predict = {.entry = options->predict, .file = options->fit.data, .rows = GRADC_ROWS_HELD_OUT};
    if (!check_outputs(program, options)) return EXIT_ERROR;
    gradc_status status = GRADC_OK;
    // What is wrong with the data, and with what is to be predicted, is said before anything is computed.
    if (options->predictions) status = gradc_predict(program, &predict, NULL);
    if (!status && options->weights.load) status = load_weights(program, &options->weights);
    else if (!status && options->no_epochs && options->fit.seed) status = gradc_initialise(program, options->seed);
    if (!status && options->no_epochs) status = save_all(program, options, &predict);
    if (status || options->no_epochs) return report_status(program, status);
    return fit(program, options, &predict);
}

static int run_train(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    parse_line(&train_command, argc, argv, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (program) {
        exit_code = train(program, &options);
        progress_free(&options.progress);
        close_program(program, &options.common, exit_code);
    }
    weights_free(&options.weights);
    free(options.monitor);
    return exit_code;
}

static const char *const examples[] = {
    "gradc train digits.grad",
    "train as the file says",
    "gradc train digits.grad --epochs=5 --lr=0.01 --save=w.safetensors",
    "shorter and faster, and keep the weights",
    "gradc train digits.grad --monitor=accuracy:max --patience=10 --save=w.safetensors",
    "end when the accuracy over the held-out rows no longer grows, and keep the best epoch's weights",
    "gradc train digits.grad --checkpoint=digits.checkpoint",
    "be ready for anything",
    "gradc train digits.grad --resume=digits.checkpoint --save=w.safetensors",
    "and go on from there",
    NULL,
};
const Command train_command = {
    .name = "train",
    .summary = "train the network of a model file on its data",
    .arguments = "FILE",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .loads = true,
    .description =
        "Runs the train blocks of the model file as they say, or as options say in their place. The data file is "
        "looked for beside the model file. The same seed gives the same bits on every machine.\n\n"
        "On a terminal a bar shows loss, metrics, throughput and the time that is left; elsewhere a line is "
        "printed for each epoch. The loss is the mean over the epoch's steps; metrics are computed over the "
        "held-out rows after it, and so is held_out_loss where --monitor or --patience watch the loss.\n\n"
        "Ctrl-C ends the training after the step that runs; what --save, --checkpoint, --predictions and "
        "--export name is written then, and the exit code is 130. A second one quits at once. In scripts use `kill "
        "-TERM`: shells let background processes ignore INT.",
    .examples = examples,
    .run = run_train,
};
