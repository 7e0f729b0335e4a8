// The speed of contractions, one thread. Reads lines `LAYOUT M N K`, where LAYOUT is nn, nt or tn (which operand lies
// transposed), and answers each with the best GF/s over some tenths of a second. contract.py asks NumPy in turn.
#include "emit/emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static Node *matrix(Graph *graph, int64_t rows, int64_t columns) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "x"};
    const Extent *shape[] = {extent_constant(graph->extents, rows), extent_constant(graph->extents, columns)};
    return variable_make(graph, &variable, DTYPE_F32, shape, 2);
}

static KernelProgram *product(Arena *arena, const char *layout, int64_t m, int64_t n, int64_t k) {
    Graph *graph = graph_create(arena);
    bool left_turned = layout[0] == 't', right_turned = layout[1] == 't';
    Node *x = left_turned ? matrix(graph, k, m) : matrix(graph, m, k);
    Node *y = right_turned ? matrix(graph, n, k) : matrix(graph, k, n);
    int x_labels[] = {left_turned ? 2 : 0, left_turned ? 0 : 2},
        y_labels[] = {right_turned ? 1 : 2, right_turned ? 2 : 1};
    Node *result = contract(graph, x, y, x_labels, y_labels, (int[]){0, 1}, 2);
    const Extent *zero = extent_constant(graph->extents, 0);
    Placement leaves[] = {{x, SPACE_INPUT, 0, zero, false}, {y, SPACE_INPUT, 1, zero, false}};
    Placement results[] = {{result, SPACE_OUTPUT, 0, zero, false}};
    KernelProgram *program = kernel_program_create(graph, "product", 1);
    kernel_program_add(program, leaves, 2, results, 1);
    kernel_program_plan(program);
    return program;
}

static float *numbers(int64_t count) {
    float *data = aligned_alloc(64, ((size_t)count * sizeof(float) + 63) / 64 * 64);
    for (int64_t i = 0; i < count; i++) data[i] = (float)(i % 17) - 8;
    return data;
}

static double best_time(gradc_function *code, const gradc_frame *frame) {
    double best = 1e9, until = seconds() + 0.2;
    int repeat = 1;
    do {
        double start = seconds();
        for (int i = 0; i < repeat; i++) code(frame);
        double each = (seconds() - start) / repeat;
        if (each < best) best = each;
        if (each * repeat < 1e-3) repeat *= 2;
    } while (seconds() < until);
    return best;
}

static void measure(Jit *jit, const char *layout, int64_t m, int64_t n, int64_t k) {
    Arena *arena = arena_create();
    KernelProgram *program = product(arena, layout, m, n, k);
    double emit_ms = 0, code_ms = 0;
    char *message = NULL;
    gradc_function *code = jit_compile(jit, program, &emit_ms, &code_ms, &message);
    if (!code) {
        printf("failed: %s\n", message);
        exit(1);
    }
    int64_t fault[2], scratch = extent_evaluate(program->scratch_bytes, NULL, NULL);
    float *x = numbers(m * k), *y = numbers(k * n), *z = numbers(m * n), *room = numbers(scratch / 4 + 1);
    const void *inputs[] = {x, y};
    void *outputs[] = {z};
    gradc_frame frame = {.inputs = inputs, .outputs = outputs, .scratch = room, .fault = fault};
    double time = best_time(code, &frame);
    printf("%.2f\n", 2e-9 * (double)(m * n * k) / time);
    fprintf(stderr, "%s %lld %lld %lld: %.2f GF/s, %.3f us, emitted in %.1f ms, compiled in %.1f ms\n", layout,
            (long long)m, (long long)n, (long long)k, 2e-9 * (double)(m * n * k) / time, time * 1e6, emit_ms, code_ms);
    if (getenv("GRADC_BENCH_LLVM")) fputs(emit_llvm_text(jit, program), stderr);
    if (getenv("GRADC_BENCH_ASM")) fputs(emit_assembly_text(jit, program), stderr);
    free(x), free(y), free(z), free(room);
    arena_destroy(arena);
}

int main(int count, char **arguments) {
    char *message = NULL, layout[3];
    Jit *jit = jit_create(NULL, count > 1 ? atoi(arguments[1]) : 0, &message);
    if (!jit) {
        printf("no jit: %s\n", message);
        return 1;
    }
    long long m, n, k;
    while (scanf("%2s %lld %lld %lld", layout, &m, &n, &k) == 4) {
        measure(jit, layout, m, n, k);
        fflush(stdout);
    }
    jit_destroy(jit);
    return 0;
}
