// The threads of a team wait for work, first awake, then asleep: a training loop calls again within microseconds, and a
// thread that slept takes fifty to wake; a program that does other things should not lose a processor to waiting.
//
// pthreadpool, which Debian has, would be the library for this. But it waits awake either not at all or for a million
// rounds, and it deals out parts that must not wait for each other, while here all workers of a region meet at barriers.
#define _GNU_SOURCE
#include "runtime/team.h"

#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Rounds awake: about 50 microseconds between regions, 15 inside of one. Then a thread that waits for one that has no
// processor gives its own away.
// Two workers on one processor, which happens while there is a free one until the system balances its load, are noticed
// after HERE_SPINS: then the one that waits sleeps, since who is woken is given a free processor.
enum { SPINS = 1000, BARRIER_SPINS = 300, HERE_SPINS = 30, LINE_BYTES = 64, MOST_PROCESSORS = 64 };

typedef struct {
    Team *team;
    pthread_t thread;
    gradc_frame frame;
    int64_t fault[2];
    int32_t result;
    bool started;
    atomic_int processor;   // on which it was seen last
} Worker;

struct Team {
    int count;
    Worker *workers;   // 0 is the caller's thread
    gradc_function *function;
    gradc_ended *ended;          // NULL: nobody wants to know when kernels end
    const gradc_frame *caller;   // what it is called with
    fenv_t environment;          // of the caller: how it treats subnormal numbers is how all do
    atomic_uint region;          // counts the regions
    atomic_int unfinished;       // workers, without the caller
    atomic_bool stopping;
    bool roomy;   // there is a processor for each worker
    // Each on a cache line of its own: every worker writes `arrived`, and all who wait read `phase`.
    _Alignas(LINE_BYTES) atomic_int arrived;
    _Alignas(LINE_BYTES) atomic_uint phase;
    _Alignas(LINE_BYTES) atomic_int sleeping;
    pthread_mutex_t mutex;
    pthread_cond_t begin, met;
    atomic_int asleep;   // at a barrier
};

// How many processors' time a container's quota is worth; INT_MAX: there is none.
static int quota_count(void) {
    long long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    bool limited = file && fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0;
    if (file) fclose(file);
    long long count = limited ? (quota + period - 1) / period : INT_MAX;
    return count < INT_MAX ? (int)count : INT_MAX;
}

int processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set), quota = quota_count();
    if (count > quota) count = quota;
    if (count > MOST_PROCESSORS) count = MOST_PROCESSORS;
    return count > 0 ? count : 1;
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// ---- inside a region

static bool shares_processor(Team *team, int64_t self) {
    int here = sched_getcpu();
    bool shares = false;
    atomic_store_explicit(&team->workers[self].processor, here, memory_order_relaxed);
    for (int i = 0; i < team->count; i++)
        if (i != self && atomic_load_explicit(&team->workers[i].processor, memory_order_relaxed) == here) shares = true;
    return shares;
}

static void sleep_until_met(Team *team, unsigned phase) {
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->asleep, 1);
    while (atomic_load(&team->phase) == phase) pthread_cond_wait(&team->met, &team->mutex);
    atomic_fetch_sub(&team->asleep, 1);
    pthread_mutex_unlock(&team->mutex);
}

// Whoever is asleep, or will be, sees the new phase or is woken.
static void begin_phase(Team *team, unsigned phase) {
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_store(&team->phase, phase);
    if (atomic_load(&team->asleep) == 0) return;
    pthread_mutex_lock(&team->mutex);
    pthread_cond_broadcast(&team->met);
    pthread_mutex_unlock(&team->mutex);
}

static void synchronise(const gradc_frame *frame) {
    Team *team = frame->team;
    unsigned phase = atomic_load_explicit(&team->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == team->count - 1) {
        begin_phase(team, phase + 1);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&team->phase, memory_order_acquire) == phase; spins++)
        if (spins == HERE_SPINS && team->roomy && shares_processor(team, frame->worker)) sleep_until_met(team, phase);
        else if (spins < BARRIER_SPINS) relax();
        else sched_yield();   // another thread may need this processor to get there
}

static void synchronise_timed(const gradc_frame *frame, const void *kernel) {
    const Team *team = frame->team;
    synchronise(frame);
    if (frame->worker == 0) team->ended(team->caller, kernel);
    synchronise(frame);
}

static void work(Worker *worker) {
    atomic_store_explicit(&worker->processor, sched_getcpu(), memory_order_relaxed);
    worker->result = worker->team->function(&worker->frame);
}

// ---- between regions

static bool has_begun(const Team *team, unsigned seen) {
    return atomic_load(&team->region) != seen || atomic_load(&team->stopping);
}

static void wait_for_region(Team *team, unsigned seen) {
    for (int spins = 0; spins < SPINS; spins++) {
        if (has_begun(team, seen)) return;
        relax();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->sleeping, 1);
    while (!has_begun(team, seen)) pthread_cond_wait(&team->begin, &team->mutex);
    atomic_fetch_sub(&team->sleeping, 1);
    pthread_mutex_unlock(&team->mutex);
}

static void *serve(void *argument) {
    Worker *worker = argument;
    Team *team = worker->team;
    for (unsigned seen = 0;; seen++) {
        wait_for_region(team, seen);
        if (atomic_load(&team->stopping)) return NULL;
        fesetenv(&team->environment);
        work(worker);
        atomic_fetch_sub_explicit(&team->unfinished, 1, memory_order_release);
    }
}

// Whoever went to sleep before the change is woken; whoever goes to sleep after it sees it first.
static void wake(Team *team) {
    if (atomic_load(&team->sleeping) == 0) return;
    pthread_mutex_lock(&team->mutex);
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->mutex);
}

// ---- the caller's side

// With all signals blocked: the host's handlers run on the host's threads.
static bool start_workers(Team *team) {
    sigset_t all, before;
    bool started = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < team->count && started; i++) {
        Worker *worker = &team->workers[i];
        started = worker->started = pthread_create(&worker->thread, NULL, serve, worker) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

Team *team_create(int count) {
    Team *team = aligned_alloc(LINE_BYTES, sizeof *team);
    Worker *workers = calloc((size_t)count, sizeof *workers);
    if (!team || !workers) {
        free(team);
        free(workers);
        return NULL;
    }
    memset(team, 0, sizeof *team);
    team->count = count;
    team->workers = workers;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->met, NULL);
    team->roomy = count <= processor_count();
    for (int i = 0; i < count; i++) workers[i].team = team;
    if (start_workers(team)) return team;
    team_free(team);
    return NULL;
}

void team_free(Team *team) {
    if (!team) return;
    atomic_store(&team->stopping, true);
    wake(team);
    for (int i = 1; i < team->count; i++)
        if (team->workers[i].started) pthread_join(team->workers[i].thread, NULL);
    pthread_cond_destroy(&team->begin);
    pthread_cond_destroy(&team->met);
    pthread_mutex_destroy(&team->mutex);
    free(team->workers);
    free(team);
}

static void prepare_worker(Team *team, int number, const gradc_frame *frame) {
    Worker *worker = &team->workers[number];
    worker->frame = *frame;
    worker->frame.worker = number;
    worker->frame.workers = team->count;
    union {
        gradc_ended *ended;
        gradc_synchronise *synchronise;
    } timed = {.ended = synchronise_timed};   // timed code calls it as what it is
    worker->frame.synchronise = team->ended ? timed.synchronise : synchronise;
    worker->frame.team = team;
    worker->frame.fault = worker->fault;
    worker->fault[0] = worker->fault[1] = 0;
}

// Of the workers that found an index out of range the one whose part comes first: parts lie in the workers' order.
static int32_t first_fault(const Team *team, const gradc_frame *frame) {
    for (int i = 0; i < team->count; i++) {
        const Worker *worker = &team->workers[i];
        if (!worker->result) continue;
        memcpy(frame->fault, worker->fault, sizeof worker->fault);
        return worker->result;
    }
    return 0;
}

static void nobody_else(const gradc_frame *frame) {
    (void)frame;
}

void be_alone(gradc_frame *frame) {
    frame->worker = 0;
    frame->workers = 1;
    frame->synchronise = nobody_else;
}

int32_t team_run(Team *team, gradc_function *function, const gradc_frame *frame) {
    for (int i = 0; i < team->count; i++) prepare_worker(team, i, frame);
    team->function = function;
    fegetenv(&team->environment);
    atomic_store(&team->unfinished, team->count - 1);
    atomic_fetch_add(&team->region, 1);
    wake(team);
    work(&team->workers[0]);
    for (int spins = 0; atomic_load_explicit(&team->unfinished, memory_order_acquire); spins++)
        if (spins < BARRIER_SPINS) relax();
        else sched_yield();
    return first_fault(team, frame);
}

int32_t team_run_timed(Team *team, gradc_function *function, const gradc_frame *frame, gradc_ended *ended) {
    team->ended = ended;
    team->caller = frame;
    int32_t result = team_run(team, function, frame);
    team->ended = NULL;
    return result;
}
