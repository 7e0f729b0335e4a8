// Programs for tests: from a text to what elaboration makes of it.
#ifndef GRADC_TESTS_ELABORATED_H
#define GRADC_TESTS_ELABORATED_H

#include "elaborate/program.h"

typedef struct {
    Arena *arena;
    Diagnostics *diagnostics;
    Program *program;   // NULL: it has errors
} World;

World world_of(const char *text, Dtype floating);
Entry *entry_named(const World *world, const char *name);   // NULL: none

#endif
