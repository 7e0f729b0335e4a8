// Binding: the arrays that a host gives to an entry's inputs, and the open dims that their shapes say (semantics.md,
// S3).
//
// An axis whose extent is affine in one dim (`N`, `2*M + 1`) says that dim's value; every other extent is compared with
// what the dims make of it. Done once for new shapes: a step with the shapes of the one before finds all in place.
#include "runtime/internal.h"

#include <string.h>

// ---- a binding's life

gradc_status binding_create(Binding *binding, gradc_program *program, const Entry *entry) {
    size_t inputs = (size_t)entry->function.argument_count + 1, dims = (size_t)program->program->dims.count + 1;
    *binding = (Binding){.program = program,
                         .entry = entry,
                         .facts = facts_of(program, entry),
                         .input_count = entry->function.argument_count,
                         .dim_count = program->program->dims.count};
    binding->inputs = program_allocate(program, inputs, sizeof *binding->inputs);
    binding->bound = program_allocate(program, inputs, sizeof *binding->bound);
    binding->pointers = program_allocate(program, inputs, sizeof *binding->pointers);
    binding->dims = program_allocate(program, dims, sizeof *binding->dims);
    binding->fixed = program_allocate(program, dims, sizeof *binding->fixed);
    binding->said_by = program_allocate(program, dims, sizeof *binding->said_by);
    if (!binding->inputs || !binding->bound || !binding->pointers || !binding->dims || !binding->fixed ||
        !binding->said_by) {
        binding_free(binding);
        return fail_memory(program);
    }
    for (size_t i = 0; i < dims; i++) binding->fixed[i] = -1;
    return GRADC_OK;
}

void binding_free(Binding *binding) {
    if (!binding->program) return;
    program_release(binding->program, binding->inputs);
    program_release(binding->program, binding->bound);
    program_release(binding->program, binding->pointers);
    program_release(binding->program, binding->dims);
    program_release(binding->program, binding->fixed);
    program_release(binding->program, binding->said_by);
    *binding = (Binding){0};
}

int binding_input(const Binding *binding, const char *name) {
    for (int i = 0; i < binding->input_count; i++)
        if (strcmp(binding->entry->function.arguments[i]->variable->name, name) == 0) return i;
    return -1;
}

// ---- binding

static gradc_status shape_error(Binding *binding, int input, const gradc_tensor *array) {
    char text[SHAPE_TEXT];
    const char *given = array->rank >= 0 && array->rank <= GRADC_MAX_RANK
                            ? shape_text(text, array->dtype, array->rank, array->shape)
                            : "an array of impossible rank";
    return fail(binding->program, GRADC_ARGUMENT, "input '%s' of %s is %s, but the array given is %s",
                binding->entry->function.arguments[input]->variable->name, binding->entry->name,
                binding->facts->input_types[input], given);
}

int64_t array_bytes(const gradc_tensor *tensor) {
    int64_t bytes = (int64_t)gradc_dtype_size(tensor->dtype);
    bool empty = false;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] == 0) empty = true;
    if (empty) return 0;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] < 0 || __builtin_mul_overflow(bytes, tensor->shape[i], &bytes)) return -1;
    return bytes;
}

gradc_status binding_check_number(const Binding *binding, int input) {
    if (input >= 0 && input < binding->input_count) return GRADC_OK;
    return fail(binding->program, GRADC_ARGUMENT, "%s has %d input%s: there is no input number %d%s",
                binding->entry->name, binding->input_count, binding->input_count == 1 ? "" : "s", input,
                input == -1 ? ", which stands for a name that was not found" : "");
}

gradc_status binding_check(Binding *binding, int input, const gradc_tensor *array, bool rows) {
    gradc_program *program = binding->program;
    gradc_status status = binding_check_number(binding, input);
    if (status) return status;
    const Node *node = binding->entry->function.arguments[input];
    if (array->dtype != public_dtype(node->dtype) || array->rank != node->rank)
        return shape_error(binding, input, array);
    for (int i = 0; i < node->rank; i++) {
        int64_t size;
        bool fixed = extent_is_constant(node->shape[i], &size) && !(rows && i == 0);
        if (array->shape[i] < 0 || (fixed && size != array->shape[i])) return shape_error(binding, input, array);
    }
    int64_t bytes = array_bytes(array);
    if (bytes >= 0 && (bytes == 0 || array->data)) return GRADC_OK;
    return fail(program, GRADC_ARGUMENT, "input '%s' of %s: the array given %s", node->variable->name,
                binding->entry->name, bytes < 0 ? "is larger than memory" : "has no data");
}

gradc_status binding_bind(Binding *binding, int input, const gradc_tensor *array) {
    gradc_status status = binding_check(binding, input, array, false);
    if (status) return status;
    gradc_tensor *old = &binding->inputs[input];
    bool same = binding->bound[input];
    for (int i = 0; same && i < array->rank; i++) same = old->shape[i] == array->shape[i];
    if (!same || old->data != array->data) binding->changes++;
    *old = *array;
    for (int i = array->rank; i < GRADC_MAX_RANK; i++) old->shape[i] = 0;
    binding->bound[input] = true;
    binding->pointers[input] = array->data;
    if (!same) binding->resolved = false;
    return GRADC_OK;
}

static int find_dim(const Binding *binding, const char *name) {
    for (int i = 0; i < binding->dim_count; i++)
        if (binding->facts->used_dims[i] && strcmp(binding->program->program->dims.items[i], name) == 0) return i;
    return -1;
}

gradc_status binding_set_dim(Binding *binding, const char *name, int64_t value) {
    gradc_program *program = binding->program;
    if (value < 0)
        return fail(program, GRADC_ARGUMENT, "dim %s cannot be %lld: sizes are 0 or more", name, (long long)value);
    int dim = find_dim(binding, name);
    if (dim < 0) return fail(program, GRADC_ARGUMENT, "%s has no open dim '%s'", binding->entry->name, name);
    int input = binding->facts->said_by[dim];
    if (input >= 0)
        return fail(program, GRADC_ARGUMENT,
                    "dim %s of %s is not set: the shape of input '%s', %s, says it; bind an array of that size", name,
                    binding->entry->name, binding->entry->function.arguments[input]->variable->name,
                    binding->facts->input_types[input]);
    if (binding->fixed[dim] != value) {
        binding->resolved = false;
        binding->changes++;
    }
    binding->fixed[dim] = value;
    return GRADC_OK;
}

// ---- resolving

static gradc_status dim_conflict(Binding *binding, int dim, int input, int64_t value) {
    const char *name = binding->entry->function.arguments[input]->variable->name, *entry = binding->entry->name;
    const char *dim_name = binding->program->program->dims.items[dim];
    int other = binding->said_by[dim];
    char text[SHAPE_TEXT], other_text[SHAPE_TEXT];
    const gradc_tensor *array = &binding->inputs[input], *before = &binding->inputs[other];
    return fail(binding->program, GRADC_ARGUMENT,
                "dim %s of %s is %lld by the shape of input '%s', %s, but %lld by that of '%s', %s", dim_name, entry,
                (long long)binding->dims[dim], binding->entry->function.arguments[other]->variable->name,
                shape_text(other_text, before->dtype, before->rank, before->shape), (long long)value, name,
                shape_text(text, array->dtype, array->rank, array->shape));
}

// Takes the dims that the axes of `input` say by being affine in one.
static gradc_status take_dims(Binding *binding, int input) {
    const Node *node = binding->entry->function.arguments[input];
    const gradc_tensor *array = &binding->inputs[input];
    for (int axis = 0; axis < node->rank; axis++) {
        int dim;
        int64_t scale, offset, rest;
        if (extent_is_constant(node->shape[axis], NULL)) continue;
        if (!extent_affine(node->shape[axis], &dim, &scale, &offset)) continue;
        if (__builtin_sub_overflow(array->shape[axis], offset, &rest) || rest % scale != 0 || rest / scale < 0)
            return shape_error(binding, input, array);
        int64_t value = rest / scale;
        if (binding->dims[dim] >= 0 && binding->dims[dim] != value) return dim_conflict(binding, dim, input, value);
        if (binding->dims[dim] < 0) binding->said_by[dim] = input;
        binding->dims[dim] = value;
    }
    return GRADC_OK;
}

gradc_status binding_shape(Binding *binding, const Node *node, gradc_tensor *tensor) {
    bool overflow = false;
    *tensor = (gradc_tensor){.dtype = public_dtype(node->dtype), .rank = node->rank};
    for (int i = 0; i < node->rank; i++) {
        tensor->shape[i] = extent_evaluate(node->shape[i], binding->dims, &overflow);
        if (tensor->shape[i] < 0) overflow = true;
    }
    if (!overflow && array_bytes(tensor) >= 0) return GRADC_OK;
    return fail(binding->program, GRADC_ARGUMENT, "%s: with these dims a size is negative or larger than memory",
                binding->entry->name);
}

// Every axis, against the dims that are now known.
static gradc_status check_shapes(Binding *binding) {
    for (int i = 0; i < binding->input_count; i++) {
        const Node *node = binding->entry->function.arguments[i];
        for (int axis = 0; axis < node->rank; axis++) {
            bool overflow = false;
            int64_t size = extent_evaluate(node->shape[axis], binding->dims, &overflow);
            if (overflow || size != binding->inputs[i].shape[axis]) return shape_error(binding, i, &binding->inputs[i]);
        }
    }
    return GRADC_OK;
}

static gradc_status resolve_dims(Binding *binding, int64_t fallback) {
    for (int i = 0; i < binding->dim_count; i++) {
        binding->dims[i] = binding->fixed[i];
        binding->said_by[i] = -1;
    }
    for (int i = 0; i < binding->input_count; i++) {
        if (!binding->bound[i])
            return fail(binding->program, GRADC_ORDER, "input '%s' of %s, %s, is not bound to an array",
                        binding->entry->function.arguments[i]->variable->name, binding->entry->name,
                        binding->facts->input_types[i]);
        gradc_status status = take_dims(binding, i);
        if (status) return status;
    }
    for (int i = 0; i < binding->dim_count; i++) {
        if (binding->dims[i] >= 0) continue;
        if (binding->facts->used_dims[i] && fallback < 0)
            return fail(binding->program, GRADC_ORDER, "no input of %s says how large dim %s is: set it",
                        binding->entry->name, binding->program->program->dims.items[i]);
        binding->dims[i] = binding->facts->used_dims[i] ? fallback : 0;
    }
    return check_shapes(binding);
}

gradc_status binding_resolve(Binding *binding, int64_t fallback) {
    if (binding->resolved) return GRADC_OK;
    gradc_status status = resolve_dims(binding, fallback);
    binding->resolved = status == GRADC_OK;
    if (binding->resolved) binding->generation++;
    return status;
}

// ---- class numbers

// The position of the first element outside [0, count), or -1.
static int64_t find_outside(const gradc_tensor *tensor, int64_t elements, int64_t count) {
    const int32_t *narrow = tensor->data;
    const int64_t *wide = tensor->data;
    for (int64_t i = 0; tensor->dtype == GRADC_I32 && i < elements; i++)
        if (narrow[i] < 0 || narrow[i] >= count) return i;
    for (int64_t i = 0; tensor->dtype == GRADC_I64 && i < elements; i++)
        if (wide[i] < 0 || wide[i] >= count) return i;
    return -1;
}

static bool find_in(const Binding *binding, const IndexRange *range, OutOfRange *found) {
    int input = 0;
    while (binding->entry->function.arguments[input] != range->input) input++;
    const gradc_tensor *tensor = &binding->inputs[input];
    bool overflow = false;
    int64_t count = extent_evaluate(range->count, binding->dims, &overflow);
    int64_t at = find_outside(tensor, array_bytes(tensor) / (int64_t)gradc_dtype_size(tensor->dtype), count);
    if (at < 0 || overflow) return false;
    int64_t value =
        tensor->dtype == GRADC_I32 ? ((const int32_t *)tensor->data)[at] : ((const int64_t *)tensor->data)[at];
    *found = (OutOfRange){input, at, value, count};
    return true;
}

bool binding_out_of_range(const Binding *binding, OutOfRange *found) {
    for (int i = 0; i < binding->entry->ranges.count; i++)
        if (find_in(binding, &binding->entry->ranges.items[i], found)) return true;
    return false;
}

gradc_status binding_check_ranges(Binding *binding) {
    OutOfRange found;
    if (!binding_out_of_range(binding, &found)) return GRADC_OK;
    return fail(binding->program, GRADC_DATA,
                "input '%s' of %s: %lld, at position %lld, is out of bounds: it takes numbers from 0 to %lld",
                binding->entry->function.arguments[found.input]->variable->name, binding->entry->name,
                (long long)found.value, (long long)found.at, (long long)found.count - 1);
}

// ---- running

// The code for as many workers as these dims are worth, and the threads.
static gradc_status choose_workers(Runner *runner, Binding *binding) {
    gradc_program *program = binding->program;
    FunctionKey key = runner->function->key;
    int workers = function_workers(program->compilation, runner->function, binding->dims);
    bool other = workers > 1 ? !runner->function->for_workers : key.shared;
    key.shared = workers > 1;
    const CompiledFunction *function = other ? program_function(program, key) : runner->function;
    if (!function) return fail_compiler(program);
    runner->function = function;
    if (workers > 1 && !program->team) program->team = team_create(workers);
    runner->team = workers > 1 ? program->team : NULL;   // where there are no threads to have, one does it all
    return GRADC_OK;
}

gradc_status runner_prepare(Runner *runner, Binding *binding) {
    if (runner->generation == binding->generation) return GRADC_OK;
    gradc_status status = choose_workers(runner, binding);
    if (status) return status;
    const CompiledFunction *function = runner->function;
    for (int i = 0; i < function->check_count; i++) {
        bool overflow = false;
        if (extent_evaluate(function->checks[i].extent, binding->dims, &overflow) < 0 || overflow)
            return fail(binding->program, GRADC_ARGUMENT, "%s: %s", binding->entry->name, function->checks[i].message);
    }
    bool overflow = false;
    int64_t bytes = extent_evaluate(function->scratch_bytes, binding->dims, &overflow);
    if (overflow || bytes < 0)
        return fail(binding->program, GRADC_ARGUMENT, "%s: with these dims a size is larger than memory",
                    binding->entry->name);
    if (!memory_reserve(&runner->scratch, (size_t)bytes)) return fail_memory(binding->program);
    runner->generation = binding->generation;
    return GRADC_OK;
}

void runner_complete(const Runner *runner, Binding *binding, gradc_frame *frame) {
    binding->fault[0] = binding->fault[1] = 0;
    frame->inputs = binding->pointers;
    frame->dims = binding->dims;
    frame->scratch = runner->scratch.bytes;
    frame->seed = binding->program->seed;
    frame->fault = binding->fault;
    be_alone(frame);
}

int32_t runner_call(const Runner *runner, const gradc_frame *frame) {
    return runner->team ? team_run(runner->team, runner->function->call, frame) : runner->function->call(frame);
}

gradc_status fail_fault(Binding *binding) {
    return fail(binding->program, GRADC_DATA,
                "%s: index %lld is out of bounds, at position %lld of the array of indices", binding->entry->name,
                (long long)binding->fault[0], (long long)binding->fault[1]);
}

gradc_status runner_run(const Runner *runner, Binding *binding, gradc_frame *frame) {
    runner_complete(runner, binding, frame);
    return runner_call(runner, frame) ? fail_fault(binding) : GRADC_OK;
}
