// Rewrites of sigmoid, log1p and expm1. sigmoid(x) and softplus(x) = log(1 + exp(x)) are brought into one family,
//   softplus(x) = -log(sigmoid(-x)),    log(1 - sigmoid(x)) = log(sigmoid(-x)),
// which stays as it is until it is differentiated, since the derivative of log(sigmoid(x)) is 1 - sigmoid(x) and nothing
// can overflow in it. The value is computed as min(x, 0) - log1p(exp(-abs(x))), put in its place afterwards.
#include "simplify/rules.h"

#include <math.h>

static Node *unary(Simplifier *simplifier, Op op, Node *x) {
    return map1(simplifier->graph, op, x);
}

// The other operand, when one of node's two is the number; NULL: neither is.
static Node *beside_number(Node *node, double number) {
    if (is_number(node->inputs[0], number)) return node->inputs[1];
    return is_number(node->inputs[1], number) ? node->inputs[0] : NULL;
}

// x in 1 + x or x + 1
static Node *above_one(Node *node) {
    return node->op == OP_add ? beside_number(node, 1) : NULL;
}

// x in 1 - x
static Node *below_one(Node *node) {
    return node->op == OP_subtract && is_number(node->inputs[0], 1) ? node->inputs[1] : NULL;
}

Node *log_of_one_plus(Simplifier *simplifier, Node *node) {
    Node *x = above_one(node->inputs[0]);
    return x ? unary(simplifier, OP_log1p, x) : NULL;
}

// log(1 - x) is log1p(-x), but log(1 - sigmoid(x)) is log(sigmoid(-x)).
Node *log_of_one_minus(Simplifier *simplifier, Node *node) {
    Node *x = below_one(node->inputs[0]);
    if (!x) return NULL;
    if (x->op != OP_sigmoid) return unary(simplifier, OP_log1p, unary(simplifier, OP_negate, x));
    return unary(simplifier, OP_log, unary(simplifier, OP_sigmoid, unary(simplifier, OP_negate, x->inputs[0])));
}

Node *exp_minus_one(Simplifier *simplifier, Node *node) {
    Node *x = node->inputs[0];
    if (node->op == OP_subtract && !is_number(node->inputs[1], 1)) return NULL;
    if (node->op == OP_add) x = beside_number(node, -1);
    return x && x->op == OP_exp ? unary(simplifier, OP_expm1, x->inputs[0]) : NULL;
}

// The derivative of expm1 asks for it.
Node *expm1_plus_one(Simplifier *simplifier, Node *node) {
    Node *x = above_one(node);
    return x && x->op == OP_expm1 ? unary(simplifier, OP_exp, x->inputs[0]) : NULL;
}

// 1 / (1 + exp(-x)) and exp(x) / (1 + exp(x))
Node *sigmoid_by_hand(Simplifier *simplifier, Node *node) {
    Node *exponential = above_one(node->inputs[1]);
    if (!exponential || exponential->op != OP_exp) return NULL;
    Node *x = exponential->inputs[0];
    if (node->inputs[0] == exponential) return unary(simplifier, OP_sigmoid, x);
    if (!is_number(node->inputs[0], 1)) return NULL;
    return unary(simplifier, OP_sigmoid, x->op == OP_negate ? x->inputs[0] : unary(simplifier, OP_negate, x));
}

// -x where a minus shows: a negation, or a product with a negative number. Else NULL.
static Node *without_minus(Simplifier *simplifier, Node *x) {
    if (x->op == OP_negate) return x->inputs[0];
    for (int i = 0; i < 2 && x->op == OP_multiply; i++) {
        const Node *number = constant_below(x->inputs[i]);
        if (!number || !(number->scalar.real < 0)) continue;
        Node *turned = constant_like(simplifier->graph, x, -number->scalar.real);
        return map2(simplifier->graph, OP_multiply, turned, x->inputs[1 - i]);
    }
    return NULL;
}

// 1 - sigmoid(-x). That of x itself stays: it would cost another exponential.
Node *one_minus_sigmoid(Simplifier *simplifier, Node *node) {
    Node *x = below_one(node), *turned = NULL;
    if (x && x->op == OP_sigmoid) turned = without_minus(simplifier, x->inputs[0]);
    return turned ? unary(simplifier, OP_sigmoid, turned) : NULL;
}

// As far as its structure shows: -abs(x), and -x where abs(x) is x; min(x, 0), where(0 < x, -x, x). What is
// written so was made stable by hand.
static bool never_positive(const Node *x) {
    if (x->op == OP_negate) return is_own_absolute(x->inputs[0]);
    if (x->op == OP_minimum) return is_constant(x->inputs[0], 0) || is_constant(x->inputs[1], 0);
    if (x->op != OP_where || x->inputs[0]->op != OP_less || !is_constant(x->inputs[0]->inputs[0], 0)) return false;
    const Node *compared = x->inputs[0]->inputs[1], *yes = x->inputs[1], *no = x->inputs[2];
    return yes->op == OP_negate && yes->inputs[0] == compared && no == compared;
}

// log1p(exp(x)) -> -log(sigmoid(-x))
Node *softplus(Simplifier *simplifier, Node *node) {
    Node *exponential = node->inputs[0];
    if (exponential->op != OP_exp || never_positive(exponential->inputs[0])) return NULL;
    Node *turned = unary(simplifier, OP_sigmoid, unary(simplifier, OP_negate, exponential->inputs[0]));
    return unary(simplifier, OP_negate, unary(simplifier, OP_log, turned));
}

Node *log_of_sigmoid(Simplifier *simplifier, Node *node) {
    if (node->inputs[0]->op != OP_sigmoid || simplifier->before_gradient) return NULL;
    Graph *graph = simplifier->graph;
    Node *x = node->inputs[0]->inputs[0];
    Node *rest = unary(simplifier, OP_exp, unary(simplifier, OP_negate, unary(simplifier, OP_absolute, x)));
    Node *least = map2(graph, OP_minimum, x, constant_like(graph, x, 0));
    return map2(graph, OP_subtract, least, unary(simplifier, OP_log1p, rest));
}

// log1p(-sigmoid(x)) is log(1 - sigmoid(x)).
Node *log1p_of_sigmoid(Simplifier *simplifier, Node *node) {
    Node *x = node->inputs[0]->op == OP_negate ? node->inputs[0]->inputs[0] : NULL;
    if (!x || x->op != OP_sigmoid) return NULL;
    return unary(simplifier, OP_log, unary(simplifier, OP_sigmoid, unary(simplifier, OP_negate, x->inputs[0])));
}

// ---- what was made stable by hand

static bool is_absolute_of(const Node *node, const Node *x) {
    if (node->op != OP_absolute) return false;
    const Node *inner = node->inputs[0];
    return inner == x || (inner->op == OP_negate && inner->inputs[0] == x) ||
           (x->op == OP_negate && x->inputs[0] == inner);
}

// log1p(exp(-abs(x)))
static bool is_rest_of(const Node *node, const Node *x) {
    if (node->op != OP_log1p || node->inputs[0]->op != OP_exp) return false;
    const Node *negative = node->inputs[0]->inputs[0];
    return negative->op == OP_negate && is_absolute_of(negative->inputs[0], x);
}

// x in max(x, 0), or as relu has it
static Node *positive_part(Node *node) {
    if (node->op == OP_maximum) return beside_number(node, 0);
    if (node->op != OP_where) return NULL;
    const Node *condition = node->inputs[0];
    if (condition->op == OP_less_equal && is_number(condition->inputs[1], 0) && is_number(node->inputs[1], 0))
        return condition->inputs[0] == node->inputs[2] ? node->inputs[2] : NULL;
    if (condition->op == OP_less && is_number(condition->inputs[0], 0) && is_number(node->inputs[2], 0))
        return condition->inputs[1] == node->inputs[1] ? node->inputs[1] : NULL;
    return NULL;
}

// min(x, 0) - log1p(exp(-abs(x))) -> log(sigmoid(x)), which turns into that again after it is differentiated
Node *log_sigmoid_by_hand(Simplifier *simplifier, Node *node) {
    Node *least = node->inputs[0], *x = least->op == OP_minimum ? beside_number(least, 0) : NULL;
    if (!x || !simplifier->before_gradient || !is_rest_of(node->inputs[1], x)) return NULL;
    return unary(simplifier, OP_log, unary(simplifier, OP_sigmoid, x));
}

// max(x, 0) + log1p(exp(-abs(x))) -> -log(sigmoid(-x)), which turns into that again after it is differentiated. Where
// something stands in between, it is put behind the sum.
Node *softplus_by_hand(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    for (int i = 0; i < 2; i++) {
        Node *first = node->inputs[i], *rest = node->inputs[1 - i], *x = positive_part(first);
        if (x && is_rest_of(rest, x) && simplifier->before_gradient) {
            Node *turned = unary(simplifier, OP_sigmoid, unary(simplifier, OP_negate, x));
            return unary(simplifier, OP_negate, unary(simplifier, OP_log, turned));
        }
        for (int k = 0; (first->op == OP_add || first->op == OP_subtract) && k < (first->op == OP_add ? 2 : 1); k++) {
            Node *inner = positive_part(first->inputs[k]);
            if (!inner || !is_rest_of(rest, inner)) continue;
            Node *whole = map2(graph, OP_add, first->inputs[k], rest);
            return map2(graph, first->op, whole, first->inputs[1 - k]);
        }
    }
    return NULL;
}

// -(min(-x, 0) - log1p(exp(-abs(x)))) -> max(x, 0) + log1p(exp(-abs(x)))
Node *softplus_form(Simplifier *simplifier, Node *node) {
    Node *difference = node->inputs[0], *least = difference->inputs[0];
    if (difference->op != OP_subtract || least->op != OP_minimum || simplifier->before_gradient) return NULL;
    Node *x = beside_number(least, 0);
    if (!x || !is_rest_of(difference->inputs[1], x)) return NULL;
    Node *turned = unary(simplifier, OP_negate, x);
    Node *most = map2(simplifier->graph, OP_maximum, turned, constant_like(simplifier->graph, x, 0));
    return map2(simplifier->graph, OP_add, most, difference->inputs[1]);
}

// ---- thresholds

// number * x, where the number may be 1 or -1.
static Node *multiple_of(Node *node, double *number) {
    *number = 1;
    for (;;) {
        const Node *constant = NULL;
        int at = 0;
        if (node->op == OP_multiply || node->op == OP_divide)
            for (at = node->op == OP_divide; at < 2 && !(constant = constant_below(node->inputs[at])); at++) {
            }
        if (node->op != OP_negate && !constant) return node;
        double factor = constant ? constant->scalar.real : -1;
        *number = node->op == OP_divide ? *number / factor : *number * factor;
        node = node->inputs[constant ? 1 - at : 0];
    }
}

// x in log1p(exp(-abs(x))); the number before it may have another sign.
static Node *rest_argument(const Node *node) {
    if (node->op != OP_log1p || node->inputs[0]->op != OP_exp) return NULL;
    const Node *exponent = node->inputs[0]->inputs[0];
    return exponent->op == OP_negate && exponent->inputs[0]->op == OP_absolute ? exponent->inputs[0]->inputs[0] : NULL;
}

// `node` as -log(sigmoid(-x)), or in the form max(x, 0) + log1p(exp(-abs(x))) that it has afterwards: number * x.
static Node *softplus_argument(Node *node, double *outer, double *inner) {
    Node *soft = multiple_of(node, outer);
    if (soft->op == OP_log && soft->inputs[0]->op == OP_sigmoid) {
        Node *x = multiple_of(soft->inputs[0]->inputs[0], inner);
        *outer = -*outer;
        *inner = -*inner;
        return x;
    }
    Node *most = soft->op == OP_add && soft->inputs[0]->op == OP_maximum ? beside_number(soft->inputs[0], 0) : NULL;
    Node *rest = most ? rest_argument(soft->inputs[1]) : NULL;
    double other;
    bool same = rest && multiple_of(most, inner) == multiple_of(rest, &other) && fabs(*inner) == fabs(other);
    return same ? multiple_of(most, inner) : NULL;
}

// where(c < b * x, x, softplus(b * x) / b) -> softplus(b * x) / b, where c is so large that rounding gives x and 1 for
// the derivative
Node *softplus_threshold(Simplifier *simplifier, Node *node) {
    (void)simplifier;
    const Node *condition = node->inputs[0];
    if (condition->op != OP_less || !dtype_is_float(node->dtype)) return NULL;
    const Node *limit = constant_below(condition->inputs[0]);
    if (!limit || limit->scalar.real < (node->dtype == DTYPE_F32 ? 18 : 38)) return NULL;
    double outer, inner, compared, linear;
    Node *x = softplus_argument(node->inputs[2], &outer, &inner);
    if (!x || multiple_of(condition->inputs[1], &compared) != x || multiple_of(node->inputs[1], &linear) != x)
        return NULL;
    bool fits = inner == compared && fabs(outer * inner / linear - 1) < 1e-6;
    return fits ? node->inputs[2] : NULL;
}

// y in 1 - y
static bool is_rest_of_one(Node *node, const Node *y) {
    return below_one(node) == y;
}

// y (1 - p) - (1 - y) p -> y - p: what the derivative of the cross entropy of two classes has
Node *two_classes(Simplifier *simplifier, Node *node) {
    const Node *left = node->inputs[0], *right = node->inputs[1];
    if (left->op != OP_multiply || right->op != OP_multiply || !dtype_is_float(node->dtype)) return NULL;
    for (int i = 0; i < 4; i++) {
        Node *a = left->inputs[i & 1], *b = left->inputs[1 - (i & 1)];
        Node *c = right->inputs[i >> 1], *d = right->inputs[1 - (i >> 1)];
        if (is_rest_of_one(b, d) && is_rest_of_one(c, a)) return map2(simplifier->graph, OP_subtract, a, d);
    }
    return NULL;
}

// ---- quotients

// x * divisor, where x has terms that are divided by it; NULL: it has none.
static Node *times_divisor(Simplifier *simplifier, Node *x, Node *divisor, int depth) {
    Graph *graph = simplifier->graph;
    if (!depth--) return NULL;
    if (x->op == OP_divide && x->inputs[1] == divisor) return x->inputs[0];
    if (x->op == OP_negate) {
        Node *inner = times_divisor(simplifier, x->inputs[0], divisor, depth);
        return inner ? map1(graph, OP_negate, inner) : NULL;
    }
    if (x->op == OP_where) {
        bool first = is_constant(x->inputs[2], 0);
        if (!first && !is_constant(x->inputs[1], 0)) return NULL;
        Node *sides[2] = {x->inputs[1], x->inputs[2]};
        sides[!first] = times_divisor(simplifier, sides[!first], divisor, depth);
        return sides[!first] ? map3(graph, OP_where, x->inputs[0], sides[0], sides[1]) : NULL;
    }
    if (x->op != OP_add && x->op != OP_subtract) return NULL;
    Node *left = times_divisor(simplifier, x->inputs[0], divisor, depth);
    Node *right = times_divisor(simplifier, x->inputs[1], divisor, depth);
    if (!left && !right) return NULL;
    if (!left) left = map2(graph, OP_multiply, x->inputs[0], divisor);
    if (!right) right = map2(graph, OP_multiply, x->inputs[1], divisor);
    return map2(graph, x->op, left, right);
}

// (c / sigmoid(x)) * sigmoid(x): the derivative of log(sigmoid(x)) asks for it, and sigmoid may be 0.
Node *sigmoid_times_quotient(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 8 };
    for (int i = 0; i < 2; i++) {
        Node *sigmoid = node->inputs[i];
        Node *result =
            sigmoid->op == OP_sigmoid ? times_divisor(simplifier, node->inputs[1 - i], sigmoid, DEPTH) : NULL;
        if (result) return result;
    }
    return NULL;
}

// x / factor, where every term of x has the factor; NULL: one has not.
static Node *without(Graph *graph, Node *x, const Node *factor, int depth) {
    Node *inputs[3] = {NULL};
    if (!depth--) return NULL;
    for (int i = 0; i < x->input_count && i < 3; i++) inputs[i] = x->inputs[i];
    if (x->op == OP_multiply)
        for (int i = 0; i < 2; i++)
            if (inputs[i] == factor) return inputs[1 - i];
    bool choice = x->op == OP_where && (is_constant(inputs[1], 0) || is_constant(inputs[2], 0));
    bool sum = x->op == OP_add || x->op == OP_subtract;
    int first = choice && is_constant(inputs[1], 0) ? 2 : choice, end = first + 1;
    if (sum || x->op == OP_multiply) end = 2;
    if (!choice && !sum && x->op != OP_multiply && x->op != OP_negate) return NULL;
    for (int i = first; i < end; i++) {
        Node *rest = without(graph, inputs[i], factor, depth);
        if (rest) inputs[i] = rest;
        if (rest && x->op == OP_multiply) return map2(graph, OP_multiply, inputs[0], inputs[1]);
        if (!rest && x->op != OP_multiply) return NULL;
    }
    return x->op == OP_multiply ? NULL : map_any(graph, x->op, x->dtype, inputs, x->input_count);
}

// (c * sigmoid(x)) / sigmoid(x): what forward mode makes of log(sigmoid(x)).
Node *sigmoid_over_itself(Simplifier *simplifier, Node *node) {
    enum { DEPTH = 8 };
    Node *sigmoid = node->inputs[1];
    return sigmoid->op == OP_sigmoid ? without(simplifier->graph, node->inputs[0], sigmoid, DEPTH) : NULL;
}

// c * sigmoid(x) - c * y -> (sigmoid(x) - y) * c, also the other way round.
Node *sigmoid_less_target(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    const Node *left = node->inputs[0], *right = node->inputs[1];
    if (left->op != OP_multiply || right->op != OP_multiply) return NULL;
    for (int i = 0; i < 4; i++) {
        Node *a = left->inputs[1 - (i & 1)], *b = right->inputs[1 - (i >> 1)], *scale = left->inputs[i & 1];
        if ((a->op != OP_sigmoid && b->op != OP_sigmoid) || scale != right->inputs[i >> 1]) continue;
        return map2(graph, OP_multiply, map2(graph, OP_subtract, a, b), scale);
    }
    return NULL;
}
