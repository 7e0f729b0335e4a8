// Comma-separated numbers, as a table of cells.
#ifndef GRADC_RUNTIME_FILES_CSV_H
#define GRADC_RUNTIME_FILES_CSV_H

#include "runtime/internal.h"

typedef struct {
    bool has_heading;   // the first row is one; else only if it has text and no number
    bool may_miss;      // a missing cell is `missing`; else it is an error
    double missing;
    const char *const *words;   // that mean a missing cell, besides an empty one
    int word_count;             // 0: NA and the like
} CsvOptions;

// A file of numbers, row by row.
typedef struct {
    int64_t rows, columns;
    double *values;       // [rows, columns]; NaN in columns that were not asked for
    int64_t *lines;       // the line of the file on which each row begins, from 1
    const char **names;   // of the columns; NULL: there is no heading
} Cells;

// A text that is read. Columns are apart by commas; by tabs or semicolons where the first line has no comma. Cells may be
// quoted, lines may end in CR LF, empty lines are passed over, and so are the three bytes by which some mark UTF-8.
typedef struct {
    gradc_program *program;
    Arena *arena;
    const char *path;
    const CsvOptions *options;
    char separator;
    const char *at, *end;   // what is still to be read; *end is a zero byte
    int64_t line;           // from 1
    const char *line_begin;
    const char *cell_begin, *cell_line_begin;   // of the cell that is read, on the line cell_line
    int64_t cell_line;
    int64_t column;   // of the cell, from 0
    char *quoted;     // content of the last quoted cell
    size_t quoted_capacity;
    int64_t columns;      // of every row
    const char **names;   // or NULL
    const bool *used;     // the columns whose cells must be numbers
    const char **texts;   // the first row's cells of other columns, where they are text; else NULL
    ARRAY(double) values;
    ARRAY(int64_t) lines;
} Csv;

// Begins to read: csv->columns and csv->names are then known. `path` is for messages, which begin with
// path:line:column. What is read lives in `arena`, which jumps to its recovery point when memory runs out. Call both in
// the plain locale.
gradc_status csv_begin(Csv *csv, gradc_program *program, Arena *arena, const char *path, const char *text,
                       size_t length, const CsvOptions *options);
// Reads the cells. used[i]: column i is wanted, so its cells must be finite numbers.
gradc_status csv_read(Csv *csv, const bool *used, Cells *cells);
// Both, for all columns; no cell may be missing.
gradc_status csv_parse(gradc_program *program, Arena *arena, const char *path, const char *text, size_t length,
                       Cells *cells);

#endif
