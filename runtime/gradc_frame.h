// The frame: everything that a compiled function touches. A compiled function has no globals and allocates nothing:
// the same machine code serves the JIT and an object file. It may run in several threads at once, each with a frame,
// arrays that are written, and scratch of its own.
// A call takes up to 64 KiB of the stack.
//
// All pointers are owned by the caller and aligned to 64 bytes unless said otherwise. Arrays are row-major. What a
// function does not use may be NULL, `fault` never. gradc_call_function and gradc_trainer_function hand out frames in
// which all is set.
#ifndef GRADC_FRAME_H
#define GRADC_FRAME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gradc_frame gradc_frame;
// Waits until all workers of the region have called it.
typedef void gradc_synchronise(const gradc_frame *frame);

// FRAME_FIELD(type, name): in the order of the struct; code generation counts on it.
#define GRADC_FRAME_FIELDS(FRAME_FIELD)                                                                      \
    FRAME_FIELD(void *, parameters)              /* flat: all parameters, in order of declaration */         \
    FRAME_FIELD(void *, gradients)               /* flat, as parameters; a backward adds into it */          \
    FRAME_FIELD(void *, state)                   /* flat: the states of nets and losses */                   \
    FRAME_FIELD(void *, optimizer)               /* flat: the optimizer's states, each as parameters */      \
    FRAME_FIELD(const void *const *, inputs)     /* one array per argument of the entry; element-aligned */  \
    FRAME_FIELD(void *const *, outputs)          /* one array per result of the function; element-aligned */ \
    FRAME_FIELD(void *, tape)                    /* what a forward keeps for its backward */                 \
    FRAME_FIELD(void *, scratch)                 /* the arena of this call */                                \
    FRAME_FIELD(const int64_t *, dims)           /* the open dims */                                         \
    FRAME_FIELD(const double *, hyperparameters) /* run-time scalars of the optimizer */                     \
    FRAME_FIELD(uint64_t, seed)                                                                              \
    FRAME_FIELD(uint64_t, draw_count) /* advanced by the caller after each step or forward */                \
    FRAME_FIELD(int64_t *, fault)     /* two numbers, set by the first index out of range: the    \
                                                    index, and its position in the index tensor; may not be   \
                                                    NULL. The caller clears it. */          \
    FRAME_FIELD(int64_t, worker)      /* which of the workers runs this call, from 0 */                      \
    FRAME_FIELD(int64_t, workers)     /* how many there are, each with a frame of its own; read   \
                                                    only by code that was compiled for several */          \
    FRAME_FIELD(gradc_synchronise *, synchronise)                                                            \
    FRAME_FIELD(void *, team) /* the caller's, for synchronise */

struct gradc_frame {
#define GRADC_FRAME_FIELD(type, name) type name;
    GRADC_FRAME_FIELDS(GRADC_FRAME_FIELD)
#undef GRADC_FRAME_FIELD
};

// 0: done. 1: an index was out of range (clamped; see `fault`).
typedef int32_t gradc_function(const gradc_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
