// Arrays in files through gradc.h: every dtype comes back as it was, others are converted where no number is lost, and
// what is wrong with a file is said. (Files that NumPy made are read in npz_test.)
#include "check.h"
#include "runtime/gradc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/gradc-arrays-XXXXXX";
static gradc_program *program;

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void check_same(const gradc_tensor *a, const gradc_tensor *b) {
    size_t count = 1;
    CHECK(a->dtype == b->dtype && a->rank == b->rank);
    for (int i = 0; i < a->rank; i++) {
        CHECK(a->shape[i] == b->shape[i]);
        count *= (size_t)a->shape[i];
    }
    CHECK(memcmp(a->data, b->data, count * gradc_dtype_size(a->dtype)) == 0);
}

static void check_round_trip(gradc_tensor *array) {
    gradc_tensor found;
    CHECK(gradc_array_write(program, in_folder("a.npy"), 1, NULL, array) == GRADC_OK);
    CHECK(gradc_array_read(program, in_folder("a.npy"), NULL, array->dtype, &found) == GRADC_OK);
    check_same(array, &found);
    gradc_array_free(&found);
    CHECK(!found.data);
}

static void test_dtypes(void) {
    float f32[] = {1.5f, -0.0f, 3e38f, 1e-40f, 0.1f, 7};
    double f64[] = {1.5, -1e300, 0.1};
    int32_t i32[] = {INT32_MIN, INT32_MAX};
    int64_t i64[] = {INT64_MIN, INT64_MAX, (1ll << 53) + 1, 0};
    uint8_t bools[] = {1, 0, 1};
    check_round_trip(&(gradc_tensor){GRADC_F32, 2, {2, 3}, f32});
    check_round_trip(&(gradc_tensor){GRADC_F64, 1, {3}, f64});
    check_round_trip(&(gradc_tensor){GRADC_I32, 1, {2}, i32});
    check_round_trip(&(gradc_tensor){GRADC_I64, 3, {1, 4, 1}, i64});
    check_round_trip(&(gradc_tensor){GRADC_BOOL, 1, {3}, bools});
    check_round_trip(&(gradc_tensor){GRADC_F32, 0, {0}, f32});
    check_round_trip(&(gradc_tensor){GRADC_F32, 2, {0, 3}, f32});
}

// Reads what is in `name` as the dtype; the message must then hold the words. NULL: it succeeds.
static void check_read(const char *name, const char *array, gradc_dtype dtype, gradc_status expected,
                       const char *words) {
    gradc_tensor found;
    gradc_status status = gradc_array_read(program, in_folder(name), array, dtype, &found);
    if (status != expected || (words && !strstr(gradc_message(program), words))) {
        printf("%s as %s: status %d, \"%s\"\n", name, gradc_dtype_name(dtype), status, gradc_message(program));
        failures++;
    }
    if (status) CHECK(!found.data);
    gradc_array_free(&found);
}

static void test_conversion(void) {
    double numbers[] = {1, 2.5, 1e39};
    const char *names[] = {"whole", "half", "huge"};
    gradc_tensor arrays[3], found;
    for (int i = 0; i < 3; i++) arrays[i] = (gradc_tensor){GRADC_F64, 0, {0}, &numbers[i]};
    CHECK(gradc_array_write(program, in_folder("n.npz"), 3, names, arrays) == GRADC_OK);
    for (gradc_dtype dtype = GRADC_F32; dtype <= GRADC_BOOL; dtype++)
        check_read("n.npz", "whole", dtype, GRADC_OK, NULL);
    check_read("n.npz", "half", GRADC_F32, GRADC_OK, NULL);
    check_read("n.npz", "half", GRADC_I32, GRADC_DATA, "is 2.5, which is no i32");
    check_read("n.npz", "half", GRADC_BOOL, GRADC_DATA, "which is no bool");
    check_read("n.npz", "huge", GRADC_F64, GRADC_OK, NULL);
    check_read("n.npz", "huge", GRADC_F32, GRADC_DATA, "which is no f32");
    check_read("n.npz", "huge", GRADC_I64, GRADC_DATA, "which is no i64");
    check_read("n.npz", "other", GRADC_F64, GRADC_DATA, "no array 'other'");
    check_read("n.npz", NULL, GRADC_F64, GRADC_DATA, "has 3 arrays");
    CHECK(gradc_array_read(program, in_folder("n.npz"), "half", GRADC_F32, &found) == GRADC_OK);
    CHECK(found.rank == 0 && *(float *)found.data == 2.5f);
    gradc_array_free(&found);
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(in_folder(name), "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) exit(1);
}

static void test_tables(void) {
    gradc_tensor found;
    write_text("t.csv", "a,b\n1,2\n3,4\n5,6\n");
    CHECK(gradc_array_read(program, in_folder("t.csv"), NULL, GRADC_I32, &found) == GRADC_OK);
    CHECK(found.rank == 2 && found.shape[0] == 3 && found.shape[1] == 2);
    CHECK(((int32_t *)found.data)[0] == 1 && ((int32_t *)found.data)[5] == 6);
    gradc_array_free(&found);
    write_text("t.csv", "1,2\n3,x\n");
    check_read("t.csv", NULL, GRADC_F32, GRADC_DATA, "t.csv:2:3");
}

static void test_wrong_files(void) {
    float number = 1;
    const char *names[] = {"a", "b"};
    gradc_tensor arrays[2] = {{GRADC_F32, 0, {0}, &number}, {GRADC_F32, 0, {0}, &number}};
    check_read("none.npy", NULL, GRADC_F32, GRADC_FILE, "No such file");
    check_read("none.npz", NULL, GRADC_F32, GRADC_FILE, "none.npz");
    check_read("none.csv", NULL, GRADC_F32, GRADC_FILE, "No such file");
    check_read("none.txt", NULL, GRADC_F32, GRADC_ARGUMENT, "is named .npy, .npz or .csv");
    write_text("bad.npy", "no array");
    write_text("bad.npz", "no archive");
    check_read("bad.npy", NULL, GRADC_F32, GRADC_DATA, "bad.npy");
    check_read("bad.npz", NULL, GRADC_F32, GRADC_DATA, "bad.npz");
    CHECK(gradc_array_write(program, in_folder("a.npy"), 2, names, arrays) == GRADC_ARGUMENT);
    CHECK(gradc_array_write(program, in_folder("a.txt"), 1, names, arrays) == GRADC_ARGUMENT);
    CHECK(gradc_array_write(program, in_folder("none/a.npy"), 1, names, arrays) == GRADC_FILE);
    CHECK(gradc_array_write(program, in_folder("none/a.npz"), 1, names, arrays) == GRADC_FILE);
}

int main(void) {
    const char *files[] = {"a.npy", "n.npz", "t.csv", "bad.npy", "bad.npz"};
    if (!mkdtemp(folder) || gradc_compile_text("empty.grad", "", 0, NULL, &program) != GRADC_OK) return 1;
    test_dtypes();
    test_conversion();
    test_tables();
    test_wrong_files();
    for (int i = 0; i < 5; i++) unlink(in_folder(files[i]));
    rmdir(folder);
    gradc_program_free(program);
    return failures != 0;
}
