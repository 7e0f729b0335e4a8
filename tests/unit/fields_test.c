// Fields of data blocks: what they are of CSV, npy and npz files; rows held out; and the messages for files that are wrong.
#include "tests/unit/data_files.h"

#include <sys/stat.h>

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
          "named.csv:2:1: 'ann' is not a number (columns[\"name\"]): gradc reads numbers; number the words in the file "
          "first (Oslo 0, Rome 1)");
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

int main(void) {
    make_folder();
    test_columns();
    test_arrays();
    test_wrong_columns();
    test_wrong_arrays();
    test_wrong_files();
    test_ranges();
    test_splits();
    remove_folder();
    return failures != 0;
}
