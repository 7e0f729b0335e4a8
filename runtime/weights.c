// Weight files: safetensors. Eight bytes hold the length of a JSON header, little-endian; the header says each tensor's
// dtype, shape and place; the numbers follow, row-major and little-endian.
#include "runtime/internal.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are written as they lie in memory");

// One parameter or state, as the file knows it.
typedef struct {
    const char *path;
    const Node *node;
    char *values;   // in the program's flat arrays
    int64_t count;
} Weight;

typedef struct {
    gradc_program *program;
    const char *path;   // of the file
    Weight *weights;
    int count;
} Weights;

static gradc_status list_weights(Weights *list, gradc_program *program, const char *path) {
    const Program *elaborated = program->program;
    size_t count = (size_t)elaborated->parameters.count + (size_t)elaborated->states.count;
    *list = (Weights){.program = program, .path = path, .weights = calloc(count + 1, sizeof(Weight))};
    if (!list->weights) return fail_memory(program);
    for (int i = 0; i < elaborated->parameters.count; i++) {
        const Parameter *parameter = elaborated->parameters.items[i];
        int64_t offset = parameter->offset * dtype_size(parameter->variable->dtype);
        list->weights[list->count++] = (Weight){parameter->path, parameter->variable,
                                                (char *)program->parameters.bytes + offset, parameter->count};
    }
    for (int i = 0; i < elaborated->states.count; i++) {
        const State *state = elaborated->states.items[i];
        int64_t offset = state->offset * dtype_size(state->variable->dtype);
        list->weights[list->count++] =
            (Weight){state->path, state->variable, (char *)program->states.bytes + offset, state->count};
    }
    return GRADC_OK;
}

static const char *const file_dtypes[] = {
    [DTYPE_F32] = "F32", [DTYPE_F64] = "F64", [DTYPE_I32] = "I32", [DTYPE_I64] = "I64", [DTYPE_BOOL] = "BOOL"};

static size_t bytes_of(const Weight *weight) {
    return (size_t)weight->count * (size_t)dtype_size(weight->node->dtype);
}

// ---- saving

// A new tensor's entry of the header, or NULL without memory.
static json_t *describe(const Weight *weight, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < weight->node->rank; i++) {
        int64_t size = 0;
        extent_is_constant(weight->node->shape[i], &size);
        if (json_array_append_new(shape, json_integer(size)) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", file_dtypes[weight->node->dtype], "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + bytes_of(weight)));
}

// The header's text, to be freed; padded with blanks so that the numbers begin on 8 bytes.
static char *header_of(const Weights *list, size_t *length) {
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "gradc");
    bool done = header != NULL;
    size_t at = 0;
    for (int i = 0; done && i < list->count; i++) {
        done = json_object_set_new(header, list->weights[i].path, describe(&list->weights[i], at)) == 0;
        at += bytes_of(&list->weights[i]);
    }
    char *text = done ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!text) return NULL;
    *length = (strlen(text) + 7) / 8 * 8;
    char *padded = malloc(*length + 1);
    if (padded) {
        memset(padded, ' ', *length);
        memcpy(padded, text, strlen(text));
    }
    free(text);
    return padded;
}

static void write_weights(const Weights *list, const char *header, size_t length, FILE *stream) {
    uint64_t size = length;
    fwrite(&size, sizeof size, 1, stream);
    fwrite(header, 1, length, stream);
    for (int i = 0; i < list->count; i++) fwrite(list->weights[i].values, 1, bytes_of(&list->weights[i]), stream);
}

static gradc_status save(const Weights *list) {
    size_t length;
    char *header = header_of(list, &length);
    if (!header) return fail_memory(list->program);
    NewFile file;
    bool done = new_file_begin(&file, list->path);
    if (done) {
        write_weights(list, header, length, file.stream);
        done = new_file_finish(&file);
    }
    free(header);
    if (done) return GRADC_OK;
    return fail(list->program, GRADC_FILE, "cannot write '%s': %s", list->path, strerror(errno));
}

gradc_status gradc_save(gradc_program *program, const char *path) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    Weights list;
    gradc_status status = ensure_initialised(program);
    if (!status) status = list_weights(&list, program, path);
    if (status) return status;
    status = save(&list);
    free(list.weights);
    return status;
}

// ---- loading

static gradc_status bad_file(const Weights *list, const char *what) {
    return fail(list->program, GRADC_DATA, "'%s' is not a weight file (safetensors): %s", list->path, what);
}

// What the header says of one tensor, checked against the file.
typedef struct {
    Dtype dtype;
    int rank;
    int64_t shape[MAX_RANK];
    const char *values;
} Stored;

static bool read_shape(json_t *json, Stored *stored, int64_t *count) {
    if (!json_is_array(json) || json_array_size(json) > MAX_RANK) return false;
    stored->rank = (int)json_array_size(json);
    *count = 1;
    for (int i = 0; i < stored->rank; i++) {
        json_t *size = json_array_get(json, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0) return false;
        stored->shape[i] = json_integer_value(size);
        if (__builtin_mul_overflow(*count, stored->shape[i], count)) return false;
    }
    return true;
}

static bool read_dtype(json_t *json, Dtype *dtype) {
    for (int i = DTYPE_F32; json_is_string(json) && i <= DTYPE_BOOL; i++)
        if (strcmp(json_string_value(json), file_dtypes[i]) == 0) {
            *dtype = (Dtype)i;
            return true;
        }
    return false;
}

static gradc_status read_stored(const Weights *list, const char *name, json_t *json, const char *data, size_t size,
                                Stored *stored) {
    int64_t count;
    json_t *dtype = json_object_get(json, "dtype"), *offsets = json_object_get(json, "data_offsets");
    if (!read_dtype(dtype, &stored->dtype))
        return fail(list->program, GRADC_DATA, "'%s': %s has dtype %s, which cannot be loaded", list->path, name,
                    json_is_string(dtype) ? json_string_value(dtype) : "unknown");
    json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!read_shape(json_object_get(json, "shape"), stored, &count) || json_array_size(offsets) != 2 ||
        !json_is_integer(begin) || !json_is_integer(end))
        return fail(list->program, GRADC_DATA, "'%s': the header's entry of %s is malformed", list->path, name);
    int64_t from = json_integer_value(begin), to = json_integer_value(end), bytes;
    if (from < 0 || to < from || (uint64_t)to > size)
        return fail(list->program, GRADC_DATA, "'%s': %s lies outside the file: is it truncated?", list->path, name);
    if (__builtin_mul_overflow(count, (int64_t)dtype_size(stored->dtype), &bytes) || bytes != to - from)
        return fail(list->program, GRADC_DATA, "'%s': %s has another size than its shape says", list->path, name);
    stored->values = data + from;
    return GRADC_OK;
}

static gradc_status check_fits(const Weights *list, const Weight *weight, const Stored *stored) {
    const Node *node = weight->node;
    int64_t shape[MAX_RANK];
    bool same = stored->rank == node->rank;
    for (int i = 0; i < node->rank; i++) {
        extent_is_constant(node->shape[i], &shape[i]);
        same = same && shape[i] == stored->shape[i];
    }
    bool converts = stored->dtype == node->dtype || (dtype_is_float(stored->dtype) && dtype_is_float(node->dtype));
    if (same && converts) return GRADC_OK;
    char here[SHAPE_TEXT], there[SHAPE_TEXT];
    return fail(list->program, GRADC_DATA, "'%s': %s is %s there, but %s in the program", list->path, weight->path,
                shape_text(there, public_dtype(stored->dtype), stored->rank, stored->shape),
                shape_text(here, public_dtype(node->dtype), node->rank, shape));
}

static void store(const Weight *weight, const Stored *stored) {
    if (stored->dtype == weight->node->dtype) {
        if (weight->count) memcpy(weight->values, stored->values, bytes_of(weight));
        return;
    }
    for (int64_t i = 0; i < weight->count; i++) {
        float single;
        double real;
        if (stored->dtype == DTYPE_F64) {   // the file's numbers need not be aligned
            memcpy(&real, stored->values + i * 8, 8);
            ((float *)weight->values)[i] = (float)real;
        } else {
            memcpy(&single, stored->values + i * 4, 4);
            ((double *)weight->values)[i] = single;
        }
    }
}

// The length of the root that all paths share, with its point: 4 for "mlp.W", "mlp.b"; 0: there is none.
static size_t shared_root(const Weights *list) {
    const char *point = list->count ? strchr(list->weights[0].path, '.') : NULL;
    size_t length = point ? (size_t)(point - list->weights[0].path) + 1 : 0;
    for (int i = 1; i < list->count; i++)
        if (strncmp(list->weights[i].path, list->weights[0].path, length) != 0) return 0;
    return length;
}

static json_t *find(json_t *header, const Weight *weight, size_t root) {
    json_t *json = json_object_get(header, weight->path);
    return json ? json : json_object_get(header, weight->path + root);
}

static gradc_status check_names(const Weights *list, json_t *header, size_t root) {
    for (int i = 0; i < list->count; i++)
        if (!find(header, &list->weights[i], root))
            return fail(list->program, GRADC_DATA, "'%s' has no %s, which the program needs", list->path,
                        list->weights[i].path);
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        bool known = strcmp(name, "__metadata__") == 0;
        for (int i = 0; i < list->count && !known; i++) known = find(header, &list->weights[i], root) == value;
        if (!known)
            return fail(list->program, GRADC_DATA, "'%s' has %s, which the program does not know", list->path, name);
    }
    return GRADC_OK;
}

// Everything is checked before the first number is stored.
static gradc_status load_tensors(const Weights *list, json_t *header, const char *data, size_t size) {
    size_t root = shared_root(list);
    gradc_status status = check_names(list, header, root);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < list->count && !status; i++) {
            const Weight *weight = &list->weights[i];
            Stored stored;
            json_t *json = find(header, weight, root);
            status = read_stored(list, weight->path, json, data, size, &stored);
            if (!status) status = check_fits(list, weight, &stored);
            if (!status && pass == 1) store(weight, &stored);
        }
    return status;
}

static gradc_status load(const Weights *list, const char *bytes, size_t length) {
    uint64_t size;
    if (length < sizeof size) return bad_file(list, "it is shorter than 8 bytes");
    memcpy(&size, bytes, sizeof size);
    if (size > length - sizeof size) return bad_file(list, "its header is longer than the file");
    json_error_t error;
    json_t *header = json_loadb(bytes + sizeof size, (size_t)size, JSON_REJECT_DUPLICATES, &error);
    if (!header) return bad_file(list, error.text);
    gradc_status status = json_is_object(header)
                              ? load_tensors(list, header, bytes + sizeof size + size, length - sizeof size - size)
                              : bad_file(list, "its header is not an object");
    json_decref(header);
    return status;
}

gradc_status gradc_load(gradc_program *program, const char *path) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    size_t length;
    Weights list;
    gradc_status status = ensure_initialised(program);
    if (!status) status = list_weights(&list, program, path);
    if (status) return status;
    char *bytes = read_whole_file(path, &length);
    status =
        bytes ? load(&list, bytes, length) : fail(program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
    free(bytes);
    free(list.weights);
    if (!status) program->version++;
    return status;
}
