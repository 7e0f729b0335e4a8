// Train blocks: a loss, the data that feeds it, the optimizer, and the joint graph of loss, gradients and new states.
#include "elaborate/calls.h"
#include "elaborate/settings.h"

#include <string.h>

static const char *const settings[] = {"data",   "optimizer", "batch",      "epochs",  "steps",
                                       "repeat", "seed",      "parameters", "gradient"};
enum { SETTING_COUNT = sizeof settings / sizeof *settings };

// ---- what is trained

static bool add_chosen(Elaborator *e, Value value, Span span, bool *chosen) {
    Program *program = e->program;
    if (value.kind == VALUE_ERROR) return false;
    Instance *single[] = {value.instance}, **instances = single;
    int count = value.kind == VALUE_INSTANCE || value.kind == VALUE_PARAMETERS;
    if (value.kind == VALUE_INSTANCES) {
        instances = value.instances.items;
        count = value.instances.count;
    }
    bool found = value.kind == VALUE_INSTANCES;
    for (int i = 0; i < count; i++) {
        int parameters = collect_parameters(instances[i], NULL);
        Parameter **own = arena_array(e->arena, Parameter *, parameters);
        collect_parameters(instances[i], own);
        for (int k = 0; k < parameters; k++)
            for (int j = 0; j < program->parameters.count; j++) chosen[j] |= program->parameters.items[j] == own[k];
        found = true;
    }
    for (int j = 0; j < program->parameters.count && value.kind == VALUE_TENSOR; j++) {
        if (program->parameters.items[j]->variable != value.node) continue;
        chosen[j] = found = true;
    }
    if (found) return true;
    report(e, D_wrong_parameters, span, "'parameters' takes nets and parameters, not %s", describe(e, value));
    return false;
}

// Which parameters the block may change. NULL: reported.
static bool *chosen_parameters(Elaborator *e, const Setting *setting) {
    int count = e->program->parameters.count;
    bool *chosen = arena_array(e->arena, bool, count + 1), fine = true;
    for (int i = 0; i < count && !setting; i++) chosen[i] = true;
    for (int i = 0; setting && i < setting->values.count; i++) {
        const Expression *value = setting->values.items[i];
        fine = add_chosen(e, evaluate(e, value), value->span, chosen) && fine;
    }
    return fine ? chosen : NULL;
}

// The chosen parameters that the loss reaches and that are not frozen, in order. False: there is none; reported.
static bool find_trained(Elaborator *e, const Train *train) {
    TrainBlock *block = train->block;
    const bool *chosen = chosen_parameters(e, train->parameters);
    if (!chosen) return false;
    Program *program = e->program;
    NodeArray nodes = reachable(e->graph, &block->entry->training.results[0].node, 1);
    bool *reached = arena_array(e->arena, bool, e->graph->node_count);
    for (int i = 0; i < nodes.count; i++) reached[nodes.items[i]->id] = true;
    block->trained = arena_array(e->arena, Parameter *, program->parameters.count);
    for (int i = 0; i < program->parameters.count; i++) {
        Parameter *parameter = program->parameters.items[i];
        if (chosen[i] && reached[parameter->variable->id] && !parameter->frozen)
            block->trained[block->trained_count++] = parameter;
    }
    if (block->trained_count) return true;
    report(e, D_nothing_to_train, train->parameters ? train->parameters->span : block->span,
           "there is nothing to train: '%s' depends on no parameter that may change", block->loss);
    return false;
}

// ---- the joint graph

static void make_joint(Elaborator *e, TrainBlock *block) {
    const Entry *entry = block->entry;
    Function *joint = &block->gradient;
    block->report_count = entry->reports.count;
    block->update_count = entry->updates.count;
    int own = 1 + block->report_count, count = own + block->trained_count + block->update_count;
    *joint = entry->training;
    joint->result_count = count;
    joint->results = arena_array(e->arena, Named, count);
    memcpy(joint->results, entry->training.results, sizeof(Named) * (size_t)own);
    Node **targets = arena_array(e->arena, Node *, block->trained_count);
    for (int i = 0; i < block->trained_count; i++) targets[i] = block->trained[i]->variable;
    e->graph->span = entry->span;
    Node *request = gradient(e->graph, joint->results[0].node, NULL, targets, block->trained_count, true);
    for (int i = 0; i < block->trained_count; i++)
        joint->results[own + i] =
            (Named){arena_print(e->arena, "d_%s", block->trained[i]->path), result_of(e->graph, request, i)};
    for (int i = 0; i < block->update_count; i++) {
        const StateUpdate *update = &entry->updates.items[i];
        joint->results[own + block->trained_count + i] = (Named){update->state->path, update->value};
    }
}

// ---- data

static const DataField *field_of_name(const DataBlock *data, const char *name) {
    for (int i = 0; i < data->fields.count; i++)
        if (strcmp(data->fields.items[i].name, name) == 0) return &data->fields.items[i];
    return NULL;
}

static bool sizes_fit(const Node *field, const Node *input) {
    if (field->rank != input->rank) return false;
    for (int i = 1; i < field->rank; i++) {
        int64_t a, b;
        if (extent_is_constant(field->shape[i], &a) && extent_is_constant(input->shape[i], &b) && a != b) return false;
    }
    return true;
}

// Whether the data gives the loss this input, of its dtype and shape.
static bool check_input(Elaborator *e, const TrainBlock *block, const Node *input, Span span) {
    const char *name = input->variable->name;
    const DataField *field = field_of_name(block->data, name);
    if (!field) {
        report(e, D_data_lacks_input, span, "'%s' has an input '%s', which data %s does not give", block->loss, name,
               block->data->name);
        help(e, "give it a field: %s = columns[...]", name);
        return false;
    }
    Node *value = field->value.results[0].node;
    if (value->dtype == input->dtype && sizes_fit(value, input)) return true;
    Text wanted = {.arena = e->arena}, found = {.arena = e->arena};
    print_shape(&wanted, input->dtype, (const Extent *const *)input->shape, input->rank);
    print_shape(&found, value->dtype, (const Extent *const *)value->shape, value->rank);
    report(e, value->dtype != input->dtype ? D_data_dtype : D_data_shape, span,
           "'%s' takes '%s' as %s, but data %s gives it as %s", block->loss, name, wanted.bytes, block->data->name,
           found.bytes);
    diagnose_note(e->diagnostics, field->span, "it is made here");
    if (value->dtype != input->dtype) help(e, "convert the field with %s(...)", dtype_name(input->dtype));
    return false;
}

static bool find_data(Elaborator *e, const Setting *setting, TrainBlock *block) {
    const Expression *value = setting->values.items[0];
    const char **names = arena_array(e->arena, const char *, e->program->data.count + 1);
    for (int i = 0; i < e->program->data.count; i++) {
        names[i] = e->program->data.items[i]->name;
        if (value->kind == EXPRESSION_NAME && strcmp(names[i], value->name.text) == 0)
            block->data = e->program->data.items[i];
    }
    if (block->data && setting->values.count == 1) return true;
    const Global *global = value->kind == EXPRESSION_NAME ? find_global(e, value->name.text) : NULL;
    if (global && global->block) return false;   // it has errors, which are reported
    report(e, D_unknown_data, value->span, "'data' takes the name of a data block");
    const char *near =
        value->kind == EXPRESSION_NAME ? nearest_name(value->name.text, names, e->program->data.count) : NULL;
    if (near) help(e, "did you mean '%s'?", near);
    return false;
}

static bool apply_data(Elaborator *e, const Item *item, const Train *train) {
    TrainBlock *block = train->block;
    bool fine = true;
    if (!train->data) return true;
    for (int i = 0; i < item->setting_count; i++) {
        if (strcmp(item->settings[i].name.text, "steps") != 0) continue;
        report(e, D_steps_with_data, item->settings[i].span, "the data says how many steps an epoch has");
        help(e, "'steps' is for a loss without data; to train longer, write more epochs");
        return false;
    }
    if (!find_data(e, train->data, block)) return false;
    for (int i = 0; i < block->entry->training.argument_count; i++)
        fine = check_input(e, block, block->entry->training.arguments[i], train->data->span) && fine;
    return fine;
}

// ---- settings

// `batch = 64`, or `lr = 0.1`, which is the optimizer's.
static bool with_equals(Elaborator *e, const Setting *setting) {
    const char *name = setting->name.text;
    Span value = setting->values.items[0]->span;
    const char *text = arena_copy_text(e->arena, value.source->text + value.begin, value.end - value.begin);
    bool known = false;
    for (int i = 0; i < SETTING_COUNT; i++) known = known || strcmp(settings[i], name) == 0;
    if (!known) {
        report(e, D_unknown_setting, setting->name.span, "a train block has no setting '%s'", name);
        help(e, "numbers of an optimizer are given to it: optimizer adam(%s = %s)", name, text);
        return false;
    }
    report(e, D_setting_with_equals, setting->span, "settings of a train block are written without '='");
    help(e, "write it as: %s %s", name, text);
    return false;
}

static bool apply_setting(Elaborator *e, const Item *item, int index, Train *train) {
    const Setting *setting = &item->settings[index];
    const char *name = setting->name.text;
    TrainBlock *block = train->block;
    int64_t seed;
    if (setting->is_assignment) return with_equals(e, setting);
    bool is_optimizer = strcmp(name, "optimizer") == 0;
    if (setting->pattern_count && !is_optimizer) return wrong_patterns(e, setting);
    if (!setting->pattern_count && !setting_is_first(e, item, index)) return false;
    if (is_optimizer && !is_optimizer_call(e, setting)) return false;
    if (is_optimizer) array_push(e->arena, &train->optimizers, setting);
    else if (strcmp(name, "data") == 0) train->data = setting;
    else if (strcmp(name, "parameters") == 0) train->parameters = setting;
    else if (strcmp(name, "gradient") == 0) train->gradient = setting;
    else if (strcmp(name, "batch") == 0) return whole_setting(e, setting, 1, &block->batch);
    else if (strcmp(name, "epochs") == 0) return whole_setting(e, setting, 0, &block->epochs);
    else if (strcmp(name, "steps") == 0) return whole_setting(e, setting, 1, &block->steps);
    else if (strcmp(name, "repeat") == 0) return whole_setting(e, setting, 1, &block->repeat);
    else if (strcmp(name, "seed") == 0) {
        if (!whole_setting(e, setting, 0, &seed)) return false;
        block->seed = (uint64_t)seed;
    } else return unknown_setting(e, setting, "train", settings, SETTING_COUNT);
    return true;
}

// The loss that the block names. NULL: reported, or it has errors of its own.
static Entry *find_loss(Elaborator *e, const Item *item) {
    const char *name = item->name.text, **names = arena_array(e->arena, const char *, e->file->count);
    Entry *entry = entry_of_name(e, name);
    int count = 0;
    if (entry && entry->kind == ENTRY_LOSS) return entry;
    for (int i = 0; i < e->file->count; i++) {
        if (e->file->items[i]->kind != ITEM_LOSS) continue;
        names[count++] = e->file->items[i]->name.text;
        if (strcmp(names[count - 1], name) == 0) return NULL;
    }
    report(e, D_unknown_loss, item->name.span, "there is no loss '%s' to train", name);
    const char *near = nearest_name(name, names, count);
    if (near) help(e, "did you mean '%s'?", near);
    else if (count) help(e, "a train block is named after its loss, such as '%s'", names[0]);
    else help(e, "a train block is named after its loss: loss %s(...) { ... }", name);
    return NULL;
}

// A block goes by the name of its loss, so a loss has one.
static bool is_first(Elaborator *e, const Item *item) {
    for (int i = 0; e->file->items[i] != item; i++) {
        const Item *other = e->file->items[i];
        if (other->kind != ITEM_TRAIN || strcmp(other->name.text, item->name.text) != 0) continue;
        report(e, D_trained_twice, item->name.span, "there are two blocks 'train %s'", item->name.text);
        diagnose_note(e->diagnostics, other->name.span, "the first is here");
        return false;
    }
    return true;
}

static bool has_argument(const Function *function, const Node *number) {
    for (int i = 0; i < function->argument_count; i++)
        if (function->arguments[i] == number) return true;
    return false;
}

static bool reads_number(const TrainBlock *block, const Node *number) {
    for (int i = 0; i < block->optimizers.count; i++)
        if (has_argument(&block->optimizers.items[i]->update, number)) return true;
    return has_argument(&block->measures, number);
}

// What becomes of the gradients. False: reported.
static bool make_update(Elaborator *e, Train *train, Span span) {
    add_progress(e, train);
    e->updates = true;
    bool made = (!train->gradient || make_gradient_map(e, train)) && make_optimizers(e, train, span);
    e->updates = false;
    train->block->reads_iterations =
        made && (reads_number(train->block, e->iterations) || train->block->entry->reads_iterations);
    return made;
}

void make_train(Elaborator *e, const Item *item) {
    enum { BATCH = 32 };
    TrainBlock *block = arena_new(e->arena, TrainBlock);
    *block = (TrainBlock){.loss = item->name.text, .batch = BATCH, .epochs = 1, .span = item->name.span};
    block->repeat = block->steps = 1;
    Train train = {.block = block};
    block->entry = find_loss(e, item);
    bool fine = is_first(e, item) && block->entry;
    frame_push(e, NULL, false, item->name.span);
    for (int i = 0; i < item->setting_count; i++) fine = apply_setting(e, item, i, &train) && fine;
    bool has_optimizer = fine || train.optimizers.count;   // else it is one of the settings that are wrong
    fine = block->entry && apply_data(e, item, &train) && fine;
    fine = block->entry && find_trained(e, &train) && has_optimizer && make_update(e, &train, item->name.span) && fine;
    frame_pop(e);
    if (!fine) return;
    make_joint(e, block);
    array_push(e->arena, &e->program->trains, block);
}
