#include "tests/unit/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Everything allocated here, to be freed at the end.
static struct Owned {
    struct Owned *next;
    double bytes[];
} *owned;

static void give_up(const char *what) {
    printf("the numbers of the oracle cannot be read: %s\n", what);
    exit(1);
}

FILE *oracle_open(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) give_up(path);
    return file;
}

void oracle_close(FILE *file) {
    fclose(file);
    while (owned) {
        struct Owned *next = owned->next;
        free(owned);
        owned = next;
    }
}

static void *allocate(int64_t size) {
    struct Owned *block = calloc(1, sizeof *block + (size_t)size);
    if (!block) give_up("no memory");
    block->next = owned;
    owned = block;
    return block->bytes;
}

int64_t oracle_number(FILE *file, const char *word) {
    char found[ORACLE_WORD];
    long long number;
    if (fscanf(file, "%63s %lld", found, &number) != 2 || strcmp(found, word) != 0) give_up(word);
    return number;
}

void oracle_line(FILE *file, const char *word, char *text, int size) {
    char found[ORACLE_WORD];
    if (fscanf(file, "%63s ", found) != 1 || strcmp(found, word) != 0 || !fgets(text, size, file)) give_up(word);
    text[strcspn(text, "\n")] = 0;
}

OracleTensor oracle_tensor(FILE *file) {
    OracleTensor tensor = {.count = 1};
    char dtype[ORACLE_WORD];
    if (fscanf(file, "%63s %63s %63s %d", tensor.name, dtype, tensor.role, &tensor.rank) != 4 ||
        tensor.rank > ORACLE_RANK)
        give_up("a tensor");
    tensor.is_integer = strcmp(dtype, "i32") == 0;
    for (int i = 0; i < tensor.rank; i++) {
        long long size;
        if (fscanf(file, "%lld", &size) != 1) give_up(tensor.name);
        tensor.shape[i] = size;
        tensor.count *= size;
    }
    tensor.numbers = allocate(tensor.count * (int64_t)sizeof(double));
    tensor.integers = allocate(tensor.count * (int64_t)sizeof(int32_t));
    for (int64_t i = 0; i < tensor.count; i++) {
        if (fscanf(file, "%lf", &tensor.numbers[i]) != 1) give_up(tensor.name);
        if (tensor.is_integer) tensor.integers[i] = (int32_t)tensor.numbers[i];
    }
    return tensor;
}

const char *oracle_type(const OracleTensor *tensor) {
    static char texts[4][ORACLE_WORD];
    static int next;
    char *text = texts[next++ % 4];
    int length = snprintf(text, ORACLE_WORD, "%s", tensor->is_integer ? "i32" : "f64");
    for (int i = 0; i < tensor->rank; i++)
        length += snprintf(text + length, (size_t)(ORACLE_WORD - length), "%s%lld", i ? ", " : "[",
                           (long long)tensor->shape[i]);
    if (tensor->rank) snprintf(text + length, (size_t)(ORACLE_WORD - length), "]");
    return text;
}

double oracle_distance(const double *numbers, const OracleTensor *expected) {
    double farthest = 0;
    for (int64_t i = 0; i < expected->count; i++) {
        if (numbers[i] == expected->numbers[i]) continue;
        double distance = fabs(numbers[i] - expected->numbers[i]) / (1 + fabs(expected->numbers[i]));
        if (!(distance <= farthest)) farthest = isnan(distance) ? INFINITY : distance;
    }
    return farthest;
}
