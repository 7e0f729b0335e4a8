// What the files of this folder share: the state of emitting one function, and scopes.
//
//   vocabulary.[ch]  words over LLVM's builder
//   function.c       a KernelProgram's function: arguments, buffers, kernels in order, long lists of them in parts
//   extent.c         extents as values, each computed once at entry
//   scope.c          an instruction's value somewhere in a loop nest
//   access.c         loads and stores: addresses, vectors, masks, checked indices
//   ops.c            elementwise ops: the last column of ops.def
//   fetch.c          what is asked for before it is needed
//   stream.c         stores past the caches
//   quotient.c       quotients of many dividends by one divisor
//   choice.c         conditions that are the same for all elements, and what they save
//   nest.c           loops over axes, and over vectors along one
//   map.c row.c column.c contract.c sequence.c sort.c   the kinds of kernel
//   wide_column.c    column kernels with more columns than registers hold
//   turn.c           elementwise kernels that read an array across, in squares
//   row_values.c     what a row kernel keeps from one pass over a row to the next
//   tile.c pack.c summed.c   a contraction's register tiles, panels of its right operand, the loop over what is summed
//   share.c          kernels that are alike, as functions
//   split.c          which part of a kernel each worker does
//   target.c         the processor that code is made for
//   jit.c load.c     LLVM's code generation; objects into memory, and what code is kept by
#ifndef GRADC_EMIT_EMITTER_H
#define GRADC_EMIT_EMITTER_H

#include "emit/target.h"
#include "emit/vocabulary.h"
#include "kernels/kernel.h"

typedef struct {
    const Extent *extent;
    LLVMValueRef value;
} ExtentValue;

typedef struct {
    const Factor *factor;
    LLVMValueRef value;
} FactorValue;

typedef struct {
    LLVMValueRef function, value;   // the address, and in which function it is known
} BufferValue;

typedef struct Shapes Shapes;

// The functions of a program lie in up to MAX_MODULES modules, each in a context of its own, so that threads can make
// machine code of them at the same time. The program's own function is in the first.
enum { MAX_MODULES = 2 };
typedef struct {
    Code codes[MAX_MODULES];
    int instructions[MAX_MODULES];   // of the functions that are complete
    int count, renamed;
} Modules;

typedef struct {
    Code code;
    Modules *modules;
    const KernelProgram *program;
    const Target *target;
    Shapes *shapes;   // of the program's kernels
    Arena *arena;
    LLVMValueRef frame;
    LLVMBasicBlockRef entry;   // dims, extents and buffers are computed here
    LLVMValueRef dims;
    BufferValue *buffers;   // by id
    LLVMValueRef seed, draw_count, fault;
    ARRAY(ExtentValue) extents;
    ARRAY(FactorValue) factors;
    LLVMValueRef status;                         // i32 in memory: 1 after an index was out of range
    LLVMValueRef loop_index[MAX_AXES];           // of the enclosing loop kernels
    LLVMValueRef totals;                         // of a tile, on the stack; NULL: none yet
    LLVMValueRef rows;                           // of a row kernel, on the stack; NULL: none yet
    bool streams;                                // this is code for arrays that stores past the caches may go to
    int assumed;                                 // a bool of the kernel at hand that is known here to be true; -1: none
    LLVMValueRef worker, workers, synchronise;   // NULL: the code is for one worker
    int split_axis;                              // of the kernel at hand; -1: it is not divided
    LLVMValueRef part, parts;                    // which of how many this worker does
} Emitter;

// What is known of a divisor before its dividends are, in all lanes: see quotient.c.
typedef struct {
    LLVMValueRef value, reciprocal, limit;   // value NULL: nothing
} Divisor;

// A place in a kernel's loop nest. Axes bound by a scope and its parents have an index. A vector scope stands for
// `width` elements along `vector_axis`, whose index is that of the first; lanes outside `mask` don't count.
typedef struct Scope {
    struct Scope *parent;
    const Kernel *kernel;
    const uint32_t *depends;   // by instruction: the axes along which its value changes
    uint32_t bound;            // axes with an index, here or in a parent
    LLVMValueRef index[MAX_AXES];
    int vector_axis;   // -1: scalar
    int width;
    LLVMValueRef mask;        // NULL: all lanes
    LLVMValueRef *values;     // by instruction: computed in this scope
    LLVMValueRef *pointers;   // by access: its address at this scope's indices
    LLVMValueRef *splats;     // by instruction: its value in every lane; NULL: none
    Divisor *divisors;        // by instruction, of what divides along the vector axis; NULL: none
} Scope;

// ---- extent.c
LLVMValueRef extent_value_of(Emitter *emitter, const Extent *extent);   // i64, usable everywhere

// ---- scope.c
Scope scope_root(Emitter *emitter, const Kernel *kernel);
Scope scope_inside(Emitter *emitter, Scope *parent);
void scope_bind(Scope *scope, int axis, LLVMValueRef index);
void scope_vector(Scope *scope, int axis, int width, LLVMValueRef mask);
// Computes all that can be computed here, before a loop inside needs it again and again.
void scope_hoist(Emitter *emitter, Scope *scope);
// The instruction's value, as a scalar or with scope->width lanes.
LLVMValueRef scope_value(Emitter *emitter, Scope *scope, int instruction);
void scope_set(Scope *scope, int instruction, LLVMValueRef value);
// Puts what is known here, and read by what changes along `axis`, into all lanes of a vector: once, before the loop.
void scope_spread(Emitter *emitter, Scope *scope, int axis, int width);
// Loads what this kernel also stores to, before it does.
void scope_load_updated(Emitter *emitter, Scope *scope);
// Runs the stores of `phase` (-1: all) that change along one of the axes `with` (0: any) and along none of `without`.
void scope_effects(Emitter *emitter, Scope *scope, int phase, uint32_t with, uint32_t without);
int kernel_lanes(const Emitter *emitter, const Kernel *kernel);   // width of its vectors
LLVMValueRef tail_mask(Emitter *emitter, LLVMValueRef remaining, int width);
LLVMValueRef affine_value(Emitter *emitter, const Scope *scope, const Affine *affine, uint32_t axes);

// ---- access.c
LLVMValueRef load_value(Emitter *emitter, Scope *scope, int instruction);
void store_value(Emitter *emitter, Scope *scope, int instruction);
LLVMValueRef access_pointer(Emitter *emitter, Scope *scope, int instruction);

// ---- ops.c
LLVMValueRef op_value(Emitter *emitter, Op op, Dtype dtype, Dtype operand_dtype, const LLVMValueRef *operands);
// a combined with b, as reduce_* does it (argmax apart).
LLVMValueRef reduce_combine(Emitter *emitter, Op op, Dtype dtype, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef reduce_start(Emitter *emitter, Op op, Dtype dtype, int width);

// ---- fetch.c
void fetch_ahead(Emitter *emitter, Scope *scope, const Fetching *fetching, int vector);

// ---- stream.c: stores past the caches
typedef struct {
    LLVMBasicBlockRef other, join;   // NULL: the kernel has none
} Streams;
// True: what follows, up to other_streams, is for arrays that lie as such stores need, and what follows then, up to
// end_streams, for others. False: there is one code for all.
bool begin_streams(Emitter *emitter, const Kernel *kernel, Streams *streams);
void other_streams(Emitter *emitter, Streams *streams);
void end_streams(Emitter *emitter, Streams *streams);
bool may_stream(const Emitter *emitter, const Kernel *kernel, const Instruction *store);

// ---- quotient.c
Divisor divisor_of(Emitter *emitter, Dtype dtype, LLVMValueRef value, int width);
LLVMValueRef quotient_of(Emitter *emitter, Dtype dtype, LLVMValueRef dividend, const Divisor *divisor);

// ---- split.c
// Whether workers share a kernel: known while compiling, or by the open dims (`condition`, an i1).
typedef struct {
    enum { SHARED_NEVER, SHARED_SOMETIMES, SHARED_ALWAYS } when;
    LLVMValueRef condition;
} Sharing;
Sharing kernel_sharing(Emitter *emitter, const Kernel *kernel);
// All workers wait for each other, if one of the kernels is shared.
void emit_barrier(Emitter *emitter, const Kernel *before, const Kernel *after);
// What follows, up to b_join, only the first worker runs, unless the kernel is shared. False: every worker does.
bool begin_one_worker(Emitter *emitter, const Kernel *kernel, Branch *branch);
// Chooses what of the kernel this worker does: for axis_range.
void begin_split(Emitter *emitter, const Kernel *kernel);
bool is_split(const Emitter *emitter, int axis);
// The elements of the axis that this worker does, from a multiple of `block`; all, if the axis is not divided.
typedef struct {
    LLVMValueRef start, limit;
} Range;
Range axis_range(Emitter *emitter, const Kernel *kernel, int axis, int64_t block);
LLVMValueRef own_copy(Emitter *emitter, const Buffer *buffer);   // the worker's, of a buffer with copies

// ---- choice.c: conditions that are the same for all elements of a kernel
// One that, if it is true, saves arrays from being read or written: -1, there is none.
int find_choice(Arena *arena, const Kernel *kernel);
// What the instruction is where `assumed` is true: itself, or an operand of a choice.
int chosen_instruction(const Kernel *kernel, int assumed, int instruction);
// Whether the effect puts back what is there.
bool is_idle(const Kernel *kernel, int assumed, int effect);
// Which instructions the effects need.
const bool *needed_instructions(Arena *arena, const Kernel *kernel, int assumed);

// ---- nest.c
// A loop for each of `axes`, outermost first, and the scopes that they open; close_axes ends them.
typedef struct {
    Loop loops[MAX_AXES];
    Scope scopes[MAX_AXES + 1];
    int count;
} Nest;
Scope *open_axes(Emitter *emitter, Nest *nest, const Kernel *kernel, const int *axes, int count);
void close_axes(Emitter *emitter, Nest *nest);
int axes_of(const Kernel *kernel, AxisRole role, int *axes);   // ascending; returns how many
uint32_t axes_mask(const Kernel *kernel, AxisRole role);

enum { MAX_GROUP = 16, MAX_TILE = 32 };
enum { SPLIT_ELEMENTS = 64 };   // along a vector axis workers' parts begin at multiples: whole cache lines
// Walks `axis` in groups of up to `group` vectors: `visit` writes the code for one group, whose scopes stand for its
// vectors. What is left at the end is masked. axis -1: one scalar scope.
typedef void Visit(Emitter *emitter, Scope *scopes, int count, void *context);
void walk_vectors(Emitter *emitter, Scope *outer, int axis, int group, Visit *visit, void *context);
// The same from element `first` on, a multiple of the group's elements.
void walk_vectors_from(Emitter *emitter, Scope *outer, int axis, int64_t first, int group, Visit *visit, void *context);

// ---- kernels
void emit_map(Emitter *emitter, const Kernel *kernel);
// turn.c; false: nothing is read across, and none was made
bool emit_turned(Emitter *emitter, const Kernel *kernel);
// Turns as many vectors as each has lanes: lane j of vector i becomes lane i of vector j.
enum { MAX_SQUARE = 16 };
void turn_square(const Code *code, LLVMValueRef *rows, int width);
void emit_row(Emitter *emitter, const Kernel *kernel);
void emit_column(Emitter *emitter, const Kernel *kernel);
void emit_contract(Emitter *emitter, const Kernel *kernel);
void emit_loop(Emitter *emitter, const Kernel *kernel);
void emit_scatter(Emitter *emitter, const Kernel *kernel);
void emit_sort(Emitter *emitter, const Kernel *kernel);
void emit_kernel_here(Emitter *emitter, const Kernel *kernel);     // its own code, where others may call it
void emit_kernels(Emitter *emitter, const KernelArray *kernels);   // in order, as code or calls

// ---- tile.c, pack.c, square.c, summed.c: the parts of a contraction
typedef struct {
    const Kernel *kernel;
    Scope *outer;              // all but n, m, inner and k are bound
    int number, left, right;   // the contraction and its operands: instructions
    int m, n;                  // axes: of blocks of rows, and of columns
    int inner;                 // a short axis of rows, of which each row along m has all; -1: none
    int k[MAX_AXES], k_count;
    const Extent *summed;   // the product of the extents of k
    Dtype dtype;
    int rows, columns;     // of a register tile: rows along m, and vectors of columns
    int inner_rows;        // along `inner`, for each row along m
    bool plain_left;       // operand 0 is a load that only needs an address
    LLVMValueRef panel;    // packed operand 1 of the columns at hand, or NULL
    LLVMValueRef blocks;   // packed operand 0: blocks of `rows` rows, for every k side by side; or NULL
    LLVMValueRef totals;   // room for a tile
    bool squares;          // operand 1 is turned in registers: see turns_right
    int panels;            // that every block of rows meets in turn: 1, or more if operand 1 is packed
    LLVMValueRef at;       // the first column of those panels, if they are several
} Product;
// All rows times the columns at hand; or, for several panels, times each of them (`columns` NULL).
void emit_tile_rows(Emitter *emitter, const Product *product, Scope *columns, int count);
void emit_pack(Emitter *emitter, const Product *product, Scope *columns, int count);
void emit_pack_rows(Emitter *emitter, const Product *product);
void emit_pack_panels(Emitter *emitter, const Product *product);
// Opens the scopes of panel number `number`, all of whose columns are there; the product of that panel alone.
Product open_panel(Emitter *emitter, const Product *product, LLVMValueRef number, Scope *columns);
// Elements from one k to the next in a block of operand 0: as many as it has rows, or whole vectors of them.
static inline int block_stride(const Product *product, int width) {
    return product->rows <= width ? product->rows : (product->rows + width - 1) / width * width;
}
// Where the block of `blocks` begins whose first row is `first`, a multiple of `rows`.
LLVMValueRef block_pointer(Emitter *emitter, const Product *product, LLVMValueRef first);

// Whether operand 1 is read in squares that are turned in registers: for so few rows that a copy would not pay.
bool turns_right(const Emitter *emitter, const Product *product);
// Addresses of the rows of operand 1 that are the columns at hand, and from these the square at k: one value for each k.
void open_square(Emitter *emitter, const Product *product, Scope *column, LLVMValueRef *rows);
void load_square(Emitter *emitter, const Product *product, const LLVMValueRef *rows, LLVMValueRef k,
                 LLVMValueRef *values);

// A loop over the summed elements, in order: `loop.index` counts them, `index` is where each of the axes k stands.
typedef struct {
    Loop loop;   // loop.carries: those given to summed_begin, in their order
    LLVMValueRef index[MAX_AXES];
    int carry_count;
} SummedLoop;
void summed_begin(Emitter *emitter, const Product *product, SummedLoop *summed, const char *name, LLVMValueRef start,
                  LLVMValueRef limit, const LLVMValueRef *carries, int carry_count);
void summed_end(Emitter *emitter, const Product *product, SummedLoop *summed, const LLVMValueRef *next);
void summed_bind(const Product *product, const SummedLoop *summed, Scope *scope);
// In elements, how far the operand's element there lies from that at 0.
LLVMValueRef summed_offset(Emitter *emitter, const Product *product, const SummedLoop *summed, int operand);

// ---- share.c
void find_shapes(Emitter *emitter);
bool call_shared(Emitter *emitter, const Kernel *kernel);   // false: no other kernel is like it, and it was not emitted

// ---- function.c
// Room on the stack, made at the function's entry when first asked for: all its kernels have the same. `known`: where the
// emitter notes it. Aligned to the largest vectors.
LLVMValueRef stack_room(Emitter *emitter, LLVMValueRef *known, uint64_t bytes, const char *name);
LLVMValueRef buffer_address(Emitter *emitter, const Buffer *buffer);   // computed at the function's entry
// A function inside one of the modules, for code in `loops` enclosing loops, with further pointers as arguments; its end;
// and a call of it. The code between the first two is the caller's.
Emitter begin_inner(const Emitter *emitter, const char *name, int loops, int pointers);
void end_inner(const Emitter *inner);
void call_inner(Emitter *emitter, LLVMValueRef function, int loops, const LLVMValueRef *pointers, int pointer_count);
int loop_count(const Kernel *kernel);   // its AXIS_LOOP axes
// A module with the function "peak" alone: see jit_peak.
LLVMModuleRef emit_peak(LLVMContextRef context, const Target *target);
enum { PEAK_CHAINS = 12 };
// The program's functions, in a new module of each of `count` contexts; `count` does not change them. False: the
// program's arena has no more memory.
bool emit_function(const LLVMContextRef *contexts, int count, const KernelProgram *program, const Target *target,
                   LLVMModuleRef *modules);

#endif
