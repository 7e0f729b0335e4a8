// The reference evaluator against values worked out by hand, op by op.
#include "evaluate_case.h"

#include "math/scalar.h"

#include <math.h>
#include <string.h>

// ---- elementwise ops: every row of the table for every dtype it takes, on values chosen for its edges

#define N NAN
#define I INFINITY
#define MAP(name, D, T, count, out, R, ...)                                                                   \
    do {                                                                                                      \
        start();                                                                                              \
        const T *const operands[] = {xs_##D, ys_##D, zs_##D};                                                 \
        Node *nodes[3];                                                                                       \
        for (int k = 0; k < op_arity(OP_##name); k++) nodes[k] = input(DTYPE_##D, SHAPE(count), operands[k]); \
        Node *node = op_arity(OP_##name) == 1   ? map1(graph, OP_##name, nodes[0])                            \
                     : op_arity(OP_##name) == 2 ? map2(graph, OP_##name, nodes[0], nodes[1])                  \
                                                : map3(graph, OP_##name, nodes[0], nodes[1], nodes[2]);       \
        EXPECT(node, DTYPE_##out, SHAPE(count), R, __VA_ARGS__);                                              \
    } while (0)

static void check_floating_ops(void) {
    static const double xs_F64[] = {1.5, -7, 7, -0.0, N, I, 2.5, 3}, ys_F64[] = {2, 2, -2, 0, 1, I, N, 3};
    static const double zs_F64[] = {1, 1, 1, 0, 0, 0, 0, -9};
    static const float xs_F32[] = {1.5f, -7, 7, -0.0f, N, I, 2.5f, 3}, ys_F32[] = {2, 2, -2, 0, 1, I, N, 3};
    static const float zs_F32[] = {1, 1, 1, 0, 0, 0, 0, -9};
#define BOTH(name, ...)                                  \
    MAP(name, F64, double, 8, F64, double, __VA_ARGS__); \
    MAP(name, F32, float, 8, F32, float, __VA_ARGS__)
#define COMPARED(name, ...)                                \
    MAP(name, F64, double, 8, BOOL, uint8_t, __VA_ARGS__); \
    MAP(name, F32, float, 8, BOOL, uint8_t, __VA_ARGS__)
    BOTH(add, 3.5, -5, 5, 0, N, I, N, 6);
    BOTH(subtract, -0.5, -9, 9, -0.0, N, N, N, 0);
    BOTH(multiply, 3, -14, -14, -0.0, N, I, N, 9);
    BOTH(divide, 0.75, -3.5, -3.5, N, N, N, N, 1);
    BOTH(floor_divide, 0, -4, -4, N, N, N, N, 1);
    BOTH(remainder, 1.5, 1, -1, N, N, N, N, 0);
    BOTH(negate, -1.5, 7, -7, 0, N, -I, -2.5, -3);
    BOTH(fma, 4, -13, -13, 0, N, I, N, 0);
    BOTH(absolute, 1.5, 7, 7, 0, N, I, 2.5, 3);
    BOTH(sign, 1, -1, 1, -0.0, N, 1, 1, 1);
    BOTH(floor, 1, -7, 7, -0.0, N, I, 2, 3);
    BOTH(ceil, 2, -7, 7, -0.0, N, I, 3, 3);
    BOTH(round, 2, -7, 7, -0.0, N, I, 2, 3);
    BOTH(maximum, 2, 2, 7, 0, N, I, N, 3);
    BOTH(minimum, 1.5, -7, -2, 0, N, I, N, 3);
    BOTH(sqrt, sqrt(1.5), N, sqrt(7), -0.0, N, I, sqrt(2.5), sqrt(3));
    COMPARED(equal, 0, 0, 0, 1, 0, 1, 0, 1);
    COMPARED(not_equal, 1, 1, 1, 0, 1, 0, 1, 0);
    COMPARED(less, 1, 1, 0, 0, 0, 0, 0, 0);
    COMPARED(less_equal, 1, 1, 0, 1, 0, 1, 0, 1);
#undef BOTH
#undef COMPARED
}

// Functions of compiler/math are what it says, for every element.
static void check_math_ops(void) {
    static const double x[] = {0.3, -0.0, 2, N}, y[] = {2.5, -1, 0.5, 0};
    static const float x_single[] = {0.3f, -0.0f, 2, N}, y_single[] = {2.5f, -1, 0.5f, 0};
#define MATH_1(name)                                                                                    \
    EXPECT(map1(graph, OP_##name, wide), DTYPE_F64, SHAPE(4), double, gradc_##name##_f64(x[0]),         \
           gradc_##name##_f64(x[1]), gradc_##name##_f64(x[2]), gradc_##name##_f64(x[3]));               \
    EXPECT(map1(graph, OP_##name, single), DTYPE_F32, SHAPE(4), float, gradc_##name##_f32(x_single[0]), \
           gradc_##name##_f32(x_single[1]), gradc_##name##_f32(x_single[2]), gradc_##name##_f32(x_single[3]));
#define MATH_2(name)
#define MATH(name, arity) MATH_##arity(name)
    start();
    Node *wide = input(DTYPE_F64, SHAPE(4), x), *single = input(DTYPE_F32, SHAPE(4), x_single);
    Node *wide_power = input(DTYPE_F64, SHAPE(4), y), *single_power = input(DTYPE_F32, SHAPE(4), y_single);
    MATH_LIST(MATH)
    EXPECT(map2(graph, OP_pow, wide, wide_power), DTYPE_F64, SHAPE(4), double, gradc_pow_f64(x[0], y[0]), -I,
           gradc_pow_f64(2, 0.5), 1);
    EXPECT(map2(graph, OP_pow, single, single_power), DTYPE_F32, SHAPE(4), float, powf(0.3f, 2.5f), -I, sqrtf(2), 1);
}

static void check_integer_ops(void) {
    static const int32_t xs_I32[] = {7, -7, 7, -7, 5, INT32_MIN, INT32_MAX, 0}, zs_I32[8] = {0};
    static const int32_t ys_I32[] = {2, 2, -2, -2, 0, -1, 2, 3};
    static const int64_t xs_I64[] = {7, -7, 7, -7, 5, INT64_MIN, INT64_MAX, 0}, zs_I64[8] = {0};
    static const int64_t ys_I64[] = {2, 2, -2, -2, 0, -1, 2, 3};
#define BOTH(name, fifth, sixth32, sixth64, seventh32, seventh64, last, ...)                \
    MAP(name, I32, int32_t, 8, I32, int32_t, __VA_ARGS__, fifth, sixth32, seventh32, last); \
    MAP(name, I64, int64_t, 8, I64, int64_t, __VA_ARGS__, fifth, sixth64, seventh64, last)
    BOTH(add, 5, INT32_MAX, INT64_MAX, INT32_MIN + 1, INT64_MIN + 1, 3, 9, -5, 5, -9);
    BOTH(subtract, 5, INT32_MIN + 1, INT64_MIN + 1, INT32_MAX - 2, INT64_MAX - 2, -3, 5, -9, 9, -5);
    BOTH(multiply, 0, INT32_MIN, INT64_MIN, -2, -2, 0, 14, -14, -14, 14);
    BOTH(floor_divide, 0, INT32_MIN, INT64_MIN, INT32_MAX / 2, INT64_MAX / 2, 0, 3, -4, -4, 3);
    BOTH(remainder, 0, 0, 0, 1, 1, 0, 1, 1, -1, -1);
    BOTH(negate, -5, INT32_MIN, INT64_MIN, -INT32_MAX, -INT64_MAX, 0, -7, 7, -7, 7);
    BOTH(absolute, 5, INT32_MIN, INT64_MIN, INT32_MAX, INT64_MAX, 0, 7, 7, 7, 7);
    BOTH(sign, 1, -1, -1, 1, 1, 0, 1, -1, 1, -1);
    BOTH(maximum, 5, -1, -1, INT32_MAX, INT64_MAX, 3, 7, 2, 7, -2);
    BOTH(minimum, 0, INT32_MIN, INT64_MIN, 2, 2, 0, 2, -7, -2, -7);
#undef BOTH
    MAP(less, I32, int32_t, 8, BOOL, uint8_t, 0, 1, 0, 1, 0, 1, 0, 1);
    MAP(less_equal, I64, int64_t, 8, BOOL, uint8_t, 0, 1, 0, 1, 0, 1, 0, 1);
    MAP(equal, I64, int64_t, 8, BOOL, uint8_t, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void check_logic_ops(void) {
    static const uint8_t xs_BOOL[] = {0, 0, 1, 1}, ys_BOOL[] = {0, 1, 0, 1}, zs_BOOL[4] = {0};
    MAP(logical_and, BOOL, uint8_t, 4, BOOL, uint8_t, 0, 0, 0, 1);
    MAP(logical_or, BOOL, uint8_t, 4, BOOL, uint8_t, 0, 1, 1, 1);
    MAP(logical_not, BOOL, uint8_t, 4, BOOL, uint8_t, 1, 1, 0, 0);
    MAP(equal, BOOL, uint8_t, 4, BOOL, uint8_t, 1, 0, 0, 1);
    MAP(not_equal, BOOL, uint8_t, 4, BOOL, uint8_t, 0, 1, 1, 0);
    MAP(less, BOOL, uint8_t, 4, BOOL, uint8_t, 0, 1, 0, 0);
    start();
    Node *condition = input(DTYPE_BOOL, SHAPE(4), ys_BOOL);
    Node *x = input(DTYPE_F32, SHAPE(4), ((const float[]){1, 2, 3, 4}));
    Node *y = input(DTYPE_F32, SHAPE(4), ((const float[]){N, -2, N, -4}));
    EXPECT(map3(graph, OP_where, condition, x, y), DTYPE_F32, SHAPE(4), float, N, 2, N, 4);
    EXPECT(map3(graph, OP_where, condition, condition, map1(graph, OP_logical_not, condition)), DTYPE_BOOL, SHAPE(4),
           uint8_t, 1, 1, 1, 1);
}

static void check_casts(void) {
    start();
    Node *x = input(DTYPE_F64, SHAPE(8), ((const double[]){-2.7, 2.7, N, I, -I, 3e9, -1e30, 0.1}));
    Node *single = input(DTYPE_F32, SHAPE(4), ((const float[]){-2.5f, N, 3e9f, -0.0f}));
    Node *i = input(DTYPE_I64, SHAPE(4), ((const int64_t[]){3, -1, (INT64_C(1) << 40) + 5, INT64_MAX}));
    Node *b = input(DTYPE_BOOL, SHAPE(2), ((const uint8_t[]){0, 1}));
    EXPECT(cast(graph, x, DTYPE_I32), DTYPE_I32, SHAPE(8), int32_t, -2, 2, 0, INT32_MAX, INT32_MIN, INT32_MAX,
           INT32_MIN, 0);
    EXPECT(cast(graph, x, DTYPE_I64), DTYPE_I64, SHAPE(8), int64_t, -2, 2, 0, INT64_MAX, INT64_MIN, 3000000000,
           INT64_MIN, 0);
    EXPECT(cast(graph, x, DTYPE_F32), DTYPE_F32, SHAPE(8), float, -2.7f, 2.7f, N, I, -I, 3e9f, -1e30f, 0.1f);
    EXPECT(cast(graph, x, DTYPE_BOOL), DTYPE_BOOL, SHAPE(8), uint8_t, 1, 1, 1, 1, 1, 1, 1, 1);
    EXPECT(cast(graph, single, DTYPE_I32), DTYPE_I32, SHAPE(4), int32_t, -2, 0, INT32_MAX, 0);
    EXPECT(cast(graph, single, DTYPE_F64), DTYPE_F64, SHAPE(4), double, -2.5, N, 3e9, -0.0);
    EXPECT(cast(graph, single, DTYPE_BOOL), DTYPE_BOOL, SHAPE(4), uint8_t, 1, 1, 1, 0);
    EXPECT(cast(graph, i, DTYPE_I32), DTYPE_I32, SHAPE(4), int32_t, 3, -1, 5, -1);
    EXPECT(cast(graph, i, DTYPE_F32), DTYPE_F32, SHAPE(4), float, 3, -1, 1099511627776.0f, 9223372036854775808.0f);
    EXPECT(cast(graph, b, DTYPE_F64), DTYPE_F64, SHAPE(2), double, 0, 1);
    EXPECT(cast(graph, b, DTYPE_I64), DTYPE_I64, SHAPE(2), int64_t, 0, 1);
}

// ---- leaves

static void check_leaves(void) {
    start();
    const int64_t dims[] = {3};
    environment.dims = dims;
    const Extent *n = extent_dim(graph->extents, 0, "N");
    Shape shape = SHAPE(2, 3);
    EXPECT(iota(graph, DTYPE_F32, shape.extents, 2, 1), DTYPE_F32, SHAPE(2, 3), float, 0, 1, 2, 0, 1, 2);
    EXPECT(iota(graph, DTYPE_I64, shape.extents, 2, 0), DTYPE_I64, SHAPE(2, 3), int64_t, 0, 0, 0, 1, 1, 1);
    const Extent *open[] = {n};
    EXPECT(iota(graph, DTYPE_I32, open, 1, 0), DTYPE_I32, SHAPE(3), int32_t, 0, 1, 2);
    EXPECT(extent_value(graph, DTYPE_F64, extent_multiply(graph->extents, n, n)), DTYPE_F64, shape_of(0, NULL), double,
           9);
    EXPECT(constant_integer(graph, DTYPE_I32, -4), DTYPE_I32, shape_of(0, NULL), int32_t, -4);
    EXPECT(constant_real(graph, DTYPE_F32, 0.1), DTYPE_F32, shape_of(0, NULL), float, 0.1f);
    EXPECT(constant_integer(graph, DTYPE_BOOL, 7), DTYPE_BOOL, shape_of(0, NULL), uint8_t, 1);
    environment.seed = 9;
    environment.draw_count = 4;
    Node *uniform = random_make(graph, OP_random_uniform, DTYPE_F32, SHAPE(2).extents, 1, INT64_C(1) << 40);
    EXPECT(uniform, DTYPE_F32, SHAPE(2), float, gradc_uniform_f32(9, 0, UINT64_C(1) << 40, 4),
           gradc_uniform_f32(9, 1, UINT64_C(1) << 40, 4));
    Node *normal = random_make(graph, OP_random_normal, DTYPE_F64, SHAPE(1, 2).extents, 2, 6);
    EXPECT(normal, DTYPE_F64, SHAPE(1, 2), double, gradc_normal_f64(9, 0, 6, 4), gradc_normal_f64(9, 1, 6, 4));
    EXPECT(stop_gradient(graph, track(graph, uniform)), DTYPE_F32, SHAPE(2), float,
           gradc_uniform_f32(9, 0, UINT64_C(1) << 40, 4), gradc_uniform_f32(9, 1, UINT64_C(1) << 40, 4));
}

// ---- views

static void check_views(void) {
    start();
    Node *x = input(DTYPE_I32, SHAPE(2, 3), ((const int32_t[]){1, 2, 3, 4, 5, 6}));
    Node *column = input(DTYPE_F64, SHAPE(2, 1), ((const double[]){7, 8}));
    Node *b = input(DTYPE_BOOL, SHAPE(3), ((const uint8_t[]){1, 0, 1}));
    EXPECT(reshape(graph, x, SHAPE(3, 2).extents, 2), DTYPE_I32, SHAPE(3, 2), int32_t, 1, 2, 3, 4, 5, 6);
    EXPECT(transpose(graph, x, (const int[]){1, 0}), DTYPE_I32, SHAPE(3, 2), int32_t, 1, 4, 2, 5, 3, 6);
    EXPECT(broadcast(graph, column, SHAPE(2, 2).extents, 2, NULL), DTYPE_F64, SHAPE(2, 2), double, 7, 7, 8, 8);
    EXPECT(broadcast(graph, b, SHAPE(3, 2).extents, 2, (const int[]){0}), DTYPE_BOOL, SHAPE(3, 2), uint8_t, 1, 1, 0, 0,
           1, 1);
    EXPECT(broadcast(graph, constant_integer(graph, DTYPE_I64, 5), SHAPE(2).extents, 1, NULL), DTYPE_I64, SHAPE(2),
           int64_t, 5, 5);
    EXPECT(slice(graph, x, SHAPE(1, 2).extents, (const int64_t[]){1, -2}, SHAPE(1, 2).extents), DTYPE_I32, SHAPE(1, 2),
           int32_t, 6, 4);
    EXPECT(pad(graph, x, SHAPE(1, 0).extents, (const int64_t[]){1, 2}, SHAPE(4, 6).extents), DTYPE_I32, SHAPE(4, 6),
           int32_t, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0);
    EXPECT(pad(graph, b, SHAPE(2).extents, (const int64_t[]){-1}, SHAPE(3).extents), DTYPE_BOOL, SHAPE(3), uint8_t, 1,
           0, 1);
    Node *scalar =
        reshape(graph, slice(graph, x, SHAPE(0, 1).extents, (const int64_t[]){1, 1}, SHAPE(1, 1).extents), NULL, 0);
    EXPECT(scalar, DTYPE_I32, shape_of(0, NULL), int32_t, 2);
}

static void check_windows(void) {
    start();
    const Extent *one = extent_constant(graph->extents, 1), *two = extent_constant(graph->extents, 2);
    const Extent *three = extent_constant(graph->extents, 3), *six = extent_constant(graph->extents, 6);
    Node *x = input(DTYPE_I32, SHAPE(6), ((const int32_t[]){1, 2, 3, 4, 5, 6}));
    EXPECT(window(graph, x, 0, three, 2, one), DTYPE_I32, SHAPE(2, 3), int32_t, 1, 2, 3, 3, 4, 5);
    EXPECT(window(graph, x, 0, two, 1, three), DTYPE_I32, SHAPE(3, 2), int32_t, 1, 4, 2, 5, 3, 6);
    Node *rows = input(DTYPE_F32, SHAPE(3, 2), ((const float[]){1, 2, 3, 4, 5, 6}));
    EXPECT(window(graph, rows, 0, two, 1, one), DTYPE_F32, SHAPE(2, 2, 2), float, 1, 2, 3, 4, 3, 4, 5, 6);
    Node *w = input(DTYPE_F32, SHAPE(4, 3), ((const float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
    EXPECT(fold_windows(graph, w, 0, 1, one, six), DTYPE_F32, SHAPE(6), float, 1, 2 + 4, 3 + 5 + 7, 6 + 8 + 10, 9 + 11,
           12);
    Node *pairs = input(DTYPE_F32, SHAPE(2, 2, 2), ((const float[]){1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT(fold_windows(graph, pairs, 0, 3, two, six), DTYPE_F32, SHAPE(6, 2), float, 1, 2, 0, 0, 3, 4, 5, 6, 0, 0, 7,
           8);
    Node *zeros = input(DTYPE_F32, SHAPE(3, 2), ((const float[]){-0.0f, -0.0f, -0.0f, 1, 2, 3}));
    EXPECT(fold_windows(graph, zeros, 0, 2, one, six), DTYPE_F32, SHAPE(6), float, 0, 0, 0, 1, 2, 3);
}

static void check_gather(void) {
    start();
    Node *x = input(DTYPE_F32, SHAPE(3, 2), ((const float[]){1, 2, 3, 4, 5, 6}));
    Node *indices = input(DTYPE_I32, SHAPE(2, 2), ((const int32_t[]){2, 0, 9, -1}));
    EXPECT(gather(graph, x, indices), DTYPE_F32, SHAPE(2, 2, 2), float, 5, 6, 1, 2, 5, 6, 1, 2);
    CHECK(environment.faulted && environment.fault[0] == 9 && environment.fault[1] == 2);
    Node *good = input(DTYPE_I64, SHAPE(4), ((const int64_t[]){1, 0, 1, 1}));
    Node *updates = input(DTYPE_F32, SHAPE(4, 2), ((const float[]){1e8f, 1, 10, 20, -1e8f, 2, 0.5f, 3}));
    EXPECT(scatter_add(graph, good, updates, SHAPE(3, 2).extents, 2), DTYPE_F32, SHAPE(3, 2), float, 10, 20, 0.5f, 6, 0,
           0);
    CHECK(!environment.faulted);
    Node *empty = input(DTYPE_F32, SHAPE(0, 2), NULL);
    EXPECT(gather(graph, empty, good), DTYPE_F32, SHAPE(4, 2), float, 0, 0, 0, 0, 0, 0, 0, 0);
    CHECK(environment.faulted && environment.fault[0] == 1 && environment.fault[1] == 0);
}

static void check_argsort(void) {
    start();
    Node *x = input(DTYPE_F32, SHAPE(2, 5), ((const float[]){3, N, -1, 3, 0, -0.0f, 0, I, -I, N}));
    EXPECT(argsort(graph, x, false), DTYPE_I64, SHAPE(2, 5), int64_t, 2, 4, 0, 3, 1, 3, 0, 1, 2, 4);
    EXPECT(argsort(graph, x, true), DTYPE_I64, SHAPE(2, 5), int64_t, 1, 0, 3, 4, 2, 4, 2, 0, 1, 3);
    Node *i = input(DTYPE_I32, SHAPE(3), ((const int32_t[]){INT32_MAX, INT32_MIN, 0}));
    EXPECT(argsort(graph, i, false), DTYPE_I64, SHAPE(3), int64_t, 1, 2, 0);
    EXPECT(argsort(graph, input(DTYPE_F64, SHAPE(3, 0), NULL), false), DTYPE_I64, SHAPE(3, 0), int64_t, 0);
    EXPECT(argsort(graph, input(DTYPE_I64, SHAPE(2, 1), ((const int64_t[]){5, 4})), true), DTYPE_I64, SHAPE(2, 1),
           int64_t, 0, 0);
}

// ---- reductions

static void check_small_reductions(void) {
    start();
    Node *x = input(DTYPE_F64, SHAPE(2, 3), ((const double[]){1, 5, 5, 4, N, -1}));
    static const int both[] = {0, 1}, first[] = {0}, last[] = {1};
    EXPECT(reduce(graph, OP_reduce_max, x, last, 1), DTYPE_F64, SHAPE(2), double, 5, N);
    EXPECT(reduce(graph, OP_reduce_min, x, last, 1), DTYPE_F64, SHAPE(2), double, 1, N);
    EXPECT(reduce(graph, OP_reduce_max, x, first, 1), DTYPE_F64, SHAPE(3), double, 4, N, 5);
    EXPECT(reduce(graph, OP_reduce_argmax, x, last, 1), DTYPE_I64, SHAPE(2), int64_t, 1, 1);
    EXPECT(reduce(graph, OP_reduce_argmax, x, first, 1), DTYPE_I64, SHAPE(3), int64_t, 1, 1, 0);
    EXPECT(reduce(graph, OP_reduce_argmax, x, both, 2), DTYPE_I64, shape_of(0, NULL), int64_t, 4);
    Node *i = input(DTYPE_I32, SHAPE(2, 2), ((const int32_t[]){INT32_MAX, 1, -3, INT32_MIN}));
    EXPECT(reduce(graph, OP_reduce_sum, i, last, 1), DTYPE_I32, SHAPE(2), int32_t, INT32_MIN, INT32_MAX - 2);
    EXPECT(reduce(graph, OP_reduce_sum, i, first, 1), DTYPE_I32, SHAPE(2), int32_t, INT32_MAX - 3, INT32_MIN + 1);
    EXPECT(reduce(graph, OP_reduce_max, i, both, 2), DTYPE_I32, shape_of(0, NULL), int32_t, INT32_MAX);
    Node *b = input(DTYPE_BOOL, SHAPE(2, 2), ((const uint8_t[]){0, 1, 0, 0}));
    EXPECT(reduce(graph, OP_reduce_max, b, last, 1), DTYPE_BOOL, SHAPE(2), uint8_t, 1, 0);
    EXPECT(reduce(graph, OP_reduce_min, b, first, 1), DTYPE_BOOL, SHAPE(2), uint8_t, 0, 0);
    Node *empty = input(DTYPE_F32, SHAPE(2, 0), NULL);
    EXPECT(reduce(graph, OP_reduce_sum, empty, last, 1), DTYPE_F32, SHAPE(2), float, 0, 0);
    EXPECT(reduce(graph, OP_reduce_max, empty, last, 1), DTYPE_F32, SHAPE(2), float, -I, -I);
    EXPECT(reduce(graph, OP_reduce_min, empty, last, 1), DTYPE_F32, SHAPE(2), float, I, I);
    EXPECT(reduce(graph, OP_reduce_argmax, empty, last, 1), DTYPE_I64, SHAPE(2), int64_t, 0, 0);
    Node *zeros = input(DTYPE_F32, SHAPE(1, 2), ((const float[]){-0.0f, -0.0f}));
    EXPECT(reduce(graph, OP_reduce_sum, zeros, last, 1), DTYPE_F32, SHAPE(1), float, 0.0f);
    EXPECT(reduce(graph, OP_reduce_sum, zeros, first, 1), DTYPE_F32, SHAPE(2), float, 0.0f, 0.0f);
}

static void check_contract(void) {
    start();
    Node *x = input(DTYPE_I64, SHAPE(2, 3), ((const int64_t[]){1, 2, 3, 4, 5, 6}));
    Node *y = input(DTYPE_I64, SHAPE(3, 2), ((const int64_t[]){1, 0, 0, 1, 2, 2}));
    static const int ij[] = {0, 1}, jk[] = {1, 2}, ik[] = {0, 2}, ki[] = {2, 0}, ji[] = {1, 0};
    EXPECT(contract(graph, x, y, ij, jk, ik, 2), DTYPE_I64, SHAPE(2, 2), int64_t, 7, 8, 16, 17);
    EXPECT(contract(graph, x, y, ij, jk, ki, 2), DTYPE_I64, SHAPE(2, 2), int64_t, 7, 16, 8, 17);
    EXPECT(contract(graph, x, y, ij, ji, NULL, 0), DTYPE_I64, shape_of(0, NULL), int64_t, 1 + 0 + 6 + 0 + 5 + 12);
    EXPECT(contract(graph, x, x, ij, ij, ij, 2), DTYPE_I64, SHAPE(2, 3), int64_t, 1, 4, 9, 16, 25, 36);
    EXPECT(contract(graph, x, x, ij, ij, (const int[]){0}, 1), DTYPE_I64, SHAPE(2), int64_t, 14, 77);
    Node *u = input(DTYPE_F32, SHAPE(2), ((const float[]){-0.0f, 2})),
         *v = input(DTYPE_F32, SHAPE(1), ((const float[]){3}));
    EXPECT(contract(graph, u, v, (const int[]){0}, (const int[]){1}, (const int[]){0, 1}, 2), DTYPE_F32, SHAPE(2, 1),
           float, 0, 6);   // the sum starts at +0
}

// ---- loops

static Node *argument_of(Dtype dtype, Shape shape, int index) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = index, .name = "argument"};
    return variable_make(graph, &variable, dtype, shape.extents, shape.rank);
}

static Function *body_of(int argument_count_, Node **arguments_, int result_count, Node **results) {
    Function *body = arena_new(arena, Function);
    *body = (Function){"body", argument_count_, NULL, result_count, NULL};
    body->arguments = arena_copy(arena, arguments_, sizeof(Node *) * (size_t)argument_count_);
    body->results = arena_array(arena, Named, result_count);
    for (int i = 0; i < result_count; i++) body->results[i] = (Named){"result", results[i]};
    return body;
}

// h, g = g + x * k, h; yield h
static void check_scan(void) {
    start();
    Node *xs = input(DTYPE_F64, SHAPE(3), ((const double[]){1, 2, 3}));
    Node *h = input(DTYPE_F64, shape_of(0, NULL), ((const double[]){10}));
    Node *g = input(DTYPE_F64, shape_of(0, NULL), ((const double[]){100}));
    Node *k = input(DTYPE_F64, shape_of(0, NULL), ((const double[]){2}));
    Node *inner[4];
    for (int i = 0; i < 4; i++) inner[i] = argument_of(DTYPE_F64, shape_of(0, NULL), i);
    Node *next = map2(graph, OP_add, inner[2], map2(graph, OP_multiply, inner[0], inner[3]));
    Function *body = body_of(4, inner, 3, (Node *[]){next, inner[1], inner[1]});
    Node *node = loop(graph, extent_constant(graph->extents, 3), &xs, 1, (Node *[]){h, g}, 2, &k, 1, body);
    EXPECT(result_of(graph, node, 0), DTYPE_F64, shape_of(0, NULL), double, 108);   // 102, 14, 108
    EXPECT(result_of(graph, node, 1), DTYPE_F64, shape_of(0, NULL), double, 14);
    EXPECT(result_of(graph, node, 2), DTYPE_F64, SHAPE(3), double, 10, 102, 14);
    Node *none = input(DTYPE_F64, SHAPE(0), NULL);
    Node *never = loop(graph, extent_constant(graph->extents, 0), &none, 1, (Node *[]){h, g}, 2, &k, 1, body);
    EXPECT(result_of(graph, never, 1), DTYPE_F64, shape_of(0, NULL), double, 100);
    EXPECT(result_of(graph, never, 2), DTYPE_F64, SHAPE(0), double, 0);
}

// Rows of a matrix, without a carry; the element itself comes out, too, and draws go on from one iteration to the next.
static void check_vector_loop(void) {
    start();
    environment.seed = 3;
    Node *rows = input(DTYPE_F32, SHAPE(2, 2), ((const float[]){1, 2, 3, 4}));
    Node *row = argument_of(DTYPE_F32, SHAPE(2), 0);
    Node *draw = random_make(graph, OP_random_uniform, DTYPE_F32, SHAPE(2).extents, 1, 5);
    Node *sum = reduce(graph, OP_reduce_sum, row, (const int[]){0}, 1);
    Function *body = body_of(1, &row, 3, (Node *[]){sum, row, draw});
    Node *node = loop(graph, extent_constant(graph->extents, 2), &rows, 1, NULL, 0, NULL, 0, body);
    EXPECT(result_of(graph, node, 0), DTYPE_F32, SHAPE(2), float, 3, 7);
    EXPECT(result_of(graph, node, 1), DTYPE_F32, SHAPE(2, 2), float, 1, 2, 3, 4);
    EXPECT(result_of(graph, node, 2), DTYPE_F32, SHAPE(2, 2), float, gradc_uniform_f32(3, 0, 5, 0),
           gradc_uniform_f32(3, 1, 5, 0), gradc_uniform_f32(3, 2, 5, 0), gradc_uniform_f32(3, 3, 5, 0));
}

// ---- what is refused, bindings, folding

static void check_faults(void) {
    start();
    Node *x = input(DTYPE_F32, SHAPE(2), ((const float[]){1, 2}));
    Named named = {"result", x};
    Function function = {"test", 1, arguments, 1, &named};
    Tensor result, wrong = tensors[0];
    wrong.shape[0] = 3;
    const char *fault = evaluate_function(arena, &function, &wrong, &environment, &result);
    CHECK(fault && strstr(fault, "f32[2]") && strstr(fault, "f32[3]"));
    fault = evaluate_function(arena, &function, NULL, &environment, &result);
    CHECK(fault && strstr(fault, "no value"));
    VariableValue binding = {x, tensors[0]};
    environment.bindings = &binding;
    environment.binding_count = 1;
    fault = evaluate_function(arena, &function, NULL, &environment, &result);
    CHECK(!fault && ((float *)result.data)[1] == 2);
    binding.value.dtype = DTYPE_I32;
    fault = evaluate_function(arena, &function, NULL, &environment, &result);
    CHECK(fault && strstr(fault, "i32[2]"));
    const Extent *open[] = {extent_dim(graph->extents, 0, "N")};
    named.node = iota(graph, DTYPE_F32, open, 1, 0);
    environment = (Environment){0};
    fault = evaluate_function(arena, &function, tensors, &environment, &result);
    CHECK(fault && strstr(fault, "open dims"));
    const int64_t negative[] = {-1};
    environment.dims = negative;
    fault = evaluate_function(arena, &function, tensors, &environment, &result);
    CHECK(fault && strstr(fault, "N is -1"));
    named.node =
        result_of(graph, gradient(graph, reduce(graph, OP_reduce_sum, x, (const int[]){0}, 1), NULL, &x, 1, 0), 0);
    fault = evaluate_function(arena, &function, tensors, &environment, &result);
    CHECK(fault && strstr(fault, "gradient"));
}

static void check_folding(void) {
    start();
    Scalar value;
    Node *two = constant_real(graph, DTYPE_F32, 2), *third = constant_real(graph, DTYPE_F32, 1.0 / 3);
    CHECK(fold_constant(graph, map2(graph, OP_divide, two, third), &value) && value.real == (double)(2 / (1.0f / 3)));
    CHECK(fold_constant(graph, map1(graph, OP_exp, two), &value) && value.real == (double)gradc_exp_f32(2));
    CHECK(fold_constant(graph, map2(graph, OP_less, third, two), &value) && value.integer == 1);
    CHECK(fold_constant(graph, cast(graph, constant_real(graph, DTYPE_F64, -3.7), DTYPE_I64), &value));
    CHECK(value.integer == -3);
    Node *big = constant_integer(graph, DTYPE_I32, INT32_MAX);
    CHECK(fold_constant(graph, map2(graph, OP_add, big, big), &value) && value.integer == -2);
    CHECK(!fold_constant(graph, two, &value));
    Node *x = input(DTYPE_F32, shape_of(0, NULL), ((const float[]){1}));
    CHECK(!fold_constant(graph, map1(graph, OP_exp, x), &value));
}

int main(void) {
    arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    check_floating_ops();
    check_math_ops();
    check_integer_ops();
    check_logic_ops();
    check_casts();
    check_leaves();
    check_views();
    check_windows();
    check_gather();
    check_argsort();
    check_small_reductions();
    check_contract();
    check_scan();
    check_vector_loop();
    check_faults();
    check_folding();
    arena_destroy(arena);
    printf("%d failures\n", failures);
    return failures != 0;
}
