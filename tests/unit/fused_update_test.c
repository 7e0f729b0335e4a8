// The optimizer's update where the gradient is computed, or apart from it: the same bits, for every optimizer of the
// library, for any number of threads and any width of vectors, as of a step made of forward, backward and update. Where
// it is fused, no gradient of a product lies in memory; where it cannot be, nothing is.
#include "compiler/compilation.h"
#include "runtime/internal.h"
#include "tests/unit/host.h"

enum { ROWS = 61, MOST = 70, STEPS = 4 };
static float inputs[ROWS * MOST], more[ROWS * MOST];
static int32_t classes[ROWS];

typedef struct {
    const char *name, *net;   // of x: f32[N, width] to f32[N, width]
    int width;
    int products;   // at least so many update parameters where ALWAYS says so
} Net;

static const Net nets[] = {
    {"layers",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    use one = dense<9, 33, tanh>\n    use two = dense<33, 17, relu>\n    use three = dense<17, 9>\n"
     "    return three(two(one(x)))\n}\n",
     9, 3},
    // A gradient that reads another parameter, whose gradient reads this one: neither can be updated first.
    {"one matrix several times, and its transpose",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    param W: f32[9, 9] ~ xavier_normal\n    param V: f32[9, 9] ~ xavier_normal\n"
     "    return tanh(tanh(x @ W) @ V @ transpose(W)) @ W + x @ (W * V)\n}\n",
     9, 0},
    {"a loop",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    param W: f32[9, 9] ~ xavier_normal\n    param U: f32[9, 9] ~ xavier_normal\n    h = x @ U\n"
     "    for t in 0:5 { h = tanh(h @ W + x) }\n"
     "    return h\n}\n",
     9, 1},
    // The second one's weights are read behind the product that computes their gradient.
    {"windows",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    use one = conv2d<1, 6, 3, padding = 1>\n    use two = conv2d<6, 4, 3, padding = 1>\n"
     "    use three = dense<36, 9>\n"
     "    return three(reshape(relu(two(relu(one(reshape(x, [N, 1, 3, 3]))))), [N, 36]))\n}\n",
     9, 3},
    {"a matrix that several products of the backward read",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    param W: f32[9, 9] ~ xavier_normal\n"
     "    return x @ W + 0.1 * (x @ transpose(W) @ W @ W)\n}\n",
     9, 1},
    {"an instance twice, and one that is frozen",
     "net n(x: f32[N, 9]) -> f32[N, 9] {\n"
     "    use one = dense<9, 9, tanh>\n    use fixed = dense<9, 9, tanh> frozen\n    use last = dense<9, 9>\n"
     "    return last(one(fixed(one(x))))\n}\n",
     9, 2},
    {"large",
     "net n(x: f32[N, 70]) -> f32[N, 70] {\n"
     "    use one = dense<70, 210, tanh>\n    use two = dense<210, 131, relu>\n    use three = dense<131, 70>\n"
     "    return three(two(one(x)))\n}\n",
     70, 3},
    {"larger: shared by threads",
     "net n(x: f32[N, 70]) -> f32[N, 70] {\n"
     "    use one = dense<70, 610, tanh>\n    use two = dense<610, 1031, relu>\n    use three = dense<1031, 70>\n"
     "    return three(two(one(x)))\n}\n",
     70, 3},
};
enum {
    NETS = sizeof nets / sizeof *nets,
    SMALL_NETS = NETS - 2,
    LARGE = NETS - 2,
    SHARED = NETS - 1,
    MAIN_SETTINGS = 5
};

// Its new parameter is none of the old one, which becomes a state.
static const char swap[] = "optimizer swap(p: float[*], g: float[*]) -> float[*] {\n"
                           "    state other: float[*] ~ zeros\n    old = other\n    other = p\n"
                           "    return 0.5 * old - 0.1 * g\n}\n";

static const char *const settings[] = {
    "optimizer sgd(lr = 0.1)",
    "optimizer sgd(lr = 0.1, momentum = 0.9, weight_decay = 0.01)",
    "optimizer swap",
    "optimizer adam(lr = 0.01)",
    "optimizer adam(lr = exponential_decay(iteration, 0.1, 0.9), amsgrad = true, weight_decay = 0.1)",
    "optimizer sgd(lr = 0.1, momentum = 0.9, dampening = 0.1, nesterov = true)",
    "optimizer adamw",
    "optimizer adamax",
    "optimizer rmsprop(momentum = 0.5, centered = true)",
    "optimizer adagrad",
    "optimizer adadelta",
    "optimizer nadam",
    "optimizer radam",
    "optimizer rprop",
    "optimizer muon; optimizer adam for \"*.b\"",
    "optimizer adam; optimizer sgd(lr = 0.5) for \"*.two.W\"",
    "optimizer adam; gradient clip_value(0.01)",
    "optimizer adam; gradient clip_norm(0.01)",
};
enum { SETTINGS = sizeof settings / sizeof *settings };

typedef struct {
    const char *name;
    int width, threads;
    Decision decision;
    bool split;
} Way;

static const Way apart = {"apart", 32, 1, NEVER, false};

static gradc_program *open_net(const Net *net, const char *training, const Way *way) {
    char text[2048];
    snprintf(text, sizeof text,
             "dim N\n%s%sloss l(x: f32[N, %d], y: i32[N], z: f32[N, %d]) {\n"
             "    o = n(x)\n    return cross_entropy(o, y) + 0.1 * mse_loss(o, z)\n}\ntrain l { %s; batch %d }\n",
             net->net, swap, net->width, net->width, training, ROWS);
    gradc_program *program;
    gradc_options options = {.verify = true, .vector_bytes = way->width, .threads = way->threads};
    if (gradc_compile_text("test.grad", text, strlen(text), &options, &program) != GRADC_OK) {
        printf("%s: %s%s\n", net->name, gradc_diagnostics(program, false), gradc_message(program));
        exit(1);
    }
    program->compilation->options.fuse_updates = way->decision;
    return program;
}

static void one_step(gradc_program *program, gradc_trainer *trainer, gradc_call *call, bool split) {
    if (!split) {
        OK(gradc_trainer_step(trainer, NULL));
        return;
    }
    gradc_zero_grad(program);
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    OK(gradc_trainer_update(trainer));
}

// The parameters after some steps; free() them.
static float *train(const Net *net, const char *training, const Way *way, size_t *bytes) {
    gradc_program *program = open_net(net, training, way);
    gradc_trainer *trainer = create_trainer(program, "l");
    gradc_call *call = create_call(program, "l");
    gradc_tensor arrays[] = {{GRADC_F32, 2, {ROWS, net->width}, inputs},
                             {GRADC_I32, 1, {ROWS}, classes},
                             {GRADC_F32, 2, {ROWS, net->width}, more}};
    for (int i = 0; i < 3; i++) {
        OK(gradc_trainer_bind(trainer, i, &arrays[i]));
        OK(gradc_call_bind(call, i, &arrays[i]));
    }
    gradc_call_set_training(call, true);
    OK(gradc_initialise(program, 3));
    for (int i = 0; i < STEPS; i++) one_step(program, trainer, call, way->split);
    CHECK(way->threads == 1 || program->team);   // the test is about something
    *bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *copy = malloc(*bytes);
    if (!copy) exit(1);
    memcpy(copy, gradc_parameters(program), *bytes);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
    return copy;
}

static void test_bits(const Net *net, const char *training, const Way *ways, int count) {
    size_t bytes;
    float *first = train(net, training, &apart, &bytes);
    for (int i = 0; i < count; i++) {
        float *found = train(net, training, &ways[i], &bytes);
        if (memcmp(first, found, bytes) != 0) {
            printf("%s, %s: %s and %s differ\n", net->name, training, apart.name, ways[i].name);
            failures++;
        }
        free(found);
    }
    free(first);
}

// ---- that it is fused

// Products that store parameters.
static int count_fused(const char *kernels) {
    int count = 0;
    bool product = false;
    for (const char *line = kernels; *line;) {
        const char *end = line + strcspn(line, "\n");
        char copy[512];
        snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
        if (copy[0] != ' ') product = strncmp(copy, "contract", 8) == 0;
        if (product && strstr(copy, "store") && strstr(copy, " to n.")) {
            count++;
            product = false;
        }
        line = *end ? end + 1 : end;
    }
    return count;
}

static int products_of(const Net *net, const char *training, Decision decision) {
    const char *kernels = "";
    Way way = {"", 32, 1, decision, false};
    gradc_program *program = open_net(net, training, &way);
    OK(gradc_dump(program, GRADC_STAGE_KERNELS, "l", GRADC_KIND_STEP, &kernels));
    int count = count_fused(kernels);
    gradc_program_free(program);
    return count;
}

static void test_fuses(void) {
    for (int i = 0; i < NETS; i++) {
        int found = products_of(&nets[i], "optimizer adam", ALWAYS);
        if (found < nets[i].products) {
            printf("%s: %d products update parameters, not %d\n", nets[i].name, found, nets[i].products);
            failures++;
        }
        CHECK(products_of(&nets[i], "optimizer adam", NEVER) == 0);
    }
    // The norm of all gradients needs them all; what is small, or is bound by its arithmetic, gains nothing.
    CHECK(products_of(&nets[0], "optimizer adam; gradient clip_norm(0.01)", ALWAYS) == 0);
    CHECK(products_of(&nets[0], "optimizer sgd", BY_COST) == 0);
    CHECK(products_of(&nets[LARGE], "optimizer adam", BY_COST) == 0);
    CHECK(products_of(&nets[LARGE], "optimizer sgd", BY_COST) == 1);
}

int main(void) {
    static const Way all[] = {{"fused", 32, 1, ALWAYS, false},
                              {"split", 64, 1, BY_COST, true},
                              {"fused in narrow vectors", 16, 1, ALWAYS, false},
                              {"fused in wide ones", 64, 1, ALWAYS, false}};
    static const Way threads[] = {{"fused on one thread", 0, 1, ALWAYS, false},
                                  {"fused on two threads", 32, 2, ALWAYS, false},
                                  {"fused on three", 0, 3, ALWAYS, false},
                                  {"fused on eight", 0, 8, ALWAYS, false},
                                  {"by cost on three", 0, 3, BY_COST, false}};
    for (int i = 0; i < ROWS * MOST; i++) {
        inputs[i] = (float)(i * 37 % 64 - 32) / 16;
        more[i] = (float)(i * 29 % 64 - 32) / 32;
    }
    for (int i = 0; i < ROWS; i++) classes[i] = i * 5 % 9;
    test_fuses();
    for (int i = 0; i < SETTINGS; i++) test_bits(&nets[0], settings[i], all, i < MAIN_SETTINGS ? 4 : 1);
    for (int i = 1; i < SMALL_NETS; i++) {
        test_bits(&nets[i], settings[1], all, 2);
        test_bits(&nets[i], settings[3], all, 4);
    }
    test_bits(&nets[SHARED], settings[0], threads, 5);
    test_bits(&nets[SHARED], settings[3], threads, 5);
    return failures != 0;
}
