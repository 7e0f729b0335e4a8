#!/bin/sh
# gradc plot: the curves are those of the functions and their derivatives, as numbers, SVG and text; logs; bad use.
# Usage: sh tests/cli_plot.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"

# near A B: expressions of awk that are equal for every row of the last numbers; $1 is x.
near() {
    awk -F, "NR > 1 { d = ($1) - ($2); if (d < 0) d = -d; if (d > 1e-12) { print \"row \" NR \": \" ($1) \" \" ($2); exit 1 } }" \
        numbers.csv || fail "not the same: $1 and $2"
}

# ---- the note's curves, and higher derivatives
expect 0 '' "$gradc" plot --function=step,sigmoid,tanh,relu --output=numbers.csv
[ "$(head -n 1 numbers.csv)" = "x,step,step',sigmoid,sigmoid',tanh,tanh',relu,relu'" ] || fail 'the heading of the numbers'
[ "$(wc -l <numbers.csv)" -eq 402 ] || fail 'not 401 points'
[ "$(sed -n 2p numbers.csv | cut -d, -f1) $(tail -n 1 numbers.csv | cut -d, -f1)" = '-5 5' ] || fail 'not from -5 to 5'
near '$2' '$1 > 0'
near '$3' '0'
near '$4' '1 / (1 + exp(-$1))'
near '$5' '$4 * (1 - $4)'
near '$6' '2 / (1 + exp(-2 * $1)) - 1'
near '$7' '1 - $6 * $6'
near '$8' '$1 > 0 ? $1 : 0'
near '$9' '$1 > 0'
expect 0 '' "$gradc" plot --function=sigmoid --order=3 --range=-2:3.5 --points=12 --output=numbers.csv
[ "$(wc -l <numbers.csv)" -eq 13 ] || fail 'not 12 points'
[ "$(sed -n 2p numbers.csv | cut -d, -f1) $(tail -n 1 numbers.csv | cut -d, -f1)" = '-2 3.5' ] || fail 'not from -2 to 3.5'
near '$4' '$2 * (1 - $2) * (1 - 2 * $2)'
near '$5' '$2 * (1 - $2) * (1 - 6 * $2 + 6 * $2 * $2)'
expect 0 '' "$gradc" plot --function=exp --order=0 --output=numbers.csv
[ "$(head -n 1 numbers.csv)" = x,exp ] || fail 'order 0 is not the function alone'

# ---- functions and nets of a file
cat >own.grad <<'MODEL'
dim N
fn cube(x: f32) -> f32 { return x^3 }
fn pretend(x: f32[N]) -> f32[N] {     # a derivative of one's own is what is drawn
    derivative(ct) = 7 * ct
    return x
}
fn two(x: f32, y: f32) -> f32 { return x * y }
net bend(x: f32[N, 1]) -> f32[N, 1] {
    use a = dense<1, 4, tanh>
    use b = dense<4, 1>
    return b(a(x))
}
loss fit(x: f32[N, 1], y: f32[N, 1]) { return mse_loss(bend(x), y) }
train fit { optimizer sgd }
MODEL
expect 0 '' "$gradc" plot own.grad --order=2 --output=numbers.csv
[ "$(head -n 1 numbers.csv)" = "x,cube,cube',cube''" ] || fail 'the first function is not drawn'
near '$3' '3 * $1 * $1'
near '$4' '6 * $1'
expect 0 '' "$gradc" plot own.grad --function=pretend,sin --output=numbers.csv
near '$3' '7'
near '$4' 'sin($1)'
"$gradc" train own.grad --epochs=0 --seed=3 --save=bend.npz
for weights in '' --load=bend.npz; do
    # shellcheck disable=SC2086   # may be empty
    expect 0 '' "$gradc" plot own.grad --function=bend $weights --range=0.5:2 --points=2 --output=numbers.csv
    # shellcheck disable=SC2086
    value=$("$gradc" run own.grad bend $weights --float=f64 --input=x=0.5 2>err | tail -n 1 | tr -d '[]')
    awk -F, "NR == 2 { d = \$2 - ($value); exit d * d > 1e-20 }" numbers.csv || fail "the net's curve is not its value: $weights"
    echo "$value" >>bends
done
[ "$(uniq bends | wc -l)" -eq 2 ] || fail 'the weights are not loaded'
expect 1 "two cannot be drawn" "$gradc" plot own.grad --function=two
expect 1 "'nothing' cannot be drawn as a function of one number: nothing is called 'nothing'" \
    "$gradc" plot own.grad --function=nothing
expect 1 "'softmax' cannot be drawn as a function of one number: axis -1" "$gradc" plot --function=softmax
for file in '' own.grad; do
    # shellcheck disable=SC2086   # may be empty
    expect 1 'help: it is called silu(x)' "$gradc" plot $file --function=swish
    ! grep -qE 'gradc_|own.grad' err || fail "a message shows the program around the function: $(cat err)"
done
cat >open.grad <<'MODEL'
fn two(x: f32, y: f32) -> f32 { return x * y }
fn pair(x: float[*], y: float[*]) -> float[*] { return x * y }
fn open(x: float[*], beta: float = 2) -> float[*] { return beta * x }
fn broken(x: float[*]) -> float[*] { return x + reshape(x, [3]) }
MODEL
expect 0 '' "$gradc" plot open.grad --output=numbers.csv
[ "$(head -n 1 numbers.csv)" = "x,open,open'" ] || fail 'a function of any shape is not drawn'
near '$3' '2'
expect 1 'open.grad:4:' "$gradc" plot open.grad --function=broken
expect 1 'fn open cannot be called from outside: x: float[*] leaves its shape open' "$gradc" run open.grad open --input=x=1
expect 1 "no loss, metric, net or fn 'shut'" "$gradc" run open.grad shut --input=x=1
printf 'fn two(x: f32, y: f32) -> f32 { return x * y }\n' >none.grad
expect 1 'nothing in none.grad takes one number' "$gradc" plot none.grad
printf 'fn f(x: f32) -> f32 { return y }\n' >wrong.grad
expect 1 'wrong.grad:1:' "$gradc" plot wrong.grad

# ---- bad use
expect 0 'Usage: gradc plot' "$gradc" plot --help
expect 2 'what is to be drawn?' "$gradc" plot
expect 2 'more than one FILE' "$gradc" plot a.grad b.grad
expect 2 'unrecognized option' "$gradc" plot --nothing
for range in 1 1: :1 2:1 1:1 a:b 1:2:3 nan:1 0:inf; do
    expect 2 "not '$range'" "$gradc" plot --function=tanh --range=$range
done
expect 2 "not '-1'" "$gradc" plot --function=tanh --order=-1
expect 2 'at most 6' "$gradc" plot --function=tanh --order=7
expect 2 "not '1'" "$gradc" plot --function=tanh --points=1
expect 2 'at most 100000' "$gradc" plot --function=tanh --points=100001
for name in 'tanh()' 'x^2' 'tanh, relu' '' 'tanh,' 'a
b'; do
    expect 2 'takes names of functions' "$gradc" plot --function="$name"
done
expect 2 "not 'a.png'" "$gradc" plot --function=tanh --output=a.png
expect 2 'say --log=log.csv' "$gradc" plot log.csv
expect 2 'stands alone' "$gradc" plot --log=log.csv --function=tanh
expect 2 'the log is CSV already' "$gradc" plot --log=log.csv --output=a.csv
expect 1 "cannot write 'none/a.csv'" "$gradc" plot --function=tanh --output=none/a.csv
expect 1 'drawing needs gnuplot' env PATH=/nonexistent "$gradc" plot --function=tanh
expect 1 'drawing needs gnuplot' env PATH=/nonexistent "$gradc" plot --function=tanh --output=a.svg
expect 0 '' env PATH=/nonexistent "$gradc" plot --function=tanh --output=numbers.csv
mkdir bin
printf '#!/bin/sh\necho "what a day" >&2\nexit 3\n' >bin/gnuplot
chmod +x bin/gnuplot
expect 1 'what a day' env "PATH=$folder/bin:$PATH" "$gradc" plot --function=tanh --output=a.svg
grep -q 'status 3' err || fail 'the status of gnuplot is not told'
nothing a.svg a.png

if ! command -v gnuplot >/dev/null; then
    echo 'no gnuplot here: pictures are not tried'
    finish
    exit 0
fi

# ---- pictures
expect 0 '' "$gradc" plot --function=step,sigmoid,tanh,relu --output=curves.svg
for words in '<svg' '</svg>' '>sigmoid<' '>sigmoid′<' '>relu′<'; do
    grep -qF "$words" curves.svg || fail "$words is not in the picture"
done
expect 0 'tanh′′' "$gradc" plot --function=tanh --order=2
awk '{ if (length($0) > 79) exit 1 }' out || fail 'the picture is wider than 79 columns'
! grep -q "$(printf '[\033\014]')" out || fail 'there are colours or form feeds where there is no terminal'
expect 0 '' "$gradc" plot --function=tanh --output=tanh.txt
expect 0 'tanh′' cat tanh.txt
expect 0 'log′' "$gradc" plot --function=log --range=-1:1     # NaN at half of the points
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then   # there may be no terminals, as in a plain chroot
    TERM=xterm script -qec "$gradc plot --function=tanh" /dev/null >out </dev/null
    grep -q "$(printf '\033')" out || fail 'no colours on a terminal'
    NO_COLOR=1 TERM=xterm script -qec "$gradc plot --function=tanh" /dev/null >out </dev/null
    ! grep -q "$(printf '\033')" out || fail 'NO_COLOR is not respected'
fi

# ---- logs of training
write_points
expect 0 '' "$gradc" train points.grad --log=log.csv
expect 0 'nll loss' "$gradc" plot --log=log.csv
grep -q 'nll accuracy' out || fail 'the metric is not drawn'
expect 0 '' "$gradc" plot --log=log.csv --output=log.svg
grep -q '>nll accuracy<' log.svg || fail 'the metric is not in the picture'
# svg NAME LOSS...: draws a log of these losses into NAME.svg.
svg() {
    name=$1
    shift
    { echo epoch,loss; printf '%s\n' "$@" | awk '{ print NR "," $1 }'; } >losses.csv
    expect 0 '' "$gradc" plot --log=losses.csv --output="$name.svg" ${scale:+"$scale"}
}
svg linear 2 0.1 0.003
! grep -q '>-0' linear.svg && grep -q '> *0<' linear.svg || fail 'the axis of losses above 0 does not begin at 0'
svg below 2 -1
grep -q '>-1' below.svg || fail 'a loss below 0 is not drawn'
scale=--log-scale
svg logarithmic 2 0.1 0.003
grep -q '> *0.01<' logarithmic.svg || fail '--log-scale draws no powers of ten'
svg gap 2 0 0.003
grep -q 'leaves out 1 losses' err || fail 'it does not say that a loss was left out'
printf 'epoch,loss\n1,0\n2,-3\n' >losses.csv
expect 1 'needs losses above 0' "$gradc" plot --log=losses.csv --log-scale
expect 2 'needs --log=FILE' "$gradc" plot --function=tanh --log-scale
head -n 2 log.csv >one.csv
expect 0 'nll loss' "$gradc" plot --log=one.csv
expect 1 "cannot read 'nothing.csv'" "$gradc" plot --log=nothing.csv
head -n 1 log.csv >bad.csv
expect 1 'no epoch in the log' "$gradc" plot --log=bad.csv
: >bad.csv
expect 1 'no epoch in the log' "$gradc" plot --log=bad.csv
expect 1 "no column is called 'epoch'" "$gradc" plot --log=points.csv
sed '3s/,[^,]*$//' log.csv >bad.csv
expect 1 'bad.csv:3: the row has fewer columns' "$gradc" plot --log=bad.csv
sed '3s/$/,1/' log.csv >bad.csv
expect 1 'bad.csv:3: the row has more columns' "$gradc" plot --log=bad.csv
sed '3s/,2,/,two,/' log.csv >bad.csv
expect 1 "bad.csv:3: this is not a number: 'two'" "$gradc" plot --log=bad.csv

# ---- what gnuplot could take for commands is drawn as text
cat >evil.csv <<'LOG'
train,epoch,loss,'; system "touch hacked"; ',`touch hacked`,$(touch hacked),@hacked
"a\n; !touch hacked,1,1,1,1,1,1
"a\n; !touch hacked,2,2,2,2,2,2
LOG
expect 0 'system' "$gradc" plot --log=evil.csv
mkdir "'; system 'touch hacked'; '"
cp evil.csv "'; system 'touch hacked'; '/log.csv"
expect 0 '' "$gradc" plot --log="'; system 'touch hacked'; '/log.csv" --output="'; system 'touch hacked'; '/log.svg"
[ -s "'; system 'touch hacked'; '/log.svg" ] || fail 'no picture in a folder with a strange name'
nothing hacked "'; system 'touch hacked'; '/hacked"
finish
