// gradc's C interface: from a model file to compiled functions, gradients and training.
//
// How to use it
//   A program is compiled from a text. Its entries (losses, metrics, and the nets and functions that a host can call)
//   are run through call handles; its train blocks through trainer handles; gradc_fit does the whole of `gradc train`.
//
//     gradc_program *program;
//     if (gradc_compile_file("line.grad", NULL, &program) != GRADC_OK) puts(gradc_message(program));
//     gradc_call *call;
//     gradc_call_create(program, "squared", &call);
//     gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {3}, x});
//     gradc_call_forward(call);
//     gradc_call_backward(call, false);            // adds into gradc_gradients(program)
//
// What holds everywhere
//   - Nothing here prints or exits. What can fail returns a gradc_status; gradc_message then says in words what was
//     wrong. A failed call changes nothing but that message, unless its comment says otherwise.
//   - Handles are freed by their own free function, NULL allowed; calls and trainers before their program.
//   - A program and all its handles may be used by one thread at a time; different programs are independent.
//   - Texts and pointers that a function hands out belong to the handle and live as long as it, unless said otherwise.
//   - Arrays are row-major. Sizes are counted in elements, times in seconds.
//   - An entry is compiled when it is first run, which takes tens of milliseconds; later runs take none of that. It can
//     be compiled before: gradc_call_compile, gradc_trainer_compile.
//   - The first compilation turns loop strength reduction and x86 domain reassignment off in LLVM, for the whole
//     process: a host that uses LLVM itself shares these options.
#ifndef GRADC_H
#define GRADC_H

#include "gradc_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRADC_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gradc_program gradc_program;
typedef struct gradc_call gradc_call;
typedef struct gradc_trainer gradc_trainer;

typedef enum {
    GRADC_OK,
    GRADC_PROGRAM,    // the program's text has errors, or asks for what the compiler refuses: see gradc_diagnostics
    GRADC_ARGUMENT,   // a name, index, shape, dtype or option does not fit the program
    GRADC_ORDER,      // a call out of order: backward without a tracked forward, a step without inputs, ...
    GRADC_DATA,       // what a data or weight file holds, or an index inside an array, does not fit the program
    GRADC_FILE,       // a file cannot be opened, read or written
    GRADC_NUMBER,     // the loss is not finite, though the data are
    GRADC_STOPPED,    // the progress or step function asked to stop
    GRADC_MEMORY,
    GRADC_INTERNAL   // an error of gradc itself
} gradc_status;

typedef enum { GRADC_F32, GRADC_F64, GRADC_I32, GRADC_I64, GRADC_BOOL } gradc_dtype;   // a bool is one byte, 0 or 1
const char *gradc_dtype_name(gradc_dtype dtype);                                       // "f32"; static
size_t gradc_dtype_size(gradc_dtype dtype);                                            // bytes

enum { GRADC_MAX_RANK = 8 };

// An array in memory. `data` is aligned as its element type asks; NULL is allowed when a size is 0.
typedef struct {
    gradc_dtype dtype;
    int rank;   // 0: one number
    int64_t shape[GRADC_MAX_RANK];
    void *data;
} gradc_tensor;

// ---- programs

// An error or warning of the compiler, or a note of one, in pieces.
typedef struct {
    const char *id;             // "unknown_name", the same in every version; of a note NULL
    bool is_error;              // else a warning
    const char *file;           // NULL: it has no place, and the numbers are 0
    int line, column;           // from 1; columns in code points
    int end_line, end_column;   // just behind the last character
    const char *message;
    const char *help;   // what would mend it; or NULL
    int note_count;     // further places and words: gradc_diagnostic_note
} gradc_diagnostic_info;
typedef void gradc_diagnose_function(void *context, const gradc_diagnostic_info *diagnostic);

typedef struct {
    gradc_dtype floating;   // what `float` means in the program: GRADC_F32 or GRADC_F64
    int vector_bytes;       // 0: the widest vectors of this machine; 16, 32 or 64 forces a width (the same bits)
    int threads;            // at most so many share a run (the same bits for any number); 0: one for each processor.
                            // With two or more, two make machine code
    // Check every pass of the compiler, and before a backward whether the arrays of its forward still hold what they
    // held; slow.
    bool verify;
    // Called for each error and warning, in the order in which they are found, before the function that found them
    // returns. It must not call gradc with this program. NULL: none.
    gradc_diagnose_function *diagnose;
    void *diagnose_context;
    // Where the memory of this program and its handles comes from; NULL: malloc. `allocate` returns `bytes` bytes
    // aligned to 64, or NULL for none; `release` takes them back. Both or none; called on the threads that use the
    // program. LLVM and other libraries, threads, and texts of files while they are read take memory of their own
    // besides.
    void *(*allocate)(void *context, size_t bytes);
    void (*release)(void *context, void *memory);
    void *allocate_context;
    // Keep machine code in files, and read it from there when the same kernels are compiled again for the same
    // processor, by this process or another. Files that are damaged, of another version of gradc or LLVM, or not this
    // user's own are not used; where nothing can be written nothing is kept.
    bool cache;
    const char *cache_folder;   // NULL: $GRADC_CACHE_DIR, else $XDG_CACHE_HOME/gradc, else ~/.cache/gradc
    int64_t cache_bytes;        // so much at most; what was not used for longest goes first. 0: 64 MiB
    // The processor that code is made for: "x86-64", "x86-64-v2", "x86-64-v3" or "x86-64-v4", any that has this level;
    // NULL: this machine's own. The same bits. Refused where this machine could not run it.
    const char *cpu;
} gradc_options;

// Threads are started when a run is large enough to be worth them, and belong to the program; small runs stay on the
// caller's. A process that forks must not use in the child what was compiled before.
enum { GRADC_MAX_THREADS = 256 };

// Compiles the model file at `path`, or `text` of `length` bytes (`name` is what messages call it; its folder, if it
// has one, is where imported files and data files are looked for). options NULL: all zero. *program is set even on
// failure, so that its diagnostics can be read; it is NULL only for GRADC_MEMORY. Free it in any case.
gradc_status gradc_compile_file(const char *path, const gradc_options *options, gradc_program **program);
gradc_status gradc_compile_text(const char *name, const char *text, size_t length, const gradc_options *options,
                                gradc_program **program);
void gradc_program_free(gradc_program *program);

// What the last failed function of this program, or of a handle of it, has to say; "" before any. Valid until the next
// failure. Ends without a newline. NULL is allowed: the text then speaks of memory.
const char *gradc_message(const gradc_program *program);
// All errors and warnings of the compiler, with place, line and caret; "" if there are none. Valid until the next call.
const char *gradc_diagnostics(const gradc_program *program, bool colour);
int gradc_error_count(const gradc_program *program);
int gradc_warning_count(const gradc_program *program);
// The same one by one, in the order in which they were found; at most 20 errors and 20 warnings are kept. False: there
// is none of that number.
bool gradc_diagnostic(const gradc_program *program, int index, gradc_diagnostic_info *info);
// Note number `note` of diagnostic number `index`: another place that matters, such as where a function was called.
bool gradc_diagnostic_note(const gradc_program *program, int index, int note, gradc_diagnostic_info *info);

// ---- what a program holds. Each function returns false when `index` is out of range, or the program has errors.

typedef enum { GRADC_LOSS, GRADC_METRIC, GRADC_NET, GRADC_FUNCTION } gradc_entry_kind;

typedef struct {
    gradc_entry_kind kind;
    const char *name;
    const char *documentation;   // or NULL
    int input_count, output_count;
    int report_count;   // the last so many outputs are its `report`s
} gradc_entry_info;

typedef struct {
    const char *name;
    gradc_dtype dtype;
    int rank;
    int64_t shape[GRADC_MAX_RANK];   // -1: depends on open dims
    const char *type;                // "f32[N, 64]"
    bool requires_grad;              // an input that the program itself differentiates by
} gradc_tensor_info;

typedef struct {
    const char *path;            // "mlp.hidden.W"
    const char *documentation;   // or NULL
    gradc_dtype dtype;
    int rank;
    int64_t shape[GRADC_MAX_RANK];
    int64_t offset, count;   // elements, in the flat arrays
    bool frozen;             // training leaves it alone
} gradc_parameter_info;

typedef struct {
    const char *loss;   // the entry that is made small, which also names the block
    const char *data;   // or NULL: the host feeds it
    const char *optimizer;
    int64_t batch, epochs, repeat;
    int64_t steps;     // of an epoch; 0: the data, or the host, says how many
    bool has_inputs;   // whether the loss must be fed
    uint64_t seed;
} gradc_train_info;

// What nets and losses remember from step to step, such as running means.
typedef struct {
    const char *path;
    gradc_dtype dtype;
    int rank;
    int64_t shape[GRADC_MAX_RANK];
    int64_t offset, count;   // elements, in gradc_states
} gradc_state_info;

// A number of a train block's optimizers, or of a map of its gradient, that gradc_trainer_set sets.
typedef struct {
    const char *name;   // "lr"; "*.b:lr" is that of the optimizer for "*.b"
    double value;       // when training begins
} gradc_hyperparameter_info;

typedef struct {
    const char *name;
    const char *file;   // as the program says; several are apart by ", "; NULL: none
    int field_count;
    double split;   // the share of rows that train
    int file_count;
} gradc_data_info;

// What must hold for an entry's open dims; a call for which it does not is refused with GRADC_ARGUMENT.
typedef struct {
    const char *size;      // "N - 5": must be at least 0
    const char *message;   // what is wrong otherwise
} gradc_condition_info;

bool gradc_entry(const gradc_program *program, int index, gradc_entry_info *info);
bool gradc_entry_input(const gradc_program *program, int entry, int index, gradc_tensor_info *info);
bool gradc_entry_output(const gradc_program *program, int entry, int index, gradc_tensor_info *info);
bool gradc_entry_condition(const gradc_program *program, int entry, int index, gradc_condition_info *info);
// An open dim that the entry reads. *input: which input's shape says it; -1: none does, gradc_call_set_dim must.
const char *gradc_entry_dim(const gradc_program *program, int entry, int index, int *input);   // NULL: out of range
bool gradc_parameter(const gradc_program *program, int index, gradc_parameter_info *info);
bool gradc_state(const gradc_program *program, int index, gradc_state_info *info);
bool gradc_train_block(const gradc_program *program, int index, gradc_train_info *info);
bool gradc_hyperparameter(const gradc_program *program, int train, int index, gradc_hyperparameter_info *info);
// The number of a parameter that the train block changes: one that its loss depends on and that is not frozen.
int gradc_trained_parameter(const gradc_program *program, int train, int index);   // -1: out of range
bool gradc_data_block(const gradc_program *program, int index, gradc_data_info *info);
const char *gradc_data_field(const gradc_program *program, int data, int index);   // NULL: out of range
const char *gradc_data_file(const gradc_program *program, int data, int index);    // its path; NULL: out of range

// ---- parameters

// How many elements the flat arrays of parameters and gradients have; their dtype.
int64_t gradc_parameter_elements(const gradc_program *program);
gradc_dtype gradc_parameter_dtype(const gradc_program *program);

// The flat arrays, aligned to 64 bytes. Parameters hold their first values for seed 0 until gradc_initialise or
// gradc_load. After writing into them say gradc_parameters_changed, so that a later backward of an earlier forward is
// an error instead of a wrong number. NULL if the first values could not be computed, or the program has errors.
void *gradc_parameters(gradc_program *program);
void *gradc_gradients(gradc_program *program);
// The states of nets and losses, in one array; as for parameters.
void *gradc_states(gradc_program *program);
void gradc_parameters_changed(gradc_program *program);
void gradc_zero_grad(gradc_program *program);

// Sets parameters, states of nets, optimizer states and iteration to their first values, gradients to zero; `seed` is
// that of all random numbers of the program from now on. The same seed gives the same bits on every machine.
gradc_status gradc_initialise(gradc_program *program, uint64_t seed);

// Saves parameters and states of nets, each under its path: as numpy.savez if the file's name ends in .npz, else as
// safetensors. The file appears whole or not at all: a file that was there before stays until the new one is complete.
// It holds no optimizer states, iterations, hyperparameters or random draws: training does not go on from it with the
// same bits. See gradc_checkpoint_save.
gradc_status gradc_save(gradc_program *program, const char *path);
// Loads what gradc_save saved, or another program: every parameter must be there with its shape, and nothing else.
// Floating dtypes are converted; numbers are taken as they are, NaN and infinities too, but one that f32 cannot hold is
// refused. A file whose names lack the one root that all parameters share fits too. On failure nothing is changed, and
// the message lists all that does not fit.
gradc_status gradc_load(gradc_program *program, const char *path);

// How a weight file differs from the program, such as a PyTorch state_dict that safetensors.torch.save_file wrote. Each
// is a list that ends with NULL; or NULL. In patterns `*` stands for any characters and `?` for one.
typedef struct {
    // Pairs, the file's name first: "layers.0.weight=mlp.hidden.W"; or with one `*` on each side, which stands for the
    // same: "layers.0.*=mlp.hidden.*", "*.weight=*.W". Each is applied to what the ones before it made.
    const char *const *rename;
    // Paths, or patterns of paths, of the program's matrices that lie transposed in the file, as those of nn.Linear do:
    // "mlp.hidden.W", "*.W".
    const char *const *transpose;
    // Patterns of names of the file that the program has no use for: "*.num_batches_tracked".
    const char *const *ignore;
} gradc_weight_options;

// The same options load a file and save one that the other program can load: names go the opposite way, and what would
// have an ignored name is not saved. options NULL: as without. GRADC_ARGUMENT: an option that fits nothing.
gradc_status gradc_save_with(gradc_program *program, const char *path, const gradc_weight_options *options);
gradc_status gradc_load_with(gradc_program *program, const char *path, const gradc_weight_options *options);

// ---- calls: running an entry

gradc_status gradc_call_create(gradc_program *program, const char *entry, gradc_call **call);
void gradc_call_free(gradc_call *call);

// The number of the input of that name, or -1.
int gradc_call_input(const gradc_call *call, const char *name);

// Binds an input to an array, which is read by every later run and must live as long; nothing is copied. A backward
// reads it again: it must still hold what the forward read, and gradc_options.verify makes it an error if it does not
// (it "has been modified by an inplace operation"). Open dims take their values from the shapes: bind again when they
// change. The dtype must be that of the input.
gradc_status gradc_call_bind(gradc_call *call, int input, const gradc_tensor *array);
// Sets an open dim. GRADC_ARGUMENT: the shape of an input says it, so that it is set by binding that.
gradc_status gradc_call_set_dim(gradc_call *call, const char *dim, int64_t value);
// Whether `training` is true in the program; false at first.
void gradc_call_set_training(gradc_call *call, bool training);
// Whether backward computes the gradient by this input; false at first, also for inputs marked requires_grad. It is the
// next forward that begins to track.
gradc_status gradc_call_requires_grad(gradc_call *call, int input, bool requires_grad);

// Computes the outputs and keeps nothing for a backward (PyTorch's no_grad).
gradc_status gradc_call_value(gradc_call *call);
// Computes the outputs and keeps what backward needs. A new forward replaces what an earlier one kept.
// Both return GRADC_DATA when an index or class number was out of range; the outputs are then not to be used.
gradc_status gradc_call_forward(gradc_call *call);

// Output number `index` of the last run; the array belongs to the call and is overwritten by the next run.
gradc_status gradc_call_output(gradc_call *call, int index, gradc_tensor *output);

// Stores the states of nets (running means and the like) that the last run, in training mode, computed: the end of a
// training step that is made of forward, backward and update. A backward of an earlier forward is then an error.
gradc_status gradc_call_store_states(gradc_call *call);

// The gradient of output 0, which must be one number, by every parameter that it depends on and that is not frozen, and
// by every tracked input. backward adds into gradc_gradients and the inputs' gradients; grad hands the parameters'
// gradients back in `gradients` (gradc_parameter_elements elements, zero where there is no gradient; NULL: they are not
// wanted; the inputs' gradients then hold this result alone) and touches no stored gradient of parameters.
// GRADC_ORDER: the last run was not a forward; or its tape was released by an earlier backward without retain_graph; or
// parameters have changed since.
gradc_status gradc_call_backward(gradc_call *call, bool retain_graph);
gradc_status gradc_call_grad(gradc_call *call, void *gradients, bool retain_graph);
// The stored gradient by an input, of the input's dtype and shape. GRADC_ORDER: it was not tracked by a forward, or
// output 0 does not depend on it.
gradc_status gradc_call_input_gradient(gradc_call *call, int input, gradc_tensor *gradient);
// Sets the inputs' stored gradients to zero.
void gradc_call_zero_grad(gradc_call *call);

// ---- trainers: one train block, fed by the host

// `loss` names the train block.
gradc_status gradc_trainer_create(gradc_program *program, const char *loss, gradc_trainer **trainer);
void gradc_trainer_free(gradc_trainer *trainer);

// As for calls. Open dims that no input says are the block's batch until they are set.
int gradc_trainer_input(const gradc_trainer *trainer, const char *name);
gradc_status gradc_trainer_bind(gradc_trainer *trainer, int input, const gradc_tensor *array);
gradc_status gradc_trainer_set_dim(gradc_trainer *trainer, const char *dim, int64_t value);

// One fused training step: the loss before it in *loss (may be NULL), gradients by the inputs bound, and the
// optimizer's update. Stored gradients are not touched. Allocates nothing while the shapes stay the same. GRADC_DATA:
// an index or class number was out of range; GRADC_NUMBER: the loss is not finite. The parameters may then have been
// changed.
gradc_status gradc_trainer_step(gradc_trainer *trainer, double *loss);
// The optimizer's update with the stored gradients, as after gradc_call_backward.
gradc_status gradc_trainer_update(gradc_trainer *trainer);

// Binds an input to all rows of a data set, for gradc_trainer_steps, which takes a batch of them for each step: the
// first axis counts the rows, the others are as the input's. The array is read in place and must live as long.
// gradc_trainer_step then has no batch to take, until gradc_trainer_bind binds that input to one.
gradc_status gradc_trainer_bind_rows(gradc_trainer *trainer, int input, const gradc_tensor *rows);

typedef struct {
    int64_t count;          // steps to take
    int64_t batch;          // rows of a step; 0: as the train block says
    const int64_t *order;   // rows by number, in the order in which they are taken; NULL: 0, 1, 2, ...
    int64_t order_count;    // how many `order` has
    // Where in the order the first step begins, and then where the one after the last would; NULL: at its begin.
    int64_t *position;
    double *losses;   // of each step, before it changed the parameters; or NULL
} gradc_steps_options;

// Fused training steps over rows in memory, in one call: the same bits as so many calls of gradc_trainer_step, and next
// to no time between two steps. The order is gone through again and again; the last batch of each time is what is left.
// Rows in their own order are read in place, others are copied together. Inputs bound by gradc_trainer_bind are the
// same in all steps; with no rows bound, `batch`, `order` and `position` have no meaning. Allocates nothing from the
// second call on. It ends at the first step that fails, as gradc_trainer_step does; gradc_trainer_iteration then says
// how many there were.
gradc_status gradc_trainer_steps(gradc_trainer *trainer, const gradc_steps_options *options);

// A hyperparameter of the optimizer, such as "lr", or of a map of the gradient. With several optimizers "*.b:lr" is
// that of the one for "*.b", and "lr" that of the one for all other parameters. "iterations", how many steps there will
// be, must be set if the program's schedules depend on it; gradc_fit sets it. GRADC_ARGUMENT: there is none of that
// name, or the program computes it.
gradc_status gradc_trainer_set(gradc_trainer *trainer, const char *name, double value);
gradc_status gradc_trainer_get(const gradc_trainer *trainer, const char *name, double *value);
int64_t gradc_trainer_iteration(const gradc_trainer *trainer);   // steps and updates so far

// Saves all that a host's own loop goes on with: parameters, states of nets, and of all train blocks optimizer states,
// iterations and hyperparameters; the seed and the number of random draws. What the host keeps is not in it: its place
// in its data, and stored gradients. The file, safetensors too, appears whole or not at all.
gradc_status gradc_checkpoint_save(gradc_program *program, const char *path);
// Loads it in this program or another one compiled from the same text: steps then give the same bits as if they had
// gone on at once. A checkpoint of gradc_fit fits, too, as it was after its last step. GRADC_DATA: it is damaged, or of
// another program; nothing is then changed.
gradc_status gradc_checkpoint_load(gradc_program *program, const char *path);

// ---- training on the program's own data

typedef struct {
    const char *name;
    double value;
} gradc_metric_value;

typedef struct {
    const char *loss;        // which train block
    int64_t epoch, epochs;   // the epoch that has ended, from 1
    int64_t iteration;       // steps of the block so far
    double mean_loss;        // over the rows of the epoch, each with the parameters of its step
    int metric_count;
    const gradc_metric_value *metrics;   // over the held-out rows (all rows if none are held out)
    int report_count;
    const gradc_metric_value *reports;   // the loss's `report`s, as the epoch's last step had them
    double monitored;   // what `monitor` or `patience` watches, after this epoch; NaN: not of this block
    bool best;          // no epoch before had a better one
    double seconds;     // that the epoch took, metrics included
} gradc_progress;
// Called after each epoch. Returning false ends the training with GRADC_STOPPED.
typedef bool gradc_progress_function(void *context, const gradc_progress *progress);

typedef struct {
    const char *loss;        // which train block
    int64_t epoch, epochs;   // the running epoch, from 1
    int64_t iteration;       // steps of the block so far
    int64_t rows_done;       // that the epoch's steps have taken until now
    int64_t rows;            // of the whole epoch; for a loss without inputs its steps
    double step_loss;        // of the step's rows, before the step changed the parameters
    double seconds;          // of this epoch so far
} gradc_step;
// Called after each step, before what belongs to the epoch's end. Returning false ends the training with GRADC_STOPPED
// after this step; if it was the last one of its epoch, after that end. This is where a signal's flag is looked at.
typedef bool gradc_step_function(void *context, const gradc_step *step);

typedef struct {
    const char *loss;                    // NULL: all train blocks take turns
    int64_t epochs, batch;               // 0: as the program says
    const double *learning_rate;         // sets the hyperparameter `lr`; NULL: as the program says
    const uint64_t *seed;                // NULL: the first train block's
    bool keep_parameters;                // train what is there, instead of first values
    const char *data;                    // a file in place of every data block's own; NULL: theirs
    gradc_progress_function *progress;   // or NULL
    gradc_step_function *step;           // or NULL
    void *context;                       // what both get
    const char *monitor;                 // a metric's name, or "loss": the best epoch counts; NULL: the last one does
    bool monitor_greater;                // the greater the better, as for an accuracy
    int64_t patience;                    // so many epochs without a better one end the training; 0: they never do
    const char *checkpoint;     // a file to write at epochs' ends and when training ends or is stopped; or NULL
    int64_t checkpoint_steps;   // also after so many steps; 0: at those times alone
    const char *resume;         // a checkpoint to go on from; or NULL
} gradc_fit_options;

// Trains. The held-out rows are chosen by the file alone, the order of the training rows by the seed and the epoch, the
// same on every machine. On failure parameters are those of the last step done. options NULL: all zero.
//
// What is monitored is measured over the held-out rows after each epoch, "loss" too: the first train block's, as its
// value is when `training` is false. Another block's loss is watched by its name. In the end, however training ends,
// the parameters and states of nets are then those of the best epoch, once there is one. patience alone watches "loss".
//
// A checkpoint holds all that the training goes on with: parameters, states, optimizers, hyperparameters as they
// are, random draws, the place in the data, the best epoch. At epochs' ends one is written at most once a second, as
// it takes milliseconds to be safe on the disk. It is written after the progress or step function was called, and
// appears whole or not at all: the one before stays until then, and if it cannot be written training ends with
// GRADC_FILE. A training that is resumed ends with the same bits as one that was never interrupted. What resume
// finds in options that are 0 or NULL (loss, epochs, batch, seed, data, monitor, patience) is what the interrupted
// training had; more epochs, another batch or learning rate can be asked for. GRADC_DATA: the checkpoint is damaged,
// or of another program, seed or data, and the message says what differs; nothing is then changed. Checkpoints are
// safetensors files: gradc_load takes the best epoch's parameters from one, or the last ones where nothing is
// monitored.
gradc_status gradc_fit(gradc_program *program, const gradc_fit_options *options);

// Which rows of a data file.
typedef enum {
    GRADC_ROWS_USUAL,      // all of a file that is given in place of the data block's own; else those held out
    GRADC_ROWS_HELD_OUT,   // all if none are held out
    GRADC_ROWS_TRAINING,
    GRADC_ROWS_ALL
} gradc_rows;
// All rows of a given file are new to the net: a field that is made of all rows at once, such as (c - mean(c, axis = 0)),
// would be another one than in training, and is refused with GRADC_DATA. HELD_OUT or TRAINING rows of a given file say
// that it is the one that training had.

typedef struct {
    const char *entry;   // a loss or metric that the data block feeds; NULL: all that it feeds
    const char *data;    // name of a data block; NULL: the first
    const char *file;    // read instead of the data block's own; NULL: that
    gradc_rows rows;
} gradc_evaluate_options;

typedef struct {
    const char *data;   // the data block's name
    int64_t rows;       // over so many
    int count;
    const gradc_metric_value *values;   // losses, then metrics, in the order of the program
} gradc_evaluation;

// Measures losses and metrics with the parameters as they are and `training` false: the mean over the rows, in pieces
// of some thousand, each weighted by its rows. *evaluation is valid until the next gradc_evaluate. options NULL: all
// zero.
gradc_status gradc_evaluate(gradc_program *program, const gradc_evaluate_options *options,
                            gradc_evaluation *evaluation);

typedef struct {
    const char *entry;   // a net or fn that the data block feeds; NULL: the first net it feeds
    const char *data;    // name of a data block; NULL: the first that feeds the entry
    const char *file;    // read instead of the data block's own; NULL: that
    gradc_rows rows;
} gradc_predict_options;

// Writes a CSV file with a line for each row: `row`, the row's number in the data file from 1; the data block's
// one-number fields that the entry does not read, such as `y`, where the file has them; `prediction`, for rows of
// several numbers the position of the greatest; and the outputs. The file needs no more columns than the entry. It
// appears whole or not at all. path NULL: writes nothing, and says whether names and files are right. options NULL: all
// zero.
gradc_status gradc_predict(gradc_program *program, const gradc_predict_options *options, const char *path);

// Reads the file of a data block (NULL: of each one), or `file` in its place, and checks it as gradc_fit does.
gradc_status gradc_check_data(gradc_program *program, const char *data, const char *file);

// ---- compiling ahead, and loops that call compiled code directly

typedef enum {
    GRADC_KIND_VALUE,
    GRADC_KIND_FORWARD,
    GRADC_KIND_BACKWARD,
    GRADC_KIND_UPDATE,   // of the entry's train block
    GRADC_KIND_STEP      // of the entry's train block
} gradc_kind;

// Compiles now what a run of that kind would compile, with the mode and the tracked inputs that are set: VALUE, FORWARD
// or BACKWARD. Nothing need be bound; where all inputs are, the code for several threads is compiled too if the sizes
// are worth it.
gradc_status gradc_call_compile(gradc_call *call, gradc_kind kind);
// UPDATE or STEP.
gradc_status gradc_trainer_compile(gradc_trainer *trainer, gradc_kind kind);

// The compiled function of that kind and a frame for it in which all is set (gradc_frame.h), for the bound inputs:
// calling it with the frame is the run, less all that gradc does around it, on the calling thread alone. Compiles if
// need be. What is then up to the host:
//   - The frame holds until something is bound or set in the handle, or one of the program's handles runs with larger
//     arrays; `frame->fault` and the arrays belong to the handle.
//   - `inputs` and `outputs` may be replaced by arrays of pointers to other arrays of the same shapes.
//   - Class numbers are not looked at before the run. A result other than 0 means that an index was out of bounds:
//     frame->fault[0] at position frame->fault[1]; set both to 0 before the next run.
//   - FORWARD and STEP: add 1 to `draw_count` after each, or the next has the same random numbers; a BACKWARD has the
//     draw_count of its forward.
//   - BACKWARD adds into `gradients`, and writes the gradients by tracked inputs to its `outputs`; it needs a FORWARD
//     with the same tape before it. gradc_call_backward knows nothing of either.
//   - STEP and UPDATE: say gradc_trainer_advance after each. STEP's output 0 is the loss, in the dtype of the loss.
gradc_status gradc_call_function(gradc_call *call, gradc_kind kind, gradc_function **function, gradc_frame *frame);
gradc_status gradc_trainer_function(gradc_trainer *trainer, gradc_kind kind, gradc_function **function,
                                    gradc_frame *frame);
// Counts steps or updates that the host made by calling the function: the iteration, which schedules and optimizers
// read, the random numbers, and that the parameters have changed.
void gradc_trainer_advance(gradc_trainer *trainer, int64_t steps);

// ---- arrays in files

// Reads an array as the dtype: NumPy's NAME.npy; the array `name` of NAME.npz (NULL: the only one); or the numbers of
// NAME.csv as [rows, columns]. GRADC_DATA: it is no such file, or holds a number that the dtype does not have. The
// array does not depend on the program, which is told of errors; free it with gradc_array_free.
gradc_status gradc_array_read(gradc_program *program, const char *path, const char *name, gradc_dtype dtype,
                              gradc_tensor *array);
void gradc_array_free(gradc_tensor *array);
// Writes one array as NAME.npy, or `count` under their names as NAME.npz. The file appears whole or not at all.
gradc_status gradc_array_write(gradc_program *program, const char *path, int count, const char *const *names,
                               const gradc_tensor *arrays);

// ---- looking inside

typedef enum {
    GRADC_STAGE_AST,
    GRADC_STAGE_GRAPH,
    GRADC_STAGE_GRAD,
    GRADC_STAGE_BATCH,
    GRADC_STAGE_OPT,
    GRADC_STAGE_KERNELS,
    GRADC_STAGE_PLAN,
    GRADC_STAGE_LLVM,
    GRADC_STAGE_ASM
} gradc_stage;

// The printed form of a stage for one function. entry NULL: the first loss, else the first entry; ignored, as `kind`
// is, for GRADC_STAGE_AST, which every text has that parses, also where it has other errors. Of inputs, those marked
// requires_grad count as tracked.
gradc_status gradc_dump(gradc_program *program, gradc_stage stage, const char *entry, gradc_kind kind,
                        const char **text);
// The derivative of an entry's first output by each parameter, as a program of the language. entry NULL: as above.
gradc_status gradc_derivative(gradc_program *program, const char *entry, const char **text);

// ---- what a function costs

typedef struct {
    const char *name;   // of what it computes, in the source: "hidden.add"
    const char *file;   // where that is; NULL: nowhere
    int line;
    const char *kind;    // "map", "row", "column", "contract", "scatter", "sort", "loop"
    const char *shape;   // "64x32 over 16": axes of the result, then those that are summed; of a loop "8 times"
    int depth;           // of the loops around it, which stand before it
    int64_t runs;        // in one call
    int64_t flops;       // floating operations of all runs; a function such as exp counts as 20
    int64_t bytes;       // that all runs read and write, each array once a run
    bool shared;         // several threads share its work
    double seconds;      // of all runs, in the fastest call that was measured; 0: not measured
} gradc_kernel_info;

typedef struct {
    const char *name;
    int64_t value;
} gradc_dim_value;

typedef struct {
    const char *entry;   // NULL: the first loss, else the first entry
    gradc_kind kind;
    int dim_count;
    const gradc_dim_value *dims;   // open dims; one that is not here is the train block's batch
    bool measure;                  // run it, by as many threads as it is worth, on arrays of its own
} gradc_explain_options;

typedef struct {
    const char *function;   // "nll_step"
    int count;
    const gradc_kernel_info *kernels;   // in the order in which they run
    int dim_count;
    const gradc_dim_value *dims;   // that it was asked for
    int64_t flops, bytes;          // of all kernels
    int64_t memory;                // bytes of what is kept between kernels and for a backward
    // Measured, or 0:
    double seconds;   // of one call, without a clock between kernels
    double peak;      // floating operations a second of one core
    // Bytes a second, read and written, by a copy over as much memory as all its arrays have, 64 MiB at most.
    double bandwidth;
    int threads;   // that share the work; 1: one does it all. A kernel's seconds are from one meeting of all to the next
} gradc_explanation;

// What the compiler thinks that each kernel costs, from which it decides how work is done, and if asked how long each
// takes. No kernel is faster than flops / peak, nor, where its arrays are in no nearer cache than that of the copy, than
// bytes / bandwidth. Measuring changes nothing in the program. *explanation is valid until the next gradc_explain.
// options NULL: all zero.
gradc_status gradc_explain(gradc_program *program, const gradc_explain_options *options,
                           gradc_explanation *explanation);

// Milliseconds that compiling took until now.
typedef struct {
    double parse, elaborate, differentiate, simplify, kernels, emit, machine_code;
    int functions;   // compiled so far
    int cached;      // of these: whose machine code was found in the cache
} gradc_timings;
void gradc_get_timings(const gradc_program *program, gradc_timings *timings);

const char *gradc_version(void);   // GRADC_VERSION of the library that is linked

#ifdef __cplusplus
}
#endif

#endif
