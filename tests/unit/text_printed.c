// Programs and derivatives printed back as programs.
#include "simplify/simplify.h"
#include "text_subject.h"

#include <string.h>

static Compilation *compile_again(const char *text, const CompileOptions *options, Verdict *verdict, const char *what) {
    Compilation *compilation = compilation_create("printed.grad", text, strlen(text), options);
    if (compilation->program) return compilation;
    verdict_set(verdict, FAULT_PRINTED, "%s, printed back, is refused: %s", what,
                compilation_messages(compilation, false));
    compilation_destroy(compilation);
    return NULL;
}

// The graphs without the places in the text that they are from.
static void cut_places(char *text) {
    char *to = text;
    for (const char *from = text; *from;) {
        if (strncmp(from, "   # ", 5) == 0) from += strcspn(from, "\n");
        else *to++ = *from++;
    }
    *to = 0;
}

static const char *entries_text(Compilation *compilation) {
    Text text = {.arena = compilation->arena};
    text_add(&text, "%s", "");
    for (int i = 0; i < compilation->program->entries.count; i++)
        print_function(&text, &compilation->program->entries.items[i]->function);
    cut_places(text.bytes);
    return text.bytes;
}

// The tree printed as a program has the same graphs, and is printed the same way once more.
void check_tree(Compilation *compilation, Verdict *verdict) {
    Text text = {.arena = compilation->arena}, again = {.arena = compilation->arena};
    print_file(&text, compilation->file);
    Compilation *printed = compile_again(text.bytes, &compilation->options, verdict, "the program");
    if (!printed) return;
    print_file(&again, printed->file);
    if (strcmp(text.bytes, again.bytes) != 0)
        verdict_set(verdict, FAULT_PRINTED, "the program is printed another way the second time");
    if (strcmp(entries_text(compilation), entries_text(printed)) != 0)
        verdict_set(verdict, FAULT_PRINTED, "the program printed back has other graphs");
    compilation_destroy(printed);
}

// What the derivative reads: the entry's inputs, then parameters and states.
static Tensor *values_read(const Subject *subject, const Function *function, int *count) {
    Compilation *compilation = subject->compilation;
    NodeArray nodes =
        reachable(compilation->program->graph, result_nodes(compilation->arena, function), function->result_count);
    Tensor *values = arena_array(compilation->arena, Tensor, function->argument_count + subject->binding_count + 1);
    for (*count = 0; *count < function->argument_count; ++*count) values[*count] = subject->arguments[*count];
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < subject->binding_count; k++)
            if (subject->bindings[k].variable == nodes.items[i]) values[(*count)++] = subject->bindings[k].value;
    return values;
}

// Open dims are numbered anew when read: the sizes by their order there.
static int64_t *dims_of(const Subject *subject, const Program *printed) {
    const Program *program = subject->compilation->program;
    int64_t *dims = arena_array(subject->compilation->arena, int64_t, printed->dims.count + 1);
    for (int i = 0; i < printed->dims.count; i++)
        for (int k = 0; k < program->dims.count; k++)
            if (strcmp(printed->dims.items[i], program->dims.items[k]) == 0) dims[i] = subject->dims[k];
    return dims;
}

static void compare_printed(Subject *subject, const Function *function, Compilation *printed) {
    Verdict *verdict = subject->verdict;
    const char *name = subject->entry->name;
    const Function *read = &printed->program->entries.items[0]->function;
    int count;
    const Tensor *arguments = values_read(subject, function, &count);
    if (read->argument_count != count || read->result_count != function->result_count) {
        verdict_set(verdict, FAULT_PRINTED, "%s: the printed derivative has other arguments or results", name);
        return;
    }
    Tensor *old = subject_evaluate(subject, function, subject->arguments);
    int64_t *dims = subject->dims;
    subject->dims = dims_of(subject, printed->program);
    Tensor *new = old ? subject_evaluate(subject, read, arguments) : NULL;
    subject->dims = dims;
    for (int i = 0; new && i < function->result_count; i++)
        if (new[i].dtype != old[i].dtype || element_total(&new[i]) != element_total(&old[i]) ||
            !same_bits(&old[i], new[i].data))
            verdict_set(verdict, FAULT_PRINTED, "%s: the printed derivative's result %d has other bits", name, i);
    verdict->counts[COUNT_PRINTED]++;
}

// As compilation_derivative comes to it: what is printed, before sums are ordered and fma is placed.
void check_derivative(Subject *subject) {
    Compilation *compilation = subject->compilation;
    FunctionKey key = {.kind = KIND_BACKWARD, .entry = subject->entry, .tracked_inputs = subject->tracked};
    Joint joint = joint_of(compilation, key);
    Function function = joint.function;
    function.results += joint.forward_count;
    function.result_count = joint.targets.count;
    const char *text = compilation_derivative(compilation, subject->entry);
    if (!text || !run_passes(compilation, &function, STAGE_BATCH)) {
        verdict_set(subject->verdict, FAULT_PRINTED, "%s: %s", subject->entry->name,
                    compilation_messages(compilation, false));
        return;
    }
    simplify(compilation->program->graph, &function);
    Compilation *printed = compile_again(text, &compilation->options, subject->verdict, "the derivative");
    if (!printed) return;
    compare_printed(subject, &function, printed);
    compilation_destroy(printed);
}
