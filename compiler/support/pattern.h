// Patterns of paths such as "mlp.hidden.W", as settings of a program and options of the runtime write them.
#ifndef GRADC_SUPPORT_PATTERN_H
#define GRADC_SUPPORT_PATTERN_H

#include <stdbool.h>

// `*` stands for any characters, dots included, and `?` for one. A pattern also takes everything below what it matches:
// "mlp.hidden" is for mlp.hidden.W.
bool pattern_takes(const char *pattern, const char *path);

#endif
