// Loads and stores. An address is built scope by scope: what an outer scope binds is added there, once. Along the vector
// axis a stride of one is a vector access, zero a scalar one, anything else a gather or scatter. Indices that come from
// data are clamped, and the first that had to be is recorded in the frame (semantics.md, S14).
#include "emit/emitter.h"

#include <assert.h>

static const Instruction *instruction_at(const Scope *scope, int number) {
    return &scope->kernel->instructions.items[number];
}

// The address at the indices that `scope` and its parents bind: from that of the next parent that has one. A parent's
// that is missing isn't made here: this may be a place that does not dominate all of the parent.
LLVMValueRef access_pointer(Emitter *emitter, Scope *scope, int number) {
    if (scope->pointers[number]) return scope->pointers[number];
    const Code *code = &emitter->code;
    const Instruction *instruction = instruction_at(scope, number);
    LLVMValueRef base = buffer_address(emitter, instruction->buffer);
    Affine affine = instruction->affine;
    const Scope *from = scope->parent;
    while (from && !from->pointers[number]) from = from->parent;
    if (from) {
        base = from->pointers[number];
        affine.base = extent_constant(emitter->program->graph->extents, 0);
    }
    uint32_t axes = scope->bound & ~(from ? from->bound : 0);
    LLVMValueRef offset = affine_value(emitter, scope, &affine, axes);
    if (LLVMIsAConstantInt(offset) && LLVMConstIntGetSExtValue(offset) == 0) return scope->pointers[number] = base;
    LLVMTypeRef type = v_memory_type(code, instruction->buffer->dtype);
    return scope->pointers[number] = LLVMBuildGEP2(code->builder, type, base, &offset, 1, "");
}

static const Extent *vector_stride(const Scope *scope, const Instruction *instruction) {
    return scope->vector_axis < 0 ? NULL : instruction->affine.strides[scope->vector_axis];
}

static LLVMValueRef all_lanes(const Code *code, int width) {
    return LLVMConstAllOnes(v_widen(LLVMInt1TypeInContext(code->context), width));
}

static unsigned alignment_of(Dtype dtype) {
    return (unsigned)dtype_size(dtype);
}

static LLVMValueRef i32_number(const Code *code, unsigned value) {
    return LLVMConstInt(LLVMInt32TypeInContext(code->context), value, 0);
}

// Pointers of the lanes: pointer + stride * lane + offsets (i64 lanes, or NULL).
static LLVMValueRef lane_pointers(Emitter *emitter, Scope *scope, const Instruction *instruction, LLVMValueRef pointer,
                                  LLVMValueRef offsets) {
    const Code *code = &emitter->code;
    const Extent *stride = vector_stride(scope, instruction);
    LLVMValueRef steps =
        v_multiply(code, v_lanes(code, scope->width), v_splat(code, extent_value_of(emitter, stride), scope->width));
    if (offsets) steps = v_add(code, steps, v_splat(code, offsets, scope->width));
    return LLVMBuildGEP2(code->builder, v_memory_type(code, instruction->buffer->dtype), pointer, &steps, 1, "");
}

static LLVMValueRef from_memory(const Code *code, Dtype dtype, LLVMValueRef value) {
    if (dtype != DTYPE_BOOL) return value;
    return LLVMBuildICmp(code->builder, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

static LLVMValueRef to_memory(const Code *code, Dtype dtype, LLVMValueRef value) {
    if (dtype != DTYPE_BOOL) return value;
    return LLVMBuildZExt(code->builder, value, v_widen(v_memory_type(code, dtype), v_width(value)), "");
}

static LLVMValueRef load_scalar(const Code *code, Dtype dtype, LLVMTypeRef type, LLVMValueRef pointer) {
    LLVMValueRef value = LLVMBuildLoad2(code->builder, type, pointer, "");
    LLVMSetAlignment(value, alignment_of(dtype));
    return value;
}

static LLVMValueRef load_lanes(Emitter *emitter, Scope *scope, const Instruction *instruction, LLVMValueRef pointer,
                               LLVMValueRef offsets) {
    const Code *code = &emitter->code;
    Dtype dtype = instruction->buffer->dtype;
    LLVMTypeRef type = v_widen(v_memory_type(code, dtype), scope->width);
    bool unit = !offsets && extent_is(vector_stride(scope, instruction), 1);
    if (unit && !scope->mask) return load_scalar(code, dtype, type, pointer);
    LLVMValueRef mask = scope->mask ? scope->mask : all_lanes(code, scope->width);
    LLVMValueRef other = LLVMConstNull(type);
    if (unit) {
        LLVMTypeRef types[] = {type, v_pointer_type(code)};
        LLVMValueRef arguments[] = {pointer, i32_number(code, alignment_of(dtype)), mask, other};
        return v_intrinsic(code, "llvm.masked.load", types, 2, arguments, 4);
    }
    LLVMValueRef pointers = lane_pointers(emitter, scope, instruction, pointer, offsets);
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef arguments[] = {pointers, i32_number(code, alignment_of(dtype)), mask, other};
    return v_intrinsic(code, "llvm.masked.gather", types, 2, arguments, 4);
}

// ---- indices that come from data

// Whether there is anything that an index could point at: NULL where that is known when compiled, else an i1.
static LLVMValueRef table_exists(Emitter *emitter, const Instruction *instruction) {
    ExtentTable *extents = emitter->program->graph->extents;
    if (extent_at_least(extents, instruction->limit, extent_constant(extents, 1))) return NULL;
    const Code *code = &emitter->code;
    return v_less(code, v_i64(code, 0), extent_value_of(emitter, instruction->limit));
}

// The address of one element; of a zero that nobody reads after this call if the table is empty.
static LLVMValueRef existing_pointer(Emitter *emitter, const Instruction *instruction, LLVMValueRef pointer,
                                     LLVMValueRef exists) {
    if (!exists) return pointer;
    const Code *code = &emitter->code;
    LLVMTypeRef type = v_memory_type(code, instruction->buffer->dtype);
    LLVMBasicBlockRef here = b_here(code);
    LLVMPositionBuilderBefore(code->builder, LLVMGetFirstInstruction(emitter->entry));
    LLVMValueRef nothing = LLVMBuildAlloca(code->builder, type, "nothing");
    b_go(code, here);
    LLVMBuildStore(code->builder, LLVMConstNull(type), nothing);
    return v_select(code, exists, pointer, nothing);
}

// The scope, with all lanes masked if the table is empty.
static Scope existing_lanes(Emitter *emitter, const Scope *scope, LLVMValueRef exists) {
    Scope masked = *scope;
    if (!exists) return masked;
    const Code *code = &emitter->code;
    LLVMValueRef lanes = v_splat(code, exists, scope->width);
    masked.mask = scope->mask ? LLVMBuildAnd(code->builder, scope->mask, lanes, "") : lanes;
    return masked;
}

// The position in the index tensor of an index value: where it was loaded from.
static LLVMValueRef index_position(Emitter *emitter, Scope *scope, int number) {
    const Instruction *instruction = instruction_at(scope, number);
    while (instruction->kind == INSTRUCTION_MAP && instruction->operands[0] >= 0)
        instruction = instruction_at(scope, instruction->operands[0]);
    return affine_value(emitter, scope, &instruction->affine, scope->bound);
}

// Out of the way of the loop: stores the first bad lane's index and position, once.
static void record_fault(Emitter *emitter, Scope *scope, LLVMValueRef bad, LLVMValueRef index, int number) {
    const Code *code = &emitter->code;
    int width = v_width(index);
    LLVMTypeRef bits_type = LLVMIntTypeInContext(code->context, (unsigned)width);
    LLVMValueRef bits = width == 1 ? bad : LLVMBuildBitCast(code->builder, bad, bits_type, "");
    LLVMTypeRef i32 = LLVMInt32TypeInContext(code->context);
    LLVMValueRef any = LLVMBuildICmp(code->builder, LLVMIntNE, bits, LLVMConstNull(bits_type), "");
    LLVMValueRef clean = LLVMBuildICmp(code->builder, LLVMIntEQ,
                                       LLVMBuildLoad2(code->builder, i32, emitter->status, ""), LLVMConstNull(i32), "");
    LLVMBasicBlockRef record = b_new(code, "record_fault"), after = b_new(code, "checked");
    LLVMBuildCondBr(code->builder, LLVMBuildAnd(code->builder, any, clean, ""), record, after);
    b_go(code, record);
    LLVMValueRef lane = v_i64(code, 0), position = index_position(emitter, scope, number);
    if (width > 1) {
        LLVMValueRef arguments[] = {bits, LLVMConstInt(LLVMInt1TypeInContext(code->context), 1, 0)};
        lane = LLVMBuildZExtOrBitCast(code->builder, v_intrinsic(code, "llvm.cttz", &bits_type, 1, arguments, 2),
                                      v_i64_type(code), "");
        index = LLVMBuildExtractElement(code->builder, index, lane, "");
    }
    LLVMBuildStore(code->builder, index, emitter->fault);
    LLVMValueRef one = v_i64(code, 1);
    LLVMValueRef second = LLVMBuildGEP2(code->builder, v_i64_type(code), emitter->fault, &one, 1, "");
    LLVMBuildStore(code->builder, v_add(code, position, lane), second);
    LLVMBuildStore(code->builder, i32_number(code, 1), emitter->status);
    LLVMBuildBr(code->builder, after);
    b_go(code, after);
}

// stride * the clamped index of the operand, as i64 in one lane or all.
static LLVMValueRef checked_offset(Emitter *emitter, Scope *scope, const Instruction *instruction, int operand) {
    const Code *code = &emitter->code;
    LLVMValueRef value = scope_value(emitter, scope, operand);
    Dtype dtype = instruction_at(scope, operand)->dtype;
    LLVMValueRef index = op_value(emitter, OP_cast, DTYPE_I64, dtype, &value);
    int width = v_width(index);
    LLVMValueRef limit = v_splat(code, extent_value_of(emitter, instruction->limit), width);
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(index)), one = v_splat(code, v_i64(code, 1), width);
    LLVMValueRef low = v_less(code, index, zero);
    LLVMValueRef high = LLVMBuildICmp(code->builder, LLVMIntSGE, index, limit, "");
    LLVMValueRef bad = LLVMBuildOr(code->builder, low, high, "");
    if (scope->mask && width > 1) bad = LLVMBuildAnd(code->builder, bad, scope->mask, "");
    record_fault(emitter, scope, bad, index, operand);
    index = v_select(code, high, v_subtract(code, limit, one), index);
    index = v_select(code, v_less(code, index, zero), zero, index);
    return v_multiply(code, index, v_splat(code, extent_value_of(emitter, instruction->stride), width));
}

LLVMValueRef load_value(Emitter *emitter, Scope *scope, int number) {
    const Code *code = &emitter->code;
    const Instruction *instruction = instruction_at(scope, number);
    Dtype dtype = instruction->buffer->dtype;
    LLVMTypeRef type = v_memory_type(code, dtype);
    bool vector = scope->vector_axis >= 0 && (scope->depends[number] >> scope->vector_axis & 1);
    LLVMValueRef pointer = access_pointer(emitter, scope, number), offsets = NULL, exists = NULL;
    if (instruction->operands[0] >= 0) {
        Scope scalar = *scope;
        exists = table_exists(emitter, instruction);
        if (!vector) scope_vector(&scalar, -1, 1, NULL);
        offsets = checked_offset(emitter, &scalar, instruction, instruction->operands[0]);
        if (!vector) pointer = LLVMBuildGEP2(code->builder, type, pointer, &offsets, 1, "");
    }
    Scope lanes = existing_lanes(emitter, scope, vector ? exists : NULL);
    if (!vector) pointer = existing_pointer(emitter, instruction, pointer, exists);
    LLVMValueRef loaded =
        vector ? load_lanes(emitter, &lanes, instruction, pointer, offsets) : load_scalar(code, dtype, type, pointer);
    return from_memory(code, dtype, loaded);
}

static void past_caches(const Code *code, LLVMValueRef store) {
    static const char name[] = "nontemporal";
    LLVMMetadataRef one = LLVMValueAsMetadata(i32_number(code, 1));
    LLVMValueRef node = LLVMMetadataAsValue(code->context, LLVMMDNodeInContext2(code->context, &one, 1));
    LLVMSetMetadata(store, LLVMGetMDKindIDInContext(code->context, name, sizeof name - 1), node);
}

static void store_lanes(Emitter *emitter, Scope *scope, const Instruction *instruction, LLVMValueRef value,
                        LLVMValueRef pointer) {
    const Code *code = &emitter->code;
    unsigned alignment = alignment_of(instruction->buffer->dtype);
    bool unit = extent_is(vector_stride(scope, instruction), 1);
    if (unit && !scope->mask) {
        LLVMValueRef store = LLVMBuildStore(code->builder, value, pointer);
        bool streams = emitter->streams && may_stream(emitter, scope->kernel, instruction);
        LLVMSetAlignment(store, streams ? (unsigned)emitter->target->vector_bytes : alignment);
        if (streams) past_caches(code, store);
        return;
    }
    LLVMValueRef mask = scope->mask ? scope->mask : all_lanes(code, scope->width);
    if (!unit) pointer = lane_pointers(emitter, scope, instruction, pointer, NULL);
    LLVMTypeRef types[] = {LLVMTypeOf(value), LLVMTypeOf(pointer)};
    LLVMValueRef arguments[] = {value, pointer, i32_number(code, alignment), mask};
    v_intrinsic(code, unit ? "llvm.masked.store" : "llvm.masked.scatter", types, 2, arguments, 4);
}

void store_value(Emitter *emitter, Scope *scope, int number) {
    const Code *code = &emitter->code;
    const Instruction *instruction = instruction_at(scope, number);
    Dtype dtype = instruction->buffer->dtype;
    LLVMValueRef pointer = access_pointer(emitter, scope, number);
    bool vector = scope->vector_axis >= 0 && !extent_is(instruction->affine.strides[scope->vector_axis], 0);
    LLVMValueRef value = scope_value(emitter, scope, instruction->operands[0]);
    if (!vector && v_width(value) > 1) value = LLVMBuildExtractElement(code->builder, value, v_i64(code, 0), "");
    Scope lanes = *scope;
    if (instruction->kind != INSTRUCTION_STORE) {
        if (instruction->kind == INSTRUCTION_SCATTER) {
            LLVMValueRef offset = checked_offset(emitter, scope, instruction, instruction->operands[1]);
            LLVMValueRef exists = table_exists(emitter, instruction);
            pointer = LLVMBuildGEP2(code->builder, v_memory_type(code, dtype), pointer, &offset, 1, "");
            if (vector) lanes = existing_lanes(emitter, scope, exists);
            else pointer = existing_pointer(emitter, instruction, pointer, exists);
        }
        LLVMValueRef old = vector ? load_lanes(emitter, &lanes, instruction, pointer, NULL)
                                  : load_scalar(code, dtype, v_memory_type(code, dtype), pointer);
        LLVMValueRef operands[] = {from_memory(code, dtype, old), value};
        value = op_value(emitter, OP_add, dtype, dtype, operands);
    }
    value = to_memory(code, dtype, value);
    if (vector) store_lanes(emitter, &lanes, instruction, value, pointer);
    else LLVMSetAlignment(LLVMBuildStore(code->builder, value, pointer), alignment_of(dtype));
}
