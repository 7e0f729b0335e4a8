// Text to tree: sets scanner and parser going on one source.
#include "grammar/parse.h"
#include "grammar/parser.h"

static bool run_parser(Parse *parse, int start_token) {
    parse->start_token = start_token;
    parse->line_begins = parse->line_blank = true;
    parse->comment.arena = parse->arena;
    if (!parse->end) {
        if (!check_encoding(parse)) return false;
        parse->end = parse->source->length;
    }
    parse->scanner = scanner_open(parse);
    gradc_parse(parse);
    return diagnostics_errors(parse->diagnostics) == 0;
}

File *parse_file(Arena *arena, Diagnostics *diagnostics, const Source *source) {
    Parse *parse = arena_new(arena, Parse);
    *parse = (Parse){.arena = arena, .diagnostics = diagnostics, .source = source};
    run_parser(parse, TOK_START_FILE);
    File *file = arena_new(arena, File);
    *file = (File){source, parse->items.items, parse->items.count};
    return file;
}

File *parse_part(Arena *arena, Diagnostics *diagnostics, const Source *source, uint32_t begin, uint32_t end) {
    Parse *parse = arena_new(arena, Parse);
    *parse = (Parse){.arena = arena, .diagnostics = diagnostics, .source = source, .offset = begin, .end = end};
    run_parser(parse, TOK_START_FILE);
    File *file = arena_new(arena, File);
    *file = (File){source, parse->items.items, parse->items.count};
    return file;
}

Expressions parse_expressions(Arena *arena, Diagnostics *diagnostics, const Source *source) {
    Parse *parse = arena_new(arena, Parse);
    *parse = (Parse){.arena = arena, .diagnostics = diagnostics, .source = source};
    return run_parser(parse, TOK_START_EXPRESSIONS) ? parse->expressions : (Expressions){0};
}
