// Fields of data blocks: what they are of CSV, npy and npz files, the same whether kept or computed for each batch; rows
// held out; files that are larger than memory; and the messages for files that are wrong.
#include "runtime/data.h"
#include "runtime/files/npy.h"
#include "tests/unit/host.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/gradc-fields-XXXXXX";

static const char *in_folder(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const void *bytes, size_t length) {
    FILE *stream = fopen(in_folder(name), "wb");
    if (!stream || fwrite(bytes, 1, length, stream) != length || fclose(stream) != 0) exit(1);
}

static void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static gradc_program messages;

static void write_npz(const char *name, const StoredArray *arrays, int count) {
    gradc_program *program = &messages;
    OK(npz_write(program, in_folder(name), arrays, count));
}

static void write_npy(const char *name, StoredArray array) {
    gradc_program *program = &messages;
    OK(npy_write(program, in_folder(name), &array));
}

static gradc_program *compile_in_folder(const char *text) {
    gradc_program *program;
    if (gradc_compile_text(in_folder("model.grad"), text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s\n%s%s\n", text, gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// The field's numbers for all rows: "1 2 | 3 4", where a bar ends a row.
static void check_field(int line, const char *text, const char *name, const char *expected) {
    gradc_program *program = compile_in_folder(text);
    DataSet data;
    char found[2048] = "";
    gradc_status status = data_load(program, program->program->data.items[0], NULL, &data);
    const FieldArray *field = status ? NULL : data_field(&data, name);
    if (status) snprintf(found, sizeof found, "%s", gradc_message(program));
    int64_t per_row = field ? (int64_t)(field->row_bytes / gradc_dtype_size(field->tensor.dtype)) : 0;
    for (int64_t i = 0; field && i < data.rows * per_row; i++) {
        size_t used = strlen(found);
        double value = field->tensor.dtype == GRADC_F32   ? ((float *)field->tensor.data)[i]
                       : field->tensor.dtype == GRADC_I32 ? ((int32_t *)field->tensor.data)[i]
                                                          : (double)((int64_t *)field->tensor.data)[i];
        snprintf(found + used, sizeof found - used, "%s%.9g", !i ? "" : i % per_row ? " " : " | ", value);
    }
    char *place = strstr(found, folder);   // messages without the folder of this run
    while (place) {
        memmove(place, place + strlen(folder) + 1, strlen(place + strlen(folder)));
        place = strstr(place, folder);
    }
    if (strcmp(found, expected) != 0) {
        printf("line %d: \"%s\"\n instead of \"%s\"\n", line, found, expected);
        failures++;
    }
    data_free(&data);
    gradc_program_free(program);
}
// The program: inputs of a loss, then settings of the data block.
#define PROGRAM(inputs, settings) "dim N, K\nloss fit(" inputs ") { return mean(f32(x)) }\ndata d { " settings " }\n"
#define FIELD(inputs, settings, expected) check_field(__LINE__, PROGRAM(inputs, settings), "x", expected)

// ---- what fields are

static void test_columns(void) {
    write_text("plain.csv", "1,2,3\n4,5,6\n");
    FIELD("x: f32[N, 2]", "file \"plain.csv\"; x = columns[1:3] * 2", "4 6 | 10 12");
    FIELD("x: f32[N]", "file \"plain.csv\"; x = columns[-1]", "3 | 6");
    FIELD("x: f32[N, K]", "file \"plain.csv\"; x = columns[0:-1]", "1 2 | 4 5");
    FIELD("x: f32[N, K]", "file \"plain.csv\"; x = columns", "1 2 3 | 4 5 6");
    FIELD("x: i32[N]", "file \"plain.csv\"; x: i32[N] = columns[1]", "2 | 5");
    FIELD("x: f32[N]", "file \"plain.csv\"; a = columns[0]; x = a * a + columns[2]", "4 | 22");
    write_text("named.csv", "name,\"the age\",weight\nann,30,55.5\nbob,40,72\n");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[\"the age\"]", "30 | 40");
    FIELD("x: f32[N, 2]", "file \"named.csv\"; x = columns[\"weight\", \"the age\"] / 2", "27.75 15 | 36 20");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[\"weight\"] - columns[1]", "25.5 | 32");
    write_text("holes.csv", "a,b\n1,\nNA,4\n");
    FIELD("x: f32[N, 2]", "file \"holes.csv\"; x = columns[0:2]; missing -1", "1 -1 | -1 4");
    FIELD("x: f32[N]", "file \"holes.csv\"; b = columns[\"b\"]; x = where(b == b, b, 0); missing nan", "0 | 4");
    FIELD("x: f32[N]", "file \"holes.csv\"; x = columns[1]; missing 7 for \"NA\"", "7 | 4");
}

static void test_arrays(void) {
    uint8_t images[2][1][2][2] = {{{{0, 1}, {2, 3}}}, {{{4, 5}, {6, 255}}}};
    int64_t labels[2] = {3, 1};
    double table[2][3] = {{1, 2, 3}, {4, 5, 6}};
    StoredArray arrays[] = {{"images", ELEMENT_U8, 4, {2, 1, 2, 2}, false, images},
                            {"labels", ELEMENT_I64, 1, {2}, false, labels}};
    write_npz("digits.npz", arrays, 2);
    FIELD("x: f32[N, 1, 2, 2]", "file \"digits.npz\"; x = arrays[\"images\"] * 2", "0 2 4 6 | 8 10 12 510");
    FIELD("x: f32[N, 1, K, K]", "file \"digits.npz\"; x = arrays[\"images\"]", "0 1 2 3 | 4 5 6 255");
    FIELD("x: f32[N, 4]", "file \"digits.npz\"; a: f32[N, 1, 2, 2] = arrays[\"images\"]; x = reshape(a, [N, 4])",
          "0 1 2 3 | 4 5 6 255");
    FIELD("x: f32[N, K]",
          "file \"digits.npz\"; a: f64[N, 1, K, K] = arrays[\"images\"]; x = reshape(a, [N, K * K])[:, 1:3]",
          "1 2 | 5 6");
    FIELD("x: i32[N]", "file \"digits.npz\"; x = i32(arrays[\"labels\"])", "3 | 1");
    FIELD("x: i64[N]", "file \"digits.npz\"; x: i64[N] = arrays[\"labels\"]", "3 | 1");
    write_npy("table.npy", (StoredArray){NULL, ELEMENT_F64, 2, {2, 3}, false, table});
    write_npy("y.npy", (StoredArray){NULL, ELEMENT_I64, 1, {2}, false, labels});
    FIELD("x: f32[N, 2]", "file \"table.npy\"; x = columns[0:2]", "1 2 | 4 5");
    FIELD("x: f32[N]", "file \"table.npy\"; x = columns[-1]", "3 | 6");
    FIELD("x: f32[N]", "file \"y.npy\"; x = columns[0]", "3 | 1");
    FIELD("x: f32[N, 3]", "file \"table.npy\"; x = arrays[\"anything\"]", "1 2 3 | 4 5 6");
    FIELD("x: f32[N, 3]",
          "file \"table.npy\", \"y.npy\"; y: i32[N] = arrays[\"y\"]; x = arrays[\"table\"] + y[:, none]",
          "4 5 6 | 5 6 7");
    FIELD("x: f32[N, 3]", "file \"table.npy\", \"plain.csv\"; x = arrays[\"table\"] - columns[0:3]", "0 0 0 | 0 0 0");
    // Files as NumPy writes them: in Fortran's order, and packed.
    write_text("types.grad", "");
    gradc_program *program = compile_in_folder(PROGRAM("x: f32[N, 3, 4]", "file \"?\"; x = arrays[\"fortran\"]"));
    DataSet data;
    OK(data_load(program, program->program->data.items[0], "tests/oracle/arrays/types.npz", &data));
    for (int i = 0; i < 24; i++) CHECK(((float *)data.fields[0].tensor.data)[i] == (float)i);
    data_free(&data);
    gradc_program_free(program);
    unlink(in_folder("types.grad"));
}

// ---- messages

static void test_wrong_columns(void) {
    FIELD("x: f32[N]", "file \"plain.csv\"; x = columns[3]",
          "plain.csv has 3 columns, but x of data d reads columns[3]");
    FIELD("x: f32[N]", "file \"table.npy\"; x = columns[4]",
          "table.npy has 3 columns, but x of data d reads columns[4]");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[\"wieght\"]",
          "named.csv has no column 'wieght'; did you mean 'weight'?");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[\"height\", \"age\"][:, 0]",
          "named.csv has no column 'height'; did you mean 'weight'?");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[\"pressure\"]",
          "named.csv has no column 'pressure'; it has 'name', 'the age', 'weight'");
    FIELD("x: f32[N]", "file \"named.csv\"; x = columns[0]",
          "named.csv:2:1: 'ann' is not a number (columns[\"name\"])");
    FIELD("x: f32[N]", "file \"table.npy\"; x = columns[\"a\"]",
          "table.npy has no column 'a': its columns have no names");
    write_text("double.csv", "a,a\n1,2\n");
    FIELD("x: f32[N]", "file \"double.csv\"; x = columns[\"a\"]",
          "double.csv has two columns 'a': columns[0] and columns[1]");
    FIELD("x: i32[N]", "file \"named.csv\"; x = i32(columns[2])",
          "named.csv:2: x is 55.5 in this row, which is not a whole number of type i32");
    write_text("large.csv", "1\n1e39\n");
    FIELD("x: f32[N]", "file \"large.csv\"; x = columns[0]",
          "large.csv:2: x is 1e+39 in this row, which is too large for f32");
    FIELD("x: f32[N]", "file \"digits.npz\"; x = columns[0]",
          "digits.npz has 2 arrays, but data d reads columns; an array is arrays[\"images\"]");
    FIELD("x: f32[N]", "file \"plain.csv\"; x = arrays[\"images\"]",
          "plain.csv has columns and no array 'images'; a column is columns[\"images\"]");
}

static void test_wrong_arrays(void) {
    FIELD("x: f32[N]", "file \"digits.npz\"; x = arrays[\"label\"]",
          "digits.npz has no array 'label'; did you mean 'labels'?");
    FIELD("x: f32[N]", "file \"digits.npz\"; x = arrays[\"other\"]",
          "digits.npz has no array 'other'; it has 'images', 'labels'");
    FIELD("x: f32[N, 28, 28]", "file \"digits.npz\"; x = arrays[\"images\"]",
          "digits.npz: array 'images' is u8[2, 1, 2, 2], but x of data d takes it as [rows, 28, 28]");
    FIELD("x: f32[N, 1, 2, 3]", "file \"digits.npz\"; x = arrays[\"images\"]",
          "digits.npz: array 'images' is u8[2, 1, 2, 2], but x of data d takes it as [rows, 1, 2, 3]");
    FIELD("x: f32[N, K, K]", "file \"digits.npz\"; a: f32[N, 1, 2, K] = arrays[\"images\"]; x = a[:, 0, :, 0:5]",
          "digits.npz: in data d, the slice 0:5 is out of bounds for an axis of K elements");
    float numbers[3][2] = {{0, 1}, {2, NAN}, {INFINITY, 3}};
    int64_t large[3] = {1, (int64_t)1 << 53, 2};
    StoredArray arrays[] = {{"a", ELEMENT_F32, 2, {3, 2}, false, numbers}, {"b", ELEMENT_I64, 1, {3}, false, large}};
    write_npz("wrong.npz", arrays, 2);
    FIELD("x: f32[N, 2]", "file \"wrong.npz\"; x = arrays[\"a\"]",
          "wrong.npz: a[1, 1] is nan; `missing 0` or `missing nan` in the data block allows that");
    FIELD("x: f32[N, 2]", "file \"wrong.npz\"; x = arrays[\"a\"]; missing 0", "wrong.npz: a[2, 0] is inf");
    FIELD("x: f32[N]", "file \"wrong.npz\"; x = arrays[\"b\"]",
          "wrong.npz: b[1] is 9007199254740992, and integers from 2^53 on cannot be told apart here");
    write_npy("a.npy", (StoredArray){NULL, ELEMENT_F32, 2, {3, 2}, false, numbers});
    FIELD("x: f32[N]", "file \"a.npy\"; x = columns[1]",
          "a.npy: a[1, 1] is nan; `missing 0` or `missing nan` in the data block allows that");
    FIELD("x: f32[N]", "file \"a.npy\"; x = columns[1]; missing 8", "1 | 8 | 3");   // nobody reads the inf
    FIELD("x: f32[N, 2]", "file \"a.npy\", \"y.npy\"; x = arrays[\"a\"] + arrays[\"y\"]",
          "y.npy: array 'y' is i64[2], but x of data d takes it as [rows, 2]");
    FIELD("x: f32[N, 2]", "file \"a.npy\", \"y.npy\"; y: i32[N] = arrays[\"y\"]; x = arrays[\"a\"] + y[:, none]",
          "a.npy, y.npy: array 'a' has 3 rows, but what else data d reads has 2");
    FIELD("x: f32[N, 2]", "file \"a.npy\", \"wrong.npz\"; x = arrays[\"a\"]",
          "two arrays of data d are called 'a': in a.npy and in wrong.npz");
    FIELD("x: f32[N]", "file \"plain.csv\", \"holes.csv\"; x = columns[0]",
          "data d has two tables, plain.csv and holes.csv; only arrays may be in several files");
    write_npy("none.npy", (StoredArray){NULL, ELEMENT_F32, 2, {0, 2}, false, NULL});
    FIELD("x: f32[N]", "file \"none.npy\"; x = columns[0]", "none.npy has no rows");
}

static void test_wrong_files(void) {
    FIELD("x: f32[N]", "file \"nothing.csv\"; x = columns[0]",
          "cannot read 'nothing.csv', which data d needs: No such file or directory");
    FIELD("x: f32[N]", "file \"nothing.npy\"; x = columns[0]",
          "cannot read 'nothing.npy', which data d needs: No such file or directory");
    CHECK(mkdir(in_folder("folder.npz"), 0700) == 0);
    FIELD("x: f32[N]", "file \"folder.npz\"; x = columns[0]",
          "cannot read 'folder.npz', which data d needs: Is a directory");
    rmdir(in_folder("folder.npz"));
    FIELD("x: f32[N]", "x = columns[0]", "data d names no file");
    write_text("empty.npy", "");
    FIELD("x: f32[N]", "file \"empty.npy\"; x = columns[0]", "empty.npy is empty");
    write_text("text.npy", "1,2\n");
    FIELD("x: f32[N]", "file \"text.npy\"; x = columns[0]",
          "text.npy is not a npy file: it does not begin with \\x93NUMPY");
    write_text("some.csv", "PAR1 and more");
    FIELD("x: f32[N]", "file \"some.csv\"; x = columns[0]", "some.csv is a Parquet file: save it as CSV, npy or npz");
    write_text("some.csv", "\xFF\xFE"
                           "1");
    FIELD("x: f32[N]", "file \"some.csv\"; x = columns[0]", "some.csv is UTF-16 text: save it as UTF-8");
    size_t length = 0;
    FILE *stream = fopen(in_folder("table.npy"), "rb");
    char bytes[512];
    length = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    write_bytes("some.csv", bytes, length);   // known by what it begins with
    FIELD("x: f32[N]", "file \"some.csv\"; x = columns[0]", "1 | 4");
    write_bytes("text.npy", bytes, length - 8);
    FIELD("x: f32[N]", "file \"text.npy\"; x = columns[0]",
          "text.npy is truncated: it should have 48 bytes of elements, and has 40");
    if (geteuid() != 0) {   // root reads everything
        chmod(in_folder("text.npy"), 0);
        FIELD("x: f32[N]", "file \"text.npy\"; x = columns[0]",
              "cannot read 'text.npy', which data d needs: Permission denied");
    }
}

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

// Class numbers are looked at in all rows, kept or not.
static void test_ranges(void) {
    int32_t classes[400] = {[399] = 3};
    write_npy("classes.npy", (StoredArray){NULL, ELEMENT_I32, 1, {400}, false, classes});
    gradc_program *program =
        compile_in_folder("dim N\n"
                          "net n(x: f32[N]) -> f32[N, 3] { param w: f32[3]; return x[:, none] * w }\n"
                          "loss nll(x: f32[N], y: i32[N]) { return cross_entropy(n(x), y) }\n"
                          "data d { file \"classes.npy\"; x = columns[0]; y = i32(columns[0]) }\n"
                          "train nll { data d; optimizer sgd }\n");
    const Entry *entry = find_entry(program, "nll");
    for (int64_t keep = 0; keep <= 1; keep++) {
        DataSet data;
        OK(data_load_request(program, program->program->data.items[0], &(DataRequest){.keep = keep}, &data));
        CHECK(!data_field(&data, "y")->tensor.data == (keep == 1));
        REFUSED(data_check_ranges(&data, entry), GRADC_DATA,
                "classes.npy, row 399: y is 3 in this row, but nll takes numbers from 0 to 2");
        data_free(&data);
    }
    gradc_program_free(program);
}

// ---- splits

static void check_split(const char *settings, int64_t training, const char *held) {
    char text[256], found[256] = "";
    snprintf(text, sizeof text,
             PROGRAM("x: f32[N], y: i32[N]", "file \"classes.csv\"; x = columns[0]; y = i32(columns[1]); %s"),
             settings);
    gradc_program *program = compile_in_folder(text);
    DataSet data;
    OK(data_load(program, program->program->data.items[0], NULL, &data));
    for (int64_t i = 0; i < data.held_count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld", i ? " " : "", (long long)data.held[i]);
    if (data.training_count != training || strcmp(found, held) != 0) {
        printf("%s: %lld train, %s are held out\n", settings, (long long)data.training_count, found);
        failures++;
    }
    bool seen[20] = {false};   // every row once
    for (int64_t i = 0; i < data.training_count; i++) seen[data.training[i]] = true;
    for (int64_t i = 0; i < data.held_count; i++) CHECK(!seen[data.held[i]]);
    CHECK(data.training_count + data.held_count == data.rows);
    data_free(&data);
    gradc_program_free(program);
}

// Thirteen rows are of class 0, five (1, 5, 9, 13, 17) of class 1, two (3, 10) of class 2: of ten that train 6.5, 2.5
// and 1, and so 7, 2 and 1.
static void test_splits(void) {
    char text[512] = "";
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d,%d\n", i, i % 4 == 1 ? 1 : i % 7 == 3 ? 2 : 0);
    write_text("classes.csv", text);
    check_split("split 0.5", 10, "2 3 4 6 8 10 11 14 15 16");
    check_split("split 0.5; stratify y", 10, "1 4 8 9 10 11 13 14 15 16");
    check_split("split 0.75; stratify y", 15, "4 10 13 14 15");
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
    if (!mkdtemp(folder)) return 1;
    test_columns();
    test_arrays();
    test_wrong_columns();
    test_wrong_arrays();
    test_wrong_files();
    test_pieces();
    test_change();
    test_ranges();
    test_splits();
    test_large();
    char command[256];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    free(messages.message);
    return failures != 0;
}
