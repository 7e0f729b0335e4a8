// A bottom-up rebuild of a function and of the bodies of its loops.
#ifndef GRADC_SIMPLIFY_WALK_H
#define GRADC_SIMPLIFY_WALK_H

#include "graph/rewrite.h"

// What `node`, whose inputs are rebuilt already, becomes: a node of its dtype and shape, or itself.
typedef Node *Visit(Graph *graph, Node *node);

// Replaces the function's results by what they become when every node that they reach is visited.
void walk_function(Graph *graph, Function *function, Visit *visit);

#endif
