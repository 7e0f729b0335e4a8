// Memory's bandwidth: elementwise functions, reductions and rows over arrays that no cache holds, each beside a loop,
// written by hand, that reads and writes as many arrays and computes next to nothing. That loop stores in the plain way
// and past the caches; the share is of the faster. All are timed in turn, in one process, and a number is the median.
//
//     ninja -C BUILD memory && BUILD/tests/memory [--json] [--cpu=x86-64-v3] [--only=NAME] [MEBIBYTES [ROUNDS]]
//
// An array has 64 MiB unless MEBIBYTES says otherwise: try several, as the last cache may be large.
#include "runtime/gradc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { MAX_ROUNDS = 1000, MAX_ARRAYS = 3, MOST_TEXT = 1000 };

// Functions of `%1$lld` elements as one axis, or of `%2$lld` rows of `columns`; the first inputs are as large as that.
static const struct {
    const char *name, *text;
    int reads, writes;   // arrays of that size
    int columns;
    bool has_classes;   // its last input is a class for each row
} functions[] = {
    {"scale", "fn f(x: f32[%1$lld]) -> f32[%1$lld] { return 3 * x }", 1, 1, 1, false},
    {"add", "fn f(x: f32[%1$lld], y: f32[%1$lld]) -> f32[%1$lld] { return x + y }", 2, 1, 1, false},
    {"axpy", "fn f(x: f32[%1$lld], y: f32[%1$lld], a: f32) -> f32[%1$lld] { return a * x + y }", 2, 1, 1, false},
    {"relu", "fn f(x: f32[%1$lld]) -> f32[%1$lld] { return relu(x) }", 1, 1, 1, false},
    {"tanh", "fn f(x: f32[%1$lld]) -> f32[%1$lld] { return tanh(x) }", 1, 1, 1, false},
    {"gelu", "fn f(x: f32[%1$lld]) -> f32[%1$lld] { return gelu(x) }", 1, 1, 1, false},
    {"fill", "fn f(a: f32) -> f32[%1$lld] { return full([%1$lld], a) }", 0, 1, 1, false},
    {"sum", "fn f(x: f32[%1$lld]) -> f32 { return sum(x) }", 1, 0, 1, false},
    {"dot", "fn f(x: f32[%1$lld], y: f32[%1$lld]) -> f32 { return sum(x * y) }", 2, 0, 1, false},
    {"max", "fn f(x: f32[%1$lld]) -> f32 { return amax(x) }", 1, 0, 1, false},
    {"argmax", "fn f(x: f32[%1$lld]) -> i64 { return argmax(x, axis = 0) }", 1, 0, 1, false},
    {"sums of rows of 10", "fn f(x: f32[%2$lld, 10]) -> f32[%2$lld] { return sum(x, axis = 1) }", 1, 0, 10, false},
    {"sums of rows of 64", "fn f(x: f32[%2$lld, 64]) -> f32[%2$lld] { return sum(x, axis = 1) }", 1, 0, 64, false},
    {"sums of rows of 256", "fn f(x: f32[%2$lld, 256]) -> f32[%2$lld] { return sum(x, axis = 1) }", 1, 0, 256, false},
    {"sums of columns", "fn f(x: f32[%2$lld, 1000]) -> f32[1000] { return sum(x, axis = 0) }", 1, 0, 1000, false},
    {"add a row", "fn f(x: f32[%2$lld, 1000], b: f32[1000]) -> f32[%2$lld, 1000] { return x + b }", 1, 1, 1000, false},
    {"add a column", "fn f(x: f32[%2$lld, 1000], b: f32[%2$lld, 1]) -> f32[%2$lld, 1000] { return x + b }", 1, 1, 1000,
     false},
    {"transpose", "fn f(x: f32[%2$lld, 1024]) -> f32[1024, %2$lld] { return transpose(x, 0, 1) }", 1, 1, 1024, false},
    {"softmax, rows of 10", "fn f(x: f32[%2$lld, 10]) -> f32[%2$lld, 10] { return softmax(x) }", 1, 1, 10, false},
    {"softmax, rows of 64", "fn f(x: f32[%2$lld, 64]) -> f32[%2$lld, 64] { return softmax(x) }", 1, 1, 64, false},
    {"softmax, rows of 1000", "fn f(x: f32[%2$lld, 1000]) -> f32[%2$lld, 1000] { return softmax(x) }", 1, 1, 1000,
     false},
    {"softmax, rows of 20000", "fn f(x: f32[%2$lld, 20000]) -> f32[%2$lld, 20000] { return softmax(x) }", 1, 1, 20000,
     false},
    {"log-sum-exp, rows of 1000", "fn f(x: f32[%2$lld, 1000]) -> f32[%2$lld] { return logsumexp(x, axis = 1) }", 1, 0,
     1000, false},
    {"layer norm, rows of 512",
     "fn f(x: f32[%2$lld, 512]) -> f32[%2$lld, 512] {\n    m = mean(x, axis = 1, keepdims = true)\n"
     "    return (x - m) / sqrt(mean((x - m)^2, axis = 1, keepdims = true) + 1e-5)\n}",
     1, 1, 512, false},
    {"cross entropy and gradient, rows of 1000",
     "fn f(x: f32[%2$lld, 1000] requires_grad, y: i32[%2$lld]) -> (f32, f32[%2$lld, 1000]) {\n"
     "    l = cross_entropy(x, y)\n    return l, grad(l, x)\n}",
     1, 1, 1000, true},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

// ---- by hand: each array read is added up, each array written gets the sum

typedef float Loop(float *const *to, int writes, const float *const *from, int reads, int64_t elements);

static float plain_loop(float *const *to, int writes, const float *const *from, int reads, int64_t elements) {
    float total = 0;
    for (int64_t i = 0; i < elements; i++) {
        float sum = 1;
        for (int k = 0; k < reads; k++) sum += from[k][i];
        for (int k = 0; k < writes; k++) to[k][i] = sum;
        total += sum;
    }
    return total;
}

#ifdef __x86_64__
// With `reads` and `writes` known where it is inlined; four vectors of each array in a step.
#define LOOP(name, features, vector, prefix, lanes, store)                                                        \
    __attribute__((target(features), always_inline)) static inline float name##_of(                               \
        float *const *to, int writes, const float *const *from, int reads, int64_t elements) {                    \
        const float *a = from[0], *b = from[1];                                                                   \
        float *c = to[0];                                                                                         \
        vector totals[4], one = prefix##_set1_ps(1);                                                              \
        for (int k = 0; k < 4; k++) totals[k] = one;                                                              \
        for (int64_t i = 0; i + 4 * (lanes) <= elements; i += 4 * (lanes)) {                                      \
            _Pragma("GCC unroll 4") for (int k = 0; k < 4; k++) {                                                 \
                vector sum = reads > 0 ? prefix##_loadu_ps(a + i + k * (lanes)) : one;                            \
                if (reads > 1) sum = prefix##_add_ps(sum, prefix##_loadu_ps(b + i + k * (lanes)));                \
                if (writes) prefix##_##store##_ps(c + i + k * (lanes), sum);                                      \
                else totals[k] = prefix##_add_ps(totals[k], sum);                                                 \
            }                                                                                                     \
        }                                                                                                         \
        float sums[lanes];                                                                                        \
        prefix##_storeu_ps(                                                                                       \
            sums, prefix##_add_ps(prefix##_add_ps(totals[0], totals[1]), prefix##_add_ps(totals[2], totals[3]))); \
        _mm_sfence();                                                                                             \
        return sums[0];                                                                                           \
    }                                                                                                             \
    __attribute__((target(features))) static float name(float *const *to, int writes, const float *const *from,   \
                                                        int reads, int64_t elements) {                            \
        if (!reads) return name##_of(to, 1, from, 0, elements);                                                   \
        if (reads == 1 && !writes) return name##_of(to, 0, from, 1, elements);                                    \
        if (!writes) return name##_of(to, 0, from, 2, elements);                                                  \
        return reads == 1 ? name##_of(to, 1, from, 1, elements) : name##_of(to, 1, from, 2, elements);            \
    }
LOOP(plain_256, "avx", __m256, _mm256, 8, storeu)
LOOP(past_256, "avx", __m256, _mm256, 8, stream)
LOOP(plain_512, "avx512f", __m512, _mm512, 16, storeu)
LOOP(past_512, "avx512f", __m512, _mm512, 16, stream)
#endif

static void choose_loops(Loop **plain, Loop **past) {
    *plain = plain_loop;
    *past = NULL;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx")) *plain = plain_256, *past = past_256;
    if (__builtin_cpu_supports("avx512f")) *plain = plain_512, *past = past_512;
#endif
}

// ---- gradc

static void fail(const gradc_program *program) {
    fprintf(stderr, "%s%s\n", program ? gradc_diagnostics(program, false) : "", gradc_message(program));
    exit(1);
}

// In large pages where the system gives them, as gradc's own arrays are.
static void *memory_of(size_t bytes) {
    enum { PAGE = 1 << 21 };
    size_t size = (bytes + PAGE - 1) / PAGE * PAGE;
    void *memory = aligned_alloc(PAGE, size);
    if (!memory) fail(NULL);
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

// The entry with its inputs bound: random numbers, or for each row a class.
static gradc_call *prepare(gradc_program *program, int number, float *const *arrays, void *other) {
    gradc_call *call;
    gradc_entry_info entry;
    if (gradc_call_create(program, "f", &call) || !gradc_entry(program, 0, &entry)) fail(program);
    for (int i = 0; i < entry.input_count; i++) {
        gradc_tensor_info info;
        gradc_entry_input(program, 0, i, &info);
        gradc_tensor tensor = {.dtype = info.dtype, .rank = info.rank};
        memcpy(tensor.shape, info.shape, sizeof tensor.shape);
        tensor.data = i < functions[number].reads ? arrays[i] : other;
        if (gradc_call_bind(call, i, &tensor)) fail(program);
    }
    if (gradc_call_value(call)) fail(program);
    return call;
}

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

typedef struct {
    bool json;
    const char *cpu, *only;
    int64_t mebibytes;
    int rounds;
} Request;

typedef struct {
    double plain, past, gradc;   // seconds
} Times;

static Times measure(const Request *request, gradc_call *call, int number, float *const *arrays, int64_t elements) {
    static double samples[3][MAX_ROUNDS];
    static volatile float sink;
    Loop *loops[2];
    choose_loops(&loops[0], &loops[1]);
    int reads = functions[number].reads, writes = functions[number].writes;
    for (int round = 0; round < request->rounds; round++) {
        for (int k = 0; k < 2; k++) {
            double start = seconds();
            if (loops[k]) sink = loops[k](arrays + 2, writes, (const float *const *)arrays, reads, elements);
            samples[k][round] = loops[k] ? seconds() - start : 0;
        }
        double start = seconds();
        if (gradc_call_value(call)) exit(1);
        samples[2][round] = seconds() - start;
    }
    (void)sink;
    return (Times){median(samples[0], request->rounds), median(samples[1], request->rounds),
                   median(samples[2], request->rounds)};
}

static void print_times(const Request *request, int number, double bytes, Times times) {
    double best = times.past > 0 && times.past < times.plain ? times.past : times.plain;
    double past = times.past > 0 ? bytes / times.past : 0;
    const char *format = request->json ? "{\"function\": \"%s\", \"mebibytes\": %.1f, \"plain_gb_s\": %.3f, "
                                         "\"past_the_caches_gb_s\": %.3f, \"gradc_gb_s\": %.3f, \"share\": %.3f}\n"
                                       : "%-42s %8.1f %7.1f %7.1f %7.1f %7.0f%%\n";
    printf(format, functions[number].name, bytes / (1 << 20), 1e-9 * bytes / times.plain, 1e-9 * past,
           1e-9 * bytes / times.gradc, (request->json ? 1 : 100) * best / times.gradc);
    fflush(stdout);
}

static void run(const Request *request, int number, float *const *arrays, void *other) {
    char text[MOST_TEXT];
    int64_t rows = (request->mebibytes << 18) / functions[number].columns, elements = rows * functions[number].columns;
    gradc_options options = {.threads = 1, .cpu = request->cpu};
    gradc_program *program;
    snprintf(text, sizeof text, functions[number].text, (long long)elements, (long long)rows);
    if (gradc_compile_text("memory.grad", text, strlen(text), &options, &program)) fail(program);
    memset(other, 0, sizeof(float) * (size_t)elements);
    for (int64_t i = 0; functions[number].has_classes && i < rows; i++)
        ((int32_t *)other)[i] = (int32_t)(i % functions[number].columns);
    gradc_call *call = prepare(program, number, arrays, other);
    Times times = measure(request, call, number, arrays, elements);
    double bytes = 4.0 * (double)elements * (functions[number].reads + functions[number].writes);
    print_times(request, number, bytes, times);
    gradc_call_free(call);
    gradc_program_free(program);
}

static bool parse(Request *request, int argc, char **argv) {
    int position = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) request->json = true;
        else if (strncmp(argv[i], "--cpu=", 6) == 0) request->cpu = argv[i] + 6;
        else if (strncmp(argv[i], "--only=", 7) == 0) request->only = argv[i] + 7;
        else if (position++ == 0) request->mebibytes = atoi(argv[i]);
        else request->rounds = atoi(argv[i]);
    }
    return request->mebibytes >= 1 && request->rounds >= 1 && request->rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv) {
    Request request = {.mebibytes = 64, .rounds = 7};
    if (!parse(&request, argc, argv)) return 2;
    size_t count = (size_t)request.mebibytes << 18;
    float *arrays[MAX_ARRAYS];
    for (int i = 0; i < MAX_ARRAYS; i++) {
        arrays[i] = memory_of(count * sizeof(float));
        for (size_t k = 0; k < count; k++) arrays[i][k] = (float)rand() / (float)RAND_MAX - 0.5f;
    }
    void *other = memory_of(count * sizeof(float));
    if (!request.json)
        printf("%-42s %8s %7s %7s %7s %8s\n%-42s %8s %23s\n", "", "", "plain", "past", "gradc", "share", "", "MiB",
               "GB/s");
    for (int i = 0; i < FUNCTIONS; i++)
        if (!request.only || strstr(functions[i].name, request.only)) run(&request, i, arrays, other);
    for (int i = 0; i < MAX_ARRAYS; i++) free(arrays[i]);
    free(other);
    return 0;
}
