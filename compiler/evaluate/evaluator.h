// What the files of this folder share: values while a function is evaluated.
//
//   evaluate.c   functions: their nodes in order, and the memory of their values
//   map.c        elementwise ops, from the evaluate column of ops.def; constant folding
//   element.h    what that column is written in
//   leaf.c       constants, extents, iota, random numbers
//   reduce.c     sums and extremes in the order of S10
//   contract.c   contractions, likewise
//   view.c       copies with strides
//   gather.c     gather and scatter_add
//   fold.c       sums of overlapping windows
//   argsort.c    the order of rows
//   loop.c       loops and their results
#ifndef GRADC_EVALUATE_EVALUATOR_H
#define GRADC_EVALUATE_EVALUATOR_H

#include "evaluate/evaluate.h"

// Memory of a value; used again once no value holds it.
typedef struct Block {
    struct Block *next;   // among the free ones
    int holders;
    int size_class;   // the power of two that it has room for
    void *bytes;
} Block;

typedef struct Value {
    Tensor tensor;
    Block *block;          // that holds tensor.data; NULL: the caller's memory
    struct Value *parts;   // of a loop: its results
    int part_count;
} Value;

enum { SIZE_CLASSES = 64 };

typedef struct {
    Arena *arena;      // for what lives as long as the evaluation
    Arena *messages;   // for the fault: the caller's
    Environment *environment;
    const char *fault;   // the first, or NULL
    Block *free_blocks[SIZE_CLASSES];
    struct Plan *plans;   // one for each function
    uint64_t iteration;   // of the enclosing loops, counted as one: part of what numbers an element's random draw
} Evaluation;

void evaluation_fail(Evaluation *evaluation, const char *format, ...) __attribute__((format(printf, 2, 3)));

// An extent's number; a fault, and 0, where it is negative or has none.
int64_t size_of(Evaluation *evaluation, const Extent *extent);
int64_t tensor_count(const Tensor *tensor);
size_t tensor_bytes(const Tensor *tensor);

// Gives `value` the node's dtype and shape and memory that is not cleared. False, with a fault: it cannot be.
bool value_create(Evaluation *evaluation, const Node *node, Value *value);
bool value_reserve(Evaluation *evaluation, Value *value);   // memory for the tensor that it describes
void value_share(Value *value, const Value *other);
void value_release(Evaluation *evaluation, Value *value);

// Fills `results`, one for each of the function's, which the caller releases.
void evaluate_body(Evaluation *evaluation, const Function *function, const Value *arguments, Value *results);

// Elements by row-major number: strides of a shape, and an index that counts through a shape, last axis fastest.
void row_major(const int64_t *shape, int rank, int64_t *strides);
bool index_next(int64_t *index, const int64_t *shape, int rank);
// The offset of each element of a space of some axes, row-major. The array lives as long as the evaluation's block.
int64_t *offsets_of(Evaluation *evaluation, const int64_t *shape, const int64_t *strides, int rank, Value *holder);

typedef void EvaluateOp(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result);
EvaluateOp evaluate_map, evaluate_variable;
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) EvaluateOp evaluate_##evaluate;
#include "graph/ops.def"

#endif
