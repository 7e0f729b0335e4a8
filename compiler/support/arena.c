// Chunked bump allocation, and the two growable things (arrays, text) that stand on it.
#include "support/arena.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, ALIGNMENT = 16 };

typedef struct Chunk {
    struct Chunk *previous;
    size_t used;
    size_t capacity;
    size_t pad;   // keeps `bytes` aligned to 16
    unsigned char bytes[];
} Chunk;

struct Arena {
    Allocator allocator;
    Chunk *last;
    size_t used;
    jmp_buf recover;
};

Arena *arena_create(void) {
    return arena_create_from((Allocator){0});
}

Arena *arena_create_from(Allocator allocator) {
    Arena *arena = memory_take(&allocator, 1, sizeof *arena);
    if (arena) arena->allocator = allocator;
    return arena;
}

Allocator arena_allocator(const Arena *arena) {
    return arena->allocator;
}

void arena_destroy(Arena *arena) {
    if (!arena) return;
    Allocator allocator = arena->allocator;
    for (Chunk *chunk = arena->last; chunk;) {
        Chunk *previous = chunk->previous;
        memory_give(&allocator, chunk);
        chunk = previous;
    }
    memory_give(&allocator, arena);
}

jmp_buf *arena_recover(Arena *arena) {
    return &arena->recover;
}

static Chunk *add_chunk(Arena *arena, size_t size) {
    size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
    Chunk *chunk = memory_take(&arena->allocator, 1, sizeof(Chunk) + capacity);
    if (!chunk) longjmp(arena->recover, 1);
    chunk->capacity = capacity;
    chunk->previous = arena->last;
    arena->last = chunk;
    return chunk;
}

void *arena_allocate(Arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) longjmp(arena->recover, 1);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    Chunk *chunk = arena->last;
    if (!chunk || chunk->capacity - chunk->used < size) chunk = add_chunk(arena, size);
    void *result = chunk->bytes + chunk->used;
    chunk->used += size;
    arena->used += size;
    return result;
}

void *arena_copy(Arena *arena, const void *bytes, size_t size) {
    void *copy = arena_allocate(arena, size);
    if (size) memcpy(copy, bytes, size);
    return copy;
}

char *arena_copy_text(Arena *arena, const char *text, size_t length) {
    char *copy = arena_allocate(arena, length + 1);
    if (length) memcpy(copy, text, length);
    return copy;
}

char *arena_vprint(Arena *arena, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) length = 0;
    char *text = arena_allocate(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *arena_print(Arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprint(arena, format, arguments);
    va_end(arguments);
    return text;
}

size_t arena_used(const Arena *arena) {
    return arena->used;
}

void *array_grow(Arena *arena, void *items, int count, int *capacity, size_t item_size) {
    if (count < *capacity) return items;
    int larger = *capacity ? *capacity * 2 : 8;
    void *grown = arena_allocate(arena, (size_t)larger * item_size);   // may not come back: nothing has changed yet
    if (count) memcpy(grown, items, (size_t)count * item_size);
    *capacity = larger;
    return grown;
}

void text_add_bytes(Text *text, const char *bytes, size_t length) {
    if (length > INT32_MAX / 2 - (size_t)text->length - 1) longjmp(text->arena->recover, 1);   // it counts in int
    if (text->length + (int)length + 1 > text->capacity) {
        int capacity = (text->length + (int)length + 1) * 2;
        char *grown = arena_allocate(text->arena, (size_t)capacity);
        if (text->length) memcpy(grown, text->bytes, (size_t)text->length);
        text->bytes = grown;
        text->capacity = capacity;
    }
    if (length) memcpy(text->bytes + text->length, bytes, length);
    text->length += (int)length;
    text->bytes[text->length] = 0;
}

void text_add(Text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *added = arena_vprint(text->arena, format, arguments);
    va_end(arguments);
    text_add_bytes(text, added, strlen(added));
}
