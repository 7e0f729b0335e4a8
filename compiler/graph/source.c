// A graph as a program of the language: one `fn` that computes its results, with the source's names (semantics.md,
// S17). What is used once and has no name of its own stands inside the expression that uses it.
#include "graph/graph.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

// Binding powers, weakest first, as in the grammar.
enum { BIND_NONE, BIND_OR, BIND_AND, BIND_NOT, BIND_COMPARE, BIND_ADD, BIND_MULTIPLY, BIND_NEGATE, BIND_POWER,
       BIND_POSTFIX };
enum { LINE_NODES = 6 };   // an expression with more nodes than this gets a line of its own

typedef struct {
    Text *text;
    NodeArray nodes;
    const char **names;   // by node id: what the node's statement binds, or NULL
    int *users;
    int *weights;         // nodes in the node's expression
    const char *missing;  // an op that has no spelling yet
} Writer;

static void print_value(Writer *writer, const Node *node, int power);

static bool is_leaf(const Node *node) {
    return op_class(node->op) == CLASS_LEAF;
}

// ---- names

static bool is_taken(const Writer *writer, const char *name) {
    for (int i = 0; i < writer->nodes.count; i++) {
        const char *other = writer->names[writer->nodes.items[i]->id];
        if (other && strcmp(other, name) == 0) return true;
    }
    for (int op = 0; op < OP_COUNT; op++)
        if (strcmp(op_spelling((Op)op), name) == 0) return true;
    for (int i = 0; i < writer->nodes.count; i++)   // dims are names too
        for (int k = 0; k < writer->nodes.items[i]->rank; k++) {
            Text dim = {.arena = writer->text->arena};
            extent_print(&dim, writer->nodes.items[i]->shape[k]);
            if (strcmp(dim.bytes, name) == 0) return true;
        }
    return false;
}

static const char *free_name(Writer *writer, const char *wish) {
    Arena *arena = writer->text->arena;
    char *name = arena_print(arena, "%s", wish);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at)) *at = '_';
    const char *result = name;
    for (int i = 2; is_taken(writer, result); i++) result = arena_print(arena, "%s_%d", name, i);
    return result;
}

// A broadcast that NumPy's rules do by themselves beside an operand of the full shape.
static bool is_right_aligned(const Node *broadcast) {
    const Node *x = broadcast->inputs[0];
    for (int i = 0; i < x->rank; i++)
        if (attribute_integer(broadcast, i) != broadcast->rank - x->rank + i) return false;
    return true;
}

static void name_nodes(Writer *writer, const Function *function) {
    for (int i = 0; i < writer->nodes.count; i++) {
        Node *node = writer->nodes.items[i];
        if (node->op == OP_variable) writer->names[node->id] = free_name(writer, node->variable->name);
    }
    for (int i = 0; i < writer->nodes.count; i++) {
        Node *node = writer->nodes.items[i];
        int weight = 1;
        for (int k = 0; k < node->input_count; k++)
            weight += writer->names[node->inputs[k]->id] ? 0 : writer->weights[node->inputs[k]->id];
        writer->weights[node->id] = weight;
        if (is_leaf(node) || (node->op == OP_broadcast && is_leaf(node->inputs[0]))) continue;
        bool named = node->name && op_class(node->op) != CLASS_VIEW;
        if (writer->users[node->id] > 1 || named || weight > LINE_NODES)
            writer->names[node->id] = free_name(writer, node->name ? node->name : "t");
    }
    (void)function;
}

// ---- pieces

static void print_dims(Writer *writer, const Node *node) {
    text_add(writer->text, "[");
    for (int i = 0; i < node->rank; i++) {
        if (i) text_add(writer->text, ", ");
        extent_print(writer->text, node->shape[i]);
    }
    text_add(writer->text, "]");
}

static void print_number(Writer *writer, const Node *node) {
    double value = node->scalar.real;
    if (node->dtype == DTYPE_BOOL) text_add(writer->text, node->scalar.integer ? "true" : "false");
    else if (!dtype_is_float(node->dtype)) text_add(writer->text, "%lld", (long long)node->scalar.integer);
    else if (isnan(value)) text_add(writer->text, "nan");
    else if (isinf(value)) text_add(writer->text, value < 0 ? "-inf" : "inf");
    else if (value == floor(value) && fabs(value) < 1e6) text_add(writer->text, "%.1f", value);
    else text_add(writer->text, node->dtype == DTYPE_F32 ? "%.9g" : "%.17g", value);
}

static bool is_negative(const Node *node) {
    return node->op == OP_constant && (dtype_is_float(node->dtype) ? signbit(node->scalar.real) : node->scalar.integer < 0);
}

static void print_axes(Writer *writer, const Node *node, int count) {
    text_add(writer->text, count == 1 ? "" : "[");
    for (int i = 0; i < count; i++) text_add(writer->text, i ? ", %d" : "%d", attribute_integer(node, i));
    text_add(writer->text, count == 1 ? "" : "]");
}

static void open_call(Writer *writer, const char *name, const Node *first) {
    text_add(writer->text, "%s(", name);
    print_value(writer, first, BIND_NONE);
}

// ---- ops

typedef struct {
    Op op;
    int power;
    bool right;   // associates to the right
} Infix;
static const Infix infixes[] = {
    {OP_logical_or, BIND_OR, false},      {OP_logical_and, BIND_AND, false},  {OP_equal, BIND_COMPARE, false},
    {OP_not_equal, BIND_COMPARE, false},  {OP_less, BIND_COMPARE, false},     {OP_less_equal, BIND_COMPARE, false},
    {OP_add, BIND_ADD, false},            {OP_subtract, BIND_ADD, false},     {OP_multiply, BIND_MULTIPLY, false},
    {OP_divide, BIND_MULTIPLY, false},    {OP_floor_divide, BIND_MULTIPLY, false},
    {OP_remainder, BIND_MULTIPLY, false}, {OP_pow, BIND_POWER, true},
};

// An operand of an elementwise op: broadcasting is left to the language if another operand has the full shape.
static void print_operand(Writer *writer, const Node *map, int operand, int power) {
    const Node *node = map->inputs[operand];
    bool implied = node->op == OP_broadcast && is_right_aligned(node) && !writer->names[node->id];
    bool full = false;
    for (int i = 0; i < map->input_count; i++) full = full || map->inputs[i]->op != OP_broadcast;
    print_value(writer, implied && full ? node->inputs[0] : node, power);
}

static bool print_infix(Writer *writer, const Node *node, int power) {
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++) {
        const Infix *infix = &infixes[i];
        if (infix->op != node->op) continue;
        bool strict = infix->power == BIND_COMPARE;
        bool group = power > infix->power || (power == infix->power && strict);
        text_add(writer->text, group ? "(" : "");
        print_operand(writer, node, 0, infix->power + (infix->right || strict));
        text_add(writer->text, infix->power == BIND_POWER ? "%s" : " %s ", op_spelling(node->op));
        print_operand(writer, node, 1, infix->power + !infix->right);
        text_add(writer->text, group ? ")" : "");
        return true;
    }
    return false;
}

static void print_map(Writer *writer, const Node *node, int power) {
    if (print_infix(writer, node, power)) return;
    bool negate = node->op == OP_negate, not = node->op == OP_logical_not;
    if (negate || not) {
        int own = negate ? BIND_NEGATE : BIND_NOT;
        text_add(writer->text, power > own ? "(%s" : "%s", negate ? "-" : "not ");
        print_value(writer, node->inputs[0], own + negate);
        text_add(writer->text, power > own ? ")" : "");
        return;
    }
    text_add(writer->text, "%s(", node->op == OP_cast ? dtype_name(node->dtype) : op_spelling(node->op));
    for (int i = 0; i < node->input_count; i++) {
        text_add(writer->text, i ? ", " : "");
        print_operand(writer, node, i, BIND_NONE);
    }
    text_add(writer->text, ")");
}

static void print_contract(Writer *writer, const Node *node, int power) {
    int x_rank = attribute_integer(node, 0), y_rank = attribute_integer(node, 1);
    const int product[] = {2, 2, 0, 1, 1, 2, 0, 2};
    bool matmul = node->attribute_count == 8;
    for (int i = 0; matmul && i < 8; i++) matmul = attribute_integer(node, i) == product[i];
    if (matmul) {
        text_add(writer->text, power > BIND_MULTIPLY ? "(" : "");
        print_value(writer, node->inputs[0], BIND_MULTIPLY);
        text_add(writer->text, " @ ");
        print_value(writer, node->inputs[1], BIND_MULTIPLY + 1);
        text_add(writer->text, power > BIND_MULTIPLY ? ")" : "");
        return;
    }
    text_add(writer->text, "einsum(\"");
    for (int i = 2; i < node->attribute_count; i++) {
        if (i == 2 + x_rank) text_add(writer->text, ",");
        if (i == 2 + x_rank + y_rank) text_add(writer->text, "->");
        text_add(writer->text, "%c", 'a' + attribute_integer(node, i));
    }
    text_add(writer->text, node->rank ? "\", " : "->\", ");
    print_value(writer, node->inputs[0], BIND_NONE);
    text_add(writer->text, ", ");
    print_value(writer, node->inputs[1], BIND_NONE);
    text_add(writer->text, ")");
}

static void print_slice(Writer *writer, const Node *node) {
    ExtentTable *extents = extent_table_create(writer->text->arena);
    (void)extents;
    print_value(writer, node->inputs[0], BIND_POSTFIX);
    text_add(writer->text, "[");
    for (int i = 0; i < node->rank; i++) {
        text_add(writer->text, i ? ", " : "");
        const Node *x = node->inputs[0];
        int step = attribute_integer(node, 2 * i + 1);
        if (extent_is(node->attributes[2 * i], 0) && step == 1 && node->shape[i] == x->shape[i]) {
            text_add(writer->text, ":");
            continue;
        }
        if (step < 1) writer->missing = "a slice that runs backwards";
        // start : start + step * count, which may lie up to step - 1 behind the last element: cut by the language
        extent_print(writer->text, node->attributes[2 * i]);
        text_add(writer->text, ":");
        if (!extent_is(node->attributes[2 * i], 0)) {
            extent_print(writer->text, node->attributes[2 * i]);
            text_add(writer->text, " + ");
        }
        text_add(writer->text, step == 1 ? "(" : "%d * (", step);
        extent_print(writer->text, node->shape[i]);
        text_add(writer->text, step == 1 ? ")" : " - 1) + 1:%d", step);
    }
    text_add(writer->text, "]");
}

// Where the broadcast's own axes stand among new ones.
static void print_broadcast(Writer *writer, const Node *node) {
    const Node *x = node->inputs[0];
    text_add(writer->text, "broadcast(");
    print_value(writer, x, x->rank && !is_right_aligned(node) ? BIND_POSTFIX : BIND_NONE);
    if (!is_right_aligned(node)) {
        int next = 0;
        text_add(writer->text, "[");
        for (int axis = 0; axis < node->rank; axis++) {
            bool own = next < x->rank && attribute_integer(node, next) == axis;
            text_add(writer->text, "%s%s", axis ? ", " : "", own ? ":" : "none");
            next += own;
        }
        text_add(writer->text, "]");
    }
    text_add(writer->text, ", ");
    print_dims(writer, node);
    text_add(writer->text, ")");
}

static void print_pad(Writer *writer, const Node *node) {
    open_call(writer, "pad", node->inputs[0]);
    text_add(writer->text, ", ");
    for (int part = 0; part < 2; part++) {
        text_add(writer->text, "[");
        for (int i = 0; i < node->rank; i++) {
            text_add(writer->text, i ? ", " : "");
            extent_print(writer->text, node->attributes[2 * i + part]);
        }
        text_add(writer->text, "], ");
    }
    print_dims(writer, node);
    text_add(writer->text, ")");
}

static void print_iota(Writer *writer, const Node *node) {
    int axis = attribute_integer(node, 0);
    bool converted = node->dtype != DTYPE_I32;
    text_add(writer->text, node->rank > 1 ? "broadcast(" : "");
    text_add(writer->text, converted ? "%s(arange(" : "arange(", dtype_name(node->dtype));
    extent_print(writer->text, node->shape[axis]);
    text_add(writer->text, converted ? "))" : ")");
    if (node->rank < 2) return;
    for (int i = axis; i < node->rank; i++) text_add(writer->text, i == axis ? "[:" : ", none");
    text_add(writer->text, "], ");
    print_dims(writer, node);
    text_add(writer->text, ")");
}

static void print_structural(Writer *writer, const Node *node, int power) {
    switch (node->op) {
    case OP_constant:
        text_add(writer->text, is_negative(node) && power > BIND_NEGATE ? "(" : "");
        print_number(writer, node);
        text_add(writer->text, is_negative(node) && power > BIND_NEGATE ? ")" : "");
        return;
    case OP_extent:
        text_add(writer->text, "%s(", dtype_name(node->dtype));
        extent_print(writer->text, node->attributes[0]);
        text_add(writer->text, ")");
        return;
    case OP_iota: print_iota(writer, node); return;
    case OP_contract: print_contract(writer, node, power); return;
    case OP_slice: print_slice(writer, node); return;
    case OP_broadcast: print_broadcast(writer, node); return;
    case OP_pad: print_pad(writer, node); return;
    case OP_reshape:
        open_call(writer, "reshape", node->inputs[0]);
        text_add(writer->text, ", ");
        print_dims(writer, node);
        text_add(writer->text, ")");
        return;
    case OP_transpose:
        open_call(writer, "permute", node->inputs[0]);
        text_add(writer->text, ", [");
        for (int i = 0; i < node->rank; i++) text_add(writer->text, i ? ", %d" : "%d", attribute_integer(node, i));
        text_add(writer->text, "])");
        return;
    case OP_gather:
        print_value(writer, node->inputs[0], BIND_POSTFIX);
        text_add(writer->text, "[");
        print_value(writer, node->inputs[1], BIND_NONE);
        text_add(writer->text, "]");
        return;
    case OP_scatter_add:
        open_call(writer, "scatter_add", node->inputs[0]);
        text_add(writer->text, ", ");
        print_value(writer, node->inputs[1], BIND_NONE);
        text_add(writer->text, ", ");
        print_dims(writer, node);
        text_add(writer->text, ")");
        return;
    default:
        if (op_class(node->op) == CLASS_REDUCE) {
            open_call(writer, op_spelling(node->op), node->inputs[0]);
            if (node->rank) {
                text_add(writer->text, ", axis = ");
                print_axes(writer, node, node->attribute_count);
            }
            text_add(writer->text, ")");
            return;
        }
        writer->missing = op_name(node->op);
    }
}

static void print_expression_of(Writer *writer, const Node *node, int power) {
    if (op_class(node->op) == CLASS_MAP) print_map(writer, node, power);
    else print_structural(writer, node, power);
}

static void print_value(Writer *writer, const Node *node, int power) {
    if (writer->names[node->id]) text_add(writer->text, "%s", writer->names[node->id]);
    else print_expression_of(writer, node, power);
}

// ---- the whole

static void print_dim_items(Writer *writer) {
    ARRAY(const char *) names = {0};
    Arena *arena = writer->text->arena;
    for (int i = 0; i < writer->nodes.count; i++)
        for (int k = 0; k < writer->nodes.items[i]->rank; k++)
            for (int d = 0; d < extent_dim_count(writer->nodes.items[i]->shape[k]); d++) {
                const char *name = extent_dim_name(writer->nodes.items[i]->shape[k], d);
                bool known = !name;
                for (int n = 0; n < names.count; n++) known = known || strcmp(names.items[n], name) == 0;
                if (!known) array_push(arena, &names, name);
            }
    for (int i = 0; i < names.count; i++) text_add(writer->text, "%s%s", i ? ", " : "dim ", names.items[i]);
    if (names.count) text_add(writer->text, "\n\n");
}

static void print_signature(Writer *writer, const Function *function, const char *name) {
    text_add(writer->text, "fn %s(", name);
    int count = 0;
    for (int pass = 0; pass < 2; pass++)   // the function's own arguments, then what else it reads
        for (int i = 0; i < writer->nodes.count; i++) {
            const Node *node = writer->nodes.items[i];
            if (node->op != OP_variable) continue;
            bool own = false;
            for (int k = 0; k < function->argument_count; k++) own = own || function->arguments[k] == node;
            if (own != (pass == 0)) continue;
            text_add(writer->text, count++ ? ", %s: " : "%s: ", writer->names[node->id]);
            print_shape(writer->text, node->dtype, (const Extent *const *)node->shape, node->rank);
        }
    text_add(writer->text, function->result_count > 1 ? ") -> (" : ") -> ");
    for (int i = 0; i < function->result_count; i++) {
        const Node *node = function->results[i].node;
        text_add(writer->text, i ? ", " : "");
        print_shape(writer->text, node->dtype, (const Extent *const *)node->shape, node->rank);
    }
    text_add(writer->text, function->result_count > 1 ? ") {\n" : " {\n");
}

const char *print_source(Text *text, Graph *graph, const Function *function, const char *name) {
    Node **roots = arena_array(text->arena, Node *, function->result_count);
    for (int i = 0; i < function->result_count; i++) roots[i] = function->results[i].node;
    Writer writer = {.text = text, .nodes = reachable(graph, roots, function->result_count)};
    writer.names = arena_array(text->arena, const char *, graph->node_count);
    writer.users = arena_array(text->arena, int, graph->node_count);
    writer.weights = arena_array(text->arena, int, graph->node_count);
    for (int i = 0; i < writer.nodes.count; i++)
        for (int k = 0; k < writer.nodes.items[i]->input_count; k++)
            writer.users[writer.nodes.items[i]->inputs[k]->id]++;
    name_nodes(&writer, function);
    print_dim_items(&writer);
    print_signature(&writer, function, name);
    for (int i = 0; i < writer.nodes.count; i++) {
        const Node *node = writer.nodes.items[i];
        if (node->op == OP_variable || !writer.names[node->id]) continue;
        text_add(text, "    %s = ", writer.names[node->id]);
        print_expression_of(&writer, node, BIND_NONE);
        text_add(text, "\n");
    }
    text_add(text, "    return ");
    for (int i = 0; i < function->result_count; i++) {
        text_add(text, i ? ", " : "");
        print_value(&writer, function->results[i].node, BIND_NONE);
    }
    text_add(text, "\n}\n");
    return writer.missing;
}
