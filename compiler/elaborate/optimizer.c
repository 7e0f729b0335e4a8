// One optimizer of a train block: its body as updates of parameters (program.h: Optimizer).
//
// An optimizer says what becomes of one parameter. If it works on each element alone, all of its parameters can be
// updated as one long vector, of any length; else its body is elaborated for each parameter, with that one's shape.
// Numbers given to it are hyperparameters: they lie in the frame, so that a host can change them. An expression of
// `iteration`, a schedule, becomes part of the update itself.
#include "elaborate/calls.h"
#include "elaborate/settings.h"
#include "graph/rewrite.h"

#include <string.h>

enum { VECTORS = 2 };   // the first two parameters of an optimizer: the parameter and its gradient

// What the train block gives, by parameter of the optimizer.
typedef ARRAY(CallArgument) Given;

typedef struct {
    const Train *train;
    const Item *item;
    Span call;
    bool library;
    Given given;
} Call;

// The body for one shape.
typedef struct {
    const Call *call;
    Optimizer *optimizer;
    Shape shape;
    ARRAY(Node *) states;   // variables
} Update;

static Node *make_tensor(Elaborator *e, const Update *update, VariableKind kind, int index, const char *name) {
    Variable variable = {.kind = kind, .index = index, .name = name};
    return variable_make(e->graph, &variable, e->program->floating, update->shape.extents, update->shape.rank);
}

// ---- arguments

static bool check_signature(Elaborator *e, const Item *item, Span call) {
    bool fits = item->parameter_count >= VECTORS;
    for (int i = 0; i < VECTORS && fits; i++) fits = item->parameters[i].type.has_dimensions;
    if (fits) return true;
    report(e, D_optimizer_signature, call, "the optimizer '%s' does not take a parameter and its gradient",
           item->name.text);
    help(e, "declare it as: optimizer %s(p: float[*], g: float[*], lr: float = 1e-3) -> float[*]", item->name.text);
    return false;
}

// Which parameter of the optimizer an argument of the train block is. -1: reported.
static int place(Elaborator *e, const Item *item, const Argument *argument, int position, bool *given) {
    int at = argument->name.text ? parameter_index(item, argument->name.text) : position + VECTORS;
    const char *message = NULL;
    DiagnosticId id = at < 0                        ? D_unknown_argument
                      : at >= item->parameter_count ? D_too_many_arguments
                      : at < VECTORS                ? D_reserved_argument
                                                    : D_given_twice;
    if (at < 0) message = arena_print(e->arena, "'%s' has no argument '%s'", item->name.text, argument->name.text);
    else if (at >= item->parameter_count)
        message = arena_print(e->arena, "'%s' takes no more than %d arguments here", item->name.text,
                              item->parameter_count - VECTORS);
    else if (at < VECTORS)
        message = arena_print(e->arena, "training gives '%s' the parameter and its gradient", item->name.text);
    else if (given[at])
        message = arena_print(e->arena, "the argument '%s' of '%s' is given twice", item->parameters[at].name.text,
                              item->name.text);
    if (!message) {
        given[at] = true;
        return at;
    }
    report(e, id, argument->span, "%s", message);
    if (at < 0) suggest_argument(e, item, argument->name.text);
    help(e, "it is %s", signature_text(e, item));
    return -1;
}

static void give(Elaborator *e, Call *call, int index, Value value, Span span) {
    CallArgument argument = {call->item->parameters[index].name.text, value, span, span};
    array_push(e->arena, &call->given, argument);
}

static void note_schedule(Elaborator *e, Train *train, const char *name, Value value, Span span) {
    if (value.kind != VALUE_TENSOR || value.node->rank || !dtype_is_float(value.node->dtype)) return;
    Schedule schedule = {name, value.node, span};
    array_push(e->arena, &train->block->schedules, schedule);
}

// What the train block gives, evaluated in the user's frame. False: reported.
static bool given_arguments(Elaborator *e, Train *train, Call *call, const Setting *setting, const Arguments *arguments,
                            bool *given) {
    bool fine = true;
    for (int i = 0; i < arguments->count; i++) {
        const Argument *argument = &arguments->items[i];
        int at = place(e, call->item, argument, i, given);
        Value value = evaluate(e, argument->value);
        fine = fine && at >= 0 && value.kind != VALUE_ERROR;
        if (!fine) continue;
        note_schedule(e, train, call->item->parameters[at].name.text, value, argument->span);
        give(e, call, at, as_hyperparameter(e, train, &call->item->parameters[at], setting, value), argument->span);
    }
    return fine;
}

// The defaults of the others, evaluated in the optimizer's own frame.
static bool default_arguments(Elaborator *e, Train *train, Call *call, const Setting *setting, const bool *given) {
    bool fine = true;
    frame_push(e, call->item, call->library, call->call);
    for (int i = VECTORS; i < call->item->parameter_count && fine; i++) {
        const Declaration *parameter = &call->item->parameters[i];
        if (given[i] || !parameter->initial) continue;
        Value value = evaluate(e, parameter->initial);
        fine = value.kind != VALUE_ERROR;
        if (fine) give(e, call, i, as_hyperparameter(e, train, parameter, setting, value), parameter->initial->span);
    }
    frame_pop(e);
    return fine;
}

// ---- states

static bool is_number_node(Elaborator *e, Node *node) {
    NodeArray nodes = reachable(e->graph, &node, 1);
    for (int i = 0; i < nodes.count; i++) {
        Op op = nodes.items[i]->op;
        if (op == OP_variable || op == OP_extent || op == OP_random_uniform || op == OP_random_normal) return false;
    }
    return node->rank == 0;
}

static bool add_state(Elaborator *e, Update *update, const Statement *statement) {
    Optimizer *optimizer = update->optimizer;
    const char *name = statement->names.items[0].text;
    TypeName type = type_name(e, statement->type.name, statement->type.has_dimensions);
    Dtype floating = e->program->floating;
    Shape shape, scalar = {0};
    if (type.class == TYPE_UNKNOWN || !type_shape(e, &statement->type, &shape)) return false;
    bool fits = type.class == TYPE_FLOAT || (type.class == TYPE_DTYPE && type.dtype == floating);
    if (!fits || !shapes_equal(&shape, &update->shape)) {
        report(e, D_wrong_state, statement->span, "the state '%s' has another type than the parameter", name);
        help(e, "declare it as: state %s: float[*]", name);
        return false;
    }
    Node *initial = initial_value(e, &statement->initialiser, floating, &scalar, name);
    if (!initial) return false;
    if (!is_number_node(e, initial)) {
        report(e, D_wrong_state, statement->span, "the state '%s' does not begin with one number for all elements",
               name);
        help(e, "zeros, ones and full(number) are such");
        return false;
    }
    Node *variable = make_tensor(e, update, VARIABLE_STATE, update->states.count, name);
    array_push(e->arena, &update->states, variable);
    optimizer->state_initial[optimizer->state_count] = initial;
    optimizer->state_names[optimizer->state_count++] = name;
    bind_name(e, root_scope(e), name, value_tensor(variable));
    return true;
}

// Makes the states; the body that is left holds the other statements.
static bool take_states(Elaborator *e, Update *update, Item *rest) {
    const Block *body = &update->call->item->body;
    rest->body.items = arena_array(e->arena, Statement *, body->count);
    rest->body.count = 0;
    update->optimizer->state_initial = arena_array(e->arena, Node *, body->count);
    update->optimizer->state_names = arena_array(e->arena, const char *, body->count);
    for (int i = 0; i < body->count; i++) {
        Statement *statement = body->items[i];
        if (statement->kind != STATEMENT_STATE) rest->body.items[rest->body.count++] = statement;
        else if (!add_state(e, update, statement)) return false;
    }
    return true;
}

// ---- the update

// A value as a new parameter or state. NULL: reported.
static Node *new_tensor(Elaborator *e, const Update *update, Value value, const char *what, Span span) {
    if (value.kind == VALUE_TENSOR && value.weak) value = value_tensor(cast_weak(e, value.node, e->program->floating));
    Node *node = as_dtype(e, value, e->program->floating, span);
    if (!node) return NULL;
    if (!node->rank) return broadcast_to(e, node, &update->shape);
    Shape shape = shape_of(node);
    if (shapes_equal(&shape, &update->shape)) return node;
    report(e, D_wrong_update, span, "%s is %s, but the parameter has shape %s", what, describe(e, value_tensor(node)),
           describe_shape(e, &update->shape));
    return NULL;
}

static bool check_nodes(Elaborator *e, const Update *update, Node *const *results, int count) {
    NodeArray nodes = reachable(e->graph, results, count);
    update->optimizer->elementwise = true;
    for (int i = 0; i < nodes.count; i++) {
        Op op = nodes.items[i]->op;
        if (nodes.items[i]->rank > 1 || !is_elementwise(nodes.items[i])) update->optimizer->elementwise = false;
        if (op != OP_random_uniform && op != OP_random_normal) continue;
        report(e, D_random_update, update->call->call, "the optimizer '%s' draws random numbers",
               update->call->item->name.text);
        help(e, "draw them in the loss");
        return false;
    }
    return true;
}

// States that never change, such as those of a variant that is not asked for, are their first values, and take no
// memory.
static void drop_constant_states(Elaborator *e, Update *update, Node **results) {
    Optimizer *optimizer = update->optimizer;
    NodeMap map = {.arena = e->arena};
    int kept = 0;
    for (int i = 0; i < update->states.count; i++) {
        Node *variable = update->states.items[i];
        if (results[1 + i] == variable) {
            node_map_set(&map, variable, broadcast_to(e, optimizer->state_initial[i], &update->shape));
            continue;
        }
        results[1 + kept] = results[1 + i];
        update->states.items[kept] = variable;
        optimizer->state_initial[kept] = optimizer->state_initial[i];
        optimizer->state_names[kept++] = optimizer->state_names[i];
    }
    update->states.count = optimizer->state_count = kept;
    substitute(e->graph, &map, results, 1 + kept, results);
}

static void finish(Elaborator *e, Update *update, Node *const *tensors, Node *const *results) {
    Optimizer *optimizer = update->optimizer;
    Function *function = &optimizer->update;
    function->name = optimizer->name;
    function->arguments = arena_array(e->arena, Node *, VECTORS + update->states.count);
    for (int i = 0; i < VECTORS; i++) function->arguments[function->argument_count++] = tensors[i];
    for (int i = 0; i < update->states.count; i++)
        function->arguments[function->argument_count++] = update->states.items[i];
    function->result_count = 1 + update->states.count;
    function->results = arena_array(e->arena, Named, function->result_count);
    for (int i = 0; i < function->result_count; i++)
        function->results[i] = (Named){i ? optimizer->state_names[i - 1] : tensors[0]->variable->name, results[i]};
    add_number_arguments(e, function);
}

// The gradient that the optimizer gets: what the block's map makes of it.
static Node *mapped_gradient(Elaborator *e, const Update *update, Node *gradient) {
    const Train *train = update->call->train;
    NodeMap map = {.arena = e->arena};
    Node *mapped = train->mapped;
    if (!mapped) return gradient;
    node_map_set(&map, train->flat, gradient);
    bool fits = resize(e->graph, &map, &mapped, 1, update->shape.extents, update->shape.rank, &mapped);
    return fits ? mapped : gradient;   // it was made to fit
}

// The results of the body, run in its frame: the new parameter, then the new states. NULL: reported.
static Node **run_optimizer(Elaborator *e, Update *update, const CallArguments *arguments) {
    const Item *item = update->call->item;
    Span call = update->call->call;
    Item rest = *item;
    if (!bind_arguments(e, item, arguments, call) || !take_states(e, update, &rest)) return NULL;
    Value value = run_body(e, &rest);
    Node **results = arena_array(e->arena, Node *, 1 + update->states.count);
    const char *what = arena_print(e->arena, "the result of '%s'", item->name.text);
    results[0] = value.kind == VALUE_ERROR ? NULL : new_tensor(e, update, value, what, call);
    for (int i = 0; i < update->states.count && results[i]; i++) {
        const char *name = update->optimizer->state_names[i];
        what = arena_print(e->arena, "the state '%s' of '%s'", name, item->name.text);
        results[1 + i] = new_tensor(e, update, find_binding(e, name)->value, what, call);
    }
    return results[update->states.count] ? results : NULL;
}

// The update for parameters of that shape. NULL: reported.
static Optimizer *make_update(Elaborator *e, const Call *call, const Shape *shape) {
    Update update = {.call = call, .optimizer = arena_new(e->arena, Optimizer), .shape = *shape};
    *update.optimizer = (Optimizer){.name = call->item->name.text, .span = call->call};
    Node *tensors[VECTORS];
    CallArguments arguments = {arena_array(e->arena, CallArgument, call->given.count + VECTORS), 0};
    for (int i = 0; i < VECTORS; i++) {
        const char *name = call->item->parameters[i].name.text;
        tensors[i] = make_tensor(e, &update, VARIABLE_ARGUMENT, i, name);
        Node *value = i ? mapped_gradient(e, &update, tensors[i]) : tensors[i];
        arguments.items[arguments.count++] = (CallArgument){name, value_tensor(value), call->call, call->call};
    }
    for (int i = 0; i < call->given.count; i++) arguments.items[arguments.count++] = call->given.items[i];
    frame_push(e, call->item, call->library, call->call);
    Node **results = run_optimizer(e, &update, &arguments);
    frame_pop(e);
    if (!results) return NULL;
    drop_constant_states(e, &update, results);
    if (!check_nodes(e, &update, results, 1 + update.states.count)) return NULL;
    finish(e, &update, tensors, results);
    return update.optimizer;
}

// ---- all parameters of one setting

static Global *find_optimizer(Elaborator *e, Name name) {
    Global *global = find_global(e, name.text);
    if (global && global->optimizer) {
        global->is_used = true;
        return global;
    }
    report(e, D_unknown_optimizer, name.span, "there is no optimizer '%s'", name.text);
    const char *similar = similar_optimizer(e, name.text);
    if (similar) help(e, "did you mean '%s'?", similar);
    return NULL;
}

// The update of a vector of any length; NULL: it does not work on each element alone. What it has to say then is said
// again for the parameters' own shapes; `failed`: it has.
static Optimizer *make_vector_update(Elaborator *e, const Call *call, bool *failed) {
    Diagnostics *diagnostics = e->diagnostics;
    Shape vector = {.extents = {fresh_dim(e, "P")}, .rank = 1};
    e->diagnostics = diagnostics_create(e->arena, 1);
    Optimizer *optimizer = make_update(e, call, &vector);
    e->diagnostics = diagnostics;
    *failed = !optimizer;
    return optimizer && optimizer->elementwise ? optimizer : NULL;
}

static bool takes_any_shape(const Item *item) {
    const Type *type = &item->parameters[0].type;
    return type->dimension_count == 1 && type->dimensions[0].is_pack;
}

// `by_shape`: it depends on the parameter whether it can be updated.
static bool make_each(Elaborator *e, Train *train, const Call *call, int setting, bool by_shape) {
    TrainBlock *block = train->block;
    for (int i = 0; i < block->trained_count; i++) {
        const Parameter *parameter = block->trained[i];
        if (block->optimizer_of[i] != -1 - setting) continue;
        Shape shape = shape_of(parameter->variable);
        Optimizer *optimizer = make_update(e, call, &shape);
        if (!optimizer && by_shape) {
            diagnose_note(e->diagnostics, parameter->span, "so it cannot update '%s', %s", parameter->path,
                          describe(e, value_tensor(parameter->variable)));
            help(e, "give that parameter another one: optimizer adam for \"%s\"", parameter->path);
        }
        if (!optimizer) return false;
        optimizer->elementwise = false;
        block->optimizer_of[i] = block->optimizers.count;
        array_push(e->arena, &block->optimizers, optimizer);
    }
    return true;
}

static bool make_all(Elaborator *e, Train *train, const Call *call, int setting) {
    TrainBlock *block = train->block;
    bool failed;
    Optimizer *optimizer = make_vector_update(e, call, &failed);
    if (!optimizer) return make_each(e, train, call, setting, !failed || !takes_any_shape(call->item));
    for (int i = 0; i < block->trained_count; i++)
        if (block->optimizer_of[i] == -1 - setting) block->optimizer_of[i] = block->optimizers.count;
    array_push(e->arena, &block->optimizers, optimizer);
    return true;
}

bool is_optimizer_call(Elaborator *e, const Setting *setting) {
    const Expression *expression = setting->values.items[0];
    const Expression *callee = expression->kind == EXPRESSION_CALL ? expression->left : expression;
    if (setting->values.count == 1 && callee->kind == EXPRESSION_NAME) return true;
    report(e, D_wrong_optimizer, expression->span, "'optimizer' takes the call of one optimizer");
    help(e, "write it as: optimizer adam(lr = 1e-3)");
    return false;
}

bool make_optimizer(Elaborator *e, Train *train, int index) {
    const Setting *setting = train->optimizers.items[index];
    const Expression *expression = setting->values.items[0];
    bool is_call = expression->kind == EXPRESSION_CALL;
    const Expression *callee = is_call ? expression->left : expression;
    Global *global = find_optimizer(e, callee->name);
    if (!global || !check_signature(e, global->optimizer, expression->span)) return false;
    Call call = {.train = train, .item = global->optimizer, .call = expression->span, .library = global->library};
    e->graph->span = expression->span;
    bool *given = arena_array(e->arena, bool, call.item->parameter_count);
    return (!is_call || given_arguments(e, train, &call, setting, &expression->arguments, given)) &&
           default_arguments(e, train, &call, setting, given) && make_all(e, train, &call, index);
}
