// Reads a JSON value from stdin and prints the part of it that the arguments lead to, so that tests can look into what
// gradc prints: names of members and positions in lists, "length" for how many there are. Without arguments each line of
// stdin must be a value of its own, and their number is printed. Exits with 1 if stdin is no JSON, or has no such part.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count_lines(void) {
    char *line = NULL;
    size_t size = 0;
    int count = 0;
    json_error_t error;
    while (getline(&line, &size, stdin) > 0) {
        json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (!value) {
            fprintf(stderr, "line %d: %s\n", count + 1, error.text);
            free(line);
            return 1;
        }
        json_decref(value);
        count++;
    }
    free(line);
    printf("%d\n", count);
    return 0;
}

static int print_part(const json_t *part) {
    if (json_is_string(part)) return puts(json_string_value(part)) < 0;
    int failed = json_dumpf(part, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    return failed != 0;
}

int main(int argc, char **argv) {
    json_error_t error;
    if (argc < 2) return count_lines();
    json_t *whole = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
    const json_t *part = whole;
    for (int i = 1; part && i < argc; i++) {
        if (json_is_object(part)) part = json_object_get(part, argv[i]);
        else if (json_is_array(part) && strcmp(argv[i], "length") == 0) {
            printf("%zu\n", json_array_size(part));
            json_decref(whole);
            return 0;
        } else part = json_is_array(part) ? json_array_get(part, strtoul(argv[i], NULL, 10)) : NULL;
    }
    if (!part) fprintf(stderr, "%s\n", whole ? "there is no such part" : error.text);
    int exit_code = part ? print_part(part) : 1;
    json_decref(whole);
    return exit_code;
}
