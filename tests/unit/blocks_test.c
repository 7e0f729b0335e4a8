// Data and train blocks as the elaborator leaves them: how many columns fields ask for and what they compute; what
// optimizers hold; which parameters are trained.
#include "check.h"
#include "compile.h"
#include "evaluate/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char model[] = "dim N\n"
                            "net mlp(x: f32[N, 3]) -> f32[N, 2] {\n"
                            "    use hidden = dense<3, 4>\n"
                            "    use output = dense<4, 2>\n"
                            "    return output(hidden(x))\n"
                            "}\n"
                            "loss nll(x: f32[N, 3], y: i32[N]) { return cross_entropy(mlp(x), y) }\n";

static Compilation *compile(const char *text) {
    char *whole = malloc(strlen(model) + strlen(text) + 1);
    strcpy(whole, model);
    strcat(whole, text);
    CompileOptions options = {.floating = DTYPE_F32, .verify = true};
    Compilation *compilation = compilation_create("blocks.grad", whole, strlen(whole), &options);
    free(whole);
    if (compilation && compilation_program(compilation)) return compilation;
    printf("%s", compilation ? diagnostics_text(compilation_diagnostics(compilation), false) : "no memory\n");
    exit(1);
}

// ---- data

static const DataField *field(const DataBlock *data, const char *name) {
    for (int i = 0; i < data->fields.count; i++)
        if (strcmp(data->fields.items[i].name, name) == 0) return &data->fields.items[i];
    printf("there is no field %s\n", name);
    exit(1);
}

// The extent as `scale` times one open dim plus `offset`, or as the constant `offset` with scale 0.
static bool extent_reads(const Extent *extent, int64_t scale, int64_t offset) {
    int64_t a, b;
    int dim;
    if (extent_is_constant(extent, &b)) return scale == 0 && b == offset;
    return extent_affine(extent, &dim, &a, &b) && a == scale && b == offset;
}

// A field's values over 2 rows of `columns` cells: 0, 1, ... in the first, 10, 11, ... in the second.
static Tensor field_value(Compilation *compilation, Arena *arena, const DataField *field, int64_t columns) {
    const Function *value = &field->value;
    const Program *program = compilation_program(compilation);
    int64_t *dims = arena_array(arena, int64_t, program->dims.count + 1), scale, offset;
    double *cells = arena_array(arena, double, 2 * columns);
    for (int64_t i = 0; i < 2 * columns; i++) cells[i] = (double)(i / columns * 10 + i % columns);
    const Node *argument = value->arguments[0];
    int dim;
    if (extent_affine(argument->shape[0], &dim, &scale, &offset)) dims[dim] = 2;
    if (extent_affine(argument->shape[1], &dim, &scale, &offset)) dims[dim] = columns - offset;
    Tensor input = {.dtype = DTYPE_F64, .rank = 2, .shape = {2, columns}, .data = cells}, result = {0};
    Environment environment = {.dims = dims};
    const char *fault = evaluate_function(arena, value, &input, &environment, &result);
    CHECK(!fault);
    if (fault) printf("%s: %s\n", field->name, fault);
    return result;
}

static void test_fixed_columns(Arena *arena) {
    Compilation *compilation =
        compile("data d { file \"d.csv\"; x = columns[0:3] / 2; y = i32(columns[4]); split 0.5 }\n");
    const DataBlock *data = compilation_program(compilation)->data.items[0];
    CHECK(data->split == 0.5 && strcmp(data->file, "d.csv") == 0);
    const DataField *x = field(data, "x"), *y = field(data, "y");
    CHECK(extent_reads(x->value.arguments[0]->shape[1], 0, 5));
    CHECK(extent_reads(x->value.arguments[0]->shape[0], 1, 0));
    Tensor values = field_value(compilation, arena, x, 5);
    CHECK(values.dtype == DTYPE_F32 && values.rank == 2 && values.shape[1] == 3);
    CHECK(((float *)values.data)[1] == 0.5f && ((float *)values.data)[3] == 5);
    values = field_value(compilation, arena, y, 5);
    CHECK(values.dtype == DTYPE_I32 && values.rank == 1 && ((int32_t *)values.data)[1] == 14);
    compilation_destroy(compilation);
}

static void test_open_columns(Arena *arena) {
    Compilation *compilation = compile("const last = -1\n"
                                       "data d {\n"
                                       "    file \"d.csv\"\n"
                                       "    raw = columns[1:last]\n"
                                       "    x = raw - mean(raw, axis = 0)\n"
                                       "    w = columns[-3]\n"
                                       "    all = columns\n"
                                       "    y = i32(columns[last])\n"
                                       "}\n");
    const DataBlock *data = compilation_program(compilation)->data.items[0];
    CHECK(data->split == 1 && data->fields.count == 5);
    // At least three columns for columns[-3], and any number more.
    CHECK(extent_reads(field(data, "x")->value.arguments[0]->shape[1], 1, 3));
    Tensor values = field_value(compilation, arena, field(data, "x"), 5);
    CHECK(values.rank == 2 && values.shape[0] == 2 && values.shape[1] == 3);
    CHECK(((float *)values.data)[0] == -5 && ((float *)values.data)[5] == 5);
    values = field_value(compilation, arena, field(data, "w"), 3);
    CHECK(values.rank == 1 && ((float *)values.data)[1] == 10);
    values = field_value(compilation, arena, field(data, "all"), 7);
    CHECK(values.rank == 2 && values.shape[1] == 7 && ((float *)values.data)[13] == 16);
    values = field_value(compilation, arena, field(data, "y"), 4);
    CHECK(values.dtype == DTYPE_I32 && ((int32_t *)values.data)[0] == 3);
    compilation_destroy(compilation);
}

// A field has the floating dtype of the inputs that it feeds.
static void test_field_dtype(void) {
    Compilation *compilation =
        compile("loss wide(z: f64[N]) { return f64(mlp.hidden.b[0]) * mean(z) }\n"
                "data d { file \"d.csv\"; z = columns[0]; x = columns[0:3]; b = columns[1] > 0 }\n");
    const DataBlock *data = compilation_program(compilation)->data.items[0];
    CHECK(field(data, "z")->value.results[0].node->dtype == DTYPE_F64);
    CHECK(field(data, "x")->value.results[0].node->dtype == DTYPE_F32);
    CHECK(field(data, "b")->value.results[0].node->dtype == DTYPE_BOOL);
    compilation_destroy(compilation);
}

// ---- train

static const Hyperparameter *hyperparameter(const TrainBlock *train, const char *name) {
    for (int i = 0; i < train->hyperparameters.count; i++)
        if (strcmp(train->hyperparameters.items[i].name, name) == 0) return &train->hyperparameters.items[i];
    return NULL;
}

static void test_optimizer(void) {
    Compilation *compilation = compile("train nll { optimizer rmsprop(0.5, eps = 1e-6); batch 7; epochs 3; seed 9 }\n");
    const TrainBlock *train = compilation_program(compilation)->trains.items[0];
    const Optimizer *optimizer = train->optimizers.items[0];
    CHECK(train->batch == 7 && train->epochs == 3 && train->seed == 9 && train->repeat == 1 && !train->data);
    CHECK(strcmp(train->hyperparameters.items[0].name, "iteration") == 0);
    CHECK(hyperparameter(train, "lr")->constant == 0.5 && hyperparameter(train, "eps")->constant == 1e-6);
    CHECK(hyperparameter(train, "alpha")->constant == 0.99 && !hyperparameter(train, "centered"));
    CHECK(optimizer->state_count == 2);   // what `centered` would need is left out
    CHECK(optimizer->update.argument_count == 2 + optimizer->state_count + train->hyperparameters.count - 2);
    CHECK(optimizer->update.result_count == 1 + optimizer->state_count);
    CHECK(train->trained_count == 4 && train->gradient.result_count == 5);
    compilation_destroy(compilation);
    compilation = compile("train nll { optimizer rmsprop(lr = 0.5 * 0.9^iteration, centered = true) }\n");
    train = compilation_program(compilation)->trains.items[0];
    optimizer = train->optimizers.items[0];
    CHECK(!hyperparameter(train, "lr") && optimizer->state_count == 3);
    compilation_destroy(compilation);
}

static void test_trained(void) {
    Compilation *compilation = compile("loss other(x: f32[N, 3]) { return mean(mlp.hidden(x)) }\n"
                                       "train nll { optimizer sgd(); parameters mlp.output, mlp.hidden.b }\n"
                                       "train other { optimizer sgd() }\n");
    const Program *program = compilation_program(compilation);
    const TrainBlock *train = program->trains.items[0];
    CHECK(train->trained_count == 3 && strcmp(train->trained[0]->path, "mlp.hidden.b") == 0);
    CHECK(strcmp(train->trained[2]->path, "mlp.output.b") == 0);
    train = program->trains.items[1];
    CHECK(train->trained_count == 2 && strcmp(train->trained[1]->path, "mlp.hidden.b") == 0);
    compilation_destroy(compilation);
}

int main(void) {
    Arena *arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    test_fixed_columns(arena);
    test_open_columns(arena);
    test_field_dtype();
    test_optimizer();
    test_trained();
    arena_destroy(arena);
    printf("%d failures\n", failures);
    return failures != 0;
}
