// Contractions: panels of columns, blocks of rows, register tiles.
//
// For every panel of the right operand's columns (packed first, where that pays) all rows of the left are walked in
// blocks; a block times a panel is one register tile (tile.c). Tile sizes are chosen for the shape and the number of
// vector registers; the result does not depend on them.
#include "emit/emitter.h"

#include <assert.h>

enum {
    OPEN_ROWS = 64,
    OPEN_COLUMNS = 1024,
    LATENCY = 8,
    MAX_ROWS = 24,
    MAX_INNER_ROWS = 12,
    SMALL_PRODUCT = 3 << 18,
    HALF_PAGE = 2048
};

typedef struct {
    int rows, columns;
} TileSize;

static int64_t ceiling_divide(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// A tile's cycles for one k, in eighths: two fmas and two loads each, or the latency of one fma, whichever is most. Loads
// have a price even where fmas take longer, those of columns twice that of rows, since panels come from farther away.
static int64_t tile_cost(int64_t rows, int64_t columns) {
    int64_t cycles = rows * columns > rows + columns ? rows * columns : rows + columns;
    if (cycles < LATENCY) cycles = LATENCY;
    return 4 * cycles + rows + 2 * columns;
}

// That of all tiles side by side, the last of which may be narrower.
static int64_t row_of_tiles_cost(int64_t rows, int64_t columns, int64_t vectors) {
    int64_t rest = vectors % columns;
    return vectors / columns * tile_cost(rows, columns) + (rest ? tile_cost(rows, rest) : 0);
}

// How many vectors of columns a tile may have. One row times what lies whole or half pages apart reads more of each page
// at once: the processor fetches lines ahead within a page, and they fall to few sets of a cache, which soon drops them.
static int most_columns(const Kernel *kernel, const Instruction *right, int64_t rows) {
    int axes[MAX_AXES], count = axes_of(kernel, AXIS_K, axes);
    int64_t stride = 0;
    bool known = extent_is_constant(right->affine.strides[axes[count - 1]], &stride);
    bool pages = known && stride > 0 && stride * (int64_t)dtype_size(right->dtype) % HALF_PAGE == 0;
    return rows == 1 && pages && right->kind == INSTRUCTION_LOAD && !kernel->pack ? MAX_GROUP : 4;
}

// The tile for which all tiles together take the fewest cycles. Rows are counted along m, each with `inner` of its own.
// Panels of two widths are twice the code: a small product is not worth that.
static TileSize choose_tile(const Emitter *emitter, const Kernel *kernel, const Instruction *right, int m, int n,
                            int inner, const Extent *summed) {
    int64_t rows, columns, products = OPEN_ROWS, best_cost = INT64_MAX;
    int width = kernel_lanes(emitter, kernel), accumulators = emitter->target->vector_registers * 3 / 4;
    bool static_rows = extent_is_constant(kernel->axes[m].extent, &rows);
    if (!static_rows) rows = OPEN_ROWS;
    if (static_rows && is_split(emitter, m)) rows = ceiling_divide(rows, emitter->program->workers);
    if (!extent_is_constant(kernel->axes[n].extent, &columns)) columns = OPEN_COLUMNS;
    else if (is_split(emitter, n)) columns = ceiling_divide(columns, emitter->program->workers);
    int64_t vectors = ceiling_divide(columns, width);
    extent_is_constant(summed, &products);
    int most = most_columns(kernel, right, rows * inner);
    bool small = rows * inner * columns * products < SMALL_PRODUCT;
    TileSize best = {1, 1};
    for (int c = 1; c <= most && c <= vectors; c++) {
        if (small && vectors % c) continue;
        for (int r = 1; r * inner <= MAX_ROWS && r <= rows && r * inner * c <= accumulators; r++) {
            if (!static_rows && r > 1 && r * inner > accumulators / 3 && !kernel->pack_left) continue;
            if (kernel->pack_left && r > width && (r + width - 1) / width * width > 2 * r)
                continue;   // there is no more room
            int64_t cost = ceiling_divide(rows, r) * row_of_tiles_cost((int64_t)r * inner, c, vectors);
            if (cost > best_cost || (cost == best_cost && r * c <= best.rows * best.columns)) continue;
            best_cost = cost;
            best = (TileSize){r, c};
        }
    }
    if (static_rows && rows > best.rows) best.rows = (int)ceiling_divide(rows, ceiling_divide(rows, best.rows));
    return best;
}

// A square takes as many registers as a vector has lanes, so all rows, which are few, meet one after the other.
static TileSize square_tile(const Product *product) {
    int64_t rows = 1;
    extent_is_constant(product->kernel->axes[product->m].extent, &rows);
    return (TileSize){(int)rows, 1};
}

// The axes of rows that are neither m nor inner are loops around the tiles.
static void emit_rows(Emitter *emitter, const Product *product, Scope *columns, int count, const int *axes,
                      int axis_count) {
    const Code *code = &emitter->code;
    if (!axis_count) {
        emit_tile_rows(emitter, product, columns, count);
        return;
    }
    Range range = axis_range(emitter, product->kernel, *axes, 1);
    Loop loop = loop_begin(code, "outer_rows", range.start, range.limit, v_i64(code, 1), NULL, 0);
    Scope outer = scope_inside(emitter, product->outer), inside[MAX_GROUP];
    scope_bind(&outer, *axes, loop.index);
    scope_hoist(emitter, &outer);
    for (int i = 0; i < count; i++) {
        inside[i] = scope_inside(emitter, &columns[i]);
        scope_bind(&inside[i], *axes, loop.index);
    }
    Product rest = *product;
    rest.outer = &outer;
    emit_rows(emitter, &rest, inside, count, axes + 1, axis_count - 1);
    loop_end(code, &loop, NULL);
}

// The columns at hand; of several panels (`count` 0) each in turn.
static void emit_all_rows(Emitter *emitter, const Product *product, Scope *columns, int count) {
    int axes[MAX_AXES], rows = axes_of(product->kernel, AXIS_M, axes);
    emit_rows(emitter, product, columns, count, axes, rows - (product->inner >= 0 ? 2 : 1));
}

static void visit_panel(Emitter *emitter, Scope *scopes, int count, void *context) {
    Product *product = context;
    for (int i = 0; i < count; i++) scope_hoist(emitter, &scopes[i]);
    if (product->panel) emit_pack(emitter, product, scopes, count);
    emit_all_rows(emitter, product, scopes, count);
}

// `most` panels of `all` at once, or less, so that workers who divide them have as many each; few are not put together.
static int panels_for_workers(const Emitter *emitter, int64_t most, int64_t all) {
    enum { EACH = 4 };
    int64_t workers = emitter->program->workers;
    for (int64_t panels = most; panels > 0; panels--)
        if (all % (panels * workers) == 0) return (int)panels;
    return most > 0 && all / most >= EACH * workers ? (int)most : 1;
}

// Whether results are walked row by row rather than in strips of a panel's width: where the rows are packed, so that they
// are near in any order, or where there is more to be written, and read by the epilogue, than there is to be summed.
static bool row_by_row(const Product *product, int64_t columns) {
    int64_t summed;
    return product->blocks || (extent_is_constant(product->summed, &summed) && columns > summed);
}

// How many panels all rows meet before the next ones are packed: as many as stay in the cache; rather a few less, if
// that leaves no rest.
static int panels_at_once(const Emitter *emitter, const Product *product) {
    const Kernel *kernel = product->kernel;
    int64_t columns;
    if (!product->panel || !extent_is_constant(kernel->axes[product->n].extent, &columns)) return 1;
    if (!row_by_row(product, columns)) return 1;
    int64_t each = (int64_t)product->columns * kernel_lanes(emitter, kernel), all = columns / each;
    int64_t most = kernel->pack_columns / each < all ? kernel->pack_columns / each : all;
    if (is_split(emitter, product->n)) return panels_for_workers(emitter, most, all);
    for (int64_t panels = most; panels > 1 && 2 * panels > most; panels--)
        if (columns % (panels * each) == 0) return (int)panels;
    return most > 1 ? (int)most : 1;
}

// Groups of panels, and then what is left of the columns.
static void emit_panels(Emitter *emitter, Product *product) {
    const Code *code = &emitter->code;
    int64_t step = (int64_t)product->panels * product->columns * kernel_lanes(emitter, product->kernel), columns = 0;
    extent_is_constant(product->kernel->axes[product->n].extent, &columns);
    int64_t whole = columns / step * step;
    Range range = axis_range(emitter, product->kernel, product->n, step);
    LLVMValueRef limit = v_minimum(code, range.limit, v_i64(code, whole));
    Loop loop = loop_begin(code, "columns", range.start, limit, v_i64(code, step), NULL, 0);
    product->at = loop.index;
    emit_pack_panels(emitter, product);
    emit_all_rows(emitter, product, NULL, 0);
    loop_end(code, &loop, NULL);
    product->panels = 1;
    if (whole < columns)
        walk_vectors_from(emitter, product->outer, product->n, whole, product->columns, visit_panel, product);
}

// Rows go along the last M axis; if that is short, along the one before, and a tile has all of the last.
static void choose_rows(Product *product) {
    int axes[MAX_AXES], count = axes_of(product->kernel, AXIS_M, axes);
    int64_t last;
    bool is_short = extent_is_constant(product->kernel->axes[axes[count - 1]].extent, &last) && last > 0;
    is_short = is_short && count > 1 && last <= MAX_INNER_ROWS;
    product->m = axes[count - 1 - is_short];
    product->inner = is_short ? axes[count - 1] : -1;
    product->inner_rows = is_short ? (int)last : 1;
}

void emit_contract(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], n[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    ExtentTable *extents = emitter->program->graph->extents;
    axes_of(kernel, AXIS_N, n);
    Nest nest;
    Scope *outer = open_axes(emitter, &nest, kernel, axes, count);
    scope_hoist(emitter, outer);
    Product product = {.kernel = kernel, .outer = outer, .n = n[0], .summed = extent_constant(extents, 1)};
    product.k_count = axes_of(kernel, AXIS_K, product.k);
    for (int i = 0; i < product.k_count; i++)
        product.summed = extent_multiply(extents, product.summed, kernel->axes[product.k[i]].extent);
    choose_rows(&product);
    for (int i = 0; i < kernel->instructions.count; i++)
        if (kernel->instructions.items[i].kind == INSTRUCTION_CONTRACT) product.number = i;
    const Instruction *instruction = &kernel->instructions.items[product.number];
    product.left = instruction->operands[0];
    product.right = instruction->operands[1];
    product.dtype = instruction->dtype;
    const Instruction *left = &kernel->instructions.items[product.left];
    const Instruction *right = &kernel->instructions.items[product.right];
    product.plain_left = left->kind == INSTRUCTION_LOAD && left->operands[0] < 0;
    product.squares = turns_right(emitter, &product);
    product.panel = kernel->pack && !product.squares ? own_copy(emitter, kernel->pack) : NULL;
    TileSize tile = product.squares
                        ? square_tile(&product)
                        : choose_tile(emitter, kernel, right, product.m, product.n, product.inner_rows, product.summed);
    product.rows = tile.rows;
    product.columns = tile.columns;
    uint64_t vector = 2 * (uint64_t)emitter->target->vector_bytes;   // f64 as many as f32
    product.totals = stack_room(emitter, &emitter->totals, MAX_TILE * vector, "totals");
    if (kernel->pack_left) {
        product.blocks = own_copy(emitter, kernel->pack_left);
        emit_pack_rows(emitter, &product);
    }
    product.panels = panels_at_once(emitter, &product);
    if (product.panels > 1) emit_panels(emitter, &product);
    else walk_vectors(emitter, outer, product.n, product.columns, visit_panel, &product);
    close_axes(emitter, &nest);
}
