// Programs: compiling a text, and telling what is in it.
#include "runtime/internal.h"
#include "runtime/files/whole.h"
#include "support/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gradc_version(void) {
    return GRADC_VERSION;
}

// ---- creation

static gradc_program *create_empty(const gradc_options *options) {
    Allocator allocator = {0};
    if (options && options->allocate && options->release)
        allocator = (Allocator){options->allocate, options->release, options->allocate_context};
    gradc_program *program = memory_take(&allocator, 1, sizeof *program);
    if (!program) return NULL;
    program->allocator = allocator;
    program->parameters = program->gradients = program->states = program->returned = memory_of(program);
    program->evaluated = memory_of(program);
    program->message = program_allocate(program, 1, 1);
    if (program->message) return program;
    gradc_program_free(program);
    return NULL;
}

// The flat arrays have one dtype each: programs that mix them are refused here.
static gradc_status check_dtypes(gradc_program *program) {
    Program *elaborated = program->program;
    for (int i = 0; i < elaborated->parameters.count; i++) {
        const Parameter *parameter = elaborated->parameters.items[i];
        if (parameter->variable->dtype != elaborated->floating)
            return fail(program, GRADC_PROGRAM,
                        "parameter %s is %s: all parameters must have the program's `float`, %s", parameter->path,
                        dtype_name(parameter->variable->dtype), dtype_name(elaborated->floating));
    }
    for (int i = 1; i < elaborated->states.count; i++) {
        const State *state = elaborated->states.items[i], *first = elaborated->states.items[0];
        if (state->variable->dtype != first->variable->dtype)
            return fail(program, GRADC_PROGRAM, "state %s is %s and state %s is %s: all states must have one dtype",
                        state->path, dtype_name(state->variable->dtype), first->path,
                        dtype_name(first->variable->dtype));
    }
    return GRADC_OK;
}

static gradc_status create_train_states(gradc_program *program) {
    int count = program->program->trains.count;
    program->trains = program_allocate(program, (size_t)count, sizeof *program->trains);
    if (!program->trains) return fail_memory(program);
    for (int i = 0; i < count; i++) {
        const TrainBlock *block = program->program->trains.items[i];
        TrainState *train = &program->trains[i];
        train->hyperparameter_count = block->hyperparameters.count;
        train->hyperparameters = program_allocate(program, (size_t)train->hyperparameter_count + 1, sizeof(double));
        train->values = memory_of(program);
        size_t bytes = (size_t)block->state_count * parameter_size(program);
        if (!train->hyperparameters || !memory_reserve(&train->values, bytes)) return fail_memory(program);
        for (int k = 0; k < block->hyperparameters.count; k++)
            train->hyperparameters[k] = block->hyperparameters.items[k].constant;
    }
    return GRADC_OK;
}

static gradc_status create_arrays(gradc_program *program) {
    gradc_status status = check_dtypes(program);
    if (!status) status = find_facts(program);
    if (status) return status;
    size_t states = 0;
    for (int i = 0; i < program->program->states.count; i++) {
        const State *state = program->program->states.items[i];
        states += (size_t)state->count * (size_t)dtype_size(state->variable->dtype);
    }
    if (!memory_reserve(&program->parameters, parameter_size(program)) ||
        !memory_reserve(&program->gradients, parameter_size(program)) || !memory_reserve(&program->states, states))
        return fail_memory(program);
    return create_train_states(program);
}

// ReadSource: a file that the program imports.
static const char *read_import(Arena *arena, const char *path, size_t *length, const char **problem) {
    char *text = read_whole_file(path, length);
    if (!text && errno == ENOMEM) longjmp(*arena_recover(arena), 1);
    if (!text) {
        *problem = strerror(errno);
        return NULL;
    }
    // When memory runs out the text goes before the compiler recovers.
    jmp_buf outer;
    memcpy(&outer, arena_recover(arena), sizeof outer);
    bool exhausted = setjmp(*arena_recover(arena)) != 0;
    const char *copy = exhausted ? NULL : arena_copy_text(arena, text, *length);
    free(text);
    memcpy(arena_recover(arena), &outer, sizeof outer);
    if (exhausted) longjmp(*arena_recover(arena), 1);
    return copy;
}

static gradc_status open_cache(gradc_program *program, const gradc_options *options, CompileOptions *chosen) {
    if (options->cache_bytes < 0) return fail(program, GRADC_ARGUMENT, "cache_bytes is less than 0");
    program->cache = program_allocate(program, 1, sizeof *program->cache);
    if (!program->cache) return fail_memory(program);
    program->cache->limit = options->cache_bytes ? options->cache_bytes : (int64_t)64 << 20;
    if (!cache_folder(options->cache_folder, program->cache->folder))
        return fail(program, GRADC_ARGUMENT, "the path of the cache's folder is too long");
    chosen->store = (ObjectStore){cache_find, cache_keep, program->cache};
    return GRADC_OK;
}

static gradc_status check_cpu(gradc_program *program, const char *cpu) {
    switch (jit_check_cpu(cpu)) {
    case CPU_UNKNOWN: return fail(program, GRADC_ARGUMENT, "cpu can be %s, not '%s'", jit_cpu_names(), cpu);
    case CPU_LACKING: return fail(program, GRADC_ARGUMENT, "this machine cannot run code for %s", cpu);
    default: return GRADC_OK;
    }
}

static gradc_status read_options(gradc_program *program, const gradc_options *options, CompileOptions *chosen) {
    *chosen = (CompileOptions){.floating = DTYPE_F32, .read = read_import, .allocator = program->allocator};
    chosen->threads = processor_count();
    if (!options) return GRADC_OK;
    if (options->floating != GRADC_F32 && options->floating != GRADC_F64)
        return fail(program, GRADC_ARGUMENT, "`float` can be f32 or f64, not %s", gradc_dtype_name(options->floating));
    int bytes = options->vector_bytes;
    if (bytes && bytes != 16 && bytes != 32 && bytes != 64)
        return fail(program, GRADC_ARGUMENT, "vectors can have 16, 32 or 64 bytes, not %d", bytes);
    gradc_status status = check_cpu(program, options->cpu);
    if (status) return status;
    if (!options->allocate != !options->release)
        return fail(program, GRADC_ARGUMENT, "allocate and release are given both or not at all");
    if (options->threads < 0 || options->threads > GRADC_MAX_THREADS)
        return fail(program, GRADC_ARGUMENT, "threads can be 0 to %d, not %d", GRADC_MAX_THREADS, options->threads);
    if (options->threads) chosen->threads = options->threads;
    chosen->floating = options->floating == GRADC_F64 ? DTYPE_F64 : DTYPE_F32;
    chosen->vector_bytes = bytes;
    chosen->cpu = options->cpu;
    chosen->verify = program->verify = options->verify;
    program->diagnose = options->diagnose;
    program->diagnose_context = options->diagnose_context;
    return options->cache ? open_cache(program, options, chosen) : GRADC_OK;
}

static gradc_status compile(gradc_program *program, const char *name, const char *text, size_t length,
                            const gradc_options *options) {
    CompileOptions chosen;
    gradc_status status = read_options(program, options, &chosen);
    if (status) return status;
    program->compilation = compilation_create(name, text, length, &chosen);
    if (!program->compilation) return fail_memory(program);
    program->program = compilation_program(program->compilation);
    if (!program->program) return fail_compiler(program);
    tell_diagnostics(program);
    status = create_arrays(program);
    if (status) program->program = NULL;
    return status;
}

gradc_status gradc_compile_text(const char *name, const char *text, size_t length, const gradc_options *options,
                                gradc_program **program) {
    *program = create_empty(options);
    return *program ? compile(*program, name, text, length, options) : GRADC_MEMORY;
}

gradc_status gradc_compile_file(const char *path, const gradc_options *options, gradc_program **program) {
    *program = create_empty(options);
    if (!*program) return GRADC_MEMORY;
    size_t length;
    char *text = read_whole_file(path, &length);
    if (!text) return fail(*program, GRADC_FILE, "cannot read '%s': %s", path, strerror(errno));
    gradc_status status = compile(*program, path, text, length, options);
    free(text);
    return status;
}

void gradc_program_free(gradc_program *program) {
    if (!program) return;
    // create_train_states may have stopped early, and a program with errors has no list: count what was made.
    Program *elaborated = program->compilation ? compilation_program(program->compilation) : NULL;
    for (int i = 0; elaborated && program->trains && i < elaborated->trains.count; i++) {
        memory_free(&program->trains[i].values);
        program_release(program, program->trains[i].hyperparameters);
    }
    program_release(program, program->trains);
    memory_free(&program->parameters);
    memory_free(&program->gradients);
    memory_free(&program->states);
    memory_free(&program->returned);
    team_free(program->team);
    memory_free(&program->evaluated);
    compilation_destroy(program->compilation);
    program_release(program, program->cache);
    program_release(program, program->message);
    Allocator allocator = program->allocator;
    memory_give(&allocator, program);
}

// ---- finding

const Entry *find_entry(const gradc_program *program, const char *name) {
    for (int i = 0; program->program && i < program->program->entries.count; i++)
        if (strcmp(program->program->entries.items[i]->name, name) == 0) return program->program->entries.items[i];
    return NULL;
}

gradc_status no_entry(gradc_program *program, const char *name) {
    const char *what = "the program has no loss, metric, net or fn";
    if (!name) return fail(program, GRADC_ARGUMENT, "%s that can be called", what);
    NameSearch search = search_for(name);
    for (int i = 0; i < program->program->entries.count; i++)
        consider_name(&search, program->program->entries.items[i]->name);
    if (search.best)
        return fail(program, GRADC_ARGUMENT, "%s '%s' that can be called; did you mean '%s'?", what, name, search.best);
    return fail(program, GRADC_ARGUMENT, "%s '%s' that can be called", what, name);
}

int find_train(const gradc_program *program, const char *loss) {
    for (int i = 0; program->program && i < program->program->trains.count; i++)
        if (strcmp(program->program->trains.items[i]->loss, loss) == 0) return i;
    return -1;
}

const double *entry_progress(gradc_program *program, const Entry *entry) {
    static const double none[2] = {0, 0};
    const Program *compiled = program->program;
    int train = 0;
    if (!compiled->trains.count) return none;
    for (int i = 0; i < compiled->trains.count; i++)
        if (compiled->trains.items[i]->entry == entry) train = i;
    program->trains[train].hyperparameters[0] = (double)program->trains[train].iteration;
    return program->trains[train].hyperparameters;
}

gradc_status check_progress(gradc_program *program, const Entry *entry) {
    if (!entry->reads_iterations || entry_progress(program, entry)[1] > 0) return GRADC_OK;
    return fail(program, GRADC_ORDER, "%s depends on how many iterations there will be: a trainer sets 'iterations'",
                entry->name);
}

// How well a name fits: "*.b:lr" is that of the optimizer for "*.b"; a plain "lr" that of the one for all parameters,
// else the first one's. 0: not at all.
static int name_rank(const Hyperparameter *hyperparameter, const char *name) {
    if (strcmp(hyperparameter->name, name) == 0) return hyperparameter->pattern_count ? 1 : 2;
    for (int i = 0; i < hyperparameter->pattern_count; i++) {
        size_t length = strlen(hyperparameter->patterns[i]);
        if (strncmp(name, hyperparameter->patterns[i], length) == 0 && name[length] == ':' &&
            strcmp(name + length + 1, hyperparameter->name) == 0)
            return 3;
    }
    return 0;
}

double *find_hyperparameter(gradc_program *program, int train, const char *name) {
    const TrainBlock *block = program->program->trains.items[train];
    int best = 0, best_rank = 0;
    for (int i = 1; i < block->hyperparameters.count; i++) {
        int rank = name_rank(&block->hyperparameters.items[i], name);
        if (rank > best_rank) best = i;
        if (rank > best_rank) best_rank = rank;
    }
    return best ? &program->trains[train].hyperparameters[best] : NULL;
}
