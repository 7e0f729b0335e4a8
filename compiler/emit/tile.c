// A contraction's register tiles: some rows of the left operand times a panel's columns, and what follows at the store.
//
// Order of S10: chunks of SEQUENTIAL_CHUNK products, each an fma chain from +0, ascending; the chunks' sums are added in
// order to a total that starts at +0.
#include "emit/emitter.h"
#include "graph/order.h"

#include <assert.h>

enum { MAX_TILE = 32, MAX_TILE_ROWS = 24 };

typedef struct {
    Emitter *emitter;
    const Product *product;
    Scope *columns;   // one scope for each vector of columns
    int column_count, width;
    int rows;
    LLVMValueRef first;   // row
    LLVMValueRef valid;   // how many of the rows exist; NULL: all
    Scope row_scopes[MAX_TILE_ROWS];
    LLVMValueRef row_pointers[MAX_TILE_ROWS];
} Tile;

// ---- operands

static LLVMValueRef row_index(const Tile *tile, int row) {
    const Code *code = &tile->emitter->code;
    LLVMValueRef offset = v_i64(code, row);
    if (tile->valid) offset = v_minimum(code, offset, v_subtract(code, tile->valid, v_i64(code, 1)));
    return offset;
}

static const Instruction *left_load(const Product *product) {
    return &product->kernel->instructions.items[product->left];
}

// Addresses of the rows' first elements, or scopes that compute them.
static void open_rows(Tile *tile) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    LLVMTypeRef type = v_memory_type(code, product->dtype);
    Scope first = scope_inside(tile->emitter, product->outer);
    scope_bind(&first, product->m, tile->first);
    for (int i = 0; i < tile->rows; i++) {
        LLVMValueRef offset = row_index(tile, i);
        if (product->plain_left) {
            LLVMValueRef stride = extent_value_of(tile->emitter, left_load(product)->affine.strides[product->m]);
            LLVMValueRef pointer = access_pointer(tile->emitter, &first, product->left);
            offset = v_multiply(code, offset, stride);
            tile->row_pointers[i] = LLVMBuildGEP2(code->builder, type, pointer, &offset, 1, "");
        } else {
            tile->row_scopes[i] = scope_inside(tile->emitter, product->outer);
            scope_bind(&tile->row_scopes[i], product->m, v_add(code, tile->first, offset));
            scope_hoist(tile->emitter, &tile->row_scopes[i]);
        }
    }
}

static LLVMValueRef left_value(Tile *tile, int row, LLVMValueRef k) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    LLVMValueRef value;
    if (product->plain_left) {
        LLVMTypeRef type = v_memory_type(code, product->dtype);
        LLVMValueRef stride = extent_value_of(tile->emitter, left_load(product)->affine.strides[product->k]);
        LLVMValueRef offset = v_multiply(code, k, stride);
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, tile->row_pointers[row], &offset, 1, "");
        value = LLVMBuildLoad2(code->builder, type, pointer, "");
        LLVMSetAlignment(value, (unsigned)dtype_size(product->dtype));
    } else {
        Scope scope = scope_inside(tile->emitter, &tile->row_scopes[row]);
        scope_bind(&scope, product->k, k);
        value = scope_value(tile->emitter, &scope, product->left);
    }
    return v_splat(code, value, tile->width);
}

static LLVMValueRef right_value(Tile *tile, int column, LLVMValueRef k) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    if (!product->panel) {
        Scope scope = scope_inside(tile->emitter, &tile->columns[column]);
        scope_bind(&scope, product->k, k);
        return scope_value(tile->emitter, &scope, product->right);
    }
    LLVMTypeRef type = v_type(code, product->dtype, tile->width);
    LLVMValueRef at = v_multiply(code, k, v_i64(code, tile->column_count));
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

// Products [start, limit), summed from +0.
static void sum_chunk(Tile *tile, LLVMValueRef start, LLVMValueRef limit, LLVMValueRef *sums) {
    const Code *code = &tile->emitter->code;
    int count = tile->rows * tile->column_count;
    for (int i = 0; i < count; i++) sums[i] = zero_of(tile);
    Loop loop = loop_begin(code, "k", start, limit, v_i64(code, 1), sums, count);
    LLVMValueRef right[MAX_GROUP];
    for (int j = 0; j < tile->column_count; j++) right[j] = right_value(tile, j, loop.index);
    for (int i = 0; i < tile->rows; i++) {
        LLVMValueRef left = left_value(tile, i, loop.index);
        for (int j = 0; j < tile->column_count; j++) {
            int at = i * tile->column_count + j;
            sums[at] = multiply_add(tile, left, right[j], loop.carries[at]);
        }
    }
    loop_end(code, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carries[i];
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

// The totals wait in memory while a chunk uses all registers.
static void sum_chunks(Tile *tile, LLVMValueRef length, LLVMValueRef *sums) {
    const Code *code = &tile->emitter->code;
    int count = tile->rows * tile->column_count;
    for (int i = 0; i < count; i++) LLVMBuildStore(code->builder, zero_of(tile), total_pointer(tile, i));
    LLVMValueRef size = v_i64(code, SEQUENTIAL_CHUNK);
    Loop loop = loop_begin(code, "chunks", v_i64(code, 0), length, size, NULL, 0);
    sum_chunk(tile, loop.index, v_minimum(code, v_add(code, loop.index, size), length), sums);
    for (int i = 0; i < count; i++)
        LLVMBuildStore(code->builder, plus(tile, load_total(tile, i), sums[i]), total_pointer(tile, i));
    loop_end(code, &loop, NULL);
    for (int i = 0; i < count; i++) sums[i] = load_total(tile, i);
}

static void sum_products(Tile *tile, LLVMValueRef *sums) {
    const Extent *extent = tile->product->kernel->axes[tile->product->k].extent;
    LLVMValueRef length = extent_value_of(tile->emitter, extent);
    int64_t known;
    if (!extent_is_constant(extent, &known) || known > SEQUENTIAL_CHUNK) {
        sum_chunks(tile, length, sums);
        return;
    }
    sum_chunk(tile, v_i64(&tile->emitter->code, 0), length, sums);
    for (int i = 0; i < tile->rows * tile->column_count; i++)   // a chunk may be -0, a total never is
        sums[i] = plus(tile, zero_of(tile), sums[i]);
}

// ---- the tile

static void epilogue(Tile *tile, const LLVMValueRef *sums) {
    const Product *product = tile->product;
    const Code *code = &tile->emitter->code;
    for (int i = 0; i < tile->rows; i++) {
        Branch branch = {0};
        if (tile->valid) branch = b_if(code, v_less(code, v_i64(code, i), tile->valid));
        for (int j = 0; j < tile->column_count; j++) {
            Scope scope = scope_inside(tile->emitter, &tile->columns[j]);
            scope_bind(&scope, product->m, v_add(code, tile->first, v_i64(code, i)));
            scope_set(&scope, product->number, sums[i * tile->column_count + j]);
            scope_effects(tile->emitter, &scope, -1, 0, 0);
        }
        if (tile->valid) b_join(code, branch);
    }
}

static void emit_tile(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef first, int rows,
                      LLVMValueRef valid) {
    Tile tile = {.emitter = emitter, .product = product, .columns = columns, .column_count = count};
    tile.width = kernel_lanes(emitter, product->kernel);
    tile.rows = rows;
    tile.first = first;
    tile.valid = valid;
    LLVMValueRef sums[MAX_TILE];
    assert(rows * count <= MAX_TILE && rows <= MAX_TILE_ROWS);
    open_rows(&tile);
    sum_products(&tile, sums);
    epilogue(&tile, sums);
}

static void static_rows(Emitter *emitter, const Product *product, Scope *columns, int count, int64_t extent) {
    const Code *code = &emitter->code;
    int64_t rows = product->rows, whole = extent / rows * rows;
    if (whole == rows) emit_tile(emitter, product, columns, count, v_i64(code, 0), (int)rows, NULL);
    if (whole > rows) {
        Loop loop = loop_begin(code, "rows", v_i64(code, 0), v_i64(code, whole), v_i64(code, rows), NULL, 0);
        emit_tile(emitter, product, columns, count, loop.index, (int)rows, NULL);
        loop_end(code, &loop, NULL);
    }
    if (extent > whole) emit_tile(emitter, product, columns, count, v_i64(code, whole), (int)(extent - whole), NULL);
}

static void open_row_blocks(Emitter *emitter, const Product *product, Scope *columns, int count, LLVMValueRef extent) {
    const Code *code = &emitter->code;
    LLVMValueRef size = v_i64(code, product->rows), rest = LLVMBuildSRem(code->builder, extent, size, "");
    LLVMValueRef whole = v_subtract(code, extent, rest);
    Loop loop = loop_begin(code, "rows", v_i64(code, 0), whole, size, NULL, 0);
    emit_tile(emitter, product, columns, count, loop.index, product->rows, NULL);
    loop_end(code, &loop, NULL);
    Branch last = b_if(code, v_less(code, v_i64(code, 0), rest));
    emit_tile(emitter, product, columns, count, whole, product->rows, rest);
    b_join(code, last);
}

void emit_tile_rows(Emitter *emitter, const Product *product, Scope *columns, int count) {
    const Extent *extent = product->kernel->axes[product->m].extent;
    int64_t known;
    if (extent_is_constant(extent, &known)) static_rows(emitter, product, columns, count, known);
    else open_row_blocks(emitter, product, columns, count, extent_value_of(emitter, extent));
}
