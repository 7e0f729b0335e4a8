// What would mend a syntax error, where that can be told from the words around it: mostly what other languages write and
// this one otherwise. Rows are tried in order; of a row all that is given must hold.
#include "grammar/parse.h"
#include "grammar/parser.h"

#include <string.h>

typedef struct {
    const char *first;      // the first word of the line
    const char *word;       // the word at the place, or right before it
    const char *before;     // what stands right before the place
    const char *at;         // what stands at the place
    const char *found;      // the token there, as parser.y calls it
    const char *expected;   // a token that could have stood there
    const char *help;
} Hint;

static const char branches[] = "choose with where(condition, a, b): values have no branches";
static const char naming[] = "a value gets a name by: x = ...";
static const char comments[] = "comments run from # to the end of the line; // divides and rounds down";
static const char gradients[] = "a gradient is a value: g = grad(l, w); a train block takes it by itself";
static const char statements[] = "statements end at a ';' or at the end of the line";
static const char nets[] = "nets are written: net mlp(x: f32[N, 3]) -> f32[N, 1] { ... }";

static const Hint hints[] = {
    {.word = "if", .help = branches},
    {.word = "elif", .help = branches},
    {.word = "else", .help = branches},
    {.word = "while", .help = "repeat with a loop: for i in 0:n { ... }"},
    {.word = "def", .help = "functions are written: fn f(x: f32[N]) -> f32[N] { return x }"},
    {.word = "func", .help = "functions are written: fn f(x: f32[N]) -> f32[N] { return x }"},
    {.word = "function", .help = "functions are written: fn f(x: f32[N]) -> f32[N] { return x }"},
    {.word = "lambda", .help = "functions have names: fn f(x: float[*]) { return x + 1 } beside the others"},
    {.word = "class", .help = nets},
    {.word = "struct", .help = nets},
    {.word = "let", .help = naming},
    {.word = "var", .help = naming},
    {.word = "auto", .help = naming},
    {.word = "from", .help = "other files are read by: import \"layers.grad\""},
    {.word = "print", .help = "a loss hands numbers out by: report name = value"},
    {.word = "//", .help = comments},
    {.at = "/*", .help = comments},
    {.word = "import",
     .help = "import reads a file of this language: import \"layers.grad\"; the library is there without"},
    {.first = "dim", .at = "=", .help = "a dim is open; a number gets a name by: const N = 3"},
    {.first = "const", .at = ":", .help = "a const has no type: const N = 3"},
    {.before = ":", .at = "=", .help = "a name is bound by '=' alone: y = ..."},
    {.at = "=>", .help = "a result's type stands behind '->'"},
    {.at = "=", .expected = "'~'", .help = "first values stand behind '~': param b: f32[3] ~ zeros, or ~ full(0.5)"},
    {.before = "~", .found = "a number", .help = "first values are made by a function: ~ full(0.5)"},
    {.at = "(", .expected = "'<'", .help = "what a net is made with stands between < and >: use h = linear<3, 4>"},
    {.at = ".", .expected = "'<'", .help = "names of nets stand alone: use h = linear<3, 4>"},
    {.at = ".backward", .help = gradients},
    {.at = ".step", .help = gradients},
    {.at = ".zero_grad", .help = gradients},
    {.at = ":", .expected = "'{'", .help = "a body stands in braces: { ... }"},
    {.at = "==", .expected = "a number", .help = "settings are written without a sign: batch 64"},
    {.found = "'return'", .expected = "the end of the line", .help = statements},
    {.found = "'param'", .expected = "the end of the line", .help = statements},
    {.found = "'use'", .expected = "the end of the line", .help = statements},
    {.found = "'for'", .expected = "the end of the line", .help = statements},
    {.word = "return", .found = "'}'", .help = "a return hands a value out: return x"},
    {.word = "return", .found = "the end of the line", .help = "a return hands a value out: return x"},
};

static bool is_word(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

// The place after which the blanks before `end` begin.
static uint32_t skip_back(const char *text, uint32_t end) {
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r')) end--;
    return end;
}

const char *word_before(Parse *parse, Place place) {
    const char *text = parse->source->text;
    uint32_t end = skip_back(text, place.begin), begin = end;
    while (begin > 0 && is_word(text[begin - 1])) begin--;
    return arena_copy_text(parse->arena, text + begin, end - begin);
}

const char *word_behind(Parse *parse, Place place) {
    const char *text = parse->source->text;
    uint32_t begin = place.end;
    while (text[begin] == ' ' || text[begin] == '\t') begin++;
    uint32_t end = begin;
    while (is_word(text[end])) end++;
    return arena_copy_text(parse->arena, text + begin, end - begin);
}

static bool is_block(const Parse *parse) {
    return parse->item_token == TOK_DATA || parse->item_token == TOK_TRAIN;
}

bool in_settings(const Parse *parse) {
    return parse->braces && is_block(parse);
}

static uint32_t line_begin(const char *text, uint32_t place) {
    while (place > 0 && text[place - 1] != '\n') place--;
    return place;
}

static const char *first_word(Parse *parse, Place place) {
    const char *text = parse->source->text;
    uint32_t begin = line_begin(text, place.begin);
    while (begin < place.begin && (text[begin] == ' ' || text[begin] == '\t')) begin++;
    uint32_t end = begin;
    while (end < place.begin && is_word(text[end])) end++;
    return arena_copy_text(parse->arena, text + begin, end - begin);
}

// Whether the place begins a block as in Python: it is a ':' at a line's end, or in the line behind one.
static bool behind_colon(const Parse *parse, Place place) {
    const char *text = parse->source->text;
    uint32_t end = place.end;
    while (end < parse->source->length && (text[end] == ' ' || text[end] == '\r')) end++;
    if (text[place.begin] == ':' && (end == parse->source->length || text[end] == '\n')) return true;
    uint32_t begin = line_begin(text, place.begin);
    uint32_t above = begin ? skip_back(text, begin - 1) : 0;
    return above > 0 && text[above - 1] == ':';
}

static bool text_at(const Parse *parse, uint32_t place, const char *wanted) {
    size_t length = strlen(wanted);
    return place + length <= parse->source->length && memcmp(parse->source->text + place, wanted, length) == 0;
}

static bool is_expected(const char *const *expected, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(expected[i], name) == 0) return true;
    return false;
}

static bool holds(Parse *parse, const Hint *hint, Place place, const char *found, const char *const *expected,
                  int count) {
    const char *text = parse->source->text;
    uint32_t before = skip_back(text, place.begin);
    if (strcmp(found, "'}'") == 0)   // that of the body whose last line went wrong
        while (before > 0 && text[before - 1] == '\n') before = skip_back(text, before - 1);
    bool word = true;
    if (hint->word) {
        size_t length = strlen(hint->word);
        bool at = place.end - place.begin == length && text_at(parse, place.begin, hint->word);
        word = at || strcmp(word_before(parse, (Place){before, before}), hint->word) == 0;
    }
    return word && (!hint->first || strcmp(first_word(parse, place), hint->first) == 0) &&
           (!hint->before || (before > 0 && text[before - 1] == hint->before[0])) &&
           (!hint->at || text_at(parse, place.begin, hint->at)) && (!hint->found || strcmp(found, hint->found) == 0) &&
           (!hint->expected || is_expected(expected, count, hint->expected));
}

// What would mend a setting: those of other languages have a ':' or stand behind commas.
static const char *setting_hint(Parse *parse, Place place, const char *found, const char *const *expected, int count) {
    const char *text = parse->source->text;
    uint32_t begin = place.begin;
    while (begin > 0 && text[begin - 1] != '\n' && text[begin - 1] != ';' && text[begin - 1] != '{') begin--;
    while (begin < place.begin && text[begin] == ' ') begin++;
    uint32_t name = begin, behind;
    while (name < place.begin && is_word(text[name])) name++;
    for (behind = name; text[behind] == ' ';) behind++;
    bool is_word_found = strcmp(found, "a name") == 0 || strcmp(found, "'data'") == 0 ||
                         strcmp(found, "'optimizer'") == 0 || strcmp(found, "'train'") == 0;
    if (text[behind] == ':' && behind < place.end && strcmp(found, "'='") != 0) {
        uint32_t end = ++behind;
        while (text[behind] == ' ') behind++;
        while (end < parse->source->length && !strchr("\n;}", text[end])) end++;
        return arena_print(parse->arena, "settings are written without ':': %.*s %.*s", (int)(name - begin),
                           text + begin, (int)(skip_back(text, end) - behind), text + behind);
    }
    if (is_word_found && is_expected(expected, count, "the end of the line"))
        return "settings stand on lines of their own, or with ';' between them";
    if (strcmp(found, "'='") != 0) return NULL;
    uint32_t before = skip_back(text, place.begin);
    before = skip_back(text, before - (uint32_t)strlen(word_before(parse, place)));
    return before > 0 && text[before - 1] == ',' ? "settings are apart by ';', not ','" : NULL;
}

const char *syntax_hint(Parse *parse, Place place, const char *found, const char *const *expected, int count) {
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (holds(parse, &hints[i], place, found, expected, count)) return hints[i].help;
    bool opened = strcmp(found, "'('") == 0 || strcmp(found, "'['") == 0;
    bool settings = strcmp(found, "'}'") == 0 ? is_block(parse) : in_settings(parse) && parse->brackets == opened;
    const char *setting = settings ? setting_hint(parse, place, found, expected, count) : NULL;
    if (setting) return setting;
    if (strcmp(found, "'<'") == 0 && is_expected(expected, count, "'='") && count == 2)
        return arena_print(parse->arena, "what is used gets a name: use layer = %s<...>", word_before(parse, place));
    if (behind_colon(parse, place)) return "a block stands in braces, without a ':': for i in 0:3 { ... }";
    if (count == 1 && strcmp(expected[0], "':'") == 0) return "what is declared has a type: x: f32[N, 3]";
    return NULL;
}

// ---- signs that are not ASCII

static const struct {
    const char *sign, *help;
} signs[] = {
    {"\u00a0", "this is a blank that does not break; write a plain one"},
    {"\u200b", "this is an invisible blank; take it out"},
    {"\ufeff", "this is a mark of byte order; it may only begin a file"},
    {"\u201c", "strings stand between plain double quotes: \"...\""},
    {"\u201d", "strings stand between plain double quotes: \"...\""},
    {"\u201e", "strings stand between plain double quotes: \"...\""},
    {"\u2018", "strings stand between plain double quotes: \"...\""},
    {"\u2019", "strings stand between plain double quotes: \"...\""},
    {"\u2212", "write: -"},
    {"\u2013", "write: -"},
    {"\u2014", "write: -"},
    {"\u00d7", "write: *"},
    {"\u00b7", "write: *"},
    {"\u00f7", "write: /"},
    {"\u2264", "write: <="},
    {"\u2265", "write: >="},
    {"\u2260", "write: !="},
    {"\u2190", "write: ="},
    {"\u2192", "write: ->"},
    {"\u03c0", "write: pi"},
    {"\u221e", "write: inf"},
    {"\u221a", "write: sqrt(x)"},
    {"\u03a3", "write: sum(x)"},
    {"\u2211", "write: sum(x)"},
    {"\u2207", "write: grad(y, x)"},
    {"\u00b2", "write: ^2"},
    {"\u00b3", "write: ^3"},
};

const char *sign_hint(const char *bytes, uint32_t length) {
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t size = strlen(signs[i].sign);
        if (size <= length && memcmp(bytes, signs[i].sign, size) == 0) return signs[i].help;
    }
    return "names are made of the letters a to z, digits and _, such as alpha";
}
