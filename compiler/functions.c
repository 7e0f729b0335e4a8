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
    for (int i = 0; i < program->parameters.count; i++) {
        Parameter *parameter = program->parameters.items[i];
        for (int k = 0; k < nodes.count; k++)
            if (nodes.items[k] == parameter->variable && !parameter->frozen)
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
    if (key.kind == KIND_UPDATE) return (Joint){.function = key.train->optimizer->update};
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

typedef ARRAY(Placement) Placements;

static void put(Compilation *compilation, Placements *places, Node *node, Space space, int index, int64_t offset,
                bool accumulate) {
    const Extent *bytes = extent_constant(compilation->program->graph->extents, offset);
    Placement place = {node, space, index, bytes, accumulate};
    array_push(compilation->arena, places, place);
}

static const Parameter *parameter_of(const Program *program, const Node *variable) {
    for (int i = 0; i < program->parameters.count; i++)
        if (program->parameters.items[i]->variable == variable) return program->parameters.items[i];
    return NULL;
}

static const State *state_of(const Program *program, const Node *variable) {
    for (int i = 0; i < program->states.count; i++)
        if (program->states.items[i]->variable == variable) return program->states.items[i];
    return NULL;
}

// Where the variables that a function of an entry reads lie; `inputs` of its arguments are the entry's.
static Placements entry_leaves(Compilation *compilation, const Function *function, int inputs) {
    Placements leaves = {0};
    Program *program = compilation->program;
    NodeArray nodes = reachable(program->graph, result_nodes(compilation->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node->op != OP_variable) continue;
        const Parameter *parameter = parameter_of(program, node);
        const State *state = state_of(program, node);
        if (parameter)
            put(compilation, &leaves, node, SPACE_PARAMETERS, 0, parameter->offset * dtype_size(node->dtype), false);
        else if (state) put(compilation, &leaves, node, SPACE_STATE, 0, state->offset * dtype_size(node->dtype), false);
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

static bool add_kernels(KernelProgram *kernels, const Placements *leaves, const Placements *results) {
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
    int output = 0;
    for (int i = 0; i < targets->count; i++) {
        const Parameter *parameter = parameter_of(compilation->program, targets->items[i]);
        Node *value = cut->backward.results[i].node;
        if (parameter)
            put(compilation, &results, value, SPACE_GRADIENTS, 0, parameter->offset * dtype_size(value->dtype), true);
        else put(compilation, &results, value, SPACE_OUTPUT, output++, 0, false);
    }
    return add_kernels(kernels, &leaves, &results);
}

// ---- the optimizer

// Trained parameters that lie one behind the other: updated as one array.
typedef struct {
    int first, end;            // in TrainBlock.trained
    int64_t offset, count;     // elements, in the flat arrays
    const Buffer *gradients;   // of a step; NULL: the frame's own
} Run;
typedef ARRAY(Run) Runs;

static Runs runs_of(Compilation *compilation, const TrainBlock *train) {
    Runs runs = {0};
    for (int i = 0; i < train->trained_count; i++) {
        const Parameter *parameter = train->trained[i];
        Run *last = runs.count ? &runs.items[runs.count - 1] : NULL;
        if (last && last->offset + last->count == parameter->offset) {
            last->end = i + 1;
            last->count += parameter->count;
        } else {
            Run run = {i, i + 1, parameter->offset, parameter->count, NULL};
            array_push(compilation->arena, &runs, run);
        }
    }
    return runs;
}

// The node of an update for vectors of `count` elements in place of an open dim. NULL: no elementwise node.
static Node *sized_node(Graph *graph, const NodeMap *map, Node *node, const Extent *const *count) {
    Node *inputs[MAX_ARITY];
    bool vector = node->rank == 1 && !extent_is_constant(node->shape[0], NULL);
    if (node->input_count > MAX_ARITY) return NULL;
    for (int i = 0; i < node->input_count; i++) inputs[i] = node_map_get(map, node->inputs[i]);
    if (!vector) return rebuild(graph, node, arena_copy(graph->arena, inputs, sizeof inputs));
    if (node->op == OP_variable) return variable_make(graph, node->variable, node->dtype, count, 1);
    if (node->op == OP_broadcast) return broadcast(graph, inputs[0], count, 1, NULL);
    if (node->op == OP_cast) return cast(graph, inputs[0], node->dtype);
    if (op_class(node->op) != CLASS_MAP) return NULL;
    if (node->input_count == 1) return map1(graph, node->op, inputs[0]);
    if (node->input_count == 2) return map2(graph, node->op, inputs[0], inputs[1]);
    return map3(graph, node->op, inputs[0], inputs[1], inputs[2]);
}

// An elementwise update, whose vectors are as long as an open dim, for vectors of `length` elements.
static bool size_update(Compilation *compilation, Function *update, int64_t length) {
    Graph *graph = compilation->program->graph;
    const Extent *count[] = {extent_constant(graph->extents, length)};
    NodeMap map = {.arena = compilation->arena};
    Node **arguments = arena_array(compilation->arena, Node *, update->argument_count);
    for (int i = 0; i < update->argument_count; i++) {
        arguments[i] = sized_node(graph, &map, update->arguments[i], count);
        node_map_set(&map, update->arguments[i], arguments[i]);
    }
    Node **results = result_nodes(compilation->arena, update);
    NodeArray nodes = reachable(graph, results, update->result_count);
    for (int i = 0; i < nodes.count; i++) {
        if (node_map_get(&map, nodes.items[i])) continue;
        Node *node = sized_node(graph, &map, nodes.items[i], count);
        if (!node) return internal_error(compilation, "elaborate", "an optimizer's update is not elementwise");
        name_node(node, nodes.items[i]->name);
        node_map_set(&map, nodes.items[i], node);
    }
    for (int i = 0; i < update->result_count; i++) results[i] = node_map_get(&map, results[i]);
    *update = with_results(compilation->arena, update, results);
    update->arguments = arguments;
    return true;
}

static bool update_run(Compilation *compilation, const TrainBlock *train, Function update, KernelProgram *kernels,
                       const Run *run) {
    if (!size_update(compilation, &update, run->count)) return false;
    Placements leaves = {0}, results = {0};
    int states = train->optimizer->state_count;
    int64_t size = dtype_size(compilation->program->floating), start = run->offset * size;
    int64_t all = compilation->program->parameter_count * size;
    put(compilation, &leaves, update.arguments[0], SPACE_PARAMETERS, 0, start, false);
    if (run->gradients) put(compilation, &leaves, update.arguments[1], SPACE_SCRATCH, run->gradients->id, 0, false);
    else put(compilation, &leaves, update.arguments[1], SPACE_GRADIENTS, 0, start, false);
    for (int i = 0; i < states; i++)
        put(compilation, &leaves, update.arguments[2 + i], SPACE_OPTIMIZER, 0, i * all + start, false);
    for (int i = 2 + states; i < update.argument_count; i++) {
        int slot = i - 2 - states;
        put(compilation, &leaves, update.arguments[i], SPACE_HYPERPARAMETERS, 0, slot * 8, false);
    }
    put(compilation, &results, update.results[0].node, SPACE_PARAMETERS, 0, start, false);
    for (int i = 0; i < states; i++)
        put(compilation, &results, update.results[1 + i].node, SPACE_OPTIMIZER, 0, i * all + start, false);
    return add_kernels(kernels, &leaves, &results);
}

static bool update_kernels(Compilation *compilation, const TrainBlock *train, const Function *update,
                           KernelProgram *kernels, const Runs *runs) {
    for (int i = 0; i < runs->count; i++)
        if (!update_run(compilation, train, *update, kernels, &runs->items[i])) return false;
    return true;
}

// ---- a training step

// The gradients of a run's parameters go to a buffer of their own, one behind the other.
static void put_gradients(Compilation *compilation, Placements *results, const TrainBlock *train,
                          const Function *function, KernelProgram *kernels, Run *run) {
    Program *program = compilation->program;
    run->gradients = kernel_program_reserve(kernels, program->floating,
                                            extent_constant(program->graph->extents, run->count), "gradients");
    for (int i = run->first; i < run->end; i++) {
        int64_t offset = (train->trained[i]->offset - run->offset) * dtype_size(program->floating);
        put(compilation, results, function->results[1 + train->report_count + i].node, SPACE_SCRATCH,
            run->gradients->id, offset, false);
    }
}

static bool step_kernels(Compilation *compilation, const TrainBlock *train, const Function *function,
                         const Function *update, KernelProgram *kernels) {
    Placements leaves = entry_leaves(compilation, function, function->argument_count), results = {0};
    Runs runs = runs_of(compilation, train);
    put_outputs(compilation, &results, function, 1 + train->report_count);
    for (int i = 0; i < runs.count; i++) put_gradients(compilation, &results, train, function, kernels, &runs.items[i]);
    for (int i = 0; i < train->update_count; i++) {
        const State *state = train->entry->updates.items[i].state;
        Node *value = function->results[1 + train->report_count + train->trained_count + i].node;
        put(compilation, &results, value, SPACE_STATE, 0, state->offset * dtype_size(value->dtype), false);
    }
    return add_kernels(kernels, &leaves, &results) &&
           update_kernels(compilation, train, update, kernels, &runs);
}

// ---- one program of kernels for each kind

static const char *symbol_of(Compilation *compilation, FunctionKey key) {
    static const char *const kinds[] = {"value", "forward", "backward", "update", "step"};
    const char *name = key.train ? key.train->loss : key.entry->name;
    return arena_print(compilation->arena, "%s_%s%s", name, kinds[key.kind], key.training ? "_training" : "");
}

static bool add_all(Compilation *compilation, FunctionKey key, KernelProgram *kernels, const CutEntry *cut,
                    const Function *function, const Function *update, const Extent **tape) {
    switch (key.kind) {
    case KIND_VALUE: return value_kernels(compilation, function, kernels);
    case KIND_FORWARD: return forward_kernels(compilation, cut, kernels, tape);
    case KIND_BACKWARD: return backward_kernels(compilation, cut, kernels, tape);
    case KIND_STEP: return step_kernels(compilation, key.train, function, update, kernels);
    case KIND_UPDATE: break;
    }
    Runs runs = runs_of(compilation, key.train);
    return update_kernels(compilation, key.train, function, kernels, &runs);
}

KernelProgram *kernels_of(Compilation *compilation, FunctionKey key, const Extent **tape) {
    bool cuts = key.kind == KIND_FORWARD || key.kind == KIND_BACKWARD;
    const CutEntry *cut = cuts ? cut_of(compilation, key) : NULL;
    if (cuts && !cut) return NULL;
    Function function = cuts ? (Function){0} : joint_of(compilation, key).function;
    if (!cuts && !run_passes(compilation, &function, STAGE_OPT)) return NULL;
    Function update = key.kind == KIND_STEP ? key.train->optimizer->update : (Function){0};
    if (key.kind == KIND_STEP && !run_passes(compilation, &update, STAGE_OPT)) return NULL;
    double start = now_ms();
    KernelProgram *kernels = kernel_program_create(compilation->program->graph, symbol_of(compilation, key));
    if (!add_all(compilation, key, kernels, cut, &function, &update, tape)) return NULL;
    kernel_program_plan(kernels);
    const char *fault = compilation->options.verify ? kernel_program_verify(kernels) : NULL;
    add_time(compilation, offsetof(Timings, kernels_ms), start);
    if (fault) internal_error(compilation, "kernels", fault);
    return fault ? NULL : kernels;
}
