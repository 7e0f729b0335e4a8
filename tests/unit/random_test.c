// Random programs: gradients against finite differences, and compiled code, fused and cut in different ways, against
// the evaluator's bits. A program that fails is printed with its seed. Usage: random_test [programs [first seed]]
#include "cut/cut.h"
#include "differentiate/differentiate.h"
#include "graph/rewrite.h"
#include "harness.h"
#include "random_program.h"
#include "simplify/simplify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS = 900, COMPILED_EVERY = 18, LEAST_USES = 50, EXTRA_RESULTS = 3 };

static int uses[OP_COUNT], compared, skipped;

// Ops that a random program must differentiate often: those whose derivative is not zero.
static bool is_required(Op op) {
    switch (op) {
    case OP_gradient:
    case OP_variable:
    case OP_constant:
    case OP_extent:
    case OP_iota:
    case OP_random_uniform:
    case OP_random_normal:
    case OP_stop_gradient:   // finite differences see through it
    case OP_logical_or:      // of bools: nothing varies through them
    case OP_logical_and:
    case OP_logical_not:
    case OP_equal:
    case OP_not_equal:
    case OP_less:
    case OP_less_equal: return false;
    default: return true;
    }
}

// ---- one program

typedef struct {
    Arena *arena;
    Graph *graph;
    uint64_t seed;
    RandomProgram program;
    Function
        joint;   // loss, gradients, the loss's tangent along the cosines of all inputs, then some values on the way
    int gradient_count;
    const int64_t *dims;
    Tensor *arguments;
} Trial;

static void report_program(Trial *trial, const char *what) {
    Text text = {.arena = trial->arena};
    print_function(&text, &trial->program.function);
    printf("random program, seed %llu: %s\n%s\n", (unsigned long long)trial->seed, what, text.bytes);
    harness_failures++;
}

static int64_t size_of(const Trial *trial, const Node *node) {
    int64_t count = 1;
    for (int i = 0; i < node->rank; i++) count *= extent_evaluate(node->shape[i], trial->dims, NULL);
    return count;
}

static void fill_arguments(Trial *trial) {
    Random random = random_start(trial->seed + 1000003);
    const Function *function = &trial->program.function;
    trial->arguments = arena_array(trial->arena, Tensor, function->argument_count);
    for (int i = 0; i < function->argument_count; i++) {
        const Node *node = function->arguments[i];
        Tensor *tensor = &trial->arguments[i];
        *tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
        for (int k = 0; k < node->rank; k++) tensor->shape[k] = extent_evaluate(node->shape[k], trial->dims, NULL);
        int64_t count = size_of(trial, node);
        tensor->data = arena_allocate(trial->arena, (size_t)count * 8 + 8);
        for (int64_t k = 0; k < count; k++) {
            if (node->dtype == DTYPE_F64) ((double *)tensor->data)[k] = random_real(&random, -2, 2);
            if (node->dtype == DTYPE_F32) ((float *)tensor->data)[k] = (float)random_real(&random, -2, 2);
            if (node->dtype == DTYPE_I32)
                ((int32_t *)tensor->data)[k] = random_below(&random, (int)trial->program.index_limit);
        }
    }
}

// The program's loss, its gradients by all floating inputs, and `extra` values on the way.
static bool make_joint(Trial *trial, int extra, Function *joint) {
    Graph *graph = trial->graph;
    const Function *function = &trial->program.function;
    int count = trial->program.floating_count;
    Node *loss = function->results[0].node;
    Node *request = gradient(graph, loss, NULL, function->arguments, count, true);
    *joint = *function;
    joint->result_count = 2 + count + extra;
    joint->results = arena_array(trial->arena, Named, joint->result_count);
    joint->results[0] = (Named){"loss", loss};
    for (int i = 0; i < count; i++) joint->results[1 + i] = (Named){"gradient", result_of(graph, request, i)};
    Node **directions = arena_array(trial->arena, Node *, count);
    for (int i = 0; i < count; i++) directions[i] = map1(graph, OP_cos, function->arguments[i]);
    Node *forward = tangent(graph, loss, function->arguments, directions, count);
    joint->results[1 + count] = (Named){"tangent", result_of(graph, forward, 0)};
    Random random = random_start(trial->seed + 17);
    for (int i = 0; i < extra; i++) {
        Node *inner = trial->program.inner.items[random_below(&random, trial->program.inner.count)];
        joint->results[2 + count + i] = (Named){"inner", inner};
    }
    Diagnostics *diagnostics = diagnostics_create(trial->arena, 0);
    simplify(graph, joint);
    for (bool more = true; more;) {
        if (!differentiate_round(graph, diagnostics, joint, &more)) {
            report_program(trial, diagnostics_text(diagnostics, false));
            return false;
        }
        simplify(graph, joint);
    }
    normalise_reductions(graph, joint);
    place_fma(graph, joint);
    const char *fault = verify_function(graph, joint);
    if (fault) report_program(trial, fault);
    return !fault;
}

static Tensor *evaluate(Trial *trial, const Function *function, const Tensor *arguments) {
    Environment environment = {.dims = trial->dims, .seed = trial->seed};
    Tensor *results = arena_array(trial->arena, Tensor, function->result_count);
    const char *fault = evaluate_function(trial->arena, function, arguments, &environment, results);
    if (fault) report_program(trial, fault);
    return fault ? NULL : results;
}

// ---- finite differences

static double loss_at(Trial *trial, Tensor *const directions, double step) {
    int count = trial->program.function.argument_count;
    Tensor *moved = arena_copy(trial->arena, trial->arguments, sizeof(Tensor) * (size_t)count);
    for (int i = 0; i < trial->program.floating_count; i++) {
        int64_t size = size_of(trial, trial->program.function.arguments[i]);
        double *data = arena_copy(trial->arena, moved[i].data, (size_t)size * sizeof(double));
        for (int64_t k = 0; k < size; k++) data[k] += step * ((double *)directions[i].data)[k];
        moved[i].data = data;
    }
    Function function = trial->joint;
    function.result_count = 1;
    const Tensor *results = evaluate(trial, &function, moved);
    return results ? *(double *)results[0].data : NAN;
}

// The dot-product test: forward mode gives what the gradients do.
static void check_modes(Trial *trial) {
    const Tensor *results = evaluate(trial, &trial->joint, trial->arguments);
    int count = trial->program.floating_count;
    double slope = 0, scale = 1;
    for (int i = 0; results && i < count; i++) {
        int64_t size = size_of(trial, trial->program.function.arguments[i]);
        for (int64_t k = 0; k < size; k++) {
            double term = cos(((double *)trial->arguments[i].data)[k]) * ((double *)results[1 + i].data)[k];
            slope += term;
            scale += fabs(term);
        }
    }
    if (!results) return;
    double forward = *(double *)results[1 + count].data;
    if (fabs(slope - forward) <= 1e-9 * scale) return;
    char text[128];
    snprintf(text, sizeof text, "slope %.12g, by forward mode %.12g (scale %.3g)", slope, forward, scale);
    report_program(trial, text);
}

// The loss's derivative along a random direction, from gradients and from differences.
static void check_gradients(Trial *trial) {
    int count = trial->program.floating_count;
    Tensor *results = evaluate(trial, &trial->joint, trial->arguments);
    if (!results) return;
    Random random = random_start(trial->seed + 29);
    Tensor *directions = arena_copy(trial->arena, trial->arguments, sizeof(Tensor) * (size_t)count);
    double slope = 0, scale = 1;
    for (int i = 0; i < count; i++) {
        int64_t size = size_of(trial, trial->program.function.arguments[i]);
        double *direction = arena_array(trial->arena, double, size + 1);
        for (int64_t k = 0; k < size; k++) {
            direction[k] = random_real(&random, -1, 1);
            slope += direction[k] * ((double *)results[1 + i].data)[k];
            scale += fabs(direction[k] * ((double *)results[1 + i].data)[k]);
        }
        directions[i].data = direction;
    }
    // stop_gradient: differences see through it, so such programs are compared only where it is not on the way.
    if (trial->program.uses[OP_stop_gradient]) return;
    double step = 1e-5, wide, narrow, finest;
    wide = (loss_at(trial, directions, 2 * step) - loss_at(trial, directions, -2 * step)) / (4 * step);
    narrow = (loss_at(trial, directions, step) - loss_at(trial, directions, -step)) / (2 * step);
    finest = (loss_at(trial, directions, step / 2) - loss_at(trial, directions, -step / 2)) / step;
    scale += fabs(*(double *)results[0].data);
    double difference = (4 * narrow - wide) / 3;
    // Where the loss is smooth the error of a difference falls to a quarter with half its step.
    double uneven = (wide - narrow) - 4 * (narrow - finest);
    compared++;
    if (fabs(wide - narrow) > 1e-4 * scale || fabs(narrow - finest) > 1e-4 * scale || fabs(uneven) > 2e-6 * scale) {
        skipped++;   // a kink lies between
        return;
    }
    if (fabs(difference - slope) <= 2e-6 * scale) return;
    char text[128];
    snprintf(text, sizeof text, "slope %.12g, by differences %.12g (scale %.3g)", slope, difference, scale);
    report_program(trial, text);
}

// ---- machine code

static void add_leaf(Case *test, Node *node, int index, const Tensor *value) {
    CaseLeaf *leaf = &test->leaves[test->leaf_count++];
    *leaf = (CaseLeaf){.data = value->data, .is_input = true};
    leaf->place = (Placement){node, SPACE_INPUT, index, extent_constant(test->graph->extents, 0), false};
}

static void run_compiled(Trial *trial, Case *outer, const Function *function, const Tensor *arguments, int width) {
    Case *test = arena_new(trial->arena, Case);
    test->name = arena_print(trial->arena, "%s, seed %llu", outer->name, (unsigned long long)trial->seed);
    test->arena = outer->arena;
    test->graph = outer->graph;
    test->raw = true;
    for (int i = 0; i < function->argument_count; i++) add_leaf(test, function->arguments[i], i, &arguments[i]);
    for (int i = 0; i < function->result_count; i++) case_output(test, function->results[i].node);
    int before = harness_failures;
    case_check_widths(test, trial->dims, &width, 1);
    if (harness_failures > before) report_program(trial, "compiled code differs");
}

static void expect_same(Trial *trial, const Tensor *a, const Tensor *b, const Node *node, const char *what) {
    size_t bytes = (size_t)size_of(trial, node) * (size_t)dtype_size(node->dtype);
    if (bytes && memcmp(a->data, b->data, bytes) != 0) report_program(trial, what);
}

// The backward half reads the forward half's tape and must come to the joint graph's bits.
static void check_cut(Trial *trial, Case *test, int width) {
    int argument_count = trial->joint.argument_count;
    Cut cut = cut_joint(trial->graph, &trial->joint, 1);
    if (argument_count + cut.tape_count > MAX_CASE_VALUES) return;
    const Tensor *whole = evaluate(trial, &trial->joint, trial->arguments);
    const Tensor *forward = evaluate(trial, &cut.forward, trial->arguments);
    if (!whole || !forward) return;
    Tensor *arguments = arena_array(trial->arena, Tensor, cut.backward.argument_count);
    memcpy(arguments, trial->arguments, sizeof(Tensor) * (size_t)argument_count);
    for (int i = 0; i < cut.tape_count; i++) arguments[argument_count + i] = forward[1 + i];
    const Tensor *backward = evaluate(trial, &cut.backward, arguments);
    if (!backward) return;
    for (int i = 0; i < cut.backward.result_count; i++)
        expect_same(trial, &whole[1 + i], &backward[i], cut.backward.results[i].node, "the backward half differs");
    if (cut.forward.result_count <= MAX_CASE_VALUES) run_compiled(trial, test, &cut.forward, trial->arguments, width);
    run_compiled(trial, test, &cut.backward, arguments, width);
}

// What else is asked for may not move the bits of the others (S9).
static void check_extra(Trial *trial, const Function *with_extra) {
    const Tensor *plain = evaluate(trial, &trial->joint, trial->arguments);
    const Tensor *extended = evaluate(trial, with_extra, trial->arguments);
    for (int i = 0; plain && extended && i < trial->joint.result_count; i++)
        expect_same(trial, &plain[i], &extended[i], trial->joint.results[i].node, "further results move bits");
}

static void check_compiled(Trial *trial, Case *test, const Function *with_extra) {
    static const int widths[] = {16, 32, 64};
    int turn = (int)(trial->seed / COMPILED_EVERY);
    run_compiled(trial, test, &trial->joint, trial->arguments, widths[turn % 3]);
    run_compiled(trial, test, with_extra, trial->arguments, widths[(turn + 1) % 3]);
    check_cut(trial, test, widths[(turn + 2) % 3]);
}

static void run_trial(uint64_t seed) {
    static const int64_t open[] = {5, 1, 8, 5, 0, 3};
    Case *test = case_begin("random");
    int64_t dims[MAX_CASE_DIMS] = {open[seed % 6]};
    Dtype dtype = seed % COMPILED_EVERY == 0 && seed / COMPILED_EVERY % 2 ? DTYPE_F32 : DTYPE_F64;
    Trial trial = {.arena = test->arena, .graph = test->graph, .seed = seed, .dims = dims};
    trial.program = random_program(test->graph, seed, dtype, RANDOM_NODES);
    Function with_extra;
    fill_arguments(&trial);
    if (make_joint(&trial, 0, &trial.joint) && make_joint(&trial, EXTRA_RESULTS, &with_extra)) {
        for (int op = 0; op < OP_COUNT; op++) uses[op] += trial.program.uses[op];
        check_extra(&trial, &with_extra);
        if (dtype == DTYPE_F64) check_gradients(&trial);
        if (dtype == DTYPE_F64) check_modes(&trial);
        if (seed % COMPILED_EVERY == 0) check_compiled(&trial, test, &with_extra);
    }
    case_end(test);
}

int main(int argc, char **argv) {
    int programs = argc > 1 ? atoi(argv[1]) : PROGRAMS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    for (int i = 0; i < programs && harness_failures < 5; i++) run_trial(first + (uint64_t)i);
    if (compared && skipped * 4 > compared) {
        printf("%d of %d programs have a kink where they are compared\n", skipped, compared);
        harness_failures++;
    }
    for (int op = 0; op < OP_COUNT && programs >= PROGRAMS; op++) {
        if (!is_required((Op)op) || uses[op] >= LEAST_USES) continue;
        printf("%s was differentiated only %d times\n", op_name((Op)op), uses[op]);
        harness_failures++;
    }
    return harness_finish();
}
