// Random orders: a permutation, the same for the same seed, another for each purpose and epoch, and uniform.
#include "check.h"
#include "runtime/data.h"

#include <stdio.h>
#include <string.h>

enum { COUNT = 1000 };

static void ordered(int64_t *items, int64_t count) {
    for (int64_t i = 0; i < count; i++) items[i] = i;
}

static void test_permutation(void) {
    int64_t items[COUNT];
    bool seen[COUNT] = {false};
    ordered(items, COUNT);
    shuffle(items, COUNT, 1, SHUFFLE_EPOCH, 0);
    int moved = 0;
    for (int i = 0; i < COUNT; i++) {
        CHECK(items[i] >= 0 && items[i] < COUNT && !seen[items[i]]);
        seen[items[i]] = true;
        moved += items[i] != i;
    }
    CHECK(moved > COUNT - 20);
    ordered(items, 1);
    shuffle(items, 1, 1, SHUFFLE_EPOCH, 0);
    shuffle(items, 0, 1, SHUFFLE_EPOCH, 0);
    CHECK(items[0] == 0);
}

static bool same_order(uint64_t seed, ShufflePurpose purpose, uint64_t number) {
    int64_t first[COUNT], second[COUNT];
    ordered(first, COUNT);
    ordered(second, COUNT);
    shuffle(first, COUNT, 1, SHUFFLE_EPOCH, 0);
    shuffle(second, COUNT, seed, purpose, number);
    return memcmp(first, second, sizeof first) == 0;
}

static void test_what_says_the_order(void) {
    CHECK(same_order(1, SHUFFLE_EPOCH, 0));
    CHECK(!same_order(2, SHUFFLE_EPOCH, 0));
    CHECK(!same_order(1, SHUFFLE_SPLIT, 0));
    CHECK(!same_order(1, SHUFFLE_EPOCH, 1));
}

// All 24 orders of four items come equally often: chi squared with 23 degrees of freedom is below 50 but once in 1,000.
static void test_uniform(void) {
    enum { ROUNDS = 24000 };
    int counts[256] = {0};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        int64_t items[4];
        ordered(items, 4);
        shuffle(items, 4, 5, SHUFFLE_EPOCH, round);
        counts[items[0] | items[1] << 2 | items[2] << 4 | items[3] << 6]++;
    }
    int orders = 0;
    double sum = 0, expected = ROUNDS / 24.0;
    for (int i = 0; i < 256; i++) {
        if (!counts[i]) continue;
        orders++;
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    CHECK(orders == 24);
    CHECK(sum < 50);
}

int main(void) {
    test_permutation();
    test_what_says_the_order();
    test_uniform();
    return failures != 0;
}
