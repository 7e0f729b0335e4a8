// Wrong derivatives must be noticed: each derivative of ops.def is made wrong in every way that this file knows, in a
// table of its own, and the check of the op against finite differences must fail. A mutant that is the same function
// for every input is no wrong derivative; it is told by the law that makes it so.
#include "gradient_check.h"
#include "grammar/ast.h"

#include <stdio.h>
#include <string.h>

static int failures, mutant_count, equivalent_count;

// ---- whether a change is noticed

typedef const char *CheckCase(Arena *arena, const GradientCase *test, int order, const RuleChange *change);

// Reverse and forward mode against differences, and both against each other.
static const struct {
    const char *name;
    CheckCase *check;
    bool of_texts, of_functions;   // which derivatives it can tell to be wrong
} ways[] = {
    {"reverse mode", gradient_check, true, true},
    {"forward mode", tangent_check, true, false},   // reads no adjoint: linear ops are their own tangents
    {"mixed modes", modes_check, false, true},      // both modes read the texts
};

static bool is_noticed_by(CheckCase *check, const GradientCase *cases, int count, Op op, const RuleChange *change) {
    for (int i = 0; i < count; i++) {
        if (!case_uses(&cases[i], op)) continue;
        Arena *arena = arena_create();
        bool noticed = check(arena, &cases[i], 1, change) != NULL;
        arena_destroy(arena);
        if (noticed) return true;
    }
    return false;
}

static bool is_noticed(CheckCase *check, Op op, const RuleChange *change) {
    return is_noticed_by(check, gradient_cases, gradient_case_count, op, change) ||
           is_noticed_by(check, edge_cases, edge_case_count, op, change);
}

static void require_noticed(Op op, bool is_text, const RuleChange *change, const char *what) {
    mutant_count++;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bool tells = is_text ? ways[i].of_texts : ways[i].of_functions;
        if (!tells || is_noticed(ways[i].check, op, change)) continue;
        printf("%s: not noticed in %s: %s\n", op_name(op), ways[i].name, what);
        failures++;
    }
}

// The control: the right derivative, put in by the same way, is not noticed.
static void require_unnoticed(Op op, const RuleChange *change) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!is_noticed(ways[i].check, op, change)) continue;
        printf("%s: the right derivative is called wrong in %s\n", op_name(op), ways[i].name);
        failures++;
    }
}

// ---- rules: texts

typedef struct {
    Op op;
    const char *text;
} Replacement;

static void replace_rule(RuleTable *rules, const void *context) {
    const Replacement *replacement = context;
    rules_override(rules, replacement->op, replacement->text);
}

typedef struct {
    Arena *arena;
    Op op;
    Expressions expressions;   // of the row; changed in place and put back
} Mutation;

static void try_text(const Mutation *mutation) {
    Text text = {.arena = mutation->arena};
    for (int i = 0; i < mutation->expressions.count; i++) {
        text_add(&text, i ? ", " : "");
        print_expression(&text, mutation->expressions.items[i]);
    }
    Replacement replacement = {mutation->op, text.bytes};
    require_noticed(mutation->op, true, &(RuleChange){replace_rule, &replacement}, text.bytes);
}

static void try_instead(const Mutation *mutation, Expression **slot, Expression *other) {
    Expression *original = *slot;
    *slot = other;
    try_text(mutation);
    *slot = original;
}

static bool is_comparison(Operator operator) {
    return operator>= OPERATOR_LESS && operator<= OPERATOR_NOT_EQUAL;
}

// x + y is y + x, x * y is y * x, and equality is symmetric: in IEEE arithmetic too, for every input.
static bool commutes(Operator operator) {
    return operator== OPERATOR_ADD || operator== OPERATOR_MULTIPLY || operator== OPERATOR_EQUAL || operator==
        OPERATOR_NOT_EQUAL;
}

static void mutate_binary(const Mutation *mutation, Expression **slot) {
    Expression *expression = *slot, swapped = *expression;
    swapped.left = expression->right;
    swapped.right = expression->left;
    if (commutes(expression->operator)) equivalent_count++;
    else try_instead(mutation, slot, &swapped);
    if (is_comparison(expression->operator)) return;   // its operands are no conditions
    try_instead(mutation, slot, expression->left);
    try_instead(mutation, slot, expression->right);
}

static bool calls(const Expression *expression, const char *name) {
    return strcmp(expression->left->name.text, name) == 0;
}

static void mutate_call(const Mutation *mutation, Expression **slot) {
    Expression *expression = *slot;
    const Argument *arguments = expression->arguments.items;
    if (calls(expression, "where")) {
        Argument exchanged[] = {arguments[0], arguments[2], arguments[1]};
        Expression swapped = *expression;
        swapped.arguments.items = exchanged;
        try_instead(mutation, slot, &swapped);
        try_instead(mutation, slot, arguments[1].value);
        try_instead(mutation, slot, arguments[2].value);
        return;
    }
    // Without these the shape or the dtype would be another: not a derivative of this op at all.
    if (calls(expression, "cast") || calls(expression, "expand") || calls(expression, "total")) return;
    if (expression->arguments.count == 1) try_instead(mutation, slot, arguments[0].value);
}

static void mutate(const Mutation *mutation, Expression **slot) {
    Expression *expression = *slot;
    if (expression->kind == EXPRESSION_UNARY) {
        try_instead(mutation, slot, expression->left);
        mutate(mutation, &expression->left);
    }
    if (expression->kind == EXPRESSION_BINARY) {
        mutate_binary(mutation, slot);
        mutate(mutation, &expression->left);
        mutate(mutation, &expression->right);
    }
    if (expression->kind != EXPRESSION_CALL) return;
    mutate_call(mutation, slot);
    for (int i = 0; i < expression->arguments.count; i++) mutate(mutation, &expression->arguments.items[i].value);
}

static Expression *parse_one(Arena *arena, const char *text) {
    Source *source = arena_new(arena, Source);
    *source = (Source){"mutant", text, (uint32_t)strlen(text)};
    return parse_expressions(arena, diagnostics_create(arena, 1), source).items[0];
}

// The whole derivative by one input: negated, doubled, dropped.
static void mutate_whole(const Mutation *mutation, Expression **slot) {
    Expression *negated = parse_one(mutation->arena, "-x"), *doubled = parse_one(mutation->arena, "2 * x");
    negated->left = doubled->right = *slot;
    try_instead(mutation, slot, negated);
    try_instead(mutation, slot, doubled);
    try_instead(mutation, slot, parse_one(mutation->arena, "none"));
}

static void test_rule(Op op, const char *text) {
    Arena *arena = arena_create();
    Source source = {"ops.def", text, (uint32_t)strlen(text)};
    Mutation mutation = {arena, op, parse_expressions(arena, diagnostics_create(arena, 1), &source)};
    Replacement same = {op, text};
    require_unnoticed(op, &(RuleChange){replace_rule, &same});
    int before = mutant_count;
    for (int i = 0; i < mutation.expressions.count; i++) {
        Expression **slot = &mutation.expressions.items[i];
        if ((*slot)->kind == EXPRESSION_NAME && strcmp((*slot)->name.text, "none") == 0) continue;
        mutate_whole(&mutation, slot);
        mutate(&mutation, slot);
    }
    if (mutant_count == before) {
        printf("%s: no mutant was made\n", op_name(op));
        failures++;
    }
    arena_destroy(arena);
}

// ---- adjoints: functions

static Adjoint *right[OP_COUNT];   // the true ones

static Adjoint negated, doubled, dropped, averaged, turned, backwards, shifted, stepped, misplaced, other_axes,
    taps_backwards, first_tap;

static Node *truly(Graph *graph, Node *node, int input, Node *cotangent) {
    return right[node->op](graph, node, input, cotangent);
}

static Node *negated(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *result = truly(graph, node, input, cotangent);
    return result ? map1(graph, OP_negate, result) : NULL;
}

static Node *doubled(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *result = truly(graph, node, input, cotangent);
    return result ? map2(graph, OP_add, result, result) : NULL;
}

static Node *dropped(Graph *graph, Node *node, int input, Node *cotangent) {
    (void)graph, (void)node, (void)input, (void)cotangent;
    return NULL;
}

// A mean where a sum belongs.
static Node *averaged(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *result = truly(graph, node, input, cotangent);
    return map2(graph, OP_divide, result, constant_like(graph, result, 3));
}

// Squares transposed.
static Node *turned(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *result = truly(graph, node, input, cotangent);
    bool square = result->rank == 2 && result->shape[0] == result->shape[1];
    return square ? transpose(graph, result, (int[]){1, 0}) : result;
}

// The elements from the last to the first.
static Node *backwards(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *result = truly(graph, node, input, cotangent);
    const Extent *count = element_count(graph, result);
    const Extent *start = extent_subtract(graph->extents, count, extent_constant(graph->extents, 1));
    Node *flat = slice(graph, reshape(graph, result, &count, 1), &start, (int64_t[]){-1}, &count);
    return reshape(graph, flat, (const Extent *const *)result->shape, result->rank);
}

static Node *strided(Graph *graph, const Node *node, int input, Node *cotangent, int shift, int64_t wrong_step) {
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < node->rank; i++) {
        starts[i] = extent_add(graph->extents, node->attributes[2 * i], extent_constant(graph->extents, shift));
        steps[i] = attribute_integer(node, 2 * i + 1);
        if (wrong_step && steps[i] < -1) steps[i] = wrong_step;
    }
    const Extent *const *shape = (const Extent *const *)node->inputs[input]->shape;
    Node *(*view)(Graph *, Node *, const Extent *const *, const int64_t *, const Extent *const *) =
        node->op == OP_slice ? pad : slice;
    return view(graph, cotangent, starts, steps, shape);
}

static Node *shifted(Graph *graph, Node *node, int input, Node *cotangent) {
    return strided(graph, node, input, cotangent, -1, 0);
}

static Node *stepped(Graph *graph, Node *node, int input, Node *cotangent) {
    return strided(graph, node, input, cotangent, 0, -1);
}

static Node *reversed(Graph *graph, Node *x, int axis) {
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        starts[i] = extent_subtract(graph->extents, x->shape[i], extent_constant(graph->extents, 1));
        if (i != axis) starts[i] = extent_constant(graph->extents, 0);
        steps[i] = i == axis ? -1 : 1;
    }
    return slice(graph, x, starts, steps, (const Extent *const *)x->shape);
}

// Of windows and their sums: the last tap first.
static Node *taps_backwards(Graph *graph, Node *node, int input, Node *cotangent) {
    int axis = attribute_integer(node, 0) + 1;
    if (node->op == OP_window) return truly(graph, node, input, reversed(graph, cotangent, axis));
    return reversed(graph, truly(graph, node, input, cotangent), axis);
}

// Of windows and their sums: only the first tap, or the first tap again and again.
static Node *first_tap(Graph *graph, Node *node, int input, Node *cotangent) {
    int axis = attribute_integer(node, 0) + 1;
    Node *whole = node->op == OP_window ? cotangent : truly(graph, node, input, cotangent);
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < whole->rank; i++) {
        starts[i] = extent_constant(graph->extents, 0);
        shape[i] = i == axis ? extent_constant(graph->extents, 1) : whole->shape[i];
        steps[i] = 1;
    }
    Node *first = slice(graph, whole, starts, steps, shape);
    Node *repeated = broadcast(graph, first, (const Extent *const *)whole->shape, whole->rank, NULL);
    return node->op == OP_window ? truly(graph, node, input, repeated) : repeated;
}

// The indices of the cases are below 3: 2 - index is another of them.
static Node *misplaced(Graph *graph, Node *node, int input, Node *cotangent) {
    Node *inputs[2] = {node->inputs[0], node->inputs[1]};
    int index = node->op == OP_gather;
    inputs[index] = map2(graph, OP_subtract, constant_like(graph, inputs[index], 2), inputs[index]);
    return truly(graph, rebuild(graph, node, inputs), input, cotangent);
}

// Axes, or a permutation, in place of those that belong there; the cases have equal extents.
static Node *other_axes(Graph *graph, Node *node, int input, Node *cotangent) {
    if (node->op == OP_transpose) {
        int axes[MAX_RANK];
        for (int i = 0; i < node->rank; i++) axes[i] = attribute_integer(node, i);
        return transpose(graph, cotangent, axes);
    }
    bool square = node->rank == 1 && node->inputs[0]->rank == 2 && node->op == OP_reduce_sum;
    if (square && node->inputs[0]->shape[0] == node->inputs[0]->shape[1])
        return broadcast(graph, cotangent, (const Extent *const *)node->inputs[0]->shape, 2, (int[]){1});
    bool spread = node->op == OP_broadcast && node->rank == 2 && node->inputs[0]->rank == 1;
    if (spread && node->shape[0] == node->shape[1]) return reduce(graph, OP_reduce_sum, cotangent, (int[]){0}, 1);
    return truly(graph, node, input, cotangent);
}

static const struct {
    Op op;
    Adjoint *wrong;
    const char *what;
} wrong_adjoints[] = {
    {OP_reduce_sum, other_axes, "repeated along another axis"},
    {OP_contract, turned, "transposed"},
    {OP_broadcast, averaged, "a mean for a sum"},
    {OP_broadcast, other_axes, "summed over another axis"},
    {OP_reshape, backwards, "the elements backwards"},
    {OP_transpose, other_axes, "the permutation for its inverse"},
    {OP_slice, shifted, "off by one"},
    {OP_slice, stepped, "another step"},
    {OP_pad, shifted, "off by one"},
    {OP_pad, stepped, "another step"},
    {OP_window, taps_backwards, "the last tap first"},
    {OP_window, first_tap, "one tap for all"},
    {OP_fold, taps_backwards, "the last tap first"},
    {OP_fold, first_tap, "one tap for all"},
    {OP_gather, misplaced, "other rows"},
    {OP_scatter_add, misplaced, "other rows"},
};

typedef struct {
    Op op;
    Adjoint *wrong;
} Exchange;

static void exchange_adjoint(RuleTable *rules, const void *context) {
    const Exchange *exchange = context;
    rules_override_adjoint(rules, exchange->op, exchange->wrong);
}

static void try_adjoint(Op op, Adjoint *wrong, const char *what) {
    Exchange exchange = {op, wrong};
    require_noticed(op, false, &(RuleChange){exchange_adjoint, &exchange}, what);
}

static void test_adjoint(Op op) {
    Exchange same = {op, right[op]};
    require_unnoticed(op, &(RuleChange){exchange_adjoint, &same});
    try_adjoint(op, negated, "negated");
    try_adjoint(op, doubled, "doubled");
    try_adjoint(op, dropped, "dropped");
    int own = 0;
    for (size_t i = 0; i < sizeof wrong_adjoints / sizeof *wrong_adjoints; i++) {
        if (wrong_adjoints[i].op != op) continue;
        try_adjoint(op, wrong_adjoints[i].wrong, wrong_adjoints[i].what);
        own++;
    }
    if (own) return;
    printf("%s: no mistake of its own is tried\n", op_name(op));
    failures++;
}

int main(void) {
    Arena *arena = arena_create();
    const RuleTable *rules = rules_create(arena);
    for (int op = 0; op < OP_COUNT; op++) right[op] = rules_adjoint(rules, (Op)op);
    for (int op = 0; op < OP_COUNT; op++) {
        if (right[op]) test_adjoint((Op)op);
        else if (rules_text(rules, (Op)op)) test_rule((Op)op, rules_text(rules, (Op)op));
    }
    arena_destroy(arena);
    printf("%d mutants, %d more are equivalent because their op commutes; %d not noticed\n", mutant_count,
           equivalent_count, failures);
    return failures != 0;
}
