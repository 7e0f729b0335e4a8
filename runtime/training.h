// A training that runs: what gradc_fit keeps from step to step, and what a checkpoint holds of it.
#ifndef GRADC_RUNTIME_TRAINING_H
#define GRADC_RUNTIME_TRAINING_H

#include "runtime/fit.h"

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
} Fit;

// ---- prepare.c

// Reads the data and creates what the options and the program ask for. Free it in any case.
gradc_status fit_prepare(Fit *fit);
void fit_free(Fit *fit);
// Puts the training rows into the order of the running epoch.
void turn_shuffle(const Fit *fit, Turn *turn);

// ---- monitor.c

// Finds what options.monitor names.
gradc_status monitor_prepare(Fit *fit);
void monitor_free(Monitor *monitor);
// Measures the epoch of `turn` that has just ended, whose metrics are computed: *value is NaN if it is not watched, and
// *best whether it is the best one so far, whose parameters are then kept.
gradc_status monitor_epoch(Fit *fit, const Turn *turn, double *value, bool *best);
// Whether the patience is used up.
bool monitor_gives_up(const Fit *fit);
// Puts the best epoch's parameters and states of nets back, if there is one.
void monitor_put_back(Fit *fit);

#endif
