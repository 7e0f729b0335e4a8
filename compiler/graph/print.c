// Graphs as text: one node a line, inputs before users, numbered from 0 in that order.
#include "graph/rewrite.h"

#include <string.h>

void print_shape(Text *text, Dtype dtype, const Extent *const *shape, int rank) {
    text_add(text, "%s", dtype_name(dtype));
    if (!rank) return;
    for (int i = 0; i < rank; i++) {
        text_add(text, i ? ", " : "[");
        extent_print(text, shape[i]);
    }
    text_add(text, "]");
}

static void print_scalar(Text *text, const Node *node) {
    if (node->dtype == DTYPE_BOOL) text_add(text, node->scalar.integer ? "true" : "false");
    else if (!dtype_is_float(node->dtype)) text_add(text, "%lld", (long long)node->scalar.integer);
    else text_add(text, node->dtype == DTYPE_F32 ? "%.9g" : "%.17g", node->scalar.real);
}

static void print_list(Text *text, const Node *node, int first, int stride) {
    text_add(text, "[");
    for (int i = first; i < node->attribute_count; i += stride) {
        if (i > first) text_add(text, ", ");
        extent_print(text, node->attributes[i]);
    }
    text_add(text, "]");
}

static void print_labels(Text *text, const Node *node) {
    int x_rank = attribute_integer(node, 0), y_rank = attribute_integer(node, 1);
    text_add(text, " \"");
    for (int i = 2; i < node->attribute_count; i++) {
        if (i == 2 + x_rank) text_add(text, ",");
        if (i == 2 + x_rank + y_rank) text_add(text, "->");
        text_add(text, "%c", 'a' + attribute_integer(node, i));
    }
    if (node->attribute_count == 2 + x_rank + y_rank) text_add(text, "->");
    text_add(text, "\"");
}

static void print_attributes(Text *text, const Node *node) {
    switch (node->op) {
    case OP_constant:
        text_add(text, " ");
        print_scalar(text, node);
        break;
    case OP_variable: text_add(text, " %s", node->variable->name); break;
    case OP_extent:
        text_add(text, " ");
        extent_print(text, node->attributes[0]);
        break;
    case OP_iota: text_add(text, " axis %d", attribute_integer(node, 0)); break;
    case OP_random_uniform:
    case OP_random_normal: text_add(text, " site %d", attribute_integer(node, 0)); break;
    case OP_broadcast:
        text_add(text, " axes ");
        print_list(text, node, 0, 1);
        break;
    case OP_transpose:
        text_add(text, " ");
        print_list(text, node, 0, 1);
        break;
    case OP_slice:
    case OP_pad:
        text_add(text, node->op == OP_slice ? " from " : " at ");
        print_list(text, node, 0, 2);
        text_add(text, " step ");
        print_list(text, node, 1, 2);
        break;
    case OP_window:
    case OP_fold:
        text_add(text, " axis %d stride %d dilation ", attribute_integer(node, 0), attribute_integer(node, 1));
        extent_print(text, node->attributes[2]);
        break;
    case OP_argsort: text_add(text, attribute_integer(node, 0) ? " descending" : ""); break;
    case OP_contract: print_labels(text, node); break;
    case OP_result: text_add(text, " %d", attribute_integer(node, 0)); break;
    case OP_loop:
        text_add(text, " trips ");
        extent_print(text, node->attributes[0]);
        text_add(text, ", %d sequences, %d carries, %d captures", loop_part(node, 0), loop_part(node, 1),
                 loop_part(node, 2));
        break;
    case OP_custom: text_add(text, " %d values, %d arguments", custom_part(node, 0), custom_part(node, 1)); break;
    default:
        if (op_class(node->op) != CLASS_REDUCE) break;
        text_add(text, " axes ");
        print_list(text, node, 0, 1);
    }
}

static void print_place(Text *text, Positions *positions, const Node *node) {
    if (!node->span.source) return;
    int line, column;
    positions_find(positions, node->span.source, node->span.begin, &line, &column);
    const char *path = node->span.source->path, *base = strrchr(path, '/');
    text_add(text, "   # %s:%d:%d", base ? base + 1 : path, line, column);
}

typedef struct {
    NodeMap numbers;   // of nodes: a pointer to it
    int indent;
    bool bare;   // neither the names that nodes have in the source, nor places
    Positions *positions;
} Printer;

static void print_body(Text *text, const Function *function, int indent, bool bare, Positions *positions);

static int number_of(const Printer *printer, const Node *node) {
    return *(const int *)node_map_get(&printer->numbers, node);
}

static void print_node(Text *text, const Printer *printer, const Node *node) {
    text_add(text, "%*s%%%d", printer->indent, "", number_of(printer, node));
    if (node->name && node->op != OP_variable && !printer->bare) text_add(text, " %s", node->name);
    if (node->dtype != DTYPE_TUPLE) {
        text_add(text, ": ");
        print_shape(text, node->dtype, (const Extent *const *)node->shape, node->rank);
    }
    text_add(text, " = %s", op_name(node->op));
    if (printer->bare && node->op == OP_variable && node->variable->kind == VARIABLE_ARGUMENT)
        text_add(text, " argument %d", node->variable->index);
    else print_attributes(text, node);
    for (int i = 0; i < node->input_count; i++)
        text_add(text, "%s%%%d", i ? ", " : " ", number_of(printer, node->inputs[i]));
    if (!printer->bare) print_place(text, printer->positions, node);
    text_add(text, "\n");
    if (node->body) print_body(text, node->body, printer->indent + 4, printer->bare, printer->positions);
}

static int highest_id(const Function *function) {
    int highest = -1;
    for (int i = 0; i < function->result_count; i++)
        if (function->results[i].node->id > highest) highest = function->results[i].node->id;
    return highest;
}

static void print_body(Text *text, const Function *function, int indent, bool bare, Positions *positions) {
    Graph store = {.arena = text->arena, .node_count = highest_id(function) + 1};
    Node **roots = arena_array(text->arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    NodeArray nodes = reachable(&store, roots, function->result_count);
    Printer printer = {{.arena = text->arena}, indent, bare, positions};
    int *numbers = arena_array(text->arena, int, nodes.count);
    for (int i = 0; i < nodes.count; i++) {
        numbers[i] = i;
        node_map_set(&printer.numbers, nodes.items[i], &numbers[i]);
        print_node(text, &printer, nodes.items[i]);
    }
    for (int i = 0; i < function->result_count; i++) {
        const Named *result = &function->results[i];
        text_add(text, "%*sresult %s = %%%d\n", indent, "", result->name && !bare ? result->name : "",
                 number_of(&printer, result->node));
    }
}

static void print(Text *text, const Function *function, bool bare) {
    text_add(text, "function %s(", function->name ? function->name : "");
    for (int i = 0; i < function->argument_count; i++) {
        const Node *argument = function->arguments[i];
        text_add(text, "%s%s: ", i ? ", " : "", argument->variable->name);
        print_shape(text, argument->dtype, (const Extent *const *)argument->shape, argument->rank);
    }
    text_add(text, ")\n");
    Positions positions = {.arena = text->arena};
    print_body(text, function, 4, bare, &positions);
}

void print_function(Text *text, const Function *function) {
    print(text, function, false);
}

void print_computation(Text *text, const Function *function) {
    print(text, function, true);
}
