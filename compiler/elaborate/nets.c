// Instances of nets: making them, with their parameters, states and inner instances, from the declarations of the body.
//
// What stands in the body besides declarations is run only when the instance is called, so the sizes of parameters are
// made of static parameters and constants.
#include "elaborate/calls.h"

#include <string.h>

static const int64_t largest_tensor = (int64_t)1 << 40;   // elements
enum { INSTANCE_WORK = 20 };

// ---- parameters and states

static const char *member_path(Elaborator *e, const Instance *instance, const char *name) {
    return arena_print(e->arena, "%s.%s", instance->path, name);
}

static void add_member(Elaborator *e, Instance *instance, Member member) {
    array_push(e->arena, &instance->members, member);
}

// The number of elements of a static shape. False: reported.
static bool count_elements(Elaborator *e, const Shape *shape, const char *what, Span span, int64_t *count) {
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        int64_t size;
        if (!extent_is_constant(shape->extents[i], &size)) {
            report(e, D_parameter_not_static, span, "the shape of %s is %s, which is not known when compiled", what,
                   describe_shape(e, shape));
            help(e, "make its sizes of static parameters and constants");
            return false;
        }
        if (size < 0) {
            report(e, D_negative_size, span, "the shape of %s is %s, and sizes are not negative", what,
                   describe_shape(e, shape));
            return false;
        }
        if (!__builtin_mul_overflow(*count, size, count) && *count <= largest_tensor) continue;
        report(e, D_too_large, span, "%s has shape %s, which is more than %lld elements", what,
               describe_shape(e, shape), (long long)largest_tensor);
        return false;
    }
    return true;
}

// f(shape, arguments), as `~ f(arguments)` says; zeros where nothing is said. NULL: reported.
Node *initial_value(Elaborator *e, const Initialiser *initialiser, Dtype dtype, const Shape *shape, const char *path) {
    Node *zero = constant_real(e->graph, dtype, 0);
    if (!initialiser->name.text) return broadcast_to(e, zero, shape);
    Value callee = look_up(e, initialiser->name);
    CallArguments rest = evaluate_arguments(e, &initialiser->arguments);
    CallArguments all = {arena_array(e->arena, CallArgument, rest.count + 1), rest.count + 1};
    Value *sizes = arena_array(e->arena, Value, shape->rank);
    for (int i = 0; i < shape->rank; i++) sizes[i] = value_extent(shape->extents[i]);
    all.items[0] = (CallArgument){.value = value_list(e, sizes, shape->rank), .span = initialiser->span};
    for (int i = 0; i < rest.count; i++) all.items[i + 1] = rest.items[i];
    e->initialising = path;
    e->initial_draws = 0;
    e->graph->span = user_span(e, initialiser->span);
    Value value = call_value(e, callee, initialiser->name.text, &all, initialiser->span);
    e->initialising = NULL;
    Node *node = value.kind == VALUE_ERROR ? NULL : as_dtype(e, value, dtype, initialiser->span);
    if (!node) return NULL;
    Shape own = shape_of(node);
    if (!shapes_equal(&own, shape)) {
        report(e, D_initialiser_shape, initialiser->span, "'%s' makes %s, but '%s' has shape %s",
               initialiser->name.text, describe(e, value_tensor(node)), path, describe_shape(e, shape));
        return NULL;
    }
    if (!reads_variables(e, node)) return node;
    report(e, D_initial_not_static, initialiser->span,
           "the first value of '%s' depends on what is not known when compiled", path);
    return NULL;
}

typedef struct {
    Dtype dtype;
    Shape shape;
    int64_t count;
} Storage;

static bool storage_type(Elaborator *e, const Statement *statement, const char *path, Storage *storage) {
    const Type *type = &statement->type;
    TypeName name = type_name(e, type->name, true);
    if (name.class == TYPE_UNKNOWN) return false;
    if (name.class == TYPE_INTEGER) {
        report(e, D_open_dtype, type->span, "'integer' stands for any dtype of integers; say i32 or i64");
        return false;
    }
    storage->dtype = name.class == TYPE_FLOAT ? e->program->floating : name.dtype;
    return type_shape(e, type, &storage->shape) &&
           count_elements(e, &storage->shape, arena_print(e->arena, "'%s'", path), type->span, &storage->count);
}

static Node *storage_variable(Elaborator *e, VariableKind kind, const char *path, const Storage *storage, bool frozen) {
    Variable variable = {.kind = kind, .name = path, .frozen = frozen};
    variable.requires_grad = kind == VARIABLE_PARAMETER;
    return variable_make(e->graph, &variable, storage->dtype, storage->shape.extents, storage->shape.rank);
}

static bool declare_parameter(Elaborator *e, Instance *instance, const Statement *statement, Member *member) {
    const char *path = member_path(e, instance, member->name);
    Storage storage;
    if (!storage_type(e, statement, path, &storage)) return false;
    if (storage.dtype != e->program->floating) {
        report(e, D_parameter_dtype, statement->type.span, "parameters are %s in this program, not %s",
               dtype_name(e->program->floating), dtype_name(storage.dtype));
        help(e, "write float; --float=f64 makes all floating values f64");
        return false;
    }
    Node *initial = initial_value(e, &statement->initialiser, storage.dtype, &storage.shape, path);
    if (!initial) return false;
    Parameter *parameter = arena_new(e->arena, Parameter);
    bool frozen = instance->frozen || statement->attribute == ATTRIBUTE_FROZEN;
    *parameter = (Parameter){.path = path,
                             .documentation = statement->documentation,
                             .variable = storage_variable(e, VARIABLE_PARAMETER, path, &storage, frozen),
                             .count = storage.count,
                             .initial = initial,
                             .frozen = frozen,
                             .span = user_span(e, statement->span)};
    member->kind = MEMBER_PARAMETER;
    member->parameter = parameter;
    return true;
}

static bool declare_state(Elaborator *e, Instance *instance, const Statement *statement, Member *member) {
    const char *path = member_path(e, instance, member->name);
    Storage storage;
    if (!storage_type(e, statement, path, &storage)) return false;
    Node *initial = initial_value(e, &statement->initialiser, storage.dtype, &storage.shape, path);
    if (!initial) return false;
    State *state = arena_new(e->arena, State);
    *state = (State){.path = path,
                     .variable = storage_variable(e, VARIABLE_STATE, path, &storage, false),
                     .count = storage.count,
                     .initial = initial,
                     .span = user_span(e, statement->span)};
    member->kind = MEMBER_STATE;
    member->state = state;
    return true;
}

// ---- instances

static bool bind_static(Elaborator *e, const Item *net, const StaticParameter *parameter, Value value, Span span,
                        Binding **statics) {
    const char *what = arena_print(e->arena, "the static parameter '%s' of '%s'", parameter->name.text, net->name.text);
    TypeName type = {.class = TYPE_INT};
    if (value.kind == VALUE_ERROR) return false;
    if (parameter->type.text) type = type_name(e, parameter->type, false);
    if (type.class == TYPE_UNKNOWN) return false;
    if (!is_static_class(type.class)) {
        report(e, D_static_parameter_type, parameter->type.span,
               "a static parameter is an int, bool, string, fn, shape or any");
        return false;
    }
    value = static_argument(e, type.class, value, span, what);
    if (value.kind == VALUE_ERROR) return false;
    if (!parameter->type.text && !as_extent(e, value)) {
        report(e, D_argument_not_static, span, "%s is an integer known when compiled, not %s", what,
               describe(e, value));
        return false;
    }
    Binding *binding = arena_new(e->arena, Binding);
    *binding = (Binding){.name = parameter->name.text, .value = value, .next = *statics};
    *statics = binding;
    return true;
}

static const char *template_text(Elaborator *e, const Item *net) {
    Text text = {.arena = e->arena};
    text_add(&text, "%s<", net->name.text);
    for (int i = 0; i < net->static_count; i++) {
        const StaticParameter *parameter = &net->statics[i];
        text_add(&text, "%s%s", i ? ", " : "", parameter->name.text);
        if (parameter->type.text) text_add(&text, ": %s", parameter->type.text);
        if (parameter->initial) text_add(&text, " = ...");
    }
    text_add(&text, ">");
    return text.bytes;
}

static bool wrong_statics(Elaborator *e, const Item *net, DiagnosticId id, Span span, const char *message) {
    report(e, id, span, "%s", message);
    if (net->static_count) help(e, "it is %s", template_text(e, net));
    else help(e, "'%s' has no static parameters", net->name.text);
    return false;
}

static int static_index(const Item *net, const StaticArgument *argument, int position) {
    if (!argument->name.text) return position < net->static_count ? position : -1;
    for (int i = 0; i < net->static_count; i++)
        if (strcmp(net->statics[i].name.text, argument->name.text) == 0) return i;
    return -1;
}

// Binds the net's static parameters from the arguments, which are the current frame's text. False: reported.
static bool bind_statics(Elaborator *e, const Template *template, const StaticArgument *arguments, int count, Span span,
                         Binding **statics) {
    const Item *net = template->net;
    const StaticArgument **given = arena_array(e->arena, const StaticArgument *, net->static_count);
    for (int i = 0; i < count; i++) {
        const StaticArgument *argument = &arguments[i];
        int at = static_index(net, argument, i);
        const char *name = net->name.text;
        if (at < 0 && argument->name.text)
            return wrong_statics(e, net, D_unknown_static, argument->span,
                                 arena_print(e->arena, "'%s' has no static parameter '%s'", name, argument->name.text));
        if (at < 0)
            return wrong_statics(e, net, D_too_many_statics, argument->span,
                                 arena_print(e->arena, "'%s' takes %d static %s, not %d", name, net->static_count,
                                             net->static_count == 1 ? "argument" : "arguments", count));
        if (given[at])
            return wrong_statics(e, net, D_given_twice, argument->span,
                                 arena_print(e->arena, "'%s' is given twice", net->statics[at].name.text));
        given[at] = argument;
        if (!bind_static(e, net, &net->statics[at], static_value(e, argument->value), argument->span, statics))
            return false;
    }
    for (int i = 0; i < net->static_count; i++) {
        const StaticParameter *parameter = &net->statics[i];
        if (given[i]) continue;
        if (!parameter->initial)
            return wrong_statics(
                e, net, D_missing_static, span,
                arena_print(e->arena, "'%s' lacks its static parameter '%s'", net->name.text, parameter->name.text));
        Frame *frame = frame_push(e, net, template->library, span);   // defaults may name earlier parameters
        for (Binding *binding = *statics; binding; binding = binding->next)
            bind_name(e, frame->scope, binding->name, binding->value);
        Value value = static_value(e, parameter->initial);
        bool bound = bind_static(e, net, parameter, value, parameter->span, statics);
        frame_pop(e);
        if (!bound) return false;
    }
    return true;
}

static void declare_member(Elaborator *e, Instance *instance, const Statement *statement);

// Runs the declarations of the net's body, with the static parameters bound. What the current call was about to do with
// random numbers, loops and other parameters is none of their business.
static void declare_members(Elaborator *e, Instance *instance, Span span) {
    EntryContext *context = e->context;
    Override *overrides = e->overrides;
    Loop *bodies = e->bodies;
    const char *initialising = e->initialising;
    Diagnostics *diagnostics = e->diagnostics;
    e->diagnostics = e->messages;
    e->context = NULL;
    e->overrides = NULL;
    e->bodies = NULL;
    Frame *frame = frame_push(e, instance->net, instance->library, span);
    frame->floating = e->program->floating;
    frame->instance = instance;
    frame->is_use = true;
    for (Binding *binding = instance->statics; binding; binding = binding->next)
        bind_name(e, frame->scope, binding->name, binding->value);
    for (int i = 0; i < instance->net->body.count; i++) declare_member(e, instance, instance->net->body.items[i]);
    frame_pop(e);
    e->diagnostics = diagnostics;
    e->context = context;
    e->overrides = overrides;
    e->bodies = bodies;
    e->initialising = initialising;
}

// `call`: what messages show as the place that it is made for.
static Instance *make_instance(Elaborator *e, const Item *net, bool library, const char *path, Instance *parent,
                               Binding *statics, bool frozen, Span span, Span call) {
    Instance *instance = arena_new(e->arena, Instance);
    *instance = (Instance){.net = net,
                           .path = path,
                           .parent = parent,
                           .library = library,
                           .frozen = frozen || (parent && parent->frozen),
                           .span = parent ? user_span(e, span) : span,
                           .statics = statics};
    if (spend(e, INSTANCE_WORK, span)) declare_members(e, instance, call);
    return instance;
}

// ---- use

// The net of that name: the file's or the library's, or one that the current net was given. False: reported.
static bool named_template(Elaborator *e, Name name, Template *template, bool *is_given) {
    const Binding *binding = find_binding(e, name.text);
    *is_given = binding != NULL;
    if (binding) {
        Value value = binding->value;
        if (value.kind == VALUE_NET) *template = *value.net;
        else if (value.kind == VALUE_INSTANCE)
            *template = (Template){value.instance->net, value.instance->library, true, value.instance->statics};
        else if (value.kind != VALUE_ERROR) {
            report(e, D_not_a_net, name.span, "'%s' is %s, of which no instance can be made", name.text,
                   describe(e, value));
            if (value.kind == VALUE_FUNCTION) help(e, "a function has no parameters: call it, as in %s(x)", name.text);
        }
        return value.kind == VALUE_NET || value.kind == VALUE_INSTANCE;
    }
    Global *global = find_global(e, name.text);
    if (global && global->net) {
        global->is_used = true;
        *template = (Template){.net = global->net, .library = global->library};
        return true;
    }
    if (global && global->functions) {
        report(e, D_not_a_net, name.span, "'%s' is a function, of which no instance can be made", name.text);
        help(e, "a function has no parameters: call it, as in %s(x)", name.text);
        return false;
    }
    report(e, D_unknown_net, name.span, "there is no net '%s' to use", name.text);
    const char *similar = similar_net(e, name.text);
    if (similar) help(e, "did you mean '%s'?", similar);
    return false;
}

bool find_template(Elaborator *e, Name name, const StaticArgument *arguments, int count, bool has_arguments, Span span,
                   Template *template) {
    bool is_given;
    if (!named_template(e, name, template, &is_given)) return false;
    if (template->is_applied) {
        if (!has_arguments) return true;
        report(e, D_static_arguments_twice, span, "'%s' has its static arguments already", name.text);
        help(e, "write it without <...>");
        return false;
    }
    template->is_applied = true;
    return bind_statics(e, template, arguments, count, span, &template->statics);
}

// The numbers that an array of instances is counted by. False: reported.
static bool array_range(Elaborator *e, const Use *use, int64_t *begin, int64_t *end) {
    enum { MOST = 10000 };
    const Size *sizes[] = {use->count ? NULL : use->begin, use->count ? use->count : use->end};
    int64_t *numbers[] = {begin, end};
    *begin = 0;
    for (int i = 0; i < 2; i++) {
        const Extent *extent = sizes[i] ? size_value(e, sizes[i]) : NULL;
        if (!sizes[i]) continue;
        if (!extent) return false;
        if (extent_is_constant(extent, numbers[i])) continue;
        report(e, D_count_not_static, sizes[i]->span, "how many instances there are is known when compiled, not %s",
               describe_number(e, extent));
        return false;
    }
    if (*begin >= -MOST && *end <= MOST && *end >= *begin) return true;
    report(e, D_wrong_array_size, use->span, "'%s' has %lld instances", use->name.text, (long long)(*end - *begin));
    help(e, "an array has from 0 to %d instances", MOST);
    return false;
}

static bool find_used(Elaborator *e, const Use *use, Template *template) {
    return find_template(e, use->template_name, use->arguments, use->argument_count, use->has_arguments, use->span,
                         template);
}

// Whether a net is made inside of itself. A net that was given to another may be the same net again, with other statics.
static bool contains_itself(Elaborator *e, const Use *use, const Instance *parent) {
    enum { DEEPEST = 100 };
    Global *global = find_binding(e, use->template_name.text) ? NULL : find_global(e, use->template_name.text);
    int depth = 0;
    for (; parent; parent = parent->parent, depth++) {
        if (!global || !global->net || parent->net != global->net) continue;
        report(e, D_recursion, use->span, "the net '%s' uses itself", global->net->name.text);
        help(e, "nets are not recursive; use name[4] = ... makes several in a row");
        return true;
    }
    if (depth > DEEPEST) report(e, D_nets_too_deep, use->span, "nets are nested too deeply");
    return depth > DEEPEST;
}

static Instance *make_used(Elaborator *e, const Use *use, const Template *template, const char *path,
                           Instance *parent) {
    return make_instance(e, template->net, template->library, path, parent, template->statics,
                         use->attribute == ATTRIBUTE_FROZEN, use->span, use->span);
}

static Value make_array(Elaborator *e, const Use *use, const char *path, Instance *parent) {
    int64_t begin, end;
    if (!array_range(e, use, &begin, &end)) return (Value){.kind = VALUE_ERROR};
    int count = (int)(end - begin);
    Value array = {.kind = VALUE_INSTANCES};
    array.instances.count = count;
    array.instances.items = arena_array(e->arena, Instance *, count);
    for (int i = 0; i < count; i++) {
        Template template;
        Scope *scope = scope_push(e);
        if (use->index.text) bind_name(e, scope, use->index.text, value_integer(e, begin + i));
        bool found = find_used(e, use, &template);
        scope_pop(e);
        if (!found) return (Value){.kind = VALUE_ERROR};
        array.instances.items[i] = make_used(e, use, &template, arena_print(e->arena, "%s.%d", path, i), parent);
    }
    return array;
}

// What `use` makes: an instance, or an array of them.
static Value make_use(Elaborator *e, const Use *use, const char *path, Instance *parent) {
    Template template;
    if (contains_itself(e, use, parent)) return (Value){.kind = VALUE_ERROR};
    if (use->attribute == ATTRIBUTE_REQUIRES_GRAD)
        return failure(e, D_wrong_attribute, use->span,
                       "an instance's parameters require grad anyhow; `frozen` is the attribute");
    if (use->is_array) return make_array(e, use, path, parent);
    if (!find_used(e, use, &template)) return (Value){.kind = VALUE_ERROR};
    return (Value){.kind = VALUE_INSTANCE, .instance = make_used(e, use, &template, path, parent)};
}

static bool declare_use(Elaborator *e, Instance *instance, const Use *use, Member *member) {
    Value value = make_use(e, use, member_path(e, instance, member->name), instance);
    if (value.kind == VALUE_ERROR) return false;
    member->kind = value.kind == VALUE_INSTANCE ? MEMBER_INSTANCE : MEMBER_INSTANCES;
    if (value.kind == VALUE_INSTANCE) member->instance = value.instance;
    else {
        member->instances = value.instances.items;
        member->instance_count = value.instances.count;
    }
    return true;
}

static bool is_taken(Elaborator *e, const Instance *instance, Name name) {
    for (int i = 0; i < instance->members.count; i++) {
        if (strcmp(instance->members.items[i].name, name.text) != 0) continue;
        report(e, D_member_declared_twice, name.span, "'%s' is declared twice in '%s'", name.text,
               instance->net->name.text);
        return true;
    }
    return false;
}

static void declare_member(Elaborator *e, Instance *instance, const Statement *statement) {
    bool is_use = statement->kind == STATEMENT_USE, declared = false;
    if (!is_use && statement->kind != STATEMENT_PARAMETER && statement->kind != STATEMENT_STATE) return;
    Name name = is_use ? statement->use.name : statement->names.items[0];
    Member member = {.kind = MEMBER_ERROR, .name = name.text};
    if (is_taken(e, instance, name)) return;
    if (is_use) declared = declare_use(e, instance, &statement->use, &member);
    else if (statement->kind == STATEMENT_PARAMETER) declared = declare_parameter(e, instance, statement, &member);
    else declared = declare_state(e, instance, statement, &member);
    if (!declared) member.kind = MEMBER_ERROR;
    add_member(e, instance, member);
    bind_name(e, root_scope(e), name.text, member_value(e, instance, &member));
}

// ---- instances of the file's level

static void add_root(Elaborator *e, Instance *instance, const Global *global) {
    instance->foreign = global->library;
    const Item *item = global->use ? global->use : instance->net;
    for (int i = 0; i < e->file->count; i++)
        if (e->file->items[i] == item) instance->order = i;
    array_push(e->arena, &e->roots, instance);
}

Instance *shared_instance(Elaborator *e, Global *global, Span span) {
    if (global->shared) return global->shared;
    const Item *item = global->net ? global->net : global->functions->items.items[0];
    if (global->shared_busy) {
        report(e, D_recursion, span, "'%s' is needed to make its own parameters", item->name.text);
        return NULL;
    }
    global->shared_busy = true;
    frame_push(e, NULL, global->library, span);
    Instance *instance =
        make_instance(e, item, global->library, item->name.text, NULL, NULL, false, item->name.span, (Span){0});
    frame_pop(e);
    global->shared = instance;
    add_root(e, instance, global);
    return instance;
}

Value use_value(Elaborator *e, Global *global) {
    if (global->has_use_value) return global->use_value;
    const Use *use = &global->use->use;
    if (global->use_busy)
        return failure(e, D_recursion, use->span, "the instance '%s' is made of itself", use->name.text);
    Diagnostics *diagnostics = e->diagnostics;
    e->diagnostics = e->messages;
    global->use_busy = true;
    frame_push(e, NULL, global->library, use->span);
    global->use_value = make_use(e, use, use->name.text, NULL);
    frame_pop(e);
    e->diagnostics = diagnostics;
    global->use_busy = false;
    global->has_use_value = true;
    Value made = global->use_value;
    if (made.kind == VALUE_INSTANCE) add_root(e, made.instance, global);
    for (int i = 0; made.kind == VALUE_INSTANCES && i < made.instances.count; i++)
        add_root(e, made.instances.items[i], global);
    return global->use_value;
}
