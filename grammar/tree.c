// The tree itself, one node a line, children indented: `gradc dump --stage=ast`.
#include "grammar/print.h"

static void line(Text *text, int indent, const char *word, const char *name) {
    text_add(text, "%*s%s%s%s\n", indent, "", word, name ? " " : "", name ? name : "");
}

static void tree_expression(Text *text, const Expression *expression, int indent);

static void tree_all(Text *text, Expressions items, int indent) {
    for (int i = 0; i < items.count; i++) tree_expression(text, items.items[i], indent);
}

static void tree_index(Text *text, const Index *index, int indent) {
    if (index->kind == INDEX_ELLIPSIS) line(text, indent, "...", NULL);
    if (index->kind == INDEX_EXPRESSION) tree_expression(text, index->expression, indent);
    if (index->kind != INDEX_RANGE) return;
    static const char *const words[] = {"from", "to", "step"};
    const Expression *parts[] = {index->begin, index->end, index->step};
    line(text, indent, "range", NULL);
    for (int i = 0; i < 3; i++) {
        if (!parts[i]) continue;
        line(text, indent + 2, words[i], NULL);
        tree_expression(text, parts[i], indent + 4);
    }
}

static void tree_arguments(Text *text, const Arguments *arguments, int indent) {
    for (int i = 0; i < arguments->count; i++) {
        const Argument *argument = &arguments->items[i];
        if (argument->name.text) line(text, indent, "argument", argument->name.text);
        tree_expression(text, argument->value, argument->name.text ? indent + 2 : indent);
    }
}

static void tree_expression(Text *text, const Expression *expression, int indent) {
    switch (expression->kind) {
    case EXPRESSION_NAME: line(text, indent, "name", expression->name.text); return;
    case EXPRESSION_NUMBER: line(text, indent, "number", expression->number.text); return;
    case EXPRESSION_STRING: line(text, indent, "string", expression->name.text); return;
    case EXPRESSION_BOOL: line(text, indent, "bool", expression->boolean ? "true" : "false"); return;
    case EXPRESSION_UNARY: line(text, indent, "unary", operator_text(expression->operator)); break;
    case EXPRESSION_BINARY: line(text, indent, "binary", operator_text(expression->operator)); break;
    case EXPRESSION_TENSOR: line(text, indent, "tensor", NULL); break;
    case EXPRESSION_TUPLE: line(text, indent, "tuple", NULL); break;
    case EXPRESSION_CALL: line(text, indent, "call", NULL); break;
    case EXPRESSION_INDEX: line(text, indent, "index", NULL); break;
    case EXPRESSION_MEMBER: line(text, indent, "member", expression->name.text); break;
    }
    if (expression->left) tree_expression(text, expression->left, indent + 2);
    if (expression->right) tree_expression(text, expression->right, indent + 2);
    tree_all(text, expression->items, indent + 2);
    tree_arguments(text, &expression->arguments, indent + 2);
    for (int i = 0; i < expression->indices.count; i++) tree_index(text, &expression->indices.items[i], indent + 2);
}

static void tree_typed(Text *text, int indent, const char *word, const char *name, const Type *type,
                       Attribute attribute) {
    text_add(text, "%*s%s%s%s: ", indent, "", word, name ? " " : "", name ? name : "");
    print_type(text, type);
    print_attribute(text, attribute);
    text_add(text, "\n");
}

static void tree_use(Text *text, const Use *use, int indent) {
    text_add(text, "%*s", indent, "");
    print_use(text, use);
    text_add(text, "\n");
}

static void tree_block(Text *text, const Block *block, int indent);

static void tree_statement(Text *text, const Statement *statement, int indent) {
    static const char *const words[] = {"param",  "state", "use",    "assign",     "assign",
                                        "return", "yield", "report", "derivative", "for"};
    const char *word = words[statement->kind];
    const char *first = statement->names.count ? statement->names.items[0].text : NULL;
    switch (statement->kind) {
    case STATEMENT_USE: tree_use(text, &statement->use, indent); return;
    case STATEMENT_PARAMETER:
    case STATEMENT_STATE:
    case STATEMENT_TYPED: tree_typed(text, indent, word, first, &statement->type, statement->attribute); break;
    default:
        text_add(text, "%*s%s", indent, "", word);
        for (int i = 0; i < statement->names.count; i++)
            text_add(text, "%s%s", i ? ", " : " ", statement->names.items[i].text);
        text_add(text, "\n");
    }
    if (statement->initialiser.name.text) {
        line(text, indent + 2, "initialiser", statement->initialiser.name.text);
        tree_arguments(text, &statement->initialiser.arguments, indent + 4);
    }
    tree_all(text, statement->values, indent + 2);
    if (statement->range_begin) {
        line(text, indent + 2, "range", NULL);
        tree_expression(text, statement->range_begin, indent + 4);
        tree_expression(text, statement->range_end, indent + 4);
    }
    if (statement->kind == STATEMENT_FOR) tree_block(text, &statement->body, indent + 2);
}

static void tree_block(Text *text, const Block *block, int indent) {
    line(text, indent, "block", NULL);
    for (int i = 0; i < block->count; i++) tree_statement(text, block->items[i], indent + 2);
}

static void tree_signature(Text *text, const Item *item) {
    for (int i = 0; i < item->static_count; i++) {
        const StaticParameter *parameter = &item->statics[i];
        text_add(text, "  static %s", parameter->name.text);
        if (parameter->type.text) text_add(text, ": %s", parameter->type.text);
        if (parameter->initial) text_add(text, " = ");
        if (parameter->initial) print_static(text, parameter->initial);
        text_add(text, "\n");
    }
    for (int i = 0; i < item->parameter_count; i++) {
        const Declaration *parameter = &item->parameters[i];
        tree_typed(text, 2, "parameter", parameter->name.text, &parameter->type, parameter->attribute);
        if (parameter->initial) tree_expression(text, parameter->initial, 4);
    }
    for (int i = 0; i < item->result_count; i++)
        tree_typed(text, 2, "result", item->results[i].name.text, &item->results[i].type, ATTRIBUTE_NONE);
}

static void tree_item(Text *text, const Item *item) {
    if (item->kind == ITEM_USE) {
        tree_use(text, &item->use, 0);
        return;
    }
    line(text, 0, item_word(item->kind), item->name.text);
    for (int i = 0; i < item->names.count; i++) line(text, 2, "name", item->names.items[i].text);
    if (item->value) tree_expression(text, item->value, 2);
    tree_signature(text, item);
    for (int i = 0; i < item->setting_count; i++) {
        const Setting *setting = &item->settings[i];
        if (setting->type) tree_typed(text, 2, "assign", setting->name.text, setting->type, ATTRIBUTE_NONE);
        else line(text, 2, setting->is_assignment ? "assign" : "setting", setting->name.text);
        tree_all(text, setting->values, 4);
        for (int k = 0; k < setting->pattern_count; k++) line(text, 4, "for", setting->patterns[k].text);
    }
    if (item->kind >= ITEM_NET && item->kind <= ITEM_OPTIMIZER) tree_block(text, &item->body, 2);
}

void print_tree(Text *text, const File *file) {
    for (int i = 0; i < file->count; i++) tree_item(text, file->items[i]);
    text_add_bytes(text, "", 0);
}
