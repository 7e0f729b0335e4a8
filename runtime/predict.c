// Predictions: what a net says of the held-out rows, as a CSV file from which anyone can compute the metrics again.
#include "runtime/fit.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <string.h>

typedef struct {
    gradc_program *program;
    const Entry *entry;
    const DataBlock *block;
    DataSet data;
    RowSet rows;
    Batch batch;
    bool *wanted;   // by number of the block's field
    int target_count;
    const FieldArray **targets;
    Memory *values;   // of the targets, for the rows that are written
    gradc_call *call;
    FILE *stream;
} Prediction;

// The first net that the block feeds. NULL: it feeds none.
static const Entry *first_net(const Program *program, const DataBlock *block) {
    for (int i = 0; i < program->entries.count; i++) {
        const Entry *entry = program->entries.items[i];
        if (entry->kind == ENTRY_NET && data_feeds(block, entry)) return entry;
    }
    return NULL;
}

static gradc_status refuse_entry(gradc_program *program, const char *name, const char *data) {
    if (!name && data)
        return fail(program, GRADC_ARGUMENT, "no net can be called with what data %s gives; name a net", data);
    if (!name) return fail(program, GRADC_ARGUMENT, "no net can be called with what a data block gives; name a net");
    if (data) return fail(program, GRADC_ARGUMENT, "data %s does not give the inputs that %s takes", data, name);
    return fail(program, GRADC_ARGUMENT, "no data block gives the inputs that %s takes", name);
}

// Which entry, with which data: what the options name, else the first that fit together.
static gradc_status choose(Prediction *prediction, const gradc_predict_options *options) {
    gradc_program *program = prediction->program;
    const Program *elaborated = program->program;
    const Entry *named = options->entry ? find_entry(program, options->entry) : NULL;
    if (options->entry && !named) return no_entry(program, options->entry);
    const DataBlock *first = find_data(program, options->data);
    if (!first) return GRADC_ARGUMENT;
    for (int i = 0; i < elaborated->data.count; i++) {
        const DataBlock *block = elaborated->data.items[i];
        if (options->data && block != first) continue;
        prediction->block = block;
        prediction->entry = named ? named : first_net(elaborated, block);
        if (!prediction->entry || !data_feeds(block, prediction->entry)) continue;
        if (prediction->entry->function.results[0].node->rank) return GRADC_OK;
        return fail(program, GRADC_ARGUMENT, "%s gives one number, not one for each row of data",
                    prediction->entry->name);
    }
    bool one = options->data || elaborated->data.count == 1;
    return refuse_entry(program, options->entry, one ? first->name : NULL);
}

// ---- writing

// As many digits as tell every number of the dtype from its neighbours.
static void write_number(FILE *stream, const gradc_tensor *tensor, int64_t index) {
    if (tensor->dtype == GRADC_I64) fprintf(stream, "%lld", (long long)((const int64_t *)tensor->data)[index]);
    else fprintf(stream, "%.*g", tensor->dtype == GRADC_F32 ? 9 : 17, tensor_number(tensor, index));
}

// How many numbers one row of a tensor has.
static int64_t row_length(const gradc_tensor *tensor) {
    int64_t length = 1;
    for (int i = 1; i < tensor->rank; i++) length *= tensor->shape[i];
    return length;
}

static void write_heading(Prediction *prediction, const gradc_tensor *output) {
    FILE *stream = prediction->stream;
    fprintf(stream, "row");
    for (int i = 0; i < prediction->target_count; i++) fprintf(stream, ",%s", prediction->targets[i]->field->name);
    int64_t length = row_length(output);
    if (length > 1) fprintf(stream, ",prediction");
    for (int64_t i = 0; i < length; i++) {
        fprintf(stream, ",%s", prediction->entry->name);
        if (length > 1) fprintf(stream, ".%lld", (long long)i);
    }
    fprintf(stream, "\n");
}

static void write_row(Prediction *prediction, int64_t row, const gradc_tensor *output, int64_t index) {
    FILE *stream = prediction->stream;
    int64_t length = row_length(output), begin = index * length, best = 0;
    fprintf(stream, "%lld", (long long)row + 1);
    for (int i = 0; i < prediction->target_count; i++) {
        gradc_tensor target = prediction->targets[i]->tensor;
        target.data = prediction->values[i].bytes;
        fprintf(stream, ",");
        write_number(stream, &target, index);
    }
    for (int64_t i = 1; i < length; i++)
        if (tensor_number(output, begin + i) > tensor_number(output, begin + best)) best = i;
    if (length > 1) fprintf(stream, ",%lld", (long long)best);
    for (int64_t i = 0; i < length; i++) {
        fprintf(stream, ",");
        write_number(stream, output, begin + i);
    }
    fprintf(stream, "\n");
}

static gradc_status gather_targets(Prediction *prediction, const int64_t *rows, int64_t count) {
    gradc_status status = GRADC_OK;
    for (int i = 0; i < prediction->target_count && !status; i++) {
        const FieldArray *target = prediction->targets[i];
        Memory *values = &prediction->values[i];
        if (!memory_reserve(values, (size_t)count * target->row_bytes)) return fail_memory(prediction->program);
        status = data_gather(&prediction->data, target, rows, count, values->bytes);
    }
    return status;
}

static gradc_status write_piece(Prediction *prediction, int64_t begin, int64_t count) {
    const int64_t *rows = piece_of_rows(&prediction->batch, &prediction->rows, begin, count);
    gradc_tensor output;
    gradc_status status = value_of_rows(prediction->call, &prediction->batch, rows, count);
    if (!status) status = gradc_call_output(prediction->call, 0, &output);
    if (!status) status = gather_targets(prediction, rows, count);
    if (status) return status;
    if (output.rank == 0 || output.shape[0] != count)
        return fail(prediction->program, GRADC_ARGUMENT, "the output of %s has not one row for each row of data",
                    prediction->entry->name);
    if (!begin) write_heading(prediction, &output);
    for (int64_t i = 0; i < count; i++) write_row(prediction, rows[i], &output, i);
    return GRADC_OK;
}

static gradc_status write_rows(Prediction *prediction) {
    int64_t most = piece_rows(&prediction->batch), rows = prediction->rows.count;
    gradc_status status = GRADC_OK;
    for (int64_t begin = 0; begin < rows && !status; begin += most)
        status = write_piece(prediction, begin, rows - begin < most ? rows - begin : most);
    return status;
}

static gradc_status write_file(Prediction *prediction, const char *path) {
    NewFile file;
    if (!new_file_begin(&file, path))
        return fail(prediction->program, GRADC_FILE, "cannot write '%s': %s", path, strerror(errno));
    prediction->stream = file.stream;
    void *locale = plain_locale_begin();
    gradc_status status = write_rows(prediction);
    plain_locale_end(locale);
    if (status) new_file_discard(&file);
    else if (!new_file_finish(&file))
        status = fail(prediction->program, GRADC_FILE, "cannot write '%s': %s", path, strerror(errno));
    return status;
}

// ---- which fields

// One number for each row, which the entry does not read: what was to be predicted.
static bool is_target(const Prediction *prediction, const DataField *field) {
    const Node *node = field->value.results[0].node;
    for (int i = 1; i < node->rank; i++)
        if (!extent_is(node->shape[i], 1)) return false;
    return !entry_takes(prediction->entry, field->name);
}

// Reads the entry's inputs, what rows are split by, and the targets if `targets`.
static gradc_status load(Prediction *prediction, const gradc_predict_options *options, bool targets) {
    const DataBlock *block = prediction->block;
    DataRequest request = request_for_rows(options->rows, options->file, prediction->wanted);
    for (int i = 0; i < block->fields.count; i++) {
        const DataField *field = &block->fields.items[i];
        bool divides = !request.whole && block->stratify && strcmp(block->stratify, field->name) == 0;
        prediction->wanted[i] =
            divides || entry_takes(prediction->entry, field->name) || (targets && is_target(prediction, field));
    }
    data_free(&prediction->data);
    return data_load_request(prediction->program, block, &request, &prediction->data);
}

// New data need not have the columns of the targets. Then a target that is counted from the last column would be one of
// the inputs' columns, and is none.
static gradc_status choose_targets(Prediction *prediction, bool other_file) {
    DataSet *data = &prediction->data;
    for (int i = 0; i < data->field_count; i++) {
        const FieldArray *array = &data->fields[i];
        if (!is_target(prediction, array->field)) continue;
        bool same = false;
        gradc_status status =
            other_file ? reads_inputs_columns(data, array->field, prediction->entry, &same) : GRADC_OK;
        if (status) return status;
        if (!same) prediction->targets[prediction->target_count++] = array;
    }
    return GRADC_OK;
}

static gradc_status load_data(Prediction *prediction, const gradc_predict_options *options) {
    gradc_program *program = prediction->program;
    size_t count = (size_t)prediction->block->fields.count;
    prediction->wanted = program_allocate(program, count, sizeof *prediction->wanted);
    prediction->targets = program_allocate(program, count, sizeof *prediction->targets);
    prediction->values = program_allocate(program, count, sizeof *prediction->values);
    if (!prediction->wanted || !prediction->targets || !prediction->values) return fail_memory(program);
    for (size_t i = 0; i < count; i++) prediction->values[i] = memory_of(program);
    gradc_status status = load(prediction, options, true);
    if (status == GRADC_DATA) status = load(prediction, options, false);
    return status ? status : choose_targets(prediction, options->file != NULL);
}

static gradc_status predict(Prediction *prediction, const gradc_predict_options *options, const char *path) {
    gradc_program *program = prediction->program;
    gradc_status status = choose(prediction, options);
    if (!status) status = load_data(prediction, options);
    if (!status) status = data_check_ranges(&prediction->data, prediction->entry);
    if (status || !path) return status;
    prediction->rows = data_rows(&prediction->data, options->rows, options->file != NULL);
    status = batch_create(&prediction->batch, program, &prediction->data, prediction->entry);
    if (!status) status = gradc_call_create(program, prediction->entry->name, &prediction->call);
    return status ? status : write_file(prediction, path);
}

static void free_prediction(Prediction *prediction) {
    gradc_call_free(prediction->call);
    if (prediction->batch.entry) batch_free(&prediction->batch);
    for (int i = 0; prediction->values && i < prediction->target_count; i++) memory_free(&prediction->values[i]);
    program_release(prediction->program, prediction->values);
    program_release(prediction->program, prediction->targets);
    program_release(prediction->program, prediction->wanted);
    data_free(&prediction->data);
}

gradc_status gradc_predict(gradc_program *program, const gradc_predict_options *options, const char *path) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Prediction prediction = {.program = program};
    gradc_status status = predict(&prediction, options ? options : &(gradc_predict_options){0}, path);
    free_prediction(&prediction);
    return status;
}
