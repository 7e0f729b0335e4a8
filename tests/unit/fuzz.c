// The options of tests with random programs, and their reports.
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILES = 1000 };

static const char usage[] = "usage: %s [--seed S] [--soak N] [--save FOLDER] [FILE...]\n"
                            "  --seed S       begin with the program of this seed; alone: only that\n"
                            "  --soak N       check N programs\n"
                            "  --save FOLDER  write programs that fail there\n"
                            "  FILE           check programs of files\n";

static const char *folder_of(const char *program) {
    static char folder[1024];
    const char *slash = strrchr(program, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - program) : 1, slash ? program : ".");
    return folder;
}

bool fuzz_options(int argc, char **argv, uint64_t usual, FuzzOptions *options) {
    bool seed = false, soak = false;
    *options = (FuzzOptions){.program = argv[0], .count = usual, .folder = folder_of(argv[0])};
    static const char *files[MOST_FILES];
    options->files = files;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--seed") == 0) seed = true, options->first = strtoull(argv[++i], NULL, 10);
        else if (value && strcmp(argv[i], "--soak") == 0) soak = true, options->count = strtoull(argv[++i], NULL, 10);
        else if (value && strcmp(argv[i], "--save") == 0) options->folder = argv[++i];
        else if (argv[i][0] != '-' && options->file_count < MOST_FILES) options->files[options->file_count++] = argv[i];
        else {
            printf(usage, argv[0]);
            return false;
        }
    }
    if (seed && !soak) options->count = 1;
    options->all = !seed && !soak && !options->file_count;
    return true;
}

void fuzz_save(const FuzzOptions *options, uint64_t seed, const char *text, const char *suffix) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s-%llu%s", options->folder,
             strrchr(options->program, '/') ? strrchr(options->program, '/') + 1 : options->program,
             (unsigned long long)seed, suffix);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0) printf("%s cannot be written\n", path);
    else printf("written to %s; again:  %s --seed %llu %s\n", path, options->program, (unsigned long long)seed, path);
    if (file) fclose(file);
}

void fuzz_report(const FuzzOptions *options, uint64_t seed, const Verdict *verdict) {
    printf("seed %llu: %s: %s\nagain:  %s --seed %llu\n", (unsigned long long)seed, fault_name(verdict->kind),
           verdict->message, options->program, (unsigned long long)seed);
    fflush(stdout);
}
