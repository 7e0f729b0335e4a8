// What the commands share: options, opening a program, messages, exit codes.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// ---- options

enum { KEY_FLOAT = 1000, KEY_TIMINGS, KEY_VECTOR, KEY_VERIFY };

static const struct argp_option common_options[] = {
    {0, 0, 0, 0, "How the program is compiled:", 10},
    {"float", KEY_FLOAT, "TYPE", 0, "What `float` means: f32 (the default) or f64", 10},
    {"vectors", KEY_VECTOR, "BYTES", 0,
     "Use vectors of 16, 32 or 64 bytes; by default the widest of this machine. The "
     "results have the same bits",
     10},
    {"verify", KEY_VERIFY, 0, 0, "Check the program after each pass", 10},
    {"timings", KEY_TIMINGS, 0, 0, "Print to stderr how long each stage took", 10},
    {0},
};

static error_t parse_common(int key, char *argument, struct argp_state *state) {
    static const char *const types[] = {"f32", "f64", NULL};
    Common *common = state->input;
    switch (key) {
    case KEY_FLOAT:
        common->options.floating = parse_choice(state, "--float", argument, types) ? GRADC_F64 : GRADC_F32;
        return 0;
    case KEY_VECTOR: common->options.vector_bytes = (int)parse_integer(state, "--vectors", argument, 1); return 0;
    case KEY_VERIFY: common->options.verify = true; return 0;
    case KEY_TIMINGS: common->timings = true; return 0;
    case ARGP_KEY_INIT: common->started = now_seconds(); return 0;
    case ARGP_KEY_ARG:
        if (common->file) argp_error(state, "more than one FILE: '%s' and '%s'", common->file, argument);
        common->file = argument;
        return 0;
    case ARGP_KEY_END:
        if (!common->file) argp_error(state, "which FILE?");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp common_argp = {.options = common_options, .parser = parse_common};

void parse_line(int argc, char **argv, const struct argp *argp, void *input) {
    argp_err_exit_status = EXIT_USAGE;
    error_t error = argp_parse(argp, argc, argv, 0, NULL, input);
    if (!error) return;
    fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
    exit(EXIT_INTERNAL);
}

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

int parse_choice(struct argp_state *state, const char *option, const char *text, const char *const *names) {
    char list[256] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) return i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    argp_error(state, "%s can be one of %s, not '%s'", option, list, text);
    return 0;
}

// ---- programs and messages

static bool colours(void) {
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

void print_diagnostics(const gradc_program *program) {
    fputs(gradc_diagnostics(program, colours()), stderr);
}

int report_status(const gradc_program *program, gradc_status status) {
    if (status == GRADC_OK) return EXIT_DONE;
    if (status == GRADC_PROGRAM && gradc_error_count(program)) print_diagnostics(program);
    else fprintf(stderr, "gradc: %s\n", gradc_message(program));
    return status == GRADC_MEMORY || status == GRADC_INTERNAL ? EXIT_INTERNAL : EXIT_ERROR;
}

gradc_program *open_any_program(Common *common, int *exit_code) {
    gradc_program *program;
    gradc_status status = gradc_compile_file(common->file, &common->options, &program);
    if (status == GRADC_OK || (status == GRADC_PROGRAM && gradc_error_count(program))) return program;
    *exit_code = report_status(program, status);
    close_program(program, common, *exit_code);
    return NULL;
}

gradc_program *open_program(Common *common, int *exit_code) {
    gradc_program *program;
    gradc_status status = gradc_compile_file(common->file, &common->options, &program);
    *exit_code = report_status(program, status);
    if (status == GRADC_OK && !common->hold_messages) print_diagnostics(program);
    if (status == GRADC_OK) return program;
    close_program(program, common, *exit_code);
    return NULL;
}

int close_program(gradc_program *program, const Common *common, int exit_code) {
    if (common->timings && program) {
        gradc_timings timings;
        gradc_get_timings(program, &timings);
        fprintf(stderr,
                "parse          %8.2f ms\nelaborate      %8.2f ms\ndifferentiate  %8.2f ms\n"
                "simplify       %8.2f ms\nkernels        %8.2f ms\nemit           %8.2f ms\n"
                "machine code   %8.2f ms\nwhole run      %8.2f ms\n",
                timings.parse, timings.elaborate, timings.differentiate, timings.simplify, timings.kernels,
                timings.emit, timings.machine_code, (now_seconds() - common->started) * 1e3);
    }
    gradc_program_free(program);
    return exit_code;
}
