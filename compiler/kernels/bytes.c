// A KernelProgram as bytes, by which machine code that was kept is found again: two programs have the same bytes exactly
// when the same code serves both. Pointers are replaced by numbers in order of appearance; names and spans are left out.
#include "kernels/kernel.h"

#include <string.h>

typedef struct {
    const Extent *extent;
    int32_t number;   // from 1; 0: the place is free
} Numbered;

typedef struct {
    Text *text;
    Numbered *table;   // a hash table by address; its size is a power of two
    int count, capacity;
} Writer;

#ifdef __LP64__
// Whoever adds a field that code depends on writes it here, too.
_Static_assert(sizeof(Buffer) == 56 && sizeof(Axis) == 16 && sizeof(Affine) == 8 + 8 * MAX_AXES, "a field is new");
_Static_assert(sizeof(Instruction) == 72 + sizeof(Affine) && sizeof(KernelProgram) == 96, "a field is new");
_Static_assert(sizeof(Kernel) == 104 + MAX_AXES * sizeof(Axis), "a field is new");
#endif

enum { NO_EXTENT = -1, NEW_EXTENT = -2 };

static void put_number(Writer *writer, int64_t number) {
    text_add_bytes(writer->text, (const char *)&number, sizeof number);
}

// Small numbers, of which there are most, in four bytes.
static void put(Writer *writer, int number) {
    int32_t value = number;
    text_add_bytes(writer->text, (const char *)&value, sizeof value);
}

// ---- extents: written out once, then by number

static Numbered *place_of(Numbered *table, int capacity, const Extent *extent) {
    uint64_t hash = (uint64_t)(uintptr_t)extent * 0x9E3779B97F4A7C15u;
    int place = (int)(hash >> 32) & (capacity - 1);
    while (table[place].number && table[place].extent != extent) place = (place + 1) & (capacity - 1);
    return &table[place];
}

static void number_extent(Writer *writer, const Extent *extent) {
    if (2 * writer->count >= writer->capacity) {
        int capacity = writer->capacity ? 2 * writer->capacity : 256;
        Numbered *table = arena_array(writer->text->arena, Numbered, capacity);
        for (int i = 0; i < writer->capacity; i++)
            if (writer->table[i].number) *place_of(table, capacity, writer->table[i].extent) = writer->table[i];
        writer->table = table;
        writer->capacity = capacity;
    }
    *place_of(writer->table, writer->capacity, extent) = (Numbered){extent, ++writer->count};
}

static void put_extent(Writer *writer, const Extent *extent);

static void put_term(Writer *writer, const Term *term) {
    put_number(writer, term->coefficient);
    put(writer, term->factor_count);
    for (int i = 0; i < term->factor_count; i++) {
        const Factor *factor = term->factors[i];
        put(writer, (int)factor->kind);
        if (factor->kind == FACTOR_DIM) put(writer, factor->dim);
        else {
            put_extent(writer, factor->left);
            put_extent(writer, factor->right);
        }
    }
}

static void put_extent(Writer *writer, const Extent *extent) {
    int number = !extent ? NO_EXTENT : writer->count ? place_of(writer->table, writer->capacity, extent)->number : 0;
    if (number) {
        put(writer, number);
        return;
    }
    const Term *terms;
    int count = extent_terms(extent, &terms);
    put(writer, NEW_EXTENT);
    put(writer, count);
    for (int i = 0; i < count; i++) put_term(writer, &terms[i]);
    number_extent(writer, extent);
}

// ---- kernels

static void put_buffer(Writer *writer, const Buffer *buffer) {
    put(writer, (int)buffer->dtype);
    put(writer, (int)buffer->space);
    put(writer, buffer->index);
    put(writer, buffer->copies);
    put_extent(writer, buffer->offset);
    put_extent(writer, buffer->elements);
}

static void put_buffer_number(Writer *writer, const Buffer *buffer) {
    put(writer, buffer ? buffer->id : -1);
}

static void put_instruction(Writer *writer, const Kernel *kernel, const Instruction *instruction) {
    put(writer, (int)instruction->kind);
    put(writer, (int)instruction->op);
    put(writer, (int)instruction->dtype);
    for (int i = 0; i < MAX_ARITY; i++) put(writer, instruction->operands[i]);
    put_number(writer, instruction->scalar.integer);
    put(writer, instruction->phase);
    put(writer, instruction->streamed);
    put_buffer_number(writer, instruction->buffer);
    put_extent(writer, instruction->affine.base);
    for (int i = 0; i < kernel->axis_count; i++) put_extent(writer, instruction->affine.strides[i]);
    put_extent(writer, instruction->stride);
    put_extent(writer, instruction->limit);
}

static void put_kernels(Writer *writer, const KernelArray *kernels);

static void put_kernel(Writer *writer, const Kernel *kernel) {
    put(writer, (int)kernel->kind);
    put(writer, kernel->axis_count);
    for (int i = 0; i < kernel->axis_count; i++) {
        put(writer, (int)kernel->axes[i].role);
        put_extent(writer, kernel->axes[i].extent);
    }
    put(writer, kernel->phase_count);
    put(writer, kernel->pack_columns);
    put_buffer_number(writer, kernel->pack);
    put_buffer_number(writer, kernel->pack_left);
    put(writer, kernel->instructions.count);
    for (int i = 0; i < kernel->instructions.count; i++)
        put_instruction(writer, kernel, &kernel->instructions.items[i]);
    put_kernels(writer, &kernel->body);
}

static void put_kernels(Writer *writer, const KernelArray *kernels) {
    put(writer, kernels->count);
    for (int i = 0; i < kernels->count; i++) put_kernel(writer, kernels->items[i]);
}

void kernel_program_bytes(Text *text, const KernelProgram *program) {
    Writer writer = {.text = text};
    put(&writer, program->workers);
    put_number(&writer, program->split_work);
    put_number(&writer, program->usual_extent);
    put(&writer, program->buffers.count);
    for (int i = 0; i < program->buffers.count; i++) put_buffer(&writer, program->buffers.items[i]);
    put_kernels(&writer, &program->kernels);
}
