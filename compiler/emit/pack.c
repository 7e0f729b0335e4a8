// Panels of a contraction's right operand: for every k the panel's columns side by side, so that tiles read straight
// ahead. An operand that is computed is computed here, once; one that lies transposed is turned in blocks of W by W.
#include "emit/emitter.h"

typedef struct {
    Emitter *emitter;
    const Product *product;
    Scope *columns;
    int count, width;
} Pack;

static void store_packed(const Pack *pack, LLVMValueRef k, int column, LLVMValueRef value) {
    const Code *code = &pack->emitter->code;
    LLVMValueRef at = v_multiply(code, k, v_i64(code, pack->count));
    at = v_add(code, at, v_i64(code, column));
    LLVMValueRef pointer = LLVMBuildGEP2(code->builder, LLVMTypeOf(value), pack->product->panel, &at, 1, "");
    LLVMSetAlignment(LLVMBuildStore(code->builder, value, pointer), (unsigned)dtype_size(pack->product->dtype));
}

static void pack_values(const Pack *pack) {
    const Code *code = &pack->emitter->code;
    const Product *product = pack->product;
    LLVMValueRef limit = extent_value_of(pack->emitter, product->kernel->axes[product->k].extent);
    Loop loop = loop_begin(code, "pack", v_i64(code, 0), limit, v_i64(code, 1), NULL, 0);
    for (int j = 0; j < pack->count; j++) {
        Scope scope = scope_inside(pack->emitter, &pack->columns[j]);
        scope_bind(&scope, product->k, loop.index);
        store_packed(pack, loop.index, j, scope_value(pack->emitter, &scope, product->right));
    }
    loop_end(code, &loop, NULL);
}

// ---- transposed

// Turns the block: afterwards vector i holds what was lane i of each. Pairs of vectors a power of two apart exchange
// the lanes in which their numbers differ.
static void transpose_block(const Code *code, LLVMValueRef *block, int width) {
    LLVMTypeRef i32 = LLVMInt32TypeInContext(code->context);
    for (int distance = width / 2; distance >= 1; distance /= 2) {
        LLVMValueRef low[64], high[64];
        for (int l = 0; l < width; l++) {
            bool moved = l & distance;
            low[l] = LLVMConstInt(i32, (unsigned)(moved ? width + l - distance : l), 0);
            high[l] = LLVMConstInt(i32, (unsigned)(moved ? width + l : l + distance), 0);
        }
        LLVMValueRef take_low = LLVMConstVector(low, (unsigned)width);
        LLVMValueRef take_high = LLVMConstVector(high, (unsigned)width);
        for (int i = 0; i < width; i++) {
            if (i & distance) continue;
            LLVMValueRef a = block[i], b = block[i + distance];
            block[i] = LLVMBuildShuffleVector(code->builder, a, b, take_low, "");
            block[i + distance] = LLVMBuildShuffleVector(code->builder, a, b, take_high, "");
        }
    }
}

// W elements from `pointer` on, of which `left` exist (NULL: all).
static LLVMValueRef load_row(const Pack *pack, LLVMValueRef pointer, LLVMValueRef left) {
    const Code *code = &pack->emitter->code;
    LLVMTypeRef type = v_type(code, pack->product->dtype, pack->width);
    unsigned alignment = (unsigned)dtype_size(pack->product->dtype);
    if (!left) {
        LLVMValueRef value = LLVMBuildLoad2(code->builder, type, pointer, "");
        LLVMSetAlignment(value, alignment);
        return value;
    }
    LLVMTypeRef types[] = {type, v_pointer_type(code)};
    LLVMValueRef arguments[] = {pointer, LLVMConstInt(LLVMInt32TypeInContext(code->context), alignment, 0),
                                tail_mask(pack->emitter, left, pack->width), LLVMConstNull(type)};
    return v_intrinsic(code, "llvm.masked.load", types, 2, arguments, 4);
}

// One block of column vector `column` from row k on.
static void turn_block(const Pack *pack, int column, LLVMValueRef k, LLVMValueRef left) {
    const Code *code = &pack->emitter->code;
    const Product *product = pack->product;
    const Affine *affine = &product->kernel->instructions.items[product->right].affine;
    LLVMTypeRef type = v_memory_type(code, product->dtype);
    Scope *scope = &pack->columns[column];
    LLVMValueRef first = access_pointer(pack->emitter, scope, product->right), block[64];
    LLVMValueRef limit = extent_value_of(pack->emitter, product->kernel->axes[product->n].extent);
    LLVMValueRef last = v_subtract(code, v_subtract(code, limit, scope->index[product->n]), v_i64(code, 1));
    LLVMValueRef stride = extent_value_of(pack->emitter, affine->strides[product->n]);
    last = v_select(code, v_less(code, last, v_i64(code, 0)), v_i64(code, 0), last);
    for (int l = 0; l < pack->width; l++) {
        LLVMValueRef lane = v_i64(code, l);
        if (scope->mask) lane = v_minimum(code, lane, last);   // columns that are not there: any that is
        LLVMValueRef offset = v_add(code, v_multiply(code, lane, stride), k);
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, first, &offset, 1, "");
        block[l] = load_row(pack, pointer, left);
    }
    transpose_block(code, block, pack->width);
    for (int l = 0; l < pack->width; l++) store_packed(pack, v_add(code, k, v_i64(code, l)), column, block[l]);
}

static void turn_blocks(const Pack *pack, LLVMValueRef k, LLVMValueRef left) {
    for (int j = 0; j < pack->count; j++) turn_block(pack, j, k, left);
}

static void pack_transposed(const Pack *pack) {
    const Code *code = &pack->emitter->code;
    const Product *product = pack->product;
    LLVMValueRef extent = extent_value_of(pack->emitter, product->kernel->axes[product->k].extent);
    LLVMValueRef size = v_i64(code, pack->width), rest = LLVMBuildSRem(code->builder, extent, size, "");
    LLVMValueRef whole = v_subtract(code, extent, rest);
    Loop loop = loop_begin(code, "turn", v_i64(code, 0), whole, size, NULL, 0);
    turn_blocks(pack, loop.index, NULL);
    loop_end(code, &loop, NULL);
    int64_t known;
    if (extent_is_constant(product->kernel->axes[product->k].extent, &known) && known % pack->width == 0) return;
    Branch last = b_if(code, v_less(code, v_i64(code, 0), rest));
    turn_blocks(pack, whole, rest);
    b_join(code, last);
}

// A masked group may begin behind the end; its first column is then not there to be read.
static bool may_be_empty(const Pack *pack) {
    int64_t known;
    const Extent *extent = pack->product->kernel->axes[pack->product->n].extent;
    return pack->count > 1 && pack->columns[0].mask && !extent_is_constant(extent, &known);
}

void emit_pack(Emitter *emitter, const Product *product, Scope *columns, int count) {
    Pack pack = {emitter, product, columns, count, kernel_lanes(emitter, product->kernel)};
    const Instruction *right = &product->kernel->instructions.items[product->right];
    bool turned = right->kind == INSTRUCTION_LOAD && right->operands[0] < 0 && right->dtype != DTYPE_BOOL &&
                  extent_is(right->affine.strides[product->k], 1) && !extent_is(right->affine.strides[product->n], 0) &&
                  !extent_is(right->affine.strides[product->n], 1);
    if (turned && !may_be_empty(&pack)) pack_transposed(&pack);
    else pack_values(&pack);
}
