// Feeds: what the fields of a data block read of its files, as f64 numbers. Columns are found by number or by name, arrays
// by name; then rows of them are handed out, as few or as many as are wanted.
#include "runtime/data.h"
#include "support/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

// ---- which feeds are wanted

static bool field_reads(const DataField *field, const Feed *feed) {
    for (int i = 0; i < field->value.argument_count; i++)
        if (field->value.arguments[i] == feed->variable) return true;
    return false;
}

// A wanted field that reads the feed; NULL: none.
static const DataField *reader_of(const DataSet *data, const Feed *feed, const bool *wanted) {
    for (int i = 0; i < data->block->fields.count; i++)
        if (wanted[i] && field_reads(&data->block->fields.items[i], feed)) return &data->block->fields.items[i];
    return NULL;
}

// ---- the table: a CSV file, or the only array

static const char *const *table_names(const DataSet *data, int64_t *count) {
    const Csv *csv = &data->sources.csv;
    *count = csv->names ? csv->columns : 0;
    return csv->names;
}

static gradc_status find_table(DataSet *data) {
    Sources *sources = &data->sources;
    if (data->table_width >= 0) return GRADC_OK;
    if (sources->table_path) {
        data->table_width = sources->csv.columns;
        return GRADC_OK;
    }
    if (sources->array_count != 1)
        return fail(data->program, GRADC_DATA,
                    "%s has %d arrays, but data %s reads columns; an array is arrays[\"%s\"]", data->path,
                    sources->array_count, data->block->name, sources->arrays[0].name);
    SourceArray *array = sources->arrays;
    gradc_status status = source_read(data, array);
    if (status) return status;
    const StoredArray *stored = &array->stored;
    if (stored->rank != 1 && stored->rank != 2)
        return fail(data->program, GRADC_DATA,
                    "%s has %d axes, but data %s reads columns, which an array of two axes has; the array itself is "
                    "arrays[\"%s\"]",
                    array->path, stored->rank, data->block->name, array->name);
    data->table_width = stored->rank == 2 ? stored->shape[1] : 1;
    return GRADC_OK;
}

static SourceArray *table_array(const DataSet *data) {
    return data->sources.table_path ? NULL : data->sources.arrays;
}

// What helps where a table has one column that is a whole line.
static const char *separator_help(const DataSet *data) {
    const Csv *csv = &data->sources.csv;
    bool blanks = data->sources.table_path && csv->columns == 1 && csv->names && strchr(csv->names[0], ' ');
    return blanks ? "; columns are apart by commas, semicolons or tabs" : "";
}

// Checks that a field finds the columns that it reads among those of the table.
static gradc_status check_width(DataSet *data, const DataField *field, int64_t width) {
    bool *used = arena_array(data->arena, bool, width + 1);
    mark_columns(data, field, width, used);
    for (int64_t i = 0; i < width; i++) {
        if (!used[i]) continue;
        if (i < data->table_width) data->used[i] = true;
        else
            return fail(data->program, GRADC_DATA, "%s has %lld column%s, but %s of data %s reads columns[%lld]%s",
                        data->path, (long long)data->table_width, plural(data->table_width), field->name,
                        data->block->name, (long long)i, separator_help(data));
    }
    return GRADC_OK;
}

// The feed of all columns: as many as its type says, or, where fields count them from the end, as the table has.
static gradc_status open_columns(DataSet *data, const Feed *feed, OpenFeed *open, const bool *wanted) {
    int dim;
    int64_t scale, offset, width = 0;
    const Extent *extent = feed->variable->shape[1];
    if (!extent_is_constant(extent, &width) && extent_affine(extent, &dim, &scale, &offset)) {
        width = data->table_width > offset ? data->table_width : offset;
        data->dims[dim] = width - offset;
    }
    *open = (OpenFeed){.found = true, .array = table_array(data), .by_columns = true, .width = width};
    open->columns = arena_array(data->arena, int64_t, width + 1);
    for (int64_t i = 0; i < width; i++) open->columns[i] = i < data->table_width ? i : -1;
    for (int i = 0; i < data->block->fields.count; i++) {
        const DataField *field = &data->block->fields.items[i];
        gradc_status status = wanted[i] && field_reads(field, feed) ? check_width(data, field, width) : GRADC_OK;
        if (status) return status;
    }
    return GRADC_OK;
}

static gradc_status unknown_column(DataSet *data, const char *name) {
    int64_t count;
    const char *const *names = table_names(data, &count);
    if (!names)
        return fail(data->program, GRADC_DATA, "%s has no column '%s': its columns have no names", data->path, name);
    const char *nearest = nearest_name(name, names, (int)count);
    if (nearest)
        return fail(data->program, GRADC_DATA, "%s has no column '%s'; did you mean '%s'?", data->path, name, nearest);
    Text list = {.arena = data->arena};
    for (int64_t i = 0; i < count && i < 12; i++) text_add(&list, "%s'%s'", i ? ", " : "", names[i]);
    return fail(data->program, GRADC_DATA, "%s has no column '%s'; it has %s%s%s", data->path, name, list.bytes,
                count > 12 ? ", ..." : "", separator_help(data));
}

static gradc_status open_named(DataSet *data, const Feed *feed, OpenFeed *open) {
    int64_t count;
    const char *const *names = table_names(data, &count);
    *open = (OpenFeed){.found = true, .array = table_array(data), .by_columns = true, .width = feed->name_count};
    open->columns = arena_array(data->arena, int64_t, feed->name_count);
    for (int i = 0; i < feed->name_count; i++) {
        int64_t at = 0, again;
        while (at < count && strcmp(names[at], feed->names[i]) != 0) at++;
        if (at == count) return unknown_column(data, feed->names[i]);
        for (again = at + 1; again < count && strcmp(names[again], feed->names[i]) != 0;) again++;
        if (again < count)
            return fail(data->program, GRADC_DATA, "%s has two columns '%s': columns[%lld] and columns[%lld]",
                        data->path, feed->names[i], (long long)at, (long long)again);
        open->columns[i] = at;
        data->used[at] = true;
    }
    return GRADC_OK;
}

// ---- arrays

static const char *stored_shape(Arena *arena, const StoredArray *stored) {
    Text text = {.arena = arena};
    text_add(&text, "%s[", element_name(stored->type));
    for (int i = 0; i < stored->rank; i++) text_add(&text, "%s%lld", i ? ", " : "", (long long)stored->shape[i]);
    text_add(&text, "]");
    return text.bytes;
}

static const char *wanted_shape(Arena *arena, const Node *variable) {
    Text text = {.arena = arena};
    text_add(&text, "[rows");
    for (int i = 1; i < variable->rank; i++) {
        text_add(&text, ", ");
        extent_print(&text, variable->shape[i]);
    }
    text_add(&text, "]");
    return text.bytes;
}

// Binds the sizes that only the file knows. False: the array has another shape than the field.
static bool match_sizes(DataSet *data, const Node *variable, const StoredArray *stored) {
    if (stored->rank != variable->rank) return false;
    for (int i = 1; i < stored->rank; i++) {
        int64_t constant, scale, offset;
        int dim;
        if (extent_is_constant(variable->shape[i], &constant)) {
            if (constant != stored->shape[i]) return false;
        } else if (extent_affine(variable->shape[i], &dim, &scale, &offset)) {
            if (data->dims[dim] >= 0 && data->dims[dim] != stored->shape[i]) return false;
            data->dims[dim] = stored->shape[i];
        }
    }
    return true;
}

static gradc_status unknown_array(DataSet *data, const char *name) {
    const Sources *sources = &data->sources;
    if (!sources->array_count)
        return fail(data->program, GRADC_DATA, "%s has columns and no array '%s'; a column is columns[\"%s\"]",
                    data->path, name, name);
    const char **names = arena_array(data->arena, const char *, sources->array_count);
    Text list = {.arena = data->arena};
    for (int i = 0; i < sources->array_count; i++) {
        names[i] = sources->arrays[i].name;
        if (i < 12) text_add(&list, "%s'%s'", i ? ", " : "", names[i]);
    }
    const char *nearest = nearest_name(name, names, sources->array_count);
    if (nearest)
        return fail(data->program, GRADC_DATA, "%s has no array '%s'; did you mean '%s'?", data->path, name, nearest);
    return fail(data->program, GRADC_DATA, "%s has no array '%s'; it has %s%s", data->path, name, list.bytes,
                sources->array_count > 12 ? ", ..." : "");
}

// Whether the wanted fields read one array and no other.
static bool reads_one_array(const DataSet *data, const bool *wanted) {
    const char *name = NULL;
    for (int i = 0; i < data->block->feeds.count; i++) {
        const Feed *feed = &data->block->feeds.items[i];
        if (feed->kind != FEED_ARRAY || !reader_of(data, feed, wanted)) continue;
        if (name && strcmp(name, feed->names[0]) != 0) return false;
        name = feed->names[0];
    }
    return true;
}

static gradc_status open_array(DataSet *data, const Feed *feed, OpenFeed *open, const bool *wanted) {
    const char *name = feed->names[0];
    SourceArray *array = sources_find(&data->sources, name, reads_one_array(data, wanted));
    if (!array) return unknown_array(data, name);
    gradc_status status = source_read(data, array);
    if (status) return status;
    if (!match_sizes(data, feed->variable, &array->stored))
        return fail(data->program, GRADC_DATA, "%s: array '%s' is %s, but %s of data %s takes it as %s", array->path,
                    array->name, stored_shape(data->arena, &array->stored), reader_of(data, feed, wanted)->name,
                    data->block->name, wanted_shape(data->arena, feed->variable));
    *open = (OpenFeed){.found = true, .array = array, .width = array_row_count(&array->stored)};
    return GRADC_OK;
}

// ---- rows

static gradc_status add_rows(DataSet *data, const char *what, int64_t rows) {
    if (data->rows < 0) data->rows = rows;
    if (data->rows == rows) return GRADC_OK;
    return fail(data->program, GRADC_DATA, "%s: %s has %lld row%s, but what else data %s reads has %lld", data->path,
                what, (long long)rows, plural(rows), data->block->name, (long long)data->rows);
}

static gradc_status count_rows(DataSet *data) {
    const Sources *sources = &data->sources;
    gradc_status status = GRADC_OK;
    data->rows = -1;
    for (int i = 0; i < data->block->feeds.count && !status; i++) {
        const OpenFeed *open = &data->feeds[i];
        if (!open->found) continue;
        if (!open->array) status = add_rows(data, "the table", sources->cells.rows);
        else
            status =
                add_rows(data, arena_print(data->arena, "array '%s'", open->array->name), open->array->stored.shape[0]);
    }
    if (status || data->rows > 0) return status;
    return fail(data->program, GRADC_DATA, "%s has no rows", data->path);
}

// Which number in program->dims the rows are.
static int row_dim(const DataSet *data) {
    int dim = 0;
    int64_t scale, offset;
    extent_affine(data->block->feeds.items[0].variable->shape[0], &dim, &scale, &offset);
    return dim;
}

// Conditions on sizes that only the files know.
static gradc_status check_sizes(const DataSet *data) {
    for (int i = 0; i < data->block->checks.count; i++) {
        const Check *check = &data->block->checks.items[i];
        bool known = true, overflow = false;
        for (int dim = 0; dim < data->program->program->dims.count && known; dim++)
            known = data->dims[dim] >= 0 || !extent_dim_name(check->extent, dim);
        if (known && extent_evaluate(check->extent, data->dims, &overflow) < 0)
            return fail(data->program, GRADC_DATA, "%s: in data %s, %s", data->path, data->block->name, check->message);
    }
    return GRADC_OK;
}

static gradc_status open_feed(DataSet *data, int index, const bool *wanted) {
    const Feed *feed = &data->block->feeds.items[index];
    OpenFeed *open = &data->feeds[index];
    if (!reader_of(data, feed, wanted)) return GRADC_OK;
    if (feed->kind == FEED_ARRAY) return open_array(data, feed, open, wanted);
    gradc_status status = find_table(data);
    if (!status && !data->used) data->used = arena_array(data->arena, bool, data->table_width + 1);
    if (status) return status;
    return feed->kind == FEED_NAMED ? open_named(data, feed, open) : open_columns(data, feed, open, wanted);
}

gradc_status feeds_open(DataSet *data, const bool *wanted) {
    const DataBlock *block = data->block;
    int dims = data->program->program->dims.count;
    data->feeds = arena_array(data->arena, OpenFeed, block->feeds.count);
    data->dims = arena_array(data->arena, int64_t, dims + 1);
    data->table_width = -1;
    for (int i = 0; i < dims; i++) data->dims[i] = -1;
    gradc_status status = GRADC_OK;
    for (int i = 0; i < block->feeds.count && !status; i++) status = open_feed(data, i, wanted);
    Sources *sources = &data->sources;
    bool table = sources->table_path && data->used;
    if (!status && table) status = csv_read(&sources->csv, data->used, &sources->cells);
    free(sources->text);
    sources->text = NULL;
    if (!status) status = count_rows(data);
    if (status) return status;
    data->dims[row_dim(data)] = data->rows;
    return check_sizes(data);
}

// ---- numbers

static gradc_status refuse_number(const DataSet *data, const OpenFeed *open, int64_t row, int64_t at, double value) {
    char index[256];
    const StoredArray *stored = &open->array->stored;
    int length = snprintf(index, sizeof index, "[%lld", (long long)row);
    int64_t below = array_row_count(stored);
    for (int i = 1; i < stored->rank; i++) {
        below /= stored->shape[i];
        length += snprintf(index + length, sizeof index - (size_t)length, ", %lld", (long long)(at / below));
        at %= below;
    }
    if (isfinite(value))
        return fail(data->program, GRADC_DATA,
                    "%s: %s%s] is %.17g, and integers from 2^53 on cannot be told apart here", open->array->path,
                    open->array->name, index, value);
    return fail(data->program, GRADC_DATA, "%s: %s%s] is %s%s", open->array->path, open->array->name, index,
                isnan(value) ? "nan"
                : value > 0  ? "inf"
                             : "-inf",
                isnan(value) ? "; `missing 0` or `missing nan` in the data block allows that" : "");
}

// Looks at the numbers of one row of an array: what is missing, what must not be there.
static gradc_status check_numbers(const DataSet *data, const OpenFeed *open, int64_t row, int64_t count,
                                  double *numbers) {
    ElementType type = open->array->stored.type;
    bool floating = type == ELEMENT_F16 || type == ELEMENT_F32 || type == ELEMENT_F64;
    bool large = type == ELEMENT_I64 || type == ELEMENT_U64;
    for (int64_t i = 0; i < count && (floating || large); i++) {
        bool fine = floating ? isfinite(numbers[i]) : fabs(numbers[i]) < 0x1p53;
        if (fine || (open->by_columns && !data->used[i])) continue;
        if (!isnan(numbers[i]) || !data->block->may_miss) return refuse_number(data, open, row, i, numbers[i]);
        numbers[i] = data->block->missing;
    }
    return GRADC_OK;
}

static gradc_status check_unchanged(const DataSet *data, const SourceArray *array) {
    if (array->npz || map_is_unchanged(&array->map)) return GRADC_OK;
    return fail(data->program, GRADC_DATA, "%s was changed while it was read", array->path);
}

static void pick_columns(const OpenFeed *open, const double *from, double *to) {
    for (int64_t i = 0; i < open->width; i++) to[i] = open->columns[i] < 0 ? 0 : from[open->columns[i]];
}

gradc_status feed_rows(const DataSet *data, int feed, const int64_t *rows, int64_t count, double *to, Arena *scratch) {
    const OpenFeed *open = &data->feeds[feed];
    const Cells *cells = &data->sources.cells;
    for (int64_t i = 0; i < count && !open->array; i++)
        pick_columns(open, cells->values + rows[i] * cells->columns, to + i * open->width);
    if (!open->array) return GRADC_OK;
    gradc_status status = check_unchanged(data, open->array);
    int64_t width = array_row_count(&open->array->stored);
    double *row = open->by_columns ? arena_array(scratch, double, width + 1) : NULL;
    if (!status && !row) array_rows(&open->array->stored, rows, count, to);
    for (int64_t i = 0; i < count && !status; i++) {
        if (row) array_rows(&open->array->stored, &rows[i], 1, row);
        status = check_numbers(data, open, rows[i], width, row ? row : to + i * width);
        if (row && !status) pick_columns(open, row, to + i * open->width);
    }
    return status;
}
