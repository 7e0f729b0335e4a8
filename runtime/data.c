// Data blocks: a file's cells become the arrays that feed an entry, and its rows are split in those that train and
// those that are held out.
#include "runtime/data.h"
#include "runtime/files/whole.h"
#include "evaluate/evaluate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- fields

// The cells as the field's argument wants them: as many columns as its type says, the first ones of the file.
static gradc_status field_cells(DataSet *data, const Node *argument, Tensor *cells, int64_t *dims) {
    int dim;
    int64_t scale, offset, columns = data->cells.columns;
    if (extent_affine(argument->shape[0], &dim, &scale, &offset) && scale == 1 && offset == 0)
        dims[dim] = data->cells.rows;
    // Fields that count columns from the end take as many as the file has, and need `offset` of them.
    if (!extent_is_constant(argument->shape[1], &columns) && extent_affine(argument->shape[1], &dim, &scale, &offset)) {
        dims[dim] = columns > offset ? columns - offset : 0;
        columns = columns > offset ? columns : offset;
    }
    if (columns > data->cells.columns)
        return fail(data->program, GRADC_DATA, "%s has %lld %s, but data %s reads column %lld (counted from 0)",
                    data->path, (long long)data->cells.columns, data->cells.columns == 1 ? "column" : "columns",
                    data->block->name, (long long)columns - 1);
    *cells = (Tensor){.dtype = DTYPE_F64, .rank = 2, .shape = {data->cells.rows, columns}, .data = data->cells.values};
    if (columns == data->cells.columns) return GRADC_OK;
    double *packed = arena_array(data->arena, double, data->cells.rows *columns + 1);
    for (int64_t i = 0; i < data->cells.rows; i++)
        memcpy(packed + i * columns, data->cells.values + i * data->cells.columns, (size_t)columns * sizeof *packed);
    cells->data = packed;
    return GRADC_OK;
}

static gradc_status evaluate_field(DataSet *data, const DataField *field, Node *node, Tensor *result) {
    const Function *value = &field->value;
    int64_t *dims = arena_array(data->arena, int64_t, data->program->program->dims.count + 1);
    Tensor cells;
    gradc_status status = field_cells(data, value->arguments[0], &cells, dims);
    if (status) return status;
    Named named = {field->name, node};
    Function function = {
        .name = field->name, .argument_count = 1, .arguments = value->arguments, .result_count = 1, .results = &named};
    Environment environment = {.dims = dims};
    const char *fault = evaluate_function(data->arena, &function, &cells, &environment, result);
    if (fault)
        return fail(data->program, GRADC_DATA, "%s: %s of data %s: %s", data->path, field->name, data->block->name,
                    fault);
    if (result->rank < 1 || result->shape[0] != data->cells.rows)
        return fail(data->program, GRADC_PROGRAM, "%s of data %s does not have one row for each row of the file",
                    field->name, data->block->name);
    return GRADC_OK;
}

// A field that is cast to whole numbers, such as class numbers: a cell that is not whole is an error, not cut off.
static gradc_status check_whole(DataSet *data, const DataField *field) {
    Node *node = field->value.results[0].node;
    if (node->op != OP_cast || !dtype_is_integer(node->dtype) || !dtype_is_float(node->inputs[0]->dtype))
        return GRADC_OK;
    Tensor before;
    gradc_status status = evaluate_field(data, field, node->inputs[0], &before);
    if (status || before.dtype != DTYPE_F64) return status;
    int64_t per_row = 1;
    for (int i = 1; i < before.rank; i++) per_row *= before.shape[i];
    const double *values = before.data;
    double limit = node->dtype == DTYPE_I32 ? 2147483648.0 : 9223372036854775808.0;
    for (int64_t i = 0; i < before.shape[0] * per_row; i++)
        if (values[i] != floor(values[i]) || values[i] >= limit || values[i] < -limit)
            return fail(data->program, GRADC_DATA,
                        "%s:%lld: %s is %.9g in this row, which is not a whole number of "
                        "type %s",
                        data->path, (long long)data->cells.lines[i / per_row], field->name, values[i],
                        dtype_name(node->dtype));
    return GRADC_OK;
}

static gradc_status load_field(DataSet *data, const DataField *field, FieldArray *array) {
    Tensor result;
    gradc_status status = check_whole(data, field);
    if (!status) status = evaluate_field(data, field, field->value.results[0].node, &result);
    if (status) return status;
    *array = (FieldArray){.field = field, .row_bytes = (size_t)dtype_size(result.dtype)};
    array->tensor = (gradc_tensor){.dtype = public_dtype(result.dtype), .rank = result.rank, .data = result.data};
    for (int i = 0; i < result.rank; i++) array->tensor.shape[i] = result.shape[i];
    for (int i = 1; i < result.rank; i++) array->row_bytes *= (size_t)result.shape[i];
    return GRADC_OK;
}

// ---- the split

static int compare_rows(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Which rows are held out depends on their number and nothing else: not on the training's seed.
static gradc_status split_rows(DataSet *data) {
    int64_t rows = data->cells.rows;
    int64_t training = (int64_t)((double)rows * data->block->split + 1e-9);
    if (training > rows) training = rows;
    if (training < 1)
        return fail(data->program, GRADC_DATA, "%s has %lld %s, and a split of %.9g leaves none to train", data->path,
                    (long long)rows, rows == 1 ? "row" : "rows", data->block->split);
    int64_t *order = arena_array(data->arena, int64_t, rows);
    for (int64_t i = 0; i < rows; i++) order[i] = i;
    if (training < rows) shuffle(order, rows, 0, SHUFFLE_SPLIT, 0);
    qsort(order, (size_t)training, sizeof *order, compare_rows);
    qsort(order + training, (size_t)(rows - training), sizeof *order, compare_rows);
    data->training = order;
    data->training_count = training;
    data->held = training < rows ? order + training : order;
    data->held_count = training < rows ? rows - training : rows;
    return GRADC_OK;
}

// ---- loading

static gradc_status load(DataSet *data, const char *text, size_t length) {
    if (setjmp(*arena_recover(data->arena))) return fail_memory(data->program);
    gradc_status status = csv_parse(data->program, data->arena, data->path, text, length, &data->cells);
    if (status) return status;
    data->fields = arena_array(data->arena, FieldArray, data->block->fields.count);
    for (int i = 0; i < data->block->fields.count; i++) {
        status = load_field(data, &data->block->fields.items[i], &data->fields[i]);
        if (status) return status;
        data->field_count++;
    }
    return split_rows(data);
}

static gradc_status choose_path(DataSet *data, const char *file) {
    if (setjmp(*arena_recover(data->arena))) return fail_memory(data->program);
    if (!file && !data->block->files.count) return fail(data->program, GRADC_DATA, "data %s names no file", data->block->name);
    data->path = arena_print(data->arena, "%s", file ? file : data->block->files.items[0]);
    return GRADC_OK;
}

gradc_status data_load(gradc_program *program, const DataBlock *block, const char *file, DataSet *data) {
    *data = (DataSet){.program = program, .block = block, .arena = arena_create()};
    if (!data->arena) return fail_memory(program);
    gradc_status status = choose_path(data, file);
    if (status) return status;
    size_t length;
    char *text = read_whole_file(data->path, &length);
    if (!text)
        return fail(program, GRADC_FILE, "cannot read '%s', which data %s needs: %s", data->path, block->name,
                    strerror(errno));
    void *locale = plain_locale_begin();
    status = load(data, text, length);
    plain_locale_end(locale);
    free(text);
    return status;
}

void data_free(DataSet *data) {
    if (data->arena) arena_destroy(data->arena);
    *data = (DataSet){0};
}

const FieldArray *data_field(const DataSet *data, const char *name) {
    for (int i = 0; i < data->field_count; i++)
        if (strcmp(data->fields[i].field->name, name) == 0) return &data->fields[i];
    return NULL;
}

void data_gather(const FieldArray *field, const int64_t *rows, int64_t count, void *to) {
    const char *from = field->tensor.data;
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)to + (size_t)i * field->row_bytes, from + (size_t)rows[i] * field->row_bytes, field->row_bytes);
}

RowSet data_rows(const DataSet *data, gradc_rows rows, bool other_file) {
    if (rows == GRADC_ROWS_USUAL) rows = other_file ? GRADC_ROWS_ALL : GRADC_ROWS_HELD_OUT;
    if (rows == GRADC_ROWS_HELD_OUT) return (RowSet){data->held, data->held_count};
    if (rows == GRADC_ROWS_TRAINING) return (RowSet){data->training, data->training_count};
    return (RowSet){NULL, data->cells.rows};
}

const DataBlock *find_data(gradc_program *program, const char *name) {
    const Program *elaborated = program->program;
    for (int i = 0; i < elaborated->data.count; i++)
        if (!name || strcmp(name, elaborated->data.items[i]->name) == 0) return elaborated->data.items[i];
    if (name) fail(program, GRADC_ARGUMENT, "the program has no `data %s`", name);
    else fail(program, GRADC_ARGUMENT, "the program has no data block");
    return NULL;
}

bool data_feeds(const DataBlock *block, const Entry *entry) {
    for (int i = 0; i < entry->function.argument_count; i++) {
        const Node *argument = entry->function.arguments[i];
        bool found = false;
        for (int k = 0; k < block->fields.count && !found; k++) {
            const DataField *field = &block->fields.items[k];
            const Node *value = field->value.results[0].node;
            found = strcmp(field->name, argument->variable->name) == 0 && value->dtype == argument->dtype &&
                    value->rank == argument->rank;
        }
        if (!found) return false;
    }
    return entry->function.argument_count > 0;
}

gradc_status gradc_check_data(gradc_program *program, const char *name, const char *file) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    if (name && !find_data(program, name)) return GRADC_ARGUMENT;
    gradc_status status = GRADC_OK;
    for (int i = 0; i < program->program->data.count && !status; i++) {
        const DataBlock *block = program->program->data.items[i];
        if (name && strcmp(name, block->name) != 0) continue;
        DataSet data;
        status = data_load(program, block, file, &data);
        for (int k = 0; k < program->program->trains.count && !status; k++) {
            const TrainBlock *train = program->program->trains.items[k];
            if (train->data == block) status = data_check_ranges(&data, train->entry);
        }
        data_free(&data);
    }
    return status;
}
