// Errors that speak of the user's lines: inside the library the call that led there is the place, and the library's own
// line is a note.
#include "elaborate/values.h"

#include <string.h>

enum { MAX_NOTES = 3 };

static bool contains(Span outer, Span inner) {
    return outer.source == inner.source && outer.begin <= inner.begin && inner.end <= outer.end;
}

// The frame whose text the place stands in: arguments are the caller's.
static const Frame *frame_of(const Elaborator *e, Span span) {
    const Frame *frame = e->frame;
    while (frame && frame->caller && frame->item && !contains(frame->item->span, span)) frame = frame->caller;
    return frame;
}

// The outermost frame of the library's that the user's code called to come here; NULL: the frame is the user's.
static const Frame *library_entrance(const Frame *frame) {
    const Frame *entrance = NULL;
    for (; frame && frame->library; frame = frame->caller) entrance = frame;
    return entrance;
}

Span user_span(const Elaborator *e, Span span) {
    const Frame *entrance = library_entrance(frame_of(e, span));
    return entrance && entrance->call.source ? entrance->call : span;
}

// The calls between the place and the entry, innermost first.
static void note_callers(Elaborator *e, const Frame *frame) {
    int notes = 0;
    for (; frame && frame->item && frame->caller && notes < MAX_NOTES; frame = frame->caller, notes++)
        if (frame->call.source)
            diagnose_note(e->diagnostics, frame->call, "in this %s of '%s'", frame->is_use ? "use" : "call",
                          frame->item->name.text);
}

static void report_text(Elaborator *e, DiagnosticId id, Span span, const char *message) {
    const Frame *frame = frame_of(e, span), *entrance = library_entrance(frame);
    if (!entrance || !entrance->call.source) {
        diagnose(e->diagnostics, id, span, "%s", message);
        note_callers(e, frame);
        return;
    }
    diagnose(e->diagnostics, id, entrance->call, "%s", message);
    diagnose_note(e->diagnostics, span, "inside '%s' of the library",
                  entrance->item ? entrance->item->name.text : "a constant");
    note_callers(e, entrance->caller);
}

void report(Elaborator *e, DiagnosticId id, Span span, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report_text(e, id, span, arena_vprint(e->arena, format, arguments));
    va_end(arguments);
}

Value failure(Elaborator *e, DiagnosticId id, Span span, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report_text(e, id, span, arena_vprint(e->arena, format, arguments));
    va_end(arguments);
    return (Value){.kind = VALUE_ERROR};
}

void warn(Elaborator *e, DiagnosticId id, Span span, const char *advice, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    diagnose(e->messages, id, user_span(e, span), "%s", arena_vprint(e->arena, format, arguments));
    va_end(arguments);
    if (advice) diagnose_help(e->messages, "%s", advice);
}

void help(Elaborator *e, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    diagnose_help(e->diagnostics, "%s", arena_vprint(e->arena, format, arguments));
    va_end(arguments);
}

Value refuse(Elaborator *e, Span span, const char *what) {
    return failure(e, D_not_supported_yet, span, "%s not supported yet", what);
}

const char *describe_number(Elaborator *e, const Extent *extent) {
    Text text = {.arena = e->arena};
    extent_print(&text, extent);
    return text.bytes;
}

const char *describe_shape(Elaborator *e, const Shape *shape) {
    Text text = {.arena = e->arena};
    text_add(&text, "[");
    for (int i = 0; i < shape->rank; i++) {
        if (i) text_add(&text, ", ");
        extent_print(&text, shape->extents[i]);
    }
    text_add(&text, "]");
    return text.bytes;
}

static const char *describe_tensor(Elaborator *e, Value value) {
    Text text = {.arena = e->arena};
    if (value.weak && value.node->rank == 0) return "a number";
    print_shape(&text, value.node->dtype, (const Extent *const *)value.node->shape, value.node->rank);
    return text.bytes;
}

static const char *describe_list(Elaborator *e, Value value) {
    Shape shape = {.rank = value.list.count};
    for (int i = 0; i < value.list.count; i++) {
        shape.extents[i % MAX_RANK] = as_extent(e, value.list.items[i]);
        if (value.list.count > MAX_RANK || !shape.extents[i])
            return arena_print(e->arena, "a list of %d values", value.list.count);
    }
    return describe_shape(e, &shape);
}

const char *describe(Elaborator *e, Value value) {
    switch (value.kind) {
    case VALUE_ERROR: return "an error";
    case VALUE_TENSOR: return describe_tensor(e, value);
    case VALUE_NUMBER:
        if (!value.number.integer) return arena_print(e->arena, "the number %g", value.number.real);
        return arena_print(e->arena, "the number %s", describe_number(e, value.number.integer));
    case VALUE_BOOL: return value.boolean ? "true" : "false";
    case VALUE_STRING: return arena_print(e->arena, "the string \"%s\"", value.string);
    case VALUE_NONE: return "none";
    case VALUE_LIST: return describe_list(e, value);
    case VALUE_TUPLE: return arena_print(e->arena, "a tuple of %d values", value.list.count);
    case VALUE_FUNCTION: return arena_print(e->arena, "the function '%s'", value.callable->name);
    case VALUE_NET: return arena_print(e->arena, "the net '%s'", value.net->net->name.text);
    case VALUE_INSTANCE: return arena_print(e->arena, "the instance '%s'", value.instance->path);
    case VALUE_INSTANCES: return arena_print(e->arena, "an array of %d instances", value.instances.count);
    case VALUE_PARAMETERS: return arena_print(e->arena, "the parameters of '%s'", value.instance->path);
    }
    return "";
}
