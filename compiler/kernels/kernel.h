// Kernels: loop nests with everything fused in, and no LLVM in sight.
//
// A KernelProgram is the body of one compiled function: kernels in the order in which they run, and the buffers that
// they read and write. A kernel is an iteration domain (axes) and a list of instructions in SSA form. Views are gone:
// they are the affine index arithmetic of loads and stores. Extents, strides and offsets are polynomials of the open
// dims, evaluated once per call.
#ifndef GRADC_KERNELS_KERNEL_H
#define GRADC_KERNELS_KERNEL_H

#include "graph/graph.h"

// Where the frame has it (runtime/gradc_frame.h).
typedef enum {
    SPACE_PARAMETERS,
    SPACE_GRADIENTS,
    SPACE_STATE,
    SPACE_OPTIMIZER,
    SPACE_INPUT,    // inputs[index]
    SPACE_OUTPUT,   // outputs[index]
    SPACE_TAPE,
    SPACE_SCRATCH,
    SPACE_HYPERPARAMETERS
} Space;

// A row-major array. Two buffers overlap only in scratch, when their lives do not, and where a parameter or state is
// updated in place (the loads come first, or in the same kernel at the same element).
typedef struct Buffer {
    int id;
    Dtype dtype;
    Space space;
    int index;              // SPACE_INPUT, SPACE_OUTPUT
    const Extent *offset;   // in bytes from the start of the space; scratch: set by the plan
    const Extent *elements;
    const char *name;          // from the source
    int first_use, last_use;   // positions of kernels, top level; scratch only
    int copies;                // scratch: one for each worker, where every worker needs its own; else 1
} Buffer;

// A contraction may have MAX_RANK axes of its result, M and N besides, and MAX_RANK that are summed; around it are loops.
enum {
    MAX_AXES = 2 * MAX_RANK + 2 + MAX_LOOP_DEPTH,
    PACK_COLUMNS = 64,
    PACK_BLOCK = 4,
    PACK_APART = 16,
    MAX_REDUCTIONS = 8
};

typedef enum {
    AXIS_LOOP,       // the counter of an enclosing loop kernel: fixed while this kernel runs; these come first
    AXIS_PARALLEL,   // every element is independent. The last parallel axis of MAP and COLUMN kernels is the vector axis
    AXIS_ROW,        // ROW: the reduced axis, which is also the vector axis
    AXIS_COLUMN,     // COLUMN: a reduced axis, walked in order
    AXIS_M,          // CONTRACT: rows of the result: in lhs and result
    AXIS_N,          // CONTRACT: columns of the result: in rhs and result; the vector axis
    AXIS_K           // CONTRACT: summed
} AxisRole;

typedef struct {
    AxisRole role;
    const Extent *extent;
} Axis;

// base + sum of strides[axis] * (index of axis), over the kernel's axes. In elements for loads and stores.
typedef struct {
    const Extent *base;
    const Extent *strides[MAX_AXES];   // never NULL up to the kernel's axis_count
} Affine;

typedef enum {
    // values
    INSTRUCTION_CONSTANT,   // scalar
    INSTRUCTION_EXTENT,     // the number `affine.base` as dtype
    INSTRUCTION_INDEX,      // the value of `affine` as dtype: iota
    INSTRUCTION_RANDOM,     // op: random_uniform or random_normal; element number `affine`, site `scalar.integer`
    INSTRUCTION_LOAD,       // buffer[affine]; with operand 0 (an integer): buffer[affine + stride * clamp(operand 0,
                            // 0, limit - 1)], recording the fault where it had to clamp
    INSTRUCTION_MAP,        // op of its operands
    INSTRUCTION_REDUCE,     // op (reduce_*) of operand 0 over the reduced axes, in S10's order. ROW and COLUMN
    INSTRUCTION_CONTRACT,   // sum over K of operand 0 * operand 1, in S10's order. CONTRACT
    // effects
    INSTRUCTION_STORE,       // buffer[affine] = operand 0
    INSTRUCTION_ADD_STORE,   // buffer[affine] += operand 0 (the sum in the buffer's dtype): gradients that accumulate
    INSTRUCTION_SCATTER,     // SCATTER: buffer[affine + stride * clamp(operand 1, 0, limit - 1)] += operand 0, in order
    INSTRUCTION_SORT         // SORT: buffer[affine] = the places of operand 0 along the row axis, in order; scalar 1:
                             // descending
} InstructionKind;

typedef struct {
    InstructionKind kind;
    Op op;
    Dtype dtype;               // of the value; of what is stored
    int operands[MAX_ARITY];   // numbers of earlier instructions; -1: none
    Scalar scalar;
    Buffer *buffer;
    Affine affine;
    const Extent *stride, *limit;   // indexed loads and scatter
    int phase;          // ROW and COLUMN, for REDUCE, STORE and ADD_STORE: in which pass over the reduced axes
                        // it happens. A pass uses reductions of earlier passes only; values that several
                        // passes need are computed again in each. Instructions that depend on no reduced axis
                        // (see kernel_depends) are computed once per outer index, between passes; a
                        // store of such a value happens after the pass before its phase.
    bool streamed;      // STORE: past the caches, where the machine can; set by kernel_program_stream
    const Node *node;   // where it came from, for names and spans; may be NULL
} Instruction;

typedef enum {
    KERNEL_MAP,      // parallel axes only
    KERNEL_ROW,      // parallel axes, then one AXIS_ROW. Sums in S10's lane order (graph/order.h)
    KERNEL_COLUMN,   // parallel axes (maybe none), then AXIS_COLUMN axes; sums in S10's sequential order
    KERNEL_CONTRACT,   // parallel axes (batch), then M axes, exactly one N, and K axes. Operand 0 of the CONTRACT instruction
                       // depends on parallel, M and K axes only, operand 1 on parallel, K and N; both may be whole
                       // expressions (fused producers: computed while packing). What follows it is the epilogue, at
                       // parallel, M and N
    KERNEL_SCATTER,   // parallel axes, all run in order by one thread; one SCATTER
    KERNEL_SORT,   // parallel axes, then one AXIS_ROW; one SORT, with room in `pack` for a row of places and two of keys
    KERNEL_LOOP    // runs `body` for each value of its counter, in order: axis `axis_count - 1`, an AXIS_LOOP
} KernelKind;

typedef struct Kernel Kernel;
typedef ARRAY(Kernel *) KernelArray;

struct Kernel {
    KernelKind kind;
    int id;             // position at its level
    const char *name;   // "hidden.add", from the source
    Span span;
    int axis_count;
    Axis axes[MAX_AXES];
    ARRAY(Instruction) instructions;
    int phase_count;   // ROW and COLUMN: passes over the reduced axes
    // CONTRACT: room for pack_columns columns of operand 1, at least PACK_COLUMNS; NULL: read where it lies. SORT: too
    Buffer *pack;
    int pack_columns;
    Buffer *pack_left;   // CONTRACT: room for all rows of operand 0, in blocks; NULL: read where they lie
    KernelArray body;    // LOOP: their axes begin with this kernel's axes
};

// What a function reads that is not a node's own computation, and where its results go.
typedef struct {
    Node *node;
    Space space;
    int index;
    const Extent *offset;   // bytes
    bool accumulate;        // results only: add into what is there
} Placement;

typedef struct {
    Arena *arena;
    Graph *graph;
    const char *name;   // symbol of the function: "nll_step"
    KernelArray kernels;
    ARRAY(Buffer *) buffers;
    const Extent *scratch_bytes;   // set by the plan
    int workers;                   // that share the work of large kernels; 1: there is but one
    bool timed;                    // the frame's `synchronise` is called after each kernel: see gradc_timed in emit.h
    int64_t stream_bytes;          // a result of so many or more is stored past the caches: kernel_stream_bytes()
    int64_t usual_extent;          // what an open dim probably is: USUAL_EXTENT, or the size of a batch
    int64_t split_work;            // a kernel of less work is left to one of them: SPLIT_WORK, or what a test says
} KernelProgram;

KernelProgram *kernel_program_create(Graph *graph, const char *name, int workers);

// Appends the kernels that compute `results` from `leaves` (variables, and nodes that another function left on the
// tape). Results whose place is that of a leaf (an update in place) are computed last. Needs: no gradient, track or
// stop_gradient nodes; normalised reductions; fma placed. False: what is updated had to be computed elsewhere first.
bool kernel_program_add(KernelProgram *program, const Placement *leaves, int leaf_count, const Placement *results,
                        int result_count);
// A scratch buffer that outlives the kernels around it: the flat gradients between a step's two halves. Use as the
// place of later results and leaves: space SPACE_SCRATCH, index = its id.
Buffer *kernel_program_reserve(KernelProgram *program, Dtype dtype, const Extent *elements, const char *name);
// Gives every scratch buffer its offset and sets scratch_bytes. Call once, after the last add.
void kernel_program_plan(KernelProgram *program);
// How many bytes of scratch live while each kernel runs: no plan can do with less.
const Extent **kernel_program_live(const KernelProgram *program);

static inline bool is_effect(const Instruction *instruction) {
    return instruction->kind >= INSTRUCTION_STORE;
}

// ---- cost.c: the cost model. All that gradc guesses about time is in that file; it moves no bit

typedef struct {
    const Extent *flops;   // floating operations; a function such as exp counts as many
    const Extent *bytes;   // that are read and written, each array once
} KernelCost;
KernelCost kernel_cost(const KernelProgram *program, const Kernel *kernel);
// Whether a value is better kept in a cache than computed again.
bool instruction_is_dear(const Instruction *instruction);
// How large a result must be to be stored past the caches of this machine; and the choice of the stores, after the last
// add: of results that no kernel of the program reads.
int64_t kernel_stream_bytes(void);
void kernel_program_stream(KernelProgram *program);
// What a ROW kernel fetches in pass `phase` while it computes a row: of the next along the axis `next`; or, and a MAP
// kernel, with `next` -1, what lies FETCH_AHEAD bytes further on. phase -1: nothing.
typedef enum { FETCH_NOT, FETCH_NEAR, FETCH_FAR } Fetch;   // into the first cache, or the second
enum { FETCH_AHEAD = 1 << 12 };
typedef struct {
    int phase, next;
    Fetch *loads;   // by instruction
} Fetching;
Fetching kernel_fetching(const KernelProgram *program, const Kernel *kernel);
// The axis whose elements the workers divide among them; -1: there is none, or it is too short.
int kernel_split_axis(const KernelProgram *program, const Kernel *kernel);
// The kernel's work in units of which a core does about 32 in a cycle. A loop's is that of one round.
const Extent *kernel_work(const KernelProgram *program, const Kernel *kernel);
// Whether the kernel is a function of its own: what is less is code where it runs.
bool kernel_stands_apart(const KernelProgram *program, const Kernel *kernel);
// A kernel is divided if its work is at least this: what a barrier costs must be little beside it.
enum { SPLIT_WORK = 1 << 20, USUAL_EXTENT = 4096 };
// The work of all kernels that may be divided, loops with all rounds; and how much of it is worth a second worker.
const Extent *kernel_program_shared_work(const KernelProgram *program);
enum { SHARED_WORK = 1 << 25 };
// Of an elementwise op: about so many operations.
int64_t element_flops(Op op);
// Whether the product that computes a gradient of so many elements should update the parameter, which takes so many
// operations an element, where all gradients together have so many bytes.
bool product_takes_update(int64_t elements, int64_t flops, int64_t gradient_bytes);
// Leaves all work to one worker. Before the plan.
void kernel_program_serialise(KernelProgram *program);

// For each instruction the axes, as a bit mask, along which its value changes, or for an effect its value or its place.
const uint32_t *kernel_depends(Arena *arena, const Kernel *kernel);
// "contract", "map", ...
const char *kernel_kind_name(KernelKind kind);
const char *kernel_program_verify(const KernelProgram *program);   // NULL or the first fault
// Adds the program as bytes, without names: the same bytes, the same code.
void kernel_program_bytes(Text *text, const KernelProgram *program);
void kernel_program_print(Text *text, const KernelProgram *program);
void kernel_program_print_plan(Text *text, const KernelProgram *program);

#endif
