// Makes a program that shows a fault smaller, as long as it still shows it: statements, declarations and arguments are
// left out, expressions replaced by their parts, loops by their bodies, sizes by smaller ones. It works on the tree,
// and knows nothing of types: what no longer compiles shows another fault, and is not taken.
#ifndef GRADC_TESTS_REDUCE_TEXT_H
#define GRADC_TESTS_REDUCE_TEXT_H

#include "support/arena.h"

#include <stdbool.h>

typedef bool ShowsFault(void *context, const char *text);

typedef struct {
    int tried, taken;   // how many programs were tried, and how many of them were smaller ones that show the fault
} Reduction;

// The smallest program found after at most `budget` tries; in `arena`. `reduction` may be NULL.
const char *reduce_text(Arena *arena, const char *text, ShowsFault *shows, void *context, int budget,
                        Reduction *reduction);

#endif
