// Loops (S5). Over instances and lists they are unrolled; over tensors and ranges they become a node with a body. A
// constant range whose body does not work that way, since it uses the counter as a size or a place or changes shapes, is
// unrolled, too: the body is tried out first, with its messages put aside.
#include "elaborate/course.h"
#include "elaborate/values.h"

#include <string.h>

enum { MOST_ATTEMPTS = 6 };

// A name bound before the loop and bound again in it.
typedef struct {
    Binding *binding;
    Value before;
    Node *first;   // its first value as a tensor; NULL: no tensor, so it must not change
    Node *variable;
} Carry;
typedef ARRAY(Carry) Carries;

// A state of a net that the body stores.
typedef struct {
    State *state;
    Node *first, *variable, *after;
} StateCarry;
typedef ARRAY(StateCarry) StateCarries;

// ---- unrolled

static void stack_yields(Elaborator *e, const Loop *loop, int64_t iterations) {
    for (int i = 0; i < loop->yields.count; i++) {
        const Yield *yield = &loop->yields.items[i];
        Value value = {.kind = VALUE_ERROR};
        bool failed = false;
        for (int k = 0; k < yield->values.count; k++) failed = failed || yield->values.items[k].kind == VALUE_ERROR;
        if (!failed && yield->values.count != iterations)
            failure(e, D_yielded_twice, yield->span, "'%s' is yielded more than once in an iteration",
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
    if (a.kind == VALUE_NET) return a.net == b.net;
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

// ---- states that the body stores

// What the entry's states are before the loop.
static StateValue *keep_states(Elaborator *e, int *count) {
    const EntryContext *context = e->context;
    *count = context ? context->states.count : 0;
    return *count ? arena_copy(e->arena, context->states.items, sizeof(StateValue) * (size_t)*count) : NULL;
}

static void restore_states(Elaborator *e, const StateValue *before, int count) {
    if (!e->context) return;
    e->context->states.count = count;
    for (int i = 0; i < count; i++) e->context->states.items[i] = before[i];
}

static void bind_states(Elaborator *e, StateCarries *stored) {
    for (int i = 0; i < stored->count; i++) {
        StateCarry *carry = &stored->items[i];
        Node *first = carry->first = state_value(e, carry->state);
        Variable variable = {.kind = VARIABLE_ARGUMENT, .name = carry->state->path};
        carry->variable =
            variable_make(e->graph, &variable, first->dtype, (const Extent *const *)first->shape, first->rank);
        set_state(e, carry->state, carry->variable);
    }
}

// Takes what the states are after the iteration. True: one was stored that was not known to be.
static bool take_states(Elaborator *e, StateCarries *stored, const StateValue *before, int before_count) {
    int known = stored->count;
    for (int i = 0; e->context && i < e->context->states.count; i++) {
        const StateValue *value = &e->context->states.items[i];
        StateCarry *found = NULL;
        bool changed = i >= before_count || before[i].value != value->value;
        for (int k = 0; k < known; k++)
            if (stored->items[k].state == value->state) found = &stored->items[k];
        if (found) found->after = value->value;
        StateCarry fresh = {.state = value->state};
        if (!found && changed) array_push(e->arena, stored, fresh);
    }
    return stored->count > known;
}

// ---- one iteration

// A loop with a body, as it is tried.
typedef struct {
    const Course *course;
    Carries *carries;
    StateCarries stored;
    Loop loop;
    Value *after;   // by carry
    bool retry;     // the body has to run again, with other carries
} Scan;

static bool nests_too_deeply(Elaborator *e, Span span) {
    int depth = 0;
    for (const Loop *loop = e->bodies; loop; loop = loop->outer_body) depth++;
    if (depth < MAX_LOOP_DEPTH) return false;
    report(e, D_loops_too_deep, span, "loops are nested more than %d deep", MAX_LOOP_DEPTH);
    return true;
}

// Runs the body once, with variables for what changes. False: reported.
static bool run_iteration(Elaborator *e, Scan *scan) {
    const Statement *statement = scan->course->statement;
    if (nests_too_deeply(e, statement->span)) return false;
    int errors = diagnostics_errors(e->diagnostics), state_count;
    StateValue *states = keep_states(e, &state_count);
    Loop *outer = e->frame->loop;
    scan->loop = (Loop){.outer_body = e->bodies, .has_body = true, .trips = scan->course->trips};
    bind_sequences(e, scan->course, &scan->loop, scope_push(e));
    bind_carries(e, scan->carries);
    bind_states(e, &scan->stored);
    e->frame->loop = e->bodies = &scan->loop;
    run_block(e, &statement->body);
    e->frame->loop = outer;
    e->bodies = scan->loop.outer_body;
    scope_pop(e);
    restore_carries(scan->carries, scan->after);
    scan->retry = take_states(e, &scan->stored, states, state_count);
    restore_states(e, states, state_count);
    return diagnostics_errors(e->diagnostics) == errors;
}

static Node *yielded(Elaborator *e, const Yield *yield) {
    if (yield->values.count == 1) return as_tensor(e, yield->values.items[0], yield->span);
    report(e, D_yielded_twice, yield->span, "'%s' is yielded more than once in an iteration", yield->name.text);
    return NULL;
}

// ---- results of the body

typedef struct {
    LoopInput *inputs;   // carries, then states
    Named *results;      // new carries, new states, yields, reports
    int carry_count, input_count, count;
} BodyResults;

static bool add_carried(Elaborator *e, Scan *scan, BodyResults *results, Span span) {
    for (int i = 0; i < scan->carries->count; i++) {
        Carry *carry = &scan->carries->items[i];
        Node *node = NULL;
        if (!carry->first) {
            if (!same_value(carry->before, scan->after[i])) return carry_changes(e, carry, scan->after[i], span);
            continue;
        }
        CarryFit fit = carry_result(e, carry, scan->after[i], span, &node);
        if (fit == CARRY_FAILS) return false;
        if (fit == CARRY_WIDENS) scan->retry = true;
        results->inputs[results->count] = (LoopInput){carry->first, carry->variable};
        results->results[results->count++] = (Named){carry->binding->name, node};
    }
    results->carry_count = results->count;
    for (int i = 0; i < scan->stored.count && !scan->retry; i++) {
        const StateCarry *carry = &scan->stored.items[i];
        results->inputs[results->count] = (LoopInput){carry->first, carry->variable};
        results->results[results->count++] = (Named){carry->state->path, carry->after};
    }
    results->input_count = results->count;
    return true;
}

static bool add_yields(Elaborator *e, const Scan *scan, BodyResults *results, Span span) {
    for (int i = 0; i < scan->loop.yields.count; i++) {
        Node *node = yielded(e, &scan->loop.yields.items[i]);
        if (!node) return false;
        if (node->rank == MAX_RANK) {
            report(e, D_too_many_axes, span, "a yield adds an axis, and tensors have at most %d axes", MAX_RANK);
            return false;
        }
        results->results[results->count++] = (Named){scan->loop.yields.items[i].name.text, node};
    }
    for (int i = 0; i < scan->loop.reports.count; i++) results->results[results->count++] = scan->loop.reports.items[i];
    return true;
}

// The results of the body from one run of it; scan->retry: a number before the loop became a tensor, so run it again.
static bool body_results(Elaborator *e, Scan *scan, BodyResults *results) {
    Span span = scan->course->statement->span;
    int inputs = scan->carries->count + scan->stored.count;
    results->inputs = arena_array(e->arena, LoopInput, inputs);
    results->results = arena_array(e->arena, Named, inputs + scan->loop.yields.count + scan->loop.reports.count);
    return add_carried(e, scan, results, span) && (scan->retry || add_yields(e, scan, results, span));
}

// The last of a report's values; 0 if there is none.
static Node *last_of(Elaborator *e, Node *stacked) {
    Graph *graph = e->graph;
    const Extent *trips = stacked->shape[0];
    const Extent *last = extent_subtract(graph->extents, trips, constant_extent(e, 1));
    Node *counter = iota(graph, DTYPE_I64, &trips, 1, 0);
    Node *place = broadcast(graph, extent_value(graph, DTYPE_I64, last), &trips, 1, NULL);
    Node *chosen = select_nodes(e, map2(graph, OP_equal, counter, place), stacked, constant_like(graph, stacked, 0));
    return reduce(graph, OP_reduce_sum, chosen, (int[]){0}, 1);
}

static void bind_results(Elaborator *e, const Scan *scan, const BodyResults *results, Node *node) {
    int yields = results->input_count + scan->loop.yields.count;
    for (int i = 0; i < results->count; i++) {
        const char *name = results->results[i].name;
        Node *result = result_of(e->graph, node, i);
        if (i >= yields) add_report(e, name, last_of(e, result));
        else if (i < results->carry_count || i >= results->input_count) assign_named(e, name, value_tensor(result));
        else set_state(e, scan->stored.items[i - results->carry_count].state, result);
    }
}

static bool run_body_loop(Elaborator *e, const Course *course, Carries *carries) {
    Span span = course->statement->span;
    Scan scan = {.course = course, .carries = carries, .after = arena_array(e->arena, Value, carries->count)};
    for (int attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        BodyResults results = {0};
        if (!run_iteration(e, &scan)) return false;
        if (scan.retry) continue;
        if (!body_results(e, &scan, &results)) return false;
        if (scan.retry) continue;
        if (!results.count) return true;
        Node *node =
            make_loop(e, &scan.loop, results.inputs, results.input_count, results.results, results.count, span);
        if (node) bind_results(e, &scan, &results, node);
        return node != NULL;
    }
    report(e, D_carry_grows, span, "what this loop carries has no fixed shape");
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
    bool known = find_course(e, statement, &course);
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
