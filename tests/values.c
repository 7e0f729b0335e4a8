// Prints what the functions of a model file that take no arguments are: a line for each result, tensors in brackets.
// tests/reference.sh compares that with what the reference says. Usage: values FILE
#include "runtime/gradc.h"

#include <inttypes.h>
#include <stdio.h>

static void print_element(const gradc_tensor *tensor, int64_t at) {
    switch (tensor->dtype) {
    case GRADC_F32: printf("%.6g", (double)((const float *)tensor->data)[at]); break;
    case GRADC_F64: printf("%.6g", ((const double *)tensor->data)[at]); break;
    case GRADC_I32: printf("%" PRId32, ((const int32_t *)tensor->data)[at]); break;
    case GRADC_I64: printf("%" PRId64, ((const int64_t *)tensor->data)[at]); break;
    case GRADC_BOOL: fputs(((const bool *)tensor->data)[at] ? "true" : "false", stdout); break;
    }
}

// Prints the elements from *at on that the axes from `axis` on hold.
static void print_axes(const gradc_tensor *tensor, int axis, int64_t *at) {
    if (axis == tensor->rank) {
        print_element(tensor, (*at)++);
        return;
    }
    putchar('[');
    for (int64_t i = 0; i < tensor->shape[axis]; i++) {
        if (i) fputs(", ", stdout);
        print_axes(tensor, axis + 1, at);
    }
    putchar(']');
}

static gradc_status print_entry(gradc_program *program, const gradc_entry_info *entry) {
    gradc_call *call;
    gradc_tensor output;
    gradc_status status = gradc_call_create(program, entry->name, &call);
    if (!status) status = gradc_call_value(call);
    for (int i = 0; !status && i < entry->output_count; i++) {
        status = gradc_call_output(call, i, &output);
        int64_t at = 0;
        if (!status) print_axes(&output, 0, &at);
        putchar('\n');
    }
    gradc_call_free(call);
    return status;
}

int main(int argc, char **argv) {
    gradc_program *program;
    gradc_entry_info entry;
    if (argc != 2) return 2;
    gradc_status status = gradc_compile_file(argv[1], NULL, &program);
    for (int i = 0; !status && gradc_entry(program, i, &entry); i++)
        if (entry.kind == GRADC_FUNCTION && !entry.input_count) status = print_entry(program, &entry);
    if (status) fprintf(stderr, "%s\n", gradc_message(program));
    gradc_program_free(program);
    return status != GRADC_OK;
}
