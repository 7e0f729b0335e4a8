// Whether values are linear in some variables, as far as the structure of the graph shows it: sums of terms, each of
// which has one factor that is linear in them and others that do not depend on them.
#include "elaborate/derivative.h"
#include "elaborate/values.h"

typedef struct {
    Graph *graph;
    bool *linear;           // by id; false: it does not depend on the variables
    const bool **results;   // by id of loops: which of their results are linear
    bool quiet;             // it is not yet known what is linear
    NonLinear found;
} Linearity;

// Structural ops whose transpose is a function are linear in each of their inputs.
static const bool is_multilinear[OP_COUNT] = {
#define RULE(text) false
#define ADJOINT(function) true
#define EXPAND false
#define ZERO false
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = false,
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) [OP_##name] = derivative,
#include "graph/ops.def"
#undef RULE
#undef ADJOINT
#undef EXPAND
#undef ZERO
};

static bool is_zero_or_linear(const Linearity *linearity, const Node *node) {
    return linearity->linear[node->id] || is_constant(node, 0);
}

static const char products[] = "two factors depend on it";
static const char sums[] = "it is added to what does not depend on it";

static const char *fault_of_terms(const Linearity *linearity, const Node *node, int first) {
    for (int i = first; i < node->input_count; i++)
        if (!is_zero_or_linear(linearity, node->inputs[i])) return sums;
    return NULL;
}

// Of an op that may depend on the variables by inputs `first` to `end`, less one, alone.
static const char *fault_of_others(const Linearity *linearity, const Node *node, int first, int end,
                                   const char *fault) {
    for (int i = 0; i < node->input_count; i++)
        if ((i < first || i >= end) && linearity->linear[node->inputs[i]->id]) return fault;
    return NULL;
}

static const char *fault_of_product(const Linearity *linearity, const Node *node) {
    int factors = 0;
    for (int i = 0; i < 2; i++) factors += linearity->linear[node->inputs[i]->id];
    if (node->op != OP_fma || factors > 1) return factors > 1 ? products : NULL;
    return factors && is_zero_or_linear(linearity, node->inputs[2]) ? NULL : sums;
}

// What is wrong with a node of which some input is linear; NULL: it is linear, too.
static const char *fault_of(const Linearity *linearity, const Node *node) {
    switch (node->op) {
    case OP_add:
    case OP_subtract: return fault_of_terms(linearity, node, 0);
    case OP_multiply:
    case OP_fma: return fault_of_product(linearity, node);
    case OP_divide: return fault_of_others(linearity, node, 0, 1, "it divides by what depends on it");
    case OP_where:
        if (linearity->linear[node->inputs[0]->id]) return "a condition depends on it";
        return fault_of_terms(linearity, node, 1);
    case OP_gradient:
    case OP_tangent:
        return fault_of_others(linearity, node, 1, first_target(node), "it is in a function that is differentiated");
    case OP_cast:
        if (dtype_is_float(node->dtype)) return NULL;
        break;
    case OP_custom: return fault_of_others(linearity, node, 0, custom_part(node, 0) + custom_part(node, 1), products);
    case OP_negate:
    case OP_track: return NULL;
    default:
        if (is_multilinear[node->op] && node->input_count == 1) return NULL;
        if (is_multilinear[node->op]) return fault_of_product(linearity, node);
    }
    return "";
}

static void visit_nodes(Linearity *linearity, Node *const *roots, int root_count);

static void blame(Linearity *linearity, const Node *node, const char *why) {
    if (!linearity->quiet && !linearity->found.node) linearity->found = (NonLinear){node, why};
}

// A carry is linear if it starts so or becomes so; then it must be so throughout.
static void visit_loop(Linearity *linearity, const Node *loop) {
    Graph *graph = linearity->graph;
    const Function *body = loop->body;
    int first_carry = loop_part(loop, 0), carries = loop_part(loop, 1);
    Node **roots = arena_array(graph->arena, Node *, body->result_count);
    bool *results = arena_array(graph->arena, bool, body->result_count);
    for (int i = 0; i < body->result_count; i++) roots[i] = body->results[i].node;
    Linearity inner = {.graph = graph};
    inner.linear = arena_array(graph->arena, bool, graph->node_count);
    for (int i = 0; i < loop->input_count; i++)
        inner.linear[body->arguments[i]->id] = linearity->linear[loop->inputs[i]->id];
    inner.quiet = true;
    for (bool changed = true; changed;) {
        changed = false;
        visit_nodes(&inner, roots, body->result_count);
        for (int i = 0; i < carries; i++) {
            bool *argument = &inner.linear[body->arguments[first_carry + i]->id];
            if (!inner.linear[roots[i]->id] || *argument) continue;
            *argument = changed = true;
        }
    }
    inner.quiet = linearity->quiet;
    visit_nodes(&inner, roots, body->result_count);
    for (int i = 0; i < body->result_count; i++) {
        results[i] = inner.linear[roots[i]->id];
        if (i >= carries || !inner.linear[body->arguments[first_carry + i]->id]) continue;
        results[i] = true;
        if (!is_zero_or_linear(&inner, roots[i])) blame(&inner, roots[i], sums);
        if (!is_zero_or_linear(linearity, loop->inputs[first_carry + i])) blame(&inner, loop, sums);
    }
    if (inner.found.node) blame(linearity, inner.found.node, inner.found.why);
    linearity->results[loop->id] = results;
}

static void visit_node(Linearity *linearity, const Node *node) {
    bool any = false;
    for (int i = 0; i < node->input_count; i++) any = any || linearity->linear[node->inputs[i]->id];
    if (!any) return;
    linearity->linear[node->id] = true;
    if (node->op == OP_loop) visit_loop(linearity, node);
    else if (node->op == OP_result && node->inputs[0]->op == OP_loop)
        linearity->linear[node->id] = linearity->results[node->inputs[0]->id][attribute_integer(node, 0)];
    else if (node->op != OP_result) {
        const char *why = fault_of(linearity, node);
        if (why) blame(linearity, node, why);
    }
}

static void visit_nodes(Linearity *linearity, Node *const *roots, int root_count) {
    NodeArray nodes = reachable(linearity->graph, roots, root_count);
    linearity->results = arena_array(linearity->graph->arena, const bool *, linearity->graph->node_count);
    for (int i = 0; i < nodes.count && !linearity->found.node; i++) visit_node(linearity, nodes.items[i]);
}

NonLinear find_non_linear(Graph *graph, Node *node, const NodeArray *variables) {
    Linearity linearity = {.graph = graph, .linear = arena_array(graph->arena, bool, graph->node_count)};
    for (int i = 0; i < variables->count; i++) linearity.linear[variables->items[i]->id] = true;
    visit_nodes(&linearity, &node, 1);
    if (!is_zero_or_linear(&linearity, node)) blame(&linearity, node, "what is written does not depend on it");
    return linearity.found;
}
