// Updates in place: results whose place is a leaf's, such as a parameter that a step changes.
//
// They are placed last, so that what reads the leaf has run. One that is computed element by element from a product,
// such as the optimizer's update from dW, is stored by the product's own kernel, and dW never is, when nothing else
// reads it. That kernel then moves behind the last one that still reads the leaf.
#include "kernels/lowering.h"

static bool uses(const Kernel *kernel, const Buffer *buffer, bool stores) {
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool accesses = is_effect(instruction) ? stores : !stores && instruction->kind == INSTRUCTION_LOAD;
        if (accesses && instruction->buffer == buffer) return true;
    }
    for (int i = 0; i < kernel->body.count; i++)
        if (uses(kernel->body.items[i], buffer, stores)) return true;
    return false;
}

static Kernel *kernel_at(const Lowering *lowering, int position) {
    return lowering->drafts.items[position]->kernel;
}

// ---- products that update

static void note_loads(const Kernel *kernel, int position, int *last, int count) {
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *load = &kernel->instructions.items[i];
        if (load->kind == INSTRUCTION_LOAD && load->buffer->id < count) last[load->buffer->id] = position;
    }
    for (int i = 0; i < kernel->body.count; i++) note_loads(kernel->body.items[i], position, last, count);
}

// The last kernel that reads each buffer, by its id; -1: none does.
static int *last_loads(const Lowering *lowering) {
    int count = lowering->program->buffers.count;
    int *last = arena_array(lowering->arena, int, count + 1);
    for (int i = 0; i < count; i++) last[i] = -1;
    for (int i = 0; i < lowering->drafts.count; i++) note_loads(kernel_at(lowering, i), i, last, count);
    return last;
}

static void note_readers(Lowering *lowering) {
    const int *last = last_loads(lowering);
    lowering->reader_count = lowering->program->buffers.count;
    lowering->last_readers = arena_array(lowering->arena, Draft *, lowering->reader_count + 1);
    for (int i = 0; i < lowering->reader_count; i++)
        if (last[i] >= 0) lowering->last_readers[i] = lowering->drafts.items[last[i]];
}

// Where the kernel has to stand so that whoever reads `target` has run.
static int place_after_readers(const Lowering *lowering, const Draft *draft, const Buffer *target) {
    const Draft *reader = target->id < lowering->reader_count ? lowering->last_readers[target->id] : NULL;
    return reader && reader->position > draft->position ? reader->position : draft->position;
}

// Whether `later` needs that the kernel has run. What is updated is to be read as it was before.
static bool depends_on(const Kernel *later, const Kernel *kernel, const bool *updated) {
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool load = instruction->kind == INSTRUCTION_LOAD;
        if (!load && !is_effect(instruction)) continue;
        if (uses(later, instruction->buffer, true)) return true;
        if (!load && !updated[instruction->buffer->id] && uses(later, instruction->buffer, false)) return true;
    }
    return false;
}

// What the products are of is read at other elements than the one that is stored.
static int product_of(const Kernel *kernel) {
    int number = 0;
    while (kernel->instructions.items[number].kind != INSTRUCTION_CONTRACT) number++;
    return number;
}

bool can_update(const Lowering *lowering, const Draft *draft, const Buffer *target) {
    const Kernel *kernel = draft->kernel;
    if (kernel->kind != KERNEL_CONTRACT || draft->pinned || lowering->copies || !lowering->last_readers) return false;
    for (int i = 0; i < product_of(kernel); i++) {
        const Instruction *load = &kernel->instructions.items[i];
        if (load->kind == INSTRUCTION_LOAD && load->buffer == target) return false;
    }
    for (int i = draft->position + 1; i <= place_after_readers(lowering, draft, target); i++)
        if (depends_on(kernel_at(lowering, i), kernel, lowering->updated)) return false;
    return true;
}

void run_after_readers(Lowering *lowering, Draft *draft, const Buffer *target) {
    Kernel **kernels = lowering->kernels->items + lowering->first_kernel;
    int end = place_after_readers(lowering, draft, target);
    for (int i = draft->position; i < end; i++) {
        lowering->drafts.items[i] = lowering->drafts.items[i + 1];
        kernels[i] = kernels[i + 1];
        lowering->drafts.items[i]->position = i;
        kernels[i]->id = lowering->first_kernel + i;
    }
    lowering->drafts.items[end] = draft;
    kernels[end] = draft->kernel;
    draft->position = end;
    draft->kernel->id = lowering->first_kernel + end;
}

// ---- all of them

// From which draft on leaves may change: from the last one, if that is elementwise, so that nothing reads them after it.
static int first_updating(const Lowering *lowering) {
    int count = lowering->drafts.count;
    const Draft *last = count ? lowering->drafts.items[count - 1] : NULL;
    return last && last->kernel->kind == KERNEL_MAP && !lowering->copies ? count - 1 : count;
}

void begin_updates(Lowering *lowering) {
    lowering->in_place_start = first_updating(lowering);
    lowering->updated = arena_array(lowering->arena, bool, lowering->program->buffers.count + 1);
    for (int i = 0; i < lowering->roots.count; i++)
        if (lowering->roots.items[i].in_place) lowering->updated[lowering->roots.items[i].buffer->id] = true;
    note_readers(lowering);
}

// Whether the kernel still reads what it has stored already: at an element other than the one at hand.
static bool reads_what_it_stores(const Kernel *kernel, const Instruction *store) {
    bool product = kernel->kind == KERNEL_CONTRACT;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *load = &kernel->instructions.items[i];
        if (load->kind != INSTRUCTION_LOAD || load->buffer != store->buffer) continue;
        bool at_hand = kernel->kind == KERNEL_MAP || (product && i > product_of(kernel));
        if (!at_hand || !affine_equal(&load->affine, &store->affine)) return true;
    }
    return false;
}

bool has_hazard(const Lowering *lowering) {
    if (!lowering->updated) return false;
    const int *last = last_loads(lowering);
    for (int i = 0; i < lowering->drafts.count; i++) {
        const Kernel *kernel = kernel_at(lowering, i);
        for (int s = 0; s < kernel->instructions.count; s++) {
            const Instruction *store = &kernel->instructions.items[s];
            if (store->kind != INSTRUCTION_STORE || store->buffer->id >= lowering->reader_count) continue;
            if (!lowering->updated[store->buffer->id]) continue;
            if (last[store->buffer->id] > i || reads_what_it_stores(kernel, store)) return true;
        }
    }
    return false;
}
