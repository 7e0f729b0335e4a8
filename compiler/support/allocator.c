// Memory that is zero and aligned, from malloc or from the host.
#include "support/allocator.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

// What is large lies in large pages, where the system has them: tiles and panels walk through more small ones than the
// processor keeps translations of.
enum { ALIGNMENT = 64, PAGE = 2 << 20, LARGE = 1 << 20 };

static void *take_here(size_t bytes) {
#ifdef MADV_HUGEPAGE
    size_t pages = (bytes + PAGE - 1) / PAGE * PAGE;
    void *memory = bytes < LARGE ? NULL : aligned_alloc(PAGE, pages);
    if (memory) {
        (void)madvise(memory, pages, MADV_HUGEPAGE);   // no matter if it is refused
        return memory;
    }
#endif
    return aligned_alloc(ALIGNMENT, bytes);
}

void *memory_take(const Allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    void *memory = allocator->allocate ? allocator->allocate(allocator->context, bytes) : take_here(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void memory_give(const Allocator *allocator, void *memory) {
    if (!memory) return;
    if (allocator->allocate) allocator->release(allocator->context, memory);
    else free(memory);
}
