// Loops (S5). Over instances and lists they are unrolled; over tensors and ranges they become a node with a body. A
// constant range whose body does not work that way, since it uses the counter as a size or a place or changes shapes, is
// unrolled, too: the body is tried out first, with its messages put aside.
#include "elaborate/elaborator.h"

#include <string.h>

enum { MOST_UNROLLED = 1024, MOST_ATTEMPTS = 3 };

// What a loop goes over.
typedef struct {
    const Statement *statement;
    Value *values;         // over values, one for each name: INSTANCES, LIST or TENSOR
    const Extent *begin;   // over a range; else NULL
    const Extent *trips;
    bool unrolled;          // over instances or lists
    bool may_unroll;        // a constant range that is short enough
    int64_t first, count;   // if it is unrolled
} Course;

// A name bound before the loop and bound again in it.
typedef struct {
    Binding *binding;
    Value before;
    Node *first;   // its first value as a tensor; NULL: no tensor, so it must not change
    Node *variable;
} Carry;
typedef ARRAY(Carry) Carries;

// ---- what the loop goes over

static bool range_end(Elaborator *e, const Expression *expression, const Extent **extent) {
    Value value = evaluate(e, expression);
    *extent = as_extent(e, value);
    if (!*extent && value.kind != VALUE_ERROR)
        report(e, D_not_static, expression->span, "the ends of a range are integers known when compiled, not %s",
               describe(e, value));
    return *extent != NULL;
}

static bool range_course(Elaborator *e, const Statement *statement, Course *course) {
    const Extent *end;
    if (!range_end(e, statement->range_begin, &course->begin) || !range_end(e, statement->range_end, &end))
        return false;
    if (statement->names.count != 1) {
        report(e, D_wrong_count, statement->span, "a range gives one number, not %d", statement->names.count);
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
    report(e, D_shape_mismatch, statement->span, "a loop goes over values of one length, not %s and %s",
           describe_number(e, a), describe_number(e, b));
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
        report(e, D_shape_mismatch, expression->span, "a loop goes over the first axis of a tensor, and %s has none",
               describe(e, *value));
        help(e, "over numbers it is written: for i in 0:n { ... }");
    }
    return node->rank != 0;
}

static bool values_course(Elaborator *e, const Statement *statement, Course *course) {
    int count = statement->values.count;
    bool complete = true;
    if (count != statement->names.count) {
        report(e, D_wrong_count, statement->span, "%d names go over %d values", statement->names.count, count);
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

// ---- unrolled

static Value element_at(Elaborator *e, Value value, int64_t position) {
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

static void stack_yields(Elaborator *e, const Loop *loop, int64_t iterations) {
    for (int i = 0; i < loop->yields.count; i++) {
        const Yield *yield = &loop->yields.items[i];
        Value value = {.kind = VALUE_ERROR};
        bool failed = false;
        for (int k = 0; k < yield->values.count; k++) failed = failed || yield->values.items[k].kind == VALUE_ERROR;
        if (!failed && yield->values.count != iterations)
            failure(e, D_declared_twice, yield->span, "'%s' is yielded more than once in an iteration",
                    yield->name.text);
        else if (!failed) {
            value = value_list(e, yield->values.items, yield->values.count);
            value = tensor_of_list(e, value, yield->span);
        }
        assign_named(e, yield->name.text, value);
    }
}

// What is yielded by a loop with errors is not known.
static void fail_yields(Elaborator *e, const Statement *statement) {
    for (int i = 0; i < statement->body.count; i++)
        if (statement->body.items[i]->kind == STATEMENT_YIELD)
            assign(e, statement->body.items[i]->names.items[0].text, (Value){.kind = VALUE_ERROR});
}

static void run_unrolled(Elaborator *e, const Course *course) {
    const Statement *statement = course->statement;
    Loop loop = {.outer_body = e->bodies}, *outer = e->frame->loop;
    int errors = diagnostics_errors(e->diagnostics);
    for (int64_t i = 0; i < course->count && diagnostics_errors(e->diagnostics) == errors; i++) {
        if (!spend(e, 1, statement->span)) break;
        Scope *scope = scope_push(e);
        for (int k = 0; k < statement->names.count; k++)
            bind_name(e, scope, statement->names.items[k].text,
                      course->begin ? value_integer(e, course->first + i) : element_at(e, course->values[k], i));
        e->frame->loop = &loop;
        run_block(e, &statement->body);
        e->frame->loop = outer;
        scope_pop(e);
    }
    if (diagnostics_errors(e->diagnostics) == errors) stack_yields(e, &loop, course->count);
    else fail_yields(e, statement);
}

// ---- carries

static bool is_loop_name(const Statement *statement, const char *name) {
    for (int i = 0; i < statement->names.count; i++)
        if (strcmp(statement->names.items[i].text, name) == 0) return true;
    return false;
}

static void add_carry(Elaborator *e, const Statement *statement, const char *name, Carries *carries) {
    Binding *binding = is_loop_name(statement, name) ? NULL : find_binding(e, name);
    for (int i = 0; i < carries->count; i++)
        if (carries->items[i].binding == binding) return;
    Carry carry = {.binding = binding};
    if (binding) array_push(e->arena, carries, carry);
}

// Collects the names that the block binds and that are bound already.
static void find_carries(Elaborator *e, const Statement *statement, const Block *block, Carries *carries) {
    for (int i = 0; i < block->count; i++) {
        const Statement *inner = block->items[i];
        bool binds = inner->kind == STATEMENT_ASSIGN || inner->kind == STATEMENT_TYPED ||
                     (inner->kind == STATEMENT_YIELD && block != &statement->body);
        for (int k = 0; binds && k < inner->names.count; k++)
            add_carry(e, statement, inner->names.items[k].text, carries);
        if (inner->kind == STATEMENT_FOR) find_carries(e, statement, &inner->body, carries);
    }
}

static bool is_weak(Value value) {
    return value.kind == VALUE_NUMBER || (value.kind == VALUE_TENSOR && value.weak);
}

static bool first_values(Elaborator *e, Span span, Carries *carries) {
    for (int i = 0; i < carries->count; i++) {
        Carry *carry = &carries->items[i];
        carry->before = settle(e, carry->binding->value, span);
        if (carry->before.kind == VALUE_ERROR) return false;
        if (is_tensor_like(carry->before)) carry->first = as_tensor(e, carry->before, span);
    }
    return true;
}

static bool carry_changes(Elaborator *e, const Carry *carry, Value after, Span span) {
    report(e, D_carry_changes, span, "'%s' is %s before the loop and %s after an iteration", carry->binding->name,
           describe(e, carry->first ? value_tensor(carry->first) : carry->before), describe(e, after));
    help(e,
         "what a loop carries keeps its dtype and shape; only loops over instances and constant ranges may change it");
    return false;
}

static bool same_value(Value a, Value b) {
    if (a.kind != b.kind) return false;
    if (a.kind == VALUE_TENSOR) return a.node == b.node;
    if (a.kind == VALUE_FUNCTION) return strcmp(a.callable->name, b.callable->name) == 0;
    if (a.kind == VALUE_INSTANCE || a.kind == VALUE_PARAMETERS) return a.instance == b.instance;
    if (a.kind == VALUE_INSTANCES)
        return a.instances.items == b.instances.items && a.instances.count == b.instances.count;
    if (a.kind == VALUE_STRING) return strcmp(a.string, b.string) == 0;
    return a.kind == VALUE_NONE;
}

typedef enum { CARRY_FITS, CARRY_FAILS, CARRY_WIDENS } CarryFit;

// The carry's value after an iteration. CARRY_WIDENS: its first value was a mere number and is now a tensor like that.
static CarryFit carry_result(Elaborator *e, Carry *carry, Value after, Span span, Node **result) {
    after = settle(e, after, span);
    if (after.kind == VALUE_ERROR) return CARRY_FAILS;
    if (!is_tensor_like(after)) {
        carry_changes(e, carry, after, span);
        return CARRY_FAILS;
    }
    Node *first = carry->first;
    *result = is_weak(after) && (dtype_is_float(first->dtype) || is_weak(carry->before) == false)
                  ? as_dtype(e, after, first->dtype, span)
                  : as_tensor(e, after, span);
    if (!*result) return CARRY_FAILS;
    bool widens = dtype_is_integer((*result)->dtype) && dtype_is_float(first->dtype);
    if (widens) *result = cast(e->graph, *result, first->dtype);
    if ((*result)->dtype == first->dtype && same_shape(*result, first)) return CARRY_FITS;
    if (!is_weak(carry->before)) {
        carry_changes(e, carry, after, span);
        return CARRY_FAILS;
    }
    Shape shape = shape_of(*result);
    Node *number = carry->before.kind == VALUE_TENSOR && carry->before.node->rank
                       ? NULL
                       : as_dtype(e, carry->before, (*result)->dtype, span);
    if (!number) {
        carry_changes(e, carry, after, span);
        return CARRY_FAILS;
    }
    carry->first = broadcast_to(e, number, &shape);
    return CARRY_WIDENS;
}

// ---- with a body

static void add_sequence(Elaborator *e, Loop *loop, Scope *scope, const char *name, Node *source) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = name};
    Node *element =
        variable_make(e->graph, &variable, source->dtype, (const Extent *const *)source->shape + 1, source->rank - 1);
    LoopInput input = {source, element};
    array_push(e->arena, &loop->sequences, input);
    bind_name(e, scope, name, value_tensor(element));
}

static void bind_sequences(Elaborator *e, const Course *course, Loop *loop, Scope *scope) {
    const Names *names = &course->statement->names;
    if (course->begin) {
        Node *counter = iota(e->graph, DTYPE_I32, &course->trips, 1, 0);
        Value begin = value_extent(course->begin);
        Value range = extent_is(course->begin, 0)
                          ? value_tensor(counter)
                          : binary(e, OPERATOR_ADD, value_tensor(counter), begin, course->statement->span);
        if (range.kind == VALUE_TENSOR) add_sequence(e, loop, scope, names->items[0].text, range.node);
        return;
    }
    for (int i = 0; i < names->count; i++) add_sequence(e, loop, scope, names->items[i].text, course->values[i].node);
}

static void bind_carries(Elaborator *e, Carries *carries) {
    for (int i = 0; i < carries->count; i++) {
        Carry *carry = &carries->items[i];
        if (!carry->first) continue;
        Variable variable = {.kind = VARIABLE_ARGUMENT, .name = carry->binding->name};
        carry->variable = variable_make(e->graph, &variable, carry->first->dtype,
                                        (const Extent *const *)carry->first->shape, carry->first->rank);
        carry->binding->value = value_tensor(carry->variable);
    }
}

// Takes the values that names have after the iteration, and gives the names back what they were. `after`: by carry.
static void restore_carries(Carries *carries, Value *after) {
    for (int i = 0; i < carries->count; i++) {
        after[i] = carries->items[i].binding->value;
        carries->items[i].binding->value = carries->items[i].before;
    }
}

static bool states_changed(const EntryContext *context, const StateValue *before, int count) {
    if (!context) return false;
    return context->states.count != count ||
           (count && memcmp(context->states.items, before, sizeof *before * (size_t)count) != 0);
}

// Runs the body once, with variables for what changes. False: reported.
static bool run_iteration(Elaborator *e, const Course *course, Loop *loop, Carries *carries, Value *after) {
    const Statement *statement = course->statement;
    EntryContext *context = e->context;
    int errors = diagnostics_errors(e->diagnostics), state_count = context ? context->states.count : 0;
    StateValue *states =
        state_count ? arena_copy(e->arena, context->states.items, sizeof *states * (size_t)state_count) : NULL;
    Loop *outer = e->frame->loop;
    *loop = (Loop){.outer_body = e->bodies, .has_body = true, .trips = course->trips};
    bind_sequences(e, course, loop, scope_push(e));
    bind_carries(e, carries);
    e->frame->loop = e->bodies = loop;
    run_block(e, &statement->body);
    e->frame->loop = outer;
    e->bodies = loop->outer_body;
    scope_pop(e);
    restore_carries(carries, after);
    if (states_changed(context, states, state_count)) {
        refuse(e, statement->span, "storing a net's state inside a loop that is not unrolled is");
        context->states.count = state_count;
        if (state_count) memcpy(context->states.items, states, sizeof *states * (size_t)state_count);
    }
    return diagnostics_errors(e->diagnostics) == errors;
}

static Node *yielded(Elaborator *e, const Yield *yield) {
    if (yield->values.count == 1) return as_tensor(e, yield->values.items[0], yield->span);
    report(e, D_declared_twice, yield->span, "'%s' is yielded more than once in an iteration", yield->name.text);
    return NULL;
}

// The results of the body from one run of it. `retry`: a number before the loop became a tensor; run it again.
static bool body_results(Elaborator *e, const Loop *loop, Carries *carries, const Value *after, Span span,
                         LoopInput *inputs, Named *results, int *input_count, bool *retry) {
    int count = 0;
    *retry = false;
    for (int i = 0; i < carries->count; i++) {
        Carry *carry = &carries->items[i];
        Node *node = NULL;
        if (!carry->first) {
            if (!same_value(carry->before, after[i])) return carry_changes(e, carry, after[i], span);
            continue;
        }
        CarryFit fit = carry_result(e, carry, after[i], span, &node);
        if (fit == CARRY_FAILS) return false;
        if (fit == CARRY_WIDENS) *retry = true;
        inputs[count] = (LoopInput){carry->first, carry->variable};
        results[count++] = (Named){carry->binding->name, node};
    }
    *input_count = count;
    for (int i = 0; i < loop->yields.count && !*retry; i++) {
        Node *node = yielded(e, &loop->yields.items[i]);
        if (!node) return false;
        if (node->rank == MAX_RANK) {
            report(e, D_too_many_axes, span, "a yield adds an axis, and tensors have at most %d axes", MAX_RANK);
            return false;
        }
        results[count++] = (Named){loop->yields.items[i].name.text, node};
    }
    return true;
}

static bool run_body_loop(Elaborator *e, const Course *course, Carries *carries) {
    Span span = course->statement->span;
    Loop loop;
    Value *after = arena_array(e->arena, Value, carries->count);
    bool retry = true;
    for (int attempt = 0; retry && attempt < MOST_ATTEMPTS; attempt++) {
        if (!run_iteration(e, course, &loop, carries, after)) return false;
        int count = carries->count + loop.yields.count, carry_count = 0;
        LoopInput *inputs = arena_array(e->arena, LoopInput, carries->count);
        Named *results = arena_array(e->arena, Named, count);
        if (!body_results(e, &loop, carries, after, span, inputs, results, &carry_count, &retry)) {
            retry = false;
            break;
        }
        if (retry) continue;
        count = carry_count + loop.yields.count;
        if (!count) return true;
        Node *node = make_loop(e, &loop, inputs, carry_count, results, count, span);
        for (int i = 0; node && i < count; i++)
            assign_named(e, results[i].name, value_tensor(result_of(e->graph, node, i)));
        if (node) return true;
        break;
    }
    if (retry) report(e, D_carry_changes, span, "what this loop carries has no fixed shape");
    return false;
}

// Drops the ranges behind the first `count`, and what inputs were promised to lie in by them.
static void forget_ranges(Entry *entry, int count) {
    for (int i = count; i < entry->ranges.count; i++) entry->ranges.items[i].input->variable->bound = NULL;
    entry->ranges.count = count;
    for (int i = count - 1; i >= 0; i--) entry->ranges.items[i].input->variable->bound = entry->ranges.items[i].count;
}

// Tries a loop with a body and says whether it works; messages are put aside, and what it left behind is forgotten.
static bool try_body_loop(Elaborator *e, const Course *course, Carries *carries) {
    Diagnostics *diagnostics = e->diagnostics;
    Entry *entry = e->context ? e->context->entry : NULL;
    int checks = entry ? entry->checks.count : 0, ranges = entry ? entry->ranges.count : 0;
    e->diagnostics = diagnostics_create(e->arena, 1);
    bool works = first_values(e, course->statement->span, carries) && run_body_loop(e, course, carries);
    e->diagnostics = diagnostics;
    if (works || !entry) return works;
    entry->checks.count = checks;
    forget_ranges(entry, ranges);
    return false;
}

static void fail_carries(Carries *carries) {
    for (int i = 0; i < carries->count; i++) carries->items[i].binding->value = (Value){.kind = VALUE_ERROR};
}

static void run_course(Elaborator *e, const Statement *statement) {
    Course course = {.statement = statement};
    Carries carries = {0};
    bool known = statement->range_begin ? range_course(e, statement, &course) : values_course(e, statement, &course);
    find_carries(e, statement, &statement->body, &carries);
    if (!known) {   // what it binds is not known either
        fail_carries(&carries);
        fail_yields(e, statement);
        return;
    }
    if (course.may_unroll) course.unrolled = !try_body_loop(e, &course, &carries);
    if (course.unrolled) run_unrolled(e, &course);
    if (course.unrolled || course.may_unroll) return;
    if (first_values(e, statement->span, &carries) && run_body_loop(e, &course, &carries)) return;
    if (course.begin && extent_is_constant(course.trips, NULL))
        help(e, "a range of up to %d that needs it is unrolled", MOST_UNROLLED);
    fail_carries(&carries);
    fail_yields(e, statement);
}

void run_for(Elaborator *e, const Statement *statement) {
    enum { LEVELS = 4 };   // as much of the stack as so many expressions
    if (!go_deeper(e, LEVELS, statement->span)) return;
    run_course(e, statement);
    e->depth -= LEVELS;
}
