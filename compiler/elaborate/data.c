// Data blocks: which files, what of them is data (fields.c), how rows are split, what a missing cell is.
#include "elaborate/calls.h"
#include "elaborate/settings.h"

#include <math.h>
#include <string.h>

static const char *const settings[] = {"file", "split", "stratify", "missing"};
enum { SETTING_COUNT = sizeof settings / sizeof *settings };

bool is_data_setting(const char *name) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (strcmp(name, settings[i]) == 0) return true;
    return false;
}

// Where a data file is: beside the file of the program that names it, unless its path begins at the root.
static const char *data_path(Elaborator *e, const Setting *setting, const char *file) {
    const char *path = setting->span.source->path, *slash = strrchr(path, '/');
    int folder = slash && file[0] != '/' ? (int)(slash - path) + 1 : 0;
    return arena_print(e->arena, "%.*s%s", folder, path, file);
}

static bool file_setting(Elaborator *e, const Setting *setting, DataBlock *block) {
    Text written = {.arena = e->arena};
    bool fine = true;
    for (int i = 0; i < setting->values.count && fine; i++) {
        const Expression *value = setting->values.items[i];
        fine = value->kind == EXPRESSION_STRING && value->name.text[0];
        if (!fine) continue;
        text_add(&written, "%s%s", i ? ", " : "", value->name.text);
        array_push(e->arena, &block->files, data_path(e, setting, value->name.text));
    }
    block->file = written.bytes;
    if (fine) return true;
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
    if (is_integer_number(value, &whole) && whole > 1 && whole < 100)
        help(e, "a share between 0 and 1: split %g", (double)whole / 100);
    else help(e, "a share between 0 and 1: split 0.8 trains with four rows of five and holds out the fifth");
    return false;
}

static bool stratify_setting(Elaborator *e, const Setting *setting, DataBlock *block) {
    const Expression *value = setting->values.items[0];
    block->stratify = value->name.text;
    if (value->kind == EXPRESSION_NAME && setting->values.count == 1) return true;
    report(e, D_wrong_stratify, setting->span, "'stratify' takes the name of a field");
    help(e, "stratify y holds out the same share of the rows of each value of y");
    return false;
}

static bool missing_setting(Elaborator *e, const Setting *setting, DataBlock *block) {
    Value value = evaluate(e, setting->values.items[0]);
    if (value.kind == VALUE_ERROR) return false;
    int64_t whole = 0;
    bool integer = is_integer_number(value, &whole);
    block->missing = integer ? (double)whole : value.number.real;
    block->may_miss = true;
    block->missing_words = setting->patterns;
    block->missing_word_count = setting->pattern_count;
    bool number = integer || (value.kind == VALUE_NUMBER && !value.number.integer);
    if (number && !isinf(block->missing) && setting->values.count == 1) return true;
    report(e, D_wrong_missing, setting->span, "'missing' takes the number that a missing cell gets, or nan");
    help(e, "missing 0 makes empty cells 0; missing nan for \"?\" makes those nan that hold a question mark");
    return false;
}

// A field may have any name but those of the settings and of what the files hold.
static bool check_field_name(Elaborator *e, const Setting *setting) {
    const char *name = setting->name.text;
    bool is_content = strcmp(name, "columns") == 0 || strcmp(name, "arrays") == 0;
    if (is_content)
        report(e, D_reserved_field, setting->span, "'%s' is what the file holds, so no field can be called that", name);
    else if (is_data_setting(name))
        report(e, D_setting_with_equals, setting->span, "'%s' is a setting, which is written without '='", name);
    return !is_content && !is_data_setting(name);
}

typedef bool ApplySetting(Elaborator *e, const Setting *setting, DataBlock *block);

static bool apply_setting(Elaborator *e, const Item *item, int index, DataBlock *block) {
    static ApplySetting *const apply[SETTING_COUNT] = {file_setting, split_setting, stratify_setting, missing_setting};
    const Setting *setting = &item->settings[index];
    const char *name = setting->name.text;
    if (!setting_is_first(e, item, index)) return false;
    if (setting->is_assignment) return check_field_name(e, setting);
    if (setting->pattern_count && strcmp(name, "missing") != 0) return wrong_patterns(e, setting);
    for (int i = 0; i < SETTING_COUNT; i++)
        if (strcmp(name, settings[i]) == 0) return apply[i](e, setting, block);
    return unknown_setting(e, setting, "data", settings, SETTING_COUNT);
}

// ---- what only the fields show

static const Setting *setting_of_name(const Item *item, const char *name) {
    for (int i = 0; i < item->setting_count; i++)
        if (strcmp(item->settings[i].name.text, name) == 0) return &item->settings[i];
    return NULL;
}

// What rows are split by must be one number for each row.
static bool check_stratify(Elaborator *e, const Item *item, const DataBlock *block) {
    if (!block->stratify) return true;
    const Setting *setting = setting_of_name(item, "stratify");
    if (block->split >= 1) {
        report(e, D_wrong_stratify, setting->span,
               "'stratify' says how rows are held out, and this block holds out none");
        help(e, "give it a split as well: split 0.8");
        return false;
    }
    const char **names = arena_array(e->arena, const char *, block->fields.count + 1);
    for (int i = 0; i < block->fields.count; i++) {
        const DataField *field = &block->fields.items[i];
        const Node *node = field->value.results[0].node;
        names[i] = field->name;
        if (strcmp(field->name, block->stratify) != 0) continue;
        if (node->rank == 1) return true;
        report(e, D_wrong_stratify, setting->span,
               "'stratify' takes a field with one number for each row, but '%s' is %s", field->name,
               describe(e, value_tensor((Node *)node)));
        return false;
    }
    report(e, D_wrong_stratify, setting->span, "data %s has no field '%s'", block->name, block->stratify);
    const char *nearest = nearest_name(block->stratify, names, block->fields.count);
    if (nearest) help(e, "did you mean '%s'?", nearest);
    return false;
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
    return fine && check_stratify(e, item, block) ? block : NULL;
}
