// The way of the data: from text to functions, one pass a line.
#include "compilation.h"

#include "differentiate/batch.h"
#include "differentiate/differentiate.h"
#include "simplify/simplify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---- passes over graphs

typedef bool Pass(Compilation *compilation, Function *function);

// Each order of derivatives is simplified before the next is taken, with its loops without a carry as axes.
static bool pass_differentiate(Compilation *compilation, Function *function) {
    Graph *graph = compilation->program->graph;
    for (bool more = true; more;) {
        if (!differentiate_round(graph, compilation->diagnostics, function, &more)) return false;
        if (!more) break;
        batch_loops(graph, function);
        hoist_from_loops(graph, function);
        simplify(graph, function);
    }
    return true;
}

static bool pass_batch(Compilation *compilation, Function *function) {
    batch_loops(compilation->program->graph, function);
    return true;
}

static bool pass_hoist(Compilation *compilation, Function *function) {
    hoist_from_loops(compilation->program->graph, function);
    return true;
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

// What each graph goes through, in order. A stage's dump is taken after the last pass that carries its name; the stage
// `graph` comes before them all.
static const struct {
    const char *name;
    Stage stage;
    Pass *run;
    size_t timing;
} passes[] = {
    {"batch loops", STAGE_GRAD, pass_batch, offsetof(Timings, differentiate_ms)},
    {"hoist from loops", STAGE_GRAD, pass_hoist, offsetof(Timings, differentiate_ms)},
    {"simplify", STAGE_GRAD, pass_simplify, offsetof(Timings, simplify_ms)},
    {"differentiate", STAGE_GRAD, pass_differentiate, offsetof(Timings, differentiate_ms)},
    {"batch loops", STAGE_BATCH, pass_batch, offsetof(Timings, differentiate_ms)},
    {"hoist from loops", STAGE_BATCH, pass_hoist, offsetof(Timings, differentiate_ms)},
    {"simplify", STAGE_OPT, pass_simplify, offsetof(Timings, simplify_ms)},
    {"normalise reductions", STAGE_OPT, pass_normalise, offsetof(Timings, simplify_ms)},
    {"place fma", STAGE_OPT, pass_fma, offsetof(Timings, simplify_ms)},
};

double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

void add_time(Compilation *compilation, size_t field, double since) {
    *(double *)((char *)&compilation->timings + field) += now_ms() - since;
}

bool internal_error(Compilation *compilation, const char *where, const char *what) {
    diagnose(compilation->diagnostics, D_internal, (Span){0}, "internal error after %s: %s", where, what);
    diagnose_help(compilation->diagnostics, "this is a fault of gradc, not of your program; please report it");
    return false;
}

static bool verify(Compilation *compilation, const Function *function, const char *pass) {
    if (!compilation->options.verify) return true;
    const char *fault = verify_function(compilation->program->graph, function);
    return fault ? internal_error(compilation, pass, fault) : true;
}

bool run_passes(Compilation *compilation, Function *function, Stage last) {
    if (!verify(compilation, function, "elaborate")) return false;
    for (size_t i = 0; i < sizeof passes / sizeof *passes && passes[i].stage <= last; i++) {
        double start = now_ms();
        bool done = passes[i].run(compilation, function);
        add_time(compilation, passes[i].timing, start);
        if (!done || !verify(compilation, function, passes[i].name)) return false;
    }
    return true;
}

// ---- functions

static bool same_key(FunctionKey a, FunctionKey b) {
    return a.kind == b.kind && a.entry == b.entry && a.train == b.train && a.training == b.training &&
           a.tracked_inputs == b.tracked_inputs && a.shared == b.shared;
}

void llvm_error(Compilation *compilation, const char *where, char *message) {
    if (!message) longjmp(*arena_recover(compilation->arena), 1);
    const char *copy = arena_copy_text(compilation->arena, message, strlen(message));
    free(message);
    internal_error(compilation, where, copy);
}

bool start_jit(Compilation *compilation) {
    if (compilation->jit) return true;
    char *message = NULL;
    double start = now_ms();
    compilation->jit = jit_create(compilation->options.cpu, compilation->options.vector_bytes, &message);
    add_time(compilation, offsetof(Timings, machine_code_ms), start);
    if (!compilation->jit) llvm_error(compilation, "starting LLVM", message);
    else if (compilation->options.threads > 1) jit_allow_threads(compilation->jit);
    return compilation->jit != NULL;
}

static gradc_function *machine_code(Compilation *compilation, const KernelProgram *kernels) {
    char *message = NULL;
    JitCost cost;
    const ObjectStore *store = compilation->options.store.find ? &compilation->options.store : NULL;
    gradc_function *call = jit_compile_kept(compilation->jit, kernels, store, &cost, &message);
    compilation->timings.emit_ms += cost.emit_ms;
    compilation->timings.machine_code_ms += cost.machine_code_ms;
    compilation->timings.functions += call != NULL;
    compilation->timings.found += cost.found;
    if (!call) llvm_error(compilation, "machine code", message);
    return call;
}

static const CompiledFunction *compile_new(Compilation *compilation, FunctionKey key) {
    const Extent *tape = extent_constant(compilation->program->graph->extents, 0);
    KernelProgram *kernels = kernels_of(compilation, key, &tape);
    gradc_function *call = kernels && start_jit(compilation) ? machine_code(compilation, kernels) : NULL;
    if (!call) return NULL;
    const Entry *entry = key.train ? key.train->entry : key.entry;
    CompiledFunction *function = arena_new(compilation->arena, CompiledFunction);
    *function = (CompiledFunction){.key = key,
                                   .call = call,
                                   .scratch_bytes = kernels->scratch_bytes,
                                   .tape_bytes = tape,
                                   .shared_work = kernel_program_shared_work(kernels),
                                   .for_workers = kernels->workers > 1,
                                   .check_count = key.kind == KIND_UPDATE ? 0 : entry->checks.count,
                                   .checks = entry->checks.items};
    array_push(compilation->arena, &compilation->functions, function);
    return function;
}

const CompiledFunction *compile_function(Compilation *compilation, FunctionKey key) {
    compilation->exhausted = false;
    for (int i = 0; i < compilation->functions.count; i++)
        if (same_key(compilation->functions.items[i]->key, key)) return compilation->functions.items[i];
    for (int i = 0; i < compilation->refused.count; i++)
        if (same_key(compilation->refused.items[i], key)) return NULL;
    if (!compilation->program) return NULL;
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->exhausted = true;
        return NULL;
    }
    const CompiledFunction *function = compile_new(compilation, key);
    if (!function) array_push(compilation->arena, &compilation->refused, key);
    return function;
}

bool compilation_exhausted(const Compilation *compilation) {
    return compilation->exhausted;
}

int function_workers(const Compilation *compilation, const CompiledFunction *function, const int64_t *dims) {
    bool overflow = false;
    if (compilation->options.threads < 2) return 1;
    int64_t work = extent_evaluate(function->shared_work, dims, &overflow);
    return overflow || work >= SHARED_WORK ? compilation->options.threads : 1;
}

// ---- the life of a compilation

static void parse_and_elaborate(Compilation *compilation) {
    double start = now_ms();
    File *file = parse_file(compilation->arena, compilation->diagnostics, compilation->source);
    add_time(compilation, offsetof(Timings, parse_ms), start);
    if (diagnostics_errors(compilation->diagnostics)) return;
    compilation->file = file;
    start = now_ms();
    file = with_imports(compilation, file);
    add_time(compilation, offsetof(Timings, parse_ms), start);
    if (diagnostics_errors(compilation->diagnostics)) return;
    start = now_ms();
    ElaborateOptions options = {.floating = compilation->options.floating};
    compilation->program = elaborate(compilation->arena, compilation->diagnostics, file, &options);
    add_time(compilation, offsetof(Timings, elaborate_ms), start);
}

static Compilation *create_in(Arena *arena, const char *path, const char *text, size_t length,
                              const CompileOptions *options) {
    Compilation *compilation = arena_new(arena, Compilation);
    compilation->arena = arena;
    compilation->options = *options;
    const char *cpu = options->cpu;
    if (cpu) compilation->options.cpu = arena_copy_text(arena, cpu, strlen(cpu));
#ifndef NDEBUG
    compilation->options.verify = true;
#endif
    compilation->diagnostics = diagnostics_create(arena, 0);
    Source *source = arena_new(arena, Source);
    source->path = arena_copy_text(arena, path, strlen(path));
    compilation->source = source;
    if (length > INT32_MAX) {
        source->text = "";
        diagnose(compilation->diagnostics, D_file_too_large, (Span){0}, "'%s' is larger than 2 GiB", path);
        return compilation;
    }
    source->text = arena_copy_text(arena, text, length);
    source->length = (uint32_t)length;
    parse_and_elaborate(compilation);
    return compilation;
}

Compilation *compilation_create(const char *path, const char *text, size_t length, const CompileOptions *options) {
    Arena *arena = arena_create_from(options->allocator);
    if (!arena) return NULL;
    if (setjmp(*arena_recover(arena))) {
        arena_destroy(arena);
        return NULL;
    }
    return create_in(arena, path, text, length, options);
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

const char *compilation_messages(Compilation *compilation, bool colour) {
    compilation->exhausted = false;
    if (!diagnostics_errors(compilation->diagnostics) && !diagnostics_warnings(compilation->diagnostics)) return "";
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->exhausted = true;
        return NULL;
    }
    return diagnostics_text(compilation->diagnostics, colour);
}

Timings compilation_timings(const Compilation *compilation) {
    return compilation->timings;
}

// ---- looking inside

static bool print_graph(Compilation *compilation, Text *text, Stage stage, Function function) {
    if (!run_passes(compilation, &function, stage)) return false;
    if (text->length) text_add(text, "\n");
    print_function(text, &function);
    return true;
}

static bool print_graphs(Compilation *compilation, Text *text, Stage stage, FunctionKey key) {
    const TrainBlock *train = key.train;
    bool printed =
        key.kind == KIND_UPDATE || print_graph(compilation, text, stage, joint_of(compilation, key).function);
    if (printed && train && train->measures.result_count)
        printed = print_graph(compilation, text, stage, train->measures);
    for (int i = 0; printed && train && i < train->optimizers.count; i++)
        printed = print_graph(compilation, text, stage, train->optimizers.items[i]->update);
    return printed;
}

static bool print_lowered(Compilation *compilation, Text *text, Stage stage, FunctionKey key) {
    const Extent *tape;
    KernelProgram *kernels = kernels_of(compilation, key, &tape);
    if (!kernels) return false;
    if (stage == STAGE_KERNELS) kernel_program_print(text, kernels);
    if (stage == STAGE_PLAN) kernel_program_print_plan(text, kernels);
    if (stage < STAGE_LLVM) return true;
    if (!start_jit(compilation)) return false;
    const char *code =
        stage == STAGE_LLVM ? emit_llvm_text(compilation->jit, kernels) : emit_assembly_text(compilation->jit, kernels);
    if (!code) return internal_error(compilation, "printing machine code", "LLVM gave none");
    text_add_bytes(text, code, strlen(code));
    return true;
}

static const char *dump(Compilation *compilation, Stage stage, FunctionKey key) {
    Text text = {.arena = compilation->arena};
    text_add(&text, "%s", "");
    bool done = true;
    if (stage == STAGE_AST) print_tree(&text, compilation->file);
    else if (stage < STAGE_KERNELS) done = print_graphs(compilation, &text, stage, key);
    else done = print_lowered(compilation, &text, stage, key);
    return done ? text.bytes : NULL;
}

const char *compilation_dump(Compilation *compilation, Stage stage, FunctionKey key) {
    compilation->exhausted = false;
    if (stage == STAGE_AST ? !compilation->file : !compilation->program) return NULL;
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->exhausted = true;
        return NULL;
    }
    return dump(compilation, stage, key);
}

// The inputs that are marked requires_grad and that the entry's first result depends on.
static uint64_t marked_inputs(Compilation *compilation, const Entry *entry) {
    uint64_t marked = 0;
    NodeArray nodes = reachable(compilation->program->graph, &entry->function.results[0].node, 1);
    for (int i = 0; i < entry->function.argument_count && i < 64; i++)
        for (int k = 0; k < nodes.count; k++)
            if (nodes.items[k] == entry->function.arguments[i] && nodes.items[k]->variable->requires_grad)
                marked |= (uint64_t)1 << i;
    return marked;
}

// Printed before reductions are normalised and fma is placed: when the text is compiled, both happen again.
static const char *derivative(Compilation *compilation, const Entry *entry) {
    FunctionKey key = {.kind = KIND_BACKWARD, .entry = entry, .tracked_inputs = marked_inputs(compilation, entry)};
    Joint joint = joint_of(compilation, key);
    Function function = joint.function;
    function.results += joint.forward_count;
    function.result_count = joint.targets.count;
    if (!run_passes(compilation, &function, STAGE_BATCH)) return NULL;
    if (!pass_simplify(compilation, &function) || !verify(compilation, &function, "simplify")) return NULL;
    Text text = {.arena = compilation->arena};
    const char *name = arena_print(compilation->arena, "d_%s", entry->name);
    text_add(&text, "# The gradient of %s by", entry->name);
    for (int i = 0; i < joint.targets.count; i++)
        text_add(&text, i ? ", %s" : " %s", joint.targets.items[i]->variable->name);
    text_add(&text, ".\n");
    const char *missing = print_source(&text, compilation->program->graph, &function, name);
    if (missing) internal_error(compilation, "printing the derivative", missing);
    return missing ? NULL : text.bytes;
}

const char *compilation_derivative(Compilation *compilation, const Entry *entry) {
    compilation->exhausted = false;
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->exhausted = true;
        return NULL;
    }
    return derivative(compilation, entry);
}
