// Slots: a compiled function ready to run, and arrays for its results.
#include "runtime/call.h"

Slot slot_of(const gradc_program *program) {
    return (Slot){.runner.scratch = memory_of(program)};
}

gradc_status slot_compile(Slot *slot, gradc_program *program, FunctionKey key) {
    const FunctionKey *old = &slot->key;
    if (slot->compiled && old->kind == key.kind && old->training == key.training &&
        old->tracked_inputs == key.tracked_inputs)
        return GRADC_OK;
    const CompiledFunction *function = program_function(program, key);
    if (!function) return fail_compiler(program);
    slot->compiled = true;
    slot->key = key;
    slot->runner.function = function;
    slot->runner.generation = 0;
    return GRADC_OK;
}

gradc_status slot_prepare(Slot *slot, Binding *binding, FunctionKey key) {
    gradc_status status = slot_compile(slot, binding->program, key);
    return status ? status : runner_prepare(&slot->runner, binding);
}

void slot_free(Slot *slot) {
    memory_free(&slot->runner.scratch);
}

gradc_status outputs_create(Outputs *outputs, gradc_program *program, int capacity) {
    size_t size = (size_t)capacity + 1;
    *outputs = (Outputs){.program = program, .capacity = capacity};
    outputs->tensors = program_allocate(program, size, sizeof *outputs->tensors);
    outputs->memories = program_allocate(program, size, sizeof *outputs->memories);
    outputs->pointers = program_allocate(program, size, sizeof *outputs->pointers);
    if (!outputs->tensors || !outputs->memories || !outputs->pointers) return fail_memory(program);
    for (int i = 0; i < capacity; i++) outputs->memories[i] = memory_of(program);
    return GRADC_OK;
}

gradc_status outputs_prepare(Outputs *outputs, Binding *binding, const Named *results, int count) {
    if (outputs->generation == binding->generation && outputs->results == results) return GRADC_OK;
    outputs->generation = 0;
    outputs->count = count;
    outputs->results = results;
    for (int i = 0; i < count; i++) {
        gradc_status status = binding_shape(binding, results[i].node, &outputs->tensors[i]);
        if (status) return status;
        if (!memory_reserve(&outputs->memories[i], (size_t)array_bytes(&outputs->tensors[i])))
            return fail_memory(binding->program);
        outputs->tensors[i].data = outputs->pointers[i] = outputs->memories[i].bytes;
    }
    outputs->generation = binding->generation;
    return GRADC_OK;
}

void outputs_free(Outputs *outputs) {
    if (!outputs->program) return;
    for (int i = 0; outputs->memories && i < outputs->capacity; i++) memory_free(&outputs->memories[i]);
    program_release(outputs->program, outputs->tensors);
    program_release(outputs->program, outputs->memories);
    program_release(outputs->program, outputs->pointers);
}
