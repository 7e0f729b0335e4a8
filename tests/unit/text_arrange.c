// Makers of indexing, views, and what puts tensors together or takes them apart.
#include "text_writer.h"

#include <math.h>

// ---- indexing

// How one axis is indexed: adds the index's text, and the axis that it leaves to the result.
static bool index_axis(Writer *w, Text *text, const Extent *extent, Value *result) {
    int64_t size;
    bool constant = is_known(extent, &size);
    int choice = below(w, 8);
    if (constant && size > 0 && choice == 0) {
        int64_t place = below(w, (int)size);
        text_add(text, "%d", (int)(one_in(w, 2) ? place : place - size));
        return true;
    }
    if (!constant && choice == 0 && one_in(w, 3)) {   // needs a first element: a condition on the open dim
        text_add(text, one_in(w, 2) ? "0" : "-1");
        return true;
    }
    if (choice == 1 && constant) {
        int64_t from = below(w, (int)size + 1), to = from + below(w, (int)(size - from) + 1);
        text_add(text, "%d:%d", (int)from, (int)to);
        extent = count_extent(w, to - from);
    } else if (choice == 1) {
        text_add(text, "1:");
        extent = sum_of(w, extent, -1);
    } else if (choice == 2) {
        text_add(text, "::-1");
    } else if (choice == 3 && constant) {
        int64_t step = 2 + below(w, 2), from = below(w, 3);
        if (from > size) from = 0;
        text_add(text, "%d::%d", (int)from, (int)step);
        extent = count_extent(w, (size - from + step - 1) / step);
    } else if (choice == 3) {
        text_add(text, "::2");
        extent = extent_floor_divide(w->extents, sum_of(w, extent, 1), count_extent(w, 2));
    } else if (choice == 4 && constant && size > 2) {
        text_add(text, "-2::-2");
        extent = count_extent(w, size / 2);
    } else text_add(text, ":");
    result->shape[result->rank++] = extent;
    return true;
}

bool text_index(Writer *w) {
    Value x, result;
    if (!pick_value(w, REAL, 1, &x)) return false;
    Text text = {.arena = w->arena};
    result = real_of(NULL, 0, x.bound);
    int from = 0, end = x.rank;
    if (x.rank > 1 && one_in(w, 3)) from = 1 + below(w, x.rank - 1);   // `...` stands for those before
    if (from) {
        text_add(&text, "...");
        for (int i = 0; i < from; i++) result.shape[result.rank++] = x.shape[i];
    } else if (one_in(w, 3)) end = 1 + below(w, x.rank);
    for (int i = from; i < end; i++) {
        if (i || from) text_add(&text, ", ");
        if (one_in(w, 8)) {
            text_add(&text, "none, ");
            result.shape[result.rank++] = count_extent(w, 1);
        }
        index_axis(w, &text, x.shape[i], &result);
    }
    for (int i = end; i < x.rank; i++) result.shape[result.rank++] = x.shape[i];
    return bind_value(w, result, print(w, "%s[%s]", x.text, text.bytes)) >= 0;
}

// By indices that lie in 0 .. 2, from inputs or written out.
bool text_gather(Writer *w) {
    Value x, indices, result;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x)) return false;
    int axis = below(w, x.rank);
    if (!is_known(x.shape[axis], &size) || size < 3) return false;
    if (!pick_value(w, WHOLE, 0, &indices) || one_in(w, 3)) {
        indices = (Value){.text = one_in(w, 2) ? "[2, 0, 1, 1]" : "[[0, -1], [2, 2]]", .rank = 1};
        indices.shape[0] = count_extent(w, 4);
        if (indices.text[1] == '[') indices.rank = 2, indices.shape[0] = indices.shape[1] = count_extent(w, 2);
    }
    result = real_of(NULL, 0, x.bound);
    if (one_in(w, 5)) {   // floats of one kind for each class
        for (int i = 0; i < indices.rank; i++) result.shape[result.rank++] = indices.shape[i];
        result.shape[result.rank++] = count_extent(w, 4);
        return bind_value(w, result, print(w, "float(one_hot(%s, 4))", indices.text)) >= 0;
    }
    Text text = {.arena = w->arena};
    for (int i = 0; i < x.rank; i++) {
        text_add(&text, i == axis ? (i ? ", %s" : "%s") : (i ? ", :" : ":"), indices.text);
        for (int k = 0; i == axis && k < indices.rank; k++)
            if (result.rank < 6) result.shape[result.rank++] = indices.shape[k];
        if (i != axis && result.rank < 6) result.shape[result.rank++] = x.shape[i];
    }
    if (result.rank > 5) return false;
    return bind_value(w, result, print(w, "%s[%s]", x.text, text.bytes)) >= 0;
}

// ---- shapes

bool text_reshape(Writer *w) {
    Value x, result;
    if (!pick_value(w, REAL, 1, &x)) return false;
    result = x;
    int axis = below(w, x.rank);
    int64_t size;
    switch (below(w, 5)) {
    case 0:   // two axes as one
        if (axis == x.rank - 1) break;
        result = without_axis(&x, axis);
        result.shape[axis] = product_of(w, x.shape[axis], x.shape[axis + 1]);
        if (one_in(w, 2))
            return bind_value(w, result, print(w, "flatten(%s, start = %d, end = %d)", x.text, axis, axis + 1)) >= 0;
        return bind_value(w, result, print(w, "reshape(%s, %s)", x.text, shape_in_text(w, &result))) >= 0;
    case 1:   // one as two
        if (!is_known(x.shape[axis], &size) || size < 4 || size % 2 || x.rank > 3) break;
        for (int i = x.rank; i > axis; i--) result.shape[i] = x.shape[i - 1];
        result.shape[axis] = count_extent(w, 2);
        result.shape[axis + 1] = count_extent(w, size / 2);
        result.rank++;
        if (one_in(w, 2)) return bind_value(w, result, print(w, "unflatten(%s, %d, [2, -1])", x.text, axis)) >= 0;
        return bind_value(w, result, print(w, "reshape(%s, %s)", x.text, shape_in_text(w, &result))) >= 0;
    case 2:
        if (x.rank > 3) break;
        for (int i = x.rank; i > axis; i--) result.shape[i] = x.shape[i - 1];
        result.shape[axis] = count_extent(w, 1);
        result.rank++;
        return bind_value(w, result, print(w, "unsqueeze(%s, %d)", x.text, axis)) >= 0;
    case 3:
        if (!extent_is(x.shape[axis], 1)) break;
        result = without_axis(&x, axis);
        return bind_value(w, result, print(w, "squeeze(%s, %d)", x.text, signed_axis(w, axis, x.rank))) >= 0;
    default: break;
    }
    result.rank = 1;
    result.shape[0] = count_extent(w, 1);
    for (int i = 0; i < x.rank; i++) result.shape[0] = product_of(w, result.shape[0], x.shape[i]);
    return bind_value(w, result, print(w, "flatten(%s)", x.text)) >= 0;
}

// Axes, or elements, in another order.
bool text_turn(Writer *w) {
    Value x, result;
    if (!pick_value(w, REAL, 1, &x)) return false;
    result = x;
    int a = below(w, x.rank), b = below(w, x.rank);
    switch (below(w, 5)) {
    case 0:
        result.shape[a] = x.shape[b];
        result.shape[b] = x.shape[a];
        return bind_value(w, result, print(w, "transpose(%s, %d, %d)", x.text, a, b)) >= 0;
    case 1:
        for (int i = 0; i < x.rank; i++) result.shape[i] = x.shape[x.rank - 1 - i];
        return bind_value(w, result, print(w, "transpose(%s)", x.text)) >= 0;
    case 2: {
        Text order = {.arena = w->arena};
        for (int i = 0; i < x.rank; i++) {
            text_add(&order, i ? ", %d" : "%d", (i + a) % x.rank);
            result.shape[i] = x.shape[(i + a) % x.rank];
        }
        return bind_value(w, result, print(w, "permute(%s, [%s])", x.text, order.bytes)) >= 0;
    }
    case 3: return bind_value(w, result, print(w, "flip(%s, axis = %d)", x.text, signed_axis(w, a, x.rank))) >= 0;
    default: {
        int64_t size;
        if (!is_known(x.shape[a], &size) || !size) return false;
        return bind_value(w, result, print(w, "roll(%s, %d, axis = %d)", x.text, below(w, 5) - 2, a)) >= 0;
    }
    }
}

// Several as one.
bool text_join(Writer *w) {
    Value x, result;
    double bound;
    if (!pick_value(w, REAL, 1, &x)) return false;
    const char *other = filling(w, &x, &bound);
    result = x;
    result.bound = fmax(x.bound, bound);
    int axis = below(w, x.rank);
    if (one_in(w, 2)) {
        result.shape[axis] = product_of(w, x.shape[axis], count_extent(w, 2));
        const char *place = axis || one_in(w, 2) ? print(w, ", axis = %d", axis) : "";
        return bind_value(w, result, print(w, "concat([%s, %s]%s)", x.text, other, place)) >= 0;
    }
    if (x.rank > 3) return false;
    for (int i = x.rank; i > axis; i--) result.shape[i] = x.shape[i - 1];
    result.shape[axis] = count_extent(w, 2);
    result.rank++;
    if (!axis && one_in(w, 2)) return bind_value(w, result, print(w, "[%s, %s]", other, x.text)) >= 0;
    return bind_value(w, result, print(w, "stack([%s, %s], axis = %d)", x.text, other, axis)) >= 0;
}

// One as several.
bool text_part(Writer *w) {
    Value x, first, second;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x) || w->count > MOST_VALUES - 2) return false;
    int axis = below(w, x.rank);
    if (!is_known(x.shape[axis], &size) || size < 2 || typical_elements(&x) > LARGEST_VALUE) return false;
    first = second = x;
    first.text = new_name(w, "p");
    second.text = new_name(w, "p");
    first.is_parameter = second.is_parameter = false;
    if (size == 2 && one_in(w, 2)) {
        const char *a = first.text, *b = second.text;
        first = second = without_axis(&x, axis);
        first.text = a;
        second.text = b;
        write_line(w, "%s, %s = unbind(%s, axis = %d)", a, b, x.text, axis);
    } else {
        int64_t part = 1 + below(w, (int)size - 1);
        first.shape[axis] = count_extent(w, part);
        second.shape[axis] = count_extent(w, size - part);
        if (2 * part >= size && one_in(w, 2))
            write_line(w, "%s, %s = split(%s, %d, axis = %d)", first.text, second.text, x.text, (int)part, axis);
        else
            write_line(w, "%s, %s = split(%s, [%d, %d], axis = %d)", first.text, second.text, x.text, (int)part,
                       (int)(size - part), axis);
    }
    w->values[w->count++] = first;
    w->values[w->count++] = second;
    return true;
}

bool text_repeat(Writer *w) {
    static const char *const names[] = {"repeat", "tile", "repeat_interleave"};
    Value x, result;
    if (!pick_value(w, REAL, 0, &x)) return false;
    result = x;
    if (!x.rank || one_in(w, 3)) {   // a new first axis
        if (x.rank > 3) return false;
        for (int i = x.rank; i > 0; i--) result.shape[i] = x.shape[i - 1];
        result.shape[0] = one_in(w, 2) ? w->rows : count_extent(w, 3);
        result.rank++;
        const char *name = one_in(w, 2) ? "broadcast" : "expand";
        return bind_value(w, result, print(w, "%s(%s, %s)", name, x.text, shape_in_text(w, &result))) >= 0;
    }
    int axis = below(w, x.rank), times = 1 + below(w, 3);
    result.shape[axis] = product_of(w, x.shape[axis], count_extent(w, times));
    return bind_value(w, result, print(w, "%s(%s, %d, axis = %d)", names[below(w, 3)], x.text, times, axis)) >= 0;
}

bool text_pad(Writer *w) {
    Value x, result;
    if (!pick_value(w, REAL, 1, &x)) return false;
    result = x;
    int axis = below(w, x.rank), low = below(w, 3), high = below(w, 3);
    result.shape[axis] = sum_of(w, x.shape[axis], low + high);
    const char *value = one_in(w, 3) ? ", value = 0.5" : "";
    return bind_value(w, result, print(w, "pad(%s, [[%d, %d]], axis = %d%s)", x.text, low, high, axis, value)) >= 0;
}
