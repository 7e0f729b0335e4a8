// Column kernels: reductions over outer axes, in the sequential order of S10 (graph/order.h). The vectors lie along the
// last parallel axis; each lane adds its own elements in row-major order, chunk by chunk.
#include "emit/lanes.h"
#include "graph/order.h"

#include <assert.h>

enum { ACCUMULATORS = 16 };   // vectors of accumulators that stay in registers

typedef struct {
    Emitter *emitter;
    Scope *scopes;   // one for each vector of the group
    int count;
    int columns[MAX_AXES], column_count;
    const Extent *length;   // the product of the column axes
    int phase;
    int reduction_count;
    Reduction reductions[MAX_REDUCTIONS];
} Pass;

static int partial_count(const Pass *pass) {
    return pass->reduction_count * pass->count;
}

static void start_partials(const Pass *pass, Partial *partials) {
    for (int i = 0; i < partial_count(pass); i++)
        partials[i] = partial_start(pass->emitter, &pass->reductions[i / pass->count], pass->scopes[0].width);
}

void bind_columns(Emitter *emitter, Scope *scope, const int *columns, int count, LLVMValueRef flat) {
    const Code *code = &emitter->code;
    for (int i = count - 1; i > 0; i--) {
        LLVMValueRef extent = extent_value_of(emitter, scope->kernel->axes[columns[i]].extent);
        scope_bind(scope, columns[i], LLVMBuildSRem(code->builder, flat, extent, ""));
        flat = LLVMBuildSDiv(code->builder, flat, extent, "");
    }
    scope_bind(scope, columns[0], flat);
}

const Extent *column_length(Emitter *emitter, const Kernel *kernel) {
    ExtentTable *extents = emitter->program->graph->extents;
    const Extent *length = extent_constant(extents, 1);
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == AXIS_COLUMN)
            length = extent_multiply(extents, length, kernel->axes[axis].extent);
    return length;
}

static void accumulate(const Pass *pass, LLVMValueRef flat, Partial *partials) {
    uint32_t columns = 0;
    for (int i = 0; i < pass->column_count; i++) columns |= UINT32_C(1) << pass->columns[i];
    for (int i = 0; i < pass->count; i++) {
        Scope scope = scope_inside(pass->emitter, &pass->scopes[i]);
        bind_columns(pass->emitter, &scope, pass->columns, pass->column_count, flat);
        for (int r = 0; r < pass->reduction_count; r++) {
            const Reduction *reduction = &pass->reductions[r];
            Partial *partial = &partials[r * pass->count + i];
            LLVMValueRef value = scope_value(pass->emitter, &scope, reduction->operand);
            LLVMValueRef index = v_splat(&pass->emitter->code, flat, scope.width);
            Partial element = partial_of(pass->emitter, reduction, value, index);
            *partial = partial_combine(pass->emitter, reduction, *partial, element);
        }
        scope_effects(pass->emitter, &scope, pass->phase, columns, 0);
    }
}

// Elements [start, limit) of the column, from fresh partials.
static void reduce_chunk(const Pass *pass, LLVMValueRef start, LLVMValueRef limit, Partial *partials) {
    const Code *code = &pass->emitter->code;
    LLVMValueRef carries[MAX_CARRIES];
    start_partials(pass, partials);
    int count = partials_to_carries(partials, partial_count(pass), carries);
    Loop loop = loop_begin(code, "column", start, limit, v_i64(code, 1), carries, count);
    partials_from_carries(partials, partial_count(pass), loop.carries);
    accumulate(pass, loop.index, partials);
    partials_to_carries(partials, partial_count(pass), carries);
    loop_end(code, &loop, carries);
    partials_from_carries(partials, partial_count(pass), loop.carries);
}

static void reduce_chunks(const Pass *pass, LLVMValueRef length, Partial *totals) {
    const Code *code = &pass->emitter->code;
    LLVMValueRef size = v_i64(code, SEQUENTIAL_CHUNK), carries[MAX_CARRIES];
    Partial chunk[MAX_CARRIES / 2];
    start_partials(pass, totals);
    int count = partials_to_carries(totals, partial_count(pass), carries);
    Loop loop = loop_begin(code, "chunks", v_i64(code, 0), length, size, carries, count);
    partials_from_carries(totals, partial_count(pass), loop.carries);
    reduce_chunk(pass, loop.index, v_minimum(code, v_add(code, loop.index, size), length), chunk);
    for (int i = 0; i < partial_count(pass); i++)
        totals[i] = partial_combine(pass->emitter, &pass->reductions[i / pass->count], totals[i], chunk[i]);
    partials_to_carries(totals, partial_count(pass), carries);
    loop_end(code, &loop, carries);
    partials_from_carries(totals, partial_count(pass), loop.carries);
}

static void run_pass(Pass *pass) {
    Partial totals[MAX_CARRIES / 2];
    int64_t known;
    pass->reduction_count = reductions_of(pass->scopes[0].kernel, pass->phase, pass->reductions);
    assert(partial_count(pass) <= MAX_CARRIES / 2);
    LLVMValueRef length = extent_value_of(pass->emitter, pass->length);
    if (extent_is_constant(pass->length, &known) && known <= SEQUENTIAL_CHUNK)
        reduce_chunk(pass, v_i64(&pass->emitter->code, 0), length, totals);
    else reduce_chunks(pass, length, totals);
    for (int i = 0; i < partial_count(pass); i++) {
        const Reduction *reduction = &pass->reductions[i / pass->count];
        scope_set(&pass->scopes[i % pass->count], reduction->instruction,
                  partial_result(pass->emitter, reduction, totals[i]));
    }
}

static void visit_vectors(Emitter *emitter, Scope *scopes, int count, void *context) {
    (void)context;
    const Kernel *kernel = scopes[0].kernel;
    Pass pass = {.emitter = emitter, .scopes = scopes, .count = count};
    pass.column_count = axes_of(kernel, AXIS_COLUMN, pass.columns);
    pass.length = column_length(emitter, kernel);
    uint32_t columns = axes_mask(kernel, AXIS_COLUMN);
    for (pass.phase = 0; pass.phase <= kernel->phase_count; pass.phase++) {
        for (int i = 0; i < count; i++) {
            scope_hoist(emitter, &scopes[i]);
            scope_effects(emitter, &scopes[i], pass.phase, 0, columns);
        }
        if (pass.phase < kernel->phase_count) run_pass(&pass);
    }
}

// As many vectors side by side as keep their accumulators in registers.
static int group_of(const Emitter *emitter, const Kernel *kernel, int vector_axis) {
    Reduction unused[MAX_REDUCTIONS];
    int most = 1;
    for (int phase = 0; phase < kernel->phase_count; phase++) {
        int count = reductions_of(kernel, phase, unused);
        if (count > most) most = count;
    }
    int fits = ACCUMULATORS / 2 / most > 1 ? ACCUMULATORS / 2 / most : 1;
    int64_t extent;
    if (vector_axis < 0 || !extent_is_constant(kernel->axes[vector_axis].extent, &extent)) return fits > 2 ? 2 : fits;
    int64_t vectors = (extent + kernel_lanes(emitter, kernel) - 1) / kernel_lanes(emitter, kernel);
    return vectors <= fits ? (vectors ? (int)vectors : 1) : fits > 4 ? 4 : fits;
}

void emit_column(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    int vector_axis = count ? axes[count - 1] : -1, group = group_of(emitter, kernel, vector_axis);
    if (emit_wide_column(emitter, kernel, group)) return;
    Nest nest;
    Scope *outer = open_axes(emitter, &nest, kernel, axes, count ? count - 1 : 0);
    scope_hoist(emitter, outer);
    walk_vectors(emitter, outer, vector_axis, group, visit_vectors, NULL);
    close_axes(emitter, &nest);
}
