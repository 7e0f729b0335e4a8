// Products that are stored with their axes in another order, as attention's heads are when they are put side by side:
// the product's kernel stores each element where it belongs, and what comes out of it first lies nowhere unless somebody
// else reads it. The last axis, along which vectors run, stays last, and axes that a product walks as one stay together.
#include "kernels/lowering.h"

// A transposed product below elementwise ops, if it is the first that is found. NULL: there is none.
static Node *turned_product(Lowering *lowering, Node *node, int depth) {
    if (node->op == OP_transpose) {
        const NodeState *state = node_state(lowering, node->inputs[0]);
        bool here = state->buffer && state->draft && state->instruction >= 0 && state->domain == 0;
        return here && state->draft->kernel->kind == KERNEL_CONTRACT ? node : NULL;
    }
    if (op_class(node->op) != CLASS_MAP || !depth) return NULL;
    Node *found = NULL;
    for (int i = 0; i < node->input_count && !found; i++)
        if (!node_state(lowering, node->inputs[i])->buffer)
            found = turned_product(lowering, node->inputs[i], depth - 1);
    return found;
}

// Whether neighbours among the rows or columns of the product stay neighbours.
static bool keeps_together(const Draft *draft, const int *axes, int rank) {
    const Kernel *kernel = draft->kernel;
    for (int i = 0; i < rank; i++) {
        AxisRole role = kernel->axes[axes[i]].role;
        bool more = axes[i] + 1 < kernel->axis_count && kernel->axes[axes[i] + 1].role == role;
        if ((role == AXIS_M || role == AXIS_N) && more && (i + 1 == rank || axes[i + 1] != axes[i] + 1)) return false;
    }
    return rank > 0 && kernel->axes[axes[rank - 1]].role == AXIS_N;
}

bool place_turned(Lowering *lowering, const Root *root) {
    enum { DEPTH = 8 };
    Node *node = root->node, *turned = turned_product(lowering, node, DEPTH);
    if (!turned || !root->whole || root->in_place || root->accumulate || node->rank != turned->rank) return false;
    Draft *draft = node_state(lowering, turned->inputs[0])->draft;
    if (!is_open(lowering, draft, root) || draft->domain_rank[0] != node->rank) return false;
    int axes[MAX_RANK];
    Affine own[MAX_RANK], index[MAX_RANK];
    domain_index(lowering, draft, 0, own);
    for (int i = 0; i < node->rank; i++) {
        int from = attribute_integer(turned, i);
        axes[i] = draft->domain[0][from];
        index[i] = own[from];
    }
    if (!keeps_together(draft, axes, node->rank) || !can_read(lowering, draft, node, index)) return false;
    store_at(lowering, draft, root, lower_value(lowering, draft, node, index), index);
    NodeState *state = node_state(lowering, node);
    state->domain = 0;
    state->instruction = -1;   // it stands at another element than the one at hand
    return true;
}
