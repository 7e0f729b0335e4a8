// Rewrites of sigmoid, log1p and expm1. sigmoid(x) and softplus(x) = log(1 + exp(x)) are brought into one family,
//   softplus(x) = -log(sigmoid(-x)),    log(1 - sigmoid(x)) = log(sigmoid(-x)),
// which stays as it is until it is differentiated, since the derivative of log(sigmoid(x)) is 1 - sigmoid(x) and nothing
// can overflow in it. The value is computed as min(x, 0) - log1p(exp(-abs(x))), put in its place afterwards.
#include "simplify/rules.h"

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

// 1 - sigmoid(-x). That of x itself stays: it would cost another exponential.
Node *one_minus_sigmoid(Simplifier *simplifier, Node *node) {
    Node *x = below_one(node);
    bool fits = x && x->op == OP_sigmoid && x->inputs[0]->op == OP_negate;
    return fits ? unary(simplifier, OP_sigmoid, x->inputs[0]->inputs[0]) : NULL;
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

// x * divisor, where x has terms that are divided by it; NULL: it has none.
static Node *times_divisor(Simplifier *simplifier, Node *x, Node *divisor, int depth) {
    Graph *graph = simplifier->graph;
    if (!depth--) return NULL;
    if (x->op == OP_divide && x->inputs[1] == divisor) return x->inputs[0];
    if (x->op == OP_negate) {
        Node *inner = times_divisor(simplifier, x->inputs[0], divisor, depth);
        return inner ? map1(graph, OP_negate, inner) : NULL;
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

// Whether b is a, or for an addition its opposite.
static bool is_opposite(Node *a, Node *b, bool addition) {
    if (!addition) return a == b;
    const Node *number = strip_broadcast(a);
    return number->op == OP_constant && dtype_is_float(number->dtype) && is_constant(b, -number->scalar.real);
}

// c * sigmoid(x) - c * y -> (sigmoid(x) - y) * c, also where it is written as a sum, or the other way round.
Node *sigmoid_less_target(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *left = node->inputs[0], *right = node->inputs[1];
    if (left->op != OP_multiply || right->op != OP_multiply) return NULL;
    for (int i = 0; i < 4; i++) {
        Node *scale = left->inputs[i & 1], *other = right->inputs[i >> 1];
        Node *a = left->inputs[1 - (i & 1)], *b = right->inputs[1 - (i >> 1)];
        if ((a->op != OP_sigmoid && b->op != OP_sigmoid) || !is_opposite(scale, other, node->op == OP_add)) continue;
        bool first = a->op == OP_sigmoid;
        if (node->op == OP_add)
            return map2(graph, OP_multiply, map2(graph, OP_subtract, first ? a : b, first ? b : a),
                        first ? scale : other);
        return map2(graph, OP_multiply, map2(graph, OP_subtract, a, b), scale);
    }
    return NULL;
}
