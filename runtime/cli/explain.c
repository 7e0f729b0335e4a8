// gradc explain: what each kernel of a function costs, and how long it takes.
#include "runtime/cli/cli.h"
#include "runtime/cli/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIMS = 64 };

typedef struct {
    Common common;
    gradc_explain_options options;
    gradc_dim_value dims[MAX_DIMS];
    int kind;   // -1: not said
    bool json;
} Options;

#define KIND_CHOICES "value|forward|backward|update|step"

enum { KEY_ENTRY = KEY_FIRST, KEY_KIND, KEY_DIM, KEY_MEASURE, KEY_JSON };

static const struct argp_option options_of_explain[] = {
    {"entry", KEY_ENTRY, "NAME", 0, "The loss, metric, net or fn; by default the first loss", 0},
    {"kind", KEY_KIND, KIND_CHOICES, 0,
     "Which of its functions; by default the step of its train block, where it has one, else value", 0},
    {"dim", KEY_DIM, "NAME=NUMBER", 0,
     "An open dim's size; the train block's batch if it is left out. Can be given often", 0},
    {"measure", KEY_MEASURE, 0, 0, "Run it, and say how long each kernel takes", 0},
    JSON_OPTION(KEY_JSON, "all numbers"),
    {0},
};

static void add_dim(struct argp_state *state, Options *options, char *argument) {
    char *equals = strchr(argument, '=');
    if (!equals || equals == argument) argp_error(state, "--dim takes NAME=NUMBER, not '%s'", argument);
    if (options->options.dim_count == MAX_DIMS) argp_error(state, "--dim is given more than %d times", MAX_DIMS);
    *equals = 0;
    int64_t value = parse_integer(state, "--dim", equals + 1, 0);
    options->dims[options->options.dim_count++] = (gradc_dim_value){argument, value};
}

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->common; return 0;
    case KEY_ENTRY: options->options.entry = argument; return 0;
    case KEY_KIND: options->kind = parse_choice(state, "--kind", argument, KIND_CHOICES); return 0;
    case KEY_DIM: add_dim(state, options, argument); return 0;
    case KEY_MEASURE: options->options.measure = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

// ---- the table

// "1.2M": three digits and what they are multiplied by.
static const char *short_number(char text[16], double value) {
    static const char factors[] = " kMGTPE";
    int factor = 0;
    for (; value >= 999.5 && factors[factor + 1]; factor++) value /= 1000;
    if (!factor) snprintf(text, 16, "%.0f", value);
    else snprintf(text, 16, "%.*f%c", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, factors[factor]);
    return text;
}

static int digits_of(const gradc_kernel_info *kernel, char text[80]) {
    const char *slash = kernel->file ? strrchr(kernel->file, '/') : NULL;
    const char *file = !kernel->file ? "-" : slash ? slash + 1 : kernel->file;
    return kernel->line ? snprintf(text, 80, "%.60s:%d", file, kernel->line) : snprintf(text, 80, "%.60s", file);
}

typedef struct {
    int name, place, shape;
} Widths;

static Widths widths_of(const gradc_explanation *facts) {
    Widths widths = {6, 5, 5};
    char text[80];
    for (int i = 0; i < facts->count; i++) {
        const gradc_kernel_info *kernel = &facts->kernels[i];
        int lengths[] = {(int)strlen(kernel->name) + 2 * kernel->depth, digits_of(kernel, text),
                         (int)strlen(kernel->shape)};
        if (lengths[0] > widths.name) widths.name = lengths[0] < 40 ? lengths[0] : 40;
        if (lengths[1] > widths.place) widths.place = lengths[1] < 40 ? lengths[1] : 40;
        if (lengths[2] > widths.shape) widths.shape = lengths[2] < 30 ? lengths[2] : 30;
    }
    return widths;
}

// What the machine needs at least, of what was needed.
static double roofline(const gradc_explanation *facts, double flops, double bytes, double seconds) {
    double compute = facts->peak > 0 ? flops / facts->peak : 0;
    double memory = facts->bandwidth > 0 ? bytes / facts->bandwidth : 0;
    double least = compute > memory ? compute : memory;
    return seconds > 0 ? least / seconds : 0;
}

static void print_costs(int64_t flops, int64_t bytes) {
    char first[16], second[16];
    printf("  %6s  %6s", short_number(first, (double)flops), short_number(second, (double)bytes));
    if (bytes) printf("  %7.2f", (double)flops / (double)bytes);
    else printf("  %7s", "-");
}

static void print_kernel(const gradc_explanation *facts, const gradc_kernel_info *kernel, Widths widths,
                         double measured) {
    char place[80];
    digits_of(kernel, place);
    printf("%*s%-*.*s  %-*.*s  %-8s  %-*.*s", 2 * kernel->depth, "", widths.name - 2 * kernel->depth,
           widths.name - 2 * kernel->depth, kernel->name, widths.place, widths.place, place, kernel->kind, widths.shape,
           widths.shape, kernel->shape);
    if (strcmp(kernel->kind, "loop") == 0) {
        putchar('\n');
        return;
    }
    print_costs(kernel->flops, kernel->bytes);
    printf("  %s", kernel->shared ? "yes" : "no ");
    if (measured > 0)
        printf("  %9.2f  %4.0f%%  %6.0f%%", kernel->seconds * 1e6, 100 * kernel->seconds / measured,
               100 * roofline(facts, (double)kernel->flops, (double)kernel->bytes, kernel->seconds));
    putchar('\n');
}

static void print_measured(const gradc_explanation *facts, double kernels) {
    char text[16];
    if (facts->threads > 1) printf("\nmeasured on %d threads: ", facts->threads);
    else printf("\nmeasured on one thread: ");
    printf("%.2f us a call, %.2f us of it in kernels by themselves\n", facts->seconds * 1e6, kernels * 1e6);
    printf("this core: %sFLOP/s in independent multiply-adds; ", short_number(text, facts->peak));
    printf("%sB/s read and written by a copy of as much memory\n", short_number(text, facts->bandwidth));
}

static void print_table(const gradc_explanation *facts, bool measured) {
    Widths widths = widths_of(facts);
    char text[16];
    double kernels = 0;
    int count = 0;
    for (int i = 0; i < facts->count; i++) {
        kernels += facts->kernels[i].seconds;
        count += strcmp(facts->kernels[i].kind, "loop") != 0;
    }
    printf("%s: %d kernel%s", facts->function, count, count == 1 ? "" : "s");
    for (int i = 0; i < facts->dim_count; i++) printf(", %s = %" PRId64, facts->dims[i].name, facts->dims[i].value);
    printf("\n\n%-*s  %-*s  %-8s  %-*s  %6s  %6s  %7s  %s%s\n", widths.name, "kernel", widths.place, "where", "kind",
           widths.shape, "shape", "FLOP", "bytes", "FLOP/B", "threads", measured ? "    us   time  roofline" : "");
    for (int i = 0; i < facts->count; i++) print_kernel(facts, &facts->kernels[i], widths, measured ? kernels : 0);
    printf("%-*s", widths.name + widths.place + widths.shape + 14, "all");
    print_costs(facts->flops, facts->bytes);
    if (measured)
        printf("       %9.2f  %4d%%  %6.0f%%", kernels * 1e6, 100,
               100 * roofline(facts, (double)facts->flops, (double)facts->bytes, kernels));
    printf("\n");
    if (measured) print_measured(facts, kernels);
    else printf("\n%sB are kept between kernels\n", short_number(text, (double)facts->memory));
}

// ---- JSON

static json_t *kernel_json(const gradc_explanation *facts, const gradc_kernel_info *kernel, bool measured) {
    json_t *table = json_table();
    json_put(table, "name", json_text(kernel->name));
    json_put(table, "file", json_text(kernel->file));
    json_put(table, "line", kernel->line ? json_whole(kernel->line) : json_null());
    json_put(table, "kind", json_text(kernel->kind));
    json_put(table, "shape", json_text(kernel->shape));
    json_put(table, "depth", json_whole(kernel->depth));
    json_put(table, "runs", json_whole(kernel->runs));
    json_put(table, "flops", json_whole(kernel->flops));
    json_put(table, "bytes", json_whole(kernel->bytes));
    json_put(table, "shared", json_truth(kernel->shared));
    if (!measured) return table;
    json_put(table, "seconds", json_number(kernel->seconds));
    json_put(table, "roofline",
             json_number(roofline(facts, (double)kernel->flops, (double)kernel->bytes, kernel->seconds)));
    return table;
}

static void print_json(const Options *options, const gradc_explanation *facts) {
    bool measured = options->options.measure;
    json_t *table = json_table(), *dims = json_table(), *kernels = json_list();
    for (int i = 0; i < facts->dim_count; i++) json_put(dims, facts->dims[i].name, json_whole(facts->dims[i].value));
    for (int i = 0; i < facts->count; i++) json_add(kernels, kernel_json(facts, &facts->kernels[i], measured));
    json_put(table, "file", json_text(options->common.file));
    json_put(table, "function", json_text(facts->function));
    json_put(table, "dims", dims);
    json_put(table, "kernels", kernels);
    json_put(table, "flops", json_whole(facts->flops));
    json_put(table, "bytes", json_whole(facts->bytes));
    json_put(table, "memory", json_whole(facts->memory));
    if (measured) {
        json_put(table, "seconds", json_number(facts->seconds));
        json_put(table, "peak", json_number(facts->peak));
        json_put(table, "bandwidth", json_number(facts->bandwidth));
    }
    json_print(table, 6);
}

// ---- the command

static gradc_kind default_kind(const gradc_program *program, const Options *options) {
    if (options->kind >= 0) return (gradc_kind)options->kind;
    gradc_entry_info entry;
    gradc_train_info train;
    for (int i = 0; gradc_entry(program, i, &entry); i++) {
        bool chosen =
            options->options.entry ? strcmp(entry.name, options->options.entry) == 0 : entry.kind == GRADC_LOSS;
        if (!chosen) continue;
        for (int k = 0; gradc_train_block(program, k, &train); k++)
            if (strcmp(train.loss, entry.name) == 0) return GRADC_KIND_STEP;
        break;
    }
    return GRADC_KIND_VALUE;
}

static int run_explain(int argc, char **argv) {
    Options options = {.kind = -1};
    int exit_code;
    parse_line(&explain_command, argc, argv, &options);
    gradc_program *program = open_program(&options.common, &exit_code);
    if (!program) return exit_code;
    gradc_explanation facts;
    options.options.dims = options.dims;
    options.options.kind = default_kind(program, &options);
    gradc_status status = gradc_explain(program, &options.options, &facts);
    if (!status && options.json) print_json(&options, &facts);
    else if (!status) print_table(&facts, options.options.measure);
    return close_program(program, &options.common, report_status(program, status));
}

static const char *const examples[] = {
    "gradc explain digits.grad",
    "the loops of a training step, and what each of them costs",
    "gradc explain digits.grad --measure --dim=N=256",
    "how long each takes for 256 rows, and how near that is to what the machine can do",
    NULL,
};
const Command explain_command = {
    .name = "explain",
    .summary = "say what each loop of a compiled function costs, and measure it",
    .arguments = "FILE",
    .options = options_of_explain,
    .parser = parse_option,
    .compiles = true,
    .description =
        "A function is compiled to kernels: loops with all that could be fused into them. For each the table says "
        "which line it comes from, its shape, floating operations (a function such as `exp` counts as 20), bytes read "
        "and written, and whether threads share it.\n\n"
        "With `--measure` it is run on numbers of no meaning, and the fastest of many calls counts. The roofline is "
        "what one core would take for the kernel if it were limited by nothing but the multiply-adds or the memory of "
        "the machine, both measured in the same run, as a share of what it took. It can be over 100%: threads may "
        "share the kernel, or it finds in a near cache what the copy, of as much memory as all arrays have, does not.",
    .examples = examples,
    .run = run_explain,
};
