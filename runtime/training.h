// A training that runs: what gradc_fit keeps from step to step, and what a checkpoint holds of it.
#ifndef GRADC_RUNTIME_TRAINING_H
#define GRADC_RUNTIME_TRAINING_H

#include "runtime/files/safetensors.h"
#include "runtime/fit.h"
#include "runtime/identity.h"

// One train block's place in its data.
typedef struct {
    const TrainBlock *block;
    gradc_trainer *trainer;
    const DataSet *data;   // NULL: the loss has no inputs
    Batch batch;
    int64_t epochs, batch_rows;
    int64_t rows;               // of an epoch; without data each step counts as one
    int64_t epoch;              // that have ended
    int64_t *order;             // training rows in this epoch's order
    int64_t position;           // in `order`
    double loss_sum, started;   // of this epoch
    int metric_count;
    gradc_metric_value *metrics;
    gradc_call **metric_calls;
    Batch *metric_batches;
    int report_count;
    gradc_metric_value *reports;   // of the loss: outputs of the trainer from number 1 on
} Turn;

// What is watched to find the best epoch, and that epoch.
typedef struct {
    Turn *turn;         // whose epochs are measured; NULL: nothing is watched
    int metric;         // which of its metrics; -1: its loss
    gradc_call *call;   // of the loss, with `batch`; NULL: a metric is watched, or a loss without data
    Batch batch;
    bool found;   // the rest is known
    double best;
    int64_t best_epoch;
    int64_t stale;               // epochs since then
    Memory parameters, states;   // of that epoch
} Monitor;

// A checkpoint that was read.
typedef struct {
    Safetensors file;
    void *json;   // its metadata "training"; NULL: nothing is resumed
} Resumed;

typedef struct {
    gradc_program *program;
    gradc_fit_options options;
    uint64_t seed;
    DataSet *data;   // one for each data block of the program; not loaded: no arena
    int turn_count;
    Turn *turns;
    int turn;             // whose step is next
    int64_t turn_steps;   // that it has done of its `repeat`
    Monitor monitor;
    Identity identity;       // of the program, where there are checkpoints
    int64_t unsaved_steps;   // since the last checkpoint
    double written;          // when that was; 0: there is none yet
    Resumed resumed;
} Fit;

// ---- prepare.c

// Reads the data and creates what the options and the program ask for. Free it in any case.
gradc_status fit_prepare(Fit *fit);
void fit_free(Fit *fit);
// Sets what `iterations` is in the program, and the learning rate that the options ask for.
gradc_status turn_set_hyperparameters(const Fit *fit, Turn *turn);
// Puts the training rows into the order of the running epoch.
void turn_shuffle(const Fit *fit, Turn *turn);

// ---- blame.c

// After a step whose loss is not finite: GRADC_DATA with words on the data's rows if these are not; else GRADC_NUMBER, and
// the message stays.
gradc_status blame_data(const Turn *turn);

// ---- monitor.c

// Finds what options.monitor names.
gradc_status monitor_prepare(Fit *fit);
void monitor_free(Monitor *monitor);
// Measures the epoch of `turn` that has just ended, whose metrics are computed: *value is NaN if it is not watched, and
// *best whether it is the best one so far, whose parameters are then kept.
gradc_status monitor_epoch(Fit *fit, const Turn *turn, double *value, bool *best);
// Makes room for a copy of the best epoch's weights. False: no memory.
bool monitor_reserve(Fit *fit);
// Whether the patience is used up.
bool monitor_gives_up(const Fit *fit);
// Puts the best epoch's parameters and states of nets back, if there is one.
void monitor_put_back(Fit *fit);

// ---- checkpoint.c

// Names of arrays that are no weights; the losses' names follow.
#define OPTIMIZER_PREFIX "optimizer/"
#define HYPERPARAMETERS_PREFIX "hyperparameters/"
#define NUMBERS "training/numbers"
// How many there are: the best value, then for each turn the sum of the epoch's losses and its seconds so far.
int checkpoint_number_count(const Fit *fit);

// Whether options.checkpoint can be written at all, as far as is known before.
gradc_status checkpoint_prepare(Fit *fit);
// Writes options.checkpoint.
gradc_status checkpoint_write(Fit *fit);

// ---- resume.c

// Reads options.resume, and fills in those options that are not given.
gradc_status resume_open(Fit *fit);
// Checks that what was read fits the program, its data and the options; then takes it all over.
gradc_status resume_apply(Fit *fit);
void resume_close(Fit *fit);

#endif
