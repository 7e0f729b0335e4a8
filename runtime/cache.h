// Machine code in files, so that a program that was compiled before starts at once.
#ifndef GRADC_RUNTIME_CACHE_H
#define GRADC_RUNTIME_CACHE_H

#include "emit/emit.h"

// The folder where code is kept, "" if there is none: `folder`, or if that is NULL $GRADC_CACHE_DIR, else
// $XDG_CACHE_HOME/gradc, else ~/.cache/gradc. False: the path is too long.
enum { CACHE_PATH = 4096 };
bool cache_folder(const char *folder, char path[CACHE_PATH]);

typedef struct {
    char folder[CACHE_PATH];
    int64_t limit;   // bytes that all files of the folder may have together
} Cache;

// For an ObjectStore whose context is a Cache. What cannot be read or written is as if it was not kept.
void *cache_find(void *context, const void *key, size_t key_size, size_t *size);
void cache_keep(void *context, const void *key, size_t key_size, const void *object, size_t size);

#endif
