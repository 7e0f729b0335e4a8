// The arena: one offset for every scratch buffer, planned when compiled.
//
// Needs: all kernels of the program. A buffer lives from the first kernel that touches it to the last, at top level
// (what a loop's body touches lives as long as the loop runs). Buffers whose lives do not meet share space where the
// space is provably large enough for every value of the open dims (semantics.md, S3).
#include "kernels/kernel.h"

enum { ALIGNMENT_BYTES = 64 };

typedef struct {
    const Extent *offset;
    const Extent *bytes;   // of its first tenant; each takes these, rounded up to the alignment
    int free_from;         // the first kernel after the life of its last tenant
} Slot;

static void touch(Buffer *buffer, int position) {
    if (!buffer) return;
    if (buffer->first_use < 0 || position < buffer->first_use) buffer->first_use = position;
    if (position > buffer->last_use) buffer->last_use = position;
}

static void touch_all(const Kernel *kernel, int position) {
    for (int i = 0; i < kernel->instructions.count; i++) touch(kernel->instructions.items[i].buffer, position);
    touch(kernel->pack, position);
    for (int i = 0; i < kernel->body.count; i++) touch_all(kernel->body.items[i], position);
}

static const Extent *bytes_of(ExtentTable *extents, const Buffer *buffer) {
    return extent_multiply(extents, buffer->elements, extent_constant(extents, dtype_size(buffer->dtype)));
}

static const Extent *align(ExtentTable *extents, const Extent *bytes) {
    const Extent *alignment = extent_constant(extents, ALIGNMENT_BYTES);
    const Extent *rounded = extent_add(extents, bytes, extent_constant(extents, ALIGNMENT_BYTES - 1));
    return extent_multiply(extents, extent_floor_divide(extents, rounded, alignment), alignment);
}

// Among the free slots that are large enough, the one that wastes least as far as that can be compared. Sizes are
// compared before they are rounded: that keeps their order, and polynomials without `//` can be told apart.
static Slot *find_slot(ExtentTable *extents, Slot *slots, int count, const Buffer *buffer, const Extent *bytes) {
    Slot *best = NULL;
    for (int i = 0; i < count; i++) {
        Slot *slot = &slots[i];
        if (slot->free_from > buffer->first_use || !extent_at_least(extents, slot->bytes, bytes)) continue;
        if (!best || extent_at_least(extents, best->bytes, slot->bytes)) best = slot;
    }
    return best;
}

void kernel_program_plan(KernelProgram *program) {
    ExtentTable *extents = program->graph->extents;
    for (int i = 0; i < program->kernels.count; i++) touch_all(program->kernels.items[i], i);
    Slot *slots = arena_array(program->arena, Slot, program->buffers.count);
    int slot_count = 0;
    program->scratch_bytes = extent_constant(extents, 0);
    for (int position = 0; position < program->kernels.count; position++) {
        for (int i = 0; i < program->buffers.count; i++) {
            Buffer *buffer = program->buffers.items[i];
            if (buffer->space != SPACE_SCRATCH || buffer->first_use != position) continue;
            const Extent *bytes = bytes_of(extents, buffer);
            Slot *slot = find_slot(extents, slots, slot_count, buffer, bytes);
            if (!slot) {
                slot = &slots[slot_count++];
                *slot = (Slot){program->scratch_bytes, bytes, 0};
                program->scratch_bytes = extent_add(extents, program->scratch_bytes, align(extents, bytes));
            }
            buffer->offset = slot->offset;
            slot->free_from = buffer->last_use + 1;
        }
    }
}

const Extent *kernel_program_live(const KernelProgram *program, int position) {
    ExtentTable *extents = program->graph->extents;
    const Extent *live = extent_constant(extents, 0);
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->space != SPACE_SCRATCH || buffer->first_use < 0) continue;
        if (buffer->first_use > position || buffer->last_use < position) continue;
        live = extent_add(extents, live, align(extents, bytes_of(extents, buffer)));
    }
    return live;
}
