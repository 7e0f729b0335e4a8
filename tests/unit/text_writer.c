// The writer: names, types, statements, and what all makers need.
#include "text_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- extents and types

const Extent *count_extent(Writer *w, int64_t value) {
    return extent_constant(w->extents, value);
}

const Extent *sum_of(Writer *w, const Extent *a, int64_t b) {
    return extent_add(w->extents, a, count_extent(w, b));
}

const Extent *product_of(Writer *w, const Extent *a, const Extent *b) {
    return extent_multiply(w->extents, a, b);
}

bool is_known(const Extent *extent, int64_t *size) {
    return extent_is_constant(extent, size);
}

const char *extent_in_text(Writer *w, const Extent *extent) {
    Text text = {.arena = w->arena};
    extent_print(&text, extent);
    return text.bytes;
}

const char *shape_in_text(Writer *w, const Value *value) {
    Text text = {.arena = w->arena};
    text_add(&text, "[");
    for (int i = 0; i < value->rank; i++) {
        text_add(&text, i ? ", " : "");
        extent_print(&text, value->shape[i]);
    }
    text_add(&text, "]");
    return text.bytes;
}

const char *type_in_text(Writer *w, const Value *value) {
    static const char *const names[] = {"float", "i32", "bool"};
    return print(w, "%s%s", names[value->kind], value->rank ? shape_in_text(w, value) : "");
}

int64_t typical_elements(const Value *value) {
    static const int64_t dims[] = {5, 3};
    int64_t count = 1;
    for (int i = 0; i < value->rank; i++) count *= extent_evaluate(value->shape[i], dims, NULL);
    return count;
}

bool same_value_shape(const Value *a, const Value *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

Value real_like(const Value *x) {
    return real_of(x->shape, x->rank, 1);
}

Value real_of(const Extent *const *shape, int rank, double bound) {
    Value value = {.kind = REAL, .rank = rank, .bound = bound};
    for (int i = 0; shape && i < rank; i++) value.shape[i] = shape[i];
    return value;
}

Value without_axis(const Value *x, int axis) {
    Value result = *x;
    result.rank--;
    for (int i = axis; i < result.rank; i++) result.shape[i] = x->shape[i + 1];
    result.is_parameter = false;
    return result;
}

int signed_axis(Writer *w, int axis, int rank) {
    return one_in(w, 3) ? axis - rank : axis;
}

bool shapes_together(const Value *a, const Value *b, Value *result) {
    *result = real_of(NULL, 0, 1);
    result->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= result->rank; i++) {
        const Extent *x = i <= a->rank ? a->shape[a->rank - i] : NULL;
        const Extent *y = i <= b->rank ? b->shape[b->rank - i] : NULL;
        bool fits = !x || !y || x == y || extent_is(x, 1) || extent_is(y, 1);
        if (!fits) return false;
        result->shape[result->rank - i] = !x || (y && extent_is(x, 1)) ? y : x;
    }
    return true;
}

// ---- text

char *print(Writer *w, const char *pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    char *text = arena_vprint(w->arena, pattern, arguments);
    va_end(arguments);
    return text;
}

void write_line(Writer *w, const char *pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    text_add(&w->body, "%*s%s\n", w->indent, "", arena_vprint(w->arena, pattern, arguments));
    va_end(arguments);
}

const char *new_name(Writer *w, const char *start) {
    return print(w, "%s%d", start, w->names++);
}

int bind_value(Writer *w, Value type, const char *expression) {
    if (w->count == MOST_VALUES || typical_elements(&type) > LARGEST_VALUE || type.rank > 5) return -1;
    type.text = new_name(w, "v");
    type.is_parameter = false;
    if (type.kind != WHOLE && (type.rank || type.kind == REAL) && one_in(w, 3))
        write_line(w, "%s: %s = %s", type.text, type_in_text(w, &type), expression);
    else write_line(w, "%s = %s", type.text, expression);
    w->values[w->count] = type;
    return w->count++;
}

// ---- values

bool pick_value(Writer *w, ValueKind kind, int least_rank, Value *value) {
    int recent = w->count > 8 && below(w, 2) ? w->count - 8 : 0;   // often one of the last
    int from = recent + below(w, w->count - recent);
    for (int i = 0; i < w->count; i++) {
        int at = (from + i) % w->count;
        if (w->values[at].kind != kind || w->values[at].rank < least_rank) continue;
        *value = w->values[at];
        return true;
    }
    return false;
}

const char *within(Writer *w, const Value *x, double limit) {
    if (x->bound <= limit) return x->text;
    return print(w, limit == 1 ? "tanh(%s)" : "%2$g * tanh(%1$s)", x->text, limit);
}

const char *above(Writer *w, const Value *x, double least) {
    return print(w, "(%s^2 + %g)", x->text, least);
}

const char *filling(Writer *w, const Value *shape, double *bound) {
    *bound = 1;
    Value any;
    if (!shape->rank && one_in(w, 2) && pick_value(w, REAL, 0, &any))
        return print(w, any.rank ? "sum(tanh(%s)) / 8" : "tanh(%s)", any.text);
    if (!shape->rank) return one_in(w, 2) ? "0.75" : "-0.5";
    for (int attempt = 0; attempt < 4; attempt++) {
        Value y, both;
        if (!pick_value(w, REAL, 0, &y)) break;
        *bound = fmin(y.bound, 8);
        if (same_value_shape(&y, shape)) return within(w, &y, 8);
        if (shapes_together(shape, &y, &both) && same_value_shape(&both, shape))
            return print(w, "broadcast(%s, %s)", within(w, &y, 8), shape_in_text(w, shape));
        if (shapes_together(shape, &y, &both) && same_value_shape(&both, &y) && one_in(w, 2)) {
            *bound = 8;
            return print(w, "sum_to(tanh(%s), %s)", y.text, shape_in_text(w, shape));
        }
    }
    *bound = 1;
    return print(w, "full(%s, %s)", shape_in_text(w, shape), one_in(w, 2) ? "0.75" : "-0.5");
}
