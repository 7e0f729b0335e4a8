// A graph as a program of the language: one `fn` that computes its results, with the source's names (semantics.md,
// S17). What is used once and has no name of its own stands inside the expression that uses it. Statements come in the
// order in which the results need them, which is close to the order in which a person would write them.
#include "graph/source.h"

#include <ctype.h>
#include <string.h>

enum { LINE_NODES = 6 };   // an expression with more nodes than this gets a line of its own

// The nodes that compute some results: of the function, or of a loop's body.
typedef struct {
    NodeArray nodes;         // inputs before users
    int *users;              // by node id
    int *weights;            // by node id: nodes in the node's expression
    bool *forced;            // by node id: must have a name
    bool *own;               // by node id: this block has named it
    const char ***results;   // by id of a loop: the names that stand for its results
} Block;

// ---- names

static TakenName **bucket_of(SourceWriter *writer, const char *name) {
    unsigned hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &writer->taken[(hash ^ (hash >> 15)) % TAKEN_BUCKETS];
}

static TakenName *find_taken(SourceWriter *writer, const char *name) {
    TakenName *taken = *bucket_of(writer, name);
    while (taken && strcmp(taken->name, name) != 0) taken = taken->next;
    return taken;
}

static void take_name(SourceWriter *writer, const char *name) {
    TakenName **bucket = bucket_of(writer, name), *taken = arena_new(writer->text->arena, TakenName);
    *taken = (TakenName){name, 2, *bucket};
    *bucket = taken;
}

// What the language means already.
static bool is_word(const char *name) {
    static const char *const words[] = {
        "import",     "dim",           "const", "use", "net", "fn",    "loss", "metric", "data",    "train",
        "optimizer",  "param",         "state", "in",  "for", "yield", "true", "none",   "report",  "return",
        "derivative", "frozen",        "and",   "or",  "not", "nan",   "inf",  "pi",     "f32",     "false",
        "training",   "requires_grad", "float", "f64", "i32", "i64",   "bool", "arange", "permute", "shape",
        "size"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0) return true;
    for (int op = 0; op < OP_COUNT; op++)
        if (strcmp(op_spelling((Op)op), name) == 0) return true;
    return false;
}

static const char *free_name(SourceWriter *writer, const char *wish) {
    Arena *arena = writer->text->arena;
    char *name = arena_print(arena, "%s", wish);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at)) *at = '_';
    if (isdigit((unsigned char)*name)) name = arena_print(arena, "t%s", name);
    TakenName *like = find_taken(writer, name);
    if (!like && !is_word(name)) {
        take_name(writer, name);
        return name;
    }
    if (!like) take_name(writer, name);
    like = find_taken(writer, name);
    const char *result;
    do result = arena_print(arena, "%s_%d", name, like->number++);
    while (find_taken(writer, result) || is_word(result));
    take_name(writer, result);
    return result;
}

// What a value is called that has no name in the source.
static const char *plain_name(const Node *node) {
    switch (node->op) {
    case OP_exp: return "e";
    case OP_reduce_sum: return "total";
    case OP_reduce_max: return "largest";
    case OP_reduce_min: return "smallest";
    case OP_equal:
    case OP_not_equal:
    case OP_less:
    case OP_less_equal: return "mask";
    case OP_contract: return "product";
    case OP_random_uniform:
    case OP_random_normal: return "noise";
    default: return "t";
    }
}

static void set_name(SourceWriter *writer, Block *block, Node *node, const char *name) {
    writer->names[node->id] = name;
    block->own[node->id] = true;
}

// ---- the order of a block

// What an expression reads in place of `node`: a broadcast is written where it is used, or not at all.
static Node *seen_through(Node *node) {
    while (node->op == OP_broadcast) node = node->inputs[0];
    return node;
}

// A node on the way down, and the input that comes next.
typedef struct {
    Node *node;
    int next;
} Step;

// Adds the node and what it reads, inputs first, from left to right.
static void add_nodes(SourceWriter *writer, Block *block, bool *seen, Node *root) {
    ARRAY(Step) open = {0};
    Arena *arena = writer->text->arena;
    Step first = {root, 0};
    if (!seen[root->id]) array_push(arena, &open, first);
    seen[root->id] = true;
    while (open.count) {
        Step *step = &open.items[open.count - 1];
        if (step->next == step->node->input_count || writer->lists[step->node->id]) {
            array_push(arena, &block->nodes, step->node);
            open.count--;
            continue;
        }
        Step input = {step->node->inputs[step->next++], 0};
        if (!seen[input.node->id]) array_push(arena, &open, input);
        seen[input.node->id] = true;
    }
}

static void count_users(const Block *block, const Node *node) {
    bool loop = node->op == OP_loop;
    int sequences = loop ? loop_part(node, 0) : 0, carries = loop ? loop_part(node, 1) : 0;
    for (int i = 0; i < node->input_count; i++) {
        const Node *input = seen_through(node->inputs[i]);
        block->users[input->id]++;
        // What a body reads is computed before the loop.
        if (loop && (i < sequences || i >= sequences + carries)) block->forced[input->id] = true;
    }
}

static Block block_of(SourceWriter *writer, const Function *function) {
    Arena *arena = writer->text->arena;
    int count = writer->graph->node_count;
    Block block = {.users = arena_array(arena, int, count), .weights = arena_array(arena, int, count)};
    block.forced = arena_array(arena, bool, count);
    block.own = arena_array(arena, bool, count);
    block.results = arena_array(arena, const char **, count);
    bool *seen = arena_array(arena, bool, count);
    Node **roots = arena_array(arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    find_lists(writer, roots, function->result_count);
    for (int i = 0; i < function->result_count; i++) add_nodes(writer, &block, seen, function->results[i].node);
    for (int i = 0; i < block.nodes.count; i++)
        if (block.nodes.items[i]->op != OP_broadcast && !writer->lists[block.nodes.items[i]->id])
            count_users(&block, block.nodes.items[i]);
    for (int i = 0; i < function->result_count; i++) block.users[seen_through(function->results[i].node)->id]++;
    return block;
}

// ---- which nodes have a statement

// The names of a loop's results: those of its carries, which they have in the body as well, and of its yields.
static void name_loop(SourceWriter *writer, Block *block, const Node *loop) {
    const Function *body = loop->body;
    const char **names = arena_array(writer->text->arena, const char *, body->result_count);
    for (int i = 0; i < body->result_count; i++) {
        bool carry = i < loop_part(loop, 1);
        const char *wish = body->results[i].name;
        if (!wish && carry) wish = body->arguments[loop_part(loop, 0) + i]->variable->name;
        names[i] = free_name(writer, wish ? wish : "t");
    }
    block->results[loop->id] = names;
}

static void name_node_of(SourceWriter *writer, Block *block, Node *node) {
    int weight = node->op != OP_broadcast;
    for (int k = 0; k < node->input_count && !writer->lists[node->id]; k++) {
        const Node *input = node->inputs[k];
        weight += writer->names[input->id] ? 0 : block->weights[input->id];
    }
    block->weights[node->id] = weight;
    OpClass class = op_class(node->op);
    bool drawn = node->op == OP_random_uniform || node->op == OP_random_normal;   // written twice it is drawn twice
    bool in_place = (class == CLASS_LEAF && !drawn) || node->op == OP_broadcast;
    if (writer->names[node->id] || writer->aliases[node->id] || in_place) return;
    if (node->op == OP_loop) name_loop(writer, block, node);
    else if (node->op == OP_result)
        set_name(writer, block, node, block->results[node->inputs[0]->id][attribute_integer(node, 0)]);
    else if (block->users[node->id] > 1 || block->forced[node->id] || weight > LINE_NODES ||
             (node->name && class != CLASS_VIEW))
        set_name(writer, block, node, free_name(writer, node->name ? node->name : plain_name(node)));
}

// ---- statements

static void write_block(SourceWriter *writer, Block *block);

static void write_indent(const SourceWriter *writer) {
    text_add(writer->text, "%*s", writer->indent, "");
}

// What goes over the loop: its sequences, or a counter that nothing reads.
static void write_head(SourceWriter *writer, Block *block, const Node *loop) {
    int count = loop_part(loop, 0);
    write_indent(writer);
    for (int i = 0; i < count; i++) {
        Node *element = loop->body->arguments[i];
        set_name(writer, block, element, free_name(writer, element->variable->name));
        text_add(writer->text, i ? ", %s" : "for %s", writer->names[element->id]);
    }
    if (!count) text_add(writer->text, "for %s in arange(", free_name(writer, "i"));
    if (!count) extent_print(writer->text, loop->attributes[0]);
    text_add(writer->text, count ? " in " : ")");
    for (int i = 0; i < count; i++) {
        text_add(writer->text, i ? ", " : "");
        write_value(writer, loop->inputs[i], BIND_NONE);
    }
    text_add(writer->text, " {\n");
}

static void write_iteration(SourceWriter *writer, Block *block, const Node *loop, const char *const *names) {
    const Function *body = loop->body;
    int carries = loop_part(loop, 1);
    write_block(writer, block);
    for (int i = carries; i < body->result_count; i++) {
        write_indent(writer);
        text_add(writer->text, "yield %s = ", names[i]);
        write_typed_value(writer, body->results[i].node);
        text_add(writer->text, "\n");
    }
    if (carries) write_indent(writer);
    for (int i = 0; i < carries; i++) text_add(writer->text, i ? ", %s" : "%s", names[i]);
    for (int i = 0; i < carries; i++) {
        text_add(writer->text, i ? ", " : " = ");
        write_typed_value(writer, body->results[i].node);
    }
    text_add(writer->text, carries ? "\n" : "");
}

// Nodes without arguments may stand both in a body and behind the loop: there their names do not hold yet.
static const char **hide_later(SourceWriter *writer, Block *body) {
    const char **hidden = arena_array(writer->text->arena, const char *, writer->graph->node_count);
    for (int i = 0; i < body->nodes.count; i++) {
        int id = body->nodes.items[i]->id;
        if (!writer->names[id] || writer->written[id]) continue;
        hidden[id] = writer->names[id];
        body->own[id] = true;
        writer->names[id] = NULL;
    }
    return hidden;
}

static void write_loop(SourceWriter *writer, const Node *loop, const char *const *names) {
    int sequences = loop_part(loop, 0), carries = loop_part(loop, 1);
    for (int i = 0; i < carries; i++) {
        write_indent(writer);
        text_add(writer->text, "%s = ", names[i]);
        write_typed_value(writer, loop->inputs[sequences + i]);
        text_add(writer->text, "\n");
    }
    Block body = block_of(writer, loop->body);
    const char **hidden = hide_later(writer, &body);
    for (int i = 0; i < loop->input_count - sequences; i++) {
        Node *argument = loop->body->arguments[sequences + i];
        if (i < carries) set_name(writer, &body, argument, names[i]);
        else writer->aliases[argument->id] = loop->inputs[sequences + i];
    }
    write_head(writer, &body, loop);
    writer->indent += 4;
    write_iteration(writer, &body, loop, names);
    writer->indent -= 4;
    write_indent(writer);
    text_add(writer->text, "}\n");
    for (int i = 0; i < writer->graph->node_count; i++)
        if (body.own[i]) {   // what is named in a body has no name behind it
            writer->names[i] = hidden[i];
            writer->written[i] = false;
        }
}

static void write_block(SourceWriter *writer, Block *block) {
    for (int i = 0; i < block->nodes.count; i++) name_node_of(writer, block, block->nodes.items[i]);
    for (int i = 0; i < block->nodes.count; i++) {
        Node *node = block->nodes.items[i];
        if (node->op == OP_loop) write_loop(writer, node, block->results[node->id]);
        bool bound = writer->names[node->id] && !writer->written[node->id];
        if (node->op == OP_result || node->op == OP_variable || !bound) continue;
        writer->written[node->id] = true;
        write_indent(writer);
        text_add(writer->text, "%s = ", writer->names[node->id]);
        write_expression(writer, node, BIND_NONE);
        text_add(writer->text, "\n");
    }
}

// ---- the whole

typedef ARRAY(const char *) DimNames;   // by number; NULL: not used

static void add_dims(SourceWriter *writer, DimNames *dims, const Extent *extent) {
    while (dims->count < extent_dim_count(extent)) array_push(writer->text->arena, dims, NULL);
    for (int dim = 0; dim < extent_dim_count(extent); dim++) {
        const char *name = extent_dim_name(extent, dim);
        if (name && !dims->items[dim]) take_name(writer, name);
        if (name) dims->items[dim] = name;
    }
}

static void add_dims_of(SourceWriter *writer, DimNames *dims, const Function *function) {
    Node **roots = arena_array(writer->text->arena, Node *, function->result_count + function->argument_count);
    int count = 0;
    for (int i = 0; i < function->result_count; i++) roots[count++] = function->results[i].node;
    for (int i = 0; i < function->argument_count; i++) roots[count++] = function->arguments[i];
    NodeArray nodes = reachable(writer->graph, roots, count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        for (int k = 0; k < node->rank; k++) add_dims(writer, dims, node->shape[k]);
        for (int k = 0; k < node->attribute_count; k++) add_dims(writer, dims, node->attributes[k]);
        if (node->body) add_dims_of(writer, dims, node->body);
    }
}

static void write_dims(SourceWriter *writer, const Function *function) {
    DimNames dims = {0};
    int count = 0;
    add_dims_of(writer, &dims, function);
    for (int i = 0; i < dims.count; i++)
        if (dims.items[i]) text_add(writer->text, "%s%s", count++ ? ", " : "dim ", dims.items[i]);
    if (count) text_add(writer->text, "\n\n");
}

static void write_argument(SourceWriter *writer, Block *block, Node *variable, int *count) {
    if (writer->names[variable->id]) return;
    set_name(writer, block, variable, free_name(writer, variable->variable->name));
    text_add(writer->text, (*count)++ ? ", %s: " : "%s: ", writer->names[variable->id]);
    print_shape(writer->text, variable->dtype, (const Extent *const *)variable->shape, variable->rank);
}

// The function's own arguments, then what else it reads: parameters and states.
static void write_signature(SourceWriter *writer, Block *block, const Function *function, const char *name) {
    int count = 0;
    text_add(writer->text, "fn %s(", free_name(writer, name));
    for (int i = 0; i < function->argument_count; i++) write_argument(writer, block, function->arguments[i], &count);
    Node **roots = arena_array(writer->text->arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    NodeArray read = reachable(writer->graph, roots, function->result_count);
    for (int i = 0; i < read.count; i++)
        if (read.items[i]->op == OP_variable) write_argument(writer, block, read.items[i], &count);
    text_add(writer->text, function->result_count > 1 ? ") -> (" : ") -> ");
    for (int i = 0; i < function->result_count; i++) {
        const Node *node = function->results[i].node;
        text_add(writer->text, i ? ", " : "");
        print_shape(writer->text, node->dtype, (const Extent *const *)node->shape, node->rank);
    }
    text_add(writer->text, function->result_count > 1 ? ") {\n" : " {\n");
}

const char *print_source(Text *text, Graph *graph, const Function *function, const char *name) {
    SourceWriter writer = {.text = text, .graph = graph, .indent = 4};
    writer.taken = arena_array(text->arena, TakenName *, TAKEN_BUCKETS);
    writer.names = arena_array(text->arena, const char *, graph->node_count);
    writer.aliases = arena_array(text->arena, Node *, graph->node_count);
    writer.written = arena_array(text->arena, bool, graph->node_count);
    writer.lists = arena_array(text->arena, bool, graph->node_count);
    Block block = block_of(&writer, function);
    write_dims(&writer, function);
    write_signature(&writer, &block, function, name);
    write_block(&writer, &block);
    text_add(text, "    return ");
    for (int i = 0; i < function->result_count; i++) {
        text_add(text, i ? ", " : "");
        write_typed_value(&writer, function->results[i].node);
    }
    text_add(text, "\n}\n");
    return writer.missing;
}
