// Machine code in files: one for each piece of code, named after a hash of what decides the code. A file holds that key
// in full and a sum of all its bytes, and is used only if both are right. It appears by a rename, so that several
// processes can read and write the folder at once, and a process that dies leaves no half of a file under such a name.
//
// Code from a file is run. So files count only that belong to this user and that nobody else can write.
#define _GNU_SOURCE
#include "runtime/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_DIGITS = 32, NAME_SIZE = NAME_DIGITS + 1 };

typedef struct {
    char magic[8];
    uint64_t key_size, object_size;
    uint64_t sum;   // of the key and the object
} Head;

static const char magic[8] = "gradc\nm1";

// ---- hashes

// Two of them, by where `seed` begins: not made against those who look for a collision, who cannot write here.
static uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size) {
    const char *at = bytes;
    uint64_t hash = seed ^ size;
    for (size_t done = 0; done < size; done += 8) {
        uint64_t word = 0;
        memcpy(&word, at + done, size - done < 8 ? size - done : 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 32;
}

static void name_of(char name[NAME_SIZE], const void *key, size_t size) {
    snprintf(name, NAME_SIZE, "%016llx%016llx", (unsigned long long)hash_bytes(1, key, size),
             (unsigned long long)hash_bytes(2, key, size));
}

static uint64_t sum_of(const void *key, size_t key_size, const void *object, size_t size) {
    return hash_bytes(hash_bytes(3, key, key_size), object, size);
}

// ---- the folder

bool cache_folder(const char *folder, char path[CACHE_PATH]) {
    const char *own = getenv("GRADC_CACHE_DIR"), *all = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = 0;
    path[0] = 0;
    if (folder) length = snprintf(path, CACHE_PATH, "%s", folder);
    else if (own && *own) length = snprintf(path, CACHE_PATH, "%s", own);
    else if (all && *all == '/') length = snprintf(path, CACHE_PATH, "%s/gradc", all);
    else if (home && *home) length = snprintf(path, CACHE_PATH, "%s/.cache/gradc", home);
    return length < CACHE_PATH;
}

// The folder, opened; made with those above it if `make`. -1: it is not there.
static int open_folder(const Cache *cache, bool make) {
    int folder = *cache->folder ? open(cache->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0 || !make || !*cache->folder || errno != ENOENT) return folder;
    char path[CACHE_PATH];
    memcpy(path, cache->folder, sizeof path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// ---- reading

static bool is_ours(const struct stat *status) {
    return S_ISREG(status->st_mode) && status->st_uid == geteuid() && !(status->st_mode & 022);
}

static bool read_all(int file, char *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = read(file, bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        done += (size_t)count;
    }
    return true;
}

// The object in a file's bytes; NULL: they are damaged, or are of another key.
static const char *object_in(const char *bytes, size_t file_size, const void *key, size_t key_size, size_t *size) {
    Head head;
    if (file_size < sizeof head) return NULL;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 || head.key_size != key_size) return NULL;
    const char *object = bytes + sizeof head + key_size;
    if (head.key_size > file_size - sizeof head || head.object_size != file_size - sizeof head - key_size) return NULL;
    if (memcmp(bytes + sizeof head, key, key_size) != 0) return NULL;
    if (head.sum != sum_of(key, key_size, object, (size_t)head.object_size)) return NULL;
    *size = (size_t)head.object_size;
    return object;
}

static void *read_object(int file, const void *key, size_t key_size, size_t *size) {
    struct stat status;
    if (fstat(file, &status) != 0 || !is_ours(&status)) return NULL;
    size_t file_size = (size_t)status.st_size;
    char *bytes = malloc(file_size ? file_size : 1);
    if (!bytes) return NULL;
    const char *object = read_all(file, bytes, file_size) ? object_in(bytes, file_size, key, key_size, size) : NULL;
    if (!object) {
        free(bytes);
        return NULL;
    }
    memmove(bytes, object, *size);   // to where it is aligned
    return bytes;
}

void *cache_find(void *context, const void *key, size_t key_size, size_t *size) {
    const Cache *cache = context;
    char name[NAME_SIZE];
    int folder = open_folder(cache, false);
    if (folder < 0) return NULL;
    name_of(name, key, key_size);
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(folder);
    if (file < 0) return NULL;
    void *object = read_object(file, key, key_size, size);
    // Many file systems do not note when a file is read.
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    if (object) futimens(file, times);
    close(file);
    return object;
}

// ---- writing

static bool write_all(int file, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = write(file, (const char *)bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        done += (size_t)count;
    }
    return true;
}

static bool write_file(int file, const void *key, size_t key_size, const void *object, size_t size) {
    Head head = {.key_size = key_size, .object_size = size, .sum = sum_of(key, key_size, object, size)};
    memcpy(head.magic, magic, sizeof magic);
    return write_all(file, &head, sizeof head) && write_all(file, key, key_size) && write_all(file, object, size);
}

// "PROCESS-NANOSECONDS.new"
static const char temporary_end[] = ".new";
enum { TEMPORARY_SIZE = 64, TEMPORARY_SECONDS = 3600 };

static int create_temporary(int folder, char name[TEMPORARY_SIZE]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, TEMPORARY_SIZE, "%ld-%lld%09ld%s", (long)getpid(), (long long)now.tv_sec, now.tv_nsec,
             temporary_end);
    return openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

// ---- the limit

typedef struct {
    char name[NAME_SIZE];
    int64_t size;
    struct timespec used;
} Kept;

typedef struct {
    Kept *files;
    size_t count, capacity;
    int64_t size;
} KeptFiles;

static int by_use(const void *a, const void *b) {
    const struct timespec *first = &((const Kept *)a)->used, *second = &((const Kept *)b)->used;
    if (first->tv_sec != second->tv_sec) return first->tv_sec < second->tv_sec ? -1 : 1;
    return (first->tv_nsec > second->tv_nsec) - (first->tv_nsec < second->tv_nsec);
}

static bool is_kept(const char *name) {
    return strlen(name) == NAME_DIGITS && strspn(name, "0123456789abcdef") == NAME_DIGITS;
}

// What a process that died left behind.
static bool is_abandoned(const char *name, const struct stat *status) {
    size_t length = strlen(name), end = sizeof temporary_end - 1;
    return length > end && strcmp(name + length - end, temporary_end) == 0 &&
           time(NULL) - status->st_mtime > TEMPORARY_SECONDS;
}

static bool add_file(KeptFiles *list, const char *name, const struct stat *status) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        Kept *files = realloc(list->files, capacity * sizeof *files);
        if (!files) return false;
        list->files = files;
        list->capacity = capacity;
    }
    Kept *kept = &list->files[list->count++];
    memcpy(kept->name, name, NAME_SIZE);
    kept->size = status->st_size;
    kept->used = status->st_atim;
    list->size += status->st_size;
    return true;
}

static KeptFiles list_files(DIR *folder) {
    KeptFiles list = {0};
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (is_abandoned(entry->d_name, &status)) unlinkat(dirfd(folder), entry->d_name, 0);
        else if (is_kept(entry->d_name) && !add_file(&list, entry->d_name, &status)) break;
    }
    return list;
}

// Removes what was not used for the longest time, until a quarter of the limit is free: not every new file needs this.
static void keep_limit(const Cache *cache, int folder) {
    int copy = dup(folder);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (!stream) {
        if (copy >= 0) close(copy);
        return;
    }
    KeptFiles list = list_files(stream);
    if (list.size > cache->limit) {
        qsort(list.files, list.count, sizeof *list.files, by_use);
        for (size_t i = 0; i < list.count && list.size > cache->limit - cache->limit / 4; i++) {
            unlinkat(folder, list.files[i].name, 0);   // gone already: another process did the same
            list.size -= list.files[i].size;
        }
    }
    free(list.files);
    closedir(stream);
}

void cache_keep(void *context, const void *key, size_t key_size, const void *object, size_t size) {
    const Cache *cache = context;
    char name[NAME_SIZE], temporary[TEMPORARY_SIZE];
    if (size > (size_t)cache->limit) return;
    int folder = open_folder(cache, true);
    int file = folder >= 0 ? create_temporary(folder, temporary) : -1;
    if (file >= 0) {
        bool written = write_file(file, key, key_size, object, size);
        written = close(file) == 0 && written;
        name_of(name, key, key_size);
        if (!written || renameat(folder, temporary, folder, name) != 0) unlinkat(folder, temporary, 0);
        else keep_limit(cache, folder);
    }
    if (folder >= 0) close(folder);
}
