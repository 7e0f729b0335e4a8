// Processes of their own for checks: a fork, memory that both see, and an alarm.
#include "isolate.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *fault_name(FaultKind kind) {
    static const char *const names[] = {
        [FAULT_NONE] = "nothing",      [FAULT_REFUSED] = "refused",
        [FAULT_INTERNAL] = "internal", [FAULT_BITS] = "bits",
        [FAULT_CUT] = "cut",           [FAULT_REWRITE] = "rewrite",
        [FAULT_MODES] = "modes",       [FAULT_DIFFERENCES] = "differences",
        [FAULT_STEP] = "step",         [FAULT_PRINTED] = "printed",
        [FAULT_CRASH] = "crash",       [FAULT_HANG] = "hang",
    };
    return names[kind];
}

void verdict_set(Verdict *verdict, FaultKind kind, const char *format, ...) {
    if (verdict->kind) return;   // the first is kept
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->message, sizeof verdict->message, format, arguments);
    va_end(arguments);
    verdict->kind = kind;
}

// The child: what the check prints goes to a file, whose beginning is kept if something is wrong.
static void run_child(IsolatedCheck *check, void *context, Verdict *verdict, FILE *output, unsigned seconds) {
    dup2(fileno(output), STDOUT_FILENO);
    dup2(fileno(output), STDERR_FILENO);
    alarm(seconds);
    check(context, verdict);
    fflush(NULL);
    _exit(0);
}

static void keep_output(Verdict *verdict, FILE *output) {
    size_t room = sizeof verdict->message - strlen(verdict->message) - 1;
    char *end = verdict->message + strlen(verdict->message);
    rewind(output);
    size_t length = fread(end, 1, room, output);
    end[length] = 0;
}

Verdict isolated(IsolatedCheck *check, void *context, int seconds) {
    Verdict *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *output = tmpfile();
    if (shared == MAP_FAILED || !output) abort();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) run_child(check, context, shared, output, (unsigned)seconds);
    int status = 0;
    waitpid(child, &status, 0);
    bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    if (hangs) verdict_set(shared, FAULT_HANG, "it takes more than %d s", seconds);
    else if (WIFSIGNALED(status) || WEXITSTATUS(status)) {
        shared->kind = FAULT_NONE;
        if (WIFSIGNALED(status)) verdict_set(shared, FAULT_CRASH, "signal %d: ", WTERMSIG(status));
        else verdict_set(shared, FAULT_CRASH, "exit status %d: ", WEXITSTATUS(status));
    }
    if (shared->kind) keep_output(shared, output);
    Verdict verdict = *shared;
    munmap(shared, sizeof *shared);
    fclose(output);
    return verdict;
}
