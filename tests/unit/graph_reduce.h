// Makes a graph function that shows a fault smaller, as long as it still shows it: nodes are replaced by their own
// inputs, by arguments, by new arguments or by numbers, in the function and in the bodies of its loops, and arguments
// that nothing reads are dropped.
#ifndef GRADC_TESTS_GRAPH_REDUCE_H
#define GRADC_TESTS_GRAPH_REDUCE_H

#include "graph/graph.h"

typedef bool GraphShowsFault(void *context, const Function *function);

// Makes nodes in the graph. At most `budget` functions are tried.
Function reduce_graph(Graph *graph, Function function, GraphShowsFault *shows, void *context, int budget);

// How many nodes the function reaches, bodies included.
int graph_size(Graph *graph, const Function *function);

#endif
