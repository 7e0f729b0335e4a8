// The shortening rewrites: the same real number by less work, in the form in which textbooks write derivatives. They
// change bits as stabilising ones do. None is larger than what it stands for, but for sums of what was divided or
// multiplied after it instead of before; and a NaN stays one, since what is dropped stands elsewhere in the same term.
#include "simplify/rules.h"

const RewriteRow shortening_rewrites[] = {
    {"product_of_numbers", OP_multiply, numbers_meet, "two numbers in a product are one, which rounds once"},
    {"quotient_of_numbers", OP_divide, numbers_meet, "two numbers in a quotient are one, which rounds once"},
    {"number_into_rows", OP_multiply, number_into_rows, "once a row instead of once an element"},
    {"number_into_sum", OP_multiply, number_into_sum, "two numbers in a product are one, which rounds once"},
    {"sum_of_multiple", OP_reduce_sum, sum_of_multiple, "once a row instead of once an element"},
    {"sum_of_shifted", OP_reduce_sum, sum_of_shifted, "a sum of copies is a product, one of a class its one term"},
    {"normalised_again", OP_multiply, normalised_again, "what was divided by the deviation is there already"},
    {"like_terms", OP_add, like_terms, "2 * x + 3 * x is 5 * x"},
    {"like_terms_less", OP_subtract, like_terms, "5 * x - 3 * x is 2 * x"},
    {"two_classes", OP_subtract, two_classes, "y (1 - p) - (1 - y) p is y - p"},
    {"common_divisor", OP_add, common_divisor, "one division an element instead of two"},
    {"common_divisor_less", OP_subtract, common_divisor, "one division an element instead of two"},
    {"common_factor", OP_add, common_factor, "one product less"},
    {"common_factor_less", OP_subtract, common_factor, "one product less"},
    {"common_share", OP_add, common_share, "the mean's 1 / N once, outside"},
    {"common_share_less", OP_subtract, common_share, "the mean's 1 / N once, outside"},
    {"mean_of_centred", OP_subtract, mean_of_centred, "what is centred sums to zero, but for rounding"},
    {"probabilities_sum_to_one", OP_multiply, probabilities_sum_to_one, "all probabilities make 1"},
    {"softplus_threshold", OP_where, softplus_threshold, "beyond the threshold log(1 + exp(x)) rounds to x by itself"},
    {"slice_of_parts", OP_slice, slice_of_parts, "a part of what was joined is a part of one part"},
    {"sum_of_part", OP_reduce_sum, sum_of_part, "zeros at the end need not be summed"},
};
const int shortening_rewrite_count = sizeof shortening_rewrites / sizeof *shortening_rewrites;
