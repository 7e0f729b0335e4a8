// Makers of parameters, layers, instances, states and calls; and the functions and nets that programs call.
#include "text_writer.h"

#include <math.h>

static void declare(Writer *w, const char *text) {
    text_add(&w->uses, "    %s\n", text);
}

bool text_parameter(Writer *w) {
    static const int sizes[] = {1, 2, 3, 4, 5, 8, 9};
    static const char *const first[] = {"normal(std = 0.5)", "uniform(-0.5, 0.5)", "ones", "full(0.25)", "zeros"};
    if (w->count == MOST_VALUES) return false;
    Value value = real_of(NULL, below(w, 3), 3);
    for (int i = 0; i < value.rank; i++) value.shape[i] = count_extent(w, sizes[below(w, 7)]);
    value.text = new_name(w, "p");
    value.is_parameter = true;
    const char *frozen = w->uses.length && one_in(w, 12) ? " frozen" : "";
    declare(w, print(w, "param %s: %s%s ~ %s", value.text, type_in_text(w, &value), frozen, first[below(w, 5)]));
    w->values[w->count++] = value;
    return true;
}

// ---- layers

// Of any tensor whose last axis is known.
static bool plain_layer(Writer *w, const Value *x, int size) {
    static const char *const acts[] = {"tanh", "relu", "gelu", "identity"};
    static const int outs[] = {1, 3, 4, 8};
    int out = outs[below(w, 4)], choice = below(w, 8);
    Value result = *x;
    result.bound = 8;
    const char *name = new_name(w, "n"), *use;
    switch (choice) {
    case 0:
    case 1:
        use = print(w, "dense<%d, %d, %s>", size, out, acts[below(w, 4)]);
        result.shape[x->rank - 1] = count_extent(w, out);
        break;
    case 2:
        use = print(w, "linear<%d, %d>", size, out);
        result.shape[x->rank - 1] = count_extent(w, out);
        break;
    case 3: use = print(w, "layer_norm<%d>", size); break;
    case 4: use = print(w, "rms_norm<%d>", size); break;
    case 5:
        w->templates |= 1u << TEMPLATE_GATE;
        use = print(w, "gate<%d>", size);
        break;
    case 6:
        w->templates |= 1u << TEMPLATE_GATE | 1u << TEMPLATE_RESIDUAL;
        use = print(w, one_in(w, 2) ? "residual<gate<%d>>" : "residual<dense<%1$d, %1$d, tanh>>", size);
        break;
    default:
        if (x->rank != 2) return false;
        w->has_states = true;
        w->templates |= 1u << TEMPLATE_CENTRED;
        use = one_in(w, 3) ? print(w, "batch_norm<%d>", size) : print(w, "centred<%d>", size);
    }
    declare(w, print(w, "use %s = %s", name, use));
    bool again = same_value_shape(&result, x) && one_in(w, 4);   // an instance called twice shares
    const char *argument = within(w, x, 2);
    if (again) argument = print(w, "%s(%s)", name, argument);
    return bind_value(w, result, print(w, "%s(%s)", name, argument)) >= 0;
}

// Of sequences: [rows, steps, size].
static bool sequence_layer(Writer *w, const Value *x, int size) {
    int out = 1 + below(w, 4);
    Value result = *x;
    result.bound = 8;
    const char *name = new_name(w, "n");
    int64_t channels, places;
    switch (below(w, 4)) {
    case 0: {
        static const char *const nets[] = {"lstm", "gru", "rnn"};
        result.shape[2] = count_extent(w, out);
        declare(w, print(w, "use %s = %s<%d, %d>", name, nets[below(w, 3)], size, out));
        break;
    }
    case 1:
        if (size % 2 || !is_known(x->shape[1], &places) || !places) return false;
        declare(w, print(w, "use %s = multi_head_attention<%d, 2, causal = %s>", name, size,
                         one_in(w, 2) ? "true" : "false"));
        return bind_value(w, result, print(w, "%s(%s, %s, %s)", name, x->text, x->text, x->text)) >= 0;
    case 2:
        if (!is_known(x->shape[1], &channels) || channels < 1 || size < 2) return false;
        declare(w, print(w, "use %s = conv1d<%d, %d, 2, padding = 1>", name, (int)channels, out));
        result.shape[1] = count_extent(w, out);
        result.shape[2] = count_extent(w, size + 1);
        break;
    default:
        if (!is_known(x->shape[1], &channels) || channels % 2 || !channels) return false;
        declare(w, print(w, "use %s = group_norm<2, %d>", name, (int)channels));
    }
    return bind_value(w, result, print(w, "%s(%s)", name, within(w, x, 2))) >= 0;
}

bool text_layer(Writer *w) {
    Value x;
    int64_t size;
    if (one_in(w, 6) && pick_value(w, WHOLE, 1, &x)) {
        Value result = real_like(&x);
        result.bound = 4;
        result.shape[result.rank++] = count_extent(w, 4);
        const char *name = new_name(w, "n");
        declare(w, print(w, "use %s = embedding<3, 4>", name));
        return bind_value(w, result, print(w, "%s(%s)", name, x.text)) >= 0;
    }
    if (!pick_value(w, REAL, 1, &x) || !is_known(x.shape[x.rank - 1], &size) || size < 1 || size > 9) return false;
    if (typical_elements(&x) > LARGEST_VALUE / 4) return false;
    if (x.rank == 3 && !one_in(w, 3)) return sequence_layer(w, &x, (int)size);
    return plain_layer(w, &x, (int)size);
}

// A loop over instances: alike, or each of its own shape.
bool text_instances(Writer *w) {
    Value x, h;
    int64_t size;
    if (!pick_value(w, REAL, 1, &x) || !is_known(x.shape[x.rank - 1], &size) || size < 1 || size > 5) return false;
    if (w->count == MOST_VALUES || typical_elements(&x) > LARGEST_VALUE / 4) return false;
    const char *name = new_name(w, "n"), *each = new_name(w, "each");
    h = real_like(&x);
    h.text = new_name(w, "h");
    if (one_in(w, 2)) {
        declare(w, print(w, "use %s[3] = dense<%d, %d>", name, (int)size, (int)size));
    } else {
        declare(w, print(w, "use %s[i in 0:2] = dense<%d + i, %d + i>", name, (int)size, (int)size + 1));
        h.shape[h.rank - 1] = count_extent(w, size + 2);
    }
    write_line(w, "%s = %s", h.text, within(w, &x, 2));
    write_line(w, "for %s in %s { %s = tanh(%s(%s)) }", each, name, h.text, each, h.text);
    w->values[w->count++] = h;
    return true;
}

bool text_state(Writer *w) {
    Value x, state;
    int64_t size;
    if (w->depth || !pick_value(w, REAL, 1, &x) || w->count == MOST_VALUES) return false;
    for (int i = 1; i < x.rank; i++)
        if (!is_known(x.shape[i], &size)) return false;
    state = without_axis(&x, 0);
    state.bound = 64;
    state.text = new_name(w, "s");
    declare(w, print(w, "state %s: %s ~ %s", state.text, type_in_text(w, &state), one_in(w, 2) ? "zeros" : "ones"));
    const char *now = new_name(w, "m");
    write_line(w, "%s = sum(%s, axis = 0) / 4", now, within(w, &x, 2));
    const char *choice = one_in(w, 2) ? "where(training, %s, %s)" : "%s - 0.5 * %s";
    bool bound = bind_value(w, real_like(&state), arena_print(w->arena, choice, now, state.text)) >= 0;
    if (bound) w->values[w->count - 1].bound = 64;
    write_line(w, "%s = 0.75 * %s + 0.25 * %s", state.text, state.text, now);
    w->has_states = true;
    return true;
}

// ---- calls of the templates

bool text_call(Writer *w) {
    Value x, y, result;
    double bound;
    if (!pick_value(w, REAL, 0, &x) || w->count > MOST_VALUES - 2) return false;
    result = real_like(&x);
    result.bound = 8;
    const char *text = within(w, &x, 4);
    switch (below(w, 4)) {
    case 0: w->templates |= 1u << TEMPLATE_SOFT; return bind_value(w, result, print(w, "soft(%s)", text)) >= 0;
    case 1: {
        if (typical_elements(&x) > LARGEST_VALUE) return false;
        w->templates |= 1u << TEMPLATE_TWIST;
        Value first = result, second = result;
        first.text = new_name(w, "v");
        second.text = new_name(w, "v");
        write_line(w, "%s, %s = twist(%s, %s)", first.text, second.text, text, filling(w, &x, &bound));
        w->values[w->count++] = first;
        w->values[w->count++] = second;
        return true;
    }
    case 2:
        if (!x.rank) return false;
        w->templates |= 1u << TEMPLATE_ENERGY;
        result = without_axis(&x, x.rank - 1);
        result.bound = 40;
        return bind_value(w, result, print(w, "energy(%s)", x.text)) >= 0;
    default:
        if (!pick_value(w, REAL, 0, &y) || !shapes_together(&x, &y, &result)) return false;
        w->templates |= 1u << TEMPLATE_BLEND;
        result.bound = 1;
        return bind_value(w, result,
                          print(w, one_in(w, 2) ? "blend(%s, %s)" : "blend(%s, %s, weight = 0.5)", text,
                                within(w, &y, 4))) >= 0;
    }
}

static const char *const templates[TEMPLATES] = {
    [TEMPLATE_SOFT] = "# x * sigmoid(x), with its derivative.\n"
                      "fn soft(x: float[*]) -> float[*] {\n"
                      "    derivative(ct) = ct * (s + x * s * (1 - s))\n"
                      "    s = sigmoid(x)\n"
                      "    return x * s\n"
                      "}\n",
    [TEMPLATE_TWIST] = "# A point's coordinates, from its distance and its angle, with their derivatives.\n"
                       "fn twist(r: float[*], phi: float[*]) -> (float[*], float[*]) {\n"
                       "    derivative(cx, cy) = cx * c + cy * s, r * (cy * c - cx * s)\n"
                       "    c = cos(phi)\n"
                       "    s = sin(phi)\n"
                       "    return r * c, r * s\n"
                       "}\n",
    [TEMPLATE_ENERGY] = "# The sum of sines along the last axis, with its derivative.\n"
                        "fn energy<K>(x: float[*, K]) -> float[*] {\n"
                        "    derivative(ct) = ct[..., none] * cos(x)\n"
                        "    return sum(sin(x), axis = -1)\n"
                        "}\n",
    [TEMPLATE_GATE] = "net gate<D>(x: float[*, D]) -> float[*, D] {\n"
                      "    param W: float[D, D] ~ xavier_normal\n"
                      "    param b: float[D] ~ zeros\n"
                      "    param scale: float ~ full(0.5)\n"
                      "    return x * sigmoid(scale * (x @ W + b))\n"
                      "}\n",
    [TEMPLATE_RESIDUAL] = "net residual<inner: fn>(x: float[*]) -> float[*] {\n"
                          "    use layer = inner\n"
                          "    return x + layer(x)\n"
                          "}\n",
    [TEMPLATE_CENTRED] = "net centred<D>(x: float[N, D]) -> float[N, D] {\n"
                         "    state average: float[D] ~ zeros\n"
                         "    m = where(training, sum(x, axis = 0) / 5, average)\n"
                         "    average = 0.9 * average + 0.1 * m\n"
                         "    return x - m\n"
                         "}\n",
    [TEMPLATE_BLEND] = "fn blend(a: float[*A], b: float[*B], weight: float = 0.25) {\n"
                       "    total = weight * a + (1 - weight) * b\n"
                       "    for k in 0:3 { total = tanh(total + 0.1 * k * b) }\n"
                       "    return total\n"
                       "}\n",
};

void write_templates(Writer *w, Text *text) {
    for (int i = 0; i < TEMPLATES; i++)
        if (w->templates >> i & 1) text_add(text, "%s\n", templates[i]);
}
