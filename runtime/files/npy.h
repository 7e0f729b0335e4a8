// NumPy's files of one array.
#ifndef GRADC_RUNTIME_FILES_NPY_H
#define GRADC_RUNTIME_FILES_NPY_H

#include "runtime/files/array.h"

#include <stdio.h>

// How many bytes of a file hold its head, at most: what npy_read_head wants to see if there are so many.
enum { NPY_LONGEST_HEAD = 65536 };

// Reads the head of a file of `size` bytes, of which `available` are in `bytes`: dtype and shape, without `elements`,
// which begin at *offset. Formats 1 to 3. `where` opens the messages: "train.npz, array 'x'". GRADC_DATA: not such a
// file, an array of something else than numbers, or not as long as its head says.
gradc_status npy_read_head(gradc_program *program, const char *where, const unsigned char *bytes, size_t available,
                           int64_t size, StoredArray *array, size_t *offset);

// The head that belongs before the elements of a row-major array, into `head`; returns its length, a multiple of 64.
enum { NPY_HEAD_SIZE = 512 };
size_t npy_make_head(const StoredArray *array, char head[NPY_HEAD_SIZE]);

// Writes the array as a file, which appears whole or not at all.
gradc_status npy_write(gradc_program *program, const char *path, const StoredArray *array);

#endif
