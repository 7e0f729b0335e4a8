// gradc eval: the losses and metrics of a trained net, on rows it has not seen.
#include "runtime/cli/cli.h"
#include "runtime/cli/json.h"

#include <inttypes.h>

typedef struct {
    Common common;
    Weights weights;
    gradc_evaluate_options evaluate;
    bool json;
} Options;

enum { KEY_DATA = KEY_FIRST, KEY_BLOCK, KEY_ROWS, KEY_ENTRY, KEY_JSON };

static const struct argp_option own_options[] = {
    {"data", KEY_DATA, "FILE", 0, "Read this file instead of the data block's: all its rows", 1},
    {"block", KEY_BLOCK, "NAME", 0, "The data block; by default the first", 1},
    {"rows", KEY_ROWS, ROWS_CHOICES, 0, "Which rows; held-out if --data is left out, else all", 1},
    {"entry", KEY_ENTRY, "NAME", 0, "A loss or metric; by default all that the data feeds", 1},
    JSON_OPTION(KEY_JSON, "the values"),
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        state->child_inputs[1] = &options->weights;
        return 0;
    case KEY_DATA: options->evaluate.file = argument; return 0;
    case KEY_BLOCK: options->evaluate.data = argument; return 0;
    case KEY_ENTRY: options->evaluate.entry = argument; return 0;
    case KEY_ROWS: options->evaluate.rows = parse_rows(state, argument); return 0;
    case KEY_JSON: options->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const Options *options, const gradc_evaluation *evaluation) {
    json_t *table = json_table(), *values = json_table();
    json_put(table, "file", json_text(options->common.file));
    json_put(table, "data", json_text(evaluation->data));
    json_put(table, "rows", json_whole(evaluation->rows));
    for (int i = 0; i < evaluation->count; i++)
        json_put(values, evaluation->values[i].name, json_number(evaluation->values[i].value));
    json_put(table, "values", values);
    json_print(table, 17);
}

static int run_eval(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    parse_line(&eval_command, argc, argv, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_evaluation evaluation;
    gradc_status status = load_weights(program, &options.weights);
    if (!status) status = gradc_evaluate(program, &options.evaluate, &evaluation);
    if (!status && !options.weights.load) note_first_values(program);
    if (!status && options.json) print_json(&options, &evaluation);
    else if (!status) {
        printf("%s: %" PRId64 " row%s", evaluation.data, evaluation.rows, evaluation.rows == 1 ? "" : "s");
        for (int i = 0; i < evaluation.count; i++)
            printf("  %s %.6g", evaluation.values[i].name, evaluation.values[i].value);
        printf("\n");
    }
    weights_free(&options.weights);
    return close_program(program, &options.common, report_status(program, status));
}

static const char *const examples[] = {
    "gradc eval digits.grad --load=w.safetensors",
    "loss and accuracy over the held-out rows",
    "gradc eval digits.grad --load=w.safetensors --data=new.csv",
    "the same over all rows of another file",
    NULL,
};
const Command eval_command = {
    .name = "eval",
    .summary = "measure losses and metrics on data, without training",
    .arguments = "FILE",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .loads = true,
    .description =
        "Computes every loss and metric that a data block of the model file feeds: over the rows that it holds "
        "out, or over all rows of another file with the same columns.",
    .examples = examples,
    .run = run_eval,
};
