// Random programs of the language through the whole compiler (see text_check.h for what is checked). One that fails is
// made smaller and written out.
//   random_text_test                     the usual seeds, and the programs in tests/found, which failed once
//   random_text_test --soak N --seed S   N programs from seed S
//   random_text_test --seed S FILE       the program in FILE, with the inputs of that seed
#include "fuzz.h"
#include "random_text.h"
#include "reduce_text.h"
#include "text_check.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
enum { PROGRAMS = 60, SECONDS = 240 };   // five times as slow
#else
enum { PROGRAMS = 400, SECONDS = 60 };
#endif
enum { MOST_FAILURES = 5, REDUCE_TRIES = 3000 };

static int failures;

// ---- making a program that fails smaller

typedef struct {
    TextCheck check;
    Verdict verdict;   // of the first program
} Search;

// "[unknown_name]" of the first message, so that a refused program stays one that is refused for the same reason.
static bool same_reason(const char *a, const char *b) {
    const char *from = strchr(a, '['), *end = strstr(a, "]\n");
    char reason[128];
    if (!from || !end || end - from > 100) return true;
    while (strchr(from + 1, '[') && strchr(from + 1, '[') < end) from = strchr(from + 1, '[');
    snprintf(reason, sizeof reason, "%.*s", (int)(end - from + 1), from);
    return strstr(b, reason) != NULL;
}

static bool shows_fault(void *context, const char *text) {
    Search *search = context;
    TextCheck check = search->check;
    check.text = text;
    Verdict verdict = isolated(text_check, &check, search->verdict.kind == FAULT_HANG ? 10 : SECONDS);
    if (verdict.kind != search->verdict.kind) return false;
    return verdict.kind != FAULT_REFUSED || same_reason(search->verdict.message, verdict.message);
}

static void reduce(const FuzzOptions *options, const TextCheck *check, const Verdict *verdict) {
    Search search = {*check, *verdict};
    search.check.compiles = false;   // if it fails without machine code, that is faster
    search.check.order = 1;
    if (!shows_fault(&search, check->text)) search.check = *check;
    Arena *arena = arena_create();
    Reduction reduction;
    const char *text = reduce_text(arena, check->text, shows_fault, &search, REDUCE_TRIES, &reduction);
    printf("reduced in %d steps of %d tries:\n%s\n", reduction.taken, reduction.tried, text);
    fuzz_save(options, check->seed, text, ".grad");
    arena_destroy(arena);
}

// ---- the course

static Verdict check_text(const FuzzOptions *options, const TextCheck *check) {
    Verdict verdict = isolated(text_check, (void *)check, SECONDS);
    if (!verdict.kind) return verdict;
    failures++;
    fuzz_report(options, check->seed, &verdict);
    reduce(options, check, &verdict);
    return verdict;
}

static void check_file(const FuzzOptions *options, const char *path) {
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    if (!file) {
        printf("%s cannot be read\n", path);
        failures++;
        return;
    }
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    for (uint64_t i = 0; i < options->count && i < 3; i++) {
        TextCheck check = {text, options->first + i, true, 2};
        Verdict verdict = isolated(text_check, &check, SECONDS);
        if (verdict.kind)
            printf("%s, seed %d: %s: %s\n", path, (int)check.seed, fault_name(verdict.kind), verdict.message);
        failures += verdict.kind != FAULT_NONE;
    }
}

// Every program that showed a fault once.
static void check_found(const FuzzOptions *options) {
    glob_t found;
    FuzzOptions seeds = *options;
    seeds.count = 2;
    if (glob("tests/found/*.grad", 0, NULL, &found)) {
        printf("tests/found is not there: this runs in the project's root\n");
        failures++;
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) check_file(&seeds, found.gl_pathv[i]);
    globfree(&found);
}

// The checks that were made must be many enough to mean something.
static void check_counts(const int *counts) {
    static const struct {
        const char *what;
        int count, least;   // of 1,000 programs
    } required[] = {
        {"slopes compared with differences", COUNT_COMPARED, 800},
        {"second slopes", COUNT_SECOND, 100},
        {"functions run as machine code", COUNT_MACHINE, 1000},
        {"training steps", COUNT_STEPS, 400},
        {"derivatives read back", COUNT_PRINTED, 800},
    };
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        printf("%d %s\n", counts[required[i].count], required[i].what);
        if (counts[required[i].count] * 1000 >= required[i].least * PROGRAMS) continue;
        printf("too few\n");
        failures++;
    }
    if (counts[COUNT_UNSUPPORTED] * 100 > PROGRAMS) {
        printf("%d programs ask for what is not supported: too many\n", counts[COUNT_UNSUPPORTED]);
        failures++;
    }
    if (counts[COUNT_KINKS] * 5 > counts[COUNT_COMPARED]) {
        printf("%d of them at kinks: too many\n", counts[COUNT_KINKS]);
        failures++;
    }
}

int main(int argc, char **argv) {
    FuzzOptions options;
    int counts[TEXT_COUNTS] = {0};
    if (!fuzz_options(argc, argv, PROGRAMS, &options)) return 2;
    for (int i = 0; i < options.file_count; i++) check_file(&options, options.files[i]);
    if (options.file_count) return failures != 0;
    for (uint64_t i = 0; i < options.count && failures < MOST_FAILURES; i++) {
        Arena *arena = arena_create();
        uint64_t seed = options.first + i;
        TextCheck check = {random_text(arena, seed), seed, seed % 4 == 0, seed % 5 == 0 ? 2 : 1};
        Verdict verdict = check_text(&options, &check);
        for (int k = 0; k < TEXT_COUNTS; k++) counts[k] += verdict.counts[k];
        arena_destroy(arena);
    }
    if (options.all) check_found(&options);
    if (options.all) check_counts(counts);
    return failures != 0;
}
