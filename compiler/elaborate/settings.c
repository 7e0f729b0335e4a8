// Settings of data and train blocks.
#include "elaborate/settings.h"
#include "elaborate/values.h"

#include <string.h>

bool setting_is_first(Elaborator *e, const Item *block, int index) {
    const Setting *setting = &block->settings[index];
    for (int i = 0; i < index; i++) {
        if (strcmp(block->settings[i].name.text, setting->name.text) != 0 || block->settings[i].pattern_count) continue;
        report(e, D_set_twice, setting->name.span, "'%s' is set twice in this block", setting->name.text);
        diagnose_note(e->diagnostics, block->settings[i].span, "it is set here first");
        return false;
    }
    return true;
}

bool unknown_setting(Elaborator *e, const Setting *setting, const char *kind, const char *const *names, int count) {
    const char *name = setting->name.text, *nearest = nearest_name(name, names, count);
    Text text = {.arena = e->arena};
    for (int i = 0; i < count; i++) text_add(&text, "%s%s", i ? ", " : "", names[i]);
    report(e, D_unknown_setting, setting->name.span, "a %s block has no setting '%s'", kind, name);
    if (nearest) help(e, "did you mean '%s'?", nearest);
    else help(e, "it has these: %s", text.bytes);
    return false;
}

bool wrong_patterns(Elaborator *e, const Setting *setting) {
    report(e, D_setting_for_some, setting->span, "'%s' is set for the whole block, not for some parameters",
           setting->name.text);
    return false;
}

bool whole_setting(Elaborator *e, const Setting *setting, int64_t least, int64_t *number) {
    Value value = evaluate(e, setting->values.items[0]);
    if (value.kind == VALUE_ERROR) return false;
    if (setting->values.count == 1 && is_integer_number(value, number) && *number >= least) return true;
    report(e, D_whole_number_expected, setting->span, "'%s' takes one whole number, at least %lld", setting->name.text,
           (long long)least);
    return false;
}
