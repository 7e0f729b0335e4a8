// The CSV reader: what it takes, and that it says exactly where a file is wrong.
#include "check.h"
#include "runtime/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gradc_program program;

static gradc_status parse(Arena *arena, const char *text, size_t length, Cells *cells) {
    if (setjmp(*arena_recover(arena))) return GRADC_MEMORY;
    return csv_parse(&program, arena, "file.csv", text, length, cells);
}

// `expected` is rows of numbers: "1 2;3 4;".
static void check_cells(const char *text, const char *expected) {
    char found[512] = "";
    Arena *arena = arena_create();
    Cells cells;
    gradc_status status = parse(arena, text, strlen(text), &cells);
    for (int64_t i = 0; !status && i < cells.rows * cells.columns; i++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%.17g%s", cells.values[i],
                 i % cells.columns == cells.columns - 1 ? ";" : " ");
    }
    if (status || strcmp(found, expected) != 0) {
        printf("\"%s\" is read as \"%s\" instead of \"%s\"%s%s\n", text, found, expected, status ? ": " : "",
               status ? gradc_message(&program) : "");
        failures++;
    }
    arena_destroy(arena);
}

static void check_error_bytes(const char *text, size_t length, const char *expected) {
    Arena *arena = arena_create();
    Cells cells;
    gradc_status status = parse(arena, text, length, &cells);
    if (status != GRADC_DATA || strcmp(gradc_message(&program), expected) != 0) {
        printf("\"%s\": \"%s\" instead of \"%s\"\n", text, status ? gradc_message(&program) : "no error", expected);
        failures++;
    }
    arena_destroy(arena);
}

static void check_error(const char *text, const char *expected) {
    check_error_bytes(text, strlen(text), expected);
}

static void test_what_is_read(void) {
    check_cells("1,2\n3,4\n", "1 2;3 4;");
    check_cells("1,2\n3,4", "1 2;3 4;");
    check_cells("1,2\r\n3,4\r\n", "1 2;3 4;");
    check_cells("\xEF\xBB\xBF"
                "1,2\n",
                "1 2;");
    check_cells("1,2\n\n3,4\n\n  \n", "1 2;3 4;");
    check_cells("  1 ,\t2\n", "1 2;");
    check_cells("\"1\",\"2.5\"\n\"-3\" , 4e2\n", "1 2.5;-3 400;");
    check_cells("a,b\n1,2\n", "1 2;");
    check_cells("\"a\nb\",\"say \"\"c\"\"\"\n1,2\n", "1 2;");
    check_cells("7", "7;");
    check_cells("-0,+1,.5,1.,1e-3,123456789012345678\n", "-0 1 0.5 1 0.001 1.2345678901234568e+17;");
}

static void test_where_it_is_wrong(void) {
    check_error("", "file.csv: the file is empty: there is no row of numbers");
    check_error("\n \n\r\n", "file.csv: the file is empty: there is no row of numbers");
    check_error("a,b\n", "file.csv: the file is empty: there is no row of numbers");
    // line:column, as an editor counts them; then the column as the program calls it.
    check_error("1,2\n3,x\n", "file.csv:2:3: 'x' is not a number (columns[1])");
    check_error("a,b\n1,2\n300,x\n", "file.csv:3:5: 'x' is not a number (columns[\"b\"])");
    check_error("1,2\n\n\n3,  x\n", "file.csv:4:5: 'x' is not a number (columns[1])");
    check_error("1,2\n\"\xC3\xA4\",x\n", "file.csv:2:1: '\xC3\xA4' is not a number (columns[0])");
    check_error("\xEF\xBB\xBF"
                "1,2\n\"\xC3\xA4\xC3\xB6\",3\n",
                "file.csv:2:1: '\xC3\xA4\xC3\xB6' is not a number (columns[0])");
    check_error("\"1\n\",2\n\"x\",3\n", "file.csv:1:1: '1?' is not a number (columns[0])");
    check_error("1,2\n\"3\",\"4\n", "file.csv:2:5: a quote is opened and never closed: is the file truncated?");
    check_error("1,2\n\"3\"x,4\n", "file.csv:2:1: after the closing quote a comma is missing");
    check_error("1,2\n3,\n", "file.csv:2:3: the cell is empty (columns[1]); `missing 0` or `missing nan` in the data "
                             "block allows that");
    check_error("1,2\nnan,4\n", "file.csv:2:1: 'nan' is not a finite number (columns[0])");
    check_error("1,2\n3,-inf\n", "file.csv:2:3: '-inf' is not a finite number (columns[1])");
    check_error("1,2\n3,1e999\n", "file.csv:2:3: '1e999' is not a finite number (columns[1])");
    check_error("1,2\n3,0x10\n", "file.csv:2:3: '0x10' is not a number (columns[1])");
    check_error("1,2\n3,4,5\n", "file.csv:2: the row has 3 columns, but the rows before it have 2");
    check_error("1,2\n3\n", "file.csv:2: the row has 1 column, but the rows before it have 2");
    check_error("1,2\nx\n", "file.csv:2: the row has 1 column, but the rows before it have 2");
    check_error("1,2\n3", "file.csv:2: the row has 1 column, but the rows before it have 2: is the file truncated?");
    check_error("a,b\n1,2,3\n", "file.csv:2: the row has 3 columns, but the rows before it have 2");
    check_error("a,1\n1,2\n", "file.csv:1:1: 'a' is not a number (columns[0])");
    check_error_bytes("1,2\n3,4\0\n", 9, "file.csv:2:3: '4?' is not a number (columns[1])");
}

// Columns may be apart by tabs and semicolons; what is meant by other files is guessed at.
static void test_separators(void) {
    check_cells("1;2\n3;4\n", "1 2;3 4;");
    check_cells("a\tb\n1\t 2\n3\t4\n", "1 2;3 4;");
    check_cells("\"a;b\",c\n1,2\n", "1 2;");
    check_error(
        "a\tb\n1\t\n",
        "file.csv:2:3: the cell is empty (columns[\"b\"]); `missing 0` or `missing nan` in the data block allows "
        "that");
    check_error("a;b\n1,5;2,5\n",
                "file.csv:2:1: '1,5' is not a number (columns[\"a\"]): write it with a point, not a comma");
    check_error("1,5;2,5\n", "file.csv:1:3: '5;2' is not a number (columns[1]): the first line has a comma, so columns "
                             "are apart by commas, not by ';'");
    check_error("1 2 3\n4 5 6\n", "file.csv:2:1: '4 5 6' is not a number (columns[\"1 2 3\"]): columns are apart by "
                                  "commas, semicolons or tabs, not by blanks");
}

// Reads the text of which only column 1 is used.
static void check_second(const char *text, const CsvOptions *options, const char *expected) {
    static const bool used[4] = {false, true};
    char found[512] = "";
    Arena *arena = arena_create();
    Csv csv;
    Cells cells = {0};
    gradc_status status = GRADC_MEMORY;
    if (!setjmp(*arena_recover(arena)))
        status = csv_begin(&csv, &program, arena, "file.csv", text, strlen(text), options);
    if (!status) status = csv_read(&csv, used, &cells);
    for (int64_t i = 0; !status && i < cells.rows; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%g ", cells.values[i * cells.columns + 1]);
    const char *result = status ? gradc_message(&program) : found;
    if (strcmp(result, expected) != 0) {
        printf("\"%s\": \"%s\" instead of \"%s\"\n", text, result, expected);
        failures++;
    }
    arena_destroy(arena);
}

// Columns that nobody reads may hold anything; missing cells get a number where that is said.
static void test_options(void) {
    static const char *const words[] = {"?", "-999"};
    CsvOptions plain = {0}, named = {.has_heading = true}, zero = {.may_miss = true, .missing = 0.5},
               said = {.may_miss = true, .missing = NAN, .words = words, .word_count = 2};
    check_second("ann,1,\nbob,2,x\n", &plain, "1 2 ");
    check_second("name,age,note\nann,1,\nbob,2,\"x, y\"\n", &plain, "1 2 ");
    check_second("name,2019,2020\nann,1,3\nbob,2,4\n", &plain, "2019 1 2 ");
    check_second("2019,2020,2021\n1,2,3\n", &named, "2 ");
    check_second("id,2019,2020\n7,1,3\n8,2,4\n", &plain,
                 "file.csv:1: 'id' is not a number, but the rows below have a number there; a heading has no numbers");
    check_second("a,b\n1,\n2,NA\n3,nan\n4,NULL\n5,n/a\n6,7\n", &zero, "0.5 0.5 0.5 0.5 0.5 7 ");
    check_second("1,?\n2,-999\n3,\n4,5\n", &said, "nan nan nan 5 ");
    check_second("1,2\n3,NA\n", &said, "file.csv:2:3: 'NA' is not a number (columns[1])");
    check_second("1,2\n3,Oslo\n", &plain,
                 "file.csv:2:3: 'Oslo' is not a number (columns[1]): gradc reads numbers; number the words in the file "
                 "first (Oslo 0, Rome 1)");
    check_second("1,2\n3,unknown\n", &zero,
                 "file.csv:2:3: 'unknown' is not a number (columns[1]), nor one of the usual words for a missing one");
    check_second("1,NA\n3,4\n", &zero, "0.5 4 ");
}

static void test_lines(void) {
    Arena *arena = arena_create();
    Cells cells;
    const char *text = "a\n\n1\n\n\"2\"\n3";
    CHECK(parse(arena, text, strlen(text), &cells) == GRADC_OK);
    CHECK(cells.rows == 3 && cells.lines[0] == 3 && cells.lines[1] == 5 && cells.lines[2] == 6);
    arena_destroy(arena);
}

// No byte string makes the reader crash or read on: run under the sanitizers.
static void test_random_bytes(void) {
    static const char alphabet[] = "0123456789,,,\n\n\"\"\r .-eEnaix\t;\xC3";
    uint32_t state = 1;
    for (int round = 0; round < 20000; round++) {
        size_t length = round % 40;
        char *text = malloc(length + 1);
        for (size_t i = 0; i < length; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = alphabet[(state >> 16) % (sizeof alphabet - 1)];
        }
        text[length] = 0;
        Arena *arena = arena_create();
        Cells cells = {0};
        gradc_status status = parse(arena, text, length, &cells);
        CHECK(status == GRADC_OK || status == GRADC_DATA);
        CHECK(status != GRADC_OK || (cells.rows > 0 && cells.columns > 0));
        arena_destroy(arena);
        free(text);
    }
}

int main(void) {
    test_what_is_read();
    test_where_it_is_wrong();
    test_separators();
    test_options();
    test_lines();
    test_random_bytes();
    free(program.message);
    return failures != 0;
}
