// Data and memory: fields have the same bits whether they are kept or computed for each batch; files larger than memory;
// a file that changes; memory that runs out.
#include "tests/unit/data_files.h"

#include <sys/resource.h>
#include <sys/wait.h>

// ---- kept or computed for each batch

static void fill(float *numbers, int64_t count) {
    uint32_t state = 7;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        numbers[i] = (float)(state >> 8) / (1 << 20) - 8;
    }
}

// Every field has the same bits however it comes; `local` fields are not kept where little may be.
static void test_pieces(void) {
    enum { ROWS = 301, WIDTH = 6 };
    static float numbers[ROWS][WIDTH];
    fill(numbers[0], ROWS * WIDTH);
    write_npy("pieces.npy", (StoredArray){NULL, ELEMENT_F32, 2, {ROWS, WIDTH}, false, numbers});
    static const struct {
        const char *expression;
        bool local;
    } cases[] = {
        {"a", true},
        {"a / 3 + 0.1", true},
        {"softmax(a, axis = 1)", true},
        {"exp(a - amax(a, axis = 1, keepdims = true))", true},
        {"a @ [[1.5, 2, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1], [1, 0, 3, 0, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0], "
         "[0.1, 0.2, 0, 0, 0, 0]]",
         true},
        {"reshape(permute(reshape(a, [N, 2, 3]), [0, 2, 1]), [N, 6])", true},
        {"a[:, ::-1] * a[:, 0:1] + flip(a, axis = 1)", true},
        {"concat([a[:, 3:6], abs(a[:, 0:3])], axis = 1)", true},
        {"einsum(\"ni,nj->nij\", a, a)[:, 2]", true},
        {"where(a > arange(6), a, 0)", true},
        {"(a - mean(a, axis = 0)) / std(a, axis = 0)", false},
        {"a[::-1]", false},
        {"a + arange(N)[:, none]", false},
        {"a * a[0]", false},
        {"cumsum(a, axis = 0)", false},
        {"a / f64(N)", false},
    };
    static const int64_t rows[] = {300, 0, 17, 17, 299, 3, 128};
    enum { SOME = sizeof rows / sizeof *rows };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 PROGRAM("x: f32[N, 6]", "file \"pieces.npy\"; a: f64[N, 6] = arrays[\"a\"]; x = %s"),
                 cases[i].expression);
        gradc_program *program = compile_in_folder(text);
        const DataBlock *block = program->program->data.items[0];
        DataSet kept, computed;
        OK(data_load(program, block, NULL, &kept));
        OK(data_load_request(program, block, &(DataRequest){.keep = 1}, &computed));
        const FieldArray *a = data_field(&kept, "x"), *b = data_field(&computed, "x");
        CHECK(a->tensor.data && a->row_bytes == WIDTH * sizeof(float) && a->row_bytes == b->row_bytes);
        if (!b->tensor.data != cases[i].local) {
            printf("%s: %s\n", cases[i].expression, b->tensor.data ? "is kept" : "is computed for each batch");
            failures++;
        }
        float first[SOME][WIDTH], second[SOME][WIDTH], single[SOME][WIDTH];
        OK(data_gather(&kept, a, rows, SOME, first));
        OK(data_gather(&computed, b, rows, SOME, second));
        for (int k = 0; k < SOME; k++) OK(data_gather(&computed, b, &rows[k], 1, single[k]));
        if (memcmp(first, second, sizeof first) != 0 || memcmp(first, single, sizeof first) != 0) {
            printf("%s: other bits\n", cases[i].expression);
            failures++;
        }
        data_free(&kept);
        data_free(&computed);
        gradc_program_free(program);
    }
}

// A mapped file that changes is noticed, not read beyond its end.
static void test_change(void) {
    gradc_program *program =
        compile_in_folder(PROGRAM("x: f32[N, 6]", "file \"pieces.npy\"; x = arrays[\"pieces\"] * 2"));
    DataSet data;
    float row[6];
    int64_t last = 300;
    OK(data_load_request(program, program->program->data.items[0], &(DataRequest){.keep = 1}, &data));
    OK(data_gather(&data, data_field(&data, "x"), &last, 1, row));
    CHECK(truncate(in_folder("pieces.npy"), 1000) == 0);
    REFUSED(data_gather(&data, data_field(&data, "x"), &last, 1, row), GRADC_DATA,
            "pieces.npy was changed while it was read");
    data_free(&data);
    gradc_program_free(program);
}

// ---- memory that runs out

// Allocations of the program that still succeed; -1: all do.
static long left = -1, held;

static void *allocate(void *context, size_t bytes) {
    (void)context;
    if (left == 0) return NULL;
    if (left > 0) left--;
    held++;
    return aligned_alloc(64, bytes);
}

static void release(void *context, void *memory) {
    (void)context;
    held--;
    free(memory);
}

static gradc_status check_all(gradc_program *program) {
    return gradc_check_data(program, NULL, NULL);
}

static gradc_status evaluate_all(gradc_program *program) {
    gradc_evaluation evaluation;
    return gradc_evaluate(program, NULL, &evaluation);
}

static gradc_status predict_all(gradc_program *program) {
    return gradc_predict(program, NULL, in_folder("predicted.csv"));
}

// Whichever allocation fails, the call fails with GRADC_MEMORY, and what it took is given back; then it succeeds.
static void test_memory(void) {
    static const char model[] =
        "dim N\n"
        "net n(x: f32[N, 6]) -> f32[N, 3] { param w: f32[6, 3]; return x @ w }\n"
        "loss nll(x: f32[N, 6], y: i32[N]) { return cross_entropy(n(x), y) }\n"
        "data d { file \"pieces.npy\", \"labels.npz\"; x = softmax(arrays[\"pieces\"], axis = 1)\n"
        "    y = i32(arrays[\"y\"]); split 0.75; stratify y }\n"
        "train nll { data d; optimizer sgd }\n";
    static gradc_status (*const calls[])(gradc_program *) = {check_all, evaluate_all, predict_all};
    static float numbers[301][6];
    static uint8_t labels[301];
    for (int i = 0; i < 301; i++) labels[i] = (uint8_t)(i % 3);
    write_npy("pieces.npy", (StoredArray){NULL, ELEMENT_F32, 2, {301, 6}, false, numbers});
    write_npz("labels.npz", &(StoredArray){"y", ELEMENT_U8, 1, {301}, false, labels}, 1);
    gradc_options options = {.allocate = allocate, .release = release};
    gradc_program *program;
    OK(gradc_compile_text(in_folder("model.grad"), model, strlen(model), &options, &program));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        OK(calls[i](program));   // compiles what it needs
        long before = held, count = 0;
        gradc_status status = GRADC_MEMORY;
        for (; status == GRADC_MEMORY && count < 1000; count++) {
            left = count;
            status = calls[i](program);
            left = -1;
            CHECK(status == GRADC_OK || held <= before);   // a message may have gone
        }
        OK(status);
        CHECK(count > 5);
    }
    gradc_program_free(program);
    CHECK(held == 0);
}

// ---- larger than memory

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static void test_large(void) {   // the sanitizers' own memory is counted, too
}
#else
enum { LARGE_ROWS = 3000, LARGE_WIDTH = 1 << 18 };

// A file of three GB, all zeros but for the first number of each row; on the disk it takes little.
static void write_large(void) {
    StoredArray array = {.type = ELEMENT_F32, .rank = 2, .shape = {LARGE_ROWS, LARGE_WIDTH}};
    char head[NPY_HEAD_SIZE];
    size_t length = npy_make_head(&array, head);
    float targets[LARGE_ROWS];
    for (int i = 0; i < LARGE_ROWS; i++) targets[i] = (float)i * 2 / LARGE_ROWS;
    write_npy("targets.npy", (StoredArray){NULL, ELEMENT_F32, 1, {LARGE_ROWS}, false, targets});
    FILE *stream = fopen(in_folder("large.npy"), "wb");
    if (!stream || fwrite(head, 1, length, stream) != length) exit(1);
    for (int64_t i = 0; i < LARGE_ROWS; i++) {
        float number = (float)i;
        fseek(stream, (long)(length + (size_t)i * LARGE_WIDTH * sizeof number), SEEK_SET);
        fwrite(&number, sizeof number, 1, stream);
    }
    fclose(stream);
    if (truncate(in_folder("large.npy"), (off_t)(length + (size_t)LARGE_ROWS * LARGE_WIDTH * sizeof(float))) != 0)
        exit(1);
}

static const char large_model[] = "dim N\n"
                                  "net n(x: f32[N, 262144]) -> f32[N] { param w: f32[262144] ~ zeros; return x @ w }\n"
                                  "loss fit(x: f32[N, 262144], y: f32[N]) { return mse_loss(n(x), y) }\n"
                                  "data d { file \"large.npy\", \"targets.npy\"; x = arrays[\"large\"] / 3000; y = "
                                  "arrays[\"targets\"]; split 0.02 }\n"
                                  "train fit { data d; optimizer sgd(lr = 0.5); batch 16; epochs 2 }\n";

// In a process that may have a third of a GB.
static int train_large(void) {
    enum { MOST = 350 << 20 };
    gradc_program *program = compile_in_folder(large_model);
    struct rlimit limit = {MOST, MOST};
    struct rusage usage;
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    OK(gradc_fit(program, NULL));
    float w = *(float *)gradc_parameters(program);
    CHECK(w > 0.5f && w < 2);
    gradc_predict_options options = {.rows = GRADC_ROWS_TRAINING};
    OK(gradc_predict(program, &options, in_folder("large.csv")));
    unlink(in_folder("large.csv"));
    gradc_program_free(program);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss < 700 << 10);   // KiB; mapped pages count, too
    return failures != 0;
}

static void test_large(void) {
    int status;
    write_large();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int result = train_large();
        fflush(stdout);
        _exit(result);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unlink(in_folder("large.npy"));
}
#endif

int main(void) {
    make_folder();
    test_pieces();
    test_change();
    test_memory();
    test_large();
    remove_folder();
    return failures != 0;
}
