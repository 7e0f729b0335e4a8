// Backwards: the gradient of the last forward (semantics.md, S13).
#include "runtime/call.h"

#include <string.h>

// ---- what is in the way of a gradient

gradc_status fail_untracked(gradc_call *call, uint64_t unreached) {
    const char *name = call->binding.entry->name;
    if (unreached)
        return fail(call->binding.program, GRADC_ORDER,
                    "the output of %s does not require grad: the inputs that were tracked appear to not have been used "
                    "in the graph of its output 0",
                    name);
    return fail(call->binding.program, GRADC_ORDER,
                "the output of %s does not require grad: when its forward ran nothing was tracked; call "
                "gradc_call_requires_grad for an input and run the forward again",
                name);
}

// A number that another content is unlikely to have (FNV-1a, eight bytes at a time).
static uint64_t print_of(const void *bytes, size_t size) {
    uint64_t print = 0xCBF29CE484222325u, word;
    for (size_t at = 0; at < size; at += sizeof word) {
        word = 0;
        memcpy(&word, (const char *)bytes + at, size - at < sizeof word ? size - at : sizeof word);
        print = (print ^ word) * 0x100000001B3u;
        print ^= print >> 32;
    }
    return print;
}

void take_prints(const gradc_call *call, uint64_t *prints) {
    const gradc_program *program = call->binding.program;
    size_t parameters = parameter_size(program), states = program->states.size;
    prints[0] = print_of(program->parameters.bytes, parameters) + 3 * print_of(program->states.bytes, states);
    for (int i = 0; i < call->binding.input_count; i++)
        prints[1 + i] = print_of(call->binding.inputs[i].data, (size_t)array_bytes(&call->binding.inputs[i]));
}

static gradc_status fail_modified(gradc_call *call) {
    return fail(
        call->binding.program, GRADC_ORDER,
        "a parameter or state needed for the gradient of %s has been modified by an inplace operation since its "
        "forward; run the forward again",
        call->binding.entry->name);
}

// Whether host code wrote into arrays between forward and backward; looked for with gradc_options.verify.
static gradc_status check_prints(gradc_call *call) {
    uint64_t *before = call->tape.prints, *now = before + 1 + call->binding.input_count;
    if (!before) return GRADC_OK;
    take_prints(call, now);
    if (before[0] != now[0]) return fail_modified(call);
    for (int i = 0; i < call->binding.input_count; i++)
        if (before[1 + i] != now[1 + i])
            return fail(
                call->binding.program, GRADC_ORDER,
                "input '%s', needed for the gradient of %s, has been modified by an inplace operation since its "
                "forward; run the forward again",
                call->binding.entry->function.arguments[i]->variable->name, call->binding.entry->name);
    return GRADC_OK;
}

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
    case TAPE_UNTRACKED: return fail_untracked(call, call->tape.unreached);
    case TAPE_RELEASED:
        return fail(program, GRADC_ORDER,
                    "Trying to backward through the graph a second time: what the forward of %s "
                    "kept was released by the first backward; call that with retain_graph, or "
                    "run the forward again",
                    name);
    case TAPE_KEPT: break;
    }
    if (call->tape.version != program->version) return fail_modified(call);
    if (call->tape.changes != call->binding.changes)
        return fail(program, GRADC_ORDER,
                    "inputs or dims of %s were bound anew since its forward; run the forward "
                    "again",
                    name);
    return check_prints(call);
}

// ---- backward

// Gives each tracked input an array for its gradient, and puts its sum to zero where the shape is new.
gradc_status prepare_gradients(gradc_call *call, uint64_t tracked) {
    int count = 0;
    for (int i = 0; i < call->binding.input_count && i < 64; i++) {
        if (!(tracked >> i & 1)) continue;
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
    if (!status) status = prepare_gradients(call, tape->tracked);
    if (status) return status;
    gradc_frame frame = call_frame(call);
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
    gradc_status status = binding_check_number(&call->binding, input);
    if (status) return status;
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
