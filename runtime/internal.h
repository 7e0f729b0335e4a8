// What the files of the runtime share: the handles' insides, messages, buffers, and the binding of arrays to an entry.
#ifndef GRADC_RUNTIME_INTERNAL_H
#define GRADC_RUNTIME_INTERNAL_H

#include "compile.h"
#include "runtime/cache.h"
#include "runtime/gradc.h"
#include "runtime/team.h"

// ---- status.c: messages and memory

// Memory of the program's allocator: `count` elements of `size` bytes, all zero, aligned to 64. NULL: there is none.
void *program_allocate(const gradc_program *program, size_t count, size_t size);
void program_release(const gradc_program *program, void *memory);   // NULL is allowed

// Memory that grows and never shrinks; aligned to 64 bytes.
typedef struct {
    void *bytes;
    size_t size;
    const Allocator *allocator;   // NULL: malloc
} Memory;
// None yet, to come from the program's allocator.
Memory memory_of(const gradc_program *program);
// At least `size` bytes, all zero if it had to grow. False: no memory; the old bytes stay.
bool memory_reserve(Memory *memory, size_t size);
void memory_free(Memory *memory);

// Sets the program's message and returns `status`.
gradc_status fail(gradc_program *program, gradc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
gradc_status fail_memory(gradc_program *program);
// After the compiler gave nothing: with its errors as message, or for want of memory.
gradc_status fail_compiler(gradc_program *program);

// An element as a number.
double tensor_number(const gradc_tensor *tensor, int64_t index);

gradc_dtype public_dtype(Dtype dtype);
// "f32[3, 65]" of a plain shape, into `text`; returns it.
enum { SHAPE_TEXT = 256 };
const char *shape_text(char text[SHAPE_TEXT], gradc_dtype dtype, int rank, const int64_t *shape);

// Numbers are read and written in the C locale, whatever the host has set: begin, then end with what begin returned.
void *plain_locale_begin(void);
void plain_locale_end(void *before);

double now_seconds(void);

// ---- facts.c: what is found once about every entry

// What the gradient of output 0 flows to.
typedef struct {
    bool parameters;   // at least one that is not frozen
    uint64_t inputs;   // bit i: input i
} Reached;

typedef struct {
    bool *used_dims;                            // by number: the entry reads this open dim
    Reached reached[2];                         // [training]
    const char **input_types, **output_types;   // "f32[N, 64]"
    const char **conditions;                    // "N - 5", one for each of Entry.checks
    int *said_by;                               // by number of a dim: the input whose shape says it; -1: none
} EntryFacts;

typedef struct {
    const char **hyperparameters;   // by slot in the frame: "lr", "*.b:lr"
} TrainFacts;

gradc_status find_facts(gradc_program *program);
const EntryFacts *facts_of(const gradc_program *program, const Entry *entry);

// ---- program.c

typedef struct {
    Memory values;             // the optimizer's states, each as long as all parameters
    double *hyperparameters;   // slot 0 is `iteration`
    int hyperparameter_count;
    int64_t iteration;
} TrainState;

struct gradc_program {
    Allocator allocator;
    gradc_diagnose_function *diagnose;   // or NULL
    void *diagnose_context;
    int told;   // so many messages of the compiler went to `diagnose`
    bool verify;
    Compilation *compilation;
    Program *program;   // NULL: the text has errors
    char *message;
    EntryFacts *facts;         // one for each entry
    TrainFacts *train_facts;   // one for each train block
    Memory parameters, gradients, states;
    Memory returned;      // gradients that gradc_call_grad hands back
    Memory evaluated;     // values that gradc_evaluate hands out
    TrainState *trains;   // one for each train block
    bool initialised;
    uint64_t seed, draw_count;
    uint64_t version;   // of the parameters: changes whenever they do
    Team *team;         // NULL: nothing was worth one so far
    Cache *cache;       // NULL: machine code is not kept
};

// compile_function, and new messages go to the host's function. NULL: see fail_compiler.
const CompiledFunction *program_function(gradc_program *program, FunctionKey key);
// Hands messages of the compiler that it has not seen yet to the host's function.
void tell_diagnostics(gradc_program *program);
// Computes first values if nothing has done so yet.
gradc_status ensure_initialised(gradc_program *program);
// What `iteration` and `iterations` are in a call of the entry: those of the train block of that loss, else of the first
// block; 0 without any.
const double *entry_progress(gradc_program *program, const Entry *entry);
// Whether `iterations` is known if the entry depends on it.
gradc_status check_progress(gradc_program *program, const Entry *entry);
const Entry *find_entry(const gradc_program *program, const char *name);
// GRADC_ARGUMENT: there is no such entry (NULL: none at all), and which was probably meant.
gradc_status no_entry(gradc_program *program, const char *name);
// The train block's number, or -1.
int find_train(const gradc_program *program, const char *loss);
// Whether the entry's first output can be differentiated: one floating number.
bool is_differentiable(const Entry *entry);
gradc_status check_differentiable(gradc_program *program, const Entry *entry);
// The function of that kind of the entry (NULL: of the first loss, else the first entry), in the mode where `training` is
// false. Of inputs, those marked requires_grad are tracked.
gradc_status choose_key(gradc_program *program, const char *entry, gradc_kind kind, FunctionKey *key);
// Where the train block's value of a hyperparameter lies; NULL: its optimizer has none of that name.
double *find_hyperparameter(gradc_program *program, int train, const char *name);
// Bytes of the flat array of parameters, and so of gradients.
size_t parameter_size(const gradc_program *program);

// ---- binding.c: arrays, shapes and open dims of one entry

typedef struct {
    gradc_program *program;
    const Entry *entry;
    const EntryFacts *facts;
    int input_count, dim_count;
    gradc_tensor *inputs;   // as bound
    bool *bound;
    const void **pointers;   // what the frame gets
    int64_t *dims;           // values of all the program's dims; -1: not known
    int64_t *fixed;          // those that set_dim gave; -1: none
    int *said_by;            // the bound input whose shape says a dim; -1: none
    bool resolved;           // dims are up to date
    uint64_t changes;        // counts what was bound to another array, and dims that were set
    uint64_t generation;     // rises with each change of dims; 0: none are known yet
    int64_t fault[2];        // what frames point to
} Binding;

gradc_status binding_create(Binding *binding, gradc_program *program, const Entry *entry);
void binding_free(Binding *binding);
int binding_input(const Binding *binding, const char *name);
gradc_status binding_bind(Binding *binding, int input, const gradc_tensor *array);
// Whether there is an input of that number.
gradc_status binding_check_number(const Binding *binding, int input);
// Whether the array has the input's dtype and shape, as far as that says a number; `rows`: whatever its first axis.
gradc_status binding_check(Binding *binding, int input, const gradc_tensor *array, bool rows);
gradc_status binding_set_dim(Binding *binding, const char *dim, int64_t value);
// Computes dims from the bound arrays and checks every shape. `fallback`: the value of open dims that nothing says; -1:
// such a dim is an error. Does nothing while nothing was bound anew.
gradc_status binding_resolve(Binding *binding, int64_t fallback);
// A class number that no class has.
typedef struct {
    int input;
    int64_t at, value, count;   // its position in the input's array; it should be in [0, count)
} OutOfRange;
// Looks for one in the inputs whose range the program says.
bool binding_out_of_range(const Binding *binding, OutOfRange *found);
// The same as GRADC_DATA.
gradc_status binding_check_ranges(Binding *binding);
// A node's shape for the binding's dims.
gradc_status binding_shape(Binding *binding, const Node *node, gradc_tensor *tensor);
// Bytes of a tensor; -1: it does not fit in memory.
int64_t array_bytes(const gradc_tensor *tensor);

// A compiled function and what it needs for the dims of one binding.
typedef struct {
    const CompiledFunction *function;
    Memory scratch;
    Team *team;            // the program's, if these dims are worth one
    uint64_t generation;   // the binding's, for which the checks and the scratch hold; 0: none
} Runner;
// Checks the function's conditions and makes the scratch large enough. Does nothing while the dims stay.
gradc_status runner_prepare(Runner *runner, Binding *binding);
// Sets what is still missing in `frame`: inputs, dims, scratch, seed and fault; and that one worker does it all.
void runner_complete(const Runner *runner, Binding *binding, gradc_frame *frame);
// Calls the function, on as many threads as the dims are worth. Not 0: an index was out of bounds.
int32_t runner_call(const Runner *runner, const gradc_frame *frame);
// Completes the frame and calls the function. GRADC_DATA: an index was out of bounds.
gradc_status runner_run(const Runner *runner, Binding *binding, gradc_frame *frame);
// What to return after the function has set the fault.
gradc_status fail_fault(Binding *binding);

#endif
