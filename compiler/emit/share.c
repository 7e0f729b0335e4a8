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

typedef struct Shape {
    struct Shape *next;   // of the same bucket
    Kernel kernel;        // the first of this shape; its buffers are numbers of places
    int place_count;
    const char *signature;
    int length;
    int kernels;             // how many have it
    LLVMValueRef function;   // NULL: not emitted yet
} Shape;

enum { BUCKETS = 1024 };
struct Shapes {
    Shape *buckets[BUCKETS];   // by a hash of the signature
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
    if (kernel->pack_left) shape.pack_left = place_of(emitter, places, kernel->pack_left, zero);
    return shape;
}

// ---- signatures

static void put(Text *text, const void *bytes, size_t size) {
    text_add_bytes(text, bytes, size);
}

_Static_assert(sizeof(Instruction) == 72 + sizeof(Affine) && sizeof(Kernel) == 104 + MAX_AXES * sizeof(Axis),
               "a field is new: kernels that differ in it must not share their code");

static void put_instruction(Text *text, const Kernel *kernel, const Instruction *instruction) {
    int buffer[] = {-1, -1};
    if (instruction->buffer) buffer[0] = instruction->buffer->id, buffer[1] = (int)instruction->buffer->dtype;
    put(text, &instruction->kind, sizeof instruction->kind);
    put(text, &instruction->op, sizeof instruction->op);
    put(text, &instruction->dtype, sizeof instruction->dtype);
    put(text, instruction->operands, sizeof instruction->operands);
    put(text, &instruction->scalar, sizeof instruction->scalar);
    put(text, &instruction->phase, sizeof instruction->phase);
    put(text, &instruction->streamed, sizeof instruction->streamed);
    put(text, buffer, sizeof buffer);
    put(text, &instruction->affine.base, sizeof instruction->affine.base);
    put(text, instruction->affine.strides, sizeof *instruction->affine.strides * (size_t)kernel->axis_count);
    put(text, &instruction->stride, sizeof instruction->stride);
    put(text, &instruction->limit, sizeof instruction->limit);
}

// Extents are interned, so that their addresses stand for them.
static Text signature_of(Emitter *emitter, const Kernel *shape) {
    Text text = {.arena = emitter->arena};
    int head[] = {(int)shape->kind,
                  shape->axis_count,
                  shape->phase_count,
                  shape->pack ? shape->pack->id : -1,
                  shape->pack_left ? shape->pack_left->id : -1,
                  shape->pack_columns};
    put(&text, head, sizeof head);
    const Extent *room[] = {shape->pack ? shape->pack->elements : NULL,
                            shape->pack_left ? shape->pack_left->elements : NULL};
    put(&text, room, sizeof room);
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
    uint32_t hash = 2166136261u;
    for (int i = 0; i < (int)signature.length; i++) hash = (hash ^ (unsigned char)signature.bytes[i]) * 16777619u;
    Shape **bucket = &emitter->shapes->buckets[hash % BUCKETS];
    for (Shape *shape = *bucket; shape; shape = shape->next) {
        bool same = shape->length == signature.length;
        if (same && memcmp(shape->signature, signature.bytes, (size_t)signature.length) == 0) return shape;
    }
    Shape *shape = arena_new(emitter->arena, Shape);
    *shape = (Shape){*bucket, numbered_kernel, places->count, signature.bytes, signature.length, 0, NULL};
    *bucket = shape;
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

// ---- code and calls

static void emit_shape(Emitter *emitter, Shape *shape) {
    LLVMBasicBlockRef here = b_here(&emitter->code);
    int loops = loop_count(&shape->kernel);
    const char *name = arena_print(emitter->arena, "%s.kernel%d", emitter->program->name, shape->kernel.id);
    Emitter inner = begin_inner(emitter, name, loops, shape->place_count);
    shape->function = inner.code.function;
    inner.buffers = arena_array(emitter->arena, BufferValue, shape->place_count);
    for (int i = 0; i < shape->place_count; i++)
        inner.buffers[i] = (BufferValue){shape->function, LLVMGetParam(shape->function, (unsigned)(2 + loops + i))};
    emit_kernel_here(&inner, &shape->kernel);
    end_inner(&inner);
    b_go(&emitter->code, here);
}

static LLVMValueRef place_address(Emitter *emitter, const Place *place) {
    LLVMValueRef address = buffer_address(emitter, place->buffer), base = extent_value_of(emitter, place->base);
    LLVMTypeRef type = v_memory_type(&emitter->code, place->buffer->dtype);
    return LLVMBuildGEP2(emitter->code.builder, type, address, &base, 1, "");
}

bool call_shared(Emitter *emitter, const Kernel *kernel) {
    Places places = {0};
    Shape *shape = shape_of(emitter, kernel, &places);
    if (shape->kernels < 2 && !kernel_stands_apart(emitter->program, kernel)) return false;
    if (!shape->function) emit_shape(emitter, shape);
    LLVMValueRef *addresses = arena_array(emitter->arena, LLVMValueRef, places.count);
    for (int i = 0; i < places.count; i++) addresses[i] = place_address(emitter, &places.items[i]);
    call_inner(emitter, shape->function, loop_count(kernel), addresses, places.count);
    return true;
}
