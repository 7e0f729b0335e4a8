// Hashes of what a program computes: of its parameters and states, and of each train block's loss, gradient, optimizer
// and data. Comments, layout and local names do not count, nor do entries that no training needs, nor settings that a
// training may choose anew (batch, epochs, seed).
#include "runtime/identity.h"

#include <stdio.h>

// FNV-1a.
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}

static const uint64_t hash_of_nothing = 14695981039346656037u;

void hash_text(uint64_t hash, char text[HASH_TEXT]) {
    snprintf(text, HASH_TEXT, "%016llx", (unsigned long long)hash);
}

static void add_part(Identity *identity, const char *name, const Text *text) {
    uint64_t hash = hash_bytes(hash_of_nothing, text->bytes, (size_t)text->length);
    identity->parts[identity->count++] = (Part){.name = name, .hash = hash};
    char digits[HASH_TEXT];
    hash_text(hash, digits);
    identity->whole = hash_bytes(identity->whole, digits, HASH_TEXT);
}

// ---- what is printed of each part

static void print_weight(Text *text, const char *path, const Node *variable) {
    text_add(text, "%s: ", path);
    print_shape(text, variable->dtype, (const Extent *const *)variable->shape, variable->rank);
    text_add(text, "\n");
}

static void add_weights(Identity *identity, const Program *program) {
    Text parameters = {.arena = identity->arena}, states = {.arena = identity->arena};
    text_add(&parameters, "%s\n", dtype_name(program->floating));
    for (int i = 0; i < program->parameters.count; i++) {
        const Parameter *parameter = program->parameters.items[i];
        text_add(&parameters, "%s", parameter->frozen ? "frozen " : "");
        print_weight(&parameters, parameter->path, parameter->variable);
    }
    text_add(&states, "states\n");
    for (int i = 0; i < program->states.count; i++)
        print_weight(&states, program->states.items[i]->path, program->states.items[i]->variable);
    add_part(identity, "the parameters", &parameters);
    add_part(identity, "the states of nets", &states);
}

static void print_optimizer(Text *text, const Optimizer *optimizer) {
    print_computation(text, &optimizer->update);
    Named *initial = arena_array(text->arena, Named, optimizer->state_count);
    for (int i = 0; i < optimizer->state_count; i++) initial[i] = (Named){"", optimizer->state_initial[i]};
    Function states = {.name = "states", .result_count = optimizer->state_count, .results = initial};
    print_computation(text, &states);
}

static void print_optimizers(Text *text, const TrainBlock *block) {
    text_add(text, "repeat %lld\n", (long long)block->repeat);
    for (int i = 0; i < block->optimizers.count; i++) print_optimizer(text, block->optimizers.items[i]);
    for (int i = 0; i < block->trained_count; i++)
        text_add(text, "%s: %d\n", block->trained[i]->path, block->optimizer_of[i]);
    for (int i = 2; i < block->hyperparameters.count; i++)
        text_add(text, "%s = %a\n", block->hyperparameters.items[i].name, block->hyperparameters.items[i].constant);
    if (block->measures.result_count) print_computation(text, &block->measures);
}

static void add_data(Identity *identity, const DataBlock *data) {
    Text text = {.arena = identity->arena};
    text_add(&text, "split %a by %s\n", data->split, data->stratify ? data->stratify : "rows");
    if (data->may_miss) text_add(&text, "missing %a\n", data->missing);
    for (int i = 0; i < data->missing_word_count; i++) text_add(&text, "word %s\n", data->missing_words[i].text);
    for (int i = 0; i < data->feeds.count; i++) {
        const Feed *feed = &data->feeds.items[i];
        text_add(&text, "feed %d:", feed->kind);
        for (int k = 0; k < feed->name_count; k++) text_add(&text, " %s", feed->names[k]);
        text_add(&text, "\n");
    }
    for (int i = 0; i < data->fields.count; i++) {
        text_add(&text, "%s\n", data->fields.items[i].name);
        print_computation(&text, &data->fields.items[i].value);
    }
    add_part(identity, arena_print(identity->arena, "data %s", data->name), &text);
    identity->parts[identity->count - 1].data = data;
}

static void add_block(Identity *identity, const TrainBlock *block) {
    Text loss = {.arena = identity->arena}, optimizer = {.arena = identity->arena};
    print_computation(&loss, &block->gradient);
    add_part(identity, arena_print(identity->arena, "loss %s", block->loss), &loss);
    print_optimizers(&optimizer, block);
    add_part(identity, arena_print(identity->arena, "the optimizer of %s", block->loss), &optimizer);
}

static gradc_status add_parts(gradc_program *program, Identity *identity) {
    const Program *elaborated = program->program;
    if (setjmp(*arena_recover(identity->arena))) return fail_memory(program);
    identity->parts = arena_array(identity->arena, Part, 2 + elaborated->data.count + 2 * elaborated->trains.count);
    add_weights(identity, elaborated);
    for (int i = 0; i < elaborated->data.count; i++) add_data(identity, elaborated->data.items[i]);
    for (int i = 0; i < elaborated->trains.count; i++) add_block(identity, elaborated->trains.items[i]);
    return GRADC_OK;
}

gradc_status identity_create(gradc_program *program, Identity *identity) {
    *identity = (Identity){.arena = arena_create_from(program->allocator), .whole = hash_of_nothing};
    if (!identity->arena) return fail_memory(program);
    void *locale = plain_locale_begin();
    gradc_status status = add_parts(program, identity);
    plain_locale_end(locale);
    return status;
}

void identity_free(Identity *identity) {
    if (identity->arena) arena_destroy(identity->arena);
    *identity = (Identity){0};
}
