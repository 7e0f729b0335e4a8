// The grammar: programs print to programs that parse to the same tree, and hostile texts give errors, never crashes.
#include "grammar/ast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

typedef struct {
    Arena *arena;
    Diagnostics *diagnostics;
    File *file;
} Parsed;

static Parsed parse_text(const char *text, size_t length) {
    Parsed parsed = {.arena = arena_create()};
    if (!parsed.arena || setjmp(*arena_recover(parsed.arena))) exit(1);
    parsed.diagnostics = diagnostics_create(parsed.arena, 0);
    Source *source = arena_new(parsed.arena, Source);
    *source = (Source){"test.grad", text, (uint32_t)length};
    parsed.file = parse_file(parsed.arena, parsed.diagnostics, source);
    return parsed;
}

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = calloc(1, 1 << 20);
    *length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static void check_round_trip(const char *path) {
    size_t length;
    char *text = read_file(path, &length);
    if (!text) {
        printf("%s: cannot be read\n", path);
        failures++;
        return;
    }
    Parsed first = parse_text(text, length);
    if (diagnostics_errors(first.diagnostics)) {
        printf("%s", diagnostics_text(first.diagnostics, false));
        failures++;
    }
    Text program = {.arena = first.arena}, tree = {.arena = first.arena};
    print_file(&program, first.file);
    print_tree(&tree, first.file);
    Parsed second = parse_text(program.bytes, (size_t)program.length);
    Text program_again = {.arena = second.arena}, tree_again = {.arena = second.arena};
    print_file(&program_again, second.file);
    print_tree(&tree_again, second.file);
    if (strcmp(tree.bytes, tree_again.bytes) || strcmp(program.bytes, program_again.bytes)) {
        printf("%s: printed and parsed again it differs:\n%s", path, program.bytes);
        failures++;
    }
    arena_destroy(first.arena);
    arena_destroy(second.arena);
    free(text);
}

static void check_error(const char *what, const char *text, size_t length, const char *expected) {
    Parsed parsed = parse_text(text, length);
    const char *messages = diagnostics_text(parsed.diagnostics, false);
    if (!diagnostics_errors(parsed.diagnostics) || !strstr(messages, expected) || strlen(messages) > 20000) {
        printf("%s: expected [%s], got:\n%.2000s\n", what, expected, messages);
        failures++;
    }
    arena_destroy(parsed.arena);
}

static void check_text_error(const char *text, const char *expected) {
    check_error(text, text, strlen(text), expected);
}

// `count` copies of `piece` between `before` and `after`.
static void check_many(const char *before, const char *piece, const char *after, int count, const char *expected) {
    size_t length = strlen(before) + strlen(piece) * (size_t)count + strlen(after);
    char *text = malloc(length + 1), *end = text + sprintf(text, "%s", before);
    for (int i = 0; i < count; i++) end += sprintf(end, "%s", piece);
    sprintf(end, "%s", after);
    if (expected) check_error(piece, text, length, expected);
    else {
        Parsed parsed = parse_text(text, length);
        if (diagnostics_errors(parsed.diagnostics)) {
            printf("%d times '%s': %s", count, piece, diagnostics_text(parsed.diagnostics, false));
            failures++;
        }
        arena_destroy(parsed.arena);
    }
    free(text);
}

static void check_closed(int count) {
    char *text = malloc((size_t)count * 2 + 32), *end = text + sprintf(text, "const a = ");
    for (int i = 0; i < count; i++) *end++ = '(';
    *end++ = '1';
    for (int i = 0; i < count; i++) *end++ = ')';
    sprintf(end, "\n");
    check_text_error(text, "too_deep");
    free(text);
}

static void check_hostile(void) {
    check_many("const a = ", "(", "1", 10000, "unexpected_end");
    check_closed(10000);
    check_many("const a = ", "(", "1", 100000, "too_deep");
    check_many("const a = ", "-", "1\n", 100000, "too_deep");
    check_many("const a = 1", " + 1", "\n", 100000, "too_deep");
    check_many("const a = 1", " + 1", "\n", 4000, NULL);
    check_many("const a", "b", " = 1\n", 1 << 20, NULL);
    check_many("", "fn f() { return 1 }\n", "", 5000, NULL);
    check_many("", "oops\n", "", 5000, "unexpected_token");
    check_many("", "fn f() { return oops oops }\n", "", 5000, "more errors");
    check_error("a zero byte", "const a\0 = 1\n", 13, "control_character");
    check_text_error("const a = \xff\xfe 1\n", "not_utf8");
    check_text_error("# \xed\xa0\x80: half of a surrogate pair\n", "not_utf8");
    check_text_error("# \xc0\xaf: a '/' in two bytes\n", "not_utf8");
    check_text_error("# cut off \xe2\x82", "not_utf8");
    check_text_error("const a = \xc3\xa9\n", "not_ascii");
    check_text_error("const a = \"never ends\n", "unterminated_string");
    check_text_error("const a = 2x\n", "bad_number");
    check_text_error("fn f(x: f32[99999999999999999999]) { return x }\n", "bad_size");
    check_text_error("fn f(x: f32[N]) { return x", "unexpected_end");
    check_text_error("fn f(a: f32) {\n    b = a\n    + 1\n    return b\n}\n", "line_begins_with_operator");
    check_text_error("fn f(a: f32) { return 1 < a < 2 }\n", "chained_comparison");
    check_text_error("fn f(a: f32) { return where((a) = 1, 1, 0) }\n", "assignment_in_expression");
    check_text_error("const = 3\n", "unexpected_token");
    Parsed empty = parse_text("", 0);
    if (diagnostics_errors(empty.diagnostics) || empty.file->count) failures++;
    arena_destroy(empty.arena);
    Parsed last = parse_text("const a = 1", 11);   // no newline at the end
    if (diagnostics_errors(last.diagnostics) || last.file->count != 1) failures++;
    arena_destroy(last.arena);
}

// Several errors in one run, each once, and the good items between them are kept.
static void check_recovery(void) {
    const char *text = "net broken(x f32) {\n    param w: f32\n    return x * w\n}\n"
                       "fn good(x: f32) {\n    y = x +\n    return * y\n    z = (1, \n    return z\n}\n"
                       "dim N\n"
                       "train { }\n"
                       "const last = 1\n";
    Parsed parsed = parse_text(text, strlen(text));
    int errors = diagnostics_errors(parsed.diagnostics);
    bool kept = parsed.file->count >= 2 && parsed.file->items[parsed.file->count - 1]->kind == ITEM_CONST;
    if (errors < 3 || errors > 5 || !kept) {
        printf("recovery: %d errors, %d items\n%s", errors, parsed.file->count,
               diagnostics_text(parsed.diagnostics, false));
        failures++;
    }
    arena_destroy(parsed.arena);
}

// Random damage to a real program: whatever comes, it ends.
static void check_damage(const char *path) {
    size_t length;
    char *text = read_file(path, &length);
    if (!text) return;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        char *damaged = malloc(length + 1);
        memcpy(damaged, text, length + 1);
        for (int i = rand() % 8; i >= 0; i--) damaged[(size_t)rand() % length] = (char)(rand() % 128);
        Parsed parsed = parse_text(damaged, length);
        diagnostics_text(parsed.diagnostics, true);
        Text program = {.arena = parsed.arena};
        print_file(&program, parsed.file);
        arena_destroy(parsed.arena);
        free(damaged);
    }
    free(text);
}

int main(void) {
    static const char *const programs[] = {"tests/golden/ast/digits.grad", "tests/golden/ast/heat_loss.grad",
                                           "tests/golden/ast/library.grad"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) check_round_trip(programs[i]);
    check_hostile();
    check_recovery();
    check_damage(programs[2]);
    printf("%d failures\n", failures);
    return failures != 0;
}
