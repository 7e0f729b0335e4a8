// Gradients against finite differences.
#include "gradient_check.h"

#include "evaluate/evaluate.h"

#include <math.h>
#include <string.h>

enum { MAX_VARIABLES = 64 };

typedef struct {
    Arena *arena;
    Graph *graph;
    uint64_t random;
    int64_t dim;   // the value of N
    int count, target_count;
    Node *variables[MAX_VARIABLES];
    Node *targets[MAX_CASE_INPUTS];
    Tensor values[MAX_VARIABLES];
} Check;

static double next_random(Check *check) {
    check->random = check->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(check->random >> 11) * 0x1p-53;
}

static int64_t tensor_elements(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

static double number_at(const Tensor *tensor, int64_t at) {
    return tensor->dtype == DTYPE_F32 ? (double)((const float *)tensor->data)[at] : ((const double *)tensor->data)[at];
}

static void fill(Check *check, const CaseInput *input, const Tensor *tensor) {
    bool open = input->low == 0 && input->high == 0;
    double low = open ? -1.5 : input->low, high = open ? 1.5 : input->high;
    for (int64_t i = 0; i < tensor_elements(tensor); i++) {
        double value = input->values ? input->values[i] : low + (high - low) * next_random(check);
        if (input->role == INPUT_FIXED && !input->values) value = round(64 * value) / 64;   // exact in sums of f32
        if (input->role == INPUT_INDEX) ((int32_t *)tensor->data)[i] = (int32_t)floor(value);
        else if (tensor->dtype == DTYPE_F32) ((float *)tensor->data)[i] = (float)value;
        else ((double *)tensor->data)[i] = value;
    }
}

static Node *add_variable(Check *check, const CaseInput *input, Dtype dtype, const Extent *const *shape,
                          const char *name) {
    int index = check->count++;
    Tensor *tensor = &check->values[index];
    *tensor = (Tensor){.dtype = dtype, .rank = input->rank};
    for (int i = 0; i < input->rank; i++) tensor->shape[i] = extent_evaluate(shape[i], &check->dim, NULL);
    tensor->data = arena_allocate(check->arena, 8 * (size_t)(tensor_elements(tensor) + 1));
    fill(check, input, tensor);
    Variable variable = {.kind = VARIABLE_INPUT, .index = index, .name = name, .requires_grad = true};
    return check->variables[index] = variable_make(check->graph, &variable, tensor->dtype, shape, input->rank);
}

static Node *add_input(Check *check, const CaseInput *input, const char *name) {
    const Extent *shape[CASE_RANK];
    for (int i = 0; i < input->rank; i++) {
        if (input->shape[i] < 0) check->dim = -input->shape[i];
        shape[i] = input->shape[i] < 0 ? extent_dim(check->graph->extents, 0, "N")
                                       : extent_constant(check->graph->extents, input->shape[i]);
    }
    return add_variable(check, input, input->role == INPUT_INDEX ? DTYPE_I32 : DTYPE_F64, shape, name);
}

// The sum of node * weights, which are a new input.
static Node *weighted_sum(Check *check, Node *node) {
    CaseInput weights = {.rank = node->rank, .low = 0.5, .high = 1.5, .role = INPUT_FIXED};
    int axes[MAX_RANK];
    for (int i = 0; i < node->rank; i++) axes[i] = i;
    Node *factors = add_variable(check, &weights, node->dtype, (const Extent *const *)node->shape, "w");
    Node *product = map2(check->graph, OP_multiply, node, factors);
    return reduce(check->graph, OP_reduce_sum, product, axes, node->rank);
}

static Node *build_scalar(Check *check, const GradientCase *test) {
    static const char *const names[MAX_CASE_INPUTS] = {"x", "y", "z", "u"};
    Graph *graph = check->graph;
    for (int i = 0; i < test->input_count; i++) {
        Node *variable = add_input(check, &test->inputs[i], names[i]);
        if (test->inputs[i].role == INPUT_TARGET) check->targets[check->target_count++] = variable;
    }
    Node *value = test->build(graph, check->variables);
    if (test->orders == 1) return weighted_sum(check, value);
    Node *square = map2(graph, OP_multiply, value, value);
    Node *half = map2(graph, OP_multiply, constant_like(graph, value, 0.5), square);
    return weighted_sum(check, map2(graph, OP_add, value, half));
}

static const char *run(Check *check, const Function *function, Tensor *results) {
    Environment environment = {.dims = &check->dim, .seed = 7};
    return evaluate_function(check->arena, function, check->values, &environment, results);
}

// The derivative of the function's first result by one element of an argument.
static const char *difference(Check *check, const Function *function, double *element, double *derivative) {
    enum { STEPS = 4 };
    static const double steps[STEPS] = {-2, -1, 1, 2}, weights[STEPS] = {1, -8, 8, -1};
    Function value = *function;
    value.result_count = 1;
    double start = *element, size = 0x1p-10;   // exact beside numbers of few bits
    *derivative = 0;
    for (int i = 0; i < STEPS; i++) {
        Tensor result;
        *element = start + steps[i] * size;
        const char *wrong = run(check, &value, &result);
        if (wrong) return wrong;
        *derivative += weights[i] * number_at(&result, 0) / (12 * size);
    }
    *element = start;
    return NULL;
}

static const char *compare(Check *check, const Function *function) {
    Tensor results[1 + MAX_CASE_INPUTS];
    const char *wrong = run(check, function, results);
    for (int t = 0; !wrong && t < check->target_count; t++) {
        int index = check->targets[t]->variable->index;
        const Tensor *argument = &check->values[index], *gradient = &results[1 + t];
        for (int64_t i = 0; !wrong && i < tensor_elements(argument); i++) {
            double expected, found = number_at(gradient, i);
            wrong = difference(check, function, (double *)argument->data + i, &expected);
            if (wrong || fabs(found - expected) <= 1e-7 * fmax(1, fabs(expected))) continue;
            wrong = arena_print(check->arena, "by %s[%lld]: %.12g instead of %.12g", check->targets[t]->name,
                                (long long)i, found, expected);
        }
    }
    return wrong;
}

// ---- forward mode

// A tangent for each target: a new input.
static Node **add_directions(Check *check) {
    Node **directions = arena_array(check->arena, Node *, check->target_count);
    for (int i = 0; i < check->target_count; i++) {
        const Node *target = check->targets[i];
        CaseInput input = {.rank = target->rank, .low = -1, .high = 1, .role = INPUT_FIXED};
        directions[i] = add_variable(check, &input, target->dtype, (const Extent *const *)target->shape, "u");
    }
    return directions;
}

static Node *slope_along(Check *check, Node *scalar, Node **directions) {
    return result_of(check->graph, tangent(check->graph, scalar, check->targets, directions, check->target_count), 0);
}

// The same by reverse mode: the gradients' products with the directions.
static Node *pairing(Check *check, Node *scalar, Node **directions) {
    Graph *graph = check->graph;
    Node *request = gradient(graph, scalar, NULL, check->targets, check->target_count, true), *sum = NULL;
    int axes[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++) axes[i] = i;
    for (int i = 0; i < check->target_count; i++) {
        Node *product = map2(graph, OP_multiply, result_of(graph, request, i), directions[i]);
        Node *term = reduce(graph, OP_reduce_sum, product, axes, product->rank);
        sum = sum ? map2(graph, OP_add, sum, term) : term;
    }
    return sum;
}

// The tangent along one element after the other, against differences.
static const char *compare_tangents(Check *check, const Function *function, Node *const *directions) {
    Tensor results[2];
    const char *wrong = NULL;
    for (int t = 0; t < check->target_count; t++) {
        const Tensor *direction = &check->values[directions[t]->variable->index];
        memset(direction->data, 0, 8 * (size_t)tensor_elements(direction));
    }
    for (int t = 0; t < check->target_count; t++) {
        const Tensor *argument = &check->values[check->targets[t]->variable->index];
        double *direction = check->values[directions[t]->variable->index].data;
        for (int64_t i = 0; !wrong && i < tensor_elements(argument); i++) {
            double expected = 0, found = 0;
            direction[i] = 1;
            wrong = run(check, function, results);
            if (!wrong) found = number_at(&results[1], 0);
            direction[i] = 0;
            if (!wrong) wrong = difference(check, function, (double *)argument->data + i, &expected);
            if (wrong || fabs(found - expected) <= 1e-7 * fmax(1, fabs(expected))) continue;
            wrong = arena_print(check->arena, "along %s[%lld]: %.12g instead of %.12g", check->targets[t]->name,
                                (long long)i, found, expected);
        }
    }
    return wrong;
}

static Function function_of(Check *check, Node *scalar, Node *request) {
    Function function = {.name = "check", .argument_count = check->count, .arguments = check->variables};
    function.result_count = 1 + check->target_count;
    function.results = arena_array(check->arena, Named, function.result_count);
    function.results[0] = (Named){"value", scalar};
    for (int i = 0; i < check->target_count; i++)
        function.results[1 + i] = (Named){"gradient", result_of(check->graph, request, i)};
    return function;
}

static bool differentiate_check(const Check *check, const RuleChange *change, Diagnostics *diagnostics,
                                Function *function) {
    RuleTable *rules = rules_create(check->arena);
    if (change) change->change(rules, change->context);
    return differentiate_with(check->graph, diagnostics, function, rules);
}

// The scalar, or the weighted sum of all that its derivatives of this order are.
static Node *scalar_of_order(Check *check, const GradientCase *test, int order) {
    Node *scalar = build_scalar(check, test);
    for (int level = 0; level < order; level++) {
        Node *request = gradient(check->graph, scalar, NULL, check->targets, check->target_count, true), *next = NULL;
        for (int i = 0; i < check->target_count; i++) {
            Node *sum = weighted_sum(check, result_of(check->graph, request, i));
            next = next ? map2(check->graph, OP_add, next, sum) : sum;
        }
        scalar = next;
    }
    return scalar;
}

static const char *finish_check(const Check *check, const RuleChange *change, Function *function) {
    Diagnostics *diagnostics = diagnostics_create(check->arena, 0);
    if (!differentiate_check(check, change, diagnostics, function)) return diagnostics_text(diagnostics, false);
    return verify_function(check->graph, function);
}

const char *gradient_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change) {
    Check check = {.arena = arena, .graph = graph_create(arena), .random = 1};
    Node *scalar = scalar_of_order(&check, test, order - 1);
    Node *request = gradient(check.graph, scalar, NULL, check.targets, check.target_count, true);
    Function function = function_of(&check, scalar, request);
    const char *wrong = finish_check(&check, change, &function);
    return wrong ? wrong : compare(&check, &function);
}

const char *tangent_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change) {
    Check check = {.arena = arena, .graph = graph_create(arena), .random = 1};
    Node *scalar = scalar_of_order(&check, test, order - 1), **directions = add_directions(&check);
    Named results[] = {{"value", scalar}, {"tangent", slope_along(&check, scalar, directions)}};
    Function function = {"check", check.count, check.variables, 2, results};
    const char *wrong = finish_check(&check, change, &function);
    return wrong ? wrong : compare_tangents(&check, &function, directions);
}

const char *modes_check(Arena *arena, const GradientCase *test, int order, const RuleChange *change) {
    enum { MOST_ORDERS = 3 };
    Check check = {.arena = arena, .graph = graph_create(arena), .random = 1};
    Named results[1 << MOST_ORDERS] = {{"value", build_scalar(&check, test)}};
    int count = 1;
    for (int level = 0; level < order; level++, count *= 2) {
        Node **directions = add_directions(&check);
        for (int i = 0; i < count; i++) {
            Node *value = results[i].node;
            results[i] = (Named){"forward", slope_along(&check, value, directions)};
            results[count + i] = (Named){"reverse", pairing(&check, value, directions)};
        }
    }
    Function function = {"check", check.count, check.variables, count, results};
    Tensor found[1 << MOST_ORDERS];
    const char *wrong = finish_check(&check, change, &function);
    if (!wrong) wrong = run(&check, &function, found);
    for (int i = 1; !wrong && i < count; i++) {
        double first = number_at(&found[0], 0), other = number_at(&found[i], 0);
        if (fabs(first - other) <= 1e-9 * fmax(1, fabs(first))) continue;
        wrong = arena_print(arena, "the modes differ: %.12g all forward, but %.12g with reverse mode in places %x",
                            first, other, (unsigned)i);
    }
    return wrong;
}

static bool function_uses(Graph *graph, const Function *function, Op op) {
    for (int r = 0; r < function->result_count; r++) {
        NodeArray nodes = reachable(graph, &function->results[r].node, 1);
        for (int i = 0; i < nodes.count; i++) {
            const Node *node = nodes.items[i];
            if (node->op == op || (node->body && function_uses(graph, node->body, op))) return true;
        }
    }
    return false;
}

bool case_uses(const GradientCase *test, Op op) {
    Arena *arena = arena_create();
    Check check = {.arena = arena, .graph = graph_create(arena), .random = 1};
    Node *variables[MAX_CASE_INPUTS];
    for (int i = 0; i < test->input_count; i++) variables[i] = add_input(&check, &test->inputs[i], "x");
    Named result = {"value", test->build(check.graph, variables)};
    Function function = {.result_count = 1, .results = &result};
    bool uses = function_uses(check.graph, &function, op);
    arena_destroy(arena);
    return uses;
}
