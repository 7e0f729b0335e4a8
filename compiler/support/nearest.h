// The name that was probably meant by one that is not there.
#ifndef GRADC_SUPPORT_NEAREST_H
#define GRADC_SUPPORT_NEAREST_H

typedef struct {
    const char *wanted;
    const char *best;   // NULL: none is near
    int cost;           // of turning one into the other
} NameSearch;

NameSearch search_for(const char *name);
void consider_name(NameSearch *search, const char *name);
const char *nearest_name(const char *wanted, const char *const *names, int count);   // NULL: none is near

#endif
