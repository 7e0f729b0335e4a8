// A net of steps has no slope anywhere, but learns by a derivative of one's own; without it the compiler warns.
#include "host.h"

#define NET                                                                 \
    "dim N\n"                                                               \
    "net spikes(x: f32[N, 2]) -> f32[N] {\n"                                \
    "    use hidden = dense<2, 16, hard_step>\n"                            \
    "    use output = dense<16, 1>\n"                                       \
    "    return output(hidden(x))[:, 0]\n"                                  \
    "}\n"                                                                   \
    "loss fit(x: f32[N, 2], y: f32[N]) { return mse_loss(spikes(x), y) }\n" \
    "train fit { optimizer adam(lr = 0.02); batch 64; epochs 1 }\n"

static const char with_derivative[] = "fn hard_step(x: float[*]) -> float[*] {\n"
                                      "    derivative(ct) = ct * sigmoid(x) * (1 - sigmoid(x))\n"
                                      "    return where(x > 0, 1, 0)\n"
                                      "}\n" NET;
static const char without_derivative[] = "fn hard_step(x: float[*]) -> float[*] { return where(x > 0, 1, 0) }\n" NET;

enum { ROWS = 64, STEPS = 400 };
static float x[ROWS * 2], y[ROWS];

// Whether the point lies in the first or third quadrant: no line parts them.
static void make_rows(void) {
    uint32_t state = 1;
    for (int i = 0; i < 2 * ROWS; i++) {
        state = state * 1664525 + 1013904223;
        x[i] = (float)(state >> 8) / (1 << 23) - 1;
    }
    for (int i = 0; i < ROWS; i++) y[i] = x[2 * i] * x[2 * i + 1] > 0 ? 1.0f : 0.0f;
}

static void train(const char *text, double *first, double *last, bool *hidden_moved) {
    gradc_program *program = compile(text);
    gradc_trainer *trainer = create_trainer(program, "fit");
    OK(gradc_initialise(program, 3));
    OK(gradc_trainer_bind(trainer, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, 2}, x}));
    OK(gradc_trainer_bind(trainer, 1, &(gradc_tensor){GRADC_F32, 1, {ROWS}, y}));
    float before = ((float *)gradc_parameters(program))[0];
    OK(gradc_trainer_step(trainer, first));
    for (int i = 1; i < STEPS; i++) OK(gradc_trainer_step(trainer, last));
    *hidden_moved = ((float *)gradc_parameters(program))[0] != before;
    CHECK(gradc_warning_count(program) == (text == without_derivative));
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

int main(void) {
    double first, last, without;
    bool moved;
    make_rows();
    train(with_derivative, &first, &last, &moved);
    CHECK(moved && last < 0.3 * first && last < 0.08);
    train(without_derivative, &first, &without, &moved);
    CHECK(!moved && last < without);
    if (failures) printf("the loss fell from %g to %g, and to %g without a derivative\n", first, last, without);
    return failures != 0;
}
