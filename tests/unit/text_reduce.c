// Makers of reductions, products, order, windows, convolutions and losses.
#include "text_writer.h"

#include <math.h>

// ---- along axes

typedef struct {
    const char *name;
    double limit;      // arguments are squeezed to it
    bool grows;        // with the number of elements
    bool needs_some;   // is not finite of no elements
    int least;         // elements that it needs
} Reduction;

static const Reduction reductions[] = {
    {"sum", 8, true, false, 0},  {"sum", 8, true, false, 0},    {"mean", 8, false, true, 1},
    {"amax", 8, false, true, 1}, {"amin", 8, false, true, 1},   {"max", 8, false, true, 1},
    {"min", 8, false, true, 1},  {"prod", 1.2, true, false, 0}, {"var", 8, true, true, 2},
    {"std", 8, false, true, 2},  {"norm", 8, true, false, 0},   {"logsumexp", 8, false, true, 1},
};

bool text_reduce(Writer *w) {
    const Reduction *reduction = &reductions[below(w, sizeof reductions / sizeof *reductions)];
    Value x, result;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x)) return false;
    int axis = below(w, x.rank);
    bool constant = is_known(x.shape[axis], &size), keep = one_in(w, 3);
    if (constant ? size < reduction->least : reduction->needs_some && !one_in(w, 4)) return false;
    if (reduction->least > 1 && !constant) return false;
    result = without_axis(&x, axis);
    if (keep) result = x, result.shape[axis] = count_extent(w, 1);
    result.bound = reduction->grows ? 64 * (double)typical_elements(&x) : 9;
    const char *kept = keep ? ", keepdims = true" : "", *text = within(w, &x, reduction->limit);
    if (x.rank == 2 && !reduction->needs_some && one_in(w, 4)) {   // all axes
        result = real_of(NULL, 0, result.bound);
        return bind_value(w, result,
                          print(w, reduction->limit < 2 || one_in(w, 2) ? "%s(%s)" : "%s(%s, axis = [0, 1])",
                                reduction->name, text)) >= 0;
    }
    return bind_value(w, result,
                      print(w, "%s(%s, axis = %d%s)", reduction->name, text, signed_axis(w, axis, x.rank), kept)) >= 0;
}

bool text_along(Writer *w) {
    static const struct {
        const char *name;
        double limit, bound;
        bool needs_some;
    } functions[] = {{"softmax", 8, 1, true},
                     {"log_softmax", 8, 20, true},
                     {"cumsum", 4, 100, false},
                     {"cumprod", 1.2, 100, false},
                     {"softmax", 8, 1, true}};
    Value x, result;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x)) return false;
    int axis = below(w, x.rank), choice = below(w, 5);
    bool constant = is_known(x.shape[axis], &size);
    if (functions[choice].needs_some && (constant ? size < 1 : !one_in(w, 3))) return false;
    result = real_like(&x);
    result.bound = functions[choice].bound;
    const char *text = within(w, &x, functions[choice].limit);
    return bind_value(w, result,
                      print(w, "%s(%s, axis = %d)", functions[choice].name, text, signed_axis(w, axis, x.rank))) >= 0;
}

// ---- products

// Axes of one extent are shared: kept or summed; the others stay.
static bool einsum(Writer *w, const Value *x, const Value *y) {
    char equation[40], labels_x[8] = {0}, labels_y[8] = {0}, labels[16] = {0};
    Value result = real_of(NULL, 0, 1);
    bool shared[8] = {false}, summed[8] = {false};
    for (int i = 0; i < x->rank; i++) labels_x[i] = (char)('a' + i);
    for (int k = 0; k < y->rank; k++) {
        labels_y[k] = (char)('p' + k);
        for (int i = 0; i < x->rank; i++) {
            if (shared[i] || x->shape[i] != y->shape[k] || one_in(w, 4) || labels_y[k] < 'p') continue;
            labels_y[k] = labels_x[i];
            shared[i] = true;
            summed[i] = !one_in(w, 3);
        }
    }
    int count = 0;
    for (int i = 0; i < x->rank; i++)
        if (!summed[i]) result.shape[count] = x->shape[i], labels[count++] = labels_x[i];
    for (int k = 0; k < y->rank; k++)
        if (labels_y[k] >= 'p') result.shape[count] = y->shape[k], labels[count++] = labels_y[k];
    if (count > 4) return false;
    result.rank = count;
    result.bound = 64 * (double)typical_elements(x);
    char *to = equation;
    for (const char *from = labels_x; *from;) *to++ = *from++;
    *to++ = ',';
    for (const char *from = labels_y; *from;) *to++ = *from++;
    *to++ = '-';
    *to++ = '>';
    for (const char *from = labels; *from;) *to++ = *from++;
    *to = 0;
    return bind_value(w, result, print(w, "einsum(\"%s\", %s, %s)", equation, within(w, x, 4), within(w, y, 4))) >= 0;
}

bool text_product(Writer *w) {
    Value x, y, result;
    if (!pick_value(w, REAL, 1, &x) || !pick_value(w, REAL, 1, &y)) return false;
    if (one_in(w, 2)) return einsum(w, &x, &y);
    const Extent *inner = x.shape[x.rank - 1];
    for (int i = 0; i < 6; i++) {
        if (y.shape[y.rank > 1 ? y.rank - 2 : 0] == inner) break;
        pick_value(w, REAL, 1, &y);
    }
    const char *a = within(w, &x, 1), *b = within(w, &y, 1);
    if (y.shape[y.rank > 1 ? y.rank - 2 : 0] != inner) {   // with itself
        if (x.rank != 2) return false;
        result = x;
        result.shape[1] = x.shape[0];
        result.bound = 34;
        return bind_value(w, result, print(w, "%s @ transpose(%s)", a, a)) >= 0;
    }
    Value rows_x = x, rows_y = y;   // the axes that are broadcast
    rows_x.rank = x.rank > 2 ? x.rank - 2 : 0;
    rows_y.rank = y.rank > 2 ? y.rank - 2 : 0;
    if (!shapes_together(&rows_x, &rows_y, &result)) return false;
    if (x.rank > 1) result.shape[result.rank++] = x.shape[x.rank - 2];
    if (y.rank > 1) result.shape[result.rank++] = y.shape[y.rank - 1];
    result.bound = 34;
    return bind_value(w, result, print(w, "%s @ %s", a, b)) >= 0;
}

// ---- order, and what indices do

bool text_order(Writer *w) {
    Value x, result, indices;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x)) return false;
    result = x;
    int axis = below(w, x.rank);
    if (typical_elements(&x) > 120) return false;   // two could be so close that differences exchange them
    switch (below(w, 5)) {
    case 0: return bind_value(w, result, print(w, "sort(%s, axis = %d)", x.text, signed_axis(w, axis, x.rank))) >= 0;
    case 1:
        return bind_value(w, result,
                          print(w, "take_along_axis(%s, argsort(%s, axis = %d, descending = true), axis = %d)", x.text,
                                x.text, axis, axis)) >= 0;
    case 2:
        if (!is_known(x.shape[axis], &size) || size < 2 || w->count > MOST_VALUES - 2) return false;
        result.shape[axis] = count_extent(w, 1 + below(w, (int)size));
        result.text = new_name(w, "top");
        write_line(w, "%s, %s = topk(%s, %s, axis = %d)", result.text, new_name(w, "places"), x.text,
                   extent_in_text(w, result.shape[axis]), axis);
        result.is_parameter = false;
        w->values[w->count++] = result;
        return true;
    case 3:
        if (!is_known(x.shape[axis], &size) || size < 1) return false;
        result = without_axis(&x, axis);
        return bind_value(w, result, print(w, "median(%s, axis = %d)", x.text, signed_axis(w, axis, x.rank))) >= 0;
    default:
        if (!pick_value(w, WHOLE, 1, &indices) || indices.rank != 1) return false;
        for (int i = 0; i < 8 && x.shape[0] != indices.shape[0]; i++) pick_value(w, REAL, 1, &x);
        if (x.shape[0] != indices.shape[0]) return false;
        result = x;
        result.shape[0] = count_extent(w, 3 + below(w, 4));
        result.bound = x.bound * 8;
        return bind_value(w, result,
                          print(w, "scatter_add(%s, %s, %s)", indices.text, x.text, shape_in_text(w, &result))) >= 0;
    }
}

// ---- windows

static int64_t positions(int64_t size, int64_t taps, int64_t stride, int64_t dilation) {
    return (size - (taps - 1) * dilation - 1) / stride + 1;
}

bool text_window(Writer *w) {
    Value x, result;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x) || x.rank > 3) return false;
    int axis = below(w, x.rank), taps = 1 + below(w, 3), stride = 1 + below(w, 2), dilation = 1 + below(w, 2);
    if (!is_known(x.shape[axis], &size) || size < (taps - 1) * dilation + 1) return false;
    result = x;
    for (int i = x.rank; i > axis + 1; i--) result.shape[i] = x.shape[i - 1];
    result.rank++;
    result.shape[axis] = count_extent(w, positions(size, taps, stride, dilation));
    result.shape[axis + 1] = count_extent(w, taps);
    const char *how = print(w, "axis = %d, stride = %d, dilation = %d", axis, stride, dilation);
    int windows = bind_value(w, result, print(w, "window(%s, %d, %s)", x.text, taps, how));
    if (windows < 0 || one_in(w, 2)) return windows >= 0;
    result = x;
    result.bound = 3;
    return bind_value(w, result, print(w, "fold(sin(%s), %d, %s)", w->values[windows].text, (int)size, how)) >= 0;
}

// A kernel that is made of nothing: sines of its elements' numbers.
static const char *kernel_text(Writer *w, int64_t out, int64_t in, int64_t taps) {
    return print(w, "reshape(sin(float(arange(%d))), [%d, %d, %d])", (int)(out * in * taps), (int)out, (int)in,
                 (int)taps);
}

// Pools over the last axes, and convolutions of [rows, channels, places].
bool text_convolution(Writer *w) {
    static const char *const pools[] = {"max_pool1d", "avg_pool1d"};
    Value x, result;
    int64_t size, channels;
    if (!pick_value(w, REAL, 1, &x) || !is_known(x.shape[x.rank - 1], &size) || size < 2) return false;
    result = x;
    int last = x.rank - 1;
    const char *text = within(w, &x, 4);
    result.bound = 64;
    if (x.rank == 3 && is_known(x.shape[1], &channels) && channels > 0 && !one_in(w, 3)) {
        int64_t taps = 1 + below(w, 3), out = 1 + below(w, 3), padding = below(w, 2), stride = 1 + below(w, 2);
        if (one_in(w, 3)) {
            result.shape[1] = count_extent(w, out);
            result.shape[2] = count_extent(w, (size - 1) * stride - 2 * padding + taps);
            if ((size - 1) * stride - 2 * padding + taps < 1) return false;
            return bind_value(w, result,
                              print(w, "conv_transpose1d(%s, %s, stride = %d, padding = %d)", text,
                                    kernel_text(w, channels, out, taps), (int)stride, (int)padding)) >= 0;
        }
        int64_t dilation = 1 + below(w, 2), groups = channels % 2 == 0 && one_in(w, 2) ? 2 : 1;
        out *= groups;
        if (size + 2 * padding < (taps - 1) * dilation + 1) return false;
        result.shape[1] = count_extent(w, out);
        result.shape[2] = count_extent(w, positions(size + 2 * padding, taps, stride, dilation));
        return bind_value(w, result,
                          print(w, "conv1d(%s, %s, stride = %d, padding = %d, dilation = %d, groups = %d)", text,
                                kernel_text(w, out, channels / groups, taps), (int)stride, (int)padding, (int)dilation,
                                (int)groups)) >= 0;
    }
    int64_t high;
    if (x.rank > 1 && is_known(x.shape[last - 1], &high) && high > 1 && one_in(w, 2)) {
        result.shape[last] = count_extent(w, positions(size, 2, 2, 1));
        result.shape[last - 1] = count_extent(w, positions(high, 2, 2, 1));
        return bind_value(w, result, print(w, "%s(%s, 2)", one_in(w, 2) ? "max_pool2d" : "avg_pool2d", text)) >= 0;
    }
    int stride = 1 + below(w, 2), pool = below(w, 2);
    result.shape[last] = count_extent(w, positions(size + (pool == 0 ? 2 : 0), 2, stride, 1));
    return bind_value(
               w, result,
               print(w, "%s(%s, 2, stride = %d%s)", pools[pool], text, stride, pool == 0 ? ", padding = 1" : "")) >= 0;
}

// ---- losses

bool text_loss_function(Writer *w) {
    static const char *const names[] = {"mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss",
                                        "binary_cross_entropy_with_logits"};
    Value x, y, result = real_of(NULL, 0, 64);
    double bound;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x)) return false;
    for (int i = 0; i < x.rank; i++)
        if (is_known(x.shape[i], &size) ? !size : !one_in(w, 3)) return false;
    if (x.rank == 2 && pick_value(w, WHOLE, 1, &y) && y.rank == 1 && y.shape[0] == x.shape[0] &&
        is_known(x.shape[1], &size) && size >= 3 && one_in(w, 2)) {
        const char *how = one_in(w, 2) ? ", label_smoothing = 0.1" : one_in(w, 2) ? ", reduction = sum" : "";
        return bind_value(w, result, print(w, "cross_entropy(%s, %s%s)", within(w, &x, 8), y.text, how)) >= 0;
    }
    const char *other = filling(w, &x, &bound);
    int choice = below(w, 5);
    if (choice == 4) other = print(w, "sigmoid(%s)", other);
    if (one_in(w, 4)) {
        result = real_like(&x);
        result.bound = 256;
        return bind_value(w, result,
                          print(w, "%s(%s, %s, reduction = none)", names[choice], within(w, &x, 8), other)) >= 0;
    }
    return bind_value(w, result, print(w, "%s(%s, %s)", names[choice], within(w, &x, 8), other)) >= 0;
}
