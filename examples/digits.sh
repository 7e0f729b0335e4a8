#!/bin/sh
# Builds gradc, trains digits.grad with the seeds 1 to 5, and prints how many of the held-out digits each one reads.
# Installs what is missing first. Weights and predictions are kept in build/digits/. Usage: sh examples/digits.sh
set -eu
cd "$(dirname "$0")/.."

sh tests/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target gradc --parallel "$(nproc)"

out=build/digits
mkdir -p $out
rm -f $out/accuracies

for seed in 1 2 3 4 5; do
    echo "== seed $seed"
    build/release/gradc train --seed $seed --save $out/seed-$seed.safetensors \
        --predictions $out/seed-$seed.csv examples/digits.grad
    # The accuracy is counted here, from what was saved: a prediction is the row's number in digits.csv (from 0), then
    # the ten logits; the largest is the digit read.
    awk -F, '
        FNR == NR { digit[NR - 1] = $65; next }
        $1 !~ /^[0-9]+$/ { next }
        {
            best = 2
            for (i = 3; i <= 11; i++) if ($i + 0 > $best + 0) best = i
            right += digit[$1 + 0] == best - 2
            count++
        }
        END {
            if (!count) exit 1
            printf "%.4f\n", right / count
        }' examples/digits.csv $out/seed-$seed.csv >>$out/accuracies
done

echo
awk '{ printf "seed %d: %.2f%% of the held-out digits\n", NR, 100 * $1 }' $out/accuracies
sort -n $out/accuracies | awk 'NR == 3 { printf "median: %.2f%%\n", 100 * $1 }'
echo "weights: $out/seed-N.safetensors; predictions (row of digits.csv, logits): $out/seed-N.csv"
