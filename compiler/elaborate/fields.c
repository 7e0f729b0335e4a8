// Fields of data blocks: arrays made of what the block's files hold, as functions of numbers that the runtime reads from
// them (program.h: Feed, DataField).
//
// How many columns a table has is not known here. So the fields are elaborated twice: first over any number of columns,
// which gathers the conditions that the number must meet; then over as many as these ask for, and, where some column is
// counted from the end, any number more. The runtime compares that with the file.
#include "elaborate/calls.h"
#include "elaborate/settings.h"

#include <string.h>

typedef struct {
    Elaborator *e;
    const Item *item;
    DataBlock *block;
    const Extent *rows, *columns;
    const Node *table;        // f64[rows, columns]; its feed is number 0
    const Setting *setting;   // the field that is made
    bool failed;              // something in it is reported
    bool has_shape;           // `shape` is that of the arrays in it
    Shape shape;
} Fields;

static bool is_name(const Expression *expression, const char *name) {
    return expression->kind == EXPRESSION_NAME && strcmp(expression->name.text, name) == 0;
}

// ---- feeds

static bool same_feed(const Feed *feed, FeedKind kind, const char **names, int count, const Shape *shape) {
    Shape own = shape_of(feed->variable);
    bool same = feed->kind == kind && feed->name_count == count && shapes_equal(&own, shape);
    for (int i = 0; i < count && same; i++) same = strcmp(feed->names[i], names[i]) == 0;
    return same;
}

// The variable that stands for the feed; made when first asked for.
static Node *feed_variable(Fields *fields, FeedKind kind, const char **names, int count, const Shape *shape,
                           Span span) {
    Elaborator *e = fields->e;
    DataBlock *block = fields->block;
    for (int i = 0; i < block->feeds.count; i++)
        if (same_feed(&block->feeds.items[i], kind, names, count, shape)) return block->feeds.items[i].variable;
    const char *name = kind == FEED_COLUMNS ? "columns" : names[0];
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = name, .index = block->feeds.count};
    Feed feed = {.kind = kind, .names = names, .name_count = count, .span = span};
    feed.variable = variable_make(e->graph, &variable, DTYPE_F64, shape->extents, shape->rank);
    array_push(e->arena, &block->feeds, feed);
    return feed.variable;
}

// The index as names. False: some of it is something else.
static bool index_names(Elaborator *e, const Indices *indices, const char ***names) {
    *names = arena_array(e->arena, const char *, indices->count + 1);
    for (int i = 0; i < indices->count; i++) {
        const Index *index = &indices->items[i];
        if (index->kind != INDEX_EXPRESSION || index->expression->kind != EXPRESSION_STRING) return false;
        (*names)[i] = index->expression->name.text;
    }
    return indices->count > 0;
}

static bool has_name(const Indices *indices) {
    for (int i = 0; i < indices->count; i++) {
        const Index *index = &indices->items[i];
        const Expression *parts[] = {index->expression, index->begin, index->end, index->step};
        for (int k = 0; k < 4; k++)
            if (parts[k] && parts[k]->kind == EXPRESSION_STRING) return true;
    }
    return false;
}

// An expression that stands for the feed's variable: a name that no program can write.
static Expression *feed_expression(Fields *fields, Node *variable, Span span) {
    Elaborator *e = fields->e;
    Expression *expression = arena_new(e->arena, Expression);
    expression->kind = EXPRESSION_NAME;
    expression->span = span;
    expression->name = (Name){.text = arena_print(e->arena, "feed %d", variable->variable->index), .span = span};
    bind_name(e, e->frame->scope, expression->name.text, value_tensor(variable));
    return expression;
}

static Expression *named_columns(Fields *fields, const Expression *expression, const char **names) {
    int count = expression->indices.count;
    Shape shape = {.rank = count > 1 ? 2 : 1, .extents = {fields->rows, constant_extent(fields->e, count)}};
    return feed_expression(fields, feed_variable(fields, FEED_NAMED, names, count, &shape, expression->span),
                           expression->span);
}

// ---- the shape of an array: that of the field

// The input that a field of this name feeds: a loss's, else another entry's. NULL: there is none.
static const Node *fed_input(Elaborator *e, const char *name) {
    for (EntryKind kind = ENTRY_LOSS; kind <= ENTRY_FUNCTION; kind++)
        for (int i = 0; i < e->program->entries.count; i++) {
            const Entry *entry = e->program->entries.items[i];
            for (int k = 0; k < entry->function.argument_count && entry->kind == kind; k++)
                if (strcmp(entry->function.arguments[k]->variable->name, name) == 0)
                    return entry->function.arguments[k];
        }
    return NULL;
}

// Sizes that are open are those of the file; equal ones stay equal.
static void shape_of_input(Fields *fields, const Node *input) {
    fields->shape = (Shape){.rank = input->rank ? input->rank : 1, .extents = {fields->rows}};
    for (int i = 1; i < input->rank; i++) {
        const Extent *extent = extent_is_constant(input->shape[i], NULL) ? input->shape[i] : NULL;
        for (int k = 0; k < i && !extent; k++)
            if (input->shape[k] == input->shape[i]) extent = fields->shape.extents[k];
        fields->shape.extents[i] = extent ? extent : fresh_dim(fields->e, "size");
    }
}

static const Extent *written_extent(Elaborator *e, const Size *size) {
    if (size->kind != SIZE_NAME || find_binding(e, size->name.text)) return size_value(e, size);
    const Global *global = find_global(e, size->name.text);
    return global && global->dim >= 0 ? fresh_dim(e, size->name.text) : size_value(e, size);
}

// The size that an earlier axis of the type has by the same name; NULL: none.
static const Extent *earlier_extent(const Fields *fields, const Type *type, int axis) {
    const Size *size = type->dimensions[axis].size;
    for (int i = 0; i < axis && size->kind == SIZE_NAME; i++) {
        const Size *other = type->dimensions[i].size;
        if (other->kind == SIZE_NAME && strcmp(other->name.text, size->name.text) == 0) return fields->shape.extents[i];
    }
    return NULL;
}

static bool shape_of_type(Fields *fields, const Type *type) {
    fields->shape = (Shape){.rank = type->dimension_count, .extents = {fields->rows}};
    bool fine = type->dimension_count > 0 && type->dimension_count <= MAX_RANK;
    for (int i = 0; i < type->dimension_count && fine; i++) {
        const Dimension *dimension = &type->dimensions[i];
        fine = !dimension->is_pack;
        if (!fine || !i) continue;
        const Extent *extent = earlier_extent(fields, type, i);
        if (!extent) extent = written_extent(fields->e, dimension->size);
        fields->shape.extents[i] = extent;
        fine = extent != NULL;
    }
    if (!fine) report(fields->e, D_unknown_array_shape, type->span, "this type does not say what shape the array has");
    return fine;
}

// Finds fields->shape. False: reported.
static bool find_shape(Fields *fields, const Expression *expression) {
    Elaborator *e = fields->e;
    if (fields->has_shape) return true;
    const Setting *setting = fields->setting;
    const Node *input = fed_input(e, setting->name.text);
    if (setting->type) fields->has_shape = shape_of_type(fields, setting->type);
    else if (input) {
        shape_of_input(fields, input);
        fields->has_shape = true;
    } else {
        report(e, D_unknown_array_shape, expression->span,
               "nothing says what shape this array has: no loss, metric or net has an input '%s'", setting->name.text);
        help(e, "write the field's type: %s: f32[N, 28, 28] = ...", setting->name.text);
    }
    return fields->has_shape;
}

static Expression *wrong_arrays(Fields *fields, const Expression *expression) {
    report(fields->e, D_wrong_arrays, expression->span, "'arrays' takes one array of the files, by its name");
    help(fields->e, "write it as: %s = arrays[\"%s\"]", fields->setting->name.text, fields->setting->name.text);
    fields->failed = true;
    return NULL;
}

static Expression *named_array(Fields *fields, const Expression *expression) {
    const char **names;
    if (!index_names(fields->e, &expression->indices, &names) || expression->indices.count != 1)
        return wrong_arrays(fields, expression);
    fields->failed = !find_shape(fields, expression) || fields->failed;
    if (!fields->has_shape) return NULL;
    Node *variable = feed_variable(fields, FEED_ARRAY, names, 1, &fields->shape, expression->span);
    return feed_expression(fields, variable, expression->span);
}

// ---- `columns[i]` is `columns[:, i]` of the table

static Expression *over_rows(Fields *fields, const Expression *expression);

static Expressions list_over_rows(Fields *fields, Expressions list) {
    Expressions result = {arena_array(fields->e->arena, Expression *, list.count), list.count};
    for (int i = 0; i < list.count; i++) result.items[i] = over_rows(fields, list.items[i]);
    return result;
}

static Arguments arguments_over_rows(Fields *fields, Arguments arguments) {
    Arguments result = {arena_array(fields->e->arena, Argument, arguments.count), arguments.count};
    for (int i = 0; i < arguments.count; i++) {
        result.items[i] = arguments.items[i];
        result.items[i].value = over_rows(fields, arguments.items[i].value);
    }
    return result;
}

static Indices indices_over_rows(Fields *fields, const Expression *expression) {
    int rows = is_name(expression->left, "columns");   // all of them, as a further index before the column's
    Arena *arena = fields->e->arena;
    Indices result = {arena_array(arena, Index, expression->indices.count + rows), expression->indices.count + rows};
    if (rows) result.items[0] = (Index){.kind = INDEX_RANGE, .span = expression->span};
    for (int i = 0; i < expression->indices.count; i++) {
        Index index = expression->indices.items[i];
        index.expression = over_rows(fields, index.expression);
        index.begin = over_rows(fields, index.begin);
        index.end = over_rows(fields, index.end);
        index.step = over_rows(fields, index.step);
        result.items[i + rows] = index;
    }
    return result;
}

static Expression *wrong_columns(Fields *fields, const Expression *expression) {
    Elaborator *e = fields->e;
    fields->failed = true;
    if (has_name(&expression->indices)) {
        report(e, D_wrong_columns, expression->span, "columns are taken by their names or by their numbers, not both");
        help(e, "columns with these names are columns[\"length\", \"width\"]");
        return NULL;
    }
    report(e, D_wrong_columns, expression->span, "'columns' takes one index, not %d", expression->indices.count);
    help(e, "a column of all rows is columns[3], some are columns[0:3]");
    return NULL;
}

// A copy of the expression in which names stand for feeds, and every other index into `columns` goes to the second axis.
// NULL: fields->failed, or `expression` is NULL.
static Expression *over_rows(Fields *fields, const Expression *expression) {
    if (!expression) return NULL;
    Elaborator *e = fields->e;
    bool index = expression->kind == EXPRESSION_INDEX;
    bool columns = index && is_name(expression->left, "columns");
    const char **names;
    if (index && is_name(expression->left, "arrays")) return named_array(fields, expression);
    if (columns && index_names(e, &expression->indices, &names)) return named_columns(fields, expression, names);
    if (columns && (expression->indices.count != 1 || has_name(&expression->indices)))
        return wrong_columns(fields, expression);
    if (is_name(expression, "arrays")) return wrong_arrays(fields, expression);
    Expression *copy = arena_copy(e->arena, expression, sizeof *expression);
    copy->left = over_rows(fields, expression->left);
    copy->right = over_rows(fields, expression->right);
    copy->items = list_over_rows(fields, expression->items);
    copy->arguments = arguments_over_rows(fields, expression->arguments);
    if (index) copy->indices = indices_over_rows(fields, expression);
    return copy;
}

// ---- one field

// The dtype that the entries of the file want for an input of that name, if it is a floating one.
static Dtype wanted_dtype(Elaborator *e, const char *name) {
    Dtype dtype;
    for (int i = 0; i < e->file->count; i++) {
        const Item *item = e->file->items[i];
        if (item->kind != ITEM_LOSS && item->kind != ITEM_METRIC && item->kind != ITEM_NET) continue;
        int at = parameter_index(item, name);
        if (at >= 0 && is_dtype_name(e, item->parameters[at].type.name.text, e->program->floating, &dtype) &&
            dtype_is_float(dtype))
            return dtype;
    }
    return e->program->floating;
}

static bool check_rows(Fields *fields, Node *node) {
    Elaborator *e = fields->e;
    const Setting *setting = fields->setting;
    if (node->rank && node->shape[0] == fields->rows) return true;
    report(e, D_field_rows, setting->span, "'%s' is %s, but a field has one row for each row of the file",
           setting->name.text, node->rank ? describe(e, value_tensor(node)) : "one number");
    help(e, "columns[0:3] has the shape [rows, 3], columns[3] the shape [rows]");
    return false;
}

static bool is_feed(const Fields *fields, const Node *node) {
    for (int i = 0; i < fields->block->feeds.count; i++)
        if (fields->block->feeds.items[i].variable == node) return true;
    return false;
}

static bool check_reads(Fields *fields, Node *node) {
    Elaborator *e = fields->e;
    NodeArray nodes = reachable(e->graph, &node, 1);
    for (int i = 0; i < nodes.count; i++) {
        const Node *leaf = nodes.items[i];
        bool random = leaf->op == OP_random_uniform || leaf->op == OP_random_normal;
        if ((leaf->op != OP_variable || is_feed(fields, leaf)) && !random) continue;
        report(e, D_field_not_of_columns, fields->setting->span,
               "'%s' depends on %s, but a field is made of the file's columns alone", fields->setting->name.text,
               random ? "random numbers" : "parameters");
        return false;
    }
    return true;
}

// The node as the field's written type says. NULL: reported.
static Node *as_written(Fields *fields, Node *node) {
    Elaborator *e = fields->e;
    const Setting *setting = fields->setting;
    TypeName name = type_name(e, setting->type->name, true);
    if (name.class == TYPE_UNKNOWN) return NULL;
    Dtype dtype = name.class == TYPE_DTYPE ? name.dtype : e->program->floating;
    bool tensor = name.class == TYPE_DTYPE || name.class == TYPE_FLOAT;
    if (!tensor || (dtype == DTYPE_BOOL) != (node->dtype == DTYPE_BOOL)) {
        report(e, D_dtype_mismatch, setting->type->span, "'%s' is %s here, not %s", setting->name.text,
               describe(e, value_tensor(node)), setting->type->name.text);
        return NULL;
    }
    Shape shape = shape_of(node);
    const char *what = arena_print(e->arena, "'%s'", setting->name.text);
    bool fits = match_shape(e, setting->type, &shape, false, setting->span, what) &&
                match_shape(e, setting->type, &shape, true, setting->span, what);
    return fits ? cast(e->graph, node, dtype) : NULL;
}

// The field that fields->setting makes. NULL: reported.
static Node *field_node(Fields *fields) {
    Elaborator *e = fields->e;
    const Setting *setting = fields->setting;
    fields->has_shape = fields->failed = false;
    Expression *expression = over_rows(fields, setting->values.items[0]);
    Value value = fields->failed ? (Value){.kind = VALUE_ERROR} : evaluate(e, expression);
    Node *node = as_tensor(e, value, setting->values.items[0]->span);
    if (!node || !check_rows(fields, node) || !check_reads(fields, node)) return NULL;
    if (setting->type) node = as_written(fields, node);
    if (!node) return NULL;
    bind_name(e, e->frame->scope, setting->name.text, value_tensor(node));   // later fields may use it
    return dtype_is_float(node->dtype) && !setting->type ? cast(e->graph, node, wanted_dtype(e, setting->name.text))
                                                         : node;
}

static void add_field(Fields *fields, Node *node) {
    Elaborator *e = fields->e;
    const Setting *setting = fields->setting;
    DataField field = {.name = setting->name.text, .span = setting->span};
    NodeArray arguments = {0}, nodes = reachable(e->graph, &node, 1);
    for (int i = 0; i < nodes.count; i++)
        if (is_feed(fields, nodes.items[i])) array_push(e->arena, &arguments, nodes.items[i]);
    field.value = (Function){field.name, arguments.count, arguments.items, 1, arena_new(e->arena, Named)};
    *field.value.results = (Named){field.name, node};
    array_push(e->arena, &fields->block->fields, field);
}

// ---- all fields

static bool is_field(const Setting *setting) {
    return setting->is_assignment && !is_data_setting(setting->name.text);
}

// Elaborates all fields over a table of that shape. False: reported.
static bool make_fields(Fields *fields, const Extent *columns) {
    Elaborator *e = fields->e;
    DataBlock *block = fields->block;
    Shape shape = {.rank = 2, .extents = {fields->rows, columns}};
    block->fields.count = block->feeds.count = 0;
    frame_push(e, NULL, false, fields->item->name.span);
    e->frame->floating = DTYPE_F64;   // numbers are f64 until all is computed
    fields->table = feed_variable(fields, FEED_COLUMNS, NULL, 0, &shape, fields->item->span);
    bind_name(e, e->frame->scope, "columns", value_tensor((Node *)fields->table));
    bool fine = true;
    for (int i = 0; i < fields->item->setting_count; i++) {
        fields->setting = &fields->item->settings[i];
        if (!is_field(fields->setting)) continue;
        Node *node = field_node(fields);
        if (node) add_field(fields, node);
        fine = fine && node;
    }
    frame_pop(e);
    return fine;
}

// The least number of columns that meets all conditions on it. False: some condition is not of that kind, which is
// reported.
static bool least_columns(Fields *fields, const Entry *conditions, int64_t *least) {
    static const int64_t most = (int64_t)1 << 40;
    int dim, other;
    int64_t scale, offset;
    extent_affine(fields->columns, &dim, &scale, &offset);
    *least = 0;
    for (int i = 0; i < conditions->checks.count; i++) {
        const Check *check = &conditions->checks.items[i];
        if (!extent_dim_name(check->extent, dim)) continue;
        if (!extent_affine(check->extent, &other, &scale, &offset) || other != dim || scale <= 0) {
            report(fields->e, D_wrong_columns, check->span,
                   "these columns are not at numbers, counted from the first or the last");
            return false;
        }
        if (offset < -most) {
            report(fields->e, D_wrong_columns, check->span, "a file does not have that many columns");
            return false;
        }
        int64_t needed = (-offset + scale - 1) / scale;
        if (needed > *least) *least = needed;
    }
    return true;
}

static bool mentions(const Extent *const *extents, int count, int dim) {
    for (int i = 0; i < count; i++)
        if (extent_dim_name(extents[i], dim)) return true;
    return false;
}

// Whether some field depends on the number of columns.
static bool uses_column_count(const Fields *fields) {
    int dim;
    int64_t scale, offset;
    extent_affine(fields->columns, &dim, &scale, &offset);
    for (int i = 0; i < fields->block->fields.count; i++) {
        NodeArray nodes = reachable(fields->e->graph, &fields->block->fields.items[i].value.results[0].node, 1);
        for (int k = 0; k < nodes.count; k++) {
            const Node *node = nodes.items[k];
            if (node == fields->table) continue;
            if (mentions((const Extent *const *)node->shape, node->rank, dim) ||
                mentions((const Extent *const *)node->attributes, node->attribute_count, dim))
                return true;
        }
    }
    return false;
}

bool make_all_fields(Elaborator *e, const Item *item, DataBlock *block) {
    Fields fields = {.e = e, .item = item, .block = block};
    fields.rows = fresh_dim(e, "rows");
    fields.columns = fresh_dim(e, "columns");
    Entry conditions = {.name = block->name, .span = item->name.span};
    EntryContext context = {.entry = &conditions}, *outer = e->context;
    int64_t least;
    e->context = &context;
    bool fine = make_fields(&fields, fields.columns) && least_columns(&fields, &conditions, &least);
    if (fine) {
        const Extent *constant = constant_extent(e, least);
        bool open = uses_column_count(&fields);
        conditions.checks.count = 0;
        fine = make_fields(&fields, open ? extent_add(e->graph->extents, fields.columns, constant) : constant);
        for (int i = 0; i < conditions.checks.count; i++)
            array_push(e->arena, &block->checks, conditions.checks.items[i]);
    }
    e->context = outer;
    return fine;
}
