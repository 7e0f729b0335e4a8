// Random well-typed graph functions from a seed: what every stage must take, whatever it looks like.
//
// Values stay within bounds that the generator tracks, and functions with a singularity are kept away from it, so that
// gradients can be compared with finite differences. All functions have one open dim, N.
#ifndef GRADC_TESTS_RANDOM_PROGRAM_H
#define GRADC_TESTS_RANDOM_PROGRAM_H

#include "graph/graph.h"

// xorshift64*: the same numbers on every machine.
typedef struct {
    uint64_t state;
} Random;
Random random_start(uint64_t seed);
uint64_t random_word(Random *random);
int random_below(Random *random, int bound);
double random_real(Random *random, double low, double high);

typedef struct {
    Function function;     // floating inputs first, then index inputs; one result, "loss", of rank 0
    int floating_count;    // how many arguments are floating: those that are differentiated by
    int64_t index_limit;   // index inputs hold numbers in [0, index_limit)
    NodeArray inner;       // floating nodes on the way, at which a test may cut
    int uses[OP_COUNT];    // how often each op stands in the function's graph, on the way from an input to the loss
} RandomProgram;

enum { RANDOM_NODES = 14 };

// A program of about `nodes` operations; dtype: DTYPE_F32 or DTYPE_F64. The same seed gives the same program in both.
RandomProgram random_program(Graph *graph, uint64_t seed, Dtype dtype, int nodes);

#endif
