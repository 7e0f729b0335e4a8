// What the two files of the verifier share: verify.c, and verify_tuple.c for nodes with several results.
#ifndef GRADC_GRAPH_VERIFIER_H
#define GRADC_GRAPH_VERIFIER_H

#include "graph/graph.h"

typedef struct {
    Graph *graph;
    const Function *function;   // whose node is being checked
    const char *fault;          // the first, or NULL
} Verifier;

typedef void Rule(Verifier *verifier, const Node *node);
Rule verify_gradient, verify_tangent, verify_jacobian, verify_custom, verify_loop, verify_result;

void verifier_fail(Verifier *verifier, const Node *node, const char *what);
void verify_body(Verifier *verifier, const Function *body);

static inline void expect(Verifier *verifier, const Node *node, bool holds, const char *what) {
    if (!holds) verifier_fail(verifier, node, what);
}

static inline bool same_type(const Node *a, const Node *b) {
    return a->dtype == b->dtype && same_shape(a, b);
}

// The attribute is a constant from 0 to limit - 1.
static inline bool attribute_below(const Node *node, int index, int64_t limit) {
    int64_t value;
    return extent_is_constant(node->attributes[index], &value) && value >= 0 && value < limit;
}

#endif
