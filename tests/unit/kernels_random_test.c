// Random functions of the kinds of node that meet in kernels, in combinations that nobody thought of: the evaluator's
// bits for every number of rows, in every vector width, and no two live buffers in one place. The seeds are fixed; give
// a first seed and a count as arguments for others.
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NODES = 64, EXTENTS = 5 };
static const int64_t extents[EXTENTS] = {-1, 9, 5, 33, 1};
static const int64_t lengths[] = {0, 1, 7, 64};

typedef struct {
    Case *test;
    uint64_t state;
    Node *nodes[MAX_NODES];
    int count;
} Maker;

static int below(Maker *maker, int limit) {
    maker->state ^= maker->state << 13;
    maker->state ^= maker->state >> 7;
    maker->state ^= maker->state << 17;
    return (int)((maker->state >> 16) % (uint64_t)limit);
}

static Node *any(Maker *maker) {
    int back = below(maker, 2) ? maker->count : maker->count < 6 ? maker->count : 6;   // often one of the last
    return maker->nodes[maker->count - 1 - below(maker, back)];
}

static Node *like(Maker *maker, const Node *node) {
    for (int i = 0; i < 8; i++) {
        Node *other = any(maker);
        if (same_shape(node, other) && other != node) return other;
        if (other->rank < node->rank && other->rank > 0) {
            int first = node->rank - other->rank;
            bool fits = true;
            for (int k = 0; k < other->rank; k++)
                fits = fits && (other->shape[k] == node->shape[first + k] || extent_is(other->shape[k], 1));
            if (fits) return broadcast(maker->test->graph, other, (const Extent *const *)node->shape, node->rank, NULL);
        }
    }
    Node *scalar = constant_real(maker->test->graph, node->dtype, below(maker, 9) / 4.0 - 1);
    return broadcast(maker->test->graph, scalar, (const Extent *const *)node->shape, node->rank, NULL);
}

static Node *make_map(Maker *maker) {
    static const Op unary[] = {OP_negate, OP_absolute, OP_exp, OP_tanh, OP_sqrt, OP_floor};
    static const Op binary[] = {OP_add, OP_subtract, OP_multiply, OP_divide, OP_maximum, OP_minimum};
    Graph *graph = maker->test->graph;
    Node *x = any(maker);
    int kind = below(maker, 8);
    if (kind < 2) return map1(graph, unary[below(maker, 6)], x);
    if (kind == 2) return map3(graph, OP_where, map2(graph, OP_less, x, like(maker, x)), like(maker, x), x);
    if (kind == 3) return map2(graph, OP_add, map2(graph, OP_multiply, x, like(maker, x)), like(maker, x));
    return map2(graph, binary[below(maker, 6)], x, like(maker, x));
}

static Node *make_reduce(Maker *maker) {
    static const Op ops[] = {OP_reduce_sum, OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    Graph *graph = maker->test->graph;
    Node *x = any(maker);
    int axes[MAX_RANK] = {0}, count = 0;
    for (int i = 0; i < x->rank; i++)
        if (below(maker, 2)) axes[count++] = i;
    Node *sum = reduce(graph, ops[below(maker, 4)], x, axes, count);
    if (below(maker, 2) || !count) return sum;
    int kept[MAX_RANK], rank = 0;   // and back to the shape of x, as in a softmax
    for (int i = 0, next = 0; i < x->rank; i++) {
        if (next < count && axes[next] == i) next++;
        else kept[rank++] = i;
    }
    Node *wide = broadcast(graph, sum, (const Extent *const *)x->shape, x->rank, kept);
    return map2(graph, OP_subtract, x, wide);
}

static Node *make_transpose(Maker *maker) {
    Node *x = any(maker);
    int permutation[MAX_RANK];
    for (int i = 0; i < x->rank; i++) permutation[i] = i;
    for (int i = x->rank - 1; i > 0; i--) {
        int k = below(maker, i + 1), kept = permutation[i];
        permutation[i] = permutation[k];
        permutation[k] = kept;
    }
    return transpose(maker->test->graph, x, permutation);
}

static Node *make_reshape(Maker *maker) {
    Graph *graph = maker->test->graph;
    Node *x = any(maker);
    const Extent *shape[MAX_RANK + 1];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (rank && below(maker, 2)) shape[rank - 1] = extent_multiply(graph->extents, shape[rank - 1], x->shape[i]);
        else shape[rank++] = x->shape[i];
        if (extent_is(x->shape[i], 9) && rank + x->rank < 5 && shape[rank - 1] == x->shape[i])
            shape[rank - 1] = case_extent(maker->test, 3), shape[rank++] = case_extent(maker->test, 3);
    }
    return reshape(graph, x, shape, rank);
}

// Every axis reversed, or every second of its elements, or padded, or left as it is.
static Node *make_window(Maker *maker) {
    ExtentTable *table = maker->test->graph->extents;
    Node *x = any(maker);
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK], known;
    bool pads = below(maker, 2);
    for (int i = 0; i < x->rank; i++) {
        starts[i] = case_extent(maker->test, 0);
        steps[i] = 1;
        shape[i] = x->shape[i];
        int kind = below(maker, 3);
        if (kind == 0) continue;
        if (pads) {
            starts[i] = case_extent(maker->test, below(maker, 3));
            shape[i] =
                extent_add(table, extent_add(table, x->shape[i], starts[i]), case_extent(maker->test, below(maker, 3)));
        } else if (kind == 1 || !extent_is_constant(x->shape[i], &known)) {
            starts[i] = extent_subtract(table, x->shape[i], case_extent(maker->test, 1));
            steps[i] = -1;
        } else {
            steps[i] = 2;
            shape[i] = case_extent(maker->test, (known + 1) / 2);
        }
    }
    if (pads) return pad(maker->test->graph, x, starts, steps, shape);
    return slice(maker->test->graph, x, starts, steps, shape);
}

static Node *make_contract(Maker *maker) {
    Node *x = any(maker), *y = any(maker);
    int x_labels[MAX_RANK], y_labels[MAX_RANK], result[2 * MAX_RANK], rank = 0, next = x->rank;
    bool summed[2 * MAX_RANK] = {false}, shared[2 * MAX_RANK] = {false};
    for (int i = 0; i < x->rank; i++) x_labels[i] = i;
    for (int i = 0; i < y->rank; i++) {
        int label = -1;
        for (int k = 0; k < x->rank && label < 0; k++)
            if (x->shape[k] == y->shape[i] && !shared[k] && below(maker, 3)) label = k;
        if (label >= 0) shared[label] = true, summed[label] = below(maker, 3) > 0;
        y_labels[i] = label >= 0 ? label : next++;
    }
    for (int i = 0; i < next; i++)
        if (!summed[i]) result[rank++] = i;
    if (rank > 4) return make_map(maker);
    for (int i = rank - 1; i > 0 && below(maker, 3) == 0; i--) {
        int k = below(maker, i + 1), kept = result[i];
        result[i] = result[k];
        result[k] = kept;
    }
    return contract(maker->test->graph, x, y, x_labels, y_labels, result, rank);
}

static Node *make_indexed(Maker *maker) {
    Graph *graph = maker->test->graph;
    Node *x = any(maker);
    int64_t limit;
    if (!x->rank || !extent_is_constant(x->shape[0], &limit) || x->rank > 3) return make_map(maker);
    const Extent *shape[] = {case_extent(maker->test, extents[below(maker, EXTENTS)])};
    Node *places = iota(graph, DTYPE_I32, shape, 1, 0), *size = constant_integer(graph, DTYPE_I32, limit);
    Node *indices = map2(graph, OP_remainder, places, broadcast(graph, size, shape, 1, NULL));
    Node *rows = gather(graph, x, indices);
    if (below(maker, 2)) return rows;
    return scatter_add(graph, indices, rows, (const Extent *const *)x->shape, x->rank);
}

static Node *make_node(Maker *maker) {
    typedef Node *Make(Maker * maker);
    static Make *const makes[] = {make_map,       make_map,    make_map,      make_map,      make_map,
                                  make_reduce,    make_reduce, make_contract, make_contract, make_reshape,
                                  make_transpose, make_window, make_indexed};
    return makes[below(maker, sizeof makes / sizeof *makes)](maker);
}

static bool is_small(Maker *maker, const Node *node) {
    int64_t dims[] = {64}, count = extent_evaluate(element_count(maker->test->graph, node), dims, NULL);
    return count < 100000 && node->rank <= 4;
}

static void check_seed(uint64_t seed) {
    char name[32];
    snprintf(name, sizeof name, "seed %d", (int)seed);
    Maker maker = {.test = case_begin(name), .state = seed * 0x9e3779b97f4a7c15u + 1};
    Dtype dtype = below(&maker, 4) ? DTYPE_F32 : DTYPE_F64;
    for (int i = 0; i < 4; i++) {
        int64_t shape[3];
        int rank = 1 + below(&maker, 3);
        for (int k = 0; k < rank; k++) shape[k] = extents[below(&maker, EXTENTS)];
        maker.nodes[maker.count++] = case_input(maker.test, dtype, FILL_PLAIN, rank, shape);
    }
    int wanted = maker.count + 4 + below(&maker, 24);
    while (maker.count < wanted) {
        Node *node = make_node(&maker);
        if (is_small(&maker, node)) maker.nodes[maker.count++] = node;
    }
    int results = 1 + below(&maker, 4);
    for (int i = 0; i < results; i++) case_output(maker.test, maker.nodes[maker.count - 1 - below(&maker, 8)]);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) case_check(maker.test, &lengths[i]);
    case_end(maker.test);
}

int main(int count, char **arguments) {
    int first = count > 1 ? atoi(arguments[1]) : 1, seeds = count > 2 ? atoi(arguments[2]) : 150;
    for (int i = 0; i < seeds; i++) check_seed((uint64_t)(first + i));
    return harness_finish();
}
