// The arena: what it hands out is zeroed, aligned and kept; and when it has no more, what was growing is as it was.
#include "check.h"
#include "support/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef ARRAY(int) Numbers;

static void check_allocations(Arena *arena) {
    for (size_t size = 0; size < 200000; size = size * 2 + 1) {
        unsigned char *bytes = arena_allocate(arena, size);
        CHECK((uintptr_t)bytes % 16 == 0);
        for (size_t i = 0; i < size; i++)
            if (bytes[i]) CHECK(!"a byte is not zero");
        memset(bytes, 0xAB, size);
    }
    CHECK(strcmp(arena_print(arena, "%d %s", 7, "dims"), "7 dims") == 0);
}

static void check_array(Arena *arena) {
    Numbers numbers = {0};
    for (int i = 0; i < 1000; i++) array_push(arena, &numbers, i * i);
    for (int i = 0; i < 1000; i++) CHECK(numbers.items[i] == i * i);
}

// An array that cannot grow keeps its items and its capacity, so that a later push does not write behind its end.
static void check_refused_growth(Arena *arena) {
    static Numbers numbers;   // static: longjmp may spoil what is not
    for (int i = 0; i < 8; i++) array_push(arena, &numbers, i);
    static int capacity;
    capacity = numbers.capacity;
    CHECK(capacity == 8);
    static bool refused;
    if (setjmp(*arena_recover(arena))) refused = true;
    else array_grow(arena, numbers.items, numbers.count, &numbers.capacity, SIZE_MAX / 16);
    CHECK(refused && numbers.capacity == capacity && numbers.count == 8);
    if (setjmp(*arena_recover(arena))) return;
    array_push(arena, &numbers, 8);
    CHECK(numbers.capacity > 8 && numbers.items[8] == 8 && numbers.items[7] == 7);
}

int main(void) {
    Arena *arena = arena_create();
    if (!arena || setjmp(*arena_recover(arena))) return 1;
    check_allocations(arena);
    check_array(arena);
    check_refused_growth(arena);
    arena_destroy(arena);
    return failures != 0;
}
