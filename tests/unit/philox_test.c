// Random numbers: Philox against its authors' known answers, how seed, element, site and draw reach it, and that
// uniform and normal numbers are what they say.
#include "check.h"
#include "math/scalar.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// From kat_vectors of the Random123 distribution: philox4x32, 10 rounds.
static const struct {
    uint32_t counter[4], key[2], words[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void check_known_answers(void) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t words[4];
        gradc_philox(known[i].key, known[i].counter, words);
        for (int k = 0; k < 4; k++) CHECK(words[k] == known[i].words[k]);
    }
}

// The layout that scalar.h states.
static void check_layout(void) {
    uint64_t seed = UINT64_C(0x0123456789abcdef), element = 0x13579bdf, site = UINT64_C(0xfedcba9876543210), draw = 77;
    const uint32_t key[2] = {0x89abcdef, 0x01234567}, counter[4] = {0x13579bdf, 0x76543210, 0xfedcba98, 77};
    uint32_t words[4];
    gradc_philox(key, counter, words);
    CHECK(gradc_uniform_f32(seed, element, site, draw) == (float)(words[0] >> 8) / 16777216.0f);
    double expected = (double)((uint64_t)(words[0] >> 5) << 26 | words[1] >> 6) / 9007199254740992.0;
    CHECK(gradc_uniform_f64(seed, element, site, draw) == expected);
    CHECK(gradc_uniform_f32(seed, element + (UINT64_C(5) << 32), site, draw) ==
          gradc_uniform_f32(seed, element, site ^ 5, draw));
    CHECK(gradc_uniform_f32(seed, element, site, draw + (UINT64_C(5) << 32)) ==
          gradc_uniform_f32(seed, element, site ^ UINT64_C(5) << 32, draw));
}

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

// One bit of any of the four numbers gives other numbers.
static void check_independence(void) {
    enum { BITS = 64 };
    double values[4 * BITS + 1];
    int count = 0;
    values[count++] = gradc_uniform_f64(0, 0, 0, 0);
    for (int bit = 0; bit < BITS; bit++) {
        uint64_t one = UINT64_C(1) << bit;
        values[count++] = gradc_uniform_f64(one, 0, 0, 0);
        values[count++] = gradc_uniform_f64(0, 0, one, 0);
        if (bit < 32) values[count++] = gradc_uniform_f64(0, one, 0, 0);
        if (bit < 32) values[count++] = gradc_uniform_f64(0, 0, 0, one);
    }
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    for (int i = 1; i < count; i++) CHECK(values[i] != values[i - 1]);
}

typedef struct {
    double mean, variance, fourth, low, high;
} Moments;

typedef double Draw(uint64_t element, uint64_t site);
static double uniform_f32(uint64_t element, uint64_t site) {
    return gradc_uniform_f32(1, element, site, 3);
}
static double uniform_f64(uint64_t element, uint64_t site) {
    return gradc_uniform_f64(1, element, site, 3);
}
static double normal_f32(uint64_t element, uint64_t site) {
    return gradc_normal_f32(1, element, site, 3);
}
static double normal_f64(uint64_t element, uint64_t site) {
    return gradc_normal_f64(1, element, site, 3);
}

enum { DRAWS = 200000 };

static Moments moments_of(Draw *draw, double center) {
    Moments moments = {.low = INFINITY, .high = -INFINITY};
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = draw(i % 1000, i / 1000), d = x - center;
        moments.mean += x / DRAWS;
        moments.variance += d * d / DRAWS;
        moments.fourth += d * d * d * d / DRAWS;
        if (x < moments.low) moments.low = x;
        if (x > moments.high) moments.high = x;
    }
    return moments;
}

static bool near(double value, double expected, double deviation) {
    return fabs(value - expected) < 5 * deviation / sqrt(DRAWS);
}

static void check_moments(void) {
    Draw *const uniform[] = {uniform_f32, uniform_f64}, *const normal[] = {normal_f32, normal_f64};
    for (int i = 0; i < 2; i++) {
        Moments moments = moments_of(uniform[i], 0.5);
        CHECK(near(moments.mean, 0.5, sqrt(1.0 / 12)) && near(moments.variance, 1.0 / 12, sqrt(1.0 / 180)));
        CHECK(moments.low >= 0 && moments.low < 1e-4 && moments.high < 1 && moments.high > 0.9999);
        moments = moments_of(normal[i], 0);
        CHECK(near(moments.mean, 0, 1) && near(moments.variance, 1, sqrt(2)) && near(moments.fourth, 3, sqrt(96)));
        CHECK(moments.low > -6.5 && moments.low < -4 && moments.high < 6.5 && moments.high > 4);
    }
}

// Neighbours do not go together: along elements, sites, draws and seeds.
static void check_correlation(void) {
    double sums[4] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = gradc_normal_f64(i, i, i, i);
        sums[0] += x * gradc_normal_f64(i, i + 1, i, i);
        sums[1] += x * gradc_normal_f64(i, i, i + 1, i);
        sums[2] += x * gradc_normal_f64(i, i, i, i + 1);
        sums[3] += x * gradc_normal_f64(i + 1, i, i, i);
    }
    for (int k = 0; k < 4; k++) CHECK(near(sums[k] / DRAWS, 0, 1));
}

int main(void) {
    check_known_answers();
    check_layout();
    check_independence();
    check_moments();
    check_correlation();
    printf("%d failures\n", failures);
    return failures != 0;
}
