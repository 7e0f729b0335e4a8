// Extents are polynomials in normal form: random expressions must agree with integer arithmetic, and equal polynomials
// must be the same pointer whatever way they were built.
#include "check.h"
#include "graph/extent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t samples[][3] = {{0, 0, 0}, {1, 1, 1}, {7, 3, 2}, {64, 10, 5}, {1797, 12, 9}};
enum { SAMPLES = sizeof samples / sizeof *samples };

typedef struct {
    const Extent *extent;
    int64_t values[SAMPLES];
} Pair;

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b && (a < 0) != (b < 0));
}

// A random expression, built as an extent and as its values at the samples.
static Pair random_pair(ExtentTable *table, int depth) {
    static const char *const names[] = {"N", "M", "T"};
    Pair pair;
    int kind = depth ? rand() % 7 : rand() % 2;
    if (kind == 0) {
        int64_t value = rand() % 9 - 2;
        pair.extent = extent_constant(table, value);
        for (int s = 0; s < SAMPLES; s++) pair.values[s] = value;
        return pair;
    }
    if (kind == 1) {
        int dim = rand() % 3;
        pair.extent = extent_dim(table, dim, names[dim]);
        for (int s = 0; s < SAMPLES; s++) pair.values[s] = samples[s][dim];
        return pair;
    }
    Pair a = random_pair(table, depth - 1), b = random_pair(table, depth - 1);
    int64_t divisor = rand() % 5 + 1;
    const Extent *by = extent_constant(table, divisor);
    if (kind == 2) pair.extent = extent_add(table, a.extent, b.extent);
    if (kind == 3) pair.extent = extent_subtract(table, a.extent, b.extent);
    if (kind == 4) pair.extent = extent_multiply(table, a.extent, b.extent);
    if (kind == 5) pair.extent = extent_floor_divide(table, a.extent, by);
    if (kind == 6) pair.extent = extent_modulo(table, a.extent, by);
    for (int s = 0; s < SAMPLES; s++) {
        int64_t x = a.values[s], y = b.values[s], quotient = floor_divide(x, divisor);
        int64_t results[] = {x + y, x - y, x * y, quotient, x - quotient * divisor};
        pair.values[s] = results[kind - 2];
    }
    return pair;
}

static void check_random(ExtentTable *table) {
    for (int i = 0; i < 20000; i++) {
        Pair pair = random_pair(table, 3);
        bool overflow = false;
        for (int s = 0; s < SAMPLES; s++) CHECK(extent_evaluate(pair.extent, samples[s], &overflow) == pair.values[s]);
        CHECK(!overflow);
        if (failures > 10) return;
    }
}

// What is said of every N and M must hold for each that is tried, with quotients and remainders inside.
static void check_bounds(ExtentTable *table) {
    int proved = 0;
    for (int i = 0; i < 4000; i++) {
        Pair a = random_pair(table, 2), b = random_pair(table, 2);
        if (!extent_at_least(table, a.extent, b.extent)) continue;
        proved++;
        for (int64_t n = 0; n < 8; n++)
            for (int64_t m = 0; m < 8; m++) {
                const int64_t dims[] = {n, m, (n * 3 + m) % 7};
                CHECK(extent_evaluate(a.extent, dims, NULL) >= extent_evaluate(b.extent, dims, NULL));
            }
        if (failures > 10) return;
    }
    CHECK(proved > 500);
    const Extent *n = extent_dim(table, 0, "N"), *two = extent_constant(table, 2), *five = extent_constant(table, 5);
    const Extent *half = extent_floor_divide(table, extent_subtract(table, n, five), two);
    CHECK(!extent_at_least(table, half, extent_constant(table, 0)));   // -3 for N = 0
    CHECK(extent_at_least(table, half, extent_constant(table, -3)));
    CHECK(extent_at_least(table, five, extent_modulo(table, n, five)));
}

static void check_text(Arena *arena, const Extent *extent, const char *expected) {
    Text text = {.arena = arena};
    extent_print(&text, extent);
    if (strcmp(text.bytes, expected) == 0) return;
    printf("printed '%s', expected '%s'\n", text.bytes, expected);
    failures++;
}

static void check_normal_form(Arena *arena, ExtentTable *table) {
    const Extent *n = extent_dim(table, 0, "N"), *m = extent_dim(table, 1, "M");
    const Extent *one = extent_constant(table, 1), *two = extent_constant(table, 2), *four = extent_constant(table, 4);
    const Extent *square = extent_multiply(table, extent_add(table, n, one), extent_subtract(table, n, one));
    CHECK(square == extent_subtract(table, extent_multiply(table, n, n), one));
    CHECK(extent_subtract(table, square, square) == extent_constant(table, 0));
    CHECK(extent_floor_divide(table, extent_multiply(table, four, n), two) == extent_multiply(table, two, n));
    CHECK(extent_modulo(table, extent_multiply(table, four, m), two) == extent_constant(table, 0));
    CHECK(extent_floor_divide(table, extent_multiply(table, n, m), n) == m);
    CHECK(extent_floor_divide(table, n, extent_constant(table, 0)) == NULL);
    CHECK(extent_at_least(table, extent_multiply(table, two, n), n));
    CHECK(!extent_at_least(table, n, extent_multiply(table, two, n)));
    CHECK(!extent_at_least(table, n, m));
    int dim;
    int64_t scale, offset;
    CHECK(extent_affine(extent_add(table, extent_multiply(table, two, m), one), &dim, &scale, &offset));
    CHECK(dim == 1 && scale == 2 && offset == 1);
    CHECK(!extent_affine(extent_multiply(table, n, n), &dim, &scale, &offset));
    CHECK(!extent_affine(extent_add(table, n, m), &dim, &scale, &offset));
    check_text(arena, extent_add(table, extent_multiply(table, two, n), one), "2*N + 1");
    check_text(arena, extent_subtract(table, extent_multiply(table, n, m), four), "N*M - 4");
    check_text(arena, extent_floor_divide(table, n, four), "N // 4");
    check_text(arena, extent_constant(table, 0), "0");
    check_text(arena, extent_maximum(table, n, extent_add(table, n, one)), "N + 1");
    check_text(arena, extent_maximum(table, extent_multiply(table, two, n), four), "max(2*N, 4)");
    check_text(arena, extent_cover(table, extent_multiply(table, two, n), extent_add(table, n, four)), "2*N + 4");
}

// Beside values: a maximum is the greater, a cover is less than neither.
static void check_greatest(ExtentTable *table) {
    const Extent *n = extent_dim(table, 0, "N"), *m = extent_dim(table, 1, "M");
    const Extent *three = extent_constant(table, 3), *half = extent_floor_divide(table, n, extent_constant(table, 2));
    const Extent *parts[] = {n,
                             m,
                             three,
                             half,
                             extent_multiply(table, n, m),
                             extent_multiply(table, three, m),
                             extent_add(table, half, three)};
    enum { PARTS = sizeof parts / sizeof *parts };
    for (int a = 0; a < PARTS; a++)
        for (int b = 0; b < PARTS; b++)
            for (int64_t value = 0; value < 36; value++) {
                int64_t dims[] = {value % 6, value / 6};
                int64_t x = extent_evaluate(parts[a], dims, NULL), y = extent_evaluate(parts[b], dims, NULL);
                int64_t greater = x > y ? x : y;
                CHECK(extent_evaluate(extent_maximum(table, parts[a], parts[b]), dims, NULL) == greater);
                CHECK(extent_evaluate(extent_cover(table, parts[a], parts[b]), dims, NULL) >= greater);
            }
}

static void check_overflow(ExtentTable *table) {
    const Extent *n = extent_dim(table, 0, "N");
    const Extent *cube = extent_multiply(table, extent_multiply(table, n, n), n);
    int64_t dims[] = {INT64_C(1) << 40};
    bool overflow = false;
    extent_evaluate(cube, dims, &overflow);
    CHECK(overflow);
    const Extent *huge = extent_constant(table, INT64_C(1) << 62);
    extent_multiply(table, huge, huge);   // saturates: no undefined behaviour
}

int main(void) {
    Arena *arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    ExtentTable *table = extent_table_create(arena);
    srand(1);
    check_random(table);
    check_bounds(table);
    check_normal_form(arena, extent_table_create(arena));
    check_overflow(table);
    check_greatest(table);
    arena_destroy(arena);
    printf("%d failures\n", failures);
    return failures != 0;
}
