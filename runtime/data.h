// Data: cells of a file, the arrays that a data block makes of them, and which rows train.
#ifndef GRADC_RUNTIME_DATA_H
#define GRADC_RUNTIME_DATA_H

#include "runtime/files/csv.h"

// ---- shuffle.c

// What a permutation is for: each purpose has random numbers of its own.
typedef enum { SHUFFLE_SPLIT = 1, SHUFFLE_EPOCH = 2 } ShufflePurpose;

// Puts `items` in a random order that (seed, purpose, number) says, the same on every machine.
void shuffle(int64_t *items, int64_t count, uint64_t seed, ShufflePurpose purpose, uint64_t number);

// ---- data.c

// One field of a data block, for all rows.
typedef struct {
    const DataField *field;
    gradc_tensor tensor;   // shape[0]: all rows
    size_t row_bytes;
} FieldArray;

typedef struct {
    gradc_program *program;
    const DataBlock *block;
    Arena *arena;       // owns the rest
    const char *path;   // for messages
    Cells cells;
    int field_count;
    FieldArray *fields;
    int64_t training_count, held_count;
    int64_t *training;   // rows that train, ascending
    int64_t *held;       // rows held out, ascending; all rows if the block holds out none
} DataSet;

// Rows of a data set: `rows` NULL: those from 0 to count - 1.
typedef struct {
    const int64_t *rows;
    int64_t count;
} RowSet;
RowSet data_rows(const DataSet *data, gradc_rows rows, bool other_file);   // other_file: one given in place of the block's

// The data block of that name, or the first. NULL: there is none, and the program's message says so.
const DataBlock *find_data(gradc_program *program, const char *name);

// Reads the block's file (`file`: another in its place, or NULL) and computes its fields. Free it in any case.
gradc_status data_load(gradc_program *program, const DataBlock *block, const char *file, DataSet *data);
void data_free(DataSet *data);
// The field of that name, or NULL.
const FieldArray *data_field(const DataSet *data, const char *name);
// Copies `count` rows of a field, one after another.
void data_gather(const FieldArray *field, const int64_t *rows, int64_t count, void *to);

// Whether the block has a field for each input of the entry, of the input's dtype and rank.
bool data_feeds(const DataBlock *block, const Entry *entry);
// Checks the fields that the entry takes as class numbers or indices, for all rows.
gradc_status data_check_ranges(const DataSet *data, const Entry *entry);

#endif
