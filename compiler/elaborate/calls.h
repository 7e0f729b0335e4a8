// Calls inside of elaboration: arguments and what they are given to, functions, instances and builtins.
#ifndef GRADC_ELABORATE_CALLS_H
#define GRADC_ELABORATE_CALLS_H

#include "elaborate/values.h"

// ---- arguments.c, call.c

typedef struct {
    const char *name;   // NULL: by position
    Value value;
    Span span;        // of the value
    Span name_span;   // of `name =`
} CallArgument;
struct CallArguments {
    CallArgument *items;
    int count;
};

Value evaluate_call(Elaborator *e, const Expression *expression);
Value call_value(Elaborator *e, Value callee, const char *name, const CallArguments *arguments, Span span);
Value call_callable(Elaborator *e, const Callable *callable, const CallArguments *arguments, Span span);
Value call_instance(Elaborator *e, Instance *instance, const CallArguments *arguments, Span span);
CallArguments evaluate_arguments(Elaborator *e, const Arguments *arguments);
Frame *frame_push(Elaborator *e, const Item *item, bool library, Span call);
void frame_pop(Elaborator *e);
// Runs the body in the current frame and gives what it returns, checked against the declared results.
Value run_body(Elaborator *e, const Item *item);
// Gives the arguments to the parameters of the frame's item. False: reported.
bool bind_arguments(Elaborator *e, const Item *item, const CallArguments *arguments, Span span);
void suggest_argument(Elaborator *e, const Item *item, const char *name);   // "did you mean", if one is near
int parameter_index(const Item *item, const char *name);                    // -1: none
const char *argument_alias(const char *name);                               // PyTorch's word for an argument, in ours
const char *signature_text(Elaborator *e, const Item *item);                // "f(x: f32[N], axis: int = ...)"
bool is_static_class(TypeClass class);
// A compile-time value, checked against its class. `what` opens the message.
Value static_argument(Elaborator *e, TypeClass class, Value value, Span span, const char *what);
// The value as one of the declared type, in the current frame; may bind its dims. `what` opens the message.
Value typed_value(Elaborator *e, const Type *type, Value value, Span span, const char *what);
Scope *root_scope(Elaborator *e);

// ---- builtins.c

typedef struct {
    Elaborator *e;
    const Builtin *builtin;
    Span span;
    Value *values;   // one for each parameter of the signature; VALUE_NONE where left out
    Span *spans;
    bool *given;
} BuiltinCall;
typedef Value BuiltinFunction(const BuiltinCall *call);
struct Builtin {
    const char *name;
    const char *signature;   // "x axis=none keepdims=false"
    BuiltinFunction *function;
    Op op;   // of the plain elementwise ones, and of reductions
};
const Builtin *find_builtin(const char *name);
const Builtin *builtin_table(int *count);
Value call_builtin(Elaborator *e, const Builtin *builtin, const CallArguments *arguments, Span span);
Node *reduce_axes(Elaborator *e, Op op, Node *x, Value axes, bool keep, Span span);   // NULL: reported

#endif
