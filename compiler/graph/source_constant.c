// Small constant tensors, printed as lists. A list in a program is a chain of choices in its graph, and the gradient by
// one element of a tensor is a padded 1; as lists both can be read.
#include "graph/source.h"

enum { MOST_ELEMENTS = 32 };

static bool is_known_op(Op op) {
    switch (op) {
    case OP_constant:
    case OP_iota:
    case OP_broadcast:
    case OP_reshape:
    case OP_transpose:
    case OP_slice:
    case OP_pad:
    case OP_cast:
    case OP_where:
    case OP_less:
    case OP_less_equal:
    case OP_equal:
    case OP_not_equal: return true;
    default: return false;
    }
}

static bool has_constant_attributes(const Node *node) {
    int64_t number;
    for (int i = 0; i < node->attribute_count; i++)
        if (!extent_is_constant(node->attributes[i], &number)) return false;
    return true;
}

// How many elements; -1: open, or more than a list should have.
static int64_t list_size(const Node *node) {
    int64_t size = 1, extent;
    for (int i = 0; i < node->rank; i++) {
        if (!extent_is_constant(node->shape[i], &extent) || extent > MOST_ELEMENTS) return -1;
        size *= extent;
    }
    return size <= MOST_ELEMENTS ? size : -1;
}

void find_lists(SourceWriter *writer, Node *const *roots, int root_count) {
    NodeArray nodes = reachable(writer->graph, roots, root_count);
    bool *known = arena_array(writer->text->arena, bool, writer->graph->node_count);
    bool *chosen = arena_array(writer->text->arena, bool, writer->graph->node_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        int64_t size = list_size(node);
        known[node->id] = is_known_op(node->op) && size >= 0 && has_constant_attributes(node);
        chosen[node->id] = node->op == OP_where || node->op == OP_pad;
        for (int k = 0; k < node->input_count; k++) {
            known[node->id] = known[node->id] && known[node->inputs[k]->id];
            chosen[node->id] = chosen[node->id] || chosen[node->inputs[k]->id];
        }
        // Broadcasts are left to the language.
        bool is_list = known[node->id] && chosen[node->id] && node->op != OP_broadcast;
        writer->lists[node->id] = is_list && node->rank && size > 0;
    }
}

// ---- elements

static Scalar element(const Node *node, const int64_t *index);

static double as_real(const Node *node, Scalar value) {
    return dtype_is_float(node->dtype) ? value.real : (double)value.integer;
}

static Scalar cast_element(const Node *node, Scalar value) {
    const Node *x = node->inputs[0];
    Scalar result = {0};
    if (node->dtype == DTYPE_F32) result.real = (double)(float)as_real(x, value);
    else if (dtype_is_float(node->dtype)) result.real = as_real(x, value);
    else if (node->dtype == DTYPE_BOOL) result.integer = as_real(x, value) != 0;
    else result.integer = dtype_is_float(x->dtype) ? (int64_t)value.real : value.integer;
    return result;
}

static Scalar compared(const Node *node, const int64_t *index) {
    Scalar a = element(node->inputs[0], index), b = element(node->inputs[1], index);
    bool floating = dtype_is_float(node->inputs[0]->dtype);
    bool less = floating ? a.real < b.real : a.integer < b.integer;
    bool equal = floating ? a.real == b.real : a.integer == b.integer;
    switch (node->op) {
    case OP_less: return (Scalar){.integer = less};
    case OP_less_equal: return (Scalar){.integer = less || equal};
    case OP_equal: return (Scalar){.integer = equal};
    default: return (Scalar){.integer = !equal};
    }
}

static int64_t extent_of(const Node *node, int axis) {
    int64_t extent = 0;
    extent_is_constant(node->shape[axis], &extent);
    return extent;
}

static Scalar reshaped(const Node *node, const int64_t *index) {
    const Node *x = node->inputs[0];
    int64_t place = 0, from[MAX_RANK] = {0};
    for (int i = 0; i < node->rank; i++) place = place * extent_of(node, i) + index[i];
    for (int i = x->rank - 1; i >= 0; i--) {
        from[i] = place % extent_of(x, i);
        place /= extent_of(x, i);
    }
    return element(x, from);
}

// Of a pad: zero where x has no element.
static Scalar placed(const Node *node, const int64_t *index) {
    const Node *x = node->inputs[0];
    int64_t from[MAX_RANK] = {0};
    for (int i = 0; i < x->rank; i++) {
        if (node->op == OP_broadcast) from[i] = extent_of(x, i) == 1 ? 0 : index[attribute_integer(node, i)];
        else if (node->op == OP_transpose) from[attribute_integer(node, i)] = index[i];
        else if (node->op == OP_slice)
            from[i] = attribute_integer(node, 2 * i) + attribute_integer(node, 2 * i + 1) * index[i];
        else {
            int64_t offset = index[i] - attribute_integer(node, 2 * i), step = attribute_integer(node, 2 * i + 1);
            if (offset < 0 || offset % step || offset / step >= extent_of(x, i)) return (Scalar){0};
            from[i] = offset / step;
        }
    }
    return element(x, from);
}

static Scalar element(const Node *node, const int64_t *index) {
    switch (node->op) {
    case OP_constant: return node->scalar;
    case OP_iota: {
        int64_t place = index[attribute_integer(node, 0)];
        return dtype_is_float(node->dtype) ? (Scalar){.real = (double)place} : (Scalar){.integer = place};
    }
    case OP_cast: return cast_element(node, element(node->inputs[0], index));
    case OP_where: return element(node->inputs[element(node->inputs[0], index).integer ? 1 : 2], index);
    case OP_reshape: return reshaped(node, index);
    case OP_broadcast:
    case OP_transpose:
    case OP_slice:
    case OP_pad: return placed(node, index);
    default: return compared(node, index);
    }
}

static void write_axis(SourceWriter *writer, const Node *node, int axis, int64_t *index) {
    bool natural = node->dtype == DTYPE_F32 || node->dtype == DTYPE_I32 || node->dtype == DTYPE_BOOL;
    if (axis == node->rank) {
        if (!natural) text_add(writer->text, "%s(", dtype_name(node->dtype));
        write_number(writer, node->dtype, element(node, index));
        if (!natural) text_add(writer->text, ")");
        return;
    }
    text_add(writer->text, "[");
    for (index[axis] = 0; index[axis] < extent_of(node, axis); index[axis]++) {
        text_add(writer->text, index[axis] ? ", " : "");
        write_axis(writer, node, axis + 1, index);
    }
    text_add(writer->text, "]");
}

void write_list(SourceWriter *writer, const Node *node) {
    int64_t index[MAX_RANK];
    write_axis(writer, node, 0, index);
}
