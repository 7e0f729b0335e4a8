// What calls and trainers share: a function chosen by its key, with what it needs to run.
#ifndef GRADC_RUNTIME_CALL_H
#define GRADC_RUNTIME_CALL_H

#include "runtime/internal.h"

// The compiled function last used for one purpose; another key replaces it.
typedef struct {
    bool compiled;
    FunctionKey key;
    Runner runner;
} Slot;

// With no function yet.
Slot slot_of(const gradc_program *program);
// Makes `slot` the function of `key`, compiling it at first use.
gradc_status slot_compile(Slot *slot, gradc_program *program, FunctionKey key);
// The same, and ready for the binding's dims.
gradc_status slot_prepare(Slot *slot, Binding *binding, FunctionKey key);
void slot_free(Slot *slot);

// Arrays for the results of a function, made for the binding's dims.
typedef struct {
    const gradc_program *program;   // NULL: not created
    int capacity, count;
    const Named *results;   // whose shapes they have
    gradc_tensor *tensors;
    Memory *memories;
    void **pointers;       // what the frame gets
    uint64_t generation;   // the binding's, for which they are made; 0: none
} Outputs;

gradc_status outputs_create(Outputs *outputs, gradc_program *program, int capacity);
// For the first `count` (at most capacity) of `results`.
gradc_status outputs_prepare(Outputs *outputs, Binding *binding, const Named *results, int count);
void outputs_free(Outputs *outputs);

// ---- call.c, backward.c

// What the last run left for a backward.
typedef enum { TAPE_NONE, TAPE_NO_GRAD, TAPE_UNTRACKED, TAPE_KEPT, TAPE_RELEASED } TapeState;

typedef struct {
    TapeState state;
    Memory memory;
    uint64_t generation;   // the binding's, for which `memory` is large enough
    // The forward's circumstances, which its backward needs again:
    uint64_t version, changes, draw_count;
    uint64_t tracked;     // inputs whose gradients backward computes
    uint64_t unreached;   // inputs that were to be tracked, but output 0 does not depend on them
    bool training;
    uint64_t *prints;   // what parameters, states and inputs held (gradc_options.verify): one number, then one an input
} Tape;

typedef struct {
    gradc_tensor tensor;   // what backward added up
    Memory sum, last;      // `last`: what the function writes
} InputGradient;

struct gradc_call {
    Binding binding;
    bool training;
    uint64_t requested;   // inputs that the next forward tracks
    Slot value, forward, backward;
    Outputs outputs;
    bool ran, ran_training;
    Tape tape;
    InputGradient *gradients;   // one for each input
    void **gradient_pointers;   // what a backward's frame gets
};

// What a forward with the inputs requested now computes; its kind is KIND_VALUE when nothing is tracked.
FunctionKey forward_key(const gradc_call *call);
// Everything but the function itself that runs of `slot` need: first values, dims, arrays for outputs and tape.
gradc_status call_prepare(gradc_call *call, Slot *slot, FunctionKey key);
gradc_frame call_frame(gradc_call *call);
// The same for the gradients of `tracked` inputs.
gradc_status prepare_gradients(gradc_call *call, uint64_t tracked);
// An error that says why no gradient can come of a forward in which nothing is tracked.
gradc_status fail_untracked(gradc_call *call, uint64_t unreached);
// What the arrays that a backward reads again hold now, as numbers.
void take_prints(const gradc_call *call, uint64_t *prints);

// ---- trainer.c, steps.c

// An input of which gradc_trainer_steps takes batches of rows.
typedef struct {
    bool bound;
    gradc_tensor all;
    size_t row_bytes;
    Memory batch;   // rows that do not lie one behind the other
} RowInput;

struct gradc_trainer {
    Binding binding;   // of the loss
    RowInput *rows;    // one for each input
    int index;         // of the train block
    Slot step, update;
    Outputs outputs;   // the loss and its reports
    int64_t batch;     // what open dims are that nothing else says
};

const TrainBlock *block_of(const gradc_trainer *trainer);
// Everything that a step needs: first values, dims, the function, arrays for outputs.
gradc_status trainer_prepare(gradc_trainer *trainer);
// Whether each input is bound to one batch, not to the rows of gradc_trainer_steps.
gradc_status check_batches(const gradc_trainer *trainer);
// trainer_prepare for an update with the stored gradients.
gradc_status trainer_prepare_update(gradc_trainer *trainer);
gradc_frame trainer_frame(gradc_trainer *trainer);
double trainer_loss(const gradc_trainer *trainer);
// blame.c. After a step: GRADC_NUMBER if its loss is not finite, with words on why as far as that is seen.
gradc_status check_loss(gradc_trainer *trainer, double loss);

#endif
