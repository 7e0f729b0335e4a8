#!/bin/sh
# gradc train: what it prints and logs, when it ends, what it keeps, Ctrl-C, and mistakes that are found before training.
# Usage: sh tests/cli_train.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"
write_points
train() { "$gradc" train points.grad "$@"; }

# ---- the log says what the lines say
expect 0 'epoch 12/12' train --log=log.csv --save=straight
[ "$(head -n 1 log.csv)" = train,epoch,iteration,loss,accuracy,seconds ] || fail 'the heading of the log'
sed 's/epoch \([0-9]*\).*loss \([^ ]*\)  accuracy \([0-9.]*\).*/\1 \2 \3/' out >said
awk -F, 'NR > 1 { printf "%d %.6g %.4f\n", $2, $4, $5 }' log.csv >logged
cmp -s said logged || fail "the log says something else: $(diff said logged | head -n 3)"
expect 1 "cannot write 'none/log.csv'" train --log=none/log.csv
expect 1 'No space left' train --log=/dev/full
expect 1 'cannot write the output' sh -c "'$gradc' train points.grad --epochs=1 >/dev/full"

# ---- reports, and losses and metrics without inputs
cat >free.grad <<'MODEL'
net place(x: f32) -> f32 {
    param w: f32 ~ ones
    return w * x
}
loss valley() {
    d = place(1) - 3
    report distance = abs(d)
    return d^2
}
metric height() { return place(2) }
train valley { optimizer sgd(lr = 0.1); steps 4; epochs 3 }
MODEL
expect 0 'distance' "$gradc" train free.grad --log=log.csv
[ "$(head -n 1 log.csv)" = train,epoch,iteration,loss,height,distance,seconds ] || fail 'a report is not in the log'
# After n steps the distance is 2 * 0.8^n; the report is that of the last step, before it moved.
awk -F, 'NR > 1 { d = $6 - 2 * 0.8 ^ ($3 - 1); h = $5 - 2 * (3 - 2 * 0.8 ^ $3); if (d * d + h * h > 1e-10) exit 1 }' log.csv ||
    fail 'the report or the metric is wrong'

# ---- the best epoch, and an early end
expect 0 'the best epoch was' train --epochs=200 --lr=0.1 --monitor=accuracy:max --patience=4 --save=best --log=log.csv
grep -q 'epochs were no better' out || fail 'an early end is not told'
awk -F, 'NR > 1 { if ($5 > best) { best = $5; at = $2 } last = $2 } END { print at, last, best }' log.csv >best.txt
read -r at last best <best.txt
[ "$last" -eq $((at + 4)) ] || fail "it ended after epoch $last, though the best was $at"
[ "$(grep -c '  best  ' out)" -gt 0 ] || fail 'the best epochs are not marked'
grep '  best  ' out | tail -n 1 | grep -q "^epoch $at/" || fail 'another epoch is marked as the best'
found=$("$gradc" eval points.grad --load=best --entry=accuracy | sed 's/.*accuracy //')
awk "BEGIN { d = $found - $best; exit d * d > 1e-10 }" || fail "the weights kept have accuracy $found, and the best was $best"
expect 0 'with loss' train --epochs=3 --patience=2 --log=loss.csv
grep -q 'held_out_loss [0-9]' out || fail 'the loss that is watched is not told'
[ "$(head -n 1 loss.csv)" = train,epoch,iteration,loss,accuracy,held_out_loss,seconds ] || fail 'nor in the log'
expect 0 '' train --epochs=3 --patience=9 --checkpoint=loss.checkpoint --log=loss.csv
expect 0 '' train --epochs=5 --resume=loss.checkpoint --log=loss.csv
[ "$(awk -F, '{ print NF }' loss.csv | sort | uniq -c | tr -s ' ')" = ' 6 7' ] || fail 'a resumed log has other columns'
expect 0 'the smallest; --monitor=accuracy:max keeps the greatest' train --epochs=2 --monitor=accuracy
expect 0 '' train --epochs=2 --monitor=accuracy:min
! grep -q 'the smallest' out || fail 'it was said what is the best'
expect 1 'what can be watched is: loss, accuracy' train --monitor=speed
for monitor in '' :max accuracy:more accuracy:; do
    expect 2 '--monitor takes' train --monitor="$monitor"
done
expect 2 "not '0'" train --patience=0

# ---- checkpoints: stopped and resumed gives the bits of a training that never was
expect 0 'epoch 5/5' train --epochs=5 --checkpoint=point
expect 0 'epoch 12/12' train --resume=point --epochs=12 --save=resumed
cmp -s straight resumed || fail 'a training that was resumed ends with other weights'
! grep -q 'epoch 5/' out || fail 'it begins anew'
expect 0 'no epoch was left' train --resume=point
expect 1 "cannot read 'none'" train --resume=none
expect 1 '' train --resume=points.csv
expect 2 'choose one' train --resume=point --load=straight
expect 2 'needs --checkpoint' train --checkpoint-steps=3
expect 0 '' train --epochs=1 --checkpoint=point2 --checkpoint-steps=3

# ---- Ctrl-C: ends after the step that runs, and saves; the checkpoint goes on with the same bits
# stopped SIGNAL CODE OPTION...: the signal ends the training with this exit code, and a message that holds "stopped".
stopped() {
    signal=$1 code=$2
    shift 2
    rm -f began.csv
    # What a shell starts in the background is deaf to Ctrl-C: undone by env.
    env --default-signal=INT,TERM "$gradc" train "$model" --epochs=100000000 --log=began.csv "$@" >out 2>err </dev/null &
    process=$!
    waited=0
    while [ ! -e began.csv ] || [ "$(wc -l <began.csv)" -lt 3 ]; do
        waited=$((waited + 1))
        [ $waited -lt 600 ] || break
        sleep 0.1
    done
    threads=$(find "/proc/$process/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)
    kill -s "$signal" "$process"
    found=0
    wait "$process" || found=$?
    [ "$found" -eq "$code" ] || fail "exit code $found instead of $code after SIG$signal: $(tail -n 1 err)"
    grep -q 'gradc: stopped' err || fail "after SIG$signal it does not say that it stopped"
}
model=points.grad
stopped INT 130 --quiet --save=stopped --checkpoint=point
grep -q "wrote 'stopped' and 'point'" err || fail "it does not name both files that it wrote: $(tail -n 1 err)"
[ -s stopped ] && [ -s point ] || fail 'nothing was saved after Ctrl-C'
stopped TERM 143 --quiet --predictions=p.csv
[ "$(wc -l <p.csv)" -eq 42 ] || fail 'no predictions after SIGTERM'
stopped INT 130
grep -q 'no weights were saved' err || fail 'it does not say that nothing was saved'
expect 0 '' "$gradc" eval points.grad --load=stopped
# Resumed twice after different numbers of steps: the end is the same.
epoch_after() { train --json --resume="$1" --checkpoint=unused --epochs=100000000 2>/dev/null | head -n 1 | "$json" epoch; }
epochs=$(epoch_after point)
cp point early
stopped INT 130 --quiet --resume=point
later=$(epoch_after point)
[ "$later" -gt "$epochs" ] || fail "it went on from epoch $later, though $epochs was there already"
expect 0 '' train --resume=point --checkpoint=unused --epochs=$((later + 2)) --save=one
expect 0 '' train --resume=early --checkpoint=unused2 --epochs=$((later + 2)) --save=two
cmp -s one two || fail 'where a training was stopped changes its end'

# Threads: as many as are asked for, and the same bits.
sed 's/2, 16/2, 2048/; s/16, 3/2048, 3/' points.grad >wide.grad
for count in 1 3; do
    expect 0 '' "$gradc" train wide.grad --epochs=3 --batch=150 --threads=$count --save=threads.$count.npz
    model=wide.grad
    stopped INT 130 --quiet --batch=150 --threads=$count
    [ ! -d /proc/self/task ] || [ "$threads" -eq $count ] || fail "--threads=$count uses $threads"
done
cmp -s threads.1.npz threads.3.npz || fail 'the number of threads changes the weights'

# A second Ctrl-C ends it at once, here while it waits for a reader of its output that never reads.
mkfifo pipe
sleep 30 <pipe &
reader=$!
rm -f began.csv
env --default-signal=INT "$gradc" train points.grad --json --epochs=100000000 --log=began.csv --save=late >pipe 2>err &
process=$!
size=0
while [ ! -s began.csv ] || [ "$(wc -c <began.csv)" -ne "$size" ]; do
    [ ! -e began.csv ] || size=$(wc -c <began.csv)
    sleep 0.5
done
kill -s INT "$process"
sleep 0.3
kill -s 0 "$process" || fail 'it did not wait'
kill -s INT "$process"
found=0
wait "$process" || found=$?
[ "$found" -eq 130 ] || fail "exit code $found instead of 130 after the second Ctrl-C"
nothing late
kill "$reader"

# ---- mistakes with files: said before training
refused() {
    words=$1
    shift
    expect 1 "$words" train "$@"
    [ ! -s out ] || fail "it trains before it says: $words"
}
refused 'would overwrite the model' --checkpoint=points.grad
refused 'would overwrite the model' --log=./points.grad
refused 'would overwrite the data' --checkpoint=points.csv
refused 'would overwrite the data' --predictions="$folder/points.csv"
refused 'would overwrite the data' --checkpoint=few.csv --data=few.csv
ln -s points.csv link.csv
refused 'would overwrite the data' --checkpoint=link.csv
refused 'would overwrite --save' --save=same --log=./same
refused 'would overwrite --checkpoint' --checkpoint=same --predictions="$folder/same"
refused "'nothing'" --predictions=p --predict=nothing
refused "cannot write 'none/w'" --export=none/w
refused "cannot read 'none'" --load=none
refused "cannot read 'none.csv'" --data=none.csv
refused 'no `train other`' --loss=other
expect 2 'needs --predictions' train --predict=regions
nothing same p few.csv
[ -s points.grad ] && [ -s points.csv ] || fail 'files were overwritten'

# ---- a loss that runs away
expect 1 'try --lr=1e+37' train --lr=1e38 --save=w
nothing w
sed 's/lr = 0.02/lr = 1e36/' points.grad >wild.grad
expect 1 'it was 1e+36; try --lr=1e+35' "$gradc" train wild.grad
cat >runs.grad <<'MODEL'
net place(x: f32) -> f32 {
    param w: f32 ~ ones
    return w * x
}
loss valley() { return (place(1) - 3)^2 }
train valley { optimizer sgd(lr = 1.05); steps 4; epochs 3 }
MODEL
expect 0 'try --lr=0.105' "$gradc" train runs.grad
expect 0 '' "$gradc" train runs.grad --lr=0.1
[ ! -s err ] || fail 'it gives advice that nobody needs'

# ---- the terminal: a bar on stderr, and the last line stays on stdout
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then   # there may be no terminals, as in a plain chroot
    TERM=xterm script -qec "stty cols 200; '$gradc' train points.grad --epochs=400" /dev/null >screen </dev/null
    tr '\r' '\n' <screen >lines
    for words in 'epoch 400/400 \[####################\] 100%' 'loss [0-9.]*  accuracy [0-9.]*' '[0-9]* rows/s' ' left'; do
        grep -q "$words" lines || fail "the bar lacks '$words'"
    done
    tail -n 2 lines | grep -q 'epoch 400/400  loss ' || fail 'the last line does not stay'
    TERM=xterm script -qec "stty cols 60; '$gradc' train points.grad --epochs=400 >quiet.txt" /dev/null >screen </dev/null
    [ "$(wc -l <quiet.txt)" -eq 400 ] || fail 'not a line an epoch where stdout is no terminal'
    ! grep -q "$(printf '\033')" quiet.txt || fail 'the bar is written to a file'
    tr '\r' '\n' <screen | sed "s/$(printf '\033')\[K//" | awk '{ if (length($0) > 60) exit 1 }' || fail 'the bar is wider than the terminal'
    TERM=xterm script -qec "'$gradc' train points.grad --quiet" /dev/null >screen </dev/null
    [ ! -s screen ] || fail '--quiet prints'
    TERM=dumb script -qec "'$gradc' train points.grad" /dev/null >screen </dev/null
    ! grep -q '#' screen || fail 'a bar on a terminal that cannot move back'
else
    echo 'no terminals here: not tried'
fi
finish
