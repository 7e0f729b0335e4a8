// Messages, memory and other small things that every file of the runtime needs.
#include "runtime/internal.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const Allocator plain_allocator;

void *program_allocate(const gradc_program *program, size_t count, size_t size) {
    return memory_take(&program->allocator, count, size);
}

void program_release(const gradc_program *program, void *memory) {
    memory_give(&program->allocator, memory);
}

Memory memory_of(const gradc_program *program) {
    return (Memory){.allocator = &program->allocator};
}

bool memory_reserve(Memory *memory, size_t size) {
    if (size <= memory->size && memory->bytes) return true;
    const Allocator *allocator = memory->allocator ? memory->allocator : &plain_allocator;
    void *bytes = memory_take(allocator, 1, size);
    if (!bytes) return false;
    memory_give(allocator, memory->bytes);
    *memory = (Memory){bytes, size, memory->allocator};
    return true;
}

void memory_free(Memory *memory) {
    memory_give(memory->allocator ? memory->allocator : &plain_allocator, memory->bytes);
    *memory = (Memory){.allocator = memory->allocator};
}

gradc_status fail(gradc_program *program, gradc_status status, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *message = length >= 0 ? program_allocate(program, (size_t)length + 1, 1) : NULL;
    if (message) vsnprintf(message, (size_t)length + 1, format, again);
    va_end(again);
    program_release(program, program->message);
    program->message = message;
    return message ? status : GRADC_MEMORY;
}

gradc_status fail_memory(gradc_program *program) {
    program_release(program, program->message);
    program->message = NULL;   // gradc_message says it: nothing is allocated here
    return GRADC_MEMORY;
}

gradc_status fail_compiler(gradc_program *program) {
    tell_diagnostics(program);
    if (compilation_exhausted(program->compilation)) return fail_memory(program);
    const char *text = compilation_messages(program->compilation, false);
    if (!text) return fail_memory(program);
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n') length--;
    return fail(program, GRADC_PROGRAM, "%.*s", (int)length, text);
}

const char *gradc_message(const gradc_program *program) {
    return program && program->message ? program->message : "out of memory";
}

gradc_dtype public_dtype(Dtype dtype) {
    static const gradc_dtype dtypes[] = {[DTYPE_F32] = GRADC_F32,
                                         [DTYPE_F64] = GRADC_F64,
                                         [DTYPE_I32] = GRADC_I32,
                                         [DTYPE_I64] = GRADC_I64,
                                         [DTYPE_BOOL] = GRADC_BOOL};
    return dtypes[dtype];
}

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {[GRADC_F32] = {"f32", 4},
              [GRADC_F64] = {"f64", 8},
              [GRADC_I32] = {"i32", 4},
              [GRADC_I64] = {"i64", 8},
              [GRADC_BOOL] = {"bool", 1}};

const char *gradc_dtype_name(gradc_dtype dtype) {
    return (unsigned)dtype <= GRADC_BOOL ? dtypes[dtype].name : "unknown";
}

size_t gradc_dtype_size(gradc_dtype dtype) {
    return (unsigned)dtype <= GRADC_BOOL ? dtypes[dtype].size : 0;
}

const char *shape_text(char text[SHAPE_TEXT], gradc_dtype dtype, int rank, const int64_t *shape) {
    int length = snprintf(text, SHAPE_TEXT, "%s", gradc_dtype_name(dtype));
    for (int i = 0; i < rank; i++)
        length += snprintf(text + length, SHAPE_TEXT - (size_t)length, "%s%lld", i ? ", " : "[", (long long)shape[i]);
    if (rank) snprintf(text + length, SHAPE_TEXT - (size_t)length, "]");
    return text;
}

void *plain_locale_begin(void) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return plain ? uselocale(plain) : (void *)0;
}

void plain_locale_end(void *before) {
    if (!before) return;
    locale_t plain = uselocale((locale_t)before);
    freelocale(plain);
}

double now_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double tensor_number(const gradc_tensor *tensor, int64_t index) {
    switch (tensor->dtype) {
    case GRADC_F32: return ((const float *)tensor->data)[index];
    case GRADC_F64: return ((const double *)tensor->data)[index];
    case GRADC_I32: return ((const int32_t *)tensor->data)[index];
    case GRADC_I64: return (double)((const int64_t *)tensor->data)[index];
    case GRADC_BOOL: return ((const uint8_t *)tensor->data)[index];
    }
    return 0;
}
