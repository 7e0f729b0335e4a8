// Programs: compiling a text, and telling what is in it.
#include "runtime/internal.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gradc_version(void) {
    return GRADC_VERSION;
}

// ---- creation

static gradc_program *create_empty(void) {
    gradc_program *program = calloc(1, sizeof *program);
    if (!program) return NULL;
    program->message = strdup("");
    if (program->message) return program;
    gradc_program_free(program);
    return NULL;
}

// The flat arrays have one dtype each: programs that mix them are refused here.
static gradc_status check_dtypes(gradc_program *program) {
    Program *elaborated = program->program;
    for (int i = 0; i < elaborated->parameters.count; i++) {
        const Parameter *parameter = elaborated->parameters.items[i];
        if (parameter->variable->dtype != elaborated->floating)
            return fail(program, GRADC_PROGRAM,
                        "parameter %s is %s: all parameters must have the program's `float`, %s", parameter->path,
                        dtype_name(parameter->variable->dtype), dtype_name(elaborated->floating));
    }
    for (int i = 1; i < elaborated->states.count; i++) {
        const State *state = elaborated->states.items[i], *first = elaborated->states.items[0];
        if (state->variable->dtype != first->variable->dtype)
            return fail(program, GRADC_PROGRAM, "state %s is %s and state %s is %s: all states must have one dtype",
                        state->path, dtype_name(state->variable->dtype), first->path,
                        dtype_name(first->variable->dtype));
    }
    return GRADC_OK;
}

static gradc_status create_train_states(gradc_program *program) {
    int count = program->program->trains.count;
    program->trains = calloc((size_t)(count ? count : 1), sizeof *program->trains);
    if (!program->trains) return fail_memory(program);
    for (int i = 0; i < count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        TrainState *train = &program->trains[i];
        train->hyperparameter_count = block->hyperparameters.count;
        train->hyperparameters = calloc((size_t)train->hyperparameter_count + 1, sizeof(double));
        size_t bytes = (size_t)block->state_count * parameter_size(program);
        if (!train->hyperparameters || !memory_reserve(&train->values, bytes)) return fail_memory(program);
        for (int k = 0; k < block->hyperparameters.count; k++)
            train->hyperparameters[k] = block->hyperparameters.items[k].constant;
    }
    return GRADC_OK;
}

static gradc_status create_arrays(gradc_program *program) {
    gradc_status status = check_dtypes(program);
    if (!status) status = find_facts(program);
    if (status) return status;
    size_t states = 0;
    for (int i = 0; i < program->program->states.count; i++) {
        const State *state = program->program->states.items[i];
        states += (size_t)state->count * (size_t)dtype_size(state->variable->dtype);
    }
    if (!memory_reserve(&program->parameters, parameter_size(program)) ||
        !memory_reserve(&program->gradients, parameter_size(program)) || !memory_reserve(&program->states, states))
        return fail_memory(program);
    return create_train_states(program);
}

// ReadSource: a file that the program imports.
static const char *read_import(Arena *arena, const char *path, size_t *length, const char **problem) {
    char *text = read_whole_file(path, length);
    if (!text) {
        *problem = strerror(errno);
        return NULL;
    }
    const char *copy = arena_copy_text(arena, text, *length);
    free(text);
    return copy;
}

static gradc_status compile(gradc_program *program, const char *name, const char *text, size_t length,
                            const gradc_options *options) {
    CompileOptions chosen = {.floating = DTYPE_F32, .read = read_import};
    if (options) {
        if (options->floating != GRADC_F32 && options->floating != GRADC_F64)
            return fail(program, GRADC_ARGUMENT, "`float` can be f32 or f64, not %s",
                        gradc_dtype_name(options->floating));
        int bytes = options->vector_bytes;
        if (bytes && bytes != 16 && bytes != 32 && bytes != 64)
            return fail(program, GRADC_ARGUMENT, "vectors can have 16, 32 or 64 bytes, not %d", bytes);
        chosen = (CompileOptions){.floating = options->floating == GRADC_F64 ? DTYPE_F64 : DTYPE_F32,
                                  .vector_bytes = bytes,
                                  .verify = options->verify,
                                  .read = read_import};
    }
    program->compilation = compilation_create(name, text, length, &chosen);
    if (!program->compilation) return fail_memory(program);
    program->program = compilation_program(program->compilation);
    if (!program->program) return fail_compiler(program);
    gradc_status status = create_arrays(program);
    if (status) program->program = NULL;
    return status;
}

gradc_status gradc_compile_text(const char *name, const char *text, size_t length, const gradc_options *options,
                                gradc_program **program) {
    *program = create_empty();
    return *program ? compile(*program, name, text, length, options) : GRADC_MEMORY;
}

gradc_status gradc_compile_file(const char *path, const gradc_options *options, gradc_program **program) {
    *program = create_empty();
    if (!*program) return GRADC_MEMORY;
    size_t length;
    char *text = read_whole_file(path, &length);
    if (!text) return fail(*program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
    gradc_status status = compile(*program, path, text, length, options);
    free(text);
    return status;
}

void gradc_program_free(gradc_program *program) {
    if (!program) return;
    // create_train_states may have stopped early, and a program with errors has no list: count what was made.
    Program *elaborated = program->compilation ? compilation_program(program->compilation) : NULL;
    for (int i = 0; elaborated && program->trains && i < elaborated->trains.count; i++) {
        memory_free(&program->trains[i].values);
        free(program->trains[i].hyperparameters);
    }
    free(program->trains);
    memory_free(&program->parameters);
    memory_free(&program->gradients);
    memory_free(&program->states);
    memory_free(&program->returned);
    memory_free(&program->evaluated);
    compilation_destroy(program->compilation);
    free(program->message);
    free(program);
}

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

// ---- what is in it

const Entry *find_entry(const gradc_program *program, const char *name) {
    for (int i = 0; program->program && i < program->program->entries.count; i++)
        if (strcmp(program->program->entries.items[i]->name, name) == 0) return program->program->entries.items[i];
    return NULL;
}

int find_train(const gradc_program *program, const char *loss) {
    for (int i = 0; program->program && i < program->program->trains.count; i++)
        if (strcmp(program->program->trains.items[i]->loss, loss) == 0) return i;
    return -1;
}

// How well a name fits: "*.b:lr" is that of the optimizer for "*.b"; a plain "lr" that of the one for all parameters,
// else the first one's. 0: not at all.
static int name_rank(const Hyperparameter *hyperparameter, const char *name) {
    if (strcmp(hyperparameter->name, name) == 0) return hyperparameter->pattern_count ? 1 : 2;
    for (int i = 0; i < hyperparameter->pattern_count; i++) {
        size_t length = strlen(hyperparameter->patterns[i]);
        if (strncmp(name, hyperparameter->patterns[i], length) == 0 && name[length] == ':' &&
            strcmp(name + length + 1, hyperparameter->name) == 0)
            return 3;
    }
    return 0;
}

double *find_hyperparameter(gradc_program *program, int train, const char *name) {
    const TrainBlock *block = program->program->trains.items[train];
    int best = 0, best_rank = 0;
    for (int i = 1; i < block->hyperparameters.count; i++) {
        int rank = name_rank(&block->hyperparameters.items[i], name);
        if (rank > best_rank) best = i;
        if (rank > best_rank) best_rank = rank;
    }
    return best ? &program->trains[train].hyperparameters[best] : NULL;
}

bool gradc_entry(const gradc_program *program, int index, gradc_entry_info *info) {
    static const gradc_entry_kind kinds[] = {[ENTRY_LOSS] = GRADC_LOSS,
                                             [ENTRY_METRIC] = GRADC_METRIC,
                                             [ENTRY_NET] = GRADC_NET,
                                             [ENTRY_FUNCTION] = GRADC_FUNCTION};
    if (!program->program || index < 0 || index >= program->program->entries.count) return false;
    const Entry *entry = program->program->entries.items[index];
    *info = (gradc_entry_info){kinds[entry->kind], entry->name, entry->documentation, entry->function.argument_count,
                               entry->function.result_count};
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
