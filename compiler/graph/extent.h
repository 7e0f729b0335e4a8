// Extents: the sizes of axes, as integer polynomials in the program's open dims.
//
// `//` and `%` of polynomials are atoms of their own. Extents are immutable, kept in normal form and interned, so two
// extents are provably equal exactly when their pointers are equal (semantics.md, S3). Everything that counts elements
// uses them: shapes, strides, offsets in the arena, trip counts.
#ifndef GRADC_GRAPH_EXTENT_H
#define GRADC_GRAPH_EXTENT_H

#include "support/arena.h"

#include <stdbool.h>

typedef struct Extent Extent;
typedef struct ExtentTable ExtentTable;

ExtentTable *extent_table_create(Arena *arena);

const Extent *extent_constant(ExtentTable *table, int64_t value);
// The open dim number `dim` (an index into the frame's dims); `name` is kept from the first call.
const Extent *extent_dim(ExtentTable *table, int dim, const char *name);
const Extent *extent_add(ExtentTable *table, const Extent *a, const Extent *b);
const Extent *extent_subtract(ExtentTable *table, const Extent *a, const Extent *b);
const Extent *extent_multiply(ExtentTable *table, const Extent *a, const Extent *b);
// Rounded towards minus infinity, as in Python. A constant zero divisor gives NULL.
const Extent *extent_floor_divide(ExtentTable *table, const Extent *a, const Extent *b);
const Extent *extent_modulo(ExtentTable *table, const Extent *a, const Extent *b);

// The greater of the two, an atom of its own where that depends on the dims.
const Extent *extent_maximum(ExtentTable *table, const Extent *a, const Extent *b);
// A polynomial that is nowhere less than either, for two that are nowhere negative: it has the greater coefficients.
const Extent *extent_cover(ExtentTable *table, const Extent *a, const Extent *b);

bool extent_is_constant(const Extent *extent, int64_t *value);   // `value` may be NULL
bool extent_is(const Extent *extent, int64_t value);
// True when a >= b for every assignment of non-negative dims. False: it is not, or that cannot be seen term by term.
bool extent_at_least(ExtentTable *table, const Extent *a, const Extent *b);
// True when `extent` is scale * dim + offset with scale != 0: what an input's axis can bind (S3).
bool extent_affine(const Extent *extent, int *dim, int64_t *scale, int64_t *offset);

// The value for these dims. `overflow` (may be NULL) is set, never cleared, when it leaves int64 or divides by zero.
int64_t extent_evaluate(const Extent *extent, const int64_t *dims, bool *overflow);
// One greater than the highest dim number used; 0 for constants.
int extent_dim_count(const Extent *extent);
const char *extent_dim_name(const Extent *extent, int dim);   // of an open dim in it; NULL: it is not there
void extent_print(Text *text, const Extent *extent);          // `2*N + 1`, `N // 4`

// How code generation walks a polynomial: sum over terms of coefficient * product of factors.
typedef enum { FACTOR_DIM, FACTOR_FLOOR_DIVIDE, FACTOR_MODULO, FACTOR_MAXIMUM } FactorKind;
typedef struct {
    FactorKind kind;
    int dim;                      // FACTOR_DIM
    const Extent *left, *right;   // the others
} Factor;
typedef struct {
    int64_t coefficient;
    int factor_count;               // 0: the constant term
    const Factor *const *factors;   // with repetition: N*N has two
} Term;
int extent_terms(const Extent *extent, const Term **terms);

#endif
