// The store of nodes: hash-consing and identity.
#include "graph/graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { INITIAL_BUCKETS = 1024 };

typedef struct NodeTable {
    Node **slots;   // open addressing; a power of two
    uint64_t *hashes;
    int capacity;
} NodeTable;

static const struct {
    const char *name;
    OpClass class;
    int arity;
    const char *spelling, *derivative, *emit;
} rows[] = {
#define RULE(text) text
#define ZERO NULL
#define EXPAND NULL
#define ADJOINT(function) NULL
#define MAP_OP(name, arity, types, derivative, evaluate, spelling, emit) \
    [OP_##name] = {#name, CLASS_MAP, arity, spelling, derivative, #emit},
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) \
    [OP_##name] = {#name, CLASS_##class, arity, spelling, derivative, ""},
#include "graph/ops.def"
#undef RULE
#undef ZERO
#undef EXPAND
#undef ADJOINT
};

const char *op_name(Op op) {
    return rows[op].name;
}
OpClass op_class(Op op) {
    return rows[op].class;
}
int op_arity(Op op) {
    return rows[op].arity;
}
bool op_is_function(Op op) {
    return strncmp(rows[op].emit, "math_", 5) == 0;
}
const char *op_spelling(Op op) {
    return rows[op].spelling;
}
const char *op_derivative(Op op) {
    return rows[op].derivative;
}

static const struct {
    const char *name;
    int size;
} dtypes[] = {[DTYPE_F32] = {"f32", 4}, [DTYPE_F64] = {"f64", 8},   [DTYPE_I32] = {"i32", 4},
              [DTYPE_I64] = {"i64", 8}, [DTYPE_BOOL] = {"bool", 1}, [DTYPE_TUPLE] = {"tuple", 0}};

const char *dtype_name(Dtype dtype) {
    return dtypes[dtype].name;
}
int dtype_size(Dtype dtype) {
    return dtypes[dtype].size;
}

Graph *graph_create(Arena *arena) {
    Graph *graph = arena_new(arena, Graph);
    graph->arena = arena;
    graph->extents = extent_table_create(arena);
    graph->table = arena_new(arena, NodeTable);
    graph->table->capacity = INITIAL_BUCKETS;
    graph->table->slots = arena_array(arena, Node *, INITIAL_BUCKETS);
    graph->table->hashes = arena_array(arena, uint64_t, INITIAL_BUCKETS);
    return graph;
}

// ---- hash-consing

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint64_t hash_node(const Node *node) {
    uint64_t hash = mix((uint64_t)node->op, (uint64_t)node->dtype);
    for (int i = 0; i < node->rank; i++) hash = mix(hash, (uint64_t)(uintptr_t)node->shape[i]);
    for (int i = 0; i < node->input_count; i++) hash = mix(hash, (uint64_t)node->inputs[i]->id + 1);
    for (int i = 0; i < node->attribute_count; i++) hash = mix(hash, (uint64_t)(uintptr_t)node->attributes[i]);
    hash = mix(hash, (uint64_t)node->scalar.integer);
    return mix(mix(hash, (uint64_t)(uintptr_t)node->variable), (uint64_t)(uintptr_t)node->body);
}

static bool same_pointers(const void *a, const void *b, int count) {
    return count == 0 || memcmp(a, b, sizeof(void *) * (size_t)count) == 0;
}

static bool same_node(const Node *a, const Node *b) {
    return a->op == b->op && a->dtype == b->dtype && a->rank == b->rank && a->input_count == b->input_count &&
           a->attribute_count == b->attribute_count && a->scalar.integer == b->scalar.integer &&
           a->variable == b->variable && a->body == b->body && same_pointers(a->shape, b->shape, a->rank) &&
           same_pointers(a->inputs, b->inputs, a->input_count) &&
           same_pointers(a->attributes, b->attributes, a->attribute_count);
}

static void grow_table(Graph *graph) {
    NodeTable old = *graph->table, table = {.capacity = old.capacity * 2};
    table.slots = arena_array(graph->arena, Node *, table.capacity);
    table.hashes = arena_array(graph->arena, uint64_t, table.capacity);
    for (int i = 0; i < old.capacity; i++) {
        if (!old.slots[i]) continue;
        int at = (int)(old.hashes[i] & (uint64_t)(table.capacity - 1));
        while (table.slots[at]) at = (at + 1) & (table.capacity - 1);
        table.slots[at] = old.slots[i];
        table.hashes[at] = old.hashes[i];
    }
    *graph->table = table;
}

// The node like `draft` (whose arrays are copied): the one that exists, or a new one.
static Node *intern(Graph *graph, const Node *draft) {
    if (graph->node_count * 2 >= graph->table->capacity) grow_table(graph);
    NodeTable *table = graph->table;
    uint64_t hash = hash_node(draft);
    int at = (int)(hash & (uint64_t)(table->capacity - 1));
    for (; table->slots[at]; at = (at + 1) & (table->capacity - 1))
        if (table->hashes[at] == hash && same_node(table->slots[at], draft)) return table->slots[at];
    Node *node = arena_copy(graph->arena, draft, sizeof *draft);
    size_t pointer = sizeof(void *);
    node->shape = arena_copy(graph->arena, draft->shape, pointer * (size_t)draft->rank);
    node->inputs = arena_copy(graph->arena, draft->inputs, pointer * (size_t)draft->input_count);
    node->attributes = arena_copy(graph->arena, draft->attributes, pointer * (size_t)draft->attribute_count);
    node->id = graph->node_count++;
    if (!node->span.source) node->span = graph->span;
    table->slots[at] = node;
    table->hashes[at] = hash;
    return node;
}

// ---- builders

static Node *map_node(Graph *graph, Op op, Dtype dtype, Node **inputs, int count) {
    assert(op_class(op) == CLASS_MAP && op_arity(op) == count);
    Node draft = {.op = op, .dtype = dtype, .rank = inputs[0]->rank, .shape = inputs[0]->shape};
    draft.inputs = inputs;
    draft.input_count = count;
    return intern(graph, &draft);
}

Node *map1(Graph *graph, Op op, Node *x) {
    Dtype dtype = x->dtype;
    return map_node(graph, op, dtype, (Node *[]){x}, 1);
}

static bool is_comparison(Op op) {
    return op == OP_equal || op == OP_not_equal || op == OP_less || op == OP_less_equal;
}

Node *map2(Graph *graph, Op op, Node *x, Node *y) {
    assert(x->dtype == y->dtype && same_shape(x, y));
    Dtype dtype = is_comparison(op) ? DTYPE_BOOL : x->dtype;
    return map_node(graph, op, dtype, (Node *[]){x, y}, 2);
}

Node *map3(Graph *graph, Op op, Node *x, Node *y, Node *z) {
    assert(same_shape(x, y) && same_shape(y, z) && y->dtype == z->dtype);
    return map_node(graph, op, y->dtype, (Node *[]){x, y, z}, 3);
}

Node *cast(Graph *graph, Node *x, Dtype dtype) {
    if (x->dtype == dtype) return x;
    return map_node(graph, OP_cast, dtype, &x, 1);
}

static Node *leaf(Graph *graph, Op op, Dtype dtype, const Extent *const *shape, int rank, const Extent **attributes,
                  int attribute_count) {
    Node draft = {.op = op, .dtype = dtype, .rank = rank, .shape = (const Extent **)shape};
    draft.attributes = attributes;
    draft.attribute_count = attribute_count;
    return intern(graph, &draft);
}

Node *constant_real(Graph *graph, Dtype dtype, double value) {
    if (!dtype_is_float(dtype)) return constant_integer(graph, dtype, (int64_t)value);
    Node draft = {.op = OP_constant, .dtype = dtype};
    draft.scalar.real = dtype == DTYPE_F32 ? (double)(float)value : value;
    return intern(graph, &draft);
}

Node *constant_integer(Graph *graph, Dtype dtype, int64_t value) {
    if (dtype_is_float(dtype)) return constant_real(graph, dtype, (double)value);
    Node draft = {.op = OP_constant, .dtype = dtype};
    draft.scalar.integer = dtype == DTYPE_I32 ? (int32_t)value : dtype == DTYPE_BOOL ? value != 0 : value;
    return intern(graph, &draft);
}

Node *constant_like(Graph *graph, Node *like, double value) {
    return broadcast(graph, constant_real(graph, like->dtype, value), like->shape, like->rank, NULL);
}

Node *extent_value(Graph *graph, Dtype dtype, const Extent *extent) {
    int64_t value;
    if (extent_is_constant(extent, &value)) return constant_integer(graph, dtype, value);
    return leaf(graph, OP_extent, dtype, NULL, 0, &extent, 1);
}

Node *iota(Graph *graph, Dtype dtype, const Extent *const *shape, int rank, int axis) {
    const Extent *attribute = extent_constant(graph->extents, axis);
    return leaf(graph, OP_iota, dtype, shape, rank, &attribute, 1);
}

Node *variable_make(Graph *graph, const Variable *variable, Dtype dtype, const Extent *const *shape, int rank) {
    Node draft = {.op = OP_variable, .dtype = dtype, .rank = rank, .shape = (const Extent **)shape};
    draft.variable = arena_copy(graph->arena, variable, sizeof *variable);
    draft.name = variable->name;
    const Extent *identity = extent_constant(graph->extents, graph->unique_count++);
    draft.attributes = &identity;
    draft.attribute_count = 1;
    return intern(graph, &draft);
}

Node *random_make(Graph *graph, Op op, Dtype dtype, const Extent *const *shape, int rank, int64_t site) {
    const Extent *attributes[2] = {extent_constant(graph->extents, site),
                                   extent_constant(graph->extents, graph->unique_count++)};
    return leaf(graph, op, dtype, shape, rank, attributes, 2);
}

Node *node_make(Graph *graph, Op op, Dtype dtype, Node *x, const Extent *const *shape, int rank,
                const Extent **attributes, int attribute_count) {
    Node draft = {.op = op, .dtype = dtype, .rank = rank, .shape = (const Extent **)shape};
    draft.inputs = &x;
    draft.input_count = 1;
    draft.attributes = attributes;
    draft.attribute_count = attribute_count;
    return intern(graph, &draft);
}

Node *tuple_make(Graph *graph, Op op, const NodeArray *inputs, const Extent **attributes, int attribute_count,
                 Function *body) {
    Node draft = {.op = op, .dtype = DTYPE_TUPLE, .inputs = inputs->items, .input_count = inputs->count, .body = body};
    draft.attributes = attributes;
    draft.attribute_count = attribute_count;
    return intern(graph, &draft);
}

static Node *view(Graph *graph, Op op, Node *x, const Extent *const *shape, int rank, const Extent **attributes,
                  int attribute_count) {
    return node_make(graph, op, x->dtype, x, shape, rank, attributes, attribute_count);
}

static bool has_shape(const Node *x, const Extent *const *shape, int rank) {
    return x->rank == rank && same_pointers(x->shape, shape, rank);
}

Node *broadcast(Graph *graph, Node *x, const Extent *const *shape, int rank, const int *axes) {
    if (has_shape(x, shape, rank)) return x;
    const Extent *attributes[MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        int axis = axes ? axes[i] : rank - x->rank + i;
        assert(x->shape[i] == shape[axis] || extent_is(x->shape[i], 1));
        attributes[i] = extent_constant(graph->extents, axis);
    }
    return view(graph, OP_broadcast, x, shape, rank, attributes, x->rank);
}

Node *reshape(Graph *graph, Node *x, const Extent *const *shape, int rank) {
    while (x->op == OP_reshape) x = x->inputs[0];
    if (has_shape(x, shape, rank)) return x;
    return view(graph, OP_reshape, x, shape, rank, NULL, 0);
}

Node *transpose(Graph *graph, Node *x, const int *permutation) {
    const Extent *attributes[MAX_RANK], *shape[MAX_RANK];
    bool identity = true;
    for (int i = 0; i < x->rank; i++) {
        identity = identity && permutation[i] == i;
        shape[i] = x->shape[permutation[i]];
        attributes[i] = extent_constant(graph->extents, permutation[i]);
    }
    return identity ? x : view(graph, OP_transpose, x, shape, x->rank, attributes, x->rank);
}

static Node *strided(Graph *graph, Op op, Node *x, const Extent *const *starts, const int64_t *steps,
                     const Extent *const *shape) {
    const Extent *attributes[2 * MAX_RANK];
    bool identity = has_shape(x, shape, x->rank);
    for (int i = 0; i < x->rank; i++) {
        attributes[2 * i] = starts[i];
        attributes[2 * i + 1] = extent_constant(graph->extents, steps[i]);
        identity = identity && extent_is(starts[i], 0) && steps[i] == 1;
    }
    return identity ? x : view(graph, op, x, shape, x->rank, attributes, 2 * x->rank);
}

Node *slice(Graph *graph, Node *x, const Extent *const *starts, const int64_t *steps, const Extent *const *shape) {
    return strided(graph, OP_slice, x, starts, steps, shape);
}

Node *pad(Graph *graph, Node *x, const Extent *const *lows, const int64_t *steps, const Extent *const *shape) {
    return strided(graph, OP_pad, x, lows, steps, shape);
}

Node *reduce(Graph *graph, Op op, Node *x, const int *axes, int axis_count) {
    assert(op_class(op) == CLASS_REDUCE);
    if (!axis_count) return op == OP_reduce_argmax ? constant_integer(graph, DTYPE_I64, 0) : x;
    const Extent *attributes[MAX_RANK], *shape[MAX_RANK];
    int rank = 0, next = 0;
    for (int i = 0; i < x->rank; i++) {
        if (next < axis_count && axes[next] == i) attributes[next++] = extent_constant(graph->extents, i);
        else shape[rank++] = x->shape[i];
    }
    assert(next == axis_count);
    Dtype dtype = op == OP_reduce_argmax ? DTYPE_I64 : x->dtype;
    return node_make(graph, op, dtype, x, (const Extent *const *)shape, rank, attributes, axis_count);
}

// Labels are counted in the order in which they stand first, so the letters that a product was written with do not
// make it another node.
Node *contract(Graph *graph, Node *x, Node *y, const int *x_labels, const int *y_labels, const int *result_labels,
               int result_rank) {
    assert(x->dtype == y->dtype);
    const Extent *attributes[2 + 3 * MAX_RANK], *shape[MAX_RANK], *sizes[26] = {0}, *numbers[26];
    int count = 0, label_count = 0;
    attributes[count++] = extent_constant(graph->extents, x->rank);
    attributes[count++] = extent_constant(graph->extents, y->rank);
    for (int i = 0; i < x->rank + y->rank; i++) {
        int label = i < x->rank ? x_labels[i] : y_labels[i - x->rank];
        const Extent *size = i < x->rank ? x->shape[i] : y->shape[i - x->rank];
        assert(!sizes[label] || sizes[label] == size);
        if (!sizes[label]) numbers[label] = extent_constant(graph->extents, label_count++);
        sizes[label] = size;
        attributes[count++] = numbers[label];
    }
    for (int i = 0; i < result_rank; i++) {
        shape[i] = sizes[result_labels[i]];
        attributes[count++] = numbers[result_labels[i]];
    }
    Node draft = {.op = OP_contract, .dtype = x->dtype, .rank = result_rank, .shape = shape};
    draft.inputs = (Node *[]){x, y};
    draft.input_count = 2;
    draft.attributes = attributes;
    draft.attribute_count = count;
    return intern(graph, &draft);
}

Node *gather(Graph *graph, Node *x, Node *indices) {
    assert(x->rank >= 1 && dtype_is_integer(indices->dtype));
    const Extent *shape[2 * MAX_RANK];
    for (int i = 0; i < indices->rank; i++) shape[i] = indices->shape[i];
    for (int i = 1; i < x->rank; i++) shape[indices->rank + i - 1] = x->shape[i];
    Node draft = {.op = OP_gather, .dtype = x->dtype, .rank = indices->rank + x->rank - 1, .shape = shape};
    draft.inputs = (Node *[]){x, indices};
    draft.input_count = 2;
    return intern(graph, &draft);
}

Node *scatter_add(Graph *graph, Node *indices, Node *updates, const Extent *const *shape, int rank) {
    assert(dtype_is_integer(indices->dtype));
    Node draft = {.op = OP_scatter_add, .dtype = updates->dtype, .rank = rank, .shape = (const Extent **)shape};
    draft.inputs = (Node *[]){indices, updates};
    draft.input_count = 2;
    return intern(graph, &draft);
}

Node *track(Graph *graph, Node *x) {
    const Extent *identity = extent_constant(graph->extents, graph->unique_count++);
    return view(graph, OP_track, x, (const Extent *const *)x->shape, x->rank, &identity, 1);
}

Node *stop_gradient(Graph *graph, Node *x) {
    return view(graph, OP_stop_gradient, x, (const Extent *const *)x->shape, x->rank, NULL, 0);
}

Node *rebuild(Graph *graph, Node *node, Node **inputs) {
    if (same_pointers(inputs, node->inputs, node->input_count)) return node;
    Node draft = *node;
    draft.inputs = inputs;
    Node *copy = intern(graph, &draft);
    if (copy->id == graph->node_count - 1) copy->span = node->span;
    name_node(copy, node->name);
    return copy;
}

// ---- reading

bool same_shape(const Node *a, const Node *b) {
    return has_shape(a, (const Extent *const *)b->shape, b->rank);
}

const Extent *element_count(Graph *graph, const Node *node) {
    const Extent *count = extent_constant(graph->extents, 1);
    for (int i = 0; i < node->rank; i++) count = extent_multiply(graph->extents, count, node->shape[i]);
    return count;
}

Node *strip_broadcast(Node *node) {
    Node *below = node;
    while (below->op == OP_broadcast || below->op == OP_reshape) below = below->inputs[0];
    return below->rank == 0 ? below : node;
}

bool is_constant(const Node *node, double value) {
    while (node->op == OP_broadcast || node->op == OP_reshape) node = node->inputs[0];
    if (node->op != OP_constant) return false;
    return dtype_is_float(node->dtype) ? node->scalar.real == value : (double)node->scalar.integer == value;
}

void name_node(Node *node, const char *name) {
    if (!node->name && name) node->name = name;
}

int attribute_integer(const Node *node, int index) {
    int64_t value = 0;
    bool constant = extent_is_constant(node->attributes[index], &value);
    assert(constant);
    (void)constant;
    return (int)value;
}

static int compare_ids(const void *a, const void *b) {
    int left = (*(Node *const *)a)->id, right = (*(Node *const *)b)->id;
    return (left > right) - (left < right);
}

// A set of nodes, in pages: a walk through a few nodes of a large graph costs as much as the few.
enum { PAGE_WORDS = 64, PAGE_NODES = 64 * PAGE_WORDS };
typedef struct {
    Arena *arena;
    uint64_t **pages;
} NodeSet;

// False: the node was there already.
static bool add_node(NodeSet *set, const Node *node) {
    uint64_t **page = &set->pages[node->id / PAGE_NODES];
    if (!*page) *page = arena_array(set->arena, uint64_t, PAGE_WORDS);
    uint64_t *word = &(*page)[node->id % PAGE_NODES / 64], bit = (uint64_t)1 << node->id % 64;
    bool is_new = !(*word & bit);
    *word |= bit;
    return is_new;
}

NodeArray reachable(Graph *graph, Node *const *roots, int root_count) {
    NodeArray found = {0}, stack = {0};
    NodeSet seen = {graph->arena, arena_array(graph->arena, uint64_t *, graph->node_count / PAGE_NODES + 1)};
    for (int i = 0; i < root_count; i++) array_push(graph->arena, &stack, roots[i]);
    while (stack.count) {
        Node *node = stack.items[--stack.count];
        if (!add_node(&seen, node)) continue;
        array_push(graph->arena, &found, node);
        for (int i = 0; i < node->input_count; i++) array_push(graph->arena, &stack, node->inputs[i]);
    }
    if (found.count) qsort(found.items, (size_t)found.count, sizeof(Node *), compare_ids);
    return found;
}
