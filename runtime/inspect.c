// Looking inside: dumps of the stages, the derivative as a program, and what compiling took.
#include "runtime/internal.h"

// The entry of that name; NULL: the first loss, else the first entry.
static const Entry *choose_entry(const gradc_program *program, const char *name) {
    if (name) return find_entry(program, name);
    for (int i = 0; i < program->program->entries.count; i++)
        if (program->program->entries.items[i]->kind == ENTRY_LOSS) return program->program->entries.items[i];
    return program->program->entries.count ? program->program->entries.items[0] : NULL;
}

// The inputs that the program marks requires_grad and that output 0 depends on.
static uint64_t marked_inputs(const gradc_program *program, const Entry *entry) {
    uint64_t marked = 0;
    for (int i = 0; i < entry->function.argument_count && i < 64; i++)
        if (entry->function.arguments[i]->variable->requires_grad) marked |= (uint64_t)1 << i;
    return marked & facts_of(program, entry)->reached[false].inputs;
}

// What a derivative needs: one number, and something to differentiate it by.
static gradc_status check_gradient(gradc_program *program, const Entry *entry) {
    gradc_status status = check_differentiable(program, entry);
    if (status || facts_of(program, entry)->reached[false].parameters || marked_inputs(program, entry)) return status;
    return fail(program, GRADC_ARGUMENT,
                "the output of %s does not require grad: it depends on no parameter and on no input that is marked "
                "requires_grad; mark an input, as in `x: float requires_grad`",
                entry->name);
}

gradc_status choose_key(gradc_program *program, const char *name, gradc_kind kind, FunctionKey *key) {
    static const FunctionKind kinds[] = {[GRADC_KIND_VALUE] = KIND_VALUE,
                                         [GRADC_KIND_FORWARD] = KIND_FORWARD,
                                         [GRADC_KIND_BACKWARD] = KIND_BACKWARD,
                                         [GRADC_KIND_UPDATE] = KIND_UPDATE,
                                         [GRADC_KIND_STEP] = KIND_STEP};
    const Entry *entry = choose_entry(program, name);
    if (!entry) return no_entry(program, name);
    *key = (FunctionKey){.kind = kinds[kind], .entry = entry};
    if (kind == GRADC_KIND_FORWARD || kind == GRADC_KIND_BACKWARD) {
        key->tracked_inputs = marked_inputs(program, entry);
        return check_gradient(program, entry);
    }
    if (kind != GRADC_KIND_UPDATE && kind != GRADC_KIND_STEP) return GRADC_OK;
    int train = find_train(program, entry->name);
    if (train < 0)
        return fail(program, GRADC_ARGUMENT, "the program has no `train %s`, so no %s of it", entry->name,
                    kind == GRADC_KIND_STEP ? "step" : "update");
    *key = (FunctionKey){.kind = kinds[kind], .train = program->program->trains.items[train]};
    return GRADC_OK;
}

gradc_status gradc_dump(gradc_program *program, gradc_stage stage, const char *entry, gradc_kind kind,
                        const char **text) {
    static const Stage stages[] = {
        [GRADC_STAGE_AST] = STAGE_AST,     [GRADC_STAGE_GRAPH] = STAGE_GRAPH, [GRADC_STAGE_GRAD] = STAGE_GRAD,
        [GRADC_STAGE_BATCH] = STAGE_BATCH, [GRADC_STAGE_OPT] = STAGE_OPT,     [GRADC_STAGE_KERNELS] = STAGE_KERNELS,
        [GRADC_STAGE_PLAN] = STAGE_PLAN,   [GRADC_STAGE_LLVM] = STAGE_LLVM,   [GRADC_STAGE_ASM] = STAGE_ASM};
    if ((unsigned)stage > GRADC_STAGE_ASM || (unsigned)kind > GRADC_KIND_STEP)
        return fail(program, GRADC_ARGUMENT, "there is no such stage, or no such kind of function");
    bool usable = program->program || (stage == GRADC_STAGE_AST && program->compilation);
    if (!usable) return fail(program, GRADC_PROGRAM, "the program has errors");
    FunctionKey key = {0};
    gradc_status status = stage == GRADC_STAGE_AST ? GRADC_OK : choose_key(program, entry, kind, &key);
    if (status) return status;
    *text = compilation_dump(program->compilation, stages[stage], key);
    return *text ? GRADC_OK : fail_compiler(program);
}

gradc_status gradc_derivative(gradc_program *program, const char *name, const char **text) {
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    const Entry *entry = choose_entry(program, name);
    if (!entry) return no_entry(program, name);
    gradc_status status = check_gradient(program, entry);
    if (status) return status;
    *text = compilation_derivative(program->compilation, entry);
    return *text ? GRADC_OK : fail_compiler(program);
}

void gradc_get_timings(const gradc_program *program, gradc_timings *timings) {
    *timings = (gradc_timings){0};
    if (!program->compilation) return;
    Timings taken = compilation_timings(program->compilation);
    *timings = (gradc_timings){.parse = taken.parse_ms,
                               .elaborate = taken.elaborate_ms,
                               .differentiate = taken.differentiate_ms,
                               .simplify = taken.simplify_ms,
                               .kernels = taken.kernels_ms,
                               .emit = taken.emit_ms,
                               .machine_code = taken.machine_code_ms,
                               .functions = taken.functions,
                               .cached = taken.found};
}
