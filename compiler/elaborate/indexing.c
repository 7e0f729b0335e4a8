// Indexing: Python's slices, `none`, `...`, and integer tensors that gather.
//
// An index list becomes views: one slice, then a transposition and a gather if a tensor stands among the indices, then
// a reshape that drops and adds axes.
#include "elaborate/values.h"

typedef enum {
    AXIS_KEEP,
    AXIS_DROP,
    AXIS_NEW,
    AXIS_GATHER,
    AXIS_PAIRED   // a further one of several axes that are indexed by tensors together
} AxisKind;

// What the indices do with each axis of x, and the new axes between.
typedef struct {
    AxisKind kinds[2 * MAX_RANK];
    int count;
    const Extent *starts[MAX_RANK], *extents[MAX_RANK];   // by axis of x
    int64_t steps[MAX_RANK];
    Node *gathered[MAX_RANK];
    int gather_axes[MAX_RANK];   // of x, ascending
    int gather_count;
} Plan;

static const Extent *range_bound(Elaborator *e, const Expression *expression, bool *failed) {
    if (!expression) return NULL;
    Value value = evaluate(e, expression);
    const Extent *extent = as_extent(e, value);
    if (value.kind == VALUE_NONE) return NULL;
    if (extent) return extent;
    *failed = true;
    if (value.kind != VALUE_ERROR)
        report(e, D_slice_not_static, expression->span,
               "the bounds of a slice are integers known when compiled, not %s", describe(e, value));
    return NULL;
}

// A bound counted from the start: negative constants count from the end; what static sizes show to be outside is
// clipped, as in Python.
static const Extent *from_start(Elaborator *e, const Extent *bound, const Extent *size, int64_t lowest) {
    ExtentTable *table = e->graph->extents;
    int64_t value, total;
    bool constant = extent_is_constant(bound, &value);
    if (constant && value < 0) bound = extent_add(table, bound, size);
    if (!extent_is_constant(bound, &value) || !extent_is_constant(size, &total)) return bound;
    int64_t highest = total + lowest;
    return extent_constant(table, value < lowest ? lowest : value > highest ? highest : value);
}

static bool check_bounds(Elaborator *e, const Extent *begin, const Extent *end, const Extent *size, Span span) {
    ExtentTable *table = e->graph->extents;
    const char *message = arena_print(e->arena, "the slice %s:%s is out of bounds for an axis of %s elements",
                                      describe_number(e, begin), describe_number(e, end), describe_number(e, size));
    if (require_at_least_zero(e, begin, span, message) &&
        require_at_least_zero(e, extent_subtract(table, size, end), span, message) &&
        require_at_least_zero(e, extent_subtract(table, end, begin), span, message))
        return true;
    report(e, D_index_out_of_bounds, span, "%s", message);
    return false;
}

static bool plan_range(Elaborator *e, Plan *plan, int axis, const Index *index, const Extent *size) {
    ExtentTable *table = e->graph->extents;
    bool failed = false;
    const Extent *step = range_bound(e, index->step, &failed);
    const Extent *begin = range_bound(e, index->begin, &failed), *end = range_bound(e, index->end, &failed);
    int64_t stride = 1, first, last;
    if (failed) return false;
    if (step && (!extent_is_constant(step, &stride) || stride == 0)) {
        report(e, D_step_of_zero, index->span, "the step of a slice is an integer other than 0, known when compiled");
        return false;
    }
    const Extent *zero = extent_constant(table, 0), *one = extent_constant(table, 1);
    if (stride > 0) {
        begin = begin ? from_start(e, begin, size, 0) : zero;
        end = end ? from_start(e, end, size, 0) : size;
        bool known = extent_is_constant(begin, &first) && extent_is_constant(end, &last);
        if (known && last < first) end = begin;
        if (!check_bounds(e, begin, end, size, index->span)) return false;
    } else {
        begin = begin ? from_start(e, begin, size, -1) : extent_subtract(table, size, one);
        end = end ? from_start(e, end, size, -1) : extent_constant(table, -1);
        bool known = extent_is_constant(begin, &first) && extent_is_constant(end, &last);
        if (known && last > first) end = begin;
        if (!check_bounds(e, extent_add(table, end, one), extent_add(table, begin, one), size, index->span))
            return false;
    }
    int64_t magnitude = stride > 0 ? stride : -stride;
    const Extent *length = stride > 0 ? extent_subtract(table, end, begin) : extent_subtract(table, begin, end);
    length = extent_add(table, length, extent_constant(table, magnitude - 1));
    plan->starts[axis] = begin;
    plan->steps[axis] = stride;
    plan->extents[axis] = extent_floor_divide(table, length, extent_constant(table, magnitude));
    plan->kinds[plan->count++] = AXIS_KEEP;
    return true;
}

static bool plan_number(Elaborator *e, Plan *plan, int axis, const Extent *position, const Extent *size, Span span) {
    ExtentTable *table = e->graph->extents;
    int64_t value;
    const Extent *at = extent_is_constant(position, &value) && value < 0 ? extent_add(table, position, size) : position;
    const Extent *room = extent_subtract(table, extent_subtract(table, size, at), extent_constant(table, 1));
    const char *message = arena_print(e->arena, "index %s is out of bounds for an axis of %s elements",
                                      describe_number(e, position), describe_number(e, size));
    if (!require_at_least_zero(e, at, span, message) || !require_at_least_zero(e, room, span, message)) {
        report(e, D_index_out_of_bounds, span, "%s", message);
        return false;
    }
    plan->starts[axis] = at;
    plan->steps[axis] = 1;
    plan->extents[axis] = extent_constant(table, 1);
    plan->kinds[plan->count++] = AXIS_DROP;
    return true;
}

static void plan_whole(Elaborator *e, Plan *plan, int axis, const Extent *size, AxisKind kind) {
    plan->starts[axis] = constant_extent(e, 0);
    plan->steps[axis] = 1;
    plan->extents[axis] = size;
    plan->kinds[plan->count++] = kind;
}

static bool plan_expression(Elaborator *e, Plan *plan, int axis, Value value, const Extent *size, Span span) {
    const Extent *position = as_extent(e, value);
    if (position) return plan_number(e, plan, axis, position, size, span);
    if (value.kind == VALUE_ERROR) return false;
    Node *node = as_tensor(e, value, span);
    if (!node) return false;
    if (!dtype_is_integer(node->dtype)) {
        report(e, D_index_dtype, span, "an index is an integer, not %s", describe(e, value));
        if (node->dtype == DTYPE_BOOL) help(e, "choose elements by a mask with where(mask, x, 0)");
        return false;
    }
    require_range(e, node, size, span);
    plan->gather_axes[plan->gather_count] = axis;
    plan->gathered[plan->gather_count++] = node;
    plan_whole(e, plan, axis, size, plan->gather_count > 1 ? AXIS_PAIRED : AXIS_GATHER);
    return true;
}

static int axes_used(const Indices *indices, const Value *values) {
    int used = 0;
    for (int i = 0; i < indices->count; i++)
        used += indices->items[i].kind == INDEX_RANGE ||
                (indices->items[i].kind == INDEX_EXPRESSION && values[i].kind != VALUE_NONE);
    return used;
}

static bool make_plan(Elaborator *e, Node *x, const Indices *indices, const Value *values, Plan *plan, Span span) {
    int used = axes_used(indices, values), axis = 0;
    if (used > x->rank || indices->count > 2 * MAX_RANK - x->rank) {
        report(e, D_too_many_indices, span, "too many indices: %d for %s", used, describe(e, value_tensor(x)));
        return false;
    }
    for (int i = 0; i < indices->count; i++) {
        const Index *index = &indices->items[i];
        if (index->kind == INDEX_ELLIPSIS) {
            for (int rest = x->rank - used; rest > 0; rest--, axis++)
                plan_whole(e, plan, axis, x->shape[axis], AXIS_KEEP);
            used = x->rank;
        } else if (index->kind == INDEX_RANGE) {
            if (!plan_range(e, plan, axis, index, x->shape[axis])) return false;
            axis++;
        } else if (values[i].kind == VALUE_NONE) plan->kinds[plan->count++] = AXIS_NEW;
        else {
            if (!plan_expression(e, plan, axis, values[i], x->shape[axis], index->span)) return false;
            axis++;
        }
    }
    for (; axis < x->rank; axis++) plan_whole(e, plan, axis, x->shape[axis], AXIS_KEEP);
    return true;
}

// Several tensors index as many axes together. Each axis in turn is made one with the place in the axes before it: the
// place i in axes of `size` elements and j in the next are place i * size + j of both, or -1 where j is none.
static Node *joined_place(Elaborator *e, Node *place, Node *j, const Extent *size, const Shape *shape) {
    Graph *graph = e->graph;
    Node *count = broadcast_to(e, extent_value(graph, DTYPE_I64, size), shape);
    Node *both = map2(graph, OP_add, map2(graph, OP_multiply, place, count), j);
    Node *fits = map2(graph, OP_logical_and, map2(graph, OP_less_equal, constant_like(graph, j, 0), j),
                      map2(graph, OP_less, j, count));
    Node *found = map2(graph, OP_less_equal, constant_like(graph, place, 0), place);
    return map3(graph, OP_where, map2(graph, OP_logical_and, found, fits), both, constant_like(graph, both, -1));
}

// The indices into the indexed axes of x made one. NULL: reported.
static Node *joined_indices(Elaborator *e, const Node *x, const Plan *plan, Span span) {
    if (plan->gather_count == 1) return plan->gathered[0];
    Shape shape;
    if (!broadcast_shapes(e, span, "indexing", plan->gathered, plan->gather_count, &shape)) return NULL;
    Node *place = broadcast_to(e, cast(e->graph, plan->gathered[0], DTYPE_I64), &shape);
    for (int i = 1; i < plan->gather_count; i++) {
        Node *next = broadcast_to(e, cast(e->graph, plan->gathered[i], DTYPE_I64), &shape);
        place = joined_place(e, place, next, x->shape[plan->gather_axes[i]], &shape);
    }
    return place;
}

// The indexed axes in front, as one.
static Node *indexed_first(Elaborator *e, Node *x, const Plan *plan) {
    int order[MAX_RANK], next = plan->gather_count;
    Shape shape = {.rank = 1, .extents = {constant_extent(e, 1)}};
    for (int i = 0, k = 0; i < x->rank; i++) {
        bool indexed = k < plan->gather_count && plan->gather_axes[k] == i;
        order[indexed ? k++ : next++] = i;
        if (indexed) shape.extents[0] = extent_multiply(e->graph->extents, shape.extents[0], x->shape[i]);
        else shape.extents[shape.rank++] = x->shape[i];
    }
    Node *moved = transpose(e->graph, x, order);
    return plan->gather_count == 1 ? moved : reshape(e->graph, moved, shape.extents, shape.rank);
}

// Whether axes that stay, or new ones, stand between those that tensors index: then the tensors' axes come first, as in
// PyTorch and NumPy; else they stand where the indexed ones stood.
static bool are_apart(const Plan *plan) {
    int seen = 0;
    for (int i = 0; i < plan->count && seen < plan->gather_count; i++) {
        AxisKind kind = plan->kinds[i];
        if (kind == AXIS_GATHER || kind == AXIS_PAIRED) seen++;
        else if (seen && kind != AXIS_DROP) return true;
    }
    return false;
}

// x's elements at the indices, whose axes stand behind `before` of the others. NULL: reported.
static Node *gather_at(Elaborator *e, Node *x, Node *indices, const Plan *plan, int before, Span span) {
    int back[MAX_RANK], rest = x->rank - plan->gather_count;
    if (rest + indices->rank > MAX_RANK) {
        report(e, D_too_many_axes, span, "tensors have at most %d axes", MAX_RANK);
        return NULL;
    }
    Node *result = gather(e->graph, indexed_first(e, x, plan), indices);
    for (int i = 0; i < result->rank; i++) {
        if (i < before) back[i] = indices->rank + i;
        else back[i] = i < before + indices->rank ? i - before : i;
    }
    return transpose(e->graph, result, back);
}

static Node *apply_plan(Elaborator *e, Node *x, const Plan *plan, Span span) {
    Node *result = slice(e->graph, x, plan->starts, plan->steps, plan->extents), *indices = NULL;
    bool apart = are_apart(plan);
    int rank = 0, axis = 0;
    Shape shape = {0};
    if (plan->gather_count) {
        indices = joined_indices(e, result, plan, span);
        result = indices ? gather_at(e, result, indices, plan, apart ? 0 : plan->gather_axes[0], span) : NULL;
        if (!result) return NULL;
    }
    for (int i = 0; i < plan->count; i++) {
        AxisKind kind = plan->kinds[i];
        rank += kind == AXIS_GATHER ? indices->rank : kind == AXIS_KEEP || kind == AXIS_NEW;
    }
    if (rank > MAX_RANK) {
        report(e, D_too_many_axes, span, "tensors have at most %d axes", MAX_RANK);
        return NULL;
    }
    for (int k = 0; apart && k < indices->rank; k++) shape.extents[shape.rank++] = result->shape[axis++];
    for (int i = 0; i < plan->count; i++) {
        AxisKind kind = plan->kinds[i];
        if (kind == AXIS_NEW) shape.extents[shape.rank++] = constant_extent(e, 1);
        if (kind == AXIS_KEEP) shape.extents[shape.rank++] = result->shape[axis++];
        if (kind == AXIS_DROP) axis++;
        for (int k = 0; kind == AXIS_GATHER && !apart && k < indices->rank; k++)
            shape.extents[shape.rank++] = result->shape[axis++];
    }
    return reshape(e->graph, result, shape.extents, shape.rank);
}

Value index_tensor(Elaborator *e, Node *x, const Indices *indices, Span span) {
    Plan plan = {0};
    Value *values = arena_array(e->arena, Value, indices->count);
    bool failed = false;
    int ellipses = 0;
    for (int i = 0; i < indices->count; i++) {
        ellipses += indices->items[i].kind == INDEX_ELLIPSIS;
        if (indices->items[i].kind != INDEX_EXPRESSION) continue;
        values[i] = evaluate(e, indices->items[i].expression);
        failed = failed || values[i].kind == VALUE_ERROR;
    }
    if (failed) return (Value){.kind = VALUE_ERROR};
    if (ellipses > 1) return failure(e, D_several_ellipses, span, "an index has at most one '...'");
    if (!make_plan(e, x, indices, values, &plan, span)) return (Value){.kind = VALUE_ERROR};
    e->graph->span = user_span(e, span);
    Node *result = apply_plan(e, x, &plan, span);
    return result ? value_tensor(result) : (Value){.kind = VALUE_ERROR};
}

// ---- lists and arrays of instances

static bool list_bound(Elaborator *e, const Expression *expression, int count, int missing, int *bound) {
    *bound = missing;
    if (!expression) return true;
    Value value = evaluate(e, expression);
    int64_t number;
    if (!is_integer_number(value, &number)) {
        if (value.kind != VALUE_ERROR)
            report(e, D_index_not_static, expression->span, "an integer known when compiled is expected here, not %s",
                   describe(e, value));
        return false;
    }
    if (number < 0) number += count;
    *bound = (int)(number < 0 ? 0 : number > count ? count : number);
    return true;
}

static bool list_position(Elaborator *e, const Index *index, int count, int *position) {
    Value value = evaluate(e, index->expression);
    int64_t number;
    if (value.kind == VALUE_ERROR) return false;
    if (!is_integer_number(value, &number)) {
        report(e, D_index_not_static, index->span, "an integer known when compiled is expected here, not %s",
               describe(e, value));
        return false;
    }
    if (number < -count || number >= count) {
        report(e, D_index_out_of_bounds, index->span, "index %lld is out of bounds for %d elements", (long long)number,
               count);
        return false;
    }
    *position = (int)(number < 0 ? number + count : number);
    return true;
}

static Value index_static(Elaborator *e, Value left, const Expression *expression) {
    bool is_list = left.kind == VALUE_LIST;
    int count = is_list ? left.list.count : left.instances.count, at, end;
    const Index *index = &expression->indices.items[0];
    if (expression->indices.count != 1 || index->kind == INDEX_ELLIPSIS || index->step)
        return failure(e, D_too_many_indices, expression->span, "%s takes one index", describe(e, left));
    if (index->kind == INDEX_EXPRESSION) {
        if (!list_position(e, index, count, &at)) return (Value){.kind = VALUE_ERROR};
        if (is_list) return left.list.items[at];
        return (Value){.kind = VALUE_INSTANCE, .instance = left.instances.items[at]};
    }
    if (!list_bound(e, index->begin, count, 0, &at) || !list_bound(e, index->end, count, count, &end))
        return (Value){.kind = VALUE_ERROR};
    count = end > at ? end - at : 0;
    if (is_list) {
        left.list.items += at;
        left.list.count = count;
    } else {
        left.instances.items += at;
        left.instances.count = count;
    }
    return left;
}

Value evaluate_index(Elaborator *e, const Expression *expression) {
    Value left = evaluate(e, expression->left);
    if (left.kind == VALUE_ERROR) return left;
    if (left.kind == VALUE_INSTANCES) return index_static(e, left, expression);
    if (left.kind == VALUE_LIST) {
        const Index *index = &expression->indices.items[0];
        bool numbers = expression->indices.count == 1 && index->kind != INDEX_ELLIPSIS;
        for (int i = 0; i < left.list.count; i++) numbers = numbers && as_extent(e, left.list.items[i]);
        if (numbers && !index->step) return index_static(e, left, expression);
    }
    Node *x = as_tensor(e, left, expression->left->span);
    if (!x) return (Value){.kind = VALUE_ERROR};
    return index_tensor(e, x, &expression->indices, expression->span);
}
