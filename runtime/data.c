// Data blocks: from files to arrays and to rows that train, in order; and which entries such arrays feed.
#include "runtime/data.h"

#include <string.h>

// ---- loading

bool entry_takes(const Entry *entry, const char *name) {
    for (int i = 0; i < entry->function.argument_count; i++)
        if (strcmp(entry->function.arguments[i]->variable->name, name) == 0) return true;
    return false;
}

// Fields that some entry takes, or that rows are split by; the others are only there to make these.
static bool is_taken(const DataSet *data, const DataField *field, bool whole) {
    const Program *program = data->program->program;
    if (!whole && data->block->stratify && strcmp(data->block->stratify, field->name) == 0) return true;
    for (int i = 0; i < program->entries.count; i++)
        if (entry_takes(program->entries.items[i], field->name)) return true;
    return false;
}

static const bool *find_wanted(const DataSet *data, const DataRequest *request) {
    bool *wanted = arena_array(data->arena, bool, data->block->fields.count), some = false;
    for (int i = 0; i < data->block->fields.count; i++) {
        wanted[i] =
            request->wanted ? request->wanted[i] : is_taken(data, &data->block->fields.items[i], request->whole);
        some = some || wanted[i];
    }
    for (int i = 0; i < data->block->fields.count && !some; i++) wanted[i] = true;
    return wanted;
}

// A mean over all rows is another one in another file, and not that which the net was trained with.
static gradc_status check_foreign(DataSet *data, const bool *wanted) {
    for (int i = 0; i < data->block->fields.count; i++) {
        const DataField *field = &data->block->fields.items[i];
        if (!wanted[i] || !is_of_all_rows(data, field)) continue;
        return fail(data->program, GRADC_DATA,
                    "%s of data %s is made of all rows at once, here of those of %s and not of those that train: write "
                    "the numbers as constants, or normalise in the net (batch_norm)",
                    field->name, data->block->name, data->path);
    }
    return GRADC_OK;
}

static gradc_status load_fields(DataSet *data, const DataRequest *request, const bool *wanted) {
    bool all_kept = true;
    data->fields = arena_array(data->arena, FieldArray, data->block->fields.count);
    for (int i = 0; i < data->block->fields.count; i++) {
        if (!wanted[i]) continue;
        FieldArray *field = &data->fields[data->field_count];
        gradc_status status = field_load(data, &data->block->fields.items[i], field);
        if (status) return status;
        data->field_count++;
        all_kept = all_kept && field->tensor.data;
    }
    if (all_kept) sources_close_arrays(&data->sources);
    bool split = !data->block->stratify || data_field(data, data->block->stratify);
    return split && !request->whole ? split_rows(data) : GRADC_OK;
}

static gradc_status load(DataSet *data, const DataRequest *request) {
    if (setjmp(*arena_recover(data->arena))) return fail_memory(data->program);
    gradc_status status = sources_open(data, request->file);
    if (status) return status;
    const bool *wanted = find_wanted(data, request);
    if (request->foreign) status = check_foreign(data, wanted);
    if (!status) status = feeds_open(data, wanted);
    return status ? status : load_fields(data, request, wanted);
}

gradc_status data_load_request(gradc_program *program, const DataBlock *block, const DataRequest *request,
                               DataSet *data) {
    Arena *arena = arena_create_from(program->allocator);
    *data = (DataSet){.program = program, .block = block, .arena = arena, .path = "", .keep = request->keep};
    if (!data->arena) return fail_memory(program);
    void *locale = plain_locale_begin();
    gradc_status status = load(data, request);
    plain_locale_end(locale);
    return status;
}

gradc_status data_load(gradc_program *program, const DataBlock *block, const char *file, DataSet *data) {
    return data_load_request(program, block, &(DataRequest){.file = file}, data);
}

void data_free(DataSet *data) {
    sources_close(&data->sources);
    if (data->arena) arena_destroy(data->arena);
    *data = (DataSet){0};
}

// Rows that are held out, or train, are asked for of a file that trains; all rows of a file in place of the block's own
// are new to the net.
DataRequest request_for_rows(gradc_rows rows, const char *file, const bool *wanted) {
    bool whole = rows == GRADC_ROWS_ALL || (rows == GRADC_ROWS_USUAL && file);
    return (DataRequest){.file = file, .wanted = wanted, .whole = whole, .foreign = whole && file};
}

// ---- what is loaded

const FieldArray *data_field(const DataSet *data, const char *name) {
    for (int i = 0; i < data->field_count; i++)
        if (strcmp(data->fields[i].field->name, name) == 0) return &data->fields[i];
    return NULL;
}

RowSet data_rows(const DataSet *data, gradc_rows rows, bool other_file) {
    if (rows == GRADC_ROWS_USUAL) rows = other_file ? GRADC_ROWS_ALL : GRADC_ROWS_HELD_OUT;
    if (rows == GRADC_ROWS_HELD_OUT) return (RowSet){data->held, data->held_count};
    if (rows == GRADC_ROWS_TRAINING) return (RowSet){data->training, data->training_count};
    return (RowSet){NULL, data->rows};
}

// ---- blocks

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

static gradc_status check_block(gradc_program *program, const DataBlock *block, const char *file) {
    DataSet data;
    gradc_status status = data_load(program, block, file, &data);
    for (int i = 0; i < program->program->trains.count && !status; i++) {
        const TrainBlock *train = program->program->trains.items[i];
        if (train->data == block) status = data_check_ranges(&data, train->entry);
    }
    data_free(&data);
    return status;
}

gradc_status gradc_check_data(gradc_program *program, const char *name, const char *file) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    if (name && !find_data(program, name)) return GRADC_ARGUMENT;
    gradc_status status = GRADC_OK;
    for (int i = 0; i < program->program->data.count && !status; i++) {
        const DataBlock *block = program->program->data.items[i];
        if (!name || strcmp(name, block->name) == 0) status = check_block(program, block, file);
    }
    return status;
}
