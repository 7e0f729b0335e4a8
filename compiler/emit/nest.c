// Loops over a kernel's axes, and over the vectors along one of them.
#include "emit/emitter.h"

#include <assert.h>

int axes_of(const Kernel *kernel, AxisRole role, int *axes) {
    int count = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == role) axes[count++] = axis;
    return count;
}

uint32_t axes_mask(const Kernel *kernel, AxisRole role) {
    uint32_t mask = 0;
    for (int axis = 0; axis < kernel->axis_count; axis++)
        if (kernel->axes[axis].role == role) mask |= UINT32_C(1) << axis;
    return mask;
}

Scope *open_axes(Emitter *emitter, Nest *nest, const Kernel *kernel, const int *axes, int count) {
    const Code *code = &emitter->code;
    nest->count = count;
    nest->scopes[0] = scope_root(emitter, kernel);
    for (int i = 0; i < count; i++) {
        scope_hoist(emitter, &nest->scopes[i]);
        Range range = axis_range(emitter, kernel, axes[i], 1);
        nest->loops[i] = loop_begin(code, kernel->name, range.start, range.limit, v_i64(code, 1), NULL, 0);
        nest->scopes[i + 1] = scope_inside(emitter, &nest->scopes[i]);
        scope_bind(&nest->scopes[i + 1], axes[i], nest->loops[i].index);
    }
    return &nest->scopes[count];
}

void close_axes(Emitter *emitter, Nest *nest) {
    for (int i = nest->count - 1; i >= 0; i--) loop_end(&emitter->code, &nest->loops[i], NULL);
}

// ---- along the vector axis

typedef struct {
    Emitter *emitter;
    Scope *outer;
    int axis, width;
    Visit *visit;
    void *context;
} Walk;

// A group of `count` vectors from `index`. `remaining`, if not NULL, elements are left: the last vector is masked, or,
// if `all_masked`, every one.
static void visit_group(const Walk *walk, LLVMValueRef index, int count, LLVMValueRef remaining, bool all_masked) {
    const Code *code = &walk->emitter->code;
    Scope scopes[MAX_GROUP];
    assert(count <= MAX_GROUP);
    for (int i = 0; i < count; i++) {
        LLVMValueRef offset = v_i64(code, (int64_t)i * walk->width);
        bool masked = remaining && (all_masked || i == count - 1);
        LLVMValueRef mask = NULL;
        if (masked) mask = tail_mask(walk->emitter, v_subtract(code, remaining, offset), walk->width);
        scopes[i] = scope_inside(walk->emitter, walk->outer);
        scope_bind(&scopes[i], walk->axis, v_add(code, index, offset));
        scope_vector(&scopes[i], walk->axis, walk->width, mask);
    }
    walk->visit(walk->emitter, scopes, count, walk->context);
}

static void walk_static(const Walk *walk, int64_t first, int64_t extent, int group) {
    const Code *code = &walk->emitter->code;
    int64_t step = (int64_t)group * walk->width, whole = extent / step * step, rest = extent - whole;
    if (whole - first == step) visit_group(walk, v_i64(code, first), group, NULL, false);
    if (whole - first > step) {
        Loop loop = loop_begin(code, "vectors", v_i64(code, first), v_i64(code, whole), v_i64(code, step), NULL, 0);
        visit_group(walk, loop.index, group, NULL, false);
        loop_end(code, &loop, NULL);
    }
    if (!rest) return;
    int count = (int)((rest + walk->width - 1) / walk->width);
    LLVMValueRef remaining = rest % walk->width ? v_i64(code, rest) : NULL;
    visit_group(walk, v_i64(code, whole), count, remaining, false);
}

// Elements [start, limit): all, or a worker's part of them, which begins at a multiple of the step.
static void walk_open(const Walk *walk, Range range, int group) {
    const Code *code = &walk->emitter->code;
    LLVMValueRef step = v_i64(code, (int64_t)group * walk->width);
    LLVMValueRef rest = LLVMBuildSRem(code->builder, range.limit, step, "");
    LLVMValueRef whole = v_subtract(code, range.limit, rest);
    Loop loop = loop_begin(code, "vectors", range.start, whole, step, NULL, 0);
    visit_group(walk, loop.index, group, NULL, false);
    loop_end(code, &loop, NULL);
    LLVMValueRef left = v_less(code, v_i64(code, 0), rest);
    if (is_split(walk->emitter, walk->axis))   // a part may be empty
        left = LLVMBuildAnd(code->builder, left, v_less(code, range.start, range.limit), "");
    Branch tail = b_if(code, left);
    visit_group(walk, whole, group, rest, true);
    b_join(code, tail);
}

void walk_vectors(Emitter *emitter, Scope *outer, int axis, int group, Visit *visit, void *context) {
    walk_vectors_from(emitter, outer, axis, 0, group, visit, context);
}

void walk_vectors_from(Emitter *emitter, Scope *outer, int axis, int64_t first, int group, Visit *visit,
                       void *context) {
    if (axis < 0) {
        Scope scope = scope_inside(emitter, outer);
        visit(emitter, &scope, 1, context);
        return;
    }
    const Extent *extent = outer->kernel->axes[axis].extent;
    Walk walk = {emitter, outer, axis, kernel_lanes(emitter, outer->kernel), visit, context};
    scope_spread(emitter, outer, axis, walk.width);
    int64_t constant, step = (int64_t)group * walk.width, block = (SPLIT_ELEMENTS + step - 1) / step * step;
    if (extent_is_constant(extent, &constant) && !is_split(emitter, axis)) {
        walk_static(&walk, first, constant, group);
        return;
    }
    Range range = axis_range(emitter, outer->kernel, axis, block);
    if (first) range.start = v_maximum(&emitter->code, range.start, v_i64(&emitter->code, first));
    walk_open(&walk, range, group);
}
