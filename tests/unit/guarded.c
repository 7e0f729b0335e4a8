// Pages without access before and behind the memory.
#include "guarded.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

Guarded guarded(size_t bytes, bool low) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    Guarded memory = {.map_bytes = body + 2 * page};
    memory.map = mmap(NULL, memory.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory.map == MAP_FAILED || (body && mprotect(memory.map + page, body, PROT_READ | PROT_WRITE))) abort();
    memory.data = memory.map + page + (low ? 0 : body - bytes);
    memset(memory.map + page, 0xAB, body);
    return memory;
}

void guarded_release(Guarded memory) {
    munmap(memory.map, memory.map_bytes);
}
