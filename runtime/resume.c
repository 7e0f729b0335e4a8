// Going on from a checkpoint. The file may be damaged, or of another program, other data or other options: all is checked
// before anything is taken over, and the message says what differs.
#include "runtime/training.h"
#include "runtime/weights.h"

#include <jansson.h>
#include <string.h>

static gradc_status malformed(const Fit *fit, const char *what) {
    return fail(fit->program, GRADC_DATA, "'%s' is not a checkpoint of gradc, or damaged: %s", fit->options.resume,
                what);
}

static gradc_status differs(const Fit *fit, const char *what, const char *there, const char *here) {
    return fail(fit->program, GRADC_DATA, "'%s' cannot be resumed: %s is %s there, but %s here", fit->options.resume,
                what, there, here);
}

// No counter is greater, so that counting on cannot overflow.
static const int64_t most = (int64_t)1 << 53;

// The number of that name, if it lies in the range.
static bool get_integer(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *value) {
    const json_t *json = json_object_get(object, key);
    if (!json_is_integer(json)) return false;
    *value = json_integer_value(json);
    return *value >= low && *value <= high;
}

// ---- options

// A text that an option may have; nothing else is allowed in its place.
static bool get_text(const json_t *object, const char *key, const char **text) {
    const json_t *json = json_object_get(object, key);
    *text = json_string_value(json);
    return *text || json_is_null(json);
}

static gradc_status fill_options(Fit *fit) {
    const json_t *json = json_object_get(fit->resumed.json, "options");
    gradc_fit_options *options = &fit->options, saved = {0};
    if (!get_integer(json, "epochs", 0, most, &saved.epochs) || !get_integer(json, "batch", 0, most, &saved.batch) ||
        !get_integer(json, "patience", 0, most, &saved.patience) || !get_text(json, "loss", &saved.loss) ||
        !get_text(json, "data", &saved.data) || !get_text(json, "monitor", &saved.monitor))
        return malformed(fit, "options");
    saved.monitor_greater = json_is_true(json_object_get(json, "monitor_greater"));
    if (!options->epochs) options->epochs = saved.epochs;
    if (!options->batch) options->batch = saved.batch;
    if (!options->loss) options->loss = saved.loss;
    if (!options->data) options->data = saved.data;
    if (!options->monitor) options->monitor_greater = saved.monitor ? saved.monitor_greater : options->monitor_greater;
    if (!options->monitor) options->monitor = saved.monitor;
    if (!options->patience) options->patience = saved.patience;
    return GRADC_OK;
}

gradc_status resume_open(Fit *fit) {
    Resumed *resumed = &fit->resumed;
    gradc_status status = safetensors_read(fit->program, fit->options.resume, &resumed->file);
    if (status) return status;
    const char *format = safetensors_metadata(&resumed->file, "format");
    const char *training = safetensors_metadata(&resumed->file, "training");
    if (!format || strcmp(format, CHECKPOINT_FORMAT) != 0 || !training)
        return fail(fit->program, GRADC_DATA,
                    "'%s' holds weights, but is not a checkpoint of gradc: they can be loaded, but not resumed",
                    fit->options.resume);
    json_error_t error;
    resumed->json = json_loads(training, JSON_REJECT_DUPLICATES, &error);
    if (!resumed->json && json_error_code(&error) == json_error_out_of_memory) return fail_memory(fit->program);
    return resumed->json ? fill_options(fit) : malformed(fit, error.text);
}

void resume_close(Fit *fit) {
    json_decref(fit->resumed.json);
    safetensors_close(&fit->resumed.file);
}

// ---- checking

static bool is_used(const Fit *fit, const DataBlock *data) {
    for (int i = 0; i < fit->turn_count; i++)
        if (fit->turns[i].block->data == data) return true;
    return false;
}

static const StoredArray *find_array(const Fit *fit, const char *prefix, const char *name);

// What `float` means is part of nearly everything: it is looked at first.
static gradc_status check_floating(const Fit *fit) {
    const Program *program = fit->program->program;
    if (!program->trains.count) return GRADC_OK;
    const StoredArray *array = find_array(fit, OPTIMIZER_PREFIX, program->trains.items[0]->loss);
    ElementType here = element_of_dtype(public_dtype(program->floating));
    if (!array || array->type == here) return GRADC_OK;
    return differs(fit, "`float`", element_name(array->type), element_name(here));
}

static gradc_status check_program(const Fit *fit) {
    const json_t *parts = json_object_get(fit->resumed.json, "parts");
    char names[512] = "";
    size_t length = 0;
    bool optimizer = false;
    for (int i = 0; i < fit->identity.count; i++) {
        const Part *part = &fit->identity.parts[i];
        char digits[HASH_TEXT];
        hash_text(part->hash, digits);
        const char *there = json_string_value(json_object_get(parts, part->name));
        if ((there && strcmp(there, digits) == 0) || (part->data && !is_used(fit, part->data))) continue;
        optimizer = optimizer || strncmp(part->name, "the optimizer of ", 17) == 0;
        if (length < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", part->name);
    }
    if (!length) return GRADC_OK;
    const char *version = safetensors_metadata(&fit->resumed.file, "gradc");
    bool other = version && strcmp(version, GRADC_VERSION) != 0;
    return fail(fit->program, GRADC_DATA, "'%s' cannot be resumed: it is of another program%s%s; what differs: %s%s",
                fit->options.resume, other ? ", or the same in gradc " : "", other ? version : "", names,
                optimizer
                    ? "; another learning rate for a resumed training is set without a change of the file: --lr=0.1"
                    : "");
}

static gradc_status check_seed(const Fit *fit, uint64_t seed) {
    const gradc_fit_options *options = &fit->options;
    char there[32], here[32];
    if (!options->seed || *options->seed == seed) return GRADC_OK;
    snprintf(there, sizeof there, "%llu", (unsigned long long)seed);
    snprintf(here, sizeof here, "%llu", (unsigned long long)*options->seed);
    return differs(fit, "the seed", there, here);
}

static gradc_status check_turn(const Fit *fit, const Turn *turn, const json_t *json) {
    int64_t epoch, position, rows;
    const char *loss = json_string_value(json_object_get(json, "loss"));
    if (!loss || !get_integer(json, "epoch", 0, most, &epoch) || !get_integer(json, "rows", 0, most, &rows) ||
        !get_integer(json, "position", 0, most, &position))
        return malformed(fit, "turns");
    if (strcmp(loss, turn->block->loss) != 0) return differs(fit, "what is trained", loss, turn->block->loss);
    char what[128], there[32], here[32];
    snprintf(what, sizeof what, "the number of rows that train %s", loss);
    snprintf(there, sizeof there, "%lld", (long long)rows);
    snprintf(here, sizeof here, "%lld", (long long)turn->rows);
    if (rows != turn->rows) return differs(fit, what, there, here);
    return position < rows ? GRADC_OK : malformed(fit, "position");
}

static gradc_status check_turns(const Fit *fit) {
    const json_t *turns = json_object_get(fit->resumed.json, "turns");
    char there[32], here[32];
    snprintf(there, sizeof there, "%zu", json_array_size(turns));
    snprintf(here, sizeof here, "%d", fit->turn_count);
    if (json_array_size(turns) != (size_t)fit->turn_count)
        return differs(fit, "the number of losses that are trained", there, here);
    for (int i = 0; i < fit->turn_count; i++) {
        gradc_status status = check_turn(fit, &fit->turns[i], json_array_get(turns, (size_t)i));
        if (status) return status;
    }
    return GRADC_OK;
}

static const StoredArray *find_array(const Fit *fit, const char *prefix, const char *name) {
    const Safetensors *file = &fit->resumed.file;
    size_t length = strlen(prefix);
    for (int i = 0; i < file->count; i++)
        if (strncmp(file->arrays[i].name, prefix, length) == 0 && strcmp(file->arrays[i].name + length, name) == 0)
            return &file->arrays[i];
    return NULL;
}

// Copies the array to `to` if it has that type and that many elements; `to` NULL: only looks.
static bool take_array(const StoredArray *array, ElementType type, int64_t count, void *to) {
    if (!array || array->type != type || array_count(array) != count) return false;
    if (to && count) memcpy(to, array->elements, (size_t)count * element_size(type));
    return true;
}

// ---- taking over. Everything here is done twice: first to check, then `really`.

// The weights whose names begin with `prefix`, which is not part of them; "": those of the last step.
static gradc_status take_weights(Fit *fit, const char *prefix, void *parameters, void *states, bool really) {
    const Safetensors *file = &fit->resumed.file;
    size_t length = strlen(prefix);
    Weights list;
    StoredArray *arrays = program_allocate(fit->program, (size_t)file->count + 1, sizeof *arrays);
    if (!arrays) return fail_memory(fit->program);
    int count = 0;
    for (int i = 0; i < file->count; i++) {
        if (strncmp(file->arrays[i].name, prefix, length) != 0 || strchr(file->arrays[i].name + length, '/')) continue;
        arrays[count] = file->arrays[i];
        arrays[count++].name += length;
    }
    gradc_status status = weights_list(&list, fit->program, fit->options.resume, parameters, states);
    if (!status) {
        status = weights_take(&list, arrays, count, NULL, really);
        weights_release(&list);
    }
    program_release(fit->program, arrays);
    return status;
}

static gradc_status take_trains(const Fit *fit, bool really) {
    gradc_program *program = fit->program;
    const json_t *iterations = json_object_get(fit->resumed.json, "iterations");
    ElementType type = element_of_dtype(public_dtype(program->program->floating));
    for (int i = 0; i < program->program->trains.count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        TrainState *train = &program->trains[i];
        int64_t iteration, elements = block->state_count * program->program->parameter_count;
        if (!get_integer(iterations, block->loss, 0, most, &iteration)) return malformed(fit, "iterations");
        if (!take_array(find_array(fit, OPTIMIZER_PREFIX, block->loss), type, elements,
                        really ? train->values.bytes : NULL))
            return malformed(fit, "an optimizer's states");
        if (!take_array(find_array(fit, HYPERPARAMETERS_PREFIX, block->loss), ELEMENT_F64, train->hyperparameter_count,
                        really ? train->hyperparameters : NULL))
            return malformed(fit, "hyperparameters");
        if (really) train->iteration = iteration;
    }
    return GRADC_OK;
}

static gradc_status take_turns(Fit *fit, bool really) {
    double numbers[3] = {0};
    const json_t *json = fit->resumed.json, *turns = json_object_get(json, "turns");
    int64_t turn_number, steps;
    const StoredArray *array = find_array(fit, NUMBERS, "");
    if (!get_integer(json, "turn", 0, fit->turn_count - 1, &turn_number) ||
        !get_integer(json, "turn_steps", 0, most, &steps) ||
        !take_array(array, ELEMENT_F64, checkpoint_number_count(fit), NULL))
        return malformed(fit, "turn");
    if (!really) return GRADC_OK;
    fit->turn = (int)turn_number;
    fit->turn_steps = steps;
    for (int i = 0; i < fit->turn_count; i++) {
        Turn *turn = &fit->turns[i];
        const json_t *saved = json_array_get(turns, (size_t)i);
        get_integer(saved, "epoch", 0, most, &turn->epoch);
        get_integer(saved, "position", 0, most, &turn->position);
        memcpy(&numbers[1], (const char *)array->elements + (size_t)(1 + 2 * i) * sizeof(double), 2 * sizeof(double));
        turn->loss_sum = numbers[1];
        turn->started = now_seconds() - numbers[2];
        if (turn->position) turn_shuffle(fit, turn);
    }
    return GRADC_OK;
}

// The best epoch counts on only if the same is watched.
static bool same_monitor(const Fit *fit) {
    const json_t *options = json_object_get(fit->resumed.json, "options");
    const char *there = json_string_value(json_object_get(options, "monitor")), *here = fit->options.monitor;
    bool greater = json_is_true(json_object_get(options, "monitor_greater"));
    return fit->monitor.turn && strcmp(there ? there : "loss", here ? here : "loss") == 0 &&
           greater == fit->options.monitor_greater;
}

static gradc_status take_best(Fit *fit, bool really) {
    Monitor *monitor = &fit->monitor;
    const json_t *json = fit->resumed.json;
    int64_t epoch, stale;
    if (!get_integer(json, "best_epoch", 0, most, &epoch) || !get_integer(json, "stale", 0, most, &stale) ||
        !json_is_boolean(json_object_get(json, "best_found")))
        return malformed(fit, "best");
    if (!same_monitor(fit)) return GRADC_OK;
    if (really) monitor->stale = stale;
    if (!json_is_true(json_object_get(json, "best_found"))) return GRADC_OK;
    if (!monitor_reserve(fit)) return fail_memory(fit->program);
    gradc_status status = take_weights(fit, BEST_PREFIX, monitor->parameters.bytes, monitor->states.bytes, really);
    if (status || !really) return status;
    monitor->found = true;
    monitor->best_epoch = epoch;
    memcpy(&monitor->best, find_array(fit, NUMBERS, "")->elements, sizeof monitor->best);
    return GRADC_OK;
}

static gradc_status take_all(Fit *fit, bool really) {
    gradc_program *program = fit->program;
    gradc_status status = take_weights(fit, "", program->parameters.bytes, program->states.bytes, really);
    if (!status) status = take_trains(fit, really);
    if (status || !fit->turn_count) return status;   // a host's own loop has no turns
    status = take_turns(fit, really);
    return status ? status : take_best(fit, really);
}

// Whether the rate can be set at all, before anything is taken over.
static gradc_status check_rate(const Fit *fit) {
    gradc_status status = GRADC_OK;
    for (int i = 0; i < fit->turn_count && fit->options.learning_rate && !status; i++) {
        double rate;
        status = gradc_trainer_get(fit->turns[i].trainer, "lr", &rate);
        if (!status) status = gradc_trainer_set(fit->turns[i].trainer, "lr", rate);
    }
    return status;
}

gradc_status resume_apply(Fit *fit) {
    gradc_program *program = fit->program;
    int64_t seed, draws;
    if (!get_integer(fit->resumed.json, "seed", INT64_MIN, INT64_MAX, &seed) ||
        !get_integer(fit->resumed.json, "draws", INT64_MIN, INT64_MAX, &draws))
        return malformed(fit, "seed");
    gradc_status status = ensure_initialised(program);
    if (!status) status = check_floating(fit);
    if (!status) status = check_program(fit);
    if (!status) status = check_seed(fit, (uint64_t)seed);
    if (!status && fit->turn_count) status = check_turns(fit);
    if (!status) status = check_rate(fit);
    if (!status) status = take_all(fit, false);
    if (status) return status;
    fit->seed = program->seed = (uint64_t)seed;
    program->draw_count = (uint64_t)draws;
    program->version++;
    status = take_all(fit, true);
    for (int i = 0; i < fit->turn_count && !status; i++) status = turn_set_hyperparameters(fit, &fit->turns[i]);
    return status;
}

gradc_status gradc_checkpoint_load(gradc_program *program, const char *path) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Fit fit = {.program = program, .options = {.resume = path}};
    gradc_status status = resume_open(&fit);
    if (!status) status = identity_create(program, &fit.identity);
    if (!status) status = resume_apply(&fit);
    fit_free(&fit);
    return status;
}
