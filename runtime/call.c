// Calls: running an entry forwards and backwards (semantics.md, S12 and S13).
//
// A forward leaves a tape in its call; backward reads it. What was tracked is decided before the forward, so asking for
// a gradient that was not tracked is an error, never zeros.
#include "runtime/call.h"

#include <stdlib.h>
#include <string.h>

// ---- functions and their results

gradc_status slot_prepare(Slot *slot, Binding *binding, FunctionKey key) {
    const FunctionKey *old = &slot->key;
    bool same = slot->compiled && old->kind == key.kind && old->training == key.training &&
                old->tracked_inputs == key.tracked_inputs;
    if (!same) {
        const CompiledFunction *function = compile_function(binding->program->compilation, key);
        if (!function) return fail_compiler(binding->program);
        slot->compiled = true;
        slot->key = key;
        slot->runner.function = function;
        slot->runner.generation = 0;
    }
    return runner_prepare(&slot->runner, binding);
}

void slot_free(Slot *slot) {
    memory_free(&slot->runner.scratch);
}

gradc_status outputs_create(Outputs *outputs, gradc_program *program, int capacity) {
    size_t size = (size_t)capacity + 1;
    *outputs = (Outputs){.capacity = capacity};
    outputs->tensors = calloc(size, sizeof *outputs->tensors);
    outputs->memories = calloc(size, sizeof *outputs->memories);
    outputs->pointers = calloc(size, sizeof *outputs->pointers);
    return outputs->tensors && outputs->memories && outputs->pointers ? GRADC_OK : fail_memory(program);
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
    for (int i = 0; outputs->memories && i < outputs->capacity; i++) memory_free(&outputs->memories[i]);
    free(outputs->tensors);
    free(outputs->memories);
    free(outputs->pointers);
}

// ---- the call

// What the last run left for a backward.
typedef enum { TAPE_NONE, TAPE_NO_GRAD, TAPE_UNTRACKED, TAPE_KEPT, TAPE_RELEASED } TapeState;

typedef struct {
    TapeState state;
    Memory memory;
    uint64_t generation;   // the binding's, for which `memory` is large enough
    // The forward's circumstances, which its backward needs again:
    uint64_t version, changes, draw_count;
    uint64_t tracked;     // inputs whose gradients backward computes
    uint64_t unreached;   // inputs that were to be tracked, but output 0 does not depend on them
    bool training;
} Tape;

typedef struct {
    gradc_tensor tensor;   // what backward added up
    Memory sum, last;      // `last`: what the function writes
} InputGradient;

struct gradc_call {
    Binding binding;
    bool training;
    uint64_t requested;   // inputs that the next forward tracks
    Slot value, forward, backward;
    Outputs outputs;
    bool ran, ran_training;
    Tape tape;
    InputGradient *gradients;   // one for each input
    void **gradient_pointers;   // what a backward's frame gets
};

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

gradc_status gradc_call_create(gradc_program *program, const char *name, gradc_call **result) {
    *result = NULL;
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    const Entry *entry = find_entry(program, name);
    if (!entry)
        return fail(program, GRADC_ARGUMENT, "the program has no loss, metric, net or fn '%s' that can be called",
                    name);
    gradc_call *call = calloc(1, sizeof *call);
    if (!call) return fail_memory(program);
    gradc_status status = binding_create(&call->binding, program, entry);
    int plain = entry->function.result_count, training = entry->training.result_count;
    if (!status) status = outputs_create(&call->outputs, program, plain > training ? plain : training);
    size_t inputs = (size_t)entry->function.argument_count + 1;
    call->gradients = calloc(inputs, sizeof *call->gradients);
    call->gradient_pointers = calloc(inputs, sizeof *call->gradient_pointers);
    if (!status && (!call->gradients || !call->gradient_pointers)) status = fail_memory(program);
    if (status) {
        gradc_call_free(call);
        return status;
    }
    *result = call;
    return GRADC_OK;
}

void gradc_call_free(gradc_call *call) {
    if (!call) return;
    for (int i = 0; call->gradients && i < call->binding.input_count; i++) {
        memory_free(&call->gradients[i].sum);
        memory_free(&call->gradients[i].last);
    }
    free(call->gradients);
    free(call->gradient_pointers);
    outputs_free(&call->outputs);
    memory_free(&call->tape.memory);
    slot_free(&call->value);
    slot_free(&call->forward);
    slot_free(&call->backward);
    binding_free(&call->binding);
    free(call);
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
    if (input < 0 || input >= call->binding.input_count)
        return fail(program, GRADC_ARGUMENT, "%s has %d inputs: there is no input number %d", entry->name,
                    call->binding.input_count, input);
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

static gradc_frame frame_of(gradc_call *call) {
    gradc_program *program = call->binding.program;
    return (gradc_frame){.parameters = program->parameters.bytes,
                         .gradients = program->gradients.bytes,
                         .state = program->states.bytes,
                         .outputs = call->outputs.pointers,
                         .tape = call->tape.memory.bytes,
                         .draw_count = program->draw_count};
}

static gradc_status run(gradc_call *call, Slot *slot, FunctionKey key) {
    gradc_program *program = call->binding.program;
    const Function *function = key.training ? &key.entry->training : &key.entry->function;
    call->tape.state = TAPE_NONE;
    call->ran = false;
    gradc_status status = ensure_initialised(program);
    if (!status) status = binding_resolve(&call->binding, -1);
    if (!status) status = binding_check_ranges(&call->binding);
    if (!status) status = slot_prepare(slot, &call->binding, key);
    if (!status) status = outputs_prepare(&call->outputs, &call->binding, function->results, function->result_count);
    if (!status && key.kind == KIND_FORWARD && call->tape.generation != call->binding.generation) {
        bool overflow = false;
        int64_t bytes = extent_evaluate(slot->runner.function->tape_bytes, call->binding.dims, &overflow);
        if (overflow || bytes < 0 || !memory_reserve(&call->tape.memory, (size_t)bytes)) return fail_memory(program);
    }
    if (status) return status;
    gradc_frame frame = frame_of(call);
    status = runner_run(&slot->runner, &call->binding, &frame);
    program->draw_count++;
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

gradc_status gradc_call_forward(gradc_call *call) {
    const Entry *entry = call->binding.entry;
    const Reached *reached = &call->binding.facts->reached[call->training];
    uint64_t inputs = call->requested & reached->inputs;
    bool tracked = is_differentiable(entry) && (reached->parameters || inputs);
    FunctionKey key = {.kind = tracked ? KIND_FORWARD : KIND_VALUE, .entry = entry, .training = call->training};
    if (tracked) key.tracked_inputs = inputs;
    Tape *tape = &call->tape;
    if (tape->tracked != inputs || tape->training != call->training) tape->generation = 0;
    uint64_t draw_count = call->binding.program->draw_count;
    gradc_status status = run(call, tracked ? &call->forward : &call->value, key);
    if (status) return status;
    tape->state = tracked ? TAPE_KEPT : TAPE_UNTRACKED;
    tape->generation = tracked ? call->binding.generation : 0;
    tape->version = call->binding.program->version;
    tape->changes = call->binding.changes;
    tape->draw_count = draw_count;
    tape->tracked = inputs;
    tape->unreached = call->requested & ~reached->inputs;
    tape->training = call->training;
    return GRADC_OK;
}

gradc_status gradc_call_output(gradc_call *call, int index, gradc_tensor *output) {
    gradc_program *program = call->binding.program;
    int count = call->binding.entry->function.result_count;
    if (index < 0 || index >= count)
        return fail(program, GRADC_ARGUMENT, "%s has %d outputs: there is no output number %d",
                    call->binding.entry->name, count, index);
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

// ---- backward

static gradc_status check_tape(gradc_call *call) {
    gradc_program *program = call->binding.program;
    const char *name = call->binding.entry->name;
    gradc_status status = check_differentiable(program, call->binding.entry);
    if (status) return status;
    switch (call->tape.state) {
    case TAPE_NONE:
        return fail(program, GRADC_ORDER,
                    "backward needs a forward of %s before it, and there was none that ended well", name);
    case TAPE_NO_GRAD:
        return fail(program, GRADC_ORDER,
                    "the output of %s does not require grad: its last run computed the value "
                    "alone and tracked nothing; run gradc_call_forward, then backward",
                    name);
    case TAPE_UNTRACKED:
        if (call->tape.unreached)
            return fail(program, GRADC_ORDER,
                        "the output of %s does not require grad: the inputs that were tracked appear to not have been "
                        "used in the graph of its output 0",
                        name);
        return fail(program, GRADC_ORDER,
                    "the output of %s does not require grad: when its forward ran nothing was "
                    "tracked; call gradc_call_requires_grad for an input and run the forward "
                    "again",
                    name);
    case TAPE_RELEASED:
        return fail(program, GRADC_ORDER,
                    "Trying to backward through the graph a second time: what the forward of %s "
                    "kept was released by the first backward; call that with retain_graph, or "
                    "run the forward again",
                    name);
    case TAPE_KEPT: break;
    }
    if (call->tape.version != program->version)
        return fail(program, GRADC_ORDER,
                    "a parameter or state needed for the gradient of %s has been modified by an inplace "
                    "operation since its forward; run the forward again",
                    name);
    if (call->tape.changes != call->binding.changes)
        return fail(program, GRADC_ORDER,
                    "inputs or dims of %s were bound anew since its forward; run the forward "
                    "again",
                    name);
    return GRADC_OK;
}

// Gives each tracked input an array for its gradient, and puts its sum to zero where the shape is new.
static gradc_status prepare_gradients(gradc_call *call) {
    int count = 0;
    for (int i = 0; i < call->binding.input_count && i < 64; i++) {
        if (!(call->tape.tracked >> i & 1)) continue;
        InputGradient *gradient = &call->gradients[i];
        const gradc_tensor *input = &call->binding.inputs[i];
        size_t bytes = (size_t)array_bytes(input);
        if (!memory_reserve(&gradient->last, bytes)) return fail_memory(call->binding.program);
        bool same = gradient->sum.bytes && memcmp(gradient->tensor.shape, input->shape, sizeof input->shape) == 0;
        if (!same) {
            if (!memory_reserve(&gradient->sum, bytes)) return fail_memory(call->binding.program);
            memset(gradient->sum.bytes, 0, bytes);
            gradient->tensor = *input;
        }
        gradient->tensor.data = gradient->sum.bytes;
        call->gradient_pointers[count++] = gradient->last.bytes;
    }
    return GRADC_OK;
}

static void add_gradient(InputGradient *gradient, bool accumulate) {
    size_t bytes = (size_t)array_bytes(&gradient->tensor);
    if (!accumulate) {
        memcpy(gradient->sum.bytes, gradient->last.bytes, bytes);
    } else if (gradient->tensor.dtype == GRADC_F32) {
        float *sum = gradient->sum.bytes, *last = gradient->last.bytes;
        for (size_t i = 0; i < bytes / sizeof *sum; i++) sum[i] += last[i];
    } else {
        double *sum = gradient->sum.bytes, *last = gradient->last.bytes;
        for (size_t i = 0; i < bytes / sizeof *sum; i++) sum[i] += last[i];
    }
}

static gradc_status run_backward(gradc_call *call, void *gradients, bool accumulate, bool retain_graph) {
    Tape *tape = &call->tape;
    FunctionKey key = {.kind = KIND_BACKWARD,
                       .entry = call->binding.entry,
                       .training = tape->training,
                       .tracked_inputs = tape->tracked};
    gradc_status status = slot_prepare(&call->backward, &call->binding, key);
    if (!status) status = prepare_gradients(call);
    if (status) return status;
    gradc_frame frame = frame_of(call);
    frame.gradients = gradients;
    frame.outputs = call->gradient_pointers;
    frame.draw_count = tape->draw_count;
    status = runner_run(&call->backward.runner, &call->binding, &frame);
    if (status) return status;
    for (int i = 0; i < call->binding.input_count && i < 64; i++)
        if (tape->tracked >> i & 1) add_gradient(&call->gradients[i], accumulate);
    if (!retain_graph) tape->state = TAPE_RELEASED;
    return GRADC_OK;
}

gradc_status gradc_call_backward(gradc_call *call, bool retain_graph) {
    gradc_status status = check_tape(call);
    return status ? status : run_backward(call, call->binding.program->gradients.bytes, true, retain_graph);
}

gradc_status gradc_call_grad(gradc_call *call, void *gradients, bool retain_graph) {
    gradc_program *program = call->binding.program;
    gradc_status status = check_tape(call);
    if (status) return status;
    // The compiled function counts on 64 bytes of alignment, which the host's array need not have.
    size_t bytes = parameter_size(program);
    if (!memory_reserve(&program->returned, bytes)) return fail_memory(program);
    memset(program->returned.bytes, 0, bytes);
    status = run_backward(call, program->returned.bytes, false, retain_graph);
    if (!status && gradients && bytes) memcpy(gradients, program->returned.bytes, bytes);
    return status;
}

gradc_status gradc_call_input_gradient(gradc_call *call, int input, gradc_tensor *gradient) {
    gradc_program *program = call->binding.program;
    if (input < 0 || input >= call->binding.input_count)
        return fail(program, GRADC_ARGUMENT, "%s has %d inputs: there is no input number %d", call->binding.entry->name,
                    call->binding.input_count, input);
    const char *name = call->binding.entry->function.arguments[input]->variable->name;
    if (!call->gradients[input].sum.bytes && input < 64 && (call->tape.unreached >> input & 1))
        return fail(program, GRADC_ORDER,
                    "input '%s' of %s appears to not have been used in the graph of its output 0: there is no "
                    "gradient by it",
                    name, call->binding.entry->name);
    if (!call->gradients[input].sum.bytes)
        return fail(program, GRADC_ORDER,
                    "input '%s' of %s does not require grad, or no backward has reached it; call "
                    "gradc_call_requires_grad, then forward, then backward",
                    name, call->binding.entry->name);
    *gradient = call->gradients[input].tensor;
    return GRADC_OK;
}

void gradc_call_zero_grad(gradc_call *call) {
    for (int i = 0; i < call->binding.input_count; i++)
        if (call->gradients[i].sum.bytes)
            memset(call->gradients[i].sum.bytes, 0, (size_t)array_bytes(&call->gradients[i].tensor));
}
