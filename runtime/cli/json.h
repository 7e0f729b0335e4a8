// JSON for scripts, made with jansson. The functions end the program when memory runs out.
#ifndef GRADC_CLI_JSON_H
#define GRADC_CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>

json_t *json_text(const char *text);   // NULL: null; bytes that are no UTF-8 become '?'
json_t *json_number(double value);     // null if it is not finite, which JSON cannot say
json_t *json_whole(long long value);
json_t *json_truth(bool value);
json_t *json_list(void);
json_t *json_table(void);
void json_put(json_t *table, const char *key, json_t *value);
void json_add(json_t *list, json_t *value);
// Prints the value on stdout, on one line, real numbers with so many digits, and frees it.
void json_print(json_t *value, int digits);

#endif
