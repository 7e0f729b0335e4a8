// Files of named arrays in the safetensors format. Eight bytes hold the length of a JSON header, little-endian; the
// header says each array's type, shape and place; the elements follow, row-major and little-endian.
#ifndef GRADC_RUNTIME_FILES_SAFETENSORS_H
#define GRADC_RUNTIME_FILES_SAFETENSORS_H

#include "runtime/files/array.h"

// Texts that a file carries besides its arrays.
typedef struct {
    const char *key, *value;
} Metadata;

// A file that was read. Nothing in it may be used after safetensors_close.
typedef struct {
    int count;
    StoredArray *arrays;
    char *bytes;    // of the whole file
    void *header;   // the parsed JSON, which names belong to
} Safetensors;

// Reads and checks the file. GRADC_FILE: it cannot be read; GRADC_DATA: it is no such file, or damaged: every array must
// have a known type and lie within the file, and together they must fill it without overlaps. Close it in any case.
gradc_status safetensors_read(gradc_program *program, const char *path, Safetensors *file);
void safetensors_close(Safetensors *file);
// NULL: the file has no such text.
const char *safetensors_metadata(const Safetensors *file, const char *key);

// Writes row-major arrays. The file appears whole or not at all; the same arrays give the same bytes.
gradc_status safetensors_write(gradc_program *program, const char *path, const StoredArray *arrays, int count,
                               const Metadata *metadata, int metadata_count);

#endif
