// The tests with random programs find what is wrong, and make it small: faults that are put into programs, checks that
// crash or hang, and reductions of programs for a property that takes few nodes.
#include "check.h"
#include "compile.h"
#include "graph/rewrite.h"
#include "graph_reduce.h"
#include "random_program.h"
#include "random_text.h"
#include "reduce_text.h"
#include "text_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- verdicts

static void crash(void *context, Verdict *verdict) {
    (void)context, (void)verdict;
    fprintf(stderr, "about to fail");
    abort();
}

static void hang(void *context, Verdict *verdict) {
    (void)verdict;
    for (volatile int *forever = context; *forever;) {
    }
}

static void count(void *context, Verdict *verdict) {
    verdict->counts[0] = *(int *)context;
}

static void test_isolation(void) {
    int number = 7;
    Verdict verdict = isolated(crash, NULL, 10);
    CHECK(verdict.kind == FAULT_CRASH && strstr(verdict.message, "about to fail"));
    CHECK(isolated(hang, &number, 1).kind == FAULT_HANG);
    verdict = isolated(count, &number, 10);
    CHECK(verdict.kind == FAULT_NONE && verdict.counts[0] == 7);
}

static const struct {
    const char *what, *text;
    FaultKind kind;
} texts[] = {
    {"nothing wrong",
     "dim N\n"
     "net line(x: float[N, 3]) -> float[N] { param w: float[3] ~ ones; return tanh(x @ w) }\n"
     "loss main(x: float[N, 3] requires_grad) { return mean(line(x)^2) }\n"
     "train main { optimizer adam }\n",
     FAULT_NONE},
    {"a wrong derivative",
     "fn twice(x: float[*]) -> float[*] {\n"
     "    derivative(ct) = 3 * ct\n"
     "    return 2 * x\n"
     "}\n"
     "loss main(x: float[4] requires_grad) { return sum(twice(sin(x))) }\n",
     FAULT_DIFFERENCES},
    {"a wrong second derivative",
     "fn cube(x: float[*]) -> float[*] {\n"
     "    derivative(ct) = ct * 3 * square(x)\n"
     "    return x^3\n"
     "}\n"
     "fn square(x: float[*]) -> float[*] {\n"
     "    derivative(ct) = ct * x\n"
     "    return x^2\n"
     "}\n"
     "loss main(x: float[4] requires_grad) { return sum(cube(x)) }\n",
     FAULT_DIFFERENCES},
    {"another dtype", "loss main(x: float[4]) { return sum(x * f64(1)) }\n", FAULT_REFUSED},
    {"a mistake", "loss main(x: float[4]) { return sum(y) }\n", FAULT_REFUSED},
};

static void test_texts(void) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        TextCheck check = {texts[i].text, 3, true, 2};
        Verdict verdict = isolated(text_check, &check, 60);
        if (verdict.kind == texts[i].kind) continue;
        printf("%s: %s: %s\n", texts[i].what, fault_name(verdict.kind), verdict.message);
        failures++;
    }
}

// ---- reductions

static bool reaches(Graph *graph, const Function *function, Op op) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->op == op || (nodes.items[i]->body && reaches(graph, nodes.items[i]->body, op))) return true;
    return false;
}

// The program compiles, and something of it is an error function within a loop's body.
static bool has_loop_with_erf(void *context, const char *text) {
    (void)context;
    CompileOptions options = {.floating = DTYPE_F64};
    Compilation *compilation = compilation_create("text", text, strlen(text), &options);
    const Program *program = compilation_program(compilation);
    bool found = false;
    for (int i = 0; program && i < program->entries.count; i++) {
        const Function *function = &program->entries.items[i]->function;
        found = found || (reaches(program->graph, function, OP_loop) && reaches(program->graph, function, OP_erf));
    }
    compilation_destroy(compilation);
    return found;
}

static void test_text_reduction(void) {
    enum { TRIES = 3000, MOST_LENGTH = 220, TEXTS = 2 };
    int found = 0;
    for (uint64_t seed = 0; found < TEXTS && seed < 400; seed++) {
        Arena *arena = arena_create();
        const char *text = random_text(arena, seed);
        if (has_loop_with_erf(NULL, text)) {
            Reduction reduction;
            const char *small = reduce_text(arena, text, has_loop_with_erf, NULL, TRIES, &reduction);
            found++;
            CHECK(has_loop_with_erf(NULL, small) && reduction.taken > 5);
            if (strlen(small) > MOST_LENGTH) {
                printf("seed %d was reduced from %d bytes only to:\n%s", (int)seed, (int)strlen(text), small);
                failures++;
            }
        }
        arena_destroy(arena);
    }
    CHECK(found == TEXTS);
}

static bool has_atan(void *context, const Function *function) {
    return reaches(context, function, OP_atan);
}

static void test_graph_reduction(void) {
    enum { TRIES = 3000, MOST_NODES = 16 };
    int found = 0;
    for (uint64_t seed = 0; found < 5 && seed < 200; seed++) {
        Arena *arena = arena_create();
        Graph *graph = graph_create(arena);
        RandomProgram program = random_program(graph, seed, DTYPE_F64, RANDOM_NODES);
        if (reaches(graph, &program.function, OP_atan)) {
            found++;
            Function small = reduce_graph(graph, program.function, has_atan, graph, TRIES);
            CHECK(!verify_function(graph, &small) && reaches(graph, &small, OP_atan));
            if (graph_size(graph, &small) > MOST_NODES) {
                printf("seed %d was reduced only to %d nodes\n", (int)seed, graph_size(graph, &small));
                failures++;
            }
        }
        arena_destroy(arena);
    }
    CHECK(found == 5);
}

int main(void) {
    test_isolation();
    test_texts();
    test_text_reduction();
    test_graph_reduction();
    return failures != 0;
}
