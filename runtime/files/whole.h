// Reading whole files, and writing files that appear whole or not at all.
#ifndef GRADC_RUNTIME_FILES_WHOLE_H
#define GRADC_RUNTIME_FILES_WHOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// Whether a path ends so, in capitals or not, and not only so.
bool path_ends(const char *path, const char *ending);

// The file's bytes and a zero byte after them; free() it. NULL on failure, with errno; EISDIR for a folder.
char *read_whole_file(const char *path, size_t *length);

// A file that is written beside `path` under another name, and takes its place when it is finished.
typedef struct {
    char *path;        // where it goes, symbolic links followed
    char *temporary;   // NULL: `path` is a device or a pipe, and is written directly
    FILE *stream;      // write here
} NewFile;

// False on failure, with errno.
bool new_file_begin(NewFile *file, const char *path);
// Flushes to the disk and renames. False on failure, with errno: what was at `path` is then still there.
bool new_file_finish(NewFile *file);
// Throws away what was written. Nothing to do after finish.
void new_file_discard(NewFile *file);
// Removes what was left beside `path` by processes of this machine that were killed while they wrote it.
void new_file_clean(const char *path);

#endif
