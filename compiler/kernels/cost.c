// The cost model: what kernels read, write and compute, counted from their instructions, and what is concluded from it.
//
// Costs are polynomials of the open dims, like everything that counts elements. They choose who does the work, never
// what is computed: no bit depends on this file.
#include "kernels/kernel.h"

#include <unistd.h>

// In floating operations: what one element of an op takes.
enum { FLOPS_SIMPLE = 1, FLOPS_DIVIDE = 8, FLOPS_FUNCTION = 20, FLOPS_RANDOM = 40, FLOPS_SORTED = 64 };
// What takes so many is kept in a first-level cache, where it is needed again, rather than computed again.
enum { FLOPS_KEPT = 8 };
// A byte of memory takes as long as so many operations.
enum { BYTE_WORK = 4 };
// An update that a product stores itself saves that the gradient is written and read again, but is code of its own for
// each kind of product, and walks the arrays in strips. So the product must not be small; and an update of more than
// UPDATE_FLOPS an element, which takes as long from a cache as from the next, gains only where all gradients together
// are too much for a second-level cache.
enum { UPDATED_ELEMENTS = 1 << 14, UPDATE_FLOPS = 16, CACHED_GRADIENTS = 1 << 20 };
// About how many elements a worker takes at once along an axis.
enum { VECTOR_BLOCK = 64, ROW_BLOCK = 8, SHORT_AXIS = 12 };
// What packing an element takes.
enum { PACK_WORK = 20 };
#define NOTABLY_LESS 0.97

// What an open dim counts as where kernels are told from tiny ones, and the work of a kernel beside which a call is
// nothing.
enum { USUAL_DIM = 32, APART_WORK = 1 << 15 };

static ExtentTable *table_of(const KernelProgram *program) {
    return program->graph->extents;
}

static const Extent *times(const KernelProgram *program, const Extent *extent, int64_t factor) {
    return extent_multiply(table_of(program), extent, extent_constant(table_of(program), factor));
}

static const Extent *plus(const KernelProgram *program, const Extent *a, const Extent *b) {
    return extent_add(table_of(program), a, b);
}

// How many elements the axes of `mask` have together; the counters of enclosing loops count as one.
static const Extent *elements_along(const KernelProgram *program, const Kernel *kernel, uint32_t mask) {
    const Extent *count = extent_constant(table_of(program), 1);
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if ((mask >> axis & 1) && kernel->axes[axis].role != AXIS_LOOP)
            count = extent_multiply(table_of(program), count, kernel->axes[axis].extent);
    return count;
}

int64_t element_flops(Op op) {
    if (op_is_function(op)) return FLOPS_FUNCTION;
    if (op == OP_divide || op == OP_sqrt) return FLOPS_DIVIDE;
    return op == OP_fma ? 2 * FLOPS_SIMPLE : FLOPS_SIMPLE;
}

static int64_t flops_of(const Instruction *instruction) {
    switch (instruction->kind) {
    case INSTRUCTION_RANDOM: return FLOPS_RANDOM;
    case INSTRUCTION_CONTRACT: return 2;
    case INSTRUCTION_SORT: return FLOPS_SORTED;
    case INSTRUCTION_REDUCE:
    case INSTRUCTION_ADD_STORE:
    case INSTRUCTION_SCATTER: return FLOPS_SIMPLE;
    case INSTRUCTION_MAP: return element_flops(instruction->op);
    default: return 0;
    }
}

bool instruction_is_dear(const Instruction *instruction) {
    return flops_of(instruction) >= FLOPS_KEPT;
}

// The axes over which the instruction runs: reductions run over those that they sum, too.
static uint32_t axes_run(const Kernel *kernel, const uint32_t *depends, int number) {
    const Instruction *instruction = &kernel->instructions.items[number];
    uint32_t axes = depends[number];
    for (int i = 0; i < MAX_ARITY; i++)
        if (instruction->operands[i] >= 0) axes |= depends[instruction->operands[i]];
    return axes;
}

// Of each place in memory only the first access costs bytes. Places are told apart as in emit/share.c, so that kernels
// that share their code have the same cost.
static bool is_repeated(const Kernel *kernel, int number) {
    const Instruction *access = &kernel->instructions.items[number];
    for (int i = 0; i < number; i++) {
        const Instruction *other = &kernel->instructions.items[i];
        bool same = other->buffer == access->buffer && other->affine.base == access->affine.base;
        if (same && is_effect(other) == is_effect(access)) return true;
    }
    return false;
}

static int64_t bytes_of(const Kernel *kernel, int number) {
    const Instruction *instruction = &kernel->instructions.items[number];
    bool accesses = instruction->kind == INSTRUCTION_LOAD || is_effect(instruction);
    if (!accesses || is_repeated(kernel, number)) return 0;
    int64_t size = dtype_size(instruction->buffer->dtype);
    return instruction->kind == INSTRUCTION_ADD_STORE || instruction->kind == INSTRUCTION_SCATTER ? 2 * size : size;
}

KernelCost kernel_cost(const KernelProgram *program, const Kernel *kernel) {
    const Extent *zero = extent_constant(table_of(program), 0);
    KernelCost cost = {zero, zero};
    const uint32_t *depends = kernel_depends(program->arena, kernel);
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Extent *count = elements_along(program, kernel, axes_run(kernel, depends, i));
        cost.flops = plus(program, cost.flops, times(program, count, flops_of(&kernel->instructions.items[i])));
        count = elements_along(program, kernel, depends[i]);
        cost.bytes = plus(program, cost.bytes, times(program, count, bytes_of(kernel, i)));
    }
    for (int i = 0; i < kernel->body.count; i++) {
        KernelCost part = kernel_cost(program, kernel->body.items[i]);
        cost.flops = plus(program, cost.flops, part.flops);
        cost.bytes = plus(program, cost.bytes, part.bytes);
    }
    return cost;
}

const Extent *kernel_work(const KernelProgram *program, const Kernel *kernel) {
    KernelCost cost = kernel_cost(program, kernel);
    return plus(program, cost.flops, times(program, cost.bytes, BYTE_WORK));
}

bool kernel_stands_apart(const KernelProgram *program, const Kernel *kernel) {
    if (kernel->kind != KERNEL_CONTRACT) return false;
    const Extent *work = kernel_work(program, kernel);
    int dims = extent_dim_count(work);
    int64_t *usual = arena_array(program->arena, int64_t, dims + 1);
    for (int i = 0; i < dims; i++) usual[i] = USUAL_DIM;
    bool overflow = false;
    return extent_evaluate(work, usual, &overflow) >= APART_WORK || overflow;
}

// ---- what is fetched ahead

static int last_of_role(const Kernel *kernel, AxisRole role, int *count) {
    int last = -1;
    *count = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == role) last = axis, (*count)++;
    return last;
}

// An array of more bytes comes from beyond the second cache, where the processor's own fetching hides too little of the
// time between two rows. A row of NEAR_ROW bytes at most leaves room in the first cache for the next, one of FAR_ROW in
// the second.
enum { FAR_ARRAY = 1 << 20, NEAR_ROW = 1 << 14, FAR_ROW = 1 << 18, LEAST_ROW = 512 };
// Elsewhere vectors are fetched FETCH_AHEAD bytes ahead if so many operations wait for each element: a processor looks a
// few hundred instructions ahead, too few to reach the next lines.
enum { FETCH_FLOPS = 10, LEAST_ELEMENT = 4 };

// What pass `phase` computes for the first time, of the operand and what it needs.
static int64_t add_flops(const Kernel *kernel, const uint32_t *depends, int row, int number, bool *counted) {
    if (number < 0 || counted[number] || !(depends[number] >> row & 1)) return 0;
    const Instruction *instruction = &kernel->instructions.items[number];
    int64_t flops = flops_of(instruction);
    counted[number] = true;
    for (int i = 0; i < MAX_ARITY; i++) flops += add_flops(kernel, depends, row, instruction->operands[i], counted);
    return flops;
}

// The pass in which most is computed. *several: there is another.
static int busiest_phase(const KernelProgram *program, const Kernel *kernel, int row, bool *several) {
    const uint32_t *depends = kernel_depends(program->arena, kernel);
    bool *counted = arena_array(program->arena, bool, kernel->instructions.count + 1);
    int64_t most = 0;
    int best = 0, passes = 0;
    for (int phase = 0; phase <= kernel->phase_count; phase++) {
        int64_t flops = 0;
        for (int i = 0; i < kernel->instructions.count; i++) {
            const Instruction *instruction = &kernel->instructions.items[i];
            bool happens = instruction->kind == INSTRUCTION_REDUCE || (is_effect(instruction) && depends[i] >> row & 1);
            if (happens && instruction->phase == phase)
                flops += FLOPS_SIMPLE + add_flops(kernel, depends, row, instruction->operands[0], counted);
        }
        passes += flops > 0;
        if (flops > most) most = flops, best = phase;
    }
    *several = passes > 1;
    return best;
}

// Whether the load reads an array from far away as it lies along `axis`.
static bool is_far(const Instruction *load, int axis) {
    int64_t size = dtype_size(load->dtype), elements;
    if (load->kind != INSTRUCTION_LOAD || load->operands[0] >= 0) return false;
    if (!extent_is(load->affine.strides[axis], 1)) return false;
    return !extent_is_constant(load->buffer->elements, &elements) || elements * size > FAR_ARRAY;
}

// A row at a time, where it passes the caches more than once.
static Fetch fetch_of_row(const Instruction *load, int next, int row, int64_t extent) {
    int64_t bytes = extent * dtype_size(load->dtype);
    if (!is_far(load, row) || extent_is(load->affine.strides[next], 0)) return FETCH_NOT;
    if (bytes < LEAST_ROW || bytes > FAR_ROW) return FETCH_NOT;
    return bytes <= NEAR_ROW ? FETCH_NEAR : FETCH_FAR;
}

static bool find_rows(const KernelProgram *program, const Kernel *kernel, int row, Fetching *fetching) {
    int count, phase = -1;
    int64_t extent;
    bool several;
    fetching->next = last_of_role(kernel, AXIS_PARALLEL, &count);
    if (fetching->next < 0 || !extent_is_constant(kernel->axes[row].extent, &extent)) return false;
    int busiest = busiest_phase(program, kernel, row, &several);
    for (int i = 0; i < kernel->instructions.count && several; i++) {
        fetching->loads[i] = fetch_of_row(&kernel->instructions.items[i], fetching->next, row, extent);
        if (fetching->loads[i]) phase = busiest;
    }
    fetching->phase = phase;
    return phase >= 0;
}

// So much is computed for each element that the next vectors are not asked for early enough.
static bool is_busy(const KernelProgram *program, const Kernel *kernel, int axis) {
    const uint32_t *depends = kernel_depends(program->arena, kernel);
    int64_t flops = 0;
    for (int i = 0; i < kernel->instructions.count; i++)
        if (axes_run(kernel, depends, i) >> axis & 1) flops += flops_of(&kernel->instructions.items[i]);
    return flops >= FETCH_FLOPS;
}

static bool is_long(const Kernel *kernel, int axis) {
    int64_t extent;
    return !extent_is_constant(kernel->axes[axis].extent, &extent) || extent * LEAST_ELEMENT > FETCH_AHEAD;
}

Fetching kernel_fetching(const KernelProgram *program, const Kernel *kernel) {
    Fetching fetching = {.phase = -1, .loads = arena_array(program->arena, Fetch, kernel->instructions.count + 1)};
    int count, axis = last_of_role(kernel, kernel->kind == KERNEL_ROW ? AXIS_ROW : AXIS_PARALLEL, &count);
    if ((kernel->kind != KERNEL_ROW && kernel->kind != KERNEL_MAP) || axis < 0) return fetching;
    if (kernel->kind == KERNEL_ROW && find_rows(program, kernel, axis, &fetching)) return fetching;
    fetching.next = -1;
    if (!is_long(kernel, axis) || !is_busy(program, kernel, axis)) return fetching;
    for (int i = 0; i < kernel->instructions.count; i++) {
        fetching.loads[i] = is_far(&kernel->instructions.items[i], axis) ? FETCH_NEAR : FETCH_NOT;
        if (fetching.loads[i]) fetching.phase = 0;
    }
    return fetching;
}

// ---- what is stored past the caches

// A store past the caches saves reading what it overwrites, but whoever reads the result has to fetch it from memory. It
// pays for arrays that would drive everything else from the last cache. Of a very large one a core has only a share.
enum { USUAL_CACHE = 1 << 25, LARGEST_SHARE = 1 << 26 };

int64_t kernel_stream_bytes(void) {
    long last = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
    last = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    int64_t half = (last > 0 ? last : USUAL_CACHE) / 2;
    return half < LARGEST_SHARE ? half : LARGEST_SHARE;
}

static void find_read(const KernelArray *kernels, bool *read) {
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        for (int k = 0; k < kernel->instructions.count; k++) {
            const Instruction *instruction = &kernel->instructions.items[k];
            if (instruction->buffer && instruction->kind != INSTRUCTION_STORE) read[instruction->buffer->id] = true;
        }
        find_read(&kernel->body, read);
    }
}

void kernel_program_stream(KernelProgram *program) {
    bool *read = arena_array(program->arena, bool, program->buffers.count + 1);
    find_read(&program->kernels, read);
    for (int i = 0; i < program->kernels.count; i++) {
        const Kernel *kernel = program->kernels.items[i];
        for (int k = 0; k < kernel->instructions.count; k++) {
            Instruction *store = &kernel->instructions.items[k];
            int64_t elements;
            if (store->kind != INSTRUCTION_STORE || read[store->buffer->id]) continue;
            if (kernel->kind != KERNEL_MAP && kernel->kind != KERNEL_ROW) continue;
            if (!extent_is_constant(store->buffer->elements, &elements)) continue;
            store->streamed = elements * dtype_size(store->buffer->dtype) >= program->stream_bytes;
        }
    }
}

// ---- what workers divide among them

// An extent as it usually is: open dims have the size of a batch.
static int64_t usual_extent(const KernelProgram *program, const Extent *extent) {
    int dims = extent_dim_count(extent);
    int64_t *values = arena_array(program->arena, int64_t, dims + 1);
    for (int i = 0; i < dims; i++) values[i] = program->usual_extent;
    return extent_evaluate(extent, values, NULL);
}

static double usual_elements(const KernelProgram *program, const Kernel *kernel, uint32_t mask) {
    return (double)usual_extent(program, elements_along(program, kernel, mask));
}

// A short last axis of rows belongs to the tiles (emit/contract.c).
static bool is_inner(const Kernel *kernel, int axis) {
    int count, last = last_of_role(kernel, AXIS_M, &count);
    int64_t extent;
    return axis == last && count > 1 && extent_is_constant(kernel->axes[axis].extent, &extent) && extent <= SHORT_AXIS;
}

// Every effect must change along the axis: what does not would happen once for each worker.
static uint32_t axes_of_effects(const KernelProgram *program, const Kernel *kernel) {
    const uint32_t *depends = kernel_depends(program->arena, kernel);
    uint32_t axes = UINT32_MAX;
    for (int i = 0; i < kernel->instructions.count; i++)
        if (is_effect(&kernel->instructions.items[i])) axes &= depends[i];
    return axes;
}

// Along which axes the work may be divided.
static bool may_split(const Kernel *kernel, int axis) {
    AxisRole role = kernel->axes[axis].role;
    return role == AXIS_PARALLEL || role == AXIS_N || (role == AXIS_M && !is_inner(kernel, axis));
}

// About how many elements along the axis stay together: those of a tile, or of some vectors.
static int64_t block_along(const Kernel *kernel, int axis) {
    AxisRole role = kernel->axes[axis].role;
    int parallel, rows, last_parallel = last_of_role(kernel, AXIS_PARALLEL, &parallel);
    int last_row = last_of_role(kernel, AXIS_M, &rows);
    if (role == AXIS_N) return VECTOR_BLOCK;
    if (role == AXIS_M) return axis == last_row ? ROW_BLOCK : 1;
    bool vectors = kernel->kind == KERNEL_MAP || kernel->kind == KERNEL_COLUMN;
    return vectors && axis == last_parallel ? VECTOR_BLOCK : 1;
}

// The part of the whole that the worker has who has most. One worker is asked about as if there were two.
static double largest_part(const KernelProgram *program, const Kernel *kernel, int axis) {
    int64_t block = block_along(kernel, axis), workers = program->workers > 1 ? program->workers : 2;
    int64_t blocks = (usual_extent(program, kernel->axes[axis].extent) + block - 1) / block;
    return blocks > 1 ? (double)((blocks + workers - 1) / workers) / (double)blocks : 1;
}

// How long that worker takes. Workers with rows of their own all pack the same columns, and the other way round.
static double split_time(const KernelProgram *program, const Kernel *kernel, int axis, double work) {
    uint32_t columns = 0, rows = 0;
    for (int i = 0; i < kernel->axis_count; i++) {
        AxisRole role = kernel->axes[i].role;
        if (role != AXIS_M) columns |= UINT32_C(1) << i;
        if (role != AXIS_N) rows |= UINT32_C(1) << i;
    }
    AxisRole role = kernel->axes[axis].role;
    double part = largest_part(program, kernel, axis);
    double right = kernel->pack ? PACK_WORK * usual_elements(program, kernel, columns) : 0;
    double left = kernel->pack_left ? PACK_WORK * usual_elements(program, kernel, rows) : 0;
    return work * part + right * (role == AXIS_M ? 1 : part) + left * (role == AXIS_N ? 1 : part);
}

int kernel_split_axis(const KernelProgram *program, const Kernel *kernel) {
    if (kernel->kind == KERNEL_SCATTER || kernel->kind == KERNEL_LOOP) return -1;
    uint32_t allowed = axes_of_effects(program, kernel);
    double work = (double)usual_extent(program, kernel_work(program, kernel)), least = 0;
    int best = -1;
    for (int axis = 0; axis < kernel->axis_count; axis++) {
        if (!may_split(kernel, axis) || !(allowed >> axis & 1) || largest_part(program, kernel, axis) == 1) continue;
        double time = split_time(program, kernel, axis, work);
        if (best >= 0 && time > NOTABLY_LESS * least) continue;   // outer axes leave each worker longer runs
        least = time;
        best = axis;
    }
    return best;
}

static void add_shared(const KernelProgram *program, const KernelArray *kernels, const Extent *rounds,
                       const Extent **work) {
    for (int i = 0; i < kernels->count; i++) {
        const Kernel *kernel = kernels->items[i];
        if (kernel->kind == KERNEL_LOOP) {
            const Extent *trips = kernel->axes[kernel->axis_count - 1].extent;
            add_shared(program, &kernel->body, extent_multiply(table_of(program), rounds, trips), work);
            continue;
        }
        const Extent *once = kernel_work(program, kernel);
        int64_t known;
        bool small = extent_is_constant(once, &known) && known < program->split_work;
        if (small || kernel_split_axis(program, kernel) < 0) continue;
        *work = plus(program, *work, extent_multiply(table_of(program), rounds, once));
    }
}

const Extent *kernel_program_shared_work(const KernelProgram *program) {
    const Extent *work = extent_constant(table_of(program), 0);
    add_shared(program, &program->kernels, extent_constant(table_of(program), 1), &work);
    return work;
}

bool product_takes_update(int64_t elements, int64_t flops, int64_t gradient_bytes) {
    return elements >= UPDATED_ELEMENTS && (flops <= UPDATE_FLOPS || gradient_bytes > CACHED_GRADIENTS);
}

void kernel_program_serialise(KernelProgram *program) {
    program->workers = 1;
    for (int i = 0; i < program->buffers.count; i++) program->buffers.items[i]->copies = 1;
}
