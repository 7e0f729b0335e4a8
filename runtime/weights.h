// Weights: the parameters and states of nets of a program, and how they meet the arrays of a file.
#ifndef GRADC_RUNTIME_WEIGHTS_H
#define GRADC_RUNTIME_WEIGHTS_H

#include "runtime/files/array.h"

// What the metadata of checkpoints say, and what stands before the paths of the best epoch's weights in one.
#define CHECKPOINT_FORMAT "gradc checkpoint"
#define BEST_PREFIX "best/"

// One parameter or state.
typedef struct {
    const char *path;
    const Node *node;
    char *values;   // in a flat array
    int64_t count;
} Weight;

typedef struct {
    gradc_program *program;
    const char *path;   // of the file
    Weight *weights;
    int count;
} Weights;

// All weights, in flat arrays of parameters and of states: the program's own, or a copy.
gradc_status weights_list(Weights *list, gradc_program *program, const char *path, void *parameters, void *states);
void weights_release(Weights *list);
// As an array of a file.
StoredArray weight_array(const Weight *weight);
// Checks that the arrays of a file fit the weights, in number, names, shapes and values; stores them if `really`. After a
// check nothing can fail but for want of memory. options NULL: none.
gradc_status weights_take(const Weights *list, const StoredArray *arrays, int count,
                          const gradc_weight_options *options, bool really);

// ---- weight_names.c: which array of a file is which weight

// Whether the options make sense for these weights.
gradc_status weight_options_check(const Weights *list, const gradc_weight_options *options);
// Finds the array of each weight: found[i] is that of weight number i, its axes exchanged where the options say so. All
// that does not fit is told in one message: what is missing, what the program does not know, and what has another shape
// or dtype.
gradc_status weights_match(const Weights *list, const StoredArray *arrays, int count,
                           const gradc_weight_options *options, StoredArray *found);
// The name that a file has for a path of the program, to be freed; NULL: no memory. The opposite way of loading.
char *weight_file_name(const char *path, const gradc_weight_options *options);
bool weight_is_ignored(const char *name, const gradc_weight_options *options);
bool weight_is_transposed(const Weight *weight, const gradc_weight_options *options);

#endif
