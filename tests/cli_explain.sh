#!/bin/sh
# gradc explain: costs of small functions that can be counted by hand, measured times, wrong lines.
# Usage: sh tests/cli_explain.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"
write_points

# is WANTED PATH...: what the path leads to in `out`.
is() {
    wanted=$1
    shift
    found=$("$json" "$@" <out 2>/dev/null) || found="nothing"
    [ "$found" = "$wanted" ] || fail "$* is $found, not $wanted"
}

# ---- counted by hand: 10 rows of 8 by 8x16 are 2 * 10 * 8 * 16 operations; both operands and the result, 4 bytes each
cat >product.grad <<'MODEL'
dim N
dim K

net product(x: f32[N, 8]) -> f32[N, 16] {
    param W: f32[8, 16] ~ ones
    return x @ W
}
fn total(x: f32[N]) -> f32 { return sum(x) }
fn scaled(x: f32[N], y: f32[K]) -> f32[N, K] { return 2 * x[:, none] * y }
fn steps(x: f32[4]) -> f32[4] {
    for i in 0:7 { x = sin(x) + x[::-1] }
    return x
}
MODEL
expect 0 '' "$gradc" explain product.grad --dim=N=10 --json
is product_value function
is 1 kernels length
is contract kernels 0 kind
is '10x16 over 8' kernels 0 shape
is product.grad kernels 0 file
is 6 kernels 0 line
is 2560 kernels 0 flops
is 1472 kernels 0 bytes
is false kernels 0 shared
is 2560 flops
is '{"N":10}' dims
is nothing seconds
expect 0 '' "$gradc" explain product.grad --entry=total --dim=N=1000 --json
is 4004 bytes
is '{"N":1000}' dims
expect 0 '' "$gradc" explain product.grad --entry=scaled --dim=N=3 --dim=K=5 --json
is 92 bytes
expect 0 '4.01M' "$gradc" explain product.grad --entry=scaled --dim=N=1000 --dim=K=1000

# A loop's kernels count as often as they run.
expect 0 '' "$gradc" explain product.grad --entry=steps --json
loop=$("$json" kernels 0 kind <out)
for i in 0 1 2 3; do
    [ "$("$json" kernels $i kind <out)" = loop ] && loop=$i
done
is '7 times' kernels "$loop" shape
is 1 kernels "$((loop + 1))" depth
is 7 kernels "$((loop + 1))" runs

# ---- the step of a train block, with its batch
expect 0 'points.grad:' "$gradc" explain points.grad
expect 0 'nll_step' "$gradc" explain points.grad
expect 0 'N = 16' "$gradc" explain points.grad
for kind in value forward backward update step; do
    expect 0 "nll_$kind" "$gradc" explain points.grad --kind=$kind --measure
    [ ! -s err ] || fail "explain --kind=$kind complains"
done

# ---- threads share what is large
expect 0 '' "$gradc" explain product.grad --dim=N=100000 --json
[ "$(nproc)" -eq 1 ] || is true kernels 0 shared

# ---- measured: the kernels together take about as long as the call, and no longer than many
expect 0 'measured on one thread' "$gradc" explain product.grad --dim=N=2000 --measure
expect 0 '' "$gradc" explain product.grad --dim=N=2000 --measure --json
awk -v kernel="$("$json" kernels 0 seconds <out)" -v all="$("$json" seconds <out)" -v peak="$("$json" peak <out)" \
    -v bandwidth="$("$json" bandwidth <out)" -v roofline="$("$json" kernels 0 roofline <out)" 'BEGIN {
    if (kernel <= 0 || all <= 0 || kernel > 4 * all || all > 4 * kernel) { print "times", kernel, all; exit 1 }
    if (peak < 1e8 || peak > 1e13 || bandwidth < 1e8 || bandwidth > 1e13) { print "machine", peak, bandwidth; exit 1 }
    compute = 2000 * 8 * 16 * 2 / peak / kernel; memory = 4 * (2000 * 24 + 128) / bandwidth / kernel
    least = compute > memory ? compute : memory
    if (roofline < 0.99 * least || roofline > 1.01 * least) { print "roofline", roofline, least; exit 1 }
}' || fail 'measured numbers do not fit'

# ---- on two threads, with a loop between what they share: all of them meet after each kernel
cat >loop.grad <<'END'
fn f(x: f32[512, 512], y: f32[8], z: f32[20, 8]) {
    a = x @ x
    m = y
    for s in z { m = tanh(m) * s + m }
    return a @ x, m
}
END
expect 0 '' timeout 60 "$gradc" explain loop.grad --measure --threads=2

# ---- wrong lines
expect 1 "depends on the dim N" "$gradc" explain product.grad
expect 1 "no dim 'M'" "$gradc" explain product.grad --dim=M=3
expect 2 'NAME=NUMBER' "$gradc" explain product.grad --dim=3
expect 2 'whole number' "$gradc" explain product.grad --dim=N=x
expect 1 "'nothing'" "$gradc" explain product.grad --entry=nothing
expect 1 'no `train product`' "$gradc" explain product.grad --kind=step
expect 2 'FILE' "$gradc" explain
finish
