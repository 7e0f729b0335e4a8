// gradc dump and gradc grad: looking at what the compiler makes of a program.
#include "runtime/cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    const char *entry;
    gradc_stage stage;
    int kind;   // -1: not said
} Options;

static const char *const stages[] = {"ast", "graph", "grad", "batch", "opt", "kernels", "plan", "llvm", "asm", NULL};
static const char *const kinds[] = {"value", "forward", "backward", "update", "step", NULL};

enum { KEY_STAGE = 1, KEY_ENTRY, KEY_KIND };

static const struct argp_option dump_options[] = {
    {"stage", KEY_STAGE, "STAGE", 0,
     "ast, graph (the default), grad (differentiated), batch (loops as axes), opt (simplified), kernels, plan "
     "(of the memory), llvm or asm",
     0},
    {"entry", KEY_ENTRY, "NAME", 0, "The loss, metric, net or fn; by default the first loss", 0},
    {"kind", KEY_KIND, "KIND", 0,
     "value, forward, backward, update or step (the last two of its train block); by "
     "default backward where there is a gradient to see, for losses after `graph`, and "
     "value otherwise",
     0},
    {0},
};
static const struct argp_option grad_options[] = {
    {"entry", KEY_ENTRY, "NAME", 0, "The loss or other function of one number; by default the first loss", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->common; return 0;
    case KEY_STAGE: options->stage = (gradc_stage)parse_choice(state, "--stage", argument, stages); return 0;
    case KEY_KIND: options->kind = parse_choice(state, "--kind", argument, kinds); return 0;
    case KEY_ENTRY: options->entry = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
static const struct argp dump_argp = {.options = dump_options,
                                      .parser = parse_option,
                                      .args_doc = "FILE",
                                      .doc = "Print what a stage of the compiler makes of one function.",
                                      .children = children};
static const struct argp grad_argp = {.options = grad_options,
                                      .parser = parse_option,
                                      .args_doc = "FILE",
                                      .doc = "Print the derivative by every parameter as a program of the language.",
                                      .children = children};

static gradc_kind default_kind(const gradc_program *program, const Options *options) {
    gradc_entry_info entry;
    if (options->kind >= 0) return (gradc_kind)options->kind;
    if (options->stage <= GRADC_STAGE_GRAPH) return GRADC_KIND_VALUE;
    for (int i = 0; gradc_entry(program, i, &entry); i++)
        if (entry.kind == GRADC_LOSS && (!options->entry || strcmp(entry.name, options->entry) == 0))
            return GRADC_KIND_BACKWARD;
    return GRADC_KIND_VALUE;
}

static int print_text(gradc_program *program, const Common *common, gradc_status status, const char *text) {
    if (status) return close_program(program, common, report_status(program, status));
    fputs(text, stdout);
    size_t length = strlen(text);
    if (length && text[length - 1] != '\n') putchar('\n');
    return close_program(program, common, EXIT_DONE);
}

int run_dump(int argc, char **argv) {
    Options options = {.stage = GRADC_STAGE_GRAPH, .kind = -1};
    int exit_code;
    const char *text = "";
    parse_line(argc, argv, &dump_argp, &options);
    bool tree = options.stage == GRADC_STAGE_AST;
    gradc_program *program =
        tree ? open_any_program(&options.common, &exit_code) : open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_kind kind = default_kind(program, &options);
    gradc_status status = gradc_dump(program, options.stage, options.entry, kind, &text);
    // A loss of nothing that can be differentiated by.
    if (status == GRADC_ARGUMENT && kind == GRADC_KIND_BACKWARD && options.kind < 0)
        status = gradc_dump(program, options.stage, options.entry, GRADC_KIND_VALUE, &text);
    return print_text(program, &options.common, status, text);
}

int run_grad(int argc, char **argv) {
    Options options = {0};
    int exit_code;
    const char *text = "";
    parse_line(argc, argv, &grad_argp, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_status status = gradc_derivative(program, options.entry, &text);
    return print_text(program, &options.common, status, text);
}
