// Arrays on the command line: values given to inputs, and outputs shown.
#ifndef GRADC_CLI_VALUES_H
#define GRADC_CLI_VALUES_H

#include "runtime/cli/cli.h"

#include <jansson.h>

// An array for an input, as the text says: a file (NAME.npy, NAME.npz or NAME.npz:ARRAY, NAME.csv), a number, numbers with
// commas between them, or nested lists as JSON has them. Numbers without lists take the input's shape. False after a
// message on stderr. Free it with gradc_array_free.
bool value_parse(gradc_program *program, const gradc_tensor_info *input, const char *text, gradc_tensor *array);

double value_at(const gradc_tensor *array, int64_t index);
int64_t value_count(const gradc_tensor *array);   // of elements
// The fewest digits that tell a number from its neighbours.
void value_print(FILE *stream, const gradc_tensor *array, int64_t index);
// As nested lists, each row of the last axis on a line.
void value_print_all(FILE *stream, const gradc_tensor *array);
json_t *value_json(const gradc_tensor *array);

#endif
