// The checks of one graph function: numbers in f64, bits in any dtype.
#include "graph_check.h"
#include "cut/cut.h"
#include "differentiate/batch.h"
#include "differentiate/differentiate.h"
#include "graph/rewrite.h"
#include "harness.h"
#include "random_program.h"
#include "simplify/simplify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXTRA_RESULTS = 3 };

typedef struct {
    const GraphCheck *check;
    Verdict *verdict;
    Arena *arena;
    Graph *graph;
    Dtype dtype;
    NodeArray targets;       // the floating arguments
    Node **directions;       // further arguments: one for each target
    Function joint, plain;   // with the passes, and without those that rewrite
    int argument_count;      // of the joint
    Tensor *arguments;
} Trial;

// Results of the joint function: the value, its gradients, then slopes along the directions.
enum { SLOPE_REVERSE, SLOPE_FORWARD, SLOPE_REVERSE_REVERSE, SLOPE_FORWARD_REVERSE, SLOPE_FORWARD_FORWARD, SLOPES };

static int slope_at(const Trial *trial, int slope) {
    return 1 + trial->targets.count + slope;
}

// ---- arguments

static int64_t size_of_node(const Trial *trial, const Node *node) {
    int64_t count = 1;
    for (int i = 0; i < node->rank; i++) count *= extent_evaluate(node->shape[i], trial->check->dims, NULL);
    return count;
}

static Tensor fill(const Trial *trial, Random *random, const Node *node, double limit) {
    Tensor tensor = {.dtype = node->dtype, .rank = node->rank};
    for (int k = 0; k < node->rank; k++) tensor.shape[k] = extent_evaluate(node->shape[k], trial->check->dims, NULL);
    int64_t count = size_of_node(trial, node);
    tensor.data = arena_allocate(trial->arena, (size_t)count * 8 + 8);
    for (int64_t k = 0; k < count; k++) {
        double real = random_real(random, -limit, limit);
        if (node->dtype == DTYPE_F64) ((double *)tensor.data)[k] = real;
        if (node->dtype == DTYPE_F32) ((float *)tensor.data)[k] = (float)real;
        if (node->dtype == DTYPE_I32)
            ((int32_t *)tensor.data)[k] = random_below(random, (int)trial->check->index_limit);
    }
    return tensor;
}

static void draw_arguments(Trial *trial, int attempt) {
    Random random = random_start(trial->check->seed + 1000003 + (uint64_t)attempt * 77);
    const Function *function = &trial->check->function;
    int count = function->argument_count;
    trial->arguments = arena_array(trial->arena, Tensor, trial->argument_count);
    for (int i = 0; i < count; i++) trial->arguments[i] = fill(trial, &random, function->arguments[i], 2);
    for (int i = 0; i < trial->targets.count; i++)
        trial->arguments[count + i] = fill(trial, &random, trial->directions[i], 1);
}

static Tensor *evaluate(Trial *trial, const Function *function, const Tensor *arguments) {
    Environment environment = {.dims = trial->check->dims, .seed = trial->check->seed};
    Tensor *results = arena_array(trial->arena, Tensor, function->result_count);
    const char *fault = evaluate_function(trial->arena, function, arguments, &environment, results);
    if (fault) verdict_set(trial->verdict, FAULT_INTERNAL, "the evaluator: %s", fault);
    return fault ? NULL : results;
}

static double number_of(const Tensor *tensor) {
    return tensor->dtype == DTYPE_F32 ? (double)*(float *)tensor->data : *(double *)tensor->data;
}

// ---- the joint function

static Node *by_reverse(Trial *trial, Node *scalar) {
    Graph *graph = trial->graph;
    NodeArray *targets = &trial->targets;
    Node *request = gradient(graph, scalar, NULL, targets->items, targets->count, true);
    Node *sum = constant_real(graph, trial->dtype, 0);
    int axes[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++) axes[i] = i;
    for (int i = 0; i < targets->count; i++) {
        Node *product = map2(graph, OP_multiply, result_of(graph, request, i), trial->directions[i]);
        sum = map2(graph, OP_add, sum, reduce(graph, OP_reduce_sum, product, axes, product->rank));
    }
    return sum;
}

static Node *by_forward(Trial *trial, Node *scalar) {
    NodeArray *targets = &trial->targets;
    Node *request = tangent(trial->graph, scalar, targets->items, trial->directions, targets->count);
    return result_of(trial->graph, request, 0);
}

static bool is_right(Trial *trial, const Function *function, const char *pass) {
    const char *fault = verify_function(trial->graph, function);
    if (fault) verdict_set(trial->verdict, FAULT_INTERNAL, "after %s: %s", pass, fault);
    return !fault;
}

static void note_refused(Trial *trial, Diagnostics *diagnostics) {
    verdict_set(trial->verdict, FAULT_REFUSED, "%s", diagnostics_text(diagnostics, false));
}

// In the order of compile.c.
static bool run_passes(Trial *trial, Function *function) {
    Graph *graph = trial->graph;
    Diagnostics *diagnostics = diagnostics_create(trial->arena, 0);
    if (!is_right(trial, function, "making it")) return false;
    batch_loops(graph, function);
    if (!is_right(trial, function, "batching")) return false;
    hoist_from_loops(graph, function);
    if (!is_right(trial, function, "hoisting")) return false;
    simplify(graph, function);
    if (!is_right(trial, function, "simplifying")) return false;
    for (bool more = true; more;) {
        if (!differentiate_round(graph, diagnostics, function, &more)) {
            note_refused(trial, diagnostics);
            return false;
        }
        if (!is_right(trial, function, "differentiating")) return false;
        batch_loops(graph, function);
        if (!is_right(trial, function, "batching derivatives")) return false;
        hoist_from_loops(graph, function);
        if (!is_right(trial, function, "hoisting from derivatives")) return false;
        simplify(graph, function);
        if (!is_right(trial, function, "simplifying derivatives")) return false;
    }
    normalise_reductions(graph, function);
    if (!is_right(trial, function, "ordering sums")) return false;
    place_fma(graph, function);
    return is_right(trial, function, "placing fma");
}

static Function with_slopes(Trial *trial) {
    Graph *graph = trial->graph;
    Node *loss = trial->check->function.results[0].node, *slopes[SLOPES];
    NodeArray *targets = &trial->targets;
    Node *request = gradient(graph, loss, NULL, targets->items, targets->count, true);
    Function joint = trial->check->function;
    int count = 0, slope_count = trial->check->order > 1 ? SLOPES : SLOPE_REVERSE_REVERSE;
    joint.argument_count = trial->argument_count;
    joint.arguments = arena_array(trial->arena, Node *, joint.argument_count);
    memcpy(joint.arguments, trial->check->function.arguments,
           sizeof(Node *) * (size_t)trial->check->function.argument_count);
    for (int i = 0; i < targets->count; i++)
        joint.arguments[trial->check->function.argument_count + i] = trial->directions[i];
    joint.results = arena_array(trial->arena, Named, 1 + targets->count + slope_count + EXTRA_RESULTS);
    joint.results[count++] = (Named){"loss", loss};
    for (int i = 0; i < targets->count; i++) joint.results[count++] = (Named){"gradient", result_of(graph, request, i)};
    slopes[SLOPE_REVERSE] = by_reverse(trial, loss);
    slopes[SLOPE_FORWARD] = by_forward(trial, loss);
    if (slope_count == SLOPES) {
        slopes[SLOPE_REVERSE_REVERSE] = by_reverse(trial, slopes[SLOPE_REVERSE]);
        slopes[SLOPE_FORWARD_REVERSE] = by_forward(trial, slopes[SLOPE_REVERSE]);
        slopes[SLOPE_FORWARD_FORWARD] = by_forward(trial, slopes[SLOPE_FORWARD]);
    }
    for (int i = 0; i < slope_count; i++) joint.results[count++] = (Named){"slope", slopes[i]};
    joint.result_count = count;
    return joint;
}

static void add_directions(Trial *trial) {
    const Function *function = &trial->check->function;
    for (int i = 0; i < function->argument_count; i++)
        if (dtype_is_float(function->arguments[i]->dtype))
            array_push(trial->arena, &trial->targets, function->arguments[i]);
    trial->directions = arena_array(trial->arena, Node *, trial->targets.count + 1);
    for (int i = 0; i < trial->targets.count; i++) {
        const Node *target = trial->targets.items[i];
        Variable variable = {.kind = VARIABLE_INPUT, .index = 100 + i, .name = "direction"};
        trial->directions[i] =
            variable_make(trial->graph, &variable, target->dtype, (const Extent *const *)target->shape, target->rank);
    }
    trial->argument_count = function->argument_count + trial->targets.count;
}

// ---- numbers

static bool all_finite(const Tensor *values, const Function *function, const Trial *trial) {
    for (int i = 0; i < function->result_count; i++)
        for (int64_t k = 0; k < size_of_node(trial, function->results[i].node); k++)
            if (values[i].dtype == DTYPE_F64 && !isfinite(((double *)values[i].data)[k])) return false;
    return true;
}

static void compare_plain(Trial *trial, const Tensor *values) {
    const Tensor *plain = evaluate(trial, &trial->plain, trial->arguments);
    for (int i = 0; plain && i < trial->joint.result_count; i++) {
        const double *a = values[i].data, *b = plain[i].data;
        int64_t count = size_of_node(trial, trial->joint.results[i].node);
        double scale = 1;
        for (int64_t k = 0; k < count; k++) scale = fmax(scale, fabs(a[k]));
        for (int64_t k = 0; k < count; k++) {
            if (fabs(a[k] - b[k]) <= 1e-7 * scale || !isfinite(b[k])) continue;
            verdict_set(trial->verdict, FAULT_REWRITE, "result %d, element %lld: %.12g, but %.12g when simplified", i,
                        (long long)k, b[k], a[k]);
            return;
        }
    }
}

// A result at a point along the directions.
static double result_at(Trial *trial, int result, double step) {
    int count = trial->check->function.argument_count;
    Tensor *moved = arena_copy(trial->arena, trial->arguments, sizeof(Tensor) * (size_t)trial->argument_count);
    for (int i = 0, target = 0; i < count; i++) {
        if (moved[i].dtype != DTYPE_F64) continue;
        int64_t size = size_of_node(trial, trial->check->function.arguments[i]);
        double *data = arena_copy(trial->arena, moved[i].data, (size_t)size * sizeof(double));
        const double *direction = trial->arguments[count + target++].data;
        for (int64_t k = 0; k < size; k++) data[k] += step * direction[k];
        moved[i].data = data;
    }
    Function function = trial->joint;
    function.results = &trial->joint.results[result];
    function.result_count = 1;
    const Tensor *results = evaluate(trial, &function, moved);
    return results ? number_of(&results[0]) : NAN;
}

// Where the value is smooth the error of a difference falls to a quarter with half its step; else a kink lies between.
static void compare_difference(Trial *trial, int result, double slope, double scale) {
    double step = 1e-5, at[6];
    static const double places[] = {-2, 2, -1, 1, -0.5, 0.5};
    for (int i = 0; i < 6; i++) at[i] = result_at(trial, result, places[i] * step);
    double wide = (at[1] - at[0]) / (4 * step), narrow = (at[3] - at[2]) / (2 * step), finest = (at[5] - at[4]) / step;
    double difference = (4 * narrow - wide) / 3, uneven = (wide - narrow) - 4 * (narrow - finest);
    bool smooth =
        fabs(wide - narrow) <= 1e-4 * scale && fabs(narrow - finest) <= 1e-4 * scale && fabs(uneven) <= 2e-6 * scale;
    trial->verdict->counts[result ? GRAPH_SECOND : GRAPH_COMPARED]++;
    if (!smooth && !result) trial->verdict->counts[GRAPH_KINKS]++;
    if (!smooth || fabs(difference - slope) <= 4e-6 * scale) return;
    verdict_set(trial->verdict, FAULT_DIFFERENCES, "%s: slope %.12g, by differences %.12g (scale %.3g)",
                result ? "the slope" : "the value", slope, difference, scale);
}

// Differences see through a stop_gradient, so such programs are compared only where there is none.
static bool stops_gradients(const Trial *trial, const Function *function) {
    NodeArray nodes = reachable(trial->graph, result_nodes(trial->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->op == OP_stop_gradient ||
            (nodes.items[i]->body && nodes.items[i]->op == OP_loop && stops_gradients(trial, nodes.items[i]->body)))
            return true;
    return false;
}

// The gradients times the directions, and how large the terms are.
static double gradient_terms(const Trial *trial, const Tensor *values) {
    double scale = 1 + fabs(number_of(&values[0]));
    int first = trial->check->function.argument_count;
    for (int i = 0; i < trial->targets.count; i++)
        for (int64_t k = 0; k < size_of_node(trial, trial->targets.items[i]); k++)
            scale += fabs(((double *)values[1 + i].data)[k] * ((double *)trial->arguments[first + i].data)[k]);
    return scale;
}

static void compare_slopes(Trial *trial, const Tensor *values) {
    double slopes[SLOPES] = {0}, scale = gradient_terms(trial, values);
    int count = trial->check->order > 1 ? SLOPES : SLOPE_REVERSE_REVERSE;
    for (int i = 0; i < count; i++) slopes[i] = number_of(&values[slope_at(trial, i)]);
    if (fabs(slopes[SLOPE_FORWARD] - slopes[SLOPE_REVERSE]) > 1e-9 * scale)
        verdict_set(trial->verdict, FAULT_MODES, "slope %.12g, by forward mode %.12g (scale %.3g)",
                    slopes[SLOPE_REVERSE], slopes[SLOPE_FORWARD], scale);
    double second = scale + fabs(slopes[SLOPE_REVERSE_REVERSE]);
    for (int i = SLOPE_FORWARD_REVERSE; i < count; i++)
        if (fabs(slopes[i] - slopes[SLOPE_REVERSE_REVERSE]) > 1e-7 * second)
            verdict_set(trial->verdict, FAULT_MODES, "second slope %.12g, by forward mode %s %.12g",
                        slopes[SLOPE_REVERSE_REVERSE], i == SLOPE_FORWARD_REVERSE ? "once" : "twice", slopes[i]);
    if (trial->verdict->kind || stops_gradients(trial, &trial->check->function)) return;
    compare_difference(trial, 0, slopes[SLOPE_REVERSE], scale);
    if (!trial->verdict->kind && count == SLOPES)
        compare_difference(trial, slope_at(trial, SLOPE_REVERSE), slopes[SLOPE_REVERSE_REVERSE], second);
}

// What rounds differently may fall on the other side of a step: what is wrong stays wrong for other values.
static void compare_numbers(Trial *trial) {
    enum { ATTEMPTS = 3 };
    Verdict first = {0};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        draw_arguments(trial, attempt);
        const Tensor *values = evaluate(trial, &trial->joint, trial->arguments);
        if (!values || !all_finite(values, &trial->joint, trial)) return;
        compare_plain(trial, values);
        if (!trial->verdict->kind) compare_slopes(trial, values);
        if (!trial->verdict->kind) return;
        if (!attempt) first = *trial->verdict;
        trial->verdict->kind = FAULT_NONE;
    }
    *trial->verdict = first;
}

// ---- bits

// Of two NaN the bits may differ.
static void expect_same(Trial *trial, const Tensor *a, const Tensor *b, const Node *node, FaultKind kind,
                        const char *what) {
    size_t size = (size_t)dtype_size(node->dtype);
    for (int64_t k = 0; k < size_of_node(trial, node); k++) {
        const char *x = (const char *)a->data + (size_t)k * size, *y = (const char *)b->data + (size_t)k * size;
        Tensor left = {.dtype = node->dtype, .data = (void *)x}, right = {.dtype = node->dtype, .data = (void *)y};
        bool numbers = dtype_is_float(node->dtype);
        bool nans = numbers && isnan(number_of(&left)) && isnan(number_of(&right));
        if (nans || memcmp(x, y, size) == 0) continue;
        if (numbers)
            verdict_set(trial->verdict, kind, "%s: %s, element %lld, is %.17g and %.17g", what,
                        node->name ? node->name : op_name(node->op), (long long)k, number_of(&left), number_of(&right));
        else verdict_set(trial->verdict, kind, "%s", what);
    }
}

static void run_compiled(Trial *trial, const Function *function, const Tensor *arguments, int width) {
    Case *test = arena_new(trial->arena, Case);
    *test = (Case){.name = "random", .arena = trial->arena, .graph = trial->graph, .raw = true};
    if (function->argument_count > MAX_CASE_VALUES || function->result_count > MAX_CASE_VALUES) return;
    for (int i = 0; i < function->argument_count; i++) {
        CaseLeaf *leaf = &test->leaves[test->leaf_count++];
        *leaf = (CaseLeaf){.data = arguments[i].data, .is_input = true};
        const Extent *start = extent_constant(trial->graph->extents, 0);
        leaf->place = (Placement){function->arguments[i], SPACE_INPUT, i, start, false};
    }
    for (int i = 0; i < function->result_count; i++) case_output(test, function->results[i].node);
    int before = harness_failures;
    case_check_widths(test, trial->check->dims, &width, 1);
    trial->verdict->counts[GRAPH_COMPILED]++;
    if (harness_failures > before) verdict_set(trial->verdict, FAULT_BITS, "machine code differs:\n");
}

// The backward half reads the forward half's tape and must come to the joint graph's bits.
static void check_cut(Trial *trial, int width) {
    int argument_count = trial->joint.argument_count;
    Cut cut = cut_joint(trial->graph, &trial->joint, 1);
    const Tensor *whole = evaluate(trial, &trial->joint, trial->arguments);
    const Tensor *forward = evaluate(trial, &cut.forward, trial->arguments);
    if (!whole || !forward) return;
    Tensor *arguments = arena_array(trial->arena, Tensor, cut.backward.argument_count);
    memcpy(arguments, trial->arguments, sizeof(Tensor) * (size_t)argument_count);
    for (int i = 0; i < cut.tape_count; i++) arguments[argument_count + i] = forward[1 + i];
    const Tensor *backward = evaluate(trial, &cut.backward, arguments);
    for (int i = 0; backward && i < cut.backward.result_count; i++)
        expect_same(trial, &whole[1 + i], &backward[i], cut.backward.results[i].node, FAULT_CUT,
                    "the backward half differs");
    if (trial->verdict->kind || !trial->check->compiles) return;
    run_compiled(trial, &cut.forward, trial->arguments, width);
    if (backward) run_compiled(trial, &cut.backward, arguments, width);
}

// What else is asked for may not move the bits of the others (S9).
static void check_extra(Trial *trial, Function *extended) {
    const Tensor *plain = evaluate(trial, &trial->joint, trial->arguments);
    const Tensor *more = evaluate(trial, extended, trial->arguments);
    for (int i = 0; plain && more && i < trial->joint.result_count; i++)
        expect_same(trial, &plain[i], &more[i], trial->joint.results[i].node, FAULT_CUT, "further results move bits");
}

static bool make_extended(Trial *trial, Function *extended) {
    const NodeArray *inner = &trial->check->inner;
    Random random = random_start(trial->check->seed + 17);
    *extended = with_slopes(trial);
    for (int i = 0; i < EXTRA_RESULTS && inner->count; i++) {
        Node *node = inner->items[random_below(&random, inner->count)];
        extended->results[extended->result_count++] = (Named){"inner", node};
    }
    return run_passes(trial, extended);
}

// ---- the course

void graph_check(void *context, Verdict *verdict) {
    const GraphCheck *check = context;
    static const int widths[] = {16, 32, 64};
    Trial trial = {.check = check, .verdict = verdict, .arena = check->graph->arena, .graph = check->graph};
    trial.dtype = check->function.results[0].node->dtype;
    add_directions(&trial);
    Function extended, plain;
    trial.joint = plain = with_slopes(&trial);
    Diagnostics *diagnostics = diagnostics_create(trial.arena, 0);
    if (!run_passes(&trial, &trial.joint)) return;
    if (!differentiate(trial.graph, diagnostics, &plain)) note_refused(&trial, diagnostics);
    trial.plain = plain;
    if (verdict->kind || !make_extended(&trial, &extended)) return;
    draw_arguments(&trial, 0);
    int turn = (int)(check->seed % 3);
    check_extra(&trial, &extended);
    check_cut(&trial, widths[turn]);
    if (check->compiles) run_compiled(&trial, &trial.joint, trial.arguments, widths[(turn + 1) % 3]);
    if (check->compiles) run_compiled(&trial, &extended, trial.arguments, widths[(turn + 2) % 3]);
    if (!verdict->kind && trial.dtype == DTYPE_F64) compare_numbers(&trial);
}
