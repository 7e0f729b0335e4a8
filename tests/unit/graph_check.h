// Checks what the compiler makes of a graph function with one result, a number:
//   - its graph is right after every pass;
//   - its gradient along a direction is the same by finite differences, by reverse and by forward mode; the slope's,
//     too;
//   - what is simplified and batched computes what is not, to rounding;
//   - further results move no bits of it; cut in two it gives the same bits; machine code gives the evaluator's.
#ifndef GRADC_TESTS_GRAPH_CHECK_H
#define GRADC_TESTS_GRAPH_CHECK_H

#include "graph/graph.h"
#include "isolate.h"

typedef struct {
    Graph *graph;
    Function function;   // floating arguments, which it is differentiated by, and index arguments in any order
    NodeArray inner;     // values on the way, some of which become further results; may be empty
    uint64_t seed;       // of the arguments' values
    int64_t index_limit;
    int64_t dims[1];
    bool compiles;   // as machine code as well
    int order;       // of the derivatives that are compared: 1 or 2
} GraphCheck;

enum { GRAPH_COMPARED, GRAPH_KINKS, GRAPH_SECOND, GRAPH_COMPILED, GRAPH_COUNTS };   // what a verdict counts

// An IsolatedCheck; context: a GraphCheck. Makes nodes in the check's graph.
void graph_check(void *context, Verdict *verdict);

#endif
