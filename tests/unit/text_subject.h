// What the files of the text checks share: a compiled program, and one of its entries with values for all that it
// reads.
#ifndef GRADC_TESTS_TEXT_SUBJECT_H
#define GRADC_TESTS_TEXT_SUBJECT_H

#include "compilation.h"
#include "evaluate/evaluate.h"
#include "random_program.h"
#include "text_check.h"

// An entry in one mode.
typedef struct {
    Compilation *compilation;
    const TextCheck *check;
    Verdict *verdict;
    const Entry *entry;
    bool training;
    int attempt;   // of drawing values
    int64_t *dims;
    Tensor *arguments;
    VariableValue *bindings;   // parameters, states, then room for directions
    int binding_count;
    void *parameters, *states;   // the flat arrays that the bindings point into
    size_t parameter_bytes, state_bytes;
    uint64_t tracked;          // inputs that are marked and that the first result depends on
    Joint joint;               // before any pass
    Function function;         // after all of them
    Tensor *expected;          // its results
    Environment environment;   // after that
} Subject;

// Runs the evaluator with the subject's values. NULL, and a verdict: it does not fit.
Tensor *subject_evaluate(Subject *subject, const Function *function, const Tensor *arguments);
int64_t element_total(const Tensor *tensor);
bool same_bits(const Tensor *a, const void *data);   // of two NaN the bits may differ
double real_at(const Tensor *tensor, int64_t index);
bool all_finite(const Tensor *tensors, int count);   // the floating ones

// ---- text_values.c: sizes, inputs, parameters and states

// Sizes of the open dims that the entry takes, then values. False: no sizes were found.
bool subject_draw(Subject *subject);

// ---- text_slopes.c
void check_slopes(Subject *subject);

// ---- text_machine.c
// Value, forward and backward of the subject's entry.
void check_machine_code(const Subject *subject);
void check_step(const Subject *subject, const TrainBlock *train, Dtype floating);

// ---- text_printed.c
void check_tree(Compilation *compilation, Verdict *verdict);
void check_derivative(Subject *subject);

#endif
