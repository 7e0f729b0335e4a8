// What a key stands for: its graph, and where in the frame everything that the graph reads and computes lies.
//
// Needs: an elaborated program. Each kind of function places the same graphs differently: a forward keeps a tape that
// its backward reads, a step does forward, backward and update in one.
#include "compilation.h"

#include <stdlib.h>
#include <string.h>

// ---- from a key to its graph

// The variables that `function`'s first result is differentiated by: what it reaches of the parameters that are not
// frozen, in order of declaration, then the tracked inputs.
static NodeArray gradient_targets(Compilation *compilation, const Function *function, uint64_t tracked_inputs) {
    Program *program = compilation->program;
    NodeArray targets = {0};
    NodeArray nodes = reachable(program->graph, &function->results[0].node, 1);
    bool *reached = arena_array(compilation->arena, bool, program->graph->node_count);
    for (int i = 0; i < nodes.count; i++) reached[nodes.items[i]->id] = true;
    for (int i = 0; i < program->parameters.count; i++) {
        Parameter *parameter = program->parameters.items[i];
        if (reached[parameter->variable->id] && !parameter->frozen)
            array_push(compilation->arena, &targets, parameter->variable);
    }
    for (int i = 0; i < function->argument_count; i++)
        if (i < 64 && (tracked_inputs >> i & 1)) array_push(compilation->arena, &targets, function->arguments[i]);
    return targets;
}

// A step's gradients with 0 added. Backward adds into an array that zero_grad has cleared, so there a gradient of -0
// becomes 0; without this the fused step could give other bits than the split one.
static Function step_function(Compilation *compilation, const TrainBlock *train) {
    Graph *graph = compilation->program->graph;
    Node **nodes = arena_array(compilation->arena, Node *, train->gradient.result_count);
    Function function = train->gradient;
    function.results = arena_array(compilation->arena, Named, function.result_count);
    Span outer = graph->span;
    for (int i = 0; i < function.result_count; i++) {
        Named named = train->gradient.results[i];
        int gradient = i - 1 - train->report_count;
        if (gradient >= 0 && gradient < train->trained_count) {
            graph->span = named.node->span;
            nodes[i] = map2(graph, OP_add, named.node, constant_like(graph, named.node, 0));
            name_node(nodes[i], named.name);
            named.node = nodes[i];
        }
        function.results[i] = named;
    }
    graph->span = outer;
    return function;
}

Joint joint_of(Compilation *compilation, FunctionKey key) {
    Joint joint = {0};
    Graph *graph = compilation->program->graph;
    if (key.kind == KIND_STEP) return (Joint){.function = step_function(compilation, key.train)};
    joint.function = key.training ? key.entry->training : key.entry->function;
    joint.forward_count = joint.function.result_count;
    if (key.kind == KIND_VALUE) return joint;
    joint.targets = gradient_targets(compilation, &joint.function, key.tracked_inputs);
    Named *results = arena_array(compilation->arena, Named, joint.forward_count + joint.targets.count);
    memcpy(results, joint.function.results, sizeof(Named) * (size_t)joint.forward_count);
    Node *request = gradient(graph, results[0].node, NULL, joint.targets.items, joint.targets.count, true);
    for (int i = 0; i < joint.targets.count; i++) {
        const char *name = joint.targets.items[i]->variable->name;
        results[joint.forward_count + i] =
            (Named){arena_print(compilation->arena, "d_%s", name), result_of(graph, request, i)};
    }
    joint.function.results = results;
    joint.function.result_count += joint.targets.count;
    return joint;
}

// Both halves of an entry's joint graph. NULL: a diagnostic says why.
static const CutEntry *cut_of(Compilation *compilation, FunctionKey key) {
    for (int i = 0; i < compilation->cuts.count; i++) {
        const CutEntry *cut = compilation->cuts.items[i];
        if (cut->key.entry == key.entry && cut->key.training == key.training &&
            cut->key.tracked_inputs == key.tracked_inputs)
            return cut;
    }
    Joint joint = joint_of(compilation, key);
    if (!run_passes(compilation, &joint.function, STAGE_OPT)) return NULL;
    CutEntry *cut = arena_new(compilation->arena, CutEntry);
    *cut = (CutEntry){key, joint, cut_joint(compilation->program->graph, &joint.function, joint.forward_count)};
    array_push(compilation->arena, &compilation->cuts, cut);
    return cut;
}

// ---- places in the frame

void put(Compilation *compilation, Placements *places, Node *node, Space space, int index, int64_t offset,
         bool accumulate) {
    const Extent *bytes = extent_constant(compilation->program->graph->extents, offset);
    Placement place = {node, space, index, bytes, accumulate};
    array_push(compilation->arena, places, place);
}

// What a variable is of the program's; by node id.
typedef struct {
    const Parameter *parameter;
    const State *state;
} Role;

static const Role *find_roles(Compilation *compilation) {
    const Program *program = compilation->program;
    Role *roles = arena_array(compilation->arena, Role, program->graph->node_count);
    for (int i = 0; i < program->parameters.count; i++)
        roles[program->parameters.items[i]->variable->id].parameter = program->parameters.items[i];
    for (int i = 0; i < program->states.count; i++)
        roles[program->states.items[i]->variable->id].state = program->states.items[i];
    return roles;
}

// Where the variables that a function of an entry reads lie; `inputs` of its arguments are the entry's.
static Placements entry_leaves(Compilation *compilation, const Function *function, int inputs) {
    Placements leaves = {0};
    Program *program = compilation->program;
    NodeArray nodes = reachable(program->graph, result_nodes(compilation->arena, function), function->result_count);
    const Role *roles = find_roles(compilation);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node->op != OP_variable) continue;
        const Parameter *parameter = roles[node->id].parameter;
        const State *state = roles[node->id].state;
        if (parameter)
            put(compilation, &leaves, node, SPACE_PARAMETERS, 0, parameter->offset * dtype_size(node->dtype), false);
        else if (state) put(compilation, &leaves, node, SPACE_STATE, 0, state->offset * dtype_size(node->dtype), false);
        if (node->variable->kind == VARIABLE_HYPERPARAMETER)
            put(compilation, &leaves, node, SPACE_HYPERPARAMETERS, 0, node->variable->index * 8, false);
        for (int k = 0; k < inputs; k++)
            if (function->arguments[k] == node) put(compilation, &leaves, node, SPACE_INPUT, k, 0, false);
    }
    return leaves;
}

// Places of the tape: offsets are polynomials of the open dims, each value on its own 64 bytes. The size of it all.
static const Extent *put_tape(Compilation *compilation, Placements *places, Node *const *values, int count) {
    Graph *graph = compilation->program->graph;
    const Extent *offset = extent_constant(graph->extents, 0);
    const Extent *alignment = extent_constant(graph->extents, 64);
    for (int i = 0; i < count; i++) {
        Placement place = {values[i], SPACE_TAPE, 0, offset, false};
        array_push(compilation->arena, places, place);
        const Extent *size = extent_constant(graph->extents, dtype_size(values[i]->dtype));
        const Extent *bytes = extent_multiply(graph->extents, element_count(graph, values[i]), size);
        bytes = extent_add(graph->extents, bytes, extent_constant(graph->extents, 63));
        bytes = extent_multiply(graph->extents, extent_floor_divide(graph->extents, bytes, alignment), alignment);
        offset = extent_add(graph->extents, offset, bytes);
    }
    return offset;
}

static void put_outputs(Compilation *compilation, Placements *results, const Function *function, int count) {
    for (int i = 0; i < count; i++) put(compilation, results, function->results[i].node, SPACE_OUTPUT, i, 0, false);
}

// ---- the kernels of an entry's functions

bool add_kernels(KernelProgram *kernels, const Placements *leaves, const Placements *results) {
    kernel_program_add(kernels, leaves->items, leaves->count, results->items, results->count);
    return true;
}

static bool value_kernels(Compilation *compilation, const Function *function, KernelProgram *kernels) {
    Placements leaves = entry_leaves(compilation, function, function->argument_count), results = {0};
    put_outputs(compilation, &results, function, function->result_count);
    return add_kernels(kernels, &leaves, &results);
}

static bool forward_kernels(Compilation *compilation, const CutEntry *entry, KernelProgram *kernels,
                            const Extent **tape) {
    const Cut *cut = &entry->cut;
    Placements leaves = entry_leaves(compilation, &cut->forward, cut->forward.argument_count), results = {0};
    put_outputs(compilation, &results, &cut->forward, entry->joint.forward_count);
    *tape = put_tape(compilation, &results, cut->tape, cut->tape_count);
    return add_kernels(kernels, &leaves, &results);
}

static bool backward_kernels(Compilation *compilation, const CutEntry *entry, KernelProgram *kernels,
                             const Extent **tape) {
    const Cut *cut = &entry->cut;
    const NodeArray *targets = &entry->joint.targets;
    Placements leaves = entry_leaves(compilation, &cut->backward, entry->joint.function.argument_count), results = {0};
    *tape = put_tape(compilation, &leaves, cut->tape_leaves, cut->tape_count);
    const Role *roles = find_roles(compilation);
    int output = 0;
    for (int i = 0; i < targets->count; i++) {
        const Parameter *parameter = roles[targets->items[i]->id].parameter;
        Node *value = cut->backward.results[i].node;
        if (parameter)
            put(compilation, &results, value, SPACE_GRADIENTS, 0, parameter->offset * dtype_size(value->dtype), true);
        else put(compilation, &results, value, SPACE_OUTPUT, output++, 0, false);
    }
    return add_kernels(kernels, &leaves, &results);
}

// ---- a training step

// The gradients go to a buffer of their own, one behind the other; but those that only their own kernels need.
static Buffer *put_gradients(Compilation *compilation, Placements *results, const TrainBlock *train,
                             const UpdatePlan *plan, const Function *function, KernelProgram *kernels) {
    Program *program = compilation->program;
    const Extent *elements = extent_constant(program->graph->extents, plan->kept);
    Buffer *gradients = kernel_program_reserve(kernels, program->floating, elements, "gradients");
    int64_t offset = 0;
    for (int i = 0; i < train->trained_count; i++) {
        if (plan->fused[i]) continue;
        put(compilation, results, function->results[1 + train->report_count + i].node, SPACE_SCRATCH, gradients->id,
            offset * dtype_size(program->floating), false);
        offset += train->trained[i]->count;
    }
    return gradients;
}

// The kernels up to the gradients, and the updates that are not apart. False: a diagnostic says why. *in_place: what is
// updated need not be computed elsewhere first.
static bool gradient_kernels(Compilation *compilation, const TrainBlock *train, const UpdatePlan *plan,
                             const Function *function, KernelProgram *kernels, const Buffer **gradients,
                             bool *in_place) {
    Placements leaves = entry_leaves(compilation, function, function->argument_count), results = {0};
    put_outputs(compilation, &results, function, 1 + train->report_count);
    *gradients = put_gradients(compilation, &results, train, plan, function, kernels);
    for (int i = 0; i < train->update_count; i++) {
        const State *state = train->entry->updates.items[i].state;
        Node *value = function->results[1 + train->report_count + train->trained_count + i].node;
        put(compilation, &results, value, SPACE_STATE, 0, state->offset * dtype_size(value->dtype), false);
    }
    if (!put_updates(compilation, train, plan, function, &leaves, &results)) return false;
    *in_place = kernel_program_add(kernels, leaves.items, leaves.count, results.items, results.count);
    return true;
}

// Where a product that updates a parameter would come before something that still reads it, all updates come last.
static bool step_kernels(Compilation *compilation, const TrainBlock *train, const Function *function,
                         KernelProgram *kernels) {
    UpdatePlan plan;
    const Buffer *gradients = NULL;
    bool in_place = true;
    if (!plan_updates(compilation, train, function, &plan)) return false;
    if (!gradient_kernels(compilation, train, &plan, function, kernels, &gradients, &in_place)) return false;
    if (!in_place && unfuse_updates(compilation, train, &plan)) {
        kernels->kernels.count = kernels->buffers.count = 0;
        if (!gradient_kernels(compilation, train, &plan, function, kernels, &gradients, &in_place)) return false;
    }
    return update_kernels(compilation, train, &plan, kernels, gradients);
}

// ---- one program of kernels for each kind

static const char *symbol_of(Compilation *compilation, FunctionKey key) {
    static const char *const kinds[] = {"value", "forward", "backward", "update", "step"};
    const char *name = key.train ? key.train->loss : key.entry->name;
    return arena_print(compilation->arena, "%s_%s%s", name, kinds[key.kind], key.training ? "_training" : "");
}

static bool add_all(Compilation *compilation, FunctionKey key, KernelProgram *kernels, const CutEntry *cut,
                    const Function *function, const Extent **tape) {
    switch (key.kind) {
    case KIND_VALUE: return value_kernels(compilation, function, kernels);
    case KIND_FORWARD: return forward_kernels(compilation, cut, kernels, tape);
    case KIND_BACKWARD: return backward_kernels(compilation, cut, kernels, tape);
    case KIND_STEP: return step_kernels(compilation, key.train, function, kernels);
    case KIND_UPDATE: break;
    }
    UpdatePlan plan;
    return plan_updates(compilation, key.train, NULL, &plan) &&
           update_kernels(compilation, key.train, &plan, kernels, NULL);
}

KernelProgram *kernels_of(Compilation *compilation, FunctionKey key, const Extent **tape) {
    bool cuts = key.kind == KIND_FORWARD || key.kind == KIND_BACKWARD;
    const CutEntry *cut = cuts ? cut_of(compilation, key) : NULL;
    if (cuts && !cut) return NULL;
    bool has_graph = !cuts && key.kind != KIND_UPDATE;
    Function function = has_graph ? joint_of(compilation, key).function : (Function){0};
    if (has_graph && !run_passes(compilation, &function, STAGE_OPT)) return NULL;
    double start = now_ms();
    int workers = compilation->options.threads > 1 ? compilation->options.threads : 1;
    KernelProgram *kernels = kernel_program_create(compilation->program->graph, symbol_of(compilation, key), workers);
    if (key.train && key.train->batch > 0) kernels->usual_extent = key.train->batch;
    if (!add_all(compilation, key, kernels, cut, &function, tape)) return NULL;
    int64_t work;
    bool known = extent_is_constant(kernel_program_shared_work(kernels), &work);
    if (known ? work < SHARED_WORK : !key.shared) kernel_program_serialise(kernels);
    kernel_program_stream(kernels);
    kernel_program_plan(kernels);
    const char *fault = compilation->options.verify ? kernel_program_verify(kernels) : NULL;
    add_time(compilation, offsetof(Timings, kernels_ms), start);
    if (fault) internal_error(compilation, "kernels", fault);
    return fault ? NULL : kernels;
}
