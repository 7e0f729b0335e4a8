// gradc run: calls an entry with given inputs, or a net for the rows of a data file.
#include "runtime/cli/values.h"
#include "runtime/cli/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 64 };

// NAME=VALUE options, in order.
typedef struct {
    int count;
    const char *texts[MAX_PAIRS];
} Pairs;

typedef struct {
    Common common;
    Weights weights;
    const char *entry, *data, *block, *output;
    gradc_rows rows;
    bool rows_given, json;
    const uint64_t *seed;
    uint64_t seed_value;
    Pairs inputs, dims;
} Options;

enum { KEY_DATA = KEY_FIRST, KEY_BLOCK, KEY_ROWS, KEY_INPUT, KEY_DIM, KEY_SEED, KEY_JSON };

static const struct argp_option own_options[] = {
    {0, 0, 0, 0, "For rows of data:", 1},
    {"data", KEY_DATA, "FILE", 0, "Read this file instead of the data block's: all its rows. It needs no labels", 1},
    {"block", KEY_BLOCK, "NAME", 0, "The data block; by default the first that feeds the entry", 1},
    {"rows", KEY_ROWS, ROWS_CHOICES, 0, "Which rows; held-out if --data is left out, else all", 1},
    {0, 0, 0, 0, "For inputs of one's own:", 2},
    {"input", KEY_INPUT, "NAME=VALUE", 0,
     "An input: a number, numbers as 1,2,3 or [[1, 2], [3, 4]], or a file named .npy, .npz (.npz:ARRAY) or .csv. Once "
     "for "
     "each input",
     2},
    {"dim", KEY_DIM, "NAME=N", 0, "An open dim that no input says", 2},
    {"seed", KEY_SEED, "N", 0, "Of random numbers, and of the first values of parameters; 0 if it is left out", 2},
    {0, 0, 0, 0, "Output:", 3},
    {"output", 'o', "FILE", 0, "A file instead of stdout: .csv; for own inputs also .npy (one output) or .npz", 3},
    JSON_OPTION(KEY_JSON, "the outputs"),
    {0},
};

static void add_pair(struct argp_state *state, const char *option, Pairs *pairs, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) argp_error(state, "%s takes NAME=VALUE, not '%s'", option, text);
    if (pairs->count == MAX_PAIRS) argp_error(state, "%s can be given at most %d times", option, MAX_PAIRS);
    for (int i = 0; i < pairs->count; i++)
        if (strncmp(pairs->texts[i], text, (size_t)(equals - text + 1)) == 0)
            argp_error(state, "%s=%.*s is given twice", option, (int)(equals - text), text);
    pairs->texts[pairs->count++] = text;
}

static void check_options(struct argp_state *state, const Options *options) {
    bool arrays = options->output && (has_suffix(options->output, ".npy") || has_suffix(options->output, ".npz"));
    bool own = options->inputs.count || options->dims.count,
         rows = options->data || options->block || options->rows_given;
    if (own && rows) argp_error(state, "inputs come from --input, or from the rows of data, but not from both");
    if (options->output && !arrays && !has_suffix(options->output, ".csv"))
        argp_error(state, "--output can end in .csv, .npy or .npz, not '%s'", options->output);
    if (arrays && rows) argp_error(state, "what is said of rows of data is CSV: --output can end in .csv");
    if (options->json && options->output) argp_error(state, "--json prints, and --output writes a file: choose one");
}

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        state->child_inputs[1] = &options->weights;
        return 0;
    case KEY_DATA: options->data = argument; return 0;
    case KEY_BLOCK: options->block = argument; return 0;
    case KEY_ROWS:
        options->rows = parse_rows(state, argument);
        options->rows_given = true;
        return 0;
    case KEY_INPUT: add_pair(state, "--input", &options->inputs, argument); return 0;
    case KEY_DIM: add_pair(state, "--dim", &options->dims, argument); return 0;
    case KEY_SEED:
        options->seed_value = parse_seed(state, "--seed", argument);
        options->seed = &options->seed_value;
        return 0;
    case KEY_JSON: options->json = true; return 0;
    case 'o': options->output = argument; return 0;
    case ARGP_KEY_ARG:
        if (!options->common.file) return ARGP_ERR_UNKNOWN;   // FILE: the common parser's
        if (options->entry) argp_error(state, "more than one ENTRY: '%s' and '%s'", options->entry, argument);
        options->entry = argument;
        return 0;
    case ARGP_KEY_SUCCESS: check_options(state, options); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

// ---- rows of data

// The CSV text as JSON: the names of its columns, and its rows.
static void print_rows_json(const Options *options, char *text) {
    json_t *table = json_table(), *columns = json_list(), *rows = json_list();
    char *line = strsep(&text, "\n");
    for (char *cell; (cell = strsep(&line, ","));) json_add(columns, json_text(cell));
    while ((line = strsep(&text, "\n")) && *line) {
        json_t *row = json_list();
        for (char *cell; (cell = strsep(&line, ","));) {
            bool whole = !cell[strspn(cell, "-0123456789")];
            json_add(row, whole ? json_whole(strtoll(cell, NULL, 10)) : json_number(strtod(cell, NULL)));
        }
        json_add(rows, row);
    }
    json_put(table, "file", json_text(options->common.file));
    json_put(table, "columns", columns);
    json_put(table, "rows", rows);
    json_print(table, 9);
}

// On stdout: by way of a file, which gradc_predict writes as a whole.
static int predict_to_stdout(gradc_program *program, const Options *options, const gradc_predict_options *predict) {
    char *path = temporary_file();
    if (!path) return EXIT_ERROR;
    size_t length;
    int exit_code = report_status(program, gradc_predict(program, predict, path));
    char *text = exit_code ? NULL : read_file(path, &length);
    if (!exit_code && !text) exit_code = EXIT_ERROR;
    if (text && options->json) print_rows_json(options, text);
    else if (text) fwrite(text, 1, length, stdout);
    free(text);
    remove_temporary(path);
    return exit_code;
}

static int run_rows(gradc_program *program, const Options *options) {
    gradc_predict_options predict = {
        .entry = options->entry, .data = options->block, .file = options->data, .rows = options->rows};
    if (!options->output) return predict_to_stdout(program, options, &predict);
    return report_status(program, gradc_predict(program, &predict, options->output));
}

// ---- inputs of one's own

typedef struct {
    gradc_program *program;
    const Options *options;
    int index;   // of the entry
    gradc_entry_info entry;
    gradc_call *call;
    gradc_tensor *inputs, *outputs;
} Run;

// Says which input of any shape a function has; false if it has none.
static bool refuse_shape(const char *name, const Declared *declared) {
    static const char head[] = "  parameter ";
    for (const char *line = declared->text;
         strncmp(line, head, sizeof head - 1) == 0 || strncmp(line, "    ", 4) == 0;) {
        size_t length = strcspn(line, "\n"), type = strcspn(line, ":");
        const char *open = type < length && line[2] != ' ' ? strstr(line + type, "[*") : NULL;
        if (open && open < line + length) {
            fprintf(stderr,
                    "gradc: %.*s %s cannot be called from outside: %.*s leaves its shape open. Write f32 or f32[N]\n",
                    declared->kind_length, declared->kind, name, (int)(length - (sizeof head - 1)),
                    line + sizeof head - 1);
            return true;
        }
        line += length + (line[length] == '\n');
    }
    return false;
}

static void refuse_entry(gradc_program *program, const char *name) {
    for (Declared declared = {0}; next_declared(program, &declared);) {
        if ((int)strlen(name) != declared.name_length || strncmp(name, declared.name, strlen(name)) != 0) continue;
        if (refuse_shape(name, &declared)) return;
        fprintf(stderr,
                "gradc: %.*s %s cannot be called from outside: it leaves a shape or a type open, or takes more than "
                "tensors. Call it from a fn that writes them out, such as x: f32 or x: f32[N]\n",
                declared.kind_length, declared.kind, name);
        return;
    }
    // The library knows which names are near.
    gradc_call *call;
    if (gradc_call_create(program, name, &call) != GRADC_OK) fprintf(stderr, "gradc: %s\n", gradc_message(program));
    gradc_call_free(call);
}

static bool choose_entry(Run *run) {
    const char *name = run->options->entry;
    for (int kind = GRADC_NET; kind <= GRADC_FUNCTION && !name; kind++)   // the first net, else the first fn
        for (run->index = 0; gradc_entry(run->program, run->index, &run->entry); run->index++)
            if (run->entry.kind == (gradc_entry_kind)kind) return true;
    for (run->index = 0; gradc_entry(run->program, run->index, &run->entry); run->index++)
        if (!name || strcmp(run->entry.name, name) == 0) return true;
    if (name) refuse_entry(run->program, name);
    else fprintf(stderr, "gradc: %s has no entry to run\n", run->options->common.file);
    return false;
}

// The text of the option for that name, or NULL.
static const char *text_for(const Pairs *pairs, const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < pairs->count; i++)
        if (strncmp(pairs->texts[i], name, length) == 0 && pairs->texts[i][length] == '=')
            return pairs->texts[i] + length + 1;
    return NULL;
}

static bool bind_inputs(Run *run) {
    const Pairs *pairs = &run->options->inputs;
    gradc_tensor_info input;
    for (int i = 0; i < pairs->count; i++) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(pairs->texts[i], "="), pairs->texts[i]);
        if (gradc_call_input(run->call, name) >= 0) continue;
        fprintf(stderr, "gradc: %s has no input '%s'\n", run->entry.name, name);
        return false;
    }
    for (int i = 0; i < run->entry.input_count && gradc_entry_input(run->program, run->index, i, &input); i++) {
        const char *text = text_for(pairs, input.name);
        if (!text) {
            fprintf(stderr, "gradc: %s needs its input %s: %s; say --input=%s=VALUE\n", run->entry.name, input.name,
                    input.type, input.name);
            return false;
        }
        if (!value_parse(run->program, &input, text, &run->inputs[i])) return false;
        gradc_status status = gradc_call_bind(run->call, i, &run->inputs[i]);
        if (status) return report_status(run->program, status), false;
    }
    return true;
}

static bool set_dims(Run *run) {
    for (int i = 0; i < run->options->dims.count; i++) {
        char name[256], *end;
        const char *text = run->options->dims.texts[i], *equals = strchr(text, '=');
        long long value = strtoll(equals + 1, &end, 10);
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        if (*end || value < 0) return fprintf(stderr, "gradc: --dim takes a size, not '%s'\n", text), false;
        gradc_status status = gradc_call_set_dim(run->call, name, value);
        if (status) return report_status(run->program, status), false;
    }
    return true;
}

static void print_outputs(const Run *run) {
    gradc_tensor_info info;
    bool bare = run->entry.output_count == 1 && run->outputs[0].rank == 0;
    for (int i = 0; i < run->entry.output_count && gradc_entry_output(run->program, run->index, i, &info); i++) {
        const gradc_tensor *output = &run->outputs[i];
        if (!bare) {
            printf("%s: %s", info.name, gradc_dtype_name(output->dtype));
            for (int k = 0; k < output->rank; k++) printf("%s%" PRId64, k ? ", " : "[", output->shape[k]);
            printf(output->rank ? "]\n" : " = ");
        }
        value_print_all(stdout, output);
    }
}

static void print_outputs_json(const Run *run) {
    gradc_tensor_info info;
    json_t *table = json_table(), *outputs = json_list();
    json_put(table, "file", json_text(run->options->common.file));
    json_put(table, "entry", json_text(run->entry.name));
    int digits = 9;
    for (int i = 0; i < run->entry.output_count && gradc_entry_output(run->program, run->index, i, &info); i++) {
        json_t *output = json_table(), *shape = json_list();
        for (int k = 0; k < run->outputs[i].rank; k++) json_add(shape, json_whole(run->outputs[i].shape[k]));
        if (run->outputs[i].dtype == GRADC_F64) digits = 17;
        json_put(output, "name", json_text(info.name));
        json_put(output, "dtype", json_text(gradc_dtype_name(run->outputs[i].dtype)));
        json_put(output, "shape", shape);
        json_put(output, "values", value_json(&run->outputs[i]));
        json_add(outputs, output);
    }
    json_put(table, "outputs", outputs);
    json_print(table, digits);
}

// The outputs side by side, a line for each row; an output of one number has one row.
static int write_table(const Run *run) {
    int count = run->entry.output_count;
    int64_t rows = count && run->outputs[0].rank ? run->outputs[0].shape[0] : 1;
    gradc_tensor_info info;
    Output output;
    for (int i = 0; i < count; i++)
        if ((run->outputs[i].rank ? run->outputs[i].shape[0] : 1) != rows) {
            fprintf(stderr, "gradc: the outputs differ in their numbers of rows: --output=FILE.npz can hold them\n");
            return EXIT_ERROR;
        }
    if (!output_begin(&output, run->options->output)) return EXIT_ERROR;
    for (int64_t row = -1; row < rows; row++) {
        for (int i = 0; i < count && gradc_entry_output(run->program, run->index, i, &info); i++) {
            int64_t length = rows ? value_count(&run->outputs[i]) / rows : 0;
            for (int64_t k = 0; k < length; k++) {
                if (i || k) fputc(',', output.stream);
                if (row >= 0) value_print(output.stream, &run->outputs[i], row * length + k);
                else if (length > 1) fprintf(output.stream, "%s.%" PRId64, info.name, k);
                else fputs(info.name, output.stream);
            }
        }
        fputc('\n', output.stream);
    }
    return output_finish(&output) ? EXIT_DONE : EXIT_ERROR;
}

static int write_arrays(const Run *run) {
    int count = run->entry.output_count;
    gradc_tensor_info info;
    const char **names = checked(calloc((size_t)count + 1, sizeof *names));
    for (int i = 0; i < count && gradc_entry_output(run->program, run->index, i, &info); i++) names[i] = info.name;
    gradc_status status = gradc_array_write(run->program, run->options->output, count, names, run->outputs);
    free(names);
    return report_status(run->program, status);
}

static int run_call(Run *run) {
    run->inputs = checked(calloc((size_t)run->entry.input_count + 1, sizeof *run->inputs));
    run->outputs = checked(calloc((size_t)run->entry.output_count + 1, sizeof *run->outputs));
    gradc_status status = gradc_call_create(run->program, run->entry.name, &run->call);
    if (status) return report_status(run->program, status);
    if (!bind_inputs(run) || !set_dims(run)) return EXIT_ERROR;
    status = gradc_call_value(run->call);
    for (int i = 0; !status && i < run->entry.output_count; i++)
        status = gradc_call_output(run->call, i, &run->outputs[i]);
    if (status) return report_status(run->program, status);
    if (run->options->output) return has_suffix(run->options->output, ".csv") ? write_table(run) : write_arrays(run);
    if (run->options->json) print_outputs_json(run);
    else print_outputs(run);
    return EXIT_DONE;
}

// ----

// Whether the entry is to be fed by rows of data: it is said so, or it has inputs, none is given, and there is data.
static bool wants_rows(const Run *run) {
    const Options *options = run->options;
    gradc_data_info data;
    if (options->data || options->block || options->rows_given) return true;
    return !options->inputs.count && !options->dims.count && run->entry.input_count &&
           gradc_data_block(run->program, 0, &data);
}

static int run_entry(gradc_program *program, const Options *options) {
    Run run = {.program = program, .options = options};
    gradc_status status = options->seed ? gradc_initialise(program, options->seed_value) : GRADC_OK;
    if (!status) status = load_weights(program, &options->weights);
    if (status) return report_status(program, status);
    if (!choose_entry(&run)) return EXIT_ERROR;
    if (!options->weights.load && run.entry.kind != GRADC_FUNCTION) note_first_values(program);
    if (wants_rows(&run) && run.entry.kind <= GRADC_METRIC) {
        fprintf(stderr,
                "gradc: %s gives one number for many rows: `gradc eval` measures it over data; or give its inputs "
                "by --input\n",
                run.entry.name);
        return EXIT_ERROR;
    }
    if (wants_rows(&run)) return run_rows(program, options);
    int exit_code = run_call(&run);
    gradc_call_free(run.call);
    for (int i = 0; run.inputs && i < run.entry.input_count; i++) gradc_array_free(&run.inputs[i]);
    free(run.inputs);
    free(run.outputs);
    return exit_code;
}

static int run_run(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    parse_line(&run_command, argc, argv, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (program) exit_code = close_program(program, &options.common, run_entry(program, &options));
    weights_free(&options.weights);
    return exit_code;
}

static const char *const examples[] = {
    "gradc run digits.grad --load=w.safetensors --data=new.csv --output=read.csv",
    "what the net says of new rows",
    "gradc run line.grad squared --input=x=1,2,3 --input=y=0,1,2",
    "the value of a loss for given inputs",
    "gradc run net.grad net --input=x=images.npy --output=logits.npy",
    "from NumPy and back to it",
    NULL,
};
const Command run_command = {
    .name = "run",
    .summary = "call a net, a function or a loss, for given inputs or for rows of data",
    .arguments = "FILE [ENTRY]",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .loads = true,
    .description =
        "Computes ENTRY, a net, fn, loss or metric of the file (the first net if it is left out), and prints its "
        "outputs.\n\n"
        "With `--input` for each of its inputs they are what is given. Otherwise they come from a data block: "
        "its own file's held-out rows, or all rows of the file that `--data` names. A line is printed for each "
        "row then, as CSV: the row's number in the file, its label if there is one, the position of the "
        "greatest output, and the outputs.",
    .examples = examples,
    .run = run_run,
};
