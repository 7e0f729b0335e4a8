// Class numbers and indices that must lie in [0, count). Those of an input are looked at by whoever fills it. Computed ones
// are looked at when the program runs, unless it is plain that they fit.
#include "elaborate/elaborator.h"

// The entry's input that the class numbers come from, seen through what keeps numbers; NULL: they are computed.
static Node *class_input(const Elaborator *e, Node *node) {
    for (Node *below = NULL; below != node;) {
        below = node;
        while (node->op == OP_cast || node->op == OP_reshape || node->op == OP_broadcast || node->op == OP_slice ||
               node->op == OP_transpose || node->op == OP_stop_gradient)
            node = node->inputs[0];
        node = loop_source(e, node);
    }
    bool is_input = e->context && node->op == OP_variable && node->variable->kind == VARIABLE_INPUT;
    return is_input && dtype_is_integer(node->dtype) ? node : NULL;
}

void require_range(Elaborator *e, Node *numbers, const Extent *count, Span span) {
    Node *input = class_input(e, numbers);
    if (!input) return;
    Entry *entry = e->context->entry;
    for (int i = 0; i < entry->ranges.count; i++)
        if (entry->ranges.items[i].input == input && entry->ranges.items[i].count == count) return;
    IndexRange range = {input, count, user_span(e, span)};
    array_push(e->arena, &entry->ranges, range);
    if (!input->variable->bound) input->variable->bound = count;
}

// Whether all numbers plainly lie in [0, count), as far as `depth` nodes below show.
static bool fits(const Elaborator *e, Node *node, const Extent *count, int depth) {
    int64_t whole, most;
    if (--depth < 0) return false;
    switch (node->op) {
    case OP_cast: return dtype_is_integer(node->inputs[0]->dtype) && fits(e, node->inputs[0], count, depth);
    case OP_reshape:
    case OP_broadcast:
    case OP_slice:
    case OP_transpose:
    case OP_stop_gradient: return fits(e, node->inputs[0], count, depth);
    case OP_where: return fits(e, node->inputs[1], count, depth) && fits(e, node->inputs[2], count, depth);
    case OP_gather: return fits(e, node->inputs[0], count, depth);
    case OP_constant:
        return node->scalar.integer >= 0 && extent_is_constant(count, &most) && node->scalar.integer < most;
    case OP_iota: return node->shape[attribute_integer(node, 0)] == count;
    case OP_argsort: return node->shape[node->rank - 1] == count;
    case OP_reduce_argmax: return node->inputs[0]->shape[attribute_integer(node, 0)] == count;
    case OP_remainder: {
        Node *divisor = strip_broadcast(node->inputs[1]);
        return divisor->op == OP_constant && (whole = divisor->scalar.integer) > 0 &&
               extent_is_constant(count, &most) && whole <= most;
    }
    default: return loop_source(e, node) != node && fits(e, loop_source(e, node), count, depth);
    }
}

Node *numbers_in_range(Elaborator *e, Node *numbers, const Extent *count, Span span) {
    enum { DEEPEST = 12 };
    if (class_input(e, numbers)) {
        require_range(e, numbers, count, span);
        return numbers;
    }
    if (fits(e, numbers, count, DEEPEST)) return numbers;
    e->graph->span = user_span(e, span);
    return gather(e->graph, iota(e->graph, numbers->dtype, &count, 1, 0), numbers);
}
