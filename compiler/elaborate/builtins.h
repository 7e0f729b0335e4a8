// The functions behind the rows of builtins.def, by subject, and what they share.
#ifndef GRADC_ELABORATE_BUILTINS_H
#define GRADC_ELABORATE_BUILTINS_H

#include "elaborate/calls.h"

#define BUILTIN(name, signature, function, op) BuiltinFunction function;
#include "elaborate/builtins.def"
BuiltinFunction builtin_map;

// What an argument of a builtin is. Each reports what does not fit and gives NULL or false.
Node *tensor_argument(const BuiltinCall *call, int index);
bool shape_argument(const BuiltinCall *call, int index, Shape *shape);
bool result_shape_argument(const BuiltinCall *call, int index, Shape *shape);   // no size is negative
bool flag_argument(const BuiltinCall *call, int index, bool *flag);             // left out: false
bool axis_argument(const BuiltinCall *call, int index, int rank, int missing, int *axis);
Node *floating_argument(const BuiltinCall *call, int index);
// One axis or a list of axes, in the order in which they are named; left out: all.
bool axes_argument(const BuiltinCall *call, int index, int rank, int *axes, int *count);
Value no_value(void);

// ---- gradients.c

// The vector-Jacobian product of y and the cotangent (NULL: 1) by what argument 1 of the call names, and nothing else.
Value gradient_by(const BuiltinCall *call, Node *y, Node *cotangent, Value target, bool allow_unused);
// The nodes that argument 1 of the call, or a part of it, names, by which y is to be differentiated. False: reported.
bool find_targets(const BuiltinCall *call, Node *y, Value target, bool allow_unused, NodeArray *targets);
// The value that `grad` differentiates: argument 0, one floating number. NULL: reported.
Node *scalar_argument(const BuiltinCall *call);

#endif
