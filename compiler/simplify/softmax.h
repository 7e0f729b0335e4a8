// What rewrites of softmax and of picked classes share. The normal forms are described in softmax.c.
#ifndef GRADC_SIMPLIFY_SOFTMAX_H
#define GRADC_SIMPLIFY_SOFTMAX_H

#include "simplify/rules.h"

// exp(a) / sum(exp(a)), the sum over `axes`.
bool match_softmax(Simplifier *simplifier, Node *node, unsigned *axes);
// a - log(sum(exp(a)))
bool match_log_softmax(Simplifier *simplifier, Node *node, unsigned *axes);
// `full`, which is the same all along `axes`, without them; NULL: it is not the same.
Node *row_value(Simplifier *simplifier, Node *full, unsigned axes);
// The inverse: one value for each row, repeated along `axes` of `like`.
Node *to_rows(Simplifier *simplifier, Node *value, unsigned axes, const Node *like);

#endif
