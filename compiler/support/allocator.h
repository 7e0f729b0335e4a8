// Where gradc's own memory comes from: malloc, or functions that the host gave.
//
// Each program has one allocator, and so have its arenas. What LLVM and other libraries allocate does not come from it.
#ifndef GRADC_SUPPORT_ALLOCATOR_H
#define GRADC_SUPPORT_ALLOCATOR_H

#include <stddef.h>

// All NULL: malloc.
typedef struct {
    void *(*allocate)(void *context, size_t bytes);   // aligned to 64 bytes; NULL: there is none
    void (*release)(void *context, void *memory);
    void *context;
} Allocator;

// `count` elements of `size` bytes, all zero, aligned to 64. NULL: no memory.
void *memory_take(const Allocator *allocator, size_t count, size_t size);
// NULL is allowed.
void memory_give(const Allocator *allocator, void *memory);

#endif
