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
# Each says what would mend it. Unexpected tokens are shown with those that were expected.
awk '
    function check() { if (said != "" && !helped) { print "no help: " said; failed = 1 } said = "" }
    FNR == 1 { check() }
    / (error|warning): .*\[[a-z_0-9]+\]$/ { check(); said = /\[unexpected_token\]$/ ? "" : FILENAME ": " $0; helped = 0 }
    /^    help: / { helped = 1 }
    END { check(); exit failed }' tests/golden/errors/*.expected tests/golden/warnings/*.expected || {
    echo "give it one where it is reported, or in compiler/support/advice.def"
    missing=$((missing + 1))
}
# The reference says what each warning is.
for id in $(sed -n 's/^DIAGNOSTIC(\([a-z_0-9]*\), *warning,.*/\1/p' compiler/support/diagnostics.def); do
    if ! grep -q "^| \`$id\` |" grammar/language.md; then
        echo "the table of warnings in grammar/language.md lacks $id"
        missing=$((missing + 1))
    fi
done
[ "$missing" -eq 0 ] || exit 1
