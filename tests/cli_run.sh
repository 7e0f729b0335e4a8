#!/bin/sh
# gradc run and gradc eval: what they say is what training said; inputs and outputs in all forms; bad use.
# Usage: sh tests/cli_run.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"
write_points
"$gradc" train points.grad --save=w --predictions=p.csv >progress
accuracy=$(sed -n 's/.*accuracy \([0-9.]*\).*/\1/p' progress | tail -n 1)

# ---- eval
expect 0 'points: 41 rows' "$gradc" eval points.grad --load=w
awk -v printed="$accuracy" '{ exit sprintf("%.4f", $NF) != printed }' out || fail "eval: $(cat out), but training ended with $accuracy"
expect 0 'first values' "$gradc" eval points.grad
expect 0 'points: 162 rows' "$gradc" eval points.grad --load=w --rows=training
expect 0 'points: 203 rows' "$gradc" eval points.grad --load=w --rows=all
head -n 20 points.csv >few.csv
expect 0 'points: 20 rows' "$gradc" eval points.grad --load=w --data=few.csv --block=points
expect 0 'accuracy' "$gradc" eval points.grad --load=w --entry=accuracy
! grep -q nll out || fail 'eval --entry measures something else, too'
expect 1 "no \`data lines\`" "$gradc" eval points.grad --load=w --block=lines
expect 1 "'loss'" "$gradc" eval points.grad --load=w --entry=loss
expect 1 "cannot read 'none.csv'" "$gradc" eval points.grad --load=w --data=none.csv
expect 1 "cannot read 'none'" "$gradc" eval points.grad --load=none
expect 2 "not 'most'" "$gradc" eval points.grad --rows=most

# ---- run, for rows of data
expect 0 '' "$gradc" run points.grad --load=w
cmp -s out p.csv || fail 'run and train --predictions differ'
expect 0 '' "$gradc" run points.grad regions --load=w --output=again.csv
cmp -s again.csv p.csv || fail 'run --output differs'
[ ! -s out ] || fail 'run --output prints'
expect 0 '' "$gradc" run points.grad --load=w --data=few.csv
[ "$(wc -l <out)" -eq 21 ] || fail 'not a line for each row of another file'
cut -d, -f1,2 few.csv >unlabelled.csv
expect 0 '' "$gradc" run points.grad --load=w --data=unlabelled.csv
[ "$(head -n 1 out)" = row,prediction,regions.0,regions.1,regions.2 ] || fail 'rows without labels'
[ "$(wc -l <out)" -eq 21 ] || fail 'not a line for each row without labels'
expect 1 'gradc eval' "$gradc" run points.grad nll --load=w
expect 1 'gradc eval' "$gradc" run points.grad accuracy --load=w --data=few.csv
expect 1 "cannot write 'none/p.csv'" "$gradc" run points.grad --load=w --output=none/p.csv

# ---- run, for inputs of one's own
expect 0 '' "$gradc" run points.grad --load=w --input='x=[[-1, -0.7727272727272727], [0.48, 0.5681818181818182]]'
[ "$(head -n 1 out)" = 'regions: f32[2, 3]' ] || fail "the output's head is $(head -n 1 out)"
cp out nested
expect 0 '' "$gradc" run points.grad regions --load=w --input=x=-1,-0.7727272727272727,0.48,0.5681818181818182
cmp -s out nested || fail 'numbers without lists are other inputs'
printf 'a,b\n-1,-0.7727272727272727\n0.48,0.5681818181818182\n' >x.csv
expect 0 '' "$gradc" run points.grad regions --load=w --input=x=x.csv
cmp -s out nested || fail 'a table is another input'
expect 0 '' "$gradc" run points.grad regions --load=w --input=x=x.csv --output=logits.csv
[ "$(cat logits.csv | wc -l)" -eq 3 ] && [ "$(head -n 1 logits.csv)" = regions.0,regions.1,regions.2 ] ||
    fail 'the table of outputs'
cat >parts.grad <<'MODEL'
dim N, M
fn echo(x: f32[N, 3]) -> f32[N, 3] { return x }
fn both(x: f32[N], k: i32) -> (f32[N], i32, bool[N]) { return x * f32(k), k + 1, x > 1 }
fn wide(x: i64[N]) -> i64[N] { return x }
fn halves(x: f64[N]) -> f64[N] { return x / 2 }
fn ramp() -> i32[M] { return arange(M) }
fn flag(b: bool[1]) -> f32 { return where(b, 1.5, 2.5)[0] }
fn noise() -> f32[4] { return normal([4]) }
fn cut(x: f32[N]) -> f32[4] { return x[1:5] }
MODEL
expect 0 '' "$gradc" run points.grad regions --load=w --input=x=x.csv --output=logits.npy
expect 0 '' "$gradc" run parts.grad echo --input=x=logits.npy
sed 1d nested >a && sed 1d out >b && cmp -s a b || fail 'an array of NumPy comes back as another'
expect 0 '' "$gradc" run parts.grad both --input=x=1,2 --input=k=3 --output=both.npz
expect 0 '' "$gradc" run parts.grad halves --input=x=both.npz:both.0
[ "$(tail -n 1 out)" = '[1.5, 3]' ] || fail "an array of an npz file: $(tail -n 1 out)"
expect 1 'name one of them' "$gradc" run parts.grad halves --input=x=both.npz
expect 1 "no array 'z'" "$gradc" run parts.grad halves --input=x=both.npz:z
expect 1 'can hold one array' "$gradc" run parts.grad both --input=x=1,2 --input=k=3 --output=both.npy
expect 0 '' "$gradc" run parts.grad both --input=x=1,2 --input=k=3
printf 'both.0: f32[2]\n[3, 6]\nboth.1: i32 = 4\nboth.2: bool[2]\n[false, true]\n' | cmp -s - out || fail "several outputs: $(cat out)"
expect 1 'differ in their numbers of rows' "$gradc" run parts.grad both --input=x=1,2 --input=k=3 --output=both.csv
nothing both.csv both.npy
expect 0 '[9007199254740993, -3]' "$gradc" run parts.grad wide --input='x=[9007199254740993, -3]'
expect 0 '' "$gradc" run parts.grad wide --input='x=[9007199254740993, -3]' --output=wide.npy
expect 0 '[9007199254740993, -3]' "$gradc" run parts.grad wide --input=x=wide.npy
expect 0 '[0.1, 0.05]' "$gradc" run parts.grad halves --input=x=0.2,0.1
expect 0 '[0, 1, 2]' "$gradc" run parts.grad ramp --dim=M=3
expect 0 '[]' "$gradc" run parts.grad halves --input='x=[]'
[ "$("$gradc" run parts.grad flag --input=b=true) $("$gradc" run parts.grad flag --input=b=0)" = '1.5 2.5' ] || fail 'bools'
"$gradc" run parts.grad noise --seed=4 >a && "$gradc" run parts.grad noise --seed=4 >b && cmp -s a b || fail 'the seed'
"$gradc" run parts.grad noise --seed=5 >b && ! cmp -s a b || fail 'another seed'
loss=$("$gradc" run points.grad nll --load=w --input=x=x.csv --input=y=1,1)
awk "BEGIN { exit !($loss > 0) }" || fail "the value of a loss is '$loss'"

# ---- weights of another program
"$gradc" train points.grad --load=w --epochs=0 --export=theirs --rename='fc.*=regions.hidden.*' --transpose='*.W'
expect 1 'did you mean' "$gradc" eval points.grad --load=theirs
expect 0 '' "$gradc" run points.grad --load=theirs --rename='fc.*=regions.hidden.*' --transpose='*.W'
cmp -s out p.csv || fail 'renamed and transposed weights are others'
expect 2 'name one, --load=FILE' "$gradc" run points.grad --transpose='*.W'

# ---- bad use
for command in run eval; do
    expect 0 "Usage: gradc $command" "$gradc" "$command" --help
    expect 2 'which FILE?' "$gradc" "$command"
    expect 2 'unrecognized option' "$gradc" "$command" --nothing points.grad
    expect 1 "cannot read 'none.grad'" "$gradc" "$command" none.grad
done
expect 2 'more than one FILE' "$gradc" eval points.grad regions
expect 2 'more than one ENTRY' "$gradc" run points.grad regions nll
expect 1 "net or fn 'nothing'" "$gradc" run points.grad nothing
printf 'dim N\n' >empty.grad
expect 1 'no entry to run' "$gradc" run empty.grad
expect 1 'has no input' "$gradc" run parts.grad echo --input=z=1
expect 1 'needs its input k: i32; say --input=k=VALUE' "$gradc" run parts.grad both --input=x=1
expect 1 'not made of 4 numbers' "$gradc" run parts.grad echo --input=x=1,2,3,4
expect 1 'not all alike' "$gradc" run parts.grad echo --input='x=[[1, 2, 3], [4]]'
expect 1 'not all alike' "$gradc" run parts.grad echo --input='x=[["a", 2, 3]]'
expect 1 'neither a number' "$gradc" run parts.grad echo --input=x=one
expect 1 '1.5 is not a whole number: k is i32' "$gradc" run parts.grad both --input=x=1 --input=k=1.5
expect 1 '4000000000 is too large: k is i32' "$gradc" run parts.grad both --input=x=1 --input=k=4000000000
expect 1 '2 is neither 0 nor 1' "$gradc" run parts.grad flag --input=b=2
expect 1 'is too large: x is f32[' "$gradc" run parts.grad echo --input=x=1e39,1,1
expect 1 'echo' "$gradc" run parts.grad echo --input='x=[[1, 2]]'
expect 1 'out of bounds' "$gradc" run parts.grad cut --input=x=1,2,3
expect 1 "cannot read 'none.npy'" "$gradc" run parts.grad echo --input=x=none.npy
expect 1 'which is no i64' "$gradc" run parts.grad wide --input=x=logits.npy
head -c 90 logits.npy >half.npy
expect 1 'half.npy' "$gradc" run parts.grad echo --input=x=half.npy
expect 1 '--dim takes a size' "$gradc" run parts.grad ramp --dim=M=x
expect 1 "'K'" "$gradc" run parts.grad ramp --dim=K=3
expect 1 'M' "$gradc" run parts.grad ramp
expect 2 'takes NAME=VALUE' "$gradc" run parts.grad echo --input=x
expect 2 'given twice' "$gradc" run parts.grad echo --input=x=1 --input=x=2
expect 2 'not from both' "$gradc" run points.grad --input=x=1 --data=few.csv
expect 2 'what is said of rows of data is CSV' "$gradc" run points.grad --data=few.csv --output=a.npy
expect 2 "not 'a.txt'" "$gradc" run points.grad --output=a.txt
expect 2 'choose one' "$gradc" run points.grad --output=a.csv --json
nothing a.npy a.csv a.txt
finish
