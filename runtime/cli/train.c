// gradc train: trains on the program's data, one line an epoch; saves weights and predictions.
#include "runtime/cli/cli.h"

#include <inttypes.h>

typedef struct {
    Common common;
    gradc_fit_options fit;
    double learning_rate;
    uint64_t seed;
    bool no_epochs;   // --epochs 0
    const char *save, *load, *predictions, *predict;
    bool quiet;
    bool several;   // more than one train block takes turns
} Options;

enum {
    KEY_EPOCHS = KEY_FIRST,
    KEY_LR,
    KEY_BATCH,
    KEY_SEED,
    KEY_SAVE,
    KEY_LOAD,
    KEY_DATA,
    KEY_PREDICTIONS,
    KEY_PREDICT,
    KEY_LOSS,
    KEY_QUIET
};

static const struct argp_option own_options[] = {
    {0, 0, 0, 0, "In place of what the program says:", 1},
    {"epochs", KEY_EPOCHS, "N", 0, "How often to go through the training rows; 0 trains nothing", 1},
    {"lr", KEY_LR, "NUMBER", 0, "The optimizer's learning rate", 1},
    {"batch", KEY_BATCH, "N", 0, "Rows in a step", 1},
    {"seed", KEY_SEED, "N", 0, "Of the first values, the order of rows and all random numbers", 1},
    {"data", KEY_DATA, "FILE", 0, "Read this file instead of the data block's", 1},
    {"loss", KEY_LOSS, "NAME", 0, "Run only the train block of this loss", 1},
    {0, 0, 0, 0, "Files:", 2},
    {"load", KEY_LOAD, "FILE", 0, "Begin with the weights of a safetensors file", 2},
    {"save", KEY_SAVE, "FILE", 0, "Write the weights at the end, as safetensors", 2},
    {"predictions", KEY_PREDICTIONS, "FILE", 0, "Write what the net says of the held-out rows at the end, as CSV", 2},
    {"predict", KEY_PREDICT, "NAME", 0, "The net for --predictions; by default the first that the data feeds", 2},
    {0, 0, 0, 0, "Output:", 3},
    {"quiet", KEY_QUIET, 0, 0, "Print no line for each epoch", 3},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->common; return 0;
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
    case KEY_LOAD: options->load = argument; return 0;
    case KEY_SAVE: options->save = argument; return 0;
    case KEY_PREDICTIONS: options->predictions = argument; return 0;
    case KEY_PREDICT: options->predict = argument; return 0;
    case KEY_QUIET: options->quiet = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static bool print_epoch(void *context, const gradc_progress *progress) {
    const Options *options = context;
    if (options->several) printf("%s  ", progress->loss);
    printf("epoch %" PRId64 "/%" PRId64 "  loss %.6g", progress->epoch, progress->epochs, progress->mean_loss);
    for (int i = 0; i < progress->metric_count; i++)
        printf("  %s %.4f", progress->metrics[i].name, progress->metrics[i].value);
    printf("  %.2f s\n", progress->seconds);
    fflush(stdout);
    return !ferror(stdout);
}

static gradc_status train(gradc_program *program, Options *options) {
    gradc_train_info info;
    options->several = !options->fit.loss && gradc_train_block(program, 1, &info);
    options->fit.keep_parameters = options->load != NULL;
    if (!options->quiet) options->fit.progress = print_epoch;
    options->fit.context = options;
    gradc_status status = GRADC_OK;
    if (options->load) status = gradc_load(program, options->load);
    else if (options->no_epochs && options->fit.seed) status = gradc_initialise(program, options->seed);
    if (!status && !options->no_epochs) status = gradc_fit(program, &options->fit);
    if (!status && options->save) status = gradc_save(program, options->save);
    gradc_predict_options predict = {.entry = options->predict, .file = options->fit.data};
    if (!status && options->predictions) status = gradc_predict(program, &predict, options->predictions);
    return status;
}

static int run_train(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    parse_line(&train_command, argc, argv, &options);
    if (!can_write(options.save) || !can_write(options.predictions)) return EXIT_ERROR;
    gradc_program *program = open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_status status = train(program, &options);
    return close_program(program, &options.common, report_status(program, status));
}

static const char *const examples[] = {
    "gradc train digits.grad",
    "train as the file says",
    "gradc train digits.grad --epochs=5 --lr=0.01 --save=w.safetensors",
    "the same, but shorter and faster; keep the weights",
    NULL,
};
const Command train_command = {
    .name = "train",
    .summary = "train the network of a model file on its data",
    .arguments = "FILE",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .description = "Runs the train blocks of the model file. Data files are looked for beside it.",
    .examples = examples,
    .run = run_train,
};
