// The derivatives of ops as ops.def writes them: expressions of the language, parsed by its parser and built with the
// algebra. A number takes the dtype and shape of what it meets.
#include "differentiate/algebra.h"
#include "differentiate/modes.h"
#include "grammar/ast.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct {
    DerivativeKind kind;
    const char *text;
    Adjoint *adjoint;
    bool parsed;
    Expressions expressions;   // one per input
} Row;

struct RuleTable {
    Arena *arena;
    Row rows[OP_COUNT];
};

#define RULE(text) {DERIVATIVE_RULE, text, NULL, false, {0}}
#define ADJOINT(function) {DERIVATIVE_ADJOINT, NULL, adjoint_##function, false, {0}}
#define ZERO {DERIVATIVE_ZERO, NULL, NULL, false, {0}}
#define EXPAND {DERIVATIVE_EXPAND, NULL, NULL, false, {0}}
static const Row rows[OP_COUNT] = {
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) [OP_##name] = derivative,
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) [OP_##name] = derivative,
#include "graph/ops.def"
};
#undef RULE
#undef ADJOINT
#undef ZERO
#undef EXPAND

RuleTable *rules_create(Arena *arena) {
    RuleTable *rules = arena_new(arena, RuleTable);
    rules->arena = arena;
    memcpy(rules->rows, rows, sizeof rows);
    return rules;
}

void rules_override(RuleTable *rules, Op op, const char *text) {
    rules->rows[op] = (Row){.kind = text ? DERIVATIVE_RULE : DERIVATIVE_MISSING, .text = text};
}

void rules_override_adjoint(RuleTable *rules, Op op, Adjoint *adjoint) {
    rules->rows[op] = (Row){.kind = adjoint ? DERIVATIVE_ADJOINT : DERIVATIVE_MISSING, .adjoint = adjoint};
}

const char *rules_text(const RuleTable *rules, Op op) {
    return rules->rows[op].text;
}

Adjoint *rules_adjoint(const RuleTable *rules, Op op) {
    return rules->rows[op].adjoint;
}

DerivativeKind rules_kind(const RuleTable *rules, Op op) {
    return rules->rows[op].kind;
}

// ---- building a rule's nodes

// What a part of a rule is: a node, a number, or `none` (neither).
typedef struct {
    Node *node;
    bool is_number;
    double number;
} Value;

typedef struct {
    Graph *graph;
    Node *node;     // which is differentiated
    int input;      // by which of its inputs
    bool forward;   // `ct` is not the node's cotangent but the input's tangent
    Node *cotangent;
} Application;

static Value build(const Application *application, const Expression *expression);

static Value of_node(Node *node) {
    return (Value){.node = node};
}

static Value of_number(double number) {
    return (Value){.is_number = true, .number = number};
}

static Value build_name(const Application *application, const char *name) {
    static const char *const inputs[MAX_ARITY] = {"x", "y", "z"};
    for (int i = 0; i < application->node->input_count && i < MAX_ARITY; i++)
        if (strcmp(name, inputs[i]) == 0) return of_node(application->node->inputs[i]);
    if (strcmp(name, "ct") == 0) return of_node(application->cotangent);
    if (strcmp(name, "result") == 0) return of_node(application->node);
    assert(strcmp(name, "none") == 0);
    return (Value){0};
}

static Node *as_node(const Application *application, Value value, Node *like) {
    return value.is_number ? constant_like(application->graph, like, value.number) : value.node;
}

static double fold(Operator operator, double a, double b) {
    switch (operator) {
    case OPERATOR_ADD: return a + b;
    case OPERATOR_SUBTRACT: return a - b;
    case OPERATOR_MULTIPLY: return a * b;
    case OPERATOR_DIVIDE: return a / b;
    default: assert(operator== OPERATOR_POWER); return pow(a, b);
    }
}

static Node *combine(Graph *graph, Operator operator, Node * x, Node *y) {
    switch (operator) {
    case OPERATOR_ADD: return algebra_add(graph, x, y);
    case OPERATOR_SUBTRACT: return algebra_subtract(graph, x, y);
    case OPERATOR_MULTIPLY: return algebra_multiply(graph, x, y);
    case OPERATOR_DIVIDE: return algebra_divide(graph, x, y);
    case OPERATOR_POWER: return algebra_pow(graph, x, y);
    case OPERATOR_FLOOR_DIVIDE: return map2(graph, OP_floor_divide, x, y);
    case OPERATOR_LESS: return algebra_compare(graph, OP_less, x, y);
    case OPERATOR_GREATER: return algebra_compare(graph, OP_less, y, x);
    case OPERATOR_LESS_EQUAL: return algebra_compare(graph, OP_less_equal, x, y);
    case OPERATOR_GREATER_EQUAL: return algebra_compare(graph, OP_less_equal, y, x);
    case OPERATOR_EQUAL: return algebra_compare(graph, OP_equal, x, y);
    default: assert(operator== OPERATOR_NOT_EQUAL); return algebra_compare(graph, OP_not_equal, x, y);
    }
}

static Value build_binary(const Application *application, const Expression *expression) {
    Value x = build(application, expression->left), y = build(application, expression->right);
    if (x.is_number && y.is_number) return of_number(fold(expression->operator, x.number, y.number));
    Node *left = as_node(application, x, y.node), *right = as_node(application, y, x.node);
    return of_node(combine(application->graph, expression->operator, left, right));
}

static Value build_unary(const Application *application, const Expression *expression) {
    Value x = build(application, expression->left);
    assert(expression->operator== OPERATOR_NEGATE);
    return x.is_number ? of_number(-x.number) : of_node(algebra_negate(application->graph, x.node));
}

// An argument of a function, which has the shape of `like`.
static Node *beside(const Application *application, Value value, const Node *like) {
    if (!value.is_number) return value.node;
    Node *number = constant_real(application->graph, application->cotangent->dtype, value.number);
    return broadcast(application->graph, number, (const Extent *const *)like->shape, like->rank, NULL);
}

static Value build_where(const Application *application, const Value *arguments) {
    Node *condition = arguments[0].node;
    Node *x = beside(application, arguments[1], condition), *y = beside(application, arguments[2], condition);
    return of_node(algebra_where(application->graph, condition, x, y));
}

static Value build_cast(const Application *application, const Value *arguments) {
    const Node *node = application->node;
    Dtype dtype = application->forward ? node->dtype : node->inputs[application->input]->dtype;
    return of_node(cast(application->graph, beside(application, arguments[0], application->node), dtype));
}

static Value build_expand(const Application *application, const Value *arguments) {
    Node *small = beside(application, arguments[0], application->node);
    return of_node(adjoint_reduce_sum(application->graph, application->node, 0, small));
}

static Value build_total(const Application *application, const Value *arguments) {
    const Node *node = application->node;
    int axes[MAX_RANK];
    for (int i = 0; i < node->attribute_count; i++) axes[i] = attribute_integer(node, i);
    Node *whole = beside(application, arguments[0], node->inputs[0]);
    return of_node(algebra_sum(application->graph, whole, axes, node->attribute_count));
}

static const struct {
    const char *name;
    int arity;
    Value (*build)(const Application *application, const Value *arguments);
} functions[] = {
    {"where", 3, build_where}, {"cast", 1, build_cast}, {"expand", 1, build_expand}, {"total", 1, build_total}};

static Node *build_map(const Application *application, const char *name, const Value *arguments, int count) {
    Graph *graph = application->graph;
    Node *nodes[MAX_ARITY] = {0};
    for (int i = 0; i < count; i++) nodes[i] = beside(application, arguments[i], application->node);
    for (int op = 0; op < OP_COUNT; op++) {
        if (op_class((Op)op) != CLASS_MAP || op_arity((Op)op) != count || strcmp(op_spelling((Op)op), name) != 0)
            continue;
        if (count == 1) return map1(graph, (Op)op, nodes[0]);
        if (count == 2) return map2(graph, (Op)op, nodes[0], nodes[1]);
        return map3(graph, (Op)op, nodes[0], nodes[1], nodes[2]);
    }
    assert(!"a rule calls an unknown function");
    return NULL;
}

static Value build_call(const Application *application, const Expression *expression) {
    Value arguments[MAX_ARITY] = {0};
    const char *name = expression->left->name.text;
    int count = expression->arguments.count;
    assert(count <= MAX_ARITY);
    for (int i = 0; i < count; i++) arguments[i] = build(application, expression->arguments.items[i].value);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0 && functions[i].arity == count)
            return functions[i].build(application, arguments);
    return of_node(build_map(application, name, arguments, count));
}

static Value build(const Application *application, const Expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_NAME: return build_name(application, expression->name.text);
    case EXPRESSION_NUMBER: return of_number(expression->number.real);
    case EXPRESSION_UNARY: return build_unary(application, expression);
    case EXPRESSION_BINARY: return build_binary(application, expression);
    default: assert(expression->kind == EXPRESSION_CALL); return build_call(application, expression);
    }
}

static void parse(RuleTable *rules, Op op) {
    Row *row = &rules->rows[op];
    if (row->parsed) return;
    Source *source = arena_new(rules->arena, Source);
    *source = (Source){"compiler/graph/ops.def", row->text, (uint32_t)strlen(row->text)};
    row->expressions = parse_expressions(rules->arena, diagnostics_create(rules->arena, 1), source);
    row->parsed = true;
    assert(row->expressions.count == op_arity(op));
}

static Node *apply_text(RuleTable *rules, const Application *application) {
    Node *node = application->node;
    parse(rules, node->op);
    Value value = build(application, rules->rows[node->op].expressions.items[application->input]);
    if (!value.is_number) return value.node;
    return constant_like(application->graph, application->forward ? node : node->inputs[application->input],
                         value.number);
}

Node *rules_apply(RuleTable *rules, Graph *graph, Node *node, int input, Node *cotangent) {
    const Row *row = &rules->rows[node->op];
    if (row->kind == DERIVATIVE_ADJOINT) return row->adjoint(graph, node, input, cotangent);
    if (row->kind != DERIVATIVE_RULE) return NULL;
    Application application = {graph, node, input, false, cotangent};
    return apply_text(rules, &application);
}

Node *rules_push(RuleTable *rules, Graph *graph, Node *node, int input, Node *tangent) {
    if (rules->rows[node->op].kind != DERIVATIVE_RULE) return NULL;
    Application application = {graph, node, input, true, tangent};
    return apply_text(rules, &application);
}
