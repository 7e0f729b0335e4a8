// Ranges of index inputs: training checks its class numbers before the first step, and names the row.
//
// A loss that compares class numbers with 0 .. C-1 would go on with zeros for a number outside, and a gather clamps: so
// the elaborator lists what each entry's inputs may hold.
#include "runtime/data.h"

static int64_t integer_at(const gradc_tensor *tensor, int64_t index) {
    return tensor->dtype == GRADC_I32 ? ((const int32_t *)tensor->data)[index] : ((const int64_t *)tensor->data)[index];
}

static gradc_status check_field(const DataSet *data, const FieldArray *field, int64_t count, const Entry *entry) {
    int64_t per_row = (int64_t)(field->row_bytes / gradc_dtype_size(field->tensor.dtype));
    for (int64_t i = 0; i < data->cells.rows * per_row; i++) {
        int64_t value = integer_at(&field->tensor, i);
        if (value < 0 || value >= count)
            return fail(data->program, GRADC_DATA,
                        "%s:%lld: %s is %lld in this row, but %s takes numbers from 0 to %lld", data->path,
                        (long long)data->cells.lines[i / per_row], field->field->name, (long long)value, entry->name,
                        (long long)count - 1);
    }
    return GRADC_OK;
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
