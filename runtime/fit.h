// What training and prediction share: running an entry over many rows of a data set.
#ifndef GRADC_RUNTIME_FIT_H
#define GRADC_RUNTIME_FIT_H

#include "runtime/data.h"

// Rows are handed to values and metrics in pieces of at most so many.
enum { PIECE_ROWS = 4096 };

// Contiguous copies of the rows that an entry is run with, one array for each input.
typedef struct {
    gradc_program *program;
    const DataSet *data;   // NULL: the entry has no inputs
    const Entry *entry;
    Memory *arrays;
} Batch;

gradc_status batch_create(Batch *batch, gradc_program *program, const DataSet *data, const Entry *entry);
void batch_free(Batch *batch);
// Copies the rows; *tensor is then the array for `input`.
gradc_status batch_gather(Batch *batch, int input, const int64_t *rows, int64_t count, gradc_tensor *tensor);

// Runs the call with these rows. Takes no random numbers from the training.
gradc_status value_of_rows(gradc_call *call, Batch *batch, const int64_t *rows, int64_t count);
// The mean of a metric over the data's held-out rows, each piece weighted by its rows. One without inputs is run once.
gradc_status metric_value(gradc_call *call, Batch *batch, double *value);

// Sets what open dims are that no input of the train block says.
void trainer_set_batch(gradc_trainer *trainer, int64_t batch);

#endif
