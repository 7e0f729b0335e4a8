// The way of the data: from text to functions, one pass a line.
#include "compile.h"

#include "cut/cut.h"
#include "differentiate/differentiate.h"
#include "emit/emit.h"
#include "kernels/kernel.h"
#include "simplify/simplify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct Compilation {
    Arena *arena;
    Diagnostics *diagnostics;
    CompileOptions options;
    const Source *source;
    File *file;
    Program *program;
    Jit *jit;
    ARRAY(CompiledFunction *) functions;
    Timings timings;
};

// ---- passes over graphs

typedef bool Pass(Compilation *compilation, Function *function);

static bool pass_differentiate(Compilation *compilation, Function *function) {
    return differentiate(compilation->program->graph, compilation->diagnostics, function);
}

static bool pass_simplify(Compilation *compilation, Function *function) {
    simplify(compilation->program->graph, function);
    return true;
}

static bool pass_normalise(Compilation *compilation, Function *function) {
    normalise_reductions(compilation->program->graph, function);
    return true;
}

static bool pass_fma(Compilation *compilation, Function *function) {
    place_fma(compilation->program->graph, function);
    return true;
}

// What each graph goes through, in order. A stage's dump is taken after the last pass that carries its name.
static const struct {
    const char *name;
    Stage stage;
    Pass *run;
    size_t timing;
} passes[] = {
    {"simplify", STAGE_GRAPH, pass_simplify, offsetof(Timings, simplify_ms)},
    {"differentiate", STAGE_GRAD, pass_differentiate, offsetof(Timings, differentiate_ms)},
    {"simplify", STAGE_OPT, pass_simplify, offsetof(Timings, simplify_ms)},
    {"normalise reductions", STAGE_OPT, pass_normalise, offsetof(Timings, simplify_ms)},
    {"place fma", STAGE_OPT, pass_fma, offsetof(Timings, simplify_ms)},
};

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static void add_time(Compilation *compilation, size_t field, double since) {
    *(double *)((char *)&compilation->timings + field) += now_ms() - since;
}

static bool internal_error(Compilation *compilation, const char *where, const char *what) {
    diagnose(compilation->diagnostics, D_internal, (Span){0}, "internal error after %s: %s", where, what);
    diagnose_help(compilation->diagnostics, "this is a fault of gradc, not of your program; please report it");
    return false;
}

// Runs the passes up to and with `last`.
static bool run_passes(Compilation *compilation, Function *function, Stage last) {
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        if (passes[i].stage > last || (last == STAGE_GRAPH)) break;
        double start = now_ms();
        bool done = passes[i].run(compilation, function);
        add_time(compilation, passes[i].timing, start);
        if (!done) return false;
        if (!compilation->options.verify) continue;
        const char *fault = verify_function(compilation->program->graph, function);
        if (fault) return internal_error(compilation, passes[i].name, fault);
    }
    return true;
}

// ---- from an entry to the function whose graph is lowered

// The variables that `entry`'s first result is differentiated by: what it reaches of the parameters that are not frozen,
// in order of declaration, then the tracked inputs.
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

// What a key stands for: its graph, and how many of its first results are the entry's own.
typedef struct {
    Function function;
    int forward_count;
    NodeArray targets;
} Joint;

static Function entry_function(const Entry *entry, bool training) {
    return training ? entry->training : entry->function;
}

static Joint joint_of(Compilation *compilation, FunctionKey key) {
    Joint joint = {0};
    Graph *graph = compilation->program->graph;
    if (key.kind == KIND_STEP) return (Joint){.function = key.train->gradient};
    if (key.kind == KIND_UPDATE) return (Joint){.function = key.train->optimizer->update};
    joint.function = entry_function(key.entry, key.training);
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

// Where the variables that a function of an entry reads lie.
static Placements entry_leaves(Compilation *compilation, const Function *function) {
    Placements leaves = {0};
    Program *program = compilation->program;
    Node **roots = arena_array(compilation->arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    NodeArray nodes = reachable(program->graph, roots, function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node->op != OP_variable) continue;
        const Parameter *parameter = parameter_of(program, node);
        const State *state = state_of(program, node);
        if (parameter)
            put(compilation, &leaves, node, SPACE_PARAMETERS, 0, parameter->offset * dtype_size(node->dtype), false);
        else if (state) put(compilation, &leaves, node, SPACE_STATE, 0, state->offset * dtype_size(node->dtype), false);
        for (int k = 0; k < function->argument_count; k++)
            if (function->arguments[k] == node) put(compilation, &leaves, node, SPACE_INPUT, k, 0, false);
    }
    return leaves;
}

// Offsets of the tape: polynomials of the open dims, each value on its own 64 bytes.
static const Extent *put_tape(Compilation *compilation, Placements *places, Node *const *values, Node *const *types,
                              int count) {
    Graph *graph = compilation->program->graph;
    const Extent *offset = extent_constant(graph->extents, 0);
    const Extent *alignment = extent_constant(graph->extents, 64);
    for (int i = 0; i < count; i++) {
        Placement place = {values[i], SPACE_TAPE, 0, offset, false};
        array_push(compilation->arena, places, place);
        const Extent *size = extent_constant(graph->extents, dtype_size(types[i]->dtype));
        const Extent *bytes = extent_multiply(graph->extents, element_count(graph, types[i]), size);
        bytes = extent_add(graph->extents, bytes, extent_constant(graph->extents, 63));
        bytes = extent_multiply(graph->extents, extent_floor_divide(graph->extents, bytes, alignment), alignment);
        offset = extent_add(graph->extents, offset, bytes);
    }
    return offset;
}

// ---- one kernel program for each kind

static bool add_kernels(Compilation *compilation, KernelProgram *kernels, const Placements *leaves,
                        const Placements *results) {
    return kernel_program_add(kernels, compilation->diagnostics, leaves->items, leaves->count, results->items,
                              results->count);
}

static void put_outputs(Compilation *compilation, Placements *results, const Function *function, int count) {
    for (int i = 0; i < count; i++) put(compilation, results, function->results[i].node, SPACE_OUTPUT, i, 0, false);
}

static bool value_kernels(Compilation *compilation, const Joint *joint, KernelProgram *kernels) {
    Placements leaves = entry_leaves(compilation, &joint->function), results = {0};
    put_outputs(compilation, &results, &joint->function, joint->forward_count);
    return add_kernels(compilation, kernels, &leaves, &results);
}

static bool forward_kernels(Compilation *compilation, const Joint *joint, KernelProgram *kernels, const Extent **tape) {
    Cut cut = cut_joint(compilation->program->graph, &joint->function, joint->forward_count);
    Placements leaves = entry_leaves(compilation, &cut.forward), results = {0};
    put_outputs(compilation, &results, &cut.forward, joint->forward_count);
    *tape = put_tape(compilation, &results, cut.tape, cut.tape, cut.tape_count);
    return add_kernels(compilation, kernels, &leaves, &results);
}

static bool backward_kernels(Compilation *compilation, const Joint *joint, KernelProgram *kernels,
                             const Extent **tape) {
    Cut cut = cut_joint(compilation->program->graph, &joint->function, joint->forward_count);
    Function inputs = cut.backward;
    inputs.argument_count = joint->function.argument_count;
    Placements leaves = entry_leaves(compilation, &inputs), results = {0};
    *tape = put_tape(compilation, &leaves, cut.tape_leaves, cut.tape_leaves, cut.tape_count);
    int output = 0;
    for (int i = 0; i < joint->targets.count; i++) {
        const Parameter *parameter = parameter_of(compilation->program, joint->targets.items[i]);
        Node *value = cut.backward.results[i].node;
        if (parameter)
            put(compilation, &results, value, SPACE_GRADIENTS, 0, parameter->offset * dtype_size(value->dtype), true);
        else put(compilation, &results, value, SPACE_OUTPUT, output++, 0, false);
    }
    return add_kernels(compilation, kernels, &leaves, &results);
}

// The optimizer over the flat arrays. `gradients`: a reserved buffer, or NULL for the frame's own.
static bool update_kernels(Compilation *compilation, const TrainBlock *train, const Function *update,
                           KernelProgram *kernels, const Buffer *gradients) {
    Placements leaves = {0}, results = {0};
    const Optimizer *optimizer = train->optimizer;
    if (!train->trained_count) return true;
    const Parameter *first = train->trained[0];
    int64_t size = dtype_size(first->variable->dtype), start = first->offset * size;
    int64_t all = compilation->program->parameter_count * size;
    put(compilation, &leaves, update->arguments[0], SPACE_PARAMETERS, 0, start, false);
    if (gradients) put(compilation, &leaves, update->arguments[1], SPACE_SCRATCH, gradients->id, 0, false);
    else put(compilation, &leaves, update->arguments[1], SPACE_GRADIENTS, 0, start, false);
    for (int i = 0; i < optimizer->state_count; i++)
        put(compilation, &leaves, update->arguments[2 + i], SPACE_OPTIMIZER, 0, i * all + start, false);
    for (int i = 2 + optimizer->state_count; i < update->argument_count; i++) {
        int slot = i - 2 - optimizer->state_count;
        put(compilation, &leaves, update->arguments[i], SPACE_HYPERPARAMETERS, 0, slot * 8, false);
    }
    put(compilation, &results, update->results[0].node, SPACE_PARAMETERS, 0, start, false);
    for (int i = 0; i < optimizer->state_count; i++)
        put(compilation, &results, update->results[1 + i].node, SPACE_OPTIMIZER, 0, i * all + start, false);
    return add_kernels(compilation, kernels, &leaves, &results);
}

static bool step_kernels(Compilation *compilation, const TrainBlock *train, const Joint *joint, const Function *update,
                         KernelProgram *kernels) {
    Program *program = compilation->program;
    Placements leaves = entry_leaves(compilation, &joint->function), results = {0};
    const Function *function = &joint->function;
    put_outputs(compilation, &results, function, 1 + train->report_count);
    const Parameter *first = train->trained_count ? train->trained[0] : NULL;
    const Parameter *last = first ? train->trained[train->trained_count - 1] : NULL;
    int64_t count = first ? last->offset + last->count - first->offset : 0;
    Buffer *gradients = kernel_program_reserve(kernels, program->floating,
                                               extent_constant(program->graph->extents, count), "gradients");
    for (int i = 0; i < train->trained_count; i++) {
        int64_t offset = (train->trained[i]->offset - first->offset) * dtype_size(program->floating);
        put(compilation, &results, function->results[1 + train->report_count + i].node, SPACE_SCRATCH, gradients->id,
            offset, false);
    }
    for (int i = 0; i < train->update_count; i++) {
        const State *state = train->entry->updates.items[i].state;
        Node *value = function->results[1 + train->report_count + train->trained_count + i].node;
        put(compilation, &results, value, SPACE_STATE, 0, state->offset * dtype_size(value->dtype), false);
    }
    return add_kernels(compilation, kernels, &leaves, &results) &&
           update_kernels(compilation, train, update, kernels, gradients);
}

static const char *symbol_of(Compilation *compilation, FunctionKey key) {
    static const char *const kinds[] = {"value", "forward", "backward", "update", "step"};
    const char *name = key.train ? key.train->loss : key.entry->name;
    return arena_print(compilation->arena, "%s_%s%s", name, kinds[key.kind], key.training ? "_training" : "");
}

// Graph passes, then kernels and plan. NULL on failure.
static KernelProgram *kernels_of(Compilation *compilation, FunctionKey key, const Extent **tape) {
    Joint joint = joint_of(compilation, key);
    Function update = key.train ? key.train->optimizer->update : (Function){0};
    if (!run_passes(compilation, &joint.function, STAGE_OPT)) return NULL;
    if (key.train && key.kind == KIND_STEP && !run_passes(compilation, &update, STAGE_OPT)) return NULL;
    double start = now_ms();
    KernelProgram *kernels = kernel_program_create(compilation->program->graph, symbol_of(compilation, key));
    bool done = false;
    switch (key.kind) {
    case KIND_VALUE: done = value_kernels(compilation, &joint, kernels); break;
    case KIND_FORWARD: done = forward_kernels(compilation, &joint, kernels, tape); break;
    case KIND_BACKWARD: done = backward_kernels(compilation, &joint, kernels, tape); break;
    case KIND_UPDATE: done = update_kernels(compilation, key.train, &joint.function, kernels, NULL); break;
    case KIND_STEP: done = step_kernels(compilation, key.train, &joint, &update, kernels); break;
    }
    if (!done) return NULL;
    kernel_program_plan(kernels);
    const char *fault = compilation->options.verify ? kernel_program_verify(kernels) : NULL;
    add_time(compilation, offsetof(Timings, kernels_ms), start);
    if (fault) internal_error(compilation, "kernels", fault);
    return fault ? NULL : kernels;
}

// ---- the interface

static bool same_key(FunctionKey a, FunctionKey b) {
    return a.kind == b.kind && a.entry == b.entry && a.train == b.train && a.training == b.training &&
           a.tracked_inputs == b.tracked_inputs;
}

static bool start_jit(Compilation *compilation) {
    if (compilation->jit) return true;
    char *message = NULL;
    double start = now_ms();
    compilation->jit = jit_create(compilation->options.vector_bytes, &message);
    add_time(compilation, offsetof(Timings, machine_code_ms), start);
    if (!compilation->jit) internal_error(compilation, "starting LLVM", message ? message : "no message");
    free(message);
    return compilation->jit != NULL;
}

static const CompiledFunction *compile_new(Compilation *compilation, FunctionKey key) {
    const Extent *tape = extent_constant(compilation->program->graph->extents, 0);
    KernelProgram *kernels = kernels_of(compilation, key, &tape);
    if (!kernels || !start_jit(compilation)) return NULL;
    char *message = NULL;
    gradc_function *call = jit_compile(compilation->jit, kernels, &compilation->timings.emit_ms,
                                       &compilation->timings.machine_code_ms, &message);
    if (!call) internal_error(compilation, "machine code", message ? message : "no message");
    free(message);
    if (!call) return NULL;
    CompiledFunction *function = arena_new(compilation->arena, CompiledFunction);
    *function =
        (CompiledFunction){.key = key, .call = call, .scratch_bytes = kernels->scratch_bytes, .tape_bytes = tape};
    array_push(compilation->arena, &compilation->functions, function);
    return function;
}

const CompiledFunction *compile_function(Compilation *compilation, FunctionKey key) {
    for (int i = 0; i < compilation->functions.count; i++)
        if (same_key(compilation->functions.items[i]->key, key)) return compilation->functions.items[i];
    if (!compilation->program) return NULL;
    if (setjmp(*arena_recover(compilation->arena))) return NULL;
    return compile_new(compilation, key);
}

static void parse_and_elaborate(Compilation *compilation) {
    double start = now_ms();
    compilation->file = parse_file(compilation->arena, compilation->diagnostics, compilation->source);
    add_time(compilation, offsetof(Timings, parse_ms), start);
    if (diagnostics_errors(compilation->diagnostics)) return;
    start = now_ms();
    ElaborateOptions options = {.floating = compilation->options.floating};
    compilation->program = elaborate(compilation->arena, compilation->diagnostics, compilation->file, &options);
    add_time(compilation, offsetof(Timings, elaborate_ms), start);
}

static Compilation *create_in(Arena *arena, const char *path, const char *text, size_t length,
                              const CompileOptions *options) {
    Compilation *compilation = arena_new(arena, Compilation);
    compilation->arena = arena;
    compilation->options = *options;
    compilation->diagnostics = diagnostics_create(arena, 0);
    Source *source = arena_new(arena, Source);
    source->path = arena_copy_text(arena, path, strlen(path));
    source->text = arena_copy_text(arena, text, length);
    source->length = (uint32_t)length;
    compilation->source = source;
    return compilation;
}

Compilation *compilation_create(const char *path, const char *text, size_t length, const CompileOptions *options) {
    Arena *arena = arena_create();
    if (!arena) return NULL;
    if (setjmp(*arena_recover(arena))) {
        arena_destroy(arena);
        return NULL;
    }
    Compilation *compilation = create_in(arena, path, text, length, options);
    if (length > INT32_MAX)
        diagnose(compilation->diagnostics, D_file_too_large, (Span){0}, "'%s' is larger than 2 GiB", path);
    else parse_and_elaborate(compilation);
    return compilation;
}

void compilation_destroy(Compilation *compilation) {
    if (!compilation) return;
    if (compilation->jit) jit_destroy(compilation->jit);
    arena_destroy(compilation->arena);
}

Program *compilation_program(Compilation *compilation) {
    return compilation->program;
}

const Diagnostics *compilation_diagnostics(const Compilation *compilation) {
    return compilation->diagnostics;
}

Timings compilation_timings(const Compilation *compilation) {
    return compilation->timings;
}

static void print_graphs(Compilation *compilation, Text *text, Stage stage, FunctionKey key) {
    Joint joint = joint_of(compilation, key);
    if (!run_passes(compilation, &joint.function, stage)) return;
    print_function(text, &joint.function);
    if (key.kind != KIND_STEP) return;
    Function update = key.train->optimizer->update;
    if (!run_passes(compilation, &update, stage)) return;
    text_add(text, "\n");
    print_function(text, &update);
}

static void print_lowered(Compilation *compilation, Text *text, Stage stage, FunctionKey key) {
    const Extent *tape;
    KernelProgram *kernels = kernels_of(compilation, key, &tape);
    if (!kernels) return;
    if (stage == STAGE_KERNELS) kernel_program_print(text, kernels);
    if (stage == STAGE_PLAN) kernel_program_print_plan(text, kernels);
    if (stage < STAGE_LLVM || !start_jit(compilation)) return;
    const char *code =
        stage == STAGE_LLVM ? emit_llvm_text(compilation->jit, kernels) : emit_assembly_text(compilation->jit, kernels);
    if (code) text_add_bytes(text, code, strlen(code));
    else internal_error(compilation, "printing machine code", "LLVM gave none");
}

const char *compilation_dump(Compilation *compilation, Stage stage, FunctionKey key) {
    if (setjmp(*arena_recover(compilation->arena))) return NULL;
    Text text = {.arena = compilation->arena};
    if (stage == STAGE_AST) print_tree(&text, compilation->file);
    else if (stage < STAGE_KERNELS) print_graphs(compilation, &text, stage, key);
    else print_lowered(compilation, &text, stage, key);
    return text.bytes;
}
