// Fields: the arrays that a data block makes of its files, computed by the reference evaluator. Rows are taken some at a
// time where each is made of the file's row alone; what is too large to be kept is computed for each batch anew, and has
// the same bits.
#include "runtime/data.h"
#include "evaluate/evaluate.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// Rows are computed in pieces of about so many bytes of numbers.
enum { PIECE_BYTES = 1 << 22 };

// ---- sizes

// How much may be kept: a quarter of the machine's memory, or of what the process may have.
static int64_t usual_keep(void) {
    static const int limits[] = {RLIMIT_DATA, RLIMIT_AS};
    int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE), bytes = INT64_MAX;
    if (pages > 0 && size > 0) bytes = pages * size;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i], &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)bytes)
            bytes = (int64_t)limit.rlim_cur;
    }
    return bytes / 4;
}

static gradc_status field_shape(const DataSet *data, const DataField *field, FieldArray *array) {
    const Node *node = field->value.results[0].node;
    array->tensor = (gradc_tensor){.dtype = public_dtype(node->dtype), .rank = node->rank};
    array->row_bytes = (size_t)dtype_size(node->dtype);
    bool overflow = false;
    for (int i = 0; i < node->rank; i++) {
        int64_t size = extent_evaluate(node->shape[i], data->dims, &overflow);
        array->tensor.shape[i] = size;
        if (i)
            overflow =
                __builtin_mul_overflow(array->row_bytes, (size_t)(size < 0 ? 0 : size), &array->row_bytes) || overflow;
        if (size >= 0 && !overflow) continue;
        return fail(data->program, GRADC_DATA, "%s: %s of data %s has an axis of %lld elements", data->path,
                    field->name, data->block->name, (long long)size);
    }
    return GRADC_OK;
}

// ---- numbers that the field's dtype does not have

// The node whose numbers are cast to the field's; NULL: nothing is lost by a cast.
static Node *cast_from(const DataField *field) {
    Node *node = field->value.results[0].node;
    bool narrows = node->op == OP_cast && node->inputs[0]->dtype == DTYPE_F64 && node->dtype != DTYPE_F64 &&
                   node->dtype != DTYPE_BOOL;
    return narrows ? node->inputs[0] : NULL;
}

static bool is_lost(Dtype dtype, double value) {
    if (dtype == DTYPE_F32) return isfinite(value) && isinf((float)value);
    double limit = dtype == DTYPE_I32 ? 2147483648.0 : 9223372036854775808.0;
    return value != floor(value) || value >= limit || value < -limit;
}

// A number that is not whole, where whole ones are wanted, or too large, is an error; nothing is cut off.
static gradc_status check_cast(const DataSet *data, const DataField *field, const int64_t *rows, const Tensor *before) {
    Dtype dtype = field->value.results[0].node->dtype;
    const double *values = before->data;
    int64_t per_row = 1;
    for (int i = 1; i < before->rank; i++) per_row *= before->shape[i];
    for (int64_t i = 0; i < before->shape[0] * per_row; i++) {
        if (!is_lost(dtype, values[i])) continue;
        char place[PLACE_SIZE];
        return fail(data->program, GRADC_DATA, "%s: %s is %.9g in this row, which is %s %s",
                    data_place(data, rows[i / per_row], place), field->name, values[i],
                    dtype == DTYPE_F32 ? "too large for" : "not a whole number of type", dtype_name(dtype));
    }
    return GRADC_OK;
}

// ---- some rows

// What is computed with: dims, in which the rows are as many as are computed now.
static int64_t *dims_for(const DataSet *data, Arena *arena, int64_t count) {
    int dims = data->program->program->dims.count, dim = 0;
    int64_t *copy = arena_copy(arena, data->dims, sizeof *data->dims * (size_t)dims + 1), scale, offset;
    extent_affine(data->block->feeds.items[0].variable->shape[0], &dim, &scale, &offset);
    copy[dim] = count;
    return copy;
}

static gradc_status feed_tensor(const DataSet *data, const Node *variable, const int64_t *rows, int64_t count,
                                Arena *arena, Tensor *tensor) {
    int feed = variable->variable->index;
    const OpenFeed *open = &data->feeds[feed];
    *tensor = (Tensor){.dtype = DTYPE_F64, .rank = variable->rank, .shape = {count}};
    for (int i = 1; i < variable->rank; i++) tensor->shape[i] = extent_evaluate(variable->shape[i], data->dims, NULL);
    tensor->data = arena_array(arena, double, count * open->width + 1);
    return feed_rows(data, feed, rows, count, tensor->data, arena);
}

static gradc_status evaluate_rows(const DataSet *data, const DataField *field, const int64_t *rows, int64_t count,
                                  Arena *arena, void *to) {
    const Function *value = &field->value;
    Tensor *feeds = arena_array(arena, Tensor, value->argument_count + 1), results[2];
    for (int i = 0; i < value->argument_count; i++) {
        gradc_status status = feed_tensor(data, value->arguments[i], rows, count, arena, &feeds[i]);
        if (status) return status;
    }
    Named named[2] = {value->results[0], {field->name, cast_from(field)}};
    Function function = {field->name, value->argument_count, value->arguments, named[1].node ? 2 : 1, named};
    Environment environment = {.dims = dims_for(data, arena, count)};
    const char *fault = evaluate_function(arena, &function, feeds, &environment, results);
    if (fault)
        return fail(data->program, GRADC_DATA, "%s: %s of data %s: %s", data->path, field->name, data->block->name,
                    fault);
    size_t bytes = (size_t)dtype_size(results[0].dtype);
    for (int i = 0; i < results[0].rank; i++) bytes *= (size_t)results[0].shape[i];
    memcpy(to, results[0].data, bytes);
    return named[1].node ? check_cast(data, field, rows, &results[1]) : GRADC_OK;
}

// Jumps back here when memory runs out.
static gradc_status evaluate_within(const DataSet *data, const DataField *field, const int64_t *rows, int64_t count,
                                    Arena *arena, void *to) {
    if (setjmp(*arena_recover(arena))) return fail_memory(data->program);
    return evaluate_rows(data, field, rows, count, arena, to);
}

static gradc_status compute_rows(const DataSet *data, const FieldArray *array, const int64_t *rows, int64_t count,
                                 void *to) {
    Arena *arena = arena_create_from(data->program->allocator);
    if (!arena) return fail_memory(data->program);
    gradc_status status = evaluate_within(data, array->field, rows, count, arena, to);
    arena_destroy(arena);
    return status;
}

gradc_status data_gather(const DataSet *data, const FieldArray *field, const int64_t *rows, int64_t count, void *to) {
    const char *from = field->tensor.data;
    if (!from) return compute_rows(data, field, rows, count, to);
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)to + (size_t)i * field->row_bytes, from + (size_t)rows[i] * field->row_bytes, field->row_bytes);
    return GRADC_OK;
}

// ---- all rows

// How many rows are computed at a time: of about PIECE_BYTES of numbers.
static int64_t rows_at_a_time(const DataSet *data, const DataField *field) {
    int64_t numbers = 1;
    for (int i = 0; i < field->value.argument_count; i++)
        numbers += data->feeds[field->value.arguments[i]->variable->index].width;
    int64_t rows = PIECE_BYTES / (int64_t)sizeof(double) / numbers;
    return rows < 1 ? 1 : rows < data->rows ? rows : data->rows;
}

static gradc_status compute_all(const DataSet *data, const FieldArray *array, int64_t at_a_time, void *to) {
    int64_t *rows = arena_array(data->arena, int64_t, at_a_time);
    gradc_status status = GRADC_OK;
    for (int64_t begin = 0; begin < data->rows && !status; begin += at_a_time) {
        int64_t count = data->rows - begin < at_a_time ? data->rows - begin : at_a_time;
        for (int64_t i = 0; i < count; i++) rows[i] = begin + i;
        status = compute_rows(data, array, rows, count, (char *)to + (size_t)begin * array->row_bytes);
    }
    return status;
}

gradc_status field_load(DataSet *data, const DataField *field, FieldArray *array) {
    if (!data->keep) data->keep = usual_keep();
    *array = (FieldArray){.field = field};
    gradc_status status = field_shape(data, field, array);
    if (status) return status;
    bool by_rows = is_by_rows(data, field);
    int64_t bytes;
    if (__builtin_mul_overflow(data->rows, (int64_t)array->row_bytes, &bytes)) bytes = INT64_MAX;
    if (by_rows && bytes > data->keep - data->kept) return GRADC_OK;
    void *values = arena_allocate(data->arena, (size_t)bytes + 1);
    status = compute_all(data, array, by_rows ? rows_at_a_time(data, field) : data->rows, values);
    array->tensor.data = values;
    data->kept += bytes;
    return status;
}
