// Text to tree: sets scanner and parser going on one source.
#include "grammar/parse.h"
#include "grammar/parser.h"

static bool run_parser(Parse *parse, int start_token) {
    parse->start_token = start_token;
    parse->line_begins = parse->line_blank = true;
    parse->comment.arena = parse->arena;
    parse->scanner = scanner_open(parse);
    if (!parse->scanner) longjmp(*arena_recover(parse->arena), 1);
    // Memory that runs out in between jumps over the scanner's own: remember it, free it, jump on.
    jmp_buf outer;
    __builtin_memcpy(&outer, arena_recover(parse->arena), sizeof outer);
    bool exhausted = setjmp(*arena_recover(parse->arena)) != 0;
    if (!exhausted) gradc_parse(parse);
    scanner_close(parse->scanner);
    __builtin_memcpy(arena_recover(parse->arena), &outer, sizeof outer);
    if (exhausted) longjmp(*arena_recover(parse->arena), 1);
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

Expressions parse_expressions(Arena *arena, Diagnostics *diagnostics, const Source *source) {
    Parse *parse = arena_new(arena, Parse);
    *parse = (Parse){.arena = arena, .diagnostics = diagnostics, .source = source};
    return run_parser(parse, TOK_START_EXPRESSIONS) ? parse->expressions : (Expressions){0};
}
