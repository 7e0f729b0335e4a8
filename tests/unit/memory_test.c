// Memory that runs out: whichever allocation of gradc's own fails, the call ends with an error, nothing is leaked or
// half done, and the same handle then does what it should, to the bit.
//
// The linker turns gradc's calls of malloc and its like into those below (see tests/CMakeLists.txt), also under
// AddressSanitizer; what LLVM and other libraries allocate is not touched: LLVM ends the process when it gets nothing.
#include "tests/unit/host.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

// ---- malloc: what may fail, and what is not given back yet

static long left = -1;    // allocations that still succeed; -1: all do
static bool onward;       // all later ones fail, too
static bool failed;       // one did
static bool given_away;   // the library that the work is about frees what gradc gave it

static bool refuse(void) {
    if (left < 0 || left-- > 0) return false;
    failed = true;
    left = onward ? 0 : -1;
    errno = ENOMEM;
    return true;
}

enum { SLOTS = 1 << 16 };
static void *blocks[SLOTS];   // by address, with linear probing
static long live;
static void *const removed = &live;   // was taken, and is free again

static void *remember(void *memory) {
    size_t at = (uintptr_t)memory / 16 % SLOTS;
    if (!memory) return NULL;
    while (blocks[at] && blocks[at] != removed) at = (at + 1) % SLOTS;
    blocks[at] = memory;
    live++;
    return memory;
}

// Blocks of libraries are not there.
static void forget(const void *memory) {
    size_t at = (uintptr_t)memory / 16 % SLOTS;
    for (size_t i = 0; memory && blocks[at] && i < SLOTS; i++, at = (at + 1) % SLOTS)
        if (blocks[at] == memory) {
            blocks[at] = removed;
            live--;
            return;
        }
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size) {
    return refuse() ? NULL : remember(__real_malloc(size));
}
void *__wrap_calloc(size_t count, size_t size) {
    return refuse() ? NULL : remember(__real_calloc(count, size));
}
void *__wrap_realloc(void *memory, size_t size) {
    if (refuse()) return NULL;
    forget(memory);
    return remember(__real_realloc(memory, size));
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return refuse() ? NULL : remember(__real_aligned_alloc(alignment, size));
}
char *__wrap_strdup(const char *text) {
    return refuse() ? NULL : remember(__real_strdup(text));
}
char *__wrap_strndup(const char *text, size_t length) {
    return refuse() ? NULL : remember(__real_strndup(text, length));
}
void __wrap_free(void *memory) {
    forget(memory);
    __real_free(memory);
}

// ---- what a host does

static const char model[] =
    "dim N\n"
    "net line(x: f32[N]) -> f32[N] {\n"
    "    param w: f32 ~ normal\n"
    "    state seen: f32 ~ zeros\n"
    "    seen = seen + f32(N)\n"
    "    return w * x + 0 * seen\n"
    "}\n"
    "loss squared(x: f32[N], y: f32[N]) { return sum((y - line(x))^2) }\n"
    "metric error(x: f32[N], y: f32[N]) { return mean(abs(y - line(x))) }\n"
    "data points { file \"points.csv\"; x = columns[0]; y = columns[1]; split 0.5 }\n"
    "train squared { data points; optimizer sgd(lr = 0.001, momentum = 0.5); batch 2; epochs 2 }\n";

enum { ROWS = 4, RESULTS = 64 };
static float xs[ROWS] = {1, 2, 3, 4}, ys[ROWS] = {3, 5, 7, 9};
static int64_t order[ROWS] = {3, 1, 0, 2};
static char folder[] = "/tmp/gradc-memory-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

// The handles of one round. What is there already is used again, as a host does after a failure.
typedef struct {
    gradc_program *program;
    gradc_call *call;
    gradc_trainer *trainer;
    int count;
    double results[RESULTS];   // what came out
} Host;

static void result(Host *host, double value) {
    if (host->count < RESULTS) host->results[host->count++] = value;
}

static gradc_status compile_model(Host *host) {
    gradc_program_free(host->program);
    gradc_status status = gradc_compile_text(in_folder("model.grad"), model, strlen(model), NULL, &host->program);
    if (!status) result(host, (double)gradc_parameter_elements(host->program));
    return status;
}

static gradc_status compile_files(Host *host) {
    gradc_program_free(host->program);
    gradc_status status = gradc_compile_file(in_folder("importer.grad"), NULL, &host->program);
    if (!status) result(host, (double)gradc_parameter_elements(host->program));
    return status;
}

// The message of a text with errors is one of its errors.
static gradc_status compile_wrong(Host *host) {
    static const char wrong[] = "dim N\nloss l(x: f32[N, 4]) { return sum(x @ x) + missing }\n";
    gradc_program_free(host->program);
    gradc_status status = gradc_compile_text("wrong.grad", wrong, strlen(wrong), NULL, &host->program);
    if (status != GRADC_PROGRAM) return status ? status : GRADC_INTERNAL;
    const char *text = gradc_diagnostics(host->program, true);
    if (!text[0]) return GRADC_MEMORY;
    result(host, gradc_error_count(host->program));
    result(host, (double)strlen(text));
    result(host, (double)strlen(gradc_message(host->program)));
    return GRADC_OK;
}

static gradc_status initialise(Host *host) {
    gradc_status status = gradc_initialise(host->program, 3);
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

static gradc_status bind_call(Host *host) {
    gradc_status status = GRADC_OK;
    if (!host->call) status = gradc_call_create(host->program, "squared", &host->call);
    for (int i = 0; i < 2 && !status; i++)
        status = gradc_call_bind(host->call, i, &(gradc_tensor){GRADC_F32, 1, {ROWS}, i ? ys : xs});
    if (!status) status = gradc_call_requires_grad(host->call, 0, true);
    return status;
}

static gradc_status backward(Host *host) {
    gradc_tensor gradient, output;
    float returned = 0;
    gradc_status status = bind_call(host);
    if (!status) status = gradc_call_forward(host->call);
    if (!status) status = gradc_call_output(host->call, 0, &output);
    if (!status) result(host, *(float *)output.data);
    if (!status) status = gradc_call_backward(host->call, true);
    if (!status) status = gradc_call_grad(host->call, &returned, false);
    if (!status) status = gradc_call_input_gradient(host->call, 0, &gradient);
    for (int i = 0; i < ROWS && !status; i++) result(host, ((float *)gradient.data)[i]);
    if (!status) result(host, returned);
    return status;
}

static gradc_status functions(Host *host) {
    gradc_function *function;
    gradc_frame frame;
    gradc_status status = bind_call(host);
    if (!status && !host->trainer) status = gradc_trainer_create(host->program, "squared", &host->trainer);
    if (!status) status = gradc_trainer_compile(host->trainer, GRADC_KIND_STEP);
    if (!status) status = gradc_call_compile(host->call, GRADC_KIND_VALUE);
    if (!status) status = gradc_call_function(host->call, GRADC_KIND_VALUE, &function, &frame);
    if (!status) result(host, function(&frame));
    if (!status) result(host, *(float *)frame.outputs[0]);
    return status;
}

static gradc_status train(Host *host) {
    double losses[3];
    gradc_status status = gradc_initialise(host->program, 3);
    if (!status && !host->trainer) status = gradc_trainer_create(host->program, "squared", &host->trainer);
    for (int i = 0; i < 2 && !status; i++)
        status = gradc_trainer_bind_rows(host->trainer, i, &(gradc_tensor){GRADC_F32, 1, {ROWS}, i ? ys : xs});
    gradc_steps_options options = {.count = 3, .order = order, .order_count = ROWS, .losses = losses};
    if (!status) status = gradc_trainer_steps(host->trainer, &options);
    for (int i = 0; i < 3 && !status; i++) result(host, losses[i]);
    for (int i = 0; i < 2 && !status; i++)
        status = gradc_trainer_bind(host->trainer, i, &(gradc_tensor){GRADC_F32, 1, {ROWS}, i ? ys : xs});
    if (!status) status = gradc_trainer_step(host->trainer, &losses[0]);
    if (!status) result(host, losses[0]);
    if (!status) status = gradc_trainer_update(host->trainer);
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

static gradc_status save(Host *host) {
    return gradc_save(host->program, in_folder("weights"));
}

static gradc_status load(Host *host) {
    gradc_status status = gradc_load(host->program, in_folder("weights"));
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

static gradc_status save_npz(Host *host) {
    return gradc_save(host->program, in_folder("weights.npz"));
}

static gradc_status load_npz(Host *host) {
    gradc_status status = gradc_load(host->program, in_folder("weights.npz"));
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

static gradc_status fit(Host *host) {
    gradc_fit_options options = {.monitor = "error"};
    gradc_status status = gradc_fit(host->program, &options);
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

// Begins a training that is stopped, and goes on from its checkpoint.
static bool stop(void *context, const gradc_step *step) {
    return step->iteration < *(const int64_t *)context;
}

static gradc_status stop_fitting(Host *host) {
    int64_t steps = 3;
    gradc_fit_options options = {
        .monitor = "error", .checkpoint = in_folder("checkpoint"), .step = stop, .context = &steps, .epochs = 4};
    gradc_status status = gradc_fit(host->program, &options);
    if (status == GRADC_STOPPED) result(host, *(float *)gradc_parameters(host->program));
    return status == GRADC_STOPPED ? GRADC_OK : status;
}

static gradc_status resume(Host *host) {
    gradc_status status = gradc_fit(host->program, &(gradc_fit_options){.resume = in_folder("checkpoint")});
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    return status;
}

// Under other names, and what does not fit, which is told in a long message.
static gradc_status rename_weights(Host *host) {
    static const char *const names[] = {"layer.weight=line.w", "*.count=*.seen", NULL};
    gradc_weight_options options = {.rename = names};
    gradc_status status = gradc_save_with(host->program, in_folder("weights"), &options);
    if (!status) status = gradc_load_with(host->program, in_folder("weights"), &options);
    if (!status) result(host, *(float *)gradc_parameters(host->program));
    if (status) return status;
    status = gradc_load(host->program, in_folder("weights"));
    if (status == GRADC_DATA) result(host, (double)strlen(gradc_message(host->program)));
    return status == GRADC_DATA ? GRADC_OK : status;
}

static gradc_status predict(Host *host) {
    gradc_evaluation evaluation;
    gradc_status status = gradc_predict(host->program, NULL, in_folder("predicted.csv"));
    if (!status) status = gradc_evaluate(host->program, NULL, &evaluation);
    if (!status) result(host, evaluation.values[0].value);
    return status;
}

static gradc_status look(Host *host) {
    const char *text;
    gradc_status status = gradc_dump(host->program, GRADC_STAGE_PLAN, "squared", GRADC_KIND_STEP, &text);
    if (!status) result(host, (double)strlen(text));
    if (!status) status = gradc_dump(host->program, GRADC_STAGE_ASM, "squared", GRADC_KIND_VALUE, &text);
    if (!status) status = gradc_derivative(host->program, "squared", &text);
    if (!status) result(host, (double)strlen(text));
    return status;
}

// An error that the host made: its message takes memory, too.
static gradc_status complain(Host *host) {
    gradc_call *call;
    gradc_status status = gradc_call_create(host->program, "nothing", &call);
    if (status == GRADC_ARGUMENT) result(host, (double)strlen(gradc_message(host->program)));
    return status == GRADC_ARGUMENT ? GRADC_OK : status;
}

// ---- one allocation after the other

typedef gradc_status Work(Host *host);

static void free_handles(Host *host) {
    gradc_call_free(host->call);
    gradc_trainer_free(host->trainer);
    host->call = NULL;
    host->trainer = NULL;
}

static void end(Host *host) {
    free_handles(host);
    gradc_program_free(host->program);
    host->program = NULL;
}

static gradc_status run(Host *host, Work *work) {
    host->count = 0;
    return work(host);
}

static void complain_about(const char *name, long allowed, const char *what, const Host *host, gradc_status status) {
    printf("%s, %s the allocation after %ld: %s (status %d, \"%s\")\n", name, onward ? "all from" : "only", allowed,
           what, status, gradc_message(host->program));
    failures++;
}

// Does the work with the allocation after `allowed` others refused, then once more with all there. False: there were no
// more allocations to refuse.
static bool starve_once(const char *name, Host *host, bool begins, Work *work, long allowed, const Host *expected) {
    left = allowed;
    failed = false;
    gradc_status status = run(host, work);
    left = -1;
    bool reached = failed;
    // What cannot allocate while it opens a file says that the file cannot be read or written.
    if (status && status != GRADC_MEMORY && status != GRADC_FILE)
        complain_about(name, allowed, "another error", host, status);
    if (status && !reached) complain_about(name, allowed, "an error for nothing", host, status);
    if (status && !gradc_message(host->program)[0]) complain_about(name, allowed, "no message", host, status);
    // Where the work is to make a program nothing is used again: now and then will do, for it takes the most time.
    if (!begins && status && allowed % 8) return failures < 10;
    if (status) status = run(host, work);
    if (status) complain_about(name, allowed, "not usable after it", host, status);
    else if (host->count != expected->count ||
             memcmp(host->results, expected->results, (size_t)host->count * sizeof(double)) != 0)
        complain_about(name, allowed, "other numbers after it", host, status);
    return reached && failures < 10;
}

typedef enum { FRESH, KEPT } Programs;   // a program for each round, or one for all, whose functions are compiled once

static void check_live(const char *name, long allowed) {
    if (live && !given_away) complain_about(name, allowed, "something was not freed", &(Host){0}, GRADC_OK);
    live = 0;
    memset(blocks, 0, sizeof blocks);   // a library's blocks may come to lie where those lay that it freed
}

static void starve(const char *name, Programs programs, Work *begin, Work *work) {
    static Host host, expected;
    clock_t start = clock();
    host = (Host){0};
    if ((begin && begin(&host)) || run(&host, work))
        complain_about(name, -1, "it does not work with all memory", &host, GRADC_OK);
    expected = host;
    long count = 0;
    bool more = true;
    for (int mode = 0; mode < (work == compile_model ? 2 : 1); mode++, more = true) {
        onward = mode;
        for (count = 0; more; count++) {
            free_handles(&host);
            if (programs == FRESH) {
                end(&host);
                check_live(name, count - 1);
                if (begin && begin(&host)) complain_about(name, count, "it does not begin", &host, GRADC_OK);
            }
            more = starve_once(name, &host, begin != NULL, work, count, &expected);
        }
    }
    end(&host);
    check_live(name, count);
    if (count < 2) complain_about(name, 0, "it allocates nothing", &(Host){0}, GRADC_OK);
    if (getenv("VERBOSE"))
        printf("%s: %ld allocations, %.1f s\n", name, count - 1, (double)(clock() - start) / CLOCKS_PER_SEC);
}

static void write_file(const char *name, const char *text) {
    FILE *stream = fopen(in_folder(name), "w");
    if (!stream || fputs(text, stream) < 0 || fclose(stream)) exit(1);
}

int main(void) {
    static const char *const files[] = {"points.csv",  "importer.grad", "part.grad", "weights",
                                        "weights.npz", "predicted.csv", "checkpoint"};
    if (!mkdtemp(folder)) return 1;
    write_file("points.csv", "1,3\n2,5\n3,7\n4,9\n");
    write_file("importer.grad", "import \"part.grad\"\nloss l(x: f32) { return part(x)^2 }\n");
    static char part[100000] =
        "net part(x: f32) -> f32 { param w: f32; return w * x }\n#";   // more than the arena has left
    memset(part + strlen(part), '-', sizeof part - 1 - strlen(part));
    write_file("part.grad", part);
    starve("compiling", FRESH, NULL, compile_model);
    starve("compiling files", FRESH, NULL, compile_files);
    starve("compiling what is wrong", FRESH, NULL, compile_wrong);
    starve("first values", KEPT, compile_model, initialise);
    starve("forward and backward", FRESH, compile_model, backward);
    starve("a function and its frame", FRESH, compile_model, functions);
    starve("training", KEPT, compile_model, train);
    starve("saving", KEPT, compile_model, save);
    starve("loading", KEPT, compile_model, load);
    given_away = true;   // libzip
    starve("saving npz", KEPT, compile_model, save_npz);
    starve("loading npz", KEPT, compile_model, load_npz);
    given_away = false;
    starve("fitting", KEPT, compile_model, fit);
    starve("fitting with a checkpoint", KEPT, compile_model, stop_fitting);
    starve("resuming", KEPT, compile_model, resume);
    starve("saving and loading under other names", KEPT, compile_model, rename_weights);
    starve("predicting", KEPT, compile_model, predict);
    starve("looking inside", FRESH, compile_model, look);
    starve("a message", KEPT, compile_model, complain);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(in_folder(files[i]));
    if (rmdir(folder)) {
        printf("%s is not empty\n", folder);
        failures++;
    }
    return failures != 0;
}
