// Comma-separated numbers: a reader that says exactly where a file is wrong.
#include "runtime/files/csv.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    gradc_program *program;
    Arena *arena;
    const char *path;
    const char *at, *end;   // what is still to be read; *end is a zero byte
    int64_t cell_line;      // on which it begins
    int64_t line, column;   // of the cell that is read, both from 1
    char *quoted;           // content of the last quoted cell
    size_t quoted_capacity;
    ARRAY(double) values;
    ARRAY(int64_t) lines;
    int64_t columns;   // of the first row; 0: none yet
} Reader;

// A cell's text, without quotes and the blanks around it.
typedef struct {
    const char *text;
    size_t length;
} Cell;

static gradc_status cell_error(Reader *reader, const char *what) {
    return fail(reader->program, GRADC_DATA, "%s:%lld:%lld: %s", reader->path, (long long)reader->cell_line,
                (long long)reader->column, what);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static void trim(Cell *cell) {
    while (cell->length && is_blank(cell->text[0])) cell->text++, cell->length--;
    while (cell->length && is_blank(cell->text[cell->length - 1])) cell->length--;
}

// At the opening quote. Two quotes stand for one.
static gradc_status read_quoted(Reader *reader, Cell *cell) {
    if (reader->quoted_capacity < (size_t)(reader->end - reader->at)) {
        reader->quoted_capacity = (size_t)(reader->end - reader->at);
        reader->quoted = arena_allocate(reader->arena, reader->quoted_capacity);
    }
    size_t length = 0;
    int64_t lines = 0;
    for (reader->at++; reader->at < reader->end; reader->at++) {
        if (*reader->at == '\n') lines++;
        if (*reader->at != '"') reader->quoted[length++] = *reader->at;
        else if (reader->at[1] == '"') reader->quoted[length++] = *++reader->at;
        else break;
    }
    if (reader->at == reader->end)
        return cell_error(reader, "a quote is opened and never closed: is the file truncated?");
    reader->at++;
    reader->line += lines;
    *cell = (Cell){reader->quoted, length};
    trim(cell);
    return GRADC_OK;
}

static bool ends_cell(const Reader *reader) {
    if (reader->at == reader->end || *reader->at == ',' || *reader->at == '\n') return true;
    return *reader->at == '\r' && reader->at + 1 < reader->end && reader->at[1] == '\n';
}

// Leaves the reader at the separator.
static gradc_status read_cell(Reader *reader, Cell *cell) {
    while (reader->at < reader->end && is_blank(*reader->at)) reader->at++;
    reader->cell_line = reader->line;
    if (*reader->at == '"' && reader->at < reader->end) {
        gradc_status status = read_quoted(reader, cell);
        while (!status && reader->at < reader->end && is_blank(*reader->at)) reader->at++;
        if (!status && !ends_cell(reader)) status = cell_error(reader, "after the closing quote a comma is missing");
        return status;
    }
    *cell = (Cell){reader->at, 0};
    while (!ends_cell(reader)) reader->at++, cell->length++;
    trim(cell);
    return GRADC_OK;
}

// What a cell's text is as a number.
typedef enum { CELL_NUMBER, CELL_EMPTY, CELL_NOT_FINITE, CELL_NOT_A_NUMBER } CellKind;

// Whole numbers of few digits, which most cells are, need no strtod.
static bool small_integer(Cell cell, double *value) {
    if (!cell.length || cell.length > 15) return false;
    int64_t sum = 0;
    for (size_t i = 0; i < cell.length; i++) {
        if (cell.text[i] < '0' || cell.text[i] > '9') return false;
        sum = sum * 10 + (cell.text[i] - '0');
    }
    *value = (double)sum;
    return true;
}

static CellKind number_of(Cell cell, double *value) {
    char text[128];
    if (small_integer(cell, value)) return CELL_NUMBER;
    if (!cell.length) return CELL_EMPTY;
    if (cell.length >= sizeof text || memchr(cell.text, 0, cell.length)) return CELL_NOT_A_NUMBER;
    memcpy(text, cell.text, cell.length);
    text[cell.length] = 0;
    // strtod also takes hexadecimal numbers, which no CSV file means.
    if (strpbrk(text, "xXpP") || isspace((unsigned char)text[0])) return CELL_NOT_A_NUMBER;
    char *end;
    *value = strtod(text, &end);
    if (end != text + cell.length) return CELL_NOT_A_NUMBER;
    return isfinite(*value) ? CELL_NUMBER : CELL_NOT_FINITE;
}

static gradc_status number_error(Reader *reader, CellKind kind, Cell cell) {
    char shown[44];
    size_t length = cell.length < 40 ? cell.length : 40;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)cell.text[i];
        shown[i] = c < ' ' || c == 127 ? '?' : (char)c;
    }
    strcpy(shown + length, length < cell.length ? "..." : "");
    const char *what = kind == CELL_EMPTY        ? "the cell is empty"
                       : kind == CELL_NOT_FINITE ? "is not a finite number"
                                                 : "is not a number";
    if (kind == CELL_EMPTY) return cell_error(reader, what);
    return fail(reader->program, GRADC_DATA, "%s:%lld:%lld: '%s' %s", reader->path, (long long)reader->cell_line,
                (long long)reader->column, shown, what);
}

// Skips the end of a line. True when there was one.
static bool skip_line_end(Reader *reader) {
    if (reader->at < reader->end && *reader->at == '\r') reader->at++;
    if (reader->at == reader->end) return false;
    reader->at++;
    reader->line++;
    return true;
}

static bool skip_empty_line(Reader *reader) {
    const char *at = reader->at;
    while (at < reader->end && is_blank(*at)) at++;
    if (at < reader->end && *at == '\r' && at + 1 < reader->end && at[1] == '\n') at++;
    if (at < reader->end && *at != '\n') return false;
    if (at < reader->end) reader->line++;
    reader->at = at < reader->end ? at + 1 : at;
    return true;
}

static gradc_status check_count(Reader *reader, int64_t line, bool ended) {
    if (!reader->columns) reader->columns = reader->column;
    if (reader->column == reader->columns) return GRADC_OK;
    return fail(reader->program, GRADC_DATA, "%s:%lld:%lld: the row has %lld %s, but the rows before it have %lld%s",
                reader->path, (long long)line, (long long)reader->column, (long long)reader->column,
                reader->column == 1 ? "column" : "columns", (long long)reader->columns,
                ended ? "" : ": is the file truncated?");
}

// One row. A heading adds no values: it is a first row of which no cell is a number.
static gradc_status read_row(Reader *reader, bool first) {
    int64_t line = reader->line;
    int before = reader->values.count;
    bool heading = first;
    CellKind worst = CELL_NUMBER;
    gradc_status complaint = GRADC_OK;
    for (reader->column = 1;; reader->column++) {
        Cell cell;
        double value;
        gradc_status status = read_cell(reader, &cell);
        if (status) return status;
        CellKind kind = number_of(cell, &value);
        if (kind == CELL_NUMBER || kind == CELL_NOT_FINITE) heading = false;
        if (kind != CELL_NUMBER && worst == CELL_NUMBER) {
            worst = kind;
            complaint = number_error(reader, kind, cell);
        }
        if (kind == CELL_NUMBER) array_push(reader->arena, &reader->values, value);
        if (reader->at == reader->end || *reader->at != ',') break;
        reader->at++;
    }
    bool ended = skip_line_end(reader);
    if (heading) {
        reader->columns = reader->column;
        return GRADC_OK;
    }
    gradc_status status = check_count(reader, line, ended);
    if (status) return status;
    if (worst != CELL_NUMBER) return complaint;
    if (reader->values.count - before == reader->columns) array_push(reader->arena, &reader->lines, line);
    return GRADC_OK;
}

static gradc_status parse(Reader *reader, Cells *cells) {
    if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xEF\xBB\xBF", 3) == 0) reader->at += 3;
    for (bool first = true; reader->at < reader->end;) {
        if (skip_empty_line(reader)) continue;
        gradc_status status = read_row(reader, first);
        if (status) return status;
        first = false;
        if (reader->values.count > INT32_MAX / 2)
            return fail(reader->program, GRADC_DATA, "%s: more than a thousand million cells are not supported",
                        reader->path);
    }
    if (!reader->lines.count)
        return fail(reader->program, GRADC_DATA, "%s: the file is empty: there is no row of numbers", reader->path);
    *cells = (Cells){reader->lines.count, reader->columns, reader->values.items, reader->lines.items};
    return GRADC_OK;
}

gradc_status csv_parse(gradc_program *program, Arena *arena, const char *path, const char *text, size_t length,
                       Cells *cells) {
    Reader reader = {.program = program, .arena = arena, .path = path, .at = text, .end = text + length, .line = 1};
    return parse(&reader, cells);
}
