// The reducer: edits of a syntax tree are numbered by walking it; one after the other is tried.
#include "reduce_text.h"
#include "grammar/ast.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *arena;
    File *file;
    int target;   // the number of the edit that is made
    int next;     // of the edit that the walk comes to next
} Editor;

// Whether the walk stands at the edit that is to be made.
static bool here(Editor *editor) {
    return editor->next++ == editor->target;
}

static bool is_done(const Editor *editor) {
    return editor->next > editor->target;
}

#define REMOVE(items, count, at)                                                                   \
    do {                                                                                           \
        memmove(&(items)[at], &(items)[(at) + 1], sizeof *(items) * (size_t)((count) - (at) - 1)); \
        (count)--;                                                                                 \
    } while (0)

// ---- a walk over all sizes and expressions

typedef struct Visitor Visitor;
struct Visitor {
    void (*expression)(Visitor *visitor, Expression *expression);
    void (*size)(Visitor *visitor, Size *size);
    const char *name;   // of a dim, or NULL: then numbers
    int64_t number, smaller;
    int64_t found[64];
    int found_count;
    const char *instead;   // of the name
    Arena *arena;          // where what is put in lies
};

static void visit_size(Visitor *visitor, Size *size) {
    if (!size) return;
    visitor->size(visitor, size);
    if (size->kind == SIZE_NUMBER || size->kind == SIZE_NAME) return;
    visit_size(visitor, size->left);
    visit_size(visitor, size->right);
}

static void visit_expression(Visitor *visitor, Expression *expression) {
    if (!expression) return;
    visit_expression(visitor, expression->left);
    visit_expression(visitor, expression->right);
    for (int i = 0; i < expression->items.count; i++) visit_expression(visitor, expression->items.items[i]);
    for (int i = 0; i < expression->arguments.count; i++)
        visit_expression(visitor, expression->arguments.items[i].value);
    for (int i = 0; i < expression->indices.count; i++) {
        Index *index = &expression->indices.items[i];
        visit_expression(visitor, index->expression);
        visit_expression(visitor, index->begin);
        visit_expression(visitor, index->end);
        visit_expression(visitor, index->step);
    }
    visitor->expression(visitor, expression);
}

static void visit_type(Visitor *visitor, Type *type) {
    for (int i = 0; i < type->dimension_count; i++) visit_size(visitor, type->dimensions[i].size);
}

static void visit_static(Visitor *visitor, Static *value) {
    if (!value) return;
    visit_size(visitor, value->size);
    for (int i = 0; i < value->argument_count; i++) visit_static(visitor, value->arguments[i].value);
}

static void visit_use(Visitor *visitor, Use *use) {
    visit_size(visitor, use->count);
    visit_size(visitor, use->begin);
    visit_size(visitor, use->end);
    for (int i = 0; i < use->argument_count; i++) visit_static(visitor, use->arguments[i].value);
}

static void visit_block(Visitor *visitor, Block *block) {
    for (int i = 0; i < block->count; i++) {
        Statement *statement = block->items[i];
        visit_type(visitor, &statement->type);
        visit_use(visitor, &statement->use);
        for (int k = 0; k < statement->values.count; k++) visit_expression(visitor, statement->values.items[k]);
        visit_expression(visitor, statement->range_begin);
        visit_expression(visitor, statement->range_end);
        visit_block(visitor, &statement->body);
    }
}

static void visit_file(Visitor *visitor, File *file) {
    for (int i = 0; i < file->count; i++) {
        Item *item = file->items[i];
        for (int k = 0; k < item->parameter_count; k++) visit_type(visitor, &item->parameters[k].type);
        for (int k = 0; k < item->result_count; k++) visit_type(visitor, &item->results[k].type);
        visit_block(visitor, &item->body);
    }
}

// ---- sizes

static void make_number(Arena *arena, Expression *expression, int64_t value) {
    expression->kind = EXPRESSION_NUMBER;
    expression->number = (Number){arena_print(arena, "%lld", (long long)value), true, value, (double)value};
}

static void shrink_expression(Visitor *visitor, Expression *expression) {
    bool number = expression->kind == EXPRESSION_NUMBER && expression->number.is_integer;
    bool same = visitor->name ? expression->kind == EXPRESSION_NAME && !strcmp(expression->name.text, visitor->name)
                              : number && expression->number.integer == visitor->number;
    if (same) make_number(visitor->arena, expression, visitor->smaller);
}

static void shrink_size(Visitor *visitor, Size *size) {
    bool same = visitor->name ? size->kind == SIZE_NAME && !strcmp(size->name.text, visitor->name)
                              : size->kind == SIZE_NUMBER && size->number == visitor->number;
    if (!same) return;
    size->kind = SIZE_NUMBER;
    size->number = visitor->smaller;
}

static void add_number(Visitor *visitor, int64_t number) {
    for (int i = 0; i < visitor->found_count; i++)
        if (visitor->found[i] == number) return;
    if (number > 1 && visitor->found_count < 64) visitor->found[visitor->found_count++] = number;
}

static void find_expression(Visitor *visitor, Expression *expression) {
    if (expression->kind == EXPRESSION_NUMBER && expression->number.is_integer)
        add_number(visitor, expression->number.integer);
}

static void find_size(Visitor *visitor, Size *size) {
    if (size->kind == SIZE_NUMBER) add_number(visitor, size->number);
}

// Open dims as numbers, numbers everywhere as smaller ones.
static void edit_sizes(Editor *editor) {
    Visitor numbers = {.expression = find_expression, .size = find_size};
    visit_file(&numbers, editor->file);
    for (int i = 0; i < editor->file->count; i++) {
        Item *item = editor->file->items[i];
        for (int k = 0; item->kind == ITEM_DIM && k < item->names.count; k++)
            for (int value = 1; value < 4; value++) {
                if (!here(editor)) continue;
                Visitor shrink = {.expression = shrink_expression, .size = shrink_size, .arena = editor->arena};
                shrink.name = item->names.items[k].text;
                shrink.smaller = value;
                visit_file(&shrink, editor->file);
                if (item->names.count == 1) REMOVE(editor->file->items, editor->file->count, i);
                else REMOVE(item->names.items, item->names.count, k);
                return;
            }
    }
    for (int i = 0; i < numbers.found_count; i++) {
        int64_t number = numbers.found[i], smaller[] = {1, 2, 3, number - 1};
        for (int k = 0; k < 4; k++) {
            if (smaller[k] >= number || (k == 3 && number < 5) || !here(editor)) continue;
            Visitor shrink = {.expression = shrink_expression, .size = shrink_size, .arena = editor->arena};
            shrink.number = number;
            shrink.smaller = smaller[k];
            visit_file(&shrink, editor->file);
            return;
        }
    }
}

// ---- expressions

// The parts of an expression, each in place of it.
static void edit_parts(Editor *editor, Expression **slot) {
    Expression *expression = *slot;
    bool callee = expression->kind == EXPRESSION_CALL;
    if (expression->left && !callee && here(editor)) *slot = expression->left;
    if (expression->right && here(editor)) *slot = expression->right;
    for (int i = 0; i < expression->items.count; i++)
        if (here(editor)) *slot = expression->items.items[i];
    for (int i = 0; i < expression->arguments.count; i++)
        if (here(editor)) *slot = expression->arguments.items[i].value;
}

static void edit_arguments(Editor *editor, Expression *expression) {
    for (int i = expression->arguments.count - 1; i >= 0 && !is_done(editor); i--)
        if (here(editor)) REMOVE(expression->arguments.items, expression->arguments.count, i);
    for (int i = expression->items.count - 1; i >= 0 && !is_done(editor); i--)
        if (expression->items.count > 1 && here(editor)) REMOVE(expression->items.items, expression->items.count, i);
    for (int i = 0; i < expression->indices.count && !is_done(editor); i++) {
        Index *index = &expression->indices.items[i];
        bool plain = index->kind == INDEX_RANGE && !index->begin && !index->end && !index->step;
        if (!plain && here(editor)) *index = (Index){.kind = INDEX_RANGE};
        else if (expression->indices.count > 1 && here(editor))
            REMOVE(expression->indices.items, expression->indices.count, i);
    }
}

static void edit_expression(Editor *editor, Expression **slot) {
    Expression *expression = *slot;
    if (!expression || is_done(editor)) return;
    edit_parts(editor, slot);
    bool leaf = expression->kind <= EXPRESSION_BOOL;
    if (!leaf && here(editor)) {
        Expression *number = arena_new(editor->arena, Expression);
        number->kind = EXPRESSION_NUMBER;
        number->number = (Number){"0.5", false, 0, 0.5};
        *slot = number;
    }
    if (is_done(editor)) return;
    edit_arguments(editor, expression);
    if (expression->kind != EXPRESSION_CALL) edit_expression(editor, &expression->left);
    edit_expression(editor, &expression->right);
    for (int i = 0; i < expression->items.count; i++) edit_expression(editor, &expression->items.items[i]);
    for (int i = 0; i < expression->arguments.count; i++)
        edit_expression(editor, &expression->arguments.items[i].value);
    for (int i = 0; i < expression->indices.count; i++)
        edit_expression(editor, &expression->indices.items[i].expression);
}

// From the last statement to the first: what is returned holds up the most.
static void edit_expressions(Editor *editor, Block *block) {
    for (int i = block->count - 1; i >= 0 && !is_done(editor); i--) {
        Statement *statement = block->items[i];
        for (int k = 0; k < statement->values.count; k++) edit_expression(editor, &statement->values.items[k]);
        edit_expressions(editor, &statement->body);
    }
}

// ---- statements and declarations

static void rename_expression(Visitor *visitor, Expression *expression) {
    if (expression->kind == EXPRESSION_NAME && !strcmp(expression->name.text, visitor->name))
        expression->name.text = visitor->instead;
}

static void leave_size(Visitor *visitor, Size *size) {
    (void)visitor, (void)size;
}

// The loop's body in its place.
static void splice(Editor *editor, Block *block, int at) {
    Block body = block->items[at]->body;
    Statement **items = arena_array(editor->arena, Statement *, block->count + body.count);
    int count = 0;
    for (int i = 0; i < block->count; i++) {
        if (i != at) items[count++] = block->items[i];
        for (int k = 0; i == at && k < body.count; k++) items[count++] = body.items[k];
    }
    block->items = items;
    block->count = count;
}

static void edit_statement(Editor *editor, Item *item, Block *block, int at) {
    Statement *statement = block->items[at];
    bool assigns = statement->kind == STATEMENT_ASSIGN || statement->kind == STATEMENT_TYPED;
    bool alias = assigns && statement->names.count == 1 && statement->values.items[0]->kind == EXPRESSION_NAME;
    if (here(editor)) {
        REMOVE(block->items, block->count, at);
    } else if (statement->kind == STATEMENT_FOR && here(editor)) {
        splice(editor, block, at);
    } else if (alias && here(editor)) {
        Visitor rename = {.expression = rename_expression, .size = leave_size};
        rename.name = statement->names.items[0].text;
        rename.instead = statement->values.items[0]->name.text;
        REMOVE(block->items, block->count, at);
        visit_block(&rename, &item->body);
    } else if (statement->kind == STATEMENT_TYPED && here(editor)) {
        statement->kind = STATEMENT_ASSIGN;
    } else if (statement->kind == STATEMENT_YIELD && here(editor)) {
        statement->kind = STATEMENT_ASSIGN;
    }
}

static void edit_statements(Editor *editor, Item *item, Block *block) {
    for (int i = block->count - 1; i >= 0 && !is_done(editor); i--) {
        edit_statement(editor, item, block, i);
        if (!is_done(editor)) edit_statements(editor, item, &block->items[i]->body);
    }
}

static void edit_signature(Editor *editor, Item *item) {
    for (int i = item->parameter_count - 1; i >= 0 && !is_done(editor); i--) {
        if (here(editor)) REMOVE(item->parameters, item->parameter_count, i);
        else if (item->parameters[i].attribute && here(editor)) item->parameters[i].attribute = ATTRIBUTE_NONE;
    }
    for (int i = item->setting_count - 1; i >= 0 && !is_done(editor); i--)
        if (here(editor)) REMOVE(item->settings, item->setting_count, i);
    if (item->has_results && !is_done(editor) && here(editor)) item->has_results = false, item->result_count = 0;
}

static void edit_file(Editor *editor) {
    File *file = editor->file;
    for (int i = file->count - 1; i >= 0 && !is_done(editor); i--)
        if (here(editor)) REMOVE(file->items, file->count, i);
    for (int i = file->count - 1; i >= 0 && !is_done(editor); i--) {
        edit_signature(editor, file->items[i]);
        edit_statements(editor, file->items[i], &file->items[i]->body);
    }
    for (int i = file->count - 1; i >= 0 && !is_done(editor); i--) edit_expressions(editor, &file->items[i]->body);
    if (!is_done(editor)) edit_sizes(editor);
}

// ---- what nothing reads

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static bool stands_once(const char *text, const char *name) {
    int count = 0;
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length)
        count += (at == text || !is_word(at[-1])) && !is_word(at[length]);
    return count < 2;
}

static bool is_unused(const char *text, const Statement *statement) {
    if (statement->kind == STATEMENT_FOR) return !statement->body.count;
    if (statement->kind == STATEMENT_USE) return stands_once(text, statement->use.name.text);
    if (statement->kind == STATEMENT_RETURN || statement->kind == STATEMENT_DERIVATIVE) return false;
    for (int i = 0; i < statement->names.count; i++)
        if (!stands_once(text, statement->names.items[i].text)) return false;
    return true;
}

static void remove_unused(const char *text, Block *block) {
    for (int i = block->count - 1; i >= 0; i--) {
        remove_unused(text, &block->items[i]->body);
        if (is_unused(text, block->items[i])) REMOVE(block->items, block->count, i);
    }
}

// ---- the course

static File *parse(Arena *arena, const char *text) {
    Source *source = arena_new(arena, Source);
    *source = (Source){"reduced.grad", text, (uint32_t)strlen(text)};
    Diagnostics *diagnostics = diagnostics_create(arena, 0);
    File *file = parse_file(arena, diagnostics, source);
    return diagnostics_errors(diagnostics) ? NULL : file;
}

static char *text_of(Arena *arena, const File *file) {
    Text text = {.arena = arena};
    text_add(&text, "%s", "");
    print_file(&text, file);
    return text.bytes;
}

typedef struct {
    ShowsFault *shows;
    void *context;
    int budget;
    Reduction reduction;
    char *best;   // malloc'ed
} Search;

// Takes the text if it is another one and shows the fault.
static bool try_text(Search *search, const char *text) {
    if (strcmp(text, search->best) == 0 || search->budget-- <= 0) return false;
    search->reduction.tried++;
    if (!search->shows(search->context, text)) return false;
    search->reduction.taken++;
    free(search->best);
    search->best = strdup(text);
    return true;
}

static void drop_unused(Search *search) {
    for (bool again = true; again;) {
        Arena *arena = arena_create();
        File *file = parse(arena, search->best);
        for (int i = 0; file && i < file->count; i++) remove_unused(search->best, &file->items[i]->body);
        for (int i = file ? file->count - 1 : -1; i >= 0; i--) {
            bool callable = file->items[i]->kind == ITEM_FN || file->items[i]->kind == ITEM_NET;
            if (callable && stands_once(search->best, file->items[i]->name.text)) REMOVE(file->items, file->count, i);
        }
        again = file && try_text(search, text_of(arena, file));
        arena_destroy(arena);
    }
}

// All edits, once. True: some were taken.
static bool pass(Search *search) {
    bool progress = false, more = true;
    for (int target = 0; more && search->budget > 0;) {
        Arena *arena = arena_create();
        Editor editor = {.arena = arena, .file = parse(arena, search->best), .target = target};
        if (editor.file) edit_file(&editor);
        more = editor.file && is_done(&editor);
        bool taken = more && try_text(search, text_of(arena, editor.file));
        arena_destroy(arena);
        if (taken) drop_unused(search);
        progress = progress || taken;
        target += !taken;
    }
    return progress;
}

const char *reduce_text(Arena *arena, const char *text, ShowsFault *shows, void *context, int budget,
                        Reduction *reduction) {
    Search search = {.shows = shows, .context = context, .budget = budget, .best = strdup(text)};
    drop_unused(&search);
    while (pass(&search)) {
    }
    const char *best = arena_copy_text(arena, search.best, strlen(search.best));
    free(search.best);
    if (reduction) *reduction = search.reduction;
    return best;
}
