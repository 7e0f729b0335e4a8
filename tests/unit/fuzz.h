// What the tests with random programs have in common: how they are called, and what they say of a program that fails.
#ifndef GRADC_TESTS_FUZZ_H
#define GRADC_TESTS_FUZZ_H

#include "isolate.h"

#include <stdint.h>

typedef struct {
    const char *program;     // as it was called
    uint64_t first, count;   // seeds
    bool all;                // the usual seeds of the test: what they must cover is checked, too
    const char *folder;      // where programs that fail are written to
    const char **files;      // programs to check in place of random ones
    int file_count;
} FuzzOptions;

// Reads `[--seed S] [--soak N] [--save FOLDER] [FILE...]`: the seeds S to S + N - 1. Without any, 0 to `usual` - 1.
// False: what is asked for was printed, or cannot be read.
bool fuzz_options(int argc, char **argv, uint64_t usual, FuzzOptions *options);

// Writes the program beside the test, or where --save says, and says so; `suffix`: of the file.
void fuzz_save(const FuzzOptions *options, uint64_t seed, const char *text, const char *suffix);
// What was wrong with the program of that seed, and the command that shows it again.
void fuzz_report(const FuzzOptions *options, uint64_t seed, const Verdict *verdict);

#endif
