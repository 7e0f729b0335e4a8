// Imports: all files of a program as one list of declarations.
//
// Needs: the parsed main file. A file's imports come before it, each file once, so that declarations stand in one order
// whichever file they are in. What an imported file would train is left out: the file that is compiled decides that.
#include "compilation.h"

#include <string.h>

enum { MOST_FILES = 1000 };

typedef struct {
    const char *path;
    Span import;   // what asked for it; no source: the main file
    bool busy;     // its own imports are being loaded
} Loaded;

typedef struct {
    Compilation *compilation;
    ARRAY(Loaded) files;
    ARRAY(Item *) items;
} Loading;

// ---- paths

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

// Takes "." and "name/.." out of a path, so that one file has one name.
static const char *plain_path(Arena *arena, const char *path) {
    Text text = {.arena = arena};
    if (*path == '/') text_add(&text, "/");
    int root = text.length;
    while (*path) {
        size_t length = strcspn(path, "/");
        int last = text.length;
        while (last > root && text.bytes[last - 1] != '/') last--;
        bool above = length == 2 && strncmp(path, "..", 2) == 0;
        bool removes = above && text.length > root && strcmp(text.bytes + last, "..") != 0;
        if (removes) {
            text.length = last > root ? last - 1 : root;
            text.bytes[text.length] = 0;
        } else if (length && !(length == 1 && *path == '.')) {
            if (text.length > root) text_add(&text, "/");
            text_add_bytes(&text, path, length);
        }
        path += length + (path[length] == '/');
    }
    text_add_bytes(&text, "", 0);
    return text.bytes ? text.bytes : "";
}

static const char *imported_path(Arena *arena, const Source *importer, const char *name) {
    int length = *name == '/' ? 0 : (int)folder_length(importer->path);
    return plain_path(arena, arena_print(arena, "%.*s%s", length, importer->path, name));
}

// ---- loading

static void load_file(Loading *loading, const File *file, int index);

static bool is_loaded(Loading *loading, const char *path, const Item *item) {
    Diagnostics *diagnostics = loading->compilation->diagnostics;
    for (int i = 0; i < loading->files.count; i++) {
        const Loaded *loaded = &loading->files.items[i];
        if (strcmp(loaded->path, path) != 0) continue;
        if (!loaded->busy) return true;
        diagnose(diagnostics, D_import_cycle, item->name.span, "'%s' imports itself", path);
        for (int k = i + 1; k < loading->files.count; k++)
            if (loading->files.items[k].busy)
                diagnose_note(diagnostics, loading->files.items[k].import, "'%s' is imported here",
                              loading->files.items[k].path);
        diagnose_help(diagnostics, "put what both files need into a third one, which both import");
        return true;
    }
    return false;
}

// The imported file's text. NULL: reported.
static const Source *read_source(Loading *loading, const char *path, const Item *item) {
    Compilation *compilation = loading->compilation;
    const CompileOptions *options = &compilation->options;
    const char *problem = "this program has no folder";
    size_t length = 0;
    const char *text = options->read ? options->read(compilation->arena, path, &length, &problem) : NULL;
    if (text && length > INT32_MAX) {
        text = NULL;
        problem = "it is larger than 2 GiB";
    }
    if (!text) {
        diagnose(compilation->diagnostics, D_cannot_import, item->name.span, "cannot import '%s': %s", path, problem);
        diagnose_help(compilation->diagnostics, "the file is looked for beside the one that imports it");
        return NULL;
    }
    Source *source = arena_new(compilation->arena, Source);
    *source = (Source){path, text, (uint32_t)length};
    return source;
}

static void import_file(Loading *loading, const Source *importer, const Item *item) {
    Compilation *compilation = loading->compilation;
    const char *path = imported_path(compilation->arena, importer, item->name.text);
    if (is_loaded(loading, path, item)) return;
    if (loading->files.count >= MOST_FILES) {
        diagnose(compilation->diagnostics, D_too_many_files, item->name.span, "a program is made of at most %d files",
                 MOST_FILES);
        return;
    }
    const Source *source = read_source(loading, path, item);
    if (!source) return;
    Loaded loaded = {.path = path, .import = item->name.span, .busy = true};
    array_push(compilation->arena, &loading->files, loaded);
    load_file(loading, parse_file(compilation->arena, compilation->diagnostics, source), loading->files.count - 1);
}

static void load_file(Loading *loading, const File *file, int index) {
    for (int i = 0; i < file->count; i++)
        if (file->items[i]->kind == ITEM_IMPORT) import_file(loading, file->source, file->items[i]);
    loading->files.items[index].busy = false;
    for (int i = 0; i < file->count; i++) {
        ItemKind kind = file->items[i]->kind;
        if (kind != ITEM_IMPORT && (index == 0 || kind != ITEM_TRAIN))
            array_push(loading->compilation->arena, &loading->items, file->items[i]);
    }
}

File *with_imports(Compilation *compilation, const File *file) {
    Loading loading = {.compilation = compilation};
    Loaded loaded = {.path = plain_path(compilation->arena, file->source->path), .busy = true};
    array_push(compilation->arena, &loading.files, loaded);
    load_file(&loading, file, 0);
    File *whole = arena_new(compilation->arena, File);
    *whole = (File){file->source, loading.items.items, loading.items.count};
    return whole;
}
