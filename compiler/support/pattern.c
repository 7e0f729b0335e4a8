// Matching paths with patterns. On a mismatch the last star takes one character more.
#include "support/pattern.h"

#include <stddef.h>
#include <string.h>

static bool matches(const char *pattern, const char *text, const char *end) {
    const char *star = NULL, *from = NULL;
    while (text < end) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else return false;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

bool pattern_takes(const char *pattern, const char *path) {
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.'))
        if (matches(pattern, path, dot)) return true;
    return matches(pattern, path, path + strlen(path));
}
