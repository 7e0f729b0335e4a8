// Tidies finished kernels. Needs: all kernels of a function or body. Keeps: what is stored, to the bit. Changes: drops
// stores that nobody loads and instructions that nothing uses; runs axes as one where every access allows it; puts a
// long axis last where vectors run; leaves contractions with one N axis.
#include "kernels/lowering.h"

#include <string.h>

// How the buffers that were made here are used, by their numbers from `first`. Those made before are all wanted.
typedef struct {
    int first;
    bool *loaded, *kept;
} Uses;

static void find_loads(const KernelArray *kernels, int first_kernel, Uses *uses) {
    for (int i = first_kernel; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        for (int k = 0; k < kernel->instructions.count; k++) {
            const Instruction *instruction = &kernel->instructions.items[k];
            if (instruction->kind == INSTRUCTION_LOAD && instruction->buffer->id >= uses->first)
                uses->loaded[instruction->buffer->id - uses->first] = true;
        }
        find_loads(&kernel->body, 0, uses);
    }
}

static bool is_wanted(const Uses *uses, const Buffer *buffer) {
    int number = buffer->id - uses->first;
    return buffer->space != SPACE_SCRATCH || number < 0 || uses->loaded[number] || uses->kept[number];
}

// Keeps what effects need, renumbering operands.
static void drop_dead(Lowering *lowering, Kernel *kernel, const Uses *uses) {
    int count = kernel->instructions.count;
    Instruction *items = kernel->instructions.items;
    bool *live = arena_array(lowering->arena, bool, count);
    for (int i = count - 1; i >= 0; i--) {
        if (is_effect(&items[i])) live[i] = is_wanted(uses, items[i].buffer);
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

// Of an elementwise kernel, whether everything that it loads along the axis lies side by side, or is the same.
static bool loads_in_line(const Kernel *kernel, int axis) {
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        const Extent *stride = instruction->affine.strides[axis];
        bool in_line = extent_is(stride, 0) || (extent_is(stride, 1) && instruction->operands[0] < 0);
        if (instruction->kind == INSTRUCTION_LOAD && !in_line) return false;
    }
    return true;
}

static int64_t lanes_along(const Axis *axis) {
    enum { LANES = 16 };
    int64_t size;
    return extent_is_constant(axis->extent, &size) && size < LANES ? size : LANES;
}

// Elementwise kernels walk their last axis in vectors. If that fills less than half of one, another axis that fills more
// and is loaded as well goes last.
static void widen_vectors(Kernel *kernel) {
    int last = kernel->axis_count - 1, best = last;
    if (last < 0 || kernel->axes[last].role != AXIS_PARALLEL || 2 * lanes_along(&kernel->axes[last]) >= 16) return;
    for (int axis = last - 1; axis >= 0 && kernel->axes[axis].role == AXIS_PARALLEL; axis--) {
        bool wider = lanes_along(&kernel->axes[axis]) >= 2 * lanes_along(&kernel->axes[best]);
        if (wider && loads_in_line(kernel, axis)) best = axis;
    }
    for (int axis = best; axis < last; axis++) swap_axes(kernel, axis, axis + 1);
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

// All N axes but the last become parallel ones: each a loop around the product of the rest.
static void single_columns(Kernel *kernel) {
    for (int axis = 0; axis + 1 < kernel->axis_count; axis++) {
        if (kernel->axes[axis].role != AXIS_N || kernel->axes[axis + 1].role != AXIS_N) continue;
        kernel->axes[axis].role = AXIS_PARALLEL;
        int to = axis;
        while (to > 0 && kernel->axes[to - 1].role > AXIS_PARALLEL) {
            swap_axes(kernel, to - 1, to);
            to--;
        }
    }
}

// ---- panels of a contraction's right operand

// Copying operand 1 to panels pays when it is computed or strided, or has several panels, is more than a corner of a
// first-level cache, and is read by so many rows that the copy's time is little of the product's: then tiles read straight
// ahead, in whole lines. An open dim counts as the size of a batch, but as no more than a usual one.
enum {
    PACK_FAR_ELEMENTS = 1 << 19,
    PACK_FAR_TILES = 24,
    PACK_ELEMENTS = 4096,
    PACK_PRODUCTS = 3 << 18,
    PACK_ROWS = 48,
    UNPACKED_ROWS = 4,
    USUAL_BATCH = 128
};
// The same for operand 0, by where its elements lie.
enum {
    PACK_CACHED = 1 << 18,
    PACK_OPEN_COLUMNS = 256,
    PACK_LEFT_COLUMNS = 128,
    PACK_COMPUTED = 1024,
    PACK_TURNED = 1 << 16,
    PACK_FAR = 1 << 20,
    PACK_FAR_ROWS = 512
};

static double usual_size(const Lowering *lowering, const Extent *extent) {
    int64_t batch = lowering->program->usual_extent, size = batch < USUAL_BATCH ? batch : USUAL_BATCH;
    extent_is_constant(extent, &size);
    return (double)size;
}

static bool is_plain_load(const Instruction *instruction) {
    return instruction->kind == INSTRUCTION_LOAD && instruction->operands[0] < 0;
}

// The product of the extents of a role's axes.
static const Extent *extent_of_role(Lowering *lowering, const Kernel *kernel, AxisRole role) {
    const Extent *extent = extent_constant(lowering->extents, 1);
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == role)
            extent = extent_multiply(lowering->extents, extent, kernel->axes[axis].extent);
    return extent;
}

static double usual_size_of_role(const Lowering *lowering, const Kernel *kernel, AxisRole role) {
    double size = 1;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == role) size *= usual_size(lowering, kernel->axes[axis].extent);
    return size;
}

static Buffer *add_pack(Lowering *lowering, Dtype dtype, const Extent *elements, const char *name) {
    Buffer *pack = add_buffer(lowering, dtype, SPACE_SCRATCH, 0, NULL, elements, name);
    pack->copies = lowering->program->workers;
    return pack;
}

// So many columns of operand 1 as stay in a second-level cache while all rows pass by. Of an open sum, whose columns may
// be longer than usual, not all that would.
static int columns_at_once(const Lowering *lowering, const Kernel *kernel) {
    double columns = PACK_CACHED / usual_size_of_role(lowering, kernel, AXIS_K),
           all = usual_size_of_role(lowering, kernel, AXIS_N);
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == AXIS_K && !extent_is_constant(kernel->axes[axis].extent, NULL))
            columns = columns < PACK_OPEN_COLUMNS ? columns : PACK_OPEN_COLUMNS;
    if (columns > all) columns = all;
    return columns > PACK_COLUMNS ? (int)columns : PACK_COLUMNS;
}

static void pack_right(Lowering *lowering, Kernel *kernel, const Instruction *contract, int n_axis) {
    const Instruction *right = &kernel->instructions.items[contract->operands[1]];
    bool plain = is_plain_load(right) && extent_is(right->affine.strides[n_axis], 1);
    double rows_of_tiles = usual_size_of_role(lowering, kernel, AXIS_M),
           columns = usual_size_of_role(lowering, kernel, AXIS_N);
    double elements = columns * usual_size_of_role(lowering, kernel, AXIS_K);
    bool large = elements >= PACK_ELEMENTS && rows_of_tiles * elements >= PACK_PRODUCTS;
    bool far = elements > PACK_FAR_ELEMENTS;
    double least = far ? PACK_FAR_TILES : PACK_ROWS;   // what is read from memory again and again is dear
    bool pays = plain ? large && columns > PACK_COLUMNS && rows_of_tiles >= least : rows_of_tiles > UNPACKED_ROWS;
    if (!pays) return;
    // What lies transposed is turned PACK_BLOCK rows at a time, so some are written behind the last.
    const Extent *rows = extent_add(lowering->extents, extent_of_role(lowering, kernel, AXIS_K),
                                    extent_constant(lowering->extents, PACK_BLOCK));
    kernel->pack_columns = columns_at_once(lowering, kernel);
    const Extent *columns_room = extent_constant(lowering->extents, kernel->pack_columns);
    kernel->pack = add_pack(lowering, contract->dtype, extent_multiply(lowering->extents, rows, columns_room), "panel");
}

// Copying operand 0 to blocks of rows pays when every panel of columns would compute it again, or when it is read from
// far apart: rows that do not fit in the caches, or a step from one summed element to the next.
static void pack_left(Lowering *lowering, Kernel *kernel, const Instruction *contract, int m_axis) {
    const Instruction *left = &kernel->instructions.items[contract->operands[0]];
    double rows = usual_size_of_role(lowering, kernel, AXIS_M), columns = usual_size_of_role(lowering, kernel, AXIS_N);
    double elements = rows * usual_size_of_role(lowering, kernel, AXIS_K);
    bool turned = is_plain_load(left) && extent_is(left->affine.strides[m_axis], 1);
    double least = !is_plain_load(left) ? PACK_COMPUTED : turned ? PACK_TURNED : PACK_FAR;
    if (is_plain_load(left) && !turned && rows < PACK_FAR_ROWS) return;
    if (rows < PACK_ROWS || columns < PACK_LEFT_COLUMNS || elements < least) return;
    // The last block has rows that are not there, and blocks of several vectors are filled up, which at most doubles
    // them.
    ExtentTable *extents = lowering->extents;
    const Extent *room =
        extent_multiply(extents, extent_of_role(lowering, kernel, AXIS_M), extent_constant(extents, 2));
    room = extent_add(extents, room, extent_constant(extents, PACK_COLUMNS));
    const Extent *summed =
        extent_add(extents, extent_of_role(lowering, kernel, AXIS_K), extent_constant(extents, PACK_APART));
    kernel->pack_left = add_pack(lowering, contract->dtype, extent_multiply(extents, room, summed), "rows");
    // Blocks of rows are apart: workers that have rows of their own have room of their own in the one copy.
    if (kernel_split_axis(lowering->program, kernel) == m_axis) kernel->pack_left->copies = 1;
}

static void choose_pack(Lowering *lowering, Kernel *kernel) {
    int n_axis = 0, m_axis = 0, m_count = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++) {
        if (kernel->axes[axis].role == AXIS_N) n_axis = axis;
        if (kernel->axes[axis].role == AXIS_M) m_axis = axis, m_count++;
    }
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *contract = &kernel->instructions.items[i];
        if (contract->kind != INSTRUCTION_CONTRACT) continue;
        pack_right(lowering, kernel, contract, n_axis);
        if (m_count == 1) pack_left(lowering, kernel, contract, m_axis);
    }
}

static void mark_kept(const Lowering *lowering, Uses *uses) {
    for (int i = 0; i < lowering->roots.count; i++) {
        const Root *root = &lowering->roots.items[i];
        if (root->buffer && root->buffer->id >= uses->first && (!root->whole || root->wanted))
            uses->kept[root->buffer->id - uses->first] = true;
    }
}

static void drop_empty(KernelArray *kernels, int first) {
    int kept = first;
    for (int i = first; i < kernels->count; i++) {
        Kernel *kernel = kernels->items[i];
        if (kernel->kind != KERNEL_LOOP && !kernel->instructions.count) continue;
        kernel->id = kept;
        kernels->items[kept++] = kernel;
    }
    kernels->count = kept;
}

void tidy_kernels(Lowering *lowering) {
    int made = lowering->program->buffers.count - lowering->first_buffer;
    Uses uses = {lowering->first_buffer, arena_array(lowering->arena, bool, made),
                 arena_array(lowering->arena, bool, made)};
    find_loads(lowering->kernels, lowering->first_kernel, &uses);
    mark_kept(lowering, &uses);
    for (int i = 0; i < lowering->drafts.count; i++) {
        Kernel *kernel = lowering->drafts.items[i]->kernel;
        if (kernel->kind == KERNEL_LOOP) continue;
        drop_dead(lowering, kernel, &uses);
        merge_axes(lowering, kernel);
        if (kernel->kind == KERNEL_MAP) widen_vectors(kernel);
        if (kernel->kind == KERNEL_CONTRACT) single_columns(kernel);
        if (kernel->kind == KERNEL_CONTRACT) choose_pack(lowering, kernel);
        number_phases(lowering, kernel);
    }
    drop_empty(lowering->kernels, lowering->first_kernel);
}
