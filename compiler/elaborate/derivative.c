// derivative(ct) = dx, dy: the cotangents of a function's arguments, given that of its result.
//
// The statement is evaluated last, so that it may use every name of the body. Its formulas become the body of a
// `custom` node around the results; `ct` is a variable of it.
#include "elaborate/derivative.h"
#include "elaborate/values.h"

#include <string.h>

const Statement *own_derivative(const Item *item) {
    for (int i = 0; item->kind == ITEM_FN && i < item->body.count; i++)
        if (item->body.items[i]->kind == STATEMENT_DERIVATIVE) return item->body.items[i];
    return NULL;
}

void run_derivative(Elaborator *e, const Statement *statement) {
    const Frame *frame = e->frame;
    bool in_function = frame->item && frame->item->kind == ITEM_FN;
    if (in_function && !frame->loop && own_derivative(frame->item) == statement) return;
    if (in_function && !frame->loop)
        report(e, D_derivative_twice, statement->span, "'%s' has a derivative already", frame->item->name.text);
    else report(e, D_derivative_outside_function, statement->span, "'derivative' cannot stand here");
    if (!in_function || frame->loop) help(e, "it stands in a `fn`, outside of loops: derivative(ct) = ct * ...");
}

NodeArray floating_arguments(Elaborator *e, const Item *item) {
    NodeArray arguments = {0};
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        TypeName type = type_name(e, parameter->type.name, parameter->type.has_dimensions);
        bool floating = type.class == TYPE_FLOAT || (type.class == TYPE_DTYPE && dtype_is_float(type.dtype));
        const Binding *binding = find_binding(e, parameter->name.text);
        if (!floating || !binding) continue;
        bool tensor = binding->value.kind == VALUE_TENSOR && dtype_is_float(binding->value.node->dtype);
        array_push(e->arena, &arguments, tensor ? binding->value.node : NULL);
    }
    return arguments;
}

// ---- the formulas

typedef struct {
    Elaborator *e;
    const Item *item;
    const Statement *statement;
    NodeArray values, cotangents;   // the floating results
    NodeArray arguments;            // those that are tensors
    ARRAY(Named) formulas;          // one for each of them
} Derivation;

static bool wrong_count(const Derivation *derivation, int given, int expected, const char *what, const char *of) {
    Elaborator *e = derivation->e;
    report(e, D_derivative_count, derivation->statement->span, "the derivative of '%s' %s %d %s%s, not %d",
           derivation->item->name.text, strcmp(of, "result") == 0 ? "takes" : "gives", expected, what,
           expected == 1 ? "" : "s", given);
    help(e, "there is one for each floating %s of '%s'", of, derivation->item->name.text);
    return false;
}

static bool bind_cotangents(Derivation *derivation) {
    Elaborator *e = derivation->e;
    const Names *names = &derivation->statement->names;
    if (names->count != derivation->values.count)
        return wrong_count(derivation, names->count, derivation->values.count, "cotangent", "result");
    Scope *scope = scope_push(e);
    for (int i = 0; i < names->count; i++) {
        const Node *value = derivation->values.items[i];
        Variable variable = {.kind = VARIABLE_ARGUMENT, .index = i, .name = names->items[i].text};
        Node *cotangent =
            variable_make(e->graph, &variable, value->dtype, (const Extent *const *)value->shape, value->rank);
        array_push(e->arena, &derivation->cotangents, cotangent);
        bind_name(e, scope, variable.name, value_tensor(cotangent));
    }
    return true;
}

static bool check_linear(const Derivation *derivation, Node *formula, Span span) {
    Elaborator *e = derivation->e;
    NonLinear found = find_non_linear(e->graph, formula, &derivation->cotangents);
    if (!found.node) return true;
    const char *spelling = op_spelling(found.node->op);
    const char *why = *found.why ? found.why : arena_print(e->arena, "'%s' is no linear function", spelling);
    report(e, D_not_linear, found.node->span.source && found.node != formula ? found.node->span : span,
           "the derivative of '%s' is not linear in '%s': %s", derivation->item->name.text,
           derivation->statement->names.items[0].text, why);
    help(e, "a derivative is a sum of terms, each of them a cotangent times what does not depend on any");
    return false;
}

// The formula for an argument, with its dtype and shape. NULL: reported.
static Node *formula_of(const Derivation *derivation, Value value, Node *argument, Span span) {
    Elaborator *e = derivation->e;
    Shape shape = shape_of(argument);
    Node *formula = as_dtype(e, value, argument->dtype, span);
    if (!formula) return NULL;
    if (value.kind == VALUE_NUMBER) formula = broadcast_to(e, formula, &shape);
    if (!same_shape(formula, argument)) {
        report(e, D_derivative_shape, span, "the derivative of '%s' by an argument of %s is %s",
               derivation->item->name.text, describe(e, value_tensor(argument)), describe(e, value_tensor(formula)));
        help(e, "it has the argument's shape; where that is repeated, sum: sum_to(..., shape(x))");
        return NULL;
    }
    return check_linear(derivation, formula, span) ? formula : NULL;
}

static bool evaluate_formulas(Derivation *derivation, const NodeArray *arguments) {
    Elaborator *e = derivation->e;
    const Expressions *expressions = &derivation->statement->values;
    if (expressions->count != arguments->count)
        return wrong_count(derivation, expressions->count, arguments->count, "cotangent", "argument");
    for (int i = 0; i < arguments->count; i++) {
        Span span = expressions->items[i]->span;
        Value value = settle(e, evaluate(e, expressions->items[i]), span);
        if (value.kind == VALUE_ERROR) return false;
        if (!arguments->items[i]) continue;
        Node *formula = formula_of(derivation, value, arguments->items[i], span);
        if (!formula) return false;
        Named named = {"derivative", formula};
        array_push(e->arena, &derivation->arguments, arguments->items[i]);
        array_push(e->arena, &derivation->formulas, named);
    }
    return true;
}

// ---- the results

static bool add_value(Derivation *derivation, Value *value) {
    if (!is_tensor_like(*value)) return true;
    Node *node = as_tensor(derivation->e, *value, derivation->e->frame->result_span);
    if (!node) return false;
    *value = value_tensor(node);
    if (dtype_is_float(node->dtype)) array_push(derivation->e->arena, &derivation->values, node);
    return true;
}

Value with_derivative(Elaborator *e, const Item *item, const NodeArray *arguments, Value result) {
    Derivation derivation = {.e = e, .item = item, .statement = own_derivative(item)};
    if (result.kind == VALUE_ERROR) return result;
    Value *values = &result;
    int count = 1;
    if (result.kind == VALUE_TUPLE) {
        count = result.list.count;
        values = result.list.items = arena_copy(e->arena, result.list.items, sizeof(Value) * (size_t)count);
    }
    for (int i = 0; i < count; i++)
        if (!add_value(&derivation, &values[i])) return (Value){.kind = VALUE_ERROR};
    if (!bind_cotangents(&derivation)) return (Value){.kind = VALUE_ERROR};
    bool right = evaluate_formulas(&derivation, arguments);
    scope_pop(e);
    if (!right) return (Value){.kind = VALUE_ERROR};
    if (!derivation.arguments.count) return result;
    e->graph->span = user_span(e, derivation.statement->span);
    Node *node =
        make_custom(e, &derivation.values, &derivation.arguments, &derivation.cotangents, derivation.formulas.items);
    for (int i = 0, next = 0; i < count; i++)
        if (values[i].kind == VALUE_TENSOR && dtype_is_float(values[i].node->dtype))
            values[i] = value_tensor(result_of(e->graph, node, next++));
    return result;
}
