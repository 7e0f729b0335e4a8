// What the commands share: opening a program, messages, exit codes, files.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double clock_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void *checked(void *memory) {
    if (memory) return memory;
    fprintf(stderr, "gradc: out of memory\n");
    exit(EXIT_INTERNAL);
}

bool has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(path + length - suffix_length, suffix) == 0;
}

// ---- programs and messages

bool colours(FILE *stream) {
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fileno(stream)) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

void print_diagnostics(const gradc_program *program) {
    fputs(gradc_diagnostics(program, colours(stderr)), stderr);
}

int report_status(const gradc_program *program, gradc_status status) {
    if (status == GRADC_OK) return EXIT_DONE;
    if (status == GRADC_PROGRAM && gradc_error_count(program)) print_diagnostics(program);
    else fprintf(stderr, "gradc: %s\n", gradc_message(program));
    return status == GRADC_MEMORY || status == GRADC_INTERNAL ? EXIT_INTERNAL : EXIT_ERROR;
}

void note_first_values(const gradc_program *program) {
    if (gradc_parameter_elements(program))
        fprintf(stderr, "gradc: note: without --load=FILE the parameters have their first values\n");
}

bool next_declared(gradc_program *program, Declared *declared) {
    if (!declared->text && gradc_dump(program, GRADC_STAGE_AST, NULL, GRADC_KIND_VALUE, &declared->text)) return false;
    while (*declared->text) {   // lines such as "fn gelu", "  parameter x: float[*]"
        const char *line = declared->text;
        size_t length = strcspn(line, "\n"), kind = strcspn(line, " \n");
        declared->text = line + length + (line[length] == '\n');
        if (!kind || kind == length) continue;
        declared->kind = line;
        declared->kind_length = (int)kind;
        declared->name = line + kind + 1;
        declared->name_length = (int)strcspn(declared->name, " <(\n");
        return true;
    }
    return false;
}

gradc_program *open_any_program(Common *common, int *exit_code) {
    gradc_program *program;
    gradc_status status = gradc_compile_file(common->file, &common->options, &program);
    if (status == GRADC_OK || (status == GRADC_PROGRAM && gradc_error_count(program))) return program;
    *exit_code = report_status(program, status);
    close_program(program, common, *exit_code);
    return NULL;
}

gradc_program *open_program(Common *common, int *exit_code) {
    gradc_program *program;
    gradc_status status = gradc_compile_file(common->file, &common->options, &program);
    *exit_code = report_status(program, status);
    if (status == GRADC_OK && !common->hold_messages) print_diagnostics(program);
    if (status == GRADC_OK) return program;
    close_program(program, common, *exit_code);
    return NULL;
}

int close_program(gradc_program *program, const Common *common, int exit_code) {
    if (common->timings && program) {
        gradc_timings timings;
        gradc_get_timings(program, &timings);
        char kept[64] = "";
        if (timings.cached) snprintf(kept, sizeof kept, "   (%d of %d kept)", timings.cached, timings.functions);
        fprintf(stderr,
                "parse          %8.2f ms\nelaborate      %8.2f ms\ndifferentiate  %8.2f ms\n"
                "simplify       %8.2f ms\nkernels        %8.2f ms\nemit           %8.2f ms\n"
                "machine code   %8.2f ms%s\nwhole run      %8.2f ms\n",
                timings.parse, timings.elaborate, timings.differentiate, timings.simplify, timings.kernels,
                timings.emit, timings.machine_code, kept, (clock_seconds() - common->started) * 1e3);
    }
    gradc_program_free(program);
    return exit_code;
}

// ---- files

static bool cannot(const char *verb, const char *path, int error) {
    fprintf(stderr, "gradc: cannot %s '%s': %s\n", verb, path, strerror(error));
    return false;
}

char *read_file(const char *path, size_t *length) {
    struct stat status;
    char *text = NULL;
    FILE *file = fopen(path, "rb"), *memory = file ? open_memstream(&text, length) : NULL;
    bool fine = memory && fstat(fileno(file), &status) == 0;
    if (fine && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        fine = false;
    }
    char piece[4096];
    for (size_t count; fine && (count = fread(piece, 1, sizeof piece, file)) > 0;)
        fine = fwrite(piece, 1, count, memory) == count;
    fine = fine && !ferror(file);
    int error = errno;
    if (memory && fclose(memory) != 0 && fine) {
        error = errno;
        fine = false;
    }
    if (file) fclose(file);
    if (fine) return text;
    free(text);
    cannot("read", path, error);
    return NULL;
}

bool can_write(const char *path) {
    struct stat status;
    if (!path) return true;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    bool there = stat(path, &status) == 0;
    if (there && S_ISDIR(status.st_mode)) errno = EISDIR;
    else if (folder && access(there && !S_ISREG(status.st_mode) ? path : folder, W_OK) == 0) {
        free(folder);
        return true;
    }
    int error = errno;
    free(folder);
    return cannot("write", path, error);
}

// The file's own path, or where it would be: its folder's, and its name. NULL if not even the folder is there.
static char *place_of(const char *path) {
    char *whole = realpath(path, NULL);
    if (whole) return whole;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *whole_folder = folder ? realpath(folder, NULL) : NULL;
    size_t size = whole_folder ? strlen(whole_folder) + strlen(name) + 2 : 0;
    whole = size ? malloc(size) : NULL;
    if (whole) snprintf(whole, size, "%s/%s", whole_folder, name);
    free(whole_folder);
    free(folder);
    return whole;
}

bool same_place(const char *a, const char *b) {
    struct stat first, second;
    if (!a || !b) return false;
    if (stat(a, &first) == 0 && stat(b, &second) == 0)   // one file can have several names
        return S_ISREG(first.st_mode) && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    char *place = place_of(a), *other = place_of(b);
    bool same = place && other && strcmp(place, other) == 0;
    free(place);
    free(other);
    return same;
}

bool output_begin(Output *output, const char *path) {
    struct stat status;
    *output = (Output){.path = path};
    if (!path) {
        output->stream = stdout;
        return true;
    }
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        output->stream = fopen(path, "wb");
        return output->stream || cannot("write", path, errno);
    }
    size_t size = strlen(path) + sizeof ".tmpXXXXXX";
    output->temporary = malloc(size);
    if (!output->temporary) return cannot("write", path, errno);
    snprintf(output->temporary, size, "%s.tmpXXXXXX", path);
    int descriptor = mkstemp(output->temporary);
    mode_t mask = umask(0);
    umask(mask);
    if (descriptor >= 0) fchmod(descriptor, 0666 & ~mask);   // mkstemp's own are for one user only
    output->stream = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (output->stream) return true;
    cannot("write", path, errno);
    if (descriptor >= 0) {
        close(descriptor);
        unlink(output->temporary);
    }
    free(output->temporary);
    return false;
}

bool output_finish(Output *output) {
    if (!output->path) return true;   // main looks whether stdout could be written
    bool fine = !ferror(output->stream);
    fine = fclose(output->stream) == 0 && fine;
    if (fine && output->temporary) fine = rename(output->temporary, output->path) == 0;
    int error = errno;
    if (!fine && output->temporary) unlink(output->temporary);
    free(output->temporary);
    return fine || cannot("write", output->path, error);
}

void output_discard(Output *output) {
    if (!output->path) return;
    fclose(output->stream);
    if (output->temporary) unlink(output->temporary);
    free(output->temporary);
}

char *temporary_file(void) {
    const char *folder = getenv("TMPDIR"), name[] = "/gradc-XXXXXX";
    if (!folder || !*folder) folder = "/tmp";
    size_t size = strlen(folder) + sizeof name;
    char *path = malloc(size);
    if (!path) return cannot("write", folder, errno), NULL;
    snprintf(path, size, "%s%s", folder, name);
    int descriptor = mkstemp(path);
    if (descriptor >= 0) {
        close(descriptor);
        return path;
    }
    cannot("write", path, errno);
    free(path);
    return NULL;
}

void remove_temporary(char *path) {
    unlink(path);
    free(path);
}
