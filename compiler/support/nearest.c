// The name that was probably meant by one that is not there.
#include "support/nearest.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

static char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? (char)(letter + 'a' - 'A') : letter;
}

// LayerNorm and layer_norm are one name.
static bool same_letters(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == '_') a++;
        while (*b == '_') b++;
        if (lower(*a) != lower(*b)) return false;
        if (!*a) return true;
    }
}

static int minimum_of(int a, int b, int c) {
    int least = a < b ? a : b;
    return least < c ? least : c;
}

enum { EDIT = 3, EXCHANGE = 2 };

// What it costs to turn one name into the other: letters put in, left out or changed, or exchanged with their neighbour.
// Names of more than 31 bytes never match.
static int cost_between(const char *a, const char *b) {
    enum { LONGEST = 31 };
    size_t m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) return INT_MAX / 4;
    int rows[3][LONGEST + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t k = 0; k <= n; k++) row[k] = EDIT * (int)k;
    for (size_t i = 1; i <= m; i++) {
        int *oldest = before;
        before = above, above = row, row = oldest;
        row[0] = EDIT * (int)i;
        for (size_t k = 1; k <= n; k++) {
            int changed = a[i - 1] == b[k - 1] ? 0 : EDIT;
            row[k] = minimum_of(above[k] + EDIT, row[k - 1] + EDIT, above[k - 1] + changed);
            bool exchanged = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
            if (exchanged && before[k - 2] + EXCHANGE < row[k]) row[k] = before[k - 2] + EXCHANGE;
        }
    }
    return row[n];
}

NameSearch search_for(const char *name) {
    return (NameSearch){name, NULL, INT_MAX};
}

void consider_name(NameSearch *search, const char *name) {
    int cost = same_letters(search->wanted, name) ? 0 : cost_between(search->wanted, name);
    if (cost >= search->cost || cost > (int)strlen(search->wanted) + 1) return;
    search->best = name;
    search->cost = cost;
}

const char *nearest_name(const char *wanted, const char *const *names, int count) {
    NameSearch search = search_for(wanted);
    for (int i = 0; i < count; i++) consider_name(&search, names[i]);
    return search.best;
}
