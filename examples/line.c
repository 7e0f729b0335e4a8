// line.grad from a C program: an error and its slope for one point that can be checked by hand, for several, and then
// training, fed from memory. It is to be run in the project's root.
#include <gradc.h>
#include <stdio.h>

static gradc_program *program;

static int stop(void) {
    fprintf(stderr, "%s\n", gradc_message(program));
    return 1;
}

// Prints the loss over `count` points, and its slope by w and b.
static gradc_status show(const char *loss, int64_t count, float *x, float *y) {
    gradc_call *call = NULL;
    gradc_tensor value;
    float slope[2];   // in the order of the parameters: line.w, line.b
    gradc_status status = gradc_call_create(program, loss, &call);
    if (!status) status = gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {count}, x});
    if (!status) status = gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 1, {count}, y});
    if (!status) status = gradc_call_forward(call);
    if (!status) status = gradc_call_output(call, 0, &value);
    if (!status) status = gradc_call_grad(call, slope, false);
    if (!status) printf("%-8s %g, by w %g, by b %g\n", loss, *(float *)value.data, slope[0], slope[1]);
    gradc_call_free(call);
    return status;
}

int main(void) {
    float x[4] = {1, 0, 2, -1}, y[4] = {1, -1, 5, -4};   // y = 3 x - 1, but for the first
    if (gradc_compile_file("examples/line.grad", NULL, &program)) return stop();

    printf("one point: x = 1, w = 2, b = 0, so f = 2; y = 1\n");
    if (show("summed", 1, x, y)) return stop();   // (1 - 2)^2 = 1, and -2 (1 - 2) 1 = 2
    printf("four points\n");
    if (show("summed", 4, x, y) || show("average", 4, x, y)) return stop();

    printf("training on the three that lie on y = 3 x - 1\n");
    gradc_trainer *trainer;
    double loss = 0;
    if (gradc_trainer_create(program, "average", &trainer)) return stop();
    if (gradc_trainer_bind(trainer, 0, &(gradc_tensor){GRADC_F32, 1, {3}, x + 1})) return stop();
    if (gradc_trainer_bind(trainer, 1, &(gradc_tensor){GRADC_F32, 1, {3}, y + 1})) return stop();
    for (int i = 0; i < 100; i++)
        if (gradc_trainer_step(trainer, &loss)) return stop();
    const float *parameters = gradc_parameters(program);
    printf("after 100 steps: w = %.4f, b = %.4f\n", parameters[0], parameters[1]);
    gradc_trainer_free(trainer);
    gradc_program_free(program);
    return 0;
}
