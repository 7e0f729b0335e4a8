// Rewrites of products, quotients and sums of them: numbers meet, like terms are one, and what terms have in common is
// applied once. They make of what the rules of derivatives give what a textbook writes, with less to compute.
#include "simplify/softmax.h"

#include <math.h>

// How deep numbers are looked for in products of one shape; what is repeated, and so smaller, is looked into further.
enum { DEPTH = 8, PRODUCT_DEPTH = 2, MOST_FACTORS = 8, FACTOR_DEPTH = 16 };

static bool number_below(Node *node, double *number) {
    const Node *constant = constant_below(node);
    if (!constant || !dtype_is_float(node->dtype)) return false;
    *number = constant->scalar.real;
    return true;
}

static bool is_usable(double number) {
    return isfinite(number) && number != 0;
}

// ---- numbers

// `node` times the number without one operation more for each element: in a number that it has already, or once for
// what is repeated. NULL: there is no such place.
static Node *absorb(Graph *graph, double number, Node *node, int depth, int below) {
    double own;
    if (depth-- <= 0 || constant_below(node)) return NULL;
    if (node->op == OP_broadcast) {
        Node *x = node->inputs[0], *inner = absorb(graph, number, x, below - 1, below - 1);
        if (!inner) inner = map2(graph, OP_multiply, constant_like(graph, x, number), x);
        return rebuild(graph, node, &inner);
    }
    if (node->op == OP_where) {
        Node *sides[2] = {node->inputs[1], node->inputs[2]};
        bool first_zero = is_number(sides[0], 0);
        if (first_zero == is_number(sides[1], 0)) return NULL;
        Node *side = number_below(sides[first_zero], &own) ? constant_like(graph, node, own * number)
                                                           : absorb(graph, number, sides[first_zero], depth, below);
        if (!side) return NULL;
        sides[first_zero] = side;
        return map3(graph, OP_where, node->inputs[0], sides[0], sides[1]);
    }
    if (node->op != OP_multiply && node->op != OP_divide) return NULL;
    if (number_below(node->inputs[0], &own)) {
        if (!is_usable(own * number)) return NULL;
        return map2(graph, node->op, constant_like(graph, node, own * number), node->inputs[1]);
    }
    for (int i = 0; i < (node->op == OP_multiply ? 2 : 1); i++) {
        Node *inputs[2] = {node->inputs[0], node->inputs[1]};
        if ((inputs[i] = absorb(graph, number, inputs[i], depth, below)))
            return map2(graph, node->op, inputs[0], inputs[1]);
    }
    return NULL;
}

static Node *scaled(Graph *graph, double number, Node *x) {
    if (number == 1) return x;
    Node *absorbed = absorb(graph, number, x, PRODUCT_DEPTH, DEPTH);
    return absorbed ? absorbed : map2(graph, OP_multiply, constant_like(graph, x, number), x);
}

// number * rest, of a number that stands in a product or quotient, in what is repeated, or in the side of a choice
// that is not zero. rest NULL: the node is the number.
typedef struct {
    double number;
    Node *rest;
} Scaled;

static bool split_number(Graph *graph, Node *node, Scaled *result, int depth, int below);

static bool split_factor(Graph *graph, Node *node, Scaled *result, int depth, int below) {
    for (int i = 0; i < 2; i++) {
        Node *inputs[2] = {node->inputs[0], node->inputs[1]};
        if (!split_number(graph, inputs[i], result, depth, below)) continue;
        bool divides = node->op == OP_divide;
        if (divides && i == 1) result->number = 1 / result->number;
        if (result->rest) {
            inputs[i] = result->rest;
            result->rest = map2(graph, node->op, inputs[0], inputs[1]);
        } else if (divides && i == 0) result->rest = map2(graph, OP_divide, constant_like(graph, node, 1), inputs[1]);
        else result->rest = inputs[1 - i];
        return is_usable(result->number);
    }
    return false;
}

static bool split_choice(Graph *graph, Node *node, Scaled *result, int depth, int below) {
    Node *sides[2] = {node->inputs[1], node->inputs[2]};
    bool first_zero = is_number(sides[0], 0), second_zero = is_number(sides[1], 0);
    if (first_zero == second_zero || !split_number(graph, sides[first_zero], result, depth, below)) return false;
    sides[first_zero] = result->rest ? result->rest : constant_like(graph, node, 1);
    result->rest = map3(graph, OP_where, node->inputs[0], sides[0], sides[1]);
    return true;
}

static bool split_number(Graph *graph, Node *node, Scaled *result, int depth, int below) {
    *result = (Scaled){1, NULL};
    if (number_below(node, &result->number)) return is_usable(result->number);
    if (!dtype_is_float(node->dtype) || depth-- <= 0) return false;
    switch (node->op) {
    case OP_negate:
        if (!split_number(graph, node->inputs[0], result, depth, below)) *result = (Scaled){1, node->inputs[0]};
        result->number = -result->number;
        return true;
    case OP_multiply:
    case OP_divide: return split_factor(graph, node, result, depth, below);
    case OP_where: return split_choice(graph, node, result, depth, below);
    case OP_broadcast:
        if (!split_number(graph, node->inputs[0], result, below - 1, below - 1)) return false;
        if (result->rest) result->rest = rebuild(graph, node, &result->rest);
        return true;
    default: return false;
    }
}

// A product or quotient of two sides that have a number each: there is one.
Node *numbers_meet(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Scaled left, right;
    if (node->inputs[0] == node->inputs[1]) return NULL;   // a square shares more as it is
    if (!split_number(graph, node->inputs[0], &left, PRODUCT_DEPTH, DEPTH) ||
        !split_number(graph, node->inputs[1], &right, PRODUCT_DEPTH, DEPTH))
        return NULL;
    if (!left.rest && !right.rest) return NULL;   // folded
    bool divides = node->op == OP_divide;
    double number = divides ? left.number / right.number : left.number * right.number;
    if (!is_usable(number)) return NULL;
    if (!left.rest && divides) return map2(graph, OP_divide, constant_like(graph, node, number), right.rest);
    Node *rest = !left.rest ? right.rest : !right.rest ? left.rest : map2(graph, node->op, left.rest, right.rest);
    return scaled(graph, number, rest);
}

// c * (r * x), with r repeated -> (c * r) * x
Node *number_into_rows(Simplifier *simplifier, Node *node) {
    double number;
    for (int i = 0; i < 2; i++)
        if (number_below(node->inputs[i], &number) && is_usable(number))
            return absorb(simplifier->graph, number, node->inputs[1 - i], PRODUCT_DEPTH, DEPTH);
    return NULL;
}

// c * sum(d * x) -> sum((c * d) * x): such is the derivative by a bias, and its summand that by what it is added to.
Node *number_into_sum(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Scaled term;
    double number;
    for (int i = 0; i < 2; i++) {
        Node *sum = node->inputs[1 - i];
        if (!number_below(node->inputs[i], &number) || sum->op != OP_reduce_sum) continue;
        if (!split_number(graph, sum->inputs[0], &term, PRODUCT_DEPTH, DEPTH) || !term.rest) return NULL;
        if (!is_usable(number * term.number)) return NULL;
        Node *x = scaled(graph, number * term.number, term.rest);
        return reduce_over(graph, OP_reduce_sum, x, reduced_axes(sum));
    }
    return NULL;
}

// ---- terms

// A term as a number and factors, in the order in which they stand (that of ids would make bits depend on what else a
// graph has, and when it was made); those of a divisor apart.
typedef struct {
    double number;
    int count, divisor_count;
    Node *factors[MOST_FACTORS], *divisors[MOST_FACTORS];
} Factors;

static bool insert(Node **list, int *count, Node *node) {
    if (*count == MOST_FACTORS) return false;
    list[(*count)++] = node;
    return true;
}

static bool add_factors(Graph *graph, Factors *term, Node *node, bool below, int depth) {
    double number;
    Scaled inner;
    if (number_below(node, &number)) {
        term->number = below ? term->number / number : term->number * number;
        return is_usable(term->number);
    }
    if (!depth--) return false;
    switch (node->op) {
    case OP_negate: term->number = -term->number; return add_factors(graph, term, node->inputs[0], below, depth);
    case OP_multiply:
        return add_factors(graph, term, node->inputs[0], below, depth) &&
               add_factors(graph, term, node->inputs[1], below, depth);
    case OP_divide:
        return add_factors(graph, term, node->inputs[0], below, depth) &&
               add_factors(graph, term, node->inputs[1], !below, depth);
    default:
        if ((node->op == OP_where || node->op == OP_broadcast) &&
            split_number(graph, node, &inner, PRODUCT_DEPTH, DEPTH)) {
            term->number = below ? term->number / inner.number : term->number * inner.number;
            if (!is_usable(term->number)) return false;
            if (inner.rest) node = inner.rest;
        }
        return below ? insert(term->divisors, &term->divisor_count, node) : insert(term->factors, &term->count, node);
    }
}

static bool read_term(Graph *graph, Node *node, Factors *term) {
    *term = (Factors){.number = 1};
    return dtype_is_float(node->dtype) && add_factors(graph, term, node, false, FACTOR_DEPTH) &&
           term->count + term->divisor_count > 0;
}

// In any order.
static bool same_nodes(Node *const *a, int a_count, Node *const *b, int b_count) {
    bool taken[MOST_FACTORS] = {false};
    if (a_count != b_count) return false;
    for (int i = 0; i < a_count; i++) {
        int at = 0;
        while (at < b_count && (taken[at] || a[i] != b[at])) at++;
        if (at == b_count) return false;
        taken[at] = true;
    }
    return true;
}

// The node without the numbers and signs that are outermost.
static Node *without_number(Node *node) {
    double number;
    while (node->op == OP_negate || (node->op == OP_multiply && number_below(node->inputs[0], &number)))
        node = node->op == OP_negate ? node->inputs[0] : node->inputs[1];
    return node;
}

// a + b or a - b, of which one is a multiple of the other; NULL: they are not.
static Node *joined_terms(Graph *graph, Op op, Node *a, Node *b) {
    Factors left, right, core;
    if (!read_term(graph, a, &left) || !read_term(graph, b, &right)) return NULL;
    if (!same_nodes(left.factors, left.count, right.factors, right.count)) return NULL;
    if (!same_nodes(left.divisors, left.divisor_count, right.divisors, right.divisor_count)) return NULL;
    double number = op == OP_add ? left.number + right.number : left.number - right.number;
    Node *rest = without_number(a);
    if (!is_usable(number) || !read_term(graph, rest, &core) || !is_usable(number / core.number)) return NULL;
    return scaled(graph, number / core.number, rest);
}

// 2 * x + 3 * x -> 5 * x, also where the one is the last term of a sum, and the other is added to it.
Node *like_terms(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *left = node->inputs[0], *right = node->inputs[1];
    if (!dtype_is_float(node->dtype)) return NULL;
    Node *joined = joined_terms(graph, node->op, left, right);
    if (joined || (left->op != OP_add && left->op != OP_subtract)) return joined;
    bool minus = left->op == OP_subtract;   // a - b + c is a - (b - c)
    Op inner = (node->op == OP_subtract) == minus ? OP_add : OP_subtract;
    if ((joined = joined_terms(graph, inner, left->inputs[1], right)))
        return map2(graph, left->op, left->inputs[0], joined);
    joined = joined_terms(graph, node->op, left->inputs[0], right);
    return joined ? map2(graph, left->op, joined, left->inputs[1]) : NULL;
}

// The node without one factor f; NULL: it has none.
static Node *without_factor(Graph *graph, Node *node, Node *f, int depth) {
    if (!depth--) return NULL;
    for (int i = 0; i < (node->op == OP_multiply ? 2 : node->op == OP_divide || node->op == OP_negate); i++) {
        Node *inputs[2] = {node->inputs[0], node->op == OP_negate ? NULL : node->inputs[1]};
        if (node->op == OP_multiply && inputs[i] == f) return inputs[1 - i];
        if (inputs[i] == f) continue;   // a factor alone is 1, which is not a shorter one
        if (!(inputs[i] = without_factor(graph, inputs[i], f, depth))) continue;
        return map_any(graph, node->op, node->dtype, inputs, node->op == OP_negate ? 1 : 2);
    }
    return NULL;
}

// x * a * c + y * c -> (x * a + y) * c: with one product less, where a side without c is a product still.
Node *common_factor(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Factors left, right;
    Node *sides[2] = {node->inputs[0], node->inputs[1]}, *common = NULL;
    if (!read_term(graph, sides[0], &left) || !read_term(graph, sides[1], &right)) return NULL;
    if (left.count + right.count < 5) return NULL;
    for (int i = 0; i < left.count; i++) {
        Node *f = left.factors[i], *shorter[2];
        for (int k = 0; k < 2; k++) shorter[k] = without_factor(graph, sides[k], f, DEPTH);
        if (!shorter[0] || !shorter[1]) continue;
        for (int k = 0; k < 2; k++) sides[k] = shorter[k];
        common = common ? map2(graph, OP_multiply, common, f) : f;
    }
    return common ? map2(graph, OP_multiply, common, map2(graph, node->op, sides[0], sides[1])) : NULL;
}

// ---- divisors

Node *without_divisor(Simplifier *simplifier, Node *node, Node *divisor, int depth) {
    Graph *graph = simplifier->graph;
    double number;
    if (!depth-- || number_below(node, &number)) return NULL;
    unsigned axes;
    if (node->op == OP_divide && node->inputs[1] == divisor)
        return match_softmax(simplifier, node, &axes) ? NULL : node->inputs[0];
    if (node->op == OP_broadcast) {   // the divisor of what is repeated must be what the divisor repeats
        axes = all_axes(node) & ~varying_axes(node);
        Node *below = axes && !(varying_axes(divisor) & axes) ? row_value(simplifier, divisor, axes) : NULL;
        Node *row = below ? row_value(simplifier, node, axes) : NULL;
        Node *rest = row && row != node ? without_divisor(simplifier, row, below, depth) : NULL;
        return rest ? to_rows(simplifier, rest, axes, node) : NULL;
    }
    int count = node->op == OP_multiply ? 2 : node->op == OP_divide || node->op == OP_negate;
    for (int i = 0; i < count; i++) {
        Node *inputs[2] = {node->inputs[0], node->op == OP_negate ? NULL : node->inputs[1]};
        if (!(inputs[i] = without_divisor(simplifier, inputs[i], divisor, depth))) continue;
        return map_any(graph, node->op, node->dtype, inputs, node->op == OP_negate ? 1 : 2);
    }
    return NULL;
}

// A divisor of the node that is the same along some of its axes; NULL: there is none.
static Node *repeated_divisor(Node *node, int depth) {
    Node *found = NULL;
    if (!depth--) return NULL;
    if (node->op == OP_divide) {
        Node *divisor = node->inputs[1];
        if (divisor->op == OP_broadcast && !constant_below(divisor)) return divisor;
        return repeated_divisor(node->inputs[0], depth);
    }
    if (node->op == OP_negate) return repeated_divisor(node->inputs[0], depth);
    if (node->op != OP_multiply) return NULL;
    for (int i = 0; i < 2 && !found; i++) found = repeated_divisor(node->inputs[i], depth);
    return found;
}

// x / r + y / r -> (x + y) / r, with r the same for a row.
Node *common_divisor(Simplifier *simplifier, Node *node) {
    if (!dtype_is_float(node->dtype)) return NULL;
    for (int i = 0; i < 2; i++) {
        Node *divisor = repeated_divisor(node->inputs[i], DEPTH), *sides[2];
        if (!divisor) continue;
        for (int k = 0; k < 2; k++) sides[k] = without_divisor(simplifier, node->inputs[k], divisor, DEPTH);
        if (!sides[0] || !sides[1]) continue;
        return map2(simplifier->graph, OP_divide, map2(simplifier->graph, node->op, sides[0], sides[1]), divisor);
    }
    return NULL;
}

// ---- shares: what is divided by a number of elements

// node * *over, of a node that is divided by the extent *over (NULL: by any, which is then set); NULL: it is not.
static Node *without_share(Graph *graph, Node *node, Node **over, int depth) {
    Node *inputs[3] = {NULL};
    if (!depth--) return NULL;
    for (int i = 0; i < node->input_count && i < 3; i++) inputs[i] = node->inputs[i];
    if (node->op == OP_divide) {
        Node *count = inputs[1];
        while (count->op == OP_broadcast) count = count->inputs[0];
        if (count->op == OP_extent && (!*over || *over == count)) {
            *over = count;
            return inputs[0];
        }
        inputs[0] = without_share(graph, inputs[0], over, depth);
        return inputs[0] ? map2(graph, OP_divide, inputs[0], inputs[1]) : NULL;
    }
    if (node->op == OP_broadcast) {
        inputs[0] = without_share(graph, inputs[0], over, depth);
        return inputs[0] ? rebuild(graph, node, inputs) : NULL;
    }
    if (node->op == OP_negate) {
        inputs[0] = without_share(graph, inputs[0], over, depth);
        return inputs[0] ? map1(graph, OP_negate, inputs[0]) : NULL;
    }
    bool choice = node->op == OP_where && (is_number(inputs[1], 0) || is_number(inputs[2], 0));
    int first = choice ? 1 + is_number(inputs[1], 0) : 0, end = choice ? first + 1 : node->op == OP_multiply ? 2 : 0;
    for (int i = first; i < end; i++) {
        Node *side = without_share(graph, inputs[i], over, depth);
        if (!side) continue;
        inputs[i] = side;
        return map_any(graph, node->op, node->dtype, inputs, node->input_count);
    }
    return NULL;
}

// x / N + y / N -> (x + y) * (1 / N), wherever in the products x and y it stands.
Node *common_share(Simplifier *simplifier, Node *node) {
    Graph *graph = simplifier->graph;
    Node *over = NULL;
    if (!dtype_is_float(node->dtype)) return NULL;
    Node *left = without_share(graph, node->inputs[0], &over, DEPTH);
    Node *right = left ? without_share(graph, node->inputs[1], &over, DEPTH) : NULL;
    if (!right || (constant_below(left) && constant_below(right))) return NULL;
    Node *share = map2(graph, OP_divide, constant_like(graph, over, 1), over);
    share = broadcast(graph, share, (const Extent *const *)node->shape, node->rank, NULL);
    return map2(graph, OP_multiply, map2(graph, node->op, left, right), share);
}
