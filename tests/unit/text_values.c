// Values for what an entry reads: sizes that satisfy its conditions, random inputs, and parameters and states near
// their first values.
#include "text_subject.h"

#include <string.h>

static Random random_for(const Subject *subject, int stream) {
    return random_start(subject->check->seed * 31 + (uint64_t)(subject->attempt * 7 + stream));
}

static bool sizes_fit(const Subject *subject) {
    const Entry *entry = subject->entry;
    for (int i = 0; i < entry->checks.count; i++)
        if (extent_evaluate(entry->checks.items[i].extent, subject->dims, NULL) < 0) return false;
    int64_t elements = 0;
    for (int i = 0; i < entry->function.argument_count; i++) {
        const Node *input = entry->function.arguments[i];
        int64_t count = 1;
        for (int k = 0; k < input->rank; k++) {
            int64_t size = extent_evaluate(input->shape[k], subject->dims, NULL);
            if (size < 0) return false;
            count *= size;
        }
        elements += count;
    }
    return elements < 20000;
}

static bool draw_sizes(Subject *subject) {
    static const int64_t sizes[] = {5, 1, 8, 3, 0, 2, 17, 7, 4, 33};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    const Program *program = subject->compilation->program;
    subject->dims = arena_array(subject->compilation->arena, int64_t, program->dims.count + 1);
    for (uint64_t turn = 0; turn < 3 * SIZES; turn++) {
        for (int i = 0; i < program->dims.count; i++)
            subject->dims[i] = sizes[(subject->check->seed + turn + (uint64_t)i * 3) % SIZES];
        if (sizes_fit(subject)) return true;
    }
    return false;
}

static void put_number(Tensor *tensor, int64_t at, double real, int64_t integer) {
    switch (tensor->dtype) {
    case DTYPE_F32: ((float *)tensor->data)[at] = (float)real; break;
    case DTYPE_F64: ((double *)tensor->data)[at] = real; break;
    case DTYPE_I32: ((int32_t *)tensor->data)[at] = (int32_t)integer; break;
    case DTYPE_I64: ((int64_t *)tensor->data)[at] = integer; break;
    default: ((uint8_t *)tensor->data)[at] = integer % 2 == 1;
    }
}

// Class numbers lie in the entry's ranges; other indices are 0, 1 or 2.
static int64_t index_limit(const Subject *subject, const Node *input) {
    for (int i = 0; i < subject->entry->ranges.count; i++) {
        const IndexRange *range = &subject->entry->ranges.items[i];
        if (range->input == input) return extent_evaluate(range->count, subject->dims, NULL);
    }
    return 3;
}

static void draw_inputs(Subject *subject) {
    const Function *function = &subject->entry->function;
    Random random = random_for(subject, 1);
    subject->arguments = arena_array(subject->compilation->arena, Tensor, function->argument_count + 1);
    for (int i = 0; i < function->argument_count; i++) {
        const Node *node = function->arguments[i];
        Tensor *tensor = &subject->arguments[i];
        *tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
        for (int k = 0; k < node->rank; k++) tensor->shape[k] = extent_evaluate(node->shape[k], subject->dims, NULL);
        int64_t count = element_total(tensor), limit = index_limit(subject, node);
        tensor->data = arena_allocate(subject->compilation->arena, (size_t)count * 8 + 8);
        for (int64_t k = 0; k < count; k++)
            put_number(tensor, k, random_real(&random, -2, 2), random_below(&random, limit > 0 ? (int)limit : 1));
    }
}

// The first value of a parameter or state, with some noise.
static void draw_variable(Subject *subject, const Node *initial, double noise, Random *random, VariableValue *binding) {
    Arena *arena = subject->compilation->arena;
    Named result = {"first", (Node *)initial};
    Function function = {.name = "first", .result_count = 1, .results = &result};
    Environment environment = {.dims = subject->dims, .seed = subject->check->seed};
    const char *fault = evaluate_function(arena, &function, NULL, &environment, &binding->value);
    if (fault) verdict_set(subject->verdict, FAULT_INTERNAL, "first value of %s: %s", binding->variable->name, fault);
    for (int64_t i = 0; !fault && i < element_total(&binding->value); i++) {
        double value = real_at(&binding->value, i) + random_real(random, -noise, noise);
        put_number(&binding->value, i, value, (int64_t)value);
    }
}

// Moves the value into a flat array.
static void place(VariableValue *binding, void *array, int64_t offset) {
    size_t size = (size_t)dtype_size(binding->value.dtype);
    char *data = (char *)array + (size_t)offset * size;
    memcpy(data, binding->value.data, (size_t)element_total(&binding->value) * size);
    binding->value.data = data;
}

static void draw_variables(Subject *subject) {
    const Program *program = subject->compilation->program;
    Arena *arena = subject->compilation->arena;
    int parameters = program->parameters.count, states = program->states.count;
    enum { DIRECTIONS = 80 };
    subject->bindings = arena_array(arena, VariableValue, parameters + states + DIRECTIONS);
    subject->binding_count = parameters + states;
    subject->parameter_bytes = (size_t)program->parameter_count * (size_t)dtype_size(program->floating);
    subject->parameters = arena_allocate(arena, subject->parameter_bytes + 8);
    for (int i = 0; i < states; i++) {
        const State *state = program->states.items[i];
        size_t end = (size_t)(state->offset + state->count) * (size_t)dtype_size(state->variable->dtype);
        if (end > subject->state_bytes) subject->state_bytes = end;
    }
    subject->states = arena_allocate(arena, subject->state_bytes + 8);
    Random random = random_for(subject, 2);
    for (int i = 0; i < parameters + states && !subject->verdict->kind; i++) {
        bool is_state = i >= parameters;
        const Parameter *parameter = is_state ? NULL : program->parameters.items[i];
        const State *state = is_state ? program->states.items[i - parameters] : NULL;
        VariableValue *binding = &subject->bindings[i];
        binding->variable = is_state ? state->variable : parameter->variable;
        draw_variable(subject, is_state ? state->initial : parameter->initial, 0.3 * !is_state, &random, binding);
        if (subject->verdict->kind) return;
        if (is_state) place(binding, subject->states, state->offset);
        else place(binding, subject->parameters, parameter->offset);
    }
}

bool subject_draw(Subject *subject) {
    if (!draw_sizes(subject)) return false;
    draw_inputs(subject);
    draw_variables(subject);
    return true;
}
