#!/bin/sh
# --json: what is printed is JSON, and holds what the text says. Usage: sh tests/cli_json.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"
write_points

# is WANTED PATH...: what the path leads to in `out`.
is() {
    wanted=$1
    shift
    found=$("$json" "$@" <out) || found="nothing"
    [ "$found" = "$wanted" ] || fail "$* is $found, not $wanted"
}

# ---- check
expect 0 '' "$gradc" check --json points.grad
is points.grad file
is 0 errors
is 3 entries length
is net entries 0 kind
is regions entries 0 name
is 'f32[N, 2]' entries 0 inputs 0 type
is '[null,2]' entries 0 inputs 0 shape
is i32 entries 1 inputs 1 dtype
is 99 parameter_elements
is regions.hidden.W parameters 0 path
is '[2,16]' parameters 0 shape
is 0.8 data 0 split
is '["x","y"]' data 0 fields
is adam train 0 optimizer
printf 'fn f(x: f32) -> f32 {\n    return y\n}\n' >wrong.grad
expect 1 '' "$gradc" check --json wrong.grad
[ ! -s err ] || fail 'check --json prints its messages as text, too'
is 1 errors
is unknown_name diagnostics 0 id
is error diagnostics 0 severity
is 2 diagnostics 0 line
is 12 diagnostics 0 column
is 0 entries length
printf 'fn "\\ f' >'strange "name\.grad'
expect 1 '' "$gradc" check --json 'strange "name\.grad'
is 'strange "name\.grad' file

# ---- train: an object a line
expect 0 '' "$gradc" train --json points.grad --save=w
[ "$("$json" <out)" -eq 12 ] || fail 'not one object for each of 12 epochs'
tail -n 1 out >last && cp last out
is nll train
is 12 epoch
is 132 iteration
accuracy=$("$json" metrics accuracy <out)
expect 0 '' "$gradc" train --json points.grad --epochs=3 --monitor=accuracy:max
tail -n 1 out >last && cp last out
"$json" best <out >/dev/null || fail 'the best epoch is not told'

# ---- eval, run, grad
expect 0 '' "$gradc" eval --json points.grad --load=w
is 41 rows
awk "BEGIN { d = $accuracy - $("$json" values accuracy <out); exit d * d > 1e-12 }" || fail 'eval --json: another accuracy'
expect 0 '' "$gradc" run --json points.grad --load=w
is 41 rows length
is '["row","y","prediction","regions.0","regions.1","regions.2"]' columns
expect 0 '' "$gradc" run --json points.grad --load=w --input=x=1,2,3,4
is regions entry
is '[2,3]' outputs 0 shape
is f32 outputs 0 dtype
is 3 outputs 0 values 1 length
printf 'fn f(x: f32[1]) -> (f32, bool[1], i64) { return log(x[0]), x > 0, i64(7) }\n' >parts.grad
expect 0 '' "$gradc" run --json parts.grad --input=x=-1
is null outputs 0 values
is "[false]" outputs 1 values
is 7 outputs 2 values
expect 0 '' "$gradc" grad --json points.grad
"$json" derivative <out >derivative.grad
expect 0 'no errors' "$gradc" check derivative.grad
finish
