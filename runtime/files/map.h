// Files whose bytes are read in place.
#ifndef GRADC_RUNTIME_FILES_MAP_H
#define GRADC_RUNTIME_FILES_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    const unsigned char *bytes;   // NULL: nothing is mapped
    int64_t size;
    int descriptor;
    bool owned;   // read into memory, because it is a pipe or the like
    struct timespec changed;
} MappedFile;

// False on failure, with errno; EISDIR for a folder.
bool map_file(const char *path, MappedFile *file);
// Whether the file is as it was when it was mapped. One that was made shorter must not be read: look before.
bool map_is_unchanged(const MappedFile *file);
void unmap_file(MappedFile *file);

#endif
