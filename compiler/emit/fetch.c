// Asks for memory before it is needed, where the cost model wants it (kernels/cost.c). An address may lie behind the end
// of its array: what is only fetched faults nowhere.
#include "emit/emitter.h"

enum { LINE_BYTES = 64 };

// How far on, in elements.
static LLVMValueRef distance_of(Emitter *emitter, const Instruction *load, const Fetching *fetching) {
    if (fetching->next >= 0) return extent_value_of(emitter, load->affine.strides[fetching->next]);
    return v_i64(&emitter->code, FETCH_AHEAD / (int)dtype_size(load->buffer->dtype));
}

// Of a vector of `scope`, number `vector` of those that follow each other here: once for each of their lines.
void fetch_ahead(Emitter *emitter, Scope *scope, const Fetching *fetching, int vector) {
    const Code *code = &emitter->code;
    const Kernel *kernel = scope->kernel;
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *load = &kernel->instructions.items[i];
        if (!fetching->loads[i] || vector * scope->width % (LINE_BYTES / (int)dtype_size(load->dtype))) continue;
        LLVMValueRef distance = distance_of(emitter, load, fetching);
        LLVMTypeRef type = v_memory_type(code, load->buffer->dtype);
        LLVMValueRef at = LLVMBuildGEP2(code->builder, type, access_pointer(emitter, scope, i), &distance, 1, "");
        v_prefetch(code, at, fetching->loads[i] == FETCH_NEAR ? CACHE_NEAR : CACHE_FAR);
    }
}
