// Compares derivatives, in f64, with finite differences of the reference evaluator, at any order.
//
// A case builds a value from its inputs. Its scalar is the sum of w * (v + v^2 / 2) over the elements, with weights w
// that are further inputs, so that linear ops have second derivatives too; without the square where the case may be
// differentiated once, so that central differences are exact at kinks. Order k + 1 differentiates the weighted sum of
// the gradients of order k.
#ifndef GRADC_TESTS_GRADIENT_CHECK_H
#define GRADC_TESTS_GRADIENT_CHECK_H

#include "differentiate/differentiate.h"

enum { MAX_CASE_INPUTS = 4, CASE_RANK = 4 };

typedef enum {
    INPUT_TARGET,   // differentiated by
    INPUT_FIXED,
    INPUT_INDEX   // i32 below `high`
} InputRole;

typedef struct {
    int rank;
    int64_t shape[CASE_RANK];   // -n: the open dim N, which is n in the case
    double low, high;           // values are drawn between these; both 0: between -1.5 and 1.5
    const double *values;       // or are these
    InputRole role;
} CaseInput;

typedef struct {
    const char *name;
    Node *(*build)(Graph *graph, Node **inputs);
    int orders;   // how often it may be differentiated at these values; at a kink once
    int input_count;
    CaseInput inputs[MAX_CASE_INPUTS];
} GradientCase;

extern const GradientCase gradient_cases[];
extern const int gradient_case_count;
extern const GradientCase edge_cases[];
extern const int edge_case_count;
extern const GradientCase loop_cases[];
extern const int loop_case_count;

// Changes the rules that a check is made with.
typedef struct {
    void (*change)(RuleTable *rules, const void *context);
    const void *context;
} RuleChange;

// NULL, or what is wrong with the derivative of this order: text in `arena`. `change` may be NULL.
const char *gradient_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change);

// The same for forward mode: of the scalar, or of what reverse mode gives of the order below.
const char *tangent_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change);
// NULL if the derivative of this order along random directions is the same by forward and reverse mode in any order: the
// dot-product test <u, J v> = <J^T u, v>, of J and of its derivatives.
const char *modes_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change);

// Whether the case's graph holds the op, loops' bodies included.
bool case_uses(const GradientCase *test, Op op);

#endif
