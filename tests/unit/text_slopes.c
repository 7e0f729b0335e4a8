// Slopes along a random direction: by reverse mode, by forward mode, and by finite differences; and slopes of slopes.
#include "text_subject.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Results of the function of slopes.
enum { VALUE, REVERSE, FORWARD, REVERSE_REVERSE, FORWARD_REVERSE, FORWARD_FORWARD, SLOPES };

static const char *const slope_names[] = {
    "value", "reverse", "forward", "reverse of reverse", "forward of reverse", "forward of forward"};

static Node **add_directions(Subject *subject) {
    Graph *graph = subject->compilation->program->graph;
    Arena *arena = subject->compilation->arena;
    const NodeArray *targets = &subject->joint.targets;
    Node **directions = arena_array(arena, Node *, targets->count);
    Random random = random_start(subject->check->seed + 29 + (uint64_t)subject->attempt);
    for (int i = 0; i < targets->count; i++) {
        const Node *target = targets->items[i];
        Variable variable = {.kind = VARIABLE_INPUT, .index = 1000 + i, .name = "direction"};
        directions[i] =
            variable_make(graph, &variable, target->dtype, (const Extent *const *)target->shape, target->rank);
        Tensor tensor = {.dtype = target->dtype, .rank = target->rank};
        for (int k = 0; k < target->rank; k++) tensor.shape[k] = extent_evaluate(target->shape[k], subject->dims, NULL);
        int64_t count = element_total(&tensor);
        double *numbers = arena_array(arena, double, count + 1);
        for (int64_t k = 0; k < count; k++) numbers[k] = random_real(&random, -1, 1);
        tensor.data = numbers;
        subject->bindings[subject->binding_count++] = (VariableValue){directions[i], tensor};
    }
    return directions;
}

static Node *by_reverse(Subject *subject, Node *scalar, Node **directions) {
    Graph *graph = subject->compilation->program->graph;
    NodeArray *targets = &subject->joint.targets;
    Node *request = gradient(graph, scalar, NULL, targets->items, targets->count, true), *sum = NULL;
    int axes[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++) axes[i] = i;
    for (int i = 0; i < targets->count; i++) {
        Node *product = map2(graph, OP_multiply, result_of(graph, request, i), directions[i]);
        Node *term = reduce(graph, OP_reduce_sum, product, axes, product->rank);
        sum = sum ? map2(graph, OP_add, sum, term) : term;
    }
    return sum;
}

static Node *by_forward(Subject *subject, Node *scalar, Node **directions) {
    Graph *graph = subject->compilation->program->graph;
    NodeArray *targets = &subject->joint.targets;
    return result_of(graph, tangent(graph, scalar, targets->items, directions, targets->count), 0);
}

static bool make_slopes(Subject *subject, Function *function) {
    Node **directions = add_directions(subject), *nodes[SLOPES];
    bool second = subject->check->order > 1;
    nodes[VALUE] = subject->joint.function.results[0].node;
    nodes[REVERSE] = by_reverse(subject, nodes[VALUE], directions);
    nodes[FORWARD] = by_forward(subject, nodes[VALUE], directions);
    if (second) {
        nodes[REVERSE_REVERSE] = by_reverse(subject, nodes[REVERSE], directions);
        nodes[FORWARD_REVERSE] = by_forward(subject, nodes[REVERSE], directions);
        nodes[FORWARD_FORWARD] = by_forward(subject, nodes[FORWARD], directions);
    }
    *function = subject->joint.function;
    function->result_count = second ? SLOPES : REVERSE_REVERSE;
    function->results = arena_array(subject->compilation->arena, Named, function->result_count);
    for (int i = 0; i < function->result_count; i++) function->results[i] = (Named){slope_names[i], nodes[i]};
    if (run_passes(subject->compilation, function, STAGE_OPT)) return true;
    verdict_set(subject->verdict, FAULT_INTERNAL, "%s, slopes: %s", subject->entry->name,
                compilation_messages(subject->compilation, false));
    return false;
}

// ---- differences

static void move(Arena *arena, Tensor *tensor, const Tensor *direction, double step) {
    double *numbers = arena_copy(arena, tensor->data, (size_t)element_total(tensor) * sizeof(double));
    for (int64_t i = 0; i < element_total(tensor); i++) numbers[i] += step * real_at(direction, i);
    tensor->data = numbers;
}

// One result of the function at a point along the directions, which are the last bindings.
static double result_at(Subject *subject, const Function *function, int result, double step) {
    Arena *arena = subject->compilation->arena;
    const NodeArray *targets = &subject->joint.targets;
    VariableValue *bindings = subject->bindings;
    int count = subject->binding_count, first = count - targets->count;
    const Function *entry = &subject->joint.function;
    Tensor *arguments = arena_copy(arena, subject->arguments, sizeof(Tensor) * (size_t)(entry->argument_count + 1));
    subject->bindings = arena_copy(arena, bindings, sizeof *bindings * (size_t)count);
    for (int i = 0; i < targets->count; i++) {
        const Tensor *direction = &subject->bindings[first + i].value;
        for (int k = 0; k < first; k++)
            if (subject->bindings[k].variable == targets->items[i])
                move(arena, &subject->bindings[k].value, direction, step);
        for (int k = 0; k < entry->argument_count; k++)
            if (entry->arguments[k] == targets->items[i]) move(arena, &arguments[k], direction, step);
    }
    Function one = *function;
    one.results = &function->results[result];
    one.result_count = 1;
    Tensor *values = subject_evaluate(subject, &one, arguments);
    subject->bindings = bindings;
    return values ? real_at(&values[0], 0) : NAN;
}

// Whether the slope of `result` is `slope`; where a kink lies near, nothing is said.
static void compare_difference(Subject *subject, const Function *function, int result, double slope, double scale) {
    double step = 1e-5, at[6];
    static const double places[] = {-2, 2, -1, 1, -0.5, 0.5};
    for (int i = 0; i < 6; i++) at[i] = result_at(subject, function, result, places[i] * step);
    double wide = (at[1] - at[0]) / (4 * step), narrow = (at[3] - at[2]) / (2 * step), finest = (at[5] - at[4]) / step;
    double difference = (4 * narrow - wide) / 3, uneven = (wide - narrow) - 4 * (narrow - finest);
    scale += fabs(slope) + fabs(at[0]);
    subject->verdict->counts[result == VALUE ? COUNT_COMPARED : COUNT_SECOND]++;
    bool smooth =
        fabs(wide - narrow) <= 1e-4 * scale && fabs(narrow - finest) <= 1e-4 * scale && fabs(uneven) <= 2e-6 * scale;
    if (!smooth && result == VALUE) subject->verdict->counts[COUNT_KINKS]++;
    if (!smooth || fabs(difference - slope) <= 4e-6 * scale) return;
    verdict_set(subject->verdict, FAULT_DIFFERENCES, "%s: the slope of the %s is %.12g, by differences %.12g",
                subject->entry->name, slope_names[result], slope, difference);
}

void check_slopes(Subject *subject) {
    const char *text = subject->check->text;
    if (!subject->joint.targets.count) return;
    Function function;
    int bindings = subject->binding_count;
    if (!make_slopes(subject, &function)) return;
    Tensor *values = subject_evaluate(subject, &function, subject->arguments);
    if (values && all_finite(values, function.result_count)) {
        double slopes[SLOPES] = {0}, scale = 1;
        for (int i = 0; i < function.result_count; i++) scale += fabs(slopes[i] = real_at(&values[i], 0));
        for (int i = FORWARD; i < function.result_count; i++) {
            int against = i < REVERSE_REVERSE ? REVERSE : REVERSE_REVERSE;
            if (fabs(slopes[i] - slopes[against]) <= 1e-7 * scale) continue;
            verdict_set(subject->verdict, FAULT_MODES, "%s: the slope is %.12g by %s, but %.12g by %s",
                        subject->entry->name, slopes[against], slope_names[against], slopes[i], slope_names[i]);
        }
        // Differences see through what a program says that gradients do not.
        bool stops = strstr(text, "stop_gradient") || strstr(text, "detach");
        if (!subject->verdict->kind && !stops) compare_difference(subject, &function, VALUE, slopes[REVERSE], scale);
        if (!subject->verdict->kind && !stops && function.result_count > REVERSE_REVERSE)
            compare_difference(subject, &function, REVERSE, slopes[REVERSE_REVERSE], scale);
    }
    subject->binding_count = bindings;
}
