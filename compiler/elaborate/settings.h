// What data and train blocks share: their settings, and what can be wrong with one.
#ifndef GRADC_ELABORATE_SETTINGS_H
#define GRADC_ELABORATE_SETTINGS_H

#include "elaborate/elaborator.h"

// Whether no earlier setting of the block has its name; else reported.
bool setting_is_first(Elaborator *e, const Item *block, int index);
// Reports a setting that no block of that kind ("data") has. False.
bool unknown_setting(Elaborator *e, const Setting *setting, const char *kind, const char *const *names, int count);
// Reports `for "..."` behind a setting that takes none. False.
bool wrong_patterns(Elaborator *e, const Setting *setting);
// The whole number, at least `least`, that the setting gives. False: reported.
bool whole_setting(Elaborator *e, const Setting *setting, int64_t least, int64_t *number);

// ---- optimizer.c

// The optimizer that `adam(lr = 1e-3)` stands for. NULL: reported.
Optimizer *make_optimizer(Elaborator *e, const Expression *call);

#endif
