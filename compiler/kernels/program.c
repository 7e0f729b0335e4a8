// From a function's graph to its kernels: the order of this folder's work.
#include "kernels/lowering.h"

#include <assert.h>

enum { ROUNDS = 3 };

KernelProgram *kernel_program_create(Graph *graph, const char *name, int workers) {
    KernelProgram *program = arena_new(graph->arena, KernelProgram);
    program->arena = graph->arena;
    program->graph = graph;
    program->name = name;
    program->workers = workers;
    program->split_work = SPLIT_WORK;
    program->usual_extent = USUAL_EXTENT;
    program->stream_bytes = kernel_stream_bytes();
    program->scratch_bytes = extent_constant(graph->extents, 0);
    return program;
}

Buffer *kernel_program_reserve(KernelProgram *program, Dtype dtype, const Extent *elements, const char *name) {
    Buffer *buffer = arena_new(program->arena, Buffer);
    *buffer = (Buffer){program->buffers.count, dtype, SPACE_SCRATCH, 0, NULL, elements, name, -1, -1, 1};
    array_push(program->arena, &program->buffers, buffer);
    return buffer;
}

static bool same_place(const Placement *a, const Placement *b) {
    return a->space == b->space && a->index == b->index && a->offset == b->offset;
}

static const char *place_name(const Placement *place) {
    if (place->node->variable) return place->node->variable->name;
    return place->node->name ? place->node->name : op_name(place->node->op);
}

// The buffer of a placement, and where in it the value begins.
static Buffer *buffer_of(Lowering *lowering, const Placement *place, Affine *origin) {
    *origin = affine_constant(lowering, NULL);
    if (place->space == SPACE_SCRATCH) {
        int64_t bytes = 0;
        bool fixed = extent_is_constant(place->offset, &bytes);
        assert(fixed && "offsets in a reserved buffer are static");
        (void)fixed;
        Buffer *buffer = lowering->program->buffers.items[place->index];
        origin->base = extent_constant(lowering->extents, bytes / dtype_size(buffer->dtype));
        return buffer;
    }
    Dtype dtype = place->space == SPACE_HYPERPARAMETERS ? DTYPE_F64 : place->node->dtype;
    return add_buffer(lowering, dtype, place->space, place->index, place->offset,
                      element_count(lowering->graph, place->node), place_name(place));
}

static void bind_leaves(Lowering *lowering, const Placement *leaves, int count) {
    for (int i = 0; i < count; i++) {
        NodeState *state = node_state(lowering, leaves[i].node);
        state->buffer = buffer_of(lowering, &leaves[i], &state->origin);
    }
}

// For each result the leaf that it goes over, or NULL.
static const Placement **find_updated(Arena *arena, const Placement *leaves, int leaf_count, const Placement *results,
                                      int result_count) {
    const Placement **updated = arena_array(arena, const Placement *, result_count);
    uint32_t spaces = 0;
    for (int i = 0; i < leaf_count; i++) spaces |= 1u << leaves[i].space;
    for (int i = 0; i < result_count; i++)
        for (int k = 0; k < leaf_count && (spaces >> results[i].space & 1) && !updated[i]; k++)
            if (same_place(&results[i], &leaves[k])) updated[i] = &leaves[k];
    return updated;
}

void find_homes(Lowering *lowering) {
    for (int i = lowering->roots.count - 1; i >= 0; i--)
        if (lowering->roots.items[i].whole) node_state(lowering, lowering->roots.items[i].node)->home = i + 1;
}

// A further root of a node that has one takes over that one's buffer, unless it must be a copy.
bool give_home(Lowering *lowering, const Root *root) {
    int home = node_state(lowering, root->node)->home;
    if (!home || root->accumulate || root->in_place || root->node->op == OP_loop) return false;
    Root *other = &lowering->roots.items[home - 1];
    if (other->buffer) return false;
    other->buffer = root->buffer;
    other->origin = root->origin;
    other->wanted = true;
    return true;
}

// Gives each result its root: the node's own, if that has no home yet, else a copy. In-place ones come last.
static void bind_results(Lowering *lowering, const Placement *const *updated, const Placement *results,
                         int result_count, bool in_place) {
    find_homes(lowering);
    for (int i = 0; i < result_count; i++) {
        const Placement *leaf = updated[i];
        if ((leaf != NULL) != in_place) continue;
        Root root = {.node = results[i].node, .accumulate = results[i].accumulate, .in_place = in_place};
        root.buffer = buffer_of(lowering, &results[i], &root.origin);
        if (leaf) root.buffer = node_state(lowering, leaf->node)->buffer;
        if (!give_home(lowering, &root)) array_push(lowering->arena, &lowering->roots, root);
    }
}

// What goes over leaves is computed elsewhere before the first of them changes: where a reader would come too late.
static void copy_updates(Lowering *lowering, const Placement *const *updated, const Placement *results,
                         int result_count) {
    for (int i = 0; i < result_count; i++) {
        Node *node = below_reshapes(results[i].node);
        NodeState *state = node_state(lowering, node);
        bool computed = state->root || (state->buffer && node->op != OP_variable);
        if (!updated[i] || computed) continue;
        Root home = {.node = node, .whole = true, .origin = affine_constant(lowering, NULL)};
        state->root = true;
        array_push(lowering->arena, &lowering->roots, home);
    }
}

void lower_roots(Lowering *lowering) {
    bool in_place = false;
    for (int i = 0; i < lowering->roots.count; i++) {
        Root *root = &lowering->roots.items[i];
        if (root->whole && !root->buffer && root->node->op != OP_loop) root->buffer = add_scratch(lowering, root->node);
        if (root->in_place && !in_place) begin_updates(lowering);
        in_place = in_place || root->in_place;
        place_root(lowering, root);
    }
    tidy_kernels(lowering);
}

typedef struct {
    int kernels, buffers;
} Mark;

bool kernel_program_add(KernelProgram *program, const Placement *leaves, int leaf_count, const Placement *results,
                        int result_count) {
    Mark mark = {program->kernels.count, program->buffers.count};
    Graph *graph = program->graph;
    Node **nodes = arena_array(graph->arena, Node *, result_count);
    for (int i = 0; i < result_count; i++) nodes[i] = results[i].node;
    NodeArray order = reachable(graph, nodes, result_count);
    const Placement **updated = find_updated(graph->arena, leaves, leaf_count, results, result_count);
    bool copies = false;
    bool *recomputed = arena_array(graph->arena, bool, order.count);
    for (int round = 0;; round++) {
        program->kernels.count = mark.kernels;
        program->buffers.count = mark.buffers;
        Lowering lowering = {.program = program,
                             .graph = graph,
                             .extents = graph->extents,
                             .arena = graph->arena,
                             .kernels = &program->kernels,
                             .copies = copies,
                             .first_kernel = mark.kernels,
                             .first_buffer = mark.buffers};
        for (int i = 0; i < order.count; i++) node_state(&lowering, order.items[i])->recomputed = recomputed[i];
        bind_leaves(&lowering, leaves, leaf_count);
        for (int i = 0; i < result_count; i++) node_state(&lowering, nodes[i])->result = true;
        find_roots(&lowering, order);
        bind_results(&lowering, updated, results, result_count, false);
        if (copies) copy_updates(&lowering, updated, results, result_count);
        bind_results(&lowering, updated, results, result_count, true);
        lower_roots(&lowering);
        bool hazard = !copies && has_hazard(&lowering), again = hazard;
        copies = copies || hazard;
        for (int i = 0; i < order.count && round + 1 < ROUNDS; i++) {
            bool now = node_state(&lowering, order.items[i])->recomputed && is_expensive(order.items[i]);
            again = again || (now && !recomputed[i]);
            recomputed[i] = recomputed[i] || now;
        }
        if (!again) return !copies;
    }
}
