// The files of a data block: which format each has, which tables and arrays are in it.
#include "runtime/data.h"
#include "runtime/files/npy.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static gradc_status cannot_read(const DataSet *data, const char *path) {
    if (errno == ENOMEM) return fail_memory(data->program);
    return fail(data->program, GRADC_FILE, "cannot read '%s', which data %s needs: %s", path, data->block->name,
                strerror(errno));
}

// ---- formats

typedef enum { FORMAT_CSV, FORMAT_NPY, FORMAT_NPZ, FORMAT_REFUSED } Format;

// By what files begin with.
static const struct {
    const char *bytes;
    int length;
    Format format;
    const char *what;   // of what is refused
} beginnings[] = {
    {"\x93NUMPY", 6, FORMAT_NPY, NULL},
    {"PK\3\4", 4, FORMAT_NPZ, NULL},
    {"PK\5\6", 4, FORMAT_NPZ, NULL},
    {"\x1F\x8B", 2, FORMAT_REFUSED, "is compressed: unpack it with gunzip"},
    {"\xFF\xFE", 2, FORMAT_REFUSED, "is UTF-16 text: save it as UTF-8"},
    {"\xFE\xFF", 2, FORMAT_REFUSED, "is UTF-16 text: save it as UTF-8"},
    {"PAR1", 4, FORMAT_REFUSED, "is a Parquet file: save it as CSV, npy or npz"},
    {"\x89HDF", 4, FORMAT_REFUSED, "is an HDF5 file: save it as CSV, npy or npz"},
    {"\x89PNG", 4, FORMAT_REFUSED, "is a picture: save its pixels as npy"},
    {"\xFF\xD8\xFF", 3, FORMAT_REFUSED, "is a picture: save its pixels as npy"},
    {"\x80\2", 2, FORMAT_REFUSED, "is a pickle of Python: save it with numpy.save or numpy.savez"},
    {"\x80\3", 2, FORMAT_REFUSED, "is a pickle of Python: save it with numpy.save or numpy.savez"},
    {"\x80\4", 2, FORMAT_REFUSED, "is a pickle of Python: save it with numpy.save or numpy.savez"},
    {"\x80\5", 2, FORMAT_REFUSED, "is a pickle of Python: save it with numpy.save or numpy.savez"},
};

// The first bytes of a file. A pipe's are not taken from it, nor is it opened: it has none here.
static bool peek(const char *path, char begin[8], size_t *length) {
    struct stat status;
    *length = 0;
    if (stat(path, &status) != 0) return false;
    if (S_ISDIR(status.st_mode)) return errno = EISDIR, false;
    if (!S_ISREG(status.st_mode)) return access(path, R_OK) == 0;
    FILE *stream = fopen(path, "rb");
    if (!stream) return false;
    *length = fread(begin, 1, 8, stream);
    bool fine = !ferror(stream);
    int error = errno;
    fclose(stream);
    errno = error;
    return fine;
}

// By the file's name where that says it, else by its first bytes.
static gradc_status find_format(const DataSet *data, const char *path, Format *format) {
    char begin[8] = "";
    size_t length;
    if (!peek(path, begin, &length)) return cannot_read(data, path);
    *format = path_ends(path, ".npy") ? FORMAT_NPY : path_ends(path, ".npz") ? FORMAT_NPZ : FORMAT_CSV;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings && *format == FORMAT_CSV; i++) {
        size_t count = (size_t)beginnings[i].length;
        if (count > length || memcmp(begin, beginnings[i].bytes, count) != 0) continue;
        *format = beginnings[i].format;
        if (*format == FORMAT_REFUSED) return fail(data->program, GRADC_DATA, "%s %s", path, beginnings[i].what);
    }
    return GRADC_OK;
}

// ---- opening

static const char *name_of_file(DataSet *data, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    return arena_copy_text(data->arena, name, path_ends(name, ".npy") ? length - 4 : length);
}

static SourceArray *add_array(DataSet *data, const char *path, const char *name) {
    Sources *sources = &data->sources;
    SourceArray *grown = arena_array(data->arena, SourceArray, sources->array_count + 1);
    if (sources->array_count) memcpy(grown, sources->arrays, sizeof *grown * (size_t)sources->array_count);
    sources->arrays = grown;
    SourceArray *array = &grown[sources->array_count++];
    *array = (SourceArray){.path = path, .name = name};
    return array;
}

static gradc_status open_npy(DataSet *data, const char *path) {
    SourceArray *array = add_array(data, path, name_of_file(data, path));
    return map_file(path, &array->map) ? GRADC_OK : cannot_read(data, path);
}

static gradc_status open_npz(DataSet *data, const char *path) {
    Npz *npz;
    gradc_status status = npz_open(data->program, path, &npz);
    if (status) return status;
    data->sources.npzs[data->sources.npz_count++] = npz;
    for (int i = 0; i < npz_count(npz); i++) {
        SourceArray *array = add_array(data, path, npz_name(npz, i));
        array->npz = npz;
        array->member = i;
    }
    return GRADC_OK;
}

static bool names_columns(const DataBlock *block) {
    for (int i = 0; i < block->feeds.count; i++)
        if (block->feeds.items[i].kind == FEED_NAMED) return true;
    return false;
}

static gradc_status open_table(DataSet *data, const char *path) {
    Sources *sources = &data->sources;
    const DataBlock *block = data->block;
    if (sources->table_path)
        return fail(data->program, GRADC_DATA, "data %s has two tables, %s and %s; only arrays may be in several files",
                    block->name, sources->table_path, path);
    size_t length;
    sources->table_path = path;
    sources->text = read_whole_file(path, &length);
    if (!sources->text) return cannot_read(data, path);
    const char **words = arena_array(data->arena, const char *, block->missing_word_count);
    for (int i = 0; i < block->missing_word_count; i++) words[i] = block->missing_words[i].text;
    CsvOptions *options = arena_new(data->arena, CsvOptions);
    *options = (CsvOptions){names_columns(block), block->may_miss, block->missing, words, block->missing_word_count};
    return csv_begin(&sources->csv, data->program, data->arena, path, sources->text, length, options);
}

static gradc_status open_file(DataSet *data, const char *path) {
    Format format = FORMAT_REFUSED;
    gradc_status status = find_format(data, path, &format);
    if (status) return status;
    if (format == FORMAT_NPY) return open_npy(data, path);
    return format == FORMAT_NPZ ? open_npz(data, path) : open_table(data, path);
}

static gradc_status check_names(const DataSet *data) {
    const Sources *sources = &data->sources;
    for (int i = 0; i < sources->array_count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(sources->arrays[i].name, sources->arrays[k].name) == 0)
                return fail(data->program, GRADC_DATA, "two arrays of data %s are called '%s': in %s and in %s",
                            data->block->name, sources->arrays[i].name, sources->arrays[k].path,
                            sources->arrays[i].path);
    return GRADC_OK;
}

gradc_status sources_open(DataSet *data, const char *file) {
    const DataBlock *block = data->block;
    int count = file ? 1 : block->files.count;
    if (!count) return fail(data->program, GRADC_DATA, "data %s names no file", block->name);
    data->sources.npzs = arena_array(data->arena, Npz *, count);
    Text paths = {.arena = data->arena};
    gradc_status status = GRADC_OK;
    for (int i = 0; i < count && !status; i++) {
        // Messages may outlive the caller's text.
        const char *path = arena_print(data->arena, "%s", file ? file : block->files.items[i]);
        text_add(&paths, "%s%s", i ? ", " : "", path);
        data->path = paths.bytes;
        status = open_file(data, path);
    }
    return status ? status : check_names(data);
}

void sources_close_arrays(Sources *sources) {
    for (int i = 0; i < sources->array_count; i++) {
        unmap_file(&sources->arrays[i].map);
        free(sources->arrays[i].bytes);
    }
    for (int i = 0; i < sources->npz_count; i++) npz_close(sources->npzs[i]);
    sources->array_count = sources->npz_count = 0;
}

void sources_close(Sources *sources) {
    sources_close_arrays(sources);
    free(sources->text);
    *sources = (Sources){0};
}

// ---- arrays

SourceArray *sources_find(Sources *sources, const char *name, bool alone) {
    for (int i = 0; i < sources->array_count; i++)
        if (strcmp(sources->arrays[i].name, name) == 0) return &sources->arrays[i];
    return alone && sources->array_count == 1 ? sources->arrays : NULL;
}

gradc_status source_read(DataSet *data, SourceArray *array) {
    if (array->read) return GRADC_OK;
    size_t offset;
    gradc_status status;
    if (array->npz) {
        status = npz_read(array->npz, array->member, &array->stored, &array->bytes);
    } else {
        const MappedFile *map = &array->map;
        size_t available = map->size < NPY_LONGEST_HEAD ? (size_t)map->size : NPY_LONGEST_HEAD;
        status = npy_read_head(data->program, array->path, map->bytes, available, map->size, &array->stored, &offset);
        if (!status) array->stored.elements = map->bytes + offset;
    }
    array->read = !status;
    return status;
}

const char *data_place(const DataSet *data, int64_t row, char place[PLACE_SIZE]) {
    const Sources *sources = &data->sources;
    if (sources->cells.lines)
        snprintf(place, PLACE_SIZE, "%s:%lld", sources->table_path, (long long)sources->cells.lines[row]);
    else snprintf(place, PLACE_SIZE, "%s, row %lld", data->path, (long long)row);
    return place;
}
