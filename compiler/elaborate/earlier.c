// Gradients in a loop by what earlier iterations depend on.
//
// The way from a target to the differentiated value may lead out of the body: by an element of what the loop goes over,
// or by what earlier iterations made of a carry. Differentiation inside of the body does not go there, so the way is
// brought in. An element is read at its place of the whole. A carry is computed again: by a loop over all iterations of
// which those before this one count, so that the gradient of step k goes back through k steps. A body inside that was
// closed when the way was not there yet is opened and closed again.
#include "elaborate/body.h"
#include "elaborate/values.h"

#include "graph/rewrite.h"

enum { MOST_STEPS = 1000 };

// ---- ways

static Node *after_of(const OpenBody *body, int carry) {
    return body->results[carry].node;
}

// Which carries depend on the target, in some iteration.
static bool *tainted_carries(const OpenBody *body, Node *target) {
    Elaborator *e = body->e;
    bool *tainted = arena_array(e->arena, bool, body->carry_count);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < body->carry_count; i++) {
            Node *after = after_of(body, i);
            bool reached = depends_on(e, body->carries[i].source, target) || depends_on(e, after, target);
            for (int k = 0; !reached && k < body->carry_count; k++)
                reached = tainted[k] && depends_on(e, after, body->carries[k].variable);
            for (int k = 0; !reached && k < body->loop->sequences.count; k++) {
                const LoopInput *input = &body->loop->sequences.items[k];
                reached = depends_on(e, after, input->variable) && depends_on(e, input->source, target);
            }
            if (tainted[i] || !reached) continue;
            tainted[i] = changed = true;
        }
    }
    return tainted;
}

// Which inputs of `node` the way from the target may come in by: what a request differentiates; of a loop, what the
// requests for the target in its body depend on, in some iteration.
static bool *relevant_inputs(Elaborator *e, const Node *node, const Node *target);

// Adds the arguments that the body's node depends on. True: some are new.
static bool add_arguments(Elaborator *e, const Node *loop, Node *node, bool *relevant) {
    bool added = false;
    for (int i = 0; i < loop->input_count; i++) {
        if (relevant[i] || !depends_on(e, node, loop->body->arguments[i])) continue;
        relevant[i] = added = true;
    }
    return added;
}

static void find_relevant(Elaborator *e, const Node *loop, const Node *argument, bool *relevant) {
    Graph *graph = e->graph;
    const Function *body = loop->body;
    NodeArray nodes = reachable(graph, result_nodes(e->arena, body), body->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        bool asks = false;
        for (int k = 0; k < node->input_count && !asks; k++)
            asks = node->inputs[k] == argument && is_target_input(graph, node, k);
        const bool *inner = asks ? relevant_inputs(e, node, argument) : NULL;
        for (int k = 0; asks && k < node->input_count; k++)
            if (inner[k] && node->inputs[k] != argument) add_arguments(e, loop, node->inputs[k], relevant);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < loop_part(loop, 1); i++)
            if (relevant[loop_part(loop, 0) + i])
                changed = add_arguments(e, loop, body->results[i].node, relevant) || changed;
    }
}

static bool *relevant_inputs(Elaborator *e, const Node *node, const Node *target) {
    bool *relevant = arena_array(e->arena, bool, node->input_count);
    if (is_request(node)) relevant[0] = true;   // cotangents and tangents are constants
    for (int i = 0; !is_request(node) && i < node->input_count; i++) {
        if (node->op == OP_custom) relevant[i] = true;
        else if (node->inputs[i] == target && is_target_input(e->graph, node, i))
            find_relevant(e, node, node->body->arguments[i], relevant);
    }
    return relevant;
}

typedef struct {
    int sequence;   // by which the way leads out; -1: by none
    bool carry;
} Leak;

// How the way from the target to what `node` asks for leads out of the body.
static Leak leak_of(const OpenBody *body, const Node *node, Node *target) {
    Elaborator *e = body->e;
    Leak leak = {-1, false};
    const bool *tainted = NULL, *relevant = relevant_inputs(e, node, target);
    for (int i = 0; i < node->input_count && leak.sequence < 0; i++) {
        Node *y = node->inputs[i];
        if (y == target || !relevant[i]) continue;
        for (int k = 0; k < body->loop->sequences.count && leak.sequence < 0; k++) {
            const LoopInput *input = &body->loop->sequences.items[k];
            if (depends_on(e, y, input->variable) && depends_on(e, input->source, target)) leak.sequence = k;
        }
        for (int k = 0; k < body->carry_count && !leak.carry; k++) {
            if (!depends_on(e, y, body->carries[k].variable)) continue;
            if (!tainted) tainted = tainted_carries(body, target);
            leak.carry = tainted[k];
        }
    }
    return leak;
}

static bool is_leaking(const OpenBody *body, const Node *node) {
    for (int i = 0; i < node->input_count; i++) {
        if (!is_target_input(body->e->graph, node, i)) continue;
        Leak leak = leak_of(body, node, node->inputs[i]);
        if (leak.carry) return true;
    }
    return false;
}

// ---- elements

static Node *place_in(OpenBody *body) {
    Elaborator *e = body->e;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "place"};
    LoopInput counter = {iota(e->graph, DTYPE_I32, &body->loop->trips, 1, 0),
                         variable_make(e->graph, &variable, DTYPE_I32, NULL, 0)};
    array_push(e->arena, &body->loop->sequences, counter);
    return counter.variable;
}

static void substitute_results(OpenBody *body, NodeMap *map) {
    for (int i = 0; i < body->result_count; i++)
        substitute(body->e->graph, map, &body->results[i].node, 1, &body->results[i].node);
}

// Reads the elements of a sequence at the iteration's place in all of it, instead of being handed them.
static void index_sequence(OpenBody *body, int sequence) {
    LoopInput input = body->loop->sequences.items[sequence];
    NodeMap map = {.arena = body->e->arena};
    node_map_set(&map, input.variable, gather(body->e->graph, input.source, place_in(body)));
    substitute_results(body, &map);
}

// ---- carries

static Node *copy_variable(Elaborator *e, const Node *like) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = like->variable->name};
    return variable_make(e->graph, &variable, like->dtype, (const Extent *const *)like->shape, like->rank);
}

// Which results of the loop are computed from requests in its body.
static bool *asking_results(Graph *graph, const Node *loop) {
    const Function *body = loop->body;
    bool *asks = arena_array(graph->arena, bool, body->result_count);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < body->result_count; i++) {
            NodeArray nodes = reachable(graph, &body->results[i].node, 1);
            bool found = false;
            for (int k = 0; k < nodes.count && !found; k++) {
                const Node *node = nodes.items[k];
                for (int input = 0; input < node->input_count && !found; input++)
                    found = is_target_input(graph, node, input);
                for (int carry = 0; carry < loop_part(loop, 1) && !found; carry++)
                    found = asks[carry] && node == body->arguments[loop_part(loop, 0) + carry];
            }
            if (!found || asks[i]) continue;
            asks[i] = changed = true;
        }
    }
    return asks;
}

// Maps the results of loops among the nodes that the roots reach to those of loops without what is computed from
// requests. False: what the roots reach is computed from one.
static bool drop_requests(Graph *graph, Node *const *roots, int root_count, NodeMap *map);

// The loop without what is computed from requests in its body; NULL: a carry is.
static Node *without_requests(Graph *graph, Node *node, const bool *asks) {
    Function *body = arena_copy(graph->arena, node->body, sizeof *body);
    NodeMap map = {.arena = graph->arena};
    body->results = arena_array(graph->arena, Named, body->result_count);
    body->result_count = 0;
    for (int i = 0; i < node->body->result_count; i++) {
        if (asks[i] && i < loop_part(node, 1)) return NULL;
        if (!asks[i]) body->results[body->result_count++] = node->body->results[i];
    }
    Node **roots = result_nodes(graph->arena, body);
    if (!drop_requests(graph, roots, body->result_count, &map)) return NULL;
    substitute(graph, &map, roots, body->result_count, roots);
    *body = with_results(graph->arena, body, roots);
    return rebuild_with_body(graph, node, node->inputs, body);
}

static bool drop_requests(Graph *graph, Node *const *roots, int root_count, NodeMap *map) {
    NodeArray nodes = reachable(graph, roots, root_count);
    for (int i = 0; i < nodes.count; i++) {
        Node *node = nodes.items[i];
        if (node->op != OP_result) continue;
        Node *tuple = node->inputs[0];
        int index = attribute_integer(node, 0), place = 0;
        const bool *asks = tuple->op == OP_loop ? asking_results(graph, tuple) : NULL;
        for (int k = 0; asks && k < index; k++) place += !asks[k];
        bool any = false;
        for (int k = 0; asks && k < tuple->body->result_count; k++) any = any || asks[k];
        if (is_request(tuple) || (any && asks[index])) return false;
        Node *rest = any ? without_requests(graph, tuple, asks) : tuple;
        if (!rest) return false;
        if (rest != tuple) node_map_set(map, node, result_of(graph, rest, place));
    }
    return true;
}

// The carries after an iteration, without requests, by which nothing of this is computed. False: a carry depends on a
// gradient through earlier iterations: its own derivative would be one of another order in each.
static bool plain_carries(const OpenBody *body, Node **afters) {
    Graph *graph = body->e->graph;
    NodeMap map = {.arena = graph->arena};
    bool leaks = false;
    for (int i = 0; i < body->carry_count; i++) afters[i] = after_of(body, i);
    NodeArray nodes = reachable(graph, afters, body->carry_count);
    for (int i = 0; i < nodes.count && !leaks; i++)
        leaks = (is_request(nodes.items[i]) || nodes.items[i]->body) && is_leaking(body, nodes.items[i]);
    if (!leaks) return true;   // other requests may stay
    if (!drop_requests(graph, afters, body->carry_count, &map)) return false;
    substitute(graph, &map, afters, body->carry_count, afters);
    return true;
}

// Maps each carry's variable to what it is as the iteration at `place` begins, computed in another loop. NULL:
// reported.
static NodeMap *replay_carries(OpenBody *body, Node *const *afters) {
    Elaborator *e = body->e;
    Graph *graph = e->graph;
    Node *place = place_in(body);
    Loop again = {.has_body = true, .trips = body->loop->trips};
    NodeMap inner = {.arena = e->arena}, *map = arena_new(e->arena, NodeMap);
    map->arena = e->arena;
    for (int i = 0; i < body->loop->sequences.count; i++) {
        LoopInput input = body->loop->sequences.items[i];
        Node *copy = copy_variable(e, input.variable);
        node_map_set(&inner, input.variable, copy);
        input.variable = copy;
        array_push(e->arena, &again.sequences, input);
    }
    Node *counter = again.sequences.items[again.sequences.count - 1].variable, *before;
    LoopInput *carries = arena_copy(e->arena, body->carries, sizeof *carries * (size_t)body->carry_count);
    Named *results = arena_copy(e->arena, body->results, sizeof *results * (size_t)body->carry_count);
    for (int i = 0; i < body->carry_count; i++) {
        carries[i].variable = copy_variable(e, body->carries[i].variable);
        node_map_set(&inner, body->carries[i].variable, carries[i].variable);
    }
    before = map2(graph, OP_less, counter, place);
    for (int i = 0; i < body->carry_count; i++) {
        Node *old = carries[i].variable;
        Node *here = broadcast(graph, before, (const Extent *const *)old->shape, old->rank, NULL);
        substitute(graph, &inner, &afters[i], 1, &results[i].node);
        results[i].node = select_nodes(e, here, results[i].node, old);
    }
    Node *loop = make_loop(e, &again, carries, body->carry_count, results, body->carry_count, body->span);
    if (!loop) return NULL;
    for (int i = 0; i < body->carry_count; i++) node_map_set(map, body->carries[i].variable, result_of(graph, loop, i));
    return map;
}

// Lets the request, or the results of the loop that are computed from requests, read carries that are computed again.
static bool replay(OpenBody *body, Node *node) {
    Graph *graph = body->e->graph;
    Node **afters = arena_array(graph->arena, Node *, body->carry_count);
    if (node->op == OP_custom || !plain_carries(body, afters)) {
        refuse(body->e, node->span,
               "a gradient inside a loop by what earlier iterations depend on, and on which later "
               "ones depend, is");
        help(body->e,
             "track what the iteration begins with inside the loop: t = track(carried), and take the gradient by t");
        return false;
    }
    NodeMap *map = replay_carries(body, afters), changes = {.arena = graph->arena};
    if (!map) return false;
    Node **inputs = arena_copy(graph->arena, node->inputs, sizeof(Node *) * (size_t)node->input_count);
    substitute(graph, map, inputs, is_request(node) ? 1 : node->input_count, inputs);
    Node *changed = rebuild(graph, node, inputs);
    if (is_request(node)) node_map_set(&changes, node, changed);
    else {
        const bool *asks = asking_results(graph, node);
        Node *plain = without_requests(graph, node, asks);
        for (int i = 0, place = 0; i < node->body->result_count; i++) {
            Node *source = asks[i] || !plain ? changed : plain;
            node_map_set(&changes, result_of(graph, node, i), result_of(graph, source, source == plain ? place++ : i));
        }
    }
    substitute_results(body, &changes);
    return true;
}

// ---- bodies inside

// Whether requests for the target in the body inside read what depends on it from outside.
static bool hides_way(const OpenBody *body, const Node *loop, Node *target) {
    const bool *relevant = relevant_inputs(body->e, loop, target);
    for (int i = 0; i < loop->input_count; i++)
        if (relevant[i] && loop->inputs[i] != target && depends_on(body->e, loop->inputs[i], target)) return true;
    return false;
}

// Opens the body of a loop inside and closes it again, when the way is there. NULL: reported.
static Node *close_again(OpenBody *body, Node *node) {
    Elaborator *e = body->e;
    Graph *graph = e->graph;
    int sequences = loop_part(node, 0), carry_count = loop_part(node, 1), count = node->body->result_count;
    Loop loop = {.has_body = true, .trips = node->attributes[0]};
    LoopInput *carries = arena_array(e->arena, LoopInput, carry_count);
    NodeMap map = {.arena = e->arena};
    for (int i = 0; i < node->input_count; i++) {
        LoopInput input = {node->inputs[i], node->body->arguments[i]};
        if (i < sequences) array_push(e->arena, &loop.sequences, input);
        else if (i < sequences + carry_count) carries[i - sequences] = input;
        else node_map_set(&map, input.variable, input.source);
    }
    Named *results = arena_copy(e->arena, node->body->results, sizeof *results * (size_t)count);
    for (int i = 0; i < count; i++) substitute(graph, &map, &results[i].node, 1, &results[i].node);
    Node *closed = make_loop(e, &loop, carries, carry_count, results, count, node->span);
    if (!closed) return NULL;
    name_node(closed, node->name);
    NodeMap changes = {.arena = e->arena};
    for (int i = 0; i < count; i++) node_map_set(&changes, result_of(graph, node, i), result_of(graph, closed, i));
    substitute_results(body, &changes);
    return closed;
}

// ---- one after the other

typedef enum { SETTLED, CHANGED, FAILED } Step;

static Step settle_node(OpenBody *body, Node *node, const bool *inside, NodeArray *closed) {
    Elaborator *e = body->e;
    for (int i = 0; i < node->input_count; i++) {
        Node *target = node->inputs[i];
        if (inside[target->id] || !is_target_input(e->graph, node, i)) continue;
        Leak leak = leak_of(body, node, target);
        if (leak.sequence >= 0 && node->op != OP_custom) {
            index_sequence(body, leak.sequence);
            return CHANGED;
        }
        if (leak.carry || leak.sequence >= 0) return replay(body, node) ? CHANGED : FAILED;
        bool seen = node->op != OP_loop;
        for (int k = 0; k < closed->count; k++) seen = seen || closed->items[k] == node;
        if (seen || !hides_way(body, node, target)) continue;
        Node *again = close_again(body, node);
        if (!again) return FAILED;
        array_push(e->arena, closed, again);
        return CHANGED;
    }
    return SETTLED;
}

bool settle_requests(OpenBody *body) {
    NodeArray closed = {0};
    Step step = CHANGED;
    for (int steps = 0; step == CHANGED && steps < MOST_STEPS; steps++) {
        bool *inside;
        NodeArray nodes = body_nodes(body, &inside);
        step = SETTLED;
        for (int i = 0; i < nodes.count && step == SETTLED; i++)
            if (inside[nodes.items[i]->id] && (is_request(nodes.items[i]) || nodes.items[i]->body))
                step = settle_node(body, nodes.items[i], inside, &closed);
    }
    return step == SETTLED;
}

// ---- what was asked for before it was known what carries depend on

// All that the nodes depend on by ways that lead out of the body is added to them.
static void follow_out(const OpenBody *body, NodeArray *nodes) {
    Elaborator *e = body->e;
    bool *seen = arena_array(e->arena, bool, body->loop->sequences.count + body->carry_count);
    for (int at = 0; at < nodes->count; at++) {
        Node *node = nodes->items[at];
        for (int i = 0; i < body->loop->sequences.count + body->carry_count; i++) {
            bool carry = i >= body->loop->sequences.count;
            int number = carry ? i - body->loop->sequences.count : i;
            const LoopInput *input = carry ? &body->carries[number] : &body->loop->sequences.items[number];
            if (seen[i] || !depends_on(e, node, input->variable)) continue;
            seen[i] = true;
            array_push(e->arena, nodes, input->source);
            if (carry) array_push(e->arena, nodes, after_of(body, number));
        }
    }
}

bool check_waiting(OpenBody *body) {
    Elaborator *e = body->e;
    for (int i = 0; i < body->loop->waiting.count; i++) {
        Waiting waiting = body->loop->waiting.items[i];
        bool found = false;
        follow_out(body, &waiting.values);
        for (int k = 0; k < waiting.values.count && !found; k++)
            for (int t = 0; t < waiting.targets.count && !found; t++)
                found = depends_on(e, waiting.values.items[k], waiting.targets.items[t]);
        if (found) continue;
        if (!e->bodies) return report_unused(e, waiting.target, waiting.span);
        array_push(e->arena, &e->bodies->waiting, waiting);   // loops around may know of a way
    }
    return true;
}
