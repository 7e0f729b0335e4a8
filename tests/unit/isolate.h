// Runs a check in a process of its own, so that a program which makes the compiler crash or hang is a finding like
// others: it can be named, and made smaller by trying again.
#ifndef GRADC_TESTS_ISOLATE_H
#define GRADC_TESTS_ISOLATE_H

#include <stdbool.h>

// What can be wrong with what the compiler does of a program. Reducing keeps the kind.
typedef enum {
    FAULT_NONE,
    FAULT_REFUSED,       // a program that should compile is refused
    FAULT_INTERNAL,      // a verifier, or the evaluator, says that a pass is wrong
    FAULT_BITS,          // machine code differs from the evaluator
    FAULT_CUT,           // forward and backward differ from the whole
    FAULT_REWRITE,       // what is simplified and batched differs from what is not
    FAULT_DIFFERENCES,   // a slope differs from finite differences
    FAULT_MODES,         // forward mode differs from reverse mode
    FAULT_STEP,          // a fused training step differs from a split one
    FAULT_PRINTED,       // the program printed back is another one
    FAULT_CRASH,
    FAULT_HANG
} FaultKind;

const char *fault_name(FaultKind kind);

enum { MOST_COUNTS = 128 };

typedef struct {
    FaultKind kind;
    char message[2048];
    int counts[MOST_COUNTS];   // what the check counts, for statistics
} Verdict;

void verdict_set(Verdict *verdict, FaultKind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

typedef void IsolatedCheck(void *context, Verdict *verdict);

// What `check` says, or that it crashed, or took longer than `seconds`. What it prints is kept if something is wrong.
Verdict isolated(IsolatedCheck *check, void *context, int seconds);

#endif
