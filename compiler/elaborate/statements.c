// Statements: what a body binds, returns and reports. Declarations were run when the instance was made.
#include "elaborate/calls.h"
#include "elaborate/derivative.h"

#include <string.h>

void assign_named(Elaborator *e, const char *name, Value value) {
    if (value.kind == VALUE_TENSOR) name_node(value.node, name);
    assign(e, name, value);
}

// ---- declarations

static bool has_members(const Frame *frame) {
    ItemKind kind = frame->item ? frame->item->kind : ITEM_IMPORT;
    return kind == ITEM_NET || kind == ITEM_LOSS || kind == ITEM_METRIC || kind == ITEM_OPTIMIZER;
}

// A declaration at the top of a body was run when the instance was made; it has no other place.
static void run_declaration(Elaborator *e, const Statement *statement, const char *word) {
    const Frame *frame = e->frame;
    if (has_members(frame) && !frame->scope->parent && !frame->loop) return;
    assign(e, statement->kind == STATEMENT_USE ? statement->use.name.text : statement->names.items[0].text,
           (Value){.kind = VALUE_ERROR});
    report(e, D_misplaced_declaration, statement->span, "'%s' cannot stand %s", word,
           frame->loop ? "in a loop" : "in a function");
    if (frame->loop && has_members(frame))
        help(e, "declare it before the loop; `use name[4] = ...` makes several instances");
    else help(e, "only nets, losses and metrics have parameters, states and instances");
}

// ---- assignment

static void assign_failed(Elaborator *e, const Statement *statement) {
    for (int i = 0; i < statement->names.count; i++)
        assign(e, statement->names.items[i].text, (Value){.kind = VALUE_ERROR});
}

static Span values_span(const Statement *statement) {
    Span span = statement->values.items[0]->span;
    span.end = statement->values.items[statement->values.count - 1]->span.end;
    return span;
}

// The values as one tuple, or as the only one.
static Value evaluate_values(Elaborator *e, const Statement *statement) {
    int count = statement->values.count;
    if (count == 1) return evaluate(e, statement->values.items[0]);
    Value tuple = {.kind = VALUE_TUPLE};
    tuple.list.count = count;
    tuple.list.items = arena_array(e->arena, Value, count);
    bool failed = false;
    for (int i = 0; i < count; i++) {
        tuple.list.items[i] = evaluate(e, statement->values.items[i]);
        failed = failed || tuple.list.items[i].kind == VALUE_ERROR;
    }
    return failed ? (Value){.kind = VALUE_ERROR} : tuple;
}

static void run_assign(Elaborator *e, const Statement *statement) {
    e->frame->named = values_span(statement);
    Value value = evaluate_values(e, statement);
    e->frame->named = (Span){0};
    const Names *names = &statement->names;
    int given = value.kind == VALUE_TUPLE || value.kind == VALUE_LIST ? value.list.count : 1;
    if (value.kind != VALUE_ERROR && names->count > 1 && given != names->count) {
        report(e, D_name_count, values_span(statement), "%d names are bound to %s", names->count, describe(e, value));
        value.kind = VALUE_ERROR;
    }
    if (value.kind != VALUE_ERROR && names->count == 1 && statement->values.count > 1) {
        report(e, D_name_count, values_span(statement), "%d values are bound to one name", statement->values.count);
        help(e, "a tensor of them is [a, b]");
        value.kind = VALUE_ERROR;
    }
    if (value.kind == VALUE_TUPLE && names->count == 1) {
        report(e, D_name_count, values_span(statement), "'%s' is bound to %s", names->items[0].text,
               describe(e, value));
        help(e, "give each its name: a, b = ...");
        value.kind = VALUE_ERROR;
    }
    if (value.kind == VALUE_ERROR) assign_failed(e, statement);
    else if (names->count == 1) assign_named(e, names->items[0].text, value);
    else
        for (int i = 0; i < names->count; i++) assign_named(e, names->items[i].text, value.list.items[i]);
}

static void run_typed(Elaborator *e, const Statement *statement) {
    const char *name = statement->names.items[0].text;
    Value value = evaluate(e, statement->values.items[0]);
    const char *what = arena_print(e->arena, "'%s'", name);
    value = typed_value(e, &statement->type, value, statement->values.items[0]->span, what);
    assign_named(e, name, value);
}

// ---- results

static void run_return(Elaborator *e, const Statement *statement) {
    if (e->frame->loop) {
        report(e, D_return_in_loop, statement->span, "'return' cannot stand in a loop");
        help(e, "a loop hands out what it carries, and what it yields");
        return;
    }
    e->frame->result_span = values_span(statement);
    e->frame->result = evaluate_values(e, statement);
    e->frame->returned = true;
}

static void run_yield(Elaborator *e, const Statement *statement) {
    Name name = statement->names.items[0];
    Loop *loop = e->frame->loop;
    Span span = statement->values.items[0]->span;
    if (!loop) {
        report(e, D_yield_outside_loop, statement->span, "'yield' stands outside of any loop");
        help(e, "a yield in a loop stacks its values on a first axis");
        return;
    }
    Value value = settle(e, evaluate(e, statement->values.items[0]), span);
    Yield *yield = NULL;
    for (int i = 0; i < loop->yields.count; i++)
        if (strcmp(loop->yields.items[i].name.text, name.text) == 0) yield = &loop->yields.items[i];
    if (!yield) {
        Yield fresh = {.name = name, .span = span};
        array_push(e->arena, &loop->yields, fresh);
        yield = &loop->yields.items[loop->yields.count - 1];
    }
    if (value.kind != VALUE_ERROR && !is_tensor_like(value))
        value = failure(e, D_yield_not_a_tensor, span, "a loop yields tensors, not %s", describe(e, value));
    array_push(e->arena, &yield->values, value);
}

void add_report(Elaborator *e, const char *name, Node *node) {
    Reports *reports = e->bodies ? &e->bodies->reports : &e->context->reports;
    Named named = {name, stop_gradient(e->graph, node)};
    for (int i = 0; i < reports->count; i++) {
        if (strcmp(reports->items[i].name, name) != 0) continue;
        reports->items[i] = named;
        return;
    }
    array_push(e->arena, reports, named);
}

// The name of a report: of its instance and its own. A later one of the same name replaces it.
static void run_report(Elaborator *e, const Statement *statement) {
    const char *name = statement->names.items[0].text;
    Span span = statement->values.items[0]->span;
    Node *node = as_tensor(e, evaluate(e, statement->values.items[0]), span);
    const Instance *instance = e->frame->instance;
    if (!node || !e->context) return;
    if (node->rank) {
        report(e, D_not_a_scalar, span, "a report is one number, not %s", describe(e, value_tensor(node)));
        help(e, "report a mean or a sum");
        return;
    }
    if (instance && instance->net->kind == ITEM_NET) name = arena_print(e->arena, "%s.%s", instance->path, name);
    add_report(e, name, node);
}

// ---- all

void run_statement(Elaborator *e, const Statement *statement) {
    e->graph->span = user_span(e, statement->span);
    switch (statement->kind) {
    case STATEMENT_PARAMETER: run_declaration(e, statement, "param"); break;
    case STATEMENT_STATE: run_declaration(e, statement, "state"); break;
    case STATEMENT_USE: run_declaration(e, statement, "use"); break;
    case STATEMENT_ASSIGN: run_assign(e, statement); break;
    case STATEMENT_TYPED: run_typed(e, statement); break;
    case STATEMENT_RETURN: run_return(e, statement); break;
    case STATEMENT_YIELD: run_yield(e, statement); break;
    case STATEMENT_REPORT: run_report(e, statement); break;
    case STATEMENT_DERIVATIVE: run_derivative(e, statement); break;
    case STATEMENT_FOR: run_for(e, statement); break;
    }
}

void run_block(Elaborator *e, const Block *block) {
    for (int i = 0; i < block->count && !e->frame->returned; i++) run_statement(e, block->items[i]);
}
