// Nodes with several results: loops, requests for derivatives, values with a derivative of the user's.
#include "graph/graph.h"

// ---- reading

int loop_part(const Node *loop, int part) {
    return attribute_integer(loop, 1 + part);
}

int custom_part(const Node *custom, int part) {
    int values = attribute_integer(custom, 0), arguments = attribute_integer(custom, 1);
    return part == 0 ? values : part == 1 ? arguments : custom->input_count - values - arguments;
}

bool is_request(const Node *node) {
    return node->op == OP_gradient || node->op == OP_tangent || node->op == OP_jacobian;
}

int first_target(const Node *request) {
    return 1 + attribute_integer(request, 0);
}

int tuple_size(const Node *tuple) {
    switch (tuple->op) {
    case OP_gradient:
    case OP_jacobian: return tuple->input_count - first_target(tuple);
    case OP_loop: return tuple->body->result_count;
    case OP_custom: return custom_part(tuple, 0);
    default: return 1;
    }
}

// A node like which the result is, but for an axis in front of what is stacked.
static const Node *result_type(const Node *tuple, int index) {
    switch (tuple->op) {
    case OP_gradient:
    case OP_jacobian: return tuple->inputs[first_target(tuple) + index];
    case OP_loop: return tuple->body->results[index].node;
    default: return tuple->inputs[index];   // y of a tangent, the values of custom
    }
}

// ---- building

static void add_inputs(Graph *graph, NodeArray *inputs, Node **nodes, int count) {
    for (int i = 0; i < count; i++) array_push(graph->arena, inputs, nodes[i]);
}

Node *result_of(Graph *graph, Node *tuple, int index) {
    const Node *type = result_type(tuple, index);
    const Extent *shape[MAX_RANK + 1];
    int rank = 0;
    if (tuple->op == OP_loop && index >= loop_part(tuple, 1)) shape[rank++] = tuple->attributes[0];
    if (tuple->op == OP_jacobian) shape[rank++] = element_count(graph, tuple->inputs[0]);
    for (int i = 0; i < type->rank; i++) shape[rank++] = type->shape[i];
    const Extent *attribute = extent_constant(graph->extents, index);
    return node_make(graph, OP_result, type->dtype, tuple, shape, rank, &attribute, 1);
}

Node *loop(Graph *graph, const Extent *trip_count, Node **sequences, int sequence_count, Node **carries,
           int carry_count, Node **captures, int capture_count, Function *body) {
    NodeArray inputs = {0};
    add_inputs(graph, &inputs, sequences, sequence_count);
    add_inputs(graph, &inputs, carries, carry_count);
    add_inputs(graph, &inputs, captures, capture_count);
    int counts[] = {sequence_count, carry_count, capture_count, body->result_count - carry_count};
    const Extent *attributes[5] = {trip_count};
    for (int i = 0; i < 4; i++) attributes[1 + i] = extent_constant(graph->extents, counts[i]);
    return tuple_make(graph, OP_loop, &inputs, attributes, 5, body);
}

Node *gradient(Graph *graph, Node *y, Node *cotangent, Node **targets, int target_count, bool allow_unused) {
    NodeArray inputs = {0};
    add_inputs(graph, &inputs, &y, 1);
    if (cotangent) add_inputs(graph, &inputs, &cotangent, 1);
    add_inputs(graph, &inputs, targets, target_count);
    const Extent *attributes[2] = {extent_constant(graph->extents, cotangent != NULL),
                                   extent_constant(graph->extents, allow_unused)};
    return tuple_make(graph, OP_gradient, &inputs, attributes, 2, NULL);
}

Node *tangent(Graph *graph, Node *y, Node **targets, Node **tangents, int target_count) {
    NodeArray inputs = {0};
    add_inputs(graph, &inputs, &y, 1);
    add_inputs(graph, &inputs, tangents, target_count);
    add_inputs(graph, &inputs, targets, target_count);
    const Extent *count = extent_constant(graph->extents, target_count);
    return tuple_make(graph, OP_tangent, &inputs, &count, 1, NULL);
}

Node *jacobian(Graph *graph, Node *y, Node **targets, int target_count) {
    NodeArray inputs = {0};
    add_inputs(graph, &inputs, &y, 1);
    add_inputs(graph, &inputs, targets, target_count);
    const Extent *between = extent_constant(graph->extents, 0);
    return tuple_make(graph, OP_jacobian, &inputs, &between, 1, NULL);
}

Node *custom(Graph *graph, Node **values, int value_count, Node **arguments, int argument_count, Node **captures,
             int capture_count, Function *pullback) {
    NodeArray inputs = {0};
    add_inputs(graph, &inputs, values, value_count);
    add_inputs(graph, &inputs, arguments, argument_count);
    add_inputs(graph, &inputs, captures, capture_count);
    const Extent *counts[2] = {extent_constant(graph->extents, value_count),
                               extent_constant(graph->extents, argument_count)};
    return tuple_make(graph, OP_custom, &inputs, counts, 2, pullback);
}
