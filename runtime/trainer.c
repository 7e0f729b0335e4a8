// Trainers: one train block fed by the host, by fused steps or by updates with stored gradients.
#include "runtime/call.h"
#include "runtime/fit.h"

#include <string.h>

const TrainBlock *block_of(const gradc_trainer *trainer) {
    return trainer->binding.program->program->trains.items[trainer->index];
}

static void trainer_free(gradc_program *program, gradc_trainer *trainer) {
    for (int i = 0; trainer->rows && i < trainer->binding.input_count; i++) memory_free(&trainer->rows[i].batch);
    program_release(program, trainer->rows);
    slot_free(&trainer->step);
    slot_free(&trainer->update);
    outputs_free(&trainer->outputs);
    binding_free(&trainer->binding);
    program_release(program, trainer);
}

gradc_status gradc_trainer_create(gradc_program *program, const char *loss, gradc_trainer **result) {
    *result = NULL;
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    int index = find_train(program, loss);
    if (index < 0) return fail(program, GRADC_ARGUMENT, "the program has no `train %s`", loss);
    gradc_trainer *trainer = program_allocate(program, 1, sizeof *trainer);
    if (!trainer) return fail_memory(program);
    trainer->index = index;
    trainer->step = trainer->update = slot_of(program);
    const TrainBlock *train = program->program->trains.items[index];
    gradc_status status = binding_create(&trainer->binding, program, train->entry);
    if (!status) status = outputs_create(&trainer->outputs, program, 1 + train->report_count);
    trainer->rows = program_allocate(program, (size_t)trainer->binding.input_count, sizeof *trainer->rows);
    if (!status && !trainer->rows) status = fail_memory(program);
    if (status) {
        trainer_free(program, trainer);
        return status;
    }
    for (int i = 0; i < trainer->binding.input_count; i++) trainer->rows[i].batch = memory_of(program);
    trainer->batch = train->batch;
    *result = trainer;
    return GRADC_OK;
}

void gradc_trainer_free(gradc_trainer *trainer) {
    if (trainer) trainer_free(trainer->binding.program, trainer);
}

int gradc_trainer_input(const gradc_trainer *trainer, const char *name) {
    return binding_input(&trainer->binding, name);
}

gradc_status gradc_trainer_bind(gradc_trainer *trainer, int input, const gradc_tensor *array) {
    gradc_status status = binding_bind(&trainer->binding, input, array);
    if (!status) trainer->rows[input].bound = false;
    return status;
}

gradc_status gradc_trainer_set_dim(gradc_trainer *trainer, const char *dim, int64_t value) {
    return binding_set_dim(&trainer->binding, dim, value);
}

void trainer_set_batch(gradc_trainer *trainer, int64_t batch) {
    if (trainer->batch != batch) trainer->binding.resolved = false;
    trainer->batch = batch;
}

gradc_frame trainer_frame(gradc_trainer *trainer) {
    gradc_program *program = trainer->binding.program;
    TrainState *train = &program->trains[trainer->index];
    train->hyperparameters[0] = (double)train->iteration;
    return (gradc_frame){.parameters = program->parameters.bytes,
                         .gradients = program->gradients.bytes,
                         .state = program->states.bytes,
                         .optimizer = train->values.bytes,
                         .outputs = trainer->outputs.pointers,
                         .hyperparameters = train->hyperparameters,
                         .draw_count = program->draw_count};
}

double trainer_loss(const gradc_trainer *trainer) {
    const gradc_tensor *loss = &trainer->outputs.tensors[0];
    return loss->dtype == GRADC_F32 ? *(const float *)loss->data : *(const double *)loss->data;
}

// `iterations` is set by gradc_fit, or by the host.
static gradc_status check_iterations(const gradc_trainer *trainer) {
    gradc_program *program = trainer->binding.program;
    const TrainBlock *block = block_of(trainer);
    if (!block->reads_iterations || program->trains[trainer->index].hyperparameters[1] > 0) return GRADC_OK;
    return fail(program, GRADC_ORDER, "train %s depends on how many iterations there will be: set 'iterations'",
                block->loss);
}

gradc_status trainer_prepare(gradc_trainer *trainer) {
    const TrainBlock *block = block_of(trainer);
    FunctionKey key = {.kind = KIND_STEP, .train = block};
    gradc_status status = ensure_initialised(trainer->binding.program);
    if (!status) status = check_iterations(trainer);
    if (!status) status = binding_resolve(&trainer->binding, trainer->batch);
    if (!status) status = slot_prepare(&trainer->step, &trainer->binding, key);
    if (status) return status;
    return outputs_prepare(&trainer->outputs, &trainer->binding, block->gradient.results, 1 + block->report_count);
}

// An input that is bound to the rows of gradc_trainer_steps has no batch.
gradc_status check_batches(const gradc_trainer *trainer) {
    const Entry *entry = trainer->binding.entry;
    for (int i = 0; i < trainer->binding.input_count; i++)
        if (trainer->rows[i].bound)
            return fail(trainer->binding.program, GRADC_ORDER,
                        "input '%s' of %s is bound to the rows of gradc_trainer_steps: bind it to one batch",
                        entry->function.arguments[i]->variable->name, entry->name);
    return GRADC_OK;
}

gradc_status gradc_trainer_step(gradc_trainer *trainer, double *loss) {
    gradc_program *program = trainer->binding.program;
    gradc_status status = check_batches(trainer);
    if (!status) status = trainer_prepare(trainer);
    if (!status) status = binding_check_ranges(&trainer->binding);
    if (status) return status;
    gradc_frame frame = trainer_frame(trainer);
    status = runner_run(&trainer->step.runner, &trainer->binding, &frame);
    program->draw_count++;
    program->version++;
    program->trains[trainer->index].iteration++;
    if (status) return status;
    double value = trainer_loss(trainer);
    if (loss) *loss = value;
    return check_loss(trainer, value);
}

gradc_status trainer_prepare_update(gradc_trainer *trainer) {
    FunctionKey key = {.kind = KIND_UPDATE, .train = block_of(trainer)};
    gradc_status status = ensure_initialised(trainer->binding.program);
    if (!status) status = check_iterations(trainer);
    // The update reads no input and no open dim.
    if (!trainer->binding.generation) trainer->binding.generation = 1;
    return status ? status : slot_prepare(&trainer->update, &trainer->binding, key);
}

gradc_status gradc_trainer_update(gradc_trainer *trainer) {
    gradc_program *program = trainer->binding.program;
    gradc_status status = trainer_prepare_update(trainer);
    if (status) return status;
    gradc_frame frame = trainer_frame(trainer);
    status = runner_run(&trainer->update.runner, &trainer->binding, &frame);
    if (status) return status;
    program->version++;
    program->trains[trainer->index].iteration++;
    return GRADC_OK;
}

static gradc_status no_hyperparameter(const gradc_trainer *trainer, const char *name) {
    const TrainBlock *block = block_of(trainer);
    const char *colon = strrchr(name, ':'), *plain = colon ? colon + 1 : name;
    for (int i = 0; i < block->schedules.count; i++) {
        const Schedule *schedule = &block->schedules.items[i];
        int line, column;
        if (strcmp(schedule->name, plain) != 0) continue;
        source_position(schedule->span.source, schedule->span.begin, &line, &column);
        return fail(trainer->binding.program, GRADC_ARGUMENT,
                    "%s of the optimizer of `train %s` is computed in the program, so it cannot be set: change it at "
                    "%s:%d",
                    plain, block->loss, schedule->span.source->path, line);
    }
    return fail(trainer->binding.program, GRADC_ARGUMENT, "the optimizer of `train %s`, %s, has no hyperparameter '%s'",
                block->loss, block->optimizer_words, name);
}

gradc_status gradc_trainer_set(gradc_trainer *trainer, const char *name, double value) {
    gradc_program *program = trainer->binding.program;
    double *slot = find_hyperparameter(program, trainer->index, name);
    if (!slot) return no_hyperparameter(trainer, name);
    *slot = value;
    return GRADC_OK;
}

gradc_status gradc_trainer_get(const gradc_trainer *trainer, const char *name, double *value) {
    gradc_program *program = trainer->binding.program;
    double *slot = find_hyperparameter(program, trainer->index, name);
    if (!slot) return no_hyperparameter(trainer, name);
    *value = *slot;
    return GRADC_OK;
}

int64_t gradc_trainer_iteration(const gradc_trainer *trainer) {
    return trainer->binding.program->trains[trainer->index].iteration;
}
