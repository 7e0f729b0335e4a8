// Warnings about a program that is right but will surprise: inputs and parameters that nothing reads, and parameters that
// cannot learn because a step function, or stop_gradient, cuts every way by which a gradient could reach them.
#include "elaborate/values.h"

// ---- inputs and parameters

static void mark_read(Elaborator *e, const Entry *entry, bool *read) {
    const Function *functions[] = {&entry->function, &entry->training};
    for (int k = 0; k < 2; k++) {
        Node **roots = arena_array(e->arena, Node *, functions[k]->result_count);
        for (int i = 0; i < functions[k]->result_count; i++) roots[i] = functions[k]->results[i].node;
        NodeArray nodes = reachable(e->graph, roots, functions[k]->result_count);
        for (int i = 0; i < nodes.count; i++) read[nodes.items[i]->id] = true;
    }
}

static void warn_unused_parameters(Elaborator *e) {
    const Program *program = e->program;
    bool *read = arena_array(e->arena, bool, e->graph->node_count);
    for (int i = 0; i < program->entries.count; i++) mark_read(e, program->entries.items[i], read);
    for (int i = 0; i < program->parameters.count; i++) {
        const Parameter *parameter = program->parameters.items[i];
        if (!read[parameter->variable->id])
            warn(e, D_unused_parameter, parameter->span, NULL, "nothing depends on the parameter '%s'",
                 parameter->path);
    }
}

static void warn_unused_inputs(Elaborator *e, const Entry *entry) {
    bool *read = arena_array(e->arena, bool, e->graph->node_count);
    mark_read(e, entry, read);
    for (int i = 0; i < entry->function.argument_count; i++) {
        const Node *input = entry->function.arguments[i];
        if (read[input->id]) continue;
        Span span = input->span.source ? input->span : entry->span;
        diagnose(e->diagnostics, D_unused_input, span, "no result of '%s' depends on its input '%s'", entry->name,
                 input->variable->name);
    }
}

// ---- ways of gradients

// Ops whose derivative is zero almost everywhere.
static const bool is_flat[OP_COUNT] = {
#define RULE(text) false
#define ADJOINT(function) false
#define EXPAND false
#define ZERO true
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = derivative,
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) [OP_##name] = derivative,
#include "graph/ops.def"
#undef RULE
#undef ADJOINT
#undef EXPAND
#undef ZERO
};

static bool is_argument(const Node *custom, int input) {
    return input >= custom_part(custom, 0) && input < custom_part(custom, 0) + custom_part(custom, 1);
}

// Whether the derivative that was given for an argument uses a cotangent. It is linear in them: else it is zero.
static bool has_slope(Elaborator *e, const Node *custom, int input) {
    int values = custom_part(custom, 0);
    NodeArray nodes = reachable(e->graph, &custom->body->results[input - values].node, 1);
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < values; k++)
            if (nodes.items[i] == custom->body->arguments[k]) return true;
    return false;
}

// Whether a gradient can go from the node to its input.
static bool passes(Elaborator *e, const Node *node, int input) {
    if (node->op == OP_where && input == 0) return false;
    if (node->op == OP_custom) return is_argument(node, input) && has_slope(e, node, input);
    return !is_flat[node->op] && (dtype_is_float(node->dtype) || node->dtype == DTYPE_TUPLE) &&
           node->op != OP_stop_gradient;
}

// Marks what the root depends on: at all, or by ways that a gradient can go. Nothing goes past stop_gradient, which is
// meant to cut.
static bool *mark_ways(Elaborator *e, Node *root, bool gradients) {
    NodeArray nodes = reachable(e->graph, &root, 1);
    bool *marked = arena_array(e->arena, bool, e->graph->node_count);
    marked[root->id] = true;
    for (int i = nodes.count - 1; i >= 0; i--) {
        const Node *node = nodes.items[i];
        if (!marked[node->id] || node->op == OP_stop_gradient) continue;
        for (int k = 0; k < node->input_count; k++)
            if (!gradients || passes(e, node, k)) marked[node->inputs[k]->id] = true;
    }
    return marked;
}

typedef struct {
    bool learns, cut;   // in some loss
    bool stopped;       // some loss depends on it behind a stop_gradient
} Fate;

static void find_fates(Elaborator *e, Fate *fates) {
    const Program *program = e->program;
    for (int i = 0; i < program->entries.count; i++) {
        const Entry *entry = program->entries.items[i];
        if (entry->kind != ENTRY_LOSS) continue;
        Node *root = entry->training.results[0].node;
        const bool *reached = mark_ways(e, root, false), *learning = mark_ways(e, root, true);
        bool *read = arena_array(e->arena, bool, e->graph->node_count);
        NodeArray nodes = reachable(e->graph, &root, 1);
        for (int k = 0; k < nodes.count; k++) read[nodes.items[k]->id] = true;
        for (int k = 0; k < program->parameters.count; k++) {
            int id = program->parameters.items[k]->variable->id;
            fates[k].stopped = fates[k].stopped || (read[id] && !reached[id]);
            fates[k].learns = fates[k].learns || learning[id];
            fates[k].cut = fates[k].cut || (reached[id] && !learning[id]);
        }
    }
}

// Whether a parameter that cannot learn is still to be named.
static bool is_open(const Program *program, const Fate *fates) {
    for (int k = 0; k < program->parameters.count; k++)
        if (!fates[k].learns && fates[k].cut && !program->parameters.items[k]->frozen) return true;
    return false;
}

// Names the parameters below a cut that cannot learn, each once. False: there are none left.
static bool warn_at(Elaborator *e, const Node *cut, Node *below, Fate *fates) {
    const Program *program = e->program;
    const bool *reached = mark_ways(e, below, false);
    Text names = {.arena = e->arena};
    for (int k = 0; k < program->parameters.count; k++) {
        const Parameter *parameter = program->parameters.items[k];
        if (fates[k].learns || !fates[k].cut || parameter->frozen || !reached[parameter->variable->id]) continue;
        fates[k].cut = false;
        text_add(&names, "%s'%s'", names.length ? ", " : "", parameter->path);
    }
    if (!names.length) return true;
    diagnose(e->diagnostics, D_cannot_learn, cut->span, "%s cannot learn: the gradient is zero through this step",
             names.bytes);
    diagnose_help(e->diagnostics,
                  "a step function has no slope; use a smooth one, such as sigmoid, or freeze what is not to learn");
    return is_open(program, fates);
}

static void warn_about_cuts(Elaborator *e, const Entry *entry, Fate *fates) {
    bool open = is_open(e->program, fates);
    if (!open) return;
    Node *root = entry->training.results[0].node;
    const bool *learning = mark_ways(e, root, true);
    NodeArray nodes = reachable(e->graph, &root, 1);
    for (int i = nodes.count - 1; i >= 0 && open; i--) {
        const Node *node = nodes.items[i];
        for (int k = 0; k < node->input_count && learning[node->id] && open; k++)
            if (!passes(e, node, k) && node->op != OP_stop_gradient && (node->op != OP_custom || is_argument(node, k)))
                open = warn_at(e, node, node->inputs[k], fates);
    }
}

// Names the parameters that stop_gradient, and nothing else, keeps from learning, at the place where it does.
static void warn_about_stops(Elaborator *e, const Entry *entry, Fate *fates) {
    const Program *program = e->program;
    Node *root = entry->training.results[0].node;
    NodeArray nodes = reachable(e->graph, &root, 1);
    for (int i = nodes.count - 1; i >= 0; i--) {
        Node *stop = nodes.items[i];
        if (stop->op != OP_stop_gradient) continue;
        Text names = {.arena = e->arena};
        const bool *reached = mark_ways(e, stop->inputs[0], false);
        for (int k = 0; k < program->parameters.count; k++) {
            const Parameter *parameter = program->parameters.items[k];
            bool lost = fates[k].stopped && !fates[k].learns && !fates[k].cut && !parameter->frozen;
            if (!lost || !reached[parameter->variable->id]) continue;
            fates[k].stopped = false;
            text_add(&names, "%s'%s'", names.length ? ", " : "", parameter->path);
        }
        if (names.length)
            warn(e, D_no_gradient, stop->span, "if that is meant, freeze it",
                 "no gradient of a loss reaches %s: stop_gradient cuts it off here", names.bytes);
    }
}

static bool has_stopped(const Program *program, const Fate *fates) {
    for (int k = 0; k < program->parameters.count; k++)
        if (fates[k].stopped && !fates[k].learns && !fates[k].cut && !program->parameters.items[k]->frozen) return true;
    return false;
}

void warn_about_entries(Elaborator *e) {
    const Program *program = e->program;
    Fate *fates = arena_array(e->arena, Fate, program->parameters.count);
    find_fates(e, fates);
    warn_unused_parameters(e);
    for (int i = 0; i < program->entries.count; i++) {
        warn_unused_inputs(e, program->entries.items[i]);
        if (program->entries.items[i]->kind != ENTRY_LOSS) continue;
        warn_about_cuts(e, program->entries.items[i], fates);
        warn_of_zero_weights(e, program->entries.items[i]);
        if (has_stopped(program, fates)) warn_about_stops(e, program->entries.items[i], fates);
    }
}
