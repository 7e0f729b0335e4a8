// Random graph functions: gradients against finite differences, and compiled code, fused and cut in different ways,
// against the evaluator's bits (see graph_check.h). One that fails is made smaller and printed.
//   random_test                     the usual seeds
//   random_test --soak N --seed S   N functions from seed S
#include "fuzz.h"
#include "graph/rewrite.h"
#include "graph_check.h"
#include "graph_reduce.h"
#include "random_program.h"

#include <stdio.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
enum { PROGRAMS = 500, SECONDS = 240 };   // five times as slow
#else
enum { PROGRAMS = 1600, SECONDS = 60 };
#endif
enum { COMPILED_EVERY = 32, SECOND_EVERY = 5, LEAST_USES = 50, MOST_FAILURES = 5, REDUCE_TRIES = 1000 };

static int failures, uses[OP_COUNT];

// Ops that a random program must differentiate often: those whose derivative is not zero.
static bool is_required(Op op) {
    switch (op) {
    case OP_gradient:
    case OP_variable:
    case OP_constant:
    case OP_extent:
    case OP_iota:
    case OP_random_uniform:
    case OP_random_normal:
    case OP_stop_gradient:   // finite differences see through it
    case OP_logical_or:      // of bools: nothing varies through them
    case OP_logical_and:
    case OP_logical_not:
    case OP_equal:
    case OP_not_equal:
    case OP_less:
    case OP_less_equal: return false;
    default: return true;
    }
}

static GraphCheck check_of(Arena *arena, uint64_t seed, RandomProgram *program) {
    static const int64_t open[] = {5, 1, 8, 5, 0, 3};
    GraphCheck check = {.graph = graph_create(arena), .seed = seed, .dims = {open[seed % 6]}};
    check.compiles = seed % COMPILED_EVERY == 0;
    check.order = seed % SECOND_EVERY == 0 ? 2 : 1;
    Dtype dtype = check.compiles && seed / COMPILED_EVERY % 2 ? DTYPE_F32 : DTYPE_F64;
    *program = random_program(check.graph, seed, dtype, RANDOM_NODES);
    check.function = program->function;
    check.index_limit = program->index_limit;
    check.inner = program->inner;
    return check;
}

// ---- making one that fails smaller

typedef struct {
    GraphCheck check;
    FaultKind kind;
} Search;

static bool shows_fault(void *context, const Function *function) {
    Search *search = context;
    search->check.function = *function;
    return isolated(graph_check, &search->check, SECONDS).kind == search->kind;
}

// Whether it asks for derivatives or marks something for them: what is printed as a program is differentiated.
static bool has_requests(Graph *graph, const Function *function) {
    NodeArray nodes = reachable(graph, result_nodes(graph->arena, function), function->result_count);
    for (int i = 0; i < nodes.count; i++) {
        const Node *node = nodes.items[i];
        if (is_request(node) || node->op == OP_custom || op_class(node->op) == CLASS_MARK) return true;
        if (node->body && has_requests(graph, node->body)) return true;
    }
    return false;
}

// As a loss of the language, which random_text_test checks; NULL: it cannot be written so.
static const char *as_text(Graph *graph, const Function *function) {
    Text text = {.arena = graph->arena};
    if (has_requests(graph, function) || print_source(&text, graph, function, "random")) return NULL;
    char *start = strstr(text.bytes, "fn random("), *at = start + strlen("fn random(");
    if (!start) return NULL;
    Text result = {.arena = graph->arena};
    text_add_bytes(&result, text.bytes, (size_t)(start - text.bytes));
    text_add(&result, "loss random(");
    for (int depth = 0; *at && (depth || *at != ')'); at++) {
        depth += (*at == '[') - (*at == ']');
        bool ends = !depth && (*at == ',' || at[1] == ')');
        if (*at == ',' && ends && at[-1] != 'x') text_add(&result, " requires_grad");
        text_add_bytes(&result, at, 1);
    }
    text_add(&result, "%s", at);
    return result.bytes;
}

static void make_smaller(const FuzzOptions *options, const GraphCheck *check, FaultKind kind) {
    Search search = {*check, kind};
    Graph *graph = check->graph;
    search.check.inner = (NodeArray){0};
    search.check.order = 1;
    if (!shows_fault(&search, &check->function)) search.check = *check;
    for (int64_t size = 1; size < check->dims[0]; size++) {
        search.check.dims[0] = size;
        if (shows_fault(&search, &check->function)) break;
        search.check.dims[0] = check->dims[0];
    }
    int before = graph_size(graph, &check->function);
    Function small = reduce_graph(graph, check->function, shows_fault, &search, REDUCE_TRIES);
    printf("reduced from %d to %d nodes, N = %lld:\n", before, graph_size(graph, &small),
           (long long)search.check.dims[0]);
    Text text = {.arena = graph->arena};
    print_function(&text, &small);
    printf("%s\n", text.bytes);
    const char *source = as_text(graph, &small);
    fuzz_save(options, check->seed, source ? source : text.bytes, source ? ".grad" : ".graph");
}

// ---- the course

static void check_seed(const FuzzOptions *options, uint64_t seed, int *counts) {
    Arena *arena = arena_create();
    RandomProgram program;
    GraphCheck check = check_of(arena, seed, &program);
    Verdict verdict = isolated(graph_check, &check, SECONDS);
    for (int op = 0; op < OP_COUNT; op++) uses[op] += program.uses[op];
    for (int i = 0; i < GRAPH_COUNTS; i++) counts[i] += verdict.counts[i];
    if (verdict.kind) {
        failures++;
        fuzz_report(options, seed, &verdict);
        make_smaller(options, &check, verdict.kind);
    }
    arena_destroy(arena);
}

static void check_counts(const int *counts) {
    printf("%d slopes and %d second slopes compared with differences, %d at kinks; %d functions run as machine code\n",
           counts[GRAPH_COMPARED], counts[GRAPH_SECOND], counts[GRAPH_KINKS], counts[GRAPH_COMPILED]);
    bool enough = counts[GRAPH_COMPARED] * 2 > PROGRAMS && counts[GRAPH_KINKS] * 4 < counts[GRAPH_COMPARED] &&
                  counts[GRAPH_SECOND] * 12 > PROGRAMS && counts[GRAPH_COMPILED] * 10 > PROGRAMS;
    if (!enough) printf("too few\n");
    failures += !enough;
    int least = PROGRAMS * LEAST_USES / 900;
    for (int op = 0; op < OP_COUNT; op++) {
        if (!is_required((Op)op) || uses[op] >= least) continue;
        printf("%s was differentiated only %d times\n", op_name((Op)op), uses[op]);
        failures++;
    }
}

int main(int argc, char **argv) {
    FuzzOptions options;
    int counts[GRAPH_COUNTS] = {0};
    if (!fuzz_options(argc, argv, PROGRAMS, &options)) return 2;
    for (uint64_t i = 0; i < options.count && failures < MOST_FAILURES; i++)
        check_seed(&options, options.first + i, counts);
    if (options.all) check_counts(counts);
    return failures != 0;
}
