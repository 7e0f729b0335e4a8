// Which kernel computes which root.
//
// Roots come in topological order. A root joins the kernel that computes the last of its inputs, or one of the few
// after it, if that kernel runs over the same domain and everything that the root reads is either computed by an
// earlier kernel or by this one at the very same element. Else it starts a kernel. So chains fuse, several reductions
// over a row meet in one kernel, contractions get their epilogues, and the updates of all optimizer states are one.
#include "kernels/lowering.h"

#include <assert.h>
#include <string.h>

enum { CANDIDATES = 6, MAX_INSTRUCTIONS = 400 };

Draft *new_draft(Lowering *lowering, KernelKind kind, const Node *node) {
    Kernel *kernel = arena_new(lowering->arena, Kernel);
    kernel->kind = kind;
    kernel->id = lowering->kernels->count;
    kernel->name = node->name ? node->name : op_name(node->op);
    kernel->span = node->span;
    for (int i = 0; i < lowering->loop_axis_count; i++) kernel->axes[i] = lowering->loop_axes[i];
    kernel->axis_count = lowering->loop_axis_count;
    Draft *draft = arena_new(lowering->arena, Draft);
    draft->kernel = kernel;
    draft->position = lowering->drafts.count;
    draft->domain_rank[0] = draft->domain_rank[1] = -1;
    array_push(lowering->arena, lowering->kernels, kernel);
    array_push(lowering->arena, &lowering->drafts, draft);
    return draft;
}

int add_axis(Draft *draft, AxisRole role, const Extent *extent) {
    Kernel *kernel = draft->kernel;
    assert(kernel->axis_count < MAX_AXES);
    kernel->axes[kernel->axis_count] = (Axis){role, extent};
    return kernel->axis_count++;
}

// ---- may it join?

typedef struct {
    Memo *memo[MEMO_BUCKETS];
} Visited;

static bool visit(Lowering *lowering, Visited *visited, const Node *node, const Affine *index) {
    Memo **bucket = &visited->memo[(unsigned)node->id % MEMO_BUCKETS];
    for (const Memo *memo = *bucket; memo; memo = memo->next) {
        bool same = memo->node == node;
        for (int i = 0; same && i < node->rank; i++) same = affine_equal(&memo->index[i], &index[i]);
        if (same) return false;
    }
    Memo *memo = arena_allocate(lowering->arena, sizeof(Memo) + sizeof(Affine) * (size_t)node->rank);
    memo->node = node;
    memcpy(memo->index, index, sizeof *index * (size_t)node->rank);
    memo->next = *bucket;
    *bucket = memo;
    return true;
}

// Can `draft` read `node` at `index`?
static bool readable(Lowering *lowering, Visited *visited, const Draft *draft, Node *node, const Affine *index) {
    if (!visit(lowering, visited, node, index)) return true;
    const NodeState *state = node_state(lowering, node);
    if (state->buffer && state->draft != draft) return !state->draft || state->draft->position < draft->position;
    if (state->buffer) {
        if (state->instruction < 0 || draft->domain_rank[state->domain] != node->rank) return false;
        Affine own[MAX_RANK];
        domain_index(lowering, draft, state->domain, own);
        for (int i = 0; i < node->rank; i++)
            if (!affine_equal(&own[i], &index[i])) return false;
        return true;
    }
    if (!is_fusible(node)) return node->op == OP_variable;
    Affine inner[MAX_RANK];
    if (op_class(node->op) == CLASS_VIEW) {
        const NodeState *below = node_state(lowering, below_reshapes(node));
        if (node->op == OP_reshape && below->buffer && below->draft != draft)
            return !below->draft || below->draft->position < draft->position;
        bool affine = view_index(lowering, node, index, inner);
        return affine && readable(lowering, visited, draft, node->inputs[0], inner);
    }
    if (node->op == OP_gather) {
        const NodeState *table = node_state(lowering, below_reshapes(node->inputs[0]));
        bool earlier = table->draft != draft && (!table->draft || table->draft->position < draft->position);
        return earlier && readable(lowering, visited, draft, node->inputs[1], index);
    }
    for (int i = 0; i < node->input_count; i++)
        if (!readable(lowering, visited, draft, node->inputs[i], index)) return false;
    return true;
}

bool can_read(Lowering *lowering, const Draft *draft, Node *node, const Affine *index) {
    Visited visited = {0};
    return readable(lowering, &visited, draft, node, index);
}

static int last_input_draft(Lowering *lowering, Visited *visited, const Node *node) {
    int last = -1;
    Affine none[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++) none[i] = affine_constant(lowering, NULL);
    for (int i = 0; i < node->input_count; i++) {
        Node *input = node->inputs[i];
        const NodeState *state = node_state(lowering, input);
        int position = -1;
        if (state->buffer) position = state->draft ? state->draft->position : -1;
        else if (is_fusible(input) && visit(lowering, visited, input, none))
            position = last_input_draft(lowering, visited, input);
        if (position > last) last = position;
    }
    return last;
}

static bool covers(const Draft *draft, int domain, const Node *node) {
    if (draft->domain_rank[domain] != node->rank) return false;
    for (int i = 0; i < node->rank; i++)
        if (draft->kernel->axes[draft->domain[domain][i]].extent != node->shape[i]) return false;
    return true;
}

bool is_open(const Lowering *lowering, const Draft *draft, const Root *root) {
    if (draft->closed || draft->position < root->first_draft) return false;
    if (draft->kernel->instructions.count > MAX_INSTRUCTIONS) return false;
    if (!root->in_place) return true;
    bool last = draft->position >= lowering->in_place_start && draft->kernel->kind != KERNEL_CONTRACT;
    return last || can_update(lowering, draft, root->buffer);
}

typedef bool JoinTest(Lowering *lowering, Draft *draft, const Root *root, int *domain);

// The kernel that `root` joins: that of its last input, or one of the last few.
static Draft *find_draft(Lowering *lowering, const Root *root, JoinTest *test, int *domain) {
    Visited visited = {0};
    const NodeState *own = node_state(lowering, root->node);
    int producer =
        own->buffer ? (own->draft ? own->draft->position : -1) : last_input_draft(lowering, &visited, root->node);
    int last = lowering->drafts.count - 1;
    if (producer >= 0 && is_open(lowering, lowering->drafts.items[producer], root) &&
        test(lowering, lowering->drafts.items[producer], root, domain))
        return lowering->drafts.items[producer];
    for (int i = last; i > producer && i > last - CANDIDATES; i--) {
        Draft *draft = lowering->drafts.items[i];
        if (is_open(lowering, draft, root) && test(lowering, draft, root, domain)) return draft;
    }
    return NULL;
}

// ---- elementwise roots

static bool map_joins(Lowering *lowering, Draft *draft, const Root *root, int *domain) {
    for (*domain = 0; *domain < 2; ++*domain) {
        if (!covers(draft, *domain, root->node)) continue;
        Affine index[MAX_RANK];
        domain_index(lowering, draft, *domain, index);
        if (can_read(lowering, draft, root->node, index)) return true;
    }
    return false;
}

Draft *new_map_draft(Lowering *lowering, const Node *node) {
    Draft *draft = new_draft(lowering, KERNEL_MAP, node);
    draft->domain_rank[0] = node->rank;
    for (int i = 0; i < node->rank; i++) draft->domain[0][i] = add_axis(draft, AXIS_PARALLEL, node->shape[i]);
    return draft;
}

Draft *map_draft(Lowering *lowering, const Root *root, int *domain) {
    *domain = 0;
    Draft *draft = find_draft(lowering, root, map_joins, domain);
    if (draft) return draft;
    *domain = 0;
    return new_map_draft(lowering, root->node);
}

static void place_map(Lowering *lowering, const Root *root) {
    int domain;
    Node *node = root->node;
    Draft *draft = map_draft(lowering, root, &domain);
    bool product = draft->kernel->kind == KERNEL_CONTRACT;
    if (root->in_place && product) run_after_readers(lowering, draft, root->buffer);
    Affine index[MAX_RANK];
    domain_index(lowering, draft, domain, index);
    int value = lower_value(lowering, draft, node, index);
    if (node->name && !(root->in_place && product)) draft->kernel->name = node->name;
    store_root(lowering, draft, root, value, domain);
}

// ---- reductions

static bool is_reduced(const Node *reduce, int axis) {
    for (int i = 0; i < reduce->attribute_count; i++)
        if (attribute_integer(reduce, i) == axis) return true;
    return false;
}

static bool reads_input(Lowering *lowering, Draft *draft, Node *x) {
    Affine index[MAX_RANK];
    domain_index(lowering, draft, 0, index);
    return can_read(lowering, draft, x, index);
}

// More would only crowd the registers; reductions of a kernel are counted in code generation, too.
static bool has_room(const Draft *draft) {
    int count = 0;
    for (int i = 0; i < draft->kernel->instructions.count; i++)
        count += draft->kernel->instructions.items[i].kind == INSTRUCTION_REDUCE;
    return count < MAX_REDUCTIONS;
}

static bool row_joins(Lowering *lowering, Draft *draft, const Root *root, int *domain) {
    Node *x = reduce_input(lowering, root->node);
    *domain = 1;
    bool kind = draft->kernel->kind == KERNEL_ROW || draft->kernel->kind == KERNEL_MAP;
    return kind && has_room(draft) && covers(draft, 0, x) && reads_input(lowering, draft, x);
}

static bool column_joins(Lowering *lowering, Draft *draft, const Root *root, int *domain) {
    *domain = 1;
    const Node *x = root->node->inputs[0];
    if (draft->kernel->kind != KERNEL_COLUMN || !has_room(draft) || !covers(draft, 0, x)) return false;
    for (int i = 0; i < x->rank; i++) {
        bool column = draft->kernel->axes[draft->domain[0][i]].role == AXIS_COLUMN;
        if (column != is_reduced(root->node, i)) return false;
    }
    return reads_input(lowering, draft, root->node->inputs[0]);
}

// A row kernel over x; or the map kernel over the same domain, from now on one.
static Draft *row_draft(Lowering *lowering, const Root *root, const Node *x) {
    int domain;
    Draft *draft = find_draft(lowering, root, row_joins, &domain);
    if (!draft) {
        draft = new_draft(lowering, KERNEL_ROW, root->node);
        for (int i = 0; i < x->rank; i++)
            draft->domain[0][i] = add_axis(draft, i < x->rank - 1 ? AXIS_PARALLEL : AXIS_ROW, x->shape[i]);
    }
    Kernel *kernel = draft->kernel;
    kernel->kind = KERNEL_ROW;
    kernel->axes[kernel->axis_count - 1].role = AXIS_ROW;
    draft->domain_rank[0] = x->rank;
    draft->domain_rank[1] = x->rank - 1;
    memcpy(draft->domain[1], draft->domain[0], sizeof draft->domain[0]);
    return draft;
}

static Draft *column_draft(Lowering *lowering, const Root *root, const Node *x) {
    int domain;
    Draft *draft = find_draft(lowering, root, column_joins, &domain);
    if (draft) return draft;
    draft = new_draft(lowering, KERNEL_COLUMN, root->node);
    draft->domain_rank[0] = x->rank;
    draft->domain_rank[1] = 0;
    for (int i = 0; i < x->rank; i++)
        if (!is_reduced(root->node, i)) {
            draft->domain[0][i] = add_axis(draft, AXIS_PARALLEL, x->shape[i]);
            draft->domain[1][draft->domain_rank[1]++] = draft->domain[0][i];
        }
    for (int i = 0; i < x->rank; i++)
        if (is_reduced(root->node, i)) draft->domain[0][i] = add_axis(draft, AXIS_COLUMN, x->shape[i]);
    return draft;
}

static void place_reduce(Lowering *lowering, const Root *root) {
    Node *node = root->node;
    bool suffix = reduces_rows(node);
    Node *x = reduce_input(lowering, node);
    Draft *draft = suffix ? row_draft(lowering, root, x) : column_draft(lowering, root, x);
    Affine index[MAX_RANK];
    domain_index(lowering, draft, 0, index);
    Instruction instruction = {.kind = INSTRUCTION_REDUCE, .op = node->op, .dtype = node->dtype, .node = node};
    instruction.affine = affine_constant(lowering, NULL);
    instruction.operands[0] = lower_value(lowering, draft, x, index);
    instruction.operands[1] = instruction.operands[2] = -1;
    int value = add_instruction(lowering, draft, &instruction);
    store_root(lowering, draft, root, value, 1);
}

// ---- contractions

typedef struct {
    int label, axis;
} LabelAxis;

static int axis_of(const LabelAxis *axes, int count, int label) {
    for (int i = 0; i < count; i++)
        if (axes[i].label == label) return axes[i].axis;
    return -1;
}

static bool has_label(const int *labels, int rank, int label) {
    for (int i = 0; i < rank; i++)
        if (labels[i] == label) return true;
    return false;
}

typedef struct {
    Node *node[2];   // lhs, rhs
    int labels[2][MAX_RANK];
    const int *result;
    int columns;   // the label of the vector axis
} Operands;

static AxisRole role_of(const Operands *operands, int label) {
    bool left = has_label(operands->labels[0], operands->node[0]->rank, label);
    bool right = has_label(operands->labels[1], operands->node[1]->rank, label);
    return left && right ? AXIS_PARALLEL : left ? AXIS_M : AXIS_N;
}

// The vector axis comes last among its kind.
static void add_contract_axes(Lowering *lowering, Draft *draft, const Operands *operands, const Node *node,
                              LabelAxis *axes, int *axis_count) {
    static const struct {
        AxisRole role;
        bool columns;
    } kinds[] = {{AXIS_PARALLEL, false}, {AXIS_M, false}, {AXIS_N, false}, {AXIS_N, true}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int added = 0;
        for (int i = 0; i < node->rank; i++) {
            int label = operands->result[i];
            bool columns = label == operands->columns;
            if (role_of(operands, label) != kinds[k].role || columns != kinds[k].columns) continue;
            axes[*axis_count].label = label;
            axes[(*axis_count)++].axis = draft->domain[0][i] = add_axis(draft, kinds[k].role, node->shape[i]);
            added++;
        }
        bool needed = kinds[k].role == AXIS_M || kinds[k].columns;
        if (!added && needed) add_axis(draft, kinds[k].role, extent_constant(lowering->extents, 1));
    }
    int added = 0;
    const Node *left = node->inputs[0];   // the order of the sum is that of the first operand's axes
    for (int i = 0; i < left->rank; i++) {
        int label = attribute_integer(node, 2 + i);
        if (has_label(operands->result, node->rank, label)) continue;
        axes[*axis_count].label = label;
        axes[(*axis_count)++].axis = add_axis(draft, AXIS_K, left->shape[i]);
        added++;
    }
    if (!added) add_axis(draft, AXIS_K, extent_constant(lowering->extents, 1));
}

static void place_contract(Lowering *lowering, const Root *root) {
    Node *node = root->node;
    int result[MAX_RANK], x_rank = attribute_integer(node, 0), y_rank = attribute_integer(node, 1);
    for (int i = 0; i < node->rank; i++) result[i] = attribute_integer(node, 2 + x_rank + y_rank + i);
    Columns columns = contract_columns(node);
    Operands operands = {.result = result, .columns = columns.label};
    for (int which = 0; which < 2; which++) {
        int place = columns.of_left ? !which : which;
        operands.node[place] = node->inputs[which];
        contract_labels(node, which, operands.labels[place]);
    }
    Draft *draft = new_draft(lowering, KERNEL_CONTRACT, node);
    draft->domain_rank[0] = node->rank;
    LabelAxis axes[MAX_AXES];
    int axis_count = 0;
    add_contract_axes(lowering, draft, &operands, node, axes, &axis_count);
    Instruction instruction = {.kind = INSTRUCTION_CONTRACT, .op = node->op, .dtype = node->dtype, .node = node};
    instruction.affine = affine_constant(lowering, NULL);
    instruction.operands[2] = -1;
    for (int which = 0; which < 2; which++) {
        Affine index[MAX_RANK];
        for (int i = 0; i < operands.node[which]->rank; i++) {
            int axis = axis_of(axes, axis_count, operands.labels[which][i]);
            bool single = extent_is(draft->kernel->axes[axis].extent, 1);
            index[i] = single ? affine_constant(lowering, NULL) : affine_axis(lowering, axis);
        }
        instruction.operands[which] = lower_value(lowering, draft, operands.node[which], index);
    }
    int value = add_instruction(lowering, draft, &instruction);
    store_root(lowering, draft, root, value, 0);
}

// ---- all of them

void place_root(Lowering *lowering, const Root *root) {
    const Node *node = root->node;
    if (!root->whole) place_map(lowering, root);   // a further copy of what has a buffer, or of a leaf
    else if (node_state(lowering, node)->joined) place_joined(lowering, root);
    else if (place_turned(lowering, root)) return;
    else if (op_class(node->op) == CLASS_REDUCE) place_reduce(lowering, root);
    else if (node->op == OP_contract) place_contract(lowering, root);
    else if (node->op == OP_pad) place_pad(lowering, root);
    else if (node->op == OP_scatter_add) place_scatter(lowering, root);
    else if (node->op == OP_argsort) place_sort(lowering, root);
    else if (node->op == OP_loop) lower_loop(lowering, root->node);
    else place_map(lowering, root);
}
