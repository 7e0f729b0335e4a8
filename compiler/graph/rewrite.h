// What passes over graphs share: maps from nodes to nodes, and rebuilding with replacements.
#ifndef GRADC_GRAPH_REWRITE_H
#define GRADC_GRAPH_REWRITE_H

#include "graph/graph.h"

// A map from nodes to nodes, or to whatever has a pointer, by id; grows as the graph does. `{.arena = arena}` is empty.
// Ids that lie together share a page, and pages a book, so that a map of a few nodes of a large graph is small: what is
// done for each of many bodies must not take room for the whole graph each time.
typedef struct NodeBook NodeBook;
typedef struct {
    Arena *arena;
    NodeBook **books;
    int book_count;
} NodeMap;

void *node_map_get(const NodeMap *map, const Node *node);   // NULL: not there
void node_map_set(NodeMap *map, const Node *node, void *value);

// `node` with the inputs, and for a loop or custom the body, given. The inputs may have other nodes of the same dtypes
// and shapes.
Node *rebuild_with_body(Graph *graph, Node *node, Node **inputs, Function *body);

// The roots with every node that `map` holds replaced by what it maps to; fills `map` for all that they reach. Bodies
// are not entered. `results` may be `roots`.
void substitute(Graph *graph, NodeMap *map, Node *const *roots, int count, Node **results);

// The roots, which compute with numbers and with vectors of one length element by element, for tensors of another shape
// in place of the vectors. Fills `map` for all that they reach, where what it holds already stands. False: some node is
// not elementwise. `results` may be `roots`.
bool resize(Graph *graph, NodeMap *map, Node *const *roots, int count, const Extent *const *shape, int rank,
            Node **results);

// A function made of nodes in the middle of a graph.
typedef struct {
    Function *body;
    NodeArray captures;   // what it reads from outside; its arguments for them come after the others
} Closure;

// `inside`, by id, holds what belongs to the function, down to its arguments. What it reads besides is captured, but
// for constants and counters, and what is computed of them alone, which stand on both sides. Results may be outside.
Closure close_function(Graph *graph, Node *const *arguments, int argument_count, const Named *results, int result_count,
                       const bool *inside);

// A new array of the function's results' nodes, in order.
Node **result_nodes(Arena *arena, const Function *function);
// `function` with other nodes for its results; the names are kept, the old results are not changed.
Function with_results(Arena *arena, const Function *function, Node *const *nodes);

#endif
