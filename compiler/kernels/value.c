// A node's value at an index, as instructions of a kernel. What has a buffer is loaded, what this kernel computed is
// used as it is, and everything else is computed on the spot: this is where chains fuse and views vanish.
#include "kernels/lowering.h"

#include <assert.h>

static int operand_phase(const Kernel *kernel, int operand) {
    if (operand < 0) return 0;
    const Instruction *instruction = &kernel->instructions.items[operand];
    return instruction->phase + (instruction->kind == INSTRUCTION_REDUCE);
}

int add_instruction(Lowering *lowering, Draft *draft, const Instruction *instruction) {
    Instruction added = *instruction;
    Kernel *kernel = draft->kernel;
    added.phase = 0;
    for (int i = 0; i < MAX_ARITY; i++) {
        int phase = operand_phase(kernel, added.operands[i]);
        if (phase > added.phase) added.phase = phase;
    }
    array_push(lowering->arena, &kernel->instructions, added);
    return kernel->instructions.count - 1;
}

static Instruction instruction_of(const Lowering *lowering, InstructionKind kind, const Node *node) {
    Instruction instruction = {.kind = kind, .op = node->op, .dtype = node->dtype, .operands = {-1, -1, -1}};
    instruction.affine = affine_constant(lowering, NULL);
    instruction.node = node;
    return instruction;
}

static unsigned bucket_of(const Node *node) {
    return (unsigned)node->id % MEMO_BUCKETS;
}

void remember(Lowering *lowering, Draft *draft, const Node *node, const Affine *index, int instruction) {
    Memo *memo = arena_allocate(lowering->arena, sizeof(Memo) + sizeof(Affine) * (size_t)node->rank);
    memo->node = node;
    for (int i = 0; i < node->rank; i++) memo->index[i] = index[i];
    memo->instruction = instruction;
    memo->next = draft->memo[bucket_of(node)];
    draft->memo[bucket_of(node)] = memo;
}

static bool same_index(const Affine *a, const Affine *b, int rank) {
    for (int i = 0; i < rank; i++)
        if (!affine_equal(&a[i], &b[i])) return false;
    return true;
}

static int recall(const Draft *draft, const Node *node, const Affine *index) {
    for (const Memo *memo = draft->memo[bucket_of(node)]; memo; memo = memo->next)
        if (memo->node == node && same_index(memo->index, index, node->rank)) return memo->instruction;
    return -1;
}

void domain_index(const Lowering *lowering, const Draft *draft, int domain, Affine *index) {
    for (int i = 0; i < draft->domain_rank[domain]; i++) {
        int axis = draft->domain[domain][i];
        bool single = extent_is(draft->kernel->axes[axis].extent, 1);
        index[i] = single ? affine_constant(lowering, NULL) : affine_axis(lowering, axis);
    }
}

static int load(Lowering *lowering, Draft *draft, const Node *node, const NodeState *state, Affine position) {
    Instruction instruction = instruction_of(lowering, INSTRUCTION_LOAD, node);
    instruction.buffer = state->buffer;
    instruction.dtype = state->buffer->dtype;
    instruction.affine = affine_add(lowering, &state->origin, &position);
    int loaded = add_instruction(lowering, draft, &instruction);
    if (instruction.dtype == node->dtype) return loaded;
    Instruction converted = instruction_of(lowering, INSTRUCTION_MAP, node);   // hyperparameters are f64 in the frame
    converted.op = OP_cast;
    converted.operands[0] = loaded;
    return add_instruction(lowering, draft, &converted);
}

static int lower_gather(Lowering *lowering, Draft *draft, Node *node, const Affine *index) {
    Node *x = node->inputs[0], *indices = node->inputs[1];
    const NodeState *state = node_state(lowering, below_reshapes(x));
    Affine inner[MAX_RANK];
    inner[0] = affine_constant(lowering, NULL);
    for (int i = 1; i < x->rank; i++) inner[i] = index[indices->rank + i - 1];
    Affine position = affine_linear(lowering, inner, x->shape, x->rank);
    Instruction instruction = instruction_of(lowering, INSTRUCTION_LOAD, node);
    instruction.operands[0] = lower_value(lowering, draft, indices, index);
    instruction.buffer = state->buffer;
    instruction.affine = affine_add(lowering, &state->origin, &position);
    instruction.stride = extent_constant(lowering->extents, 1);
    for (int i = 1; i < x->rank; i++)
        instruction.stride = extent_multiply(lowering->extents, instruction.stride, x->shape[i]);
    instruction.limit = x->shape[0];
    return add_instruction(lowering, draft, &instruction);
}

// The number of an element among all that its site draws: those of earlier iterations come first (S11).
static Affine draw_number(const Lowering *lowering, const Affine *index, const Node *node) {
    Affine iteration = affine_constant(lowering, NULL);   // of all enclosing loops, counted as one
    for (int i = 0; i < lowering->loop_axis_count; i++) {
        Affine counter = affine_axis(lowering, i);
        iteration = affine_scale(lowering, &iteration, lowering->loop_axes[i].extent);
        iteration = affine_add(lowering, &iteration, &counter);
    }
    Affine position = affine_linear(lowering, index, node->shape, node->rank);
    iteration = affine_scale(lowering, &iteration, element_count(lowering->graph, node));
    return affine_add(lowering, &iteration, &position);
}

static int lower_leaf(Lowering *lowering, Draft *draft, const Node *node, const Affine *index) {
    InstructionKind kind = node->op == OP_constant ? INSTRUCTION_CONSTANT
                           : node->op == OP_extent ? INSTRUCTION_EXTENT
                           : node->op == OP_iota   ? INSTRUCTION_INDEX
                                                   : INSTRUCTION_RANDOM;
    Instruction instruction = instruction_of(lowering, kind, node);
    instruction.scalar = node->scalar;
    if (kind == INSTRUCTION_EXTENT) instruction.affine.base = node->attributes[0];
    if (kind == INSTRUCTION_INDEX) instruction.affine = index[attribute_integer(node, 0)];
    if (kind == INSTRUCTION_RANDOM) {
        instruction.affine = draw_number(lowering, index, node);
        extent_is_constant(node->attributes[0], &instruction.scalar.integer);   // a site has 64 bits
    }
    return add_instruction(lowering, draft, &instruction);
}

static int lower_map(Lowering *lowering, Draft *draft, Node *node, const Affine *index) {
    Instruction instruction = instruction_of(lowering, INSTRUCTION_MAP, node);
    for (int i = 0; i < node->input_count; i++)
        instruction.operands[i] = lower_value(lowering, draft, node->inputs[i], index);
    NodeState *state = node_state(lowering, node);
    if (state->seen && state->seen != draft) state->recomputed = true;
    state->seen = draft;
    return add_instruction(lowering, draft, &instruction);
}

static int lower_view(Lowering *lowering, Draft *draft, Node *node, const Affine *index) {
    Node *x = node->inputs[0], *below = below_reshapes(node);
    const NodeState *state = node_state(lowering, below);
    if (node->op == OP_reshape && state->buffer && state->draft != draft)
        return load(lowering, draft, below, state, affine_linear(lowering, index, node->shape, node->rank));
    Affine inner[MAX_RANK];
    bool fits = view_index(lowering, node, index, inner);
    assert(fits && "find_roots gives the input of other reshapes a buffer");
    (void)fits;
    return lower_value(lowering, draft, x, inner);
}

int lower_value(Lowering *lowering, Draft *draft, Node *node, const Affine *index) {
    int known = recall(draft, node, index);
    if (known >= 0) return known;
    const NodeState *state = node_state(lowering, node);
    int value;
    if (state->buffer && state->draft == draft && state->instruction >= 0) value = state->instruction;
    else if (state->buffer)
        value = load(lowering, draft, node, state, affine_linear(lowering, index, node->shape, node->rank));
    else if (op_class(node->op) == CLASS_MAP) value = lower_map(lowering, draft, node, index);
    else if (op_class(node->op) == CLASS_VIEW) value = lower_view(lowering, draft, node, index);
    else if (node->op == OP_gather) value = lower_gather(lowering, draft, node, index);
    else value = lower_leaf(lowering, draft, node, index);
    remember(lowering, draft, node, index, value);
    return value;
}

void store_at(Lowering *lowering, Draft *draft, const Root *root, int value, const Affine *index) {
    Affine position = affine_linear(lowering, index, root->node->shape, root->node->rank);
    Instruction store =
        instruction_of(lowering, root->accumulate ? INSTRUCTION_ADD_STORE : INSTRUCTION_STORE, root->node);
    store.dtype = root->buffer->dtype;
    store.buffer = root->buffer;
    store.operands[0] = value;
    store.affine = affine_add(lowering, &root->origin, &position);
    add_instruction(lowering, draft, &store);
    if (!root->whole) return;
    NodeState *state = node_state(lowering, root->node);
    state->buffer = root->buffer;
    state->origin = root->origin;
    state->draft = draft;
    state->instruction = value;
}

void store_root(Lowering *lowering, Draft *draft, const Root *root, int value, int domain) {
    Affine index[MAX_RANK];
    domain_index(lowering, draft, domain, index);
    store_at(lowering, draft, root, value, index);
    if (root->whole) node_state(lowering, root->node)->domain = domain;
}
