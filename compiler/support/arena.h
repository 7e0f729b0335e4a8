// One arena owns everything that a compilation makes, and is freed in one call.
//
// Nothing in the compiler frees a single object, so no pass needs a destructor. When memory runs out the arena jumps
// to the recovery point that the library's entry function set (`arena_recover`); code in between never sees NULL.
#ifndef GRADC_SUPPORT_ARENA_H
#define GRADC_SUPPORT_ARENA_H

#include "support/allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;

// Returns an empty arena, or NULL when there is no memory. The caller owns it. Its memory comes from malloc, or from
// `allocator`.
Arena *arena_create(void);
Arena *arena_create_from(Allocator allocator);
Allocator arena_allocator(const Arena *arena);
void arena_destroy(Arena *arena);

// Where `arena_allocate` jumps to when memory runs out: setjmp it in the entry function, before the first allocation.
jmp_buf *arena_recover(Arena *arena);

// `size` zeroed bytes, aligned to 16; lives as long as the arena. Never NULL.
void *arena_allocate(Arena *arena, size_t size);
void *arena_copy(Arena *arena, const void *bytes, size_t size);
char *arena_copy_text(Arena *arena, const char *text, size_t length);
char *arena_print(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprint(Arena *arena, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

// Bytes handed out so far, for `--timings` and tests.
size_t arena_used(const Arena *arena);

#define arena_new(arena, type) ((type *)arena_allocate((arena), sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_allocate((arena), sizeof(type) * (size_t)(count)))

// A growable array in an arena: `ARRAY(Node *) nodes = {0}; array_push(arena, &nodes, node);`
#define ARRAY(type)   \
    struct {          \
        type *items;  \
        int count;    \
        int capacity; \
    }
#define array_push(arena, array, value)                                                                                \
    ((array)->items = array_grow((arena), (array)->items, (array)->count, &(array)->capacity, sizeof *(array)->items), \
     (array)->items[(array)->count++] = (value))
void *array_grow(Arena *arena, void *items, int count, int *capacity, size_t item_size);

// Text that grows at its end; what every printer writes to.
typedef struct {
    Arena *arena;
    char *bytes;   // always ends with a zero byte once anything was added
    int length;
    int capacity;
} Text;
void text_add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(Text *text, const char *bytes, size_t length);

#endif
