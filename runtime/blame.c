// Why a loss is not finite: what its inputs hold, which hyperparameter is no number, or that no update was made before.
#include "runtime/call.h"
#include "runtime/training.h"
#include "evaluate/evaluate.h"

#include <math.h>

static int64_t elements_of(const gradc_tensor *tensor) {
    return array_bytes(tensor) / (int64_t)gradc_dtype_size(tensor->dtype);
}

// The position of the first element from `begin` to `end` that is not finite; -1: all are.
static int64_t find_infinite(const gradc_tensor *tensor, int64_t begin, int64_t end) {
    bool floating = tensor->dtype == GRADC_F32 || tensor->dtype == GRADC_F64;
    for (int64_t i = begin; floating && i < end; i++)
        if (!isfinite(tensor_number(tensor, i))) return i;
    return -1;
}

// ---- schedules

// What a schedule was at an iteration, counted from 0.
static double schedule_value(const Schedule *schedule, const TrainState *train, int64_t iteration, Arena *arena,
                             Graph graph) {
    graph.arena = arena;
    Node *node = (Node *)schedule->value;
    NodeArray nodes = reachable(&graph, &node, 1);
    double *numbers = arena_array(arena, double, nodes.count + 1);
    VariableValue *values = arena_array(arena, VariableValue, nodes.count + 1);
    int count = 0;
    for (int i = 0; i < nodes.count; i++) {
        const Node *one = nodes.items[i];
        if (one->op != OP_variable) continue;
        if (one->variable->kind != VARIABLE_HYPERPARAMETER || one->variable->index > 1) return 0;
        numbers[count] = one->variable->index ? train->hyperparameters[1] : (double)iteration;
        values[count] = (VariableValue){one, {.dtype = DTYPE_F64, .data = &numbers[count]}};
        count++;
    }
    Named result = {schedule->name, node};
    Function function = {.name = schedule->name, .result_count = 1, .results = &result};
    Environment environment = {.bindings = values, .binding_count = count};
    Tensor value;
    if (evaluate_function(arena, &function, NULL, &environment, &value)) return 0;
    return value.dtype == DTYPE_F32 ? *(float *)value.data : *(double *)value.data;
}

// The schedule of the update before this step that was no number; NULL: none.
static const Schedule *find_schedule(const gradc_trainer *trainer, const TrainState *train, double *value) {
    const TrainBlock *block = block_of(trainer);
    Arena *arena = arena_create_from(trainer->binding.program->allocator);
    if (!arena) return NULL;
    const Schedule *volatile found = NULL;
    if (!setjmp(*arena_recover(arena)))
        for (int i = 0; i < block->schedules.count && train->iteration > 1 && !found; i++) {
            *value = schedule_value(&block->schedules.items[i], train, train->iteration - 2, arena,
                                    *trainer->binding.program->program->graph);
            if (!isfinite(*value)) found = &block->schedules.items[i];
        }
    arena_destroy(arena);
    return found;
}

// ---- a step that a host fed

gradc_status check_loss(gradc_trainer *trainer, double loss) {
    const Binding *binding = &trainer->binding;
    gradc_program *program = binding->program;
    const TrainState *train = &program->trains[trainer->index];
    const char *name = binding->entry->name, *is = isnan(loss) ? "not a number" : "infinite";
    long long iteration = (long long)train->iteration;
    if (isfinite(loss)) return GRADC_OK;
    for (int i = 0; i < binding->input_count; i++) {
        const gradc_tensor *input = &binding->inputs[i];
        int64_t at = find_infinite(input, 0, elements_of(input));
        if (at >= 0)
            return fail(program, GRADC_NUMBER,
                        "the loss of %s is %s at iteration %lld: input '%s' has %g at position %lld", name, is,
                        iteration, binding->entry->function.arguments[i]->variable->name, tensor_number(input, at),
                        (long long)at);
    }
    for (int i = 2; i < train->hyperparameter_count; i++)
        if (!isfinite(train->hyperparameters[i]))
            return fail(program, GRADC_NUMBER, "the loss of %s is %s at iteration %lld: hyperparameter %s is %g", name,
                        is, iteration, program->train_facts[trainer->index].hyperparameters[i],
                        train->hyperparameters[i]);
    double value;
    const Schedule *schedule = find_schedule(trainer, train, &value);
    if (schedule)
        return fail(program, GRADC_NUMBER, "the loss of %s is %s at iteration %lld: %s was %g at iteration %lld", name,
                    is, iteration, schedule->name, value, iteration - 1);
    if (iteration == 1)
        return fail(program, GRADC_NUMBER,
                    "the loss of %s is %s at iteration 1, before any update: look for log, / or sqrt of 0 in it", name,
                    is);
    return fail(program, GRADC_NUMBER, "the loss of %s is %s at iteration %lld", name, is, iteration);
}

// ---- a step that data fed

typedef struct {
    int64_t count, first;   // rows that have a number which is not finite
    double value;           // the first such number
} Bad;

// Looks at all rows of a field, some at a time.
static gradc_status count_bad(const Turn *turn, const FieldArray *field, Bad *bad) {
    gradc_program *program = turn->batch.program;
    int64_t piece = piece_rows(&turn->batch), *rows = turn->batch.piece;
    gradc_tensor part = field->tensor;
    Memory values = memory_of(program);
    gradc_status status =
        memory_reserve(&values, (size_t)piece * field->row_bytes + 1) ? GRADC_OK : fail_memory(program);
    int64_t width = (int64_t)(field->row_bytes / gradc_dtype_size(part.dtype));
    for (int64_t begin = 0; begin < turn->data->rows && !status; begin += piece) {
        int64_t count = turn->data->rows - begin < piece ? turn->data->rows - begin : piece;
        for (int64_t i = 0; i < count; i++) rows[i] = begin + i;
        status = data_gather(turn->data, field, rows, count, values.bytes);
        part.data = values.bytes;
        for (int64_t i = 0; i < count && !status; i++) {
            int64_t at = find_infinite(&part, i * width, (i + 1) * width);
            if (at >= 0 && !bad->count++) *bad = (Bad){1, begin + i, tensor_number(&part, at)};
        }
    }
    memory_free(&values);
    return status;
}

gradc_status blame_data(const Turn *turn) {
    const Binding *binding = &turn->trainer->binding;
    const DataSet *data = turn->data;
    for (int i = 0; data && i < binding->input_count; i++) {
        if (find_infinite(&binding->inputs[i], 0, elements_of(&binding->inputs[i])) < 0) continue;
        const char *name = binding->entry->function.arguments[i]->variable->name;
        Bad bad = {0};
        char place[PLACE_SIZE];
        gradc_status status = count_bad(turn, data_field(data, name), &bad);
        if (status) return status;
        data_place(data, bad.first, place);
        return fail(binding->program, GRADC_DATA,
                    "the loss of %s is not finite: %s of data %s has %s in %lld row%s, the first at %s%s",
                    binding->entry->name, name, data->block->name, isnan(bad.value) ? "NaN" : "infinite numbers",
                    (long long)bad.count, bad.count == 1 ? "" : "s", place,
                    isnan(bad.value) ? "; give missing cells a number: `missing 0`, or where(isnan(raw), m, raw)" : "");
    }
    return GRADC_NUMBER;
}
