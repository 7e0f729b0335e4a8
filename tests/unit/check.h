// What a test says of a condition that does not hold; `failures` counts them, and main returns whether there were any.
#ifndef GRADC_TESTS_CHECK_H
#define GRADC_TESTS_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

#endif
