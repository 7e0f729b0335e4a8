// Elaboration: graphs of small programs, what a program says of its parameters, checks and ranges, and programs that
// would exhaust a careless compiler.
#include "check.h"
#include "elaborated.h"

#include <stdio.h>
#include <string.h>

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

static const struct {
    const char *text, *entry;
    bool training;
    const char *expected;
} graphs[] = {
    {"dim N\n"
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
     "    result squared = %7\n"},
    // What does not depend on the iteration is computed outside; a scan carries what is bound before.
    {"dim T, N\n"
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
     "    result scan = %8\n"},
    // Random numbers of a body are drawn outside, for all iterations.
    {"dim T\n"
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
     "    result noisy = %4\n"},
    // States are stored by training alone, and a second call sees what the first one stored.
    {"net counter(x: f32) -> f32 {\n"
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
     "    result counter.n = %8\n"},
};

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
                  "size_too_complex");
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
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
        check_graph(graphs[i].text, graphs[i].entry, graphs[i].training, graphs[i].expected);
    test_parameters();
    test_checks();
    test_modes();
    test_floating();
    test_hostile();
    return failures != 0;
}
