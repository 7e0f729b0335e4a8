// What tests of the reference evaluator share.
#include "evaluate_case.h"

#include <math.h>
#include <string.h>

int failures;
Arena *arena;
Graph *graph;
Environment environment;
Node *arguments[MAX_ARGUMENTS];
Tensor tensors[MAX_ARGUMENTS];
static int argument_count;

Shape shape_of(int rank, const int64_t *sizes) {
    Shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++) shape.extents[i] = extent_constant(graph->extents, sizes[i]);
    return shape;
}

static int64_t count_of(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

Node *input(Dtype dtype, Shape shape, const void *values) {
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = argument_count, .name = "x"};
    Node *node = variable_make(graph, &variable, dtype, shape.extents, shape.rank);
    arguments[argument_count] = node;
    Tensor *tensor = &tensors[argument_count++];
    *tensor = (Tensor){.dtype = dtype, .rank = shape.rank};
    for (int i = 0; i < shape.rank; i++) extent_is_constant(shape.extents[i], &tensor->shape[i]);
    tensor->data = arena_copy(arena, values, (size_t)count_of(tensor) * (size_t)dtype_size(dtype));
    return node;
}

Tensor evaluate(Node *node) {
    Named named = {"result", node};
    Function function = {"test", argument_count, arguments, 1, &named};
    Tensor result = {0};
    const char *invalid = verify_function(graph, &function);
    const char *fault = invalid ? invalid : evaluate_function(arena, &function, tensors, &environment, &result);
    if (fault) {
        printf("%s\n", fault);
        failures++;
    }
    return result;
}

void start(void) {
    graph = graph_create(arena);
    argument_count = 0;
    environment = (Environment){0};
}

static bool same_bits(const void *a, const void *b, Dtype dtype, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        double x = 0, y = 0;
        if (dtype == DTYPE_F32) x = (double)((const float *)a)[i], y = (double)((const float *)b)[i];
        if (dtype == DTYPE_F64) x = ((const double *)a)[i], y = ((const double *)b)[i];
        if (isnan(x) && isnan(y)) continue;
        size_t size = (size_t)dtype_size(dtype);
        if (memcmp((const char *)a + (size_t)i * size, (const char *)b + (size_t)i * size, size)) return false;
    }
    return true;
}

static void print_element(const Tensor *tensor, const void *data, int64_t i) {
    switch (tensor->dtype) {
    case DTYPE_F32: printf(" %a", (double)((const float *)data)[i]); break;
    case DTYPE_F64: printf(" %a", ((const double *)data)[i]); break;
    case DTYPE_I32: printf(" %d", ((const int32_t *)data)[i]); break;
    case DTYPE_I64: printf(" %lld", (long long)((const int64_t *)data)[i]); break;
    default: printf(" %d", ((const uint8_t *)data)[i]); break;
    }
}

void expect_at(int line, Node *node, Dtype dtype, Shape shape, const void *values) {
    Tensor result = evaluate(node);
    bool same = result.data && result.dtype == dtype && result.rank == shape.rank;
    for (int i = 0; same && i < shape.rank; i++) same = extent_is(shape.extents[i], result.shape[i]);
    if (same && same_bits(result.data, values, dtype, count_of(&result))) return;
    printf("line %d: %s is", line, op_name(node->op));
    for (int64_t i = 0; result.data && i < count_of(&result) && i < 12; i++) print_element(&result, result.data, i);
    printf(", not");
    for (int64_t i = 0; same && i < count_of(&result) && i < 12; i++) print_element(&result, values, i);
    printf("\n");
    failures++;
}
