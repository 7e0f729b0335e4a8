// Training: epochs over a program's own data. The train blocks take turns in the order of the file, each its `repeat`
// steps (semantics.md, S7), until every one has done its epochs.
#include "runtime/fit.h"

#include <stdlib.h>
#include <string.h>

// One train block's place in its data.
typedef struct {
    const TrainBlock *block;
    gradc_trainer *trainer;
    const DataSet *data;   // NULL: the loss has no inputs
    Batch batch;
    int64_t epochs, batch_rows;
    int64_t epoch;              // that have ended
    int64_t *order;             // training rows in this epoch's order
    int64_t position;           // in `order`
    double loss_sum, started;   // of this epoch
    int metric_count;
    gradc_metric_value *metrics;
    gradc_call **metric_calls;
    Batch *metric_batches;
} Turn;

typedef struct {
    gradc_program *program;
    gradc_fit_options options;
    uint64_t seed;
    DataSet *data;   // one for each data block of the program; not loaded: no arena
    int turn_count;
    Turn *turns;
} Fit;

// ---- preparation

static gradc_status load_data(Fit *fit, const DataBlock *block, const DataSet **data) {
    const Program *program = fit->program->program;
    int index = 0;
    while (program->data.items[index] != block) index++;
    *data = &fit->data[index];
    return fit->data[index].arena ? GRADC_OK : data_load(fit->program, block, fit->options.data, &fit->data[index]);
}

// Says which input the data block does not feed.
static gradc_status check_feeds(Fit *fit, const DataBlock *block, const Entry *entry) {
    for (int i = 0; i < entry->function.argument_count; i++) {
        const char *name = entry->function.arguments[i]->variable->name;
        bool found = false;
        for (int k = 0; k < block->fields.count; k++) found = found || strcmp(block->fields.items[k].name, name) == 0;
        if (!found)
            return fail(fit->program, GRADC_DATA, "%s needs an input '%s', which data %s does not give", entry->name,
                        name, block->name);
    }
    if (data_feeds(block, entry) || !entry->function.argument_count) return GRADC_OK;
    return fail(fit->program, GRADC_DATA, "what data %s gives has another dtype or rank than %s takes", block->name,
                entry->name);
}

static gradc_status prepare_metrics(Fit *fit, Turn *turn) {
    const Program *program = fit->program->program;
    size_t size = (size_t)program->entries.count + 1;
    turn->metrics = calloc(size, sizeof *turn->metrics);
    turn->metric_calls = calloc(size, sizeof(gradc_call *));
    turn->metric_batches = calloc(size, sizeof *turn->metric_batches);
    if (!turn->metrics || !turn->metric_calls || !turn->metric_batches) return fail_memory(fit->program);
    for (int i = 0; i < program->entries.count; i++) {
        const Entry *entry = program->entries.items[i];
        bool alone = !entry->function.argument_count;
        if (entry->kind != ENTRY_METRIC || (!alone && (!turn->data || !data_feeds(turn->data->block, entry)))) continue;
        int index = turn->metric_count++;
        turn->metrics[index].name = entry->name;
        gradc_status status = batch_create(&turn->metric_batches[index], fit->program, turn->data, entry);
        if (!status) status = gradc_call_create(fit->program, entry->name, &turn->metric_calls[index]);
        if (status) return status;
    }
    return GRADC_OK;
}

static gradc_status prepare_data(Fit *fit, Turn *turn) {
    const TrainBlock *block = turn->block;
    gradc_status status = check_feeds(fit, block->data, block->entry);
    if (!status) status = load_data(fit, block->data, &turn->data);
    if (!status) status = data_check_ranges(turn->data, block->entry);
    if (!status) status = batch_create(&turn->batch, fit->program, turn->data, block->entry);
    if (status) return status;
    turn->order = malloc((size_t)turn->data->training_count * sizeof *turn->order);
    return turn->order ? prepare_metrics(fit, turn) : fail_memory(fit->program);
}

static gradc_status prepare_turn(Fit *fit, Turn *turn, const TrainBlock *block) {
    const gradc_fit_options *options = &fit->options;
    turn->block = block;
    turn->epochs = options->epochs ? options->epochs : block->epochs;
    turn->batch_rows = options->batch ? options->batch : block->batch;
    if (turn->batch_rows < 1 || turn->epochs < 0)
        return fail(fit->program, GRADC_ARGUMENT, "train %s: batch must be at least 1 and epochs at least 0",
                    block->loss);
    gradc_status status = gradc_trainer_create(fit->program, block->loss, &turn->trainer);
    if (status) return status;
    trainer_set_batch(turn->trainer, turn->batch_rows);
    if (options->learning_rate) status = gradc_trainer_set(turn->trainer, "lr", *options->learning_rate);
    if (status) return status;
    if (block->data) return prepare_data(fit, turn);
    if (!block->entry->function.argument_count) return prepare_metrics(fit, turn);
    return fail(fit->program, GRADC_DATA,
                "train %s names no data, and %s has inputs: give it a `data` setting, or feed "
                "it from a host program",
                block->loss, block->loss);
}

// Of an epoch. Without data each step counts as one.
static int64_t rows_of(const Turn *turn) {
    return turn->data ? turn->data->training_count : turn->block->steps;
}

// What `iterations` is in the program: the steps that this training takes.
static gradc_status set_iterations(const Turn *turn) {
    int64_t rows = rows_of(turn);
    int64_t steps = turn->data ? (rows + turn->batch_rows - 1) / turn->batch_rows : rows;
    return gradc_trainer_set(turn->trainer, "iterations", (double)(steps * turn->epochs));
}

static gradc_status prepare(Fit *fit) {
    const Program *program = fit->program->program;
    const gradc_fit_options *options = &fit->options;
    if (options->epochs < 0 || options->batch < 0)
        return fail(fit->program, GRADC_ARGUMENT, "epochs and batch cannot be negative");
    if (!program->trains.count) return fail(fit->program, GRADC_ARGUMENT, "the program has no train block");
    int chosen = options->loss ? find_train(fit->program, options->loss) : 0;
    if (chosen < 0) return fail(fit->program, GRADC_ARGUMENT, "the program has no `train %s`", options->loss);
    int count = options->loss ? 1 : program->trains.count;
    fit->data = calloc((size_t)program->data.count + 1, sizeof *fit->data);
    fit->turns = calloc((size_t)count, sizeof *fit->turns);
    if (!fit->data || !fit->turns) return fail_memory(fit->program);
    for (int i = 0; i < count; i++) {
        fit->turn_count++;
        gradc_status status = prepare_turn(fit, &fit->turns[i], program->trains.items[chosen + i]);
        if (!status) status = set_iterations(&fit->turns[i]);
        if (status) return status;
    }
    fit->seed = options->seed ? *options->seed : program->trains.items[chosen]->seed;
    if (!options->keep_parameters) return gradc_initialise(fit->program, fit->seed);
    gradc_status status = ensure_initialised(fit->program);
    fit->program->seed = fit->seed;
    return status;
}

static void free_turn(Turn *turn) {
    for (int i = 0; i < turn->metric_count; i++) {
        gradc_call_free(turn->metric_calls[i]);
        batch_free(&turn->metric_batches[i]);
    }
    free(turn->metrics);
    free(turn->metric_calls);
    free(turn->metric_batches);
    if (turn->batch.arrays) batch_free(&turn->batch);
    gradc_trainer_free(turn->trainer);
    free(turn->order);
}

static void free_fit(Fit *fit) {
    for (int i = 0; i < fit->turn_count; i++) free_turn(&fit->turns[i]);
    for (int i = 0; fit->data && i < fit->program->program->data.count; i++) data_free(&fit->data[i]);
    free(fit->turns);
    free(fit->data);
}

// ---- the loop

static void begin_epoch(Fit *fit, Turn *turn) {
    turn->position = 0;
    turn->loss_sum = 0;
    turn->started = now_seconds();
    if (!turn->data) return;
    int64_t count = turn->data->training_count;
    memcpy(turn->order, turn->data->training, (size_t)count * sizeof *turn->order);
    shuffle(turn->order, count, fit->seed, SHUFFLE_EPOCH, (uint64_t)turn->epoch);
}

static gradc_status end_epoch(Fit *fit, Turn *turn) {
    turn->epoch++;
    for (int i = 0; i < turn->metric_count; i++) {
        gradc_status status = metric_value(turn->metric_calls[i], &turn->metric_batches[i], &turn->metrics[i].value);
        if (status) return status;
    }
    if (!fit->options.progress) return GRADC_OK;
    gradc_progress progress = {.loss = turn->block->loss,
                               .epoch = turn->epoch,
                               .epochs = turn->epochs,
                               .iteration = gradc_trainer_iteration(turn->trainer),
                               .mean_loss = turn->loss_sum / (double)(turn->position ? turn->position : 1),
                               .metric_count = turn->metric_count,
                               .metrics = turn->metrics,
                               .seconds = now_seconds() - turn->started};
    if (fit->options.progress(fit->options.context, &progress)) return GRADC_OK;
    return fail(fit->program, GRADC_STOPPED, "stopped after epoch %lld of %s", (long long)turn->epoch,
                turn->block->loss);
}

static gradc_status step_rows(Turn *turn, int64_t count, double *loss) {
    for (int i = 0; i < turn->block->entry->function.argument_count; i++) {
        gradc_tensor tensor;
        gradc_status status = batch_gather(&turn->batch, i, turn->order + turn->position, count, &tensor);
        if (!status) status = gradc_trainer_bind(turn->trainer, i, &tensor);
        if (status) return status;
    }
    return gradc_trainer_step(turn->trainer, loss);
}

// Whether the training goes on after this step.
static bool tell_step(Fit *fit, const Turn *turn, int64_t rows, double loss) {
    if (!fit->options.step) return true;
    gradc_step step = {.loss = turn->block->loss,
                       .epoch = turn->epoch + 1,
                       .epochs = turn->epochs,
                       .iteration = gradc_trainer_iteration(turn->trainer),
                       .rows_done = turn->position,
                       .rows = rows,
                       .step_loss = loss,
                       .seconds = now_seconds() - turn->started};
    return fit->options.step(fit->options.context, &step);
}

// One step; at an epoch's ends, what belongs there.
static gradc_status step(Fit *fit, Turn *turn) {
    double loss = 0;
    int64_t rows = rows_of(turn), most = turn->data ? turn->batch_rows : 1;
    if (turn->position == 0) begin_epoch(fit, turn);
    int64_t count = most > rows - turn->position ? rows - turn->position : most;
    gradc_status status = turn->data ? step_rows(turn, count, &loss) : gradc_trainer_step(turn->trainer, &loss);
    if (status) return status;
    turn->loss_sum += loss * (double)count;
    turn->position += count;
    bool goes_on = tell_step(fit, turn, rows, loss);
    if (turn->position == rows) {
        status = end_epoch(fit, turn);
        turn->position = 0;
    }
    if (status || goes_on) return status;
    return fail(fit->program, GRADC_STOPPED, "stopped after iteration %lld of %s",
                (long long)gradc_trainer_iteration(turn->trainer), turn->block->loss);
}

static gradc_status train(Fit *fit) {
    for (bool running = true; running;) {
        running = false;
        for (int i = 0; i < fit->turn_count; i++) {
            Turn *turn = &fit->turns[i];
            int64_t repeat = turn->block->repeat > 0 ? turn->block->repeat : 1;
            for (int64_t k = 0; k < repeat && turn->epoch < turn->epochs; k++) {
                gradc_status status = step(fit, turn);
                if (status) return status;
            }
            running = running || turn->epoch < turn->epochs;
        }
    }
    return GRADC_OK;
}

gradc_status gradc_fit(gradc_program *program, const gradc_fit_options *options) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Fit fit = {.program = program, .options = options ? *options : (gradc_fit_options){0}};
    gradc_status status = prepare(&fit);
    if (!status) status = train(&fit);
    free_fit(&fit);
    return status;
}
