// The modes of differentiation, and what the files of this folder share.
#ifndef GRADC_DIFFERENTIATE_MODES_H
#define GRADC_DIFFERENTIATE_MODES_H

#include "differentiate/differentiate.h"
#include "graph/rewrite.h"

// ---- rules.c
typedef enum {
    DERIVATIVE_MISSING,
    DERIVATIVE_ZERO,      // no cotangent flows to the inputs
    DERIVATIVE_RULE,      // text
    DERIVATIVE_ADJOINT,   // a function
    DERIVATIVE_EXPAND     // the modes know the op
} DerivativeKind;
DerivativeKind rules_kind(const RuleTable *rules, Op op);
// The cotangent of input number `input` by the op's rule; NULL: none flows there. Not for DERIVATIVE_EXPAND.
Node *rules_apply(RuleTable *rules, Graph *graph, Node *node, int input, Node *cotangent);

// Of an elementwise op with a rule as text: what the tangent of input number `input` adds to the node's. Since each
// element depends on one of each input, the rule is its own transpose.
Node *rules_push(RuleTable *rules, Graph *graph, Node *node, int input, Node *tangent);

// ---- adjoint.c
// The contraction that `node` is, of other sides of the same shapes.
Node *contract_again(Graph *graph, const Node *node, Node *x, Node *y);
#define RULE(text)
#define ZERO
#define EXPAND
#define ADJOINT(name) Adjoint adjoint_##name;
#define TENSOR_OP(name, class, arity, derivative, ...) derivative
#include "graph/ops.def"
#undef RULE
#undef ZERO
#undef EXPAND
#undef ADJOINT

// ---- reverse.c
typedef struct {
    Graph *graph;
    Diagnostics *diagnostics;
    RuleTable *rules;
    bool one_round;   // requests that depend on others are left for a later one
    Span asked;       // where the derivative is asked for
    bool failed;
} Deriver;

// Which values of a loop depend on what is differentiated by: of its body's arguments, and of its results.
typedef struct {
    bool *arguments, *results;
} LoopFlow;

// The nodes that differentiable paths from some roots lead to, down to the oldest target; and which of them depend on
// a target. Tables are by id, less `first`.
typedef struct {
    int first, count;
    Node **nodes;   // NULL: no path leads there
    bool *active;
    LoopFlow *flows;   // of loops
} Region;
Region region_of(Deriver *deriver, Node *const *roots, int root_count, Node *const *targets, int target_count);
bool region_reaches(const Region *region, const Node *node);
bool region_active(const Region *region, const Node *node);

// The cotangents of the targets, NULL where nothing depends on one, when the roots have the cotangents `seeds` (NULL:
// zero).
void reverse_mode(Deriver *deriver, Node *const *roots, Node *const *seeds, int root_count, Node *const *targets,
                  int target_count, Node **cotangents);

void report_missing(Deriver *deriver, const Node *node);

// ---- forward.c
// The tangents of the roots, NULL where one depends on no target, when the targets have the tangents `seeds` (NULL:
// zero). `known`: the tangents that were found before, with the same targets and seeds; those found now are added.
void forward_mode(Deriver *deriver, Node *const *roots, int root_count, Node *const *targets, Node *const *seeds,
                  int target_count, NodeMap *known, Node **tangents);

// ---- jacobian.c
// The gradients of all elements of y by the targets, stacked on axis 0 as a `jacobian` has them; NULL where nothing
// depends on one.
void all_gradients(Deriver *deriver, Node *y, Node *const *targets, int target_count, Node **gradients);

// ---- forward_loop.c
// The tangents of the loop's results, given those of its inputs; NULL is zero in both.
void forward_loop(Deriver *deriver, Node *loop, Node *const *inputs, Node **results);

// ---- custom.c
// The cotangents of the inputs of `node`, a custom, given those of its results; and the tangents of its results, given
// those of its inputs. NULL is zero in all.
void reverse_custom(Deriver *deriver, Node *node, Node *const *results, Node **inputs);
void forward_custom(Deriver *deriver, Node *node, Node *const *inputs, Node **results);

// ---- loop.c
// The argument that stands in the body of a new loop for `like`; `name` NULL: t.
Node *argument_like(Graph *graph, const Node *like, const char *prefix, const char *name);
LoopFlow loop_flow(Deriver *deriver, const Node *loop, const bool *active_inputs);
// The cotangents of the loop's inputs, given those of its results; NULL is zero in both.
void reverse_loop(Deriver *deriver, Node *loop, const LoopFlow *flow, Node *const *results, Node **inputs);

// ---- keep.c
// How the reversing loop calls what it reads of the forward one.
const char *kept_name(Arena *arena, const Node *node, const char *otherwise);
// `body`, of a loop with these parts, which yields too what reversing it must read: the carries, random numbers, and
// what is costly to compute again. Its first results are the old ones.
Function *body_with_kept(Graph *graph, Function *body, int sequence_count, int carry_count);

// ---- total.c
enum { MAX_TERMS = 8 };
typedef struct {
    double factor;
    int rank;
    Node *sides[2];   // of a contraction with these labels; sides[1] NULL: a plain value
    int labels[2][MAX_RANK], result_labels[MAX_RANK];
} TotalTerm;
typedef struct {
    int count;
    TotalTerm terms[MAX_TERMS];
} Total;
// `value`, of a loop's body, as a sum of terms, of which it is enough to know the sides in every iteration.
Total total_of(Graph *graph, Node *value);
// The sum of the value over the iterations, given the sides of each term, stacked on axis 0.
Node *total_sum(Graph *graph, const Total *total, Node *const (*stacks)[2]);

// ---- merge.c
// Reads results of loops of the function itself, not of those in bodies, of other loops that compute the same and more.
void merge_loops(Graph *graph, Function *function);

// ---- finish.c
// Removes tracks and stop_gradients, and what nothing reads of loops: results, carries, inputs.
void finish_function(Graph *graph, Function *function);

#endif
