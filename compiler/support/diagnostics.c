// Collecting messages, and printing them with the line and a caret.
#include "support/diagnostics.h"

#include <stdlib.h>
#include <string.h>

typedef enum { error, warning } Severity;

static const struct {
    const char *name;
    Severity severity;
} kinds[] = {
#define DIAGNOSTIC(id, severity, meaning) [D_##id] = {#id, severity},
#include "support/diagnostics.def"
};

// The help of messages that have no other; NULL: none.
static const char *const advice[DIAGNOSTIC_COUNT] = {
#define ADVICE(id, help) [D_##id] = help,
#include "support/advice.def"
};

typedef struct {
    Span span;   // source NULL: a help, which has no place
    const char *text;
} Note;

typedef struct {
    DiagnosticId id;
    Span span;
    const char *text;
    int order;   // of arrival, among messages at one place
    ARRAY(Note) notes;
} Message;

struct Diagnostics {
    Arena *arena;
    int limit, errors, warnings;
    bool dropped;   // the last message was not kept, so its notes are not either
    ARRAY(Message) messages;
};

Diagnostics *diagnostics_create(Arena *arena, int limit) {
    Diagnostics *diagnostics = arena_new(arena, Diagnostics);
    diagnostics->arena = arena;
    diagnostics->limit = limit ? limit : 20;
    return diagnostics;
}

static bool is_repeated(const Diagnostics *diagnostics, DiagnosticId id, Span span) {
    for (int i = 0; i < diagnostics->messages.count; i++) {
        const Message *message = &diagnostics->messages.items[i];
        if (message->id == id && message->span.source == span.source && message->span.begin == span.begin &&
            message->span.end == span.end)
            return true;
    }
    return false;
}

void diagnose(Diagnostics *diagnostics, DiagnosticId id, Span span, const char *format, ...) {
    diagnostics->dropped = is_repeated(diagnostics, id, span);
    if (diagnostics->dropped) return;
    bool is_error = kinds[id].severity == error;
    *(is_error ? &diagnostics->errors : &diagnostics->warnings) += 1;
    diagnostics->dropped = (is_error ? diagnostics->errors : diagnostics->warnings) > diagnostics->limit;
    if (diagnostics->dropped) return;
    va_list arguments;
    va_start(arguments, format);
    Message message = {.id = id, .span = span, .order = diagnostics->messages.count};
    message.text = arena_vprint(diagnostics->arena, format, arguments);
    va_end(arguments);
    array_push(diagnostics->arena, &diagnostics->messages, message);
}

static void add_note(Diagnostics *diagnostics, Span span, const char *text) {
    if (diagnostics->dropped || !diagnostics->messages.count) return;
    Message *last = &diagnostics->messages.items[diagnostics->messages.count - 1];
    Note note = {span, text};
    array_push(diagnostics->arena, &last->notes, note);
}

void diagnose_help(Diagnostics *diagnostics, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(diagnostics, (Span){0}, arena_vprint(diagnostics->arena, format, arguments));
    va_end(arguments);
}

void diagnose_note(Diagnostics *diagnostics, Span span, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(diagnostics, span, arena_vprint(diagnostics->arena, format, arguments));
    va_end(arguments);
}

int diagnostics_errors(const Diagnostics *diagnostics) {
    return diagnostics->errors;
}

int diagnostics_warnings(const Diagnostics *diagnostics) {
    return diagnostics->warnings;
}

const char *diagnostic_name(DiagnosticId id) {
    return kinds[id].name;
}

// A mark of byte order in front takes no column.
static uint32_t text_begin(const Source *source) {
    return source->length >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

// Moves on from a position to a later offset.
static void advance(const Source *source, uint32_t from, uint32_t to, int *line, int *column) {
    for (uint32_t i = from ? from : text_begin(source); i < to && i < source->length; i++) {
        unsigned char byte = (unsigned char)source->text[i];
        if (byte == '\n') {
            ++*line;
            *column = 1;
        } else if ((byte & 0xC0) != 0x80) ++*column;   // bytes that continue a code point do not count
    }
}

void source_position(const Source *source, uint32_t offset, int *line, int *column) {
    *line = *column = 1;
    advance(source, 0, offset, line, column);
}

static const SourceLines *lines_of(Positions *positions, const Source *source) {
    for (int i = 0; i < positions->sources.count; i++)
        if (positions->sources.items[i].source == source) return &positions->sources.items[i];
    int count = 1;
    for (uint32_t i = 0; i < source->length; i++) count += source->text[i] == '\n';
    SourceLines lines = {source, arena_array(positions->arena, uint32_t, count), 1};
    for (uint32_t i = 0; i < source->length; i++)
        if (source->text[i] == '\n') lines.begins[lines.count++] = i + 1;
    array_push(positions->arena, &positions->sources, lines);
    return &positions->sources.items[positions->sources.count - 1];
}

void positions_find(Positions *positions, const Source *source, uint32_t offset, int *line, int *column) {
    const SourceLines *lines = lines_of(positions, source);
    int low = 0, high = lines->count;   // the line is at least `low` and less than `high`, from 0
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (lines->begins[middle] <= offset) low = middle;
        else high = middle;
    }
    *line = low + 1;
    *column = 1;
    advance(source, lines->begins[low], offset, line, column);
}

// ---- messages in pieces

static void set_place(MessageView *view, Span span) {
    if (!span.source) return;
    view->path = span.source->path;
    source_position(span.source, span.begin, &view->line, &view->column);
    source_position(span.source, span.end, &view->end_line, &view->end_column);
}

// The first note without a place is the help; -1: there is none.
static int help_of(const Message *message) {
    for (int i = 0; i < message->notes.count; i++)
        if (!message->notes.items[i].span.source) return i;
    return -1;
}

bool diagnostics_message(const Diagnostics *diagnostics, int index, MessageView *view) {
    if (index < 0 || index >= diagnostics->messages.count) return false;
    const Message *message = &diagnostics->messages.items[index];
    int help = help_of(message);
    *view = (MessageView){.id = kinds[message->id].name,
                          .is_error = kinds[message->id].severity == error,
                          .text = message->text,
                          .help = help < 0 ? advice[message->id] : message->notes.items[help].text,
                          .note_count = message->notes.count - (help >= 0)};
    set_place(view, message->span);
    return true;
}

bool diagnostics_note(const Diagnostics *diagnostics, int index, int note, MessageView *view) {
    if (index < 0 || index >= diagnostics->messages.count || note < 0) return false;
    const Message *message = &diagnostics->messages.items[index];
    int help = help_of(message);
    if (help >= 0 && note >= help) note++;
    if (note >= message->notes.count) return false;
    *view = (MessageView){.text = message->notes.items[note].text};
    set_place(view, message->notes.items[note].span);
    return true;
}

// ---- printing

enum { EXCERPT_COLUMNS = 160 };

typedef struct {
    const char *bold, *red, *yellow, *green, *plain;
} Colours;

static const Colours no_colours = {"", "", "", "", ""};
static const Colours terminal_colours = {"\033[1m", "\033[1;31m", "\033[1;33m", "\033[1;32m", "\033[0m"};

static void print_excerpt(Text *text, Span span, const Colours *colours) {
    const char *bytes = span.source->text;
    uint32_t length = span.source->length, begin = span.begin < length ? span.begin : length;
    uint32_t first = begin, last = begin;
    while (first > 0 && bytes[first - 1] != '\n' && begin - first < EXCERPT_COLUMNS) first--;
    if (first == 0 && begin >= text_begin(span.source)) first = text_begin(span.source);
    while (last < length && bytes[last] != '\n' && last - first < 2 * EXCERPT_COLUMNS) last++;
    text_add(text, "    ");
    for (uint32_t i = first; i < last; i++) {
        char byte = (unsigned char)bytes[i] < ' ' ? ' ' : bytes[i];   // tabs and control bytes keep one column
        text_add_bytes(text, &byte, 1);
    }
    text_add(text, "\n    ");
    for (uint32_t i = first; i < begin; i++)
        if (((unsigned char)bytes[i] & 0xC0) != 0x80) text_add_bytes(text, " ", 1);
    text_add(text, "%s^", colours->green);
    for (uint32_t i = begin + 1; i < span.end && i < last; i++)
        if (((unsigned char)bytes[i] & 0xC0) != 0x80) text_add_bytes(text, "~", 1);
    text_add(text, "%s\n", colours->plain);
}

static void print_line(Text *text, Span span, const char *word, const char *colour, const char *message, const char *id,
                       const Colours *colours) {
    int line, column;
    if (span.source) {
        source_position(span.source, span.begin, &line, &column);
        text_add(text, "%s%s:%d:%d:%s ", colours->bold, span.source->path, line, column, colours->plain);
    }
    text_add(text, "%s%s:%s %s", colour, word, colours->plain, message);
    if (id) text_add(text, " [%s]", id);
    text_add(text, "\n");
    if (span.source) print_excerpt(text, span, colours);
}

static void print_help(Text *text, const char *help, const Colours *colours) {
    text_add(text, "    %shelp:%s %s\n", colours->green, colours->plain, help);
}

static void print_message(Text *text, const Message *message, const Colours *colours) {
    bool is_error = kinds[message->id].severity == error;
    print_line(text, message->span, is_error ? "error" : "warning", is_error ? colours->red : colours->yellow,
               message->text, kinds[message->id].name, colours);
    for (int i = 0; i < message->notes.count; i++) {
        const Note *note = &message->notes.items[i];
        if (note->span.source) print_line(text, note->span, "note", colours->bold, note->text, NULL, colours);
        else print_help(text, note->text, colours);
    }
    if (help_of(message) < 0 && advice[message->id]) print_help(text, advice[message->id], colours);
}

static int compare_messages(const void *a, const void *b) {
    const Message *left = a, *right = b;
    bool same_source = left->span.source == right->span.source && left->span.source;
    if (same_source && left->span.begin != right->span.begin) return left->span.begin < right->span.begin ? -1 : 1;
    return left->order - right->order;
}

const char *diagnostics_text(const Diagnostics *diagnostics, bool colour) {
    Text text = {.arena = diagnostics->arena};
    int count = diagnostics->messages.count;
    Message *sorted = arena_copy(diagnostics->arena, diagnostics->messages.items, sizeof(Message) * (size_t)count);
    if (count) qsort(sorted, (size_t)count, sizeof *sorted, compare_messages);
    for (int i = 0; i < count; i++) print_message(&text, &sorted[i], colour ? &terminal_colours : &no_colours);
    if (diagnostics->errors > diagnostics->limit)
        text_add(&text, "... and %d more errors\n", diagnostics->errors - diagnostics->limit);
    text_add_bytes(&text, "", 0);
    return text.bytes;
}
