// What the tests of checkpoints share: a folder, a model with all that a training can carry, and trainings that stop.
#ifndef GRADC_TESTS_RESUMED_H
#define GRADC_TESTS_RESUMED_H

#include "tests/unit/host.h"

#include <unistd.h>

static char folder[256], checkpoint[300];

static const char *in_folder(const char *name) {
    static char paths[4][512];   // the last four are valid
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *name, const char *bytes, size_t length) {
    FILE *stream = fopen(in_folder(name), "wb");
    if (!stream || fwrite(bytes, 1, length, stream) != length || fclose(stream) != 0) exit(1);
}

static char *read_bytes(const char *name, size_t *length) {
    FILE *stream = fopen(in_folder(name), "rb");
    if (!stream) return NULL;
    char *bytes = malloc(1 << 20);
    *length = fread(bytes, 1, 1 << 20, stream);
    fclose(stream);
    return bytes;
}

static inline bool same_files(const char *one, const char *other) {
    size_t length, other_length;
    char *bytes = read_bytes(one, &length), *other_bytes = read_bytes(other, &other_length);
    bool same = bytes && other_bytes && length == other_length && memcmp(bytes, other_bytes, length) == 0;
    free(bytes);
    free(other_bytes);
    return same;
}

// All that a training can carry from step to step: running statistics, random numbers, moments of several optimizers, a
// schedule, a second block that takes turns, and a metric that is watched.
static const char model[] =
    "dim N\n"
    "net body(x: f32[N, 3]) -> f32[N] {\n"
    "    use level = batch_norm<3>\n"
    "    use hidden = dense<3, 8, tanh>\n"
    "    use last = dense<8, 1>\n"
    "    return last(dropout(hidden(level(x)), p = 0.2))[:, 0]\n"
    "}\n"
    "net scale() -> f32 { param s: f32 ~ ones; return s }\n"
    "loss fit(x: f32[N, 3], y: f32[N]) { return mse_loss(body(x) * scale(), y) }\n"
    "loss small() { return scale()^2 + 0.1 * sum(normal([2])) * scale() }\n"
    "metric error(x: f32[N, 3], y: f32[N]) { return mean(abs(body(x) * scale() - y)) }\n"
    "data points { file \"points.csv\"; x = columns[0:3]; y = columns[3]; split 0.8 }\n"
    "train fit {\n"
    "    data points\n"
    "    parameters body\n"
    "    optimizer adam(lr = cosine_annealing(iteration, 2e-2, iterations))\n"
    "    optimizer sgd(lr = 0.05, momentum = 0.9) for \"*.b\"\n"
    "    batch 7\n"
    "    epochs 4\n"
    "    seed 3\n"
    "}\n"
    "train small { parameters scale; optimizer sgd(lr = 0.01, momentum = 0.5); epochs 11; repeat 2 }\n";

static inline gradc_program *compile_model(const char *text) {
    gradc_program *program;
    if (gradc_compile_text(in_folder("model.grad"), text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// The model with `to` in place of `from`.
static inline gradc_program *compile_changed(const char *from, const char *to) {
    char text[4096];
    const char *place = strstr(model, from);
    if (!place) exit(1);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(place - model), model, to, place + strlen(from));
    return compile_model(text);
}

static inline gradc_fit_options watched(void) {
    return (gradc_fit_options){.monitor = "error", .checkpoint = checkpoint};
}

typedef struct {
    int steps, stop_after;
    int epochs;
    double told[64][2];   // of each epoch: its mean loss, and what was watched
} Stop;

static inline bool stop_after(void *context, const gradc_step *step) {
    Stop *stop = context;
    return step->rows > 0 && ++stop->steps != stop->stop_after;
}

static inline bool note_epoch(void *context, const gradc_progress *progress) {
    Stop *stop = context;
    stop->told[stop->epochs][0] = progress->mean_loss;
    stop->told[stop->epochs++][1] = isnan(progress->monitored) ? 0 : progress->monitored;
    return stop->epochs < 64;
}

// Resumes until it ends by itself, stopped after every `steps` steps.
static inline int train_in_pieces(gradc_program *program, gradc_fit_options options, int steps, Stop *stop) {
    *stop = (Stop){.stop_after = steps};
    options.step = stop_after;
    options.progress = note_epoch;
    options.context = stop;
    for (int pieces = 1;; pieces++) {
        stop->steps = 0;
        gradc_status status = gradc_fit(program, &options);
        if (status != GRADC_STOPPED) {
            OK(status);
            return pieces;
        }
        // What the checkpoint does not bring back shows.
        OK(gradc_initialise(program, 99));
        options.resume = options.checkpoint;
    }
}

static inline void write_points(int count) {
    char text[16384] = "a,b,c,y\n";
    for (int i = 0; i < count; i++) {
        double a = sin(i * 1.7), b = cos(i * 2.3), c = sin(i * 0.9 + 1);
        snprintf(text + strlen(text), 100, "%.6f,%.6f,%.6f,%.6f\n", a, b, c, a * b + c * c - 0.4 * sin(17 * i));
    }
    write_bytes("points.csv", text, strlen(text));
}

// The folder with the data of the model. In memory where that is possible: hundreds of files are flushed to the disk,
// which is to take no minutes.
static inline bool begin_folder(int points) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "/dev/shm/gradc-resume-XXXXXX");
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "%s/gradc-resume-XXXXXX", base ? base : P_tmpdir);
        if (!mkdtemp(folder)) return false;
    }
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    write_points(points);
    return true;
}

static inline bool end_folder(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0;
}

#endif
