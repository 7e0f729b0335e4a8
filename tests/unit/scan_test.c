// What a loop costs to compile does not depend on how often it runs, reverse mode included.
#include "compilation.h"
#include "tests/unit/entries.h"

#include <stdlib.h>
#include <string.h>

static int failures;

enum { TEXT = 1 << 14 };

typedef struct {
    int nodes, kernels, loops;
} Cost;

static int count_nodes(Compilation *compilation, const Function *function) {
    Node **roots = result_nodes(compilation->arena, function);
    NodeArray nodes = reachable(compilation->program->graph, roots, function->result_count);
    int total = nodes.count;
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->body) total += count_nodes(compilation, nodes.items[i]->body);
    return total;
}

static void count_kernels(const KernelArray *kernels, Cost *cost) {
    for (int i = 0; i < kernels->count; i++) {
        cost->kernels++;
        cost->loops += kernels->items[i]->kind == KERNEL_LOOP;
        count_kernels(&kernels->items[i]->body, cost);
    }
}

// Of the entry's forward or backward function.
static Cost cost_of(Compilation *compilation, const char *entry, FunctionKind kind) {
    FunctionKey key = {.kind = kind, .entry = entry_of(compilation->program, entry)};
    Joint joint = joint_of(compilation, key);
    const Extent *tape;
    const KernelProgram *kernels = kernels_of(compilation, key, &tape);
    Cost cost = {0};
    if (!kernels || !run_passes(compilation, &joint.function, STAGE_OPT)) {
        printf("%s: %s\n", entry, compilation_messages(compilation, false));
        exit(1);
    }
    cost.nodes = count_nodes(compilation, &joint.function);
    count_kernels(&kernels->kernels, &cost);
    return cost;
}

// The thousand steps of predator_prey.grad are one loop forward and one backward, as large as the loops of two steps.
static void check_scan(void) {
    static char text[TEXT];
    CompileOptions options = {.floating = DTYPE_F64, .verify = true};
    size_t length = source_text("tests/programs/predator_prey.grad", text, TEXT);
    Compilation *many = compilation_create("many.grad", text, length, &options);
    char *steps = strstr(text, "const steps = 1000");
    memcpy(steps, "const steps = 2   ", strlen("const steps = 1000"));
    Compilation *few = compilation_create("few.grad", text, length, &options);
    for (FunctionKind kind = KIND_FORWARD; kind <= KIND_BACKWARD; kind++) {
        Cost a = cost_of(many, "miss", kind), b = cost_of(few, "miss", kind);
        if (a.nodes == b.nodes && a.kernels == b.kernels && a.loops == 1 && b.loops == 1) continue;
        printf("1000 steps: %d nodes, %d kernels, %d loops; 2 steps: %d nodes, %d kernels, %d loops\n", a.nodes,
               a.kernels, a.loops, b.nodes, b.kernels, b.loops);
        failures++;
    }
    compilation_destroy(many);
    compilation_destroy(few);
}

int main(void) {
    check_scan();
    printf("%d failures\n", failures);
    return failures != 0;
}
