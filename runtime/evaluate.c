// Evaluation: losses and metrics over rows of a data file, with the parameters as they are.
#include "runtime/fit.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    gradc_program *program;
    const gradc_evaluate_options *options;
    const DataBlock *block;
    DataSet data;
    RowSet rows;
    bool *wanted;                 // by number of the block's field
    gradc_metric_value *values;   // room for one of each entry
    int count;
} Evaluating;

static bool is_measured(const Evaluating *evaluating, const Entry *entry) {
    if (evaluating->options->entry && strcmp(evaluating->options->entry, entry->name) != 0) return false;
    return (entry->kind == ENTRY_LOSS || entry->kind == ENTRY_METRIC) && data_feeds(evaluating->block, entry);
}

static gradc_status measure(Evaluating *evaluating, const Entry *entry) {
    gradc_program *program = evaluating->program;
    gradc_call *call = NULL;
    Batch batch = {0};
    double value = 0;
    gradc_status status = data_check_ranges(&evaluating->data, entry);
    if (!status) status = batch_create(&batch, program, &evaluating->data, entry);
    if (!status) status = gradc_call_create(program, entry->name, &call);
    if (!status) status = mean_over_rows(call, &batch, &evaluating->rows, &value);
    gradc_call_free(call);
    if (batch.entry) batch_free(&batch);
    if (!status) evaluating->values[evaluating->count++] = (gradc_metric_value){entry->name, value};
    return status;
}

// The entry that the options name must be there, and be one that the data feeds: looked at before the file is read.
static gradc_status check_entry(gradc_program *program, const char *name, const DataBlock *block) {
    const Entry *entry = name ? find_entry(program, name) : NULL;
    if (!name) return GRADC_OK;
    if (!entry || (entry->kind != ENTRY_LOSS && entry->kind != ENTRY_METRIC))
        return entry ? fail(program, GRADC_ARGUMENT, "the program has no loss or metric '%s'", name)
                     : no_entry(program, name);
    if (data_feeds(block, entry)) return GRADC_OK;
    return fail(program, GRADC_ARGUMENT, "data %s does not give the inputs that %s takes", block->name, name);
}

// Reads what the measured entries take, and what rows are split by.
static gradc_status load(Evaluating *evaluating) {
    gradc_program *program = evaluating->program;
    const gradc_evaluate_options *options = evaluating->options;
    const DataBlock *block = evaluating->block;
    bool some = false;
    evaluating->wanted = program_allocate(program, (size_t)block->fields.count, sizeof *evaluating->wanted);
    if (!evaluating->wanted) return fail_memory(program);
    DataRequest request = request_for_rows(options->rows, options->file, evaluating->wanted);
    for (int i = 0; i < block->fields.count; i++) {
        const char *name = block->fields.items[i].name;
        evaluating->wanted[i] = !request.whole && block->stratify && strcmp(block->stratify, name) == 0;
        for (int k = 0; k < program->program->entries.count; k++) {
            const Entry *entry = program->program->entries.items[k];
            if (!is_measured(evaluating, entry)) continue;
            some = true;
            evaluating->wanted[i] = evaluating->wanted[i] || entry_takes(entry, name);
        }
    }
    if (!some)
        return fail(program, GRADC_ARGUMENT, "no loss or metric can be computed from what data %s gives", block->name);
    return data_load_request(program, block, &request, &evaluating->data);
}

static gradc_status evaluate_all(Evaluating *evaluating) {
    gradc_program *program = evaluating->program;
    const Program *elaborated = program->program;
    const gradc_evaluate_options *options = evaluating->options;
    evaluating->block = find_data(program, options->data);
    if (!evaluating->block) return GRADC_ARGUMENT;
    gradc_status status = check_entry(program, options->entry, evaluating->block);
    if (!status) status = ensure_initialised(program);
    if (!status) status = load(evaluating);
    if (status) return status;
    if (!memory_reserve(&program->evaluated, (size_t)elaborated->entries.count * sizeof *evaluating->values))
        return fail_memory(program);
    evaluating->values = program->evaluated.bytes;
    evaluating->rows = data_rows(&evaluating->data, options->rows, options->file != NULL);
    for (EntryKind kind = ENTRY_LOSS; kind <= ENTRY_METRIC; kind++)
        for (int i = 0; i < elaborated->entries.count && !status; i++) {
            const Entry *entry = elaborated->entries.items[i];
            if (entry->kind == kind && is_measured(evaluating, entry)) status = measure(evaluating, entry);
        }
    return status;
}

gradc_status gradc_evaluate(gradc_program *program, const gradc_evaluate_options *options,
                            gradc_evaluation *evaluation) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Evaluating evaluating = {.program = program, .options = options ? options : &(gradc_evaluate_options){0}};
    gradc_status status = evaluate_all(&evaluating);
    if (!status)
        *evaluation =
            (gradc_evaluation){evaluating.block->name, evaluating.rows.count, evaluating.count, evaluating.values};
    data_free(&evaluating.data);
    program_release(program, evaluating.wanted);
    return status;
}
