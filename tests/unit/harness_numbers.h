// What the arrays of a case are filled with.
#ifndef GRADC_TESTS_HARNESS_NUMBERS_H
#define GRADC_TESTS_HARNESS_NUMBERS_H

#include "harness.h"

// The next number for a leaf of a floating, or of another, type.
double case_real(const CaseLeaf *leaf);
int64_t case_integer(const CaseLeaf *leaf, Dtype dtype);
// Element `index` of an array: `real` or `integer`, as its type is.
void put_element(Dtype dtype, void *data, int64_t index, double real, int64_t integer);

#endif
