// Maps of the gradient: `gradient clip_norm(1.0)` gives the optimizers another gradient than the loss's.
//
// A map is a function of all trained parameters' gradients as one vector. It may ask for numbers of the vector as a
// whole, such as its norm: these measures are computed before any update. What is left then works on each element alone
// and becomes part of the updates.
#include "elaborate/calls.h"
#include "elaborate/settings.h"
#include "graph/rewrite.h"

#include <string.h>

// ---- calling

static Value function_of(Elaborator *e, const Expression *callee) {
    Value function = evaluate(e, callee);
    if (function.kind == VALUE_ERROR || function.kind == VALUE_FUNCTION) return function;
    failure(e, D_wrong_gradient_map, callee->span, "'gradient' takes calls of functions, not %s",
            describe(e, function));
    help(e, "write it as: gradient clip_norm(1.0)");
    return (Value){.kind = VALUE_ERROR};
}

// Numbers that are given to the function can be changed by the host; its own defaults cannot.
static Value hyperparameter_argument(Elaborator *e, Train *train, const Callable *callable, const Argument *argument,
                                     int position, Value value) {
    if (callable->items.count != 1) return value;
    const Item *item = callable->items.items[0];
    int at = argument->name.text ? parameter_index(item, argument->name.text) : position;
    if (at < 0 || at >= item->parameter_count) return value;
    return as_hyperparameter(e, train, &item->parameters[at], NULL, value);
}

// The map of `gradient` that the expression says. NULL: reported.
static Node *call_map(Elaborator *e, Train *train, const Expression *expression, Node *gradient) {
    bool is_call = expression->kind == EXPRESSION_CALL;
    const Expression *callee = is_call ? expression->left : expression;
    Value function = function_of(e, callee);
    if (function.kind == VALUE_ERROR) return NULL;
    int given = is_call ? expression->arguments.count : 0;
    CallArguments all = {arena_array(e->arena, CallArgument, given + 1), given + 1};
    all.items[0] = (CallArgument){.value = value_tensor(gradient), .span = callee->span};
    for (int i = 0; i < given; i++) {
        const Argument *argument = &expression->arguments.items[i];
        Value value = evaluate(e, argument->value);
        if (value.kind == VALUE_ERROR) return NULL;
        value = hyperparameter_argument(e, train, function.callable, argument, i + 1, value);
        all.items[i + 1] = (CallArgument){argument->name.text, value, argument->value->span, argument->name.span};
    }
    e->graph->span = user_span(e, expression->span);
    Value result = call_value(e, function, function.callable->name, &all, expression->span);
    Node *node = result.kind == VALUE_ERROR ? NULL : as_dtype(e, result, gradient->dtype, expression->span);
    if (!node || same_shape(node, gradient)) return node;
    report(e, D_wrong_gradient_map, expression->span, "'%s' makes %s of the gradient, which is %s",
           function.callable->name, describe(e, value_tensor(node)), describe(e, value_tensor(gradient)));
    help(e, "a map of the gradient gives each element a new value: fn f(g: float[*]) -> float[*]");
    return NULL;
}

// ---- parting what asks for the whole from what does not

bool is_elementwise(const Node *node) {
    if (op_class(node->op) == CLASS_MAP || node->op == OP_variable || node->op == OP_constant) return true;
    if (node->op == OP_stop_gradient) return true;
    return node->op == OP_broadcast && node->inputs[0]->rank == 0;
}

typedef struct {
    NodeMap map;   // measures to the variables that stand for them
    ARRAY(Named) measures;
    const Node *fault;   // what mixes elements; NULL: nothing does
} Parting;

static void add_measure(Elaborator *e, Parting *parting, Node *node) {
    const char *name = node->name ? node->name : op_name(node->op);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = parting->measures.count, .name = name};
    node_map_set(&parting->map, node, variable_make(e->graph, &variable, node->dtype, NULL, 0));
    Named measure = {name, node};
    array_push(e->arena, &parting->measures, measure);
}

// From the result down: numbers that depend on the gradient are measures, and what is behind them may be anything.
static void part(Elaborator *e, Parting *parting, NodeArray nodes, const Node *flat) {
    bool *depends = arena_array(e->arena, bool, e->graph->node_count);
    bool *needed = arena_array(e->arena, bool, e->graph->node_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        depends[node->id] = node == flat;
        for (int k = 0; k < node->input_count; k++) depends[node->id] |= depends[node->inputs[k]->id];
    }
    needed[nodes.items[nodes.count - 1]->id] = true;
    for (int i = nodes.count - 1; i >= 0; i--) {
        Node *node = nodes.items[i];
        if (!needed[node->id]) continue;
        if (!node->rank && depends[node->id]) {
            add_measure(e, parting, node);
            continue;
        }
        if (node->rank && !is_elementwise(node)) parting->fault = node;
        for (int k = 0; k < node->input_count; k++) needed[node->inputs[k]->id] = true;
    }
}

static bool check_map(Elaborator *e, const Setting *setting, NodeArray nodes) {
    for (int i = 0; i < nodes.count; i++) {
        Op op = nodes.items[i]->op;
        if (op != OP_random_uniform && op != OP_random_normal) continue;
        report(e, D_random_update, setting->span, "a map of the gradient draws no random numbers");
        help(e, "draw them in the loss");
        return false;
    }
    return true;
}

static void make_measures(Elaborator *e, Train *train, const Parting *parting) {
    Function *measures = &train->block->measures;
    if (!parting->measures.count) return;
    *measures = (Function){.name = "measures", .argument_count = 1, .result_count = parting->measures.count};
    measures->arguments = arena_copy(e->arena, &train->flat, sizeof(Node *));
    measures->results = parting->measures.items;
    add_number_arguments(e, measures);
}

bool make_gradient_map(Elaborator *e, Train *train) {
    const Setting *setting = train->gradient;
    int64_t count = 0;
    for (int i = 0; i < train->block->trained_count; i++) count += train->block->trained[i]->count;
    const Extent *extent = constant_extent(e, count);
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "gradient"};
    e->graph->span = setting->span;
    train->flat = variable_make(e->graph, &variable, e->program->floating, &extent, 1);
    Node *mapped = train->flat;
    for (int i = 0; mapped && i < setting->values.count; i++)
        mapped = call_map(e, train, setting->values.items[i], mapped);
    if (!mapped) return false;
    NodeArray nodes = reachable(e->graph, &mapped, 1);
    if (!check_map(e, setting, nodes)) return false;
    Parting parting = {.map = {.arena = e->arena}};
    part(e, &parting, nodes, train->flat);
    if (parting.fault) {
        Span span = parting.fault->span.source ? parting.fault->span : setting->span;
        report(e, D_wrong_gradient_map, span, "a map of the gradient may not mix its elements, as '%s' does here",
               op_spelling(parting.fault->op));
        help(e, "each element's new value is made of the element and of numbers such as sum(g^2)");
        return false;
    }
    make_measures(e, train, &parting);
    substitute(e->graph, &parting.map, &mapped, 1, &train->mapped);
    return true;
}
