// The reference evaluator: a plain interpreter of graphs, from the evaluate column of ops.def. It defines the bits of a
// program; machine code is tested against it, and the constant folder is the same code.
#ifndef GRADC_EVALUATE_EVALUATE_H
#define GRADC_EVALUATE_EVALUATE_H

#include "graph/graph.h"

// A row-major array. f32 and f64 as float and double, i32, i64, bool as one byte.
typedef struct {
    Dtype dtype;
    int rank;
    int64_t shape[MAX_RANK];
    void *data;
} Tensor;

// A value for a variable that is not among the function's arguments: a parameter, a state, a hyperparameter.
typedef struct {
    const Node *variable;
    Tensor value;
} VariableValue;

typedef struct {
    const int64_t *dims;             // the open dims, by number; NULL where there are none
    uint64_t seed, draw_count;       // of random numbers (S11)
    const VariableValue *bindings;   // variables besides the arguments
    int binding_count;
    int64_t fault[2];   // out: the first index out of range, and its position in the index tensor
    bool faulted;       // out: there was one (it was clamped)
} Environment;

// Computes the function's results into `results` (result_count of them; their data lives in `arena`). `arguments`: one
// for each of the function's arguments, of its dtype and shape; NULL if there are none. Needs: differentiated, that is
// no `gradient` and `tangent` nodes. Returns NULL, or what is wrong (a dtype or shape that does not fit, an unbound variable).
const char *evaluate_function(Arena *arena, const Function *function, const Tensor *arguments, Environment *environment,
                              Tensor *results);

// The value of an elementwise node of rank 0 whose inputs are constants. False: it is not foldable.
bool fold_constant(Graph *graph, const Node *node, Scalar *value);

#endif
