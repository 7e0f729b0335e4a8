#!/bin/sh
# gradc init: the starter model is free of warnings and learns; what is there already is left alone.
# Usage: sh tests/cli_init.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"

expect 0 'next: gradc train model.grad' "$gradc" init
expect 0 'no errors' "$gradc" check model.grad
! grep -q warning out err || fail 'the starter model has warnings'
expect 0 'epoch 20/20' "$gradc" train model.grad
accuracy=$(sed -n 's/.*accuracy \([0-9.]*\).*/\1/p' out | tail -n 1)
awk "BEGIN { exit !($accuracy > 0.9) }" || fail "the starter model learns to $accuracy only"
grep -q '^ *#' model.grad || fail 'the starter model has no comments'

# ---- nothing is overwritten, and nothing is half written
cp model.grad before
echo mine >model.csv
expect 1 "'model.grad' is there already" "$gradc" init
cmp -s before model.grad || fail 'the model was overwritten'
rm model.grad
expect 1 "'model.csv' is there already" "$gradc" init
nothing model.grad
[ "$(cat model.csv)" = mine ] || fail 'the data were overwritten'

# ---- other names
mkdir folder
expect 0 'folder/moons.csv' "$gradc" init folder/moons.grad
(cd / && "$gradc" train "$folder/folder/moons.grad" --quiet --epochs=1) || fail 'it does not find its data'
expect 0 'wrote plain, a model, and plain.csv' "$gradc" init plain
expect 0 '' "$gradc" train plain --epochs=1
expect 2 'more than one FILE' "$gradc" init a.grad b.grad
expect 2 'cannot be the name' "$gradc" init 'a"b.grad'
expect 2 'cannot be the name' "$gradc" init folder/
expect 2 'its data get that name' "$gradc" init a.csv
expect 1 'cannot write' "$gradc" init none/a.grad
expect 1 'cannot write' "$gradc" init /dev/null/a.grad
nothing a.grad a.csv none
finish
