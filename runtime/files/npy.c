// NumPy's files of one array: six bytes that say so, the format's version, and the array's dtype and shape as a Python
// dict; then the elements. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include "runtime/files/npy.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";

// ---- dtypes

static const struct {
    const char *code;
    ElementType type;
} codes[] = {{"b1", ELEMENT_BOOL}, {"i1", ELEMENT_I8},  {"u1", ELEMENT_U8},  {"i2", ELEMENT_I16},
             {"u2", ELEMENT_U16},  {"i4", ELEMENT_I32}, {"u4", ELEMENT_U32}, {"i8", ELEMENT_I64},
             {"u8", ELEMENT_U64},  {"f2", ELEMENT_F16}, {"f4", ELEMENT_F32}, {"f8", ELEMENT_F64}};

// What is wrong with a dtype that cannot be read.
static const struct {
    char kind;
    const char *what;
} refused[] = {{'O', "holds Python objects; save it as numbers: x.astype('f4')"},
               {'U', "holds texts, not numbers"},
               {'S', "holds texts, not numbers"},
               {'a', "holds texts, not numbers"},
               {'c', "holds complex numbers; save x.real and x.imag"},
               {'M', "holds dates; save them as numbers: x.astype('i8')"},
               {'m', "holds times; save them as numbers: x.astype('i8')"},
               {'V', "holds bytes of no type, not numbers"},
               {'f', "holds floats of a size that is not supported; save it as x.astype('f8')"}};

static gradc_status find_type(gradc_program *program, const char *where, const char *descr, ElementType *type) {
    char order = descr[0];
    bool prefixed = order && strchr("<>|=", order);
    const char *code = descr + prefixed;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(codes[i].code, code) != 0) continue;
        *type = codes[i].type;
        if (order != '>' || element_size(*type) == 1) return GRADC_OK;
        return fail(program, GRADC_DATA, "%s holds big-endian numbers ('%s'); save it as x.astype('<%s')", where, descr,
                    code);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].kind == code[0])
            return fail(program, GRADC_DATA, "%s %s (its dtype is '%s')", where, refused[i].what, descr);
    return fail(program, GRADC_DATA, "%s has the dtype '%s', which is not supported", where, descr);
}

// ---- the dict

typedef struct {
    const char *at, *end;
    const char *fault;   // or NULL
} Dict;

static void skip_blanks(Dict *dict) {
    while (dict->at < dict->end && strchr(" \t\r\n", *dict->at) && *dict->at) dict->at++;
}

static bool take(Dict *dict, char wanted) {
    skip_blanks(dict);
    if (dict->at == dict->end || *dict->at != wanted) return false;
    dict->at++;
    return true;
}

static bool take_word(Dict *dict, const char *word) {
    skip_blanks(dict);
    size_t length = strlen(word);
    if ((size_t)(dict->end - dict->at) < length || memcmp(dict->at, word, length) != 0) return false;
    dict->at += length;
    return true;
}

enum { TEXT_SIZE = 64 };

static bool take_text(Dict *dict, char text[TEXT_SIZE]) {
    skip_blanks(dict);
    if (dict->at == dict->end || (*dict->at != '\'' && *dict->at != '"')) return false;
    char quote = *dict->at++;
    size_t length = 0;
    while (dict->at < dict->end && *dict->at != quote) {
        if (length == TEXT_SIZE - 1) return false;
        text[length++] = *dict->at++;
    }
    text[length] = 0;
    return take(dict, quote);
}

// A tuple of sizes, whose last comma may be there or not; Python 2 wrote an L behind large numbers.
static bool take_shape(Dict *dict, StoredArray *array) {
    array->rank = 0;
    if (!take(dict, '(')) return false;
    while (!take(dict, ')')) {
        skip_blanks(dict);
        int64_t size = 0;
        const char *begin = dict->at;
        for (; dict->at < dict->end && *dict->at >= '0' && *dict->at <= '9'; dict->at++)
            if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, *dict->at - '0', &size))
                return false;
        if (dict->at == begin) return false;
        take(dict, 'L');
        if (array->rank < GRADC_MAX_RANK) array->shape[array->rank] = size;
        array->rank++;
        if (take(dict, ',')) continue;
        return take(dict, ')');
    }
    return true;
}

typedef struct {
    char descr[TEXT_SIZE];
    bool has_descr, has_order, has_shape, structured;
} Found;

static bool take_entry(Dict *dict, StoredArray *array, Found *found) {
    char key[TEXT_SIZE];
    if (!take_text(dict, key) || !take(dict, ':')) return false;
    if (strcmp(key, "descr") == 0) {
        skip_blanks(dict);
        found->structured = dict->at < dict->end && *dict->at == '[';
        return !found->structured && (found->has_descr = take_text(dict, found->descr));
    }
    if (strcmp(key, "fortran_order") == 0) {
        array->first_fastest = take_word(dict, "True");
        return (found->has_order = array->first_fastest || take_word(dict, "False"));
    }
    return strcmp(key, "shape") == 0 && (found->has_shape = take_shape(dict, array));
}

static gradc_status read_dict(gradc_program *program, const char *where, const char *text, size_t length,
                              StoredArray *array) {
    Dict dict = {.at = text, .end = text + length};
    Found found = {0};
    bool fine = take(&dict, '{');
    while (fine && !take(&dict, '}')) {
        fine = take_entry(&dict, array, &found);
        if (fine && !take(&dict, ',')) {
            fine = take(&dict, '}');
            break;
        }
    }
    if (found.structured)
        return fail(program, GRADC_DATA, "%s is a structured array, with named fields; save each field as an array",
                    where);
    if (!fine || !found.has_descr || !found.has_order || !found.has_shape)
        return fail(program, GRADC_DATA, "%s is damaged: its head cannot be read", where);
    if (array->rank > GRADC_MAX_RANK)
        return fail(program, GRADC_DATA, "%s has %d axes, and at most %d are supported", where, array->rank,
                    GRADC_MAX_RANK);
    return find_type(program, where, found.descr, &array->type);
}

// ---- the head

// Bytes of the elements; -1: more than can be counted.
static int64_t byte_count(const StoredArray *array) {
    int64_t bytes = (int64_t)element_size(array->type);
    bool empty = false, overflow = false;
    for (int i = 0; i < array->rank; i++) empty = empty || array->shape[i] == 0;
    // Sizes of an empty array are not to overflow either, whatever axes are asked for.
    for (int i = 0; i < array->rank; i++)
        overflow = __builtin_mul_overflow(bytes, array->shape[i] ? array->shape[i] : 1, &bytes) || overflow;
    return overflow ? -1 : empty ? 0 : bytes;
}

static gradc_status check_size(gradc_program *program, const char *where, const StoredArray *array, int64_t bytes) {
    int64_t wanted = byte_count(array);
    if (bytes == wanted) return GRADC_OK;
    if (wanted < 0) return fail(program, GRADC_DATA, "%s is damaged: its shape is too large to be true", where);
    return fail(program, GRADC_DATA, "%s is %s: it should have %lld bytes of elements, and has %lld", where,
                bytes < wanted ? "truncated" : "longer than its head says", (long long)wanted, (long long)bytes);
}

gradc_status npy_read_head(gradc_program *program, const char *where, const unsigned char *bytes, size_t available,
                           int64_t size, StoredArray *array, size_t *offset) {
    size_t begin = 0, length = 0;
    if (size == 0) return fail(program, GRADC_DATA, "%s is empty", where);
    if (available < 6 || memcmp(bytes, magic, 6) != 0)
        return fail(program, GRADC_DATA, "%s is not a npy file: it does not begin with \\x93NUMPY", where);
    if (available > 6 && (bytes[6] < 1 || bytes[6] > 3))
        return fail(program, GRADC_DATA, "%s is of version %d of the format; 1 to 3 are known", where, bytes[6]);
    if (available >= 12) {
        begin = bytes[6] == 1 ? 10 : 12;
        length = bytes[8] | (size_t)bytes[9] << 8;
        if (bytes[6] > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    if (available < 12 || (int64_t)(begin + length) > size)
        return fail(program, GRADC_DATA, "%s is truncated in its head", where);
    if (begin + length > available)
        return fail(program, GRADC_DATA, "%s is damaged: its head is said to have %zu bytes", where, length);
    *offset = begin + length;
    gradc_status status = read_dict(program, where, (const char *)bytes + begin, length, array);
    return status ? status : check_size(program, where, array, size - (int64_t)*offset);
}

// ---- writing

static const char *code_of(ElementType type) {
    size_t i = 0;
    while (codes[i].type != type) i++;
    return codes[i].code;
}

size_t npy_make_head(const StoredArray *array, char head[NPY_HEAD_SIZE]) {
    char *text = head + 10;
    int room = NPY_HEAD_SIZE - 10;
    int length = snprintf(text, (size_t)room, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                          element_size(array->type) == 1 ? '|' : '<', code_of(array->type));
    for (int i = 0; i < array->rank; i++)
        length += snprintf(text + length, (size_t)(room - length), "%s%lld", i ? ", " : "", (long long)array->shape[i]);
    length += snprintf(text + length, (size_t)(room - length), "%s), }", array->rank == 1 ? "," : "");
    // Blanks up to a multiple of 64, the last of them a newline.
    size_t size = ((size_t)length + 11 + 63) / 64 * 64;
    memset(text + length, ' ', size - 10 - (size_t)length);
    head[size - 1] = '\n';
    memcpy(head, magic, 6);
    memcpy(head + 6, (char[]){1, 0, (char)((size - 10) & 255), (char)((size - 10) >> 8)}, 4);
    return size;
}

gradc_status npy_write(gradc_program *program, const char *path, const StoredArray *array) {
    char head[NPY_HEAD_SIZE];
    size_t length = npy_make_head(array, head), bytes = (size_t)byte_count(array);
    NewFile file;
    bool written = new_file_begin(&file, path);
    if (written) {
        written = fwrite(head, 1, length, file.stream) == length &&
                  (!bytes || fwrite(array->elements, 1, bytes, file.stream) == bytes);
        int error = errno;
        if (written) written = new_file_finish(&file);
        else new_file_discard(&file), errno = error;
    }
    return written ? GRADC_OK : fail(program, GRADC_FILE, "cannot write '%s': %s", path, strerror(errno));
}
