// The examples: for each row a graph on which it must fire.
#include "simplify_rows.h"

#include <math.h>
#include <string.h>

// ---- inputs

static Node *argument(Inputs *in, const char *name, Dtype dtype, int rank, const Extent *first, const Extent *second) {
    const Extent *shape[2] = {first, second};
    Variable variable = {.kind = VARIABLE_INPUT, .index = in->argument_count, .name = name, .requires_grad = true};
    if (strcmp(name, "checked") == 0) variable.bound = in->C;
    Node *node = variable_make(in->graph, &variable, dtype, shape, rank);
    in->arguments[in->argument_count++] = node;
    return node;
}

Inputs inputs_create(Arena *arena, Dtype dtype) {
    Inputs in = {.arena = arena, .graph = graph_create(arena), .dtype = dtype};
    in.N = extent_dim(in.graph->extents, 0, "N");
    in.C = extent_constant(in.graph->extents, CLASSES);
    const Extent *one = extent_constant(in.graph->extents, 1);
    in.x = argument(&in, "x", dtype, 1, in.N, NULL);
    in.y = argument(&in, "y", dtype, 1, in.N, NULL);
    in.m = argument(&in, "m", dtype, 2, in.N, in.C);
    in.q = argument(&in, "q", dtype, 2, in.N, in.C);
    in.unit = argument(&in, "unit", dtype, 2, in.N, one);
    in.line = argument(&in, "line", dtype, 1, in.C, NULL);
    in.s = argument(&in, "s", dtype, 0, NULL, NULL);
    in.i = argument(&in, "i", DTYPE_I32, 1, in.N, NULL);
    in.j = argument(&in, "j", DTYPE_I32, 1, in.N, NULL);
    in.wide = argument(&in, "wide", DTYPE_I64, 1, in.N, NULL);
    in.label = argument(&in, "label", DTYPE_I32, 1, in.N, NULL);
    in.checked = argument(&in, "checked", DTYPE_I32, 1, in.N, NULL);
    in.b = argument(&in, "b", DTYPE_BOOL, 1, in.N, NULL);
    in.c = argument(&in, "c", DTYPE_BOOL, 1, in.N, NULL);
    return in;
}

static double special_number(Dtype dtype, int64_t at) {
    bool narrow = dtype == DTYPE_F32;
    const double values[SPECIALS] = {0.0,
                                     -0.0,
                                     1,
                                     -1,
                                     0.5,
                                     -2.75,
                                     3.3,
                                     -7.1,
                                     INFINITY,
                                     -INFINITY,
                                     NAN,
                                     narrow ? 1e-40 : 1e-310,
                                     narrow ? -3e-42 : -3e-313,
                                     narrow ? 3e38 : 1e308,
                                     narrow ? -2e38 : -1e308,
                                     90,
                                     -105,
                                     1e-3};
    return values[at % SPECIALS];
}

static int64_t special_integer(Dtype dtype, int64_t at) {
    static const int64_t values[] = {0, 1, -1, 2, -7, 12, INT32_MAX, INT32_MIN, 3};
    int64_t value = values[at % 9];
    return dtype == DTYPE_I64 && at % 5 == 0 ? value * (INT64_C(1) << 31) : value;
}

static uint64_t scramble(uint64_t value) {
    value = (value ^ (value >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    return value ^ (value >> 29);
}

static void fill(Tensor *tensor, int64_t at, int which, const char *name, bool special) {
    int64_t varied = which == 0 ? at : which == 1 ? at / SPECIALS : (int64_t)(scramble(at * 31 + which) >> 40);
    double real = special ? special_number(tensor->dtype, varied) : (double)(varied * 37 % 6001) / 1000 - 3;
    if (tensor->dtype == DTYPE_F32) ((float *)tensor->data)[at] = (float)real;
    if (tensor->dtype == DTYPE_F64) ((double *)tensor->data)[at] = real;
    if (tensor->dtype == DTYPE_BOOL) ((uint8_t *)tensor->data)[at] = varied % 2;
    if (tensor->dtype == DTYPE_I64) ((int64_t *)tensor->data)[at] = special_integer(DTYPE_I64, varied);
    if (tensor->dtype != DTYPE_I32) return;
    int64_t value = special_integer(DTYPE_I32, varied);
    if (strcmp(name, "checked") == 0) value = varied % CLASSES;
    if (strcmp(name, "label") == 0) value = special ? varied % (CLASSES + 3) - 1 : varied % CLASSES;
    ((int32_t *)tensor->data)[at] = (int32_t)value;
}

Tensor *inputs_fill(const Inputs *in, bool special) {
    const int64_t dims[] = {ROWS};
    Tensor *tensors = arena_array(in->arena, Tensor, in->argument_count);
    for (int which = 0; which < in->argument_count; which++) {
        const Node *node = in->arguments[which];
        Tensor *tensor = &tensors[which];
        int64_t count = 1;
        *tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
        for (int i = 0; i < node->rank; i++) count *= tensor->shape[i] = extent_evaluate(node->shape[i], dims, NULL);
        tensor->data = arena_allocate(in->arena, (size_t)count * (size_t)dtype_size(node->dtype));
        for (int64_t at = 0; at < count; at++) fill(tensor, at, which, node->variable->name, special);
    }
    return tensors;
}

// ---- short names

Node *number(const Inputs *in, Node *like, double value) {
    return constant_like(in->graph, like, value);
}
Node *add(const Inputs *in, Node *x, Node *y) {
    return map2(in->graph, OP_add, x, y);
}
Node *subtract(const Inputs *in, Node *x, Node *y) {
    return map2(in->graph, OP_subtract, x, y);
}
Node *multiply(const Inputs *in, Node *x, Node *y) {
    return map2(in->graph, OP_multiply, x, y);
}
Node *divide(const Inputs *in, Node *x, Node *y) {
    return map2(in->graph, OP_divide, x, y);
}
Node *unary(const Inputs *in, Op op, Node *x) {
    return map1(in->graph, op, x);
}
Node *where(const Inputs *in, Node *condition, Node *x, Node *y) {
    return map3(in->graph, OP_where, condition, x, y);
}

static Node *reduced(const Inputs *in, Op op, Node *x, int axis) {
    int all[MAX_RANK];
    for (int i = 0; i < x->rank; i++) all[i] = i;
    return axis < 0 ? reduce(in->graph, op, x, all, x->rank) : reduce(in->graph, op, x, &axis, 1);
}
Node *sum(const Inputs *in, Node *x, int axis) {
    return reduced(in, OP_reduce_sum, x, axis);
}
Node *largest(const Inputs *in, Node *x, int axis) {
    return reduced(in, OP_reduce_max, x, axis);
}

Node *columns(const Inputs *in, Node *x) {
    const Extent *unit[2] = {in->N, extent_constant(in->graph->extents, 1)}, *shape[2] = {in->N, in->C};
    return broadcast(in->graph, reshape(in->graph, x, unit, 2), shape, 2, NULL);
}

Node *class_mask(const Inputs *in, Node *label) {
    const Extent *shape[2] = {in->N, in->C};
    return map2(in->graph, OP_equal, iota(in->graph, DTYPE_I32, shape, 2, 1), columns(in, label));
}

Node *pick(const Inputs *in, Node *label, Node *x) {
    return sum(in, where(in, class_mask(in, label), x, number(in, x, 0)), 1);
}

// ---- pieces of examples

static Node *x_of(const Inputs *in, Op op) {
    return unary(in, op, in->x);
}
static Node *negated(const Inputs *in, Node *x) {
    return unary(in, OP_negate, x);
}
static Node *compare(const Inputs *in, Op op, Node *x, Node *y) {
    return map2(in->graph, op, x, y);
}
static Node *truth(const Inputs *in, bool value) {
    return number(in, in->b, value);
}
static Node *turned(const Inputs *in, Node *x) {
    return transpose(in->graph, x, (const int[]){1, 0});
}
static const Extent *size(const Inputs *in, int64_t value) {
    return extent_constant(in->graph->extents, value);
}
static Node *shaped(const Inputs *in, Node *x, int rank, const Extent *a, const Extent *b, const Extent *c) {
    return reshape(in->graph, x, (const Extent *const[]){a, b, c}, rank);
}
static Node *repeated(const Inputs *in, Node *x, int rank, const Extent *a, const Extent *b, const Extent *c,
                      const int *axes) {
    return broadcast(in->graph, x, (const Extent *const[]){a, b, c}, rank, axes);
}
// bool[C, C]: the unit matrix.
static Node *unit_mask(const Inputs *in) {
    Node *numbers = iota(in->graph, DTYPE_I32, &in->C, 1, 0);
    Node *rows = repeated(in, numbers, 2, in->C, in->C, NULL, (const int[]){0});
    return map2(in->graph, OP_equal, rows, repeated(in, numbers, 2, in->C, in->C, NULL, NULL));
}
// The sum along `axis` of the diagonal matrix of a line.
static Node *diagonal_sum(const Inputs *in, int axis) {
    Node *line = repeated(in, in->line, 2, in->C, in->C, NULL, &axis);
    return sum(in, where(in, unit_mask(in), line, number(in, line, 0)), axis);
}
// A matrix by the unit matrix, from one side or the other.
static Node *unit_product(const Inputs *in, bool first) {
    Node *unit = cast(in->graph, unit_mask(in), in->dtype);
    if (first) return contract(in->graph, unit, in->m, (int[]){0, 1}, (int[]){2, 1}, (int[]){0, 2}, 2);
    return contract(in->graph, in->m, unit, (int[]){0, 1}, (int[]){1, 2}, (int[]){0, 2}, 2);
}
// Columns 1 and 3 of [N, 4], or where they stand.
static Node *cut(const Inputs *in, Node *x) {
    return slice(in->graph, x, (const Extent *const[]){size(in, 0), size(in, 1)}, (const int64_t[]){1, 2},
                 (const Extent *const[]){in->N, size(in, 2)});
}
static Node *padded(const Inputs *in, Node *x) {
    return pad(in->graph, x, (const Extent *const[]){size(in, 0), size(in, 1)}, (const int64_t[]){1, 2},
               (const Extent *const[]){in->N, in->C});
}
static Node *first_column(const Inputs *in, Node *x) {
    return slice(in->graph, x, (const Extent *const[]){size(in, 0), size(in, 1)}, (const int64_t[]){1, -1},
                 (const Extent *const[]){in->N, size(in, 1)});
}
static Node *middle(const Inputs *in, Node *x, int64_t start, int64_t count) {
    return slice(in->graph, x, (const Extent *const[]){size(in, 0), size(in, start)}, (const int64_t[]){1, 1},
                 (const Extent *const[]){in->N, size(in, count)});
}
static Node *padded_around(const Inputs *in, Node *x) {
    return pad(in->graph, x, (const Extent *const[]){size(in, 0), size(in, 2)}, (const int64_t[]){1, 1},
               (const Extent *const[]){in->N, size(in, CLASSES + 5)});
}
static Node *some_windows(const Inputs *in, int64_t step) {
    Node *windows = window(in->graph, padded_around(in, in->m), 1, size(in, 3), 2, size(in, 1));   // [N, 4, 3]
    return slice(in->graph, windows, (const Extent *const[]){size(in, 1), size(in, 1), size(in, 0)},
                 (const int64_t[]){2, step, 1}, (const Extent *const[]){size(in, 5), size(in, 2), size(in, 3)});
}
static Node *inner_product(const Inputs *in) {
    return contract(in->graph, turned(in, in->m), in->q, (const int[]){0, 1}, (const int[]){1, 2}, (const int[]){0, 2},
                    2);
}
static Node *counter(const Inputs *in) {
    return iota(in->graph, DTYPE_I32, (const Extent *const[]){in->N, in->C}, 2, 1);
}
static Node *numeral(const Inputs *in, double value) {
    return constant_real(in->graph, in->dtype, value);
}
static Node *inverse_rows(const Inputs *in) {   // 1 / N
    return divide(in, numeral(in, 1), extent_value(in->graph, in->dtype, in->N));
}

static Node *narrow(const Inputs *in, Node *x) {   // [N, C] as [2, N * C / 2]
    const Extent *half = extent_multiply(in->graph->extents, in->N, size(in, CLASSES / 2));
    return shaped(in, x, 2, size(in, 2), half, NULL);
}
static Node *wide_again(const Inputs *in, Node *x) {
    return shaped(in, x, 2, in->N, in->C, NULL);
}

#define EXACT(row, variant, graph)                           \
    static Node *exact_##row##_##variant(const Inputs *in) { \
        return graph;                                        \
    }
#include "simplify_rows.def"
const Example exact_examples[] = {
#define EXACT(row, variant, graph) {#row, #variant, exact_##row##_##variant},
#include "simplify_rows.def"
};
const int exact_example_count = sizeof exact_examples / sizeof *exact_examples;

// ---- stabilising

static Node *exponential(const Inputs *in, Node *x) {
    return unary(in, OP_exp, x);
}
static Node *logarithm(const Inputs *in, Node *x) {
    return unary(in, OP_log, x);
}
static Node *softmax(const Inputs *in, Node *x) {
    Node *e = exponential(in, x);
    return divide(in, e, columns(in, sum(in, e, 1)));
}
static Node *log_sum_exp(const Inputs *in, Node *x) {
    return logarithm(in, sum(in, exponential(in, x), 1));
}
static Node *log_softmax(const Inputs *in, Node *x) {
    return subtract(in, x, columns(in, log_sum_exp(in, x)));
}
static Node *shifted(const Inputs *in, Node *x, Node *by) {
    return subtract(in, x, columns(in, by));
}
static Node *one_hot(const Inputs *in, Node *label) {
    return cast(in->graph, class_mask(in, label), in->dtype);
}
static Node *ones(const Inputs *in) {
    return number(in, in->x, 1);
}
static Node *softmax_quotient(const Inputs *in) {
    Node *e = exponential(in, in->m);
    return multiply(in, e, columns(in, divide(in, in->x, sum(in, e, 1))));
}
// What reverse mode makes of softmax: e * (c / s - sum(c * p / s)).
static Node *softmax_backward(const Inputs *in) {
    Node *e = exponential(in, in->m), *s = columns(in, sum(in, e, 1)), *p = divide(in, e, s);
    Node *inner = sum(in, negated(in, divide(in, multiply(in, in->q, p), s)), 1);
    return multiply(in, add(in, divide(in, in->q, s), columns(in, inner)), e);
}
static Node *softmax_jacobian(const Inputs *in) {   // of a line
    Node *e = exponential(in, in->line), *total = sum(in, e, 0),
         *p = divide(in, e, repeated(in, total, 1, in->C, NULL, NULL, NULL));
    Node *inverse = divide(in, numeral(in, 1), total), *zero;
    Node *square = repeated(in, inverse, 2, in->C, in->C, NULL, NULL);
    zero = number(in, square, 0);
    Node *diagonal = where(in, unit_mask(in), square, zero);
    Node *rows = negated(in, divide(in, p, repeated(in, total, 1, in->C, NULL, NULL, NULL)));
    rows = repeated(in, rows, 2, in->C, in->C, NULL, (const int[]){0});
    return multiply(in, add(in, diagonal, rows), repeated(in, e, 2, in->C, in->C, NULL, (const int[]){1}));
}
static Node *shift_put_back(const Inputs *in, bool minus) {
    Node *z = minus ? shifted(in, in->m, in->x) : add(in, in->m, columns(in, in->x));
    return map2(in->graph, minus ? OP_add : OP_subtract, log_sum_exp(in, z), in->x);
}
static Node *gathered(const Inputs *in) {
    return gather(in->graph, turned(in, softmax(in, in->m)), in->checked);
}
static Node *flat_gather(const Inputs *in) {   // m[arange(N), checked]
    const Extent *all = extent_multiply(in->graph->extents, in->N, in->C);
    Node *rows = iota(in->graph, DTYPE_I32, &in->N, 1, 0);
    Node *places = add(in, multiply(in, rows, number(in, rows, CLASSES)), in->checked);
    return gather(in->graph, reshape(in->graph, in->m, &all, 1), places);
}
static Node *p_minus_y(const Inputs *in, bool with_add) {
    Node *c = broadcast(in->graph, inverse_rows(in), in->m->shape, 2, NULL), *zero = number(in, in->m, 0);
    Node *picked = where(in, class_mask(in, in->label), with_add ? negated(in, c) : c, zero);
    return map2(in->graph, with_add ? OP_add : OP_subtract, multiply(in, softmax(in, in->m), c), picked);
}
static Node *s_minus_y(const Inputs *in, Node *a, Node *b) {
    Node *c = x_of(in, OP_tanh);
    return subtract(in, multiply(in, c, a), multiply(in, b, c));
}
static Node *s_plus_opposite(const Inputs *in) {
    Node *sum = multiply(in, number(in, in->y, 0.25), in->y);
    return add(in, sum, multiply(in, number(in, in->x, -0.25), x_of(in, OP_sigmoid)));
}
static Node *sigmoid_quotient(const Inputs *in) {
    Node *p = x_of(in, OP_sigmoid);
    return multiply(in, subtract(in, in->y, divide(in, in->y, p)), p);
}

static Node *rest_of_one(const Inputs *in, Node *x) {
    return subtract(in, number(in, x, 1), x);
}
// max(x, 0), and as relu has it; and log1p(exp(-abs(x)))
static Node *positive(const Inputs *in) {
    return map2(in->graph, OP_maximum, in->x, number(in, in->x, 0));
}
static Node *rectified(const Inputs *in) {
    Node *zero = number(in, in->x, 0);
    return where(in, compare(in, OP_less_equal, in->x, zero), zero, in->x);
}
static Node *softplus_rest(const Inputs *in) {
    return unary(in, OP_log1p, exponential(in, negated(in, unary(in, OP_absolute, in->x))));
}

#define STABILISING(row, variant, graph)                           \
    static Node *stabilising_##row##_##variant(const Inputs *in) { \
        return graph;                                              \
    }
#include "simplify_rows.def"
#define DIFFERENTIATED(row, variant, graph)                           \
    static Node *differentiated_##row##_##variant(const Inputs *in) { \
        return graph;                                                 \
    }
#include "simplify_rows.def"
const Example stabilising_examples[] = {
#define STABILISING(row, variant, graph) {#row, #variant, stabilising_##row##_##variant},
#include "simplify_rows.def"
};
const int stabilising_example_count = sizeof stabilising_examples / sizeof *stabilising_examples;
const Example differentiated_examples[] = {
#define DIFFERENTIATED(row, variant, graph) {#row, #variant, differentiated_##row##_##variant},
#include "simplify_rows.def"
};
const int differentiated_example_count = sizeof differentiated_examples / sizeof *differentiated_examples;

// ---- shortening

static Node *distant(const Inputs *in, Node *x) {   // from 0
    return add(in, multiply(in, x, x), number(in, x, 1));
}
static Node *class_choice(const Inputs *in) {
    return where(in, class_mask(in, in->label), columns(in, in->x), number(in, in->m, 0));
}
static Node *row_mean(const Inputs *in, Node *x) {
    Node *total = sum(in, x, 1);
    return columns(in, divide(in, total, number(in, total, CLASSES)));
}
static Node *centred(const Inputs *in) {
    return subtract(in, in->m, row_mean(in, in->m));
}
static Node *deviation(const Inputs *in) {
    Node *squares = sum(in, multiply(in, in->m, in->m), 1);
    return unary(in, OP_sqrt, add(in, squares, number(in, squares, 1)));
}
static Node *normalised(const Inputs *in) {
    return divide(in, in->m, columns(in, deviation(in)));
}
static Node *shares(const Inputs *in) {
    return broadcast(in->graph, inverse_rows(in), in->x->shape, 1, NULL);
}
static Node *beyond_threshold(const Inputs *in, double limit, double beta) {
    Node *z = beta == 1 ? in->x : multiply(in, number(in, in->x, beta), in->x);
    Node *soft = unary(in, OP_log1p, exponential(in, z));
    if (beta != 1) soft = divide(in, soft, number(in, soft, beta));
    return where(in, compare(in, OP_less, number(in, z, limit), z), in->x, soft);
}
static Node *joined(const Inputs *in, Node *first, Node *second) {   // the first column of one, the others of the other
    Node *here = compare(in, OP_less, counter(in), number(in, counter(in), 1));
    return where(in, here, first, second);
}

#define SHORTENING(row, variant, graph)                           \
    static Node *shortening_##row##_##variant(const Inputs *in) { \
        return graph;                                             \
    }
#include "simplify_rows.def"
const Example shortening_examples[] = {
#define SHORTENING(row, variant, graph) {#row, #variant, shortening_##row##_##variant},
#include "simplify_rows.def"
};
const int shortening_example_count = sizeof shortening_examples / sizeof *shortening_examples;
