// Random programs as text: nets with parameters and states, loops of all kinds, derivatives by the user, gradients in
// losses, training. Every program is well typed, smooth at most places, and within bounds, so that the compiler must
// take it and its slopes can be compared with finite differences.
#ifndef GRADC_TESTS_RANDOM_TEXT_H
#define GRADC_TESTS_RANDOM_TEXT_H

#include "support/arena.h"

// The program of that seed, zero-terminated; in `arena`.
char *random_text(Arena *arena, uint64_t seed);

#endif
