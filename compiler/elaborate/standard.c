// The standard library's declarations. Most programs use few of its two hundred, so each one is parsed when its name is
// first looked up: at the start only the lines that begin declarations are found.
//
// Needs: in the library's files a declaration, and nothing else but a comment, begins at the start of a line, with its
// keyword and its name. (tests/unit/library_test.c parses the files as a whole.)
#include "elaborate/elaborator.h"
#include "library/library.h"

#include <string.h>

static const struct {
    const char *word;
    ItemKind kind;
} keywords[] = {{"fn", ITEM_FN}, {"net", ITEM_NET}, {"optimizer", ITEM_OPTIMIZER}};

static uint32_t line_end(const Source *source, uint32_t at) {
    const char *end = memchr(source->text + at, '\n', source->length - at);
    return end ? (uint32_t)(end - source->text) + 1 : source->length;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_character(char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
}

// Where the declaration behind this one begins, with the comment above it.
static uint32_t item_end(const Source *source, uint32_t begin) {
    uint32_t comment = 0;   // where the comment begins that ends at the line at hand; 0: none does
    for (uint32_t at = line_end(source, begin); at < source->length; at = line_end(source, at)) {
        if (is_letter(source->text[at])) return comment ? comment : at;
        if (source->text[at] != '#') comment = 0;
        else if (!comment) comment = at;
    }
    return source->length;
}

static void declare_now(Elaborator *e, const Source *source, uint32_t begin, uint32_t end) {
    declare_file(e, parse_part(e->arena, e->diagnostics, source, begin, end), true);
}

// Notes that the item at `head` declares a name; false: it is none that can wait.
static bool declare_later(Elaborator *e, const Source *source, uint32_t begin, uint32_t head, uint32_t end) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        uint32_t length = (uint32_t)strlen(keywords[i].word), at = head + length;
        if (strncmp(source->text + head, keywords[i].word, length) != 0 || source->text[at] != ' ') continue;
        uint32_t name = at + 1, after = name;
        while (is_name_character(source->text[after])) after++;
        Name declared = {arena_copy_text(e->arena, source->text + name, after - name), {source, name, after}};
        Pending **last = &declare_global(e, true, declared)->pending;
        while (*last) last = &(*last)->next;
        *last = arena_new(e->arena, Pending);
        **last = (Pending){source, begin, end, keywords[i].kind, NULL};
        return true;
    }
    return false;
}

void declare_library(Elaborator *e) {
    for (int i = 0; i < gradc_library_file_count; i++) {
        const LibraryFile *file = &gradc_library_files[i];
        Source *source = arena_new(e->arena, Source);
        *source = (Source){file->path, file->text, file->length};
        uint32_t begin = 0, head = 0;
        while (head < source->length && !is_letter(source->text[head])) head = line_end(source, head);
        while (head < source->length) {
            uint32_t end = item_end(source, head);
            if (!declare_later(e, source, begin, head, end)) declare_now(e, source, begin, end);
            for (begin = head = end; head < source->length && !is_letter(source->text[head]);)
                head = line_end(source, head);
        }
    }
}

void declare_pending(Elaborator *e, Global *global) {
    const Pending *pending = global->pending;
    global->pending = NULL;
    for (; pending; pending = pending->next) declare_now(e, pending->source, pending->begin, pending->end);
}
