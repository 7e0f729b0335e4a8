// Compiling before the first run, and compiled functions handed out with their frames.
#include "runtime/call.h"

static gradc_status fail_kind(gradc_program *program, const char *handle, const char *kinds) {
    return fail(program, GRADC_ARGUMENT, "a %s has functions of the kinds %s", handle, kinds);
}

// What a run of that kind would call, and from which slot. For FORWARD that is a value's where nothing is tracked.
static gradc_status choose(gradc_call *call, gradc_kind kind, Slot **slot, FunctionKey *key) {
    gradc_program *program = call->binding.program;
    *key = forward_key(call);
    bool tracked = key->kind == KIND_FORWARD;
    switch (kind) {
    case GRADC_KIND_VALUE:
        *key = (FunctionKey){.kind = KIND_VALUE, .entry = call->binding.entry, .training = call->training};
        *slot = &call->value;
        return GRADC_OK;
    case GRADC_KIND_FORWARD: *slot = tracked ? &call->forward : &call->value; return GRADC_OK;
    case GRADC_KIND_BACKWARD: {
        gradc_status status = check_differentiable(program, call->binding.entry);
        if (status) return status;
        if (!tracked) return fail_untracked(call, call->requested);
        key->kind = KIND_BACKWARD;
        *slot = &call->backward;
        return GRADC_OK;
    }
    default: return fail_kind(program, "call", "value, forward and backward");
    }
}

// Where the sizes are known the code for them is chosen, too: large runs have one for several threads.
static gradc_status compile(Slot *slot, Binding *binding, int64_t fallback, FunctionKey key) {
    gradc_status status = slot_compile(slot, binding->program, key);
    for (int i = 0; i < binding->input_count; i++)
        if (!binding->bound[i]) return status;
    if (!status) status = binding_resolve(binding, fallback);
    return status ? status : slot_prepare(slot, binding, key);
}

gradc_status gradc_call_compile(gradc_call *call, gradc_kind kind) {
    Slot *slot;
    FunctionKey key;
    gradc_status status = choose(call, kind, &slot, &key);
    return status ? status : compile(slot, &call->binding, -1, key);
}

gradc_status gradc_trainer_compile(gradc_trainer *trainer, gradc_kind kind) {
    gradc_program *program = trainer->binding.program;
    if (kind != GRADC_KIND_STEP && kind != GRADC_KIND_UPDATE) return fail_kind(program, "trainer", "step and update");
    bool step = kind == GRADC_KIND_STEP;
    FunctionKey key = {.kind = step ? KIND_STEP : KIND_UPDATE, .train = block_of(trainer)};
    return step ? compile(&trainer->step, &trainer->binding, trainer->batch, key)
                : slot_compile(&trainer->update, program, key);
}

// ---- functions with frames

// A backward reads the tape and the outputs' arrays of the forward before it: both are made ready.
static gradc_status prepare_backward(gradc_call *call, FunctionKey key) {
    FunctionKey forward = key;
    forward.kind = KIND_FORWARD;
    gradc_status status = call_prepare(call, &call->forward, forward);
    if (!status) status = slot_prepare(&call->backward, &call->binding, key);
    return status ? status : prepare_gradients(call, key.tracked_inputs);
}

gradc_status gradc_call_function(gradc_call *call, gradc_kind kind, gradc_function **function, gradc_frame *frame) {
    Slot *slot;
    FunctionKey key;
    gradc_status status = choose(call, kind, &slot, &key);
    if (status) return status;
    // The arrays that a frame points to are those of the call: what it kept of its last run may be overwritten.
    call->tape.state = TAPE_NONE;
    call->tape.generation = 0;
    status = kind == GRADC_KIND_BACKWARD ? prepare_backward(call, key) : call_prepare(call, slot, key);
    if (status) return status;
    *frame = call_frame(call);
    if (kind == GRADC_KIND_BACKWARD) frame->outputs = call->gradient_pointers;
    runner_complete(&slot->runner, &call->binding, frame);
    *function = slot->runner.function->call;
    return GRADC_OK;
}

gradc_status gradc_trainer_function(gradc_trainer *trainer, gradc_kind kind, gradc_function **function,
                                    gradc_frame *frame) {
    if (kind != GRADC_KIND_STEP && kind != GRADC_KIND_UPDATE)
        return fail_kind(trainer->binding.program, "trainer", "step and update");
    bool step = kind == GRADC_KIND_STEP;
    gradc_status status = step ? check_batches(trainer) : trainer_prepare_update(trainer);
    if (!status && step) status = trainer_prepare(trainer);
    if (status) return status;
    const Runner *runner = step ? &trainer->step.runner : &trainer->update.runner;
    *frame = trainer_frame(trainer);
    runner_complete(runner, &trainer->binding, frame);
    *function = runner->function->call;
    return GRADC_OK;
}

void gradc_trainer_advance(gradc_trainer *trainer, int64_t steps) {
    gradc_program *program = trainer->binding.program;
    TrainState *train = &program->trains[trainer->index];
    train->iteration += steps;
    train->hyperparameters[0] = (double)train->iteration;
    program->draw_count += (uint64_t)steps;
    program->version++;
}
