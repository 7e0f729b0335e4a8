#include "tests/unit/entries.h"

#include <stdlib.h>
#include <string.h>

size_t source_text(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    return length;
}

const Entry *entry_of(const Program *program, const char *name) {
    for (int i = 0; i < program->entries.count; i++)
        if (strcmp(program->entries.items[i]->name, name) == 0) return program->entries.items[i];
    printf("the program has no entry %s\n", name);
    exit(1);
}

Tensor tensor_of(const OracleTensor *numbers) {
    Tensor tensor = {.dtype = numbers->is_integer ? DTYPE_I32 : DTYPE_F64, .rank = numbers->rank};
    tensor.data = numbers->is_integer ? (void *)numbers->integers : (void *)numbers->numbers;
    memcpy(tensor.shape, numbers->shape, sizeof tensor.shape);
    return tensor;
}

gradc_tensor array_of(const OracleTensor *numbers) {
    gradc_tensor array = {.dtype = numbers->is_integer ? GRADC_I32 : GRADC_F64, .rank = numbers->rank};
    array.data = numbers->is_integer ? (void *)numbers->integers : (void *)numbers->numbers;
    memcpy(array.shape, numbers->shape, sizeof array.shape);
    return array;
}

VariableValue *first_states(Arena *arena, const Program *program) {
    VariableValue *values = arena_array(arena, VariableValue, program->states.count);
    for (int i = 0; i < program->states.count; i++) {
        const State *state = program->states.items[i];
        Named initial = {state->path, state->initial};
        Function function = {.name = state->path, .result_count = 1, .results = &initial};
        Environment environment = {0};
        values[i].variable = state->variable;
        const char *fault = evaluate_function(arena, &function, NULL, &environment, &values[i].value);
        if (!fault) continue;
        printf("the first value of %s: %s\n", state->path, fault);
        exit(1);
    }
    return values;
}
