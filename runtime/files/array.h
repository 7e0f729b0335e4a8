// Arrays as files hold them: what npy.c and npz.c read and write, and what data blocks are made of.
#ifndef GRADC_RUNTIME_FILES_ARRAY_H
#define GRADC_RUNTIME_FILES_ARRAY_H

#include "runtime/internal.h"

// The types that elements have in files: more than the language has.
typedef enum {
    ELEMENT_BOOL,
    ELEMENT_I8,
    ELEMENT_U8,
    ELEMENT_I16,
    ELEMENT_U16,
    ELEMENT_I32,
    ELEMENT_U32,
    ELEMENT_I64,
    ELEMENT_U64,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_F32,
    ELEMENT_F64,
    ELEMENT_COUNT
} ElementType;

const char *element_name(ElementType type);        // "f32"
size_t element_size(ElementType type);             // bytes
ElementType element_of_dtype(gradc_dtype dtype);   // the same type
// The language's dtype of that type. False: it has none.
bool dtype_of_element(ElementType type, gradc_dtype *dtype);

typedef struct {
    const char *name;   // "mlp.hidden.W"
    ElementType type;
    int rank;
    int64_t shape[GRADC_MAX_RANK];
    bool first_fastest;     // the first axis varies fastest, as in Fortran; else the last one, as in C
    const void *elements;   // little-endian; not always aligned
} StoredArray;

int64_t array_count(const StoredArray *array);   // of elements
int64_t array_row_count(
    const StoredArray *array);   // elements of one row, that is of what the first axis counts; rank 0: 1
// Converts rows, one after another, each in row-major order; exact but for i64 and u64 beyond 2^53. rank 0 is one row.
void array_rows(const StoredArray *array, const int64_t *rows, int64_t count, double *to);
// The bytes of rows, one after another, each in row-major order.
void array_copy_rows(const StoredArray *array, const int64_t *rows, int64_t count, void *to);

#endif
