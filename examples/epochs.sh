#!/bin/sh
# How the epochs of digits.grad were chosen: by rows that are neither trained on nor held out for the accuracy that is
# reported. The rows that digits.grad trains on are a file of their own here, of which a fifth is held out in turn.
# Usage, after digits.sh: sh examples/epochs.sh
set -eu
cd "$(dirname "$0")/.."
out=build/digits
mkdir -p $out

# The first column of the predictions is the row of digits.csv, from 1: these are the held-out ones.
build/release/gradc train --epochs=1 --quiet --predictions=$out/held.csv examples/digits.grad
awk -F, 'FNR == NR { if (FNR > 1) held[$1]; next } !(FNR in held)' $out/held.csv examples/digits.csv >$out/training.csv

for epochs in 10 20 40 60 80 120; do
    for seed in 1 2 3 4 5; do
        build/release/gradc train --data=$out/training.csv --epochs=$epochs --seed=$seed examples/digits.grad |
            sed -n '$s/.*accuracy \([0-9.]*\).*/\1/p'
    done | sort -n | awk -v epochs=$epochs 'NR == 3 { printf "%3d epochs: median %.2f%%\n", epochs, 100 * $1 }'
done
