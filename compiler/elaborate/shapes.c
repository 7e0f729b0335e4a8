// Shapes: broadcasting, sizes as written in types, and matching a call's tensors with a signature (L8, S3).
#include "elaborate/values.h"

#include <string.h>

Shape shape_make(const Extent *const *extents, int rank) {
    Shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++) shape.extents[i] = extents[i];
    return shape;
}

Shape shape_of(const Node *node) {
    return shape_make((const Extent *const *)node->shape, node->rank);
}

bool shapes_equal(const Shape *a, const Shape *b) {
    return a->rank == b->rank && (!a->rank || !memcmp(a->extents, b->extents, sizeof *a->extents * (size_t)a->rank));
}

const Extent *constant_extent(Elaborator *e, int64_t value) {
    return extent_constant(e->graph->extents, value);
}

bool is_manageable(Elaborator *e, const Extent *extent, Span span) {
    const Term *terms;
    int count = extent_terms(extent, &terms);
    bool fits = count <= LARGEST_POLYNOMIAL;
    for (int i = 0; i < count && fits; i++) fits = terms[i].factor_count <= LARGEST_POLYNOMIAL;
    if (!fits)
        report(e, D_size_too_complex, span, "a size is a polynomial of more than %d terms or factors",
               LARGEST_POLYNOMIAL);
    return fits;
}

// ---- broadcasting

static bool cannot_broadcast(Elaborator *e, Span span, const char *what, Node *const *nodes, int count, const Extent *a,
                             const Extent *b) {
    Text text = {.arena = e->arena};
    for (int i = 0; i < count; i++) {
        if (!nodes[i]->rank) continue;
        if (text.length) text_add(&text, " and ");
        print_shape(&text, nodes[i]->dtype, (const Extent *const *)nodes[i]->shape, nodes[i]->rank);
    }
    report(e, D_cannot_broadcast, span, "the shapes of %s do not fit in '%s': %s and %s differ", text.bytes, what,
           describe_number(e, a), describe_number(e, b));
    help(e, "axes are aligned at the right and must be equal, or 1 in one of them; x[:, none] puts one in");
    return false;
}

bool broadcast_shapes(Elaborator *e, Span span, const char *what, Node *const *nodes, int count, Shape *result) {
    *result = (Shape){0};
    for (int i = 0; i < count; i++)
        if (nodes[i]->rank > result->rank) result->rank = nodes[i]->rank;
    for (int axis = 1; axis <= result->rank; axis++) {
        const Extent *extent = NULL;
        for (int i = 0; i < count; i++) {
            if (nodes[i]->rank < axis) continue;
            const Extent *other = nodes[i]->shape[nodes[i]->rank - axis];
            if (!extent || extent_is(extent, 1)) extent = other;
            else if (extent != other && !extent_is(other, 1))
                return cannot_broadcast(e, span, what, nodes, count, extent, other);
        }
        result->extents[result->rank - axis] = extent;
    }
    return true;
}

Node *broadcast_to(Elaborator *e, Node *node, const Shape *shape) {
    return broadcast(e->graph, node, shape->extents, shape->rank, NULL);
}

// ---- compile-time shapes and axes

bool as_shape(Elaborator *e, Value value, Span span, Shape *shape) {
    if (value.kind == VALUE_ERROR) return false;
    const Extent *single = as_extent(e, value);
    *shape = (Shape){.rank = 1, .extents = {single}};
    if (single) return true;
    if (value.kind != VALUE_LIST && value.kind != VALUE_TUPLE) {
        report(e, D_not_a_shape, span, "a shape such as [N, 3] is expected here, not %s", describe(e, value));
        return false;
    }
    shape->rank = value.list.count;
    if (shape->rank > MAX_RANK) {
        report(e, D_too_many_axes, span, "tensors have at most %d axes, not %d", MAX_RANK, shape->rank);
        return false;
    }
    for (int i = 0; i < shape->rank; i++) {
        Value item = value.list.items[i];
        shape->extents[i] = as_extent(e, item);
        if (shape->extents[i]) continue;
        if (item.kind != VALUE_ERROR)
            report(e, D_size_not_static, span, "the sizes of a shape are integers known when compiled, not %s",
                   describe(e, item));
        return false;
    }
    return true;
}

bool as_axis(Elaborator *e, Value value, int rank, Span span, int *axis) {
    int64_t number;
    if (value.kind == VALUE_ERROR) return false;
    if (!is_integer_number(value, &number)) {
        report(e, D_axis_not_static, span, "an axis is an integer known when compiled, not %s", describe(e, value));
        return false;
    }
    if (number < -rank || number >= rank) {
        report(e, D_axis_out_of_range, span, "axis %lld is out of bounds for a tensor of %d %s", (long long)number,
               rank, rank == 1 ? "axis" : "axes");
        if (rank) help(e, "axes are counted from 0 to %d, or from the end, -1 to -%d", rank - 1, rank);
        return false;
    }
    *axis = (int)(number < 0 ? number + rank : number);
    return true;
}

bool as_axes(Elaborator *e, Value value, int rank, Span span, int *axes, int *count) {
    bool named[MAX_RANK] = {false};
    *count = 0;
    if (value.kind == VALUE_NONE)
        for (int i = 0; i < rank; i++) axes[(*count)++] = i;
    if (value.kind == VALUE_NONE) return true;
    Value single[] = {value};
    if (value.kind != VALUE_LIST && value.kind != VALUE_TUPLE) value = value_list(e, single, 1);
    for (int i = 0; i < value.list.count; i++) {
        int axis;
        if (!as_axis(e, value.list.items[i], rank, span, &axis)) return false;
        if (named[axis]) {
            report(e, D_axis_named_twice, span, "axis %d is named twice", axis);
            return false;
        }
        named[axis] = true;
        axes[(*count)++] = axis;
    }
    return true;
}

bool require_at_least_zero(Elaborator *e, const Extent *extent, Span span, const char *message) {
    ExtentTable *table = e->graph->extents;
    const Extent *zero = extent_constant(table, 0);
    int64_t value;
    if (extent_at_least(table, extent, zero)) return true;
    if (extent_is_constant(extent, &value)) return false;
    if (!e->context) return true;
    Entry *entry = e->context->entry;
    for (int i = 0; i < entry->checks.count; i++)
        if (entry->checks.items[i].extent == extent) return true;
    Check check = {extent, message, user_span(e, span)};
    array_push(e->arena, &entry->checks, check);
    return true;
}

// ---- sizes as written

void unknown_size(Elaborator *e, Name name) {
    report(e, D_unknown_size, name.span, "nothing is called '%s' here", name.text);
    const char *similar = similar_size(e, name.text);
    if (similar) help(e, "did you mean '%s'?", similar);
    help(e, "an open size is declared: dim %s", name.text);
}

static const Extent *size_name(Elaborator *e, Name name) {
    if (!is_name_known(e, name.text)) {
        unknown_size(e, name);
        return NULL;
    }
    Value value = look_up(e, name);
    if (value.kind == VALUE_ERROR) return NULL;
    const Extent *extent = as_extent(e, value);
    if (!extent)
        report(e, D_size_not_static, name.span, "a size is an integer known when compiled, not %s", describe(e, value));
    return extent;
}

static const Extent *size_item(Elaborator *e, const Size *size) {
    Value list = look_up(e, size->name);
    const Extent *index = list.kind == VALUE_ERROR ? NULL : size_value(e, size->left);
    int64_t at;
    if (!index) return NULL;
    if (list.kind != VALUE_LIST) {
        report(e, D_not_a_shape, size->span, "'%s' is no list of sizes but %s", size->name.text, describe(e, list));
        return NULL;
    }
    if (!extent_is_constant(index, &at) || at < -list.list.count || at >= list.list.count) {
        report(e, D_index_out_of_bounds, size->span, "index %s is out of bounds for '%s', which has %d sizes",
               describe_number(e, index), size->name.text, list.list.count);
        return NULL;
    }
    const Extent *extent = as_extent(e, list.list.items[at < 0 ? at + list.list.count : at]);
    if (!extent) report(e, D_size_not_static, size->span, "a size is an integer known when compiled");
    return extent;
}

static const Extent *size_operation(Elaborator *e, const Size *size) {
    ExtentTable *table = e->graph->extents;
    const Extent *left = size_value(e, size->left);
    const Extent *right = left && size->kind == SIZE_BINARY ? size_value(e, size->right) : NULL;
    if (!left || (size->kind == SIZE_BINARY && !right)) return NULL;
    if (size->kind == SIZE_NEGATE) return extent_subtract(table, extent_constant(table, 0), left);
    const Extent *result = NULL;
    if (size->operator== OPERATOR_ADD) result = extent_add(table, left, right);
    if (size->operator== OPERATOR_SUBTRACT) result = extent_subtract(table, left, right);
    if (size->operator== OPERATOR_MULTIPLY) result = extent_multiply(table, left, right);
    if (size->operator== OPERATOR_FLOOR_DIVIDE) result = extent_floor_divide(table, left, right);
    if (size->operator== OPERATOR_REMAINDER) result = extent_modulo(table, left, right);
    if (!result) report(e, D_division_by_zero, size->span, "a size is divided by zero");
    return result && is_manageable(e, result, size->span) ? result : NULL;
}

const Extent *size_value(Elaborator *e, const Size *size) {
    if (size->kind == SIZE_NUMBER) return constant_extent(e, size->number);
    if (size->kind == SIZE_NAME) return size_name(e, size->name);
    if (size->kind == SIZE_INDEX) return size_item(e, size);
    return size_operation(e, size);
}

Value static_value(Elaborator *e, const Static *argument) {
    if (argument->literal) return evaluate(e, argument->literal);
    if (argument->size && argument->size->kind == SIZE_NAME) return look_up(e, argument->size->name);
    if (!argument->size) {
        Template template, *copy = arena_new(e->arena, Template);
        if (!find_template(e, argument->template_name, argument->arguments, argument->argument_count, true,
                           argument->span, &template))
            return (Value){.kind = VALUE_ERROR};
        *copy = template;
        return (Value){.kind = VALUE_NET, .net = copy};
    }
    const Extent *extent = size_value(e, argument->size);
    return extent ? value_extent(extent) : (Value){.kind = VALUE_ERROR};
}

Pack *find_pack(Elaborator *e, const char *name) {
    for (Pack *pack = e->frame->packs; pack; pack = pack->next)
        if (strcmp(pack->name, name) == 0) return pack;
    return NULL;
}

const char *pack_name(const Dimension *dimension) {
    return dimension->name.text ? dimension->name.text : "*";
}

// `*s` where s is a shape argument, or a pack bound before.
static bool pack_shape(Elaborator *e, const Dimension *dimension, Shape *shape) {
    Pack *pack = find_pack(e, pack_name(dimension));
    if (pack) {
        *shape = pack->shape;
        return true;
    }
    Binding *binding = dimension->name.text ? find_binding(e, dimension->name.text) : NULL;
    if (binding && binding->value.kind == VALUE_LIST) return as_shape(e, binding->value, dimension->span, shape);
    report(e, D_unbound_pack, dimension->span, "no argument says what '%s%s' stands for", "*",
           dimension->name.text ? dimension->name.text : "");
    return false;
}

bool type_shape(Elaborator *e, const Type *type, Shape *shape) {
    *shape = (Shape){0};
    bool fits = true;
    for (int i = 0; i < type->dimension_count; i++) {
        const Dimension *dimension = &type->dimensions[i];
        Shape part = {.rank = 1};
        if (dimension->is_pack) fits = pack_shape(e, dimension, &part) && fits;
        else if (!(part.extents[0] = size_value(e, dimension->size))) fits = false;
        if (!fits) continue;
        if (shape->rank + part.rank > MAX_RANK) {
            report(e, D_too_many_axes, type->span, "tensors have at most %d axes", MAX_RANK);
            return false;
        }
        for (int k = 0; k < part.rank; k++) shape->extents[shape->rank++] = part.extents[k];
    }
    return fits;
}

// ---- matching

// A name that this signature may bind: a dim of the file or a static parameter, not bound yet.
static bool is_unbound(Elaborator *e, const char *name) {
    if (find_binding(e, name)) return false;
    const Item *item = e->frame->item;
    for (int i = 0; item && i < item->static_count; i++)
        if (strcmp(item->statics[i].name.text, name) == 0) return true;
    Global *global = find_global(e, name);
    return global && global->dim >= 0;
}

static void bind_dim(Elaborator *e, const char *name, const Extent *extent) {
    Scope *root = e->frame->scope;
    while (root->parent) root = root->parent;
    bind_name(e, root, name, value_extent(extent));
}

// The only unbound name in the size; NULL: none. `count` tells how often one was met.
static const char *unbound_name(Elaborator *e, const Size *size, int *count) {
    if (!size) return NULL;
    if (size->kind == SIZE_NAME && is_unbound(e, size->name.text)) {
        ++*count;
        return size->name.text;
    }
    if (size->kind != SIZE_BINARY && size->kind != SIZE_NEGATE) return NULL;
    const char *left = unbound_name(e, size->left, count);
    const char *right = size->kind == SIZE_BINARY ? unbound_name(e, size->right, count) : NULL;
    return left ? left : right;
}

// Finds n of a size such as 2*n + 1 from its value: the size must be affine in n, the only unbound name. Three points
// show the line.
static bool solve(Elaborator *e, const Size *size, const Extent *value) {
    ExtentTable *table = e->graph->extents;
    int count = 0;
    const char *name = unbound_name(e, size, &count);
    if (count != 1) return count == 0;
    const Extent *points[3];
    for (int i = 0; i < 3; i++) {
        bind_dim(e, name, extent_constant(table, i));
        points[i] = size_value(e, size);
        if (!points[i]) return false;
    }
    const Extent *scale = extent_subtract(table, points[1], points[0]);
    if (extent_subtract(table, points[2], points[1]) != scale || extent_is(scale, 0)) return false;
    const Extent *shifted = extent_subtract(table, value, points[0]);
    const Extent *quotient = extent_floor_divide(table, shifted, scale);
    if (!quotient) return false;
    bind_dim(e, name, quotient);
    return extent_multiply(table, quotient, scale) == shifted;
}

static bool mismatch(Elaborator *e, const Type *type, const Shape *shape, Span span, const char *what) {
    Text expected = {.arena = e->arena}, values = {.arena = e->arena};
    text_add(&expected, "[");
    for (int i = 0; i < type->dimension_count; i++) {
        const Dimension *dimension = &type->dimensions[i];
        Span text = dimension->span;
        text_add(&expected, "%s%.*s", i ? ", " : "", (int)(text.end - text.begin), text.source->text + text.begin);
        Pack *pack = dimension->is_pack ? find_pack(e, pack_name(dimension)) : NULL;
        if (pack)
            text_add(&values, "%s*%s is %s", values.length ? ", " : "",
                     dimension->name.text ? dimension->name.text : "", describe_shape(e, &pack->shape));
        if (dimension->is_pack || dimension->size->kind == SIZE_NUMBER) continue;
        if (dimension->size->kind != SIZE_NAME) {
            int unknown = 0;
            unbound_name(e, dimension->size, &unknown);
            const Extent *size = unknown ? NULL : size_value(e, dimension->size);
            if (size)
                text_add(&values, "%s%.*s is %s", values.length ? ", " : "", (int)(text.end - text.begin),
                         text.source->text + text.begin, describe_number(e, size));
            continue;
        }
        Binding *binding = find_binding(e, dimension->size->name.text);
        const Extent *extent = binding ? as_extent(e, binding->value) : NULL;
        Text number = {.arena = e->arena};
        if (extent) extent_print(&number, extent);
        if (extent && strcmp(number.bytes, binding->name) != 0)   // "N is N" says nothing
            text_add(&values, "%s%s is %s", values.length ? ", " : "", binding->name, describe_number(e, extent));
    }
    text_add(&expected, "]");
    report(e, D_shape_mismatch, span, "%s has shape %s, but %s is expected%s%s", what, describe_shape(e, shape),
           expected.bytes, values.length ? ", where " : "", values.length ? values.bytes : "");
    suggest_shape(e, type, shape, span);
    return false;
}

static bool match_pack(Elaborator *e, const Dimension *dimension, const Shape *part) {
    const char *name = pack_name(dimension);
    Pack *pack = find_pack(e, name);
    if (pack) return shapes_equal(&pack->shape, part);
    Binding *binding = dimension->name.text ? find_binding(e, name) : NULL;
    if (binding && binding->value.kind == VALUE_LIST) {
        Shape shape;
        return as_shape(e, binding->value, dimension->span, &shape) && shapes_equal(&shape, part);
    }
    pack = arena_new(e->arena, Pack);
    *pack = (Pack){name, *part, e->frame->packs};
    e->frame->packs = pack;
    return true;
}

static bool match_size(Elaborator *e, const Size *size, const Extent *extent, bool expressions, bool *reported) {
    if (size->kind == SIZE_NAME && is_unbound(e, size->name.text)) {
        bind_dim(e, size->name.text, extent);
        return true;
    }
    if (!expressions) return true;
    if (!solve(e, size, extent)) return false;
    const Extent *expected = size_value(e, size);
    *reported = !expected;
    return expected == extent;
}

// How many axes a pack has; -1: nothing says yet.
static int pack_rank(Elaborator *e, const Dimension *dimension) {
    const Pack *pack = find_pack(e, pack_name(dimension));
    if (pack) return pack->shape.rank;
    const Binding *binding = dimension->name.text ? find_binding(e, dimension->name.text) : NULL;
    return binding && binding->value.kind == VALUE_LIST ? binding->value.list.count : -1;
}

// The axes of a type's packs: one of them may be open, and has what the others leave.
typedef struct {
    int fixed;   // axes that are no pack's
    int known;   // of packs that are known
    int open;    // packs that are not
} PackCount;

static PackCount count_packs(Elaborator *e, const Type *type) {
    PackCount count = {0};
    for (int i = 0; i < type->dimension_count; i++) {
        int rank = type->dimensions[i].is_pack ? pack_rank(e, &type->dimensions[i]) : 1;
        if (!type->dimensions[i].is_pack) count.fixed++;
        else if (rank < 0) count.open++;
        else count.known += rank;
    }
    return count;
}

bool match_shape(Elaborator *e, const Type *type, const Shape *shape, bool expressions, Span span, const char *what) {
    PackCount count = count_packs(e, type);
    int rest = shape->rank - count.fixed - count.known;   // the open pack's axes
    if (count.open > 1 && !expressions) return true;      // other arguments may say more
    if (count.open > 1) {
        report(e, D_open_packs, type->span, "%s has shape %s, and nothing says which axes are whose of these packs",
               what, describe_shape(e, shape));
        help(e, "all packs of a type but one must be said by other arguments");
        return false;
    }
    if (rest < 0 || (!count.open && rest != 0)) return mismatch(e, type, shape, span, what);
    int axis = 0;
    for (int i = 0; i < type->dimension_count; i++) {
        const Dimension *dimension = &type->dimensions[i];
        bool reported = false, fits;
        if (dimension->is_pack) {
            int rank = pack_rank(e, dimension);
            Shape part = shape_make(shape->extents + axis, rank < 0 ? rest : rank);
            fits = match_pack(e, dimension, &part);
            axis += part.rank;
        } else fits = match_size(e, dimension->size, shape->extents[axis++], expressions, &reported);
        if (!fits) return !reported && mismatch(e, type, shape, span, what);
    }
    return true;
}
