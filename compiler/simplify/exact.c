// The exact rewrites: the value's bits are the same for every input, -0, infinities and NaN among them (a NaN counts
// as one value, whatever its sign and payload). What looks like one of them and is not: x + 0 (-0 becomes 0), x - x
// and x * 0 (NaN and infinity), -(a - b) -> b - a (0 becomes -0), x / 3 -> x * (1/3), a sum of copies.
#include "simplify/rules.h"

#include "evaluate/evaluate.h"

#include <math.h>

static Node *fold_numbers(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *inputs[MAX_ARITY];
    for (int i = 0; i < node->input_count; i++)
        if (!(inputs[i] = constant_below(node->inputs[i]))) return NULL;
    Scalar value;
    Node *scalar = map_any(graph, node->op, node->dtype, inputs, node->input_count);
    if (scalar->op != OP_constant) {
        if (!fold_constant(graph, scalar, &value)) return NULL;
        scalar = dtype_is_float(node->dtype) ? constant_real(graph, node->dtype, value.real)
                                             : constant_integer(graph, node->dtype, value.integer);
    }
    return broadcast(graph, scalar, node->shape, node->rank, NULL);
}

// ---- arithmetic

static bool is_integer(const Node *node) {
    return dtype_is_integer(node->dtype);
}

static Node *negated(Simplifier *simplifier, Node *x) {
    return map1(simplifier->graph, OP_negate, x);
}

static Node *times_one(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    if (is_number(node->inputs[1], 1)) return node->inputs[0];
    return node->op == OP_multiply && is_number(node->inputs[0], 1) ? node->inputs[1] : NULL;
}

static Node *times_minus_one(Simplifier *simplifier, Node *node) {
    if (is_number(node->inputs[1], -1)) return negated(simplifier, node->inputs[0]);
    return node->op == OP_multiply && is_number(node->inputs[0], -1) ? negated(simplifier, node->inputs[1]) : NULL;
}

static bool adds_nothing(Node *zero, const Node *other) {
    if (is_integer(zero)) return is_number(zero, 0);
    return is_number(zero, -0.0) || (is_number(zero, 0) && never_negative_zero(other));
}

static Node *plus_zero(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    if (adds_nothing(node->inputs[1], node->inputs[0])) return node->inputs[0];
    return adds_nothing(node->inputs[0], node->inputs[1]) ? node->inputs[1] : NULL;
}

static Node *minus_zero(Simplifier *simplifier, Node *node) {
    Node *left = node->inputs[0], *right = node->inputs[1];
    if (is_number(right, 0) || (is_number(right, -0.0) && never_negative_zero(left))) return left;
    bool from_zero = is_number(left, is_integer(node) ? 0 : -0.0);
    return from_zero ? negated(simplifier, right) : NULL;
}

static Node *integer_zero(Simplifier *simplifier, Node *node) {
    if (!is_integer(node)) return NULL;
    bool zero = is_number(node->inputs[0], 0) || is_number(node->inputs[1], 0);
    return zero ? constant_like(simplifier->graph, node, 0) : NULL;
}

static Node *integer_difference(Simplifier *simplifier, Node *node) {
    if (!is_integer(node) || node->inputs[0] != node->inputs[1]) return NULL;
    return constant_like(simplifier->graph, node, 0);
}

static Node *negate_twice(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return node->inputs[0]->op == OP_negate ? node->inputs[0]->inputs[0] : NULL;
}

// a in -a, also where -a is repeated; else NULL.
static Node *without_minus(Simplifier *simplifier, Node *x) {
    if (x->op == OP_negate) return x->inputs[0];
    if (x->op != OP_broadcast || x->inputs[0]->op != OP_negate) return NULL;
    return rebuild(simplifier->graph, x, x->inputs[0]->inputs);
}

static Node *add_negated(Simplifier *simplifier, Node *node) {
    for (int i = 1; i >= 0; i--) {
        Node *positive = without_minus(simplifier, node->inputs[i]);
        if (positive) return map2(simplifier->graph, OP_subtract, node->inputs[1 - i], positive);
    }
    return NULL;
}

static Node *subtract_negated(Simplifier *simplifier, Node *node) {
    Node *positive = without_minus(simplifier, node->inputs[1]);
    return positive ? map2(simplifier->graph, OP_add, node->inputs[0], positive) : NULL;
}

// x, which is made of numbers, with the other sign; NULL: it is not.
static Node *negative_number(Simplifier *simplifier, Node *x) {
    Graph *graph = simplifier->graph;
    Node *constant = constant_below(x), *scalar = x;
    if (constant && dtype_is_float(x->dtype)) return constant_like(graph, x, -constant->scalar.real);
    while (scalar->op == OP_broadcast || scalar->op == OP_reshape) scalar = scalar->inputs[0];
    if (scalar->rank || (scalar->op != OP_divide && scalar->op != OP_multiply) || !dtype_is_float(x->dtype))
        return NULL;
    for (int i = 0; i < 2; i++) {
        Node *inputs[2] = {scalar->inputs[0], scalar->inputs[1]};
        if (inputs[i]->op != OP_constant) continue;
        inputs[i] = constant_real(graph, x->dtype, -inputs[i]->scalar.real);
        return broadcast(graph, map2(graph, scalar->op, inputs[0], inputs[1]), x->shape, x->rank, NULL);
    }
    return NULL;
}

// The sign of a product or quotient: two cancel, one goes into a number, else outwards.
static Node *product_of_negated(Simplifier *simplifier, Node *node) {
    Node *left = node->inputs[0], *right = node->inputs[1];
    bool left_minus = left->op == OP_negate, right_minus = right->op == OP_negate;
    if (!left_minus && !right_minus) return NULL;
    Node *a = left_minus ? left->inputs[0] : left, *b = right_minus ? right->inputs[0] : right, *number;
    Graph *graph = simplifier->graph;
    if (left_minus && right_minus) return map2(graph, node->op, a, b);
    if (left_minus && (number = negative_number(simplifier, b))) return map2(graph, node->op, a, number);
    if (right_minus && (number = negative_number(simplifier, a))) return map2(graph, node->op, number, b);
    return negated(simplifier, map2(graph, node->op, a, b));
}

static Node *negated_product(Simplifier *simplifier, Node *node) {
    Node *product = node->inputs[0], *number;
    if (product->op != OP_multiply && product->op != OP_divide) return NULL;
    Node *a = product->inputs[0], *b = product->inputs[1];
    if ((number = negative_number(simplifier, a))) return map2(simplifier->graph, product->op, number, b);
    if ((number = negative_number(simplifier, b))) return map2(simplifier->graph, product->op, a, number);
    return NULL;
}

// -x, of x that has a minus or a negative number in a product, in what is repeated, or on both sides of a choice; NULL:
// it has none.
static Node *positive_form(Simplifier *simplifier, Node *x, int depth) {
    Graph *graph = simplifier->graph;
    const Node *constant = constant_below(x);
    if (!depth-- || !dtype_is_float(x->dtype)) return NULL;
    if (constant) return constant->scalar.real < 0 ? constant_like(graph, x, -constant->scalar.real) : NULL;
    Node *inputs[3] = {NULL};
    for (int i = 0; i < x->input_count && i < 3; i++) inputs[i] = x->inputs[i];
    if (x->op == OP_negate) return inputs[0];
    if (x->op == OP_broadcast) {
        inputs[0] = positive_form(simplifier, inputs[0], depth);
        return inputs[0] ? rebuild(graph, x, inputs) : NULL;
    }
    if (x->op == OP_where) {
        for (int i = 1; i < 3; i++)
            if (!constant_below(inputs[i]) || !(inputs[i] = positive_form(simplifier, inputs[i], depth))) return NULL;
        return map3(graph, OP_where, inputs[0], inputs[1], inputs[2]);
    }
    for (int i = 0; (x->op == OP_multiply || x->op == OP_divide) && i < 2; i++) {
        Node *positive = positive_form(simplifier, inputs[i], depth);
        if (!positive) continue;
        inputs[i] = positive;
        return map2(graph, x->op, inputs[0], inputs[1]);
    }
    return NULL;
}

// a + b -> a - (-b), a - b -> a + (-b), where b has a negative number
static Node *negative_term(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 6 };
    if (constant_below(node->inputs[1]) && node->op == OP_add) return NULL;   // x + (-1) may be expm1
    Node *positive = positive_form(simplifier, node->inputs[1], DEPTH);
    if (positive) return map2(simplifier->graph, node->op == OP_add ? OP_subtract : OP_add, node->inputs[0], positive);
    if (node->op == OP_subtract || constant_below(node->inputs[0])) return NULL;
    positive = positive_form(simplifier, node->inputs[0], DEPTH);
    return positive ? map2(simplifier->graph, OP_subtract, node->inputs[1], positive) : NULL;
}

static bool picks_class(Node *mask) {
    Node *numbers;
    for (int axis = 0; axis < mask->rank; axis++)
        if (is_class_mask(mask, axis, &numbers)) return true;
    return false;
}

// a + (0 - b), where a is not -0
static Node *plus_difference(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    for (int i = 1; i >= 0; i--) {
        Node *other = node->inputs[1 - i], *term = node->inputs[i], *inner = term;
        if (inner->op == OP_broadcast) inner = inner->inputs[0];
        if (inner->op != OP_subtract || !is_number(inner->inputs[0], 0) || !never_negative_zero(other)) continue;
        Node *b = inner == term ? inner->inputs[1] : rebuild(graph, term, &inner->inputs[1]);
        return map2(graph, OP_subtract, other, b);
    }
    return NULL;
}

// A number added to a choice between numbers. One of a class stays apart: what it adds to a row's sum is then seen.
static Node *choice_of_sums(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    for (int i = 0; i < 2; i++) {
        Node *choice = node->inputs[i], *number = node->inputs[1 - i], *sides[2];
        if (choice->op != OP_where || !constant_below(number) || picks_class(choice->inputs[0])) continue;
        if (!constant_below(choice->inputs[1]) || !constant_below(choice->inputs[2])) continue;
        for (int k = 0; k < 2; k++)
            sides[k] = map2(graph, node->op, i ? number : choice->inputs[1 + k], i ? choice->inputs[1 + k] : number);
        return map3(graph, OP_where, choice->inputs[0], sides[0], sides[1]);
    }
    return NULL;
}

static Node *divide_by_power_of_two(Simplifier *simplifier, Node *node) {
    const Node *constant = constant_below(node->inputs[1]);
    if (!constant) return NULL;
    int exponent, limit = node->dtype == DTYPE_F32 ? 125 : 1021;
    if (fabs(frexp(constant->scalar.real, &exponent)) != 0.5 || exponent > limit || exponent < -limit) return NULL;
    Node *factor = constant_like(simplifier->graph, node, 1 / constant->scalar.real);
    return map2(simplifier->graph, OP_multiply, factor, node->inputs[0]);
}

static Node *extremum_of_same(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return node->inputs[0] == node->inputs[1] ? node->inputs[0] : NULL;
}

static Node *absolute_of_negated(Simplifier *simplifier, Node *node) {
    const Node *x = node->inputs[0];
    return x->op == OP_negate ? map1(simplifier->graph, OP_absolute, x->inputs[0]) : NULL;
}

static Node *absolute_twice(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return is_own_absolute(node->inputs[0]) ? node->inputs[0] : NULL;
}

static Node *round_twice(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    const Node *x = node->inputs[0];
    bool whole = x->op == OP_floor || x->op == OP_ceil || x->op == OP_round || x->op == OP_sign ||
                 (x->op == OP_cast && !dtype_is_float(x->inputs[0]->dtype));
    return whole ? node->inputs[0] : NULL;
}

// ---- casts

// Every value of `from` is one of `to`.
static bool holds_all(Dtype to, Dtype from) {
    if (from == DTYPE_BOOL) return true;
    if (from == DTYPE_I32) return to == DTYPE_I64 || to == DTYPE_F64;
    return from == DTYPE_F32 && to == DTYPE_F64;
}

static Node *cast_of_cast(Simplifier *simplifier, Node *node) {
    const Node *inner = node->inputs[0];
    if (inner->op != OP_cast || !holds_all(inner->dtype, inner->inputs[0]->dtype)) return NULL;
    return cast(simplifier->graph, inner->inputs[0], node->dtype);
}

static Node *cast_of_iota(Simplifier *simplifier, Node *node) {
    const Node *x = node->inputs[0];
    if (x->op != OP_iota || x->dtype != DTYPE_I32 || node->dtype != DTYPE_I64) return NULL;
    return iota(simplifier->graph, node->dtype, node->shape, node->rank, attribute_integer(x, 0));
}

// ---- choice and logic

static Node *where_of_known(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    Node *condition = node->inputs[0];
    if (!constant_below(condition)) return NULL;
    return is_number(condition, 0) ? node->inputs[2] : node->inputs[1];
}

static Node *where_of_same(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return node->inputs[1] == node->inputs[2] ? node->inputs[1] : NULL;
}

static Node *where_of_not(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *condition = node->inputs[0], *turned = NULL;
    if (condition->op == OP_logical_not) turned = condition->inputs[0];
    if (condition->op == OP_not_equal) turned = map2(graph, OP_equal, condition->inputs[0], condition->inputs[1]);
    return turned ? map3(graph, OP_where, turned, node->inputs[2], node->inputs[1]) : NULL;
}

static Node *where_of_where(Simplifier *simplifier, Node *node) {
    Node *condition = node->inputs[0], *yes = node->inputs[1], *no = node->inputs[2];
    bool in_yes = yes->op == OP_where && yes->inputs[0] == condition;
    bool in_no = no->op == OP_where && no->inputs[0] == condition;
    if (!in_yes && !in_no) return NULL;
    return map3(simplifier->graph, OP_where, condition, in_yes ? yes->inputs[1] : yes, in_no ? no->inputs[2] : no);
}

static Node *where_of_one_zero(Simplifier *simplifier, Node *node) {
    if (!is_number(node->inputs[1], 1) || !is_number(node->inputs[2], 0)) return NULL;
    return cast(simplifier->graph, node->inputs[0], node->dtype);
}

static Node *logic_of_known(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    double neutral = node->op == OP_logical_and;
    for (int i = 0; i < 2; i++) {
        if (is_number(node->inputs[i], neutral) || node->inputs[0] == node->inputs[1]) return node->inputs[1 - i];
        if (is_number(node->inputs[i], 1 - neutral)) return node->inputs[i];
    }
    return NULL;
}

static Node *not_twice(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    return node->inputs[0]->op == OP_logical_not ? node->inputs[0]->inputs[0] : NULL;
}

static Node *not_of_equal(Simplifier *simplifier, Node *node) {
    const Node *x = node->inputs[0];
    if (x->op != OP_equal && x->op != OP_not_equal) return NULL;
    return map2(simplifier->graph, x->op == OP_equal ? OP_not_equal : OP_equal, x->inputs[0], x->inputs[1]);
}

static Node *compare_with_itself(Simplifier *simplifier, Node *node) {
    if (node->inputs[0] != node->inputs[1] || dtype_is_float(node->inputs[0]->dtype)) return NULL;
    return constant_like(simplifier->graph, node, node->op == OP_equal || node->op == OP_less_equal);
}

// index < number, where every index is less than a bound that the number is not less than.
static Node *below_bound(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    const Extent *bound, *limit;
    Node *right = node->inputs[1];
    if (!is_integer(right) || !known_range(node->inputs[0], &bound)) return NULL;
    const Node *number = constant_below(right);
    while (right->op == OP_broadcast || right->op == OP_reshape) right = right->inputs[0];
    if (number) limit = extent_constant(graph->extents, number->scalar.integer);
    else if (right->op == OP_extent) limit = right->attributes[0];
    else return NULL;
    return extent_at_least(graph->extents, limit, bound) ? constant_like(graph, node, 1) : NULL;
}

static Node *at_least_zero(Simplifier *simplifier, Node *node) {
    const Extent *bound;
    const Node *number = constant_below(node->inputs[0]);
    bool holds = number && is_integer(number) && number->scalar.integer <= 0 && known_range(node->inputs[1], &bound);
    return holds ? constant_like(simplifier->graph, node, 1) : NULL;
}

// Nothing is less than the least, or greater than the greatest, and NaN is not compared.
static Node *beyond_infinity(Simplifier *simplifier, Node *node) {
    bool never = is_number(node->inputs[1], -INFINITY) || is_number(node->inputs[0], INFINITY);
    return never ? constant_like(simplifier->graph, node, 0) : NULL;
}

const RewriteRow exact_rewrites[] = {
    {"fold_numbers", ANY_MAP, fold_numbers, "the evaluator's value of an elementwise op on numbers"},
    {"where_of_known", OP_where, where_of_known, "a choice that is known takes one side"},
    {"where_of_same", OP_where, where_of_same, "both sides are the same"},
    {"where_of_not", OP_where, where_of_not, "where(not c, a, b) is where(c, b, a)"},
    {"where_of_where", OP_where, where_of_where, "the same condition again has the same answer"},
    {"where_of_one_zero", OP_where, where_of_one_zero, "where(c, 1, 0) is the bool as a number"},
    {"and_of_known", OP_logical_and, logic_of_known, "true and x, false and x, x and x"},
    {"or_of_known", OP_logical_or, logic_of_known, "true or x, false or x, x or x"},
    {"not_twice", OP_logical_not, not_twice, "not not x"},
    {"not_of_equal", OP_logical_not, not_of_equal,
     "NaN is unequal to all: not (a == b) is a != b; less has no such twin"},
    {"equal_to_itself", OP_equal, compare_with_itself, "integers and bools equal themselves"},
    {"unequal_to_itself", OP_not_equal, compare_with_itself, "integers and bools equal themselves"},
    {"less_than_itself", OP_less, compare_with_itself, "no integer is less than itself"},
    {"at_most_itself", OP_less_equal, compare_with_itself, "every integer is at most itself"},
    {"beyond_infinity", OP_less, beyond_infinity, "nothing is less than -inf or greater than inf"},
    {"below_bound", OP_less, below_bound, "an index is less than what it counts"},
    {"at_least_zero", OP_less_equal, at_least_zero, "an index is not negative"},
    {"times_one", OP_multiply, times_one, "x * 1"},
    {"over_one", OP_divide, times_one, "x / 1"},
    {"times_minus_one", OP_multiply, times_minus_one, "only the sign changes"},
    {"over_minus_one", OP_divide, times_minus_one, "only the sign changes"},
    {"plus_zero", OP_add, plus_zero, "x + (-0); x + 0 where x cannot be -0; integers + 0"},
    {"minus_zero", OP_subtract, minus_zero, "x - 0; (-0) - x is -x, and 0 - x for integers"},
    {"integer_zero", OP_multiply, integer_zero, "integers have no NaN: x * 0 is 0"},
    {"integer_difference", OP_subtract, integer_difference, "integers have no NaN: x - x is 0"},
    {"negate_twice", OP_negate, negate_twice, "-(-x)"},
    {"add_negated", OP_add, add_negated, "a + (-b) rounds as a - b does"},
    {"subtract_negated", OP_subtract, subtract_negated, "a - (-b) rounds as a + b does"},
    {"sum_of_choice", OP_add, choice_of_sums, "each side's sum is rounded as the sum is"},
    {"difference_of_choice", OP_subtract, choice_of_sums, "each side's difference is rounded as the difference is"},
    {"plus_difference", OP_add, plus_difference, "a + (0 - b) rounds as a - b does, for a other than -0"},
    {"negative_term", OP_add, negative_term, "a + (-2) * b rounds as a - 2 * b does"},
    {"negative_term_less", OP_subtract, negative_term, "a - (-2) * b rounds as a + 2 * b does"},
    {"product_of_negated", OP_multiply, product_of_negated, "a product's size does not depend on signs"},
    {"quotient_of_negated", OP_divide, product_of_negated, "a quotient's size does not depend on signs"},
    {"negated_product", OP_negate, negated_product, "-(x * 2) is x * (-2): a number takes the sign"},
    {"divide_by_power_of_two", OP_divide, divide_by_power_of_two,
     "the reciprocal is exact, so both round the same real"},
    {"maximum_of_same", OP_maximum, extremum_of_same, "the larger of x and x"},
    {"minimum_of_same", OP_minimum, extremum_of_same, "the smaller of x and x"},
    {"absolute_of_negated", OP_absolute, absolute_of_negated, "abs(-x) is abs(x)"},
    {"absolute_twice", OP_absolute, absolute_twice, "abs of what is not negative"},
    {"floor_of_whole", OP_floor, round_twice, "whole numbers stay"},
    {"ceil_of_whole", OP_ceil, round_twice, "whole numbers stay"},
    {"round_of_whole", OP_round, round_twice, "whole numbers stay"},
    {"cast_of_cast", OP_cast, cast_of_cast, "the first cast loses nothing, so the second sees the value itself"},
    {"cast_of_iota", OP_cast, cast_of_iota, "counting in wider integers"},
    {"iota_of_rank", OP_iota, iota_of_rank, "an iota is one line, repeated"},
    {"broadcast_of_broadcast", OP_broadcast, broadcast_of_broadcast, "repeating what is repeated"},
    {"broadcast_of_units", OP_broadcast, broadcast_of_units, "axes of extent 1 need not be there to be repeated"},
    {"broadcast_to_units", OP_broadcast, broadcast_to_units, "nothing is repeated: a reshape"},
    {"reshape_of_reshape", OP_reshape, reshape_of_reshape, "only the last shape counts"},
    {"reshape_of_number", OP_reshape, reshape_of_number, "one element in many axes is repeated once in each"},
    {"reshape_of_broadcast", OP_reshape, reshape_of_broadcast, "the axes of a repeated value, renamed"},
    {"reshape_of_map", OP_reshape, reshape_of_map, "elements that were reshaped for it have their old shape again"},
    {"transpose_of_transpose", OP_transpose, transpose_of_transpose, "permutations compose"},
    {"transpose_of_units", OP_transpose, transpose_of_units, "only axes of extent 1 move: a reshape"},
    {"transpose_of_broadcast", OP_transpose, transpose_of_broadcast, "permute first, repeat then"},
    {"contract_of_transpose", OP_contract, contract_of_transpose, "the labels say where the axes are"},
    {"slice_of_slice", OP_slice, slice_of_slice, "starts and steps compose"},
    {"slice_of_broadcast", OP_slice, slice_of_broadcast, "a part of a repeated value is a repeated part"},
    {"slice_of_pad", OP_slice, slice_of_pad, "what was padded is read back"},
    {"part_of_pad", OP_slice, part_of_pad, "zeros that are not read need not be there"},
    {"slice_of_window", OP_slice, slice_of_window, "windows at some places are windows over a part"},
    {"pad_of_zero", OP_pad, pad_of_zero, "zeros among zeros"},
    {"map_of_unit_reshapes", ANY_MAP, map_of_unit_reshapes, "the same elements in the same order"},
    {"map_of_repeated", ANY_MAP, map_of_repeated, "copies of one value give copies of one result"},
    {"sum_of_units", OP_reduce_sum, reduce_of_units, "one element: x + 0, for a sum starts at 0"},
    {"max_of_units", OP_reduce_max, reduce_of_units, "the largest of one element"},
    {"min_of_units", OP_reduce_min, reduce_of_units, "the smallest of one element"},
    {"argmax_of_unit", OP_reduce_argmax, argmax_of_unit, "the first of one element"},
    {"max_of_repeated", OP_reduce_max, extremum_of_repeated, "the largest of copies; a sum of them would round"},
    {"min_of_repeated", OP_reduce_min, extremum_of_repeated, "the smallest of copies"},
    {"sum_of_unit", OP_reduce_sum, sum_of_unit, "one term of each sum may differ from 0"},
    {"sum_of_class_mask", OP_reduce_sum, sum_of_class_mask,
     "iota meets a number once if it is in range: a sum of x and zeros"},
};
const int exact_rewrite_count = sizeof exact_rewrites / sizeof *exact_rewrites;
