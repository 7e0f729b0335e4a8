// The functions behind the rows of builtins.def, by subject, and what they share.
#ifndef GRADC_ELABORATE_BUILTINS_H
#define GRADC_ELABORATE_BUILTINS_H

#include "elaborate/elaborator.h"

#define BUILTIN(name, signature, function, op) BuiltinFunction function;
#include "elaborate/builtins.def"
BuiltinFunction builtin_map;

// What an argument of a builtin is. Each reports what does not fit and gives NULL or false.
Node *tensor_argument(const BuiltinCall *call, int index);
bool shape_argument(const BuiltinCall *call, int index, Shape *shape);
bool flag_argument(const BuiltinCall *call, int index, bool *flag);   // left out: false
bool axis_argument(const BuiltinCall *call, int index, int rank, int missing, int *axis);
Value no_value(void);

#endif
