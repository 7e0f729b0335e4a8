// The cut: a forward and a backward function from one joint graph.
#ifndef GRADC_CUT_CUT_H
#define GRADC_CUT_CUT_H

#include "graph/graph.h"

typedef struct {
    Function forward;    // the joint function's first results, then the values of the tape
    Function backward;   // the other results; its further arguments are the values of the tape, in order
    int tape_count;
    Node **tape;          // what is kept, as nodes of the forward function
    Node **tape_leaves;   // what the backward function reads for them: variables
} Cut;

// Cuts `joint` after its first `forward_count` results. Needs: the last graph pass has run, so that both halves compute
// the same nodes and the bits do not depend on the cut (semantics.md, S9). Keeps on the tape what is costly to compute
// again; views, leaves, random draws and cheap elementwise nodes are computed again from what is kept.
Cut cut_joint(Graph *graph, const Function *joint, int forward_count);

#endif
