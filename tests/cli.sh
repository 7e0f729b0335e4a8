#!/bin/sh
# The command line: exit codes, messages, files that appear whole or not at all. Usage: sh tests/cli.sh BUILD_DIR
set -eu

. tests/cli/common.sh "$1"
write_points

# ---- the line itself
expect 0 'Usage: gradc COMMAND' "$gradc" --help
expect 0 'gradc 0.' "$gradc" --version
expect 2 'Usage: gradc COMMAND' "$gradc"
expect 2 "no command 'trian'; did you mean 'train'?" "$gradc" trian points.grad
expect 2 "did you mean 'run'?" "$gradc" help rn
expect 2 "no command 'paint'" "$gradc" paint
! grep -q 'did you mean' err || fail 'it guesses where nothing is near'
expect 2 'say what to do with points.grad: gradc train points.grad' "$gradc" points.grad
for command in check train eval run grad dump; do
    expect 0 "Usage: gradc $command" "$gradc" "$command" --help
    expect 2 'which FILE?' "$gradc" "$command"
    expect 2 'unrecognized option' "$gradc" "$command" --nothing points.grad
    [ $command = run ] || expect 2 'more than one FILE' "$gradc" "$command" points.grad other.grad
    expect 2 "'f16'" "$gradc" "$command" --float=f16 points.grad
    expect 2 "'points.csv' is a table: a model file" "$gradc" "$command" points.csv
    expect 2 "'w.safetensors' is a weight file" "$gradc" "$command" w.safetensors
    expect 2 "not '-1'" "$gradc" "$command" --threads=-1 points.grad
    expect 2 'at most 256' "$gradc" "$command" --threads=257 points.grad
    expect 1 "cannot read 'none.grad': No such file" "$gradc" "$command" none.grad
    expect 1 "cannot read '.': Is a directory" "$gradc" "$command" .
done
expect 2 "not 'x'" "$gradc" train --epochs=x points.grad
expect 2 "not '-1'" "$gradc" train --epochs=-1 points.grad
expect 2 "not '0'" "$gradc" train --batch=0 points.grad
expect 2 "not '1e'" "$gradc" train --lr=1e points.grad
expect 2 "not 'nan'" "$gradc" train --lr=nan points.grad
expect 2 "not '-1'" "$gradc" train --seed=-1 points.grad
for option in --save --export; do
    for name in w.pt ./w.npy .grad; do expect 2 "not '$name'" "$gradc" train $option=$name points.grad; done
done
expect 2 "not 'tree'" "$gradc" dump --stage=tree points.grad

# ---- programs
printf 'loss l(x: f32) { return y }\n' >wrong.grad
expect 1 'wrong.grad:1:' "$gradc" check wrong.grad
expect 1 'wrong.grad:1:' "$gradc" train wrong.grad
printf 'loss l(x: f32) { return' >half.grad
expect 1 'half.grad:1:' "$gradc" check half.grad
expect 1 'half.grad:1:' "$gradc" train --save=w half.grad
expect 1 'half.grad:1:' "$gradc" dump --stage=ast half.grad
expect 0 'name y' "$gradc" dump --stage=ast wrong.grad
expect 1 'wrong.grad:1:' "$gradc" dump --stage=graph wrong.grad
nothing w
printf 'dim N\nfn f(x: f32[N]) -> f32[4] { return x[1:5] }\n' >slice.grad
expect 0 'needs N - 5 >= 0: else the slice 1:5 is out of bounds' "$gradc" check slice.grad
: >empty.grad
expect 0 'no errors' "$gradc" check empty.grad
expect 1 'no train block' "$gradc" train empty.grad
expect 0 'points.grad: no errors' "$gradc" check points.grad
expect 0 'param regions.hidden.W: f32[2, 16]' "$gradc" check points.grad
expect 0 'data points: every row of points.csv can be read' "$gradc" check --data points.grad
expect 0 'no data is declared' "$gradc" check --data empty.grad
sed 's/points.csv/missing.csv/' points.grad >missing.grad
expect 0 "note: data points: cannot read '" "$gradc" check missing.grad
expect 1 "missing.csv'" "$gradc" check --data missing.grad
expect 0 'every row of points.csv' "$gradc" check --data=points.csv missing.grad
expect 0 'metric accuracy(x: f32[N, 2], y: i32[N]) -> f32' "$gradc" check points.grad
for stage in ast graph grad opt kernels plan llvm asm; do
    for kind in value forward backward update step; do
        expect 0 '' "$gradc" dump --stage=$stage --kind=$kind points.grad
        [ -s out ] || fail "dump --stage=$stage --kind=$kind prints nothing"
        [ ! -s err ] || fail "dump --stage=$stage --kind=$kind complains"
    done
done
for command in check grad 'dump --stage=asm' 'train --epochs=1'; do
    # shellcheck disable=SC2086   # a command and its options
    expect 0 'machine code' "$gradc" $command --timings points.grad
    grep -q '^whole run .* ms$' err || fail "$command --timings: no time of the whole run"
done
expect 0 'no errors' "$gradc" check --verify --float=f64 points.grad
expect 1 'no `train accuracy`' "$gradc" dump --kind=step --entry=accuracy points.grad
expect 1 'accuracy does not require grad' "$gradc" grad --entry=accuracy points.grad
printf 'loss l(x: f32) { return x^2 }\n' >plain.grad
expect 0 'multiply' "$gradc" dump --stage=opt plain.grad
expect 1 'mark an input' "$gradc" dump --stage=opt --kind=backward plain.grad
expect 1 'mark an input' "$gradc" grad plain.grad
expect 1 "'nothing'" "$gradc" dump --entry=nothing points.grad
expect 1 'scalar outputs' "$gradc" dump --kind=backward --entry=regions points.grad

# ---- the derivative is a program of the language
"$gradc" grad points.grad >derivative.grad || fail 'grad fails'
expect 0 'no errors' "$gradc" check derivative.grad

# ---- training
expect 0 'epoch 12/12' "$gradc" train points.grad --save=w --predictions=p.csv
[ "$(wc -l <out)" -eq 12 ] || fail 'not one line for each epoch'
[ -s w ] || fail 'no weights were saved'
accuracy=$(sed -n 's/.*accuracy \([0-9.]*\).*/\1/p' out | tail -n 1)
again=$(awk -F, 'NR == 1 { if ($0 != "row,y,prediction,regions.0,regions.1,regions.2") exit 1; next }
                 { n++; right += $2 == $3 } END { printf "%.4f", right / n }' p.csv) || fail 'the heading of p.csv'
[ "$accuracy" = "$again" ] || fail "accuracy is $accuracy, but $again by the predictions"
[ "$(wc -l <p.csv)" -eq 42 ] || fail 'not one prediction for each of the 41 held-out rows'
awk "BEGIN { exit !($again > 0.8) }" || fail "it learns to $again only"
awk -F, 'NR == FNR { class[NR] = $3; next } FNR > 1 && class[$1] != $2 { exit 1 }' points.csv p.csv ||
    fail 'rows of the predictions are not rows of the data'

cp w w0
expect 0 '' "$gradc" train points.grad --quiet --save=w
[ ! -s out ] || fail '--quiet prints'
cmp -s w w0 || fail 'the same seed gives other weights'
expect 0 '' "$gradc" train points.grad --quiet --save=w --seed=5
! cmp -s w w0 || fail 'another seed gives the same weights'
expect 0 '' "$gradc" train points.grad --quiet --vectors=16 --save=w
cmp -s w w0 || fail 'other vectors give other weights'
for level in x86-64 x86-64-v2 x86-64-v3 x86-64-v4; do
    if ! "$gradc" train points.grad --quiet --cpu=$level --save=w 2>err; then
        grep -q "cannot run code for $level" err || fail "--cpu=$level: no reason"
        continue
    fi
    cmp -s w w0 || fail "code for $level gives other weights"
done
expect 1 "x86-64-v4, not 'i8086'" "$gradc" train points.grad --cpu=i8086
expect 0 '' "$gradc" train points.grad --load=w0 --epochs=0 --save=w --predictions=p2.csv
cmp -s w w0 || fail 'loading and saving changes weights'
cmp -s p.csv p2.csv || fail 'loaded weights predict otherwise'
expect 0 'epoch 2/2' "$gradc" train points.grad --epochs=2 --batch=7 --lr=0.001
expect 0 'epoch 1/1' "$gradc" train points.grad --epochs=1 --float=f64 --save=w64
expect 0 'epoch 1/1' "$gradc" train points.grad --epochs=1 --load=w64
mkdir elsewhere
expect 0 'epoch 1/1' "$gradc" train points.grad --epochs=1 --save=elsewhere/w
(cd elsewhere && "$gradc" train ../points.grad --epochs=1 --quiet) || fail "data is not looked for beside the program"

# ---- files that cannot be written: said before training
expect 1 "cannot write 'none/w'" "$gradc" train points.grad --save=none/w
expect 1 "cannot write 'elsewhere'" "$gradc" train points.grad --save=elsewhere
expect 1 "cannot write 'none/p'" "$gradc" train points.grad --predictions=none/p
[ ! -s out ] || fail 'it trains before it sees that it cannot write'
expect 1 'No space left' "$gradc" train points.grad --epochs=1 --save=/dev/full

# ---- bad data: a message with its place, and nothing written
bad() {
    words=$1
    shift
    expect 1 "$words" "$gradc" train points.grad --data=bad.csv --save=bad.npz --predictions=bad.p "$@"
    nothing bad.npz bad.p
    [ ! -s out ] || fail "it trains on bad data: $words"
    expect 1 "$words" "$gradc" check points.grad --data=bad.csv
    [ ! -s out ] || fail "check --data finds no mistake: $words"
}
expect 1 "cannot read 'none.csv'" "$gradc" train points.grad --data=none.csv --save=bad.npz
expect 1 "Is a directory" "$gradc" train points.grad --data=elsewhere --save=bad.npz
nothing bad.npz
: >bad.csv
bad 'bad.csv: the file is empty'
sed '17s/,[0-2]$/,3/' points.csv >bad.csv
bad 'bad.csv:17: y is 3 in this row, but nll takes numbers from 0 to 2'
sed '17s/,[0-2]$/,-1/' points.csv >bad.csv
bad 'bad.csv:17: y is -1 in this row'
sed '17s/,[0-2]$/,0.5/' points.csv >bad.csv
bad 'bad.csv:17: y is 0.5 in this row, which is not a whole number'
sed '17s/^[^,]*,/nan,/' points.csv >bad.csv
bad "bad.csv:17:1: 'nan' is not a finite number"
sed '17s/^[^,]*,/,/' points.csv >bad.csv
bad 'bad.csv:17:1: the cell is empty'
sed '17s/^[^,]*,//' points.csv >bad.csv
bad 'bad.csv:17: the row has 2 columns, but the rows before it have 3'
cut -d, -f1,2 points.csv >bad.csv
bad 'bad.csv has 2 columns, but y of data points reads columns[2]'
head -n 3 points.csv >bad.csv && printf '0.5,0.' >>bad.csv
bad 'is the file truncated?'
head -n 1 points.csv >bad.csv
bad 'leaves none to train'

# ---- a loss that runs away, and damaged weights
expect 1 'at iteration' "$gradc" train points.grad --lr=1e38 --save=bad.npz
nothing bad.npz
head -c 100 w0 >bad.weights
expect 1 'is not a weight file' "$gradc" train points.grad --load=bad.weights --save=bad.npz
expect 1 'cannot read' "$gradc" train points.grad --load=none --save=bad.npz
sed 's/2, 16/2, 8/; s/16, 3/8, 3/' points.grad >narrow.grad
expect 1 'is f32[2, 16] there, but f32[2, 8] in the program' "$gradc" train narrow.grad --load=w0 --save=bad.npz
nothing bad.npz

finish
