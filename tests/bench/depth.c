// What compiling costs as models grow deeper: a training step of 10, 100 and 1,000 dense layers, alike (`use block[n]`)
// and of differing widths. Time and sizes should grow as the layers do. The last two columns are processor time, which
// a busy machine does not stretch.
//
//     ninja -C BUILD depth && BUILD/tests/depth [LAYERS...]
#include "compilation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT = 1 << 10 };

typedef struct {
    const char *name, *text;   // of layers, and of width of the result
} Family;

static const Family families[] = {
    {"alike", "dim N\n"
              "net deep(x: float[N, 16]) -> float[N, 16] {\n"
              "    use block[%d] = dense<16, 16, relu>\n"
              "    for b in block { x = b(x) }\n"
              "    return x\n"
              "}\n"
              "loss error(x: float[N, 16], y: float[N, 16]) { return mse_loss(deep(x), y) }\n"
              "train error { optimizer adam(lr = 1e-3); batch 64 }\n"},
    {"differing", "dim N\n"
                  "net deep(x: float[N, 16]) -> float[N, *] {\n"
                  "    use layer[i in 0:%d] = dense<16 + i %% 8, 16 + (i + 1) %% 8, relu>\n"
                  "    for l in layer { x = l(x) }\n"
                  "    return x\n"
                  "}\n"
                  "loss error(x: float[N, 16]) { return mean(deep(x)^2) }\n"
                  "train error { optimizer adam(lr = 1e-3); batch 64 }\n"},
};
enum { FAMILIES = sizeof families / sizeof *families };

static int count_kernels(const KernelArray *kernels) {
    int total = kernels->count;
    for (int i = 0; i < kernels->count; i++) total += count_kernels(&kernels->items[i]->body);
    return total;
}

// Nodes and kernels of the step. The passes find all their nodes again, so this costs no compile time worth naming.
static void print_sizes(Compilation *compilation, FunctionKey key) {
    Joint joint = joint_of(compilation, key);
    const Extent *tape;
    const KernelProgram *kernels = kernels_of(compilation, key, &tape);
    if (!kernels || !run_passes(compilation, &joint.function, STAGE_OPT)) exit(1);
    Node **roots = result_nodes(compilation->arena, &joint.function);
    NodeArray nodes = reachable(compilation->program->graph, roots, joint.function.result_count);
    printf("%8d %8d", nodes.count, count_kernels(&kernels->kernels));
}

static void measure(const Family *family, int layers) {
    char text[TEXT];
    CompileOptions options = {.floating = DTYPE_F32};
    int length = snprintf(text, TEXT, family->text, layers);
    clock_t start = clock();
    Compilation *compilation = compilation_create("depth.grad", text, (size_t)length, &options);
    if (!compilation || !compilation_program(compilation)) {
        printf("%s\n", compilation ? compilation_messages(compilation, false) : "no memory");
        exit(1);
    }
    FunctionKey key = {.kind = KIND_STEP, .train = compilation_program(compilation)->trains.items[0]};
    if (!compile_function(compilation, key)) {
        printf("%s\n", compilation_messages(compilation, false));
        exit(1);
    }
    double all = (double)(clock() - start) * 1e3 / CLOCKS_PER_SEC;
    Timings times = compilation_timings(compilation);
    printf("%-10s %6d", family->name, layers);
    print_sizes(compilation, key);
    printf(" %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f %10.3f\n", times.elaborate_ms, times.differentiate_ms,
           times.simplify_ms, times.kernels_ms, times.emit_ms, times.machine_code_ms, all, all / layers);
    fflush(stdout);
    compilation_destroy(compilation);
}

int main(int argc, char **argv) {
    static const int depths[] = {10, 100, 1000};
    printf(
        "milliseconds      layers    nodes  kernels  elaborate      diff.   simplify    kernels       emit       LLVM"
        "  processor  per layer\n");
    for (int i = 0; i < FAMILIES; i++)
        for (int k = 0; k < (argc > 1 ? argc - 1 : 3); k++)
            measure(&families[i], argc > 1 ? atoi(argv[k + 1]) : depths[k]);
    return 0;
}
