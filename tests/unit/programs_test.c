// Programs from the literature (tests/programs), against JAX (tests/oracle/programs.txt): values and all gradients in
// f64, by machine code, which must have the evaluator's bits. In f32 each program runs, and each of its train blocks
// does a step.
#include "compilation.h"
#include "tests/unit/entries.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Both sides round each operation, in different orders.
static const double tolerance = 1e-12, tolerance_in_f32 = 1e-5;
static int failures;

enum { MOST = 64, MOST_INPUTS = 8, TEXT = 1 << 16, PATH = 128 };

typedef struct {
    char entry[ORACLE_WORD];
    bool training;
    int input_count, result_count, gradient_count;
    OracleTensor inputs[MOST_INPUTS], results[MOST_INPUTS], gradients[MOST];
} Run;

typedef struct {
    char name[ORACLE_WORD], path[PATH];
    int parameter_count, run_count;
    OracleTensor parameters[MOST];
    Run *runs;
} Test;

// ---- reading

static int read_tensors(FILE *file, const char *word, OracleTensor *tensors, int most) {
    int count = (int)oracle_number(file, word);
    if (count > most) {
        printf("too many %s\n", word);
        exit(1);
    }
    for (int i = 0; i < count; i++) tensors[i] = oracle_tensor(file);
    return count;
}

static void read_run(FILE *file, Run *run) {
    char mode[ORACLE_WORD];
    oracle_line(file, "run", run->entry, ORACLE_WORD);
    oracle_line(file, "mode", mode, ORACLE_WORD);
    run->training = strcmp(mode, "training") == 0;
    run->input_count = read_tensors(file, "inputs", run->inputs, MOST_INPUTS);
    run->result_count = read_tensors(file, "results", run->results, MOST_INPUTS);
    run->gradient_count = read_tensors(file, "gradients", run->gradients, MOST);
}

static void read_test(FILE *file, Test *test) {
    oracle_line(file, "program", test->name, ORACLE_WORD);
    snprintf(test->path, PATH, "tests/programs/%s.grad", test->name);
    test->parameter_count = read_tensors(file, "parameters", test->parameters, MOST);
    test->run_count = (int)oracle_number(file, "runs");
    test->runs = calloc((size_t)test->run_count, sizeof *test->runs);
    for (int i = 0; i < test->run_count; i++) read_run(file, &test->runs[i]);
}

// ---- comparing

static void check(const Test *test, const Run *run, const char *how, const double *numbers,
                  const OracleTensor *expected, double most) {
    double distance = oracle_distance(numbers, expected);
    if (distance <= most) return;
    failures++;
    printf("%s, %s, %s: %s is %.3g away from JAX's\n   expected", test->name, run->entry, how, expected->name,
           distance);
    for (int64_t i = 0; i < expected->count && i < 8; i++) printf(" %.17g", expected->numbers[i]);
    printf("\n   found   ");
    for (int64_t i = 0; i < expected->count && i < 8; i++) printf(" %.17g", numbers[i]);
    printf("\n");
}

static void check_bits(const Test *test, const Run *run, const double *numbers, const double *evaluated,
                       const OracleTensor *expected) {
    int64_t count = expected->count, wrong = 0;
    for (int64_t i = 0; i < count; i++) wrong += memcmp(&numbers[i], &evaluated[i], sizeof(double)) != 0;
    if (!wrong) return;
    failures++;
    printf("%s, %s: %lld of %lld numbers of %s have other bits as machine code than from the evaluator\n", test->name,
           run->entry, (long long)wrong, (long long)count, expected->name);
}

static void say_failed(const Test *test, const Run *run, const char *how, const char *message) {
    printf("%s, %s, %s: %s\n", test->name, run ? run->entry : "", how, message);
    failures++;
}

// ---- the evaluator

// What the evaluator finds: results, then gradients in the oracle's order.
typedef struct {
    const double *results[MOST_INPUTS], *gradients[MOST];
} Found;

static const OracleTensor *named(const OracleTensor *tensors, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0) return &tensors[i];
    return NULL;
}

static uint64_t tracked_inputs(const Run *run) {
    uint64_t tracked = 0;
    for (int i = 0; i < run->input_count; i++)
        if (strcmp(run->inputs[i].role, "grad") == 0) tracked |= (uint64_t)1 << i;
    return tracked;
}

// The path of a parameter, or the name of an input.
static const char *name_of(const Program *program, const Node *variable) {
    for (int i = 0; i < program->parameters.count; i++)
        if (program->parameters.items[i]->variable == variable) return program->parameters.items[i]->path;
    return variable->variable->name;
}

static void take_gradients(Compilation *compilation, const Run *run, const Joint *joint, const Tensor *values,
                           Found *found) {
    for (int i = 0; i < joint->targets.count; i++) {
        const OracleTensor *expected =
            named(run->gradients, run->gradient_count, name_of(compilation->program, joint->targets.items[i]));
        if (!expected) continue;
        double *numbers = values[joint->forward_count + i].data;
        for (int64_t k = 0; k < expected->count; k++) numbers[k] += 0.0;   // as adding to a cleared gradient does
        found->gradients[expected - run->gradients] = numbers;
    }
}

// The open dims as the inputs' shapes say.
static int64_t *dims_of(Compilation *compilation, const Entry *entry, const Run *run) {
    int64_t *dims = arena_array(compilation->arena, int64_t, compilation->program->dims.count);
    for (int i = 0; i < run->input_count; i++) {
        const Node *input = entry->function.arguments[i];
        for (int k = 0; k < input->rank; k++)
            for (int dim = 0; dim < compilation->program->dims.count; dim++)
                if (input->shape[k] ==
                    extent_dim(compilation->program->graph->extents, dim, compilation->program->dims.items[dim]))
                    dims[dim] = run->inputs[i].shape[k];
    }
    return dims;
}

// Parameters, then states.
static VariableValue *bindings_of(Compilation *compilation, const Test *test, const VariableValue *states) {
    const Program *program = compilation->program;
    int parameters = program->parameters.count;
    VariableValue *bindings = arena_array(compilation->arena, VariableValue, parameters + program->states.count);
    for (int i = 0; i < parameters; i++) {
        const Parameter *parameter = program->parameters.items[i];
        const OracleTensor *value = named(test->parameters, test->parameter_count, parameter->path);
        if (!value || value->count != parameter->count) {
            say_failed(test, NULL, parameter->path, "the oracle has no such parameter");
            exit(1);
        }
        bindings[i] = (VariableValue){parameter->variable, tensor_of(value)};
    }
    for (int i = 0; i < program->states.count; i++) bindings[parameters + i] = states[i];
    return bindings;
}

// A training run stores its states.
static void store_states(const Entry *entry, const Tensor *values, int first, VariableValue *states) {
    for (int i = 0; i < entry->updates.count; i++)
        for (VariableValue *state = states; true; state++) {
            if (state->variable != entry->updates.items[i].state->variable) continue;
            state->value = values[first + i];
            break;
        }
}

static bool evaluate(Compilation *compilation, const Test *test, const Run *run, VariableValue *states, Found *found) {
    const Program *program = compilation->program;
    const Entry *entry = entry_of(program, run->entry);
    FunctionKey key = {.kind = run->gradient_count ? KIND_BACKWARD : KIND_VALUE, .entry = entry};
    key.training = run->training;
    key.tracked_inputs = tracked_inputs(run);
    Joint joint = joint_of(compilation, key);
    if (!run_passes(compilation, &joint.function, STAGE_OPT)) {
        say_failed(test, run, "the passes", diagnostics_text(compilation->diagnostics, false));
        return false;
    }
    Tensor arguments[MOST_INPUTS];
    Tensor *values = arena_array(compilation->arena, Tensor, joint.function.result_count);
    for (int i = 0; i < run->input_count; i++) arguments[i] = tensor_of(&run->inputs[i]);
    Environment environment = {.dims = dims_of(compilation, entry, run)};
    environment.bindings = bindings_of(compilation, test, states);
    environment.binding_count = program->parameters.count + program->states.count;
    const char *fault = evaluate_function(compilation->arena, &joint.function, arguments, &environment, values);
    if (fault) say_failed(test, run, "the evaluator", fault);
    if (fault) return false;
    for (int i = 0; i < run->result_count; i++) found->results[i] = values[i].data;
    take_gradients(compilation, run, &joint, values, found);
    if (run->training) store_states(entry, values, entry->function.result_count, states);
    return true;
}

// ---- machine code

static int64_t offset_of(gradc_program *program, const char *path) {
    gradc_parameter_info info;
    for (int i = 0; gradc_parameter(program, i, &info); i++)
        if (strcmp(info.path, path) == 0) return info.offset;
    return -1;
}

static void check_gradients(gradc_program *program, gradc_call *call, const Test *test, const Run *run,
                            const Found *found) {
    for (int i = 0; i < run->gradient_count; i++) {
        const OracleTensor *expected = &run->gradients[i];
        int64_t offset = offset_of(program, expected->name);
        gradc_tensor gradient = {.data = (double *)gradc_gradients(program) + (offset < 0 ? 0 : offset)};
        if (offset < 0 && gradc_call_input_gradient(call, gradc_call_input(call, expected->name), &gradient))
            say_failed(test, run, expected->name, gradc_message(program));
        else {
            check(test, run, "machine code", gradient.data, expected, tolerance);
            if (found && found->gradients[i]) check_bits(test, run, gradient.data, found->gradients[i], expected);
        }
    }
}

static void check_results(gradc_program *program, gradc_call *call, const Test *test, const Run *run,
                          const Found *found) {
    for (int i = 0; i < run->result_count; i++) {
        gradc_tensor output;
        if (gradc_call_output(call, i, &output)) {
            say_failed(test, run, "result", gradc_message(program));
            continue;
        }
        check(test, run, "machine code", output.data, &run->results[i], tolerance);
        if (found) check_bits(test, run, output.data, found->results[i], &run->results[i]);
    }
}

static void run_machine_code(gradc_program *program, const Test *test, const Run *run, const Found *found) {
    gradc_call *call = NULL;
    gradc_status status = gradc_call_create(program, run->entry, &call);
    for (int i = 0; i < run->input_count && !status; i++) {
        gradc_tensor array = array_of(&run->inputs[i]);
        status = gradc_call_bind(call, gradc_call_input(call, run->inputs[i].name), &array);
        if (!status && tracked_inputs(run) >> i & 1) status = gradc_call_requires_grad(call, i, true);
    }
    if (!status) gradc_call_set_training(call, run->training);
    if (!status) status = run->gradient_count ? gradc_call_forward(call) : gradc_call_value(call);
    if (!status) check_results(program, call, test, run, found);
    gradc_zero_grad(program);
    if (!status && run->gradient_count) status = gradc_call_backward(call, false);
    if (!status && run->gradient_count) check_gradients(program, call, test, run, found);
    if (!status && run->training) status = gradc_call_store_states(call);
    if (status) say_failed(test, run, "machine code", gradc_message(program));
    gradc_call_free(call);
}

static gradc_program *compile(const Test *test, gradc_dtype floating) {
    gradc_program *program;
    gradc_options options = {.floating = floating, .verify = true};
    if (gradc_compile_file(test->path, &options, &program)) {
        say_failed(test, NULL, "compiling", gradc_diagnostics(program, false));
        exit(1);
    }
    return program;
}

static void set_parameters(gradc_program *program, const Test *test) {
    double *wide = gradc_parameters(program);
    float *narrow = gradc_parameters(program);
    bool is_narrow = gradc_parameter_dtype(program) == GRADC_F32;
    for (int i = 0; i < test->parameter_count; i++) {
        const OracleTensor *value = &test->parameters[i];
        int64_t offset = offset_of(program, value->name);
        for (int64_t k = 0; k < value->count && offset >= 0; k++)
            if (is_narrow) narrow[offset + k] = (float)value->numbers[k];
            else wide[offset + k] = value->numbers[k];
    }
    gradc_parameters_changed(program);
}

static void check_in_f64(const Test *test, const char *text, size_t length) {
    CompileOptions options = {.floating = DTYPE_F64, .verify = true};
    Compilation *compilation = compilation_create(test->path, text, length, &options);
    if (!compilation || !compilation->program) {
        say_failed(test, NULL, "compiling", compilation ? compilation_messages(compilation, false) : "no memory");
        exit(1);
    }
    gradc_program *program = compile(test, GRADC_F64);
    set_parameters(program, test);
    VariableValue *states = first_states(compilation->arena, compilation->program);
    for (int i = 0; i < test->run_count; i++) {
        Found found = {0};
        bool evaluated = evaluate(compilation, test, &test->runs[i], states, &found);
        run_machine_code(program, test, &test->runs[i], evaluated ? &found : NULL);
    }
    gradc_program_free(program);
    compilation_destroy(compilation);
}

// ---- in f32

// The input of that name of any run, with its numbers in f32.
static bool narrow_input(const Test *test, const char *name, gradc_tensor *array) {
    const OracleTensor *from = NULL;
    for (int i = 0; i < test->run_count && !from; i++)
        from = named(test->runs[i].inputs, test->runs[i].input_count, name);
    if (!from) return false;
    *array = array_of(from);
    if (from->is_integer) return true;
    float *numbers = calloc((size_t)from->count + 1, sizeof *numbers);
    for (int64_t i = 0; i < from->count; i++) numbers[i] = (float)from->numbers[i];
    array->dtype = GRADC_F32;
    array->data = numbers;
    return true;
}

static void free_narrow(gradc_tensor *array) {
    if (array->dtype == GRADC_F32) free(array->data);
}

static void check_narrow_results(gradc_program *program, gradc_call *call, const Test *test, const Run *run) {
    for (int i = 0; i < run->result_count; i++) {
        gradc_tensor output;
        if (gradc_call_output(call, i, &output)) {
            say_failed(test, run, "in f32", gradc_message(program));
            continue;
        }
        const OracleTensor *expected = &run->results[i];
        double *numbers = calloc((size_t)expected->count + 1, sizeof *numbers);
        for (int64_t k = 0; k < expected->count; k++) numbers[k] = (double)((float *)output.data)[k];
        check(test, run, "in f32", numbers, expected, tolerance_in_f32);
        free(numbers);
    }
}

static void run_narrow(gradc_program *program, const Test *test, const Run *run) {
    gradc_call *call = NULL;
    gradc_tensor arrays[MOST_INPUTS] = {0};
    gradc_status status = gradc_call_create(program, run->entry, &call);
    for (int i = 0; i < run->input_count && !status; i++) {
        narrow_input(test, run->inputs[i].name, &arrays[i]);
        status = gradc_call_bind(call, gradc_call_input(call, run->inputs[i].name), &arrays[i]);
    }
    if (!status) gradc_call_set_training(call, run->training);
    if (!status) status = gradc_call_value(call);
    if (!status) check_narrow_results(program, call, test, run);
    if (status) say_failed(test, run, "in f32", gradc_message(program));
    for (int i = 0; i < run->input_count; i++) free_narrow(&arrays[i]);
    gradc_call_free(call);
}

// A training step leaves finite parameters, other ones than before.
static void check_moved(gradc_program *program, const Test *test, const char *loss, const float *before) {
    const float *parameters = gradc_parameters(program);
    bool moved = false, finite = true;
    for (int64_t i = 0; i < gradc_parameter_elements(program); i++) {
        moved = moved || parameters[i] != before[i];
        finite = finite && isfinite(parameters[i]);
    }
    if (moved && finite) return;
    printf("%s: a step of %s leaves %s parameters\n", test->name, loss, finite ? "the same" : "infinite");
    failures++;
}

static gradc_tensor_info input_info(const gradc_program *program, const char *name, int index) {
    gradc_entry_info entry;
    gradc_tensor_info input = {0};
    for (int i = 0; gradc_entry(program, i, &entry); i++)
        if (strcmp(entry.name, name) == 0) gradc_entry_input(program, i, index, &input);
    return input;
}

static void step(gradc_program *program, const Test *test, const char *loss) {
    gradc_trainer *trainer = NULL;
    gradc_tensor arrays[MOST_INPUTS] = {0};
    double value = 0;
    size_t bytes = (size_t)gradc_parameter_elements(program) * sizeof(float);
    float *before = malloc(bytes);
    gradc_status status = gradc_trainer_create(program, loss, &trainer);
    for (int i = 0; !status && input_info(program, loss, i).name; i++) {
        const char *name = input_info(program, loss, i).name;
        if (!narrow_input(test, name, &arrays[i])) say_failed(test, NULL, name, "the oracle has no such input");
        else status = gradc_trainer_bind(trainer, i, &arrays[i]);
    }
    memcpy(before, gradc_parameters(program), bytes);
    if (!status) status = gradc_trainer_step(trainer, &value);
    if (status) say_failed(test, NULL, loss, gradc_message(program));
    else check_moved(program, test, loss, before);
    for (int i = 0; i < MOST_INPUTS; i++) free_narrow(&arrays[i]);
    free(before);
    gradc_trainer_free(trainer);
}

static void check_in_f32(const Test *test) {
    gradc_program *program = compile(test, GRADC_F32);
    gradc_train_info train;
    set_parameters(program, test);
    for (int i = 0; i < test->run_count; i++)
        if (i == 0 || strcmp(test->runs[i].entry, test->runs[i - 1].entry) != 0)
            run_narrow(program, test, &test->runs[i]);
    for (int i = 0; gradc_train_block(program, i, &train); i++) step(program, test, train.loss);
    gradc_program_free(program);
}

int main(int argc, char **argv) {
    static char text[TEXT];
    FILE *file = oracle_open("tests/oracle/programs.txt");
    int count = (int)oracle_number(file, "programs"), run = 0;
    for (int i = 0; i < count; i++) {
        Test test;
        read_test(file, &test);
        if (argc < 2 || strcmp(argv[1], test.name) == 0) {
            check_in_f64(&test, text, source_text(test.path, text, TEXT));
            check_in_f32(&test);
            run++;
        }
        free(test.runs);
    }
    oracle_close(file);
    printf("%d programs, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
