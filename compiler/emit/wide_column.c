// Column kernels with more columns than registers hold: memory is read row by row, as it lies, and each column's running
// reduction waits in a row on the stack. Some rows are taken at once, so that an accumulator is loaded and stored once
// for all of them. Each column still combines its own elements in order, chunk by chunk (graph/order.h).
#include "emit/lanes.h"
#include "emit/row_values.h"
#include "graph/order.h"

#include <assert.h>

enum { ROWS_AT_ONCE = 4, LEAST_ROWS = 32, SHORT_KERNEL = 16 };

typedef struct {
    Emitter *emitter;
    Scope *outer;
    int columns[MAX_AXES], column_count, vector_axis, width;
    int rows;   // at once
    int reduction_count;
    Reduction reductions[MAX_REDUCTIONS];
    LLVMValueRef chunk[MAX_REDUCTIONS], totals[MAX_REDUCTIONS];   // rows of accumulators
    LLVMValueRef first, limit;                                    // the columns at hand: a block
} Wide;

static int64_t column_bytes(const Wide *wide) {
    int64_t bytes = 0;
    for (int r = 0; r < wide->reduction_count; r++) bytes += 2 * dtype_size(wide->reductions[r].dtype);
    return bytes;
}

// Columns of a block: the rows of accumulators fill the room on the stack.
static int64_t block_of(const Wide *wide) {
    int64_t columns = MAX_ROW_BYTES / column_bytes(wide);
    return columns / wide->width * wide->width;
}

static void place_accumulators(Wide *wide) {
    int64_t byte = 0, block = block_of(wide);
    for (int r = 0; r < wide->reduction_count; r++) {
        int64_t bytes = block * dtype_size(wide->reductions[r].dtype);
        wide->chunk[r] = row_at(wide->emitter, byte);
        wide->totals[r] = row_at(wide->emitter, byte + bytes);
        byte += 2 * bytes;
    }
}

// ---- accumulators of a vector of columns

static LLVMValueRef place_of(const Wide *wide, const Reduction *reduction, LLVMValueRef row, LLVMValueRef column) {
    const Code *code = &wide->emitter->code;
    LLVMValueRef index = v_subtract(code, column, wide->first);
    return LLVMBuildGEP2(code->builder, v_memory_type(code, reduction->dtype), row, &index, 1, "");
}

static Partial load_partial(const Wide *wide, const Reduction *reduction, LLVMValueRef row, LLVMValueRef column) {
    const Code *code = &wide->emitter->code;
    LLVMTypeRef type = v_type(code, reduction->dtype, wide->width);
    LLVMValueRef value = LLVMBuildLoad2(code->builder, type, place_of(wide, reduction, row, column), "");
    LLVMSetAlignment(value, (unsigned)dtype_size(reduction->dtype));
    return (Partial){value, NULL};
}

static void store_partial(const Wide *wide, const Reduction *reduction, LLVMValueRef row, LLVMValueRef column,
                          Partial partial) {
    LLVMValueRef place = place_of(wide, reduction, row, column);
    LLVMValueRef store = LLVMBuildStore(wide->emitter->code.builder, partial.value, place);
    LLVMSetAlignment(store, (unsigned)dtype_size(reduction->dtype));
}

// ---- loops over the vectors of a block

typedef void VisitColumns(const Wide *wide, LLVMValueRef column, LLVMValueRef mask, void *context);

static void walk_block(const Wide *wide, VisitColumns *visit, void *context) {
    Emitter *emitter = wide->emitter;
    const Code *code = &emitter->code;
    LLVMValueRef width = v_i64(code, wide->width);
    LLVMValueRef rest = LLVMBuildSRem(code->builder, v_subtract(code, wide->limit, wide->first), width, "");
    LLVMValueRef whole = v_subtract(code, wide->limit, rest);
    Loop loop = loop_begin(code, "columns", wide->first, whole, width, NULL, 0);
    visit(wide, loop.index, NULL, context);
    loop_end(code, &loop, NULL);
    int64_t extent;
    const Axis *axis = &wide->outer->kernel->axes[wide->vector_axis];
    if (extent_is_constant(axis->extent, &extent) && extent % wide->width == 0) return;
    Branch tail = b_if(code, v_less(code, v_i64(code, 0), rest));
    visit(wide, whole, tail_mask(emitter, rest, wide->width), context);
    b_join(code, tail);
}

static void start_chunk(const Wide *wide, LLVMValueRef column, LLVMValueRef mask, void *rows) {
    (void)mask;
    for (int r = 0; r < wide->reduction_count; r++)
        store_partial(wide, &wide->reductions[r], ((LLVMValueRef *)rows)[r], column,
                      partial_start(wide->emitter, &wide->reductions[r], wide->width));
}

static void end_chunk(const Wide *wide, LLVMValueRef column, LLVMValueRef mask, void *context) {
    (void)mask, (void)context;
    for (int r = 0; r < wide->reduction_count; r++) {
        const Reduction *reduction = &wide->reductions[r];
        Partial total = load_partial(wide, reduction, wide->totals[r], column);
        Partial chunk = load_partial(wide, reduction, wide->chunk[r], column);
        store_partial(wide, reduction, wide->totals[r], column,
                      partial_combine(wide->emitter, reduction, total, chunk));
    }
}

static Scope column_scope(const Wide *wide, Scope *parent, LLVMValueRef column, LLVMValueRef mask) {
    Scope scope = scope_inside(wide->emitter, parent);
    scope_bind(&scope, wide->vector_axis, column);
    scope_vector(&scope, wide->vector_axis, wide->width, mask);
    return scope;
}

static void store_results(const Wide *wide, LLVMValueRef column, LLVMValueRef mask, void *context) {
    (void)context;
    Scope scope = column_scope(wide, wide->outer, column, mask);
    for (int r = 0; r < wide->reduction_count; r++) {
        Partial total = load_partial(wide, &wide->reductions[r], wide->totals[r], column);
        scope_set(&scope, wide->reductions[r].instruction, partial_result(wide->emitter, &wide->reductions[r], total));
    }
    scope_effects(wide->emitter, &scope, -1, 0, axes_mask(scope.kernel, AXIS_COLUMN));
}

// ---- rows

typedef struct {
    Scope *rows;
    int count;
} Group;

static void add_rows(const Wide *wide, LLVMValueRef column, LLVMValueRef mask, void *context) {
    const Group *group = context;
    Partial partials[MAX_REDUCTIONS];
    for (int r = 0; r < wide->reduction_count; r++)
        partials[r] = load_partial(wide, &wide->reductions[r], wide->chunk[r], column);
    for (int i = 0; i < group->count; i++) {
        Scope scope = column_scope(wide, &group->rows[i], column, mask);
        for (int r = 0; r < wide->reduction_count; r++) {
            const Reduction *reduction = &wide->reductions[r];
            LLVMValueRef value = scope_value(wide->emitter, &scope, reduction->operand);
            Partial element = partial_of(wide->emitter, reduction, value, NULL);
            partials[r] = partial_combine(wide->emitter, reduction, partials[r], element);
        }
        scope_effects(wide->emitter, &scope, 0, axes_mask(scope.kernel, AXIS_COLUMN), 0);
    }
    for (int r = 0; r < wide->reduction_count; r++)
        store_partial(wide, &wide->reductions[r], wide->chunk[r], column, partials[r]);
}

// Rows [start, limit), a multiple of `count`.
static void walk_rows(const Wide *wide, LLVMValueRef start, LLVMValueRef limit, int count) {
    const Code *code = &wide->emitter->code;
    Scope rows[ROWS_AT_ONCE];
    Loop loop = loop_begin(code, "rows", start, limit, v_i64(code, count), NULL, 0);
    for (int i = 0; i < count; i++) {
        rows[i] = scope_inside(wide->emitter, wide->outer);
        bind_columns(wide->emitter, &rows[i], wide->columns, wide->column_count,
                     v_add(code, loop.index, v_i64(code, i)));
        scope_hoist(wide->emitter, &rows[i]);
        scope_spread(wide->emitter, &rows[i], wide->vector_axis, wide->width);
    }
    walk_block(wide, add_rows, &(Group){rows, count});
    loop_end(code, &loop, NULL);
}

static void walk_chunks(const Wide *wide, const Extent *rows) {
    const Code *code = &wide->emitter->code;
    LLVMValueRef size = v_i64(code, SEQUENTIAL_CHUNK), length = extent_value_of(wide->emitter, rows);
    walk_block(wide, start_chunk, (void *)wide->totals);
    Loop loop = loop_begin(code, "chunks", v_i64(code, 0), length, size, NULL, 0);
    LLVMValueRef limit = v_minimum(code, v_add(code, loop.index, size), length);
    walk_block(wide, start_chunk, (void *)wide->chunk);
    LLVMValueRef rest = LLVMBuildSRem(code->builder, v_subtract(code, limit, loop.index), v_i64(code, wide->rows), "");
    LLVMValueRef whole = v_subtract(code, limit, rest);
    walk_rows(wide, loop.index, whole, wide->rows);
    int64_t known;
    bool even = extent_is_constant(rows, &known) && known % wide->rows == 0;
    if (wide->rows > 1 && !even) walk_rows(wide, whole, limit, 1);
    walk_block(wide, end_chunk, NULL);
    loop_end(code, &loop, NULL);
}

static void walk_blocks(Wide *wide, const Extent *rows) {
    const Code *code = &wide->emitter->code;
    Range range = axis_range(wide->emitter, wide->outer->kernel, wide->vector_axis, SPLIT_ELEMENTS);
    LLVMValueRef size = v_i64(code, block_of(wide));
    Loop loop = loop_begin(code, "blocks", range.start, range.limit, size, NULL, 0);
    wide->first = loop.index;
    wide->limit = v_minimum(code, v_add(code, loop.index, size), range.limit);
    walk_chunks(wide, rows);
    walk_block(wide, store_results, NULL);
    loop_end(code, &loop, NULL);
}

// One pass, over values alone, of enough rows, whose columns do not fit `group` vectors.
static bool is_wide(const Wide *wide, const Kernel *kernel, int group) {
    int64_t extent;
    if (extent_is_constant(column_length(wide->emitter, kernel), &extent) && extent < LEAST_ROWS) return false;
    if (kernel->phase_count != 1 || wide->vector_axis < 0 || wide->width == 1) return false;
    for (int r = 0; r < wide->reduction_count; r++)
        if (is_argmax(&wide->reductions[r]) || wide->reductions[r].dtype == DTYPE_BOOL) return false;
    return !extent_is_constant(kernel->axes[wide->vector_axis].extent, &extent) ||
           extent > (int64_t)group * wide->width;
}

bool emit_wide_column(Emitter *emitter, const Kernel *kernel, int group) {
    int axes[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    Wide wide = {.emitter = emitter, .width = kernel_lanes(emitter, kernel)};
    wide.vector_axis = count ? axes[count - 1] : -1;
    wide.reduction_count = reductions_of(kernel, 0, wide.reductions);
    if (!is_wide(&wide, kernel, group)) return false;
    wide.column_count = axes_of(kernel, AXIS_COLUMN, wide.columns);
    wide.rows = kernel->instructions.count <= SHORT_KERNEL ? ROWS_AT_ONCE : 1;
    Nest nest;
    wide.outer = open_axes(emitter, &nest, kernel, axes, count - 1);
    scope_hoist(emitter, wide.outer);
    place_accumulators(&wide);
    walk_blocks(&wide, column_length(emitter, kernel));
    close_axes(emitter, &nest);
    return true;
}
