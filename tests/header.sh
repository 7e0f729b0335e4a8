#!/bin/sh
# gradc.h stands alone, in C and in C++, and the command line is written with it and nothing else of the project.
# Usage: sh tests/header.sh BUILD_DIR
set -eu

folder=$(mktemp -d "${TMPDIR:-/tmp}/gradc-header-XXXXXX")
trap 'rm -rf "$folder"' EXIT

cat >"$folder/use.c" <<'END'
#include "runtime/gradc.h"
int main(void) {
    gradc_program *program;
    gradc_status status = gradc_compile_text("t.grad", "", 0, 0, &program);
    gradc_program_free(program);
    return status != GRADC_OK;
}
END
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only "$folder/use.c"
if command -v c++ >/dev/null; then
    cp "$folder/use.c" "$folder/use.cc"
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only "$folder/use.cc"
else
    echo 'no C++ compiler here: not tried'
fi

if grep -n '#include "' runtime/cli/*.[ch] | grep -v -e '"runtime/gradc.h"' -e '"runtime/cli/'; then
    echo 'the command line includes more of the project than gradc.h'
    exit 1
fi
# The library never prints or exits: no object calls what would. (flex sets its unused yyout to stdout.)
if nm -uA "$1/libgradc.a" | grep -wE 'U (printf|__printf_chk|vprintf|puts|putchar|perror|exit|_exit|quick_exit|stdout|stderr)' |
    grep -v ':scanner.c.o:.*stdout'; then
    echo 'the library prints or exits'
    exit 1
fi
