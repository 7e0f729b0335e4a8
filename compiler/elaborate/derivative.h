// Derivatives that the user gives (S16).
#ifndef GRADC_ELABORATE_DERIVATIVE_H
#define GRADC_ELABORATE_DERIVATIVE_H

#include "elaborate/elaborator.h"

// ---- derivative.c

// Says where the statement cannot stand; where it can it is evaluated when the function returns.
void run_derivative(Elaborator *e, const Statement *statement);
// The `derivative` statement of a function; NULL: it has none.
const Statement *own_derivative(const Item *item);
// What the frame's function is differentiated by: its floating arguments, once they are bound. NULL stands for one that
// is a mere number.
NodeArray floating_arguments(Elaborator *e, const Item *item);
// What the function returns, with its derivative by these arguments. The formula sees the names of the whole body.
Value with_derivative(Elaborator *e, const Item *item, const NodeArray *arguments, Value result);

// ---- linearity.c

typedef struct {
    const Node *node;   // where linearity ends; NULL: nowhere
    const char *why;    // empty: the op is no linear function
} NonLinear;
NonLinear find_non_linear(Graph *graph, Node *node, const NodeArray *variables);

#endif
