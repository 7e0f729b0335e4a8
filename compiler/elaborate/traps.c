// Warnings about what compiles and is hardly ever meant: columns taken from rows, probabilities for logits, and weights that begin so that they can
// only learn alike.
#include "elaborate/calls.h"

#include <string.h>

// ---- [N, 1] - [N] is [N, N]

// Whether `column` is `row` with an axis of 1 more at its end. One that was put in where it stands is meant.
static bool is_column_of(const Node *column, const Node *row) {
    int rank = row->rank;
    if (!rank || column->rank != rank + 1 || !extent_is(column->shape[rank], 1) || column->op == OP_reshape)
        return false;
    for (int i = 0; i < rank; i++)
        if (column->shape[i] != row->shape[i]) return false;
    return !extent_is(row->shape[rank - 1], 1);
}

void warn_of_square(Elaborator *e, Operator operator, Value left, Value right, Span span) {
    bool compares = operator== OPERATOR_SUBTRACT || operator== OPERATOR_EQUAL;
    bool counts = e->context && (e->context->entry->kind == ENTRY_LOSS || e->context->entry->kind == ENTRY_METRIC);
    if (!compares || !counts || e->frame->library || left.kind != VALUE_TENSOR || right.kind != VALUE_TENSOR) return;
    if (!is_column_of(left.node, right.node) && !is_column_of(right.node, left.node)) return;
    warn(e, D_broadcast_to_square, span, "to take element by element, take the axis of 1 away: x[..., 0]",
         "%s %s %s takes each element with each other",
         describe(e, left), operator== OPERATOR_SUBTRACT ? "-" : "==", describe(e, right));
}

// ---- probabilities where logits are taken

static const struct {
    const char *loss;
    bool sigmoid;   // of that; else of softmax
    const char *message, *help;
} losses[] = {
    {"cross_entropy", false, "cross_entropy takes logits: softmax is in it already", "give it what softmax got"},
    {"nll_loss", false, "nll_loss takes log probabilities, not those of softmax", "write log_softmax in its place"},
    {"binary_cross_entropy_with_logits", true,
     "binary_cross_entropy_with_logits takes logits: sigmoid is in it already",
     "give it what sigmoid got; binary_cross_entropy takes probabilities"},
};

void keep_softmax(Elaborator *e, const Callable *callable, Value result) {
    if (!callable->library || result.kind != VALUE_TENSOR || strcmp(callable->name, "softmax") != 0) return;
    array_push(e->arena, &e->softmaxes, result.node);
}

static bool is_softmax(const Elaborator *e, const Node *node) {
    for (int i = 0; i < e->softmaxes.count; i++)
        if (e->softmaxes.items[i] == node) return true;
    return false;
}

void warn_of_probabilities(Elaborator *e, const Callable *callable, const CallArguments *arguments) {
    if (!callable->library || e->frame->library || !arguments->count) return;
    const CallArgument *x = &arguments->items[0];
    for (int i = 1; i < arguments->count; i++)
        if (arguments->items[i].name && strcmp(arguments->items[i].name, "x") == 0) x = &arguments->items[i];
    if (x->value.kind != VALUE_TENSOR || (x->name && strcmp(x->name, "x") != 0)) return;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        bool is_loss = strcmp(callable->name, losses[i].loss) == 0;
        bool found = is_loss && (losses[i].sigmoid ? x->value.node->op == OP_sigmoid : is_softmax(e, x->value.node));
        if (found) warn(e, D_probabilities_for_logits, x->span, losses[i].help, "%s", losses[i].message);
    }
}

// ---- weights that begin with zeros

typedef enum {
    OTHER,
    ALIKE,   // along the last axis all elements are one number when training begins
    ZERO     // everywhere
} Start;

typedef struct {
    Start start;
    const Parameter *weights;   // because these begin with zeros; NULL: not because of weights
} Beginning;

static bool is_zero(const Node *node) {
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    return node->op == OP_constant && dtype_is_float(node->dtype) && node->scalar.real == 0;
}

static Beginning beginning_of_variable(const Program *program, const Node *node) {
    for (int i = 0; i < program->parameters.count; i++) {
        const Parameter *parameter = program->parameters.items[i];
        if (parameter->variable != node || !is_zero(parameter->initial)) continue;
        return (Beginning){ZERO, node->rank > 1 && !parameter->frozen ? parameter : NULL};
    }
    return (Beginning){OTHER, NULL};
}

static Beginning beginning_of(const Program *program, const Node *node, const Beginning *known) {
    bool is_map = op_class(node->op) == CLASS_MAP, is_view = node->op == OP_broadcast || node->op == OP_reshape ||
                                                             node->op == OP_transpose || node->op == OP_track;
    Beginning result = {is_map ? ALIKE : OTHER, NULL};
    if (node->op == OP_variable) return beginning_of_variable(program, node);
    if (node->op == OP_constant || node->op == OP_extent) return (Beginning){ALIKE, NULL};
    for (int i = 0; i < node->input_count; i++) {
        Beginning input = known[node->inputs[i]->id];
        if (node->op == OP_contract && input.start == ZERO) return input;
        if (is_view && (input.start == ZERO || node->op == OP_broadcast)) return input;
        if (!is_map) continue;
        if (input.start == OTHER) return (Beginning){OTHER, NULL};
        if (input.weights) result.weights = input.weights;
    }
    return result;
}

static void warn_of_product(Elaborator *e, const Node *node, const Beginning *known) {
    for (int i = 0; i < 2; i++) {
        Beginning value = known[node->inputs[i]->id], weight = known[node->inputs[1 - i]->id];
        if (weight.start != ZERO || !weight.weights || !value.weights || value.weights == weight.weights) continue;
        warn(e, D_zero_weights, weight.weights->span, "give one of them other first values: ~ xavier_normal",
             "'%s' and '%s' both begin with zeros, so that what lies between them can only learn alike",
             value.weights->path, weight.weights->path);
        return;
    }
}

void warn_of_zero_weights(Elaborator *e, const Entry *entry) {
    const Program *program = e->program;
    Node *root = entry->training.results[0].node;
    NodeArray nodes = reachable(e->graph, &root, 1);
    Beginning *known = arena_array(e->arena, Beginning, e->graph->node_count);
    int weights = 0;
    for (int i = 0; i < program->parameters.count; i++)
        weights += program->parameters.items[i]->variable->rank > 1 && is_zero(program->parameters.items[i]->initial);
    if (weights < 2) return;
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        known[node->id] = beginning_of(program, node, known);
        if (node->op == OP_contract && node->input_count == 2) warn_of_product(e, node, known);
    }
}
