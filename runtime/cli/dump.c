// gradc dump and gradc grad: looking at what the compiler makes of a program.
#include "runtime/cli/cli.h"
#include "runtime/cli/json.h"

#include <string.h>

typedef struct {
    Common common;
    const char *entry;
    gradc_stage stage;
    int kind;   // -1: not said
    bool json;
} Options;

#define STAGE_CHOICES "ast|graph|grad|batch|opt|kernels|plan|llvm|asm"
#define KIND_CHOICES "value|forward|backward|update|step"

enum { KEY_STAGE = KEY_FIRST, KEY_ENTRY, KEY_KIND, KEY_JSON };

static const struct argp_option dump_options[] = {
    {"stage", KEY_STAGE, STAGE_CHOICES, 0, "What to print; graph if it is left out", 0},
    {"entry", KEY_ENTRY, "NAME", 0, "The loss, metric, net or fn; by default the first loss", 0},
    {"kind", KEY_KIND, KIND_CHOICES, 0,
     "Which of its functions (the last two are its train block's); by default backward where there is a gradient to "
     "see, for losses after `graph`, and value otherwise",
     0},
    {0},
};
static const struct argp_option grad_options[] = {
    {"entry", KEY_ENTRY, "NAME", 0, "The loss or other function of one number; by default the first loss", 0},
    JSON_OPTION(KEY_JSON, "the text"),
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->common; return 0;
    case KEY_STAGE: options->stage = (gradc_stage)parse_choice(state, "--stage", argument, STAGE_CHOICES); return 0;
    case KEY_KIND: options->kind = parse_choice(state, "--kind", argument, KIND_CHOICES); return 0;
    case KEY_ENTRY: options->entry = argument; return 0;
    case KEY_JSON: options->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static gradc_kind default_kind(const gradc_program *program, const Options *options) {
    gradc_entry_info entry;
    if (options->kind >= 0) return (gradc_kind)options->kind;
    if (options->stage <= GRADC_STAGE_GRAPH) return GRADC_KIND_VALUE;
    for (int i = 0; gradc_entry(program, i, &entry); i++)
        if (entry.kind == GRADC_LOSS && (!options->entry || strcmp(entry.name, options->entry) == 0))
            return GRADC_KIND_BACKWARD;
    return GRADC_KIND_VALUE;
}

static int print_text(gradc_program *program, const Options *options, gradc_status status, const char *text) {
    if (status) return close_program(program, &options->common, report_status(program, status));
    if (options->json) {
        json_t *table = json_table();
        json_put(table, "file", json_text(options->common.file));
        json_put(table, "derivative", json_text(text));
        json_print(table, 17);
        return close_program(program, &options->common, EXIT_DONE);
    }
    fputs(text, stdout);
    size_t length = strlen(text);
    if (length && text[length - 1] != '\n') putchar('\n');
    return close_program(program, &options->common, EXIT_DONE);
}

static int run_dump(int argc, char **argv) {
    Options options = {.stage = GRADC_STAGE_GRAPH, .kind = -1};
    int exit_code;
    const char *text = "";
    parse_line(&dump_command, argc, argv, &options);
    bool tree = options.stage == GRADC_STAGE_AST;
    gradc_program *program =
        tree ? open_any_program(&options.common, &exit_code) : open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_kind kind = default_kind(program, &options);
    gradc_status status = gradc_dump(program, options.stage, options.entry, kind, &text);
    // A loss of nothing that can be differentiated by.
    if (status == GRADC_ARGUMENT && kind == GRADC_KIND_BACKWARD && options.kind < 0)
        status = gradc_dump(program, options.stage, options.entry, GRADC_KIND_VALUE, &text);
    return print_text(program, &options, status, text);
}

static int run_grad(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    const char *text = "";
    parse_line(&grad_command, argc, argv, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_status status = gradc_derivative(program, options.entry, &text);
    return print_text(program, &options, status, text);
}

static const char *const dump_examples[] = {
    "gradc dump digits.grad --stage=kernels",
    "the loops of the gradient, with what is fused into each",
    "gradc dump digits.grad --stage=asm --kind=step",
    "the machine code of a whole training step",
    NULL,
};
const Command dump_command = {
    .name = "dump",
    .summary = "print what a stage of the compiler makes of one function",
    .arguments = "FILE",
    .options = dump_options,
    .parser = parse_option,
    .compiles = true,
    .description = "For those who want to see how a program is compiled, or who work on the compiler.\n\n"
                   "The stages are, in order: `ast`, the syntax tree; `graph`, names and shapes found, calls inlined; "
                   "`grad`, differentiated; `batch`, loops as axes; `opt`, simplified; `kernels`, fused loops; `plan`, "
                   "their memory; `llvm` and `asm`, for this machine.",
    .examples = dump_examples,
    .run = run_dump,
};

static const char *const grad_examples[] = {
    "gradc grad digits.grad",
    "the gradient of the first loss by all parameters",
    "gradc grad digits.grad >d.grad && gradc check d.grad",
    "what it prints is a program",
    NULL,
};
const Command grad_command = {
    .name = "grad",
    .summary = "print the derivative as a program of the language",
    .arguments = "FILE",
    .options = grad_options,
    .parser = parse_option,
    .compiles = true,
    .description = "Prints the derivative of a loss by every parameter that is not frozen, and by every input that is "
                   "marked `requires_grad`: as it gets compiled, after simplification, as a program of the language.",
    .examples = grad_examples,
    .run = run_grad,
};
