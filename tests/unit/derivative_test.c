// A printed derivative is a program: compiled, it gives the bits that backward gives. Takes every model file of
// tests/golden/derivative, in f32 and in f64. All open dims are ROWS.
#include "host.h"

#include <glob.h>

enum { ROWS = 7, MAX_INPUTS = 32 };

static const char *current;

#define FAIL(...)                \
    do {                         \
        printf("%s: ", current); \
        printf(__VA_ARGS__);     \
        printf("\n");            \
        failures++;              \
    } while (0)

static int64_t elements(const gradc_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

// An array for the input: class numbers for integers, else numbers between -2 and 2.
static gradc_tensor array_for(const gradc_tensor_info *info, int seed) {
    gradc_tensor tensor = {.dtype = info->dtype, .rank = info->rank};
    for (int i = 0; i < info->rank; i++) tensor.shape[i] = info->shape[i] < 0 ? ROWS : info->shape[i];
    int64_t count = elements(&tensor);
    tensor.data = calloc((size_t)count + 1, gradc_dtype_size(info->dtype));
    uint64_t state = (uint64_t)seed * 7919 + 1;
    for (int64_t at = 0; at < count; at++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double value = (double)(state >> 40) / (1 << 24) * 4 - 2;
        if (info->dtype == GRADC_F32) ((float *)tensor.data)[at] = (float)value;
        if (info->dtype == GRADC_F64) ((double *)tensor.data)[at] = value;
        if (info->dtype == GRADC_I32) ((int32_t *)tensor.data)[at] = (int32_t)(state >> 33) % 3;
        if (info->dtype == GRADC_I64) ((int64_t *)tensor.data)[at] = (int64_t)(state >> 33) % 3;
    }
    return tensor;
}

// The first loss, or 0.
static int find_loss(const gradc_program *program) {
    gradc_entry_info info;
    for (int i = 0; gradc_entry(program, i, &info); i++)
        if (info.kind == GRADC_LOSS) return i;
    return 0;
}

static gradc_program *compile_as(const char *text, gradc_dtype floating) {
    gradc_program *program;
    gradc_options options = {.verify = true, .floating = floating};
    if (gradc_compile_text("derivative.grad", text, strlen(text), &options, &program) == GRADC_OK) return program;
    FAIL("%s\n%s%s", text, gradc_diagnostics(program, false), gradc_message(program));
    gradc_program_free(program);
    return NULL;
}

static void check_status(const gradc_program *program, gradc_status status) {
    if (status) FAIL("%s", gradc_message(program));
}

// Binds what the derivative's program reads: the model's inputs, then its parameters, in order of declaration.
static void bind_all(gradc_program *program, gradc_call *call, const gradc_tensor *inputs, int input_count,
                     const gradc_program *model, void *parameters) {
    gradc_entry_info entry;
    gradc_entry(program, 0, &entry);
    gradc_parameter_info info;
    int parameter = 0;
    for (int i = 0; i < entry.input_count; i++) {
        if (i < input_count) {
            check_status(program, gradc_call_bind(call, i, &inputs[i]));
            continue;
        }
        gradc_tensor_info input;
        gradc_entry_input(program, 0, i, &input);
        if (strcmp(input.name, "iteration") == 0) {   // nothing was trained
            static double iteration = 0;
            check_status(program, gradc_call_bind(call, i, &(gradc_tensor){GRADC_F64, 0, {0}, &iteration}));
            continue;
        }
        char name[256];
        do {   // those that the derivative does not read are not among its inputs
            if (!gradc_parameter(model, parameter++, &info)) return;
            snprintf(name, sizeof name, "%s", info.path);
            for (char *at = name; *at; at++)
                if (*at == '.') *at = '_';
        } while (strcmp(name, input.name) != 0);
        gradc_tensor tensor = {.dtype = info.dtype, .rank = info.rank};
        for (int k = 0; k < info.rank; k++) tensor.shape[k] = info.shape[k];
        tensor.data = (char *)parameters + (size_t)info.offset * gradc_dtype_size(info.dtype);
        check_status(program, gradc_call_bind(call, i, &tensor));
    }
}

// Backward adds to zero, so that it gives 0 where the derivative is -0.
static void compare(const char *what, const gradc_tensor *found, const void *expected) {
    size_t size = gradc_dtype_size(found->dtype);
    for (int64_t at = 0; at < elements(found); at++) {
        const char *a = (const char *)found->data + (size_t)at * size, *b = (const char *)expected + (size_t)at * size;
        double left = size == 4 ? *(const float *)a : *(const double *)a;
        double right = size == 4 ? *(const float *)b : *(const double *)b;
        if (memcmp(a, b, size) == 0 || (left == 0 && right == 0) || (isnan(left) && isnan(right))) continue;
        FAIL("%s: element %lld is %.17g, and backward gives %.17g", what, (long long)at, left, right);
        return;
    }
}

static void compare_all(gradc_program *program, gradc_call *call, gradc_program *model, gradc_call *model_call,
                        int input_count, const bool *tracked) {
    int output = 0;
    gradc_tensor value, expected;
    gradc_parameter_info info;
    size_t size = gradc_dtype_size(gradc_parameter_dtype(model));
    gradc_entry_info entry;
    gradc_entry(program, 0, &entry);
    int inputs = 0;
    for (int i = 0; i < input_count; i++) inputs += tracked[i];
    for (int i = 0; output < entry.output_count - inputs && gradc_parameter(model, i, &info); i++) {
        if (info.frozen) continue;
        check_status(program, gradc_call_output(call, output++, &value));
        compare(info.path, &value, (const char *)gradc_gradients(model) + (size_t)info.offset * size);
    }
    for (int i = 0; i < input_count; i++) {
        if (!tracked[i]) continue;
        check_status(program, gradc_call_output(call, output++, &value));
        check_status(model, gradc_call_input_gradient(model_call, i, &expected));
        compare("an input", &value, expected.data);
    }
    if (output != entry.output_count) FAIL("%d of %d results compared", output, entry.output_count);
}

static void check_model(const char *text, gradc_dtype floating) {
    gradc_program *model = compile_as(text, floating);
    if (!model) return;
    gradc_entry_info entry;
    gradc_tensor inputs[MAX_INPUTS];
    bool tracked[MAX_INPUTS] = {false};
    int loss = find_loss(model);
    const char *derivative;
    gradc_entry(model, loss, &entry);
    gradc_call *model_call = create_call(model, entry.name);
    for (int i = 0; i < entry.input_count; i++) {
        gradc_tensor_info info;
        gradc_entry_input(model, loss, i, &info);
        inputs[i] = array_for(&info, i + 1);
        tracked[i] = info.requires_grad;
        check_status(model, gradc_call_bind(model_call, i, &inputs[i]));
        check_status(model, gradc_call_requires_grad(model_call, i, tracked[i]));
    }
    check_status(model, gradc_call_forward(model_call));
    check_status(model, gradc_call_backward(model_call, false));
    check_status(model, gradc_derivative(model, entry.name, &derivative));
    gradc_program *program = failures ? NULL : compile_as(derivative, floating);
    if (program) {
        gradc_entry_info info;
        gradc_entry(program, 0, &info);
        gradc_call *call = create_call(program, info.name);
        bind_all(program, call, inputs, entry.input_count, model, gradc_parameters(model));
        check_status(program, gradc_call_value(call));
        compare_all(program, call, model, model_call, entry.input_count, tracked);
        gradc_call_free(call);
        gradc_program_free(program);
    }
    for (int i = 0; i < entry.input_count; i++) free(inputs[i].data);
    gradc_call_free(model_call);
    gradc_program_free(model);
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
    if (glob("tests/golden/derivative/*.grad", 0, NULL, &found) || found.gl_pathc < 10) {
        printf("tests/golden/derivative has no model files\n");
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        current = found.gl_pathv[i];
        char *text = read_text(current);
        check_model(text, GRADC_F32);
        check_model(text, GRADC_F64);
        free(text);
    }
    globfree(&found);
    return failures != 0;
}
