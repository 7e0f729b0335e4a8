// The arena of a training step is little larger than what lives in it at once, whatever the open dims are.
#include "compiler/compilation.h"
#include "runtime/internal.h"
#include "tests/unit/host.h"

enum { MOST_DIMS = 8 };
static const double MOST = 1.2;   // times what lives at once

static const char wide[] = "dim N\nloss l(x: f32[N, 512], y: f32[N, 512]) {\n"
                           "    use one = dense<512, 1024, gelu>\n    use two = dense<1024, 512>\n"
                           "    return mse_loss(two(one(x)), y)\n}\n"
                           "train l { optimizer adam; batch 32 }\n";

typedef struct {
    const char *file, *text;
} Case;

static const Case cases[] = {
    {"examples/digits.grad", NULL},     {"examples/heat.grad", NULL},
    {"examples/lenet.grad", NULL},      {"examples/names.grad", NULL},
    {"examples/vae.grad", NULL},        {"tests/programs/lstm.grad", NULL},
    {"tests/programs/maml.grad", NULL}, {"wide", wide},
};

static void check_step(const Case *item, Compilation *compilation, const TrainBlock *train) {
    const Extent *tape;
    KernelProgram *kernels = kernels_of(compilation, (FunctionKey){.kind = KIND_STEP, .train = train}, &tape);
    CHECK(kernels != NULL);
    if (!kernels) return;
    const Extent **live = kernel_program_live(kernels);
    for (int64_t size = 32; size <= 2048; size *= 4) {
        int64_t dims[MOST_DIMS], least = 1;
        for (int i = 0; i < MOST_DIMS; i++) dims[i] = size;
        for (int i = 0; i < kernels->kernels.count; i++) {
            int64_t bytes = extent_evaluate(live[i], dims, NULL);
            if (bytes > least) least = bytes;
        }
        double times = (double)extent_evaluate(kernels->scratch_bytes, dims, NULL) / (double)least;
        if (getenv("GRADC_COUNTS")) printf("%s, %lld: %.3f\n", item->file, (long long)size, times);
        if (times < 1 || times > MOST) {
            printf("%s: for dims of %lld the arena has %.2f times what lives at once\n", item->file, (long long)size,
                   times);
            failures++;
        }
    }
}

static void check_steps(const Case *item, const gradc_program *program) {
    Compilation *compilation = program->compilation;
    if (setjmp(*arena_recover(compilation->arena))) exit(1);
    CHECK(compilation->program->trains.count > 0);
    for (int i = 0; i < compilation->program->trains.count; i++)
        check_step(item, compilation, compilation->program->trains.items[i]);
}

int main(void) {
    gradc_options options = {.vector_bytes = 32, .threads = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *item = &cases[i];
        gradc_program *program;
        gradc_status status = item->text
                                  ? gradc_compile_text("wide.grad", item->text, strlen(item->text), &options, &program)
                                  : gradc_compile_file(item->file, &options, &program);
        CHECK(status == GRADC_OK);
        if (status) continue;
        check_steps(item, program);
        gradc_program_free(program);
    }
    return failures != 0;
}
