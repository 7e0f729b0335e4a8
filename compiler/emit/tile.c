// A contraction's register tiles: some rows of the left operand times a panel's columns, and what follows at the store.
//
// Order of S10: chunks of SEQUENTIAL_CHUNK products, each an fma chain from +0, ascending; the chunks' sums are added in
// order to a total that starts at +0.
#include "emit/emitter.h"
#include "graph/order.h"

#include <assert.h>

enum { MAX_TILE_ROWS = 24, EPILOGUE_INSTRUCTIONS = 64 };
// What is fetched ahead: by how many k, for how many rows at least, of how large an operand.
enum { AHEAD = 6, AHEAD_ROWS = 4, AHEAD_ELEMENTS = 1 << 15, LINE_BYTES = 64 };

typedef struct {
    Emitter *emitter;
    const Product *product;
    Scope *columns;   // one scope for each vector of columns
    int column_count, width;
    int rows;
    LLVMValueRef first;   // row
    LLVMValueRef valid;   // how many rows are left; NULL: enough
    Scope row_scopes[MAX_TILE_ROWS];
    LLVMValueRef row_pointers[MAX_TILE_ROWS];
    LLVMValueRef block;   // of packed rows; NULL: they are not
} Tile;

// ---- operands

// How far along m a row is from the first, at most as far as the last that is there.
static LLVMValueRef row_index(const Tile *tile, int row) {
    const Code *code = &tile->emitter->code;
    LLVMValueRef offset = v_i64(code, row / tile->product->inner_rows);
    if (tile->valid) offset = v_minimum(code, offset, v_subtract(code, tile->valid, v_i64(code, 1)));
    return offset;
}

static const Instruction *left_load(const Product *product) {
    return &product->kernel->instructions.items[product->left];
}

static void bind_row(Scope *scope, const Product *product, LLVMValueRef row, LLVMValueRef inner) {
    scope_bind(scope, product->m, row);
    if (product->inner >= 0) scope_bind(scope, product->inner, inner);
}

// Addresses of the rows' first elements, or scopes that compute them.
static void open_rows(Tile *tile) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    tile->block = product->blocks ? block_pointer(tile->emitter, product, tile->first) : NULL;
    if (tile->block) return;
    LLVMTypeRef type = v_memory_type(code, product->dtype);
    Scope first = scope_inside(tile->emitter, product->outer);
    bind_row(&first, product, tile->first, v_i64(code, 0));
    for (int i = 0; i < tile->rows; i++) {
        LLVMValueRef offset = row_index(tile, i), inner = v_i64(code, i % product->inner_rows);
        if (product->plain_left) {
            const Affine *affine = &left_load(product)->affine;
            LLVMValueRef pointer = access_pointer(tile->emitter, &first, product->left);
            offset = v_multiply(code, offset, extent_value_of(tile->emitter, affine->strides[product->m]));
            if (product->inner >= 0) {
                inner = v_multiply(code, inner, extent_value_of(tile->emitter, affine->strides[product->inner]));
                offset = v_add(code, offset, inner);
            }
            tile->row_pointers[i] = LLVMBuildGEP2(code->builder, type, pointer, &offset, 1, "");
        } else {
            tile->row_scopes[i] = scope_inside(tile->emitter, product->outer);
            bind_row(&tile->row_scopes[i], product, v_add(code, tile->first, offset), inner);
            scope_hoist(tile->emitter, &tile->row_scopes[i]);
        }
    }
}

// `offset`: of a plain left operand's element here.
static LLVMValueRef left_value(Tile *tile, int row, const SummedLoop *summed, LLVMValueRef offset) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    LLVMValueRef value;
    if (tile->block) {
        int stride = block_stride(product, tile->width);
        LLVMValueRef at = v_multiply(code, summed->loop.index, v_i64(code, stride));
        at = v_add(code, at, v_i64(code, row));
        LLVMTypeRef type = v_scalar_type(code, product->dtype);
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, tile->block, &at, 1, "");
        value = LLVMBuildLoad2(code->builder, type, pointer, "");
        LLVMSetAlignment(value, (unsigned)dtype_size(product->dtype));
    } else if (product->plain_left) {
        LLVMTypeRef type = v_memory_type(code, product->dtype);
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, tile->row_pointers[row], &offset, 1, "");
        value = LLVMBuildLoad2(code->builder, type, pointer, "");
        LLVMSetAlignment(value, (unsigned)dtype_size(product->dtype));
    } else {
        Scope scope = scope_inside(tile->emitter, &tile->row_scopes[row]);
        summed_bind(product, summed, &scope);
        value = scope_value(tile->emitter, &scope, product->left);
    }
    return v_splat(code, value, tile->width);
}

// Whether operand 1, read where it lies, is more than a first-level cache holds, and rows are as many as give the time to
// fetch it ahead. Processors do that by themselves within a page, but k by k the tile goes from one to the next.
static bool fetches_ahead(const Tile *tile) {
    const Product *product = tile->product;
    const Instruction *load = &product->kernel->instructions.items[product->right];
    int64_t columns, summed;
    bool plain = load->kind == INSTRUCTION_LOAD && load->operands[0] < 0;
    if (!plain || product->panel || product->k_count != 1 || tile->rows < AHEAD_ROWS) return false;
    bool known = extent_is_constant(product->kernel->axes[product->n].extent, &columns) &&
                 extent_is_constant(product->summed, &summed);
    return known && (double)columns * (double)summed >= AHEAD_ELEMENTS &&
           extent_is(load->affine.strides[product->n], 1) && !extent_is(load->affine.strides[product->k[0]], 0);
}

static void fetch_right(Tile *tile, Scope *scope, int column) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    if (column * tile->width * (int)dtype_size(product->dtype) % LINE_BYTES) return;   // the line is there already
    const Affine *affine = &product->kernel->instructions.items[product->right].affine;
    LLVMValueRef pointer = access_pointer(tile->emitter, scope, product->right);
    LLVMValueRef distance = extent_value_of(tile->emitter, affine->strides[product->k[0]]);
    distance = v_multiply(code, distance, v_i64(code, AHEAD));
    v_prefetch(code, LLVMBuildGEP2(code->builder, v_memory_type(code, product->dtype), pointer, &distance, 1, ""),
               CACHE_NEAR);
}

static LLVMValueRef right_value(Tile *tile, int column, const SummedLoop *summed) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    if (!product->panel) {
        Scope scope = scope_inside(tile->emitter, &tile->columns[column]);
        summed_bind(product, summed, &scope);
        if (fetches_ahead(tile)) fetch_right(tile, &scope, column);
        return scope_value(tile->emitter, &scope, product->right);
    }
    LLVMTypeRef type = v_type(code, product->dtype, tile->width);
    LLVMValueRef at = v_multiply(code, summed->loop.index, v_i64(code, tile->column_count));
    at = v_add(code, at, v_i64(code, column));
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, product->panel, &at, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(code->builder, type, pointer, "");
    LLVMSetAlignment(value, (unsigned)dtype_size(product->dtype));
    return value;
}

// ---- sums

static LLVMValueRef multiply_add(const Tile *tile, LLVMValueRef x, LLVMValueRef y, LLVMValueRef sum) {
    const Code *code = &tile->emitter->code;
    if (dtype_is_float(tile->product->dtype)) return v_fma(code, x, y, sum);
    return v_add(code, v_multiply(code, x, y), sum);
}

static LLVMValueRef plus(const Tile *tile, LLVMValueRef a, LLVMValueRef b) {
    LLVMBuilderRef builder = tile->emitter->code.builder;
    return dtype_is_float(tile->product->dtype) ? LLVMBuildFAdd(builder, a, b, "") : LLVMBuildAdd(builder, a, b, "");
}

static LLVMValueRef zero_of(const Tile *tile) {
    return LLVMConstNull(v_type(&tile->emitter->code, tile->product->dtype, tile->width));
}

// One product more for each sum of the tile.
static void add_products(Tile *tile, const SummedLoop *summed, const LLVMValueRef *right, LLVMValueRef *sums) {
    const Product *product = tile->product;
    LLVMValueRef offset = NULL;
    if (product->plain_left && !tile->block) offset = summed_offset(tile->emitter, product, summed, product->left);
    for (int i = 0; i < tile->rows; i++) {
        LLVMValueRef left = left_value(tile, i, summed, offset);
        for (int j = 0; j < tile->column_count; j++) {
            int at = i * tile->column_count + j;
            sums[at] = multiply_add(tile, left, right[j], sums[at]);
        }
    }
}

// Products [start, limit), added to the sums.
static void sum_products_between(Tile *tile, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef *sums) {
    const Product *product = tile->product;
    int count = tile->rows * tile->column_count;
    SummedLoop summed;
    summed_begin(tile->emitter, product, &summed, "k", start, limit, sums, count);
    LLVMValueRef right[MAX_GROUP];
    for (int j = 0; j < tile->column_count; j++) right[j] = right_value(tile, j, &summed);
    for (int i = 0; i < count; i++) sums[i] = summed.loop.carries[i];
    add_products(tile, &summed, right, sums);
    summed_end(tile->emitter, product, &summed, sums);
    for (int i = 0; i < count; i++) sums[i] = summed.loop.carries[i];
}

// As many products of those in [start, limit) as fill squares of operand 1, added to the sums; returns where they end.
static LLVMValueRef sum_squares(Tile *tile, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef *sums) {
    const Code *code = &tile->emitter->code;
    LLVMValueRef rows[MAX_SQUARE], values[MAX_SQUARE], size = v_i64(code, tile->width);
    LLVMValueRef rest = LLVMBuildSRem(code->builder, v_subtract(code, limit, start), size, "");
    limit = v_subtract(code, limit, rest);
    open_square(tile->emitter, tile->product, &tile->columns[0], rows);
    Loop loop = loop_begin(code, "squares", start, limit, size, sums, tile->rows);
    load_square(tile->emitter, tile->product, rows, loop.index, values);
    for (int i = 0; i < tile->rows; i++) sums[i] = loop.carries[i];
    for (int lane = 0; lane < tile->width; lane++) {
        SummedLoop at = {.loop = loop};
        at.index[0] = at.loop.index = v_add(code, loop.index, v_i64(code, lane));
        add_products(tile, &at, &values[lane], sums);
    }
    loop_end(code, &loop, sums);
    for (int i = 0; i < tile->rows; i++) sums[i] = loop.carries[i];
    return limit;
}

// Products [start, limit), summed from +0.
static void sum_chunk(Tile *tile, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef *sums) {
    int64_t known;
    for (int i = 0; i < tile->rows * tile->column_count; i++) sums[i] = zero_of(tile);
    if (tile->product->squares) start = sum_squares(tile, start, limit, sums);
    bool whole = extent_is_constant(tile->product->summed, &known) && known % tile->width == 0;   // as chunks are
    if (!tile->product->squares || !whole) sum_products_between(tile, start, limit, sums);
}

static LLVMValueRef total_pointer(const Tile *tile, int index) {
    const Code *code = &tile->emitter->code;
    LLVMValueRef at = v_i64(code, index);
    LLVMTypeRef type = v_type(code, tile->product->dtype, tile->width);
    return LLVMBuildGEP2(code->builder, type, tile->product->totals, &at, 1, "");
}

static LLVMValueRef load_total(const Tile *tile, int index) {
    LLVMTypeRef type = v_type(&tile->emitter->code, tile->product->dtype, tile->width);
    return LLVMBuildLoad2(tile->emitter->code.builder, type, total_pointer(tile, index), "");
}

static void store_total(const Tile *tile, int index, LLVMValueRef value) {
    LLVMBuildStore(tile->emitter->code.builder, value, total_pointer(tile, index));
}

// The totals wait in memory while a chunk uses all registers.
static void sum_chunks(Tile *tile, LLVMValueRef length, LLVMValueRef *sums) {
    const Code *code = &tile->emitter->code;
    int count = tile->rows * tile->column_count;
    for (int i = 0; i < count; i++) store_total(tile, i, zero_of(tile));
    LLVMValueRef size = v_i64(code, SEQUENTIAL_CHUNK);
    Loop loop = loop_begin(code, "chunks", v_i64(code, 0), length, size, NULL, 0);
    sum_chunk(tile, loop.index, v_minimum(code, v_add(code, loop.index, size), length), sums);
    for (int i = 0; i < count; i++) store_total(tile, i, plus(tile, load_total(tile, i), sums[i]));
    loop_end(code, &loop, NULL);
}

// The tile's totals: in memory, and if `sums` is not NULL in registers.
static void sum_products(Tile *tile, LLVMValueRef *sums) {
    const Extent *extent = tile->product->summed;
    LLVMValueRef length = extent_value_of(tile->emitter, extent), chunk[MAX_TILE];
    int count = tile->rows * tile->column_count;
    int64_t known;
    if (!extent_is_constant(extent, &known) || known > SEQUENTIAL_CHUNK) {
        sum_chunks(tile, length, chunk);
        for (int i = 0; sums && i < count; i++) sums[i] = load_total(tile, i);
        return;
    }
    sum_chunk(tile, v_i64(&tile->emitter->code, 0), length, chunk);
    for (int i = 0; i < count; i++) {   // a chunk may be -0, a total never is
        LLVMValueRef total = plus(tile, zero_of(tile), chunk[i]);
        if (sums) sums[i] = total;
        else store_total(tile, i, total);
    }
}

// ---- the epilogue

static void finish_vector(Emitter *emitter, const Product *product, Scope *column, LLVMValueRef row, LLVMValueRef inner,
                          LLVMValueRef sum) {
    Scope scope = scope_inside(emitter, column);
    bind_row(&scope, product, row, inner);
    scope_set(&scope, product->number, sum);
    scope_load_updated(emitter, &scope);
    scope_effects(emitter, &scope, -1, 0, 0);
}

static void epilogue_in_registers(const Tile *tile, const LLVMValueRef *sums) {
    const Code *code = &tile->emitter->code;
    for (int i = 0; i < tile->rows; i++) {
        LLVMValueRef row = v_add(code, tile->first, v_i64(code, i / tile->product->inner_rows));
        LLVMValueRef inner = v_i64(code, i % tile->product->inner_rows);
        for (int j = 0; j < tile->column_count; j++)
            finish_vector(tile->emitter, tile->product, &tile->columns[j], row, inner,
                          sums[i * tile->column_count + j]);
    }
}

static void epilogue_rows(const Tile *tile, LLVMValueRef rows) {
    const Code *code = &tile->emitter->code;
    LLVMTypeRef type = v_type(code, tile->product->dtype, tile->width);
    LLVMValueRef each = v_i64(code, tile->product->inner_rows), all = v_multiply(code, rows, each);
    Loop loop = loop_begin(code, "epilogue", v_i64(code, 0), all, v_i64(code, 1), NULL, 0);
    LLVMValueRef row = v_add(code, tile->first, LLVMBuildUDiv(code->builder, loop.index, each, ""));
    LLVMValueRef inner = LLVMBuildURem(code->builder, loop.index, each, "");
    for (int j = 0; j < tile->column_count; j++) {
        LLVMValueRef at = v_multiply(code, loop.index, v_i64(code, tile->column_count));
        at = v_add(code, at, v_i64(code, j));
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, tile->product->totals, &at, 1, "");
        LLVMValueRef sum = LLVMBuildLoad2(code->builder, type, pointer, "");
        finish_vector(tile->emitter, tile->product, &tile->columns[j], row, inner, sum);
    }
    loop_end(code, &loop, NULL);
}

// Row by row, `rows` along m: little code, for epilogues that are long or that blocks of two sizes share. Twice, where a
// condition saves accesses (choice.c).
static void epilogue_in_memory(const Tile *tile, LLVMValueRef rows) {
    Emitter *emitter = tile->emitter;
    const Code *code = &emitter->code;
    int choice = find_choice(emitter->arena, tile->product->kernel);
    if (choice < 0) {
        epilogue_rows(tile, rows);
        return;
    }
    LLVMBasicBlockRef saving = b_new(code, "saving"), other = b_new(code, "all"), join = b_new(code, "join");
    LLVMBuildCondBr(code->builder, scope_value(emitter, tile->product->outer, choice), saving, other);
    b_go(code, saving);
    emitter->assumed = choice;
    epilogue_rows(tile, rows);
    emitter->assumed = -1;
    LLVMBuildBr(code->builder, join);
    b_go(code, other);
    epilogue_rows(tile, rows);
    LLVMBuildBr(code->builder, join);
    b_go(code, join);
}

// ---- blocks of rows

static Tile tile_at(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef first, int rows) {
    Tile tile = {.emitter = emitter, .product = product, .columns = columns, .column_count = count};
    tile.width = kernel_lanes(emitter, product->kernel);
    tile.rows = rows = rows * product->inner_rows;
    tile.first = first;
    assert(rows * count <= MAX_TILE && rows <= MAX_TILE_ROWS);
    return tile;
}

static bool epilogue_is_long(const Emitter *emitter, const Product *product) {
    if (find_choice(emitter->arena, product->kernel) >= 0) return true;
    int instructions = product->kernel->instructions.count - product->number;
    int vectors = product->rows * product->inner_rows * product->columns;
    return instructions * vectors > EPILOGUE_INSTRUCTIONS;
}

// A block that has all of its rows.
static void emit_block(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef first) {
    Tile tile = tile_at(emitter, product, columns, count, first, product->rows);
    LLVMValueRef sums[MAX_TILE];
    bool is_long = epilogue_is_long(emitter, product);
    open_rows(&tile);
    sum_products(&tile, is_long ? NULL : sums);
    if (is_long) epilogue_in_memory(&tile, v_i64(&emitter->code, product->rows));
    else epilogue_in_registers(&tile, sums);
}

// Blocks of which the last is smaller: `last` rows, or at run time fewer than others (last 0). Two ways to the totals,
// one epilogue.
static void emit_uneven(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef first,
                        LLVMValueRef left, int last) {
    const Code *code = &emitter->code;
    LLVMBasicBlockRef whole = b_new(code, "whole"), part = b_new(code, "part"), join = b_new(code, "join");
    LLVMValueRef size = v_i64(code, product->rows);
    LLVMBuildCondBr(code->builder, v_less(code, left, size), part, whole);
    b_go(code, whole);
    Tile tile = tile_at(emitter, product, columns, count, first, product->rows);
    open_rows(&tile);
    sum_products(&tile, NULL);
    LLVMBuildBr(code->builder, join);
    b_go(code, part);
    Tile rest = tile_at(emitter, product, columns, count, first, last ? last : product->rows);
    if (!last) rest.valid = left;
    open_rows(&rest);
    sum_products(&rest, NULL);
    LLVMBuildBr(code->builder, join);
    b_go(code, join);
    epilogue_in_memory(&tile, v_minimum(code, left, size));
}

// One block of rows, times one panel. `last`: rows of the last block; 0: they are known at run time.
static void emit_rows_of(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef first,
                         LLVMValueRef left, bool even, int last) {
    if (even) emit_block(emitter, product, columns, count, first);
    else emit_uneven(emitter, product, columns, count, first, left, last);
}

void emit_tile_rows(Emitter *emitter, const Product *product, Scope *columns, int count) {
    const Code *code = &emitter->code;
    LLVMValueRef extent = extent_value_of(emitter, product->kernel->axes[product->m].extent);
    int64_t known = 0;
    bool is_static = extent_is_constant(product->kernel->axes[product->m].extent, &known);
    bool even = is_static && known % product->rows == 0;
    if (even && known == product->rows && !is_split(emitter, product->m) && product->panels == 1) {
        emit_block(emitter, product, columns, count, v_i64(code, 0));
        return;
    }
    Range range = axis_range(emitter, product->kernel, product->m, product->rows);
    Loop loop = loop_begin(code, "rows", range.start, range.limit, v_i64(code, product->rows), NULL, 0);
    LLVMValueRef left = v_subtract(code, extent, loop.index);
    int last = (int)(known % product->rows);
    if (product->panels == 1) emit_rows_of(emitter, product, columns, count, loop.index, left, even, last);
    else {
        LLVMValueRef panels = v_i64(code, product->panels);
        Loop inside = loop_begin(code, "panels", v_i64(code, 0), panels, v_i64(code, 1), NULL, 0);
        Scope scopes[MAX_GROUP];
        Product panel = open_panel(emitter, product, inside.index, scopes);
        emit_rows_of(emitter, &panel, scopes, product->columns, loop.index, left, even, last);
        loop_end(code, &inside, NULL);
    }
    loop_end(code, &loop, NULL);
}
