// The batching rules. Axis 0 of a batched value counts the iterations; what is the same in all of them has no such
// axis.
#include "differentiate/batch.h"

#include "graph/rewrite.h"

#include <string.h>

// What a node of the body becomes; `node` NULL: it has no batched form.
typedef struct Batched Batched;
struct Batched {
    Node *node;
    bool batched;       // whether axis 0 is the iteration
    Batched *results;   // of a loop
};

typedef struct {
    Graph *graph;
    const Extent *count;   // of iterations
    NodeMap values;        // of the body's nodes: Batched
    BatchChange *change;   // or NULL
    const void *context;
} Batch;

// At least one input is batched, or the op is a leaf.
typedef Batched Rule(Batch *batch, Node *node, const Batched *inputs);
static Rule rule_map, rule_leaf, rule_random, rule_reduce, rule_contract, rule_broadcast, rule_reshape, rule_transpose,
    rule_slice, rule_pad, rule_window, rule_fold, rule_gather, rule_scatter, rule_argsort, rule_mark, rule_none,
    rule_loop, rule_custom, rule_result;

#define BATCH(rule) rule_##rule
static Rule *const rules[OP_COUNT] = {
#define MAP_OP(name, ...) [OP_##name] = rule_map,
#define TENSOR_OP(name, class, arity, derivative, batching, ...) [OP_##name] = batching,
#include "graph/ops.def"
};
#undef BATCH

static const Batched impossible;

static Batched value_of(const Batch *batch, const Node *node) {
    const Batched *value = node_map_get(&batch->values, node);
    return value ? *value : impossible;
}

static void set_value(Batch *batch, const Node *node, Batched value) {
    node_map_set(&batch->values, node, arena_copy(batch->graph->arena, &value, sizeof value));
}

static Batched batched(Node *node) {
    return (Batched){.node = node, .batched = true};
}

// ---- shapes with the axis of iterations in front

// `node`'s own shape below the iterations.
static int batched_shape(const Batch *batch, const Node *node, const Extent **shape) {
    shape[0] = batch->count;
    for (int i = 0; i < node->rank; i++) shape[i + 1] = node->shape[i];
    return node->rank + 1;
}

// The value repeated for every iteration, unless it has one for each.
static Node *with_axis(const Batch *batch, Batched value) {
    if (value.batched) return value.node;
    const Extent *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, value.node, shape), axes[MAX_RANK];
    for (int i = 0; i < value.node->rank; i++) axes[i] = i + 1;
    return broadcast(batch->graph, value.node, shape, rank, axes);
}

// Moves axis `from` to place `to`.
static Node *move_axis(Graph *graph, Node *x, int from, int to) {
    int permutation[MAX_RANK], next = 0;
    for (int i = 0; i < x->rank; i++) {
        if (i == to) permutation[i] = from;
        else {
            next += next == from;
            permutation[i] = next++;
        }
    }
    return transpose(graph, x, permutation);
}

// ---- rules

static Batched rule_map(Batch *batch, Node *node, const Batched *inputs) {
    Node *operands[MAX_ARITY];
    for (int i = 0; i < node->input_count; i++) operands[i] = with_axis(batch, inputs[i]);
    if (node->op == OP_cast) return batched(cast(batch->graph, operands[0], node->dtype));
    if (node->input_count == 1) return batched(map1(batch->graph, node->op, operands[0]));
    if (node->input_count == 2) return batched(map2(batch->graph, node->op, operands[0], operands[1]));
    return batched(map3(batch->graph, node->op, operands[0], operands[1], operands[2]));
}

static Batched rule_leaf(Batch *batch, Node *node, const Batched *inputs) {
    (void)batch, (void)inputs;
    return (Batched){.node = node};
}

// Element i of iteration t has number t * count + i either way.
static Batched rule_random(Batch *batch, Node *node, const Batched *inputs) {
    (void)inputs;
    const Extent *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, node, shape);
    return batched(random_make(batch->graph, node->op, node->dtype, shape, rank, attribute_integer(node, 0)));
}

static Batched rule_reduce(Batch *batch, Node *node, const Batched *inputs) {
    int axes[MAX_RANK];
    for (int i = 0; i < node->attribute_count; i++) axes[i] = attribute_integer(node, i) + 1;
    return batched(reduce(batch->graph, node->op, inputs[0].node, axes, node->attribute_count));
}

static Batched rule_contract(Batch *batch, Node *node, const Batched *inputs) {
    int ranks[3] = {node->inputs[0]->rank, node->inputs[1]->rank, node->rank}, labels[3][MAX_RANK + 1], at = 2;
    bool front[3] = {inputs[0].batched, inputs[1].batched, true}, used[26] = {false};
    for (int part = 0; part < 3; part++)
        for (int i = 0; i < ranks[part]; i++) {
            labels[part][i + front[part]] = attribute_integer(node, at++);
            used[labels[part][i + front[part]]] = true;
        }
    int fresh = 0;
    while (used[fresh]) fresh++;
    for (int part = 0; part < 3; part++)
        if (front[part]) labels[part][0] = fresh;
    return batched(
        contract(batch->graph, inputs[0].node, inputs[1].node, labels[0], labels[1], labels[2], node->rank + 1));
}

static Batched rule_broadcast(Batch *batch, Node *node, const Batched *inputs) {
    const Extent *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, node, shape), axes[MAX_RANK + 1] = {0};
    for (int i = 0; i < node->attribute_count; i++) axes[i + 1] = attribute_integer(node, i) + 1;
    return batched(broadcast(batch->graph, inputs[0].node, shape, rank, axes));
}

static Batched rule_reshape(Batch *batch, Node *node, const Batched *inputs) {
    const Extent *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, node, shape);
    return batched(reshape(batch->graph, inputs[0].node, shape, rank));
}

static Batched rule_transpose(Batch *batch, Node *node, const Batched *inputs) {
    int permutation[MAX_RANK + 1] = {0};
    for (int i = 0; i < node->rank; i++) permutation[i + 1] = attribute_integer(node, i) + 1;
    return batched(transpose(batch->graph, inputs[0].node, permutation));
}

static Batched strided(Batch *batch, Node *node, const Batched *inputs) {
    const Extent *shape[MAX_RANK + 1], *starts[MAX_RANK + 1] = {extent_constant(batch->graph->extents, 0)};
    int64_t steps[MAX_RANK + 1] = {1};
    batched_shape(batch, node, shape);
    for (int i = 0; i < node->rank; i++) {
        starts[i + 1] = node->attributes[2 * i];
        steps[i + 1] = attribute_integer(node, 2 * i + 1);
    }
    Node *x = inputs[0].node;
    return batched(node->op == OP_slice ? slice(batch->graph, x, starts, steps, shape)
                                        : pad(batch->graph, x, starts, steps, shape));
}

static Batched rule_slice(Batch *batch, Node *node, const Batched *inputs) {
    return strided(batch, node, inputs);
}

static Batched rule_pad(Batch *batch, Node *node, const Batched *inputs) {
    return strided(batch, node, inputs);
}

static Batched rule_window(Batch *batch, Node *node, const Batched *inputs) {
    int axis = attribute_integer(node, 0);
    return batched(window(batch->graph, inputs[0].node, axis + 1, node->shape[axis + 1], attribute_integer(node, 1),
                          node->attributes[2]));
}

static Batched rule_fold(Batch *batch, Node *node, const Batched *inputs) {
    int axis = attribute_integer(node, 0);
    return batched(fold_windows(batch->graph, inputs[0].node, axis + 1, attribute_integer(node, 1), node->attributes[2],
                                node->shape[axis]));
}

// Axes 0 and 1 as one, and back.
static Node *join_front(Graph *graph, Node *x) {
    const Extent *shape[MAX_RANK];
    for (int i = 1; i < x->rank; i++) shape[i - 1] = x->shape[i];
    shape[0] = extent_multiply(graph->extents, x->shape[0], x->shape[1]);
    return reshape(graph, x, (const Extent *const *)shape, x->rank - 1);
}

// Indices into rows, which differ from iteration to iteration as the rows do, as indices into the rows of all. One that
// is out of range would be another iteration's: it becomes -1, which is found out.
static Node *joined_indices(const Batch *batch, Node *indices, const Extent *rows) {
    Graph *graph = batch->graph;
    const Extent *const *shape = (const Extent *const *)indices->shape;
    Node *index = cast(graph, indices, DTYPE_I64);
    Node *count = broadcast(graph, extent_value(graph, DTYPE_I64, rows), shape, indices->rank, NULL);
    Node *first = map2(graph, OP_multiply, iota(graph, DTYPE_I64, shape, indices->rank, 0), count);
    Node *fits = map2(graph, OP_logical_and, map2(graph, OP_less_equal, constant_like(graph, index, 0), index),
                      map2(graph, OP_less, index, count));
    return map3(graph, OP_where, fits, map2(graph, OP_add, first, index), constant_like(graph, index, -1));
}

static Batched rule_gather(Batch *batch, Node *node, const Batched *inputs) {
    if (inputs[0].batched && inputs[1].batched) {
        Node *indices = joined_indices(batch, inputs[1].node, node->inputs[0]->shape[0]);
        return batched(gather(batch->graph, join_front(batch->graph, inputs[0].node), indices));
    }
    if (!inputs[0].batched) return batched(gather(batch->graph, inputs[0].node, inputs[1].node));
    Node *rows_first = move_axis(batch->graph, inputs[0].node, 0, 1);
    return batched(move_axis(batch->graph, gather(batch->graph, rows_first, inputs[1].node), node->inputs[1]->rank, 0));
}

static Node *scatter_to_joined(Batch *batch, const Node *node, const Batched *inputs) {
    const Extent *joined[MAX_RANK], *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, node, shape);
    for (int i = 0; i < node->rank; i++) joined[i] = node->shape[i];
    joined[0] = extent_multiply(batch->graph->extents, batch->count, node->shape[0]);
    Node *indices = joined_indices(batch, inputs[0].node, node->shape[0]);
    Node *sum = scatter_add(batch->graph, indices, with_axis(batch, inputs[1]), joined, node->rank);
    return reshape(batch->graph, sum, shape, rank);
}

static Batched rule_scatter(Batch *batch, Node *node, const Batched *inputs) {
    if (inputs[0].batched) return batched(scatter_to_joined(batch, node, inputs));
    const Extent *shape[MAX_RANK + 1] = {node->shape[0], batch->count};
    for (int i = 1; i < node->rank; i++) shape[i + 1] = node->shape[i];
    Node *updates = move_axis(batch->graph, inputs[1].node, 0, node->inputs[0]->rank);
    Node *rows_first = scatter_add(batch->graph, inputs[0].node, updates, shape, node->rank + 1);
    return batched(move_axis(batch->graph, rows_first, 0, 1));
}

static Batched rule_argsort(Batch *batch, Node *node, const Batched *inputs) {
    return batched(argsort(batch->graph, inputs[0].node, attribute_integer(node, 0)));
}

static Batched rule_mark(Batch *batch, Node *node, const Batched *inputs) {
    Node *x = inputs[0].node;
    return batched(node->op == OP_track ? track(batch->graph, x) : stop_gradient(batch->graph, x));
}

static Batched rule_none(Batch *batch, Node *node, const Batched *inputs) {
    (void)batch, (void)node, (void)inputs;
    return impossible;
}

static Batched rule_result(Batch *batch, Node *node, const Batched *inputs) {
    (void)batch;
    return inputs[0].results[attribute_integer(node, 0)];
}

// ---- functions

// Whether each iteration of a loop around it would be another, though nothing that differs is read.
static bool draws(Graph *graph, const Function *body) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, body), body->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (node->op == OP_random_uniform || node->op == OP_random_normal) return true;
        if (node->body && draws(graph, node->body)) return true;
    }
    return false;
}

// Gives every node that the results reach its batched form, the arguments' being there. False: one has none.
static bool batch_body(Batch *batch, const Function *body) {
    Graph *graph = batch->graph;
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, body), body->result_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (value_of(batch, node).node) continue;
        Batched *inputs = arena_array(graph->arena, Batched, node->input_count);
        Node **same = arena_array(graph->arena, Node *, node->input_count);
        bool any = op_class(node->op) == CLASS_LEAF || (node->body && draws(graph, node->body));
        for (int k = 0; k < node->input_count; k++) {
            inputs[k] = value_of(batch, node->inputs[k]);
            same[k] = inputs[k].node;
            any = any || inputs[k].batched;
        }
        if (any && node->rank == MAX_RANK) return false;
        graph->span = node->span;
        Batched value = any ? rules[node->op](batch, node, inputs) : (Batched){.node = rebuild(graph, node, same)};
        if (!value.node) return false;
        if (batch->change && value.batched && value.node->dtype != DTYPE_TUPLE)
            value.node = batch->change(graph, node, value.node, batch->context);
        if (op_class(value.node->op) != CLASS_LEAF) name_node(value.node, node->name);
        set_value(batch, node, value);
    }
    return true;
}

static Node *argument_of(const Batch *batch, const Node *argument, bool is_batched, int index) {
    Variable variable = *argument->variable;
    variable.index = index;
    const Extent *shape[MAX_RANK + 1];
    int rank = batched_shape(batch, argument, shape), skipped = is_batched ? 0 : 1;
    return variable_make(batch->graph, &variable, argument->dtype, shape + skipped, rank - skipped);
}

// The body of an inner loop, of which some arguments are batched. A carry is batched if its first value or any new one
// is: `is_batched` of arguments grows until it is closed. NULL: no batched form.
static Function *batch_inner_body(Batch *batch, const Node *loop, bool *is_batched) {
    Graph *graph = batch->graph;
    const Function *body = loop->body;
    int first_carry = loop_part(loop, 0), carry_count = loop_part(loop, 1);
    for (;;) {
        Batch inner = *batch;
        inner.values = (NodeMap){.arena = graph->arena};
        Function *copy = arena_copy(graph->arena, body, sizeof *body);
        copy->arguments = arena_array(graph->arena, Node *, body->argument_count);
        for (int i = 0; i < body->argument_count; i++) {
            if (is_batched[i] && body->arguments[i]->rank == MAX_RANK) return NULL;
            copy->arguments[i] = argument_of(batch, body->arguments[i], is_batched[i], i);
            set_value(&inner, body->arguments[i], (Batched){copy->arguments[i], is_batched[i], NULL});
        }
        if (!batch_body(&inner, body)) return NULL;
        copy->results = arena_copy(graph->arena, body->results, sizeof(Named) * (size_t)body->result_count);
        bool closed = true;
        for (int i = 0; i < body->result_count; i++) {
            Batched value = value_of(&inner, body->results[i].node);
            bool carry = i < carry_count, wanted = !carry || is_batched[first_carry + i];
            if (carry && value.batched && !wanted) is_batched[first_carry + i] = true, closed = false;
            copy->results[i].node = wanted ? with_axis(batch, value) : value.node;
        }
        if (closed) return copy;
    }
}

// Runs an inner loop once, on all iterations of the outer one. Its own axis stays in front of theirs. Random numbers
// would then be counted otherwise.
static Batched rule_loop(Batch *batch, Node *node, const Batched *inputs) {
    Graph *graph = batch->graph;
    int sequences = loop_part(node, 0), carries = loop_part(node, 1), result_count = node->body->result_count;
    bool *is_batched = arena_array(graph->arena, bool, node->input_count);
    for (int i = 0; i < node->input_count; i++) {
        is_batched[i] = inputs[i].batched;
    }
    for (int i = carries; i < result_count; i++)
        if (node->body->results[i].node->rank + 2 > MAX_RANK) return impossible;
    Function *body = draws(graph, node->body) ? NULL : batch_inner_body(batch, node, is_batched);
    graph->span = node->span;
    if (!body) return impossible;
    Node **values = arena_array(graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++) {
        bool carry = i >= sequences && i < sequences + carries;
        values[i] = carry && is_batched[i] ? with_axis(batch, inputs[i]) : inputs[i].node;
        if (i < sequences && is_batched[i]) values[i] = move_axis(graph, values[i], 0, 1);
    }
    Node *loops = loop(graph, node->attributes[0], values, sequences, values + sequences, carries,
                       values + sequences + carries, loop_part(node, 2), body);
    Batched value = {loops, true, arena_array(graph->arena, Batched, result_count)};
    for (int i = 0; i < result_count; i++) {
        Node *result = result_of(graph, loops, i);
        if (i >= carries) value.results[i] = batched(move_axis(graph, result, 0, 1));
        else value.results[i] = (Batched){result, is_batched[sequences + i], NULL};
    }
    return value;
}

// The values with the axis, and a formula that takes and gives cotangents with it.
static Batched rule_custom(Batch *batch, Node *node, const Batched *inputs) {
    Graph *graph = batch->graph;
    const Function *body = node->body;
    int values = custom_part(node, 0), arguments = custom_part(node, 1);
    Batch inner = *batch;
    inner.values = (NodeMap){.arena = graph->arena};
    Function *copy = arena_copy(graph->arena, body, sizeof *body);
    copy->arguments = arena_array(graph->arena, Node *, body->argument_count);
    for (int i = 0; i < body->argument_count; i++) {
        bool is_batched = i < values || inputs[i + arguments].batched;
        if (is_batched && body->arguments[i]->rank == MAX_RANK) return impossible;
        copy->arguments[i] = argument_of(batch, body->arguments[i], is_batched, i);
        set_value(&inner, body->arguments[i], (Batched){copy->arguments[i], is_batched, NULL});
    }
    if (draws(graph, body) || !batch_body(&inner, body)) return impossible;
    copy->results = arena_copy(graph->arena, body->results, sizeof(Named) * (size_t)body->result_count);
    for (int i = 0; i < body->result_count; i++)
        copy->results[i].node = with_axis(batch, value_of(&inner, body->results[i].node));
    Node **nodes = arena_array(graph->arena, Node *, node->input_count);
    for (int i = 0; i < node->input_count; i++)
        nodes[i] = i < values + arguments ? with_axis(batch, inputs[i]) : inputs[i].node;
    graph->span = node->span;
    Node *whole =
        custom(graph, nodes, values, nodes + values, arguments, nodes + values + arguments, custom_part(node, 2), copy);
    Batched value = {whole, true, arena_array(graph->arena, Batched, values)};
    for (int i = 0; i < values; i++) value.results[i] = batched(result_of(graph, whole, i));
    return value;
}

static Node **batch_loop_with(Graph *graph, Node *loop, BatchChange *change, const void *context) {
    const Function *body = loop->body;
    if (loop_part(loop, 1)) return NULL;
    Batch batch = {graph, loop->attributes[0], {.arena = graph->arena}, change, context};
    for (int i = 0; i < loop->input_count; i++)
        set_value(&batch, body->arguments[i], (Batched){loop->inputs[i], i < loop_part(loop, 0), NULL});
    Span outer = graph->span;
    bool possible = batch_body(&batch, body);
    graph->span = outer;
    if (!possible) return NULL;
    Node **results = arena_array(graph->arena, Node *, body->result_count);
    for (int i = 0; i < body->result_count; i++) {
        if (body->results[i].node->rank == MAX_RANK) return NULL;
        results[i] = with_axis(&batch, value_of(&batch, body->results[i].node));
    }
    return results;
}

Node **batch_loop(Graph *graph, Node *loop) {
    return batch_loop_with(graph, loop, NULL, NULL);
}

// ---- the pass

typedef struct {
    BatchChange *change;
    const void *context;
} Changed;

static Node **batch_changed(Graph *graph, Node *loop, const void *context) {
    const Changed *changed = context;
    return batch_loop_with(graph, loop, changed->change, changed->context);
}

void batch_loops_with(Graph *graph, Function *function, BatchChange *change, const void *context) {
    replace_loops(graph, function, batch_changed, &(Changed){change, context});
}

void batch_loops(Graph *graph, Function *function) {
    batch_loops_with(graph, function, NULL, NULL);
}
