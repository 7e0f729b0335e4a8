// JSON for scripts, made with jansson.
#include "runtime/cli/json.h"
#include "runtime/cli/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text) {
    if (!text) return json_null();
    json_t *value = json_string(text);
    if (value) return value;
    char *plain = strdup(text);
    for (char *at = plain; at && *at; at++)
        if (*at & 0x80) *at = '?';
    value = plain ? json_string(plain) : NULL;
    free(plain);
    return checked(value);
}

json_t *json_number(double value) {
    return isfinite(value) ? checked(json_real(value)) : json_null();
}

json_t *json_whole(long long value) {
    return checked(json_integer(value));
}

json_t *json_truth(bool value) {
    return json_boolean(value);
}

json_t *json_list(void) {
    return checked(json_array());
}

json_t *json_table(void) {
    return checked(json_object());
}

void json_put(json_t *table, const char *key, json_t *value) {
    if (json_object_set_new(table, key, value) != 0) checked(NULL);
}

void json_add(json_t *list, json_t *value) {
    if (json_array_append_new(list, value) != 0) checked(NULL);
}

void json_print(json_t *value, int digits) {
    json_dumpf(value, stdout,
               JSON_COMPACT | JSON_REAL_PRECISION(digits));   // main looks whether stdout could be written
    putchar('\n');
    json_decref(value);
}
