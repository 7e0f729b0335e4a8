// What rewrites of softmax and of picked classes share. The normal forms are described in softmax.c.
#ifndef GRADC_SIMPLIFY_SOFTMAX_H
#define GRADC_SIMPLIFY_SOFTMAX_H

#include "simplify/rules.h"

// exp(a) / sum(exp(a)), the sum over `axes`.
bool match_softmax(Simplifier *simplifier, Node *node, unsigned *axes);
// a - log(sum(exp(a)))
bool match_log_softmax(Simplifier *simplifier, Node *node, unsigned *axes);
#endif
