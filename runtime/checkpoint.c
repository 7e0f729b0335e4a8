// Checkpoints: everything that a training goes on with, as one safetensors file. The weights lie in it under their paths;
// optimizers and numbers that need all their bits are arrays, too; counters and texts are JSON in the metadata.
#include "runtime/training.h"
#include "runtime/files/whole.h"
#include "runtime/weights.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// What is written: arrays, and the memory of names that were made for them.
typedef struct {
    Arena *arena;
    ARRAY(StoredArray) arrays;
    double *numbers;
    char *training;   // JSON
} Contents;

int checkpoint_number_count(const Fit *fit) {
    return 1 + 2 * fit->turn_count;
}

// ---- arrays

static gradc_status add_weights(Contents *contents, Fit *fit, const char *prefix, void *parameters, void *states) {
    Weights list;
    gradc_status status = weights_list(&list, fit->program, fit->options.checkpoint, parameters, states);
    if (status) return status;
    if (setjmp(*arena_recover(contents->arena))) {
        weights_release(&list);
        return fail_memory(fit->program);
    }
    for (int i = 0; i < list.count; i++) {
        StoredArray array = weight_array(&list.weights[i]);
        array.name = arena_print(contents->arena, "%s%s", prefix, array.name);
        array_push(contents->arena, &contents->arrays, array);
    }
    weights_release(&list);
    return GRADC_OK;
}

static void add_training(Contents *contents, const Fit *fit) {
    const gradc_program *program = fit->program;
    Arena *arena = contents->arena;
    for (int i = 0; i < program->program->trains.count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        const TrainState *train = &program->trains[i];
        StoredArray optimizer = {.name = arena_print(arena, OPTIMIZER_PREFIX "%s", block->loss),
                                 .type = element_of_dtype(public_dtype(program->program->floating)),
                                 .rank = 2,
                                 .shape = {block->state_count, program->program->parameter_count},
                                 .elements = train->values.bytes};
        StoredArray hyperparameters = {.name = arena_print(arena, HYPERPARAMETERS_PREFIX "%s", block->loss),
                                       .type = ELEMENT_F64,
                                       .rank = 1,
                                       .shape = {train->hyperparameter_count},
                                       .elements = train->hyperparameters};
        array_push(arena, &contents->arrays, optimizer);
        array_push(arena, &contents->arrays, hyperparameters);
    }
    contents->numbers = arena_array(arena, double, checkpoint_number_count(fit));
    contents->numbers[0] = fit->monitor.best;
    for (int i = 0; i < fit->turn_count; i++) {
        const Turn *turn = &fit->turns[i];
        contents->numbers[1 + 2 * i] = turn->position ? turn->loss_sum : 0;
        contents->numbers[2 + 2 * i] = turn->position ? now_seconds() - turn->started : 0;
    }
    StoredArray numbers = {.name = NUMBERS,
                           .type = ELEMENT_F64,
                           .rank = 1,
                           .shape = {checkpoint_number_count(fit)},
                           .elements = contents->numbers};
    array_push(arena, &contents->arrays, numbers);
}

static gradc_status add_arrays(Contents *contents, Fit *fit) {
    gradc_program *program = fit->program;
    const Monitor *monitor = &fit->monitor;
    gradc_status status = add_weights(contents, fit, "", program->parameters.bytes, program->states.bytes);
    if (!status && monitor->found)
        status = add_weights(contents, fit, BEST_PREFIX, monitor->parameters.bytes, monitor->states.bytes);
    if (status) return status;
    if (setjmp(*arena_recover(contents->arena))) return fail_memory(program);
    add_training(contents, fit);
    return GRADC_OK;
}

// ---- JSON

static json_t *parts_json(const Identity *identity) {
    json_t *parts = json_object();
    for (int i = 0; i < identity->count; i++) {
        char digits[HASH_TEXT];
        hash_text(identity->parts[i].hash, digits);
        if (json_object_set_new(parts, identity->parts[i].name, json_string(digits)) == 0) continue;
        json_decref(parts);
        return NULL;
    }
    return parts;
}

static json_t *iterations_json(const gradc_program *program) {
    json_t *iterations = json_object();
    for (int i = 0; i < program->program->trains.count; i++) {
        json_t *count = json_integer(program->trains[i].iteration);
        if (json_object_set_new(iterations, program->program->trains.items[i]->loss, count) == 0) continue;
        json_decref(iterations);
        return NULL;
    }
    return iterations;
}

static json_t *turns_json(const Fit *fit) {
    json_t *turns = json_array();
    for (int i = 0; i < fit->turn_count; i++) {
        const Turn *turn = &fit->turns[i];
        json_t *json = json_pack("{s:s, s:I, s:I, s:I}", "loss", turn->block->loss, "epoch", (json_int_t)turn->epoch,
                                 "position", (json_int_t)turn->position, "rows", (json_int_t)turn->rows);
        if (json_array_append_new(turns, json) == 0) continue;
        json_decref(turns);
        return NULL;
    }
    return turns;
}

// The options as they were given, so that a training which is resumed without them has the same.
static json_t *options_json(const gradc_fit_options *options) {
    return json_pack("{s:I, s:I, s:s?, s:s?, s:s?, s:b, s:I}", "epochs", (json_int_t)options->epochs, "batch",
                     (json_int_t)options->batch, "loss", options->loss, "data", options->data, "monitor",
                     options->monitor, "monitor_greater", options->monitor_greater, "patience",
                     (json_int_t)options->patience);
}

static char *training_text(const Fit *fit) {
    const gradc_program *program = fit->program;
    const Monitor *monitor = &fit->monitor;
    json_t *json =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:I, s:b, s:I, s:I}", "seed", (json_int_t)fit->seed, "draws",
                  (json_int_t)program->draw_count, "parts", parts_json(&fit->identity), "options",
                  options_json(&fit->options), "iterations", iterations_json(program), "turns", turns_json(fit), "turn",
                  fit->turn, "turn_steps", (json_int_t)fit->turn_steps, "best_found", monitor->found, "best_epoch",
                  (json_int_t)monitor->best_epoch, "stale", (json_int_t)monitor->stale);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

// ---- writing

// Whether JSON can hold it. NULL is none.
static bool is_text(const char *text) {
    json_t *json = text ? json_string(text) : NULL;
    json_decref(json);
    return !text || json;
}

gradc_status checkpoint_prepare(Fit *fit) {
    const gradc_fit_options *options = &fit->options;
    if (options->checkpoint_steps < 0) return fail(fit->program, GRADC_ARGUMENT, "checkpoint_steps cannot be negative");
    if (!options->checkpoint) return GRADC_OK;
    if (!is_text(options->data) || !is_text(options->monitor))
        return fail(fit->program, GRADC_ARGUMENT,
                    "a checkpoint holds the path of the data and the monitor's name, and one of them is not UTF-8");
    new_file_clean(options->checkpoint);
    return GRADC_OK;
}

gradc_status checkpoint_write(Fit *fit) {
    Contents contents = {.arena = arena_create_from(fit->program->allocator)};
    if (!contents.arena) return fail_memory(fit->program);
    gradc_status status = add_arrays(&contents, fit);
    contents.training = status ? NULL : training_text(fit);
    if (!status && !contents.training) status = fail_memory(fit->program);
    char program[HASH_TEXT];
    hash_text(fit->identity.whole, program);
    Metadata metadata[] = {
        {"format", CHECKPOINT_FORMAT}, {"gradc", GRADC_VERSION}, {"program", program}, {"training", contents.training}};
    if (!status)
        status = safetensors_write(fit->program, fit->options.checkpoint, contents.arrays.items, contents.arrays.count,
                                   metadata, (int)(sizeof metadata / sizeof *metadata));
    free(contents.training);
    arena_destroy(contents.arena);
    if (status) return status;
    fit->unsaved_steps = 0;
    fit->written = now_seconds();
    return GRADC_OK;
}

gradc_status gradc_checkpoint_save(gradc_program *program, const char *path) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    gradc_status status = ensure_initialised(program);
    if (status) return status;
    Fit fit = {.program = program, .options = {.checkpoint = path}, .seed = program->seed};
    new_file_clean(path);
    status = identity_create(program, &fit.identity);
    if (!status) status = checkpoint_write(&fit);
    fit_free(&fit);
    return status;
}
