// Functions: their nodes are evaluated in order of their ids, which is inputs first, each into memory of its own that
// is given back after its last reader. One Plan for each function, made when it is first evaluated.
#include "evaluate/evaluator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Plan {
    struct Plan *next;
    const Function *function;
    NodeArray nodes;   // ascending by id
    int *numbers;      // by id: which of them
    int *last_use;     // by number: the node that reads it last; the node count: a result
    Value *values;     // by number
} Plan;

static EvaluateOp *const evaluators[OP_COUNT] = {
#define MAP_OP(name, ...) [OP_##name] = evaluate_map,
#define TENSOR_OP(name, class, arity, derivative, batching, evaluate, spelling) [OP_##name] = evaluate_##evaluate,
#include "graph/ops.def"
};

void evaluation_fail(Evaluation *evaluation, const char *format, ...) {
    if (evaluation->fault) return;
    va_list arguments;
    va_start(arguments, format);
    evaluation->fault = arena_vprint(evaluation->messages, format, arguments);
    va_end(arguments);
}

// ---- sizes and indices

int64_t size_of(Evaluation *evaluation, const Extent *extent) {
    int64_t constant;
    if (extent_is_constant(extent, &constant) && constant >= 0) return constant;
    if (!evaluation->environment->dims && extent_dim_count(extent)) {
        evaluation_fail(evaluation, "a shape has open dims, which have no values here");
        return 0;
    }
    bool overflow = false;
    int64_t size = extent_evaluate(extent, evaluation->environment->dims, &overflow);
    if (!overflow && size >= 0) return size;
    Text text = {.arena = evaluation->messages};
    extent_print(&text, extent);
    evaluation_fail(evaluation, "the extent %s is %lld", text.bytes, (long long)size);
    return 0;
}

int64_t tensor_count(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

size_t tensor_bytes(const Tensor *tensor) {
    return (size_t)tensor_count(tensor) * (size_t)dtype_size(tensor->dtype);
}

void row_major(const int64_t *shape, int rank, int64_t *strides) {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= shape[i];
    }
}

bool index_next(int64_t *index, const int64_t *shape, int rank) {
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < shape[i]) return true;
        index[i] = 0;
    }
    return false;
}

int64_t *offsets_of(Evaluation *evaluation, const int64_t *shape, const int64_t *strides, int rank, Value *holder) {
    *holder = (Value){.tensor = {.dtype = DTYPE_I64, .rank = rank}};
    for (int i = 0; i < rank; i++) holder->tensor.shape[i] = shape[i];
    if (!value_reserve(evaluation, holder)) return NULL;
    int64_t *offsets = holder->tensor.data, index[MAX_RANK] = {0}, count = tensor_count(&holder->tensor);
    for (int64_t at = 0; at < count; at++) {
        offsets[at] = 0;
        for (int i = 0; i < rank; i++) offsets[at] += index[i] * strides[i];
        index_next(index, shape, rank);
    }
    return offsets;
}

// ---- memory

static Block *block_create(Evaluation *evaluation, size_t bytes) {
    int size_class = 4;
    while (size_class < SIZE_CLASSES - 1 && (size_t)1 << size_class < bytes) size_class++;
    Block *block = evaluation->free_blocks[size_class];
    if (block) {
        evaluation->free_blocks[size_class] = block->next;
    } else {
        block = arena_new(evaluation->arena, Block);
        block->size_class = size_class;
        block->bytes = arena_allocate(evaluation->arena, (size_t)1 << size_class);
    }
    block->holders = 1;
    return block;
}

bool value_reserve(Evaluation *evaluation, Value *value) {
    int64_t bytes = dtype_size(value->tensor.dtype);
    bool overflow = false;
    for (int i = 0; i < value->tensor.rank; i++)
        overflow = __builtin_mul_overflow(bytes, value->tensor.shape[i], &bytes) || overflow;
    if (overflow) evaluation_fail(evaluation, "a tensor is too large");
    if (evaluation->fault) return false;
    value->block = block_create(evaluation, (size_t)bytes);
    value->tensor.data = value->block->bytes;
    return true;
}

bool value_create(Evaluation *evaluation, const Node *node, Value *value) {
    value->tensor = (Tensor){.dtype = node->dtype, .rank = node->rank};
    for (int i = 0; i < node->rank; i++) value->tensor.shape[i] = size_of(evaluation, node->shape[i]);
    return value_reserve(evaluation, value);
}

void value_share(Value *value, const Value *other) {
    value->tensor = other->tensor;
    value->block = other->block;
    if (value->block) value->block->holders++;
}

void value_release(Evaluation *evaluation, Value *value) {
    for (int i = 0; i < value->part_count; i++) value_release(evaluation, &value->parts[i]);
    Block *block = value->block;
    if (block && --block->holders == 0) {
        block->next = evaluation->free_blocks[block->size_class];
        evaluation->free_blocks[block->size_class] = block;
    }
    *value = (Value){0};
}

// ---- plans

static int compare_ids(const void *a, const void *b) {
    int left = (*(Node *const *)a)->id, right = (*(Node *const *)b)->id;
    return (left > right) - (left < right);
}

static void find_nodes(Evaluation *evaluation, Plan *plan, int id_count) {
    const Function *function = plan->function;
    NodeArray stack = {0};
    bool *seen = arena_array(evaluation->arena, bool, id_count);
    for (int i = 0; i < function->result_count; i++) array_push(evaluation->arena, &stack, function->results[i].node);
    while (stack.count) {
        Node *node = stack.items[--stack.count];
        if (seen[node->id]) continue;
        seen[node->id] = true;
        array_push(evaluation->arena, &plan->nodes, node);
        for (int i = 0; i < node->input_count; i++) array_push(evaluation->arena, &stack, node->inputs[i]);
    }
    if (plan->nodes.count) qsort(plan->nodes.items, (size_t)plan->nodes.count, sizeof(Node *), compare_ids);
}

static Plan *plan_of(Evaluation *evaluation, const Function *function) {
    for (Plan *plan = evaluation->plans; plan; plan = plan->next)
        if (plan->function == function) return plan;
    Plan *plan = arena_new(evaluation->arena, Plan);
    plan->function = function;
    plan->next = evaluation->plans;
    evaluation->plans = plan;
    int id_count = 0;   // inputs have smaller ids than their users
    for (int i = 0; i < function->result_count; i++)
        if (function->results[i].node->id >= id_count) id_count = function->results[i].node->id + 1;
    find_nodes(evaluation, plan, id_count);
    int count = plan->nodes.count;
    plan->numbers = arena_array(evaluation->arena, int, id_count);
    plan->last_use = arena_array(evaluation->arena, int, count);
    plan->values = arena_array(evaluation->arena, Value, count);
    for (int i = 0; i < count; i++) {
        const Node *node = plan->nodes.items[i];
        plan->numbers[node->id] = i;
        for (int k = 0; k < node->input_count; k++) plan->last_use[plan->numbers[node->inputs[k]->id]] = i;
    }
    for (int i = 0; i < function->result_count; i++)
        plan->last_use[plan->numbers[function->results[i].node->id]] = count;
    return plan;
}

// ---- variables

static void describe(Text *text, const Tensor *tensor) {
    text_add(text, "%s[", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++) text_add(text, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    text_add(text, "]");
}

static bool fits(Evaluation *evaluation, const Node *node, const Tensor *tensor) {
    Tensor wanted = {.dtype = node->dtype, .rank = node->rank};
    for (int i = 0; i < node->rank; i++) wanted.shape[i] = size_of(evaluation, node->shape[i]);
    if (evaluation->fault) return false;
    bool same = tensor->dtype == wanted.dtype && tensor->rank == wanted.rank;
    for (int i = 0; same && i < wanted.rank; i++) same = tensor->shape[i] == wanted.shape[i];
    if (same) return true;
    Text given = {.arena = evaluation->messages}, expected = {.arena = evaluation->messages};
    describe(&given, tensor);
    describe(&expected, &wanted);
    evaluation_fail(evaluation, "'%s' is %s, but %s was given", node->variable->name ? node->variable->name : "",
                    expected.bytes, given.bytes);
    return false;
}

// The value of a variable that is none of the function's arguments.
void evaluate_variable(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)inputs;
    const Environment *environment = evaluation->environment;
    for (int i = 0; i < environment->binding_count; i++) {
        if (environment->bindings[i].variable != node) continue;
        if (fits(evaluation, node, &environment->bindings[i].value)) result->tensor = environment->bindings[i].value;
        return;
    }
    evaluation_fail(evaluation, "'%s' has no value here", node->variable->name ? node->variable->name : "");
}

static bool bind_argument(Evaluation *evaluation, const Function *function, const Value *arguments, const Node *node,
                          Value *value) {
    for (int i = 0; arguments && i < function->argument_count; i++) {
        if (function->arguments[i] != node) continue;
        if (fits(evaluation, node, &arguments[i].tensor)) value_share(value, &arguments[i]);
        return true;
    }
    return false;
}

// ---- functions

static void evaluate_node(Evaluation *evaluation, const Plan *plan, const Value *arguments, int number) {
    const Node *node = plan->nodes.items[number];
    Value *result = &plan->values[number], *few[MAX_ARITY], **inputs = few;
    if (node->op == OP_variable && bind_argument(evaluation, plan->function, arguments, node, result)) return;
    if (node->input_count > MAX_ARITY) inputs = arena_array(evaluation->arena, Value *, node->input_count);
    for (int i = 0; i < node->input_count; i++) inputs[i] = &plan->values[plan->numbers[node->inputs[i]->id]];
    evaluators[node->op](evaluation, node, inputs, result);
    for (int i = 0; i < node->input_count; i++)
        if (plan->last_use[plan->numbers[node->inputs[i]->id]] == number) value_release(evaluation, inputs[i]);
}

void evaluate_body(Evaluation *evaluation, const Function *function, const Value *arguments, Value *results) {
    const Plan *plan = plan_of(evaluation, function);
    for (int i = 0; i < plan->nodes.count && !evaluation->fault; i++) evaluate_node(evaluation, plan, arguments, i);
    for (int i = 0; i < function->result_count && !evaluation->fault; i++)
        value_share(&results[i], &plan->values[plan->numbers[function->results[i].node->id]]);
    for (int i = 0; i < plan->nodes.count; i++) value_release(evaluation, &plan->values[i]);
}

static void evaluate_into(Evaluation *evaluation, const Function *function, const Tensor *arguments, Tensor *results) {
    Value *bound = arena_array(evaluation->arena, Value, function->argument_count);
    Value *values = arena_array(evaluation->arena, Value, function->result_count);
    for (int i = 0; arguments && i < function->argument_count; i++) bound[i].tensor = arguments[i];
    evaluate_body(evaluation, function, arguments ? bound : NULL, values);
    for (int i = 0; i < function->result_count && !evaluation->fault; i++) {
        results[i] = values[i].tensor;
        results[i].data = arena_copy(evaluation->messages, values[i].tensor.data, tensor_bytes(&values[i].tensor));
    }
}

static _Noreturn void give_up(Arena *arena, Arena *scratch, const jmp_buf *outer) {
    arena_destroy(scratch);
    memcpy(arena_recover(arena), outer, sizeof *outer);
    longjmp(*arena_recover(arena), 1);
}

const char *evaluate_function(Arena *arena, const Function *function, const Tensor *arguments, Environment *environment,
                              Tensor *results) {
    Arena *scratch = arena_create_from(arena_allocator(arena));
    if (!scratch) longjmp(*arena_recover(arena), 1);
    jmp_buf outer;   // when memory runs out anywhere, the scratch arena goes before the caller recovers
    memcpy(&outer, arena_recover(arena), sizeof outer);
    if (setjmp(*arena_recover(scratch))) give_up(arena, scratch, &outer);
    if (setjmp(*arena_recover(arena))) give_up(arena, scratch, &outer);
    Evaluation *evaluation = arena_new(scratch, Evaluation);
    *evaluation = (Evaluation){.arena = scratch, .messages = arena, .environment = environment};
    environment->faulted = false;
    evaluate_into(evaluation, function, arguments, results);
    const char *fault = evaluation->fault;
    arena_destroy(scratch);
    memcpy(arena_recover(arena), &outer, sizeof outer);
    return fault;
}
