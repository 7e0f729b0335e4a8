// Rebuilding graphs: since nodes are immutable, a pass maps old nodes to new ones, inputs first. And closing functions:
// what is computed from some nodes is parted from the graph that it stands in.
#include "graph/rewrite.h"

#include <string.h>

enum { PAGE_NODES = 32, BOOK_PAGES = 128, BOOK_NODES = PAGE_NODES * BOOK_PAGES };
struct NodeBook {
    void **pages[BOOK_PAGES];
};

void *node_map_get(const NodeMap *map, const Node *node) {
    int number = node->id / BOOK_NODES;
    const NodeBook *book = number < map->book_count ? map->books[number] : NULL;
    void **page = book ? book->pages[node->id % BOOK_NODES / PAGE_NODES] : NULL;
    return page ? page[node->id % PAGE_NODES] : NULL;
}

void node_map_set(NodeMap *map, const Node *node, void *value) {
    int number = node->id / BOOK_NODES;
    if (number >= map->book_count) {
        int count = number + number / 2 + 2;
        NodeBook **books = arena_array(map->arena, NodeBook *, count);
        if (map->book_count) memcpy(books, map->books, sizeof *books * (size_t)map->book_count);
        map->books = books;
        map->book_count = count;
    }
    if (!map->books[number]) map->books[number] = arena_new(map->arena, NodeBook);
    void ***page = &map->books[number]->pages[node->id % BOOK_NODES / PAGE_NODES];
    if (!*page) *page = arena_array(map->arena, void *, PAGE_NODES);
    (*page)[node->id % PAGE_NODES] = value;
}

Node *rebuild_with_body(Graph *graph, Node *node, Node **inputs, Function *body) {
    if (body == node->body) return rebuild(graph, node, inputs);
    bool is_loop = node->op == OP_loop;
    int first = is_loop ? loop_part(node, 0) : custom_part(node, 0);
    int second = is_loop ? loop_part(node, 1) : custom_part(node, 1);
    Node **rest = inputs + first + second;
    int rest_count = node->input_count - first - second;
    Span outer = graph->span;
    graph->span = node->span;
    Node *copy = is_loop
                     ? loop(graph, node->attributes[0], inputs, first, inputs + first, second, rest, rest_count, body)
                     : custom(graph, inputs, first, inputs + first, second, rest, rest_count, body);
    graph->span = outer;
    name_node(copy, node->name);
    return copy;
}

void substitute(Graph *graph, NodeMap *map, Node *const *roots, int count, Node **results) {
    NodeArray nodes = reachable(graph, roots, count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node_map_get(map, node)) continue;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = node_map_get(map, node->inputs[k]);
        node_map_set(map, node, rebuild(graph, node, inputs));
    }
    for (int i = 0; i < count; i++) results[i] = node_map_get(map, roots[i]);
}

// ---- another shape

// NULL: the node is not elementwise.
static Node *resize_node(Graph *graph, const NodeMap *map, Node *node, const Extent *const *shape, int rank) {
    Node *inputs[MAX_ARITY];
    if (node->input_count > MAX_ARITY) return NULL;
    for (int i = 0; i < node->input_count; i++) inputs[i] = node_map_get(map, node->inputs[i]);
    if (!node->rank) return rebuild(graph, node, arena_copy(graph->arena, inputs, sizeof inputs));
    if (node->op == OP_variable) return variable_make(graph, node->variable, node->dtype, shape, rank);
    if (node->op == OP_broadcast) return inputs[0]->rank ? NULL : broadcast(graph, inputs[0], shape, rank, NULL);
    if (node->op == OP_cast) return cast(graph, inputs[0], node->dtype);
    if (node->op == OP_stop_gradient) return stop_gradient(graph, inputs[0]);
    if (op_class(node->op) != CLASS_MAP) return NULL;
    if (node->input_count == 1) return map1(graph, node->op, inputs[0]);
    if (node->input_count == 2) return map2(graph, node->op, inputs[0], inputs[1]);
    return map3(graph, node->op, inputs[0], inputs[1], inputs[2]);
}

bool resize(Graph *graph, NodeMap *map, Node *const *roots, int count, const Extent *const *shape, int rank,
            Node **results) {
    NodeArray nodes = reachable(graph, roots, count);
    for (int i = 0; i < nodes.count; i++) {
        if (node_map_get(map, nodes.items[i])) continue;
        Node *node = resize_node(graph, map, nodes.items[i], shape, rank);
        if (!node) return false;
        name_node(node, nodes.items[i]->name);
        node_map_set(map, nodes.items[i], node);
    }
    for (int i = 0; i < count; i++) results[i] = node_map_get(map, roots[i]);
    return true;
}

// ---- closing

typedef struct {
    Graph *graph;
    NodeArray nodes;      // all that the results reach
    const bool *inside;   // by id
    bool *closed;         // by id: needs nothing of anywhere
    NodeArray captures;
    NodeMap map;   // old nodes to those of the function
} Closing;

static void mark_closed(Closing *closing) {
    closing->closed = arena_array(closing->graph->arena, bool, closing->graph->node_count);
    for (int i = 0; i < closing->nodes.count; i++) {
        const Node *node = closing->nodes.items[i];
        OpClass class = op_class(node->op);
        bool closed = node->op == OP_constant || node->op == OP_extent || node->op == OP_iota || class == CLASS_MAP ||
                      class == CLASS_VIEW;
        for (int k = 0; k < node->input_count; k++) closed = closed && closing->closed[node->inputs[k]->id];
        closing->closed[node->id] = closed;
    }
}

static Node *capture(Closing *closing, Node *node) {
    Node *argument = node_map_get(&closing->map, node);
    if (argument) return argument;
    Graph *graph = closing->graph;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = node->name ? node->name : "outer", .requires_grad = true};
    argument = variable_make(graph, &variable, node->dtype, (const Extent *const *)node->shape, node->rank);
    node_map_set(&closing->map, node, argument);
    array_push(graph->arena, &closing->captures, node);
    return argument;
}

// What stands for the node in the function. A tuple is not captured, but what is read of it.
static Node *inner_node(Closing *closing, Node *node) {
    if (closing->inside[node->id]) return node_map_get(&closing->map, node);
    return closing->closed[node->id] ? node : capture(closing, node);
}

static void rebuild_inside(Closing *closing) {
    Graph *graph = closing->graph;
    for (int i = 0; i < closing->nodes.count; i++) {
        Node *node = closing->nodes.items[i];
        if (!closing->inside[node->id]) continue;
        Node **inputs = arena_array(graph->arena, Node *, node->input_count);
        for (int k = 0; k < node->input_count; k++) inputs[k] = inner_node(closing, node->inputs[k]);
        node_map_set(&closing->map, node, rebuild(graph, node, inputs));
    }
}

Closure close_function(Graph *graph, Node *const *arguments, int argument_count, const Named *results, int result_count,
                       const bool *inside) {
    Function *body = arena_new(graph->arena, Function);
    *body = (Function){.name = "body", .result_count = result_count};
    body->results = arena_array(graph->arena, Named, result_count);
    Node **roots = arena_array(graph->arena, Node *, result_count);
    for (int i = 0; i < result_count; i++) roots[i] = results[i].node;
    Closing closing = {.graph = graph, .inside = inside, .map = {.arena = graph->arena}};
    closing.nodes = reachable(graph, roots, result_count);
    mark_closed(&closing);
    rebuild_inside(&closing);
    for (int i = 0; i < result_count; i++)
        body->results[i] = (Named){results[i].name, inner_node(&closing, results[i].node)};
    body->argument_count = argument_count + closing.captures.count;
    body->arguments = arena_array(graph->arena, Node *, body->argument_count);
    for (int i = 0; i < argument_count; i++) body->arguments[i] = arguments[i];
    for (int i = 0; i < closing.captures.count; i++)
        body->arguments[argument_count + i] = node_map_get(&closing.map, closing.captures.items[i]);
    for (int i = 0; i < body->argument_count; i++) body->arguments[i]->variable->index = i;
    return (Closure){body, closing.captures};
}

// ---- functions

Node **result_nodes(Arena *arena, const Function *function) {
    Node **nodes = arena_array(arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) nodes[i] = function->results[i].node;
    return nodes;
}

Function with_results(Arena *arena, const Function *function, Node *const *nodes) {
    Function copy = *function;
    copy.results = arena_array(arena, Named, function->result_count);
    for (int i = 0; i < function->result_count; i++) copy.results[i] = (Named){function->results[i].name, nodes[i]};
    return copy;
}
