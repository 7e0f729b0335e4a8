// What a program is to those who go on with what another run of it left.
#ifndef GRADC_RUNTIME_IDENTITY_H
#define GRADC_RUNTIME_IDENTITY_H

#include "runtime/internal.h"

// A part of the program, and a number that changes when what it computes does.
typedef struct {
    const char *name;        // "loss nll", for messages
    const DataBlock *data;   // that the part is; or NULL
    uint64_t hash;
} Part;

typedef struct {
    Arena *arena;   // owns the rest
    int count;
    Part *parts;
    uint64_t whole;   // of all parts
} Identity;

// Free it in any case.
gradc_status identity_create(gradc_program *program, Identity *identity);
void identity_free(Identity *identity);

// A hash as sixteen hexadecimal digits.
enum { HASH_TEXT = 17 };
void hash_text(uint64_t hash, char text[HASH_TEXT]);

#endif
