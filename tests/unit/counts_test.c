// What can be counted without a clock, for some models: kernels, planned operations and bytes, instructions, vectors
// that do not stay in registers in the loops of multiply-adds, calls out of the code, and what a further layer adds. Each has a
// bound, which is what there is now and a little more. Code that got better may lower a bound; what raises one has to
// say why.
#include "tests/unit/host.h"

#include <ctype.h>

enum { HOT_FMAS = 8 };   // so many in an innermost loop make it hot

typedef struct {
    const char *name, *file, *text, *entry;   // file or text
    gradc_kind kind;
    int64_t n;   // the dim N; 0: the train block's batch
    int kernels;
    int64_t flops, bytes;
    int instructions, spills;
} Bound;

static const char rows[] = "dim N\n"
                           "fn probabilities(x: f32[N, 1000]) -> f32[N, 1000] { return softmax(x, axis = 1) }\n"
                           "loss entropy(x: f32[N, 1000] requires_grad, y: i32[N]) { return cross_entropy(x, y) }\n"
                           "use norm = layer_norm<512>\n"
                           "loss normal(x: f32[N, 512] requires_grad) { return sum(sin(norm(x))) }\n";

// The gradients of its matrices lie nowhere.
static const char updates[] = "dim N\nloss l(x: f32[N, 256], y: f32[N, 256]) {\n"
                              "    use one = dense<256, 512, relu>\n    use two = dense<512, 256>\n"
                              "    return mse_loss(two(one(x)), y)\n}\n"
                              "train l { optimizer sgd(lr = 0.1); batch 32 }\n";

static const Bound bounds[] = {
    {"digits", "examples/digits.grad", NULL, "nll", GRADC_KIND_STEP, 0, 10, 2980000, 670000, 2600, 0},
    // One kernel is there to draw what a product would draw again and again.
    {"heat", "examples/heat.grad", NULL, NULL, GRADC_KIND_STEP, 0, 63, 5500000, 1760000, 8000, 0},
    {"lenet", "examples/lenet.grad", NULL, "nll", GRADC_KIND_STEP, 0, 36, 11100000, 5200000, 5400, 0},
    {"gpt", "tests/programs/gpt_block.grad", NULL, NULL, GRADC_KIND_BACKWARD, 8, 65, 780000, 570000, 9000, 0},
    // What it reads from the stack are the sums.
    {"update in products", NULL, updates, NULL, GRADC_KIND_STEP, 0, 10, 45100000, 6700000, 3700, 4},
    {"softmax", NULL, rows, "probabilities", GRADC_KIND_VALUE, 64, 1, 2000000, 520000, 400, 0},
    {"cross entropy, backward", NULL, rows, "entropy", GRADC_KIND_BACKWARD, 64, 1, 780000, 520000, 150, 0},
    {"layer norm, forward", NULL, rows, "normal", GRADC_KIND_FORWARD, 64, 2, 1150000, 400000, 600, 0},
    // What it keeps on the stack are constants of cos.
    {"layer norm, backward", NULL, rows, "normal", GRADC_KIND_BACKWARD, 64, 3, 1680000, 810000, 700, 20},
};

// A processor with 16 vector registers instead of 32 has this much more on the stack.
enum { FEWER_REGISTERS = 64 };

// ---- assembly

typedef struct {
    const char *begin, *end;   // of the line, without its tab
} Line;

typedef struct {
    Line *lines;
    int count;
    int instructions, spills, calls;
} Code;

static Code split(const char *text) {
    Code code = {0};
    for (const char *at = text; *at; at++) code.count += *at == '\n';
    code.lines = malloc((size_t)(code.count + 1) * sizeof *code.lines);
    if (!code.lines) exit(1);
    code.count = 0;
    while (*text) {
        const char *end = text + strcspn(text, "\n");
        code.lines[code.count++] = (Line){text, end};
        text = *end ? end + 1 : end;
    }
    return code;
}

static bool is_instruction(Line line) {
    return line.end > line.begin + 1 && line.begin[0] == '\t' && isalpha((unsigned char)line.begin[1]);
}

static bool has(Line line, const char *words) {
    const char *found = strstr(line.begin, words);
    return found && found < line.end;
}

// The line of the label that a jump leads back to; -1: it is no jump back.
static int jump_target(const Code *code, int number) {
    Line line = code->lines[number];
    if (!is_instruction(line) || line.begin[1] != 'j') return -1;
    const char *label = strstr(line.begin, ".LBB");
    if (!label || label >= line.end) return -1;
    size_t length = (size_t)(line.end - label);
    for (int i = number - 1; i >= 0; i--)
        if (strncmp(code->lines[i].begin, label, length) == 0 && code->lines[i].begin[length] == ':') return i;
    return -1;
}

// Vectors that are written to the stack or read from it in a loop, if that multiplies and adds much.
static int spills_in(const Code *code, int begin, int end) {
    int fmas = 0, spills = 0;
    for (int i = begin; i <= end; i++) {
        Line line = code->lines[i];
        bool vectors = has(line, "%ymm") || has(line, "%zmm");
        fmas += vectors && (has(line, "fmadd") || has(line, "fnmadd"));
        spills += vectors && has(line, "(%rsp)");
    }
    return fmas >= HOT_FMAS ? spills : 0;
}

// Loops are found by jumps back; those with none inside are innermost.
static void count_code(Code *code) {
    int last_begin = -1;   // of the last loop that ended: a loop that holds it begins before that
    for (int i = 0; i < code->count; i++) {
        if (is_instruction(code->lines[i])) code->instructions++;
        code->calls += has(code->lines[i], "\tcall") && !has(code->lines[i], ".part") &&
                       !has(code->lines[i], ".kernel") && !has(code->lines[i], "*");
        int begin = jump_target(code, i);
        if (begin < 0) continue;
        if (begin > last_begin) code->spills += spills_in(code, begin, i);
        if (begin > last_begin) last_begin = begin;
    }
}

// ---- programs

static gradc_program *open_bound(const Bound *bound) {
    gradc_program *program;
    gradc_options options = {.vector_bytes = 32, .threads = 1};
    gradc_status status = bound->file
                              ? gradc_compile_file(bound->file, &options, &program)
                              : gradc_compile_text("counts.grad", bound->text, strlen(bound->text), &options, &program);
    if (status == GRADC_OK) return program;
    printf("%s: %s%s\n", bound->name, gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

static void at_most(const char *name, const char *what, int64_t found, int64_t bound) {
    if (found <= bound) return;
    printf("%s: %lld %s, more than %lld\n", name, (long long)found, what, (long long)bound);
    failures++;
}

static bool is_x86(const char *assembly) {
    return strstr(assembly, "%rsp") || strstr(assembly, "%rdi");
}

static void check_bound(const Bound *bound) {
    gradc_program *program = open_bound(bound);
    const gradc_dim_value dims[] = {{"N", bound->n}, {"T", bound->n}};
    gradc_explain_options options = {.entry = bound->entry, .kind = bound->kind, .dims = dims};
    options.dim_count = bound->n == 0 ? 0 : strstr(bound->name, "gpt") ? 2 : 1;
    gradc_explanation facts;
    const char *assembly = "";
    OK(gradc_explain(program, &options, &facts));
    OK(gradc_dump(program, GRADC_STAGE_ASM, bound->entry, bound->kind, &assembly));
    Code code = split(assembly);
    count_code(&code);
    if (getenv("GRADC_COUNTS"))
        printf("%s: %d kernels, %lld operations, %lld bytes, %d instructions, %d spills\n", bound->name, facts.count,
               (long long)facts.flops, (long long)facts.bytes, code.instructions, code.spills);
    CHECK(facts.count > 0 && facts.flops > 0 && facts.bytes > 0);
    at_most(bound->name, "kernels", facts.count, bound->kernels);
    at_most(bound->name, "operations", facts.flops, bound->flops);
    at_most(bound->name, "bytes", facts.bytes, bound->bytes);
    if (is_x86(assembly)) {
        CHECK(code.instructions > 0);
        at_most(bound->name, "instructions", code.instructions, bound->instructions);
        int allowed = bound->spills + (strstr(assembly, "%ymm16") ? 0 : FEWER_REGISTERS);
        at_most(bound->name, "vectors on the stack in hot loops", code.spills, allowed);
        at_most(bound->name, "calls", code.calls, 0);
    }
    free(code.lines);
    gradc_program_free(program);
}

// ---- what is read across

// A transpose is turned in registers: no lane of a vector is loaded by itself.
static void check_transpose(void) {
    Bound bound = {.name = "transpose",
                   .text = "fn across(x: f32[64, 40]) -> f32[40, 64] { return 2 * transpose(x, 0, 1) }\n"};
    gradc_program *program = open_bound(&bound);
    const char *assembly = "";
    OK(gradc_dump(program, GRADC_STAGE_ASM, "across", GRADC_KIND_VALUE, &assembly));
    Code code = split(assembly);
    int lanes = 0;
    for (int i = 0; i < code.count; i++)
        lanes += has(code.lines[i], "gather") || has(code.lines[i], "\tvinsertps") || has(code.lines[i], "\tvmovss");
    if (is_x86(assembly)) at_most(bound.name, "loads of single lanes", lanes, 0);
    free(code.lines);
    gradc_program_free(program);
}

// ---- what goes past the caches, and what is fetched ahead

// Of long rows from far away the next is fetched, and of long arrays what lies ahead, if much is computed. Results that no cache
// of any machine holds are stored past them, unless they are read again.
static void check_memory(void) {
    static const struct {
        const char *text, *word;
        bool has;
    } cases[] = {
        {"fn f(x: f32[4096, 1000]) -> f32[4096, 1000] { return softmax(x) }\n", "\tprefetch", true},
        {"fn f(x: f32[64, 1000]) -> f32[64, 1000] { return softmax(x) }\n", "\tprefetch", false},
        {"fn f(x: f32[4096, 1000]) -> f32[4096] { return sum(x, axis = 1) }\n", "\tprefetch", false},
        {"fn f(x: f32[1000000]) -> f32[1000000] { return tanh(x) }\n", "\tprefetch", true},
        {"fn f(x: f32[1000]) -> f32[1000] { return tanh(x) }\n", "\tprefetch", false},
        {"fn f(x: f32[1000000]) -> f32[1000000] { return 2 * x }\n", "\tprefetch", false},
        {"fn f(x: f32[1000000]) -> f32 { return sum(tanh(x)) }\n", "\tprefetch", true},
        {"fn f(x: f32[20000000]) -> f32[20000000] { return 2 * x }\n", "movnt", true},
        {"fn f(x: f32[100000]) -> f32[100000] { return 2 * x }\n", "movnt", false},
        {"fn f(x: f32[20000, 1024]) -> f32[20000, 1024] { return softmax(x) }\n", "movnt", true},
        {"fn f(x: f32[20000, 1024]) -> (f32[20000, 1024], f32[1024]) {\n    y = softmax(x)\n"
         "    return y, sum(y, axis = 0)\n}\n",
         "movnt", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gradc_program *program = open_bound(&(Bound){.name = "memory", .text = cases[i].text});
        const char *assembly = "";
        OK(gradc_dump(program, GRADC_STAGE_ASM, "f", GRADC_KIND_VALUE, &assembly));
        bool has_word = strstr(assembly, cases[i].word) != NULL;
        if (is_x86(assembly) && has_word != cases[i].has)
            printf("%s: \"%s\" is %s\n", cases[i].text, cases[i].word + 1, has_word ? "there" : "missing"), failures++;
        gradc_program_free(program);
    }
}

// ---- layers

static const char alike[] = "dim N\n"
                            "net deep(x: float[N, 16]) -> float[N, 16] {\n"
                            "    use block[%d] = dense<16, 16, relu>\n"
                            "    for b in block { x = b(x) }\n"
                            "    return x\n"
                            "}\n"
                            "loss error(x: float[N, 16], y: float[N, 16]) { return mse_loss(deep(x), y) }\n"
                            "train error { optimizer adam(lr = 1e-3); batch 64 }\n";

// Of eight widths in turn.
static const char differing[] = "dim N\n"
                                "net deep(x: float[N, 16]) -> float[N, *] {\n"
                                "    use layer[i in 0:%d] = dense<16 + i %% 8, 16 + (i + 1) %% 8, relu>\n"
                                "    for l in layer { x = l(x) }\n"
                                "    return x\n"
                                "}\n"
                                "loss error(x: float[N, 16]) { return mean(deep(x)^2) }\n"
                                "train error { optimizer adam(lr = 1e-3); batch 64 }\n";

typedef struct {
    int kernels, instructions;
} Size;

static Size size_of(const char *family, int layers) {
    char text[1000];
    Bound bound = {.name = "layers", .text = text};
    gradc_explanation facts;
    const char *assembly = "";
    snprintf(text, sizeof text, family, layers);
    gradc_program *program = open_bound(&bound);
    OK(gradc_explain(program, &(gradc_explain_options){.kind = GRADC_KIND_STEP}, &facts));
    OK(gradc_dump(program, GRADC_STAGE_ASM, NULL, GRADC_KIND_STEP, &assembly));
    Code code = split(assembly);
    count_code(&code);
    Size size = {facts.count, code.instructions};
    free(code.lines);
    gradc_program_free(program);
    return size;
}

// Layers that are alike share their code, next to each other or not: one more adds kernels to run, and calls, but no
// loops.
static void check_layers(const char *name, const char *family, int few_layers, int many_layers, int instructions) {
    enum { KERNELS = 4 };
    int layers = many_layers - few_layers;
    Size few = size_of(family, few_layers), many = size_of(family, many_layers);
    if (getenv("GRADC_COUNTS"))
        printf("a layer, %s: %d kernels, %d instructions\n", name, (many.kernels - few.kernels) / layers,
               (many.instructions - few.instructions) / layers);
    CHECK(many.kernels > few.kernels);
    at_most(name, "kernels", (many.kernels - few.kernels) / layers, KERNELS);
    at_most(name, "instructions", (many.instructions - few.instructions) / layers, instructions);
}

// ---- loops

// In the loops of a step there is one product forward, of the state, and one backward: those of the inputs stand before
// the loop, those of the weights' gradients behind it. Functions are computed once, forward.
static void check_recurrent(void) {
    static const struct {
        const char *net;
        int kernels;     // in loops, for each time they run
        int64_t flops;   // of the whole step
    } layers[] = {{"rnn", 3, 1350000}, {"lstm", 4, 5500000}, {"gru", 13, 4150000}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "dim N\nloss l(x: f32[N, 8, 24], y: f32[N, 8, 32]) {\n    use memory = %s<24, 32>\n"
                 "    return mse_loss(memory(x), y)\n}\ntrain l { optimizer sgd(lr = 0.1); batch 16 }\n",
                 layers[i].net);
        gradc_program *program = open_bound(&(Bound){.name = layers[i].net, .text = text});
        gradc_explanation facts;
        OK(gradc_explain(program, &(gradc_explain_options){.kind = GRADC_KIND_STEP}, &facts));
        int kernels = 0, products = 0;
        for (int k = 0; k < facts.count; k++) {
            kernels += facts.kernels[k].depth > 0;
            products += facts.kernels[k].depth > 0 && strcmp(facts.kernels[k].kind, "contract") == 0;
        }
        if (getenv("GRADC_COUNTS"))
            printf("%s: %d kernels and %d products in loops, %lld operations\n", layers[i].net, kernels, products,
                   (long long)facts.flops);
        at_most(layers[i].net, "kernels in loops", kernels, layers[i].kernels);
        at_most(layers[i].net, "products in loops", products, 2);
        at_most(layers[i].net, "operations", facts.flops, layers[i].flops);
        gradc_program_free(program);
    }
}

int main(void) {
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) check_bound(&bounds[i]);
    check_transpose();
    check_memory();
    check_layers("alike", alike, 12, 36, 75);
    check_layers("of eight widths", differing, 24, 48, 90);
    check_recurrent();
    return failures != 0;
}
