// Many training steps in one call, over rows that lie in memory.
//
// What a step needs is made ready once for each size of a batch; between two steps only pointers, the iteration and the
// random numbers' count move on.
#include "runtime/call.h"

#include <string.h>

gradc_status gradc_trainer_bind_rows(gradc_trainer *trainer, int input, const gradc_tensor *rows) {
    Binding *binding = &trainer->binding;
    gradc_status status = binding_check(binding, input, rows, true);
    if (status) return status;
    const char *name = binding->entry->function.arguments[input]->variable->name;
    if (!rows->rank)
        return fail(binding->program, GRADC_ARGUMENT, "input '%s' of %s is one number, and has no rows", name,
                    binding->entry->name);
    gradc_tensor one = *rows;
    one.shape[0] = 1;
    RowInput *bound = &trainer->rows[input];
    bound->bound = true;
    bound->all = *rows;
    bound->row_bytes = (size_t)array_bytes(&one);
    return GRADC_OK;
}

// ---- the rows of one call

typedef struct {
    gradc_trainer *trainer;
    const int64_t *order;
    bool fed, begun;              // some input takes rows; what was asked for fits
    int64_t rows, total, batch;   // rows that there are, positions of the order, rows of a whole batch
    int64_t position, ready;      // of the next step; the rows of a batch for which all is ready, 0: none
    gradc_frame frame;
} Steps;

static const char *input_name(const gradc_trainer *trainer, int input) {
    return trainer->binding.entry->function.arguments[input]->variable->name;
}

static gradc_status count_rows(Steps *steps) {
    gradc_trainer *trainer = steps->trainer;
    int first = -1;
    for (int i = 0; i < trainer->binding.input_count; i++) {
        if (!trainer->rows[i].bound) continue;
        int64_t rows = trainer->rows[i].all.shape[0];
        if (first < 0) first = i;
        if (first == i) steps->rows = rows;
        if (rows != steps->rows)
            return fail(trainer->binding.program, GRADC_ARGUMENT,
                        "input '%s' of %s is bound to %lld rows, but '%s' to %lld", input_name(trainer, first),
                        trainer->binding.entry->name, (long long)steps->rows, input_name(trainer, i), (long long)rows);
    }
    steps->fed = first >= 0;
    return GRADC_OK;
}

// An input of so many rows, and no others, takes whole batches alone.
static gradc_status check_batch(const Steps *steps) {
    const gradc_trainer *trainer = steps->trainer;
    for (int i = 0; i < trainer->binding.input_count; i++) {
        int64_t size;
        if (!trainer->rows[i].bound) continue;
        if (!extent_is_constant(trainer->binding.entry->function.arguments[i]->shape[0], &size)) continue;
        if (size == steps->batch && steps->total % size == 0) continue;
        return fail(trainer->binding.program, GRADC_ARGUMENT,
                    "input '%s' of %s takes %lld rows: steps of %lld rows through %lld do not fit",
                    input_name(trainer, i), trainer->binding.entry->name, (long long)size, (long long)steps->batch,
                    (long long)steps->total);
    }
    return GRADC_OK;
}

static gradc_status begin(Steps *steps, const gradc_steps_options *options) {
    gradc_program *program = steps->trainer->binding.program;
    if (options->count < 0 || options->batch < 0 || (options->order && options->order_count < 0))
        return fail(program, GRADC_ARGUMENT, "steps: a count, a batch or an order cannot be negative");
    gradc_status status = count_rows(steps);
    if (status || !steps->fed) return status;
    steps->total = options->order ? options->order_count : steps->rows;
    steps->batch = options->batch ? options->batch : steps->trainer->batch;
    if (!steps->total && options->count)
        return fail(program, GRADC_ARGUMENT, "steps of %s: there are no rows", steps->trainer->binding.entry->name);
    if (options->position && (*options->position < 0 || *options->position > steps->total))
        return fail(program, GRADC_ARGUMENT, "steps begin at position %lld of %lld", (long long)*options->position,
                    (long long)steps->total);
    if (options->position) steps->position = *options->position;
    status = check_batch(steps);
    if (steps->batch > steps->total) steps->batch = steps->total;   // a greater one takes no more room
    steps->begun = !status;
    return status;
}

// ---- one step

// Makes all ready for batches of so many rows.
static gradc_status prepare(Steps *steps, int64_t count) {
    gradc_trainer *trainer = steps->trainer;
    Binding *binding = &trainer->binding;
    steps->ready = 0;
    for (int i = 0; i < binding->input_count; i++) {
        RowInput *input = &trainer->rows[i];
        if (!input->bound) continue;
        gradc_tensor part = input->all;
        part.shape[0] = count;
        gradc_status status = binding_bind(binding, i, &part);
        if (status) return status;
        size_t room;
        bool overflow = __builtin_mul_overflow((size_t)steps->batch, input->row_bytes, &room);
        if (steps->order && (overflow || !memory_reserve(&input->batch, room))) return fail_memory(binding->program);
    }
    gradc_status status = trainer_prepare(trainer);
    if (status) return status;
    steps->frame = trainer_frame(trainer);
    runner_complete(&trainer->step.runner, binding, &steps->frame);
    steps->ready = steps->fed ? count : 1;
    return GRADC_OK;
}

static void copy_rows(const RowInput *input, const int64_t *order, int64_t count) {
    const char *from = input->all.data;
    char *to = input->batch.bytes;
    size_t bytes = input->row_bytes;
    if (bytes == 4) {
        for (int64_t i = 0; i < count; i++, to += 4) memcpy(to, from + order[i] * 4, 4);
    } else if (bytes == 8) {
        for (int64_t i = 0; i < count; i++, to += 8) memcpy(to, from + order[i] * 8, 8);
    } else if (bytes) {
        for (int64_t i = 0; i < count; i++, to += bytes) memcpy(to, from + order[i] * (int64_t)bytes, bytes);
    }
}

static gradc_status check_order(const Steps *steps, int64_t count) {
    for (int64_t i = steps->position; i < steps->position + count; i++)
        if ((uint64_t)steps->order[i] >= (uint64_t)steps->rows)
            return fail(steps->trainer->binding.program, GRADC_ARGUMENT,
                        "the order of steps has row %lld at position %lld, but rows are from 0 to %lld",
                        (long long)steps->order[i], (long long)i, (long long)steps->rows - 1);
    return GRADC_OK;
}

// Points the inputs to the next `count` rows.
static gradc_status take_rows(Steps *steps, int64_t count) {
    Binding *binding = &steps->trainer->binding;
    gradc_status status = steps->order ? check_order(steps, count) : GRADC_OK;
    for (int i = 0; i < binding->input_count && !status; i++) {
        RowInput *input = &steps->trainer->rows[i];
        if (!input->bound) continue;
        if (steps->order) copy_rows(input, steps->order + steps->position, count);
        char *rows =
            steps->order ? input->batch.bytes : (char *)input->all.data + steps->position * (int64_t)input->row_bytes;
        binding->inputs[i].data = rows;
        binding->pointers[i] = rows;
    }
    return status;
}

static gradc_status check_classes(const Steps *steps, int64_t count) {
    const Binding *binding = &steps->trainer->binding;
    OutOfRange found;
    if (!binding_out_of_range(binding, &found)) return GRADC_OK;
    const gradc_tensor *array = &binding->inputs[found.input];
    int64_t row = -1;
    if (steps->trainer->rows[found.input].bound) {
        int64_t elements = array_bytes(array) / (int64_t)gradc_dtype_size(array->dtype);
        row = steps->position + found.at / (elements / count);
        if (steps->order) row = steps->order[row];
    }
    return fail(binding->program, GRADC_DATA,
                "input '%s' of %s: %lld, %s %lld, is out of bounds: it takes numbers from 0 to %lld",
                input_name(steps->trainer, found.input), binding->entry->name, (long long)found.value,
                row < 0 ? "at position" : "in row", (long long)(row < 0 ? found.at : row), (long long)found.count - 1);
}

static gradc_status step(Steps *steps, TrainState *train, double *loss) {
    gradc_trainer *trainer = steps->trainer;
    gradc_program *program = trainer->binding.program;
    int64_t left = steps->total - steps->position, count = left < steps->batch ? left : steps->batch;
    gradc_status status = GRADC_OK;
    if (!steps->fed) count = 1;
    if (count != steps->ready) status = prepare(steps, count);
    if (!status && steps->fed) status = take_rows(steps, count);
    if (!status && trainer->binding.entry->ranges.count) status = check_classes(steps, count);
    if (status) return status;
    train->hyperparameters[0] = (double)train->iteration;
    steps->frame.draw_count = program->draw_count;
    int32_t fault = runner_call(&trainer->step.runner, &steps->frame);
    program->draw_count++;
    program->version++;
    train->iteration++;
    if (steps->fed) steps->position += count;
    if (fault) return fail_fault(&trainer->binding);
    *loss = trainer_loss(trainer);
    return check_loss(trainer, *loss);
}

gradc_status gradc_trainer_steps(gradc_trainer *trainer, const gradc_steps_options *options) {
    TrainState *train = &trainer->binding.program->trains[trainer->index];
    Steps steps = {.trainer = trainer, .order = options->order};
    gradc_status status = begin(&steps, options);
    for (int64_t i = 0; i < options->count && !status; i++) {
        double loss;
        if (steps.fed && steps.position == steps.total) steps.position = 0;
        status = step(&steps, train, options->losses ? &options->losses[i] : &loss);
    }
    if (steps.begun && options->position && steps.total) *options->position = steps.position % steps.total;
    return status;
}
