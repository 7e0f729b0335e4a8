#!/bin/sh
# Checks that the C sources are laid out as .clang-format says; with --fix, lays them out.
set -eu
cd "$(dirname "$0")/.."

tool=$(command -v clang-format-19 || true)
if [ -z "$tool" ]; then
    echo 'format: no clang-format-19 here, so the layout is not checked'
    exit 0
fi
mode='--dry-run --Werror'
[ "${1:-}" != --fix ] || mode=-i
# shellcheck disable=SC2086   # mode is a list
find . -name build -prune -o -name '*.[ch]' -exec "$tool" $mode {} +
