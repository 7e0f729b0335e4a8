// What the kernels of a function cost, and how long each of them takes.
//
// To be measured a function is compiled once more, with a call behind each kernel that reads the clock. What that call
// takes is taken off. The function runs on arrays of its own: nothing of the program changes.
#include "runtime/call.h"

#include <string.h>

enum { TRIES = 200, LEAST_TRIES = 5 };
static const double most_seconds = 1;
enum { COPY_BYTES = 64 << 20, COPY_LEAST = 4096 };

typedef struct {
    gradc_program *program;
    const gradc_explain_options *options;
    FunctionKey key;
    const Entry *entry;
    int64_t *dims;   // of the program
    const Explanation *facts;
    gradc_kernel_info *kernels;
    gradc_dim_value *named;   // the dims that the entry reads
    int named_count;
    int64_t arrays;
    Team *team;   // that runs it; NULL: one worker
    double seconds, peak, bandwidth;
} Explain;

// What an explanation is made of lives as long as the program: it is small, and asked for by people.
static void *keep(Explain *explain, size_t count, size_t size) {
    return compilation_allocate(explain->program->compilation, count * size);
}

// ---- dims

static int find_dim(const Program *program, const char *name) {
    for (int i = 0; i < program->dims.count; i++)
        if (strcmp(program->dims.items[i], name) == 0) return i;
    return -1;
}

static int64_t default_dim(const Explain *explain) {
    const Program *program = explain->program->program;
    for (int i = 0; i < program->trains.count; i++)
        if (program->trains.items[i]->entry == explain->entry) return program->trains.items[i]->batch;
    return program->trains.count ? program->trains.items[0]->batch : -1;
}

static gradc_status choose_dims(Explain *explain) {
    gradc_program *program = explain->program;
    int count = program->program->dims.count;
    const bool *used = facts_of(program, explain->entry)->used_dims;
    explain->dims = keep(explain, (size_t)count + 1, sizeof *explain->dims);
    explain->named = keep(explain, (size_t)count + 1, sizeof *explain->named);
    if (!explain->dims || !explain->named) return fail_memory(program);
    for (int i = 0; i < count; i++) explain->dims[i] = -1;
    for (int i = 0; i < explain->options->dim_count; i++) {
        const gradc_dim_value *dim = &explain->options->dims[i];
        int number = find_dim(program->program, dim->name);
        if (number < 0) return fail(program, GRADC_ARGUMENT, "the program has no dim '%s'", dim->name);
        if (dim->value < 0) return fail(program, GRADC_ARGUMENT, "the dim %s cannot be negative", dim->name);
        explain->dims[number] = dim->value;
    }
    for (int i = 0; i < count; i++) {
        if (explain->dims[i] < 0 && used[i]) explain->dims[i] = default_dim(explain);
        if (explain->dims[i] < 0 && used[i])
            return fail(program, GRADC_ARGUMENT, "the size of %s depends on the dim %s: give it a value",
                        explain->entry->name, program->program->dims.items[i]);
        if (explain->dims[i] < 0) explain->dims[i] = 0;
        if (used[i])
            explain->named[explain->named_count++] =
                (gradc_dim_value){program->program->dims.items[i], explain->dims[i]};
    }
    return GRADC_OK;
}

// ---- a handle of that kind of function, with arrays

typedef struct {
    gradc_call *call;
    gradc_trainer *trainer;
    Memory *inputs;
    int input_count;
    Memory written[4];   // copies of what functions write: parameters, gradients, states, optimizer
    Memory scratch;      // of the timed function
    gradc_frame frame;
    gradc_function *function;
} Bench;

static void bench_free(Bench *bench, gradc_program *program) {
    for (int i = 0; bench->inputs && i < bench->input_count; i++) memory_free(&bench->inputs[i]);
    program_release(program, bench->inputs);
    for (int i = 0; i < 4; i++) memory_free(&bench->written[i]);
    memory_free(&bench->scratch);
    gradc_call_free(bench->call);
    gradc_trainer_free(bench->trainer);
}

// Numbers of no meaning between -1 and 1; whole numbers are 0, which every class and index allows.
static void fill(const gradc_tensor *array) {
    int64_t count = array_bytes(array) / (int64_t)gradc_dtype_size(array->dtype);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        double value = (double)(int32_t)state / 2147483648.0;
        if (array->dtype == GRADC_F32) ((float *)array->data)[i] = (float)value;
        if (array->dtype == GRADC_F64) ((double *)array->data)[i] = value;
    }
}

static gradc_status bind_input(Explain *explain, Bench *bench, int input) {
    gradc_program *program = explain->program;
    const Node *node = explain->entry->function.arguments[input];
    gradc_tensor array = {.dtype = public_dtype(node->dtype), .rank = node->rank};
    bool overflow = false;
    for (int i = 0; i < node->rank; i++) array.shape[i] = extent_evaluate(node->shape[i], explain->dims, &overflow);
    int64_t bytes = overflow ? -1 : array_bytes(&array);
    if (bytes < 0 || !memory_reserve(&bench->inputs[input], (size_t)bytes)) return fail_memory(program);
    array.data = bench->inputs[input].bytes;
    fill(&array);
    explain->arrays += bytes;
    return bench->trainer ? gradc_trainer_bind(bench->trainer, input, &array)
                          : gradc_call_bind(bench->call, input, &array);
}

static gradc_status bind_dims(Explain *explain, Bench *bench) {
    gradc_status status = GRADC_OK;
    const int *said_by = facts_of(explain->program, explain->entry)->said_by;
    for (int i = 0; !status && i < explain->named_count; i++) {
        const gradc_dim_value *dim = &explain->named[i];
        if (said_by[find_dim(explain->program->program, dim->name)] >= 0) continue;   // the shape of an input
        status = bench->trainer ? gradc_trainer_set_dim(bench->trainer, dim->name, dim->value)
                                : gradc_call_set_dim(bench->call, dim->name, dim->value);
    }
    return status;
}

static gradc_status create_handle(Explain *explain, Bench *bench) {
    gradc_program *program = explain->program;
    bool trains = explain->key.train != NULL;
    gradc_status status = trains ? gradc_trainer_create(program, explain->key.train->loss, &bench->trainer)
                                 : gradc_call_create(program, explain->entry->name, &bench->call);
    bench->input_count = explain->entry->function.argument_count;
    bench->inputs = program_allocate(program, (size_t)bench->input_count + 1, sizeof *bench->inputs);
    if (!status && !bench->inputs) status = fail_memory(program);
    for (int i = 0; !status && i < bench->input_count; i++) {
        bench->inputs[i] = memory_of(program);
        status = bind_input(explain, bench, i);
        if (!status && (explain->key.tracked_inputs >> i & 1)) status = gradc_call_requires_grad(bench->call, i, true);
    }
    return status ? status : bind_dims(explain, bench);
}

// Puts a copy of `bytes` bytes in the place of an array that the program keeps.
static bool copy(Explain *explain, Memory *memory, void **array, size_t bytes) {
    *memory = memory_of(explain->program);
    if (!*array || !bytes) return true;
    if (!memory_reserve(memory, bytes)) return false;
    memcpy(memory->bytes, *array, bytes);
    *array = memory->bytes;
    explain->arrays += (int64_t)bytes;
    return true;
}

// The function as several workers run it, and these.
static gradc_status share_bench(Explain *explain, Bench *bench) {
    gradc_program *program = explain->program;
    FunctionKey key = explain->key;
    key.shared = true;
    const CompiledFunction *function = program_function(program, key);
    if (!function) return fail_compiler(program);
    if (!program->team) program->team = team_create(explain->facts->workers);
    if (!program->team) return fail_memory(program);
    bench->function = function->call;
    explain->team = program->team;
    return GRADC_OK;
}

static gradc_status make_bench(Explain *explain, Bench *bench) {
    gradc_program *program = explain->program;
    gradc_status status = create_handle(explain, bench);
    if (!status)
        status = bench->trainer
                     ? gradc_trainer_function(bench->trainer, explain->options->kind, &bench->function, &bench->frame)
                     : gradc_call_function(bench->call, explain->options->kind, &bench->function, &bench->frame);
    if (status) return status;
    size_t parameters = parameter_size(program), states = 0;
    for (int i = 0; i < program->program->states.count; i++) {
        const State *state = program->program->states.items[i];
        states += (size_t)state->count * (size_t)dtype_size(state->variable->dtype);
    }
    size_t optimizer = explain->key.train ? (size_t)explain->key.train->state_count * parameters : 0;
    bool done = copy(explain, &bench->written[0], &bench->frame.parameters, parameters) &&
                copy(explain, &bench->written[1], &bench->frame.gradients, parameters) &&
                copy(explain, &bench->written[2], &bench->frame.state, states) &&
                copy(explain, &bench->written[3], &bench->frame.optimizer, optimizer);
    if (done && explain->facts->workers > 1) status = share_bench(explain, bench);
    bench->scratch = memory_of(program);
    done = done && memory_reserve(&bench->scratch, (size_t)explain->facts->scratch_bytes);
    if (done && explain->team) bench->frame.scratch = bench->scratch.bytes;   // one function at a time uses it
    return done ? status : fail_memory(program);
}

// ---- clocks

typedef struct {
    const Explanation *facts;
    double *sums;   // of this call, by kernel
    double last;
    int next;   // probably the next kernel to end
} Clock;

static void kernel_ended(const gradc_frame *frame, const void *kernel) {
    Clock *clock = frame->team;
    double time = now_seconds();
    int number = clock->next;
    while (clock->facts->kernels[number].kernel != kernel) number = (number + 1) % clock->facts->count;
    clock->sums[number] += time - clock->last;
    clock->next = (number + 1) % clock->facts->count;
    clock->last = now_seconds();   // the search is no kernel's
}

// What kernel_ended adds to a kernel that does nothing.
static double clock_cost(const gradc_frame *frame, Clock *clock) {
    double least = 1;
    for (int i = 0; i < TRIES; i++) {
        memset(clock->sums, 0, sizeof *clock->sums * (size_t)clock->facts->count);
        clock->next = 0;
        clock->last = now_seconds();
        kernel_ended(frame, clock->facts->kernels[0].kernel);
        if (clock->sums[0] < least) least = clock->sums[0];
    }
    return least;
}

static void call_timed(Explain *explain, gradc_frame *frame, Clock *clock, double cost) {
    memset(clock->sums, 0, sizeof *clock->sums * (size_t)explain->facts->count);
    clock->next = 0;
    clock->last = now_seconds();
    if (explain->team) team_run_timed(explain->team, explain->facts->timed, frame, kernel_ended);
    else explain->facts->timed(frame);
    for (int i = 0; i < explain->facts->count; i++) {
        gradc_kernel_info *kernel = &explain->kernels[i];
        double seconds = clock->sums[i] - cost * (double)kernel->runs;
        if (seconds < 0) seconds = 0;
        if (kernel->seconds < 0 || seconds < kernel->seconds) kernel->seconds = seconds;
    }
}

// The two kinds of code by turns, so that what else the machine does meets both.
static void time_calls(Explain *explain, Bench *bench, Clock *clock) {
    gradc_frame frame = bench->frame;
    union {
        gradc_ended *ended;
        gradc_synchronise *synchronise;
    } hook = {.ended = kernel_ended};
    be_alone(&bench->frame);
    be_alone(&frame);
    frame.synchronise = hook.synchronise;
    frame.team = clock;
    frame.scratch = bench->scratch.bytes;
    double cost = clock_cost(&frame, clock), begin = now_seconds();
    for (int i = 0; i < explain->facts->count; i++) explain->kernels[i].seconds = -1;
    for (int i = 0; i < TRIES && (i < LEAST_TRIES || now_seconds() - begin < most_seconds); i++) {
        call_timed(explain, &frame, clock, cost);
        double start = now_seconds();
        if (explain->team) team_run(explain->team, bench->function, &bench->frame);
        else bench->function(&bench->frame);
        double took = now_seconds() - start;
        if (!i || took < explain->seconds) explain->seconds = took;
    }
}

static gradc_status copy_bandwidth(Explain *explain) {
    gradc_program *program = explain->program;
    Memory from = memory_of(program), to = memory_of(program);
    int64_t bytes = explain->arrays / 2;   // what is copied and the copy are as much as the arrays
    if (bytes > COPY_BYTES / 2) bytes = COPY_BYTES / 2;
    if (bytes < COPY_LEAST) bytes = COPY_LEAST;
    bool done = memory_reserve(&from, (size_t)bytes) && memory_reserve(&to, (size_t)bytes);
    int rounds = (int)(COPY_BYTES / bytes / 32) + 1;
    double least = 0;
    for (int i = 0; done && i < 20; i++) {
        double start = now_seconds();
        for (int k = 0; k < rounds; k++) {
            ((volatile char *)from.bytes)[0] = (char)k;   // no copy is the same as the one before
            memcpy(to.bytes, from.bytes, (size_t)bytes);
            ((volatile char *)to.bytes)[0];
        }
        double took = (now_seconds() - start) / rounds;
        if (!i || took < least) least = took;
    }
    memory_free(&from);
    memory_free(&to);
    if (!done) return fail_memory(program);
    explain->bandwidth = least > 0 ? 2 * (double)bytes / least : 0;
    return GRADC_OK;
}

// Lets schedules know how many iterations there will be, if nobody has said it yet; 0: not any more.
static void suppose_iterations(gradc_program *program, double *said, double iterations) {
    for (int i = 0; i < program->program->trains.count; i++) {
        double *known = &program->trains[i].hyperparameters[1];
        if (iterations > 0) said[i] = *known;
        if (said[i] <= 0) *known = iterations > 0 ? iterations : said[i];
    }
}

static gradc_status measure(Explain *explain) {
    Bench bench = {0};
    Clock clock = {.facts = explain->facts};
    double *said = keep(explain, (size_t)explain->program->program->trains.count + 1, sizeof *said);
    if (!said) return fail_memory(explain->program);
    suppose_iterations(explain->program, said, 1);
    gradc_status status = make_bench(explain, &bench);
    clock.sums = keep(explain, (size_t)explain->facts->count + 1, sizeof *clock.sums);
    if (!status && !clock.sums) status = fail_memory(explain->program);
    if (!status && explain->facts->count) time_calls(explain, &bench, &clock);
    if (!status) status = copy_bandwidth(explain);
    if (!status) explain->peak = compilation_peak(explain->program->compilation);
    bench_free(&bench, explain->program);
    suppose_iterations(explain->program, said, 0);
    return status;
}

// ---- all of it

static gradc_status copy_facts(Explain *explain) {
    explain->kernels = keep(explain, (size_t)explain->facts->count + 1, sizeof *explain->kernels);
    if (!explain->kernels) return fail_memory(explain->program);
    for (int i = 0; i < explain->facts->count; i++) {
        const KernelFacts *facts = &explain->facts->kernels[i];
        explain->kernels[i] = (gradc_kernel_info){.name = facts->name,
                                                  .file = facts->path,
                                                  .line = facts->line,
                                                  .kind = facts->kind,
                                                  .shape = facts->shape,
                                                  .depth = facts->depth,
                                                  .runs = facts->runs,
                                                  .flops = facts->flops,
                                                  .bytes = facts->bytes,
                                                  .shared = facts->shared};
    }
    explain->arrays = explain->facts->scratch_bytes + explain->facts->tape_bytes;
    return GRADC_OK;
}

gradc_status gradc_explain(gradc_program *program, const gradc_explain_options *options,
                           gradc_explanation *explanation) {
    static const gradc_explain_options defaults;
    Explain explain = {.program = program, .options = options ? options : &defaults};
    *explanation = (gradc_explanation){0};
    if (!program->program) return fail(program, GRADC_PROGRAM, "the program has errors");
    if ((unsigned)explain.options->kind > GRADC_KIND_STEP)
        return fail(program, GRADC_ARGUMENT, "there is no such kind of function");
    gradc_status status = choose_key(program, explain.options->entry, explain.options->kind, &explain.key);
    if (status) return status;
    explain.entry = explain.key.train ? explain.key.train->entry : explain.key.entry;
    status = choose_dims(&explain);
    if (status) return status;
    explain.facts = compilation_explain(program->compilation, explain.key, explain.dims, explain.options->measure);
    if (!explain.facts) return fail_compiler(program);
    status = copy_facts(&explain);
    if (!status && explain.options->measure) status = measure(&explain);
    if (status) return status;
    *explanation = (gradc_explanation){.function = explain.facts->function,
                                       .count = explain.facts->count,
                                       .kernels = explain.kernels,
                                       .dim_count = explain.named_count,
                                       .dims = explain.named,
                                       .flops = explain.facts->flops,
                                       .bytes = explain.facts->bytes,
                                       .memory = explain.facts->scratch_bytes + explain.facts->tape_bytes,
                                       .seconds = explain.seconds,
                                       .threads = explain.facts->workers,
                                       .peak = explain.peak,
                                       .bandwidth = explain.bandwidth};
    return GRADC_OK;
}
