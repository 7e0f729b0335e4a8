// From a file's syntax tree to its program: the library is declared, then the file, then entries, data and train blocks
// are made, in this order, since each names what was made before.
#include "elaborate/calls.h"

#include <string.h>

const Extent *fresh_dim(Elaborator *e, const char *name) {
    int dim = e->program->dims.count;
    array_push(e->arena, &e->program->dims, name);
    return extent_dim(e->graph->extents, dim, name);
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

// ---- signatures: their types must exist and sizes be declared whether or not the function is called

static bool is_parameter(const Item *item, const char *name) {
    for (int i = 0; i < item->static_count; i++)
        if (strcmp(item->statics[i].name.text, name) == 0) return true;
    return parameter_index(item, name) >= 0;
}

static void check_size(Elaborator *e, const Item *item, const Size *size) {
    if (!size) return;
    bool named = size->kind == SIZE_NAME || size->kind == SIZE_INDEX;
    if (named && !is_parameter(item, size->name.text) && !is_name_known(e, size->name.text))
        unknown_size(e, size->name);
    check_size(e, item, size->left);
    check_size(e, item, size->right);
}

static void check_type(Elaborator *e, const Item *item, const Type *type) {
    type_name(e, type->name, type->has_dimensions);
    for (int i = 0; i < type->dimension_count; i++) check_size(e, item, type->dimensions[i].size);
}

static void check_signatures(Elaborator *e) {
    for (int i = 0; i < e->file->count; i++) {
        const Item *item = e->file->items[i];
        for (int k = 0; k < item->parameter_count; k++) check_type(e, item, &item->parameters[k].type);
        for (int k = 0; k < item->result_count; k++) check_type(e, item, &item->results[k].type);
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
    make_progress(e);
    declare_library(e);
    declare_file(e, file, false);
    check_constants(e);
    check_signatures(e);
    make_entries(e);
    number_parameters(e);
    make_blocks(e);
    if (diagnostics_errors(diagnostics)) return NULL;
    warn_about_names(e);
    warn_about_entries(e);
    return program;
}
