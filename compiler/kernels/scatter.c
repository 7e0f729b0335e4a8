// Kernels that write elsewhere than at the element at hand: pads and scatters, into zeros that another kernel wrote
// before, and the order of rows. Nothing joins them, and they join nothing.
#include "kernels/lowering.h"

Draft *fill_zero(Lowering *lowering, const Root *root) {
    const Node *node = root->node;
    Draft *draft = new_map_draft(lowering, node);
    draft->closed = true;
    Instruction zero = {.kind = INSTRUCTION_CONSTANT, .dtype = node->dtype, .operands = {-1, -1, -1}};
    zero.affine = affine_constant(lowering, NULL);
    Root target = *root;
    store_root(lowering, draft, &target, add_instruction(lowering, draft, &zero), 0);
    return draft;
}

static Draft *source_draft(Lowering *lowering, KernelKind kind, const Node *node, const Node *source, Affine *index) {
    Draft *draft = new_draft(lowering, kind, node);
    draft->closed = true;
    for (int i = 0; i < source->rank; i++) {
        int axis = add_axis(draft, AXIS_PARALLEL, source->shape[i]);
        index[i] = affine_axis(lowering, axis);
    }
    return draft;
}

static void finish_scattered(Lowering *lowering, const Root *root, Draft *draft, Instruction *write) {
    write->dtype = root->node->dtype;
    write->buffer = root->buffer;
    write->node = root->node;
    add_instruction(lowering, draft, write);
    NodeState *state = node_state(lowering, root->node);
    state->buffer = root->buffer;
    state->origin = root->origin;
    state->draft = draft;
    state->instruction = -1;
}

void place_pad(Lowering *lowering, const Root *root) {
    Node *node = root->node, *x = node->inputs[0];
    fill_zero(lowering, root);
    Affine index[MAX_RANK], target[MAX_RANK];
    Draft *draft = source_draft(lowering, KERNEL_MAP, node, x, index);
    for (int i = 0; i < x->rank; i++) {
        Affine low = affine_constant(lowering, node->attributes[2 * i]);
        Affine scaled = affine_scale(lowering, &index[i], node->attributes[2 * i + 1]);
        target[i] = affine_add(lowering, &low, &scaled);
    }
    Affine position = affine_linear(lowering, target, node->shape, node->rank);
    Instruction store = {.kind = INSTRUCTION_STORE, .operands = {-1, -1, -1}};
    store.operands[0] = lower_value(lowering, draft, x, index);
    store.affine = affine_add(lowering, &root->origin, &position);
    finish_scattered(lowering, root, draft, &store);
}

void place_scatter(Lowering *lowering, const Root *root) {
    Node *node = root->node, *indices = node->inputs[0], *updates = node->inputs[1];
    fill_zero(lowering, root);
    Affine index[MAX_RANK], target[MAX_RANK];
    Draft *draft = source_draft(lowering, KERNEL_SCATTER, node, updates, index);
    target[0] = affine_constant(lowering, NULL);
    for (int i = 1; i < node->rank; i++) target[i] = index[indices->rank + i - 1];
    Affine position = affine_linear(lowering, target, node->shape, node->rank);
    Instruction scatter = {.kind = INSTRUCTION_SCATTER, .operands = {-1, -1, -1}};
    scatter.operands[0] = lower_value(lowering, draft, updates, index);
    scatter.operands[1] = lower_value(lowering, draft, indices, index);
    scatter.affine = affine_add(lowering, &root->origin, &position);
    scatter.limit = node->shape[0];
    scatter.stride = extent_constant(lowering->extents, 1);
    for (int i = 1; i < node->rank; i++)
        scatter.stride = extent_multiply(lowering->extents, scatter.stride, node->shape[i]);
    finish_scattered(lowering, root, draft, &scatter);
}

// ---- the order of rows

void place_sort(Lowering *lowering, const Root *root) {
    Node *node = root->node, *x = node->inputs[0];
    Affine index[MAX_RANK];
    Draft *draft = source_draft(lowering, KERNEL_SORT, node, x, index);
    Kernel *kernel = draft->kernel;
    kernel->axes[kernel->axis_count - 1].role = AXIS_ROW;
    Affine position = affine_linear(lowering, index, node->shape, node->rank);
    Instruction sort = {.kind = INSTRUCTION_SORT, .operands = {-1, -1, -1}};
    sort.operands[0] = lower_value(lowering, draft, x, index);
    sort.scalar.integer = attribute_integer(node, 0);
    sort.affine = affine_add(lowering, &root->origin, &position);
    finish_scattered(lowering, root, draft, &sort);
    const Extent *room =
        extent_multiply(lowering->extents, x->shape[x->rank - 1], extent_constant(lowering->extents, 3));
    kernel->pack = add_buffer(lowering, DTYPE_I64, SPACE_SCRATCH, 0, NULL, room, "order");
    kernel->pack->copies = lowering->program->workers;
}
