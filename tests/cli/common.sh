# What the tests of the command line share. Read by `. tests/cli/common.sh BUILD_DIR` in the project's root: sets `gradc`,
# `json` and `root`, and goes to an empty folder, which is removed in the end.
# shellcheck shell=sh
root=$(pwd)
build=$(cd "$1" && pwd)
# shellcheck disable=SC2034   # the tests use them
{
    gradc=$build/gradc
    json=$build/tests/json_value
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/gradc-cli-XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
failures=0
unset NO_COLOR COLUMNS

fail() {
    echo "$*"
    failures=$((failures + 1))
}

# expect CODE WORDS COMMAND...: the exit code, and words that stand in its output (stdout or stderr).
expect() {
    code=$1 words=$2
    shift 2
    found=0
    "$@" >out 2>err </dev/null || found=$?
    sed -i -f "$root/tests/no_proc.sed" err
    [ "$found" -eq "$code" ] || fail "exit code $found instead of $code: $* ($(head -n 1 err))"
    [ -z "$words" ] || cat out err | grep -qF -e "$words" || fail "'$words' is not in the output of: $* ($(head -n 1 err))"
}

# nothing FILE...: none of them exists, nor a part of one.
nothing() {
    for file in "$@"; do
        for name in "$file" "$file".tmp*; do
            [ ! -e "$name" ] || fail "$name was written"
        done
    done
}

# A model that learns in a moment, and its data.
write_points() {
    cat >points.grad <<'MODEL'
# Which of three regions a point lies in.
dim N
net regions(x: float[N, 2]) -> float[N, 3] {
    use hidden = dense<2, 16, relu>
    use output = dense<16, 3>
    return output(hidden(x))
}
loss nll(x: float[N, 2], y: i32[N]) { return cross_entropy(regions(x), y) }
metric accuracy(x: float[N, 2], y: i32[N]) { return mean(f32(argmax(regions(x), axis = -1) == y)) }
data points { file "points.csv"; x = columns[0:2]; y = i32(columns[2]); split 0.8 }
train nll { data points; optimizer adam(lr = 0.02); batch 16; epochs 12 }
MODEL
    awk 'BEGIN { for (i = 0; i < 203; i++) { a = (i * 37 % 101) / 50 - 1; b = (i * 53 % 89) / 44 - 1
                 print a "," b "," (a > b ? 2 : a + b > 0 ? 1 : 0) } }' >points.csv
}

finish() {
    [ "$failures" -eq 0 ] || {
        echo "$failures failures"
        exit 1
    }
}
