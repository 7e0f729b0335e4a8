// Two ways of writing a thing must mean the same: tests/pairs holds programs with two losses each, `one` and `two`, of
// the same inputs. Their values must agree, and their gradients by all parameters and by all inputs marked
// requires_grad, as machine code in f64 and, more loosely, in f32. Open dims: N is 3, K 2, B 4, T 5.
#include "host.h"

#include <glob.h>

enum { MOST_INPUTS = 8, MOST_NUMBERS = 4096 };

static const char *current;

#define FAIL(...)                \
    do {                         \
        printf("%s: ", current); \
        printf(__VA_ARGS__);     \
        printf("\n");            \
        failures++;              \
    } while (0)

static double next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 40) / (1 << 23) - 1;
}

static void fill(gradc_dtype dtype, void *data, int64_t count, uint64_t seed) {
    uint64_t state = seed * 7919 + 3;
    for (int64_t i = 0; i < count; i++) {
        double value = next_random(&state);
        if (dtype == GRADC_F64) ((double *)data)[i] = value;
        if (dtype == GRADC_F32) ((float *)data)[i] = (float)value;
        if (dtype == GRADC_I32) ((int32_t *)data)[i] = (int32_t)((value + 1) * 1.5);
    }
}

static int64_t elements(const gradc_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

// The extents of a type such as "f64[N, 64]".
static void read_shape(const char *type, gradc_tensor *tensor) {
    const char *at = strchr(type, '[');
    for (int i = 0; i < tensor->rank; i++, at = strchr(at, ',')) {
        at += 1 + (at[1] == ' ');
        tensor->shape[i] = *at == 'N' ? 3 : *at == 'K' ? 2 : *at == 'B' ? 4 : *at == 'T' ? 5 : atoll(at);
    }
}

static double number_at(const gradc_tensor *tensor, int64_t at) {
    return tensor->dtype == GRADC_F32 ? (double)((float *)tensor->data)[at] : ((double *)tensor->data)[at];
}

// The value of a loss, then its gradients. The count of numbers; 0: it could not be had.
static int run_loss(gradc_program *program, const char *name, double *numbers) {
    gradc_entry_info entry = {0};
    gradc_tensor inputs[MOST_INPUTS], tensor;
    gradc_tensor_info info;
    int number = 0, count = 0;
    while (gradc_entry(program, number, &entry) && strcmp(entry.name, name) != 0) number++;
    gradc_call *call = create_call(program, name);
    for (int i = 0; i < entry.input_count; i++) {
        gradc_entry_input(program, number, i, &info);
        inputs[i] = (gradc_tensor){.dtype = info.dtype, .rank = info.rank};
        read_shape(info.type, &inputs[i]);
        inputs[i].data = calloc((size_t)elements(&inputs[i]) + 1, gradc_dtype_size(info.dtype));
        fill(info.dtype, inputs[i].data, elements(&inputs[i]), (uint64_t)i + 11);
        OK(gradc_call_bind(call, i, &inputs[i]));
        OK(gradc_call_requires_grad(call, i, info.requires_grad));
    }
    gradc_tensor gradients = {gradc_parameter_dtype(program), 1, {gradc_parameter_elements(program)}, NULL};
    gradients.data = calloc((size_t)elements(&gradients) + 1, gradc_dtype_size(gradients.dtype));
    OK(gradc_call_forward(call));
    OK(gradc_call_output(call, 0, &tensor));
    if (!failures) numbers[count++] = number_at(&tensor, 0);
    OK(gradc_call_grad(call, gradients.data, false));
    for (int64_t k = 0; k < elements(&gradients); k++) numbers[count++] = number_at(&gradients, k);
    for (int i = 0; i < entry.input_count; i++) {
        gradc_entry_input(program, number, i, &info);
        if (!info.requires_grad || gradc_call_input_gradient(call, i, &tensor)) continue;
        for (int64_t k = 0; k < elements(&tensor); k++) numbers[count++] = number_at(&tensor, k);
    }
    for (int i = 0; i < entry.input_count; i++) free(inputs[i].data);
    free(gradients.data);
    gradc_call_free(call);
    return count;
}

static void check_pair(const char *text, gradc_dtype floating, double tolerance) {
    static double one[MOST_NUMBERS], two[MOST_NUMBERS];
    gradc_program *program;
    gradc_options options = {.verify = true, .floating = floating};
    if (gradc_compile_text(current, text, strlen(text), &options, &program) != GRADC_OK) {
        FAIL("%s%s", gradc_diagnostics(program, false), gradc_message(program));
        gradc_program_free(program);
        return;
    }
    fill(floating, gradc_parameters(program), gradc_parameter_elements(program), 5);
    gradc_parameters_changed(program);
    int before = failures, count = run_loss(program, "one", one), other = run_loss(program, "two", two);
    if (failures > before) FAIL("a loss could not be run");
    else if (count != other || count < 1 || one[0] == 0) FAIL("%d and %d numbers, the first %g", count, other, one[0]);
    else
        for (int i = 0; i < count; i++) {
            if (fabs(one[i] - two[i]) <= tolerance * (1 + fabs(one[i]))) continue;
            FAIL("number %d is %.17g in one and %.17g in two, with a tolerance of %g", i, one[i], two[i], tolerance);
            break;
        }
    gradc_program_free(program);
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    if (!file || !fread(text, 1, (1 << 16) - 1, file)) FAIL("cannot be read");
    if (file) fclose(file);
    return text;
}

int main(void) {
    glob_t found;
    if (glob("tests/pairs/*.grad", 0, NULL, &found)) return 1;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        current = found.gl_pathv[i];
        char *text = read_text(current);
        check_pair(text, GRADC_F64, 1e-11);
        check_pair(text, GRADC_F32, 2e-3);
        free(text);
    }
    globfree(&found);
    return failures != 0;
}
