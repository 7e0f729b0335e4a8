#!/bin/sh
# Runs every test, twice: in a build with assertions, then in one under AddressSanitizer and UBSan; and the tests of
# threads under ThreadSanitizer. Installs what is missing first (setup.sh).
# Usage: sh tests/run.sh [ctest options, such as -R golden; then without ThreadSanitizer]
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

# ThreadSanitizer lays memory out in a way that some kernels' address randomisation does not leave room for: it is
# turned off where that is allowed. LLVM is not instrumented; the locks that it takes are seen, what it does behind them
# is not.
if [ $# -eq 0 ]; then
    echo '== threads'
    plain=
    ! setarch -R true 2>/dev/null || plain='setarch -R'
    cmake --preset tsan >/dev/null
    cmake --build --preset tsan --parallel "$jobs" --target threads_test team_test
    $plain ctest --preset tsan -R '^unit.(threads|team)_test$' || failed="$failed threads"
fi

if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
