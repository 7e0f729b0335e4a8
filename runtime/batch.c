// Batches: rows of a data set gathered into contiguous arrays, and entries run over them.
#include "runtime/fit.h"

#include <stdlib.h>

gradc_status batch_create(Batch *batch, gradc_program *program, const DataSet *data, const Entry *entry) {
    Memory *arrays = calloc((size_t)entry->function.argument_count + 1, sizeof(Memory));
    *batch = (Batch){program, data, entry, arrays};
    return arrays ? GRADC_OK : fail_memory(program);
}

void batch_free(Batch *batch) {
    for (int i = 0; batch->arrays && i < batch->entry->function.argument_count; i++) memory_free(&batch->arrays[i]);
    free(batch->arrays);
    batch->arrays = NULL;
}

gradc_status batch_gather(Batch *batch, int input, const int64_t *rows, int64_t count, gradc_tensor *tensor) {
    const FieldArray *field = data_field(batch->data, batch->entry->function.arguments[input]->variable->name);
    if (!memory_reserve(&batch->arrays[input], (size_t)count * field->row_bytes)) return fail_memory(batch->program);
    data_gather(field, rows, count, batch->arrays[input].bytes);
    *tensor = field->tensor;
    tensor->shape[0] = count;
    tensor->data = batch->arrays[input].bytes;
    return GRADC_OK;
}

gradc_status value_of_rows(gradc_call *call, Batch *batch, const int64_t *rows, int64_t count) {
    gradc_program *program = batch->program;
    for (int i = 0; i < batch->entry->function.argument_count; i++) {
        gradc_tensor tensor;
        gradc_status status = batch_gather(batch, i, rows, count, &tensor);
        if (!status) status = gradc_call_bind(call, i, &tensor);
        if (status) return status;
    }
    uint64_t draw_count = program->draw_count;
    gradc_status status = gradc_call_value(call);
    program->draw_count = draw_count;
    return status;
}

static double number_of(const gradc_tensor *tensor) {
    switch (tensor->dtype) {
    case GRADC_F32: return *(const float *)tensor->data;
    case GRADC_F64: return *(const double *)tensor->data;
    case GRADC_I32: return *(const int32_t *)tensor->data;
    case GRADC_I64: return (double)*(const int64_t *)tensor->data;
    case GRADC_BOOL: return *(const uint8_t *)tensor->data;
    }
    return 0;
}

gradc_status metric_value(gradc_call *call, Batch *batch, double *value) {
    const DataSet *data = batch->data;
    gradc_status status = GRADC_OK;
    gradc_tensor alone;
    double sum = 0;
    if (!batch->entry->function.argument_count) {
        status = value_of_rows(call, batch, NULL, 0);
        if (!status) status = gradc_call_output(call, 0, &alone);
        *value = status ? 0 : number_of(&alone);
        return status;
    }
    for (int64_t begin = 0; begin < data->held_count && !status; begin += PIECE_ROWS) {
        int64_t count = data->held_count - begin < PIECE_ROWS ? data->held_count - begin : PIECE_ROWS;
        gradc_tensor output;
        status = value_of_rows(call, batch, data->held + begin, count);
        if (!status) status = gradc_call_output(call, 0, &output);
        if (!status) sum += number_of(&output) * (double)count;
    }
    *value = sum / (double)data->held_count;
    return status;
}
