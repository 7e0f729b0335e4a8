// The line of a command: its options, those that commands share, and the arguments of options. argp does the work; what
// --help prints is put together here from the command's table.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_CPU = KEY_COMMON, KEY_FLOAT, KEY_NO_CACHE, KEY_THREADS, KEY_TIMINGS, KEY_VECTOR, KEY_VERIFY };

const struct argp_option common_options[] = {
    {0, 0, 0, 0, "How the program is compiled:", 100},
    {"float", KEY_FLOAT, FLOAT_CHOICES, 0, "What `float` and `f32` mean in the program; f32 if it is left out", 100},
    {"vectors", KEY_VECTOR, VECTOR_CHOICES, 0,
     "Bytes of the vectors used; the widest of this machine if it is left out. The results have the same bits", 100},
    {"cpu", KEY_CPU, "NAME", 0,
     "Make code for any processor of that level, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4, rather than for this "
     "machine. "
     "The results have the same bits",
     100},
    {"threads", KEY_THREADS, "N", 0,
     "At most so many threads share a large run; 0, or left out: one for each processor. The results have the same "
     "bits",
     100},
    {"verify", KEY_VERIFY, 0, 0, "Check the program after each pass of the compiler", 100},
    {"no-cache", KEY_NO_CACHE, 0, 0, "Neither read nor keep machine code in files; see gradc(1)", 100},
    {"timings", KEY_TIMINGS, 0, 0, "Print to stderr how long each stage took", 100},
    {0},
};

// "12" as --threads.
static int parse_threads(struct argp_state *state, const char *text) {
    int64_t threads = parse_integer(state, "--threads", text, 0);
    if (threads > GRADC_MAX_THREADS) argp_error(state, "--threads can be at most %d", GRADC_MAX_THREADS);
    return (int)threads;
}

// A file that by its name is no model is one that another option takes, mostly.
static void take_file(struct argp_state *state, Common *common, const char *path) {
    static const struct {
        const char *suffix, *kind;
    } others[] = {
        {".csv", "a table"}, {".npy", "an array"}, {".npz", "a file of arrays"}, {".safetensors", "a weight file"}};
    if (common->file) argp_error(state, "more than one FILE: '%s' and '%s'", common->file, path);
    for (size_t i = 0; i < sizeof others / sizeof *others && !common->file_optional; i++)
        if (has_suffix(path, others[i].suffix))
            argp_error(state, "'%s' is %s: a model file, NAME.grad, is wanted here", path, others[i].kind);
    common->file = path;
}

static error_t parse_common(int key, char *argument, struct argp_state *state) {
    Common *common = state->input;
    switch (key) {
    case KEY_CPU: common->options.cpu = argument; return 0;
    case KEY_FLOAT:
        common->options.floating = parse_choice(state, "--float", argument, FLOAT_CHOICES) ? GRADC_F64 : GRADC_F32;
        return 0;
    case KEY_VECTOR:
        common->options.vector_bytes = 16 << parse_choice(state, "--vectors", argument, VECTOR_CHOICES);
        return 0;
    case KEY_THREADS: common->options.threads = parse_threads(state, argument); return 0;
    case KEY_VERIFY: common->options.verify = true; return 0;
    case KEY_TIMINGS: common->timings = true; return 0;
    case KEY_NO_CACHE: common->options.cache = false; return 0;
    case ARGP_KEY_INIT:
        common->started = clock_seconds();
        common->options.cache = true;
        return 0;
    case ARGP_KEY_ARG: take_file(state, common, argument); return 0;
    case ARGP_KEY_END:
        if (!common->file && !common->file_optional) argp_error(state, "which FILE?");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

// ---- weight files

enum { KEY_LOAD = KEY_WEIGHTS, KEY_RENAME, KEY_TRANSPOSE, KEY_IGNORE };

const struct argp_option weight_options[] = {
    {0, 0, 0, 0, "Weights:", 50},
    {"load", KEY_LOAD, "FILE", 0, "Begin with the weights of this file, safetensors or npz", 50},
    {"rename", KEY_RENAME, "THERE=HERE", 0,
     "A weight has another name in the file; `*` on both sides stands for the same characters. Can be given often", 50},
    {"transpose", KEY_TRANSPOSE, "PATTERN", 0,
     "Weights with such paths lie transposed in the file, as those of PyTorch's nn.Linear do. Can be given often", 50},
    {"ignore", KEY_IGNORE, "PATTERN", 0, "Weights with such names in the file are not wanted. Can be given often", 50},
    {0},
};

// Adds to a list that ends with NULL.
static void add(const char ***list, int *count, const char *item) {
    *list = checked(realloc(*list, (size_t)(*count + 2) * sizeof **list));
    (*list)[(*count)++] = item;
    (*list)[*count] = NULL;
}

static error_t parse_weights(int key, char *argument, struct argp_state *state) {
    Weights *weights = state->input;
    switch (key) {
    case KEY_LOAD: weights->load = argument; return 0;
    case KEY_RENAME: add(&weights->rename, &weights->rename_count, argument); return 0;
    case KEY_TRANSPOSE: add(&weights->transpose, &weights->transpose_count, argument); return 0;
    case KEY_IGNORE: add(&weights->ignore, &weights->ignore_count, argument); return 0;
    case ARGP_KEY_END:
        if ((weights->rename || weights->transpose || weights->ignore) && !weights->load && !weights->exported)
            argp_error(state,
                       "--rename, --transpose and --ignore say how a weight file differs: name one, --load=FILE");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static gradc_weight_options library_options(const Weights *weights) {
    return (gradc_weight_options){weights->rename, weights->transpose, weights->ignore};
}

gradc_status load_weights(gradc_program *program, const Weights *weights) {
    gradc_weight_options options = library_options(weights);
    return weights->load ? gradc_load_with(program, weights->load, weights->exported ? NULL : &options) : GRADC_OK;
}

gradc_status export_weights(gradc_program *program, const Weights *weights) {
    gradc_weight_options options = library_options(weights);
    return weights->exported ? gradc_save_with(program, weights->exported, &options) : GRADC_OK;
}

void weights_free(Weights *weights) {
    free(weights->rename);
    free(weights->transpose);
    free(weights->ignore);
}

// ---- the line

// What --help prints above and, behind \v, below the options.
static char *help_text(const Command *command) {
    char *text = NULL;
    size_t size;
    FILE *stream = checked(open_memstream(&text, &size));
    fprintf(stream, "%s\v%s\n", command->summary, command->description);
    if (command->examples) fprintf(stream, "\nExamples:\n");
    for (const char *const *example = command->examples; example && *example; example += 2)
        fprintf(stream, "  %s\n      %s\n", example[0], example[1]);
    fprintf(stream, "\nThe manual page gradc-%s(1) says the same; gradc(1) has the exit codes.", command->name);
    return checked(fclose(stream) == 0 ? text : NULL);
}

void parse_line(const Command *command, int argc, char **argv, void *input) {
    static const struct argp common_argp = {.options = common_options, .parser = parse_common};
    static const struct argp weights_argp = {.options = weight_options, .parser = parse_weights};
    const struct argp_child children[] = {{command->compiles ? &common_argp : NULL, 0, NULL, 0},
                                          {command->loads ? &weights_argp : NULL, 0, NULL, 0},
                                          {0}};
    char *help = help_text(command);
    const struct argp argp = {.options = command->options,
                              .parser = command->parser,
                              .args_doc = command->arguments,
                              .doc = help,
                              .children = children};
    argp_err_exit_status = EXIT_USAGE;
    error_t error = argp_parse(&argp, argc, argv, 0, NULL, input);
    free(help);
    if (!error) return;
    fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
    exit(EXIT_INTERNAL);
}

// ---- arguments of options

int64_t parse_integer(struct argp_state *state, const char *option, const char *text, int64_t least) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < least)
        argp_error(state, "%s takes a whole number of at least %" PRId64 ", not '%s'", option, least, text);
    return value;
}

uint64_t parse_seed(struct argp_state *state, const char *option, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno)
        argp_error(state, "%s takes a whole number from 0 to 2^64 - 1, not '%s'", option, text);
    return value;
}

double parse_number(struct argp_state *state, const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value)) argp_error(state, "%s takes a number, not '%s'", option, text);
    return value;
}

int parse_choice(struct argp_state *state, const char *option, const char *text, const char *choices) {
    size_t length = strlen(text);
    int position = 0;
    for (const char *choice = choices; choice; position++) {
        const char *bar = strchr(choice, '|');
        size_t choice_length = bar ? (size_t)(bar - choice) : strlen(choice);
        if (choice_length == length && strncmp(choice, text, length) == 0) return position;
        choice = bar ? bar + 1 : NULL;
    }
    argp_error(state, "%s can be one of %s, not '%s'", option, choices, text);
    return 0;
}

gradc_rows parse_rows(struct argp_state *state, const char *text) {
    static const gradc_rows rows[] = {GRADC_ROWS_HELD_OUT, GRADC_ROWS_TRAINING, GRADC_ROWS_ALL};
    return rows[parse_choice(state, "--rows", text, ROWS_CHOICES)];
}
