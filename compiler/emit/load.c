// A loader for the objects that this compiler makes: some sections that are only read and executed, and no symbol from
// elsewhere. They are copied into memory of their own, and the distances between them are filled in. LLVM's JIT linker
// does this and much more; it takes a millisecond to start, and LLVM has to be there.
//
// An object may come from a file: everything is checked against its size.
#define _GNU_SOURCE
#include "emit/load.h"

#include <elf.h>
#include <stdint.h>
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
    uint64_t end;                    // of what is loaded
} Object;

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

static const Elf64_Sym *global_function(const Object *object) {
    const Elf64_Sym *found = NULL;
    for (size_t i = 0; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        if (ELF64_ST_BIND(symbol->st_info) != STB_GLOBAL || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) continue;
        if (symbol->st_shndx == SHN_UNDEF) continue;
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

// Gives every section that is needed its place; the first one begins at 64. 0: some section cannot be loaded.
static uint64_t place_sections(Object *object) {
    uint64_t end = 64;
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

// The address of what the symbol names; false: it is not in this object.
static bool symbol_address(const Object *object, const char *memory, uint64_t number, uint64_t *address) {
    if (number >= object->symbol_count) return false;
    const Elf64_Sym *symbol = &object->symbols[number];
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= object->head->e_shnum) return false;
    if (!object->places[symbol->st_shndx]) return false;
    if (symbol->st_value > object->sections[symbol->st_shndx].sh_size) return false;
    *address = (uint64_t)(uintptr_t)memory + object->places[symbol->st_shndx] + symbol->st_value;
    return true;
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

// Targets lie inside of the object, whose memory ends at `end`.
static bool relocate(const Elf64_Rela *relocation, char *place, uint64_t target, uint64_t begin, uint64_t end) {
    uint64_t value = target + (uint64_t)relocation->r_addend;
    if (value < begin || value > end) return false;
    if (ELF64_R_TYPE(relocation->r_info) != R_X86_64_64) value -= (uint64_t)(uintptr_t)place;
    uint64_t width = relocation_width(relocation);
    memcpy(place, &value, width);   // the low bytes come first
    return width == 8 || (int64_t)value == (int32_t)(int64_t)value;
}

static bool relocate_section(const Object *object, char *memory, const Elf64_Shdr *section) {
    uint64_t place = section->sh_info < object->head->e_shnum ? object->places[section->sh_info] : 0;
    if (!place) return true;   // of a section that is not loaded
    uint64_t size = object->sections[section->sh_info].sh_size;
    const Elf64_Rela *relocations = part(object, section->sh_offset, section->sh_size);
    for (size_t i = 0; relocations && i < section->sh_size / sizeof *relocations; i++) {
        uint64_t target, offset = relocations[i].r_offset, width = relocation_width(&relocations[i]);
        if (!width || offset > size || width > size - offset) return false;
        if (!symbol_address(object, memory, ELF64_R_SYM(relocations[i].r_info), &target)) return false;
        uint64_t begin = (uint64_t)(uintptr_t)memory;
        if (!relocate(&relocations[i], memory + place + offset, target, begin, begin + object->end)) return false;
    }
    return relocations != NULL;
}

static bool fill_memory(const Object *object, char *memory) {
    if (object->head->e_machine != EM_X86_64) return false;   // of others the relocations are not known here
    for (int i = 0; i < object->head->e_shnum; i++)
        if (object->places[i])
            memcpy(memory + object->places[i], object->bytes + object->sections[i].sh_offset,
                   object->sections[i].sh_size);
    for (int i = 0; i < object->head->e_shnum; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type == SHT_RELA && !relocate_section(object, memory, section)) return false;
    }
    return true;
}

bool load_object(const void *bytes, size_t size, LoadedObject *loaded) {
    Object object = {0};
    uint64_t end = read_head(&object, bytes, size) ? place_sections(&object) : 0, address;
    const Elf64_Sym *symbol = end ? global_function(&object) : NULL;
    if (!symbol || symbol->st_shndx >= object.head->e_shnum) return false;
    if (symbol->st_value >= object.sections[symbol->st_shndx].sh_size) return false;
    object.end = end;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *loaded = (LoadedObject){.size = (end + page - 1) & ~(page - 1)};
    loaded->memory = mmap(NULL, loaded->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (loaded->memory == MAP_FAILED) return false;
    bool done = fill_memory(&object, loaded->memory) &&
                symbol_address(&object, loaded->memory, (uint64_t)(symbol - object.symbols), &address) &&
                mprotect(loaded->memory, loaded->size, PROT_READ | PROT_EXEC) == 0;
    if (done) loaded->function = (void *)(uintptr_t)address;
    else munmap(loaded->memory, loaded->size);
    return done;
}

void unload_object(const LoadedObject *loaded) {
    munmap(loaded->memory, loaded->size);
}
