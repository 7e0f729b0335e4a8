// Memory that is zero and aligned, from malloc or from the host.
#include "support/allocator.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *memory_take(const Allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    void *memory =
        allocator->allocate ? allocator->allocate(allocator->context, bytes) : aligned_alloc(ALIGNMENT, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void memory_give(const Allocator *allocator, void *memory) {
    if (!memory) return;
    if (allocator->allocate) allocator->release(allocator->context, memory);
    else free(memory);
}
