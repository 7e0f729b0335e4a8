// Linked into every program of a build under AddressSanitizer: its options where they depend on the machine.
#include <unistd.h>

// Called by the sanitizer's runtime. The leak checker reads /proc; in a chroot without it, it would fail every program
// (and ASAN_OPTIONS can't say so, for the runtime reads the environment from /proc too).
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return access("/proc/self/task", F_OK) == 0 ? "" : "detect_leaks=0";
}
