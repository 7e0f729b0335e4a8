// Loop nodes: a kernel that runs the kernels of its body for each value of its counter.
//
// The body's arguments are leaves whose place depends on the counter (an element of a sequence) or does not (carries
// and captures). A new carry is computed beside the old one and copied over it when the iteration ends, since other
// kernels of the body may still read the old.
#include "kernels/lowering.h"

#include <string.h>

typedef struct {
    Buffer **items;
    int count;
} Buffers;

static void copy_value(Lowering *lowering, Node *node, Buffer *target) {
    Root root = {.node = node, .buffer = target, .origin = affine_constant(lowering, NULL)};
    place_root(lowering, &root);
}

static Lowering enter_body(Lowering *outer, Draft *draft, int counter) {
    Lowering inner = *outer;
    Kernel *kernel = draft->kernel;
    memset(&inner.roots, 0, sizeof inner.roots);
    memset(&inner.drafts, 0, sizeof inner.drafts);
    inner.pages = NULL;
    inner.page_count = 0;
    inner.kernels = &kernel->body;
    inner.first_kernel = 0;
    inner.first_buffer = outer->program->buffers.count;
    inner.in_place_start = 0;
    inner.loop_axis_count = counter + 1;
    memcpy(inner.loop_axes, kernel->axes, sizeof inner.loop_axes);
    return inner;
}

static void bind_arguments(Lowering *outer, Lowering *inner, const Node *loop, const Buffers *carries, int counter) {
    int sequences = loop_part(loop, 0), carry_count = loop_part(loop, 1);
    for (int i = 0; i < loop->body->argument_count; i++) {
        const Node *argument = loop->body->arguments[i];
        NodeState *state = node_state(inner, argument);
        if (i >= sequences && i < sequences + carry_count) {
            state->buffer = carries->items[i - sequences];
            state->origin = affine_constant(inner, NULL);
            continue;
        }
        const NodeState *from = node_state(outer, below_reshapes(loop->inputs[i]));
        state->buffer = from->buffer;
        state->origin = from->origin;
        if (i >= sequences) continue;
        Affine step = affine_axis(inner, counter);
        step = affine_scale(inner, &step, element_count(inner->graph, argument));
        state->origin = affine_add(inner, &state->origin, &step);
    }
}

static Buffer *bind_result(Lowering *outer, const Node *loop, int index, Buffer *carry) {
    const Node *type = loop->body->results[index].node;
    Buffer *buffer = carry;
    if (!buffer) {
        const Extent *count = element_count(outer->graph, type);
        count = extent_multiply(outer->extents, count, loop->attributes[0]);
        buffer = add_buffer(outer, type->dtype, SPACE_SCRATCH, 0, NULL, count, loop->body->results[index].name);
    }
    NodeState *state = node_state(outer, result_of(outer->graph, (Node *)loop, index));
    state->buffer = buffer;
    state->origin = affine_constant(outer, NULL);
    state->draft = outer->drafts.items[outer->drafts.count - 1];
    return buffer;
}

static void body_roots(Lowering *inner, const Node *loop, const Buffers *next, const Buffers *yields, int counter) {
    Node **nodes = arena_array(inner->arena, Node *, loop->body->result_count);
    for (int i = 0; i < loop->body->result_count; i++) nodes[i] = loop->body->results[i].node;
    find_roots(inner, reachable(inner->graph, nodes, loop->body->result_count));
    for (int i = 0; i < loop->body->result_count; i++) {
        bool carry = i < next->count;
        Root root = {.node = nodes[i], .origin = affine_constant(inner, NULL)};
        root.buffer = carry ? next->items[i] : yields->items[i - next->count];
        if (!carry) {
            Affine step = affine_axis(inner, counter);
            root.origin = affine_scale(inner, &step, element_count(inner->graph, nodes[i]));
        }
        array_push(inner->arena, &inner->roots, root);
    }
}

static void copy_carries(Lowering *inner, const Node *loop, const Buffers *next, const Buffers *carries) {
    for (int i = 0; i < carries->count; i++) {
        const Node *argument = loop->body->arguments[loop_part(loop, 0) + i];
        Draft *draft = new_draft(inner, KERNEL_MAP, argument);
        int axis = add_axis(draft, AXIS_PARALLEL, carries->items[i]->elements);
        Instruction copy = {.kind = INSTRUCTION_LOAD, .dtype = argument->dtype, .operands = {-1, -1, -1}};
        copy.buffer = next->items[i];
        copy.affine = affine_axis(inner, axis);
        copy.node = argument;
        copy.operands[0] = -1;
        int value = add_instruction(inner, draft, &copy);
        copy.kind = INSTRUCTION_STORE;
        copy.buffer = carries->items[i];
        copy.operands[0] = value;
        add_instruction(inner, draft, &copy);
    }
}

void lower_loop(Lowering *lowering, Node *loop) {
    int sequences = loop_part(loop, 0), carry_count = loop_part(loop, 1), yield_count = loop_part(loop, 3);
    Buffers carries = {arena_array(lowering->arena, Buffer *, carry_count), carry_count};
    Buffers next = {arena_array(lowering->arena, Buffer *, carry_count), carry_count};
    Buffers yields = {arena_array(lowering->arena, Buffer *, yield_count), yield_count};
    for (int i = 0; i < carry_count; i++) {
        carries.items[i] = add_scratch(lowering, loop->body->arguments[sequences + i]);
        next.items[i] = add_scratch(lowering, loop->body->arguments[sequences + i]);
        copy_value(lowering, loop->inputs[sequences + i], carries.items[i]);
    }
    Draft *draft = new_draft(lowering, KERNEL_LOOP, loop);
    draft->closed = true;
    int counter = add_axis(draft, AXIS_LOOP, loop->attributes[0]);
    for (int i = 0; i < carry_count; i++) bind_result(lowering, loop, i, carries.items[i]);
    for (int i = 0; i < yield_count; i++) yields.items[i] = bind_result(lowering, loop, carry_count + i, NULL);
    Lowering inner = enter_body(lowering, draft, counter);
    bind_arguments(lowering, &inner, loop, &carries, counter);
    body_roots(&inner, loop, &next, &yields, counter);
    lower_roots(&inner);
    copy_carries(&inner, loop, &next, &carries);
    NodeState *state = node_state(lowering, loop);
    state->draft = draft;
}
