// Reading the committed numbers of tests/oracle: see the README there for their form.
#ifndef GRADC_TESTS_ORACLE_H
#define GRADC_TESTS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { ORACLE_RANK = 8, ORACLE_WORD = 64 };

typedef struct {
    char name[ORACLE_WORD], role[ORACLE_WORD];
    bool is_integer;   // i32, else f64
    int rank;
    int64_t shape[ORACLE_RANK], count;
    double *numbers;   // if f64
    int32_t *integers;
} OracleTensor;

// The next tensor. A file that has none there ends the test. Its numbers live until oracle_close.
OracleTensor oracle_tensor(FILE *file);
// A word that must be `word`, then a number, or the rest of the line.
int64_t oracle_number(FILE *file, const char *word);
void oracle_line(FILE *file, const char *word, char *text, int size);
FILE *oracle_open(const char *path);
void oracle_close(FILE *file);
// "f64[3, 4]"
const char *oracle_type(const OracleTensor *tensor);
// How far the numbers are from the expected ones, relative to 1 + |expected|; NaN counts as infinitely far.
double oracle_distance(const double *numbers, const OracleTensor *expected);

#endif
