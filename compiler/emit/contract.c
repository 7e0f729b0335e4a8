// Contractions: panels of columns, blocks of rows, register tiles.
//
// For every panel of the right operand's columns (packed first, where that pays) all rows of the left are walked in
// blocks; a block times a panel is one register tile (tile.c). Tile sizes are chosen for the shape and the number of
// vector registers; the result does not depend on them.
#include "emit/emitter.h"

#include <assert.h>

enum { OPEN_ROWS = 64, OPEN_COLUMNS = 1024, LATENCY = 8, MAX_ROWS = 24 };

typedef struct {
    int rows, columns;
} TileSize;

static int64_t ceiling_divide(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// The tile for which all tiles together take the fewest cycles: an fma for each accumulator, or a load for each
// operand, or the latency of one fma, whichever is most.
static TileSize choose_tile(const Emitter *emitter, const Kernel *kernel, int m, int n) {
    int64_t rows, columns, best_cost = INT64_MAX;
    int width = kernel_lanes(emitter, kernel), accumulators = emitter->vector_registers * 3 / 4;
    bool static_rows = extent_is_constant(kernel->axes[m].extent, &rows);
    if (!static_rows) rows = OPEN_ROWS;
    if (!extent_is_constant(kernel->axes[n].extent, &columns)) columns = OPEN_COLUMNS;
    int64_t vectors = ceiling_divide(columns, width);
    TileSize best = {1, 1};
    for (int c = 1; c <= 4 && c <= vectors; c++) {
        for (int r = 1; r <= MAX_ROWS && r <= rows && r * c <= accumulators; r++) {
            if (!static_rows && r > accumulators / 3) continue;   // the last block wastes less
            int64_t tile = r * c > r + c ? r * c : r + c;
            if (tile < LATENCY) tile = LATENCY;
            int64_t cost = ceiling_divide(rows, r) * ceiling_divide(vectors, c) * tile;
            if (cost > best_cost || (cost == best_cost && r * c < best.rows * best.columns)) continue;
            best_cost = cost;
            best = (TileSize){r, c};
        }
    }
    if (static_rows && rows > best.rows) best.rows = (int)ceiling_divide(rows, ceiling_divide(rows, best.rows));
    return best;
}

// Room on the stack for any tile, the same for all contractions of the function.
static LLVMValueRef totals_of(Emitter *emitter) {
    if (emitter->totals) return emitter->totals;
    const Code *code = &emitter->code;
    LLVMBasicBlockRef here = b_here(code);
    LLVMPositionBuilderBefore(code->builder, LLVMGetFirstInstruction(emitter->entry));
    LLVMTypeRef vector = v_type(code, DTYPE_I64, emitter->vector_bytes / dtype_size(DTYPE_I32));
    emitter->totals = LLVMBuildAlloca(code->builder, LLVMArrayType2(vector, MAX_TILE), "totals");
    LLVMSetAlignment(emitter->totals, 2 * (unsigned)emitter->vector_bytes);
    b_go(code, here);
    return emitter->totals;
}

static void visit_panel(Emitter *emitter, Scope *scopes, int count, void *context) {
    Product *product = context;
    for (int i = 0; i < count; i++) scope_hoist(emitter, &scopes[i]);
    if (product->panel) emit_pack(emitter, product, scopes, count);
    emit_tile_rows(emitter, product, scopes, count);
}

void emit_contract(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], m[MAX_AXES], n[MAX_AXES], k[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    axes_of(kernel, AXIS_M, m);
    axes_of(kernel, AXIS_N, n);
    axes_of(kernel, AXIS_K, k);
    Nest nest;
    Scope *outer = open_axes(emitter, &nest, kernel, axes, count);
    scope_hoist(emitter, outer);
    Product product = {.kernel = kernel, .outer = outer, .m = m[0], .n = n[0], .k = k[0]};
    for (int i = 0; i < kernel->instructions.count; i++)
        if (kernel->instructions.items[i].kind == INSTRUCTION_CONTRACT) product.number = i;
    const Instruction *instruction = &kernel->instructions.items[product.number];
    product.left = instruction->operands[0];
    product.right = instruction->operands[1];
    product.dtype = instruction->dtype;
    const Instruction *left = &kernel->instructions.items[product.left];
    product.plain_left = left->kind == INSTRUCTION_LOAD && left->operands[0] < 0;
    TileSize tile = choose_tile(emitter, kernel, product.m, product.n);
    product.rows = tile.rows;
    product.columns = tile.columns;
    product.totals = totals_of(emitter);
    if (kernel->pack) product.panel = buffer_address(emitter, kernel->pack);
    walk_vectors(emitter, outer, product.n, product.columns, visit_panel, &product);
    close_axes(emitter, &nest);
}
