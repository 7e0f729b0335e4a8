#!/bin/sh
# Runs every test, twice: in a build with assertions, then in one under AddressSanitizer and UBSan. Installs what is
# missing first (setup.sh). Usage: sh tests/run.sh [ctest options, such as -R golden]
set -eu
cd "$(dirname "$0")/.."

sh tests/setup.sh tests
jobs=$(nproc)

failed=
echo '== layout'
sh tests/format.sh || failed=' layout'

for preset in debug sanitize; do
    echo "== $preset"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" --parallel "$jobs"
    ctest --preset "$preset" --parallel "$jobs" "$@" || failed="$failed $preset"
done

if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
