// Rewrites of joined tensors: of where(iota < c, a, b), which holds two tensors beside each other, and of tensors
// padded with zeros to be added. What reads a part of one of them, as gradients by one vector of all parameters do, reads it
// of the tensor that it lies in.
#include "simplify/rules.h"

#include <math.h>

// Which elements of a tensor are read, as a slice says it.
typedef struct {
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    int rank;
} Part;

typedef struct {
    Simplifier *simplifier;
    Graph *graph;
    int visits;   // nodes yet to be looked at
} Search;

static Part part_of(const Node *slice) {
    Part part = {.rank = slice->rank};
    for (int i = 0; i < slice->rank; i++) {
        part.starts[i] = slice->attributes[2 * i];
        part.steps[i] = attribute_integer(slice, 2 * i + 1);
        part.shape[i] = slice->shape[i];
    }
    return part;
}

static Node *read_part(Search *search, Node *node, const Part *part) {
    const Node *constant = constant_below(node);
    Graph *graph = search->graph;
    if (constant) return broadcast(graph, (Node *)constant, part->shape, part->rank, NULL);
    return slice(graph, node, part->starts, part->steps, part->shape);
}

static bool at_least(Search *search, const Extent *a, const Extent *b) {
    return extent_at_least(search->graph->extents, a, b);
}

static bool less(Search *search, const Extent *a, const Extent *b) {
    return at_least(search, b, extent_add(search->graph->extents, a, extent_constant(search->graph->extents, 1)));
}

// The first and the last place along an axis.
static void read_ends(Search *search, const Part *part, int axis, const Extent **low, const Extent **high) {
    ExtentTable *extents = search->graph->extents;
    const Extent *steps = extent_subtract(extents, part->shape[axis], extent_constant(extents, 1));
    const Extent *last = extent_add(extents, part->starts[axis],
                                    extent_multiply(extents, steps, extent_constant(extents, part->steps[axis])));
    *low = part->steps[axis] > 0 ? part->starts[axis] : last;
    *high = part->steps[axis] > 0 ? last : part->starts[axis];
}

// ---- masks

static const Extent *number_of(Search *search, Node *node) {
    const Node *constant = constant_below(node);
    if (constant && dtype_is_integer(constant->dtype))
        return extent_constant(search->graph->extents, constant->scalar.integer);
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    return node->op == OP_extent && dtype_is_integer(node->dtype) ? node->attributes[0] : NULL;
}

static int counted_axis(Node *node) {
    while (node->op == OP_cast && dtype_is_integer(node->dtype)) node = node->inputs[0];
    for (int axis = 0; axis < node->rank; axis++)
        if (is_iota_along(node, axis)) return axis;
    return -1;
}

typedef enum { FALSE_THERE, TRUE_THERE, OPEN } Answer;

// place < number or place <= number, or the other way round.
static Answer compare_places(Search *search, const Node *mask, const Part *part) {
    int axis = counted_axis(mask->inputs[0]), side = axis < 0;
    if (side) axis = counted_axis(mask->inputs[1]);
    const Extent *number = number_of(search, mask->inputs[1 - side]), *low, *high;
    if (axis < 0 || !number) return OPEN;
    read_ends(search, part, axis, &low, &high);
    bool strict = (mask->op == OP_less) != (side == 1);   // by the places below: < number; else <= number
    bool all_below = strict ? less(search, high, number) : at_least(search, number, high);
    bool none_below = strict ? at_least(search, low, number) : less(search, number, low);
    if (all_below == none_below) return OPEN;
    return all_below == (side == 0) ? TRUE_THERE : FALSE_THERE;
}

// The part of what a broadcast repeats; false: it repeats its own axes.
static bool below_broadcast(const Node *node, const Part *part, Part *inner, int *axes) {
    const Node *x = node->inputs[0];
    inner->rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int axis = axes[i] = attribute_integer(node, i);
        if (x->shape[i] != node->shape[axis]) return false;
        inner->starts[i] = part->starts[axis];
        inner->steps[i] = part->steps[axis];
        inner->shape[i] = part->shape[axis];
    }
    return true;
}

// What the mask says in the part.
static Answer ask(Search *search, const Node *mask, const Part *part, int depth) {
    Part inner;
    int axes[MAX_RANK];
    if (!depth--) return OPEN;
    if (mask->op == OP_broadcast)
        return below_broadcast(mask, part, &inner, axes) ? ask(search, mask->inputs[0], &inner, depth) : OPEN;
    if (mask->op == OP_less || mask->op == OP_less_equal) return compare_places(search, mask, part);
    if (mask->op != OP_logical_not && mask->op != OP_logical_and && mask->op != OP_logical_or) return OPEN;
    Answer first = ask(search, mask->inputs[0], part, depth), decides = mask->op == OP_logical_or;
    if (mask->op == OP_logical_not) return first == OPEN ? OPEN : first == TRUE_THERE ? FALSE_THERE : TRUE_THERE;
    Answer second = ask(search, mask->inputs[1], part, depth);
    if (first == decides || second == decides) return decides;
    return first == OPEN || second == OPEN ? OPEN : first;
}

// ---- values

static Node *find_part(Search *search, Node *node, const Part *part);

// Of zeros around x: what is read of x. NULL: zeros and elements of x are read.
static Node *part_of_padded(Search *search, Node *node, const Part *part) {
    ExtentTable *extents = search->graph->extents;
    Node *x = node->inputs[0];
    Part inner = *part;
    bool inside = true;
    for (int i = 0; i < node->rank; i++) {
        const Extent *low, *high, *first = node->attributes[2 * i], *one = extent_constant(extents, 1);
        int64_t step = attribute_integer(node, 2 * i + 1);
        if (step < 1) return NULL;
        const Extent *count =
            extent_multiply(extents, extent_subtract(extents, x->shape[i], one), extent_constant(extents, step));
        const Extent *last = extent_add(extents, first, count);
        read_ends(search, part, i, &low, &high);
        if (less(search, high, first) || less(search, last, low))
            return broadcast(search->graph, constant_real(search->graph, node->dtype, 0), part->shape, part->rank,
                             NULL);
        inside = inside && step == 1 && at_least(search, low, first) && at_least(search, last, high);
        inner.starts[i] = extent_subtract(extents, part->starts[i], first);
    }
    if (!inside) return NULL;
    Node *found = find_part(search, x, &inner);
    return found ? found : read_part(search, x, &inner);
}

static Node *part_of_broadcast(Search *search, Node *node, const Part *part) {
    Part inner;
    int axes[MAX_RANK];
    Node *found = below_broadcast(node, part, &inner, axes) ? find_part(search, node->inputs[0], &inner) : NULL;
    return found ? broadcast(search->graph, found, part->shape, part->rank, axes) : NULL;
}

static Node *part_of_reduced(Search *search, Node *node, const Part *part) {
    Node *x = node->inputs[0];
    unsigned axes = reduced_axes(node);
    Part inner = {.rank = x->rank};
    for (int i = 0, next = 0; i < x->rank; i++) {
        bool reduced = axes >> i & 1;
        inner.starts[i] = reduced ? extent_constant(search->graph->extents, 0) : part->starts[next];
        inner.steps[i] = reduced ? 1 : part->steps[next];
        inner.shape[i] = reduced ? x->shape[i] : part->shape[next++];
    }
    Node *found = find_part(search, x, &inner);
    return found ? reduce_over(search->graph, node->op, found, axes) : NULL;
}

static Node *part_of_map(Search *search, Node *node, const Part *part) {
    Graph *graph = search->graph;
    Node *inputs[MAX_ARITY];
    bool any = false;
    if (node->op == OP_cast) return NULL;
    for (int i = 0; i < node->input_count; i++) {
        inputs[i] = find_part(search, node->inputs[i], part);
        any = any || inputs[i];
    }
    if (!any) return NULL;
    for (int i = 0; i < node->input_count; i++)
        if (!inputs[i]) inputs[i] = read_part(search, node->inputs[i], part);
    bool first_zero = is_number(inputs[0], 0), second_zero = node->input_count > 1 && is_number(inputs[1], 0);
    if (node->op == OP_add && first_zero) return inputs[1];
    if ((node->op == OP_add || node->op == OP_subtract) && second_zero) return inputs[0];
    if (node->op == OP_subtract && first_zero) return map1(graph, OP_negate, inputs[1]);
    return map_any(graph, node->op, node->dtype, inputs, node->input_count);
}

// The part of the node, read of one of the tensors that are joined in it; NULL: nothing is joined that it tells apart.
static Node *find_part(Search *search, Node *node, const Part *part) {
    enum { MASK_DEPTH = 64 };
    bool moved = false;
    for (bool again = true; again;) {   // as many as are joined
        again = false;
        if (node->op == OP_where) {
            Answer answer = ask(search, node->inputs[0], part, MASK_DEPTH);
            if (answer == OPEN) break;
            node = node->inputs[answer == TRUE_THERE ? 1 : 2];
            again = moved = true;
        } else if (node->op == OP_add && node->inputs[1]->op == OP_pad) {
            Node *padded = part_of_padded(search, node->inputs[1], part);
            if (!padded || !is_number(padded, 0)) break;
            node = node->inputs[0];
            again = moved = true;
        }
    }
    Node *found = NULL;
    if (search->visits-- > 0) {
        if (node->op == OP_pad) found = part_of_padded(search, node, part);
        else if (node->op == OP_broadcast && !constant_below(node)) found = part_of_broadcast(search, node, part);
        else if (node->op == OP_reduce_sum) found = part_of_reduced(search, node, part);
        else if (op_class(node->op) == CLASS_MAP) found = part_of_map(search, node, part);
    }
    return found || !moved ? found : read_part(search, node, part);
}

Node *slice_of_parts(Simplifier *simplifier, Node *node) {
    enum { MOST_VISITS = 64 };
    Search search = {simplifier, simplifier->graph, MOST_VISITS};
    Part part = part_of(node);
    return dtype_is_float(node->dtype) ? find_part(&search, node->inputs[0], &part) : NULL;
}

// The axis whose places the mask compares with a number, and the number; -1: it does not.
static int compared_axis(Search *search, const Node *mask, const Extent **number) {
    const Node *small = mask->op == OP_broadcast ? mask->inputs[0] : mask;
    int axis = small->op == OP_less ? counted_axis(small->inputs[0]) : -1;
    *number = axis < 0 ? NULL : number_of(search, small->inputs[1]);
    if (!*number) return -1;
    return small == mask ? axis : attribute_integer(mask, axis);
}

// The sum of where(place < c, x, 0), or of where(place < c, 0, x): of the part that is not zero.
Node *sum_of_part(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Search search = {simplifier, graph, 0};
    Node *choice = node->inputs[0];
    if (choice->op != OP_where) return NULL;
    const Extent *number, *zero = extent_constant(graph->extents, 0);
    int axis = compared_axis(&search, choice->inputs[0], &number), side = is_constant(choice->inputs[1], 0) ? 2 : 1;
    if (axis < 0 || !(reduced_axes(node) >> axis & 1) || !is_constant(choice->inputs[3 - side], 0)) return NULL;
    if (!at_least(&search, number, zero) || !at_least(&search, choice->shape[axis], number)) return NULL;
    Part part = {.rank = choice->rank};
    for (int i = 0; i < choice->rank; i++) {
        part.starts[i] = zero;
        part.steps[i] = 1;
        part.shape[i] = choice->shape[i];
    }
    part.starts[axis] = side == 1 ? zero : number;
    part.shape[axis] = side == 1 ? number : extent_subtract(graph->extents, choice->shape[axis], number);
    return reduce_over(graph, OP_reduce_sum, read_part(&search, choice->inputs[side], &part), reduced_axes(node));
}
