// What the tables of rewrites share: the shape of a row, and questions about nodes.
#ifndef GRADC_SIMPLIFY_RULES_H
#define GRADC_SIMPLIFY_RULES_H

#include "graph/rewrite.h"

typedef struct Simplifier Simplifier;

// A node of the same dtype and shape that may stand for `node`, whose inputs are simplified; NULL: it does not fit.
typedef Node *Rewrite(Simplifier *simplifier, Node *node);

enum { ANY_MAP = OP_COUNT };

typedef struct {
    const char *name;
    int op;   // which op it fits; ANY_MAP: every elementwise one
    Rewrite *apply;
    const char *reason;
} RewriteRow;

// Exact: for every input the value is the same, bit for bit; a NaN counts as one value, whatever its sign and payload.
extern const RewriteRow exact_rewrites[];
extern const int exact_rewrite_count;
// Stabilising: the same real number by a way that keeps more digits, or stays finite further out.
extern const RewriteRow stabilising_rewrites[];
extern const int stabilising_rewrite_count;
// Shortening: the same real number by less work, as a textbook has it.
extern const RewriteRow shortening_rewrites[];
extern const int shortening_rewrite_count;

typedef struct {
    Function *body, *simplified;
} SimplifiedBody;

// One run over one function.
struct Simplifier {
    Graph *graph;
    bool before_gradient;            // some gradient is still to be expanded, so marks may be put for it
    const RewriteRow *const *rows;   // in the order in which they are tried
    ARRAY(int) rows_of[OP_COUNT];    // the numbers of those that fit the op
    NodeMap done;                    // old node -> simplified node
    ARRAY(SimplifiedBody) bodies;
    int fuel;     // rewrites left: a bound against rows that undo each other
    int *fired;   // how often each row was applied; NULL: not counted
};

// What `simplify` does, with the rows given. `fired` is NULL or has a number for each row, to which is added how often
// it was applied. Returns false when the rows came to no end; the function has the same value all the same.
bool simplify_by(Graph *graph, Function *function, const RewriteRow *const *rows, int count, int *fired);
// Pointers to the rows of all tables: exact ones, stabilising ones, shortening ones.
const RewriteRow *const *all_rewrites(Arena *arena, int *count);
// The simplified form of a node that a row has made, to compare with what stands in the graph.
Node *simplify_node(Simplifier *simplifier, Node *node);

// ---- numbers
Node *constant_below(Node *node);             // the constant that `node` repeats, or NULL
bool is_number(Node *node, double value);     // repeats exactly this number; 0 is not -0
bool never_negative_zero(const Node *node);   // as far as its structure shows
bool is_own_absolute(const Node *node);       // abs(node) is node: its op shows it
// An elementwise op of inputs, whatever its arity.
Node *map_any(Graph *graph, Op op, Dtype dtype, Node *const *inputs, int count);

// ---- repeated axes. Sets of axes are bit masks.
unsigned all_axes(const Node *node);
unsigned reduced_axes(const Node *reduce);
unsigned varying_axes(Node *node);   // along the others it only repeats
// The values of `node`, which varies along no other than `axes`, as a tensor of those axes alone.
Node *along_axes(Graph *graph, Node *node, unsigned axes);
// `small`, which has the axes `axes` of `like`, repeated to the shape of `like`.
Node *spread(Graph *graph, Node *small, unsigned axes, const Node *like);
// `x` reshaped to lose its axes in `axes`, each of extent 1.
Node *without_units(Graph *graph, Node *x, unsigned axes);
bool same_but_units(const Node *a, const Node *b);   // the same shape, axes of extent 1 aside
// The reduction of x over a set of axes.
Node *reduce_over(Graph *graph, Op op, Node *x, unsigned axes);
bool is_iota_along(Node *node, int axis);   // counts along that axis alone, from 0
// `full`, which is the same all along `axes`, without them; NULL: it is not the same. Simplified.
Node *row_value(Simplifier *simplifier, Node *full, unsigned axes);
// The inverse: one value for each row, repeated along `axes` of `like`.
Node *to_rows(Simplifier *simplifier, Node *value, unsigned axes, const Node *like);

// ---- products.c
// node * divisor, of a node that is divided by it somewhere in a product; NULL: it is not.
Node *without_divisor(Simplifier *simplifier, Node *node, Node *divisor, int depth);

// ---- class numbers
// True when `mask` is `iota == numbers` along `axis`, and numbers is constant along it: at most one true in a line.
bool is_class_mask(Node *mask, int axis, Node **numbers);
// Whether the numbers are places of an axis of that extent: a bool for each.
Node *in_range(Graph *graph, Node *numbers, const Extent *extent);
// What is known of every element of an integer node: at least 0, and less than `*bound`.
bool known_range(Node *node, const Extent **bound);

// ---- rewrites of views and reductions (views.c); rows of the exact table
Rewrite map_of_repeated, map_of_unit_reshapes, iota_of_rank, broadcast_of_broadcast, broadcast_of_units,
    broadcast_to_units, reshape_of_reshape, reshape_of_number, reshape_of_broadcast, reshape_of_map,
    transpose_of_transpose, transpose_of_units, transpose_of_broadcast, contract_of_transpose, slice_of_slice,
    slice_of_broadcast, slice_of_pad, part_of_pad, slice_of_window, pad_of_zero, reduce_of_units, extremum_of_repeated,
    argmax_of_unit, sum_of_class_mask;
// ---- rewrites of the unit matrix (unit.c): rows of the exact and of the stabilising table
Rewrite sum_of_unit, contract_of_unit;
// ---- rewrites of rows of exponentials (softmax.c, classes.c), of sigmoids (sigmoid.c); rows of the stabilising table
Rewrite softmax_shift, softmax_constant_shift, log_sum_exp_shift, log_sum_exp_constant_shift, log_softmax_shift,
    log_softmax_constant_shift, cancel_shift, log_of_softmax, exp_of_log_softmax, log_of_exp, softmax_of_quotient,
    softmax_of_terms;
Rewrite class_product, gather_of_rows, log_of_picked, log_of_gathered, sum_of_picked, picked_log_softmax,
    softmax_less_class;
Rewrite log_of_one_plus, log_of_one_minus, exp_minus_one, expm1_plus_one, sigmoid_by_hand, one_minus_sigmoid, softplus,
    log_of_sigmoid, sigmoid_times_quotient, sigmoid_over_itself, sigmoid_less_target, log1p_of_sigmoid,
    log_sigmoid_by_hand, softplus_by_hand, softplus_form;
// ---- rewrites of products (products.c), of sums along rows (sums.c), of joined tensors (parts.c), and of sigmoids
// (sigmoid.c); rows of the shortening table
Rewrite numbers_meet, number_into_rows, number_into_sum, like_terms, common_factor, common_divisor, common_share;
Rewrite sum_of_multiple, sum_of_shifted, mean_of_centred, normalised_again, probabilities_sum_to_one;
Rewrite slice_of_parts, sum_of_part;
Rewrite two_classes, softplus_threshold;

#endif
