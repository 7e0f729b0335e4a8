// Machine code that is kept in files: what is found has the same bits as what was made; another processor, width or
// kernel finds nothing; damaged files, full folders, folders that cannot be written and processes that write at once do
// no harm.
#define _GNU_SOURCE
#include "runtime/cache.h"
#include "tests/unit/host.h"

#include <dirent.h>
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 5, PATH = 300 };

static char root[] = "/tmp/gradc-cache-XXXXXX";
static char folder[PATH];   // of the check that runs

static const char model[] = "dim N\n"
                            "loss error(x: f32[N, 3]) {\n"
                            "    param w: f32[3] ~ ones\n"
                            "    return sum(tanh(x * w)^2)\n"
                            "}\n";
// The same with other names.
static const char renamed[] = "dim Rows\n"
                              "loss mistake(input: f32[Rows, 3]) {\n"
                              "    param weights: f32[3] ~ ones\n"
                              "    return sum(tanh(input * weights)^2)\n"
                              "}\n";
static const char other[] = "dim N\n"
                            "loss error(x: f32[N, 3]) {\n"
                            "    param w: f32[3] ~ ones\n"
                            "    return sum(sigmoid(x * w)^2)\n"
                            "}\n";

// ---- a run, and what it found

typedef struct {
    float loss, gradient[3];
    gradc_timings timings;
} Run;

static Run run_with(const char *text, const char *entry, gradc_options options) {
    Run run = {0};
    gradc_program *program;
    float x[ROWS * 3];
    for (int i = 0; i < ROWS * 3; i++) x[i] = 0.1f * (float)i - 0.7f;
    options.cache_folder = options.cache_folder ? options.cache_folder : folder;
    OK(gradc_compile_text("cache.grad", text, strlen(text), &options, &program));
    gradc_call *call = create_call(program, entry);
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {ROWS, 3}, x}));
    OK(gradc_call_forward(call));
    OK(gradc_call_backward(call, false));
    run.loss = number(call);
    memcpy(run.gradient, gradc_gradients(program), sizeof run.gradient);
    gradc_get_timings(program, &run.timings);
    gradc_call_free(call);
    gradc_program_free(program);
    return run;
}

static Run run(const char *text) {
    return run_with(text, "error", (gradc_options){.cache = true});
}

static bool same_bits(const Run *a, const Run *b) {
    return memcmp(&a->loss, &b->loss, sizeof a->loss) == 0 && memcmp(a->gradient, b->gradient, sizeof a->gradient) == 0;
}

// ---- files

static void new_folder(void) {
    static int number;
    snprintf(folder, sizeof folder, "%s/%d", root, number++);
}

typedef struct {
    int count;
    int64_t bytes;
    char paths[64][PATH + 300];
} Files;

static Files files_of(const char *path) {
    Files files = {0};
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream)) != NULL;) {
        struct stat status;
        if (entry->d_name[0] == '.' || files.count == 64) continue;
        snprintf(files.paths[files.count], sizeof files.paths[0], "%s/%s", path, entry->d_name);
        if (stat(files.paths[files.count], &status) == 0) files.bytes += status.st_size;
        files.count++;
    }
    if (stream) closedir(stream);
    return files;
}

static void change_byte(const char *path, long at, char change) {
    FILE *file = fopen(path, "r+b");
    if (!file) exit(1);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    fputc(byte ^ change, file);
    fclose(file);
}

// ---- checks

static void check_hits(void) {
    new_folder();
    Run plain = run_with(model, "error", (gradc_options){0});
    CHECK(plain.timings.functions >= 2 && files_of(folder).count == 0);
    Run cold = run(model), warm = run(model);
    CHECK(cold.timings.cached == 0 && files_of(folder).count == cold.timings.functions);
    CHECK(warm.timings.cached == warm.timings.functions && warm.timings.functions == cold.timings.functions);
    CHECK(warm.timings.emit == 0);
    CHECK(same_bits(&plain, &cold) && same_bits(&plain, &warm) && isfinite(plain.loss) && plain.gradient[0] != 0);
    Run same = run_with(renamed, "mistake", (gradc_options){.cache = true});
    CHECK(same.timings.cached == same.timings.functions && same_bits(&plain, &same));
    struct stat status;
    CHECK(stat(folder, &status) == 0 && (status.st_mode & 0777) == 0700);
}

// Whatever decides the code and differs finds nothing.
static void check_misses(void) {
    new_folder();
    run(model);
    int count = files_of(folder).count;
    CHECK(run(other).timings.cached == 0);
    CHECK(files_of(folder).count == 2 * count);
    Run narrow = run_with(model, "error", (gradc_options){.cache = true, .vector_bytes = 16});
    Run wide = run_with(model, "error", (gradc_options){.cache = true, .vector_bytes = 64});
    CHECK(narrow.timings.cached == 0 || wide.timings.cached == 0);   // one of them may be this machine's own
    CHECK(same_bits(&narrow, &wide));
}

typedef struct {
    char *key;
    size_t size;
} Seen;

static void *find_nothing(void *context, const void *key, size_t key_size, size_t *size) {
    Seen *seen = context;
    free(seen->key);
    seen->key = malloc(key_size);
    if (!seen->key) exit(1);
    memcpy(seen->key, key, key_size);
    seen->size = key_size;
    *size = 0;
    return NULL;
}

static void keep_nothing(void *context, const void *key, size_t key_size, const void *object, size_t size) {
    (void)context, (void)key, (void)key_size, (void)object, (void)size;
}

static bool contains(const Seen *seen, const char *words) {
    return memmem(seen->key, seen->size, words, strlen(words)) != NULL;
}

// The key says for which processor and by which LLVM the code was made.
static void check_key(void) {
    Seen seen = {0};
    char *message, *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(),
                   *features = LLVMGetHostCPUFeatures();
    Arena *arena = arena_create();
    KernelProgram program = {.arena = arena, .name = "nothing", .workers = 1};
    Jit *jit = jit_create(NULL, 32, &message);
    JitCost cost;
    const ObjectStore store = {find_nothing, keep_nothing, &seen};
    if (setjmp(*arena_recover(arena))) exit(1);
    program.graph = graph_create(arena);
    CHECK(jit_compile_kept(jit, &program, &store, &cost, &message) != NULL && !cost.found);
    CHECK(contains(&seen, triple) && contains(&seen, cpu) && contains(&seen, features));
    CHECK(contains(&seen, "LLVM 19.") && contains(&seen, "gradc "));
    jit_destroy(jit);
    arena_destroy(arena);
    free(seen.key);
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
}

// An object that needs the C library's `cos`, as objects for old processors need some functions, and one that is none.
static LLVMMemoryBufferRef foreign_object(void) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("foreign", context);
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
    LLVMTypeRef number = LLVMDoubleTypeInContext(context), pointer = LLVMPointerTypeInContext(context, 0);
    LLVMTypeRef i32 = LLVMInt32TypeInContext(context), of_number = LLVMFunctionType(number, &number, 1, 0);
    LLVMValueRef function = LLVMAddFunction(module, "foreign", LLVMFunctionType(i32, &pointer, 1, 0));
    LLVMValueRef cosine = LLVMAddFunction(module, "cos", of_number);
    LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(context, function, ""));
    LLVMValueRef zero = LLVMConstReal(number, 0);
    LLVMValueRef one = LLVMBuildCall2(builder, of_number, cosine, &zero, 1, "");
    LLVMBuildRet(builder, LLVMBuildFPToSI(builder, one, i32, ""));
    char *triple = LLVMGetDefaultTargetTriple(), *message = NULL;
    LLVMTargetRef target;
    LLVMMemoryBufferRef object = NULL;
    if (LLVMGetTargetFromTriple(triple, &target, &message)) exit(1);
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, triple, "", "", LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelSmall);
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &message, &object)) exit(1);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeMessage(triple);
    LLVMDisposeBuilder(builder);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return object;
}

static const char *given;
static size_t given_size;

static void *find_given(void *context, const void *key, size_t key_size, size_t *size) {
    (void)context, (void)key, (void)key_size;
    char *copy = malloc(given_size + 1);
    if (copy) memcpy(copy, given, given_size);
    *size = given_size;
    return copy;
}

static void check_foreign(void) {
    char *message;
    Arena *arena = arena_create();
    KernelProgram program = {.arena = arena, .name = "nothing", .workers = 1};
    Jit *jit = jit_create(NULL, 0, &message);
    JitCost cost;
    const ObjectStore store = {find_given, keep_nothing, NULL};
    gradc_frame frame = {0};
    if (setjmp(*arena_recover(arena))) exit(1);
    program.graph = graph_create(arena);
    given = "this is no object";
    given_size = strlen(given);
    gradc_function *made = jit_compile_kept(jit, &program, &store, &cost, &message);   // starts LLVM
    CHECK(made && !cost.found && made(&frame) == 0);
    LLVMMemoryBufferRef object = foreign_object();
    given = LLVMGetBufferStart(object);
    given_size = LLVMGetBufferSize(object);
    gradc_function *foreign = jit_compile_kept(jit, &program, &store, &cost, &message);
    CHECK(foreign && cost.found && foreign(&frame) == 1);
    // Cut short anywhere it is refused, and made again.
    for (given_size = 0; given_size < LLVMGetBufferSize(object); given_size += 61) {
        made = jit_compile_kept(jit, &program, &store, &cost, &message);
        CHECK(made && !cost.found && made(&frame) == 0);
    }
    LLVMDisposeMemoryBuffer(object);
    jit_destroy(jit);
    arena_destroy(arena);
}

// A key that differs in any byte finds nothing, not even in a file that has its name.
static void check_files(void) {
    new_folder();
    Cache cache = {.limit = 1 << 20};
    memcpy(cache.folder, folder, sizeof folder);
    const char key[] = "x86_64, a processor", changed[] = "x86_64, b processor", object[] = "code";
    size_t size = 0;
    CHECK(cache_find(&cache, key, sizeof key, &size) == NULL);
    cache_keep(&cache, key, sizeof key, object, sizeof object);
    cache_keep(&cache, changed, sizeof changed, "edoc", 5);
    char *found = cache_find(&cache, key, sizeof key, &size);
    CHECK(found && size == sizeof object && memcmp(found, object, size) == 0);
    free(found);
    CHECK(cache_find(&cache, key, sizeof key - 1, &size) == NULL);
    Files files = files_of(folder);
    CHECK(files.count == 2);
    rename(files.paths[0], files.paths[1]);
    char *first = cache_find(&cache, key, sizeof key, &size),
         *second = cache_find(&cache, changed, sizeof changed, &size);
    CHECK(!first && !second);
    free(first);
    free(second);
}

// Wherever a file is damaged, it is as if it was not there, and is made again.
static void check_damage(void) {
    new_folder();
    Run cold = run(model);
    Files files = files_of(folder);
    static const long places[] = {0, 8, 20, 30, 40, 300, 2000, -600, -1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (int k = 0; k < files.count; k++) change_byte(files.paths[k], places[i], 0x10);
        Run mended = run(model), warm = run(model);
        CHECK(mended.timings.cached == 0 && same_bits(&cold, &mended));
        CHECK(warm.timings.cached == warm.timings.functions && same_bits(&cold, &warm));
    }
    for (int length = 0; length < 200; length += 37) {
        for (int k = 0; k < files.count; k++) CHECK(truncate(files.paths[k], length) == 0);
        CHECK(run(model).timings.cached == 0);
    }
}

// What others can write is not run.
static void check_owner(void) {
    new_folder();
    run(model);
    Files files = files_of(folder);
    for (int k = 0; k < files.count; k++) CHECK(chmod(files.paths[k], 0666) == 0);
    CHECK(run(model).timings.cached == 0);
    CHECK(run(model).timings.cached > 0);   // they were replaced
}

// A pipe in a file's place is passed by, not waited for.
static void check_pipe(void) {
    new_folder();
    run(model);
    Files files = files_of(folder);
    for (int k = 0; k < files.count; k++) CHECK(unlink(files.paths[k]) == 0 && mkfifo(files.paths[k], 0600) == 0);
    CHECK(run(model).timings.cached == 0);
}

// Files of old use make room; what does not fit at all is not kept.
static void check_limit(void) {
    new_folder();
    Cache cache = {.limit = 10000};
    memcpy(cache.folder, folder, sizeof folder);
    static char object[1000];
    size_t size;
    for (int i = 0; i < 30; i++) {
        void *first = i ? cache_find(&cache, &(int){0}, sizeof i, &size) : object;
        CHECK(first != NULL);   // it is used again and again, and so stays
        if (i) free(first);
        cache_keep(&cache, &i, sizeof i, object, sizeof object);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);   // times of files have the grain of a tick
        CHECK(files_of(folder).bytes <= cache.limit);
    }
    CHECK(files_of(folder).count >= 6);
    CHECK(cache_find(&cache, &(int){1}, sizeof(int), &size) == NULL);
    static char large[20000];
    int count = files_of(folder).count;
    cache_keep(&cache, "large", 5, large, sizeof large);
    CHECK(files_of(folder).count == count && cache_find(&cache, "large", 5, &size) == NULL);
}

static void check_no_folder(void) {
    char file[PATH];
    snprintf(file, sizeof file, "%s/file", root);
    FILE *stream = fopen(file, "w");
    if (stream) fclose(stream);
    gradc_options inside_file = {.cache = true, .cache_folder = file};
    CHECK(run_with(model, "error", inside_file).timings.cached == 0);
    CHECK(run_with(model, "error", inside_file).timings.cached == 0);
    new_folder();
    run(model);
    CHECK(chmod(folder, 0500) == 0);
    Run read = run(model);
    CHECK(read.timings.cached == read.timings.functions);   // a folder that can only be read is read
    Run unwritten = run(other);                             // root can write it all the same
    CHECK(isfinite(unwritten.loss) && unwritten.timings.cached == 0);
    CHECK(chmod(folder, 0700) == 0);
    gradc_options from_environment = {.cache = true, .cache_folder = NULL};
    new_folder();
    setenv("GRADC_CACHE_DIR", folder, 1);
    gradc_program *program;
    OK(gradc_compile_text("cache.grad", model, strlen(model), &from_environment, &program));
    gradc_call *call = create_call(program, "error");
    OK(gradc_call_compile(call, GRADC_KIND_VALUE));
    CHECK(files_of(folder).count == 1);
    gradc_call_free(call);
    gradc_program_free(program);
}

// Processes that write and read the same files, while others remove them.
static void check_processes(void) {
    enum { PROCESSES = 4, ROUNDS = 3 };
    new_folder();
    Run expected = run_with(model, "error", (gradc_options){0});
    for (int i = 0; i < PROCESSES; i++) {
        pid_t process = fork();
        if (process != 0) continue;
        failures = 0;
        for (int k = 0; k < ROUNDS; k++) {
            Run found = run_with(model, "error", (gradc_options){.cache = true, .cache_bytes = i ? 0 : 6000});
            if (!same_bits(&expected, &found)) _exit(1);
        }
        _exit(failures != 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        wait(&status);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    Files files = files_of(folder);
    for (int i = 0; i < files.count; i++) CHECK(strlen(strrchr(files.paths[i], '/')) == 33);   // no temporary ones
}

static void check_options(void) {
    gradc_program *program;
    gradc_options options = {.cache = true, .cache_bytes = -1};
    REFUSED(gradc_compile_text("cache.grad", model, strlen(model), &options, &program), GRADC_ARGUMENT, "cache_bytes");
    gradc_program_free(program);
}

static void remove_all(void) {
    char command[PATH];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    if (system(command) != 0) printf("%s could not be removed\n", root);
}

int main(void) {
    if (!mkdtemp(root)) return 1;
    check_hits();
    check_misses();
    check_key();
    check_foreign();
    check_files();
    check_damage();
    check_owner();
    check_pipe();
    check_limit();
    check_no_folder();
    check_processes();
    check_options();
    remove_all();
    return failures != 0;
}
