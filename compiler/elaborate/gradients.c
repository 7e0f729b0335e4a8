// Gradients as the language asks for them: checked here (S1, S2), expanded by differentiation.
#include "elaborate/builtins.h"

#include "graph/rewrite.h"

#include <string.h>

void marks_begin(Elaborator *e) {
    if (e->graph->node_count > e->mark_capacity) {
        e->mark_capacity = 2 * e->graph->node_count;
        e->marks = arena_array(e->arena, int, e->mark_capacity);
        e->mark = 0;
    }
    e->mark++;
}

bool marks_add(Elaborator *e, const Node *node) {
    if (e->marks[node->id] == e->mark) return false;
    e->marks[node->id] = e->mark;
    return true;
}

bool reads_variables(Elaborator *e, Node *node) {
    ARRAY(Node *) open = {0};
    marks_begin(e);
    array_push(e->arena, &open, node);
    while (open.count) {
        Node *next = open.items[--open.count];
        if (next->op == OP_variable || next->op == OP_extent) return true;
        if (!marks_add(e, next)) continue;
        for (int i = 0; i < next->input_count; i++) array_push(e->arena, &open, next->inputs[i]);
    }
    return false;
}

// The inputs of a node from which a derivative can flow into it: from `*first` on, before the result. A request's targets
// only name what it differentiates by; a custom has its arguments, whatever its values read.
static int flowing_inputs(const Node *node, int *first) {
    *first = node->op == OP_custom ? custom_part(node, 0) : 0;
    if (node->op == OP_custom) return *first + custom_part(node, 1);
    return is_request(node) ? first_target(node) : node->input_count;
}

static bool carries_gradient(const Node *node) {
    return (dtype_is_float(node->dtype) || node->dtype == DTYPE_TUPLE) && node->op != OP_stop_gradient;
}

// Adds the inputs from which a derivative can flow into the node.
static void push_flowing(Elaborator *e, NodeArray *open, const Node *node);

// Marks in `inputs` those of the loop from which a derivative can flow into its result number `index`.
static void mark_flowing(Elaborator *e, const Node *loop, int index, bool *inputs) {
    NodeMap seen = {.arena = e->arena};
    NodeArray open = {0};
    array_push(e->arena, &open, loop->body->results[index].node);
    while (open.count) {
        Node *next = open.items[--open.count];
        if (!carries_gradient(next) || node_map_get(&seen, next)) continue;
        node_map_set(&seen, next, next);
        for (int i = 0; i < loop->input_count; i++) {
            int carry = i - loop_part(loop, 0);
            if (next != loop->body->arguments[i] || inputs[i]) continue;
            inputs[i] = true;
            if (carry >= 0 && carry < loop_part(loop, 1)) array_push(e->arena, &open, loop->body->results[carry].node);
        }
        push_flowing(e, &open, next);
    }
}

static void push_flowing(Elaborator *e, NodeArray *open, const Node *node) {
    const Node *loop = node->op == OP_result && node->inputs[0]->op == OP_loop ? node->inputs[0] : NULL;
    if (loop) {
        bool *inputs = arena_array(e->arena, bool, loop->input_count);
        mark_flowing(e, loop, attribute_integer(node, 0), inputs);
        for (int i = 0; i < loop->input_count; i++)
            if (inputs[i]) array_push(e->arena, open, loop->inputs[i]);
        return;
    }
    int first, end = flowing_inputs(node, &first);
    for (int i = first; i < end; i++) array_push(e->arena, open, node->inputs[i]);
}

// Whether a derivative can flow from target to node: through floating values, not past stop_gradient.
bool depends_on(Elaborator *e, Node *node, Node *target) {
    NodeArray open = {0};
    marks_begin(e);
    array_push(e->arena, &open, node);
    while (open.count) {
        Node *next = open.items[--open.count];
        if (next == target) return true;
        if (next->id >= target->id && carries_gradient(next) && marks_add(e, next)) push_flowing(e, &open, next);
    }
    return false;
}

static bool not_tracked(Elaborator *e, Value value, Span span) {
    const char *name = arena_copy_text(e->arena, span.source->text + span.begin, span.end - span.begin);
    report(e, D_does_not_require_grad, span, "'%s' does not require grad", name);
    bool is_input =
        value.kind == VALUE_TENSOR && value.node->op == OP_variable && value.node->variable->kind == VARIABLE_INPUT;
    if (is_input) help(e, "mark the input: %s: %s requires_grad", value.node->variable->name, describe(e, value));
    else help(e, "track it before it is used: x = track(%s), and take the gradient by x", name);
    return false;
}

static bool is_tracked(const Node *node) {
    if (node->op == OP_track) return true;
    if (node->op != OP_variable) return false;
    return node->variable->kind == VARIABLE_PARAMETER || node->variable->requires_grad;
}

static void add_parameters(Elaborator *e, Instance *instance, NodeArray *targets) {
    int count = collect_parameters(instance, NULL);
    Parameter **parameters = arena_array(e->arena, Parameter *, count);
    collect_parameters(instance, parameters);
    for (int i = 0; i < count; i++) array_push(e->arena, targets, parameters[i]->variable);
}

static bool add_target(Elaborator *e, Value value, Span span, NodeArray *targets) {
    if (value.kind == VALUE_ERROR) return false;
    if (value.kind == VALUE_INSTANCE || value.kind == VALUE_PARAMETERS) {
        add_parameters(e, value.instance, targets);
        return true;
    }
    if (value.kind != VALUE_TENSOR || !is_tracked(value.node)) return not_tracked(e, value, span);
    array_push(e->arena, targets, value.node);
    return true;
}

// Whether y depends on the target, also by what loops around go over.
static bool reaches(Elaborator *e, Node *y, Node *target) {
    if (depends_on(e, y, target)) return true;
    for (const Loop *loop = e->bodies; loop; loop = loop->outer_body)
        for (int i = 0; i < loop->sequences.count; i++) {
            const LoopInput *input = &loop->sequences.items[i];
            if (depends_on(e, y, input->variable) && reaches(e, input->source, target)) return true;
        }
    return false;
}

static bool is_element(const Elaborator *e, const Node *variable) {
    for (const Loop *loop = e->bodies; loop; loop = loop->outer_body)
        for (int i = 0; i < loop->sequences.count; i++)
            if (loop->sequences.items[i].variable == variable) return true;
    return false;
}

// Whether y is computed from what a loop around carries: a variable of its body that is no element of what it goes
// over.
static bool reads_carry(Elaborator *e, Node *y) {
    NodeArray nodes = reachable(e->graph, &y, 1);
    for (int i = 0; i < nodes.count && e->bodies; i++) {
        const Node *node = nodes.items[i];
        if (node->op == OP_variable && node->variable->kind == VARIABLE_ARGUMENT && !is_element(e, node)) return true;
    }
    return false;
}

static bool check_used(Elaborator *e, Node *y, Value target, const NodeArray *targets, Span span) {
    for (int i = 0; i < targets->count; i++)
        if (reaches(e, y, targets->items[i])) return true;
    if (!reads_carry(e, y)) return report_unused(e, target, span);
    Waiting waiting = {.targets = *targets, .target = target, .span = span};
    array_push(e->arena, &waiting.values, y);
    array_push(e->arena, &e->bodies->waiting, waiting);
    return true;
}

bool report_unused(Elaborator *e, Value target, Span span) {
    report(e, D_unused_in_graph, span, "%s appears to not have been used in the graph of the differentiated value",
           target.kind == VALUE_TENSOR && target.node->name ? arena_print(e->arena, "'%s'", target.node->name)
                                                            : describe(e, target));
    help(e, "with allow_unused = true its gradient is zero");
    return false;
}

// The parameters' gradients as one flat vector, in order of declaration.
static Value flat_results(Elaborator *e, Node *request, int count) {
    Node **parts = arena_array(e->arena, Node *, count);
    for (int i = 0; i < count; i++) {
        parts[i] = result_of(e->graph, request, i);
        const Extent *all = element_count(e->graph, parts[i]);
        parts[i] = reshape(e->graph, parts[i], &all, 1);
    }
    return value_tensor(concatenate(e, parts, count, 0));
}

bool find_targets(const BuiltinCall *call, Node *y, Value target, bool allow_unused, NodeArray *targets) {
    Elaborator *e = call->e;
    Span span = call->spans[1];
    if (!add_target(e, target, span, targets)) return false;
    if (targets->count) return allow_unused || check_used(e, y, target, targets, span);
    report(e, D_no_parameters, span, "%s has no parameters", describe(e, target));
    return false;
}

Value gradient_by(const BuiltinCall *call, Node *y, Node *cotangent, Value target, bool allow_unused) {
    Elaborator *e = call->e;
    NodeArray targets = {0};
    if (!find_targets(call, y, target, allow_unused, &targets)) return no_value();
    bool flat = target.kind != VALUE_TENSOR;
    Node *request = gradient(e->graph, y, cotangent, targets.items, targets.count, flat || allow_unused);
    return flat ? flat_results(e, request, targets.count) : value_tensor(result_of(e->graph, request, 0));
}

static Value gradient_call(const BuiltinCall *call, Node *y, Node *cotangent, bool allow_unused) {
    Elaborator *e = call->e;
    Value target = call->values[1];
    if (target.kind != VALUE_TUPLE && target.kind != VALUE_LIST)
        return gradient_by(call, y, cotangent, target, allow_unused);
    Value result = {.kind = VALUE_TUPLE};
    result.list.count = target.list.count;
    result.list.items = arena_array(e->arena, Value, target.list.count);
    for (int i = 0; i < target.list.count; i++) {
        result.list.items[i] = gradient_by(call, y, cotangent, target.list.items[i], allow_unused);
        if (result.list.items[i].kind == VALUE_ERROR) return no_value();
    }
    return result;
}

Node *floating_argument(const BuiltinCall *call, int index) {
    Node *node = tensor_argument(call, index);
    if (!node || dtype_is_float(node->dtype)) return node;
    report(call->e, D_cannot_require_grad, call->spans[index], "only floating values have gradients, not %s",
           describe(call->e, value_tensor(node)));
    help(call->e, "convert it with f32(...)");
    return NULL;
}

Node *scalar_argument(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *y = floating_argument(call, 0);
    if (!y || !y->rank) return y;
    report(e, D_not_a_scalar, call->spans[0], "grad can be implicitly created only for scalar outputs, not for %s",
           describe(e, value_tensor(y)));
    help(e, "take the gradient of a sum: grad(sum(...), x); or give a cotangent: vjp(y, x, cotangent)");
    return NULL;
}

Value builtin_grad(const BuiltinCall *call) {
    Node *y = scalar_argument(call);
    bool allow_unused;
    if (!y || !flag_argument(call, 2, &allow_unused)) return no_value();
    return gradient_call(call, y, NULL, allow_unused);
}

Value builtin_vjp(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Node *y = floating_argument(call, 0);
    bool allow_unused;
    if (!y || !flag_argument(call, 3, &allow_unused)) return no_value();
    Node *cotangent = as_dtype(e, call->values[2], y->dtype, call->spans[2]);
    if (!cotangent) return no_value();
    if (!same_shape(y, cotangent))
        return failure(e, D_cotangent_shape, call->spans[2], "the cotangent is %s, but the value is %s",
                       describe(e, value_tensor(cotangent)), describe(e, value_tensor(y)));
    return gradient_call(call, y, cotangent, allow_unused);
}

Value builtin_track(const BuiltinCall *call) {
    Node *x = floating_argument(call, 0);
    return x ? value_tensor(track(call->e->graph, x)) : no_value();
}

Value builtin_stop_gradient(const BuiltinCall *call) {
    Node *x = tensor_argument(call, 0);
    return x ? value_tensor(stop_gradient(call->e->graph, x)) : no_value();
}

Value builtin_parameters(const BuiltinCall *call) {
    Value value = call->values[0];
    if (value.kind == VALUE_ERROR) return value;
    if (value.kind == VALUE_INSTANCE) return (Value){.kind = VALUE_PARAMETERS, .instance = value.instance};
    return failure(call->e, D_no_parameters, call->spans[0], "only instances of nets have parameters, not %s",
                   describe(call->e, value));
}
