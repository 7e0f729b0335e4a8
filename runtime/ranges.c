// Ranges of index inputs: training checks its class numbers before the first step, and names the row.
//
// A loss that compares class numbers with 0 .. C-1 would go on with zeros for a number outside, and a gather clamps: so
// the elaborator lists what each entry's inputs may hold.
#include "runtime/data.h"

#include <stdlib.h>

static int64_t integer_at(gradc_dtype dtype, const void *integers, int64_t index) {
    return dtype == GRADC_I32 ? ((const int32_t *)integers)[index] : ((const int64_t *)integers)[index];
}

// Rows from `first` on: `integers` has those of `rows` rows.
static gradc_status check_rows(const DataSet *data, const FieldArray *field, int64_t first, int64_t rows,
                               const void *integers, int64_t count, const Entry *entry) {
    int64_t per_row = (int64_t)(field->row_bytes / gradc_dtype_size(field->tensor.dtype));
    char place[PLACE_SIZE];
    for (int64_t i = 0; i < rows * per_row; i++) {
        int64_t value = integer_at(field->tensor.dtype, integers, i);
        if (value < 0 || value >= count)
            return fail(data->program, GRADC_DATA, "%s: %s is %lld in this row, but %s takes numbers from 0 to %lld",
                        data_place(data, first + i / per_row, place), field->field->name, (long long)value, entry->name,
                        (long long)count - 1);
    }
    return GRADC_OK;
}

static gradc_status check_field(const DataSet *data, const FieldArray *field, int64_t count, const Entry *entry) {
    if (field->tensor.data) return check_rows(data, field, 0, data->rows, field->tensor.data, count, entry);
    enum { AT_A_TIME = 256 };
    int64_t rows[AT_A_TIME];
    void *integers = malloc(AT_A_TIME * field->row_bytes + 1);
    gradc_status status = integers ? GRADC_OK : fail_memory(data->program);
    for (int64_t begin = 0; begin < data->rows && !status; begin += AT_A_TIME) {
        int64_t some = data->rows - begin < AT_A_TIME ? data->rows - begin : AT_A_TIME;
        for (int64_t i = 0; i < some; i++) rows[i] = begin + i;
        status = data_gather(data, field, rows, some, integers);
        if (!status) status = check_rows(data, field, begin, some, integers, count, entry);
    }
    free(integers);
    return status;
}

gradc_status data_check_ranges(const DataSet *data, const Entry *entry) {
    for (int i = 0; i < entry->ranges.count; i++) {
        int64_t count;
        const Node *input = entry->ranges.items[i].input;
        const FieldArray *field = data_field(data, input->variable->name);
        // A count that depends on open dims is not known before the batches are: those are left to the faults of gathers.
        if (!field || !extent_is_constant(entry->ranges.items[i].count, &count)) continue;
        if (field->tensor.dtype != GRADC_I32 && field->tensor.dtype != GRADC_I64) continue;
        gradc_status status = check_field(data, field, count, entry);
        if (status) return status;
    }
    return GRADC_OK;
}
