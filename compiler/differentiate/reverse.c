// Reverse mode: from the roots back to the targets, each node once.
#include "differentiate/modes.h"

#include "differentiate/algebra.h"

// ---- the region between roots and targets

static bool carries_gradient(const Deriver *deriver, const Node *node) {
    if (!dtype_is_float(node->dtype) && node->dtype != DTYPE_TUPLE) return false;
    return node->op != OP_stop_gradient && rules_kind(deriver->rules, node->op) != DERIVATIVE_ZERO;
}

// The inputs from which derivatives flow into the node are those from `first` to `end`, less one.
static int first_flowing(const Node *node) {
    return node->op == OP_custom ? custom_part(node, 0) : 0;
}

static int end_flowing(const Node *node) {
    return node->op == OP_custom ? custom_part(node, 0) + custom_part(node, 1) : node->input_count;
}

static bool visit(Region *region, const Node *node) {
    int at = node->id - region->first;
    if (at < 0 || region->nodes[at]) return false;
    region->nodes[at] = (Node *)node;
    return true;
}

static void find_nodes(Deriver *deriver, Region *region, Node *const *roots, int root_count) {
    NodeArray open = {0};
    Arena *arena = deriver->graph->arena;
    for (int i = 0; i < root_count; i++)
        if (roots[i] && dtype_is_float(roots[i]->dtype) && visit(region, roots[i])) array_push(arena, &open, roots[i]);
    while (open.count) {
        const Node *node = open.items[--open.count];
        if (!carries_gradient(deriver, node)) continue;
        for (int i = first_flowing(node); i < end_flowing(node); i++) {
            Node *input = node->inputs[i];
            bool flows = dtype_is_float(input->dtype) || input->dtype == DTYPE_TUPLE;
            if (flows && visit(region, input)) array_push(arena, &open, input);
        }
    }
}

static bool is_active(Deriver *deriver, Region *region, Node *node) {
    if (!carries_gradient(deriver, node)) return false;
    if (node->op == OP_result) {
        const Node *tuple = node->inputs[0];
        if (tuple->op == OP_custom || !region_active(region, tuple)) return region_active(region, tuple);
        return region->flows[tuple->id - region->first].results[attribute_integer(node, 0)];
    }
    bool any = false;
    for (int i = first_flowing(node); i < end_flowing(node); i++) any = any || region_active(region, node->inputs[i]);
    if (!any || node->op != OP_loop) return any;
    bool *active = arena_array(deriver->graph->arena, bool, node->input_count);
    for (int i = 0; i < node->input_count; i++) active[i] = region_active(region, node->inputs[i]);
    region->flows[node->id - region->first] = loop_flow(deriver, node, active);
    return true;
}

Region region_of(Deriver *deriver, Node *const *roots, int root_count, Node *const *targets, int target_count) {
    Region region = {0};
    int last = -1;
    for (int i = 0; i < target_count; i++)
        if (i == 0 || targets[i]->id < region.first) region.first = targets[i]->id;
    for (int i = 0; i < root_count; i++)
        if (roots[i] && roots[i]->id > last) last = roots[i]->id;
    if (!target_count || last < region.first) return region;
    Arena *arena = deriver->graph->arena;
    region.count = last - region.first + 1;
    region.nodes = arena_array(arena, Node *, region.count);
    region.active = arena_array(arena, bool, region.count);
    region.flows = arena_array(arena, LoopFlow, region.count);
    find_nodes(deriver, &region, roots, root_count);
    for (int i = 0; i < target_count; i++)
        if (region_reaches(&region, targets[i])) region.active[targets[i]->id - region.first] = true;
    for (int i = 0; i < region.count; i++)
        if (region.nodes[i] && !region.active[i]) region.active[i] = is_active(deriver, &region, region.nodes[i]);
    return region;
}

bool region_reaches(const Region *region, const Node *node) {
    int at = node->id - region->first;
    return at >= 0 && at < region->count && region->nodes[at] == node;
}

bool region_active(const Region *region, const Node *node) {
    return region_reaches(region, node) && region->active[node->id - region->first];
}

// ---- cotangents

typedef struct {
    Deriver *deriver;
    Region region;
    Node **cotangents;   // by id, less region.first
    Node ***parts;       // of loops: by result
    int older;           // nodes below this id are not derivatives
} State;

static void add_to(State *state, Node **sum, Node *cotangent) {
    if (cotangent && !is_constant(cotangent, 0)) *sum = cotangent_add(state->deriver->graph, *sum, cotangent);
}

static void contribute(State *state, const Node *node, Node *cotangent) {
    if (region_active(&state->region, node))
        add_to(state, &state->cotangents[node->id - state->region.first], cotangent);
}

void report_missing(Deriver *deriver, const Node *node) {
    deriver->failed = true;
    diagnose(deriver->diagnostics, D_no_derivative, node->span, "'%s' has no derivative", op_spelling(node->op));
    diagnose_note(deriver->diagnostics, deriver->asked, "the derivative is asked for here");
    diagnose_help(deriver->diagnostics, "if it is to count as a constant, write stop_gradient(...) around it");
}

// The cotangent of input `first`, wherever among the inputs it stands: of x * x it is 2 * ct * x.
static Node *map_cotangent(State *state, Node *node, int first, Node *cotangent) {
    Node *sum = NULL;
    for (int i = first; i < node->input_count; i++)
        if (node->inputs[i] == node->inputs[first])
            add_to(state, &sum, rules_apply(state->deriver->rules, state->deriver->graph, node, i, cotangent));
    return sum;
}

// Along elementwise chains a select stays outside: the local derivative, which may be infinite where the branch was not
// taken, is multiplied inside (S15).
static void reverse_map(State *state, Node *node, Node *cotangent) {
    Masked masked = mask_split(state->deriver->graph, cotangent);
    for (int i = 0; i < node->input_count; i++) {
        Node *input = node->inputs[i];
        bool seen = false;
        for (int k = 0; k < i; k++) seen = seen || node->inputs[k] == input;
        if (seen || !region_active(&state->region, input)) continue;
        Node *local = map_cotangent(state, node, i, masked.value);
        if (!local) continue;
        bool same = local == masked.value;
        contribute(state, input, same ? cotangent : mask_apply(state->deriver->graph, masked.mask, local));
    }
}

static void reverse_structural(State *state, Node *node, Node *cotangent) {
    for (int i = 0; i < node->input_count; i++)
        if (region_active(&state->region, node->inputs[i]))
            contribute(state, node->inputs[i],
                       rules_apply(state->deriver->rules, state->deriver->graph, node, i, cotangent));
}

static void reverse_result(State *state, const Node *node, Node *cotangent) {
    const Node *tuple = node->inputs[0];
    Node ***parts = &state->parts[tuple->id - state->region.first];
    if (!*parts) *parts = arena_array(state->deriver->graph->arena, Node *, tuple_size(tuple));
    (*parts)[attribute_integer(node, 0)] = cotangent;
}

static void reverse_tuple(State *state, Node *node) {
    int at = node->id - state->region.first;
    if (!state->parts[at]) return;
    Node **inputs = arena_array(state->deriver->graph->arena, Node *, node->input_count);
    if (node->op == OP_custom) reverse_custom(state->deriver, node, state->parts[at], inputs);
    else reverse_loop(state->deriver, node, &state->region.flows[at], state->parts[at], inputs);
    for (int i = 0; i < node->input_count; i++) contribute(state, node->inputs[i], inputs[i]);
}

static void name_cotangent(const State *state, const Node *node, Node *cotangent) {
    double number;
    if (!node->name || cotangent->name || cotangent->id < state->older || constant_value(cotangent, &number)) return;
    name_node(cotangent, arena_print(state->deriver->graph->arena, "d_%s", node->name));
}

static void reverse_node(State *state, Node *node) {
    Graph *graph = state->deriver->graph;
    graph->span = node->span;
    if (op_class(node->op) == CLASS_TUPLE) {
        reverse_tuple(state, node);
        return;
    }
    Node *cotangent = state->cotangents[node->id - state->region.first];
    if (!cotangent) return;
    name_cotangent(state, node, cotangent);
    if (node->op == OP_variable) return;
    if (node->op == OP_track) contribute(state, node->inputs[0], cotangent);
    else if (node->op == OP_result) reverse_result(state, node, cotangent);
    else if (rules_kind(state->deriver->rules, node->op) == DERIVATIVE_MISSING) report_missing(state->deriver, node);
    else if (op_class(node->op) == CLASS_MAP) reverse_map(state, node, cotangent);
    else reverse_structural(state, node, cotangent);
}

// The active nodes, inputs before users, in an order that the roots' structure alone says. Ids would not do: they tell
// what else the graph was asked for before, and the order of users is that in which their cotangents are added.
static NodeArray structural_order(const State *state, Node *const *roots, int root_count) {
    Arena *arena = state->deriver->graph->arena;
    int *next = arena_array(arena, int, state->region.count);   // the input to enter next; past the last: done
    NodeArray open = {0}, order = {0};
    for (int i = 0; i < root_count; i++) {
        if (roots[i] && region_active(&state->region, roots[i])) array_push(arena, &open, roots[i]);
        while (open.count) {
            Node *node = open.items[open.count - 1];
            int *at = &next[node->id - state->region.first];
            if (*at < node->input_count) {
                Node *input = node->inputs[(*at)++];
                if (!region_active(&state->region, input)) continue;
                if (!next[input->id - state->region.first]) array_push(arena, &open, input);
                continue;
            }
            if (*at == node->input_count) array_push(arena, &order, node);
            *at = node->input_count + 1;
            open.count--;
        }
    }
    return order;
}

void reverse_mode(Deriver *deriver, Node *const *roots, Node *const *seeds, int root_count, Node *const *targets,
                  int target_count, Node **cotangents) {
    Arena *arena = deriver->graph->arena;
    State state = {.deriver = deriver, .older = deriver->graph->node_count};
    Node **seeded = arena_array(arena, Node *, root_count);
    for (int i = 0; i < root_count; i++) seeded[i] = seeds[i] ? roots[i] : NULL;
    state.region = region_of(deriver, seeded, root_count, targets, target_count);
    state.cotangents = arena_array(arena, Node *, state.region.count);
    state.parts = arena_array(arena, Node **, state.region.count);
    Span outer = deriver->graph->span;
    for (int i = 0; i < root_count; i++)
        if (seeds[i]) contribute(&state, roots[i], seeds[i]);
    NodeArray order = structural_order(&state, seeded, root_count);
    for (int i = order.count - 1; i >= 0; i--) reverse_node(&state, order.items[i]);
    deriver->graph->span = outer;
    for (int i = 0; i < target_count; i++) {
        bool reached = region_active(&state.region, targets[i]);
        cotangents[i] = reached ? state.cotangents[targets[i]->id - state.region.first] : NULL;
    }
}
