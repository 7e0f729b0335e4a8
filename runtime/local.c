// What of a file a field reads: which columns of a table; and whether each of its rows is made of the same row of the
// file, so that some rows can be computed without the others and come out with the same bits.
#include "runtime/data.h"
#include "graph/rewrite.h"

#include <stdlib.h>
#include <string.h>

// The nodes that the field is made of, ascending by id: inputs before users.
static NodeArray nodes_of(const DataSet *data, const DataField *field) {
    Graph graph = *data->program->program->graph;
    graph.arena = data->arena;   // the list lives as long as the data, and memory that runs out is noticed there
    return reachable(&graph, &field->value.results[0].node, 1);
}

// ---- columns

static void mark_slice(const DataSet *data, const Node *slice, int64_t width, bool *used) {
    int64_t start = extent_evaluate(slice->attributes[2], data->dims, NULL);
    int64_t step = extent_evaluate(slice->attributes[3], data->dims, NULL);
    int64_t count = extent_evaluate(slice->shape[1], data->dims, NULL);
    for (int64_t i = 0, at = start; i < count; i++, at += step)
        if (at >= 0 && at < width) used[at] = true;
}

void mark_columns(const DataSet *data, const DataField *field, int64_t width, bool *used) {
    const Node *all = data->block->feeds.items[0].variable;
    NodeArray nodes = nodes_of(data, field);
    bool whole = field->value.results[0].node == all;
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        for (int k = 0; k < node->input_count; k++) {
            if (node->inputs[k] != all) continue;
            if (node->op == OP_slice) mark_slice(data, node, width, used);
            else whole = true;
        }
    }
    for (int64_t i = 0; i < width && whole; i++) used[i] = true;
}

static bool only_same(const DataSet *data, const DataField *field, const Entry *entry) {
    int64_t width = data->feeds[0].width;
    bool *own = arena_array(data->arena, bool, width + 1), *inputs = arena_array(data->arena, bool, width + 1);
    if (!data->feeds[0].found) return false;
    for (int i = 0; i < data->field_count; i++)
        if (entry_takes(entry, data->fields[i].field->name)) mark_columns(data, data->fields[i].field, width, inputs);
    mark_columns(data, field, width, own);
    bool some = false;
    for (int64_t i = 0; i < width; i++) {
        if (own[i] && !inputs[i]) return false;
        some = some || own[i];
    }
    return some;
}

gradc_status reads_inputs_columns(const DataSet *data, const DataField *field, const Entry *entry, bool *same) {
    if (setjmp(*arena_recover(data->arena))) return fail_memory(data->program);
    *same = only_same(data, field, entry);
    return GRADC_OK;
}

// ---- rows

// How a value hangs together with the rows: not at all; its row i with row i alone; or in some other way.
typedef enum { WAY_CONSTANT, WAY_ROW, WAY_OTHER } Way;

typedef struct {
    const Extent *rows;
    const Node *node;
    const Way *inputs;   // of the node
} Step;

static bool has_rows(const Step *step, const Node *node, int from) {
    for (int i = from; i < node->rank; i++)
        if (node->shape[i] == step->rows) return true;
    return false;
}

// Whether the node has the rows on its first axis and on no other.
static bool rows_first(const Step *step, const Node *node) {
    return node->rank && node->shape[0] == step->rows && !has_rows(step, node, 1);
}

// Values made of nothing, and of what is not of the rows: they may still be as many as there are rows.
static Way constant_way(const Step *step) {
    const Node *node = step->node;
    if (!has_rows(step, node, 0)) return node->op == OP_extent ? WAY_OTHER : WAY_CONSTANT;
    bool same = node->op == OP_broadcast || (node->op == OP_iota && attribute_integer(node, 0) != 0);
    return same && rows_first(step, node) ? WAY_ROW : WAY_OTHER;
}

static bool keeps_first_axis(const Node *node) {
    int64_t start;
    if (node->op == OP_transpose) return attribute_integer(node, 0) == 0;
    if (node->op == OP_broadcast) return attribute_integer(node, 0) == 0;
    if (node->op == OP_slice || node->op == OP_pad)
        return extent_is_constant(node->attributes[0], &start) && start == 0 && attribute_integer(node, 1) == 1;
    if (node->op == OP_window || node->op == OP_fold) return attribute_integer(node, 0) != 0;
    if (node->op == OP_argsort) return node->rank > 1;
    return node->op == OP_reshape;
}

static bool reduces_first_axis(const Node *node) {
    for (int i = 0; i < node->attribute_count; i++)
        if (attribute_integer(node, i) == 0) return true;
    return false;
}

// A contraction goes by rows if the label of the rows leads the result, and every operand that has rows has it first.
static Way contract_way(const Step *step) {
    const Node *node = step->node;
    int ranks[] = {attribute_integer(node, 0), attribute_integer(node, 1)}, at = 2 + ranks[0] + ranks[1];
    int label = attribute_integer(node, at), begin = 2;
    for (int i = 0; i < 2; begin += ranks[i++]) {
        for (int k = 0; k < ranks[i]; k++) {
            bool same = attribute_integer(node, begin + k) == label;
            bool wanted = step->inputs[i] == WAY_ROW && k == 0;
            if (same != wanted) return WAY_OTHER;
        }
    }
    return WAY_ROW;
}

static Way gather_way(const Step *step) {
    return step->inputs[0] == WAY_CONSTANT && step->inputs[1] == WAY_ROW ? WAY_ROW : WAY_OTHER;
}

static Way way_of(const Step *step) {
    const Node *node = step->node;
    bool constant = true;
    for (int i = 0; i < node->input_count; i++) {
        if (step->inputs[i] == WAY_OTHER) return WAY_OTHER;
        constant = constant && step->inputs[i] == WAY_CONSTANT;
    }
    OpClass class = op_class(node->op);
    if (class == CLASS_TUPLE || class == CLASS_RESULT) return WAY_OTHER;
    if (constant) return constant_way(step);
    if (!rows_first(step, node)) return WAY_OTHER;
    if (class == CLASS_MAP || class == CLASS_MARK) return WAY_ROW;
    if (class == CLASS_REDUCE) return reduces_first_axis(node) ? WAY_OTHER : WAY_ROW;
    if (class == CLASS_CONTRACT) return contract_way(step);
    if (node->op == OP_gather) return gather_way(step);
    return keeps_first_axis(node) ? WAY_ROW : WAY_OTHER;
}

bool is_by_rows(const DataSet *data, const DataField *field) {
    NodeArray nodes = nodes_of(data, field);
    if (!nodes.count) return false;
    Way *ways = arena_array(data->arena, Way, nodes.items[nodes.count - 1]->id + 1);
    Way inputs[MAX_ARITY];
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (node->op == OP_variable) {
            ways[node->id] = WAY_ROW;
            continue;
        }
        ways[node->id] = WAY_OTHER;
        if (node->input_count > MAX_ARITY) continue;
        for (int k = 0; k < node->input_count; k++) inputs[k] = ways[node->inputs[k]->id];
        ways[node->id] = way_of(&(Step){data->block->feeds.items[0].variable->shape[0], node, inputs});
    }
    return ways[field->value.results[0].node->id] == WAY_ROW;
}

// ---- all rows at once

static bool contract_sums(const Node *node, int dim) {
    int ranks[] = {attribute_integer(node, 0), attribute_integer(node, 1)}, results = 2 + ranks[0] + ranks[1];
    for (int i = 0, at = 2; i < 2; at += ranks[i++])
        for (int k = 0; k < ranks[i]; k++) {
            bool kept = false;
            for (int axis = 0; axis < node->rank && !kept; axis++)
                kept = attribute_integer(node, results + axis) == attribute_integer(node, at + k);
            if (!kept && extent_dim_name(node->inputs[i]->shape[k], dim)) return true;
        }
    return false;
}

static bool slice_moves(const Node *node, int dim) {
    const Node *input = node->inputs[0];
    for (int i = 0; i < node->rank; i++)
        if (extent_dim_name(input->shape[i], dim) &&
            (node->shape[i] != input->shape[i] || attribute_integer(node, 2 * i + 1) != 1))
            return true;
    return false;
}

// Whether the node brings together numbers of several rows, whose number is `dim`.
static bool joins_rows(const Node *node, int dim) {
    const Node *input = node->input_count ? node->inputs[0] : NULL;
    if (op_class(node->op) == CLASS_CONTRACT) return contract_sums(node, dim);
    if (node->op == OP_slice) return slice_moves(node, dim);
    if (node->op == OP_argsort) return extent_dim_name(input->shape[input->rank - 1], dim);
    if (node->op == OP_loop) return extent_dim_name(node->attributes[0], dim);
    for (int i = 0; op_class(node->op) == CLASS_REDUCE && i < node->attribute_count; i++)
        if (extent_dim_name(input->shape[attribute_integer(node, i)], dim)) return true;
    return false;
}

static bool function_joins_rows(const DataSet *data, const Function *function, int dim) {
    Graph graph = *data->program->program->graph;
    graph.arena = data->arena;
    NodeArray nodes = reachable(&graph, result_nodes(data->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (joins_rows(node, dim) || (node->body && function_joins_rows(data, node->body, dim))) return true;
    }
    return false;
}

bool is_of_all_rows(const DataSet *data, const DataField *field) {
    int dim;
    int64_t scale, offset;
    if (is_by_rows(data, field)) return false;
    return extent_affine(data->block->feeds.items[0].variable->shape[0], &dim, &scale, &offset) &&
           function_joins_rows(data, &field->value, dim);
}
