// The pieces of the program printer (print.c) that the tree printer (tree.c) shares.
#ifndef GRADC_GRAMMAR_PRINT_H
#define GRADC_GRAMMAR_PRINT_H

#include "grammar/ast.h"

void print_type(Text *text, const Type *type);
void print_attribute(Text *text, Attribute attribute);
void print_static(Text *text, const Static *value);
void print_use(Text *text, const Use *use);
const char *item_word(ItemKind kind);

#endif
