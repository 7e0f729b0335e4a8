// Reading and writing safetensors. What is read may be anything: each number of the header is checked before it is used.
#include "runtime/files/safetensors.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are written as they lie in memory");

// No header is longer: so say other readers of the format, too.
enum { LONGEST_HEADER = 100000000 };

static const char *const type_names[ELEMENT_COUNT] = {
    [ELEMENT_BOOL] = "BOOL", [ELEMENT_I8] = "I8",   [ELEMENT_U8] = "U8",   [ELEMENT_I16] = "I16", [ELEMENT_U16] = "U16",
    [ELEMENT_I32] = "I32",   [ELEMENT_U32] = "U32", [ELEMENT_I64] = "I64", [ELEMENT_U64] = "U64", [ELEMENT_F16] = "F16",
    [ELEMENT_BF16] = "BF16", [ELEMENT_F32] = "F32", [ELEMENT_F64] = "F64"};

static size_t bytes_of(const StoredArray *array) {
    return (size_t)array_count(array) * element_size(array->type);
}

// ---- writing

// A new array's entry of the header, or NULL without memory.
static json_t *describe(const StoredArray *array, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < array->rank; i++) {
        if (json_array_append_new(shape, json_integer(array->shape[i])) == 0) continue;
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_names[array->type], "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + bytes_of(array)));
}

static json_t *describe_all(const StoredArray *arrays, int count, const Metadata *metadata, int metadata_count) {
    json_t *header = json_object(), *texts = json_object();
    bool done = header && json_object_set_new(header, "__metadata__", texts) == 0;
    for (int i = 0; done && i < metadata_count; i++)
        done = json_object_set_new(texts, metadata[i].key, json_string(metadata[i].value)) == 0;
    size_t at = 0;
    for (int i = 0; done && i < count; i++) {
        done = json_object_set_new(header, arrays[i].name, describe(&arrays[i], at)) == 0;
        at += bytes_of(&arrays[i]);
    }
    if (done) return header;
    json_decref(header);
    return NULL;
}

// The header's text, to be freed; padded with blanks so that the elements begin on 8 bytes.
static char *header_text(json_t *header, size_t *length) {
    char *text = json_dumps(header, JSON_COMPACT);
    if (!text) return NULL;
    size_t used = strlen(text);
    *length = (used + 7) / 8 * 8;
    char *padded = realloc(text, *length + 1);
    if (!padded) free(text);
    else memset(padded + used, ' ', *length - used);
    return padded;
}

static gradc_status write_file(gradc_program *program, const char *path, const char *header, size_t length,
                               const StoredArray *arrays, int count) {
    NewFile file;
    bool done = new_file_begin(&file, path);
    if (done) {
        uint64_t size = length;
        fwrite(&size, sizeof size, 1, file.stream);
        fwrite(header, 1, length, file.stream);
        for (int i = 0; i < count; i++) fwrite(arrays[i].elements, 1, bytes_of(&arrays[i]), file.stream);
        done = new_file_finish(&file);
    }
    if (done) return GRADC_OK;
    return fail(program, GRADC_FILE, "cannot write '%s': %s", path, strerror(errno));
}

gradc_status safetensors_write(gradc_program *program, const char *path, const StoredArray *arrays, int count,
                               const Metadata *metadata, int metadata_count) {
    size_t length = 0;
    json_t *header = describe_all(arrays, count, metadata, metadata_count);
    char *text = header ? header_text(header, &length) : NULL;
    json_decref(header);
    gradc_status status = text ? write_file(program, path, text, length, arrays, count) : fail_memory(program);
    free(text);
    return status;
}

// ---- reading

// A file that is being read.
typedef struct {
    gradc_program *program;
    const char *path;
    const char *data;   // behind the header
    size_t size;        // of that
} Reader;

static gradc_status bad_file(const Reader *reader, const char *what) {
    return fail(reader->program, GRADC_DATA, "'%s' is not a weight file (safetensors): %s", reader->path, what);
}

static bool read_shape(json_t *json, StoredArray *array, int64_t *count) {
    if (!json_is_array(json) || json_array_size(json) > GRADC_MAX_RANK) return false;
    array->rank = (int)json_array_size(json);
    *count = 1;
    bool empty = false;
    for (int i = 0; i < array->rank; i++) {
        json_t *size = json_array_get(json, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0) return false;
        array->shape[i] = json_integer_value(size);
        // Sizes of an empty array are not to overflow either, whatever axes are asked for.
        if (__builtin_mul_overflow(*count, array->shape[i] ? array->shape[i] : 1, count)) return false;
        empty = empty || array->shape[i] == 0;
    }
    if (empty) *count = 0;
    return true;
}

static bool read_type(json_t *json, ElementType *type) {
    for (int i = 0; json_is_string(json) && i < ELEMENT_COUNT; i++)
        if (strcmp(json_string_value(json), type_names[i]) == 0) {
            *type = (ElementType)i;
            return true;
        }
    return false;
}

static gradc_status read_array(const Reader *reader, const char *name, json_t *json, StoredArray *array) {
    int64_t count, bytes;
    json_t *type = json_object_get(json, "dtype"), *offsets = json_object_get(json, "data_offsets");
    *array = (StoredArray){.name = name};
    if (!read_type(type, &array->type))
        return fail(reader->program, GRADC_DATA, "'%s': %s has dtype %s, which cannot be loaded", reader->path, name,
                    json_is_string(type) ? json_string_value(type) : "unknown");
    json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!read_shape(json_object_get(json, "shape"), array, &count) || json_array_size(offsets) != 2 ||
        !json_is_integer(begin) || !json_is_integer(end))
        return fail(reader->program, GRADC_DATA, "'%s': the header's entry of %s is malformed", reader->path, name);
    int64_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > reader->size)
        return fail(reader->program, GRADC_DATA, "'%s': %s lies outside the file: is it truncated?", reader->path,
                    name);
    if (__builtin_mul_overflow(count, (int64_t)element_size(array->type), &bytes) || bytes != to - from)
        return fail(reader->program, GRADC_DATA, "'%s': %s has another size than its shape says", reader->path, name);
    array->elements = reader->data + from;
    return GRADC_OK;
}

static gradc_status check_metadata(const Reader *reader, json_t *metadata) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return bad_file(reader, "its metadata are not an object");
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return bad_file(
        reader, "its metadata hold something else than texts");
    return GRADC_OK;
}

static int compare_places(const void *a, const void *b) {
    const StoredArray *x = *(const StoredArray *const *)a, *y = *(const StoredArray *const *)b;
    const char *from = x->elements, *other = y->elements;
    if (from != other) return from < other ? -1 : 1;
    return (bytes_of(x) > bytes_of(y)) - (bytes_of(x) < bytes_of(y));
}

// The arrays lie one behind the other, and nothing else is there.
static gradc_status check_places(const Reader *reader, const Safetensors *file, const StoredArray **sorted) {
    const char *end = reader->data;
    for (int i = 0; i < file->count; i++) sorted[i] = &file->arrays[i];
    qsort(sorted, (size_t)file->count, sizeof *sorted, compare_places);
    for (int i = 0; i < file->count; i++) {
        const char *begin = sorted[i]->elements;
        if (begin != end)
            return fail(reader->program, GRADC_DATA, "'%s': %s %s", reader->path, sorted[i]->name,
                        begin < end ? "overlaps with another array" : "has bytes before it that belong to no array");
        end = begin + bytes_of(sorted[i]);
    }
    if (end == reader->data + reader->size) return GRADC_OK;
    return fail(reader->program, GRADC_DATA, "'%s' has %zu bytes more than its arrays", reader->path,
                (size_t)(reader->data + reader->size - end));
}

static gradc_status read_arrays(const Reader *reader, Safetensors *file) {
    size_t size = json_object_size(file->header) + 1;
    const char *name;
    json_t *json;
    file->arrays = calloc(size, sizeof *file->arrays);
    const StoredArray **sorted = calloc(size, sizeof *sorted);
    gradc_status status = file->arrays && sorted ? GRADC_OK : fail_memory(reader->program);
    if (!status) json_object_foreach((json_t *)file->header, name, json) {
            bool is_array = strcmp(name, "__metadata__") != 0;
            status =
                is_array ? read_array(reader, name, json, &file->arrays[file->count]) : check_metadata(reader, json);
            if (status) break;
            file->count += is_array;
        }
    if (!status) status = check_places(reader, file, sorted);
    free(sorted);
    return status;
}

static gradc_status parse(Reader *reader, size_t length, Safetensors *file) {
    uint64_t size;
    if (length >= 4 && memcmp(file->bytes, "PK\3\4", 4) == 0)
        return bad_file(reader, "it is a zip archive; numpy.savez files are to end in .npz, and what torch.save wrote "
                                "is to be saved by safetensors.torch.save_file(model.state_dict(), ...)");
    if (length < sizeof size) return bad_file(reader, "it is shorter than 8 bytes");
    memcpy(&size, file->bytes, sizeof size);
    if (size > length - sizeof size) return bad_file(reader, "its header is longer than the file");
    if (size > LONGEST_HEADER) return bad_file(reader, "its header is longer than 100 MB");
    json_error_t error;
    file->header = json_loadb(file->bytes + sizeof size, (size_t)size, JSON_REJECT_DUPLICATES, &error);
    if (!file->header && json_error_code(&error) == json_error_out_of_memory) return fail_memory(reader->program);
    if (!file->header) return bad_file(reader, error.text);
    if (!json_is_object((json_t *)file->header)) return bad_file(reader, "its header is not an object");
    reader->data = file->bytes + sizeof size + size;
    reader->size = length - sizeof size - (size_t)size;
    return read_arrays(reader, file);
}

gradc_status safetensors_read(gradc_program *program, const char *path, Safetensors *file) {
    Reader reader = {.program = program, .path = path};
    size_t length;
    *file = (Safetensors){.bytes = read_whole_file(path, &length)};
    if (file->bytes) return parse(&reader, length, file);
    if (errno == ENOMEM) return fail_memory(program);
    return fail(program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
}

void safetensors_close(Safetensors *file) {
    free(file->bytes);
    free(file->arrays);
    json_decref(file->header);
    *file = (Safetensors){0};
}

const char *safetensors_metadata(const Safetensors *file, const char *key) {
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}
