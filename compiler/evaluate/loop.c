// Loops: the body is evaluated once for each element of axis 0, in order.
#include "evaluate/evaluator.h"

#include <string.h>

void evaluate_result(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)evaluation;
    value_share(result, &inputs[0]->parts[attribute_integer(node, 0)]);
}

typedef struct {
    const Node *node;
    Value *const *inputs;
    int64_t trips;
    int sequences, carries, captures, yields;
    Value *arguments, *results;   // of one iteration
} Loop;

// Element `trip` of a sequence: a part of its memory.
static Value element_at(const Value *sequence, int64_t trip) {
    Value element = {.tensor = sequence->tensor, .block = sequence->block};
    element.tensor.rank--;
    for (int i = 0; i < element.tensor.rank; i++) element.tensor.shape[i] = sequence->tensor.shape[i + 1];
    element.tensor.data = (char *)sequence->tensor.data + trip * (int64_t)tensor_bytes(&element.tensor);
    return element;
}

static bool create_yields(Evaluation *evaluation, const Loop *loop, Value *parts) {
    for (int i = 0; i < loop->yields; i++) {
        const Node *type = loop->node->body->results[loop->carries + i].node;
        Tensor *tensor = &parts[loop->carries + i].tensor;
        *tensor = (Tensor){.dtype = type->dtype, .rank = type->rank + 1, .shape = {loop->trips}};
        for (int k = 0; k < type->rank; k++) tensor->shape[k + 1] = size_of(evaluation, type->shape[k]);
        if (!value_reserve(evaluation, &parts[loop->carries + i])) return false;
    }
    return true;
}

// One iteration. The carries in `parts` become the next.
static void iterate(Evaluation *evaluation, const Loop *loop, int64_t trip, Value *parts) {
    Value *argument = loop->arguments;
    for (int i = 0; i < loop->sequences; i++) *argument++ = element_at(loop->inputs[i], trip);
    for (int i = 0; i < loop->carries; i++) *argument++ = parts[i];
    for (int i = 0; i < loop->captures; i++) *argument++ = *loop->inputs[loop->sequences + loop->carries + i];
    evaluate_body(evaluation, loop->node->body, loop->arguments, loop->results);
    if (evaluation->fault) return;
    for (int i = 0; i < loop->carries; i++) {
        value_release(evaluation, &parts[i]);
        parts[i] = loop->results[i];
    }
    for (int i = loop->carries; i < loop->carries + loop->yields; i++) {
        size_t bytes = tensor_bytes(&loop->results[i].tensor);
        if (bytes) memcpy((char *)parts[i].tensor.data + (size_t)trip * bytes, loop->results[i].tensor.data, bytes);
        value_release(evaluation, &loop->results[i]);
    }
}

void evaluate_loop(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    Loop loop = {.node = node, .inputs = inputs, .trips = size_of(evaluation, node->attributes[0])};
    loop.sequences = loop_part(node, 0);
    loop.carries = loop_part(node, 1);
    loop.captures = loop_part(node, 2);
    loop.yields = loop_part(node, 3);
    result->part_count = loop.carries + loop.yields;
    result->parts = arena_array(evaluation->arena, Value, result->part_count);
    loop.arguments = arena_array(evaluation->arena, Value, node->input_count);
    loop.results = arena_array(evaluation->arena, Value, result->part_count);
    for (int i = 0; i < loop.carries; i++) value_share(&result->parts[i], inputs[loop.sequences + i]);
    for (int i = 0; i < loop.sequences; i++)
        if (inputs[i]->tensor.shape[0] != loop.trips)
            evaluation_fail(evaluation, "a loop of %lld trips goes through %lld elements", (long long)loop.trips,
                            (long long)inputs[i]->tensor.shape[0]);
    if (evaluation->fault || !create_yields(evaluation, &loop, result->parts)) return;
    uint64_t outer = evaluation->iteration;
    for (int64_t trip = 0; trip < loop.trips && !evaluation->fault; trip++) {
        evaluation->iteration = outer * (uint64_t)loop.trips + (uint64_t)trip;
        iterate(evaluation, &loop, trip, result->parts);
    }
    evaluation->iteration = outer;
}
