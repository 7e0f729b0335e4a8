// Polynomials in normal form: terms sorted by their factors, no zero coefficients; factors sorted by number of the
// interned atom. Interning makes equal extents the same pointer.
#include "graph/extent.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

typedef struct {
    Factor factor;
    int number;         // atoms are ordered by when they were first seen
    const char *name;   // FACTOR_DIM
} Atom;

struct Extent {
    int term_count;
    Term *terms;
    uint64_t hash;
    struct Extent *next;   // in the table's bucket
};

enum { INITIAL_BUCKETS = 1024 };

struct ExtentTable {
    Arena *arena;
    Extent **buckets;
    uint64_t bucket_count;   // a power of two
    uint64_t extent_count;
    ARRAY(Atom *) atoms;
};

ExtentTable *extent_table_create(Arena *arena) {
    ExtentTable *table = arena_new(arena, ExtentTable);
    table->arena = arena;
    table->bucket_count = INITIAL_BUCKETS;
    table->buckets = arena_array(arena, Extent *, INITIAL_BUCKETS);
    return table;
}

// A Factor is the first member of its Atom.
static const Atom *atom_of(const Factor *factor) {
    return (const Atom *)factor;
}

static const Factor *intern_atom(ExtentTable *table, Factor factor, const char *name) {
    for (int i = 0; i < table->atoms.count; i++) {
        Factor *known = &table->atoms.items[i]->factor;
        if (known->kind == factor.kind && known->dim == factor.dim && known->left == factor.left &&
            known->right == factor.right)
            return known;
    }
    Atom *atom = arena_new(table->arena, Atom);
    *atom = (Atom){factor, table->atoms.count, name};
    array_push(table->arena, &table->atoms, atom);
    return &atom->factor;
}

// ---- order and interning

static int compare_factors(const Term *a, const Term *b) {
    if (a->factor_count != b->factor_count) return b->factor_count - a->factor_count;
    for (int i = 0; i < a->factor_count; i++) {
        int order = atom_of(a->factors[i])->number - atom_of(b->factors[i])->number;
        if (order) return order;
    }
    return 0;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    return hash * 0xff51afd7ed558ccdu;
}

static uint64_t hash_terms(const Term *terms, int count) {
    uint64_t hash = (uint64_t)count;
    for (int i = 0; i < count; i++) {
        hash = mix(hash, (uint64_t)terms[i].coefficient);
        for (int k = 0; k < terms[i].factor_count; k++) hash = mix(hash, (uint64_t)(uintptr_t)terms[i].factors[k]);
    }
    return hash;
}

static bool same_terms(const Extent *extent, const Term *terms, int count) {
    if (extent->term_count != count) return false;
    for (int i = 0; i < count; i++)
        if (extent->terms[i].coefficient != terms[i].coefficient || compare_factors(&extent->terms[i], &terms[i]))
            return false;
    return true;
}

static void grow_buckets(ExtentTable *table) {
    uint64_t count = table->bucket_count * 2;
    Extent **buckets = arena_array(table->arena, Extent *, count);
    for (uint64_t i = 0; i < table->bucket_count; i++) {
        for (Extent *extent = table->buckets[i], *next; extent; extent = next) {
            next = extent->next;
            extent->next = buckets[extent->hash & (count - 1)];
            buckets[extent->hash & (count - 1)] = extent;
        }
    }
    table->buckets = buckets;
    table->bucket_count = count;
}

// The extent of these sorted terms, without zeros.
static const Extent *intern(ExtentTable *table, const Term *terms, int count) {
    uint64_t hash = hash_terms(terms, count);
    if (table->extent_count >= table->bucket_count) grow_buckets(table);
    Extent **bucket = &table->buckets[hash & (table->bucket_count - 1)];
    for (Extent *extent = *bucket; extent; extent = extent->next)
        if (extent->hash == hash && same_terms(extent, terms, count)) return extent;
    Extent *extent = arena_new(table->arena, Extent);
    extent->term_count = count;
    extent->terms = arena_copy(table->arena, terms, sizeof *terms * (size_t)count);
    extent->hash = hash;
    extent->next = *bucket;
    *bucket = extent;
    table->extent_count++;
    return extent;
}

// Arithmetic on coefficients saturates: a shape that large is refused long before it matters.
static int64_t saturating_add(int64_t a, int64_t b) {
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return a > 0 ? INT64_MAX : INT64_MIN;
}

static int64_t saturating_multiply(int64_t a, int64_t b) {
    int64_t product;
    if (!__builtin_mul_overflow(a, b, &product)) return product;
    return (a > 0) == (b > 0) ? INT64_MAX : INT64_MIN;
}

// ---- building

const Extent *extent_constant(ExtentTable *table, int64_t value) {
    Term term = {value, 0, NULL};
    return intern(table, &term, value ? 1 : 0);
}

static const Extent *extent_of_factor(ExtentTable *table, const Factor *factor) {
    const Factor **factors = arena_array(table->arena, const Factor *, 1);
    factors[0] = factor;
    Term term = {1, 1, factors};
    return intern(table, &term, 1);
}

const Extent *extent_dim(ExtentTable *table, int dim, const char *name) {
    return extent_of_factor(table, intern_atom(table, (Factor){FACTOR_DIM, dim, NULL, NULL}, name));
}

// a + scale * b: a merge of two sorted lists.
static const Extent *add_scaled(ExtentTable *table, const Extent *a, const Extent *b, int64_t scale) {
    Term *terms = arena_array(table->arena, Term, a->term_count + b->term_count);
    int count = 0, i = 0, k = 0;
    while (i < a->term_count || k < b->term_count) {
        int order = i == a->term_count ? 1 : k == b->term_count ? -1 : compare_factors(&a->terms[i], &b->terms[k]);
        Term term = order <= 0 ? a->terms[i] : b->terms[k];
        if (order > 0) term.coefficient = saturating_multiply(term.coefficient, scale);
        if (order == 0)
            term.coefficient = saturating_add(term.coefficient, saturating_multiply(b->terms[k].coefficient, scale));
        i += order <= 0;
        k += order >= 0;
        if (term.coefficient) terms[count++] = term;
    }
    return intern(table, terms, count);
}

const Extent *extent_add(ExtentTable *table, const Extent *a, const Extent *b) {
    return add_scaled(table, a, b, 1);
}

const Extent *extent_subtract(ExtentTable *table, const Extent *a, const Extent *b) {
    return add_scaled(table, a, b, -1);
}

static Term multiply_terms(ExtentTable *table, const Term *a, const Term *b) {
    Term term = {saturating_multiply(a->coefficient, b->coefficient), a->factor_count + b->factor_count, NULL};
    const Factor **factors = arena_array(table->arena, const Factor *, term.factor_count);
    int i = 0, k = 0;
    for (int at = 0; at < term.factor_count; at++) {
        bool from_a = k == b->factor_count ||
                      (i < a->factor_count && atom_of(a->factors[i])->number <= atom_of(b->factors[k])->number);
        factors[at] = from_a ? a->factors[i++] : b->factors[k++];
    }
    term.factors = factors;
    return term;
}

const Extent *extent_multiply(ExtentTable *table, const Extent *a, const Extent *b) {
    const Extent *sum = extent_constant(table, 0);
    for (int i = 0; i < a->term_count; i++)
        for (int k = 0; k < b->term_count; k++) {
            Term term = multiply_terms(table, &a->terms[i], &b->terms[k]);
            sum = add_scaled(table, sum, intern(table, &term, 1), 1);
        }
    return sum;
}

static int64_t floor_divide(int64_t a, int64_t b) {
    if (b == -1) return saturating_multiply(a, -1);
    int64_t quotient = a / b;
    return a % b && (a % b < 0) != (b < 0) ? quotient - 1 : quotient;
}

static int64_t floor_modulo(int64_t a, int64_t b) {
    if (b == -1) return 0;
    int64_t remainder = a % b;
    return remainder && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

// The quotient of two terms, if it is one: every factor of `b` occurs in `a`.
static bool divide_terms(ExtentTable *table, const Term *a, const Term *b, Term *quotient) {
    if (a->coefficient % b->coefficient || a->factor_count < b->factor_count) return false;
    const Factor **factors = arena_array(table->arena, const Factor *, a->factor_count);
    int count = 0, k = 0;
    for (int i = 0; i < a->factor_count; i++) {
        if (k < b->factor_count && a->factors[i] == b->factors[k]) k++;
        else factors[count++] = a->factors[i];
    }
    *quotient = (Term){a->coefficient / b->coefficient, count, factors};
    return k == b->factor_count;
}

// Splits a into quotient * b + rest, where the quotient takes all terms that a one-term b divides exactly.
static void split_multiples(ExtentTable *table, const Extent *a, const Extent *b, const Extent **quotient,
                            const Extent **rest) {
    *quotient = extent_constant(table, 0);
    *rest = extent_constant(table, 0);
    for (int i = 0; i < a->term_count; i++) {
        Term term;
        bool whole = b->term_count == 1 && b->terms[0].coefficient != -1 &&
                     divide_terms(table, &a->terms[i], &b->terms[0], &term);
        const Extent **target = whole ? quotient : rest;
        *target = add_scaled(table, *target, intern(table, whole ? &term : &a->terms[i], 1), 1);
    }
}

const Extent *extent_floor_divide(ExtentTable *table, const Extent *a, const Extent *b) {
    int64_t divisor, value;
    if (extent_is(b, 0)) return NULL;
    if (a == b) return extent_constant(table, 1);
    if (extent_is_constant(b, &divisor) && divisor == -1) return add_scaled(table, extent_constant(table, 0), a, -1);
    const Extent *quotient, *rest;
    split_multiples(table, a, b, &quotient, &rest);
    if (extent_is(rest, 0)) return quotient;
    if (extent_is_constant(b, &divisor) && extent_is_constant(rest, &value))
        return extent_add(table, quotient, extent_constant(table, floor_divide(value, divisor)));
    Factor factor = {FACTOR_FLOOR_DIVIDE, 0, rest, b};
    return extent_add(table, quotient, extent_of_factor(table, intern_atom(table, factor, NULL)));
}

const Extent *extent_modulo(ExtentTable *table, const Extent *a, const Extent *b) {
    int64_t divisor, value;
    if (extent_is(b, 0)) return NULL;
    if (a == b || (extent_is_constant(b, &divisor) && divisor == -1)) return extent_constant(table, 0);
    const Extent *quotient, *rest;
    split_multiples(table, a, b, &quotient, &rest);
    if (extent_is(rest, 0)) return rest;
    if (extent_is_constant(b, &divisor) && extent_is_constant(rest, &value))
        return extent_constant(table, floor_modulo(value, divisor));
    return extent_of_factor(table, intern_atom(table, (Factor){FACTOR_MODULO, 0, rest, b}, NULL));
}

// ---- reading

bool extent_is_constant(const Extent *extent, int64_t *value) {
    bool constant = extent->term_count == 0 || (extent->term_count == 1 && extent->terms[0].factor_count == 0);
    if (constant && value) *value = extent->term_count ? extent->terms[0].coefficient : 0;
    return constant;
}

bool extent_is(const Extent *extent, int64_t value) {
    int64_t own;
    return extent_is_constant(extent, &own) && own == value;
}

// ---- bounds, for every assignment of non-negative dims. A bound that is not known is INT64_MIN, or INT64_MAX.

static int64_t bounded_add(int64_t a, int64_t b) {
    int64_t sum;
    return a == INT64_MIN || b == INT64_MIN || __builtin_add_overflow(a, b, &sum) ? INT64_MIN : sum;
}

static int64_t lower_bound(const Extent *extent);

// A number that the factor never falls below.
static int64_t factor_lower_bound(const Factor *factor) {
    int64_t divisor;
    if (factor->kind == FACTOR_DIM) return 0;
    if (factor->kind == FACTOR_MAXIMUM) {
        int64_t left = lower_bound(factor->left), right = lower_bound(factor->right);
        return left > right ? left : right;
    }
    if (!extent_is_constant(factor->right, &divisor) || divisor <= 0) return INT64_MIN;
    if (factor->kind == FACTOR_MODULO) return 0;
    int64_t low = lower_bound(factor->left);
    return low == INT64_MIN ? INT64_MIN : floor_divide(low, divisor);
}

static int64_t factor_upper_bound(const Factor *factor) {
    int64_t divisor;
    bool known = factor->kind == FACTOR_MODULO && extent_is_constant(factor->right, &divisor) && divisor > 0;
    return known ? divisor - 1 : INT64_MAX;
}

static int64_t term_lower_bound(const Term *term) {
    int64_t product = 1;
    if (term->factor_count == 0) return term->coefficient;
    if (term->factor_count == 1) {
        const Factor *factor = term->factors[0];
        bool falls = term->coefficient < 0;
        int64_t bound = falls ? factor_upper_bound(factor) : factor_lower_bound(factor);
        bool unknown = bound == (falls ? INT64_MAX : INT64_MIN);
        return unknown || __builtin_mul_overflow(term->coefficient, bound, &product) ? INT64_MIN : product;
    }
    if (term->coefficient < 0) return INT64_MIN;
    for (int i = 0; i < term->factor_count; i++) {
        int64_t low = factor_lower_bound(term->factors[i]);
        if (low < 0) return INT64_MIN;
        if (__builtin_mul_overflow(product, low, &product)) return INT64_MIN;
    }
    return __builtin_mul_overflow(product, term->coefficient, &product) ? INT64_MIN : product;
}

static int64_t lower_bound(const Extent *extent) {
    int64_t sum = 0;
    for (int i = 0; i < extent->term_count; i++) sum = bounded_add(sum, term_lower_bound(&extent->terms[i]));
    return sum;
}

bool extent_at_least(ExtentTable *table, const Extent *a, const Extent *b) {
    return lower_bound(extent_subtract(table, a, b)) >= 0;
}

const Extent *extent_maximum(ExtentTable *table, const Extent *a, const Extent *b) {
    if (extent_at_least(table, a, b)) return a;
    if (extent_at_least(table, b, a)) return b;
    return extent_of_factor(table, intern_atom(table, (Factor){FACTOR_MAXIMUM, 0, a, b}, NULL));
}

const Extent *extent_cover(ExtentTable *table, const Extent *a, const Extent *b) {
    const Extent *more = extent_subtract(table, b, a), *cover = a;
    for (int i = 0; i < more->term_count; i++) {
        const Term *term = &more->terms[i];
        for (int k = 0; k < term->factor_count; k++)
            if (factor_lower_bound(term->factors[k]) < 0) return extent_add(table, a, b);
        if (term->coefficient > 0) cover = add_scaled(table, cover, intern(table, term, 1), 1);
    }
    return cover;
}

bool extent_affine(const Extent *extent, int *dim, int64_t *scale, int64_t *offset) {
    *offset = 0;
    *scale = 0;
    for (int i = 0; i < extent->term_count; i++) {
        const Term *term = &extent->terms[i];
        if (term->factor_count == 0) *offset = term->coefficient;
        else if (term->factor_count == 1 && term->factors[0]->kind == FACTOR_DIM && !*scale) {
            *scale = term->coefficient;
            *dim = term->factors[0]->dim;
        } else return false;
    }
    return *scale != 0;
}

static int64_t evaluate_factor(const Factor *factor, const int64_t *dims, bool *overflow) {
    if (factor->kind == FACTOR_DIM) return dims[factor->dim];
    int64_t left = extent_evaluate(factor->left, dims, overflow);
    int64_t right = extent_evaluate(factor->right, dims, overflow);
    if (factor->kind == FACTOR_MAXIMUM) return left > right ? left : right;
    if (right == 0) {
        *overflow = true;
        return 0;
    }
    return factor->kind == FACTOR_FLOOR_DIVIDE ? floor_divide(left, right) : floor_modulo(left, right);
}

int64_t extent_evaluate(const Extent *extent, const int64_t *dims, bool *overflow) {
    bool ignored = false;
    if (!overflow) overflow = &ignored;
    int64_t sum = 0;
    for (int i = 0; i < extent->term_count; i++) {
        int64_t product = extent->terms[i].coefficient;
        for (int k = 0; k < extent->terms[i].factor_count; k++) {
            int64_t value = evaluate_factor(extent->terms[i].factors[k], dims, overflow);
            if (__builtin_mul_overflow(product, value, &product)) *overflow = true;
        }
        if (__builtin_add_overflow(sum, product, &sum)) *overflow = true;
    }
    return sum;
}

int extent_dim_count(const Extent *extent) {
    int count = 0;
    for (int i = 0; i < extent->term_count; i++)
        for (int k = 0; k < extent->terms[i].factor_count; k++) {
            const Factor *factor = extent->terms[i].factors[k];
            int own = factor->kind == FACTOR_DIM ? factor->dim + 1 : extent_dim_count(factor->left);
            int right = factor->kind == FACTOR_DIM ? 0 : extent_dim_count(factor->right);
            if (right > own) own = right;
            if (own > count) count = own;
        }
    return count;
}

const char *extent_dim_name(const Extent *extent, int dim) {
    const char *name = NULL;
    for (int i = 0; i < extent->term_count; i++)
        for (int k = 0; k < extent->terms[i].factor_count && !name; k++) {
            const Factor *factor = extent->terms[i].factors[k];
            if (factor->kind == FACTOR_DIM) {
                if (factor->dim == dim) name = atom_of(factor)->name;
                continue;
            }
            name = extent_dim_name(factor->left, dim);
            if (!name) name = extent_dim_name(factor->right, dim);
        }
    return name;
}

int extent_terms(const Extent *extent, const Term **terms) {
    *terms = extent->terms;
    return extent->term_count;
}

// ---- printing

static void print_operand(Text *text, const Extent *extent) {
    bool simple =
        extent->term_count <= 1 && (extent->term_count == 0 || extent->terms[0].factor_count == 0 ||
                                    (extent->terms[0].factor_count == 1 && extent->terms[0].coefficient == 1 &&
                                     extent->terms[0].factors[0]->kind == FACTOR_DIM));
    if (!simple) text_add(text, "(");
    extent_print(text, extent);
    if (!simple) text_add(text, ")");
}

static void print_factor(Text *text, const Factor *factor, bool alone) {
    if (factor->kind == FACTOR_DIM) {
        text_add(text, "%s", atom_of(factor)->name);
        return;
    }
    if (factor->kind == FACTOR_MAXIMUM) {
        text_add(text, "max(");
        extent_print(text, factor->left);
        text_add(text, ", ");
        extent_print(text, factor->right);
        text_add(text, ")");
        return;
    }
    if (!alone) text_add(text, "(");
    print_operand(text, factor->left);
    text_add(text, factor->kind == FACTOR_FLOOR_DIVIDE ? " // " : " %% ");
    print_operand(text, factor->right);
    if (!alone) text_add(text, ")");
}

void extent_print(Text *text, const Extent *extent) {
    if (!extent->term_count) text_add(text, "0");
    for (int i = 0; i < extent->term_count; i++) {
        const Term *term = &extent->terms[i];
        int64_t coefficient = term->coefficient;
        uint64_t magnitude = coefficient < 0 ? 0 - (uint64_t)coefficient : (uint64_t)coefficient;
        if (i) text_add(text, coefficient < 0 ? " - " : " + ");
        else if (coefficient < 0 && term->factor_count) text_add(text, "-");
        bool shown = coefficient != 1 && coefficient != -1;
        if (!term->factor_count) text_add(text, "%s%" PRIu64, !i && coefficient < 0 ? "-" : "", magnitude);
        else if (shown) text_add(text, "%" PRIu64 "*", magnitude);
        bool alone = extent->term_count == 1 && term->factor_count == 1 && !shown && coefficient > 0;
        for (int k = 0; k < term->factor_count; k++) {
            if (k) text_add(text, "*");
            print_factor(text, term->factors[k], alone);
        }
    }
}
