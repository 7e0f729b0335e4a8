// The update of a training step: how optimizers' graphs become kernels over the flat arrays of parameters, gradients and
// states.
//
// Needs: a train block. A large parameter whose gradient is a product is updated where that is computed, if its
// optimizer is elementwise and nothing asks for the gradient as a whole: the gradient then never lies in memory. Others
// of one elementwise optimizer that lie one behind the other are updated as one array.
// What is computed is the same whether the gradients come from the frame or from the step's own buffer: each function
// here goes through the passes by itself.
#include "compilation.h"

typedef struct {
    Compilation *compilation;
    const TrainBlock *train;
    const UpdatePlan *plan;
    KernelProgram *kernels;
    const Buffer *gradients;   // of all that is trained, one behind the other; NULL: they lie in the frame
    Buffer **measures;         // by number
    int64_t element_size;
} Updating;

// ---- parameters that are updated as one

typedef struct {
    int optimizer;
    int64_t offset, count;   // elements, in the flat arrays
    int64_t packed;          // where its gradients begin among those of all that is trained
} Run;
typedef ARRAY(Run) Runs;

// `together`: neighbours are one run whatever their optimizers.
static Runs runs_of(const Updating *updating, bool together) {
    const TrainBlock *train = updating->train;
    Runs runs = {0};
    int64_t packed = 0;
    for (int i = 0; i < train->trained_count; i++) {
        const Parameter *parameter = train->trained[i];
        if (updating->plan->fused[i]) continue;
        int optimizer = train->optimizer_of[i];
        Run *last = runs.count ? &runs.items[runs.count - 1] : NULL;
        bool same =
            together || (last && last->optimizer == optimizer && train->optimizers.items[optimizer]->elementwise);
        if (last && same && last->offset + last->count == parameter->offset) last->count += parameter->count;
        else {
            Run run = {optimizer, parameter->offset, parameter->count, packed};
            array_push(updating->compilation->arena, &runs, run);
        }
        packed += parameter->count;
    }
    return runs;
}

static void put_numbers(const Updating *updating, Placements *leaves, const Function *function, int first) {
    for (int i = first; i < function->argument_count; i++) {
        Node *argument = function->arguments[i];
        int index = argument->variable->index;
        if (argument->variable->kind == VARIABLE_HYPERPARAMETER)
            put(updating->compilation, leaves, argument, SPACE_HYPERPARAMETERS, 0, index * 8, false);
        else put(updating->compilation, leaves, argument, SPACE_SCRATCH, updating->measures[index]->id, 0, false);
    }
}

static void put_gradient(const Updating *updating, Placements *leaves, Node *argument, const Run *run) {
    int64_t size = updating->element_size;
    if (updating->gradients)
        put(updating->compilation, leaves, argument, SPACE_SCRATCH, updating->gradients->id, run->packed * size, false);
    else put(updating->compilation, leaves, argument, SPACE_GRADIENTS, 0, run->offset * size, false);
}

// ---- what maps of the gradient ask of it as a whole

static Buffer *reserve(const Updating *updating, Dtype dtype, int64_t count, const char *name) {
    ExtentTable *extents = updating->compilation->program->graph->extents;
    return kernel_program_reserve(updating->kernels, dtype, extent_constant(extents, count), name);
}

// Gradients with frozen ones between them are copied one behind the other.
static void pack_gradients(Updating *updating) {
    Graph *graph = updating->compilation->program->graph;
    Dtype floating = updating->compilation->program->floating;
    Runs runs = runs_of(updating, true);
    if (updating->gradients || runs.count == 1) return;
    Buffer *packed = reserve(updating, floating, updating->plan->kept, "gradients");
    for (int i = 0; i < runs.count; i++) {
        const Run *run = &runs.items[i];
        const Extent *count = extent_constant(graph->extents, run->count);
        Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "gradients"};
        Node *part = variable_make(graph, &variable, floating, &count, 1);
        Node *copy = map2(graph, OP_add, part, constant_like(graph, part, 0));
        Placements leaves = {0}, results = {0};
        put_gradient(updating, &leaves, part, run);
        put(updating->compilation, &results, copy, SPACE_SCRATCH, packed->id, run->packed * updating->element_size,
            false);
        add_kernels(updating->kernels, &leaves, &results);
    }
    updating->gradients = packed;
}

static bool measure(Updating *updating) {
    Function measures = updating->train->measures;
    Placements leaves = {0}, results = {0};
    if (!measures.result_count) return true;
    if (!run_passes(updating->compilation, &measures, STAGE_OPT)) return false;
    pack_gradients(updating);
    Run all = runs_of(updating, true).items[0];
    put_gradient(updating, &leaves, measures.arguments[0], &all);
    put_numbers(updating, &leaves, &measures, 1);
    updating->measures = arena_array(updating->compilation->arena, Buffer *, measures.result_count);
    for (int i = 0; i < measures.result_count; i++) {
        updating->measures[i] = reserve(updating, measures.results[i].node->dtype, 1, measures.results[i].name);
        put(updating->compilation, &results, measures.results[i].node, SPACE_SCRATCH, updating->measures[i]->id, 0,
            false);
    }
    return add_kernels(updating->kernels, &leaves, &results);
}

// ---- updates

// An elementwise update, whose vectors are as long as an open dim, for vectors of `length` elements.
static bool size_update(Compilation *compilation, Function *update, int64_t length) {
    Graph *graph = compilation->program->graph;
    const Extent *count = extent_constant(graph->extents, length);
    NodeMap map = {.arena = compilation->arena};
    int total = update->argument_count + update->result_count;
    Node **nodes = arena_array(compilation->arena, Node *, total);
    for (int i = 0; i < update->argument_count; i++) nodes[i] = update->arguments[i];
    for (int i = 0; i < update->result_count; i++) nodes[update->argument_count + i] = update->results[i].node;
    if (!resize(graph, &map, nodes, total, &count, 1, nodes))
        return internal_error(compilation, "elaborate", "an optimizer's update is not elementwise");
    *update = with_results(compilation->arena, update, nodes + update->argument_count);
    update->arguments = nodes;
    return true;
}

static bool update_run(const Updating *updating, const Run *run, Function update) {
    Compilation *compilation = updating->compilation;
    const Optimizer *optimizer = updating->train->optimizers.items[run->optimizer];
    if (optimizer->elementwise && !size_update(compilation, &update, run->count)) return false;
    Placements leaves = {0}, results = {0};
    int states = optimizer->state_count;
    int64_t size = updating->element_size, start = run->offset * size;
    int64_t all = compilation->program->parameter_count * size;
    put(compilation, &leaves, update.arguments[0], SPACE_PARAMETERS, 0, start, false);
    put_gradient(updating, &leaves, update.arguments[1], run);
    for (int i = 0; i < states; i++)
        put(compilation, &leaves, update.arguments[2 + i], SPACE_OPTIMIZER, 0, i * all + start, false);
    put_numbers(updating, &leaves, &update, 2 + states);
    put(compilation, &results, update.results[0].node, SPACE_PARAMETERS, 0, start, false);
    for (int i = 0; i < states; i++)
        put(compilation, &results, update.results[1 + i].node, SPACE_OPTIMIZER, 0, i * all + start, false);
    return add_kernels(updating->kernels, &leaves, &results);
}

bool update_kernels(Compilation *compilation, const TrainBlock *train, const UpdatePlan *plan, KernelProgram *kernels,
                    const Buffer *gradients) {
    int64_t size = dtype_size(compilation->program->floating);
    Updating updating = {compilation, train, plan, kernels, gradients, NULL, size};
    if (!measure(&updating)) return false;
    Runs runs = runs_of(&updating, false);
    for (int i = 0; i < runs.count; i++)
        if (!update_run(&updating, &runs.items[i], plan->updates[runs.items[i].optimizer])) return false;
    return true;
}

// ---- updates in the products that compute the gradients

// The product that the gradient is, but for what is done to each of its elements.
static const Node *product_below(const Node *gradient) {
    while (op_class(gradient->op) == CLASS_MAP) {
        const Node *next = NULL;
        for (int i = 0; i < gradient->input_count; i++) {
            const Node *input = gradient->inputs[i];
            bool computed = input->rank && input->op != OP_variable && strip_broadcast((Node *)input)->rank;
            if (computed && (!next || input->id > next->id)) next = input;
        }
        if (!next) return NULL;
        gradient = next;
    }
    return gradient->op == OP_contract ? gradient : NULL;
}

// What an elementwise update takes for each element; what is the same for all of them is computed once.
static int64_t update_flops(const Compilation *compilation, const Function *update) {
    int64_t flops = 0;
    NodeArray nodes =
        reachable(compilation->program->graph, result_nodes(compilation->arena, update), update->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (op_class(nodes.items[i]->op) == CLASS_MAP && nodes.items[i]->rank)
            flops += element_flops(nodes.items[i]->op);
    return flops;
}

static bool is_fused(const Compilation *compilation, const TrainBlock *train, const Function *step, int number,
                     const Function *updates) {
    Decision decision = compilation->options.fuse_updates;
    const Optimizer *optimizer = train->optimizers.items[train->optimizer_of[number]];
    const Node *gradient = step->results[1 + train->report_count + number].node;
    if (decision == NEVER || !optimizer->elementwise || train->measures.result_count) return false;
    if (!product_below(gradient)) return false;
    int64_t flops = update_flops(compilation, &updates[train->optimizer_of[number]]), bytes = 0;
    for (int i = 0; i < train->trained_count; i++) bytes += train->trained[i]->count * dtype_size(gradient->dtype);
    return decision == ALWAYS || product_takes_update(train->trained[number]->count, flops, bytes);
}

bool plan_updates(Compilation *compilation, const TrainBlock *train, const Function *step, UpdatePlan *plan) {
    int count = train->optimizers.count;
    Function *updates = arena_array(compilation->arena, Function, count);
    bool *fused = arena_array(compilation->arena, bool, train->trained_count + 1);
    *plan = (UpdatePlan){updates, fused, 0};
    for (int i = 0; i < count; i++) {
        updates[i] = train->optimizers.items[i]->update;
        if (!run_passes(compilation, &updates[i], STAGE_OPT)) return false;
    }
    for (int i = 0; i < train->trained_count; i++) {
        fused[i] = step && is_fused(compilation, train, step, i, updates);
        if (!fused[i]) plan->kept += train->trained[i]->count;
    }
    return true;
}

bool unfuse_updates(Compilation *compilation, const TrainBlock *train, UpdatePlan *plan) {
    int64_t kept = plan->kept;
    plan->fused = arena_array(compilation->arena, bool, train->trained_count + 1);
    plan->kept = 0;
    for (int i = 0; i < train->trained_count; i++) plan->kept += train->trained[i]->count;
    return plan->kept != kept;
}

static void put_leaf(Compilation *compilation, Placements *leaves, Node *node, Space space, int64_t offset) {
    for (int i = 0; i < leaves->count; i++)
        if (leaves->items[i].node == node) return;
    put(compilation, leaves, node, space, 0, offset, false);
}

// The update as a graph over the step's own nodes for parameter and gradient, in their shape.
static bool put_update(Compilation *compilation, const Optimizer *optimizer, const Function *update,
                       const Parameter *parameter, Node *gradient, Placements *leaves, Placements *results) {
    Graph *graph = compilation->program->graph;
    int64_t size = dtype_size(gradient->dtype), start = parameter->offset * size;
    int64_t all = compilation->program->parameter_count * size;
    NodeMap map = {.arena = compilation->arena};
    node_map_set(&map, update->arguments[0], parameter->variable);
    node_map_set(&map, update->arguments[1], gradient);
    Node **nodes = arena_array(compilation->arena, Node *, update->result_count);
    if (!resize(graph, &map, result_nodes(compilation->arena, update), update->result_count,
                (const Extent *const *)gradient->shape, gradient->rank, nodes))
        return internal_error(compilation, "elaborate", "an optimizer's update is not elementwise");
    put_leaf(compilation, leaves, parameter->variable, SPACE_PARAMETERS, start);
    for (int i = 2; i < update->argument_count; i++) {
        Node *argument = node_map_get(&map, update->arguments[i]);
        int state = i - 2;
        if (!argument) continue;
        if (state < optimizer->state_count)
            put_leaf(compilation, leaves, argument, SPACE_OPTIMIZER, state * all + start);
        else put_leaf(compilation, leaves, argument, SPACE_HYPERPARAMETERS, argument->variable->index * 8);
    }
    put(compilation, results, nodes[0], SPACE_PARAMETERS, 0, start, false);
    for (int i = 0; i < optimizer->state_count; i++)
        put(compilation, results, nodes[1 + i], SPACE_OPTIMIZER, 0, i * all + start, false);
    return true;
}

bool put_updates(Compilation *compilation, const TrainBlock *train, const UpdatePlan *plan, const Function *step,
                 Placements *leaves, Placements *results) {
    for (int i = 0; i < train->trained_count; i++) {
        int number = train->optimizer_of[i];
        Node *gradient = step->results[1 + train->report_count + i].node;
        if (plan->fused[i] && !put_update(compilation, train->optimizers.items[number], &plan->updates[number],
                                          train->trained[i], gradient, leaves, results))
            return false;
    }
    return true;
}
