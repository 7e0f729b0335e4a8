#!/bin/sh
# Compares what gradc prints for the model files of one folder with what stands beside them in NAME.expected.
#   sh tests/golden.sh BUILD DIRECTORY [--bless]
# The folder's name says what is run: `errors` is `gradc check` (which must fail), `derivative` is `gradc grad`, `warnings` is `gradc check` (which must not fail), any other a
# stage of `gradc dump`. A first line `# options: ...` in a model file gives further options. --bless writes the
# expected files anew: look at the difference before you commit it.
set -u
gradc=$1/gradc
directory=$2
bless=${3:-}
what=$(basename "$directory")
made=$(mktemp)
trap 'rm -f "$made"' EXIT
failed=0
count=0

for model in "$directory"/*.grad; do
    expected=${model%.grad}.expected
    options=$(sed -n '1s/^# options: //p' "$model")
    # Paths in messages are as they were given, so the file is named without its folder.
    cd "$directory" || exit 1
    name=$(basename "$model")
    case $what in
    errors) "$gradc" check $options "$name" >"$made" 2>&1 && { echo "$model: was accepted"; failed=1; } ;;
    warnings) "$gradc" check $options "$name" >"$made" 2>&1 || { echo "$model: was refused"; failed=1; } ;;
    derivative) "$gradc" grad $options "$name" >"$made" 2>&1 || { echo "$model: failed"; failed=1; } ;;
    *) "$gradc" dump --stage="$what" $options "$name" >"$made" 2>&1 || { echo "$model: failed"; failed=1; } ;;
    esac
    cd - >/dev/null || exit 1
    count=$((count + 1))
    if [ "$bless" = --bless ]; then
        cp "$made" "$expected"
    elif ! diff -u "$expected" "$made"; then
        echo "$model: printed something else"
        failed=1
    fi
done
[ "$count" -gt 0 ] || { echo "$directory: no model files"; failed=1; }
exit "$failed"
