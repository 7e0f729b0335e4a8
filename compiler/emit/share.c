// Kernels that differ only in where their arrays lie are emitted once, as a function inside the module, and called with
// the addresses: the layers of a deep network share their code, and it is compiled once.
//
// A kernel's shape is the kernel with its places (a buffer, and where in it accesses begin) replaced by numbers in order
// of appearance. What has a shape of its own is emitted where it runs.
#include "emit/emitter.h"

#include <string.h>

typedef struct {
    const Buffer *buffer;
    const Extent *base;   // in elements
    Buffer *number;       // what stands for the place in a shape: a buffer whose id is the place's number
} Place;

typedef struct {
    Kernel kernel;   // the first of this shape; its buffers are numbers of places
    int place_count;
    const char *signature;
    int length;
    int kernels;             // how many have it
    LLVMValueRef function;   // NULL: not emitted yet
} Shape;

struct Shapes {
    ARRAY(Shape *) items;
};

typedef ARRAY(Place) Places;

static Buffer *place_of(Emitter *emitter, Places *places, const Buffer *buffer, const Extent *base) {
    for (int i = 0; i < places->count; i++)
        if (places->items[i].buffer == buffer && places->items[i].base == base) return places->items[i].number;
    Place place = {buffer, base, arena_copy(emitter->arena, buffer, sizeof *buffer)};
    place.number->id = places->count;
    array_push(emitter->arena, places, place);
    return place.number;
}

// The kernel with numbers for its places.
static Kernel number_places(Emitter *emitter, const Kernel *kernel, Places *places) {
    const Extent *zero = extent_constant(emitter->program->graph->extents, 0);
    Kernel shape = *kernel;
    size_t bytes = sizeof *kernel->instructions.items * (size_t)kernel->instructions.count;
    shape.instructions.items = arena_copy(emitter->arena, kernel->instructions.items, bytes);
    for (int i = 0; i < kernel->instructions.count; i++) {
        Instruction *instruction = &shape.instructions.items[i];
        if (!instruction->buffer) continue;
        instruction->buffer = place_of(emitter, places, instruction->buffer, instruction->affine.base);
        instruction->affine.base = zero;
    }
    if (kernel->pack) shape.pack = place_of(emitter, places, kernel->pack, zero);
    return shape;
}

// ---- signatures

static void put(Text *text, const void *bytes, size_t size) {
    text_add_bytes(text, bytes, size);
}

static void put_instruction(Text *text, const Kernel *kernel, const Instruction *instruction) {
    int buffer[] = {-1, -1};
    if (instruction->buffer) buffer[0] = instruction->buffer->id, buffer[1] = (int)instruction->buffer->dtype;
    put(text, &instruction->kind, sizeof instruction->kind);
    put(text, &instruction->op, sizeof instruction->op);
    put(text, &instruction->dtype, sizeof instruction->dtype);
    put(text, instruction->operands, sizeof instruction->operands);
    put(text, &instruction->scalar, sizeof instruction->scalar);
    put(text, &instruction->phase, sizeof instruction->phase);
    put(text, buffer, sizeof buffer);
    put(text, &instruction->affine.base, sizeof instruction->affine.base);
    put(text, instruction->affine.strides, sizeof *instruction->affine.strides * (size_t)kernel->axis_count);
    put(text, &instruction->stride, sizeof instruction->stride);
    put(text, &instruction->limit, sizeof instruction->limit);
}

// Extents are interned, so that their addresses stand for them.
static Text signature_of(Emitter *emitter, const Kernel *shape) {
    Text text = {.arena = emitter->arena};
    int head[] = {(int)shape->kind, shape->axis_count, shape->phase_count, shape->pack ? shape->pack->id : -1};
    put(&text, head, sizeof head);
    for (int i = 0; i < shape->axis_count; i++) {
        put(&text, &shape->axes[i].role, sizeof shape->axes[i].role);
        put(&text, &shape->axes[i].extent, sizeof shape->axes[i].extent);
    }
    for (int i = 0; i < shape->instructions.count; i++) put_instruction(&text, shape, &shape->instructions.items[i]);
    return text;
}

static Shape *shape_of(Emitter *emitter, const Kernel *kernel, Places *places) {
    Kernel numbered_kernel = number_places(emitter, kernel, places);
    Text signature = signature_of(emitter, &numbered_kernel);
    for (int i = 0; i < emitter->shapes->items.count; i++) {
        Shape *shape = emitter->shapes->items.items[i];
        bool same = shape->length == signature.length;
        if (same && memcmp(shape->signature, signature.bytes, (size_t)signature.length) == 0) return shape;
    }
    Shape *shape = arena_new(emitter->arena, Shape);
    *shape = (Shape){numbered_kernel, places->count, signature.bytes, signature.length, 0, NULL};
    array_push(emitter->arena, &emitter->shapes->items, shape);
    return shape;
}

static void count_shapes(Emitter *emitter, const KernelArray *kernels) {
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        Places places = {0};
        if (kernel->kind == KERNEL_LOOP) count_shapes(emitter, &kernel->body);
        else shape_of(emitter, kernel, &places)->kernels++;
    }
}

void find_shapes(Emitter *emitter) {
    emitter->shapes = arena_new(emitter->arena, Shapes);
    count_shapes(emitter, &emitter->program->kernels);
}

// ---- functions: of the frame, the status, the counters of enclosing loops, and the places' addresses

static int loop_count(const Kernel *kernel) {
    int count = 0;
    while (count < kernel->axis_count && kernel->axes[count].role == AXIS_LOOP) count++;
    return count;
}

static LLVMTypeRef shape_type(Emitter *emitter, const Shape *shape) {
    const Code *code = &emitter->code;
    int loops = loop_count(&shape->kernel), count = 2 + loops + shape->place_count;
    LLVMTypeRef *types = arena_array(emitter->arena, LLVMTypeRef, count);
    for (int i = 0; i < count; i++) types[i] = i >= 2 && i < 2 + loops ? v_i64_type(code) : v_pointer_type(code);
    return LLVMFunctionType(LLVMVoidTypeInContext(code->context), types, (unsigned)count, 0);
}

static void emit_shape(Emitter *emitter, Shape *shape) {
    LLVMBasicBlockRef here = b_here(&emitter->code);
    Emitter inner = *emitter;
    memset(&inner.extents, 0, sizeof inner.extents);
    inner.totals = NULL;
    const char *name = arena_print(emitter->arena, "%s.%s%d", emitter->program->name, "kernel", shape->kernel.id);
    declare_function(&inner, name, shape_type(emitter, shape));
    LLVMSetLinkage(inner.code.function, LLVMInternalLinkage);
    shape->function = inner.code.function;
    emit_entry(&inner, LLVMGetParam(shape->function, 1));
    unsigned at = 2;
    for (int i = 0; i < loop_count(&shape->kernel); i++) inner.loop_index[i] = LLVMGetParam(shape->function, at++);
    inner.buffers = arena_array(emitter->arena, LLVMValueRef, shape->place_count + 1);
    for (int i = 0; i < shape->place_count; i++) inner.buffers[i] = LLVMGetParam(shape->function, at++);
    emit_kernel_here(&inner, &shape->kernel);
    LLVMBuildRetVoid(inner.code.builder);
    b_go(&emitter->code, here);
}

static LLVMValueRef place_address(Emitter *emitter, const Place *place) {
    LLVMValueRef address = emitter->buffers[place->buffer->id], base = extent_value_of(emitter, place->base);
    LLVMTypeRef type = v_memory_type(&emitter->code, place->buffer->dtype);
    return LLVMBuildGEP2(emitter->code.builder, type, address, &base, 1, "");
}

bool call_shared(Emitter *emitter, const Kernel *kernel) {
    Places places = {0};
    Shape *shape = shape_of(emitter, kernel, &places);
    if (shape->kernels < 2) return false;
    if (!shape->function) emit_shape(emitter, shape);
    int loops = loop_count(kernel), count = 0;
    LLVMValueRef *arguments = arena_array(emitter->arena, LLVMValueRef, 2 + loops + places.count);
    arguments[count++] = emitter->frame;
    arguments[count++] = emitter->status;
    for (int i = 0; i < loops; i++) arguments[count++] = emitter->loop_index[i];
    for (int i = 0; i < places.count; i++) arguments[count++] = place_address(emitter, &places.items[i]);
    LLVMTypeRef type = shape_type(emitter, shape);
    LLVMBuildCall2(emitter->code.builder, type, shape->function, arguments, (unsigned)count, "");
    return true;
}
