// Tidies finished kernels. Needs: all kernels of a function or body. Keeps: what is stored, to the bit. Changes: drops
// stores that nobody loads and instructions that nothing uses; runs axes as one where every access allows it; leaves
// contractions with at most one M, N and K axis.
#include "kernels/lowering.h"

#include <string.h>

static void count_loads(const KernelArray *kernels, int *loads) {
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        for (int k = 0; k < kernel->instructions.count; k++) {
            const Instruction *instruction = &kernel->instructions.items[k];
            if (instruction->kind == INSTRUCTION_LOAD) loads[instruction->buffer->id]++;
        }
        count_loads(&kernel->body, loads);
    }
}

// Keeps what effects need, renumbering operands.
static void drop_dead(Lowering *lowering, Kernel *kernel, const int *loads, const bool *kept_buffer) {
    int count = kernel->instructions.count;
    Instruction *items = kernel->instructions.items;
    bool *live = arena_array(lowering->arena, bool, count);
    for (int i = count - 1; i >= 0; i--) {
        if (is_effect(&items[i])) {
            const Buffer *buffer = items[i].buffer;
            live[i] = buffer->space != SPACE_SCRATCH || loads[buffer->id] || kept_buffer[buffer->id];
        }
        for (int k = 0; live[i] && k < MAX_ARITY; k++)
            if (items[i].operands[k] >= 0) live[items[i].operands[k]] = true;
    }
    int *renumber = arena_array(lowering->arena, int, count), kept = 0;
    for (int i = 0; i < count; i++) {
        if (!live[i]) continue;
        Instruction moved = items[i];
        for (int k = 0; k < MAX_ARITY; k++)
            if (moved.operands[k] >= 0) moved.operands[k] = renumber[moved.operands[k]];
        renumber[i] = kept;
        items[kept++] = moved;
    }
    kernel->instructions.count = kept;
}

static bool uses_affine(const Instruction *instruction) {
    switch (instruction->kind) {
    case INSTRUCTION_INDEX:
    case INSTRUCTION_RANDOM:
    case INSTRUCTION_LOAD: return true;
    default: return is_effect(instruction);
    }
}

static bool can_merge(Lowering *lowering, const Kernel *kernel, int outer) {
    const Axis *a = &kernel->axes[outer], *b = &kernel->axes[outer + 1];
    if (a->role != b->role || a->role == AXIS_LOOP) return false;
    if (extent_is(a->extent, 1)) return true;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        if (!uses_affine(instruction)) continue;
        const Extent *stepped = extent_multiply(lowering->extents, instruction->affine.strides[outer + 1], b->extent);
        if (instruction->affine.strides[outer] != stepped) return false;
    }
    return true;
}

static void remove_axis(Lowering *lowering, Kernel *kernel, int axis) {
    for (int i = axis; i + 1 < kernel->axis_count; i++) kernel->axes[i] = kernel->axes[i + 1];
    kernel->axis_count--;
    const Extent *zero = extent_constant(lowering->extents, 0);
    for (int i = 0; i < kernel->instructions.count; i++) {
        Affine *affine = &kernel->instructions.items[i].affine;
        for (int k = axis; k + 1 < MAX_AXES; k++) affine->strides[k] = affine->strides[k + 1];
        affine->strides[MAX_AXES - 1] = zero;
    }
}

static void swap_axes(Kernel *kernel, int a, int b) {
    Axis axis = kernel->axes[a];
    kernel->axes[a] = kernel->axes[b];
    kernel->axes[b] = axis;
    for (int i = 0; i < kernel->instructions.count; i++) {
        Affine *affine = &kernel->instructions.items[i].affine;
        const Extent *stride = affine->strides[a];
        affine->strides[a] = affine->strides[b];
        affine->strides[b] = stride;
    }
}

static void merge_axes(Lowering *lowering, Kernel *kernel) {
    for (int axis = kernel->axis_count - 2; axis >= 0; axis--) {
        if (axis + 1 >= kernel->axis_count) continue;
        Axis *a = &kernel->axes[axis], *b = &kernel->axes[axis + 1];
        if (a->role == b->role && a->role != AXIS_LOOP && extent_is(b->extent, 1)) {
            remove_axis(lowering, kernel, axis + 1);
        } else if (can_merge(lowering, kernel, axis)) {
            b->extent = extent_multiply(lowering->extents, a->extent, b->extent);
            remove_axis(lowering, kernel, axis);
        }
    }
}

// How many passes over the reduced axes a kernel makes: stores of what depends on none of them come between passes.
static void number_phases(const Lowering *lowering, Kernel *kernel) {
    const uint32_t *depends = kernel_depends(lowering->arena, kernel);
    uint32_t inner = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role > AXIS_PARALLEL) inner |= UINT32_C(1) << axis;
    kernel->phase_count = 1;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        bool passes = instruction->kind == INSTRUCTION_REDUCE || (is_effect(instruction) && (depends[i] & inner));
        if (passes && instruction->phase + 1 > kernel->phase_count) kernel->phase_count = instruction->phase + 1;
    }
}

// Further M and N axes become parallel ones: each a loop around the product of the rest.
static void single_roles(Kernel *kernel) {
    for (int role = AXIS_M; role <= AXIS_N; role++) {
        for (int axis = 0; axis + 1 < kernel->axis_count; axis++) {
            if ((int)kernel->axes[axis].role != role || (int)kernel->axes[axis + 1].role != role) continue;
            kernel->axes[axis].role = AXIS_PARALLEL;
            int to = axis;
            while (to > 0 && kernel->axes[to - 1].role > AXIS_PARALLEL) {
                swap_axes(kernel, to - 1, to);
                to--;
            }
        }
    }
}

// ---- panels of a contraction's right operand

// Copying operand 1 to panels pays when it is computed or strided, or has several panels, is large, and is read by many
// rows of tiles. An open dim counts as the size of a usual batch.
enum { PACK_ELEMENTS = 32768, PACK_ROWS = 48, UNPACKED_ROWS = 4, PACK_BLOCK = 4, USUAL_BATCH = 128 };

static double usual_size(const Extent *extent) {
    int64_t size = USUAL_BATCH;
    extent_is_constant(extent, &size);
    return (double)size;
}

static void choose_pack(Lowering *lowering, Kernel *kernel) {
    const Axis *m = NULL, *n = NULL, *k = NULL;
    int n_axis = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++) {
        if (kernel->axes[axis].role == AXIS_M) m = &kernel->axes[axis];
        if (kernel->axes[axis].role == AXIS_N) n = &kernel->axes[n_axis = axis];
        if (kernel->axes[axis].role == AXIS_K) k = &kernel->axes[axis];
    }
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *contract = &kernel->instructions.items[i];
        if (contract->kind != INSTRUCTION_CONTRACT) continue;
        const Instruction *right = &kernel->instructions.items[contract->operands[1]];
        bool plain =
            right->kind == INSTRUCTION_LOAD && right->operands[0] < 0 && extent_is(right->affine.strides[n_axis], 1);
        double rows_of_tiles = usual_size(m->extent), columns = usual_size(n->extent);
        bool large = columns > PACK_COLUMNS && columns * usual_size(k->extent) > PACK_ELEMENTS;
        bool pays = plain ? large && rows_of_tiles >= PACK_ROWS : rows_of_tiles > UNPACKED_ROWS;
        if (!pays) continue;
        // What lies transposed is turned PACK_BLOCK rows at a time, so some are written behind the last.
        const Extent *rows = extent_add(lowering->extents, k->extent, extent_constant(lowering->extents, PACK_BLOCK));
        const Extent *elements =
            extent_multiply(lowering->extents, rows, extent_constant(lowering->extents, PACK_COLUMNS));
        kernel->pack = add_buffer(lowering, contract->dtype, SPACE_SCRATCH, 0, NULL, elements, "panel");
    }
}

static void mark_wanted(const Lowering *lowering, bool *kept) {
    for (int i = 0; i < lowering->roots.count; i++) {
        const Root *root = &lowering->roots.items[i];
        if (root->buffer && (!root->whole || root->wanted)) kept[root->buffer->id] = true;
    }
}

static void drop_empty(KernelArray *kernels) {
    int kept = 0;
    for (int i = 0; i < kernels->count; i++) {
        Kernel *kernel = kernels->items[i];
        if (kernel->kind != KERNEL_LOOP && !kernel->instructions.count) continue;
        kernel->id = kept;
        kernels->items[kept++] = kernel;
    }
    kernels->count = kept;
}

void tidy_kernels(Lowering *lowering) {
    int *loads = arena_array(lowering->arena, int, lowering->program->buffers.count);
    bool *kept = arena_array(lowering->arena, bool, lowering->program->buffers.count);
    count_loads(lowering->kernels, loads);
    mark_wanted(lowering, kept);
    for (int i = 0; i < lowering->drafts.count; i++) {
        Kernel *kernel = lowering->drafts.items[i]->kernel;
        if (kernel->kind == KERNEL_LOOP) continue;
        drop_dead(lowering, kernel, loads, kept);
        merge_axes(lowering, kernel);
        if (kernel->kind == KERNEL_CONTRACT) single_roles(kernel);
        if (kernel->kind == KERNEL_CONTRACT) choose_pack(lowering, kernel);
        number_phases(lowering, kernel);
    }
    drop_empty(lowering->kernels);
}
