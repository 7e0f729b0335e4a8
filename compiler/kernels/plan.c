// The arena: one offset for every scratch buffer, planned when compiled.
//
// Needs: all kernels of the program. A buffer lives from the first kernel that touches it to the last, at top level
// (what a loop's body touches lives as long as the loop runs). Buffers whose lives do not meet share space where the
// space is provably large enough for every value of the open dims (semantics.md, S3).
#include "kernels/kernel.h"

enum { ALIGNMENT_BYTES = 64 };

typedef ARRAY(const Extent *) Offsets;

// Free places of one size: that of their first tenants, rounded up to the alignment.
typedef struct {
    const Extent *bytes;
    Offsets offsets;   // the last is what was freed last, so most likely still in a cache
} Size;

typedef struct {
    KernelProgram *program;
    ExtentTable *extents;
    ARRAY(Size) sizes;
    int *size_of;   // by buffer id: which of the sizes its place has
} Plan;

static void touch(Buffer *buffer, int position) {
    if (!buffer) return;
    if (buffer->first_use < 0 || position < buffer->first_use) buffer->first_use = position;
    if (position > buffer->last_use) buffer->last_use = position;
}

static void touch_all(const Kernel *kernel, int position) {
    for (int i = 0; i < kernel->instructions.count; i++) touch(kernel->instructions.items[i].buffer, position);
    touch(kernel->pack, position);
    touch(kernel->pack_left, position);
    for (int i = 0; i < kernel->body.count; i++) touch_all(kernel->body.items[i], position);
}

static const Extent *bytes_of(ExtentTable *extents, const Buffer *buffer) {
    int64_t size = (int64_t)dtype_size(buffer->dtype) * buffer->copies;
    return extent_multiply(extents, buffer->elements, extent_constant(extents, size));
}

static const Extent *align(ExtentTable *extents, const Extent *bytes) {
    const Extent *alignment = extent_constant(extents, ALIGNMENT_BYTES);
    const Extent *rounded = extent_add(extents, bytes, extent_constant(extents, ALIGNMENT_BYTES - 1));
    return extent_multiply(extents, extent_floor_divide(extents, rounded, alignment), alignment);
}

// Which size has a free place that is large enough, and wastes least as far as that can be compared; -1: none. Sizes
// are compared before they are rounded: that keeps their order, and polynomials without `//` can be told apart.
static int find_size(const Plan *plan, const Extent *bytes) {
    int best = -1;
    for (int i = 0; i < plan->sizes.count; i++) {
        const Size *size = &plan->sizes.items[i];
        if (!size->offsets.count || !extent_at_least(plan->extents, size->bytes, bytes)) continue;
        if (best < 0 || extent_at_least(plan->extents, plan->sizes.items[best].bytes, size->bytes)) best = i;
    }
    return best;
}

static int add_size(Plan *plan, const Extent *bytes) {
    for (int i = 0; i < plan->sizes.count; i++)
        if (plan->sizes.items[i].bytes == bytes) return i;
    Size size = {.bytes = bytes};
    array_push(plan->program->arena, &plan->sizes, size);
    return plan->sizes.count - 1;
}

static void give_place(Plan *plan, Buffer *buffer) {
    const Extent *bytes = bytes_of(plan->extents, buffer);
    int found = find_size(plan, bytes);
    plan->size_of[buffer->id] = found < 0 ? add_size(plan, bytes) : found;
    if (found >= 0) {
        Offsets *offsets = &plan->sizes.items[found].offsets;
        buffer->offset = offsets->items[--offsets->count];
        return;
    }
    const Extent **end = &plan->program->scratch_bytes;
    buffer->offset = *end;
    *end = extent_add(plan->extents, *end, align(plan->extents, bytes));
}

// The scratch buffers that are used first, or last, by each kernel, in lists in order of their ids.
typedef struct {
    Buffer **first, **last;             // by position
    Buffer **next_first, **next_last;   // by buffer id
} Lives;

static Lives find_lives(const KernelProgram *program) {
    Lives lives = {arena_array(program->arena, Buffer *, program->kernels.count),
                   arena_array(program->arena, Buffer *, program->kernels.count),
                   arena_array(program->arena, Buffer *, program->buffers.count),
                   arena_array(program->arena, Buffer *, program->buffers.count)};
    for (int i = program->buffers.count - 1; i >= 0; i--) {
        Buffer *buffer = program->buffers.items[i];
        if (buffer->space != SPACE_SCRATCH || buffer->first_use < 0) continue;
        lives.next_first[i] = lives.first[buffer->first_use];
        lives.first[buffer->first_use] = buffer;
        lives.next_last[i] = lives.last[buffer->last_use];
        lives.last[buffer->last_use] = buffer;
    }
    return lives;
}

void kernel_program_plan(KernelProgram *program) {
    Plan plan = {.program = program, .extents = program->graph->extents};
    plan.size_of = arena_array(program->arena, int, program->buffers.count);
    for (int i = 0; i < program->kernels.count; i++) touch_all(program->kernels.items[i], i);
    Lives lives = find_lives(program);
    program->scratch_bytes = extent_constant(plan.extents, 0);
    for (int i = 0; i < program->kernels.count; i++) {
        for (Buffer *buffer = lives.first[i]; buffer; buffer = lives.next_first[buffer->id]) give_place(&plan, buffer);
        for (Buffer *buffer = lives.last[i]; buffer; buffer = lives.next_last[buffer->id])
            array_push(program->arena, &plan.sizes.items[plan.size_of[buffer->id]].offsets, buffer->offset);
    }
}

const Extent **kernel_program_live(const KernelProgram *program) {
    ExtentTable *extents = program->graph->extents;
    const Extent **live = arena_array(program->arena, const Extent *, program->kernels.count);
    const Extent *now = extent_constant(extents, 0);
    Lives lives = find_lives(program);
    for (int i = 0; i < program->kernels.count; i++) {
        for (Buffer *buffer = lives.first[i]; buffer; buffer = lives.next_first[buffer->id])
            now = extent_add(extents, now, align(extents, bytes_of(extents, buffer)));
        live[i] = now;
        for (Buffer *buffer = lives.last[i]; buffer; buffer = lives.next_last[buffer->id])
            now = extent_subtract(extents, now, align(extents, bytes_of(extents, buffer)));
    }
    return live;
}
