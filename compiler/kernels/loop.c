// Loop nodes: a kernel that runs the kernels of its body for each value of its counter.
//
// The body's arguments are leaves whose place depends on the counter (an element of a sequence, which may be walked
// backwards) or does not (captures). Of a carry that is yielded, before the iteration or after it, all values stand in
// one array, the first one in front: an iteration reads one place and writes the next, and the loop's results are parts
// of that array. Another carry is computed in place, where nothing reads the old one any more; else beside it, and
// copied over it when the iteration ends.
#include "kernels/lowering.h"

#include <string.h>

// A value of the body in memory: element 0 stands at `origin`, which depends on counters.
typedef struct {
    Buffer *buffer;
    Affine origin;
} Place;

typedef struct {
    Lowering *outer;
    Node *node;
    int sequences, carry_count, yield_count;
    int counter;     // axis
    Place *before;   // carries, as an iteration finds them
    Place *after;    // and leaves them
    Place *yields;
    bool *stacked;   // carries: all values stand in an array
    bool *bound;     // yields: they are part of such an array, or of another yield's
} Loop;

static Node *carry_argument(const Loop *loop, int carry) {
    return loop->node->body->arguments[loop->sequences + carry];
}

static Node *yield_node(const Loop *loop, int yield) {
    return loop->node->body->results[loop->carry_count + yield].node;
}

static Affine constant_origin(const Loop *loop, const Extent *base) {
    return affine_constant(loop->outer, base);
}

// first + counter * count
static Affine moving_origin(const Loop *loop, const Extent *first, const Extent *count) {
    Affine step = affine_axis(loop->outer, loop->counter), origin = affine_constant(loop->outer, first);
    step = affine_scale(loop->outer, &step, count);
    return affine_add(loop->outer, &origin, &step);
}

// ---- sequences

// Whether the slice takes whole elements of axis 0.
static bool takes_elements(const Node *node) {
    if (node->op != OP_slice) return false;
    const Node *x = node->inputs[0];
    for (int i = 1; i < node->rank; i++)
        if (!extent_is(node->attributes[2 * i], 0) || !extent_is(node->attributes[2 * i + 1], 1) ||
            node->shape[i] != x->shape[i])
            return false;
    return true;
}

Node *below_sequence(Node *sequence) {
    while (takes_elements(sequence)) sequence = sequence->inputs[0];
    return sequence;
}

// Where in the buffer below it the element of a sequence lies.
static Affine element_origin(const Loop *loop, const Node *sequence, const Node *element) {
    Lowering *outer = loop->outer;
    Affine index = affine_axis(outer, loop->counter);
    for (; takes_elements(sequence); sequence = sequence->inputs[0]) {
        Affine start = affine_constant(outer, sequence->attributes[0]);
        index = affine_scale(outer, &index, sequence->attributes[1]);
        index = affine_add(outer, &start, &index);
    }
    return affine_scale(outer, &index, element_count(outer->graph, element));
}

// ---- carries and yields

static Buffer *add_array(Loop *loop, const Node *like, const Extent *elements, const char *name) {
    return add_buffer(loop->outer, like->dtype, SPACE_SCRATCH, 0, NULL, elements, name);
}

// The yields that are the carry before or after an iteration become part of one array with it.
static void stack_carry(Loop *loop, int carry) {
    const Function *body = loop->node->body;
    ExtentTable *extents = loop->outer->extents;
    const Node *argument = carry_argument(loop, carry), *next = body->results[carry].node;
    const Extent *count = element_count(loop->outer->graph, argument), *zero = extent_constant(extents, 0);
    for (int i = 0; i < loop->yield_count; i++) {
        const Node *node = yield_node(loop, i);
        if (loop->bound[i] || (node != argument && node != next)) continue;
        if (!loop->stacked[carry]) {
            const Extent *values = extent_add(extents, loop->node->attributes[0], extent_constant(extents, 1));
            Buffer *array = add_array(loop, argument, extent_multiply(extents, count, values), argument->name);
            loop->stacked[carry] = true;
            loop->before[carry] = (Place){array, moving_origin(loop, zero, count)};
            loop->after[carry] = (Place){array, moving_origin(loop, count, count)};
        }
        loop->bound[i] = true;
        loop->yields[i] = node == argument ? loop->before[carry] : loop->after[carry];
    }
}

static void place_carry(Loop *loop, int carry) {
    stack_carry(loop, carry);
    if (loop->stacked[carry]) return;
    const Node *argument = carry_argument(loop, carry);
    loop->before[carry] = (Place){add_scratch(loop->outer, argument), constant_origin(loop, NULL)};
    loop->after[carry] = (Place){add_scratch(loop->outer, argument), constant_origin(loop, NULL)};
}

static void place_yield(Loop *loop, int yield) {
    if (loop->bound[yield]) return;
    const Node *node = yield_node(loop, yield);
    const Extent *count = element_count(loop->outer->graph, node);
    const Extent *all = extent_multiply(loop->outer->extents, count, loop->node->attributes[0]);
    Buffer *array = add_array(loop, node, all, loop->node->body->results[loop->carry_count + yield].name);
    loop->yields[yield] = (Place){array, moving_origin(loop, NULL, count)};
    for (int i = yield + 1; i < loop->yield_count; i++)
        if (yield_node(loop, i) == node && !loop->bound[i]) {
            loop->bound[i] = true;
            loop->yields[i] = loop->yields[yield];
        }
}

static void copy_value(Lowering *lowering, Node *node, Buffer *target) {
    Root root = {.node = node, .buffer = target, .origin = affine_constant(lowering, NULL)};
    place_root(lowering, &root);
}

// Where the loop's result lies when all iterations are done.
static void bind_result(Loop *loop, int index, Draft *draft) {
    Lowering *outer = loop->outer;
    NodeState *state = node_state(outer, result_of(outer->graph, loop->node, index));
    bool carry = index < loop->carry_count;
    const Place *place = carry ? &loop->before[index] : &loop->yields[index - loop->carry_count];
    state->buffer = place->buffer;
    state->origin = place->origin;
    const Extent **step = &state->origin.strides[loop->counter];
    if (carry) {   // the last value
        const Extent *way = extent_multiply(outer->extents, *step, loop->node->attributes[0]);
        state->origin.base = extent_add(outer->extents, state->origin.base, way);
    }
    *step = extent_constant(outer->extents, 0);
    state->draft = draft;
}

// ---- the body

static Lowering enter_body(const Loop *loop, Draft *draft) {
    Lowering inner = *loop->outer;
    Kernel *kernel = draft->kernel;
    memset(&inner.roots, 0, sizeof inner.roots);
    memset(&inner.drafts, 0, sizeof inner.drafts);
    inner.pages = NULL;
    inner.page_count = 0;
    inner.kernels = &kernel->body;
    inner.first_kernel = 0;
    inner.first_buffer = loop->outer->program->buffers.count;
    inner.in_place_start = 0;
    inner.loop_axis_count = loop->counter + 1;
    memcpy(inner.loop_axes, kernel->axes, sizeof inner.loop_axes);
    return inner;
}

static void bind_arguments(const Loop *loop, Lowering *inner) {
    for (int i = 0; i < loop->node->body->argument_count; i++) {
        const Node *argument = loop->node->body->arguments[i];
        NodeState *state = node_state(inner, argument);
        bool sequence = i < loop->sequences;
        if (!sequence && i < loop->sequences + loop->carry_count) {
            state->buffer = loop->before[i - loop->sequences].buffer;
            state->origin = loop->before[i - loop->sequences].origin;
            continue;
        }
        Node *input = loop->node->inputs[i], *below = sequence ? below_sequence(input) : input;
        const NodeState *from = node_state(loop->outer, below_reshapes(below));
        state->buffer = from->buffer;
        state->origin = from->origin;
        if (!sequence) continue;
        Affine element = element_origin(loop, input, argument);
        state->origin = affine_add(inner, &state->origin, &element);
    }
}

static void add_result_root(const Loop *loop, Lowering *inner, int result, const Place *place) {
    Root root = {.node = loop->node->body->results[result].node, .buffer = place->buffer, .origin = place->origin};
    if (!give_home(inner, &root)) array_push(inner->arena, &inner->roots, root);
}

// Carries come last, so that less reads the old ones once a new one is there.
static void body_roots(const Loop *loop, Lowering *inner) {
    const Function *body = loop->node->body;
    Node **nodes = arena_array(inner->arena, Node *, body->result_count);
    for (int i = 0; i < body->result_count; i++) nodes[i] = body->results[i].node;
    for (int i = 0; i < body->result_count; i++) node_state(inner, nodes[i])->result = true;
    find_roots(inner, reachable(inner->graph, nodes, body->result_count));
    find_homes(inner);
    for (int i = 0; i < loop->yield_count; i++)
        if (!loop->bound[i]) add_result_root(loop, inner, loop->carry_count + i, &loop->yields[i]);
    for (int i = 0; i < loop->carry_count; i++) add_result_root(loop, inner, i, &loop->after[i]);
}

// ---- carries that are not stacked

static bool uses_buffer(const Kernel *kernel, const Buffer *buffer, bool stores) {
    for (int i = 0; i < kernel->instructions.count; i++) {
        const Instruction *instruction = &kernel->instructions.items[i];
        if (instruction->buffer == buffer && is_effect(instruction) == stores) return true;
    }
    for (int i = 0; i < kernel->body.count; i++)
        if (uses_buffer(kernel->body.items[i], buffer, stores)) return true;
    return false;
}

// Whether the kernel, which loads elements of `old` and writes `new`, may write them over each other: every element that
// it loads is the one that it writes (a product's operands never are), and no effect behind that needs it, since values
// are loaded when an effect does.
static bool element_by_element(Arena *arena, const Kernel *kernel, const Buffer *old, const Buffer *new) {
    int count = kernel->instructions.count, store = -1;
    const Instruction *items = kernel->instructions.items;
    bool *needs = arena_array(arena, bool, count);   // an element of `old`
    for (int i = 0; i < count; i++)
        if (items[i].buffer == new && (store >= 0 || !is_effect(&items[i]))) return false;
        else if (items[i].buffer == new) store = i;
    for (int i = 0; i < count; i++) {
        bool loads = items[i].buffer == old;
        needs[i] = loads;
        for (int k = 0; k < MAX_ARITY; k++)
            needs[i] = needs[i] || (items[i].operands[k] >= 0 && needs[items[i].operands[k]]);
        if (loads && (items[i].operands[0] >= 0 || !affine_equal(&items[i].affine, &items[store].affine))) return false;
        if (is_effect(&items[i]) && needs[i] && i > store) return false;
    }
    return kernel->kind == KERNEL_MAP || kernel->kind == KERNEL_CONTRACT;
}

// Whether `new` can be written over `old`: whatever reads the old carry has done so before.
static bool can_replace(Arena *arena, const KernelArray *kernels, const Buffer *old, const Buffer *new) {
    int first = 0;
    while (first < kernels->count && !uses_buffer(kernels->items[first], new, true)) first++;
    if (first == kernels->count) return false;
    for (int i = first + 1; i < kernels->count; i++)
        if (uses_buffer(kernels->items[i], old, false)) return false;
    return !uses_buffer(kernels->items[first], old, false) ||
           element_by_element(arena, kernels->items[first], old, new);
}

static void replace_buffer(const KernelArray *kernels, const Buffer *from, Buffer *to) {
    for (int i = 0; i < kernels->count; i++) {
        Kernel *kernel = kernels->items[i];
        for (int k = 0; k < kernel->instructions.count; k++)
            if (kernel->instructions.items[k].buffer == from) kernel->instructions.items[k].buffer = to;
        replace_buffer(&kernel->body, from, to);
    }
}

static void copy_carry(Lowering *inner, const Node *argument, Buffer *from, Buffer *to) {
    Draft *draft = new_draft(inner, KERNEL_MAP, argument);
    int axis = add_axis(draft, AXIS_PARALLEL, to->elements);
    Instruction copy = {.kind = INSTRUCTION_LOAD, .dtype = argument->dtype, .operands = {-1, -1, -1}};
    copy.buffer = from;
    copy.affine = affine_axis(inner, axis);
    copy.node = argument;
    int value = add_instruction(inner, draft, &copy);
    copy.kind = INSTRUCTION_STORE;
    copy.buffer = to;
    copy.operands[0] = value;
    add_instruction(inner, draft, &copy);
}

// One carry's new value may be another's old one, so that what is replaced first decides whether the next may be.
static void finish_carries(const Loop *loop, Lowering *inner) {
    bool *copied = arena_array(inner->arena, bool, loop->carry_count);
    for (int i = 0; i < loop->carry_count; i++) {
        if (loop->stacked[i]) continue;
        Buffer *old = loop->before[i].buffer, *new = loop->after[i].buffer;
        copied[i] = !can_replace(inner->arena, inner->kernels, old, new);
        if (!copied[i]) replace_buffer(inner->kernels, new, old);
    }
    for (int i = 0; i < loop->carry_count; i++)
        if (copied[i]) copy_carry(inner, carry_argument(loop, i), loop->after[i].buffer, loop->before[i].buffer);
}

void lower_loop(Lowering *lowering, Node *node) {
    Loop loop = {.outer = lowering, .node = node, .counter = lowering->loop_axis_count};
    Arena *arena = lowering->arena;
    loop.sequences = loop_part(node, 0);
    loop.carry_count = loop_part(node, 1);
    loop.yield_count = loop_part(node, 3);
    loop.before = arena_array(arena, Place, loop.carry_count);
    loop.after = arena_array(arena, Place, loop.carry_count);
    loop.yields = arena_array(arena, Place, loop.yield_count);
    loop.stacked = arena_array(arena, bool, loop.carry_count);
    loop.bound = arena_array(arena, bool, loop.yield_count);
    for (int i = 0; i < loop.carry_count; i++) {
        place_carry(&loop, i);
        copy_value(lowering, node->inputs[loop.sequences + i], loop.before[i].buffer);
    }
    Draft *draft = new_draft(lowering, KERNEL_LOOP, node);
    draft->closed = true;
    add_axis(draft, AXIS_LOOP, node->attributes[0]);
    for (int i = 0; i < loop.yield_count; i++) place_yield(&loop, i);
    for (int i = 0; i < node->body->result_count; i++) bind_result(&loop, i, draft);
    Lowering inner = enter_body(&loop, draft);
    bind_arguments(&loop, &inner);
    body_roots(&loop, &inner);
    lower_roots(&inner);
    finish_carries(&loop, &inner);
    node_state(lowering, node)->draft = draft;
}
