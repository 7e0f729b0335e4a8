// Rewrites of views and reductions. The normal form: a broadcast stands above a tensor that has no axis of extent 1,
// is not a broadcast itself, and repeats something; a view that only adds or drops such axes is a reshape; elementwise
// work is done before repeating and before such reshapes.
#include "simplify/rules.h"

#include <string.h>

// ---- elementwise work moved below views

// The operands' axes of variation leave some axis out: compute once, repeat afterwards.
Node *map_of_repeated(Simplifier *simplifier, Node *node) {
    unsigned axes = 0;
    for (int i = 0; i < node->input_count; i++) axes |= varying_axes(node->inputs[i]);
    if (axes == all_axes(node)) return NULL;
    Node *inputs[MAX_ARITY];
    Graph *graph = simplifier->graph;
    for (int i = 0; i < node->input_count; i++) inputs[i] = along_axes(graph, node->inputs[i], axes);
    Node *small = map_any(graph, node->op, node->dtype, inputs, node->input_count);
    name_node(small, node->name);
    return spread(graph, small, axes, node);
}

// All operands are one shape with axes of extent 1 put in, or numbers.
Node *map_of_unit_reshapes(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    const Node *source = NULL;
    for (int i = 0; i < node->input_count; i++) {
        Node *input = node->inputs[i];
        if (constant_below(input)) continue;
        if (input->op != OP_reshape || !same_but_units(input, input->inputs[0])) return NULL;
        if (source && !same_shape(source, input->inputs[0])) return NULL;
        source = input->inputs[0];
    }
    if (!source) return NULL;
    Node *inputs[MAX_ARITY];
    for (int i = 0; i < node->input_count; i++)
        inputs[i] = reshape(graph, node->inputs[i], source->shape, source->rank);
    Node *small = map_any(graph, node->op, node->dtype, inputs, node->input_count);
    name_node(small, node->name);
    return reshape(graph, small, node->shape, node->rank);
}

Node *iota_of_rank(Simplifier *simplifier, Node *node) {
    if (node->rank < 2) return NULL;
    int axis = attribute_integer(node, 0);
    Node *line = iota(simplifier->graph, node->dtype, node->shape + axis, 1, 0);
    return broadcast(simplifier->graph, line, node->shape, node->rank, &axis);
}

// ---- broadcast

static void read_integers(const Node *node, int *integers) {
    for (int i = 0; i < node->attribute_count; i++) integers[i] = attribute_integer(node, i);
}

Node *broadcast_of_broadcast(Simplifier *simplifier, Node *node) {
    Node *inner = node->inputs[0];
    if (inner->op != OP_broadcast) return NULL;
    int outer_axes[MAX_RANK], axes[MAX_RANK];
    read_integers(node, outer_axes);
    read_integers(inner, axes);
    for (int i = 0; i < inner->inputs[0]->rank; i++) axes[i] = outer_axes[axes[i]];
    return broadcast(simplifier->graph, inner->inputs[0], node->shape, node->rank, axes);
}

Node *broadcast_of_units(Simplifier *simplifier, Node *node) {
    Node *x = node->inputs[0];
    unsigned units = 0;
    int axes[MAX_RANK], count = 0;
    for (int i = 0; i < x->rank; i++) {
        if (extent_is(x->shape[i], 1)) units |= 1u << i;
        else axes[count++] = attribute_integer(node, i);
    }
    if (!units) return NULL;
    return broadcast(simplifier->graph, without_units(simplifier->graph, x, units), node->shape, node->rank, axes);
}

Node *broadcast_to_units(Simplifier *simplifier, Node *node) {
    Node *x = node->inputs[0];
    if (!same_but_units(node, x)) return NULL;
    // A number stays repeated in each axis, unless it is the one element of a tensor.
    if (!x->rank && x->op != OP_reshape) return NULL;
    return reshape(simplifier->graph, x->rank ? x : x->inputs[0], node->shape, node->rank);
}

// ---- reshape and transpose

Node *reshape_of_reshape(Simplifier *simplifier, Node *node) {
    if (node->inputs[0]->op != OP_reshape) return NULL;
    return reshape(simplifier->graph, node->inputs[0], node->shape, node->rank);
}

Node *reshape_of_number(Simplifier *simplifier, Node *node) {
    if (node->inputs[0]->rank) return NULL;
    return broadcast(simplifier->graph, node->inputs[0], node->shape, node->rank, NULL);
}

Node *reshape_of_broadcast(Simplifier *simplifier, Node *node) {
    Node *repeated = node->inputs[0];
    if (repeated->op != OP_broadcast) return NULL;
    Node *x = repeated->inputs[0];
    if (x->rank == 0) return broadcast(simplifier->graph, x, node->shape, node->rank, NULL);
    if (!same_but_units(node, repeated)) return NULL;
    int axes[MAX_RANK], place[MAX_RANK], next = 0;
    for (int i = 0; i < repeated->rank; i++) {
        if (extent_is(repeated->shape[i], 1)) continue;
        while (extent_is(node->shape[next], 1)) next++;
        place[i] = next++;
    }
    for (int i = 0; i < x->rank; i++) {
        int axis = attribute_integer(repeated, i);
        if (extent_is(repeated->shape[axis], 1)) return NULL;
        axes[i] = place[axis];
    }
    return broadcast(simplifier->graph, x, node->shape, node->rank, axes);
}

// `x`, which is made of reshapes from the shape of `like` and of numbers, in that shape; also where tensors of like's last
// axes are repeated along its first ones. NULL: it is not made so.
static Node *reshaped_back(Graph *graph, Node *x, const Node *like, int depth) {
    const Extent *const *shape = (const Extent *const *)like->shape;
    if (x->op == OP_reshape && same_shape(x->inputs[0], like)) return x->inputs[0];
    if (constant_below(x)) return constant_like(graph, (Node *)like, constant_below(x)->scalar.real);
    if (x->op == OP_broadcast && !x->inputs[0]->rank) return broadcast(graph, x->inputs[0], shape, like->rank, NULL);
    if (x->op == OP_broadcast) {   // a repeated reshape
        Node *inner = x->inputs[0];
        int lead = x->rank - inner->rank, rest = like->rank - lead, axes[MAX_RANK];
        if (inner->op != OP_reshape || rest != inner->inputs[0]->rank) return NULL;
        for (int i = 0; i < inner->rank; i++)
            if (attribute_integer(x, i) != lead + i || inner->shape[i] != x->shape[lead + i]) return NULL;
        for (int i = 0; i < lead; i++)
            if (x->shape[i] != like->shape[i]) return NULL;
        for (int i = 0; i < rest; i++) {
            if (inner->inputs[0]->shape[i] != like->shape[lead + i]) return NULL;
            axes[i] = lead + i;
        }
        return broadcast(graph, inner->inputs[0], shape, like->rank, axes);
    }
    Node *inputs[MAX_ARITY];
    if (!depth-- || op_class(x->op) != CLASS_MAP || !dtype_is_float(x->dtype)) return NULL;
    for (int i = 0; i < x->input_count; i++)
        if (!dtype_is_float(x->inputs[i]->dtype) || !(inputs[i] = reshaped_back(graph, x->inputs[i], like, depth)))
            return NULL;
    return map_any(graph, x->op, x->dtype, inputs, x->input_count);
}

Node *reshape_of_map(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 4 };
    if (op_class(node->inputs[0]->op) != CLASS_MAP || !dtype_is_float(node->dtype)) return NULL;
    return reshaped_back(simplifier->graph, node->inputs[0], node, DEPTH);
}

Node *transpose_of_transpose(Simplifier *simplifier, Node *node) {
    Node *inner = node->inputs[0];
    if (inner->op != OP_transpose) return NULL;
    int permutation[MAX_RANK];
    for (int i = 0; i < node->rank; i++) permutation[i] = attribute_integer(inner, attribute_integer(node, i));
    return transpose(simplifier->graph, inner->inputs[0], permutation);
}

Node *transpose_of_units(Simplifier *simplifier, Node *node) {
    int last = -1;
    for (int i = 0; i < node->rank; i++) {
        if (extent_is(node->shape[i], 1)) continue;
        if (attribute_integer(node, i) < last) return NULL;
        last = attribute_integer(node, i);
    }
    return reshape(simplifier->graph, node->inputs[0], node->shape, node->rank);
}

Node *transpose_of_broadcast(Simplifier *simplifier, Node *node) {
    Node *repeated = node->inputs[0];
    if (repeated->op != OP_broadcast) return NULL;
    Node *x = repeated->inputs[0];
    int permutation[MAX_RANK], axes[MAX_RANK], count = 0;
    for (int i = 0; i < node->rank; i++)
        for (int k = 0; k < x->rank; k++) {
            if (attribute_integer(repeated, k) != attribute_integer(node, i)) continue;
            permutation[count] = k;
            axes[count++] = i;
        }
    Node *turned = transpose(simplifier->graph, x, permutation);
    return broadcast(simplifier->graph, turned, node->shape, node->rank, axes);
}

// ---- products

// A transposed operand: its labels are transposed instead. More than one summed axis would be walked in another order.
Node *contract_of_transpose(Simplifier *simplifier, Node *node) {
    int ranks[2], labels[2][MAX_RANK], result[MAX_RANK], at = 2, summed = 0;
    Node *inputs[2] = {node->inputs[0], node->inputs[1]};
    bool changed = false;
    for (int i = 0; i < 2; i++) {
        ranks[i] = attribute_integer(node, i);
        bool turned = inputs[i]->op == OP_transpose;
        for (int k = 0; k < ranks[i]; k++)
            labels[i][turned ? attribute_integer(inputs[i], k) : k] = attribute_integer(node, at++);
        if (turned) inputs[i] = inputs[i]->inputs[0];
        changed = changed || turned;
    }
    for (int i = 0; i < node->rank; i++) result[i] = attribute_integer(node, at++);
    for (int i = 0; i < ranks[0]; i++) {
        bool kept = false;
        for (int k = 0; k < node->rank; k++) kept = kept || result[k] == labels[0][i];
        summed += !kept;
    }
    if (!changed || summed > 1) return NULL;
    return contract(simplifier->graph, inputs[0], inputs[1], labels[0], labels[1], result, node->rank);
}

// ---- slice and pad

Node *slice_of_slice(Simplifier *simplifier, Node *node) {
    Node *inner = node->inputs[0];
    if (inner->op != OP_slice) return NULL;
    ExtentTable *extents = simplifier->graph->extents;
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < node->rank; i++) {
        int64_t inner_step = attribute_integer(inner, 2 * i + 1);
        const Extent *moved = extent_multiply(extents, extent_constant(extents, inner_step), node->attributes[2 * i]);
        starts[i] = extent_add(extents, inner->attributes[2 * i], moved);
        if (__builtin_mul_overflow(inner_step, (int64_t)attribute_integer(node, 2 * i + 1), &steps[i])) return NULL;
        if (steps[i] > INT32_MAX || steps[i] < -INT32_MAX) return NULL;
    }
    return slice(simplifier->graph, inner->inputs[0], starts, steps, node->shape);
}

Node *slice_of_broadcast(Simplifier *simplifier, Node *node) {
    Node *repeated = node->inputs[0];
    if (repeated->op != OP_broadcast) return NULL;
    Node *x = repeated->inputs[0];
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    int axes[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        int axis = axes[i] = attribute_integer(repeated, i);
        if (x->shape[i] != repeated->shape[axis]) return NULL;
        starts[i] = node->attributes[2 * axis];
        steps[i] = attribute_integer(node, 2 * axis + 1);
        shape[i] = node->shape[axis];
    }
    return broadcast(simplifier->graph, slice(simplifier->graph, x, starts, steps, shape), node->shape, node->rank,
                     axes);
}

Node *slice_of_pad(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    Node *padded = node->inputs[0];
    if (padded->op != OP_pad || !same_shape(node, padded->inputs[0])) return NULL;
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i] != padded->attributes[i]) return NULL;
    return padded->inputs[0];
}

// A part that has all of x, and less of the zeros around it.
Node *part_of_pad(Simplifier *simplifier, Node *node) {
    Node *padded = node->inputs[0];
    ExtentTable *extents = simplifier->graph->extents;
    if (padded->op != OP_pad || same_shape(node, padded)) return NULL;
    const Extent *lows[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < node->rank; i++) {
        const Extent *start = node->attributes[2 * i], *count = padded->inputs[0]->shape[i];
        lows[i] = extent_subtract(extents, padded->attributes[2 * i], start);
        steps[i] = attribute_integer(padded, 2 * i + 1);
        bool whole = extent_is(start, 0) && node->shape[i] == padded->shape[i];
        bool inside = steps[i] == 1 && extent_at_least(extents, lows[i], extent_constant(extents, 0)) &&
                      extent_at_least(extents, node->shape[i], extent_add(extents, lows[i], count));
        if (attribute_integer(node, 2 * i + 1) != 1 || (!whole && !inside)) return NULL;
    }
    return pad(simplifier->graph, padded->inputs[0], lows, steps, node->shape);
}

// Windows at some positions are windows over what those reach, and what is a part along another axis is one of x.
Node *slice_of_window(Simplifier *simplifier, Node *node) {
    Node *windows = node->inputs[0];
    Graph *graph = simplifier->graph;
    if (windows->op != OP_window) return NULL;
    Node *x = windows->inputs[0];
    int axis = attribute_integer(windows, 0), stride = attribute_integer(windows, 1), tap = 2 * (axis + 1);
    const Extent *one = extent_constant(graph->extents, 1), *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK], step = attribute_integer(node, 2 * axis + 1);
    bool all_taps = extent_is(node->attributes[tap], 0) && attribute_integer(node, tap + 1) == 1 &&
                    node->shape[axis + 1] == windows->shape[axis + 1];
    if (!all_taps || step <= 0 || step > INT16_MAX || stride > INT16_MAX) return NULL;
    if (!extent_at_least(graph->extents, node->shape[axis], one)) return NULL;
    for (int i = 0; i < x->rank; i++) {
        int from = i <= axis ? i : i + 1;
        starts[i] = node->attributes[2 * from];
        steps[i] = attribute_integer(node, 2 * from + 1);
        shape[i] = node->shape[from];
    }
    const Extent *between = extent_constant(graph->extents, stride * step);
    const Extent *reach = extent_multiply(graph->extents, extent_subtract(graph->extents, shape[axis], one), between);
    const Extent *span = window_span(graph->extents, windows->shape[axis + 1], windows->attributes[2]);
    starts[axis] = extent_multiply(graph->extents, starts[axis], extent_constant(graph->extents, stride));
    shape[axis] = extent_add(graph->extents, reach, extent_add(graph->extents, span, one));
    steps[axis] = 1;
    Node *part = slice(graph, x, starts, steps, (const Extent *const *)shape);
    return window(graph, part, axis, windows->shape[axis + 1], stride * step, windows->attributes[2]);
}

Node *pad_of_zero(Simplifier *simplifier, Node *node) {
    if (!is_number(node->inputs[0], 0)) return NULL;
    return constant_like(simplifier->graph, node, 0);
}

// ---- reductions

// Reduced axes of extent 1. The order of what is left stays, since S10's is row-major. A sum starts at +0, so a sum of
// one element is x + 0: it turns -0 into 0.
Node *reduce_of_units(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *x = node->inputs[0];
    unsigned units = 0, reduced = reduced_axes(node);
    int axes[MAX_RANK], count = 0, place = 0;
    for (int i = 0; i < x->rank; i++) {
        if ((reduced >> i & 1) && extent_is(x->shape[i], 1)) {
            units |= 1u << i;
            continue;
        }
        if (reduced >> i & 1) axes[count++] = place;
        place++;
    }
    if (!units || node->op == OP_reduce_argmax) return NULL;
    Node *rest = without_units(graph, x, units);
    if (count) return reduce(graph, node->op, rest, axes, count);
    if (node->op != OP_reduce_sum || !dtype_is_float(node->dtype)) return rest;
    return map2(graph, OP_add, rest, constant_like(graph, rest, 0));
}

Node *argmax_of_unit(Simplifier *simplifier, Node *node) {
    for (int i = 0; i < node->attribute_count; i++)
        if (!extent_is(node->inputs[0]->shape[attribute_integer(node, i)], 1)) return NULL;
    return constant_like(simplifier->graph, node, 0);
}

// The extremum of copies of one value, at least one.
Node *extremum_of_repeated(Simplifier *simplifier, Node *node) {
    Node *x = node->inputs[0];
    unsigned reduced = reduced_axes(node);
    if (varying_axes(x) & reduced) return NULL;
    for (int i = 0; i < x->rank; i++) {
        int64_t extent = 1;
        if ((reduced >> i & 1) && (!extent_is_constant(x->shape[i], &extent) || extent < 1)) return NULL;
    }
    return along_axes(simplifier->graph, x, all_axes(x) & ~reduced);
}

// The sum over classes of where(iota == numbers, x, 0) with x the same for all classes: one term at most is not zero.
// A bool made a number is such a choice between 1 and 0.
Node *sum_of_class_mask(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *choice = node->inputs[0], *numbers;
    if (node->attribute_count != 1 || (choice->op != OP_where && choice->op != OP_cast)) return NULL;
    int axis = attribute_integer(node, 0);
    Node *mask = choice->inputs[0];
    if (mask->dtype != DTYPE_BOOL || !is_class_mask(mask, axis, &numbers)) return NULL;
    unsigned rest = all_axes(choice) & ~(1u << axis);
    Node *within = in_range(graph, along_axes(graph, numbers, rest), choice->shape[axis]);
    if (choice->op == OP_cast) return cast(graph, within, node->dtype);
    Node *value = choice->inputs[1];
    if ((varying_axes(value) >> axis & 1) || !is_constant(choice->inputs[2], 0)) return NULL;
    value = along_axes(graph, value, rest);
    Node *zero = constant_like(graph, value, 0);
    if (dtype_is_float(value->dtype)) value = map2(graph, OP_add, value, zero);
    return map3(graph, OP_where, within, value, zero);
}
