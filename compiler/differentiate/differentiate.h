// Differentiation: graph to graph, closed under itself.
//
// The derivative of an op is a column of its row in ops.def: text of the language, linear in `ct`, or the name of a
// function in adjoint.c. A RuleTable holds the columns; tests may put other ones into it.
#ifndef GRADC_DIFFERENTIATE_DIFFERENTIATE_H
#define GRADC_DIFFERENTIATE_DIFFERENTIATE_H

#include "graph/graph.h"

typedef struct RuleTable RuleTable;

// Rewrites `function` so that it reaches no `gradient`, `tangent`, `jacobian`, `custom`, `track` and `stop_gradient`,
// in bodies neither. Each gradient and Jacobian, by reverse mode, and each tangent, by forward mode, becomes ordinary
// nodes, inner ones first, so its result can be differentiated again, in either mode. Zero cotangents and tangents are
// never built; only a target that nothing depends on gets zeros. New nodes have the span of the node that they
// differentiate, and its name with `d_` before it. Results of loops that nothing reads are dropped. Returns false, with
// an error at the node's span, when a derivative is missing on the way from y to a target; `function` is then
// unchanged.
bool differentiate(Graph *graph, Diagnostics *diagnostics, Function *function);

// The same in rounds, between which the graph may be simplified, so that second derivatives are those of simple first
// ones. Expands what does not depend on other requests; `*more`: some are left, and marks with them.
bool differentiate_round(Graph *graph, Diagnostics *diagnostics, Function *function, bool *more);

// The cotangent of a linear node's input number `input`, given the node's own; NULL: none flows there.
typedef Node *Adjoint(Graph *graph, Node *node, int input, Node *cotangent);

// The table of ops.def; rules are parsed when first used.
RuleTable *rules_create(Arena *arena);
// Puts `text`, or a function, in place of the derivative of `op`, in this table only; NULL: the op has none.
void rules_override(RuleTable *rules, Op op, const char *text);
void rules_override_adjoint(RuleTable *rules, Op op, Adjoint *adjoint);
const char *rules_text(const RuleTable *rules, Op op);   // NULL: not written as text
Adjoint *rules_adjoint(const RuleTable *rules, Op op);   // NULL: not a function
bool differentiate_with(Graph *graph, Diagnostics *diagnostics, Function *function, RuleTable *rules);

#endif
