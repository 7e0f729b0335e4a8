// Graphs printed as programs read back: random functions and their derivatives, printed, compiled and evaluated, give the
// bits of the graph that was printed. Usage: source_test [programs [first seed]]
#include "compile.h"
#include "differentiate/differentiate.h"
#include "evaluate/evaluate.h"
#include "graph/rewrite.h"
#include "random_program.h"
#include "simplify/simplify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS = 300, MOST_FAILURES = 5 };

static int failures;
static uint64_t seed;

#define FAIL(...)                                        \
    do {                                                 \
        printf("seed %llu: ", (unsigned long long)seed); \
        printf(__VA_ARGS__);                             \
        printf("\n");                                    \
        failures++;                                      \
    } while (0)

static int64_t count_of(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

static Tensor *random_arguments(Arena *arena, const RandomProgram *program, const int64_t *dims) {
    const Function *function = &program->function;
    Random random = random_start(seed);
    Tensor *tensors = arena_array(arena, Tensor, function->argument_count);
    for (int i = 0; i < function->argument_count; i++) {
        const Node *node = function->arguments[i];
        Tensor *tensor = &tensors[i];
        *tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
        for (int k = 0; k < node->rank; k++) tensor->shape[k] = extent_evaluate(node->shape[k], dims, NULL);
        tensor->data = arena_allocate(arena, (size_t)count_of(tensor) * (size_t)dtype_size(node->dtype));
        for (int64_t at = 0; at < count_of(tensor); at++) {
            double value = random_real(&random, -2, 2);
            int64_t index = random_below(&random, (int)program->index_limit);
            if (node->dtype == DTYPE_F32) ((float *)tensor->data)[at] = (float)value;
            if (node->dtype == DTYPE_F64) ((double *)tensor->data)[at] = value;
            if (node->dtype == DTYPE_I32) ((int32_t *)tensor->data)[at] = (int32_t)index;
            if (node->dtype == DTYPE_I64) ((int64_t *)tensor->data)[at] = index;
        }
    }
    return tensors;
}

static bool same_bits(const Tensor *a, const Tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank || count_of(a) != count_of(b)) return false;
    for (int64_t at = 0; at < count_of(a); at++) {
        size_t size = (size_t)dtype_size(a->dtype);
        const char *left = (const char *)a->data + (size_t)at * size,
                   *right = (const char *)b->data + (size_t)at * size;
        bool nans = a->dtype == DTYPE_F32   ? isnan(*(const float *)left) && isnan(*(const float *)right)
                    : a->dtype == DTYPE_F64 ? isnan(*(const double *)left) && isnan(*(const double *)right)
                                            : false;
        if (!nans && memcmp(left, right, size) != 0) return false;
    }
    return true;
}

// Value and gradients, differentiated and simplified.
static Function joint_of(Graph *graph, const RandomProgram *program) {
    Function function = program->function;
    int count = program->floating_count;
    Node *loss = function.results[0].node;
    Node *request = gradient(graph, loss, NULL, function.arguments, count, true);
    Named *results = arena_array(graph->arena, Named, 1 + count);
    results[0] = (Named){"loss", loss};
    for (int i = 0; i < count; i++) results[1 + i] = (Named){"d", result_of(graph, request, i)};
    function.results = results;
    function.result_count = 1 + count;
    simplify(graph, &function);
    if (!differentiate(graph, diagnostics_create(graph->arena, 0), &function)) FAIL("no derivative");
    simplify(graph, &function);
    return function;
}

static void compare(Arena *arena, const Function *function, const Function *read, const Tensor *arguments) {
    const int64_t dims[] = {5};
    Environment environment = {.dims = dims};
    Tensor *old = arena_array(arena, Tensor, function->result_count);
    Tensor *new = arena_array(arena, Tensor, function->result_count);
    if (read->result_count != function->result_count || read->argument_count != function->argument_count) {
        FAIL("the program that was read has other arguments or results");
        return;
    }
    const char *fault = evaluate_function(arena, function, arguments, &environment, old);
    if (!fault) fault = evaluate_function(arena, read, arguments, &environment, new);
    if (fault) FAIL("%s", fault);
    for (int i = 0; !fault && i < function->result_count; i++)
        if (!same_bits(&old[i], &new[i])) FAIL("result %d has other bits", i);
}

static void check_program(void) {
    Arena *arena = arena_create();
    Graph *graph = graph_create(arena);
    Dtype dtype = seed % 2 ? DTYPE_F64 : DTYPE_F32;
    RandomProgram program = random_program(graph, seed, dtype, RANDOM_NODES);
    Function function = joint_of(graph, &program);
    Text text = {.arena = arena};
    const char *missing = print_source(&text, graph, &function, "read_back");
    // All dtypes are written out, so that it does not matter what `float` means; but random numbers are of that dtype.
    bool draws = strstr(text.bytes, "site = ");
    CompileOptions options = {.floating = seed % 4 == 1 && !draws ? DTYPE_F32 : dtype, .verify = true};
    Compilation *compilation = compilation_create("printed.grad", text.bytes, (size_t)text.length, &options);
    Program *read = compilation_program(compilation);
    int before = failures;
    if (missing) FAIL("'%s' has no spelling", missing);
    else if (!read || read->entries.count != 1) FAIL("%s", compilation_messages(compilation, false));
    else {
        const int64_t dims[] = {5};
        compare(arena, &function, &read->entries.items[0]->function, random_arguments(arena, &program, dims));
    }
    if (failures > before) printf("%s\n", text.bytes);
    compilation_destroy(compilation);
    arena_destroy(arena);
}

int main(int argc, char **argv) {
    int programs = argc > 1 ? atoi(argv[1]) : PROGRAMS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    for (seed = first; seed < first + (uint64_t)programs && failures < MOST_FAILURES; seed++) check_program();
    return failures != 0;
}
