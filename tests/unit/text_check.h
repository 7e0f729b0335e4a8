// Checks what the compiler makes of the text of a program, whatever the program is:
//   - it compiles, with the verifiers after every pass, in f64 and in f32;
//   - each entry, in both modes, computes by machine code (value, forward, backward) the evaluator's bits, in all
//     vector widths, each array against a page that may not be touched;
//   - what is simplified, batched and fused computes what the plain graph does, to rounding;
//   - its slope along a direction is the same by finite differences, by reverse and by forward mode, and so is the
//     slope's;
//   - a fused training step gives the bits of forward, backward and update;
//   - the tree, and the derivative, printed as programs, read back as the same programs.
// What is undefined for an entry (kinks, values that are not finite) is left out and counted.
#ifndef GRADC_TESTS_TEXT_CHECK_H
#define GRADC_TESTS_TEXT_CHECK_H

#include "isolate.h"

#include <stdint.h>

typedef struct {
    const char *text;
    uint64_t seed;   // of inputs, parameters, sizes of open dims, and of which width checks what
    bool compiles;   // whether machine code is made and run as well
    int order;       // of the derivatives that are compared: 1 or 2
} TextCheck;

// What a verdict counts.
enum {
    COUNT_ENTRIES,
    COUNT_COMPARED,       // slopes with finite differences
    COUNT_KINKS,          // of them, that were not smooth there
    COUNT_SECOND,         // slopes of slopes
    COUNT_NOT_FINITE,     // entries with results that are not finite
    COUNT_MACHINE,        // functions that ran as machine code
    COUNT_STEPS,          // training steps
    COUNT_PRINTED,        // derivatives that were read back
    COUNT_REFUSED_DIMS,   // entries that no open dims were found for
    COUNT_UNSUPPORTED,    // programs that ask for what the reference says is refused
    TEXT_COUNTS
};

// An IsolatedCheck; context: a TextCheck.
void text_check(void *context, Verdict *verdict);

#endif
