// The stabilising rewrites: what computes the same real number by a way that keeps more digits, or stays finite further
// out. They do change bits, so this list is short, and each row has its reason.
#include "simplify/rules.h"

const RewriteRow stabilising_rewrites[] = {
    {"softmax_shift", OP_divide, softmax_shift, "exp overflows at 88; of x - max(x) it is at most 1"},
    {"softmax_constant_shift", OP_divide, softmax_constant_shift, "one way to shift, so all spellings are one softmax"},
    {"softmax_of_quotient", OP_multiply, softmax_of_quotient, "e / s lies in [0, 1], whatever it is multiplied with"},
    {"log_sum_exp_shift", OP_log, log_sum_exp_shift, "exp overflows at 88; of x - max(x) it is at most 1"},
    {"log_sum_exp_constant_shift", OP_log, log_sum_exp_constant_shift, "the shift comes out of the logarithm"},
    {"cancel_shift", OP_add, cancel_shift, "a shift that was put back"},
    {"cancel_opposite_shift", OP_subtract, cancel_shift, "a shift that was put back"},
    {"log_softmax_shift", OP_subtract, log_softmax_shift, "x - max(x) is nearly exact; max(x) + log(s) loses log(s)"},
    {"log_softmax_constant_shift", OP_subtract, log_softmax_constant_shift, "a shift of both sides cancels"},
    {"log_of_softmax", OP_log, log_of_softmax, "softmax underflows to 0 at -104; its logarithm does not"},
    {"exp_of_log_softmax", OP_exp, exp_of_log_softmax, "exp(x) is there already, and rounds once less"},
    {"log_of_exp", OP_log, log_of_exp, "exp overflows and underflows"},
    {"class_product", OP_multiply, class_product, "a class that is not picked adds nothing, were it infinite"},
    {"gather_of_rows", OP_gather, gather_of_rows, "read with its row, beside what else reads it; -0 becomes 0"},
    {"contract_of_unit", OP_contract, contract_of_unit, "what meets a 0 adds nothing, were it infinite"},
    {"sum_of_picked", OP_reduce_sum, sum_of_picked, "one term a row: the sum over classes rounds nothing"},
    {"picked_log_softmax", OP_subtract, picked_log_softmax, "the difference is small, and both sides may be large"},
    {"log_of_picked", OP_log, log_of_picked, "softmax underflows to 0 at -104; its logarithm does not"},
    {"log_of_gathered", OP_log, log_of_gathered, "softmax underflows to 0 at -104; its logarithm does not"},
    {"softmax_plus_class", OP_add, softmax_less_class, "p - y: where p is near 1 the difference is exact"},
    {"softmax_less_class", OP_subtract, softmax_less_class, "p - y: where p is near 1 the difference is exact"},
    {"log_of_one_plus", OP_log, log_of_one_plus, "1 + x loses x's digits"},
    {"log_of_one_minus", OP_log, log_of_one_minus, "1 - x loses x's digits"},
    {"exp_minus_one", OP_subtract, exp_minus_one, "exp(x) is nearly 1 where x is small"},
    {"exp_plus_minus_one", OP_add, exp_minus_one, "exp(x) is nearly 1 where x is small"},
    {"expm1_plus_one", OP_add, expm1_plus_one, "expm1(x) is nearly -1 where exp(x) is small"},
    {"sigmoid_by_hand", OP_divide, sigmoid_by_hand, "exp overflows, and the derivative is then 0 * infinity"},
    {"one_minus_sigmoid", OP_subtract, one_minus_sigmoid, "sigmoid(-x) is nearly 1 where x is far below 0"},
    {"softplus", OP_log1p, softplus, "exp overflows at 88; softplus(x) is then x"},
    {"log_of_sigmoid", OP_log, log_of_sigmoid, "sigmoid underflows to 0 at -104; its logarithm is then x"},
    {"sigmoid_times_quotient", OP_multiply, sigmoid_times_quotient, "sigmoid may be 0, and 0 / 0 is NaN"},
};
const int stabilising_rewrite_count = sizeof stabilising_rewrites / sizeof *stabilising_rewrites;
