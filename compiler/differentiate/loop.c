// Reverse mode of loops.
//
// A loop is reversed by another loop. Its body holds the cotangents of one iteration, and computes again what they need
// of the forward body from that iteration's elements, carries and captures; what the forward loop yields it reads. When
// a carry's cotangent is passed on, the iterations run backwards: sequences come in reversed order, cotangents of
// sequences are yielded in it, those of captures are summed in carries. Otherwise the iterations stay independent, and
// cotangents of captures are yielded and summed afterwards. Both are ordinary loops, which can be differentiated again.
#include "differentiate/algebra.h"
#include "differentiate/modes.h"
#include "graph/rewrite.h"

#include <string.h>

// ---- what depends on what

static int carry_argument(const Node *loop, int carry) {
    return loop_part(loop, 0) + carry;
}

LoopFlow loop_flow(Deriver *deriver, const Node *loop, const bool *active_inputs) {
    const Function *body = loop->body;
    Arena *arena = deriver->graph->arena;
    LoopFlow flow = {arena_array(arena, bool, body->argument_count), arena_array(arena, bool, body->result_count)};
    Node **targets = arena_array(arena, Node *, body->argument_count), **roots = result_nodes(arena, body);
    for (int i = 0; i < body->argument_count; i++)
        flow.arguments[i] = active_inputs[i] && dtype_is_float(body->arguments[i]->dtype);
    for (bool changed = true; changed;) {
        changed = false;
        int target_count = 0;
        for (int i = 0; i < body->argument_count; i++)
            if (flow.arguments[i]) targets[target_count++] = body->arguments[i];
        Region region = region_of(deriver, roots, body->result_count, targets, target_count);
        for (int i = 0; i < body->result_count; i++) {
            flow.results[i] = region_active(&region, roots[i]);
            bool carry = i < loop_part(loop, 1);
            if (!carry || !flow.results[i] || flow.arguments[carry_argument(loop, i)]) continue;
            flow.arguments[carry_argument(loop, i)] = changed = true;
        }
    }
    // A carry that starts with an active value may be the result of a loop without iterations.
    for (int i = 0; i < loop_part(loop, 1); i++)
        flow.results[i] = flow.results[i] || flow.arguments[carry_argument(loop, i)];
    return flow;
}

// ---- the reversing loop

typedef ARRAY(Node *) Nodes;

typedef struct {
    Deriver *deriver;
    Graph *graph;
    Node *loop;
    const LoopFlow *flow;
    bool backwards;
    bool *live;          // of carries: their cotangent is passed from iteration to iteration
    Node **seeds;        // of the body's results: their cotangent in one iteration
    Node **cotangents;   // of the body's arguments, by the body's own nodes
    // The loop that is made: values and the body's arguments that stand for them.
    Nodes sequences, carries, captures;
    Nodes elements, states, constants;
    ARRAY(Named) next, yields;
} Reversal;

Node *argument_like(Graph *graph, const Node *like, const char *prefix, const char *name) {
    Variable variable = {.kind = VARIABLE_ARGUMENT};
    variable.name = arena_print(graph->arena, "%s%s", prefix, name ? name : "t");
    return variable_make(graph, &variable, like->dtype, (const Extent *const *)like->shape, like->rank);
}

static const char *result_name(const Node *loop, int result) {
    const Named *named = &loop->body->results[result];
    return result < loop_part(loop, 1) ? loop->body->arguments[carry_argument(loop, result)]->name : named->name;
}

// The elements of axis 0 from the last to the first.
static Node *flip(Graph *graph, Node *x) {
    const Extent *starts[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        starts[i] = extent_constant(graph->extents, 0);
        steps[i] = 1;
    }
    starts[0] = extent_subtract(graph->extents, x->shape[0], extent_constant(graph->extents, 1));
    steps[0] = -1;
    const Extent *const *shape = (const Extent *const *)x->shape;
    // Flipped twice is as it was.
    if (x->op == OP_slice && same_shape(x, x->inputs[0]) && slice(graph, x->inputs[0], starts, steps, shape) == x)
        return x->inputs[0];
    return slice(graph, x, starts, steps, shape);
}

static Node *in_order(const Reversal *reversal, Node *x) {
    return reversal->backwards ? flip(reversal->graph, x) : x;
}

static void add_sequence(Reversal *reversal, Node *value, Node *element) {
    array_push(reversal->graph->arena, &reversal->sequences, in_order(reversal, value));
    array_push(reversal->graph->arena, &reversal->elements, element);
}

static void add_carry(Reversal *reversal, Node *initial, Node *state, Node *next) {
    if (!initial) initial = constant_like(reversal->graph, state, 0);
    if (!next) next = constant_like(reversal->graph, state, 0);
    array_push(reversal->graph->arena, &reversal->carries, initial);
    array_push(reversal->graph->arena, &reversal->states, state);
    Named result = {state->name, next};
    array_push(reversal->graph->arena, &reversal->next, result);
}

// The carries whose cotangent is not zero in some iteration: those whose last value has one, and those that results
// with one are computed from.
static void find_live(Reversal *reversal, Node *const *results) {
    const Node *loop = reversal->loop;
    const Function *body = loop->body;
    Arena *arena = reversal->graph->arena;
    int carry_count = loop_part(loop, 1), target_count = 0;
    Node **roots = arena_array(arena, Node *, body->result_count), **targets = arena_array(arena, Node *, carry_count);
    reversal->live = arena_array(arena, bool, carry_count);
    for (int i = 0; i < carry_count; i++)
        if (reversal->flow->arguments[carry_argument(loop, i)])
            targets[target_count++] = body->arguments[carry_argument(loop, i)];
    for (int i = 0; i < body->result_count; i++) {
        if (!results[i] || !reversal->flow->results[i]) continue;
        roots[i] = body->results[i].node;
        if (i < carry_count) reversal->live[i] = true;
    }
    for (bool changed = true; changed;) {
        changed = false;
        Region region = region_of(reversal->deriver, roots, body->result_count, targets, target_count);
        for (int i = 0; i < carry_count; i++) {
            if (reversal->live[i] || !region_active(&region, body->arguments[carry_argument(loop, i)])) continue;
            reversal->live[i] = changed = true;
            roots[i] = body->results[i].node;
        }
    }
    for (int i = 0; i < carry_count; i++) reversal->backwards = reversal->backwards || reversal->live[i];
}

// The cotangents of one iteration, by the nodes of the forward body.
static void reverse_body(Reversal *reversal, Node *const *results) {
    Node *loop = reversal->loop;
    const Function *body = loop->body;
    Arena *arena = reversal->graph->arena;
    reversal->seeds = arena_array(arena, Node *, body->result_count);
    for (int i = 0; i < body->result_count; i++) {
        bool carry = i < loop_part(loop, 1);
        if (carry ? !reversal->live[i] : !results[i] || !reversal->flow->results[i]) continue;
        reversal->seeds[i] = argument_like(reversal->graph, body->results[i].node, "d_", result_name(loop, i));
    }
    Node **targets = arena_array(arena, Node *, body->argument_count);
    Node **cotangents = arena_array(arena, Node *, body->argument_count);
    int count = 0;
    for (int i = 0; i < body->argument_count; i++)
        if (reversal->flow->arguments[i]) targets[count++] = body->arguments[i];
    reverse_mode(reversal->deriver, result_nodes(arena, body), reversal->seeds, body->result_count, targets, count,
                 cotangents);
    reversal->cotangents = arena_array(arena, Node *, body->argument_count);
    for (int i = 0, next = 0; i < body->argument_count; i++)
        if (reversal->flow->arguments[i]) reversal->cotangents[i] = cotangents[next++];
}

// ---- what the reversing body reads of the forward loop

// Marks what the roots reach; not below what `stops` holds.
static NodeMap mark_down_to(Graph *graph, Node *const *roots, int root_count, const NodeMap *stops) {
    NodeMap seen = {.arena = graph->arena};
    Nodes open = {0};
    for (int i = 0; i < root_count; i++)
        if (roots[i]) array_push(graph->arena, &open, roots[i]);
    while (open.count) {
        Node *node = open.items[--open.count];
        if (node_map_get(&seen, node)) continue;
        node_map_set(&seen, node, node);
        if (node_map_get(stops, node)) continue;
        for (int i = 0; i < node->input_count; i++) array_push(graph->arena, &open, node->inputs[i]);
    }
    return seen;
}

// Whether the reversing loop reads what the forward loop yields of `node`, instead of computing it again.
static bool is_read_back(const Node *node) {
    double number;
    return node->op != OP_extent && node->op != OP_iota && !constant_value(node, &number);
}

static NodeMap kept_values(const Reversal *reversal) {
    NodeMap kept = {.arena = reversal->graph->arena};
    const Function *body = reversal->loop->body;
    for (int i = loop_part(reversal->loop, 1); i < body->result_count; i++)
        if (is_read_back(body->results[i].node)) node_map_set(&kept, body->results[i].node, body->results[i].node);
    return kept;
}

static void read_arguments(Reversal *reversal, NodeMap *map, const NodeMap *read) {
    const Node *loop = reversal->loop;
    int sequence_count = loop_part(loop, 0), carry_count = loop_part(loop, 1);
    for (int i = 0; i < loop->body->argument_count; i++) {
        Node *argument = loop->body->arguments[i];
        bool carry = i >= sequence_count && i < sequence_count + carry_count;
        if (carry || !node_map_get(read, argument)) continue;   // carries are read as the forward loop yields them
        Node *copy = argument_like(reversal->graph, argument, "", argument->name);
        node_map_set(map, argument, copy);
        if (i < sequence_count) {
            add_sequence(reversal, loop->inputs[i], copy);
            continue;
        }
        array_push(reversal->graph->arena, &reversal->captures, loop->inputs[i]);
        array_push(reversal->graph->arena, &reversal->constants, copy);
    }
}

static void read_kept(Reversal *reversal, NodeMap *map, const NodeMap *read) {
    const Function *body = reversal->loop->body;
    for (int i = loop_part(reversal->loop, 1); i < body->result_count; i++) {
        Node *node = body->results[i].node;
        if (!node_map_get(read, node) || !is_read_back(node) || node_map_get(map, node)) continue;
        Node *copy =
            argument_like(reversal->graph, node, "", kept_name(reversal->graph->arena, node, body->results[i].name));
        node_map_set(map, node, copy);
        add_sequence(reversal, result_of(reversal->graph, reversal->loop, i), copy);
    }
}

// Gives what the cotangents read of the forward loop arguments of the reversing body, and writes them in these.
static void read_forward(Reversal *reversal) {
    Graph *graph = reversal->graph;
    int argument_count = reversal->loop->body->argument_count;
    NodeMap kept = kept_values(reversal), map = {.arena = graph->arena};
    NodeMap read = mark_down_to(graph, reversal->cotangents, argument_count, &kept);
    read_arguments(reversal, &map, &read);
    read_kept(reversal, &map, &read);
    Nodes roots = {0};
    for (int i = 0; i < argument_count; i++)
        if (reversal->cotangents[i]) array_push(graph->arena, &roots, reversal->cotangents[i]);
    substitute(graph, &map, roots.items, roots.count, roots.items);
    for (int i = 0, next = 0; i < argument_count; i++)
        if (reversal->cotangents[i]) reversal->cotangents[i] = roots.items[next++];
}

// ---- putting the loop together

// The cotangents that come in: of carries as carries, of yields as sequences.
static void add_seeds(Reversal *reversal, Node *const *results) {
    const Node *loop = reversal->loop;
    for (int i = 0; i < loop->body->result_count; i++) {
        if (!reversal->seeds[i]) continue;
        if (i < loop_part(loop, 1))
            add_carry(reversal, results[i], reversal->seeds[i], reversal->cotangents[carry_argument(loop, i)]);
        else add_sequence(reversal, results[i], reversal->seeds[i]);
    }
}

enum { NOWHERE = -1 };

static void add_yield(Reversal *reversal, const char *name, Node *node) {
    Named result = {name, node};
    array_push(reversal->graph->arena, &reversal->yields, result);
}

static int find(const Nodes *nodes, const Node *node) {
    for (int i = 0; i < nodes->count; i++)
        if (nodes->items[i] == node) return i;
    return NOWHERE;
}

static int find_yield(const Reversal *reversal, const Node *node) {
    for (int i = 0; i < reversal->yields.count; i++)
        if (reversal->yields.items[i].node == node) return i;
    return NOWHERE;
}

// Whether the loop that is made has the node's values of all iterations, without one yield more.
static bool is_stacked(const Reversal *reversal, const Node *node) {
    return find(&reversal->elements, node) != NOWHERE || find(&reversal->constants, node) != NOWHERE ||
           find_yield(reversal, node) != NOWHERE;
}

// Yields what the terms of the cotangent of a capture are made of, unless it comes from outside.
static Total *add_total(Reversal *reversal, const char *name, const Total *total) {
    for (int i = 0; i < total->count; i++)
        for (int side = 0; side < 2; side++) {
            Node *node = total->terms[i].sides[side];
            if (!node || is_stacked(reversal, node)) continue;
            add_yield(reversal, !total->terms[i].sides[1] ? name : node->name ? node->name : "factor", node);
        }
    return arena_copy(reversal->graph->arena, total, sizeof *total);
}

// What the total's sides take in memory for each iteration, beyond what is there without it.
static const Extent *elements_to_stack(const Reversal *reversal, const Total *total) {
    ExtentTable *extents = reversal->graph->extents;
    const Extent *count = extent_constant(extents, 0);
    for (int i = 0; i < total->count; i++)
        for (int side = 0; side < 2; side++) {
            const Node *node = total->terms[i].sides[side];
            if (node && !is_stacked(reversal, node))
                count = extent_add(extents, count, element_count(reversal->graph, node));
        }
    return count;
}

// In a loop that runs backwards a sum may be made in a carry as well. Behind the loop it takes one product instead of
// one for each iteration, each with a pass over the carry; but the sides of all iterations must be kept until then. That
// is done where they take little beside the sequences, of which the forward loop has kept most, or beside the carry.
static bool sums_behind(const Reversal *reversal, const Node *cotangent, const Total *total) {
    enum { MOST_OF_SEQUENCES = 2, MOST_OF_SUM = 4 };
    Graph *graph = reversal->graph;
    ExtentTable *extents = graph->extents;
    for (int i = 0; i < total->count; i++)
        if (!total->terms[i].sides[1] && !is_stacked(reversal, total->terms[i].sides[0])) return false;
    const Extent *wanted = elements_to_stack(reversal, total), *there = extent_constant(extents, 0);
    for (int i = 0; i < reversal->elements.count; i++)
        there = extent_add(extents, there, element_count(graph, reversal->elements.items[i]));
    const Extent *most = extent_multiply(extents, there, extent_constant(extents, MOST_OF_SEQUENCES));
    const Extent *sum =
        extent_multiply(extents, element_count(graph, cotangent), extent_constant(extents, MOST_OF_SUM));
    return extent_at_least(extents, most, wanted) || extent_at_least(extents, sum, wanted);
}

// The values of a node of the reversing body in all iterations, on axis 0, in the order of the forward loop.
static Node *stacked(const Reversal *reversal, Node *reversed, const Node *node) {
    Graph *graph = reversal->graph;
    int at = find(&reversal->elements, node);
    if (at != NOWHERE) return in_order(reversal, reversal->sequences.items[at]);
    at = find(&reversal->constants, node);
    if (at == NOWHERE)
        return in_order(reversal, result_of(graph, reversed, loop_part(reversed, 1) + find_yield(reversal, node)));
    const Extent *shape[MAX_RANK + 1] = {reversed->attributes[0]};
    int axes[MAX_RANK];
    for (int i = 0; i < node->rank; i++) {
        shape[i + 1] = node->shape[i];
        axes[i] = i + 1;
    }
    return broadcast(graph, reversal->captures.items[at], shape, node->rank + 1, axes);
}

static Node *summed(const Reversal *reversal, Node *reversed, const Total *total) {
    Node *stacks[MAX_TERMS][2] = {0};
    for (int i = 0; i < total->count; i++)
        for (int side = 0; side < 2; side++)
            if (total->terms[i].sides[side]) stacks[i][side] = stacked(reversal, reversed, total->terms[i].sides[side]);
    return total_sum(reversal->graph, total, (Node *const(*)[2])stacks);
}

// Where the cotangent of an argument of the forward body comes out.
typedef struct {
    int carry, yield;   // or NOWHERE
    Total *total;       // or NULL
} Exit;

// Of a capture: summed behind the loop, or in a carry.
static Exit capture_exit(Reversal *reversal, const char *name, Node *cotangent) {
    Exit exit = {NOWHERE, NOWHERE, NULL};
    Total total = total_of(reversal->graph, cotangent);
    if (!reversal->backwards || sums_behind(reversal, cotangent, &total)) {
        exit.total = add_total(reversal, name, &total);
        return exit;
    }
    exit.carry = reversal->next.count;
    Node *sum = argument_like(reversal->graph, cotangent, "", name);
    add_carry(reversal, NULL, sum, cotangent_add(reversal->graph, sum, cotangent));
    return exit;
}

// The cotangents that go out, by argument. Those of captures come last, when it is known what is yielded anyway.
static Exit *add_results(Reversal *reversal) {
    const Node *loop = reversal->loop;
    Arena *arena = reversal->graph->arena;
    Exit *exits = arena_array(arena, Exit, loop->input_count);
    int sequence_count = loop_part(loop, 0), first_capture = sequence_count + loop_part(loop, 1), live = 0;
    for (int i = 0; i < loop->body->argument_count; i++) {
        Node *cotangent = reversal->cotangents[i];
        bool sequence = i < sequence_count, carry = !sequence && i < first_capture;
        exits[i] = (Exit){NOWHERE, NOWHERE, NULL};
        if (carry && reversal->live[i - sequence_count]) exits[i].carry = live++;
        if (carry || !cotangent) continue;
        const char *name = arena_print(arena, "d_%s", loop->body->arguments[i]->variable->name);
        if (sequence) {
            exits[i].yield = reversal->yields.count;
            add_yield(reversal, name, cotangent);
        } else exits[i] = capture_exit(reversal, name, cotangent);
    }
    return exits;
}

static Node *join(Reversal *reversal) {
    Arena *arena = reversal->graph->arena;
    Function *body = arena_new(arena, Function);
    body->name = arena_print(arena, "d_%s", reversal->loop->body->name ? reversal->loop->body->name : "body");
    Nodes arguments = {0};
    const Nodes *kinds[3] = {&reversal->elements, &reversal->states, &reversal->constants};
    for (int kind = 0; kind < 3; kind++)
        for (int i = 0; i < kinds[kind]->count; i++) {
            kinds[kind]->items[i]->variable->index = arguments.count;
            array_push(arena, &arguments, kinds[kind]->items[i]);
        }
    int carry_count = reversal->next.count;
    for (int i = 0; i < reversal->yields.count; i++) array_push(arena, &reversal->next, reversal->yields.items[i]);
    body->arguments = arguments.items;
    body->argument_count = arguments.count;
    body->results = reversal->next.items;
    body->result_count = reversal->next.count;
    body = body_with_kept(reversal->graph, body, reversal->sequences.count, carry_count);
    return loop(reversal->graph, reversal->loop->attributes[0], reversal->sequences.items, reversal->sequences.count,
                reversal->carries.items, carry_count, reversal->captures.items, reversal->captures.count, body);
}

// Values of the body are stacked, which takes an axis.
static bool can_stack(Deriver *deriver, const Node *loop) {
    int rank = 0;
    for (int i = 0; i < loop->body->argument_count; i++)
        if (loop->body->arguments[i]->rank > rank) rank = loop->body->arguments[i]->rank;
    if (rank < MAX_RANK) return true;
    deriver->failed = true;
    diagnose(deriver->diagnostics, D_too_many_axes, loop->span,
             "the derivative of this loop stacks a value of %d axes, but a tensor has at most %d", rank, MAX_RANK);
    diagnose_help(deriver->diagnostics, "reshape it to fewer axes before the loop");
    return false;
}

void reverse_loop(Deriver *deriver, Node *loop, const LoopFlow *flow, Node *const *results, Node **inputs) {
    Graph *graph = deriver->graph;
    if (!can_stack(deriver, loop)) return;
    Reversal reversal = {.deriver = deriver, .graph = graph, .loop = loop, .flow = flow};
    find_live(&reversal, results);
    reverse_body(&reversal, results);
    graph->span = loop->span;
    read_forward(&reversal);
    add_seeds(&reversal, results);
    const Exit *exits = add_results(&reversal);
    Node *reversed = join(&reversal);
    name_node(reversed, loop->name ? arena_print(graph->arena, "d_%s", loop->name) : NULL);
    for (int i = 0; i < loop->input_count; i++) {
        const Exit *exit = &exits[i];
        if (exit->carry != NOWHERE) inputs[i] = result_of(graph, reversed, exit->carry);
        else if (exit->yield != NOWHERE)
            inputs[i] = in_order(&reversal, result_of(graph, reversed, loop_part(reversed, 1) + exit->yield));
        else if (exit->total) inputs[i] = summed(&reversal, reversed, exit->total);
    }
}
