// Numbers of a train block that a host can change while it trains: they lie in the frame, in the order of their making.
#include "elaborate/calls.h"
#include "elaborate/settings.h"
#include "graph/rewrite.h"

Node *make_number(Elaborator *e, Train *train, const char *name, const Setting *setting, double number) {
    Hyperparameter hyperparameter = {.name = name, .constant = number};
    if (setting && setting->pattern_count) {
        const char **patterns = arena_array(e->arena, const char *, setting->pattern_count);
        for (int i = 0; i < setting->pattern_count; i++) patterns[i] = setting->patterns[i].text;
        hyperparameter.patterns = patterns;
        hyperparameter.pattern_count = setting->pattern_count;
    }
    array_push(e->arena, &train->block->hyperparameters, hyperparameter);
    Variable variable = {.kind = VARIABLE_HYPERPARAMETER, .index = train->numbers.count, .name = name};
    Node *node = variable_make(e->graph, &variable, DTYPE_F64, NULL, 0);
    array_push(e->arena, &train->numbers, node);
    return node;
}

void make_progress(Elaborator *e) {
    Variable iteration = {.kind = VARIABLE_HYPERPARAMETER, .index = 0, .name = "iteration"};
    Variable iterations = {.kind = VARIABLE_HYPERPARAMETER, .index = 1, .name = "iterations"};
    e->iteration = variable_make(e->graph, &iteration, DTYPE_F64, NULL, 0);
    e->iterations = variable_make(e->graph, &iterations, DTYPE_F64, NULL, 0);
}

void add_progress(Elaborator *e, Train *train) {
    Node *const numbers[] = {e->iteration, e->iterations};
    for (int i = 0; i < 2; i++) {
        Hyperparameter hyperparameter = {.name = numbers[i]->variable->name};
        array_push(e->arena, &train->block->hyperparameters, hyperparameter);
        array_push(e->arena, &train->numbers, numbers[i]);
    }
}

static bool is_plain_number(Value value, double *number) {
    int64_t integer;
    if (value.kind != VALUE_NUMBER) return false;
    if (!value.number.integer) *number = value.number.real;
    else if (extent_is_constant(value.number.integer, &integer)) *number = (double)integer;
    else return false;
    return true;
}

Value as_hyperparameter(Elaborator *e, Train *train, const Declaration *parameter, const Setting *setting,
                        Value value) {
    double number;
    if (value.kind != VALUE_NUMBER || parameter->type.has_dimensions) return value;
    TypeClass class = type_name(e, parameter->type.name, false).class;
    if (class == TYPE_UNKNOWN || is_static_class(class) || !is_plain_number(value, &number)) return value;
    Value scalar = value_tensor(make_number(e, train, parameter->name.text, setting, number));
    scalar.weak = true;
    return scalar;
}

void add_number_arguments(Elaborator *e, Function *function) {
    Node **results = result_nodes(e->arena, function);
    NodeArray nodes = reachable(e->graph, results, function->result_count);
    Node **arguments = arena_array(e->arena, Node *, function->argument_count + nodes.count);
    int count = function->argument_count;
    for (int i = 0; i < count; i++) arguments[i] = function->arguments[i];
    for (int i = 0; i < nodes.count; i++) {
        bool known = nodes.items[i]->op != OP_variable;
        for (int k = 0; k < function->argument_count; k++) known = known || function->arguments[k] == nodes.items[i];
        if (!known) arguments[count++] = nodes.items[i];
    }
    function->arguments = arguments;
    function->argument_count = count;
}
