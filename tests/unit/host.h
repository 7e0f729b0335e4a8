// What the tests of the C interface share: checks, handles that must be created, models.
#ifndef GRADC_TESTS_HOST_H
#define GRADC_TESTS_HOST_H

#include "runtime/gradc.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline gradc_program *compile(const char *text) {
    gradc_program *program;
    gradc_options options = {.verify = true};
    if (gradc_compile_text("test.grad", text, strlen(text), &options, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

static inline gradc_call *create_call(gradc_program *program, const char *entry) {
    gradc_call *call;
    if (gradc_call_create(program, entry, &call) == GRADC_OK) return call;
    printf("%s\n", gradc_message(program));
    exit(1);
}

static inline gradc_trainer *create_trainer(gradc_program *program, const char *loss) {
    gradc_trainer *trainer;
    if (gradc_trainer_create(program, loss, &trainer) == GRADC_OK) return trainer;
    printf("%s\n", gradc_message(program));
    exit(1);
}

static inline void check_ok(int line, const gradc_program *program, gradc_status status) {
    if (status == GRADC_OK) return;
    printf("line %d: %s\n", line, gradc_message(program));
    failures++;
}
#define OK(call) check_ok(__LINE__, program, call)

// The call fails with this status and a message that has these words.
static inline void check_refused(int line, const gradc_program *program, gradc_status found, gradc_status status,
                                 const char *words) {
    if (found == status && strstr(gradc_message(program), words)) return;
    printf("line %d: status %d, \"%s\" instead of status %d, \"%s\"\n", line, found, gradc_message(program), status,
           words);
    failures++;
}
#define REFUSED(call, status, words) check_refused(__LINE__, program, call, status, words)

static inline float number(gradc_call *call) {
    gradc_tensor output;
    if (gradc_call_output(call, 0, &output) || output.rank || output.dtype != GRADC_F32) return NAN;
    return *(float *)output.data;
}

static inline float input_gradient(gradc_call *call, int input) {
    gradc_tensor gradient;
    if (gradc_call_input_gradient(call, input, &gradient) || gradient.rank) return NAN;
    return *(float *)gradient.data;
}

// ---- models

static const char line_model[] = "dim N\n"
                                 "net line(x: f32[N]) -> f32[N] {\n"
                                 "    param w: f32 ~ ones\n"
                                 "    param b: f32 ~ zeros\n"
                                 "    return w * x + b\n"
                                 "}\n"
                                 "loss squared(x: f32[N], y: f32[N]) { return sum((y - line(x))^2) }\n"
                                 "fn twice(x: f32[N]) -> f32[N] { return 2 * x }\n"
                                 "train squared { optimizer sgd(lr = 0.125); batch 4; epochs 1 }\n";

static inline void bind_line(gradc_program *program, gradc_call *call, float *x, float *y, int64_t count) {
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {count}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {count}, y}));
}

static const char net_model[] = "dim N\n"
                                "net mlp(x: f32[N, 4]) -> f32[N, 3] {\n"
                                "    use hidden = dense<4, 16, relu>\n"
                                "    use output = dense<16, 3>\n"
                                "    return output(hidden(x))\n"
                                "}\n"
                                "loss nll(x: f32[N, 4], y: i32[N]) { return cross_entropy(mlp(x), y) }\n"
                                "train nll { optimizer adam(lr = 0.01); batch 8; epochs 1 }\n";

#endif
