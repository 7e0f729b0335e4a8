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

// ---- data.c, fields.c

bool is_data_setting(const char *name);   // a setting of data blocks is called so
// Makes the block's feeds and fields. False: reported.
bool make_all_fields(Elaborator *e, const Item *item, DataBlock *block);

// A train block that is being made.
typedef struct {
    TrainBlock *block;
    const Setting *data, *parameters, *gradient;
    ARRAY(const Setting *) optimizers;
    ARRAY(Node *) numbers;   // variables, by slot: `iteration`, then the hyperparameters
    Node *flat;              // the trained parameters' gradients as one vector; NULL: nothing maps them
    Node *mapped;            // what the optimizers get of it: elementwise, given the block's measures
} Train;

// ---- hyperparameters.c

// A new number that the host can change; `setting` says for which parameters its optimizer is, if any.
Node *make_number(Elaborator *e, Train *train, const char *name, const Setting *setting, double number);
// `iteration` and `iterations`: the first two numbers of every block.
void add_progress(Elaborator *e, Train *train);
// A plain number that is given to a parameter of this type, as a new number of that kind, which like a plain number takes
// the dtype of what it meets; any other value as it is.
Value as_hyperparameter(Elaborator *e, Train *train, const Declaration *parameter, const Setting *setting, Value value);
// Puts the numbers that the function's results read behind its arguments.
void add_number_arguments(Elaborator *e, Function *function);

// ---- optimizer.c

bool is_optimizer_call(Elaborator *e, const Setting *setting);   // false: reported
// Makes what the setting `optimizer f(...)` says for the trained parameters numbered by it in block->optimizer_of.
// False: reported.
bool make_optimizer(Elaborator *e, Train *train, int setting);

// ---- optimizers.c

// Chooses an optimizer for each trained parameter and makes them all. False: reported.
bool make_optimizers(Elaborator *e, Train *train, Span span);

// ---- gradient_map.c

// Makes what the setting `gradient f(...), g(...)` says. False: reported.
bool make_gradient_map(Elaborator *e, Train *train);
// Whether a node computes element by element, or is a number.
bool is_elementwise(const Node *node);

#endif
