// Which rows train and which are held out: by the rows alone, not by the training's seed, so that what is held out stays
// so. A stratified split holds out the same share of the rows of each value of a field.
#include "runtime/data.h"

#include <stdlib.h>
#include <string.h>

static int compare_rows(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// ---- strata: the rows of each value

typedef struct {
    double value;
    int64_t rows, training;   // so many, and so many of them train
    double rest;              // what the share of training rows is above `training`
    int64_t taken;
} Stratum;

// NaN is a value like others here, after all numbers.
static int compare_values(double x, double y) {
    if (x != x || y != y) return (x != x) - (y != y);
    return (x > y) - (x < y);
}

static int compare_doubles(const void *a, const void *b) {
    return compare_values(*(const double *)a, *(const double *)b);
}

// The values in ascending order, each once; returns how many there are.
static int64_t find_strata(DataSet *data, const double *values, Stratum **strata) {
    int64_t count = 0;
    double *sorted = arena_copy(data->arena, values, sizeof *values * (size_t)data->rows);
    qsort(sorted, (size_t)data->rows, sizeof *sorted, compare_doubles);
    *strata = arena_array(data->arena, Stratum, data->rows);
    for (int64_t i = 0; i < data->rows; i++) {
        if (!i || compare_values(sorted[i], sorted[i - 1]) != 0) (*strata)[count++].value = sorted[i];
        (*strata)[count - 1].rows++;
    }
    return count;
}

static Stratum *stratum_of(Stratum *strata, int64_t count, double value) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_values(strata[middle].value, value) < 0) low = middle + 1;
        else high = middle;
    }
    return &strata[low];
}

static int compare_rests(const void *a, const void *b) {
    const Stratum *x = *(Stratum *const *)a, *y = *(Stratum *const *)b;
    if (x->rest != y->rest) return x->rest < y->rest ? 1 : -1;
    return compare_values(x->value, y->value);
}

// Each stratum's share rounded down, then one row more for those that lost most, until `training` rows train.
static void share_out(DataSet *data, Stratum *strata, int64_t count, int64_t training) {
    Stratum **order = arena_array(data->arena, Stratum *, count);
    int64_t left = training;
    for (int64_t i = 0; i < count; i++) {
        double share = (double)strata[i].rows * (double)training / (double)data->rows;
        strata[i].training = (int64_t)(share + 1e-9);
        strata[i].rest = share - (double)strata[i].training;
        left -= strata[i].training;
        order[i] = &strata[i];
    }
    qsort(order, (size_t)count, sizeof *order, compare_rests);
    for (int64_t i = 0; i < count && left > 0; i++, left--) order[i]->training++;
}

static gradc_status stratum_values(DataSet *data, double **values) {
    const FieldArray *field = data_field(data, data->block->stratify);
    *values = arena_array(data->arena, double, data->rows);
    gradc_tensor row = field->tensor;
    double bytes;
    row.data = &bytes;
    gradc_status status = GRADC_OK;
    for (int64_t i = 0; i < data->rows && !status; i++) {
        status = data_gather(data, field, &i, 1, row.data);
        (*values)[i] = tensor_number(&row, 0);
    }
    return status;
}

// Puts rows that train first: from the front of `order`, until their stratum has enough.
static gradc_status stratify(DataSet *data, int64_t *order, int64_t training) {
    double *values;
    Stratum *strata;
    gradc_status status = stratum_values(data, &values);
    if (status) return status;
    int64_t count = find_strata(data, values, &strata), front = 0, back = training;
    share_out(data, strata, count, training);
    int64_t *sorted = arena_array(data->arena, int64_t, data->rows);
    for (int64_t i = 0; i < data->rows; i++) {
        Stratum *stratum = stratum_of(strata, count, values[order[i]]);
        sorted[stratum->taken++ < stratum->training ? front++ : back++] = order[i];
    }
    memcpy(order, sorted, sizeof *order * (size_t)data->rows);
    return GRADC_OK;
}

// ---- the split

gradc_status split_rows(DataSet *data) {
    const DataBlock *block = data->block;
    int64_t rows = data->rows, training = (int64_t)((double)rows * block->split + 1e-9);
    if (training > rows) training = rows;
    if (training < 1)
        return fail(data->program, GRADC_DATA, "%s has %lld %s, and a split of %.9g leaves none to train", data->path,
                    (long long)rows, rows == 1 ? "row" : "rows", block->split);
    int64_t *order = arena_array(data->arena, int64_t, rows);
    for (int64_t i = 0; i < rows; i++) order[i] = i;
    if (training < rows) shuffle(order, rows, 0, SHUFFLE_SPLIT, 0);
    gradc_status status = GRADC_OK;
    if (training < rows && block->stratify) status = stratify(data, order, training);
    qsort(order, (size_t)training, sizeof *order, compare_rows);
    qsort(order + training, (size_t)(rows - training), sizeof *order, compare_rows);
    data->training = order;
    data->training_count = training;
    data->held = training < rows ? order + training : order;
    data->held_count = training < rows ? rows - training : rows;
    return status;
}
