// The arena: one offset for every scratch buffer, planned when compiled.
//
// Needs: all kernels of the program. A buffer lives from the first kernel that touches it to the last, at top level
// (what a loop's body touches lives as long as the loop runs). Buffers whose lives meet lie apart for every value of the
// open dims (semantics.md, S3): which of two lies below the other is decided for some usual values of the dims, the
// large ones first, each as low as it fits; a buffer then begins where the last of those below it ends, which is the
// greatest of a few polynomials.
#include "kernels/kernel.h"

#include <stdlib.h>

enum {
    ALIGNMENT_BYTES = 64,
    SAMPLES = 3,   // for so many values of the dims it is tried, where there are not too many buffers
    MANY_BUFFERS = 1000,
    MOST_ENDS = 8,   // more than so many polynomials are covered by a larger one
    FEW_ENDS = 2,
    SOME_BUFFERS = 80   // where there are many buffers, so that memory grows as they do
};
static const int64_t samples[SAMPLES] = {64, 8, 512};

// A scratch buffer.
typedef struct {
    Buffer *buffer;
    const Extent *size;       // bytes, rounded up
    int64_t sizes[SAMPLES];   // its values
    int64_t at;               // in the arrangement that is tried
} Tenant;

typedef struct {
    KernelProgram *program;
    ExtentTable *extents;
    int count;
    Tenant *tenants;
    int dim_count;
    int64_t *dims;   // the first sample
} Plan;

static void touch(Buffer *buffer, int position) {
    if (!buffer) return;
    if (buffer->first_use < 0 || position < buffer->first_use) buffer->first_use = position;
    if (position > buffer->last_use) buffer->last_use = position;
}

static void touch_all(const Kernel *kernel, int position) {
    for (int i = 0; i < kernel->instructions.count; i++) touch(kernel->instructions.items[i].buffer, position);
    touch(kernel->pack, position);
    touch(kernel->pack_left, position);
    for (int i = 0; i < kernel->body.count; i++) touch_all(kernel->body.items[i], position);
}

static const Extent *bytes_of(ExtentTable *extents, const Buffer *buffer) {
    int64_t size = (int64_t)dtype_size(buffer->dtype) * buffer->copies;
    return extent_multiply(extents, buffer->elements, extent_constant(extents, size));
}

static const Extent *align(ExtentTable *extents, const Extent *bytes) {
    const Extent *alignment = extent_constant(extents, ALIGNMENT_BYTES);
    const Extent *rounded = extent_add(extents, bytes, extent_constant(extents, ALIGNMENT_BYTES - 1));
    return extent_multiply(extents, extent_floor_divide(extents, rounded, alignment), alignment);
}

// ---- an arrangement, for one value of the dims

static bool meet(const Tenant *a, const Tenant *b) {
    return a->buffer->first_use <= b->buffer->last_use && b->buffer->first_use <= a->buffer->last_use;
}

static void insert(const Tenant **order, int count, const Tenant *tenant) {
    int at = count;
    for (; at > 0 && order[at - 1]->at > tenant->at; at--) order[at] = order[at - 1];
    order[at] = tenant;
}

// Gives each in turn its `at`, as low as it fits; `order` gets them from the lowest on.
static void arrange(const Plan *plan, int sample, Tenant *const *sorted, const Tenant **order) {
    for (int i = 0; i < plan->count; i++) {
        Tenant *tenant = sorted[i];
        tenant->at = 0;
        for (int k = 0; k < i; k++) {
            if (!meet(order[k], tenant)) continue;
            if (order[k]->at >= tenant->at + tenant->sizes[sample]) break;
            int64_t end = order[k]->at + order[k]->sizes[sample];
            if (end > tenant->at) tenant->at = end;
        }
        insert(order, i, tenant);
    }
}

// How much room the arrangement takes for the dims of `sample`.
static int64_t room_of(const Plan *plan, const Tenant *const *order, int sample, int64_t *ends) {
    int64_t room = 0;
    for (int i = 0; i < plan->count; i++) {
        int64_t begin = 0;
        for (int k = 0; k < i; k++)
            if (ends[k] > begin && meet(order[k], order[i])) begin = ends[k];
        ends[i] = begin + order[i]->sizes[sample];
        if (ends[i] > room) room = ends[i];
    }
    return room;
}

// The least room for the dims of `sample`: of all that lives at once.
static int64_t least_room(const Plan *plan, int sample) {
    int64_t *change = arena_array(plan->program->arena, int64_t, plan->program->kernels.count + 1), now = 0, most = 1;
    for (int i = 0; i < plan->count; i++) {
        change[plan->tenants[i].buffer->first_use] += plan->tenants[i].sizes[sample];
        change[plan->tenants[i].buffer->last_use + 1] -= plan->tenants[i].sizes[sample];
    }
    for (int i = 0; i < plan->program->kernels.count; i++) {
        now += change[i];
        if (now > most) most = now;
    }
    return most;
}

static int life_of(const Tenant *tenant) {
    return tenant->buffer->last_use - tenant->buffer->first_use;
}

static int compare(int64_t a, int64_t b) {
    return a < b ? -1 : a > b;
}

// The large ones first; of one size in the order of their lives, which wastes nothing.
static int by_size(const void *a, const void *b) {
    const Tenant *left = *(Tenant *const *)a, *right = *(Tenant *const *)b;
    int order = compare(right->at, left->at);
    if (!order) order = compare(left->buffer->first_use, right->buffer->first_use);
    return order ? order : left->buffer->id - right->buffer->id;
}

static int by_begin(const void *a, const void *b) {
    const Tenant *left = *(Tenant *const *)a, *right = *(Tenant *const *)b;
    int order = compare(left->buffer->first_use, right->buffer->first_use);
    return order ? order : by_size(a, b);
}

static int by_life(const void *a, const void *b) {
    const Tenant *left = *(Tenant *const *)a, *right = *(Tenant *const *)b;
    int order = compare(life_of(right), life_of(left));
    return order ? order : by_size(a, b);
}

typedef int Compare(const void *a, const void *b);

static void sort(const Plan *plan, int sample, Compare *compare_tenants, Tenant **sorted) {
    for (int i = 0; i < plan->count; i++) {
        sorted[i] = &plan->tenants[i];
        sorted[i]->at = sorted[i]->sizes[sample];
    }
    if (plan->count) qsort(sorted, (size_t)plan->count, sizeof(Tenant *), compare_tenants);
}

// Of several arrangements for each of the dims' values the one that wastes least where it wastes most: its tenants from
// the lowest on.
static const Tenant **best_order(const Plan *plan) {
    static Compare *const ways[] = {by_size, by_begin, by_life};
    Arena *arena = plan->program->arena;
    Tenant **sorted = arena_array(arena, Tenant *, plan->count);
    const Tenant **best = NULL;
    int64_t *ends = arena_array(arena, int64_t, plan->count);
    double least = 0;
    int tries = plan->count > MANY_BUFFERS ? 1 : SAMPLES * (int)(sizeof ways / sizeof *ways);
    for (int i = 0; i < tries && (!best || least > 1); i++) {
        const Tenant **order = arena_array(arena, const Tenant *, plan->count);
        double worst = 0;
        sort(plan, i % SAMPLES, ways[i / SAMPLES], sorted);
        arrange(plan, i % SAMPLES, sorted, order);
        for (int other = 0; other < SAMPLES; other++) {
            double waste = (double)room_of(plan, order, other, ends) / (double)least_room(plan, other);
            if (waste > worst) worst = waste;
        }
        if (best && worst >= least) continue;
        best = order;
        least = worst;
    }
    return best;
}

// ---- for all values of the dims

// The end of a place: a sum of sizes, each rounded up, and polynomials that it never is below or above. Those can be
// compared where sums with different roundings cannot.
typedef struct {
    const Extent *value, *low, *high;
} End;

// The greatest of some ends.
typedef struct {
    int count;
    End of[MOST_ENDS];
} Greatest;

static bool is_below(ExtentTable *extents, const End *a, const End *b) {
    return extent_at_least(extents, b->value, a->value) || extent_at_least(extents, b->low, a->high);
}

static int64_t sample_of(const Plan *plan, const Extent *extent) {
    return extent_evaluate(extent, plan->dims, NULL);
}

// One end for two: that one and the one among those there with which it is least.
static End cover(const Plan *plan, Greatest *greatest, int *kept, const End *end) {
    const Extent *best = NULL;
    int with = 0;
    for (int i = 0; i < *kept; i++) {
        const Extent *both = extent_cover(plan->extents, greatest->of[i].high, end->high);
        int64_t more = sample_of(plan, both) - sample_of(plan, greatest->of[i].high);
        if (best && more >= sample_of(plan, best) - sample_of(plan, greatest->of[with].high)) continue;
        best = both;
        with = i;
    }
    greatest->of[with] = greatest->of[--*kept];
    const Extent *value = align(plan->extents, best);
    const Extent *slack = extent_constant(plan->extents, value == best ? 0 : ALIGNMENT_BYTES - 1);
    return (End){value, best, extent_add(plan->extents, best, slack)};
}

static void include(const Plan *plan, Greatest *greatest, End end) {
    int kept = 0;
    for (int i = 0; i < greatest->count; i++)
        if (is_below(plan->extents, &end, &greatest->of[i])) return;
    for (int i = 0; i < greatest->count; i++)
        if (!is_below(plan->extents, &greatest->of[i], &end)) greatest->of[kept++] = greatest->of[i];
    if (kept == (plan->count > SOME_BUFFERS ? FEW_ENDS : MOST_ENDS)) end = cover(plan, greatest, &kept, &end);
    greatest->of[kept++] = end;
    greatest->count = kept;
}

static const Extent *value_of(ExtentTable *extents, const Greatest *greatest) {
    const Extent *value = extent_constant(extents, 0);
    for (int i = 0; i < greatest->count; i++) value = extent_maximum(extents, greatest->of[i].value, value);
    return value;
}

static End behind(const Plan *plan, const End *begin, const Tenant *tenant) {
    const Extent *more = extent_constant(plan->extents, ALIGNMENT_BYTES - 1);
    const Extent *bytes = bytes_of(plan->extents, tenant->buffer), *high = bytes;
    if (tenant->size != bytes) high = extent_add(plan->extents, bytes, more);
    return (End){extent_add(plan->extents, begin->value, tenant->size), extent_add(plan->extents, begin->low, bytes),
                 extent_add(plan->extents, begin->high, high)};
}

// Whether one of those that begin on top of `low` is below the next, too.
static bool is_covered(const Tenant *low, const Tenant *const *covering, int count) {
    for (int i = 0; i < count; i++)
        if (meet(covering[i], low)) return true;
    return false;
}

static void give_places(const Plan *plan, const Tenant *const *order) {
    Arena *arena = plan->program->arena;
    Greatest all = {0}, *ends = arena_array(arena, Greatest, plan->count);
    const Tenant **covering = arena_array(arena, const Tenant *, plan->count);
    const Extent *zero = extent_constant(plan->extents, 0);
    for (int i = 0; i < plan->count; i++) {
        Greatest begin = {0};
        int count = 0;
        for (int k = i - 1; k >= 0; k--) {
            if (!meet(order[k], order[i]) || is_covered(order[k], covering, count)) continue;
            covering[count++] = order[k];
            for (int e = 0; e < ends[k].count; e++) include(plan, &begin, ends[k].of[e]);
        }
        order[i]->buffer->offset = value_of(plan->extents, &begin);
        if (!begin.count) include(plan, &begin, (End){zero, zero, zero});
        for (int e = 0; e < begin.count; e++) {
            End end = behind(plan, &begin.of[e], order[i]);
            include(plan, &ends[i], end);
            include(plan, &all, end);
        }
    }
    plan->program->scratch_bytes = value_of(plan->extents, &all);
}

static void add_tenant(Plan *plan, Buffer *buffer) {
    Tenant *tenant = &plan->tenants[plan->count++];
    tenant->buffer = buffer;
    tenant->size = align(plan->extents, bytes_of(plan->extents, buffer));
    for (int sample = SAMPLES - 1; sample >= 0; sample--) {
        for (int i = 0; i < plan->dim_count; i++) plan->dims[i] = samples[sample];
        int64_t size = extent_evaluate(tenant->size, plan->dims, NULL);
        tenant->sizes[sample] = size > 0 ? size : 0;
    }
}

void kernel_program_plan(KernelProgram *program) {
    Plan plan = {.program = program, .extents = program->graph->extents};
    plan.tenants = arena_array(program->arena, Tenant, program->buffers.count);
    for (int i = 0; i < program->kernels.count; i++) touch_all(program->kernels.items[i], i);
    for (int i = 0; i < program->buffers.count; i++) {
        int dims = extent_dim_count(program->buffers.items[i]->elements);
        if (dims > plan.dim_count) plan.dim_count = dims;
    }
    plan.dims = arena_array(program->arena, int64_t, plan.dim_count);
    for (int i = 0; i < program->buffers.count; i++) {
        Buffer *buffer = program->buffers.items[i];
        if (buffer->space == SPACE_SCRATCH && buffer->first_use >= 0) add_tenant(&plan, buffer);
    }
    give_places(&plan, best_order(&plan));
}

// ---- the least room

// The scratch buffers that are used first, or last, by each kernel, in lists in order of their ids.
typedef struct {
    Buffer **first, **last;             // by position
    Buffer **next_first, **next_last;   // by buffer id
} Lives;

static Lives find_lives(const KernelProgram *program) {
    Lives lives = {arena_array(program->arena, Buffer *, program->kernels.count),
                   arena_array(program->arena, Buffer *, program->kernels.count),
                   arena_array(program->arena, Buffer *, program->buffers.count),
                   arena_array(program->arena, Buffer *, program->buffers.count)};
    for (int i = program->buffers.count - 1; i >= 0; i--) {
        Buffer *buffer = program->buffers.items[i];
        if (buffer->space != SPACE_SCRATCH || buffer->first_use < 0) continue;
        lives.next_first[i] = lives.first[buffer->first_use];
        lives.first[buffer->first_use] = buffer;
        lives.next_last[i] = lives.last[buffer->last_use];
        lives.last[buffer->last_use] = buffer;
    }
    return lives;
}

const Extent **kernel_program_live(const KernelProgram *program) {
    ExtentTable *extents = program->graph->extents;
    const Extent **live = arena_array(program->arena, const Extent *, program->kernels.count);
    const Extent *now = extent_constant(extents, 0);
    Lives lives = find_lives(program);
    for (int i = 0; i < program->kernels.count; i++) {
        for (Buffer *buffer = lives.first[i]; buffer; buffer = lives.next_first[buffer->id])
            now = extent_add(extents, now, align(extents, bytes_of(extents, buffer)));
        live[i] = now;
        for (Buffer *buffer = lives.last[i]; buffer; buffer = lives.next_last[buffer->id])
            now = extent_subtract(extents, now, align(extents, bytes_of(extents, buffer)));
    }
    return live;
}
