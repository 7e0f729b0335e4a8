// Elementwise kernels: loops over all axes but the last, vectors along that.
#include "emit/emitter.h"

static void visit_vectors(Emitter *emitter, Scope *scopes, int count, void *context) {
    const Fetching *fetching = context;
    for (int i = 0; i < count && fetching->phase >= 0; i++) fetch_ahead(emitter, &scopes[i], fetching, i);
    for (int i = 0; i < count; i++) scope_load_updated(emitter, &scopes[i]);
    for (int i = 0; i < count; i++) scope_effects(emitter, &scopes[i], -1, 0, 0);
}

static void emit_elements(Emitter *emitter, const Kernel *kernel) {
    if (emit_turned(emitter, kernel)) return;
    int axes[MAX_AXES], count = axes_of(kernel, AXIS_PARALLEL, axes);
    Nest nest;
    Scope *scope = open_axes(emitter, &nest, kernel, axes, count ? count - 1 : 0);
    scope_hoist(emitter, scope);
    Fetching fetching = kernel_fetching(emitter->program, kernel);
    walk_vectors(emitter, scope, count ? axes[count - 1] : -1, 1, visit_vectors, &fetching);
    close_axes(emitter, &nest);
}

void emit_map(Emitter *emitter, const Kernel *kernel) {
    const Code *code = &emitter->code;
    int choice = find_choice(emitter->arena, kernel);
    if (choice < 0) {
        emit_elements(emitter, kernel);
        return;
    }
    Scope scope = scope_root(emitter, kernel);
    LLVMBasicBlockRef saving = b_new(code, "saving"), other = b_new(code, "all"), join = b_new(code, "join");
    LLVMBuildCondBr(code->builder, scope_value(emitter, &scope, choice), saving, other);
    b_go(code, saving);
    emitter->assumed = choice;
    emit_elements(emitter, kernel);
    emitter->assumed = -1;
    LLVMBuildBr(code->builder, join);
    b_go(code, other);
    emit_elements(emitter, kernel);
    LLVMBuildBr(code->builder, join);
    b_go(code, join);
}
