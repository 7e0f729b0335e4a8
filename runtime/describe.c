// What a program tells of itself: the compiler's messages, its entries, parameters, states, train and data blocks.
#include "runtime/internal.h"

// ---- messages of the compiler

const char *gradc_diagnostics(const gradc_program *program, bool colour) {
    if (!program || !program->compilation) return "";
    const char *text = compilation_messages(program->compilation, colour);
    return text ? text : "";
}

int gradc_error_count(const gradc_program *program) {
    if (!program || !program->compilation) return 0;
    return diagnostics_errors(compilation_diagnostics(program->compilation));
}

int gradc_warning_count(const gradc_program *program) {
    if (!program || !program->compilation) return 0;
    return diagnostics_warnings(compilation_diagnostics(program->compilation));
}

static void describe_message(const MessageView *view, gradc_diagnostic_info *info) {
    *info = (gradc_diagnostic_info){view->id,       view->is_error,   view->path, view->line, view->column,
                                    view->end_line, view->end_column, view->text, view->help, view->note_count};
}

bool gradc_diagnostic(const gradc_program *program, int index, gradc_diagnostic_info *info) {
    MessageView view;
    if (!program || !program->compilation) return false;
    if (!diagnostics_message(compilation_diagnostics(program->compilation), index, &view)) return false;
    describe_message(&view, info);
    return true;
}

bool gradc_diagnostic_note(const gradc_program *program, int index, int note, gradc_diagnostic_info *info) {
    MessageView view;
    if (!program || !program->compilation) return false;
    if (!diagnostics_note(compilation_diagnostics(program->compilation), index, note, &view)) return false;
    describe_message(&view, info);
    return true;
}

void tell_diagnostics(gradc_program *program) {
    gradc_diagnostic_info info;
    for (; program->diagnose && gradc_diagnostic(program, program->told, &info); program->told++)
        program->diagnose(program->diagnose_context, &info);
}

const CompiledFunction *program_function(gradc_program *program, FunctionKey key) {
    const CompiledFunction *function = compile_function(program->compilation, key);
    tell_diagnostics(program);
    return function;
}

// ---- what is in it

bool gradc_entry(const gradc_program *program, int index, gradc_entry_info *info) {
    static const gradc_entry_kind kinds[] = {[ENTRY_LOSS] = GRADC_LOSS,
                                             [ENTRY_METRIC] = GRADC_METRIC,
                                             [ENTRY_NET] = GRADC_NET,
                                             [ENTRY_FUNCTION] = GRADC_FUNCTION};
    if (!program->program || index < 0 || index >= program->program->entries.count) return false;
    const Entry *entry = program->program->entries.items[index];
    *info = (gradc_entry_info){.kind = kinds[entry->kind],
                               .name = entry->name,
                               .documentation = entry->documentation,
                               .input_count = entry->function.argument_count,
                               .output_count = entry->function.result_count,
                               .report_count = entry->reports.count};
    return true;
}

static void describe_shape(const Node *node, int64_t shape[GRADC_MAX_RANK]) {
    for (int i = 0; i < node->rank; i++)
        if (!extent_is_constant(node->shape[i], &shape[i])) shape[i] = -1;
}

static bool describe(const Node *node, const char *name, const char *type, gradc_tensor_info *info) {
    *info = (gradc_tensor_info){.name = name, .dtype = public_dtype(node->dtype), .rank = node->rank, .type = type};
    describe_shape(node, info->shape);
    info->requires_grad = node->op == OP_variable && node->variable->requires_grad;
    return true;
}

bool gradc_entry_input(const gradc_program *program, int entry, int index, gradc_tensor_info *info) {
    if (!program->program || entry < 0 || entry >= program->program->entries.count) return false;
    const Function *function = &program->program->entries.items[entry]->function;
    if (index < 0 || index >= function->argument_count) return false;
    return describe(function->arguments[index], function->arguments[index]->variable->name,
                    program->facts[entry].input_types[index], info);
}

bool gradc_entry_output(const gradc_program *program, int entry, int index, gradc_tensor_info *info) {
    if (!program->program || entry < 0 || entry >= program->program->entries.count) return false;
    const Function *function = &program->program->entries.items[entry]->function;
    if (index < 0 || index >= function->result_count) return false;
    return describe(function->results[index].node, function->results[index].name,
                    program->facts[entry].output_types[index], info);
}

bool gradc_entry_condition(const gradc_program *program, int entry, int index, gradc_condition_info *info) {
    if (!program->program || entry < 0 || entry >= program->program->entries.count) return false;
    const Entry *described = program->program->entries.items[entry];
    if (index < 0 || index >= described->checks.count) return false;
    *info = (gradc_condition_info){program->facts[entry].conditions[index], described->checks.items[index].message};
    return true;
}

bool gradc_parameter(const gradc_program *program, int index, gradc_parameter_info *info) {
    if (!program->program || index < 0 || index >= program->program->parameters.count) return false;
    const Parameter *parameter = program->program->parameters.items[index];
    *info = (gradc_parameter_info){.path = parameter->path,
                                   .documentation = parameter->documentation,
                                   .dtype = public_dtype(parameter->variable->dtype),
                                   .rank = parameter->variable->rank,
                                   .offset = parameter->offset,
                                   .count = parameter->count,
                                   .frozen = parameter->frozen};
    describe_shape(parameter->variable, info->shape);
    return true;
}

const char *gradc_entry_dim(const gradc_program *program, int entry, int index, int *input) {
    if (!program->program || entry < 0 || entry >= program->program->entries.count || index < 0) return NULL;
    const EntryFacts *facts = &program->facts[entry];
    for (int i = 0; i < program->program->dims.count; i++) {
        if (!facts->used_dims[i] || index-- > 0) continue;
        if (input) *input = facts->said_by[i];
        return program->program->dims.items[i];
    }
    return NULL;
}

bool gradc_state(const gradc_program *program, int index, gradc_state_info *info) {
    if (!program->program || index < 0 || index >= program->program->states.count) return false;
    const State *state = program->program->states.items[index];
    *info = (gradc_state_info){.path = state->path,
                               .dtype = public_dtype(state->variable->dtype),
                               .rank = state->variable->rank,
                               .offset = state->offset,
                               .count = state->count};
    describe_shape(state->variable, info->shape);
    return true;
}

// Slots 0 and 1, `iteration` and `iterations`, are counted by training itself.
bool gradc_hyperparameter(const gradc_program *program, int train, int index, gradc_hyperparameter_info *info) {
    enum { FIRST = 2 };
    if (!program->program || train < 0 || train >= program->program->trains.count) return false;
    const TrainBlock *block = program->program->trains.items[train];
    if (index < 0 || index >= block->hyperparameters.count - FIRST) return false;
    *info = (gradc_hyperparameter_info){program->train_facts[train].hyperparameters[FIRST + index],
                                        block->hyperparameters.items[FIRST + index].constant};
    return true;
}

int gradc_trained_parameter(const gradc_program *program, int train, int index) {
    if (!program->program || train < 0 || train >= program->program->trains.count) return -1;
    const TrainBlock *block = program->program->trains.items[train];
    if (index < 0 || index >= block->trained_count) return -1;
    int number = 0;
    while (program->program->parameters.items[number] != block->trained[index]) number++;
    return number;
}

bool gradc_train_block(const gradc_program *program, int index, gradc_train_info *info) {
    if (!program->program || index < 0 || index >= program->program->trains.count) return false;
    const TrainBlock *train = program->program->trains.items[index];
    bool has_inputs = train->entry->function.argument_count > 0;
    *info = (gradc_train_info){train->loss,
                               train->data ? train->data->name : NULL,
                               train->optimizer_words,
                               train->batch,
                               train->epochs,
                               train->repeat,
                               train->data || has_inputs ? 0 : train->steps,
                               has_inputs,
                               train->seed};
    return true;
}

bool gradc_data_block(const gradc_program *program, int index, gradc_data_info *info) {
    if (!program->program || index < 0 || index >= program->program->data.count) return false;
    const DataBlock *data = program->program->data.items[index];
    *info = (gradc_data_info){data->name, data->file, data->fields.count, data->split, data->files.count};
    return true;
}

const char *gradc_data_file(const gradc_program *program, int data, int index) {
    if (!program->program || data < 0 || data >= program->program->data.count) return NULL;
    const DataBlock *block = program->program->data.items[data];
    return index >= 0 && index < block->files.count ? block->files.items[index] : NULL;
}

const char *gradc_data_field(const gradc_program *program, int data, int index) {
    if (!program->program || data < 0 || data >= program->program->data.count) return NULL;
    const DataBlock *block = program->program->data.items[data];
    return index >= 0 && index < block->fields.count ? block->fields.items[index].name : NULL;
}
