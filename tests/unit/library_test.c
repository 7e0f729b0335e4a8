// The library and the primitives against PyTorch: values, first and second derivatives in f64 (tests/oracle), from the
// evaluator before and after the rewrites, and from machine code, which must have the evaluator's bits.
#include "compilation.h"
#include "differentiate/differentiate.h"
#include "elaborate/builtins.h"
#include "evaluate/evaluate.h"
#include "library/library.h"
#include "tests/unit/entries.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const double tolerance = 1e-10;
static int failures;

enum { MAX_INPUTS = 3, MAX_TENSORS = 5 * MAX_INPUTS, TEXT = 1 << 20, LINE = 512 };

typedef struct {
    char name[ORACLE_WORD], expression[LINE];
    int order, input_count, variable_count;
    OracleTensor arguments[MAX_TENSORS];   // inputs, cotangent, directions: as the entry takes them
    int argument_count;
    OracleTensor
        results[MAX_TENSORS];   // value, first, second; and by forward mode the slope along the directions, second
    int result_count;
    double slope;
} Case;

// ---- reading

static void read_case(FILE *file, Case *test) {
    oracle_line(file, "case", test->name, ORACLE_WORD);
    oracle_line(file, "expression", test->expression, LINE);
    test->order = (int)oracle_number(file, "order");
    test->input_count = (int)oracle_number(file, "inputs");
    for (int i = 0; i < test->input_count; i++) {
        test->arguments[test->argument_count++] = oracle_tensor(file);
        test->variable_count += strcmp(test->arguments[i].role, "grad") == 0;
    }
    test->results[test->result_count++] = oracle_tensor(file);
    test->arguments[test->argument_count++] = oracle_tensor(file);   // cotangent
    for (int i = 0; i < test->variable_count; i++) test->results[test->result_count++] = oracle_tensor(file);
    for (int i = 0; i < test->variable_count && test->order == 2; i++) {
        test->arguments[test->argument_count++] = oracle_tensor(file);
        test->results[test->result_count++] = oracle_tensor(file);
    }
}

// Forward mode must give the first derivatives' product with the directions, and of the first ones the second.
static void add_forward(Case *test) {
    const OracleTensor *first = test->results + 1, *direction = test->arguments + test->input_count + 1;
    for (int i = 0; i < test->variable_count; i++)
        for (int64_t k = 0; k < first[i].count; k++) test->slope += first[i].numbers[k] * direction[i].numbers[k];
    OracleTensor *slope = &test->results[test->result_count++];
    *slope = (OracleTensor){.role = "expected", .name = "slope", .count = 1, .numbers = &test->slope};
    for (int i = 0; i < test->variable_count; i++) {
        OracleTensor *pushed = &test->results[test->result_count++];
        *pushed = test->results[1 + test->variable_count + i];
        memcpy(pushed->name, "pushed", strlen("pushed"));   // for "second", of the same length
    }
}

// ---- one function of the language for each case

// Layers that cases call, with parameters that are an input.
static const char layers[] =
    "use dense_layer = dense<3, 4, tanh>\n"
    "use linear_layer = linear<3, 4>\n"
    "use layer_norm_layer = layer_norm<4>\n"
    "use rms_norm_layer = rms_norm<4>\n"
    "use batch_norm_layer = batch_norm<4>\n"
    "use lstm_layer = lstm<3, 4>\n"
    "use gru_layer = gru<3, 4>\n"
    "use rnn_layer = rnn<3, 4>\n"
    "use group_norm_layer = group_norm<2, 4>\n"
    "use attention_layer = multi_head_attention<4, 2>\n"
    "use causal_layer = multi_head_attention<4, 2, causal = true>\n"
    "use block_layer = transformer_block<4, 2, 6, true>\n"
    "use prelu_layer = prelu<3>\n"
    "use bilinear_layer = bilinear<3, 4, 2>\n"
    "use conv3d_layer = conv3d<2, 2, 2>\n"
    "use conv_transpose1d_layer = conv_transpose1d<4, 2, 3, 2, output_padding = 1, groups = 2>\n"
    "use conv_transpose2d_layer = conv_transpose2d<2, 3, 2, padding = 1>\n"
    "use bidirectional_layer = bidirectional<rnn, 3, 4>\n"
    "use decoder_layer = transformer_decoder_block<4, 2, 6>\n"
    "fn log_size(x: float[4, 4]) {\n"
    "    sign_, size_ = slogdet(x)\n"
    "    return size_ + sign_\n}\n"
    "fn sorted_top(x: float[*]) {\n"
    "    values, places = topk(x, 2, axis = 1)\n"
    "    return values * (1 + places)\n}\n";

typedef struct {
    char *bytes;
    int length;
} ProgramText;

__attribute__((format(printf, 2, 3))) static void add(ProgramText *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text->length += vsnprintf(text->bytes + text->length, (size_t)(TEXT - text->length), format, arguments);
    va_end(arguments);
}

static bool is_variable(const Case *test, int input) {
    return strcmp(test->arguments[input].role, "grad") == 0;
}

// `prefix`x, `prefix`y: one for each input that is differentiated.
static void add_names(ProgramText *text, const Case *test, const char *prefix) {
    int count = 0;
    for (int i = 0; i < test->input_count; i++)
        if (is_variable(test, i)) add(text, "%s%s%s", count++ ? ", " : "", prefix, test->arguments[i].name);
}

static void add_gradient(ProgramText *text, const Case *test, const char *result, const char *of) {
    add(text, "    ");
    add_names(text, test, result);
    add(text, " = grad(%s, (", of);
    add_names(text, test, "");
    add(text, "), allow_unused = true)\n");
}

static void add_tangent(ProgramText *text, const Case *test, const char *result, const char *of) {
    add(text, "    %s = jvp(%s, (", result, of);
    add_names(text, test, "");
    add(text, "), (");
    add_names(text, test, "direction_");
    add(text, "), allow_unused = true)\n");
}

static void add_function(ProgramText *text, const Case *test) {
    char sum[LINE] = "";
    add(text, "fn case_%s(", test->name);
    for (int i = 0; i < test->argument_count; i++) {
        bool variable = i < test->input_count && is_variable(test, i);
        add(text, "%s%s: %s%s", i ? ", " : "", test->arguments[i].name, oracle_type(&test->arguments[i]),
            variable ? " requires_grad" : "");
    }
    add(text, ") {\n    value = %s\n", test->expression);
    add_gradient(text, test, "first_", "sum(value * cotangent)");
    for (int i = 0, length = 0; i < test->input_count; i++) {
        const char *name = test->arguments[i].name;
        if (is_variable(test, i))
            length += snprintf(sum + length, (size_t)(LINE - length), "%ssum(first_%s * direction_%s)",
                               length ? " + " : "", name, name);
    }
    if (test->order == 2) {
        add_gradient(text, test, "second_", sum);
        add_tangent(text, test, "slope", "sum(value * cotangent)");
    }
    for (int i = 0; i < test->input_count && test->order == 2; i++) {
        char pushed[LINE], first[LINE];
        snprintf(pushed, sizeof pushed, "pushed_%s", test->arguments[i].name);
        snprintf(first, sizeof first, "first_%s", test->arguments[i].name);
        if (is_variable(test, i)) add_tangent(text, test, pushed, first);
    }
    add(text, "    return value");
    for (int i = 1; i < test->result_count; i++) add(text, ", %s", test->results[i].name);
    add(text, "\n}\n");
}

// ---- checking

static void check(const Case *test, const char *how, int result, const double *numbers) {
    const OracleTensor *expected = &test->results[result];
    double distance = oracle_distance(numbers, expected);
    if (distance <= tolerance) return;
    failures++;
    printf("%s: %s, %s is %.3g away from PyTorch's\n   expected", test->name, how, expected->name, distance);
    for (int64_t i = 0; i < expected->count && i < 16; i++) printf(" %.17g", expected->numbers[i]);
    printf("\n   found   ");
    for (int64_t i = 0; i < expected->count && i < 16; i++) printf(" %.17g", numbers[i]);
    printf("\n");
}

// The results as the evaluator finds them. False: it failed, which is said.
static bool evaluate_case(Compilation *compilation, const Case *test, const Function *function, const char *how,
                          Tensor *results) {
    Tensor arguments[MAX_TENSORS];
    for (int i = 0; i < test->argument_count; i++) arguments[i] = tensor_of(&test->arguments[i]);
    Environment environment = {.bindings = first_states(compilation->arena, compilation->program),
                               .binding_count = compilation->program->states.count};
    const char *fault = evaluate_function(compilation->arena, function, arguments, &environment, results);
    if (fault) {
        printf("%s: %s: %s\n", test->name, how, fault);
        failures++;
        return false;
    }
    for (int i = 0; i < test->result_count; i++) check(test, how, i, results[i].data);
    return true;
}

static bool run_machine_code(gradc_program *program, const Case *test, const char *entry, const Tensor *expected) {
    gradc_call *call = NULL;
    gradc_status status = gradc_call_create(program, entry, &call);
    for (int i = 0; i < test->argument_count && !status; i++) {
        gradc_tensor tensor = array_of(&test->arguments[i]);
        status = gradc_call_bind(call, i, &tensor);
    }
    if (!status) status = gradc_call_value(call);
    for (int i = 0; i < test->result_count && !status; i++) {
        gradc_tensor output;
        status = gradc_call_output(call, i, &output);
        if (status) break;
        check(test, "machine code", i, output.data);
        if (!expected || !memcmp(output.data, expected[i].data, sizeof(double) * (size_t)test->results[i].count))
            continue;
        printf("%s: %s has other bits as machine code than from the evaluator\n", test->name, test->results[i].name);
        failures++;
    }
    if (call) gradc_call_free(call);
    if (!status) return true;
    printf("%s: machine code: %s\n%s", test->name, gradc_message(program), gradc_diagnostics(program, false));
    failures++;
    return false;
}

static void run_case(Compilation *compilation, gradc_program *program, const Case *test) {
    char name[2 * ORACLE_WORD];
    snprintf(name, sizeof name, "case_%s", test->name);
    const Entry *entry = entry_of(compilation->program, name);
    Function plain = entry->function, rewritten = entry->function;
    Tensor results[MAX_TENSORS];
    if (!differentiate(compilation->program->graph, compilation->diagnostics, &plain) ||
        !run_passes(compilation, &rewritten, STAGE_OPT)) {
        printf("%s: the passes failed\n%s", test->name, diagnostics_text(compilation->diagnostics, false));
        failures++;
        return;
    }
    evaluate_case(compilation, test, &plain, "evaluated", results);
    bool evaluated = evaluate_case(compilation, test, &rewritten, "rewritten and evaluated", results);
    run_machine_code(program, test, name, evaluated ? results : NULL);
}

// ---- completeness

// Functions of the library that layers_test.c has, or that others here stand on.
static const char *const elsewhere[] = {
    "uniform",        "normal",       "fan_in",          "fan_out",        "parameters",
    "grad",           "dropout",      "he_normal",       "he_uniform",     "xavier_normal",
    "xavier_uniform", "lecun_normal", "lecun_uniform",   "euclidean_norm", "general_norm",
    "finite_amax",    "along",        "first_max",       "length",         "part_means",
    "in_groups",      "w_groups",     "bernoulli",       "randint",        "permutation",
    "topk",           "heads",        "class_reduction", "orthogonal",     "prod_along",
    "prod_over",      "by_channel",   "mean_along",      "past_end",       "line_weights",
    "same_padding",   "volumes",      "grouped_volumes", "eliminate",      "gumbel",
    "exponential",    "categorical",  "gumbel_softmax",  "trunc_normal",   "dropout2d",
    "slogdet"};

static bool is_named(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        char before = at == text ? ' ' : at[-1], after = at[length];
        if (!isalnum((unsigned char)before) && before != '_' && !isalnum((unsigned char)after) && after != '_')
            return true;
    }
    return false;
}

static bool is_tested(const char *name, const Case *cases, int count) {
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcmp(elsewhere[i], name) == 0) return true;
    for (int i = 0; i < count; i++)
        if (is_named(cases[i].expression, name)) return true;
    return false;
}

static void check_tested(const char *where, const char *name, const Case *cases, int count) {
    if (is_tested(name, cases, count)) return;
    printf("%s: %s is not compared with PyTorch: add it to tests/oracle/primitives.py\n", where, name);
    failures++;
}

// Every function of the library and every builtin that has a name stands in some case.
static void check_complete(Compilation *compilation, const Case *cases, int count) {
    for (int i = 0; i < gradc_library_file_count; i++) {
        const LibraryFile *library = &gradc_library_files[i];
        Source source = {library->path, library->text, library->length};
        const File *file = parse_file(compilation->arena, compilation->diagnostics, &source);
        for (int k = 0; k < file->count; k++) {
            const Item *item = file->items[k];
            if (item->kind == ITEM_FN && !item->documentation) {
                printf("%s: %s has no comment that documents it\n", library->path, item->name.text);
                failures++;
            }
            if (item->kind == ITEM_FN) check_tested(library->path, item->name.text, cases, count);
        }
    }
    int builtins;
    const Builtin *table = builtin_table(&builtins);
    for (int i = 0; i < builtins; i++) {
        bool has_name = isalpha((unsigned char)table[i].name[0]) && table[i].op != OP_cast;
        if (has_name) check_tested("builtins.def", table[i].name, cases, count);
    }
}

// ---- what is tested how far

// Whether the case calls a layer that is made of this net.
static bool has_layer(const Case *test, const char *net) {
    for (const char *use = layers; (use = strstr(use, "use ")); use++) {
        char variable[ORACLE_WORD], made[ORACLE_WORD];
        if (sscanf(use, "use %63[a-z0-9_] = %63[a-z0-9_]", variable, made) != 2) continue;
        if (strcmp(made, net) == 0 && is_named(test->expression, variable)) return true;
    }
    return false;
}

static void list_order(const char *name, const Case *cases, int count) {
    int order = 0;
    for (int i = 0; i < count; i++)
        if (cases[i].order > order && (is_named(cases[i].expression, name) || has_layer(&cases[i], name)))
            order = cases[i].order;
    printf("%s %d\n", name, order);
}

// For the library's index: each function and net, and up to which order its derivatives are compared.
static void list_orders(const Case *cases, int count) {
    Arena *arena = arena_create();
    for (int i = 0; i < gradc_library_file_count; i++) {
        const LibraryFile *library = &gradc_library_files[i];
        Source source = {library->path, library->text, library->length};
        const File *file = parse_file(arena, diagnostics_create(arena, 0), &source);
        for (int k = 0; k < file->count; k++)
            if (file->items[k]->kind == ITEM_FN || file->items[k]->kind == ITEM_NET)
                list_order(file->items[k]->name.text, cases, count);
    }
    int builtins;
    const Builtin *table = builtin_table(&builtins);
    for (int i = 0; i < builtins; i++)
        if (isalpha((unsigned char)table[i].name[0])) list_order(table[i].name, cases, count);
    arena_destroy(arena);
}

int main(int argc, char **argv) {
    FILE *file = oracle_open("tests/oracle/primitives.txt");
    int count = (int)oracle_number(file, "cases");
    Case *cases = calloc((size_t)count, sizeof *cases);
    ProgramText text = {calloc(1, TEXT), 0};
    add(&text, "%s", layers);
    bool lists = argc == 2 && strcmp(argv[1], "--list") == 0;
    for (int i = 0; i < count; i++) {
        read_case(file, &cases[i]);
        if (cases[i].order == 2) add_forward(&cases[i]);
        if (argc < 2 || !strcmp(argv[1], cases[i].name)) add_function(&text, &cases[i]);
    }
    if (lists) {
        list_orders(cases, count);
        free(cases);
        free(text.bytes);
        return 0;
    }
    CompileOptions options = {.floating = DTYPE_F64, .verify = true};
    Compilation *compilation = compilation_create("library.grad", text.bytes, (size_t)text.length, &options);
    if (!compilation || !compilation->program) {
        printf("%s", compilation ? diagnostics_text(compilation->diagnostics, false) : "no memory");
        return 1;
    }
    gradc_program *program;
    gradc_options public = {.floating = GRADC_F64, .verify = true};
    if (gradc_compile_text("library.grad", text.bytes, (size_t)text.length, &public, &program)) {
        printf("%s\n", gradc_message(program));
        return 1;
    }
    int run = 0;
    for (int i = 0; i < count; i++) {
        if (argc >= 2 && strcmp(argv[1], cases[i].name) != 0) continue;
        run_case(compilation, program, &cases[i]);
        run++;
    }
    check_complete(compilation, cases, count);
    gradc_program_free(program);
    compilation_destroy(compilation);
    oracle_close(file);
    free(cases);
    free(text.bytes);
    printf("%d cases, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
