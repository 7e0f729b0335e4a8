// The course of the checks of one text, and what is compared by the evaluator alone.
#include "differentiate/differentiate.h"
#include "text_subject.h"

#include <math.h>
#include <string.h>

// ---- tensors

int64_t element_total(const Tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

double real_at(const Tensor *tensor, int64_t index) {
    switch (tensor->dtype) {
    case DTYPE_F32: return (double)((const float *)tensor->data)[index];
    case DTYPE_F64: return ((const double *)tensor->data)[index];
    case DTYPE_I32: return ((const int32_t *)tensor->data)[index];
    case DTYPE_I64: return (double)((const int64_t *)tensor->data)[index];
    default: return ((const uint8_t *)tensor->data)[index];
    }
}

bool same_bits(const Tensor *a, const void *data) {
    Tensor b = *a;
    b.data = (void *)data;
    size_t size = (size_t)dtype_size(a->dtype);
    for (int64_t i = 0; i < element_total(a); i++) {
        if (dtype_is_float(a->dtype) && isnan(real_at(a, i)) && isnan(real_at(&b, i))) continue;
        if (memcmp((const char *)a->data + (size_t)i * size, (const char *)data + (size_t)i * size, size) != 0)
            return false;
    }
    return true;
}

bool all_finite(const Tensor *tensors, int count) {
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; dtype_is_float(tensors[i].dtype) && k < element_total(&tensors[i]); k++)
            if (!isfinite(real_at(&tensors[i], k))) return false;
    return true;
}

Tensor *subject_evaluate(Subject *subject, const Function *function, const Tensor *arguments) {
    Arena *arena = subject->compilation->arena;
    Tensor *results = arena_array(arena, Tensor, function->result_count + 1);
    subject->environment = (Environment){.dims = subject->dims, .seed = 42, .draw_count = 7};
    subject->environment.bindings = subject->bindings;
    subject->environment.binding_count = subject->binding_count;
    const char *fault = evaluate_function(arena, function, arguments, &subject->environment, results);
    if (fault) verdict_set(subject->verdict, FAULT_INTERNAL, "%s: the evaluator: %s", subject->entry->name, fault);
    return fault ? NULL : results;
}

// ---- the graph as it is, against the graph after the passes

static bool near(const Tensor *a, const Tensor *b, int64_t *where) {
    double scale = 1;
    for (int64_t i = 0; i < element_total(a); i++) scale = fmax(scale, fabs(real_at(a, i)));
    for (*where = 0; *where < element_total(a); ++*where)
        if (fabs(real_at(a, *where) - real_at(b, *where)) > 1e-7 * scale) return false;
    return true;
}

// Differentiated, but neither simplified nor batched.
static void compare_plain(Subject *subject) {
    Function plain = subject->joint.function;
    Diagnostics *diagnostics = diagnostics_create(subject->compilation->arena, 0);
    if (!differentiate(subject->compilation->program->graph, diagnostics, &plain)) {
        verdict_set(subject->verdict, FAULT_REFUSED, "%s: without simplifying: %s", subject->entry->name,
                    diagnostics_text(diagnostics, false));
        return;
    }
    Tensor *values = subject_evaluate(subject, &plain, subject->arguments);
    if (!values || !all_finite(values, plain.result_count)) return;
    for (int i = 0; i < plain.result_count; i++) {
        int64_t where;
        if (near(&subject->expected[i], &values[i], &where)) continue;
        verdict_set(subject->verdict, FAULT_REWRITE,
                    "%s: result %d (%s), element %lld: %.12g, but %.12g when simplified", subject->entry->name, i,
                    plain.results[i].name ? plain.results[i].name : "", (long long)where, real_at(&values[i], where),
                    real_at(&subject->expected[i], where));
        return;
    }
}

// ---- one entry

static uint64_t marked_inputs(const Subject *subject) {
    uint64_t marked = 0;
    const Function *function = &subject->entry->function;
    NodeArray nodes = reachable(subject->compilation->program->graph, &function->results[0].node, 1);
    for (int i = 0; i < function->argument_count && i < 64; i++)
        for (int k = 0; k < nodes.count; k++)
            if (nodes.items[k] == function->arguments[i] && nodes.items[k]->variable->requires_grad)
                marked |= (uint64_t)1 << i;
    return marked;
}

static bool make_joint(Subject *subject) {
    const Entry *entry = subject->entry;
    const Node *first = entry->function.results[0].node;
    FunctionKey key = {.kind = KIND_VALUE, .entry = entry, .training = subject->training};
    if (!first->rank && dtype_is_float(first->dtype)) {
        key.kind = KIND_BACKWARD;
        key.tracked_inputs = subject->tracked = marked_inputs(subject);
    }
    subject->joint = joint_of(subject->compilation, key);
    if (key.kind == KIND_BACKWARD && !subject->joint.targets.count) {
        key.kind = KIND_VALUE;
        subject->joint = joint_of(subject->compilation, key);
    }
    subject->function = subject->joint.function;
    if (run_passes(subject->compilation, &subject->function, STAGE_OPT)) return true;
    verdict_set(subject->verdict, FAULT_INTERNAL, "%s: %s", entry->name,
                compilation_messages(subject->compilation, false));
    return false;
}

static bool evaluate_entry(Subject *subject) {
    subject->expected = subject_evaluate(subject, &subject->function, subject->arguments);
    return subject->expected != NULL;
}

// What rounds differently may fall on the other side of a step: what is wrong stays wrong for other values.
static void compare_numbers(Subject *subject) {
    enum { ATTEMPTS = 3 };
    Verdict *verdict = subject->verdict, first = {0};
    for (subject->attempt = 0; subject->attempt < ATTEMPTS; subject->attempt++) {
        if (subject->attempt && !(subject_draw(subject) && evaluate_entry(subject))) break;
        if (!all_finite(subject->expected, subject->function.result_count)) {
            if (!subject->attempt) verdict->counts[COUNT_NOT_FINITE]++;
            break;
        }
        compare_plain(subject);
        if (!verdict->kind) check_slopes(subject);
        if (!verdict->kind) break;
        if (!subject->attempt) first = *verdict;
        verdict->kind = FAULT_NONE;
        if (subject->attempt == ATTEMPTS - 1) *verdict = first;
    }
}

static void check_entry(Subject *subject) {
    Verdict *verdict = subject->verdict;
    verdict->counts[COUNT_ENTRIES]++;
    if (!subject_draw(subject)) {
        verdict->counts[COUNT_REFUSED_DIMS]++;
        return;
    }
    if (verdict->kind || !make_joint(subject) || !evaluate_entry(subject)) return;
    if (subject->check->compiles) check_machine_code(subject);
    if (verdict->kind || subject->compilation->options.floating != DTYPE_F64) return;
    if (subject->joint.targets.count && !subject->training) check_derivative(subject);
    if (!verdict->kind) compare_numbers(subject);
}

static bool modes_differ(const Entry *entry) {
    if (entry->updates.count) return true;
    for (int i = 0; i < entry->function.result_count; i++)
        if (entry->function.results[i].node != entry->training.results[i].node) return true;
    return false;
}

// ---- a text

static Compilation *compile_text(const TextCheck *check, Dtype floating, int width, Verdict *verdict) {
    static const int widths[] = {16, 32, 64};
    int vector_bytes = widths[(check->seed + (uint64_t)width) % 3];
    CompileOptions options = {.floating = floating, .vector_bytes = vector_bytes, .verify = true};
    Compilation *compilation = compilation_create("random.grad", check->text, strlen(check->text), &options);
    if (compilation->program) return compilation;
    const char *messages = compilation_messages(compilation, false);
    if (strstr(messages, "[not_supported_yet]")) verdict->counts[COUNT_UNSUPPORTED]++;
    else verdict_set(verdict, FAULT_REFUSED, "%s", messages);
    compilation_destroy(compilation);
    return NULL;
}

static void check_entries(Compilation *compilation, const TextCheck *check, Verdict *verdict) {
    const Program *program = compilation->program;
    for (int i = 0; i < program->entries.count && !verdict->kind; i++) {
        const Entry *entry = program->entries.items[i];
        Subject subject = {.compilation = compilation, .check = check, .verdict = verdict, .entry = entry};
        check_entry(&subject);
        if (verdict->kind || !modes_differ(entry)) continue;
        subject = (Subject){.compilation = compilation, .check = check, .verdict = verdict, .entry = entry};
        subject.training = true;
        check_entry(&subject);
    }
}

static void check_steps(Compilation *compilation, const TextCheck *check, Verdict *verdict) {
    const Program *program = compilation->program;
    for (int i = 0; i < program->trains.count && !verdict->kind; i++) {
        const TrainBlock *train = program->trains.items[i];
        Subject subject = {.compilation = compilation, .check = check, .verdict = verdict, .entry = train->entry};
        if (subject_draw(&subject) && !verdict->kind) check_step(&subject, train, program->floating);
    }
}

void text_check(void *context, Verdict *verdict) {
    const TextCheck *check = context;
    static const Dtype floating[] = {DTYPE_F64, DTYPE_F32};
    for (int i = 0; i < 2 && !verdict->kind; i++) {
        Compilation *compilation = compile_text(check, floating[i], i, verdict);
        if (!compilation) return;
        if (i == 0) check_tree(compilation, verdict);
        if (!verdict->kind) check_entries(compilation, check, verdict);
        bool steps = check->compiles && (int)(check->seed / 3 % 2) == i;
        if (!verdict->kind && steps) check_steps(compilation, check, verdict);
        compilation_destroy(compilation);
    }
}
