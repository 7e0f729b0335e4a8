// Operators and elementwise primitives: numbers known when compiled are folded, tensors are promoted and broadcast.
#include "elaborate/values.h"

#include <string.h>

// ---- elementwise

// What `op` may be applied to, from its row's types column.
typedef enum { TAKES_FLOATING, TAKES_NUMBER, TAKES_COMPARE, TAKES_LOGIC, TAKES_SELECT, TAKES_CAST } Takes;

static const Takes takes[] = {
#define FLOATING TAKES_FLOATING
#define NUMBER TAKES_NUMBER
#define ANY_NUMBER_OR_BOOL TAKES_COMPARE
#define COMPARE TAKES_COMPARE
#define LOGIC TAKES_LOGIC
#define SELECT TAKES_SELECT
#define CAST TAKES_CAST
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = types,
#include "graph/ops.def"
};

static bool takes_dtype(Elaborator *e, Op op, Dtype *dtype, bool weak, Span span) {
    Takes kind = takes[op];
    if (kind == TAKES_FLOATING && !dtype_is_float(*dtype) && *dtype != DTYPE_BOOL)
        *dtype = weak ? DTYPE_F64 : e->frame->floating;
    bool fits = true;
    if (kind == TAKES_FLOATING || kind == TAKES_NUMBER) fits = *dtype != DTYPE_BOOL;
    if (kind == TAKES_LOGIC) fits = *dtype == DTYPE_BOOL;
    if (fits) return true;
    report(e, kind == TAKES_LOGIC ? D_number_logic : D_bool_arithmetic, span, "'%s' takes %s, not %s", op_spelling(op),
           kind == TAKES_LOGIC ? "bools" : "numbers", dtype_name(*dtype));
    if (kind != TAKES_LOGIC) help(e, "a bool is made a number by a cast such as f32(...)");
    else help(e, "compare with 0 to make a bool of a number");
    return false;
}

Value map_values(Elaborator *e, Op op, const Value *arguments, int count, Span span) {
    Value values[MAX_ARITY];
    Node *nodes[MAX_ARITY] = {0};
    Dtype dtype;
    bool weak;
    Shape shape;
    for (int i = 0; i < count; i++) values[i] = settle(e, arguments[i], span);
    int first = op == OP_where;   // the condition has a dtype of its own
    if (!promote(e, span, values + first, count - first, &dtype, &weak)) return (Value){.kind = VALUE_ERROR};
    if (!takes_dtype(e, op, &dtype, weak, span)) return (Value){.kind = VALUE_ERROR};
    for (int i = 0; i < count; i++) {
        nodes[i] = as_dtype(e, values[i], i < first ? DTYPE_BOOL : dtype, span);
        if (!nodes[i]) return (Value){.kind = VALUE_ERROR};
    }
    if (!broadcast_shapes(e, span, op_spelling(op), nodes, count, &shape)) return (Value){.kind = VALUE_ERROR};
    for (int i = 0; i < count; i++) nodes[i] = broadcast_to(e, nodes[i], &shape);
    Graph *graph = e->graph;
    Node *result = count == 1   ? map1(graph, op, nodes[0])
                   : count == 2 ? map2(graph, op, nodes[0], nodes[1])
                                : map3(graph, op, nodes[0], nodes[1], nodes[2]);
    Value value = value_tensor(result);
    value.weak = weak && result->dtype != DTYPE_BOOL;
    return value;
}

// ---- numbers known when compiled

static double real_of(Value value) {
    int64_t integer = 0;
    if (!value.number.integer) return value.number.real;
    extent_is_constant(value.number.integer, &integer);
    return (double)integer;
}

static bool is_constant_number(Value value) {
    return value.kind == VALUE_NUMBER && (!value.number.integer || extent_is_constant(value.number.integer, NULL));
}

static Value compare_reals(Operator operator, double a, double b) {
    switch (operator) {
    case OPERATOR_LESS: return value_bool(a < b);
    case OPERATOR_GREATER: return value_bool(a > b);
    case OPERATOR_LESS_EQUAL: return value_bool(a <= b);
    case OPERATOR_GREATER_EQUAL: return value_bool(a >= b);
    case OPERATOR_EQUAL: return value_bool(a == b);
    default: return value_bool(a != b);
    }
}

static bool is_comparison(Operator operator) {
    return operator>= OPERATOR_LESS && operator<= OPERATOR_NOT_EQUAL;
}

static const Extent *power_of(ExtentTable *table, const Extent *base, int64_t exponent) {
    const Extent *result = extent_constant(table, 1);
    const Term *terms;
    for (; exponent > 0; exponent--) {
        result = extent_multiply(table, result, base);
        if (extent_terms(result, &terms) > LARGEST_POLYNOMIAL) break;
    }
    return result;
}

// Two integers; kind VALUE_NONE when the result is no integer polynomial.
static Value fold_integers(Elaborator *e, Operator operator, const Extent * a, const Extent *b, Span span) {
    enum { LARGEST_POWER = 62 };
    ExtentTable *table = e->graph->extents;
    int64_t exponent;
    const Extent *result = NULL;
    if (operator== OPERATOR_ADD) result = extent_add(table, a, b);
    if (operator== OPERATOR_SUBTRACT) result = extent_subtract(table, a, b);
    if (operator== OPERATOR_MULTIPLY) result = extent_multiply(table, a, b);
    if (operator== OPERATOR_FLOOR_DIVIDE || operator== OPERATOR_REMAINDER) {
        bool divides = operator== OPERATOR_FLOOR_DIVIDE;
        result = divides ? extent_floor_divide(table, a, b) : extent_modulo(table, a, b);
        if (!result) return failure(e, D_division_by_zero, span, "%s is divided by zero", describe_number(e, a));
    }
    if (operator== OPERATOR_POWER && extent_is_constant(b, &exponent) && exponent >= 0 && exponent <= LARGEST_POWER)
        result = power_of(table, a, exponent);
    if ((operator== OPERATOR_EQUAL || operator== OPERATOR_NOT_EQUAL) && a == b)
        return value_bool(operator== OPERATOR_EQUAL);
    if (result && !is_manageable(e, result, span)) return (Value){.kind = VALUE_ERROR};
    return result ? value_extent(result) : (Value){.kind = VALUE_NONE};
}

enum { MOST_FACTORS = 64 };

// As a product, so that every machine computes the same.
static double whole_power(double base, int64_t exponent) {
    double product = 1;
    for (int64_t i = 0; i < (exponent < 0 ? -exponent : exponent); i++) product *= base;
    return exponent < 0 ? 1 / product : product;
}

static Value fold_numbers(Elaborator *e, Operator operator, Value left, Value right, Span span) {
    if (left.number.integer && right.number.integer) {
        Value folded = fold_integers(e, operator, left.number.integer, right.number.integer, span);
        if (folded.kind != VALUE_NONE) return folded;
    }
    if (!is_constant_number(left) || !is_constant_number(right)) return (Value){.kind = VALUE_NONE};
    double a = real_of(left), b = real_of(right);
    if (is_comparison(operator)) return compare_reals(operator, a, b);
    int64_t exponent;
    switch (operator) {
    case OPERATOR_POWER:
        return is_integer_number(right, &exponent) && exponent > -MOST_FACTORS && exponent < MOST_FACTORS
                   ? value_real(whole_power(a, exponent))
                   : (Value){.kind = VALUE_NONE};
    case OPERATOR_ADD: return value_real(a + b);
    case OPERATOR_SUBTRACT: return value_real(a - b);
    case OPERATOR_MULTIPLY: return value_real(a * b);
    case OPERATOR_DIVIDE: return value_real(a / b);
    default: return (Value){.kind = VALUE_NONE};
    }
}

// ---- what is compared or combined when compiled

static bool same_static(Value a, Value b) {
    if (a.kind != b.kind) return false;
    if (a.kind == VALUE_STRING) return strcmp(a.string, b.string) == 0;
    if (a.kind == VALUE_BOOL) return a.boolean == b.boolean;
    if (a.kind == VALUE_FUNCTION)
        return a.callable == b.callable || (a.callable->builtin && a.callable->builtin == b.callable->builtin);
    return a.kind == VALUE_NONE;
}

static bool is_static_only(Value value) {
    return value.kind == VALUE_NONE || value.kind == VALUE_STRING || value.kind == VALUE_FUNCTION;
}

static Value fold_static(Operator operator, Value left, Value right) {
    bool both_bools = left.kind == VALUE_BOOL && right.kind == VALUE_BOOL;
    if (both_bools && operator== OPERATOR_AND) return value_bool(left.boolean && right.boolean);
    if (both_bools && operator== OPERATOR_OR) return value_bool(left.boolean || right.boolean);
    bool equality = operator== OPERATOR_EQUAL || operator== OPERATOR_NOT_EQUAL;
    if (equality && (both_bools || is_static_only(left) || is_static_only(right)))
        return value_bool(same_static(left, right) == (operator== OPERATOR_EQUAL));
    return (Value){.kind = VALUE_NONE};
}

// ---- powers

static Value multiply_out(Elaborator *e, Value base, int64_t exponent, Span span) {
    Value result = base;
    if (exponent % 2 == 0) {
        Value half = multiply_out(e, base, exponent / 2, span);
        return map_values(e, OP_multiply, (Value[]){half, half}, 2, span);
    }
    for (int64_t i = 1; i < exponent; i++) result = map_values(e, OP_multiply, (Value[]){result, base}, 2, span);
    return result;
}

// x^n for a small whole n is a product, x^0.5 the square root: as exact, and with a plainer derivative.
static Value power(Elaborator *e, Value base, Value exponent, Span span) {
    enum { LARGEST_PRODUCT = 4 };
    int64_t whole;
    base = settle(e, base, span);
    if (base.kind == VALUE_TENSOR && is_integer_number(exponent, &whole)) {
        if (whole >= 1 && whole <= LARGEST_PRODUCT) return multiply_out(e, base, whole, span);
        if (whole == -1) return map_values(e, OP_divide, (Value[]){value_integer(e, 1), base}, 2, span);
    }
    if (exponent.kind == VALUE_NUMBER && !exponent.number.integer && exponent.number.real == 0.5)
        return map_values(e, OP_sqrt, &base, 1, span);
    return map_values(e, OP_pow, (Value[]){base, exponent}, 2, span);
}

// ---- operators

static const struct {
    Op op;
    bool swapped;
} operators[] = {[OPERATOR_OR] = {OP_logical_or, false},
                 [OPERATOR_AND] = {OP_logical_and, false},
                 [OPERATOR_LESS] = {OP_less, false},
                 [OPERATOR_GREATER] = {OP_less, true},
                 [OPERATOR_LESS_EQUAL] = {OP_less_equal, false},
                 [OPERATOR_GREATER_EQUAL] = {OP_less_equal, true},
                 [OPERATOR_EQUAL] = {OP_equal, false},
                 [OPERATOR_NOT_EQUAL] = {OP_not_equal, false},
                 [OPERATOR_ADD] = {OP_add, false},
                 [OPERATOR_SUBTRACT] = {OP_subtract, false},
                 [OPERATOR_MULTIPLY] = {OP_multiply, false},
                 [OPERATOR_DIVIDE] = {OP_divide, false},
                 [OPERATOR_FLOOR_DIVIDE] = {OP_floor_divide, false},
                 [OPERATOR_REMAINDER] = {OP_remainder, false}};

// A sum over a number of elements that is 0, or for a variance 1 less than 1: a mean of nothing.
static void warn_of_nothing(Elaborator *e, Value left, Value right, Span span) {
    int64_t count;
    if (left.kind != VALUE_TENSOR || left.node->op != OP_reduce_sum) return;
    if (!is_integer_number(right, &count) || count != 0) return;
    warn(e, D_nan_for_nothing, span, "the mean of no elements is not a number, nor is the variance of one",
         "a sum over %s is divided by 0, which gives NaN", describe(e, value_tensor(left.node->inputs[0])));
}

Value binary(Elaborator *e, Operator operator, Value left, Value right, Span span) {
    if (left.kind == VALUE_ERROR || right.kind == VALUE_ERROR) return (Value){.kind = VALUE_ERROR};
    Value folded = fold_static(operator, left, right);
    if (folded.kind != VALUE_NONE) return folded;
    if (left.kind == VALUE_NUMBER && right.kind == VALUE_NUMBER) folded = fold_numbers(e, operator, left, right, span);
    if (folded.kind != VALUE_NONE) return folded;
    if (operator== OPERATOR_MATMUL) return matmul(e, left, right, span);
    if (operator== OPERATOR_DIVIDE) warn_of_nothing(e, left, right, span);
    if (operator== OPERATOR_POWER) return power(e, left, right, span);
    Value arguments[] = {left, right};
    if (operators[operator].swapped) {
        arguments[0] = right;
        arguments[1] = left;
    }
    return map_values(e, operators[operator].op, arguments, 2, span);
}

Value unary(Elaborator *e, Operator operator, Value value, Span span) {
    if (value.kind == VALUE_ERROR) return value;
    if (operator== OPERATOR_NOT) {
        if (value.kind == VALUE_BOOL) return value_bool(!value.boolean);
        return map_values(e, OP_logical_not, &value, 1, span);
    }
    if (value.kind == VALUE_NUMBER && !value.number.integer) return value_real(-value.number.real);
    if (value.kind == VALUE_NUMBER)
        return value_extent(extent_subtract(e->graph->extents, constant_extent(e, 0), value.number.integer));
    return map_values(e, OP_negate, &value, 1, span);
}

// ---- matrix product

static bool cannot_multiply(Elaborator *e, Node *x, Node *y, const Extent *a, const Extent *b, Span span) {
    Shape left = shape_of(x), right = shape_of(y);
    report(e, D_shapes_cannot_be_multiplied, span, "shapes cannot be multiplied: %s @ %s, where %s and %s differ",
           describe_shape(e, &left), describe_shape(e, &right), describe_number(e, a), describe_number(e, b));
    help(e, "in a @ b the last axis of a is summed with the last but one of b");
    return false;
}

// Drops the axes of extent 1 among the leading `count` that the other operand repeats.
static Node *drop_repeated(Elaborator *e, Node *node, const bool *drop) {
    Shape shape = {0};
    for (int i = 0; i < node->rank; i++)
        if (!drop[i]) shape.extents[shape.rank++] = node->shape[i];
    return reshape(e->graph, node, shape.extents, shape.rank);
}

typedef struct {
    int labels[MAX_RANK];
    bool drop[MAX_RANK];
    int batch;   // leading axes besides the matrix's
    Node *node;
} Operand;

enum { LABEL_ROW = 20, LABEL_SUM = 21, LABEL_COLUMN = 22 };

static bool batch_axes(Elaborator *e, Operand *x, Operand *y, int batch, int *result_labels, Span span) {
    for (int axis = 0; axis < batch; axis++) {
        int a = axis - (batch - x->batch), b = axis - (batch - y->batch);
        const Extent *left = a >= 0 ? x->node->shape[a] : NULL, *right = b >= 0 ? y->node->shape[b] : NULL;
        if (left && right && left != right && !extent_is(left, 1) && !extent_is(right, 1))
            return cannot_multiply(e, x->node, y->node, left, right, span);
        if (left) x->labels[a] = axis;
        if (right) y->labels[b] = axis;
        if (left && right && left != right && extent_is(left, 1)) x->drop[a] = true;
        if (left && right && left != right && extent_is(right, 1)) y->drop[b] = true;
        result_labels[axis] = axis;
    }
    return true;
}

static Node *dropped(Elaborator *e, Operand *operand) {
    int kept = 0;
    for (int i = 0; i < operand->node->rank; i++)
        if (!operand->drop[i]) operand->labels[kept++] = operand->labels[i];
    return drop_repeated(e, operand->node, operand->drop);
}

static Value multiply_matrices(Elaborator *e, Node *left, Node *right, Span span) {
    Operand x = {.node = left, .batch = left->rank > 2 ? left->rank - 2 : 0};
    Operand y = {.node = right, .batch = right->rank > 2 ? right->rank - 2 : 0};
    const Extent *inner = left->shape[left->rank - 1], *outer = right->shape[right->rank > 1 ? right->rank - 2 : 0];
    int result[MAX_RANK], batch = x.batch > y.batch ? x.batch : y.batch, rank = batch;
    if (inner != outer) {
        cannot_multiply(e, left, right, inner, outer, span);
        return (Value){.kind = VALUE_ERROR};
    }
    if (!batch_axes(e, &x, &y, batch, result, span)) return (Value){.kind = VALUE_ERROR};
    x.labels[left->rank - 1] = LABEL_SUM;
    if (left->rank > 1) x.labels[left->rank - 2] = result[rank++] = LABEL_ROW;
    y.labels[right->rank > 1 ? right->rank - 2 : 0] = LABEL_SUM;
    if (right->rank > 1) y.labels[right->rank - 1] = result[rank++] = LABEL_COLUMN;
    Node *a = dropped(e, &x), *b = dropped(e, &y);
    return value_tensor(contract(e->graph, a, b, x.labels, y.labels, result, rank));
}

Value matmul(Elaborator *e, Value left, Value right, Span span) {
    Value values[] = {settle(e, left, span), settle(e, right, span)};
    Dtype dtype;
    bool weak;
    if (!promote(e, span, values, 2, &dtype, &weak)) return (Value){.kind = VALUE_ERROR};
    if (dtype == DTYPE_BOOL) return failure(e, D_bool_arithmetic, span, "'@' takes numbers, not bools");
    if (weak) dtype = dtype_is_float(dtype) ? e->frame->floating : DTYPE_I32;
    Node *x = as_dtype(e, values[0], dtype, span), *y = as_dtype(e, values[1], dtype, span);
    if (!x || !y) return (Value){.kind = VALUE_ERROR};
    if (!x->rank || !y->rank) {
        failure(e, D_matmul_of_number, span,
                "shapes cannot be multiplied: '@' takes vectors and matrices, not a number");
        help(e, "use * to multiply with a number");
        return (Value){.kind = VALUE_ERROR};
    }
    return multiply_matrices(e, x, y, span);
}
