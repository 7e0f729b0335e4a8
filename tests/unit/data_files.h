// What the tests of data share: a folder of files, arrays and programs in it.
#ifndef GRADC_TESTS_DATA_FILES_H
#define GRADC_TESTS_DATA_FILES_H

#include "runtime/data.h"
#include "runtime/files/npy.h"
#include "tests/unit/host.h"

#include <unistd.h>

static char folder[] = "/tmp/gradc-data-XXXXXX";

static inline const char *in_folder(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *name, const void *bytes, size_t length) {
    FILE *stream = fopen(in_folder(name), "wb");
    if (!stream || fwrite(bytes, 1, length, stream) != length || fclose(stream) != 0) exit(1);
}

static inline void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static gradc_program messages;

static inline void write_npz(const char *name, const StoredArray *arrays, int count) {
    gradc_program *program = &messages;
    OK(npz_write(program, in_folder(name), arrays, count));
}

static inline void write_npy(const char *name, StoredArray array) {
    gradc_program *program = &messages;
    OK(npy_write(program, in_folder(name), &array));
}

static inline gradc_program *compile_in_folder(const char *text) {
    gradc_program *program;
    if (gradc_compile_text(in_folder("model.grad"), text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s\n%s%s\n", text, gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// The program: inputs of a loss, then settings of the data block.
#define PROGRAM(inputs, settings) "dim N, K\nloss fit(" inputs ") { return mean(f32(x)) }\ndata d { " settings " }\n"

static inline void make_folder(void) {
    if (!mkdtemp(folder)) exit(1);
}

static inline void remove_folder(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    free(messages.message);
}

#endif
