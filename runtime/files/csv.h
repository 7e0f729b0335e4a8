// Comma-separated numbers, as a table of cells.
#ifndef GRADC_RUNTIME_FILES_CSV_H
#define GRADC_RUNTIME_FILES_CSV_H

#include "runtime/internal.h"

// A file of numbers, row by row.
typedef struct {
    int64_t rows, columns;
    double *values;   // [rows, columns]
    int64_t *lines;   // the line of the file on which each row begins, from 1
} Cells;

// Reads a text of comma-separated numbers: every cell finite, every row of the same length; cells may be quoted, lines
// may end in CR LF, empty lines are passed over, and a first row without any number is a heading. `path` is for
// messages, which begin with path:line:column of cells. The cells live in `arena`, which jumps to its recovery point when
// memory runs out. Call it in the plain locale.
gradc_status csv_parse(gradc_program *program, Arena *arena, const char *path, const char *text, size_t length,
                       Cells *cells);

#endif
