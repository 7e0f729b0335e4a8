// What tests of the reference evaluator share: one graph at a time, its inputs, and what a node of it must be.
#ifndef GRADC_TESTS_EVALUATE_CASE_H
#define GRADC_TESTS_EVALUATE_CASE_H

#include "evaluate/evaluate.h"

#include <stdio.h>

extern int failures;
extern Arena *arena;
extern Graph *graph;
extern Environment environment;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

typedef struct {
    const Extent *extents[MAX_RANK];
    int rank;
} Shape;
Shape shape_of(int rank, const int64_t *sizes);
#define SHAPE(...) shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})

enum { MAX_ARGUMENTS = 8 };
extern Node *arguments[MAX_ARGUMENTS];
extern Tensor tensors[MAX_ARGUMENTS];

void start(void);   // a new graph, without inputs
// A variable with these elements. `values` may be any array of the dtype.
Node *input(Dtype dtype, Shape shape, const void *values);
Tensor evaluate(Node *node);
// The node is of this dtype and shape and has these bits; a NaN is one value.
void expect_at(int line, Node *node, Dtype dtype, Shape shape, const void *values);
#define EXPECT(node, dtype, shape, T, ...) expect_at(__LINE__, node, dtype, shape, (const T[]){__VA_ARGS__})

#endif
