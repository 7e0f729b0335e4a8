// Two ways of writing a thing must mean the same: loops with bodies and unrolled, gradients inside bodies and by hand,
// instances and what they stand for. Each pair of losses is evaluated, with its gradients by all parameters.
#include "differentiate/differentiate.h"
#include "elaborated.h"
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

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
    if (!entry_named(&world, "one") || !entry_named(&world, "two")) {
        printf("%s:\n%s", name, diagnostics_text(world.diagnostics, false));
        failures++;
    } else {
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

static const struct {
    const char *name, *text;
} pairs[] = {
    {"a loop without a carry", "dim N, B, K, T\n"
                               "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                               "loss one(xs: float[N, K]) {\n"
                               "    for x in xs { yield y = sum(n.a * exp(x)) }\n"
                               "    return sum(y^2)\n"
                               "}\n"
                               "loss two(xs: float[N, K]) { return sum(sum(n.a * exp(xs), axis = 1)^2) }\n"},
    {"a scan", "dim N, B, K, T\n"
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
               "}\n"},
    {"nested loops", "dim N, B, K, T\n"
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
                     "}\n"},
    {"a range, as a body and unrolled", "dim N, B, K, T\n"
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
                                        "}\n"},
    {"a range over a dim", "dim N, B, K, T\n"
                           "loss one(x: float[N]) {\n"
                           "    s = 1.5\n"
                           "    for i in 0:N { s = s * x[i] + i }\n"
                           "    return s\n"
                           "}\n"
                           "loss two(x: float[N]) {\n"
                           "    s = 1.5\n"
                           "    for i in [0, 1, 2] { s = s * x[i] + i }\n"
                           "    return s\n"
                           "}\n"},
    {"maml", MLP "loss one(xs: float[B, N, 2], ys: float[B, N, 3], us: float[B, N, 2]) {\n"
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
                 "}\n"},
    // The way from a to what is differentiated leads through what could be computed outside.
    {"a gradient through what is captured", "dim N, B, K, T\n"
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
                                            "}\n"},
    {"a second derivative in a body", "dim N, B, K, T\n"
                                      "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                                      "loss one(xs: float[N, K]) {\n"
                                      "    k = exp(2 * n.a)\n"
                                      "    for x in xs { yield g = grad(grad(sum(k * x), n.a) * k, n.a) }\n"
                                      "    return sum(g)\n"
                                      "}\n"
                                      "loss two(xs: float[N, K]) { return sum(xs) * 8 * exp(4 * n.a) }\n"},
    {"a gradient in a nested body", "dim N, B, K, T\n"
                                    "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                                    "loss one(xs: float[N, K]) {\n"
                                    "    k = exp(n.a)\n"
                                    "    for row in xs {\n"
                                    "        for x in row { yield g = grad(k * x + k^2, n.a) }\n"
                                    "        yield s = sum(g)\n"
                                    "    }\n"
                                    "    return sum(s)\n"
                                    "}\n"
                                    "loss two(xs: float[N, K]) { return sum(xs * exp(n.a) + 2 * exp(2 * n.a)) }\n"},
    {"steps of gradient descent", MLP "loss one(x: float[N, 2], y: float[N, 3]) {\n"
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
                                      "}\n"},
    {"a gradient by what a loop goes over", "dim N, B, K, T\n"
                                            "loss one(x: float[N] requires_grad) {\n"
                                            "    h = 1\n"
                                            "    for v in x { h = h * v }\n"
                                            "    return sum(grad(h, x))\n"
                                            "}\n"
                                            "loss two(x: float[N] requires_grad) {\n"
                                            "    return x[0] * x[1] + x[1] * x[2] + x[0] * x[2]\n"
                                            "}\n"},
    {"an array of instances", "dim N, B, K, T\n"
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
                              "}\n"},
    {"other parameters", MLP "loss one(x: float[N, 2]) {\n"
                             "    theta = parameters(mlp)\n"
                             "    return sum(mlp(x, parameters = 2 * theta)^2)\n"
                             "}\n"
                             "loss two(x: float[N, 2]) {\n"
                             "    h = tanh(x @ (2 * mlp.a.W) + 2 * mlp.a.b)\n"
                             "    return sum((h @ (2 * mlp.b.W) + 2 * mlp.b.b)^2)\n"
                             "}\n"},
    {"a gradient by an instance", MLP "loss one(x: float[N, 2]) {\n"
                                      "    g = grad(sum(mlp(x)^2), mlp)\n"
                                      "    return sum(g^2)\n"
                                      "}\n"
                                      "loss two(x: float[N, 2]) {\n"
                                      "    a, b, c, d = grad(sum(mlp(x)^2), (mlp.a.W, mlp.a.b, mlp.b.W, mlp.b.b))\n"
                                      "    return sum(a^2) + sum(b^2) + sum(c^2) + sum(d^2)\n"
                                      "}\n"},
    {"functions as arguments", "dim N, B, K, T\n"
                               "fn twice(x: float[*], f: fn = tanh) -> float[*] { return f(f(x)) }\n"
                               "net n(x: float[N]) -> float[N] { param a: float ~ ones; return a * x }\n"
                               "loss one(x: float[N]) { return sum(twice(n(x), f = n)) + mean(twice(x)) }\n"
                               "loss two(x: float[N]) {\n"
                               "    return sum(n.a^3 * x) + sum(tanh(tanh(x))) / N\n"
                               "}\n"},
    {"a Jacobian",
     "dim N, B, K, T\n"
     "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
     "loss one(x: float[N] requires_grad, w: float[N, N, K]) {\n"
     "    return sum(jacobian(exp(n.a * x)[:, none] * x[:, none] * ones([N, K]), x) * transpose(w, 1, 2))\n"
     "}\n"
     "loss two(x: float[N] requires_grad, w: float[N, N, K]) {\n"
     "    d = exp(n.a * x) * (1 + n.a * x)\n"
     "    diagonal = (arange(N)[:, none] == arange(N))[:, :, none]\n"
     "    return sum(d[:, none, none] * where(diagonal, w, 0))\n"
     "}\n"},
    {"a Hessian", "dim N, B, K, T\n"
                  "net n(x: float) -> float { param a: float ~ ones; return a * x }\n"
                  "loss one(x: float[N] requires_grad, w: float[N, N]) {\n"
                  "    return sum(hessian(exp(n.a * sum(x)) * sum(x), x) * w)\n"
                  "}\n"
                  "loss two(x: float[N] requires_grad, w: float[N, N]) {\n"
                  "    s = sum(x)\n"
                  "    return sum(w) * exp(n.a * s) * n.a * (2 + n.a * s)\n"
                  "}\n"},
    {"forward mode", MLP "loss one(x: float[N, 2] requires_grad, t: float[N, 2], w: float[N, 3]) {\n"
                         "    return sum(jvp(mlp(x), x, t) * w)\n"
                         "}\n"
                         "loss two(x: float[N, 2] requires_grad, t: float[N, 2], w: float[N, 3]) {\n"
                         "    return sum(vjp(mlp(x), x, w) * t)\n"
                         "}\n"},
    {"a Jacobian by parameters",
     MLP "loss one(x: float[N, 2], w: float[N, 3]) {\n"
         "    return sum((reshape(w, [1, 3 * N]) @ reshape(jacobian(mlp(x), mlp), [3 * N, 27]))^2)\n"
         "}\n"
         "loss two(x: float[N, 2], w: float[N, 3]) { return sum(vjp(mlp(x), mlp, w)^2) }\n"},
};

int main(void) {
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) check_same(pairs[i].name, pairs[i].text);
    return failures != 0;
}
