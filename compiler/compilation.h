// What compile.c and functions.c share: the insides of a Compilation.
#ifndef GRADC_COMPILATION_H
#define GRADC_COMPILATION_H

#include "compile.h"
#include "cut/cut.h"
#include "emit/emit.h"
#include "graph/rewrite.h"

// An entry's function with its gradients behind its own results, before any pass.
typedef struct {
    Function function;
    int forward_count;   // of its results are the entry's own
    NodeArray targets;   // what the others are the gradients by
} Joint;

// Forward and backward of one entry after the graph passes. Kept, so that both are cut from the same graph.
typedef struct {
    FunctionKey key;   // its kind is not used
    Joint joint;
    Cut cut;
} CutEntry;

struct Compilation {
    Arena *arena;
    Diagnostics *diagnostics;
    CompileOptions options;
    const Source *source;
    File *file;         // NULL: the text does not parse
    Program *program;   // NULL: there were errors
    Jit *jit;           // NULL: nothing was compiled yet
    ARRAY(CompiledFunction *) functions;
    ARRAY(FunctionKey) refused;   // what could not be compiled, with diagnostics that say why
    ARRAY(CutEntry *) cuts;
    bool exhausted;   // memory ran out in the last call of an entry function
    Timings timings;
};

// ---- imports.c

// The declarations of the file and of all that it imports, those first. Errors go to the diagnostics.
File *with_imports(Compilation *compilation, const File *file);

// ---- compile.c

// Runs the passes on `function` that lead to the stage `last`, with the verifier after each. False: a diagnostic says
// why.
bool run_passes(Compilation *compilation, Function *function, Stage last);
// Adds the error and returns false.
bool internal_error(Compilation *compilation, const char *where, const char *what);
double now_ms(void);
// Adds what has passed since to one of the timings, offsetof(Timings, field).
void add_time(Compilation *compilation, size_t field, double since);

// False: a diagnostic says why.
bool start_jit(Compilation *compilation);
// `message` is freed; NULL: there was no memory for it.
void llvm_error(Compilation *compilation, const char *where, char *message);

// ---- functions.c

typedef ARRAY(Placement) Placements;
// Where a node's value lies in the frame, or in a reserved buffer; `offset` in bytes.
void put(Compilation *compilation, Placements *places, Node *node, Space space, int index, int64_t offset,
         bool accumulate);
bool add_kernels(KernelProgram *kernels, const Placements *leaves, const Placements *results);   // true

// The graph that a key stands for, other than KIND_UPDATE. For KIND_VALUE without targets; for KIND_STEP see TrainBlock.
Joint joint_of(Compilation *compilation, FunctionKey key);
// All passes over graphs, then kernels and plan; *tape (KIND_FORWARD, KIND_BACKWARD) gets the size of the tape in
// bytes. NULL: a diagnostic says why.
KernelProgram *kernels_of(Compilation *compilation, FunctionKey key, const Extent **tape);

// ---- update.c

// How a step's parameters are updated.
typedef struct {
    const Function *updates;   // by optimizer, after all passes
    const bool *fused;         // by trained parameter: the step's own kernels update it, and its gradient goes nowhere
    int64_t kept;              // elements of the others
} UpdatePlan;

// `step`: the graph of a step after all passes; NULL: gradients lie in the frame. False: a diagnostic says why.
bool plan_updates(Compilation *compilation, const TrainBlock *train, const Function *step, UpdatePlan *plan);
// All of them apart from the products. False: they were.
bool unfuse_updates(Compilation *compilation, const TrainBlock *train, UpdatePlan *plan);
// What the step's graph reads and stores besides, where it updates parameters itself. False: a diagnostic says why.
bool put_updates(Compilation *compilation, const TrainBlock *train, const UpdatePlan *plan, const Function *step,
                 Placements *leaves, Placements *results);
// Adds the kernels that change the other trained parameters and their optimizers' states. `gradients`: a reserved buffer
// of their gradients, one behind the other; NULL: they lie in the frame. False: a diagnostic says why.
bool update_kernels(Compilation *compilation, const TrainBlock *train, const UpdatePlan *plan, KernelProgram *kernels,
                    const Buffer *gradients);

#endif
