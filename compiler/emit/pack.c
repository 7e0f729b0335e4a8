// Panels of a contraction's right operand: for every k the panel's columns side by side, so that tiles read straight
// ahead. An operand that is computed is computed here, once; one that lies transposed is turned.
#include "emit/emitter.h"

enum { PACK_STRIP = 16 };

typedef struct {
    Emitter *emitter;
    const Product *product;
    Scope *columns;
    int count, width;
    int stride;   // elements from one k to the next; less than the vectors have: each k overwrites what the one before
                  // it left over
} Pack;

static void store_packed(const Pack *pack, LLVMValueRef k, LLVMValueRef column, LLVMValueRef value) {
    const Code *code = &pack->emitter->code;
    LLVMValueRef at = v_multiply(code, k, v_i64(code, pack->stride));
    at = v_add(code, at, v_multiply(code, column, v_i64(code, pack->width)));
    LLVMTypeRef type = v_scalar_type(code, pack->product->dtype);
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, pack->product->panel, &at, 1, "");
    LLVMSetAlignment(LLVMBuildStore(code->builder, value, pointer), (unsigned)dtype_size(pack->product->dtype));
}

// The k in [start, limit).
static void pack_values(const Pack *pack, LLVMValueRef start, LLVMValueRef limit) {
    const Code *code = &pack->emitter->code;
    const Product *product = pack->product;
    SummedLoop summed;
    summed_begin(pack->emitter, product, &summed, "pack", start, limit, NULL, 0);
    for (int j = 0; j < pack->count; j++) {
        Scope scope = scope_inside(pack->emitter, &pack->columns[j]);
        summed_bind(product, &summed, &scope);
        store_packed(pack, summed.loop.index, v_i64(code, j), scope_value(pack->emitter, &scope, product->right));
    }
    summed_end(pack->emitter, product, &summed, NULL);
}

// ---- transposed

// A row of the operand is a column of the product, so W rows of some k must become one vector for each k. A step takes
// as many k as fit 16 bytes: pieces of that size are put side by side, those of rows `side` apart in one vector, and
// turned within their 16 bytes.
enum { PIECE_BYTES = 16 };

typedef struct {
    const Pack *pack;
    const Code *code;
    int side;             // elements of a piece
    LLVMValueRef first;   // address of the first row
    LLVMValueRef last;    // number of the last row that is there; NULL: all are
    LLVMValueRef left;    // how many k are left; NULL: enough
    LLVMValueRef base;    // number of the first k of this run among all
    LLVMValueRef at;      // number of the column vector, at run time
} Turn;

static LLVMValueRef load_piece(const Turn *turn, int row, LLVMValueRef k) {
    const Code *code = turn->code;
    const Product *product = turn->pack->product;
    const Affine *affine = &product->kernel->instructions.items[product->right].affine;
    LLVMValueRef stride = extent_value_of(turn->pack->emitter, affine->strides[product->n]);
    LLVMValueRef number = v_add(code, v_multiply(code, turn->at, v_i64(code, turn->pack->width)), v_i64(code, row));
    if (turn->last) number = v_minimum(code, number, turn->last);   // columns that are not there: any that is
    LLVMValueRef offset = v_add(code, v_multiply(code, number, stride), k);
    LLVMTypeRef type = v_memory_type(code, product->dtype), piece = v_type(code, product->dtype, turn->side);
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, turn->first, &offset, 1, "");
    unsigned alignment = (unsigned)dtype_size(product->dtype);
    if (!turn->left) {
        LLVMValueRef value = LLVMBuildLoad2(code->builder, piece, pointer, "");
        LLVMSetAlignment(value, alignment);
        return value;
    }
    LLVMTypeRef types[] = {piece, v_pointer_type(code)};
    LLVMValueRef arguments[] = {pointer, LLVMConstInt(LLVMInt32TypeInContext(code->context), alignment, 0),
                                tail_mask(turn->pack->emitter, turn->left, turn->side), LLVMConstNull(piece)};
    return v_intrinsic(code, "llvm.masked.load", types, 2, arguments, 4);
}

static LLVMValueRef shuffle(const Code *code, LLVMValueRef a, LLVMValueRef b, const int *lanes, int count) {
    LLVMValueRef order[MAX_LANES];
    for (int i = 0; i < count; i++)
        order[i] = LLVMConstInt(LLVMInt32TypeInContext(code->context), (unsigned)lanes[i], 0);
    return LLVMBuildShuffleVector(code->builder, a, b, LLVMConstVector(order, (unsigned)count), "");
}

// The pieces of rows `row`, `row + side`, ... in one vector.
static LLVMValueRef load_pieces(const Turn *turn, int row, LLVMValueRef k) {
    LLVMValueRef pieces[MAX_LANES];
    int count = turn->pack->width / turn->side, lanes[MAX_LANES];
    for (int i = 0; i < MAX_LANES; i++) lanes[i] = i;
    for (int i = 0; i < count; i++) pieces[i] = load_piece(turn, row + i * turn->side, k);
    for (int size = turn->side; count > 1; count /= 2, size *= 2)
        for (int i = 0; i < count / 2; i++)
            pieces[i] = shuffle(turn->code, pieces[2 * i], pieces[2 * i + 1], lanes, 2 * size);
    return pieces[0];
}

// Of two vectors the lower (or upper) half of every piece, in turn, `unit` lanes at a time.
static LLVMValueRef interleave(const Turn *turn, LLVMValueRef a, LLVMValueRef b, int unit, bool upper) {
    int lanes[MAX_LANES], width = turn->pack->width;
    for (int i = 0; i < width; i++) {
        int piece = i / turn->side * turn->side, inside = i % turn->side;
        int from = inside / (2 * unit) * unit + inside % unit + (upper ? turn->side / 2 : 0);
        lanes[i] = piece + from + (inside / unit % 2 ? width : 0);
    }
    return shuffle(turn->code, a, b, lanes, width);
}

// Turns `side` vectors of pieces: afterwards vector i holds what was lane i of every piece.
static void turn_pieces(const Turn *turn, LLVMValueRef *rows) {
    if (turn->side == 2) {
        LLVMValueRef a = rows[0], b = rows[1];
        rows[0] = interleave(turn, a, b, 1, false);
        rows[1] = interleave(turn, a, b, 1, true);
        return;
    }
    LLVMValueRef low01 = interleave(turn, rows[0], rows[1], 1, false),
                 high01 = interleave(turn, rows[0], rows[1], 1, true);
    LLVMValueRef low23 = interleave(turn, rows[2], rows[3], 1, false),
                 high23 = interleave(turn, rows[2], rows[3], 1, true);
    rows[0] = interleave(turn, low01, low23, 2, false);
    rows[1] = interleave(turn, low01, low23, 2, true);
    rows[2] = interleave(turn, high01, high23, 2, false);
    rows[3] = interleave(turn, high01, high23, 2, true);
}

static void turn_step(const Turn *turn, LLVMValueRef k) {
    LLVMValueRef rows[4];
    for (int i = 0; i < turn->side; i++) rows[i] = load_pieces(turn, i, k);
    turn_pieces(turn, rows);
    for (int i = 0; i < turn->side; i++)
        store_packed(turn->pack, v_add(turn->code, v_add(turn->code, turn->base, k), v_i64(turn->code, i)), turn->at,
                     rows[i]);
}

// The k along the last summed axis.
static void turn_run(Turn turn) {
    const Code *code = turn.code;
    const Product *product = turn.pack->product;
    const Extent *run = product->kernel->axes[product->k[product->k_count - 1]].extent;
    LLVMValueRef extent = extent_value_of(turn.pack->emitter, run);
    LLVMValueRef size = v_i64(code, turn.side), rest = LLVMBuildSRem(code->builder, extent, size, "");
    LLVMValueRef whole = v_subtract(code, extent, rest);
    Loop loop = loop_begin(code, "turn", v_i64(code, 0), whole, size, NULL, 0);
    turn_step(&turn, loop.index);
    loop_end(code, &loop, NULL);
    int64_t known;
    if (extent_is_constant(run, &known) && known % turn.side == 0) return;
    Branch tail = b_if(code, v_less(code, v_i64(code, 0), rest));
    turn.left = rest;
    turn_step(&turn, whole);
    b_join(code, tail);
}

// One vector of columns after the other, and for each the summed axes but the last, whose elements lie side by side.
static void pack_transposed(const Pack *pack) {
    const Code *code = &pack->emitter->code;
    const Product *product = pack->product;
    Turn turn = {.pack = pack, .code = code, .side = PIECE_BYTES / dtype_size(product->dtype)};
    LLVMValueRef first = access_pointer(pack->emitter, &pack->columns[0], product->right);
    if (pack->columns[pack->count - 1].mask) {
        LLVMValueRef limit = extent_value_of(pack->emitter, product->kernel->axes[product->n].extent);
        turn.last = v_subtract(code, v_subtract(code, limit, pack->columns[0].index[product->n]), v_i64(code, 1));
    }
    Loop columns = loop_begin(code, "columns", v_i64(code, 0), v_i64(code, pack->count), v_i64(code, 1), NULL, 0);
    turn.at = columns.index;
    const Affine *affine = &product->kernel->instructions.items[product->right].affine;
    LLVMTypeRef type = v_memory_type(code, product->dtype);
    Loop outer[MAX_AXES];
    LLVMValueRef number = v_i64(code, 0), offset = v_i64(code, 0);
    for (int i = 0; i + 1 < product->k_count; i++) {
        int axis = product->k[i];
        LLVMValueRef extent = extent_value_of(pack->emitter, product->kernel->axes[axis].extent);
        outer[i] = loop_begin(code, "runs", v_i64(code, 0), extent, v_i64(code, 1), NULL, 0);
        number = v_add(code, v_multiply(code, number, extent), outer[i].index);
        LLVMValueRef stride = extent_value_of(pack->emitter, affine->strides[axis]);
        offset = v_add(code, offset, v_multiply(code, outer[i].index, stride));
    }
    const Extent *run = product->kernel->axes[product->k[product->k_count - 1]].extent;
    turn.base = v_multiply(code, number, extent_value_of(pack->emitter, run));
    turn.first = LLVMBuildGEP2(code->builder, type, first, &offset, 1, "");
    turn_run(turn);
    for (int i = product->k_count - 2; i >= 0; i--) loop_end(code, &outer[i], NULL);
    loop_end(code, &columns, NULL);
}

// Whether operand `number`, as operand 1, lies with its summed elements side by side, and has to be turned.
static bool is_turned(const Product *product, int number, int axis) {
    const Instruction *load = &product->kernel->instructions.items[number];
    return load->kind == INSTRUCTION_LOAD && load->operands[0] < 0 && load->dtype != DTYPE_BOOL &&
           extent_is(load->affine.strides[product->k[product->k_count - 1]], 1) &&
           !extent_is(load->affine.strides[axis], 0) && !extent_is(load->affine.strides[axis], 1);
}

void emit_pack(Emitter *emitter, const Product *product, Scope *columns, int count) {
    int width = kernel_lanes(emitter, product->kernel);
    Pack pack = {emitter, product, columns, count, width, count * width};
    LLVMValueRef length = extent_value_of(emitter, product->summed);
    if (is_turned(product, product->right, product->n)) pack_transposed(&pack);
    else pack_values(&pack, v_i64(&emitter->code, 0), length);
}

// ---- strips

// Many panels (or blocks of rows) are packed a strip of some k at a time, so that rows are read along, not across: pages
// and what the processor fetches ahead are used. What is turned is read along anyway: one strip.
typedef struct {
    Loop loop;
    LLVMValueRef start, limit;
    bool turned;
} Strip;

static Strip strip_begin(Emitter *emitter, const Product *product, bool turned) {
    const Code *code = &emitter->code;
    LLVMValueRef length = extent_value_of(emitter, product->summed), size = v_i64(code, PACK_STRIP);
    if (turned) return (Strip){.start = v_i64(code, 0), .limit = length, .turned = true};
    Strip strip = {.loop = loop_begin(code, "strips", v_i64(code, 0), length, size, NULL, 0)};
    strip.start = strip.loop.index;
    strip.limit = v_minimum(code, v_add(code, strip.start, size), length);
    return strip;
}

static void pack_strip(const Pack *pack, const Strip *strip) {
    if (strip->turned) pack_transposed(pack);
    else pack_values(pack, strip->start, strip->limit);
}

static void strip_end(Emitter *emitter, Strip *strip) {
    if (!strip->turned) loop_end(&emitter->code, &strip->loop, NULL);
}

// ---- several panels

static LLVMValueRef panel_pointer(Emitter *emitter, const Product *product, LLVMValueRef number) {
    const Code *code = &emitter->code;
    int columns = product->columns * kernel_lanes(emitter, product->kernel);
    LLVMValueRef rows = v_add(code, extent_value_of(emitter, product->summed), v_i64(code, PACK_BLOCK));
    LLVMValueRef offset = v_multiply(code, number, v_multiply(code, rows, v_i64(code, columns)));
    LLVMTypeRef type = v_scalar_type(code, product->dtype);
    return LLVMBuildGEP2(code->builder, type, product->panel, &offset, 1, "");
}

Product open_panel(Emitter *emitter, const Product *product, LLVMValueRef number, Scope *columns) {
    const Code *code = &emitter->code;
    Product panel = *product;
    int width = kernel_lanes(emitter, product->kernel);
    LLVMValueRef first = v_multiply(code, number, v_i64(code, (int64_t)product->columns * width));
    first = v_add(code, product->at, first);
    panel.panels = 1;
    panel.panel = panel_pointer(emitter, product, number);
    for (int i = 0; i < product->columns; i++) {
        columns[i] = scope_inside(emitter, product->outer);
        scope_bind(&columns[i], product->n, v_add(code, first, v_i64(code, (int64_t)i * width)));
        scope_vector(&columns[i], product->n, width, NULL);
        scope_hoist(emitter, &columns[i]);
    }
    return panel;
}

void emit_pack_panels(Emitter *emitter, const Product *product) {
    const Code *code = &emitter->code;
    LLVMValueRef count = v_i64(code, product->panels);
    Strip strip = strip_begin(emitter, product, is_turned(product, product->right, product->n));
    Loop loop = loop_begin(code, "panels", v_i64(code, 0), count, v_i64(code, 1), NULL, 0);
    Scope columns[MAX_GROUP];
    Product panel = open_panel(emitter, product, loop.index, columns);
    int width = kernel_lanes(emitter, product->kernel);
    Pack pack = {emitter, &panel, columns, product->columns, width, product->columns * width};
    pack_strip(&pack, &strip);
    loop_end(code, &loop, NULL);
    strip_end(emitter, &strip);
}

// ---- operand 0

LLVMValueRef block_pointer(Emitter *emitter, const Product *product, LLVMValueRef first) {
    const Code *code = &emitter->code;
    int stride = block_stride(product, kernel_lanes(emitter, product->kernel));
    LLVMValueRef number = LLVMBuildUDiv(code->builder, first, v_i64(code, product->rows), "");
    LLVMValueRef size = v_multiply(code, extent_value_of(emitter, product->summed), v_i64(code, stride));
    size = v_add(code, size, v_i64(code, PACK_APART));   // the last vector of a block may reach so far behind it
    LLVMValueRef offset = v_multiply(code, number, size);
    LLVMTypeRef type = v_scalar_type(code, product->dtype);
    return LLVMBuildGEP2(code->builder, type, product->blocks, &offset, 1, "");
}

// Rows are to operand 0 what columns are to operand 1. The vectors of a block may reach into the next one's rows.
void emit_pack_rows(Emitter *emitter, const Product *product) {
    const Code *code = &emitter->code;
    int width = kernel_lanes(emitter, product->kernel), count = (product->rows + width - 1) / width;
    Range range = axis_range(emitter, product->kernel, product->m, product->rows);
    LLVMValueRef extent = extent_value_of(emitter, product->kernel->axes[product->m].extent);
    Strip strip = strip_begin(emitter, product, is_turned(product, product->left, product->m));
    Loop loop = loop_begin(code, "blocks", range.start, range.limit, v_i64(code, product->rows), NULL, 0);
    Scope vectors[MAX_GROUP];
    for (int i = 0; i < count; i++) {
        LLVMValueRef first = v_add(code, loop.index, v_i64(code, (int64_t)i * width));
        vectors[i] = scope_inside(emitter, product->outer);
        scope_bind(&vectors[i], product->m, first);
        scope_vector(&vectors[i], product->m, width, tail_mask(emitter, v_subtract(code, extent, first), width));
        scope_hoist(emitter, &vectors[i]);
    }
    Product turned = *product;
    turned.n = product->m;
    turned.right = product->left;
    turned.panel = block_pointer(emitter, product, loop.index);
    Pack pack = {emitter, &turned, vectors, count, width, block_stride(product, width)};
    pack_strip(&pack, &strip);
    loop_end(code, &loop, NULL);
    strip_end(emitter, &strip);
}
