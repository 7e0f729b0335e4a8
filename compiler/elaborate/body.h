// A loop's body while it is being closed.
#ifndef GRADC_ELABORATE_BODY_H
#define GRADC_ELABORATE_BODY_H

#include "elaborate/elaborator.h"

typedef struct {
    Elaborator *e;
    Loop *loop;   // its sequences may grow
    const LoopInput *carries;
    int carry_count;
    Named *results;   // new carries, then yields
    int result_count;
    Span span;
} OpenBody;

// ---- body.c
// What the body's results reach, and which of it belongs to the body, by id.
NodeArray body_nodes(const OpenBody *body, bool **inside);
// Whether that input is what a request differentiates by: of `node`, or in its body.
bool is_target_input(Graph *graph, const Node *node, int input);

// ---- earlier.c
// Rewrites the results so that no request in the body differentiates through what leads out of it and in again, and that
// no closed body inside of it hides the way to a target. False: reported.
bool settle_requests(OpenBody *body);
// Whether every gradient that was asked for in the body has a way to its target, or one may be found further outside.
// False: reported.
bool check_waiting(OpenBody *body);

#endif
