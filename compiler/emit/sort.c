// The order of a row's elements: places 0, 1, ... and their keys beside them are merged, in rounds, to runs of 2, 4, 8, ...
// that are in order. A place comes before another by its key, and among equal keys by itself, since runs are merged from
// the left. No branch depends on a key. The rounds write from one of two rows to the other; if the last wrote to the
// wrong one its places are copied.
#include "emit/emitter.h"

#include <assert.h>

typedef struct {
    Emitter *emitter;
    const Code *code;
    Scope *outer;    // all but the row's axis are bound
    int row, keys;   // the axis, and the instruction that gives the key of a place
    Dtype dtype;
    bool descending;
    LLVMValueRef count;
} Sort;

// A row of places, and one of their keys.
typedef struct {
    LLVMValueRef places, keys;
} Row;

static LLVMValueRef place_pointer(const Sort *sort, LLVMValueRef places, LLVMValueRef at) {
    return LLVMBuildGEP2(sort->code->builder, v_i64_type(sort->code), places, &at, 1, "");
}

static LLVMValueRef load_place(const Sort *sort, LLVMValueRef places, LLVMValueRef at) {
    return LLVMBuildLoad2(sort->code->builder, v_i64_type(sort->code), place_pointer(sort, places, at), "");
}

static void store_place(const Sort *sort, LLVMValueRef places, LLVMValueRef at, LLVMValueRef place) {
    LLVMBuildStore(sort->code->builder, place, place_pointer(sort, places, at));
}

static LLVMValueRef key_pointer(const Sort *sort, LLVMValueRef keys, LLVMValueRef at) {
    return LLVMBuildGEP2(sort->code->builder, v_scalar_type(sort->code, sort->dtype), keys, &at, 1, "");
}

static LLVMValueRef load_key(const Sort *sort, LLVMValueRef keys, LLVMValueRef at) {
    LLVMTypeRef type = v_scalar_type(sort->code, sort->dtype);
    return LLVMBuildLoad2(sort->code->builder, type, key_pointer(sort, keys, at), "");
}

static void store_key(const Sort *sort, LLVMValueRef keys, LLVMValueRef at, LLVMValueRef key) {
    LLVMBuildStore(sort->code->builder, key, key_pointer(sort, keys, at));
}

// Does key b come before key a, which stands before it? A NaN is larger than all numbers.
static LLVMValueRef comes_before(const Sort *sort, LLVMValueRef b, LLVMValueRef a) {
    LLVMBuilderRef builder = sort->code->builder;
    LLVMValueRef low = sort->descending ? a : b, high = sort->descending ? b : a;
    if (!dtype_is_float(sort->dtype)) return LLVMBuildICmp(builder, LLVMIntSLT, low, high, "");
    LLVMValueRef less = LLVMBuildFCmp(builder, LLVMRealOLT, low, high, "");
    LLVMValueRef is_nan = LLVMBuildFCmp(builder, LLVMRealUNO, high, high, "");
    LLVMValueRef is_number = LLVMBuildFCmp(builder, LLVMRealORD, low, low, "");
    return LLVMBuildOr(builder, less, LLVMBuildAnd(builder, is_nan, is_number, ""), "");
}

static LLVMValueRef one_if(const Sort *sort, LLVMValueRef condition) {
    return LLVMBuildZExt(sort->code->builder, condition, v_i64_type(sort->code), "");
}

// Merges the runs [start, middle) and [middle, end) of `from`. An empty run is read at its begin, or at the row's last
// place, and not taken.
static void merge_runs(const Sort *sort, Row from, Row to, LLVMValueRef start, LLVMValueRef middle, LLVMValueRef end) {
    const Code *code = sort->code;
    LLVMValueRef one = v_i64(code, 1), last = v_subtract(code, sort->count, one);
    LLVMValueRef firsts[] = {start, middle};
    Loop loop = loop_begin(code, "merge", start, end, one, firsts, 2);
    LLVMValueRef left = loop.carries[0], right = loop.carries[1];
    LLVMValueRef left_at = v_minimum(code, left, last), right_at = v_minimum(code, right, last);
    LLVMValueRef a = load_key(sort, from.keys, left_at), b = load_key(sort, from.keys, right_at);
    LLVMValueRef before = comes_before(sort, b, a);
    LLVMValueRef left_ends = LLVMBuildICmp(code->builder, LLVMIntSGE, left, middle, "");
    LLVMValueRef takes = LLVMBuildAnd(code->builder, v_less(code, right, end), before, "");
    takes = LLVMBuildOr(code->builder, left_ends, takes, "");
    LLVMValueRef place = load_place(sort, from.places, v_select(code, takes, right_at, left_at));
    store_place(sort, to.places, loop.index, place);
    store_key(sort, to.keys, loop.index, v_select(code, takes, b, a));
    LLVMValueRef step = one_if(sort, takes);
    LLVMValueRef next[] = {v_add(code, left, v_subtract(code, one, step)), v_add(code, right, step)};
    loop_end(code, &loop, next);
}

static void merge_round(const Sort *sort, Row from, Row to, LLVMValueRef width) {
    const Code *code = sort->code;
    Loop loop = loop_begin(code, "runs", v_i64(code, 0), sort->count, v_add(code, width, width), NULL, 0);
    LLVMValueRef middle = v_minimum(code, v_add(code, loop.index, width), sort->count);
    LLVMValueRef end = v_minimum(code, v_add(code, middle, width), sort->count);
    merge_runs(sort, from, to, loop.index, middle, end);
    loop_end(code, &loop, NULL);
}

// The rounds that a row takes: the logarithm of its length, rounded up.
static LLVMValueRef round_count(const Sort *sort) {
    const Code *code = sort->code;
    LLVMTypeRef type = v_i64_type(code);
    LLVMValueRef less = v_subtract(code, sort->count, v_i64(code, 1));
    LLVMValueRef arguments[] = {less, LLVMConstNull(LLVMInt1TypeInContext(code->context))};
    LLVMValueRef zeros = v_intrinsic(code, "llvm.ctlz", &type, 1, arguments, 2);
    LLVMValueRef several = v_less(code, v_i64(code, 0), less);
    return v_select(code, several, v_subtract(code, v_i64(code, 64), zeros), v_i64(code, 0));
}

// Places in order of their own, and each one's key.
static void fill_row(const Sort *sort, Row row) {
    const Code *code = sort->code;
    Loop loop = loop_begin(code, "places", v_i64(code, 0), sort->count, v_i64(code, 1), NULL, 0);
    Scope scope = scope_inside(sort->emitter, sort->outer);
    scope_bind(&scope, sort->row, loop.index);
    store_place(sort, row.places, loop.index, loop.index);
    store_key(sort, row.keys, loop.index, scope_value(sort->emitter, &scope, sort->keys));
    loop_end(code, &loop, NULL);
}

static void sort_row(const Sort *sort, Row row, Row other) {
    const Code *code = sort->code;
    LLVMValueRef zero = v_i64(code, 0), one = v_i64(code, 1);
    fill_row(sort, row);
    LLVMValueRef rounds = round_count(sort), firsts[] = {one, row.places, row.keys, other.places, other.keys};
    Loop loop = loop_begin(code, "rounds", zero, rounds, one, firsts, 5);
    LLVMValueRef width = loop.carries[0];
    Row from = {loop.carries[1], loop.carries[2]}, to = {loop.carries[3], loop.carries[4]};
    merge_round(sort, from, to, width);
    LLVMValueRef next[] = {v_add(code, width, width), to.places, to.keys, from.places, from.keys};
    loop_end(code, &loop, next);
    LLVMValueRef odd = LLVMBuildAnd(code->builder, rounds, one, "");
    Branch elsewhere = b_if(code, LLVMBuildICmp(code->builder, LLVMIntNE, odd, zero, ""));
    Loop copy = loop_begin(code, "copy", zero, sort->count, one, NULL, 0);
    store_place(sort, row.places, copy.index, load_place(sort, other.places, copy.index));
    loop_end(code, &copy, NULL);
    b_join(code, elsewhere);
}

void emit_sort(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], rows[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes), number = 0;
    axes_of(kernel, AXIS_ROW, rows);
    while (kernel->instructions.items[number].kind != INSTRUCTION_SORT) number++;
    const Instruction *instruction = &kernel->instructions.items[number];
    Nest nest;
    Scope *outer = open_axes(emitter, &nest, kernel, axes, count);
    scope_hoist(emitter, outer);
    Scope first = scope_inside(emitter, outer);
    scope_bind(&first, rows[0], v_i64(&emitter->code, 0));
    Sort sort = {.emitter = emitter, .code = &emitter->code, .outer = outer, .row = rows[0]};
    sort.keys = instruction->operands[0];
    sort.dtype = kernel->instructions.items[sort.keys].dtype;
    sort.descending = instruction->scalar.integer != 0;
    sort.count = extent_value_of(emitter, kernel->axes[rows[0]].extent);
    LLVMValueRef room = own_copy(emitter, kernel->pack), twice = v_add(&emitter->code, sort.count, sort.count);
    Row row = {access_pointer(emitter, &first, number), place_pointer(&sort, room, sort.count)};
    Row other = {room, place_pointer(&sort, room, twice)};
    assert(extent_is(instruction->affine.strides[rows[0]], 1));
    sort_row(&sort, row, other);
    close_axes(emitter, &nest);
}
