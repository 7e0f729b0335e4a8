// Reading whole files, and writing files that appear whole or not at all: a temporary file in the same folder, flushed
// to the disk, then renamed over the old one. Where the name is a device or a pipe it is written directly.
#include "runtime/files/whole.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_stream(FILE *stream, size_t *length) {
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity);
    *length = 0;
    while (bytes) {
        *length += fread(bytes + *length, 1, capacity - *length - 1, stream);
        if (ferror(stream)) break;
        if (feof(stream)) {
            bytes[*length] = 0;
            return bytes;
        }
        if (capacity > SIZE_MAX / 2) {
            errno = EFBIG;
            break;
        }
        char *grown = realloc(bytes, capacity *= 2);
        if (!grown) break;
        bytes = grown;
    }
    free(bytes);
    return NULL;
}

bool path_ends(const char *path, const char *ending) {
    size_t length = strlen(path), end = strlen(ending);
    return length > end && strcasecmp(path + length - end, ending) == 0;
}

char *read_whole_file(const char *path, size_t *length) {
    FILE *stream = fopen(path, "rb");
    if (!stream) return NULL;
    char *bytes = read_stream(stream, length);
    int error = errno;
    fclose(stream);
    errno = error;
    return bytes;
}

static bool begin_beside(NewFile *file, mode_t mode) {
    size_t length = strlen(file->path);
    file->temporary = malloc(length + 40);
    if (!file->temporary) return false;
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(file->temporary, length + 40, "%s.tmp-%ld-%d", file->path, (long)getpid(), attempt);
        int descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (descriptor < 0 && errno == EEXIST) continue;
        if (descriptor < 0) break;
        file->stream = fdopen(descriptor, "wb");
        if (file->stream) return true;
        close(descriptor);
        unlink(file->temporary);
        break;
    }
    int error = errno;
    free(file->temporary);
    file->temporary = NULL;
    errno = error;
    return false;
}

static bool begin_at(NewFile *file) {
    struct stat status;
    if (stat(file->path, &status) != 0) return errno == ENOENT && begin_beside(file, 0666);
    if (S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    if (S_ISREG(status.st_mode)) return begin_beside(file, status.st_mode & 0777);
    file->stream = fopen(file->path, "wb");
    return file->stream != NULL;
}

bool new_file_begin(NewFile *file, const char *path) {
    *file = (NewFile){0};
    file->path = realpath(path, NULL);
    if (!file->path && errno == ENOENT) file->path = strdup(path);
    if (file->path && begin_at(file)) return true;
    int error = errno;
    free(file->path);
    file->path = NULL;
    errno = error;
    return false;
}

// A rename lasts only once the folder that holds the name is on the disk as well.
static void flush_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

bool new_file_finish(NewFile *file) {
    bool written = fflush(file->stream) == 0 && !ferror(file->stream);
    if (written && file->temporary) written = fsync(fileno(file->stream)) == 0;
    int error = errno;
    bool closed = fclose(file->stream) == 0;
    if (written && !closed) error = errno;
    file->stream = NULL;
    bool done = written && closed;
    if (done && file->temporary) {
        done = rename(file->temporary, file->path) == 0;
        error = errno;
        if (done) {
            flush_folder(file->path);
            free(file->temporary);
            file->temporary = NULL;
        }
    }
    new_file_discard(file);
    errno = error;
    return done;
}

void new_file_discard(NewFile *file) {
    if (file->stream) fclose(file->stream);
    if (file->temporary) unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (NewFile){0};
}

// ---- what was left behind

// The process that writes a temporary file of that name; 0: it is none of ours.
static long writer_of(const char *name, const char *base) {
    size_t length = strlen(base);
    long process, attempt;
    char rest;
    if (strncmp(name, base, length) != 0) return 0;
    return sscanf(name + length, ".tmp-%ld-%ld%c", &process, &attempt, &rest) == 2 ? process : 0;
}

void new_file_clean(const char *path) {
    char *whole = realpath(path, NULL);
    char *copy = whole ? whole : strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
    const char *base = slash ? slash + 1 : copy;
    if (slash) *slash = 0;
    DIR *folder = copy ? opendir(!slash ? "." : slash == copy ? "/" : copy) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        long process = writer_of(entry->d_name, base);
        if (process > 0 && kill((pid_t)process, 0) != 0 && errno == ESRCH) unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder) closedir(folder);
    free(copy);
}
