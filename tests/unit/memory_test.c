// Memory that runs out: whichever allocation fails, the call fails with GRADC_MEMORY, nothing crashes or is half done,
// and what failed can be tried again. (Not below LLVM, which ends the process when its own allocations fail.)
#include "tests/unit/host.h"

#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
// AddressSanitizer has its own malloc.
int main(void) {
    return 0;
}
#else

// Allocations that still succeed; -1: all do.
static long left = -1;
static bool refuse(void) {
    if (left < 0) return false;
    if (left == 0) return true;
    left--;
    return false;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size) {
    return refuse() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    return refuse() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
    return refuse() ? NULL : __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    return refuse() ? NULL : __libc_memalign(alignment, size);
}

static gradc_program *program;
static const char *path;

static gradc_status compile_net(void) {
    gradc_program_free(program);
    return gradc_compile_text("test.grad", net_model, strlen(net_model), NULL, &program);
}
static gradc_status initialise(void) {
    return gradc_initialise(program, 3);
}
static gradc_status create(void) {
    gradc_call *call;
    gradc_status status = gradc_call_create(program, "nll", &call);
    gradc_call_free(call);
    return status;
}
static gradc_status create_training(void) {
    gradc_trainer *trainer;
    gradc_status status = gradc_trainer_create(program, "nll", &trainer);
    gradc_trainer_free(trainer);
    return status;
}
static gradc_status save(void) {
    return gradc_save(program, path);
}
static gradc_status load(void) {
    return gradc_load(program, path);
}
static gradc_status dump(void) {
    const char *text;
    return gradc_dump(program, GRADC_STAGE_PLAN, "nll", GRADC_KIND_STEP, &text);
}
static gradc_status complain(void) {
    gradc_call *call;
    return gradc_call_create(program, "nothing", &call) == GRADC_ARGUMENT ? GRADC_OK : GRADC_MEMORY;
}

// Lets the first allocation fail, then the second, until there are none left to fail.
static void starve(const char *name, gradc_status function(void)) {
    enum { MANY = 100000 };
    for (long allowed = 0; allowed < MANY; allowed++) {
        left = allowed;
        gradc_status status = function();
        bool reached = left == 0;
        left = -1;
        if (status == GRADC_OK && !reached) return;
        // A save that cannot allocate inside stdio or realpath says that the file cannot be written.
        if (status == GRADC_OK || status == GRADC_MEMORY || status == GRADC_FILE) continue;
        printf("%s, after %ld allocations: status %d, \"%s\"\n", name, allowed, status, gradc_message(program));
        failures++;
        return;
    }
    printf("%s: never done\n", name);
    failures++;
}

int main(void) {
    char folder[] = "/tmp/gradc-memory-XXXXXX", file[64];
    if (!mkdtemp(folder)) return 1;
    snprintf(file, sizeof file, "%s/weights", folder);
    path = file;
    starve("compiling", compile_net);
    starve("first values", initialise);
    starve("creating a call", create);
    starve("creating a trainer", create_training);
    starve("saving", save);
    starve("loading", load);
    starve("a message", complain);
    starve("lowering", dump);
    CHECK(initialise() == GRADC_OK && save() == GRADC_OK && load() == GRADC_OK && dump() == GRADC_OK);
    gradc_program_free(program);
    unlink(file);
    rmdir(folder);
    return failures != 0;
}
#endif
