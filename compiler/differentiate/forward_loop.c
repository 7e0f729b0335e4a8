// Forward mode of loops: a loop that carries the tangents beside the values, and goes over theirs beside the sequences.
//
// Its body holds the old body, whose values the tangents read. The arguments of both are the same nodes, so that the
// old loop can be dropped where its results are read of the new one (merge.c).
#include "differentiate/modes.h"

typedef struct {
    Deriver *deriver;
    Graph *graph;
    Node *loop;
    Node *const *inputs;           // their tangents
    Node **dots;                   // what stands in the body for the tangents of its arguments; NULL: they are zero
    Node **tangents;               // of the body's results; NULL: zero
    NodeArray values, arguments;   // of the new loop
    int counts[3];                 // sequences, carries, captures
    ARRAY(Named) results;
    int *places;   // of the tangent of each result among them
} Advance;

static Node *zero_like(Graph *graph, Node *like) {
    return constant_like(graph, like, 0);
}

static void find_tangents(Advance *advance) {
    const Function *body = advance->loop->body;
    Graph *graph = advance->graph;
    int count = body->argument_count, active = 0;
    bool *has = arena_array(graph->arena, bool, count);
    for (int i = 0; i < count; i++) has[i] = advance->inputs[i] != NULL;
    LoopFlow flow = loop_flow(advance->deriver, advance->loop, has);
    Node **targets = arena_array(graph->arena, Node *, count), **seeds = arena_array(graph->arena, Node *, count);
    advance->dots = arena_array(graph->arena, Node *, count);
    for (int i = 0; i < count; i++) {
        if (!flow.arguments[i]) continue;
        const char *name = arena_print(graph->arena, "%s_dot", body->arguments[i]->variable->name);
        advance->dots[i] = argument_like(graph, body->arguments[i], "", name);
        targets[active] = body->arguments[i];
        seeds[active++] = advance->dots[i];
    }
    NodeMap known = {.arena = graph->arena};
    advance->tangents = arena_array(graph->arena, Node *, body->result_count);
    forward_mode(advance->deriver, result_nodes(graph->arena, body), body->result_count, targets, seeds, active, &known,
                 advance->tangents);
}

// The old inputs of one kind, then the tangents of those that have one.
static void add_inputs(Advance *advance, int kind, int first, int end) {
    Arena *arena = advance->graph->arena;
    Node *loop = advance->loop;
    for (int i = first; i < end; i++) {
        array_push(arena, &advance->values, loop->inputs[i]);
        array_push(arena, &advance->arguments, loop->body->arguments[i]);
    }
    for (int i = first; i < end; i++) {
        if (!advance->dots[i]) continue;
        Node *tangent = advance->inputs[i] ? advance->inputs[i] : zero_like(advance->graph, loop->inputs[i]);
        array_push(arena, &advance->values, tangent);
        array_push(arena, &advance->arguments, advance->dots[i]);
        advance->counts[kind]++;
    }
    advance->counts[kind] += end - first;
}

static void add_result(Advance *advance, const char *name, Node *node) {
    Named result = {name, node};
    array_push(advance->graph->arena, &advance->results, result);
}

// A carry that has a tangent passes one on, be it zero.
static void add_results(Advance *advance) {
    const Function *body = advance->loop->body;
    int sequences = loop_part(advance->loop, 0), carries = loop_part(advance->loop, 1), part_ends[2];
    part_ends[0] = carries;
    part_ends[1] = body->result_count;
    for (int part = 0, first = 0; part < 2; first = part_ends[part++]) {
        for (int i = first; i < part_ends[part]; i++) add_result(advance, body->results[i].name, body->results[i].node);
        for (int i = first; i < part_ends[part]; i++) {
            Node *dot = i < carries ? advance->dots[sequences + i] : NULL, *tangent = advance->tangents[i];
            if (!tangent && dot) tangent = zero_like(advance->graph, dot);
            if (!tangent) continue;
            const char *name = body->results[i].name;
            advance->places[i] = advance->results.count;
            add_result(advance,
                       name  ? arena_print(advance->graph->arena, "%s_dot", name)
                       : dot ? dot->name
                             : NULL,
                       tangent);
        }
    }
}

static Node *new_loop(Advance *advance) {
    Graph *graph = advance->graph;
    Function *body = arena_copy(graph->arena, advance->loop->body, sizeof *body);
    body->arguments = advance->arguments.items;
    body->argument_count = advance->arguments.count;
    body->results = advance->results.items;
    body->result_count = advance->results.count;
    const int *counts = advance->counts;
    body = body_with_kept(graph, body, counts[0], counts[1]);
    Node **values = advance->values.items;
    Node *result = loop(graph, advance->loop->attributes[0], values, counts[0], values + counts[0], counts[1],
                        values + counts[0] + counts[1], counts[2], body);
    const char *name = advance->loop->name;
    name_node(result, name ? arena_print(graph->arena, "%s_dot", name) : NULL);
    return result;
}

void forward_loop(Deriver *deriver, Node *loop, Node *const *inputs, Node **results) {
    Graph *graph = deriver->graph;
    Advance advance = {.deriver = deriver, .graph = graph, .loop = loop, .inputs = inputs};
    int first_carry = loop_part(loop, 0), first_capture = first_carry + loop_part(loop, 1);
    find_tangents(&advance);
    graph->span = loop->span;
    add_inputs(&advance, 0, 0, first_carry);
    add_inputs(&advance, 1, first_carry, first_capture);
    add_inputs(&advance, 2, first_capture, loop->input_count);
    advance.places = arena_array(graph->arena, int, loop->body->result_count);
    add_results(&advance);
    Node *together = new_loop(&advance);
    for (int i = 0; i < loop->body->result_count; i++)
        results[i] = advance.places[i] ? result_of(graph, together, advance.places[i]) : NULL;
}
