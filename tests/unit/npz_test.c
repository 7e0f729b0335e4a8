// Arrays in files: those that NumPy wrote are read with the same numbers, what gradc writes is read again, and a file
// that is damaged in any way is refused with words.
#include "runtime/files/npy.h"
#include "runtime/files/npz.h"
#include "runtime/files/whole.h"
#include "tests/unit/host.h"

#include <float.h>
#include <unistd.h>

static gradc_program messages, *program = &messages;
static char folder[] = "/tmp/gradc-npz-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const int64_t several[] = {0, 1, 2, 3, 4, 5};

// The array's numbers, row-major: `expected` as text, each with 17 digits.
static void check_numbers(const StoredArray *array, const char *expected) {
    double numbers[64] = {0};
    char found[1024] = "";
    int64_t count = array_count(array);
    array_rows(array, several, array->rank ? array->shape[0] : 1, numbers);
    for (int64_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), i ? " %.17g" : "%.17g", numbers[i]);
    if (strcmp(found, expected) == 0) return;
    printf("%s: \"%s\" instead of \"%s\"\n", array->name ? array->name : "npy", found, expected);
    failures++;
}

static void check_member(Npz *npz, const char *name, ElementType type, int rank, const char *expected) {
    StoredArray array;
    void *bytes;
    int index = npz_find(npz, name);
    CHECK(index >= 0);
    OK(npz_read(npz, index, &array, &bytes));
    CHECK(strcmp(array.name, name) == 0 && array.type == type && array.rank == rank);
    check_numbers(&array, expected);
    free(bytes);
}

static const char count_to_24[] = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23";

static void test_types(void) {
    Npz *npz;
    OK(npz_open(program, "tests/oracle/arrays/types.npz", &npz));
    CHECK(npz_count(npz) == 16 && npz_find(npz, "nothing") == -1);
    CHECK(strcmp(npz_name(npz, 0), "bool") == 0);
    check_member(npz, "bool", ELEMENT_BOOL, 1, "1 0 1");
    check_member(npz, "i1", ELEMENT_I8, 1, "-128 0 127");
    check_member(npz, "u1", ELEMENT_U8, 1, "0 0 255");
    check_member(npz, "i2", ELEMENT_I16, 1, "-32768 0 32767");
    check_member(npz, "u2", ELEMENT_U16, 1, "0 0 65535");
    check_member(npz, "i4", ELEMENT_I32, 1, "-2147483648 0 2147483647");
    check_member(npz, "u4", ELEMENT_U32, 1, "0 0 4294967295");
    check_member(npz, "i8", ELEMENT_I64, 1, "-9007199254740992 0 9007199254740992");
    check_member(npz, "u8", ELEMENT_U64, 1, "1 0 9007199254740992");
    check_member(npz, "f2", ELEMENT_F16, 1, "5.9604644775390625e-08 -0.0999755859375 65504");
    check_member(npz, "f4", ELEMENT_F32, 1, "1.4012984643248171e-45 -0.10000000149011612 3.4028234663852886e+38");
    check_member(npz, "f8", ELEMENT_F64, 1, "4.9406564584124654e-324 -0.10000000000000001 1.7976931348623157e+308");
    check_member(npz, "cube", ELEMENT_F32, 3, count_to_24);
    check_member(npz, "fortran", ELEMENT_I32, 3, count_to_24);
    check_member(npz, "number", ELEMENT_F64, 0, "1.5");
    check_member(npz, "none", ELEMENT_F32, 2, "");
    StoredArray array;
    void *bytes;
    OK(npz_read(npz, npz_find(npz, "fortran"), &array, &bytes));
    CHECK(array.first_fastest);
    int32_t copied[12];
    array_copy_rows(&array, &several[1], 1, copied);   // the second row alone, as bytes
    for (int i = 0; i < 12; i++) CHECK(copied[i] == 12 + i);
    free(bytes);
    npz_close(npz);
}

static gradc_status read_head(const char *path, StoredArray *array, char **bytes) {
    size_t length, offset;
    *bytes = read_whole_file(path, &length);
    CHECK(*bytes);
    *array = (StoredArray){0};
    gradc_status status =
        npy_read_head(program, path, (unsigned char *)*bytes, length, (int64_t)length, array, &offset);
    if (!status) array->elements = *bytes + offset;
    return status;
}

static void test_versions(void) {
    for (int version = 1; version <= 3; version++) {
        char path[64], *bytes;
        StoredArray array;
        snprintf(path, sizeof path, "tests/oracle/arrays/version%d.npy", version);
        OK(read_head(path, &array, &bytes));
        CHECK(array.type == ELEMENT_F32 && array.rank == 2 && array.shape[0] == 3 && array.shape[1] == 2);
        check_numbers(&array, "0 1 2 3 4 5");
        free(bytes);
    }
}

static void test_refused(void) {
    static const char *const cases[][2] = {
        {"big_endian", "big-endian"}, {"complex", "complex numbers"}, {"text", "texts, not numbers"},
        {"bytes", "texts"},           {"dates", "holds dates"},       {"fields", "structured array"},
        {"many_axes", "9 axes"},      {"objects", "Python objects"},
    };
    Npz *npz;
    OK(npz_open(program, "tests/oracle/arrays/refused.npz", &npz));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        StoredArray array;
        void *bytes;
        REFUSED(npz_read(npz, npz_find(npz, cases[i][0]), &array, &bytes), GRADC_DATA, cases[i][1]);
        CHECK(strstr(gradc_message(program), "refused.npz, array '") && !bytes);
    }
    npz_close(npz);
    CHECK(npz_open(program, "tests/oracle/arrays/nothing.npz", &npz) == GRADC_FILE && !npz);
    REFUSED(npz_open(program, "tests/oracle/arrays", &npz), GRADC_FILE, "Is a directory");
    REFUSED(npz_open(program, "tests/oracle/arrays/version1.npy", &npz), GRADC_DATA, "not a npz file");
    REFUSED(npz_open(program, "/dev/null", &npz), GRADC_DATA, "is empty");
}

// A head made by hand: what Python wrote long ago or someone else writes is read, nonsense is refused.
static gradc_status parse_head(const char *dict, size_t data, StoredArray *array) {
    unsigned char bytes[512] = "\x93NUMPY\x01";
    size_t length = strlen(dict), offset;
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, dict, length);
    *array = (StoredArray){0};
    return npy_read_head(program, "hand.npy", bytes, 10 + length + data, (int64_t)(10 + length + data), array, &offset);
}

static void test_heads(void) {
    StoredArray array;
    OK(parse_head("{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}\n", 8, &array));
    CHECK(array.rank == 1 && array.shape[0] == 2 && array.type == ELEMENT_F32);
    OK(parse_head("{'descr': '=i8', 'fortran_order': True, 'shape': (2L, 1L), }", 16, &array));
    CHECK(array.rank == 2 && array.shape[1] == 1 && array.type == ELEMENT_I64 && array.first_fastest);
    OK(parse_head("{'descr': '>u1', 'fortran_order': False, 'shape': (), }", 1, &array));
    static const char *const wrong[] = {"",
                                        "{",
                                        "{}",
                                        "{'descr': '<f4', 'fortran_order': False}",
                                        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }",
                                        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
                                        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2), }",
                                        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
                                        "{'descr': '<f4, 'fortran_order': False, 'shape': (2,), }",
                                        "{'other': 3, 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        REFUSED(parse_head(wrong[i], 8, &array), GRADC_DATA, "hand.npy is damaged: its head cannot be read");
    REFUSED(parse_head("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7, &array), GRADC_DATA,
            "hand.npy is truncated: it should have 8 bytes of elements, and has 7");
    REFUSED(parse_head("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9, &array), GRADC_DATA,
            "hand.npy is longer than its head says: it should have 8 bytes of elements, and has 9");
    REFUSED(parse_head("{'descr': '<f4', 'fortran_order': False, 'shape': (3000000000, 3000000000), }", 9, &array),
            GRADC_DATA, "too large to be true");
    REFUSED(parse_head("{'descr': '<f16', 'fortran_order': False, 'shape': (2,), }", 9, &array), GRADC_DATA, "'<f16'");
}

// Cut off anywhere, or with any byte changed, a file is read or refused; nothing is read beyond its end.
static void test_damage(const char *path, bool changed) {
    size_t length;
    char *bytes = read_whole_file(path, &length);
    CHECK(bytes);
    for (size_t at = 0; at < length; at += changed ? 1 : 3) {
        FILE *stream = fopen(in_folder("damaged.npz"), "wb");
        char keep = bytes[at];
        if (changed) bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        fwrite(bytes, 1, changed ? length : at, stream);
        fclose(stream);
        bytes[at] = keep;
        Npz *npz;
        gradc_status status = npz_open(program, in_folder("damaged.npz"), &npz);
        CHECK(status == GRADC_OK || status == GRADC_DATA);
        CHECK(changed || status == GRADC_DATA);
        for (int i = 0; !status && i < npz_count(npz); i++) {
            StoredArray array;
            void *elements;
            gradc_status read = npz_read(npz, i, &array, &elements);
            CHECK(read == GRADC_OK || read == GRADC_DATA);
            free(elements);
        }
        npz_close(npz);
    }
    free(bytes);
}

static void test_writing(void) {
    float x[2][3] = {{1, 2, 3}, {4, 5, 6.5f}};
    double number = -0.1;
    int64_t y[2] = {INT64_MIN, INT64_MAX};
    StoredArray arrays[] = {{"net.hidden.W", ELEMENT_F32, 2, {2, 3}, false, x},
                            {"n", ELEMENT_F64, 0, {0}, false, &number},
                            {"y", ELEMENT_I64, 1, {2}, false, y},
                            {"none", ELEMENT_BOOL, 1, {0}, false, NULL}};
    OK(npz_write(program, in_folder("written.npz"), arrays, 4));
    Npz *npz;
    OK(npz_open(program, in_folder("written.npz"), &npz));
    CHECK(npz_count(npz) == 4);
    check_member(npz, "net.hidden.W", ELEMENT_F32, 2, "1 2 3 4 5 6.5");
    check_member(npz, "n", ELEMENT_F64, 0, "-0.10000000000000001");
    check_member(npz, "none", ELEMENT_BOOL, 1, "");
    StoredArray array;
    void *bytes;
    OK(npz_read(npz, 2, &array, &bytes));
    CHECK(array.type == ELEMENT_I64 && memcmp(array.elements, y, sizeof y) == 0);
    free(bytes);
    npz_close(npz);
    size_t first, second;
    char *one = read_whole_file(in_folder("written.npz"), &first);
    OK(npz_write(program, in_folder("again.npz"), arrays, 4));
    char *other = read_whole_file(in_folder("again.npz"), &second);
    CHECK(one && other && first == second && memcmp(one, other, first) == 0);
    free(one);
    free(other);
    OK(npy_write(program, in_folder("written.npy"), &arrays[0]));
    char *text;
    OK(read_head(in_folder("written.npy"), &array, &text));
    check_numbers(&array, "1 2 3 4 5 6.5");
    free(text);
    REFUSED(npz_write(program, "/nowhere/at/all.npz", arrays, 4), GRADC_FILE, "cannot write '/nowhere/at/all.npz'");
    REFUSED(npz_write(program, folder, arrays, 4), GRADC_FILE, "Is a directory");
    REFUSED(npz_write(program, in_folder("empty.npz"), arrays, 0), GRADC_ARGUMENT, "no array");
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    test_types();
    test_versions();
    test_refused();
    test_heads();
    test_writing();
    test_damage("tests/oracle/arrays/plain.npz", true);
    test_damage("tests/oracle/arrays/plain.npz", false);
    test_damage("tests/oracle/arrays/types.npz", false);
    static const char *const names[] = {"written.npz", "written.npy", "again.npz", "damaged.npz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
    CHECK(rmdir(folder) == 0);   // and no temporary file was left
    free(messages.message);
    return failures != 0;
}
