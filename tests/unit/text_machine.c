// Machine code of a text's entries and training steps.
#include "guarded.h"
#include "runtime/gradc.h"
#include "text_subject.h"

#include <math.h>
#include <string.h>

// ---- a frame

enum { MOST_ARRAYS = 128 };

typedef struct {
    gradc_frame frame;
    const void *inputs[MOST_ARRAYS];
    void *outputs[MOST_ARRAYS];
    int64_t fault[2];
    Guarded memories[3 * MOST_ARRAYS];
    int count;
    bool low;
} Machine;

static void *take(Machine *machine, size_t bytes, const void *from) {
    Guarded memory = guarded(bytes, machine->low);
    machine->memories[machine->count++] = memory;
    if (from && bytes) memcpy(memory.data, from, bytes);
    return memory.data;
}

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;   // aligned to 64 bytes, as the frame promises
}

static size_t bytes_of(const Tensor *tensor) {
    return (size_t)element_total(tensor) * (size_t)dtype_size(tensor->dtype);
}

static void *take_flat(Machine *machine, size_t bytes, const void *from) {
    void *flat = take(machine, rounded(bytes), NULL);
    memset(flat, 0, rounded(bytes));
    if (from) memcpy(flat, from, bytes);
    return flat;
}

static void machine_start(Machine *machine, const Subject *subject) {
    memset(machine, 0, sizeof *machine);
    machine->low = subject->check->seed & 1;
    for (int i = 0; i < subject->joint.function.argument_count; i++)
        machine->inputs[i] = take(machine, bytes_of(&subject->arguments[i]), subject->arguments[i].data);
    gradc_frame *frame = &machine->frame;
    *frame = (gradc_frame){.inputs = machine->inputs, .outputs = machine->outputs, .dims = subject->dims};
    frame->seed = 42;
    frame->draw_count = 7;
    frame->parameters = take_flat(machine, subject->parameter_bytes, subject->parameters);
    frame->gradients = take_flat(machine, subject->parameter_bytes, NULL);
    frame->state = take_flat(machine, subject->state_bytes, subject->states);
    frame->fault = machine->fault;
}

static void machine_end(Machine *machine) {
    for (int i = 0; i < machine->count; i++) guarded_release(machine->memories[i]);
}

static const char *kind_name(FunctionKind kind) {
    static const char *const names[] = {"value", "forward", "backward", "update", "step"};
    return names[kind];
}

// Runs one function of the subject's entry. False: a verdict says why.
static bool run_function(Machine *machine, const Subject *subject, FunctionKind kind) {
    FunctionKey key = {.kind = kind, .entry = subject->entry, .training = subject->training};
    if (kind != KIND_VALUE) key.tracked_inputs = subject->tracked;
    const CompiledFunction *function = compile_function(subject->compilation, key);
    if (!function) {
        verdict_set(subject->verdict, FAULT_INTERNAL, "%s, %s: %s", subject->entry->name, kind_name(kind),
                    compilation_messages(subject->compilation, false));
        return false;
    }
    size_t scratch = (size_t)extent_evaluate(function->scratch_bytes, subject->dims, NULL);
    size_t tape = (size_t)extent_evaluate(function->tape_bytes, subject->dims, NULL);
    machine->frame.scratch = take(machine, rounded(scratch), NULL);
    memset(machine->frame.scratch, 0xFF, rounded(scratch));
    if (kind == KIND_FORWARD) machine->frame.tape = take(machine, rounded(tape), NULL);
    machine->fault[0] = machine->fault[1] = -1;
    int32_t status = function->call(&machine->frame);
    subject->verdict->counts[COUNT_MACHINE]++;
    // A backward's faults are those of its half.
    if (kind == KIND_BACKWARD || status == subject->environment.faulted) return true;
    verdict_set(subject->verdict, FAULT_BITS, "%s, %s: status %d", subject->entry->name, kind_name(kind), status);
    return false;
}

static void compare_result(const Subject *subject, FunctionKind kind, int result, const void *data) {
    const Tensor *expected = &subject->expected[result];
    if (same_bits(expected, data)) return;
    Tensor found = *expected;
    found.data = (void *)data;
    int64_t at = 0;
    while (real_at(expected, at) == real_at(&found, at) && at < element_total(expected) - 1) at++;
    verdict_set(subject->verdict, kind == KIND_BACKWARD ? FAULT_CUT : FAULT_BITS,
                "%s%s, %s, %d bytes: result %d, element %lld is %.17g, by the evaluator %.17g", subject->entry->name,
                subject->training ? " in training" : "", kind_name(kind), subject->compilation->options.vector_bytes,
                result, (long long)at, real_at(&found, at), real_at(expected, at));
}

static void run_values(Machine *machine, const Subject *subject, FunctionKind kind) {
    int count = subject->joint.forward_count;
    for (int i = 0; i < count; i++) machine->outputs[i] = take(machine, bytes_of(&subject->expected[i]), NULL);
    if (!run_function(machine, subject, kind)) return;
    for (int i = 0; i < count; i++) compare_result(subject, kind, i, machine->outputs[i]);
}

// What a backward stores was added to a cleared array, in which -0 becomes 0.
static void clear_signs(const Tensor *tensor) {
    for (int64_t i = 0; i < element_total(tensor); i++) {
        if (tensor->dtype == DTYPE_F32) ((float *)tensor->data)[i] += 0.0f;
        if (tensor->dtype == DTYPE_F64) ((double *)tensor->data)[i] += 0.0;
    }
}

static const Parameter *parameter_of(const Program *program, const Node *variable) {
    for (int i = 0; i < program->parameters.count; i++)
        if (program->parameters.items[i]->variable == variable) return program->parameters.items[i];
    return NULL;
}

static void run_backward(Machine *machine, const Subject *subject) {
    const NodeArray *targets = &subject->joint.targets;
    const Program *program = subject->compilation->program;
    int first = subject->joint.forward_count, output = 0;
    for (int i = 0; i < targets->count; i++)
        if (!parameter_of(program, targets->items[i]))
            machine->outputs[output++] = take(machine, bytes_of(&subject->expected[first + i]), NULL);
    if (!run_function(machine, subject, KIND_BACKWARD)) return;
    output = 0;
    for (int i = 0; i < targets->count; i++) {
        const Parameter *parameter = parameter_of(program, targets->items[i]);
        const Tensor *expected = &subject->expected[first + i];
        const char *data = parameter ? (const char *)machine->frame.gradients +
                                           (size_t)parameter->offset * (size_t)dtype_size(expected->dtype)
                                     : machine->outputs[output++];
        if (parameter) clear_signs(expected);
        compare_result(subject, KIND_BACKWARD, first + i, data);
    }
}

// What the value function computes: the entry without its gradients has a graph of its own, of the same bits.
static bool check_value(Machine *machine, const Subject *subject) {
    Subject alone = *subject;
    FunctionKey key = {.kind = KIND_VALUE, .entry = subject->entry, .training = subject->training};
    alone.joint = joint_of(subject->compilation, key);
    alone.function = alone.joint.function;
    if (!run_passes(subject->compilation, &alone.function, STAGE_OPT)) return false;
    alone.expected = subject_evaluate(&alone, &alone.function, subject->arguments);
    if (!alone.expected) return false;
    run_values(machine, &alone, KIND_VALUE);
    for (int i = 0; i < alone.joint.forward_count && !subject->verdict->kind; i++)
        if (!same_bits(&subject->expected[i], alone.expected[i].data))
            verdict_set(subject->verdict, FAULT_CUT, "%s: result %d has other bits by value than by forward",
                        subject->entry->name, i);
    return !subject->verdict->kind;
}

void check_machine_code(const Subject *subject) {
    if (subject->joint.function.argument_count > MOST_ARRAYS || subject->joint.function.result_count > MOST_ARRAYS)
        return;
    Machine machine;
    machine_start(&machine, subject);
    if (check_value(&machine, subject) && subject->joint.targets.count) {
        run_values(&machine, subject, KIND_FORWARD);
        if (!subject->verdict->kind) run_backward(&machine, subject);
    }
    machine_end(&machine);
}

// ---- training steps, through the public interface

typedef struct {
    gradc_program *program;
    gradc_trainer *trainer;
    gradc_call *call;
    gradc_status status;
} Course;

static gradc_dtype public_dtype(Dtype dtype) {
    static const gradc_dtype dtypes[] = {GRADC_F32, GRADC_F64, GRADC_I32, GRADC_I64, GRADC_BOOL};
    return dtypes[dtype];
}

static void set_dims(Course *course, const Subject *subject) {
    const Program *program = subject->compilation->program;
    for (int i = 0; i < program->dims.count; i++) {   // those that inputs say are refused
        gradc_trainer_set_dim(course->trainer, program->dims.items[i], subject->dims[i]);
        gradc_call_set_dim(course->call, program->dims.items[i], subject->dims[i]);
    }
}

static Course course_begin(const Subject *subject, const TrainBlock *train, Dtype floating, int width) {
    static const int widths[] = {16, 32, 64};
    Course course = {0};
    const char *text = subject->check->text;
    gradc_options options = {.floating = public_dtype(floating), .verify = true};
    options.vector_bytes = widths[(subject->check->seed + (uint64_t)width) % 3];
    course.status = gradc_compile_text("random.grad", text, strlen(text), &options, &course.program);
    if (!course.status) course.status = gradc_initialise(course.program, subject->check->seed);
    if (!course.status) course.status = gradc_trainer_create(course.program, train->loss, &course.trainer);
    if (!course.status) course.status = gradc_call_create(course.program, train->loss, &course.call);
    if (course.status) return course;
    gradc_call_set_training(course.call, true);
    set_dims(&course, subject);
    for (int i = 0; i < subject->entry->function.argument_count && !course.status; i++) {
        const Tensor *from = &subject->arguments[i];
        gradc_tensor array = {public_dtype(from->dtype), from->rank, {0}, from->data};
        memcpy(array.shape, from->shape, sizeof array.shape);
        course.status = gradc_trainer_bind(course.trainer, i, &array);
        if (!course.status) course.status = gradc_call_bind(course.call, i, &array);
    }
    return course;
}

static void course_end(Course *course) {
    if (course->trainer) gradc_trainer_free(course->trainer);
    if (course->call) gradc_call_free(course->call);
    if (course->program) gradc_program_free(course->program);
}

static double output_number(Course *course) {
    gradc_tensor output;
    if (gradc_call_output(course->call, 0, &output)) return NAN;
    return output.dtype == GRADC_F32 ? (double)*(float *)output.data : *(double *)output.data;
}

static double fused_step(Course *course) {
    double loss = NAN;
    course->status = gradc_trainer_step(course->trainer, &loss);
    return loss;
}

static double split_step(Course *course) {
    double loss = NAN;
    gradc_zero_grad(course->program);
    course->status = gradc_call_forward(course->call);
    if (!course->status) loss = output_number(course);
    if (!course->status) course->status = gradc_call_backward(course->call, false);
    if (!course->status) course->status = gradc_trainer_update(course->trainer);
    if (!course->status) course->status = gradc_call_store_states(course->call);
    return loss;
}

static bool may_end(gradc_status status) {
    return status == GRADC_NUMBER || status == GRADC_DATA;
}

// Both ways, step after step; then the loss in eval mode, which reads the states.
static void compare_courses(Course *fused, Course *split, const Subject *subject) {
    enum { STEPS = 3 };
    Verdict *verdict = subject->verdict;
    size_t size = gradc_dtype_size(gradc_parameter_dtype(fused->program));
    Tensor parameters = {.dtype = subject->compilation->program->floating, .rank = 1};
    parameters.shape[0] = gradc_parameter_elements(fused->program);
    for (int i = 0; i < STEPS && !verdict->kind; i++) {
        double loss = fused_step(fused), expected = split_step(split);
        if (may_end(fused->status) || !isfinite(expected)) return;
        if (fused->status || split->status) {
            verdict_set(verdict, FAULT_STEP, "%s: step %d: %s %s", subject->entry->name, i,
                        gradc_message(fused->program), gradc_message(split->program));
            return;
        }
        parameters.data = gradc_parameters(split->program);
        if (loss != expected)
            verdict_set(verdict, FAULT_STEP, "step %d: the loss is %.17g, but %.17g split", i, loss, expected);
        if (size && !same_bits(&parameters, gradc_parameters(fused->program)))
            verdict_set(verdict, FAULT_STEP, "step %d: the parameters differ from those of a split step", i);
        verdict->counts[COUNT_STEPS]++;
    }
    gradc_call_set_training(fused->call, false);
    gradc_call_set_training(split->call, false);
    if (gradc_call_value(fused->call) || gradc_call_value(split->call)) return;
    double one = output_number(fused), other = output_number(split);
    if (one != other && !(isnan(one) && isnan(other)))
        verdict_set(verdict, FAULT_STEP, "the loss after training is %.17g, but %.17g after split steps", one, other);
}

void check_step(const Subject *subject, const TrainBlock *train, Dtype floating) {
    Course fused = course_begin(subject, train, floating, 1), split = {0};
    if (!fused.status) split = course_begin(subject, train, floating, 2);
    if (fused.status || split.status) {
        gradc_program *failed = fused.status ? fused.program : split.program;
        verdict_set(subject->verdict, FAULT_STEP, "%s: status %d: %s", train->loss,
                    fused.status ? fused.status : split.status, gradc_message(failed));
    } else compare_courses(&fused, &split, subject);
    course_end(&fused);
    course_end(&split);
}
