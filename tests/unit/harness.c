#include "harness.h"
#include "harness_numbers.h"
#include "guarded.h"
#include "runtime/team.h"
#include "simplify/simplify.h"

#include <llvm-c/Core.h>
#include <llvm-c/Object.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int harness_failures;

static const int all_widths[] = {0, 16, 32, 64};
enum { WIDTHS = sizeof all_widths / sizeof *all_widths };
static Jit *jits[WIDTHS];
// Every case runs once more on several threads, which share each kernel.
enum { WORKERS = 3, SHARED_WIDTH = 2 };
static Team *team;

void fail(const Case *test, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%s: ", test->name);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    harness_failures++;
}

// ---- building

Case *case_begin(const char *name) {
    Arena *arena = arena_create();
    Case *test = arena_new(arena, Case);
    test->arena = arena;
    test->name = arena_copy_text(arena, name, strlen(name));
    test->graph = graph_create(arena);
    return test;
}

void case_end(Case *test) {
    arena_destroy(test->arena);
}

const Extent *case_extent(Case *test, int64_t value) {
    static const char *const names[MAX_CASE_DIMS] = {"N", "M", "T", "B"};
    if (value >= 0) return extent_constant(test->graph->extents, value);
    return extent_dim(test->graph->extents, (int)-value - 1, names[-value - 1]);
}

const Extent **case_shape(Case *test, int rank, const int64_t *extents) {
    const Extent **shape = arena_array(test->arena, const Extent *, rank + 1);
    for (int i = 0; i < rank; i++) shape[i] = case_extent(test, extents[i]);
    return shape;
}

static Node *add_leaf(Case *test, Dtype dtype, int rank, const int64_t *extents, CaseLeaf leaf, int64_t offset) {
    int number = test->leaf_count++;
    Variable variable = {.kind = VARIABLE_ARGUMENT, .index = number};
    variable.name = arena_print(test->arena, "x%d", number);
    leaf.place.node = variable_make(test->graph, &variable, dtype, case_shape(test, rank, extents), rank);
    leaf.place.offset = case_extent(test, offset);
    test->leaves[number] = leaf;
    return leaf.place.node;
}

Node *case_input(Case *test, Dtype dtype, Fill fill, int rank, const int64_t *extents) {
    int index = 0;
    for (int i = 0; i < test->leaf_count; i++) index += test->leaves[i].is_input;
    CaseLeaf leaf = {.fill = fill, .fill_limit = 1, .is_input = true};
    leaf.place.space = SPACE_INPUT;
    leaf.place.index = index;
    return add_leaf(test, dtype, rank, extents, leaf, 0);
}

Node *case_leaf(Case *test, Dtype dtype, Space space, int64_t offset, int rank, const int64_t *extents) {
    CaseLeaf leaf = {.fill = FILL_REAL};
    leaf.place.space = space;
    return add_leaf(test, dtype, rank, extents, leaf, offset);
}

void case_output(Case *test, Node *node) {
    int index = 0;
    for (int i = 0; i < test->result_count; i++) index += test->results[i].space == SPACE_OUTPUT;
    test->results[test->result_count++] = (Placement){node, SPACE_OUTPUT, index, case_extent(test, 0), false};
}

void case_store(Case *test, Node *node, Space space, int64_t offset, bool accumulate) {
    test->results[test->result_count++] = (Placement){node, space, 0, case_extent(test, offset), accumulate};
}

// ---- lowering

static void collect_function(Case *test) {
    Function *function = &test->function;
    function->name = test->name;
    function->argument_count = test->leaf_count;
    function->arguments = arena_array(test->arena, Node *, test->leaf_count);
    for (int i = 0; i < test->leaf_count; i++) function->arguments[i] = test->leaves[i].place.node;
    function->result_count = test->result_count;
    function->results = arena_array(test->arena, Named, test->result_count);
    for (int i = 0; i < test->result_count; i++) function->results[i] = (Named){"result", test->results[i].node};
}

static KernelProgram *lower(Case *test, int workers) {
    Placement leaves[MAX_CASE_VALUES];
    for (int i = 0; i < test->leaf_count; i++) leaves[i] = test->leaves[i].place;
    KernelProgram *program = kernel_program_create(test->graph, "test", workers);
    program->split_work = 0;                         // whatever can be divided is
    program->stream_bytes = workers > 1 ? 0 : 512;   // and stored past the caches
    kernel_program_add(program, leaves, test->leaf_count, test->results, test->result_count);
    kernel_program_stream(program);
    kernel_program_plan(program);
    const char *fault = kernel_program_verify(program);
    if (fault) fail(test, "the kernels: %s", fault);
    return program;
}

void case_lower(Case *test) {
    collect_function(test);
    if (!test->raw) {
        normalise_reductions(test->graph, &test->function);
        place_fma(test->graph, &test->function);
        for (int i = 0; i < test->result_count; i++) test->results[i].node = test->function.results[i].node;
    }
    const char *fault = verify_function(test->graph, &test->function);
    if (fault) fail(test, "the graph: %s", fault);
    test->program = lower(test, 1);
    test->shared = lower(test, WORKERS);
}

static int count_kernels(const KernelArray *kernels, int kind) {
    int count = 0;
    for (int i = 0; i < kernels->count; i++) {
        count += kind < 0 || (int)kernels->items[i]->kind == kind;
        count += count_kernels(&kernels->items[i]->body, kind);
    }
    return count;
}

int case_kernels(Case *test) {
    if (!test->program) case_lower(test);
    return count_kernels(&test->program->kernels, -1);
}

int case_kernels_of(Case *test, KernelKind kind) {
    if (!test->program) case_lower(test);
    return count_kernels(&test->program->kernels, (int)kind);
}

static Jit *jit_of(const Case *test, int width_index) {
    char *message = NULL;
    // Where it can: half of the registers that a newer processor has for vectors of 32 bytes.
    const char *level = "x86-64-v3", *cpu = all_widths[width_index] == 32 && !jit_check_cpu(level) ? level : NULL;
    if (!jits[width_index]) jits[width_index] = jit_create(cpu, all_widths[width_index], &message);
    if (!jits[width_index]) fail(test, "width %d: %s", all_widths[width_index], message);
    free(message);
    return jits[width_index];
}

static gradc_function *compiled(Case *test, int width_index) {
    Jit *jit = test->code[width_index] ? NULL : jit_of(test, width_index);
    if (!jit) return test->code[width_index];
    char *message = NULL;
    test->code[width_index] = jit_compile(jit, test->program, NULL, NULL, &message);
    if (!test->code[width_index]) fail(test, "width %d: %s", all_widths[width_index], message);
    free(message);
    return test->code[width_index];
}

static void check_symbols(const Case *test, LLVMBinaryRef object) {
    LLVMSymbolIteratorRef symbol = LLVMObjectFileCopySymbolIterator(object);
    for (; !LLVMObjectFileIsSymbolIteratorAtEnd(object, symbol); LLVMMoveToNextSymbol(symbol)) {
        LLVMSectionIteratorRef section = LLVMObjectFileCopySectionIterator(object);
        LLVMMoveToContainingSection(section, symbol);
        const char *name = LLVMGetSymbolName(symbol);
        bool own = !*name || strcmp(name, test->program->name) == 0;
        if (!own && LLVMObjectFileIsSectionIteratorAtEnd(object, section)) fail(test, "the object needs '%s'", name);
        LLVMDisposeSectionIterator(section);
    }
    LLVMDisposeSymbolIterator(symbol);
}

void case_check_object(Case *test) {
    if (!test->program) case_lower(test);
    for (int w = 1; w < WIDTHS; w++) {
        size_t size = 0;
        Jit *jit = jit_of(test, w);
        const char *bytes = jit ? emit_object(jit, test->program, &size) : NULL;
        if (!bytes) {
            fail(test, "no object for width %d", all_widths[w]);
            continue;
        }
        char *message = NULL;
        LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes, size, "test");
        LLVMBinaryRef object = LLVMCreateBinary(buffer, NULL, &message);
        if (object) check_symbols(test, object);
        else fail(test, "the object cannot be read: %s", message);
        if (object) LLVMDisposeBinary(object);
        LLVMDisposeMemoryBuffer(buffer);
        if (message) LLVMDisposeMessage(message);
    }
}

// ---- the plan

static int64_t bytes_of_buffer(const Buffer *buffer, const int64_t *dims) {
    return extent_evaluate(buffer->elements, dims, NULL) * dtype_size(buffer->dtype);
}

// Buffers that live at the same time may not share space, whatever the open dims.
static void check_plan(Case *test, const int64_t *dims) {
    const KernelProgram *program = test->program;
    int64_t end = extent_evaluate(program->scratch_bytes, dims, NULL);
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *a = program->buffers.items[i];
        if (a->space != SPACE_SCRATCH || a->first_use < 0) continue;
        int64_t a_from = extent_evaluate(a->offset, dims, NULL), a_to = a_from + bytes_of_buffer(a, dims);
        if (a_from % 64 || a_from < 0 || a_to > end) fail(test, "buffer %d lies outside the arena", i);
        for (int k = 0; k < i; k++) {
            const Buffer *b = program->buffers.items[k];
            if (b->space != SPACE_SCRATCH || b->first_use < 0) continue;
            if (a->last_use < b->first_use || b->last_use < a->first_use) continue;
            int64_t b_from = extent_evaluate(b->offset, dims, NULL), b_to = b_from + bytes_of_buffer(b, dims);
            if (a_from < b_to && b_from < a_to) fail(test, "buffers %d and %d overlap while both live", k, i);
        }
    }
}

static gradc_function *shared_code(Case *test) {
    char *message = NULL;
    Jit *jit = test->shared_code ? NULL : jit_of(test, SHARED_WIDTH);
    if (!jit) return test->shared_code;
    test->shared_code = jit_compile(jit, test->shared, NULL, NULL, &message);
    if (!test->shared_code) fail(test, "for workers: %s", message);
    free(message);
    return test->shared_code;
}

// ---- shapes

static int64_t count_of(const Node *node, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < node->rank; i++) count *= extent_evaluate(node->shape[i], dims, NULL);
    return count;
}

static Tensor tensor_of(const Node *node, const int64_t *dims, void *data) {
    Tensor tensor = {.dtype = node->dtype, .rank = node->rank, .data = data};
    for (int i = 0; i < node->rank; i++) tensor.shape[i] = extent_evaluate(node->shape[i], dims, NULL);
    return tensor;
}

// ---- a run

typedef struct {
    Case *test;
    const int64_t *dims;
    Arena *arena;
    Tensor arguments[MAX_CASE_VALUES], expected[MAX_CASE_VALUES];
    Environment environment;
    Guarded spaces[SPACE_HYPERPARAMETERS + 1], inputs[MAX_CASE_VALUES], outputs[MAX_CASE_VALUES];
    bool low, shared;
} Run;

static void fill_arguments(Run *run) {
    for (int i = 0; i < run->test->leaf_count; i++) {
        const CaseLeaf *leaf = &run->test->leaves[i];
        const Node *node = leaf->place.node;
        int64_t count = count_of(node, run->dims);
        void *data = arena_allocate(run->arena, (size_t)(count * dtype_size(node->dtype)) + 1);
        for (int64_t k = 0; k < count && !leaf->data; k++)
            put_element(node->dtype, data, k, case_real(leaf), case_integer(leaf, node->dtype));
        if (leaf->data) memcpy(data, leaf->data, (size_t)(count * dtype_size(node->dtype)));
        run->arguments[i] = tensor_of(node, run->dims, data);
    }
}

static bool evaluate(Run *run) {
    Case *test = run->test;
    run->environment = (Environment){.dims = run->dims, .seed = 42, .draw_count = 7};
    const char *fault =
        evaluate_function(run->arena, &test->function, run->arguments, &run->environment, run->expected);
    if (fault) fail(test, "the evaluator: %s", fault);
    return !fault;
}

static size_t bytes_of(const Placement *place, const int64_t *dims) {
    return (size_t)(count_of(place->node, dims) * dtype_size(place->node->dtype));
}

static size_t offset_of(const Placement *place, const int64_t *dims) {
    return (size_t)extent_evaluate(place->offset, dims, NULL);
}

static char *place_of(Run *run, const Placement *place) {
    if (place->space == SPACE_INPUT) return run->inputs[place->index].data;
    if (place->space == SPACE_OUTPUT) return run->outputs[place->index].data;
    return run->spaces[place->space].data + offset_of(place, run->dims);
}

static void allocate_place(Run *run, const Placement *place, size_t *sizes) {
    size_t bytes = bytes_of(place, run->dims), end = offset_of(place, run->dims) + bytes;
    if (place->space == SPACE_INPUT) run->inputs[place->index] = guarded(bytes, run->low);
    else if (place->space == SPACE_OUTPUT) run->outputs[place->index] = guarded(bytes, run->low);
    else if (end > sizes[place->space]) sizes[place->space] = end;
}

// Everything in the frame, with what is there before the call.
static void allocate_frame(Run *run) {
    const Case *test = run->test;
    size_t sizes[SPACE_HYPERPARAMETERS + 1] = {0};
    for (int i = 0; i < test->leaf_count; i++) allocate_place(run, &test->leaves[i].place, sizes);
    for (int i = 0; i < test->result_count; i++) allocate_place(run, &test->results[i], sizes);
    const Extent *scratch = run->shared ? test->shared->scratch_bytes : test->program->scratch_bytes;
    sizes[SPACE_SCRATCH] = (size_t)extent_evaluate(scratch, run->dims, NULL);
    for (int space = 0; space <= SPACE_HYPERPARAMETERS; space++) {
        size_t rounded = (sizes[space] + 63) / 64 * 64;   // aligned to 64 bytes, as the frame promises
        run->spaces[space] = guarded(rounded, run->low);
        memset(run->spaces[space].data, 0, rounded);
        if (space == SPACE_SCRATCH) memset(run->spaces[space].data, 0xFF, rounded);
    }
    for (int i = 0; i < test->leaf_count; i++) {
        const Placement *place = &test->leaves[i].place;
        char *target = place_of(run, place);
        const double *numbers = run->arguments[i].data;
        if (place->space == SPACE_HYPERPARAMETERS)
            *(double *)(void *)target =
                place->node->dtype == DTYPE_F32 ? (double)*(const float *)(const void *)numbers : *numbers;
        else memcpy(target, run->arguments[i].data, bytes_of(place, run->dims));
    }
}

static void release_frame(Run *run) {
    for (int space = 0; space <= SPACE_HYPERPARAMETERS; space++) guarded_release(run->spaces[space]);
    for (int i = 0; i < MAX_CASE_VALUES; i++) {
        if (run->inputs[i].map) guarded_release(run->inputs[i]);
        if (run->outputs[i].map) guarded_release(run->outputs[i]);
    }
    memset(run->inputs, 0, sizeof run->inputs);
    memset(run->outputs, 0, sizeof run->outputs);
}

static bool same_element(Dtype dtype, const char *a, const char *b) {
    if (dtype == DTYPE_F32 && isnan(*(const float *)(const void *)a) && isnan(*(const float *)(const void *)b))
        return true;
    if (dtype == DTYPE_F64 && isnan(*(const double *)(const void *)a) && isnan(*(const double *)(const void *)b))
        return true;
    return memcmp(a, b, (size_t)dtype_size(dtype)) == 0;
}

static double number_at(Dtype dtype, const char *at) {
    switch (dtype) {
    case DTYPE_F32: return (double)*(const float *)(const void *)at;
    case DTYPE_F64: return *(const double *)(const void *)at;
    case DTYPE_I32: return *(const int32_t *)(const void *)at;
    case DTYPE_I64: return (double)*(const int64_t *)(const void *)at;
    default: return *(const uint8_t *)at;
    }
}

// What the frame holds for results that are added: what was there (zeros, or the leaf's) plus the value.
static void expect_sum(const Placement *place, Tensor *expected, int64_t count) {
    for (int64_t k = 0; k < count && place->accumulate; k++) {
        if (place->node->dtype == DTYPE_F32) ((float *)expected->data)[k] = 0.0f + ((float *)expected->data)[k];
        if (place->node->dtype == DTYPE_F64) ((double *)expected->data)[k] = 0.0 + ((double *)expected->data)[k];
    }
}

static void compare(Run *run, int width) {
    Case *test = run->test;
    for (int i = 0; i < test->result_count; i++) {
        const Placement *place = &test->results[i];
        Dtype dtype = place->node->dtype;
        size_t size = (size_t)dtype_size(dtype);
        int64_t count = count_of(place->node, run->dims), wrong = 0, first = -1;
        const char *actual = place_of(run, place), *expected = run->expected[i].data;
        for (int64_t k = 0; k < count; k++) {
            if (same_element(dtype, actual + (size_t)k * size, expected + (size_t)k * size)) continue;
            if (!wrong++) first = k;
        }
        if (!wrong) continue;
        fail(test, "width %d, N = %lld: result %d: %lld of %lld elements differ; element %lld is %.17g, not %.17g",
             width, run->dims ? (long long)run->dims[0] : 0, i, (long long)wrong, (long long)count, (long long)first,
             number_at(dtype, actual + (size_t)first * size), number_at(dtype, expected + (size_t)first * size));
        const char *verbose = getenv("GRADC_TEST_VERBOSE");
        if (!verbose) continue;
        Text text = {.arena = run->arena};
        kernel_program_print(&text, test->program);
        printf("%s", text.bytes);
    }
}

static void run_code(Run *run, gradc_function *code, int width) {
    Case *test = run->test;
    const void *inputs[MAX_CASE_VALUES];
    void *outputs[MAX_CASE_VALUES];
    int64_t fault[2] = {-1, -1};
    for (int i = 0; i < MAX_CASE_VALUES; i++) inputs[i] = run->inputs[i].data, outputs[i] = run->outputs[i].data;
    gradc_frame frame = {.inputs = inputs, .outputs = outputs, .dims = run->dims, .seed = 42, .draw_count = 7};
    frame.parameters = run->spaces[SPACE_PARAMETERS].data;
    frame.gradients = run->spaces[SPACE_GRADIENTS].data;
    frame.state = run->spaces[SPACE_STATE].data;
    frame.optimizer = run->spaces[SPACE_OPTIMIZER].data;
    frame.tape = run->spaces[SPACE_TAPE].data;
    frame.scratch = run->spaces[SPACE_SCRATCH].data;
    frame.hyperparameters = (const double *)(const void *)run->spaces[SPACE_HYPERPARAMETERS].data;
    frame.fault = fault;
    if (run->shared && !team) team = team_create(WORKERS);
    int32_t status = run->shared ? team_run(team, code, &frame) : code(&frame);
    if (status != run->environment.faulted) fail(test, "width %d: status %d", width, status);
    if (status && run->environment.faulted && !run->shared &&
        (fault[0] != run->environment.fault[0] || fault[1] != run->environment.fault[1]))
        fail(test, "width %d: fault %lld at %lld, not %lld at %lld", width, (long long)fault[0], (long long)fault[1],
             (long long)run->environment.fault[0], (long long)run->environment.fault[1]);
    compare(run, width);
}

static void check_shared(Run *run) {
    gradc_function *code = shared_code(run->test);
    if (!code) return;
    run->shared = true;
    allocate_frame(run);
    run_code(run, code, WORKERS * 1000 + all_widths[SHARED_WIDTH]);
    release_frame(run);
}

void case_check_widths(Case *test, const int64_t *dims, const int *widths, int width_count) {
    int before = harness_failures;
    if (!test->program) case_lower(test);
    if (harness_failures > before) return;
    check_plan(test, dims);
    Run run = {.test = test, .dims = dims, .arena = arena_create()};
    fill_arguments(&run);
    bool good = evaluate(&run);
    for (int i = 0; i < test->result_count && good; i++)
        expect_sum(&test->results[i], &run.expected[i], count_of(test->results[i].node, dims));
    for (int w = 0; w < WIDTHS && good; w++) {
        bool wanted = false;
        for (int i = 0; i < width_count; i++) wanted = wanted || widths[i] == all_widths[w];
        gradc_function *code = wanted ? compiled(test, w) : NULL;
        if (!code) continue;
        run.low = w % 2;
        allocate_frame(&run);
        run_code(&run, code, all_widths[w]);
        release_frame(&run);
    }
    if (good && width_count > 1) check_shared(&run);
    if (test->index_fault != run.environment.faulted)
        fail(test, "the evaluator's fault is %d", run.environment.faulted);
    arena_destroy(run.arena);
}

void case_check(Case *test, const int64_t *dims) {
    case_check_widths(test, dims, all_widths + 1, WIDTHS - 1);
}

int harness_finish(void) {
    for (int i = 0; i < WIDTHS; i++)
        if (jits[i]) jit_destroy(jits[i]);
    team_free(team);
    if (harness_failures) printf("%d failures\n", harness_failures);
    return harness_failures != 0;
}
