// Row kernels: several reductions over one contiguous row, in the lane order of S10 (graph/order.h).
//
// Element i of a chunk belongs to lane i % L. The lanes stand side by side in L / W vectors, whatever W the machine
// has, so that every width gives the same bits. A row of at most L elements stays in registers from pass to pass.
#include "emit/lanes.h"
#include "emit/row_values.h"
#include "graph/order.h"

#include <assert.h>

enum { MAX_VECTORS = 32 };   // of one step: 32 lanes in vectors of one

typedef struct {
    Emitter *emitter;
    Scope *outer;
    int row;   // the axis
    int phase;
    int width, step;   // lanes of a vector; elements of a step, all lanes' worth
    int reduction_count;
    Reduction reductions[MAX_REDUCTIONS];
    Partial *partials[MAX_REDUCTIONS];   // by vector
    int vectors[MAX_REDUCTIONS];
    Scope *kept;   // of a short row: the scopes that all passes share
    RowValues values;
    Fetching fetching;
} Pass;

static void start_partials(Pass *pass) {
    for (int r = 0; r < pass->reduction_count; r++) {
        const Reduction *reduction = &pass->reductions[r];
        pass->vectors[r] = row_lanes(reduction->dtype) / pass->width;
        if (!pass->vectors[r]) pass->vectors[r] = 1;
        pass->partials[r] = arena_array(pass->emitter->arena, Partial, pass->vectors[r]);
        for (int k = 0; k < pass->vectors[r]; k++)
            pass->partials[r][k] = partial_start(pass->emitter, reduction, pass->width);
    }
}

// One vector of the row, number `vector` of its step.
static void accumulate(Pass *pass, Scope *scope, int vector) {
    Emitter *emitter = pass->emitter;
    const Code *code = &emitter->code;
    for (int r = 0; r < pass->reduction_count; r++) {
        const Reduction *reduction = &pass->reductions[r];
        Partial *partial = &pass->partials[r][vector % pass->vectors[r]];
        LLVMValueRef index = NULL, value = scope_value(emitter, scope, reduction->operand);
        if (is_argmax(reduction))
            index = v_add(code, v_splat(code, scope->index[pass->row], pass->width), v_lanes(code, pass->width));
        Partial next = partial_combine(emitter, reduction, *partial, partial_of(emitter, reduction, value, index));
        *partial = partial_select(emitter, scope->mask, *partial, next);
    }
    if (pass->phase == pass->fetching.phase) fetch_ahead(emitter, scope, &pass->fetching, vector);
    scope_effects(emitter, scope, pass->phase, UINT32_C(1) << pass->row, 0);
    keep_row_values(emitter, &pass->values, scope, pass->row, pass->phase);
}

static Scope vector_scope(Pass *pass, LLVMValueRef start, int64_t offset, LLVMValueRef mask) {
    Scope scope = scope_inside(pass->emitter, pass->outer);
    scope_bind(&scope, pass->row, v_add(&pass->emitter->code, start, v_i64(&pass->emitter->code, offset)));
    scope_vector(&scope, pass->row, pass->width, mask);
    take_row_values(pass->emitter, &pass->values, &scope, pass->row, pass->phase);
    return scope;
}

static void whole_step(Pass *pass, LLVMValueRef start) {
    for (int k = 0; k * pass->width < pass->step; k++) {
        Scope scope = vector_scope(pass, start, (int64_t)k * pass->width, NULL);
        accumulate(pass, &scope, k);
    }
}

static int gather_carries(Pass *pass, LLVMValueRef *carries) {
    int count = 0;
    for (int r = 0; r < pass->reduction_count; r++)
        count += partials_to_carries(pass->partials[r], pass->vectors[r], carries + count);
    return count;
}

static void spread_carries(Pass *pass, const LLVMValueRef *carries) {
    int count = 0;
    LLVMValueRef unused[MAX_CARRIES];
    for (int r = 0; r < pass->reduction_count; r++) {
        int used = partials_to_carries(pass->partials[r], pass->vectors[r], unused);
        partials_from_carries(pass->partials[r], pass->vectors[r], carries + count);
        count += used;
    }
}

// The steps of elements [start, start + length), length a multiple of the step.
static void whole_steps(Pass *pass, LLVMValueRef start, LLVMValueRef length) {
    const Code *code = &pass->emitter->code;
    LLVMValueRef carries[MAX_CARRIES];
    int count = gather_carries(pass, carries);
    Loop loop = loop_begin(code, "row", start, v_add(code, start, length), v_i64(code, pass->step), carries, count);
    spread_carries(pass, loop.carries);
    whole_step(pass, loop.index);
    gather_carries(pass, carries);
    loop_end(code, &loop, carries);
    spread_carries(pass, loop.carries);
}

static void static_rest(Pass *pass, LLVMValueRef start, int64_t rest) {
    for (int k = 0; (int64_t)k * pass->width < rest; k++) {
        int64_t offset = (int64_t)k * pass->width, left = rest - offset;
        LLVMValueRef mask = NULL;
        if (left < pass->width) mask = tail_mask(pass->emitter, v_i64(&pass->emitter->code, left), pass->width);
        if (!pass->kept) {
            Scope scope = vector_scope(pass, start, offset, mask);
            accumulate(pass, &scope, k);
            continue;
        }
        if (!pass->kept[k].kernel) pass->kept[k] = vector_scope(pass, start, offset, mask);
        accumulate(pass, &pass->kept[k], k);
    }
}

static void open_rest(Pass *pass, LLVMValueRef start, LLVMValueRef rest) {
    const Code *code = &pass->emitter->code;
    for (int k = 0; k * pass->width < pass->step; k++) {
        int64_t offset = (int64_t)k * pass->width;
        LLVMValueRef left = v_subtract(code, rest, v_i64(code, offset));
        Scope scope = vector_scope(pass, start, offset, tail_mask(pass->emitter, left, pass->width));
        accumulate(pass, &scope, k);
    }
}

// Lane l takes up lane l + L/2, then l + L/4, ...; lanes that no element reached (all from `touched` on) add nothing.
static Partial fold_lanes(Pass *pass, int r, int64_t touched) {
    Emitter *emitter = pass->emitter;
    const Code *code = &emitter->code;
    const Reduction *reduction = &pass->reductions[r];
    Partial *partials = pass->partials[r];
    LLVMTypeRef i32 = LLVMInt32TypeInContext(code->context);
    int width = pass->width;
    for (int half = pass->vectors[r] / 2; half >= 1; half /= 2)
        for (int k = 0; k < half && (int64_t)half * width < touched; k++)
            partials[k] = partial_combine(emitter, reduction, partials[k], partials[k + half]);
    Partial total = partials[0];
    for (int half = width / 2; half >= 1; half /= 2) {
        if (half >= touched) continue;
        LLVMValueRef order[64];
        for (int l = 0; l < width; l++) order[l] = LLVMConstInt(i32, (unsigned)((l + half) % width), 0);
        LLVMValueRef mask = LLVMConstVector(order, (unsigned)width);
        Partial upper = {LLVMBuildShuffleVector(code->builder, total.value, total.value, mask, ""), NULL};
        if (total.index) upper.index = LLVMBuildShuffleVector(code->builder, total.index, total.index, mask, "");
        total = partial_combine(emitter, reduction, total, upper);
    }
    if (width == 1) return total;
    LLVMValueRef first = v_i64(code, 0);
    total.value = LLVMBuildExtractElement(code->builder, total.value, first, "");
    if (total.index) total.index = LLVMBuildExtractElement(code->builder, total.index, first, "");
    return total;
}

// The reductions over one chunk of `length` elements (`known`: its length, or -1).
static void reduce_chunk(Pass *pass, LLVMValueRef start, LLVMValueRef length, int64_t known, Partial *results) {
    const Code *code = &pass->emitter->code;
    start_partials(pass);
    if (known < 0) {
        LLVMValueRef rest = LLVMBuildSRem(code->builder, length, v_i64(code, pass->step), "");
        LLVMValueRef whole = v_subtract(code, length, rest);
        whole_steps(pass, start, whole);
        open_rest(pass, v_add(code, start, whole), rest);
    } else {
        int64_t whole = known / pass->step * pass->step;
        if (pass->kept) whole = 0;
        if (whole > pass->step) whole_steps(pass, start, v_i64(code, whole));
        else if (whole) whole_step(pass, start);
        static_rest(pass, v_add(code, start, v_i64(code, whole)), known - whole);
    }
    for (int r = 0; r < pass->reduction_count; r++) results[r] = fold_lanes(pass, r, known < 0 ? ROW_CHUNK : known);
}

static void combine_totals(Pass *pass, Partial *totals, const Partial *chunk) {
    for (int r = 0; r < pass->reduction_count; r++)
        totals[r] = partial_combine(pass->emitter, &pass->reductions[r], totals[r], chunk[r]);
}

// Chunks of a row that may be longer than one.
static void reduce_chunks(Pass *pass, const Extent *extent, Partial *totals) {
    const Code *code = &pass->emitter->code;
    int64_t known = -1, rest_known = -1;
    if (extent_is_constant(extent, &known)) rest_known = known % ROW_CHUNK;
    LLVMValueRef length = extent_value_of(pass->emitter, extent), size = v_i64(code, ROW_CHUNK);
    LLVMValueRef rest = LLVMBuildSRem(code->builder, length, size, "");
    LLVMValueRef whole = v_subtract(code, length, rest), carries[MAX_CARRIES];
    Partial chunk[MAX_REDUCTIONS];
    for (int r = 0; r < pass->reduction_count; r++) totals[r] = partial_start(pass->emitter, &pass->reductions[r], 1);
    int count = partials_to_carries(totals, pass->reduction_count, carries);
    Loop loop = loop_begin(code, "chunks", v_i64(code, 0), whole, size, carries, count);
    partials_from_carries(totals, pass->reduction_count, loop.carries);
    reduce_chunk(pass, loop.index, size, ROW_CHUNK, chunk);
    combine_totals(pass, totals, chunk);
    partials_to_carries(totals, pass->reduction_count, carries);
    loop_end(code, &loop, carries);
    partials_from_carries(totals, pass->reduction_count, loop.carries);
    if (rest_known == 0) return;
    reduce_chunk(pass, whole, rest, rest_known, chunk);
    combine_totals(pass, totals, chunk);
}

static void run_pass(Pass *pass) {
    const Kernel *kernel = pass->outer->kernel;
    const Extent *extent = kernel->axes[pass->row].extent;
    Partial totals[MAX_REDUCTIONS];
    int64_t known;
    pass->reduction_count = reductions_of(kernel, pass->phase, pass->reductions);
    LLVMValueRef zero = v_i64(&pass->emitter->code, 0);
    if (extent_is_constant(extent, &known) && known <= ROW_CHUNK)   // +0 + one chunk is the chunk: it is never -0
        reduce_chunk(pass, zero, NULL, known, totals);
    else reduce_chunks(pass, extent, totals);
    for (int r = 0; r < pass->reduction_count; r++)
        scope_set(pass->outer, pass->reductions[r].instruction,
                  partial_result(pass->emitter, &pass->reductions[r], totals[r]));
}

static int step_of(const Kernel *kernel, int width) {
    int step = 0;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        if (instruction->kind != INSTRUCTION_REDUCE) continue;
        int lanes = row_lanes(kernel->instructions.items[instruction->operands[0]].dtype);
        if (lanes > step) step = lanes;
    }
    return step > width ? step : width;
}

void emit_row(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], row[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    axes_of(kernel, AXIS_ROW, row);
    Nest nest;
    Scope *outer = open_axes(emitter, &nest, kernel, axes, count);
    Pass pass = {.emitter = emitter, .outer = outer, .row = row[0], .width = kernel_lanes(emitter, kernel)};
    pass.step = step_of(kernel, pass.width);
    int64_t extent;
    if (extent_is_constant(kernel->axes[row[0]].extent, &extent) && extent <= pass.step)
        pass.kept = arena_array(emitter->arena, Scope, MAX_VECTORS);
    pass.fetching = kernel_fetching(emitter->program, kernel);
    find_row_values(emitter, outer, pass.row, pass.step, &pass.values);
    uint32_t row_axes = axes_mask(kernel, AXIS_ROW);
    for (pass.phase = 0; pass.phase <= kernel->phase_count; pass.phase++) {
        scope_hoist(emitter, outer);
        scope_spread(emitter, outer, pass.row, pass.width);
        scope_effects(emitter, outer, pass.phase, 0, row_axes);
        if (pass.phase < kernel->phase_count) run_pass(&pass);
    }
    close_axes(emitter, &nest);
}
