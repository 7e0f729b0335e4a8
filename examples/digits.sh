#!/bin/sh
# Builds gradc, trains digits.grad with the seeds 1 to 5, and prints how many of the held-out digits each one reads.
# Installs what is missing first. Weights and predictions are kept in build/digits/. Usage: sh examples/digits.sh
set -eu
cd "$(dirname "$0")/.."

sh tests/setup.sh
cmake --preset release -DBUILD_TESTING=OFF >/dev/null
cmake --build --preset release --target gradc --parallel "$(nproc)"

out=build/digits
mkdir -p $out
rm -f $out/accuracies

for seed in 1 2 3 4 5; do
    echo "== seed $seed"
    build/release/gradc train --seed=$seed --save=$out/seed-$seed.safetensors --predictions=$out/seed-$seed.csv \
        examples/digits.grad
    # Counted again from what was saved: the first column is the row of digits.csv, where the 65th cell is the digit;
    # the ten columns from mlp.0 on are the logits, of which the largest is the digit read.
    awk -F, '
        FNR == NR { digit[NR] = $65; next }
        FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "mlp.0") first = i; next }
        {
            best = 0
            for (i = 1; i < 10; i++) if ($(first + i) + 0 > $(first + best) + 0) best = i
            right += digit[$1] == best
            count++
        }
        END {
            if (!count || !first) exit 1
            printf "%.6f\n", right / count
        }' examples/digits.csv $out/seed-$seed.csv >>$out/accuracies
done

echo
awk '{ printf "seed %d: %.2f%% of the held-out digits\n", NR, 100 * $1 }' $out/accuracies
sort -n $out/accuracies | awk 'NR == 3 { printf "median: %.2f%%\n", 100 * $1 }'
echo "weights: $out/seed-N.safetensors; predictions (row of digits.csv, digit, digit read, logits): $out/seed-N.csv"
