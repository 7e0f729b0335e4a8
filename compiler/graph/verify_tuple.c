// The verifier's rules for nodes with several results: requests for derivatives, loops, values with a derivative of the
// user's; and for what is read of them.
#include "graph/verifier.h"

// ---- requests for derivatives

static void verify_targets(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->input_count >= first_target(node), "it has too few inputs");
    if (verifier->fault) return;
    expect(verifier, node, dtype_is_float(node->inputs[0]->dtype), "what is differentiated is not floating");
    for (int i = first_target(node); i < node->input_count; i++) {
        bool target = node->inputs[i]->op == OP_variable || node->inputs[i]->op == OP_track;
        expect(verifier, node, target, "a target is neither a variable nor tracked");
        expect(verifier, node, dtype_is_float(node->inputs[i]->dtype), "a target is not floating");
    }
}

void verify_gradient(Verifier *verifier, const Node *node) {
    bool fits = node->attribute_count == 2 && attribute_below(node, 0, 2) && attribute_below(node, 1, 2);
    expect(verifier, node, fits, "its attributes are not two truth values");
    if (!verifier->fault) verify_targets(verifier, node);
    if (verifier->fault) return;
    const Node *y = node->inputs[0];
    if (first_target(node) == 1)
        expect(verifier, node, y->rank == 0, "what is differentiated is no scalar, and has no cotangent");
    else expect(verifier, node, same_type(y, node->inputs[1]), "the cotangent has another dtype or shape");
}

void verify_tangent(Verifier *verifier, const Node *node) {
    bool fits = node->attribute_count == 1 && attribute_below(node, 0, node->input_count);
    expect(verifier, node, fits, "it does not count its tangents");
    if (!verifier->fault) verify_targets(verifier, node);
    if (verifier->fault) return;
    int count = attribute_integer(node, 0);
    expect(verifier, node, node->input_count == 1 + 2 * count, "there is not one tangent for each target");
    for (int i = 1; i <= count && !verifier->fault; i++)
        expect(verifier, node, same_type(node->inputs[i], node->inputs[i + count]),
               "a tangent has another dtype or shape than its target");
}

void verify_jacobian(Verifier *verifier, const Node *node) {
    bool fits = node->attribute_count == 1 && attribute_below(node, 0, 1);
    expect(verifier, node, fits, "its attribute is not 0");
    if (!verifier->fault) verify_targets(verifier, node);
}

// ---- bodies

// What goes into the body's argument `index`, which `input` gives element by element or as it is.
static void verify_argument(Verifier *verifier, const Node *node, int index, bool sequence) {
    const Node *input = node->inputs[index], *argument = node->body->arguments[index];
    int skipped = sequence;
    expect(verifier, node, input->dtype == argument->dtype && input->rank == argument->rank + skipped,
           "an input and the body's argument differ in dtype or rank");
    if (verifier->fault) return;
    if (sequence) expect(verifier, node, input->shape[0] == node->attributes[0], "a sequence is not trip count long");
    for (int i = 0; i < argument->rank; i++)
        expect(verifier, node, input->shape[i + skipped] == argument->shape[i], "an input and its argument differ");
}

void verify_loop(Verifier *verifier, const Node *node) {
    expect(verifier, node, node->body != NULL && node->attribute_count == 5, "it has no body or no counts");
    for (int i = 1; i < 5 && !verifier->fault; i++)
        expect(verifier, node, attribute_below(node, i, INT32_MAX), "a count is negative or no constant");
    if (verifier->fault) return;
    int sequences = loop_part(node, 0), carries = loop_part(node, 1), count = sequences + carries + loop_part(node, 2);
    const Function *body = node->body;
    expect(verifier, node, count == node->input_count && count == body->argument_count, "the inputs are not counted");
    expect(verifier, node, carries + loop_part(node, 3) == body->result_count, "the results are not counted");
    for (int i = 0; i < count && !verifier->fault; i++) verify_argument(verifier, node, i, i < sequences);
    for (int i = 0; i < carries && !verifier->fault; i++)
        expect(verifier, node, same_type(body->arguments[sequences + i], body->results[i].node),
               "a carry changes its dtype or shape");
    if (!verifier->fault) verify_body(verifier, body);
}

void verify_custom(Verifier *verifier, const Node *node) {
    bool fits = node->body != NULL && node->attribute_count == 2 && attribute_below(node, 0, node->input_count + 1) &&
                attribute_below(node, 1, node->input_count + 1);
    expect(verifier, node, fits, "it has no body or no counts");
    if (!fits) return;
    int values = custom_part(node, 0), arguments = custom_part(node, 1), captures = custom_part(node, 2);
    const Function *body = node->body;
    expect(verifier, node, values > 0 && captures >= 0 && body->argument_count == values + captures,
           "the body's arguments are not counted");
    expect(verifier, node, body->result_count == arguments, "the body's results are not counted");
    for (int i = 0; i < body->argument_count && !verifier->fault; i++)
        expect(verifier, node, same_type(node->inputs[i < values ? i : i + arguments], body->arguments[i]),
               "an input and the body's argument differ");
    for (int i = 0; i < arguments && !verifier->fault; i++)
        expect(verifier, node, same_type(node->inputs[values + i], body->results[i].node),
               "a cotangent has another dtype or shape than its argument");
    for (int i = 0; i < values + arguments && !verifier->fault; i++)
        expect(verifier, node, dtype_is_float(node->inputs[i]->dtype), "a value or argument is not floating");
    if (!verifier->fault) verify_body(verifier, body);
}

void verify_result(Verifier *verifier, const Node *node) {
    const Node *tuple = node->inputs[0];
    expect(verifier, node, tuple->dtype == DTYPE_TUPLE, "it reads what has one result");
    if (verifier->fault) return;
    bool of_loop = tuple->op == OP_loop;
    bool fits = node->attribute_count == 1 && attribute_below(node, 0, tuple_size(tuple));
    expect(verifier, node, fits, "there is no result of that number");
    if (!fits) return;
    int index = attribute_integer(node, 0);
    bool of_targets = tuple->op == OP_gradient || tuple->op == OP_jacobian;
    const Node *type =
        of_loop ? tuple->body->results[index].node : tuple->inputs[of_targets ? first_target(tuple) + index : index];
    const Extent *stacked = of_loop && index >= loop_part(tuple, 1) ? tuple->attributes[0] : NULL;
    if (tuple->op == OP_jacobian) stacked = element_count(verifier->graph, tuple->inputs[0]);
    int skipped = stacked != NULL;
    expect(verifier, node, node->dtype == type->dtype && node->rank == type->rank + skipped, "dtype or rank differs");
    if (verifier->fault) return;
    if (stacked) expect(verifier, node, node->shape[0] == stacked, "its first axis is not that of what is stacked");
    for (int i = 0; i < type->rank; i++)
        expect(verifier, node, node->shape[i + skipped] == type->shape[i], "the shape differs from that of its kind");
}
