// Which nodes get a buffer. Everything else is computed in the kernel that reads it.
//
// Needs: users' counts. Decides: reductions, contractions, pads, scatters and loops always have one; so has the input
// of a reshape that splits an axis (a buffer can be read in any shape), what a gather, a sort or a loop walks over, what
// is expensive and read through windows, and the operand of a contraction if computing it is expensive or it has
// several readers; and whatever has several readers and takes more than a few instructions. An expensive value that
// turns out to be computed by several kernels is given one too, in another round (program.c). A buffer that only its own
// kernel reads costs nothing: it goes (shapes.c).
#include "kernels/lowering.h"

#include <assert.h>
#include <string.h>

// A longer chain is cut though nobody else reads it: what walks it may recurse, and a kernel stays of a size that
// compiles in a moment.
enum { MAX_SHARED_WEIGHT = 8, MAX_WEIGHT = 200, MANY_INSTRUCTIONS = 1000 };

NodeState *node_state(Lowering *lowering, const Node *node) {
    int page = node->id / PAGE_NODES;
    if (page >= lowering->page_count) {
        int count = lowering->graph->node_count / PAGE_NODES * 2 + 2;
        NodeState ***pages = arena_array(lowering->arena, NodeState **, count);
        if (lowering->page_count) memcpy(pages, lowering->pages, sizeof *pages * (size_t)lowering->page_count);
        lowering->pages = pages;
        lowering->page_count = count;
    }
    NodeState ***states = &lowering->pages[page];
    if (!*states) *states = arena_array(lowering->arena, NodeState *, PAGE_NODES);
    NodeState **state = &(*states)[node->id % PAGE_NODES];
    if (!*state) {
        *state = arena_new(lowering->arena, NodeState);
        (*state)->instruction = -1;
    }
    return *state;
}

bool is_fusible(const Node *node) {
    switch (op_class(node->op)) {
    case CLASS_MAP: return true;
    case CLASS_VIEW: return node->op != OP_pad;
    case CLASS_LEAF: return node->op != OP_variable;
    case CLASS_GATHER: return node->op == OP_gather;
    default: return false;
    }
}

bool is_expensive(const Node *node) {
    if (op_class(node->op) != CLASS_MAP || node->rank == 0) return false;
    return op_is_function(node->op) || node->op == OP_divide || node->op == OP_sqrt;
}

Buffer *add_buffer(Lowering *lowering, Dtype dtype, Space space, int index, const Extent *offset,
                   const Extent *elements, const char *name) {
    Buffer *buffer = arena_new(lowering->arena, Buffer);
    *buffer = (Buffer){lowering->program->buffers.count, dtype, space, index, offset, elements, name, -1, -1, 1};
    array_push(lowering->arena, &lowering->program->buffers, buffer);
    return buffer;
}

Buffer *add_scratch(Lowering *lowering, const Node *node) {
    const char *name = node->name ? node->name : op_name(node->op);
    return add_buffer(lowering, node->dtype, SPACE_SCRATCH, 0, NULL, element_count(lowering->graph, node), name);
}

Node *below_reshapes(Node *node) {
    while (node->op == OP_reshape) node = node->inputs[0];
    return node;
}

// Roots are kept in the order of their nodes' ids, inputs before users. A node that this stage made comes right before
// the node that it was made for.
static void insert_root(Lowering *lowering, Root root) {
    array_push(lowering->arena, &lowering->roots, root);
    int at = lowering->roots.count - 1;
    for (; at > 0 && lowering->roots.items[at - 1].order > root.order; at--)
        lowering->roots.items[at] = lowering->roots.items[at - 1];
    lowering->roots.items[at] = root;
}

// A reshape has no buffer of its own: that of its input can be read in any shape.
static void add_root(Lowering *lowering, Node *node, const Node *user) {
    node = below_reshapes(node);
    NodeState *state = node_state(lowering, node);
    if (state->root || state->buffer) return;
    state->root = true;
    Root root = {.node = node, .whole = true, .origin = affine_constant(lowering, NULL)};
    root.order = node->id < user->id ? node->id : user->id;
    insert_root(lowering, root);
}

static bool costs(Lowering *lowering, Node *node, int depth) {
    NodeState *state = node_state(lowering, node);
    if (state->root || state->buffer || !is_fusible(node)) return false;
    if (is_expensive(node) || depth > 8) return true;
    for (int i = 0; i < node->input_count; i++)
        if (costs(lowering, node->inputs[i], depth + 1)) return true;
    return false;
}

// The node below a chain of views that a contraction could read through; whether its elements stand in several windows.
static Node *below_views(Lowering *lowering, Node *node, bool *overlap) {
    while (op_class(node->op) == CLASS_VIEW && node->op != OP_pad && !node_state(lowering, node)->root &&
           !node_state(lowering, node)->buffer) {
        *overlap = *overlap || node->op == OP_window;
        node = node->inputs[0];
    }
    return node;
}

void contract_labels(const Node *contract, int which, int *labels) {
    int first = 2 + (which ? attribute_integer(contract, 0) : 0);
    for (int i = 0; i < contract->inputs[which]->rank; i++) labels[i] = attribute_integer(contract, first + i);
}

static bool has_label(const int *labels, int count, int label) {
    for (int i = 0; i < count; i++)
        if (labels[i] == label) return true;
    return false;
}

// How full vectors along an axis are, in percent. An open dim is taken for large.
static int fullness(const Extent *extent) {
    enum { LANES = 16, FULL = 100 };
    int64_t size;
    if (!extent_is_constant(extent, &size) || size == 0) return FULL;
    int64_t lanes = (size + LANES - 1) / LANES * LANES;
    return (int)(FULL * size / lanes);
}

// The result's last axis, along which results lie side by side; unless vectors along it would be less than half full,
// along one of the other operand they are fuller, and there are rows enough to make up for turning that one's elements.
Columns contract_columns(const Node *contract) {
    enum { FULL_ENOUGH = 50, ENOUGH_ROWS = 8 };
    int labels[2][MAX_RANK], ranks[2], first = 2, best = -1;
    for (int which = 0; which < 2; which++) {
        contract_labels(contract, which, labels[which]);
        ranks[which] = contract->inputs[which]->rank;
        first += ranks[which];
    }
    Columns columns = {-1, false};
    int64_t rows = 1, size;   // of the operand with the last axis
    for (int i = contract->rank - 1; i >= 0 && rows < ENOUGH_ROWS; i--) {
        int label = attribute_integer(contract, first + i);
        bool in_x = has_label(labels[0], ranks[0], label), in_y = has_label(labels[1], ranks[1], label);
        if (in_x && in_y) continue;
        if (columns.label < 0) columns = (Columns){label, in_x}, best = fullness(contract->shape[i]);
        if (columns.of_left == in_x) rows *= extent_is_constant(contract->shape[i], &size) ? size : ENOUGH_ROWS;
    }
    bool of_left = columns.of_left;
    for (int i = contract->rank - 1; i >= 0 && best < FULL_ENOUGH && rows >= ENOUGH_ROWS; i--) {
        int label = attribute_integer(contract, first + i), full = fullness(contract->shape[i]);
        bool in_x = has_label(labels[0], ranks[0], label), in_y = has_label(labels[1], ranks[1], label);
        if (in_x == in_y || in_x == of_left || full <= best) continue;
        columns = (Columns){label, in_x};
        best = full;
    }
    return columns;
}

static void root_of_reshape(Lowering *lowering, Node *node, const Node *user) {
    if (node->op == OP_reshape && is_fusible(below_reshapes(node)) && !reshape_merges(lowering, node))
        add_root(lowering, node->inputs[0], user);
}

// Random numbers are made in vectors; a product would draw single ones, again and again.
static bool draws(const Node *node) {
    return node->op == OP_random_uniform || node->op == OP_random_normal;
}

static void roots_of_contract(Lowering *lowering, const Node *node) {
    for (int which = 0; which < 2; which++) {
        Node *operand = node->inputs[which];
        bool overlap = false;
        Node *below = below_views(lowering, operand, &overlap);
        bool left = which == contract_columns(node).of_left;   // read once for each column panel: must lie ready
        bool several = left || overlap || node_state(lowering, below)->users > 1 || costs(lowering, below, 0);
        bool computed = is_fusible(below) && op_class(below->op) != CLASS_LEAF && several;
        if (computed || draws(below)) add_root(lowering, below, node);
    }
}

// x in another shape of as many elements, computed in that shape from what lies in memory: the reshape moves to the
// inputs. NULL: it cannot, or would compute something expensive once more.
static Node *reshaped(Lowering *lowering, Node *x, const Extent *const *shape, int rank) {
    Graph *graph = lowering->graph;
    if (x->op == OP_reshape) return reshaped(lowering, x->inputs[0], shape, rank);
    const NodeState *state = node_state(lowering, x);
    if (state->buffer || state->root) return reshape(graph, x, shape, rank);
    Node *scalar = strip_broadcast(x);
    if (scalar->rank == 0) return broadcast(graph, scalar, shape, rank, NULL);
    if (op_class(x->op) != CLASS_MAP || (is_expensive(x) && state->users > 1)) return NULL;
    Node *inputs[MAX_ARITY];
    for (int i = 0; i < x->input_count; i++) {
        inputs[i] = reshaped(lowering, x->inputs[i], shape, rank);
        if (!inputs[i]) return NULL;
    }
    if (x->op == OP_cast) return cast(graph, inputs[0], x->dtype);
    if (x->input_count == 1) return map1(graph, x->op, inputs[0]);
    if (x->input_count == 2) return map2(graph, x->op, inputs[0], inputs[1]);
    return map3(graph, x->op, inputs[0], inputs[1], inputs[2]);
}

bool reduces_rows(const Node *reduce) {
    return attribute_integer(reduce, 0) == reduce->inputs[0]->rank - reduce->attribute_count;
}

static Node *flat_input(Lowering *lowering, const Node *reduce) {
    Node *x = reduce->inputs[0];
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < reduce->rank; i++) shape[i] = x->shape[i];
    shape[reduce->rank] = extent_constant(lowering->extents, 1);
    for (int i = reduce->rank; i < x->rank; i++)
        shape[reduce->rank] = extent_multiply(lowering->extents, shape[reduce->rank], x->shape[i]);
    Node *flat = reshaped(lowering, x, shape, reduce->rank + 1);
    if (flat) return flat;
    Node *plain = reshape(lowering->graph, x, shape, reduce->rank + 1);
    return plain->op != OP_reshape || reshape_merges(lowering, plain) ? plain : NULL;
}

Node *reduce_input(Lowering *lowering, const Node *reduce) {
    if (!reduces_rows(reduce) || reduce->attribute_count < 2) return reduce->inputs[0];
    Node *flat = flat_input(lowering, reduce);
    assert(flat && "find_roots gives other inputs a buffer");
    return flat;
}

static void roots_of_reduce(Lowering *lowering, Node *node) {
    if (!reduces_rows(node) || node->attribute_count < 2 || !is_fusible(node->inputs[0])) return;
    if (!flat_input(lowering, node)) add_root(lowering, node->inputs[0], node);
}

// About how many instructions compute an element of the node from what lies in memory. Single numbers are computed once.
static int weight_of(Lowering *lowering, const Node *node) {
    const NodeState *state = node_state(lowering, node);
    if (!node->rank) return 0;
    int weight = op_class(node->op) == CLASS_VIEW || op_class(node->op) == CLASS_LEAF ? 0 : 1;
    for (int i = 0; i < node->input_count && !state->root && !state->buffer; i++)
        weight += node_state(lowering, node->inputs[i])->weight;
    return weight < MANY_INSTRUCTIONS ? weight : MANY_INSTRUCTIONS;
}

static void find_roots_of(Lowering *lowering, Node *node) {
    NodeState *state = node_state(lowering, node);
    state->weight = 1;
    if (state->buffer || state->part) return;
    if (state->joined) {
        add_root(lowering, node, node);
        return;
    }
    root_of_reshape(lowering, node, node);
    if (node->op == OP_contract) roots_of_contract(lowering, node);
    if (op_class(node->op) == CLASS_REDUCE) roots_of_reduce(lowering, node);
    bool reads_anywhere = node->op == OP_gather || node->op == OP_argsort;
    if (reads_anywhere && is_fusible(below_reshapes(node->inputs[0]))) add_root(lowering, node->inputs[0], node);
    if (node->op == OP_window && costs(lowering, node->inputs[0], 0)) add_root(lowering, node->inputs[0], node);
    if (node->op == OP_loop)
        for (int i = 0; i < node->input_count; i++) {
            bool carry = i >= loop_part(node, 0) && i < loop_part(node, 0) + loop_part(node, 1);
            Node *input = i < loop_part(node, 0) ? below_sequence(node->inputs[i]) : node->inputs[i];
            if (!carry && is_fusible(below_reshapes(input))) add_root(lowering, input, node);
        }
    if (!is_fusible(node) && node->op != OP_variable && node->op != OP_result) add_root(lowering, node, node);
    else if (state->recomputed && is_expensive(node)) add_root(lowering, node, node);
    state->weight = weight_of(lowering, node);
    bool shared = op_class(node->op) == CLASS_MAP && node->rank > 0 && state->users > 1;
    bool long_chain = op_class(node->op) == CLASS_MAP && state->weight > MAX_WEIGHT;
    if (long_chain || (shared && state->weight > MAX_SHARED_WEIGHT)) {
        add_root(lowering, node, node);
        state->weight = 1;
    }
}

void find_roots(Lowering *lowering, NodeArray nodes) {
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < nodes.items[i]->input_count; k++) node_state(lowering, nodes.items[i]->inputs[k])->users++;
    find_joined(lowering, nodes);
    for (int i = 0; i < nodes.count; i++) find_roots_of(lowering, nodes.items[i]);
}
