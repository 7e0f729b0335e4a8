// Files whose bytes are read in place: the system brings in what is read, and drops it when memory is wanted, so a file
// may be larger than memory.
#include "runtime/files/map.h"
#include "runtime/files/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool give_up(int descriptor, int error) {
    close(descriptor);
    errno = error;
    return false;
}

static bool read_into_memory(const char *path, MappedFile *file) {
    size_t length;
    file->bytes = (unsigned char *)read_whole_file(path, &length);
    file->size = (int64_t)length;
    file->owned = true;
    file->descriptor = -1;
    return file->bytes != NULL;
}

bool map_file(const char *path, MappedFile *file) {
    struct stat status;
    *file = (MappedFile){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    if (fstat(descriptor, &status) != 0) return give_up(descriptor, errno);
    if (S_ISDIR(status.st_mode)) return give_up(descriptor, EISDIR);
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        close(descriptor);
        return read_into_memory(path, file);
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED) return give_up(descriptor, errno);
    *file = (MappedFile){.bytes = bytes, .size = status.st_size, .descriptor = descriptor, .changed = status.st_mtim};
    return true;
}

bool map_is_unchanged(const MappedFile *file) {
    struct stat status;
    if (file->owned) return true;
    return fstat(file->descriptor, &status) == 0 && status.st_size == file->size &&
           status.st_mtim.tv_sec == file->changed.tv_sec && status.st_mtim.tv_nsec == file->changed.tv_nsec;
}

void unmap_file(MappedFile *file) {
    if (file->owned) free((void *)file->bytes);
    else if (file->bytes) {
        munmap((void *)file->bytes, (size_t)file->size);
        close(file->descriptor);
    }
    *file = (MappedFile){0};
}
