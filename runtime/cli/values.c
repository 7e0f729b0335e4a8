// Arrays on the command line: values given to inputs, and outputs shown.
#include "runtime/cli/values.h"
#include "runtime/cli/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double value_at(const gradc_tensor *array, int64_t index) {
    switch (array->dtype) {
    case GRADC_F32: return ((const float *)array->data)[index];
    case GRADC_F64: return ((const double *)array->data)[index];
    case GRADC_I32: return ((const int32_t *)array->data)[index];
    case GRADC_I64: return (double)((const int64_t *)array->data)[index];
    case GRADC_BOOL: return ((const uint8_t *)array->data)[index];
    }
    return 0;
}

int64_t value_count(const gradc_tensor *array) {
    int64_t count = 1;
    for (int i = 0; i < array->rank; i++) count *= array->shape[i];
    return count;
}

// ---- given as text

// A message about an input; false.
static bool refuse(const gradc_tensor_info *input, const char *format, const char *detail) {
    fprintf(stderr, "gradc: --input=%s: ", input->name);
    fprintf(stderr, format, detail);
    fputc('\n', stderr);
    return false;
}

// Puts a number into the array; false if its dtype has none such.
static bool put_number(gradc_tensor *array, int64_t index, const json_t *value) {
    double real = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    switch (array->dtype) {
    case GRADC_F32: ((float *)array->data)[index] = (float)real; return isfinite((float)real);
    case GRADC_F64: ((double *)array->data)[index] = real; return true;
    case GRADC_I64: ((int64_t *)array->data)[index] = json_integer_value(value); return json_is_integer(value);
    case GRADC_I32:
        ((int32_t *)array->data)[index] = (int32_t)json_integer_value(value);
        return json_is_integer(value) && json_integer_value(value) == (int32_t)json_integer_value(value);
    case GRADC_BOOL: ((uint8_t *)array->data)[index] = real != 0; return real == 0 || real == 1;
    }
    return false;
}

// Says which number the input's dtype does not have, and why; false.
static bool refuse_number(const gradc_tensor_info *input, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    bool whole = input->dtype == GRADC_I32 || input->dtype == GRADC_I64;
    const char *what = input->dtype == GRADC_BOOL        ? "neither 0 nor 1"
                       : whole && json_is_real(value)    ? "not a whole number"
                       : whole && json_is_boolean(value) ? "not a number"
                                                         : "too large";
    fprintf(stderr, "gradc: --input=%s: %s is %s: %s is %s\n", input->name, text ? text : "this", what, input->name,
            input->type);
    free(text);
    return false;
}

// Walks nested lists: their shape from the first of each, then every number. `at` counts the elements.
static bool take_list(const gradc_tensor_info *input, const json_t *value, int depth, gradc_tensor *array,
                      int64_t *at) {
    if (!json_is_array(value)) {
        if (depth != array->rank || !(json_is_number(value) || json_is_boolean(value)))
            return refuse(input, "the lists are not all alike, or hold what is no number%s", "");
        if (!put_number(array, (*at)++, value)) return refuse_number(input, value);
        return true;
    }
    if (depth == array->rank || (int64_t)json_array_size(value) != array->shape[depth])
        return refuse(input, "the lists are not all alike%s", "");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!take_list(input, json_array_get(value, i), depth + 1, array, at)) return false;
    return true;
}

// Numbers without lists, or in one: as the input's shape says, of which one size may be open.
static bool fit_shape(const gradc_tensor_info *input, gradc_tensor *array) {
    int64_t count = value_count(array), known = 1;
    int open = -1;
    for (int i = 0; i < input->rank; i++) {
        if (input->shape[i] < 0 && open >= 0)
            return refuse(input, "%s needs nested lists: [[1, 2], [3, 4]]", input->type);
        if (input->shape[i] < 0) open = i;
        else known *= input->shape[i];
        array->shape[i] = input->shape[i];
    }
    array->rank = input->rank;
    if (open >= 0 ? known < 1 || count % known != 0 : count != known) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)count);
        fprintf(stderr, "gradc: --input=%s: %s is not made of %s numbers\n", input->name, input->type, text);
        return false;
    }
    if (open >= 0) array->shape[open] = count / known;
    return true;
}

static bool take_json(const gradc_tensor_info *input, const json_t *value, gradc_tensor *array) {
    *array = (gradc_tensor){.dtype = input->dtype};
    for (const json_t *list = value; json_is_array(list); list = json_array_get(list, 0)) {
        if (array->rank == GRADC_MAX_RANK) return refuse(input, "the lists are nested too deeply%s", "");
        array->shape[array->rank++] = (int64_t)json_array_size(list);
    }
    int64_t at = 0;
    array->data = checked(calloc((size_t)value_count(array) + 1, gradc_dtype_size(array->dtype)));
    if (take_list(input, value, 0, array, &at) &&
        (array->rank == input->rank || array->rank > 1 || fit_shape(input, array)))
        return true;
    gradc_array_free(array);
    return false;
}

static bool parse_text(const gradc_tensor_info *input, const char *text, gradc_tensor *array) {
    json_error_t error;
    char *list = NULL;
    if (strchr(text, ',') && text[strspn(text, " ")] != '[') {   // 1,2,3
        size_t size = strlen(text) + 3;
        list = checked(malloc(size));
        snprintf(list, size, "[%s]", text);
    }
    json_t *value = json_loads(list ? list : text, JSON_DECODE_ANY, &error);
    free(list);
    if (!value)
        return refuse(input,
                      "'%s' is neither a number, nor lists as in [[1, 2], [3, 4]], nor a file named .npy, .npz or .csv",
                      text);
    bool fine = take_json(input, value, array);
    json_decref(value);
    return fine;
}

// ---- given as a file

// A table of one row or one column for an input of rank 1, of one number for rank 0.
static void drop_axes(const gradc_tensor_info *input, gradc_tensor *array) {
    while (array->rank > input->rank && array->rank > 0) {
        int axis = array->rank - 1;
        while (axis >= 0 && array->shape[axis] != 1) axis--;
        if (axis < 0) return;
        for (int i = axis; i + 1 < array->rank; i++) array->shape[i] = array->shape[i + 1];
        array->rank--;
    }
}

bool value_parse(gradc_program *program, const gradc_tensor_info *input, const char *text, gradc_tensor *array) {
    const char *colon = strstr(text, ".npz:");
    bool table = has_suffix(text, ".csv");
    if (!table && !colon && !has_suffix(text, ".npy") && !has_suffix(text, ".npz"))
        return parse_text(input, text, array);
    char *path = checked(strndup(text, colon ? (size_t)(colon - text) + 4 : strlen(text)));
    gradc_status status = gradc_array_read(program, path, colon ? colon + 5 : NULL, input->dtype, array);
    free(path);
    if (status) return refuse(input, "%s", gradc_message(program));
    if (table) drop_axes(input, array);
    return true;
}

// ---- shown

static void shortest(FILE *stream, double value, bool single) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) break;
        if (isnan(value)) break;
    }
    fputs(text, stream);
}

void value_print(FILE *stream, const gradc_tensor *array, int64_t index) {
    switch (array->dtype) {
    case GRADC_F32:
    case GRADC_F64: shortest(stream, value_at(array, index), array->dtype == GRADC_F32); break;
    case GRADC_I32: fprintf(stream, "%d", ((const int32_t *)array->data)[index]); break;
    case GRADC_I64: fprintf(stream, "%lld", (long long)((const int64_t *)array->data)[index]); break;
    case GRADC_BOOL: fputs(((const uint8_t *)array->data)[index] ? "true" : "false", stream); break;
    }
}

static void print_axis(FILE *stream, const gradc_tensor *array, int axis, int64_t *at) {
    if (axis == array->rank) {
        value_print(stream, array, (*at)++);
        return;
    }
    bool last = axis == array->rank - 1;
    fputc('[', stream);
    for (int64_t i = 0; i < array->shape[axis]; i++) {
        if (i) fputs(last ? ", " : ",\n", stream);
        for (int k = 0; i && !last && k <= axis; k++) fputc(' ', stream);
        print_axis(stream, array, axis + 1, at);
    }
    fputc(']', stream);
}

void value_print_all(FILE *stream, const gradc_tensor *array) {
    int64_t at = 0;
    print_axis(stream, array, 0, &at);
    fputc('\n', stream);
}

static json_t *axis_json(const gradc_tensor *array, int axis, int64_t *at) {
    if (axis == array->rank) {
        int64_t index = (*at)++;
        if (array->dtype == GRADC_BOOL) return json_truth(value_at(array, index) != 0);
        if (array->dtype == GRADC_I64) return json_whole(((const int64_t *)array->data)[index]);
        if (array->dtype == GRADC_I32) return json_whole(((const int32_t *)array->data)[index]);
        return json_number(value_at(array, index));
    }
    json_t *list = json_list();
    for (int64_t i = 0; i < array->shape[axis]; i++) json_add(list, axis_json(array, axis + 1, at));
    return list;
}

json_t *value_json(const gradc_tensor *array) {
    int64_t at = 0;
    return axis_json(array, 0, &at);
}
