// What was meant by a name that nothing has: another spelling, or what PyTorch and NumPy call so.
#include "elaborate/elaborator.h"

#include <string.h>

// ---- names that are near

static void consider_table(NameSearch *search, Global *const *table) {
    for (int i = 0; i < GLOBAL_BUCKETS; i++)
        for (const Global *global = table[i]; global; global = global->next)
            if (is_declared(global)) consider_name(search, global->name);
}

static const char *similar_name(Elaborator *e, const char *name) {
    static const char *const words[] = {"training", "none", "inf", "nan"};
    NameSearch search = search_for(name);
    for (Scope *scope = e->frame->scope; scope; scope = scope->parent)
        for (Binding *binding = scope->bindings; binding; binding = binding->next)
            consider_name(&search, binding->name);
    consider_table(&search, e->user);
    consider_table(&search, e->library);
    int count;
    const Builtin *builtins = builtin_table(&count);
    for (int i = 0; i < count; i++) consider_name(&search, builtins[i].name);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) consider_name(&search, words[i]);
    return search.best;
}

static bool is_of_kind(const Global *global, ItemKind kind) {
    if (global->pending) return global->pending->kind == kind;
    return kind == ITEM_NET ? global->net != NULL : global->optimizer != NULL;
}

static const char *similar_item(const Elaborator *e, const char *name, ItemKind kind) {
    NameSearch search = search_for(name);
    Global *const *tables[] = {e->user, e->library};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < GLOBAL_BUCKETS; i++)
            for (const Global *global = tables[k][i]; global; global = global->next)
                if (is_of_kind(global, kind)) consider_name(&search, global->name);
    return search.best;
}

const char *similar_optimizer(const Elaborator *e, const char *name) {
    return similar_item(e, name, ITEM_OPTIMIZER);
}

const char *similar_size(const Elaborator *e, const char *name) {
    NameSearch search = search_for(name);
    for (int i = 0; i < GLOBAL_BUCKETS; i++)
        for (const Global *global = e->user[i]; global; global = global->next)
            if (global->dim >= 0 || global->constant) consider_name(&search, global->name);
    return search.best;
}

const char *similar_net(const Elaborator *e, const char *name) {
    return similar_item(e, name, ITEM_NET);
}

// ---- names of others

static const struct {
    const char *name, *help;
} foreign[] = {
    {"True", "it is written: true"},
    {"False", "it is written: false"},
    {"None", "it is written: none"},
    {"len", "the size of an axis is: size(x, 0)"},
    {"range", "a loop over numbers is written: for i in 0:n { ... }"},
    {"np", "functions stand alone: exp(x)"},
    {"numpy", "functions stand alone: exp(x)"},
    {"jnp", "functions stand alone: exp(x)"},
    {"jax", "functions stand alone: grad(y, x)"},
    {"math", "functions stand alone: exp(x)"},
    {"torch", "functions stand alone: exp(x)"},
    {"nn", "nets stand alone: use h = linear<3, 4>"},
    {"F", "functions stand alone: relu(x)"},
    {"self", "members stand alone: W, not self.W"},
    {"print", "a loss hands numbers out by: report name = value"},
    {"axis", "an argument is named by one '=': axis = 1"},
    {"keepdims", "an argument is named by one '=': keepdims = true"},
    {"int", "a cast to whole numbers is: i32(x)"},
    {"double", "a cast is: f64(x)"},
    {"half", "values are f32 or f64; there is no f16"},
    {"f16", "values are f32 or f64; there is no f16"},
    {"bf16", "values are f32 or f64; there is no bf16"},
    {"i8", "whole numbers are i32 or i64"},
    {"u8", "whole numbers are i32 or i64"},
    {"astype", "a cast is the dtype's name: f32(x)"},
    {"view", "it is called reshape(x, shape)"},
    {"cat", "it is called concat([x, y], axis = 0)"},
    {"concatenate", "it is called concat([x, y], axis = 0)"},
    {"vstack", "it is called concat([x, y], axis = 0)"},
    {"hstack", "it is called concat([x, y], axis = -1)"},
    {"expand_dims", "it is called unsqueeze(x, axis)"},
    {"swapaxes", "it is called transpose(x, first, second)"},
    {"clip", "it is called clamp(x, min, max)"},
    {"absolute", "it is called abs(x)"},
    {"power", "it is called pow(x, y), or x ^ y"},
    {"heaviside", "it is called step(x)"},
    {"swish", "it is called silu(x)"},
    {"mm", "it is written: x @ y"},
    {"bmm", "it is written: x @ y"},
    {"dot", "it is written: x @ y"},
    {"tensordot", "it is written with letters: einsum(\"abc,cd->abd\", x, y)"},
    {"rand", "it is called uniform(shape)"},
    {"randn", "it is called normal(shape)"},
    {"randperm", "it is called permutation(n)"},
    {"multinomial",
     "one of the classes by their logits: argmax(logits - log(-log(uniform(shape(logits)))), axis = -1)"},
    {"index_select", "a tensor of integers gathers: x[i], x[:, i]"},
    {"masked_fill", "it is written: where(mask, value, x)"},
    {"scatter", "scatter_add(indices, updates, shape) adds to zeros"},
    {"kaiming_normal", "it is called he_normal"},
    {"kaiming_uniform", "it is called he_uniform"},
    {"glorot_normal", "it is called xavier_normal"},
    {"glorot_uniform", "it is called xavier_uniform"},
    {"ReLU", "functions need no layer: relu(x)"},
    {"Sequential", "calls in calls: output(relu(hidden(x)))"},
    {"MSELoss", "it is called mse_loss(x, y)"},
    {"CrossEntropyLoss", "it is called cross_entropy(logits, y)"},
    {"BCELoss", "it is called binary_cross_entropy(p, y)"},
    {"BCEWithLogitsLoss", "it is called binary_cross_entropy_with_logits(x, y)"},
    {"bce_with_logits", "it is called binary_cross_entropy_with_logits(x, y)"},
    {"NLLLoss", "it is called nll_loss(log_softmax(x), y)"},
    {"backward", "a gradient is a value: g = grad(l, w)"},
    {"no_grad", "nothing flows through: stop_gradient(x)"},
    {"vmap", "a loop without a carry is one: for row in x { yield y = f(row) }"},
    {"scan", "a loop with a carry is one: for row in x { h = f(h, row) }"},
    {"cond", "choose with where(condition, a, b)"},
};

static const char *foreign_help(const char *name) {
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strcmp(name, foreign[i].name) == 0) return foreign[i].help;
    return NULL;
}

Value unknown_name(Elaborator *e, Name name) {
    if (strcmp(name.text, "iteration") == 0 || strcmp(name.text, "iterations") == 0) {
        failure(e, D_iteration_outside, name.span,
                "'%s' is not known here: constants, first values and data are made "
                "before any step",
                name.text);
        help(e, "losses, nets, optimizers and settings of a train block may depend on it");
        return (Value){.kind = VALUE_ERROR};
    }
    failure(e, D_unknown_name, name.span, "nothing is called '%s' here", name.text);
    const char *other = foreign_help(name.text), *similar = other ? NULL : similar_name(e, name.text);
    if (other) help(e, "%s", other);
    else if (similar) help(e, "did you mean '%s'?", similar);
    return (Value){.kind = VALUE_ERROR};
}
