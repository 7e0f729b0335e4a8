// Entries: the functions that a host can call, once in eval mode and, where that makes a difference, once in training
// mode. Every loss and metric is one, and every net and fn whose signature leaves nothing open.
#include "elaborate/calls.h"
#include "graph/rewrite.h"

#include <string.h>

Entry *entry_of_name(Elaborator *e, const char *name) {
    for (int i = 0; i < e->program->entries.count; i++)
        if (strcmp(e->program->entries.items[i]->name, name) == 0) return e->program->entries.items[i];
    return NULL;
}

// ---- what is an entry

static bool is_concrete_size(Elaborator *e, const Size *size) {
    if (!size || size->kind == SIZE_NUMBER) return true;
    if (size->kind == SIZE_NAME) {
        const Global *global = find_global(e, size->name.text);
        return global && (global->dim >= 0 || global->constant);
    }
    return is_concrete_size(e, size->left) && is_concrete_size(e, size->right);
}

// Whether an input of this type has a dtype and a rank of its own. `float` of a fn is its call's.
static bool is_concrete_type(Elaborator *e, const Item *item, const Type *type) {
    Dtype dtype;
    bool is_float = strcmp(type->name.text, "float") == 0;
    if (!is_dtype_name(e, type->name.text, DTYPE_F32, &dtype) || (is_float && item->kind == ITEM_FN)) return false;
    for (int i = 0; i < type->dimension_count; i++)
        if (type->dimensions[i].is_pack || !is_concrete_size(e, type->dimensions[i].size)) return false;
    return true;
}

// What has a default keeps it: it is no input.
static bool is_concrete(Elaborator *e, const Item *item) {
    for (int i = 0; i < item->parameter_count; i++)
        if (!item->parameters[i].initial && !is_concrete_type(e, item, &item->parameters[i].type)) return false;
    return item->static_count == 0;
}

static void mark_template(Elaborator *e, const Use *use) {
    Global *global = find_global(e, use->template_name.text);
    if (global) global->is_template = true;
}

static void mark_templates(Elaborator *e) {
    for (int i = 0; i < e->file->count; i++) {
        const Item *item = e->file->items[i];
        if (item->kind == ITEM_USE) mark_template(e, &item->use);
        for (int k = 0; k < item->body.count; k++) {
            const Use *use = &item->body.items[k]->use;
            if (item->body.items[k]->kind != STATEMENT_USE) continue;
            if (strcmp(use->template_name.text, item->name.text) != 0) mark_template(e, use);
        }
    }
}

// A net that others are made from is one only if its bare name is used, too: else it would have parameters for nothing.
static bool is_entry(Elaborator *e, const Item *item) {
    bool is_loss = item->kind == ITEM_LOSS || item->kind == ITEM_METRIC;
    if (!is_loss && item->kind != ITEM_NET && item->kind != ITEM_FN) return false;
    const Global *global = find_global(e, item->name.text);
    if (is_loss) return item->static_count == 0 && global->functions && global->functions->items.items[0] == item;
    if (!is_concrete(e, item)) return false;
    if (item->kind == ITEM_NET) return global->net == item && (global->shared || !global->is_template);
    return global->functions && global->functions->items.count == 1 && !global->net;
}

// ---- inputs

static bool check_input_type(Elaborator *e, const Item *item, const Declaration *parameter, TypeName type) {
    const char *word = item->kind == ITEM_LOSS ? "a loss" : item->kind == ITEM_METRIC ? "a metric" : "an entry";
    for (int i = 0; i < parameter->type.dimension_count; i++) {
        if (!parameter->type.dimensions[i].is_pack) continue;
        report(e, D_open_rank, parameter->type.span,
               "%s is called from outside, so its inputs have a fixed number of axes", word);
        help(e, "name the axes, as in float[N, 3]");
        return false;
    }
    if (type.class == TYPE_DTYPE || type.class == TYPE_FLOAT) return true;
    if (type.class != TYPE_UNKNOWN)
        report(e, D_open_input, parameter->span, "%s is called from outside, so its inputs are tensors of one dtype",
               word);
    return false;
}

// A variable for the parameter. NULL: reported.
static Node *make_input(Elaborator *e, const Item *item, const Declaration *parameter, int index) {
    Shape shape;
    TypeName type = type_name(e, parameter->type.name, parameter->type.has_dimensions);
    if (!check_input_type(e, item, parameter, type) || !type_shape(e, &parameter->type, &shape)) return NULL;
    Dtype dtype = type.class == TYPE_FLOAT ? e->program->floating : type.dtype;
    bool tracked = parameter->attribute == ATTRIBUTE_REQUIRES_GRAD;
    if (tracked && !dtype_is_float(dtype)) {
        report(e, D_cannot_require_grad, parameter->span, "only floating values can require grad, not %s",
               dtype_name(dtype));
        return NULL;
    }
    e->graph->span = parameter->span;
    Variable variable = {
        .kind = VARIABLE_INPUT, .index = index, .name = parameter->name.text, .requires_grad = tracked};
    return variable_make(e->graph, &variable, dtype, shape.extents, shape.rank);
}

// The entry's inputs, as arguments of its call. False: reported.
static bool make_inputs(Elaborator *e, const Item *item, CallArguments *arguments, Function *function) {
    bool fine = true;
    arguments->items = arena_array(e->arena, CallArgument, item->parameter_count);
    arguments->count = 0;
    function->arguments = arena_array(e->arena, Node *, item->parameter_count);
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        if (parameter->initial) continue;
        Node *node = make_input(e, item, parameter, arguments->count);
        fine = fine && node;
        if (!node) continue;
        function->arguments[arguments->count] = node;
        arguments->items[arguments->count++] =
            (CallArgument){parameter->name.text, value_tensor(node), parameter->span, parameter->span};
    }
    function->argument_count = arguments->count;
    return fine;
}

// ---- results

static Span result_span(const Item *item) {
    for (int i = item->body.count - 1; i >= 0; i--)
        if (item->body.items[i]->kind == STATEMENT_RETURN) return item->body.items[i]->values.items[0]->span;
    return item->name.span;
}

static Node *one_number(Elaborator *e, const Item *item, Value value) {
    const char *word = item->kind == ITEM_LOSS ? "loss" : "metric";
    Span span = result_span(item);
    if (value.kind == VALUE_ERROR) return NULL;
    Node *node = is_tensor_like(value) ? as_tensor(e, value, span) : NULL;
    bool fits =
        node && !node->rank && (item->kind == ITEM_LOSS ? dtype_is_float(node->dtype) : node->dtype != DTYPE_BOOL);
    if (fits) return item->kind == ITEM_METRIC ? cast(e->graph, node, e->program->floating) : node;
    report(e, D_not_one_number_returned, span, "a %s returns one %snumber, not %s", word,
           item->kind == ITEM_LOSS ? "floating " : "", describe(e, node ? value_tensor(node) : value));
    if (node && node->rank) help(e, "make one of it: mean(...) or sum(...)");
    return NULL;
}

static bool add_result(Elaborator *e, const Item *item, Function *function, const char *name, Value value) {
    Node *node = is_tensor_like(value) ? as_tensor(e, value, result_span(item)) : NULL;
    if (!node && value.kind != VALUE_ERROR && !is_tensor_like(value))
        report(e, D_result_not_a_tensor, result_span(item),
               "'%s' returns %s, but what is called from outside returns tensors", item->name.text, describe(e, value));
    if (!node) return false;
    function->results[function->result_count++] = (Named){name, node};
    return true;
}

// The results of the call, then the reports, then, in training mode, the new states. False: reported.
static bool make_results(Elaborator *e, const Item *item, Value value, const EntryContext *context,
                         Function *function) {
    bool several = value.kind == VALUE_TUPLE, single = item->kind == ITEM_LOSS || item->kind == ITEM_METRIC;
    int count = several ? value.list.count : 1, declared = item->result_count;
    function->results = arena_array(e->arena, Named, count + context->reports.count + context->states.count);
    function->result_count = 0;
    if (value.kind == VALUE_ERROR) return false;
    if (single) value = value_tensor(one_number(e, item, value));
    for (int i = 0; i < (single ? 1 : count); i++) {
        const char *name = i < declared ? item->results[i].name.text : NULL;
        if (!name) name = several ? arena_print(e->arena, "%s.%d", item->name.text, i) : item->name.text;
        if (!add_result(e, item, function, name, several && !single ? value.list.items[i] : value)) return false;
    }
    for (int i = 0; i < context->reports.count; i++)
        function->results[function->result_count++] = context->reports.items[i];
    for (int i = 0; i < context->states.count; i++) {
        const StateValue *stored = &context->states.items[i];
        function->results[function->result_count++] = (Named){stored->state->path, stored->value};
    }
    return true;
}

// ---- one entry

// What is too large to be held is refused where it is made.
static bool check_sizes(Elaborator *e, const Function *function) {
    static const int64_t most = (int64_t)1 << 40;   // elements
    Node **roots = arena_array(e->arena, Node *, function->result_count + function->argument_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    for (int i = 0; i < function->argument_count; i++) roots[function->result_count + i] = function->arguments[i];
    NodeArray nodes = reachable(e->graph, roots, function->result_count + function->argument_count);
    bool fine = true;
    for (int i = 0; i < nodes.count && fine; i++) {
        int64_t count;
        const Node *node = nodes.items[i];
        fine = !extent_is_constant(element_count(e->graph, node), &count) || count <= most;
        Shape shape = shape_of(node);
        if (!fine)
            report(e, D_too_large, node->span, "a tensor of shape %s has more than %lld elements",
                   describe_shape(e, &shape), (long long)most);
        if (node->body) fine = check_sizes(e, node->body) && fine;
    }
    return fine;
}

static EntryContext *run_mode(Elaborator *e, const Item *item, Entry *entry, const CallArguments *arguments,
                              bool training, Function *function) {
    Global *global = find_global(e, item->name.text);
    EntryContext *context = arena_new(e->arena, EntryContext);
    *context = (EntryContext){.entry = entry, .training = training};
    e->context = context;
    e->file_draws = 0;
    e->binds_dims = true;
    Value value = {.kind = VALUE_ERROR};
    if (item->kind == ITEM_FN) value = call_callable(e, global->functions, arguments, (Span){0});
    else {
        Instance *instance = shared_instance(e, global, item->name.span);
        if (instance) value = call_instance(e, instance, arguments, (Span){0});
    }
    e->binds_dims = false;
    bool fine = make_results(e, item, value, context, function);
    e->context = NULL;
    return fine && check_sizes(e, function) ? context : NULL;
}

static void add_updates(Elaborator *e, Entry *entry, const EntryContext *context) {
    for (int i = 0; i < context->states.count; i++) {
        StateUpdate update = {context->states.items[i].state, context->states.items[i].value};
        array_push(e->arena, &entry->updates, update);
    }
}

static Entry *make_entry(Elaborator *e, const Item *item) {
    static const EntryKind kinds[] = {
        [ITEM_LOSS] = ENTRY_LOSS, [ITEM_METRIC] = ENTRY_METRIC, [ITEM_NET] = ENTRY_NET, [ITEM_FN] = ENTRY_FUNCTION};
    CallArguments arguments;
    Entry *entry = arena_new(e->arena, Entry);
    *entry = (Entry){.kind = kinds[item->kind],
                     .name = item->name.text,
                     .documentation = item->documentation,
                     .span = item->name.span};
    entry->function.name = item->name.text;
    if (!make_inputs(e, item, &arguments, &entry->function)) return NULL;
    entry->training = entry->function;
    const EntryContext *context = run_mode(e, item, entry, &arguments, false, &entry->function);
    if (!context) return NULL;
    for (int i = 0; i < context->reports.count; i++)
        array_push(e->arena, &entry->reports, context->reports.items[i].name);
    if (!context->mode_matters) {
        entry->training = entry->function;
        return entry;
    }
    context = run_mode(e, item, entry, &arguments, true, &entry->training);
    if (!context) return NULL;
    add_updates(e, entry, context);
    return entry;
}

static bool reads(Elaborator *e, const Function *function, const Node *number) {
    NodeArray nodes = reachable(e->graph, result_nodes(e->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i] == number) return true;
    return false;
}

// An entry that could not be made without any message would be dropped in silence.
static void check_made(Elaborator *e, const Item *item, const Entry *entry) {
    if (entry || diagnostics_errors(e->diagnostics)) return;
    report(e, D_internal, item->name.span, "internal error: '%s' was not elaborated", item->name.text);
    help(e, "this is a fault of gradc, not of your program; please report it");
}

void make_entries(Elaborator *e) {
    Entry **entries = arena_array(e->arena, Entry *, e->file->count);
    mark_templates(e);
    for (int pass = 0; pass < 2; pass++) {   // losses show which nets are used by their bare names
        for (int i = 0; i < e->file->count; i++) {
            const Item *item = e->file->items[i];
            bool leads = item->kind == ITEM_LOSS || item->kind == ITEM_METRIC;
            if (leads != (pass == 0) || !is_entry(e, item)) continue;
            entries[i] = make_entry(e, item);
            check_made(e, item, entries[i]);
            if (entries[i])
                entries[i]->reads_iterations =
                    reads(e, &entries[i]->function, e->iterations) || reads(e, &entries[i]->training, e->iterations);
        }
    }
    for (int i = 0; i < e->file->count; i++)
        if (entries[i]) array_push(e->arena, &e->program->entries, entries[i]);
}
