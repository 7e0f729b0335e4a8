// Random orders of rows: Fisher and Yates, with numbers from Philox, so that a seed gives the same order everywhere.
#include "runtime/data.h"
#include "math/scalar.h"

typedef struct {
    uint64_t seed, number;
    ShufflePurpose purpose;
    uint64_t drawn;   // words so far
} Source64;

static uint64_t next_word(Source64 *source) {
    uint32_t key[2] = {(uint32_t)source->seed, (uint32_t)(source->seed >> 32)}, words[4];
    uint32_t counter[4] = {(uint32_t)source->drawn, (uint32_t)(source->drawn >> 32) ^ (uint32_t)source->purpose << 24,
                           (uint32_t)source->number, (uint32_t)(source->number >> 32)};
    source->drawn++;
    gradc_philox(key, counter, words);
    return (uint64_t)words[0] << 32 | words[1];
}

// Every value below `bound` is equally likely: words above the last whole multiple of it are drawn again.
static uint64_t below(Source64 *source, uint64_t bound) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound, word;
    do word = next_word(source);
    while (word >= limit);
    return word % bound;
}

void shuffle(int64_t *items, int64_t count, uint64_t seed, ShufflePurpose purpose, uint64_t number) {
    Source64 source = {.seed = seed, .number = number, .purpose = purpose};
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t other = (int64_t)below(&source, (uint64_t)i + 1), item = items[i];
        items[i] = items[other];
        items[other] = item;
    }
}
