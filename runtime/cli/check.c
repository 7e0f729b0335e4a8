// gradc check: is the program right, and what is in it?
#include "runtime/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    (void)argument;
    if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {.parser = parse_option,
                                 .args_doc = "FILE",
                                 .doc = "Check a model file and list what it holds.",
                                 .children = children};

static void print_entry(gradc_program *program, int index, const gradc_entry_info *entry) {
    static const char *const kinds[] = {
        [GRADC_LOSS] = "loss", [GRADC_METRIC] = "metric", [GRADC_NET] = "net", [GRADC_FUNCTION] = "fn"};
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
    for (int i = 0; gradc_train_block(program, i, &train); i++)
        if (train.has_inputs)
            printf("train %s: %s, data %s, batch %" PRId64 ", epochs %" PRId64 "\n", train.loss, train.optimizer,
                   train.data ? train.data : "from the host", train.batch, train.epochs);
        else
            printf("train %s: %s, no data, steps %" PRId64 ", epochs %" PRId64 "\n", train.loss, train.optimizer,
                   train.steps, train.epochs);
}

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

int run_check(int argc, char **argv) {
    Common common = {.hold_messages = true};
    int exit_code;
    parse_line(argc, argv, &argp, &common);
    gradc_program *program = open_program(&common, &exit_code);
    if (!program) return exit_code;
    gradc_status status = check_stages(program);
    if (status) return close_program(program, &common, report_status(program, status));
    print_diagnostics(program);
    gradc_entry_info entry;
    for (int i = 0; gradc_entry(program, i, &entry); i++) print_entry(program, i, &entry);
    print_parameters(program);
    print_blocks(program);
    printf("%s: no errors, %" PRId64 " parameter elements\n", common.file, gradc_parameter_elements(program));
    return close_program(program, &common, EXIT_DONE);
}
