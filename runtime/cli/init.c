// gradc init: a starter model that trains at once, with comments that say what is what, and data for it.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *file;
} Options;

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    Options *options = state->input;
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (options->file) argp_error(state, "more than one FILE: '%s' and '%s'", options->file, argument);
    options->file = argument;
    return 0;
}

// The name of the data file stands in place of %s.
static const char model[] =
    "# A first network: on which of two moons does a point of the plane lie?\n"
    "#\n"
    "#   gradc check FILE    says what is wrong with this file, and what is in it\n"
    "#   gradc train FILE    trains; --save=FILE keeps the weights\n"
    "#   gradc grad FILE     prints the gradient that gets compiled\n"
    "\n"
    "dim N                                        # how many rows: open, so the program runs any number\n"
    "\n"
    "# A net is a function with parameters. Its results are logits, one for each moon.\n"
    "net moons(x: f32[N, 2]) -> f32[N, 2] {\n"
    "    use hidden = dense<2, 16, tanh>          # a layer of the library: 2 numbers to 16, tanh behind it\n"
    "    use output = dense<16, 2>\n"
    "    return output(hidden(x))\n"
    "}\n"
    "\n"
    "# A loss is one number, which training makes small; a metric one number to look at.\n"
    "loss nll(x: f32[N, 2], y: i32[N]) { return cross_entropy(moons(x), y) }\n"
    "\n"
    "metric accuracy(x: f32[N, 2], y: i32[N]) { return mean(f32(argmax(moons(x), axis = -1) == y)) }\n"
    "\n"
    "# What the columns of the data file are. Of five rows four train; the others are held out for the metrics.\n"
    "data points { file \"%s\"; x = columns[0:2]; y = i32(columns[2]); split 0.8 }\n"
    "\n"
    "train nll { data points; optimizer adam(lr = 0.02); batch 16; epochs 20 }\n";

enum { MOON_ROWS = 100 };

// Two half circles, one inside the end of the other, each point a little beside them.
static void write_data(FILE *stream) {
    const double pi = 3.14159265358979323846;
    uint32_t random = 1;
    fprintf(stream, "a,b,moon\n");
    for (int i = 0; i < 2 * MOON_ROWS; i++) {
        int moon = i % 2;
        double angle = pi * (i / 2) / (MOON_ROWS - 1), beside[2];
        for (int k = 0; k < 2; k++) {
            random = random * 1664525u + 1013904223u;
            beside[k] = 0.3 * (random / 4294967296.0 - 0.5);
        }
        double a = moon ? 1 - cos(angle) : cos(angle), b = moon ? 0.5 - sin(angle) : sin(angle);
        fprintf(stream, "%.3f,%.3f,%d\n", a + beside[0], b + beside[1], moon);
    }
}

// Beside the model file, with its name: model.grad, model.csv.
static char *data_path(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *point = strrchr(name, '.');
    size_t length = point && point > name ? (size_t)(point - path) : strlen(path);
    char *result = checked(malloc(length + sizeof ".csv"));
    memcpy(result, path, length);
    memcpy(result + length, ".csv", sizeof ".csv");
    return result;
}

// A new file; NULL after a message if it is there or cannot be made.
static FILE *create(const char *path) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    FILE *stream = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (stream) return stream;
    if (errno == EEXIST) fprintf(stderr, "gradc: '%s' is there already, and stays as it is; name another FILE\n", path);
    else fprintf(stderr, "gradc: cannot write '%s': %s\n", path, strerror(errno));
    return NULL;
}

static bool close_new(FILE *stream, const char *path) {
    bool fine = !ferror(stream);
    if (fclose(stream) == 0 && fine) return true;
    fprintf(stderr, "gradc: cannot write '%s': %s\n", path, strerror(errno));
    unlink(path);
    return false;
}

// Both files or none.
static int write_both(const char *path, const char *data) {
    FILE *model_file = create(path), *data_file = model_file ? create(data) : NULL;
    if (!data_file) {
        if (model_file) {
            fclose(model_file);
            unlink(path);
        }
        return EXIT_ERROR;
    }
    const char *slash = strrchr(data, '/');
    fprintf(model_file, model, slash ? slash + 1 : data);
    write_data(data_file);
    bool model_written = close_new(model_file, path), data_written = close_new(data_file, data);
    if (model_written && data_written) return EXIT_DONE;
    if (model_written) unlink(path);
    if (data_written) unlink(data);
    return EXIT_ERROR;
}

static int run_init(int argc, char **argv) {
    Options options = {0};
    parse_line(&init_command, argc, argv, &options);
    const char *path = options.file ? options.file : "model.grad";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*name || strchr(name, '"') || strchr(name, '\n') || strcmp(name, ".csv") == 0) {
        fprintf(stderr, "gradc init: '%s' cannot be the name of a model file\n", path);
        return EXIT_USAGE;
    }
    char *data = data_path(path);
    int exit_code = EXIT_USAGE;
    if (strcmp(data, path) == 0)
        fprintf(stderr, "gradc init: '%s' is to be the model file; its data get that name\n", path);
    else exit_code = write_both(path, data);
    if (exit_code == EXIT_DONE) printf("wrote %s, a model, and %s, its data\nnext: gradc train %s\n", path, data, path);
    free(data);
    return exit_code;
}

static const char *const examples[] = {
    "gradc init && gradc train model.grad",
    "write a model and train it",
    "gradc init moons.grad",
    "the same with another name",
    NULL,
};
const Command init_command = {
    .name = "init",
    .summary = "write a starter model and its data",
    .arguments = "[FILE]",
    .parser = parse_option,
    .description =
        "Writes a small model that trains at once, with comments that say what is what: FILE, or `model.grad` "
        "if it is left out. Its data go beside it, into a file of the same name with `.csv`. Files that are "
        "there already are left alone: it is an error then, and nothing is written.",
    .examples = examples,
    .run = run_init,
};
