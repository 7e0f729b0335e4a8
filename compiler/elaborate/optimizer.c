// Optimizers of train blocks: the body of an `optimizer` as an update of a vector of any length (program.h: Optimizer).
//
// An optimizer says what becomes of one parameter. If it works on each element alone, which is checked here, all
// parameters can be updated as one long vector. Numbers given to it are hyperparameters: they lie in the frame, so that
// a host can change them. An expression of `iteration`, a schedule, becomes part of the update itself.
#include "elaborate/settings.h"
#include "graph/rewrite.h"

#include <string.h>

enum { VECTORS = 2 };   // the first two parameters of an optimizer: the parameter and its gradient

typedef struct {
    const Item *item;
    Optimizer *optimizer;
    Shape vector;                    // [P]
    ARRAY(Node *) scalars;           // `iteration`, then the hyperparameters, in the order of their slots
    ARRAY(Node *) states;            // variables
    ARRAY(CallArgument) arguments;   // of the inlined call, all by name
} Update;

static Node *make_vector(Elaborator *e, const Update *update, VariableKind kind, int index, const char *name) {
    Variable variable = {.kind = kind, .index = index, .name = name};
    return variable_make(e->graph, &variable, e->program->floating, update->vector.extents, 1);
}

static Node *make_scalar(Elaborator *e, Update *update, const char *name, const Expression *expression, double number) {
    Hyperparameter hyperparameter = {.name = name, .value = expression, .constant = number, .is_constant = true};
    array_push(e->arena, &update->optimizer->hyperparameters, hyperparameter);
    Variable variable = {.kind = VARIABLE_HYPERPARAMETER, .index = update->scalars.count, .name = name};
    Node *node = variable_make(e->graph, &variable, DTYPE_F64, NULL, 0);
    array_push(e->arena, &update->scalars, node);
    return node;
}

// ---- arguments

static bool check_signature(Elaborator *e, const Item *item, Span call) {
    bool fits = item->parameter_count >= VECTORS;
    for (int i = 0; i < VECTORS && fits; i++) fits = item->parameters[i].type.has_dimensions;
    if (fits) return true;
    report(e, D_wrong_arguments, call, "the optimizer '%s' does not take a parameter and its gradient",
           item->name.text);
    help(e, "declare it as: optimizer %s(p: float[*], g: float[*], lr: float = 1e-3) -> float[*]", item->name.text);
    return false;
}

// Which parameter of the optimizer an argument of the train block is. -1: reported.
static int place(Elaborator *e, const Item *item, const Argument *argument, int position, bool *given) {
    int at = argument->name.text ? parameter_index(item, argument->name.text) : position + VECTORS;
    const char *message = NULL;
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
    report(e, D_wrong_arguments, argument->span, "%s", message);
    help(e, "it is %s", signature_text(e, item));
    return -1;
}

static bool is_plain_number(Value value, double *number) {
    int64_t integer;
    if (value.kind != VALUE_NUMBER) return false;
    if (!value.number.integer) *number = value.number.real;
    else if (extent_is_constant(value.number.integer, &integer)) *number = (double)integer;
    else return false;
    return true;
}

// A number becomes a scalar of the frame, which like a number takes the dtype of what it meets.
static Value as_hyperparameter(Elaborator *e, Update *update, int index, const Expression *expression, Value value) {
    const Declaration *parameter = &update->item->parameters[index];
    TypeClass class = type_name(e, parameter->type.name, parameter->type.has_dimensions).class;
    double number;
    if (is_static_class(class) || parameter->type.has_dimensions || !is_plain_number(value, &number)) return value;
    Value scalar = value_tensor(make_scalar(e, update, parameter->name.text, expression, number));
    scalar.weak = true;
    return scalar;
}

static void add_argument(Elaborator *e, Update *update, int index, Value value, Span span) {
    CallArgument argument = {update->item->parameters[index].name.text, value, span, span};
    array_push(e->arena, &update->arguments, argument);
}

// What the train block gives, evaluated in the user's frame. False: reported.
static bool given_arguments(Elaborator *e, Update *update, const Arguments *arguments, bool *given) {
    bool fine = true;
    for (int i = 0; i < arguments->count; i++) {
        const Argument *argument = &arguments->items[i];
        int at = place(e, update->item, argument, i, given);
        Value value = evaluate(e, argument->value);
        fine = fine && at >= 0 && value.kind != VALUE_ERROR;
        if (!fine) continue;
        add_argument(e, update, at, as_hyperparameter(e, update, at, argument->value, value), argument->span);
    }
    return fine;
}

// The defaults of the others, evaluated in the optimizer's own frame.
static bool default_arguments(Elaborator *e, Update *update, const bool *given) {
    for (int i = VECTORS; i < update->item->parameter_count; i++) {
        const Declaration *parameter = &update->item->parameters[i];
        if (given[i] || !parameter->initial) continue;
        Value value = evaluate(e, parameter->initial);
        if (value.kind == VALUE_ERROR) return false;
        add_argument(e, update, i, as_hyperparameter(e, update, i, parameter->initial, value),
                     parameter->initial->span);
    }
    return true;
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
    if (!fits || !shapes_equal(&shape, &update->vector)) {
        report(e, D_not_elementwise, statement->span, "the state '%s' has another type than the parameter", name);
        help(e, "declare it as: state %s: float[*]", name);
        return false;
    }
    Node *initial = initial_value(e, &statement->initialiser, floating, &scalar, name);
    if (!initial) return false;
    if (!is_number_node(e, initial)) {
        report(e, D_not_elementwise, statement->span, "the state '%s' does not begin with one number for all elements",
               name);
        return false;
    }
    Node *variable = make_vector(e, update, VARIABLE_STATE, update->states.count, name);
    array_push(e->arena, &update->states, variable);
    optimizer->state_initial[optimizer->state_count] = initial;
    optimizer->state_names[optimizer->state_count++] = name;
    bind_name(e, root_scope(e), name, value_tensor(variable));
    return true;
}

// Makes the states; the body that is left holds the other statements.
static bool take_states(Elaborator *e, Update *update, Item *rest) {
    const Block *body = &update->item->body;
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

// A value as a new vector. NULL: reported.
static Node *new_vector(Elaborator *e, const Update *update, Value value, const char *what, Span span) {
    if (value.kind == VALUE_TENSOR && value.weak) value = value_tensor(cast_weak(e, value.node, e->program->floating));
    Node *node = as_dtype(e, value, e->program->floating, span);
    if (!node) return NULL;
    if (!node->rank) return broadcast_to(e, node, &update->vector);
    Shape shape = shape_of(node);
    if (shapes_equal(&shape, &update->vector)) return node;
    report(e, D_not_elementwise, span, "%s has another shape than the parameter", what);
    return NULL;
}

static bool is_elementwise(const Node *node) {
    if (op_class(node->op) == CLASS_MAP || node->op == OP_variable || node->op == OP_constant) return true;
    return node->op == OP_broadcast && node->inputs[0]->rank == 0;
}

static bool check_elementwise(Elaborator *e, const Update *update, Node *const *results, int count, Span call) {
    NodeArray nodes = reachable(e->graph, results, count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (is_elementwise(node)) continue;
        Span span = node->span.source ? node->span : call;
        report(e, D_not_elementwise, span, "the optimizer '%s' does not update each element alone: '%s' mixes them",
               update->item->name.text, op_spelling(node->op));
        help(e, "only elementwise optimizers are compiled yet; what looks at whole matrices is not");
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
            node_map_set(&map, variable, broadcast_to(e, optimizer->state_initial[i], &update->vector));
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

static void finish(Elaborator *e, Update *update, Node *const *vectors, Node *const *results) {
    Optimizer *optimizer = update->optimizer;
    Function *function = &optimizer->update;
    function->name = optimizer->name;
    function->arguments = arena_array(e->arena, Node *, VECTORS + update->states.count + update->scalars.count);
    for (int i = 0; i < VECTORS; i++) function->arguments[function->argument_count++] = vectors[i];
    for (int i = 0; i < update->states.count; i++)
        function->arguments[function->argument_count++] = update->states.items[i];
    for (int i = 0; i < update->scalars.count; i++)
        function->arguments[function->argument_count++] = update->scalars.items[i];
    function->result_count = 1 + update->states.count;
    function->results = arena_array(e->arena, Named, function->result_count);
    for (int i = 0; i < function->result_count; i++)
        function->results[i] = (Named){i ? optimizer->state_names[i - 1] : vectors[0]->variable->name, results[i]};
}

// Runs the body over vectors. False: reported.
static bool run_update(Elaborator *e, Update *update, Span call) {
    Node *vectors[VECTORS];
    Item rest = *update->item;
    for (int i = 0; i < VECTORS; i++) {
        vectors[i] = make_vector(e, update, VARIABLE_ARGUMENT, i, update->item->parameters[i].name.text);
        add_argument(e, update, i, value_tensor(vectors[i]), call);
    }
    CallArguments arguments = {update->arguments.items, update->arguments.count};
    if (!bind_arguments(e, update->item, &arguments, call) || !take_states(e, update, &rest)) return false;
    Value value = run_body(e, &rest);
    Node **results = arena_array(e->arena, Node *, 1 + update->states.count);
    const char *what = arena_print(e->arena, "the result of '%s'", update->item->name.text);
    results[0] = value.kind == VALUE_ERROR ? NULL : new_vector(e, update, value, what, call);
    if (!results[0]) return false;
    for (int i = 0; i < update->states.count; i++) {
        const char *name = update->optimizer->state_names[i];
        what = arena_print(e->arena, "the state '%s' of '%s'", name, update->item->name.text);
        results[1 + i] = new_vector(e, update, find_binding(e, name)->value, what, call);
        if (!results[1 + i]) return false;
    }
    drop_constant_states(e, update, results);
    if (!check_elementwise(e, update, results, 1 + update->states.count, call)) return false;
    finish(e, update, vectors, results);
    return true;
}

static Global *find_optimizer(Elaborator *e, Name name) {
    Global *global = find_global(e, name.text);
    if (global && global->optimizer) return global;
    report(e, D_unknown_name, name.span, "there is no optimizer '%s'", name.text);
    const char *similar = similar_name(e, name.text);
    if (similar && strcmp(similar, name.text) != 0) help(e, "did you mean '%s'?", similar);
    return NULL;
}

Optimizer *make_optimizer(Elaborator *e, const Expression *expression) {
    bool is_call = expression->kind == EXPRESSION_CALL;
    const Expression *callee = is_call ? expression->left : expression;
    if (callee->kind != EXPRESSION_NAME) {
        report(e, D_wrong_setting, expression->span, "'optimizer' takes the call of an optimizer");
        help(e, "write it as: optimizer adam(lr = 1e-3)");
        return NULL;
    }
    Global *global = find_optimizer(e, callee->name);
    if (!global || !check_signature(e, global->optimizer, expression->span)) return NULL;
    Update update = {.item = global->optimizer, .optimizer = arena_new(e->arena, Optimizer)};
    *update.optimizer = (Optimizer){.name = callee->name.text, .span = expression->span};
    update.vector = (Shape){.extents = {fresh_dim(e, "P")}, .rank = 1};
    e->graph->span = expression->span;
    e->iteration = make_scalar(e, &update, "iteration", NULL, 0);
    bool *given = arena_array(e->arena, bool, update.item->parameter_count);
    bool fine = !is_call || given_arguments(e, &update, &expression->arguments, given);
    frame_push(e, update.item, global->library, expression->span);
    fine = fine && default_arguments(e, &update, given) && run_update(e, &update, expression->span);
    frame_pop(e);
    e->iteration = NULL;
    return fine ? update.optimizer : NULL;
}
