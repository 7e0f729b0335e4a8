// What scanner, parser and the tree's builders share while one source is parsed.
#ifndef GRADC_GRAMMAR_PARSE_H
#define GRADC_GRAMMAR_PARSE_H

#include "grammar/ast.h"

enum { MAX_LOOP_DEPTH = 200 };

// A place in the source: two byte offsets.
typedef struct {
    uint32_t begin, end;
} Place;

// A list in the making; its items are pointers.
typedef struct {
    void **items;
    int count, capacity;
} List;

typedef struct {
    uint32_t begin;   // of the token that it stands above
    const char *text;
} Documentation;

typedef struct Parse {
    Arena *arena;
    Diagnostics *diagnostics;
    const Source *source;
    void *scanner;   // flex's state

    uint32_t offset;   // of the next byte to scan
    uint32_t end;      // of what is parsed
    int brackets;      // open ( and [: newlines do not count inside
    int braces;
    Place item;         // of the word that the item begins with whose braces are open
    int item_token;     // that word
    int closing;        // braces that are missing, still to be handed out
    int last_token;     // 0 at the start of a line
    bool can_end;       // the last token may end a statement
    bool line_begins;   // the current token is the first of its line
    bool line_blank;    // nothing on this line yet, not even a comment
    int start_token;    // given to the parser first: what is to be parsed; 0 once given
    int pending;        // a token read ahead while skipping, or 0; its place and value
    Place pending_place;
    void *pending_value;
    bool resynchronise;   // an item's head was wrong: skip to the next item
    bool too_deep;        // said already
    Text comment;         // lines of # directly above
    ARRAY(Documentation) documentation;

    ARRAY(Item *) items;
    Expressions expressions;
} Parse;

Span span_of(const Parse *parse, Place place);
const char *documentation_at(const Parse *parse, uint32_t begin);

// ---- scanner.l
void *scanner_open(Parse *parse);                            // lives in the arena
int scanner_next(Parse *parse, void *value, Place *place);   // the next token, newlines that count included

// ---- encoding.c: false: the file is no text of UTF-8, which is reported. A mark of byte order is passed over.
bool check_encoding(Parse *parse);

// ---- scan.c: lines, comments, brackets
void scan_comment(Parse *parse, Place place);
bool scan_newline(Parse *parse);                           // whether it ends a statement
int scan_token(Parse *parse, void *value, Place *place);   // what the parser calls

// Lets the scanner go on after an error: open brackets are forgotten, and after an error in an item's head everything
// up to the next item is passed over.
void recover_brackets(Parse *parse, Place place);

// ---- errors (errors.c). Token names are those of parser.y: "a name", "'+'".
void report_syntax(Parse *parse, Place place, const char *found, const char *const *expected, int count);
void report_too_deep(Parse *parse, Place place);
void report_character(Parse *parse, Place place);
void report_number(Parse *parse, Place place);
void report_string(Parse *parse, Place place);
void report_size(Parse *parse, Place place);
void report_open_item(Parse *parse, Place place);   // an item begins, or the file ends, inside another's braces

// ---- what would mend them (hints.c); NULL: nothing in particular
const char *syntax_hint(Parse *parse, Place place, const char *found, const char *const *expected, int count);
const char *sign_hint(const char *bytes, uint32_t length);
const char *word_before(Parse *parse, Place place);   // right before, on its line; or ""
const char *word_behind(Parse *parse, Place place);   // right behind
bool in_settings(const Parse *parse);                 // in a data or train block

// ---- builders (build.c): all in the parse's arena
List *list_add(Parse *parse, List *list, void *item);   // list may be NULL
Name *build_name(Parse *parse, Place place);
Name *build_string(Parse *parse, Place place);
Expression *build_number(Parse *parse, Place place);
Expression *build_leaf(Parse *parse, ExpressionKind kind, const Name *name, Place place);
Expression *build_bool(Parse *parse, bool value, Place place);
Expression *build_unary(Parse *parse, Operator operator, Expression * operand, Place place);
Expression *build_binary(Parse *parse, Operator operator, Expression * left, Expression *right, Place operator_place);
Expression *build_group(Parse *parse, ExpressionKind kind, List *items, Place place);
Expression *build_call(Parse *parse, Expression *callee, List *arguments, Place place);
Expression *build_index(Parse *parse, Expression *value, List *indices, Place place);
Expression *build_member(Parse *parse, Expression *value, const Name *name, Place place);
Argument *build_argument(Parse *parse, const Name *name, Expression *value, Place place);
Index *build_index_item(Parse *parse, IndexKind kind, Expression *begin, Expression *end, Expression *step,
                        Place place);
Expressions expressions_of(const List *list);
Names names_of(Parse *parse, const List *list);

Size *build_size(Parse *parse, SizeKind kind, const Name *name, Operator operator, Size * left, Size *right,
                 Place place);
Size *build_size_number(Parse *parse, const Expression *number, Place place);
Dimension *build_dimension(Parse *parse, bool is_pack, const Name *name, Size *size, Place place);
Type *build_type(Parse *parse, const Name *name, const List *dimensions, Place place);
Static *build_static(Parse *parse, Size *size, const Name *name, const List *arguments, Place place);
Static *build_static_literal(Parse *parse, Expression *literal, Place place);
StaticArgument *build_static_argument(Parse *parse, const Name *name, Static *value, Place place);
StaticParameter *build_static_parameter(Parse *parse, const Name *name, const Name *type, Static *initial, Place place);
Declaration *build_declaration(Parse *parse, const Name *name, const Type *type, Attribute attribute,
                               Expression *initial, Place place);
ResultType *build_result(Parse *parse, const Name *name, const Type *type);
Initialiser *build_initialiser(Parse *parse, const Name *name, bool has_arguments, const List *arguments, Place place);
Use *build_use(Parse *parse, const Name *name, Use *array, const Static *source, Attribute attribute, Place place);
Use *build_use_array(Parse *parse, Size *count, const Name *index, Size *begin, Size *end);

Statement *build_statement(Parse *parse, StatementKind kind, const List *names, const List *values, Place place);
Statement *build_storage(Parse *parse, StatementKind kind, const Name *name, const Type *type, Attribute attribute,
                         const Initialiser *initialiser, Place place);
Statement *build_use_statement(Parse *parse, const Use *use, Place place);
Statement *build_typed(Parse *parse, const Name *name, const Type *type, Expression *value, Place place);
Statement *build_for(Parse *parse, const List *names, const List *values, Expression *begin, Expression *end,
                     const Block *body, Place place);
Block *build_block(Parse *parse, const List *statements, Place place);
Setting *build_setting(Parse *parse, const Name *name, bool is_assignment, const List *values, const List *patterns,
                       Place place);
Item *build_item(Parse *parse, ItemKind kind, const Name *name, Place place);
Item *build_callable(Parse *parse, ItemKind kind, const Name *name, const List *statics, const List *parameters,
                     const List *results, const Block *body, Place place);
void add_settings(Parse *parse, Item *item, const List *settings);
void add_item(Parse *parse, Item *item);   // NULL after an error: nothing is added

#endif
