// The grammar of the language (LALR(1), no conflicts). Actions only build nodes; build.c has the builders.
%require "3.8"
%define api.pure full
%define api.prefix {gradc_}
%define api.token.prefix {TOK_}
%define api.location.type {Place}
%define api.value.type union
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {Parse *parse}

%code requires {
#include "grammar/parse.h"
}

%code {
static int gradc_lex(GRADC_STYPE *value, Place *place, Parse *parse);
static void gradc_error(Place *place, Parse *parse, const char *message);
#define YYLLOC_DEFAULT(result, right, count)                                              \
    ((result).begin = (count) ? YYRHSLOC(right, 1).begin : YYRHSLOC(right, 0).end,        \
     (result).end = YYRHSLOC(right, count).end)
// All of the stack at once, so that none is left over when the arena runs out in an action.
#define YYMAXDEPTH 20000
#define YYINITDEPTH YYMAXDEPTH
}

%token END 0 "the end of the file"
%token EOL "the end of the line"
%token START_FILE START_EXPRESSIONS
%token <Name *> NAME "a name" STRING "a string"
%token <Expression *> NUMBER "a number"
%token NET "'net'" FN "'fn'" LOSS "'loss'" METRIC "'metric'" DATA "'data'" TRAIN "'train'" OPTIMIZER "'optimizer'"
%token DIM "'dim'" CONST "'const'"
%token IMPORT "'import'" USE "'use'" PARAM "'param'" STATE "'state'" RETURN "'return'" YIELD "'yield'"
%token REPORT "'report'" DERIVATIVE "'derivative'" FOR "'for'" IN "'in'" REQUIRES_GRAD "'requires_grad'"
%token FROZEN "'frozen'" TRUE "'true'" FALSE "'false'"
%token OR "'or'" AND "'and'" NOT "'not'"
%token LESS "'<'" GREATER "'>'" LESS_EQUAL "'<='" GREATER_EQUAL "'>='" EQUAL "'=='" NOT_EQUAL "'!='"
%token PLUS "'+'" MINUS "'-'" STAR "'*'" SLASH "'/'" FLOOR "'//'" PERCENT "'%'" AT "'@'" POWER "'^'"
%token LEFT_PAREN "'('" RIGHT_PAREN "')'" LEFT_BRACKET "'['" RIGHT_BRACKET "']'" LEFT_BRACE "'{'" RIGHT_BRACE "'}'"
%token COMMA "','" COLON "':'" DOT "'.'" ELLIPSIS "'...'" ASSIGN "'='" TILDE "'~'" ARROW "'->'"

%left OR
%left AND
%precedence NOT
%nonassoc LESS GREATER LESS_EQUAL GREATER_EQUAL EQUAL NOT_EQUAL
%left PLUS MINUS
%left STAR SLASH FLOOR PERCENT AT
%precedence NEGATE
%right POWER

%type <Name *> name soft_name
%type <List *> names expressions arguments argument_list indices declarations declaration_list statics static_list
%type <List *> static_arguments template_arguments dimensions results result_list statements settings patterns
%type <Expression *> expression postfix literal default bound
%type <Argument *> argument
%type <Index *> index
%type <Size *> size
%type <Dimension *> dimension
%type <Type *> type
%type <Attribute> attribute
%type <Static *> static template static_default
%type <StaticArgument *> static_argument
%type <StaticParameter *> static_parameter
%type <Declaration *> declaration
%type <ResultType *> result
%type <Initialiser *> initialiser
%type <Use *> use use_array
%type <Statement *> statement loop
%type <Block *> block
%type <Setting *> setting
%type <Item *> item
%type <ItemKind> callable block_kind

%%
start: START_FILE file | START_EXPRESSIONS expressions EOL { parse->expressions = expressions_of($2); };

file: %empty | file EOL | file item { add_item(parse, $2); };

item:
    IMPORT STRING EOL                 { $$ = build_item(parse, ITEM_IMPORT, $2, @$); }
  | DIM names EOL                     { $$ = build_item(parse, ITEM_DIM, NULL, @$); $$->names = names_of(parse, $2); }
  | CONST name ASSIGN expression EOL  { $$ = build_item(parse, ITEM_CONST, $2, @$); $$->value = $4; }
  | use EOL                           { $$ = build_item(parse, ITEM_USE, &$1->name, @$); $$->use = *$1; }
  | callable name statics LEFT_PAREN declarations RIGHT_PAREN results block
        { $$ = build_callable(parse, $1, $2, $3, $5, $7, $8, @$); }
  | block_kind name LEFT_BRACE settings RIGHT_BRACE
        { $$ = build_item(parse, $1, $2, @$); add_settings(parse, $$, $4); }
  | block_kind name LEFT_BRACE settings setting RIGHT_BRACE
        { $$ = build_item(parse, $1, $2, @$); add_settings(parse, $$, list_add(parse, $4, $5)); }
  | block_kind name LEFT_BRACE settings error RIGHT_BRACE
        { $$ = build_item(parse, $1, $2, @$); add_settings(parse, $$, $4); yyerrok; }
  | error EOL                         { $$ = NULL; yyerrok; };

callable: NET { $$ = ITEM_NET; } | FN { $$ = ITEM_FN; } | LOSS { $$ = ITEM_LOSS; } | METRIC { $$ = ITEM_METRIC; }
  | OPTIMIZER { $$ = ITEM_OPTIMIZER; };
block_kind: DATA { $$ = ITEM_DATA; } | TRAIN { $$ = ITEM_TRAIN; };

statics: %empty { $$ = NULL; } | LESS static_list GREATER { $$ = $2; };
static_list: static_parameter { $$ = list_add(parse, NULL, $1); }
  | static_list COMMA static_parameter { $$ = list_add(parse, $1, $3); };
static_parameter: name static_default { $$ = build_static_parameter(parse, $1, NULL, $2, @$); }
  | name COLON name static_default { $$ = build_static_parameter(parse, $1, $3, $4, @$); };
static_default: %empty { $$ = NULL; } | ASSIGN static { $$ = $2; };

declarations: %empty { $$ = NULL; } | declaration_list | declaration_list COMMA;
declaration_list: declaration { $$ = list_add(parse, NULL, $1); }
  | declaration_list COMMA declaration { $$ = list_add(parse, $1, $3); };
declaration: name COLON type attribute default { $$ = build_declaration(parse, $1, $3, $4, $5, @$); };
attribute: %empty { $$ = ATTRIBUTE_NONE; } | REQUIRES_GRAD { $$ = ATTRIBUTE_REQUIRES_GRAD; }
  | FROZEN { $$ = ATTRIBUTE_FROZEN; };
default: %empty { $$ = NULL; } | ASSIGN expression { $$ = $2; };

results: %empty { $$ = NULL; }
  | ARROW type { $$ = list_add(parse, NULL, build_result(parse, NULL, $2)); }
  | ARROW LEFT_PAREN result_list RIGHT_PAREN { $$ = $3; };
result_list: result { $$ = list_add(parse, NULL, $1); } | result_list COMMA result { $$ = list_add(parse, $1, $3); };
result: type { $$ = build_result(parse, NULL, $1); } | name COLON type { $$ = build_result(parse, $1, $3); };

type: name { $$ = build_type(parse, $1, NULL, @$); }
  | name LEFT_BRACKET dimensions RIGHT_BRACKET { $$ = build_type(parse, $1, $3, @$); };
dimensions: dimension { $$ = list_add(parse, NULL, $1); }
  | dimensions COMMA dimension { $$ = list_add(parse, $1, $3); };
dimension: STAR { $$ = build_dimension(parse, true, NULL, NULL, @$); }
  | STAR name { $$ = build_dimension(parse, true, $2, NULL, @$); }
  | size { $$ = build_dimension(parse, false, NULL, $1, @$); };

size: NUMBER { $$ = build_size_number(parse, $1, @$); }
  | name { $$ = build_size(parse, SIZE_NAME, $1, 0, NULL, NULL, @$); }
  | name LEFT_BRACKET size RIGHT_BRACKET { $$ = build_size(parse, SIZE_INDEX, $1, 0, $3, NULL, @$); }
  | LEFT_PAREN size RIGHT_PAREN { $$ = $2; }
  | MINUS size %prec NEGATE { $$ = build_size(parse, SIZE_NEGATE, NULL, OPERATOR_NEGATE, $2, NULL, @$); }
  | size PLUS size { $$ = build_size(parse, SIZE_BINARY, NULL, OPERATOR_ADD, $1, $3, @$); }
  | size MINUS size { $$ = build_size(parse, SIZE_BINARY, NULL, OPERATOR_SUBTRACT, $1, $3, @$); }
  | size STAR size { $$ = build_size(parse, SIZE_BINARY, NULL, OPERATOR_MULTIPLY, $1, $3, @$); }
  | size FLOOR size { $$ = build_size(parse, SIZE_BINARY, NULL, OPERATOR_FLOOR_DIVIDE, $1, $3, @$); }
  | size PERCENT size { $$ = build_size(parse, SIZE_BINARY, NULL, OPERATOR_REMAINDER, $1, $3, @$); };

block: LEFT_BRACE statements RIGHT_BRACE { $$ = build_block(parse, $2, @$); }
  | LEFT_BRACE statements statement RIGHT_BRACE { $$ = build_block(parse, list_add(parse, $2, $3), @$); }
  | LEFT_BRACE statements error RIGHT_BRACE { $$ = build_block(parse, $2, @$); yyerrok; };
statements: %empty { $$ = NULL; }
  | statements EOL
  | statements statement EOL { $$ = list_add(parse, $1, $2); }
  | statements loop { $$ = list_add(parse, $1, $2); }
  | statements FOR error block { yyerrok; }
  | statements FOR error EOL { yyerrok; }
  | statements error block { yyerrok; }
  | statements error EOL { yyerrok; };
loop: FOR names IN expressions block { $$ = build_for(parse, $2, $4, NULL, NULL, $5, @$); }
  | FOR names IN expression COLON expression block { $$ = build_for(parse, $2, NULL, $4, $6, $7, @$); };

statement:
    PARAM name COLON type attribute initialiser
        { $$ = build_storage(parse, STATEMENT_PARAMETER, $2, $4, $5, $6, @$); }
  | STATE name COLON type initialiser { $$ = build_storage(parse, STATEMENT_STATE, $2, $4, ATTRIBUTE_NONE, $5, @$); }
  | use { $$ = build_use_statement(parse, $1, @$); }
  | names ASSIGN expressions { $$ = build_statement(parse, STATEMENT_ASSIGN, $1, $3, @$); }
  | name COLON type ASSIGN expression { $$ = build_typed(parse, $1, $3, $5, @$); }
  | RETURN expressions { $$ = build_statement(parse, STATEMENT_RETURN, NULL, $2, @$); }
  | YIELD name ASSIGN expression
        { $$ = build_statement(parse, STATEMENT_YIELD, list_add(parse, NULL, $2), list_add(parse, NULL, $4), @$); }
  | REPORT name ASSIGN expression
        { $$ = build_statement(parse, STATEMENT_REPORT, list_add(parse, NULL, $2), list_add(parse, NULL, $4), @$); }
  | DERIVATIVE LEFT_PAREN names RIGHT_PAREN ASSIGN expressions
        { $$ = build_statement(parse, STATEMENT_DERIVATIVE, $3, $6, @$); };

initialiser: %empty { $$ = NULL; }
  | TILDE name { $$ = build_initialiser(parse, $2, false, NULL, @$); }
  | TILDE name LEFT_PAREN arguments RIGHT_PAREN { $$ = build_initialiser(parse, $2, true, $4, @$); };

use: USE name use_array ASSIGN template attribute { $$ = build_use(parse, $2, $3, $5, $6, @$); };
use_array: %empty { $$ = NULL; }
  | LEFT_BRACKET size RIGHT_BRACKET { $$ = build_use_array(parse, $2, NULL, NULL, NULL); }
  | LEFT_BRACKET name IN size COLON size RIGHT_BRACKET { $$ = build_use_array(parse, NULL, $2, $4, $6); };
template: name { $$ = build_static(parse, NULL, $1, NULL, @$); }
  | name template_arguments { $$ = build_static(parse, NULL, $1, $2, @$); };
template_arguments: LESS static_arguments GREATER { $$ = $2; };
static_arguments: static_argument { $$ = list_add(parse, NULL, $1); }
  | static_arguments COMMA static_argument { $$ = list_add(parse, $1, $3); };
static_argument: static { $$ = build_static_argument(parse, NULL, $1, @$); }
  | name ASSIGN static { $$ = build_static_argument(parse, $1, $3, @$); };
static: size { $$ = build_static(parse, $1, NULL, NULL, @$); }
  | literal { $$ = build_static_literal(parse, $1, @$); }
  | name template_arguments { $$ = build_static(parse, NULL, $1, $2, @$); };

settings: %empty { $$ = NULL; }
  | settings EOL
  | settings setting EOL { $$ = list_add(parse, $1, $2); }
  | settings error EOL { yyerrok; };
setting: name ASSIGN expression
        { $$ = build_setting(parse, $1, true, list_add(parse, NULL, $3), NULL, @$); }
  | name COLON type ASSIGN expression
        { $$ = build_setting(parse, $1, true, list_add(parse, NULL, $5), NULL, @$); $$->type = $3; }
  | name expressions { $$ = build_setting(parse, $1, false, $2, NULL, @$); }
  | name expressions FOR patterns { $$ = build_setting(parse, $1, false, $2, $4, @$); };
patterns: STRING { $$ = list_add(parse, NULL, $1); } | patterns COMMA STRING { $$ = list_add(parse, $1, $3); };

expression: postfix
  | expression OR expression { $$ = build_binary(parse, OPERATOR_OR, $1, $3, @2); }
  | expression AND expression { $$ = build_binary(parse, OPERATOR_AND, $1, $3, @2); }
  | NOT expression { $$ = build_unary(parse, OPERATOR_NOT, $2, @$); }
  | expression LESS expression { $$ = build_binary(parse, OPERATOR_LESS, $1, $3, @2); }
  | expression GREATER expression { $$ = build_binary(parse, OPERATOR_GREATER, $1, $3, @2); }
  | expression LESS_EQUAL expression { $$ = build_binary(parse, OPERATOR_LESS_EQUAL, $1, $3, @2); }
  | expression GREATER_EQUAL expression { $$ = build_binary(parse, OPERATOR_GREATER_EQUAL, $1, $3, @2); }
  | expression EQUAL expression { $$ = build_binary(parse, OPERATOR_EQUAL, $1, $3, @2); }
  | expression NOT_EQUAL expression { $$ = build_binary(parse, OPERATOR_NOT_EQUAL, $1, $3, @2); }
  | expression PLUS expression { $$ = build_binary(parse, OPERATOR_ADD, $1, $3, @2); }
  | expression MINUS expression { $$ = build_binary(parse, OPERATOR_SUBTRACT, $1, $3, @2); }
  | expression STAR expression { $$ = build_binary(parse, OPERATOR_MULTIPLY, $1, $3, @2); }
  | expression SLASH expression { $$ = build_binary(parse, OPERATOR_DIVIDE, $1, $3, @2); }
  | expression FLOOR expression { $$ = build_binary(parse, OPERATOR_FLOOR_DIVIDE, $1, $3, @2); }
  | expression PERCENT expression { $$ = build_binary(parse, OPERATOR_REMAINDER, $1, $3, @2); }
  | expression AT expression { $$ = build_binary(parse, OPERATOR_MATMUL, $1, $3, @2); }
  | MINUS expression %prec NEGATE { $$ = build_unary(parse, OPERATOR_NEGATE, $2, @$); }
  | expression POWER expression { $$ = build_binary(parse, OPERATOR_POWER, $1, $3, @2); };

literal: STRING { $$ = build_leaf(parse, EXPRESSION_STRING, $1, @$); }
  | TRUE { $$ = build_bool(parse, true, @$); }
  | FALSE { $$ = build_bool(parse, false, @$); };
postfix: name { $$ = build_leaf(parse, EXPRESSION_NAME, $1, @$); }
  | NUMBER
  | literal
  | LEFT_PAREN expressions RIGHT_PAREN { $$ = build_group(parse, EXPRESSION_TUPLE, $2, @$); }
  | LEFT_BRACKET expressions RIGHT_BRACKET { $$ = build_group(parse, EXPRESSION_TENSOR, $2, @$); }
  | postfix LEFT_PAREN arguments RIGHT_PAREN { $$ = build_call(parse, $1, $3, @$); }
  | postfix LEFT_BRACKET indices RIGHT_BRACKET { $$ = build_index(parse, $1, $3, @$); }
  | postfix DOT name { $$ = build_member(parse, $1, $3, @$); }
  | postfix DOT NUMBER { $$ = build_member(parse, $1, build_name(parse, @3), @$); };

expressions: expression { $$ = list_add(parse, NULL, $1); }
  | expressions COMMA expression { $$ = list_add(parse, $1, $3); };
arguments: %empty { $$ = NULL; } | argument_list | argument_list COMMA;
argument_list: argument { $$ = list_add(parse, NULL, $1); }
  | argument_list COMMA argument { $$ = list_add(parse, $1, $3); };
argument: expression { $$ = build_argument(parse, NULL, $1, @$); }
  | name ASSIGN expression { $$ = build_argument(parse, $1, $3, @$); };
indices: index { $$ = list_add(parse, NULL, $1); } | indices COMMA index { $$ = list_add(parse, $1, $3); };
index: expression { $$ = build_index_item(parse, INDEX_EXPRESSION, $1, NULL, NULL, @$); }
  | ELLIPSIS { $$ = build_index_item(parse, INDEX_ELLIPSIS, NULL, NULL, NULL, @$); }
  | bound COLON bound { $$ = build_index_item(parse, INDEX_RANGE, $1, $3, NULL, @$); }
  | bound COLON bound COLON bound { $$ = build_index_item(parse, INDEX_RANGE, $1, $3, $5, @$); };
bound: %empty { $$ = NULL; } | expression;

names: name { $$ = list_add(parse, NULL, $1); } | names COMMA name { $$ = list_add(parse, $1, $3); };
name: NAME | soft_name;
soft_name: NET { $$ = build_name(parse, @1); } | FN { $$ = build_name(parse, @1); }
  | LOSS { $$ = build_name(parse, @1); } | METRIC { $$ = build_name(parse, @1); }
  | DATA { $$ = build_name(parse, @1); } | TRAIN { $$ = build_name(parse, @1); }
  | OPTIMIZER { $$ = build_name(parse, @1); } | DIM { $$ = build_name(parse, @1); }
  | CONST { $$ = build_name(parse, @1); };
%%

// The parser asks here: the start token first, then the source's.
static int gradc_lex(GRADC_STYPE *value, Place *place, Parse *parse) {
    return scan_token(parse, value, place);
}

static int yyreport_syntax_error(const yypcontext_t *context, Parse *parse) {
    yysymbol_kind_t expected[YYNTOKENS];
    int count = yypcontext_expected_tokens(context, expected, YYNTOKENS);
    const char *names[YYNTOKENS];
    for (int i = 0; i < count; i++) names[i] = yysymbol_name(expected[i]);
    yysymbol_kind_t token = yypcontext_token(context);
    Place place = *yypcontext_location(context);
    if (token == YYSYMBOL_YYEMPTY) return 0;
    bool illegal = token == YYSYMBOL_YYUNDEF;   // the scanner has said why
    if (!illegal) report_syntax(parse, place, yysymbol_name(token), names, count);
    recover_brackets(parse, place);
    return 0;
}

// Only for what is no syntax error: the parser's stack is bounded.
static void gradc_error(Place *place, Parse *parse, const char *message) {
    (void)message;
    report_too_deep(parse, *place);
}
