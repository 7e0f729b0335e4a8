// The arithmetic that derivatives are built with: it knows 0, 1 and constants, so that what comes out reads as in a
// textbook. Unlike the simplifier's exact rewrites these may drop a term that is zero, whatever it is multiplied with:
// they decide what the derivative is. All results have the operands' dtype and shape.
#ifndef GRADC_DIFFERENTIATE_ALGEBRA_H
#define GRADC_DIFFERENTIATE_ALGEBRA_H

#include "graph/graph.h"

Node *algebra_add(Graph *graph, Node *x, Node *y);
Node *algebra_subtract(Graph *graph, Node *x, Node *y);
Node *algebra_multiply(Graph *graph, Node *x, Node *y);
Node *algebra_divide(Graph *graph, Node *x, Node *y);
Node *algebra_negate(Graph *graph, Node *x);
Node *algebra_pow(Graph *graph, Node *x, Node *y);
Node *algebra_compare(Graph *graph, Op op, Node *x, Node *y);
Node *algebra_where(Graph *graph, Node *condition, Node *x, Node *y);
Node *algebra_sum(Graph *graph, Node *x, const int *axes, int axis_count);

// The sum of two cotangents of one node, either of which may be NULL, which is zero. Selects with a common condition
// stay one select.
Node *cotangent_add(Graph *graph, Node *x, Node *y);

// A cotangent as where(mask, value, 0). mask NULL: the cotangent is `value`.
typedef struct {
    Node *mask, *value;
} Masked;
Masked mask_split(Graph *graph, Node *cotangent);
Node *mask_apply(Graph *graph, Node *mask, Node *value);   // where(mask, value, 0)

bool constant_value(const Node *node, double *value);   // of a number, seen through broadcast and reshape

#endif
