// Data blocks: what stands in a file's columns, as functions of all its cells (program.h: DataField).
//
// How many columns the file has is not known here. So the fields are elaborated twice: first over any number of
// columns, which gathers the conditions that the number must meet; then over as many as these ask for, and, where some
// column is counted from the end, any number more. The runtime compares that with the file.
#include "elaborate/settings.h"

#include <string.h>

static const char *const settings[] = {"file", "split"};

// ---- `columns[i]` is `cells[:, i]`

static bool is_columns(const Expression *expression) {
    return expression->kind == EXPRESSION_NAME && strcmp(expression->name.text, "columns") == 0;
}

static Expression *over_rows(Elaborator *e, const Expression *expression);

static Expressions list_over_rows(Elaborator *e, Expressions list) {
    Expressions result = {arena_array(e->arena, Expression *, list.count), list.count};
    for (int i = 0; i < list.count; i++) result.items[i] = over_rows(e, list.items[i]);
    return result;
}

static Arguments arguments_over_rows(Elaborator *e, Arguments arguments) {
    Arguments result = {arena_array(e->arena, Argument, arguments.count), arguments.count};
    for (int i = 0; i < arguments.count; i++) {
        result.items[i] = arguments.items[i];
        result.items[i].value = over_rows(e, arguments.items[i].value);
    }
    return result;
}

static Indices indices_over_rows(Elaborator *e, const Expression *expression) {
    int rows = is_columns(expression->left);   // all of them, as a further index before the column's
    Indices result = {arena_array(e->arena, Index, expression->indices.count + rows), expression->indices.count + rows};
    if (rows) result.items[0] = (Index){.kind = INDEX_RANGE, .span = expression->span};
    for (int i = 0; i < expression->indices.count; i++) {
        Index index = expression->indices.items[i];
        index.expression = over_rows(e, index.expression);
        index.begin = over_rows(e, index.begin);
        index.end = over_rows(e, index.end);
        index.step = over_rows(e, index.step);
        result.items[i + rows] = index;
    }
    return result;
}

// A copy of the expression in which every index into `columns` goes to the second axis.
static Expression *over_rows(Elaborator *e, const Expression *expression) {
    if (!expression) return NULL;
    Expression *copy = arena_copy(e->arena, expression, sizeof *expression);
    copy->left = over_rows(e, expression->left);
    copy->right = over_rows(e, expression->right);
    copy->items = list_over_rows(e, expression->items);
    copy->arguments = arguments_over_rows(e, expression->arguments);
    if (expression->kind != EXPRESSION_INDEX) return copy;
    copy->indices = indices_over_rows(e, expression);
    if (!is_columns(expression->left) || expression->indices.count == 1) return copy;
    report(e, D_wrong_columns, expression->span, "'columns' takes one index, not %d", expression->indices.count);
    help(e, "a column of all rows is columns[3], some are columns[0:3]");
    return NULL;
}

// ---- fields

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

static bool check_rows(Elaborator *e, const Setting *setting, Node *node, const Node *cells) {
    if (node->rank && node->shape[0] == cells->shape[0]) return true;
    report(e, D_field_rows, setting->span, "'%s' is %s, but a field has one row for each row of the file",
           setting->name.text, node->rank ? describe(e, value_tensor(node)) : "one number");
    help(e, "columns[0:3] has the shape [rows, 3], columns[3] the shape [rows]");
    return false;
}

static bool check_reads(Elaborator *e, const Setting *setting, Node *node, const Node *cells) {
    NodeArray nodes = reachable(e->graph, &node, 1);
    for (int i = 0; i < nodes.count; i++) {
        const Node *leaf = nodes.items[i];
        bool random = leaf->op == OP_random_uniform || leaf->op == OP_random_normal;
        if ((leaf->op != OP_variable || leaf == cells) && !random) continue;
        report(e, D_field_not_of_columns, setting->span,
               "'%s' depends on %s, but a field is made of the file's columns alone", setting->name.text,
               random ? "random numbers" : "parameters");
        return false;
    }
    return true;
}

// The field over these cells. NULL: reported.
static Node *field_node(Elaborator *e, const Setting *setting, const Node *cells) {
    Expression *expression = over_rows(e, setting->values.items[0]);
    Value value = expression ? evaluate(e, expression) : (Value){.kind = VALUE_ERROR};
    Node *node = as_tensor(e, value, setting->values.items[0]->span);
    if (!node || !check_rows(e, setting, node, cells) || !check_reads(e, setting, node, cells)) return NULL;
    bind_name(e, e->frame->scope, setting->name.text, value_tensor(node));   // later fields may use it
    return dtype_is_float(node->dtype) ? cast(e->graph, node, wanted_dtype(e, setting->name.text)) : node;
}

static bool is_setting_name(const char *name) {
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(name, settings[i]) == 0) return true;
    return false;
}

static bool is_field(const Setting *setting) {
    return setting->is_assignment && !is_setting_name(setting->name.text);
}

// Elaborates all fields over cells of that shape. False: reported.
static bool make_fields(Elaborator *e, const Item *item, const Extent *rows, const Extent *columns, DataBlock *block) {
    const Extent *shape[] = {rows, columns};
    Variable variable = {.kind = VARIABLE_ARGUMENT, .name = "columns"};
    Node *cells = variable_make(e->graph, &variable, DTYPE_F64, shape, 2);
    frame_push(e, NULL, false, item->name.span);
    e->frame->floating = DTYPE_F64;   // cells are f64 until all is computed
    bind_name(e, e->frame->scope, "columns", value_tensor(cells));
    bool fine = true;
    block->fields.count = 0;
    for (int i = 0; i < item->setting_count; i++) {
        const Setting *setting = &item->settings[i];
        Node *node = is_field(setting) ? field_node(e, setting, cells) : NULL;
        fine = fine && (node || !is_field(setting));
        if (!node) continue;
        const char *name = setting->name.text;
        DataField field = {
            .name = name, .value = {name, 1, arena_array(e->arena, Node *, 1), 1, NULL}, .span = setting->span};
        field.value.arguments[0] = cells;
        field.value.results = arena_new(e->arena, Named);
        *field.value.results = (Named){name, node};
        array_push(e->arena, &block->fields, field);
    }
    frame_pop(e);
    return fine;
}

// ---- how many columns there must be

// The least number of columns that meets all conditions. False: some condition is not of that kind, which is reported.
static bool least_columns(Elaborator *e, const Entry *conditions, const Extent *columns, int64_t *least) {
    static const int64_t most = (int64_t)1 << 40;
    int dim, other;
    int64_t scale, offset;
    extent_affine(columns, &dim, &scale, &offset);
    *least = 0;
    for (int i = 0; i < conditions->checks.count; i++) {
        const Check *check = &conditions->checks.items[i];
        if (!extent_affine(check->extent, &other, &scale, &offset) || other != dim || scale <= 0) {
            report(e, D_wrong_columns, check->span,
                   "these columns are not at numbers, counted from the first or the last");
            return false;
        }
        if (offset < -most) {
            report(e, D_wrong_columns, check->span, "a file does not have that many columns");
            return false;
        }
        int64_t needed = (-offset + scale - 1) / scale;
        if (needed > *least) *least = needed;
    }
    return true;
}

static bool mentions(const Extent *const *extents, int count, int dim_count) {
    for (int i = 0; i < count; i++)
        if (extent_dim_count(extents[i]) == dim_count) return true;
    return false;
}

// Whether some field depends on the number of columns: `columns` is the newest dim.
static bool uses_column_count(Elaborator *e, const DataBlock *block, const Extent *columns) {
    int newest = extent_dim_count(columns);
    for (int i = 0; i < block->fields.count; i++) {
        const Function *value = &block->fields.items[i].value;
        NodeArray nodes = reachable(e->graph, &value->results[0].node, 1);
        for (int k = 0; k < nodes.count; k++) {
            const Node *node = nodes.items[k];
            if (node == value->arguments[0]) continue;
            if (mentions((const Extent *const *)node->shape, node->rank, newest) ||
                mentions((const Extent *const *)node->attributes, node->attribute_count, newest))
                return true;
        }
    }
    return false;
}

static bool make_all_fields(Elaborator *e, const Item *item, DataBlock *block) {
    const Extent *rows = fresh_dim(e, "rows"), *columns = fresh_dim(e, "columns");
    Entry conditions = {.name = block->name, .span = item->name.span};
    EntryContext context = {.entry = &conditions}, *outer = e->context;
    int64_t least;
    e->context = &context;
    bool fine = make_fields(e, item, rows, columns, block) && least_columns(e, &conditions, columns, &least);
    if (fine) {
        const Extent *constant = constant_extent(e, least);
        bool open = uses_column_count(e, block, columns);
        columns = open ? extent_add(e->graph->extents, columns, constant) : constant;
        fine = make_fields(e, item, rows, columns, block);
    }
    e->context = outer;
    return fine;
}

// ---- settings

// Where a data file is: beside the file of the program that names it, unless its path begins at the root.
static const char *data_path(Elaborator *e, const Setting *setting, const char *file) {
    const char *path = setting->span.source->path, *slash = strrchr(path, '/');
    int folder = slash && file[0] != '/' ? (int)(slash - path) + 1 : 0;
    return arena_print(e->arena, "%.*s%s", folder, path, file);
}

static bool file_setting(Elaborator *e, const Setting *setting, DataBlock *block) {
    const Expression *value = setting->values.items[0];
    block->file = value->name.text;
    if (value->kind == EXPRESSION_STRING && setting->values.count == 1) {
        array_push(e->arena, &block->files, data_path(e, setting, block->file));
        return true;
    }
    report(e, D_wrong_file, setting->span, "'file' takes the name of a file");
    help(e, "write it as: file \"digits.csv\"");
    return false;
}

static bool split_setting(Elaborator *e, const Setting *setting, DataBlock *block) {
    Value value = evaluate(e, setting->values.items[0]);
    if (value.kind == VALUE_ERROR) return false;
    int64_t whole;
    bool one = is_integer_number(value, &whole) && whole == 1;
    block->split = one ? 1 : value.kind == VALUE_NUMBER && !value.number.integer ? value.number.real : 0;
    if (block->split > 0 && block->split <= 1 && setting->values.count == 1) return true;
    report(e, D_wrong_split, setting->span, "'split' takes the share of the rows that train, above 0 and at most 1");
    help(e, "split 0.8 trains with four rows of five and holds out the fifth");
    return false;
}

// A field may have any name but those of the settings and of the cells themselves.
static bool check_field_name(Elaborator *e, const Setting *setting) {
    const char *name = setting->name.text;
    bool is_cells = strcmp(name, "columns") == 0;
    if (is_cells)
        report(e, D_reserved_field, setting->span, "'columns' is what the file holds, so no field can be called that");
    else if (is_setting_name(name))
        report(e, D_setting_with_equals, setting->span, "'%s' is a setting, which is written without '='", name);
    return !is_cells && !is_setting_name(name);
}

static bool apply_setting(Elaborator *e, const Item *item, int index, DataBlock *block) {
    const Setting *setting = &item->settings[index];
    const char *name = setting->name.text;
    if (!setting_is_first(e, item, index)) return false;
    if (setting->is_assignment) return check_field_name(e, setting);
    if (setting->pattern_count) return wrong_patterns(e, setting);
    if (strcmp(name, "file") == 0) return file_setting(e, setting, block);
    if (strcmp(name, "split") == 0) return split_setting(e, setting, block);
    return unknown_setting(e, setting, "data", settings, 2);
}

DataBlock *make_data(Elaborator *e, const Item *item) {
    DataBlock *block = arena_new(e->arena, DataBlock);
    *block = (DataBlock){.name = item->name.text, .split = 1, .span = item->span};
    bool fine = true;
    frame_push(e, NULL, false, item->name.span);
    for (int i = 0; i < item->setting_count; i++) fine = apply_setting(e, item, i, block) && fine;
    frame_pop(e);
    fine = make_all_fields(e, item, block) && fine;
    if (fine && !block->fields.count) {
        report(e, D_no_fields, item->name.span, "data %s gives nothing", block->name);
        help(e, "a field is written as: x = columns[0:64] / 16");
        return NULL;
    }
    return fine ? block : NULL;
}
