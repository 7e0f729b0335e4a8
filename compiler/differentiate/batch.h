// Batching: a loop whose iterations do not depend on each other as nodes with one more axis (vmap).
//
// Each op's rule is a column of its row in ops.def. The results are those of the loop, bit for bit: sums keep their
// order, random numbers their places.
#ifndef GRADC_DIFFERENTIATE_BATCH_H
#define GRADC_DIFFERENTIATE_BATCH_H

#include "graph/graph.h"

// What the results of `loop`, in order, may be replaced by. NULL where it cannot be batched: it has carries, or its
// body holds something without a rule (requests for derivatives, random numbers in a loop with carries, more axes than
// there may be).
Node **batch_loop(Graph *graph, Node *loop);

// What stands for the loop's results, in their order; NULL: it stays (each_loop.c).
typedef Node **LoopReplacement(Graph *graph, Node *loop, const void *context);
void replace_loops(Graph *graph, Function *function, LoopReplacement *replacement, const void *context);

// Replaces every loop of the function that can be batched, inner ones first.
void batch_loops(Graph *graph, Function *function);

// Moves what loops with a carry need not compute in each iteration to before them (hoist.c).
void hoist_from_loops(Graph *graph, Function *function);

// The same as `batch_loops`, with a change to what the rules give: how tests put mistakes in. `batched` is what a node of
// a body became.
typedef Node *BatchChange(Graph *graph, const Node *node, Node *batched, const void *context);
void batch_loops_with(Graph *graph, Function *function, BatchChange *change, const void *context);

#endif
