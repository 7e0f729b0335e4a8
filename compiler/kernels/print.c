// Kernels and the plan of memory, as text for reading.
#include "kernels/kernel.h"

#include <string.h>

static const char *const kind_names[] = {"map", "row", "column", "contract", "scatter", "sort", "loop"};
static const char *const role_names[] = {"loop", "", "row", "column", "m", "n", "k"};
static const char axis_letters[] = "ijklmnopqrstuvwx";
static const char *const space_names[] = {"parameters", "gradients", "state",   "optimizer",      "input",
                                          "output",     "tape",      "scratch", "hyperparameters"};

const char *kernel_kind_name(KernelKind kind) {
    return kind_names[kind];
}

static void print_affine(Text *text, const Kernel *kernel, const Affine *affine) {
    bool first = true;
    for (int i = 0; i < kernel->axis_count; i++) {
        if (extent_is(affine->strides[i], 0)) continue;
        if (!first) text_add(text, " + ");
        first = false;
        if (!extent_is(affine->strides[i], 1)) {
            bool plain = extent_is_constant(affine->strides[i], NULL);
            if (!plain) text_add(text, "(");
            extent_print(text, affine->strides[i]);
            text_add(text, plain ? "*" : ")*");
        }
        text_add(text, "%c", axis_letters[i]);
    }
    if (!first && extent_is(affine->base, 0)) return;
    if (!first) text_add(text, " + ");
    extent_print(text, affine->base);
}

static void print_access(Text *text, const Kernel *kernel, const Instruction *instruction, int index_operand) {
    text_add(text, "%s[", instruction->buffer->name);
    print_affine(text, kernel, &instruction->affine);
    if (index_operand >= 0 && instruction->operands[index_operand] >= 0) {
        text_add(text, " + ");
        if (!extent_is(instruction->stride, 1)) {
            extent_print(text, instruction->stride);
            text_add(text, "*");
        }
        text_add(text, "%%%d of ", instruction->operands[index_operand]);
        extent_print(text, instruction->limit);
    }
    text_add(text, "]");
}

static void print_operands(Text *text, const Instruction *instruction) {
    for (int i = 0; i < MAX_ARITY && instruction->operands[i] >= 0; i++)
        text_add(text, "%s%%%d", i ? ", " : " ", instruction->operands[i]);
}

static void print_value(Text *text, const Kernel *kernel, const Instruction *instruction) {
    switch (instruction->kind) {
    case INSTRUCTION_CONSTANT:
        if (dtype_is_float(instruction->dtype)) text_add(text, "%.9g", instruction->scalar.real);
        else text_add(text, "%lld", (long long)instruction->scalar.integer);
        break;
    case INSTRUCTION_EXTENT:
        text_add(text, "extent ");
        extent_print(text, instruction->affine.base);
        break;
    case INSTRUCTION_INDEX:
        text_add(text, "index ");
        print_affine(text, kernel, &instruction->affine);
        break;
    case INSTRUCTION_RANDOM:
        text_add(text, "%s site %lld, element ", op_name(instruction->op), (long long)instruction->scalar.integer);
        print_affine(text, kernel, &instruction->affine);
        break;
    case INSTRUCTION_LOAD:
        text_add(text, "load ");
        print_access(text, kernel, instruction, 0);
        break;
    default: text_add(text, "%s", op_name(instruction->op)); print_operands(text, instruction);
    }
}

static void print_instruction(Text *text, const Kernel *kernel, int number, int indent) {
    const Instruction *instruction = &kernel->instructions.items[number];
    text_add(text, "%*s", indent, "");
    if (instruction->kind >= INSTRUCTION_STORE) {
        const char *verb = instruction->kind == INSTRUCTION_STORE ? "store" : "add";
        if (instruction->kind == INSTRUCTION_SCATTER) verb = "scatter";
        if (instruction->kind == INSTRUCTION_SORT) verb = instruction->scalar.integer ? "sort down" : "sort";
        text_add(text, "%s %%%d to ", verb, instruction->operands[0]);
        print_access(text, kernel, instruction, instruction->kind == INSTRUCTION_SCATTER ? 1 : -1);
        if (instruction->streamed) text_add(text, ", past the caches");
    } else {
        text_add(text, "%%%d: %s = ", number, dtype_name(instruction->dtype));
        print_value(text, kernel, instruction);
    }
    if (kernel->phase_count > 1 && instruction->kind >= INSTRUCTION_REDUCE)
        text_add(text, "   # pass %d", instruction->phase);
    text_add(text, "\n");
}

static void print_kernel(Text *text, const Kernel *kernel, int indent) {
    text_add(text, "%*s%s %s", indent, "", kind_names[kernel->kind], kernel->name);
    for (int i = 0; i < kernel->axis_count; i++) {
        const Axis *axis = &kernel->axes[i];
        text_add(text, "%s%s%s%c < ", i ? ", " : " over ", role_names[axis->role], *role_names[axis->role] ? " " : "",
                 axis_letters[i]);
        extent_print(text, axis->extent);
    }
    text_add(text, "\n");
    for (int i = 0; i < kernel->instructions.count; i++) print_instruction(text, kernel, i, indent + 4);
    for (int i = 0; i < kernel->body.count; i++) print_kernel(text, kernel->body.items[i], indent + 4);
}

void kernel_program_print(Text *text, const KernelProgram *program) {
    text_add(text, "function %s: %d kernel%s\n", program->name, program->kernels.count,
             program->kernels.count == 1 ? "" : "s");
    for (int i = 0; i < program->kernels.count; i++) print_kernel(text, program->kernels.items[i], 0);
}

// The kernels at which most lives, apart from those at which provably no more does than at another.
static void print_live(Text *text, const KernelProgram *program) {
    ExtentTable *extents = program->graph->extents;
    const Extent **live = kernel_program_live(program);
    int *most = arena_array(program->arena, int, program->kernels.count), count = 0;
    for (int i = 0; i < program->kernels.count; i++) {
        bool less = extent_is(live[i], 0);
        for (int k = 0; k < count && !less; k++) less = extent_at_least(extents, live[most[k]], live[i]);
        if (less) continue;
        int kept = 0;
        for (int k = 0; k < count; k++)
            if (!extent_at_least(extents, live[i], live[most[k]])) most[kept++] = most[k];
        most[kept] = i;
        count = kept + 1;
    }
    for (int i = 0; i < count; i++) {
        text_add(text, "live in kernel %d: ", most[i]);
        extent_print(text, live[most[i]]);
        text_add(text, " bytes\n");
    }
}

void kernel_program_print_plan(Text *text, const KernelProgram *program) {
    text_add(text, "function %s: scratch ", program->name);
    extent_print(text, program->scratch_bytes);
    text_add(text, " bytes\n");
    print_live(text, program);
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->first_use < 0) continue;
        text_add(text, "%s: %s[", buffer->name, dtype_name(buffer->dtype));
        extent_print(text, buffer->elements);
        text_add(text, "] in %s", space_names[buffer->space]);
        if (buffer->space == SPACE_INPUT || buffer->space == SPACE_OUTPUT) text_add(text, " %d", buffer->index);
        if (buffer->offset && !extent_is(buffer->offset, 0)) {
            text_add(text, " at ");
            extent_print(text, buffer->offset);
        }
        text_add(text, ", kernels %d to %d\n", buffer->first_use, buffer->last_use);
    }
}
