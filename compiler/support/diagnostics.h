// Source texts, spans in them, and the errors and warnings that speak of them.
//
// A span is two byte offsets; line, column, excerpt and caret are computed only when a message is printed. Every kind
// of message has an id in diagnostics.def, and the tests fail if an id has no golden. The library never prints: it
// collects here, and the caller asks for the text.
#ifndef GRADC_SUPPORT_DIAGNOSTICS_H
#define GRADC_SUPPORT_DIAGNOSTICS_H

#include "support/arena.h"

#include <stdbool.h>

typedef struct {
    const char *path;   // as the user wrote it; "library/losses.grad" for the library's own
    const char *text;   // zero-terminated
    uint32_t length;
} Source;

typedef struct {
    const Source *source;   // NULL: no place in any text
    uint32_t begin, end;    // byte offsets, [begin, end)
} Span;

typedef enum {
#define DIAGNOSTIC(id, severity, meaning) D_##id,
#include "support/diagnostics.def"
    DIAGNOSTIC_COUNT
} DiagnosticId;

typedef struct Diagnostics Diagnostics;

// Collects at most `limit` errors (0: 20); later ones are only counted. Lives in `arena`.
Diagnostics *diagnostics_create(Arena *arena, int limit);

// Adds a message. A later message with the same id at the same span is dropped.
void diagnose(Diagnostics *diagnostics, DiagnosticId id, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Adds to the last message: a line that says what would mend it, or another place that matters ("called here").
void diagnose_help(Diagnostics *diagnostics, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diagnose_note(Diagnostics *diagnostics, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));

int diagnostics_errors(const Diagnostics *diagnostics);   // how many errors, those over the limit included
int diagnostics_warnings(const Diagnostics *diagnostics);
const char *diagnostic_name(DiagnosticId id);   // "unknown_name"

// One message, or one of its notes, in plain pieces.
typedef struct {
    const char *id;             // "unknown_name"; of a note NULL
    bool is_error;              // else a warning
    const char *path;           // NULL: it has no place, and the numbers are 0
    int line, column;           // from 1, columns in code points
    int end_line, end_column;   // just behind the last
    const char *text;
    const char *help;   // what would mend it; or NULL
    int note_count;     // further places and words
} MessageView;
// Message number `index`, in order of arrival. False: there is none.
bool diagnostics_message(const Diagnostics *diagnostics, int index, MessageView *view);
// Note number `note` of that message.
bool diagnostics_note(const Diagnostics *diagnostics, int index, int note, MessageView *view);

// All messages in order of source and place, as `path:line:column: error: message [id]`, the line, and a caret:
// zero-terminated, in the diagnostics' arena. `colour` adds terminal colours.
const char *diagnostics_text(const Diagnostics *diagnostics, bool colour);

// The 1-based line and column (in code points) of a byte offset.
void source_position(const Source *source, uint32_t offset, int *line, int *column);

// Where the lines of sources begin, for those who ask for many positions. `{.arena = arena}` knows of none.
typedef struct {
    const Source *source;
    uint32_t *begins;
    int count;
} SourceLines;
typedef struct {
    Arena *arena;
    ARRAY(SourceLines) sources;
} Positions;
// The same as source_position, in time that does not grow with the source after the first question.
void positions_find(Positions *positions, const Source *source, uint32_t offset, int *line, int *column);

#endif
