// Comma-separated numbers: a reader that says exactly where a file is wrong.
#include "runtime/files/csv.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// A cell's text, without quotes and the blanks around it.
typedef struct {
    const char *text;
    size_t length;
} Cell;

// ---- where

// Characters from the line's beginning to the cell, from 1: bytes that continue one of UTF-8 do not count.
static long long cell_place(const Csv *csv) {
    long long place = 1;
    for (const char *at = csv->cell_line_begin; at < csv->cell_begin; at++)
        place += ((unsigned char)*at & 0xC0) != 0x80;
    return place;
}

static gradc_status cell_error(Csv *csv, const char *what) {
    return fail(csv->program, GRADC_DATA, "%s:%lld:%lld: %s", csv->path, (long long)csv->cell_line, cell_place(csv),
                what);
}

// The column as a program calls it, into `text`.
static const char *column_text(const Csv *csv, char text[96]) {
    if (csv->names && csv->column < csv->columns) snprintf(text, 96, "columns[\"%.64s\"]", csv->names[csv->column]);
    else snprintf(text, 96, "columns[%lld]", (long long)csv->column);
    return text;
}

// ---- cells

static bool is_blank(const Csv *csv, char c) {
    return c == ' ' || (c == '\t' && csv->separator != '\t');
}

static void trim(const Csv *csv, Cell *cell) {
    while (cell->length && is_blank(csv, cell->text[0])) cell->text++, cell->length--;
    while (cell->length && is_blank(csv, cell->text[cell->length - 1])) cell->length--;
}

static void begin_line(Csv *csv) {
    csv->line++;
    csv->line_begin = csv->at;
}

// At the opening quote. Two quotes stand for one.
static gradc_status read_quoted(Csv *csv, Cell *cell) {
    if (csv->quoted_capacity < (size_t)(csv->end - csv->at)) {
        csv->quoted_capacity = (size_t)(csv->end - csv->at);
        csv->quoted = arena_allocate(csv->arena, csv->quoted_capacity);
    }
    size_t length = 0;
    for (csv->at++; csv->at < csv->end;) {
        char c = *csv->at++;
        if (c == '"' && *csv->at != '"') {
            *cell = (Cell){csv->quoted, length};
            trim(csv, cell);
            return GRADC_OK;
        }
        if (c == '"') csv->at++;
        if (c == '\n') begin_line(csv);
        csv->quoted[length++] = c;
    }
    return cell_error(csv, "a quote is opened and never closed: is the file truncated?");
}

static bool ends_cell(const Csv *csv) {
    if (csv->at == csv->end || *csv->at == csv->separator || *csv->at == '\n') return true;
    return *csv->at == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n';
}

// Leaves the reader at the separator.
static gradc_status read_cell(Csv *csv, Cell *cell) {
    while (csv->at < csv->end && is_blank(csv, *csv->at)) csv->at++;
    csv->cell_line = csv->line;
    csv->cell_line_begin = csv->line_begin;
    csv->cell_begin = csv->at;
    if (*csv->at == '"' && csv->at < csv->end) {
        gradc_status status = read_quoted(csv, cell);
        while (!status && csv->at < csv->end && is_blank(csv, *csv->at)) csv->at++;
        if (!status && !ends_cell(csv)) status = cell_error(csv, "after the closing quote a comma is missing");
        return status;
    }
    *cell = (Cell){csv->at, 0};
    while (!ends_cell(csv)) csv->at++, cell->length++;
    trim(csv, cell);
    return GRADC_OK;
}

// ---- numbers

// What a cell's text is.
typedef enum { CELL_NUMBER, CELL_MISSING, CELL_EMPTY, CELL_NOT_FINITE, CELL_TEXT } CellKind;

static bool same_text(Cell cell, const char *word, bool any_case) {
    if (strlen(word) != cell.length) return false;
    return (any_case ? strncasecmp(word, cell.text, cell.length) : strncmp(word, cell.text, cell.length)) == 0;
}

static bool is_missing(const Csv *csv, Cell cell) {
    static const char *const usual[] = {"na", "n/a", "nan", "null", "#n/a"};
    const CsvOptions *options = csv->options;
    if (!options->may_miss) return false;
    bool missing = !cell.length;
    for (int i = 0; i < options->word_count && !missing; i++) missing = same_text(cell, options->words[i], false);
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !options->word_count && !missing; i++)
        missing = same_text(cell, usual[i], true);
    return missing;
}

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

static CellKind read_number(const Csv *csv, Cell cell, double *value) {
    char text[128];
    *value = csv->options->missing;
    if (is_missing(csv, cell)) return CELL_MISSING;
    if (small_integer(cell, value)) return CELL_NUMBER;
    if (!cell.length) return CELL_EMPTY;
    if (cell.length >= sizeof text || memchr(cell.text, 0, cell.length)) return CELL_TEXT;
    memcpy(text, cell.text, cell.length);
    text[cell.length] = 0;
    // strtod also takes hexadecimal numbers, which no CSV file means.
    if (strpbrk(text, "xXpP") || isspace((unsigned char)text[0])) return CELL_TEXT;
    char *end;
    *value = strtod(text, &end);
    if (end != text + cell.length) return CELL_TEXT;
    return isfinite(*value) ? CELL_NUMBER : CELL_NOT_FINITE;
}

// What may be meant by a text that is no number; "" if there is nothing to say.
static const char *hint(const Csv *csv, CellKind kind, const char *text) {
    static const char digits[] = "0123456789+-.eE";
    if (csv->separator == ',' && strchr(text, ';'))
        return ": the first line has a comma, so columns are apart by commas, not by ';'";
    if (csv->separator != ',' && strchr(text, ',') && !text[strspn(text, "0123456789+-,eE")])
        return ": write it with a point, not a comma";
    if (strchr(text, ' ') && !text[strspn(text, "0123456789+-.eE ")])
        return ": columns are apart by commas, semicolons or tabs, not by blanks";
    if (text[strspn(text, digits)] && csv->options->may_miss && !csv->options->word_count)
        return ", nor one of the usual words for a missing one";
    return kind == CELL_TEXT && !csv->options->may_miss && isalpha((unsigned char)text[0]) &&
                   !strpbrk(text, "0123456789") && text[1]
               ? ": gradc reads numbers; number the words in the file first (Oslo 0, Rome 1)"
               : "";
}

static gradc_status number_error(Csv *csv, CellKind kind, Cell cell) {
    char shown[44], column[96];
    size_t length = cell.length < 40 ? cell.length : 40;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)cell.text[i];
        shown[i] = c < ' ' || c == 127 ? '?' : (char)c;
    }
    strcpy(shown + length, length < cell.length ? "..." : "");
    column_text(csv, column);
    if (kind == CELL_EMPTY)
        return fail(csv->program, GRADC_DATA,
                    "%s:%lld:%lld: the cell is empty (%s); `missing 0` or `missing nan` in the data block allows that",
                    csv->path, (long long)csv->cell_line, cell_place(csv), column);
    return fail(csv->program, GRADC_DATA, "%s:%lld:%lld: '%s' is not a %snumber (%s)%s", csv->path,
                (long long)csv->cell_line, cell_place(csv), shown, kind == CELL_NOT_FINITE ? "finite " : "", column,
                hint(csv, kind, shown));
}

// ---- rows

// Skips the end of a line. True when there was one.
static bool skip_line_end(Csv *csv) {
    if (csv->at < csv->end && *csv->at == '\r') csv->at++;
    if (csv->at == csv->end) return false;
    csv->at++;
    begin_line(csv);
    return true;
}

static bool skip_empty_line(Csv *csv) {
    const char *at = csv->at;
    while (at < csv->end && is_blank(csv, *at)) at++;
    if (at < csv->end && *at == '\r' && at + 1 < csv->end && at[1] == '\n') at++;
    if (at < csv->end && *at != '\n') return false;
    csv->at = at < csv->end ? at + 1 : at;
    if (at < csv->end) begin_line(csv);
    return true;
}

static gradc_status check_count(Csv *csv, int64_t line, int64_t count, bool ended) {
    if (count == csv->columns) return GRADC_OK;
    return fail(csv->program, GRADC_DATA, "%s:%lld: the row has %lld %s, but the rows before it have %lld%s", csv->path,
                (long long)line, (long long)count, count == 1 ? "column" : "columns", (long long)csv->columns,
                ended ? "" : ": is the file truncated?");
}

// A column that is not used may hold text. But if its first cell is text and its second a number, then the first row is a
// heading that looks like numbers, and must not pass for them.
static gradc_status check_unused(Csv *csv, Cell cell) {
    double value;
    bool number = read_number(csv, cell, &value) == CELL_NUMBER;
    if (csv->lines.count == 0 && !number && cell.length)
        csv->texts[csv->column] = arena_copy_text(csv->arena, cell.text, cell.length);
    if (csv->lines.count != 1 || !number || !csv->texts[csv->column]) return GRADC_OK;
    return fail(csv->program, GRADC_DATA,
                "%s:%lld: '%.40s' is not a number, but the rows below have a number there; a heading has no numbers",
                csv->path, (long long)csv->lines.items[0], csv->texts[csv->column]);
}

static gradc_status add_cell(Csv *csv, Cell cell) {
    double value = NAN;
    if (csv->column >= csv->columns) return GRADC_OK;   // which check_count says
    if (!csv->used[csv->column]) {
        array_push(csv->arena, &csv->values, value);
        return csv->lines.count < 2 ? check_unused(csv, cell) : GRADC_OK;
    }
    CellKind kind = read_number(csv, cell, &value);
    if (kind != CELL_NUMBER && kind != CELL_MISSING) return number_error(csv, kind, cell);
    array_push(csv->arena, &csv->values, value);
    return GRADC_OK;
}

// One row. That it has too few or too many cells is said rather than that one of them is wrong.
static gradc_status read_row(Csv *csv) {
    int64_t line = csv->line;
    gradc_status wrong = GRADC_OK;
    for (csv->column = 0;; csv->column++) {
        Cell cell;
        gradc_status status = read_cell(csv, &cell);
        if (status) return status;
        if (!wrong) wrong = add_cell(csv, cell);
        if (csv->at == csv->end || *csv->at != csv->separator) break;
        csv->at++;
    }
    bool ended = skip_line_end(csv);
    if (csv->column + 1 != csv->columns) return check_count(csv, line, csv->column + 1, ended);
    if (!wrong) array_push(csv->arena, &csv->lines, line);
    return wrong;
}

// ---- the first row

static char find_separator(const char *at, const char *end) {
    bool quoted = false, tab = false, semicolon = false;
    for (; at < end && (quoted || *at != '\n'); at++) {
        if (*at == '"') quoted = !quoted;
        if (quoted) continue;
        if (*at == ',') return ',';
        tab = tab || *at == '\t';
        semicolon = semicolon || *at == ';';
    }
    return tab ? '\t' : semicolon ? ';' : ',';
}

// Reads the first row as texts, and says whether it is a heading.
static gradc_status read_first(Csv *csv, bool *heading) {
    ARRAY(const char *) names = {0};
    bool number = false, text = false;
    for (;;) {
        Cell cell;
        double value;
        gradc_status status = read_cell(csv, &cell);
        if (status) return status;
        CellKind kind = read_number(csv, cell, &value);
        number = number || kind == CELL_NUMBER || kind == CELL_NOT_FINITE;
        text = text || kind == CELL_TEXT;
        array_push(csv->arena, &names, arena_copy_text(csv->arena, cell.text, cell.length));
        if (csv->at == csv->end || *csv->at != csv->separator) break;
        csv->at++;
    }
    csv->columns = names.count;
    *heading = csv->options->has_heading || (text && !number);
    if (*heading) csv->names = names.items;
    return GRADC_OK;
}

static gradc_status refuse_empty(const Csv *csv) {
    return fail(csv->program, GRADC_DATA, "%s: the file is empty: there is no row of numbers", csv->path);
}

gradc_status csv_begin(Csv *csv, gradc_program *program, Arena *arena, const char *path, const char *text,
                       size_t length, const CsvOptions *options) {
    bool marked = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0, heading;
    const char *begin = marked ? text + 3 : text;
    *csv = (Csv){.program = program, .arena = arena, .path = path, .options = options, .line = 1, .separator = ','};
    csv->at = csv->line_begin = begin;
    csv->end = text + length;
    while (csv->at < csv->end && skip_empty_line(csv)) continue;
    if (csv->at == csv->end) return refuse_empty(csv);
    csv->separator = find_separator(csv->at, csv->end);
    Csv before = *csv;
    gradc_status status = read_first(csv, &heading);
    if (status) return status;
    if (heading) {
        skip_line_end(csv);
    } else {
        csv->at = before.at;
        csv->line = before.line;
        csv->line_begin = before.line_begin;
    }
    return GRADC_OK;
}

gradc_status csv_read(Csv *csv, const bool *used, Cells *cells) {
    csv->used = used;
    csv->texts = arena_array(csv->arena, const char *, csv->columns);
    while (csv->at < csv->end) {
        if (skip_empty_line(csv)) continue;
        gradc_status status = read_row(csv);
        if (status) return status;
        if (csv->values.count > INT32_MAX / 2)
            return fail(csv->program, GRADC_DATA,
                        "%s: more than a thousand million cells are not supported; npy files may be larger", csv->path);
    }
    if (!csv->lines.count) return refuse_empty(csv);
    *cells = (Cells){csv->lines.count, csv->columns, csv->values.items, csv->lines.items, csv->names};
    return GRADC_OK;
}

gradc_status csv_parse(gradc_program *program, Arena *arena, const char *path, const char *text, size_t length,
                       Cells *cells) {
    static const CsvOptions plain;
    Csv csv;
    gradc_status status = csv_begin(&csv, program, arena, path, text, length, &plain);
    if (status) return status;
    bool *used = arena_array(arena, bool, csv.columns);
    memset(used, true, (size_t)csv.columns);
    return csv_read(&csv, used, cells);
}
