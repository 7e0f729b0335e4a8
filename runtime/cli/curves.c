// The curves of functions and their derivatives. The derivatives are gradc's own: a small program is put behind the
// user's, which calls the function for every point and asks for `grad` as often as is wanted.
#include "runtime/cli/picture.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Common *common;
    const CurveOptions *options;
    gradc_program *program;   // the user's, or NULL without a file
    char *text;               // its text; "" without a file
    int function_count;
    char **functions;
} Curves;

// ---- which functions

// How an entry of one number is called with `gradc_v`, and what leads from its result to one number; false if it takes
// or gives more than one number. An open dim is 1 then.
typedef struct {
    gradc_dtype dtype;
    char argument[64], result[16];
} Form;

static bool one_number(const gradc_tensor_info *tensor) {
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] > 1) return false;
    return tensor->rank <= 2 && (tensor->dtype == GRADC_F32 || tensor->dtype == GRADC_F64);
}

static bool form_of_entry(const gradc_program *program, int index, const gradc_entry_info *entry, Form *form) {
    static const char *const arguments[] = {"gradc_v", "reshape(gradc_v, [1])", "reshape(gradc_v, [1, 1])"};
    static const char *const results[] = {"", "[0]", "[0, 0]"};
    gradc_tensor_info input, output;
    if (entry->input_count != 1 || !gradc_entry_input(program, index, 0, &input) || !one_number(&input)) return false;
    if (!gradc_entry_output(program, index, 0, &output) || !one_number(&output) || entry->output_count != 1)
        return false;
    form->dtype = input.dtype;
    strcpy(form->argument, arguments[input.rank]);
    strcpy(form->result, results[output.rank]);
    return true;
}

// -1: there is none of that name; NULL: the first that can be drawn.
static int find_entry(const Curves *curves, const char *name, gradc_entry_info *entry) {
    Form form;
    for (int i = 0; curves->program && gradc_entry(curves->program, i, entry); i++)
        if (name ? strcmp(entry->name, name) == 0 : form_of_entry(curves->program, i, entry, &form)) return i;
    return -1;
}

static bool is_name(const char *text) {
    if (!isalpha((unsigned char)*text) && *text != '_') return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_') return false;
    return true;
}

// ---- the program of one function

static int write_program(const Curves *curves, const char *function, const Form *form, FILE *stream) {
    const char *type = gradc_dtype_name(form->dtype);
    fprintf(stream,
            "%s\ndim gradc_n\nfn gradc_curve_0(gradc_x: %s[gradc_n]) -> %s[gradc_n] {\n"
            "    for gradc_v in gradc_x { yield gradc_y = %s(%s)%s }\n    return gradc_y\n}\n",
            curves->text, type, type, function, form->argument, form->result);
    for (int i = 1; i <= curves->options->order; i++)
        fprintf(stream,
                "fn gradc_curve_%d(gradc_x: %s[gradc_n] requires_grad) -> %s[gradc_n] {\n"
                "    return grad(sum(gradc_curve_%d(gradc_x)), gradc_x, allow_unused = true)\n}\n",
                i, type, type, i - 1);
    return fclose(stream);
}

static gradc_status compile(const Curves *curves, const char *function, const Form *form, gradc_program **program) {
    const char *name = curves->common->file ? curves->common->file : function;
    gradc_options options = curves->common->options;
    char *text = NULL;
    size_t length;
    FILE *stream = checked(open_memstream(&text, &length));
    if (write_program(curves, function, form, stream) != 0) checked(NULL);
    gradc_status status = gradc_compile_text(name, text, length, &options, program);
    free(text);
    return status;
}

// ---- which of them are drawn

// A function of any shape, such as float[*], is no entry: whether one can be drawn is tried. The first; NULL if none can.
static char *find_open_function(const Curves *curves) {
    const Form form = {.dtype = curves->common->options.floating, .argument = "gradc_v"};
    for (Declared declared = {0}; next_declared(curves->program, &declared);) {
        if (declared.kind_length != 2 || strncmp(declared.kind, "fn", 2) != 0) continue;
        char *name = checked(strndup(declared.name, (size_t)declared.name_length));
        gradc_program *program = NULL;
        bool fits = compile(curves, name, &form, &program) == GRADC_OK;
        gradc_program_free(program);
        if (fits) return name;
        free(name);
    }
    return NULL;
}

static int choose_functions(Curves *curves) {
    gradc_entry_info entry;
    curves->functions = checked(
        calloc(1 + strlen(curves->options->functions ? curves->options->functions : ""), sizeof *curves->functions));
    if (!curves->options->functions) {
        char *name = find_entry(curves, NULL, &entry) >= 0 ? checked(strdup(entry.name)) : find_open_function(curves);
        if (!name) {
            fprintf(stderr,
                    "gradc: nothing in %s takes one number and gives one; --function=NAME draws a function of the "
                    "library\n",
                    curves->common->file);
            return EXIT_ERROR;
        }
        curves->functions[curves->function_count++] = name;
        return EXIT_DONE;
    }
    char *names = checked(strdup(curves->options->functions)), *rest = names;
    int exit_code = EXIT_DONE;
    for (char *name; !exit_code && (name = strsep(&rest, ","));) {
        if (is_name(name)) curves->functions[curves->function_count++] = checked(strdup(name));
        else {
            fprintf(stderr, "gradc plot: --function takes names of functions, with commas between them, not '%s'\n",
                    name);
            exit_code = EXIT_USAGE;
        }
    }
    free(names);
    return exit_code;
}

// ---- the values

static double number_at(const gradc_tensor *tensor, int64_t index) {
    return tensor->dtype == GRADC_F32 ? ((const float *)tensor->data)[index] : ((const double *)tensor->data)[index];
}

// The values of one order, into the line.
static gradc_status compute(const Curves *curves, gradc_program *program, gradc_dtype dtype, int order, Line *line) {
    char entry[32];
    unsigned points = curves->options->points;
    gradc_call *call = NULL;
    gradc_tensor input = {dtype, 1, {points}, checked(calloc(points, sizeof(double)))}, output;
    snprintf(entry, sizeof entry, "gradc_curve_%d", order);
    for (unsigned i = 0; i < points; i++) {
        if (dtype == GRADC_F32) ((float *)input.data)[i] = (float)line->x[i];
        else ((double *)input.data)[i] = line->x[i];
    }
    gradc_status status = gradc_call_create(program, entry, &call);
    if (!status) status = gradc_call_bind(call, 0, &input);
    if (!status) status = gradc_call_value(call);
    if (!status) status = gradc_call_output(call, 0, &output);
    for (unsigned i = 0; !status && i < points; i++) line->y[i] = number_at(&output, i);
    gradc_call_free(call);
    free(input.data);
    return status;
}

// sigmoid, sigmoid', sigmoid''
static char *title_of(const char *function, int order) {
    size_t length = strlen(function);
    char *title = checked(calloc(1, length + (size_t)order + 1));
    memcpy(title, function, length);
    memset(title + length, '\'', (size_t)order);
    return title;
}

static gradc_status compute_all(const Curves *curves, gradc_program *program, const char *function, gradc_dtype dtype,
                                Panel *panel) {
    const CurveOptions *options = curves->options;
    gradc_status status = load_weights(program, &options->weights);
    *panel = (Panel){.x_label = checked(strdup("x"))};
    panel->lines = checked(calloc((size_t)options->order + 1, sizeof *panel->lines));
    for (int order = 0; !status && order <= options->order; order++) {
        Line *line = &panel->lines[panel->line_count++];
        *line = (Line){.title = title_of(function, order), .count = (int)options->points};
        line->x = checked(calloc(options->points, sizeof *line->x));
        line->y = checked(calloc(options->points, sizeof *line->y));
        for (unsigned i = 0; i < options->points; i++)
            line->x[i] = options->from + (options->to - options->from) * i / (options->points - 1);
        status = compute(curves, program, dtype, order, line);
    }
    return status;
}

// Why the program of a function has errors, without what stands in it around the function.
static void report_refusal(const Curves *curves, const gradc_program *program, const char *function) {
    gradc_diagnostic_info info = {0};
    for (int i = 0; gradc_diagnostic(program, i, &info) && !info.is_error; i++) {
    }
    int lines = 1;   // of the user's text
    for (const char *at = curves->text; *at; at++) lines += *at == '\n';
    fprintf(stderr, "gradc: '%s' cannot be drawn as a function of one number: ", function);
    if (info.file && curves->common->file && strcmp(info.file, curves->common->file) == 0 && info.line <= lines)
        fprintf(stderr, "%s:%d:%d: ", info.file, info.line, info.column);
    fprintf(stderr, "%s\n", info.message ? info.message : gradc_message(program));
    if (info.help) fprintf(stderr, "    help: %s\n", info.help);
}

static int draw_function(const Curves *curves, const char *function, Panel *panel) {
    gradc_entry_info entry;
    Form form = {.dtype = curves->common->options.floating, .argument = "gradc_v"};
    int index = find_entry(curves, function, &entry);
    if (index >= 0 && !form_of_entry(curves->program, index, &entry, &form)) {
        fprintf(stderr, "gradc: %s cannot be drawn: it does not take one number and give one\n", function);
        return EXIT_ERROR;
    }
    gradc_program *program;
    gradc_status status = compile(curves, function, &form, &program);
    bool refused = status == GRADC_PROGRAM && gradc_error_count(program);
    if (refused) report_refusal(curves, program, function);
    if (!status) status = compute_all(curves, program, function, form.dtype, panel);
    int exit_code = refused ? EXIT_ERROR : report_status(program, status);
    gradc_program_free(program);
    return exit_code;
}

// ---- all of them

int curves_compute(Common *common, const CurveOptions *options, Picture *picture) {
    Curves curves = {.common = common, .options = options};
    int exit_code = EXIT_DONE;
    size_t length;
    if (common->file) {
        curves.program = open_program(common, &exit_code);
        if (!curves.program) return exit_code;
        curves.text = read_file(common->file, &length);
    } else curves.text = checked(strdup(""));
    exit_code = curves.text ? choose_functions(&curves) : EXIT_ERROR;
    *picture = (Picture){.panels = checked(calloc((size_t)curves.function_count + 1, sizeof(Panel)))};
    for (int i = 0; !exit_code && i < curves.function_count; i++)
        exit_code = draw_function(&curves, curves.functions[i], &picture->panels[picture->panel_count++]);
    for (int i = 0; i < curves.function_count; i++) free(curves.functions[i]);
    free(curves.functions);
    free(curves.text);
    gradc_program_free(curves.program);
    return exit_code;
}
