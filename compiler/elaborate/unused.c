// Warnings about names: those that hide the library's, and what nothing uses.
#include "elaborate/calls.h"

#include <string.h>

static bool in_library(Elaborator *e, const char *name) {
    const Global *global = find_in_library(e, name);
    return find_builtin(name) || (global && (global->net || global->functions || global->optimizer));
}

static void warn_of_shadow(Elaborator *e, Name name) {
    if (!in_library(e, name.text)) return;
    warn(e, D_shadows_library, name.span, "another name keeps both", "'%s' hides what the library calls so", name.text);
}

static const char *word_of(ItemKind kind) {
    return kind == ITEM_NET ? "net" : kind == ITEM_FN ? "function" : "optimizer";
}

// What is neither called nor used nor an entry was never elaborated. Files without a loss or metric are there for others.
static void warn_of_unused(Elaborator *e, const Item *item) {
    bool is_kind = item->kind == ITEM_NET || item->kind == ITEM_FN || item->kind == ITEM_OPTIMIZER;
    const Global *global = is_kind ? find_global(e, item->name.text) : NULL;
    if (!global || global->library || global->is_used || global->shared || global->is_template) return;
    if (item->span.source != e->file->source || entry_of_name(e, item->name.text)) return;
    warn(e, D_unused_net, item->name.span, NULL, "nothing uses the %s '%s', so its body is not checked",
         word_of(item->kind), item->name.text);
}

void warn_about_names(Elaborator *e) {
    bool whole = false;
    for (int i = 0; i < e->program->entries.count; i++) {
        EntryKind kind = e->program->entries.items[i]->kind;
        whole = whole || kind == ENTRY_LOSS || kind == ENTRY_METRIC;
    }
    for (int i = 0; i < e->file->count; i++) {
        const Item *item = e->file->items[i];
        bool named = item->kind == ITEM_NET || item->kind == ITEM_FN || item->kind == ITEM_OPTIMIZER ||
                     item->kind == ITEM_LOSS || item->kind == ITEM_METRIC || item->kind == ITEM_CONST;
        if (named) warn_of_shadow(e, item->name);
        if (whole) warn_of_unused(e, item);
    }
}
