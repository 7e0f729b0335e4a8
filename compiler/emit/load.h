// Object files into memory, without LLVM.
#ifndef GRADC_EMIT_LOAD_H
#define GRADC_EMIT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    void *function;   // the object's one global function
    void *memory;     // give it to unload_object
    size_t size;
} LoadedObject;

// The name of the object's one global function; NULL: it has none or several, or is no whole object file. Looks no
// further than `size` bytes, whatever they are.
const char *object_function(const void *object, size_t size);
// False: the object needs what is not here (a function of the C library, a kind of relocation that is not known), or
// there is no memory.
bool load_object(const void *object, size_t size, LoadedObject *loaded);
void unload_object(const LoadedObject *loaded);

#endif
