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
    jit_destroy(kept);
    jit_destroy(NULL);
    case_end(square);
    case_end(twice);
    return harness_finish();
}
