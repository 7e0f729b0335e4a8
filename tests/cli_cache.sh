#!/bin/sh
# The command line keeps machine code, and finds it again; --no-cache does neither. Usage: sh tests/cli_cache.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"
write_points
unset GRADC_CACHE_DIR XDG_CACHE_HOME
HOME=$folder/home
export HOME
mkdir "$HOME"

count() {
    find "$1" -type f 2>/dev/null | wc -l
}

# kept WANTED COMMAND...: whether --timings says that code was found.
kept() {
    wanted=$1
    shift
    expect 0 'machine code' "$@" --timings
    found=no
    grep -q 'kept' err && found=yes
    [ "$found" = "$wanted" ] || fail "found kept code: $found, not $wanted: $*"
}

kept no "$gradc" train points.grad --epochs=1 --seed=1 --save=first.safetensors --no-cache
[ "$(count "$HOME")" -eq 0 ] || fail '--no-cache keeps code'
kept no "$gradc" train points.grad --epochs=1 --seed=1 --save=cold.safetensors
[ "$(count "$HOME/.cache/gradc")" -gt 0 ] || fail 'no code is kept'
kept yes "$gradc" train points.grad --epochs=1 --seed=1 --save=warm.safetensors
kept no "$gradc" train points.grad --epochs=1 --seed=1 --save=again.safetensors --no-cache
for name in cold warm again; do
    cmp -s first.safetensors $name.safetensors || fail "other bits: $name"
done
kept no "$gradc" train points.grad --epochs=1 --float=f64
kept no env XDG_CACHE_HOME="$folder/xdg" "$gradc" train points.grad --epochs=1
[ "$(count "$folder/xdg/gradc")" -gt 0 ] || fail 'XDG_CACHE_HOME is not used'
kept no env GRADC_CACHE_DIR="$folder/own/place" XDG_CACHE_HOME="$folder/xdg" "$gradc" train points.grad --epochs=1
[ "$(count "$folder/own/place")" -gt 0 ] || fail 'GRADC_CACHE_DIR is not used'
kept yes env GRADC_CACHE_DIR="$folder/own/place" "$gradc" train points.grad --epochs=1

# Where nothing can be kept nothing is said of it.
kept no env GRADC_CACHE_DIR=/dev/null/place "$gradc" train points.grad --epochs=1
grep -q 'cannot\|error' err && fail 'a folder that is none is an error'
finish
