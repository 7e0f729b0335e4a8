// NumPy's files of several arrays: a zip archive in which each array is a npy file, called by its name. libzip does the
// archive, npy.c what is in it.
#include "runtime/files/npz.h"
#include "runtime/files/npy.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

static const char suffix[] = ".npy";

typedef struct {
    char *name;   // without the suffix
    zip_uint64_t entry;
    int64_t size;   // of the npy file, unpacked
} Member;

struct Npz {
    gradc_program *program;
    const char *path;
    zip_t *zip;
    int count;
    Member *members;
};

// ---- reading

static gradc_status refuse(gradc_program *program, const char *path, const char *why) {
    return fail(program, GRADC_DATA, "%s is not a npz file: %s", path, why);
}

static gradc_status list_members(Npz *npz) {
    zip_int64_t count = zip_get_num_entries(npz->zip, 0);
    npz->members = calloc((size_t)count + 1, sizeof *npz->members);
    if (!npz->members) return fail_memory(npz->program);
    for (zip_int64_t i = 0; i < count; i++) {
        zip_stat_t stat;
        zip_stat_init(&stat);
        if (zip_stat_index(npz->zip, (zip_uint64_t)i, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_NAME)) continue;
        size_t length = strlen(stat.name), end = strlen(suffix);
        if (length < end || strcmp(stat.name + length - end, suffix) != 0) continue;
        Member *member = &npz->members[npz->count];
        *member = (Member){strndup(stat.name, length - end), (zip_uint64_t)i,
                           stat.valid & ZIP_STAT_SIZE ? (int64_t)stat.size : -1};
        if (!member->name) return fail_memory(npz->program);
        npz->count++;
    }
    return npz->count ? GRADC_OK : refuse(npz->program, npz->path, "the archive has no array");
}

static gradc_status open_zip(Npz *npz) {
    struct stat status;
    int error = 0;
    bool there = stat(npz->path, &status) == 0;
    if (there && S_ISDIR(status.st_mode)) errno = EISDIR;
    if (!there || S_ISDIR(status.st_mode))
        return fail(npz->program, GRADC_FILE, "cannot read '%s': %s", npz->path, strerror(errno));
    if (status.st_size == 0) return fail(npz->program, GRADC_DATA, "%s is empty", npz->path);
    npz->zip = zip_open(npz->path, ZIP_RDONLY, &error);
    if (npz->zip) return GRADC_OK;
    int number = errno;
    if (error == ZIP_ER_MEMORY) return fail_memory(npz->program);
    if (error == ZIP_ER_OPEN || error == ZIP_ER_READ)
        return fail(npz->program, GRADC_FILE, "cannot read '%s': %s", npz->path, strerror(number));
    zip_error_t text;
    zip_error_init_with_code(&text, error);
    gradc_status result = refuse(npz->program, npz->path, zip_error_strerror(&text));
    zip_error_fini(&text);
    return result;
}

gradc_status npz_open(gradc_program *program, const char *path, Npz **npz) {
    *npz = calloc(1, sizeof **npz);
    if (!*npz) return fail_memory(program);
    (*npz)->program = program;
    (*npz)->path = path;
    gradc_status status = open_zip(*npz);
    if (!status) status = list_members(*npz);
    if (!status) return GRADC_OK;
    npz_close(*npz);
    *npz = NULL;
    return status;
}

void npz_close(Npz *npz) {
    if (!npz) return;
    if (npz->zip) zip_discard(npz->zip);
    for (int i = 0; i < npz->count; i++) free(npz->members[i].name);
    free(npz->members);
    free(npz);
}

int npz_count(const Npz *npz) {
    return npz->count;
}

const char *npz_name(const Npz *npz, int index) {
    return npz->members[index].name;
}

int npz_find(const Npz *npz, const char *name) {
    for (int i = 0; i < npz->count; i++)
        if (strcmp(npz->members[i].name, name) == 0) return i;
    return -1;
}

static gradc_status damaged(const Npz *npz, const Member *member, const char *why) {
    return fail(npz->program, GRADC_DATA, "%s, array '%s' cannot be unpacked: %s", npz->path, member->name, why);
}

// Reads `size` bytes; fewer are an error. libzip checks the sum of the whole at its end.
static gradc_status unpack(Npz *npz, const Member *member, zip_file_t *file, char *bytes, int64_t size) {
    for (int64_t done = 0; done < size;) {
        zip_int64_t got = zip_fread(file, bytes + done, (zip_uint64_t)(size - done));
        if (got < 0) return damaged(npz, member, zip_file_strerror(file));
        if (got == 0) return damaged(npz, member, "it is truncated");
        done += got;
    }
    return GRADC_OK;
}

// The first `wanted` bytes of the member, or all where there are fewer; free(*bytes).
static gradc_status unpack_member(Npz *npz, const Member *member, int64_t wanted, char **bytes, int64_t *length) {
    *bytes = NULL;
    if (member->size < 0) return damaged(npz, member, "its size is not known");
    *length = member->size < wanted ? member->size : wanted;
    zip_file_t *file = zip_fopen_index(npz->zip, member->entry, 0);
    if (!file) return damaged(npz, member, zip_strerror(npz->zip));
    *bytes = malloc((size_t)*length + 1);
    gradc_status status = *bytes ? unpack(npz, member, file, *bytes, *length) : fail_memory(npz->program);
    char end;
    if (!status && *length == member->size && zip_fread(file, &end, 1) != 0)
        status = damaged(npz, member, zip_file_strerror(file));
    zip_fclose(file);
    if (!status) return GRADC_OK;
    free(*bytes);
    *bytes = NULL;
    return status;
}

static gradc_status read_head(Npz *npz, int index, const char *bytes, int64_t length, StoredArray *array,
                              size_t *offset) {
    const Member *member = &npz->members[index];
    size_t size = strlen(npz->path) + strlen(member->name) + 16;
    char *where = malloc(size);
    if (!where) return fail_memory(npz->program);
    snprintf(where, size, "%s, array '%s'", npz->path, member->name);
    *array = (StoredArray){0};
    gradc_status status =
        npy_read_head(npz->program, where, (const unsigned char *)bytes, (size_t)length, member->size, array, offset);
    array->name = member->name;
    free(where);
    return status;
}

gradc_status npz_describe(Npz *npz, int index, StoredArray *array) {
    char *bytes;
    int64_t length;
    size_t offset;
    gradc_status status = unpack_member(npz, &npz->members[index], NPY_LONGEST_HEAD, &bytes, &length);
    if (!status) status = read_head(npz, index, bytes, length, array, &offset);
    free(bytes);
    return status;
}

gradc_status npz_read(Npz *npz, int index, StoredArray *array, void **bytes) {
    char *unpacked;
    int64_t length;
    size_t offset;
    *bytes = NULL;
    gradc_status status = npz_describe(npz, index, array);   // before so much memory is taken
    if (status) return status;
    status = unpack_member(npz, &npz->members[index], INT64_MAX, &unpacked, &length);
    if (!status) status = read_head(npz, index, unpacked, length, array, &offset);
    if (status) {
        free(unpacked);
        return status;
    }
    array->elements = unpacked + offset;
    *bytes = unpacked;
    return GRADC_OK;
}

// ---- writing

// libzip reads it when the archive is closed: head and elements as one block, which libzip then frees.
static zip_source_t *member_source(zip_t *zip, const StoredArray *array) {
    char head[NPY_HEAD_SIZE];
    size_t length = npy_make_head(array, head), bytes = (size_t)array_count(array) * element_size(array->type);
    char *block = malloc(length + bytes);
    if (!block) return NULL;
    memcpy(block, head, length);
    if (bytes) memcpy(block + length, array->elements, bytes);
    zip_source_t *source = zip_source_buffer(zip, block, length + bytes, 1);
    if (!source) free(block);
    return source;
}

static bool add_member(zip_t *zip, const StoredArray *array) {
    enum { FIRST_OF_1980 = 1 << 5 | 1 };   // the earliest day that a zip archive can say
    size_t size = strlen(array->name) + sizeof suffix;
    char *name = malloc(size);
    zip_source_t *source = name ? member_source(zip, array) : NULL;
    zip_int64_t index = -1;
    if (source) {
        snprintf(name, size, "%s%s", array->name, suffix);
        index = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
        if (index < 0) zip_source_free(source);
    }
    free(name);
    return index >= 0 && zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(zip, (zip_uint64_t)index, 0, FIRST_OF_1980, 0) == 0;
}

// Makes the archive in memory, so that the file can be written and flushed as all others are.
static bool make_archive(zip_source_t *archive, const StoredArray *arrays, int count) {
    zip_t *zip = zip_open_from_source(archive, ZIP_TRUNCATE, NULL);
    if (!zip) return false;
    zip_source_keep(archive);   // the archive lives on when it is closed
    bool fine = true;
    for (int i = 0; i < count && fine; i++) fine = add_member(zip, &arrays[i]);
    if (fine && zip_close(zip) == 0) return true;
    zip_discard(zip);
    return false;
}

static bool copy_out(zip_source_t *archive, FILE *stream) {
    char buffer[1 << 14];
    zip_int64_t got = -1;
    if (zip_source_open(archive) != 0) return false;
    while ((got = zip_source_read(archive, buffer, sizeof buffer)) > 0)
        if (fwrite(buffer, 1, (size_t)got, stream) != (size_t)got) break;
    int error = errno;
    zip_source_close(archive);
    errno = error;
    return got == 0;
}

gradc_status npz_write(gradc_program *program, const char *path, const StoredArray *arrays, int count) {
    if (!count) return fail(program, GRADC_ARGUMENT, "there is no array to write into '%s'", path);
    zip_source_t *archive = zip_source_buffer_create(NULL, 0, 0, NULL);
    if (!archive) return fail_memory(program);
    if (!make_archive(archive, arrays, count)) {
        zip_source_free(archive);
        return fail_memory(program);
    }
    NewFile file;
    bool written = new_file_begin(&file, path);
    if (written) {
        written = copy_out(archive, file.stream);
        int error = errno;
        if (written) written = new_file_finish(&file);
        else new_file_discard(&file), errno = error;
    }
    int error = errno;
    zip_source_free(archive);
    return written ? GRADC_OK : fail(program, GRADC_FILE, "cannot write '%s': %s", path, strerror(error));
}
