// Parses and elaborates texts for tests.
#include "elaborated.h"

#include <string.h>

World world_of(const char *text, Dtype floating) {
    World world = {.arena = arena_create()};
    world.diagnostics = diagnostics_create(world.arena, 0);
    Source *source = arena_new(world.arena, Source);
    *source = (Source){"test.grad", text, (uint32_t)strlen(text)};
    File *file = parse_file(world.arena, world.diagnostics, source);
    ElaborateOptions options = {.floating = floating};
    if (!diagnostics_errors(world.diagnostics))
        world.program = elaborate(world.arena, world.diagnostics, file, &options);
    return world;
}

Entry *entry_named(const World *world, const char *name) {
    for (int i = 0; world->program && i < world->program->entries.count; i++)
        if (strcmp(world->program->entries.items[i]->name, name) == 0) return world->program->entries.items[i];
    return NULL;
}
