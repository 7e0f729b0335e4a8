// Batches: rows of a data set gathered into contiguous arrays, and entries run over them.
#include "runtime/fit.h"

// Rows are handed to values and metrics in pieces of at most so many, and of about so many bytes.
enum { MOST_PIECE_ROWS = 4096, MOST_PIECE_BYTES = 1 << 24 };

gradc_status batch_create(Batch *batch, gradc_program *program, const DataSet *data, const Entry *entry) {
    int inputs = entry->function.argument_count;
    Memory *arrays = program_allocate(program, (size_t)inputs, sizeof(Memory));
    for (int i = 0; arrays && i < inputs; i++) arrays[i] = memory_of(program);
    *batch = (Batch){program, data, entry, arrays, program_allocate(program, MOST_PIECE_ROWS, sizeof(int64_t))};
    return arrays && batch->piece ? GRADC_OK : fail_memory(program);
}

void batch_free(Batch *batch) {
    for (int i = 0; batch->arrays && i < batch->entry->function.argument_count; i++) memory_free(&batch->arrays[i]);
    if (!batch->program) return;
    program_release(batch->program, batch->arrays);
    program_release(batch->program, batch->piece);
    batch->arrays = NULL;
    batch->piece = NULL;
}

gradc_status batch_gather(Batch *batch, int input, const int64_t *rows, int64_t count, gradc_tensor *tensor) {
    const FieldArray *field = data_field(batch->data, batch->entry->function.arguments[input]->variable->name);
    if (!memory_reserve(&batch->arrays[input], (size_t)count * field->row_bytes)) return fail_memory(batch->program);
    gradc_status status = data_gather(batch->data, field, rows, count, batch->arrays[input].bytes);
    if (status) return status;
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

int64_t piece_rows(const Batch *batch) {
    size_t row_bytes = 1;
    for (int i = 0; batch->data && i < batch->entry->function.argument_count; i++)
        row_bytes += data_field(batch->data, batch->entry->function.arguments[i]->variable->name)->row_bytes;
    int64_t rows = (int64_t)(MOST_PIECE_BYTES / row_bytes);
    return rows < 1 ? 1 : rows < MOST_PIECE_ROWS ? rows : MOST_PIECE_ROWS;
}

const int64_t *piece_of_rows(Batch *batch, const RowSet *rows, int64_t begin, int64_t count) {
    if (rows->rows) return rows->rows + begin;
    for (int64_t i = 0; i < count; i++) batch->piece[i] = begin + i;
    return batch->piece;
}

static gradc_status value_alone(gradc_call *call, Batch *batch, double *value) {
    gradc_tensor output;
    gradc_status status = value_of_rows(call, batch, NULL, 0);
    if (!status) status = gradc_call_output(call, 0, &output);
    *value = status ? 0 : tensor_number(&output, 0);
    return status;
}

gradc_status mean_over_rows(gradc_call *call, Batch *batch, const RowSet *rows, double *value) {
    if (!batch->entry->function.argument_count) return value_alone(call, batch, value);
    gradc_status status = GRADC_OK;
    double sum = 0;
    int64_t most = piece_rows(batch);
    for (int64_t begin = 0; begin < rows->count && !status; begin += most) {
        int64_t count = rows->count - begin < most ? rows->count - begin : most;
        gradc_tensor output;
        status = value_of_rows(call, batch, piece_of_rows(batch, rows, begin, count), count);
        if (!status) status = gradc_call_output(call, 0, &output);
        if (!status) sum += tensor_number(&output, 0) * (double)count;
    }
    *value = sum / (double)rows->count;
    return status;
}

gradc_status metric_value(gradc_call *call, Batch *batch, double *value) {
    RowSet held = {0};
    if (batch->data) held = data_rows(batch->data, GRADC_ROWS_HELD_OUT, false);
    return mean_over_rows(call, batch, &held, value);
}
