// NumPy's files of several arrays: a zip archive of npy files.
#ifndef GRADC_RUNTIME_FILES_NPZ_H
#define GRADC_RUNTIME_FILES_NPZ_H

#include "runtime/files/array.h"

typedef struct Npz Npz;

// Opens the file; nothing but the list of its arrays is read. *npz is NULL on failure: GRADC_FILE when it cannot be
// opened, GRADC_DATA when it is no such file. Close it; it must not outlive `path` and the program.
gradc_status npz_open(gradc_program *program, const char *path, Npz **npz);
void npz_close(Npz *npz);

// The names of its arrays, in the order of the file; they live as long as `npz`.
int npz_count(const Npz *npz);
const char *npz_name(const Npz *npz, int index);
int npz_find(const Npz *npz, const char *name);   // -1: it has none of that name
// The array's type and shape, without elements.
gradc_status npz_describe(Npz *npz, int index, StoredArray *array);
// With its elements, row-major or not, as the file has them: free(*bytes), where they lie.
gradc_status npz_read(Npz *npz, int index, StoredArray *array, void **bytes);

// Writes row-major arrays, not compressed, as numpy.savez does. The file appears whole or not at all; the same arrays
// give the same bytes.
gradc_status npz_write(gradc_program *program, const char *path, const StoredArray *arrays, int count);

#endif
