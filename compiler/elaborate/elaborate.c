// From a file's syntax tree to its program: the library is declared, then the file, then entries, data and train blocks
// are made, in this order, since each names what was made before.
#include "elaborate/elaborator.h"
#include "library/library.h"

const Extent *fresh_dim(Elaborator *e, const char *name) {
    int dim = e->program->dims.count;
    array_push(e->arena, &e->program->dims, name);
    return extent_dim(e->graph->extents, dim, name);
}

static void declare_library(Elaborator *e) {
    for (int i = 0; i < gradc_library_file_count; i++) {
        Source *source = arena_new(e->arena, Source);
        *source = (Source){gradc_library_files[i].path, gradc_library_files[i].text, gradc_library_files[i].length};
        declare_file(e, parse_file(e->arena, e->diagnostics, source), true);
    }
}

// What nothing reads is checked all the same.
static void check_constants(Elaborator *e) {
    for (int i = 0; i < e->file->count; i++) {
        const Item *item = e->file->items[i];
        Global *global = item->kind == ITEM_CONST ? find_global(e, item->name.text) : NULL;
        if (global && global->constant == item) look_up(e, item->name);
        global = item->kind == ITEM_USE ? find_global(e, item->use.name.text) : NULL;
        if (global && global->use == item) use_value(e, global);
    }
}

static void make_blocks(Elaborator *e) {
    for (int i = 0; i < e->file->count; i++) {
        if (e->file->items[i]->kind != ITEM_DATA) continue;
        DataBlock *block = make_data(e, e->file->items[i]);
        if (block) array_push(e->arena, &e->program->data, block);
    }
    for (int i = 0; i < e->file->count; i++)
        if (e->file->items[i]->kind == ITEM_TRAIN) make_train(e, e->file->items[i]);
}

Program *elaborate(Arena *arena, Diagnostics *diagnostics, const File *file, const ElaborateOptions *options) {
    Elaborator *e = arena_new(arena, Elaborator);
    Program *program = arena_new(arena, Program);
    *program = (Program){.graph = graph_create(arena), .floating = options->floating};
    *e = (Elaborator){.arena = arena,
                      .diagnostics = diagnostics,
                      .messages = diagnostics,
                      .graph = program->graph,
                      .program = program,
                      .file = file};
    frame_push(e, NULL, false, (Span){0});
    declare_library(e);
    declare_file(e, file, false);
    check_constants(e);
    make_entries(e);
    number_parameters(e);
    make_blocks(e);
    if (diagnostics_errors(diagnostics)) return NULL;
    warn_about_entries(e);
    return program;
}
