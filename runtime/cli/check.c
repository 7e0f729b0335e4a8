// gradc check: is the program right, and what is in it?
#include "runtime/cli/cli.h"
#include "runtime/cli/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    Common common;
    bool json, reads;   // reads the data, too
    const char *data;   // this file instead of the data blocks' own, or NULL
} Options;

enum { KEY_JSON = KEY_FIRST, KEY_DATA };

static const struct argp_option own_options[] = {
    {"data", KEY_DATA, "FILE", OPTION_ARG_OPTIONAL,
     "Read the data blocks' files, too, and check every row as `train` does; with FILE that one instead of theirs", 1},
    JSON_OPTION(KEY_JSON, "what is found"),
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->common; return 0;
    case KEY_DATA:
        options->reads = true;
        options->data = argument;
        return 0;
    case KEY_JSON: options->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *const kinds[] = {
    [GRADC_LOSS] = "loss", [GRADC_METRIC] = "metric", [GRADC_NET] = "net", [GRADC_FUNCTION] = "fn"};

// ---- as text

static void print_entry(gradc_program *program, int index, const gradc_entry_info *entry) {
    printf("%s %s(", kinds[entry->kind], entry->name);
    gradc_tensor_info tensor;
    for (int i = 0; i < entry->input_count && gradc_entry_input(program, index, i, &tensor); i++)
        printf("%s%s: %s%s", i ? ", " : "", tensor.name, tensor.type, tensor.requires_grad ? " requires_grad" : "");
    printf(") -> ");
    if (entry->output_count > 1) printf("(");
    for (int i = 0; i < entry->output_count && gradc_entry_output(program, index, i, &tensor); i++)
        printf("%s%s", i ? ", " : "", tensor.type);
    printf(entry->output_count > 1 ? ")\n" : "\n");
    gradc_condition_info condition;
    for (int i = 0; gradc_entry_condition(program, index, i, &condition); i++)
        printf("    needs %s >= 0: else %s\n", condition.size, condition.message);
}

static void print_parameters(gradc_program *program) {
    gradc_parameter_info parameter;
    for (int i = 0; gradc_parameter(program, i, &parameter); i++) {
        printf("param %s: %s", parameter.path, gradc_dtype_name(parameter.dtype));
        for (int k = 0; k < parameter.rank; k++) printf("%s%" PRId64, k ? ", " : "[", parameter.shape[k]);
        printf("%s%s\n", parameter.rank ? "]" : "", parameter.frozen ? " frozen" : "");
    }
}

static void print_blocks(const gradc_program *program) {
    gradc_data_info data;
    for (int i = 0; gradc_data_block(program, i, &data); i++) {
        printf("data %s: ", data.name);
        for (int k = 0; k < data.field_count; k++) printf("%s%s", k ? ", " : "", gradc_data_field(program, i, k));
        printf(" from %s; %.9g of the rows train\n", data.file ? data.file : "no file", data.split);
    }
    gradc_train_info train;
    for (int i = 0; gradc_train_block(program, i, &train); i++) {
        printf("train %s: %s", train.loss, train.optimizer);
        if (!train.has_inputs) printf(", no data, steps %" PRId64, train.steps);
        else printf(", data %s, batch %" PRId64, train.data ? train.data : "from the host", train.batch);
        printf(", epochs %" PRId64 "\n", train.epochs);
    }
}

// Data that cannot be read are no error of the program: they may come later.
static void note_data(const gradc_program *program) {
    gradc_data_info data;
    const char *path;
    for (int i = 0; gradc_data_block(program, i, &data); i++)
        for (int k = 0; (path = gradc_data_file(program, i, k)); k++)
            if (access(path, R_OK) != 0)
                fprintf(stderr, "gradc: note: data %s: cannot read '%s': %s\n", data.name, path, strerror(errno));
}

// That the data are as the program reads them.
static void print_read(const gradc_program *program, const char *file) {
    gradc_data_info data;
    if (!gradc_data_block(program, 0, &data)) fprintf(stderr, "gradc: note: no data is declared\n");
    for (int i = 0; gradc_data_block(program, i, &data); i++)
        printf("data %s: every row of %s can be read\n", data.name, file ? file : data.file ? data.file : "no file");
}

static void print_all(gradc_program *program, const char *file) {
    gradc_entry_info entry;
    for (int i = 0; gradc_entry(program, i, &entry); i++) print_entry(program, i, &entry);
    print_parameters(program);
    print_blocks(program);
    printf("%s: no errors, %" PRId64 " parameter elements\n", file, gradc_parameter_elements(program));
}

// ---- as JSON

// A size that open dims decide is null.
static json_t *shape_json(int rank, const int64_t *shape) {
    json_t *list = json_list();
    for (int i = 0; i < rank; i++) json_add(list, shape[i] < 0 ? json_null() : json_whole(shape[i]));
    return list;
}

static json_t *tensor_json(const gradc_tensor_info *tensor) {
    json_t *table = json_table();
    json_put(table, "name", json_text(tensor->name));
    json_put(table, "type", json_text(tensor->type));
    json_put(table, "dtype", json_text(gradc_dtype_name(tensor->dtype)));
    json_put(table, "shape", shape_json(tensor->rank, tensor->shape));
    return table;
}

static json_t *entry_json(gradc_program *program, int index, const gradc_entry_info *entry) {
    gradc_tensor_info tensor;
    json_t *table = json_table(), *inputs = json_list(), *outputs = json_list(), *needs = json_list();
    json_put(table, "kind", json_text(kinds[entry->kind]));
    json_put(table, "name", json_text(entry->name));
    json_put(table, "documentation", json_text(entry->documentation));
    for (int i = 0; i < entry->input_count && gradc_entry_input(program, index, i, &tensor); i++) {
        json_t *input = tensor_json(&tensor);
        json_put(input, "requires_grad", json_truth(tensor.requires_grad));
        json_add(inputs, input);
    }
    for (int i = 0; i < entry->output_count && gradc_entry_output(program, index, i, &tensor); i++)
        json_add(outputs, tensor_json(&tensor));
    gradc_condition_info condition;
    for (int i = 0; gradc_entry_condition(program, index, i, &condition); i++) {
        json_t *need = json_table();
        json_put(need, "not_negative", json_text(condition.size));
        json_put(need, "message", json_text(condition.message));
        json_add(needs, need);
    }
    json_put(table, "inputs", inputs);
    json_put(table, "outputs", outputs);
    json_put(table, "conditions", needs);
    return table;
}

static json_t *parameters_json(gradc_program *program) {
    gradc_parameter_info parameter;
    json_t *list = json_list();
    for (int i = 0; gradc_parameter(program, i, &parameter); i++) {
        json_t *table = json_table();
        json_put(table, "path", json_text(parameter.path));
        json_put(table, "dtype", json_text(gradc_dtype_name(parameter.dtype)));
        json_put(table, "shape", shape_json(parameter.rank, parameter.shape));
        json_put(table, "frozen", json_truth(parameter.frozen));
        json_add(list, table);
    }
    return list;
}

static json_t *data_json(const gradc_program *program) {
    gradc_data_info data;
    json_t *list = json_list();
    for (int i = 0; gradc_data_block(program, i, &data); i++) {
        json_t *table = json_table(), *fields = json_list(), *files = json_list();
        const char *path;
        for (int k = 0; k < data.field_count; k++) json_add(fields, json_text(gradc_data_field(program, i, k)));
        json_put(table, "name", json_text(data.name));
        for (int k = 0; (path = gradc_data_file(program, i, k)); k++) {
            json_t *entry = json_table();
            json_put(entry, "path", json_text(path));
            json_put(entry, "readable", json_truth(access(path, R_OK) == 0));
            json_add(files, entry);
        }
        json_put(table, "files", files);
        json_put(table, "fields", fields);
        json_put(table, "split", json_number(data.split));
        json_add(list, table);
    }
    return list;
}

static json_t *trains_json(const gradc_program *program) {
    gradc_train_info train;
    json_t *list = json_list();
    for (int i = 0; gradc_train_block(program, i, &train); i++) {
        json_t *table = json_table();
        json_put(table, "loss", json_text(train.loss));
        json_put(table, "data", json_text(train.data));
        json_put(table, "optimizer", json_text(train.optimizer));
        json_put(table, "batch", json_whole(train.batch));
        json_put(table, "epochs", json_whole(train.epochs));
        json_put(table, "steps", json_whole(train.steps));
        json_add(list, table);
    }
    return list;
}

// A place and words; of a note there is no id.
static json_t *diagnostic_json(const gradc_diagnostic_info *info) {
    json_t *table = json_table();
    if (info->id) json_put(table, "id", json_text(info->id));
    if (info->id) json_put(table, "severity", json_text(info->is_error ? "error" : "warning"));
    json_put(table, "file", json_text(info->file));
    json_put(table, "line", json_whole(info->line));
    json_put(table, "column", json_whole(info->column));
    json_put(table, "end_line", json_whole(info->end_line));
    json_put(table, "end_column", json_whole(info->end_column));
    json_put(table, "message", json_text(info->message));
    json_put(table, "help", json_text(info->help));
    return table;
}

static json_t *diagnostics_json(const gradc_program *program) {
    gradc_diagnostic_info info, note;
    json_t *list = json_list();
    for (int i = 0; gradc_diagnostic(program, i, &info); i++) {
        json_t *table = diagnostic_json(&info), *notes = json_list();
        for (int k = 0; gradc_diagnostic_note(program, i, k, &note); k++) json_add(notes, diagnostic_json(&note));
        json_put(table, "notes", notes);
        json_add(list, table);
    }
    return list;
}

// `failure`: a message of the program that is no diagnostic, or NULL.
static void print_json(gradc_program *program, const char *file, const char *failure) {
    gradc_entry_info entry;
    json_t *table = json_table(), *entries = json_list();
    json_put(table, "file", json_text(file));
    json_put(table, "errors", json_whole(gradc_error_count(program)));
    json_put(table, "warnings", json_whole(gradc_warning_count(program)));
    json_put(table, "failure", json_text(failure));
    json_put(table, "diagnostics", diagnostics_json(program));
    for (int i = 0; gradc_entry(program, i, &entry); i++) json_add(entries, entry_json(program, i, &entry));
    json_put(table, "entries", entries);
    json_put(table, "parameter_elements", json_whole(gradc_parameter_elements(program)));
    json_put(table, "parameters", parameters_json(program));
    json_put(table, "data", data_json(program));
    json_put(table, "train", trains_json(program));
    json_print(table, 9);
}

// ---- checking

// Errors that only a later stage of the compiler finds: everything that a program can do is compiled, up to the last
// stage before machine code.
static gradc_status check_stages(gradc_program *program) {
    const char *text;
    gradc_entry_info entry;
    gradc_train_info train;
    gradc_status status = GRADC_OK;
    for (int i = 0; !status && gradc_entry(program, i, &entry); i++) {
        status = gradc_dump(program, GRADC_STAGE_PLAN, entry.name, GRADC_KIND_VALUE, &text);
        if (status || entry.kind != GRADC_LOSS) continue;
        // A loss without anything to differentiate it by is no error.
        gradc_status backward = gradc_dump(program, GRADC_STAGE_PLAN, entry.name, GRADC_KIND_BACKWARD, &text);
        if (backward != GRADC_ARGUMENT) status = backward;
    }
    for (int i = 0; !status && gradc_train_block(program, i, &train); i++)
        status = gradc_dump(program, GRADC_STAGE_PLAN, train.loss, GRADC_KIND_STEP, &text);
    return status;
}

static int run_check(int argc, char **argv) {
    Options options = {.common.hold_messages = true};
    Common *common = &options.common;
    int exit_code;
    parse_line(&check_command, argc, argv, &options);
    gradc_program *program = options.json ? open_any_program(common, &exit_code) : open_program(common, &exit_code);
    if (!program) return exit_code;
    gradc_status status = gradc_error_count(program) ? GRADC_PROGRAM : check_stages(program);
    if (!status && options.reads) status = gradc_check_data(program, NULL, options.data);
    if (options.json) {
        bool unsaid = status && !gradc_error_count(program);
        print_json(program, common->file, unsaid ? gradc_message(program) : NULL);
        return close_program(program, common, status ? EXIT_ERROR : EXIT_DONE);
    }
    if (status) return close_program(program, common, report_status(program, status));
    print_diagnostics(program);
    if (!options.reads) note_data(program);
    print_all(program, common->file);
    if (options.reads) print_read(program, options.data);
    return close_program(program, common, EXIT_DONE);
}

static const char *const examples[] = {
    "gradc check digits.grad",
    "what is wrong with the model, and what it holds",
    "gradc check --data digits.grad",
    "whether its data can be read, too",
    "gradc check --json digits.grad | jq -r '.parameters[].path'",
    "the paths of its parameters",
    NULL,
};
const Command check_command = {
    .name = "check",
    .summary = "say what is wrong with a model file, and what is in it",
    .arguments = "FILE",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .description = "Compiles everything that the file declares, up to the last stage before machine code, and prints "
                   "errors and warnings with their places. Without errors it lists the entries (losses, metrics, nets "
                   "and functions that can be called) with their types, conditions on open dims, parameters, data and "
                   "training.\n\n"
                   "Data files are read with `--data` only; without it a note says which of them cannot be opened.",
    .examples = examples,
    .run = run_check,
};
