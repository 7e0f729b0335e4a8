// Training: epochs over a program's own data. The train blocks take turns in the order of the file, each its `repeat`
// steps (semantics.md, S7), until every one has done its epochs, or what is watched gets no better.
#include "runtime/training.h"
#include "runtime/call.h"

// Epochs can be so short that writing a checkpoint takes longer: so many seconds are between two at epochs' ends.
static const double checkpoint_seconds = 1;

static void begin_epoch(Fit *fit, Turn *turn) {
    turn->position = 0;
    turn->loss_sum = 0;
    turn->started = now_seconds();
    turn_shuffle(fit, turn);
}

static gradc_status end_epoch(Fit *fit, Turn *turn) {
    gradc_progress progress = {.loss = turn->block->loss,
                               .epoch = turn->epoch + 1,
                               .epochs = turn->epochs,
                               .iteration = gradc_trainer_iteration(turn->trainer),
                               .mean_loss = turn->loss_sum / (double)turn->rows,
                               .metric_count = turn->metric_count,
                               .metrics = turn->metrics,
                               .report_count = turn->report_count,
                               .reports = turn->reports};
    for (int i = 0; i < turn->report_count; i++)
        turn->reports[i].value = tensor_number(&turn->trainer->outputs.tensors[1 + i], 0);
    for (int i = 0; i < turn->metric_count; i++) {
        gradc_status status = metric_value(turn->metric_calls[i], &turn->metric_batches[i], &turn->metrics[i].value);
        if (status) return status;
    }
    gradc_status status = monitor_epoch(fit, turn, &progress.monitored, &progress.best);
    if (status) return status;
    turn->epoch++;
    turn->position = 0;
    progress.seconds = now_seconds() - turn->started;
    if (!fit->options.progress || fit->options.progress(fit->options.context, &progress)) return GRADC_OK;
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
static bool tell_step(Fit *fit, const Turn *turn, double loss) {
    if (!fit->options.step) return true;
    gradc_step step = {.loss = turn->block->loss,
                       .epoch = turn->epoch + 1,
                       .epochs = turn->epochs,
                       .iteration = gradc_trainer_iteration(turn->trainer),
                       .rows_done = turn->position,
                       .rows = turn->rows,
                       .step_loss = loss,
                       .seconds = now_seconds() - turn->started};
    return fit->options.step(fit->options.context, &step);
}

// One step; at an epoch's ends, what belongs there.
static gradc_status step(Fit *fit, Turn *turn) {
    double loss = 0;
    if (turn->position == 0) begin_epoch(fit, turn);
    int64_t left = turn->rows - turn->position;
    int64_t batch = turn->data ? turn->batch_rows : 1, count = batch < left ? batch : left;
    gradc_status status = turn->data ? step_rows(turn, count, &loss) : gradc_trainer_step(turn->trainer, &loss);
    if (status == GRADC_NUMBER) status = blame_data(turn);
    if (status) return status;
    turn->loss_sum += loss * (double)count;
    turn->position += count;
    fit->turn_steps++;
    bool goes_on = tell_step(fit, turn, loss);
    if (turn->position == turn->rows) status = end_epoch(fit, turn);
    if (status || goes_on) return status;
    return fail(fit->program, GRADC_STOPPED, "stopped after iteration %lld of %s",
                (long long)gradc_trainer_iteration(turn->trainer), turn->block->loss);
}

// The train block whose step is next; NULL: all have done their epochs.
static Turn *next_turn(Fit *fit) {
    for (int tried = 0; tried <= fit->turn_count; tried++) {
        Turn *turn = &fit->turns[fit->turn];
        int64_t repeat = turn->block->repeat > 0 ? turn->block->repeat : 1;
        if (turn->epoch < turn->epochs && fit->turn_steps < repeat) return turn;
        fit->turn = (fit->turn + 1) % fit->turn_count;
        fit->turn_steps = 0;
    }
    return NULL;
}

// After a step of `turn`.
static bool is_due(const Fit *fit, const Turn *turn) {
    int64_t steps = fit->options.checkpoint_steps;
    if (steps && fit->unsaved_steps >= steps) return true;
    return !turn->position && (!fit->written || now_seconds() - fit->written >= checkpoint_seconds);
}

static gradc_status train(Fit *fit) {
    gradc_status status = GRADC_OK;
    while (!status && !monitor_gives_up(fit)) {
        Turn *turn = next_turn(fit);
        if (!turn) break;
        status = step(fit, turn);
        fit->unsaved_steps++;
        if (!status && fit->options.checkpoint && is_due(fit, turn)) status = checkpoint_write(fit);
    }
    if (!fit->options.checkpoint || !fit->unsaved_steps || (status && status != GRADC_STOPPED)) return status;
    gradc_status written = checkpoint_write(fit);
    return written ? written : status;
}

gradc_status gradc_fit(gradc_program *program, const gradc_fit_options *options) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Fit fit = {.program = program, .options = options ? *options : (gradc_fit_options){0}};
    gradc_status status = fit_prepare(&fit);
    if (!status) status = train(&fit);
    monitor_put_back(&fit);
    fit_free(&fit);
    return status;
}
