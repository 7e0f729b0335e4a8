// The simplifier: every exact row keeps every bit, every stabilising row keeps the real number, and both come to an
// end.
#include "differentiate/differentiate.h"
#include "graph/rewrite.h"
#include "random_program.h"
#include "simplify/simplify.h"
#include "simplify_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define FAIL(...)            \
    do {                     \
        printf(__VA_ARGS__); \
        printf("\n");        \
        failures++;          \
    } while (0)

static const RewriteRow *find_row(const RewriteRow *rows, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

// ---- evaluation

static Function function_of(const Inputs *in, Node *result) {
    Named *named = arena_new(in->arena, Named);
    *named = (Named){"result", result};
    Function function = {.name = "example", .argument_count = in->argument_count, .result_count = 1, .results = named};
    function.arguments = arena_copy(in->arena, in->arguments, sizeof in->arguments);
    return function;
}

static bool evaluate(const Inputs *in, const Function *function, const Tensor *arguments, Tensor *result) {
    const int64_t dims[] = {ROWS};
    Environment environment = {.dims = dims};
    const char *fault = verify_function(in->graph, function);
    if (!fault) fault = evaluate_function(in->arena, function, arguments, &environment, result);
    if (fault) FAIL("%s", fault);
    return !fault;
}

static int64_t count_of(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

static double element(const Tensor *tensor, int64_t at) {
    switch (tensor->dtype) {
    case DTYPE_F32: return ((const float *)tensor->data)[at];
    case DTYPE_F64: return ((const double *)tensor->data)[at];
    case DTYPE_I32: return ((const int32_t *)tensor->data)[at];
    case DTYPE_I64: return (double)((const int64_t *)tensor->data)[at];
    default: return ((const uint8_t *)tensor->data)[at];
    }
}

// The first element whose bits differ, or -1; a NaN counts as one value.
static int64_t find_difference(const Tensor *a, const Tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return 0;
    size_t size = (size_t)dtype_size(a->dtype);
    for (int64_t at = 0; at < count_of(a); at++) {
        const char *left = a->data, *right = b->data;
        bool both_nan = dtype_is_float(a->dtype) && isnan(element(a, at)) && isnan(element(b, at));
        if (!both_nan && memcmp(left + (size_t)at * size, right + (size_t)at * size, size) != 0) return at;
    }
    return -1;
}

// ---- rows, one by one

// Applies the row alone; if it does not fit, since it is for what other rows leave, all exact rows. False: it was not
// applied.
static bool simplify_exactly(Graph *graph, Function *function, const char *name) {
    const RewriteRow *row = find_row(exact_rewrites, exact_rewrite_count, name),
                     **all = arena_array(graph->arena, const RewriteRow *, exact_rewrite_count);
    int fired = 0, *counts = arena_array(graph->arena, int, exact_rewrite_count);
    Function copy = *function;
    if (!simplify_by(graph, &copy, &row, 1, &fired)) FAIL("%s: comes to no end", name);
    for (int i = 0; i < exact_rewrite_count; i++) all[i] = &exact_rewrites[i];
    if (!fired && !simplify_by(graph, function, all, exact_rewrite_count, counts)) FAIL("%s: comes to no end", name);
    if (fired) *function = copy;
    return fired || counts[row - exact_rewrites];
}

static void check_exact(const Example *example, Dtype dtype) {
    Arena *arena = arena_create();
    Inputs in = inputs_create(arena, dtype);
    Function before = function_of(&in, example->build(&in)), after = before;
    if (!simplify_exactly(in.graph, &after, example->row))
        FAIL("%s: example %s did not fire", example->row, example->name);
    for (int special = 0; special < 2; special++) {
        Tensor *arguments = inputs_fill(&in, special), old, new;
        if (!evaluate(&in, &before, arguments, &old) || !evaluate(&in, &after, arguments, &new)) break;
        int64_t at = find_difference(&old, &new);
        if (at >= 0)
            FAIL("%s, %s: element %lld was %.9g and is %.9g", example->row, dtype_name(dtype), (long long)at,
                 element(&old, at), element(&new, at));
    }
    arena_destroy(arena);
}

static void derive(Graph *graph, Function *function);

// That the row fires, and the value stays as it was but for rounding. `differentiated`: of the gradient by x.
static void check_rounding(const Example *example, bool differentiated) {
    Arena *arena = arena_create();
    Inputs in = inputs_create(arena, DTYPE_F64);
    int count, *fired;
    const RewriteRow *const *rows = all_rewrites(arena, &count);
    fired = arena_array(arena, int, count);
    Node *value = example->build(&in);
    if (differentiated) value = result_of(in.graph, gradient(in.graph, sum(&in, value, -1), NULL, &in.x, 1, false), 0);
    Function before = function_of(&in, value), after = before;
    if (!simplify_by(in.graph, &after, rows, count, fired)) FAIL("%s: comes to no end", example->row);
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i]->name, example->row) == 0 && !fired[i])
            FAIL("%s: example %s did not fire", example->row, example->name);
    if (differentiated) {
        derive(in.graph, &before);
        derive(in.graph, &after);
    }
    Tensor *arguments = inputs_fill(&in, false), old, new;
    bool done = evaluate(&in, &before, arguments, &old) && evaluate(&in, &after, arguments, &new);
    for (int64_t at = 0; done && at < count_of(&old); at++) {
        double a = element(&old, at), b = element(&new, at);
        if (fabs(a - b) <= 1e-12 * (1 + fabs(a))) continue;
        FAIL("%s: element %lld was %.17g and is %.17g", example->row, (long long)at, a, b);
        break;
    }
    arena_destroy(arena);
}

static void check_rows(void) {
    for (int i = 0; i < exact_example_count; i++) {
        if (!find_row(exact_rewrites, exact_rewrite_count, exact_examples[i].row)) {
            FAIL("there is no exact row %s", exact_examples[i].row);
            continue;
        }
        check_exact(&exact_examples[i], DTYPE_F32);
        check_exact(&exact_examples[i], DTYPE_F64);
    }
    for (int i = 0; i < stabilising_example_count; i++) {
        if (!find_row(stabilising_rewrites, stabilising_rewrite_count, stabilising_examples[i].row))
            FAIL("there is no stabilising row %s", stabilising_examples[i].row);
        else check_rounding(&stabilising_examples[i], false);
    }
    for (int i = 0; i < differentiated_example_count; i++) check_rounding(&differentiated_examples[i], true);
    for (int i = 0; i < shortening_example_count; i++) {
        if (!find_row(shortening_rewrites, shortening_rewrite_count, shortening_examples[i].row))
            FAIL("there is no shortening row %s", shortening_examples[i].row);
        else check_rounding(&shortening_examples[i], false);
    }
}

static void require_examples(const RewriteRow *rows, int count, const Example *examples, int example_count) {
    for (int i = 0; i < count; i++) {
        bool found = false;
        for (int k = 0; k < differentiated_example_count; k++)
            found = found || strcmp(differentiated_examples[k].row, rows[i].name) == 0;
        for (int k = 0; k < example_count; k++) found = found || strcmp(examples[k].row, rows[i].name) == 0;
        if (!found) FAIL("the row %s has no example", rows[i].name);
    }
}

// ---- what looks like a rewrite and is none

static void require_untouched(const char *name, const Inputs *in, Node *node) {
    int count;
    const RewriteRow *const *rows = all_rewrites(in->arena, &count);
    Function function = function_of(in, node);
    simplify_by(in->graph, &function, rows, count, NULL);
    if (function.results[0].node != node) FAIL("%s was rewritten", name);
}

static void check_untouched(void) {
    Arena *arena = arena_create();
    Inputs in = inputs_create(arena, DTYPE_F32);
    Node *x = in.x, *y = in.y, *zero = number(&in, x, 0), *third = number(&in, x, 3);
    require_untouched("x + 0", &in, add(&in, x, zero));
    require_untouched("x - x", &in, subtract(&in, x, x));
    require_untouched("x * 0", &in, multiply(&in, x, zero));
    require_untouched("0 / x", &in, divide(&in, zero, x));
    require_untouched("x / x", &in, divide(&in, x, x));
    require_untouched("x / 3", &in, divide(&in, x, third));
    require_untouched("-(x - y)", &in, unary(&in, OP_negate, subtract(&in, x, y)));
    require_untouched("(x + y) - y", &in, subtract(&in, add(&in, x, y), y));
    require_untouched("(x - y) + y", &in, add(&in, subtract(&in, x, y), y));
    require_untouched("(x * y) / y", &in, divide(&in, multiply(&in, x, y), y));
    require_untouched("not (x < y)", &in, unary(&in, OP_logical_not, map2(in.graph, OP_less, x, y)));
    require_untouched("x == x", &in, map2(in.graph, OP_equal, x, x));
    require_untouched("sqrt(x * x)", &in, unary(&in, OP_sqrt, multiply(&in, x, x)));
    require_untouched("exp(x) / exp(y)", &in, divide(&in, unary(&in, OP_exp, x), unary(&in, OP_exp, y)));
    Node *e = unary(&in, OP_exp, in.m);
    require_untouched("exp / its maximum", &in, divide(&in, e, spread(in.graph, largest(&in, e, 1), 1, e)));
    require_untouched("log(sum(x))", &in, unary(&in, OP_log, sum(&in, in.m, 1)));
    arena_destroy(arena);
}

// ---- whole tables, random graphs

static Tensor *random_arguments(Arena *arena, const RandomProgram *program, const int64_t *dims, Random *random) {
    static const double specials[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1e-40, -1e-40, 3e38, 1, -1, 0.5};
    const Function *function = &program->function;
    Tensor *tensors = arena_array(arena, Tensor, function->argument_count);
    for (int i = 0; i < function->argument_count; i++) {
        const Node *node = function->arguments[i];
        Tensor *tensor = &tensors[i];
        *tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
        for (int k = 0; k < node->rank; k++) tensor->shape[k] = extent_evaluate(node->shape[k], dims, NULL);
        int64_t count = count_of(tensor);
        tensor->data = arena_allocate(arena, (size_t)count * (size_t)dtype_size(node->dtype));
        for (int64_t at = 0; at < count; at++) {
            double value = random_below(random, 3) ? random_real(random, -2, 2) : specials[random_below(random, 11)];
            if (node->dtype == DTYPE_F32) ((float *)tensor->data)[at] = (float)value;
            else if (node->dtype == DTYPE_F64) ((double *)tensor->data)[at] = value;
            else if (node->dtype == DTYPE_I32)
                ((int32_t *)tensor->data)[at] = (int32_t)random_below(random, (int)program->index_limit);
            else ((int64_t *)tensor->data)[at] = random_below(random, (int)program->index_limit);
        }
    }
    return tensors;
}

// The program with the gradient by its first argument beside the value.
static Function with_gradient(Graph *graph, const RandomProgram *program) {
    Function function = program->function;
    Node *loss = function.results[0].node;
    Node *request = gradient(graph, loss, NULL, function.arguments, 1, true);
    Named *results = arena_array(graph->arena, Named, 2);
    results[0] = (Named){"loss", loss};
    results[1] = (Named){"d", result_of(graph, request, 0)};
    function.results = results;
    function.result_count = 2;
    return function;
}

// Order by order, as the compiler does it.
static void derive(Graph *graph, Function *function) {
    for (bool more = true; more;) {
        if (!differentiate_round(graph, diagnostics_create(graph->arena, 0), function, &more)) {
            FAIL("no derivative");
            return;
        }
        if (more) simplify(graph, function);
    }
}

// The exact rows alone change no bit. A value that goes through all passes alone has the bits that it has with a
// gradient.
static void check_bits(Graph *graph, uint64_t seed, const RandomProgram *program, const Function *before,
                       Function joint) {
    const RewriteRow **exact = arena_array(graph->arena, const RewriteRow *, exact_rewrite_count);
    for (int i = 0; i < exact_rewrite_count; i++) exact[i] = &exact_rewrites[i];
    Function after = *before, alone = program->function;
    simplify_by(graph, &after, exact, exact_rewrite_count, NULL);
    simplify(graph, &alone);
    derive(graph, &alone);
    simplify(graph, &alone);
    Function *both[] = {&alone, &joint};
    for (int i = 0; i < 2; i++) {
        normalise_reductions(graph, both[i]);
        place_fma(graph, both[i]);
    }
    const int64_t dims[] = {5};
    Random random = random_start(seed);
    Environment environment = {.dims = dims};
    Tensor *arguments = random_arguments(graph->arena, program, dims, &random), old[2], new[2], value, last[2];
    const char *fault = verify_function(graph, &after);
    if (!fault) fault = evaluate_function(graph->arena, before, arguments, &environment, old);
    if (!fault) fault = evaluate_function(graph->arena, &after, arguments, &environment, new);
    if (!fault) fault = evaluate_function(graph->arena, &alone, arguments, &environment, &value);
    if (!fault) fault = evaluate_function(graph->arena, &joint, arguments, &environment, last);
    if (fault) FAIL("seed %llu: %s", (unsigned long long)seed, fault);
    for (int i = 0; !fault && i < 2; i++) {
        int64_t at = find_difference(&old[i], &new[i]);
        if (at >= 0)
            FAIL("seed %llu: element %lld of result %d was %.9g and is %.9g", (unsigned long long)seed, (long long)at,
                 i, element(&old[i], at), element(&new[i], at));
    }
    if (!fault && find_difference(&value, &last[0]) >= 0)
        FAIL("seed %llu: %.9g alone, %.9g with a gradient", (unsigned long long)seed, element(&value, 0),
             element(&last[0], 0));
}

static void check_random(uint64_t seed) {
    Arena *arena = arena_create();
    Graph *graph = graph_create(arena);
    RandomProgram program = random_program(graph, seed, seed % 2 ? DTYPE_F32 : DTYPE_F64, RANDOM_NODES);
    int count;
    const RewriteRow *const *rows = all_rewrites(arena, &count);
    Function joint = with_gradient(graph, &program), before, again;
    bool ends = simplify_by(graph, &joint, rows, count, NULL);
    derive(graph, &joint);
    before = joint;
    ends = simplify_by(graph, &joint, rows, count, NULL) && ends;
    if (!ends) FAIL("seed %llu: no end", (unsigned long long)seed);
    again = joint;
    simplify(graph, &again);
    for (int i = 0; i < 2; i++)
        if (again.results[i].node != joint.results[i].node) FAIL("seed %llu: not at rest", (unsigned long long)seed);
    check_bits(graph, seed, &program, &before, joint);
    arena_destroy(arena);
}

// Usage: simplify_test [random graphs]
int main(int argc, char **argv) {
    uint64_t graphs = argc > 1 ? strtoull(argv[1], NULL, 10) : 400;
    require_examples(exact_rewrites, exact_rewrite_count, exact_examples, exact_example_count);
    require_examples(stabilising_rewrites, stabilising_rewrite_count, stabilising_examples, stabilising_example_count);
    require_examples(shortening_rewrites, shortening_rewrite_count, shortening_examples, shortening_example_count);
    check_rows();
    check_untouched();
    for (uint64_t seed = 0; seed < graphs; seed++) check_random(seed);
    return failures != 0;
}
