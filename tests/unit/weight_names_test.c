// Weights of other programs: state_dicts that PyTorch saved, renamed and transposed, give the values that PyTorch
// computes; what is saved with the same options has their names and shapes; what does not fit is listed.
#include "tests/unit/host.h"

#include <unistd.h>

static char folder[256];

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static gradc_program *compile_mlp(void) {
    gradc_program *program;
    if (gradc_compile_file("tests/weights/mlp.grad", NULL, &program) == GRADC_OK) return program;
    printf("%s\n", gradc_message(program));
    exit(1);
}

static const char *const mlp_names[] = {"layers.0.*=mlp.hidden.*", "layers.2.*=mlp.last.*", "*.weight=*.W",
                                        "*.bias=*.b", NULL};
static const char *const matrices[] = {"*.W", NULL};
static const gradc_weight_options mlp_options = {.rename = mlp_names, .transpose = matrices};

static const char normal[] = "dim N\n"
                             "net model(x: f32[N, 4]) -> f32[N, 4] {\n"
                             "    use norm = batch_norm<4>\n"
                             "    use first = dense<4, 4>\n"
                             "    return first(norm(x))\n"
                             "}\n";

// The greatest difference between what the net makes of the rows of tests/oracle/state_dicts.py and what PyTorch did.
static double difference(gradc_program *program, const char *net, const char *module) {
    float x[8];
    for (int i = 0; i < 8; i++) x[i] = sinf((float)i);
    gradc_call *call = create_call(program, net);
    gradc_tensor output;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {2, 4}, x}));
    OK(gradc_call_value(call));
    OK(gradc_call_output(call, 0, &output));
    FILE *stream = fopen("tests/weights/expected.txt", "r");
    char name[64];
    int count;
    double greatest = -1, value;
    while (stream && fscanf(stream, "%63s %d", name, &count) == 2)
        for (int i = 0; i < count && fscanf(stream, "%lf", &value) == 1; i++) {
            if (strcmp(name, module) != 0) continue;
            double apart = fabs(((const float *)output.data)[i] - value);
            greatest = apart > greatest ? apart : greatest;
        }
    if (stream) fclose(stream);
    gradc_call_free(call);
    return greatest < 0 ? NAN : greatest;
}

static void test_mlp(void) {
    gradc_program *program = compile_mlp();
    OK(gradc_load_with(program, "tests/weights/mlp.safetensors", &mlp_options));
    CHECK(difference(program, "mlp", "mlp") < 1e-6);
    // Halves are converted.
    OK(gradc_initialise(program, 1));
    CHECK(difference(program, "mlp", "mlp") > 0.1);
    OK(gradc_load_with(program, "tests/weights/f16.safetensors", &mlp_options));
    CHECK(difference(program, "mlp", "mlp") < 1e-3);
    OK(gradc_load_with(program, "tests/weights/bf16.safetensors", &mlp_options));
    CHECK(difference(program, "mlp", "mlp") < 1e-2);
    CHECK(difference(program, "mlp", "mlp") > 1e-5);
    gradc_program_free(program);
}

// Back under PyTorch's names, in both formats, and from there once more.
static void test_back(const char *file) {
    gradc_program *program = compile_mlp();
    OK(gradc_load_with(program, "tests/weights/mlp.safetensors", &mlp_options));
    OK(gradc_save_with(program, in_folder(file), &mlp_options));
    OK(gradc_initialise(program, 1));
    REFUSED(gradc_load(program, in_folder(file)), GRADC_DATA, "it has layers.0.weight, f32[6, 4], which");
    OK(gradc_load_with(program, in_folder(file), &mlp_options));
    CHECK(difference(program, "mlp", "mlp") < 1e-6);
    OK(gradc_save(program, in_folder(file)));
    OK(gradc_initialise(program, 1));
    OK(gradc_load(program, in_folder(file)));
    CHECK(difference(program, "mlp", "mlp") < 1e-6);
    unlink(in_folder(file));
    gradc_program_free(program);
}

// Other names for the batch norm; its counter is of no use; no shape says that `first` is to be transposed.
static void test_normal(void) {
    static const char *const names[] = {"norm.weight=norm.gamma", "norm.bias=norm.beta", "first.weight=first.W",
                                        "first.bias=first.b", NULL};
    static const char *const ignored[] = {"*.num_batches_tracked", NULL};
    gradc_weight_options options = {.rename = names, .transpose = matrices};
    gradc_program *program = compile(normal);
    REFUSED(gradc_load_with(program, "tests/weights/normal.safetensors", &options), GRADC_DATA,
            "it has norm.num_batches_tracked, i64, which the program does not know");
    options.ignore = ignored;
    OK(gradc_load_with(program, "tests/weights/normal.safetensors", &options));
    CHECK(difference(program, "model", "normal") < 1e-5);
    options.transpose = NULL;
    OK(gradc_load_with(program, "tests/weights/normal.safetensors", &options));
    CHECK(difference(program, "model", "normal") > 1e-3);
    gradc_program_free(program);
}

static void refuse(gradc_program *program, const gradc_weight_options *options, gradc_status status,
                   const char *words) {
    float before[51], *parameters = gradc_parameters(program);
    memcpy(before, parameters, (size_t)gradc_parameter_elements(program) * sizeof *before);
    check_refused(__LINE__, program, gradc_load_with(program, "tests/weights/mlp.safetensors", options), status, words);
    CHECK(memcmp(before, parameters, (size_t)gradc_parameter_elements(program) * sizeof *before) == 0);
}

static void test_messages(void) {
    gradc_program *program = compile_mlp();
    // All that is wrong, one line for each, and what would mend it.
    refuse(program, NULL, GRADC_DATA,
           "'tests/weights/mlp.safetensors' does not fit the program:\n"
           "    it has no mlp.hidden.W, f32[4, 6], which the program needs\n"
           "    it has no mlp.hidden.b, f32[6], which the program needs\n"
           "    it has no mlp.last.W, f32[6, 3], which the program needs\n"
           "    it has no mlp.last.b, f32[3], which the program needs\n"
           "    it has layers.0.bias, f32[6], which the program does not know\n"
           "    it has layers.0.weight, f32[6, 4], which the program does not know\n"
           "    it has layers.2.bias, f32[3], which the program does not know\n"
           "    it has layers.2.weight, f32[3, 6], which the program does not know\n"
           "    other names are matched by --rename, such as 'layers.0.weight=mlp.hidden.W'");
    gradc_weight_options options = {.rename = mlp_names};
    refuse(
        program, &options, GRADC_DATA,
        "    mlp.hidden.W is f32[6, 4] there, but f32[4, 6] in the program: did you mean --transpose 'mlp.hidden.W'?\n"
        "    mlp.last.W is f32[3, 6] there, but f32[6, 3] in the program: did you mean --transpose 'mlp.last.W'?");
    static const char *const one[] = {"mlp.hidden", NULL};
    options.transpose = one;
    refuse(program, &options, GRADC_DATA, "does not fit the program: mlp.last.W is f32[3, 6] there");
    static const char *const nothing[] = {"mlp.hiden.W", NULL};
    options.transpose = nothing;
    refuse(program, &options, GRADC_ARGUMENT,
           "no matrix of the program is called 'mlp.hiden.W', which is to be transposed; did you mean 'mlp.hidden.W'?");
    gradc_program_free(program);
}

static void test_renames(void) {
    static const char *const bad[] = {"layers", "=b", "a=", "a=b=c", "a.*=b", "a=b.*", "*.*=*.*"};
    gradc_program *program = compile_mlp();
    const char *list[] = {NULL, NULL};
    gradc_weight_options options = {.rename = list};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        list[0] = bad[i];
        refuse(program, &options, GRADC_ARGUMENT, "' renames nothing");
    }
    list[0] = "layer.0.*=mlp.hidden.*";
    refuse(program, &options, GRADC_ARGUMENT, "has no name for the rename 'layer.0.*=mlp.hidden.*'");
    list[0] = "*.bias=b";
    refuse(program, &options, GRADC_ARGUMENT, "' renames nothing");
    list[0] = "layers.0.bias=layers.2.bias";
    refuse(program, &options, GRADC_ARGUMENT, "layers.0.bias and layers.2.bias are both layers.2.bias");
    REFUSED(gradc_save_with(program, in_folder("x"), &(gradc_weight_options){.transpose = list}), GRADC_ARGUMENT,
            "no matrix");
    list[0] = "same=mlp.hidden.b";
    OK(gradc_save_with(program, in_folder("x"), &options));
    OK(gradc_load_with(program, in_folder("x"), &options));
    list[0] = "mlp.last.b=mlp.hidden.b";
    REFUSED(gradc_save_with(program, in_folder("x"), &options), GRADC_ARGUMENT,
            "two weights would be called mlp.last.b");
    unlink(in_folder("x"));
    gradc_program_free(program);
}

// Numbers are taken as they are, but for those that another dtype cannot hold.
static void test_numbers(void) {
    static const char text[] = "net pair() -> float[2] { param w: float[2] ~ zeros; return w }\n";
    gradc_program *program, *twice;
    OK(gradc_compile_text("pair", text, strlen(text), NULL, &program));
    gradc_options f64 = {.floating = GRADC_F64};
    OK(gradc_compile_text("pair", text, strlen(text), &f64, &twice));
    double *wide = gradc_parameters(twice);
    float *narrow = gradc_parameters(program);
    const char *const files[] = {"n.safetensors", "n.npz"};
    for (int i = 0; i < 2; i++) {
        wide[0] = NAN;
        wide[1] = -INFINITY;
        OK(gradc_save(twice, in_folder(files[i])));
        OK(gradc_load(program, in_folder(files[i])));
        CHECK(isnan(narrow[0]) && narrow[1] == -INFINITY);
        wide[1] = 1e39;
        narrow[0] = 5;
        OK(gradc_save(twice, in_folder(files[i])));
        REFUSED(gradc_load(program, in_folder(files[i])), GRADC_DATA, "pair.w has a number that is too large for f32");
        CHECK(narrow[0] == 5);
        unlink(in_folder(files[i]));
    }
    gradc_program_free(twice);
    gradc_program_free(program);
}

int main(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/gradc-names-XXXXXX", base ? base : P_tmpdir);
    if (!mkdtemp(folder)) return 1;
    test_mlp();
    test_back("back.safetensors");
    test_back("back.npz");
    test_normal();
    test_messages();
    test_renames();
    test_numbers();
    rmdir(folder);
    return failures != 0;
}
