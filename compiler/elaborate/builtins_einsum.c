// Builtins that are products over named axes: matmul and einsum.
#include "elaborate/builtins.h"

#include <string.h>

Value builtin_matmul(const BuiltinCall *call) {
    return matmul(call->e, call->values[0], call->values[1], call->span);
}

// ---- the equation

enum { OPERANDS = 3, LETTERS = 26, ELLIPSIS = LETTERS, LABELS = LETTERS + MAX_RANK };

// The labels of the axes of an operand or of the result: letters, or axes that an ellipsis stands for, counted from the
// right: ELLIPSIS + 0 is the last.
typedef struct {
    int labels[MAX_RANK];
    int rank;
    int ellipsis;   // where it stands among the letters; -1: there is none
} Labels;

typedef struct {
    Labels operands[OPERANDS], result;
    int count;
    bool has_result;
} Equation;

// "ij,jk->ik". Without an arrow the result has the ellipsis and then the letters that stand once, in the alphabet's order.
static bool parse_equation(const char *text, Equation *equation) {
    int operand = 0;
    Labels *into = &equation->operands[0];
    for (int i = 0; i < OPERANDS; i++) equation->operands[i] = (Labels){.ellipsis = -1};
    equation->result = (Labels){.ellipsis = -1};
    for (; *text; text++) {
        if (*text == ' ') continue;
        if (*text == ',' && !equation->has_result && ++operand < OPERANDS) into = &equation->operands[operand];
        else if (!strncmp(text, "->", 2) && !equation->has_result) {
            equation->has_result = true;
            into = &equation->result;
            text++;
        } else if (!strncmp(text, "...", 3) && into->ellipsis < 0) {
            into->ellipsis = into->rank;
            text += 2;
        } else if (*text >= 'a' && *text <= 'z' && into->rank < MAX_RANK) into->labels[into->rank++] = *text - 'a';
        else return false;
    }
    return operand == equation->count - 1;
}

static bool spread_ellipsis(Labels *term, int axes) {
    if (term->ellipsis < 0) return axes == 0;
    if (axes < 0 || term->rank + axes > MAX_RANK) return false;
    for (int i = term->rank - 1; i >= term->ellipsis; i--) term->labels[i + axes] = term->labels[i];
    for (int i = 0; i < axes; i++) term->labels[term->ellipsis + i] = ELLIPSIS + axes - 1 - i;
    term->rank += axes;
    return true;
}

static int label_at(const Labels *term, int label) {
    for (int i = 0; i < term->rank; i++)
        if (term->labels[i] == label) return i;
    return -1;
}

static void infer_result(Equation *equation, int ellipsis_axes) {
    int uses[LETTERS] = {0};
    Labels *result = &equation->result;
    for (int i = 0; i < equation->count; i++)
        for (int k = 0; k < equation->operands[i].rank; k++)
            if (equation->operands[i].labels[k] < LETTERS) uses[equation->operands[i].labels[k]]++;
    for (int i = ellipsis_axes - 1; i >= 0; i--) result->labels[result->rank++] = ELLIPSIS + i;
    for (int label = 0; label < LETTERS; label++)
        if (uses[label] == 1 && result->rank < MAX_RANK) result->labels[result->rank++] = label;
}

static bool is_known(const Equation *equation, int label) {
    for (int i = 0; i < equation->count; i++)
        if (label_at(&equation->operands[i], label) >= 0) return true;
    return false;
}

// Gives every axis its label. False: the equation does not fit the operands.
static bool label_axes(Equation *equation, Node *const *nodes) {
    int ellipsis_axes = 0;
    for (int i = 0; i < equation->count; i++) {
        Labels *term = &equation->operands[i];
        int axes = nodes[i]->rank - term->rank;
        if (!spread_ellipsis(term, axes)) return false;
        if (axes > ellipsis_axes) ellipsis_axes = axes;
    }
    Labels *result = &equation->result;
    if (!equation->has_result) infer_result(equation, ellipsis_axes);
    else if (result->ellipsis >= 0 && !spread_ellipsis(result, ellipsis_axes)) return false;
    for (int i = 0; i < result->rank; i++)
        if (!is_known(equation, result->labels[i]) || label_at(result, result->labels[i]) != i) return false;
    return true;
}

// ---- sizes

static bool axes_differ(const BuiltinCall *call, Node *const *nodes, int first, int second, int label) {
    Shape left = shape_of(nodes[first]), right = shape_of(nodes[second]);
    const char *axes = label < LETTERS ? arena_print(call->e->arena, "the axes '%c'", 'a' + label) : "axes of '...'";
    report(call->e, D_einsum_sizes, call->span, "shapes cannot be multiplied: in %s and %s %s differ",
           describe_shape(call->e, &left), describe_shape(call->e, &right), axes);
    return false;
}

// Every label has one size; axes of an ellipsis may also have one element, which is repeated: these are dropped.
static bool unify_sizes(const BuiltinCall *call, Equation *equation, Node **nodes) {
    const Extent *sizes[LABELS] = {0};
    int owner[LABELS];
    for (int i = 0; i < equation->count; i++)
        for (int k = 0; k < nodes[i]->rank; k++) {
            int label = equation->operands[i].labels[k];
            const Extent *size = nodes[i]->shape[k];
            bool repeats = label >= LETTERS && (extent_is(size, 1) || (sizes[label] && extent_is(sizes[label], 1)));
            if (sizes[label] && sizes[label] != size && !repeats)
                return axes_differ(call, nodes, owner[label], i, label);
            if (sizes[label] && extent_is(size, 1)) continue;
            sizes[label] = size;
            owner[label] = i;
        }
    for (int i = 0; i < equation->count; i++) {
        Labels *term = &equation->operands[i];
        Shape shape = {0};
        int kept = 0;
        for (int k = 0; k < term->rank; k++) {
            int label = term->labels[k];
            if (nodes[i]->shape[k] != sizes[label]) continue;
            shape.extents[shape.rank++] = sizes[label];
            term->labels[kept++] = label;
        }
        term->rank = kept;
        nodes[i] = reshape(call->e->graph, nodes[i], shape.extents, shape.rank);
    }
    return true;
}

// ---- the product

// Axes `first` and `second` as one: the elements where both indices are equal.
static Node *take_diagonal(Elaborator *e, Node *x, int first, int second) {
    Graph *graph = e->graph;
    const Extent *const *shape = (const Extent *const *)x->shape;
    Node *i = iota(graph, DTYPE_I64, shape, x->rank, first), *k = iota(graph, DTYPE_I64, shape, x->rank, second);
    Node *only = map3(graph, OP_where, map2(graph, OP_equal, i, k), x, constant_like(graph, x, 0));
    return reduce(graph, OP_reduce_sum, only, &second, 1);
}

static Node *join_repeated(Elaborator *e, Node *x, Labels *term) {
    for (int i = 0; i < term->rank; i++) {
        int first = label_at(term, term->labels[i]);
        if (first == i) continue;
        x = take_diagonal(e, x, first, i);
        term->rank--;
        for (int k = i; k < term->rank; k++) term->labels[k] = term->labels[k + 1];
        i--;
    }
    return x;
}

// Sums over the labels that neither `other` (NULL: there is none) nor a later operand nor the result has.
static Node *sum_private(Elaborator *e, Node *x, Labels *term, const Labels *other, const bool *later) {
    int axes[MAX_RANK], count = 0, kept = 0;
    for (int i = 0; i < term->rank; i++) {
        int label = term->labels[i];
        if (later[label] || (other && label_at(other, label) >= 0)) term->labels[kept++] = label;
        else axes[count++] = i;
    }
    term->rank = kept;
    return reduce(e->graph, OP_reduce_sum, x, axes, count);
}

// The labels that what comes behind operand `number` needs.
static void mark_later(const Equation *equation, int number, bool *later) {
    memset(later, 0, sizeof *later * LABELS);
    for (int i = number + 1; i < equation->count; i++)
        for (int k = 0; k < equation->operands[i].rank; k++) later[equation->operands[i].labels[k]] = true;
    for (int k = 0; k < equation->result.rank; k++) later[equation->result.labels[k]] = true;
}

// What a product of the first operands keeps: in the last one the result's labels, else all that are needed later.
static bool kept_labels(const Equation *equation, int number, const Labels *x, const Labels *y, const bool *later,
                        Labels *kept) {
    *kept = equation->result;
    if (number == equation->count - 1) return true;
    kept->rank = 0;
    for (int i = 0; i < x->rank + y->rank; i++) {
        int label = i < x->rank ? x->labels[i] : y->labels[i - x->rank];
        if (!later[label] || label_at(kept, label) >= 0) continue;
        if (kept->rank == MAX_RANK) return false;
        kept->labels[kept->rank++] = label;
    }
    return true;
}

// contract's labels are below 26.
static void renumber(const Labels *term, int *numbers, int *count, int *labels) {
    for (int i = 0; i < term->rank; i++) {
        int *number = &numbers[term->labels[i]];
        if (*number < 0) *number = (*count)++;
        labels[i] = *number;
    }
}

static Node *multiply(Elaborator *e, Node *x, const Labels *x_term, Node *y, const Labels *y_term,
                      const Labels *result) {
    int numbers[LABELS], labels[3][MAX_RANK], count = 0;
    for (int i = 0; i < LABELS; i++) numbers[i] = -1;
    renumber(x_term, numbers, &count, labels[0]);
    renumber(y_term, numbers, &count, labels[1]);
    renumber(result, numbers, &count, labels[2]);
    return contract(e->graph, x, y, labels[0], labels[1], labels[2], result->rank);
}

static Value product_of(const BuiltinCall *call, Equation *equation, Node **nodes) {
    Elaborator *e = call->e;
    bool later[LABELS];
    for (int i = 0; i < equation->count; i++) nodes[i] = join_repeated(e, nodes[i], &equation->operands[i]);
    Labels x = equation->operands[0];
    Node *node = nodes[0];
    for (int i = 1; i < equation->count; i++) {
        Labels y = equation->operands[i], kept;
        mark_later(equation, i, later);
        node = sum_private(e, node, &x, &y, later);
        Node *other = sum_private(e, nodes[i], &y, &x, later);
        if (!kept_labels(equation, i, &x, &y, later, &kept))
            return failure(e, D_too_many_axes, call->span, "tensors have at most %d axes", MAX_RANK);
        node = multiply(e, node, &x, other, &y, &kept);
        x = kept;
    }
    mark_later(equation, equation->count - 1, later);
    node = sum_private(e, node, &x, NULL, later);
    int order[MAX_RANK];
    for (int i = 0; i < equation->result.rank; i++) order[i] = label_at(&x, equation->result.labels[i]);
    return value_tensor(transpose(e->graph, node, order));
}

// The operands, of one dtype. False: reported.
static bool read_operands(const BuiltinCall *call, Equation *equation, Node **nodes) {
    Elaborator *e = call->e;
    Value values[OPERANDS];
    Dtype dtype;
    bool weak;
    equation->count = call->given[3] ? 3 : call->given[2] ? 2 : 1;
    for (int i = 0; i < equation->count; i++) values[i] = settle(e, call->values[1 + i], call->spans[1 + i]);
    if (!promote(e, call->span, values, equation->count, &dtype, &weak)) return false;
    if (weak) dtype = dtype_is_float(dtype) ? e->frame->floating : DTYPE_I32;
    if (dtype == DTYPE_BOOL) {
        failure(e, D_bool_arithmetic, call->span, "'einsum' takes numbers, not bools");
        return false;
    }
    for (int i = 0; i < equation->count; i++)
        if (!(nodes[i] = as_dtype(e, values[i], dtype, call->spans[1 + i]))) return false;
    return true;
}

Value builtin_einsum(const BuiltinCall *call) {
    Elaborator *e = call->e;
    Equation equation = {.count = 0};
    Node *nodes[OPERANDS];
    if (call->values[0].kind != VALUE_STRING)
        return failure(e, D_einsum_equation, call->spans[0], "'einsum' takes an equation such as \"ij,jk->ik\" first");
    if (call->given[3] && !call->given[2])
        return failure(e, D_einsum_equation, call->span, "'einsum' is given its third operand, but not its second");
    if (!read_operands(call, &equation, nodes)) return no_value();
    if (parse_equation(call->values[0].string, &equation) && label_axes(&equation, nodes))
        return unify_sizes(call, &equation, nodes) ? product_of(call, &equation, nodes) : no_value();
    Text ranks = {.arena = e->arena};
    for (int i = 0; i < equation.count; i++) text_add(&ranks, i ? ", %d" : "%d", nodes[i]->rank);
    failure(e, D_einsum_equation, call->spans[0], "the equation \"%s\" does not fit %d operand%s of %s axes",
            call->values[0].string, equation.count, equation.count == 1 ? "" : "s", ranks.bytes);
    help(e, "each axis has a letter, or is one of an operand's '...'; the result's stand in an operand, each once");
    return no_value();
}
