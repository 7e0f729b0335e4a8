// What elaboration computes with: types, shapes, and expressions of values.
#ifndef GRADC_ELABORATE_VALUES_H
#define GRADC_ELABORATE_VALUES_H

#include "elaborate/elaborator.h"

// ---- types.c

typedef enum {
    TYPE_DTYPE,
    TYPE_FLOAT,
    TYPE_INTEGER,   // tensors
    TYPE_INT,
    TYPE_BOOLEAN,
    TYPE_STRING,
    TYPE_FUNCTION,
    TYPE_ANY,
    TYPE_SHAPE,   // known when compiled
    TYPE_UNKNOWN
} TypeClass;
typedef struct {
    TypeClass class;
    Dtype dtype;   // TYPE_DTYPE
} TypeName;
TypeName type_name(Elaborator *e, Name name, bool has_dimensions);   // TYPE_UNKNOWN: reported
// Whether a dtype is called so; `floating` is what `float` means. In a program of f64 f32 is f64, too (L6).
bool is_dtype_name(const Elaborator *e, const char *name, Dtype floating, Dtype *dtype);

Value value_tensor(Node *node);
Value value_integer(Elaborator *e, int64_t value);
Value value_extent(const Extent *extent);
Value value_real(double value);
Value value_bool(bool value);
Value value_list(Elaborator *e, const Value *items, int count);
bool is_integer_number(Value value, int64_t *number);   // a NUMBER that is a constant integer
const Extent *as_extent(Elaborator *e, Value value);    // NULL: not a compile-time integer
Value settle(Elaborator *e, Value value, Span span);    // lists and parameters become tensors
// The value as a tensor of its own dtype: weak ones take i32 or the frame's float. NULL: reported.
Node *as_tensor(Elaborator *e, Value value, Span span);
// The value as a tensor of `dtype`, to which it must be convertible without a cast. NULL: reported.
Node *as_dtype(Elaborator *e, Value value, Dtype dtype, Span span);
// The dtype that the values have together. `weak`: none of them was strong. False: reported.
bool promote(Elaborator *e, Span span, const Value *values, int count, Dtype *dtype, bool *weak);
bool is_tensor_like(Value value);   // TENSOR, NUMBER, BOOL, LIST, PARAMETERS
Node *cast_weak(Elaborator *e, Node *node, Dtype dtype);

// ---- shapes.c

Shape shape_of(const Node *node);
// A size computed from others has no more terms and factors than this.
enum { LARGEST_POLYNOMIAL = 64 };
bool is_manageable(Elaborator *e, const Extent *extent, Span span);   // false: reported
Shape shape_make(const Extent *const *extents, int rank);
bool shapes_equal(const Shape *a, const Shape *b);
const Extent *constant_extent(Elaborator *e, int64_t value);
// NumPy's broadcasting; only a literal 1 is repeated. False: reported, naming `what` ("+").
bool broadcast_shapes(Elaborator *e, Span span, const char *what, Node *const *nodes, int count, Shape *result);
Node *broadcast_to(Elaborator *e, Node *node, const Shape *shape);
bool as_shape(Elaborator *e, Value value, Span span, Shape *shape);   // false: reported
bool as_axis(Elaborator *e, Value value, int rank, Span span, int *axis);
// One axis or a list of axes, in the order in which they are named; none: all.
bool as_axes(Elaborator *e, Value value, int rank, Span span, int *axes, int *count);
const Extent *size_value(Elaborator *e, const Size *size);   // NULL: reported
void unknown_size(Elaborator *e, Name name);                 // reports it
Value static_value(Elaborator *e, const Static *argument);
// The shape that a type's dimensions mean in the current frame. False: reported.
bool type_shape(Elaborator *e, const Type *type, Shape *shape);
// Binds the frame's dims and packs so that the type fits `shape`: bare names first (`expressions` false), then the rest
// is checked. `what` opens the message.
bool match_shape(Elaborator *e, const Type *type, const Shape *shape, bool expressions, Span span, const char *what);
// Requires extent >= 0 when the entry is called; what can be proved is not added. False: provably wrong.
bool require_at_least_zero(Elaborator *e, const Extent *extent, Span span, const char *message);

// ---- expressions.c, indexing.c, arithmetic.c

Value evaluate(Elaborator *e, const Expression *expression);
// Counts what is nested, so that the stack holds it: `levels` are added to e->depth, or false: it is too deep, reported.
bool go_deeper(Elaborator *e, int levels, Span span);
// Counts work against what a program may take altogether. False: it is too much, reported.
bool spend(Elaborator *e, int work, Span span);
Value evaluate_index(Elaborator *e, const Expression *expression);
Value index_tensor(Elaborator *e, Node *x, const Indices *indices, Span span);
Value binary(Elaborator *e, Operator operator, Value left, Value right, Span span);
Value unary(Elaborator *e, Operator operator, Value value, Span span);
Value map_values(Elaborator *e, Op op, const Value *values, int count, Span span);   // promotes and broadcasts
Value matmul(Elaborator *e, Value left, Value right, Span span);
Value tensor_of_list(Elaborator *e, Value list, Span span);
Node *select_nodes(Elaborator *e, Node *condition, Node *a, Node *b);
Node *concatenate(Elaborator *e, Node *const *parts, int count, int axis);

#endif
