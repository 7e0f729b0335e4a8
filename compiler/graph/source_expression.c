// Nodes as expressions of the language.
#include "graph/source.h"

#include <math.h>
#include <stdlib.h>

static void write_extent(SourceWriter *writer, const Extent *extent) {
    extent_print(writer->text, extent);
}

static void write_extents(SourceWriter *writer, const Extent *const *extents, int count, int stride) {
    text_add(writer->text, "[");
    for (int i = 0; i < count; i++) {
        text_add(writer->text, i ? ", " : "");
        write_extent(writer, extents[i * stride]);
    }
    text_add(writer->text, "]");
}

static void write_shape(SourceWriter *writer, const Node *node) {
    write_extents(writer, (const Extent *const *)node->shape, node->rank, 1);
}

static void open_call(SourceWriter *writer, const char *name, const Node *first) {
    text_add(writer->text, "%s(", name);
    write_value(writer, first, BIND_NONE);
}

// ---- numbers

void write_number(SourceWriter *writer, Dtype dtype, Scalar number) {
    double value = number.real;
    if (dtype == DTYPE_BOOL) text_add(writer->text, number.integer ? "true" : "false");
    else if (!dtype_is_float(dtype)) text_add(writer->text, "%lld", (long long)number.integer);
    else if (isnan(value)) text_add(writer->text, "nan");
    else if (isinf(value)) text_add(writer->text, value < 0 ? "-inf" : "inf");
    else if (value == floor(value) && fabs(value) < 1e6) text_add(writer->text, "%.1f", value);
    else {
        // As few digits as give the same number back.
        for (int digits = dtype == DTYPE_F32 ? 6 : 15;; digits++) {
            const char *text = arena_print(writer->text->arena, "%.*g", digits, value);
            double back = strtod(text, NULL);
            if ((dtype == DTYPE_F32 ? (double)(float)back : back) != value && digits < 17) continue;
            text_add(writer->text, "%s", text);
            return;
        }
    }
}

static bool is_negative(const Node *node) {
    return dtype_is_float(node->dtype) ? signbit(node->scalar.real) && !isnan(node->scalar.real)
                                       : node->scalar.integer < 0;
}

static void write_constant(SourceWriter *writer, const Node *node, int power) {
    bool group = is_negative(node) && power > BIND_NEGATE;
    text_add(writer->text, group ? "(" : "");
    write_number(writer, node->dtype, node->scalar);
    text_add(writer->text, group ? ")" : "");
}

static const Node *constant_of(const SourceWriter *writer, const Node *node) {
    while (writer->aliases[node->id]) node = writer->aliases[node->id];
    while (node->op == OP_broadcast) node = node->inputs[0];
    return node->op == OP_constant ? node : NULL;
}

void write_typed_value(SourceWriter *writer, const Node *node) {
    bool natural = node->dtype == DTYPE_F32 || node->dtype == DTYPE_I32 || node->dtype == DTYPE_BOOL;
    bool typed = node->op == OP_constant && !natural;
    if (typed) text_add(writer->text, "%s(", dtype_name(node->dtype));
    write_value(writer, node, BIND_NONE);
    if (typed) text_add(writer->text, ")");
}

// ---- elementwise ops

typedef struct {
    Op op;
    Binding power;
    bool right;   // associates to the right
} Infix;
static const Infix infixes[] = {
    {OP_logical_or, BIND_OR, false},
    {OP_logical_and, BIND_AND, false},
    {OP_equal, BIND_COMPARE, false},
    {OP_not_equal, BIND_COMPARE, false},
    {OP_less, BIND_COMPARE, false},
    {OP_less_equal, BIND_COMPARE, false},
    {OP_add, BIND_ADD, false},
    {OP_subtract, BIND_ADD, false},
    {OP_multiply, BIND_MULTIPLY, false},
    {OP_divide, BIND_MULTIPLY, false},
    {OP_remainder, BIND_MULTIPLY, false},
    {OP_pow, BIND_POWER, true},
    {OP_floor_divide, BIND_MULTIPLY, false},
};

static Node *captured(const SourceWriter *writer, Node *node) {
    while (writer->aliases[node->id]) node = writer->aliases[node->id];
    return node;
}

// The axes of `node`, an operand of a map, along which its own extents stand when broadcasting is left to the language.
static unsigned axes_shown(const SourceWriter *writer, const Node *node) {
    if (node->op != OP_broadcast || writer->names[node->id]) return ~0u;
    unsigned axes = 0;
    const Node *x = node->inputs[0];
    for (int i = 0; i < x->rank; i++)
        if (x->shape[i] == node->shape[attribute_integer(node, i)]) axes |= 1u << attribute_integer(node, i);
    return axes;
}

// The operand of a map that has to be broadcast in words, since without it the result would not have the map's shape;
// -1: none.
static int explicit_operand(const SourceWriter *writer, const Node *map) {
    unsigned shown = 0;
    for (int i = 0; i < map->input_count; i++) shown |= axes_shown(writer, captured(writer, map->inputs[i]));
    return (shown & ((1u << map->rank) - 1)) == (1u << map->rank) - 1 ? -1 : 0;
}

// x with new axes, so that its own stand where the broadcast has them.
static void write_placed(SourceWriter *writer, const Node *broadcast, int power) {
    const Node *x = broadcast->inputs[0];
    bool aligned = true;
    for (int i = 0; i < x->rank; i++)
        aligned = aligned && attribute_integer(broadcast, i) == broadcast->rank - x->rank + i;
    write_value(writer, x, aligned ? power : BIND_POSTFIX);
    if (aligned) return;
    text_add(writer->text, "[");
    for (int axis = attribute_integer(broadcast, 0), next = 0; axis < broadcast->rank; axis++) {
        bool own = next < x->rank && attribute_integer(broadcast, next) == axis;
        text_add(writer->text, next || !own ? ", %s" : "%s", own ? ":" : "none");
        next += own;
    }
    text_add(writer->text, "]");
}

static void write_broadcast(SourceWriter *writer, const Node *node) {
    text_add(writer->text, "broadcast(");
    if (node->inputs[0]->op == OP_constant) write_typed_value(writer, node->inputs[0]);
    else write_placed(writer, node, BIND_NONE);
    text_add(writer->text, ", ");
    write_shape(writer, node);
    text_add(writer->text, ")");
}

static bool is_plain_power(double exponent) {
    return exponent == 0.5 || exponent == -1 || (exponent >= 1 && exponent <= 4 && exponent == floor(exponent));
}

// Whether a number must say its dtype: nothing beside it does, or the language would make another op of it.
static bool needs_dtype(const SourceWriter *writer, const Node *map, int operand) {
    const Node *number = constant_of(writer, map->inputs[operand]);
    if (!number || number->dtype == DTYPE_BOOL) return false;
    if (map->op == OP_pow && operand == 1 && is_plain_power(number->scalar.real)) return true;
    for (int i = 0; i < map->input_count; i++) {
        const Node *other = map->inputs[i];
        if (i != operand && other->dtype == number->dtype && !constant_of(writer, other)) return false;
    }
    for (int i = 0; i < operand; i++)
        if (map->inputs[i]->dtype == number->dtype) return false;   // a number before it says it
    return true;
}

// A choice between numbers, which the language computes with as with numbers: without a dtype, and so in f64.
static bool is_plain_choice(const SourceWriter *writer, const Node *node, int depth) {
    node = captured(writer, (Node *)node);
    while (node->op == OP_broadcast) node = node->inputs[0];
    if (node->op != OP_where || !dtype_is_float(node->dtype) || !depth--) return false;
    for (int i = 1; i < 3; i++)
        if (!constant_of(writer, node->inputs[i]) && !is_plain_choice(writer, node->inputs[i], depth)) return false;
    return true;
}

// Whether the first operand must say its dtype, since all of them are numbers or choices between numbers.
static bool is_plain_arithmetic(const SourceWriter *writer, const Node *map) {
    enum { DEPTH = 8 };
    bool choice = false;
    if (map->op == OP_where || map->op == OP_cast || !dtype_is_float(map->dtype)) return false;
    for (int i = 0; i < map->input_count; i++) {
        bool plain = is_plain_choice(writer, map->inputs[i], DEPTH);
        if (!plain && !constant_of(writer, map->inputs[i])) return false;
        choice = choice || plain;
    }
    return choice;
}

static void write_operand(SourceWriter *writer, const Node *map, int operand, int power) {
    const Node *node = captured(writer, map->inputs[operand]), *number = constant_of(writer, node);
    if (operand == 0 && is_plain_arithmetic(writer, map)) {
        text_add(writer->text, "%s(", dtype_name(map->dtype));
        write_value(writer, node, BIND_NONE);
        text_add(writer->text, ")");
        return;
    }
    bool in_words = explicit_operand(writer, map) == operand;
    if (in_words || node->op != OP_broadcast || writer->names[node->id]) {
        if (number && !in_words && needs_dtype(writer, map, operand)) write_typed_value(writer, number);
        else write_value(writer, node, power);
    } else if (number && needs_dtype(writer, map, operand)) write_typed_value(writer, number);
    else write_placed(writer, node, power);
}

static bool write_infix(SourceWriter *writer, const Node *node, int power) {
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++) {
        const Infix *infix = &infixes[i];
        if (infix->op != node->op) continue;
        bool strict = infix->power == BIND_COMPARE;
        bool group = power > (int)infix->power;
        text_add(writer->text, group ? "(" : "");
        write_operand(writer, node, 0, infix->power + (infix->right || strict));
        text_add(writer->text, infix->power == BIND_POWER ? "%s" : " %s ", op_spelling(node->op));
        write_operand(writer, node, 1, infix->power + !infix->right);
        text_add(writer->text, group ? ")" : "");
        return true;
    }
    return false;
}

static void write_prefix(SourceWriter *writer, const Node *node, int power) {
    int own = node->op == OP_negate ? BIND_NEGATE : BIND_NOT;
    text_add(writer->text, power > own ? "(%s" : "%s", node->op == OP_negate ? "-" : "not ");
    write_operand(writer, node, 0, own + (node->op == OP_negate));
    text_add(writer->text, power > own ? ")" : "");
}

static void write_map(SourceWriter *writer, const Node *node, int power) {
    if (write_infix(writer, node, power)) return;
    if (node->op == OP_negate || node->op == OP_logical_not) {
        write_prefix(writer, node, power);
        return;
    }
    text_add(writer->text, "%s(", node->op == OP_cast ? dtype_name(node->dtype) : op_spelling(node->op));
    for (int i = 0; i < node->input_count; i++) {
        text_add(writer->text, i ? ", " : "");
        write_operand(writer, node, i, BIND_NONE);
    }
    text_add(writer->text, ")");
}

// ---- products and reductions

// The product as x @ y, where an operand may have to be transposed: the last axis of x meets the one before the last of
// y, or its only one.
static bool is_matrix_product(const Node *node, bool turned[2]) {
    int x_rank = attribute_integer(node, 0), y_rank = attribute_integer(node, 1), labels[3 * MAX_RANK];
    for (int i = 2; i < node->attribute_count; i++) labels[i - 2] = attribute_integer(node, i);
    const int *x = labels, *y = labels + x_rank, *result = labels + x_rank + y_rank;
    if (!x_rank || !y_rank || y_rank > 2 || node->rank != x_rank + y_rank - 2) return false;
    bool left = x_rank == 2 && result[0] == x[1], right = y_rank == 2 && result[node->rank - 1] == y[0];
    if (x[left ? 0 : x_rank - 1] != y[y_rank == 2 && right]) return false;
    for (int i = 0; i < x_rank - 1; i++)
        if (result[i] != x[left ? 1 - i : i]) return false;
    if (y_rank == 2 && result[node->rank - 1] != y[!right]) return false;
    turned[0] = left;
    turned[1] = right;
    return true;
}

static void write_factor(SourceWriter *writer, const Node *node, bool turned, int power) {
    if (turned) open_call(writer, "transpose", node);
    else write_value(writer, node, power);
    if (turned) text_add(writer->text, ")");
}

static void write_contract(SourceWriter *writer, const Node *node, int power) {
    int x_rank = attribute_integer(node, 0), y_rank = attribute_integer(node, 1);
    bool turned[2];
    if (is_matrix_product(node, turned)) {
        text_add(writer->text, power > BIND_MULTIPLY ? "(" : "");
        write_factor(writer, node->inputs[0], turned[0], BIND_MULTIPLY);
        text_add(writer->text, " @ ");
        write_factor(writer, node->inputs[1], turned[1], BIND_MULTIPLY + 1);
        text_add(writer->text, power > BIND_MULTIPLY ? ")" : "");
        return;
    }
    const int ends[] = {2 + x_rank, 2 + x_rank + y_rank, node->attribute_count};
    static const char *const separators[] = {",", "->", "\", "};
    text_add(writer->text, "einsum(\"");
    for (int part = 0, at = 2; part < 3; part++) {
        for (; at < ends[part]; at++) text_add(writer->text, "%c", 'a' + attribute_integer(node, at));
        text_add(writer->text, "%s", separators[part]);
    }
    write_value(writer, node->inputs[0], BIND_NONE);
    text_add(writer->text, ", ");
    write_value(writer, node->inputs[1], BIND_NONE);
    text_add(writer->text, ")");
}

static void write_reduction(SourceWriter *writer, const Node *node) {
    open_call(writer, op_spelling(node->op), node->inputs[0]);
    if (node->rank && node->attribute_count == 1) text_add(writer->text, ", axis = %d", attribute_integer(node, 0));
    else if (node->rank) {
        text_add(writer->text, ", axis = ");
        write_extents(writer, (const Extent *const *)node->attributes, node->attribute_count, 1);
    }
    text_add(writer->text, ")");
}

// ---- views

// One axis of a slice, in Python's words. Its end is one step behind the last element, less what is not needed.
static void write_range(SourceWriter *writer, const Node *node, int axis) {
    ExtentTable *extents = writer->graph->extents;
    const Extent *start = node->attributes[2 * axis], *count = node->shape[axis], *size = node->inputs[0]->shape[axis];
    int64_t step = attribute_integer(node, 2 * axis + 1);
    const Extent *one = extent_constant(extents, 1), *last = extent_subtract(extents, count, one);
    last = extent_add(extents, start, extent_multiply(extents, last, extent_constant(extents, step)));
    const Extent *end = step > 0 ? extent_add(extents, last, one) : extent_subtract(extents, last, one);
    bool from_start = step > 0 ? extent_is(start, 0) : start == extent_subtract(extents, size, one);
    bool to_end = step > 0 ? end == size : extent_is(last, 0);
    if (!from_start) write_extent(writer, start);
    text_add(writer->text, ":");
    if (!to_end) write_extent(writer, end);
    if (step != 1) text_add(writer->text, ":%lld", (long long)step);
}

// `dropped`: axes of one element that the result has not.
static void write_slice(SourceWriter *writer, const Node *node, unsigned dropped) {
    write_value(writer, node->inputs[0], BIND_POSTFIX);
    text_add(writer->text, "[");
    for (int i = 0; i < node->rank; i++) {
        text_add(writer->text, i ? ", " : "");
        if (dropped >> i & 1) write_extent(writer, node->attributes[2 * i]);
        else write_range(writer, node, i);
    }
    text_add(writer->text, "]");
}

// A reshape of one element to a number: x[0, 0].
static bool write_only_element(SourceWriter *writer, const Node *node) {
    const Node *x = node->inputs[0];
    for (int i = 0; i < x->rank; i++)
        if (!extent_is(x->shape[i], 1)) return false;
    if (node->rank || !x->rank) return false;
    write_value(writer, x, BIND_POSTFIX);
    for (int i = 0; i < x->rank; i++) text_add(writer->text, i ? ", 0" : "[0");
    text_add(writer->text, "]");
    return true;
}

// A reshape that drops axes of one element from a slice is an index: x[:, 0].
static bool write_indexed(SourceWriter *writer, const Node *node) {
    const Node *slice = node->inputs[0];
    unsigned dropped = 0;
    int next = 0;
    if (slice->op != OP_slice || writer->names[slice->id]) return false;
    for (int i = 0; i < slice->rank; i++) {
        if (next < node->rank && node->shape[next] == slice->shape[i]) next++;
        else if (extent_is(slice->shape[i], 1) && attribute_integer(slice, 2 * i + 1) == 1) dropped |= 1u << i;
        else return false;
    }
    if (next < node->rank || !dropped) return false;
    write_slice(writer, slice, dropped);
    return true;
}

static void write_transpose(SourceWriter *writer, const Node *node) {
    open_call(writer, node->rank == 2 ? "transpose" : "permute", node->inputs[0]);
    if (node->rank != 2) {
        text_add(writer->text, ", ");
        write_extents(writer, (const Extent *const *)node->attributes, node->rank, 1);
    }
    text_add(writer->text, ")");
}

static void write_pad(SourceWriter *writer, const Node *node) {
    open_call(writer, "pad", node->inputs[0]);
    for (int part = 0; part < 2; part++) {
        text_add(writer->text, ", ");
        write_extents(writer, (const Extent *const *)node->attributes + part, node->rank, 2);
    }
    text_add(writer->text, ", ");
    write_shape(writer, node);
    text_add(writer->text, ")");
}

// window(x, taps, axis, stride, dilation), fold(x, size, axis, stride, dilation): strides of 1 are left out.
static void write_window(SourceWriter *writer, const Node *node) {
    int axis = attribute_integer(node, 0), stride = attribute_integer(node, 1);
    open_call(writer, op_spelling(node->op), node->inputs[0]);
    text_add(writer->text, ", ");
    write_extent(writer, node->shape[node->op == OP_window ? axis + 1 : axis]);
    text_add(writer->text, ", axis = %d", axis);
    if (stride != 1) text_add(writer->text, ", stride = %d", stride);
    if (!extent_is(node->attributes[2], 1)) {
        text_add(writer->text, ", dilation = ");
        write_extent(writer, node->attributes[2]);
    }
    text_add(writer->text, ")");
}

// ---- leaves and indices

static void write_iota(SourceWriter *writer, const Node *node) {
    int axis = attribute_integer(node, 0);
    bool converted = node->dtype != DTYPE_I32;
    text_add(writer->text, node->rank > 1 ? "broadcast(" : "");
    text_add(writer->text, converted ? "%s(arange(" : "arange(", dtype_name(node->dtype));
    write_extent(writer, node->shape[axis]);
    text_add(writer->text, converted ? "))" : ")");
    if (node->rank < 2) return;
    for (int i = axis; i < node->rank && axis + 1 < node->rank; i++)
        text_add(writer->text, i == axis ? "[:" : ", none");
    text_add(writer->text, axis + 1 < node->rank ? "], " : ", ");
    write_shape(writer, node);
    text_add(writer->text, ")");
}

// Drawn at the site that it had in the program, so that the numbers are the same.
static void write_random(SourceWriter *writer, const Node *node) {
    text_add(writer->text, "%s(", op_spelling(node->op));
    if (node->rank) write_shape(writer, node);
    else text_add(writer->text, "[1]");
    text_add(writer->text, ", site = ");
    write_extent(writer, node->attributes[0]);
    text_add(writer->text, node->rank ? ")" : ")[0]");
}

static void write_indexing(SourceWriter *writer, const Node *node) {
    if (node->op == OP_gather) {
        write_value(writer, node->inputs[0], BIND_POSTFIX);
        text_add(writer->text, "[");
        write_value(writer, node->inputs[1], BIND_NONE);
        text_add(writer->text, "]");
        return;
    }
    open_call(writer, "scatter_add", node->inputs[0]);
    text_add(writer->text, ", ");
    write_value(writer, node->inputs[1], BIND_NONE);
    text_add(writer->text, ", ");
    write_shape(writer, node);
    text_add(writer->text, ")");
}

static void write_structural(SourceWriter *writer, const Node *node, int power) {
    switch (node->op) {
    case OP_constant: write_constant(writer, node, power); return;
    case OP_extent:
        text_add(writer->text, "%s(", dtype_name(node->dtype));
        write_extent(writer, node->attributes[0]);
        text_add(writer->text, ")");
        return;
    case OP_iota: write_iota(writer, node); return;
    case OP_random_uniform:
    case OP_random_normal: write_random(writer, node); return;
    case OP_contract: write_contract(writer, node, power); return;
    case OP_slice: write_slice(writer, node, 0); return;
    case OP_broadcast: write_broadcast(writer, node); return;
    case OP_pad: write_pad(writer, node); return;
    case OP_window:
    case OP_fold: write_window(writer, node); return;
    case OP_argsort:
        open_call(writer, op_spelling(node->op), node->inputs[0]);
        text_add(writer->text, attribute_integer(node, 0) ? ", descending = true)" : ")");
        return;
    case OP_transpose: write_transpose(writer, node); return;
    case OP_gather:
    case OP_scatter_add: write_indexing(writer, node); return;
    case OP_reshape:
        if (write_indexed(writer, node) || write_only_element(writer, node)) return;
        open_call(writer, "reshape", node->inputs[0]);
        text_add(writer->text, ", ");
        write_shape(writer, node);
        text_add(writer->text, ")");
        return;
    default:
        if (op_class(node->op) == CLASS_REDUCE) write_reduction(writer, node);
        else writer->missing = op_name(node->op);
    }
}

void write_expression(SourceWriter *writer, const Node *node, int power) {
    if (writer->lists[node->id]) write_list(writer, node);
    else if (op_class(node->op) == CLASS_MAP) write_map(writer, node, power);
    else write_structural(writer, node, power);
}

void write_value(SourceWriter *writer, const Node *node, int power) {
    while (writer->aliases[node->id]) node = writer->aliases[node->id];
    if (writer->names[node->id]) text_add(writer->text, "%s", writer->names[node->id]);
    else write_expression(writer, node, power);
}
