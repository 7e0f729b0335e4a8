#!/bin/sh
# Every kind of message in diagnostics.def is shown by a golden: some .expected file holds its [id]. Those that no model
# file can bring about are WITHOUT_GOLDEN there, with the reason. Usage: sh tests/diagnostics.sh BUILD_DIR
set -eu

missing=0
for id in $(sed -n 's/^DIAGNOSTIC(\([a-z_0-9]*\),.*/\1/p' compiler/support/diagnostics.def); do
    if ! grep -qF "[$id]" tests/golden/*/*.expected; then
        echo "no golden shows [$id]: add tests/golden/errors/$id.grad and bless it"
        missing=$((missing + 1))
    fi
done
# The reference says what each warning is.
for id in $(sed -n 's/^DIAGNOSTIC(\([a-z_0-9]*\), *warning,.*/\1/p' compiler/support/diagnostics.def); do
    if ! grep -q "^| \`$id\` |" grammar/language.md; then
        echo "the table of warnings in grammar/language.md lacks $id"
        missing=$((missing + 1))
    fi
done
[ "$missing" -eq 0 ] || exit 1
