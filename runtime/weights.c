// Saving and loading weights, as safetensors or npz. Everything is checked before the first number is stored, so that a
// file that does not fit changes nothing.
#include "runtime/weights.h"
#include "runtime/files/whole.h"
#include "runtime/files/npz.h"
#include "runtime/files/safetensors.h"
#include "runtime/identity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the program's side

gradc_status weights_list(Weights *list, gradc_program *program, const char *path, void *parameters, void *states) {
    const Program *elaborated = program->program;
    size_t count = (size_t)elaborated->parameters.count + (size_t)elaborated->states.count;
    *list =
        (Weights){.program = program, .path = path, .weights = program_allocate(program, count + 1, sizeof(Weight))};
    if (!list->weights) return fail_memory(program);
    for (int i = 0; i < elaborated->parameters.count; i++) {
        const Parameter *parameter = elaborated->parameters.items[i];
        char *values = (char *)parameters + parameter->offset * dtype_size(parameter->variable->dtype);
        list->weights[list->count++] = (Weight){parameter->path, parameter->variable, values, parameter->count};
    }
    for (int i = 0; i < elaborated->states.count; i++) {
        const State *state = elaborated->states.items[i];
        char *values = (char *)states + state->offset * dtype_size(state->variable->dtype);
        list->weights[list->count++] = (Weight){state->path, state->variable, values, state->count};
    }
    return GRADC_OK;
}

void weights_release(Weights *list) {
    program_release(list->program, list->weights);
}

StoredArray weight_array(const Weight *weight) {
    StoredArray array = {.name = weight->path,
                         .type = element_of_dtype(public_dtype(weight->node->dtype)),
                         .rank = weight->node->rank,
                         .elements = weight->values};
    for (int i = 0; i < array.rank; i++) extent_is_constant(weight->node->shape[i], &array.shape[i]);
    return array;
}

static const gradc_weight_options no_options;

// ---- saving

// What is written: arrays with names and, where axes are exchanged, elements of their own.
typedef struct {
    int count;
    StoredArray *arrays;
    char **names;
    void **copies;
} Written;

static void written_free(const gradc_program *program, Written *written) {
    for (int i = 0; i < written->count; i++) {
        free(written->names[i]);
        program_release(program, written->copies[i]);
    }
    program_release(program, written->arrays);
    program_release(program, written->names);
    program_release(program, written->copies);
}

// The matrix as it lies when its axes are exchanged, in memory of its own.
static bool exchange_axes(const gradc_program *program, StoredArray *array, void **copy) {
    StoredArray view = *array;
    view.shape[0] = array->shape[1];
    view.shape[1] = array->shape[0];
    view.first_fastest = true;
    *copy = program_allocate(program, (size_t)array_count(array) + 1, element_size(array->type));
    if (!*copy) return false;
    char *to = *copy;
    for (int64_t row = 0; row < view.shape[0]; row++, to += view.shape[1] * (int64_t)element_size(array->type))
        array_copy_rows(&view, &row, 1, to);
    view.first_fastest = false;
    view.elements = *copy;
    *array = view;
    return true;
}

static gradc_status write_list(const Weights *list, const gradc_weight_options *options, Written *written) {
    size_t size = (size_t)list->count + 1;
    *written = (Written){.arrays = program_allocate(list->program, size, sizeof *written->arrays),
                         .names = program_allocate(list->program, size, sizeof *written->names),
                         .copies = program_allocate(list->program, size, sizeof *written->copies)};
    if (!written->arrays || !written->names || !written->copies) return fail_memory(list->program);
    for (int i = 0; i < list->count; i++) {
        const Weight *weight = &list->weights[i];
        char *name = weight_file_name(weight->path, options);
        if (!name) return fail_memory(list->program);
        if (weight_is_ignored(name, options)) {
            free(name);
            continue;
        }
        int index = written->count++;
        StoredArray *array = &written->arrays[index];
        *array = weight_array(weight);
        array->name = written->names[index] = name;
        for (int k = 0; k < index; k++)
            if (strcmp(written->names[k], name) == 0)
                return fail(list->program, GRADC_ARGUMENT, "two weights would be called %s in '%s'", name, list->path);
        if (weight_is_transposed(weight, options) && !exchange_axes(list->program, array, &written->copies[index]))
            return fail_memory(list->program);
    }
    return GRADC_OK;
}

static gradc_status save(const Weights *list, const gradc_weight_options *options) {
    Written written = {0};
    gradc_status status = weight_options_check(list, options);
    if (!status) status = write_list(list, options, &written);
    Identity identity = {0};
    if (!status) status = identity_create(list->program, &identity);
    char program[HASH_TEXT];
    hash_text(identity.whole, program);
    identity_free(&identity);
    Metadata metadata[] = {{"format", "gradc"}, {"program", program}};
    if (!status)
        status = path_ends(list->path, ".npz")
                     ? npz_write(list->program, list->path, written.arrays, written.count)
                     : safetensors_write(list->program, list->path, written.arrays, written.count, metadata, 2);
    written_free(list->program, &written);
    return status;
}

gradc_status gradc_save_with(gradc_program *program, const char *path, const gradc_weight_options *options) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Weights list;
    gradc_status status = ensure_initialised(program);
    if (!status) status = weights_list(&list, program, path, program->parameters.bytes, program->states.bytes);
    if (status) return status;
    status = save(&list, options ? options : &no_options);
    weights_release(&list);
    return status;
}

gradc_status gradc_save(gradc_program *program, const char *path) {
    return gradc_save_with(program, path, NULL);
}

// ---- loading

// The arrays of a file of either format.
typedef struct {
    int count;
    StoredArray *arrays;
    Safetensors safetensors;
    Npz *npz;
    void **bytes;   // of the npz's arrays
} WeightFile;

static gradc_status open_npz(gradc_program *program, const char *path, WeightFile *file) {
    gradc_status status = npz_open(program, path, &file->npz);
    if (status) return status;
    int count = npz_count(file->npz);
    file->arrays = program_allocate(program, (size_t)count + 1, sizeof *file->arrays);
    file->bytes = program_allocate(program, (size_t)count + 1, sizeof *file->bytes);
    if (!file->arrays || !file->bytes) return fail_memory(program);
    for (int i = 0; i < count && !status; i++) {
        status = npz_read(file->npz, i, &file->arrays[i], &file->bytes[i]);
        file->arrays[i].name = npz_name(file->npz, i);
        file->count++;
    }
    return status;
}

// Of a checkpoint the best epoch's weights, or the last ones if none is known.
static void choose_weights(WeightFile *file) {
    size_t length = 0;
    for (int i = 0; i < file->count; i++)
        if (strncmp(file->arrays[i].name, BEST_PREFIX, strlen(BEST_PREFIX)) == 0) length = strlen(BEST_PREFIX);
    int count = 0;
    for (int i = 0; i < file->count; i++) {
        const char *name = file->arrays[i].name;
        if (strncmp(name, BEST_PREFIX, length) != 0 || strchr(name + length, '/')) continue;
        file->arrays[count] = file->arrays[i];
        file->arrays[count++].name += length;
    }
    file->count = count;
}

static gradc_status open_file(gradc_program *program, const char *path, WeightFile *file) {
    if (path_ends(path, ".npz")) return open_npz(program, path, file);
    gradc_status status = safetensors_read(program, path, &file->safetensors);
    file->arrays = file->safetensors.arrays;
    file->count = file->safetensors.count;
    const char *format = safetensors_metadata(&file->safetensors, "format");
    if (format && strcmp(format, CHECKPOINT_FORMAT) == 0) choose_weights(file);
    return status;
}

static void close_file(const gradc_program *program, WeightFile *file) {
    for (int i = 0; file->bytes && i < file->count; i++) free(file->bytes[i]);
    program_release(program, file->bytes);
    if (file->npz) {
        program_release(program, file->arrays);
        npz_close(file->npz);
    }
    safetensors_close(&file->safetensors);
}

// Reads the array row by row into `numbers`, one row of doubles, and stores them if `to` is not NULL. False: a finite
// number is infinite in f32.
static bool convert(const StoredArray *array, gradc_dtype dtype, double *numbers, char *to) {
    int64_t rows = array->rank ? array->shape[0] : 1, length = array_row_count(array);
    for (int64_t row = 0; row < rows; row++) {
        array_rows(array, &row, 1, numbers);
        for (int64_t i = 0; i < length; i++) {
            int64_t at = row * length + i;
            if (dtype == GRADC_F32 && isfinite(numbers[i]) && isinf((float)numbers[i])) return false;
            if (to && dtype == GRADC_F32) ((float *)(void *)to)[at] = (float)numbers[i];
            if (to && dtype == GRADC_F64) ((double *)(void *)to)[at] = numbers[i];
        }
    }
    return true;
}

static bool is_bool(const StoredArray *array) {
    const unsigned char *bytes = array->elements;
    for (int64_t i = 0; i < array_count(array); i++)
        if (bytes[i] > 1) return false;
    return true;
}

// Checks the numbers of one array; stores them if `really`.
static gradc_status take(const Weights *list, const Weight *weight, const StoredArray *array, bool really) {
    StoredArray own = weight_array(weight);
    if (own.type == ELEMENT_BOOL && !is_bool(array))
        return fail(list->program, GRADC_DATA, "'%s': %s has a bool that is neither 0 nor 1", list->path, own.name);
    if (own.type == array->type) {
        size_t row_bytes = (size_t)array_row_count(array) * element_size(own.type);
        for (int64_t row = 0; really && row < (array->rank ? array->shape[0] : 1); row++)
            array_copy_rows(array, &row, 1, weight->values + (size_t)row * row_bytes);
        return GRADC_OK;
    }
    double *numbers = program_allocate(list->program, (size_t)array_row_count(array) + 1, sizeof *numbers);
    if (!numbers) return fail_memory(list->program);
    bool fits = convert(array, public_dtype(weight->node->dtype), numbers, really ? weight->values : NULL);
    program_release(list->program, numbers);
    if (fits) return GRADC_OK;
    return fail(list->program, GRADC_DATA, "'%s': %s has a number that is too large for f32", list->path, own.name);
}

gradc_status weights_take(const Weights *list, const StoredArray *arrays, int count,
                          const gradc_weight_options *options, bool really) {
    StoredArray *found = program_allocate(list->program, (size_t)list->count + 1, sizeof *found);
    gradc_status status = found ? GRADC_OK : fail_memory(list->program);
    if (!status) status = weights_match(list, arrays, count, options ? options : &no_options, found);
    for (int pass = 0; pass < (really ? 2 : 1); pass++)
        for (int i = 0; i < list->count && !status; i++) status = take(list, &list->weights[i], &found[i], pass == 1);
    program_release(list->program, found);
    return status;
}

gradc_status gradc_load_with(gradc_program *program, const char *path, const gradc_weight_options *options) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    if (!options) options = &no_options;
    Weights list;
    WeightFile file = {0};
    gradc_status status = ensure_initialised(program);
    if (!status) status = weights_list(&list, program, path, program->parameters.bytes, program->states.bytes);
    if (status) return status;
    status = weight_options_check(&list, options);
    if (!status) status = open_file(program, path, &file);
    if (!status) status = weights_take(&list, file.arrays, file.count, options, true);
    close_file(program, &file);
    weights_release(&list);
    if (!status) program->version++;
    return status;
}

gradc_status gradc_load(gradc_program *program, const char *path) {
    return gradc_load_with(program, path, NULL);
}
