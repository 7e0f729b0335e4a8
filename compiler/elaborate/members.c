// What instances are asked for: members, states, all parameters as one vector, random numbers, and at the end the order
// of all parameters of the program.
#include "elaborate/calls.h"

#include <stdlib.h>
#include <string.h>

// ---- members

Node *flat_part(Elaborator *e, Node *flat, const Extent *offset, const Node *like) {
    const Extent *length = element_count(e->graph, like);
    Node *part = slice(e->graph, flat, &offset, (int64_t[]){1}, &length);
    return reshape(e->graph, part, (const Extent *const *)like->shape, like->rank);
}

// Where the instance's parameters stand in what replaces those of `root`; -1: it is not part of it.
static bool is_inside(const Instance *instance, const Instance *root) {
    while (instance && instance != root) instance = instance->parent;
    return instance != NULL;
}

// The part of an override's vector that stands for the parameter.
static Node *override_part(Elaborator *e, const Override *override, const Parameter *wanted) {
    int count = collect_parameters(override->root, NULL);
    Parameter **parameters = arena_array(e->arena, Parameter *, count);
    collect_parameters(override->root, parameters);
    int64_t offset = 0;
    for (int i = 0; i < count && parameters[i] != wanted; i++) offset += parameters[i]->count;
    Node *part = flat_part(e, override->flat, constant_extent(e, offset), wanted->variable);
    name_node(part, wanted->path);
    return part;
}

static Node *parameter_value(Elaborator *e, const Instance *instance, const Parameter *parameter) {
    for (const Override *override = e->overrides; override; override = override->next)
        if (is_inside(instance, override->root)) return override_part(e, override, parameter);
    return parameter->variable;
}

Node *state_value(const Elaborator *e, const State *state) {
    for (int i = 0; e->context && i < e->context->states.count; i++)
        if (e->context->states.items[i].state == state) return e->context->states.items[i].value;
    return state->variable;
}

Value member_value(Elaborator *e, Instance *instance, const Member *member) {
    switch (member->kind) {
    case MEMBER_PARAMETER: return value_tensor(parameter_value(e, instance, member->parameter));
    case MEMBER_STATE: return value_tensor(state_value(e, member->state));
    case MEMBER_INSTANCE: return (Value){.kind = VALUE_INSTANCE, .instance = member->instance};
    case MEMBER_INSTANCES: {
        Value value = {.kind = VALUE_INSTANCES};
        value.instances.items = member->instances;
        value.instances.count = member->instance_count;
        return value;
    }
    case MEMBER_ERROR: break;
    }
    return (Value){.kind = VALUE_ERROR};
}

Value instance_member(Elaborator *e, Instance *instance, Name name) {
    Text names = {.arena = e->arena};
    for (int i = 0; i < instance->members.count; i++) {
        const Member *member = &instance->members.items[i];
        if (strcmp(member->name, name.text) == 0) return member_value(e, instance, member);
        text_add(&names, "%s%s", names.length ? ", " : "", member->name);
    }
    failure(e, D_unknown_member, name.span, "the instance '%s' of '%s' has no member '%s'", instance->path,
            instance->net->name.text, name.text);
    if (names.length) help(e, "it has %s", names.bytes);
    return (Value){.kind = VALUE_ERROR};
}

void bind_members(Elaborator *e, Instance *instance) {
    Scope *scope = root_scope(e);
    for (const Binding *binding = instance->statics; binding; binding = binding->next)
        bind_name(e, scope, binding->name, binding->value);
    for (int i = 0; i < instance->members.count; i++) {
        const Member *member = &instance->members.items[i];
        bind_name(e, scope, member->name, member_value(e, instance, member));
    }
}

// ---- states

void set_state(Elaborator *e, State *state, Node *value) {
    EntryContext *context = e->context;
    StateValue stored = {state, value};
    for (int i = 0; i < context->states.count; i++) {
        if (context->states.items[i].state != state) continue;
        context->states.items[i] = stored;
        return;
    }
    array_push(e->arena, &context->states, stored);
}

// Where the body last gives the state a value.
static Span stored_span(const Item *item, const char *name) {
    Span span = item->name.span;
    for (int i = 0; i < item->body.count; i++) {
        const Statement *statement = item->body.items[i];
        for (int k = 0; statement->kind == STATEMENT_ASSIGN && k < statement->names.count; k++)
            if (strcmp(statement->names.items[k].text, name) == 0) span = statement->span;
    }
    return span;
}

static void store_state(Elaborator *e, const State *state, const char *name) {
    Binding *binding = find_binding(e, name);
    Node *old = state_value(e, state);
    if (!binding || (binding->value.kind == VALUE_TENSOR && binding->value.node == old)) return;
    Span span = stored_span(e->frame->item, name);
    Node *node = as_dtype(e, binding->value, old->dtype, span);
    if (!node) return;
    Shape shape = shape_of(old), own = shape_of(node);
    if (!shapes_equal(&shape, &own)) {
        report(e, D_state_shape, span, "the state '%s' is %s, but %s is to be stored", state->path,
               describe(e, value_tensor(old)), describe(e, value_tensor(node)));
        help(e, "a state keeps the shape that it is declared with");
        return;
    }
    EntryContext *context = e->context;
    context->mode_matters = true;
    if (!context->training) return;
    set_state(e, (State *)state, stop_gradient(e->graph, node));
}

void store_states(Elaborator *e, Instance *instance) {
    if (!e->context) return;
    while (e->frame->scope->parent) scope_pop(e);
    for (int i = 0; i < instance->members.count; i++)
        if (instance->members.items[i].kind == MEMBER_STATE)
            store_state(e, instance->members.items[i].state, instance->members.items[i].name);
}

// ---- all parameters

int collect_parameters(Instance *instance, Parameter **parameters) {
    int count = 0;
    for (int i = 0; i < instance->members.count; i++) {
        const Member *member = &instance->members.items[i];
        if (member->kind == MEMBER_PARAMETER) {
            if (parameters) parameters[count] = member->parameter;
            count++;
        }
        Instance *const *inner = member->kind == MEMBER_INSTANCES ? member->instances : &member->instance;
        int inner_count = member->kind == MEMBER_INSTANCES ? member->instance_count : member->kind == MEMBER_INSTANCE;
        for (int k = 0; k < inner_count; k++)
            count += collect_parameters(inner[k], parameters ? parameters + count : NULL);
    }
    return count;
}

Node *flat_parameters(Elaborator *e, Instance *instance) {
    for (const Override *override = e->overrides; override; override = override->next)
        if (override->root == instance) return override->flat;
    int count = collect_parameters(instance, NULL);
    if (!count) {
        report(e, D_no_parameters, instance->span, "'%s' has no parameters", instance->path);
        return NULL;
    }
    Parameter **parameters = arena_array(e->arena, Parameter *, count);
    Node **parts = arena_array(e->arena, Node *, count);
    collect_parameters(instance, parameters);
    for (int i = 0; i < count; i++) {
        const Extent *length = constant_extent(e, parameters[i]->count);
        parts[i] = reshape(e->graph, parameter_value(e, instance, parameters[i]), &length, 1);
    }
    return concatenate(e, parts, count, 0);
}

// Instances in the order of the file, the library's last.
static int compare_roots(const void *a, const void *b) {
    const Instance *left = *(Instance *const *)a, *right = *(Instance *const *)b;
    if (left->foreign != right->foreign) return left->foreign ? 1 : -1;
    if (left->order != right->order) return left->order - right->order;
    int a_length = (int)strlen(left->path), b_length = (int)strlen(right->path);   // block.2 before block.10
    return a_length != b_length ? a_length - b_length : strcmp(left->path, right->path);
}

static void number_states(Elaborator *e, Instance *instance) {
    Program *program = e->program;
    for (int i = 0; i < instance->members.count; i++) {
        const Member *member = &instance->members.items[i];
        if (member->kind == MEMBER_INSTANCE) number_states(e, member->instance);
        for (int k = 0; member->kind == MEMBER_INSTANCES && k < member->instance_count; k++)
            number_states(e, member->instances[k]);
        if (member->kind != MEMBER_STATE) continue;
        State *state = member->state;
        for (int k = 0; k < program->states.count; k++)
            if (program->states.items[k]->variable->dtype == state->variable->dtype)
                state->offset += program->states.items[k]->count;
        state->variable->variable->index = program->states.count;
        array_push(e->arena, &program->states, state);
    }
}

void number_parameters(Elaborator *e) {
    Program *program = e->program;
    if (e->roots.count) qsort(e->roots.items, (size_t)e->roots.count, sizeof *e->roots.items, compare_roots);
    for (int i = 0; i < e->roots.count; i++) {
        Instance *root = e->roots.items[i];
        int count = collect_parameters(root, NULL);
        Parameter **parameters = arena_array(e->arena, Parameter *, count);
        collect_parameters(root, parameters);
        for (int k = 0; k < count; k++) {
            parameters[k]->offset = program->parameter_count;
            parameters[k]->variable->variable->index = program->parameters.count;
            program->parameter_count += parameters[k]->count;
            array_push(e->arena, &program->parameters, parameters[k]);
        }
        number_states(e, root);
    }
}

// ---- random numbers

// The number of a place that draws: of the instance's path, or the parameter's, and how many drew there before.
static int64_t random_site(Elaborator *e) {
    Instance *instance = e->frame->instance;
    for (const Frame *frame = e->frame; frame && !instance; frame = frame->caller) instance = frame->instance;
    const char *path = e->initialising ? e->initialising : instance ? instance->path : "";
    int *draws = e->initialising ? &e->initial_draws : instance ? &instance->draws : &e->file_draws;
    if (instance && draws == &instance->draws && instance->drawn_for != e->context) instance->draws = 0;
    if (instance) instance->drawn_for = e->context;
    int ordinal = (*draws)++;
    uint64_t hash = 14695981039346656037u;
    for (; *path; path++) hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    hash = (hash ^ (uint64_t)ordinal) * 1099511628211u;
    return (int64_t)((hash ^ (hash >> 32)) & INT32_MAX);
}

static Node *draw_outside(Elaborator *e, Loop *body, Op op, Dtype dtype, const Shape *shape, int64_t site, Span span) {
    if (!body || e->initialising) return random_make(e->graph, op, dtype, shape->extents, shape->rank, site);
    Shape all = {.rank = shape->rank + 1, .extents = {body->trips}};
    if (shape->rank == MAX_RANK) {
        report(e, D_too_many_axes, span,
               "random numbers in a loop have an axis for its iterations, and tensors have at most %d axes", MAX_RANK);
        return NULL;
    }
    for (int i = 0; i < shape->rank; i++) all.extents[i + 1] = shape->extents[i];
    Node *source = draw_outside(e, body->outer_body, op, dtype, &all, site, span);
    if (!source) return NULL;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "draw"};
    Node *element = variable_make(e->graph, &variable, dtype, shape->extents, shape->rank);
    LoopInput input = {source, element};
    array_push(e->arena, &body->sequences, input);
    return element;
}

Node *draw_random(Elaborator *e, Op op, Dtype dtype, const Shape *shape, Span span) {
    return draw_outside(e, e->bodies, op, dtype, shape, random_site(e), span);
}
