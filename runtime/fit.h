// What training and prediction share: running an entry over many rows of a data set.
#ifndef GRADC_RUNTIME_FIT_H
#define GRADC_RUNTIME_FIT_H

#include "runtime/data.h"

// Contiguous copies of the rows that an entry is run with, one array for each input.
typedef struct {
    gradc_program *program;
    const DataSet *data;   // NULL: the entry has no inputs
    const Entry *entry;
    Memory *arrays;
    int64_t *piece;   // numbers of rows, for entries that are run over many in pieces
} Batch;

gradc_status batch_create(Batch *batch, gradc_program *program, const DataSet *data, const Entry *entry);
void batch_free(Batch *batch);
// Copies the rows; *tensor is then the array for `input`.
gradc_status batch_gather(Batch *batch, int input, const int64_t *rows, int64_t count, gradc_tensor *tensor);

// Runs the call with these rows. Takes no random numbers from the training.
gradc_status value_of_rows(gradc_call *call, Batch *batch, const int64_t *rows, int64_t count);
// How many rows an entry is run with at most, when it is run over many: the same on every machine.
int64_t piece_rows(const Batch *batch);
// The numbers of `count` rows of the set from `begin` on; valid until the next call.
const int64_t *piece_of_rows(Batch *batch, const RowSet *rows, int64_t begin, int64_t count);
// The mean of a loss or metric over these rows, each piece weighted by its rows. One without inputs is run once.
gradc_status mean_over_rows(gradc_call *call, Batch *batch, const RowSet *rows, double *value);
// The same over the data's held-out rows.
gradc_status metric_value(gradc_call *call, Batch *batch, double *value);

// Sets what open dims are that no input of the train block says.
void trainer_set_batch(gradc_trainer *trainer, int64_t batch);

#endif
