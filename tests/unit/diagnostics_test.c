// Messages: their order, place, excerpt, notes and limit, and those that no model file can bring about.
#include "compile.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void check_text(const char *name, const char *made, const char *expected) {
    if (made && strcmp(made, expected) == 0) return;
    printf("%s is\n%sbut was expected to be\n%s", name, made ? made : "(nothing)\n", expected);
    failures++;
}

static void check(bool condition, const char *name) {
    if (condition) return;
    printf("%s\n", name);
    failures++;
}

static const Source source = {"a.grad", "dim N\nloss \xc3\xa4(x: f32)\n\treturn x\n", 32};

static Span span_at(uint32_t begin, uint32_t end) {
    return (Span){&source, begin, end};
}

static void test_text(void) {
    Arena *arena = arena_create();
    Diagnostics *diagnostics = diagnostics_create(arena, 0);
    diagnose(diagnostics, D_unknown_name, span_at(30, 31), "no %s", "x");
    diagnose_help(diagnostics, "did you mean '%s'?", "y");
    diagnose(diagnostics, D_unused_input, span_at(14, 15), "x is idle");
    diagnose_note(diagnostics, span_at(0, 3), "because of this");
    diagnose(diagnostics, D_unknown_name, span_at(30, 31), "said already");
    diagnose_help(diagnostics, "and so is this");
    diagnose(diagnostics, D_internal, (Span){0}, "no place at all");
    // In order of place; columns count characters, not bytes; a tab is shown as one space. Where nothing was said that
    // would mend it, the kind of message says it.
    check_text("the text", diagnostics_text(diagnostics, false),
               "a.grad:2:8: warning: x is idle [unused_input]\n"
               "    loss \xc3\xa4(x: f32)\n"
               "           ^\n"
               "a.grad:1:1: note: because of this\n"
               "    dim N\n"
               "    ^~~\n"
               "    help: take it out, or use it\n"
               "a.grad:3:9: error: no x [unknown_name]\n"
               "     return x\n"
               "            ^\n"
               "    help: did you mean 'y'?\n"
               "error: no place at all [internal]\n");
    check(diagnostics_errors(diagnostics) == 2 && diagnostics_warnings(diagnostics) == 1, "two errors, one warning");
    arena_destroy(arena);
}

static void test_limit(void) {
    Arena *arena = arena_create();
    Diagnostics *diagnostics = diagnostics_create(arena, 2);
    for (uint32_t i = 0; i < 5; i++) diagnose(diagnostics, D_bad_character, span_at(i, i + 1), "bad");
    const char *text = diagnostics_text(diagnostics, false);
    check(diagnostics_errors(diagnostics) == 5, "errors over the limit are counted");
    check(text && strstr(text, "a.grad:1:2:") && !strstr(text, "a.grad:1:3:"), "two are shown");
    check(text && strstr(text, "... and 3 more errors\n"), "and it is said that there are more");
    arena_destroy(arena);
}

static void test_too_large(void) {
    CompileOptions options = {.floating = DTYPE_F32};
    Compilation *compilation = compilation_create("big.grad", "", (size_t)INT32_MAX + 1, &options);
    check(compilation && !compilation_program(compilation), "a text of more than 2 GiB is refused");
    check_text("the message", compilation ? diagnostics_text(compilation_diagnostics(compilation), false) : NULL,
               "error: 'big.grad' is larger than 2 GiB [file_too_large]\n");
    compilation_destroy(compilation);
}

static void test_positions(void) {
    Arena *arena = arena_create();
    Positions positions = {.arena = arena};
    static const Source empty = {"b.grad", "", 0}, ends = {"c.grad", "\n\nx\n", 4};
    const Source *sources[] = {&source, &empty, &ends};
    for (int i = 0; i < 6; i++)
        for (uint32_t offset = 0; offset <= sources[i % 3]->length; offset++) {
            int line, column, other_line, other_column;
            source_position(sources[i % 3], offset, &line, &column);
            positions_find(&positions, sources[i % 3], offset, &other_line, &other_column);
            check(line == other_line && column == other_column, "a position found by its line is another");
        }
    check(positions.sources.count == 3, "the lines of a source are found once");
    arena_destroy(arena);
}

int main(void) {
    test_text();
    test_positions();
    test_limit();
    test_too_large();
    return failures != 0;
}
