// Parameters, states and optimizers' states: the flat arrays, and their first values.
#include "runtime/internal.h"
#include "evaluate/evaluate.h"

#include <string.h>

size_t parameter_size(const gradc_program *program) {
    return (size_t)program->program->parameter_count * (size_t)dtype_size(program->program->floating);
}

int64_t gradc_parameter_elements(const gradc_program *program) {
    return program->program ? program->program->parameter_count : 0;
}

gradc_dtype gradc_parameter_dtype(const gradc_program *program) {
    return program->program ? public_dtype(program->program->floating) : GRADC_F32;
}

// ---- first values

// What the first values are computed into, so that a failure leaves the old ones.
typedef struct {
    Memory parameters, states;
    Memory optimizers;   // for each train block, each of its optimizers and each state one number, in 8 bytes
} FirstValues;

// Evaluates `node`, which reads nothing but constants and random numbers, into `bytes` at `to`.
static const char *evaluate_node(Arena *arena, const char *name, Node *node, uint64_t seed, char *to) {
    Named named = {name, node};
    Function function = {.name = name, .result_count = 1, .results = &named};
    Environment environment = {.seed = seed};
    Tensor result;
    const char *fault = evaluate_function(arena, &function, NULL, &environment, &result);
    if (fault) return fault;
    size_t bytes = (size_t)dtype_size(result.dtype);
    for (int i = 0; i < result.rank; i++) bytes *= (size_t)result.shape[i];
    if (bytes) memcpy(to, result.data, bytes);
    return NULL;
}

static gradc_status evaluate_all(gradc_program *program, Arena *arena, uint64_t seed, FirstValues *values) {
    if (setjmp(*arena_recover(arena))) return fail_memory(program);
    const Program *elaborated = program->program;
    for (int i = 0; i < elaborated->parameters.count; i++) {
        const Parameter *parameter = elaborated->parameters.items[i];
        char *to = (char *)values->parameters.bytes + parameter->offset * dtype_size(parameter->variable->dtype);
        const char *fault = evaluate_node(arena, parameter->path, parameter->initial, seed, to);
        if (fault) return fail(program, GRADC_INTERNAL, "the first value of %s: %s", parameter->path, fault);
    }
    for (int i = 0; i < elaborated->states.count; i++) {
        const State *state = elaborated->states.items[i];
        char *to = (char *)values->states.bytes + state->offset * dtype_size(state->variable->dtype);
        const char *fault = evaluate_node(arena, state->path, state->initial, seed, to);
        if (fault) return fail(program, GRADC_INTERNAL, "the first value of %s: %s", state->path, fault);
    }
    return GRADC_OK;
}

// An optimizer's states begin as numbers that are the same for all elements.
static gradc_status evaluate_optimizer(gradc_program *program, Arena *arena, const Optimizer *optimizer, char *to) {
    for (int k = 0; k < optimizer->state_count; k++, to += 8) {
        const char *name = optimizer->state_names[k];
        const char *fault = evaluate_node(arena, name, optimizer->state_initial[k], 0, to);
        if (fault) return fail(program, GRADC_INTERNAL, "the first value of %s's %s: %s", optimizer->name, name, fault);
    }
    return GRADC_OK;
}

static gradc_status evaluate_optimizers(gradc_program *program, Arena *arena, FirstValues *values) {
    if (setjmp(*arena_recover(arena))) return fail_memory(program);
    char *to = values->optimizers.bytes;
    for (int i = 0; i < program->program->trains.count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        for (int k = 0; k < block->optimizers.count; k++) {
            gradc_status status = evaluate_optimizer(program, arena, block->optimizers.items[k], to);
            if (status) return status;
            to += 8 * block->state_count;
        }
    }
    return GRADC_OK;
}

static size_t optimizer_bytes(const gradc_program *program) {
    size_t bytes = 0;
    for (int i = 0; i < program->program->trains.count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        bytes += 8 * (size_t)block->optimizers.count * (size_t)block->state_count;
    }
    return bytes;
}

// The states of one trained parameter; the program's parameters have `all` elements.
static void fill_states(const TrainBlock *block, int trained, const char *numbers, size_t all, size_t size,
                        char *states) {
    const Parameter *parameter = block->trained[trained];
    int optimizer = block->optimizer_of[trained];
    for (int k = 0; k < block->optimizers.items[optimizer]->state_count; k++) {
        const char *value = numbers + 8 * (optimizer * block->state_count + k);
        char *to = states + ((size_t)k * all + (size_t)parameter->offset) * size;
        for (int64_t n = 0; n < parameter->count; n++, to += size) memcpy(to, value, size);
    }
}

static void fill_optimizers(gradc_program *program, const FirstValues *values) {
    size_t all = (size_t)program->program->parameter_count, size = (size_t)dtype_size(program->program->floating);
    const char *numbers = values->optimizers.bytes;
    for (int i = 0; i < program->program->trains.count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        for (int k = 0; k < block->trained_count; k++)
            fill_states(block, k, numbers, all, size, program->trains[i].values.bytes);
        numbers += 8 * block->optimizers.count * block->state_count;
        program->trains[i].iteration = 0;
    }
}

static gradc_status initialise_in(gradc_program *program, Arena *arena, uint64_t seed, FirstValues *values) {
    if (!memory_reserve(&values->parameters, program->parameters.size) ||
        !memory_reserve(&values->states, program->states.size) ||
        !memory_reserve(&values->optimizers, optimizer_bytes(program)))
        return fail_memory(program);
    gradc_status status = evaluate_all(program, arena, seed, values);
    if (!status) status = evaluate_optimizers(program, arena, values);
    if (status) return status;
    fill_optimizers(program, values);
    memcpy(program->parameters.bytes, values->parameters.bytes, program->parameters.size);
    memcpy(program->states.bytes, values->states.bytes, program->states.size);
    memset(program->gradients.bytes, 0, program->gradients.size);
    program->seed = seed;
    program->draw_count = 0;
    program->version++;
    program->initialised = true;
    return GRADC_OK;
}

gradc_status gradc_initialise(gradc_program *program, uint64_t seed) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Arena *arena = arena_create_from(program->allocator);
    if (!arena) return fail_memory(program);
    FirstValues values = {memory_of(program), memory_of(program), memory_of(program)};
    gradc_status status = initialise_in(program, arena, seed, &values);
    memory_free(&values.parameters);
    memory_free(&values.states);
    memory_free(&values.optimizers);
    arena_destroy(arena);
    return status;
}

gradc_status ensure_initialised(gradc_program *program) {
    return program->initialised ? GRADC_OK : gradc_initialise(program, 0);
}

// ---- the flat arrays

void *gradc_parameters(gradc_program *program) {
    if (!program->program || ensure_initialised(program)) return NULL;
    return program->parameters.bytes;
}

void *gradc_gradients(gradc_program *program) {
    return program->program ? program->gradients.bytes : NULL;
}

void *gradc_states(gradc_program *program) {
    if (!program->program || ensure_initialised(program)) return NULL;
    return program->states.bytes;
}

void gradc_parameters_changed(gradc_program *program) {
    program->version++;
}

void gradc_zero_grad(gradc_program *program) {
    if (program->gradients.bytes) memset(program->gradients.bytes, 0, program->gradients.size);
}
