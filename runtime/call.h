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

// Makes `slot` the function of `key`, compiling it at first use, ready for the binding's dims.
gradc_status slot_prepare(Slot *slot, Binding *binding, FunctionKey key);
void slot_free(Slot *slot);

// Arrays for the results of a function, made for the binding's dims.
typedef struct {
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

#endif
