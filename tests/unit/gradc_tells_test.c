// What a program tells a host: lists of what is in it, diagnostics in pieces and as they are found, and where its
// memory comes from. And what is refused once is not tried again.
#include "tests/unit/host.h"

// ---- lists

static const char listed_model[] = "dim N, T\n"
                                   "# Centres its input.\n"
                                   "net centre(x: f32[N, 2]) -> f32[N] {\n"
                                   "    # What it is scaled by.\n"
                                   "    param W: f32[2] ~ ones\n"
                                   "    param b: f32 ~ zeros\n"
                                   "    param fixed: f32 frozen ~ ones\n"
                                   "    state mu: f32[2] ~ zeros\n"
                                   "    mu = 0.5 * mu + 0.5 * mean(x, axis = 0)\n"
                                   "    return (x - mu[none, :]) @ W + b * fixed\n"
                                   "}\n"
                                   "loss power(x: f32[N, 2]) {\n"
                                   "    report size = f32(N)\n"
                                   "    return sum(centre(x)^2)\n"
                                   "}\n"
                                   "fn ramp(x: f32[N]) -> f32[N, T] { return x[:, none] * f32(arange(T))[none, :] }\n"
                                   "train power { optimizer sgd(lr = 0.5); optimizer adam(lr = 0.25) for \"*.b\"\n"
                                   "    batch 2 }\n";

static int entry_of(const gradc_program *program, const char *name) {
    gradc_entry_info entry;
    for (int i = 0; gradc_entry(program, i, &entry); i++)
        if (strcmp(entry.name, name) == 0) return i;
    return -1;
}

static void test_entries(const gradc_program *program) {
    gradc_entry_info entry;
    gradc_tensor_info output;
    CHECK(gradc_entry(program, entry_of(program, "power"), &entry));
    CHECK(entry.output_count == 2 && entry.report_count == 1);
    CHECK(gradc_entry_output(program, entry_of(program, "power"), 1, &output) && strcmp(output.name, "size") == 0);
    CHECK(gradc_entry(program, entry_of(program, "centre"), &entry));
    CHECK(entry.documentation && strcmp(entry.documentation, "Centres its input.") == 0 && entry.report_count == 0);
    int ramp = entry_of(program, "ramp"), input = 7;
    const char *dim = gradc_entry_dim(program, ramp, 0, &input);
    CHECK(dim && strcmp(dim, "N") == 0 && input == 0);
    dim = gradc_entry_dim(program, ramp, 1, &input);
    CHECK(dim && strcmp(dim, "T") == 0 && input == -1);
    CHECK(!gradc_entry_dim(program, ramp, 2, &input) && !gradc_entry_dim(program, -1, 0, NULL));
}

static void test_lists(void) {
    gradc_program *program = compile(listed_model);
    gradc_parameter_info parameter;
    gradc_state_info state;
    gradc_hyperparameter_info hyperparameter;
    test_entries(program);
    CHECK(gradc_parameter(program, 0, &parameter) && parameter.documentation);
    CHECK(strcmp(parameter.documentation, "What it is scaled by.") == 0);
    CHECK(gradc_state(program, 0, &state) && strcmp(state.path, "centre.mu") == 0);
    CHECK(state.rank == 1 && state.shape[0] == 2 && state.offset == 0 && state.count == 2 && state.dtype == GRADC_F32);
    CHECK(!gradc_state(program, 1, &state) && !gradc_state(program, -1, &state));
    CHECK(((float *)gradc_states(program))[1] == 0);
    CHECK(gradc_trained_parameter(program, 0, 0) == 0 && gradc_trained_parameter(program, 0, 1) == 1);
    CHECK(gradc_trained_parameter(program, 0, 2) == -1 && gradc_trained_parameter(program, 1, 0) == -1);

    gradc_trainer *trainer = create_trainer(program, "power");
    int count = 0, rates = 0;
    for (; gradc_hyperparameter(program, 0, count, &hyperparameter); count++) {
        double value = -1;
        OK(gradc_trainer_get(trainer, hyperparameter.name, &value));
        CHECK(value == hyperparameter.value);
        if (strcmp(hyperparameter.name, "lr") == 0) rates += value == 0.5;
        if (strcmp(hyperparameter.name, "*.b:lr") == 0) rates += 2 * (value == 0.25);
    }
    CHECK(count > 4 && rates == 3);
    CHECK(!gradc_hyperparameter(program, 1, 0, &hyperparameter));
    gradc_trainer_free(trainer);
    gradc_program_free(program);
}

// ---- open dims: those that an input says are not set

static void test_dims(void) {
    gradc_program *program = compile(listed_model);
    gradc_call *call = create_call(program, "ramp");
    float x[] = {1, 2, 3};
    gradc_tensor output;
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 1, {3}, x}));
    REFUSED(gradc_call_value(call), GRADC_ORDER, "no input of ramp says how large dim T is");
    REFUSED(gradc_call_set_dim(call, "N", 3), GRADC_ARGUMENT, "the shape of input 'x', f32[N], says it");
    REFUSED(gradc_call_set_dim(call, "M", 3), GRADC_ARGUMENT, "no open dim 'M'");
    REFUSED(gradc_call_set_dim(call, "T", -1), GRADC_ARGUMENT, "sizes are 0 or more");
    OK(gradc_call_set_dim(call, "T", 4));
    OK(gradc_call_value(call));
    OK(gradc_call_output(call, 0, &output));
    CHECK(output.shape[0] == 3 && output.shape[1] == 4 && ((float *)output.data)[11] == 9);
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- diagnostics

typedef struct {
    int errors, warnings;
    char last[200];
} Heard;

static void hear(void *context, const gradc_diagnostic_info *diagnostic) {
    Heard *heard = context;
    *(diagnostic->is_error ? &heard->errors : &heard->warnings) += 1;
    snprintf(heard->last, sizeof heard->last, "%s %d:%d-%d:%d %s", diagnostic->id, diagnostic->line, diagnostic->column,
             diagnostic->end_line, diagnostic->end_column, diagnostic->message);
}

static void test_diagnostics(void) {
    const char *text = "dim N\n"
                       "net line(x: f32[N, 4]) -> f32[N, 3] {\n"
                       "    param W: f32[3, 4]\n"
                       "    return x @ W\n"
                       "}\n";
    Heard heard = {0};
    gradc_options options = {.diagnose = hear, .diagnose_context = &heard};
    gradc_diagnostic_info info;
    gradc_program *program;
    CHECK(gradc_compile_text("wrong.grad", text, strlen(text), &options, &program) == GRADC_PROGRAM);
    CHECK(heard.errors == 1 && gradc_error_count(program) == 1);
    CHECK(strncmp(heard.last, "shapes_cannot_be_multiplied 4:12-4:17 ", 38) == 0);
    int at = 0, errors = 0;
    for (; gradc_diagnostic(program, at, &info); at++) {
        if (!info.is_error) continue;
        errors++;
        CHECK(strcmp(info.file, "wrong.grad") == 0 && strstr(info.message, "[N, 4] @ [3, 4]"));
        CHECK(info.help && strstr(info.help, "last axis of a") && info.note_count == 0);
    }
    CHECK(errors == 1 && at == gradc_error_count(program) + gradc_warning_count(program));
    CHECK(!gradc_diagnostic(program, -1, &info) && !gradc_diagnostic(NULL, 0, &info));
    gradc_program_free(program);
}

// What a function of the library refuses has a note that says where in the library.
static void test_notes(void) {
    const char *text = "dim N\n"
                       "loss l(x: f32[N, 3]) { return sum(softmax(x, axis = 3)) }\n";
    gradc_diagnostic_info info, note;
    gradc_program *program;
    CHECK(gradc_compile_text("notes.grad", text, strlen(text), NULL, &program) == GRADC_PROGRAM);
    CHECK(gradc_diagnostic(program, 0, &info) && info.line == 2 && info.column == 35 && info.note_count == 1);
    CHECK(info.help && strstr(info.help, "axes are counted"));
    CHECK(gradc_diagnostic_note(program, 0, 0, &note) && !note.id && strstr(note.file, "library/"));
    CHECK(note.line > 1 && strstr(note.message, "inside 'softmax'"));
    CHECK(!gradc_diagnostic_note(program, 0, 1, &note) && !gradc_diagnostic_note(program, 1, 0, &note));
    gradc_program_free(program);
}

// What cannot be compiled is an error when it is first asked for, once; the rest of the program works.
static void test_refused(void) {
    const char *text = "loss deep(x: f32[1, 1, 1, 1, 1, 1, 1, 2], w: f32) {\n"
                       "    h = x\n"
                       "    for t in arange(5) { h = sin(h * w) }\n"
                       "    return sum(h)\n"
                       "}\n"
                       "loss plain(w: f32) { return w^2 }\n";
    Heard heard = {0};
    gradc_options options = {.diagnose = hear, .diagnose_context = &heard};
    gradc_program *program;
    float x[2] = {1, 2}, w = 3;
    if (gradc_compile_text("deep.grad", text, strlen(text), &options, &program)) {
        printf("%s\n", gradc_message(program));
        failures++;
        gradc_program_free(program);
        return;
    }
    gradc_call *call = create_call(program, "deep"), *plain = create_call(program, "plain");
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 8, {1, 1, 1, 1, 1, 1, 1, 2}, x}));
    OK(gradc_call_bind(call, 1, &(gradc_tensor){GRADC_F32, 0, {0}, &w}));
    OK(gradc_call_requires_grad(call, 1, true));
    OK(gradc_call_value(call));
    REFUSED(gradc_call_forward(call), GRADC_PROGRAM, "stacks a value of 8 axes");
    gradc_timings before, after;
    gradc_get_timings(program, &before);
    char message[2000];
    snprintf(message, sizeof message, "%s", gradc_message(program));
    for (int i = 0; i < 3; i++) REFUSED(gradc_call_forward(call), GRADC_PROGRAM, message);
    gradc_get_timings(program, &after);
    CHECK(heard.errors == 1 && gradc_error_count(program) == 1);
    CHECK(memcmp(&before, &after, sizeof before) == 0);   // nothing was compiled again
    OK(gradc_call_value(call));
    OK(gradc_call_bind(plain, 0, &(gradc_tensor){GRADC_F32, 0, {0}, &w}));
    OK(gradc_call_requires_grad(plain, 0, true));
    OK(gradc_call_forward(plain));
    OK(gradc_call_backward(plain, false));
    CHECK(input_gradient(plain, 0) == 6);
    gradc_call_free(plain);
    gradc_call_free(call);
    gradc_program_free(program);
}

// ---- memory

typedef struct {
    long blocks, taken;
} Counts;

static void *count_allocate(void *context, size_t bytes) {
    Counts *counts = context;
    counts->blocks++;
    counts->taken++;
    return aligned_alloc(64, bytes);
}

static void count_release(void *context, void *memory) {
    Counts *counts = context;
    counts->blocks -= memory != NULL;
    free(memory);
}

static void test_memory(void) {
    Counts counts = {0};
    gradc_options options = {.allocate = count_allocate, .release = count_release, .allocate_context = &counts};
    gradc_program *program;
    CHECK(gradc_compile_text("line.grad", line_model, strlen(line_model), &options, &program) == GRADC_OK);
    gradc_call *call = create_call(program, "squared");
    gradc_trainer *trainer = create_trainer(program, "squared");
    float x[] = {1, 2}, y[] = {3, 3};
    bind_line(program, call, x, y, 2);
    OK(gradc_call_requires_grad(call, 0, true));
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    OK(gradc_trainer_update(trainer));
    REFUSED(gradc_call_backward(call, false), GRADC_ORDER, "a second time");
    CHECK(counts.taken > 20 && counts.blocks > 0);
    gradc_trainer_free(trainer);
    gradc_call_free(call);
    gradc_program_free(program);
    CHECK(counts.blocks == 0);
    options.release = NULL;
    CHECK(gradc_compile_text("line.grad", line_model, strlen(line_model), &options, &program) == GRADC_ARGUMENT);
    CHECK(strstr(gradc_message(program), "allocate and release"));
    gradc_program_free(program);
}

int main(void) {
    test_lists();
    test_dims();
    test_diagnostics();
    test_notes();
    test_refused();
    test_memory();
    return failures != 0;
}
