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

if [ ! -d /proc/self/task ]; then
    # A chroot without /proc: the leak checker reads its threads there.
    echo 'run: /proc is not mounted, so leaks are not looked for'
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
fi

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
