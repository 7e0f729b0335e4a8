// What a loop goes over.
#ifndef GRADC_ELABORATE_COURSE_H
#define GRADC_ELABORATE_COURSE_H

#include "elaborate/elaborator.h"

enum { MOST_UNROLLED = 1024 };

typedef struct {
    const Statement *statement;
    Value *values;         // over values, one for each name: INSTANCES, LIST or TENSOR
    const Extent *begin;   // over a range; else NULL
    const Extent *trips;
    bool unrolled;          // over instances or lists
    bool may_unroll;        // a constant range that is short enough
    int64_t first, count;   // if it is unrolled
} Course;

// False: reported.
bool find_course(Elaborator *e, const Statement *statement, Course *course);
// The element that an iteration has of what the loop goes over.
Value element_at(Elaborator *e, Value value, int64_t position);

#endif
