// Names of weights: what a file calls a weight and what the program calls it, and the whole list of what does not fit.
#include "runtime/weights.h"
#include "support/nearest.h"
#include "support/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- renaming

// One side of "layers.*.weight=mlp.*.W": what stands before its star and behind it.
typedef struct {
    const char *text;
    size_t before, behind;   // lengths
    bool star;
} Side;

static Side side_of(const char *text, size_t length) {
    const char *star = memchr(text, '*', length);
    size_t before = star ? (size_t)(star - text) : length;
    return (Side){text, before, star ? length - before - 1 : 0, star != NULL};
}

static void split(const char *pair, Side *file, Side *program) {
    const char *equal = strchr(pair, '=');
    *file = side_of(pair, (size_t)(equal - pair));
    *program = side_of(equal + 1, strlen(equal + 1));
}

// Whether the name fits the side; *middle is then what the star stands for.
static bool side_fits(Side side, const char *name, const char **middle, size_t *length) {
    size_t whole = strlen(name);
    if (side.star ? whole < side.before + side.behind : whole != side.before) return false;
    *middle = name + side.before;
    *length = whole - side.before - side.behind;
    return strncmp(name, side.text, side.before) == 0 &&
           strncmp(name + whole - side.behind, side.text + side.before + 1, side.behind) == 0;
}

static char *side_fill(Side side, const char *middle, size_t length) {
    char *name = malloc(side.before + length + side.behind + 1);
    if (!name) return NULL;
    memcpy(name, side.text, side.before);
    if (length) memcpy(name + side.before, middle, length);
    if (side.behind) memcpy(name + side.before + length, side.text + side.before + 1, side.behind);
    name[side.before + length + side.behind] = 0;
    return name;
}

// Replaces *name if `from` fits it. False: no memory.
static bool rename_once(Side from, Side to, char **name, bool *fitted) {
    const char *middle;
    size_t length;
    *fitted = side_fits(from, *name, &middle, &length);
    if (!*fitted) return true;
    char *renamed = side_fill(to, middle, from.star ? length : 0);
    free(*name);
    *name = renamed;
    return renamed != NULL;
}

static int list_length(const char *const *list) {
    int count = 0;
    while (list && list[count]) count++;
    return count;
}

// The program's name for an array, to be freed. used[i] is set if pair number i fits.
static char *program_name(const char *stored, const gradc_weight_options *options, bool *used) {
    char *name = strdup(stored);
    for (int i = 0; name && i < list_length(options->rename); i++) {
        Side file, program;
        bool fitted;
        split(options->rename[i], &file, &program);
        if (!rename_once(file, program, &name, &fitted)) return NULL;
        used[i] = used[i] || fitted;
    }
    return name;
}

char *weight_file_name(const char *path, const gradc_weight_options *options) {
    char *name = strdup(path);
    for (int i = list_length(options->rename) - 1; name && i >= 0; i--) {
        Side file, program;
        bool fitted;
        split(options->rename[i], &file, &program);
        if (!rename_once(program, file, &name, &fitted)) return NULL;
    }
    return name;
}

// ---- options

static bool any_takes(const char *const *patterns, const char *name) {
    for (int i = 0; patterns && patterns[i]; i++)
        if (pattern_takes(patterns[i], name)) return true;
    return false;
}

bool weight_is_ignored(const char *name, const gradc_weight_options *options) {
    return any_takes(options->ignore, name);
}

bool weight_is_transposed(const Weight *weight, const gradc_weight_options *options) {
    return weight->node->rank == 2 && any_takes(options->transpose, weight->path);
}

static int count_stars(const char *text, size_t length) {
    int count = 0;
    for (size_t i = 0; i < length; i++) count += text[i] == '*';
    return count;
}

static gradc_status refuse_transpose(const Weights *list, const char *pattern) {
    NameSearch search = search_for(pattern);
    for (int i = 0; i < list->count; i++)
        if (list->weights[i].node->rank == 2) consider_name(&search, list->weights[i].path);
    const char *near = search.best;
    return fail(list->program, GRADC_ARGUMENT,
                "no matrix of the program is called '%s', which is to be transposed%s%s%s", pattern,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

gradc_status weight_options_check(const Weights *list, const gradc_weight_options *options) {
    for (int i = 0; options->rename && options->rename[i]; i++) {
        const char *pair = options->rename[i], *equal = strchr(pair, '=');
        int before = equal ? count_stars(pair, (size_t)(equal - pair)) : 0;
        if (!equal || equal == pair || !equal[1] || strchr(equal + 1, '=') || before > 1 ||
            count_stars(equal + 1, strlen(equal + 1)) != before)
            return fail(list->program, GRADC_ARGUMENT,
                        "'%s' renames nothing: write the file's name, '=', and the program's name, both or none with "
                        "one '*', such as 'layers.0.weight=mlp.hidden.W'",
                        pair);
    }
    for (int i = 0; options->transpose && options->transpose[i]; i++) {
        bool fits = false;
        for (int k = 0; k < list->count && !fits; k++)
            fits = list->weights[k].node->rank == 2 && pattern_takes(options->transpose[i], list->weights[k].path);
        if (!fits) return refuse_transpose(list, options->transpose[i]);
    }
    return GRADC_OK;
}

// ---- matching

// One array of the file, by the name that the program has for it.
typedef struct {
    const StoredArray *array;
    char *name;     // to be freed
    bool ignored;   // by the options, or because a weight has taken it
} Candidate;

typedef struct {
    const Weights *list;
    const gradc_weight_options *options;
    int count;
    Candidate *candidates;
    size_t root;      // of the paths that files may lack
    FILE *problems;   // a line for each
    int problem_count;
} Matching;

typedef struct {
    char text[SHAPE_TEXT];
} Shape;

static Shape shape_of(const StoredArray *array) {
    Shape shape;
    size_t length = (size_t)snprintf(shape.text, sizeof shape.text, "%s", element_name(array->type));
    for (int i = 0; i < array->rank; i++)
        length += (size_t)snprintf(shape.text + length, sizeof shape.text - length, "%s%lld", i ? ", " : "[",
                                   (long long)array->shape[i]);
    if (array->rank) snprintf(shape.text + length, sizeof shape.text - length, "]");
    return shape;
}

static bool same_sizes(const StoredArray *x, const StoredArray *y) {
    bool same = x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++) same = x->shape[i] == y->shape[i];
    return same;
}

// The same elements with the two axes exchanged: nothing is moved, only read in another order.
static StoredArray transposed(const StoredArray *array) {
    StoredArray result = *array;
    result.shape[0] = array->shape[1];
    result.shape[1] = array->shape[0];
    result.first_fastest = !array->first_fastest;
    return result;
}

// The length of the root that all paths share, with its point: 4 for "mlp.W", "mlp.b"; 0: there is none.
static size_t shared_root(const Weights *list) {
    const char *point = list->count ? strchr(list->weights[0].path, '.') : NULL;
    size_t length = point ? (size_t)(point - list->weights[0].path) + 1 : 0;
    for (int i = 1; i < list->count; i++)
        if (strncmp(list->weights[i].path, list->weights[0].path, length) != 0) return 0;
    return length;
}

static Candidate *find_name(const Matching *matching, const char *name) {
    for (int i = 0; i < matching->count; i++)
        if (!matching->candidates[i].ignored && strcmp(matching->candidates[i].name, name) == 0)
            return &matching->candidates[i];
    return NULL;
}

static bool is_float(ElementType type) {
    return type == ELEMENT_F16 || type == ELEMENT_BF16 || type == ELEMENT_F32 || type == ELEMENT_F64;
}

static void match_weight(Matching *matching, const Weight *weight, StoredArray *found) {
    StoredArray wanted = weight_array(weight);
    Candidate *candidate = find_name(matching, weight->path);
    if (!candidate) candidate = find_name(matching, weight->path + matching->root);
    if (!candidate) {
        found->name = NULL;
        return;
    }
    candidate->ignored = true;
    bool turned = weight_is_transposed(weight, matching->options) && candidate->array->rank == 2;
    *found = turned ? transposed(candidate->array) : *candidate->array;
    found->name = weight->path;
    bool converts = found->type == wanted.type || (is_float(found->type) && is_float(wanted.type));
    if (converts && same_sizes(found, &wanted)) return;
    StoredArray other = wanted.rank == 2 && found->rank == 2 ? transposed(found) : *found;
    bool would_fit = converts && same_sizes(&other, &wanted);
    fprintf(matching->problems, "\n    %s is %s there%s, but %s in the program", weight->path, shape_of(found).text,
            turned ? " when transposed" : "", shape_of(&wanted).text);
    if (would_fit && turned) fprintf(matching->problems, ": it is not to be transposed");
    else if (would_fit) fprintf(matching->problems, ": did you mean --transpose '%s'?", weight->path);
    matching->problem_count++;
}

// An array that no weight has taken and that could be this one.
static const Candidate *similar(const Matching *matching, const StoredArray *wanted) {
    for (int i = 0; i < matching->count; i++) {
        const Candidate *candidate = &matching->candidates[i];
        if (candidate->ignored || candidate->array->rank != wanted->rank) continue;
        StoredArray other = wanted->rank == 2 ? transposed(candidate->array) : *candidate->array;
        if (same_sizes(candidate->array, wanted) || same_sizes(&other, wanted)) return candidate;
    }
    return NULL;
}

static void tell_names(Matching *matching, const StoredArray *found) {
    const char *from = NULL, *to = NULL;
    for (int i = 0; i < matching->list->count; i++) {
        if (found[i].name) continue;
        StoredArray wanted = weight_array(&matching->list->weights[i]);
        const Candidate *candidate = similar(matching, &wanted);
        if (candidate && !from) from = candidate->array->name, to = wanted.name;
        fprintf(matching->problems, "\n    it has no %s, %s, which the program needs", wanted.name,
                shape_of(&wanted).text);
        matching->problem_count++;
    }
    for (int i = 0; i < matching->count; i++) {
        const Candidate *candidate = &matching->candidates[i];
        if (candidate->ignored) continue;
        bool renamed = strcmp(candidate->name, candidate->array->name) != 0;
        fprintf(matching->problems, "\n    it has %s%s%s%s, %s, which the program does not know", candidate->name,
                renamed ? " (renamed from " : "", renamed ? candidate->array->name : "", renamed ? ")" : "",
                shape_of(candidate->array).text);
        matching->problem_count++;
    }
    if (from) fprintf(matching->problems, "\n    other names are matched by --rename, such as '%s=%s'", from, to);
}

// ---- the whole

static gradc_status name_candidates(Matching *matching, const StoredArray *arrays, int count, bool *used) {
    for (int i = 0; i < count; i++) {
        Candidate *candidate = &matching->candidates[matching->count++];
        candidate->array = &arrays[i];
        candidate->name = program_name(arrays[i].name, matching->options, used);
        if (!candidate->name) return fail_memory(matching->list->program);
        candidate->ignored = weight_is_ignored(arrays[i].name, matching->options);
        for (int k = 0; k < i; k++)
            if (strcmp(matching->candidates[k].name, candidate->name) == 0)
                return fail(matching->list->program, GRADC_ARGUMENT,
                            "'%s': %s and %s are both %s when they are renamed", matching->list->path, arrays[k].name,
                            arrays[i].name, candidate->name);
    }
    for (int i = 0; i < list_length(matching->options->rename); i++)
        if (!used[i])
            return fail(matching->list->program, GRADC_ARGUMENT, "'%s' has no name for the rename '%s'",
                        matching->list->path, matching->options->rename[i]);
    return GRADC_OK;
}

static gradc_status match_all(Matching *matching, StoredArray *found) {
    gradc_program *program = matching->list->program;
    char *text = NULL;
    size_t size;
    matching->problems = open_memstream(&text, &size);
    if (!matching->problems) return fail_memory(program);
    for (int i = 0; i < matching->list->count; i++) match_weight(matching, &matching->list->weights[i], &found[i]);
    tell_names(matching, found);
    bool written = !ferror(matching->problems);
    if (fclose(matching->problems) != 0 || !written || !text) {
        free(text);
        return fail_memory(program);
    }
    gradc_status status = GRADC_OK;
    if (matching->problem_count)
        status = fail(program, GRADC_DATA, "'%s' does not fit the program:%s", matching->list->path,
                      matching->problem_count == 1 && !strchr(text + 1, '\n') ? text + 4 : text);
    free(text);
    return status;
}

gradc_status weights_match(const Weights *list, const StoredArray *arrays, int count,
                           const gradc_weight_options *options, StoredArray *found) {
    Matching matching = {.list = list, .options = options, .root = shared_root(list)};
    matching.candidates = program_allocate(list->program, (size_t)count + 1, sizeof *matching.candidates);
    bool *used = program_allocate(list->program, (size_t)list_length(options->rename) + 1, sizeof *used);
    gradc_status status = matching.candidates && used ? GRADC_OK : fail_memory(list->program);
    if (!status) status = name_candidates(&matching, arrays, count, used);
    if (!status) status = match_all(&matching, found);
    for (int i = 0; i < matching.count; i++) free(matching.candidates[i].name);
    program_release(list->program, matching.candidates);
    program_release(list->program, used);
    return status;
}
