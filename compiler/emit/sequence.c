// Kernels that run in order: scattered additions, and loops over other kernels.
#include "emit/emitter.h"

void emit_scatter(Emitter *emitter, const Kernel *kernel) {
    int axes[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    Nest nest;
    Scope *scope = open_axes(emitter, &nest, kernel, axes, count);
    scope_effects(emitter, scope, -1, 0, 0);
    close_axes(emitter, &nest);
}

void emit_loop(Emitter *emitter, const Kernel *kernel) {
    const Code *code = &emitter->code;
    int counter = kernel->axis_count - 1;
    LLVMValueRef limit = extent_value_of(emitter, kernel->axes[counter].extent);
    Loop loop = loop_begin(code, kernel->name, v_i64(code, 0), limit, v_i64(code, 1), NULL, 0);
    emitter->loop_index[counter] = loop.index;
    // The last kernel of a round and the first of the next.
    if (kernel->body.count) emit_barrier(emitter, kernel->body.items[kernel->body.count - 1], kernel->body.items[0]);
    emit_kernels(emitter, &kernel->body);
    loop_end(code, &loop, NULL);
}
