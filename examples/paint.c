// Trains a model, then paints what one of its functions gives: numbers from 0 to 1 in rows, as shades in the terminal.
// Usage: paint MODEL FUNCTION [SEED]
#include <gradc.h>
#include <stdio.h>
#include <stdlib.h>

static void paint(const float *row, int64_t count) {
    static const char shades[] = " .:-=+*#%@";
    printf("|");
    for (int64_t i = 0; i < count; i++) {
        float value = row[i] < 0 ? 0 : row[i] > 1 ? 1 : row[i];
        char shade = shades[(int)(9 * value + 0.5f)];
        printf("%c%c", shade, shade);
    }
    printf("|\n");
}

static gradc_status paint_entry(gradc_program *program, const char *entry) {
    gradc_call *call = NULL;
    gradc_tensor picture = {0};
    gradc_status status = gradc_call_create(program, entry, &call);
    if (!status) status = gradc_call_value(call);
    if (!status) status = gradc_call_output(call, 0, &picture);
    bool fits = picture.rank == 2 && picture.dtype == GRADC_F32;
    if (!status && !fits) printf("%s gives no rows of f32\n", entry);
    for (int64_t i = 0; fits && i < picture.shape[0]; i++)
        paint((const float *)picture.data + i * picture.shape[1], picture.shape[1]);
    gradc_call_free(call);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "Usage: paint MODEL FUNCTION [SEED]\n");
        return 2;
    }
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    gradc_program *program;
    gradc_status status = gradc_compile_file(argv[1], NULL, &program);
    if (!status) status = gradc_fit(program, &(gradc_fit_options){.seed = argc > 3 ? &seed : NULL});
    if (!status) status = paint_entry(program, argv[2]);
    if (status) fprintf(stderr, "%s\n", gradc_message(program));
    gradc_program_free(program);
    return status != GRADC_OK;
}
