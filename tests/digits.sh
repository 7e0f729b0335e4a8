#!/bin/sh
# The example that the README begins with: one seed learns to read at least 96.5% of the held-out digits in seconds, and
# the predictions that it saves say the same as the accuracy that it prints. Usage: sh tests/digits.sh BUILD_DIR
set -eu

gradc=$1/gradc
folder=$(mktemp -d "${TMPDIR:-/tmp}/gradc-digits-XXXXXX")
trap 'rm -rf "$folder"' EXIT

"$gradc" train --seed=1 --save="$folder/weights" --predictions="$folder/predictions.csv" examples/digits.grad \
    >"$folder/progress"
tail -n 1 "$folder/progress"
printed=$(sed -n 's/.*accuracy \([0-9.]*\).*/\1/p' "$folder/progress" | tail -n 1)
[ "$(wc -l <"$folder/progress")" -eq 80 ] || { echo 'not one line for each of the 80 epochs'; exit 1; }

# Column 65 of digits.csv is the digit; the largest of the ten logits is the digit read.
counted=$(awk -F, '
    FNR == NR { digit[NR] = $65; next }
    FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "mlp.0") first = i; next }
    {
        best = 0
        for (i = 1; i < 10; i++) if ($(first + i) + 0 > $(first + best) + 0) best = i
        right += digit[$1] == best
        count++
    }
    END { if (count != 360) exit 1; printf "%.4f", right / count }' examples/digits.csv "$folder/predictions.csv") ||
    { echo 'there is not one prediction for each of the 360 held-out rows'; exit 1; }
[ "$printed" = "$counted" ] || { echo "it prints $printed, but the predictions say $counted"; exit 1; }
awk "BEGIN { exit !($counted >= 0.965) }" || { echo "it reads only $counted of the digits"; exit 1; }
[ -s "$folder/weights" ] || { echo 'no weights were saved'; exit 1; }
