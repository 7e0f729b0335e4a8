// What the kernels of a function cost, for people: from the same numbers by which the compiler decides who does the work
// (kernels/cost.c), with the source's names; and code that says when each kernel ends, to be measured.
#include "compilation.h"

#include <stdlib.h>

typedef struct {
    Compilation *compilation;
    KernelProgram *program;
    const int64_t *dims;
    bool shares;   // the function as a whole is worth several workers
    Positions positions;
    ARRAY(KernelFacts) rows;
} Walk;

static int64_t value_of(const Walk *walk, const Extent *extent) {
    bool overflow = false;
    int64_t value = extent_evaluate(extent, walk->dims, &overflow);
    return overflow ? INT64_MAX : value;
}

static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

// "64x32 over 16": the axes of what is computed, then those that are summed.
static const char *shape_of(const Walk *walk, const Kernel *kernel) {
    Text text = {.arena = walk->compilation->arena};
    if (kernel->kind == KERNEL_LOOP) {
        int64_t trips = value_of(walk, kernel->axes[kernel->axis_count - 1].extent);
        return arena_print(text.arena, "%lld times", (long long)trips);
    }
    for (int summed = 0; summed < 2; summed++) {
        const char *before = summed ? text.length ? " over " : "over " : "";
        for (int i = 0; i < kernel->axis_count; i++) {
            AxisRole role = kernel->axes[i].role;
            bool is_summed = role == AXIS_ROW || role == AXIS_COLUMN || role == AXIS_K;
            if (role == AXIS_LOOP || is_summed != (summed == 1)) continue;
            text_add(&text, "%s%lld", before, (long long)value_of(walk, kernel->axes[i].extent));
            before = "x";
        }
    }
    return text.length ? text.bytes : "1";
}

static bool is_shared(const Walk *walk, const Kernel *kernel) {
    if (!walk->shares || kernel_split_axis(walk->program, kernel) < 0) return false;
    return value_of(walk, kernel_work(walk->program, kernel)) >= walk->program->split_work;
}

static void explain_kernel(Walk *walk, const Kernel *kernel, int depth, int64_t runs) {
    KernelFacts facts = {.kernel = kernel,
                         .name = kernel->name,
                         .kind = kernel_kind_name(kernel->kind),
                         .shape = shape_of(walk, kernel),
                         .depth = depth,
                         .runs = runs};
    if (kernel->span.source) {
        int column;
        facts.path = kernel->span.source->path;
        positions_find(&walk->positions, kernel->span.source, kernel->span.begin, &facts.line, &column);
    }
    if (kernel->kind != KERNEL_LOOP) {
        KernelCost cost = kernel_cost(walk->program, kernel);
        facts.flops = times(runs, value_of(walk, cost.flops));
        facts.bytes = times(runs, value_of(walk, cost.bytes));
        facts.shared = is_shared(walk, kernel);
    }
    array_push(walk->compilation->arena, &walk->rows, facts);
    if (kernel->kind != KERNEL_LOOP) return;
    int64_t trips = value_of(walk, kernel->axes[kernel->axis_count - 1].extent);
    for (int i = 0; i < kernel->body.count; i++)
        explain_kernel(walk, kernel->body.items[i], depth + 1, times(runs, trips));
}

static gradc_function *timed_code(Compilation *compilation, KernelProgram *program) {
    char *message = NULL;
    program->timed = true;
    gradc_function *code = start_jit(compilation) ? jit_compile(compilation->jit, program, NULL, NULL, &message) : NULL;
    if (!code && compilation->jit) llvm_error(compilation, "machine code", message);
    return code;
}

// The kernels that run for these dims: those of one worker, unless there is work for more.
static bool find_kernels(Walk *walk, FunctionKey key, const Extent **tape) {
    Compilation *compilation = walk->compilation;
    int threads = compilation->options.threads;
    compilation->options.threads = 1;
    walk->program = kernels_of(compilation, key, tape);
    compilation->options.threads = threads;
    if (!walk->program || threads < 2) return walk->program != NULL;
    key.shared = value_of(walk, kernel_program_shared_work(walk->program)) >= SHARED_WORK;
    if (key.shared) walk->program = kernels_of(compilation, key, tape);
    walk->shares = key.shared;
    return walk->program != NULL;
}

static const Explanation *explain(Compilation *compilation, FunctionKey key, const int64_t *dims, bool timed) {
    const Extent *tape = extent_constant(compilation->program->graph->extents, 0);
    Walk walk = {.compilation = compilation, .dims = dims, .positions = {.arena = compilation->arena}};
    if (!find_kernels(&walk, key, &tape)) return NULL;
    gradc_function *code = timed ? timed_code(compilation, walk.program) : NULL;
    if (timed && !code) return NULL;
    for (int i = 0; i < walk.program->kernels.count; i++) explain_kernel(&walk, walk.program->kernels.items[i], 0, 1);
    Explanation *explanation = arena_new(compilation->arena, Explanation);
    *explanation = (Explanation){.function = walk.program->name,
                                 .count = walk.rows.count,
                                 .kernels = walk.rows.items,
                                 .scratch_bytes = value_of(&walk, walk.program->scratch_bytes),
                                 .tape_bytes = value_of(&walk, tape),
                                 .workers = walk.program->workers,
                                 .timed = code};
    for (int i = 0; i < walk.rows.count; i++) {
        explanation->flops += walk.rows.items[i].flops;
        explanation->bytes += walk.rows.items[i].bytes;
    }
    return explanation;
}

const Explanation *compilation_explain(Compilation *compilation, FunctionKey key, const int64_t *dims, bool timed) {
    int threads = compilation->options.threads;
    compilation->exhausted = false;
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->options.threads = threads;
        compilation->exhausted = true;
        return NULL;
    }
    return explain(compilation, key, dims, timed);
}

void *compilation_allocate(Compilation *compilation, size_t size) {
    if (setjmp(*arena_recover(compilation->arena))) return NULL;
    return arena_allocate(compilation->arena, size);
}

// ---- the processor's peak

double compilation_peak(Compilation *compilation) {
    enum { TRIES = 20, ROUNDS = 20000 };
    char *message = NULL;
    compilation->exhausted = false;
    if (setjmp(*arena_recover(compilation->arena))) {
        compilation->exhausted = true;
        return 0;
    }
    gradc_function *peak = start_jit(compilation) ? jit_peak(compilation->jit, &message) : NULL;
    free(message);
    if (!peak) return 0;
    float numbers[2] = {0.5f, 1}, result;
    int64_t rounds = ROUNDS;
    const void *inputs[] = {numbers};
    void *outputs[] = {&result};
    gradc_frame frame = {.dims = &rounds, .inputs = inputs, .outputs = outputs};
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = now_ms();
        peak(&frame);
        double took = now_ms() - start;
        double rate = (double)jit_peak_operations(compilation->jit) * ROUNDS / (took * 1e-3);
        if (took > 0 && rate > best) best = rate;
    }
    return best;
}
