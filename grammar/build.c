// Builders of the tree: each makes one node. The parser's actions call nothing else.
#include "grammar/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

Span span_of(const Parse *parse, Place place) {
    return (Span){parse->source, place.begin, place.end};
}

static Span join(Span first, Span last) {
    return (Span){first.source, first.begin, last.end};
}

List *list_add(Parse *parse, List *list, void *item) {
    if (!list) list = arena_new(parse->arena, List);
    array_push(parse->arena, list, item);
    return list;
}

// The structs that a list points to, side by side.
static void *flatten(Parse *parse, const List *list, size_t size) {
    if (!list || !list->count) return NULL;
    char *items = arena_allocate(parse->arena, size * (size_t)list->count);
    for (int i = 0; i < list->count; i++) memcpy(items + (size_t)i * size, list->items[i], size);
    return items;
}

static int count_of(const List *list) {
    return list ? list->count : 0;
}

Name *build_name(Parse *parse, Place place) {
    Name *name = arena_new(parse->arena, Name);
    name->text = arena_copy_text(parse->arena, parse->source->text + place.begin, place.end - place.begin);
    name->span = span_of(parse, place);
    return name;
}

Name *build_string(Parse *parse, Place place) {
    Name *name = build_name(parse, (Place){place.begin + 1, place.end - 1});
    name->span = span_of(parse, place);
    return name;
}

Names names_of(Parse *parse, const List *list) {
    return (Names){flatten(parse, list, sizeof(Name)), count_of(list)};
}

Expressions expressions_of(const List *list) {
    return (Expressions){list ? (Expression **)list->items : NULL, count_of(list)};
}

// ---- expressions

enum { MAX_DEPTH = 5000 };   // of nesting: what recursive walks of the tree can bear

static Expression *new_expression(Parse *parse, ExpressionKind kind, Span span) {
    Expression *expression = arena_new(parse->arena, Expression);
    expression->kind = kind;
    expression->span = span;
    return expression;
}

static void deepen(Parse *parse, Expression *expression, const Expression *child) {
    if (!child || child->depth < expression->depth) return;
    expression->depth = child->depth + 1;
    if (expression->depth == MAX_DEPTH) report_too_deep(parse, (Place){child->span.begin, child->span.end});
}

static void deepen_all(Parse *parse, Expression *expression, Expressions items) {
    for (int i = 0; i < items.count; i++) deepen(parse, expression, items.items[i]);
}

Expression *build_number(Parse *parse, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_NUMBER, span_of(parse, place));
    const char *text = build_name(parse, place)->text;
    Number *number = &expression->number;
    number->text = text;
    number->real = strtod(text, NULL);
    errno = 0;
    number->integer = strtoll(text, NULL, 10);
    number->is_integer = !strpbrk(text, ".eE") && errno == 0;
    return expression;
}

Expression *build_leaf(Parse *parse, ExpressionKind kind, const Name *name, Place place) {
    Expression *expression = new_expression(parse, kind, span_of(parse, place));
    expression->name = *name;
    return expression;
}

Expression *build_bool(Parse *parse, bool value, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_BOOL, span_of(parse, place));
    expression->boolean = value;
    return expression;
}

Expression *build_unary(Parse *parse, Operator operator, Expression * operand, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_UNARY, span_of(parse, place));
    expression->operator= operator;
    expression->operator_span = span_of(parse, (Place){place.begin, place.begin + 1});
    expression->left = operand;
    deepen(parse, expression, operand);
    return expression;
}

Expression *build_binary(Parse *parse, Operator operator, Expression * left, Expression *right, Place operator_place) {
    Expression *expression = new_expression(parse, EXPRESSION_BINARY, join(left->span, right->span));
    expression->operator= operator;
    expression->operator_span = span_of(parse, operator_place);
    expression->left = left;
    expression->right = right;
    deepen(parse, expression, left);
    deepen(parse, expression, right);
    return expression;
}

Expression *build_group(Parse *parse, ExpressionKind kind, List *items, Place place) {
    if (kind == EXPRESSION_TUPLE && items->count == 1) {
        Expression *inner = items->items[0];
        inner->depth++;   // brackets nest, too
        if (inner->depth == MAX_DEPTH) report_too_deep(parse, place);
        return inner;
    }
    Expression *expression = new_expression(parse, kind, span_of(parse, place));
    expression->items = expressions_of(items);
    deepen_all(parse, expression, expression->items);
    return expression;
}

Expression *build_call(Parse *parse, Expression *callee, List *arguments, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_CALL, span_of(parse, place));
    expression->left = callee;
    expression->arguments = (Arguments){flatten(parse, arguments, sizeof(Argument)), count_of(arguments)};
    deepen(parse, expression, callee);
    for (int i = 0; i < expression->arguments.count; i++)
        deepen(parse, expression, expression->arguments.items[i].value);
    return expression;
}

Expression *build_index(Parse *parse, Expression *value, List *indices, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_INDEX, span_of(parse, place));
    expression->left = value;
    expression->indices = (Indices){flatten(parse, indices, sizeof(Index)), count_of(indices)};
    deepen(parse, expression, value);
    for (int i = 0; i < expression->indices.count; i++) {
        const Index *index = &expression->indices.items[i];
        deepen(parse, expression, index->expression);
        deepen(parse, expression, index->begin);
        deepen(parse, expression, index->end);
        deepen(parse, expression, index->step);
    }
    return expression;
}

Expression *build_member(Parse *parse, Expression *value, const Name *name, Place place) {
    Expression *expression = new_expression(parse, EXPRESSION_MEMBER, span_of(parse, place));
    expression->left = value;
    expression->name = *name;
    deepen(parse, expression, value);
    return expression;
}

Argument *build_argument(Parse *parse, const Name *name, Expression *value, Place place) {
    Argument *argument = arena_new(parse->arena, Argument);
    if (name) argument->name = *name;
    argument->value = value;
    argument->span = span_of(parse, place);
    return argument;
}

Index *build_index_item(Parse *parse, IndexKind kind, Expression *begin, Expression *end, Expression *step,
                        Place place) {
    Index *index = arena_new(parse->arena, Index);
    *index = (Index){.kind = kind, .span = span_of(parse, place)};
    if (kind == INDEX_EXPRESSION) index->expression = begin;
    else index->begin = begin, index->end = end, index->step = step;
    return index;
}

// ---- types and sizes

Size *build_size(Parse *parse, SizeKind kind, const Name *name, Operator operator, Size * left, Size *right,
                 Place place) {
    Size *size = arena_new(parse->arena, Size);
    *size = (Size){.kind = kind, .span = span_of(parse, place), .operator= operator, .left = left, .right = right};
    if (name) size->name = *name;
    int left_depth = left ? left->depth : 0, right_depth = right ? right->depth : 0;
    size->depth = 1 + (left_depth > right_depth ? left_depth : right_depth);
    if (size->depth == MAX_DEPTH) report_too_deep(parse, place);
    return size;
}

Size *build_size_number(Parse *parse, const Expression *number, Place place) {
    Size *size = build_size(parse, SIZE_NUMBER, NULL, OPERATOR_ADD, NULL, NULL, place);
    size->number = number->number.integer;
    if (!number->number.is_integer) report_size(parse, place);
    return size;
}

Dimension *build_dimension(Parse *parse, bool is_pack, const Name *name, Size *size, Place place) {
    Dimension *dimension = arena_new(parse->arena, Dimension);
    *dimension = (Dimension){.is_pack = is_pack, .size = size, .span = span_of(parse, place)};
    if (name) dimension->name = *name;
    return dimension;
}

Type *build_type(Parse *parse, const Name *name, const List *dimensions, Place place) {
    Type *type = arena_new(parse->arena, Type);
    *type = (Type){.name = *name, .has_dimensions = dimensions != NULL, .span = span_of(parse, place)};
    type->dimensions = flatten(parse, dimensions, sizeof(Dimension));
    type->dimension_count = count_of(dimensions);
    return type;
}

// ---- declarations

Static *build_static(Parse *parse, Size *size, const Name *name, const List *arguments, Place place) {
    Static *value = arena_new(parse->arena, Static);
    value->size = size;
    value->span = span_of(parse, place);
    if (name) value->template_name = *name;
    value->arguments = flatten(parse, arguments, sizeof(StaticArgument));
    value->argument_count = count_of(arguments);
    return value;
}

Static *build_static_literal(Parse *parse, Expression *literal, Place place) {
    Static *value = arena_new(parse->arena, Static);
    value->literal = literal;
    value->span = span_of(parse, place);
    return value;
}

StaticArgument *build_static_argument(Parse *parse, const Name *name, Static *value, Place place) {
    StaticArgument *argument = arena_new(parse->arena, StaticArgument);
    if (name) argument->name = *name;
    argument->value = value;
    argument->span = span_of(parse, place);
    return argument;
}

StaticParameter *build_static_parameter(Parse *parse, const Name *name, const Name *type, Static *initial,
                                        Place place) {
    StaticParameter *parameter = arena_new(parse->arena, StaticParameter);
    parameter->name = *name;
    if (type) parameter->type = *type;
    parameter->initial = initial;
    parameter->span = span_of(parse, place);
    return parameter;
}

Declaration *build_declaration(Parse *parse, const Name *name, const Type *type, Attribute attribute,
                               Expression *initial, Place place) {
    Declaration *declaration = arena_new(parse->arena, Declaration);
    *declaration = (Declaration){*name, *type, attribute, initial, span_of(parse, place)};
    return declaration;
}

ResultType *build_result(Parse *parse, const Name *name, const Type *type) {
    ResultType *result = arena_new(parse->arena, ResultType);
    if (name) result->name = *name;
    result->type = *type;
    return result;
}

Initialiser *build_initialiser(Parse *parse, const Name *name, bool has_arguments, const List *arguments, Place place) {
    Initialiser *initialiser = arena_new(parse->arena, Initialiser);
    initialiser->name = *name;
    initialiser->has_arguments = has_arguments;
    initialiser->arguments = (Arguments){flatten(parse, arguments, sizeof(Argument)), count_of(arguments)};
    initialiser->span = span_of(parse, place);
    return initialiser;
}

Use *build_use_array(Parse *parse, Size *count, const Name *index, Size *begin, Size *end) {
    Use *use = arena_new(parse->arena, Use);
    *use = (Use){.is_array = true, .count = count, .begin = begin, .end = end};
    if (index) use->index = *index;
    return use;
}

Use *build_use(Parse *parse, const Name *name, Use *array, const Static *source, Attribute attribute, Place place) {
    Use *use = array ? array : arena_new(parse->arena, Use);
    use->name = *name;
    use->template_name = source->template_name;
    use->has_arguments = source->argument_count > 0;
    use->arguments = source->arguments;
    use->argument_count = source->argument_count;
    use->attribute = attribute;
    use->span = span_of(parse, place);
    return use;
}

// ---- statements and items

Statement *build_statement(Parse *parse, StatementKind kind, const List *names, const List *values, Place place) {
    Statement *statement = arena_new(parse->arena, Statement);
    statement->kind = kind;
    statement->span = span_of(parse, place);
    statement->names = names_of(parse, names);
    statement->values = expressions_of(values);
    return statement;
}

static List one_name(const Name *name, void **slot) {
    *slot = (void *)name;
    return (List){slot, 1, 1};
}

Statement *build_storage(Parse *parse, StatementKind kind, const Name *name, const Type *type, Attribute attribute,
                         const Initialiser *initialiser, Place place) {
    void *slot;
    const List names = one_name(name, &slot);
    Statement *statement = build_statement(parse, kind, &names, NULL, place);
    statement->documentation = documentation_at(parse, place.begin);
    statement->type = *type;
    statement->attribute = attribute;
    if (initialiser) statement->initialiser = *initialiser;
    return statement;
}

Statement *build_use_statement(Parse *parse, const Use *use, Place place) {
    Statement *statement = build_statement(parse, STATEMENT_USE, NULL, NULL, place);
    statement->use = *use;
    return statement;
}

Statement *build_typed(Parse *parse, const Name *name, const Type *type, Expression *value, Place place) {
    void *slot;
    const List names = one_name(name, &slot);
    Statement *statement = build_statement(parse, STATEMENT_TYPED, &names, list_add(parse, NULL, value), place);
    statement->type = *type;
    return statement;
}

Statement *build_for(Parse *parse, const List *names, const List *values, Expression *begin, Expression *end,
                     const Block *body, Place place) {
    Statement *statement = build_statement(parse, STATEMENT_FOR, names, values, place);
    statement->range_begin = begin;
    statement->range_end = end;
    statement->body = *body;
    int deepest = 0;
    for (int i = 0; i < body->count; i++)
        if (body->items[i]->depth > deepest) deepest = body->items[i]->depth;
    statement->depth = deepest + 1;
    if (statement->depth == MAX_LOOP_DEPTH) report_too_deep(parse, place);
    return statement;
}

Block *build_block(Parse *parse, const List *statements, Place place) {
    Block *block = arena_new(parse->arena, Block);
    block->count = count_of(statements);
    block->items = statements ? (Statement **)statements->items : NULL;
    block->span = span_of(parse, place);
    return block;
}

Setting *build_setting(Parse *parse, const Name *name, bool is_assignment, const List *values, const List *patterns,
                       Place place) {
    Setting *setting = arena_new(parse->arena, Setting);
    setting->name = *name;
    setting->is_assignment = is_assignment;
    setting->values = expressions_of(values);
    setting->patterns = flatten(parse, patterns, sizeof(Name));
    setting->pattern_count = count_of(patterns);
    setting->span = span_of(parse, place);
    return setting;
}

Item *build_item(Parse *parse, ItemKind kind, const Name *name, Place place) {
    Item *item = arena_new(parse->arena, Item);
    item->kind = kind;
    item->span = span_of(parse, place);
    item->documentation = documentation_at(parse, place.begin);
    if (name) item->name = *name;
    return item;
}

Item *build_callable(Parse *parse, ItemKind kind, const Name *name, const List *statics, const List *parameters,
                     const List *results, const Block *body, Place place) {
    Item *item = build_item(parse, kind, name, place);
    item->statics = flatten(parse, statics, sizeof(StaticParameter));
    item->static_count = count_of(statics);
    item->parameters = flatten(parse, parameters, sizeof(Declaration));
    item->parameter_count = count_of(parameters);
    item->has_results = results != NULL;
    item->results = flatten(parse, results, sizeof(ResultType));
    item->result_count = count_of(results);
    item->body = *body;
    return item;
}

void add_settings(Parse *parse, Item *item, const List *settings) {
    item->settings = flatten(parse, settings, sizeof(Setting));
    item->setting_count = count_of(settings);
}

void add_item(Parse *parse, Item *item) {
    if (!item) return;
    array_push(parse->arena, &parse->items, item);
}
