// The verifier: checks every node that a function reaches, also in bodies, against its op's rule.
//
// Runs after every pass in builds with assertions and in all tests, so that a wrong pass is caught where it went wrong.
// Needs nothing, changes nothing. What it finds is a fault of the compiler, never of the user's program.
#include "graph/rewrite.h"
#include "graph/verifier.h"

#include <string.h>

void verifier_fail(Verifier *verifier, const Node *node, const char *what) {
    if (verifier->fault) return;
    Text shape = {.arena = verifier->graph->arena};
    if (node->rank >= 0 && node->rank <= MAX_RANK && node->dtype < DTYPE_TUPLE)
        print_shape(&shape, node->dtype, (const Extent *const *)node->shape, node->rank);
    verifier->fault =
        arena_print(verifier->graph->arena, "%s: node %d, %s%s%s %s: %s",
                    verifier->function->name ? verifier->function->name : "a function", node->id, op_name(node->op),
                    node->name ? " " : "", node->name ? node->name : "", shape.length ? shape.bytes : "", what);
}

static bool constant_attribute(const Node *node, int index, int64_t *value) {
    return extent_is_constant(node->attributes[index], value);
}

// ---- elementwise ops: the `types` column

static void operands_alike(Verifier *verifier, const Node *node) {
    for (int i = 0; i < node->input_count; i++)
        expect(verifier, node, same_type(node->inputs[i], node), "an operand has another dtype or shape");
}

static void verify_floating(Verifier *verifier, const Node *node) {
    operands_alike(verifier, node);
    expect(verifier, node, dtype_is_float(node->dtype), "it is not floating");
}

static void verify_number(Verifier *verifier, const Node *node) {
    operands_alike(verifier, node);
    expect(verifier, node, dtype_is_float(node->dtype) || dtype_is_integer(node->dtype), "it is no number");
}

static void verify_compare(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->dtype == DTYPE_BOOL, "a comparison is not a bool");
    expect(verifier, node, same_type(node->inputs[0], node->inputs[1]), "the operands' dtypes or shapes differ");
    expect(verifier, node, same_shape(node->inputs[0], node), "the operands have another shape");
}

static void verify_logic(Verifier *verifier, const Node *node) {
    operands_alike(verifier, node);
    expect(verifier, node, node->dtype == DTYPE_BOOL, "it is not a bool");
}

static void verify_select(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->inputs[0]->dtype == DTYPE_BOOL, "the condition is not a bool");
    expect(verifier, node, same_shape(node->inputs[0], node), "the condition has another shape");
    for (int i = 1; i < 3; i++)
        expect(verifier, node, same_type(node->inputs[i], node), "a choice has another dtype or shape");
}

static void verify_cast(Verifier *verifier, const Node *node) {
    expect(verifier, node, same_shape(node->inputs[0], node), "the operand has another shape");
    expect(verifier, node, node->inputs[0]->dtype != node->dtype, "it casts to the dtype that is there");
}

// ---- leaves

static void verify_variable(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->variable != NULL, "there is no variable");
    expect(verifier, node, node->attribute_count == 1, "it has no identity");
}

static void verify_constant(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->rank == 0, "a constant has rank 0");
    bool fits = node->dtype != DTYPE_BOOL || node->scalar.integer == 0 || node->scalar.integer == 1;
    if (node->dtype == DTYPE_I32) fits = node->scalar.integer == (int32_t)node->scalar.integer;
    if (node->dtype == DTYPE_F32)
        fits = node->scalar.real != node->scalar.real || node->scalar.real == (double)(float)node->scalar.real;
    expect(verifier, node, fits, "the number does not fit the dtype");
}

static void verify_extent(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->attribute_count == 1 && node->rank == 0, "an extent has rank 0 and one attribute");
    expect(verifier, node, node->dtype != DTYPE_BOOL, "an extent is a number");
}

static void verify_iota(Verifier *verifier, const Node *node) {
    bool fits = node->attribute_count == 1 && attribute_below(node, 0, node->rank);
    expect(verifier, node, fits, "the axis is none of its axes");
    expect(verifier, node, node->dtype != DTYPE_BOOL, "it is a number");
}

static void verify_random(Verifier *verifier, const Node *node) {
    int64_t site;
    expect(verifier, node, node->attribute_count == 2 && constant_attribute(node, 0, &site), "it has no site");
    expect(verifier, node, dtype_is_float(node->dtype), "it is not floating");
}

// ---- reductions and contractions

static void verify_reduce(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0];
    int count = node->attribute_count, kept = 0, next = 0;
    int64_t axis, previous = -1;
    bool argmax = node->op == OP_reduce_argmax;
    expect(verifier, node, count > 0 && node->rank == x->rank - count, "the rank is not that of the axes that stay");
    for (int i = 0; i < count && !verifier->fault; i++) {
        bool fits = attribute_below(node, i, x->rank) && constant_attribute(node, i, &axis) && axis > previous;
        expect(verifier, node, fits, "the axes are not ascending axes of the operand");
        previous = axis;
    }
    for (int i = 0; i < x->rank && !verifier->fault; i++) {
        if (next < count && attribute_integer(node, next) == i) next++;
        else expect(verifier, node, node->shape[kept++] == x->shape[i], "an axis that stays changed its extent");
    }
    expect(verifier, node, node->dtype == (argmax ? DTYPE_I64 : x->dtype), "the dtype is not the operand's");
    expect(verifier, node, x->dtype != DTYPE_BOOL || node->op != OP_reduce_sum, "a sum of bools");
}

enum { LABELS = 26 };

// The labels of one operand or of the result, with their extents; `used` counts where each stands.
static void read_labels(Verifier *verifier, const Node *node, int first, const Node *of, const Extent **sizes,
                        int *used) {
    bool own[LABELS] = {0};
    for (int i = 0; i < of->rank && !verifier->fault; i++) {
        expect(verifier, node, attribute_below(node, first + i, LABELS), "a label is none of a to z");
        if (verifier->fault) return;
        int label = attribute_integer(node, first + i);
        expect(verifier, node, !own[label], "a label stands twice in one operand or in the result");
        expect(verifier, node, !sizes[label] || sizes[label] == of->shape[i], "a label has two extents");
        own[label] = true;
        sizes[label] = of->shape[i];
        used[label]++;
    }
}

static void verify_contract(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0], *y = node->inputs[1];
    const Extent *sizes[LABELS] = {0};
    int used[LABELS] = {0}, in_operands[LABELS];
    bool fits = node->attribute_count == 2 + x->rank + y->rank + node->rank &&
                extent_is(node->attributes[0], x->rank) && extent_is(node->attributes[1], y->rank);
    expect(verifier, node, fits, "the labels do not count the operands' axes");
    if (!fits) return;
    expect(verifier, node, x->dtype == node->dtype && y->dtype == node->dtype, "an operand has another dtype");
    expect(verifier, node, node->dtype != DTYPE_BOOL, "a contraction of bools");
    read_labels(verifier, node, 2, x, sizes, used);
    read_labels(verifier, node, 2 + x->rank, y, sizes, used);
    memcpy(in_operands, used, sizeof used);
    read_labels(verifier, node, 2 + x->rank + y->rank, node, sizes, used);
    for (int label = 0; label < LABELS; label++) {
        bool alone = used[label] == 1 && in_operands[label] == 1;
        expect(verifier, node, !alone, "a label of one operand stands nowhere else");
        expect(verifier, node, !used[label] || in_operands[label], "a label of the result stands in no operand");
    }
}

// ---- views

static void same_dtype(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->dtype == node->inputs[0]->dtype, "the operand has another dtype");
}

static void verify_broadcast(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0];
    same_dtype(verifier, node);
    expect(verifier, node, node->attribute_count == x->rank, "there is not one axis for each of the operand's");
    int64_t axis, previous = -1;
    for (int i = 0; i < x->rank && !verifier->fault; i++) {
        bool fits = attribute_below(node, i, node->rank) && constant_attribute(node, i, &axis) && axis > previous;
        expect(verifier, node, fits, "the axes do not ascend within the result's");
        if (!fits) return;
        bool same = x->shape[i] == node->shape[axis] || extent_is(x->shape[i], 1);
        expect(verifier, node, same, "an axis that is not 1 is repeated");
        previous = axis;
    }
}

static void verify_reshape(Verifier *verifier, const Node *node) {
    same_dtype(verifier, node);
    bool same = element_count(verifier->graph, node) == element_count(verifier->graph, node->inputs[0]);
    expect(verifier, node, same, "the operand has another number of elements");
    expect(verifier, node, node->attribute_count == 0, "a reshape has no attributes");
}

static void verify_transpose(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0];
    bool seen[MAX_RANK] = {0};
    same_dtype(verifier, node);
    expect(verifier, node, node->rank == x->rank && node->attribute_count == x->rank, "the rank changes");
    for (int i = 0; i < node->rank && !verifier->fault; i++) {
        int64_t axis = 0;
        bool fits = attribute_below(node, i, x->rank) && constant_attribute(node, i, &axis) && !seen[axis];
        expect(verifier, node, fits, "it is no permutation");
        expect(verifier, node, node->shape[i] == x->shape[axis], "an axis changes its extent");
        seen[axis] = true;
    }
}

// slice: `whole` is the operand and `part` the node; pad: the other way round.
static void verify_strided(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0], *whole = node->op == OP_slice ? x : node, *part = node->op == OP_slice ? node : x;
    int64_t start, step, size, count;
    same_dtype(verifier, node);
    expect(verifier, node, node->rank == x->rank && node->attribute_count == 2 * x->rank, "the rank changes");
    for (int i = 0; i < node->rank && !verifier->fault; i++) {
        bool constant = constant_attribute(node, 2 * i + 1, &step);
        expect(verifier, node, constant && step != 0, "a step is 0 or no constant");
        if (!constant_attribute(node, 2 * i, &start) || !extent_is_constant(whole->shape[i], &size) ||
            !extent_is_constant(part->shape[i], &count) || count == 0)
            continue;
        int64_t last = start + (count - 1) * step;
        bool inside = start >= 0 && start < size && last >= 0 && last < size;
        expect(verifier, node, inside, "it reaches outside");
    }
}

// window: `whole` is the operand and `part` the node; fold: the other way round.
static void verify_windows(Verifier *verifier, const Node *node, const Node *whole, const Node *part) {
    same_dtype(verifier, node);
    expect(verifier, node, part->rank == whole->rank + 1 && node->attribute_count == 3, "the rank is wrong");
    bool fits = !verifier->fault && attribute_below(node, 0, whole->rank) && attribute_below(node, 1, INT32_MAX) &&
                attribute_integer(node, 1) > 0;
    expect(verifier, node, fits, "there is no such axis, or no stride");
    if (!fits) return;
    int axis = attribute_integer(node, 0), stride = attribute_integer(node, 1);
    int64_t dilation;
    bool positive = !constant_attribute(node, 2, &dilation) || dilation > 0;
    expect(verifier, node, positive, "the dilation is not positive");
    for (int i = 0; i < part->rank; i++) {
        const Extent *wanted = whole->shape[i <= axis ? i : i - 1];
        if (i == axis)
            wanted = window_positions(verifier->graph->extents, whole->shape[axis], part->shape[axis + 1], stride,
                                      node->attributes[2]);
        if (i != axis + 1) expect(verifier, node, part->shape[i] == wanted, "the shape is not that of the windows");
    }
}

static void verify_window(Verifier *verifier, const Node *node) {
    verify_windows(verifier, node, node->inputs[0], node);
}

static void verify_fold(Verifier *verifier, const Node *node) {
    verify_windows(verifier, node, node, node->inputs[0]);
    expect(verifier, node, node->dtype != DTYPE_BOOL, "a sum of bools");
}

// ---- indices

static void verify_gather(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0], *indices = node->inputs[1];
    same_dtype(verifier, node);
    expect(verifier, node, dtype_is_integer(indices->dtype), "the indices are no integers");
    expect(verifier, node, x->rank >= 1 && node->rank == indices->rank + x->rank - 1, "the rank is wrong");
    for (int i = 0; i < node->rank && !verifier->fault; i++) {
        const Extent *wanted = i < indices->rank ? indices->shape[i] : x->shape[i - indices->rank + 1];
        expect(verifier, node, node->shape[i] == wanted, "the shape is not the indices' and then a row's");
    }
}

static void verify_scatter_add(Verifier *verifier, const Node *node) {
    const Node *indices = node->inputs[0], *updates = node->inputs[1];
    expect(verifier, node, dtype_is_integer(indices->dtype), "the indices are no integers");
    expect(verifier, node, updates->dtype == node->dtype && node->dtype != DTYPE_BOOL, "the updates' dtype is wrong");
    expect(verifier, node, node->rank >= 1 && updates->rank == indices->rank + node->rank - 1, "the rank is wrong");
    for (int i = 0; i < updates->rank && !verifier->fault; i++) {
        const Extent *wanted = i < indices->rank ? indices->shape[i] : node->shape[i - indices->rank + 1];
        expect(verifier, node, updates->shape[i] == wanted, "the updates' shape is not the indices' and then a row's");
    }
}

static void verify_argsort(Verifier *verifier, const Node *node) {
    const Node *x = node->inputs[0];
    expect(verifier, node, node->dtype == DTYPE_I64 && x->dtype != DTYPE_BOOL,
           "places are i64, and bools have no order");
    expect(verifier, node, node->rank > 0 && same_shape(x, node), "the shape is not the operand's");
    bool fits = node->attribute_count == 1 && attribute_below(node, 0, 2);
    expect(verifier, node, fits, "it is neither ascending nor descending");
}

// ---- marks

static void verify_mark(Verifier *verifier, const Node *node) {
    expect(verifier, node, same_type(node->inputs[0], node), "it changes dtype or shape");
    expect(verifier, node, node->op != OP_track || node->attribute_count == 1, "it has no identity");
}

// ---- the table of rules: by the `types` column, or the evaluator's function, of which each structural op has its own

#define verify_slice verify_strided
#define verify_pad verify_strided
#define FLOATING verify_floating
#define NUMBER verify_number
#define COMPARE verify_compare
#define LOGIC verify_logic
#define SELECT verify_select
#define CAST verify_cast
static Rule *const rules[OP_COUNT] = {
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = types,
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) [OP_##name] = verify_##evaluate,
#include "graph/ops.def"
};

static bool has_pointers(const Node *node) {
    for (int i = 0; i < node->rank; i++)
        if (!node->shape[i]) return false;
    for (int i = 0; i < node->input_count; i++)
        if (!node->inputs[i]) return false;
    for (int i = 0; i < node->attribute_count; i++)
        if (!node->attributes[i]) return false;
    return true;
}

// What must hold before anything may be read through the node.
static void verify_structure(Verifier *verifier, const Node *node) {
    if ((unsigned)node->op >= OP_COUNT) {
        verifier->fault = arena_print(verifier->graph->arena, "node %d: there is no op %d", node->id, (int)node->op);
        return;
    }
    expect(verifier, node, node->rank >= 0 && node->rank <= MAX_RANK, "the rank is out of range");
    expect(verifier, node, node->id >= 0 && node->id < verifier->graph->node_count, "the id is none of the graph's");
    if (!verifier->fault && !has_pointers(node)) {
        verifier->fault = arena_print(verifier->graph->arena, "node %d, %s: an operand, extent or attribute is missing",
                                      node->id, op_name(node->op));
        return;
    }
    for (int i = 0; i < node->input_count && !verifier->fault; i++)
        expect(verifier, node, node->inputs[i]->id < node->id, "an operand was made after it");
}

static void verify_node(Verifier *verifier, const Node *node) {
    int arity = op_arity(node->op);
    expect(verifier, node, arity < 0 || arity == node->input_count, "the number of operands is wrong");
    bool tuple = op_class(node->op) == CLASS_TUPLE;
    expect(verifier, node, tuple == (node->dtype == DTYPE_TUPLE), "the dtype is not the op's");
    for (int i = 0; i < node->input_count; i++)
        expect(verifier, node, node->inputs[i]->dtype != DTYPE_TUPLE || node->op == OP_result, "it reads a tuple");
    if (!verifier->fault) rules[node->op](verifier, node);
}

// Follows operands only once they were checked, so that no broken one is followed.
static void verify_structures(Verifier *verifier, Node *const *roots, int root_count) {
    Arena *arena = verifier->graph->arena;
    NodeArray stack = {0};
    NodeMap seen = {.arena = arena};
    for (int i = 0; i < root_count; i++) array_push(arena, &stack, roots[i]);
    while (stack.count && !verifier->fault) {
        Node *node = stack.items[--stack.count];
        verify_structure(verifier, node);
        if (verifier->fault || node_map_get(&seen, node)) continue;
        node_map_set(&seen, node, node);
        for (int i = 0; i < node->input_count; i++)
            if (!node_map_get(&seen, node->inputs[i])) array_push(arena, &stack, node->inputs[i]);
    }
}

static void verify_closed(Verifier *verifier, const Node *node) {
    const Function *body = verifier->function;
    for (int i = 0; i < body->argument_count; i++)
        if (body->arguments[i] == node) return;
    verifier_fail(verifier, node, "a body reads what is none of its arguments");
}

static void verify_nodes(Verifier *verifier, const Function *function, bool closed) {
    Graph *graph = verifier->graph;
    const Function *outer = verifier->function;
    verifier->function = function;
    Node **roots = arena_array(graph->arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    verify_structures(verifier, roots, function->result_count);
    NodeArray nodes = {0};
    if (!verifier->fault) nodes = reachable(graph, roots, function->result_count);
    for (int i = 0; i < nodes.count && !verifier->fault; i++) {   // operands before their users, whose rules read them
        verify_node(verifier, nodes.items[i]);
        if (closed && nodes.items[i]->op == OP_variable) verify_closed(verifier, nodes.items[i]);
    }
    verifier->function = outer;
}

void verify_body(Verifier *verifier, const Function *body) {
    verify_nodes(verifier, body, true);
}

const char *verify_function(Graph *graph, const Function *function) {
    Verifier verifier = {.graph = graph, .function = function};
    for (int i = 0; i < function->argument_count; i++)
        expect(&verifier, function->arguments[i], function->arguments[i]->op == OP_variable,
               "an argument is not a variable");
    for (int i = 0; i < function->result_count; i++)
        expect(&verifier, function->results[i].node, function->results[i].node->dtype != DTYPE_TUPLE,
               "a function's result is a tuple");
    if (!verifier.fault) verify_nodes(&verifier, function, false);
    return verifier.fault;
}
