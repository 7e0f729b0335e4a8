// Trains names.grad on the names of the elements, and prints names that it invents. It is to be run in the project's
// root.
#include <gradc.h>
#include <stdio.h>

static bool print_epoch(void *context, const gradc_progress *progress) {
    (void)context;
    if (progress->epoch % 3 == 0)
        printf("epoch %2d  held-out names: %.1f letters to choose from\n", (int)progress->epoch,
               progress->metrics[0].value);
    return true;
}

// Letters are 1 to 26, and 0 ends a name.
static void print_name(const int32_t *letters, int64_t count) {
    for (int64_t i = 0; i < count && letters[i]; i++) printf("%c", "abcdefghijklmnopqrstuvwxyz"[letters[i] - 1]);
    printf("\n");
}

int main(void) {
    gradc_program *program;
    gradc_call *call = NULL;
    gradc_tensor names = {0};
    gradc_status status = gradc_compile_file("examples/names.grad", NULL, &program);
    if (!status) status = gradc_fit(program, &(gradc_fit_options){.progress = print_epoch});
    if (!status) status = gradc_call_create(program, "invent", &call);
    if (!status) status = gradc_call_value(call);
    if (!status) status = gradc_call_output(call, 0, &names);
    if (status) fprintf(stderr, "%s\n", gradc_message(program));
    for (int64_t i = 0; !status && i < names.shape[0]; i++)
        print_name((int32_t *)names.data + i * names.shape[1], names.shape[1]);
    gradc_call_free(call);
    gradc_program_free(program);
    return status != GRADC_OK;
}
