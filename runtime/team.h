// A team of threads that run one compiled function together: one region a call (semantics.md, S10: the same bits for any
// number of them).
#ifndef GRADC_RUNTIME_TEAM_H
#define GRADC_RUNTIME_TEAM_H

#include "runtime/gradc_frame.h"

typedef struct Team Team;

// NULL: no memory, or the system gives no more threads. `workers`: at least 2, the caller's thread among them.
Team *team_create(int workers);
void team_free(Team *team);

// Calls the function on every worker, each with a copy of `frame` and the caller's floating-point environment, and waits
// for all. The result is that of the function; frame->fault has what the first worker that found something found: with
// several faults another than one worker alone might have found. One caller at a time.
int32_t team_run(Team *team, gradc_function *function, const gradc_frame *frame);
// The same for code that says when each of its kernels ends: all workers meet, and `ended` is called with the caller's
// frame while the others wait.
typedef void gradc_ended(const gradc_frame *frame, const void *kernel);
int32_t team_run_timed(Team *team, gradc_function *function, const gradc_frame *frame, gradc_ended *ended);
// Makes the frame that of one worker, who does it all.
void be_alone(gradc_frame *frame);

// How many processors this process may run on; at least 1.
int processor_count(void);

#endif
