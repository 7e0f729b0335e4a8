// What the files of the generator of random programs share: its state, and the makers, each of which adds an operation.
#ifndef GRADC_TESTS_RANDOM_MAKER_H
#define GRADC_TESTS_RANDOM_MAKER_H

#include "random_program.h"

// A value of the pool and a bound of its size.
typedef struct {
    Node *node;
    double bound;
} Entry;

enum { POOL = 128, LARGEST = 1500, TYPICAL_N = 5 };

typedef struct {
    Graph *graph;
    Random random;
    Dtype dtype;
    Entry pool[POOL];
    int count;
    Node *indices;
    const Extent *open;   // N
    int depth;            // of loops around
} Generator;

const Extent *number_extent(Generator *g, int64_t value);
int64_t typical_size(const Node *node);   // elements for a typical N, to keep values small
const Extent *random_extent(Generator *g);
Entry pick_entry(Generator *g);
Node *number_like(Generator *g, const Node *like, double value);
// The value, squeezed by tanh if it may be larger than `limit`.
Node *squeezed(Generator *g, Entry x, double limit);
// y repeated, summed or sliced to the shape of x, as far as its axes allow; else a number.
Entry fitted(Generator *g, Entry y, const Node *x);

typedef Entry Maker(Generator *g);
Maker make_any;   // one of all, by their weights

// ---- random_loops.c
Maker make_random_loop;

// ---- random_structural.c
Maker make_transpose, make_reshape, make_broadcast, make_slice_or_pad, make_window, make_reduce, make_argmax,
    make_contract, make_gather, make_sort, make_scatter, make_leaf, make_scan;

#endif
