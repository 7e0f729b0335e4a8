// The wording of syntax errors: what was found, what could stand there, and the usual cause.
#include "grammar/parse.h"

#include <string.h>

static const char *const comparisons[] = {"'<'", "'>'", "'<='", "'>='", "'=='", "'!='", NULL};
static const char *const operators[] = {"'or'", "'and'", "'<'", "'>'",  "'<='", "'>='", "'=='", "'!='", "'+'",
                                        "'-'",  "'*'",   "'/'", "'//'", "'%'",  "'@'",  "'^'",  NULL};
static const char *const soft_names[] = {"'net'",   "'fn'",  "'loss'",      "'metric'", "'data'",
                                         "'train'", "'dim'", "'optimizer'", "'const'",  NULL};
static const char *const starts[] = {"a name", "a number", "a string", "'true'", "'false'",
                                     "'('",    "'['",      "'-'",      "'not'",  NULL};

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++)
        if (strcmp(text, *list) == 0) return true;
    return false;
}

static bool expects(const char *const *expected, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(expected[i], name) == 0) return true;
    return false;
}

// The few things that could stand here, in words: "a name, ',' or ')'". Empty when there are too many to help.
static const char *expectation(Parse *parse, const char *const *expected, int count) {
    const char *shown[6];
    int shown_count = 0;
    bool item = expects(expected, count, "'import'") && expects(expected, count, "'net'");
    if (item) return "; expected an item: 'net', 'fn', 'loss', 'metric', 'data', 'train', 'dim', 'const', 'use' ...";
    bool value =
        expects(expected, count, "a number") && expects(expected, count, "'('") && expects(expected, count, "a string");
    bool operator= expects(expected, count, "'+'") && expects(expected, count, "'*'");
    if (value) shown[shown_count++] = "an expression";
    if (operator) shown[shown_count++] = "an operator";
    for (int i = 0; i < count; i++) {
        bool covered = (value && is_one_of(expected[i], starts)) || (operator&& is_one_of(expected[i], operators)) ||
                       is_one_of(expected[i], soft_names);
        bool postfix = operator&&(!strcmp(expected[i], "'('") || !strcmp(expected[i], "'['") ||
                                  !strcmp(expected[i], "'.'"));
        if (covered || postfix) continue;
        if (shown_count == 6) return "";
        shown[shown_count++] = expected[i];
    }
    Text text = {.arena = parse->arena};
    for (int i = 0; i < shown_count; i++)
        text_add(&text, "%s%s", i == 0 ? "; expected " : i == shown_count - 1 ? " or " : ", ", shown[i]);
    return text.bytes ? text.bytes : "";
}

static const char *source_text(Parse *parse, Place place) {
    uint32_t length = place.end - place.begin;
    bool cut = length > 40;
    if (cut) length = 40;
    while (cut && ((unsigned char)parse->source->text[place.begin + length] & 0xc0) == 0x80) length--;
    char *text = arena_copy_text(parse->arena, parse->source->text + place.begin, length);
    return cut ? arena_print(parse->arena, "%s...", text) : text;
}

static const char *found_text(Parse *parse, Place place, const char *found) {
    if (!strcmp(found, "a name") || !strcmp(found, "a number") || !strcmp(found, "a string"))
        return arena_print(parse->arena, "%s '%s'", found + 2, source_text(parse, place));
    return found;
}

static bool after_newline(const Parse *parse, Place place) {
    uint32_t i = place.begin;
    while (i > 0 && (parse->source->text[i - 1] == ' ' || parse->source->text[i - 1] == '\t')) i--;
    return i > 0 && parse->source->text[i - 1] == '\n';
}

// The text of the place's statement if that is the last one of an item's body; else NULL.
static const char *last_statement(Parse *parse, Place place, const char *found) {
    const char *text = parse->source->text;
    uint32_t begin = place.begin, end = place.begin, behind;
    while (begin > 0 && !strchr("\n;{", text[begin - 1])) begin--;
    while (text[begin] == ' ' || text[begin] == '\t') begin++;
    while (!strchr("\n;}#", text[end])) end++;   // or the end of the file
    for (behind = end; text[behind] && strchr(" \t\r\n;#", text[behind]); behind++)
        if (text[behind] == '#') behind += (uint32_t)strcspn(text + behind, "\n") - 1;
    while (end > begin && strchr(" \t\r", text[end - 1])) end--;
    bool closes = !strcmp(found, "'}'");
    if (text[behind] != '}' || parse->braces != !closes || in_settings(parse) || end == begin) return NULL;
    return source_text(parse, (Place){begin, end});
}

// What would mend an unexpected token that no hint is for.
static void help_with_token(Parse *parse, Place place, const char *found, const char *const *expected, int count) {
    Diagnostics *diagnostics = parse->diagnostics;
    char next = place.end < parse->source->length ? parse->source->text[place.end] : 0;
    const char *word = word_before(parse, place);
    int opened = !strcmp(found, "'('") || !strcmp(found, "'['");
    bool statement = expects(expected, count, "'='") && expects(expected, count, "':'") && parse->brackets == opened;
    if (!strcmp(found, "'.'") && next >= '0' && next <= '9')
        diagnose_help(diagnostics, "a number begins with a digit: 0.%c", next);
    else if (statement && (next == '=' || next == found[1]) && is_one_of(found, operators))
        diagnose_help(diagnostics, "values do not change, but a name can be bound again: %s = %s %s ...", word, word,
                      source_text(parse, place));
    else if (statement && !strcmp(found, "'['"))
        diagnose_help(diagnostics, "values do not change: where(...) and concat([...]) make new ones");
    else if (statement && last_statement(parse, place, found))
        diagnose_help(diagnostics, "a body ends with a return: return %s", last_statement(parse, place, found));
    else if (statement) diagnose_help(diagnostics, "a statement gives a value a name: y = ...");
    else if (parse->brackets && after_newline(parse, place))
        diagnose_help(diagnostics, "a '(' or '[' on a line before is still open");
}

void report_syntax(Parse *parse, Place place, const char *found, const char *const *expected, int count) {
    Diagnostics *diagnostics = parse->diagnostics;
    Span span = span_of(parse, place);
    const char *hint = syntax_hint(parse, place, found, expected, count);
    if (is_one_of(found, operators) && after_newline(parse, place)) {
        diagnose(diagnostics, D_line_begins_with_operator, span, "a line begins with the operator %s", found);
        diagnose_help(diagnostics, "put %s at the end of the line before, which then goes on here", found);
        if (!strcmp(found, "'//'")) diagnose_help(diagnostics, "or, if this is a comment: comments begin with #");
    } else if (is_one_of(found, comparisons) && expects(expected, count, "'+'")) {
        diagnose(diagnostics, D_chained_comparison, span, "comparisons do not chain");
        diagnose_help(diagnostics, "write both, joined by 'and': 'a < b and b < c'");
    } else if (!strcmp(found, "'='") && expects(expected, count, "'=='") && (!in_settings(parse) || parse->brackets)) {
        diagnose(diagnostics, D_assignment_in_expression, span, "'=' stands where a comparison could: it gives a name");
        diagnose_help(diagnostics, "%s", hint ? hint : "to compare, write '=='");
    } else if (!strcmp(found, "the end of the file")) {
        if (parse->braces && !parse->brackets && parse->item_token) report_open_item(parse, place);
        else
            diagnose(diagnostics, D_unexpected_end, span, "the file ends too early%s",
                     expectation(parse, expected, count));
    } else if (!strcmp(found, "the end of the line")) {
        diagnose(diagnostics, D_unexpected_end_of_line, span, "the line ends too early%s",
                 expectation(parse, expected, count));
        const char *last = count == 3 && expects(expected, count, "'='") ? last_statement(parse, place, found) : NULL;
        if (hint) diagnose_help(diagnostics, "%s", hint);
        else if (last) diagnose_help(diagnostics, "a body ends with a return: return %s", last);
    } else {
        diagnose(diagnostics, D_unexpected_token, span, "unexpected %s%s", found_text(parse, place, found),
                 expectation(parse, expected, count));
        if (hint) diagnose_help(diagnostics, "%s", hint);
        else help_with_token(parse, place, found, expected, count);
    }
}

void report_open_item(Parse *parse, Place place) {
    bool ends = place.begin >= parse->end, settings = in_settings(parse);
    const char *kind = source_text(parse, parse->item), *name = word_behind(parse, parse->item);
    int line, column;
    source_position(parse->source, parse->item.begin, &line, &column);
    diagnose(parse->diagnostics, ends ? D_unexpected_end : D_missing_brace, span_of(parse, place),
             "the %s of %s %s (line %d) %s still open here: a '}' is missing", settings ? "settings" : "body", kind,
             name, line, settings ? "are" : "is");
    diagnose_note(parse->diagnostics, span_of(parse, (Place){parse->item.begin, parse->item.end}), "it begins here");
}

void report_too_deep(Parse *parse, Place place) {
    if (parse->too_deep) return;
    parse->too_deep = true;
    diagnose(parse->diagnostics, D_too_deep, span_of(parse, (Place){place.begin, place.begin}),
             "this is nested too deeply");
    diagnose_help(parse->diagnostics, "give a part of it a name of its own");
}

void report_character(Parse *parse, Place place) {
    const unsigned char *bytes = (const unsigned char *)parse->source->text + place.begin;
    if (bytes[0] >= ' ' && bytes[0] < 0x7f)
        diagnose(parse->diagnostics, D_bad_character, span_of(parse, place), "'%s' has no meaning here",
                 bytes[0] == '\'' ? "'" : source_text(parse, place));
    else if (bytes[0] < 0x80)
        diagnose(parse->diagnostics, D_control_character, span_of(parse, place), "a control character (byte 0x%02x)",
                 bytes[0]);
    else
        diagnose(parse->diagnostics, D_not_ascii, span_of(parse, place),
                 "'%s' cannot stand outside of strings and comments", source_text(parse, place));
    if (bytes[0] >= 0x80)
        diagnose_help(parse->diagnostics, "%s", sign_hint((const char *)bytes, place.end - place.begin));
    if (bytes[0] == '&' || bytes[0] == '|' || bytes[0] == '!')
        diagnose_help(parse->diagnostics, "the logical operators are 'and', 'or' and 'not'");
    if (bytes[0] == '?') diagnose_help(parse->diagnostics, "choose with where(condition, a, b)");
    if (bytes[0] == '\'') diagnose_help(parse->diagnostics, "strings stand between double quotes");
}

void report_number(Parse *parse, Place place) {
    diagnose(parse->diagnostics, D_bad_number, span_of(parse, place), "'%s' is neither a number nor a name",
             source_text(parse, place));
    const char *text = source_text(parse, place);
    size_t digits = strspn(text, "0123456789.");
    static const char *const suffixes[] = {"f", "F", "l", "L", "u", "U", "f32", "f64", "i32", "i64", NULL};
    if (is_one_of(text + digits, suffixes))
        diagnose_help(parse->diagnostics, "numbers have no suffix: %.*s", (int)digits, text);
    else diagnose_help(parse->diagnostics, "a product needs its '*'; a name begins with a letter");
}

void report_size(Parse *parse, Place place) {
    diagnose(parse->diagnostics, D_bad_size, span_of(parse, place), "a size is a whole number below 2^63, not '%s'",
             source_text(parse, place));
}

void report_string(Parse *parse, Place place) {
    diagnose(parse->diagnostics, D_unterminated_string, span_of(parse, place), "this string does not end on its line");
    diagnose_help(parse->diagnostics, "close it with '\"'");
}
