// Object files into memory, without LLVM.
#ifndef GRADC_EMIT_LOAD_H
#define GRADC_EMIT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const void *bytes;
    size_t size;
} ObjectFile;

typedef struct {
    void *function;   // the first object's one global function
    void *memory;     // give it to unload_object
    size_t size;
} LoadedObject;

// The name of the object's one global function that is not hidden; NULL: it has none or several, or is no whole object file. Looks no
// further than `size` bytes, whatever they are.
const char *object_function(const void *object, size_t size);
// Objects that call each other's functions. False: one needs what is not here (a function of the C library, a kind of relocation that is not known), or
// there is no memory.
bool load_objects(const ObjectFile *files, int count, LoadedObject *loaded);
void unload_object(const LoadedObject *loaded);

// Two objects of one program, as bytes that can be kept: free() them, NULL: there is no memory. And the objects of such
// bytes: how many, one where they are no bundle, and 0 where they are a broken one.
enum { MAX_OBJECTS = 2 };
void *join_bundle(const ObjectFile files[MAX_OBJECTS], size_t *size);
int split_bundle(const void *bytes, size_t size, ObjectFile files[MAX_OBJECTS]);

#endif
