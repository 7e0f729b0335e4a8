// A loader for the objects that this compiler makes: some sections that are only read and executed, and no symbol but
// those of the objects that are loaded together. They are copied into memory of their own, and the distances between them are filled in. LLVM's JIT linker
// does this and much more; it takes a millisecond to start, and LLVM has to be there.
//
// An object may come from a file: everything is checked against its size.
#define _GNU_SOURCE
#include "emit/load.h"

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_SECTIONS = 4096 };   // a section for each kind of constant, and those of symbols and relocations

typedef struct {
    const char *bytes;
    size_t size;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sections;
    const Elf64_Sym *symbols;
    size_t symbol_count;
    const char *names;   // of symbols; ends with a zero byte
    size_t names_size;
    uint64_t places[MAX_SECTIONS];   // where sections come to lie; 0: not loaded
} Object;

typedef struct {
    Object objects[MAX_OBJECTS];
    int count;
    char *memory;
    uint64_t end;   // of what is loaded, from there
} Image;

static bool inside(const Object *object, uint64_t offset, uint64_t size) {
    return offset <= object->size && size <= object->size - offset;
}

// Structures are read where they lie: those that are not aligned are refused.
static const void *part(const Object *object, uint64_t offset, uint64_t size) {
    return inside(object, offset, size) && (uintptr_t)(object->bytes + offset) % 8 == 0 ? object->bytes + offset : NULL;
}

static bool read_symbols(Object *object) {
    for (int i = 0; i < object->head->e_shnum; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type != SHT_SYMTAB) continue;
        if (section->sh_link >= object->head->e_shnum) return false;
        const Elf64_Shdr *names = &object->sections[section->sh_link];
        if (!inside(object, names->sh_offset, names->sh_size)) return false;
        object->symbols = part(object, section->sh_offset, section->sh_size);
        object->symbol_count = section->sh_size / sizeof(Elf64_Sym);
        object->names = object->bytes + names->sh_offset;
        object->names_size = names->sh_size;
        return object->symbols && names->sh_size && object->names[names->sh_size - 1] == 0;
    }
    return false;
}

static bool read_head(Object *object, const void *bytes, size_t size) {
    object->bytes = bytes;
    object->size = size;
    object->head = part(object, 0, sizeof *object->head);
    const Elf64_Ehdr *head = object->head;
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64) return false;
    if (head->e_type != ET_REL || head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shnum > MAX_SECTIONS) return false;
    object->sections = part(object, head->e_shoff, head->e_shnum * sizeof(Elf64_Shdr));
    return object->sections && read_symbols(object);
}

static bool is_global_function(const Elf64_Sym *symbol) {
    bool global = ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC;
    return global && symbol->st_shndx != SHN_UNDEF;
}

// What others of its program call is global, too, but hidden.
static const Elf64_Sym *global_function(const Object *object) {
    const Elf64_Sym *found = NULL;
    for (size_t i = 0; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        if (!is_global_function(symbol) || ELF64_ST_VISIBILITY(symbol->st_other) == STV_HIDDEN) continue;
        if (found || symbol->st_name >= object->names_size) return NULL;
        found = symbol;
    }
    return found;
}

const char *object_function(const void *bytes, size_t size) {
    Object object = {0};
    const Elf64_Sym *symbol = read_head(&object, bytes, size) ? global_function(&object) : NULL;
    return symbol ? object.names + symbol->st_name : NULL;
}

// ---- into memory

// Nothing unwinds through this code.
static bool is_unwinding(const Elf64_Shdr *section) {
    return section->sh_type == SHT_X86_64_UNWIND;
}

// Gives every section that is needed its place, from `end` on; 0: some section cannot be loaded.
static uint64_t place_sections(Object *object, uint64_t end) {
    for (int i = 0; i < object->head->e_shnum; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (!(section->sh_flags & SHF_ALLOC) || is_unwinding(section)) continue;
        bool plain = section->sh_type == SHT_PROGBITS && !(section->sh_flags & (SHF_WRITE | SHF_TLS));
        uint64_t alignment = section->sh_addralign ? section->sh_addralign : 1;
        if (!plain || alignment > 4096 || (alignment & (alignment - 1))) return 0;
        if (!inside(object, section->sh_offset, section->sh_size)) return 0;
        object->places[i] = end = (end + alignment - 1) & ~(alignment - 1);
        end += section->sh_size;
    }
    return end;
}

static bool address_of(const Image *image, const Object *object, const Elf64_Sym *symbol, uint64_t *address) {
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= object->head->e_shnum) return false;
    if (!object->places[symbol->st_shndx]) return false;
    if (symbol->st_value > object->sections[symbol->st_shndx].sh_size) return false;
    *address = (uint64_t)(uintptr_t)image->memory + object->places[symbol->st_shndx] + symbol->st_value;
    return true;
}

static const char *name_of(const Object *object, const Elf64_Sym *symbol) {
    return symbol->st_name < object->names_size ? object->names + symbol->st_name : "";
}

// The address of what the symbol names, in this object or in another of the image; false: it is in none.
static bool symbol_address(const Image *image, const Object *object, uint64_t number, uint64_t *address) {
    if (number >= object->symbol_count) return false;
    const Elf64_Sym *symbol = &object->symbols[number];
    if (symbol->st_shndx != SHN_UNDEF) return address_of(image, object, symbol, address);
    const char *name = name_of(object, symbol);
    for (int i = 0; i < image->count && *name; i++)
        for (size_t k = 0; k < image->objects[i].symbol_count; k++) {
            const Elf64_Sym *other = &image->objects[i].symbols[k];
            if (is_global_function(other) && strcmp(name_of(&image->objects[i], other), name) == 0)
                return address_of(image, &image->objects[i], other, address);
        }
    return false;
}

// How many bytes a relocation changes; 0: it is not known.
static uint64_t relocation_width(const Elf64_Rela *relocation) {
    switch (ELF64_R_TYPE(relocation->r_info)) {
    case R_X86_64_PC32:
    case R_X86_64_PLT32: return 4;
    case R_X86_64_PC64:
    case R_X86_64_64: return 8;
    default: return 0;
    }
}

// Targets lie inside of the image, whose memory ends at `end`.
static bool relocate(const Elf64_Rela *relocation, char *place, uint64_t target, uint64_t begin, uint64_t end) {
    uint64_t value = target + (uint64_t)relocation->r_addend;
    if (value < begin || value > end) return false;
    if (ELF64_R_TYPE(relocation->r_info) != R_X86_64_64) value -= (uint64_t)(uintptr_t)place;
    uint64_t width = relocation_width(relocation);
    memcpy(place, &value, width);   // the low bytes come first
    return width == 8 || (int64_t)value == (int32_t)(int64_t)value;
}

static bool relocate_section(const Image *image, const Object *object, const Elf64_Shdr *section) {
    uint64_t place = section->sh_info < object->head->e_shnum ? object->places[section->sh_info] : 0;
    if (!place) return true;   // of a section that is not loaded
    uint64_t size = object->sections[section->sh_info].sh_size;
    const Elf64_Rela *relocations = part(object, section->sh_offset, section->sh_size);
    for (size_t i = 0; relocations && i < section->sh_size / sizeof *relocations; i++) {
        uint64_t target, offset = relocations[i].r_offset, width = relocation_width(&relocations[i]);
        if (!width || offset > size || width > size - offset) return false;
        if (!symbol_address(image, object, ELF64_R_SYM(relocations[i].r_info), &target)) return false;
        uint64_t begin = (uint64_t)(uintptr_t)image->memory;
        if (!relocate(&relocations[i], image->memory + place + offset, target, begin, begin + image->end)) return false;
    }
    return relocations != NULL;
}

static bool fill_memory(const Image *image, const Object *object) {
    if (object->head->e_machine != EM_X86_64) return false;   // of others the relocations are not known here
    for (int i = 0; i < object->head->e_shnum; i++)
        if (object->places[i])
            memcpy(image->memory + object->places[i], object->bytes + object->sections[i].sh_offset,
                   object->sections[i].sh_size);
    for (int i = 0; i < object->head->e_shnum; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type == SHT_RELA && !relocate_section(image, object, section)) return false;
    }
    return true;
}

// Where all sections come to lie; the first one begins at 64.
static bool place_objects(Image *image, const ObjectFile *files, int count) {
    image->count = count;
    image->end = 64;
    for (int i = 0; i < count; i++) {
        if (!read_head(&image->objects[i], files[i].bytes, files[i].size)) return false;
        image->end = place_sections(&image->objects[i], image->end);
        if (!image->end) return false;
    }
    return true;
}

bool load_objects(const ObjectFile *files, int count, LoadedObject *loaded) {
    Image image = {0};
    uint64_t address;
    if (count < 1 || count > MAX_OBJECTS || !place_objects(&image, files, count)) return false;
    const Elf64_Sym *symbol = global_function(&image.objects[0]);
    if (!symbol || symbol->st_shndx >= image.objects[0].head->e_shnum) return false;
    if (symbol->st_value >= image.objects[0].sections[symbol->st_shndx].sh_size) return false;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *loaded = (LoadedObject){.size = (image.end + page - 1) & ~(page - 1)};
    loaded->memory = mmap(NULL, loaded->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (loaded->memory == MAP_FAILED) return false;
    image.memory = loaded->memory;
    bool done = true;
    for (int i = 0; i < count && done; i++) done = fill_memory(&image, &image.objects[i]);
    done = done && address_of(&image, &image.objects[0], symbol, &address) &&
           mprotect(loaded->memory, loaded->size, PROT_READ | PROT_EXEC) == 0;
    if (done) loaded->function = (void *)(uintptr_t)address;
    else munmap(loaded->memory, loaded->size);
    return done;
}

void unload_object(const LoadedObject *loaded) {
    munmap(loaded->memory, loaded->size);
}

// ---- several as one

static const char bundle_mark[8] =
    "gradc 2";   // then the size of the first, both, and what fills up to a multiple of 8

int split_bundle(const void *bytes, size_t size, ObjectFile files[MAX_OBJECTS]) {
    uint64_t first;
    enum { HEAD = sizeof bundle_mark + sizeof first };
    const char *begin = bytes;
    files[0] = (ObjectFile){bytes, size};
    if (size < HEAD || memcmp(bytes, bundle_mark, sizeof bundle_mark) != 0) return 1;
    memcpy(&first, begin + sizeof bundle_mark, sizeof first);
    if (first % 8 != 0 || first > size - HEAD) return 0;
    files[0] = (ObjectFile){begin + HEAD, first};
    files[1] = (ObjectFile){begin + HEAD + first, size - HEAD - first};
    return 2;
}

void *join_bundle(const ObjectFile files[2], size_t *size) {
    uint64_t first = (files[0].size + 7) / 8 * 8;
    enum { HEAD = sizeof bundle_mark + sizeof first };
    char *bytes = calloc(1, HEAD + first + files[1].size);
    if (!bytes) return NULL;
    memcpy(bytes, bundle_mark, sizeof bundle_mark);
    memcpy(bytes + sizeof bundle_mark, &first, sizeof first);
    memcpy(bytes + HEAD, files[0].bytes, files[0].size);
    memcpy(bytes + HEAD + first, files[1].bytes, files[1].size);
    *size = HEAD + first + files[1].size;
    return bytes;
}
