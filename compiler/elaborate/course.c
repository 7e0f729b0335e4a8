// What a loop goes over: a range, or the first axes of tensors, lists and arrays of instances.
#include "elaborate/course.h"
#include "elaborate/values.h"

static bool range_end(Elaborator *e, const Expression *expression, const Extent **extent) {
    Value value = evaluate(e, expression);
    *extent = as_extent(e, value);
    if (!*extent && value.kind != VALUE_ERROR)
        report(e, D_range_not_static, expression->span, "the ends of a range are integers known when compiled, not %s",
               describe(e, value));
    return *extent != NULL;
}

static bool range_course(Elaborator *e, const Statement *statement, Course *course) {
    const Extent *end;
    if (!range_end(e, statement->range_begin, &course->begin) || !range_end(e, statement->range_end, &end))
        return false;
    if (statement->names.count != 1) {
        report(e, D_loop_names, statement->span, "a range gives one number, not %d", statement->names.count);
        return false;
    }
    course->trips = extent_subtract(e->graph->extents, end, course->begin);
    if (!require_at_least_zero(e, course->trips, statement->range_end->span,
                               "the end of a loop's range lies before its begin"))
        course->trips = constant_extent(e, 0);
    bool constant =
        extent_is_constant(course->trips, &course->count) && extent_is_constant(course->begin, &course->first);
    course->may_unroll = constant && course->count <= MOST_UNROLLED;
    return true;
}

static bool lengths_differ(Elaborator *e, const Statement *statement, const Extent *a, const Extent *b) {
    report(e, D_loop_lengths_differ, statement->span, "a loop goes over values of one length, not %s and %s",
           describe_number(e, a), describe_number(e, b));
    help(e, "cut the longer one, as in x[0:n], or loop over one and index the other");
    return false;
}

// The value as something to go over. False: reported.
static bool course_value(Elaborator *e, const Expression *expression, Value *value, const Extent **length) {
    *value = evaluate(e, expression);
    if (value->kind == VALUE_ERROR) return false;
    if (value->kind == VALUE_TUPLE) value->kind = VALUE_LIST;
    if (value->kind == VALUE_INSTANCES || value->kind == VALUE_LIST) {
        bool list = value->kind == VALUE_LIST;
        *length = constant_extent(e, list ? value->list.count : value->instances.count);
        return true;
    }
    Node *node = as_tensor(e, *value, expression->span);
    if (!node) return false;
    *value = value_tensor(node);
    if (node->rank) *length = node->shape[0];
    else {
        report(e, D_loop_over_number, expression->span, "a loop goes over the first axis of a tensor, and %s has none",
               describe(e, *value));
        help(e, "over numbers it is written: for i in 0:n { ... }");
    }
    return node->rank != 0;
}

static bool values_course(Elaborator *e, const Statement *statement, Course *course) {
    int count = statement->values.count;
    bool complete = true;
    if (count != statement->names.count) {
        report(e, D_loop_names, statement->span, "%d names go over %d values", statement->names.count, count);
        return false;
    }
    course->values = arena_array(e->arena, Value, count);
    for (int i = 0; i < count; i++) {
        const Extent *length = NULL;
        if (!course_value(e, statement->values.items[i], &course->values[i], &length)) complete = false;
        if (!complete) continue;
        course->unrolled = course->unrolled || course->values[i].kind != VALUE_TENSOR;
        if (course->trips && course->trips != length) return lengths_differ(e, statement, course->trips, length);
        course->trips = length;
    }
    if (complete) extent_is_constant(course->trips, &course->count);
    return complete;
}

Value element_at(Elaborator *e, Value value, int64_t position) {
    if (value.kind == VALUE_LIST) return value.list.items[position];
    if (value.kind == VALUE_INSTANCES)
        return (Value){.kind = VALUE_INSTANCE, .instance = value.instances.items[position]};
    Node *node = value.node;
    const Extent *starts[MAX_RANK], *extents[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < node->rank; i++) {
        starts[i] = constant_extent(e, i ? 0 : position);
        extents[i] = i ? node->shape[i] : constant_extent(e, 1);
        steps[i] = 1;
    }
    Node *part = slice(e->graph, node, starts, steps, extents);
    return value_tensor(reshape(e->graph, part, extents + 1, node->rank - 1));
}

bool find_course(Elaborator *e, const Statement *statement, Course *course) {
    return statement->range_begin ? range_course(e, statement, course) : values_course(e, statement, course);
}
