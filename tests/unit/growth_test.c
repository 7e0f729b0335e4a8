// How graphs and their kernels grow, reverse mode included: not with the steps of a loop, and as the layers of a model do.
#include "compilation.h"
#include "tests/unit/entries.h"

#include <stdlib.h>
#include <string.h>

static int failures;

enum { TEXT = 1 << 14 };

typedef struct {
    int nodes, kernels, loops;
    double bytes;   // of memory, for all that is compiled
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
    cost.bytes = (double)arena_used(compilation->arena);
    return cost;
}

// ---- steps

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

// ---- layers

static const char *const families[] = {
    "dim N\n"
    "net deep(x: float[N, 16]) -> float[N, *] {\n"
    "    use block[%d] = dense<16, 16, relu>\n"
    "    for b in block { x = b(x) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, 16]) { return mean(deep(x)^2) }\n",
    "dim N\n"
    "net deep(x: float[N, 16]) -> float[N, *] {\n"
    "    use layer[i in 0:%d] = dense<16 + i %% 8, 16 + (i + 1) %% 8, relu>\n"
    "    for l in layer { x = l(x) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, 16]) { return mean(deep(x)^2) }\n",
    "dim N\n"
    "net layer(x: float[N, 8]) -> float[N, 8] { use d = dense<8, 8>; use n = batch_norm<8>; return x + tanh(n(d(x))) "
    "}\n"
    "net deep(x: float[N, 8]) -> float[N, 8] {\n"
    "    use block[%d] = layer\n"
    "    for b in block { x = b(x) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, 8] requires_grad) {\n"
    "    y = deep(x)\n"
    "    return mean(y^2) + mean(grad(sum(y), x)^2)\n"
    "}\n",
    "dim N\n"
    "net deep(x: float[N, 4, 8, 8]) -> float[N, 4, 8, 8] {\n"
    "    use block[%d] = conv2d<4, 4, 3, padding = 1>\n"
    "    for b in block { x = relu(b(x)) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, 4, 8, 8]) { return mean(deep(x)^2) }\n",
    "dim N, T\n"
    "net deep(x: float[N, T, 8]) -> float[N, T, 8] {\n"
    "    use block[%d] = transformer_block<8, 2, causal = true>\n"
    "    for b in block { x = b(x) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, T, 8]) { return mean(deep(x)^2) }\n",
    "dim N, T\n"
    "net deep(x: float[N, T, 8]) -> float[N, T, 8] {\n"
    "    use block[%d] = lstm<8, 8>\n"
    "    for b in block { x = b(x) }\n"
    "    return x\n"
    "}\n"
    "loss error(x: float[N, T, 8]) { return mean(deep(x)^2) }\n",
};

// As many more nodes for the last layers as for as many before, and about as many kernels, which join reductions in groups,
// and as much memory: what took room for the whole graph in each loop would take 5 / 3 of that.
static void check_layers(const char *family) {
    CompileOptions options = {.floating = DTYPE_F32, .verify = true};
    for (FunctionKind kind = KIND_FORWARD; kind <= KIND_BACKWARD; kind++) {
        Cost costs[3];
        for (int i = 0; i < 3; i++) {
            char text[TEXT];
            int length = snprintf(text, TEXT, family, 16 * (i + 1));
            Compilation *compilation = compilation_create("deep.grad", text, (size_t)length, &options);
            costs[i] = cost_of(compilation, "error", kind);
            compilation_destroy(compilation);
        }
        int nodes = costs[1].nodes - costs[0].nodes, kernels = costs[1].kernels - costs[0].kernels;
        int bend = costs[2].kernels - costs[1].kernels - kernels;
        double growth = (costs[2].bytes - costs[1].bytes) / (costs[1].bytes - costs[0].bytes);
        if (costs[2].nodes - costs[1].nodes == nodes && nodes > 0 && abs(bend) <= 2 && growth < 1.4) continue;
        printf("%.2f of the memory for as many layers more; ", growth);
        printf("16, 32, 48 layers: %d, %d, %d nodes, %d, %d, %d kernels of\n%s", costs[0].nodes, costs[1].nodes,
               costs[2].nodes, costs[0].kernels, costs[1].kernels, costs[2].kernels, family);
        failures++;
    }
}

int main(void) {
    check_scan();
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) check_layers(families[i]);
    printf("%d failures\n", failures);
    return failures != 0;
}
