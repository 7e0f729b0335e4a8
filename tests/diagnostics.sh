#!/bin/sh
# Every kind of message in diagnostics.def is shown by a golden: some .expected file holds its [id]. Those that no model
# file can bring about stand below. Usage: sh tests/diagnostics.sh BUILD_DIR
set -eu

unreachable='internal'                      # a fault of gradc itself
unreachable="$unreachable file_too_large"   # needs a file of 2 GiB
unreachable="$unreachable contraction_too_general"   # a guard: lowering merges summed axes before

missing=0
for id in $(sed -n 's/^DIAGNOSTIC(\([a-z_0-9]*\),.*/\1/p' compiler/support/diagnostics.def); do
    case " $unreachable " in *" $id "*) continue ;; esac
    if ! grep -qF "[$id]" tests/golden/*/*.expected; then
        echo "no golden shows [$id]: add tests/golden/errors/$id.grad and bless it"
        missing=$((missing + 1))
    fi
done
[ "$missing" -eq 0 ] || exit 1
