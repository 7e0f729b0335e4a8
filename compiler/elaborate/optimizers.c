// Which optimizer each trained parameter has: the last setting whose patterns match the parameter's path. One without
// patterns is for all parameters.
#include "elaborate/settings.h"
#include "support/pattern.h"

#include <string.h>

// ---- patterns

static bool setting_takes(const Setting *setting, const char *path) {
    for (int i = 0; i < setting->pattern_count; i++)
        if (pattern_takes(setting->patterns[i].text, path)) return true;
    return setting->pattern_count == 0;
}

// Patterns of nothing are mistakes in spelling.
static bool check_patterns(Elaborator *e, const Train *train, const Setting *setting) {
    const TrainBlock *block = train->block;
    const char **paths = arena_array(e->arena, const char *, block->trained_count);
    for (int i = 0; i < block->trained_count; i++) paths[i] = block->trained[i]->path;
    for (int i = 0; i < setting->pattern_count; i++) {
        const Name *pattern = &setting->patterns[i];
        bool found = false;
        for (int k = 0; k < block->trained_count; k++) found = found || pattern_takes(pattern->text, paths[k]);
        if (found) continue;
        report(e, D_pattern_matches_nothing, pattern->span, "no parameter that is trained here is called '%s'",
               pattern->text);
        const char *near = nearest_name(pattern->text, paths, block->trained_count);
        if (near) help(e, "did you mean '%s'?", near);
        else help(e, "paths are like '%s'; `*` stands for any part of one", paths[0]);
        return false;
    }
    return true;
}

// ---- settings

// Gives each parameter the number of its setting, as -1 - number until the optimizer is made. False: reported.
static bool choose(Elaborator *e, Train *train, Span span) {
    TrainBlock *block = train->block;
    block->optimizer_of = arena_array(e->arena, int, block->trained_count);
    for (int i = 0; i < block->trained_count; i++) {
        const char *path = block->trained[i]->path;
        for (int k = 0; k < train->optimizers.count; k++)
            if (setting_takes(train->optimizers.items[k], path)) block->optimizer_of[i] = -1 - k;
        if (block->optimizer_of[i]) continue;
        report(e, D_no_optimizer, span, "no optimizer of this block is for '%s'", path);
        help(e, "one without `for` is for all parameters that no other is for");
        return false;
    }
    return true;
}

static bool is_chosen(const TrainBlock *block, int setting) {
    for (int i = 0; i < block->trained_count; i++)
        if (block->optimizer_of[i] == -1 - setting) return true;
    return false;
}

static void add_words(Text *text, const Setting *setting, const char *name) {
    text_add(text, "%s%s", text->length ? ", " : "", name);
    for (int i = 0; i < setting->pattern_count; i++)
        text_add(text, "%s%s", i ? " and " : " for ", setting->patterns[i].text);
}

bool make_optimizers(Elaborator *e, Train *train, Span span) {
    TrainBlock *block = train->block;
    Text words = {.arena = e->arena};
    if (!train->optimizers.count) {
        report(e, D_no_optimizer, span, "a train block needs an optimizer");
        help(e, "write it as: optimizer adam(lr = 1e-3)");
        return false;
    }
    for (int i = 0; i < train->optimizers.count; i++)
        if (!check_patterns(e, train, train->optimizers.items[i])) return false;
    if (!choose(e, train, span)) return false;
    for (int i = 0; i < train->optimizers.count; i++) {
        const Setting *setting = train->optimizers.items[i];
        bool chosen = is_chosen(block, i);
        if (!chosen)
            diagnose(e->diagnostics, D_unused_optimizer, setting->span, "no parameter is left for this optimizer");
        if (!chosen) diagnose_help(e->diagnostics, "of several whose patterns match a parameter, the last is taken");
        if (!chosen) continue;
        if (!make_optimizer(e, train, i)) return false;
        add_words(&words, setting, block->optimizers.items[block->optimizers.count - 1]->name);
    }
    block->optimizer_words = words.bytes;
    for (int i = 0; i < block->optimizers.count; i++)
        if (block->optimizers.items[i]->state_count > block->state_count)
            block->state_count = block->optimizers.items[i]->state_count;
    return true;
}
