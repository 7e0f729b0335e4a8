// Values that come from nothing but the node: constants, extents, iota, random numbers; and the marks, which are not
// there once differentiation is done.
#include "evaluate/evaluator.h"

#include "math/scalar.h"

// Stores an integer as the dtype's number.
static void store_integer(const Tensor *tensor, int64_t at, int64_t number) {
    switch (tensor->dtype) {
    case DTYPE_F32: ((float *)tensor->data)[at] = (float)number; break;
    case DTYPE_F64: ((double *)tensor->data)[at] = (double)number; break;
    case DTYPE_I32: ((int32_t *)tensor->data)[at] = (int32_t)number; break;
    case DTYPE_BOOL: ((uint8_t *)tensor->data)[at] = number != 0; break;
    default: ((int64_t *)tensor->data)[at] = number; break;
    }
}

void evaluate_constant(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)inputs;
    if (!value_create(evaluation, node, result)) return;
    if (node->dtype == DTYPE_F32) *(float *)result->tensor.data = (float)node->scalar.real;
    else if (node->dtype == DTYPE_F64) *(double *)result->tensor.data = node->scalar.real;
    else store_integer(&result->tensor, 0, node->scalar.integer);
}

void evaluate_extent(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)inputs;
    bool overflow = false;
    const int64_t *dims = evaluation->environment->dims;
    if (!dims && extent_dim_count(node->attributes[0])) {
        evaluation_fail(evaluation, "an extent depends on open dims, which have no values here");
        return;
    }
    int64_t number = extent_evaluate(node->attributes[0], dims, &overflow);
    if (overflow) evaluation_fail(evaluation, "an extent is too large to be counted");
    else if (value_create(evaluation, node, result)) store_integer(&result->tensor, 0, number);
}

void evaluate_iota(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)inputs;
    if (!value_create(evaluation, node, result)) return;
    const Tensor *tensor = &result->tensor;
    int axis = attribute_integer(node, 0);
    int64_t inner = 1, count = tensor_count(tensor);
    for (int i = axis + 1; i < tensor->rank; i++) inner *= tensor->shape[i];
    for (int64_t i = 0; i < count; i++) store_integer(tensor, i, i / inner % tensor->shape[axis]);
}

// Element i of iteration t of the loops around it has number t * count + i.
void evaluate_random(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)inputs;
    if (!value_create(evaluation, node, result)) return;
    int64_t site = 0;
    extent_is_constant(node->attributes[0], &site);
    uint64_t seed = evaluation->environment->seed, draw = evaluation->environment->draw_count;
    uint64_t count = (uint64_t)tensor_count(&result->tensor), first = evaluation->iteration * count;
    bool normal = node->op == OP_random_normal;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t element = first + i, place = (uint64_t)site;
        if (node->dtype == DTYPE_F32)
            ((float *)result->tensor.data)[i] =
                normal ? gradc_normal_f32(seed, element, place, draw) : gradc_uniform_f32(seed, element, place, draw);
        else
            ((double *)result->tensor.data)[i] =
                normal ? gradc_normal_f64(seed, element, place, draw) : gradc_uniform_f64(seed, element, place, draw);
    }
}

void evaluate_mark(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)evaluation;
    (void)node;
    value_share(result, inputs[0]);
}

void evaluate_gradient(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    (void)node;
    (void)inputs;
    (void)result;
    evaluation_fail(evaluation, "there is a gradient left: only differentiated graphs can be evaluated");
}

void evaluate_tangent(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    evaluate_gradient(evaluation, node, inputs, result);
}

void evaluate_jacobian(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    evaluate_gradient(evaluation, node, inputs, result);
}

// The values alone: how they are differentiated does not matter here.
void evaluate_custom(Evaluation *evaluation, const Node *node, Value *const *inputs, Value *result) {
    result->part_count = custom_part(node, 0);
    result->parts = arena_array(evaluation->arena, Value, result->part_count);
    for (int i = 0; i < result->part_count; i++) value_share(&result->parts[i], inputs[i]);
}
