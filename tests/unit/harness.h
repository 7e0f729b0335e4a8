// Runs a graph in two ways, by the reference evaluator and as machine code, and compares the bits.
//
// A case is one function: inputs, what is computed from them, and where results go. It is lowered once and compiled
// for several vector widths; each check runs it for one assignment of the open dims. Every array that compiled code
// touches lies against a page that may not be touched, so that an access out of bounds is a crash and not a chance.
#ifndef GRADC_TESTS_HARNESS_H
#define GRADC_TESTS_HARNESS_H

#include "emit/emit.h"
#include "evaluate/evaluate.h"
#include "guarded.h"
#include "kernels/kernel.h"

enum { MAX_CASE_VALUES = 32, MAX_CASE_DIMS = 4 };

typedef enum {
    FILL_PLAIN,      // numbers of a few bits between -4 and 4; integers between -6 and 6
    FILL_REAL,       // any numbers between -2 and 2
    FILL_POSITIVE,   // numbers between 0 and 2
    FILL_SPECIAL,    // NaN, infinities, zeros of both signs, tiny and huge numbers among plain ones
    FILL_INDEX       // integers in [0, fill_limit)
} Fill;

typedef struct {
    Placement place;
    Fill fill;
    int64_t fill_limit;
    const void *data;   // NULL: random
    bool is_input;
} CaseLeaf;

typedef struct {
    const char *name;
    Arena *arena;
    Graph *graph;
    int leaf_count, result_count;
    CaseLeaf leaves[MAX_CASE_VALUES];
    Placement results[MAX_CASE_VALUES];
    bool raw;                 // lower the graph as it is: no pass runs before
    int index_fault;          // 1: an index out of range is expected
    KernelProgram *program;   // after case_lower
    KernelProgram *shared;    // the same for several workers
    Function function;
    gradc_function *code[8];   // by vector width; compiled at first use
    gradc_function *shared_code;
} Case;

extern int harness_failures;
void fail(const Case *test, const char *format, ...) __attribute__((format(printf, 2, 3)));

Case *case_begin(const char *name);
void case_end(Case *test);

// The extent `value`; -1 is open dim 0, -2 open dim 1, ...
const Extent *case_extent(Case *test, int64_t value);
// An array of these extents, valid as long as the case.
const Extent **case_shape(Case *test, int rank, const int64_t *extents);
#define SHAPE(...)                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { \
        __VA_ARGS__                                                                \
    }
#define SCALAR 0, NULL

// A further argument. How it is filled can be changed in test->leaves afterwards.
Node *case_input(Case *test, Dtype dtype, Fill fill, int rank, const int64_t *extents);
// A leaf that lies elsewhere in the frame, `offset` bytes from the start of `space`.
Node *case_leaf(Case *test, Dtype dtype, Space space, int64_t offset, int rank, const int64_t *extents);
void case_output(Case *test, Node *node);
// A result that is stored, or added to what is there.
void case_store(Case *test, Node *node, Space space, int64_t offset, bool accumulate);

// Passes, lowering, plan, and the verifiers. Called by case_check if it was not yet.
void case_lower(Case *test);
int case_kernels(Case *test);   // how many, loops' bodies included
int case_kernels_of(Case *test, KernelKind kind);

// Evaluates and runs with the open dims `dims` for every width, and compares.
void case_check(Case *test, const int64_t *dims);
void case_check_widths(Case *test, const int64_t *dims, const int *widths, int width_count);
#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

// The object file for every width must have no undefined symbol: no kernel calls anything.
void case_check_object(Case *test);

// Frees the jits. Returns the exit status.
int harness_finish(void);

#endif
