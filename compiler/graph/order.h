// The order in which reductions add (semantics.md, S10). It belongs to the language: evaluator and machine code both
// follow it, whatever the vector width or the number of threads, so that all give the same bits.
//
// - A reduction over trailing axes takes its elements in row-major order, in chunks of ROW_CHUNK. Element i of a chunk
//   goes to lane i % L, ascending, from the op's start (+0, or an infinity); then lane l takes up lane l + L/2, then
//   l + L/4, and so on. The chunks' results are combined, in order, into a total that starts at the op's start.
// - A reduction that keeps the last axis goes through the reduced axes in row-major order, in chunks of
//   SEQUENTIAL_CHUNK, each from the op's start; chunks are combined in the same way.
// - One that is neither is done in two: the trailing axes first.
// - A contraction goes through its summed axes in row-major order, in chunks of SEQUENTIAL_CHUNK: fma(x, y, sum) from
//   +0; the chunks are added, in order, to a total that starts at +0.
#ifndef GRADC_GRAPH_ORDER_H
#define GRADC_GRAPH_ORDER_H

#include "graph/graph.h"

enum { ROW_CHUNK = 4096, SEQUENTIAL_CHUNK = 384 };

// L, the virtual lanes of a row.
static inline int row_lanes(Dtype dtype) {
    return dtype == DTYPE_F64 ? 16 : 32;
}

#endif
