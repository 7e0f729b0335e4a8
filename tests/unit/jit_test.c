// Jits come and go: twenty of them, each with two functions that are called, leave nothing behind (the sanitized build
// looks for leaks). One host may hold several at once. The printed forms of a function are there, too.
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JITS = 20, COUNT = 37 };

// x * x, or x + x.
static Case *small_case(Op op) {
    Case *test = case_begin("jit");
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1));
    case_output(test, map2(test->graph, op, x, x));
    case_lower(test);
    return test;
}

static void call(const Case *test, gradc_function *code, float expected) {
    float x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = 3, y[i] = 0;
    const void *inputs[] = {x};
    void *outputs[] = {y};
    int64_t dims[] = {COUNT}, fault[2];
    gradc_frame frame = {.inputs = inputs, .outputs = outputs, .dims = dims, .fault = fault};
    if (code(&frame)) fail(test, "the function failed");
    for (int i = 0; i < COUNT; i++)
        if (y[i] != expected) fail(test, "%g, not %g", (double)y[i], (double)expected);
}

static gradc_function *compile(const Case *test, Jit *jit) {
    char *message = NULL;
    double emit_ms = -1, machine_code_ms = -1;
    gradc_function *code = jit_compile(jit, test->program, &emit_ms, &machine_code_ms, &message);
    if (!code) fail(test, "%s", message);
    if (emit_ms < 0 || machine_code_ms < 0) fail(test, "no times");
    free(message);
    return code;
}

static void use(const Case *square, const Case *twice, Jit *jit) {
    gradc_function *first = compile(square, jit), *second = compile(twice, jit);
    if (first) call(square, first, 9);
    if (second) call(twice, second, 6);
}

static void check_texts(const Case *test, Jit *jit) {
    const char *llvm = emit_llvm_text(jit, test->program), *assembly = emit_assembly_text(jit, test->program);
    if (!llvm || !strstr(llvm, "fmul <")) fail(test, "no vectors in LLVM's text");
    if (!assembly || !strstr(assembly, "test:")) fail(test, "no function in the assembly");
}

// Twelve layers alike are one function, called twelve times; the first and the last may differ from the others.
static void check_sharing(Jit *jit) {
    enum { LAYERS = 12, FUNCTIONS = 4 };
    Case *test = case_begin("layers");
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 16));
    for (int i = 0; i < LAYERS; i++) {
        Node *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(16, 16));
        Node *product = contract(test->graph, x, w, (const int[]){0, 2}, (const int[]){2, 1}, (const int[]){0, 1}, 2);
        x = map1(test->graph, OP_tanh, product);
    }
    case_output(test, x);
    case_check(test, DIMS(0));
    case_check(test, DIMS(37));
    int functions = 0;
    const char *text = emit_llvm_text(jit, test->program);
    for (const char *at = text; at && (at = strstr(at, "\ndefine ")); at++) functions++;
    if (functions < 2 || functions > FUNCTIONS) fail(test, "%d functions", functions);
    case_end(test);
}

// ---- machine code by two threads

static char *kept_bytes[2];
static size_t kept_sizes[2];

static void *find_at(void *context, const void *key, size_t key_size, size_t *size) {
    const int *run = context;
    (void)key, (void)key_size;
    char *copy = kept_bytes[*run] ? malloc(kept_sizes[*run] + 1) : NULL;
    if (copy) memcpy(copy, kept_bytes[*run], kept_sizes[*run]);
    *size = kept_sizes[*run];
    return copy;
}

static void keep_at(void *context, const void *key, size_t key_size, const void *object, size_t size) {
    const int *run = context;
    (void)key, (void)key_size;
    free(kept_bytes[*run]);
    kept_bytes[*run] = malloc(size);
    if (kept_bytes[*run]) memcpy(kept_bytes[*run], object, size);
    kept_sizes[*run] = size;
}

// Products that are functions of their own, half of them in a second module.
static Case *products(void) {
    Case *test = case_begin("products");
    static const int64_t widths[] = {64, 96, 48, 80, 64};
    Node *x = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(-1, 64));
    for (int i = 0; i < 4; i++) {
        Node *w = case_input(test, DTYPE_F32, FILL_REAL, SHAPE(widths[i], widths[i + 1]));
        Node *product = contract(test->graph, x, w, (const int[]){0, 2}, (const int[]){2, 1}, (const int[]){0, 1}, 2);
        x = map1(test->graph, OP_tanh, product);
    }
    case_output(test, x);
    return test;
}

// One thread and two make the same bytes, which are two objects; when they are cut short anywhere they are refused.
static void check_threads(Jit *one, Jit *two) {
    Case *test = products();
    Jit *jits[] = {one, two};
    char *message;
    JitCost cost;
    case_check(test, DIMS(0));
    case_check(test, DIMS(37));
    jit_allow_threads(two);
    for (int run = 0; run < 2; run++) {
        const ObjectStore store = {find_at, keep_at, &run};
        if (!jit_compile_kept(jits[run], test->program, &store, &cost, &message) || cost.found)
            fail(test, "no code, or code from nowhere");
    }
    if (kept_sizes[0] != kept_sizes[1] || memcmp(kept_bytes[0], kept_bytes[1], kept_sizes[0]) != 0)
        fail(test, "two threads made other bytes");
    if (memcmp(kept_bytes[0], "gradc 2", 8) != 0) fail(test, "one object");
    int run = 0;
    size_t whole = kept_sizes[0], step = whole / 7;
    const ObjectStore store = {find_at, keep_at, &run};
    for (size_t size = whole; size > step; size -= step) {
        kept_sizes[0] = size;
        if (!jit_compile_kept(one, test->program, &store, &cost, &message) || cost.found != (size == whole))
            fail(test, "%zu of %zu bytes: %s", size, whole, cost.found ? "found" : "made again");
    }
    for (int i = 0; i < 2; i++) free(kept_bytes[i]);
    case_end(test);
}

int main(void) {
    static const int widths[] = {0, 16, 32, 64};
    Case *square = small_case(OP_multiply), *twice = small_case(OP_add);
    char *message = NULL;
    Jit *kept = jit_create(NULL, 0, &message);
    for (int i = 0; i < JITS; i++) {
        Jit *jit = jit_create(NULL, widths[i % 4], &message);
        if (!jit) fail(square, "no jit: %s", message);
        else use(square, twice, jit);
        jit_destroy(jit);
    }
    use(square, twice, kept);
    check_texts(square, kept);
    check_sharing(kept);
    Jit *other = jit_create(NULL, 0, &message);
    check_threads(kept, other);
    jit_destroy(other);
    jit_destroy(kept);
    jit_destroy(NULL);
    case_end(square);
    case_end(twice);
    return harness_finish();
}
