// What a line is: where statements end, which comments document what, and how to go on after an error.
//
// A newline ends a statement unless a ( or [ is open, or the last token cannot end one (an operator, a comma). Comment
// lines directly above a token are kept under its position; builders of declarations ask for them.
#include "grammar/parse.h"
#include "grammar/parser.h"

#include <string.h>

void scan_comment(Parse *parse, Place place) {
    parse->line_blank = false;
    if (!parse->line_begins) return;   // after code: not documentation
    const char *text = parse->source->text + place.begin + 1;
    uint32_t length = place.end - place.begin - 1;
    while (length && *text == ' ') text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\r')) length--;
    if (parse->comment.length) text_add_bytes(&parse->comment, "\n", 1);
    text_add_bytes(&parse->comment, text, length);
}

static void forget_comment(Parse *parse) {
    parse->comment = (Text){.arena = parse->arena};
}

bool scan_newline(Parse *parse) {
    if (parse->line_blank) forget_comment(parse);
    parse->line_blank = true;
    parse->line_begins = true;
    return !parse->brackets && parse->can_end;
}

static bool ends_statement(int token) {
    switch (token) {
    case TOK_NAME:
    case TOK_NUMBER:
    case TOK_STRING:
    case TOK_TRUE:
    case TOK_FALSE:
    case TOK_REQUIRES_GRAD:
    case TOK_FROZEN:
    case TOK_RIGHT_PAREN:
    case TOK_RIGHT_BRACKET:
    case TOK_RIGHT_BRACE:
    case TOK_GREATER:
    case TOK_GRADC_UNDEF: return true;
    default: return token >= TOK_NET && token <= TOK_CONST;   // they are names, too
    }
}

static void count_brackets(Parse *parse, int token) {
    if (token == TOK_LEFT_PAREN || token == TOK_LEFT_BRACKET) parse->brackets++;
    if ((token == TOK_RIGHT_PAREN || token == TOK_RIGHT_BRACKET) && parse->brackets) parse->brackets--;
    if (token == TOK_LEFT_BRACE) parse->braces++, parse->brackets = 0;
    if (token == TOK_RIGHT_BRACE) parse->braces -= parse->braces > 0, parse->brackets = 0;
}

static bool begins_item(int token) {
    return (token >= TOK_NET && token <= TOK_CONST) || token == TOK_IMPORT || token == TOK_USE;
}

static uint32_t indentation(const Parse *parse, uint32_t place) {
    uint32_t begin = place;
    while (begin > 0 && parse->source->text[begin - 1] != '\n') begin--;
    return place - begin;
}

// Whether an item begins here for sure, though braces are open: `loss name(`, no further to the right than theirs.
static bool is_lost_item(Parse *parse, int token, Place place) {
    bool callable = token >= TOK_NET && token <= TOK_OPTIMIZER && token != TOK_DATA && token != TOK_TRAIN;
    if (!parse->braces || parse->brackets || !parse->item_token || token < TOK_NET || token > TOK_OPTIMIZER)
        return false;
    if (token == TOK_OPTIMIZER && in_settings(parse)) return false;
    if (indentation(parse, place.begin) > indentation(parse, parse->item.begin)) return false;
    const char *text = parse->source->text;
    uint32_t behind = place.end;
    while (text[behind] == ' ') behind++;
    const char *name = word_behind(parse, place);
    behind += (uint32_t)strlen(name);
    while (text[behind] == ' ') behind++;
    return *name && (callable ? text[behind] == '(' || text[behind] == '<' : text[behind] == '{');
}

static int next_token(Parse *parse, void *value, Place *place) {
    int token = scanner_next(parse, value, place);
    if (token == TOK_END) {
        place->begin = place->end = parse->end;
        if (parse->can_end && parse->last_token != TOK_EOL) token = TOK_EOL;   // a last line without a newline
    }
    bool first = parse->line_begins && token != TOK_EOL;
    if (token != TOK_EOL) {
        if (first && parse->comment.length) {
            Documentation documentation = {place->begin, parse->comment.bytes};
            array_push(parse->arena, &parse->documentation, documentation);
        }
        forget_comment(parse);
        parse->line_blank = false;
    }
    if (first && is_lost_item(parse, token, *place)) {
        report_open_item(parse, *place);
        parse->closing = parse->braces;
        parse->braces = 0;
    }
    bool begins = !parse->last_token || parse->last_token == TOK_EOL || parse->last_token == TOK_RIGHT_BRACE;
    if (!parse->braces && begins && begins_item(token)) {
        parse->item = *place;
        parse->item_token = token;
    }
    count_brackets(parse, token);
    parse->can_end = ends_statement(token);
    parse->last_token = token;
    if (token != TOK_EOL) parse->line_begins = false;
    return token;
}

// Passes over the rest of a broken item: up to a line that begins one, outside braces.
static int skip_item(Parse *parse, void *value, Place *place) {
    for (;;) {
        bool line = parse->line_begins;
        bool outside = parse->braces == 0;
        int token = next_token(parse, value, place);
        if (token == TOK_END || (line && outside && begins_item(token))) return token;
    }
}

// Hands the token out once more.
static void keep(Parse *parse, int token, const void *value, Place place) {
    parse->pending = token;
    parse->pending_place = place;
    memcpy(&parse->pending_value, value, sizeof parse->pending_value);
}

int scan_token(Parse *parse, void *value, Place *place) {
    if (parse->start_token) {
        int token = parse->start_token;
        parse->start_token = 0;
        *place = (Place){0, 0};
        return token;
    }
    if (parse->closing) {
        *place = (Place){parse->pending_place.begin, parse->pending_place.begin};
        parse->closing--;
        return TOK_RIGHT_BRACE;
    }
    if (parse->pending) {
        int token = parse->pending;
        parse->pending = 0;
        *place = parse->pending_place;
        memcpy(value, &parse->pending_value, sizeof parse->pending_value);
        return token;
    }
    if (!parse->resynchronise) {
        int token = next_token(parse, value, place);
        if (!parse->closing) return token;
        keep(parse, token, value, *place);
        place->end = place->begin;
        parse->closing--;
        return TOK_RIGHT_BRACE;
    }
    parse->resynchronise = false;
    keep(parse, skip_item(parse, value, place), value, *place);
    if (parse->pending == TOK_END) parse->pending = 0;
    return TOK_EOL;   // what the parser's recovery waits for
}

void recover_brackets(Parse *parse, Place place) {
    (void)place;
    parse->brackets = 0;
    if (parse->braces == 0 && parse->last_token != TOK_EOL && parse->last_token != TOK_END) parse->resynchronise = true;
}

const char *documentation_at(const Parse *parse, uint32_t begin) {
    for (int i = parse->documentation.count - 1; i >= 0; i--) {
        if (parse->documentation.items[i].begin == begin) return parse->documentation.items[i].text;
        if (parse->documentation.items[i].begin < begin) break;
    }
    return NULL;
}
