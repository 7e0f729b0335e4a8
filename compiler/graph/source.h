// What the parts of printing a graph as a program share: statements (source.c), expressions (source_expression.c) and
// constant tensors (source_constant.c).
#ifndef GRADC_GRAPH_SOURCE_H
#define GRADC_GRAPH_SOURCE_H

#include "graph/graph.h"

// Binding powers, weakest first, as in the grammar.
typedef enum {
    BIND_NONE,
    BIND_OR,
    BIND_AND,
    BIND_NOT,
    BIND_COMPARE,
    BIND_ADD,
    BIND_MULTIPLY,
    BIND_NEGATE,
    BIND_POWER,
    BIND_POSTFIX
} Binding;

// A name that means something already, and the number that a further name like it may have.
typedef struct TakenName {
    const char *name;
    int number;
    struct TakenName *next;
} TakenName;
enum { TAKEN_BUCKETS = 4096 };

typedef struct {
    Text *text;
    Graph *graph;
    const char **names;   // by node id: what stands for the node; NULL: its expression does
    Node **aliases;       // by node id: what an argument of a loop's body captures
    bool *written;        // by node id: its statement stands above
    bool *lists;          // by node id: a small constant tensor, written as a list
    TakenName **taken;    // by name: TAKEN_BUCKETS
    int indent;
    const char *missing;   // an op that has no spelling
} SourceWriter;

// The node's name, or its expression in parentheses if that binds weaker than `power`.
void write_value(SourceWriter *writer, const Node *node, int power);
// Its expression, whether it has a name or not.
void write_expression(SourceWriter *writer, const Node *node, int power);
// The same, and a number with its dtype, since nothing beside it says which it has.
void write_typed_value(SourceWriter *writer, const Node *node);
void write_number(SourceWriter *writer, Dtype dtype, Scalar number);

// Marks, in `lists`, what the roots reach that is to be written as a list.
void find_lists(SourceWriter *writer, Node *const *roots, int root_count);
void write_list(SourceWriter *writer, const Node *node);

#endif
