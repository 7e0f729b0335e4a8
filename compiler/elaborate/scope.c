// Names: those of a call, in nested scopes, and those of a file, in a hash table for the user and one for the library.
#include "elaborate/calls.h"

#include <string.h>

// ---- the names of a call

Scope *scope_push(Elaborator *e) {
    Scope *scope = arena_new(e->arena, Scope);
    scope->parent = e->frame->scope;
    e->frame->scope = scope;
    return scope;
}

void scope_pop(Elaborator *e) {
    e->frame->scope = e->frame->scope->parent;
}

static unsigned hash_of(const char *name) {
    unsigned hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash ^ (hash >> 15);
}

static void put_in_bucket(Scope *scope, Binding *binding) {
    Binding **bucket = &scope->buckets[hash_of(binding->name) % (unsigned)scope->bucket_count];
    binding->next_in_bucket = *bucket;
    *bucket = binding;
}

// Few names are looked through one by one.
static void index_bindings(Elaborator *e, Scope *scope) {
    enum { FEW = 16 };
    if (scope->binding_count <= FEW || scope->binding_count < scope->bucket_count) return;
    scope->bucket_count = 4 * scope->binding_count;
    scope->buckets = arena_array(e->arena, Binding *, scope->bucket_count);
    for (Binding *binding = scope->bindings; binding; binding = binding->next) put_in_bucket(scope, binding);
}

static Binding *binding_in(const Scope *scope, const char *name) {
    bool indexed = scope->bucket_count > 0;
    Binding *binding = indexed ? scope->buckets[hash_of(name) % (unsigned)scope->bucket_count] : scope->bindings;
    while (binding && strcmp(binding->name, name) != 0) binding = indexed ? binding->next_in_bucket : binding->next;
    return binding;
}

void bind_name(Elaborator *e, Scope *scope, const char *name, Value value) {
    Binding *binding = binding_in(scope, name);
    if (binding) {
        binding->value = value;
        return;
    }
    binding = arena_new(e->arena, Binding);
    *binding = (Binding){name, value, scope->bindings, NULL};
    scope->bindings = binding;
    scope->binding_count++;
    if (scope->bucket_count) put_in_bucket(scope, binding);
    index_bindings(e, scope);
}

Binding *find_binding(const Elaborator *e, const char *name) {
    for (Scope *scope = e->frame->scope; scope; scope = scope->parent) {
        Binding *binding = binding_in(scope, name);
        if (binding) return binding;
    }
    return NULL;
}

void assign(Elaborator *e, const char *name, Value value) {
    Binding *binding = find_binding(e, name);
    if (binding) binding->value = value;
    else bind_name(e, e->frame->scope, name, value);
}

// ---- the names of a file

static unsigned bucket_of(const char *name) {
    return hash_of(name) % GLOBAL_BUCKETS;
}

static Global *find_in(Global *const *table, const char *name) {
    for (Global *global = table[bucket_of(name)]; global; global = global->next)
        if (strcmp(global->name, name) == 0) return global;
    return NULL;
}

// The library's dims are its own affair.
static bool is_only_dim(const Global *global) {
    return global->dim >= 0 && !global->constant && !global->net && !global->functions && !global->optimizer;
}

Global *find_in_library(Elaborator *e, const char *name) {
    Global *global = find_in(e->library, name);
    if (global && global->pending) declare_pending(e, global);
    return global;
}

Global *find_global(Elaborator *e, const char *name) {
    bool inside = e->frame && e->frame->library;
    Global *global = inside ? NULL : find_in(e->user, name);
    if (global) return global;
    global = find_in_library(e, name);
    return global && !inside && is_only_dim(global) ? NULL : global;
}

Global *declare_global(Elaborator *e, bool library, Name name) {
    Global **table = library ? e->library : e->user;
    Global *global = find_in(table, name.text);
    if (global) return global;
    unsigned bucket = bucket_of(name.text);
    global = arena_new(e->arena, Global);
    *global = (Global){.name = name.text, .library = library, .dim = -1, .span = name.span, .next = table[bucket]};
    table[bucket] = global;
    return global;
}

bool is_declared(const Global *global) {
    return global->dim >= 0 || global->constant || global->use || global->net || global->optimizer || global->block ||
           global->functions || global->pending;
}

static void report_twice(Elaborator *e, Name name, Span first) {
    if (name.span.source == first.source)
        report(e, D_declared_twice, name.span, "'%s' is declared twice in this file", name.text);
    else report(e, D_declared_in_two_files, name.span, "'%s' is declared in two of the program's files", name.text);
    diagnose_note(e->diagnostics, first, "it is declared here first");
}

static void declare_dims(Elaborator *e, const Item *item, bool library) {
    for (int i = 0; i < item->names.count; i++) {
        Global *global = declare_global(e, library, item->names.items[i]);
        if (global->dim >= 0 && global->span.source != item->span.source) continue;   // files share their dims
        if (is_declared(global) && !library) {
            report_twice(e, item->names.items[i], global->span);
            continue;
        }
        global->dim = library ? 0 : e->program->dims.count;
        if (!library) array_push(e->arena, &e->program->dims, global->name);
    }
}

// The dtype class of a function's first tensor argument, by which functions of one name differ (L7).
static bool same_signature(const Item *a, const Item *b) {
    if (a->parameter_count != b->parameter_count) return false;
    for (int i = 0; i < a->parameter_count; i++)
        if (strcmp(a->parameters[i].type.name.text, b->parameters[i].type.name.text) != 0) return false;
    return true;
}

static void declare_function(Elaborator *e, const Item *item, Global *global) {
    if (!global->functions) {
        global->functions = arena_new(e->arena, Callable);
        *global->functions = (Callable){.name = global->name, .library = global->library};
    }
    Callable *functions = global->functions;
    for (int i = 0; i < functions->items.count; i++) {
        const Item *other = functions->items.items[i];
        if (other->kind == item->kind && item->kind == ITEM_FN && !same_signature(item, other)) continue;
        report_twice(e, item->name, other->name.span);
        return;
    }
    array_push(e->arena, &functions->items, item);
}

static void check_attributes(Elaborator *e, const Item *item) {
    for (int i = 0; i < item->parameter_count; i++) {
        if (item->parameters[i].attribute != ATTRIBUTE_FROZEN) continue;
        report(e, D_wrong_attribute, item->parameters[i].span, "only parameters and instances are frozen, not inputs");
        help(e, "gradients end at stop_gradient(%s)", item->parameters[i].name.text);
    }
}

static void declare_item(Elaborator *e, const Item *item, bool library) {
    if (item->kind == ITEM_DIM) {
        declare_dims(e, item, library);
        return;
    }
    if (item->kind == ITEM_IMPORT || item->kind == ITEM_TRAIN) return;   // loaded before; named after its loss
    check_attributes(e, item);
    Name name = item->kind == ITEM_USE ? item->use.name : item->name;
    Global *global = declare_global(e, library, name);
    bool is_function = item->kind == ITEM_FN || item->kind == ITEM_LOSS || item->kind == ITEM_METRIC;
    bool may_share =
        (is_function && (global->functions || global->net)) || (item->kind == ITEM_NET && global->functions);
    if (is_declared(global) && !(may_share && !(item->kind == ITEM_NET && global->net))) {
        report_twice(e, name, global->span);
        return;
    }
    if (item->kind == ITEM_CONST) global->constant = item;
    if (item->kind == ITEM_USE) global->use = item;
    if (item->kind == ITEM_NET) global->net = item;
    if (item->kind == ITEM_OPTIMIZER) global->optimizer = item;
    if (item->kind == ITEM_DATA) global->block = item;
    if (is_function) declare_function(e, item, global);
}

void declare_file(Elaborator *e, const File *file, bool library) {
    for (int i = 0; i < file->count; i++) declare_item(e, file->items[i], library);
}

// ---- what a name means

static Value constant_value(Elaborator *e, Global *global, Name name) {
    if (global->constant_state == CONSTANT_BUSY)
        return failure(e, D_recursion, name.span, "the constant '%s' is defined by itself", name.text);
    if (global->constant_state == CONSTANT_NEW) {
        Diagnostics *diagnostics = e->diagnostics;
        EntryContext *context = e->context;
        e->diagnostics = e->messages;
        e->context = NULL;
        global->constant_state = CONSTANT_BUSY;
        frame_push(e, NULL, global->library, name.span);
        Value value = evaluate(e, global->constant->value);
        frame_pop(e);
        bool constant = value.kind != VALUE_TENSOR || value.weak;
        if (!constant && value.node->op != OP_constant && value.kind != VALUE_ERROR)
            value =
                failure(e, D_const_not_static, global->constant->value->span, "a const must be known when compiled");
        global->constant_value = value;
        global->constant_state = CONSTANT_DONE;
        e->diagnostics = diagnostics;
        e->context = context;
    }
    return global->constant_value;
}

static Value global_value(Elaborator *e, Global *global, Name name) {
    global->is_used = true;
    if (global->use) return use_value(e, global);
    if (global->net && global->net->static_count == 0) {
        Instance *instance = shared_instance(e, global, name.span);
        if (!instance) return (Value){.kind = VALUE_ERROR};
        return (Value){.kind = VALUE_INSTANCE, .instance = instance};
    }
    if (global->functions) return (Value){.kind = VALUE_FUNCTION, .callable = global->functions};
    if (global->net) {
        Template *template = arena_new(e->arena, Template);
        *template = (Template){.net = global->net, .library = global->library};
        return (Value){.kind = VALUE_NET, .net = template};
    }
    if (global->constant) return constant_value(e, global, name);
    if (global->dim >= 0 && !global->library)
        return value_extent(extent_dim(e->graph->extents, global->dim, global->name));
    if (global->dim >= 0)
        return failure(e, D_unknown_size, name.span, "no argument says how large the dim '%s' is", name.text);
    return failure(e, D_not_a_value, name.span, "'%s' names %s, which is no value", name.text,
                   global->optimizer ? "an optimizer" : "a data block");
}

static bool predefined(Elaborator *e, const char *name, Value *value) {
    // First values and constants are there before any step.
    bool progresses = (e->updates || e->context) && !e->initialising;
    if (strcmp(name, "iterations") == 0 && progresses) {
        *value = value_tensor(e->iterations);
        value->weak = true;
    } else if (strcmp(name, "none") == 0) *value = (Value){.kind = VALUE_NONE};
    else if (strcmp(name, "pi") == 0) *value = value_real(3.14159265358979323846);
    else if (strcmp(name, "inf") == 0) *value = value_real(1.0 / 0.0);
    else if (strcmp(name, "nan") == 0) *value = value_real(0.0 / 0.0);
    else if (strcmp(name, "iteration") == 0 && progresses) {
        *value = value_tensor(e->iteration);
        value->weak = true;
    } else if (strcmp(name, "training") == 0) {
        *value = value_bool(e->context && e->context->training);
        if (e->context) e->context->mode_matters = true;
    } else return false;
    return true;
}

bool is_name_known(Elaborator *e, const char *name) {
    const Global *global = find_global(e, name);
    Value value;
    return find_binding(e, name) || (global && is_declared(global)) || predefined(e, name, &value) ||
           find_builtin(name);
}

Value look_up(Elaborator *e, Name name) {
    Binding *binding = find_binding(e, name.text);
    if (binding) return binding->value;
    Global *global = find_global(e, name.text);
    if (global && is_declared(global)) return global_value(e, global, name);
    Value value;
    if (predefined(e, name.text, &value)) return value;
    const Builtin *builtin = find_builtin(name.text);
    if (!builtin) return unknown_name(e, name);
    Callable *callable = arena_new(e->arena, Callable);
    *callable = (Callable){.name = builtin->name, .library = true, .builtin = builtin};
    return (Value){.kind = VALUE_FUNCTION, .callable = callable};
}
