// The syntax tree: what was written, and where. No names are resolved and no types known here.
//
// All nodes live in the parse's arena. Names are zero-terminated and not interned: compare with strcmp. Lists are a
// pointer and a count. Every node has the span of its text.
#ifndef GRADC_GRAMMAR_AST_H
#define GRADC_GRAMMAR_AST_H

#include "support/diagnostics.h"

typedef struct Expression Expression;
typedef struct Statement Statement;
typedef struct Size Size;
typedef struct Static Static;

typedef struct {
    const char *text;
    Span span;
} Name;

typedef struct {
    Name *items;
    int count;
} Names;

typedef struct {
    Expression **items;
    int count;
} Expressions;

// ---- expressions

typedef enum {
    EXPRESSION_NAME,     // name
    EXPRESSION_NUMBER,   // number
    EXPRESSION_STRING,   // name.text is the string's content
    EXPRESSION_BOOL,     // boolean
    EXPRESSION_UNARY,    // operator left
    EXPRESSION_BINARY,   // left operator right
    EXPRESSION_TENSOR,   // [items]
    EXPRESSION_TUPLE,    // (items) of none, two or more
    EXPRESSION_CALL,     // left(arguments)
    EXPRESSION_INDEX,    // left[indices]
    EXPRESSION_MEMBER    // left.name, or left.0: then name.text is the digits
} ExpressionKind;

typedef enum {
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_NOT,
    OPERATOR_LESS,
    OPERATOR_GREATER,
    OPERATOR_LESS_EQUAL,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_FLOOR_DIVIDE,
    OPERATOR_REMAINDER,
    OPERATOR_MATMUL,
    OPERATOR_NEGATE,
    OPERATOR_POWER
} Operator;

const char *operator_text(Operator operator);   // "+", "and"

typedef struct {
    const char *text;   // as written
    bool is_integer;    // no point, no exponent, and it fits
    int64_t integer;    // valid if is_integer
    double real;        // always valid
} Number;

typedef struct {
    Name name;   // text NULL: by position
    Expression *value;
    Span span;
} Argument;

typedef struct {
    Argument *items;
    int count;
} Arguments;

typedef enum { INDEX_EXPRESSION, INDEX_ELLIPSIS, INDEX_RANGE } IndexKind;

typedef struct {
    IndexKind kind;
    Expression *expression;           // INDEX_EXPRESSION
    Expression *begin, *end, *step;   // INDEX_RANGE: NULL where not written
    Span span;
} Index;

typedef struct {
    Index *items;
    int count;
} Indices;

struct Expression {
    ExpressionKind kind;
    Span span;
    Name name;
    Number number;
    bool boolean;
    Operator operator;
    Span operator_span;
    Expression *left, *right;
    Expressions items;
    Arguments arguments;
    Indices indices;
    int depth;   // of nesting; bounded by the parser
};

// ---- types and sizes

typedef enum {
    SIZE_NUMBER,
    SIZE_NAME,
    SIZE_INDEX,    // name[left]: a size out of a shape argument
    SIZE_NEGATE,   // -left
    SIZE_BINARY    // left operator right: OPERATOR_ADD, SUBTRACT, MULTIPLY, FLOOR_DIVIDE, REMAINDER
} SizeKind;

struct Size {
    SizeKind kind;
    Span span;
    int64_t number;
    Name name;
    Operator operator;
    Size *left, *right;
    int depth;
};

typedef struct {
    bool is_pack;   // *, or *name
    Name name;      // of the pack; text NULL for the plain one
    Size *size;     // if not a pack
    Span span;
} Dimension;

typedef struct {
    Name name;   // "f32", "float", "int", "fn", ...
    bool has_dimensions;
    Dimension *dimensions;
    int dimension_count;
    Span span;
} Type;

typedef enum { ATTRIBUTE_NONE, ATTRIBUTE_REQUIRES_GRAD, ATTRIBUTE_FROZEN } Attribute;

// ---- declarations

// A net's or instance's compile-time argument: a size, a bool or string, or a name with arguments of its own ("dense<2, 3>").
// A lone name is a SIZE_NAME in `size`: only its use tells whether it is a function.
typedef struct {
    Name name;   // text NULL: by position
    Static *value;
    Span span;
} StaticArgument;

struct Static {
    Size *size;            // or
    Expression *literal;   // true, false or a string; or
    Name template_name;
    StaticArgument *arguments;
    int argument_count;
    Span span;
};

typedef struct {
    Name name;
    Name type;         // text NULL: a size
    Static *initial;   // the default, or NULL
    Span span;
} StaticParameter;

typedef struct {
    Name name;
    Type type;
    Attribute attribute;
    Expression *initial;   // the default, or NULL
    Span span;
} Declaration;

typedef struct {
    Name name;   // text NULL: unnamed
    Type type;
} ResultType;

typedef struct {
    Name name;   // text NULL: no initialiser
    bool has_arguments;
    Arguments arguments;
    Span span;
} Initialiser;

// use NAME = template, use NAME[4] = template, use NAME[i in 0:3] = template
typedef struct {
    Name name;
    bool is_array;
    Size *count;   // NAME[count]; or NULL with:
    Name index;    // NAME[index in begin:end]
    Size *begin, *end;
    Name template_name;
    bool has_arguments;   // <...> was written
    StaticArgument *arguments;
    int argument_count;
    Attribute attribute;
    Span span;
} Use;

typedef struct {
    Statement **items;
    int count;
    Span span;
} Block;

typedef enum {
    STATEMENT_PARAMETER,    // param name: type attribute ~ initialiser
    STATEMENT_STATE,        // state name: type ~ initialiser
    STATEMENT_USE,          // use
    STATEMENT_ASSIGN,       // names = values
    STATEMENT_TYPED,        // names[0]: type = values[0]
    STATEMENT_RETURN,       // return values
    STATEMENT_YIELD,        // yield names[0] = values[0]
    STATEMENT_REPORT,       // report names[0] = values[0]
    STATEMENT_DERIVATIVE,   // derivative(names) = values
    STATEMENT_FOR           // for names in values body; or for names[0] in range_begin : range_end body
} StatementKind;

struct Statement {
    StatementKind kind;
    Span span;
    const char *documentation;   // of param and state; or NULL
    Names names;
    Type type;
    Attribute attribute;
    Initialiser initialiser;
    Use use;
    Expressions values;
    Expression *range_begin, *range_end;   // FOR over a range; else NULL
    Block body;
    int depth;   // of loops in it
};

// NAME = expression, NAME: type = expression, or NAME expressions for "patterns", in data and train blocks
typedef struct {
    Name name;
    bool is_assignment;
    Type *type;   // that is written; or NULL
    Expressions values;
    Name *patterns;   // strings after `for`
    int pattern_count;
    Span span;
} Setting;

typedef enum {
    ITEM_IMPORT,   // import "name"
    ITEM_DIM,      // dim names
    ITEM_CONST,    // const name = value
    ITEM_USE,
    ITEM_NET,
    ITEM_FN,
    ITEM_LOSS,
    ITEM_METRIC,
    ITEM_OPTIMIZER,
    ITEM_DATA,
    ITEM_TRAIN
} ItemKind;

typedef struct {
    ItemKind kind;
    Span span;                   // of the whole item; name.span is for messages
    const char *documentation;   // the # lines directly above, joined by \n, without the marks; or NULL
    Name name;                   // also the import's string
    Names names;                 // DIM
    Expression *value;           // CONST
    Use use;                     // USE
    StaticParameter *statics;    // NET, FN, LOSS, METRIC, OPTIMIZER:
    int static_count;
    Declaration *parameters;
    int parameter_count;
    bool has_results;   // -> was written
    ResultType *results;
    int result_count;
    Block body;
    Setting *settings;   // DATA, TRAIN
    int setting_count;
} Item;

typedef struct {
    const Source *source;
    Item **items;
    int count;
} File;

// Parses the source. Returns what could be understood; whether there were errors stands in `diagnostics`.
File *parse_file(Arena *arena, Diagnostics *diagnostics, const Source *source);
// The same of the bytes from `begin` to `end`, whose encoding is known to be right.
File *parse_part(Arena *arena, Diagnostics *diagnostics, const Source *source, uint32_t begin, uint32_t end);

// Parses expressions separated by commas, as derivative rules are written. Count 0 after an error.
Expressions parse_expressions(Arena *arena, Diagnostics *diagnostics, const Source *source);

// Prints the file back as a program in a normal layout, which parses to the same tree; comments are kept where they
// document something.
void print_file(Text *text, const File *file);
void print_expression(Text *text, const Expression *expression);
// Prints the tree itself, one node a line, indented.
void print_tree(Text *text, const File *file);

#endif
