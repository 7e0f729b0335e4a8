#!/bin/sh
# Compares what gradc prints for the model files of one folder with what stands beside them in NAME.expected.
#   sh tests/golden.sh BUILD DIRECTORY [--bless]
# The folder's name says what is run: `errors` is `gradc check`, which must refuse the file; `warnings` is `gradc check`,
# which must not; `derivative` is `gradc grad`; any other is that stage of `gradc dump`. A first line `# options: ...` in
# a model file gives further options. --bless writes the expected files anew: look at the difference before you commit.
set -u
gradc=$(cd "$1" && pwd)/gradc
directory=$2
bless=${3:-}
what=$(basename "$directory")
made=$(mktemp)
trap 'rm -f "$made"' EXIT
failed=0
count=0

code=0
case $what in
errors) command=check code=1 ;;
warnings) command=check ;;
derivative) command=grad ;;
*) command="dump --stage=$what" ;;
esac

for model in "$directory"/*.grad; do
    expected=${model%.grad}.expected
    options=$(sed -n '1s/^# options: //p' "$model")
    # Paths in messages are as they were given, so the file is named without its folder.
    # shellcheck disable=SC2086   # command and options are lists
    (cd "$directory" && exec "$gradc" $command $options "$(basename "$model")") >"$made" 2>&1
    found=$?
    sed -i -f tests/no_proc.sed "$made"
    if [ "$found" -ne "$code" ]; then
        echo "$model: gradc $command ended with $found instead of $code"
        head -n 5 "$made"
        failed=1
    elif [ "$bless" = --bless ]; then
        cp "$made" "$expected"
    elif ! diff -u "$expected" "$made"; then
        echo "$model: printed something else"
        failed=1
    fi
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "$directory: no model files"; failed=1; }
exit "$failed"
