// Calls: running an entry forwards and backwards (semantics.md, S12 and S13).
//
// A forward leaves a tape in its call; backward reads it. What was tracked is decided before the forward, so asking for
// a gradient that was not tracked is an error, never zeros.
#include "runtime/call.h"

#include <string.h>

bool is_differentiable(const Entry *entry) {
    const Node *output = entry->function.result_count ? entry->function.results[0].node : NULL;
    return output && output->rank == 0 && dtype_is_float(output->dtype);
}

gradc_status check_differentiable(gradc_program *program, const Entry *entry) {
    if (is_differentiable(entry)) return GRADC_OK;
    return fail(program, GRADC_ARGUMENT,
                "grad can be implicitly created only for scalar outputs: the first output of "
                "%s is not one floating number; write a loss that returns one, such as its "
                "sum",
                entry->name);
}

static void call_free(gradc_program *program, gradc_call *call) {
    for (int i = 0; call->gradients && i < call->binding.input_count; i++) {
        memory_free(&call->gradients[i].sum);
        memory_free(&call->gradients[i].last);
    }
    program_release(program, call->gradients);
    program_release(program, call->gradient_pointers);
    program_release(program, call->tape.prints);
    outputs_free(&call->outputs);
    memory_free(&call->tape.memory);
    slot_free(&call->value);
    slot_free(&call->forward);
    slot_free(&call->backward);
    binding_free(&call->binding);
    program_release(program, call);
}

void gradc_call_free(gradc_call *call) {
    if (call) call_free(call->binding.program, call);
}

gradc_status gradc_call_create(gradc_program *program, const char *name, gradc_call **result) {
    *result = NULL;
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    const Entry *entry = find_entry(program, name);
    if (!entry) return no_entry(program, name);
    gradc_call *call = program_allocate(program, 1, sizeof *call);
    if (!call) return fail_memory(program);
    gradc_status status = binding_create(&call->binding, program, entry);
    call->value = call->forward = call->backward = slot_of(program);
    call->tape.memory = memory_of(program);
    int plain = entry->function.result_count, training = entry->training.result_count;
    if (!status) status = outputs_create(&call->outputs, program, plain > training ? plain : training);
    size_t inputs = (size_t)entry->function.argument_count + 1;
    call->gradients = program_allocate(program, inputs, sizeof *call->gradients);
    call->gradient_pointers = program_allocate(program, inputs, sizeof *call->gradient_pointers);
    if (program->verify) call->tape.prints = program_allocate(program, 2 * inputs, sizeof *call->tape.prints);
    if (!status && (!call->gradients || !call->gradient_pointers || (program->verify && !call->tape.prints)))
        status = fail_memory(program);
    if (status) {
        call_free(program, call);
        return status;
    }
    for (int i = 0; i < call->binding.input_count; i++)
        call->gradients[i] = (InputGradient){.sum = memory_of(program), .last = memory_of(program)};
    *result = call;
    return GRADC_OK;
}

int gradc_call_input(const gradc_call *call, const char *name) {
    return binding_input(&call->binding, name);
}

gradc_status gradc_call_bind(gradc_call *call, int input, const gradc_tensor *array) {
    return binding_bind(&call->binding, input, array);
}

gradc_status gradc_call_set_dim(gradc_call *call, const char *dim, int64_t value) {
    return binding_set_dim(&call->binding, dim, value);
}

void gradc_call_set_training(gradc_call *call, bool training) {
    call->training = training;
}

gradc_status gradc_call_requires_grad(gradc_call *call, int input, bool requires_grad) {
    gradc_program *program = call->binding.program;
    const Entry *entry = call->binding.entry;
    gradc_status status = binding_check_number(&call->binding, input);
    if (status) return status;
    const Node *node = entry->function.arguments[input];
    if (requires_grad && !dtype_is_float(node->dtype))
        return fail(program, GRADC_ARGUMENT, "only floating inputs can require grad, and '%s' of %s is %s",
                    node->variable->name, entry->name, dtype_name(node->dtype));
    if (requires_grad && input >= 64)
        return fail(program, GRADC_ARGUMENT, "only the first 64 inputs of %s can require grad", entry->name);
    uint64_t bit = (uint64_t)1 << (input & 63);
    if (input < 64) call->requested = requires_grad ? call->requested | bit : call->requested & ~bit;
    return GRADC_OK;
}

// ---- forward

gradc_frame call_frame(gradc_call *call) {
    gradc_program *program = call->binding.program;
    return (gradc_frame){.parameters = program->parameters.bytes,
                         .gradients = program->gradients.bytes,
                         .state = program->states.bytes,
                         .outputs = call->outputs.pointers,
                         .tape = call->tape.memory.bytes,
                         .hyperparameters = entry_progress(program, call->binding.entry),
                         .draw_count = program->draw_count};
}

static gradc_status prepare_tape(gradc_call *call, const CompiledFunction *function) {
    if (call->tape.generation == call->binding.generation) return GRADC_OK;
    bool overflow = false;
    int64_t bytes = extent_evaluate(function->tape_bytes, call->binding.dims, &overflow);
    if (overflow || bytes < 0 || !memory_reserve(&call->tape.memory, (size_t)bytes))
        return fail_memory(call->binding.program);
    return GRADC_OK;
}

gradc_status call_prepare(gradc_call *call, Slot *slot, FunctionKey key) {
    const Function *function = key.training ? &key.entry->training : &key.entry->function;
    gradc_status status = ensure_initialised(call->binding.program);
    if (!status) status = binding_resolve(&call->binding, -1);
    if (!status) status = binding_check_ranges(&call->binding);
    if (!status) status = check_progress(call->binding.program, key.entry);
    if (!status) status = slot_prepare(slot, &call->binding, key);
    if (!status) status = outputs_prepare(&call->outputs, &call->binding, function->results, function->result_count);
    if (!status && key.kind == KIND_FORWARD) status = prepare_tape(call, slot->runner.function);
    return status;
}

static gradc_status run(gradc_call *call, Slot *slot, FunctionKey key) {
    gradc_program *program = call->binding.program;
    call->tape.state = TAPE_NONE;
    call->ran = false;
    gradc_status status = call_prepare(call, slot, key);
    if (status) return status;
    gradc_frame frame = call_frame(call);
    status = runner_run(&slot->runner, &call->binding, &frame);
    if (!status) program->draw_count++;
    call->ran = status == GRADC_OK;
    call->ran_training = key.training;
    return status;
}

gradc_status gradc_call_value(gradc_call *call) {
    FunctionKey key = {.kind = KIND_VALUE, .entry = call->binding.entry, .training = call->training};
    gradc_status status = run(call, &call->value, key);
    if (!status) call->tape.state = TAPE_NO_GRAD;
    return status;
}

FunctionKey forward_key(const gradc_call *call) {
    const Entry *entry = call->binding.entry;
    const Reached *reached = &call->binding.facts->reached[call->training];
    uint64_t inputs = call->requested & reached->inputs;
    bool tracked = is_differentiable(entry) && (reached->parameters || inputs);
    FunctionKey key = {.kind = tracked ? KIND_FORWARD : KIND_VALUE, .entry = entry, .training = call->training};
    if (tracked) key.tracked_inputs = inputs;
    return key;
}

gradc_status gradc_call_forward(gradc_call *call) {
    FunctionKey key = forward_key(call);
    bool tracked = key.kind == KIND_FORWARD;
    Tape *tape = &call->tape;
    if (tape->tracked != key.tracked_inputs || tape->training != call->training) tape->generation = 0;
    uint64_t draw_count = call->binding.program->draw_count;
    gradc_status status = run(call, tracked ? &call->forward : &call->value, key);
    if (status) return status;
    tape->state = tracked ? TAPE_KEPT : TAPE_UNTRACKED;
    tape->generation = tracked ? call->binding.generation : 0;
    tape->version = call->binding.program->version;
    tape->changes = call->binding.changes;
    tape->draw_count = draw_count;
    tape->tracked = key.tracked_inputs;
    tape->unreached = call->requested & ~call->binding.facts->reached[call->training].inputs;
    tape->training = call->training;
    if (tracked && tape->prints) take_prints(call, tape->prints);
    return GRADC_OK;
}

gradc_status gradc_call_output(gradc_call *call, int index, gradc_tensor *output) {
    gradc_program *program = call->binding.program;
    int count = call->binding.entry->function.result_count;
    if (index < 0 || index >= count)
        return fail(program, GRADC_ARGUMENT, "%s has %d output%s: there is no output number %d",
                    call->binding.entry->name, count, count == 1 ? "" : "s", index);
    if (!call->ran) return fail(program, GRADC_ORDER, "%s has not been run", call->binding.entry->name);
    *output = call->outputs.tensors[index];
    return GRADC_OK;
}

gradc_status gradc_call_store_states(gradc_call *call) {
    gradc_program *program = call->binding.program;
    const Entry *entry = call->binding.entry;
    if (!call->ran || !call->ran_training)
        return fail(program, GRADC_ORDER, "states are computed by a run of %s in training mode, and there was none",
                    entry->name);
    for (int i = 0; i < entry->updates.count; i++) {
        const State *state = entry->updates.items[i].state;
        const gradc_tensor *value = &call->outputs.tensors[entry->function.result_count + i];
        size_t size = gradc_dtype_size(value->dtype);
        if (state->count)
            memcpy((char *)program->states.bytes + (size_t)state->offset * size, value->data,
                   (size_t)state->count * size);
    }
    if (entry->updates.count) program->version++;
    return GRADC_OK;
}
