// gradc plot: functions with their derivatives, and logs of training, as SVG, in the terminal, or as numbers.
//
// gnuplot draws: axes with good numbers on them, keys, and the text form are its business, and it is in every
// distribution. It is run, not linked, and only this command needs it.
#include "runtime/cli/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Common common;
    CurveOptions curves;
    const char *log, *output;
    bool log_scale;
    bool given;   // an option that is for functions only
} Options;

enum {
    KEY_FUNCTION = KEY_FIRST,
    KEY_LOG,
    KEY_LOG_SCALE,
    KEY_RANGE,
    KEY_ORDER,
    KEY_POINTS,
    MAX_ORDER = 6,
    MAX_POINTS = 100000
};

static const struct argp_option own_options[] = {
    {"function", KEY_FUNCTION, "NAME,...", 0,
     "The functions of one number to draw: of FILE or of the library; by default the first of FILE", 1},
    {"order", KEY_ORDER, "N", 0, "Draw derivatives up to this order; 1 if it is left out", 1},
    {"range", KEY_RANGE, "FROM:TO", 0, "Of x; -5:5 if it is left out", 1},
    {"points", KEY_POINTS, "N", 0, "How many points; 401 if it is left out", 1},
    {"log", KEY_LOG, "FILE", 0, "Draw what `gradc train --log=FILE` wrote, instead of functions", 2},
    {"log-scale", KEY_LOG_SCALE, 0, 0, "Draw the losses of the log on a logarithmic axis", 2},
    {"output", 'o', "FILE", 0, "A file instead of the terminal: NAME.svg, NAME.txt, or NAME.csv for the numbers", 3},
    {0},
};

static void parse_range(struct argp_state *state, const char *text, CurveOptions *curves) {
    char *middle, *end = NULL;
    curves->from = strtod(text, &middle);
    if (middle != text && *middle == ':') curves->to = strtod(middle + 1, &end);
    if (!end || end == middle + 1 || *end || !isfinite(curves->from) || !isfinite(curves->to) ||
        !(curves->from < curves->to))
        argp_error(state, "--range takes two numbers, the smaller first, as in -5:5, not '%s'", text);
}

static void check_options(struct argp_state *state, const Options *options) {
    if (options->log && (options->given || options->common.file || options->curves.weights.load))
        argp_error(state, "--log draws a log, and no function: it stands alone");
    if (options->log_scale && !options->log) argp_error(state, "--log-scale is for losses: it needs --log=FILE");
    if (!options->log && !options->common.file && !options->curves.functions)
        argp_error(state, "what is to be drawn? Name --function=NAME, a model FILE, or --log=FILE");
    if (options->common.file && has_suffix(options->common.file, ".csv"))
        argp_error(state, "to draw a log of training, say --log=%s", options->common.file);
    if (options->output && !has_suffix(options->output, ".svg") && !has_suffix(options->output, ".txt") &&
        !has_suffix(options->output, ".csv"))
        argp_error(state, "--output can end in .svg, .txt or .csv, not '%s'", options->output);
}

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    options->given = options->given || key == KEY_FUNCTION || key == KEY_ORDER || key == KEY_RANGE || key == KEY_POINTS;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        state->child_inputs[1] = &options->curves.weights;
        return 0;
    case KEY_FUNCTION: options->curves.functions = argument; return 0;
    case KEY_LOG: options->log = argument; return 0;
    case KEY_LOG_SCALE: options->log_scale = true; return 0;
    case KEY_RANGE: parse_range(state, argument, &options->curves); return 0;
    case KEY_ORDER:
        options->curves.order = (int)parse_integer(state, "--order", argument, 0);
        if (options->curves.order > MAX_ORDER) argp_error(state, "--order can be at most %d", MAX_ORDER);
        return 0;
    case KEY_POINTS: {
        int64_t points = parse_integer(state, "--points", argument, 2);
        if (points > MAX_POINTS) argp_error(state, "--points can be at most %d", MAX_POINTS);
        options->curves.points = (unsigned)points;
        return 0;
    }
    case 'o': options->output = argument; return 0;
    case ARGP_KEY_SUCCESS: check_options(state, options); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void picture_free(Picture *picture) {
    for (int i = 0; i < picture->panel_count; i++) {
        Panel *panel = &picture->panels[i];
        for (int k = 0; k < panel->line_count; k++) {
            free(panel->lines[k].title);
            free(panel->lines[k].x);
            free(panel->lines[k].y);
        }
        free(panel->lines);
        free(panel->x_label);
    }
    free(picture->panels);
}

// The numbers, for curves that share their x: x,sigmoid,sigmoid',relu,relu'.
static void write_numbers(const Picture *picture, FILE *stream) {
    fprintf(stream, "x");
    for (int i = 0; i < picture->panel_count; i++)
        for (int k = 0; k < picture->panels[i].line_count; k++)
            fprintf(stream, ",%s", picture->panels[i].lines[k].title);
    for (int row = 0; row < picture->panels[0].lines[0].count; row++) {
        fprintf(stream, "\n%.17g", picture->panels[0].lines[0].x[row]);
        for (int i = 0; i < picture->panel_count; i++)
            for (int k = 0; k < picture->panels[i].line_count; k++)
                fprintf(stream, ",%.17g", picture->panels[i].lines[k].y[row]);
    }
    fprintf(stream, "\n");
}

static int write_picture(const Picture *picture, const char *path) {
    Output output;
    if (!output_begin(&output, path)) return EXIT_ERROR;
    int exit_code = EXIT_DONE;
    if (path && has_suffix(path, ".csv")) write_numbers(picture, output.stream);
    else
        exit_code = gnuplot_draw(picture, path && has_suffix(path, ".svg") ? PICTURE_SVG : PICTURE_TEXT, output.stream);
    if (exit_code) output_discard(&output);
    else if (!output_finish(&output)) exit_code = EXIT_ERROR;
    return exit_code;
}

static int run_plot(int argc, char **argv) {
    // In f64, so that the derivatives of higher order are smooth lines.
    Options options = {.common = {.file_optional = true, .options.floating = GRADC_F64},
                       .curves = {.from = -5, .to = 5, .points = 401, .order = 1}};
    Picture picture = {0};
    parse_line(&plot_command, argc, argv, &options);
    if (options.log && options.output && has_suffix(options.output, ".csv")) {
        fprintf(stderr, "gradc plot: the log is CSV already: --output can end in .svg or .txt\n");
        return EXIT_USAGE;
    }
    int exit_code = options.log ? training_log_read(options.log, options.log_scale, &picture)
                                : curves_compute(&options.common, &options.curves, &picture);
    if (!exit_code) exit_code = write_picture(&picture, options.output);
    picture_free(&picture);
    weights_free(&options.curves.weights);
    return exit_code;
}

static const char *const examples[] = {
    "gradc plot --function=step,sigmoid,tanh,relu --output=activations.svg",
    "four functions, each with its derivative",
    "gradc plot --function=gelu --order=2 --range=-4:4",
    "a function with two derivatives, in the terminal",
    "gradc plot line.grad --function=line --load=line.safetensors",
    "what a net of one number has learnt",
    "gradc train digits.grad --log=log.csv && gradc plot --log=log.csv",
    "how a training went",
    "gradc plot --log=log.csv --log-scale --output=log.svg",
    "a loss that falls by powers of ten, as a file",
    NULL,
};
const Command plot_command = {
    .name = "plot",
    .summary = "draw a function with its derivatives, or a training log",
    .arguments = "[FILE]",
    .options = own_options,
    .parser = parse_option,
    .compiles = true,
    .loads = true,
    .description = "Draws functions of one number with their derivatives, which gradc computes as `grad` does, in f64 "
                   "unless `--float=f32` is said; or the losses and metrics of a training. The picture goes to the "
                   "terminal as text, or with `--output` into a file. gnuplot draws it: it must be installed.\n\n"
                   "A function can be any of the library (`sigmoid`), or a fn or net of FILE that takes one number and "
                   "gives one (also as `f32[N]` or `f32[N, 1]`).",
    .examples = examples,
    .run = run_plot,
};
