// Memory between pages that may not be touched, so that an access out of bounds is a crash and not a chance.
#ifndef GRADC_TESTS_GUARDED_H
#define GRADC_TESTS_GUARDED_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *map, *data;
    size_t map_bytes;
} Guarded;

// `bytes` bytes that end where they may not be read any further; or, with `low`, that begin there. All are 0xAB.
Guarded guarded(size_t bytes, bool low);
void guarded_release(Guarded memory);

#endif
