// The best epoch: a metric or the loss is watched over the held-out rows, the parameters of the best epoch are kept, and
// training ends early when nothing better comes.
#include "runtime/training.h"
#include "support/nearest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- what is watched

static gradc_status watch_loss(Fit *fit, Turn *turn) {
    Monitor *monitor = &fit->monitor;
    monitor->turn = turn;
    monitor->metric = -1;
    if (!turn->data) return GRADC_OK;
    gradc_status status = batch_create(&monitor->batch, fit->program, turn->data, turn->block->entry);
    return status ? status : gradc_call_create(fit->program, turn->block->loss, &monitor->call);
}

// The names that could be watched, for a message.
static void list_names(const Fit *fit, char *text, size_t size) {
    size_t length = (size_t)snprintf(text, size, "loss");
    for (int i = 0; i < fit->turn_count; i++)
        for (int k = 0; k < fit->turns[i].metric_count && length < size; k++)
            length += (size_t)snprintf(text + length, size - length, ", %s", fit->turns[i].metrics[k].name);
}

static const char *near_name(const Fit *fit, const char *name) {
    NameSearch search = search_for(name);
    consider_name(&search, "loss");
    for (int i = 0; i < fit->turn_count; i++)
        for (int k = 0; k < fit->turns[i].metric_count; k++) consider_name(&search, fit->turns[i].metrics[k].name);
    return search.best;
}

gradc_status monitor_prepare(Fit *fit) {
    const char *name = fit->options.monitor;
    if (fit->options.patience < 0) return fail(fit->program, GRADC_ARGUMENT, "patience cannot be negative");
    fit->monitor.parameters = fit->monitor.states = memory_of(fit->program);
    if (!name && !fit->options.patience) return GRADC_OK;
    if (!name || strcmp(name, "loss") == 0) return watch_loss(fit, &fit->turns[0]);
    for (int i = 0; i < fit->turn_count; i++) {
        Turn *turn = &fit->turns[i];
        if (strcmp(name, turn->block->loss) == 0) return watch_loss(fit, turn);
        for (int k = 0; k < turn->metric_count; k++) {
            if (strcmp(name, turn->metrics[k].name) != 0) continue;
            fit->monitor.turn = turn;
            fit->monitor.metric = k;
            return GRADC_OK;
        }
    }
    char names[512];
    list_names(fit, names, sizeof names);
    const char *near = near_name(fit, name);
    return fail(fit->program, GRADC_ARGUMENT,
                "there is no metric '%s' that the data feeds%s%s%s; what can be watched is: %s", name,
                near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", names);
}

void monitor_free(Monitor *monitor) {
    gradc_call_free(monitor->call);
    if (monitor->batch.entry) batch_free(&monitor->batch);
    memory_free(&monitor->parameters);
    memory_free(&monitor->states);
}

// ---- the best epoch

static gradc_status measure(Fit *fit, double *value) {
    Monitor *monitor = &fit->monitor;
    const Turn *turn = monitor->turn;
    if (monitor->call) return metric_value(monitor->call, &monitor->batch, value);
    *value = monitor->metric >= 0 ? turn->metrics[monitor->metric].value : turn->loss_sum / (double)turn->rows;
    return GRADC_OK;
}

bool monitor_reserve(Fit *fit) {
    return memory_reserve(&fit->monitor.parameters, fit->program->parameters.size) &&
           memory_reserve(&fit->monitor.states, fit->program->states.size);
}

static gradc_status keep(Fit *fit) {
    Monitor *monitor = &fit->monitor;
    const gradc_program *program = fit->program;
    if (!monitor_reserve(fit)) return fail_memory(fit->program);
    memcpy(monitor->parameters.bytes, program->parameters.bytes, program->parameters.size);
    memcpy(monitor->states.bytes, program->states.bytes, program->states.size);
    return GRADC_OK;
}

gradc_status monitor_epoch(Fit *fit, const Turn *turn, double *value, bool *best) {
    Monitor *monitor = &fit->monitor;
    *value = NAN;
    *best = false;
    if (turn != monitor->turn) return GRADC_OK;
    gradc_status status = measure(fit, value);
    if (status) return status;
    // What is not a number is never better, and anything is better than that.
    bool better = fit->options.monitor_greater ? *value > monitor->best : *value < monitor->best;
    if (!isnan(*value) && (!monitor->found || better)) {
        status = keep(fit);
        if (status) return status;
        *best = monitor->found = true;
        monitor->best = *value;
        monitor->best_epoch = turn->epoch + 1;
        monitor->stale = 0;
    } else {
        monitor->stale++;
    }
    return GRADC_OK;
}

bool monitor_gives_up(const Fit *fit) {
    return fit->options.patience > 0 && fit->monitor.stale >= fit->options.patience;
}

void monitor_put_back(Fit *fit) {
    const Monitor *monitor = &fit->monitor;
    gradc_program *program = fit->program;
    if (!monitor->found) return;
    memcpy(program->parameters.bytes, monitor->parameters.bytes, program->parameters.size);
    memcpy(program->states.bytes, monitor->states.bytes, program->states.size);
    program->version++;
}
