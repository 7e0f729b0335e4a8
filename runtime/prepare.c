// Before the first step of a training: data is read, trainers and metrics are created, options are checked.
#include "runtime/training.h"

#include <string.h>

// ---- data

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
    turn->metrics = program_allocate(fit->program, size, sizeof *turn->metrics);
    turn->metric_calls = program_allocate(fit->program, size, sizeof(gradc_call *));
    turn->metric_batches = program_allocate(fit->program, size, sizeof *turn->metric_batches);
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

static gradc_status prepare_reports(Fit *fit, Turn *turn) {
    const Entry *entry = turn->block->entry;
    turn->report_count = entry->reports.count;
    turn->reports = program_allocate(fit->program, (size_t)turn->report_count + 1, sizeof *turn->reports);
    if (!turn->reports) return fail_memory(fit->program);
    for (int i = 0; i < turn->report_count; i++) turn->reports[i].name = entry->reports.items[i];
    return GRADC_OK;
}

static gradc_status prepare_data(Fit *fit, Turn *turn) {
    const TrainBlock *block = turn->block;
    gradc_status status = check_feeds(fit, block->data, block->entry);
    if (!status) status = load_data(fit, block->data, &turn->data);
    if (!status) status = data_check_ranges(turn->data, block->entry);
    if (!status) status = batch_create(&turn->batch, fit->program, turn->data, block->entry);
    if (status) return status;
    turn->rows = turn->data->training_count;
    turn->order = program_allocate(fit->program, (size_t)turn->data->training_count, sizeof *turn->order);
    return turn->order ? prepare_metrics(fit, turn) : fail_memory(fit->program);
}

// ---- train blocks

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
    status = prepare_reports(fit, turn);
    if (status) return status;
    turn->rows = block->steps;   // without data each step counts as a row
    if (block->data) return prepare_data(fit, turn);
    if (!block->entry->function.argument_count) return prepare_metrics(fit, turn);
    return fail(fit->program, GRADC_DATA,
                "train %s names no data, and %s has inputs: give it a `data` setting, or feed "
                "it from a host program",
                block->loss, block->loss);
}

gradc_status turn_set_hyperparameters(const Fit *fit, Turn *turn) {
    int64_t steps = turn->data ? turn->rows / turn->batch_rows + (turn->rows % turn->batch_rows != 0) : turn->rows;
    gradc_status status = gradc_trainer_set(turn->trainer, "iterations", (double)steps * (double)turn->epochs);
    if (status || !fit->options.learning_rate) return status;
    return gradc_trainer_set(turn->trainer, "lr", *fit->options.learning_rate);
}

void turn_shuffle(const Fit *fit, Turn *turn) {
    if (!turn->data) return;
    memcpy(turn->order, turn->data->training, (size_t)turn->rows * sizeof *turn->order);
    shuffle(turn->order, turn->rows, fit->seed, SHUFFLE_EPOCH, (uint64_t)turn->epoch);
}

// Creates the train blocks that take turns.
static gradc_status prepare_turns(Fit *fit) {
    const Program *program = fit->program->program;
    const gradc_fit_options *options = &fit->options;
    if (options->epochs < 0 || options->batch < 0)
        return fail(fit->program, GRADC_ARGUMENT, "epochs and batch cannot be negative");
    if (!program->trains.count) return fail(fit->program, GRADC_ARGUMENT, "the program has no train block");
    int chosen = options->loss ? find_train(fit->program, options->loss) : 0;
    if (chosen < 0) return fail(fit->program, GRADC_ARGUMENT, "the program has no `train %s`", options->loss);
    int count = options->loss ? 1 : program->trains.count;
    fit->data = program_allocate(fit->program, (size_t)program->data.count + 1, sizeof *fit->data);
    fit->turns = program_allocate(fit->program, (size_t)count, sizeof *fit->turns);
    if (!fit->data || !fit->turns) return fail_memory(fit->program);
    for (int i = 0; i < count; i++) {
        fit->turn_count++;
        gradc_status status = prepare_turn(fit, &fit->turns[i], program->trains.items[chosen + i]);
        if (status) return status;
    }
    fit->seed = options->seed ? *options->seed : program->trains.items[chosen]->seed;
    return GRADC_OK;
}

// The values that the first step finds.
static gradc_status begin(Fit *fit) {
    if (fit->options.resume) return resume_apply(fit);
    gradc_status status = GRADC_OK;
    for (int i = 0; i < fit->turn_count && !status; i++) status = turn_set_hyperparameters(fit, &fit->turns[i]);
    if (status) return status;
    if (!fit->options.keep_parameters) return gradc_initialise(fit->program, fit->seed);
    status = ensure_initialised(fit->program);
    fit->program->seed = fit->seed;
    return status;
}

gradc_status fit_prepare(Fit *fit) {
    gradc_status status = fit->options.resume ? resume_open(fit) : GRADC_OK;
    if (!status) status = prepare_turns(fit);
    if (!status) status = monitor_prepare(fit);
    if (!status) status = checkpoint_prepare(fit);
    if (!status && (fit->options.resume || fit->options.checkpoint))
        status = identity_create(fit->program, &fit->identity);
    return status ? status : begin(fit);
}

static void free_turn(const gradc_program *program, Turn *turn) {
    for (int i = 0; i < turn->metric_count; i++) {
        gradc_call_free(turn->metric_calls[i]);
        batch_free(&turn->metric_batches[i]);
    }
    program_release(program, turn->metrics);
    program_release(program, turn->metric_calls);
    program_release(program, turn->metric_batches);
    program_release(program, turn->reports);
    if (turn->batch.entry) batch_free(&turn->batch);
    gradc_trainer_free(turn->trainer);
    program_release(program, turn->order);
}

void fit_free(Fit *fit) {
    monitor_free(&fit->monitor);
    identity_free(&fit->identity);
    resume_close(fit);
    for (int i = 0; i < fit->turn_count; i++) free_turn(fit->program, &fit->turns[i]);
    for (int i = 0; fit->data && i < fit->program->program->data.count; i++) data_free(&fit->data[i]);
    program_release(fit->program, fit->turns);
    program_release(fit->program, fit->data);
}
