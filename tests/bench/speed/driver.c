// What table.py calls in C: loops over gradc's functions, so that Python's calls are not what is measured; chains of
// multiply-adds and copies, which say what the machine can do at most; and numbers to fill arrays with.
// speed/machine.py compiles this file with the host's cc for the processor that it runs on.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

int run_steps(int (*step)(void *trainer, double *loss), void *trainer, double *loss, long count);
int run_values(int (*value)(void *call), void *call, long count);
double fma_rate(int threads, double seconds);
double copy_rate(int64_t bytes, double seconds, int streaming);
void fill_f32(float *data, int64_t count, uint64_t seed);
void fill_f64(double *data, int64_t count, uint64_t seed);
void fill_i32(int32_t *data, int64_t count, uint64_t seed, int32_t limit);

// ---- loops

int run_steps(int (*step)(void *trainer, double *loss), void *trainer, double *loss, long count) {
    int status = 0;
    for (long i = 0; i < count && !status; i++) status = step(trainer, loss);
    return status;
}

int run_values(int (*value)(void *call), void *call, long count) {
    int status = 0;
    for (long i = 0; i < count && !status; i++) status = value(call);
    return status;
}

// ---- what the machine can do

#if defined __AVX512F__
enum { VECTOR = 64 };
#elif defined __AVX__
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 };
#endif
enum { CHAINS = 12, LANES = VECTOR / 4, MAX_THREADS = 64 };
typedef float Vector __attribute__((vector_size(VECTOR)));

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Twelve independent chains, more than latency times ports of any processor of today. 10,000 links take some 25 us.
static float multiply_adds(float start) {
    enum { LINKS = 10000 };
    Vector chains[CHAINS], factor = (Vector){0} + (0.999f + start * 1e-9f), addend = (Vector){0} + 0.001f;
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) chains[i] = addend * (float)i;
    for (int link = 0; link < LINKS; link++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) chains[i] = chains[i] * factor + addend;
    Vector total = chains[0];
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++) total += chains[i];
    return total[0] * 1e-9f;
}

typedef struct {
    double seconds, rate;   // how long to work; floating operations a second
    float result;
} Worker;

static void *work(void *argument) {
    Worker *worker = argument;
    double started = now(), taken = 0;
    long calls = 0;
    while (taken < worker->seconds) {
        for (int i = 0; i < 10; i++) worker->result = multiply_adds(worker->result);
        calls += 10;
        taken = now() - started;
    }
    worker->rate = (double)calls * 10000 * CHAINS * LANES * 2 / taken;
    return NULL;
}

// Floating operations a second of so many threads together, each with chains of its own.
double fma_rate(int threads, double seconds) {
    Worker workers[MAX_THREADS];
    pthread_t handles[MAX_THREADS];
    double rate = 0;
    if (threads < 1 || threads > MAX_THREADS) return 0;
    for (int i = 0; i < threads; i++) workers[i] = (Worker){.seconds = seconds};
    for (int i = 1; i < threads; i++)
        if (pthread_create(&handles[i], NULL, work, &workers[i])) return 0;
    work(&workers[0]);
    for (int i = 1; i < threads; i++) pthread_join(handles[i], NULL);
    for (int i = 0; i < threads; i++) rate += workers[i].rate;
    return rate;
}

static void copy_streaming(char *restrict to, const char *restrict from, int64_t bytes) {
#if defined __AVX__
    for (int64_t i = 0; i < bytes; i += 32)
        _mm256_stream_si256((__m256i *)(to + i), _mm256_load_si256((const __m256i *)(from + i)));
    _mm_sfence();
#elif defined __SSE2__
    for (int64_t i = 0; i < bytes; i += 16)
        _mm_stream_si128((__m128i *)(to + i), _mm_load_si128((const __m128i *)(from + i)));
    _mm_sfence();
#else
    memcpy(to, from, (size_t)bytes);
#endif
}

static void copy_plain(char *restrict to, const char *restrict from, int64_t bytes) {
    typedef int64_t Block __attribute__((vector_size(VECTOR), may_alias));
    for (int64_t i = 0; i < bytes; i += VECTOR) *(Block *)(to + i) = *(const Block *)(from + i);
}

// Bytes read and written a second by the fastest copy of `bytes` bytes, a multiple of 64, from one array to another.
double copy_rate(int64_t bytes, double seconds, int streaming) {
    char *from = aligned_alloc(64, (size_t)bytes), *to = aligned_alloc(64, (size_t)bytes);
    double best = 0;
    if (from && to) {
        memset(from, 1, (size_t)bytes);
        memset(to, 2, (size_t)bytes);
        for (double started = now(), begin = started; begin - started < seconds; begin = now()) {
            if (streaming) copy_streaming(to, from, bytes);
            else copy_plain(to, from, bytes);
            double rate = 2 * (double)bytes / (now() - begin);
            if (rate > best) best = rate;
        }
    }
    free(from);
    free(to);
    return best;
}

// ---- numbers

static uint64_t next(uint64_t *state) {   // xorshift
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Near to normal, with mean 0 and variance 1: the sum of four numbers of 16 bits.
static double normal(uint64_t *state) {
    uint64_t bits = next(state);
    double sum =
        (double)(bits & 65535) + (double)(bits >> 16 & 65535) + (double)(bits >> 32 & 65535) + (double)(bits >> 48);
    return (sum / 65536 - 2) * 1.7320508;
}

static uint64_t first_state(uint64_t seed) {
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 8; i++) next(&state);
    return state;
}

void fill_f32(float *data, int64_t count, uint64_t seed) {
    uint64_t state = first_state(seed);
    for (int64_t i = 0; i < count; i++) data[i] = (float)normal(&state);
}

void fill_f64(double *data, int64_t count, uint64_t seed) {
    uint64_t state = first_state(seed);
    for (int64_t i = 0; i < count; i++) data[i] = normal(&state);
}

void fill_i32(int32_t *data, int64_t count, uint64_t seed, int32_t limit) {
    uint64_t state = first_state(seed);
    for (int64_t i = 0; i < count; i++) data[i] = (int32_t)((next(&state) >> 20) % (uint64_t)limit);
}
