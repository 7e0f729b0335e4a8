// Small graphs, one or more for each row of the tables of rewrites, and short names to build graphs with.
#ifndef GRADC_TESTS_SIMPLIFY_ROWS_H
#define GRADC_TESTS_SIMPLIFY_ROWS_H

#include "evaluate/evaluate.h"
#include "simplify/rules.h"

enum { CLASSES = 4, SPECIALS = 18, ROWS = SPECIALS * SPECIALS };

// What examples read. N is ROWS: x and y together have every pair of special values.
typedef struct {
    Arena *arena;
    Graph *graph;
    Dtype dtype;   // of the floating inputs
    const Extent *N, *C;
    Node *x, *y;     // [N]
    Node *m, *q;     // [N, C]
    Node *unit;      // [N, 1]
    Node *line;      // [C]
    Node *s;         // a number
    Node *i, *j;     // i32[N]: any integers
    Node *wide;      // i64[N]
    Node *label;     // i32[N]: class numbers, some out of range
    Node *checked;   // i32[N]: in range, and known to be
    Node *b, *c;     // bool[N]
    Node *arguments[16];
    int argument_count;
} Inputs;

Inputs inputs_create(Arena *arena, Dtype dtype);
// Tensors for the arguments. `special`: zeros of both signs, infinities, NaN, subnormal numbers and what overflows;
// else numbers between -3 and 3.
Tensor *inputs_fill(const Inputs *inputs, bool special);

typedef struct {
    const char *row, *name;
    Node *(*build)(const Inputs *inputs);
} Example;
extern const Example exact_examples[], stabilising_examples[], differentiated_examples[], shortening_examples[];
extern const int exact_example_count, stabilising_example_count, differentiated_example_count, shortening_example_count;

// ---- short names
Node *number(const Inputs *in, Node *like, double value);
Node *add(const Inputs *in, Node *x, Node *y);
Node *subtract(const Inputs *in, Node *x, Node *y);
Node *multiply(const Inputs *in, Node *x, Node *y);
Node *divide(const Inputs *in, Node *x, Node *y);
Node *unary(const Inputs *in, Op op, Node *x);
Node *where(const Inputs *in, Node *condition, Node *x, Node *y);
Node *sum(const Inputs *in, Node *x, int axis);   // axis -1: all
Node *largest(const Inputs *in, Node *x, int axis);
Node *columns(const Inputs *in, Node *x);             // [N] to [N, C], by way of [N, 1]
Node *class_mask(const Inputs *in, Node *label);      // bool[N, C]
Node *pick(const Inputs *in, Node *label, Node *x);   // sum(where(mask, x, 0), axis = 1)

#endif
