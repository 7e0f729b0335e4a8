// Makers of views, reductions, products, indices and random numbers, for random programs.
#include "random_maker.h"

#include <math.h>
#include <string.h>

// ---- views

Entry make_transpose(Generator *g) {
    Entry x = pick_entry(g);
    int order[MAX_RANK];
    for (int i = 0; i < x.node->rank; i++) order[i] = i;
    for (int i = x.node->rank - 1; i > 0; i--) {
        int other = random_below(&g->random, i + 1), axis = order[i];
        order[i] = order[other];
        order[other] = axis;
    }
    return (Entry){transpose(g->graph, x.node, order), x.bound};
}

Entry make_reshape(Generator *g) {
    Entry x = pick_entry(g);
    const Extent *shape[MAX_RANK];
    int rank = 0, joined = x.node->rank > 1 ? random_below(&g->random, x.node->rank - 1) : -1;
    for (int i = 0; i < x.node->rank; i++) {
        shape[rank] = x.node->shape[i];
        if (i == joined) {
            shape[rank] = extent_multiply(g->graph->extents, shape[rank], x.node->shape[i + 1]);
            i++;
        }
        rank++;
    }
    if (rank < 4 && random_below(&g->random, 3) == 0) shape[rank++] = number_extent(g, 1);
    return (Entry){reshape(g->graph, x.node, shape, rank), x.bound};
}

Entry make_broadcast(Generator *g) {
    Entry x = pick_entry(g);
    if (x.node->rank >= 4) return x;
    const Extent *shape[MAX_RANK];
    int axes[MAX_RANK], at = random_below(&g->random, x.node->rank + 1);
    for (int i = 0; i <= x.node->rank; i++) shape[i] = i == at ? random_extent(g) : x.node->shape[i - (i > at)];
    for (int i = 0; i < x.node->rank; i++) axes[i] = i + (i >= at);
    return (Entry){broadcast(g->graph, x.node, shape, x.node->rank + 1, axes), x.bound};
}

Entry make_slice_or_pad(Generator *g) {
    Entry x = pick_entry(g);
    const Extent *starts[MAX_RANK], *shape[MAX_RANK];
    int64_t steps[MAX_RANK], size;
    bool pads = random_below(&g->random, 2);
    for (int i = 0; i < x.node->rank; i++) {
        starts[i] = number_extent(g, 0);
        steps[i] = 1;
        shape[i] = x.node->shape[i];
        if (random_below(&g->random, 2)) continue;
        if (pads) {
            int64_t low = random_below(&g->random, 3), high = random_below(&g->random, 3);
            starts[i] = number_extent(g, low);
            shape[i] = extent_add(g->graph->extents, shape[i], number_extent(g, low + high));
        } else if (extent_is_constant(shape[i], &size) && size > 1) {
            static const int64_t choices[] = {1, 2, 3, -1, -2};
            steps[i] = choices[random_below(&g->random, 5)];
            int64_t skipped = random_below(&g->random, size < 4 ? 2 : 3), stride = steps[i] < 0 ? -steps[i] : steps[i];
            starts[i] = number_extent(g, steps[i] < 0 ? size - 1 - skipped : skipped);
            shape[i] = number_extent(g, (size - skipped + stride - 1) / stride);
        }
    }
    if (pads) return (Entry){pad(g->graph, x.node, starts, steps, shape), x.bound};
    return (Entry){slice(g->graph, x.node, starts, steps, shape), x.bound};
}

// Windows over an axis, padded so that one fits for every N; or what they have, summed where it came from.
Entry make_window(Generator *g) {
    Entry x = pick_entry(g);
    if (!x.node->rank || x.node->rank > 3) return x;
    int axis = random_below(&g->random, x.node->rank);
    const Extent *taps = number_extent(g, 1 + random_below(&g->random, 3)),
                 *dilation = number_extent(g, 1 + random_below(&g->random, 2));
    const Extent *lows[MAX_RANK], *shape[MAX_RANK], *span = window_span(g->graph->extents, taps, dilation);
    int64_t steps[MAX_RANK], stride = 1 + random_below(&g->random, 3);
    for (int i = 0; i < x.node->rank; i++) {
        lows[i] = i == axis ? span : number_extent(g, 0);
        steps[i] = 1;
        shape[i] = x.node->shape[i];
    }
    shape[axis] = extent_add(g->graph->extents, shape[axis], extent_add(g->graph->extents, span, number_extent(g, 1)));
    Node *windows = window(g->graph, pad(g->graph, x.node, lows, steps, shape), axis, taps, stride, dilation);
    if (windows->rank < 5 && random_below(&g->random, 2)) return (Entry){windows, x.bound};
    Node *values = map1(g->graph, OP_sin, windows);
    return (Entry){fold_windows(g->graph, values, axis, stride, dilation, shape[axis]), 3};
}

// ---- reductions, products, indices, random numbers

Entry make_reduce(Generator *g) {
    static const Op ops[] = {OP_reduce_sum, OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    Op op = ops[random_below(&g->random, 4)];
    Entry x = pick_entry(g);
    int axes[MAX_RANK], count = 0;
    bool empty = false;   // for some N: its maximum would be infinite
    double bound = x.bound;
    for (int i = 0; i < x.node->rank; i++) {
        if (random_below(&g->random, 2)) continue;
        axes[count++] = i;
        empty = empty || !extent_is_constant(x.node->shape[i], NULL) || extent_is(x.node->shape[i], 0);
    }
    if (empty) op = OP_reduce_sum;
    if (!count) return x;
    Node *node = reduce(g->graph, op, x.node, axes, count);
    if (op == OP_reduce_sum) bound *= (double)typical_size(x.node) / (double)(typical_size(node) + 1) * 4;
    return (Entry){node, bound};
}

Entry make_argmax(Generator *g) {
    Entry x = pick_entry(g);
    int64_t size;
    if (!x.node->rank || !extent_is_constant(x.node->shape[x.node->rank - 1], &size) || !size) return x;
    int axis = x.node->rank - 1;
    Node *place = cast(g->graph, reduce(g->graph, OP_reduce_argmax, x.node, &axis, 1), g->dtype);
    return (Entry){map2(g->graph, OP_multiply, place, number_like(g, place, 0.25)), (double)size};
}

// Axes of x and y with one extent are shared: kept or summed; the others stay.
Entry make_contract(Generator *g) {
    Entry x = pick_entry(g), y = pick_entry(g);
    int x_labels[MAX_RANK], y_labels[MAX_RANK], result[2 * MAX_RANK], rank = 0, next = 0;
    double terms = 1;
    for (int i = 0; i < x.node->rank; i++) x_labels[i] = next++;
    bool taken[2 * MAX_RANK] = {false}, summed[2 * MAX_RANK] = {false};
    for (int k = 0; k < y.node->rank; k++) {
        y_labels[k] = -1;
        for (int i = 0; i < x.node->rank && y_labels[k] < 0; i++) {
            if (taken[i] || x.node->shape[i] != y.node->shape[k] || random_below(&g->random, 4) == 0) continue;
            taken[i] = true;
            y_labels[k] = i;
            summed[i] = random_below(&g->random, 3) > 0;
            if (summed[i]) terms *= 20;
        }
        if (y_labels[k] < 0) y_labels[k] = next++;
    }
    for (int label = 0; label < next; label++)
        if (!(label < 2 * MAX_RANK && summed[label])) result[rank++] = label;
    if (rank > 4) return x;
    if (rank > 1 && random_below(&g->random, 2)) {
        int label = result[0];
        result[0] = result[rank - 1];
        result[rank - 1] = label;
    }
    Node *a = squeezed(g, x, 4), *b = squeezed(g, y, 4);
    return (Entry){contract(g->graph, a, b, x_labels, y_labels, result, rank), 16 * terms};
}

Entry make_gather(Generator *g) {
    Entry x = pick_entry(g);
    int64_t size;
    if (!x.node->rank || x.node->rank > 3 || !extent_is_constant(x.node->shape[0], &size) || size < 3) return x;
    return (Entry){gather(g->graph, x.node, g->indices), x.bound};
}

// A line in order.
Entry make_sort(Generator *g) {
    enum { FEW = 40 };   // more would often have two so close that differences exchange them
    Entry x = pick_entry(g);
    if (typical_size(x.node) > FEW) return x;
    const Extent *count = element_count(g->graph, x.node);
    Node *line = reshape(g->graph, x.node, &count, 1);
    Node *sorted = gather(g->graph, line, argsort(g->graph, line, random_below(&g->random, 2)));
    return (Entry){reshape(g->graph, sorted, (const Extent *const *)x.node->shape, x.node->rank), x.bound};
}

Entry make_scatter(Generator *g) {
    int from = random_below(&g->random, g->count), at = -1;
    for (int i = 0; i < g->count && at < 0; i++) {
        const Node *node = g->pool[(from + i) % g->count].node;
        if (node->rank && node->shape[0] == g->indices->shape[0]) at = (from + i) % g->count;
    }
    if (at < 0) return g->pool[from];
    Entry x = g->pool[at];
    const Extent *shape[MAX_RANK];
    for (int i = 0; i < x.node->rank; i++) shape[i] = x.node->shape[i];
    shape[0] = number_extent(g, 3 + random_below(&g->random, 4));
    return (Entry){scatter_add(g->graph, g->indices, x.node, shape, x.node->rank), x.bound * 8};
}

Entry make_leaf(Generator *g) {
    Entry x = pick_entry(g);
    const Extent *const *shape = (const Extent *const *)x.node->shape;
    int choice = random_below(&g->random, 3);
    if (choice == 1 && g->depth) choice = 2;   // elaboration draws for all iterations before a loop
    Node *leaf;
    if (choice == 0 && x.node->rank) {
        leaf = iota(g->graph, g->dtype, shape, x.node->rank, random_below(&g->random, x.node->rank));
        leaf = map1(g->graph, OP_sin, leaf);
    } else if (choice == 1) {
        Op op = random_below(&g->random, 2) ? OP_random_uniform : OP_random_normal;
        leaf = random_make(g->graph, op, g->dtype, shape, x.node->rank, random_below(&g->random, 100));
    } else {
        Node *size = extent_value(g->graph, g->dtype, g->open);
        leaf = broadcast(g->graph, map1(g->graph, OP_sigmoid, size), shape, x.node->rank, NULL);
    }
    return (Entry){map2(g->graph, OP_multiply, leaf, squeezed(g, x, 8)), 40};
}

// A carry loop over axis 0: state = tanh(state + element), and what it passes through.
Entry make_scan(Generator *g) {
    Entry x = pick_entry(g);
    if (!x.node->rank) return x;
    Graph *graph = g->graph;
    const Extent *const *shape = (const Extent *const *)x.node->shape + 1;
    int rank = x.node->rank - 1;
    Node *arguments[3];
    static const char *const names[] = {"element", "carry", "capture"};
    for (int i = 0; i < 3; i++) {
        Variable variable = {.kind = VARIABLE_ARGUMENT, .index = i, .name = names[i]};
        arguments[i] = variable_make(graph, &variable, g->dtype, shape, rank);
    }
    Node *sum = map2(graph, OP_add, arguments[0], map2(graph, OP_multiply, arguments[1], arguments[2]));
    Function *body = arena_new(graph->arena, Function);
    *body = (Function){.name = "body", .argument_count = 3, .result_count = 2};
    body->arguments = arena_copy(graph->arena, arguments, sizeof arguments);
    body->results = arena_array(graph->arena, Named, 2);
    body->results[0] = (Named){"carry", map1(graph, OP_tanh, sum)};
    body->results[1] = (Named){"yield", map2(graph, OP_multiply, arguments[1], map1(graph, OP_sin, arguments[0]))};
    Node *first = broadcast(graph, constant_real(graph, g->dtype, 0.5), shape, rank, NULL);
    Node *scalar = pick_entry(g).node;
    Entry capture = fitted(g, (Entry){scalar, 1}, first);
    Node *captured = squeezed(g, (Entry){capture.node, 9}, 1);
    Node *node = loop(graph, x.node->shape[0], &x.node, 1, &first, 1, &captured, 1, body);
    if (random_below(&g->random, 2)) return (Entry){result_of(graph, node, 0), 1};
    return (Entry){result_of(graph, node, 1), 1};
}
