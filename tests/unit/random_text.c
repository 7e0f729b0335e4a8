// A whole program: perhaps a net, a loss with random statements, and a block that trains it.
#include "random_text.h"
#include "text_writer.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static void add_input(Writer *w, Text *signature, const char *name, Value value, const char *attribute) {
    value.text = name;
    text_add(signature, "%s%s: %s%s", signature->length ? ", " : "", name, type_in_text(w, &value), attribute);
    w->values[w->count++] = value;
}

static const Extent *random_size(Writer *w) {
    static const int sizes[] = {1, 2, 3, 4, 5, 8, 9, 17};
    int choice = below(w, 12);
    if (choice >= 8) return choice < 11 ? w->rows : w->steps;
    return count_extent(w, sizes[choice]);
}

// Inputs that say the open dims, some of any shape, and indices.
static void add_inputs(Writer *w, Text *signature) {
    Value rows = real_of((const Extent *[]){w->rows, count_extent(w, 3)}, 2, 2);
    Value steps = real_of((const Extent *[]){w->steps, count_extent(w, 4)}, 2, 2);
    Value indices = {.kind = WHOLE, .rank = 1, .shape = {w->rows}},
          more = {.kind = WHOLE, .rank = 1, .shape = {w->steps}};
    add_input(w, signature, "a", rows, " requires_grad");
    add_input(w, signature, "b", steps, one_in(w, 2) ? " requires_grad" : "");
    for (int i = below(w, 3); i > 0; i--) {
        Value value = real_of(NULL, below(w, 4), 2);
        for (int k = 0; k < value.rank; k++) value.shape[k] = random_size(w);
        if (typical_elements(&value) > LARGEST_VALUE / 2) value.rank = 1;
        add_input(w, signature, i == 1 ? "c" : "d", value, one_in(w, 2) ? " requires_grad" : "");
    }
    add_input(w, signature, "i", indices, "");
    if (one_in(w, 2)) add_input(w, signature, "j", more, "");
}

// Whether the name stands anywhere but where it is bound.
static bool is_read(const char *text, const char *name) {
    int count = 0;
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length) {
        bool begins = at == text || !(isalnum(at[-1]) || at[-1] == '_' || at[-1] == '.');
        count += begins && !(isalnum(at[length]) || at[length] == '_');
    }
    return count > 1;
}

// The sum of all that nothing read, so that all of the program matters.
static void write_return(Writer *w) {
    static const char *const factors[] = {"0.5", "0.75", "1.25"};
    Text sum = {.arena = w->arena};
    int terms = 0;
    for (int i = 0; i < w->count; i++) {
        const Value *value = &w->values[i];
        const char *where = value->is_parameter ? w->uses.bytes : w->body.bytes;   // parameters are always added
        if (value->kind != REAL || is_read(where, value->text)) continue;
        const char *text = print(w, "sin(%s)", within(w, value, 8));
        text_add(&sum, value->rank ? "%s%s * sum(%s)" : "%s%s * %s", terms ? " + " : "", factors[terms % 3], text);
        terms++;
    }
    if (!terms) text_add(&sum, "sum(sin(a))");
    if (one_in(w, 4)) write_line(w, "report extra = 2 * (%s)", sum.bytes);
    write_line(w, "return %s", sum.bytes);
}

static Writer writer_for(const Writer *w) {
    Writer inner = {.arena = w->arena, .random = w->random, .extents = w->extents, .rows = w->rows, .steps = w->steps};
    inner.body.arena = inner.uses.arena = w->arena;
    inner.indent = 4;
    inner.templates = w->templates;
    text_add(&inner.body, "%s", "");
    text_add(&inner.uses, "%s", "");
    return inner;
}

static void add_block(Text *program, const char *head, const Writer *w) {
    text_add(program, "%s {\n%s%s}\n", head, w->uses.bytes, w->body.bytes);
}

// A net of one input, that the loss may call.
static bool write_net(Writer *w, Text *program, Value *result) {
    if (one_in(w, 2)) return false;
    Writer inner = writer_for(w);
    Text signature = {.arena = w->arena};
    add_input(&inner, &signature, "x", real_of((const Extent *[]){w->rows, count_extent(w, 3)}, 2, 2), "");
    text_statements(&inner, 3 + below(w, 3));
    *result = inner.values[inner.count - 1];
    if (result->kind != REAL) *result = inner.values[0];
    write_line(&inner, "return %s", result->text);
    add_block(program, print(w, "net model(%s) -> %s", signature.bytes, type_in_text(w, result)), &inner);
    text_add(program, "\n");
    w->random = inner.random;
    w->templates |= inner.templates;
    return true;
}

static void write_train(Writer *w, Text *program) {
    static const char *const optimizers[] = {"sgd(lr = 0.05)",
                                             "sgd(lr = 0.05, momentum = 0.9)",
                                             "adam(lr = 0.01)",
                                             "adamw(lr = 0.01)",
                                             "rmsprop(lr = 0.01)",
                                             "adagrad",
                                             "adam(lr = cosine_annealing(iteration, 0.1, 20))",
                                             "sgd(lr = 0.1 / (1 + iteration), nesterov = true, momentum = 0.5)",
                                             "adamax",
                                             "nadam"};
    text_add(program, "\ntrain main {\n    optimizer %s\n", optimizers[below(w, 10)]);
    if (one_in(w, 4)) text_add(program, "    optimizer sgd(lr = 0.2) for \"*.p*\"\n");
    if (one_in(w, 3)) text_add(program, "    gradient %s\n", one_in(w, 2) ? "clip_norm(1.0)" : "clip_value(0.5)");
    text_add(program, "    batch 4\n}\n");
}

char *random_text(Arena *arena, uint64_t seed) {
    Writer start = {.arena = arena, .random = random_start(seed + 7777)};
    start.extents = extent_table_create(arena);
    start.rows = extent_dim(start.extents, 0, "N");
    start.steps = extent_dim(start.extents, 1, "T");
    Text program = {.arena = arena}, items = {.arena = arena}, signature = {.arena = arena};
    text_add(&items, "%s", "");
    Value net;
    bool has_net = write_net(&start, &items, &net);
    Writer w = writer_for(&start);
    add_inputs(&w, &signature);
    if (has_net) {
        net.is_parameter = false;
        bind_value(&w, net, "model(a)");
    }
    text_parameter(&w);
    text_statements(&w, 5 + below(&w, 8));
    write_return(&w);
    add_block(&items, print(&w, "loss main(%s)", signature.bytes), &w);
    write_train(&w, &items);
    text_add(&program, "dim N, T\n\n");
    write_templates(&w, &program);
    text_add(&program, "%s", items.bytes);
    return program.bytes;
}
