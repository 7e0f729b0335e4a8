// Elaboration: graphs of small programs, two ways of writing a thing that must mean the same, and what the program says
// of parameters, states, checks and ranges.
#include "differentiate/differentiate.h"
#include "elaborate/program.h"
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

// ---- programs

typedef struct {
    Arena *arena;
    Diagnostics *diagnostics;
    Program *program;   // NULL: it has errors
} World;

static World world_of(const char *text, Dtype floating) {
    World world = {.arena = arena_create()};
    world.diagnostics = diagnostics_create(world.arena, 0);
    Source *source = arena_new(world.arena, Source);
    *source = (Source){"test.grad", text, (uint32_t)strlen(text)};
    File *file = parse_file(world.arena, world.diagnostics, source);
    ElaborateOptions options = {.floating = floating};
    if (!diagnostics_errors(world.diagnostics))
        world.program = elaborate(world.arena, world.diagnostics, file, &options);
    return world;
}

static Entry *entry_named(const World *world, const char *name) {
    for (int i = 0; world->program && i < world->program->entries.count; i++)
        if (strcmp(world->program->entries.items[i]->name, name) == 0) return world->program->entries.items[i];
    return NULL;
}

static void print_errors(const char *name, const World *world) {
    printf("%s:\n%s", name, diagnostics_text(world->diagnostics, false));
    failures++;
}

// ---- graphs as text

// Without the places behind the nodes.
static void strip_places(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (strncmp(from, "   # ", 5) == 0) from += strcspn(from, "\n");
        *to++ = *from;
    }
    *to = 0;
}

static void check_graph(const char *text, const char *entry_name, bool training, const char *expected) {
    World world = world_of(text, DTYPE_F32);
    const Entry *entry = entry_named(&world, entry_name);
    if (entry) {
        Text made = {.arena = world.arena};
        const Function *function = training ? &entry->training : &entry->function;
        print_function(&made, function);
        strip_places(made.bytes);
        const char *fault = verify_function(world.program->graph, function);
        if (fault) printf("%s: %s\n", entry_name, fault);
        if (fault || strcmp(made.bytes, expected) != 0) {
            printf("%s is\n%sbut was expected to be\n%s", entry_name, made.bytes, expected);
            failures++;
        }
    } else print_errors(entry_name, &world);
    arena_destroy(world.arena);
}

static void test_graphs(void) {
    check_graph("dim N\n"
                "loss squared(x: f32[N], y: f32[N]) {\n"
                "    param a: f32 ~ ones\n"
                "    return sum((a * x - y)^2)\n"
                "}\n",
                "squared", false,
                "function squared(x: f32[N], y: f32[N])\n"
                "    %0: f32[N] = variable x\n"
                "    %1: f32[N] = variable y\n"
                "    %2: f32 = variable squared.a\n"
                "    %3: f32[N] = broadcast axes [] %2\n"
                "    %4: f32[N] = multiply %3, %0\n"
                "    %5: f32[N] = subtract %4, %1\n"
                "    %6: f32[N] = multiply %5, %5\n"
                "    %7: f32 = reduce_sum axes [0] %6\n"
                "    result squared = %7\n");
    // What does not depend on the iteration is computed outside; a scan carries what is bound before.
    check_graph("dim T, N\n"
                "loss scan(xs: f32[T, N]) {\n"
                "    param a: f32 ~ ones\n"
                "    h = zeros([N])\n"
                "    for x in xs { h = exp(a) * h + x }\n"
                "    return sum(h)\n"
                "}\n",
                "scan", false,
                "function scan(xs: f32[T, N])\n"
                "    %0: f32[T, N] = variable xs\n"
                "    %1: f32 = constant 0\n"
                "    %2: f32 = variable scan.a\n"
                "    %3 h: f32[N] = broadcast axes [] %1\n"
                "    %4: f32 = exp %2\n"
                "    %5: f32[N] = broadcast axes [] %4\n"
                "    %6 = loop trips T, 1 sequences, 1 carries, 1 captures %0, %3, %5\n"
                "        %0: f32[N] = variable x\n"
                "        %1: f32[N] = variable h\n"
                "        %2: f32[N] = variable outer\n"
                "        %3: f32[N] = multiply %2, %1\n"
                "        %4 h: f32[N] = add %3, %0\n"
                "        result h = %4\n"
                "    %7 h: f32[N] = result 0 %6\n"
                "    %8: f32 = reduce_sum axes [0] %7\n"
                "    result scan = %8\n");
    // Random numbers of a body are drawn outside, for all iterations.
    check_graph("dim T\n"
                "loss noisy(xs: f32[T, 2]) {\n"
                "    for x in xs { yield y = sum(x * uniform([2])) }\n"
                "    return sum(y)\n"
                "}\n",
                "noisy", false,
                "function noisy(xs: f32[T, 2])\n"
                "    %0: f32[T, 2] = variable xs\n"
                "    %1: f32[T, 2] = random_uniform site 2040946280\n"
                "    %2 = loop trips T, 2 sequences, 0 carries, 0 captures %0, %1\n"
                "        %0: f32[2] = variable x\n"
                "        %1: f32[2] = variable draw\n"
                "        %2: f32[2] = multiply %0, %1\n"
                "        %3: f32 = reduce_sum axes [0] %2\n"
                "        result y = %3\n"
                "    %3 y: f32[T] = result 0 %2\n"
                "    %4: f32 = reduce_sum axes [0] %3\n"
                "    result noisy = %4\n");
    // States are stored by training alone, and a second call sees what the first one stored.
    check_graph("net counter(x: f32) -> f32 {\n"
                "    state n: f32 ~ zeros\n"
                "    n = n + 1\n"
                "    return x * n\n"
                "}\n"
                "loss twice(x: f32) { return counter(x) + counter(x) }\n",
                "twice", true,
                "function twice(x: f32)\n"
                "    %0: f32 = variable x\n"
                "    %1: f32 = variable counter.n\n"
                "    %2: f32 = constant 1\n"
                "    %3 n: f32 = add %1, %2\n"
                "    %4: f32 = multiply %0, %3\n"
                "    %5: f32 = stop_gradient %3\n"
                "    %6 n: f32 = add %5, %2\n"
                "    %7: f32 = multiply %0, %6\n"
                "    %8: f32 = stop_gradient %6\n"
                "    %9: f32 = add %4, %7\n"
                "    result twice = %9\n"
                "    result counter.n = %8\n");
}

// ---- two ways of writing the same

enum { MOST_VALUES = 16 };

static double random_number(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 33) / (double)(1u << 30) - 1;
}

// An array for the node: numbers between -1 and 1, integers of 0, 1 and 2.
static Tensor fill(World *world, const Node *node, const int64_t *dims, uint64_t *seed) {
    Tensor tensor = {.dtype = node->dtype, .rank = node->rank};
    int64_t count = 1;
    for (int i = 0; i < node->rank; i++) {
        tensor.shape[i] = extent_evaluate(node->shape[i], dims, NULL);
        count *= tensor.shape[i];
    }
    tensor.data = arena_allocate(world->arena, (size_t)(count * dtype_size(node->dtype)));
    for (int64_t i = 0; i < count; i++) {
        double number = random_number(seed);
        if (node->dtype == DTYPE_F64) ((double *)tensor.data)[i] = number;
        else ((int32_t *)tensor.data)[i] = (int32_t)((number + 1) * 1.5);
    }
    return tensor;
}

// The value of a loss and its gradients by all parameters, one after the other, into `numbers`. -1: reported.
static int evaluate_loss(World *world, const char *name, const int64_t *dims, double *numbers, int most) {
    Program *program = world->program;
    const Entry *entry = entry_named(world, name);
    Function function = entry->function;
    int count = program->parameters.count;
    Node **targets = arena_array(world->arena, Node *, count);
    for (int i = 0; i < count; i++) targets[i] = program->parameters.items[i]->variable;
    Named *results = arena_array(world->arena, Named, count + 1);
    results[0] = function.results[0];
    Node *request = count ? gradient(program->graph, results[0].node, NULL, targets, count, true) : NULL;
    for (int i = 0; i < count; i++) results[i + 1] = (Named){"d", result_of(program->graph, request, i)};
    function.results = results;
    function.result_count = count + 1;
    if (!differentiate(program->graph, world->diagnostics, &function)) return -1;
    const char *fault = verify_function(program->graph, &function);
    uint64_t seed = 7;
    Tensor arguments[MOST_VALUES], made[MOST_VALUES];
    VariableValue *bindings = arena_array(world->arena, VariableValue, count);
    for (int i = 0; i < function.argument_count; i++) arguments[i] = fill(world, function.arguments[i], dims, &seed);
    for (int i = 0; i < count; i++) bindings[i] = (VariableValue){targets[i], fill(world, targets[i], dims, &seed)};
    Environment environment = {.dims = dims, .bindings = bindings, .binding_count = count};
    if (!fault) fault = evaluate_function(world->arena, &function, arguments, &environment, made);
    if (fault) printf("%s: %s\n", name, fault);
    if (fault) return -1;
    int total = 0;
    for (int i = 0; i < function.result_count; i++) {
        int64_t elements = 1;
        for (int k = 0; k < made[i].rank; k++) elements *= made[i].shape[k];
        for (int64_t k = 0; k < elements && total < most; k++) numbers[total++] = ((double *)made[i].data)[k];
    }
    return total;
}

// The losses `one` and `two` of the text have the same value, other than 0, and the same gradients.
static void check_same(const char *name, const char *text) {
    enum { MOST = 512 };
    static const int64_t dims[] = {3, 2, 4, 5};
    double one[MOST], two[MOST];
    World world = world_of(text, DTYPE_F64);
    if (!entry_named(&world, "one") || !entry_named(&world, "two")) print_errors(name, &world);
    else {
        int count = evaluate_loss(&world, "one", dims, one, MOST);
        int other = evaluate_loss(&world, "two", dims, two, MOST);
        if (count != other || count < 1 || one[0] == 0 || diagnostics_errors(world.diagnostics)) {
            printf("%s: %d and %d numbers, the first %g\n%s", name, count, other, one[0],
                   diagnostics_text(world.diagnostics, false));
            failures++;
        }
        for (int i = 0; i < count && i < other; i++) {
            if (fabs(one[i] - two[i]) <= 1e-12 * (1 + fabs(one[i]))) continue;
            printf("%s: number %d is %.17g in one and %.17g in two\n", name, i, one[i], two[i]);
            failures++;
            break;
        }
    }
    arena_destroy(world.arena);
}

#define MLP                                      \
    "dim N, B, K, T\n"                           \
    "net mlp(x: float[N, 2]) -> float[N, 3] {\n" \
    "    use a = dense<2, 4, tanh>\n"            \
    "    use b = dense<4, 3>\n"                  \
    "    return b(a(x))\n"                       \
    "}\n"

static void test_loops(void) {
    check_same("a loop without a carry", "dim N, B, K, T\n"
                                         "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                                         "loss one(xs: float[N, K]) {\n"
                                         "    for x in xs { yield y = sum(n.a * exp(x)) }\n"
                                         "    return sum(y^2)\n"
                                         "}\n"
                                         "loss two(xs: float[N, K]) { return sum(sum(n.a * exp(xs), axis = 1)^2) }\n");
    check_same("a scan", "dim N, B, K, T\n"
                         "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                         "loss one(xs: float[3, K]) {\n"
                         "    h = 0\n"
                         "    for x in xs { h = tanh(n.a * h + x); yield s = sum(h) }\n"
                         "    return sum(h) * sum(s)\n"
                         "}\n"
                         "loss two(xs: float[3, K]) {\n"
                         "    h = tanh(n.a * zeros([K]) + xs[0]); s = sum(h)\n"
                         "    h = tanh(n.a * h + xs[1]); s = s + sum(h)\n"
                         "    h = tanh(n.a * h + xs[2]); s = s + sum(h)\n"
                         "    return sum(h) * s\n"
                         "}\n");
    check_same("nested loops", "dim N, B, K, T\n"
                               "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                               "loss one(xs: float[N, K, T]) {\n"
                               "    k = exp(n.a)\n"
                               "    for row in xs {\n"
                               "        s = 0\n"
                               "        for x in row { s = s + k * sum(x * n.a); yield p = s * k }\n"
                               "        yield q = s + sum(p)\n"
                               "    }\n"
                               "    return sum(q^2) * k\n"
                               "}\n"
                               "loss two(xs: float[N, K, T]) {\n"
                               "    k = exp(n.a)\n"
                               "    sums = sum(xs, axis = 2) * n.a * k\n"
                               "    s = 0; p = 0\n"
                               "    for i in [0, 1, 2, 3] { s = s + sums[:, i]; p = p + s * k }\n"
                               "    return sum((s + p)^2) * k\n"
                               "}\n");
    check_same("a range, as a body and unrolled", "dim N, B, K, T\n"
                                                  "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                                                  "loss one(x: float[5]) {\n"
                                                  "    s = n.a\n"
                                                  "    for i in 1:4 { s = s * x[i] + i }\n"
                                                  "    return s\n"
                                                  "}\n"
                                                  "loss two(x: float[5]) {\n"
                                                  "    s = n.a\n"
                                                  "    for i in 1:4 { t = zeros([i]); s = s * x[i] + i + sum(t) }\n"
                                                  "    return s\n"
                                                  "}\n");
    check_same("a range over a dim", "dim N, B, K, T\n"
                                     "loss one(x: float[N]) {\n"
                                     "    s = 1.5\n"
                                     "    for i in 0:N { s = s * x[i] + i }\n"
                                     "    return s\n"
                                     "}\n"
                                     "loss two(x: float[N]) {\n"
                                     "    s = 1.5\n"
                                     "    for i in [0, 1, 2] { s = s * x[i] + i }\n"
                                     "    return s\n"
                                     "}\n");
}

static void test_gradients_in_loops(void) {
    check_same("maml", MLP "loss one(xs: float[B, N, 2], ys: float[B, N, 3], us: float[B, N, 2]) {\n"
                           "    theta = parameters(mlp)\n"
                           "    for x, y, u in xs, ys, us {\n"
                           "        g = grad(mse_loss(mlp(x), y), theta)\n"
                           "        yield l = mse_loss(mlp(u, parameters = theta - 0.1 * g), y)\n"
                           "    }\n"
                           "    return mean(l)\n"
                           "}\n"
                           "loss two(xs: float[B, N, 2], ys: float[B, N, 3], us: float[B, N, 2]) {\n"
                           "    for i in [0, 1] {\n"
                           "        g = grad(mse_loss(mlp(xs[i]), ys[i]), mlp)\n"
                           "        yield l = mse_loss(mlp(us[i], parameters = parameters(mlp) - 0.1 * g), ys[i])\n"
                           "    }\n"
                           "    return (l[0] + l[1]) / 2\n"
                           "}\n");
    // The way from a to what is differentiated leads through what could be computed outside.
    check_same("a gradient through what is captured",
               "dim N, B, K, T\n"
               "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
               "loss one(xs: float[N, K]) {\n"
               "    k = exp(n.a)\n"
               "    m = k^2\n"
               "    for x in xs { yield g = grad(sum(k * x) + m, n.a) * k }\n"
               "    return sum(g) * m\n"
               "}\n"
               "loss two(xs: float[N, K]) {\n"
               "    k = exp(n.a)\n"
               "    g = (sum(xs, axis = 1) * k + 2 * k^2) * k\n"
               "    return sum(g) * k^2\n"
               "}\n");
    check_same("a second derivative in a body", "dim N, B, K, T\n"
                                                "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                                                "loss one(xs: float[N, K]) {\n"
                                                "    k = exp(2 * n.a)\n"
                                                "    for x in xs { yield g = grad(grad(sum(k * x), n.a) * k, n.a) }\n"
                                                "    return sum(g)\n"
                                                "}\n"
                                                "loss two(xs: float[N, K]) { return sum(xs) * 8 * exp(4 * n.a) }\n");
    check_same("a gradient in a nested body",
               "dim N, B, K, T\n"
               "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
               "loss one(xs: float[N, K]) {\n"
               "    k = exp(n.a)\n"
               "    for row in xs {\n"
               "        for x in row { yield g = grad(k * x + k^2, n.a) }\n"
               "        yield s = sum(g)\n"
               "    }\n"
               "    return sum(s)\n"
               "}\n"
               "loss two(xs: float[N, K]) { return sum(xs * exp(n.a) + 2 * exp(2 * n.a)) }\n");
    check_same("steps of gradient descent",
               MLP "loss one(x: float[N, 2], y: float[N, 3]) {\n"
                   "    theta = parameters(mlp)\n"
                   "    for i in 0:3 {\n"
                   "        t = track(theta)\n"
                   "        theta = t - 0.1 * grad(mse_loss(mlp(x, parameters = t), y), t)\n"
                   "    }\n"
                   "    return mse_loss(mlp(x, parameters = theta), y)\n"
                   "}\n"
                   "loss two(x: float[N, 2], y: float[N, 3]) {\n"
                   "    theta = parameters(mlp)\n"
                   "    for i in [0, 1, 2] {\n"
                   "        t = track(theta)\n"
                   "        theta = t - 0.1 * grad(mse_loss(mlp(x, parameters = t), y), t)\n"
                   "    }\n"
                   "    return mse_loss(mlp(x, parameters = theta), y)\n"
                   "}\n");
    check_same("a gradient by what a loop goes over", "dim N, B, K, T\n"
                                                      "loss one(x: float[N] requires_grad) {\n"
                                                      "    h = 1\n"
                                                      "    for v in x { h = h * v }\n"
                                                      "    return sum(grad(h, x))\n"
                                                      "}\n"
                                                      "loss two(x: float[N] requires_grad) {\n"
                                                      "    return x[0] * x[1] + x[1] * x[2] + x[0] * x[2]\n"
                                                      "}\n");
}

static void test_instances(void) {
    check_same("an array of instances", "dim N, B, K, T\n"
                                        "const sizes = [2, 4, 3]\n"
                                        "net deep(x: float[N, 2]) -> float[N, 3] {\n"
                                        "    use layer[i in 0:2] = dense<sizes[i], sizes[i + 1], tanh>\n"
                                        "    for l in layer { x = l(x) }\n"
                                        "    return x\n"
                                        "}\n"
                                        "loss one(x: float[N, 2]) { return sum(deep(x)) }\n"
                                        "loss two(x: float[N, 2]) {\n"
                                        "    h = tanh(x @ deep.layer[0].W + deep.layer[0].b)\n"
                                        "    return sum(tanh(h @ deep.layer.1.W + deep.layer[-1].b))\n"
                                        "}\n");
    check_same("other parameters", MLP "loss one(x: float[N, 2]) {\n"
                                       "    theta = parameters(mlp)\n"
                                       "    return sum(mlp(x, parameters = 2 * theta)^2)\n"
                                       "}\n"
                                       "loss two(x: float[N, 2]) {\n"
                                       "    h = tanh(x @ (2 * mlp.a.W) + 2 * mlp.a.b)\n"
                                       "    return sum((h @ (2 * mlp.b.W) + 2 * mlp.b.b)^2)\n"
                                       "}\n");
    check_same("a gradient by an instance",
               MLP "loss one(x: float[N, 2]) {\n"
                   "    g = grad(sum(mlp(x)^2), mlp)\n"
                   "    return sum(g^2)\n"
                   "}\n"
                   "loss two(x: float[N, 2]) {\n"
                   "    a, b, c, d = grad(sum(mlp(x)^2), (mlp.a.W, mlp.a.b, mlp.b.W, mlp.b.b))\n"
                   "    return sum(a^2) + sum(b^2) + sum(c^2) + sum(d^2)\n"
                   "}\n");
    check_same("functions as arguments", "dim N, B, K, T\n"
                                         "fn twice(x: float[*], f: fn = tanh) -> float[*] { return f(f(x)) }\n"
                                         "net n(x: float[N]) -> float[N] { param a: float ~ ones; return a * x }\n"
                                         "loss one(x: float[N]) { return sum(twice(n(x), f = n)) + mean(twice(x)) }\n"
                                         "loss two(x: float[N]) {\n"
                                         "    return sum(n.a^3 * x) + sum(tanh(tanh(x))) / N\n"
                                         "}\n");
}

// ---- what a program says of itself

static void test_parameters(void) {
    World world = world_of("dim N\n"
                           "use first = dense<2, 3>\n"
                           "net block(x: f32[N, 3]) -> f32[N, 3] { use d = dense<3, 3>; return d(x) }\n"
                           "net top(x: f32[N, 2]) -> f32[N, 3] {\n"
                           "    use b[2] = block\n"
                           "    param scale: f32[3] ~ ones\n"
                           "    return b[1](b[0](first(x))) * scale\n"
                           "}\n",
                           DTYPE_F32);
    static const char *const paths[] = {"first.W",     "first.b",     "top.b.0.d.W", "top.b.0.d.b",
                                        "top.b.1.d.W", "top.b.1.d.b", "top.scale"};
    static const int64_t offsets[] = {0, 6, 9, 18, 21, 30, 33};
    if (!world.program) print_errors("parameters", &world);
    else {
        const Program *program = world.program;
        CHECK(program->parameters.count == 7 && program->parameter_count == 36);
        for (int i = 0; i < program->parameters.count && i < 7; i++) {
            CHECK(strcmp(program->parameters.items[i]->path, paths[i]) == 0);
            CHECK(program->parameters.items[i]->offset == offsets[i]);
        }
        // `block` is only a template: it has no parameters of its own, and is no entry.
        CHECK(program->entries.count == 1);
    }
    arena_destroy(world.arena);
}

static void test_checks(void) {
    World world = world_of("dim N\n"
                           "loss off(x: f32[N], y: i32[N]) {\n"
                           "    for k in 0:2 { yield c = cross_entropy(zeros([N, 10]), y) }\n"
                           "    return sum(x[2:-1]) + x[4] + sum(c)\n"
                           "}\n",
                           DTYPE_F32);
    const Entry *entry = entry_named(&world, "off");
    if (!entry) print_errors("checks", &world);
    else {
        Text text = {.arena = world.arena};
        for (int i = 0; i < entry->checks.count; i++) {
            extent_print(&text, entry->checks.items[i].extent);
            text_add(&text, "; ");
        }
        CHECK(strcmp(text.bytes, "N - 3; N - 5; ") == 0);
        CHECK(entry->ranges.count == 1 && extent_is(entry->ranges.items[0].count, 10));
        CHECK(entry->ranges.items[0].input == entry->function.arguments[1]);
    }
    arena_destroy(world.arena);
}

static void test_modes(void) {
    World world = world_of("dim N\n"
                           "net plain(x: f32[N]) -> f32[N] { return 2 * x }\n"
                           "net modal(x: f32[N]) -> f32[N] { return where(training, x, 0 * x) }\n",
                           DTYPE_F32);
    const Entry *plain = entry_named(&world, "plain"), *modal = entry_named(&world, "modal");
    if (!plain || !modal) print_errors("modes", &world);
    else {
        CHECK(plain->training.results[0].node == plain->function.results[0].node);
        CHECK(modal->training.results[0].node == modal->training.arguments[0]);
        CHECK(modal->function.results[0].node != modal->training.arguments[0]);
    }
    arena_destroy(world.arena);
}

// --float=f64 makes all floating values f64, those written as f32 too.
static void test_floating(void) {
    World world = world_of("dim N\n"
                           "net scaled(x: f32[N]) -> f32[N] { param a: f32 ~ ones; return f32(a) * x }\n"
                           "loss off(x: f32[N]) { return mse_loss(scaled(x), x) }\n",
                           DTYPE_F64);
    const Entry *entry = entry_named(&world, "off");
    if (!entry) print_errors("floating", &world);
    else {
        CHECK(entry->function.arguments[0]->dtype == DTYPE_F64);
        CHECK(entry->function.results[0].node->dtype == DTYPE_F64);
        CHECK(world.program->parameters.items[0]->variable->dtype == DTYPE_F64);
    }
    arena_destroy(world.arena);
}

// ---- hostile programs

static void check_refused(const char *name, const char *text, const char *id) {
    World world = world_of(text, DTYPE_F32);
    const char *messages = diagnostics_text(world.diagnostics, false);
    if (world.program || !messages || !strstr(messages, id)) {
        printf("%s was to be refused with [%s]:\n%s\n", name, id, messages ? messages : "");
        failures++;
    }
    arena_destroy(world.arena);
}

static char *repeated(Arena *arena, const char *before, const char *part, int count, const char *after) {
    Text text = {.arena = arena};
    text_add(&text, "%s", before);
    for (int i = 0; i < count; i++) text_add(&text, "%s", part);
    text_add(&text, "%s", after);
    return text.bytes;
}

static void test_hostile(void) {
    Arena *arena = arena_create();
    const char *closing = repeated(arena, "x", ")", 10000, " }\n");
    check_refused("brackets", repeated(arena, "loss off(x: f32) { return ", "(", 10000, closing), "too_deep");
    check_refused("a long name", repeated(arena, "loss off(x: f32) { return ", "ab", 500000, " }\n"), "unknown_name");
    check_refused("a sum of many terms", repeated(arena, "loss off(x: f32) { return x", " + x", 20000, " }\n"),
                  "too_deep");
    check_refused("a huge tensor", "loss off(x: f32[4611686018427387904]) { return sum(x) }\n", "too_large");
    check_refused("a huge product",
                  "dim A, B, C\nloss off(x: f32[(A + B + C + 1) * (A + B + C + 1) * (A + B + C + 1) * "
                  "(A + B + C + 1) * (A + B + C + 1) * (A + B + C + 1)]) { return sum(x) }\n",
                  "too_large");
    check_refused("a huge loop",
                  "dim N\nloss off(x: f32[N]) {\n    s = 0\n"
                  "    for i in 0:1099511627776 { s = s + sum(zeros([i])) }\n    return s\n}\n",
                  "not_static");
    check_refused("deep lists",
                  repeated(arena, "loss off(x: f32) { a = [x, x]\n", "a = [a, a]\n", 60, "return sum(a) }\n"),
                  "too_many_axes");
    Text loops = {.arena = arena};
    text_add(&loops, "dim N\nloss off(x: f32[N]) { s = 0\n");
    for (int i = 0; i < 30; i++) text_add(&loops, "for i%d in 0:4 { ", i);
    text_add(&loops, "s = s + sum(x[i0:])");
    for (int i = 0; i < 30; i++) text_add(&loops, " }");
    text_add(&loops, "\nreturn s }\n");
    check_refused("loops that unroll", loops.bytes, "program_too_large");
    arena_destroy(arena);
}

int main(void) {
    test_graphs();
    test_loops();
    test_gradients_in_loops();
    test_instances();
    test_parameters();
    test_checks();
    test_modes();
    test_floating();
    test_hostile();
    return failures != 0;
}
