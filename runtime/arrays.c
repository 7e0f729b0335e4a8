// Arrays in files of their own: values for inputs, and outputs that are kept.
#include "runtime/internal.h"
#include "runtime/files/csv.h"
#include "runtime/files/npy.h"
#include "runtime/files/npz.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- reading

// Whether a number is one of the dtype.
static bool fits(gradc_dtype dtype, double value) {
    switch (dtype) {
    case GRADC_F32: return !isfinite(value) || isfinite((float)value);
    case GRADC_F64: return true;
    case GRADC_I32: return value == floor(value) && value >= INT32_MIN && value <= INT32_MAX;
    case GRADC_I64: return value == floor(value) && value >= -0x1p63 && value < 0x1p63;
    case GRADC_BOOL: return value == 0 || value == 1;
    }
    return false;
}

static void store(const gradc_tensor *array, int64_t index, double value) {
    switch (array->dtype) {
    case GRADC_F32: ((float *)array->data)[index] = (float)value; break;
    case GRADC_F64: ((double *)array->data)[index] = value; break;
    case GRADC_I32: ((int32_t *)array->data)[index] = (int32_t)value; break;
    case GRADC_I64: ((int64_t *)array->data)[index] = (int64_t)value; break;
    case GRADC_BOOL: ((uint8_t *)array->data)[index] = value != 0; break;
    }
}

// The stored array in the dtype that is wanted, row-major, in memory of its own.
static gradc_status convert(gradc_program *program, const char *path, const StoredArray *stored, gradc_dtype dtype,
                            gradc_tensor *array) {
    int64_t rows = stored->rank ? stored->shape[0] : 1, count = array_count(stored);
    gradc_dtype own;
    *array = (gradc_tensor){.dtype = dtype, .rank = stored->rank};
    memcpy(array->shape, stored->shape, sizeof array->shape);
    int64_t *order = malloc((size_t)rows * sizeof *order + 1);
    double *numbers = malloc((size_t)count * sizeof *numbers + 1);
    array->data = malloc((size_t)count * gradc_dtype_size(dtype) + 1);
    gradc_status status = order && numbers && array->data ? GRADC_OK : fail_memory(program);
    for (int64_t i = 0; !status && i < rows; i++) order[i] = i;
    if (!status && dtype_of_element(stored->type, &own) && own == dtype)
        array_copy_rows(stored, order, rows, array->data);
    else if (!status) {
        array_rows(stored, order, rows, numbers);
        for (int64_t i = 0; !status && i < count; i++) {
            if (fits(dtype, numbers[i])) store(array, i, numbers[i]);
            else
                status = fail(program, GRADC_DATA, "%s: element %lld is %.9g, which is no %s", path, (long long)i,
                              numbers[i], gradc_dtype_name(dtype));
        }
    }
    free(order);
    free(numbers);
    if (status) gradc_array_free(array);
    return status;
}

static gradc_status read_npy(gradc_program *program, const char *path, gradc_dtype dtype, gradc_tensor *array) {
    size_t length, offset = 0;
    char *bytes = read_whole_file(path, &length);
    StoredArray stored;
    if (!bytes) return fail(program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
    gradc_status status =
        npy_read_head(program, path, (const unsigned char *)bytes, length, (int64_t)length, &stored, &offset);
    stored.elements = bytes + offset;
    if (!status) status = convert(program, path, &stored, dtype, array);
    free(bytes);
    return status;
}

static gradc_status read_npz(gradc_program *program, const char *path, const char *name, gradc_dtype dtype,
                             gradc_tensor *array) {
    Npz *npz;
    StoredArray stored;
    void *bytes = NULL;
    gradc_status status = npz_open(program, path, &npz);
    if (status) return status;
    int index = name ? npz_find(npz, name) : npz_count(npz) == 1 ? 0 : -1;
    if (index >= 0) status = npz_read(npz, index, &stored, &bytes);
    else if (name) status = fail(program, GRADC_DATA, "%s has no array '%s'", path, name);
    else status = fail(program, GRADC_DATA, "%s has %d arrays: name one of them", path, npz_count(npz));
    if (!status) status = convert(program, path, &stored, dtype, array);
    free(bytes);
    npz_close(npz);
    return status;
}

static gradc_status parse_table(gradc_program *program, Arena *arena, const char *path, const char *text, size_t length,
                                gradc_dtype dtype, gradc_tensor *array) {
    Cells cells;
    if (setjmp(*arena_recover(arena))) return fail_memory(program);
    gradc_status status = csv_parse(program, arena, path, text, length, &cells);
    if (status) return status;
    StoredArray stored = {
        .type = ELEMENT_F64, .rank = 2, .shape = {cells.rows, cells.columns}, .elements = cells.values};
    return convert(program, path, &stored, dtype, array);
}

static gradc_status read_table(gradc_program *program, const char *path, gradc_dtype dtype, gradc_tensor *array) {
    size_t length;
    char *text = read_whole_file(path, &length);
    if (!text) return fail(program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
    Arena *arena = arena_create_from(program->allocator);
    void *locale = plain_locale_begin();
    gradc_status status = arena ? parse_table(program, arena, path, text, length, dtype, array) : fail_memory(program);
    plain_locale_end(locale);
    arena_destroy(arena);
    free(text);
    return status;
}

gradc_status gradc_array_read(gradc_program *program, const char *path, const char *name, gradc_dtype dtype,
                              gradc_tensor *array) {
    *array = (gradc_tensor){0};
    if (path_ends(path, ".npy")) return read_npy(program, path, dtype, array);
    if (path_ends(path, ".npz")) return read_npz(program, path, name, dtype, array);
    if (path_ends(path, ".csv")) return read_table(program, path, dtype, array);
    return fail(program, GRADC_ARGUMENT, "'%s': an array's file is named .npy, .npz or .csv", path);
}

void gradc_array_free(gradc_tensor *array) {
    free(array->data);
    *array = (gradc_tensor){0};
}

// ---- writing

static StoredArray stored_array(const char *name, const gradc_tensor *array) {
    StoredArray stored = {
        .name = name, .type = element_of_dtype(array->dtype), .rank = array->rank, .elements = array->data};
    memcpy(stored.shape, array->shape, sizeof stored.shape);
    return stored;
}

gradc_status gradc_array_write(gradc_program *program, const char *path, int count, const char *const *names,
                               const gradc_tensor *arrays) {
    if (path_ends(path, ".npy")) {
        if (count != 1) return fail(program, GRADC_ARGUMENT, "'%s' can hold one array, and there are %d", path, count);
        StoredArray stored = stored_array(NULL, &arrays[0]);
        return npy_write(program, path, &stored);
    }
    if (!path_ends(path, ".npz"))
        return fail(program, GRADC_ARGUMENT, "'%s': a file of arrays is named .npy or .npz", path);
    StoredArray *stored = calloc((size_t)count + 1, sizeof *stored);
    if (!stored) return fail_memory(program);
    for (int i = 0; i < count; i++) stored[i] = stored_array(names[i], &arrays[i]);
    gradc_status status = npz_write(program, path, stored, count);
    free(stored);
    return status;
}
