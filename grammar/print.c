// The tree as text: as a program in a normal layout, and as the tree itself.
#include "grammar/print.h"

#include <string.h>

// ---- operators

static const struct {
    const char *text;
    int level;   // how tightly it binds
} operators[] = {
    [OPERATOR_OR] = {"or", 1},
    [OPERATOR_AND] = {"and", 2},
    [OPERATOR_NOT] = {"not", 3},
    [OPERATOR_LESS] = {"<", 4},
    [OPERATOR_GREATER] = {">", 4},
    [OPERATOR_LESS_EQUAL] = {"<=", 4},
    [OPERATOR_GREATER_EQUAL] = {">=", 4},
    [OPERATOR_EQUAL] = {"==", 4},
    [OPERATOR_NOT_EQUAL] = {"!=", 4},
    [OPERATOR_ADD] = {"+", 5},
    [OPERATOR_SUBTRACT] = {"-", 5},
    [OPERATOR_MULTIPLY] = {"*", 6},
    [OPERATOR_DIVIDE] = {"/", 6},
    [OPERATOR_FLOOR_DIVIDE] = {"//", 6},
    [OPERATOR_REMAINDER] = {"%", 6},
    [OPERATOR_MATMUL] = {"@", 6},
    [OPERATOR_NEGATE] = {"-", 7},
    [OPERATOR_POWER] = {"^", 8},
};
enum { LEVEL_POSTFIX = 9 };

const char *operator_text(Operator operator) {
    return operators[operator].text;
}

static int level_of(const Expression *expression) {
    bool operation = expression->kind == EXPRESSION_UNARY || expression->kind == EXPRESSION_BINARY;
    return operation ? operators[expression->operator].level : LEVEL_POSTFIX;
}

// ---- expressions

static void print_operand(Text *text, const Expression *expression, int least) {
    bool brackets = level_of(expression) < least;
    if (brackets) text_add(text, "(");
    print_expression(text, expression);
    if (brackets) text_add(text, ")");
}

static void print_list(Text *text, Expressions items) {
    for (int i = 0; i < items.count; i++) {
        if (i) text_add(text, ", ");
        print_expression(text, items.items[i]);
    }
}

static void print_arguments(Text *text, const Arguments *arguments) {
    text_add(text, "(");
    for (int i = 0; i < arguments->count; i++) {
        const Argument *argument = &arguments->items[i];
        if (i) text_add(text, ", ");
        if (argument->name.text) text_add(text, "%s = ", argument->name.text);
        print_expression(text, argument->value);
    }
    text_add(text, ")");
}

static void print_index(Text *text, const Index *index) {
    if (index->kind == INDEX_ELLIPSIS) text_add(text, "...");
    if (index->kind == INDEX_EXPRESSION) print_expression(text, index->expression);
    if (index->kind != INDEX_RANGE) return;
    if (index->begin) print_expression(text, index->begin);
    text_add(text, ":");
    if (index->end) print_expression(text, index->end);
    if (!index->step) return;
    text_add(text, ":");
    print_expression(text, index->step);
}

static void print_binary(Text *text, const Expression *expression) {
    int level = operators[expression->operator].level;
    bool right = expression->operator== OPERATOR_POWER, chains = level != 4;
    print_operand(text, expression->left, right || !chains ? level + 1 : level);
    text_add(text, right ? "%s" : " %s ", operators[expression->operator].text);
    bool negative =
        right && expression->right->kind == EXPRESSION_UNARY && expression->right->operator== OPERATOR_NEGATE;
    print_operand(text, expression->right, negative ? 0 : right ? level : level + 1);
}

void print_expression(Text *text, const Expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_NAME: text_add(text, "%s", expression->name.text); break;
    case EXPRESSION_NUMBER: text_add(text, "%s", expression->number.text); break;
    case EXPRESSION_STRING: text_add(text, "\"%s\"", expression->name.text); break;
    case EXPRESSION_BOOL: text_add(text, expression->boolean ? "true" : "false"); break;
    case EXPRESSION_UNARY:
        text_add(text, expression->operator== OPERATOR_NOT ? "not " : "-");
        print_operand(text, expression->left, operators[expression->operator].level);
        break;
    case EXPRESSION_BINARY: print_binary(text, expression); break;
    case EXPRESSION_TENSOR:
    case EXPRESSION_TUPLE:
        text_add(text, expression->kind == EXPRESSION_TENSOR ? "[" : "(");
        print_list(text, expression->items);
        text_add(text, expression->kind == EXPRESSION_TENSOR ? "]" : ")");
        break;
    case EXPRESSION_CALL:
        print_operand(text, expression->left, LEVEL_POSTFIX);
        print_arguments(text, &expression->arguments);
        break;
    case EXPRESSION_INDEX:
        print_operand(text, expression->left, LEVEL_POSTFIX);
        text_add(text, "[");
        for (int i = 0; i < expression->indices.count; i++) {
            if (i) text_add(text, ", ");
            print_index(text, &expression->indices.items[i]);
        }
        text_add(text, "]");
        break;
    case EXPRESSION_MEMBER:
        print_operand(text, expression->left, LEVEL_POSTFIX);
        text_add(text, ".%s", expression->name.text);
    }
}

// ---- sizes, types, templates

static int size_level(const Size *size) {
    return size->kind == SIZE_BINARY || size->kind == SIZE_NEGATE ? operators[size->operator].level : LEVEL_POSTFIX;
}

static void print_size(Text *text, const Size *size, int least) {
    bool brackets = size_level(size) < least;
    if (brackets) text_add(text, "(");
    switch (size->kind) {
    case SIZE_NUMBER: text_add(text, "%lld", (long long)size->number); break;
    case SIZE_NAME: text_add(text, "%s", size->name.text); break;
    case SIZE_INDEX:
        text_add(text, "%s[", size->name.text);
        print_size(text, size->left, 0);
        text_add(text, "]");
        break;
    case SIZE_NEGATE:
        text_add(text, "-");
        print_size(text, size->left, size_level(size));
        break;
    case SIZE_BINARY:
        print_size(text, size->left, size_level(size));
        text_add(text, " %s ", operators[size->operator].text);
        print_size(text, size->right, size_level(size) + 1);
    }
    if (brackets) text_add(text, ")");
}

void print_type(Text *text, const Type *type) {
    text_add(text, "%s", type->name.text);
    if (!type->has_dimensions) return;
    for (int i = 0; i < type->dimension_count; i++) {
        const Dimension *dimension = &type->dimensions[i];
        text_add(text, i ? ", " : "[");
        if (dimension->is_pack) text_add(text, "*%s", dimension->name.text ? dimension->name.text : "");
        else print_size(text, dimension->size, 0);
    }
    text_add(text, "]");
}

void print_attribute(Text *text, Attribute attribute) {
    if (attribute == ATTRIBUTE_REQUIRES_GRAD) text_add(text, " requires_grad");
    if (attribute == ATTRIBUTE_FROZEN) text_add(text, " frozen");
}

static void print_template(Text *text, const char *name, const StaticArgument *arguments, int count) {
    text_add(text, "%s", name);
    for (int i = 0; i < count; i++) {
        text_add(text, i ? ", " : "<");
        if (arguments[i].name.text) text_add(text, "%s = ", arguments[i].name.text);
        print_static(text, arguments[i].value);
    }
    if (count) text_add(text, ">");
}

void print_static(Text *text, const Static *value) {
    if (value->size) print_size(text, value->size, 0);
    else if (value->literal) print_expression(text, value->literal);
    else print_template(text, value->template_name.text, value->arguments, value->argument_count);
}

// ---- statements

static void print_documentation(Text *text, const char *documentation, int indent) {
    while (documentation && *documentation) {
        size_t length = strcspn(documentation, "\n");
        text_add(text, "%*s# %.*s\n", indent, "", (int)length, documentation);
        documentation += length + (documentation[length] == '\n');
    }
}

static void print_names(Text *text, const Names *names) {
    for (int i = 0; i < names->count; i++) text_add(text, "%s%s", i ? ", " : "", names->items[i].text);
}

void print_use(Text *text, const Use *use) {
    text_add(text, "use %s", use->name.text);
    if (use->is_array) {
        text_add(text, "[");
        if (use->count) print_size(text, use->count, 0);
        else {
            text_add(text, "%s in ", use->index.text);
            print_size(text, use->begin, 0);
            text_add(text, ":");
            print_size(text, use->end, 0);
        }
        text_add(text, "]");
    }
    text_add(text, " = ");
    print_template(text, use->template_name.text, use->arguments, use->argument_count);
    print_attribute(text, use->attribute);
}

static void print_storage(Text *text, const Statement *statement) {
    text_add(text, "%s %s: ", statement->kind == STATEMENT_PARAMETER ? "param" : "state",
             statement->names.items[0].text);
    print_type(text, &statement->type);
    print_attribute(text, statement->attribute);
    if (!statement->initialiser.name.text) return;
    text_add(text, " ~ %s", statement->initialiser.name.text);
    if (statement->initialiser.has_arguments) print_arguments(text, &statement->initialiser.arguments);
}

static void print_block(Text *text, const Block *block, int indent);

static void print_for(Text *text, const Statement *statement, int indent) {
    text_add(text, "for ");
    print_names(text, &statement->names);
    text_add(text, " in ");
    if (statement->range_begin) {
        print_expression(text, statement->range_begin);
        text_add(text, ":");
        print_expression(text, statement->range_end);
    } else print_list(text, statement->values);
    text_add(text, " ");
    print_block(text, &statement->body, indent);
}

static void print_statement(Text *text, const Statement *statement, int indent) {
    print_documentation(text, statement->documentation, indent);
    text_add(text, "%*s", indent, "");
    switch (statement->kind) {
    case STATEMENT_PARAMETER:
    case STATEMENT_STATE: print_storage(text, statement); break;
    case STATEMENT_USE: print_use(text, &statement->use); break;
    case STATEMENT_TYPED:
        text_add(text, "%s: ", statement->names.items[0].text);
        print_type(text, &statement->type);
        text_add(text, " = ");
        print_list(text, statement->values);
        break;
    case STATEMENT_FOR: print_for(text, statement, indent); break;
    default: {
        static const char *const words[] = {[STATEMENT_RETURN] = "return ",
                                            [STATEMENT_YIELD] = "yield ",
                                            [STATEMENT_REPORT] = "report ",
                                            [STATEMENT_DERIVATIVE] = "derivative("};
        if (words[statement->kind]) text_add(text, "%s", words[statement->kind]);
        print_names(text, &statement->names);
        if (statement->kind == STATEMENT_DERIVATIVE) text_add(text, ")");
        if (statement->kind != STATEMENT_RETURN) text_add(text, " = ");
        print_list(text, statement->values);
    }
    }
    text_add(text, "\n");
}

static void print_block(Text *text, const Block *block, int indent) {
    text_add(text, "{\n");
    for (int i = 0; i < block->count; i++) print_statement(text, block->items[i], indent + 4);
    text_add(text, "%*s}", indent, "");
}

// ---- items

static const char *const item_words[] = {"import", "dim",    "const",     "use",  "net",  "fn",
                                         "loss",   "metric", "optimizer", "data", "train"};

const char *item_word(ItemKind kind) {
    return item_words[kind];
}

static void print_callable(Text *text, const Item *item) {
    text_add(text, "%s %s", item_words[item->kind], item->name.text);
    for (int i = 0; i < item->static_count; i++) {
        const StaticParameter *parameter = &item->statics[i];
        text_add(text, "%s%s", i ? ", " : "<", parameter->name.text);
        if (parameter->type.text) text_add(text, ": %s", parameter->type.text);
        if (!parameter->initial) continue;
        text_add(text, " = ");
        print_static(text, parameter->initial);
    }
    text_add(text, "%s(", item->static_count ? ">" : "");
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        text_add(text, "%s%s: ", i ? ", " : "", parameter->name.text);
        print_type(text, &parameter->type);
        print_attribute(text, parameter->attribute);
        if (!parameter->initial) continue;
        text_add(text, " = ");
        print_expression(text, parameter->initial);
    }
    text_add(text, ") ");
    bool bracketed = item->result_count > 1 || (item->result_count && item->results[0].name.text);
    if (item->has_results) text_add(text, bracketed ? "-> (" : "-> ");
    for (int i = 0; i < item->result_count; i++) {
        if (i) text_add(text, ", ");
        if (item->results[i].name.text) text_add(text, "%s: ", item->results[i].name.text);
        print_type(text, &item->results[i].type);
    }
    if (item->has_results) text_add(text, bracketed ? ") " : " ");
    print_block(text, &item->body, 0);
}

static void print_settings(Text *text, const Item *item) {
    text_add(text, "%s %s {\n", item_words[item->kind], item->name.text);
    for (int i = 0; i < item->setting_count; i++) {
        const Setting *setting = &item->settings[i];
        text_add(text, "    %s", setting->name.text);
        if (setting->type) text_add(text, ": ");
        if (setting->type) print_type(text, setting->type);
        text_add(text, setting->is_assignment ? " = " : " ");
        print_list(text, setting->values);
        for (int k = 0; k < setting->pattern_count; k++)
            text_add(text, "%s\"%s\"", k ? ", " : " for ", setting->patterns[k].text);
        text_add(text, "\n");
    }
    text_add(text, "}");
}

static void print_item(Text *text, const Item *item) {
    print_documentation(text, item->documentation, 0);
    switch (item->kind) {
    case ITEM_IMPORT: text_add(text, "import \"%s\"", item->name.text); break;
    case ITEM_DIM:
        text_add(text, "dim ");
        print_names(text, &item->names);
        break;
    case ITEM_CONST:
        text_add(text, "const %s = ", item->name.text);
        print_expression(text, item->value);
        break;
    case ITEM_USE: print_use(text, &item->use); break;
    case ITEM_DATA:
    case ITEM_TRAIN: print_settings(text, item); break;
    default: print_callable(text, item);
    }
    text_add(text, "\n");
}

void print_file(Text *text, const File *file) {
    for (int i = 0; i < file->count; i++) {
        bool block = file->items[i]->kind >= ITEM_NET || (i && file->items[i - 1]->kind >= ITEM_NET);
        if (i && block) text_add(text, "\n");
        print_item(text, file->items[i]);
    }
    text_add_bytes(text, "", 0);
}
