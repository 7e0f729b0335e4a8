// What the runtime asks of every entry again and again, found once: the open dims that it reads, what its gradient
// reaches, and its types as text.
#include "runtime/internal.h"

// ---- which open dims a function reads

static void mark_extent(bool *used, const Extent *extent) {
    const Term *terms;
    int count = extent_terms(extent, &terms);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < terms[i].factor_count; k++) {
            const Factor *factor = terms[i].factors[k];
            if (factor->kind == FACTOR_DIM) used[factor->dim] = true;
            else {
                mark_extent(used, factor->left);
                mark_extent(used, factor->right);
            }
        }
}

static void mark_function(Graph *graph, bool *used, const Function *function) {
    Node **roots = arena_array(graph->arena, Node *, function->result_count + function->argument_count);
    int count = 0;
    for (int i = 0; i < function->result_count; i++) roots[count++] = function->results[i].node;
    for (int i = 0; i < function->argument_count; i++) roots[count++] = function->arguments[i];
    NodeArray nodes = reachable(graph, roots, count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        for (int k = 0; k < node->rank; k++) mark_extent(used, node->shape[k]);
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k]) mark_extent(used, node->attributes[k]);
        if (node->body) mark_function(graph, used, node->body);
    }
}

// ---- what the gradient of output 0 reaches

// Nothing flows through whole numbers and through stop_gradient.
static bool carries_gradient(const Node *node) {
    return (dtype_is_float(node->dtype) || node->dtype == DTYPE_TUPLE) && node->op != OP_stop_gradient;
}

static void mark_reached(const Function *function, const Node *node, Reached *reached) {
    if (node->op != OP_variable) return;
    if (node->variable->kind == VARIABLE_PARAMETER && !node->variable->frozen) reached->parameters = true;
    for (int i = 0; i < function->argument_count && i < 64; i++)
        if (function->arguments[i] == node) reached->inputs |= (uint64_t)1 << i;
}

static Reached find_reached(Graph *graph, const Function *function) {
    Reached reached = {0};
    if (!function->result_count) return reached;
    Node *root = function->results[0].node;
    NodeArray nodes = reachable(graph, &root, 1);
    bool *flows = arena_array(graph->arena, bool, root->id + 1);
    flows[root->id] = true;
    for (int i = nodes.count - 1; i >= 0; i--) {
        const Node *node = nodes.items[i];
        if (!flows[node->id] || !carries_gradient(node)) continue;
        mark_reached(function, node, &reached);
        for (int k = 0; k < node->input_count; k++) flows[node->inputs[k]->id] = true;
    }
    return reached;
}

// ---- the facts

static const char *type_text(Arena *arena, const Node *node) {
    Text text = {.arena = arena};
    print_shape(&text, node->dtype, node->shape, node->rank);
    return text.bytes;
}

static const char *extent_text(Arena *arena, const Extent *extent) {
    Text text = {.arena = arena};
    extent_print(&text, extent);
    return text.bytes;
}

// Which input says a dim: one of whose axes is affine in it alone.
static int *find_said_by(Arena *arena, const Function *function, int dims) {
    int *said_by = arena_array(arena, int, dims + 1);
    for (int i = 0; i < dims; i++) said_by[i] = -1;
    for (int i = function->argument_count - 1; i >= 0; i--)
        for (int axis = 0; axis < function->arguments[i]->rank; axis++) {
            int dim;
            int64_t scale, offset;
            const Extent *extent = function->arguments[i]->shape[axis];
            if (!extent_is_constant(extent, NULL) && extent_affine(extent, &dim, &scale, &offset)) said_by[dim] = i;
        }
    return said_by;
}

static void find_entry_facts(const Program *program, const Entry *entry, EntryFacts *facts) {
    Graph *graph = program->graph;
    const Function *function = &entry->function;
    facts->used_dims = arena_array(graph->arena, bool, program->dims.count + 1);
    mark_function(graph, facts->used_dims, function);
    mark_function(graph, facts->used_dims, &entry->training);
    facts->reached[false] = find_reached(graph, function);
    facts->reached[true] = find_reached(graph, &entry->training);
    facts->input_types = arena_array(graph->arena, const char *, function->argument_count + 1);
    for (int i = 0; i < function->argument_count; i++)
        facts->input_types[i] = type_text(graph->arena, function->arguments[i]);
    facts->output_types = arena_array(graph->arena, const char *, function->result_count + 1);
    for (int i = 0; i < function->result_count; i++)
        facts->output_types[i] = type_text(graph->arena, function->results[i].node);
    facts->conditions = arena_array(graph->arena, const char *, entry->checks.count + 1);
    for (int i = 0; i < entry->checks.count; i++)
        facts->conditions[i] = extent_text(graph->arena, entry->checks.items[i].extent);
    facts->said_by = find_said_by(graph->arena, function, program->dims.count);
}

// The names by which a host sets them: with the pattern in front where the optimizer is not that of all parameters.
static void find_train_facts(Arena *arena, const TrainBlock *block, TrainFacts *facts) {
    facts->hyperparameters = arena_array(arena, const char *, block->hyperparameters.count + 1);
    for (int i = 0; i < block->hyperparameters.count; i++) {
        const Hyperparameter *one = &block->hyperparameters.items[i];
        facts->hyperparameters[i] =
            one->pattern_count ? arena_print(arena, "%s:%s", one->patterns[0], one->name) : one->name;
    }
}

gradc_status find_facts(gradc_program *program) {
    const Program *elaborated = program->program;
    if (setjmp(*arena_recover(elaborated->graph->arena))) return fail_memory(program);
    program->facts = arena_array(elaborated->graph->arena, EntryFacts, elaborated->entries.count + 1);
    for (int i = 0; i < elaborated->entries.count; i++)
        find_entry_facts(elaborated, elaborated->entries.items[i], &program->facts[i]);
    program->train_facts = arena_array(elaborated->graph->arena, TrainFacts, elaborated->trains.count + 1);
    for (int i = 0; i < elaborated->trains.count; i++)
        find_train_facts(elaborated->graph->arena, elaborated->trains.items[i], &program->train_facts[i]);
    return GRADC_OK;
}

const EntryFacts *facts_of(const gradc_program *program, const Entry *entry) {
    int index = 0;
    while (program->program->entries.items[index] != entry) index++;
    return &program->facts[index];
}
