// The graph: SSA over whole tensors.
//
// A Graph is a store of immutable nodes, hash-consed: building the same node twice gives the same pointer, which is
// common-subexpression elimination for free. Variables, `track` and random sites have an identity of their own and are
// never merged (semantics.md S1, S11). Node ids rise in order of creation, so inputs always have smaller ids than
// users, and sorting by id is a topological order. Every node has a dtype and a shape; elementwise nodes take inputs of
// exactly their own shape, and broadcasting is a node. What an op is stands in its row of ops.def.
#ifndef GRADC_GRAPH_GRAPH_H
#define GRADC_GRAPH_GRAPH_H

#include "graph/extent.h"
#include "support/diagnostics.h"

typedef enum { DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_BOOL, DTYPE_TUPLE } Dtype;
const char *dtype_name(Dtype dtype);   // "f32"
int dtype_size(Dtype dtype);           // in bytes; a bool is one byte, 0 or 1
static inline bool dtype_is_float(Dtype dtype) {
    return dtype <= DTYPE_F64;
}
static inline bool dtype_is_integer(Dtype dtype) {
    return dtype == DTYPE_I32 || dtype == DTYPE_I64;
}

enum { MAX_RANK = 8, MAX_ARITY = 3, MAX_LOOP_DEPTH = 6 };   // of loop nodes in bodies of loop nodes

typedef enum {
#define MAP_OP(name, ...) OP_##name,
#define TENSOR_OP(name, ...) OP_##name,
#include "graph/ops.def"
    OP_COUNT
} Op;

typedef enum {
    CLASS_LEAF,   // variable, constant, iota, extent, random: no tensor inputs
    CLASS_MAP,    // elementwise
    CLASS_REDUCE,
    CLASS_CONTRACT,
    CLASS_VIEW,     // index arithmetic only
    CLASS_GATHER,   // gather, scatter_add, fold, argsort
    CLASS_MARK,     // identity that means something to differentiation: track, stop_gradient
    CLASS_TUPLE,    // loop, gradient, tangent, jacobian, custom: several results, read through `result`
    CLASS_RESULT
} OpClass;

const char *op_name(Op op);
OpClass op_class(Op op);
int op_arity(Op op);                // -1: any number
bool op_is_function(Op op);         // elementwise, and a function of compiler/math: dear to compute again
const char *op_spelling(Op op);     // how the language calls it: "exp", or the operator "+"
const char *op_derivative(Op op);   // text of the rule; NULL: linear (see adjoint column) or none

typedef union {
    double real;       // f32 (already rounded to f32) and f64
    int64_t integer;   // i32, i64, bool
} Scalar;

typedef struct Node Node;
typedef struct Graph Graph;

typedef enum {
    VARIABLE_INPUT,            // an entry's input
    VARIABLE_PARAMETER,        // a net's `param`
    VARIABLE_STATE,            // `state` of a net, loss or optimizer
    VARIABLE_HYPERPARAMETER,   // a run-time scalar of an optimizer, `iteration`, ...: a number in the frame
    VARIABLE_ARGUMENT          // of a Function that is a loop's body, or of a derivative rule
} VariableKind;

// What a variable node stands for: it has identity.
typedef struct {
    VariableKind kind;
    int index;            // among its kind in its program or function
    const char *name;     // input name, or path: "mlp.hidden.W"
    bool requires_grad;   // may be differentiated by
    bool frozen;
    const Extent *bound;   // integers: whoever calls sees to it that all lie in [0, bound); NULL: not known
} Variable;

// A function of the graph: an entry of the program, or the body of a loop or of a derivative of the user's. Closed: it
// reads nothing but its arguments and, for entries, variables of the program.
typedef struct {
    const char *name;
    Node *node;
} Named;
typedef struct {
    const char *name;
    int argument_count;
    Node **arguments;   // variable nodes
    int result_count;
    Named *results;
} Function;

struct Node {
    Op op;
    Dtype dtype;
    int id;
    int rank;
    const Extent **shape;
    int input_count;
    Node **inputs;
    int attribute_count;
    const Extent **attributes;   // their meaning stands beside the op's row in ops.def
    Scalar scalar;               // constant
    Variable *variable;          // variable
    Function *body;              // loop, custom
    Span span;                   // where the user wrote it; library code keeps the caller's span in `called_from`
    const char *name;            // the source's name for it, or NULL; no part of its identity
};

struct Graph {
    Arena *arena;
    ExtentTable *extents;
    Span span;                 // given to the nodes made next
    struct NodeTable *table;   // hash-consing
    int node_count;
    int unique_count;   // gives variables, track and random sites their identity
};

typedef ARRAY(Node *) NodeArray;

Graph *graph_create(Arena *arena);

// ---- building. Shapes and dtypes must fit (asserted by the rules of ops.def; the elaborator reports users' errors).
// The node that `op` of these inputs and attributes is. Dtype and shape are inferred by the op's rule; ops whose shape
// is not implied by the inputs (broadcast, reshape, slice, pad, iota, random, ...) have the helpers below.
Node *map1(Graph *graph, Op op, Node *x);
Node *map2(Graph *graph, Op op, Node *x, Node *y);
Node *map3(Graph *graph, Op op, Node *x, Node *y, Node *z);
Node *cast(Graph *graph, Node *x, Dtype dtype);                        // x itself if it has that dtype
Node *constant_real(Graph *graph, Dtype dtype, double value);          // rank 0; dtype may be an integer type too
Node *constant_integer(Graph *graph, Dtype dtype, int64_t value);      // rank 0; dtype may be a floating type too
Node *constant_like(Graph *graph, Node *like, double value);           // broadcast to like's shape, of its dtype
Node *extent_value(Graph *graph, Dtype dtype, const Extent *extent);   // rank 0; folded when constant
Node *iota(Graph *graph, Dtype dtype, const Extent *const *shape, int rank, int axis);
Node *variable_make(Graph *graph, const Variable *variable, Dtype dtype, const Extent *const *shape, int rank);
// op: random_uniform in [0, 1) or random_normal; a new identity each call. site: S11's number of the place.
Node *random_make(Graph *graph, Op op, Dtype dtype, const Extent *const *shape, int rank, int64_t site);

// Axis i of x becomes axis axes[i] of the result (axes ascending); where extents differ x's is 1 and is repeated.
// axes may be NULL: NumPy's right alignment.
Node *broadcast(Graph *graph, Node *x, const Extent *const *shape, int rank, const int *axes);
Node *reshape(Graph *graph, Node *x, const Extent *const *shape, int rank);
Node *transpose(Graph *graph, Node *x, const int *permutation);   // result axis i is x's axis permutation[i]
// Element i of an axis is x's start + step * i; shape gives the counts. step may be negative.
Node *slice(Graph *graph, Node *x, const Extent *const *starts, const int64_t *steps, const Extent *const *shape);
// x's element i of an axis stands at low + step * i; zeros elsewhere. The adjoint of slice, with the same meaning.
Node *pad(Graph *graph, Node *x, const Extent *const *lows, const int64_t *steps, const Extent *const *shape);
// Axis `axis` of x becomes two, [positions, taps]: element (i, k) is x's i * stride + k * dilation, for every position at
// which all taps lie within x.
Node *window(Graph *graph, Node *x, int axis, const Extent *taps, int64_t stride, const Extent *dilation);
// The adjoint of window, with the same meaning: axes `axis` and `axis + 1` of x, [positions, taps], become one of
// `extent` elements, each the sum, taps ascending, of what windows over it would read from it.
Node *fold_windows(Graph *graph, Node *x, int axis, int64_t stride, const Extent *dilation, const Extent *extent);
// What they are measured by: how far a window's last tap is from its first, and how many positions there are.
const Extent *window_span(ExtentTable *extents, const Extent *taps, const Extent *dilation);
const Extent *window_positions(ExtentTable *extents, const Extent *extent, const Extent *taps, int64_t stride,
                               const Extent *dilation);
// op: reduce_sum, reduce_max, reduce_min, reduce_prod, reduce_argmax; the axes are dropped. axes: ascending, no repeats.
Node *reduce(Graph *graph, Op op, Node *x, const int *axes, int axis_count);
// Einsum of two tensors: one small label (0..25, printed a..z) per axis. A label of an operand stands in the other
// operand or in the result, or both; labels of the result are distinct, and so are each operand's.
Node *contract(Graph *graph, Node *x, Node *y, const int *x_labels, const int *y_labels, const int *result_labels,
               int result_rank);
// result[i..., rest] = x[indices[i...], rest] along `axis` 0 of x; an index out of range is clamped and recorded (S14).
Node *gather(Graph *graph, Node *x, Node *indices);
// A tensor of `shape`, zero, with `updates` added at row indices[...] of axis 0, ascending.
Node *scatter_add(Graph *graph, Node *indices, Node *updates, const Extent *const *shape, int rank);
// For each row along the last axis the places (i64) of its elements in order: stable, NaN counted as the largest.
Node *argsort(Graph *graph, Node *x, bool descending);
Node *track(Graph *graph, Node *x);   // x with an identity of its own (S1)
Node *stop_gradient(Graph *graph, Node *x);
Node *result_of(Graph *graph, Node *tuple, int index);
// A loop over axis 0 of `sequences` (trip_count long), with carries; `body`'s arguments are one element of each
// sequence, the carries, the captures; its results the new carries, then the yields. The loop's results (result_of) are
// the last carries, then the yields stacked on axis 0.
Node *loop(Graph *graph, const Extent *trip_count, Node **sequences, int sequence_count, Node **carries,
           int carry_count, Node **captures, int capture_count, Function *body);
// A request for derivatives, expanded by differentiation: result i is the vector-Jacobian product of y with cotangent
// (NULL: 1, y a scalar) with respect to targets[i], which are variables or tracks. Has targets' shapes.
Node *gradient(Graph *graph, Node *y, Node *cotangent, Node **targets, int target_count, bool allow_unused);
// The same forwards: result 0, of y's shape, is how y changes as each target changes by its tangent.
Node *tangent(Graph *graph, Node *y, Node **targets, Node **tangents, int target_count);
// The gradients of all elements of y: result i has those by targets[i], stacked on axis 0 in row-major order of y.
Node *jacobian(Graph *graph, Node *y, Node **targets, int target_count);
// Values with a derivative that the user gave (S16): results are the values. `pullback` takes their cotangents and the
// captures, and gives the cotangents of `arguments`, in which those of the values are linear. For differentiation the
// values depend on nothing but the arguments, and by nothing but this.
Node *custom(Graph *graph, Node **values, int value_count, Node **arguments, int argument_count, Node **captures,
             int capture_count, Function *pullback);

// The node of one input with these parts: what the helpers for views are made of.
Node *node_make(Graph *graph, Op op, Dtype dtype, Node *x, const Extent *const *shape, int rank,
                const Extent **attributes, int attribute_count);
// The same for nodes with several results.
Node *tuple_make(Graph *graph, Op op, const NodeArray *inputs, const Extent **attributes, int attribute_count,
                 Function *body);
// A copy of `node`, with other inputs of the same dtypes and shapes: how passes rebuild.
Node *rebuild(Graph *graph, Node *node, Node **inputs);

// ---- reading
bool same_shape(const Node *a, const Node *b);
const Extent *element_count(Graph *graph, const Node *node);
bool is_constant(const Node *node, double value);   // a constant, seen through broadcast and reshape
Node *strip_broadcast(Node *node);                  // the node below broadcasts of a scalar; else the node
void name_node(Node *node, const char *name);       // keeps the first name
// Attributes by meaning:
int attribute_integer(const Node *node, int index);   // a constant attribute
int loop_part(const Node *loop, int part);            // 0: sequences, 1: carries, 2: captures, 3: yields
int custom_part(const Node *custom, int part);        // 0: values, 1: arguments, 2: captures
bool is_request(const Node *node);                    // for derivatives: gradient, tangent, jacobian
int first_target(const Node *request);                // number of the input
int tuple_size(const Node *tuple);                    // how many results it has

// The nodes that the roots reach, ascending by id: inputs before users. Bodies are not entered.
NodeArray reachable(Graph *graph, Node *const *roots, int root_count);

// ---- stage services
// Checks every node that `function` reaches against the op's rule: arity, dtypes, shapes, ids, bodies. Returns NULL or
// the first fault as text. Run after every pass in builds with assertions, and in all tests.
const char *verify_function(Graph *graph, const Function *function);
void print_function(Text *text, const Function *function);
// The same without names of the source and places: equal for programs that differ in local names and comments alone.
void print_computation(Text *text, const Function *function);
// `function` as a program of the language: a `fn` with its arguments, then what else it reads, as parameters. Returns
// NULL, or the op that has no spelling (then the text is of no use). Needs: differentiated.
const char *print_source(Text *text, Graph *graph, const Function *function, const char *name);
void print_shape(Text *text, Dtype dtype, const Extent *const *shape, int rank);   // "f32[N, 10]"

#endif
