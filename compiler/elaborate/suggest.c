// What was meant by a name that nothing has: another spelling, or what PyTorch and NumPy call so.
#include "elaborate/calls.h"

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

// A parameter, or an instance, of that name in an instance: helps with what it is called from outside.
static bool suggest_member(Elaborator *e, const Instance *instance, const char *name) {
    for (int i = 0; i < instance->members.count; i++) {
        const Member *member = &instance->members.items[i];
        bool same = strcmp(member->name, name) == 0;
        if (same && member->kind == MEMBER_PARAMETER)
            help(e, "net %s's parameter is called %s.%s", instance->path, instance->path, name);
        else if (same && member->kind == MEMBER_INSTANCE) help(e, "it is called %s.%s", instance->path, name);
        else if (member->kind != MEMBER_INSTANCE || !suggest_member(e, member->instance, name)) continue;
        return true;
    }
    return false;
}

static bool suggest_path(Elaborator *e, const char *name) {
    for (int i = 0; i < e->roots.count; i++) {
        const Instance *root = e->roots.items[i];
        if (!root->foreign && root->net->kind == ITEM_NET && suggest_member(e, root, name)) return true;
    }
    return false;
}

// ---- shapes

// The expression there, where an index can stand behind it: names and calls. NULL: it is another, or long.
static const char *indexable_text(Elaborator *e, Span span) {
    int depth = 0;
    if (!span.source || span.end - span.begin > 40) return NULL;
    const char *text = arena_copy_text(e->arena, span.source->text + span.begin, span.end - span.begin);
    for (const char *at = text; *at; at++) {
        if (*at == '\n') return NULL;
        if (*at == '(' || *at == '[') depth++;
        if (*at == ')' || *at == ']') depth--;
        if (!depth && strchr(" +-*/%@^<>=,]", *at)) return NULL;
    }
    return text;
}

// The shape that the type has, as far as it is known.
static bool known_shape(Elaborator *e, const Type *type, Shape *shape) {
    *shape = (Shape){0};
    for (int i = 0; i < type->dimension_count; i++) {
        const Dimension *dimension = &type->dimensions[i];
        const Pack *pack = dimension->is_pack ? find_pack(e, pack_name(dimension)) : NULL;
        const Binding *size = dimension->is_pack || dimension->size->kind != SIZE_NAME
                                  ? NULL
                                  : find_binding(e, dimension->size->name.text);
        int rank = pack ? pack->shape.rank : 1;
        if ((dimension->is_pack && !pack) || shape->rank + rank > MAX_RANK) return false;
        for (int k = 0; k < rank; k++)
            shape->extents[shape->rank++] = pack ? pack->shape.extents[k] : size ? as_extent(e, size->value) : NULL;
    }
    return true;
}

// [N, 1] where [N] is wanted, or the other way round.
static void suggest_axis_of_one(Elaborator *e, const Shape *wanted, const Shape *shape, Span span) {
    bool longer = shape->rank == wanted->rank + 1 && extent_is(shape->extents[wanted->rank], 1);
    bool shorter =
        wanted->rank == shape->rank + 1 && wanted->extents[shape->rank] && extent_is(wanted->extents[shape->rank], 1);
    const char *text = indexable_text(e, span);
    const char *what = text ? text : "x", *before = text && (longer ? wanted : shape)->rank == 1 ? ":" : "...";
    if (longer) help(e, "%s[%s, 0] takes the axis of 1 away", what, before);
    if (shorter)
        help(e, "[%s, 0] behind the other takes its axis of 1 away; or %s[%s, none] has one, too", before, what,
             before);
}

// The net with the size that would take an argument: dense<2, 1>. NULL: no net of the library, or more is wrong.
static const char *fitting_net(Elaborator *e, const Type *type, const Shape *wanted, const Shape *shape) {
    const Item *net = e->frame->item;
    int last = shape->rank - 1;
    const Dimension *dimension = &type->dimensions[type->dimension_count - 1];
    if (!e->frame->instance || !net || shape->rank != wanted->rank || dimension->is_pack) return NULL;
    for (int i = 0; i < last; i++)
        if (wanted->extents[i] && wanted->extents[i] != shape->extents[i]) return NULL;
    if (dimension->size->kind != SIZE_NAME || !extent_is_constant(shape->extents[last], &(int64_t){0})) return NULL;
    Text text = {.arena = e->arena};
    bool found = false;
    for (int i = 0; i < net->static_count; i++) {
        const char *name = net->statics[i].name.text;
        const Binding *binding = find_binding(e, name);
        bool own = strcmp(name, dimension->size->name.text) == 0;
        const Extent *size = own ? shape->extents[last] : binding ? as_extent(e, binding->value) : NULL;
        bool function = binding && binding->value.kind == VALUE_FUNCTION;
        if (!size && !function) return NULL;
        found = found || own;
        if (function && net->statics[i].initial && strcmp(binding->value.callable->name, "identity") == 0) continue;
        text_add(&text, "%s%s", text.length ? ", " : "",
                 function ? binding->value.callable->name : describe_number(e, size));
    }
    return found ? arena_print(e->arena, "%s<%s>", net->name.text, text.bytes) : NULL;
}

void suggest_shape(Elaborator *e, const Type *type, const Shape *shape, Span span) {
    Shape wanted;
    const Item *item = e->frame->item;
    if (!type->dimension_count || !known_shape(e, type, &wanted)) return;
    bool classes = e->frame->library && item && item->kind == ITEM_FN && strcmp(item->name.text, "cross_entropy") == 0;
    bool integers = strcmp(type->name.text, "integer") == 0;
    const char *net = shape->rank ? fitting_net(e, type, &wanted, shape) : NULL;
    if (net) help(e, "%s takes this %s", net, item->parameter_count ? item->parameters[0].name.text : "shape");
    else if (classes && integers && shape->rank == wanted.rank + 1 && !extent_is(shape->extents[wanted.rank], 1))
        help(e, "logits have one axis more than the class numbers: f32[N, classes] with i32[N]");
    else if (classes && !integers && shape->rank + 1 == wanted.rank)
        help(e, "class numbers are integers: i32(y), or one row of probabilities for each");
    else suggest_axis_of_one(e, &wanted, shape, span);
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
    if (suggest_path(e, name.text)) return (Value){.kind = VALUE_ERROR};
    const char *other = foreign_help(name.text), *similar = other ? NULL : similar_name(e, name.text);
    if (other) help(e, "%s", other);
    else if (similar) help(e, "did you mean '%s'?", similar);
    return (Value){.kind = VALUE_ERROR};
}
