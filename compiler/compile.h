// The way of the data, as one interface: from a source text to functions that can be called.
//
// A Compilation holds one program, its graph and its machine code. Functions are compiled at first use, one for each
// key (semantics.md, S12), and live until the compilation is destroyed.
#ifndef GRADC_COMPILE_H
#define GRADC_COMPILE_H

#include "elaborate/program.h"
#include "emit/emit.h"
#include "runtime/gradc_frame.h"

typedef struct Compilation Compilation;

// The text of a file that the program imports, in `arena`. NULL: *problem says why ("No such file or directory").
typedef const char *ReadSource(Arena *arena, const char *path, size_t *length, const char **problem);

// What the cost model decides, unless a test says.
typedef enum { BY_COST, ALWAYS, NEVER } Decision;

typedef struct {
    Dtype floating;     // what `float` means
    int vector_bytes;   // 0: the host's; 16, 32 or 64 forces vectors of 4, 8 or 16 floats
    const char *cpu;    // NULL: this machine's; else one that jit_check_cpu finds usable
    int threads;        // how many workers may share the work of a function; 0, 1: one
    bool verify;        // run the verifiers after every pass
    ReadSource *read;   // NULL: nothing can be imported
    Decision
        fuse_updates;    // of a step: the product that computes a gradient updates the parameter, and the gradient is
                         // stored nowhere. NEVER: all gradients are
    ObjectStore store;   // of machine code; its `find` is NULL: nothing is kept
    Allocator allocator;
} CompileOptions;

// Parses and elaborates `text`. Returns NULL only when memory ran out; check compilation_program for NULL after errors.
Compilation *compilation_create(const char *path, const char *text, size_t length, const CompileOptions *options);
void compilation_destroy(Compilation *compilation);
Program *compilation_program(Compilation *compilation);   // NULL if there were errors
const Diagnostics *compilation_diagnostics(const Compilation *compilation);
// The diagnostics as text, in the compilation's arena; NULL: memory ran out.
const char *compilation_messages(Compilation *compilation, bool colour);

typedef enum {
    KIND_VALUE,      // the entry's results
    KIND_FORWARD,    // the same, and the tape
    KIND_BACKWARD,   // reads inputs, parameters and tape; adds d result 0 / d parameter into frame.gradients for all
                     // parameters that the entry reaches and that are not frozen; outputs: d result 0 / d input for
                     // each input that is tracked
    KIND_UPDATE,     // the optimizer of a train block: reads gradients, changes parameters and optimizer
    KIND_STEP        // forward, backward and update of a train block in one; gradients are not touched; outputs: the
                     // loss from before the update, then the reports; states are stored
} FunctionKind;

typedef struct {
    FunctionKind kind;
    const Entry *entry;        // VALUE, FORWARD, BACKWARD
    const TrainBlock *train;   // UPDATE, STEP
    bool training;             // VALUE, FORWARD, BACKWARD: the mode `training`
    uint64_t tracked_inputs;   // FORWARD, BACKWARD: bit i: the entry's input i is tracked by the host
    bool shared;               // for several workers, if the open dims decide whether that pays
} FunctionKey;

typedef struct {
    FunctionKey key;
    gradc_function *call;
    const Extent *scratch_bytes;   // polynomials of the open dims: what the frame's arrays must hold
    const Extent *tape_bytes;      // 0 for kinds without a tape
    const Extent *shared_work;     // what workers could share; from SHARED_WORK on it pays to have several
    bool for_workers;              // the code can be run by several
    int check_count;
    const Check *checks;   // the entry's conditions on the open dims: the caller looks before a call
} CompiledFunction;

// Compiles the function, or finds it. NULL on failure: a diagnostic says why, unless compilation_exhausted. What was
// refused once is not tried again.
const CompiledFunction *compile_function(Compilation *compilation, FunctionKey key);
// Whether memory ran out in the last call that compiles, dumps or prints; it can be made again.
bool compilation_exhausted(const Compilation *compilation);
// How many workers should run the function for these dims. More than one is wanted of a function that was not compiled
// for_workers when it is worth compiling it again, with `shared` in its key.
int function_workers(const Compilation *compilation, const CompiledFunction *function, const int64_t *dims);

typedef enum {
    STAGE_AST,
    STAGE_GRAPH,
    STAGE_GRAD,
    STAGE_BATCH,
    STAGE_OPT,
    STAGE_KERNELS,
    STAGE_PLAN,
    STAGE_LLVM,
    STAGE_ASM
} Stage;

// The stage's printed form, for the function of `key` (ignored for STAGE_AST); in the compilation's arena. NULL and a
// diagnostic on failure. The tree can be printed of all that parses.
const char *compilation_dump(Compilation *compilation, Stage stage, FunctionKey key);
// The derivative of the entry's first result by each parameter, as a program of the language.
const char *compilation_derivative(Compilation *compilation, const Entry *entry);

// What one kernel of a function costs in one call, for some values of the open dims.
typedef struct {
    const Kernel *kernel;
    const char *name, *kind, *shape;   // "hidden.add", "contract", "64x32 over 16"
    const char *path;                  // where in the source it comes from; NULL: nowhere
    int line;
    int depth;              // of loops around it
    int64_t runs;           // how often it runs: more than once in loops
    int64_t flops, bytes;   // of all runs together
    bool shared;            // threads share its work
} KernelFacts;

typedef struct {
    const char *function;   // "nll_step"
    int count;
    const KernelFacts *kernels;   // in the order in which they run; a loop before what it holds
    int64_t flops, bytes;         // of all
    int64_t scratch_bytes, tape_bytes;
    int workers;             // that run the function for these dims
    gradc_function *timed;   // the function, which says when each kernel ends: see gradc_timed
} Explanation;

// The kernels of a function and, if `timed`, code that can be timed; in the compilation's arena. NULL: a diagnostic says
// why, unless compilation_exhausted.
const Explanation *compilation_explain(Compilation *compilation, FunctionKey key, const int64_t *dims, bool timed);
// Zeroed memory that lives as long as the compilation. NULL: it ran out.
void *compilation_allocate(Compilation *compilation, size_t size);
// Floating operations a second that a core can do at most, measured now; 0: it cannot be measured.
double compilation_peak(Compilation *compilation);

typedef struct {
    double parse_ms, elaborate_ms, differentiate_ms, simplify_ms, kernels_ms, emit_ms, machine_code_ms;
    int functions, found;   // made so far; those of them whose code was in the store
} Timings;
Timings compilation_timings(const Compilation *compilation);

#endif
