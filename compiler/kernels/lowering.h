// What the files of this folder share: the state of lowering one function's graph to kernels.
//
//   roots.c    decides which nodes get a buffer ("roots"); everything else is computed where it is read
//   join.c     finds tensors that are put together from parts, and has each part stored in its place
//   fuse.c     puts every root into a kernel: one that exists already, if the rules allow, else a new one
//   scatter.c  roots whose kernels write elsewhere than at the element at hand
//   turn.c     products that are stored with their axes in another order
//   index.c    affine index arithmetic: what views become
//   value.c    a node's value at an index, as instructions of a kernel
//   shapes.c   tidies finished kernels: dead stores, dead instructions, axes that run as one
//   inplace.c  results that go over leaves
//   loop.c     loop nodes
//   plan.c     the arena; cost.c, depends.c, print.c, verify.c
#ifndef GRADC_KERNELS_LOWERING_H
#define GRADC_KERNELS_LOWERING_H

#include "kernels/kernel.h"

// A value that must end up in memory.
typedef struct {
    Node *node;
    int order;   // of wholes: ascending
    Buffer *buffer;
    Affine origin;   // where in the buffer its first element lies: depends on loop axes only
    bool accumulate;
    bool in_place;     // the buffer is a leaf's: computed last
    bool whole;        // the node's own buffer, which others may read
    bool wanted;       // a result of the function: kept though no kernel loads it
    int first_draft;   // the first one that may compute it
} Root;

typedef struct {
    Buffer *buffer;   // where the value lies or will lie; NULL: computed where it is read
    Affine origin;
    struct Draft *draft;   // the kernel that computes it; NULL: a leaf
    int instruction;       // its value in that kernel; -1: cannot be read there (a pad's or scatter's target)
    int domain;            // 0: the kernel's full domain, 1: the outer one
    bool root;
    int home;                    // the number of the root that is its own, from 1, once bind_results looks; 0: none
    int users;                   // nodes that read it
    int weight;                  // about how many instructions compute it from memory
    const struct Join *joined;   // of what is put together from parts (a root): which ones
    bool result;                 // of the function or body: it must be there as it is
    bool apart;                  // a sum that is known to be no such tensor
    bool part;                   // of such a tensor: its place is that tensor's
    struct Draft *seen;          // the last kernel that computed it in passing
    bool recomputed;             // several kernels did
} NodeState;

typedef struct Memo {
    const Node *node;
    int instruction;
    struct Memo *next;
    Affine index[];   // as many as the node has axes
} Memo;

enum { MEMO_BUCKETS = 64, PAGE_NODES = 64 };

// A kernel in the making. A domain is a list of axes: element i of a root's index runs along axes[i].
typedef struct Draft {
    Kernel *kernel;
    int position;
    int domain_rank[2];   // [0] full: with the reduced axes; [1] outer: without. -1: there is none
    int domain[2][MAX_RANK];
    Memo *memo[MEMO_BUCKETS];
    bool closed;   // takes no further roots
    bool pinned;   // keeps its place among the kernels: it stores a part of what later ones read
} Draft;

typedef struct Lowering {
    KernelProgram *program;
    Graph *graph;
    ExtentTable *extents;
    Arena *arena;
    NodeState ***pages;   // by node id, in pages; made when asked for
    int page_count;
    KernelArray *kernels;             // where finished kernels go: the program's, or a loop's body
    int first_kernel, first_buffer;   // of those made here
    ARRAY(Draft *) drafts;
    ARRAY(Root) roots;
    bool copies;          // what goes over leaves is computed elsewhere before
    int in_place_start;   // drafts before this one run before any leaf changes, but for products that update one
    bool *updated;        // by buffer id: it is a leaf's, and a result goes over it; NULL: none was placed yet
    Draft *
        *last_readers;   // by buffer id, up to reader_count: the last kernel that reads it, before results go over it
    int reader_count;
    int loop_axis_count;   // enclosing loops: every kernel's axes begin with them
    Axis loop_axes[MAX_AXES];
} Lowering;

// ---- index.c
Affine affine_constant(const Lowering *lowering, const Extent *base);
Affine affine_axis(const Lowering *lowering, int axis);
Affine affine_add(const Lowering *lowering, const Affine *a, const Affine *b);
Affine affine_scale(const Lowering *lowering, const Affine *a, const Extent *factor);
bool affine_equal(const Affine *a, const Affine *b);
// Row-major position of `index` in an array of `shape`.
Affine affine_linear(const Lowering *lowering, const Affine *index, const Extent *const *shape, int rank);
// The index into view->inputs[0] that `index` into the view means. False: a reshape that would split an axis.
bool view_index(const Lowering *lowering, const Node *view, const Affine *index, Affine *inner);
bool reshape_merges(const Lowering *lowering, const Node *reshape);

// ---- roots.c
NodeState *node_state(Lowering *lowering, const Node *node);
Node *below_reshapes(Node *node);   // what has the buffer that a reshape reads
void find_roots(Lowering *lowering, NodeArray nodes);
// The labels of operand 0 or 1.
void contract_labels(const Node *contract, int which, int *labels);
bool reduces_rows(const Node *reduce);   // over trailing axes
// What a reduction reads: its input, with several trailing axes as one.
Node *reduce_input(Lowering *lowering, const Node *reduce);
// The vector axis. It must belong to the right operand.
typedef struct {
    int label;      // of the result's axis that vectors run along; -1: it has none of one operand alone
    bool of_left;   // it is operand 0's: the operands change places
} Columns;
Columns contract_columns(const Node *contract);
bool is_fusible(const Node *node);     // map, view or leaf op that is computed where it is read
bool is_expensive(const Node *node);   // worth a buffer when several kernels need it
Buffer *add_buffer(Lowering *lowering, Dtype dtype, Space space, int index, const Extent *offset,
                   const Extent *elements, const char *name);
Buffer *add_scratch(Lowering *lowering, const Node *node);

// ---- value.c
int lower_value(Lowering *lowering, Draft *draft, Node *node, const Affine *index);
int add_instruction(Lowering *lowering, Draft *draft, const Instruction *instruction);
void remember(Lowering *lowering, Draft *draft, const Node *node, const Affine *index, int instruction);
void store_root(Lowering *lowering, Draft *draft, const Root *root, int value, int domain);
// The same, at the element `index`.
void store_at(Lowering *lowering, Draft *draft, const Root *root, int value, const Affine *index);
void domain_index(const Lowering *lowering, const Draft *draft, int domain, Affine *index);

// ---- fuse.c
Draft *new_draft(Lowering *lowering, KernelKind kind, const Node *node);
Draft *new_map_draft(Lowering *lowering, const Node *node);   // an elementwise one over the node's shape
// The elementwise root's kernel, and over which of its domains: one that it may join, or a new one.
Draft *map_draft(Lowering *lowering, const Root *root, int *domain);
int add_axis(Draft *draft, AxisRole role, const Extent *extent);
void place_root(Lowering *lowering, const Root *root);
bool is_open(const Lowering *lowering, const Draft *draft, const Root *root);   // may it take the root?
// Whether `draft` can compute `node` at `index` from what lies ready and what it has at hand.
bool can_read(Lowering *lowering, const Draft *draft, Node *node, const Affine *index);

// ---- turn.c
// Has a product's kernel store the root if that is the product with its axes in another order. False: it is not.
bool place_turned(Lowering *lowering, const Root *root);

// ---- inplace.c
// Before the first root that goes over a leaf is placed, after all others.
void begin_updates(Lowering *lowering);
// Whether the product's kernel may store over `target`, a leaf, and then has to stand behind those that read it.
bool can_update(const Lowering *lowering, const Draft *draft, const Buffer *target);
void run_after_readers(Lowering *lowering, Draft *draft, const Buffer *target);
// Whether a store over a leaf comes before a load that needs what was there.
bool has_hazard(const Lowering *lowering);

// ---- scatter.c
Draft *fill_zero(Lowering *lowering, const Root *root);
void place_pad(Lowering *lowering, const Root *root);
void place_scatter(Lowering *lowering, const Root *root);
void place_sort(Lowering *lowering, const Root *root);

// ---- join.c
// Marks among the nodes, whose users are counted, those that are put together from parts, and their parts.
void find_joined(Lowering *lowering, NodeArray nodes);
void place_joined(Lowering *lowering, const Root *root);

// ---- loop.c
// What has the buffer that a loop goes over for this sequence: that of the sequence, or if it is a part of the elements
// of axis 0 of another tensor, or these from the last to the first, of that one.
Node *below_sequence(Node *sequence);
void lower_loop(Lowering *lowering, Node *loop);

// ---- shapes.c
void tidy_kernels(Lowering *lowering);

// ---- program.c
// Notes for each node the root that is its own; after that, a further root of such a node may become it (true).
void find_homes(Lowering *lowering);
bool give_home(Lowering *lowering, const Root *root);
// Lowers what `roots` ask for, with leaves already in `states`.
void lower_roots(Lowering *lowering);

#endif
