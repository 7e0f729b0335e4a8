// What derivatives are checked on: every op with a derivative, at ordinary points and at kinks and edges.
#include "gradient_check.h"

#define MAP_1(op)                                          \
    static Node *build_##op(Graph *graph, Node **inputs) { \
        return map1(graph, OP_##op, inputs[0]);            \
    }
#define MAP_2(op)                                          \
    static Node *build_##op(Graph *graph, Node **inputs) { \
        return map2(graph, OP_##op, inputs[0], inputs[1]); \
    }
MAP_1(negate)
MAP_1(absolute)
MAP_1(sign)
MAP_1(floor)
MAP_1(sqrt)
MAP_1(exp)
MAP_1(expm1)
MAP_1(log)
MAP_1(log1p)
MAP_1(sin)
MAP_1(cos)
MAP_1(atan)
MAP_1(tanh)
MAP_1(sigmoid)
MAP_1(erf)
MAP_2(add)
MAP_2(subtract)
MAP_2(multiply)
MAP_2(divide)
MAP_2(floor_divide)
MAP_2(remainder)
MAP_2(pow)
MAP_2(maximum)
MAP_2(minimum)

static Node *build_fma(Graph *graph, Node **inputs) {
    return map3(graph, OP_fma, inputs[0], inputs[1], inputs[2]);
}

static Node *build_where(Graph *graph, Node **inputs) {
    return map3(graph, OP_where, map2(graph, OP_less, inputs[0], inputs[1]), inputs[1], inputs[2]);
}

// Exact at the case's values and their neighbours, which have few bits.
static Node *build_cast(Graph *graph, Node **inputs) {
    return cast(graph, inputs[0], DTYPE_F32);
}

static Node *build_square(Graph *graph, Node **inputs) {
    return map2(graph, OP_pow, inputs[0], constant_like(graph, inputs[0], 2));
}

static Node *build_power_of_two(Graph *graph, Node **inputs) {
    return map2(graph, OP_pow, constant_like(graph, inputs[0], 2), inputs[0]);
}

// At 0, below the limit, the branch that is not taken has an infinite derivative (S15).
#define LIMIT 0.1

static Node *build_masked_log(Graph *graph, Node **inputs) {
    Node *zero = constant_like(graph, inputs[0], 0), *limit = constant_like(graph, inputs[0], LIMIT);
    Node *root = map1(graph, OP_sqrt, inputs[0]), *logarithm = map1(graph, OP_log, root);
    return map3(graph, OP_where, map2(graph, OP_less, limit, inputs[0]), logarithm, zero);
}

static Node *build_nested_masks(Graph *graph, Node **inputs) {
    Node *zero = constant_like(graph, inputs[0], 0), *one = constant_like(graph, inputs[0], 1);
    Node *positive = map2(graph, OP_less, constant_like(graph, inputs[0], LIMIT), inputs[0]);
    Node *logarithm = map1(graph, OP_log, inputs[0]);
    Node *inner = map3(graph, OP_where, positive, logarithm, inputs[0]);
    Node *quotient = map2(graph, OP_divide, inner, inputs[0]);
    Node *small = map2(graph, OP_less, inputs[0], one);
    return map3(graph, OP_where, positive, map3(graph, OP_where, small, quotient, logarithm), zero);
}

// Two masked uses of one value whose derivative is infinite where neither is taken.
static Node *build_sum_of_masks(Graph *graph, Node **inputs) {
    Node *zero = constant_like(graph, inputs[0], 0), *one = constant_like(graph, inputs[0], 1);
    Node *root = map1(graph, OP_sqrt, inputs[0]);
    Node *positive = map2(graph, OP_less, constant_like(graph, inputs[0], LIMIT), inputs[0]);
    Node *large = map2(graph, OP_less, one, inputs[0]);
    Node *left = map3(graph, OP_where, positive, map2(graph, OP_multiply, root, root), zero);
    return map2(graph, OP_add, left, map3(graph, OP_where, large, map1(graph, OP_exp, root), zero));
}

static Node *build_masked_views(Graph *graph, Node **inputs) {
    const Extent *flat[1] = {element_count(graph, inputs[0])};
    Node *x = reshape(graph, transpose(graph, map1(graph, OP_sqrt, inputs[0]), (int[]){1, 0}), flat, 1);
    Node *zero = constant_like(graph, x, 0), *limit = constant_like(graph, x, LIMIT);
    return map3(graph, OP_where, map2(graph, OP_less, limit, x), map1(graph, OP_log, x), zero);
}

static Node *build_softmax_loss(Graph *graph, Node **inputs) {
    Node *x = inputs[0];
    int axis = 1, rows = 0;
    Node *top = stop_gradient(graph, reduce(graph, OP_reduce_max, x, &axis, 1));
    Node *shifted = map2(graph, OP_subtract, x, broadcast(graph, top, (const Extent *const *)x->shape, 2, &rows));
    Node *sum = reduce(graph, OP_reduce_sum, map1(graph, OP_exp, shifted), &axis, 1);
    Node *total = broadcast(graph, map1(graph, OP_log, sum), (const Extent *const *)x->shape, 2, &rows);
    Node *product = map2(graph, OP_multiply, inputs[1], map2(graph, OP_subtract, shifted, total));
    return reduce(graph, OP_reduce_sum, product, &axis, 1);
}

static Node *build_track(Graph *graph, Node **inputs) {
    return map1(graph, OP_exp, track(graph, map2(graph, OP_multiply, inputs[0], inputs[0])));
}

// ---- reductions

static Node *reduce_last(Graph *graph, Op op, Node *x) {
    int axis = x->rank - 1;
    return reduce(graph, op, x, &axis, 1);
}

static Node *build_reduce_sum(Graph *graph, Node **inputs) {
    return reduce_last(graph, OP_reduce_sum, inputs[0]);
}

static Node *build_reduce_max(Graph *graph, Node **inputs) {
    return reduce_last(graph, OP_reduce_max, inputs[0]);
}

static Node *build_reduce_min(Graph *graph, Node **inputs) {
    return reduce_last(graph, OP_reduce_min, inputs[0]);
}

static Node *build_reduce_outer(Graph *graph, Node **inputs) {
    int axes[2] = {0, 2};
    return map2(graph, OP_add, reduce(graph, OP_reduce_sum, inputs[0], axes, 2),
                reduce(graph, OP_reduce_max, inputs[0], axes, 2));
}

// ---- products: einsum's labels

static Node *einsum(Graph *graph, const char *x, const char *y, const char *result, Node **inputs) {
    int labels[3][MAX_RANK], counts[3] = {0};
    const char *texts[3] = {x, y, result};
    for (int i = 0; i < 3; i++)
        for (const char *at = texts[i]; *at; at++) labels[i][counts[i]++] = *at - 'a';
    return contract(graph, inputs[0], inputs[1], labels[0], labels[1], labels[2], counts[2]);
}

#define EINSUM(name, x, y, result)                           \
    static Node *build_##name(Graph *graph, Node **inputs) { \
        return einsum(graph, x, y, result, inputs);          \
    }
EINSUM(matmul, "ab", "bc", "ac")
EINSUM(matmul_transposed, "ba", "cb", "ca")
EINSUM(batched, "abc", "acd", "abd")
EINSUM(dot, "a", "a", "")
EINSUM(dot_matrices, "ab", "ba", "")
EINSUM(outer, "a", "b", "ba")
EINSUM(two_summed, "abc", "cbd", "da")
EINSUM(shared_kept, "ab", "ab", "b")
EINSUM(vector, "ab", "b", "a")

static Node *build_sum_of_product(Graph *graph, Node **inputs) {
    int axes[2] = {0, 1};
    return reduce(graph, OP_reduce_sum, build_matmul(graph, inputs), axes, 2);
}

// ---- views

static const Extent *constant(Graph *graph, int64_t value) {
    return extent_constant(graph->extents, value);
}

static Node *build_broadcast(Graph *graph, Node **inputs) {
    const Extent *shape[3] = {constant(graph, 3), constant(graph, 2), constant(graph, 3)};
    return broadcast(graph, inputs[0], shape, 3, (int[]){0, 1});
}

static Node *build_broadcast_square(Graph *graph, Node **inputs) {
    const Extent *shape[2] = {constant(graph, 3), constant(graph, 3)};
    return broadcast(graph, inputs[0], shape, 2, (int[]){0});
}

static Node *build_broadcast_units(Graph *graph, Node **inputs) {
    const Extent *shape[3] = {constant(graph, 2), constant(graph, 3), constant(graph, 1)};
    return broadcast(graph, inputs[0], shape, 3, (int[]){0, 1});
}

static Node *build_reshape(Graph *graph, Node **inputs) {
    const Extent *shape[2] = {constant(graph, 3), constant(graph, 2)};
    return reshape(graph, inputs[0], shape, 2);
}

static Node *build_transpose(Graph *graph, Node **inputs) {
    return transpose(graph, inputs[0], (int[]){1, 2, 0});
}

static Node *build_slice(Graph *graph, Node **inputs) {
    const Extent *starts[2] = {constant(graph, 1), constant(graph, 4)},
                 *shape[2] = {constant(graph, 2), constant(graph, 2)};
    return slice(graph, inputs[0], starts, (int64_t[]){1, -2}, shape);
}

static Node *build_pad(Graph *graph, Node **inputs) {
    const Extent *lows[2] = {constant(graph, 1), constant(graph, 4)},
                 *shape[2] = {constant(graph, 4), constant(graph, 6)};
    return pad(graph, inputs[0], lows, (int64_t[]){1, -2}, shape);
}

// Its cotangents are products of padded tensors, along kept, summed and shared axes.
static Node *build_part_of_product(Graph *graph, Node **inputs) {
    const Extent *starts[3] = {constant(graph, 1), constant(graph, 1), constant(graph, 3)};
    const Extent *shape[3] = {constant(graph, 1), constant(graph, 2), constant(graph, 2)};
    return slice(graph, build_batched(graph, inputs), starts, (int64_t[]){1, -1, -2}, shape);
}

// ---- windows

static Node *build_window(Graph *graph, Node **inputs) {
    return window(graph, inputs[0], 0, constant(graph, 3), 1, constant(graph, 2));
}

static Node *build_window_strided(Graph *graph, Node **inputs) {
    return window(graph, inputs[0], 1, constant(graph, 3), 2, constant(graph, 1));
}

// The windows do not overlap, and leave some elements out.
static Node *build_window_apart(Graph *graph, Node **inputs) {
    return window(graph, inputs[0], 1, constant(graph, 2), 3, constant(graph, 2));
}

static Node *build_fold(Graph *graph, Node **inputs) {
    return fold_windows(graph, inputs[0], 0, 2, constant(graph, 1), constant(graph, 8));
}

static Node *build_fold_dilated(Graph *graph, Node **inputs) {
    return fold_windows(graph, inputs[0], 1, 1, constant(graph, 2), constant(graph, 7));
}

static Node *build_fold_apart(Graph *graph, Node **inputs) {
    return fold_windows(graph, inputs[0], 0, 3, constant(graph, 1), constant(graph, 8));
}

// x[a] and y[b] with a window over x: abcd is channel, row, its tap, column, its tap.
static Node *convolve(Graph *graph, Node **inputs, int64_t stride, const char *x, const char *y, const char *result) {
    Node *windows = window(graph, inputs[0], 1, inputs[1]->shape[1], stride, constant(graph, 1));
    if (inputs[0]->rank == 3) windows = window(graph, windows, 3, inputs[1]->shape[2], stride, constant(graph, 1));
    return einsum(graph, x, y, result, (Node *[]){windows, inputs[1]});
}

static Node *build_convolution(Graph *graph, Node **inputs) {
    return convolve(graph, inputs, 1, "abc", "ac", "b");
}

static Node *build_convolution_strided(Graph *graph, Node **inputs) {
    return convolve(graph, inputs, 2, "abc", "ac", "b");
}

static Node *build_convolution_of_planes(Graph *graph, Node **inputs) {
    return convolve(graph, inputs, 1, "abcde", "ace", "bd");
}

// ---- indices

static Node *build_gather(Graph *graph, Node **inputs) {
    return gather(graph, inputs[0], inputs[1]);
}

// Both the rows and the indices depend on what is differentiated.
static Node *build_sort(Graph *graph, Node **inputs) {
    return gather(graph, inputs[0], argsort(graph, inputs[0], true));
}

static Node *build_scatter_add(Graph *graph, Node **inputs) {
    const Extent *shape[2] = {constant(graph, 3), constant(graph, 2)};
    return scatter_add(graph, inputs[1], inputs[0], shape, 2);
}

// ---- the table

static const double signs[] = {-2, -0.7, 0.6, 3}, with_zero[] = {-1, 0, 2, 0.5};
static const double ties_left[] = {1, 2, -1, 0.5}, ties_right[] = {1, 0.5, -1, 2};
static const double tied_rows[] = {1, 3, 3, 2, -1, 0}, tied_pairs[] = {1, 3, 2, 2, 0, -1};
static const double few_bits[] = {0.5, -1.25, 2, 0.75};
static const double quotients[] = {-3.3, 2.6, 1.7, -0.4}, divisors[] = {0.9, 1.1, -0.8, 1.2};
static const double bases_zero[] = {0, 0, 1.5, -2}, exponents_zero[] = {0, 2, 0, 3};
static const double bases_only[] = {0, 0.7, 2, 0}, exponents_only[] = {1.5, -1, 0.5, 2};
static const double masked[] = {0, 0.5, 2, 0};

#define VECTOR {1, {4}, 0, 0, NULL, INPUT_TARGET}
#define VECTOR_BETWEEN(low, high) {1, {4}, low, high, NULL, INPUT_TARGET}
#define VECTOR_OF(values) {1, {4}, 0, 0, values, INPUT_TARGET}
#define TENSOR(rank, ...) {rank, {__VA_ARGS__}, 0, 0, NULL, INPUT_TARGET}
#define UNARY(op)                \
    {                            \
        #op, build_##op, 3, 1, { \
            VECTOR               \
        }                        \
    }
#define UNARY_BETWEEN(op, low, high)  \
    {                                 \
        #op, build_##op, 3, 1, {      \
            VECTOR_BETWEEN(low, high) \
        }                             \
    }
#define BINARY(op)               \
    {                            \
        #op, build_##op, 2, 2, { \
            VECTOR, VECTOR       \
        }                        \
    }

const GradientCase gradient_cases[] = {
    BINARY(add),
    BINARY(subtract),
    BINARY(multiply),
    {"divide", build_divide, 2, 2, {VECTOR, VECTOR_BETWEEN(0.5, 2)}},
    {"divide by negative", build_divide, 2, 2, {VECTOR, VECTOR_BETWEEN(-2, -0.5)}},
    {"floor_divide", build_floor_divide, 2, 2, {VECTOR_OF(quotients), VECTOR_OF(divisors)}},
    {"remainder", build_remainder, 2, 2, {VECTOR_OF(quotients), VECTOR_OF(divisors)}},
    UNARY(negate),
    {"fma", build_fma, 2, 3, {VECTOR, VECTOR, VECTOR}},
    {"pow", build_pow, 2, 2, {VECTOR_BETWEEN(0.5, 2), VECTOR_BETWEEN(-1.5, 2.5)}},
    UNARY(square),
    UNARY(power_of_two),
    {"absolute", build_absolute, 2, 1, {VECTOR_OF(signs)}},
    {"absolute at 0", build_absolute, 1, 1, {VECTOR_OF(with_zero)}},
    {"sign", build_sign, 2, 1, {VECTOR_OF(signs)}},
    {"floor", build_floor, 2, 1, {VECTOR_OF(quotients)}},
    {"maximum", build_maximum, 2, 2, {VECTOR_OF(signs), VECTOR_OF(with_zero)}},
    {"maximum of ties", build_maximum, 1, 2, {VECTOR_OF(ties_left), VECTOR_OF(ties_right)}},
    {"minimum", build_minimum, 2, 2, {VECTOR_OF(signs), VECTOR_OF(with_zero)}},
    {"minimum of ties", build_minimum, 1, 2, {VECTOR_OF(ties_left), VECTOR_OF(ties_right)}},
    UNARY_BETWEEN(sqrt, 0.4, 2),
    UNARY(exp),
    UNARY(expm1),
    UNARY_BETWEEN(log, 0.4, 2),
    UNARY_BETWEEN(log1p, -0.4, 1),
    UNARY(sin),
    UNARY(cos),
    UNARY(atan),
    UNARY(tanh),
    UNARY(sigmoid),
    UNARY(erf),
    {"where", build_where, 2, 3, {VECTOR, VECTOR, VECTOR}},
    {"cast", build_cast, 1, 1, {VECTOR_OF(few_bits)}},
    {"softmax with cross entropy", build_softmax_loss, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 2, 3)}},
    UNARY(track),
    {"reduce_sum", build_reduce_sum, 2, 1, {TENSOR(2, 3, 3)}},
    {"reduce_max", build_reduce_max, 2, 1, {TENSOR(2, 2, 3)}},
    {"reduce_max of ties", build_reduce_max, 1, 1, {{2, {2, 3}, 0, 0, tied_rows, INPUT_TARGET}}},
    {"reduce_min", build_reduce_min, 2, 1, {TENSOR(2, 2, 3)}},
    {"reduce_min of ties", build_reduce_min, 1, 1, {{2, {3, 2}, 0, 0, tied_pairs, INPUT_TARGET}}},
    {"reductions of outer axes", build_reduce_outer, 2, 1, {TENSOR(3, 2, 3, 2)}},
    {"matmul", build_matmul, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 3, 2)}},
    {"square matmul", build_matmul, 2, 2, {TENSOR(2, 2, 2), TENSOR(2, 2, 2)}},
    {"transposed matmul", build_matmul_transposed, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 3, 2)}},
    {"batched matmul", build_batched, 2, 2, {TENSOR(3, 2, 2, 3), TENSOR(3, 2, 3, 2)}},
    {"dot", build_dot, 2, 2, {VECTOR, VECTOR}},
    {"dot of matrices", build_dot_matrices, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 3, 2)}},
    {"outer product", build_outer, 2, 2, {VECTOR, TENSOR(1, 3)}},
    {"two summed labels", build_two_summed, 2, 2, {TENSOR(3, 2, 3, 2), TENSOR(3, 2, 3, 2)}},
    {"a label in all", build_shared_kept, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 2, 3)}},
    {"matrix by vector", build_vector, 2, 2, {TENSOR(2, 2, 3), TENSOR(1, 3)}},
    {"sum of a product", build_sum_of_product, 2, 2, {TENSOR(2, 2, 3), TENSOR(2, 3, 2)}},
    {"broadcast", build_broadcast, 2, 1, {TENSOR(2, 3, 1)}},
    {"broadcast to a square", build_broadcast_square, 2, 1, {TENSOR(1, 3)}},
    {"broadcast of units", build_broadcast_units, 2, 1, {TENSOR(2, 1, 3)}},
    {"reshape", build_reshape, 2, 1, {TENSOR(2, 2, 3)}},
    {"transpose", build_transpose, 2, 1, {TENSOR(3, 2, 2, 2)}},
    {"slice", build_slice, 2, 1, {TENSOR(2, 3, 6)}},
    {"pad", build_pad, 2, 1, {TENSOR(2, 2, 2)}},
    {"part of a product", build_part_of_product, 2, 2, {TENSOR(3, 2, 2, 3), TENSOR(3, 2, 3, 4)}},
    {"window", build_window, 2, 1, {TENSOR(2, 6, 2)}},
    {"window with a stride", build_window_strided, 2, 1, {TENSOR(2, 2, 6)}},
    {"windows apart", build_window_apart, 2, 1, {TENSOR(2, 2, 8)}},
    {"fold", build_fold, 2, 1, {TENSOR(3, 3, 3, 2)}},
    {"fold with a dilation", build_fold_dilated, 2, 1, {TENSOR(3, 2, 3, 3)}},
    {"fold of windows apart", build_fold_apart, 2, 1, {TENSOR(3, 2, 3, 2)}},
    {"convolution", build_convolution, 2, 2, {TENSOR(2, 2, 5), TENSOR(2, 2, 3)}},
    {"convolution with a stride", build_convolution_strided, 2, 2, {TENSOR(2, 2, 6), TENSOR(2, 2, 3)}},
    {"convolution of planes", build_convolution_of_planes, 2, 2, {TENSOR(3, 2, 4, 3), TENSOR(3, 2, 2, 2)}},
    {"gather", build_gather, 2, 2, {TENSOR(2, 3, 2), {2, {2, 2}, 0, 3, NULL, INPUT_INDEX}}},
    {"sort", build_sort, 2, 1, {TENSOR(1, 5)}},
    {"scatter_add", build_scatter_add, 2, 2, {TENSOR(2, 4, 2), {1, {4}, 0, 3, NULL, INPUT_INDEX}}},
};
const int gradient_case_count = sizeof gradient_cases / sizeof *gradient_cases;

// At these points a branch not taken has an infinite derivative, or a rule has a case of its own.
const GradientCase edge_cases[] = {
    {"pow by the base, at 0", build_pow, 1, 2, {VECTOR_OF(bases_zero), {1, {4}, 0, 0, exponents_zero, INPUT_FIXED}}},
    {"pow by the exponent, of 0",
     build_pow,
     1,
     2,
     {{1, {4}, 0, 0, bases_only, INPUT_FIXED}, VECTOR_OF(exponents_only)}},
    {"masked log", build_masked_log, 2, 1, {VECTOR_OF(masked)}},
    {"nested masks", build_nested_masks, 2, 1, {VECTOR_OF(masked)}},
    {"sum of masks", build_sum_of_masks, 2, 1, {VECTOR_OF(masked)}},
    {"masks through views", build_masked_views, 2, 1, {{2, {2, 2}, 0, 0, masked, INPUT_TARGET}}},
};
const int edge_case_count = sizeof edge_cases / sizeof *edge_cases;
