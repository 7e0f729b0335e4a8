// Elementwise kernels that read an array across, such as a transpose: what lies side by side in memory lies along
// another axis than the vectors do. Squares of as many rows as a vector has lanes are loaded as they lie and turned in
// registers, which gathers lane by lane are several times slower than. Blocks of squares follow each other so that lines
// and pages of memory are read whole, and are written whole, while a first-level cache has them.
#include "emit/emitter.h"

enum { TURN_BLOCK = 64, LINE_BYTES = 64 };   // elements across that are done before the next along; of a cache

typedef struct {
    Emitter *emitter;
    Scope *outer;
    int across, along, width;               // the axis in which memory is contiguous; the vector axis
    const bool *turned;                     // by instruction: loads that are turned
    LLVMValueRef across_left, along_left;   // elements up to the ends, from where a square begins; NULL: it is whole
} Turn;

static bool is_updated(const Kernel *kernel, const Buffer *buffer) {
    for (int i = 0; i < kernel->instructions.count; i++)
        if (is_effect(&kernel->instructions.items[i]) && kernel->instructions.items[i].buffer == buffer) return true;
    return false;
}

// Whether the load is contiguous along `across` and neither contiguous nor constant along `along`.
static bool is_turned(const Kernel *kernel, const Instruction *load, int across, int along) {
    if (load->kind != INSTRUCTION_LOAD || load->operands[0] >= 0 || load->dtype == DTYPE_BOOL) return false;
    const Extent *stride = load->affine.strides[along];
    if (!extent_is(load->affine.strides[across], 1) || extent_is(stride, 0) || extent_is(stride, 1)) return false;
    return !is_updated(kernel, load->buffer);
}

// Squares pay if they are at least half full.
static bool is_long(const Kernel *kernel, int axis, int width) {
    int64_t extent;
    return !extent_is_constant(kernel->axes[axis].extent, &extent) || 2 * extent >= width;
}

// Finds the axis that most loads are contiguous in; -1: none.
static int find_across(const Kernel *kernel, const int *axes, int count, int width) {
    int best = -1, most = 0, along = axes[count - 1];
    for (int k = 0; k < count - 1; k++) {
        int loads = 0;
        for (int i = 0; i < kernel->instructions.count; i++)
            loads += is_turned(kernel, &kernel->instructions.items[i], axes[k], along);
        if (loads > most && is_long(kernel, axes[k], width)) best = axes[k], most = loads;
    }
    return best;
}

// ---- one square

static LLVMValueRef mask_of(const Turn *turn, LLVMValueRef lanes_left, LLVMValueRef rows_left, int row) {
    if (!lanes_left) return NULL;
    const Code *code = &turn->emitter->code;
    LLVMValueRef within = v_splat(code, v_less(code, v_i64(code, row), rows_left), turn->width);
    return LLVMBuildAnd(code->builder, tail_mask(turn->emitter, lanes_left, turn->width), within, "");
}

// Of two vectors, the blocks of `size` lanes at even places (`odd`: at odd places), alternately.
static LLVMValueRef alternate(const Code *code, LLVMValueRef a, LLVMValueRef b, int size, bool odd) {
    LLVMValueRef order[MAX_SQUARE];
    int width = v_width(a);
    for (int lane = 0; lane < width; lane++) {
        int from = (lane & ~size) | (odd ? size : 0);
        order[lane] =
            LLVMConstInt(LLVMInt32TypeInContext(code->context), (unsigned)(lane & size ? from + width : from), 0);
    }
    return LLVMBuildShuffleVector(code->builder, a, b, LLVMConstVector(order, (unsigned)width), "");
}

// Row r's lane l becomes row l's lane r: first squares of one lane change places, then squares of two, and so on.
void turn_square(const Code *code, LLVMValueRef *rows, int width) {
    for (int size = 1; size < width; size *= 2)
        for (int r = 0; r < width; r++) {
            if (r & size) continue;
            LLVMValueRef a = rows[r], b = rows[r | size];
            rows[r] = alternate(code, a, b, size, false);
            rows[r | size] = alternate(code, a, b, size, true);
        }
}

static Scope square_scope(const Turn *turn, LLVMValueRef across, LLVMValueRef along) {
    Scope scope = scope_inside(turn->emitter, turn->outer);
    scope_bind(&scope, turn->across, across);
    scope_bind(&scope, turn->along, along);
    return scope;
}

// The loads of a square whose first element is at (across, along), for each of its rows' scopes.
static void load_turned(const Turn *turn, int number, LLVMValueRef across, LLVMValueRef along, Scope *scopes) {
    const Code *code = &turn->emitter->code;
    LLVMValueRef rows[MAX_SQUARE];
    for (int r = 0; r < turn->width; r++) {
        Scope scope = square_scope(turn, across, v_add(code, along, v_i64(code, r)));
        scope_vector(&scope, turn->across, turn->width, mask_of(turn, turn->across_left, turn->along_left, r));
        rows[r] = load_value(turn->emitter, &scope, number);
    }
    turn_square(code, rows, turn->width);
    for (int r = 0; r < turn->width; r++) scope_set(&scopes[r], number, rows[r]);
}

static void emit_square(const Turn *turn, LLVMValueRef across, LLVMValueRef along) {
    Emitter *emitter = turn->emitter;
    const Code *code = &emitter->code;
    Scope scopes[MAX_SQUARE];
    for (int r = 0; r < turn->width; r++) {
        // For a row that is not there the last that is: what is loaded for a row as a whole has no mask.
        LLVMValueRef row = v_i64(code, r);
        if (turn->across_left) row = v_minimum(code, row, v_subtract(code, turn->across_left, v_i64(code, 1)));
        scopes[r] = square_scope(turn, v_add(code, across, row), along);
        scope_vector(&scopes[r], turn->along, turn->width, mask_of(turn, turn->along_left, turn->across_left, r));
    }
    for (int i = 0; i < turn->outer->kernel->instructions.count; i++)
        if (turn->turned[i]) load_turned(turn, i, across, along, scopes);
    for (int r = 0; r < turn->width; r++) {
        scope_load_updated(emitter, &scopes[r]);
        scope_effects(emitter, &scopes[r], -1, 0, 0);
    }
}

// ---- all squares

static bool is_whole(const Kernel *kernel, int axis, int width) {
    int64_t extent;
    return extent_is_constant(kernel->axes[axis].extent, &extent) && extent % width == 0;
}

// A square that may reach beyond the ends.
static void emit_any_square(Turn *turn, LLVMValueRef across, LLVMValueRef along, Range across_range,
                            Range along_range) {
    const Code *code = &turn->emitter->code;
    const Kernel *kernel = turn->outer->kernel;
    LLVMValueRef width = v_i64(code, turn->width);
    if (is_whole(kernel, turn->across, turn->width) && is_whole(kernel, turn->along, turn->width)) {
        emit_square(turn, across, along);
        return;
    }
    LLVMValueRef across_left = v_subtract(code, across_range.limit, across);
    LLVMValueRef along_left = v_subtract(code, along_range.limit, along);
    LLVMBasicBlockRef whole = b_new(code, "whole"), part = b_new(code, "part"), join = b_new(code, "join");
    LLVMBuildCondBr(code->builder, v_less(code, v_minimum(code, across_left, along_left), width), part, whole);
    b_go(code, whole);
    emit_square(turn, across, along);
    LLVMBuildBr(code->builder, join);
    b_go(code, part);
    turn->across_left = across_left;
    turn->along_left = along_left;
    emit_square(turn, across, along);
    turn->across_left = turn->along_left = NULL;
    LLVMBuildBr(code->builder, join);
    b_go(code, join);
}

static void emit_squares(Turn *turn) {
    Emitter *emitter = turn->emitter;
    const Code *code = &emitter->code;
    const Kernel *kernel = turn->outer->kernel;
    LLVMValueRef block_size = v_i64(code, TURN_BLOCK), width = v_i64(code, turn->width);
    int64_t lane = emitter->target->vector_bytes / turn->width;
    LLVMValueRef line = v_i64(code, LINE_BYTES / lane);   // all of a line is stored before the next
    Range across = axis_range(emitter, kernel, turn->across, TURN_BLOCK);
    Range along = axis_range(emitter, kernel, turn->along, TURN_BLOCK);
    Loop blocks = loop_begin(code, "blocks", across.start, across.limit, block_size, NULL, 0);
    LLVMValueRef limit = v_minimum(code, v_add(code, blocks.index, block_size), across.limit);
    Loop lines = loop_begin(code, "lines", along.start, along.limit, line, NULL, 0);
    LLVMValueRef line_end = v_minimum(code, v_add(code, lines.index, line), along.limit);
    Loop squares = loop_begin(code, "squares", blocks.index, limit, width, NULL, 0);
    Loop vectors = loop_begin(code, "vectors", lines.index, line_end, width, NULL, 0);
    emit_any_square(turn, squares.index, vectors.index, across, along);
    loop_end(code, &vectors, NULL);
    loop_end(code, &squares, NULL);
    loop_end(code, &lines, NULL);
    loop_end(code, &blocks, NULL);
}

// The array that says which loads are turned; NULL: none along this axis.
static const bool *find_turned(Emitter *emitter, const Kernel *kernel, int across, int along, int width) {
    bool *turned = arena_array(emitter->arena, bool, kernel->instructions.count + 1), any = false;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *load = &kernel->instructions.items[i];
        turned[i] =
            is_turned(kernel, load, across, along) && dtype_size(load->dtype) * width <= emitter->target->vector_bytes;
        any = any || turned[i];
    }
    return any ? turned : NULL;
}

bool emit_turned(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], rest[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes), rest_count = 0;
    Turn turn = {.emitter = emitter, .width = kernel_lanes(emitter, kernel)};
    if (count < 2 || turn.width < 2 || turn.width > MAX_SQUARE) return false;
    turn.along = axes[count - 1];
    turn.across = find_across(kernel, axes, count, turn.width);
    if (turn.across < 0 || !is_long(kernel, turn.along, turn.width)) return false;
    turn.turned = find_turned(emitter, kernel, turn.across, turn.along, turn.width);
    if (!turn.turned) return false;
    for (int i = 0; i < count; i++)
        if (axes[i] != turn.across && axes[i] != turn.along) rest[rest_count++] = axes[i];
    Nest nest;
    turn.outer = open_axes(emitter, &nest, kernel, rest, rest_count);
    scope_hoist(emitter, turn.outer);
    bool streams = emitter->streams;
    emitter->streams = streams && emitter->target->vector_bytes == LINE_BYTES;   // parts of lines would go out alone
    scope_spread(emitter, turn.outer, turn.along, turn.width);
    emit_squares(&turn);
    emitter->streams = streams;
    close_axes(emitter, &nest);
    return true;
}
