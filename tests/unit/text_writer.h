// What the files of the generator of random texts share: the values that a statement may read, and the makers, each of
// which writes statements.
#ifndef GRADC_TESTS_TEXT_WRITER_H
#define GRADC_TESTS_TEXT_WRITER_H

#include "graph/extent.h"
#include "random_program.h"

typedef enum { REAL, WHOLE, TRUTH } ValueKind;

// A name, or an expression that needs no parentheses, with its type.
typedef struct {
    const char *text;
    ValueKind kind;
    int rank;
    const Extent *shape[MAX_RANK];
    double bound;        // of a real value
    bool is_parameter;   // a `param` of this block
} Value;

enum { MOST_VALUES = 96, LARGEST_VALUE = 600 };

typedef struct {
    Arena *arena;
    Random random;
    ExtentTable *extents;
    const Extent *rows, *steps;   // the open dims N and T
    Text head, uses, body;        // declarations of items; `param`, `state` and `use`; statements
    int indent;                   // of statements
    int depth;                    // of loops around them
    int names;
    Value values[MOST_VALUES];
    int count;
    unsigned templates;   // those of text_templates.c that are used, by bit
    bool has_states;
} Writer;

// ---- text_writer.c

static inline int below(Writer *w, int bound) {
    return random_below(&w->random, bound);
}
static inline bool one_in(Writer *w, int count) {
    return below(w, count) == 0;
}

const Extent *count_extent(Writer *w, int64_t value);
const Extent *sum_of(Writer *w, const Extent *a, int64_t b);
const Extent *product_of(Writer *w, const Extent *a, const Extent *b);
bool is_known(const Extent *extent, int64_t *size);   // it is a constant
const char *extent_in_text(Writer *w, const Extent *extent);
const char *shape_in_text(Writer *w, const Value *value);   // "[N, 3]"
const char *type_in_text(Writer *w, const Value *value);    // "float[N, 3]"
int64_t typical_elements(const Value *value);               // for a usual size of open dims
bool same_value_shape(const Value *a, const Value *b);

char *print(Writer *w, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
void write_line(Writer *w, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
const char *new_name(Writer *w, const char *start);

// A real value of x's shape, of which nothing but the shape is set.
Value real_like(const Value *x);
Value real_of(const Extent *const *shape, int rank, double bound);

// Writes `name = expression` for a new name of the type, and adds it to the values. Index of it, or -1: too large.
int bind_value(Writer *w, Value type, const char *expression);

// A value of the kind, with at least `rank` axes; `*index` may be NULL. False: there is none.
bool pick_value(Writer *w, ValueKind kind, int least_rank, Value *value);
// A real value of exactly this shape: one that is there, or a number repeated, or one summed or broadcast.
const char *filling(Writer *w, const Value *shape, double *bound);
// The text of x, or of x squeezed between -limit and limit.
const char *within(Writer *w, const Value *x, double limit);
// x^2 + least
const char *above(Writer *w, const Value *x, double least);
// NumPy's shape of both; false: they do not fit.
bool shapes_together(const Value *a, const Value *b, Value *result);
Value without_axis(const Value *x, int axis);
// An axis as the user may write it: counted from the front or from the back.
int signed_axis(Writer *w, int axis, int rank);

// ---- makers. False: nothing was written.
typedef bool TextMaker(Writer *w);

// text_elementwise.c
TextMaker text_unary, text_binary, text_where, text_whole, text_draw, text_literal;
// text_arrange.c
TextMaker text_index, text_gather, text_reshape, text_turn, text_join, text_part, text_repeat, text_pad;
// text_reduce.c
TextMaker text_reduce, text_along, text_product, text_order, text_window, text_convolution, text_loss_function;
// text_blocks.c
TextMaker text_loop, text_instances, text_gradient, text_parameter, text_layer, text_state, text_call;

// Statements chosen at random, about `count` of them.
void text_statements(Writer *w, int count);

// ---- text_templates.c: functions and nets that programs use, written only if they are.
enum {
    TEMPLATE_SOFT,       // fn soft(x): elementwise, with a derivative of its own
    TEMPLATE_TWIST,      // fn twist(x, y): two arguments and two results, with a derivative of its own
    TEMPLATE_ENERGY,     // fn energy(x): a reduction with a derivative of its own
    TEMPLATE_GATE,       // net gate<D>: parameters
    TEMPLATE_RESIDUAL,   // net residual<inner: fn>: a net in a net
    TEMPLATE_CENTRED,    // net centred<D>: a state
    TEMPLATE_BLEND,      // fn blend(a, b, weight): loops, a default, two shapes
    TEMPLATES
};
void write_templates(Writer *w, Text *text);

#endif
