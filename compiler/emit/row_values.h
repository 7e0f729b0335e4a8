// Values of a row's elements that are computed in one pass and read in later ones.
#ifndef GRADC_EMIT_ROW_VALUES_H
#define GRADC_EMIT_ROW_VALUES_H

#include "emit/emitter.h"

enum { MAX_ROW_VALUES = 8 };
enum { MAX_ROW_BYTES = 16384 };                        // all rows together: they should stay in a first-level cache
LLVMValueRef row_at(Emitter *emitter, int64_t byte);   // that byte of the room for them

typedef struct {
    int instruction, phase;   // which value, and the pass that computes it
    LLVMValueRef row;         // on the stack: one for each element, and up to a whole step
} RowValue;

typedef struct {
    int count;
    int64_t bytes;   // of all rows
    RowValue items[MAX_ROW_VALUES];
} RowValues;

// `step`: elements that are handled at once. None for rows of one step, which stay in registers, and for open ones.
void find_row_values(Emitter *emitter, const Scope *outer, int row, int step, RowValues *values);
// Gives a vector's scope what an earlier pass kept; keeps what this one computed.
void take_row_values(Emitter *emitter, const RowValues *values, Scope *scope, int row, int phase);
void keep_row_values(Emitter *emitter, const RowValues *values, Scope *scope, int row, int phase);

#endif
