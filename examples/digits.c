// Trains digits.grad and draws what the net reads: the first digits of the file, then those that it misreads.
// It is to be run in the project's root.
#include <gradc.h>
#include <stdio.h>

enum { ROWS = 1797, ACROSS = 5 };
static float images[ROWS][64];

static bool print_epoch(void *context, const gradc_progress *progress) {
    (void)context;
    if (progress->epoch % 20 == 0)
        printf("epoch %2d  loss %.4f  reads %.2f%% of the digits held out\n", (int)progress->epoch, progress->mean_loss,
               100 * progress->metrics[0].value);
    return true;
}

static int best(const float *logits) {
    int digit = 0;
    for (int i = 1; i < 10; i++) digit = logits[i] > logits[digit] ? i : digit;
    return digit;
}

// The images of these rows side by side, a pixel two characters wide.
static void draw(const char *title, const int *rows, int count, const float *logits, const float *table) {
    printf("\n%s\n", title);
    for (int line = 0; line < 8; line++, printf("|\n"))
        for (int i = 0; i < 8 * count; i++) {
            char shade = " .:-=+*#%@"[(int)(9 * images[rows[i / 8]][8 * line + i % 8])];
            printf("%s%c%c", i % 8 ? "" : "|", shade, shade);
        }
    for (int i = 0; i < count; i++)
        printf("|%d, read as %-5d", (int)table[65 * rows[i] + 64], best(logits + 10 * rows[i]));
    printf("|\n");
}

int main(void) {
    gradc_program *program;
    gradc_call *call = NULL;
    gradc_tensor table = {0}, logits;
    gradc_status status = gradc_compile_file("examples/digits.grad", NULL, &program);
    if (!status) status = gradc_fit(program, &(gradc_fit_options){.progress = print_epoch});
    if (!status) status = gradc_array_read(program, "examples/digits.csv", NULL, GRADC_F32, &table);
    for (int i = 0; !status && i < ROWS * 64; i++)
        images[i / 64][i % 64] = ((float *)table.data)[i / 64 * 65 + i % 64] / 16;
    if (!status) status = gradc_call_create(program, "mlp", &call);
    if (!status) status = gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, 64}, images});   // any N
    if (!status) status = gradc_call_value(call);
    if (!status) status = gradc_call_output(call, 0, &logits);
    int first[ACROSS] = {0, 1, 2, 3, 4}, wrong[ACROSS], count = 0;
    for (int i = 0; !status && i < ROWS && count < ACROSS; i++)
        if (best((float *)logits.data + 10 * i) != ((float *)table.data)[65 * i + 64]) wrong[count++] = i;
    if (status) fprintf(stderr, "%s\n", gradc_message(program));
    else draw("The first:", first, ACROSS, logits.data, table.data);
    if (!status) draw("Misread:", wrong, count, logits.data, table.data);
    gradc_array_free(&table);
    gradc_call_free(call);
    gradc_program_free(program);
    return status != GRADC_OK;
}
