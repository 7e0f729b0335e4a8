// What tests need that run an entry of a program by the evaluator and as machine code, with the oracle's numbers.
#ifndef GRADC_TESTS_ENTRIES_H
#define GRADC_TESTS_ENTRIES_H

#include "compile.h"
#include "evaluate/evaluate.h"
#include "runtime/gradc.h"
#include "tests/unit/oracle.h"

// What stands in the file, into `text` of `size` bytes, ended by a zero; its length. A file that cannot be read is empty.
size_t source_text(const char *path, char *text, size_t size);
// The entry of that name. A program without it ends the test.
const Entry *entry_of(const Program *program, const char *name);
// The oracle's numbers as both sides take them; nothing is copied.
Tensor tensor_of(const OracleTensor *numbers);
gradc_tensor array_of(const OracleTensor *numbers);
// The program's states with their first values, in its order; in `arena`.
VariableValue *first_states(Arena *arena, const Program *program);

#endif
