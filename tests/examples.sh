#!/bin/sh
# The lessons in examples/: their models have no errors, and what they train is learned well, with room to spare. What
# their commands and host programs print is compared by reference.sh, which runs examples/README.md.
# Usage: sh tests/examples.sh BUILD_DIR
set -eu
gradc=$1/gradc
folder=$(mktemp -d "${TMPDIR:-/tmp}/gradc-examples-XXXXXX")
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
    echo "$*"
    failures=$((failures + 1))
}

# ---- the files

for model in examples/*.grad; do
    "$gradc" check "$model" >"$folder/check" 2>&1 || { fail "$model has errors:"; cat "$folder/check"; }
    warnings=$(grep -c ' warning: ' "$folder/check" || true)
    expected=0
    [ "$model" = examples/perceptron.grad ] && expected=1   # of the net that cannot learn
    [ "$warnings" -eq "$expected" ] || { fail "$model has $warnings warnings, not $expected:"; cat "$folder/check"; }
done

for file in examples/*; do
    name=$(basename "$file")
    [ "$name" = README.md ] || grep -qF "($name)" examples/README.md || fail "examples/README.md has no link to $name"
done

[ "$(wc -l <examples/digits.c)" -lt 60 ] || fail 'digits.c has 60 lines or more'

# elements.csv is elements.txt: a row for each name, 14 letters as numbers, 0 behind the end.
awk '{ for (i = 1; i <= 14; i++) {
           letter = i <= length($0) ? index("abcdefghijklmnopqrstuvwxyz", substr($0, i, 1)) : 0
           printf "%d%s", letter, i < 14 ? "," : "\n"
       } }' examples/elements.txt | cmp -s - examples/elements.csv || fail 'elements.csv does not say what elements.txt says'

# ---- what is learned

# learned MODEL SEED NAME LEAST MOST: trains; the last value of the loss, or of a metric, must lie between the two.
learned() {
    "$gradc" train --seed="$2" "examples/$1.grad" >"$folder/log" 2>"$folder/errors" ||
        { fail "$1.grad cannot be trained:"; cat "$folder/errors"; return; }
    value=$(sed -n "s/.* $3 \([^ ]*\) .*/\1/p" "$folder/log" | tail -n 1)
    awk "BEGIN { exit !(${value:--1} >= $4 && ${value:--1} <= $5) }" ||
        fail "$1.grad with seed $2: $3 is '$value', and not from $4 to $5"
}

learned line 0 loss 0 0.02
for seed in 0 1 2; do
    learned perceptron $seed right_by_neuron 4 4
    learned perceptron $seed right_by_stiff 0 3
    learned xor $seed layers_are_off_by 0 0.02
    learned xor $seed neuron_is_off_by 0.5 1
done
learned optimizer 1 accuracy 0.95 1
learned lenet 1 accuracy 0.96 1
learned names 0 choices 1 8
learned vae 0 error 0 0.16

# The heat equation: the median of five seeds is less than 1% from the exact solution.
for seed in 1 2 3 4 5; do
    "$gradc" train --seed=$seed examples/heat.grad | sed -n '$s/.* error \([^ ]*\) .*/\1/p'
done | sort -n >"$folder/errors"
awk 'NR == 3 { median = $1 } END { exit !(NR == 5 && median < 0.01) }' "$folder/errors" ||
    fail "heat.grad is too far from the exact solution: $(paste -sd' ' "$folder/errors")"

[ "$failures" -eq 0 ] || exit 1
