// Products of few rows whose operand 1 lies transposed, read where it lies: squares of it are loaded as they lie, along
// the summed axis, and turned in registers. So every line of memory is read once and whole, and nothing is copied.
#include "emit/emitter.h"

enum { FEW_ROWS = 4, FEW_ROWS_FAR = 8, FAR_ELEMENTS = 1 << 18, SPARE = 4 };   // registers besides squares and sums

static const Instruction *right_of(const Product *product) {
    return &product->kernel->instructions.items[product->right];
}

// Squares of operand 1 take more shuffles than a copy that all rows read, so only few rows do with them; some more where
// the operand comes from memory and waits for it anyway.
static bool has_few_rows(const Emitter *emitter, const Product *product) {
    const Axis *axes = product->kernel->axes;
    int64_t rows, columns = 1, summed = 1;
    int width = kernel_lanes(emitter, product->kernel);
    if (!extent_is_constant(axes[product->m].extent, &rows)) return false;
    rows *= product->inner_rows;
    bool known = extent_is_constant(axes[product->n].extent, &columns) && extent_is_constant(product->summed, &summed);
    bool far = known && (double)columns * (double)summed >= FAR_ELEMENTS;
    return rows > 0 && rows <= (far ? FEW_ROWS_FAR : FEW_ROWS) &&
           rows + width + SPARE <= emitter->target->vector_registers;
}

bool turns_right(const Emitter *emitter, const Product *product) {
    const Instruction *load = right_of(product);
    int width = kernel_lanes(emitter, product->kernel);
    int64_t summed;
    bool plain = load->kind == INSTRUCTION_LOAD && load->operands[0] < 0 && dtype_is_float(load->dtype);
    if (!plain || product->k_count != 1 || width < 2 || width > MAX_SQUARE) return false;
    if (extent_is_constant(product->summed, &summed) && summed < width) return false;
    return has_few_rows(emitter, product) && extent_is(load->affine.strides[product->k[0]], 1) &&
           !extent_is(load->affine.strides[product->n], 0) && !extent_is(load->affine.strides[product->n], 1);
}

void open_square(Emitter *emitter, const Product *product, Scope *column, LLVMValueRef *rows) {
    const Code *code = &emitter->code;
    int width = kernel_lanes(emitter, product->kernel);
    LLVMTypeRef type = v_memory_type(code, product->dtype);
    LLVMValueRef first = access_pointer(emitter, column, product->right), last = NULL;
    LLVMValueRef stride = extent_value_of(emitter, right_of(product)->affine.strides[product->n]);
    if (column->mask) {
        LLVMValueRef limit = extent_value_of(emitter, product->kernel->axes[product->n].extent);
        last = v_subtract(code, v_subtract(code, limit, column->index[product->n]), v_i64(code, 1));
    }
    for (int i = 0; i < width; i++) {
        LLVMValueRef number = v_i64(code, i);
        if (last) number = v_minimum(code, number, last);   // columns that are not there: any that is
        LLVMValueRef offset = v_multiply(code, number, stride);
        rows[i] = LLVMBuildGEP2(code->builder, type, first, &offset, 1, "");
    }
}

void load_square(Emitter *emitter, const Product *product, const LLVMValueRef *rows, LLVMValueRef k,
                 LLVMValueRef *values) {
    const Code *code = &emitter->code;
    int width = kernel_lanes(emitter, product->kernel);
    LLVMTypeRef type = v_memory_type(code, product->dtype), vector = v_type(code, product->dtype, width);
    for (int i = 0; i < width; i++) {
        LLVMValueRef pointer = LLVMBuildGEP2(code->builder, type, rows[i], &k, 1, "");
        values[i] = LLVMBuildLoad2(code->builder, vector, pointer, "");
        LLVMSetAlignment(values[i], (unsigned)dtype_size(product->dtype));
    }
    turn_square(code, values, width);
}
