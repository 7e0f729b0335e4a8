// Tensors that are put together from parts: a sum of pads that do not overlap, such as the gradient by something that was
// read in slices, and a choice by place between pads, which is what `concat` and `stack` are. Each part is stored where it
// belongs, by the kernel that computes it if that is possible, instead of among zeros of its own that are added later.
//
// Needs: users' counts. Keeps: every value, to the bit. An element of a part gets zeros added in a sum, which makes +0 of
// -0 and leaves everything else as it is; so that one zero is added to it where it is stored.
#include "kernels/lowering.h"

// Choices without pads are made where they are read, unless they are many.
enum { MOST_PARTS = 256, MANY_PARTS = 8 };

// Places along each axis, from `low` to before `high`.
typedef struct {
    const Extent *low[MAX_RANK], *high[MAX_RANK];
} Box;

typedef struct {
    Node *value;
    Box box;   // of the places that hold it
    const Extent *steps[MAX_RANK];
    bool summed;   // zeros are added to it
} Part;

typedef struct Join {
    Lowering *lowering;
    const Node *top;
    ARRAY(Part) parts;
    NodeArray inner;   // what vanishes: nodes between the parts and the top
    int pads;
    bool hopeless;   // it failed, and would below any other top
} Join;

// ---- extents

static ExtentTable *extents_of(const Join *join) {
    return join->lowering->extents;
}

static bool at_least(const Join *join, const Extent *a, const Extent *b) {
    return a == b || extent_at_least(extents_of(join), a, b);
}

static bool contains(const Join *join, const Box *outer, const Box *inner) {
    for (int i = 0; i < join->top->rank; i++)
        if (!at_least(join, inner->low[i], outer->low[i]) || !at_least(join, outer->high[i], inner->high[i]))
            return false;
    return true;
}

static bool are_apart(const Join *join, const Box *a, const Box *b) {
    for (int i = 0; i < join->top->rank; i++)
        if (at_least(join, a->low[i], b->high[i]) || at_least(join, b->low[i], a->high[i])) return true;
    return false;
}

// ---- parts

static bool add_part(Join *join, Part part, const Box *region) {
    if (join->parts.count == MOST_PARTS) join->hopeless = true;
    if (join->hopeless || !contains(join, region, &part.box)) return false;
    for (int i = 0; i < join->parts.count; i++)
        if (!are_apart(join, &join->parts.items[i].box, &part.box)) return false;
    array_push(join->lowering->arena, &join->parts, part);
    return true;
}

static bool add_pad(Join *join, Node *pad, const Box *region, bool summed) {
    ExtentTable *extents = extents_of(join);
    Part part = {.value = pad->inputs[0], .summed = summed && dtype_is_float(pad->dtype)};
    const Extent *one = extent_constant(extents, 1);
    for (int i = 0; i < pad->rank; i++) {
        const Extent *low = pad->attributes[2 * i], *step = pad->attributes[2 * i + 1];
        if (!at_least(join, step, one)) return false;   // its places run downwards
        const Extent *way = extent_multiply(extents, extent_subtract(extents, part.value->shape[i], one), step);
        part.steps[i] = step;
        part.box.low[i] = low;
        part.box.high[i] = extent_add(extents, extent_add(extents, low, way), one);
        if (extent_is(step, 1)) part.box.high[i] = extent_add(extents, low, part.value->shape[i]);
    }
    join->pads++;
    return add_part(join, part, region);
}

// What a choice takes of a tensor that fills all of the shape; only where that is one place thick.
static bool add_slice(Join *join, Node *node, const Box *region) {
    Graph *graph = join->lowering->graph;
    const Extent *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    Part part = {.box = *region};
    bool thin = false;
    for (int i = 0; i < node->rank; i++) {
        shape[i] = extent_subtract(extents_of(join), region->high[i], region->low[i]);
        thin = thin || (extent_is(shape[i], 1) && !extent_is(node->shape[i], 1));
        steps[i] = 1;
        part.steps[i] = extent_constant(extents_of(join), 1);
    }
    if (!thin || node->op != OP_broadcast) return false;
    part.value = slice(graph, node, region->low, steps, shape);
    return add_part(join, part, region);
}

// ---- choices

static const Extent *number_of(const Join *join, Node *node) {
    node = strip_broadcast(node);
    if (!dtype_is_integer(node->dtype)) return NULL;
    if (node->op == OP_constant) return extent_constant(extents_of(join), node->scalar.integer);
    return node->op == OP_extent ? node->attributes[0] : NULL;
}

// The axis along which the places count from 0; -1: none.
static int counted_axis(const Node *places) {
    if (places->op == OP_iota) return attribute_integer(places, 0);
    bool repeated = places->op == OP_broadcast && places->inputs[0]->op == OP_iota && places->inputs[0]->rank == 1;
    if (!repeated || places->inputs[0]->shape[0] != places->shape[attribute_integer(places, 0)]) return -1;
    return attribute_integer(places, 0);
}

// Whether the mask is true before `border` along `axis`, and only there.
static bool divides(const Join *join, const Node *mask, int *axis, const Extent **border) {
    const Node *repeated = mask->op == OP_broadcast && mask->inputs[0]->rank == 1 ? mask : NULL;
    if (repeated) mask = mask->inputs[0];
    if (mask->op != OP_less) return false;
    *axis = counted_axis(mask->inputs[0]);
    *border = number_of(join, mask->inputs[1]);
    if (repeated && *axis == 0) *axis = attribute_integer(repeated, 0);
    if (*axis < 0 || !*border) return false;
    return !repeated || repeated->shape[*axis] == mask->shape[0];
}

static bool collect(Join *join, Node *node, const Box *region, bool summed);

static bool collect_choice(Join *join, const Node *choice, const Box *region) {
    int axis;
    const Extent *border;
    if (!divides(join, choice->inputs[0], &axis, &border)) return false;
    if (!at_least(join, border, region->low[axis]) || !at_least(join, region->high[axis], border)) return false;
    Box before = *region, behind = *region;
    before.high[axis] = behind.low[axis] = border;
    for (int i = 0; i < 2; i++) {
        Node *node = choice->inputs[2 - i];
        const Box *box = i ? &before : &behind;
        if (!collect(join, node, box, false)) return false;
    }
    return true;
}

static bool vanishes(const Join *join, const Node *node) {
    const NodeState *state = node_state(join->lowering, node);
    return node == join->top || (state->users == 1 && !state->buffer && !state->result);
}

static bool collect(Join *join, Node *node, const Box *region, bool summed) {
    bool pad = node->op == OP_pad, sum = node->op == OP_add, choice = node->op == OP_where && !summed;
    if (!vanishes(join, node) || !(pad || sum || choice)) {
        join->hopeless = join->hopeless || summed;
        return !summed && add_slice(join, node, region);
    }
    join->hopeless = join->hopeless || join->inner.count == 2 * MOST_PARTS;
    if (join->hopeless) return false;
    array_push(join->lowering->arena, &join->inner, node);
    if (pad) return add_pad(join, node, region, summed);
    if (choice) return collect_choice(join, node, region);
    bool all = collect(join, node->inputs[1], region, true) && collect(join, node->inputs[0], region, true);
    if (!all && join->hopeless) node_state(join->lowering, node)->apart = true;
    return all;
}

void find_joined(Lowering *lowering, NodeArray nodes) {
    for (int i = nodes.count - 1; i >= 0; i--) {
        Node *node = nodes.items[i];
        NodeState *state = node_state(lowering, node);
        if ((node->op != OP_add && node->op != OP_where) || !node->rank || state->part) continue;
        if (state->buffer || state->apart) continue;
        Join join = {.lowering = lowering, .top = node};
        Box whole;
        for (int k = 0; k < node->rank; k++) {
            whole.low[k] = extent_constant(lowering->extents, 0);
            whole.high[k] = node->shape[k];
        }
        if (!collect(&join, node, &whole, false) || (!join.pads && join.parts.count < MANY_PARTS)) continue;
        for (int k = 0; k < join.inner.count; k++) node_state(lowering, join.inner.items[k])->part = true;
        state->part = false;
        state->joined = arena_copy(lowering->arena, &join, sizeof join);
    }
}

// ---- their kernels

// Parts do not overlap: they fill the tensor if they have as many elements.
static bool fill_all(const Join *join) {
    Graph *graph = join->lowering->graph;
    const Extent *count = extent_constant(extents_of(join), 0);
    for (int i = 0; i < join->parts.count; i++)
        count = extent_add(extents_of(join), count, element_count(graph, join->parts.items[i].value));
    return count == element_count(graph, join->top);
}

static Node *stored_value(Graph *graph, const Part *part) {
    Node *x = part->value;
    if (!part->summed) return x;
    Node *zero = constant_real(graph, x->dtype, 0);
    return map2(graph, OP_add, x, broadcast(graph, zero, (const Extent *const *)x->shape, x->rank, NULL));
}

// Where the part's element `index` lies in the tensor.
static Affine place_in(const Lowering *lowering, const Join *join, const Part *part, const Affine *index) {
    Affine target[MAX_RANK];
    for (int i = 0; i < join->top->rank; i++) {
        Affine low = affine_constant(lowering, part->box.low[i]),
               scaled = affine_scale(lowering, &index[i], part->steps[i]);
        target[i] = affine_add(lowering, &low, &scaled);
    }
    return affine_linear(lowering, target, (const Extent *const *)join->top->shape, join->top->rank);
}

static Draft *store_part(Lowering *lowering, const Root *whole, const Join *join, const Part *part) {
    Root root = {.node = stored_value(lowering->graph, part), .first_draft = whole->first_draft};
    // Only elementwise kernels store elements that lie apart.
    if (!extent_is(part->steps[join->top->rank - 1], 1)) root.first_draft = lowering->drafts.count;
    int domain;
    Draft *draft = map_draft(lowering, &root, &domain);
    Affine index[MAX_RANK];
    domain_index(lowering, draft, domain, index);
    Affine position = place_in(lowering, join, part, index);
    Instruction store = {.kind = INSTRUCTION_STORE, .dtype = join->top->dtype, .operands = {-1, -1, -1}};
    store.buffer = whole->buffer;
    store.node = join->top;
    store.operands[0] = lower_value(lowering, draft, root.node, index);
    store.affine = affine_add(lowering, &whole->origin, &position);
    add_instruction(lowering, draft, &store);
    draft->pinned = true;
    return draft;
}

void place_joined(Lowering *lowering, const Root *root) {
    NodeState *state = node_state(lowering, root->node);
    const Join *join = state->joined;
    Root whole = *root;
    Draft *last = NULL;
    if (!fill_all(join)) {
        last = fill_zero(lowering, root);
        whole.first_draft = last->position + 1;
    }
    for (int i = 0; i < join->parts.count; i++) {
        Draft *draft = store_part(lowering, &whole, join, &join->parts.items[i]);
        if (!last || draft->position > last->position) last = draft;
    }
    state->buffer = root->buffer;
    state->origin = root->origin;
    state->draft = last;
    state->instruction = -1;
}
