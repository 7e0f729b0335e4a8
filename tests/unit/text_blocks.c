// Makers of loops, of gradients in the middle of a program, and the choice among all makers.
#include "text_writer.h"

#include <math.h>

// ---- loops

typedef struct {
    int count;   // of values before the loop
} Body;

static Body begin_body(Writer *w) {
    Body body = {w->count};
    w->indent += 4;
    w->depth++;
    return body;
}

static void end_body(Writer *w, Body body) {
    w->indent -= 4;
    w->depth--;
    w->count = body.count;
    write_line(w, "}");
}

static void add_value(Writer *w, Value value) {
    if (w->count == MOST_VALUES) return;
    w->values[w->count++] = value;
}

// `for e in x` or `for e, f in x, y`: adds the elements.
static void write_head(Writer *w, const Value *x) {
    Value y, element = without_axis(x, 0), other;
    element.text = new_name(w, "e");
    bool two = false;
    for (int i = 0; i < 3 && !two && one_in(w, 2); i++) {
        two = pick_value(w, REAL, 1, &y) && y.shape[0] == x->shape[0];
        if (!two) continue;
        other = without_axis(&y, 0);
        other.text = new_name(w, "e");
    }
    if (two) write_line(w, "for %s, %s in %s, %s {", element.text, other.text, x->text, y.text);
    else write_line(w, "for %s in %s {", element.text, x->text);
    add_value(w, element);
    if (two) add_value(w, other);
}

// Something of the body, stacked.
static Value write_yield(Writer *w, const Extent *trips, int first) {
    int at = w->count - 1;
    if (w->values[at].kind != REAL || w->values[at].rank > 3) at = first;
    Value value = w->values[at], stacked = real_of(NULL, 0, value.bound);
    if (value.kind != REAL || value.rank > 3) value = (Value){.text = "1.5", .bound = 2};
    stacked.rank = value.rank + 1;
    stacked.shape[0] = trips;
    for (int i = 0; i < value.rank; i++) stacked.shape[i + 1] = value.shape[i];
    stacked.text = new_name(w, "y");
    stacked.bound = fmax(value.bound, 2);
    write_line(w, "yield %s = %s%s", stacked.text, value.text, value.rank ? "" : " + 0.0");
    return stacked;
}

static bool write_map(Writer *w) {
    Value x;
    if (!pick_value(w, REAL, 1, &x)) return false;
    int count = w->count;
    write_head(w, &x);
    Body body = begin_body(w);
    body.count = count;
    text_statements(w, 1 + below(w, 3));
    Value stacked = write_yield(w, x.shape[0], count);
    end_body(w, body);
    if (typical_elements(&stacked) > LARGEST_VALUE) return true;
    add_value(w, stacked);
    return true;
}

// The carry's next value, from its last one and what the body knows.
static void write_carry(Writer *w, const Value *carry) {
    double bound;
    const char *more = filling(w, carry, &bound);
    if (one_in(w, 4)) write_line(w, "%s = %s + 0.1 * sin(%s)", carry->text, carry->text, more);
    else write_line(w, "%s = tanh(0.5 * %s + %s)", carry->text, carry->text, more);
}

static bool write_scan(Writer *w) {
    Value x, carry;
    double bound;
    bool range = one_in(w, 3);
    if (w->count > MOST_VALUES - 12 || !pick_value(w, REAL, range ? 0 : 1, &x)) return false;
    carry = range ? real_like(&x) : without_axis(&x, 0);
    carry.bound = 8;
    const char *first = filling(w, &carry, &bound);
    carry.text = new_name(w, "c");
    write_line(w, "%s = 0.5 * %s", carry.text, first);
    add_value(w, carry);
    int count = w->count;
    const Extent *trips = range ? one_in(w, 3) ? w->steps : count_extent(w, below(w, 5)) : x.shape[0];
    if (range) {
        Value counter = {.text = new_name(w, "k"), .kind = WHOLE};
        write_line(w, "for %s in 0:%s {", counter.text, extent_in_text(w, trips));
        add_value(w, counter);
    } else write_head(w, &x);
    Body body = begin_body(w);
    body.count = count;
    text_statements(w, below(w, 3));
    write_carry(w, &carry);
    bool yields = one_in(w, 2);
    Value stacked = {0};
    if (yields) stacked = write_yield(w, trips, count - 1);
    end_body(w, body);
    if (yields && typical_elements(&stacked) <= LARGEST_VALUE) add_value(w, stacked);
    return true;
}

// Over a list: unrolled.
static bool write_list(Writer *w) {
    Value x, sum;
    double bound;
    if (!pick_value(w, REAL, 0, &x) || typical_elements(&x) > LARGEST_VALUE / 2) return false;
    sum = real_like(&x);
    sum.bound = 30;
    const char *other = filling(w, &x, &bound), *element = new_name(w, "e");
    sum.text = new_name(w, "c");
    if (x.rank == 1 && one_in(w, 2)) {   // of another shape in each turn
        write_line(w, "%s = %s", sum.text, x.text);
        write_line(w, "for %s in 0:2 { %s = concat([%s, sin(%s)]) }", element, sum.text, sum.text, sum.text);
        sum.shape[0] = product_of(w, x.shape[0], count_extent(w, 4));
        sum.bound = fmax(x.bound, 1);
    } else {
        write_line(w, "%s = 0.5 * %s", sum.text, within(w, &x, 8));
        write_line(w, "for %s in [%s, %s] { %s = %s + sin(%s) }", element, x.text, other, sum.text, sum.text, element);
    }
    if (typical_elements(&sum) <= LARGEST_VALUE) add_value(w, sum);
    return true;
}

bool text_loop(Writer *w) {
    if (w->depth > 1 || w->count > MOST_VALUES - 16) return false;
    switch (below(w, 5)) {
    case 0:
    case 1: return write_map(w);
    case 2:
    case 3: return write_scan(w);
    default: return write_list(w);
    }
}

// ---- gradients

// A number that depends on `t`, and a value of t's shape.
static const char *scalar_of(Writer *w, const Value *t, const char *value) {
    static const char *const patterns[] = {"sum(sin(%s) * %s)", "sum(%s^2 * %s) / 2", "sum(%s * %s)",
                                           "sum(exp(0.5 * %s) * sin(%s))", "sum(softplus(%s) + %s^3 / 5)"};
    double bound;
    const char *first = t->text, *second = one_in(w, 2) ? value : filling(w, t, &bound);
    return arena_print(w->arena, patterns[below(w, 5)], first, second);
}

// v = f(t), of t's shape.
static const char *value_of(Writer *w, const Value *t) {
    static const char *const patterns[] = {"sin(%s)",  "tanh(%s)",   "%1$s * cos(%1$s)",
                                           "relu(%s)", "0.5 * %s^2", "gelu(%s)"};
    const char *name = new_name(w, "v");
    write_line(w, "%s = %s", name, arena_print(w->arena, patterns[below(w, 6)], t->text));
    return name;
}

static Value twice(const Value *a, const Value *b) {
    Value result = real_of(a->shape, a->rank, 16);
    for (int i = 0; i < b->rank && result.rank < MAX_RANK; i++) result.shape[result.rank++] = b->shape[i];
    return result;
}

static bool by_parameter(Writer *w) {
    for (int i = 0; i < w->count; i++) {
        Value *p = &w->values[i];
        if (!p->is_parameter || one_in(w, 2)) continue;
        Value result = real_like(p);
        result.bound = 30;
        const char *scalar = new_name(w, "l");
        write_line(w, "%s = %s", scalar, scalar_of(w, p, p->text));
        return bind_value(w, result, print(w, "grad(%s, %s)", scalar, p->text)) >= 0;
    }
    return false;
}

bool text_gradient(Writer *w) {
    Value x, t, result;
    double bound;
    if (one_in(w, 4) && by_parameter(w)) return true;
    if (!pick_value(w, REAL, 0, &x) || typical_elements(&x) > 100 || w->count > MOST_VALUES - 4) return false;
    t = real_like(&x);
    t.bound = 4;
    t.text = new_name(w, "t");
    result = t;
    result.bound = 30;
    write_line(w, "%s = track(%s)", t.text, within(w, &x, 2));
    const char *value = value_of(w, &t), *other = filling(w, &t, &bound);
    Value square = twice(&t, &t);
    int choice = below(w, 6);
    if ((choice == 3 || choice == 4) && (square.rank > 4 || typical_elements(&square) > LARGEST_VALUE)) choice = 0;
    switch (choice) {
    case 1: return bind_value(w, result, print(w, "vjp(%s, %s, %s)", value, t.text, other)) >= 0;
    case 2: return bind_value(w, result, print(w, "jvp(%s * %s, %s, %s)", value, other, t.text, other)) >= 0;
    case 3: return bind_value(w, square, print(w, "jacobian(%s, %s)", value, t.text)) >= 0;
    case 4: return bind_value(w, square, print(w, "hessian(%s, %s)", scalar_of(w, &t, value), t.text)) >= 0;
    default: break;
    }
    const char *first = new_name(w, "g"), *scalar = new_name(w, "l");
    write_line(w, "%s = %s", scalar, scalar_of(w, &t, value));
    if (choice == 0) return bind_value(w, result, print(w, "grad(%s, %s)", scalar, t.text)) >= 0;
    write_line(w, "%s = grad(%s, %s)", first, scalar, t.text);
    return bind_value(w, result, print(w, "grad(sum(%s^2 + %s * %s), %s)", first, value, other, t.text)) >= 0;
}

// ---- the choice

static const struct {
    TextMaker *make;
    int weight;
} makers[] = {
    {text_unary, 14},  {text_binary, 12},       {text_where, 5},    {text_whole, 3},     {text_draw, 2},
    {text_literal, 2}, {text_index, 7},         {text_gather, 4},   {text_reshape, 5},   {text_turn, 4},
    {text_join, 4},    {text_part, 3},          {text_repeat, 3},   {text_pad, 2},       {text_reduce, 8},
    {text_along, 5},   {text_product, 7},       {text_order, 4},    {text_window, 4},    {text_convolution, 4},
    {text_loop, 9},    {text_loss_function, 3}, {text_gradient, 6}, {text_parameter, 4}, {text_layer, 7},
    {text_call, 4},    {text_instances, 2},     {text_state, 2},
};

void text_statements(Writer *w, int count) {
    int total = 0, kinds = sizeof makers / sizeof *makers;
    for (int i = 0; i < kinds; i++) total += makers[i].weight;
    for (int attempts = 4 * count; count > 0 && attempts > 0; attempts--) {
        int choice = below(w, total), i = 0;
        while (choice >= makers[i].weight) choice -= makers[i++].weight;
        count -= makers[i].make(w);
    }
}
