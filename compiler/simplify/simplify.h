// Rewriting of graphs: the same values by fewer or safer operations (semantics.md, S9, S10, S18).
//
// All passes rewrite bottom-up, enter the bodies of loops, leave the Function that they are given valid for other
// holders (its arrays are replaced, not changed), and look at a node's structure only, never at how often it is used:
// the same expression comes out the same wherever it stands, so that cutting and fusing never move bits.
#ifndef GRADC_SIMPLIFY_SIMPLIFY_H
#define GRADC_SIMPLIFY_SIMPLIFY_H

#include "graph/graph.h"

// Applies the rows of all tables until none fits. Runs before differentiation, where it
// brings what must be stable into a form whose derivative is stable too, and after it. `gradient`, `track` and
// `stop_gradient` stay; a gradient's targets stay the variables and tracks that they are.
void simplify(Graph *graph, Function *function);

// Splits each sum, maximum and minimum that reduces the last axis and, apart from it, earlier ones, into the trailing
// part and the rest: what S10 says its order is.
void normalise_reductions(Graph *graph, Function *function);

// Makes a floating sum or difference with a product one fma. The last pass: nothing may rewrite what it made.
void place_fma(Graph *graph, Function *function);

#endif
